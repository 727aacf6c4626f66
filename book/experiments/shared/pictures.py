"""Images in a JSON-lines store: eight bits per pixel, packed as text."""

from __future__ import annotations

import base64
import zlib

import numpy as np

from nnkit.typing import Array


def as_text(pictures: Array) -> str:
    """Return images with values in [0, 1], shape (n, 784), as one line of text."""
    pixels = np.rint(np.clip(pictures, 0, 1) * 255).astype(np.uint8)
    return base64.b64encode(zlib.compress(pixels.tobytes(), 9)).decode("ascii")


def from_text(text: str) -> Array:
    """Return the images that `as_text` packed, float32 in [0, 1], shape (n, 784)."""
    pixels = np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype=np.uint8)
    return pixels.reshape(-1, 784).astype(np.float32) / 255


def first_of_each(y: Array) -> Array:
    """Return the index of the first sample of each of the ten classes, shape (10,)."""
    return np.array([np.flatnonzero(y == digit)[0] for digit in range(10)])
