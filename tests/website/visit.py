"""A page of the built site in a browser, and what is looked at on every page."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self
from urllib.parse import urlparse

from tests.patience import PATIENCE
from tests.website import axe, fonts

SITE = Path(__file__).resolve().parents[2] / "_build" / "html"
WIDTHS = (1400, 390, 320)


class Window:
    """A window of the browser, and all that has gone wrong since its page was opened."""

    def __init__(self, browser: Any, *, scripts: bool = True):
        self.context = browser.new_context(java_script_enabled=scripts)
        self.scripts = scripts
        self.problems: list[str] = []
        self.asked: list[str] = []
        self._waiting: set[Any] = set()
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE * 1000)
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.problems.append(f"script error: {error}"))
        self.page.on("request", self._request)
        self.page.on("requestfinished", lambda request: self._waiting.discard(request))
        self.page.on("requestfailed", self._failed)
        self.page.on("response", self._response)

    def open(self, address: str, *, width: int = 1400, scheme: str = "light") -> None:
        """Open a page, and forget what has gone wrong on another before."""
        self.page.emulate_media(color_scheme=scheme)
        self.page.set_viewport_size({"width": width, "height": 900})
        for seen in (self.problems, self.asked, self._waiting):
            seen.clear()
        self.page.goto(address, wait_until="load")
        if self.scripts:
            self.settle()

    def settle(self) -> None:
        """Wait until the page is still, and nothing that it has asked for is on its way."""
        axe.settle(self.page)
        while self._waiting:
            self.page.wait_for_timeout(5)

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"console {message.type}: {message.text[:200]}")

    def _request(self, request: Any) -> None:
        self._waiting.add(request)
        self.asked.append(request.url)
        url = urlparse(request.url)
        if url.scheme not in ("file", "data", "blob") and url.hostname != "127.0.0.1":
            self.problems.append(f"asked another host: {request.url[:200]}")

    def _failed(self, request: Any) -> None:
        self._waiting.discard(request)
        self.problems.append(f"failed: {request.url[:200]}")

    def _response(self, response: Any) -> None:
        if response.status >= 400:
            self.problems.append(f"{response.status}: {response.url[:200]}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.context.close()


class Visit(Window):
    """One page in a window and a browser context of its own, which know of no other."""

    def __init__(self, browser: Any, base: str, page: str, *, scripts: bool = True, **look: Any):
        super().__init__(browser, scripts=scripts)
        self.open(base + page, **look)


def look(page: Any, scheme: str, width: int) -> None:
    """Turn an open page into other colours and another width, as a reader's system or window would."""
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_selector(f"html[data-theme={scheme}]", state="attached")


def assert_fits(page: Any) -> None:
    """Fail if the page itself scrolls sideways."""
    wide, room = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert wide <= room, f"the page is {wide} pixels wide in a window of {room}"


def assert_fits_at_every_width(page: Any) -> None:
    """Fail if the page scrolls sideways on a desk, on a phone, or on a small one; leave it at that width."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert_fits(page)


def assert_whole(page: Any) -> None:
    """Fail if something in the page is not as it was meant, folded away or not."""
    assert "Traceback (most recent call last)" not in page.text_content("body"), page.url
    for article in page.locator("article").all():
        assert "\\begin{" not in article.text_content(), page.url  # Mathematics that was not set.
    images = page.eval_on_selector_all(
        "article img", "images => images.map(i => [i.src, i.alt, i.complete && i.naturalWidth > 0])"
    )
    assert [source for source, alt, loaded in images if len(alt) <= 20 or not loaded] == []
    drawn = page.eval_on_selector_all(
        "article [role=img]", "all => all.map(one => [one.outerHTML.slice(0, 99), one.getAttribute('aria-label')])"
    )
    assert [start for start, name in drawn if len(name or "") <= 20] == []


def assert_no_formula_is_cut(page: Any) -> None:
    """Fail if a formula in a line of text is wider than its column: its end is hidden, and nothing scrolls."""
    cut = page.eval_on_selector_all(
        "article span.math",
        """formulas => formulas.filter(f => f.clientWidth && f.querySelector("mjx-math")?.getBoundingClientRect().width
          > f.clientWidth + 1).map(f => f.textContent)""",
    )
    assert cut == []


def assert_fits_in_fonts(page: Any, families: dict[str, tuple[int, ...]]) -> None:
    """Fail if the page, all unfolded, is too wide or something hangs out of its box, in these fonts at these widths."""
    axe.open_everything(page)
    for family, widths in families.items():
        fonts.wear(page, family)
        # Another layout of the page takes longest, so that it begins where it is.
        for width in sorted(widths, key=lambda width: abs(width - page.viewport_size["width"])):
            page.set_viewport_size({"width": width, "height": 900})
            assert fonts.hanging(page) == [], f"at {width} pixels in {family}"
            assert_fits(page)
            if width > 320:  # There, a formula scrolls that cannot break.
                assert_no_formula_is_cut(page)


def near(lab: Any) -> Any:
    """Return the lab as soon as its frames have come, which they do when the reader comes near."""
    lab.scroll_into_view_if_needed()
    lab.page.wait_for_selector(f"#{lab.get_attribute('id')}[data-frames=there]")
    return lab


def picture(lab: Any) -> dict[str, str]:
    """Return what a lab shows: the picture and its description, and the sentence below it."""
    return lab.evaluate(
        """lab => {
          const picture = lab.querySelector(".nnkit-lab-picture");
          return {source: picture.innerHTML, alt: picture.getAttribute("aria-label"),
            text: lab.querySelector(".nnkit-lab-readout").innerText};
        }"""
    )


def assert_keys_move_the_sliders(page: Any) -> None:
    """Move each slider of a lab by keyboard; fail where picture or words do not follow, or do not come back."""
    lab = near(page.locator(".nnkit-lab"))
    sliders = lab.locator("input[type=range]")
    for i in range(sliders.count()):
        slider = sliders.nth(i)
        label = lab.locator(f"label[for='{slider.get_attribute('id')}']")
        assert label.inner_text().strip()
        before = picture(lab)
        slider.focus()
        page.keyboard.press("ArrowRight")
        after = picture(lab)
        assert after["source"] != before["source"]
        assert after["text"] != before["text"]
        assert after["alt"] == after["text"]
        said = slider.get_attribute("aria-valuetext")
        assert said == lab.locator("output").nth(i).inner_text()
        assert said in after["text"]
        page.keyboard.press("End")
        page.keyboard.press("Home")
        assert picture(lab) == before
        page.keyboard.press("ArrowRight")  # So that the next slider moves from another place.
    assert lab.locator(".nnkit-lab-readout").get_attribute("aria-live") == "polite"


def assert_the_mouse_moves_the_sliders(page: Any) -> None:
    """Drag each slider of a lab to its end by mouse; fail where picture or words do not follow."""
    lab = near(page.locator(".nnkit-lab"))
    for slider in lab.locator("input[type=range]").all():
        slider.press("Home")
        slider.scroll_into_view_if_needed()
        before = picture(lab)
        box = slider.bounding_box()
        page.mouse.move(box["x"] + 4, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] - 2, box["y"] + box["height"] / 2, steps=5)
        page.mouse.up()
        assert slider.input_value() == slider.get_attribute("max")
        after = picture(lab)
        assert after["source"] != before["source"]
        assert after["text"] != before["text"]
    page.mouse.move(0, 0)  # It would stay above something, and light it up.
