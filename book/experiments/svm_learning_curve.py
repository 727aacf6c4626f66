"""How many labelled digits a support vector machine needs: on pixels and on codes, from 100 to all 60,000."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from sklearn.decomposition import PCA

import nnkit as nn
from book.experiments.latent_codes import trained
from book.experiments.shared.runs import sweep_cells
from lab import provenance, results
from lab.answers import packed
from lab.sweep import Row
from nnkit.typing import Array

STORE = results.RESULTS / "svm_learning_curve.jsonl"
SETUP = {
    "C": 10.0,
    "kernel": "rbf",
    "gamma": "scale",
    "multi_class": "one-vs-rest",
    "PCA": "the first 32 principal components of the same pictures, the control of the codes",
    "codes": "32 numbers, of the autoencoder of latent_codes trained with all 60,000 training pictures, no labels",
    "test": "the 10,000 test digits",
}

CACHE = 8000
"""Megabytes. With less, the result is the same and 30,000 digits of pixels take an hour."""

SIZES = [100, 300, 1000, 3000, 10_000, 30_000, 60_000]
# With all the digits there is nothing to draw, but the codes still depend on their autoencoder.
CELLS: list[tuple[dict[str, Any], range]] = [
    ({"features": features, "n": n}, range(1 if features != "codes" and n == 60_000 else 6))
    for n in SIZES
    for features in ("codes", "pixels", "PCA")
]
# "scale" counts differences between the features' means as variance; these features have none.
CELLS += [({"features": "codes, centred", "n": n}, range(6)) for n in SIZES]


def train(features: str, n: int, seed: int) -> dict[str, Any]:
    """Train once with the first `n` digits in the seed's order; return the accuracy."""
    data = nn.load_mnist()
    if features == "pixels":
        X, Z = data.X_train, data.X_test
    else:
        X, Z = components() if features == "PCA" else codes_of(seed)
    if features == "codes, centred":
        middle = X.mean(axis=0)
        X, Z = X - middle, Z - middle
    chosen = np.random.default_rng([seed, 0]).permutation(len(X))[:n]
    machine = nn.SVC(SETUP["C"], gamma=SETUP["gamma"], cache_size=CACHE).fit(X[chosen], data.y_train[chosen])
    right = machine.predict(Z) == data.y_test
    return {
        "accuracy": float(np.mean(right)),
        "right": packed(right),
        "n_support": len(machine.support_),
        **provenance.ran(),
    }


@cache
def components() -> tuple[Array, Array]:
    """Return the principal components of all training and test digits."""
    data = nn.load_mnist()
    pca = PCA(32, svd_solver="covariance_eigh").fit(data.X_train)
    return pca.transform(data.X_train).astype(np.float32), pca.transform(data.X_test).astype(np.float32)


@cache
def codes_of(seed: int) -> tuple[Array, Array]:
    """Return the codes of all training and test digits from the seed's autoencoder, which is trained only once."""
    data = nn.load_mnist()
    model = trained(data.X_train, 32, seed)
    return model.encode(data.X_train), model.encode(data.X_test)


def run() -> list[Row]:
    """Fill every cell with its seeds."""
    return sweep_cells(train, CELLS, store=STORE, setup=SETUP)


if __name__ == "__main__":
    run()
