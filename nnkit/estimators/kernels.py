"""Kernels, and the kernel matrix of a training set: whole if it fits into memory, row by row if it does not."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import gen_batches

from nnkit.typing import Array

KERNELS = ("linear", "poly", "rbf")
BLOCK_BYTES = 2**22
"""The part of a kernel matrix that is computed at a time: enough for a fast product, but within the caches."""


@dataclass(frozen=True)
class Kernel:
    """A kernel, to be called with points of shapes (n, d) and (m, d); returns shape (n, m) in their dtype.

    It is ``x @ z`` ("linear"), ``(gamma * x @ z + coef0) ** degree`` ("poly") or ``exp(-gamma * |x - z|**2)`` ("rbf").
    """

    name: str
    gamma: float = 1.0
    degree: int = 3
    coef0: float = 0.0

    def __call__(self, A: Array, B: Array) -> Array:
        middle = B.mean(axis=0) if len(B) else 0.0
        A, B = self.moved(A, middle), self.moved(B, middle)
        return self.of_products(A @ B.T, squared_lengths(A), squared_lengths(B))

    def moved(self, A: Array, middle: Array | float) -> Array:
        """Return the points with the origin in `middle`, if that does not change the kernel: rounding is less there."""
        return A - middle if self.name == "rbf" else A

    def of_products(self, products: Array, lengths_A: Array, lengths_B: Array) -> Array:
        """Turn inner products of points into their kernel, in place, with the points' squared lengths."""
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

    def diagonal(self, lengths: Array) -> Array:
        """Return the kernel of each point with itself, from the squared lengths."""
        return np.ones_like(lengths) if self.name == "rbf" else self.of_products(lengths.copy(), lengths, lengths)


def squared_lengths(A: Array, dtype: Any = None) -> Array:
    """Return the squared length of each row."""
    return np.einsum("ij,ij->i", A, A, dtype=dtype)


def blocks(n: int, row_bytes: int) -> Iterator[slice]:
    """Cut `n` rows into slices of about `BLOCK_BYTES`."""
    return gen_batches(n, max(1, BLOCK_BYTES // max(1, row_bytes)))


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
    np.fill_diagonal(K, kernel.diagonal(lengths))
    return K


class CachedRows:
    """A kernel matrix that keeps only its last used rows, in `max_bytes`, but at least the two that SMO needs."""

    def __init__(self, kernel: Kernel, X: Array, max_bytes: float) -> None:
        self.kernel, self.max_bytes = kernel, max_bytes
        self.max_rows = max(2, int(max_bytes // (len(X) * X.itemsize)))
        self.X = kernel.moved(X, X.mean(axis=0))
        self.lengths = squared_lengths(self.X)
        self.rows: OrderedDict[int, Array] = OrderedDict()

    def __getitem__(self, i: int) -> Array:
        if i in self.rows:
            self.rows.move_to_end(i)
            return self.rows[i]
        if len(self.rows) == self.max_rows:
            self.rows.popitem(last=False)
        products = self.X[i : i + 1] @ self.X.T
        row = self.kernel.of_products(products, self.lengths[i : i + 1], self.lengths)[0]
        row[i] = self.kernel.diagonal(self.lengths[i : i + 1])[0]
        self.rows[i] = row
        return row

    def diagonal(self) -> Array:
        """Return the kernel of each point with itself, shape (n,)."""
        return self.kernel.diagonal(self.lengths)


def part_of(K: Array | CachedRows, points: Array) -> Array | CachedRows:
    """Return the kernel of some of the points; the rows that are kept make way for it."""
    if isinstance(K, CachedRows):
        K.rows.clear()
        return gram(K.kernel, K.X[points], K.max_bytes)
    return K[np.ix_(points, points)]
