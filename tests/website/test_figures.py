"""The figures of the built site: text that is text, in the page's colours, for a desk and for a phone; and its labs."""

from __future__ import annotations

import re
from urllib.parse import unquote_plus

import pytest
from bs4 import BeautifulSoup

from lab.drawings import COLORS
from tests.website.test_site import CHAPTERS, FILES, LAB_PAGES, SITE
from tests.website.visit import Window, near

pytestmark = pytest.mark.site
if not CHAPTERS:
    pytestmark = [pytestmark, pytest.mark.skip(reason="there is no site in _build/html; make book builds it")]

MAX_FIGURES_BYTES = 400_000
# Of photographs alone, which need no word: digits and weights in a grid.
PHOTOGRAPHS = {"fig-mnist-digits", "fig-mnist-weights"}
# Maps of digits, each of which has its name at the median of its points, wherever these lie.
MAPS = {"fig-latent-maps", "fig-latent-planes", "fig-svm-codes"}
# Words and lines that are read for themselves; sky and amber are Okabe and Ito's, with darker shades for words.
LEAST_CONTRAST = {"": 3.0, "-text": 4.5, "ink": 4.5, "muted": 4.5, "blue": 4.5}
QUIET = {"grid", "tint", "marked", "paper", "faint"}  # Read with, or under, something else.
PHONE, DESK = 390, 1400

# Boxes are those of the letters' line, which is higher than the letters: what touches there does not on the screen.
_TEXTS = """figure => {
  const svg = [...figure.querySelectorAll("svg[role=img]")].filter(one => getComputedStyle(one).display !== "none");
  const frame = svg[0].getBoundingClientRect(), scale = frame.width / svg[0].viewBox.baseVal.width;
  const texts = [...svg[0].querySelectorAll("text")].map(text => {
    const box = text.getBoundingClientRect(), upright = box.width >= box.height;
    const trim = 0.2 * scale * parseFloat(getComputedStyle(text).fontSize);
    return {words: text.textContent, size: scale * parseFloat(getComputedStyle(text).fontSize),
      box: [box.left + (upright ? 1 : trim), box.top + (upright ? trim : 1),
            box.right - (upright ? 1 : trim), box.bottom - (upright ? trim : 1)]};
  });
  const panels = [...svg[0].querySelectorAll("svg")].filter(one => one.querySelector("path, circle"))
    .map(one => ["x", "y", "width", "height"].map(name => parseFloat(one.getAttribute(name))));
  return {shown: svg.map(one => one.getAttribute("class")), texts, panels,
    frame: [frame.left, frame.top, frame.right, frame.bottom], width: frame.width};
}"""


def figures(page: str) -> list:
    soup = BeautifulSoup((SITE / page).read_text(encoding="utf-8"), "html.parser")
    return [figure for figure in soup.select("article figure") if not figure.select("img[src$='.svg']")]


def faults(figure) -> list[str]:
    """Return what keeps a figure of the page from being made for it."""
    found = []
    drawn = figure.select(".nnkit-figure > svg")
    if [svg.get("class") for svg in drawn] != [["nnkit-wide"], ["nnkit-narrow"]] or figure.select("img"):
        return ["is not drawn for a desk and for a phone"]
    for svg in drawn:
        if svg.get("role") != "img" or len(svg.get("aria-label", "")) < 40:
            found.append("has no name")
        if not svg.select("text") and figure.get("id") not in PHOTOGRAPHS:
            found.append("has no text")
        if svg.find(id=True):
            found.append("has a name that another figure may have too")
        styles = ";".join(element["style"] for element in svg.find_all(style=True))
        own = set(re.findall(r"(?:fill|stroke):(?!var\(--figure-|none)([^;]+)", styles))
        if own:
            found.append(f"has colours of its own: {own}")
        known = set(re.findall(r"var\(--figure-([\w-]+)", styles))
        if unknown := known - set(COLORS):
            found.append(f"has unknown colours: {unknown}")
    return found


@pytest.mark.parametrize("page", CHAPTERS)
def test_figures_are_text_in_the_colours_of_the_page(page):
    assert figures(page)
    assert {figure.get("id"): found for figure in figures(page) if (found := faults(figure))} == {}


@pytest.mark.parametrize("page", CHAPTERS)
def test_figures_of_a_page_are_light_and_their_photographs_come_after_the_text(page):
    sizes = {figure.get("id"): len(str(figure.select_one(".nnkit-figure")).encode()) for figure in figures(page)}
    rasters = {image["href"] for figure in figures(page) for image in figure.select("image")}
    assert not {raster for raster in rasters if raster.startswith("data:")}
    sizes |= {raster: ((SITE / page).parent / raster).stat().st_size for raster in rasters}
    assert sum(sizes.values()) <= MAX_FIGURES_BYTES, sizes


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        ("<img src='a.png' alt='a'>", "not drawn"),
        ('<svg class="nnkit-wide">', "not drawn"),
        ('role="img" aria-label="short"', "no name"),
        ("fill:#123456", "colours of its own"),
        ("fill:var(--figure-mauve,#123456)", "unknown"),
        ("<path id='a'/>", "another figure"),
        ("no text", "no text"),
    ],
)
def test_a_figure_that_is_not_made_for_the_page_would_be_seen(planted, found):
    name = planted if planted.startswith("role") else f'role="img" aria-label="{"A long description. " * 3}"'
    style = planted if planted.startswith("fill") else "fill:none"
    body = f'<g style="{style}">{"" if planted == "no text" else "<text>a</text>"}</g>'
    body += planted if planted.startswith(("<path", "<img")) else ""
    drawn = f'<svg class="nnkit-wide" {name}>{body}</svg><svg class="nnkit-narrow" {name}>{body}</svg>'
    if planted.startswith("<svg"):
        drawn = f"{planted}{body}</svg>"
    figure = BeautifulSoup(f'<figure id="f"><div class="nnkit-figure">{drawn}</div></figure>', "html.parser").figure
    assert any(found in fault for fault in faults(figure))


def crowded(seen: dict) -> list[str]:
    """Return the texts of a figure that leave it, or that lie on each other."""
    left, top, right, bottom = seen["frame"]
    found = []
    for i, text in enumerate(seen["texts"]):
        x0, y0, x1, y1 = text["box"]
        if x0 < left - 2 or y0 < top - 2 or x1 > right + 2 or y1 > bottom + 2:
            found.append(f"{text['words']!r} leaves the figure")
        for other in seen["texts"][:i]:
            a0, b0, a1, b1 = other["box"]
            if min(x1, a1) - max(x0, a0) > 1 and min(y1, b1) - max(y0, b0) > 1:
                found.append(f"{text['words']!r} lies on {other['words']!r}")
    return found


def side_by_side(panels: list[list[float]]) -> bool:
    """Return whether two panels stand beside each other."""
    return any(
        (x + w <= a + 1 or a + c <= x + 1) and min(y + h, b + d) - max(y, b) > 1
        for i, (x, y, w, h) in enumerate(panels)
        for a, b, c, d in panels[:i]
    )


@pytest.mark.parametrize("page", CHAPTERS)
def test_figures_are_read_on_a_desk_and_on_a_phone(window, page):
    window.open(FILES + page)
    found = []
    for width, drawing in ((DESK, "nnkit-wide"), (PHONE, "nnkit-narrow")):
        window.page.set_viewport_size({"width": width, "height": 900})
        for font in ("DejaVu Sans", "STIX General"):
            window.page.evaluate(f"document.documentElement.style.setProperty('--book-sans', '\"{font}\"')")
            for figure in window.page.locator("article figure:has(.nnkit-figure)").all():
                name = figure.get_attribute("id")
                seen = figure.evaluate(_TEXTS)
                where = f"{name} at {width} in {font}"
                if seen["shown"] != [drawing]:
                    found.append(f"{where} shows {seen['shown']}")
                room = [text for text in seen["texts"] if name not in MAPS or not text["words"].isdigit()]
                found += [f"{where}: {fault}" for fault in crowded(seen | {"texts": room})]
                if width == PHONE:
                    small = [text for text in seen["texts"] if text["size"] < 9]
                    found += [f"{where}: {text['words']!r} has {text['size']:.1f} pixels" for text in small]
                    if side_by_side(seen["panels"]):
                        found.append(f"{where} has panels side by side")
    assert found == []


def test_text_that_leaves_its_figure_or_lies_on_another_would_be_seen():
    seen = {"frame": [0, 0, 100, 50], "texts": [{"words": "a", "box": [10, 10, 30, 20]}]}
    assert crowded(seen) == []
    assert crowded(seen | {"texts": [*seen["texts"], {"words": "b", "box": [40, 10, 99, 20]}]}) == []
    assert crowded(seen | {"texts": [*seen["texts"], {"words": "b", "box": [25, 12, 60, 22]}]}) == ["'b' lies on 'a'"]
    assert crowded(seen | {"texts": [{"words": "b", "box": [60, 10, 105, 20]}]}) == ["'b' leaves the figure"]
    assert side_by_side([[0, 0, 10, 10], [12, 0, 10, 10]])
    assert not side_by_side([[0, 0, 10, 10], [0, 12, 10, 10]])


def luminance(color: str) -> float:
    parts = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_of_figures_stand_out_from_the_page_and_from_a_lab(window, scheme):
    window.open(FILES + LAB_PAGES[-1], scheme=scheme)
    colors = {
        name: window.page.evaluate(
            """name => { const probe = document.body.appendChild(document.createElement("i"));
            probe.style.color = `var(--figure-${name})`; const color = getComputedStyle(probe).color;
            probe.remove(); return color; }""",
            name,
        )
        for name in COLORS
    }
    lab = window.page.locator(".nnkit-lab").evaluate("lab => getComputedStyle(lab).backgroundColor")
    assert (luminance(colors["paper"]) > 0.5) == (scheme == "light")
    for name in set(COLORS) - QUIET:
        least = LEAST_CONTRAST.get(name, 4.5 if name.endswith("-text") else 3.0)
        if f"{name}-text" in COLORS:
            least = 1.9 if scheme == "light" else 3.0  # Sky and amber are Okabe and Ito's; beside them stands a word.
        for paper in (colors["paper"], lab):
            assert contrast(colors[name], paper) >= least, (name, colors[name], paper)
    assert contrast("rgb(118, 118, 118)", "rgb(255, 255, 255)") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("page", LAB_PAGES)
def test_lab_keeps_its_height(window, page):
    window.open(FILES + page)
    lab = near(window.page.locator(".nnkit-lab"))
    for width in (DESK, PHONE):
        window.page.set_viewport_size({"width": width, "height": 900})
        heights = {round(lab.bounding_box()["height"], 1)}
        for slider in lab.locator("input[type=range]").all():
            for key in ("End", "Home", "ArrowRight", "End"):
                slider.press(key)
                heights.add(round(lab.bounding_box()["height"], 1))
        assert len(heights) == 1, f"at {width} pixels the lab is {sorted(heights)} pixels high"


# What a slider says each time its picture changes.
_FOLLOW = """lab => {
  const seen = window.seenFrames = [];
  new MutationObserver(() => seen.push(lab.querySelector(".nnkit-lab-readout").textContent))
    .observe(lab.querySelector(".nnkit-lab-picture"), {childList: true});
}"""


@pytest.mark.parametrize("page", LAB_PAGES)
def test_lab_plays_along_its_longest_slider(window, page):
    window.open(FILES + page)
    lab = near(window.page.locator(".nnkit-lab"))
    sliders = lab.locator("input[type=range]").all()
    i = max(range(len(sliders)), key=lambda i: int(sliders[i].get_attribute("max")))
    slider, button = sliders[i], lab.locator(".nnkit-lab-controls button").nth(i)
    last = int(slider.get_attribute("max"))
    name = button.get_attribute("aria-label")
    slider.press("End")  # From where it starts anew.
    lab.evaluate(_FOLLOW)
    button.click()
    assert button.get_attribute("aria-label").startswith("Pause ")
    button.and_(window.page.get_by_label(name, exact=True)).wait_for()  # It says Pause until it stands at the end.
    assert len(set(window.page.evaluate("seenFrames"))) == last + 1
    assert slider.input_value() == str(last)
    assert button.get_attribute("aria-label") == name
    assert f"={lab.locator('output').nth(i).text_content()}" in unquote_plus(window.page.url)


def test_lab_that_plays_can_be_stopped_and_is_still_for_who_wants_no_motion(window):
    window.open(FILES + LAB_PAGES[0])
    lab = near(window.page.locator(".nnkit-lab"))
    slider, button = lab.locator("input[type=range]").first, lab.locator("button").first
    readout = lab.locator(".nnkit-lab-readout")
    box = button.bounding_box()
    assert (box["width"], box["height"]) == (44, 44)
    for press in (button.click, lambda: slider.press("ArrowRight")):
        slider.press("Home")
        button.click()
        assert button.get_attribute("aria-label").startswith("Pause ")
        assert readout.get_attribute("aria-live") == "off"
        press()
        assert button.get_attribute("aria-label").startswith("Play ")
        assert readout.get_attribute("aria-live") == "polite"
        stands = slider.input_value()
        window.page.wait_for_timeout(1_000)
        assert slider.input_value() == stands
    with Window(window.page.context.browser) as still:
        still.page.emulate_media(reduced_motion="reduce")
        still.open(FILES + LAB_PAGES[0])
        assert not near(still.page.locator(".nnkit-lab")).locator("button").first.is_visible()


PLAYED = [page for page in CHAPTERS if 'class="nnkit-play"' in (SITE / page).read_text(encoding="utf-8")]
# How much of each part is seen, once the animations stand at a time, in milliseconds.
_AT = """(figure, time) => {
  for (const one of figure.getAnimations({subtree: true})) { one.pause(); one.currentTime = time; }
  return [...figure.querySelectorAll("svg[role=img]")].filter(one => getComputedStyle(one).display !== "none")
    .flatMap(one => [...one.querySelectorAll("[style*='--after']")]).map(one => +getComputedStyle(one).opacity);
}"""


def test_a_few_pictures_play():
    assert len(PLAYED) >= 4


@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("page", PLAYED)
def test_parts_of_a_picture_appear_in_their_order_when_it_is_played_and_are_there_before(window, page, width):
    window.open(FILES + page, width=width)
    for figure in window.page.locator(".nnkit-figure:has(> .nnkit-play)").all():
        button = figure.get_by_role("button", name="Play the figure")
        box = button.bounding_box()
        assert min(box["width"], box["height"]) >= 44
        at_rest = figure.evaluate(_AT, 0)
        assert min(at_rest) > 0
        for key in ("Enter", "Space"):  # And again.
            button.press(key)
            first, later, end = (figure.evaluate(_AT, time) for time in (500, 2_500, 60_000))
            assert 0 < sum(map(bool, first)) < sum(map(bool, later)) < len(end)
            assert end == at_rest
    assert window.problems == []


def test_no_picture_moves_for_a_reader_who_wants_none_or_on_paper_or_without_scripts(browser):
    address = FILES + PLAYED[0]
    with Window(browser) as window:
        window.open(address)
        figure = window.page.locator(".nnkit-figure:has(> .nnkit-play)").first
        figure.locator(".nnkit-play").click()
        assert figure.evaluate("one => one.getAnimations({subtree: true}).length") > 1
        window.page.emulate_media(reduced_motion="reduce")
        assert figure.evaluate("one => one.getAnimations({subtree: true}).length") == 0
        assert not figure.locator(".nnkit-play").is_visible()
        window.page.emulate_media(reduced_motion="no-preference", media="print")
        assert not figure.locator(".nnkit-play").is_visible()
    with Window(browser, scripts=False) as window:
        window.open(address)
        assert window.page.locator(".nnkit-figure").first.is_visible()
        assert not window.page.locator(".nnkit-play").first.is_visible()
