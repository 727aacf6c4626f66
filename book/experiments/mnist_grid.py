"""A whole grid on MNIST for the reader to choose from: activation, width, batch size, optimizer and learning rate."""

from __future__ import annotations

from typing import Any

import numpy as np

import nnkit as nn
from book.experiments.mnist_sweeps import optimizer_for
from book.experiments.shared.mnist import N_VALIDATION, OnTestDigits, network, rounded, trained, without_validation
from lab import provenance, results
from lab.sweep import Row, sweep

STORE = results.RESULTS / "mnist_grid.jsonl"
SEEDS = range(3)
SETUP = {
    "loss": "cross-entropy",
    "init": "kaiming_uniform",
    "epochs": 10,
    "hidden": "two equal layers of this width",
    "data": f"without the last {N_VALIDATION} training digits",
}
GRID: dict[str, tuple[Any, ...]] = {
    "activation": ("ReLU", "Sigmoid", "Tanh"),
    "width": (16, 64),
    "batch_size": (32, 256),
    "optimizer": ("SGD", "SGD with momentum 0.9", "Adam"),
    "lr": (0.001, 0.01, 0.1),
}


def train(activation: str, width: int, batch_size: int, optimizer: str, lr: float, seed: int) -> dict[str, Any]:
    """Train once; return the test accuracy after each epoch for as long as the loss was finite."""
    data = nn.load_mnist()
    rng = np.random.default_rng(seed)
    model = network([width, width], rng, activation=activation)
    digits, _ = without_validation(data)
    curves = trained(
        model,
        optimizer_for(optimizer, model, lr),
        digits,
        OnTestDigits(data),
        epochs=SETUP["epochs"],
        batch_size=batch_size,
        rng=rng,
    )
    return {
        "loss": rounded(curves["loss"]),
        "test_accuracy": rounded(curves["test_accuracy"]),
        **provenance.ran(__file__),
    }


def run() -> list[Row]:
    """Train every combination with every seed."""
    data = nn.load_mnist()
    return sweep(
        train, GRID, SEEDS, store=STORE, setup=SETUP | {"digits": data.name, "sha256": provenance.data_hash(data)}
    )


if __name__ == "__main__":
    run()
