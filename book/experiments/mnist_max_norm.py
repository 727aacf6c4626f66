"""Chapter 8, exercise on maximum norm: what a bound on the columns of the weights does to the test digits; 10 seeds."""

from __future__ import annotations

from typing import Any

import numpy as np

import nnkit as nn
from book.experiments.shared.mnist import right_of, rounded
from book.experiments.shared.runs import on_mnist
from lab import provenance, results
from lab.sweep import Row, sweep

STORE = results.RESULTS / "mnist_max_norm.jsonl"
SEEDS = range(10)
GRID: dict[str, list[float | None]] = {"bound": [None, 1.0, 1.5, 2.0]}
N_DIGITS, EPOCHS, BATCHES = 1000, 20, 20
SETUP = {
    "network": "784-128-10, ReLU, dropout 0.5, kaiming_uniform",
    "optimizer": "Adam",
    "lr": 0.001,
    "digits": f"the first {N_DIGITS} training digits",
    "epochs": EPOCHS,
    "batches": BATCHES,
    "bound": "on the length of each column of both weights, after each step; null: none",
}


def train(bound: float | None, seed: int) -> dict[str, Any]:
    """Train once; return the columns' lengths before and after, and the accuracy on both kinds of digits."""
    data = nn.load_mnist()
    X, y = data.X_train[:N_DIGITS], data.y_train[:N_DIGITS]
    rng = np.random.default_rng(seed)
    first, last = nn.Linear(784, 128, rng=rng), nn.Linear(128, 10, rng=rng)
    model = nn.Sequential(first, nn.ReLU(), nn.Dropout(0.5, rng=rng), last)
    optimizer, loss = nn.Adam(model.parameters(), lr=SETUP["lr"]), nn.CrossEntropyLoss()
    before = lengths(first)
    for _ in range(EPOCHS):
        for batch in np.array_split(rng.permutation(len(X)), BATCHES):
            optimizer.zero_grad()
            loss(model(X[batch]), y[batch])
            model.backward(loss.backward())
            optimizer.step()
            for layer in (first, last) if bound is not None else ():
                layer.weight.data *= np.minimum(1, bound / lengths(layer))
    model.eval()
    return {
        # Median and maximum of the first layer's columns.
        "lengths_before": rounded([np.median(before), before.max()]),
        "lengths_after": rounded([np.median(lengths(first)), lengths(first).max()]),
        "train_accuracy": nn.accuracy(y, nn.predict(model, X)),
        "test_accuracy": nn.accuracy(data.y_test, nn.predict(model, data.X_test)),
        "right": right_of(model, data),
        **provenance.ran(__file__),
    }


def lengths(layer: nn.Linear) -> np.ndarray:
    """Return the length of each unit's incoming weights."""
    return np.linalg.norm(layer.weight.data, axis=0)


def run() -> list[Row]:
    """Train under every bound with every seed."""
    return sweep(train, GRID, SEEDS, store=STORE, setup=on_mnist(SETUP))


if __name__ == "__main__":
    run()
