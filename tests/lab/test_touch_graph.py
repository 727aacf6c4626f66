"""The graph under the hand: every value and every gradient is nnkit's, in the order of the chapter."""

from __future__ import annotations

import numpy as np
import pytest

from lab.touch import Graph
from tests.lab.touching import page_with
from tests.website import visit

pytestmark = pytest.mark.site

NUMBERS = {
    **{"x\u2081": "x_1", "x\u2082": "x_2", "b\u2081, entry 1": "b1_1", "b\u2081, entry 2": "b1_2", "b\u2082": "b2"},
    **{f"W\u2081, row {i}, column {j}": f"W1_{i}{j}" for i in (1, 2) for j in (1, 2)},
    **{f"W\u2082, row {i}": f"W2_{i}" for i in (1, 2)},
}


def state(page):
    return page.evaluate("document.querySelector('.nnkit-touch').model.state")


def now(page):
    return Graph(**{name: value for name, value in state(page).items() if name in Graph.class_trait_names()})


def said(page):
    return page.locator(".nnkit-touch-says").inner_text()


def read(text):
    return float(text.replace("\N{MINUS SIGN}", "-")) if text not in ("", "?") else None


def box(page, label):
    return page.get_by_label(label, exact=True)


def nodes(page):
    """Return value and gradient of each circle, by its letter."""
    rows = page.eval_on_selector_all(
        ".nnkit-graph-node",
        "all => all.map(node => [node.querySelector('b').textContent, node.querySelector('.nnkit-graph-value')"
        "?.textContent ?? '', node.querySelector('.nnkit-graph-gradient').textContent])",
    )
    return {name: (read(value), read(gradient)) for name, value, gradient in rows}


def gradients(page):
    """Return the gradient that stands below each number, by the name of the trait."""
    shown = nodes(page)
    found = {}
    for label, name in NUMBERS.items():
        if name.startswith("x"):
            found[name] = shown[label][1]
        else:
            text = box(page, label).locator("xpath=following-sibling::span").inner_text()
            found[name] = read(text)
    return found


def expected(graph):
    """Return nnkit's gradients by the names of the traits."""
    g = graph.gradients
    return {
        **{"x_1": g["x"][0, 0], "x_2": g["x"][0, 1], "b1_1": g["b1"][0], "b1_2": g["b1"][1], "b2": g["b2"][0]},
        **{f"W1_{i}{j}": g["W1"][i - 1, j - 1] for i in (1, 2) for j in (1, 2)},
        **{f"W2_{i}": g["W2"][i - 1, 0] for i in (1, 2)},
    }


def assert_as_nnkit(page):
    graph = now(page)
    given, wanted = graph.arrays, expected(graph)
    shown = gradients(page)
    for name, value in wanted.items():
        assert shown[name] == pytest.approx(value, rel=1e-3), name
    Z = given["x"] @ given["W1"] + given["b1"]
    H = np.maximum(0, Z)
    out = (H @ given["W2"] + given["b2"])[0, 0]
    circles = nodes(page)
    letters = ("z\u2081", "z\u2082", "h\u2081", "h\u2082", "y\u0302", "L")
    for letter, value in zip(letters, [*Z[0], *H[0], out, graph.loss], strict=True):
        assert circles[letter][0] == pytest.approx(value, rel=1e-3), letter


def test_it_begins_as_the_pencil(browser):
    with page_with(browser, Graph()) as window:
        assert nodes(window.page) == {
            **{"x\u2081": (None, 1), "x\u2082": (None, 0.5), "z\u2081": (2, 1), "z\u2082": (-1, 0)},
            **{"h\u2081": (2, 1), "h\u2082": (0, 3), "y\u0302": (2.5, 1), "L": (0.25, 1)},
        }
        assert_as_nnkit(window.page)
        assert np.array_equal(Graph().gradients["W1"], [[1, 0], [2, 0]])
        assert Graph().loss == 0.25
        assert window.problems == []


@pytest.mark.parametrize("label", [*NUMBERS, "y"])
def test_any_number_can_be_changed(browser, label):
    with page_with(browser, Graph(b1_2=0.5)) as window:  # Both units are open.
        field = box(window.page, label)
        field.fill("-1.25")
        assert state(window.page)[NUMBERS.get(label, label)] == -1.25
        assert_as_nnkit(window.page)
        assert f"{label} is \N{MINUS SIGN}1.25" in said(window.page)
        assert window.problems == []


def test_the_exercise_is_at_the_kink(browser):
    with page_with(browser, Graph()) as window:
        box(window.page, "x\u2081").fill("2")
        box(window.page, "x\u2082").fill("4")
        assert_as_nnkit(window.page)
        circles = nodes(window.page)
        assert circles["z\u2082"] == (0, 0)
        assert circles["L"][0] == 6.25
        assert circles["x\u2082"][1] == 2.5


def test_it_goes_forward_then_backward_a_node_at_a_time(browser):
    with page_with(browser, Graph()) as window:
        page = window.page
        page.get_by_role("button", name="To the start").click()
        assert all(value is None and gradient is None for value, gradient in nodes(page).values())
        assert all(gradient is None for gradient in gradients(page).values())
        known, sentences = [], []
        for _ in range(16):
            page.get_by_role("button", name="Step", exact=True).click()
            circles = nodes(page)
            known.append(
                sum(value is not None for value, _ in circles.values())
                + sum(gradient is not None for _, gradient in circles.values())
            )
            sentences.append(said(page))
        assert known == [1, 2, 3, 4, 5, 6, 8, 8, 9, 10, 11, 12, 12, 13, 14, 14]
        assert [sentence.split(":")[0] for sentence in sentences[:15]] == ["Forward"] * 6 + ["Backward"] * 9
        assert "1 \u00b7 1 + 2 \u00b7 0.5 + 0 = 2." in sentences[0]
        assert "(2.5 \N{MINUS SIGN} 2)\u00b2 = 0.25" in sentences[5]
        assert "is shut: factor 0" in sentences[11]
        assert "Their sum is 1 \u00b7 0.5 + 0 \u00b7 1 = 0.5." in sentences[14]
        assert page.get_by_role("button", name="Step", exact=True).is_disabled()
        page.get_by_role("button", name="One step back").click()
        assert state(page)["step"] == 15
        assert window.problems == []


def test_the_local_derivative_stands_on_its_edge(browser):
    with page_with(browser, Graph(y=1.0)) as window:
        page = window.page
        texts = page.locator(".nnkit-graph svg text").all_text_contents()
        assert sorted(texts) == sorted(["\u00d7 1"] * 4 + ["\u00d7 0", "\u00d7 3", "\u00d7 \N{MINUS SIGN}3"])
        box(page, "b\u2081, entry 2").fill("0")
        assert "\u00d7 0" not in page.locator(".nnkit-graph svg text").all_text_contents()


def test_keys_change_a_number_and_the_address_keeps_it(browser):
    with page_with(browser, Graph()) as window:
        page = window.page
        box(page, "x\u2082").focus()
        page.keyboard.press("ArrowUp")
        assert state(page)["x_2"] == 2.5
        page.wait_for_function("location.hash.includes('x_2=2.5')")
        page.reload()
        page.wait_for_selector(".nnkit-touch[data-state=alive]")
        assert box(page, "x\u2082").input_value() == "2.5"
        assert_as_nnkit(page)
        assert window.problems == []


@pytest.mark.parametrize("bad", ["", "1000", "-"])
def test_what_is_no_number_is_a_sentence(browser, bad):
    with page_with(browser, Graph()) as window:
        page = window.page
        field = box(page, "W\u2082, row 1")
        field.fill("")
        field.press_sequentially(bad)
        assert "W\u2082, row 1 must be a number from \N{MINUS SIGN}99 to 99. It is still" in said(page)
        assert field.get_attribute("aria-invalid") == "true"
        page.keyboard.press("Tab")
        assert field.input_value() == str(state(page)["W2_1"])
        assert field.get_attribute("aria-invalid") is None
        assert_as_nnkit(page)
        assert window.problems == []


def test_a_state_that_cannot_be_is_a_sentence(browser):
    with page_with(browser, Graph(), state="x_1=many&step=99&y=3") as window:
        wrong = window.page.locator(".nnkit-touch-wrong").inner_text()
        assert 'x_1 must be a number from -99 to 99; got "many".' in wrong
        assert "step must be a whole number from 0 to 16" in wrong
        assert state(window.page)["y"] == 3
        assert window.problems == []
    with pytest.raises(ValueError, match="x_1"):
        Graph(x_1=1000)


def test_it_fits_a_phone_and_nothing_lies_on_another(browser):
    wide = Graph(x_1=-12.25, x_2=12.5, W1_11=-1.75, W2_2=-12.5, b1_2=10.25)
    for width, layout in ((1400, "wide"), (390, "narrow"), (320, "narrow")):
        with page_with(browser, wide, width=width, scheme="dark" if width == 390 else "light") as window:
            page = window.page
            assert page.locator(".nnkit-graph").get_attribute("data-layout") == layout
            visit.assert_fits(page)
            boxes = page.eval_on_selector_all(
                ".nnkit-graph input, .nnkit-graph b, .nnkit-graph-value, .nnkit-graph-gradient, .nnkit-graph text",
                "all => all.filter(one => one.textContent || one.value).map(one => {"
                " const b = one.getBoundingClientRect();"
                " return [one.textContent || one.value, b.left, b.top, b.right, b.bottom]; })",
            )
            for i, (a, left, top, right, bottom) in enumerate(boxes):
                for b, *other in boxes[:i]:
                    across = min(right, other[2]) - max(left, other[0])
                    down = min(bottom, other[3]) - max(top, other[1])
                    assert across < 2 or down < 4, f"{a} lies on {b} at {width}"
            assert window.problems == []
