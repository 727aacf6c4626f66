"""Report A, figures 10 and 11: five code sizes, five depths and two losses; 20 epochs, 5 seeds."""

from __future__ import annotations

from typing import Any

import numpy as np

import nnkit as nn
from book.experiments.shared.autoencoders import errors_of, live_units
from book.experiments.shared.mnist import N_VALIDATION, rounded
from book.experiments.shared.pictures import as_text, first_of_each
from book.experiments.shared.runs import sweep_by_seed
from lab import provenance, results
from lab.sweep import Row

STORE = results.RESULTS / "autoencoder_grid.jsonl"
SEEDS = range(5)
HIDDEN = (256, 192, 128, 96)
"""The widths between pixels and code; a network of depth d has the first d - 1 of them."""

GRID = {"latent": [4, 8, 16, 32, 64], "depth": [1, 2, 3, 4, 5], "loss": ["MSE", "cross-entropy"]}
SETUP = {
    "hidden": f"the first depth - 1 of {HIDDEN}, and the same in opposite order in the decoder",
    "activation": "ReLU; a sigmoid behind the output with either loss",
    "init": "kaiming_normal",
    "optimizer": "Adam, lr 0.002, cosine to 0 over all epochs",
    "batch_size": 256,
    "epochs": 20,
    "validation": f"the last {N_VALIDATION} training digits",
}


def network(latent: int, depth: int, loss: str, rng: np.random.Generator) -> nn.Autoencoder:
    """Return the network of a cell, untrained.

    With either loss, its pixels come from a sigmoid, so that networks differ only in the loss.
    """
    model = nn.Autoencoder.symmetric(
        [784, *HIDDEN[: depth - 1], latent], init="kaiming_normal", rng=rng, logits=loss == "cross-entropy"
    )
    return model if model.logits else nn.Autoencoder(model.encoder, nn.Sequential(model.decoder, nn.Sigmoid()))


def train(latent: int, depth: int, loss: str, seed: int) -> dict[str, Any]:
    """Train once; return the curves, the test errors on both scales, and ten reconstructed digits."""
    data = nn.load_mnist()
    rng = np.random.default_rng(seed)
    model = network(latent, depth, loss, rng)
    optimizer = nn.Adam(model.parameters(), lr=0.002)
    objective = nn.BCEWithLogitsLoss() if loss == "cross-entropy" else nn.MSELoss()
    X, held_out = data.X_train[:-N_VALIDATION], data.X_train[-N_VALIDATION:]
    history = nn.fit(
        model,
        objective,
        optimizer,
        X,
        X,
        epochs=SETUP["epochs"],
        batch_size=SETUP["batch_size"],
        validation_data=(held_out, held_out),
        scheduler=nn.CosineLR(optimizer, SETUP["epochs"]),
        rng=rng,
    )
    reconstruction = model.reconstruct(data.X_test)
    result = {name: rounded(values) for name, values in history.values_by_name.items()} | {
        "test_mse": float(f"{errors_of(reconstruction, data.X_test).mean():.6g}"),
        "test_cross_entropy": float(f"{nn.BCEWithLogitsLoss()(logits(model, data.X_test), data.X_test):.6g}"),
        "live": live_units(model.encoder, data.X_test),
    }
    if seed == 0:
        result["ten_digits"] = as_text(model.reconstruct(data.X_test[first_of_each(data.y_test)]))
    return result | provenance.ran(__file__)


def logits(model: nn.Autoencoder, X: np.ndarray) -> np.ndarray:
    """Return the last layer's output before the sigmoid, so that both losses are measured without rounding to 0."""
    decoder = model.decoder if model.logits else model.decoder[0]
    return nn.predict(decoder, model.encode(X))


def run() -> list[Row]:
    """Train every cell with every seed, all first seeds first."""
    return sweep_by_seed(train, GRID, SEEDS, store=STORE, setup=SETUP)


if __name__ == "__main__":
    run()
