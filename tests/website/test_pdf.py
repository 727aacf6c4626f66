"""The book on paper: `make pdf`, tried on a few pages, and a page of the site as the browser prints it."""

from __future__ import annotations

import contextlib
import re
from itertools import pairwise

import pytest

pytest.importorskip("pypdf")

from pypdf import PdfReader

from tests.patience import PATIENCE
from tests.website import fonts
from website import pdf
from website.chapters import chapters, read_notebook

MOST_PAGES = 259
LEAST_TYPE = 6.5
"""The smallest letters on the road, in points: those of the line below a chapter's name."""
FIRST = "book/index"
CHAPTER, LONG_HEADING, FIRST_OF_APPENDIX, NOTATION, REFERENCE, BIBLIOGRAPHY = (
    "book/part1-foundations/05-xor",
    "book/part2-mnist/07-hyperparameter-sweeps",
    "book/appendix/when-training-fails",
    "book/appendix/notation",
    "book/appendix/api/losses",
    "book/appendix/bibliography",
)

pytestmark = pytest.mark.site
if not (pdf.SITE / f"{CHAPTER}.html").exists():
    pytestmark = [pytestmark, pytest.mark.skip(reason="there is no site in _build/html; make book builds it")]


@pytest.fixture(scope="module")
def printed(browser, tmp_path_factory):
    target = tmp_path_factory.mktemp("pdf") / "book.pdf"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pdf, "chromium", lambda: contextlib.nullcontext(browser))
        printed = [FIRST, CHAPTER, FIRST_OF_APPENDIX, NOTATION, REFERENCE, BIBLIOGRAPHY]
        pdf.main(["--only", *printed, "--output", str(target)])
    return PdfReader(target)


@pytest.fixture(scope="module")
def book(browser, tmp_path_factory):
    """Return the whole book on paper, and its sheets as lines of text."""
    target = tmp_path_factory.mktemp("pdf") / "book.pdf"
    pdf.print_book(browser, pdf.on_paper(), target)
    reader = PdfReader(target)
    return reader, [page.extract_text().split("\n") for page in reader.pages]


def bookmarks(entries):
    """Return the titles with their pages, in order, whatever their depth."""
    found = []
    for entry in entries:
        found += bookmarks(entry) if isinstance(entry, list) else [entry]
    return found


def test_order_is_that_of_the_table_of_contents():
    pages = [page.document for page in pdf.pages()]
    assert pages[0] == "book/index"
    assert pages.index(CHAPTER) < pages.index(NOTATION) < pages.index("book/appendix/api") < pages.index(REFERENCE)
    assert len(set(pages)) == len(pages)
    chapters = {path.with_suffix("").relative_to(pdf.ROOT).as_posix() for path in pdf.ROOT.glob("book/part*/*.ipynb")}
    assert chapters <= set(pages)


def test_paper_has_all_but_the_reference_and_the_tables_whose_rows_the_last_chapter_has():
    left_out = [page.document for page in pdf.pages() if page not in pdf.on_paper()]
    assert left_out
    assert all(document.startswith("book/appendix/api/") for document in left_out)
    last = next(page for page in pdf.pages() if "18-" in page.document)
    alone = [page for page in pdf.pages() if page.document == CHAPTER]
    text = pdf.whole([*alone, last])
    assert f'<a href="#{last.id}">18. Replication report</a> has the rows of this table<span' in text
    assert "Measured here" not in text.split(f'id="{last.id}"')[0]
    assert "largest error" in text.split(f'id="{last.id}"')[1]  # A row of chapter 5.
    assert "18. Replication report has the rows" in pdf.whole(
        [page for page in pdf.pages() if page.document == CHAPTER]
    )


def test_document_keeps_every_name_and_link_within_itself():
    text = pdf.whole([page for page in pdf.pages() if page.document in (CHAPTER, NOTATION, REFERENCE)])
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(set(ids)) == len(ids)
    links = set(re.findall(r'href="#([^"]+)"', text))
    assert len(links) > 20
    assert links <= set(ids)
    assert "file:" not in "".join(re.findall(r'<a [^>]*href="([^"]+)"', text))
    assert "<input" not in text


def test_bookmarks_contents_and_text(printed):
    titles = [entry.title for entry in bookmarks(printed.outline)]
    for title in ("5. XOR", "Break it", "Appendix", "Notation", "Losses", "Solutions"):
        assert title in titles
    assert titles.index("5. XOR") < titles.index("Notation") < titles.index("Losses") < titles.index("Solutions")
    contents = " ".join(printed.pages[1].extract_text().split())
    for entry in bookmarks(printed.outline):
        if entry.title in ("Notation", "Losses", "Solutions"):
            page = printed.get_destination_page_number(entry)
            assert entry.title in printed.pages[page].extract_text()
            assert re.search(rf"{entry.title} {page + 1}\b", contents)  # The number that the reader is told
            assert str(page + 1) in printed.pages[page].extract_text().split("\n")  # and finds there.


def test_labs_solutions_and_links_are_printed(printed):
    text = "\n".join(page.extract_text() for page in printed.pages)
    assert "This picture answers your hand on the page" in text
    assert "Solution on page" in text
    assert "exact = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))" in text  # In a solution
    assert "\\begin{" not in text
    named = printed.named_destinations
    links = [note.get_object() for page in printed.pages for note in page.get("/Annots", ())]
    inner = [link["/Dest"] for link in links if "/Dest" in link]
    assert len(inner) > 35
    assert {str(name).lstrip("/") for name in inner} <= {name.lstrip("/") for name in named}


def letters(page):
    """Return each piece of text of a sheet with its size in points on the paper."""
    found = []

    def see(text, outer, inner, font, size):
        if text.strip():
            found.append((text.strip(), abs(outer[0] * inner[0]) * size))

    page.extract_text(visitor_text=see)
    return found


def test_nothing_shrinks_the_sheets(printed):
    """Chromium would, to the widest thing that hangs out of one, so that all letters became smaller."""
    sizes = {round(size, 1) for _, size in letters(printed.pages[2])}
    assert round(8.7, 1) in sizes  # As the style says of the text.


def test_the_road_can_be_read(printed):
    for page in printed.pages:
        sizes = dict(letters(page))
        if {"Backpropagation", "Autoencoder"} <= set(sizes):
            break
    road = [size for chapter in chapters() for size in [sizes.get(chapter.gives.replace("fi", "\ufb01"))] if size]
    road += [sizes[name] for name in ("Backpropagation", "Autoencoder")]
    assert len(road) > 10
    assert min(road) >= LEAST_TYPE


@pytest.mark.slow
def test_the_whole_book_is_short_and_every_sheet_but_the_cover_has_its_number(book):
    reader, sheets = book
    assert 150 < len(sheets) <= MOST_PAGES
    assert [i + 1 for i, lines in enumerate(sheets) if str(i + 1) not in (line.strip() for line in lines)] == [1]
    titles = [entry.title for entry in bookmarks(reader.outline)]
    expected = [f"{chapter.number}. {chapter.title}" for chapter in chapters()]
    assert [title for title in titles if title in expected][: len(expected)] == expected  # Solutions name them again.
    places = [reader.get_destination_page_number(entry) for entry in bookmarks(reader.outline)]
    assert all(before <= after for before, after in pairwise(places))
    assert [i + 1 for i, lines in enumerate(sheets) if len("".join(lines)) < 60] == []


@pytest.mark.slow
def test_the_whole_book_shows_no_code_that_draws(book):
    _, sheets = book
    text = re.sub(r"\s+", "", "".join("".join(lines) for lines in sheets))
    assert "importnnkitasnn" in text  # Code that one reads is there.
    drawing = [
        re.sub(r"\s+", "", cell.source)
        for chapter in chapters()
        for cell in read_notebook(chapter.path).cells
        if cell.cell_type == "code" and "hide-input" in cell.metadata.get("tags", ())
    ]
    assert len(drawing) > 100
    assert [code[:200] for code in drawing if code[:150] in text] == []
    assert "plt.show()" not in text


def test_what_is_folded_on_a_page_stands_open():
    text = pdf.whole([page for page in pdf.pages() if "18-" in page.document])
    folded = re.findall(r"<details[^>]*>", text)
    assert len(folded) > 10
    assert [tag for tag in folded if "open" not in tag] == []


def test_some_pages_do_not_take_the_place_of_the_book(capsys):
    with pytest.raises(SystemExit):
        pdf.main(["--only", NOTATION])
    assert "name another --output" in capsys.readouterr().err


def test_what_would_be_cut_at_the_edge_of_the_sheet_is_an_error(browser, tmp_path):
    mathjax = (pdf.SITE / "_static" / "mathjax" / "tex-chtml.js").as_uri()
    (tmp_path / "wide.html").write_text(
        f"<!doctype html><script src='{mathjax}'></script><p style='width: 3000px'>planted</p>", encoding="utf-8"
    )
    with pytest.raises(ValueError, match=r"wider than the sheet:\nP : planted"):
        pdf.print_pdf(browser, tmp_path / "wide.html", tmp_path / "wide.pdf")


def test_book_fits_the_sheet_in_wide_and_narrow_fonts(browser, tmp_path):
    """From the narrowest to the widest, since what has been shrunk to fit stays so."""
    chosen = [page for page in pdf.pages() if page.document in (CHAPTER, NOTATION, REFERENCE, LONG_HEADING)]
    (tmp_path / "book.html").write_text(pdf.whole(chosen), encoding="utf-8")
    with browser.new_page(viewport=pdf.SHEET) as page:
        page.set_default_timeout(PATIENCE * 1000)
        page.emulate_media(media="print")
        page.goto((tmp_path / "book.html").as_uri())
        for family in reversed(fonts.FAMILIES):
            fonts.wear(page, family)
            assert page.evaluate(pdf._FIT) == [], family
            assert fonts.hanging(page) == [], family


def test_page_of_the_site_prints_unfolded_and_on_white(browser, tmp_path):
    with browser.new_page(color_scheme="dark") as page:
        page.set_default_timeout(PATIENCE * 1000)
        page.goto((pdf.SITE / f"{CHAPTER}.html").as_uri())
        page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
        page.evaluate(
            "addEventListener('beforeprint', () => { window.inked = document.documentElement.dataset.theme; })"
        )
        page.pdf(path=tmp_path / "page.pdf")
        assert page.evaluate("window.inked") == "light"
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    text = "\n".join(sheet.extract_text() for sheet in PdfReader(tmp_path / "page.pdf").pages)
    assert "exact = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))" in text
    assert "plt.show()" in text
    assert "This picture answers your hand" in text
