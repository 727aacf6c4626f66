"""Claims: a comparison that is asserted where it is stated, and the table that compares reported with measured."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from IPython.display import Markdown
from scipy import stats

from lab.verdicts import Verdict


class ClaimError(AssertionError):
    """What was claimed does not hold in the numbers."""


def interval(values: Any, confidence: float = 0.95) -> tuple[float, float, float]:
    """Return an estimate over runs, and the two ends of its confidence interval.

    Parameters
    ----------
    values : array_like, shape (n_runs,)
        One number a run: the estimate is the median, its interval runs between two of the sorted values and holds
        whatever the distribution. Or one truth value a run: the estimate is the share of true ones, its interval
        Wilson's.
    confidence : float, default 0.95
        The share of such intervals that contain the true value, at the least.

    Raises
    ------
    ValueError
        If there are too few runs for an interval: a median needs six for 95 %.
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
        raise ValueError(
            f"values must hold more runs for a {confidence:.0%} interval of their median; got {len(values)}"
        )
    return float(np.median(values)), float(low), float(high)


def claim(sentence: str, values: Any, *, above: float | None = None, below: float | None = None) -> Markdown:
    """Assert a comparison, and return the sentence that states it with its numbers.

    The whole confidence interval must lie on the claimed side, not only the estimate. For a comparison of two kinds
    of run, give the differences and ``above=0``.

    Parameters
    ----------
    sentence : str
        With places for ``{estimate}``, ``{low}``, ``{high}`` and ``{runs}``, formatted as in ``str.format``.
    values : array_like, shape (n_runs,)
        As `interval` takes them.
    above, below : float, optional
        The bounds that are claimed; at least one.

    Raises
    ------
    ClaimError
        If the interval is not inside the bounds.
    """
    if above is None and below is None:
        raise ValueError("above or below must say what is claimed; got neither")
    estimate, low, high = interval(values)
    text = sentence.format(estimate=estimate, low=low, high=high, runs=len(np.asarray(values)))
    if (above is not None and not low > above) or (below is not None and not high < below):
        bounds = " and ".join(
            f"{word} {bound:g}" for word, bound in (("above", above), ("below", below)) if bound is not None
        )
        raise ClaimError(f"{text} — does not hold: the interval {low:.6g} to {high:.6g} is not {bounds}")
    return Markdown(f"**Claim, checked.** {spaced(text)}")  # type: ignore[no-untyped-call]


def reported_and_measured(rows: Sequence[tuple[str, str, str, bool | str, str]]) -> Markdown:
    """Return the table that closes each experiment.

    Parameters
    ----------
    rows : sequence of (what, reported, measured, holds, why)
        `holds` is what a comparison made by code gave: whether it replicates, or a `Verdict` where that is too coarse.

    Raises
    ------
    ValueError
        If `holds` is neither.
    """
    lines = ["| What | Reported | Measured here | Verdict | Why |", "|---|---|---|---|---|"]
    for what, reported, measured, holds, why in rows:
        if isinstance(holds, str) and holds not in list(Verdict):
            raise ValueError(f"holds must be true, false or one of {', '.join(Verdict)}; got {holds!r}")
        verdict = holds if isinstance(holds, str) else Verdict.REPLICATED if holds else Verdict.FAILED
        lines.append(f"| {what} | {reported} | {measured} | **{verdict}** | {why} |")
    return Markdown(spaced("\n".join(lines)))  # type: ignore[no-untyped-call]


def source_line(function: Callable[..., Any], statement: str) -> str:
    """Return the file and the line of nnkit where a function does what `statement` says.

    Parameters
    ----------
    function : callable
        A function or method of the package.
    statement : str
        One whole line of its code, without indentation and comment.

    Raises
    ------
    ValueError
        If no line, or more than one, is that statement.
    """
    function = inspect.unwrap(function)  # what the class that checks calls has around it
    lines, first = inspect.getsourcelines(function)
    found = [first + i for i, line in enumerate(lines) if line.split("  #")[0].strip() == statement]
    if len(found) != 1:
        raise ValueError(
            f"statement must be exactly one line of {function.__qualname__}; {len(found)} are {statement!r}"
        )
    return f"`{Path(inspect.getfile(function)).name}`, line {found[0]}"


def spaced(text: str) -> str:
    """Put the thin space before each % that the rest of the book has, and str.format does not."""
    return re.sub(r"(?<=\d)\s?%", "\N{NARROW NO-BREAK SPACE}%", text)
