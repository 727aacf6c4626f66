"""Figures that several chapters share: bands over runs, decision regions, grids of images.

Colours and fonts come from Matplotlib's current style; each function draws into the axes given, or into new ones.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from IPython import get_ipython
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from PIL import Image

from nnkit.activations import sigmoid
from nnkit.checks import as_array, entries, finite_array, whole_number
from nnkit.metrics import interquartile_mean
from nnkit.typing import Array

CLASS_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
"""One colour a class (Okabe and Ito's, told apart by the colour-blind)."""

CLASS_MARKERS = ("o", "s", "^", "D")
"""One marker a class, so that a grey print still tells them apart."""

# Eleven steps rather than a smooth ramp: the eye reads them as contour lines, and the picture packs much smaller.
_PROBABILITY_COLORS = LinearSegmentedColormap.from_list("class 0 to 1", ["#8FBDD9", "#F7F7F7", "#F0B48A"], N=11)


def use_style() -> None:
    """Draw every figure from here on in the book's style, and in a notebook keep it in few bytes."""
    plt.style.use(Path(__file__).with_name("figures.mplstyle"))
    shell = get_ipython()
    if shell is not None:
        plt.close(plt.figure())  # Load the inline backend now, since it sets up its own drawing when it loads,
        shell.events.register("pre_run_cell", _draw_small)  # and once more at the end of the cell.


def _draw_small(*_: object) -> None:
    png = get_ipython().display_formatter.formatters["image/png"]
    png.for_type(Figure, lambda figure: packed(figure, "png", bbox_inches="tight"))


def loss_bands(
    runs: Any,
    *,
    x: Any = None,
    ax: Axes | None = None,
    label: str | None = None,
    color: str | None = None,
    linestyle: str = "-",
) -> Axes:
    """Draw many runs as one curve: the interquartile mean as a line, the interquartile range as a band.

    Parameters
    ----------
    runs : array_like, shape (n_runs, n_epochs)
        One row a run.
    x : array_like, shape (n_epochs,), optional
        The positions; 1, 2, ... without it.
    ax : matplotlib.axes.Axes, optional
        Where to draw.
    label : str, optional
        Written at the right end of the line, in its colour.
    color, linestyle : str, optional
        As Matplotlib takes them.

    Returns
    -------
    matplotlib.axes.Axes
    """
    runs = finite_array("runs", runs, np.float64)
    if runs.ndim != 2 or runs.size == 0:
        raise ValueError(f"runs must have shape (n_runs, n_epochs), at least (1, 1); got {runs.shape}")
    positions = np.arange(1, runs.shape[1] + 1) if x is None else finite_array("x", x, np.float64)
    if positions.shape != runs.shape[1:]:
        raise ValueError(f"x must have shape {runs.shape[1:]}, one position an epoch; got {positions.shape}")
    ax = plt.gca() if ax is None else ax
    middle = interquartile_mean(runs)
    low, high = np.percentile(runs, [25, 75], axis=0)
    (line,) = ax.plot(positions, middle, color=color, linestyle=linestyle)
    ax.fill_between(positions, low, high, color=line.get_color(), alpha=0.25, linewidth=0)
    if label:
        label_end(ax, positions[-1], float(middle[-1]), label, line.get_color())
    return ax


def label_end(ax: Axes, x: float, y: float, text: str, color: Any) -> None:
    """Write a curve's name just right of its last point, in its colour."""
    ax.annotate(
        text, (x, y), xytext=(5, 0), textcoords="offset points", color=color, va="center", annotation_clip=False
    )


def decision_regions(
    probability: Callable[[Array], Array],
    X: Any,
    y: Any,
    *,
    ax: Axes | None = None,
    limits: tuple[float, float, float, float] | None = None,
    resolution: int = 160,
) -> Axes:
    """Draw what a classifier of two classes says at each place of the plane, with the data on top.

    Parameters
    ----------
    probability : callable
        Takes points of shape (m, 2); returns m probabilities of class 1, shape (m,) or (m, 1).
    X : array_like, shape (n, 2)
        The points.
    y : array_like, shape (n,)
        Their classes, 0 or 1: round and square markers.
    ax : matplotlib.axes.Axes, optional
        Where to draw.
    limits : tuple of float, optional
        Left, right, bottom and top; without it, the data with a margin.
    resolution : int, default 160
        Places along each axis.

    Returns
    -------
    matplotlib.axes.Axes
        The black line is where the probability is 0.5.
    """
    X, y = _labelled_points(X, y, (0, 1))
    whole_number("resolution", resolution, least=2)
    ax = plt.gca() if ax is None else ax
    if limits is None:
        if not len(X):
            raise ValueError(f"X must hold at least one point where no limits are given; got shape {X.shape}")
        margin = 0.15 * np.ptp(X, axis=0) + 1e-9
        (left, bottom), (right, top) = X.min(axis=0) - margin, X.max(axis=0) + margin
    else:
        left, right, bottom, top = entries("limits", limits, 4, "four numbers: left, right, bottom and top")
    across, up = np.meshgrid(np.linspace(left, right, resolution), np.linspace(bottom, top, resolution))
    places = np.column_stack([across.ravel(), up.ravel()])
    values = _one_number_each("what probability returns", probability(places), places).reshape(across.shape)
    ax.imshow(
        values,
        extent=(left, right, bottom, top),
        origin="lower",
        aspect="auto",
        cmap=_PROBABILITY_COLORS,
        vmin=0,
        vmax=1,
        interpolation="bilinear",
    )
    if values.min() < 0.5 < values.max():
        ax.contour(across, up, values, levels=[0.5], colors="black", linewidths=1.2)
    for cls in (0, 1):
        points = X[y == cls]
        ax.scatter(
            points[:, 0],
            points[:, 1],
            s=70 if len(X) <= 10 else 14,  # A handful of points should be seen; hundreds should not cover the plane.
            color=CLASS_COLORS[cls],
            marker=CLASS_MARKERS[cls],
            edgecolor="white",
            linewidth=0.4,
            zorder=3,
        )
    ax.set(xlim=(left, right), ylim=(bottom, top), xlabel="$x_1$", ylabel="$x_2$")
    ax.grid(False)
    return ax


def _labelled_points(X: Any, y: Any, labels: tuple[int, int]) -> tuple[Array, Array]:
    """Return points of the plane and a row of their labels, or raise ValueError unless each has one of the two."""
    X, y = finite_array("X", X, np.float64), as_array("y", y)
    if X.ndim != 2 or X.shape[1] != 2:
        raise ValueError(f"X must have shape (n, 2); got {X.shape}")
    if y.shape not in ((len(X),), (len(X), 1)):
        raise ValueError(f"y must have one label for each of {len(X)} points; got shape {y.shape}")
    y = y.reshape(-1)
    others = y[~np.isin(y, labels)]
    if len(others):
        raise ValueError(f"y must hold the labels {labels[0]} and {labels[1]}; got {len(others)} such as {others[0]}")
    return X, y


def _one_number_each(name: str, values: Any, places: Array) -> Array:
    """Return what a function of m places returned as m numbers, or raise ValueError if it is anything else."""
    values = finite_array(name, values)
    if values.shape not in ((len(places),), (len(places), 1)):
        raise ValueError(f"{name} must be one number for each of {len(places)} places; got shape {values.shape}")
    return values.reshape(-1)


def margins(
    score: Callable[[Array], Array],
    X: Any,
    y: Any,
    weight: Any,
    *,
    ax: Axes | None = None,
    limits: tuple[float, float, float, float] | None = None,
    resolution: int = 90,
) -> Axes:
    """Draw what a support vector machine says at each place of the plane, and which samples hold its margin.

    Parameters
    ----------
    score : callable
        The decision function: takes points of shape (m, 2), returns m numbers.
    X : array_like, shape (n, 2)
        The points.
    y : array_like, shape (n,)
        Their labels, -1 or 1: round and square markers.
    weight : array_like, shape (n,)
        The multipliers as shares of their bound: a point above zero gets a black rim, and grows with its weight.
    ax, limits, resolution
        As for `decision_regions`.

    Returns
    -------
    matplotlib.axes.Axes
        The black line is the border, where the score is 0; the dashed ones are the edges of the margin, -1 and 1.
    """
    X, y = _labelled_points(X, y, (-1, 1))
    weight = finite_array("weight", weight, np.float64)
    if weight.shape != y.shape:
        raise ValueError(f"weight must have one number for each label, shape {y.shape}; got {weight.shape}")

    def probability(places: Array) -> Array:
        return sigmoid(2 * _one_number_each("what score returns", score(places), places))

    ax = decision_regions(probability, X, y > 0, ax=ax, limits=limits, resolution=resolution)
    across, up = (np.linspace(*span, resolution) for span in (ax.get_xlim(), ax.get_ylim()))
    edges = sigmoid(np.array([-2.0, 2.0]))
    ax.contour(across, up, ax.images[-1].get_array(), levels=edges, colors="black", linestyles="--", linewidths=0.8)
    for cls, sign in enumerate((-1, 1)):
        holds = (y == sign) & (weight > 0)
        ax.scatter(
            X[holds, 0],
            X[holds, 1],
            s=14 + 50 * weight[holds],
            color=CLASS_COLORS[cls],
            marker=CLASS_MARKERS[cls],
            edgecolor="black",
            linewidth=0.7,
            zorder=4,
        )
    return ax


def image_grid(
    images: Any,
    *,
    titles: Sequence[str] | None = None,
    columns: int = 10,
    shape: tuple[int, int] = (28, 28),
    size: float = 0.72,
    cmap: str = "gray_r",
    limits: tuple[float, float] | None = (0.0, 1.0),
) -> Figure:
    """Draw images in rows, each with its title above it.

    Parameters
    ----------
    images : array_like, shape (n, height * width) or (n, height, width)
        The images.
    titles : sequence of str, optional
        One for each image.
    columns : int, default 10
        Images a row.
    shape : tuple of int, default (28, 28)
        Height and width.
    size : float, default 0.72
        The width of one image, in inches.
    cmap : str, default "gray_r"
        Matplotlib's name of the colours; this one draws ink on paper.
    limits : tuple of float, optional
        The values drawn as the two ends of the colours; None takes each image's own range.

    Returns
    -------
    matplotlib.figure.Figure
    """
    images = finite_array("images", images, np.float64)
    shape = entries("shape", shape, 2, "a pair: height and width")
    if images.ndim < 2 or len(images) == 0 or int(np.prod(images.shape[1:])) != shape[0] * shape[1]:
        raise ValueError(f"images must have shape (n, {shape[0] * shape[1]}) with n at least 1; got {images.shape}")
    if titles is not None and len(titles) != len(images):
        raise ValueError(f"titles must have one entry for each of {len(images)} images; got {len(titles)}")
    columns = min(whole_number("columns", columns, least=1), len(images))
    rows = -(-len(images) // columns)
    height = size * shape[0] / shape[1] + (0.22 if titles is not None else 0.05)
    figure, axes = plt.subplots(rows, columns, figsize=(columns * (size + 0.05), rows * height), squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    low, high = (None, None) if limits is None else entries("limits", limits, 2, "a pair of numbers")
    for i, (ax, image) in enumerate(zip(axes.flat, images, strict=False)):
        ax.imshow(image.reshape(shape), cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
        if titles is not None:
            ax.set_title(titles[i], fontsize=8, pad=2)
    figure.tight_layout(pad=0.2)
    return figure


def packed(figure: Figure, file_format: str = "png", *, colors: int = 256, **savefig: Any) -> bytes:
    """Return a figure as a PNG or WebP file of few colours, a third of the usual size and alike to the eye.

    The colours are chosen to cover all that occur: the usual choice, by frequency, would give up those of small
    markers.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        What to draw.
    file_format : {"png", "webp"}, default "png"
        Both are lossless here.
    colors : int, default 256
        How many colours to keep, at most 256.
    **savefig
        As for `matplotlib.figure.Figure.savefig`.
    """
    if file_format not in ("png", "webp"):
        raise ValueError(f"file_format must be 'png' or 'webp'; got {file_format!r}")
    drawn, result = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", facecolor="white", **savefig)
    image = Image.open(drawn).convert("RGB")
    image = image.quantize(colors, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    if file_format == "png":
        image.save(result, format="png", optimize=True)
    else:
        image.convert("RGB").save(result, format="webp", lossless=True, quality=75, method=4)
    return result.getvalue()
