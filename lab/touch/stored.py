"""What the widgets show that was trained or measured before: networks of the book's experiments, and some test digits.

The networks are those whose weights the experiments keep in ``book/results/weights``. The digits are the first thirty
of each class among MNIST's test digits, so nobody chose them; ``python -m lab.touch.stored`` writes them again.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

import nnkit as nn
from lab.results import RESULTS
from nnkit.files import written_whole
from nnkit.typing import Array

DIGITS = RESULTS / "test_digits.npz"
"""Some of MNIST's test digits: ``pixels`` (uint8), ``labels``, and ``index``, their places among all 10,000."""

EACH = 30
"""How many there are of each class."""


def networks(name: str) -> dict[str, nn.Sequential]:
    """Return the networks that an experiment keeps under this name, by their role.

    Parameters
    ----------
    name : str
        Of a file in ``book/results/weights``: ``"mnist_classifier"`` (chapter 6) holds one, under ``""``;
        ``"autoencoder"`` (chapter 9) and ``"denoiser"`` (chapter 12) an ``"encoder"`` and a ``"decoder"``, and
        so does ``"latent_4"`` (chapter 11). A decoder returns logits.

    Returns
    -------
    dict of str to Sequential
        Linear layers in float64 with ReLU between them.
    """
    state = nn.load_checkpoint(RESULTS / "weights" / f"{name}.npz").states["model"]
    roles: dict[str, list[nn.Linear]] = {}
    for key, weight in state.items():
        prefix, _, kind = key.rpartition(".")
        if kind == "weight":
            layer = nn.Linear(*weight.shape, init="zeros", dtype=np.float64)
            assert layer.bias is not None
            layer.weight.data[:], layer.bias.data[:] = weight, state[f"{prefix}.bias"]
            role = prefix.partition(".")[0]
            roles.setdefault("" if role.isdigit() else role, []).append(layer)
    return {
        role: nn.Sequential(*[part for layer in layers for part in (layer, nn.ReLU())][:-1])
        for role, layers in roles.items()
    }


@cache
def digits() -> tuple[Array, Array, Array]:
    """Return the stored test digits: pixels (uint8, shape (300, 784)), labels, and places among all test digits."""
    with np.load(DIGITS, allow_pickle=False) as kept:
        return kept["pixels"], kept["labels"], kept["index"]


def sample(each: int, start: int = 0) -> Array:
    """Return which of the stored digits are the first of each class, `each` of them, after the first `start`."""
    labels = digits()[1]
    places = [np.flatnonzero(labels == digit)[start : start + each] for digit in range(10)]
    return np.sort(np.concatenate(places))


def keep(data: nn.Dataset, path: Path = DIGITS) -> Path:
    """Write the first test digits of each class to a file.

    Raises
    ------
    ValueError
        If the data are not MNIST.
    """
    if data.name != "mnist":
        raise ValueError(f"data must be MNIST; got {data.name!r}")
    first = [np.flatnonzero(data.y_test == digit)[:EACH] for digit in range(10)]
    index = np.sort(np.concatenate(first))
    pixels = np.rint(data.X_test[index] * 255).astype(np.uint8)
    with written_whole(path) as file:
        labels = data.y_test[index].astype(np.uint8)
        np.savez_compressed(file, pixels=pixels, labels=labels, index=index.astype(np.uint16))
    return path


if __name__ == "__main__":
    print(keep(nn.load_mnist()))
