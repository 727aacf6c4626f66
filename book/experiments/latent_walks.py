"""Report A, figure 13: what lies halfway between two digits, interpolated as codes, as PCA codes and as pixels."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
from sklearn.decomposition import PCA

import nnkit as nn
from book.experiments.latent_codes import trained
from book.experiments.latent_maps import kept_network
from book.experiments.shared.autoencoders import errors_of
from book.experiments.shared.mnist import N_VALIDATION, rounded
from book.experiments.shared.pictures import as_text, first_of_each
from book.experiments.shared.runs import on_mnist
from lab import provenance, results
from lab.sweep import Row, sweep
from nnkit.typing import Array

STORE = results.RESULTS / "latent_walks.jsonl"
N_PAIRS = 600
POSITIONS = (0, 0.25, 0.5, 0.75, 1)
SHOWN = ((4, 9), (3, 8), (0, 7))
"""The walks whose images are stored, between the first test digits of these classes."""

CELLS = [
    ([{"method": "autoencoder", "latent": 4}], range(6)),
    (
        [
            {"method": "PCA", "latent": 4},
            {"method": "PCA", "latent": 32},
            {"method": "pixels", "latent": 784},
        ],
        range(1),
    ),
]
SETUP = {
    "autoencoder": "the network of latent_codes; that of 4 numbers and seed 0 by its kept weights",
    "walks": f"{N_PAIRS} pairs of test digits of two classes, the same for every code",
    "positions": list(POSITIONS),
    "judge": "the 5 nearest of the 60,000 training digits, by the distance of pixels",
}


class Judge:
    """Tells which digit an image is nearest to, and how near."""

    def __init__(self, data: nn.Dataset) -> None:
        self.neighbours = nn.KNeighborsClassifier(5).fit(data.X_train, data.y_train)
        self.y = data.y_train

    def __call__(self, pictures: Array) -> tuple[Array, Array, Array]:
        """Return for each image the digit, its share of the votes, and the distance to the nearest digit."""
        distances, nearest = self.neighbours.kneighbors(np.clip(pictures, 0, 1).astype(np.float32))
        return *voted(self.y[nearest]), distances[:, 0]


def voted(labels: Array) -> tuple[Array, Array]:
    """Return the winner of each row of votes (nearest voter first) and its share; a tie goes to the nearest voter."""
    is_class = labels[:, :, None] == np.arange(10)
    nearer = 0.5 ** np.arange(labels.shape[1])[:, None]
    winner = (is_class * (1 + nearer / 100)).sum(axis=1).argmax(axis=1)
    return winner, (labels == winner[:, None]).mean(axis=1)


def pairs_of(y: Array) -> tuple[Array, Array]:
    """Return the indices of the first and the second digit of each pair."""
    first, second = np.random.default_rng(0).permutation(len(y))[: 3 * N_PAIRS].reshape(2, -1)
    two_classes = np.flatnonzero(y[first] != y[second])[:N_PAIRS]
    return first[two_classes], second[two_classes]


def greyness(pictures: Array) -> Array:
    """Return how much of each image's ink is grey: the sum of 4 p (1 - p) over its pixels, divided by the sum of p."""
    pictures = np.clip(pictures, 0, 1)
    return (4 * pictures * (1 - pictures)).sum(axis=1) / pictures.sum(axis=1)


def coder(method: str, latent: int, seed: int, X: Array) -> tuple[Any, Any]:
    """Return the functions from images to codes and back."""
    if method == "autoencoder":
        model = kept_network() if (latent, seed) == (4, 0) else trained(X, latent, seed)
        return model.encode, model.decode
    if method == "PCA":
        pca = PCA(latent, svd_solver="covariance_eigh").fit(X)
        return pca.transform, pca.inverse_transform
    return np.array, np.array


def train(method: str, latent: int, seed: int) -> dict[str, Any]:
    """Compute the codes; return what they predict, and the judge's verdict on the images between digits."""
    data = nn.load_mnist()
    judge = Judge(data)
    X, y = data.X_train[:-N_VALIDATION], data.y_test
    encode, decode = coder(method, latent, seed, X)
    codes, test_codes = encode(data.X_train), encode(data.X_test)
    centroids = np.array([codes[data.y_train == digit].mean(axis=0) for digit in range(10)])
    mixes = ((centroids[:, None] + centroids[None]) / 2).reshape(100, -1)
    pairs = pairs_of(y)
    first, second = (test_codes[index] for index in pairs)
    # One of the six nearest test digits is the digit itself.
    _, nearest = nn.KNeighborsClassifier(6).fit(test_codes, y).kneighbors(test_codes)
    others = np.array([row[row != i][:5] for i, row in enumerate(nearest)])
    row: dict[str, Any] = {
        "train_mse": float(f"{errors_of(decode(codes[: len(X)]), X).mean():.6g}"),
        "test_mse": float(f"{errors_of(decode(test_codes), data.X_test).mean():.6g}"),
        "leave_one_out": round(float((voted(y[others])[0] == y).mean()), 4),
        "mixes_read": judge(decode(mixes))[0].reshape(10, 10).tolist(),
        "walks": [],
    }
    for t in POSITIONS:
        pictures = decode((1 - t) * first + t * second)
        read, share, distance = judge(pictures)
        row["walks"].append(
            {
                "read": "".join(map(str, read)),
                "votes": rounded([share.mean()])[0],
                "nearest": [round(float(value), 2) for value in distance],
                "grey": [round(float(value), 2) for value in greyness(pictures)],
            }
        )
    if seed == 0:
        ten = test_codes[first_of_each(y)]
        t = np.linspace(0, 1, 9)[:, None]
        row["shown"] = as_text(np.concatenate([decode((1 - t) * ten[a] + t * ten[b]) for a, b in SHOWN]))
    if (method, latent, seed) == ("autoencoder", 4, 0):
        # What a page needs to walk with the stored weights.
        row |= {"centroids": [rounded(code) for code in centroids], "ten_codes": [rounded(code) for code in ten]}
        row |= {"mean": rounded(test_codes.mean(axis=0)), "std": rounded(test_codes.std(axis=0))}
    if method == "pixels":
        # The labels, so that the committed maps can be coloured without MNIST.
        row |= {"labels": labels_as_text(y), "pairs": ["".join(map(str, y[side])) for side in pairs]}
    return row | provenance.ran(__file__)


def labels_as_text(y: Array) -> str:
    """Return labels from 0 to 9 as one line of text."""
    return base64.b64encode(zlib.compress(y.astype(np.uint8).tobytes(), 9)).decode("ascii")


def labels_from_text(text: str) -> Array:
    """Return the labels that `labels_as_text` packed, int64, shape (n,)."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype=np.uint8).astype(np.int64)


def run() -> list[Row]:
    """Measure every code."""
    setup = on_mnist(SETUP)
    return [row for cells, seeds in CELLS for row in sweep(train, cells, seeds, store=STORE, setup=setup)]


if __name__ == "__main__":
    run()
