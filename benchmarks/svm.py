"""Support vector machines: nnkit's and scikit-learn's LIBSVM, on the pixels of 5,000 digits and on 32-D codes.

Both multi-class strategies are timed, with `fit` and `predict` separate. scikit-learn's one-vs-rest is
`OneVsRestClassifier` around its `SVC`. One-vs-one on codes, where LIBSVM computes little and NumPy is called often, has
no bound.
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

OWN, PEER = "nnkit", "scikit-learn"
N_SAMPLES, N_QUERIES, C = 5000, 10_000, 10.0
CASES = ("784 pixels", "32-D code")
STRATEGIES = {"ovr": "one-vs-rest", "ovo": "one-vs-one"}
PHASES = ("fit", "predict")

BOUNDS = {
    ("784 pixels", "ovr", "fit"): 5.0,
    ("784 pixels", "ovr", "predict"): 8.0,
    ("784 pixels", "ovo", "fit"): 1.2,
    ("784 pixels", "ovo", "predict"): 8.0,
    ("32-D code", "ovr", "fit"): 1.0,
    ("32-D code", "ovr", "predict"): 2.0,
}


def contestants(strategy: str) -> dict[str, Callable[[], Any]]:
    """Return a factory for each contestant's classifier."""
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.svm import SVC

    peer = partial(SVC, C=C)
    return {
        OWN: partial(nn.SVC, C=C, multi_class=strategy),
        PEER: (lambda: OneVsRestClassifier(peer())) if strategy == "ovr" else peer,
    }


def coded(X: Array, *others: Array) -> list[Array]:
    """Return the 32-D codes of the other arrays, from an autoencoder trained on `X` for two epochs."""
    transformer = nn.AutoencoderTransformer(32, max_epochs=2, random_state=0).fit(X)
    return [transformer.transform(other) for other in others]


def measure(data: nn.Dataset, repeats: int, part: int = 1) -> list[Row]:
    """Return one row per case, strategy and phase, measured in turn on 1/`part` of the data, on one thread."""
    n, n_queries = N_SAMPLES // part, N_QUERIES // part
    X, y, queries, answers = data.X_train[:n], data.y_train[:n], data.X_test[:n_queries], data.y_test[:n_queries]
    rows = []
    for case in CASES:
        if case == "32-D code":
            X, queries = coded(data.X_train, X, queries)
        for strategy in STRATEGIES:
            rows += _compared(contestants(strategy), X, y, queries, answers, repeats, case=case, strategy=strategy)
    return rows


def _compared(
    makers: dict[str, Callable[[], Any]], X: Array, y: Array, queries: Array, answers: Array, repeats: int, **named: str
) -> list[Row]:
    for make in makers.values():
        make().fit(X[:500], y[:500]).predict(queries[:100])  # Warm up caches and allocators.
    seconds: dict[str, dict[str, list[float]]] = {phase: {name: [] for name in makers} for phase in PHASES}
    predicted = {}
    for _ in range(repeats):
        for name, make in makers.items():
            classifier = make()
            started = time.perf_counter()
            classifier.fit(X, y)
            fitted = time.perf_counter()
            predicted[name] = classifier.predict(queries)
            for phase, taken in zip(PHASES, (fitted - started, time.perf_counter() - fitted), strict=True):
                seconds[phase][name].append(float(f"{taken:.5g}"))
    about = {
        **named,
        "C": C,
        "n_samples": len(X),
        "n_features": X.shape[1],
        "n_queries": len(queries),
        "threads": 1,
        "accuracy": {name: round(float((found == answers).mean()), 4) for name, found in predicted.items()},
        "unlike_nnkit": {name: int((found != predicted[OWN]).sum()) for name, found in predicted.items()},
    }
    return [{**about, "phase": phase, "seconds": seconds[phase]} for phase in PHASES]


def title(row: Row) -> str:
    """Return the title of a row."""
    amount = f"fit {row['n_samples']:,} samples" if row["phase"] == "fit" else f"predict {row['n_queries']:,} samples"
    return f"{row['case']}, {STRATEGIES[row['strategy']]}, {amount}, RBF, C {row['C']:g}, 1 thread"


def bounds(row: Row) -> list[Limit]:
    """Return the bound that applies to a row, if any."""
    limit = BOUNDS.get((row["case"], row["strategy"], row["phase"]))
    return [] if limit is None else [Limit(PEER, limit, verdicts.ratio(row, PEER))]


def failed(rows: list[Row]) -> bool:
    """Return whether a bound is missed by the median and both quartiles."""
    return verdicts.failed(rows, bounds)


def conclusion(rows: list[Row]) -> list[str]:
    """Return a line for each bound."""
    return verdicts.conclusion(rows, title, bounds)


def table(rows: list[Row]) -> list[str]:
    """Return all times as one Markdown table, with accuracies and the number of predictions unlike nnkit's."""
    lines = [
        "| Case | Strategy | Phase | nnkit, seconds (range) | scikit-learn, seconds (range) | ratio (quartiles) | "
        "accuracy | different |",
        "|---|---|---|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        spreads = [f"{np.median(t):.2f} ({min(t):.2f} to {max(t):.2f})" for t in row["seconds"].values()]
        right = " and ".join(f"{row['accuracy'][name]:.2%}" for name in row["seconds"])
        unlike = f"{row['unlike_nnkit'][PEER]:,} of {row['n_queries']:,}"
        cells = [row["case"], STRATEGIES[row["strategy"]], row["phase"], *spreads, str(verdicts.ratio(row, PEER))]
        lines.append(f"| {' | '.join([*cells, right, unlike])} |")
    return lines
