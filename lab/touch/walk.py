"""Chapter 11's map of codes to walk on: the digit that the decoder draws at a place, and along a line between two."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

import nnkit as nn
from lab import load_store, needed_by
from lab.touch import stored
from lab.touch.weights import packed, packed_digits, rounded
from lab.touch.widget import Touch, traits
from nnkit.checks import finite_array

with needed_by(__name__):
    import matplotlib.pyplot as plt

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from nnkit.typing import Array

ENDS = 10 * stored.EACH + 10
"""The number of places where a walk can begin or end: the test digits, and after them the ten means."""

_CODE = re.compile(r"-?\d{1,5}(_-?\d{1,5}){3}")


class Walk(Touch):
    """A walk through the code of four numbers that chapter 11 looks at, with its stored network.

    Parameters
    ----------
    begin, end : int
        Where the straight line begins and ends: one of the 300 stored test digits, in their order, or 300 to 309 for
        the mean code of all training digits of one kind. From the first 4 to the first 0 by default.
    **settings
        `along`, how far along the line, from 0 to 1; `code`; `others`; and what `Touch` takes.

    Attributes
    ----------
    code : str
        The code away from the line, as the page's address has it: four whole numbers of hundredths, as in
        ``"91_154_579_28"``. Empty on the line.
    others : {"nearest", "stay"}
        The map shows two directions of four. Whether the two others come from the nearest digit on the map as a place
        moves over it, or stay as they are.
    """

    module = "walk"
    title = "Walk"
    question = "What does the decoder draw between two digits, and what does one number of the code do?"
    tries = (
        (
            "Walk from the mean 4 to the mean 0. Whom do you meet halfway?",
            {"begin": 304, "end": 300, "along": 0.5, "code": "", "others": "nearest"},
        ),
        (
            "One step in the code: go to any digit, then move one of its four numbers. Is it “slant”, or “loop”?",
            {"code": "211_87_-339_-181", "others": "nearest"},
        ),
        (
            "Drag over the map while the two other directions stay. Do you still get what is written there?",
            {"code": "211_87_-339_-181", "others": "stay"},
        ),
    )
    still_says = (
        "Digits that the decoder draws at nine places on the straight line between two codes; above each stands the "
        "digit whose mean code is nearest."
    )

    begin = traits.Int(0, min=0, max=ENDS - 1).tag(sync=True)
    end = traits.Int(0, min=0, max=ENDS - 1).tag(sync=True)
    along = traits.Float(0.0, min=0, max=1).tag(sync=True)
    code = traits.Unicode("").tag(sync=True)
    others = traits.Enum(("nearest", "stay"), "nearest").tag(sync=True)
    data = traits.Dict().tag(sync=True)

    def __init__(self, begin: int | None = None, end: int | None = None, **settings: Any) -> None:
        labels = stored.digits()[1].tolist()
        begin = labels.index(4) if begin is None else begin
        end = labels.index(0) if end is None else end
        super().__init__(data=_data(), begin=begin, end=end, **settings)
        self._decoder = rounded(self.data["decoder"])

    def recipe(self) -> dict[str, Any]:
        """Return nothing: every walk is through the same code."""
        return {}

    @traits.validate("code")
    def _readable(self, proposal: Any) -> str:
        text = str(proposal.value)
        if text and not _CODE.fullmatch(text):
            raise traits.TraitError(
                f"code must be four whole numbers of hundredths, as 91_154_579_28; got {text[:60]!r}"
            )
        return text

    @property
    def h(self) -> Array:
        """The code at this place, float64, shape (4,). It can be set, in hundredths."""
        if self.code:
            return np.array([int(part) for part in self.code.split("_")]) / 100
        return self._on_line(self.along)

    @h.setter
    def h(self, code: Any) -> None:
        code = finite_array("h", code, np.float64)
        if code.shape != (4,) or np.abs(code).max() >= 1000:
            raise ValueError(f"h must hold four numbers between -1,000 and 1,000; got {code!r}")
        self.code = "_".join(str(round(100 * value)) for value in code.tolist())

    @property
    def picture(self) -> Array:
        """What the decoder draws at this place: the ink of 28 x 28 pixels, from 0 to 1, float64, shape (784,)."""
        return self._decoder.forward(self.h[None])[0]

    def _on_line(self, along: float) -> Array:
        stands = np.array([*self.data["codes"], *self.data["centroids"]])
        return (1 - along) * stands[self.begin] + along * stands[self.end]

    def still(self) -> Figure:
        way = np.array([self._on_line(along) for along in np.linspace(0, 1, 9)])
        pictures = np.rint(7 * self._decoder.forward(way)).reshape(9, 28, 28)  # Few greys, a small file.
        means = np.array(self.data["centroids"])
        near = np.linalg.norm(way[:, None] - means, axis=2).argmin(axis=1)
        figure, axes = plt.subplots(1, 9, figsize=(5.8, 1.0))
        for ax, picture, digit in zip(axes, pictures, near.tolist(), strict=True):
            ax.imshow(picture, cmap="gray_r", vmin=0, vmax=7, interpolation="nearest")
            ax.set_title(digit)
            ax.set(xticks=[], yticks=[])
            ax.grid(False)
        figure.tight_layout()
        return figure


@cache
def _data() -> dict[str, Any]:
    """Return what the page needs: the decoder, the codes of the stored digits and their directions, and the means."""
    networks = stored.networks("latent_4")
    pixels, labels, _ = stored.digits()
    codes = networks["encoder"].forward(pixels / 255).round(4)
    mean = codes.mean(axis=0)
    _, lengths, directions = np.linalg.svd(codes - mean, full_matrices=False)
    # A direction has no sign of its own; the largest part points up.
    largest = np.abs(directions).argmax(axis=1)
    directions *= np.sign(directions[range(4), largest])[:, None]
    (walks,) = (
        row["result"]
        for row in load_store("latent_walks", quiet=True)
        if (*row["config"].values(), row["seed"]) == ("autoencoder", 4, 0)
    )
    return {
        "decoder": packed(nn.Sequential(*networks["decoder"], nn.Sigmoid())),
        "codes": codes.tolist(),
        "labels": labels.tolist(),
        "digits": packed_digits(pixels, labels),
        "directions": directions.round(6).tolist(),
        "mean": mean.round(6).tolist(),
        "share": round(float((lengths[:2] ** 2).sum() / (lengths**2).sum()), 4),
        "centroids": walks["centroids"],
    }
