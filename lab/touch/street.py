"""The street of chapter 14 to touch: points of two classes that can be dragged, C and gamma, and SMO pair by pair."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

import nnkit as nn
from lab import needed_by
from lab.touch.widget import Touch, traits
from nnkit.checks import finite_array

with needed_by(__name__):
    import matplotlib.pyplot as plt

    from lab import plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from nnkit.estimators import SVC
    from nnkit.typing import Array

MOST = 300
"""The most points that the page's solver takes."""

STARTS = ("villages", "blobs", "moons")
# Left, right, bottom and top of the picture.
_VIEWS = {
    "villages": (-4.25, 4.25, -3.875, 3.875),
    "blobs": (-4.25, 4.25, -3.875, 3.875),
    "moons": (-2.24, 3.24, -2.25, 2.75),
}
_POINT = re.compile(r"([bo])(-?\d{1,4})_(-?\d{1,4})")

# Chapter 14's houses: how far across the street, and how far along it.
_ORANGE = [(1, 1.2), (1, -1.5), (1.9, 0.4), (2.4, -0.9), (1.6, 2), (2.9, 0.8)]
_BLUE = [(-1, 0.1), (-1.5, -1.2), (-1.8, 1.3), (-2.5, 0.3), (-2.9, -0.7), (-1.4, 2.2)]


class Street(Touch):
    """The widest street between points of two classes, which the hand drags, adds and removes (chapters 14 and 15).

    Parameters
    ----------
    X : array_like, shape (n, 2), optional
        Points in place of those of `start`, rounded to hundredths; at most `MOST`, inside the picture of `start`.
    y : array_like, shape (n,), optional
        Their labels, -1 (blue) or 1 (orange).
    **settings
        `start`, "villages" (12 houses), "blobs" (40 points) or "moons" (100 points, those of chapter 14); `kernel`,
        "linear" or "rbf"; `C`, from 0.01 to 1,000; `gamma`, from 0.01 to 100; `pairs`, how many pairs SMO has moved,
        -1 for all; and what `Touch` takes.

    Attributes
    ----------
    points : str
        The points as the page's address has them, in hundredths: ``"b-120_35o40_0"`` is a blue one at (-1.2, 0.35) and
        an orange one at (0.4, 0). Empty as long as they are those of `start`.
    """

    module = "street"
    title = "Street"
    question = "Which points hold the street, and what do C and \N{GREEK SMALL LETTER GAMMA} do to it?"
    tries = (
        (
            "Drag a house that has no rim anywhere on its own side of the street. When does the street begin to move?",
            {"start": "villages", "points": "", "kernel": "linear", "C": 1000, "pairs": -1},
        ),
        (
            "With \N{GREEK SMALL LETTER GAMMA} = 100 the border closes around single points. "
            "Is there a C that repairs it?",
            {"start": "moons", "points": "", "kernel": "rbf", "C": 10, "gamma": 100, "pairs": -1},
        ),
        (
            "Let SMO move one pair, and another. After how many can you no longer see a difference?",
            {"start": "moons", "points": "", "kernel": "rbf", "C": 10, "gamma": 1, "pairs": 1},
        ),
    )
    still_says = (
        "Points of two classes, and the street that a support vector machine lays between them: the border as a line, "
        "the edges dashed, and a rim around each support vector, larger where its multiplier is."
    )

    start = traits.Enum(STARTS, "villages").tag(sync=True)
    points = traits.Unicode("").tag(sync=True)
    kernel = traits.Enum(("linear", "rbf"), "linear").tag(sync=True)
    C = traits.Float(10.0, min=0.01, max=1000).tag(sync=True)
    gamma = traits.Float(1.0, min=0.01, max=100).tag(sync=True)
    pairs = traits.Int(-1, min=-1, max=100_000).tag(sync=True)
    data = traits.Dict().tag(sync=True)

    def __init__(self, *, X: Any = None, y: Any = None, **settings: Any) -> None:
        if (X is None) != (y is None):
            raise ValueError(f"{'y' if y is None else 'X'} must be given too: points need places and labels")
        super().__init__(data={name: _as_text(*_points_of(name)) for name in STARTS}, **settings)
        if X is not None:
            self.points = _as_text(*_checked(X, y, self.start))
        self._start = {key: self.get_state(key)[key] for key in self._shown()}

    @traits.validate("points")
    def _readable(self, proposal: Any) -> str:
        text = str(proposal.value)
        _from_text(text)
        return text

    @property
    def X(self) -> Array:
        """The points as they are now, float64, shape (n, 2)."""
        return _from_text(self.points or self.data[self.start])[0]

    @property
    def y(self) -> Array:
        """Their labels, int64, -1 for blue and 1 for orange, shape (n,)."""
        return _from_text(self.points or self.data[self.start])[1]

    def machine(self) -> SVC:
        """Return `nnkit.SVC` trained on the points as they are now, with the same settings.

        Raises
        ------
        ValueError
            If one of the classes has no point left.
        """
        if len(set(self.y.tolist())) < 2:
            raise ValueError(f"points must have both labels, -1 and 1; got {len(self.y)} of one alone")
        return nn.SVC(self.C, kernel=self.kernel, gamma=self.gamma).fit(self.X, self.y)

    def still(self) -> Figure:
        figure, ax = plt.subplots(figsize=(3.6, 2.8))
        limits = _VIEWS[self.start]
        if len(set(self.y.tolist())) == 2:
            machine, alpha = self.machine(), np.zeros(len(self.y))
            alpha[machine.support_] = np.abs(machine.dual_coef_[0])
            weight = alpha / alpha.max()
            plots.margins(machine.decision_function, self.X, self.y, weight, ax=ax, limits=limits, resolution=60)
        else:  # Points, but no street.
            x1, x2 = self.X.T
            ax.scatter(x1, x2, s=14, c=[plots.CLASS_COLORS[int(sign > 0)] for sign in self.y])
            ax.set(xlim=limits[:2], ylim=limits[2:])
        ax.set(aspect="equal", xlabel="", ylabel="", xticks=[], yticks=[])
        figure.tight_layout()
        return figure


def _points_of(start: str) -> tuple[Array, Array]:
    """Return the points of a start as chapter 14 draws them, and their labels."""
    if start == "villages":
        return np.array(_ORANGE + _BLUE) @ [[0.8, 0.6], [-0.6, 0.8]], np.array([1] * 6 + [-1] * 6)
    X, classes = nn.make_blobs(40, spread=0.9, rng=3) if start == "blobs" else nn.make_moons(100, noise=0.3, rng=4)
    return X.astype(np.float64), np.where(classes == 1, 1, -1)


def _checked(X: Any, y: Any, start: str) -> tuple[Array, Array]:
    X, y = finite_array("X", X, np.float64), finite_array("y", y, np.float64)
    if X.ndim != 2 or X.shape[1] != 2 or not 0 < len(X) <= MOST:
        raise ValueError(f"X must have shape (n, 2), with n from 1 to {MOST}; got {X.shape}")
    if y.shape != X.shape[:1] or not np.isin(y, (-1, 1)).all():
        raise ValueError(f"y must have one label for each point, -1 or 1, shape {X.shape[:1]}; got {y!r}")
    left, right, bottom, top = _VIEWS[start]
    outside = (np.clip(X, (left, bottom), (right, top)) != X).any(axis=1)
    if outside.any():
        place = tuple(X[outside][0].tolist())
        raise ValueError(f"X must lie in the picture, {left} to {right} and {bottom} to {top}; got {place}")
    return X, y.astype(np.int64)


def _as_text(X: Array, y: Array) -> str:
    places = np.rint(100 * X).astype(int).tolist()
    return "".join(f"{'b' if sign < 0 else 'o'}{x1}_{x2}" for (x1, x2), sign in zip(places, y.tolist(), strict=True))


def _from_text(text: str) -> tuple[Array, Array]:
    found = _POINT.findall(text)
    if "".join(f"{letter}{x1}_{x2}" for letter, x1, x2 in found) != text:
        expected = "b or o and two whole numbers of hundredths each, as b-120_35"
        raise ValueError(f"points must be {expected}; got {text[:60]!r}")
    if len(found) > MOST:
        raise ValueError(f"points must be at most {MOST}; got {len(found)}")
    X = np.array([(int(x1), int(x2)) for _, x1, x2 in found], dtype=np.float64).reshape(-1, 2) / 100
    return X, np.array([-1 if letter == "b" else 1 for letter, _, _ in found], dtype=np.int64)
