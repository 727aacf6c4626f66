"""Hinton and Salakhutdinov (2006): their autoencoder 784-1000-500-250-30, trained end to end without pretraining."""

from __future__ import annotations

from typing import Any

import numpy as np

import nnkit as nn
from book.experiments.shared.autoencoders import errors_of
from book.experiments.shared.mnist import rounded
from book.experiments.shared.pictures import as_text, first_of_each
from book.experiments.shared.runs import on_mnist
from lab import provenance, results
from lab.sweep import Row, sweep

STORE = results.RESULTS / "autoencoder_deep.jsonl"
SEEDS = range(1)
SIZES = [784, 1000, 500, 250, 30]
SETUP = {
    "sizes": SIZES,
    "activation": "ReLU",
    "init": "kaiming_normal",
    "optimizer": "Adam, cosine to 0 over all epochs",
    "batch_size": 256,
    "training": "all 60,000 training digits, as in the paper; the test digits are measured after every tenth epoch",
}
CELLS = [{"loss": "cross-entropy", "lr": 0.001, "epochs": 60}]


class OnTestPixels(nn.Callback):
    """Measure the test digits' mean squared error every tenth epoch; no choice depends on it."""

    def __init__(self, model: nn.Autoencoder, X: np.ndarray) -> None:
        self.model, self.X = model, X
        self.mse: list[list[float]] = []

    def on_epoch_end(self, state: nn.TrainingState) -> None:
        if state.epoch % 10 == 0:
            self.mse.append([state.epoch, float(f"{errors_of(self.model.reconstruct(self.X), self.X).mean():.6g}")])


def train(loss: str, lr: float, epochs: int, seed: int) -> dict[str, Any]:
    """Train once; return the curve, the test error, and ten reconstructed digits."""
    data = nn.load_mnist()
    rng = np.random.default_rng(seed)
    model = nn.Autoencoder.symmetric(SIZES, init="kaiming_normal", rng=rng, logits=True)
    if loss == "MSE":
        model = nn.Autoencoder(model.encoder, nn.Sequential(model.decoder, nn.Sigmoid()))
    optimizer = nn.Adam(model.parameters(), lr=lr)
    X = data.X_train
    test = OnTestPixels(model, data.X_test)
    history = nn.fit(
        model,
        nn.MSELoss() if loss == "MSE" else nn.BCEWithLogitsLoss(),
        optimizer,
        X,
        X,
        epochs=epochs,
        batch_size=SETUP["batch_size"],
        scheduler=nn.CosineLR(optimizer, epochs),
        callbacks=[test],
        rng=rng,
    )
    errors = errors_of(model.reconstruct(data.X_test), data.X_test)
    return {
        **{name: rounded(values) for name, values in history.values_by_name.items()},
        "train_mse": float(f"{errors_of(model.reconstruct(X), X).mean():.6g}"),
        "test_mse": float(f"{errors.mean():.6g}"),
        "test_error_std": float(f"{errors.std():.6g}"),
        "test_mse_curve": test.mse,
        "ten_digits": as_text(model.reconstruct(data.X_test[first_of_each(data.y_test)])),
        **provenance.ran(),
    }


def run() -> list[Row]:
    """Train every cell with every seed."""
    setup = on_mnist(SETUP)
    return sweep(train, CELLS, SEEDS, store=STORE, setup=setup)


if __name__ == "__main__":
    run()
