"""Report A, figures 14 and 15: denoising autoencoders, compared with filters and noise-trained classifiers; 6 seeds.

Every method is measured on the same corrupted test digits: by the distance of its output from the clean images, and by
the accuracy on it of the classifier of figure 5, which was trained on clean digits. Further classifiers read the
corrupted digits as they are, to show what the reading owes to the number of training digits and of epochs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.decomposition import PCA

import nnkit as nn
from book.experiments.shared.autoencoders import errors_of, keep_weights
from book.experiments.shared.corruptions import CORRUPTIONS, FILTERS, Corruption, filtered
from book.experiments.shared.mnist import N_VALIDATION, network
from book.experiments.shared.runs import sweep_by_seed
from lab import provenance, results
from lab.answers import packed
from lab.sweep import Row
from nnkit.typing import Array

STORE = results.RESULTS / "denoising.jsonl"
SEEDS = range(6)
SIZES = [784, 256, 128, 64, 32]
SETUP = {
    "autoencoder": f"{'-'.join(map(str, SIZES))} and back, ReLU, kaiming_normal, BCE with logits",
    "autoencoder_training": "Adam, lr 0.002, cosine to 0 over 20 epochs, batch 256",
    "classifier": "784-64-32-10, ReLU, kaiming_uniform, Adam, lr 0.001, 20 epochs, batch 128",
    "validation": f"the last {N_VALIDATION} training digits; a filter's setting is chosen on the last 1,000 of them",
}

LEVELS: dict[str, list[float]] = {
    "Gaussian": [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0],
    "salt and pepper": [0, 0.1, 0.2, 0.3, 0.4, 0.5],
    "masking": [0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9],
}
"""The corruptions of the test digits, and their levels."""

AUTOENCODERS: dict[str, tuple[str, float, float] | None] = {
    "autoencoder, no noise": None,
    "autoencoder, sigma 0.2": ("Gaussian", 0.2, 0.2),
    "autoencoder, sigma 0 to 1": ("Gaussian", 0.0, 1.0),
    "autoencoder, salt and pepper": ("salt and pepper", 0.0, 0.5),
    "autoencoder, masking": ("masking", 0.0, 0.9),
}
"""The corruption that each autoencoder is trained on, and the bounds of the random level for each digit."""

CLASSIFIERS: dict[str, tuple[str, float, float]] = {
    "classifier, sigma 0.2": ("Gaussian", 0.2, 0.2),
    "classifier, sigma 0 to 1": ("Gaussian", 0.0, 1.0),
}
"""Classifiers that are trained on corrupted digits and need no denoising."""

METHODS = ["nothing", *FILTERS, *AUTOENCODERS, *CLASSIFIERS]

STRONG = ("Gaussian", 0.6, 0.6)
READERS: dict[str, tuple[int, int, tuple[str, float, float] | None]] = {
    f"reader, {n:,} digits, {epochs} epochs{', sigma 0.6' if noise else ''}": (n, epochs, noise)
    for n in (10_000, 60_000)
    for epochs, noise in ((6, None), (20, None), (20, STRONG))
}
"""Classifiers by their training: the first so many digits, so many epochs, and the corruption if there is any."""

COMPARED = (("Gaussian", 0), ("Gaussian", 0.2), ("Gaussian", 0.6), ("salt and pepper", 0.3))
"""The corruptions for which a row says which digits are right, as ``right, Gaussian 0.6``."""


def train(method: str, seed: int) -> dict[str, Any]:
    """Train what the method needs; return its error and the classifier's accuracy at all levels of all corruptions."""
    data = nn.load_mnist()
    result: dict[str, Any] = {}
    n, epochs, noise = READERS.get(method, (-N_VALIDATION, 20, CLASSIFIERS.get(method)))
    classifier = trained_classifier((data.X_train[:n], data.y_train[:n]), seed, epochs, noise)
    if method in AUTOENCODERS:
        model = trained_autoencoder(data, seed, AUTOENCODERS[method])
        if seed == 0 and method == "autoencoder, sigma 0.2":
            keep_weights("denoiser", model, method=method, seed=seed)
    pca = PCA(svd_solver="covariance_eigh").fit(data.X_train[:-N_VALIDATION]) if method == "PCA" else None
    for kind, levels in LEVELS.items():
        mse, accuracy, settings = [], [], []
        for i, level in enumerate(levels):
            corrupted = corrupt(data.X_test, kind, level, [seed, 1, i])
            if method in FILTERS:
                held_out = data.X_train[-1000:]
                settings.append(best_setting(method, held_out, corrupt(held_out, kind, level, [seed, 2, i]), pca))
                restored = filtered(method, corrupted, settings[-1], pca)
            else:
                restored = model.reconstruct(corrupted) if method in AUTOENCODERS else corrupted
            mse.append(float(f"{errors_of(restored, data.X_test).mean():.5g}"))
            right = nn.predicted_classes(nn.predict(classifier, restored)) == data.y_test
            accuracy.append(round(float(right.mean()), 4))
            if (kind, level) in COMPARED:
                result[f"right, {kind} {level:g}"] = packed(right)
        result[kind] = {"mse": mse, "accuracy": accuracy} | ({"settings": settings} if settings else {})
    return result | provenance.ran(__file__)


def corrupt(X: Array, kind: str, level: float, seed: list[int]) -> Array:
    """Return the images at this level of corruption, the same for every method."""
    return CORRUPTIONS[kind](X, level, np.random.default_rng(seed))


def best_setting(method: str, X: Array, corrupted: Array, pca: PCA) -> float:
    """Return the filter setting that brings the validation digits closest to the clean ones."""
    return min(FILTERS[method], key=lambda setting: errors_of(filtered(method, corrupted, setting, pca), X).mean())


def trained_classifier(
    digits: tuple[Array, Array], seed: int, epochs: int, noise: tuple[str, float, float] | None
) -> nn.Module:
    """Return the classifier of figure 5 after training on clean or corrupted digits."""
    rng = np.random.default_rng(seed)
    model = network([64, 32], rng)
    in_training = nn.Sequential(Corruption(*noise, rng), model) if noise else model
    optimizer = nn.Adam(model.parameters(), lr=0.001)
    nn.fit(in_training, nn.CrossEntropyLoss(), optimizer, *digits, epochs=epochs, batch_size=128, rng=rng)
    return model


def trained_autoencoder(data: nn.Dataset, seed: int, noise: tuple[str, float, float] | None) -> nn.Autoencoder:
    """Return the autoencoder after 20 epochs of mapping corrupted digits to clean ones."""
    rng = np.random.default_rng(seed)
    model = nn.Autoencoder.symmetric(SIZES, init="kaiming_normal", rng=rng, logits=True)
    optimizer = nn.Adam(model.parameters(), lr=0.002)
    X = data.X_train[:-N_VALIDATION]
    in_training = nn.Sequential(Corruption(*noise, rng), model) if noise else model
    nn.fit(
        in_training,
        nn.BCEWithLogitsLoss(),
        optimizer,
        X,
        X,
        epochs=20,
        batch_size=256,
        scheduler=nn.CosineLR(optimizer, 20),
        rng=rng,
    )
    return model


def run() -> list[Row]:
    """Measure every method with every seed, all first seeds first."""
    return sweep_by_seed(train, {"method": [*METHODS, *READERS]}, SEEDS, store=STORE, setup=SETUP)


if __name__ == "__main__":
    run()
