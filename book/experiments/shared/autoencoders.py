"""Shared by the autoencoder experiments: data splits, reconstruction errors, and stored weights."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

import nnkit as nn
from lab import provenance, results
from nnkit.activations import sigmoid
from nnkit.initializers import Initializer, kaiming_normal, xavier_normal
from nnkit.typing import Array

SIZES = [784, 256, 128, 64, 32]
"""The widths of report B's network, from the pixels to the code."""

WEIGHTS = results.RESULTS / "weights"
"""The trained networks that chapters load, small enough to commit."""

PARTIAL = results.RESULTS / "partial"
"""Checkpoints of long trainings, so that they can resume after an interruption; never committed."""


def pooled(data: nn.Dataset) -> tuple[Array, Array]:
    """Return all digits and their labels, the training digits first."""
    return np.concatenate([data.X_train, data.X_test]), np.concatenate([data.y_train, data.y_test])


def split_indices(y: Array) -> tuple[Array, Array, Array]:
    """Return the indices of training, validation and test digits among pooled ones, split as in report B's repository.

    A fifth is for the test, stratified by label; the first tenth of the rest is for validation. OpenML's `mnist_784`,
    which the repository loads, has the digits in the order of `pooled`.
    """
    rest, for_test = train_test_split(np.arange(len(y)), test_size=0.2, random_state=42, stratify=y)
    return rest[len(rest) // 10 :], rest[: len(rest) // 10], for_test


def as_in_the_repository(shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """Return He weights, but Xavier weights for the layer that draws the pixels: report B's repository starts so."""
    return (xavier_normal if shape[1] == 784 else kaiming_normal)(shape, rng)


STARTS: dict[str, Initializer] = {
    "as in the repository": as_in_the_repository,
    "Xavier": xavier_normal,
    "He": kaiming_normal,
}
"""How report B's network may start: as its repository does, as its text says, and as suits ReLU."""


def report_b_network(start: str, rng: np.random.Generator) -> nn.Autoencoder:
    """Return report B's network, 784-256-128-64-32 and back, with the first weights of that name."""
    return nn.Autoencoder.symmetric(SIZES, init=STARTS[start], rng=rng, logits=True)


def pixel_mse(target: Array, logits: Array) -> float:
    """Return the mean squared error of the pixels after the sigmoid."""
    return float(np.mean(np.square(sigmoid(logits) - target), dtype=np.float64))


def errors_of(reconstruction: Array, X: Array) -> Array:
    """Return each digit's mean squared error over its pixels, shape (n,)."""
    return np.mean(np.square(reconstruction - X), axis=1, dtype=np.float64)


def live_units(encoder: nn.Sequential, X: Array) -> list[int]:
    """Return for each layer of an encoder, the code last, how many of its units answer differently to some images.

    The others say nothing: a unit behind a ReLU may be zero for every image, and is then never trained again.
    """
    counts, H = [], X
    for i, module in enumerate(encoder, 1):
        H = nn.predict(module, H)
        if i == len(encoder) or not isinstance(module, nn.Linear):
            counts.append(int(np.count_nonzero(np.ptp(H, axis=0))))
    return counts


def keep_weights(name: str, model: nn.Module, **how: Any) -> Path:
    """Save a trained network in half precision: the file is small, and errors keep their first five digits."""
    WEIGHTS.mkdir(parents=True, exist_ok=True)
    path = WEIGHTS / f"{name}.npz"
    nn.save_checkpoint(path, copy.deepcopy(model).astype(np.float16), extra=how | provenance.ran())
    return path


def kept_network(name: str) -> nn.Autoencoder:
    """Return a network of report B's widths with stored weights."""
    model = report_b_network("Xavier", np.random.default_rng(0)).astype(np.float16)
    nn.load_checkpoint(WEIGHTS / f"{name}.npz").restore(model)
    return model.astype(np.float32)


def kept_encoder(seed: int) -> nn.Module:
    """Return the encoder of the network that was trained as report B's was, from this seed."""
    encoder = report_b_network("Xavier", np.random.default_rng(0)).encoder.astype(np.float16)
    nn.load_checkpoint(WEIGHTS / f"encoder_published_{seed}.npz").restore(encoder)
    return encoder.astype(np.float32)
