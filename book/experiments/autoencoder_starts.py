"""Report B, table 8: the loss of its first epoch, by the weights that it starts from and its learning rate."""

from __future__ import annotations

from typing import Any

import numpy as np

import nnkit as nn
from book.experiments import autoencoder_training
from book.experiments.shared.autoencoders import STARTS, pooled, report_b_network, split_indices
from book.experiments.shared.mnist import rounded
from book.experiments.shared.runs import on_mnist
from lab import provenance, results
from lab.sweep import Row, sweep

STORE = results.RESULTS / "autoencoder_starts.jsonl"
GRID = {"start": list(STARTS), "lr": [0.03, 0.1, 0.3, 0.5, 1.0]}
SEEDS = range(10)
SETUP = {
    "network, loss, batch and split": "those of autoencoder_training",
    "optimizer": "SGD",
    "epochs": 1,
    "steps": "the loss of every step",
}


class EveryStep(nn.Callback):
    """Keep the loss of every step."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_batch_end(self, state: nn.TrainingState) -> None:
        self.losses.append(state.loss)


def train(start: str, lr: float, seed: int) -> dict[str, Any]:
    """Train for one epoch; return its mean loss, the loss of each step, and how large code and outputs are at first."""
    X, y = pooled(nn.load_mnist())
    X = X[split_indices(y)[0]]
    rng = np.random.default_rng(seed)
    model, steps = report_b_network(start, rng), EveryStep()
    codes, logits = model.encode(X[:1000]), nn.predict(model, X[:1000])
    optimizer = nn.SGD(model.parameters(), lr=lr)
    loss, batch_size = nn.BCEWithLogitsLoss(), autoencoder_training.SETUP["batch_size"]
    history = nn.fit(model, loss, optimizer, X, X, epochs=1, batch_size=batch_size, callbacks=[steps], rng=rng)
    return {
        "loss": history["loss"][0],
        "steps": rounded(steps.losses),
        "std": rounded([codes.std(dtype=np.float64), logits.std(dtype=np.float64)]),
        **provenance.ran(__file__),
    }


def run() -> list[Row]:
    """Train every cell with every seed."""
    return sweep(train, GRID, SEEDS, store=STORE, setup=on_mnist(SETUP))


if __name__ == "__main__":
    run()
