"""The road on the landing page: drawn from chapters.toml, a link at each station, in both themes and on a phone."""

from __future__ import annotations

import itertools
import re

import pytest
from bs4 import BeautifulSoup

from tests.website.visit import SITE, Visit
from website import road
from website.chapters import chapters

needs_site = [
    pytest.mark.site,
    pytest.mark.skipif(not (SITE / "book" / "index.html").exists(), reason="make book builds the site"),
]
PAGE = "book/index.html"


def test_a_part_begins_at_a_chapter_and_arcs_join_what_needs_what():
    captions = road.parts()
    assert set(captions) <= {chapter.number for chapter in chapters()}
    drawn = road.draw(lambda chapter: f"to-{chapter.number}")
    for caption in captions.values():
        assert caption.upper() in drawn
    far = sum(chapter.number - other > 1 for chapter in chapters() for other in chapter.needs)
    assert len(road.arcs(road.places())) == far > 10
    places = list(road.places().values())
    assert all(b - a >= road.STEP for a, b in itertools.pairwise(places))


def test_colours_follow_the_theme_and_paper_has_its_own():
    drawn = road.draw(lambda chapter: "x")
    assert drawn.count("#") == len(re.findall(r"var\(--book-[a-z]+, #", drawn))
    assert drawn.count("var(--book-") > 50


class TestOnThePage:
    pytestmark = needs_site

    def test_each_station_leads_to_its_chapter(self):
        soup = BeautifulSoup((SITE / PAGE).read_text(encoding="utf-8"), "html.parser")
        links = soup.select("svg.book-road a")
        assert len(links) == len(chapters())
        for link, chapter in zip(links, chapters(), strict=True):
            assert link["href"] == f"{chapter.file}.html"
            assert (SITE / "book" / link["href"]).exists()
            assert link.get_text().split() == f"{chapter.number} {chapter.title} {chapter.gives}".split()

    @pytest.mark.parametrize("width", [1400, 390])
    def test_keys_reach_the_stations_and_their_words_are_legible(self, browser, width):
        with Visit(browser, SITE.as_uri() + "/", PAGE, width=width) as visit:
            links = visit.page.locator("svg.book-road a")
            links.first.focus()
            visit.page.keyboard.press("Tab")
            assert links.nth(1).evaluate("link => link === document.activeElement")
            sizes = visit.page.eval_on_selector_all(
                "svg.book-road text",
                """texts => texts.map(text => parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a)""",
            )
            assert min(sizes) >= 9
            heights = [links.nth(i).bounding_box()["height"] for i in range(3)]
            assert min(heights) >= 44
            visit.page.keyboard.press("Enter")
            visit.page.wait_for_url(f"**/{chapters()[1].file}.html")

    def test_the_road_is_dark_in_the_dark(self, browser):
        seen = {}
        for scheme in ("light", "dark"):
            with Visit(browser, SITE.as_uri() + "/", PAGE, scheme=scheme) as visit:
                seen[scheme] = visit.page.eval_on_selector(
                    "svg.book-road .title", "title => getComputedStyle(title).fill"
                )
        assert seen["light"] != seen["dark"]
