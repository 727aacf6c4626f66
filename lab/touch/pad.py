"""A pad to draw a digit on, and what the book's classifiers make of it at once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

import nnkit as nn
from lab import needed_by
from lab.touch import stored
from lab.touch.weights import packed, packed_digits, rounded
from lab.touch.widget import Touch, traits
from nnkit.activations import sigmoid
from nnkit.checks import finite_array
from nnkit.typing import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EACH = {"classify": 30, "encode": 3, "denoise": 4, "neighbours": 5}
"""How many test digits of each class can be chosen; with the weights of an autoencoder there is room for few."""

_WORDS: dict[str, dict[str, Any]] = {
    "classify": {
        "title": "Draw a digit",
        "question": "Does a network read your handwriting, and by what does it know?",
        "tries": (
            ("Draw a 7 stroke by stroke. What does it read before you are done?", None),
            ("Put a bar through your 7. Which ink speaks against it?", None),
            ("A 4 that it reads as a 9. Which ink misleads it?", {"sample": 115}),
            ("Draw a letter or a house. How sure is it?", None),
        ),
        "still": "A test digit, and the probabilities that the network gives to the ten digits.",
    },
    "encode": {
        "title": "A digit in 32 numbers",
        "question": "What does the network keep of your digit, and what does a single number do?",
        "tries": (
            ("Move one number from end to end. Does it stand for a stroke?", {"sample": 3}),
            ("Draw a letter or a house. What comes back?", None),
            ("Set a few numbers at random. Is what comes back still a digit?", {"sample": 8}),
        ),
        "still": "A test digit, its 32 numbers in the autoencoder, and what is drawn from them.",
    },
    "denoise": {
        "title": "Clean a noisy digit",
        "question": "How much noise can your digit bear until another one comes back?",
        "tries": (
            ("The network was trained with noise of 0.2. Without any noise, what does it lose?", {"sigma": 0.0}),
            ("Three times the noise: clear, but is it the same digit?", {"sigma": 0.6}),
            ("At 1, press “Other noise” a few times. Do the answers agree?", {"sigma": 1.0}),
        ),
        "still": "A test digit, the same with noise, and what the denoising autoencoder returns.",
    },
    "neighbours": {
        "title": "Ask the neighbours",
        "question": "Which digits are most like yours, and do they agree?",
        "tries": (
            ("Let one neighbour decide, then 25. Which answer would you trust?", {"k": 1}),
            ("Draw a 1 that leans far to one side. Who is near?", None),
            ("A test digit, and its 25 nearest.", {"sample": 8, "k": 25}),
        ),
        "still": "A test digit and its five nearest neighbours among 250 others, the nearest first.",
    },
}


class Pad(Touch):
    """A pad for mouse, finger, pen and keyboard: chapters 6, 9, 12 and 13 answer what is drawn on it.

    Parameters
    ----------
    mode : {"classify", "encode", "denoise", "neighbours"}, default "classify"
        Who answers: the classifier of chapter 6, the autoencoder of chapter 9, the denoising autoencoder of
        chapter 12, or the nearest of 250 test digits, as in chapter 13.
    network : Module, optional
        For "classify": a network that takes 784 pixels and returns ten logits, in place of the stored one.

    Attributes
    ----------
    digit : ndarray of float32, shape (784,)
        What the network gets: the ink of 28 x 28 pixels, from 0 (paper) to 1. It can be set.
    sample : int
        Which of the stored test digits is on the pad; -1 is none.
    sigma, seed : float and int
        For "denoise": the standard deviation of the noise, from 0 to 1, and where it is drawn from.
    k : int
        For "neighbours": how many vote, from 1 to 25.
    code : list of float
        For "encode": the 32 numbers, once one was moved; until then empty.
    """

    module = "pad"
    title = _WORDS["classify"]["title"]
    question = _WORDS["classify"]["question"]
    tries = _WORDS["classify"]["tries"]
    still_says = _WORDS["classify"]["still"]

    mode = traits.Enum(list(EACH), "classify").tag(sync=True)
    sample = traits.Int(-1, min=-1, max=10 * EACH["classify"] - 1).tag(sync=True)
    sigma = traits.Float(0.2, min=0, max=1).tag(sync=True)
    k = traits.Int(5, min=1, max=25).tag(sync=True)
    seed = traits.Int(0, min=0, max=9999).tag(sync=True)
    strokes: Any = traits.List().tag(sync=True)
    picture: Any = traits.List().tag(sync=True)
    code: Any = traits.List().tag(sync=True)
    data = traits.Dict().tag(sync=True)

    def __init__(self, mode: str = "classify", *, network: nn.Module | None = None, **settings: Any) -> None:
        if mode not in EACH:
            raise ValueError(f"mode must be one of {', '.join(EACH)}; got {mode!r}")
        if network is not None and mode != "classify":
            raise ValueError(f"network must be None unless mode is 'classify'; got a network and {mode!r}")
        words, given = _WORDS[mode], set(settings)
        self.still_says = words["still"]  # type: ignore[misc]  # a class says it for all modes, and here each its own
        self._networks = {"": _checked(network)} if network is not None else _networks(mode)
        self._places = stored.sample(EACH[mode])
        # There is something to see before the first stroke; a reader of digits waits for one.
        settings.setdefault("sample", -1 if mode == "classify" else 0)
        settings.setdefault("data", self._data(mode))
        for name in ("title", "question", "tries"):
            settings.setdefault(name, words[name])
        self._stored = network is None and "data" not in given
        super().__init__(mode=mode, **settings)

    def recipe(self) -> dict[str, Any] | None:
        """Return the mode, unless the reader's own network answers."""
        return {"mode": self.mode} if self._stored else None

    def _data(self, mode: str) -> dict[str, Any]:
        data: dict[str, Any] = {role or "network": packed(each) for role, each in self._networks.items()}
        pixels, labels, _ = stored.digits()
        data["digits"] = packed_digits(pixels[self._places], labels[self._places])
        if mode == "encode":
            codes = rounded(data["encoder"]).forward(pixels[self._places] / 255)
            data["reach"] = math.ceil(np.abs(codes).max())
        if mode == "neighbours":
            voters = self._voters()
            data["voters"] = packed_digits(pixels[voters], labels[voters])
        return data

    def _voters(self) -> Array:
        """Return which of the stored digits vote: those that cannot be chosen."""
        start = EACH["neighbours"]
        return stored.sample(stored.EACH - start, start)

    @traits.validate("sample")
    def _checked_sample(self, proposal: Any) -> int:
        if proposal["value"] >= len(self._places):
            last = len(self._places) - 1
            raise traits.TraitError(f"sample must be from -1 to {last} in mode {self.mode!r}; got {proposal['value']}")
        return proposal["value"]

    @traits.observe("sample")
    def _show_sample(self, change: Any) -> None:
        if change["new"] >= 0:
            self.strokes, self.picture, self.code = [], self._pixels(change["new"]).tolist(), []

    def _pixels(self, which: int) -> Array:
        return stored.digits()[0][self._places[which]]

    @property
    def digit(self) -> Array:
        """What the network gets: the ink of 28 x 28 pixels in a row, from 0 (paper) to 1, float32, shape (784,)."""
        if len(self.picture) != 784:
            return np.zeros(784, dtype=np.float32)
        return np.asarray(self.picture, dtype=np.float32) / np.float32(255)

    @digit.setter
    def digit(self, ink: Any) -> None:
        ink = finite_array("digit", ink, np.float32)
        if ink.shape != (784,) or ink.min() < 0 or ink.max() > 1:
            raise ValueError(
                f"digit must hold 784 numbers from 0 to 1; got shape {ink.shape}, {ink.min()} to {ink.max()}"
            )
        with self.hold_sync():
            self.sample, self.strokes, self.code = -1, [], []
            self.picture = np.rint(255 * ink).astype(int).tolist()

    def still(self) -> Figure:
        """Return a picture of a test digit and of what is made of it, 5.8 by 2.2 inches or less."""
        with needed_by(__name__):
            import matplotlib.pyplot as plt

        which = max(self.sample, 0)
        x = self._pixels(which) / 255
        if self.mode == "classify":
            figure, axes = plt.subplots(1, 2, figsize=(5.8, 2.2), width_ratios=[1, 1.6])
            _digit(axes[0], x, "what it gets")
            shares = nn.softmax(rounded(self.data["network"]).forward(x[None]))[0]
            best = shares.argmax()
            axes[1].barh(range(10), shares, color=["#D55E00" if digit == best else "#9A9A9A" for digit in range(10)])
            axes[1].set(yticks=range(10), ylim=(9.6, -0.6), xlim=(0, 1), xlabel="probability")
        elif self.mode == "encode":
            figure, axes = plt.subplots(1, 3, figsize=(5.8, 2.0), width_ratios=[1, 2, 1])
            code = rounded(self.data["encoder"]).forward(x[None])
            _digit(axes[0], x, "the digit")
            axes[1].bar(range(1, code.size + 1), code[0], color="#0072B2")
            axes[1].set(title="32 numbers", xticks=[1, 8, 16, 24, 32])
            _digit(axes[2], sigmoid(rounded(self.data["decoder"]).forward(code))[0], "drawn again")
        elif self.mode == "denoise":
            figure, axes = plt.subplots(1, 3, figsize=(5.8, 2.2))
            noisy = x + self.sigma * np.random.default_rng(self.seed).standard_normal(784)
            code = rounded(self.data["encoder"]).forward(noisy[None])
            pictures = (x, noisy, sigmoid(rounded(self.data["decoder"]).forward(code))[0])
            for ax, picture, name in zip(axes, pictures, ("the digit", "with noise", "cleaned"), strict=True):
                _digit(ax, picture, name)
        else:
            pixels, labels, _ = stored.digits()
            voters = self._voters()
            nearest = nn.KNeighborsClassifier(5).fit(pixels[voters] / 255, labels[voters]).kneighbors(x[None])[1][0]
            figure, axes = plt.subplots(1, 6, figsize=(5.8, 1.3))
            _digit(axes[0], x, "asked")
            for ax, neighbour in zip(axes[1:], voters[nearest], strict=True):
                _digit(ax, pixels[neighbour] / 255, f"a {labels[neighbour]}")
        figure.tight_layout()
        return figure


def _networks(mode: str) -> dict[str, nn.Sequential]:
    name = {"classify": "mnist_classifier", "encode": "autoencoder", "denoise": "denoiser"}.get(mode)
    return {} if name is None else stored.networks(name)


def _checked(network: nn.Module) -> nn.Sequential:
    """Return a classifier as it will be packed; raise ValueError if it does not read digits."""
    model = rounded(packed(network))
    widths = [(each.in_features, each.out_features) for each in model if isinstance(each, nn.Linear)]
    if (widths[0][0], widths[-1][1]) != (784, 10):
        raise ValueError(f"network must take 784 pixels and return 10 logits; got {network!r}")
    return model


def _digit(ax: Axes, ink: Array, name: str) -> None:
    # Few greys are enough for the eye, and light.
    ax.imshow(np.rint(7 * ink.clip(0, 1)).reshape(28, 28), cmap="gray_r", vmin=0, vmax=7)
    ax.set(title=name, xticks=[], yticks=[])
    ax.grid(False)
