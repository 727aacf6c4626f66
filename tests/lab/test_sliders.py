from __future__ import annotations

import io
import json
import re

import matplotlib
import matplotlib.pyplot as plt
import pytest
from PIL import Image

from lab.sliders import Lab, frames_of, lab

matplotlib.use("agg")


def draw(slope, kind="line"):
    figure, ax = plt.subplots(figsize=(3, 2))
    ax.plot([0, 1], [0, slope], ":" if kind == "dots" else "-")
    return figure, f"The slope is {slope}."


@pytest.fixture
def two_sliders() -> Lab:
    return lab(draw, title="Slopes & kinds", slope=[1, 2.5, -3], kind=["line", "dots"])


def test_frames_run_through_the_grid_with_the_last_slider_fastest(two_sliders):
    texts = [text for _, text in two_sliders.frames()]
    assert texts[0] == "Slope 1, kind line. The slope is 1."
    assert texts[1] == "Slope 1, kind dots. The slope is 1."
    assert texts[5] == "Slope -3, kind dots. The slope is -3."


def test_html_holds_every_frame_and_a_labelled_slider_for_each_grid(two_sliders):
    page = two_sliders.html()
    assert [text for _, text in frames_of(page)] == [text for _, text in two_sliders.frames()]
    assert page.count('<input type="range"') == 2
    for name in ("slope", "kind"):
        assert f'<label for="lab-slopes-kinds-{name}">{name}</label>' in page
    assert 'alt="Slope 1, kind line. The slope is 1."' in page
    assert "http" not in page


def test_title_is_escaped_and_names_the_lab(two_sliders):
    page = two_sliders.html()
    assert "Lab: Slopes &amp; kinds" in page
    assert 'id="lab-slopes-kinds"' in page


def test_titles_in_any_script_name_different_labs():
    titles = ["损失", "梯度", "Größe", "Grüße", "Größe 2", "Grose"]
    ids = [lab(draw, title=title, slope=[1]).id for title in titles]
    assert len(set(ids)) == len(ids)
    # Written down, since it is an address: it must be the same on every machine and in every release.
    assert ids[:3] == ["lab-26bf7401", "lab-9a4adbad", "lab-gr-e-aedc3f80"]
    assert ids[5] == "lab-grose"


def test_values_that_are_equal_but_read_differently_have_frames_of_their_own():
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
        assert slider.index == index
        assert expected[index] in readout.value


def test_values_need_not_be_hashable():
    sizes = lab(lambda sizes: draw(len(sizes)), title="Sizes", sizes=[[2], [2, 3]])
    assert sizes.frames()[1][1] == "Sizes [2, 3]. The slope is 2."
    assert sizes.frame(sizes=[2, 3])[1] == "Sizes [2, 3]. The slope is 2."


def test_a_sentence_cannot_end_the_script():
    page = lab(lambda a: (draw(a)[0], "</script><b>"), title="Trap", a=[1, 2]).html()
    data = re.search(r'<script type="application/json">(.*?)</script>', page, re.S)[1]
    assert json.loads(data)["frames"][1][1].endswith("</script><b>")


def test_pictures_are_lossless_and_of_one_size(two_sliders):
    sizes = {Image.open(io.BytesIO(picture)).size for picture, _ in two_sliders.frames()}
    assert sizes == {(300, 200)}


def test_a_small_marker_keeps_its_colour():
    def mark(colour):
        figure, ax = plt.subplots(figsize=(4, 3))
        ax.imshow([[i + j for i in range(50)] for j in range(50)], cmap="Blues", aspect="auto")
        ax.plot(25, 25, "s", color=colour, markersize=3)
        return figure

    picture, _ = lab(mark, title="Mark", colour=["#D55E00"]).frame(colour="#D55E00")
    pixels = Image.open(io.BytesIO(picture)).convert("RGB").getcolors(10_000)
    assert any(abs(r - 0xD5) + abs(g - 0x5E) + abs(b) < 40 for _, (r, g, b) in pixels)


def test_a_frame_is_drawn_once_and_its_figure_closed():
    calls = []

    def count(a):
        calls.append(a)
        return draw(a)

    counted = lab(count, title="Count", a=[1, 2])
    counted.html()
    counted.html()
    assert calls == [1, 2]
    assert plt.get_fignums() == []


def test_bundle_offers_the_live_widget_and_the_html(two_sliders):
    bundle = two_sliders._repr_mimebundle_()
    assert set(bundle) >= {"text/plain", "text/html", "application/vnd.jupyter.widget-view+json"}
    assert bundle["text/plain"] == "Lab('Slopes & kinds'; slope: 3 values, kind: 2 values)"


def test_widget_shows_the_frame_of_its_sliders(two_sliders):
    _, slope, kind, image, readout = two_sliders.widget().children
    slope.value, kind.value = "-3", "dots"
    picture, text = two_sliders.frame(slope=-3, kind="dots")
    assert image.value == picture
    assert text in readout.value


def test_a_lab_that_would_burden_the_page_is_refused():
    def noise(seed):
        import numpy as np

        figure, ax = plt.subplots(figsize=(8, 8))
        ax.imshow(np.random.default_rng(seed).random((800, 800)))
        return figure

    with pytest.raises(ValueError, match=r"at most 600 kB as HTML; got .* for 4 frames"):
        lab(noise, title="Noise", seed=[0, 1, 2, 3]).html()


def test_figures_of_different_sizes_are_refused():
    def grow(a):
        return plt.figure(figsize=(a, 2))

    with pytest.raises(ValueError, match="every figure must have the size of the first"):
        lab(grow, title="Grow", a=[2, 3]).html()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"function": 3, "title": "t", "a": [1]}, TypeError, "function must be callable; got 3"),
        ({"function": draw, "title": " ", "slope": [1]}, ValueError, "title must name the lab"),
        ({"function": draw, "title": "_", "slope": [1]}, ValueError, "title must name the lab"),
        ({"function": draw, "title": 5, "slope": [1]}, TypeError, "title must be a string that names the lab; got 5"),
        ({"function": draw, "title": None, "slope": [1]}, TypeError, "title must be a string .* got None"),
        ({"function": draw, "title": "t"}, ValueError, "at least one slider"),
        ({"function": draw, "title": "t", "slope": []}, ValueError, "at least one value"),
        (
            {"function": draw, "title": "t", "slope": [1.0, 1]},
            ValueError,
            "slope must have values that read differently",
        ),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        lab(**arguments)


@pytest.mark.parametrize("rest", [(None,), (5,), (), ("one sentence", "another")])
def test_what_is_no_sentence_is_refused(rest):
    with pytest.raises(TypeError, match=r"a figure and a sentence; got \(<Figure .* at slope 1$"):
        lab(lambda slope: (draw(slope)[0], *rest), title="Sentence", slope=[1]).html()
    plt.close("all")


def test_a_figure_alone_has_no_sentence():
    assert lab(lambda slope: draw(slope)[0], title="Alone", slope=[1]).frame(slope=1)[1] == "Slope 1."


def test_a_failing_function_says_where(two_sliders):
    def fail(slope):
        raise ZeroDivisionError("by hand")

    with pytest.raises(RuntimeError, match="failed at slope 1: by hand"):
        lab(fail, title="Fail", slope=[1]).html()
    with pytest.raises(TypeError, match="must return a Matplotlib figure"):
        lab(lambda slope: "text", title="Text", slope=[1]).html()
    with pytest.raises(ValueError, match=r"slope must be one of \(1, 2.5, -3\); got 7"):
        two_sliders.frame(slope=7, kind="line")
    with pytest.raises(ValueError, match=r"values must name \['kind', 'slope'\]; got \['slope'\]"):
        two_sliders.frame(slope=1)
    with pytest.raises(ValueError, match="page must be the HTML of a lab"):
        frames_of("<p>nothing</p>")
