"""The support vector machine: a classifier with the widest margin."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from itertools import combinations
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import check_is_fitted

from nnkit.checks import number, whole_number
from nnkit.estimators.base import all_or_nothing, checked_classes, checked_queries, one_of, random_generator
from nnkit.estimators.kernels import KERNELS, Kernel, blocks, gram, part_of, squared_lengths
from nnkit.estimators.smo import SMO
from nnkit.typing import Array


@dataclass(eq=False, repr=False)
class SVC(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A support vector machine for classification, trained by sequential minimal optimization (`SMO`).

    Parameters
    ----------
    C : float, default 1
        The price of violating the margin: a smaller price gives a wider margin.
    kernel : {"linear", "poly", "rbf"}, default "rbf"
        ``x @ z``, ``(gamma * x @ z + coef0) ** degree`` or ``exp(-gamma * |x - z|**2)``.
    degree, gamma, coef0, class_weight, random_state
        As in scikit-learn; nothing is random here. "balanced" weights come from the whole of `y` in every problem.
    tol : float, default 0.001
        The gap at which a problem counts as solved.
    cache_size : float, default 1000
        The megabytes that a kernel matrix may take. If it does not fit, rows are computed when they are needed, and
        as many as fit are kept.
    max_iter : int, default -1
        The most steps for a problem; -1 is a million, or a hundred times the number of samples if that is more.
    multi_class : {"ovr", "ovo"}, default "ovr"
        How more than two classes are trained: one problem for each class against the rest, or one for each pair of
        classes. scikit-learn's always trains pairs.
    decision_function_shape : {"ovr", "ovo"}, default "ovr"
        As in scikit-learn; "ovo" needs ``multi_class="ovo"``.

    Attributes
    ----------
    classes_, n_features_in_, feature_names_in_, support_vectors_, n_support_
        As in scikit-learn.
    support_ : ndarray of int, shape (n_support,)
        The samples that are support vectors in any problem, in the order of the data, not of the classes.
    dual_coef_ : ndarray of float64, shape (n_problems, n_support)
        Their multipliers in each problem, times their labels in it: 1 for the second of two classes; for each class
        under "ovr"; for the first of each pair under "ovo", in the order ``(0, 1), (0, 2), ..., (1, 2), ...``. With
        more than two classes scikit-learn's has the shape (n_classes - 1, n_support): each column holds the multipliers
        of a vector against the other classes.
    intercept_, dual_objective_, n_iter_, dual_gap_ : ndarray, shape (n_problems,)
        The biases; the maxima of the dual problems; the numbers of steps; and by how much the conditions of Karush,
        Kuhn and Tucker are missed. A `ConvergenceWarning` says if that is more than `tol`, because `max_iter` came
        first, or because float64 does not resolve `tol` in so large kernels.
    kernel_ : Kernel
        The kernel with its `gamma` as a number, to be called with two sets of points.

    Notes
    -----
    For float32 data the kernel is float32, which takes half the memory and time, as long as its rounding is below
    `tol`; otherwise it is float64. Coefficients and slopes are always float64. All problems share one kernel matrix.
    """

    C: float = 1.0
    _: KW_ONLY
    kernel: str = "rbf"
    degree: int = 3
    gamma: str | float = "scale"
    coef0: float = 0.0
    tol: float = 1e-3
    cache_size: float = 1000
    class_weight: dict[Any, float] | str | None = None
    max_iter: int = -1
    multi_class: str = "ovr"
    decision_function_shape: str = "ovr"
    random_state: Any = None

    @all_or_nothing
    def fit(self, X: Any, y: Any) -> Self:
        """Find the support vectors of `X`, shape (n, n_features), for `y`, shape (n,); if it fails, nothing changes."""
        X, y, targets = checked_classes(self, X, y)
        tol = number("tol", self.tol, above=0)
        max_iter = max(1_000_000, 100 * len(X)) if self.max_iter == -1 else self.max_iter
        max_iter = whole_number("max_iter", max_iter, least=1)
        C = number("C", self.C, above=0) * self._class_weights(y)[targets]
        random_generator(self.random_state)
        self.kernel_ = self._kernel(X)
        self._multi_class = one_of("multi_class", self.multi_class, ("ovr", "ovo"))
        self._shape = one_of("decision_function_shape", self.decision_function_shape, ("ovr", "ovo"))
        if (self._multi_class, self._shape) == ("ovr", "ovo"):
            raise ValueError("decision_function_shape='ovo' needs multi_class='ovo': \"ovr\" trains no pairs")
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
        self.n_support_ = np.bincount(targets[self.support_], minlength=len(self.classes_))
        self.dual_coef_ = np.array([coef[self.support_] for coef in coefs])
        self.intercept_, self.dual_objective_, self.dual_gap_, rounding, n_iter = np.array(problems).T.copy()
        self.n_iter_ = n_iter.astype(np.int64)
        self._warn_of_gaps(tol, max_iter, rounding)
        return self

    def predict(self, X: Any) -> Array:
        """Return the label of each sample with the greatest score, shape (n,)."""
        scores = self._scores(X, "ovr")
        return self.classes_[(scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)]

    def decision_function(self, X: Any) -> Array:
        """Return the scores that decide, shape (n,), (n, n_classes) or (n, n_pairs), as `decision_function_shape` says.

        For two classes, a score above 0 is for the second one. After training in pairs, the score of a class is the
        number of duels it wins, plus less than a half that grows with the sum of its values in them; with "ovo", the
        value of a duel is above 0 for the first of the pair.
        """
        check_is_fitted(self)
        return self._scores(X, self._shape)

    @property
    def coef_(self) -> Array:
        """The normal vectors, shape (n_problems, n_features), read-only; for the linear kernel alone."""
        check_is_fitted(self)
        if self.kernel_.name != "linear":
            raise AttributeError(f"coef_ is there for the linear kernel alone; got kernel={self.kernel_.name!r}")
        coef = self.dual_coef_ @ self.support_vectors_
        coef.flags.writeable = False  # It is computed at each access, so that what is written to it would be lost.
        return coef

    def _scores(self, X: Any, shape: str) -> Array:
        X = checked_queries(self, X).astype(self.support_vectors_.dtype, copy=False)
        values = np.empty((len(X), len(self.intercept_)))
        with np.errstate(over="ignore", invalid="ignore"):
            for rows in blocks(len(X), len(self.support_) * X.itemsize):
                values[rows] = self.kernel_(X[rows], self.support_vectors_) @ self.dual_coef_.T
        if not np.isfinite(values).all():
            raise ValueError(f"X must be scaled: its {self.kernel_.name} kernel is not finite as {X.dtype}")
        values += self.intercept_
        if len(self.classes_) == 2:
            return values[:, 0]
        return _duels(values, len(self.classes_)) if (self._multi_class, shape) == ("ovo", "ovr") else values

    def _class_weights(self, y: Array) -> Array:
        if isinstance(self.class_weight, dict):
            for label, weight in self.class_weight.items():
                number(f"class_weight[{label!r}]", weight, above=0)
        return compute_class_weight(self.class_weight, classes=self.classes_, y=y)

    def _kernel(self, X: Array) -> Kernel:
        kernel = one_of("kernel", self.kernel, KERNELS)
        if isinstance(self.gamma, str):
            with np.errstate(over="ignore"):
                scale = one_of("gamma", self.gamma, ("scale", "auto")) == "scale"
                variance = float(X.var(dtype=np.float64)) if scale else 1.0
            gamma = 1 / (X.shape[1] * variance) if variance > 0 else 1.0
        else:
            gamma = number("gamma", self.gamma, above=0)
        return Kernel(kernel, gamma, whole_number("degree", self.degree, least=1), number("coef0", self.coef0))

    def _precise(self, X: Array, C: float, tol: float) -> Array:
        """Return `X` in float64, or in float32 if it came so and the rounding of its kernel is below `tol`."""
        with np.errstate(over="ignore", invalid="ignore"):
            lengths = squared_lengths(X, np.float64)
            largest, longest = float(self.kernel_.diagonal(lengths).max()), float(lengths.max())
        eps, most = float(np.finfo(np.float32).eps), float(np.finfo(np.float32).max)
        # What the roundings of n terms, each up to C times the kernel, come to in a slope.
        if C * largest * len(X) ** 0.5 * eps > tol or longest > most:
            X = X.astype(np.float64, copy=False)
        if not np.isfinite([largest, longest]).all():
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
            K = gram(self.kernel_, X, max_bytes / 2)  # The other half is for its parts.
            for first, second in combinations(range(n_classes), 2):
                samples = np.flatnonzero((targets == first) | (targets == second))
                yield samples, np.where(targets[samples] == first, 1.0, -1.0), part_of(K, samples)

    def _warn_of_gaps(self, tol: float, max_iter: int, rounding: Array) -> None:
        gaps, lost = self.dual_gap_, (rounding >= tol) & (self.dual_gap_ < rounding)
        unresolved = f"float64 does not resolve tol={tol:g}, since C times the kernel is so large,"
        ended = f"max_iter={max_iter} steps did not reach tol={tol:g}"
        for what, which in ((unresolved, lost), (ended, (gaps >= tol) & ~lost)):
            if which.any():
                advice = "Scale X, as StandardScaler does, or take a smaller C, or a larger tol or max_iter"
                message = f"{what} in {which.sum()} of {len(gaps)} problems; dual_gap_ has the gaps. {advice}"
                warnings.warn(message, ConvergenceWarning, stacklevel=4)


def _duels(values: Array, n_classes: int) -> Array:
    """Return the scores of the classes from the values of their duels, shape (n, n_classes)."""
    sides = np.zeros((values.shape[1], n_classes))
    for duel, (first, second) in enumerate(combinations(range(n_classes), 2)):
        sides[duel, first], sides[duel, second] = 1, -1
    wins = (np.where(values > 0, 1, -1) @ sides + n_classes - 1) / 2
    sums = values @ sides
    return wins + sums / (3 * (np.abs(sums) + 1))
