"""A Sphinx extension that leads from old addresses to where things are now: pages that were renamed, parts that moved.

Both work from a folder and without JavaScript. A renamed page is a page that leads away. A part has an anchor on the
page where it was, which shows a link; `book.js` follows it.
"""

from __future__ import annotations

import html
import posixpath
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from website.site_assets import LEADS_ON

PAGES = {
    "book/part4-classical/15-a-bug-that-looks-like-a-result": "book/part4-classical/16-a-bug-that-looks-like-a-result",
    "book/part5-reality/16-against-the-frameworks": "book/part5-reality/17-against-the-frameworks",
    "book/part5-reality/17-replication-report": "book/part5-reality/18-replication-report",
}
"""Documents by their old names. A name stays here for as long as somebody may have kept the address."""

PARTS = {
    "book/part4-classical/14-support-vector-machine": (
        "book/part4-classical/15-smo",
        (
            *("two-at-a-time", "ten-digits", "the-experiment-32-numbers-or-784", "what-scale-measures"),
            *("which-digits-are-mixed-up", "how-many-labels"),
            *("fig-svm-watched", "fig-svm-features", "fig-svm-confusion", "fig-svm-codes", "fig-svm-labels"),
            *("equation-eq-svm-slope", "equation-eq-svm-parabola", "equation-eq-svm-step", "equation-eq-svm-gap"),
            *("ex-svm-gamma", "ex-svm-duels"),
        ),
    )
}
"""Of a document, the one to which parts of it moved, and their anchors, which are the same there."""

_TAGS = """<meta name="robots" content="noindex" />
    <script>location.replace("{address}" + location.hash);</script>"""


def old_pages() -> set[str]:
    """Return the files of the site that only lead away."""
    return {f"{old}.html" for old in PAGES}


def address(start: str, end: str) -> str:
    """Return the address of a document as a link on another one says it, without a host."""
    return posixpath.relpath(end, posixpath.dirname(start)) + ".html"


def page(old: str, title: str, language: str = "en") -> str:
    """Return the page that stands at an old address."""
    where, title = address(old, PAGES[old]), html.escape(title)
    told = {"words": "This page has moved: ", "link": title, "tags": _TAGS.format(address=where)}
    return LEADS_ON.format(language=language, title=title, address=where, **told)


def parts(document: str) -> str:
    """Return what stands at the foot of a document for the parts that moved from it; nothing if none did."""
    if document not in PARTS:
        return ""
    new, anchors = PARTS[document]
    lines = (
        f'<p id="{anchor}">This part has moved to <a href="{address(document, new)}#{anchor}">the next chapter</a>.</p>'
        for anchor in anchors
    )
    return f'<div class="nnkit-moved">{"".join(lines)}</div>'


def add_parts(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object) -> None:
    """Leave an anchor for each part that moved away, which shows itself only to those who come for it."""
    context["body"] = context.get("body", "") + parts(pagename)


def write_pages(app: Sphinx, error: Exception | None) -> None:
    """Write the pages at the old addresses."""
    if error or app.builder.format != "html":
        return
    for old, new in PAGES.items():
        title = app.env.titles[new].astext()
        path = Path(app.outdir) / f"{old}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page(old, title, app.config.language), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the steps; nothing that reads the pages shall find those that lead away."""
    app.connect("html-page-context", add_parts)
    app.connect("build-finished", write_pages, priority=990)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
