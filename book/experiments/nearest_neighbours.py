"""Chapter 13: how many labelled digits nearest neighbours need, on 4-D codes, principal components and pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.decomposition import PCA

import nnkit as nn
from book.experiments.latent_codes import predictions
from book.experiments.latent_maps import codes_of
from book.experiments.shared.mnist import N_VALIDATION, rounded
from book.experiments.shared.runs import on_mnist
from lab import provenance, results
from lab.answers import packed
from lab.sweep import Row, sweep
from nnkit.typing import Array

STORE = results.RESULTS / "nearest_neighbours.jsonl"
SEEDS = range(10)
COMPONENTS = [4, 8, 16, 32]
"""The control: codes without a network, of the same size and of others."""

GRID = {
    "space": ["4-D code", "pixels", *(f"PCA {size}" for size in COMPONENTS)],
    "n": [100, 300, 1000, 3000, 10_000],
}
SETUP = {
    "labelled": "n of the 60,000 training digits, drawn by the seed",
    "code": f"by the weights latent_4, trained without labels on all training digits but the last {N_VALIDATION}",
    "PCA": "of the same pictures, likewise without labels",
}


def train(space: str, n: int, seed: int) -> dict[str, Any]:
    """Let the labelled digits vote on all test digits; return the accuracy by number of neighbours, starting at 1."""
    data = nn.load_mnist()
    chosen = np.random.default_rng(seed).choice(len(data.X_train), n, replace=False)
    X, queries = (encoded(space, Z, data) for Z in (data.X_train[chosen], data.X_test))
    right = predictions(X, data.y_train[chosen], queries) == data.y_test[:, None]
    # Which digits are right is kept for one neighbour, the number that the claims about few labels are made with.
    return {"accuracy": rounded(right.mean(axis=0)), "right": packed(right[:, 0]), **provenance.ran(__file__)}


def encoded(space: str, X: Array, data: nn.Dataset) -> Array:
    """Return images in one of the spaces."""
    if space == "pixels":
        return X
    if space == "4-D code":
        return codes_of(X)
    size = int(space.removeprefix("PCA "))
    pca = PCA(size, svd_solver="covariance_eigh").fit(data.X_train[:-N_VALIDATION])
    return pca.transform(X).astype(np.float32)


def run() -> list[Row]:
    """Measure every space with every number of digits, on the same random subsets."""
    setup = on_mnist(SETUP)
    return sweep(train, GRID, SEEDS, store=STORE, setup=setup)


if __name__ == "__main__":
    run()
