"""Baselines for figures 10 and 11 of report A: the digits themselves, their mean, and PCA of every size."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.decomposition import PCA

import nnkit as nn
from book.experiments.autoencoder_grid import GRID
from book.experiments.shared.autoencoders import errors_of
from book.experiments.shared.mnist import N_VALIDATION
from book.experiments.shared.pictures import as_text, first_of_each
from book.experiments.shared.runs import record
from nnkit.typing import Array

SETUP = {
    "training": f"the training digits without the last {N_VALIDATION}",
    "mean": "each pixel's mean over the training digits",
    "PCA": "centred on that mean; its pictures and its clipped error have pixels in [0, 1]",
    "sizes": GRID["latent"],
}


def cross_entropy(p: Array, y: Array) -> float:
    """Return the mean binary cross-entropy of pixels `p` against `y`, in nats; 0 log 0 is 0."""
    p, y = np.broadcast_to(p, y.shape).astype(np.float64), y.astype(np.float64)
    surprise = np.zeros_like(y)
    for target, predicted in ((y, p), (1 - y, 1 - p)):
        at = target > 0
        surprise[at] -= target[at] * np.log(predicted[at])
    return float(surprise.mean())


def row(name: str, pictures: Array, data: nn.Dataset, **also: float) -> dict[str, Any]:
    """Return the stored results for one way to reconstruct the test digits."""
    clipped = np.clip(pictures, 0, 1)
    errors = {
        "test_mse": errors_of(pictures, data.X_test).mean(),
        "test_mse_clipped": errors_of(clipped, data.X_test).mean(),
        **also,
    }
    return {
        "seed": 0,  # Nothing is drawn.
        "reconstruction": name,
        **{key: float(f"{error:.6g}") for key, error in errors.items()},
        "ten_digits": as_text(clipped[first_of_each(data.y_test)]),
    }


def run() -> list[dict[str, Any]]:
    """Measure each."""
    data = nn.load_mnist()
    X, X_test = data.X_train[:-N_VALIDATION].astype(np.float64), data.X_test
    pca = PCA(svd_solver="covariance_eigh").fit(X)
    mean = np.broadcast_to(pca.mean_, X_test.shape)
    rows = [
        row("itself", X_test, data, test_cross_entropy=cross_entropy(X_test, X_test)),
        # A pixel inked in a test digit but in no training digit would have infinite cross-entropy.
        row("mean", mean, data, test_cross_entropy=cross_entropy(np.clip(mean, 1e-6, 1 - 1e-6), X_test)),
    ]
    coordinates = pca.transform(X_test)
    for size in SETUP["sizes"]:
        rows.append(row(f"PCA {size}", coordinates[:, :size] @ pca.components_[:size] + pca.mean_, data))
    return rows


if __name__ == "__main__":
    record("autoencoder_baselines", run, setup=SETUP, data=nn.load_mnist())
