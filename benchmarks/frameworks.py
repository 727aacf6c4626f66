"""Three of the book's networks in nnkit, PyTorch and scikit-learn: equal losses, lines of code, seconds and memory.

The programs are in `book/frameworks`, written for each library the way its users would write them; the lines counted
are those that ran. With the same weights and batches, the first losses in float64 must be equal. scikit-learn cannot
train exactly the same model, so it trains the nearest one, and nnkit trains that one too for the comparison of losses.
"""

from __future__ import annotations

import ast
import inspect
import tempfile
import textwrap
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import nnkit as nn
from benchmarks import contestants, memory, verdicts
from benchmarks.verdicts import FLOOR, Row
from book.frameworks import LIBRARIES, TASKS
from book.frameworks.compared import (
    N_STEPS,
    OWN,
    SKLEARN,
    available,
    data_for,
    expected_losses,
    first_losses,
    first_weights,
    program,
    targets_for,
)
from nnkit.typing import Array

MEMORY_ROUNDS = 2
TOLERANCE = 1e-6
"""The largest allowed difference between the first losses: the bound of this part."""


def n_lines(library: str, name: str) -> int:
    """Return the number of lines in the two functions that ran, without blank lines, docstrings and comments."""
    programs = program(library)
    return sum(_n_lines(function) for function in (getattr(programs, name), programs.train))


def _n_lines(function: Callable[..., Any]) -> int:
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    body = tree.body[0]
    assert isinstance(body, ast.FunctionDef)
    if ast.get_docstring(body) is not None:
        del body.body[0]
    return len({line for node in ast.walk(body) if hasattr(node, "lineno") for line in _span(node)})


def _span(node: Any) -> set[int]:
    """Return the lines of a node itself: the first line of a compound statement, all lines of any other."""
    last = node.lineno if hasattr(node, "body") else node.end_lineno
    return set(range(node.lineno, last + 1))


def timed(library: str, name: str, X: Array, y: Array, epochs: int, seed: int) -> tuple[float, float]:
    """Train from scratch; return the seconds per epoch and the last epoch's mean loss."""
    task, programs = TASKS[name], program(library)
    network = getattr(programs, name)()
    programs.start(network, first_weights(task, seed))
    targets = targets_for(library, name, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns that it has not converged.
        started = time.perf_counter()
        losses = programs.train(network, X, targets, epochs=epochs, batch_size=task.batch_size)
        seconds = time.perf_counter() - started
    return seconds / epochs, float(losses[-1])


def measure(data: nn.Dataset, repeats: int, part: int = 1) -> list[Row]:
    """Return one row per task: the libraries measured in turn, on 1/`part` of the samples and on one thread."""
    rows = []
    for name, task in TASKS.items():
        X, y = data_for(name, data, task.n_samples // part)
        rows.append(
            {
                "task": name,
                "threads": 1,
                "widths": list(task.widths),
                "batch_size": task.batch_size,
                "n_samples": len(X),
                "epochs": task.epochs,
                "not_available": sorted(set(LIBRARIES) - set(available())),
                **_raced(name, X, y, repeats),
                "lines": {library: n_lines(library, name) for library in available()},
                "memory_mb": _memories(name, X, y),
                **_followed(name, X, y),
            }
        )
    return rows


def _raced(name: str, X: Array, y: Array, repeats: int) -> dict[str, Any]:
    task = TASKS[name]
    floor = contestants.products_alone(task.widths, task.batch_size)
    n_warm = 20 * task.batch_size
    for library in available():
        timed(library, name, X[:n_warm], y[:n_warm], 1, seed=0)  # Warm up caches and allocators.
    seconds: dict[str, list[float]] = {library: [] for library in [*available(), FLOOR]}
    losses: dict[str, list[float]] = {library: [] for library in available()}
    for seed in range(repeats):
        for library in available():
            taken, loss = timed(library, name, X, y, task.epochs, seed)
            seconds[library].append(float(f"{taken:.5g}"))
            losses[library].append(float(f"{loss:.5g}"))
        seconds[FLOOR].append(float(f"{floor(X, y, task.epochs).seconds / task.epochs:.5g}"))
    return {"seconds": seconds, "loss": losses}


def _memories(name: str, X: Array, y: Array) -> dict[str, dict[str, list[float]]]:
    found: dict[str, dict[str, list[float]]] = {library: {"import": [], "training": []} for library in available()}
    for _ in range(MEMORY_ROUNDS):
        for library in available():
            with tempfile.TemporaryDirectory() as folder:
                np.save(Path(folder, "X.npy"), X)
                np.save(Path(folder, "y.npy"), targets_for(library, name, y))
                for what, megabytes in memory.measured(library, name, Path(folder)).items():
                    found[library][what].append(megabytes)
    return found


def _followed(name: str, X: Array, y: Array) -> dict[str, Any]:
    losses = {library: first_losses(library, name, X, y) for library in available()}
    apart = {}
    for library in available()[1:]:
        expected = expected_losses(library, name, X, y)
        apart[library] = [abs(a - b) for a, b in zip(losses[library], expected, strict=True)]
    largest = {library: max(differences) for library, differences in apart.items()}
    return {"first_losses": losses, "differences": apart, "largest_difference": largest}


def failed(rows: list[Row]) -> bool:
    """Return whether any library's losses differ from nnkit's."""
    return any(apart > TOLERANCE for row in rows for apart in row["largest_difference"].values())


def conclusion(rows: list[Row]) -> list[str]:
    """Return a line for each comparison of losses."""
    lines = []
    for row in rows:
        for library, apart in row["largest_difference"].items():
            nearest = f", both with {TASKS[row['task']].nearest}" if library == SKLEARN else ""
            verdict = "met" if apart <= TOLERANCE else "MISSED"
            lines.append(
                f"- {row['task']}, the first {N_STEPS} losses in float64: {library} is within {apart:.0e} of nnkit"
                f"{nearest}; at most {TOLERANCE:.0e}: {verdict}"
            )
    return lines


def table(rows: list[Row]) -> list[str]:
    """Return everything measured as one Markdown table."""
    lines = [
        "| Task | Library | seconds per epoch (range) |  ratio (quartiles) | final loss (range) | lines | "
        "memory, MB | importing, MB |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        for name, times in row["seconds"].items():
            of_memory = row["memory_mb"].get(name)
            cells = [
                row["task"],
                f"{name} ({TASKS[row['task']].nearest})" if name == SKLEARN else name,
                _spread(times, ".3g"),
                "" if name == OWN else str(verdicts.ratio(row, name)),
                _spread(row["loss"][name], ".4g") if name in row["loss"] else "",
                str(row["lines"].get(name, "")),
                _spread(of_memory["training"], ".1f") if of_memory else "",
                _spread(of_memory["import"], ".0f") if of_memory else "",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def _spread(values: list[float], form: str) -> str:
    low, middle, high = (format(value, form) for value in (min(values), np.median(values), max(values)))
    return middle if low == high else f"{middle} ({low} to {high})"
