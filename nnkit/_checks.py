"""Checks of arguments; each error names the argument, what came and what was expected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]
Function = TypeVar("Function")


def float_array(name: str, value: Any, dtype: DTypeLike | None = None) -> Array:
    """Return `value` as a floating-point array, copied only where that is needed.

    Parameters
    ----------
    name : str
        What the caller calls this argument; used in the error.
    value : array_like
        Real numbers of any dtype.
    dtype : dtype, optional
        The wanted dtype. Without it, floating-point input keeps its own and integers become float32.

    Raises
    ------
    TypeError
        If the values are not real numbers.
    """
    if type(value) is np.ndarray and value.dtype.kind == "f" and (dtype is None or value.dtype == dtype):
        return value
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers; got dtype {array.dtype}")
    if dtype is None:
        dtype = array.dtype if array.dtype.kind == "f" else np.float32
    return array.astype(dtype, copy=False)


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


def same_shape(name: str, array: Array, shape: tuple[int, ...], of: str) -> None:
    """Raise ValueError unless `array` has the shape of the thing that `of` names."""
    if array.shape != shape:
        raise ValueError(f"{name} must have the shape of {of}, {shape}; got {array.shape}")


def number(
    name: str,
    value: Any,
    *,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
    most: float | None = None,
) -> float:
    """Return `value` as a float inside the stated bounds, or raise an error that states them."""
    expected = " and ".join(
        text
        for bound, text in (
            (above, f"above {above}"),
            (least, f"at least {least}"),
            (below, f"below {below}"),
            (most, f"at most {most}"),
        )
        if bound is not None
    )
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a number; got {value!r}")
    if (
        not np.isfinite(value)
        or (above is not None and value <= above)
        or (least is not None and value < least)
        or (below is not None and value >= below)
        or (most is not None and value > most)
    ):
        raise ValueError(f"{name} must be a finite number {expected}".rstrip() + f"; got {value!r}")
    return float(value)


def whole_number(name: str, value: Any, *, least: int) -> int:
    """Return `value` as an int that is at least `least`, or raise an error that says so."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be a whole number; got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}; got {value}")
    return int(value)


def chosen(name: str, value: Any, options: Mapping[str, Function]) -> Function:
    """Return the option that `value` names, or `value` itself if it is a function already.

    Raises
    ------
    ValueError
        If there is no option of that name; the message lists them.
    """
    if callable(value):
        return value
    if not isinstance(value, str) or value not in options:
        raise ValueError(f"{name} must be one of {sorted(options)} or a function; got {value!r}")
    return options[value]
