"""Chapter 13: how many labelled digits the neighbours need, by their 4-D codes, by four numbers of PCA, by pixels."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from sklearn.decomposition import PCA

import nnkit as nn
from book.experiments import _run
from book.experiments._mnist import N_VALIDATION, rounded
from book.experiments.latent_codes import predictions
from book.experiments.latent_maps import codes_of
from nnkit._checks import Array
from nnkit.sweep import Row, sweep

STORE = _run.RESULTS / "nearest_neighbours.jsonl"
SEEDS = range(10)
GRID = {"space": ["4-D code", "PCA, 4 numbers", "pixels"], "n": [100, 300, 1000, 3000, 10_000]}
SETUP = {
    "labelled": "n of the 60,000 training digits, drawn by the seed",
    "spaces": f"made without labels from all training digits but the last {N_VALIDATION}",
    "code": "by the weights latent_4",
}


def train(space: str, n: int, seed: int) -> dict[str, Any]:
    """Let the labelled digits vote on all test digits; return the accuracy by the number of neighbours, from 1 on."""
    data = nn.load_mnist()
    chosen = np.random.default_rng(seed).choice(len(data.X_train), n, replace=False)
    codes, queries = in_space(space, data.X_train[chosen]), in_space(space, data.X_test)
    right = predictions(codes, data.y_train[chosen], queries) == data.y_test[:, None]
    return {"accuracy": rounded(right.mean(axis=0))} | _run.ran()


def in_space(space: str, X: Array) -> Array:
    """Return pictures as the neighbours are to see them."""
    if space == "pixels":
        return X
    if space == "4-D code":
        return codes_of(X)
    return fitted_pca().transform(X).astype(np.float32)


@functools.cache
def fitted_pca() -> PCA:
    """Return PCA's four directions; each process finds them once."""
    return PCA(4, svd_solver="covariance_eigh").fit(nn.load_mnist().X_train[:-N_VALIDATION])


def run() -> list[Row]:
    """Measure every space with every number of digits, on the same draws."""
    data = nn.load_mnist()
    setup = SETUP | {"data": data.name, "data_sha256": _run.data_hash(data)}
    return sweep(train, GRID, SEEDS, store=STORE, setup=setup)


if __name__ == "__main__":
    run()
