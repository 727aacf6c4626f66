"""Report B, figure 8: the first two principal components of its 32-D code, compared with those of the pixels."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

import nnkit as nn
from book.experiments.latent_maps import points_as_text
from book.experiments.latent_walks import labels_as_text, voted
from book.experiments.shared.autoencoders import kept_encoder, kept_network, pooled, report_b_network, split_indices
from book.experiments.shared.mnist import rounded
from book.experiments.shared.runs import on_mnist
from lab import provenance, results
from lab.sweep import Row, sweep
from nnkit.typing import Array

STORE = results.RESULTS / "latent_pca.jsonl"
CELLS = [
    ([{"space": "never trained"}], range(20)),
    ([{"space": "trained as run"}], range(6)),
    ([{"space": "autoencoder"}, {"space": "pixels"}], range(1)),
]
K = 10
N_TEST = 5000
N_SHOWN = 2500
SETUP = {
    "autoencoder, trained as run": "the networks that autoencoder_training kept",
    "never trained": "report B's encoder as the seed draws it, with the weights of its repository",
    "plane": "the first two components of the codes of the training digits",
    "neighbours": f"the {K} nearest of the other digits",
    "digits": f"the first {N_TEST} test digits of report B's split",
}


def encoder_of(space: str, seed: int) -> Callable[[Array], Array]:
    """Return the function that maps digits into a space."""
    if space == "pixels":
        return np.array
    if space == "autoencoder":
        return kept_network(space).encode
    if space == "trained as run":
        return partial(nn.predict, kept_encoder(seed))
    return report_b_network("as in the repository", np.random.default_rng([seed, 1])).encode


def neighbour_table(points: Array, y: Array) -> tuple[Array, float]:
    """Return which digits are neighbours, and how often the neighbours' vote is right.

    The table has a row for each digit: the shares of the ten digits among its samples' neighbours.
    """
    _, nearest = NearestNeighbors(n_neighbors=K).fit(points).kneighbors()
    labels = y[nearest]
    counts = (labels[:, :, None] == np.arange(10)).sum(axis=1)
    table = np.array([counts[y == digit].mean(axis=0) / K for digit in range(10)])
    return table, float((voted(labels)[0] == y).mean())


def train(space: str, seed: int) -> dict[str, Any]:
    """Find the principal plane of one space; return how much variance and which neighbours it preserves."""
    X, y = pooled(nn.load_mnist())
    for_training, _, for_test = split_indices(y)
    encode = encoder_of(space, seed)
    test_codes, y_test = encode(X[for_test[:N_TEST]]), y[for_test[:N_TEST]]
    pca = PCA(svd_solver="covariance_eigh").fit(encode(X[for_training]))
    points = pca.transform(test_codes)[:, :2].astype(np.float32)
    in_plane, right_in_plane = neighbour_table(points, y_test)
    in_code, right_in_code = neighbour_table(test_codes, y_test)
    centres = np.array([points[y_test == digit].mean(axis=0, dtype=np.float64) for digit in range(10)])
    drawn = (
        {"points": points_as_text(points[:N_SHOWN]), "labels": labels_as_text(y_test[:N_SHOWN])} if seed == 0 else {}
    )
    return {
        "explained": rounded(pca.explained_variance_ratio_[:32]),
        # A row for each digit: the shares of the ten digits among the neighbours of its samples.
        "in_plane": [rounded(row) for row in in_plane],
        "in_code": [rounded(row) for row in in_code],
        "right_in_plane": round(right_in_plane, 4),
        "right_in_code": round(right_in_code, 4),
        # In the plane: the middle of each digit's points, and the root of their mean squared distance from it.
        "centres": [rounded(centre) for centre in centres],
        "spread": rounded(spreads(points, y_test, centres)),
        **drawn,
        **provenance.ran(__file__),
    }


def spreads(points: Array, y: Array, centres: Array) -> Array:
    """Return how far the points of each digit lie from their middle, as the root of the mean square, shape (10,)."""
    squares = np.square(points - centres[y]).sum(axis=1)
    return np.sqrt([squares[y == digit].mean() for digit in range(10)])


def run() -> list[Row]:
    """Measure every space."""
    setup = on_mnist(SETUP)
    return [row for cells, seeds in CELLS for row in sweep(train, cells, seeds, store=STORE, setup=setup)]


if __name__ == "__main__":
    run()
