"""Claims: a comparison that is asserted where it is stated, and the table that compares reported with measured."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lab import needed_by
from lab.verdicts import Verdict
from nnkit.checks import finite_array
from nnkit.typing import Array

with needed_by(__name__):
    from IPython.display import Markdown
    from scipy import stats


class ClaimError(AssertionError):
    """What was claimed does not hold in the numbers."""


def interval(values: Any, confidence: float = 0.95) -> tuple[float, float, float]:
    """Return an estimate over runs, and the two ends of its confidence interval.

    Parameters
    ----------
    values : array_like, shape (n_runs,)
        A number for each run: the estimate is the median, and the interval lies between two of the sorted values,
        which holds for any distribution. Or a truth value for each run: the share of true ones, and Wilson's interval.
    confidence : float, default 0.95
        At least this share of such intervals contain the true value; a median needs six runs for 95 %.
    """
    values = np.asarray(values)
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(f"values must hold one number for each of at least two runs; got shape {values.shape}")
    if values.dtype == bool:
        share = stats.binomtest(int(values.sum()), len(values))
        low, high = share.proportion_ci(confidence, method="wilson")
        return float(values.mean()), float(low), float(high)
    low, high = stats.quantile_test(values, p=0.5).confidence_interval(confidence)
    if np.isnan(low) or np.isnan(high):
        raise ValueError(f"values hold too few runs for a {confidence:.0%} interval of the median; got {len(values)}")
    return float(np.median(values)), float(low), float(high)


def interquartile_mean(values: Any) -> Array:
    """Return the mean of the middle half of the runs, shape (...): as robust as the median, and smoother.

    Parameters
    ----------
    values : array_like, shape (n_runs, ...)
        Finite numbers. Where `n_runs` is no multiple of four, the runs at the two edges count in part.
    """
    values = finite_array("values", values, np.float64)
    if values.ndim == 0 or len(values) == 0:
        raise ValueError(f"values must hold at least one run, shape (n_runs, ...); got shape {values.shape}")
    # Sorted value i covers the stretch from i to i + 1; its weight is the part of it inside [n/4, 3n/4].
    n = len(values)
    weights = np.diff(np.clip(np.arange(n + 1), n / 4, 3 * n / 4)) / (n / 2)
    return np.tensordot(weights, np.sort(values, axis=0), axes=1)


def claim(sentence: str, values: Any, *, above: float | None = None, below: float | None = None) -> Markdown:
    """Assert a comparison, and return the sentence that states it with its numbers.

    The whole 95 % confidence interval must lie on the claimed side. To compare two kinds of runs, give their
    differences and ``above=0``.

    Parameters
    ----------
    sentence : str
        With places for ``{estimate}``, ``{low}``, ``{high}`` and ``{runs}``, as for `str.format`.
    values : array_like, shape (n_runs,)
        As for `interval`.
    above, below : float, optional
        The claimed bounds, at least one. An interval that is not inside them is a `ClaimError`.
    """
    bounds = [f"{word} {bound:g}" for word, bound in (("above", above), ("below", below)) if bound is not None]
    if not bounds:
        raise ValueError("above or below must say what is claimed; got neither")
    estimate, low, high = interval(values)
    text = sentence.format(estimate=estimate, low=low, high=high, runs=len(values))
    if (above is not None and not low > above) or (below is not None and not high < below):
        raise ClaimError(f"{text} — does not hold: the interval {low:.6g} to {high:.6g} is not {' and '.join(bounds)}")
    return Markdown(f"**Claim, checked.** {spaced(text)}")  # type: ignore[no-untyped-call]


def reported_and_measured(rows: Sequence[tuple[str, str, str, bool | str, str]]) -> Markdown:
    """Return the table that closes each experiment, of rows (what, reported, measured, holds, why).

    `holds` says whether the result replicates, or is a `Verdict`.
    """
    lines = ["| What | Reported | Measured here | Verdict | Why |", "|---|---|---|---|---|"]
    for what, reported, measured, holds, why in rows:
        verdict = Verdict(holds) if isinstance(holds, str) else Verdict.REPLICATED if holds else Verdict.FAILED
        lines.append(f"| {what} | {reported} | {measured} | **{verdict}** | {why} |")
    return Markdown(spaced("\n".join(lines)))  # type: ignore[no-untyped-call]


def source_line(function: Callable[..., Any], statement: str) -> str:
    """Return the file and line where a function has `statement`, which must be just one of its lines, uncommented."""
    function = inspect.unwrap(function)  # A module's passes are wrapped in checks.
    lines, first = inspect.getsourcelines(function)
    found = [first + i for i, line in enumerate(lines) if line.split("  #")[0].strip() == statement]
    if len(found) != 1:
        raise ValueError(f"statement must be one line of {function.__qualname__}; {len(found)} are {statement!r}")
    return f"`{Path(inspect.getfile(function)).name}`, line {found[0]}"


def spaced(text: str) -> str:
    """Put the book's narrow space before each percent sign that follows a digit."""
    return re.sub(r"(?<=\d)\s?%", "\N{NARROW NO-BREAK SPACE}%", text)
