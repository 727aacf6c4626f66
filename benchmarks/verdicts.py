"""Bounds and goals, and whether a row of measurements meets them.

A row holds the seconds of every contestant, one number per round, which `lab.verdicts.ratio` turns into ratios.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.cases import BASE
from lab.verdicts import FLOOR, Ratio, Verdict, ratio

Row = dict[str, Any]
LOOPS = ("PyTorch eager", "PyTorch lean")

BOUNDS: dict[int, dict[str, float]] = {
    128: {**dict.fromkeys(LOOPS, 1.8), "scikit-learn": 1.5, FLOOR: 1.85},
    8: {**dict.fromkeys(LOOPS, 2.7), "scikit-learn": 1.9},
}
"""By batch size, for the network of figure 5 on one thread: a bound that is clearly missed fails the benchmark."""

GOALS: dict[int, dict[str, float]] = {
    128: {**dict.fromkeys(LOOPS, 2.1), "scikit-learn": 1.8, FLOOR: 1.53},
    8: {**dict.fromkeys(LOOPS, 3.0), "scikit-learn": 2.0},
}
"""By batch size, for every network and number of threads: targets, which are reported as reached or missed."""


@dataclass(frozen=True)
class Limit:
    """A limit and the ratio compared with it: a minimum, or for the floor a maximum."""

    contestant: str
    limit: float
    ratio: Ratio

    @property
    def holds(self) -> bool:
        """Whether the median is on the right side of the limit."""
        return self._distance(self.ratio.median) >= 0

    @property
    def verdict(self) -> Verdict:
        """Whether both quartiles are on the right side of the limit, both on the wrong side, or one on each."""
        ends = [self._distance(self.ratio.low), self._distance(self.ratio.high)]
        if min(ends) >= 0:
            return Verdict.REPLICATED
        return Verdict.OPPOSITE if max(ends) < 0 else Verdict.NOT_SHOWN

    def _distance(self, ratio: float) -> float:
        return self.limit - ratio if self.contestant == FLOOR else ratio - self.limit

    def __str__(self) -> str:
        word = "met" if self.holds else "MISSED"
        return f"{word}, within the spread" if self.verdict is Verdict.NOT_SHOWN else word


def bounds(row: Row) -> list[Limit]:
    """Return the bounds that apply to a row."""
    if row["threads"] != 1 or any(row[name] != BASE[name] for name in BASE if name != "batch_size"):
        return []
    return _limits(row, BOUNDS)


def goals(row: Row) -> list[Limit]:
    """Return the goals for a row's batch size."""
    return _limits(row, GOALS)


def _limits(row: Row, limits: dict[int, dict[str, float]]) -> list[Limit]:
    stated = limits.get(row["batch_size"], {})
    return [Limit(name, limit, ratio(row, name)) for name, limit in stated.items() if name in row["seconds"]]


def failed(rows: list[Row], bounds: Callable[[Row], list[Limit]] = bounds) -> bool:
    """Return whether the median and both quartiles miss a bound; the benchmark then exits with status 1."""
    return any(found.verdict is Verdict.OPPOSITE for row in rows for found in bounds(row))


def conclusion(rows: list[Row], title: Callable[[Row], str], bounds: Callable[[Row], list[Limit]]) -> list[str]:
    """Return a line for each bound of rows that are compared only with other libraries."""
    return [
        f"- {title(row)}: {found.contestant} takes {found.ratio} times nnkit's time, at least {found.limit:g}: {found}"
        for row in rows
        for found in bounds(row)
    ]
