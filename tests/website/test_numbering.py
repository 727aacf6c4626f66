"""Figures, equations and exercises are numbered by chapter: on the pages, in references, and in the printed book."""

from __future__ import annotations

import collections
import re

import pytest
from bs4 import BeautifulSoup

from tests.website.test_site import CHAPTERS, SITE
from website import pdf
from website.chapters import chapters

pytestmark = pytest.mark.site
if not CHAPTERS:
    pytestmark = [pytestmark, pytest.mark.skip(reason="there is no site in _build/html; make book builds it")]

NUMBER = re.compile(r"\(?(?:(Fig\.|Table|Exercise) )?(\w+)\.(\d+)\)?")


def titles(soup: BeautifulSoup) -> dict[str, list[str]]:
    """Return the numbers of a page in their order, by kind."""
    found = collections.defaultdict(list)
    for number in soup.select(".caption-number"):
        kind, _, value = number.get_text().strip().partition(" ")
        found[kind].append(value)
    found["equation"] = [number.contents[0].strip("() ") for number in soup.select("span.eqno")]
    return dict(found)


def problems(soup: BeautifulSoup, chapter: str) -> list[str]:
    """Return what is wrong with the numbers of a chapter's page."""
    found = []
    for kind, numbers in titles(soup).items():
        if numbers != [f"{chapter}.{i}" for i in range(1, len(numbers) + 1)]:
            found.append(f"{kind}: {numbers}")
    exercises = [title.split(" (")[0] for title in titles(soup).get("Exercise", ())]
    solved = [link.get_text().split()[1] for link in soup.select(".solution > .admonition-title a")]
    if solved and solved != exercises:
        found.append(f"solutions to {solved}, exercises {exercises}")
    return found


def references(soup: BeautifulSoup) -> list[tuple[str, str]]:
    """Return what each reference to a number says, with the place that it leads to."""
    links = [(link.get_text().strip(), link["href"]) for link in soup.select("a.reference.internal[href*='#']")]
    return [(said, href) for said, href in links if NUMBER.fullmatch(said)]


def read(page: str) -> BeautifulSoup:
    return BeautifulSoup((SITE / page).read_text(encoding="utf-8"), "html.parser")


@pytest.fixture(scope="module")
def pages() -> dict[int, BeautifulSoup]:
    return {chapter.number: read(f"{chapter.document}.html") for chapter in chapters()}


@pytest.mark.parametrize("number", range(1, 18))
def test_numbers_begin_with_the_chapters_and_have_no_gaps(pages, number):
    soup = pages[number]
    assert len(titles(soup)["Exercise"]) >= 4
    assert len(titles(soup)["equation"]) >= 2
    assert problems(soup, str(number)) == []


def number_at(soup: BeautifulSoup, place: str) -> str:
    """Return the number of a figure, an exercise or an equation by its place on a page."""
    element = soup.find(id=place)
    assert element is not None, place
    number = element.select_one(".caption-number, span.eqno")
    assert number is not None, place
    return NUMBER.search(number.get_text())[0].strip("()").split()[-1]


def test_references_say_the_number_of_what_they_lead_to(pages):
    by_file = {chapter.document.rsplit("/", 1)[1]: chapter.number for chapter in chapters()}
    n = 0
    for number, soup in pages.items():
        for said, href in references(soup):
            path, _, place = href.partition("#")
            file = path.rsplit("/", 1)[-1].removesuffix(".html")
            target = pages[by_file[file] if file else number]
            assert said.strip("()").split()[-1] == number_at(target, place), (number, said, href)
            n += 1
    assert n > 80


def test_other_pages_have_numbers_that_are_no_chapters():
    for page in SITE.glob("book/appendix/*.html"):
        for numbers in titles(read(str(page.relative_to(SITE)))).values():
            assert all(re.fullmatch(r"A\.\d+", number) for number in numbers)


def test_a_number_that_is_not_the_chapters_would_be_seen(pages):
    text = str(pages[10])
    assert problems(BeautifulSoup(text, "html.parser"), "10") == []
    for old, new in (("Fig. 10.2 ", "Fig. 46 "), ("(10.3)", "(45)"), ("Exercise 10.4", "Exercise 10.5")):
        assert old in text
        assert problems(BeautifulSoup(text.replace(old, new), "html.parser"), "10") != []


def test_printed_book_has_the_same_numbers(pages):
    chosen = [page for page in pdf.pages() if "/10-" in page.document or "/03-" in page.document]
    printed = BeautifulSoup(pdf.whole(chosen), "html.parser")
    for chapter in (3, 10):
        assert titles(pages[chapter])
        for kind, numbers in titles(pages[chapter]).items():
            assert set(numbers) <= set(titles(printed)[kind])
