"""A Sphinx extension for the face of the book: its mark, its letters and colours, and handwriting on the first page."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from website.mark import DIGITS

FIRST = ("book-serif", "book-sans")
"""The fonts of the first screen, which a browser should ask for before it has read the style sheets."""

_PRELOAD = """<script>if (location.protocol !== "file:") for (const href of {})
      document.head.append(Object.assign(document.createElement("link"),
        {{rel: "preload", as: "font", type: "font/woff2", crossOrigin: "", href}}));</script>"""
"""A page that is opened as a file finds its fonts at once, and may not ask for them in this way."""


def add_links(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object) -> None:
    """Name the icon and the first fonts in the head of a page."""
    static = {
        name: context["pathto"](f"_static/{name}", resource=True)
        for name in ("favicon.ico", "mark.svg", *(f"fonts/{font}.woff2" for font in FIRST))
    }
    links = [
        f'<link rel="icon" href="{static["favicon.ico"]}" sizes="32x32" />',
        f'<link rel="icon" href="{static["mark.svg"]}" type="image/svg+xml" />',
        _PRELOAD.format([static[f"fonts/{font}.woff2"] for font in FIRST]),
    ]
    context["metatags"] = context.get("metatags", "") + "\n    " + "\n    ".join(links)


class Digits(SphinxDirective):
    """``{handwriting}``: ten digits of scikit-learn, as dots in the colour of the text."""

    def run(self) -> list[nodes.Node]:
        """Return the picture as it was drawn."""
        self.env.note_dependency(str(DIGITS))
        return [nodes.raw("", DIGITS.read_text(encoding="utf-8"), format="html")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the steps."""
    app.add_directive("handwriting", Digits)
    app.connect("html-page-context", add_links)
    app.add_css_file("palette.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
