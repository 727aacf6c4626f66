"""The built site in a browser: every page, from a file and over localhost, with all other hosts out of reach."""

from __future__ import annotations

import functools
import html
import json
import re
from pathlib import Path
from urllib.parse import unquote, urljoin

import pytest
from bs4 import BeautifulSoup
from matplotlib.figure import Figure

from lab import sliders
from lab.touch.pages import widgets_on
from tests.website import axe, fonts
from tests.website.visit import (
    SITE,
    Visit,
    assert_fits,
    assert_fits_at_every_width,
    assert_fits_in_fonts,
    assert_keys_move_the_sliders,
    assert_no_formula_is_cut,
    assert_the_mouse_moves_the_sliders,
    assert_whole,
    look,
    near,
    picture,
)
from tools.launch import repository
from website.moved import old_pages

WRITTEN = sorted({str(path.relative_to(SITE)) for path in SITE.glob("book/**/*.html")} - old_pages())
# The reference is written by one program, so that a short, a long and a wide page of it are enough for the browser.
REFERENCE = ("activations", "svm", "training")
PAGES = [page for page in WRITTEN if "/api/" not in page or Path(page).stem in REFERENCE]
THEME_PAGES = [name for name in ("search.html", "genindex.html", "_modules/nnkit/svm.html") if (SITE / name).exists()]
# All that one can read; index.html only leads to the first page, and old pages to new ones.
HTML = {str(path.relative_to(SITE)) for path in SITE.rglob("*.html") if "_static" not in path.parts} - old_pages()
FILES = SITE.as_uri() + "/"
OTHERS = sorted(HTML - set(PAGES))
MAX_PAGE_BYTES = 1_500_000
PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAAC"

pytestmark = pytest.mark.site
if not PAGES:
    pytestmark = [pytestmark, pytest.mark.skip(reason="there is no site in _build/html; make book builds it")]


def bases(localhost: str) -> dict[str, str]:
    return {"file": FILES, "http": localhost}


def labs(page: str) -> bool:
    return 'class="nnkit-lab"' in (SITE / page).read_text(encoding="utf-8")


CHAPTERS = [page for page in PAGES if "/part" in page]
LAB_PAGES = [page for page in PAGES if labs(page)]


# Letters from wide to narrow, where there is least room for them.
NARROW = dict.fromkeys(fonts.FAMILIES, (390, 320))
WIDEST, *_, NARROWEST = fonts.FAMILIES


@pytest.mark.parametrize("page", PAGES)
def test_page_opens_from_a_file_and_fits_and_its_sliders_answer_to_keys(window, page):
    window.open(FILES + page)
    assert_whole(window.page)
    if page in LAB_PAGES:
        assert window.page.locator(".nnkit-lab input[type=range]").count() >= 2
        assert_keys_move_the_sliders(window.page)
    assert_fits_at_every_width(window.page)
    assert_fits_in_fonts(window.page, {WIDEST: (390, 320), NARROWEST: (390, 320)})
    assert window.problems == []


@pytest.mark.parametrize("page", OTHERS)
def test_every_other_page_opens_from_a_file_and_fits(window, page):
    """The rest of the reference, its sources, index and search, which are written by programs."""
    window.open(FILES + page)
    if page == "index.html":  # It leads to the first page.
        window.page.wait_for_url("**/book/index.html")
        window.settle()
    assert_whole(window.page)
    assert_fits_at_every_width(window.page)
    assert_fits_in_fonts(window.page, {WIDEST: (320,)})
    assert window.problems == []


@pytest.mark.parametrize("page", PAGES)
def test_page_opens_over_localhost_and_is_accessible_and_its_sliders_answer_to_the_mouse(window, localhost, page):
    """It opens on a phone in the dark, and is turned to a desk and into the light, with everything unfolded."""
    window.open(localhost + page, scheme="dark", width=390)
    assert_whole(window.page)
    if page in LAB_PAGES:
        assert_the_mouse_moves_the_sliders(window.page)
    axe.open_everything(window.page)
    assert_fits(window.page)
    assert_no_formula_is_cut(window.page)
    axe.check(window.page, only=axe.OF_WIDTH)
    look(window.page, "dark", 1400)
    assert_fits(window.page)
    axe.check(window.page)
    look(window.page, "light", 1400)
    axe.check(window.page, only=axe.OF_COLOUR)
    assert window.problems == []


@pytest.mark.parametrize("page", ["index.html", "search.html", "genindex.html", "_modules/nnkit/layers.html"])
def test_each_kind_of_other_page_opens_over_localhost(window, localhost, page):
    """What another address can change is how the scripts load, not what they find."""
    assert page in OTHERS
    window.open(localhost + page)
    if page == "index.html":
        window.page.wait_for_url("**/book/index.html")
        window.settle()
    assert_whole(window.page)
    assert window.problems == []


# Where a word may stand that is wider than a phone.
PLACES = {
    CHAPTERS[2]: (
        *("article h1", "article h2", "article p", "article li", "article td", "article th"),
        *("article figcaption .caption-text", "article p code .pre", "article summary p"),
        *(".exercise .admonition-title", ".solution .admonition-title", ".solution p", ".provenance p"),
        *(
            ".nnkit-touch-question",
            ".nnkit-touch-tries li",
            ".prev-next-title",
            ".bd-links .caption-text",
            ".bd-links li a",
        ),
        *("nav a.nav-link", ".navbar-brand p", "footer p"),
    ),
    "book/appendix/api/svm.html": (".sig-name", ".sig-param", "dt strong", ".classifier", "dd dd p", "dd code .pre"),
    "book/appendix/glossary.html": ("dl.glossary dt", "dl.glossary dd p"),
    "book/index.html": (".sd-card-title", ".sd-card-text", ".sd-btn", "article table td"),
    "search.html?q=gradient": ("#search-results li a", ".search-summary"),
}
# At its beginning, and right before the sign that links to it.
PLANT = """([places, word]) => {
  for (const place of places) {
    const element = document.querySelector(place);
    if (!element) throw new Error(`nothing is ${place}`);
    const sign = element.querySelector(".headerlink");
    if (sign) sign.before(` ${word}`);
    element.prepend(`${word} `);
  }
}"""
LONG_WORD = "Extraordinarily" * 3


@pytest.mark.parametrize("page", PLACES)
def test_a_long_word_breaks_wherever_it_stands(browser, page):
    with Visit(browser, FILES, page) as visit:
        if "search" in page:
            visit.page.locator("#search-results li").first.wait_for()
        visit.page.evaluate(PLANT, [PLACES[page], LONG_WORD])
        assert_fits_in_fonts(visit.page, NARROW)


def test_every_chapter_has_its_lab_or_answers_the_hand():
    assert len(CHAPTERS) == len(list((SITE.parent.parent / "book").glob("part*/*.ipynb")))
    for page in [*CHAPTERS, "book/index.html"]:
        live = [module for _, module in widgets_on((SITE / page).read_text(encoding="utf-8")) if module != "ask"]
        assert page in LAB_PAGES or live, page


@pytest.mark.parametrize("origin", ["file", "http"])
def test_address_keeps_the_state_of_the_sliders(browser, localhost, origin):
    base = bases(localhost)[origin]
    with Visit(browser, base, CHAPTERS[0]) as visit:
        lab = near(visit.page.locator(".nnkit-lab"))
        slider = lab.locator("input[type=range]").first
        slider.focus()
        visit.page.keyboard.press("End")
        address, shown = visit.page.url, picture(lab)
    assert "#lab-" in address
    with Visit(browser, "", address) as again:
        assert picture(near(again.page.locator(".nnkit-lab"))) == shown
        assert again.problems == []


def test_address_keeps_values_that_hold_signs_and_survives_what_is_no_state(browser, tmp_path):
    def draw(value):
        figure = Figure(figsize=(1, 1))
        figure.text(0.5, 0.5, value)
        return figure

    values = ["start", 1e6, "a+b", "R&D", "50%", "a?b"]
    page = sliders.lab(draw, title="Signs", value=values).html()
    (tmp_path / "signs.html").write_text(f"<!doctype html>{page}", encoding="utf-8")
    base = tmp_path.as_uri() + "/"
    for i in range(1, len(values)):
        with Visit(browser, base, "signs.html") as visit:
            for _ in range(i):
                visit.page.locator("input").press("ArrowRight")
            address, shown = visit.page.url, picture(visit.page.locator(".nnkit-lab"))
        with Visit(browser, "", address) as again:
            assert picture(again.page.locator(".nnkit-lab")) == shown
            assert again.page.locator("output").inner_text() == shown["text"].removeprefix("Value ").removesuffix(".")
    for wrong in ("signs.html#50%", "signs.html#lab-signs?value=%"):
        with Visit(browser, base, wrong) as visit:
            assert "start" in picture(visit.page.locator(".nnkit-lab"))["text"]
            assert visit.problems == []


@pytest.mark.parametrize("page", LAB_PAGES)
def test_first_frame_is_there_without_scripts(browser, localhost, page):
    with Visit(browser, localhost, page, scripts=False) as visit:
        lab = visit.page.locator(".nnkit-lab")
        picture = lab.get_by_role("img")
        assert picture.locator(".nnkit-wide").bounding_box()["width"] > 300
        assert picture.locator(".nnkit-wide :is(path, text, image)").count() > 3
        assert not picture.locator(".nnkit-narrow").is_visible()
        assert not lab.locator("input").first.is_visible()
        assert lab.locator(".nnkit-lab-static").is_visible()


def test_sign_that_links_to_a_place_is_shown_to_mouse_and_keyboard(browser):
    with Visit(browser, FILES, CHAPTERS[2], width=390) as visit:
        for place in ("article h1", "article h2", "article figure figcaption", "article div.math"):
            sign = visit.page.locator(f"{place} a.headerlink").first
            visit.page.mouse.move(0, 0)  # A figure that scrolls under a resting mouse shows its sign.
            assert sign.evaluate("sign => getComputedStyle(sign).opacity") == "0"
            sign.focus()
            assert sign.evaluate("sign => [sign.matches(':focus'), getComputedStyle(sign).opacity]") == [True, "1"]
            visit.page.keyboard.press("Enter")
            assert visit.page.url.endswith(sign.get_attribute("href"))
            sign.blur()
            assert sign.evaluate("sign => getComputedStyle(sign).opacity") == "0"
            sign.hover()
            assert sign.evaluate("sign => getComputedStyle(sign).opacity") == "1"


def test_solutions_open_and_close(browser, localhost):
    with Visit(browser, localhost, CHAPTERS[0]) as visit:
        solution = visit.page.locator(".solution.dropdown").first
        code = solution.locator(".highlight").first
        assert not code.is_visible()
        solution.locator("button.toggle-button, .admonition-title").first.click()
        code.wait_for(state="visible")


@pytest.mark.parametrize("page", [*WRITTEN, *THEME_PAGES])
def test_page_and_its_pictures_are_light(page):
    text = (SITE / page).read_text(encoding="utf-8")
    own = [unquote(source) for source in re.findall(r'<img[^>]+src="(?!data:)([^"]+)"', text)]
    own += re.findall(r'"source": "([^"]+/_labs/[^"]+)"', text)
    size = len(text.encode()) + sum((SITE / page).parent.joinpath(source).stat().st_size for source in own)
    assert size <= MAX_PAGE_BYTES


@pytest.mark.parametrize("origin", ["file", "http"])
def test_frames_of_a_lab_come_when_the_reader_comes_near(browser, localhost, origin):
    with Visit(browser, bases(localhost)[origin], CHAPTERS[-1]) as visit:
        lab = visit.page.locator(".nnkit-lab")
        axe.settle(visit.page)
        assert lab.get_attribute("data-frames") is None
        assert not [address for address in visit.asked if "/_labs/" in address]
        near(lab)
        assert [address for address in visit.asked if "/_labs/" in address]
        assert visit.problems == []


def test_a_lab_whose_frames_are_missing_says_so(browser, localhost):
    with Visit(browser, localhost, CHAPTERS[0]) as visit:
        visit.page.route("**/_labs/*", lambda route: route.abort())
        lab = visit.page.locator(".nnkit-lab")
        lab.scroll_into_view_if_needed()
        lab.get_by_text("cannot be loaded").wait_for()
        visit.page.unroute("**/_labs/*")
        lab.locator("input").first.focus()
        near(lab)


@pytest.mark.parametrize("page", CHAPTERS)
def test_a_chapter_can_be_launched_downloaded_edited_and_discussed(page):
    text = (SITE / page).read_text(encoding="utf-8")
    links = set(re.findall(r'href="([^"]+)"', text))
    url, branch = (repository()[key] for key in ("url", "branch"))
    owner = url.removeprefix("https://github.com/")
    source = page.replace(".html", ".ipynb")
    colab, binder = "https://colab.research.google.com/github", "https://mybinder.org/v2/gh"
    assert f"{colab}/{owner}/blob/{branch}/{source}" in links
    assert f"{binder}/{owner}/{branch}?urlpath=lab/tree/{source}" in links
    assert f"{url}/edit/{branch}/{source}" in links
    assert any(link.startswith(f"{url}/issues/new") for link in links)
    download = next(link for link in links if link.endswith(f"_sources/{source}"))
    assert (SITE / page).parent.joinpath(download).read_bytes() == (SITE.parent.parent / source).read_bytes()


@pytest.mark.parametrize("page", CHAPTERS)
def test_a_chapter_says_how_long_it_takes_and_where_its_outputs_come_from(page):
    notebook = json.loads((SITE.parent.parent / page.replace(".html", ".ipynb")).read_text(encoding="utf-8"))
    ran = notebook["metadata"]["nnkit"]
    text = (SITE / page).read_text(encoding="utf-8")
    line = re.sub(r"<[^>]+>", "", re.search(r'<div class="provenance">(.*?)</div>', text)[1])
    minutes = int(re.search(r"About (\d+) minutes to read", line)[1])
    assert 8 <= minutes <= 30
    assert f"on {ran['date']}, with nnkit {ran['nnkit']} at commit {ran['commit'][:7]}" in line
    assert ran["processor"] in html.unescape(line)
    if ran["data"]:
        assert f"{ran['data']['name']} {ran['data']['sha256']}" in line


def test_landing_page_answers_the_hand_and_has_three_ways_in(browser, localhost):
    with Visit(browser, localhost, "book/index.html") as visit:
        widget = visit.page.locator("#touch-playground")
        widget.scroll_into_view_if_needed()
        visit.page.wait_for_selector("#touch-playground[data-state=alive]")
        widget.get_by_role("button", name="One epoch").click()
        visit.page.wait_for_function("document.getElementById('touch-playground').model.get('epoch') === 1")
        assert visit.page.locator(".sd-card-title").all_inner_texts() == ["Read", "Run", "Teach"]
        assert visit.problems == []


@functools.cache
def anchors(target: Path) -> frozenset[str]:
    return frozenset(re.findall(r' (?:id|name)="([^"]+)"', target.read_text(encoding="utf-8")))


@pytest.mark.parametrize("page", [*WRITTEN, *THEME_PAGES])
def test_internal_links_and_anchors_lead_somewhere(page):
    text = (SITE / page).read_text(encoding="utf-8")
    for link in re.findall(r'<a [^>]*href="([^"]+)"', text):
        if re.match(r"[a-z]+:", link) or link == "#":
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (SITE / page).parent.joinpath(path).resolve() if path else SITE / page
        assert target.exists(), link
        assert not anchor or target.suffix != ".html" or anchor in anchors(target), link


@pytest.mark.parametrize("page", CHAPTERS)
def test_a_chapter_that_a_caption_or_an_output_names_is_a_link(page):
    soup = BeautifulSoup((SITE / page).read_text(encoding="utf-8"), "html.parser")
    for code in soup.select("pre, code"):
        code.decompose()
    for place in soup.select("figcaption, caption, .cell_output"):
        for text in place.find_all(string=re.compile(r"[Cc]hapter \d")):
            link = text.find_parent("a")
            assert link is not None, text
            assert f"/{int(text.split()[1]):02d}-" in urljoin(f"/{page}", link["href"])


def test_index_lists_terms_and_names_and_is_linked_from_every_page():
    text = (SITE / "genindex.html").read_text(encoding="utf-8")
    assert re.search(r'href="book/appendix/glossary\.html#term-momentum"', text)
    assert re.search(r'href="book/appendix/api/optimizers\.html#nnkit\.Adam"', text)
    for page in PAGES:
        links = re.findall(r'href="([\w./-]*genindex\.html)"', (SITE / page).read_text(encoding="utf-8"))
        assert links, page


@pytest.mark.parametrize("page", CHAPTERS)
def test_no_line_ends_between_a_formula_and_its_point(page):
    text = (SITE / page).read_text(encoding="utf-8")
    article = text[text.index("<article") : text.index("</article>")]
    formula = r'<span class="math notranslate nohighlight"><mjx-container .*?</mjx-container></span>'
    kept = re.sub(rf'<span class="nobreak">[^<]*{formula}[^<]*</span>', "", article, flags=re.S)
    assert kept.count('<span class="math') < article.count('<span class="math')
    assert re.findall(rf"{formula}[.,;:]", kept, flags=re.S) == []


# ---------------------------------------------------------------------------------------------------------------------
# The search, and the definitions beside the links to the glossary


@pytest.mark.parametrize("origin", ["file", "http"])
def test_search_by_keyboard_finds_pages_that_open(browser, localhost, origin):
    with Visit(browser, bases(localhost)[origin], "book/part1-foundations/05-xor.html") as visit:
        for _ in range(5):  # After the link that skips to the text, and the name of the book.
            visit.page.keyboard.press("Tab")
            if visit.page.evaluate("document.activeElement.matches('.search-button-field')"):
                break
        visit.page.keyboard.press("Enter")
        visit.page.keyboard.type("backpropagation")
        results = visit.page.locator("#pst-search-dialog li > a")
        results.first.wait_for()
        links = results.evaluate_all("links => links.map(link => link.href)")
        found = {link.partition("#")[0].partition("?")[0].removeprefix(bases(localhost)[origin]) for link in links}
        assert "book/part1-foundations/03-backpropagation.html" in found
        for page in found:
            assert (SITE / page).is_file()
        results.first.click()
        visit.page.wait_for_load_state()
        assert visit.page.locator("article h1").count() == 1
        assert visit.problems == []


def test_definition_of_a_term_is_shown_beside_its_link(browser, localhost):
    with Visit(browser, localhost, "book/part1-foundations/05-xor.html", width=390) as visit:
        link = visit.page.locator("a[aria-describedby='note-term-hidden-layer']").first
        note = visit.page.locator("#note-term-hidden-layer")
        assert "A layer between input and output." in note.text_content()
        assert "(" not in note.text_content()  # Neither the chapter nor an empty pair.
        assert not note.is_visible()
        link.focus()
        assert note.is_visible()
        box = note.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390
        axe.check(visit.page)
        visit.page.keyboard.press("Escape")
        assert not note.is_visible()
        link.hover()
        assert note.is_visible()
        visit.page.clock.install()
        note.hover()  # One may go there to read or copy it.
        visit.page.clock.run_for(1_000)
        assert note.is_visible()
        visit.page.mouse.move(0, 0)
        visit.page.clock.run_for(1_000)
        note.wait_for(state="hidden")
        assert visit.problems == []


@pytest.mark.parametrize("page", LAB_PAGES)
def test_every_link_to_a_term_has_its_definition(page):
    text = (SITE / page).read_text(encoding="utf-8")
    body = text[text.index("<article") : text.index("</article>")]
    links = re.findall(r'<a class="reference internal" href="[^"]*glossary\.html#(term-[^"]+)"([^>]*)>', body)
    for term, attributes in links:
        assert f'aria-describedby="note-{term}"' in attributes
        assert f'id="note-{term}"' in body


def test_a_fault_would_be_seen(browser, localhost, tmp_path):
    (tmp_path / "bad.html").write_text(
        "<html data-theme='light'><body><img src='missing.png'><script>throw new Error('planted')</script>"
        "<script src='https://example.org/x.js'></script><p style='width: 2000px'>wide</p></body></html>",
        encoding="utf-8",
    )
    with Visit(browser, tmp_path.as_uri() + "/", "bad.html") as visit:
        found = "\n".join(visit.problems)
        with pytest.raises(AssertionError, match="in a window of 1400"):
            assert_fits(visit.page)
    assert "planted" in found
    assert "missing.png" in found
    assert "another host: https://example.org" in found


UNBROKEN = "overflow-wrap: normal; hyphens: none; white-space: nowrap"


def test_what_hangs_outside_would_be_seen(browser):
    """A word of a heading that cannot break, the sign beside a heading, a wide table, a formula."""
    page = "book/part1-foundations/03-backpropagation.html"
    with Visit(browser, FILES, page, width=390) as visit:
        for family in fonts.FAMILIES:
            fonts.wear(visit.page, family)
            assert fonts.hanging(visit.page) == []
            for planted, found in (
                (f"<h2>{LONG_WORD}</h2>", LONG_WORD),
                ("<h2 style='width: 5em'>Five<a class='headerlink' style='margin-left: 4em'>#</a></h2>", '"#"'),
                ("<h2 style='position: relative'>Title<a style='position: absolute; right: -1em'>#</a></h2>", '"#"'),
                ("<div style='width: 3em; overflow: hidden'><div style='width: 20em'>that is cut</div></div>", "cut"),
                (
                    "<div style='width: 3em'><table><tr><td>a</td><td>wide</td><td>table</td></tr></table></div>",
                    "table",
                ),
                ("<p style='width: 2em'><mjx-math>x = 1 + 2 + 3 + 4 + 5 + 6 + 7 + 8 + 9</mjx-math></p>", "x = 1 + 2"),
            ):
                visit.page.evaluate(
                    "html => document.querySelector('article').insertAdjacentHTML('beforeend', html)",
                    f"<div id='planted' style='{UNBROKEN}'>{planted}</div>",
                )
                assert any(found in line for line in fonts.hanging(visit.page)), (family, planted)
                visit.page.evaluate("document.querySelector('#planted').remove()")


def test_a_font_that_is_not_worn_would_be_seen(browser, monkeypatch):
    """Its file is not there, or it is not used, or the page insists on one of its own."""
    with Visit(browser, FILES, "search.html") as visit:
        monkeypatch.setitem(fonts.FAMILIES, "missing", ("DejaVuSansMono.ttf", "missing.ttf"))
        with pytest.raises(Exception, match="A network error occurred"):
            fonts.wear(visit.page, "missing")
        with monkeypatch.context() as patch:
            patch.setattr(fonts, "_WEAR", fonts._WEAR.replace("document.fonts.add", ""))
            with pytest.raises(AssertionError, match="wide, not"):
                fonts.wear(visit.page, "DejaVu Sans Mono")
        fonts.wear(visit.page, "DejaVu Sans Mono")
        visit.page.add_style_tag(content="body h1 { font-family: monospace !important }")
        with pytest.raises(AssertionError, match="H1"):
            fonts.wear(visit.page, "DejaVu Sans Mono")


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        ("<details><summary>More</summary><pre><b>Traceback</b> (most recent call last)</pre></details>", "Traceback"),
        ("<p hidden>\\begin{aligned}</p>", "begin"),
        (f"<img src='{PIXEL}' alt='A figure.'>", "gif"),
        (f"<img src='missing.png' alt='{'a long text in its place' * 2}'>", "missing"),
    ],
)
def test_a_page_that_is_not_whole_would_be_seen(browser, tmp_path, planted, found):
    (tmp_path / "bad.html").write_text(f"<article>{planted}</article>", encoding="utf-8")
    with Visit(browser, tmp_path.as_uri() + "/", "bad.html") as visit, pytest.raises(AssertionError, match=found):
        assert_whole(visit.page)


def test_a_formula_that_is_cut_would_be_seen(browser, tmp_path):
    style = "display: inline-block; overflow: hidden; width: {}px"
    formulas = [
        f"<span class='math' style='{style.format(100)}'><mjx-math style='{style.format(w)}'>{w}</mjx-math></span>"
        for w in (90, 150)
    ]
    (tmp_path / "cut.html").write_text(f"<article>{' '.join(formulas)}</article>", encoding="utf-8")
    with (
        Visit(browser, tmp_path.as_uri() + "/", "cut.html") as visit,
        pytest.raises(AssertionError, match=r"\['150'\]"),
    ):
        assert_no_formula_is_cut(visit.page)


@pytest.mark.parametrize("moves", [assert_keys_move_the_sliders, assert_the_mouse_moves_the_sliders])
def test_a_dead_slider_would_be_seen(browser, tmp_path, moves):
    """One that moves, and tells its value, but leaves the picture as it is."""
    (tmp_path / "dead.html").write_text(
        "<div class='nnkit-lab' id='lab' data-frames='there'><label for='rate'>rate</label>"
        "<input type='range' id='rate' min='0' max='2' value='0'><output>0</output>"
        "<div class='nnkit-lab-picture' aria-label=''>never another</div><p class='nnkit-lab-readout'></p></div>"
        "<script>const input = document.querySelector('input');"
        "input.oninput = () => { document.querySelector('p').textContent = 'rate ' + input.value; }</script>",
        encoding="utf-8",
    )
    with (
        Visit(browser, tmp_path.as_uri() + "/", "dead.html") as visit,
        pytest.raises(AssertionError, match="never another"),
    ):
        moves(visit.page)


@pytest.mark.parametrize("page", [*CHAPTERS[:1], *THEME_PAGES])
def test_page_is_accessible_as_it_opens(browser, localhost, page):
    """What is folded looks alike on every page, so that one chapter is enough."""
    with Visit(browser, localhost, page) as visit:
        axe.check(visit.page)
        look(visit.page, "dark", 390)
        assert_fits(visit.page)
        axe.check(visit.page)
        assert visit.problems == []


def check_in_both_colours(page, width: int = 1400) -> None:
    """Fail if axe finds something in the open page, which is light; leave it so."""
    axe.check(page)
    look(page, "dark", width)
    axe.check(page, only=axe.OF_COLOUR)
    look(page, "light", width)


def test_what_the_theme_opens_is_accessible(browser, localhost):
    with Visit(browser, localhost, "search.html?q=gradient") as visit:
        visit.page.locator("#search-results li").first.wait_for()
        check_in_both_colours(visit.page)
    with Visit(browser, localhost, "book/index.html") as visit:
        visit.page.locator(".search-button-field").click()
        visit.page.locator("dialog[open] input").wait_for()
        check_in_both_colours(visit.page)
    with Visit(browser, localhost, CHAPTERS[0], width=390) as visit:
        for sidebar in ("primary", "secondary"):
            visit.page.locator(f".{sidebar}-toggle:visible").first.click()
            visit.page.locator("dialog[open]").wait_for()
            check_in_both_colours(visit.page, 390)
            visit.page.keyboard.press("Escape")


def test_button_for_the_colours_says_which_are_chosen(browser, localhost):
    with Visit(browser, localhost, "book/index.html") as visit:
        button = visit.page.locator(".theme-switch-button:visible")
        names = set()
        for _ in range(3):
            button.click()
            names.add(button.get_attribute("aria-label"))
            axe.check(visit.page, only=("button-name", *axe.OF_COLOUR))
        assert names == {"Color mode: Light", "Color mode: Dark", "Color mode: System Settings"}


def test_a_barrier_would_be_seen(browser, tmp_path):
    (tmp_path / "bad.html").write_text(
        "<!doctype html><html lang='en'><title>Planted</title><body><input type='range'>"
        "<p style='color: #999; background: #fff'>pale</p><img src='data:,'>"
        "<details><summary>More</summary><pre style='width: 9px; overflow: auto' tabindex='-1'>wider than its box</pre>"
        "</details>",
        encoding="utf-8",
    )
    with Visit(browser, tmp_path.as_uri() + "/", "bad.html") as visit:
        closed = axe.violations(visit.page)
        axe.open_everything(visit.page)
        opened = axe.violations(visit.page)
        narrow = axe.violations(visit.page, only=axe.OF_WIDTH)
        colours = axe.violations(visit.page, only=axe.OF_COLOUR)
    assert "critical label at ['input']: <input type=\"range\">" in closed
    assert "serious color-contrast at ['p']" in closed
    assert "contrast of 2.84" in closed
    assert "critical image-alt" in closed
    assert "scrollable-region-focusable" not in closed
    assert "serious scrollable-region-focusable at ['pre']" in opened
    for found, rule in ((narrow, "scrollable-region-focusable"), (colours, "color-contrast")):
        assert {line.split()[1] for line in found.splitlines() if " at [" in line} == {rule}
