"""A Sphinx extension that draws the road through the book from chapters.toml; each of its stations is a link."""

from __future__ import annotations

import html
import math
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from lab.provenance import ROOT
from website.chapters import Chapter, chapters

STEP, GAP, LEFT, TOP, WIDTH = 58, 46, 92, 58, 400
# Named in palette.css; on paper, where that is not, the colours of the light.
INK, QUIET, PAPER = "var(--book-ink, #25221d)", "var(--book-quiet, #5b554b)", "var(--book-paper, #fff)"
ROAD, ARC = "var(--book-link, #0a5a8c)", "var(--book-accent, #b34500)"


def parts() -> dict[int, str]:
    """Return the captions of the book's parts, by the number of their first chapter."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    first = {part["caption"]: Path(part["chapters"][0]["file"]).name for part in toc["parts"]}
    return {int(name[:2]): caption for caption, name in first.items() if name[:2].isdigit()}


def places() -> dict[int, int]:
    """Return how far down each station stands, with room for the name of a part before its first."""
    captions, place, y = parts(), {}, TOP - STEP
    for chapter in chapters():
        y += STEP + (GAP if chapter.number in captions and place else 0)
        place[chapter.number] = y
    return place


def arcs(place: dict[int, int]) -> list[str]:
    """Return an arc from each chapter to those that build on it; neighbours are joined by the road itself."""
    drawn = []
    for chapter in chapters():
        for other in chapter.needs:
            if chapter.number - other > 1:
                start, stop = place[other], place[chapter.number]
                bend = LEFT - 22 - 92 * (1 - math.exp((start - stop) / (6 * STEP)))
                drawn.append(
                    f'<path d="M{LEFT - 15} {start} C{bend:.0f} {start}, {bend:.0f} {stop}, {LEFT - 19} {stop}" '
                    f'style="stroke: {ARC}" stroke-width="1.6" fill="none"/>'
                    f'<path d="M{LEFT - 16} {stop} l-8 -4.5 v9 z" style="fill: {ARC}"/>'
                )
    return drawn


def station(chapter: Chapter, y: int, address: str) -> str:
    """Return a station: its number on the road, its title and what it gives, all of it one link."""
    title, gives = html.escape(chapter.title), html.escape(chapter.gives)
    return (
        f'<a href="{html.escape(address)}">'
        f'<rect x="{LEFT - 24}" y="{y - 26}" width="{WIDTH - LEFT + 22}" height="54" rx="6" class="around" '
        'fill="transparent"/>'
        f'<circle cx="{LEFT}" cy="{y}" r="14.5" style="fill: {PAPER}; stroke: {ROAD}" stroke-width="3"/>'
        f'<text x="{LEFT}" y="{y + 5.5}" text-anchor="middle" font-size="16" font-weight="600" style="fill: {INK}">'
        f"{chapter.number}</text> "
        f'<text x="{LEFT + 28}" y="{y - 2}" font-size="18" font-weight="600" class="title" style="fill: {INK}">{title}'
        f'</text> <text x="{LEFT + 28}" y="{y + 18}" font-size="15.5" style="fill: {QUIET}">{gives}</text></a>'
    )


def draw(address: Callable[[Chapter], str]) -> str:
    """Return the picture as SVG: a line of stations, with an arc from each chapter to those that build on it."""
    captions, place = parts(), places()
    end = max(place.values())
    drawn = [
        f'<svg class="book-road" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {end + 36}" width="{WIDTH}" '
        f'height="{end + 36}" role="group" aria-label="The road: {len(place)} chapters, from the first to the last" '
        'font-family="var(--book-sans, sans-serif)">',
        f'<path d="M{LEFT} {TOP} V{end}" style="stroke: {ROAD}" stroke-width="6" fill="none"/>',
        *arcs(place),
    ]
    for chapter in chapters():
        y = place[chapter.number]
        if chapter.number in captions:
            drawn.append(
                f'<text x="{LEFT + 28}" y="{y - 34}" font-size="13.5" font-weight="600" letter-spacing="1" '
                f'style="fill: {ARC}">{html.escape(captions[chapter.number].upper())}</text>'
            )
        drawn.append(station(chapter, y, address(chapter)))
    return "\n".join([*drawn, "</svg>\n"])


class Road(SphinxDirective):
    """``{road}`` with a caption: the picture, as a numbered figure."""

    has_content = True
    option_spec: ClassVar = {"name": str}

    def run(self) -> list[nodes.Node]:
        """Return the figure, with links to the chapters from this page."""
        self.env.note_dependency(str(ROOT / "book" / "chapters.toml"))
        builder, here = self.env.app.builder, self.env.docname
        picture = draw(lambda chapter: builder.get_relative_uri(here, chapter.document))
        figure = nodes.figure("", nodes.raw("", picture, format="html"))
        children, messages = self.parse_inline(" ".join(self.content), lineno=self.lineno)
        figure += nodes.caption("", "", *children)
        self.set_source_info(figure)
        self.add_name(figure)
        return [figure, *messages]


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the directive."""
    app.add_directive("road", Road)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
