"""A small network that learns to tell two classes of points in the plane, under the reader's hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

import nnkit as nn
from lab import plots
from lab.touch.widget import Touch, traits
from nnkit.typing import Array

MOST = 300
"""The largest number of points; more are slow to drag, and too long for an address."""

REACH = 4
"""How far from 0 a coordinate of one of the reader's own points may be."""

PLANES = {
    "xor": (-0.5, -0.5, 2.0),
    "circles": (-1.6, -1.6, 3.2),
    "moons": (-1.75, -2.0, 4.5),
    "spirals": (-2.6, -2.6, 5.2),
    "blobs": (-4.0, -4.0, 8.0),
}
"""What is seen of the plane with each data set: left, bottom and side; the smallest first."""

_ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "relu": nn.ReLU}


class Playground(Touch):
    """A network of up to three hidden layers that learns in the page, from XOR or from points that one sets.

    From the same weights it computes what `nnkit` computes (chapter 5). Its loss is that of the present weights over
    all points. If the batch holds all points, they keep their order, and nothing is left to chance.

    Parameters
    ----------
    data : {"xor", "blobs", "circles", "moons", "spirals", "own"}
        The points to learn from; "xor" is the four corners of chapter 5.
    points : str
        The reader's own points, "x1,x2,class;...", with coordinates from -4 to 4; used if `data` is "own".
    width, depth : int
        Units in each hidden layer, 1 to 8, and hidden layers, 0 to 3; without one, logistic regression (chapter 2).
    activation : {"tanh", "sigmoid", "relu"}
        The bend after each hidden layer.
    learning_rate, weight_decay : float
        As `lr`, 0.0001 to 10, and `weight_decay`, 0 to 1, of nnkit's optimizers.
    batch_size : int
        Points a step, 1 to 300.
    optimizer : {"sgd", "momentum", "adam"}
        Momentum is SGD with a momentum of 0.9.
    criterion : {"squared", "cross_entropy"}
        The squared error behind a sigmoid (chapter 5), or the binary cross-entropy of a score (chapter 2).
    seed : int
        For the weights that training starts from, 0 to 99.
    noise : float
        The standard deviation of what is added to each coordinate, 0 to 0.5; that of blobs is eight times as large.
    count, held_out : int
        How many points are drawn to learn from, 4 to 300, and how many more only to measure on, 0 to 300.
    epochs : int
        How far one press of *play* trains.
    **more
        `name`, `title`, `question` and `tries`, as in `Touch`.

    Attributes
    ----------
    loss, held_out_loss : float or None
        Of the present weights, over the points to learn from and the others; None before they are shown.
    epoch, wrong : int
        How many epochs are done, and how many points are on the wrong side.
    start : list of dict
        The weights that training started from: "weight", as rows of numbers, and "bias" of each layer.
    samples : list
        The points learned from, as [x1, x2, class].
    """

    module = "playground"
    title = "Playground"
    question = "Two hidden units are enough for XOR. Will training find the way?"
    tries = (
        (
            "Seed 3 gets stuck at a loss near 1/8. Which two points look the same to the hidden layer?",
            {"data": "xor", "width": 2, "seed": 3},
        ),
        (
            "Seed 7 finds the way. Watch the plane fold: when does it leave its plateau?",
            {"data": "xor", "width": 2, "seed": 7},
        ),
        (
            "Six units and Adam on two moons. Then drag a point to the other side: what does the border do?",
            {"data": "moons", "width": 6, "optimizer": "adam", "learning_rate": 0.01, "batch_size": 16},
        ),
    )
    still_says = (
        "A small network has learned to tell two classes of points in the plane. In the plane, its probabilities "
        "are colours, with a line where they are one half. The other picture is the plane as two hidden units see it, "
        "or the loss."
    )

    data = traits.Enum(["xor", "blobs", "circles", "moons", "spirals", "own"], "xor").tag(sync=True)
    points = traits.Unicode("").tag(sync=True)
    width = traits.Int(2, min=1, max=8).tag(sync=True)
    depth = traits.Int(1, min=0, max=3).tag(sync=True)
    activation = traits.Enum(list(_ACTIVATIONS), "tanh").tag(sync=True)
    learning_rate = traits.Float(0.5, min=0.0001, max=10.0).tag(sync=True)
    batch_size = traits.Int(4, min=1, max=MOST).tag(sync=True)
    optimizer = traits.Enum(["sgd", "momentum", "adam"], "sgd").tag(sync=True)
    weight_decay = traits.Float(0.0, min=0.0, max=1.0).tag(sync=True)
    criterion = traits.Enum(["squared", "cross_entropy"], "squared").tag(sync=True)
    seed = traits.Int(0, min=0, max=99).tag(sync=True)
    noise = traits.Float(0.1, min=0.0, max=0.5).tag(sync=True)
    count = traits.Int(120, min=4, max=MOST).tag(sync=True)
    held_out = traits.Int(0, min=0, max=MOST).tag(sync=True)
    epochs = traits.Int(2000, min=1, max=20_000).tag(sync=True)

    loss = traits.Float(None, allow_none=True).tag(sync=True)
    held_out_loss = traits.Float(None, allow_none=True).tag(sync=True)
    epoch = traits.Int(0).tag(sync=True)
    wrong = traits.Int(0).tag(sync=True)
    start: traits.List[Any] = traits.List().tag(sync=True)
    samples: traits.List[Any] = traits.List().tag(sync=True)

    @traits.validate("points")
    def _readable(self, proposal: Any) -> str:
        try:
            read_points(proposal["value"])
        except ValueError as error:
            raise traits.TraitError(str(error)) from error
        return str(proposal["value"])

    def drawn(self) -> Array:
        """Return the points to learn from, as rows of x1, x2 and class, as the page draws them."""
        if self.data == "own":
            return read_points(self.points)
        return draw_points(self.data, self.count, self.noise)

    def network(self) -> nn.Sequential:
        """Return nnkit's network with the weights that the page starts from, in float64."""
        following = random(self.seed)

        def xavier(shape: tuple[int, int], _: Any) -> Array:
            return math.sqrt(2 / sum(shape)) * np.array([normal(following) for _ in range(math.prod(shape))]).reshape(
                shape
            )

        sizes = [2] + self.depth * [self.width]
        modules: list[nn.Module] = []
        for before, after in pairwise(sizes):
            modules += [nn.Linear(before, after, init=xavier, dtype=np.float64), _ACTIVATIONS[self.activation]()]
        modules.append(nn.Linear(sizes[-1], 1, init=xavier, dtype=np.float64))
        return nn.Sequential(*modules, *([nn.Sigmoid()] if self.criterion == "squared" else []))

    def trained(self, epochs: int) -> tuple[nn.Sequential, list[float]]:
        """Return nnkit's network after so many epochs of all points at once, and the loss before each of them."""
        points, model = self.drawn(), self.network()
        criterion: nn.Loss = nn.MSELoss() if self.criterion == "squared" else nn.BCEWithLogitsLoss()
        settings: dict[str, Any] = {"lr": self.learning_rate, "weight_decay": self.weight_decay}
        if self.optimizer == "momentum":
            settings["momentum"] = 0.9
        optimizer = (nn.Adam if self.optimizer == "adam" else nn.SGD)(model.parameters(), **settings)
        losses = []
        for _ in range(epochs):
            losses.append(criterion(model.forward(points[:, :2]), points[:, 2:]))
            optimizer.zero_grad()
            model.accumulate(criterion.backward())
            optimizer.step()
        return model, losses

    def still(self) -> Figure:
        """Return the plane, and beside it the fold of two hidden units, or the loss, after at most 1,000 epochs."""
        points = self.drawn()
        figure, (left, right) = plt.subplots(1, 2, figsize=(5.6, 2.7))
        across, up, side = next(
            plane for plane in PLANES.values() if all(_inside(plane, point) for point in points) or plane[2] == 8
        )
        limits = (across, across + side, up, up + side)
        if not len(points):
            left.set(xlim=limits[:2], ylim=limits[2:], xlabel="$x_1$", ylabel="$x_2$")
            right.set_axis_off()
            return figure
        model, losses = self.trained(min(self.epochs, 1000))

        def probability(places: Array) -> Array:
            answer = model(places)
            return answer if self.criterion == "squared" else 1 / (1 + np.exp(-answer))

        shown = points[:60]  # A small picture has no room for more.
        plots.decision_regions(probability, shown[:, :2], shown[:, 2], ax=left, limits=limits, resolution=40)
        left.set(title="the plane", aspect="equal")
        if self.width == 2 and self.depth:
            _draw_fold(model, points, right)
            right.set(title="as the hidden units see it")
        else:
            right.plot(range(len(losses)), losses, color="#0072B2")
            right.set(xlabel="epoch", title="the loss", ylim=(0, None))
        figure.tight_layout()
        return figure


def _draw_fold(model: nn.Sequential, points: Array, ax: Any) -> None:
    """Draw the grid of the plane as the last hidden layer sees it, the points, and the line of the output."""
    last = max(i for i, module in enumerate(model) if isinstance(module, nn.Linear))
    body, output = model[:last], model[last]
    assert isinstance(output, nn.Linear)
    assert output.bias is not None
    margin = 0.1 * np.ptp(points[:, :2], axis=0) + 1e-9
    (left, low), (right, high) = points[:, :2].min(axis=0) - margin, points[:, :2].max(axis=0) + margin
    fine = np.linspace(0, 1, 15)
    for tick in np.linspace(0, 1, 7):
        for share1, share2 in ((0 * fine + tick, fine), (fine, 0 * fine + tick)):
            places = np.column_stack([left + (right - left) * share1, low + (high - low) * share2])
            ax.plot(*body(places).T, color="#BBBBBB", linewidth=0.6)
    hidden = body(points[:, :2])
    for label in (0, 1):
        of = points[:, 2] == label
        ax.scatter(*hidden[of].T, s=50, color=plots.CLASS_COLORS[label], marker=plots.CLASS_MARKERS[label], zorder=3)
    limits = ax.get_xlim(), ax.get_ylim()
    (v1, v2), c = output.weight.data[:, 0], output.bias.data[0]
    middle = -c * np.array([v1, v2]) / (v1 * v1 + v2 * v2)
    ax.axline(middle, middle + [-v2, v1], color="#333333", linewidth=1.1)
    ax.set(xlim=limits[0], ylim=limits[1], xlabel="hidden unit 1", ylabel="hidden unit 2")
    ax.grid(False)


def _inside(plane: tuple[float, float, float], point: Array) -> bool:
    left, bottom, side = plane
    return bool(left <= point[0] <= left + side and bottom <= point[1] <= bottom + side)


def read_points(text: str) -> Array:
    """Return the points that a text such as "0,0,1;0.5,1,0" names, shape (n, 3): x1, x2 and class.

    Raises
    ------
    ValueError
        If it names none that are possible; the message says which, and what was expected.
    """
    parts = [part.strip() for part in text.split(";") if part.strip()]
    if len(parts) > MOST:
        raise ValueError(f"points must be at most {MOST}; got {len(parts)}")
    points = np.empty((len(parts), 3))
    for i, part in enumerate(parts):
        try:
            x1, x2, label = (float(number) for number in part.split(","))
        except ValueError:
            raise ValueError(
                f"points[{i}] must be three numbers, as in '0.5,1,0': x1, x2, class; got {part!r}"
            ) from None
        if not (abs(x1) <= REACH and abs(x2) <= REACH):
            raise ValueError(f"points[{i}] must have coordinates from -{REACH} to {REACH}; got {part!r}")
        if label not in (0, 1):
            raise ValueError(f"points[{i}] must be of class 0 or 1; got {part!r}")
        points[i] = x1, x2, label
    return points


def draw_points(data: str, count: int, noise: float) -> Array:
    """Return points as the page draws them, shape (n, 3): x1, x2 and class; always the same."""
    if data == "xor":
        return np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]], dtype=float)
    following, points = random(5), np.empty((count, 3))
    spread = 8 * noise if data == "blobs" else noise
    for i in range(count):
        label, along = i % 2, following()
        angle = math.pi * along
        if data == "blobs":
            x, y = (1.5, 1.0) if label else (-1.5, -1.0)
        elif data == "circles":
            radius = 0.6 if label else 1.2
            x, y = radius * math.cos(2 * angle), radius * math.sin(2 * angle)
        elif data == "moons":
            x, y = math.cos(angle), math.sin(angle)
            if label:
                x, y = 1 - x, 0.5 - y
        else:
            turned, radius = 3 * angle + math.pi * label, 0.15 + 2 * along
            x, y = radius * math.cos(turned), radius * math.sin(turned)
        while True:
            points[i] = x + spread * normal(following), y + spread * normal(following), label
            if _inside(PLANES[data], points[i]):
                break
    return points


def random(seed: int) -> Callable[[], float]:
    """Return a function that gives the same numbers in [0, 1) as that of ``parts.js``."""
    state, full = seed, 0xFFFFFFFF

    def following() -> float:
        nonlocal state
        state = (state + 0x6D2B79F5) & full
        mixed = ((state ^ (state >> 15)) * (state | 1)) & full
        mixed ^= (mixed + (mixed ^ (mixed >> 7)) * (mixed | 61)) & full
        return (mixed ^ (mixed >> 14)) / 4294967296

    return following


def normal(following: Callable[[], float]) -> float:
    """Return a standard normal number, from two of `following` (Box and Muller, 1958)."""
    radius = math.sqrt(-2 * math.log(1 - following()))
    return radius * math.cos(2 * math.pi * following())
