"""A Sphinx extension for tables: each cell knows the name of its column, so that a phone can show a card for each row.

`static/tables.css` makes the cards, without a script. There a table's parts are no longer laid out as a table, and a
browser would forget what they are; the roles written here keep it, and screen readers read the table as before. A
table that is narrow enough for a phone stays one there.
"""

from __future__ import annotations

import html
import re
from typing import Any

from sphinx.application import Sphinx

from website.search import plain

PHONE = 38
"""Characters that stand side by side on a phone."""
_WRAPS_AT = 12  # Text in a column breaks into lines of about this many characters.

_TABLE = re.compile(
    r'<table class="(?P<classes>[^"]*)"(?P<rest>[^>]*)>(?P<inside>(?:(?!<table).)*?)</table>', re.DOTALL
)
_ROW = re.compile(r"<tr(?P<attributes>[^>]*)>(?P<cells>.*?)</tr>", re.DOTALL)
_CELL = re.compile(r"<(?P<tag>t[hd])(?P<attributes>[^>]*)>(?P<text>.*?)</t[hd]>", re.DOTALL)
_SIGN = "[\N{MINUS SIGN}+-]?"
_NUMBER = re.compile(
    rf"{_SIGN}\d[\d.,]*(e{_SIGN}\d+)?\s?(%|s|h|kB|MB)?\s?(\([^a-z]*( to [^a-z]*)?\))?\*?|[\N{{EN DASH}}\N{{EM DASH}}]"
)


def words(cell: str) -> str:
    """Return what a cell says, without its tags."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", cell)).split())


def is_number(text: str) -> bool:
    """Say whether a cell holds a number, perhaps with its unit and its interval."""
    return bool(_NUMBER.fullmatch(text))


def is_wide(columns: list[list[str]]) -> bool:
    """Say whether a table is too wide for a phone: by each column's longest word, or its text where that is short."""
    least = 0
    for column in columns:
        longest_word = max((len(word) for text in column for word in text.split()), default=0)
        longest_text = max(map(len, column), default=0)
        least += max(longest_word, min(longest_text, _WRAPS_AT)) + 2
    return least > PHONE


def _with_class(attributes: str, *names: str) -> str:
    added = " ".join(name for name in names if name)
    if not added:
        return attributes
    if 'class="' in attributes:
        return attributes.replace('class="', f'class="{added} ', 1)
    return f'{attributes} class="{added}"'


_TEX = re.compile(r"\\\((.*?)\\\)")


def as_letters(formula: re.Match[str]) -> str:
    """Return a short formula as a label can show it, which holds no HTML: x₁ for `x_1`."""
    tex = re.sub(r"\\[td]?frac12", "½", re.sub(r"\\text\{([^{}]*)\}", r"\1", formula[1]))
    return plain(tex) or re.sub(r"[\s_\\{}]", "", tex)


def label_table(table: re.Match[str]) -> str:
    """Return a table with roles, the names of its columns in its cells, and classes for numbers and verdicts.

    One without a head, or with cells that span others, stays as it is.
    """
    inside = table["inside"]
    head, _, body = inside.partition("</thead>")
    names = [_TEX.sub(as_letters, words(cell["text"])) for cell in _CELL.finditer(head)]
    rows = [[words(cell["text"]) for cell in _CELL.finditer(row["cells"])] for row in _ROW.finditer(body)]
    if not names or not rows or {len(row) for row in rows} != {len(names)} or re.search(r"(?:col|row)span", inside):
        return table[0]
    columns = [list(column) for column in zip(*rows, strict=True)]
    numbers = [
        any(map(is_number, column)) and all(not text or is_number(text) for text in column) for column in columns
    ]
    wide = is_wide([[name, *column] for name, column in zip(names, columns, strict=True)])

    def labelled(row: re.Match[str]) -> str:
        column = -1

        def cell(found: re.Match[str]) -> str:
            nonlocal column
            column += 1
            name, is_head = names[column], found["tag"] == "th"
            role = "columnheader" if is_head and name else "cell"
            attributes = _with_class(
                found["attributes"],
                "nnkit-number" * numbers[column],
                "nnkit-verdict" * name.startswith("Verdict"),
            )
            label = "" if is_head or not name else f' data-label="{html.escape(name)}"'
            return f'<{found["tag"]}{attributes} role="{role}"{label}>{found["text"]}</{found["tag"]}>'

        return f'<tr{row["attributes"]} role="row">{_CELL.sub(cell, row["cells"])}</tr>'

    inside = re.sub(r"<(thead|tbody)>", r'<\1 role="rowgroup">', _ROW.sub(labelled, inside))
    kind = "nnkit-cards" if wide else "nnkit-narrow"
    return f'<table class="{table["classes"]} {kind}"{table["rest"]} role="table">{inside}</table>'


def label_tables(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object) -> None:
    """Label the tables of a page."""
    context["body"] = _TABLE.sub(label_table, context.get("body", ""))


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the step, before formulas are set, which hold tables of MathJax's own."""
    app.connect("html-page-context", label_tables, priority=850)
    app.add_css_file("tables.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
