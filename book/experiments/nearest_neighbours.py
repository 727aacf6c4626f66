"""Chapter 13: how many labelled digits nearest neighbours need, on 4-D codes and on pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

import nnkit as nn
from book.experiments.latent_codes import predictions
from book.experiments.latent_maps import codes_of
from book.experiments.shared.mnist import N_VALIDATION, rounded
from book.experiments.shared.runs import on_mnist
from lab import provenance, results
from lab.sweep import Row, sweep

STORE = results.RESULTS / "nearest_neighbours.jsonl"
SEEDS = range(10)
GRID = {"space": ["4-D code", "pixels"], "n": [100, 300, 1000, 3000, 10_000]}
SETUP = {
    "labelled": "n of the 60,000 training digits, drawn by the seed",
    "code": f"by the weights latent_4, trained without labels on all training digits but the last {N_VALIDATION}",
}


def train(space: str, n: int, seed: int) -> dict[str, Any]:
    """Let the labelled digits vote on all test digits; return the accuracy by number of neighbours, starting at 1."""
    data = nn.load_mnist()
    chosen = np.random.default_rng(seed).choice(len(data.X_train), n, replace=False)
    X, queries = data.X_train[chosen], data.X_test
    if space == "4-D code":
        X, queries = codes_of(X), codes_of(queries)
    right = predictions(X, data.y_train[chosen], queries) == data.y_test[:, None]
    return {"accuracy": rounded(right.mean(axis=0))} | provenance.ran()


def run() -> list[Row]:
    """Measure every space with every number of digits, on the same random subsets."""
    setup = on_mnist(SETUP)
    return sweep(train, GRID, SEEDS, store=STORE, setup=setup)


if __name__ == "__main__":
    run()
