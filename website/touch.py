"""A Sphinx extension for the widgets: their modules and weights come when a reader does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from lab.touch.modules import source
from lab.touch.pages import brought_to_life, widgets_on

FOLDER = "_touch"
STYLE_BEGINS = "/* What follows is lab/touch. */"


def bring_to_life(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object) -> None:
    """Write what a page's widgets need to files of their own, so that the text does not wait for them."""
    body = context.get("body", "")
    if widgets_on(body):
        context["body"] = brought_to_life(body, pagename, Path(app.outdir) / FOLDER)
        app.add_js_file("touch.js", loading_method="defer")


def widget_of(path: Path, name: str) -> str:
    """Return the HTML of a widget among a notebook's outputs, by its name in the address.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    there = []
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            page = output.get("data", {}).get("text/html", "")
            there += [found for found, _ in widgets_on(page)]
            if there and there[-1] == f"touch-{name}":
                return page
    raise ValueError(f"{path.name} has no widget {name!r} among its outputs; it has {', '.join(there) or 'none'}")


class TouchOf(SphinxDirective):
    """``{touch-of} folder/chapter name``: a widget of a chapter's notebook, shown on this page too."""

    required_arguments = 2

    def run(self) -> list[nodes.Node]:
        """Return the widget as it stands in the notebook."""
        _, path = self.env.relfn2path(f"{self.arguments[0]}.ipynb", self.env.docname)
        self.env.note_dependency(path)
        try:
            return [nodes.raw("", widget_of(Path(path), self.arguments[1]), format="html")]
        except (OSError, ValueError) as error:
            raise self.error(f"no widget to show: {error}") from error


def write_style(app: Sphinx, error: Exception | None) -> None:
    """Append the widgets' style sheets to the book's, since every sheet more is one more to wait for."""
    book = Path(app.outdir) / "_static" / "book.css"
    if error or not book.is_file():
        return
    own, *_ = book.read_text(encoding="utf-8").partition(STYLE_BEGINS)
    names = sorted(path.name for path in Path(__file__).parents[1].joinpath("lab", "touch").glob("*.css"))
    names.sort(key=lambda name: name != "touch.css")  # The parts come before what changes them.
    book.write_text("\n".join([own.rstrip(), STYLE_BEGINS, *map(source, names)]), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the steps."""
    app.add_directive("touch-of", TouchOf)
    app.connect("html-page-context", bring_to_life)
    app.connect("build-finished", write_style)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
