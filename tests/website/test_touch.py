"""The widgets of the built site: alive on their pages, from a file and over localhost, and without cost before."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from lab.touch.pages import widgets_on
from tests.website import axe
from tests.website.visit import SITE, Visit, assert_fits, look

FILES = SITE.as_uri() + "/"
MAX_SCRIPTS = 60_000
"""Packed, what the widgets of a page load in all, without weights."""
MAX_WEIGHTS = 700_000
ASKS = ("predict", "look-back", "check-yourself")


def found(page: str) -> list[tuple[str, str]]:
    return widgets_on((SITE / page).read_text(encoding="utf-8"))


PAGES = sorted(str(path.relative_to(SITE)) for path in SITE.glob("book/**/*.html") if found(str(path)))
CHAPTERS = [page for page in PAGES if "/part" in page]
LIVE = [(page, name) for page in PAGES for name, module in found(page) if module != "ask"]

pytestmark = pytest.mark.site
if not PAGES:
    pytestmark = [pytestmark, pytest.mark.skip(reason="there is no site in _build/html; make book builds it")]

WANTED = {
    "book/index.html": ["playground"],
    "01": ["line"],
    "02": ["border", "playground"],
    "03": ["graph"],
    "05": ["playground"],
    "06": ["pad"],
    "08": ["playground"],
    "09": ["pad"],
    "11": ["walk"],
    "12": ["pad"],
    "13": ["pad"],
    "14": ["street"],
}


def come_to_life(page, name):
    root = page.locator(f"#{name}")
    root.scroll_into_view_if_needed()
    page.wait_for_function("id => document.getElementById(id).dataset.state === 'alive'", arg=name)
    return root


def test_every_chapter_asks_and_the_promised_pages_answer_the_hand():
    assert len(CHAPTERS) == len(list((SITE.parent.parent / "book").glob("part*/*.ipynb")))
    for page in CHAPTERS:
        assert [name.partition("-")[2] for name, module in found(page) if module == "ask"] == list(ASKS), page
    for page in PAGES:
        wanted = WANTED.get(page, WANTED.get(Path(page).name[:2], []))
        assert sorted(module for _, module in found(page) if module != "ask") == wanted, page


@pytest.mark.parametrize("origin", ["file", "http"])
@pytest.mark.parametrize("page", PAGES)
def test_widgets_are_alive_fit_a_phone_and_break_no_rule(browser, localhost, page, origin):
    with Visit(browser, {"file": FILES, "http": localhost}[origin], page) as visit:
        for name, _ in found(page):
            root = come_to_life(visit.page, name)
            assert root.get_attribute("role") == "group"
            assert len(root.get_attribute("aria-label")) > 3
            assert root.locator(".nnkit-touch-live").evaluate("live => live.childElementCount") > 0
        if origin == "file":
            assert axe.violations(visit.page) == ""
            look(visit.page, "dark", 390)
            assert_fits(visit.page)
            assert axe.violations(visit.page) == ""
            look(visit.page, "light", 320)
            assert_fits(visit.page)
        assert visit.problems == []


@pytest.mark.parametrize(("page", "name"), LIVE)
def test_a_widget_can_be_reached_by_keyboard_and_says_what_it_does(browser, page, name):
    with Visit(browser, FILES, page) as visit:
        root = come_to_life(visit.page, name)
        unnamed = root.evaluate(
            """root => [...root.querySelectorAll("button, input, select, [tabindex]")].filter(one =>
              one.offsetParent && !(one.getAttribute("aria-label") || one.labels?.length || one.textContent.trim()))
              .map(one => one.outerHTML.slice(0, 100))"""
        )
        assert unnamed == []
        small = root.evaluate(
            """root => [...root.querySelectorAll("button, select, input[type=range]")].filter(one => {
              const box = one.getBoundingClientRect();
              return one.offsetParent && box.width && Math.min(box.height, box.width) < 43.5;
            }).map(one => one.outerHTML.slice(0, 100))"""
        )
        assert small == []
        assert root.locator("[aria-live]").count() >= 1
        assert visit.problems == []


@pytest.mark.parametrize(("page", "name"), LIVE)
def test_a_widget_is_a_still_picture_without_scripts(browser, localhost, page, name):
    with Visit(browser, localhost, page, scripts=False) as visit:
        root = visit.page.locator(f"#{name}")
        still = root.locator(".nnkit-touch-still")
        assert still.bounding_box()["width"] > 300
        assert len(still.get_attribute("aria-label")) > 40
        assert root.locator(".nnkit-touch-question").inner_text().endswith("?")
        assert root.locator(".nnkit-touch-tries li").count() >= 2
        assert root.locator(".nnkit-touch-static").is_visible()


def test_questions_are_plain_text_without_scripts(browser, localhost):
    with Visit(browser, localhost, CHAPTERS[0], scripts=False) as visit:
        for name, module in found(CHAPTERS[0]):
            if module == "ask":
                assert len(visit.page.locator(f"#{name}").inner_text()) > 150


@pytest.mark.parametrize(("page", "name"), LIVE)
def test_a_widget_costs_nothing_before_the_reader_comes_near(browser, localhost, page, name):
    if page == "book/index.html":
        pytest.skip("it stands on the first screens")
    module = dict(found(page))[name]
    with Visit(browser, localhost, page) as visit:
        own = [address for address in visit.asked if address.endswith((f"_touch/{module}.js", f"-{name}.js"))]
        assert own == []
        come_to_life(visit.page, name)
        assert [address for address in visit.asked if address.endswith(f"_touch/{module}.js")]


@pytest.mark.parametrize("page", PAGES)
def test_scripts_and_weights_of_a_page_are_light(browser, localhost, page):
    with Visit(browser, localhost, page) as visit:
        for name, _ in found(page):
            come_to_life(visit.page, name)
        asked = {address for address in visit.asked if "/_touch/" in address}
        asked |= {address for address in visit.asked if re.search(r"/_static/(touch|read)\.js", address)}
        paths = [SITE / address.partition("?")[0].removeprefix(localhost) for address in asked]
        weights = [path for path in paths if "-touch-" in path.name]
        scripts = set(paths) - set(weights)
        assert sum(len(gzip.compress(path.read_bytes(), 6)) for path in scripts) <= MAX_SCRIPTS
        assert sum(path.stat().st_size for path in weights) <= MAX_WEIGHTS


def test_the_landing_page_lets_one_train_within_two_presses(browser, localhost):
    with Visit(browser, localhost, "book/index.html") as visit:
        (name,) = (name for name, module in found("book/index.html") if module == "playground")
        root = come_to_life(visit.page, name)
        before = visit.page.evaluate("id => document.getElementById(id).model.get('epoch')", name)
        root.get_by_role("button", name=re.compile("^Play")).click()
        visit.page.wait_for_function(
            "([id, before]) => document.getElementById(id).model.get('epoch') > before", arg=[name, before]
        )
        assert visit.problems == []


def test_a_missing_part_is_a_sentence_and_can_be_tried_again(browser, localhost):
    page, name = next((page, name) for page, name in LIVE if page != "book/index.html")
    with Visit(browser, localhost, page) as visit:
        visit.page.route("**/_touch/*", lambda route: route.abort())
        root = visit.page.locator(f"#{name}")
        root.scroll_into_view_if_needed()
        said = root.get_by_text("cannot be loaded")
        said.wait_for()
        assert root.locator(".nnkit-touch-still").is_visible()
        visit.page.unroute("**/_touch/*")
        said.click()
        come_to_life(visit.page, name)


def test_contents_show_what_was_read_and_answered_until_one_forgets(browser, localhost):
    xor = next(page for page in CHAPTERS if "/05-" in page)
    with Visit(browser, localhost, xor) as visit:
        page = visit.page
        predict = come_to_life(page, "touch-predict")
        predict.get_by_role("spinbutton").first.fill("950")
        predict.get_by_role("button", name="Commit to it").click()
        come_to_life(page, "touch-check-yourself").get_by_role("button").first.click()
        assert "950 of 1,000" in come_to_life(page, "touch-look-back").inner_text()
        mark = page.locator(".bd-links .nnkit-mark")
        # As a reader would: on, while widgets that come alive make the page longer below.
        page.wait_for_function(
            "() => { scrollTo(0, document.body.scrollHeight);"
            " return /^read, /.test(document.querySelector('.bd-links .nnkit-mark')?.title); }"
        )
        assert re.fullmatch(r"read, 1 of \d answered", mark.get_attribute("title"))
        assert "950" not in page.url
        visit.open(f"{localhost}book/index.html")
        assert page.locator("article table .nnkit-mark").count() == 1
        page.get_by_role("button", name=re.compile("Forget")).click()
        page.wait_for_function("!document.querySelector('.nnkit-mark')")
        visit.open(localhost + xor)
        assert page.locator(".nnkit-mark").count() == 0
        assert "nothing" in come_to_life(page, "touch-look-back").inner_text()
        assert visit.problems == []
