"""Three ways to corrupt images, and three classical filters to restore them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.ndimage import gaussian_filter, median_filter
from sklearn.decomposition import PCA

from nnkit.module import Module
from nnkit.typing import Array


def gaussian(X: Array, sigma: float, rng: np.random.Generator) -> Array:
    """Add normal noise with standard deviation `sigma` to every pixel; values may leave [0, 1]."""
    return X + np.float32(sigma) * rng.standard_normal(X.shape, dtype=np.float32)


def salt_and_pepper(X: Array, share: float, rng: np.random.Generator) -> Array:
    """Set a fraction of the pixels to white or black, with equal probability."""
    draw = rng.random(X.shape, dtype=np.float32)
    return np.where(draw < share / 2, np.float32(0), np.where(draw < share, np.float32(1), X))


def masking(X: Array, share: float, rng: np.random.Generator) -> Array:
    """Set a fraction of the pixels to black."""
    return np.where(rng.random(X.shape, dtype=np.float32) < share, np.float32(0), X)


CORRUPTIONS: dict[str, Callable[[Array, float, np.random.Generator], Array]] = {
    "Gaussian": gaussian,
    "salt and pepper": salt_and_pepper,
    "masking": masking,
}


class Corruption(Module):
    """Corrupt the input in training mode, each sample at a level drawn between two bounds; otherwise the identity."""

    def __init__(self, kind: str, low: float, high: float, rng: np.random.Generator) -> None:
        self.kind, self.low, self.high, self.rng = kind, low, high, rng

    def forward(self, x: Array) -> Array:
        if not self.training:
            return x
        level = self.rng.uniform(self.low, self.high, (len(x), 1)).astype(np.float32)
        return CORRUPTIONS[self.kind](x, level, self.rng)  # type: ignore[arg-type]

    def backward(self, grad: Array) -> Array:
        return grad


def _images(X: Array) -> Array:
    return X.reshape(-1, 28, 28)


def gaussian_blur(X: Array, width: float) -> Array:
    """Average each pixel with its neighbours, with Gaussian weights; the standard deviation is in pixels."""
    return gaussian_filter(_images(X), (0, width, width)).reshape(X.shape)


def median_blur(X: Array, size: int) -> Array:
    """Replace each pixel by the median of a square around it, `size` pixels wide."""
    return median_filter(_images(X), (1, size, size)).reshape(X.shape)


def pca_projection(X: Array, pca: PCA, n_components: int) -> Array:
    """Keep the first principal components of each image."""
    axes = pca.components_[:n_components]
    return ((X - pca.mean_) @ axes.T @ axes + pca.mean_).astype(X.dtype, copy=False)


FILTERS: dict[str, tuple[float, ...]] = {
    "Gaussian filter": (0, 0.4, 0.6, 0.8, 1.0, 1.2, 1.5, 2.0),
    "median filter": (1, 3, 5),
    "PCA": (5, 10, 15, 20, 30, 40, 60, 80, 120, 200, 400, 784),
}
"""Each filter's settings; the best one for each level is chosen on the validation digits."""


def filtered(name: str, X: Array, setting: float, pca: PCA) -> Array:
    """Return the images filtered by the filter of that name."""
    if name == "PCA":
        return pca_projection(X, pca, int(setting))
    return gaussian_blur(X, setting) if name == "Gaussian filter" else median_blur(X, int(setting))
