"""A page with one widget, as the built site shows it: from a file, with the host and without a kernel."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from lab.touch.modules import style
from lab.touch.pages import brought_to_life
from tests.website.visit import Window

STATIC = Path(__file__).resolve().parents[2] / "website" / "static"
_PAGE = """<!doctype html>
<html lang="en" data-theme="{scheme}"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>{palette}
body {{ margin: 0 auto; padding: 0 30px; max-width: 584px; font: 18px/1.6 sans-serif;
background: var(--book-paper); color: var(--book-ink) }}</style>
<style>{style}</style></head>
<body><main><h1>{title}</h1>{widgets}</main>
<script defer src="_static/touch.js"></script></body></html>
"""


def write_page(folder: Path, *widgets: Any, scheme: str = "light") -> Path:
    """Write a page with these widgets, and all that they load, as the site has them; return its path."""
    (folder / "_static").mkdir(exist_ok=True)
    host = (STATIC / "touch.js").read_text(encoding="utf-8")
    (folder / "_static" / "touch.js").write_text(host, encoding="utf-8")
    page = _PAGE.format(
        scheme=scheme,
        title="A page with a widget",
        palette=(STATIC / "palette.css").read_text(encoding="utf-8").replace("url(", "url(_none/"),
        style="\n".join(style(module) for module in dict.fromkeys(widget.module for widget in widgets)),
        widgets="\n<p>A paragraph between.</p>\n".join(widget.html() for widget in widgets),
    )
    path = folder / "page.html"
    path.write_text(brought_to_life(page, "page", folder / "_touch"), encoding="utf-8")
    return path


def page_with(
    browser: Any, *widgets: Any, width: int = 1400, scheme: str = "light", state: str = "", scripts: bool = True
) -> Window:
    """Open a page with these widgets in a window, wait until they are alive, and return the window.

    ``state`` is what stands behind the widget's name in the address, such as ``width=2&seed=7``.
    """
    folder = Path(tempfile.mkdtemp(prefix="touch "))
    path = write_page(folder, *widgets, scheme=scheme)
    window = Window(browser, scripts=scripts)
    address = path.as_uri() + (f"#{widgets[0].id}?{state}" if state else "")
    window.open(address, width=width, scheme=scheme)
    if scripts:
        for widget in widgets:
            root = window.page.locator(f"#{widget.id}")
            root.scroll_into_view_if_needed()
            window.page.wait_for_function("id => document.getElementById(id).dataset.state === 'alive'", arg=widget.id)
    return window
