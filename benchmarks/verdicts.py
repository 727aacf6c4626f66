"""What must hold, what is aimed at, and whether a row of measurements says so.

A row holds the seconds of every contestant, one number a round. The ratio of a contestant is taken round by round, so
that both of its times met the same weather; its median stands for it, its quartiles for its spread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.contestants import FLOOR
from book.experiments.mnist_sweeps import BASE
from nnkit.typing import Array

Row = dict[str, Any]
OWN = "nnkit"
"""What the name of nnkit's contestant begins with."""
LOOPS = ("PyTorch eager", "PyTorch lean")

BOUNDS: dict[int, dict[str, float]] = {
    128: {**dict.fromkeys(LOOPS, 2.3), "scikit-learn": 1.8, FLOOR: 1.7},
    8: dict.fromkeys(LOOPS, 2.3),
}
"""By batch size, for the network of figure 5 on one thread: a bound that is clearly missed fails the benchmark."""

GOALS: dict[int, dict[str, float]] = {
    128: {**dict.fromkeys(LOOPS, 2.5), "scikit-learn": 2.0, FLOOR: 1.5},
    8: {**dict.fromkeys(LOOPS, 3.0), "scikit-learn": 2.0},
}
"""By batch size, for every network and number of threads: what is aimed at, and reported as reached or missed."""


@dataclass(frozen=True)
class Ratio:
    """The median and the quartiles of a ratio over the rounds."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


@dataclass(frozen=True)
class Verdict:
    """What a ratio says about a limit.

    Attributes
    ----------
    holds : bool
        Whether the median is on the right side.
    clear : bool
        Whether the quartiles are on the same side as the median.
    """

    contestant: str
    limit: float
    ratio: Ratio
    holds: bool
    clear: bool

    def __str__(self) -> str:
        return ("kept" if self.holds else "MISSED") + ("" if self.clear else ", within the spread")


def ratios(row: Row, contestant: str) -> Array:
    """Return, round by round, how many times nnkit's time a contestant took; for the floor, nnkit's time over its."""
    own = next(np.array(times) for name, times in row["seconds"].items() if name.startswith(OWN))
    other = np.array(row["seconds"][contestant])
    return own / other if contestant == FLOOR else other / own


def ratio(row: Row, contestant: str) -> Ratio:
    """Return the median of the ratios and their quartiles."""
    low, median, high = np.quantile(ratios(row, contestant), [0.25, 0.5, 0.75])
    return Ratio(float(median), float(low), float(high))


def verdict(row: Row, contestant: str, limit: float) -> Verdict:
    """Hold a contestant's ratio against a limit: at least that much, for the floor at most."""
    found = ratio(row, contestant)
    sign = -1 if contestant == FLOOR else 1
    holds = sign * found.median >= sign * limit
    low, high = sorted((sign * found.low, sign * found.high))
    return Verdict(contestant, limit, found, holds, low >= sign * limit if holds else high < sign * limit)


def bounds(row: Row) -> list[Verdict]:
    """Return the verdicts on the bounds that a row is subject to."""
    if row["threads"] != 1 or any(row[name] != BASE[name] for name in BASE if name != "batch_size"):
        return []
    return _verdicts(row, BOUNDS)


def goals(row: Row) -> list[Verdict]:
    """Return the verdicts on the goals for a row's batch size."""
    return _verdicts(row, GOALS)


def _verdicts(row: Row, limits: dict[int, dict[str, float]]) -> list[Verdict]:
    stated = limits.get(row["batch_size"], {})
    return [verdict(row, name, limit) for name, limit in stated.items() if name in row["seconds"]]


def failed(rows: list[Row], bounds: Callable[[Row], list[Verdict]] = bounds) -> bool:
    """Return whether a bound is missed, and its quartiles too: the benchmark then exits with status 1."""
    return any(not found.holds and found.clear for row in rows for found in bounds(row))


def conclusion(rows: list[Row], title: Callable[[Row], str], bounds: Callable[[Row], list[Verdict]]) -> list[str]:
    """Return a line for each bound of rows that are compared with other libraries alone."""
    return [
        f"- {title(row)}: {found.contestant} takes {found.ratio} times nnkit's time, at least {found.limit:g}: {found}"
        for row in rows
        for found in bounds(row)
    ]
