"""JSON for what a checkpoint and a store keep: NaN and infinities survive, and no text is larger than it may be."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

MOST_BYTES = 2**24
"""The most that one JSON text may have: the record of a checkpoint, a line of a store, a result, a notebook.

The largest that the book has is a sixteenth of it. What Python makes of a text can take some twenty times its size.
"""


def plain(name: str, value: Any) -> Any:
    """Return `value` in JSON's types, with NaN and the infinities, which JSON lacks, as ``{"$float": "nan"}``.

    Parameters
    ----------
    name : str
        What the caller calls `value`; used in the error.
    value : object
        Numbers, strings, None, lists and dicts of them; also tuples, and NumPy's numbers and arrays.

    Raises
    ------
    TypeError
        If it holds anything else, or a dict has a key that is no string.
    ValueError
        If it is nested deeper than Python can follow, as what holds itself.
    """
    try:
        return _plain(name, value)
    except RecursionError:
        raise ValueError(f"{name} must not be nested deeper than Python can follow; it may hold itself") from None


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": str(value)}
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str) or key == "$float":
                raise TypeError(f"{name} must have strings as keys, and not '$float'; got {key!r}")
        return {key: _plain(f"{name}[{key!r}]", item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(f"{name}[{i}]", item) for i, item in enumerate(value)]
    raise TypeError(f"{name} must be made of numbers, strings, None, lists and dicts; got a {type(value).__name__}")


def loads(text: bytes | str) -> Any:
    """Return what a JSON text holds, with the floats as they were before `plain`.

    Raises
    ------
    ValueError
        If it is no JSON, larger than `MOST_BYTES`, or nested deeper than Python can follow.
    """
    if len(text) > MOST_BYTES:
        raise ValueError(f"a JSON text must have at most {MOST_BYTES} bytes; got {len(text)}")
    try:
        return json.loads(text, object_hook=lambda item: float(item["$float"]) if item.keys() == {"$float"} else item)
    except RecursionError:
        raise ValueError("a JSON text must not be nested deeper than Python can follow") from None


def read_text(path: Path) -> str:
    """Return the JSON text of a file, of which no more is read than it may have.

    Raises
    ------
    ValueError
        If it is larger than `MOST_BYTES`, or not UTF-8.
    """
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"{path} must have at most {MOST_BYTES} bytes of JSON; it has more")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} must be JSON in UTF-8; got {error}") from error


def read_json(path: Path) -> Any:
    """Return what a JSON file holds; raise ValueError that names it if it is none, too large, or nested too deep."""
    text = read_text(path)
    try:
        return loads(text)
    except ValueError as error:
        raise ValueError(f"{path} must hold JSON: {error}") from error
