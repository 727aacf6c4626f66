"""Classification by the nearest neighbours, behind scikit-learn's contract.

The search is brute force: the distance from every query to every training sample. Half its square, less what is the
same for all samples, is one matrix product, ||q - x||^2 / 2 = ||q||^2 / 2 + (||x||^2 / 2 - q.x), made in float32
because that is twice as fast. It only has to name the finalists: a bound on its error says which samples could be
among the nearest, and their distances are computed again as they are defined, in float64.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Self

import numpy as np

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError("nnkit.estimators needs scikit-learn 1.6 or newer: pip install 'nnkit[estimators]'") from error

from nnkit.checks import whole_number
from nnkit.estimators.validation import FLOATS, all_or_nothing, checked_classes, one_of
from nnkit.typing import Array

CHUNK = 2**24
"""How many scores are kept at a time, and how many differences of the finalists."""

LARGEST = 1e38
"""The largest half square of a length: two of them still add up in float32."""

MAX_FEATURES = 1_000_000
"""With more, the bound on the error of the matrix product would say nothing."""


class KNeighborsClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A classifier by the votes of the nearest training samples.

    Parameters
    ----------
    n_neighbors : int, default 5
        How many neighbours vote.
    weights : {"uniform", "distance"}, default "uniform"
        Whether every vote counts the same, or a vote counts by the inverse of its distance. Where training samples lie
        exactly on the query, they alone vote.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
        The labels, sorted.
    n_features_in_ : int
        How many features `fit` saw.
    feature_names_in_ : ndarray of str, shape (n_features,)
        Their names; only where `X` was a data frame with names.
    n_samples_fit_ : int
        How many samples `fit` saw.

    Notes
    -----
    Neighbours are ordered by their distance in float64, and those at the same distance by their place in the training
    data. Where votes tie, the class of the nearest voter among the tied ones wins, because a nearer sample says more
    about the query; scikit-learn takes the class whose label sorts first. So that `predict` is always the largest of
    `predict_proba`, the probability of the winner of a tie is larger by its last digit.

    Both parameters are read when a query comes, so `set_params` changes them without another `fit`.

    Queries go through in chunks, so beside the answers the memory does not grow with their number. The estimator keeps
    the training data and a copy of it in float32.

    Examples
    --------
    >>> from sklearn.model_selection import GridSearchCV
    >>> search = GridSearchCV(KNeighborsClassifier(), {"n_neighbors": [1, 3, 5], "weights": ["uniform", "distance"]})
    """

    classes_: Array
    n_features_in_: int
    n_samples_fit_: int

    def __init__(self, n_neighbors: int = 5, weights: str = "uniform") -> None:
        self.n_neighbors = n_neighbors
        self.weights = weights

    @all_or_nothing
    def fit(self, X: Any, y: Any) -> Self:
        """Remember the training samples, centred and with half the square of their lengths, unless this fails.

        Parameters
        ----------
        X : array_like or data frame, shape (n, n_features)
            The samples, finite real numbers. It is kept, not copied, where it is an array of floats already.
        y : array_like, shape (n,)
            The labels: numbers or strings.

        Returns
        -------
        KNeighborsClassifier
            The estimator itself.

        Raises
        ------
        ValueError
            If a parameter or the data is out of range, or there are fewer samples than neighbours.
        """
        X, _, self._targets = checked_classes(self, X, y, least=1)
        if X.shape[1] > MAX_FEATURES:
            raise ValueError(f"X must have at most {MAX_FEATURES} features; got {X.shape[1]}")
        self._check_parameters(len(X))
        self.n_samples_fit_ = len(X)
        # Distances do not change when everything moves, and rounding errors are the smaller the nearer zero lies. Any
        # point amid the data will do: the median of some samples, which those far away do not move.
        with np.errstate(over="ignore", invalid="ignore"):
            self._centre = np.median(X[:: 1 + len(X) // 1000], axis=0)
        self._X = X
        self._expanded, half_squares = _expanded(X, self._centre)
        self._expanded[:, -1] = half_squares
        return self

    def kneighbors(self, X: Any) -> tuple[Array, Array]:
        """Find the nearest training samples of each query.

        Parameters
        ----------
        X : array_like or data frame, shape (n, n_features)
            The queries.

        Returns
        -------
        distances : ndarray of float64, shape (n, n_neighbors)
            From the nearest on.
        indices : ndarray of int64, shape (n, n_neighbors)
            Which training samples these are; those at the same distance in the order of the training data.
        """
        X = self._checked_queries(X)
        distances = np.empty((len(X), self.n_neighbors))
        indices = np.empty((len(X), self.n_neighbors), dtype=np.int64)
        for part, *found in self._search(X):
            distances[part], indices[part] = found
        return distances, indices

    def predict(self, X: Any) -> Array:
        """Return the label with the most votes for each query; a tie goes to the nearest voter.

        Parameters
        ----------
        X : array_like or data frame, shape (n, n_features)
            The queries.

        Returns
        -------
        ndarray, shape (n,)
            Entries of `classes_`.
        """
        X = self._checked_queries(X)
        winners = np.empty(len(X), dtype=np.int64)
        for part, distances, indices in self._search(X):
            winners[part] = self._shares(distances, indices).argmax(axis=1)
        return self.classes_[winners]

    def predict_proba(self, X: Any) -> Array:
        """Return the share of the votes that each class gets.

        Parameters
        ----------
        X : array_like or data frame, shape (n, n_features)
            The queries.

        Returns
        -------
        ndarray of float64, shape (n, n_classes)
            Columns in the order of `classes_`; each row sums to 1.
        """
        X = self._checked_queries(X)
        shares = np.empty((len(X), len(self.classes_)))
        for part, distances, indices in self._search(X):
            shares[part] = self._shares(distances, indices)
        return shares

    def _check_parameters(self, n_samples: int) -> None:
        n_neighbors = whole_number("n_neighbors", self.n_neighbors, least=1)
        if n_neighbors > n_samples:
            raise ValueError(
                "n_neighbors must be at most the number of training samples; "
                f"got n_neighbors={n_neighbors} and n_samples={n_samples}"
            )
        one_of("weights", self.weights, ("uniform", "distance"))

    def _checked_queries(self, X: Any) -> Array:
        check_is_fitted(self)
        self._check_parameters(self.n_samples_fit_)
        return validate_data(self, X, dtype=FLOATS, reset=False)

    def _shares(self, distances: Array, indices: Array) -> Array:
        """Return each class's share of the votes; in a tie the winner's is larger by its last digit."""
        weights = np.ones_like(distances)
        if self.weights == "distance":
            # 1 / distance in units of the nearest one, which also says what to do where that is zero.
            nearest = distances[:, :1]
            np.divide(nearest, distances, out=weights, where=distances > 0)
        rows, n_classes, voted = np.arange(len(indices)), len(self.classes_), self._targets[indices]
        places = rows[:, None] * n_classes + voted
        votes = np.bincount(places.ravel(), weights.ravel(), minlength=len(rows) * n_classes)
        shares = votes.reshape(-1, n_classes) / weights.sum(axis=1, keepdims=True)
        # Of equal shares, argmax takes the first, and the voters come in the order of their distances.
        first = np.take_along_axis(shares, voted, axis=1).argmax(axis=1)
        winner = voted[rows, first]
        shares[rows, winner] = np.nextafter(shares[rows, winner], 1)
        return shares

    def _search(self, X: Array) -> Iterator[tuple[slice, Array, Array]]:
        """Yield, chunk by chunk: which queries these are, the distances of their neighbours, and their indices."""
        n, k = self.n_samples_fit_, self.n_neighbors
        # With many features, many queries at a time make the product efficient; with few, the scores stay in a cache.
        n_queries = max(1, min(max(self.n_features_in_, 32), 256, CHUNK // n, len(X)))
        # To find the bound costs about n / n_members a query, and to look at k groups k * n_members.
        n_members = math.isqrt(n // k)
        n_groups = math.ceil(n / n_members)
        # Sample i is in group i % n_groups. The last places of some groups are empty, and stay infinitely far away.
        scores = np.full((n_queries, n_members, n_groups), np.inf, dtype=np.float32)
        for start in range(0, len(X), n_queries):
            part = slice(start, min(start + n_queries, len(X)))
            yield part, *self._nearest(X[part], scores[: part.stop - part.start])

    def _nearest(self, Q: Array, scores: Array) -> tuple[Array, Array]:
        """Return distances and indices of the neighbours of some queries; `scores` is where to compute.

        The score of a sample x for a query q is half the squared distance less ||q||^2 / 2.
        """
        k, n_groups = self.n_neighbors, scores.shape[2]
        expanded, half_squares = _expanded(self._centre, Q)
        expanded[:, -1] = 1
        np.matmul(expanded, self._expanded.T, out=scores.reshape(len(Q), -1)[:, : self.n_samples_fit_])

        # The k-th smallest minimum of a group has k samples at most as far away; only groups that reach it matter.
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
        the k nearest are at most h_max + e(h_max). What underflows is lost besides.
        """
        n_roundings = 2 * self.n_features_in_ + 10
        g = n_roundings * np.finfo(np.float32).eps
        fixed = 5 * g * half_squares + n_roundings * np.finfo(np.float32).tiny
        h_max = (kth + fixed) / (1 - 4 * g)
        return (1 + 4 * g) * h_max + fixed

    def _squared_distances(self, Q: Array, query: Array, index: Array) -> Array:
        """Return the squared distance of each pair, from the differences of the features."""
        squared = np.empty(len(query))
        n_pairs = max(1, CHUNK // (16 * self.n_features_in_))
        for start in range(0, len(query), n_pairs):
            part = slice(start, start + n_pairs)
            difference = np.subtract(Q[query[part]], self._X[index[part]], dtype=np.float64)
            squared[part] = np.einsum("ij,ij->i", difference, difference)
        return squared


def _expanded(minuend: Array, subtrahend: Array) -> tuple[Array, Array]:
    """Return the differences, with room for a column more, and half the squares of their lengths; one is the centre."""
    differences = np.broadcast_shapes(minuend.shape, subtrahend.shape)
    expanded = np.empty((differences[0], differences[1] + 1), dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        centred = np.subtract(minuend, subtrahend, out=expanded[:, :-1])
        half_squares = np.einsum("ij,ij->i", centred, centred).astype(np.float64) / 2
    if not half_squares.max() <= LARGEST:
        raise ValueError(
            "X must lie so near the median of the training data that half the squared distance is at most "
            f"{LARGEST:g}, for float32; got {half_squares.max():g}. The search squares differences in float32: scale "
            "X, and where a number such as 1e20 marks what is missing, put a value in its place (SimpleImputer)"
        )
    return expanded, half_squares
