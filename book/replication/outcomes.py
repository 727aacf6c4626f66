"""What was measured for a claim of the sources, and the rule that makes a verdict of it: one class for each form.

Each has a verdict, a remark beside it, its `rule` with its bounds as a sentence, and its `power`: what its runs could
have shown. The rules are explained in `book/appendix/evidence.md`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from lab.claims import interval, shown_from
from lab.verdicts import BETTER, Verdict

FEWEST = 5
"""Of fewer runs without an interval nothing is shown: where nothing is there, four of four agree once in 16."""


def on_runs(n_runs: int, verdict: Any) -> Any:
    """Return a verdict that has to hold in every one of so many runs, or *not shown* if they are fewer than five."""
    return verdict if n_runs >= FEWEST else Verdict.NOT_SHOWN


def prediction_interval(runs: Any, coverage: float = 0.95) -> tuple[float, float]:
    """Return two of the sorted runs between which another run falls with this probability, or all runs if too few.

    A new run is equally likely to take any place in the order of all n + 1, so it falls between the j-th lowest and
    the j-th highest of the n runs with probability (n + 1 - 2j) / (n + 1).
    """
    runs = np.sort(np.asarray(runs, dtype=float))
    j = _place(len(runs), coverage)
    return float(runs[j - 1]), float(runs[-j])


def _place(n_runs: int, coverage: float) -> int:
    return max(1, math.floor((1 - coverage) / 2 * (n_runs + 1) + 1e-9))


@dataclass(frozen=True)
class Number:
    """A reported number beside runs of ours."""

    runs: Any
    reported: float
    text: str
    good: str | None = None
    """Which side is better, "lower" or "higher"; without it, neither is."""
    tolerance: float = 0.0
    """How far from the reported number a run may be and still count as the same, in the number's unit."""
    is_accuracy: bool = False
    """Whether one minus it is the share of errors, which is what a ratio should compare."""

    def interval(self, coverage: float = 0.95) -> tuple[float, float]:
        return prediction_interval(self.runs, coverage)

    def _width(self, tolerance: float | None) -> float:
        unit = 1 - self.reported if self.is_accuracy else abs(self.reported)
        return self.tolerance if tolerance is None else tolerance * unit

    def _is_better(self, coverage: float) -> bool:
        return self.good is not None and (self.interval(coverage)[1] < self.reported) == (self.good == "lower")

    def verdict(self, coverage: float = 0.95, tolerance: float | None = None) -> Verdict:
        """Return the verdict; `tolerance` replaces the entry's own, relative to the number or its share of errors."""
        width = self._width(tolerance)
        low, high = self.interval(coverage)
        if low <= self.reported + width and high >= self.reported - width:
            return Verdict.REPLICATED
        return Verdict.FAILED if self.good is None or self._is_better(coverage) else Verdict.WEAKER

    def remark(self, coverage: float = 0.95, tolerance: float | None = None) -> str:
        """Return "better" where ours miss the number on its good side."""
        missed = self.verdict(coverage, tolerance) is Verdict.FAILED
        return BETTER if missed and self._is_better(coverage) else ""

    @property
    def rule(self) -> str:
        n, (low, high) = len(self.runs), self.interval()
        part = (n + 1 - 2 * _place(n, 0.95)) / (n + 1)
        where = (
            f"between {low:.4g} and {high:.4g}, where another run falls with {part:.0%}" if n > 1 else f"at {low:.4g}"
        )
        give = f", give or take {self.tolerance:.2g}," if self.tolerance else ""
        sides = f"; on the worse side it is weaker ({self.good} is better)" if self.good else "; no side is better"
        return f"Replicated if {self.reported:.4g}{give} lies {where}{sides}."

    @property
    def power(self) -> str:
        low, high = self.interval()
        return f"These runs exclude numbers below {low - self.tolerance:.4g} and above {high + self.tolerance:.4g}."


@dataclass(frozen=True)
class Comparison:
    """A claimed difference, share or ratio, and our values of it, whose shape says what its interval is."""

    values: Any
    """As for `lab.claims.interval`. Fewer than six numbers have no interval; then every run must lie inside, and fewer
    than five show nothing."""
    text: str
    above: float = -math.inf
    below: float = math.inf
    none: float = 0.0
    """The value of no effect: 0 for a difference, 1 for a ratio, the share that chance gives."""
    of_runs: bool = False
    """Whether the rule asks where most runs lie, and not where their median does."""

    @property
    def too_few(self) -> bool:
        """Whether there are so few runs, without an interval, that nothing is shown whatever they say."""
        values = np.asarray(self.values)
        return values.ndim == 1 and values.dtype != bool and len(values) < FEWEST

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        if self.of_runs:
            return prediction_interval(self.values, confidence)
        if not self._has_interval(confidence):
            return float(np.min(self.values)), float(np.max(self.values))
        return interval(self.values, confidence)[1:]

    def _has_interval(self, confidence: float = 0.95) -> bool:
        values = np.asarray(self.values)
        enough = len(values) >= 6 and 2 * 0.5 ** len(values) <= 1 - confidence + 1e-12
        return values.ndim == 2 or values.dtype == bool or enough

    def verdict(self, confidence: float = 0.95, tolerance: float | None = None) -> Verdict:
        """Return whether the interval lies inside the claimed bounds, across one, or outside, and then where."""
        if self.too_few:
            return Verdict.NOT_SHOWN
        low, high = self.interval(confidence)
        if self.above < low and high < self.below:
            return Verdict.REPLICATED
        if high > self.above and low < self.below:
            return Verdict.NOT_SHOWN
        if self.above < self.none < self.below:  # "There is hardly any": the opposite is that there is.
            return Verdict.OPPOSITE
        claimed_is_more = self.none <= self.above
        if (low > self.none) if claimed_is_more else (high < self.none):
            return Verdict.WEAKER
        against = high <= self.none if claimed_is_more else low >= self.none
        return Verdict.OPPOSITE if against else Verdict.FAILED

    def remark(self, confidence: float = 0.95, tolerance: float | None = None) -> str:
        return ""

    @property
    def rule(self) -> str:
        bounds = [
            f"{word} {bound:g}" for word, bound in (("above", self.above), ("below", self.below)) if np.isfinite(bound)
        ]
        low, high = self.interval()
        what = f"each of {len(self.values)} runs" if len(self.values) > 1 else "our one run"
        if self.of_runs:
            what = f"the central 95 % of {len(self.values)} runs"
        elif self._has_interval():
            what = "the 95 % interval"
        return f"Replicated if {what}, {low:.3g} to {high:.3g}, lies {' and '.join(bounds)}; {self._otherwise}."

    @property
    def _otherwise(self) -> str:
        if self.too_few:
            return f"fewer than {FEWEST} runs do not show it, whatever they say"
        if self.above < self.none < self.below:
            return "wholly outside, it is the opposite"
        if self.none in (self.above, self.below):  # What misses the bound misses no effect too: nothing can be weaker.
            return f"wholly {'below' if self.none == self.above else 'above'}, it is the opposite"
        return f"no effect is {self.none:.3g}"

    @property
    def power(self) -> str:
        values = np.asarray(self.values)
        low, high = self.interval()
        if self.of_runs:
            return "It is the runs that must lie there, and not only their median."
        if not self._has_interval():
            return f"For an interval of the median it takes six runs; these are {len(values)}."
        if np.isfinite(self.above) and np.isfinite(self.below):
            return f"The interval is {high - low:.2g} wide, the bounds are {self.below - self.above:.2g} apart."
        if self.none == 1:
            return "Ratios are skewed, so we do not say which value runs like these would show."
        above = self.above if np.isfinite(self.above) else None
        shown = shown_from(values, above, None if above is not None else self.below)
        if not math.isfinite(shown):
            return f"No outcome of {len(values)} runs could have shown it."
        beyond = "less" if above is None else "more"
        return f"Runs like these would show it in four cases of five if the truth were {shown:.3g} or {beyond}."


@dataclass(frozen=True)
class Conditions:
    """A claim in words, taken apart into what can be true or false; None where nothing can be measured."""

    parts: tuple[bool | None, ...]
    text: str
    wants: str
    """The conditions with their bounds, in the order of the parts, separated by semicolons."""
    beside: Number | None = None
    """A number that goes with the claim, if the claim does not rest on it."""
    runs: int | None = None
    """On how many runs the parts rest, where they must hold in every one; fewer than five show nothing."""

    @property
    def too_few(self) -> bool:
        """Whether the parts rest on so few runs that nothing is shown whatever they say."""
        return self.runs is not None and self.runs < FEWEST

    def verdict(self, confidence: float = 0.95, tolerance: float | None = None) -> Verdict:
        known = [bool(part) for part in self.parts if part is not None]
        if not known:
            return Verdict.NOT_MEASURED
        if self.too_few:
            return Verdict.NOT_SHOWN
        if all(known):
            return Verdict.REPLICATED if len(known) == len(self.parts) else Verdict.IN_PART
        return Verdict.IN_PART if any(known) else Verdict.FAILED

    def remark(self, confidence: float = 0.95, tolerance: float | None = None) -> str:
        return ""

    @property
    def rule(self) -> str:
        if all(part is None for part in self.parts):
            return f"Nothing here measures it: {self.wants}."
        few = f" Fewer than {FEWEST} runs, here {self.runs}, do not show it." if self.too_few else ""
        return f"Replicated if all hold, in part if some do: {self.wants}.{few}"

    @property
    def power(self) -> str:
        """Nothing: it is a property of a sample and a bound."""
        return ""
