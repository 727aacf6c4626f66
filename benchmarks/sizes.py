"""The cost of a step by network width and batch size, compared with its matrix products alone.

The network is 784-width-width-10 with ReLU and Adam. PyTorch has its own floor, since it uses a different library
for products than NumPy. Nothing here has a bound: it shows where a framework's overhead ends and the products begin.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

import nnkit as nn
from benchmarks import contestants, verdicts
from benchmarks.cases import BASE, Cell
from benchmarks.contestants import OWN, Trainer
from benchmarks.verdicts import FLOOR, Row

WIDTHS = (16, 64, 256, 1024)
BATCH_SIZES = (8, 32, 128, 512)
TORCH, TORCH_FLOOR, SKLEARN = "PyTorch lean", "PyTorch products", "scikit-learn"
NAMES = (OWN, FLOOR, TORCH, TORCH_FLOOR, SKLEARN)
FLOPS = 4e9
"""The approximate number of operations per call in products, unless that means too few or too many steps."""


def n_operations(widths: list[int], batch_size: int) -> int:
    """Return the multiplications and additions in a step's products: three per layer, but two for the first."""
    products = [a * b for a, b in itertools.pairwise(widths)]
    return 2 * batch_size * (3 * sum(products) - products[0])


def n_steps(width: int, batch_size: int, n_samples: int) -> int:
    """Return the number of steps in one call."""
    wanted = int(FLOPS / n_operations([784, width, width, 10], batch_size))
    return min(max(wanted, 4), 300, n_samples // batch_size)


def trainers(cell: Cell) -> dict[str, Trainer]:
    """Return the available contestants."""
    found = {name: contestants.ALL[name](cell) for name in (OWN, FLOOR, SKLEARN)}
    if contestants.has_torch():
        import torch

        found[TORCH] = contestants.pytorch_lean(cell)
        widths = [784, *cell["hidden"], 10]
        found[TORCH_FLOOR] = contestants.products_alone(widths, cell["batch_size"], torch.from_numpy)
    return {name: found[name] for name in NAMES if name in found}


def measure(data: nn.Dataset, repeats: int, part: int = 1) -> list[Row]:
    """Return one row per width and batch size: the seconds of a step, measured in turn on one thread."""
    rows = []
    for width, batch_size in itertools.product(WIDTHS, BATCH_SIZES):
        cell = BASE | {"hidden": [width, width], "batch_size": batch_size}
        steps = n_steps(width, batch_size, len(data.X_train) // part)
        X, y = data.X_train[: steps * batch_size], data.y_train[: steps * batch_size]
        timed = trainers(cell)
        seconds: dict[str, list[float]] = {name: [] for name in timed}
        for round_ in range(repeats + 1):
            for name, train in timed.items():
                taken = train(X, y, 1).seconds / steps
                if round_:  # The first run warms up caches.
                    seconds[name].append(float(f"{taken:.5g}"))
        rows.append(
            {
                "width": width,
                "batch_size": batch_size,
                "threads": 1,
                "steps": steps,
                "operations": n_operations([784, width, width, 10], batch_size),
                "seconds": seconds,
                "not_available": [name for name in NAMES if name not in timed],
            }
        )
    return rows


def failed(rows: list[Row]) -> bool:
    """Return False: there is no bound."""
    return False


def conclusion(rows: list[Row]) -> list[str]:
    """Return the sizes at which nnkit and PyTorch are closest and farthest apart."""
    if any(TORCH not in row["seconds"] for row in rows):
        return []
    ordered = sorted(rows, key=lambda row: verdicts.ratio(row, TORCH).median)
    return [
        f"- Width {row['width']}, batch {row['batch_size']}: {TORCH} takes {verdicts.ratio(row, TORCH)} times nnkit's "
        f"time, {word}."
        for word, row in (("the least", ordered[0]), ("the most", ordered[-1]))
    ]


def table(rows: list[Row]) -> list[str]:
    """Return the median time of a step as one Markdown table, in µs."""
    lines = [f"| Width | Batch | {' | '.join(NAMES)} |", f"|--:|--:|{'--:|' * len(NAMES)}"]
    for row in rows:
        cells: list[Any] = [row["width"], row["batch_size"]]
        cells += [f"{1e6 * np.median(row['seconds'][name]):.0f}" if name in row["seconds"] else "-" for name in NAMES]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines
