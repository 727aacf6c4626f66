"""What `fit`, `evaluate` and `predict` ask of their arguments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nnkit.checks import as_array, finite_array, instance, with_methods
from nnkit.module import Module
from nnkit.typing import Array

if TYPE_CHECKING:
    from nnkit.training import Callback, Metric, Metrics


def dtype_of(model: Module) -> np.dtype[Any] | None:
    """Return the dtype of a model's parameters; None if it has none."""
    instance("model", model, Module, "a Module such as Sequential")
    parameters = model.parameters()
    return parameters[0].data.dtype if parameters else None


def training_data(model: Module, X: Any, y: Any, X_name: str, y_name: str) -> tuple[Array, Array]:
    """Return inputs and targets as finite arrays of one length, in the model's dtype; one array where they are one."""
    dtype = dtype_of(model)
    given, X, y = X, finite_array(X_name, X, dtype), as_array(y_name, y)
    if y.dtype.kind == "f":
        y = X if y is given else finite_array(y_name, y, dtype)
    if X.ndim == 0 or y.ndim == 0 or len(X) == 0 or len(X) != len(y):
        raise ValueError(
            f"{X_name} and {y_name} must hold the same number of samples, at least one; "
            f"got shapes {X.shape} and {y.shape}"
        )
    return X, y


def check_batches(model: Module, n: int, batch_size: int) -> None:
    """Raise ValueError if the smallest batch of an epoch has too few samples for a layer in training mode."""
    smallest = n % batch_size or batch_size if batch_size < n else n
    for name, module in model.named_modules():
        if module.training and smallest < module.min_batch_size:
            raise ValueError(
                f"batch_size must leave no batch with fewer than {module.min_batch_size} samples, which "
                f"{name or 'model'}, {module!r}, cannot train on; got {batch_size} for {n} samples, of which the last "
                f"batch has {smallest}"
            )


def named_metrics(metrics: Metrics) -> dict[str, Metric]:
    """Return each metric under its name."""
    if metrics is None:
        return {}
    given: Any = metrics
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise TypeError(f"metrics must be a dict or a list of functions; got {given!r}")
    named: dict[Any, Any] = dict(given) if isinstance(given, Mapping) else dict(enumerate(given))
    for key, function in named.items():
        if not callable(function):
            raise TypeError(f"metrics[{key!r}] must be a function; got {function!r}")
    if not isinstance(given, Mapping):
        functions = list(named.values())
        names = [getattr(function, "__name__", "") for function in functions]
        if not all(names) or len(set(names)) < len(names):
            raise ValueError(f"metrics must be a dict where functions lack names of their own; got {functions}")
        named = dict(zip(names, functions, strict=True))
    for name in named:
        instance("each name in metrics", name, str, "a string")
        if name in ("loss", "seconds") or name.startswith("val_"):
            raise ValueError(f"metrics must not use the name {name!r}, which the history needs itself")
    return named


def checked_callbacks(callbacks: Any) -> list[Callback]:
    """Return the callbacks as a list, each with the methods that `fit` calls."""
    if not isinstance(callbacks, Iterable):
        raise TypeError(f"callbacks must be a list of callbacks; got {callbacks!r}")
    found = list(callbacks)
    for i, callback in enumerate(found):
        methods = ("on_train_begin", "on_epoch_end", "on_train_end")
        with_methods(f"callbacks[{i}]", callback, methods, "a Callback such as EarlyStopping()")
    return found
