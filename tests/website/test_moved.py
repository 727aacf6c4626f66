"""Old addresses lead to where things are now, from a folder too, and without JavaScript."""

from __future__ import annotations

import re

import nbformat
import pytest
from bs4 import BeautifulSoup

from tests.website.visit import SITE
from website import moved
from website.chapters import ROOT

FILES = SITE.as_uri() + "/"

built = pytest.mark.skipif(not (SITE / "book").is_dir(), reason="there is no site in _build/html; make book builds it")


def sources(document: str) -> str:
    notebook = nbformat.read(ROOT / f"{document}.ipynb", as_version=4)
    names = [cell.metadata.get("mystnb", {}).get("figure", {}).get("name", "") for cell in notebook.cells]
    return "\n".join([*names, *(cell.source for cell in notebook.cells if cell.cell_type == "markdown")])


@pytest.mark.parametrize(("old", "new"), moved.PAGES.items())
def test_old_page_leads_to_a_chapter_that_is_there(old, new):
    assert not (ROOT / f"{old}.ipynb").exists()
    assert (ROOT / f"{new}.ipynb").is_file()
    page = BeautifulSoup(moved.page(old, "A <title>"), "html.parser")
    assert page.title.text == page.h1.text == page.a.text == "A <title>"
    address = page.a["href"]
    assert page.select_one("meta[http-equiv=Refresh]")["content"] == f"0; url={address}"
    assert ((ROOT / old).parent / address).resolve() == ROOT / f"{new}.html"


@pytest.mark.parametrize("old", moved.PARTS)
def test_parts_that_moved_are_gone_here_and_stand_there(old):
    new, anchors = moved.PARTS[old]
    here, there = sources(old), sources(new)
    for anchor in anchors:
        label = anchor.removeprefix("equation-")
        if anchor.startswith(("fig-", "equation-", "ex-")):
            holds = re.compile(rf"^(:label: )?{label}$|\({label}\)", re.MULTILINE)
        else:
            words = anchor.replace("-", r"\W+")
            holds = re.compile(rf"^## \W*{words}\W*$", re.MULTILINE | re.IGNORECASE)
        assert holds.search(there), anchor
        assert not holds.search(here), anchor
    links = BeautifulSoup(moved.parts(old), "html.parser").select("p[id] > a")
    assert [link["href"].partition("#")[2] for link in links] == list(anchors)


def test_a_page_from_which_nothing_moved_is_left_alone():
    assert moved.parts("book/index") == ""


@pytest.mark.site
@built
@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
@pytest.mark.parametrize(("old", "new"), moved.PAGES.items())
def test_browser_goes_from_an_old_page_to_the_new_one(browser, old, new, scripts):
    with browser.new_context(java_script_enabled=scripts) as context:
        page = context.new_page()
        page.goto(f"{FILES}{old}.html#take-aways" if scripts else f"{FILES}{old}.html")
        page.wait_for_url(re.compile(re.escape(f"{FILES}{new}.html") + ("#take-aways$" if scripts else "$")))


@pytest.mark.site
@built
@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
@pytest.mark.parametrize("old", moved.PARTS)
def test_browser_finds_a_part_that_moved(browser, old, scripts):
    new, anchors = moved.PARTS[old]
    there = BeautifulSoup((SITE / f"{new}.html").read_text(encoding="utf-8"), "html.parser")
    assert [anchor for anchor in anchors if not there.find(id=anchor)] == []
    with browser.new_context(java_script_enabled=scripts) as context:
        page = context.new_page()
        page.goto(f"{FILES}{old}.html#{anchors[0]}")
        if not scripts:
            assert page.locator(".nnkit-moved p:visible").count() == 1
            page.locator(".nnkit-moved a:visible").click()
        page.wait_for_url(f"{FILES}{new}.html#{anchors[0]}")
