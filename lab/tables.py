"""Tables that cells show: columns in a terminal, and Markdown in a notebook and on the page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lab.claims import spaced
from nnkit.gradcheck import GradientReport

_NUMBER = re.compile(r"[+-]?\d[\d.,]*(e[+-]?\d+)?(?= ?%|$| to [+-]?\d| \()")
_MARKS = re.compile(r"\*\*|`")
_FORMULA = re.compile(r"\$[^$]*\$")


@dataclass(frozen=True, repr=False)
class Table:
    """What `as_table` returns; a notebook shows it as a table, and ``print`` as columns."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def _right(self) -> list[bool]:
        """Say for each column whether it holds numbers, which stand on the right."""
        columns = [[cell for cell in column if cell] for column in zip(*self.rows, strict=True)]
        return [all(_NUMBER.match(_MARKS.sub("", cell)) for cell in column) and bool(column) for column in columns]

    def __repr__(self) -> str:
        lines = [[_MARKS.sub("", cell) for cell in row] for row in (self.heads, *self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        right = self._right()
        padded = [
            [cell.rjust(n) if number else cell.ljust(n) for cell, n, number in zip(line, widths, right, strict=True)]
            for line in lines
        ]
        return "\n".join("  ".join(line).rstrip() for line in padded)

    def _repr_markdown_(self) -> str:
        rule = ["---:" if number else "---" for number in self._right()]
        rows = [[cell.replace("|", "\\|") for cell in row] for row in (self.heads, *self.rows)]
        return spaced("\n".join(f"| {' | '.join(line)} |" for line in [rows[0], rule, *rows[1:]]))


def as_table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """Return a table to show in a notebook, instead of printed columns that a narrow page cuts off.

    Parameters
    ----------
    heads : sequence of str
        The names of the columns. One that says nothing may be empty; a formula stands beside words, since a head that
        is a formula alone is empty for some screen readers.
    rows : iterable of sequences
        A cell for each column, as text, or as a number that is shown as it is. In a text, `` `code` `` and ``**bold**``
        are set as such. Columns of numbers stand on the right.
    """
    if wordless := [head for head in heads if head and not _FORMULA.sub("", head).strip()]:
        raise ValueError(f"heads must say in words what their columns hold, beside a formula too; got {wordless}")
    table = Table(tuple(heads), tuple(tuple(map(str, row)) for row in rows))
    wrong = [row for row in table.rows if len(row) != len(table.heads)]
    if not table.rows or wrong:
        raise ValueError(
            f"rows must hold at least one, each with {len(table.heads)} cells, one a head; got {wrong or 'none'}"
        )
    return table


def check_table(report: GradientReport) -> Table:
    """Return the report of `check_gradients` as a table: a row an array, by its entry that comes closest to failing."""
    rows = [
        (
            check.name,
            check.n_checked,
            f"{check.max_relative_error:.2e}",
            f"{check.analytic:.6e}",
            f"{check.numeric:.6e}",
            "pass" if check.passed else f"FAIL at {check.worst_index}",
        )
        for check in report.checks
    ]
    return as_table(("array", "checked", "max rel. error", "analytic", "numeric", "result"), rows)
