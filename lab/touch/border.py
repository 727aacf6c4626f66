"""Two weights as an arrow across the border between two classes: how its direction and its length change the loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from lab import needed_by
from lab.touch.widget import Touch, traits
from nnkit.activations import sigmoid
from nnkit.data import make_blobs
from nnkit.typing import Array

with needed_by(__name__):
    import matplotlib.pyplot as plt
    from matplotlib.figure import Figure


class Border(Touch):
    """An arrow of two weights, the border across it, and what each point pays: chapter 2.

    The arrow is the chapter's d, the difference between the two columns of W, and the bias is that of b, so that
    z = x d + b is the difference of the two logits and its sigmoid the probability of class 1.

    Parameters
    ----------
    d1, d2 : float, default 1.2 and -1.6
        The weights, from -15 to 15.
    bias : float, default 0
        From -40 to 40.
    learning_rate : float, default 1
        From 0.1 to 10.

    Attributes
    ----------
    X : ndarray of shape (200, 2)
        The chapter's points.
    y : ndarray of shape (200,)
        Their classes, 0 or 1.
    losses : ndarray of shape (200,)
        What each point pays as the arrow stands now, in nats.
    loss : float
        Their mean.

    Raises
    ------
    ValueError
        If a setting is out of its range.
    """

    module = "border"
    title = "The border and the arrow"
    question = "What does a classifier change when it learns: where its border lies, or how sure it is?"
    tries = (
        (
            "Turn the arrow until few points stand on the wrong side. Then stretch it. What do the bars do?",
            None,
        ),
        ("Sure and wrong: this arrow points the wrong way, and is long.", {"d1": -4.0, "d2": -4.0}),
        ("Sure and right: the border hardly moves from here, but the arrow still grows.", {"d1": 2.0, "d2": 2.0}),
    )
    still_says = (
        "The plane: points of the chapter's two clouds, a dashed border between them and an arrow across it. "
        "Across the border: the probability of class 1, for an arrow of length 1, 3 and 10. The longer the arrow, "
        "the steeper the step."
    )

    d1 = traits.Float(1.2, min=-15, max=15).tag(sync=True)
    d2 = traits.Float(-1.6, min=-15, max=15).tag(sync=True)
    bias = traits.Float(0.0, min=-40, max=40).tag(sync=True)
    learning_rate = traits.Float(1.0, min=0.1, max=10).tag(sync=True)
    data = traits.Dict().tag(sync=True)

    @traits.default("data")
    def _chapter(self) -> dict[str, Any]:
        X, y = make_blobs(200, rng=0)
        X = X.astype(float).round(4)
        *d, bias = _lowest(X, y)
        best = {"d1": d[0], "d2": d[1], "bias": bias, "loss": float(np.mean(_prices(X @ d + bias, y)))}
        columns = {"x1": X[:, 0].tolist(), "x2": X[:, 1].tolist(), "y": y.tolist()}
        return columns | {"best": {name: round(value, 8) for name, value in best.items()}}

    @property
    def X(self) -> Array:
        return np.column_stack([self.data["x1"], self.data["x2"]])

    @property
    def y(self) -> Array:
        return np.array(self.data["y"])

    @property
    def losses(self) -> Array:
        return _prices(self.X @ [self.d1, self.d2] + self.bias, self.y)

    @property
    def loss(self) -> float:
        return float(np.mean(self.losses))

    def still(self) -> Figure:
        X, y, best = self.X[::8], self.y[::8], self.data["best"]
        figure, (left, right) = plt.subplots(1, 2, figsize=(5.8, 2.8))
        d = np.array([best["d1"], best["d2"]])
        foot = -best["bias"] * d / (d @ d)
        along = np.array([-d[1], d[0]])
        for cls, (color, marker) in enumerate((("#0072B2", "o"), ("#D55E00", "s"))):
            left.plot(*X[y == cls].T, marker, color=color, markersize=3)
        left.plot(*np.transpose([foot - along, foot + along]), "--", color="black", linewidth=1)
        left.annotate("", foot + 0.45 * d, foot, arrowprops={"arrowstyle": "-|>", "linewidth": 2, "color": "black"})
        left.set(xlim=(-4.5, 4.5), ylim=(-4, 4), xlabel="feature 1", ylabel="feature 2", title="the plane")
        distance = np.linspace(-4, 4, 49)
        for length, color, style in ((1, "#666666", ":"), (3, "#D55E00", "--"), (10, "#0072B2", "-")):
            right.plot(distance, sigmoid(length * distance), style, color=color)
            right.text(1.2, 0.5 - 0.14 * (10, 3, 1).index(length), f"length {length}", color=color)
        right.set(xlabel="distance from the border", ylabel="probability of class 1", title="across the border")
        figure.tight_layout()
        return figure


def _prices(z: Array, y: Array) -> Array:
    """Return what each point pays, -log p of its class, for the differences z of the two logits."""
    return np.logaddexp(0, np.where(y == 1, -z, z))


def _lowest(X: Array, y: Array) -> list[float]:
    """Return the two weights and the bias of the lowest mean cross-entropy, by Newton's method."""
    A, theta = np.column_stack([X, np.ones(len(X))]), np.zeros(3)
    for _ in range(25):
        p = sigmoid(A @ theta)
        theta = theta - np.linalg.solve(A.T @ (A * (p * (1 - p))[:, None]), A.T @ (p - y))
    return [float(value) for value in theta]
