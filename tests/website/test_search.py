"""The search of the built site: what it finds first, what its results say, and that one can work it."""

# ruff: noqa: RUF001  (quotation marks and signs of mathematics)
from __future__ import annotations

import gzip
import json
import re
import tomllib
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from benchmarks import site
from tests.website import axe
from tests.website.test_site import CHAPTERS, FILES, SITE
from tests.website.visit import Visit, Window, assert_fits, look
from website import formulas, search
from website.chapters import chapters

pytestmark = pytest.mark.site
if not CHAPTERS:
    pytestmark = [pytestmark, pytest.mark.skip(reason="there is no site in _build/html; make book builds it")]

WORDS = tomllib.loads(Path(__file__).with_name("search_words.toml").read_text(encoding="utf-8"))
XOR = "book/part1-foundations/05-xor.html"
PAGE_FIELD = ".bd-search-container input[name=q]"
DIALOG_FIELD = "#pst-search-dialog input[name=q]"
MAX_PACKED = 160_000
"""Bytes that a reader's first search loads, most of them the text of the book."""
BAD = (
    *("", " ", "k", "?", "x" * 10_000, "kernel " * 1_500, "<script>alert(1)</script>", "<img src=x onerror=alert(1)>"),
    *("+", "-", "~", "^", ":", "*", "+kernel -svm", "kernel~2", "kernel^10", "title:kernel", "ker*", "*", "a:b:c~^"),
    *("\\", "\u0000", "%E0%A4", "ﬁ", "日本語", "🙂", "constructor", "__proto__", "toString", "e\u0301"),
)


@pytest.fixture
def window(browser):
    with Window(browser) as window:
        yield window


def index() -> dict:
    text = (SITE / "_static" / "search-index.js").read_text(encoding="utf-8")
    return json.loads(text.removeprefix("window.bookIndex = ").removesuffix(";\n"))


def asked(window: Window, words: list[str]) -> dict[str, list[dict]]:
    """Return what the search finds for each of some words: pages, headings and excerpts."""
    window.open(f"{SITE.as_uri()}/search.html?q=a")
    window.page.wait_for_function("window.bookSearch")
    return window.page.evaluate(
        """async (words) => {
          const {search, excerpt} = await window.bookSearch;
          const show = (word) => search(word).map((hit) =>
            ({...hit, excerpt: excerpt(hit, word).map(([piece]) => piece).join("")}));
          return Object.fromEntries(words.map((word) => [word, show(word)]));
        }""",
        words,
    )


def place(hits: list[dict], number: int) -> int:
    """Return at which place of the pages that are found a chapter stands, or a thousand."""
    pages = list(dict.fromkeys(hit["page"] for hit in hits))
    page = f"{chapters()[number - 1].document}.html"
    return pages.index(page) + 1 if page in pages else 1_000


# ---------------------------------------------------------------------------------------------------------------------
# What comes first


def test_list_of_words_is_long_and_has_all_chapters_that_build_something():
    assert len(WORDS["first"]) >= 60
    assert not set(WORDS["first"]) & set(WORDS["synonyms"])
    assert not set(WORDS["held_out"]) & {*WORDS["first"], *WORDS["synonyms"]}
    assert {*WORDS["first"].values()} == {chapter.number for chapter in chapters()}


def test_each_word_finds_the_chapter_that_builds_it(window):
    found = asked(window, [word for part in WORDS.values() for word in part])
    for part, worst in (("first", 1), ("synonyms", 3)):
        missed = {
            f"{word}: chapter {number}": [hit["page"] for hit in found[word][:3]]
            for word, number in WORDS[part].items()
            if place(found[word], number) > worst
        }
        assert missed == {}
    places = [place(found[word], number) for word, number in WORDS["held_out"].items()]
    assert sum(one == 1 for one in places) >= 0.8 * len(places), places
    assert sum(one <= 3 for one in places) >= 0.9 * len(places), places


def test_spelling_hyphens_and_slips_do_not_matter(window):
    pairs = {
        **{"neighbors": "neighbours", "regularisation": "regularization", "minibatch": "mini-batch"},
        **{"auto-encoder": "autoencoder", "SOFTMAX": "softmax", "epochs": "epoch", "softmaks": "softmax"},
        **{"backpropogation": "backpropagation", "vanishin": "vanishing", "what is dropout?": "dropout"},
    }
    found = asked(window, [*pairs, *pairs.values()])
    for typed, meant in pairs.items():
        assert found[typed], typed
        assert found[typed][0]["page"] == found[meant][0]["page"], typed


def test_names_of_the_code_and_terms_are_found(window):
    found = asked(window, ["check_gradients", "KNeighborsClassifier", "perplexity"])
    headings = {word: [hit["heading"] for hit in hits] for word, hits in found.items()}
    for word in ("check_gradients", "KNeighborsClassifier", "perplexity"):
        assert word in headings[word]
    assert place(found["check_gradients"], 4) <= 3
    assert place(found["KNeighborsClassifier"], 13) <= 3


def test_each_synonym_leads_to_what_the_book_has():
    """Its other name is a term, a title, or stands in a heading or in the text."""
    everything = json.dumps(index()["sections"], ensure_ascii=False).lower()
    called = [name.lower() for name, *_ in index()["terms"] + index()["titles"]]
    for theirs, ours in index()["synonyms"].items():
        assert ours.lower() in called or ours.lower() in everything, theirs


# ---------------------------------------------------------------------------------------------------------------------
# What a result says


def test_a_sentence_of_the_index_can_be_read(window):
    """Neither TeX nor code nor a hole, from its capital to its point."""
    sentences = [line for section in index()["sections"] for line in section["text"].split("\n") if line]
    assert len(sentences) > 2_000
    for sentence in sentences:
        assert not re.search(r"[\\$^{}\ufffc\ue000]|  | [,.;:)]|\b(np|nn)\.|\w\(\w+=| == ", sentence), sentence
        assert re.match(r"[A-Z“\"‘]", sentence), sentence
        assert re.search(r"[.!?…][”’\")]*$", sentence), sentence
        assert sentence.count("(") == sentence.count(")"), sentence


def test_each_result_has_an_excerpt(window):
    found = asked(window, [*WORDS["first"], *WORDS["synonyms"]])
    for word, hits in found.items():
        for hit in hits[:10]:
            assert len(hit["excerpt"]) > 15, (word, hit)
            assert len(hit["excerpt"]) <= 300, (word, hit)
            assert hit["heading"], (word, hit)
            assert "<" not in hit["heading"] + hit["title"]


def test_each_result_leads_to_its_section():
    ids: dict[str, set[str]] = {}
    for section in index()["sections"]:
        page = section["page"]
        if page not in ids:
            ids[page] = set(re.findall(r'\bid="([^"]+)"', (SITE / page).read_text(encoding="utf-8")))
        assert not section["anchor"] or section["anchor"][1:] in ids[page], section


def test_formulas_become_text():
    some = {
        **{"W": "W", "x_1": "x₁", "n_{ij}": "nᵢⱼ", r"\eta = 0.1": "η = 0.1", r"W^\top": "Wᵀ", "-2": "−2"},
        **{"10^{-5}": "10⁻⁵", r"784 \times 32": "784 × 32", "257{,}232": "257,232"},
    }
    assert {tex: search.plain(tex) for tex in some} == some
    for tex in (r"\frac12", r"\hat y", "G_{W_2}", r"\sum_{j} x_j", "x" * 30, r"W_\theta"):
        assert search.plain(tex) is None, tex


def test_a_sentence_with_a_hole_is_left_out():
    tex = r"\frac{1}{2}"
    name = next(name for name, one in formulas.store().items() if one["tex"] == "W" and not one["display"])
    source = f"""<article class="bd-article"><section id="a"><h1>1. One<a class="headerlink" href="#a">#</a></h1>
      <p>The weight <span class="math"><mjx-container data-formula="{name}"><b>junk</b></mjx-container></span> grows
      with time. But <span class="math">\\({tex}\\)</span> of it is lost. It calls <code>fit</code> then.
      It runs <code>nn.fit(x, y)</code> then. See <a href="x"><span class="doc">9. Autoencoder</span></a> for more.</p>
      <div class="cell"><pre>code = 1</pre><figure><figcaption>A picture of all of it.</figcaption></figure></div>
      <section id="b"><h2>Two</h2><p>What the <strong>inner part</strong> says here.</p></section></section>
      </article>"""
    one, two = search.sections("book/x", source, {})
    assert one["text"].split("\n") == [
        *("The weight W grows with time.", "", "It calls fit then.", ""),
        *("See 9. Autoencoder for more.", "A picture of all of it."),
    ]
    assert one["more"].split() == ["but", "is", "lost", "runs"]
    assert (two["title"], two["heading"], two["anchor"]) == ("1. One", "Two", "#b")
    assert two["defines"] == "inner part"
    assert "inner" not in one["text"]


# ---------------------------------------------------------------------------------------------------------------------
# How it is worked


def test_nothing_throws(window):
    found = asked(window, [text for text in BAD if text != "\u0000"])
    assert found[""] == found["?"] == []
    for text in BAD:
        window.page.fill(PAGE_FIELD, text)
        window.page.wait_for_timeout(20)
    window.page.fill(PAGE_FIELD, "<script>alert(1)</script>")
    window.page.wait_for_timeout(50)
    assert window.page.locator("#search-results script, #search-results img").count() == 0
    window.page.fill(PAGE_FIELD, "qqqqzzzz")
    window.page.get_by_text("Nothing is found.").wait_for()
    for link in window.page.locator("#search-results a").all():
        assert (SITE / link.get_attribute("href")).is_file()
    assert window.problems == []


@pytest.mark.parametrize("origin", ["file", "http"])
def test_results_come_while_one_types(window, localhost, origin):
    window.open({"file": FILES, "http": localhost}[origin] + "search.html")
    page = window.page
    page.locator(PAGE_FIELD).press_sequentially("soft")
    page.locator("#search-results .hit-page", has_text="2. Linear classification").first.wait_for()
    page.locator(PAGE_FIELD).press_sequentially("max regression")
    page.locator("#search-results li a").first.wait_for()
    page.fill(PAGE_FIELD, "kernel")
    first = page.locator("#search-results li").first
    page.locator("#search-results mark", has_text="kernel").first.wait_for()
    assert first.locator(".hit-page").text_content() == "14. Support vector machine"
    assert first.locator(".hit-heading").text_content() == "Kernels"
    assert re.fullmatch(r"\d+ sections on \d+ pages\.", page.locator("#search-results [role=status]").text_content())
    page.fill(PAGE_FIELD, "")
    page.locator("#search-results li").first.wait_for(state="detached")
    assert window.problems == []


def focused(page) -> str:
    return page.evaluate(
        "document.activeElement.querySelector?.('.hit-heading')?.textContent ?? document.activeElement.name"
    )


@pytest.mark.parametrize("where", ["page", "dialog"])
def test_keys_go_through_the_results(window, where):
    field = {"page": PAGE_FIELD, "dialog": DIALOG_FIELD}[where]
    window.open(FILES + {"page": "search.html", "dialog": XOR}[where])
    page = window.page
    if where == "dialog":
        page.locator(".search-button-field").focus()
        page.keyboard.press("Enter")
    page.fill(field, "dropout")
    page.locator(".book-hits:visible a").nth(2).wait_for()
    headings = page.locator(".book-hits:visible .hit-heading").all_text_contents()
    seen = []
    for key in ("ArrowDown", "ArrowDown", "ArrowUp", "ArrowUp", "ArrowDown", "End", "Home"):
        page.keyboard.press(key)
        seen.append(focused(page))
    last = seen.pop(5)
    assert seen == [headings[0], headings[1], headings[0], "q", headings[0], headings[0]]
    assert last in (headings[-1], None)
    page.keyboard.press("Escape")
    if where == "page":
        assert focused(page) == "q"
    else:
        assert not page.locator("dialog[open]").count()
        assert page.evaluate("document.activeElement.matches('.search-button-field')")  # Where the reader was.
        page.keyboard.press("Control+k")
        page.locator("dialog[open] input").wait_for()
    page.locator(field).press("Enter")  # Goes to the first result, which another one opens.
    page.wait_for_function("document.activeElement.matches('.book-hits a')")
    assert focused(page) == headings[0] == "Dropout"
    page.keyboard.press("Enter")
    page.wait_for_url("**/08-regularization.html#dropout")
    assert window.problems == []


def test_a_result_on_the_same_page_closes_the_dialog(window):
    window.open(FILES + XOR)
    window.page.keyboard.press("Control+k")
    window.page.fill(DIALOG_FIELD, "hidden layer")
    window.page.locator("#pst-search-dialog a[href*='05-xor.html#a-hidden-layer']").click()
    window.page.wait_for_url("**/05-xor.html#a-hidden-layer")
    assert window.page.locator("dialog[open]").count() == 0


@pytest.mark.parametrize("width", [1400, 390])
@pytest.mark.parametrize("where", ["page", "dialog"])
def test_results_are_accessible_and_fit(window, where, width):
    window.open(FILES + {"page": "search.html?q=gradient", "dialog": XOR}[where], width=width)
    page = window.page
    if where == "dialog":
        page.keyboard.press("Control+k")
        page.fill(DIALOG_FIELD, "gradient")
    page.locator(".book-hits:visible a").first.wait_for()
    axe.check(page)
    look(page, "dark", width)
    axe.check(page, only=axe.OF_COLOUR)
    assert_fits(page)
    boxes = [link.bounding_box() for link in page.locator(".book-hits:visible a").all()]
    boxes.append(page.locator({"page": PAGE_FIELD, "dialog": DIALOG_FIELD}[where]).bounding_box())
    assert len(boxes) > 10
    for box in boxes:
        assert box["height"] >= 44
        assert box["width"] >= 44
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width


@pytest.mark.parametrize("width", [1400, 390])
def test_search_page_stays_where_it_is(browser, width):
    with site.server(SITE) as base:
        seen = site.visit(browser, base + "search.html?q=softmax", width=width, throttled=False)
    assert seen.shift < site.MAX_SHIFT, seen.moved


def test_search_page_says_what_to_do_without_scripts(browser):
    with Visit(browser, FILES, "search.html", scripts=False) as visit:
        said = visit.page.locator("noscript .admonition")
        assert said.is_visible()
        assert "The search needs JavaScript" in said.text_content()
        assert_fits(visit.page)
    soup = BeautifulSoup((SITE / "search.html").read_text(encoding="utf-8"), "html.parser")
    for link in soup.select("noscript a"):
        assert (SITE / link["href"]).is_file()
    assert soup.select("noscript a")


def test_nothing_is_loaded_before_a_reader_searches(window):
    for page in ("book/index.html", XOR, "search.html"):
        window.open(FILES + page)
        assert not [url for url in window.asked if re.search(r"lunr|search-(index|engine)", url)], page
    window.page.fill(PAGE_FIELD, "a")
    window.page.wait_for_function("window.bookSearch")
    assert len([url for url in window.asked if re.search(r"lunr|search-(index|engine)", url)]) == 3


def test_what_a_search_loads_is_small_and_is_all():
    static = SITE / "_static"
    loaded = [static / name for name in ("lunr/lunr.min.js", "search-index.js", "search-engine.js")]
    assert sum(len(gzip.compress(path.read_bytes())) for path in loaded) <= MAX_PACKED
    for theirs in ("searchindex.js", "_static/searchtools.js", "_static/language_data.js"):
        assert not (SITE / theirs).exists()
        assert Path(theirs).name not in (SITE / "search.html").read_text(encoding="utf-8")


def test_a_search_that_cannot_be_loaded_says_so(browser):
    with Window(browser) as window:
        window.page.route("**/search-index.js", lambda route: route.abort())
        window.open(FILES + "search.html")
        window.page.fill(PAGE_FIELD, "kernel")
        window.page.get_by_text("The search does not work: search-index.js cannot be loaded.").wait_for()
        assert window.page.locator("#search-results a", has_text="Glossary").is_visible()
        window.page.unroute("**/search-index.js")
        window.page.fill(PAGE_FIELD, "kernels")
        window.page.locator("#search-results .hit-page").first.wait_for()
