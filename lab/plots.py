"""Figures that several chapters share: bands over runs, decision regions, grids of images.

Colours and fonts come from Matplotlib's current style. A function that takes `ax` draws into it, or into the current
axes, and returns it.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from lab import drawings, needed_by
from lab.claims import interquartile_mean
from nnkit.activations import sigmoid
from nnkit.checks import as_array, entries, finite_array, whole_number
from nnkit.typing import Array

with needed_by(__name__):
    import matplotlib.pyplot as plt
    from IPython import get_ipython
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure
    from PIL import Image

CLASS_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
"""One colour a class, from the palette of Okabe and Ito, which the colour-blind can tell apart."""

CLASS_MARKERS = ("o", "s", "^", "D")
"""One marker a class, so that a grey print still tells them apart."""

DIGIT_COLORS = (
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9"),
    *("#D55E00", "#8C6D1F", "#7A5195", "#999999", "#1B1B1B"),
)
"""One colour for each of the ten digits."""

# Eleven steps rather than a smooth ramp: they read as contour lines, and the picture packs much smaller.
_PROBABILITY_COLORS = LinearSegmentedColormap.from_list("class 0 to 1", ["#8FBDD9", "#F7F7F7", "#F0B48A"], N=11)

_STORED: WeakKeyDictionary[Figure, tuple[bytes, dict[str, str]]] = WeakKeyDictionary()

Function = Callable[[Array], Array]


def use_style() -> None:
    """Draw all figures from here on in the book's style, and in a notebook store each as a raster and as drawings."""
    plt.style.use(Path(__file__).with_name("figures.mplstyle"))
    shell = get_ipython()
    if shell is not None:
        plt.close(plt.figure())  # Load the inline backend now, since it sets up its own drawing when it loads,
        shell.events.register("pre_run_cell", _store_both)  # and once more at the end of the cell.


def _store_both(*_: object) -> None:
    formatters = get_ipython().display_formatter
    formatters.formatters["image/png"].for_type(Figure, lambda figure: _stored(figure)[0])
    formatters.mimebundle_formatter.for_type(Figure, lambda figure, **_: {drawings.MIME: _stored(figure)[1]})


def _stored(figure: Figure) -> tuple[bytes, dict[str, str]]:
    """Return a figure as raster and as drawings, made once: the drawing for the phone changes the figure."""
    if figure not in _STORED:
        _STORED[figure] = packed(figure, "png", bbox_inches="tight"), drawings.drawings(figure)
    return _STORED[figure]


def loss_bands(
    runs: Any, *, x: Any = None, ax: Axes | None = None, color: str | None = None, linestyle: str = "-"
) -> Axes:
    """Draw runs, shape (n_runs, n_epochs), over `x` or 1, 2, ...: the interquartile mean, and the range as a band."""
    runs = finite_array("runs", runs, np.float64)
    if runs.ndim != 2 or runs.size == 0:
        raise ValueError(f"runs must have shape (n_runs, n_epochs), at least (1, 1); got {runs.shape}")
    positions = np.arange(1, runs.shape[1] + 1) if x is None else finite_array("x", x, np.float64)
    if positions.shape != runs.shape[1:]:
        raise ValueError(f"x must have shape {runs.shape[1:]}, one position an epoch; got {positions.shape}")
    ax = plt.gca() if ax is None else ax
    (line,) = ax.plot(positions, interquartile_mean(runs), color=color, linestyle=linestyle)
    low, high = np.percentile(runs, [25, 75], axis=0)
    ax.fill_between(positions, low, high, color=line.get_color(), alpha=0.25, linewidth=0)
    return ax


def label_end(ax: Axes, x: float, y: float, text: str, color: Any, *, size: float = 10) -> None:
    """Write a curve's name just right of its last point, in its colour."""
    look: dict[str, Any] = {"color": color, "va": "center", "fontsize": size}
    ax.annotate(text, (x, y), xytext=(5, 0), textcoords="offset points", annotation_clip=False, **look)


def label_ends(
    ax: Axes, ends: Sequence[tuple[float, float, str, Any]], *, apart: float = 0.08, size: float = 9
) -> None:
    """Write several curves' names right of their last points, moved up or down where they would lie on each other.

    Parameters
    ----------
    ax : Axes
        Its scales, and limits that are not those of the data, must have been set.
    ends : sequence of (x, y, name, color)
        The last point of each curve; all names stand right of the rightmost.
    apart : float, default 0.08
        How far apart the middles of two names must be, as a share of the panel's height.
    size : float, default 9
        Of the letters, in points.
    """
    ax.get_xlim(), ax.get_ylim()  # They follow the data once they are asked for.
    to_panel = ax.transData + ax.transAxes.inverted()
    ordered = sorted(ends, key=lambda end: end[1])
    heights = to_panel.transform([end[:2] for end in ordered])[:, 1]
    for _ in range(200):  # Neighbours that are too close push each other away, each by half of what is missing.
        for i, gap in enumerate(np.diff(heights)):
            heights[i : i + 2] += np.array([-0.5, 0.5]) * max(apart - gap, 0)
    x = max(end[0] for end in ends)
    for height, (_, _, name, color) in zip(heights, ordered, strict=True):
        label_end(ax, x, float(to_panel.inverted().transform((0, height))[1]), name, color, size=size)


def plays(*steps: Artist | Sequence[Artist], seconds: float = 4.0) -> None:
    """Let a page draw parts of a figure one after the other, when its reader presses *play*; else all are there.

    Parameters
    ----------
    *steps : Artist or sequence of Artist
        What appears together, in the order of the steps; parts that are not named are there from the start.
    seconds : float, default 4.0
        From the first step to the last.
    """
    if len(steps) < 2:
        raise ValueError(f"steps must be at least two; got {len(steps)}")
    for i, step in enumerate(steps):
        for artist in [step] if isinstance(step, Artist) else step:
            # An annotation draws its arrow beside itself, and a text its box.
            for part in (artist, getattr(artist, "arrow_patch", None), getattr(artist, "_bbox_patch", None)):
                if part is not None:
                    part.set_gid(drawings.after(seconds * i / (len(steps) - 1)))


def decision_regions(
    probability: Function, X: Any, y: Any, *, ax: Axes | None = None, limits: Any = None, resolution: int = 160
) -> Axes:
    """Draw a classifier of two classes as colours of the plane, black where the probability is 0.5, and the data.

    Parameters
    ----------
    probability : callable
        Takes points of shape (m, 2); returns m probabilities of class 1, shape (m,) or (m, 1).
    X, y : array_like, shapes (n, 2) and (n,)
        The data; classes 0 and 1 have round and square markers.
    limits : tuple of float, optional
        Left, right, bottom and top; by default those of the data, with a margin.
    resolution : int, default 160
        Points along each axis.
    """
    X, y = _labelled_points(X, y, (0, 1))
    whole_number("resolution", resolution, least=2)
    if limits is not None:
        left, right, bottom, top = entries("limits", limits, 4, "four numbers: left, right, bottom and top")
    elif len(X):
        margin = 0.15 * np.ptp(X, axis=0) + 1e-9
        (left, bottom), (right, top) = X.min(axis=0) - margin, X.max(axis=0) + margin
    else:
        raise ValueError("limits must be given if X holds no points; got None")
    ax = plt.gca() if ax is None else ax
    across, up = np.meshgrid(np.linspace(left, right, resolution), np.linspace(bottom, top, resolution))
    points = np.column_stack([across.ravel(), up.ravel()])
    values = _one_number_each("probability", probability(points), points).reshape(across.shape)
    image = ax.imshow(values, extent=(left, right, bottom, top), origin="lower", aspect="auto", vmin=0, vmax=1)
    image.set(cmap=_PROBABILITY_COLORS, interpolation="bilinear")
    if values.min() < 0.5 < values.max():
        ax.contour(across, up, values, levels=[0.5], colors="black", linewidths=1.2)
    size = 70 if len(X) <= 10 else 14  # A handful of points should be seen; hundreds should not cover the plane.
    for cls in (0, 1):
        _scatter(ax, X[y == cls], cls, s=size, edgecolor="white", linewidth=0.4, zorder=3)
    ax.set(xlim=(left, right), ylim=(bottom, top), xlabel="$x_1$", ylabel="$x_2$")
    ax.grid(False)
    return ax


def _scatter(ax: Axes, points: Array, cls: int, **look: Any) -> None:
    ax.scatter(points[:, 0], points[:, 1], color=CLASS_COLORS[cls], marker=CLASS_MARKERS[cls], **look)


def _labelled_points(X: Any, y: Any, labels: tuple[int, int]) -> tuple[Array, Array]:
    """Return points of the plane and a row of their labels, or raise ValueError unless each has one of the two."""
    X, y = finite_array("X", X, np.float64), as_array("y", y)
    if X.ndim != 2 or X.shape[1] != 2:
        raise ValueError(f"X must have shape (n, 2); got {X.shape}")
    if y.shape not in ((len(X),), (len(X), 1)):
        raise ValueError(f"y must have one label for each of {len(X)} points; got shape {y.shape}")
    others = y[~np.isin(y, labels)]
    if len(others):
        raise ValueError(f"y must hold the labels {labels[0]} and {labels[1]}; got {others[0]}")
    return X, y.reshape(-1)


def _one_number_each(name: str, values: Any, points: Array) -> Array:
    values = finite_array(f"what {name} returns", values)
    if values.shape not in ((len(points),), (len(points), 1)):
        raise ValueError(f"{name} must return one number for each of {len(points)} points; got shape {values.shape}")
    return values.reshape(-1)


def margins(
    score: Function, X: Any, y: Any, weight: Any, *, ax: Axes | None = None, limits: Any = None, resolution: int = 90
) -> Axes:
    """Draw a support vector machine: regions, border (score 0), margin (scores -1 and 1, dashed), support vectors.

    Parameters
    ----------
    score : callable
        The decision function: takes points of shape (m, 2), returns m numbers.
    X, y, limits, resolution
        As for `decision_regions`, but with labels -1 and 1.
    weight : array_like, shape (n,)
        The multipliers as shares of their bound: above zero, a point has a black rim and grows with its weight.
    """
    X, y = _labelled_points(X, y, (-1, 1))
    weight = finite_array("weight", weight, np.float64)
    if weight.shape != y.shape:
        raise ValueError(f"weight must have one number for each label, shape {y.shape}; got {weight.shape}")

    def probability(points: Array) -> Array:
        return sigmoid(2 * _one_number_each("score", score(points), points))

    ax = decision_regions(probability, X, y > 0, ax=ax, limits=limits, resolution=resolution)
    across, up = (np.linspace(*span, resolution) for span in (ax.get_xlim(), ax.get_ylim()))
    edges = sigmoid(np.array([-2.0, 2.0]))
    ax.contour(across, up, ax.images[-1].get_array(), levels=edges, colors="black", linestyles="--", linewidths=0.8)
    for cls, sign in enumerate((-1, 1)):
        holds = (y == sign) & (weight > 0)
        _scatter(ax, X[holds], cls, s=14 + 50 * weight[holds], edgecolor="black", linewidth=0.7, zorder=4)
    return ax


def image_grid(
    images: Any,
    *,
    titles: Sequence[str] | None = None,
    columns: int = 10,
    size: float = 0.72,
    cmap: str = "gray_r",
    limits: tuple[float, float] = (0.0, 1.0),
) -> Figure:
    """Draw images of 28 x 28 pixels in rows.

    Parameters
    ----------
    images, titles : array_like, shape (n, 784) or (n, 28, 28), and sequence of str
    columns, size : int and float
        Images a row, and the width of each in inches.
    cmap, limits : str and pair of float
        Matplotlib's colours, and the values at their ends; by default ink on paper.
    """
    images = finite_array("images", images, np.float64)
    if images.shape[1:] not in ((784,), (28, 28)) or len(images) == 0:
        raise ValueError(f"images must have shape (n, 784) with n at least 1; got {images.shape}")
    if titles is not None and len(titles) != len(images):
        raise ValueError(f"titles must have one entry for each of {len(images)} images; got {len(titles)}")
    low, high = entries("limits", limits, 2, "a pair of numbers")
    columns = min(whole_number("columns", columns, least=1), len(images))
    rows = -(-len(images) // columns)
    height = size + (0.05 if titles is None else 0.22)
    figure, axes = plt.subplots(rows, columns, figsize=(columns * (size + 0.05), rows * height), squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for i, (ax, image) in enumerate(zip(axes.flat, images, strict=False)):
        ax.imshow(image.reshape(28, 28), cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
        if titles is not None:
            ax.set_title(titles[i], fontsize=8, fontweight="normal", pad=2)
    figure.tight_layout(pad=0.2)
    fitting = _columns_on_a_phone(titles, columns)
    if fitting < columns:
        figure.on_a_phone = lambda: drawings.shrunk(  # type: ignore[attr-defined]
            image_grid(images, titles=titles, columns=fitting, size=size, cmap=cmap, limits=limits)
        )
    return figure


def _columns_on_a_phone(titles: Sequence[str] | None, columns: int) -> int:
    """Return into how many columns images go whose titles are as wide as they are, if possible a part of the rows."""
    longest = max(map(len, titles if titles is not None else [""]))
    fitting = min(columns, int(drawings.PHONE_INCHES * 72 / (0.61 * drawings.SMALLEST * max(longest, 1))))
    divisor = max(n for n in range(1, fitting + 1) if columns % n == 0)
    return divisor if 2 * divisor >= fitting else fitting


def packed(figure: Figure, file_format: str = "png", *, colors: int = 256, **savefig: Any) -> bytes:
    """Return a figure as a lossless PNG or WebP of few colours, a third of the usual size and alike to the eye.

    The colours cover all that occur, also in small markers. `savefig` goes to `matplotlib.figure.Figure.savefig`.
    """
    drawn, result = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", facecolor="white", **savefig)
    image = Image.open(drawn).convert("RGB")
    image = image.quantize(colors, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    if file_format == "png":
        image.save(result, format="png", optimize=True)
    elif file_format == "webp":
        image.convert("RGB").save(result, format="webp", lossless=True, quality=75, method=4)
    else:
        raise ValueError(f"file_format must be 'png' or 'webp'; got {file_format!r}")
    return result.getvalue()
