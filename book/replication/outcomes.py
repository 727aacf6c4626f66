"""What was measured for a claim of the sources, and the rule that makes a verdict of it: one class for each form."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lab.verdicts import Verdict


def prediction_interval(runs: Any, coverage: float = 0.95) -> tuple[float, float]:
    """Return two of the sorted runs between which another run falls with this probability, or all runs if too few.

    A new run is equally likely to take any place in the order of all n + 1, so it falls between the j-th lowest and
    the j-th highest of the n runs with probability (n + 1 - 2j) / (n + 1).
    """
    runs = np.sort(np.asarray(runs, dtype=float))
    j = max(1, math.floor((1 - coverage) / 2 * (len(runs) + 1) + 1e-9))
    return float(runs[j - 1]), float(runs[-j])


@dataclass(frozen=True)
class Number:
    """A reported number beside runs of ours."""

    runs: Any
    reported: float
    text: str
    good: str | None = None
    """Which side is better, "lower" or "higher"; without it, a different number is no replication."""
    tolerance: float = 0.0
    """How far from the reported number a run may be and still count as the same, in the number's unit."""
    is_accuracy: bool = False
    """Whether one minus it is the share of errors, which is what a ratio should compare."""

    def interval(self, coverage: float = 0.95) -> tuple[float, float]:
        return prediction_interval(self.runs, coverage)

    def verdict(self, coverage: float = 0.95, tolerance: float | None = None) -> Verdict:
        """Return the verdict; `tolerance` replaces the entry's own, relative to the number or its share of errors."""
        unit = 1 - self.reported if self.is_accuracy else abs(self.reported)
        width = self.tolerance if tolerance is None else tolerance * unit
        low, high = self.interval(coverage)
        if low <= self.reported + width and high >= self.reported - width:
            return Verdict.REPLICATED
        if self.good is None:
            return Verdict.FAILED
        return Verdict.BETTER if (high < self.reported) == (self.good == "lower") else Verdict.WEAKER


@dataclass(frozen=True)
class Comparison:
    """A claimed difference beside the interval of ours, at any confidence."""

    of: Callable[[float], tuple[float, float]]
    text: str
    above: float = -math.inf
    below: float = math.inf

    def verdict(self, confidence: float = 0.95, tolerance: float | None = None) -> Verdict:
        """Return whether the whole interval lies inside the claimed bounds, outside, or across one."""
        low, high = self.of(confidence)
        if self.above < low and high < self.below:
            return Verdict.REPLICATED
        return Verdict.OPPOSITE if high < self.above or low > self.below else Verdict.WEAKER


@dataclass(frozen=True)
class Conditions:
    """A claim in words, taken apart into what can be true or false; None where nothing can be measured."""

    parts: tuple[bool | None, ...]
    text: str
    beside: Number | None = None
    """A number that goes with the claim, if the claim does not rest on it."""

    def verdict(self, confidence: float = 0.95, tolerance: float | None = None) -> Verdict:
        known = [bool(part) for part in self.parts if part is not None]
        if not known:
            return Verdict.NOT_MEASURED
        if all(known):
            return Verdict.REPLICATED if len(known) == len(self.parts) else Verdict.IN_PART
        return Verdict.IN_PART if any(known) else Verdict.FAILED
