"""Claims: a comparison that is asserted where it is stated, and the table that compares reported with measured.

The rules behind these functions are on one page, :doc:`/book/appendix/evidence`.
"""

from __future__ import annotations

import functools
import inspect
import math
import re
import string
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lab import needed_by
from lab.verdicts import Verdict, with_remark
from nnkit.checks import finite_array
from nnkit.typing import Array

with needed_by(__name__):
    from IPython.display import Markdown
    from scipy import special, stats

_RESAMPLES = 2000
"""How often runs and digits are drawn again; the ends of an interval then keep two digits from seed to seed."""


class ClaimError(AssertionError):
    """What was claimed does not hold in the numbers."""


def interval(values: Any, confidence: float = 0.95) -> tuple[float, float, float]:
    """Return an estimate over runs, and the two ends of its confidence interval; the shape of the values says which.

    Parameters
    ----------
    values : array_like, shape (n_runs,) or (n_runs, n_digits)
        A number for each run: the estimate is the median, and the interval lies between two of the sorted values,
        which holds for any distribution. A truth value for each run: the share of true ones, and Wilson's interval.
        Each run's answers digit by digit, right or wrong, or differences of two such tables: the mean, and an interval
        that lets both the runs and the digits be others, by a crossed bootstrap.
    confidence : float, default 0.95
        At least this share of such intervals contain the true value; a median needs six runs for 95 %.
    """
    values = np.asarray(values)
    if values.ndim not in (1, 2) or len(values) < 2 or values[0].size == 0:
        raise ValueError(
            "values must hold one number, or one answer a digit, for each of at least two runs; "
            f"got shape {values.shape}"
        )
    if values.ndim == 2:
        return _crossed_interval(values, confidence)
    if values.dtype == bool:
        share = stats.binomtest(int(values.sum()), len(values))
        low, high = share.proportion_ci(confidence, method="wilson")
        return float(values.mean()), float(low), float(high)
    low, high = stats.quantile_test(values, p=0.5).confidence_interval(confidence)
    if np.isnan(low) or np.isnan(high):
        raise ValueError(f"values hold too few runs for a {confidence:.0%} interval of the median; got {len(values)}")
    return float(np.median(values)), float(low), float(high)


def _crossed_means(values: Any) -> Array:
    """Return the mean of a table of runs by digits, with its runs and its digits drawn again, `_RESAMPLES` times.

    All runs answer about the same digits, so the cells of the table are not independent. What is drawn with
    replacement is whole rows and, on their own, whole columns. This is the pigeonhole bootstrap of Owen (2007); it is
    a little too wide where single answers are mostly noise. `interval` corrects it where runs are few.
    """
    values = np.asarray(values)
    return _resampled(np.ascontiguousarray(values, np.float32).tobytes(), values.shape)


@functools.lru_cache(maxsize=8)
def _resampled(table: bytes, shape: tuple[int, int]) -> Array:
    rng, chunk = np.random.default_rng(0), 50
    X, (n_runs, n_digits) = np.frombuffer(table, np.float32).reshape(shape), shape
    means = []
    for _ in range(_RESAMPLES // chunk):
        times = rng.multinomial(n_runs, np.full(n_runs, 1 / n_runs), size=chunk).astype(np.float32)
        of_digits = times @ X / n_runs  # The mean over the drawn runs, for each digit.
        drawn = rng.integers(n_digits, size=(chunk, n_digits), dtype=np.int32)
        means.append(np.take_along_axis(of_digits, drawn, axis=1).mean(axis=1, dtype=np.float64))
    return np.concatenate(means)


def _crossed_interval(values: Array, confidence: float) -> tuple[float, float, float]:
    tail = (1 - confidence) / 2
    mean, means = float(values.mean(dtype=np.float64)), _crossed_means(values)
    low, high = np.quantile(means, [tail, 1 - tail]) - mean
    stretch = _stretch(values, tail)
    return mean, float(mean + low * stretch), float(mean + high * stretch)


def _stretch(values: Array, tail: float) -> float:
    """Return how much wider than the bootstrap's an interval must be, since few runs tell their own spread poorly.

    Drawing n rows again underestimates their variance by n / (n - 1). And as in Student's interval, the ends move out
    by the degrees of freedom of the sum of both variances (Satterthwaite's): many where digits decide, few where runs
    do.
    """
    parts = [values.mean(axis=axis, dtype=np.float64) for axis in (1, 0)]
    sizes = np.array([len(part) for part in parts if len(part) > 1])
    variances = np.array([part.var(ddof=1) / len(part) for part in parts if len(part) > 1])
    if not variances.any():
        return 1.0
    freedom = variances.sum() ** 2 / np.sum(variances**2 / (sizes - 1))
    drawn = np.sum(variances * (sizes - 1) / sizes)
    return float(np.sqrt(variances.sum() / drawn) * stats.t.ppf(1 - tail, freedom) / stats.norm.ppf(1 - tail))


def detectable(values: Any, power: float = 0.8, *, bound: float = 0.5) -> float:
    """Return how far beyond a bound the truth must lie for a sample like this one to show it with a given power.

    To show means that the whole 95 % `interval` lies beyond the bound. "Nothing was shown" says little about
    differences smaller than this.

    Parameters
    ----------
    values : array_like, shape (n_runs,) or (n_runs, n_digits)
        As for `interval`. Only their number and spread count, not where they lie.
    power : float, default 0.8
        The share of such samples that would show it.
    bound : float, default 0.5
        For truth values only: the share that is to be exceeded. For others the difference is the same at any bound.

    Notes
    -----
    *Numbers.* The interval of the median begins at the k-th lowest run. That run lies above the bound when at most
    k - 1 of n runs lie below, so the share q of runs below the bound must be such that a binomial variable of n tries
    and chance q is at most k - 1 with probability `power`. If runs are normal with the sample's standard deviation s,
    a median d above the bound leaves the share q = Phi(-d / s) below, so d = -s Phi^-1(q).

    *Truth values.* Wilson's interval begins above the bound b from c = floor(n b + z sqrt(n b (1 - b))) + 1 true ones
    on. The true share p gives c or more with probability `power`; d = p - b, infinite if n tries cannot suffice.

    *Answers digit by digit.* Their mean is nearly normal, and d = (z + Phi^-1(power)) standard errors, 2.8 of them for
    80 %, by the crossed bootstrap, and more where few runs widen the interval.
    """
    values = np.asarray(values)
    interval(values)  # Refuses what has no interval.
    n, z = len(values), stats.norm.ppf(0.975)
    if values.ndim == 2:
        return float((z + stats.norm.ppf(power)) * _stretch(values, 0.025) * _crossed_means(values).std(ddof=1))
    if values.dtype == bool:
        enough = math.floor(n * bound + z * math.sqrt(n * bound * (1 - bound)) + 1e-9) + 1
        return float(special.bdtri(enough - 1, n, 1 - power) - bound) if enough <= n else math.inf
    k = stats.binom.ppf(0.025, n, 0.5)
    return float(-values.std(ddof=1) * stats.norm.ppf(special.bdtri(k - 1, n, power)))


def permutation_p(observed: float, permuted: Any) -> float:
    """Return the p-value of a permutation test from `permuted`, what m random permutations gave.

    If c of them are at least as large as `observed`, it is (1 + c) / (1 + m), never 0: the data as they came are one of
    the permutations. For a two-sided test give absolute values.
    """
    permuted = finite_array("permuted", permuted, np.float64)
    if permuted.ndim != 1 or len(permuted) == 0:
        raise ValueError(f"permuted must hold one number for each random permutation; got shape {permuted.shape}")
    return float((1 + np.sum(permuted >= observed)) / (1 + len(permuted)))


def holm(p_values: Any) -> Array:
    """Return a family's p-values after Holm's correction, in their order.

    The smallest of m is multiplied by m, the next by m - 1, and so on; none may become smaller than one before it.
    Below 0.05 whatever the tests have to do with each other, at most 5 % of such families show anything that is not
    there.
    """
    p = finite_array("p_values", p_values, np.float64)
    if p.ndim != 1 or np.any((p <= 0) | (p > 1)):
        raise ValueError(f"p_values must be numbers above 0 and up to 1, one a test; got {p}")
    order = np.argsort(p)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted


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
    """Assert a comparison, and return the sentence that states it with its numbers, and what it could have shown.

    The whole 95 % confidence interval must lie on the claimed side. To compare two kinds of runs, give their
    differences and ``above=0``. If the sentence gives its ``{estimate}``, and one bound is claimed, another one says
    what the truth had to be for such runs to show it with a power of 80 %. A ratio has none: it is skewed, and this
    supposes that runs scatter normally. Positive numbers with a bound of 1 or more are taken for ratios.

    Parameters
    ----------
    sentence : str
        With places for ``{estimate}``, ``{low}``, ``{high}``, ``{runs}`` and ``{digits}``, as for `str.format`.
    values : array_like, shape (n_runs,) or (n_runs, n_digits)
        As for `interval`.
    above, below : float, optional
        The claimed bounds, at least one. An interval that is not inside them is a `ClaimError`.
    """
    bounds = [f"{word} {bound:g}" for word, bound in (("above", above), ("below", below)) if bound is not None]
    if not bounds:
        raise ValueError("above or below must say what is claimed; got neither")
    values = np.asarray(values)
    estimate, low, high = interval(values)
    numbers = {"estimate": estimate, "low": low, "high": high, "runs": len(values), "digits": values[0].size}
    text = sentence.format(**numbers)
    if (above is not None and not low > above) or (below is not None and not high < below):
        raise ClaimError(f"{text} — does not hold: the interval {low:.6g} to {high:.6g} is not {' and '.join(bounds)}")
    text += _could_have_shown(sentence, values, above, below)
    return Markdown(f"**Claim, checked.** {spaced(text)}")  # type: ignore[no-untyped-call]


def _could_have_shown(sentence: str, values: Array, above: float | None, below: float | None) -> str:
    """Return the clause on power in the form of the sentence's own estimate; nothing where there is none to give."""
    forms = {name: form for _, name, form, _ in string.Formatter().parse(sentence) if name}
    if "estimate" not in forms or (above is not None and below is not None):
        return ""
    bound = above if below is None else below
    if values.ndim == 1 and bound is not None and bound >= 1 and values.min() > 0:  # A ratio.
        return ""
    shown = shown_from(values, above, below)
    if shown in (above, below) or not math.isfinite(shown):  # Exact numbers, without a spread.
        return ""
    value = f"{shown:{forms['estimate']}} or {'less' if above is None else 'more'}"
    return f" Runs like these would show it in four cases of five if the truth were {value}."


def shown_from(values: Any, above: float | None = None, below: float | None = None) -> float:
    """Return the value from which on a sample like this one shows, with a power of 80 %, that it is beyond a bound."""
    values = np.asarray(values)
    if below is None and above is not None:
        return above + detectable(values, bound=above)
    if above is None and below is not None:
        return below - detectable(~values if values.dtype == bool else values, bound=1 - below)
    raise ValueError(f"above or below must say what is claimed, and not both; got {above} and {below}")


def reported_and_measured(rows: Sequence[tuple[str, str, str, bool | str | tuple[str, str], str]]) -> Markdown:
    """Return the table that closes each experiment, of rows (what, reported, measured, holds, why).

    `holds` says whether the result replicates, or is a `Verdict`, or a verdict and a remark such as "better".
    """
    lines = ["| What | Reported | Measured here | Verdict | Why |", "|---|---|---|---|---|"]
    for what, reported, measured, holds, why in rows:
        name, remark = holds if isinstance(holds, tuple) else (holds, "")
        verdict = Verdict(name) if isinstance(name, str) else Verdict.REPLICATED if name else Verdict.FAILED
        lines.append(f"| {what} | {reported} | {measured} | **{with_remark(verdict, remark)}** | {why} |")
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
