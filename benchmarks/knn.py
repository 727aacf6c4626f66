"""Nearest neighbours: nnkit's classifier and scikit-learn's, on the digits' pixels and on 4-D codes.

One call is `fit` plus `predict`, since a k-d tree does work in the former to save it in the latter. In four dimensions
the tree wins: its time is printed next to brute force, without a bound.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import nnkit as nn
from benchmarks import verdicts
from benchmarks.verdicts import Limit, Row
from nnkit.typing import Array

OWN, BRUTE, TREE = "nnkit", "scikit-learn brute", "scikit-learn k-d tree"
N_NEIGHBORS = 5

CASES: dict[str, tuple[int, tuple[str, ...]]] = {
    "784 pixels": (2000, (OWN, BRUTE)),
    "4-D code": (10_000, (OWN, BRUTE, TREE)),
}
"""By case: the number of queries, and the contestants. In 784 dimensions a tree visits every sample, and slowly."""

BOUNDS = {"784 pixels": {BRUTE: 1.3}, "4-D code": {BRUTE: 1.0}}


def contestants() -> dict[str, Callable[[], Any]]:
    """Return a factory for each contestant's classifier."""
    from sklearn.neighbors import KNeighborsClassifier

    return {
        OWN: partial(nn.KNeighborsClassifier, N_NEIGHBORS),
        BRUTE: partial(KNeighborsClassifier, N_NEIGHBORS, algorithm="brute"),
        TREE: partial(KNeighborsClassifier, N_NEIGHBORS, algorithm="kd_tree"),
    }


def coded(X: Array, X_test: Array) -> tuple[Array, Array]:
    """Return the 4-D codes of both, from a small autoencoder trained for two epochs."""
    transformer = nn.AutoencoderTransformer(4, (128, 64), max_epochs=2, random_state=0)
    return transformer.fit(X).transform(X), transformer.transform(X_test)


def measure(data: nn.Dataset, repeats: int, part: int = 1) -> list[Row]:
    """Return one row per case: its contestants measured in turn, on 1/`part` of samples and queries, on one thread."""
    rows = []
    makers = contestants()
    for case, (n_queries, names) in CASES.items():
        X, y = data.X_train[::part], data.y_train[::part]
        queries, answers = data.X_test[: n_queries // part], data.y_test[: n_queries // part]
        if case == "4-D code":
            X, queries = coded(X, queries)
        for name in names:
            makers[name]().fit(X[:2000], y[:2000]).predict(queries[:100])  # Warm up caches and allocators.
        seconds: dict[str, list[float]] = {name: [] for name in names}
        predicted = {}
        for _ in range(repeats):
            for name in names:
                started = time.perf_counter()
                predicted[name] = makers[name]().fit(X, y).predict(queries)
                seconds[name].append(float(f"{time.perf_counter() - started:.5g}"))
        rows.append(
            {
                "case": case,
                "n_neighbors": N_NEIGHBORS,
                "n_samples": len(X),
                "n_features": X.shape[1],
                "n_queries": len(queries),
                "threads": 1,
                "seconds": seconds,
                "accuracy": {name: round(float((found == answers).mean()), 4) for name, found in predicted.items()},
                "unlike_nnkit": {name: int((found != predicted[OWN]).sum()) for name, found in predicted.items()},
            }
        )
    return rows


def title(row: Row) -> str:
    """Return the title of a case."""
    return (
        f"{row['case']}, {row['n_samples']:,} samples, {row['n_queries']:,} queries, k {row['n_neighbors']}, 1 thread"
    )


def bounds(row: Row) -> list[Limit]:
    """Return the bounds that apply to a row."""
    return [Limit(name, limit, verdicts.ratio(row, name)) for name, limit in BOUNDS[row["case"]].items()]


def failed(rows: list[Row]) -> bool:
    """Return whether a bound is missed by the median and both quartiles."""
    return verdicts.failed(rows, bounds)


def conclusion(rows: list[Row]) -> list[str]:
    """Return a line for each bound."""
    return verdicts.conclusion(rows, title, bounds)


def table(rows: list[Row]) -> list[str]:
    """Return all times as one Markdown table, with accuracies and the number of predictions unlike nnkit's."""
    lines = [
        "| Case | Contestant | seconds (range) | ratio (quartiles) | accuracy | different from nnkit |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for row in rows:
        for name, times in row["seconds"].items():
            spread = f"{np.median(times):.2f} ({min(times):.2f} to {max(times):.2f})"
            compared = "" if name == OWN else str(verdicts.ratio(row, name))
            unlike = "" if name == OWN else f"{row['unlike_nnkit'][name]:,} of {row['n_queries']:,}"
            cells = [row["case"], name, spread, compared, f"{row['accuracy'][name]:.2%}", unlike]
            lines.append(f"| {' | '.join(cells)} |")
    return lines
