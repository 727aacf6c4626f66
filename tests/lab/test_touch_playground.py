"""The playground as a reader drives it, with nnkit as the judge of its numbers."""

from __future__ import annotations

import re

import numpy as np
import pytest

import nnkit as nn
from lab.touch.playground import Playground, draw_points, read_points
from tests.lab.touching import page_with
from tests.website.visit import assert_fits

pytestmark = pytest.mark.site

GET = "name => document.querySelector('.nnkit-touch').model.get(name)"


def get(page, name):
    return page.evaluate(GET, name)


def said(page):
    return page.locator(".nnkit-touch-says").inner_text()


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def train(page, epochs):
    """Press *play* as fast as it goes, and wait until it has stopped by itself."""
    page.get_by_label("Speed").select_option("Infinity")
    press(page, "Play")
    page.wait_for_function(f"({GET})('epoch') >= {epochs} && document.body.innerText.match(/\\bPlay\\n/)")


def plane(page):
    return page.get_by_role("application")


def at(page, x1, x2, left=-0.5, side=2.0):
    """Return where a place of the plane is in the window; the plane is XOR's, if nothing else is said."""
    plane(page).scroll_into_view_if_needed()
    box = plane(page).bounding_box()
    scale = box["width"] / 284
    return box["x"] + scale * (30 + 248 * (x1 - left) / side), box["y"] + scale * (6 + 248 * (1 - (x2 - left) / side))


def answer(page, x1, x2):
    """Return the colour of the surface there: red, green and blue."""
    x, y = at(page, x1, x2)
    box = plane(page).bounding_box()
    return page.evaluate(
        """([x, y]) => {
          const canvas = document.querySelector("canvas[role=application]"), {width} = canvas.getBoundingClientRect();
          const scale = canvas.width / width;
          return [...canvas.getContext("2d").getImageData(x * scale, y * scale, 1, 1).data.slice(0, 3)];
        }""",
        [x - box["x"], y - box["y"]],
    )


def nnkit_loss(widget, page, epochs):
    """Train nnkit from the weights that the page says it started from; return the loss afterwards."""
    model = widget.network()
    layers = [module for module in model if isinstance(module, nn.Linear)]
    start = get(page, "start")
    assert len(start) == len(layers)
    for layer, told in zip(layers, start, strict=True):
        layer.weight.data[...] = told["weight"]
        layer.bias.data[...] = told["bias"]
    points = np.array(get(page, "samples"))
    X, y = points[:, :2], points[:, 2:]
    squared = widget.criterion == "squared"
    criterion = nn.MSELoss() if squared else nn.BCEWithLogitsLoss()
    settings = {"lr": widget.learning_rate, "weight_decay": widget.weight_decay}
    if widget.optimizer == "adam":
        optimizer = nn.Adam(model.parameters(), **settings)
    else:
        optimizer = nn.SGD(model.parameters(), momentum=0.9 * (widget.optimizer == "momentum"), **settings)
    for _ in range(epochs):
        criterion(model(X), y)
        optimizer.zero_grad()
        model.backward(criterion.backward())
        optimizer.step()
    wrong = ((model(X) > (0.5 if squared else 0)) != (y == 1)).sum()
    return criterion(model(X), y), wrong


@pytest.mark.parametrize(
    "settings",
    [
        {"width": 2, "seed": 7, "epochs": 2000},
        {"width": 4, "depth": 2, "activation": "sigmoid", "optimizer": "momentum", "epochs": 300},
        {"width": 3, "depth": 3, "activation": "relu", "optimizer": "adam", "learning_rate": 0.01, "epochs": 300},
        {
            **{"data": "blobs", "depth": 0, "criterion": "cross_entropy", "batch_size": 300},
            **{"weight_decay": 0.01, "seed": 3, "epochs": 200},
        },
    ],
    ids=["XOR", "momentum", "Adam", "logistic"],
)
def test_training_is_that_of_nnkit(browser, settings):
    widget = Playground(**settings)
    with page_with(browser, widget) as window:
        page = window.page
        train(page, widget.epochs)
        loss, wrong = nnkit_loss(widget, page, widget.epochs)
        assert get(page, "epoch") == widget.epochs
        assert get(page, "loss") == pytest.approx(loss, abs=1e-8)
        assert get(page, "wrong") == wrong
        # Python can compute beforehand what the page starts from.
        own = [module for module in widget.network() if isinstance(module, nn.Linear)]
        for layer, told in zip(own, get(page, "start"), strict=True):
            np.testing.assert_allclose(layer.weight.data, told["weight"], rtol=1e-12)
        np.testing.assert_allclose(widget.drawn(), get(page, "samples"), rtol=1e-12, atol=1e-15)
        assert window.problems == []


def test_one_step_one_epoch_and_reset(browser):
    widget = Playground(data="moons", count=10, batch_size=4)
    with page_with(browser, widget) as window:
        page = window.page
        first = get(page, "loss")
        numbers = page.locator(".nnkit-touch-playground-numbers")
        press(page, "One step")
        assert get(page, "epoch") == 0
        assert "step 1 of the next" in numbers.inner_text()
        press(page, "One step")
        press(page, "One step")
        assert get(page, "epoch") == 1
        press(page, "One epoch")
        assert get(page, "epoch") == 2
        assert get(page, "loss") < first
        assert said(page).startswith("After 2 epochs, ")
        press(page, "Reset")
        assert get(page, "epoch") == 0
        assert get(page, "loss") == first
        press(page, "Another seed")
        page.wait_for_url(re.compile(r"\?seed=1$"))
        assert get(page, "loss") != first
        assert window.problems == []


def test_play_can_be_paused(browser):
    with page_with(browser, Playground(epochs=20_000)) as window:
        page = window.page
        press(page, "Play")
        page.wait_for_function(f"({GET})('epoch') > 5")
        press(page, "Pause")
        done = get(page, "epoch")
        assert done < 20_000
        assert f"Epoch {done:,}." in page.locator(".nnkit-touch-playground-numbers").inner_text()
        page.evaluate("new Promise(requestAnimationFrame)")
        assert get(page, "epoch") == done


@pytest.mark.parametrize(
    ("state", "level", "words"),
    [
        ("seed=3", 1 / 8, "Stuck near 1/8: the loss hardly changes, and 2 of 4 points are wrong."),
        ("seed=41", 1 / 6, "Stuck near 1/6: the loss hardly changes, and 1 of 4 points is wrong. One corner"),
        ("depth=0", 1 / 4, "Stuck near 1/4: the loss hardly changes"),
    ],
)
def test_a_run_that_is_stuck_says_at_which_level(browser, state, level, words):
    with page_with(browser, Playground(), state=state) as window:
        train(window.page, 2000)
        assert get(window.page, "loss") == pytest.approx(level, abs=0.005)
        assert get(window.page, "wrong") > 0
        assert said(window.page).startswith(words)
        assert window.problems == []


def test_a_run_that_is_solved_says_so_and_colours_the_corners(browser):
    with page_with(browser, Playground(), state="seed=7") as window:
        page = window.page
        train(page, 2000)
        assert said(page) == "Solved: all four points are on the right side, and the loss is below 0.05."
        for x1, x2 in ((0.1, 0.1), (0.9, 0.9)):
            red, _, blue = answer(page, x1, x2)
            assert blue > red + 40
        for x1, x2 in ((-0.1, 1.1), (1.1, -0.1)):
            red, _, blue = answer(page, x1, x2)
            assert red > blue + 40


def test_the_tries_do_what_they_say(browser):
    with page_with(browser, Playground()) as window:
        page = window.page
        for (_, state), link in zip(Playground().tries, page.get_by_role("button", name="Try it").all(), strict=True):
            link.click()
            page.wait_for_function(
                "state => Object.entries(state).every(([name, value]) =>"
                " document.querySelector('.nnkit-touch').model.get(name) === value)",
                arg=state,
            )
        assert len(get(page, "samples")) == 120
        assert page.get_by_label("Width").input_value() == "6"
        assert page.get_by_label("Optimizer").input_value() == "adam"
        assert window.problems == []


def test_a_point_is_added_dragged_and_removed_by_mouse(browser):
    with page_with(browser, Playground()) as window:
        page = window.page
        press(page, "Class 0")
        page.mouse.click(*at(page, 0.5, 1.3))
        assert get(page, "data") == "own"
        assert len(get(page, "samples")) == 5
        np.testing.assert_allclose(get(page, "samples")[4], [0.5, 1.3, 0], atol=0.01)
        page.mouse.move(*at(page, 0.5, 1.3))
        page.mouse.down()
        page.mouse.move(*at(page, 0.8, 0.4), steps=5)
        page.mouse.up()
        np.testing.assert_allclose(get(page, "samples")[4], [0.8, 0.4, 0], atol=0.02)
        np.testing.assert_array_equal(read_points(get(page, "points")), get(page, "samples"))
        page.wait_for_url(re.compile(r"data=own&points="))
        press(page, "Remove the point")
        assert get(page, "points") == "0,0,0;0,1,1;1,0,1;1,1,0"
        press(page, "Remove all")
        press(page, "Play")
        assert said(page) == "There are no points to learn from. Click into the plane to add one."
        assert window.problems == []


def test_a_finger_adds_a_point_and_one_that_wipes_adds_none(browser):
    with page_with(browser, Playground(), width=390) as window:
        page = window.page
        start, end = at(page, 0.5, 1.3), at(page, 0.5, 0.6)
        fire = """([kind, x, y]) => document.querySelector("canvas[role=application]").dispatchEvent(
          new PointerEvent(kind, {pointerId: 1, pointerType: "touch", clientX: x, clientY: y, bubbles: true}))"""
        page.evaluate("Element.prototype.setPointerCapture = () => {}")
        for kind, (x, y) in (("pointerdown", start), ("pointermove", end), ("pointerup", end)):
            page.evaluate(fire, [kind, x, y])
        assert get(page, "data") == "xor"
        for kind in ("pointerdown", "pointerup"):
            page.evaluate(fire, [kind, *start])
        assert len(get(page, "samples")) == 5


def test_the_border_follows_a_point_that_changes_sides(browser):
    with page_with(browser, Playground(data="own", points="0,0.5,0;1,0.5,1", depth=0, epochs=400)) as window:
        page = window.page
        train(page, 400)
        assert answer(page, 0.9, 0.6)[0] > answer(page, 0.1, 0.6)[0]
        page.mouse.move(*at(page, 1, 0.5))
        page.mouse.down()
        page.mouse.move(*at(page, -0.4, 0.5), steps=8)
        page.mouse.up()
        train(page, 800)
        assert answer(page, 0.9, 0.6)[0] < answer(page, -0.3, 0.6)[0]


def test_points_by_keyboard(browser):
    with page_with(browser, Playground()) as window:
        page = window.page
        plane(page).focus()
        page.keyboard.press("n")
        assert said(page) == "Point 1 of 4, class 0, at 0.00, 0.00."
        page.keyboard.press("n")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Shift+ArrowDown")
        assert said(page) == "Point 2 is at 0.04, 0.80 now."
        assert get(page, "samples")[1] == [0.04, 0.8, 1]
        page.keyboard.press("0")
        assert get(page, "samples")[1] == [0.04, 0.8, 0]
        page.keyboard.press("Delete")
        assert get(page, "points") == "0,0,0;1,0,1;1,1,0"
        page.keyboard.press("ArrowLeft")
        assert said(page) == "The cross is at 0.46, 0.50."
        page.keyboard.press("1")
        page.keyboard.press("Enter")
        assert get(page, "points") == "0,0,0;1,0,1;1,1,0;0.46,0.5,1"
        page.keyboard.press("Escape")
        page.keyboard.press("p")
        assert said(page).startswith("Point 4 of 4")
        page.wait_for_function("document.querySelector('.nnkit-touch-heard').textContent.startsWith('Point 4 of 4')")
        assert window.problems == []


def test_own_points_are_kept_while_other_data_are_looked_at(browser):
    with page_with(browser, Playground(), state="data=own&points=0.5,0.5,1;-1,0.2,0") as window:
        page = window.page
        assert get(page, "samples") == [[0.5, 0.5, 1], [-1, 0.2, 0]]
        page.get_by_label("Data").select_option("spirals")
        page.wait_for_url(re.compile(r"\?data=spirals$"))
        page.get_by_label("Data").select_option("own")
        page.wait_for_url(re.compile(r"\?data=own&points="))
        assert get(page, "samples") == [[0.5, 0.5, 1], [-1, 0.2, 0]]


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ("1,2", 'Point 1 must be three numbers, as in 0.5,1,0: x1, x2 and the class; got "1,2".'),
        ("0,0,1;a,0,1", 'Point 2 must be three numbers, as in 0.5,1,0: x1, x2 and the class; got "a,0,1".'),
        ("0,9,1", 'Point 1 must lie between -4 and 4 in both directions; got "0,9,1".'),
        ("0,0,2", 'The class of point 1 must be 0 or 1; got "0,0,2".'),
        ("0,0,1;" * 301, "There can be at most 300 points; got 301."),
        ("", "There are no points yet. Click into the plane to add one."),
    ],
)
def test_impossible_points_are_a_sentence(browser, points, words):
    with page_with(browser, Playground(), state=f"data=own&points={points}") as window:
        page = window.page
        assert said(page) == words
        press(page, "Play")  # Nothing to learn from, and nothing breaks.
        press(page, "One step")
        page.mouse.click(*at(page, 0, 0, left=-0.5))
        assert len(get(page, "samples")) == 1
        assert window.problems == []


def test_points_without_their_data_are_a_sentence(browser):
    with page_with(browser, Playground(), state="points=0,0,1") as window:
        assert said(window.page) == "The points in the address are used only with data=own beside them."


@pytest.mark.parametrize(
    ("state", "words"),
    [("width=9", "width must be a whole number from 1 to 8"), ("optimizer=newton", "optimizer must be one of")],
)
def test_impossible_settings_are_a_sentence(browser, state, words):
    with page_with(browser, Playground(), state=state) as window:
        assert words in window.page.locator(".nnkit-touch-wrong").inner_text()
        assert window.problems == []


def test_numbers_that_grow_too_large_are_a_sentence(browser):
    state = "data=moons&width=8&depth=3&activation=relu&learning_rate=10&weight_decay=1&criterion=cross_entropy"
    with page_with(browser, Playground(), state=state) as window:
        page = window.page
        press(page, "Play")
        page.wait_for_function("document.querySelector('.nnkit-touch-says').textContent.startsWith('The numbers')")
        press(page, "One epoch")
        assert get(page, "loss") is None
        assert window.problems == []


def test_held_out_points_are_measured_and_not_learned_from(browser):
    widget = Playground(data="moons", noise=0.3, count=12, held_out=100, width=8, epochs=200)
    with page_with(browser, widget) as window:
        page = window.page
        train(page, 200)
        assert len(get(page, "samples")) == 12
        assert get(page, "held_out_loss") > get(page, "loss")
        assert re.search(
            r"Wrong: \d+ of 12, held-out \d+ of 100\.$", page.locator(".nnkit-touch-playground-numbers").inner_text()
        )
        # They are those that come after the others.
        np.testing.assert_allclose(draw_points("moons", 112, 0.3)[:12], get(page, "samples"))


def test_settings_from_outside_are_followed(browser):
    """As from Python, which sets the traits of the model."""
    with page_with(browser, Playground()) as window:
        page = window.page
        page.evaluate(
            """() => {
              const {model} = document.querySelector(".nnkit-touch");
              model.set("width", 5); model.set("data", "circles"); model.set("learning_rate", 0.07);
            }"""
        )
        page.wait_for_function(f"({GET})('samples').length === 120")
        assert [len(layer["bias"]) for layer in get(page, "start")] == [5, 1]
        assert page.get_by_label("Width").input_value() == "5"
        assert page.get_by_label("Learning rate").input_value() == "0.07"
        start = get(page, "start")
        press(page, "One epoch")
        page.get_by_label("Learning rate").select_option("0.1")  # This does not start anew.
        assert get(page, "epoch") == 1
        assert get(page, "start") == start


def test_the_fold_is_there_for_two_units(browser):
    with page_with(browser, Playground()) as window:
        page = window.page
        fold = page.get_by_role("img", name="as the two hidden units see it")
        assert fold.is_visible()
        before = fold.evaluate("canvas => canvas.toDataURL()")
        train(page, 2000)
        assert fold.evaluate("canvas => canvas.toDataURL()") != before
        page.get_by_label("Width").focus()
        page.keyboard.press("ArrowRight")
        page.get_by_text("Set the width to 2.").wait_for()
        assert not fold.is_visible()
        page.get_by_label("Depth").focus()
        page.keyboard.press("ArrowLeft")
        page.get_by_text("Without a hidden layer the plane stays as it is").wait_for()
        assert not page.get_by_role("img", name="A small picture of the plane for each hidden unit").is_visible()
        assert window.problems == []


def test_where_nothing_should_move_play_goes_to_its_end(browser):
    with page_with(browser, Playground(epochs=20_000)) as window:
        page = window.page
        page.emulate_media(reduced_motion="reduce")
        page.evaluate(
            """() => {
              window.drawn = window.frames_ = 0;
              const real = CanvasRenderingContext2D.prototype.putImageData;
              CanvasRenderingContext2D.prototype.putImageData = function (...all) {
                window.drawn++;
                real.apply(this, all);
              };
              const count = () => { window.frames_++; requestAnimationFrame(count); };
              count();
            }"""
        )
        press(page, "Play")
        page.wait_for_function(f"({GET})('epoch') === 20000")
        # Two units, the surface and the fold are four pictures; they are drawn at the end, and once a second before.
        drawn, frames = page.evaluate("[window.drawn / 4, window.frames_]")
        assert 1 <= drawn <= 2 + frames / 4


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390, 320])
def test_it_fits(browser, width, scheme):
    with page_with(browser, Playground(width=8, depth=3), width=width, scheme=scheme) as window:
        page = window.page
        page.locator("details").evaluate("details => { details.open = true; }")
        assert_fits(page)
        room = page.locator(".nnkit-touch").bounding_box()
        for each in page.locator(".nnkit-touch").locator("canvas, button, select, input").all():
            box = each.bounding_box()
            if box is not None:
                assert box["x"] + box["width"] <= room["x"] + room["width"]
        for target in page.locator(".nnkit-touch").locator("button, select, input").all():
            box = target.bounding_box()
            assert box is None or box["height"] >= 44
        # The paper of the theme, where the network is not sure: no colour of another theme.
        assert (max(answer(page, 1.45, 1.45)) < 160) == (scheme == "dark")
        assert window.problems == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"points": "1,2"}, r"points\[0\] must be three numbers.*'1,2'"),
        ({"points": "0,0,0;0,5,1"}, r"points\[1\] must have coordinates from -4 to 4; got '0,5,1'"),
        ({"points": "0,0,3"}, r"points\[0\] must be of class 0 or 1"),
        ({"points": "0,0,1;" * 301}, "points must be at most 300; got 301"),
        ({"width": 9}, "'width'.*value of 9"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"data": "rings"}, "rings"),
    ],
)
def test_bad_settings_name_what_came(settings, words):
    with pytest.raises(ValueError, match=words):
        Playground(**settings)


@pytest.mark.parametrize(
    "settings",
    [{}, {"data": "blobs", "depth": 0, "criterion": "cross_entropy"}, {"data": "own"}, {"data": "spirals", "width": 8}],
)
def test_the_still_picture_is_small(settings):
    widget = Playground(**settings)
    size = widget.still().get_size_inches()
    assert size[0] <= 5.8
    assert size[1] <= 2.8
    assert len(widget.static_html()) < 40_000
