"""Report A, figures 12 and 13 and its table: codes of 2 to 32 numbers, classified by nearest neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.decomposition import PCA

import nnkit as nn
from book.experiments.autoencoder_grid import network
from book.experiments.shared.autoencoders import errors_of, keep_weights
from book.experiments.shared.corruptions import pca_projection
from book.experiments.shared.mnist import N_VALIDATION, rounded
from book.experiments.shared.runs import sweep_cells
from lab import provenance, results
from lab.answers import packed
from lab.sweep import Row
from nnkit.typing import Array

STORE = results.RESULTS / "latent_codes.jsonl"
LATENT = [4, 2, 8, 16, 32]
LARGEST_K = 25
SETUP = {
    "autoencoder": "the network of depth 5 of autoencoder_grid, trained with MSE as there",
    "neighbours": "the codes of all 60,000 training digits, queried with those of the test digits",
    "validation": f"the last {N_VALIDATION} training digits, kept out of the autoencoder's and PCA's training",
}


def train(method: str, latent: int, seed: int) -> dict[str, Any]:
    """Compute the codes; return their reconstruction error and what their nearest neighbours predict."""
    data = nn.load_mnist()
    X = data.X_train[:-N_VALIDATION]
    if method == "autoencoder":
        model = trained(X, latent, seed)
        if (latent, seed) == (4, 0):
            keep_weights("latent_4", model, latent=latent, depth=5, loss="MSE", seed=seed)
        codes, queries = model.encode(data.X_train), model.encode(data.X_test)
        reconstruction = model.reconstruct(data.X_test)
    elif method == "PCA":
        pca = PCA(latent, svd_solver="covariance_eigh").fit(X)
        codes, queries = (pca.transform(Z).astype(np.float32) for Z in (data.X_train, data.X_test))
        reconstruction = pca_projection(data.X_test, pca, latent)
    else:
        codes, queries, reconstruction = data.X_train, data.X_test, data.X_test
    predicted = predictions(codes, data.y_train, queries)
    return {
        "test_mse": float(f"{errors_of(reconstruction, data.X_test).mean():.6g}"),
        # By the number of neighbours, starting at 1.
        "accuracy": rounded((predicted == data.y_test[:, None]).mean(axis=0)),
        # With five neighbours, as what follows; row: true digit, column: prediction.
        "confusion": nn.confusion_matrix(data.y_test, predicted[:, 4], labels=range(10)).tolist(),
        "right": packed(predicted[:, 4] == data.y_test),
        **between_digits(codes, data.y_train),
        **provenance.ran(__file__),
    }


def trained(X: Array, latent: int, seed: int) -> nn.Autoencoder:
    """Return the autoencoder after 20 epochs."""
    rng = np.random.default_rng(seed)
    model = network(latent, 5, "MSE", rng)
    optimizer = nn.Adam(model.parameters(), lr=0.002)
    schedule = nn.CosineLR(optimizer, 20)
    nn.fit(model, nn.MSELoss(), optimizer, X, X, epochs=20, batch_size=256, scheduler=schedule, rng=rng)
    return model


def predictions(codes: Array, y: Array, queries: Array) -> Array:
    """Return the votes of 1, 2, ... `LARGEST_K` neighbours, shape (n, LARGEST_K); a tie goes to the nearest voter."""
    _, nearest = nn.KNeighborsClassifier(LARGEST_K).fit(codes, y).kneighbors(queries)
    is_class = y[nearest][:, :, None] == np.arange(10)
    votes = is_class.cumsum(axis=1)
    first_place = np.where(votes[:, -1] > 0, is_class.argmax(axis=1), LARGEST_K)
    return (votes - first_place[:, None] / (LARGEST_K + 1)).argmax(axis=2)


def between_digits(codes: Array, y: Array) -> dict[str, Any]:
    """Return the distances between the digits' mean codes, and the spread of each digit's codes around its mean."""
    centroids = np.array([codes[y == digit].mean(axis=0, dtype=np.float64) for digit in range(10)])
    distances = np.linalg.norm(centroids[:, None] - centroids[None], axis=2)
    spread = [np.sqrt(np.square(codes[y == digit] - centroids[digit]).sum(axis=1).mean()) for digit in range(10)]
    return {"centroid_distances": [rounded(row) for row in distances], "spread": rounded(spread)}


# Six networks of each size, and one run of each method without a seed.
CELLS: list[tuple[dict[str, Any], range]] = [
    *(({"method": "autoencoder", "latent": latent}, range(6)) for latent in LATENT),
    *(({"method": "PCA", "latent": latent}, range(1)) for latent in LATENT),
    ({"method": "pixels", "latent": 784}, range(1)),
]


def run() -> list[Row]:
    """Measure every cell with its seeds."""
    return sweep_cells(train, CELLS, store=STORE, setup=SETUP)


if __name__ == "__main__":
    run()
