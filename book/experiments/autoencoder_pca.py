"""The test error of PCA with every number of components, to compare with autoencoders."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.decomposition import PCA

import nnkit as nn
from book.experiments.shared.autoencoders import pooled, split_indices
from book.experiments.shared.mnist import N_VALIDATION, rounded
from book.experiments.shared.runs import record

SETUP = {
    "splits": f"report B's; the training digits without the last {N_VALIDATION}; all training digits",
    "method": "PCA of the training pixels, centred on their mean; mean squared error a pixel on the test digits",
}


def test_errors(X: np.ndarray, X_test: np.ndarray) -> np.ndarray:
    """Return the mean squared error per pixel with 0, 1, 2, ... components, shape (d + 1,).

    The error of a projection is the squared length of what it omits, so one set of coordinates gives every size.
    """
    pca = PCA(svd_solver="covariance_eigh").fit(X.astype(np.float64))
    squares = np.square(pca.transform(X_test)).mean(axis=0)
    total = np.square(X_test - pca.mean_).sum(axis=1).mean()
    return np.maximum(total - np.concatenate([[0.0], np.cumsum(squares)]), 0) / X.shape[1]


def run() -> list[dict[str, Any]]:
    """Measure each split."""
    data = nn.load_mnist()
    X, y = pooled(data)
    for_training, _, for_test = split_indices(y)
    splits = {
        "report B": (X[for_training], X[for_test]),
        "without validation digits": (data.X_train[:-N_VALIDATION], data.X_test),
        "all training digits": (data.X_train, data.X_test),
    }
    # Nothing is random; the seed is that of the split.
    return [{"seed": 0, "split": name, "test_mse": rounded(test_errors(*parts))} for name, parts in splits.items()]


if __name__ == "__main__":
    record("autoencoder_pca", run, setup=SETUP, data=nn.load_mnist())
