"""What the experiments on autoencoders share: how digits are split, how reconstructions are measured, what is kept."""

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
"""How source B divides all 70,000 digits: for training, validation and test."""

WEIGHTS = results.RESULTS / "weights"
"""The trained networks that chapters load, small enough to be committed."""

PARTIAL = results.RESULTS / "partial"
"""Where a long training is kept while it runs, so that it can go on after an interruption; never committed."""


def pooled(data: nn.Dataset) -> tuple[Array, Array]:
    """Return all digits and their labels, the training digits first."""
    return np.concatenate([data.X_train, data.X_test]), np.concatenate([data.y_train, data.y_test])


def split_indices(n: int) -> tuple[Array, Array, Array]:
    """Return which of `n` pooled digits are for training, validation and test, in the proportions of source B.

    The source does not say how it drew them; this is one shuffle, the same for every run.
    """
    order = np.random.default_rng(0).permutation(n)
    first, second = (round(n * sum(SPLIT[: i + 1]) / sum(SPLIT)) for i in range(2))
    return order[:first], order[first:second], order[second:]


def pixel_mse(target: Array, logits: Array) -> float:
    """Return the mean squared error of pixels, after the sigmoid."""
    return float(np.mean(np.square(sigmoid(logits) - target), dtype=np.float64))


def errors_of(reconstruction: Array, X: Array) -> Array:
    """Return each digit's mean squared error over its pixels, shape (n,)."""
    return np.mean(np.square(reconstruction - X), axis=1, dtype=np.float64)


def keep_weights(name: str, model: nn.Module, **how: Any) -> Path:
    """Write a trained network in half precision, which keeps the file small and changes no error's fifth digit."""
    WEIGHTS.mkdir(parents=True, exist_ok=True)
    path = WEIGHTS / f"{name}.npz"
    nn.save_checkpoint(path, copy.deepcopy(model).astype(np.float16), extra=how | provenance.ran())
    return path
