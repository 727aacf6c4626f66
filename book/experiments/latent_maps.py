"""Report A, figure 12: t-SNE of the 4-D codes of the 10,000 test digits, with several seeds and perplexities."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
from sklearn.manifold import TSNE, trustworthiness
from sklearn.neighbors import NearestNeighbors

import nnkit as nn
from book.experiments.autoencoder_grid import network
from book.experiments.latent_codes import between_digits
from book.experiments.shared.autoencoders import WEIGHTS
from book.experiments.shared.runs import sweep_cells
from lab import provenance, results
from lab.sweep import Row
from nnkit.typing import Array

STORE = results.RESULTS / "latent_maps.jsonl"
SETUP = {"codes": "of the test digits, by the weights latent_4", "init": "random", "iterations": 1000}
CELLS = [({"perplexity": 30}, range(3)), ({"perplexity": 5}, range(1)), ({"perplexity": 200}, range(1))]


def kept_network() -> nn.Autoencoder:
    """Return the network with a 4-D code whose weights are stored."""
    model = network(4, 5, "MSE", np.random.default_rng(0)).astype(np.float16)
    nn.load_checkpoint(WEIGHTS / "latent_4.npz").restore(model)
    return model.astype(np.float32)


def codes_of(X: Array) -> Array:
    """Return the network's 4-D codes of images."""
    return kept_network().encode(X)


def points_as_text(points: Array) -> str:
    """Return points in the plane, shape (n, 2), as one line of text: 16 bits per coordinate."""
    return base64.b64encode(zlib.compress(points.astype(np.float16).tobytes(), 9)).decode("ascii")


def points_from_text(text: str) -> Array:
    """Return the points that `points_as_text` packed, float32, shape (n, 2)."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype=np.float16).reshape(-1, 2).astype(np.float32)


def train(perplexity: int, seed: int) -> dict[str, Any]:
    """Compute one map; return its points and how well it preserves neighbours and distances between digits."""
    data = nn.load_mnist()
    codes = codes_of(data.X_test)
    tsne = TSNE(perplexity=perplexity, init="random", random_state=seed, n_jobs=1).fit(codes)
    points = tsne.embedding_.astype(np.float32)
    _, in_code = NearestNeighbors(n_neighbors=10).fit(codes).kneighbors()
    _, in_map = NearestNeighbors(n_neighbors=10).fit(points).kneighbors()
    kept = np.mean([len(np.intersect1d(a, b)) for a, b in zip(in_code, in_map, strict=True)]) / 10
    every = slice(None, None, 5)
    return {
        "kl_divergence": round(float(tsne.kl_divergence_), 5),
        "neighbours_kept": round(float(kept), 4),
        "trustworthiness": round(float(trustworthiness(codes[every], points[every], n_neighbors=10)), 4),
        "points": points_as_text(points),
        **between_digits(points, data.y_test),
        **provenance.ran(__file__),
    }


def run() -> list[Row]:
    """Draw every map."""
    return sweep_cells(train, CELLS, store=STORE, setup=SETUP)


if __name__ == "__main__":
    run()
