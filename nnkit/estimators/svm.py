"""The support vector machine: a classifier with the widest margin, behind scikit-learn's contract."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import combinations, pairwise
from typing import Any, Self

import numpy as np

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.utils.class_weight import compute_class_weight
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError("nnkit.estimators needs scikit-learn 1.6 or newer: pip install 'nnkit[estimators]'") from error

from nnkit.checks import number, whole_number
from nnkit.estimators.kernels import KERNELS, CachedRows, Kernel, blocks, gram, squared_lengths
from nnkit.estimators.smo import SMO
from nnkit.estimators.validation import FLOATS, all_or_nothing, checked_classes, one_of, random_source
from nnkit.typing import Array

MULTI_CLASS = ("ovr", "ovo")


class SVC(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A support vector machine for classification, trained by sequential minimal optimization (`SMO`).

    Parameters
    ----------
    C : float, default 1
        The price of a margin that is violated, above zero: the smaller, the wider the margin.
    kernel : {"linear", "poly", "rbf"}, default "rbf"
        ``x @ z``, ``(gamma * x @ z + coef0) ** degree`` or ``exp(-gamma * |x - z|**2)``.
    gamma : {"scale", "auto"} or float, default "scale"
        As in these formulas; "scale" is ``1 / (n_features * X.var())``, "auto" is ``1 / n_features``.
    tol : float, default 0.001
        The gap at which a problem counts as solved.
    max_iter : int, default -1
        The most steps for a problem; -1 is a million, or a hundred times the number of samples if that is more.
    multi_class : {"ovr", "ovo"}, default "ovr"
        With more than two classes, one problem for each class against the rest, or one for each pair of classes.
    random_state : ignored
        Nothing here is drawn at random. It is there because scikit-learn's has one; what is none is refused.
    degree : int, default 3
        The degree of "poly".
    coef0 : float, default 0
        The constant of "poly".
    class_weight : dict, "balanced" or None, default None
        What multiplies `C` for the samples of each class, above zero; "balanced" is
        ``n / (n_classes * np.bincount(y))``, in every problem from the whole of `y`.
    cache_size : float, default 1000
        The megabytes that a kernel matrix may take. If it does not fit, rows are computed when they are needed, and
        as many as fit are kept.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
        The labels, sorted.
    support_ : ndarray of int, shape (n_support,)
        Which samples are support vectors in any of the problems.
    support_vectors_ : ndarray, shape (n_support, n_features)
        These samples.
    dual_coef_ : ndarray of float64, shape (n_problems, n_support)
        Their multipliers in each problem, with the signs of their labels in it. There is one problem for two classes,
        with 1 for the second; "ovr" has one for each class, with 1 for it; "ovo" has one for each pair of classes,
        with 1 for the first: ``(0, 1), (0, 2), ..., (1, 2), ...``.
    intercept_ : ndarray of float64, shape (n_problems,)
        The biases.
    dual_objective_ : ndarray of float64, shape (n_problems,)
        What was maximized: the sum of the multipliers less half the squared length of the normal vector.
    dual_gap_ : ndarray of float64, shape (n_problems,)
        By how much the conditions of Karush, Kuhn and Tucker are missed; below `tol` unless `max_iter` came first, or
        float64 has no more digits.
    n_iter_ : ndarray of int, shape (n_problems,)
        How many steps were taken.
    kernel_ : Kernel
        The kernel with its `gamma` in numbers, to be called with two sets of points.
    n_features_in_ : int
        How many features `fit` saw.
    feature_names_in_ : ndarray of str, shape (n_features,)
        Their names; only where `X` was a data frame with names.

    Warns
    -----
    ConvergenceWarning
        If `max_iter` ended a problem, or kernels so large that float64 does not resolve `tol`; the message says how
        large the gap was, and what to do.

    Notes
    -----
    Of float32 data, the kernel is computed and kept in float32 as long as the roundings of n terms, each up to `C`
    times the largest kernel, are lost in `tol`. That takes half the memory and half the time. Otherwise, and of other
    data, it is float64, where LIBSVM's is always rounded to float32. Coefficients and slopes are always float64.

    All problems share one kernel matrix; those of "ovo" take their parts of it.

    References
    ----------
    Platt (1998), Keerthi et al. (2001), Fan, Chen and Lin (2005), Chang and Lin (2011): see `SMO`.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> pipeline = make_pipeline(StandardScaler(), SVC(C=10))
    """

    classes_: Array
    n_features_in_: int

    def __init__(
        self,
        C: float = 1.0,
        kernel: str = "rbf",
        gamma: str | float = "scale",
        tol: float = 1e-3,
        max_iter: int = -1,
        multi_class: str = "ovr",
        random_state: Any = None,
        *,
        degree: int = 3,
        coef0: float = 0.0,
        class_weight: dict[Any, float] | str | None = None,
        cache_size: float = 1000,
    ) -> None:
        self.C = C
        self.kernel = kernel
        self.gamma = gamma
        self.tol = tol
        self.max_iter = max_iter
        self.multi_class = multi_class
        self.random_state = random_state
        self.degree = degree
        self.coef0 = coef0
        self.class_weight = class_weight
        self.cache_size = cache_size

    @all_or_nothing
    def fit(self, X: Any, y: Any) -> Self:
        """Find the support vectors and their coefficients; what was learned before is forgotten, unless this fails.

        Parameters
        ----------
        X : array_like or data frame, shape (n, n_features)
            The inputs, finite real numbers.
        y : array_like, shape (n,)
            The labels: numbers or strings, of at least two classes.

        Returns
        -------
        SVC
            The estimator itself.

        Raises
        ------
        ValueError
            If a parameter or the data is out of range, or there is only one class.
        """
        X, y, targets = checked_classes(self, X, y)
        tol = number("tol", self.tol, above=0)
        max_iter = self._max_iter(len(X))
        C = number("C", self.C, above=0) * self._class_weights(y)[targets]
        random_source(self.random_state)
        self.kernel_ = self._kernel(X)
        self._multi_class = one_of("multi_class", self.multi_class, MULTI_CLASS)
        X = self._precise(X, float(C.max()), tol)

        coefs, problems = [], []
        for samples, signs, K in self._problems(X, targets):
            smo = SMO(K, signs, C[samples])
            smo.solve(tol, max_iter)
            coef = np.zeros(len(X))
            coef[samples] = smo.coef
            coefs.append(coef)
            problems.append((smo.bias, smo.objective, smo.gap, smo.rounding, smo.n_iter))
        self.support_ = np.flatnonzero(np.any(coefs, axis=0))
        self.support_vectors_ = X[self.support_]
        self.dual_coef_ = np.array([coef[self.support_] for coef in coefs])
        self.intercept_, self.dual_objective_, self.dual_gap_, rounding, n_iter = np.array(problems).T.copy()
        self.n_iter_ = n_iter.astype(np.int64)
        self._warn_of_gaps(tol, max_iter, rounding)
        return self

    def predict(self, X: Any) -> Array:
        """Return the label of each sample that has the greatest score.

        Parameters
        ----------
        X : array_like or data frame, shape (n, n_features)
            The inputs.

        Returns
        -------
        ndarray, shape (n,)
            Entries of `classes_`.
        """
        scores = self.decision_function(X)
        return self.classes_[(scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)]

    def decision_function(self, X: Any) -> Array:
        """Return the scores that decide: the larger, the surer.

        Parameters
        ----------
        X : array_like or data frame, shape (n, n_features)
            The inputs.

        Returns
        -------
        ndarray of float64, shape (n,) or (n, n_classes)
            With two classes the value of the decision function, above 0 for the second one; with "ovr" that of each
            class. With "ovo" how many duels each class wins, plus less than a half that grows with the sum of its
            values in them, so that it decides among classes with as many wins.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=FLOATS, reset=False).astype(self.support_vectors_.dtype, copy=False)
        values = np.empty((len(X), len(self.intercept_)))
        with np.errstate(over="ignore", invalid="ignore"):
            for rows in blocks(len(X), len(self.support_) * X.itemsize):
                values[rows] = self.kernel_(X[rows], self.support_vectors_) @ self.dual_coef_.T
        if not np.isfinite(values).all():
            raise ValueError(f"X must be scaled: its {self.kernel_.name} kernel is not finite as {X.dtype}")
        values += self.intercept_
        if len(self.classes_) == 2:
            return values[:, 0]
        return values if self._multi_class == "ovr" else _duels(values, len(self.classes_))

    @property
    def coef_(self) -> Array:
        """The normal vectors, shape (n_problems, n_features), read-only; for the linear kernel alone."""
        check_is_fitted(self)
        if self.kernel_.name != "linear":
            raise AttributeError(f"coef_ is there for the linear kernel alone; got kernel={self.kernel_.name!r}")
        coef = self.dual_coef_ @ self.support_vectors_
        coef.flags.writeable = False  # It is made anew each time, so that what is written to it would be lost.
        return coef

    def _max_iter(self, n: int) -> int:
        if self.max_iter == -1:
            return max(1_000_000, 100 * n)
        return whole_number("max_iter", self.max_iter, least=1)

    def _class_weights(self, y: Array) -> Array:
        if isinstance(self.class_weight, dict):
            for label, weight in self.class_weight.items():
                number(f"class_weight[{label!r}]", weight, above=0)
        return compute_class_weight(self.class_weight, classes=self.classes_, y=y)

    def _kernel(self, X: Array) -> Kernel:
        kernel = one_of("kernel", self.kernel, KERNELS)
        if not isinstance(self.gamma, str):
            gamma = number("gamma", self.gamma, above=0)
        elif self.gamma == "auto":
            gamma = 1 / X.shape[1]
        elif self.gamma == "scale":
            with np.errstate(over="ignore"):
                variance = float(X.var(dtype=np.float64))
            gamma = 1 / (X.shape[1] * variance) if variance > 0 else 1.0
        else:
            raise ValueError(f"gamma must be 'scale', 'auto' or a number; got {self.gamma!r}")
        degree = whole_number("degree", self.degree, least=1)
        return Kernel(kernel, gamma, degree, number("coef0", self.coef0))

    def _precise(self, X: Array, C: float, tol: float) -> Array:
        """Return `X` in float64, or in float32 if it came so and the rounding of its kernel is lost in `tol`."""

        def largest(X: Array) -> float:
            with np.errstate(over="ignore", invalid="ignore"):
                sizes = self.kernel_.diagonal(X).max(), squared_lengths(X).max()
            return float(sizes[0] if np.isfinite(sizes).all() else np.inf)

        # What the roundings of n terms, each up to C times the kernel, come to in a slope.
        if X.dtype == np.float32 and C * largest(X) * len(X) ** 0.5 * np.finfo(X.dtype).eps > tol:
            X = X.astype(np.float64)
        if largest(X) == np.inf:
            raise ValueError(f"X must be scaled: its {self.kernel} kernel is not finite as {X.dtype}")
        return X

    def _problems(self, X: Array, targets: Array) -> Iterator[tuple[Array, Array, Any]]:
        """Yield the samples, the signs and the kernel matrix of each binary problem."""
        max_bytes = 1e6 * number("cache_size", self.cache_size, above=0)
        n_classes = len(self.classes_)
        if self._multi_class == "ovr" or n_classes == 2:
            K, everything = gram(self.kernel_, X, max_bytes), np.arange(len(X))
            for c in range(n_classes) if n_classes > 2 else [1]:
                yield everything, np.where(targets == c, 1.0, -1.0), K
        else:
            # Ordered by class, a pair's matrix is four blocks of the whole; half of the memory is for these.
            order = np.argsort(targets, kind="stable")
            K = gram(self.kernel_, X[order], max_bytes / 2)
            ends = np.cumsum(np.bincount(targets))
            spans = [slice(*span) for span in pairwise([0, *ends])]
            for first, second in combinations(spans, 2):
                samples = np.r_[first, second]
                signs = np.where(samples < first.stop, 1.0, -1.0)
                yield order[samples], signs, _blocks_of(K, first, second)

    def _warn_of_gaps(self, tol: float, max_iter: int, rounding: Array) -> None:
        lost = np.flatnonzero((rounding >= tol) & (self.dual_gap_ < rounding))
        if len(lost):
            worst = lost[rounding[lost].argmax()]
            warnings.warn(
                f"float64 does not resolve tol={tol:g} in {len(lost)} of {len(rounding)} problems: C times the kernel "
                f"is so large that rounding hides a gap of {rounding[worst]:.2g} in problem {worst}. Scale the "
                "features, as StandardScaler does, or take a smaller C or a larger tol",
                ConvergenceWarning,
                stacklevel=4,
            )
        late = np.flatnonzero((self.dual_gap_ >= tol) & (self.dual_gap_ >= rounding))
        if len(late):
            worst = late[self.dual_gap_[late].argmax()]
            warnings.warn(
                f"max_iter={max_iter} steps ended {len(late)} of {len(self.dual_gap_)} problems before tol={tol:g} was "
                f"reached; the gap is still {self.dual_gap_[worst]:.2g} in problem {worst}. Scale the data, or "
                "take a smaller C or a larger max_iter",
                ConvergenceWarning,
                stacklevel=4,
            )


def _blocks_of(K: Array | CachedRows, first: slice, second: slice) -> Array | CachedRows:
    """Return the kernel matrix of two stretches of the samples."""
    if isinstance(K, CachedRows):
        return K.part(np.r_[first, second])
    return np.block([[K[first, first], K[first, second]], [K[second, first], K[second, second]]])


def _duels(values: Array, n_classes: int) -> Array:
    """Return the scores of the classes from the values of their duels, shape (n, n_classes)."""
    sides = np.zeros((values.shape[1], n_classes))
    for duel, (first, second) in enumerate(combinations(range(n_classes), 2)):
        sides[duel, first], sides[duel, second] = 1, -1
    wins = (np.where(values > 0, 1, -1) @ sides + n_classes - 1) / 2
    sums = values @ sides
    return wins + sums / (3 * (np.abs(sums) + 1))
