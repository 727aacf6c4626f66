"""How a measurement is judged: our interval beside a reported number, a claim or a limit."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from nnkit.typing import Array


class Verdict(StrEnum):
    """What a comparison can end in. "Weaker" and "opposite" are the two ways not to replicate a direction."""

    REPLICATED = "replicated"
    BETTER = "better"
    IN_PART = "in part"
    FAILED = "did not replicate"
    WEAKER = "weaker"
    OPPOSITE = "opposite"
    NOT_MEASURED = "not measured"


def prediction_interval(runs: Any, coverage: float = 0.95) -> tuple[float, float]:
    """Return two of the sorted runs between which another run falls with this probability, or all runs if too few.

    Of n runs and a new one, each is equally likely to take any place in their order, so it falls between the j-th
    lowest and the j-th highest with probability (n + 1 - 2j) / (n + 1).
    """
    runs = np.sort(np.asarray(runs, dtype=float))
    j = max(1, math.floor((1 - coverage) / 2 * (len(runs) + 1) + 1e-9))
    return float(runs[j - 1]), float(runs[-j])


def verdict_of_number(
    low: float, high: float, reported: float, *, tolerance: float = 0.0, good: str | None = None
) -> Verdict:
    """Return the verdict on a number: whether our interval comes as close to it as the tolerance, and else where it is.

    Parameters
    ----------
    low, high : float
        Where another run of ours would fall.
    reported : float
        What the source prints.
    tolerance : float, default 0
        How far from it a run may be and still count as the same; in the number's own unit.
    good : {"lower", "higher"}, optional
        Which side is better. Without one, any other number is no replication.
    """
    if low <= reported + tolerance and high >= reported - tolerance:
        return Verdict.REPLICATED
    if good is None:
        return Verdict.FAILED
    return Verdict.BETTER if (high < reported) == (good == "lower") else Verdict.WEAKER


def verdict_of_comparison(low: float, high: float, *, above: float = -math.inf, below: float = math.inf) -> Verdict:
    """Return the verdict on a claim: whether the whole interval lies inside what is claimed, outside, or across."""
    if above < low and high < below:
        return Verdict.REPLICATED
    return Verdict.OPPOSITE if high < above or low > below else Verdict.WEAKER


def verdict_of_conditions(parts: tuple[bool | None, ...]) -> Verdict:
    """Return the verdict on a claim of several parts, of which some may be nothing to measure (None)."""
    known = [part for part in parts if part is not None]
    if not known:
        return Verdict.NOT_MEASURED
    if all(known) and len(known) == len(parts):
        return Verdict.REPLICATED
    return Verdict.IN_PART if any(known) else Verdict.FAILED


@dataclass(frozen=True)
class Number:
    """A reported number beside runs of ours."""

    runs: Any
    reported: float
    text: str
    good: str | None = None
    tolerance: float = 0.0
    is_accuracy: bool = False
    """Whether one minus it is the share of errors, which is what a ratio should compare."""

    def interval(self, coverage: float = 0.95) -> tuple[float, float]:
        return prediction_interval(self.runs, coverage)

    def verdict(self, coverage: float = 0.95, tolerance: float | None = None) -> Verdict:
        """Return the verdict; `tolerance` replaces the entry's own, relative to the number or its share of errors."""
        unit = 1 - self.reported if self.is_accuracy else abs(self.reported)
        width = self.tolerance if tolerance is None else tolerance * unit
        return verdict_of_number(*self.interval(coverage), self.reported, tolerance=width, good=self.good)


@dataclass(frozen=True)
class Comparison:
    """A claimed difference beside the interval of ours, at any confidence."""

    of: Callable[[float], tuple[float, float]]
    text: str
    above: float = -math.inf
    below: float = math.inf

    def verdict(self, confidence: float = 0.95, tolerance: float | None = None) -> Verdict:
        return verdict_of_comparison(*self.of(confidence), above=self.above, below=self.below)


@dataclass(frozen=True)
class Conditions:
    """A claim in words, taken apart into what can be true or false; None where nothing can be measured."""

    parts: tuple[bool | None, ...]
    text: str
    beside: Number | None = None
    """The number that goes with the claim, where there is one that the claim does not rest on."""

    def verdict(self, confidence: float = 0.95, tolerance: float | None = None) -> Verdict:
        return verdict_of_conditions(tuple(None if part is None else bool(part) for part in self.parts))


FLOOR = "bare products"
"""The contestant of the benchmark that does nothing but a step's matrix products: no program can be faster."""


@dataclass(frozen=True)
class Ratio:
    """The median and the quartiles of a ratio over the rounds of a benchmark."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


def ratios(row: dict[str, Any], contestant: str) -> Array:
    """Return how many times nnkit's time a contestant of a benchmark took; for the floor, nnkit's time over its.

    The ratio is taken round by round, so that both times met the same other work on the machine.

    Parameters
    ----------
    row : dict
        Its ``seconds`` hold one number a round for each contestant; the name of nnkit's begins with "nnkit".
    contestant : str
        The other one's name.
    """
    own = next(np.array(times) for name, times in row["seconds"].items() if name.startswith("nnkit"))
    other = np.array(row["seconds"][contestant])
    return own / other if contestant == FLOOR else other / own


def ratio(row: dict[str, Any], contestant: str) -> Ratio:
    """Return the median of the `ratios` and their quartiles."""
    low, median, high = np.quantile(ratios(row, contestant), [0.25, 0.5, 0.75])
    return Ratio(float(median), float(low), float(high))
