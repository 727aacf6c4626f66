from __future__ import annotations

import io

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

import nnkit as nn
from lab import interquartile_mean, plots

matplotlib.use("agg")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_band_shows_the_interquartile_mean_and_range():
    runs = np.random.default_rng(0).normal(size=(25, 7))
    ax = plots.loss_bands(runs)
    assert np.allclose(ax.lines[0].get_ydata(), interquartile_mean(runs))
    assert list(ax.lines[0].get_xdata()) == [1, 2, 3, 4, 5, 6, 7]
    low, high = np.percentile(runs, [25, 75], axis=0)
    corners = ax.collections[0].get_paths()[0].vertices
    assert np.isclose(corners[:, 1].min(), low.min())
    assert np.isclose(corners[:, 1].max(), high.max())
    assert list(plots.loss_bands(np.ones((3, 2)), x=[10, 20], ax=ax).lines[1].get_xdata()) == [10, 20]


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_names_of_curves_that_end_together_stand_apart_in_the_order_of_their_ends(scale):
    _, ax = plt.subplots()
    ax.set(yscale=scale, ylim=(1, 100))
    ends = [(3, 50.2, "second", "red"), (2, 50, "third", "green"), (3, 50.4, "first", "blue"), (3, 2, "last", "black")]
    plots.label_ends(ax, ends, apart=0.1)
    names = sorted(ax.texts, key=lambda text: -text.xy[1])
    assert [text.get_text() for text in names] == ["first", "second", "third", "last"]
    assert {text.xy[0] for text in names} == {3}
    to_panel = ax.transData + ax.transAxes.inverted()
    heights = to_panel.transform([text.xy for text in names])[:, 1]
    assert np.allclose(heights[:2] - heights[1:3], 0.1, atol=1e-3)
    assert np.isclose(names[-1].xy[1], 2)


def test_regions_cover_the_plane_and_show_both_classes():
    X, y = nn.make_xor(40, rng=0)
    asked = []

    def probability(points):
        asked.append(points)
        return (points[:, 0] > 0).astype(float)

    ax = plots.decision_regions(probability, X, y, limits=(-1, 1, -1, 1), resolution=20)
    assert asked[0].shape == (400, 2)
    assert asked[0].min() == -1
    assert asked[0].max() == 1
    values = ax.images[0].get_array()
    assert values[0, 0] == 0
    assert values[0, -1] == 1
    drawn = [collection for collection in ax.collections if len(collection.get_offsets()) > 1]
    assert sorted(len(collection.get_offsets()) for collection in drawn) == sorted([(y == 0).sum(), (y == 1).sum()])


def test_regions_without_points_need_limits():
    nowhere, nothing = np.ones((0, 2)), np.ones(0, dtype=int)
    with pytest.raises(ValueError, match="limits"):
        plots.decision_regions(lambda P: P[:, 0], nowhere, nothing)
    ax = plots.decision_regions(lambda P: P[:, 0], nowhere, nothing, limits=(0, 1, 0, 1))
    assert ax.images[0].get_array()[0, -1] == 1


def test_margins_lie_at_score_one_and_support_vectors_are_outlined():
    X, y = np.array([[-1.0, 0], [2, 0], [0, 1]]), np.array([-1, 1, 1])
    ax = plots.margins(lambda P: P[:, 0], X, y, [1, 0.5, 0], limits=(-3, 3, -1, 2), resolution=121)
    paths = [path for drawn in ax.collections for path in drawn.get_paths() if len(path.vertices) > 99]
    assert sorted({round(x, 2) for path in paths for x in path.vertices[:, 0]}) == [-1, 0, 1]
    rimmed = [c for c in ax.collections if c.get_zorder() == 4]
    assert [c.get_offsets().tolist() for c in rimmed] == [[[-1, 0]], [[2, 0]]]
    assert [c.get_sizes().tolist() for c in rimmed] == [[64], [39]]


@pytest.mark.parametrize("titles", [list("abcdefg"), np.array(list("abcdefg"))])
def test_image_grid_fills_row_by_row_and_leaves_the_rest_empty(titles):
    figure = plots.image_grid(np.random.default_rng(0).random((7, 784)), titles=titles, columns=5)
    assert len(figure.axes) == 10
    assert [len(ax.images) for ax in figure.axes] == [1] * 7 + [0] * 3
    assert [ax.get_title() for ax in figure.axes[:7]] == list("abcdefg")


@pytest.mark.parametrize("file_format", ["png", "webp"])
def test_packed_figure_is_smaller_and_looks_the_same(file_format):
    X, y = nn.make_xor(300, rng=0)
    figure, ax = plt.subplots(dpi=130)
    plots.decision_regions(lambda points: 1 / (1 + np.exp(5 * points[:, 0] * points[:, 1])), X, y, ax=ax)
    plain = io.BytesIO()
    figure.savefig(plain, format="png")
    small = plots.packed(figure, file_format)
    assert len(small) < 0.6 * len(plain.getvalue())
    before, after = (
        np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), float) for data in (plain.getvalue(), small)
    )
    assert np.percentile(np.abs(before - after), 99.9) < 20


X = np.ones((3, 2))


@pytest.mark.parametrize(
    ("argument", "call"),
    [
        ("file_format", lambda: plots.packed(plt.figure(), "gif")),
        ("runs", lambda: plots.loss_bands(np.ones(3))),
        ("runs", lambda: plots.loss_bands([[1.0, np.nan]])),
        ("x", lambda: plots.loss_bands(np.ones((2, 3)), x=[1, 2])),
        ("X", lambda: plots.decision_regions(len, np.ones((3, 3)), [0, 1, 0])),
        ("y", lambda: plots.decision_regions(len, X, [0, 1])),
        ("y", lambda: plots.decision_regions(len, X, [-1, 1, -1])),
        ("limits", lambda: plots.decision_regions(len, X, [0, 1, 1], limits=(0, 1))),
        ("resolution", lambda: plots.decision_regions(len, X, [0, 1, 1], resolution=1)),
        ("probability", lambda: plots.decision_regions(lambda P: P, X, [0, 1, 1], resolution=2)),
        ("what probability", lambda: plots.decision_regions(lambda P: P[:, 0] * np.nan, X, [0, 1, 1], resolution=2)),
        ("y", lambda: plots.margins(len, X, [0, 1, 1], [0, 1, 0])),
        ("what score", lambda: plots.margins(lambda P: P[:, 0] * np.nan, X, [-1, 1, 1], [0, 1, 0])),
        ("weight", lambda: plots.margins(len, X, [-1, 1, 1], [0, 1])),
        ("images", lambda: plots.image_grid(np.ones((2, 100)))),
        ("limits", lambda: plots.image_grid(np.ones((2, 784)), limits=(0, 1, 2))),
        ("titles", lambda: plots.image_grid(np.ones((2, 784)), titles=["one"])),
        ("columns", lambda: plots.image_grid(np.ones((2, 784)), columns=0)),
    ],
)
def test_invalid_argument_is_named(argument, call):
    with pytest.raises(ValueError, match=f"^{argument} "):
        call()
