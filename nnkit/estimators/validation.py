"""What all estimators ask of their parameters and their data, and what a `fit` that fails leaves behind: nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from nnkit.checks import generator
from nnkit.typing import Array

Estimator = TypeVar("Estimator")
Arguments = ParamSpec("Arguments")
Fit = Callable[Concatenate[Estimator, Arguments], Estimator]

FLOATS = (np.float64, np.float32)
"""The dtypes that data may have; other numbers become float64."""


def all_or_nothing(fit: Fit[Estimator, Arguments]) -> Fit[Estimator, Arguments]:
    """Make a `fit` that does not come to its end leave the estimator as it was, with what it had learned before."""

    @wraps(fit)
    def whole(estimator: Estimator, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Estimator:
        before = vars(estimator).copy()
        try:
            return fit(estimator, *args, **kwargs)
        except BaseException:  # Also KeyboardInterrupt: who stops a cell goes on with the last good fit.
            vars(estimator).clear()
            vars(estimator).update(before)
            raise

    return whole


def one_of(name: str, value: Any, options: Sequence[str]) -> str:
    """Return `value` if it is one of the options, or raise ValueError that lists them."""
    if not (isinstance(value, str) and value in options):
        raise ValueError(f"{name} must be one of {list(options)}; got {value!r}")
    return value


def flag(name: str, value: Any) -> bool:
    """Return `value` as a bool, or raise TypeError where it is something else: ``"no"`` would be true."""
    if not isinstance(value, (bool, np.bool_, int, np.integer)):
        raise TypeError(f"{name} must be True or False; got {value!r}")
    return bool(value)


def random_source(random_state: Any) -> np.random.RandomState | np.random.Generator:
    """Return the RandomState that is given, or else a Generator: the one given, or one from the seed or from None."""
    if random_state is np.random or isinstance(random_state, np.random.RandomState):
        return check_random_state(random_state)
    return generator("random_state", random_state)


def checked_classes(classifier: Any, X: Any, y: Any, least: int = 2) -> tuple[Array, Array, Array]:
    """Return inputs and labels as arrays, and the place of each label among `classes_`, which is set here.

    Raises
    ------
    ValueError
        If they are not data for a classifier, or there are fewer than `least` classes.
    """
    X, y = validate_data(classifier, X, y, dtype=FLOATS)
    check_classification_targets(y)
    classifier.classes_, targets = np.unique(y, return_inverse=True)
    if len(classifier.classes_) < least:
        raise ValueError(f"y must hold at least two classes; got one class, {classifier.classes_[0]!r}")
    return X, y, targets
