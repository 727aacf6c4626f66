"""Draw the road through the book: `python -m book._site.road` writes pictures/road.svg from the chapters and NEEDS."""

from __future__ import annotations

import html
import re
from pathlib import Path

import nbformat

_HERE = Path(__file__).resolve().parent
BOOK = _HERE.parent
PICTURE = _HERE / "pictures" / "road.svg"

# What each chapter builds on; a chapter not named here needs none.
NEEDS = {
    2: (1,),
    3: (2,),
    4: (3,),
    5: (3,),
    6: (2, 5),
    7: (6,),
    8: (4, 6),
    9: (3, 6),
    10: (9,),
    11: (9, 10),
    12: (6, 9),
    13: (2, 11),
}
GAINS = {
    1: "the training loop",
    2: "probabilities and their loss",
    3: "every gradient in one pass",
    4: "a test that needs no formula",
    5: "what a hidden layer adds",
    6: "the loop reads handwriting",
    7: "which differences are real",
    8: "what closes the gap to new digits",
    9: "a digit in 32 numbers, without labels",
    10: "what is a choice of scale",
    11: "what a code says, tested",
    12: "what noise leaves to be read",
    13: "similar digits vote",
}
PLANNED = ("Support vector machines", "The frameworks")
STEP, LEFT, TOP, WIDTH = 62, 96, 40, 440


def chapters() -> dict[int, str]:
    """Return the titles of the chapters that exist, by number."""
    found = {}
    for path in sorted(BOOK.glob("part*/*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        match = re.match(r"# (\d+)\. (.+)", notebook.cells[0].source)
        assert match, f"{path.name} must begin with its number and title"
        found[int(match[1])] = match[2]
    return found


def draw() -> str:
    """Return the picture as SVG: a line of stations, with an arc from each chapter to those that build on it."""
    titles = chapters()
    place = {number: TOP + i * STEP for i, number in enumerate(titles)}
    end = TOP + (len(titles) + len(PLANNED) - 1) * STEP
    last = TOP + (len(titles) - 1) * STEP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {end + 40}" width="{WIDTH}" height="{end + 40}" '
        'font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif">',
        f'<rect width="{WIDTH}" height="{end + 40}" fill="#ffffff"/>',
        f'<path d="M{LEFT} {TOP} V{last}" stroke="#0072B2" stroke-width="7" fill="none"/>',
        f'<path d="M{LEFT} {last} V{end}" stroke="#8a8f98" stroke-width="4" stroke-dasharray="3 7" fill="none"/>',
    ]
    for number, needed in NEEDS.items():
        for other in needed:
            if list(titles).index(number) - list(titles).index(other) > 1:  # Neighbours are joined by the road itself.
                start, stop = place[other], place[number]
                bend = LEFT - 16 - 15 * (stop - start) / STEP
                parts.append(
                    f'<path d="M{LEFT - 15} {start} C{bend} {start}, {bend} {stop}, {LEFT - 19} {stop}" '
                    f'stroke="#A34700" stroke-width="2" fill="none"/>'
                    f'<path d="M{LEFT - 16} {stop} l-9 -5 v10 z" fill="#A34700"/>'
                )
    bold = 'font-weight="700" fill="#111111"'
    for number, title in titles.items():
        y = place[number]
        parts.append(
            f'<circle cx="{LEFT}" cy="{y}" r="15" fill="#ffffff" stroke="#0072B2" stroke-width="4"/>'
            f'<text x="{LEFT}" y="{y + 6}" text-anchor="middle" font-size="16" {bold}>{number}</text>'
            f'<text x="{LEFT + 30}" y="{y - 2}" font-size="18" {bold}>{html.escape(title)}</text>'
            f'<text x="{LEFT + 30}" y="{y + 18}" font-size="15" fill="#444444">{html.escape(GAINS[number])}</text>'
        )
    for i, title in enumerate(PLANNED, len(titles)):
        y = TOP + i * STEP
        parts.append(
            f'<circle cx="{LEFT}" cy="{y}" r="10" fill="#ffffff" stroke="#8a8f98" stroke-width="3"/>'
            f'<text x="{LEFT + 30}" y="{y + 6}" font-size="16" fill="#555555">{html.escape(title)}</text>'
        )
    return "\n".join([*parts, "</svg>\n"])


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
