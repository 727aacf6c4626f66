"""A Sphinx extension for figures: the page shows a notebook's drawings, one for a desk and one for a phone."""

from __future__ import annotations

import hashlib
import html
import json
import re
from base64 import b64decode
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from lab.drawings import MIME, both

_RASTER = re.compile(r'data:image/png;base64,([^"]+)')


def drawings_of(notebook: Path) -> dict[str, dict[str, str]]:
    """Return the drawings in a notebook by the name of the file that its raster gets on the site."""
    found = {}
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if MIME in data:
                found[hashlib.sha256(b64decode(data["image/png"])).hexdigest()] = data[MIME]
    return found


def set_beside(drawing: str, site: Path, docname: str) -> str:
    """Write the rasters in a drawing to files of the site, so that a page shows its text before they come."""

    def written(raster: re.Match[str]) -> str:
        pixels = b64decode(raster[1])
        name = f"_images/raster-{hashlib.sha256(pixels).hexdigest()[:16]}.png"
        (site / "_images").mkdir(parents=True, exist_ok=True)
        (site / name).write_bytes(pixels)
        return "../" * docname.count("/") + name

    return _RASTER.sub(written, drawing)


PLAY = (
    '<button type="button" class="nnkit-play" aria-label="Play the figure: draw its parts in their order">Play</button>'
)
"""Of a figure that can be drawn step by step: `lab.plots.plays`."""


def shown(drawing: dict[str, str], text: str) -> str:
    """Return the HTML of a figure: its two drawings, of which the style sheet shows one, each with its description."""
    play = PLAY if "--after:" in drawing["wide"] else ""
    return f'<div class="nnkit-figure">{both(drawing, f"""role="img" aria-label="{html.escape(text)}" """)}{play}</div>'


def show_drawings(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put the drawings in the place of their rasters, which stay on the site for who shares a page."""
    path = Path(app.env.doc2path(docname))
    if app.builder.format != "html" or path.suffix != ".ipynb":
        return
    found = drawings_of(path)
    for image in list(doctree.findall(nodes.image)):
        drawing = found.get(Path(image["uri"]).stem)
        if drawing is not None:
            app.builder.images[image["uri"]] = app.env.images[image["uri"]][1]
            figure = set_beside(shown(drawing, image.get("alt", "")), Path(app.outdir), docname)
            image.replace_self(nodes.raw("", figure, format="html"))


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the step."""
    app.connect("doctree-resolved", show_drawings)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
