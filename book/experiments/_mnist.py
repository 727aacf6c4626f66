"""What the experiments on MNIST share: how the digits are split, and what is measured while a network trains."""

from __future__ import annotations

import nnkit as nn
from nnkit.training import Metrics

N_VALIDATION = 5000
"""How many of the training digits, the last ones, are for validation."""


class OnTestDigits(nn.Callback):
    """Measure the test digits after each epoch; nothing is chosen by it."""

    def __init__(self, data: nn.Dataset, metrics: Metrics = (nn.accuracy,)) -> None:
        self.data, self.metrics = data, metrics
        self.records: list[dict[str, float]] = []

    def on_epoch_end(self, state: nn.TrainingState) -> None:
        X, y = self.data.X_test, self.data.y_test
        self.records.append(nn.evaluate(state.model, nn.CrossEntropyLoss(), X, y, metrics=self.metrics))
