"""Labs: a figure with sliders that is alive in JupyterLab and in the published page alike."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import itertools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_BYTES = 600_000
"""The largest HTML that a lab may put on a page."""

_STYLE = """
.nnkit-lab{border:1px solid #8a8f98;border-radius:6px;padding:.75rem 1rem;margin:1rem 0;max-width:46rem}
.nnkit-lab p{margin:.25rem 0}
.nnkit-lab-title{font-weight:600}
.nnkit-lab-controls{display:grid;grid-template-columns:max-content minmax(6rem,1fr) 5.5rem;gap:.35rem .75rem;
align-items:center;margin:.5rem 0}
.nnkit-lab-controls[hidden]{display:none}
.nnkit-lab-controls input{width:100%;min-width:0;margin:0;min-height:1.5rem}
.nnkit-lab-controls output{font-variant-numeric:tabular-nums}
.nnkit-lab img{display:block;max-width:100%;height:auto;background:#fff;border-radius:4px}
@media(max-width:480px){.nnkit-lab-controls{grid-template-columns:1fr 5.5rem}
.nnkit-lab-controls label{grid-column:1/-1}}
"""


class Lab:
    """A function of a few choices, with a slider for each; made by `lab`.

    Attributes
    ----------
    function : callable
        What is called with one value for each name.
    grids : dict of str to tuple
        The values of each slider.
    """

    def __init__(self, function: Callable[..., Any], title: str, grids: Mapping[str, Iterable[Any]]) -> None:
        if not callable(function):
            raise TypeError(f"function must be callable; got {function!r}")
        if not isinstance(title, str):
            raise TypeError(f"title must be a string that names the lab; got {title!r}")
        if not re.search(r"[^\W_]", title):
            raise ValueError(f"title must name the lab, with a letter or a digit at least; got {title!r}")
        self.function = function
        self.title = title
        self.grids = {name: tuple(values) for name, values in grids.items()}
        if not self.grids or not all(self.grids.values()):
            raise ValueError(f"grids must give at least one slider, each with at least one value; got {self.grids}")
        for name, values in self.grids.items():
            texts = [_text(value) for value in values]
            if len(set(texts)) != len(texts):
                raise ValueError(f"{name} must have values that read differently; got {texts}")
        # By the positions of the sliders, since values that read differently may be equal, as 0 and False are.
        self._frames: dict[tuple[int, ...], tuple[bytes, str]] = {}

    @property
    def id(self) -> str:
        """The name of the lab in the page's address."""
        words = re.findall(r"[a-z0-9]+", self.title.lower())
        if any(letter.isalnum() and not letter.isascii() for letter in self.title):
            # The letters that are left out must still tell this lab from others.
            words.append(hashlib.sha256(self.title.encode()).hexdigest()[:8])
        return "-".join(["lab", *words])

    def frame(self, **values: Any) -> tuple[bytes, str]:
        """Return the picture (WebP, lossless) and the sentence for one value of each slider.

        Raises
        ------
        ValueError
            If a name is missing or unknown, or a value is not one of its slider's.
        RuntimeError
            If the function fails; its own error is the cause.
        TypeError
            If the function returns neither a Matplotlib figure nor a figure and a sentence.
        """
        if set(values) != set(self.grids):
            raise ValueError(f"values must name {sorted(self.grids)}; got {sorted(values)}")
        return self._frame(tuple(self._position(name, values[name]) for name in self.grids))

    def _position(self, name: str, value: Any) -> int:
        """Return where a value is in its slider's grid; of several that are equal, the one that reads the same."""
        grid = self.grids[name]
        equal = [position for position, other in enumerate(grid) if other is value or other == value]
        if not equal:
            raise ValueError(f"{name} must be one of {grid}; got {value!r}")
        return next((position for position in equal if _text(grid[position]) == _text(value)), equal[0])

    def _frame(self, positions: tuple[int, ...]) -> tuple[bytes, str]:
        """Return the picture and the sentence for the position of each slider."""
        if positions not in self._frames:
            values = {
                name: grid[position] for (name, grid), position in zip(self.grids.items(), positions, strict=True)
            }
            where = ", ".join(f"{_label(name)} {_text(value)}" for name, value in values.items())
            try:
                result = self.function(**values)
            except Exception as error:
                raise RuntimeError(f"the lab's function failed at {where}: {error}") from error
            figure, sentence = _figure_and_sentence(result, where)
            self._frames[positions] = _picture(figure), f"{where[0].upper()}{where[1:]}. {sentence}".strip()
        return self._frames[positions]

    def frames(self) -> list[tuple[bytes, str]]:
        """Return every frame, the last slider moving fastest."""
        positions = itertools.product(*[range(len(grid)) for grid in self.grids.values()])
        return [self._frame(each) for each in positions]

    def html(self) -> str:
        """Return the lab as HTML that needs nothing else: no kernel, no server, no other host.

        Raises
        ------
        ValueError
            If it is larger than `MAX_BYTES`, or the figures differ in size.
        """
        frames = [(_source(picture), text) for picture, text in self.frames()]
        sizes = [_size(picture) for picture, _ in self.frames()]
        width, height = sizes[0]
        if set(sizes) != {sizes[0]}:
            other = next(size for size in sizes if size != sizes[0])
            raise ValueError(f"every figure must have the size of the first, {sizes[0]} pixels; got one of {other}")
        controls = "".join(
            f'<label for="{self.id}-{name}">{html.escape(_label(name))}</label>'
            f'<input type="range" id="{self.id}-{name}" min="0" max="{len(values) - 1}" step="1" value="0" '
            f'aria-valuetext="{html.escape(_text(values[0]))}" '
            f"data-texts='{html.escape(json.dumps([_text(value) for value in values]), quote=True)}'>"
            f'<output for="{self.id}-{name}">{html.escape(_text(values[0]))}</output>'
            for name, values in self.grids.items()
        )
        # "</" inside a script would end it, whatever stands around it.
        data = {"names": list(self.grids), "sizes": [len(values) for values in self.grids.values()], "frames": frames}
        packed = json.dumps(data).replace("</", "<\\/")
        script = files("lab").joinpath("sliders.js").read_text(encoding="utf-8").replace("#ID", f"#{self.id}")
        page = (
            f'<div class="nnkit-lab" id="{self.id}" role="group" aria-label="{html.escape("Lab: " + self.title)}">'
            f"<style>{_STYLE}</style>"
            f'<p class="nnkit-lab-title">Lab: {html.escape(self.title)}</p>'
            f'<div class="nnkit-lab-controls" hidden>{controls}</div>'
            f'<img src="{frames[0][0]}" alt="{html.escape(frames[0][1])}" width="{width}" height="{height}">'
            f'<p class="nnkit-lab-readout" aria-live="polite">{html.escape(frames[0][1])}</p>'
            '<p class="nnkit-lab-static">The sliders of this lab need JavaScript, or a running notebook.</p>'
            f'<script type="application/json">{packed}</script>'
            f"<script>{{{script}}}</script></div>"
        )
        if len(page.encode()) > MAX_BYTES:
            raise ValueError(
                f"the lab must be at most {MAX_BYTES / 1000:.0f} kB as HTML; got {len(page.encode()) / 1000:.0f} kB "
                f"for {len(frames)} frames; use fewer values or a smaller figure"
            )
        return page

    def widget(self) -> Any:
        """Return the lab as an ipywidgets box, which calls the function when a slider is moved."""
        import ipywidgets

        sliders = {
            name: ipywidgets.SelectionSlider(
                # The texts alone: ipywidgets would take one value for another that is equal, such as 0 for False.
                options=[_text(value) for value in values],
                description=_label(name),
                continuous_update=False,
                style={"description_width": "initial"},
                layout=ipywidgets.Layout(width="100%", max_width="32rem"),
            )
            for name, values in self.grids.items()
        }
        image = ipywidgets.Image(format="webp", layout=ipywidgets.Layout(max_width="100%", height="auto"))
        readout = ipywidgets.HTML()

        def show(_: Any = None) -> None:
            image.value, text = self._frame(tuple(slider.index for slider in sliders.values()))
            readout.value = f'<span aria-live="polite">{html.escape(text)}</span>'

        for slider in sliders.values():
            slider.observe(show, names="index")
        show()
        title = ipywidgets.HTML(f"<b>Lab: {html.escape(self.title)}</b>")
        return ipywidgets.VBox([title, *sliders.values(), image, readout])

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = {"text/plain": repr(self), "text/html": self.html()}
        try:
            widget = self.widget()
        except ImportError:  # Without ipywidgets, the HTML with its frames is still a working lab.
            return bundle
        return widget._repr_mimebundle_(**kwargs) | bundle

    def __repr__(self) -> str:
        sliders = ", ".join(f"{name}: {len(values)} values" for name, values in self.grids.items())
        return f"Lab({self.title!r}; {sliders})"


def lab(function: Callable[..., Any], *, title: str, **grids: Iterable[Any]) -> Lab:
    """Put a slider for each of a function's arguments beside the figure that it draws.

    With a kernel, moving a slider calls the function. In a static page there is none, so the function is called for
    every combination beforehand, and the sliders choose among those pictures.

    Parameters
    ----------
    function : callable
        Takes one keyword for each grid; returns a Matplotlib figure, or a figure and one sentence that says what it
        shows, for those who cannot see it. Every figure must have the same size.
    title : str
        What the lab is about; also its name in the page's address.
    **grids : iterable
        The values of each slider, in order. The first of each is shown first.

    Returns
    -------
    Lab
        Shown by leaving it as the last line of a cell.

    Raises
    ------
    TypeError
        If `function` cannot be called or `title` is no string.
    ValueError
        If `title` has neither a letter nor a digit, a grid is empty, or two of its values read the same.

    Examples
    --------
    >>> sliders.lab(draw, title="Learning rate", learning_rate=[0.01, 0.1, 1.0])  # doctest: +SKIP
    """
    return Lab(function, title, grids)


def _label(name: str) -> str:
    return name.replace("_", " ")


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _figure_and_sentence(result: Any, where: str) -> tuple[Figure, str]:
    """Return what a lab's function returned, the sentence empty where there is none."""
    from matplotlib.figure import Figure

    match result:
        case Figure():
            return result, ""
        case (Figure() as figure, str() as sentence):
            return figure, sentence
    raise TypeError(
        f"the lab's function must return a Matplotlib figure, or a figure and a sentence; got {result!r} at {where}"
    )


def _picture(figure: Figure) -> bytes:
    """Return a figure as a small lossless image, and close it."""
    import matplotlib.pyplot as plt

    from lab.plots import packed

    picture = packed(figure, "webp", colors=64, dpi=100)
    plt.close(figure)
    return picture


def _source(picture: bytes) -> str:
    return "data:image/webp;base64," + base64.b64encode(picture).decode()


def _size(picture: bytes) -> tuple[int, int]:
    from PIL import Image

    return Image.open(io.BytesIO(picture)).size


def frames_of(page: str) -> list[tuple[bytes, str]]:
    """Return the pictures and sentences that a lab's HTML holds, in the order of `Lab.frames`."""
    found = re.search(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)
    if found is None:
        raise ValueError("page must be the HTML of a lab; it holds no frames")
    return [(base64.b64decode(source.split(",", 1)[1]), text) for source, text in json.loads(found[1])["frames"]]


__all__ = ["MAX_BYTES", "Lab", "frames_of", "lab"]
