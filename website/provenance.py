"""A Sphinx extension: under a chapter's title, how long it takes to read and which run its outputs come from."""

from __future__ import annotations

import re
from html import escape
from typing import Any

import nbformat
from sphinx.application import Sphinx
from sphinx.util import logging

from website.chapters import chapters, read_notebook

_logger = logging.getLogger(__name__)

WORDS_A_MINUTE, LINES_A_MINUTE = 200, 20
"""How fast a text, and code that is shown, are read; exercises and folded code are not counted."""

_NOT_READ = re.compile(r"^(:::+|```+|~~~+).*$|^:[\w-]+:.*$|\$\$.*?\$\$(?: \(eq[^)]*\))?|^\|[-:| ]+\|$", re.M | re.S)


def reading_minutes(notebook: nbformat.NotebookNode) -> int:
    """Return how many minutes a chapter takes to read, up to its exercises: what chapters.toml must say of it."""
    words = lines = 0
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "markdown":
            text, exercises, _ = cell.source.partition("## Exercises")
            words += len(re.sub(_NOT_READ, " ", text).split())
            if exercises:
                break
        elif not {"remove-cell", "remove-input", "hide-input", "setup"} & set(tags) and not _states_claims(cell):
            lines += len([line for line in cell.source.splitlines() if line.strip()])
    return max(1, round(words / WORDS_A_MINUTE + lines / LINES_A_MINUTE))


def _states_claims(cell: nbformat.NotebookNode) -> bool:
    """Say whether the page folds a cell's code under the sentence of a claim."""
    shown = (str(output.get("data", {}).get("text/markdown", "")) for output in cell.outputs)
    return any(text.startswith(("**Claim, checked.", "**Checked.")) for text in shown)


def provenance(ran: dict[str, Any], minutes: int, repository: str) -> str:
    """Return the lines as HTML: the minutes to read, and what ``make notebooks`` has stamped."""
    data = ran["data"]
    commit = ran["commit"].split()[0]
    return (
        f'<div class="provenance"><p>About {minutes} minutes to read, without the exercises.</p>'
        f"<p>Its outputs come from a run of {ran['seconds']:.0f} seconds on <time>{escape(ran['date'])}</time>, with "
        f'nnkit {escape(ran["nnkit"])} at commit <a href="{repository}/tree/{commit}">{commit[:7]}</a>, '
        f"Python {escape(ran['python'])}, NumPy {escape(ran['numpy'])}, "
        + (f"the data {escape(data['name'])} <code>{data['sha256']}</code>" if data else "no data set")
        + f", on {escape(ran['processor'])}.</p></div>"
    )


def add_provenance(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object) -> None:
    """Put the lines under the title of a chapter."""
    for chapter in chapters():
        if chapter.document == pagename:
            ran = read_notebook(chapter.path).metadata.get("nnkit", {})
            if "commit" not in ran:
                _logger.warning(
                    "it does not say which run its outputs come from; run make notebooks", location=pagename
                )
                return
            lines = provenance(ran, chapter.minutes, app.config.html_theme_options["repository_url"])
            context["body"] = context["body"].replace("</h1>", f"</h1>\n{lines}", 1)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the step."""
    app.connect("html-page-context", add_provenance)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
