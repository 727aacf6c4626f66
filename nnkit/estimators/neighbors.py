"""Classification by the nearest neighbours.

The search is brute force: the distance from every query to every training sample. Half its square, less what is the
same for all samples, is one matrix product, ||q - x||^2 / 2 = ||q||^2 / 2 + (||x||^2 / 2 - q.x), in float32, which is
twice as fast. It only names candidates: a bound on its error says which samples could be among the nearest, and their
distances are computed again by definition, in float64.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted

from nnkit.checks import whole_number
from nnkit.estimators.base import all_or_nothing, checked_classes, checked_queries, one_of
from nnkit.typing import Array

CHUNK = 2**24
"""The most scores in memory at a time, and the most differences of features of the candidates."""

LARGEST = 1e38
"""The largest half square of a length: two of them still add up in float32."""


@dataclass(eq=False, repr=False)
class KNeighborsClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A classifier by the votes of the nearest training samples.

    Parameters
    ----------
    n_neighbors : int, default 5
    weights : {"uniform", "distance"}, default "uniform"
        As in scikit-learn.

    Attributes
    ----------
    classes_, n_features_in_, feature_names_in_, n_samples_fit_
        As in scikit-learn.

    Notes
    -----
    Neighbours are ordered by their distance in float64, and those at the same distance by their index. If votes tie,
    the class of the nearest voter among the tied ones wins, because a nearer sample says more about the query;
    scikit-learn takes the class whose label sorts first. So that `predict` is always the largest of `predict_proba`,
    the probability of the winner of a tie is larger by its last digit.

    Both parameters are read at each query, so `set_params` changes them without another `fit`. Queries are processed
    in chunks, so memory beyond the answers does not grow with their number.
    """

    n_neighbors: int = 5
    _: KW_ONLY
    weights: str = "uniform"

    @all_or_nothing
    def fit(self, X: Any, y: Any) -> Self:
        """Remember `X`, shape (n, n_features), not copied if it holds floats, and `y`; if it fails, nothing changes."""
        X, _, self._targets = checked_classes(self, X, y, least=1)
        self.n_samples_fit_ = len(X)
        self._checked_count(self.n_neighbors)
        one_of("weights", self.weights, ("uniform", "distance"))
        # A shift changes no distance, and rounding errors are smaller near zero. Any point amid the data will do: the
        # median of some samples, which outliers do not move.
        with np.errstate(over="ignore", invalid="ignore"):
            self._centre = np.median(X[:: 1 + len(X) // 1000], axis=0)
        self._X = X
        self._expanded, half_squares = _expanded(X, self._centre)
        self._expanded[:, -1] = half_squares
        return self

    def kneighbors(self, X: Any = None, n_neighbors: int | None = None, return_distance: bool = True) -> Any:
        """Find the nearest training samples of each query, as in scikit-learn; without `X`, none is its own."""
        check_is_fitted(self)
        left_out = int(X is None)
        k = self._checked_count(self.n_neighbors if n_neighbors is None else n_neighbors, left_out) + left_out
        X = self._X if X is None else checked_queries(self, X)
        distances, indices = np.empty((len(X), k)), np.empty((len(X), k), dtype=np.int64)
        for part, *found in self._search(X, k):
            distances[part], indices[part] = found
        if left_out:
            others = indices != np.arange(len(X))[:, None]
            others[others.all(axis=1), -1] = False  # With many duplicates, a sample may not be among its own k.
            distances, indices = (found[others].reshape(-1, k - 1) for found in (distances, indices))
        return (distances, indices) if return_distance else indices

    def predict(self, X: Any) -> Array:
        """Return the label with the most votes for each query, shape (n,); a tie goes to the nearest voter."""
        winners = self.predict_proba(X).argmax(axis=1)
        return self.classes_[winners]

    def predict_proba(self, X: Any) -> Array:
        """Return each class's share of the votes, shape (n, n_classes), in the order of `classes_`; rows sum to 1."""
        X = checked_queries(self, X)
        k = self._checked_count(self.n_neighbors)
        by_distance = one_of("weights", self.weights, ("uniform", "distance")) == "distance"
        shares = np.empty((len(X), len(self.classes_)))
        for part, distances, indices in self._search(X, k):
            shares[part] = self._shares(distances, self._targets[indices], by_distance)
        return shares

    def _checked_count(self, n_neighbors: Any, left_out: int = 0) -> int:
        k, n = whole_number("n_neighbors", n_neighbors, least=1), self.n_samples_fit_
        if k > n - left_out:
            raise ValueError(f"n_neighbors must be at most {n - left_out}; got n_neighbors={k} and n_samples={n}")
        return k

    def _shares(self, distances: Array, voted: Array, by_distance: bool) -> Array:
        """Return each class's share of the votes; in a tie the winner's is larger by its last digit."""
        weights = np.ones_like(distances)
        if by_distance:
            # 1 / distance in units of the nearest one, which also says what to do where that is zero.
            np.divide(distances[:, :1], distances, out=weights, where=distances > 0)
        rows, n_classes = np.arange(len(voted)), len(self.classes_)
        places = rows[:, None] * n_classes + voted
        votes = np.bincount(places.ravel(), weights.ravel(), minlength=len(rows) * n_classes)
        shares = votes.reshape(-1, n_classes) / weights.sum(axis=1, keepdims=True)
        # Of equal shares, argmax takes the first, and the voters are ordered by distance.
        winner = voted[rows, np.take_along_axis(shares, voted, axis=1).argmax(axis=1)]
        shares[rows, winner] = np.nextafter(shares[rows, winner], 1)
        return shares

    def _search(self, X: Array, k: int) -> Iterator[tuple[slice, Array, Array]]:
        """Yield, chunk by chunk, a slice of the queries, the distances of their `k` neighbours, and their indices."""
        n = self.n_samples_fit_
        # With many features, many queries at a time make the product efficient; with few, the scores stay in a cache.
        n_queries = max(1, min(max(self.n_features_in_, 32), 256, CHUNK // n, len(X)))
        # Finding the bound costs about n / n_members a query, and looking at k groups k * n_members.
        n_members = math.isqrt(n // k)
        n_groups = math.ceil(n / n_members)
        # Sample i is in group i % n_groups. The last places of some groups are empty, and stay infinitely far away.
        scores = np.full((n_queries, n_members, n_groups), np.inf, dtype=np.float32)
        for part in gen_batches(len(X), n_queries):
            yield part, *self._nearest(X[part], k, scores[: part.stop - part.start])

    def _nearest(self, Q: Array, k: int, scores: Array) -> tuple[Array, Array]:
        """Return distances and indices of the neighbours of some queries; `scores` is room to compute in.

        The score of a sample x for a query q is half the squared distance less ||q||^2 / 2.
        """
        n_groups = scores.shape[2]
        expanded, half_squares = _expanded(self._centre, Q)
        expanded[:, -1] = 1
        np.matmul(expanded, self._expanded.T, out=scores.reshape(len(Q), -1)[:, : self.n_samples_fit_])

        # The k groups with the smallest minima hold k samples no farther than the largest of these minima.
        minima = scores.min(axis=1)
        kth = np.partition(minima, k - 1, axis=1)[:, k - 1]
        limit = self._with_slack(kth + half_squares, half_squares)[:, None] - half_squares[:, None]
        query, group = np.nonzero(minima <= limit)
        row, member = np.nonzero(scores[query, :, group] <= limit[query])
        query, index = query[row], member * n_groups + group[row]

        squared = self._squared_distances(Q, query, index)
        order = np.lexsort((index, squared, query))
        first = np.searchsorted(query, np.arange(len(Q)))
        nearest = order[first[:, None] + np.arange(k)]
        return np.sqrt(squared[nearest]), index[nearest]

    def _with_slack(self, kth: Array, half_squares: Array) -> Array:
        """Return the largest computed half square that a sample among the k nearest can have.

        With h for half the squared distance and H for what the matrix product makes of it, in any order of summation
        |H - h| <= g (||q|| ||x|| + ||x||^2 / 2), where g counts the roundings on the way: at most 2 d + 10 with d
        features. Since ||x|| <= ||q|| + ||x - q||, this is at most e(h) = g (5 ||q||^2 / 2 + 4 h). If k samples have
        H <= kth, their h and hence those of the k nearest are at most h_max with h_max - e(h_max) = kth, and the H of
        the k nearest are at most h_max + e(h_max). Underflow is added to that.
        """
        n_roundings = 2 * self.n_features_in_ + 10
        g = n_roundings * np.finfo(np.float32).eps
        fixed = 5 * g * half_squares + n_roundings * np.finfo(np.float32).tiny
        h_max = (kth + fixed) / (1 - 4 * g) if 4 * g < 1 else np.full_like(kth, 4 * LARGEST)  # All may be near.
        return (1 + 4 * g) * h_max + fixed

    def _squared_distances(self, Q: Array, query: Array, index: Array) -> Array:
        """Return the squared distance of each pair, from the differences of the features."""
        squared = np.empty(len(query))
        for part in gen_batches(len(query), max(1, CHUNK // (16 * self.n_features_in_))):
            difference = np.subtract(Q[query[part]], self._X[index[part]], dtype=np.float64)
            squared[part] = np.einsum("ij,ij->i", difference, difference)
        return squared


def _expanded(minuend: Array, subtrahend: Array) -> tuple[Array, Array]:
    """Return the differences, with an extra column, and half the squares of their lengths; one is the centre."""
    n, n_features = np.broadcast_shapes(minuend.shape, subtrahend.shape)
    expanded = np.empty((n, n_features + 1), dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        centred = np.subtract(minuend, subtrahend, out=expanded[:, :-1])
        half_squares = np.einsum("ij,ij->i", centred, centred).astype(np.float64) / 2
    if not half_squares.max() <= LARGEST:
        raise ValueError(
            f"X must be so near the median of the training data that half the squared distance is at most {LARGEST:g}, "
            f"for float32; got {half_squares.max():g}. Scale X, and if a number such as 1e20 marks missing values, "
            "replace it (SimpleImputer)"
        )
    return expanded, half_squares
