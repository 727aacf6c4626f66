"""The line under the hand: what it shows is what NumPy and nnkit compute, and a descent that bursts says so."""

from __future__ import annotations

import re

import numpy as np
import pytest

import nnkit as nn
from lab.touch import Line
from tests.lab.touching import page_with
from tests.website import visit

pytestmark = pytest.mark.site

STATE = "document.querySelector('.nnkit-touch').model.state"


def state(page):
    return page.evaluate(STATE)


def says(page, part):
    page.wait_for_function("part => document.querySelector('.nnkit-touch-says').textContent.includes(part)", arg=part)


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def move(page, handle, right, down):
    """Drag a handle by so many pixels, as a mouse does."""
    box = handle.locator("circle").last.bounding_box() if handle.locator("rect").count() == 0 else None
    box = box or handle.locator("rect").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + right, y + down, steps=5)
    page.mouse.up()


def descended(line, steps, learning_rate):
    """Return slope and height after full-batch steps of nnkit's SGD from the flat line, in double precision."""
    model = nn.Linear(1, 1, init="zeros", dtype=np.float64)
    loss, optimizer = nn.MSELoss(), nn.SGD(model.parameters(), lr=learning_rate)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(model(line.X), line.y)
        model.backward(loss.backward())
        optimizer.step()
    return model.weight.data[0, 0], model.bias.data[0], loss(model(line.X), line.y)


@pytest.mark.parametrize(("points", "steps"), [("some", 7), ("all", 3), ("pencil", 1), ("0,1 1,2 2,2", 1)])
def test_steps_are_those_of_nnkit(browser, points, steps):
    line = Line(points=points)
    with page_with(browser, line) as window:
        for _ in range(steps):
            press(window.page, "Step")
        now = state(window.page)
        w, b, loss = descended(line, steps, 0.1)
        assert np.allclose([now["w"], now["b"]], [w, b], rtol=1e-12)
        numbers = window.page.locator(".nnkit-line-numbers").inner_text()
        assert f"loss {loss:.2f}" in numbers
        assert f"{steps} step" in numbers
        lowest = np.linalg.lstsq(np.column_stack([line.X, np.ones(len(line.X))]), line.y, rcond=None)[0]
        assert f"(lowest {np.mean((line.X * lowest[0] + lowest[1] - line.y) ** 2):.2f})" in numbers
        assert Line(points=now["points"], w=now["w"], b=now["b"]).loss == pytest.approx(loss)
        assert window.problems == []


def test_the_pencil_is_the_chapters(browser):
    with page_with(browser, Line(points="pencil")) as window:
        press(window.page, "Step")
        says(window.page, "After 1 step the loss is 0.65.")
        assert state(window.page)["w"] == pytest.approx(0.8)
        assert state(window.page)["b"] == pytest.approx(0.5)


def test_above_the_limit_it_bursts_and_says_so(browser):
    line = Line(points="all", learning_rate=0.64)
    assert 0.63 < line.limit < 0.64
    with page_with(browser, line) as window:
        page = window.page
        says(page, f"The learning rate is above {line.limit:.3f}, and above that, every step lands further away.")
        window.page.emulate_media(reduced_motion="reduce")
        press(page, "Play")
        press(page, "Play")  # 2,000 steps are a press, and at one per cent above the limit it takes more.
        says(page, "It has burst")
        assert "Choose a smaller learning rate and start again." in page.locator(".nnkit-touch-says").inner_text()
        assert "NaN" not in page.inner_html("main")
        assert "Infinity" not in page.inner_html("main")
        press(page, "Reset: back to the start of the descent")
        assert (state(page)["w"], state(page)["b"]) == (0, 0)
        rate = page.get_by_label("learning rate")
        rate.focus()
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowLeft")
        says(page, "Up to a learning rate of")
        press(page, "Play")
        says(page, "the line has arrived: its loss is within 0.0001 of the lowest")
        assert window.problems == []


def test_it_plays_and_pauses(browser):
    with page_with(browser, Line()) as window:
        press(window.page, "Play")
        window.page.wait_for_function(f"{STATE}.w > 0.5")
        press(window.page, "Pause")
        w = state(window.page)["w"]
        press(window.page, "Step")
        assert state(window.page)["w"] != w
        press(window.page, "Play")
        says(window.page, "the line has arrived")
        assert window.problems == []


def test_a_dragged_point_moves_the_bowl(browser):
    line = Line()
    with page_with(browser, line) as window:
        page = window.page
        before = page.locator(".nnkit-touch-plane g[stroke-opacity='0.7'] path").first.get_attribute("d")
        point = page.locator(".nnkit-touch-handle[aria-label^='Point 25 of 25']")
        move(page, point, -10, 120)
        page.wait_for_url(re.compile("points="))
        moved = Line(points=state(page)["points"])
        assert moved.X[-1] < line.X[-1]
        assert moved.y[-1] < line.y[-1] - 3
        says(page, f"the limit of the learning rate is {moved.limit:.3f}")
        press(page, "Step")
        w, b, _ = descended(moved, 1, 0.1)
        assert np.allclose([state(page)["w"], state(page)["b"]], [w, b], rtol=1e-12)
        assert page.locator(".nnkit-touch-plane g[stroke-opacity='0.7'] path").first.get_attribute("d") != before
        page.reload()  # All that matters is in the address.
        page.wait_for_selector(".nnkit-touch[data-state=alive]")
        assert Line(points=state(page)["points"]).limit == moved.limit
        assert window.problems == []


def test_the_line_is_turned_and_lifted(browser):
    with page_with(browser, Line()) as window:
        page = window.page
        move(page, page.locator("[aria-label^='Slope of the line']"), 0, -40)
        assert state(page)["w"] > 0.5
        assert state(page)["b"] == 0
        move(page, page.locator("[aria-label^='Height of the line']"), 0, 40)
        assert state(page)["b"] < -1
        w = state(page)["w"]
        page.locator("[aria-label^='Height of the line']").focus()
        page.keyboard.press("Shift+ArrowUp")
        assert page.locator("[aria-label^='Height of the line']").get_attribute("aria-label").startswith("Height of")
        assert state(page)["w"] == w
        assert window.problems == []


def test_a_click_on_the_bowl_starts_there(browser):
    with page_with(browser, Line()) as window:
        page = window.page
        bowl = page.locator(".nnkit-touch-plane").last
        box = bowl.bounding_box()
        bowl.click(position={"x": box["width"] * 0.8, "y": box["height"] * 0.3})
        w, b = state(page)["w"], state(page)["b"]
        assert w > 2.5
        assert b > -1
        says(page, "The descent starts here")
        press(page, "Step")
        line = Line()
        error = line.X * w + b - line.y
        assert state(page)["w"] == pytest.approx(w - 0.1 * 2 * np.mean(error * line.X))
        press(page, "Reset: back to the start of the descent")
        assert (state(page)["w"], state(page)["b"]) == (w, b)


def test_keys_alone_are_enough(browser):
    with page_with(browser, Line()) as window:
        page = window.page
        first = page.locator(".nnkit-touch-handle[aria-label^='Point 1 of 25']")
        first.focus()
        page.keyboard.press("End")
        focused = page.evaluate("document.activeElement.getAttribute('aria-label')")
        assert focused.startswith("Point 25 of 25")
        before = Line(points=state(page)["points"]).y[-1, 0]
        page.keyboard.press("Shift+ArrowDown")
        after = Line(points=state(page)["points"]).y[-1, 0]
        assert after == pytest.approx(before - 0.5, abs=0.006)
        page.keyboard.press("PageUp")
        assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("Point 24 of 25")
        assert page.locator(".nnkit-touch-handle[tabindex='0'][aria-label^=Point]").count() == 1
        page.locator("[aria-label^='This line on the map']").focus()
        page.keyboard.press("ArrowRight")
        assert state(page)["w"] == pytest.approx(0.1)
        assert window.problems == []


@pytest.mark.parametrize("bad", ["banana", "1,2,3", "1,", "", "9,1 1,1", "1,NaN"])
def test_points_that_cannot_be_read_are_a_sentence(browser, bad):
    with page_with(browser, Line(), state=f"points={bad}&w=1") as window:
        told = window.page.locator(".nnkit-line-unread")
        assert f'The points "{bad}" cannot be read. Write up to 100 as x,y x,y' in told.inner_text()
        press(window.page, "Step")
        window.page.get_by_label("points", exact=True).select_option("pencil")
        assert told.inner_text() == ""
        assert window.problems == []
    with pytest.raises(ValueError, match="points must be some, all, pencil, or 1 to 100 points"):
        Line(points=bad)


def test_points_above_each_other_have_a_valley_and_no_error(browser):
    line = Line(points=[(1, 1), (1, 2)])
    with page_with(browser, line) as window:
        assert f"{line.limit:.3f}" in window.page.locator(".nnkit-touch-says").inner_text()
        press(window.page, "Step")
        w, b, _ = descended(line, 1, 0.1)
        assert np.allclose([state(window.page)["w"], state(window.page)["b"]], [w, b])
        assert window.problems == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(browser, scheme):
    with page_with(browser, Line(), width=390, scheme=scheme) as window:
        visit.assert_fits(window.page)
        for plane in window.page.locator(".nnkit-touch-plane").all():
            assert plane.bounding_box()["width"] > 280
        assert window.problems == []


def test_python_has_the_chapters_points():
    X, y = nn.make_linear(100, slope=2.0, intercept=-1.0, noise=0.5, rng=0)
    line = Line(points="all", w=2, b=-1)
    assert np.allclose(line.X, X, atol=1e-4)
    assert np.allclose(line.y, y, atol=1e-4)
    assert line.loss == pytest.approx(nn.MSELoss()(2 * X - 1, y), rel=1e-3)
    with pytest.raises(ValueError, match="learning_rate"):
        Line(learning_rate=2)
