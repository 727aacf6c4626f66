"""Shared by the MNIST experiments: data splits, and what is measured while a network trains."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

import nnkit as nn
from lab.answers import packed
from nnkit.training import Metrics
from nnkit.typing import Array

N_VALIDATION = 5000
"""The number of training digits, taken from the end, that are held out for validation."""


Digits = tuple[Array, Array]
"""Images and their labels."""


def without_validation(data: nn.Dataset) -> tuple[Digits, Digits]:
    """Return the digits to train on, and the last ones, held out for validation."""
    X, y = data.X_train, data.y_train
    return (X[:-N_VALIDATION], y[:-N_VALIDATION]), (X[-N_VALIDATION:], y[-N_VALIDATION:])


def trained(
    model: nn.Module, optimizer: nn.Optimizer, digits: Digits, test: OnTestDigits, **options: Any
) -> dict[str, list[float]]:
    """Train a classifier with cross-entropy; return its curves, including those on the test digits.

    Parameters
    ----------
    model, optimizer
        The network to train, and its optimizer.
    digits : pair of ndarray
        The training data.
    test : OnTestDigits
        Measures the test digits during training.
    **options
        Passed to `nnkit.fit`: ``epochs``, ``batch_size``, ``rng``, further ``callbacks``, and so on.
    """
    callbacks = [test, *options.pop("callbacks", ())]
    history = nn.fit(model, nn.CrossEntropyLoss(), optimizer, *digits, callbacks=callbacks, **options)
    return history.values_by_name | {f"test_{name}": [row[name] for row in test.records] for name in test.records[0]}


class OnTestDigits(nn.Callback):
    """Measure the test digits after each epoch, or every few epochs; no choice depends on it."""

    def __init__(self, data: nn.Dataset, every: int = 1, metrics: Metrics = (nn.accuracy,)) -> None:
        self.data, self.every, self.metrics = data, every, metrics
        self.records: list[dict[str, float]] = []

    def on_epoch_end(self, state: nn.TrainingState) -> None:
        if state.epoch % self.every == 0:
            X, y = self.data.X_test, self.data.y_test
            self.records.append(nn.evaluate(state.model, nn.CrossEntropyLoss(), X, y, metrics=self.metrics))


def network(
    hidden: Sequence[int],
    rng: np.random.Generator,
    *,
    activation: str = "ReLU",
    dropout: tuple[float, float] = (0.0, 0.0),
    batch_norm: bool = False,
) -> nn.Sequential:
    """Return a digit classifier: these hidden layers, each followed by the activation, and ten logits.

    `dropout` gives the rates for pixels and hidden units; `batch_norm` adds batch normalization before each
    activation.
    """
    modules: list[nn.Module] = [nn.Dropout(dropout[0], rng=rng)] if dropout[0] else []
    for n_in, n_out in itertools.pairwise([784, *hidden]):
        modules.append(nn.Linear(n_in, n_out, rng=rng))
        if batch_norm:
            modules.append(nn.BatchNorm1d(n_out))
        modules.append(getattr(nn, activation)())
        if dropout[1]:
            modules.append(nn.Dropout(dropout[1], rng=rng))
    return nn.Sequential(*modules, nn.Linear(hidden[-1], 10, rng=rng))


def right_of(model: nn.Module, data: nn.Dataset) -> str:
    """Return which test digits a classifier gets right, packed for a row of a result."""
    return packed(nn.predicted_classes(nn.predict(model, data.X_test)) == data.y_test)


def rounded(values: Sequence[float], n_digits: int = 5) -> list[float]:
    """Return a curve rounded to five significant digits, more than its runs reproduce, or to another number."""
    return [float(f"{value:.{n_digits}g}") for value in values]


def weight_norm(model: nn.Module) -> float:
    """Return the Euclidean norm of all parameters."""
    return round(float(np.sqrt(sum(float(np.sum(np.square(p.data, dtype=np.float64))) for p in model.parameters()))), 4)
