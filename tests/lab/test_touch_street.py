"""The street to touch: the same machine as nnkit's on the same points, whatever the hand does with them."""

from __future__ import annotations

import re

import numpy as np
import pytest

import nnkit as nn
from lab.touch.street import STARTS, Street
from tests.lab.touching import page_with
from tests.website import visit

pytestmark = pytest.mark.site

ALPHA, REACH = "\N{GREEK SMALL LETTER ALPHA}", "\N{GREEK SMALL LETTER GAMMA} of the RBF"
MIDDLE = {"villages": (0, 0), "blobs": (0, 0), "moons": (0.5, 0.25)}
UNIT = {"villages": 40, "blobs": 40, "moons": 62}


@pytest.fixture
def street(browser):
    """Return a function that opens a page with a street, and closes it at the end."""
    windows = []

    def open_page(*, state="", width=1400, scheme="light", **settings):
        windows.append(page_with(browser, Street(**settings), state=state, width=width, scheme=scheme))
        windows[-1].page.locator("[data-number=pairs]", has_text=re.compile(r"\d")).or_(
            windows[-1].page.locator(".nnkit-touch-says", has_text=re.compile(r"\w"))
        ).first.wait_for()
        return windows[-1]

    yield open_page
    for window in windows:
        window.context.close()


def state_of(page):
    """Return a street with the state that the page has, as Python sees it after the hand has moved something."""
    names = ("start", "points", "kernel", "C", "gamma", "pairs")
    state = page.evaluate("names => names.map(name => document.querySelector('.nnkit-touch').model.get(name))", names)
    return Street(**dict(zip(names, state, strict=True)))


def number(page, name):
    return page.locator(f"[data-number={name}]").inner_text().replace("\N{MINUS SIGN}", "-").replace(",", "")


def says(page):
    return page.locator(".nnkit-touch-says").inner_text()


def on_page(page, start, place):
    """Return where a place of the plane is in the window."""
    box = page.locator(".nnkit-touch-street-points").bounding_box()
    across, up = (np.array(place) - MIDDLE[start]) * UNIT[start]
    return box["x"] + (170 + across) * box["width"] / 340, box["y"] + (155 - up) * box["height"] / 310


def border(page, start, level=0):
    """Return the places on the drawn line of a score."""
    line = page.locator(".nnkit-touch-street-points path").nth(level + 1).get_attribute("d")
    pixels = np.array(re.findall(r"([\d.]+) ([\d.]+)", line), dtype=float)
    return (pixels - (170, 155)) * (1, -1) / UNIT[start] + MIDDLE[start]


@pytest.mark.parametrize(
    ("start", "kernel", "C", "gamma"),
    [
        ("villages", "linear", 1000, 1),
        ("blobs", "linear", 0.1, 1),
        ("blobs", "rbf", 10, 0.5),
        ("moons", "linear", 1, 1),
        ("moons", "rbf", 10, 1),
        ("moons", "rbf", 0.1, 10),
        ("moons", "rbf", 10, 100),
    ],
)
def test_the_numbers_are_those_of_nnkit(street, start, kernel, C, gamma):
    window = street(state=f"start={start}&kernel={kernel}&C={C}&gamma={gamma}")
    seen = state_of(window.page)
    assert (seen.start, seen.kernel, seen.C, seen.gamma) == (start, kernel, C, gamma)
    machine = nn.SVC(C, kernel=kernel, gamma=gamma).fit(seen.X, seen.y)
    assert number(window.page, "gap") == "under 0.001"
    holds, of, free = re.findall(r"\d+", number(window.page, "support"))
    alpha = np.abs(machine.dual_coef_[0])
    assert (int(holds), int(of), int(free)) == (len(machine.support_), len(seen.y), np.sum(alpha < C))
    objective = machine.dual_objective_[0]
    assert float(number(window.page, "objective")) == pytest.approx(objective, abs=6e-5 + 1e-5 * objective)
    assert window.page.locator("[data-holds]").count() == len(machine.support_)
    assert number(window.page, "right") == f"{100 * np.mean(machine.predict(seen.X) == seen.y):.1f} %"
    if kernel == "linear":
        width = 2 / np.linalg.norm(machine.coef_)
        assert float(number(window.page, "width")) == pytest.approx(width, abs=0.006)
    assert window.problems == []


@pytest.mark.parametrize(("start", "kernel"), [("villages", "linear"), ("moons", "rbf")])
def test_the_lines_lie_where_the_score_is_minus_one_zero_and_one(street, start, kernel):
    page = street(start=start, kernel=kernel).page
    score = state_of(page).machine().decision_function
    for level in (-1, 0, 1):
        places = border(page, start, level)
        assert len(places) > 40
        assert np.abs(score(places) - level).max() < 0.03


def test_new_points_are_read_as_nnkit_reads_as_many(street):
    page = street(start="moons", kernel="rbf").page
    new_X, classes = nn.make_moons(100_000, noise=0.3, rng=0)
    right = np.mean(state_of(page).machine().predict(new_X) == np.where(classes == 1, 1, -1))
    assert float(number(page, "fresh").removesuffix(" %")) == pytest.approx(100 * right, abs=2)
    assert not street(start="villages").page.locator("[data-number=fresh]").is_visible()


def test_a_dragged_point_moves_the_border(street):
    window = street(start="villages", C=1000)
    page, before = window.page, state_of(window.page)
    machine = before.machine()
    held = int(machine.support_[0])
    x, y = on_page(page, "villages", before.X[held])
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(*on_page(page, "villages", (2, 2)), steps=7)
    page.mouse.move(*on_page(page, "villages", (3, 3)), steps=3)
    page.mouse.up()
    after = state_of(page)
    assert after.X[held] == pytest.approx([3, 3], abs=0.02)
    others = np.arange(12) != held
    assert (after.X[others] == before.X[others]).all()
    moved = after.machine().decision_function(border(page, "villages"))
    assert np.abs(moved).max() < 0.03
    assert np.abs(machine.decision_function(border(page, "villages"))).max() > 0.2
    # The click at the end of a drag adds none; it is in the address, to be found again.
    assert len(after.y) == 12
    page.wait_for_function("location.hash.includes('points=')")
    again = street(state=page.evaluate("location.hash.split('?')[1]"))
    assert (state_of(again.page).X == after.X).all()
    assert window.problems == []


def test_a_point_that_does_not_hold_the_street_moves_nothing(street):
    page = street(start="villages", C=1000).page
    before = state_of(page)
    free = int(np.argmax(before.y * before.machine().decision_function(before.X)))
    line = page.locator(".nnkit-touch-street-border").get_attribute("d")
    objective = number(page, "objective")
    page.mouse.move(*on_page(page, "villages", before.X[free]))
    page.mouse.down()
    page.mouse.move(*on_page(page, "villages", before.X[free] + 0.3 * np.sign(before.X[free])), steps=4)
    page.mouse.up()
    assert (state_of(page).X[free] != before.X[free]).any()
    assert number(page, "objective") == objective
    assert page.locator(".nnkit-touch-street-border").get_attribute("d") == line


def test_a_finger_drags_a_point_and_leaves_the_page_to_scroll_elsewhere(browser):
    window = page_with(browser, Street(start="villages"), width=390)
    with window:
        page = window.page
        before = state_of(page)
        assert page.locator(".nnkit-touch-street-hold").first.evaluate("e => getComputedStyle(e).touchAction") == "none"
        points = page.locator(".nnkit-touch-street-points")
        assert points.evaluate("e => getComputedStyle(e).touchAction") == "auto"
        finger = page.context.new_cdp_session(page)
        (x, y), (to_x, to_y) = (on_page(page, "villages", place) for place in (before.X[0], before.X[0] + (1.5, 1.5)))
        for kind, at in (
            ("touchStart", (x, y)),
            ("touchMove", ((x + to_x) / 2, (y + to_y) / 2)),
            ("touchMove", (to_x, to_y)),
            ("touchEnd", None),
        ):
            at_finger = [{"x": at[0], "y": at[1]}] if at else []
            finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at_finger})
        page.wait_for_function("location.hash.includes('points=')")  # As it is at the end of a drag.
        assert state_of(page).X[0] == pytest.approx(before.X[0] + 1.5, abs=0.04)
        assert window.problems == []


def test_pairs_one_by_one_end_where_all_of_them_do(street):
    window = street(start="blobs", kernel="rbf", C=1)
    page = window.page
    steps, end = int(number(page, "pairs")), {name: number(page, name) for name in ("pairs", "objective", "support")}
    line = page.locator(".nnkit-touch-street-border").get_attribute("d")
    assert "Solved" in says(page)
    assert steps == state_of(page).machine().n_iter_[0]
    page.get_by_role("button", name="Start over").click()
    assert number(page, "objective") == "0.0000"
    assert number(page, "gap") == "2.0000"  # Chapter 15's pencil.
    reached, pressed = 0.0, 0
    while pressed < min(steps, 12):
        page.get_by_role("button", name="Next pair").click()
        pressed += 1
        assert int(number(page, "pairs")) == pressed
        assert float(number(page, "objective")) >= reached
        reached = float(number(page, "objective"))
        ends = re.findall(rf"{ALPHA} of point (\d+) \((\w+)\) \w+ from [\d.]+ to [\d.]+", says(page))
        assert len(ends) == 2
        names = page.locator(".nnkit-touch-street-points text").all_text_contents()
        assert names == [f"{ALPHA}{k}" for k, _ in ends]
        assert page.locator(".nnkit-touch-street-pair").count() == 2
        for k, colour in ends:
            assert state_of(page).y[int(k) - 1] == (-1 if colour == "blue" else 1)
    while "No pair can gain any more" not in says(page):
        page.get_by_role("button", name="Ten pairs more").click()
    assert {name: number(page, name) for name in end} == end
    assert page.locator(".nnkit-touch-street-border").get_attribute("d") == line
    page.get_by_role("button", name="Next pair").click()  # There is none.
    assert number(page, "pairs") == end["pairs"]
    page.get_by_role("button", name="To the end").click()
    assert {name: number(page, name) for name in end} == end
    assert window.problems == []


def test_the_first_pair_is_that_of_nnkit(street):
    page = street(state="start=moons&kernel=rbf&pairs=1").page
    seen = state_of(page)
    from nnkit.estimators.smo import SMO

    K = np.exp(-((seen.X[:, None] - seen.X) ** 2).sum(axis=2))
    smo = SMO(K, seen.y, 10)
    i, j = smo.select(1e-3)
    smo.move(i, j)
    assert [int(k) - 1 for k in re.findall(r"point (\d+)", says(page))] == [i, j]
    assert float(number(page, "objective")) == pytest.approx(smo.objective, abs=6e-5)


def test_sliders_set_C_and_gamma(street):
    window = street(start="moons", kernel="rbf")
    page = window.page
    for label, name, value in (("Price C", "C", 11.2), (REACH, "gamma", 1.12)):
        slider = page.get_by_label(label)
        slider.focus()
        page.keyboard.press("ArrowRight")
        seen = state_of(page)
        assert getattr(seen, name) == value
        assert slider.get_attribute("aria-valuetext") == str(value)
        assert float(number(page, "objective")) == pytest.approx(seen.machine().dual_objective_[0], rel=1e-4)
    page.get_by_label("Kernel").select_option("linear")
    assert page.get_by_label(REACH).is_disabled()
    assert window.problems == []


def test_keys_choose_move_add_and_remove_points(street):
    window = street(start="villages")
    page, before = window.page, state_of(window.page)
    points = page.get_by_role("application")
    points.focus()
    page.keyboard.press("PageDown")
    assert says(page).startswith("Point 1 of 12, orange, at 0.08 and 1.56: its multiplier is ")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowUp")
    assert state_of(page).X[0] - before.X[0] == pytest.approx([0.1, 0.5], abs=1e-9)
    assert "Point 1 of 12, orange, at 0.18 and 2.06" in says(page)
    assert "Point 1 of 12, orange, at 0.18 and 2.06" in points.get_attribute("aria-label")
    page.wait_for_function(
        "document.querySelector('.nnkit-touch-heard').textContent.includes('orange, at 0.18 and 2.06')"
    )
    page.keyboard.press("b")
    assert state_of(page).y.tolist() == [*before.y.tolist(), -1]
    page.keyboard.press("o")
    assert state_of(page).y.tolist() == [*before.y.tolist(), -1, 1]
    page.keyboard.press("Delete")
    assert state_of(page).y.tolist() == [*before.y.tolist(), -1]
    page.keyboard.press("PageUp")  # The last one.
    page.keyboard.press("Delete")
    assert state_of(page).y.tolist() == before.y.tolist()
    page.get_by_role("button", name="Put all points back").click()
    assert (state_of(page).X == before.X).all()
    assert window.problems == []


def test_a_tap_adds_a_point_of_the_chosen_class(street):
    page = street(start="villages").page
    page.get_by_label("A tap adds").select_option("orange")
    page.mouse.click(*on_page(page, "villages", (3.5, -3)))
    seen = state_of(page)
    assert seen.y[-1] == 1
    assert seen.X[-1] == pytest.approx([3.5, -3], abs=0.02)
    page.get_by_role("button", name="Remove point").click()
    page.get_by_label("A tap adds").select_option("nothing")
    page.mouse.click(*on_page(page, "villages", (3.5, -3)))
    assert len(state_of(page).y) == 12


def test_a_class_without_points_is_a_sentence(street):
    window = street(state="points=b0_0b10_10o100_100")
    page = window.page
    page.get_by_role("application").focus()
    page.keyboard.press("PageUp")
    page.keyboard.press("Delete")
    assert "There is no orange point left" in says(page)
    assert number(page, "support") == "\N{EN DASH}"
    page.keyboard.press("o")
    assert number(page, "support").startswith("2 of 3")
    assert window.problems == []


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ("points=b0_zz", "These points cannot be read"),
        ("points=" + "b0_0" * 301, "at most 300 points"),
        ("points=b0_0", "There is no orange point left"),
        ("C=-1", "C must be a number from 0.01 to 1000"),
        ("start=town", "start must be one of villages, blobs, moons"),
    ],
)
def test_a_state_that_cannot_be_is_a_sentence(street, state, sentence):
    window = street(state=state)
    assert sentence in window.page.locator(".nnkit-touch").inner_text()
    assert window.page.locator("[data-point]").count() >= 1
    assert window.problems == []


def test_what_takes_many_pairs_is_solved_in_slices(street):
    page = street(state="start=moons&kernel=linear&C=1000").page
    page.locator("[data-number=gap]", has_text="under").wait_for()
    seen = state_of(page).machine()
    assert float(number(page, "objective")) == pytest.approx(seen.dual_objective_[0], rel=1e-4)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(street, scheme):
    window = street(start="moons", kernel="rbf", width=390, scheme=scheme, state="pairs=3")
    visit.assert_fits(window.page)
    drawn = window.page.locator(".nnkit-touch-street-border").evaluate("line => getComputedStyle(line).stroke")
    ink = window.page.locator(".nnkit-touch").evaluate("root => getComputedStyle(root).color")
    assert drawn == ink


def test_the_border_follows_the_theme(street):
    page = street(start="villages").page
    seen = (
        "document.querySelector('.nnkit-touch-street canvas').getContext('2d').getImageData(5, 300, 1, 1).data.join()"
    )
    before = page.evaluate(seen)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.wait_for_function(f"{seen} !== '{before}'")


def test_python_sets_and_reads_the_points():
    street = Street(X=[[0, 0], [1.234, 1]], y=[-1, 1], C=100)
    assert street.points == "b0_0o123_100"
    assert street.machine().coef_ == pytest.approx(2 * np.array([[1.23, 1]]) / (1.23**2 + 1), rel=1e-3)
    street.points = ""
    assert len(street.y) == 12
    for start in STARTS:
        X, y = Street(start=start).X, Street(start=start).y
        assert len(X) == len(y) == {"villages": 12, "blobs": 40, "moons": 100}[start]
    assert np.abs(Street(start="moons").X - nn.make_moons(100, noise=0.3, rng=4)[0]).max() < 0.00501


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"points": "b1"}, "points must be b or o and two whole numbers of hundredths each, as b-120_35; got 'b1'"),
        ({"points": "b0_0" * 301}, "points must be at most 300; got 301"),
        ({"X": [[0, 0]]}, "y must be given too"),
        ({"X": [[0, 0]], "y": [2]}, "y must have one label for each point, -1 or 1"),
        ({"X": [0, 0], "y": [1, 1]}, r"X must have shape \(n, 2\)"),
        ({"X": [[0, 9]], "y": [1]}, "X must lie in the picture"),
        ({"C": 0}, "'C'"),
        ({"kernel": "poly"}, "'kernel'"),
    ],
)
def test_what_cannot_be_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Street(**settings)


def test_one_class_alone_is_no_machine_but_has_a_still():
    street = Street(points="b0_0b10_10")
    with pytest.raises(ValueError, match="points must have both labels"):
        street.machine()
    assert street.still() is not None
    assert len(Street().html()) < 40_000
