"""Computed evidence on the sources' contradictions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from book.replication.autoencoders import training
from book.replication.claim import outcome, said
from book.replication.xor import XOR


def _knn_counts() -> np.ndarray:
    return np.array([row[:4] for row in said("A.table_knn")["counts"]])


def _b_predictions() -> list[float]:
    return said("B.table4_to_6_xor")["predictions"]


EVIDENCE: dict[str, Callable[[], str]] = {
    "A.knn_accuracy": lambda: (
        f"{_knn_counts()[:, 0].sum() / 10_000:.2%} right; mean of ten "
        f"{(_knn_counts()[:, 0] + _knn_counts()[:, 3]).mean() / 10_000:.2%}"
    ),
    "A.distinct_clusters": lambda: f"{_knn_counts()[:, 1].sum() / 10_000:.0%} of its digits are classified as another",
    "A.smooth_transitions": lambda: outcome("A.fig13_interpolation.mixes").text,
    "B.all_components": lambda: outcome("B.design.components").text,
    "B.largest_error": lambda: (
        f"table 6 leaves at most {np.abs(np.array(_b_predictions()) - XOR).max():.4f}, and a loss "
        f"of {np.mean(np.square(np.array(_b_predictions()) - XOR)):.6f}"
    ),
    "B.initializer": lambda: "first epoch here: {:.4f} from the repository's weights, {:.4f} from Xavier's".format(
        *(np.median([run["loss"][0] for run in training()[kind]]) for kind in ("as run", "as stated"))
    ),
    "B.test_set": lambda: "of 100 digits, our error lies between {:.4f} and {:.4f}".format(
        *np.quantile([run["test"]["of_100"]["mse"] for run in training()["as run"]], [0.025, 0.975])
    ),
    "B.spread": lambda: f"the standard deviation is {0.005112 / 0.008067:.0%} of the mean",
    "B.strong_accuracy": lambda: f"{(1 - 0.752) / (1 - 0.925):.1f} times the errors",
    "B.svm_samples": lambda: f"ratios {2000 / 500:.0f} and {5000 / 3000:.1f}",
    "B.mse_against_itself": lambda: outcome("B.table3_mse.difference").text,
}
"""Computed evidence, by contradiction."""
