"""The walk through a code: what the page decodes is what nnkit decodes, wherever the hand goes."""

from __future__ import annotations

import re

import numpy as np
import pytest

from lab.touch import stored
from lab.touch.walk import Walk
from lab.touch.weights import rounded
from tests.lab.touching import page_with
from tests.patience import PATIENCE
from tests.website import visit

pytestmark = pytest.mark.site

NAMES = ("begin", "end", "along", "code", "others")
PICTURE = ".nnkit-touch-walk-side figure:first-child canvas"


@pytest.fixture
def walk(browser):
    """Return a function that opens a page with a walk, and closes it at the end."""
    windows = []

    def open_page(*, state="", width=1400, scheme="light", **settings):
        windows.append(page_with(browser, Walk(**settings), state=state, width=width, scheme=scheme))
        return windows[-1]

    yield open_page
    for window in windows:
        window.context.close()


def state_of(page):
    """Return a walk with the state that the page has, as Python sees it after the hand has moved something."""
    state = page.evaluate("names => names.map(name => document.querySelector('.nnkit-touch').model.get(name))", NAMES)
    return Walk(**dict(zip(NAMES, state, strict=True)))


def says(page):
    return page.locator(".nnkit-touch-says").inner_text()


def decoded(page):
    return np.array(page.locator(PICTURE).evaluate("canvas => [...canvas.pixels]"))


def assert_decoded(page):
    """Fail if the picture is not what nnkit decodes in float64 with the same rounded weights."""
    assert np.abs(decoded(page) - state_of(page).picture).max() < 1e-6


def directions(walk):
    """Return the place of a walk in the four directions of the map."""
    return np.array(walk.data["directions"]) @ (walk.h - walk.data["mean"])


def on_map(page, walk, place):
    """Return where a place of the map is in the window."""
    ends = np.array(
        [np.array(walk.data["directions"]) @ (np.array(code) - walk.data["mean"]) for code in walk.data["codes"]]
    )
    low, high = ends[:, :2].min(axis=0), ends[:, :2].max(axis=0)
    share = (np.array(place) - low) / (high - low)
    box = page.locator(".nnkit-touch-walk-over").bounding_box()
    x, y = 14 + share[0] * (340 - 28), 300 - 14 - share[1] * (300 - 28)
    return box["x"] + x * box["width"] / 340, box["y"] + y * box["height"] / 300


def nearest_mean(walk):
    return int(np.linalg.norm(walk.h - np.array(walk.data["centroids"]), axis=1).argmin())


@pytest.mark.parametrize(
    "state", ["along=0", "begin=304&end=300&along=0.5", "code=211_87_-339_-181", "code=9_-9_0_900"]
)
def test_the_picture_is_what_nnkit_decodes(walk, state):
    window = walk(state=state)
    assert_decoded(window.page)
    assert f"that of the {nearest_mean(state_of(window.page))}s" in says(window.page)
    assert window.problems == []


def test_rounding_the_weights_hardly_changes_a_picture():
    walk = Walk()
    exact = stored.networks("latent_4")["decoder"]
    codes = np.array(walk.data["codes"])
    pictures = 1 / (1 + np.exp(-exact.forward(codes)))
    ink = stored.digits()[0] / 255
    ours = rounded(walk.data["decoder"]).forward(codes)
    assert np.square(ours - pictures).mean() < 1e-4
    assert np.square(ours - ink).mean() < 1.01 * np.square(pictures - ink).mean()


def test_a_place_dragged_over_the_map_is_decoded_under_the_mouse(walk):
    window = walk()
    page, before = window.page, state_of(window.page)
    seen = decoded(page)
    labels = np.array(before.data["labels"])
    codes = np.array(before.data["codes"])
    places = (codes - before.data["mean"]) @ np.array(before.data["directions"]).T
    target = int(np.flatnonzero(labels == 1)[np.argmax(places[labels == 1, 0])])
    page.mouse.move(*on_map(page, before, directions(before)[:2]))
    page.mouse.down()
    page.mouse.move(*on_map(page, before, (0, 0)), steps=3)
    page.mouse.move(*on_map(page, before, places[target, :2]), steps=5)
    page.mouse.up()
    after = state_of(page)
    # On a digit of the map, the two other directions are its own, so that its whole code is there.
    assert after.h == pytest.approx(codes[target], abs=0.06)
    assert nearest_mean(after) == 1
    assert np.abs(decoded(page) - seen).max() > 0.5
    assert_decoded(page)
    page.wait_for_function("location.hash.includes('code=')")
    again = walk(state=page.evaluate("location.hash.split('?')[1]"))
    assert np.abs(decoded(again.page) - decoded(page)).max() == 0
    assert window.problems == []


def test_the_two_other_directions_can_stay_as_they_are(walk):
    page = walk(state="code=211_87_-339_-181").page
    page.get_by_label("The two others").select_option("stay as they are")
    before = state_of(page)
    page.mouse.click(*on_map(page, before, (3, 0)))
    after = state_of(page)
    assert directions(after)[:2] == pytest.approx([3, 0], abs=0.05)
    assert directions(after)[2:] == pytest.approx(directions(before)[2:], abs=0.02)
    assert_decoded(page)
    page.get_by_label("The two others").select_option("jump with the nearest")
    page.mouse.click(*on_map(page, before, (2, 0)))
    assert np.abs(directions(state_of(page))[2:] - directions(before)[2:]).max() > 0.1


def test_a_finger_drags_the_mark_and_leaves_the_page_to_scroll_elsewhere(walk):
    window = walk(width=390)
    page, before = window.page, state_of(window.page)
    hold, over = page.locator(".nnkit-touch-walk-hold"), page.locator(".nnkit-touch-walk-over")
    assert hold.evaluate("e => getComputedStyle(e).touchAction") == "none"
    assert over.evaluate("e => getComputedStyle(e).touchAction") == "auto"
    over.scroll_into_view_if_needed()
    finger = page.context.new_cdp_session(page)
    here = on_map(page, before, directions(before)[:2])
    for kind, step in (("touchStart", 0), ("touchMove", 20), ("touchMove", 40), ("touchEnd", None)):
        points = [] if step is None else [{"x": here[0] + step, "y": here[1] - step}]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    page.wait_for_function("location.hash.includes('code=')")  # As it is at the end of a drag.
    expected = on_map(page, before, directions(state_of(page))[:2])
    assert expected == pytest.approx((here[0] + 40, here[1] - 40), abs=3)
    assert_decoded(page)
    assert window.problems == []


def test_keys_move_the_place_and_go_from_digit_to_digit(walk):
    window = walk()
    page, before = window.page, state_of(window.page)
    place = page.get_by_role("application")
    place.focus()
    page.keyboard.press("PageDown")
    codes = np.array(before.data["codes"])
    first = int(np.linalg.norm(codes - before.h, axis=1).argmin())
    assert state_of(page).h == pytest.approx(codes[first + 1], abs=0.0051)
    assert says(page).startswith(f"It is the code of a {before.data['labels'][first + 1]}:")
    start = directions(state_of(page))
    page.keyboard.press("ArrowRight")
    one = directions(state_of(page))
    page.keyboard.press("Shift+ArrowUp")
    two = directions(state_of(page))
    assert one[0] > start[0] + 0.1
    assert one[1] == pytest.approx(start[1], abs=0.02)
    assert two[1] - one[1] > 2 * (one[0] - start[0]) * 0.2
    assert_decoded(page)
    assert says(page) in place.get_attribute("aria-label")
    page.wait_for_function(
        "text => document.querySelector('.nnkit-touch-heard').textContent === text",
        arg=says(page),
        timeout=1000 * PATIENCE,
    )
    assert window.problems == []


def test_a_walk_between_two_digits(walk):
    window = walk()
    page = window.page
    page.get_by_label("Walk from", exact=True).select_option("the mean 4")
    page.get_by_label("to", exact=True).select_option("the mean 0")
    slider = page.get_by_label("Along the line")
    slider.focus()
    page.keyboard.press("End")
    seen = state_of(page)
    assert (seen.begin, seen.end, seen.along) == (304, 300, 1)
    assert seen.h == pytest.approx(np.array(seen.data["centroids"][0]))
    assert_decoded(page)
    for _ in range(50):
        page.keyboard.press("ArrowLeft")
    half = state_of(page)
    assert half.h == pytest.approx((np.array(seen.data["centroids"][4]) + seen.data["centroids"][0]) / 2)
    assert_decoded(page)
    # Chapter 11: halfway between the two stands a third digit.
    assert nearest_mean(half) not in (4, 0)
    assert says(page).startswith(
        "50 % of the way from the mean 4 to the mean 0: the nearest of the ten means is that of"
    )
    assert window.problems == []


def test_nine_digits_along_the_line(walk):
    page = walk(state="begin=303&end=308").page
    film = page.locator("canvas").nth(3)
    reads = [int(each) for each in re.findall(r"\d", film.get_attribute("aria-label").split("those of")[1])]
    ends = [Walk(begin=303, end=308, along=along) for along in np.linspace(0, 1, 9)]
    assert reads == [nearest_mean(each) for each in ends]
    box = film.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 6.5 / 9, box["y"] + 30)
    assert state_of(page).along == 0.75
    assert_decoded(page)


def test_a_walk_begins_and_ends_at_places_of_the_map(walk):
    page = walk(state="code=211_87_-339_-181").page
    walked = state_of(page)
    page.get_by_role("button", name="Walk to here").click()
    seen = state_of(page)
    nearest = np.linalg.norm(np.array(walked.data["codes"]) - walked.h, axis=1).argmin()
    assert seen.end == nearest
    page.mouse.click(*on_map(page, walked, (5, 1)))
    page.get_by_role("button", name="Walk from here").click()
    assert state_of(page).begin == np.linalg.norm(np.array(walked.data["codes"]) - state_of(page).h, axis=1).argmin()


def test_one_number_of_the_code(walk):
    window = walk(state="code=211_87_-339_-181")
    page = window.page
    before = state_of(page).h
    slider = page.get_by_label("Number 3")
    assert slider.get_attribute("aria-valuetext") == "\N{MINUS SIGN}3.39"
    slider.focus()
    for _ in range(40):
        page.keyboard.press("ArrowRight")
    after = state_of(page).h
    assert after - before == pytest.approx([0, 0, 2, 0], abs=0.06)
    assert_decoded(page)
    assert window.problems == []


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ("code=1_2", "This code cannot be read"),
        ("code=a_b_c_d", "This code cannot be read"),
        ("along=2", "along must be a number from 0 to 1"),
        ("begin=310", "begin must be a whole number from 0 to 309"),
        ("others=mean", "others must be one of nearest, stay"),
    ],
)
def test_a_state_that_cannot_be_is_a_sentence(walk, state, sentence):
    window = walk(state=state)
    assert sentence in window.page.locator(".nnkit-touch").inner_text()
    assert len(decoded(window.page)) == 784
    assert window.problems == []


def test_weights_that_do_not_fit_are_a_sentence(browser):
    widget = Walk()
    layers = [dict(layer) for layer in widget.data["decoder"]]
    layers[0]["in"] = 5
    widget._start["data"] = {**widget.data, "decoder": layers}
    with page_with(browser, widget) as window:
        assert "do not fit" in window.page.locator(".nnkit-touch-live").inner_text()
        assert window.problems == []


def lightest(page):
    """Return the lightest red of the decoded picture's own pixels, from 0 to 255; the paper below it is not there."""
    return page.locator(PICTURE).evaluate(
        """canvas => Math.max(...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data
          .filter((_, i) => i % 4 === 0))"""
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(walk, scheme):
    page = walk(width=390, scheme=scheme).page
    visit.assert_fits(page)
    assert (lightest(page) > 150) == (scheme == "dark")  # Ink is light in the dark.


def test_the_pictures_follow_the_theme(walk):
    page = walk().page
    assert lightest(page) < 150
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.evaluate("new Promise(requestAnimationFrame)")
    assert lightest(page) > 150


def test_python_sets_and_reads_the_place():
    walk = Walk(along=0.5)
    codes, labels = np.array(walk.data["codes"]), walk.data["labels"]
    assert (labels[walk.begin], labels[walk.end]) == (4, 0)
    assert walk.h == pytest.approx((codes[walk.begin] + codes[walk.end]) / 2)
    walk.h = [1, -2.345, 0, 0.5]
    assert walk.code in ("100_-234_0_50", "100_-235_0_50")
    assert walk.picture.shape == (784,)
    assert walk.picture.min() >= 0
    assert walk.picture.max() <= 1
    with pytest.raises(ValueError, match="h must hold four numbers"):
        walk.h = [1, 2, 3]
    assert len(walk.html()) < 700_000
    assert len(walk.static_html()) < 30_000


def test_the_codes_are_those_of_the_chapter():
    from lab import load_store

    walk = Walk()
    (row,) = (
        row["result"]
        for row in load_store("latent_walks")
        if (*row["config"].values(), row["seed"]) == ("autoencoder", 4, 0)
    )
    labels = np.array(walk.data["labels"])
    first = [np.flatnonzero(labels == digit)[0] for digit in range(10)]
    assert np.array(walk.data["codes"])[first] == pytest.approx(np.array(row["ten_codes"]), abs=1e-3)
    turned = np.array(walk.data["directions"])
    assert turned @ turned.T == pytest.approx(np.eye(4), abs=1e-5)
    variances = ((np.array(walk.data["codes"]) - walk.data["mean"]) @ turned.T).var(axis=0)
    assert (np.diff(variances) < 0).all()
    assert variances[:2].sum() / variances.sum() == pytest.approx(walk.data["share"], abs=1e-3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"begin": 310}, "'begin'"),
        ({"along": -1}, "'along'"),
        ({"code": "1"}, "code must be four"),
        ({"others": "x"}, "'others'"),
    ],
)
def test_what_cannot_be_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Walk(**settings)
