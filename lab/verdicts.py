"""The words in which measurements are judged, and the ratios of the benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from nnkit.typing import Array


class Verdict(StrEnum):
    """The outcome of a comparison.

    A claim bounds a quantity, and the runs leave an interval for it. *Not shown* means that the interval spans the
    bound, so that these runs cannot tell; *weaker*, that it misses the bound but lies on the claimed side of no effect;
    *opposite*, that it lies on the other side. That a result is better than reported is a `BETTER` remark beside a
    verdict.
    """

    REPLICATED = "replicated"
    IN_PART = "replicated only in part"
    NOT_SHOWN = "not shown"
    WEAKER = "weaker"
    FAILED = "did not replicate"
    OPPOSITE = "opposite"
    NOT_MEASURED = "not measured"


BETTER = "better"
"""The remark beside a verdict on a number that ours miss on its good side."""


def with_remark(verdict: Verdict, remark: str = "") -> str:
    """Return a verdict as tables show it, as in "did not replicate (better)"."""
    return f"{verdict} ({remark})" if remark else str(verdict)


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
