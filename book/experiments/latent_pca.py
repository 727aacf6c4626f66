"""Source B, figure 8: the first two components of its 32-D code, beside those of the pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

import nnkit as nn
from book.experiments import _run
from book.experiments._autoencoder import WEIGHTS, pooled, split_indices
from book.experiments._mnist import rounded
from book.experiments.autoencoder_training import SIZES
from book.experiments.latent_maps import points_as_text
from book.experiments.latent_walks import labels_as_text, voted
from nnkit._checks import Array

SPACES = ("autoencoder_published", "autoencoder", "PCA 32", "pixels")
K = 10
N_SHOWN = 2500
SETUP = {
    "autoencoder_published, autoencoder": "the kept weights of autoencoder_training, seed 0",
    "PCA 32": "the first 32 components of the pixels of the training digits",
    "plane": "the first two components of the codes of the training digits",
    "neighbours": f"the {K} nearest other test digits",
    "digits": "the 14,000 test digits of source B's split",
}


def coder(name: str, X: Array) -> Any:
    """Return the function from pictures to codes."""
    if name.startswith("autoencoder"):
        model = nn.Autoencoder.symmetric(SIZES, rng=0, logits=True).astype(np.float16)
        nn.load_checkpoint(WEIGHTS / f"{name}.npz").restore(model)
        return model.astype(np.float32).encode
    return PCA(32, svd_solver="covariance_eigh").fit(X).transform if name == "PCA 32" else np.array


def neighbour_table(points: Array, y: Array) -> tuple[Array, float]:
    """Return who lives beside whom, and how often the neighbours' vote is right.

    The table has a row for each digit: the shares of the ten digits among the neighbours of its samples.
    """
    _, nearest = NearestNeighbors(n_neighbors=K).fit(points).kneighbors()
    labels = y[nearest]
    counts = (labels[:, :, None] == np.arange(10)).sum(axis=1)
    table = np.array([counts[y == digit].mean(axis=0) / K for digit in range(10)])
    return table, float((voted(labels)[0] == y).mean())


def run() -> list[dict[str, Any]]:
    """Measure every space."""
    data = nn.load_mnist()
    X, y = pooled(data)
    for_training, _, for_test = split_indices(len(X))
    y_test = y[for_test]
    rows = []
    for name in SPACES:
        encode = coder(name, X[for_training])
        codes, test_codes = encode(X[for_training]), encode(X[for_test])
        pca = PCA(svd_solver="covariance_eigh").fit(codes)
        points = pca.transform(test_codes)[:, :2].astype(np.float32)
        in_plane, right_in_plane = neighbour_table(points, y_test)
        in_code, right_in_code = neighbour_table(test_codes, y_test)
        rows.append(
            {
                "seed": 0,
                "space": name,
                "explained": rounded(pca.explained_variance_ratio_[:32]),
                "in_plane": [rounded(row) for row in in_plane],
                "in_code": [rounded(row) for row in in_code],
                "right_in_plane": round(right_in_plane, 4),
                "right_in_code": round(right_in_code, 4),
                "points": points_as_text(points[:N_SHOWN]),
                "labels": labels_as_text(y_test[:N_SHOWN]),
            }
        )
    return rows


if __name__ == "__main__":
    _run.record("latent_pca", run, setup=SETUP, data=nn.load_mnist())
