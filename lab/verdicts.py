"""The words in which measurements are judged, and the ratios of the benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from nnkit.typing import Array


class Verdict(StrEnum):
    """The outcome of a comparison. "Weaker" and "opposite" are the two ways not to replicate a direction."""

    REPLICATED = "replicated"
    BETTER = "better"
    IN_PART = "in part"
    FAILED = "did not replicate"
    WEAKER = "weaker"
    OPPOSITE = "opposite"
    NOT_MEASURED = "not measured"


FLOOR = "bare products"
"""The contestant of the benchmark that does only a step's matrix products: no program can be faster."""


@dataclass(frozen=True)
class Ratio:
    """The median and the quartiles of a ratio over the rounds of a benchmark."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


def ratios(row: dict[str, Any], contestant: str) -> Array:
    """Return how many times nnkit's time a contestant took, one a round; for the floor, nnkit's time over its.

    In one round both met the same load of the machine. The ``seconds`` of a row hold one number a round for each
    contestant; the name of nnkit's begins with "nnkit".
    """
    own = next(np.array(times) for name, times in row["seconds"].items() if name.startswith("nnkit"))
    other = np.array(row["seconds"][contestant])
    return own / other if contestant == FLOOR else other / own


def ratio(row: dict[str, Any], contestant: str) -> Ratio:
    """Return the median of the `ratios` and their quartiles."""
    low, median, high = np.quantile(ratios(row, contestant), [0.25, 0.5, 0.75])
    return Ratio(float(median), float(low), float(high))
