"""Shared by the autoencoder experiments: data splits, reconstruction errors, and stored weights."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np

import nnkit as nn
from lab import provenance, results
from nnkit.activations import sigmoid
from nnkit.typing import Array

SPLIT = (50_400, 5_600, 14_000)
"""Report B's split of all 70,000 digits into training, validation and test."""

WEIGHTS = results.RESULTS / "weights"
"""The trained networks that chapters load, small enough to commit."""

PARTIAL = results.RESULTS / "partial"
"""Checkpoints of long trainings, so that they can resume after an interruption; never committed."""


def pooled(data: nn.Dataset) -> tuple[Array, Array]:
    """Return all digits and their labels, the training digits first."""
    return np.concatenate([data.X_train, data.X_test]), np.concatenate([data.y_train, data.y_test])


def split_indices(n: int) -> tuple[Array, Array, Array]:
    """Return the indices of training, validation and test digits among `n` pooled ones, in report B's proportions.

    The source does not say how it split them; this is one shuffle, the same for every run.
    """
    order = np.random.default_rng(0).permutation(n)
    first, second = (round(n * sum(SPLIT[: i + 1]) / sum(SPLIT)) for i in range(2))
    return order[:first], order[first:second], order[second:]


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
