"""Chapter 10, a narrow layer in front of the code: what its four numbers let through, and how many of them are live.

A unit behind a ReLU can be zero for every digit, and is then lost. LeakyReLU cannot lose one, so it separates what the
width costs from what the dead units cost. The same for the grid's deepest network with its largest code, which is
worse than a shallow one there, and whose layers narrow to 96 units.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import nnkit as nn
from book.experiments.autoencoder_grid import HIDDEN
from book.experiments.shared.autoencoders import errors_of, live_units
from book.experiments.shared.mnist import N_VALIDATION, rounded
from book.experiments.shared.runs import sweep_by_seed
from lab import provenance, results
from lab.sweep import Row

STORE = results.RESULTS / "autoencoder_narrow.jsonl"
SEEDS = range(6)
GRID = {
    "sizes": [[784, 256, 4, 64], [784, 256, 4], [784, 256, 64], [784, *HIDDEN, 64]],
    "activation": ["relu", "leaky_relu"],
}
SETUP = {
    "loss": "cross-entropy",
    "init": "kaiming_normal",
    "optimizer": "Adam, lr 0.002, cosine to 0 over all epochs",
    "batch_size": 256,
    "epochs": 20,
    "training": f"as in autoencoder_grid: the training digits without the last {N_VALIDATION}",
}


def train(sizes: list[int], activation: str, seed: int) -> dict[str, Any]:
    """Train once; return the loss, the test error, and the live units of each layer of the encoder, the code last."""
    data = nn.load_mnist()
    rng = np.random.default_rng(seed)
    model = nn.Autoencoder.symmetric(sizes, activation, init="kaiming_normal", rng=rng, logits=True)
    at_first = live_units(model.encoder, data.X_test)
    optimizer, epochs = nn.Adam(model.parameters(), lr=0.002), SETUP["epochs"]
    X = data.X_train[:-N_VALIDATION]
    schedule = nn.CosineLR(optimizer, epochs)
    options = {"epochs": epochs, "batch_size": SETUP["batch_size"], "scheduler": schedule, "rng": rng}
    history = nn.fit(model, nn.BCEWithLogitsLoss(), optimizer, X, X, **options)
    return {
        "loss": rounded(history["loss"]),
        "test_mse": float(f"{errors_of(model.reconstruct(data.X_test), data.X_test).mean():.6g}"),
        "live_at_first": at_first,
        "live": live_units(model.encoder, data.X_test),
        **provenance.ran(__file__),
    }


def run() -> list[Row]:
    """Train every network with every seed, all first seeds first."""
    return sweep_by_seed(train, GRID, SEEDS, store=STORE, setup=SETUP)


if __name__ == "__main__":
    run()
