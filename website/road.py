"""Draw the road through the book: `python -m website.road` writes pictures/road.svg from the chapters and NEEDS."""

from __future__ import annotations

import html
import math
import re
from pathlib import Path

import yaml

from lab.chapters import read_notebook
from lab.results import write_whole

_HERE = Path(__file__).resolve().parent
BOOK = _HERE.parent / "book"
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
    14: (2, 13),
    15: (9, 14),
    16: (5, 6, 9),
    17: (7, 15),
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
    14: "the widest margin, found pair by pair",
    15: "what a good number does not prove",
    16: "the same steps in three libraries",
    17: "what held, and what did not",
}
STEP, GAP, LEFT, TOP, WIDTH = 62, 44, 112, 58, 460


def chapters() -> dict[int, str]:
    """Return the titles of the chapters, by number."""
    found = {}
    for path in sorted(BOOK.glob("part*/*.ipynb")):
        notebook = read_notebook(path)
        match = re.match(r"# (\d+)\. (.+)", notebook.cells[0].source)
        assert match, f"{path.name} must begin with its number and title"
        found[int(match[1])] = match[2]
    return found


def parts() -> dict[int, str]:
    """Return the captions of the book's parts, by the number of their first chapter."""
    toc = yaml.safe_load((BOOK.parent / "_toc.yml").read_text(encoding="utf-8"))
    first = {part["caption"]: Path(part["chapters"][0]["file"]).name for part in toc["parts"]}
    return {int(name[:2]): caption for caption, name in first.items() if name[:2].isdigit()}


def draw() -> str:
    """Return the picture as SVG: a line of stations, with an arc from each chapter to those that build on it."""
    titles, captions = chapters(), parts()
    assert set(titles) == set(GAINS), f"GAINS is for the chapters {list(GAINS)}; there are {list(titles)}"
    place, y = {}, TOP - STEP
    for number in titles:
        y += STEP + (GAP if number in captions and place else 0)
        place[number] = y
    height = y + 40
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<path d="M{LEFT} {TOP} V{y}" stroke="#0072B2" stroke-width="7" fill="none"/>',
    ]
    for number in titles:
        for other in NEEDS.get(number, ()):
            if number - other > 1:  # Neighbours are joined by the road itself.
                start, stop = place[other], place[number]
                bend = LEFT - 24 - 110 * (1 - math.exp((start - stop) / (6 * STEP)))
                drawn.append(
                    f'<path d="M{LEFT - 15} {start} C{bend:.0f} {start}, {bend:.0f} {stop}, {LEFT - 19} {stop}" '
                    f'stroke="#A34700" stroke-width="2" fill="none"/>'
                    f'<path d="M{LEFT - 16} {stop} l-9 -5 v10 z" fill="#A34700"/>'
                )
    bold = 'font-weight="700" fill="#111111"'
    for number, title in titles.items():
        y = place[number]
        if number in captions:
            drawn.append(
                f'<text x="{LEFT + 30}" y="{y - 34}" font-size="14" letter-spacing="1.5" fill="#00507f">'
                f"{html.escape(captions[number].upper())}</text>"
            )
        drawn.append(
            f'<circle cx="{LEFT}" cy="{y}" r="15" fill="#ffffff" stroke="#0072B2" stroke-width="4"/>'
            f'<text x="{LEFT}" y="{y + 6}" text-anchor="middle" font-size="16" {bold}>{number}</text>'
            f'<text x="{LEFT + 30}" y="{y - 2}" font-size="18" {bold}>{html.escape(title)}</text>'
            f'<text x="{LEFT + 30}" y="{y + 18}" font-size="15" fill="#444444">{html.escape(GAINS[number])}</text>'
        )
    return "\n".join([*drawn, "</svg>\n"])


if __name__ == "__main__":
    write_whole(PICTURE, draw())
