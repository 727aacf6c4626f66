"""The pencil's network as a graph in which any number can be changed: forward and backward, one node at a time."""

from __future__ import annotations

import numpy as np

from lab import needed_by
from lab.touch.widget import Touch, traits
from nnkit.activations import ReLU
from nnkit.layers import Linear
from nnkit.losses import MSELoss
from nnkit.module import Sequential
from nnkit.typing import Array

with needed_by(__name__):
    import matplotlib.pyplot as plt
    from matplotlib.figure import Figure

_PLACES = {
    **{"x_1": (0, 1), "x_2": (0, 0), "z_1": (1.6, 1), "z_2": (1.6, 0)},
    **{"h_1": (2.6, 1), "h_2": (2.6, 0), "out": (4.1, 0.5), "L": (5.1, 0.5)},
}
_EDGES = (
    *(("x_1", "z_1", "W1_11"), ("x_1", "z_2", "W1_12"), ("x_2", "z_1", "W1_21"), ("x_2", "z_2", "W1_22")),
    *(("z_1", "h_1", ""), ("z_2", "h_2", ""), ("h_1", "out", "W2_1"), ("h_2", "out", "W2_2"), ("out", "L", "")),
)


class Graph(Touch):
    """The network of two inputs, two units and one output, with every value and every gradient: chapter 3.

    Parameters
    ----------
    x_1, x_2 : float, default 1 and 2
        The input, each from -99 to 99, as all numbers here.
    W1_11, W1_12, W1_21, W1_22 : float, default 1, -1, 0.5 and 1
        The weights of the first layer: row, column.
    b1_1, b1_2 : float, default 0 and -2
        Its biases.
    W2_1, W2_2, b2 : float, default 1, 3 and 0.5
        The second layer.
    y : float, default 2
        The target.
    step : int, default 16
        How far the calculation is shown: 0, only what is given; 6, the loss; 15 or 16, all gradients.

    Attributes
    ----------
    arrays : dict of str to ndarray
        The numbers as the chapter's arrays: x (1, 2), W1 (2, 2), b1 (2,), W2 (2, 1), b2 (1,) and y (1, 1).
    gradients : dict of str to ndarray
        The gradient of the loss with respect to x and to each parameter, in its shape, as `nnkit` computes it.
    loss : float
        The squared error.

    Raises
    ------
    ValueError
        If a number is out of its range.
    """

    module = "graph"
    title = "Forward and backward"
    question = "If one of these numbers grew a little, what would the loss do, and how does that news travel?"
    tries = (
        ("From the start, one node at a time: say each number before you press Step.", {"step": 0}),
        ("Raise the second input to 4. Where does the lower unit stand? And above 4?", {"x_2": 4}),
        ("Make the prediction right: the target is 2.5. What is left of the gradients?", {"y": 2.5}),
    )
    still_says = (
        "The pencil's network as a graph: two inputs, two sums, two rectifiers, one output and the loss. Above each "
        "node stands its value and below it the gradient of the loss; each weight stands on its edge."
    )

    step = traits.Int(16, min=0, max=16).tag(sync=True)
    x_1 = traits.Float(1.0, min=-99, max=99).tag(sync=True)
    x_2 = traits.Float(2.0, min=-99, max=99).tag(sync=True)
    W1_11 = traits.Float(1.0, min=-99, max=99).tag(sync=True)
    W1_12 = traits.Float(-1.0, min=-99, max=99).tag(sync=True)
    W1_21 = traits.Float(0.5, min=-99, max=99).tag(sync=True)
    W1_22 = traits.Float(1.0, min=-99, max=99).tag(sync=True)
    b1_1 = traits.Float(0.0, min=-99, max=99).tag(sync=True)
    b1_2 = traits.Float(-2.0, min=-99, max=99).tag(sync=True)
    W2_1 = traits.Float(1.0, min=-99, max=99).tag(sync=True)
    W2_2 = traits.Float(3.0, min=-99, max=99).tag(sync=True)
    b2 = traits.Float(0.5, min=-99, max=99).tag(sync=True)
    y = traits.Float(2.0, min=-99, max=99).tag(sync=True)

    @property
    def arrays(self) -> dict[str, Array]:
        return {
            "x": np.array([[self.x_1, self.x_2]]),
            "W1": np.array([[self.W1_11, self.W1_12], [self.W1_21, self.W1_22]]),
            "b1": np.array([self.b1_1, self.b1_2]),
            "W2": np.array([[self.W2_1], [self.W2_2]]),
            "b2": np.array([self.b2]),
            "y": np.array([[self.y]]),
        }

    @property
    def gradients(self) -> dict[str, Array]:
        return self._passes()[1]

    @property
    def loss(self) -> float:
        return self._passes()[0]

    def _passes(self) -> tuple[float, dict[str, Array]]:
        given = self.arrays
        model = Sequential(Linear(2, 2), ReLU(), Linear(2, 1)).astype(np.float64)
        names = {"0.weight": "W1", "0.bias": "b1", "2.weight": "W2", "2.bias": "b2"}
        model.load_state_dict({key: given[name] for key, name in names.items()})
        loss = MSELoss()
        value = loss(model(given["x"]), given["y"])
        for_x = model.backward(loss.backward())
        return value, {"x": for_x} | {names[key]: p.grad.copy() for key, p in model.named_parameters()}

    def still(self) -> Figure:
        given, (loss, gradients) = self.arrays, self._passes()
        Z = given["x"] @ given["W1"] + given["b1"]
        H = np.maximum(0, Z)
        out = H @ given["W2"] + given["b2"]
        for_out = 2 * (out - given["y"])
        for_H = for_out @ given["W2"].T
        rows = zip(
            (given["x"], Z, H, out, np.array([[loss]])),
            (gradients["x"], gradients["b1"][None], for_H, for_out, np.ones((1, 1))),
            strict=True,
        )
        pairs = [pair for value, gradient in rows for pair in zip(value[0], gradient[0], strict=True)]
        figure, ax = plt.subplots(figsize=(5.8, 2.8))
        for start, end, weight in _EDGES:
            (x0, y0), (x1, y1) = _PLACES[start], _PLACES[end]
            ax.plot((x0, x1), (y0, y1), color="#777777", linewidth=1, zorder=1)
            if weight:
                box = {"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none"}
                at = x0 + (x1 - x0) / 3, y0 + (y1 - y0) / 3
                ax.text(*at, f"{getattr(self, weight):g}", ha="center", va="center", color="#005A8C", bbox=box)
        for (name, (x, y)), (value, gradient) in zip(_PLACES.items(), pairs, strict=True):
            letter = r"$\hat y$" if name == "out" else f"${name}$"
            circle = {"boxstyle": "circle,pad=0.25", "fc": "white", "ec": "black"}
            ax.text(x, y, letter, ha="center", va="center", bbox=circle)
            ax.text(x, y + 0.17, f"{value + 0.0:.4g}", ha="center", va="bottom", color="#005A8C")
            ax.text(x, y - 0.17, f"{gradient + 0.0:.4g}", ha="center", va="top", color="#A34700")
        ax.set(xlim=(-0.4, 5.5), ylim=(-0.45, 1.45))
        ax.axis("off")
        figure.tight_layout(pad=0.2)
        return figure
