from __future__ import annotations

import re
import sys

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest

from lab.sliders import Lab, lab
from tests.frames import frames_of

matplotlib.use("agg")


def draw(slope, kind="line"):
    figure, ax = plt.subplots(figsize=(3, 2))
    ax.plot([0, 1], [0, slope], ":" if kind == "dots" else "-")
    return figure, f"The slope is {slope}."


@pytest.fixture
def two_sliders() -> Lab:
    return lab(draw, title="Slopes & kinds", slope=[1, 2.5, -3], kind=["line", "dots"])


def test_last_slider_varies_fastest(two_sliders):
    texts = [text for _, text in two_sliders.frames()]
    assert texts[0] == "Slope 1, kind line. The slope is 1."
    assert texts[1] == "Slope 1, kind dots. The slope is 1."
    assert texts[5] == "Slope -3, kind dots. The slope is -3."


def test_html_contains_every_frame_and_a_labelled_slider_per_grid(two_sliders):
    page = two_sliders.html()
    assert frames_of(page) == two_sliders.frames()
    assert page.count('<input type="range"') == 2
    for name in ("slope", "kind"):
        assert f'<label for="lab-slopes-kinds-{name}">{name}</label>' in page
    assert 'role="img" aria-label="Slope 1, kind line. The slope is 1."' in page
    assert 'aria-label="Lab: Slopes &amp; kinds"' in page
    assert 'id="lab-slopes-kinds"' in page
    assert set(re.findall(r"https?://[^\"' ]*", page)) == {"http://www.w3.org/2000/svg"}
    assert page.count('<svg class="nnkit-wide"') == page.count('<svg class="nnkit-narrow"') == 1
    assert '<output for="lab-slopes-kinds-slope">1</output>' in page
    assert 'data-longest="2.5"' in page
    assert 'data-longest="Slope 2.5, kind line. The slope is 2.5. and more"' in page


def test_equal_values_that_print_differently_get_separate_frames():
    def name(V):
        return plt.figure(figsize=(2, 1)), f"It is {V!r}."

    expected = ["V 0. It is 0.", "V False. It is False.", "V True. It is True.", "V 1. It is 1.", "V -0. It is -0.0."]
    grid = [0, False, True, 1, -0.0]
    equal = lab(name, title="Equal", V=grid)
    assert [text for _, text in frames_of(equal.html())] == expected
    assert [equal.frame(V=value)[1] for value in grid] == expected
    assert equal.frame(V=1.0)[1] == "V 1. It is 1."
    _, slider, _, readout = equal.widget().children
    for index in (1, 2, 3, 2, 1, 4, 0):
        slider.index = index
        assert expected[index] in readout.value


def test_values_need_not_be_hashable():
    sizes = lab(lambda sizes: draw(len(sizes)), title="Sizes", sizes=[[2], [2, 3]])
    assert sizes.frames()[1][1] == "Sizes [2, 3]. The slope is 2."
    assert sizes.frame(sizes=[2, 3]) == sizes.frames()[1]


def test_sentence_cannot_close_the_script_tag():
    page = lab(lambda a: (draw(a)[0], "</script><b>"), title="Trap", a=[1, 2]).html()
    assert frames_of(page)[1][1].endswith("</script><b>")
    assert page.count("</script>") == 2


def test_picture_is_sharp_and_follows_the_theme():
    def mark(colour):
        figure, ax = plt.subplots(figsize=(4, 3))
        ax.imshow([[i + j for i in range(50)] for j in range(50)], cmap="Blues", aspect="auto")
        ax.plot(25, 25, "s", color=colour, markersize=3)
        return figure

    picture, text = lab(mark, title="Mark", colour=["#D55E00"]).frame(colour="#D55E00")
    assert text == "Colour #D55E00."
    assert 'width="400" height="300" viewBox="0 0 288 216"' in picture
    assert "fill:var(--figure-orange,#d55e00)" in picture
    assert picture.count("<image") == 2  # Its own pixels, for a desk and for a phone.


def test_frame_is_drawn_once_and_its_figure_closed():
    calls = []

    def count(a):
        calls.append(a)
        return draw(a)

    counted = lab(count, title="Count", a=[1, 2])
    counted.html()
    counted.html()
    assert calls == [1, 2]
    assert plt.get_fignums() == []


def test_mime_bundle_contains_the_live_widget_and_the_html(two_sliders, monkeypatch):
    bundle = two_sliders._repr_mimebundle_()
    assert set(bundle) >= {"text/plain", "text/html", "application/vnd.jupyter.widget-view+json"}
    assert bundle["text/plain"] == "Lab('Slopes & kinds'; slope: 3 values, kind: 2 values)"
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    assert set(two_sliders._repr_mimebundle_()) == {"text/plain", "text/html"}


def test_widget_shows_the_frame_for_its_sliders(two_sliders):
    _, slope, kind, image, readout = two_sliders.widget().children
    slope.value, kind.value = "-3", "dots"
    picture, text = two_sliders.frame(slope=-3, kind="dots")
    assert (
        bytes(image.value).decode().replace("background:#fff;", "")
        == picture[: picture.index('<svg class="nnkit-narrow')]
    )
    assert text in readout.value


def noise(seed):
    figure, ax = plt.subplots(figsize=(8, 8))
    ax.imshow(np.random.default_rng(seed).random((800, 800)))
    return figure


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "values", "message"),
    [
        (noise, [0, 1, 2, 3], "at most 600 kB .* for 4 frames"),
        (lambda a: plt.figure(figsize=(a, 2)), [2, 3], "size of the first"),
    ],
)
def test_lab_with_too_many_bytes_or_varying_sizes_is_rejected(function, values, message):
    parameter = "seed" if function is noise else "a"
    with pytest.raises(ValueError, match=message):
        lab(function, title="Large", **{parameter: values}).html()


@pytest.mark.parametrize(
    ("argument", "error", "arguments"),
    [
        ("function", TypeError, {"function": 3, "title": "t", "slope": [1]}),
        ("title", ValueError, {"function": draw, "title": "_", "slope": [1]}),
        ("title", TypeError, {"function": draw, "title": 5, "slope": [1]}),
        ("grids", ValueError, {"function": draw, "title": "t"}),
        ("grids", ValueError, {"function": draw, "title": "t", "slope": []}),
        ("slope", ValueError, {"function": draw, "title": "t", "slope": [1.0, 1]}),
    ],
)
def test_invalid_argument_is_named(argument, error, arguments):
    with pytest.raises(error, match=f"^{argument} must"):
        lab(**arguments)


@pytest.mark.parametrize("result", ["text", (None,), ("text", "sentence"), ("figure", None), ("figure", "one", "two")])
def test_function_must_return_a_figure_or_a_figure_and_a_sentence(result):
    def function(slope):
        return result if isinstance(result, str) else tuple(draw(1)[0] if part == "figure" else part for part in result)

    with pytest.raises(TypeError, match=r"must return a Matplotlib figure.* at slope 1$"):
        lab(function, title="Wrong", slope=[1]).html()
    plt.close("all")


def test_errors_name_the_failing_values_and_the_allowed_ones(two_sliders):
    def fail(slope):
        raise ZeroDivisionError("by hand")

    with pytest.raises(RuntimeError, match="at slope 1: by hand"):
        lab(fail, title="Fail", slope=[1]).html()
    with pytest.raises(ValueError, match="slope must be one of"):
        two_sliders.frame(slope=7, kind="line")
    with pytest.raises(ValueError, match="values must name"):
        two_sliders.frame(slope=1)
