"""Sequential minimal optimization: the dual problem of a support vector machine, solved two coefficients at a time.

With labels ``y`` of -1 and 1, multipliers ``alpha`` and ``coef = y * alpha``, the dual problem is to maximize::

    y @ coef - coef @ K @ coef / 2    with  sum(coef) == 0  and every  0 <= y * coef <= C

A step raises one coefficient and lowers another by as much, which keeps the sum. The slope of the objective in each
coefficient, ``y - K @ coef``, says which: a pair can be improved if the one that may rise has the greater slope, and
where there is no such pair, the solution is found.
"""

from __future__ import annotations

import numpy as np

from nnkit.estimators.kernels import CachedRows
from nnkit.typing import Array

TAU = 1e-12
"""The least curvature. Between duplicates it is zero, and rounding can leave it below."""

SHRINK_EVERY, FEW = 200, 500
"""After how many steps to look whether few samples are left in play, and up to how many samples this never pays."""

PATIENCE, TOGETHER = 10, 100
"""After how many steps a sample (or 1,000 in all) steps of pairs are too slow, and how many then move together."""

EPS = float(np.finfo(np.float64).eps)


class SMO:
    """A dual problem on its way to the solution: `solve` goes there, `select` and `move` take one step.

    Parameters
    ----------
    K : ndarray or CachedRows, shape (n, n)
        The kernel matrix: ``K[i]`` is a row, ``K.diagonal()`` the diagonal.
    y : ndarray, shape (n,)
        The labels, -1 or 1, some of each.
    C : float or ndarray, shape (n,)
        The upper bound of the multipliers, above zero: one for all, or one for each.

    Attributes
    ----------
    coef : ndarray of float64, shape (n,)
        The multipliers with the signs of their labels.
    up, low : ndarray of float64, shape (n,)
        The slopes of the coefficients that may rise, and -inf for the others; the slopes of those that may fall, and
        inf for the others.
    n_iter : int
        How many steps were taken; one that moved many coefficients together counts as often.

    Notes
    -----
    Where the kernel matrix is nearly singular, as with a polynomial of features far from zero, steps of pairs go in
    zigzag, by the million. Once they are more than `PATIENCE`, each is therefore followed by Newton's steps of the
    coefficients between their bounds, to the top of the objective: the active set method.

    References
    ----------
    Platt, "Fast training of support vector machines using sequential minimal optimization" (1998): the step. Keerthi
    et al., "Improvements to Platt's SMO algorithm for SVM classifier design" (2001): `up`, `low` and the gap. Fan, Chen
    and Lin, "Working set selection using second order information for training support vector machines" (2005): the
    pair. Chang and Lin, "LIBSVM: a library for support vector machines" (2011): the least curvature, the bias, and
    shrinking, after Joachims, "Making large-scale SVM learning practical" (1998). Scheinberg, "An efficient
    implementation of an active set method for SVMs" (2006): the free coefficients together.
    """

    def __init__(self, K: Array | CachedRows, y: Array, C: float | Array) -> None:
        self.K = K
        self.y = np.asarray(y, np.float64)
        self.lowest = np.where(self.y > 0, 0.0, -np.asarray(C, np.float64))
        self.highest = np.where(self.y > 0, np.asarray(C, np.float64), 0.0)
        n = len(self.y)
        self.coef = np.zeros(n)
        self.up = np.where(self.coef < self.highest, self.y, -np.inf)
        self.low = np.where(self.coef > self.lowest, self.y, np.inf)
        self.n_iter = 0
        self.patience = max(1000, PATIENCE * n)
        self._diagonal = K.diagonal().astype(np.float64)
        # NumPy takes the larger of two arrays sooner than that of an array and a number.
        self._tau = np.full(n, TAU)
        self._row_i, self._row_j, self._slope, self._curvature = np.empty((4, n))

    def solve(self, tol: float, max_iter: int) -> None:
        """Take steps until the gap is below `tol` or lost in `rounding`, or `n_iter` is `max_iter`."""
        while self.n_iter < max_iter and (pair := self.select(tol)) is not None:
            self.move(*pair)
            if self.n_iter % SHRINK_EVERY == 0 and len(self.coef) > FEW:
                self.shrink(tol, max_iter)
            if self.n_iter >= self.patience:
                while self.move_together(max_iter):
                    pass
                if self.gap < self.rounding:
                    return

    def select(self, tol: float) -> tuple[int, int] | None:
        """Return the pair to move, `i` up and `j` down; None if the gap is below `tol`.

        `i` has the greatest slope. With this `j`, a step would gain the most if there were no bounds: the square of
        the slope along the pair, over the curvature ``K[i, i] + K[j, j] - 2 * K[i, j]``.
        """
        i = int(self.up.argmax())
        if self.up[i] - self.low[self.low.argmin()] < tol:
            return None
        slope = np.subtract(self.up[i], self.low, out=self._slope)
        np.copyto(self._row_i, self.K[i])
        curvature = np.multiply(self._row_i, -2.0, out=self._curvature)
        curvature += self._diagonal
        curvature += self._diagonal[i]
        np.maximum(curvature, self._tau, out=curvature)
        # slope * |slope| / curvature stays below zero where there is nothing to gain.
        gain = np.divide(slope, curvature, out=curvature)
        gain *= np.absolute(slope, out=slope)
        return i, int(gain.argmax())

    def move(self, i: int, j: int) -> None:
        """Raise coefficient `i` and lower `j` by as much: to the top of the objective, or to the first bound."""
        np.copyto(self._row_i, self.K[i])
        np.copyto(self._row_j, self.K[j])
        curvature = max(self._diagonal[i] + self._diagonal[j] - 2 * self._row_i[j], TAU)
        room_i, room_j = self.highest[i] - self.coef[i], self.coef[j] - self.lowest[j]
        step = min((self.up[i] - self.low[j]) / curvature, room_i, room_j)
        # Who reaches a bound is put there exactly.
        self.coef[i] = self.highest[i] if step == room_i else self.coef[i] + step
        self.coef[j] = self.lowest[j] if step == room_j else self.coef[j] - step

        change = np.subtract(self._row_i, self._row_j, out=self._row_i)
        change *= step
        self.up -= change
        self.low -= change
        for k, slope in ((i, self.up[i]), (j, self.low[j])):
            self.up[k] = slope if self.coef[k] < self.highest[k] else -np.inf
            self.low[k] = slope if self.coef[k] > self.lowest[k] else np.inf
        self.n_iter += 1

    def move_together(self, max_iter: int) -> bool:
        """Move the free coefficients to the top of the objective, or to the first bound; return whether that came.

        At the top they have one slope b, so Newton's step d solves ``K d + b = slope`` with ``sum(d) == 0``. Of many,
        those with the smallest and the greatest slopes move.
        """
        free = np.flatnonzero(np.isfinite(self.up) & np.isfinite(self.low))
        if len(free) > TOGETHER:
            free = free[np.argsort(self.up[free])]
            free = np.r_[free[: TOGETHER // 2], free[-TOGETHER // 2 :]]
        n = len(free)
        if not 1 < n <= max_iter - self.n_iter:
            return False
        K = np.array([self.K[i][free] for i in free.tolist()])
        # By less than this, rounding may leave a curvature of zero below zero.
        ridge = max(1e-300, 100 * np.finfo(K.dtype).eps * K.diagonal().max())
        equations = np.ones((n + 1, n + 1))
        equations[:n, :n] = K + ridge * np.eye(n)
        equations[n, n] = 0
        d = np.linalg.solve(equations, np.append(self.up[free], 0))[:n]
        if not 0 < self.up[free] @ d < np.inf:
            return False
        lowest, highest = self.lowest[free], self.highest[free]
        bound = np.where(d > 0, highest, lowest)
        with np.errstate(over="ignore", divide="ignore"):
            to_bound = np.abs(bound - self.coef[free]) / np.abs(d)
        step = min(1.0, to_bound.min())
        coef = np.where(to_bound == step, bound, np.clip(self.coef[free] + step * d, lowest, highest))
        self._lower_slopes(free, coef - self.coef[free])
        self.coef[free] = coef
        self.up[free] = np.where(coef < highest, self.up[free], -np.inf)
        self.low[free] = np.where(coef > lowest, self.low[free], np.inf)
        self.n_iter += n
        return step < 1

    def shrink(self, tol: float, max_iter: int) -> None:
        """If few coefficients are left in play, solve for these alone, with steps that are shorter to compute.

        Out of play is a coefficient at its bound that would go beyond it with every partner. What the others do may
        bring it back, so `solve` then goes on with all.
        """
        playing = np.flatnonzero((self.up > self.low.min()) | (self.low < self.up.max()))
        if not 0 < len(playing) <= len(self.coef) / 3:
            return
        K = self.K.part(playing) if isinstance(self.K, CachedRows) else self.K[np.ix_(playing, playing)]
        part = SMO(K, self.y[playing], (self.highest - self.lowest)[playing])
        part.coef, part.up, part.low = self.coef[playing], self.up[playing], self.low[playing]
        part.n_iter, part.patience = self.n_iter, self.patience
        part.solve(tol, max_iter)

        self._lower_slopes(playing, part.coef - self.coef[playing])
        self.coef[playing], self.up[playing], self.low[playing] = part.coef, part.up, part.low
        self.n_iter = part.n_iter

    def _lower_slopes(self, which: Array, changes: Array) -> None:
        """Take from every slope what the changes of some coefficients take from it, ``K[:, which] @ changes``."""
        for k in np.flatnonzero(changes):
            np.copyto(self._row_i, self.K[which[k]])
            self._row_i *= changes[k]
            self.up -= self._row_i
            self.low -= self._row_i

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
        return EPS * float(self._diagonal.max() * np.abs(self.coef).sum())

    @property
    def objective(self) -> float:
        """The dual objective, ``y @ coef - coef @ K @ coef / 2``."""
        return float(self.coef @ (self.y + self.slopes) / 2)

    @property
    def bias(self) -> float:
        """The mean slope of the coefficients between their bounds, or the middle of the gap if there are none."""
        free = (self.lowest < self.coef) & (self.coef < self.highest)
        return float(self.slopes[free].mean() if free.any() else (self.up.max() + self.low.min()) / 2)
