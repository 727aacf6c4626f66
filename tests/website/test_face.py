"""The face of the book: its mark, letters and colours, the column and the margin, and the numbers on the first page."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from PIL import Image

from book import replication
from lab.verdicts import Verdict
from tests.website.test_site import CHAPTERS
from tests.website.visit import SITE, Visit
from website import fonts, mark, stories

STATIC = Path(mark.__file__).parent / "static"
PALETTE = (STATIC / "palette.css").read_text(encoding="utf-8")
FILES = SITE.as_uri() + "/"
INDEX, CHAPTER = "book/index.html", "book/part1-foundations/02-linear-classification.html"
LONGEST = 75
on_site = [
    pytest.mark.site,
    pytest.mark.skipif(not (SITE / INDEX).exists(), reason="there is no site in _build/html; make book builds it"),
]


# ---------------------------------------------------------------------------------------------------------------------
# What is drawn and cut once


def test_mark_and_handwriting_are_as_the_code_draws_them():
    assert mark.MARK.read_text(encoding="utf-8") == mark.favicon(), "run python -m website.mark"
    assert mark.DIGITS.read_text(encoding="utf-8") == mark.digits(), "run python -m website.mark"
    with Image.open(mark.ICON) as icon:
        assert {(16, 16), (32, 32)} <= icon.info["sizes"]
    assert "prefers-color-scheme" in mark.favicon()


def test_fonts_are_small_packed_and_have_their_licence():
    files = sorted(fonts.FOLDER.glob("*.woff2"))
    assert {path.stem for path in files} == set(fonts.FACES)
    assert all(path.read_bytes().startswith(b"wOF2") for path in files)
    assert sum(path.stat().st_size for path in files) <= fonts.MAX_BYTES
    for path in files:
        licence = fonts.FOLDER / f"LICENSE-{path.stem.removesuffix('-italic')}.txt"
        assert "SIL Open Font License" in licence.read_text(encoding="utf-8")
        assert f"fonts/{path.name}" in PALETTE
    faces = re.findall(r"@font-face \{([^}]*)\}", PALETTE)
    assert all("swap" in face or "size-adjust" in face for face in faces)


def colours(theme: str) -> dict[str, str]:
    block = re.search(rf'html\[data-theme="{theme}"\] \{{([^}}]*)\}}', PALETTE)
    assert block
    return dict(re.findall(r"--book-([\w-]+): (#\w{6});", block[1]))


def contrast(one: str, other: str) -> float:
    def light(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_words_stand_out_from_all_that_is_behind_them(theme):
    palette = colours(theme)
    words = ["ink", "quiet", "link", "hover", "accent", "good", "warn", "bad"]
    behind = ["paper", "wash", "good-wash", "note-wash", "warn-wash", "bad-wash"]
    low = {
        (word, ground): round(contrast(palette[word], palette[ground]), 2)
        for word, ground in itertools.product(words, behind)
        if contrast(palette[word], palette[ground]) < 4.5
    }
    assert low == {}
    assert contrast("#777777", "#ffffff") < 4.5 < contrast("#767676", "#ffffff")


def test_both_themes_name_the_same_colours():
    assert colours("light").keys() == colours("dark").keys()


def test_numbers_of_the_first_page_are_those_of_the_results():
    counts = replication.counts([claim.outcome.verdict() for claim in replication.counted()])
    values = {name: value() for name, value in stories.MEASURED.items()}
    assert int(values["claims"]) == sum(counts.values())
    assert int(values["claims that hold"]) == counts[Verdict.REPLICATED]
    assert int(values["claims not shown"]) == counts[Verdict.NOT_SHOWN]
    assert int(values["claims that are opposite"]) == counts[Verdict.OPPOSITE]
    # The chapters print the others too, as they computed them.
    slower = re.escape(values["LIBSVM slower on pixels"])
    assert re.search(rf"one-vs-rest, 784 pixels +fit .* {slower} \(", stories.printed(15))
    assert f"on the 32-D code: {values['LIBSVM faster on codes']} times" in stories.printed(15)
    assert float(values["LIBSVM slower on pixels"]) > 1
    assert float(values["LIBSVM faster on codes"]) > 1
    assert f"of {values['encoders never trained']} encoders that were never trained" in stories.printed(16)


# ---------------------------------------------------------------------------------------------------------------------
# What is on the pages

# The number of letters on each line of text, formulas left out; two lines of one paragraph never share a bottom edge.
_LINES = """() => {
  const found = [];
  const range = document.createRange();
  for (const block of document.querySelectorAll("article :is(p, li, dd, figcaption)")) {
    if (block.closest("table, .nnkit-lab, dl.py, .prev-next-area") || block.querySelector("p, li, mjx-container"))
      continue;
    const lines = new Map();
    const texts = document.createTreeWalker(block, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const text = texts.currentNode;
      for (let i = 0; i < text.data.length; i++) {
        range.setStart(text, i);
        range.setEnd(text, i + 1);
        const box = range.getClientRects()[0];
        if (!box?.width) continue;
        const middle = Math.round((box.top + box.bottom) / 2 / 14);
        lines.set(middle, (lines.get(middle) ?? "") + text.data[i]);
      }
    }
    found.push(...lines.values());
  }
  return found;
}"""


class TestOnThePage:
    pytestmark = on_site

    @pytest.mark.parametrize("page", [INDEX, CHAPTER, "book/appendix/glossary.html", "book/appendix/evidence.html"])
    def test_no_line_is_longer_than_75_letters(self, browser, page):
        with Visit(browser, FILES, page) as visit:
            lines = visit.page.evaluate(_LINES)
            assert len(lines) > 20
            assert [line for line in lines if len(line.strip()) > LONGEST] == []
            visit.page.add_style_tag(content="html { --book-column: 60rem !important; }")
            assert max(map(len, visit.page.evaluate(_LINES))) > LONGEST

    @pytest.mark.parametrize("page", [INDEX, CHAPTER, "search.html", "book/appendix/api/svm.html"])
    def test_a_page_has_its_mark_its_icons_and_its_letters(self, browser, localhost, page):
        soup = BeautifulSoup((SITE / page).read_text(encoding="utf-8"), "html.parser")
        for icon in soup.select("link[rel=icon]"):
            assert (SITE / page).parent.joinpath(icon["href"]).resolve().exists()
        assert len(soup.select("link[rel=icon]")) == 2
        assert len(soup.select(".navbar-brand svg.book-mark")) == 1
        with Visit(browser, localhost, page) as visit:
            assert visit.page.evaluate(
                "['Book Serif', 'Book Sans'].every(name => document.fonts.check(`16px '${name}'`))"
            )
            fetched = [address for address in visit.asked if "book-serif.woff2" in address]
            assert len(fetched) == 1  # The one that was asked for early is the one that is used.
            assert visit.problems == []

    def test_a_note_stands_in_the_margin_of_a_desk_and_in_the_text_of_a_phone(self, browser):
        with Visit(browser, FILES, INDEX) as visit:
            note = visit.page.locator("aside.margin").first
            text = visit.page.locator("article .lead")
            column = visit.page.locator("article section > p").first.bounding_box()
            assert note.bounding_box()["x"] > column["x"] + column["width"]
            visit.page.set_viewport_size({"width": 390, "height": 900})
            assert abs(note.bounding_box()["x"] - text.bounding_box()["x"]) < 2
            assert note.bounding_box()["width"] > 300

    def test_captions_are_as_legible_as_the_text(self, browser):
        with Visit(browser, FILES, CHAPTER) as visit:
            weight, colour, ink = visit.page.eval_on_selector(
                "figcaption .caption-text",
                """caption => [getComputedStyle(caption).fontWeight, getComputedStyle(caption).color,
                  getComputedStyle(document.querySelector("article section > p")).color]""",
            )
            assert (weight, colour) == ("400", ink)

    def test_formulas_are_as_high_as_the_letters_beside_them(self, browser):
        with Visit(browser, FILES, CHAPTER) as visit:
            ratios = visit.page.eval_on_selector_all(
                "article p > span.math mjx-container",
                """formulas => formulas.map(formula => {
                  const probe = document.createElement("span");
                  probe.style.cssText = "display: inline-block; height: 1ex";
                  formula.parentElement.append(probe);
                  const high = probe.getBoundingClientRect().height;
                  probe.remove();
                  return parseFloat(getComputedStyle(formula).fontSize) * 0.442 / high;
                })""",
            )
        assert len(ratios) > 5
        assert ratios == pytest.approx([1] * len(ratios), rel=0.03)

    @pytest.mark.parametrize("page", [page for page in CHAPTERS if "/03-" in page or "/15-smo" in page])
    def test_no_formula_on_a_phone_runs_under_its_number(self, browser, page):
        with Visit(browser, FILES, page, width=390) as visit:
            overlaps = """() => [...document.querySelectorAll("article div.math > .eqno")].map(number => {
              const [one, other] = [number, number.nextElementSibling].map(part => part.getBoundingClientRect());
              return Math.max(0, Math.min(one.right, other.right) - Math.max(one.left, other.left));
            })"""
            rooms = visit.page.evaluate(overlaps)
            assert len(rooms) >= 5
            assert max(rooms) == 0
            visit.page.add_style_tag(content=".bd-article div.math:has(> .eqno) { display: block !important; }")
            assert max(visit.page.evaluate(overlaps)) > 0  # What it was like.

    def test_first_page_tells_three_stories_with_numbers_that_nobody_typed(self):
        soup = BeautifulSoup((SITE / INDEX).read_text(encoding="utf-8"), "html.parser")
        told = soup.select(".story")
        assert len(told) == 3
        shown = [number.get_text() for number in soup.select(".measured")]
        assert sorted(shown) == sorted(value().replace(" ", "\u202f") for value in stories.MEASURED.values())
        assert all(story.select("a[href*=part]") for story in told)
        assert soup.select_one("svg.book-digits")["aria-label"]
