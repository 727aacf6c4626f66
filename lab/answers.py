"""Right and wrong answers, test digit by test digit: packed into a row of a result, and read from many rows."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nnkit.typing import Array


def packed(right: Any) -> str:
    """Return which answers of a run are right as one line of text, about 700 characters for 10,000 digits.

    Parameters
    ----------
    right : array_like of bool, shape (n_digits,)
        Whether the answer to each test digit is right. `answers` gives it back.
    """
    right = np.asarray(right)
    if right.dtype != bool or right.ndim != 1 or len(right) == 0:
        raise TypeError(f"right must hold a boolean for each digit; got dtype {right.dtype} and shape {right.shape}")
    # The first byte says how many bits fill up the last one.
    bits = bytes([-len(right) % 8]) + np.packbits(right).tobytes()
    return base64.b64encode(zlib.compress(bits, 9)).decode("ascii")


def answers(rows: Sequence[Mapping[str, Any]], store: str = "NAME", *, key: str = "right") -> Array:
    """Return which answers of several runs are right, test digit by test digit.

    Parameters
    ----------
    rows : sequence of dict
        One for each run: rows of `load_store` or `load_result`, or the ``result`` of such rows. All runs must have
        answered the same digits.
    store : str, optional
        The name of their experiment, for the message that says how to make a store with answers.
    key : str, default "right"
        The name under which each row holds what `packed` returned.

    Returns
    -------
    ndarray of bool, shape (n_runs, n_digits)
        In the order of the rows. `interval` resamples its two axes, runs and digits.
    """
    if len(rows) == 0:
        raise ValueError("rows must hold at least one run; got none")
    found = []
    for i, row in enumerate(rows):
        result = row.get("result", row)
        if key not in result:
            raise ValueError(
                f"rows must say which digits each run got right, as {key!r}; rows[{i}] does not, so its store is older "
                f"than that: make replicate ONLY={store} repeats it"
            )
        found.append(_unpacked(f"rows[{i}][{key!r}]", result[key]))
    if len(lengths := {len(right) for right in found}) > 1:
        raise ValueError(f"rows must all have answered the same digits; got {sorted(lengths)} of them")
    return np.array(found)


def _unpacked(name: str, text: Any) -> Array:
    try:
        padding, *packed_bits = zlib.decompress(base64.b64decode(text, validate=True))
    except (TypeError, ValueError, binascii.Error, zlib.error) as error:
        raise ValueError(f"{name} must be what lab.answers.packed returns; got {str(text)[:40]!r}") from error
    bits = np.unpackbits(np.array(packed_bits, np.uint8))
    return bits[: len(bits) - padding].astype(bool)
