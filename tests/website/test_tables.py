"""Tables and printed lines on the built site: nothing is cut off, and a phone shows cards that say what they hold."""

from __future__ import annotations

import re

import pytest
from bs4 import BeautifulSoup

from tests.website import axe
from tests.website.test_site import CHAPTERS, FILES, SITE
from tests.website.visit import Visit, assert_fits
from website import formulas, tables

pytestmark = pytest.mark.site
if not CHAPTERS:
    pytestmark = [pytestmark, pytest.mark.skip(reason="there is no site in _build/html; make book builds it")]

ALGORITHM, CHECKING, SWEEPS, REPORT = (
    next(page for page in CHAPTERS if f"/{number}-" in page) for number in ("03", "04", "07", "18")
)
NOTATION, EVIDENCE = (f"book/appendix/{name}.html" for name in ("notation", "evidence"))

# What is wider than its place: printed lines, tables, and what scrolls around them.
_CUT = """() => {
  for (const details of document.querySelectorAll("details")) details.open = true;
  const places = ".cell_output, .cell_output .output, .cell_output pre, .pst-scrollable-table-container"
    + (innerWidth >= 960 ? ", .cell_input pre" : "");  // Code scrolls on a phone.
  const cut = [...document.querySelectorAll(places)].filter(one =>
    one.checkVisibility() && !one.closest(".nnkit-lab, .solution.toggle-hidden")
    && one.scrollWidth > one.clientWidth + 1);
  const article = document.querySelector("article").getBoundingClientRect();
  const wide = [...document.querySelectorAll("article table")].filter(one =>
    one.checkVisibility() && one.getBoundingClientRect().right
      > (one.closest(".tag_full-width") ? innerWidth : article.right) + 1);
  return [...cut, ...wide].map(one => `${one.className}, ${one.scrollWidth} in ${one.clientWidth}: `
    + one.textContent.trim().slice(0, 80));
}"""
# Aligned columns among what is printed: two lines one after the other that have a gap at the same place.
_GAP = re.compile(r"(?<=\S) {2,}(?=\S)")


def columns(text: str) -> list[str]:
    """Return the lines that are rows of a table though they are text: their gaps end at the same place.

    Arrays, as NumPy prints them, stay as they are.
    """
    lines = [line for line in text.splitlines() if not re.match(r" *\[", line)]
    ends = [{gap.end() for gap in _GAP.finditer(line)} for line in lines]
    return [line for line, here, after in zip(lines, ends, ends[1:], strict=False) if here & after]


@pytest.mark.parametrize("page", [*CHAPTERS, NOTATION, EVIDENCE, "book/index.html"])
def test_nothing_that_is_printed_or_set_in_a_table_is_cut_off(browser, page):
    with Visit(browser, FILES, page) as visit:
        assert visit.page.evaluate(_CUT) == []
        for width in (1200, 1000, 390):
            visit.page.set_viewport_size({"width": width, "height": 900})
            assert_fits(visit.page)
        assert visit.page.evaluate(_CUT) == []


def test_a_line_or_a_table_that_is_cut_off_would_be_seen(browser):
    with Visit(browser, FILES, SWEEPS) as visit:
        visit.page.add_style_tag(content=".cell_output pre { white-space: pre !important }")
        assert any("mnist_sweeps" in line for line in visit.page.evaluate(_CUT))
    with Visit(browser, FILES, SWEEPS) as visit:
        visit.page.add_style_tag(content="article table td { min-width: 30em }")
        assert any("table" in line for line in visit.page.evaluate(_CUT))


@pytest.mark.parametrize("page", CHAPTERS)
def test_what_has_columns_is_a_table(page):
    soup = BeautifulSoup((SITE / page).read_text(encoding="utf-8"), "html.parser")
    for printed in soup.select(".cell_output .output.stream pre"):
        assert columns(printed.get_text()) == []


def test_columns_would_be_seen():
    assert columns("array     checked  result\ninput           6  pass\n") == ["array     checked  result"]
    assert columns("a  sentence\nand another\n[[98  0]\n [10  8]]") == []


# ---------------------------------------------------------------------------------------------------------------------
# Cards


def labelled(page: str) -> list:
    soup = BeautifulSoup((SITE / page).read_text(encoding="utf-8"), "html.parser")
    known = formulas.store()
    for formula in soup.select("article thead [data-formula]"):
        formula.replace_with(f"\\({known[formula['data-formula']]['tex']}\\)")
    return soup.select("article table.nnkit-cards, article table.nnkit-narrow")


def name(head) -> str:
    """Return what a head says, with its formulas as a label can show them."""
    return re.sub(r"\\\((.*?)\\\)", tables.as_letters, " ".join(head.get_text().split()))


def test_a_formula_in_a_label_is_letters():
    alpha, minus = "\N{GREEK SMALL LETTER ALPHA}", "\N{MINUS SIGN}"
    for tex, letters in (
        (r"inputs \(x_1, x_2\)", "inputs x₁, x₂"),
        (r"best \(w = \alpha\)", f"best w = {alpha}"),
        (r"value \(\alpha - \tfrac12 \alpha^2\)", f"value {alpha} {minus} ½ {alpha}²"),
        (r"\(\max(0, \text{sum} - 1)\)", f"max(0, sum {minus} 1)"),
    ):
        assert name(BeautifulSoup(f"<th>{tex}</th>", "html.parser")) == letters


@pytest.mark.parametrize("page", [*CHAPTERS, NOTATION, EVIDENCE])
def test_each_cell_knows_its_column_and_every_part_its_role(page):
    found = labelled(page)
    assert found
    for table in found:
        heads = [name(head) for head in table.select("thead th, thead td")]
        assert table["role"] == "table"
        assert {part["role"] for part in table.select("thead, tbody")} == {"rowgroup"}
        for row in table.select("tr"):
            assert row["role"] == "row"
        for row in table.select("tbody tr"):
            assert [cell.get("data-label", "") for cell in row.select("td")] == heads
            assert {cell["role"] for cell in row.select("td")} == {"cell"}
        assert {head["role"] for head in table.select("thead th")} <= {"columnheader"}


@pytest.mark.parametrize("page", CHAPTERS)
def test_reported_and_measured_is_wide_and_has_its_verdicts(page):
    tables_of_verdicts = [table for table in labelled(page) if "Verdict" in table.thead.get_text()]
    assert tables_of_verdicts
    for table in tables_of_verdicts:
        assert "nnkit-cards" in table["class"]
        assert len(table.select("tbody td.nnkit-verdict")) == len(table.select("tbody tr"))


@pytest.mark.parametrize(("page", "width"), [(SWEEPS, 390), (REPORT, 390), (REPORT, 320), (ALGORITHM, 390)])
def test_on_a_phone_a_wide_table_is_cards_with_the_verdict_first(browser, page, width):
    with Visit(browser, FILES, page, width=width) as visit:
        axe.open_everything(visit.page)
        assert_fits(visit.page)
        for table in visit.page.locator("article table.nnkit-cards:visible").all()[:6]:
            row = table.locator("tbody tr").first
            assert row.evaluate("row => getComputedStyle(row).display") == "flex"
            tops = row.evaluate(
                "row => [...row.cells].map(cell => [cell.getBoundingClientRect().top, cell.className, "
                "getComputedStyle(cell, '::before').content])"
            )
            first = min(tops)
            if any("nnkit-verdict" in name for _, name, _ in tops):
                assert "nnkit-verdict" in first[1]
            assert all("data-label" in said or "none" in said or said.strip('"') for _, _, said in tops)
            box = row.bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
        # What a screen reader is told, though nothing is laid out as a table.
        table = visit.page.get_by_role("table").first
        assert table.get_by_role("row").count() >= 2
        assert table.get_by_role("columnheader").count() >= 2
        axe.check(visit.page)


def test_the_head_stays_in_sight_on_a_desk_and_inside_what_scrolls(browser):
    under = """([head, container]) => {
      const bar = document.querySelector(".bd-header-article").getBoundingClientRect().bottom;
      const {top, bottom} = document.querySelector(head).getBoundingClientRect();
      return [top, bottom, container ? document.querySelector(container).getBoundingClientRect().top : bar];
    }"""
    with Visit(browser, FILES, NOTATION) as visit:
        rows = visit.page.locator("article table tbody tr")
        rows.nth(60).evaluate("row => row.scrollIntoView({block: 'center', behavior: 'instant'})")
        top, bottom, bar = visit.page.evaluate(under, ["article table thead th", ""])
        assert bar - 1 <= top + 1
        assert bottom < 300
        assert rows.nth(60).bounding_box()["y"] > bottom
        visit.page.add_style_tag(content="article table thead th { position: static !important }")
        assert visit.page.evaluate(under, ["article table thead th", ""])[1] < 0  # It would be out of sight.
    with Visit(browser, FILES, NOTATION, width=700) as visit:
        box = visit.page.locator(".pst-scrollable-table-container").first
        box.evaluate("box => { box.scrollIntoView({behavior: 'instant'}); box.scrollTop = 900; }")
        place = ".pst-scrollable-table-container"
        top, bottom, edge = visit.page.evaluate(under, [f"{place} thead th", place])
        assert abs(top - edge) < 3
        assert bottom > edge


def test_numbers_stand_on_the_right(browser):
    with Visit(browser, FILES, CHECKING) as visit:
        number = visit.page.locator("article td.nnkit-number").first
        assert number.count()
        look = number.evaluate("one => [getComputedStyle(one).textAlign, getComputedStyle(one).fontVariantNumeric]")
        assert look == ["right", "tabular-nums"]


@pytest.mark.parametrize(
    "text", ["9", "-0.03", "+0.5", "97.3 (0.7)", "0.07 (0.06 to 0.08)", "1,000", "2e-06", "12 %", "\N{MINUS SIGN}1"]
)
def test_numbers_are_known(text):
    assert tables.is_number(text)


@pytest.mark.parametrize("text", ["", "yes", "5 to the left", "A, fig. 6", "0.03 points"])
def test_text_is_no_number(text):
    assert not tables.is_number(text)


def test_what_spans_columns_or_has_no_head_stays_as_it_is():
    for page in (
        '<table class="table"><tbody><tr><td>a</td></tr></tbody></table>',
        '<table class="table"><thead><tr><th>a</th><th>b</th></tr></thead>'
        '<tbody><tr><td colspan="2">c</td></tr></tbody></table>',
    ):
        assert tables._TABLE.sub(tables.label_table, page) == page
