"""Regularization on 500 to 60,000 digits: 784-256-256-10 with each method alone, and one pair; 10 seeds."""

from __future__ import annotations

from typing import Any

import numpy as np

import nnkit as nn
from book.experiments.shared.mnist import OnTestDigits, network, right_of, rounded, trained, weight_norm
from book.experiments.shared.runs import on_mnist
from lab import provenance, results
from lab.sweep import Row, sweep

STORE = results.RESULTS / "mnist_regularization.jsonl"
SEEDS = range(10)
EPOCHS = {500: 160, 2000: 64, 10_000: 24, 60_000: 8}
"""The epochs for each number of training digits: enough for the plain network to fit nearly all of them."""
SETUP = {
    "network": "784-256-256-10, ReLU, kaiming_uniform",
    "loss": "cross-entropy",
    "optimizer": "Adam",
    "lr": 0.001,
    "batch": 100,
    "epochs": {str(n): epochs for n, epochs in EPOCHS.items()},
    "digits": "the first n of an order that the seed draws, the same for every method",
    "early stopping": "on the loss of the last tenth of the n digits, with a patience of an eighth of the epochs",
    "step schedule": "a tenth of the learning rate after a third of the epochs, a hundredth after two thirds",
}
METHODS: dict[str, dict[str, Any]] = {
    "none": {},
    "L2 0.001": {"l2": 1e-3},
    "decoupled 1": {"decoupled": 1.0},
    "dropout 0.5": {"dropout": 0.5},
    "batch norm": {"batch_norm": True},
    "early stopping": {"early_stopping": True},
    "step schedule": {"schedule": "step"},
    "cosine schedule": {"schedule": "cosine"},
    "dropout 0.5, cosine": {"dropout": 0.5, "schedule": "cosine"},
}
POINTS = 8
"""The number of times that a run measures the test digits."""


def stepper(
    model: nn.Module, options: dict[str, Any], epochs: int
) -> tuple[nn.Optimizer, nn.StepLR | nn.CosineLR | None]:
    """Return a method's optimizer, and its schedule if it has one."""
    optimizer: nn.Optimizer = nn.Adam(model.parameters(), lr=0.001, weight_decay=options.get("l2", 0.0))
    if "decoupled" in options:
        optimizer = nn.AdamW(model.parameters(), lr=0.001, weight_decay=options["decoupled"])
    if options.get("schedule") == "step":
        return optimizer, nn.StepLR(optimizer, step_size=-(-epochs // 3))
    return optimizer, nn.CosineLR(optimizer, epochs) if options.get("schedule") == "cosine" else None


def train(n: int, method: str, seed: int) -> dict[str, Any]:
    """Train once on `n` digits; return the final results on them and on the test digits, and the curves."""
    data = nn.load_mnist()
    chosen = np.random.default_rng([seed, 0]).permutation(len(data.X_train))[:n]
    X, y = data.X_train[chosen], data.y_train[chosen]
    options = METHODS[method]
    rng = np.random.default_rng([seed, 1])
    model = network([256, 256], rng, dropout=(0.0, options.get("dropout", 0.0)), batch_norm="batch_norm" in options)
    epochs = EPOCHS[n]
    optimizer, scheduler = stepper(model, options, epochs)
    callbacks: list[nn.Callback] = []
    n_fit, validation_data = n, None
    if "early_stopping" in options:
        n_fit = n - n // 10
        validation_data = X[n_fit:], y[n_fit:]
        callbacks.append(nn.EarlyStopping(patience=epochs // 8))
    curves = trained(
        model,
        optimizer,
        (X[:n_fit], y[:n_fit]),
        OnTestDigits(data, every=epochs // POINTS),
        epochs=epochs,
        batch_size=100,
        validation_data=validation_data,
        callbacks=callbacks,
        scheduler=scheduler,
        rng=rng,
    )
    on_train = nn.evaluate(model, nn.CrossEntropyLoss(), X[:n_fit], y[:n_fit], metrics=[nn.accuracy])
    on_test = nn.evaluate(model, nn.CrossEntropyLoss(), data.X_test, data.y_test, metrics=[nn.accuracy])
    return {
        "train_loss": rounded([on_train["loss"]])[0],
        "train_accuracy": rounded([on_train["accuracy"]])[0],
        "test_loss": rounded([on_test["loss"]])[0],
        "test_accuracy": rounded([on_test["accuracy"]])[0],
        "test_accuracy_curve": rounded(curves["test_accuracy"]),
        "test_loss_curve": rounded(curves["test_loss"]),
        "epochs": len(curves["loss"]),
        "weight_norm": weight_norm(model),
        "right": right_of(model, data),
        **provenance.ran(__file__),
    }


def run() -> list[Row]:
    """Train every method on every number of digits with every seed, long runs first."""
    setup = on_mnist(SETUP)
    grid = {"n": sorted(EPOCHS, reverse=True), "method": list(METHODS)}
    return sweep(train, grid, SEEDS, store=STORE, setup=setup)


if __name__ == "__main__":
    run()
