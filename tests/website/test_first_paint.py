"""What stands before the first screen of a page, and what may move on it. Times are for `python -m benchmarks.site`."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re

import pytest
from bs4 import BeautifulSoup
from fontTools.ttLib import TTFont
from PIL import Image

from benchmarks import site
from tests.website.test_site import CHAPTERS, FILES, HTML, SITE, THEME_PAGES
from tests.website.visit import Visit
from website import formulas
from website.first_paint import icons_of, lightened, sized

pytestmark = pytest.mark.site
if not CHAPTERS:
    pytestmark = [pytestmark, pytest.mark.skip(reason="there is no site in _build/html; make book builds it")]

READ = sorted(HTML - {"index.html"})
API = "book/appendix/api/optimizers.html"
MAX_BLOCKING = 16
"""Style sheets: the theme's, those of its extensions, and our own, most below a kilobyte."""


def head(page: str) -> BeautifulSoup:
    return BeautifulSoup((SITE / page).read_text(encoding="utf-8").partition("</head>")[0], "html.parser")


def sheets(page: str) -> list[str]:
    """Return the style sheets that a page waits for."""
    return [
        link["href"].partition("?")[0]
        for link in head(page).select("link[rel=stylesheet]")
        if link.get("media", "all") in ("all", "screen")
    ]


def packed(path) -> int:
    return len(gzip.compress(path.read_bytes()))


@pytest.mark.parametrize("page", READ)
def test_little_stands_before_the_first_screen(page):
    before = [(SITE / page).parent / sheet for sheet in sheets(page)]
    before += [(SITE / page).parent / link["href"] for link in head(page).select("link[rel=preload]")]
    assert len(before) <= MAX_BLOCKING
    fonts = list((SITE / "_static" / "formulas").glob("*.woff"))  # At most: a screen shows signs from a few of them.
    assert sum(packed(path) for path in [SITE / page, *before, *fonts]) <= site.MAX_BYTES
    for path in before:
        assert "@import" not in path.read_text(encoding="utf-8", errors="replace"), path


@pytest.mark.parametrize("page", READ)
def test_no_script_holds_up_a_page(page):
    text = (SITE / page).read_text(encoding="utf-8")
    scripts = re.findall(r"<script [^>]*\bsrc=[^>]*>", text)
    assert scripts or page == "404.html"  # It stands alone, wherever it is shown.
    assert [script for script in scripts if not re.search(r"\b(defer|async)\b", script)] == []
    assert not [script for script in scripts if "fontawesome" in script or "mathjax" in script]
    assert not re.search(r'rel="preload" as="script"', text)


@pytest.mark.parametrize("page", sorted(HTML))
def test_a_page_says_once_what_it_is(page):
    text = (SITE / page).read_text(encoding="utf-8")
    assert text.count('<meta name="viewport"') == 1
    assert re.search(r'<html lang="en"', text)
    titles = re.findall(r"<title>(.*?)</title>", text)
    assert len(titles) == 1
    assert titles[0].count("Neural Networks from Scratch, Measured") == 1


@pytest.mark.parametrize("page", [CHAPTERS[2], "book/appendix/notation.html", "book/index.html", API, *THEME_PAGES])
@pytest.mark.parametrize("width", [390, 1400])
def test_browser_waits_for_style_alone_and_what_is_on_the_screen_stays(browser, page, width):
    with site.server(SITE) as base:
        seen = site.visit(browser, base + page, width=width, throttled=False)
    assert 0 < seen.n_blocking <= MAX_BLOCKING
    assert seen.n_bytes > 0
    assert seen.shift < site.MAX_SHIFT, seen.moved


@pytest.mark.parametrize(("page", "width"), [(API, 390), ("book/appendix/notation.html", 1400)])
def test_nothing_moves_when_the_fonts_come_late(browser, page, width):
    """Over a slow line the letters of the face come after the first paint; these pages moved by 0.05 and 0.1."""
    with site.server(SITE) as base:
        seen = site.visit(browser, base + page, width=width)
    assert seen.shift < site.MAX_SHIFT, seen.moved


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", [CHAPTERS[0] if CHAPTERS else "", API, "_modules/nnkit/layers.html", "search.html"])
def test_first_paint_is_in_the_colours_that_stay(browser, page, scheme):
    """The theme's script, which is asked for last, finds the theme as it would set it."""
    looks = (
        "() => [document.documentElement.dataset.theme, ...[document.body, document.querySelector('pre, main')].map("
    )
    looks += "one => getComputedStyle(one)).flatMap(one => [one.color, one.backgroundColor, one.lineHeight])]"
    with Visit(browser, FILES, page, scheme=scheme) as visit:
        after = visit.page.evaluate(looks)
    assert after[0] == scheme
    with browser.new_context(color_scheme=scheme) as context:
        early = context.new_page()
        early.route("**/*.js*", lambda route: route.abort())
        early.goto(FILES + page)
        assert early.evaluate(looks) == after
        early.evaluate("localStorage.setItem('mode', 'dark')")
        early.reload()
        assert early.evaluate(looks)[0] == "dark"


def test_without_scripts_a_page_has_its_colours(browser):
    with browser.new_context(java_script_enabled=False) as context:
        bare = context.new_page()
        bare.goto(FILES + CHAPTERS[0])
        paper = bare.locator("body").evaluate("one => getComputedStyle(one).getPropertyValue('--book-paper')")
        assert paper.strip() == "#fffdf9"


def test_what_holds_up_a_page_would_be_seen(browser, tmp_path):
    (tmp_path / "slow.js").write_text("/* slow */", encoding="utf-8")
    (tmp_path / "bad.html").write_text(
        "<!doctype html><html><head><script src='slow.js'></script></head><body><p>text</p><div id='late'></div>"
        "<p>that moves</p><script>setTimeout(() => { late.style.height = '400px'; }, 100)</script></body></html>",
        encoding="utf-8",
    )
    with site.server(tmp_path) as base:
        seen = site.visit(browser, base + "bad.html", throttled=False)
    assert seen.n_blocking == 1
    assert seen.shift >= site.MAX_SHIFT
    assert any("layout shift" in line for line in site.missed(seen, 1))
    slow = site.Visit(2_500, 2_600, 0, 300_000, 1, 0.0, "", ())
    assert len(site.missed(slow, 1)) == 2
    assert len(site.missed(slow, 4)) == 1


def test_theme_is_lightened():
    page = (
        '<head><meta name="viewport" content="a"/><meta name="viewport" content="b"/>'
        '<script src="x/_static/scripts/fontawesome.js?digest=1"></script>'
        '<script src="a.js"></script><script>let inline = 1</script></head><body><script src="b.js"></script></body>'
    )
    light = lightened(page)
    assert light.count("viewport") == 1
    assert "fontawesome" not in light
    assert light.count("<script defer=") == 2
    assert "<script>let inline" in light
    assert lightened(light) == light


# ---------------------------------------------------------------------------------------------------------------------
# The icons, the formulas and the pictures


def letters_of_icons() -> set[int]:
    """Return the letters that the fonts in the theme's style sheet draw."""
    style = (SITE / "_static" / "styles" / "pydata-sphinx-theme.css").read_text(encoding="utf-8")
    drawn: set[int] = set()
    for font in re.findall(r"url\(data:font/woff;base64,([^)]*)\)", style):
        with TTFont(io.BytesIO(base64.b64decode(font))) as loaded:
            drawn |= set(loaded.getBestCmap())
    return drawn


@pytest.mark.parametrize("page", [CHAPTERS[0], "book/appendix/api/svm.html", "book/index.html", "search.html"])
def test_every_icon_is_drawn(browser, page):
    """Each names a letter, and a font on the page draws it; nothing of Font Awesome is asked for."""
    with Visit(browser, FILES, page, width=390) as visit:
        shown = visit.page.eval_on_selector_all(
            "i[class*='fa-'], span[class*='fa-'], .admonition-title",
            """icons => icons.map(icon => {
              const style = getComputedStyle(icon, icon.matches('.admonition-title') ? '::after' : '::before');
              return [icon.className, style.content, style.fontFamily];
            })""",
        )
        assert not [address for address in visit.asked if "webfonts" in address or "fontawesome" in address]
    assert len(shown) >= 10
    drawn = letters_of_icons()
    for name, content, family in shown:
        if "admonition-title" in name and content == "none":  # An exercise has none.
            continue
        assert "Awesome" in family, name
        assert len(content) == 3, f"{name} shows {content}"
        assert ord(content[1]) in drawn, name


def test_an_icon_that_is_not_shown_is_left_out(tmp_path):
    style = '.fa-sun:before{content:"\\f185"}.fa-moon:before,.fa-night:before{content:"\\f186"}a{color:red}'
    assert (
        icons_of(style, {"fa-night"}, "", tmp_path) == '.fa-moon:before,.fa-night:before{content:"\\f186"}a{color:red}'
    )


@pytest.mark.parametrize("page", READ)
def test_every_formula_is_set_and_in_the_store(page):
    text = (SITE / page).read_text(encoding="utf-8")
    known = formulas.store()
    assert formulas.FORMULA.findall(text) == [], "python -m website.formulas sets them"
    names = formulas.KEY.findall(text)
    assert set(names) <= set(known)
    assert len(names) == len(re.findall(r'class="math notranslate nohighlight"', text))
    assert ("formulas.css" in text) == bool(names)
    if page in CHAPTERS:
        assert names


def test_formulas_are_set_as_mathjax_sets_them(browser, tmp_path):
    """Some of them anew: their HTML is the same, and the style has a rule for each sign, and a font that draws it."""
    known = formulas.store()
    some = dict(list(known.items())[::9])
    for name, one in some.items():
        assert formulas.key(one["tex"], one["display"]) == name
    page = tmp_path / "formulas.html"
    page.write_text(formulas._PAGE.format(source=formulas.MATHJAX.as_uri()), encoding="utf-8")
    with browser.new_page() as window:
        window.goto(page.as_uri())
        containers, rules = window.evaluate(formulas._SET, [[one["tex"], one["display"]] for one in some.values()])
    style = formulas.STYLE.read_text(encoding="utf-8")
    for one, container in zip(some.values(), containers, strict=True):
        assert formulas.cleaned(container) == one["html"], one["tex"]
    signs = [rule for rule in rules if rule.startswith("mjx-c.mjx-c")]
    assert len(signs) > 50
    assert [rule for rule in signs if rule not in style] == []


def test_a_page_shows_its_formulas_without_scripts(browser):
    with Visit(browser, FILES, CHAPTERS[2], scripts=False) as visit:
        boxes = [box.bounding_box() for box in visit.page.locator("article mjx-math").all()[:20]]
    assert len(boxes) == 20
    assert all(box["width"] > 3 and box["height"] > 3 for box in boxes if box)


def test_a_formula_that_is_not_set_is_left_to_mathjax():
    kind = 'class="math notranslate nohighlight"'
    text = f'a <span {kind}>\\(x &lt; y\\)</span>, <div {kind} id="e">\n\\[\nx\\]</div>'
    page, missing = formulas.set_formulas(text, {})
    assert (page, missing) == (text, 2)
    known = {formulas.key("x < y", False): {"html": '<mjx-container class="MathJax">x</mjx-container>'}}
    page, missing = formulas.set_formulas(text, known)
    assert missing == 1
    assert f'<mjx-container data-formula="{next(iter(known))}" class="MathJax">x</mjx-container></span>, ' in page


@pytest.mark.parametrize("page", CHAPTERS)
def test_a_picture_keeps_its_room(page):
    soup = BeautifulSoup((SITE / page).read_text(encoding="utf-8"), "html.parser")
    pictures = [one for one in soup.select("article img") if re.search(r"\.(png|jpe?g|webp)$", one["src"])]
    drawn = soup.select("article .nnkit-figure > svg")
    assert drawn
    for one in drawn:
        *_, width, height = (float(number) for number in one["viewbox"].split())
        assert float(one["width"]) / float(one["height"]) == pytest.approx(width / height, rel=0.01)
    for one in pictures:
        with Image.open((SITE / page).parent / one["src"]) as file:
            assert int(one["width"]) / int(one["height"]) == pytest.approx(file.width / file.height, rel=0.01)


def test_a_picture_says_how_large_it_is(tmp_path):
    Image.new("RGB", (30, 20)).save(tmp_path / "a.png")
    known = {"a.png": tmp_path / "a.png"}
    assert sized('<img alt="x" src="../_images/a.png" />', known) == (
        '<img width="30" height="20" alt="x" src="../_images/a.png" />'
    )
    for other in ('<img src="a.png" width="5" />', '<img src="b.png" />', '<img src="a.svg" />'):
        assert sized(other, known) == other


def test_store_has_a_line_a_formula():
    for display, path in formulas.STORES.items():
        lines = path.read_text(encoding="utf-8").splitlines()
        found = json.loads("\n".join(lines))
        assert len(lines) == len(found) + 2
        assert {one["display"] for one in found.values()} == {display}
