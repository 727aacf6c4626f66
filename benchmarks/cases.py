"""What is trained: the networks of figures 5 to 9, on one thread, and those of figure 7 on two threads as well."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

Cell = dict[str, Any]

BASE: Cell = {"activation": "ReLU", "hidden": [64, 32], "batch_size": 128, "optimizer": "Adam", "lr": 0.001}
"""The network of figure 5; every figure varies one aspect of it."""
CELLS: dict[str, list[Cell]] = {
    "fig5": [BASE],
    "fig6": [BASE | {"activation": name} for name in ("ReLU", "Sigmoid", "Tanh")],
    "fig7": [BASE | {"batch_size": size} for size in (8, 16, 32, 64, 128, 256)],
    "fig8": [BASE | {"hidden": [width, width]} for width in (16, 32, 64, 128)],
    "fig9": [
        BASE | {"optimizer": "SGD", "lr": 0.01},
        BASE | {"optimizer": "SGD with momentum 0.9", "lr": 0.01},
        BASE,
    ],
}
"""The cells of chapter 7's experiment, by figure; a test compares the two."""

SAMPLES_AND_EPOCHS = {
    8: (9984, 1),
    16: (19_968, 1),
    32: (29_952, 1),
    64: (29_952, 2),
    128: (29_952, 3),
    256: (29_952, 3),
}
"""The samples and epochs of one call, by batch size: the same for all contestants, and a whole number of batches.

Small batches need fewer digits to time a step. For large ones the data exceeds most caches, so that rows are gathered
from memory as in a whole epoch, and more epochs make up for the checks before the first step.
"""


@dataclass(frozen=True)
class Case:
    """One table: a cell of a figure, trained on a number of threads."""

    cell: Cell
    threads: int

    @property
    def figures(self) -> list[str]:
        """The figures that show this cell."""
        return [figure for figure, cells in CELLS.items() if self.cell in cells]

    @property
    def samples_and_epochs(self) -> tuple[int, int]:
        """The samples and epochs of one call."""
        return SAMPLES_AND_EPOCHS[self.cell["batch_size"]]


def chosen(figures: Collection[str] = ()) -> list[Case]:
    """Return the cases of these figures, or of all; a cell shared by several figures appears once."""
    unknown = sorted(set(figures) - set(CELLS))
    if unknown:
        raise ValueError(f"only must name figures among {', '.join(CELLS)}; got {', '.join(unknown)}")
    cells: list[Cell] = []
    for figure in figures or CELLS:
        cells += [cell for cell in CELLS[figure] if cell not in cells]
    two = [cell for cell in CELLS["fig7"] if cell in cells]
    return [Case(cell, 1) for cell in cells] + [Case(cell, 2) for cell in two]


def title(row: dict[str, Any]) -> str:
    """Return the title of a case: its network, optimizer, batch size and threads."""
    threads = "1 thread" if row["threads"] == 1 else f"{row['threads']} threads"
    return f"{network_name(row)}, batch {row['batch_size']}, {threads}"


def network_name(row: dict[str, Any]) -> str:
    """Return the name of a network and its optimizer."""
    return f"784-{'-'.join(map(str, row['hidden']))}-10, {row['activation']}, {row['optimizer']}"
