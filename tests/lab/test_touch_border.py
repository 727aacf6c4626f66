"""The border under the hand: what it shows is what nnkit computes, and the arrow goes where it is put."""

from __future__ import annotations

import numpy as np
import pytest

import nnkit as nn
from lab.touch import Border
from tests.lab.touching import page_with
from tests.website import visit

pytestmark = pytest.mark.site


def state(page):
    return page.evaluate("document.querySelector('.nnkit-touch').model.state")


def says(page, part):
    page.wait_for_function("part => document.querySelector('.nnkit-touch-says').textContent.includes(part)", arg=part)


def numbers(page):
    return page.locator(".nnkit-border-numbers").inner_text()


def now(page):
    """Return the widget of Python with the state of the page, which is what a notebook sees."""
    return Border(**{name: state(page)[name] for name in ("d1", "d2", "bias", "learning_rate")})


def tip(page):
    return page.locator("[aria-label^='Tip of the arrow']")


def foot(page):
    return page.locator("[aria-label^='Foot of the arrow']")


def middle(handle):
    box = handle.locator("> :last-child").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def move(page, handle, right, down):
    x, y = middle(handle)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + right, y + down, steps=5)
    page.mouse.up()


def descended(border, steps):
    """Return weights and bias after full-batch steps of nnkit's SGD on the cross-entropy of one score."""
    model = nn.Linear(2, 1, dtype=np.float64)
    model.load_state_dict({"weight": np.array([[border.d1], [border.d2]]), "bias": np.array([border.bias])})
    loss, optimizer = nn.BCEWithLogitsLoss(), nn.SGD(model.parameters(), lr=border.learning_rate)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(model(border.X), border.y[:, None])
        model.backward(loss.backward())
        optimizer.step()
    return [*model.weight.data[:, 0], *model.bias.data]


def test_what_it_shows_is_the_cross_entropy_of_two_logits(browser):
    border = Border(d1=1.0, d2=0.5, bias=-0.25)
    z = border.X @ [1.0, 0.5] - 0.25
    loss = nn.CrossEntropyLoss()(np.column_stack([np.zeros(200), z]), border.y)
    assert border.loss == pytest.approx(loss)
    with page_with(browser, border) as window:
        shown = numbers(window.page)
        assert f"Mean cross-entropy {loss:.4f}" in shown
        assert f"the worst point pays {border.losses.max():.2f}" in shown
        assert f"right on {np.sum((z > 0) == border.y)} of 200" in shown
        bars = window.page.locator(".nnkit-touch-plane").first.locator("path[stroke-opacity='0.7']").get_attribute("d")
        heights = np.array([float(part.split("v")[1]) for part in bars.split("M")[1:]])
        assert np.allclose(heights, -12 * np.minimum(5, border.losses), atol=0.006)
        assert window.problems == []


def test_gradient_descent_is_nnkits(browser):
    border = Border(learning_rate=2.0)
    with page_with(browser, border) as window:
        page = window.page
        for _ in range(4):
            page.get_by_role("button", name="Step", exact=True).click()
        seen = state(page)
        assert np.allclose([seen["d1"], seen["d2"], seen["bias"]], descended(border, 4), rtol=1e-10)
        says(page, "After 4 steps the arrow has")
        page.get_by_role("button", name="Reset: back where the hand left the arrow").click()
        assert [state(page)[name] for name in ("d1", "d2", "bias")] == [border.d1, border.d2, border.bias]
        page.emulate_media(reduced_motion="reduce")
        page.get_by_role("button", name="Let gradient descent do it").click()
        says(page, "After 300 steps")
        seen = state(page)
        assert np.allclose([seen["d1"], seen["d2"], seen["bias"]], descended(border, 300), rtol=1e-8)
        assert f"The mean cross-entropy is {now(page).loss:.4f}" in page.locator(".nnkit-touch-says").inner_text()
        assert window.problems == []


def test_descent_can_be_watched_and_paused(browser):
    with page_with(browser, Border()) as window:
        page = window.page
        page.get_by_role("button", name="Let gradient descent do it").click()
        page.wait_for_function("document.querySelector('.nnkit-touch').model.state.d2 > 0.5")
        page.get_by_role("button", name="Pause").click()
        says(page, "steps the arrow has")
        assert now(page).loss < 0.3
        assert window.problems == []


def test_the_lowest_loss_is_that_of_scikit_learn():
    linear_model = pytest.importorskip("sklearn.linear_model")
    border = Border()
    best = border.data["best"]
    theirs = linear_model.LogisticRegression(C=np.inf, tol=1e-10).fit(border.X, border.y)
    assert np.allclose([best["d1"], best["d2"]], theirs.coef_[0], rtol=1e-3)
    assert Border(d1=best["d1"], d2=best["d2"], bias=best["bias"]).loss == pytest.approx(best["loss"], rel=1e-5)


def test_stretching_makes_it_bolder_and_leaves_the_border(browser):
    with page_with(browser, Border(d1=2.0, d2=2.0, bias=1.0)) as window:
        page = window.page
        curve = page.locator(".nnkit-touch-plane").last.locator("path[stroke-width='2.5']")
        before, shape = now(page), curve.get_attribute("d")
        move(page, tip(page), 30, -30)
        after = now(page)
        assert np.hypot(after.d1, after.d2) > 1.3 * np.hypot(before.d1, before.d2)
        # The border is as far from the origin as it was.
        assert after.bias / np.hypot(after.d1, after.d2) == pytest.approx(before.bias / np.hypot(2, 2), abs=0.02)
        assert curve.get_attribute("d") != shape
        assert f"Mean cross-entropy {after.loss:.4f}" in numbers(page)
        assert window.problems == []


def test_turning_it_round_is_sure_and_wrong(browser):
    with page_with(browser, Border(d1=3.0, d2=3.0)) as window:
        page = window.page
        (x0, y0), (x1, y1) = middle(foot(page)), middle(tip(page))
        move(page, tip(page), 2 * (x0 - x1), 2 * (y0 - y1))
        turned = now(page)
        assert turned.d1 < -2.5
        assert turned.d2 < -2.5
        assert turned.loss > 5
        assert f"{turned.loss:.4f}" in numbers(page)


def test_the_foot_moves_the_border(browser):
    with page_with(browser, Border(d1=3.0, d2=3.0)) as window:
        page = window.page
        move(page, foot(page), 40, -40)
        moved = now(page)
        assert (moved.d1, moved.d2) == (3.0, 3.0)
        assert moved.bias < -3
        before = moved.bias
        page.get_by_label("bias b").focus()
        page.keyboard.press("ArrowRight")
        assert now(page).bias == pytest.approx(before + 0.1, abs=0.06)
        assert window.problems == []


def test_keys_turn_stretch_and_shift(browser):
    with page_with(browser, Border(d1=2.0, d2=0.0)) as window:
        page = window.page
        tip(page).focus()
        page.keyboard.press("ArrowLeft")
        assert np.degrees(np.arctan2(now(page).d2, now(page).d1)) == pytest.approx(5)
        page.keyboard.press("Shift+ArrowRight")
        assert np.degrees(np.arctan2(now(page).d2, now(page).d1)) == pytest.approx(-20)
        page.keyboard.press("ArrowUp")
        assert np.hypot(now(page).d1, now(page).d2) == pytest.approx(2.2)
        assert "length 2.20, direction \N{MINUS SIGN}20 degrees" in tip(page).get_attribute("aria-label")
        foot(page).focus()
        page.keyboard.press("ArrowUp")
        assert now(page).bias == pytest.approx(-0.22)
        says(page, "The border: d is")
        assert window.problems == []


def test_an_arrow_of_no_length_is_no_error(browser):
    with page_with(browser, Border(d1=0.0, d2=0.0)) as window:
        assert "Mean cross-entropy 0.6931" in numbers(window.page)
        assert "NaN" not in window.page.inner_html("main")
        tip(window.page).focus()
        window.page.keyboard.press("ArrowUp")
        assert now(window.page).d1 == pytest.approx(0.2)
        assert window.problems == []


def test_a_state_that_cannot_be_is_a_sentence(browser):
    with page_with(browser, Border(), state="d1=99&bias=2") as window:
        wrong = window.page.locator(".nnkit-touch-wrong").inner_text()
        assert 'd1 must be a number from -15 to 15; got "99".' in wrong
        assert state(window.page)["bias"] == 2
        assert window.problems == []
    with pytest.raises(ValueError, match="d1"):
        Border(d1=99)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(browser, scheme):
    with page_with(browser, Border(), width=390, scheme=scheme) as window:
        visit.assert_fits(window.page)
        assert window.page.locator(".nnkit-touch-plane").first.bounding_box()["width"] > 280
        assert window.problems == []
