"""The search of the built site, in a browser, from a folder."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.website.visit import SITE, Window
from website.chapters import chapters

WORDS = tomllib.loads(Path(__file__).with_name("search_words.toml").read_text(encoding="utf-8"))


@pytest.fixture
def search_page(browser):
    with Window(browser) as window:
        window.open(f"{SITE.as_uri()}/search.html")
        yield window


def test_the_list_is_long_enough():
    assert len(WORDS["first"]) >= 60


def test_each_word_finds_the_chapter_that_builds_it(search_page):
    files = {chapter.number: f"{chapter.document}.html" for chapter in chapters()}
    words = [*WORDS["first"], *WORDS["synonyms"]]
    found = search_page.page.evaluate(
        """async (words) => {
          const pages = {};
          for (const word of words) pages[word] = [...new Set((await bookSearch(word)).map((hit) => hit.page))];
          return pages;
        }""",
        words,
    )
    missed = [
        f"{word}: chapter {number} is not among the first {places}: {found[word][:3]}"
        for places, part in ((1, "first"), (3, "synonyms"))
        for word, number in WORDS[part].items()
        if files[number] not in found[word][:places]
    ]
    assert not missed, "\n".join(missed)


def test_results_come_while_typing_from_a_folder(search_page):
    page = search_page.page
    page.fill(".bd-search-container input[name=q]", "kernel")
    page.wait_for_selector("#search-results li a")
    assert "14." in page.text_content("#search-results li a")
    assert "$" not in page.text_content("#search-results")
    assert "\\(" not in page.text_content("#search-results")
    assert search_page.problems == []


def test_nothing_is_loaded_before_a_reader_searches(browser):
    with Window(browser) as window:
        window.open(f"{SITE.as_uri()}/index.html")
        assert not [url for url in window.asked if "lunr" in url or "search-index" in url]
