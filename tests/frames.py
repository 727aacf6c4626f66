"""Reads the frames of a lab from its HTML, and draws them, roughly, without a browser."""

from __future__ import annotations

import base64
import functools
import io
import json
import re
import xml.etree.ElementTree as ElementTree
import zlib

import numpy as np
from PIL import Image, ImageDraw

_NUMBER = re.compile(r"-?(?:\d+\.?\d*|\.\d+)")
_SVG = "{http://www.w3.org/2000/svg}"


def frames_of(page: str) -> list[tuple[str, str]]:
    """Return the pictures and sentences in a lab's HTML, in the order of `Lab.frames`."""
    data = re.search(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)[1]
    packed = base64.b64decode(json.loads(data)["frames"])
    return [tuple(frame) for frame in json.loads(zlib.decompress(packed, -zlib.MAX_WBITS))]


@functools.lru_cache(maxsize=256)
def pixels(picture: str) -> np.ndarray:
    """Return the drawing for a desk as grey values: lines, fills, rasters and the places of words."""
    root = ElementTree.fromstring(picture[: picture.index('</svg><svg class="nnkit-narrow') + len("</svg>")])
    _, _, width, height = (float(number) for number in root.get("viewBox").split())
    canvas = Image.new("L", (round(width), round(height)), 255)
    _draw(canvas, root, "")
    return np.asarray(canvas, dtype=np.float32)


def _draw(canvas: Image.Image, element: ElementTree.Element, style: str) -> None:
    own, pen = f"{style};{element.get('style', '')}", ImageDraw.Draw(canvas)
    kind = element.tag.removeprefix(_SVG)
    fill, stroke = _shade("fill", own), _shade("stroke", own)
    if kind == "path":
        for points in _lines(element.get("d")):
            if fill is not None and len(points) > 2:
                pen.polygon(points, fill=fill)
            if stroke is not None:
                width = float(re.findall(r"stroke-width:([\d.]+)", own)[-1])
                x, y = points[0]
                if points == [points[0]] * len(points):  # A dot.
                    pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=stroke)
                else:
                    pen.line(points, fill=stroke, width=max(1, round(width)))
    elif kind == "circle":
        x, y, r = (float(element.get(name)) for name in ("cx", "cy", "r"))
        pen.ellipse((x - r, y - r, x + r, y + r), fill=fill, outline=stroke)
    elif kind == "text":
        pen.text((float(element.get("x")), float(element.get("y")) - 8), "".join(element.itertext()), fill=fill)
    elif kind == "image":
        raster = Image.open(io.BytesIO(base64.b64decode(element.get("href").split(",", 1)[1]))).convert("L")
        x, y, width, height = (round(float(element.get(name))) for name in ("x", "y", "width", "height"))
        canvas.paste(raster.resize((width, height), Image.Resampling.NEAREST), (x, y))
    for child in element:
        _draw(canvas, child, own)


def _shade(what: str, style: str) -> int | None:
    """Return how bright a fill or a stroke is in the light, by the last that is said of it."""
    said = re.findall(rf"(?:^|;){what}:(?:var\(--[\w-]+,)?(none|#[0-9a-f]{{6}})", style)
    if not said or said[-1] == "none":
        return None
    return round(sum(int(said[-1][i : i + 2], 16) for i in (1, 3, 5)) / 3)


def _lines(d: str) -> list[list[tuple[float, float]]]:
    """Return the points of a path's lines; curves by their control points."""
    lines, here = [], np.zeros(2)
    for letter, text in re.findall(r"([Mmlhcqz])([^Mmlhcqz]*)", d):
        numbers = np.array([float(number) for number in _NUMBER.findall(text)])
        if letter == "h":
            lines[-1].append(tuple(here + [numbers[0], 0]))
        elif letter == "z":
            lines[-1].append(lines[-1][0])
            here = np.array(lines[-1][0])
        else:
            if letter in "Mm":
                lines.append([])
            step = {"c": 3, "q": 2}.get(letter, 1)
            for i, place in enumerate(numbers.reshape(-1, 2)):
                point = place if letter == "M" and i == 0 else here + place
                lines[-1].append(tuple(point))
                if (i + 1) % step == 0:
                    here = point
    return lines
