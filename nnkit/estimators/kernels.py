"""Kernels, and the kernel matrix of a training set: whole where it fits, row by row where it does not."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nnkit.typing import Array

KERNELS = ("linear", "poly", "rbf")
BLOCK_BYTES = 2**22
"""How much of a kernel matrix is computed at a time: enough for a fast product, and not more than caches hold."""


@dataclass(frozen=True)
class Kernel:
    """A kernel with its parameters, to be called with two sets of points.

    Attributes
    ----------
    name : {"linear", "poly", "rbf"}
        ``x @ z``, ``(gamma * x @ z + coef0) ** degree`` or ``exp(-gamma * |x - z|**2)``.
    gamma, degree, coef0
        The numbers in these formulas.
    """

    name: str
    gamma: float = 1.0
    degree: int = 3
    coef0: float = 0.0

    def __call__(self, A: Array, B: Array) -> Array:
        """Return the kernel of each of `n` points with each of `m` others, shape (n, m), in the points' dtype."""
        middle = B.mean(axis=0) if len(B) else 0.0
        A, B = self.moved(A, middle), self.moved(B, middle)
        return self.of_products(A @ B.T, squared_lengths(A), squared_lengths(B))

    def moved(self, A: Array, middle: Array | float) -> Array:
        """Return the points with the origin in `middle`, where that does not change the kernel.

        Far from the origin, the digits of a distance would be lost in those of the squared lengths.
        """
        return A - middle if self.name == "rbf" else A

    def of_products(self, products: Array, lengths_A: Array, lengths_B: Array) -> Array:
        """Turn inner products of points into their kernel, in place, with the help of the points' squared lengths."""
        if self.name == "rbf":
            # -|a - b|^2 = 2 a.b - |a|^2 - |b|^2, which rounding must not leave above zero.
            products *= 2
            products -= lengths_A[:, None]
            products -= lengths_B
            np.minimum(products, 0, out=products)
            products *= self.gamma
            np.exp(products, out=products)
        elif self.name == "poly":
            products *= self.gamma
            products += self.coef0
            np.power(products, self.degree, out=products)
        return products

    def diagonal(self, A: Array) -> Array:
        """Return the kernel of each point with itself, shape (n,)."""
        if self.name == "rbf":
            return np.ones(len(A), A.dtype)
        lengths = squared_lengths(A)
        return self.of_products(lengths, lengths, lengths)


def squared_lengths(A: Array) -> Array:
    """Return the squared length of each row."""
    return np.einsum("ij,ij->i", A, A)


def blocks(n: int, row_bytes: int) -> Iterator[slice]:
    """Cut `n` rows into slices of about `BLOCK_BYTES`."""
    size = max(1, BLOCK_BYTES // max(1, row_bytes))
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def gram(kernel: Kernel, X: Array, max_bytes: float) -> Array | CachedRows:
    """Return the kernel of all pairs of points: the matrix if it fits, or rows that are computed when they are used.

    The matrix fits if `max_bytes` hold it and an eighth more, for the parts of it that `SMO.shrink` copies.
    """
    fits = 9 / 8 * len(X) ** 2 * X.itemsize <= max_bytes
    return kernel_matrix(kernel, X) if fits else CachedRows(kernel, X, max_bytes)


def kernel_matrix(kernel: Kernel, X: Array) -> Array:
    """Return the kernel of all pairs of points, shape (n, n): the blocks above the diagonal, mirrored."""
    n = len(X)
    X = kernel.moved(X, X.mean(axis=0))
    lengths = squared_lengths(X)
    K = np.empty((n, n), X.dtype)
    for rows in blocks(n, n * X.itemsize):
        right = slice(rows.start, n)
        block = np.matmul(X[rows], X[right].T, out=K[rows, right])
        kernel.of_products(block, lengths[rows], lengths[right])
        K[right, rows] = block.T
    np.fill_diagonal(K, kernel.diagonal(X))
    return K


class CachedRows:
    """A kernel matrix of which only the rows used last are kept; ``rows[i]`` and ``diagonal()`` are as of the matrix.

    Parameters
    ----------
    kernel : Kernel
        The kernel.
    X : ndarray, shape (n, n_features)
        The points.
    max_bytes : float
        How much memory the rows may take. Two are always kept, since SMO needs as many.
    """

    def __init__(self, kernel: Kernel, X: Array, max_bytes: float) -> None:
        self.kernel = kernel
        self.max_bytes = max_bytes
        self.max_rows = max(2, int(max_bytes // (len(X) * X.itemsize)))
        self._X = kernel.moved(X, X.mean(axis=0))
        self._lengths = squared_lengths(self._X)
        self._rows: OrderedDict[int, Array] = OrderedDict()

    def __getitem__(self, i: int) -> Array:
        if i in self._rows:
            self._rows.move_to_end(i)
            return self._rows[i]
        if len(self._rows) == self.max_rows:
            self._rows.popitem(last=False)
        here = slice(i, i + 1)
        row = self.kernel.of_products(self._X[here] @ self._X.T, self._lengths[here], self._lengths)[0]
        row[here] = self.kernel.diagonal(self._X[here])
        self._rows[i] = row
        return row

    def diagonal(self) -> Array:
        """Return the kernel of each point with itself, shape (n,)."""
        return self.kernel.diagonal(self._X)

    def part(self, points: Array) -> Array | CachedRows:
        """Return the kernel of some of the points, as `gram` does. The rows kept here make way for it."""
        self._rows.clear()
        return gram(self.kernel, self._X[points], self.max_bytes)
