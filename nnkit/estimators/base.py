"""What the estimators share: checks, a `fit` that succeeds or changes nothing, and the training of a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from nnkit.checks import chosen, generator, whole_number
from nnkit.initializers import Initializer
from nnkit.losses import Loss
from nnkit.module import Module
from nnkit.optimizers import OPTIMIZERS, Optimizer
from nnkit.training import fit
from nnkit.typing import Array

Fit = TypeVar("Fit", bound=Callable[..., Any])

FLOATS = (np.float64, np.float32)  # Other numbers become float64.


def all_or_nothing(fit: Fit) -> Fit:
    """Make a `fit` that fails leave the estimator as it was, with what it had learned before."""

    @wraps(fit)
    def whole(estimator: Any, /, *args: Any, **kwargs: Any) -> Any:
        before = vars(estimator).copy()
        try:
            return fit(estimator, *args, **kwargs)
        except BaseException:  # Also KeyboardInterrupt: after stopping a cell, the last good fit is still there.
            vars(estimator).clear()
            vars(estimator).update(before)
            raise

    return whole  # type: ignore[return-value]


def one_of(name: str, value: Any, options: Sequence[str]) -> str:
    """Return `value` if it is one of the options, or raise ValueError that lists them."""
    if not (isinstance(value, str) and value in options):
        raise ValueError(f"{name} must be one of {list(options)}; got {value!r}")
    return value


def flag(name: str, value: Any) -> bool:
    """Return `value` as a bool, or raise TypeError if it is not one: ``"no"`` would be true."""
    if not isinstance(value, (bool, np.bool_, int, np.integer)):
        raise TypeError(f"{name} must be True or False; got {value!r}")
    return bool(value)


def random_generator(random_state: Any) -> np.random.Generator:
    """Return the generator for a ``random_state``: None, a seed, a Generator, or a RandomState to seed it."""
    if random_state is np.random or isinstance(random_state, np.random.RandomState):
        random_state = check_random_state(random_state).randint(2**32, size=4, dtype=np.uint32)
    return generator("random_state", random_state)


def checked_classes(classifier: Any, X: Any, y: Any, least: int = 2) -> tuple[Array, Array, Array]:
    """Return inputs and labels as arrays, and the index of each label in `classes_`, which is set here."""
    X, y = validate_data(classifier, X, y, dtype=FLOATS)
    check_classification_targets(y)
    classifier.classes_, targets = np.unique(y, return_inverse=True)
    if len(classifier.classes_) < least:
        raise ValueError(f"y must hold at least two classes; got one class, {classifier.classes_[0]!r}")
    return X, y, targets


def checked_queries(estimator: Any, X: Any) -> Array:
    """Return the data for an estimator that must be fitted, as an array with as many features."""
    check_is_fitted(estimator)
    return validate_data(estimator, X, dtype=FLOATS, reset=False)


@dataclass(eq=False, repr=False, kw_only=True)
class NetworkEstimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """An estimator whose parameters describe a network and its training.

    Estimators are data classes, which set each parameter as it is given, as scikit-learn asks.
    """

    optimizer: str | Callable[..., Optimizer] = "adam"
    lr: float = 1e-3
    batch_size: int = 128
    max_epochs: int = 20
    weight_decay: float = 0.0
    init: str | Initializer = "kaiming_uniform"
    random_state: int | np.random.RandomState | np.random.Generator | None = None
    verbose: bool = False

    def _hidden_widths(self) -> list[int]:
        hidden: Any = self.hidden_layer_sizes
        hidden = list(hidden) if isinstance(hidden, (list, tuple, range, np.ndarray)) else [hidden]
        return [whole_number(f"hidden_layer_sizes[{i}]", width, least=1) for i, width in enumerate(hidden)]

    def _train(self, model: Module, loss: Loss, X: Array, y: Array, rng: np.random.Generator, **options: Any) -> None:
        """Train `model` as the parameters say, with further `options` of `fit`; set `history_` and `n_iter_`."""
        make_optimizer = chosen("optimizer", self.optimizer, OPTIMIZERS, ("params",), ("lr", "weight_decay"))
        optimizer = make_optimizer(model.parameters(), lr=self.lr, weight_decay=self.weight_decay)
        epochs, progress = whole_number("max_epochs", self.max_epochs, least=1), flag("verbose", self.verbose)
        options |= {"epochs": epochs, "batch_size": self.batch_size, "rng": rng, "progress": progress}
        self.history_ = fit(model, loss, optimizer, X, y, **options)
        self.n_iter_ = self.history_.n_epochs
