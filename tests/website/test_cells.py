"""Folded cells on the built site: what they say of themselves, and claims above the code that checks them."""

from __future__ import annotations

import collections
import re

import pytest
from bs4 import BeautifulSoup

from tests.website import axe
from tests.website.test_site import CHAPTERS, FILES, SITE
from tests.website.visit import Visit
from website import cells

pytestmark = pytest.mark.site
if not CHAPTERS:
    pytestmark = [pytestmark, pytest.mark.skip(reason="there is no site in _build/html; make book builds it")]

SWEEPS = "book/part2-mnist/07-hyperparameter-sweeps.html"
PICTURES = "img, svg, picture, .nnkit-figure"


def problems(soup: BeautifulSoup) -> list[str]:
    """Return what is wrong with the folded cells and the claims of a page."""
    found = []
    for folded in soup.select("div.cell details.hide"):
        closed, opened = (folded.select_one(f"summary .{state}").get_text() for state in ("collapsed", "expanded"))
        cell = folded.find_parent("div", class_="cell")
        output = cell.select_one(".cell_output")
        if "Show code" in closed or "Hide code" in opened:
            found.append(f"it does not say what it holds: {closed}")
        if not opened.startswith("Hide ") or "aria-label" in folded.summary.attrs:
            found.append(f"it does not say that it closes: {opened}")
        if "drawn" in closed and not output.select_one(PICTURES):
            found.append(f"no picture: {closed}")
        if "table" in closed and not output.select_one("table"):
            found.append(f"no table: {closed}")
        if "lab" in closed and not output.select_one(".nnkit-lab"):
            found.append(f"no lab: {closed}")
    for claim in soup.select(".cell_output p > strong:first-child"):
        if not re.fullmatch(r"(Claim, c|C)hecked\.", claim.get_text()) or claim.find_parent(class_="solution"):
            continue
        below = claim.find_parent(class_="cell_output").find_next_sibling()
        if claim.find_parent("details"):
            found.append(f"a claim is hidden: {claim.parent.get_text()[:60]}")
        if below is None or below.name != "details" or below.has_attr("open") or not below.select_one(".cell_input"):
            found.append(f"no code is folded below: {claim.parent.get_text()[:60]}")
    return found


def read(page: str) -> BeautifulSoup:
    return BeautifulSoup((SITE / page).read_text(encoding="utf-8"), "html.parser")


@pytest.mark.parametrize("page", CHAPTERS)
def test_folded_code_says_what_it_holds_and_a_claim_stands_above_its_code(page):
    soup = read(page)
    assert soup.select("div.cell details.hide")
    assert problems(soup) == []


def unfolded(soup: BeautifulSoup) -> list[str]:
    """Return what is wrong with the folds of the tables that compare the reports' numbers with ours."""
    found = []
    for table in soup.select(".cell_output table:has(td.nnkit-verdict)"):
        fold = table.find_parent("details", class_="verdicts")
        rows = len(table.select("tbody tr"))
        if fold is None or fold.has_attr("open"):
            found.append("a table of verdicts is not folded")
        elif not re.search(rf": {rows} rows?$", fold.select_one("summary .collapsed").get_text().strip()):
            found.append(f"a fold does not say that it holds {rows} rows")
        elif fold.select_one(".cell_input").find_parent("details") is fold:
            found.append("the code is not folded once more")
    return found


@pytest.mark.parametrize("page", [page for page in CHAPTERS if "replication-report" not in page])
def test_what_the_reports_say_is_one_folded_box(page):
    soup = read(page)
    assert len(soup.select("details.verdicts")) >= 1
    assert unfolded(soup) == []


def test_an_unfolded_table_of_verdicts_would_be_seen():
    row = '<tr><td class="nnkit-verdict">replicated</td></tr>'
    table = f"<table><tbody>{row}</tbody></table>"
    code = '<div class="cell_input"></div>'
    title = '<summary><p class="collapsed">What we measured: 1 row</p></summary>'

    def problems_of(fold: str, inside: str) -> list[str]:
        return unfolded(BeautifulSoup(f'<div class="cell_output">{fold}{title}{table}{inside}', "html.parser"))

    assert problems_of('<details class="verdicts">', f"<details>{code}</details>") == []
    assert problems_of("<div>", code) == ["a table of verdicts is not folded"]
    assert problems_of('<details class="verdicts" open>', code) == ["a table of verdicts is not folded"]
    assert problems_of('<details class="verdicts">', code) == ["the code is not folded once more"]
    assert unfolded(
        BeautifulSoup(
            f'<div class="cell_output"><details class="verdicts">{title}{table.replace(row, row + row)}', "html.parser"
        )
    ) == ["a fold does not say that it holds 2 rows"]


def test_names_tell_cells_apart():
    said = collections.Counter(
        summary.get_text() for page in CHAPTERS for summary in read(page).select("details.hide > summary .collapsed")
    )
    assert len(said) >= 5
    assert said["How the picture is drawn"] > 50
    assert said["How this is checked"] > 40
    assert "What the next cells use" not in said or said["What the next cells use"] < 5


def test_claims_of_the_notebooks_are_all_on_the_pages():
    stated = sum(len(re.findall(r"hecked\.</strong>", (SITE / page).read_text(encoding="utf-8"))) for page in CHAPTERS)
    assert stated > 60


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        (("How the table is made", "Show code cell source"), "does not say what it holds"),
        (("Hide how the table is made", "How the table is made"), "does not say that it closes"),
        (("How the table is made", "How the picture is drawn"), "no picture"),
        (('<div class="cell_output docutils container">\n<p><strong>Claim', "<details><p><strong>Claim"), "no code"),
    ],
)
def test_a_fault_would_be_seen(planted, found):
    text = (SITE / SWEEPS).read_text(encoding="utf-8")
    old, new = planted
    if "<details>" in new:
        text = re.sub(r'<details class="admonition hide below-output">', '<details open="" class="planted">', text)
    else:
        assert f">{old}<" in text
        text = text.replace(f">{old}<", f">{new}<")
    assert any(found in problem for problem in problems(BeautifulSoup(text, "html.parser")))


def test_names_follow_from_what_a_cell_shows():
    assert cells.name_of("import nnkit", None, ["setup"]) == "Set-up: what is imported"
    assert cells.name_of("x = 1\nassert x", None, []) == "How this is checked"
    assert cells.name_of("def f():\n    assert True", None, []) == "What the next cells use"
    assert cells.closing("How this is checked") == "Hide how this is checked"
    assert cells.closing("Set-up: what is imported") == "Hide the set-up"


def test_folded_code_opens_without_scripts_and_by_keyboard(browser):
    with Visit(browser, FILES, SWEEPS, scripts=False) as visit:
        summary = visit.page.locator("details.hide.below-output > summary").first
        code = visit.page.locator("details.hide.below-output .cell_input").first
        assert not code.is_visible()
        assert summary.inner_text().strip() == "How this is checked"
        summary.press("Enter")
        assert code.is_visible()
        assert summary.inner_text().strip() == "Hide how this is checked"


def test_folded_code_is_accessible_open_and_closed(browser):
    with Visit(browser, FILES, SWEEPS) as visit:
        axe.check(visit.page)
        axe.open_everything(visit.page)
        axe.check(visit.page)
