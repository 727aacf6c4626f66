"""Labs: a figure with sliders that is alive in JupyterLab and on the published page."""

from __future__ import annotations

import base64
import html
import itertools
import json
import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from importlib.resources import files
from typing import Any

from lab import needed_by
from lab.drawings import both, drawings
from nnkit.checks import instance

with needed_by(__name__):
    import matplotlib.pyplot as plt
    from matplotlib.figure import Figure

MAX_BYTES = 600_000
"""The largest HTML that a lab may put on a page."""

_STYLE = """
.nnkit-lab{border:1px solid #8a8f98;border-radius:6px;padding:.75rem 1rem;margin:1rem 0;max-width:46rem}
.nnkit-lab p{margin:.25rem 0}
.nnkit-lab-title{font-weight:600}
.nnkit-lab-controls{display:grid;grid-template-columns:max-content minmax(6rem,1fr) minmax(5.5rem,30%) 44px;
gap:.35rem .75rem;align-items:center;margin:.5rem 0}
.nnkit-lab-controls[hidden]{display:none}
.nnkit-lab-controls input{width:100%;min-width:0;margin:0;min-height:1.5rem}
.nnkit-lab-controls output{font-variant-numeric:tabular-nums}
.nnkit-lab-controls button{width:44px;height:44px;padding:0;border:1px solid #8a8f98;border-radius:6px;
background:none;color:inherit;cursor:pointer}
.nnkit-lab-controls button::before{content:"";display:block;box-sizing:border-box;width:.8rem;height:.9rem;margin:auto;
border:solid transparent;border-width:.45rem 0 .45rem .8rem;border-left-color:currentcolor}
.nnkit-lab-controls button[data-runs]::before{border:solid currentcolor;border-width:0 .25rem}
@media(prefers-reduced-motion:reduce){.nnkit-lab-controls button{visibility:hidden}}
.nnkit-lab-room{display:grid}
.nnkit-lab .nnkit-lab-room>*,.nnkit-lab-room::after{grid-area:1/1;margin:.25rem 0;min-width:0}
.nnkit-lab-room::after{content:attr(data-longest);visibility:hidden}
.nnkit-lab svg{display:block;max-width:100%;height:auto;overflow:visible}
.nnkit-lab .nnkit-narrow{display:none}
@media(max-width:480px){.nnkit-lab-controls{grid-template-columns:1fr 7rem 44px}
.nnkit-lab-controls label{grid-column:1/-1}}
@media screen and (max-width:480px){.nnkit-lab .nnkit-wide{display:none}
.nnkit-lab .nnkit-narrow{display:block;width:100%}}
"""
_CONTROL = (
    '<label for="{id}">{label}</label><input type="range" id="{id}" min="0" max="{last}" step="1" value="0" '
    'aria-valuetext="{first}"><span class="nnkit-lab-room" data-longest="{longest}">'
    '<output for="{id}">{first}</output></span><button type="button" aria-label="Play {label}"></button>'
)
_PAGE = (
    '<div class="nnkit-lab" id="{id}" role="group" aria-label="Lab: {title}"><style>{style}</style>'
    '<p class="nnkit-lab-title">Lab: {title}</p><div class="nnkit-lab-controls" hidden>{controls}</div>'
    '<div class="nnkit-lab-picture" role="img" aria-label="{text}">{picture}</div>'
    '<div class="nnkit-lab-room" data-longest="{longest}">'
    '<p class="nnkit-lab-readout" aria-live="polite">{text}</p></div>'
    '<p class="nnkit-lab-static">The sliders of this lab need JavaScript, or a running notebook.</p>'
    '<script type="application/json">{data}</script><script>{{{script}}}</script></div>'
)


class Lab:
    """A function of a few choices, with a slider for each; made by `lab`."""

    def __init__(self, function: Callable[..., Any], title: str, grids: Mapping[str, Iterable[Any]]) -> None:
        if not callable(function):
            raise TypeError(f"function must be callable; got {function!r}")
        instance("title", title, str, "a string")
        if not re.search("[a-zA-Z0-9]", title):
            raise ValueError(f"title must have a letter from a to z or a digit; got {title!r}")
        self.function, self.title = function, title
        self.grids = {name: tuple(values) for name, values in grids.items()}
        if not self.grids or not all(self.grids.values()):
            raise ValueError(f"grids must give at least one slider, each with at least one value; got {self.grids}")
        # Values are known by their texts, since they need not be hashable, and 0 and False are equal.
        self._values = {name: {_text(value): value for value in values} for name, values in self.grids.items()}
        for name, values in self.grids.items():
            if len(self._values[name]) < len(values):
                raise ValueError(f"{name} must have values that read differently; got {values}")
        self._frames: dict[tuple[str, ...], tuple[str, str]] = {}

    @property
    def id(self) -> str:
        """The name of the lab in the page's address."""
        return "-".join(["lab", *re.findall("[a-z0-9]+", self.title.lower())])

    def frame(self, **values: Any) -> tuple[str, str]:
        """Return the picture (SVG, for a desk and for a phone) and the sentence for one value of each slider."""
        if set(values) != set(self.grids):
            raise ValueError(f"values must name {sorted(self.grids)}; got {sorted(values)}")
        for name, value in values.items():
            if _text(value) not in self._values[name]:
                raise ValueError(f"{name} must be one of {self.grids[name]}; got {value!r}")
        return self._frame(tuple(_text(values[name]) for name in self.grids))

    def _frame(self, texts: tuple[str, ...]) -> tuple[str, str]:
        if texts not in self._frames:
            chosen = dict(zip(self.grids, texts, strict=True))
            where = ", ".join(f"{_label(name)} {text}" for name, text in chosen.items())
            try:
                result = self.function(**{name: self._values[name][text] for name, text in chosen.items()})
            except Exception as error:
                raise RuntimeError(f"the lab's function failed at {where}: {error}") from error
            match result if isinstance(result, tuple) else (result, ""):
                case (Figure() as figure, str() as sentence):
                    picture = both(drawings(figure, whole=True))
                    plt.close("all")  # The drawing for a phone may be another figure.
                    self._frames[texts] = picture, f"{where[0].upper()}{where[1:]}. {sentence}".strip()
                case _:
                    expected = "a Matplotlib figure, or a figure and a sentence"
                    raise TypeError(f"the lab's function must return {expected}; got {result!r} at {where}")
        return self._frames[texts]

    def frames(self) -> list[tuple[str, str]]:
        """Return every frame; the last slider moves fastest."""
        return [self._frame(texts) for texts in itertools.product(*self._values.values())]

    def html(self) -> str:
        """Return the lab as HTML that needs neither a kernel nor a server, of at most `MAX_BYTES`."""
        frames = self.frames()
        sizes = [re.findall('class="nnkit.*? viewBox="([^"]*)', picture) for picture, _ in frames]
        if other := [size for size in sizes if size != sizes[0]]:
            raise ValueError(f"every figure must have the size of the first, {sizes[0]}; got {other[0]}")
        texts = {name: list(values) for name, values in self._values.items()}
        controls = [
            _CONTROL.format(
                id=f"{self.id}-{name}",
                label=_label(name),
                last=len(own) - 1,
                first=html.escape(own[0]),
                longest=html.escape(max(own, key=len)),
            )
            for name, own in texts.items()
        ]
        script = files("lab").joinpath("sliders.js").read_text(encoding="utf-8").replace("#ID", f"#{self.id}")
        page = _PAGE.format(
            id=self.id,
            title=html.escape(self.title),
            style=_STYLE,
            controls="".join(controls),
            picture=frames[0][0],
            text=html.escape(frames[0][1]),
            # Room for some letters more, since the longest text need not be the widest.
            longest=html.escape(max((sentence for _, sentence in frames), key=len) + " and more"),
            # "</" would end the script, even inside a string.
            data=json.dumps({"texts": texts, "frames": _deflated(frames)}).replace("</", "<\\/"),
            script=script,
        )
        if (size := len(page.encode())) > MAX_BYTES:
            raise ValueError(
                f"the lab must be at most {MAX_BYTES / 1000:.0f} kB as HTML; got {size / 1000:.0f} kB for "
                f"{len(frames)} frames; use fewer values or a smaller figure"
            )
        return page

    def widget(self) -> Any:
        """Return the lab as an ipywidgets box, which calls the function when a slider is moved."""
        with needed_by(__name__):
            import ipywidgets

        sliders = [
            ipywidgets.SelectionSlider(
                options=list(values),
                description=_label(name),
                continuous_update=False,
                style={"description_width": "initial"},
                layout=ipywidgets.Layout(width="100%", max_width="32rem"),
            )
            for name, values in self._values.items()
        ]
        image = ipywidgets.Image(format="svg+xml", layout=ipywidgets.Layout(max_width="100%", height="auto"))
        readout = ipywidgets.HTML()

        def show(_: Any = None) -> None:
            picture, text = self._frame(tuple(slider.value for slider in sliders))
            # Ink is dark here, whatever the notebook's theme: it stands on paper.
            wide = picture[: picture.index('</svg><svg class="nnkit-narrow') + 6]
            image.value = wide.replace('style="', 'style="background:#fff;', 1).encode()
            readout.value = f'<span aria-live="polite">{html.escape(text)}</span>'

        for slider in sliders:
            slider.observe(show, names="value")
        show()
        return ipywidgets.VBox([ipywidgets.HTML(f"<b>Lab: {html.escape(self.title)}</b>"), *sliders, image, readout])

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        bundle = {"text/plain": repr(self), "text/html": self.html()}
        try:
            return self.widget()._repr_mimebundle_(**kwargs) | bundle
        except ImportError:  # Without ipywidgets, the HTML with its frames is still a working lab.
            return bundle

    def __repr__(self) -> str:
        sliders = ", ".join(f"{name}: {len(values)} values" for name, values in self.grids.items())
        return f"Lab({self.title!r}; {sliders})"


def lab(function: Callable[..., Any], *, title: str, **grids: Iterable[Any]) -> Lab:
    """Return a slider for each of a function's arguments beside the figure that it draws, for the end of a cell.

    With a kernel, moving a slider calls the function. A static page has none, so the function is called beforehand for
    every combination, and the sliders choose among these pictures.

    Parameters
    ----------
    function : callable
        Takes one keyword for each grid; returns a Matplotlib figure, always of one size, or a figure and a sentence
        that says what it shows, for those who cannot see it.
    title : str
        What the lab is about; also its name in the page's address.
    **grids : iterable
        The values of each slider, in order, of which no two read the same. The first of each is shown first.
    """
    return Lab(function, title, grids)


def _deflated(frames: list[tuple[str, str]]) -> str:
    """Return the frames of a lab as JSON, packed together, since they have most of their text in common."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return base64.b64encode(packer.compress(json.dumps(frames).encode()) + packer.flush()).decode()


def _label(name: str) -> str:
    return name.replace("_", " ")


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
