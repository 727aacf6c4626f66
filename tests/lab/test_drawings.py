from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.patches import Circle, Ellipse

from lab import drawings, plots

matplotlib.use("agg")
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def style():
    with plt.style.context("default"):
        plots.use_style()
        yield
    plt.close("all")


def drawn(figure, **options) -> ElementTree.Element:
    return ElementTree.fromstring(drawings.svg(figure, **options))


def words(root) -> list[str]:
    return ["".join(text.itertext()) for text in root.iter(SVG + "text")]


def panels():
    figure, axes = plt.subplots(1, 2, figsize=(6, 3), sharey=True)
    for ax in axes:
        ax.plot([0, 1], [0, 1], "o-", color="black")
        ax.set(xlabel="$x_1$ & more", title="a")
    axes[0].set_ylabel("size")
    figure.tight_layout()
    return figure


def test_words_are_text_and_colours_the_pages():
    svg = drawings.svg(panels())
    assert "x1 & more" in words(ElementTree.fromstring(svg))
    assert '<tspan style="font-style:italic">x</tspan>' in svg
    assert "var(--figure-ink,#262626)" in svg
    assert set(re.findall(r"(?:fill|stroke):([^v;\"]+)", svg)) <= {"none"}
    assert not re.search(r"\bid=|metadata|<date", svg)
    assert drawings.svg(panels()) == svg


def test_panels_stand_below_each_other_on_a_phone_and_share_no_label():
    pair = drawings.drawings(panels())
    boxes = {}
    for name, svg in pair.items():
        root = ElementTree.fromstring(svg)
        boxes[name] = {(one.get("x"), one.get("y")) for one in root.findall(SVG + "svg")}
        assert words(root).count("size") == (1 if name == "wide" else 2)
    assert len({y for _, y in boxes["wide"]}) == 1
    assert len({y for _, y in boxes["narrow"]}) == 2
    assert len({x for x, _ in boxes["narrow"]}) == 1


def test_another_figure_may_stand_in_for_the_phone():
    figure, other = panels(), plt.figure(figsize=(2, 1))
    other.text(0.5, 0.5, "other")
    figure.on_a_phone = lambda: other
    assert words(ElementTree.fromstring(drawings.drawings(figure)["narrow"])) == ["other"]


def test_parts_that_are_played_say_when_they_appear_and_look_as_before():
    def steps(play: bool):
        figure = panels()
        left, right = figure.axes
        arrow = left.annotate("arrow", (0, 0), (1, 1), arrowprops={"arrowstyle": "->"}, bbox={"fc": "white"})
        dots = right.scatter([0, 1], [1, 0])
        turned = right.text(0.5, 0.5, "turned", rotation=30, ha="right")
        if play:
            plots.plays(arrow, [dots, turned], right, seconds=3)
        return drawings.drawings(figure)

    before, pair = steps(False), steps(True)
    for name, svg in pair.items():
        groups = re.findall(r"--after:([\d.]+)s", svg)
        assert sorted(set(groups)) == ["0", "1.5", "3"]
        late = ElementTree.fromstring(re.sub('<g style="[^"]*--after:1.5s.*?</g>', "", svg))
        assert {"turned", "arrow"} & set(words(late)) == {"arrow"}
        assert words(ElementTree.fromstring(svg)) == words(ElementTree.fromstring(before[name]))
        assert "arrow" not in words(ElementTree.fromstring(re.sub('<g style="[^"]*--after:0s.*?</g>', "", svg)))


def test_frames_keep_the_size_of_the_figure():
    assert drawn(panels(), whole=True).get("viewBox") == "0 0 432 216"


def test_long_labels_break_and_crowded_marks_are_thinned_out_on_a_phone():
    figure, ax = plt.subplots(figsize=(7, 3))
    ax.set(yticks=[0, 1], yticklabels=["a", "a name that is much too long for half of a phone"], xlabel="word " * 15)
    ax.set(xticks=range(9), xticklabels=[f"{n}0,000" for n in range(9)])
    said = words(ElementTree.fromstring(drawings.drawings(figure)["narrow"]))
    assert "a name that is much too" in said
    assert "for half of a phone" in " ".join(said)
    assert "80,000" in said
    assert "10,000" not in said


def test_many_dots_are_one_path_and_a_rim_is_kept():
    figure, ax = plt.subplots()
    ax.scatter(np.arange(300), np.arange(300), c=["#0072B2", "#D55E00"] * 150, s=4, linewidths=0)
    root = drawn(figure)
    dots = [path.get("d") for path in root.iter(SVG + "path") if "h0" in path.get("d")]
    assert [d.count("h0") for d in dots] == [150, 150]
    figure, ax = plt.subplots()
    ax.scatter([0.5], [0.5], s=100, color="#0072B2", edgecolor="white", linewidth=1)
    (circle,) = drawn(figure).iter(SVG + "circle")
    assert circle.get("r") == "5"


def test_a_circle_lies_where_it_is_drawn_and_an_ellipse_is_none():
    figure, ax = plt.subplots(figsize=(4, 4))
    ax.set(xlim=(0, 4), ylim=(0, 4), position=(0, 0, 1, 1))
    ax.axis("off")
    ax.text(1, 3, "x", ha="center", va="center", bbox={"boxstyle": "circle", "fc": "white", "ec": "black"})
    ax.add_patch(Circle((3, 1), 0.5, fc="white", ec="black"))
    ax.add_patch(Ellipse((1, 1), 1, 0.5, fc="white", ec="black"))
    circles = [
        [float(one.get(name)) for name in ("cx", "cy", "r")] for one in drawn(figure, whole=True).iter(SVG + "circle")
    ]
    assert len(circles) == 2
    (around, placed) = sorted(circles)
    assert around[:2] == pytest.approx([72, 72], abs=2)
    assert 7 < around[2] < 20
    assert placed == pytest.approx([216, 216, 36], abs=0.1)


def test_pictures_keep_their_own_pixels():
    figure = plots.image_grid(np.random.default_rng(0).random((4, 784)), columns=4)
    images = list(drawn(figure).iter(SVG + "image"))
    assert [image.get("class") for image in images] == ["nnkit-ink"] * 4
    figure, ax = plt.subplots()
    ax.imshow(np.arange(100).reshape(10, 10), cmap="Blues")
    (image,) = drawn(figure).iter(SVG + "image")
    assert image.get("class") == "nnkit-map"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("$10^{-3}$", "10\N{MINUS SIGN}3"),
        (r"$\hat y$", "y\N{COMBINING CIRCUMFLEX ACCENT}"),
        (r"cost $B(x, y)$ at $\varepsilon$", "cost B(x,y) at \N{GREEK SMALL LETTER EPSILON}"),
        (r"$k$ = 3, a \$", "k = 3, a $"),
    ],
)
def test_formulas_follow_the_font(text, said):
    figure = plt.figure()
    figure.text(0.5, 0.5, text)
    assert words(drawn(figure)) == [said]


def test_a_formula_that_is_not_known_is_named():
    figure = plt.figure()
    figure.text(0.5, 0.5, r"$\sqrt{x}$")
    with pytest.raises(ValueError, match=r"letters, indices, powers and .*gamma.*; got '\\\\sqrt"):
        drawings.svg(figure)
