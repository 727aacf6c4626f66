"""What one points at: buttons, links under the mouse, and the definitions that these open."""

from __future__ import annotations

import pytest

from tests.website import axe
from tests.website.test_site import CHAPTERS, FILES, THEME_PAGES
from tests.website.visit import Visit, assert_fits, look

pytestmark = pytest.mark.site
if not CHAPTERS:
    pytestmark = [pytestmark, pytest.mark.skip(reason="there is no site in _build/html; make book builds it")]

XOR = "book/part1-foundations/05-xor.html"
LINK = "a[aria-describedby='note-term-hidden-layer']"
NOTE = "#note-term-hidden-layer"
LEAST = 44
"""Pixels of a button that a finger hits."""

# What is in a label is pressed by the label.
_SMALL = """least => [...document.querySelectorAll("button, summary, .btn, input:not([type=hidden])")].filter(one => {
  const {width, height} = (/radio|checkbox/.test(one.type) && one.labels[0] || one).getBoundingClientRect();
  return one.checkVisibility({visibilityProperty: true}) && width && height
    && (width < least - 0.5 || height < least - 0.5);
}).map(one => { const {width, height} = one.getBoundingClientRect();
  return `${width} x ${height}: ${one.outerHTML.slice(0, 100)}`; })"""
# Lines of text of the article, but those in the note itself, that share room with it.
_COVERED = """note => {
  const box = note.getBoundingClientRect(), found = [], range = document.createRange();
  const texts = document.createTreeWalker(document.querySelector("article"), NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode;
    if (!text.data.trim() || note.contains(text) || !text.parentElement.checkVisibility()) continue;
    if (text.parentElement.closest("mjx-container, .visually-hidden, style, script, .toggle-hidden")) continue;
    range.selectNodeContents(text);
    for (const line of range.getClientRects())
      if (line.left < box.right - 1 && line.right > box.left + 1
          && line.top < box.bottom - 1 && line.bottom > box.top + 1)
        found.push(text.data.trim().slice(0, 60));
  }
  return found;
}"""


@pytest.mark.parametrize("page", [CHAPTERS[1], XOR, "book/index.html", *THEME_PAGES])
@pytest.mark.parametrize("width", [1400, 390, 320])
def test_buttons_are_large_enough_for_a_finger(browser, page, width):
    with Visit(browser, FILES, page, width=width) as visit:
        assert visit.page.evaluate(_SMALL, LEAST) == []
        if page in CHAPTERS:
            axe.open_everything(visit.page)
            assert visit.page.evaluate(_SMALL, LEAST) == []
        assert_fits(visit.page)


@pytest.mark.parametrize("width", [1400, 390])
def test_sliders_have_their_room_before_their_script_has_run(browser, width):
    with Visit(browser, FILES, CHAPTERS[0], width=width) as visit:
        before, after = visit.page.evaluate(
            """() => [true, false].map(hidden => {
              const controls = document.querySelector(".nnkit-lab-controls");
              controls.hidden = hidden;
              return [controls.offsetHeight, controls.checkVisibility({visibilityProperty: true})];
            })"""
        )
    assert before[0] == after[0] > 0
    assert (before[1], after[1]) == (False, True)


@pytest.mark.parametrize("width", [1400, 1000, 390])
def test_a_definition_covers_nothing_that_is_read(browser, width):
    with Visit(browser, FILES, XOR, width=width) as visit:
        for link in visit.page.locator("article a[aria-describedby^='note-term-']:visible").all()[:8]:
            link.focus()
            note = visit.page.locator(f"#{link.get_attribute('aria-describedby')}")
            assert note.is_visible()
            assert note.evaluate(_COVERED) == []
            box = note.bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
            assert box["width"] > 150
            assert_fits(visit.page)


def test_a_note_that_covers_the_text_would_be_seen(browser):
    with Visit(browser, FILES, XOR, width=390) as visit:
        visit.page.locator(LINK).first.focus()
        visit.page.add_style_tag(content=".term-note.shown { position: absolute; margin-top: -3rem }")
        assert visit.page.locator(NOTE).evaluate(_COVERED) != []
        visit.page.add_style_tag(content=".btn, button { min-width: 0 !important; width: 30px !important }")
        assert visit.page.evaluate(_SMALL, LEAST) != []


def test_a_definition_opens_on_touch_and_the_second_tap_follows_the_link(browser):
    with browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True) as context:
        page = context.new_page()
        page.goto(FILES + XOR)
        link, note = page.locator(LINK).first, page.locator(NOTE)
        assert not note.is_visible()
        link.tap()
        note.wait_for()
        assert page.url == FILES + XOR
        page.locator("article h1").tap()
        note.wait_for(state="hidden")
        link.tap()
        note.wait_for()
        link.tap()
        page.wait_for_url("**/glossary.html#term-hidden-layer")


# One of each kind of link and button; a colour that the mouse brings differs by kind, not by place.
_KINDS = """() => {
  const seen = new Set();
  return [...document.querySelectorAll("a, button, summary, .btn")].filter(one => {
    const surface = one.closest("td, .admonition, .sd-card, nav, footer, figcaption, .provenance, dt");
    const kind = [one.tagName, one.className, surface?.tagName, surface?.className].join();
    if (one.closest(".skip-link")) return false;  // Above the window, until a keyboard reaches it.
    if (!one.checkVisibility({visibilityProperty: true, opacityProperty: true})) return false;
    if (!one.textContent.trim()) return false;
    return !seen.has(kind) && seen.add(kind);
  }).map((one, i) => { one.dataset.kind = i; return i; });
}"""


@pytest.mark.parametrize("page", [XOR, "book/index.html", "book/appendix/api/svm.html", "search.html?q=gradient"])
def test_what_the_mouse_is_on_stays_legible(browser, page):
    with Visit(browser, FILES, page) as visit:
        if "search" in page:
            visit.page.locator("#search-results li").first.wait_for()
        for widget in visit.page.locator(".nnkit-touch[data-touch]").all():  # Alive, it has other buttons.
            widget.scroll_into_view_if_needed()
            visit.page.wait_for_selector(f"#{widget.get_attribute('id')}[data-state=alive]")
        visit.page.add_style_tag(content="* { transition: none !important }")
        for scheme in ("light", "dark"):
            look(visit.page, scheme, 1400)
            kinds = visit.page.evaluate(_KINDS)
            assert len(kinds) >= 4
            for kind in kinds:
                one = visit.page.locator(f"[data-kind='{kind}']")
                if not one.is_visible():
                    continue
                one.hover(force=True)
                found = visit.page.evaluate(
                    "async ([source, kind]) => { if (!window.axe) (0, eval)(source);"
                    "const {violations} = await axe.run(document.querySelector(`[data-kind='${kind}']`),"
                    "{runOnly: {type: 'rule', values: ['color-contrast']}, preload: false});"
                    "return violations.flatMap(rule => rule.nodes.map(node => node.html.slice(0, 100)"
                    "+ node.any.map(check => check.message))); }",
                    ["" if visit.page.evaluate("!!window.axe") else axe.AXE.read_text(encoding="utf-8"), kind],
                )
                assert found == [], scheme


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_captions_look_like_text(browser, scheme):
    with Visit(browser, FILES, XOR, scheme=scheme) as visit:
        look = "one => [getComputedStyle(one).color, getComputedStyle(one).fontWeight]"
        text = visit.page.locator("article section > p").first.evaluate(look)
        for part in visit.page.locator("figcaption .caption-text").all():
            assert part.evaluate(look) == text
        assert text[1] == "400"
