"""Read measurements from the results, and turn them into text and intervals."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from lab.claims import interval
from lab.results import load_benchmark, load_result, load_store


@functools.cache
def store(name: str) -> list[dict[str, Any]]:
    """Return the rows of a sweep's store, with each cell's rows in seed order."""
    return sorted(load_store(name, quiet=True), key=lambda row: row["seed"])


@functools.cache
def result(name: str) -> list[dict[str, Any]]:
    """Return the rows of an experiment's result."""
    return load_result(name)["rows"]


def benchmark(part: str) -> dict[str, Any]:
    """Return one part of the committed benchmark."""
    return load_benchmark()[part]


def runs_of(name: str, **config: Any) -> list[dict[str, Any]]:
    """Return the results for all seeds of the cells with these values."""
    found = [row["result"] for row in store(name) if config.items() <= _hashable(row["config"]).items()]
    if not found:
        raise LookupError(f"{name} holds no run of {config}")
    return found


def _hashable(config: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}


def short_runs(case: str) -> dict[str, np.ndarray]:
    """Return the columns of one case of the short runs, one number per seed."""
    rows = [row for row in result("short_runs") if row["case"] == case]
    return {name: np.array([row[name] for row in rows]) for name in rows[0] if name != "case"}


def spread(values: Any, form: str = ".3g") -> str:
    """Return the median and range of runs, as text."""
    values = np.asarray(values, dtype=float)
    if len(values) == 1:
        return f"{values[0]:{form}} (one run)"
    return f"{np.median(values):{form}} ({values.min():{form}} to {values.max():{form}}, {len(values)} runs)"


def share(flags: Any, form: str = ".0%") -> str:
    """Return a proportion with its 95 % interval, as text."""
    estimate, low, high = interval(np.asarray(flags, dtype=bool))
    return f"{estimate:{form}} ({low:{form}} to {high:{form}})"


def of_runs(accuracies: Any) -> np.ndarray:
    """Return accuracies, or their differences, as a table with one column, for which `interval` gives the mean.

    An accuracy is a mean over digits, so its mean over runs is the mean over runs and digits. Where the answers digit
    by digit are not stored, only the runs can be drawn again.
    """
    return np.asarray(accuracies, dtype=float)[:, None]
