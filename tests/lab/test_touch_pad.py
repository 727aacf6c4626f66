"""The pad, drawn on as a person would: with the mouse, a finger and the keyboard; nnkit says what must come out."""

from __future__ import annotations

import re

import numpy as np
import pytest

import nnkit as nn
from lab.touch import stored
from lab.touch.pad import EACH, Pad
from lab.touch.weights import packed_digits, rounded
from tests.lab.test_touch_weights import page_with_modules
from tests.lab.touching import page_with
from tests.website import axe
from tests.website.visit import assert_fits

pytestmark = pytest.mark.site

SEVEN = [[(70, 70), (200, 66), (180, 110), (125, 230)]]
ONE = [[(140, 60), (136, 140), (132, 225)]]
ZERO = [[(140 + 55 * np.sin(turn), 140 - 80 * np.cos(turn)) for turn in np.linspace(0, 2 * np.pi, 25)]]


_PIXELS = """label => {
  const canvas = document.querySelector(`canvas[aria-label^="${label}"]`);
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  const size = canvas.width / 28;
  const middle = (i) => Math.floor((i + 0.5) * size);
  const pixel = (i) => copy.getImageData(middle(i % 28), middle(Math.floor(i / 28)), 1, 1).data;
  return Array.from({ length: 784 }, (_, i) => [...pixel(i)]);
}"""


def draw(page, strokes):
    """Draw strokes, in the coordinates of the pad, by the mouse."""
    surface = page.locator(".nnkit-touch-surface")
    surface.scroll_into_view_if_needed()
    box = surface.bounding_box()
    scale = box["width"] / 280
    for stroke in strokes:
        path = [(box["x"] + x * scale, box["y"] + y * scale) for x, y in stroke]
        page.mouse.move(*path[0])
        page.mouse.down()
        for place in path[1:]:
            page.mouse.move(*place, steps=6)
        page.mouse.up()


def says(page, words):
    """Wait until the pad says this, and return the whole sentence."""
    page.wait_for_function(
        "words => document.querySelector('.nnkit-touch-says').textContent.includes(words)", arg=words
    )
    return page.locator(".nnkit-touch-says").inner_text()


def of_model(page, name):
    return page.evaluate("name => document.querySelector('.nnkit-touch').model.get(name)", name)


def picture(page):
    """Return what the network gets, shape (1, 784)."""
    bytes_of_ink = np.array(of_model(page, "picture"))
    assert bytes_of_ink.shape == (784,)
    return bytes_of_ink[None] / 255


def colors(page, label):
    """Return red, green, blue and opacity of the 784 pixels of a picture, by the start of its description."""
    return np.array(page.evaluate(_PIXELS, label))


@pytest.mark.parametrize(("strokes", "digit"), [(SEVEN, 7), (ONE, 1), (ZERO, 0)])
def test_a_drawn_digit_is_read(browser, strokes, digit):
    pad = Pad()
    with page_with(browser, pad) as window:
        page = window.page
        assert "The pad is empty. Draw a digit" in says(page, "empty")
        draw(page, strokes)
        says(page, f"The network reads {digit}, with a probability of")
        x = picture(page)
        shares = nn.softmax(rounded(pad.data["network"]).forward(x))[0]
        assert shares.argmax() == digit
        best = page.locator(".nnkit-touch-best")
        assert best.inner_text().split()[0] == str(digit)
        bars = page.eval_on_selector_all(".nnkit-touch-bar", "bars => bars.map((bar) => parseFloat(bar.style.width))")
        assert np.allclose(bars, 100 * shares, atol=1e-3)
        # Centred as MNIST was: the centre of mass in the middle, and 20 pixels from end to end.
        ink = x.reshape(28, 28)
        middle = [(ink.sum(axis=axis) @ (np.arange(28) + 0.5)) / ink.sum() for axis in (0, 1)]
        assert np.allclose(middle, 14, atol=0.1)
        sides = [np.ptp(np.flatnonzero((ink > 0.05).any(axis=axis))) + 1 for axis in (0, 1)]
        assert 19 <= max(sides) <= 22
        assert np.allclose(colors(page, "The picture of 28 by 28")[:, 3][ink.ravel() == 1], 255)
        assert window.problems == []


def test_a_small_drawing_aside_is_the_same_digit(browser):
    with page_with(browser, Pad()) as window:
        draw(window.page, [[(20 + x / 3, 170 + y / 3) for x, y in stroke] for stroke in SEVEN])
        says(window.page, "The network reads 7")


def test_hidden_units_and_reasons_are_those_of_nnkit(browser):
    pad = Pad(sample=115)
    with page_with(browser, pad) as window:
        page = window.page
        says(page, "The network reads 9")  # It is a 4.
        model, x = rounded(pad.data["network"]), picture(page)
        for i, place in enumerate((2, 4)):
            alive = int((model[:place].forward(x) > 0).sum())
            text = page.locator(".nnkit-touch-hidden p").nth(i).inner_text()
            assert text.startswith(f"Hidden layer {i + 1}: {alive} of {(64, 32)[i]} units answer")
        logits = model.forward(x)[0]
        second, best = np.argsort(logits)[-2:]
        lead = np.zeros((1, 10))
        lead[0, [best, second]] = 1, -1
        parts = (x * model.backward(lead))[0]
        label = f"Which ink speaks for {best} and which for {second}"
        red, _, blue, alpha = colors(page, label).T
        strong = np.abs(parts) > 0.3 * np.abs(parts).max()
        assert strong.sum() > 5
        assert np.array_equal(red[strong] > blue[strong], parts[strong] > 0)
        assert np.allclose(alpha / 255, np.abs(parts) / np.abs(parts).max(), atol=0.03)


def test_undo_clear_and_a_test_digit(browser):
    with page_with(browser, Pad()) as window:
        page = window.page
        undo, clear = page.get_by_role("button", name="Undo the last stroke"), page.get_by_role("button", name="Clear")
        assert undo.is_disabled()
        assert clear.is_disabled()
        draw(page, [*ONE, [(40, 40)]])
        one = of_model(page, "strokes")
        assert len(one) == 2
        undo.click()
        says(page, "The network reads 1")
        clear.click()
        says(page, "The pad is empty")
        assert of_model(page, "picture") == []
        slider = page.get_by_role("slider", name="Test digit")
        slider.focus()
        page.keyboard.press("ArrowRight")
        says(page, "The network reads 7")
        assert slider.get_attribute("aria-valuetext") == "0: a 7"
        page.wait_for_url(re.compile(r"\?sample=0$"))
        assert np.array_equal(of_model(page, "picture"), stored.digits()[0][0])
        draw(page, ONE)  # A drawing takes its place.
        says(page, "The network reads 1")
        assert slider.get_attribute("aria-valuetext") == "none"
        page.wait_for_url(lambda url: "sample=0" not in url)
        assert window.problems == []


def test_the_keyboard_draws(browser):
    with page_with(browser, Pad(), width=390) as window:
        page = window.page
        page.locator(".nnkit-touch-surface").focus()
        before = page.evaluate("scrollY")
        for key in ["Shift+ArrowUp"] * 2 + ["ArrowRight"]:
            page.keyboard.press(key)
        says(page, "Pen up, 15 from the left and 6 from the top, of 28. The pad is empty.")
        page.keyboard.press(" ")
        for _ in range(16):
            page.keyboard.press("ArrowDown")
        says(page, "Pen down, 15 from the left and 22 from the top, of 28. The network reads 1")
        page.keyboard.press(" ")
        says(page, "Pen up")
        page.keyboard.press("ArrowLeft")
        assert [len(stroke) for stroke in of_model(page, "strokes")] == [17]
        page.keyboard.press("Backspace")
        says(page, "The pad is empty")
        assert page.evaluate("scrollY") == before  # The keys were the pad's.
        page.wait_for_function("document.querySelector('.nnkit-touch-heard').textContent.includes('The pad is empty')")
        assert window.problems == []


def test_a_finger_draws_and_the_page_stays(browser):
    with page_with(browser, Pad(), width=390) as window:
        page = window.page
        surface = page.locator(".nnkit-touch-surface")
        surface.scroll_into_view_if_needed()
        box, before = surface.bounding_box(), page.evaluate("scrollY")
        scale = box["width"] / 280
        finger = page.context.new_cdp_session(page)

        def touch(kind, *points):
            places = [{"x": box["x"] + x * scale, "y": box["y"] + y * scale} for x, y in points]
            finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

        finger.send("Emulation.setTouchEmulationEnabled", {"enabled": True})
        path = np.array(ONE[0])
        touch("touchStart", path[0])
        for share in np.linspace(0, 1, 12)[1:]:
            touch("touchMove", path[0] + share * (path[-1] - path[0]))
        touch("touchEnd")
        says(page, "The network reads 1")
        assert page.evaluate("scrollY") == before
        assert window.problems == []


def reconstruction(pad, x, code=None):
    if code is None:
        code = rounded(pad.data["encoder"]).forward(x)
    return nn.Sigmoid().forward(rounded(pad.data["decoder"]).forward(code)), code


def test_the_code_can_be_moved_and_the_digit_follows(browser):
    pad = Pad("encode")
    with page_with(browser, pad) as window:
        page = window.page
        draw(page, SEVEN)
        said = says(page, "Drawn again from 32 numbers")
        x = picture(page)
        drawn, code = reconstruction(pad, x)
        assert f"mean squared error of {np.mean((drawn - x) ** 2):.4f} a pixel" in said
        assert np.allclose(colors(page, "The digit drawn from the code")[:, 3] / 255, drawn, atol=0.02)
        bars = page.get_by_role("slider", name=re.compile("of the code$"))
        assert bars.count() == 32
        values = [float(bar.get_attribute("aria-valuenow")) for bar in bars.all()]
        assert np.allclose(values, code, atol=0.006)
        # By keyboard: one bar is in the order of tabs, and the arrow keys lead to the others.
        assert [bar.get_attribute("tabindex") for bar in bars.all()] == ["0"] + ["-1"] * 31
        bars.nth(0).focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Shift+ArrowUp")
        reach = pad.data["reach"]
        said = says(page, "You have moved one number.")
        moved = np.array(of_model(page, "code"))
        expected = code[0] + np.eye(32)[1] * reach / 4
        assert np.allclose(moved, expected.clip(-reach, reach), atol=1e-9)
        assert said.startswith(f"Number 2 is {moved[1]:.1f}; the drawing has {code[0, 1]:.1f} there.")
        drawn, _ = reconstruction(pad, x, moved[None])
        assert np.allclose(colors(page, "The digit drawn from the code")[:, 3] / 255, drawn, atol=0.02)
        # By mouse, to the top.
        bar = bars.nth(20)
        bar.scroll_into_view_if_needed()
        box = bar.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] - 5, steps=4)
        page.mouse.up()
        says(page, "You have moved 2 numbers.")
        assert of_model(page, "code")[20] == reach
        page.get_by_role("button", name="Back to the drawing's code").click()
        says(page, "Drawn again from 32 numbers")
        assert of_model(page, "code") == []
        # Another digit brings its own code.
        bars.nth(0).focus()
        page.keyboard.press("End")
        page.get_by_role("slider", name="Test digit").focus()
        page.keyboard.press("ArrowRight")
        says(page, "Drawn again from 32 numbers")
        assert of_model(page, "code") == []
        assert window.problems == []


def test_noise_is_added_and_cleaned(browser):
    pad = Pad("denoise")
    modules = page_with_modules(browser, "parts")
    draws = modules.evaluate(
        """seeds => seeds.map((seed) => {
          const next = made.parts.random(seed);
          return Array.from({ length: 784 }, () => made.parts.normal(next));
        })""",
        [0, 1],
    )
    modules.close()

    def sentence(sigma, seed):
        noisy = x + sigma * np.array(draws[seed])
        errors = (np.mean((each - x) ** 2) for each in (noisy, reconstruction(pad, noisy)[0]))
        return "adds a mean squared error of {:.3f} a pixel; after cleaning it is {:.3f}.".format(*errors)

    with page_with(browser, pad, state="sigma=0.6&sample=8") as window:
        page = window.page
        says(page, "after cleaning")
        x = stored.digits()[0][stored.sample(EACH["denoise"])[8]][None] / 255
        says(page, sentence(0.6, 0))
        page.get_by_role("button", name="Other noise").click()
        says(page, sentence(0.6, 1))
        page.wait_for_url(re.compile("seed=1"))
        slider = page.get_by_role("slider", name="Noise")
        slider.focus()
        page.keyboard.press("Home")
        says(page, sentence(0, 1))
        page.keyboard.press("End")
        says(page, sentence(1, 1))
        assert window.problems == []


def test_neighbours_and_their_votes_are_those_of_nnkit(browser):
    pad = Pad("neighbours")
    pixels, labels, _ = stored.digits()
    voters, asked = pad._voters(), stored.sample(EACH["neighbours"])
    page = page_with_modules(browser, "padviews")
    found = page.evaluate(
        """([voters, asked]) => {
          const [from, to] = [voters, asked].map(made.weights.unpackedDigits);
          const vote = (i, k) => made.padviews.voted(to.of(i), from, k);
          return to.labels.map((_, i) => Array.from({ length: 25 }, (_, k) => vote(i, k + 1)));
        }""",
        [packed_digits(pixels[each], labels[each]) for each in (voters, asked)],
    )
    page.close()
    X = pixels.astype(np.float64)
    for k in range(1, 26):
        knn = nn.KNeighborsClassifier(k).fit(X[voters], labels[voters])
        distances, nearest = knn.kneighbors(X[asked])
        at = [row[k - 1] for row in found]
        assert np.array_equal([one["answer"] for one in at], knn.predict(X[asked]))
        assert np.array_equal([one["nearest"] for one in at], nearest)
        assert np.allclose([one["distances"] for one in at], distances / 255)
        assert np.allclose(np.array([one["votes"] for one in at]) / k, knn.predict_proba(X[asked]))


def test_the_number_of_neighbours_can_be_moved(browser):
    pad = Pad("neighbours")
    pixels, labels, _ = stored.digits()
    voters = pad._voters()
    with page_with(browser, pad, state="k=3") as window:
        page = window.page
        for k, key in ((3, None), (4, "ArrowRight"), (25, "End"), (1, "Home")):
            slider = page.get_by_label("Neighbours k")
            slider.focus()
            if key:
                page.keyboard.press(key)
            draw(page, SEVEN)
            knn = nn.KNeighborsClassifier(k).fit(pixels[voters] / 255, labels[voters])
            x = picture(page)
            answer = knn.predict(x)[0]
            says(page, "the nearest is" if k == 1 else f"the {k} nearest say {answer}, by")
            near = page.locator(".nnkit-touch-near li:visible").all_inner_texts()
            distances, nearest = knn.kneighbors(x)
            assert near == [f"{labels[voters[i]]}, {d:.1f}" for i, d in zip(nearest[0], distances[0], strict=True)]
            assert page.locator(".nnkit-touch-best").inner_text().split()[0] == str(answer)
            page.get_by_role("button", name="Clear").click()
            says(page, "The pad is empty")
            assert page.locator(".nnkit-touch-near li:visible").count() == 0
        page.wait_for_url(re.compile("k=1"))
        assert window.problems == []


@pytest.mark.parametrize(
    ("mode", "state", "told", "wrong"),
    [
        ("classify", "sample=300", "The pad is empty", 'sample must be a whole number from -1 to 299; got "300".'),
        ("encode", "sample=30", "There are 30 test digits here, from 0 to 29; got 30.", ""),
        ("denoise", "sigma=1.5", "after cleaning", 'sigma must be a number from 0 to 1; got "1.5".'),
        ("denoise", "seed=x", "after cleaning", "seed must be a whole number"),
        ("neighbours", "k=0", "the 5 nearest say", 'k must be a whole number from 1 to 25; got "0".'),
    ],
)
def test_what_an_address_cannot_mean_is_a_sentence(browser, mode, state, told, wrong):
    with page_with(browser, Pad(mode), state=state) as window:
        says(window.page, told)
        assert wrong in window.page.locator(".nnkit-touch-wrong").inner_text()
        draw(window.page, SEVEN)  # And it goes on.
        window.page.wait_for_function("document.querySelector('.nnkit-touch').model.get('picture').length === 784")
        assert window.problems == []


def test_weights_that_do_not_fit_their_header_are_a_sentence(browser):
    for mode, role in (("classify", "network"), ("encode", "encoder"), ("denoise", "decoder")):
        data = dict(Pad(mode).data)
        data[role] = [data[role][0] | {"out": 65}, *data[role][1:]]
        pad = Pad(mode)
        pad._start["data"] = data
        with page_with(browser, pad) as window:
            says(
                window.page,
                "This pad cannot work. The scales of layer 1 do not fit their header: 65 numbers are expected",
            )
            assert window.page.locator("canvas").count() == 0
            assert window.problems == []


@pytest.mark.parametrize("mode", EACH)
def test_every_mode_fits_a_phone_and_can_be_used_by_all(browser, mode):
    with page_with(browser, Pad(mode), width=390, scheme="dark") as window:
        page = window.page
        draw(page, SEVEN)
        page.wait_for_function("document.querySelector('.nnkit-touch').model.get('picture').length === 784")
        assert_fits(page)
        # Nothing hangs out of the widget, and what is pressed is large enough.
        inside = page.eval_on_selector_all(
            ".nnkit-touch-live *",
            """all => {
              const edge = document.querySelector('.nnkit-touch').getBoundingClientRect().right;
              const outside = all.filter((one) => one.getBoundingClientRect().right > edge);
              return outside.map((one) => one.outerHTML.slice(0, 80));
            }""",
        )
        assert inside == []
        for button in page.locator(".nnkit-touch-live button, .nnkit-touch-live input").all():
            assert button.bounding_box()["height"] >= 44
        small = page.eval_on_selector_all(
            ".nnkit-touch-live *",
            "all => all.map((one) => parseFloat(getComputedStyle(one).fontSize)).filter((s) => s < 12)",
        )
        assert small == []
        page.evaluate(
            "document.querySelectorAll('.nnkit-touch-tries a').forEach((link) => link.remove())"
        )  # The site's.
        axe.check(page)
        assert window.problems == []


def test_python_sees_and_sets_the_digit():
    pad = Pad()
    assert pad.digit.shape == (784,)
    assert pad.digit.dtype == np.float32
    assert not pad.digit.any()
    pad.sample = 3
    assert np.array_equal(pad.digit, stored.digits()[0][3] / np.float32(255))
    pad.digit = np.linspace(0, 1, 784)
    assert pad.sample == -1
    assert np.allclose(pad.digit, np.linspace(0, 1, 784), atol=0.5 / 255)
    pad.picture = [0] * 783 + [255]  # What the page sends.
    assert pad.digit.sum() == pad.digit[783] == 1


@pytest.mark.parametrize("ink", [np.zeros(783), np.full(784, 1.5), np.full(784, -0.1), np.full(784, np.nan), "seven"])
def test_a_digit_that_cannot_be_is_refused(ink):
    with pytest.raises((ValueError, TypeError), match="digit must"):
        Pad().digit = ink


def test_a_digit_from_python_is_on_the_pad(browser):
    pad = Pad()
    pad.digit = stored.digits()[0][5] / 255
    pad._start["picture"] = pad.picture
    with page_with(browser, pad) as window:
        says(window.page, f"The network reads {stored.digits()[1][5]}")


_NOTEBOOK = """async ([text, state]) => {
  const { default: widget } = await import(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
  const heard = {};
  window.model = {
    get: (name) => state[name],
    set: (name, value) => { state[name] = value; heard[`change:${name}`]?.(); },
    save_changes() {},
    on: (event, hear) => (heard[event] = hear),
    off: (event) => delete heard[event],
  };
  const el = document.body.appendChild(document.createElement("div"));
  window.end = widget.render({ model, el });
  return heard["change:sample"] !== undefined;
}"""


@pytest.mark.parametrize("mode", EACH)
def test_the_module_of_a_notebook_follows_python(browser, mode):
    pad, page = Pad(mode), browser.new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    assert page.evaluate(_NOTEBOOK, [pad._esm, pad._start])
    page.evaluate("model.set('sample', 2)")
    page.wait_for_function("document.querySelector('.nnkit-touch-says').textContent.match(/1|error|votes/)")
    pad.sample = 2
    assert np.array_equal(page.evaluate("model.get('picture')"), pad.picture)
    page.evaluate("end()")
    assert problems == []
    page.close()


def test_another_network_can_answer(browser):
    model = nn.Sequential(nn.Linear(784, 12, rng=1), nn.Tanh(), nn.Linear(12, 10, rng=1), nn.Softmax())
    pad = Pad(network=model, sample=4)
    with page_with(browser, pad) as window:
        x = stored.digits()[0][4][None] / 255
        shares = rounded(pad.data["network"]).forward(x)[0]
        says(window.page, f"The network reads {shares.argmax()}")
        assert "12 of 12 units" in window.page.locator(".nnkit-touch-hidden p").inner_text()
        assert window.problems == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"mode": "guess"}, "mode must be one of classify, encode, denoise, neighbours; got 'guess'"),
        ({"mode": "encode", "sample": 30}, "sample must be from -1 to 29 in mode 'encode'; got 30"),
        ({"k": 26}, "'k'"),
        ({"mode": "denoise", "network": nn.Linear(784, 10)}, "network must be None unless mode is 'classify'"),
        ({"network": nn.Linear(784, 9)}, "network must take 784 pixels and return 10 logits"),
    ],
)
def test_bad_settings_name_what_came(arguments, says):
    with pytest.raises(ValueError, match=says):
        Pad(**arguments)


@pytest.mark.parametrize("mode", EACH)
def test_a_pad_is_small_and_has_a_still_picture(mode):
    page = Pad(mode).html()  # At most 700 kB, or it is an error.
    assert page.count("<svg") >= 2
    assert len(Pad(mode).static_html()) < 30_000
    names = [text for text, _ in Pad(mode).tries]
    assert len(names) >= 3
    assert len({Pad(each).title for each in EACH}) == 4
