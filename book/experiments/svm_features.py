"""Report B, tables 9 and 10 and figures 9 to 11: SVMs on pixels and on codes, trained or untrained."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.decomposition import PCA

import nnkit as nn
from book.experiments.shared.autoencoders import kept_encoder, kept_network, pooled, report_b_network, split_indices
from book.experiments.shared.mnist import rounded
from book.experiments.shared.runs import sweep_cells
from lab import provenance, results
from lab.answers import packed
from lab.sweep import Row
from nnkit.typing import Array

STORE = results.RESULTS / "svm_features.jsonl"
SETUP = {
    "C": 10.0,
    "gamma": "scale",
    "multi_class": "one-vs-rest",
    "split": "that of autoencoder_training: tested on its 14,000; the seed draws which of its 50,400 are trained with",
}

FEATURES = {
    "trained": "the code of the better autoencoder of autoencoder_training",
    "trained as run": "the code of the network that autoencoder_training trained from this seed, as report B did",
    "untrained": "the code of that network as the seed draws it, with the weights of the repository, never trained",
    "untrained, ReLU on the code": "likewise, with a ReLU behind the code",
    "random projection": "32 random directions in the space of pixels, drawn by the seed",
    "PCA": "the first 32 principal components of the 50,400 digits",
    "pixels": "all 784 pixels",
}


def cell(features: str, n: int = 5000, *, kernel: str = "rbf", max_iter: int = -1) -> dict[str, Any]:
    """Return one cell of the grid."""
    return {"features": features, "n": n, "kernel": kernel, "max_iter": max_iter}


# Six draws of the training digits; twenty untrained encoders, except with the slow linear kernel.
CELLS: list[tuple[dict[str, Any], range]] = [
    (cell("trained"), range(6)),
    (cell("untrained"), range(20)),
    (cell("pixels", 3000), range(6)),
    (cell("pixels", 5000), range(6)),
    (cell("trained as run"), range(6)),
    (cell("untrained, ReLU on the code"), range(20)),
    (cell("random projection"), range(20)),
    (cell("PCA"), range(6)),
    (cell("trained", kernel="linear"), range(6)),
    (cell("untrained", kernel="linear"), range(6)),
    (cell("pixels", 3000, kernel="linear"), range(6)),
    # The report's iteration limit.
    (cell("trained", max_iter=2000), range(6)),
    (cell("untrained", max_iter=2000), range(20)),
    (cell("pixels", 3000, max_iter=2000), range(6)),
]


def train(features: str, n: int, kernel: str, max_iter: int, seed: int) -> dict[str, Any]:
    """Train once with `n` digits; return the results on the 14,000 test digits, and how much each feature varies."""
    X, y = pooled(nn.load_mnist())
    for_training, _, for_test = split_indices(y)
    chosen = np.random.default_rng([seed, 0]).permutation(for_training)[:n]
    codes = encoded(features, X, for_training, seed)
    machine = nn.SVC(SETUP["C"], kernel=kernel, gamma=SETUP["gamma"], max_iter=max_iter).fit(codes[chosen], y[chosen])
    predicted, true = machine.predict(codes[for_test]), y[for_test]
    means = np.array([codes[for_test][true == digit].mean(axis=0, dtype=np.float64) for digit in range(10)])
    between = means.var(axis=0)
    best = np.argsort(between)[::-1][:5]
    return {
        "accuracy": round(float(np.mean(predicted == true)), 5),
        "right": packed(predicted == true),
        "train_accuracy": round(float(np.mean(machine.predict(codes[chosen]) == y[chosen])), 5),
        # Row: true digit, column: prediction.
        "confusion": nn.confusion_matrix(true, predicted, labels=range(10)).tolist(),
        "n_support": len(machine.support_),
        "n_iter": machine.n_iter_.tolist(),
        "discriminative": {"feature": best.tolist(), "variance": rounded(between[best])},
        **provenance.ran(__file__),
    }


def encoded(features: str, X: Array, for_training: Array, seed: int) -> Array:
    """Return the features of all digits."""
    if features == "pixels":
        return X
    rng = np.random.default_rng([seed, 1])
    if features == "PCA":
        return PCA(32, svd_solver="covariance_eigh").fit(X[for_training]).transform(X).astype(np.float32)
    if features == "random projection":
        return X @ (rng.standard_normal((784, 32), dtype=np.float32) / np.float32(28))
    if features == "trained":
        return kept_network("autoencoder").encode(X)
    if features == "trained as run":
        return nn.predict(kept_encoder(seed), X)
    codes = report_b_network("as in the repository", rng).encode(X)
    return np.maximum(codes, 0) if "ReLU" in features else codes


def run() -> list[Row]:
    """Fill every cell with its seeds."""
    return sweep_cells(train, CELLS, store=STORE, setup=SETUP)


if __name__ == "__main__":
    run()
