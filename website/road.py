"""Draw the road through the book: `python -m website.road` writes pictures/road.svg from book/chapters.toml."""

from __future__ import annotations

import html
import math
from pathlib import Path

import yaml

from lab.provenance import ROOT
from lab.results import write_whole
from website.chapters import chapters

PICTURE = ROOT / "website" / "pictures" / "road.svg"

STEP, GAP, LEFT, TOP, WIDTH = 62, 44, 112, 58, 460


def parts() -> dict[int, str]:
    """Return the captions of the book's parts, by the number of their first chapter."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    first = {part["caption"]: Path(part["chapters"][0]["file"]).name for part in toc["parts"]}
    return {int(name[:2]): caption for caption, name in first.items() if name[:2].isdigit()}


def draw() -> str:
    """Return the picture as SVG: a line of stations, with an arc from each chapter to those that build on it."""
    captions = parts()
    place, y = {}, TOP - STEP
    for number in (chapter.number for chapter in chapters()):
        y += STEP + (GAP if number in captions and place else 0)
        place[number] = y
    height = y + 40
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<path d="M{LEFT} {TOP} V{y}" stroke="#0072B2" stroke-width="7" fill="none"/>',
    ]
    for chapter in chapters():
        for other in chapter.needs:
            if chapter.number - other > 1:  # Neighbours are joined by the road itself.
                start, stop = place[other], place[chapter.number]
                bend = LEFT - 24 - 110 * (1 - math.exp((start - stop) / (6 * STEP)))
                drawn.append(
                    f'<path d="M{LEFT - 15} {start} C{bend:.0f} {start}, {bend:.0f} {stop}, {LEFT - 19} {stop}" '
                    f'stroke="#A34700" stroke-width="2" fill="none"/>'
                    f'<path d="M{LEFT - 16} {stop} l-9 -5 v10 z" fill="#A34700"/>'
                )
    bold = 'font-weight="700" fill="#111111"'
    for chapter in chapters():
        number, y = chapter.number, place[chapter.number]
        if number in captions:
            drawn.append(
                f'<text x="{LEFT + 30}" y="{y - 34}" font-size="14" letter-spacing="1.5" fill="#00507f">'
                f"{html.escape(captions[number].upper())}</text>"
            )
        drawn.append(
            f'<circle cx="{LEFT}" cy="{y}" r="15" fill="#ffffff" stroke="#0072B2" stroke-width="4"/>'
            f'<text x="{LEFT}" y="{y + 6}" text-anchor="middle" font-size="16" {bold}>{number}</text>'
            f'<text x="{LEFT + 30}" y="{y - 2}" font-size="18" {bold}>{html.escape(chapter.title)}</text>'
            f'<text x="{LEFT + 30}" y="{y + 18}" font-size="15" fill="#444444">{html.escape(chapter.gives)}</text>'
        )
    return "\n".join([*drawn, "</svg>\n"])


if __name__ == "__main__":
    write_whole(PICTURE, draw())
