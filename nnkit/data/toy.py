"""Small problems that are drawn on the spot."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from nnkit.checks import finite_array, generator, number, whole_number
from nnkit.typing import Array

Seed = np.random.Generator | int | None


def make_linear(
    n: int = 100, *, slope: float = 2.0, intercept: float = -1.0, noise: float = 0.5, rng: Seed = None
) -> tuple[Array, Array]:
    """Draw `n` points around a line: x uniform in [-2, 2], y = slope x + intercept + normal noise.

    `noise` is its standard deviation, and `X` and `y` are float32, shape (n, 1).
    """
    n, noise = whole_number("n", n, least=1), number("noise", noise, least=0)
    slope, intercept = number("slope", slope), number("intercept", intercept)
    rng = generator("rng", rng)
    X = rng.uniform(-2, 2, (n, 1))
    y = slope * X + intercept + rng.normal(0, noise, (n, 1))
    return X.astype(np.float32), y.astype(np.float32)


def make_blobs(
    n: int = 200, *, centers: ArrayLike = ((-1.5, -1.0), (1.5, 1.0)), spread: float = 0.8, rng: Seed = None
) -> tuple[Array, Array]:
    """Draw `n` points from normal clouds, one for each class, of equal shares.

    `centers`, shape (k, d), holds the mean of each cloud, and `spread` is the standard deviation in each direction. `X`
    is float32, shape (n, d), and `y` int64, shape (n,).
    """
    n, spread = whole_number("n", n, least=1), number("spread", spread, least=0)
    rng = generator("rng", rng)
    middles = finite_array("centers", centers, np.float64)
    if middles.ndim != 2 or middles.size == 0:
        raise ValueError(f"centers must have shape (k, d), at least (1, 1); got {middles.shape}")
    y = rng.permutation(np.arange(n) % len(middles))
    X = middles[y] + rng.normal(0, spread, (n, middles.shape[1]))
    return X.astype(np.float32), y.astype(np.int64)


def make_xor(n: int | None = None, *, margin: float = 0.0, rng: Seed = None) -> tuple[Array, Array]:
    """Return the truth table of XOR, or draw points in four quadrants, where opposite quadrants share a class.

    With `n`, that many points in [-1, 1] x [-1, 1] are drawn, at least `margin` from either axis, with class 1 where
    the signs differ. `X` is float32, shape (n, 2), and `y` int64, shape (n,).
    """
    if n is None:
        corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32)
        return corners, np.array([0, 1, 1, 0], dtype=np.int64)
    n, margin = whole_number("n", n, least=1), number("margin", margin, least=0, below=1)
    rng = generator("rng", rng)
    X = rng.uniform(margin, 1, (n, 2)) * rng.choice([-1, 1], (n, 2))
    return X.astype(np.float32), ((X[:, 0] > 0) != (X[:, 1] > 0)).astype(np.int64)


def make_moons(n: int = 200, *, noise: float = 0.1, rng: Seed = None) -> tuple[Array, Array]:
    """Draw `n` points on two interleaved half circles, one for each class, of equal shares.

    `noise` is the standard deviation in each direction. `X` is float32, shape (n, 2), and `y` int64, shape (n,).
    """
    n, noise = whole_number("n", n, least=1), number("noise", noise, least=0)
    rng = generator("rng", rng)
    y = rng.permutation(np.arange(n) % 2)
    angle = rng.uniform(0, np.pi, n)
    upper = np.column_stack([np.cos(angle), np.sin(angle)])
    X = np.where(y[:, None] == 0, upper, [1.0, 0.5] - upper) + rng.normal(0, noise, (n, 2))
    return X.astype(np.float32), y.astype(np.int64)
