"""Report B, tables 9 and 10, as computed by a script in its repository: features are standardized before the SVM."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import nnkit as nn
from book.experiments.autoencoder_training import SIZES
from book.experiments.shared.autoencoders import pooled, split_indices
from book.experiments.shared.mnist import rounded
from book.experiments.shared.runs import sweep_cells
from book.experiments.svm_features import encoded
from lab import provenance, results
from lab.sweep import Row
from nnkit.typing import Array

STORE = results.RESULTS / "svm_standardized.jsonl"
SETUP = {
    "kernel": "rbf",
    "gamma": "scale",
    "multi_class": "one-vs-rest",
    "split": "that of svm_features",
    "untrained": "Kaiming weights, as in the repository; from the numbers that svm_features draws for Xavier's",
}


def cell(features: str, n: int = 5000, C: float = 10.0) -> dict[str, Any]:
    """Return one cell of the grid."""
    return {"features": features, "n": n, "C": C}


CELLS: list[tuple[dict[str, Any], range]] = [
    (cell("untrained"), range(20)),
    (cell("trained"), range(5)),
    (cell("pixels", 3000, 1.0), range(5)),
]


def train(features: str, n: int, C: float, seed: int) -> dict[str, Any]:
    """Train once with `n` digits; return the results on 14,000 test digits, and the features' unscaled spread."""
    X, y = pooled(nn.load_mnist())
    for_training, _, for_test = split_indices(len(X))
    chosen = np.random.default_rng([seed, 0]).permutation(for_training)[:n]
    codes = kaiming_codes(X, seed) if features == "untrained" else encoded(features, X, for_training, seed)
    machine = make_pipeline(StandardScaler(), nn.SVC(C)).fit(codes[chosen], y[chosen])
    predicted, true = machine.predict(codes[for_test]), y[for_test]
    means = np.array([codes[for_test][true == digit].mean(axis=0, dtype=np.float64) for digit in range(10)])
    return {
        "accuracy": round(float(np.mean(predicted == true)), 5),
        # Row: true digit, column: prediction.
        "confusion": nn.confusion_matrix(true, predicted, labels=range(10)).tolist(),
        "std": float(f"{codes[for_training].std(dtype=np.float64):.5g}"),
        "range": rounded([codes[for_training].min(), codes[for_training].max()]),
        "variance": rounded(np.sort(means.var(axis=0))[::-1][:5]),
        **provenance.ran(),
    }


def kaiming_codes(X: Array, seed: int) -> Array:
    """Return the codes of an encoder that was never trained."""
    rng = np.random.default_rng([seed, 1])
    return nn.Autoencoder.symmetric(SIZES, init="kaiming_normal", rng=rng, logits=True).encode(X)


def run() -> list[Row]:
    """Fill every cell with its seeds."""
    return sweep_cells(train, CELLS, store=STORE, setup=SETUP)


if __name__ == "__main__":
    run()
