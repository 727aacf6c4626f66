"""The first screen of chapter 18: for each report a row of tiles, a figure or table each, with their claims folded."""

from __future__ import annotations

import re
from html import escape

from IPython.display import Markdown

from book.replication.tables import Exhibit, Row, exhibits
from lab.claims import spaced
from lab.verdicts import Verdict

SIGNS: dict[Verdict | None, tuple[str, str]] = {
    Verdict.REPLICATED: ("✓", "replicated"),
    Verdict.IN_PART: ("◐", "in-part"),
    Verdict.NOT_SHOWN: ("?", "not-shown"),
    Verdict.WEAKER: ("↓", "weaker"),
    Verdict.FAILED: ("✗", "failed"),
    Verdict.OPPOSITE: ("⇄", "opposite"),
    Verdict.NOT_MEASURED: ("…", "not-measured"),
    None: ("·", "nothing"),
}
"""For each verdict the sign on its tile, so that colour is never the only cue, and the name of its style."""


def tiles() -> Markdown:
    """Return both reports as rows of tiles; a tile leads to its figure's or table's claims, with verdict and rule."""
    parts = [key()]
    for source in "AB":
        parts += [f"**Report {source}**", _row_of_tiles(exhibits(source))]
    return Markdown(spaced("\n\n".join(parts)))  # type: ignore[no-untyped-call]


def details() -> Markdown:
    """Return what stands behind the tiles: a folded table for each figure and table of both reports."""
    parts = [_folded(exhibit) for source in "AB" for exhibit in exhibits(source) if exhibit.rows]
    return Markdown(spaced("\n\n".join(parts)))  # type: ignore[no-untyped-call]


def key() -> str:
    """Return the line that says what each sign means."""
    named = [f"{sign} {verdict or 'nothing is claimed'}" for verdict, (sign, _) in SIGNS.items()]
    return "Signs: " + ", ".join(named) + "."


def anchor(exhibit: Exhibit) -> str:
    """Return the name of the place on the page that a tile leads to."""
    return "report-" + re.sub(r"[^a-z0-9]+", "-", f"{exhibit.source} {exhibit.place}".lower()).strip("-")


def _row_of_tiles(found: list[Exhibit]) -> str:
    return f'<div class="nnkit-tiles">{"".join(map(_tile, found))}</div>'


def _tile(exhibit: Exhibit) -> str:
    sign, style = SIGNS[exhibit.verdict]
    place = exhibit.place.replace("figure", "fig.")
    said = f"{exhibit.verdict or 'nothing is claimed'}; {_number_of(exhibit)}"
    inside = f'<span class="nnkit-tile-sign" aria-hidden="true">{sign}</span> {escape(place)}'
    label = escape(f"{place}, {exhibit.title}: {said}")
    attributes = f'class="nnkit-tile nnkit-tile-{style}" title="{label}"'
    if not exhibit.rows:
        return f"<span {attributes}>{inside}</span>"
    return f'<a {attributes} aria-label="{label}" href="#{anchor(exhibit)}">{inside}</a>'


def _number_of(exhibit: Exhibit) -> str:
    n = len(exhibit.counted)
    return f"{n} claim{'' if n == 1 else 's'}" if n else "it repeats a claim of another tile"


def _folded(exhibit: Exhibit) -> str:
    sign, _ = SIGNS[exhibit.verdict]
    head = f"{sign} Report {exhibit.source}, {exhibit.place}: {exhibit.title} ({exhibit.verdict})"
    chapters = ", ".join(f"[{name[:2]}]({address})" for name, address in exhibit.chapters.items())
    lines = [
        '<details class="nnkit-exhibit">',
        f"<summary>{escape(head)}</summary>",
        f'<span id="{anchor(exhibit)}"></span>',
        "",
        f"*Set-up as stated:* {exhibit.setup}. *Chapter:* {chapters}.",
        "",
        "| What | Reported | Measured here | Verdict and rule | Why |",
        "|---|---|---|---|---|",
        *map(_line, exhibit.rows),
        "",
        "</details>",
    ]
    return "\n".join(lines)


def _line(row: Row) -> str:
    what = f"↳ {row.what}" if row.repeats else row.what
    rule = "" if row.aside else " ".join(part for part in (row.rule, row.power) if part)
    return f"| {what} | {row.reported} | {row.measured} | **{row.shown}.** {rule} | {row.why} |"
