"""A line through points that can be dragged, and the bowl of all lines: gradient descent, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lab import needed_by
from lab.touch.widget import Touch, traits
from nnkit.data import make_linear
from nnkit.typing import Array

with needed_by(__name__):
    import matplotlib.pyplot as plt
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

_X, _Y = (-2.4, 2.4), (-6.5, 4.5)  # what the picture shows, and where points may be
_MOST = 100


class Line(Touch):
    """A line whose points can be dragged, beside the map of all lines: chapter 1.

    Parameters
    ----------
    points : str or sequence of (float, float), default "some"
        "some" (25 of the chapter's points), "all" (its hundred), "pencil" (its two), or up to 100 points with x from
        -2.4 to 2.4 and y from -6.5 to 4.5, as numbers or as the text ``"x,y x,y"``.
    w, b : float, default 0
        Slope and height of the line.
    learning_rate : float, default 0.1
        From 0.005 to 1.

    Attributes
    ----------
    X, y : ndarray of shape (n, 1)
        The points as they are now.
    loss : float
        How wrong the line is on them: the mean of the squared errors.
    limit : float
        The largest learning rate with which the steps lead to the lowest point.

    Raises
    ------
    ValueError
        If a setting is out of its range, or the points cannot be read.
    """

    module = "line"
    title = "A line and its bowl"
    question = "How does a program find the best line, if it only feels which way is down?"
    tries = (
        ("Press Step a few times, and watch both pictures. Why do the steps get shorter?", None),
        (
            "A learning rate just below the limit, and then one just above it. What do the steps do?",
            {"points": "all", "learning_rate": 0.63},
        ),
        ("With the pencil's two points, one step at 0.1 makes the line a tenth as wrong.", {"points": "pencil"}),
    )
    still_says = (
        "The line: 25 of the chapter's points, a flat line, and the square of each error. The bowl: the loss of every "
        "line, seen from above, and the steps of gradient descent from the flat line to the lowest point."
    )

    points = traits.Unicode("some").tag(sync=True)
    w = traits.Float(0.0, min=-1e6, max=1e6).tag(sync=True)
    b = traits.Float(0.0, min=-1e6, max=1e6).tag(sync=True)
    learning_rate = traits.Float(0.1, min=0.005, max=1.0).tag(sync=True)
    data = traits.Dict().tag(sync=True)

    def __init__(self, *, points: str | Sequence[Sequence[float]] = "some", **settings: Any) -> None:
        if not isinstance(points, str):
            points = " ".join(",".join(f"{value:g}" for value in point) for point in points)
        super().__init__(points=points, **settings)

    @traits.default("data")
    def _chapter(self) -> dict[str, list[float]]:
        x, y = make_linear(_MOST, slope=2.0, intercept=-1.0, noise=0.5, rng=0)
        return {"x": x[:, 0].astype(float).round(4).tolist(), "y": y[:, 0].astype(float).round(4).tolist()}

    @traits.validate("points")
    def _readable(self, proposal: Any) -> str:
        text: str = proposal["value"]
        try:
            _read(text, self.data)
        except ValueError:
            raise traits.TraitError(
                f"points must be some, all, pencil, or 1 to {_MOST} points as x,y x,y with x from {_X[0]} to {_X[1]} "
                f"and y from {_Y[0]} to {_Y[1]}; got {text[:80]!r}"
            ) from None
        return text

    @property
    def X(self) -> Array:
        return _read(self.points, self.data)[:, :1]

    @property
    def y(self) -> Array:
        return _read(self.points, self.data)[:, 1:]

    @property
    def loss(self) -> float:
        return float(np.mean((self.X * self.w + self.b - self.y) ** 2))

    @property
    def limit(self) -> float:
        A = np.column_stack([self.X, np.ones(len(self.X))])
        return float(2 / np.linalg.eigvalsh(2 / len(A) * A.T @ A).max())

    def still(self) -> Figure:
        X, y = self.X, self.y
        figure, (left, right) = plt.subplots(1, 2, figsize=(5.8, 2.8))
        left.set(xlim=_X, ylim=_Y, xlabel="feature $x$", ylabel="target $y$", title="the line")
        left.plot(_X, [self.w * x + self.b for x in _X], color="#D55E00")
        width, height = left.bbox.width / (_X[1] - _X[0]), left.bbox.height / (_Y[1] - _Y[0])
        for x, target in zip(X[:, 0], y[:, 0], strict=True):
            error = self.w * x + self.b - target
            side = abs(error) * height / width * (-1 if x > 0 else 1)
            left.add_patch(Rectangle((x, target), side, error, color="#D55E00", alpha=0.15, linewidth=0.5))
        left.plot(X, y, "o", color="#0072B2", markersize=3)
        slopes, heights = np.meshgrid(np.linspace(-1.5, 4.5, 25), np.linspace(-4, 2, 25))
        losses = np.mean((X[:, 0] * slopes[..., None] + heights[..., None] - y[:, 0]) ** 2, axis=-1)
        right.contour(slopes, heights, losses, 0.6 * 2.0 ** np.arange(6), colors="#999999", linewidths=0.8)
        path = [(self.w, self.b)]
        for _ in range(25):
            w, b = path[-1]
            error = X * w + b - y
            downhill = -2 * float(np.mean(error * X)), -2 * float(np.mean(error))
            path.append((w + self.learning_rate * downhill[0], b + self.learning_rate * downhill[1]))
        right.plot(*np.transpose(path), ".-", color="#D55E00", linewidth=0.8, markersize=4)
        right.set(xlim=(-1.5, 4.5), ylim=(-4, 2), xlabel="slope $w$", ylabel="height $b$", title="the bowl")
        right.grid(False)
        figure.tight_layout()
        return figure


def _read(text: str, chapter: dict[str, list[float]]) -> Array:
    """Return points, shape (n, 2), for what the trait says; ValueError if it says none."""
    if text == "pencil":
        return np.array([[1.0, 2.0], [2.0, 3.0]])
    points = np.column_stack([chapter["x"], chapter["y"]])
    if text == "all":
        return points
    if text == "some":
        return points[np.argsort(points[:, 0], kind="stable")[2::4]]
    points = np.array([[float(value) for value in pair.split(",")] for pair in text.split()])
    if points.ndim != 2 or points.shape[1] != 2 or len(points) > _MOST:
        raise ValueError(text)
    if not (np.all((points >= (_X[0], _Y[0])) & (points <= (_X[1], _Y[1])))):
        raise ValueError(text)
    return points
