"""The page on failures: each row of its tables is brought about by the code below the table, and asserted."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat

PAGE = Path(__file__).resolve().parents[2] / "book" / "appendix" / "when-training-fails.ipynb"
_ROW = re.compile(r"^\| (\d[a-z]) \| (.*) \|$", re.M)


def sections() -> list[tuple[str, str]]:
    """Return the text and the code of each part of the page that has a table of causes."""
    found, text = [], ""
    for cell in nbformat.read(PAGE, as_version=4).cells:
        if cell.cell_type == "markdown":
            text = cell.source
        elif _ROW.search(text):
            found.append((text, cell.source))
            text = ""
    return found


def unproven(text: str, code: str) -> set[str]:
    """Return the rows that no assert of the code names in a comment."""
    proven: set[str] = set()
    for statement in re.split(r"^(?=\S)", code, flags=re.M):
        if re.search(r"^\s*assert |AssertionError", statement, re.M):
            proven |= set(re.findall(r"# (\d[a-z])\b", statement))
    return {row for row, _ in _ROW.findall(text)} - proven


def test_code_below_each_table_asserts_every_row():
    assert len(sections()) == 8
    for text, code in sections():
        assert unproven(text, code) == set()


def test_row_without_an_assert_is_found():
    text, code = sections()[2]
    assert unproven(text, code.replace("  # 2c", "")) == {"2c"}
    assert unproven(text, re.sub(r"^assert (.*# 2d)", r"print(\1)", code, flags=re.M)) == {"2d"}


def test_rows_are_numbered_in_order_and_none_twice():
    for part, (text, _) in enumerate(sections()):
        rows = [row for row, _ in _ROW.findall(text)]
        assert rows == [f"{part}{letter}" for letter in "abcdefghij"[: len(rows)]]


def test_every_row_has_a_test_in_one_line_of_code_or_a_sentence():
    for text, _ in sections():
        for row, cells in _ROW.findall(text):
            cause, test, chapter = (cell.strip() for cell in re.split(r"(?<!\\)\|", cells))
            assert len(cause) > 10, row
            assert test, row
            assert not chapter or "{doc}`../part" in chapter or row[0] == "0", row


def test_every_symptom_leads_to_its_part():
    cells = nbformat.read(PAGE, as_version=4).cells
    linked = re.findall(r"\]\((fails-\w+)\)", cells[0].source)
    there = re.findall(r"^\((fails-\w+)\)=$", "\n".join(cell.source for cell in cells), re.M)
    assert linked == there
    assert len(linked) == len(sections())
