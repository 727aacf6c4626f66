"""Sequential minimal optimization: the dual problem of a support vector machine, solved two coefficients at a time.

With labels ``y`` of -1 and 1, multipliers ``alpha`` and ``coef = y * alpha``, the dual problem is to maximize::

    y @ coef - coef @ K @ coef / 2    with  sum(coef) == 0  and every  0 <= y * coef <= C

A step raises one coefficient and lowers another by as much, which keeps the sum. That gains as long as the one that may
rise has the greater slope, ``y - K @ coef``. If there is no such pair, the solution is found.
"""

from __future__ import annotations

import numpy as np

from nnkit.estimators.kernels import CachedRows, part_of
from nnkit.typing import Array

TAU = 1e-12
"""The least curvature. Between duplicates it is zero, and rounding can make it negative."""

SHRINK_EVERY, FEW = 200, 500
"""The number of steps between attempts to shrink the problem, and the size up to which that never pays."""

PATIENCE, TOGETHER = 10, 100
"""Pairs count as too slow after `PATIENCE` steps a sample; then up to `TOGETHER` coefficients move at once."""


class SMO:
    """A dual problem on its way to the solution: `solve` goes there, `select` and `move` take one step.

    Parameters
    ----------
    K : ndarray or CachedRows, shape (n, n)
        The kernel matrix: ``K[i]`` is a row, ``K.diagonal()`` the diagonal.
    y : ndarray, shape (n,)
        The labels, -1 or 1, some of each.
    C : float or ndarray, shape (n,)
        The upper bound of the multipliers, one for all or one for each.

    Attributes
    ----------
    coef : ndarray of float64, shape (n,)
        The multipliers with the signs of their labels.
    up, low : ndarray of float64, shape (n,)
        The slopes of the coefficients that may rise, -inf for the others; of those that may fall, inf for the others.
    n_iter : int
        The number of steps; one that moves many coefficients together counts once for each.

    Notes
    -----
    With a nearly singular kernel matrix, pairs zigzag for millions of steps. After `PATIENCE`, Newton's steps of the
    coefficients between their bounds therefore follow each step of a pair: the active set method.

    References
    ----------
    Platt (1998): the step. Keerthi et al. (2001): `up`, `low` and the gap. Fan, Chen and Lin (2005): the pair. Chang
    and Lin, "LIBSVM" (2011): the least curvature, the bias, and shrinking, after Joachims (1998). Scheinberg, "An
    efficient implementation of an active set method for SVMs" (2006): the free coefficients together.
    """

    def __init__(self, K: Array | CachedRows, y: Array, C: float | Array) -> None:
        self.K = K
        self.y, C = np.asarray(y, np.float64), np.asarray(C, np.float64)
        self.lowest, self.highest = np.where(self.y > 0, 0.0, -C), np.where(self.y > 0, C, 0.0)
        self.coef = np.zeros(len(self.y))
        self.up, self.low = np.where(self.y > 0, self.y, -np.inf), np.where(self.y < 0, self.y, np.inf)
        self.n_iter = 0
        self.patience = max(1000, PATIENCE * len(self.y))
        self._diagonal = K.diagonal().astype(np.float64)

    def solve(self, tol: float, max_iter: int) -> None:
        """Take steps until the gap is below `tol` or lost in `rounding`, or `n_iter` is `max_iter`."""
        while self.n_iter < max_iter and (pair := self.select(tol)) is not None:
            self.move(*pair)
            if self.n_iter % SHRINK_EVERY == 0:
                self.shrink(tol, max_iter)
            if self.n_iter >= self.patience:  # Pairs zigzag.
                while self.move_together(max_iter):
                    pass
                if self.gap < self.rounding:
                    return

    def select(self, tol: float) -> tuple[int, int] | None:
        """Return the pair to move, `i` up and `j` down; None if the gap is below `tol`.

        `i` has the greatest slope, and `j` is the partner with which a step would gain most if there were no bounds.
        """
        i = int(self.up.argmax())
        slope = self.up[i] - self.low
        if slope.max() < tol:
            return None
        curvature = np.maximum(self._diagonal[i] - 2 * self.K[i] + self._diagonal, TAU)
        # The square of the slope over the curvature, and below zero where there is nothing to gain.
        gain = slope * np.abs(slope) / curvature
        return i, int(gain.argmax())

    def move(self, i: int, j: int) -> None:
        """Raise coefficient `i` and lower `j` by as much: to the top of the objective, or to the first bound."""
        difference = np.subtract(self.K[i], self.K[j], dtype=np.float64)
        curvature = max(difference[i] - difference[j], TAU)
        room_i, room_j = self.highest[i] - self.coef[i], self.coef[j] - self.lowest[j]
        step = min((self.up[i] - self.low[j]) / curvature, room_i, room_j)
        # Adding the step could miss a bound by a rounding error.
        self.coef[i] = self.highest[i] if step == room_i else self.coef[i] + step
        self.coef[j] = self.lowest[j] if step == room_j else self.coef[j] - step

        change = step * difference
        self.up -= change
        self.low -= change
        for k, slope in ((i, self.up[i]), (j, self.low[j])):
            self.up[k] = slope if self.coef[k] < self.highest[k] else -np.inf
            self.low[k] = slope if self.coef[k] > self.lowest[k] else np.inf
        self.n_iter += 1

    def move_together(self, max_iter: int) -> bool:
        """Move the free coefficients to the top of the objective, or to the first bound; return whether that came.

        At the top they all have one slope b, so Newton's step d solves ``K d + b = slope`` with ``sum(d) == 0``. If
        there are many, those with the smallest and the greatest slopes move.
        """
        free = np.flatnonzero(np.isfinite(self.up) & np.isfinite(self.low))
        if len(free) > TOGETHER:
            free = free[np.argsort(self.up[free])]
            free = np.r_[free[: TOGETHER // 2], free[-TOGETHER // 2 :]]
        n = len(free)
        if not 1 < n <= max_iter - self.n_iter:
            return False
        equations = np.ones((n + 1, n + 1))
        equations[:n, :n] = K = np.array([self.K[i][free] for i in free.tolist()])
        # Rounding can make a curvature of zero negative, by less than this.
        equations[range(n), range(n)] += max(1e-300, 100 * np.finfo(K.dtype).eps * K.diagonal().max())
        equations[n, n] = 0
        d = np.linalg.solve(equations, np.append(self.up[free], 0))[:n]
        if not 0 < self.up[free] @ d < np.inf:
            return False

        lowest, highest = self.lowest[free], self.highest[free]
        bound = np.where(d > 0, highest, lowest)
        with np.errstate(over="ignore", divide="ignore"):
            to_bound = np.abs(bound - self.coef[free]) / np.abs(d)
        step = min(1.0, to_bound.min())
        self._change(free, np.where(to_bound == step, bound, np.clip(self.coef[free] + step * d, lowest, highest)))
        self.n_iter += n
        return step < 1

    def shrink(self, tol: float, max_iter: int) -> None:
        """If few of many coefficients are still in play, solve for these alone, with steps that are cheaper.

        A coefficient is out of play if it is at its bound and would go beyond it with every partner. What the others do
        may bring it back, so `solve` then goes on with all.
        """
        playing = np.flatnonzero((self.up > self.low.min()) | (self.low < self.up.max()))
        if len(self.coef) <= FEW or not 0 < len(playing) <= len(self.coef) / 3:
            return
        part = SMO(part_of(self.K, playing), self.y[playing], (self.highest - self.lowest)[playing])
        part.coef, part.up, part.low = self.coef[playing], self.up[playing], self.low[playing]
        part.n_iter, part.patience = self.n_iter, self.patience
        part.solve(tol, max_iter)
        self._change(playing, part.coef)
        self.n_iter = part.n_iter

    def _change(self, which: Array, coef: Array) -> None:
        """Give some coefficients other values, and all slopes what follows from that."""
        changes, slopes = coef - self.coef[which], self.slopes
        for k in np.flatnonzero(changes):
            slopes -= np.multiply(self.K[which[k]], changes[k], dtype=np.float64)
        self.coef[which] = coef
        self.up = np.where(self.coef < self.highest, slopes, -np.inf)
        self.low = np.where(self.coef > self.lowest, slopes, np.inf)

    @property
    def slopes(self) -> Array:
        """The slope of the objective in each coefficient, ``y - K @ coef``."""
        return np.where(np.isfinite(self.up), self.up, self.low)

    @property
    def gap(self) -> float:
        """The greatest slope along a pair: how far the conditions of Karush, Kuhn and Tucker are from being met."""
        return float(self.up.max() - self.low.min())

    @property
    def rounding(self) -> float:
        """What float64 rounds off a slope: its share of the largest kernel times the sum of the multipliers."""
        return float(np.finfo(np.float64).eps * self._diagonal.max() * np.abs(self.coef).sum())

    @property
    def objective(self) -> float:
        """The dual objective, ``y @ coef - coef @ K @ coef / 2``."""
        return float(self.coef @ (self.y + self.slopes) / 2)

    @property
    def bias(self) -> float:
        """The mean slope of the coefficients between their bounds, or the middle of the gap if there are none."""
        free = np.isfinite(self.up) & np.isfinite(self.low)
        return float(self.slopes[free].mean() if free.any() else (self.up.max() + self.low.min()) / 2)
