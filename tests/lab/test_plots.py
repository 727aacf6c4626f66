from __future__ import annotations

import io

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

import nnkit as nn
from lab import plots

matplotlib.use("agg")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_band_is_the_interquartile_mean_and_range():
    runs = np.random.default_rng(0).normal(size=(25, 7))
    ax = plots.loss_bands(runs, label="runs")
    assert np.allclose(ax.lines[0].get_ydata(), nn.interquartile_mean(runs))
    assert list(ax.lines[0].get_xdata()) == [1, 2, 3, 4, 5, 6, 7]
    low, high = np.percentile(runs, [25, 75], axis=0)
    corners = ax.collections[0].get_paths()[0].vertices
    assert np.isclose(corners[:, 1].min(), low.min())
    assert np.isclose(corners[:, 1].max(), high.max())
    assert ax.texts[0].get_text() == "runs"


def test_band_takes_its_positions():
    ax = plots.loss_bands(np.ones((3, 2)), x=[10, 20])
    assert list(ax.lines[0].get_xdata()) == [10, 20]


def test_regions_ask_for_the_whole_plane_and_draw_both_classes():
    X, y = nn.make_xor(40, rng=0)
    asked = []

    def probability(places):
        asked.append(places)
        return (places[:, 0] > 0).astype(float)

    ax = plots.decision_regions(probability, X, y, limits=(-1, 1, -1, 1), resolution=20)
    assert asked[0].shape == (400, 2)
    assert asked[0].min() == -1
    assert asked[0].max() == 1
    values = ax.images[0].get_array()
    assert values[0, 0] == 0
    assert values[0, -1] == 1
    drawn = [collection for collection in ax.collections if len(collection.get_offsets()) > 1]
    assert sorted(len(collection.get_offsets()) for collection in drawn) == sorted([(y == 0).sum(), (y == 1).sum()])


def test_margins_are_where_the_score_is_one_and_support_vectors_have_a_rim():
    X, y = np.array([[-1.0, 0], [2, 0], [0, 1]]), np.array([-1, 1, 1])
    ax = plots.margins(lambda P: P[:, 0], X, y, [1, 0.5, 0], limits=(-3, 3, -1, 2), resolution=121)
    paths = [path for drawn in ax.collections for path in drawn.get_paths() if len(path.vertices) > 99]
    assert sorted({round(x, 2) for path in paths for x in path.vertices[:, 0]}) == [-1, 0, 1]
    rimmed = [c for c in ax.collections if c.get_zorder() == 4]
    assert [c.get_offsets().tolist() for c in rimmed] == [[[-1, 0]], [[2, 0]]]
    assert [c.get_sizes().tolist() for c in rimmed] == [[64], [39]]


def test_image_grid_fills_rows_and_leaves_the_rest_empty():
    figure = plots.image_grid(np.random.default_rng(0).random((7, 784)), titles=list("abcdefg"), columns=5)
    assert len(figure.axes) == 10
    assert [len(ax.images) for ax in figure.axes] == [1] * 7 + [0] * 3
    assert [ax.get_title() for ax in figure.axes[:7]] == list("abcdefg")


def test_image_grid_takes_an_array_of_titles():
    figure = plots.image_grid(np.ones((2, 784)), titles=np.array(["one", "two"]))
    assert [ax.get_title() for ax in figure.axes] == ["one", "two"]


def test_regions_without_points_need_limits():
    nowhere, nothing = np.ones((0, 2)), np.ones(0, dtype=int)
    with pytest.raises(ValueError, match="X must hold at least one point where no limits are given; got shape"):
        plots.decision_regions(lambda P: P[:, 0], nowhere, nothing)
    ax = plots.decision_regions(lambda P: P[:, 0], nowhere, nothing, limits=(0, 1, 0, 1))
    assert ax.images[0].get_array()[0, -1] == 1


@pytest.mark.parametrize("file_format", ["png", "webp"])
def test_packed_figure_is_smaller_and_looks_the_same(file_format):
    X, y = nn.make_xor(300, rng=0)
    figure, ax = plt.subplots(dpi=130)
    plots.decision_regions(lambda places: 1 / (1 + np.exp(5 * places[:, 0] * places[:, 1])), X, y, ax=ax)
    plain = io.BytesIO()
    figure.savefig(plain, format="png")
    small = plots.packed(figure, file_format)
    assert len(small) < 0.6 * len(plain.getvalue())
    before, after = (
        np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), float) for data in (plain.getvalue(), small)
    )
    assert np.percentile(np.abs(before - after), 99.9) < 20


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.packed(plt.figure(), "gif"), "file_format must be 'png' or 'webp'; got 'gif'"),
        (lambda: plots.loss_bands(np.ones(3)), r"runs must have shape \(n_runs, n_epochs\).* got \(3,\)"),
        (lambda: plots.loss_bands([[1.0, np.nan]]), "runs must be finite"),
        (lambda: plots.loss_bands(np.ones((2, 3)), x=[1, 2]), r"x must have shape \(3,\)"),
        (
            lambda: plots.decision_regions(len, np.ones((3, 3)), [0, 1, 0]),
            r"X must have shape \(n, 2\); got \(3, 3\)",
        ),
        (
            lambda: plots.decision_regions(len, np.ones((3, 2)), [0, 1]),
            r"y must have one label for each of 3 points; got shape \(2,\)",
        ),
        (
            lambda: plots.decision_regions(len, np.ones((3, 2)), [-1, 1, -1]),
            "y must hold the labels 0 and 1; got 2 such as -1",
        ),
        (
            lambda: plots.decision_regions(lambda P: P, np.ones((3, 2)), [0, 1, 1], resolution=2),
            r"what probability returns must be one number for each of 4 places; got shape \(4, 2\)",
        ),
        (
            lambda: plots.decision_regions(lambda P: P[:, 0] * np.nan, np.ones((3, 2)), [0, 1, 1], resolution=2),
            "what probability returns must be finite as float64; got 4 NaN",
        ),
        (
            lambda: plots.decision_regions(len, np.ones((3, 2)), [0, 1, 1], limits=(0, 1)),
            r"limits must be four numbers: left, right, bottom and top; got \(0, 1\)",
        ),
        (
            lambda: plots.margins(len, np.ones((3, 2)), [0, 1, 1], [0, 1, 0]),
            "y must hold the labels -1 and 1; got 1 such as 0",
        ),
        (
            lambda: plots.margins(lambda P: P[:, 0] * np.nan, np.ones((3, 2)), [-1, 1, 1], [0, 1, 0]),
            "what score returns must be finite",
        ),
        (
            lambda: plots.margins(len, np.ones((3, 2)), [-1, 1, 1], [0, 1]),
            r"weight must have one number for each label, shape \(3,\); got \(2,\)",
        ),
        (lambda: plots.image_grid(np.ones((2, 100))), r"images must have shape \(n, 784\)"),
        (lambda: plots.image_grid(np.ones((2, 784)), shape=(784,)), r"shape must be a pair.* got \(784,\)"),
        (lambda: plots.image_grid(np.ones((2, 784)), limits=(0, 1, 2)), r"limits must be a pair.* got \(0, 1, 2\)"),
        (lambda: plots.image_grid(np.ones((2, 784)), titles=["one"]), "titles must have one entry for each of 2"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
