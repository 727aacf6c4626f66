"""Checks of arguments; each error names the argument, what came and what was expected."""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, wraps
from operator import ge, gt, le, lt
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from nnkit.typing import Array

Function = TypeVar("Function")
Item = TypeVar("Item")
Bound = float | None


def float_array(name: str, value: Any, dtype: DTypeLike | None = None) -> Array:
    """Return real numbers as a floating-point array, of `dtype` if given; by default, integers become float32."""
    if type(value) is np.ndarray and value.dtype.kind == "f" and (dtype is None or value.dtype == dtype):
        return value
    array = as_array(name, value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers; got dtype {array.dtype}")
    if dtype is None:
        dtype = array.dtype if array.dtype.kind == "f" else np.float32
    return array.astype(dtype, copy=False)


def float_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """Return `dtype` as a floating-point dtype, or raise TypeError."""
    if np.dtype(dtype).kind != "f":
        raise TypeError(f"dtype must be a floating-point dtype such as float32; got {np.dtype(dtype)}")
    return np.dtype(dtype)


def as_array(name: str, value: Any) -> Array:
    """Return `value` as an array of whatever dtype it has, or raise ValueError if its rows are of unequal lengths."""
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} must be an array, or lists of which all have one length; got {error}") from error


def finite_array(name: str, value: Any, dtype: DTypeLike | None = None) -> Array:
    """Return `value` as `float_array` does, and raise ValueError if any of it is then NaN or infinite."""
    with np.errstate(over="ignore", invalid="ignore"):
        array = float_array(name, value, dtype)
        # One sum sees every NaN and infinity, and needs no array of booleans as large as the data.
        total = array.sum()
    if not np.isfinite(total):
        finite = np.isfinite(array)
        if not finite.all():
            first = tuple(int(i) for i in np.argwhere(~finite)[0])
            raise ValueError(
                f"{name} must be finite as {array.dtype}; got {int((~finite).sum())} NaN or infinite "
                f"of {array.size} values, the first at index {first}"
            )
    return array


def whole_or_strings(name: str, classes: Array) -> Array:
    """Return `classes` as int64 or as they are if they are strings; raise ValueError if int64 would change them."""
    if classes.dtype.kind == "U":
        return classes
    with np.errstate(invalid="ignore"):
        whole = classes.astype(np.int64)
    if (changed := whole != classes).any():
        raise ValueError(f"{name} must hold classes; got values such as {classes[changed][0]}")
    return whole


def class_array(name: str, values: Any) -> Array:
    """Return numbers or strings without NaN, of shape (n,) or, for numbers and k at least 2, (n, k)."""
    if np.ma.is_masked(values):
        raise ValueError(f"{name} must not hold masked values, which are no class; drop those samples")
    array = as_array(name, values)
    if array.dtype.kind in "OT" or (array.dtype.kind == "U" and not isinstance(values, np.ndarray)):
        array = np.array(values, dtype=object)  # NumPy reads ["a", nan] and ["a", 1] as strings.
        if others := [entry for entry in array.flat if not isinstance(entry, str)]:
            raise TypeError(f"{name} must hold numbers of a numeric dtype, or only strings; got {shown(others[0])}")
        array = array.astype(str)
    if array.dtype.kind not in "fiubU":
        raise TypeError(f"{name} must hold numbers or strings; got dtype {array.dtype}")
    if array.ndim not in (1, 2) or 0 in array.shape[1:] or (array.dtype.kind == "U" and array.shape[1:] > (1,)):
        raise ValueError(f"{name} must have shape (n,), or (n, k) for scores; got {array.shape}")
    if array.dtype.kind == "f" and len(bad := np.argwhere(np.isnan(array))):
        first = tuple(bad[0].tolist())
        raise ValueError(f"{name} must not hold NaN; got {len(bad)} of {array.size} values, the first at {first}")
    return array[:, 0] if array.shape[1:] == (1,) else array


def true_classes(y_true: Array, y_pred: Array) -> Array:
    """Return the true classes, or raise ValueError if `y_true` holds scores."""
    swapped = "y_true must hold classes; got scores such as {}: y_true and y_pred look swapped"
    if y_true.ndim == 2:
        soft = y_true.min(initial=0) >= 0 and np.allclose(y_true.sum(axis=1), 1, atol=1e-3)
        if not (_one_hot(y_true) or (soft and y_pred.ndim == 2 and not _one_hot(y_pred))):
            raise ValueError(swapped.format(y_true[0]))
        if ((y_true == y_true.max(axis=1, keepdims=True)).sum(axis=1) > 1).any():
            raise ValueError("each row of y_true must have one largest entry; got rows with several")
        return y_true.argmax(axis=1)
    if y_true.dtype.kind == "f" and (fractions := y_true[y_true != np.rint(y_true)]).size:
        raise ValueError(swapped.format(fractions[0]))
    return whole_or_strings("y_true", y_true)


def _one_hot(rows: Array) -> bool:
    return bool(((rows == 0) | (rows == 1)).all() and (rows.sum(axis=1) == 1).all())


def same_kind(name: str, classes: Array, other: str, others: Array) -> None:
    """Raise TypeError unless both arrays hold numbers or both hold strings."""
    if classes.dtype.kind != others.dtype.kind:
        got = f"{classes[0].item()!r} and {others[0].item()!r}"
        raise TypeError(f"{name} and {other} must both hold numbers or both strings; got {got}")


def same_shape(name: str, array: Array, shape: tuple[int, ...], of: str) -> None:
    """Raise ValueError unless `array` has the shape of the thing that `of` names."""
    # Every layer asks this in each backward pass, so what is no array is only looked for once it has failed.
    try:
        if array.shape == shape:
            return
    except AttributeError:
        raise TypeError(f"{name} must be an array of the shape of {of}, {shape}; got {shown(array)}") from None
    raise ValueError(f"{name} must have the shape of {of}, {shape}; got {array.shape}")


def number(
    name: str, value: Any, *, above: Bound = None, least: Bound = None, below: Bound = None, most: Bound = None
) -> float:
    """Return `value` as a float inside the stated bounds, or raise an error that states them."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a number; got {value!r}")
    bounds = ((above, "above", gt), (least, "at least", ge), (below, "below", lt), (most, "at most", le))
    stated = [(bound, words, holds) for bound, words, holds in bounds if bound is not None]
    if not (np.isfinite(value) and all(holds(value, bound) for bound, _, holds in stated)):
        expected = " and ".join(f"{words} {bound}" for bound, words, _ in stated)
        raise ValueError(f"{name} must be a finite number {expected}".rstrip() + f"; got {value!r}")
    return float(value)


def whole_number(name: str, value: Any, *, least: int) -> int:
    """Return `value` as an int that is at least `least`, or raise an error that says so."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be a whole number; got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}; got {value}")
    return int(value)


def chosen(
    name: str,
    value: Any,
    options: Mapping[str, Function],
    arguments: Sequence[str] | None = None,
    keywords: Sequence[str] = (),
) -> Function:
    """Return the option that `value` names, or `value` itself if it is a function, of these arguments if given.

    Raises ValueError with the options if there is none of that name, and TypeError if it cannot be called so: an object
    in place of its class is the usual mistake.
    """
    if not callable(value):
        if not isinstance(value, str) or value not in options:
            raise ValueError(f"{name} must be one of {sorted(options)} or a function; got {value!r}")
        return options[value]
    try:
        if arguments is not None:
            inspect.signature(value).bind(*arguments, **dict.fromkeys(keywords))
    except ValueError:
        pass  # Some functions in C do not tell.
    except TypeError as error:
        call = ", ".join([*arguments, *(f"{keyword}=..." for keyword in keywords)]) if arguments is not None else ""
        raise TypeError(f"{name} must be a function to be called with ({call}); got {value!r}: {error}") from None
    return value


def entries(name: str, value: Any, count: int, expected: str) -> tuple[Any, ...]:
    """Return the entries of `value`, or raise an error that says what is `expected` if they are not `count`."""
    try:
        found = tuple(value)
    except TypeError:
        raise TypeError(f"{name} must be {expected}; got {shown(value)}") from None
    if len(found) != count:
        raise ValueError(f"{name} must be {expected}; got {shown(value)}")
    return found


def instance(name: str, value: Any, kind: type, expected: str) -> None:
    """Raise TypeError unless `value` is a `kind`, which `expected` says in words."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be {expected}; got {value!r}{_parentheses(value)}")


def with_methods(name: str, value: Any, methods: tuple[str, ...], expected: str) -> None:
    """Raise TypeError unless `value` is an object with these methods; a class has them too, and is refused."""
    if isinstance(value, type) or not all(callable(getattr(value, method, None)) for method in methods):
        having = " and ".join(methods)
        raise TypeError(f"{name} must be {expected}, which has {having}; got {value!r}{_parentheses(value)}")


def generator(name: str, rng: Any) -> np.random.Generator:
    """Return the generator that `rng` is, or that it seeds, or raise an error that says what may be given."""
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        expected = "a numpy.random.Generator or a whole number that is at least 0"
        raise type(error)(f"{name} must be {expected}; got {rng!r}") from error


def probabilities(name: str, target: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return n classes from 0 to k - 1 as one-hot rows, or rows of probabilities as they are, of shape (n, k)."""
    target, (n, k) = np.asarray(target), shape
    if target.shape == (n,) and target.dtype.kind in "iu":
        # Read as unsigned, a negative class is a huge one: one pass finds both ends.
        if target.astype(np.int64, copy=False).view(np.uint64).max() >= k:
            expected = f"classes from 0 to {k - 1}, since pred has {k} columns"
            raise ValueError(f"{name} must hold {expected}; got values from {target.min()} to {target.max()}")
        return _identity(k, dtype).take(target, axis=1).T  # in column order, as log_softmax has it
    if target.shape != shape:
        expected = f"{n} integer classes, or probabilities of shape {shape}"
        raise ValueError(f"{name} must hold {expected}; got shape {target.shape} and dtype {target.dtype}")
    target = finite_array(name, target, dtype)
    sums = target.sum(axis=1, dtype=np.float64)
    if target.min() < 0 or np.abs(sums - 1).max() > 1e-3:
        got = f"values from {target.min():g} and sums from {sums.min():g} to {sums.max():g}"
        raise ValueError(f"{name} must hold probabilities in each row, at least 0 and with sum 1; got {got}")
    return target


@lru_cache(maxsize=16)
def _identity(k: int, dtype: np.dtype[Any]) -> Array:
    return np.eye(k, dtype=dtype)


def distinct(name: str, values: Any, kind: type[Item]) -> list[Item]:
    """Return each value once, at least one; raise an error if one is not a `kind`."""
    instance(name, values, Iterable, f"a list of {kind.__name__}s")
    found = list({id(value): value for value in values}.values())
    if not found:
        raise ValueError(f"{name} must hold at least one {kind.__name__}; got none")
    for i, value in enumerate(found):
        instance(f"{name}[{i}]", value, kind, f"a {kind.__name__}")
    return found


def checked_state(
    state: Any, own: Mapping[str, Array], owner: str, nonnegative_names: Iterable[str], others: Sequence[str] = ()
) -> dict[str, Array]:
    """Return copies of the arrays in a state, which must be like `own`; it also holds `others`, for the caller."""
    instance("state", state, Mapping, "what state_dict returned")
    missing, unexpected = sorted({*own, *others} - state.keys()), sorted(state.keys() - {*own, *others})
    if missing or unexpected:
        raise KeyError(f"state does not match {owner}: missing {missing}, unexpected {unexpected}")
    arrays = {name: np.array(finite_array(f"state[{name!r}]", state[name], own[name].dtype)) for name in own}
    for name, array in arrays.items():
        same_shape(f"state[{name!r}]", array, own[name].shape, f"{name} in {owner}")
        if name in nonnegative_names and array.size and array.min() < 0:
            raise ValueError(f"state[{name!r}] must hold no negative number; got {array.min():g}")
    return arrays


def samples(X_name: str, X: Any, y_name: str, y: Any, dtype: DTypeLike | None) -> tuple[Array, Array]:
    """Return inputs and targets, both `dtype` but for integers in `y`, as finite arrays of one length, or as one."""
    given, X, y = X, finite_array(X_name, X, dtype), as_array(y_name, y)
    if y.dtype.kind == "f":
        y = X if y is given else finite_array(y_name, y, dtype)
    if X.ndim == 0 or y.ndim == 0 or len(X) == 0 or len(X) != len(y):
        same = "must hold the same number of samples, at least one"
        raise ValueError(f"{X_name} and {y_name} {same}; got shapes {X.shape} and {y.shape}")
    return X, y


def named_metrics(metrics: Any) -> dict[str, Any]:
    """Return each metric under its name, or raise an error that says what `metrics` must be."""
    if metrics is None:
        return {}
    if isinstance(metrics, str) or not isinstance(metrics, Iterable):
        raise TypeError(f"metrics must be a dict or a list of functions; got {metrics!r}")
    if not isinstance(metrics, Mapping):
        functions = list(metrics)
        metrics = {getattr(function, "__name__", i): function for i, function in enumerate(functions)}
        unnamed = any(callable(function) and not isinstance(name, str) for name, function in metrics.items())
        if unnamed or len(metrics) < len(functions):
            raise ValueError(f"metrics must be a dict where functions lack names of their own; got {functions}")
    for name, function in metrics.items():
        if not callable(function):
            raise TypeError(f"metrics[{name!r}] must be a function; got {function!r}")
        instance("each name in metrics", name, str, "a string")
        if name in ("loss", "seconds") or name.startswith("val_"):
            raise ValueError(f"metrics must not use the name {name!r}, which the history needs itself")
    return dict(metrics)


def checked_data(
    model: Any, X: Any, y: Any, batch_size: int, validation_data: Any
) -> tuple[Array, Array, tuple[Array, Array] | None]:
    """Return the data for `fit` as arrays that fit the model, or raise an error that says what must be given."""
    with_methods("model", model, ("forward", "accumulate", "named_modules"), "a Module such as Sequential")
    dtype = next((parameter.data.dtype for parameter in model.parameters()), None)
    X, y = samples("X", X, "y", y, dtype)
    if validation_data is not None:
        X_val, y_val = entries("validation_data", validation_data, 2, "a pair (X, y)")
        validation_data = samples("validation_data[0]", X_val, "validation_data[1]", y_val, dtype)
    batch_size = min(whole_number("batch_size", batch_size, least=1), len(X))
    smallest = len(X) % batch_size or batch_size
    for name, module in model.train().named_modules():
        if module.training and smallest < module.min_batch_size:
            model.eval()
            raise ValueError(
                f"batch_size must leave at least {module.min_batch_size} samples for the last batch, since "
                f"{name or 'model'}, {module!r}, cannot train on fewer; got {batch_size} for {len(X)} samples"
            )
    return X, y, validation_data


def checked_parts(
    model: Any, loss: Any, optimizer: Any, scheduler: Any, metrics: Any, callbacks: Any, max_grad_norm: Any
) -> tuple[dict[str, Any], list[Any]]:
    """Return metrics and callbacks for `fit` in plain form, or raise an error that says which part cannot be used."""
    with_methods("loss", loss, ("__call__", "backward"), "a Loss such as MSELoss()")
    with_methods("optimizer", optimizer, ("zero_grad", "step", "not_finite"), "an Optimizer such as SGD")
    if not {id(p) for p in optimizer.params} & {id(p) for p in model.parameters()}:
        raise ValueError("optimizer must be made over the parameters of model; got one that shares none with it")
    if scheduler is not None:
        with_methods("scheduler", scheduler, ("step",), "a schedule such as StepLR")
    if getattr(scheduler, "optimizer", optimizer) is not optimizer:
        raise ValueError("scheduler must be made over the optimizer given here; got one made over another")
    if max_grad_norm is not None:
        number("max_grad_norm", max_grad_norm, above=0)
    instance("callbacks", callbacks, Iterable, "a list of callbacks")
    callbacks = list(callbacks)
    for i, callback in enumerate(callbacks):
        with_methods(f"callbacks[{i}]", callback, ("on_train_begin", "on_batch_end"), "a Callback like EarlyStopping()")
    return named_metrics(metrics), callbacks


def checked_forward(forward: Callable[[Any, Array], Array]) -> Callable[[Any, Any], Array]:
    """Wrap a forward pass with the check of its input."""

    @wraps(forward)
    def checked(self: Any, x: Any) -> Array:
        if type(self).forward is not checked:  # A subclass that calls this one has been checked already.
            return forward(self, x)
        x = float_array("x", x, _parameter_dtype(self))
        if self.in_features is not None and (x.ndim != 2 or x.shape[1] != self.in_features):
            raise ValueError(f"x must have shape (n, {self.in_features}) to enter {self!r}; got {x.shape}")
        if self.min_batch_size > 1 and self.training and len(x) < self.min_batch_size:
            raise ValueError(
                f"x must hold at least {self.min_batch_size} samples in training mode to enter {self!r}; "
                f"got shape {x.shape}; choose a batch_size that leaves no smaller batch, or call eval() first"
            )
        self.saved = self.output_shape = None  # A pass that fails leaves none to go back through.
        y = forward(self, x)
        self.output_shape = y.shape
        return y

    return checked


def checked_backward(backward: Callable[[Any, Array], Any]) -> Callable[[Any, Array], Any]:
    """Wrap a backward pass with the checks that a forward pass came before it and that `grad` fits its output."""

    @wraps(backward)
    def checked(self: Any, grad: Array) -> Any:
        if getattr(type(self), backward.__name__) is not checked:
            return backward(self, grad)
        if self.output_shape is None:
            raise RuntimeError(f"{type(self).__name__} must go forward once before each backward; there was no forward")
        same_shape("grad", grad, self.output_shape, "the output")
        result = backward(self, grad)
        if result is None and backward.__name__ == "backward":
            raise TypeError(f"{type(self).__name__}.backward must return dL/dx as an array; got None")
        self.saved = self.output_shape = None
        return result

    return checked


def _parameter_dtype(module: Any) -> np.dtype[Any] | None:
    """Return the dtype of the first parameter among a module's attributes, None if it has none of its own."""
    for value in vars(module).values():
        if type(value).__name__ == "Parameter":
            return value.data.dtype
    return None


def used_once(backward: Any) -> Any:
    """Wrap a loss's backward with the check that the loss was called since the last one."""

    @wraps(backward)
    def checked(self: Any) -> Array:
        if type(self).backward is not checked:
            return backward(self)
        if self.saved is None:
            raise RuntimeError(f"{type(self).__name__} must be called once before each backward; it was not")
        grad: Array = backward(self)
        self.saved = None
        return grad

    return checked


def shown(value: Any) -> str:
    """Return how an error shows what may be large: an array by its shape, anything else by its beginning."""
    return f"an array of shape {value.shape}" if isinstance(value, np.ndarray) else reprlib.repr(value)


def _parentheses(value: Any) -> str:
    return f"; write {value.__name__}(...) with parentheses" if isinstance(value, type) else ""
