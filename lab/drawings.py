"""Figures as drawings for a page: SVG whose text is text and whose colours are the page's, for a desk and for a phone.

A drawing has no identifiers, so that several stand on one page: what is clipped stands in an `svg` of its own, and
markers are paths. Text is in the page's font; its room is measured in DejaVu Sans, which is wider than most.
"""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Iterable, Iterator
from itertools import groupby, pairwise
from typing import Any

import numpy as np

from lab import needed_by

with needed_by(__name__):
    from matplotlib.backend_bases import RendererBase
    from matplotlib.collections import PathCollection
    from matplotlib.colors import to_hex
    from matplotlib.figure import Figure
    from matplotlib.path import Path
    from matplotlib.text import Text
    from matplotlib.ticker import FixedLocator
    from matplotlib.transforms import Affine2D
    from PIL import Image

MIME = "application/vnd.nnkit.figure+json"
"""A figure's drawings in a notebook: {"wide": SVG, "narrow": SVG}. Whoever does not know it shows the raster."""

PIXELS_AN_INCH = 100
"""Of the page, for an inch of a figure: text of ten points is as large as the page's."""

COLORS = {
    "ink": ("#262626", "#000000", "#1b1b1b", "#222222", "#333333", "#444444"),
    "muted": ("#666666", "#555555", "#777777"),
    "faint": ("#9a9a9a", "#999999", "#bbbbbb"),
    "grid": ("#e3e3e3",),
    "paper": ("#ffffff", "#f7f7f7"),
    "blue": ("#0072b2", "#005a8c"),
    "orange": ("#d55e00",),
    "green": ("#009e73",),
    "pink": ("#cc79a7",),
    "sky": ("#56b4e9", "#8fbdd9", "#5b9bc8"),
    "amber": ("#e69f00", "#b8860b"),
    "olive": ("#7a6a00", "#8c6d1f"),
    "violet": ("#7a5195",),
    "red": ("#c00000",),
    "tint": ("#dde7ef",),
    "marked": ("#ffe08a",),
    "orange-text": ("#a34700",),
    "green-text": ("#007a59", "#00674b"),
    "pink-text": ("#a0527a",),
    "amber-text": ("#8a5d00",),
    "sky-text": ("#1b6f9c",),
}
"""The colours that follow the page's theme, as `--figure-NAME`, with the shades of the style that stand for each."""

_NAMES = {shade: name for name, shades in COLORS.items() for shade in shades}
_FONT = "var(--book-sans,'DejaVu Sans',Verdana,sans-serif)"
_SYMBOLS = {
    "varepsilon": "\N{GREEK SMALL LETTER EPSILON}",
    "sigma": "\N{GREEK SMALL LETTER SIGMA}",
    "gamma": "\N{GREEK SMALL LETTER GAMMA}",
    "times": "\N{MULTIPLICATION SIGN}",
    "tanh": "tanh",
    ",": "\N{THIN SPACE}",
}
_SMALL = 0.7
_AFTER = re.compile(r"--after:[\d.]+s")
_Run = tuple[str, bool, int]
"""A piece of text, whether it is slanted, and whether it is raised (1) or lowered (-1)."""


def svg(figure: Figure, *, whole: bool = False) -> str:
    """Return a figure as SVG, in the box that holds all it draws, or in its own, which is the same for all frames."""
    before = figure.dpi
    figure.set_dpi(72)
    try:
        _prepare(figure)
        width, height = 72 * figure.get_size_inches()
        renderer = _Renderer(width, height, dots=1 if whole else 2)  # A lab has many frames.
        figure.draw(renderer)
        box = figure.bbox_inches if whole else figure.get_tightbbox(renderer).padded(0.03)
    finally:
        figure.set_dpi(before)
    left, top, wide, high = 72 * box.x0, height - 72 * box.y1, 72 * box.width, 72 * box.height
    pixels = PIXELS_AN_INCH / 72
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_number(wide * pixels)}" height="{_number(high * pixels)}" '
        f'viewBox="{_number(left)} {_number(top)} {_number(wide)} {_number(high)}" '
        f'style="font-family:{_FONT};stroke-linejoin:round">{renderer.body()}</svg>'
    )


def after(seconds: float) -> str:
    """Return how an artist says, as its `gid`, that it appears so late once a page plays its figure."""
    return f"--after:{_number(seconds)}s"


def _prepare(figure: Figure) -> None:
    """Leave out the paper; let small pictures keep their own pixels, and each text say how it is aligned."""
    for patch in [figure.patch, *(ax.patch for ax in figure.axes)]:
        patch.set_alpha(0)
    for ax in figure.axes:
        for image in ax.images:
            if image.get_interpolation() == "bilinear":
                image.set_interpolation_stage("data")  # Steps stay steps, of few colours.
            else:
                image.set_interpolation("none")
    for text in figure.findobj(Text):
        turned = text.get_rotation() % 360 and text.get_rotation_mode() == "default"
        late = _AFTER.findall(text.get_gid() or "")
        text.set_gid(" ".join(["center" if turned else text.get_horizontalalignment(), *late]))


class _Renderer(RendererBase):
    """Collects what a figure draws as elements of SVG, those of one look in a group."""

    def __init__(self, width: float, height: float, dots: int = 2) -> None:
        super().__init__()
        self.width, self.height, self.dots = width, height, dots
        self._elements: list[tuple[str, str, str]] = []  # the clip, the look, and the element
        self._aligned = "left"
        self._late = [""]  # When each of the open groups appears, the innermost last.

    def get_canvas_width_height(self) -> tuple[float, float]:
        return self.width, self.height

    def get_text_width_height_descent(self, s: str, prop: Any, ismath: Any) -> tuple[float, float, float]:
        return self._text2path.get_text_width_height_descent(s, prop, ismath)

    def option_image_nocomposite(self) -> bool:
        return True

    def option_scale_image(self) -> bool:
        return True

    def get_image_magnification(self) -> float:
        return self.dots * PIXELS_AN_INCH / 72

    def flipy(self) -> bool:
        return True

    def open_group(self, s: str, gid: str | None = None) -> None:
        own = (gid or "").split()
        if s == "text" and own and own[0] in ("left", "center", "right"):
            self._aligned = own[0]
        self._late.append(own[-1] if own and _AFTER.fullmatch(own[-1]) else self._late[-1])

    def close_group(self, s: str) -> None:
        self._late.pop()

    def _add(self, gc: Any, look: str, element: str) -> None:
        self._elements.append((self._clip(gc), ";".join(filter(None, (look, self._late[-1]))), element))

    def draw_path(self, gc: Any, path: Path, transform: Any, rgbFace: Any = None) -> None:
        look = _look(gc, rgbFace)
        if look is None:
            return
        flat = transform + Affine2D().scale(1, -1).translate(0, self.height)
        dot = _dot(gc, path, flat, rgbFace)
        if dot:
            self._add(gc, *dot)
            return
        clip = gc.get_clip_rectangle()
        edges = None
        if clip is not None and rgbFace is None:
            edges = (clip.x0 - 9, self.height - clip.y1 - 9, clip.x1 + 9, self.height - clip.y0 + 9)
        simplify = rgbFace is None and path.codes is None
        if _is_circle(path, flat):
            x, y, radius = _centre(path, flat)
            circle = f'<circle cx="{_number(x, 1)}" cy="{_number(y, 1)}" r="{_number(radius)}"/>'
            self._add(gc, look, circle)
            return
        drawn = path.cleaned(flat, remove_nans=True, clip=edges, simplify=simplify, curves=True)
        d = _d(drawn.vertices, drawn.codes)
        if d:
            self._add(gc, look, f'<path d="{d}"/>')

    def draw_path_collection(self, *args: Any, **kwargs: Any) -> None:
        start = len(self._elements)
        super().draw_path_collection(*args, **kwargs)
        if len(self._elements) - start > 100:  # So many dots are packed colour by colour.
            self._elements[start:] = sorted(self._elements[start:], key=lambda element: element[:2])

    def draw_image(self, gc: Any, x: float, y: float, im: Any, transform: Any = None) -> None:
        rows, columns = im.shape[:2]
        if transform is None:
            corners = np.array([[x, y], [x + columns / self.get_image_magnification(), y]])
            corners[1, 1] += rows / self.get_image_magnification()
        else:
            corners = (Affine2D().scale(1 / columns, 1 / rows) + transform + Affine2D().translate(x, y)).transform(
                [[0, 0], [columns, rows]]
            )
        (left, bottom), (right, top) = corners
        # The first row of the array lies at the first corner; that of a picture is at its top.
        pixels = im[::-1] if bottom < top else im
        place = f'x="{_number(min(left, right))}" y="{_number(self.height - max(bottom, top))}" '
        size = f'width="{_number(abs(right - left))}" height="{_number(abs(top - bottom))}" '
        source, kind = _picture(pixels if left < right else pixels[:, ::-1])
        element = f'<image class="{kind}" {place}{size}preserveAspectRatio="none" href="{source}"/>'
        look = "" if transform is None else "image-rendering:pixelated"
        self._add(gc, look, element)

    def draw_text(
        self, gc: Any, x: float, y: float, s: str, prop: Any, angle: float, ismath: Any = False, mtext: Any = None
    ) -> None:
        anchor, share = {"left": ("", 0), "center": ("middle", 0.5), "right": ("end", 1)}[self._aligned]
        width = self.get_text_width_height_descent(s, prop, ismath)[0]
        turn = np.deg2rad(angle)
        x, y = x + share * width * np.cos(turn), y - share * width * np.sin(turn)
        style = [f"fill:{_paint(gc.get_rgb(), text=True)}", f"font-size:{_number(prop.get_size())}px"]
        if prop.get_weight() in ("bold", 700):
            style.append("font-weight:700")
        if anchor:
            style.append(f"text-anchor:{anchor}")
        alpha = gc.get_alpha() if gc.get_forced_alpha() else gc.get_rgb()[3]
        if alpha != 1:
            style.append(f"opacity:{_number(alpha)}")
        turned = f' transform="rotate({_number(-angle)} {_number(x)} {_number(y)})"' if angle % 360 else ""
        words = _tspans(s) if ismath else html.escape(s)
        element = f'<text x="{_number(x)}" y="{_number(y)}"{turned}>{words}</text>'
        self._add(gc, ";".join(style), element)

    def _clip(self, gc: Any) -> str:
        box = gc.get_clip_rectangle()
        if box is None:
            return ""
        x, y, wide, high = (_number(value) for value in (box.x0, self.height - box.y1, box.width, box.height))
        return f'<svg x="{x}" y="{y}" width="{wide}" height="{high}" viewBox="{x} {y} {wide} {high}">'

    def body(self) -> str:
        """Return what was drawn, one group for each run of elements with one clip and one look."""
        parts, clip, look = [], "", ""
        for own_clip, own_look, element in _joined(self._elements):
            if (own_clip, own_look) != (clip, look) and look:
                parts.append("</g>")
            if own_clip != clip:
                parts.append(("</svg>" if clip else "") + own_clip)
            if (own_clip, own_look) != (clip, look) and own_look:
                parts.append(f'<g style="{own_look}">')
            clip, look = own_clip, own_look
            parts.append(element)
        return "".join(parts) + ("</g>" if look else "") + ("</svg>" if clip else "")


def _joined(elements: Iterable[tuple[str, str, str]]) -> Iterator[tuple[str, str, str]]:
    """Yield the elements with dots of one look, one after the other, in one path."""
    for (clip, look, dots), group in groupby(elements, key=lambda one: (*one[:2], one[2].startswith("M"))):
        parts = [element for _, _, element in group]
        if dots:
            yield clip, look, f'<path d="{_dots(parts)}"/>'
        else:
            yield from ((clip, look, element) for element in parts)


def _dots(places: list[str]) -> str:
    """Return lines of no length at these places; each but the first is found from the one before, in fewer letters."""
    points = np.array([[float(number) for number in place[1:].split()] for place in places])
    if len(points) > 100:  # So many lie on each other in no order that one sees.
        points = points[np.lexsort(points.T[::-1])]
    text = f"M{_number(points[0, 0], 1)} {_number(points[0, 1], 1)}h0"
    for x, y in np.diff(points, axis=0):
        across, up = _number(x, 1), _number(y, 1)
        text += f"m{across}{'' if up[0] == '-' else ' '}{up}h0"
    return text


def _dot(gc: Any, path: Path, flat: Any, face: Any) -> tuple[str, str] | None:
    """Return the look and the path of a full circle in one colour, as a line of no length with round ends."""
    if face is None or not _is_circle(path, flat):
        return None
    rim = gc.get_linewidth() if gc.get_rgb()[3] else 0
    if rim and to_hex(gc.get_rgb()) != to_hex(face):
        return None
    x, y, radius = _centre(path, flat)
    alpha = gc.get_alpha() if gc.get_forced_alpha() else face[3] if len(face) == 4 else 1
    opacity = f";stroke-opacity:{_number(alpha)}" if alpha != 1 else ""
    width = _number(2 * radius + rim)
    look = f"fill:none;stroke:{_paint(face)};stroke-width:{width};stroke-linecap:round{opacity}"
    return look, f"M{_number(x, 1)} {_number(y, 1)}"


def _is_circle(path: Path, flat: Any) -> bool:
    """Say whether a path is one full circle as it is drawn, wherever its centre is, and no ellipse."""
    codes: Any = path.codes
    if codes is None or len(codes) != 26 or codes[1] != Path.CURVE4:
        return False
    wide, high = np.ptp(flat.transform(path.vertices), axis=0)
    return bool(np.isclose(wide, high, rtol=1e-3))


def _centre(path: Path, flat: Any) -> tuple[float, float, float]:
    """Return the centre of a circle, and its radius."""
    points = flat.transform(path.vertices)
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return (left + right) / 2, (top + bottom) / 2, (right - left) / 2


def _look(gc: Any, face: Any) -> str | None:
    """Return how a path is filled and stroked, or None if nothing of it is seen."""
    forced = gc.get_alpha() if gc.get_forced_alpha() else None
    fill_alpha = 0 if face is None else forced if forced is not None else face[3] if len(face) == 4 else 1
    line_alpha = forced if forced is not None else gc.get_rgb()[3]
    line_alpha = line_alpha if gc.get_linewidth() else 0
    if not fill_alpha and not line_alpha:
        return None
    style = [f"fill:{_paint(face)}" if fill_alpha else "fill:none"]
    if fill_alpha and fill_alpha != 1:
        style.append(f"fill-opacity:{_number(fill_alpha)}")
    if line_alpha:
        style += [f"stroke:{_paint(gc.get_rgb())}", f"stroke-width:{_number(gc.get_linewidth())}"]
        if line_alpha != 1:
            style.append(f"stroke-opacity:{_number(line_alpha)}")
        _, dashes = gc.get_dashes()
        if dashes is not None:
            style.append("stroke-dasharray:" + ",".join(_number(value) for value in dashes))
        if gc.get_capstyle() != "butt":
            style.append(f"stroke-linecap:{'square' if gc.get_capstyle() == 'projecting' else 'round'}")
    return ";".join(style)


def _paint(color: Any, *, text: bool = False) -> str:
    """Return a colour as the page's, with that of the style where there is no page."""
    shade = to_hex(color)
    name = _NAMES.get(shade)
    if name is None:
        return shade
    if text and f"{name}-text" in COLORS:
        name = f"{name}-text"
    return f"var(--figure-{name},{COLORS[name][0]})"


def _number(value: float, digits: int = 2) -> str:
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if text not in ("-0.0", "-0.00") else "0"


def _d(vertices: Any, codes: Any) -> str:
    """Return a path's points as SVG writes them, each from the one before, with fewer digits where there are many."""
    letters = {int(Path.MOVETO): "m", int(Path.LINETO): "l", int(Path.CURVE3): "q", int(Path.CURVE4): "c"}
    digits = 1 if len(vertices) > 30 else 2
    drawn = [(int(code), point) for code, point in zip(codes, vertices, strict=True) if code != Path.STOP]
    if len(drawn) < 2:
        return ""
    parts, last, waiting = [], "", 0
    here = start = np.zeros(2)  # What is rounded adds up, unless each step begins where the last one ended.
    for code, place in drawn:
        if code == Path.CLOSEPOLY:
            parts.append("z")
            here, last = start, ""
            continue
        target = np.round(place, digits)
        x, y = (_number(value, digits) for value in target - here)
        letter = "" if waiting or letters[code] == last else letters[code]
        parts.append(f"{letter or (' ' if x[0] != '-' else '')}{x}{' ' if y[0] != '-' else ''}{y}")
        if not waiting:
            last = "l" if code == Path.MOVETO else letters[code]  # After the first point, a line is meant.
            waiting = {"q": 2, "c": 3}.get(letters[code], 1)
        waiting -= 1
        if not waiting:
            here = target
        if code == Path.MOVETO:
            start = target
    return "".join(parts)


def _picture(pixels: Any) -> tuple[str, str]:
    """Return a raster as a data URL and its kind: ink on paper, which turns in the dark, or a map of colours."""
    pixels = np.ascontiguousarray(pixels)
    grey = bool((pixels[..., :1] == pixels[..., 1:3]).all() and (pixels[..., 3] == 255).all())
    if grey:
        shades = pixels[..., 0]
        if len(np.unique(shades)) > 32:  # So many the eye tells apart in a digit.
            shades = np.rint(np.rint(shades / 255 * 31) * 255 / 31).astype(np.uint8)
        levels, places = np.unique(shades, return_inverse=True)
        image = Image.fromarray(places.reshape(shades.shape).astype(np.uint8)).convert("P")
        image.putpalette(np.repeat(levels, 3).tobytes())
    else:
        image = Image.fromarray(pixels)
    if not grey and (pixels[..., 3] == 255).all():
        image = image.convert("RGB")
        if image.getcolors(256):
            few = 256 if image.width * image.height < 300 else 32
            image = image.quantize(few, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    packed = io.BytesIO()
    image.save(packed, format="png", optimize=True)
    kind = "nnkit-ink" if grey else "nnkit-map"
    return f"data:image/png;base64,{base64.b64encode(packed.getvalue()).decode()}", kind


def _tspans(text: str) -> str:
    """Return text with formulas between dollars as pieces that follow each other in any font."""
    runs: list[_Run] = []
    for i, part in enumerate(re.split(r"(?<!\\)\$", text)):
        runs += _formula(part) if i % 2 else [(part.replace(r"\$", "$"), False, 0)]
    parts, height = [], 0.0
    for words, slanted, level in runs:
        if not words:
            continue
        wanted = {0: 0.0, 1: -0.35, -1: 0.2}[level]
        size = _SMALL if level else 1.0
        style = ["font-style:italic"] * slanted + [f"font-size:{_SMALL}em"] * bool(level)
        moved = f' dy="{_number((wanted - height) / size)}em"' if wanted != height else ""
        look = f' style="{";".join(style)}"' if style else ""
        height = wanted
        parts.append(f"<tspan{moved}{look}>{html.escape(words)}</tspan>" if moved or look else html.escape(words))
    return "".join(parts)


def _formula(text: str, level: int = 0, upright: bool = False) -> list[_Run]:
    """Return the pieces of a short formula: letters, numbers, signs, indices and powers."""
    runs: list[_Run] = []
    rest = text
    while rest:
        if rest[0] in "^_":
            raised = 1 if rest[0] == "^" else -1
            part, rest = _argument(rest[1:])
            runs += _formula(part, raised, upright)
            continue
        command = re.match(r"\\([A-Za-z]+|,)", rest)
        if command:
            rest = rest[command.end() :]
            if command[1] in ("mathdefault", "mathrm", "hat"):
                part, rest = _argument(rest.lstrip())
                own = _formula(part, level, upright or command[1] != "hat")
                runs += own if command[1] != "hat" else [(f"{own[0][0]}\N{COMBINING CIRCUMFLEX ACCENT}", *own[0][1:])]
            elif command[1] in _SYMBOLS:
                symbol = _SYMBOLS[command[1]]
                runs.append((symbol, len(symbol) == 1 and symbol.isalpha() and not upright, level))
            else:
                known = ", ".join(sorted(_SYMBOLS))
                raise ValueError(f"a formula in a figure must use letters, indices, powers and {known}; got {text!r}")
            continue
        sign = {"-": "\N{MINUS SIGN}", " ": "", "=": " = ", "{": "", "}": "", "~": " "}.get(rest[0], rest[0])
        runs.append((sign, rest[0].isalpha() and not upright, level))
        rest = rest[1:]
    return runs


def _argument(text: str) -> tuple[str, str]:
    """Return what a command or a sign takes, one letter or a group, and the rest."""
    if not text.startswith("{"):
        return text[:1], text[1:]
    depth = 0
    for i, letter in enumerate(text):
        depth += (letter == "{") - (letter == "}")
        if depth == 0:
            return text[1:i], text[i + 1 :]
    raise ValueError(f"a formula in a figure must close its braces; got {text!r}")


PHONE_INCHES = 3.7
"""A phone's column: 350 pixels of it are 360 for these inches, so that text of 7.2 points is read at nine pixels."""

SMALLEST = 7.2
"""The smallest text of a drawing for the phone, in points."""


def drawings(figure: Figure, *, whole: bool = False) -> dict[str, str]:
    """Return a figure's drawings for a desk and for a phone; the figure itself is laid out anew for the second.

    Panels that stand side by side stand below each other on a phone. A figure that would not be legible so has a
    function in its attribute `on_a_phone`, which returns another figure.
    """
    wide = svg(figure, whole=whole)
    other = getattr(figure, "on_a_phone", None)
    return {"wide": wide, "narrow": svg(stacked(figure) if other is None else other(), whole=whole)}


def both(drawing: dict[str, str], attributes: str = "") -> str:
    """Return the two drawings of a figure as HTML, of which a style sheet shows one.

    `attributes` go to each, such as a role and a name.
    """
    wide = drawing["wide"].replace("<svg ", f'<svg class="nnkit-wide" {attributes}', 1)
    return wide + drawing["narrow"].replace("<svg ", f'<svg class="nnkit-narrow" {attributes}', 1)


def stacked(figure: Figure) -> Figure:
    """Lay a figure out as wide as a phone, its panels below each other, and return it."""
    figure.set_dpi(72)  # As words are measured.
    before = figure.get_size_inches()
    for ax in figure.axes:
        if not ax.axison and not ax.has_data() and not ax.texts:
            ax.remove()
    panels = sorted(figure.axes, key=_place)
    if all(ax.images and (not ax.axison or len(panels) > 6) for ax in panels):
        return shrunk(figure)
    heights = [_height(ax, before, 2.6 if len(panels) > 1 else 4.6) for ax in panels]
    if figure.get_supxlabel():
        panels[-1].set_xlabel(figure.get_supxlabel())
        figure.supxlabel("")
    legends = [_in_columns(legend, figure, 2, "lower center") for legend in figure.legends[:]]
    figure.set_size_inches(PHONE_INCHES, sum(heights) + 0.75 * len(panels) + 0.2 * len(legends))
    if len(panels) > 1:
        grid = figure.add_gridspec(len(panels), 1, height_ratios=heights)
        for i, ax in enumerate(panels):
            _stand_alone(ax, panels)
            ax.set_subplotspec(grid[i])
    _fit(figure)
    return figure


def _height(ax: Any, size: Any, most: float) -> float:
    """Return how high a panel is on a phone, in inches; what labels take in another layout changes nothing."""
    spec = ax.get_subplotspec()
    if _named(ax.yaxis) and len(ax.get_yticks()) > 20:  # Each name has two lines.
        return 0.24 * len(ax.get_yticks())
    if ax.get_aspect() != "auto":
        shape = ax.images[0].get_array().shape if ax.images else (1, 1)
        return float(min((PHONE_INCHES - 0.4) * shape[0] / shape[1], 3.2 if ax.axison else 1.7))
    if spec is None:
        return float(min(max(ax.get_position().height * size[1], 1.5), most))
    ratios = spec.get_gridspec().get_height_ratios() or [1] * spec.get_gridspec().nrows
    share = sum(ratios[spec.rowspan.start : spec.rowspan.stop]) / sum(ratios)
    return float(min(max(share * size[1] - 0.65, 1.5), most))


def _place(ax: Any) -> tuple[float, float]:
    """Return where a panel stands among others: the row, then the column."""
    spec = ax.get_subplotspec()
    if spec is not None:
        return spec.rowspan.start, spec.colspan.start
    return -ax.get_position().y1, ax.get_position().x0


def shrunk(figure: Figure) -> Figure:
    """Make a figure of pictures alone as wide as a phone."""
    figure.set_dpi(72)
    wide, high = figure.get_size_inches()
    # Names beside the rows need their length.
    named = [ax.get_ylabel() for ax in figure.axes if ax.get_ylabel()]
    needed = len(named) * 0.075 * max(map(len, named), default=0)
    figure.set_size_inches(PHONE_INCHES, max(high * PHONE_INCHES / wide, needed))
    for text in figure.findobj(Text):
        text.set_fontsize(max(float(text.get_fontsize()) * PHONE_INCHES / wide, SMALLEST))
    return figure


def _enlarge(figure: Figure) -> None:
    """Bring text to a size that is legible but not loud, and markers to the size of their panels."""
    for ax in figure.axes:
        for points in ax.collections:
            if isinstance(points, PathCollection):
                points.set_sizes(0.6 * points.get_sizes())
        for line in ax.lines:
            line.set_markersize(0.85 * line.get_markersize())
    for text in figure.findobj(Text):
        text.set_fontsize(min(max(text.get_fontsize(), SMALLEST), 9.5))


def _stand_alone(ax: Any, panels: list[Any]) -> None:
    """Give a panel the labels that it shares with its neighbours."""
    for axis, label in (("y", "left"), ("x", "bottom")):
        shared = [other for other in panels if getattr(ax, f"_share{axis}") is other or _shares(ax, other, axis)]
        if not shared or not ax.axison:
            continue
        said = [text for other in panels if other in shared and (text := getattr(other, f"get_{axis}label")())]
        if said and not getattr(ax, f"get_{axis}label")():
            getattr(ax, f"set_{axis}label")(said[0])
        ax.tick_params(axis=axis, **{f"label{label}": True})


def _shares(ax: Any, other: Any, axis: str) -> bool:
    return ax is not other and getattr(ax, f"get_shared_{axis}_axes")().joined(ax, other)


def _fit(figure: Figure) -> None:
    """Make the text of a narrow figure legible, break lines that are too long, and give all of it room."""
    _enlarge(figure)
    below = 0.05 + 0.2 * sum(-(-len(legend.get_texts()) // 2) for legend in figure.legends)
    rect = (0, below / figure.get_size_inches()[1] if figure.legends else 0, 1, 1)
    figure.tight_layout(pad=0.3, h_pad=1.0, rect=rect)
    renderer = _Renderer(*figure.bbox.size)
    panels = [ax for ax in figure.axes if ax.axison]
    for step in (_break_names, _break_titles):
        if True in [step(ax, renderer) for ax in panels]:
            figure.tight_layout(pad=0.3, h_pad=1.0, rect=rect)


def _break_names(ax: Any, renderer: Any) -> bool:
    """Break the names along a panel that are too long, and say if any were."""
    changed = False
    if _named(ax.yaxis):
        labels = ax.get_yticklabels()
        changed = True in [_wrap(label, 0.4 * ax.figure.bbox.width, renderer) for label in labels]
        if changed:
            ax.set_yticks(ax.get_yticks(), [label.get_text() for label in labels])
    return changed


def _break_titles(ax: Any, renderer: Any) -> bool:
    """Break the lines of a panel's labels that are too long, and the rows of its legend; say if any were."""
    while _named(ax.xaxis) and _crowded(ax.get_xticklabels(), renderer):
        kept = [label.get_text() for label in ax.get_xticklabels()][::2]
        ax.set_xticks(ax.get_xticks()[::2], kept)
    box, width = ax.get_window_extent(renderer), ax.figure.bbox.width
    middle = (box.x0 + box.x1) / 2
    rooms = [(title, width - box.x0) for title in (ax.title, ax._left_title, ax._right_title)]
    rooms += [(ax.xaxis.label, 2 * min(middle, width - middle)), (ax.yaxis.label, 1.15 * box.height)]
    changed = True in [_wrap(text, room, renderer) for text, room in rooms]
    legend = ax.get_legend()
    while legend and legend._ncols > 1 and legend.get_window_extent(renderer).width > box.width:
        legend = _in_columns(legend, ax, legend._ncols - 1, legend._loc)
    return changed


def _in_columns(legend: Any, owner: Any, columns: int, place: Any) -> Any:
    """Replace the legend of a figure or a panel by one of so many columns."""
    names = [text.get_text() for text in legend.get_texts()]
    known: dict[str, Any] = {}
    for ax in legend.figure.axes:
        handles, labels = ax.get_legend_handles_labels()
        known |= dict(zip(labels, handles, strict=True))
    handles = [known.get(name, own) for name, own in zip(names, legend.legend_handles, strict=True)]
    title, size = legend.get_title().get_text() or None, legend.get_texts()[0].get_fontsize()
    legend.remove()
    return owner.legend(handles, names, title=title, fontsize=size, ncols=columns, loc=place)


def _named(axis: Any) -> bool:
    """Return whether the marks of an axis have names of their own."""
    return isinstance(axis.get_major_locator(), FixedLocator)


def _crowded(labels: list[Text], renderer: Any) -> bool:
    boxes = [label.get_window_extent(renderer) for label in labels if label.get_text()]
    return any(left.x1 + 2 > right.x0 for left, right in pairwise(boxes))


def _wrap(text: Text, room: float, renderer: Any) -> bool:
    """Break a text in two lines, near its middle, if it is longer than its room; return whether it was."""
    words = text.get_text()
    extent = text.get_window_extent(renderer)
    length = max(extent.width, extent.height)
    if length <= room or " " not in words or "\n" in words or words.count("$") > 2:
        return False
    spaces = [i for i, letter in enumerate(words) if letter == " " and words[:i].count("$") % 2 == 0]
    if spaces:
        middle = min(spaces, key=lambda i: abs(i - len(words) / 2))
        text.set_text(f"{words[:middle]}\n{words[middle + 1 :]}")
    return bool(spaces)
