"""Report B, tables 7 and 8 and figures 4 to 7: its autoencoder as it was run, as its text says, and a better setup."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

import nnkit as nn
from book.experiments.shared.autoencoders import (
    PARTIAL,
    SIZES,
    errors_of,
    keep_weights,
    pixel_mse,
    pooled,
    report_b_network,
    split_indices,
)
from book.experiments.shared.mnist import rounded
from book.experiments.shared.runs import on_mnist
from lab import provenance, results
from lab.sweep import Row, sweep
from nnkit.activations import sigmoid
from nnkit.files import read_json
from nnkit.typing import Array

STORE = results.RESULTS / "autoencoder_training.jsonl"
SETUP = {
    "sizes": SIZES,
    "activation": "ReLU, but none on the code",
    "loss": "BCE with logits, mean over pixels and digits",
    "batch_size": 256,
    "split": "the repository's: 50,400 / 5,600 / 14,000 of all 70,000, stratified",
    "schedule": "constant, or a cosine to 0 over all epochs",
}

AS_RUN: dict[str, Any] = {
    "start": "as in the repository",
    "optimizer": "SGD",
    "lr": 0.1,
    "cosine": False,
    "epochs": 800,
}
AS_STATED = AS_RUN | {"start": "Xavier"}
BETTER = AS_RUN | {"start": "He", "optimizer": "Adam", "lr": 0.002, "cosine": True, "epochs": 80}
CELLS = {"as run": AS_RUN, "as stated": AS_STATED, "a tenth of the epochs": BETTER}
KEPT = {"autoencoder_published": AS_RUN, "autoencoder": BETTER}
"""The runs with seed 0 whose weights the chapters use."""

SEEDS = range(6)

HISTOGRAM = np.linspace(0, 0.05, 101)
"""Bin edges for the digits' errors; the last bin also holds all larger errors."""

N_RESAMPLES, N_METRICS = 300, 100
"""The repository measures 100 test digits; so many draws of as many show how far that number could have been off."""


class CodeRange(nn.Callback):
    """Measure the codes of 1,000 training digits every few epochs, as the repository's log does, and at the start.

    A row of `records` holds the epoch and the codes' least, greatest and standard deviation. A file keeps them for a
    training that resumes.
    """

    def __init__(self, X: Array, every: int, path: Path) -> None:
        self.X, self.every, self.path = X, every, path
        self.records: list[list[float]] = []

    def on_train_begin(self, state: nn.TrainingState) -> None:
        before = read_json(self.path)["codes"] if self.path.exists() else []
        self.records = [row for row in before if row[0] <= state.history.n_epochs]
        if not self.records:
            self.measure(state, 0)

    def on_epoch_end(self, state: nn.TrainingState) -> None:
        if state.epoch % self.every == 0:
            self.measure(state, state.epoch)
            results.write_whole(self.path, json.dumps({"codes": self.records}))

    def measure(self, state: nn.TrainingState, epoch: int) -> None:
        codes = nn.predict(state.model.encoder, self.X)  # type: ignore[attr-defined]
        self.records.append([epoch, *rounded([codes.min(), codes.max(), codes.std(dtype=np.float64)])])


def train(start: str, optimizer: str, lr: float, cosine: bool, epochs: int, seed: int) -> dict[str, Any]:
    """Train once; return the curves, the numbers of table 8, and the best and worst reconstructed test digits."""
    X, y = pooled(nn.load_mnist())
    for_training, for_validation, for_test = split_indices(y)
    X_train, X_validation = X[for_training], X[for_validation]
    rng = np.random.default_rng(seed)
    model, loss = report_b_network(start, rng), nn.BCEWithLogitsLoss()
    stepper = {"SGD": nn.SGD, "Adam": nn.Adam}[optimizer](model.parameters(), lr=lr)
    untrained = nn.evaluate(model, loss, X_train, X_train)["loss"]
    config = {"start": start, "optimizer": optimizer, "lr": lr, "cosine": cosine, "epochs": epochs}
    partial = PARTIAL / f"autoencoder_training-{_key(config, seed)}.npz"
    PARTIAL.mkdir(exist_ok=True)
    codes = CodeRange(X_train[:1000], max(1, epochs // 160), partial.with_suffix(".json"))
    history = nn.fit(
        model,
        loss,
        stepper,
        X_train,
        X_train,
        epochs=epochs,
        batch_size=SETUP["batch_size"],
        validation_data=(X_validation, X_validation),
        metrics={"mse": pixel_mse},
        scheduler=nn.CosineLR(stepper, epochs) if cosine else None,
        callbacks=[nn.Checkpoint(partial, every=20, resume=True), codes],  # A run takes up to an hour.
        rng=rng,
    )
    _keep(model, config, seed)
    for path in (partial, codes.path):
        path.unlink(missing_ok=True)
    return {
        **{name: rounded(values) for name, values in history.values_by_name.items()},
        "untrained_loss": float(f"{untrained:.6g}"),
        "codes": codes.records,
        "test": table_8(model, X[for_test], for_test, y[for_test]),
        **provenance.ran(__file__),
    }


def _key(config: dict[str, Any], seed: int) -> str:
    return hashlib.sha256(json.dumps([config, seed]).encode()).hexdigest()[:16]


def _keep(model: nn.Autoencoder, config: dict[str, Any], seed: int) -> None:
    for name, cell in KEPT.items():
        if seed == 0 and cell == config:
            keep_weights(name, model, config=config, seed=seed)
    if config == AS_RUN:
        keep_weights(f"encoder_published_{seed}", model.encoder, config=config, seed=seed)


def table_8(model: nn.Autoencoder, X: Array, index: Array, y: Array) -> dict[str, Any]:
    """Return what table 8 lists, over all test digits and over 100 of them, and how the errors are distributed."""
    measured = each_digit(nn.predict(model, X), X)
    errors = measured["mse"]
    by_error = np.argsort(errors)
    counts, _ = np.histogram(errors.clip(max=HISTOGRAM[-1]), HISTOGRAM)
    rng = np.random.default_rng(0)
    draws = [summary(measured, rng.choice(len(X), N_METRICS, replace=False)) for _ in range(N_RESAMPLES)]
    return {
        **{name: float(f"{value:.6g}") for name, value in summary(measured, np.arange(len(X))).items()},
        "error_median": float(f"{np.median(errors):.6g}"),
        "of_100": {name: [float(f"{draw[name]:.4g}") for draw in draws] for name in draws[0]},
        "histogram": counts.tolist(),
        # Indices into the pooled digits.
        "best": index[by_error[:20]].tolist(),
        "worst": index[by_error[-20:]].tolist(),
        "best_errors": rounded(errors[by_error[:20]]),
        "worst_errors": rounded(errors[by_error[-20:]]),
        "mse_by_digit": rounded([errors[y == digit].mean() for digit in range(10)]),
    }


def each_digit(logits: Array, X: Array) -> dict[str, Array]:
    """Return for each digit its errors, and its darkest and lightest pixel before and after; each of shape (n,)."""
    pixels = sigmoid(logits)
    losses = np.maximum(logits, 0) - logits * X + np.log1p(np.exp(-np.abs(logits)))
    return {
        "mse": errors_of(pixels, X),
        "mae": np.mean(np.abs(pixels - X), axis=1, dtype=np.float64),
        "bce": losses.mean(axis=1, dtype=np.float64),
        "ends": np.stack([pixels.min(axis=1), pixels.max(axis=1), X.min(axis=1), X.max(axis=1)]),
    }


def summary(measured: dict[str, Array], chosen: Array) -> dict[str, float]:
    """Return the numbers of table 8 over some of the digits."""
    least, greatest, least_before, greatest_before = measured["ends"][:, chosen]
    return {
        **{name: float(measured[name][chosen].mean()) for name in ("mse", "mae", "bce")},
        "error_std": float(measured["mse"][chosen].std()),
        "range_preservation": float((greatest.max() - least.min()) / (greatest_before.max() - least_before.min())),
    }


def run() -> list[Row]:
    """Train every cell with its seeds; what was run first."""
    setup = on_mnist(SETUP)
    return [row for cell in CELLS.values() for row in sweep(train, [cell], SEEDS, store=STORE, setup=setup)]


if __name__ == "__main__":
    run()
