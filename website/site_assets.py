"""A Sphinx extension that makes the site need no other host, and mends what screen readers trip over."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

from website.mark import mark
from website.share import tags_of

_MATHS = re.compile(r"""([(\[“"]*)(<span class="math notranslate nohighlight">[^<]*</span>)([.,;:!?)\]”"]*)""")
_HERE = Path(__file__).resolve().parent
_MENDED = {
    # It hid the text beside it, "Show code cell source", from those who cannot see it.
    '<summary aria-label="Toggle hidden content">': "<summary>",
    # Deprecated in ARIA, so that a list of them was a list without items.
    'role="doc-biblioentry"': 'role="listitem"',
}


_EMPTY_HEAD = re.compile(r"<th((?:\s[^>]*)?)>(\s*(?:<p>\s*</p>)?\s*)</th>")
_TITLE = re.compile(r"<title>(.*?)(?: &#8212; | - )(.*?)</title>", re.DOTALL)
LEADS_ON = """<!DOCTYPE html>
<html lang="{language}">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>{title}</title>
    {tags}
    <meta http-equiv="Refresh" content="0; url={address}" />
  </head>
  <body><main><h1>{title}</h1><p>{words}<a href="{address}">{link}</a></p></main></body>
</html>
"""
"""A page that only leads to another one, from a folder and without scripts too."""


def add_vendored(app: Sphinx, config: Config) -> None:
    """Publish our style sheet and MathJax with the site.

    They are added here, not in _config.yml, because Jupyter Book puts every script that it finds in a configured static
    folder on every page. By now it has looked.
    """
    config.html_static_path = [*config.html_static_path, str(_HERE / "static"), str(_HERE / "vendor")]


def drop_scripts(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object) -> None:
    """Leave out what would ask another host, or throw: thebe is inserted twice, and no page uses it."""

    def mentions_thebe(script: Any) -> bool:
        return "thebe" in (str(getattr(script, "filename", script)) + str(getattr(script, "attributes", ""))).lower()

    context["script_files"] = [script for script in context.get("script_files", []) if not mentions_thebe(script)]


def mend_roles(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object) -> None:
    """Write names and roles that assistive technology understands, where the extensions wrote others."""
    for theirs, ours in _MENDED.items():
        context["body"] = context.get("body", "").replace(theirs, ours)


def keep_points(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object) -> None:
    """Keep the point, comma or bracket beside a formula on its line: a browser may break between the two."""

    def together(match: re.Match[str]) -> str:
        before, formula, after = match.groups()
        return f'<span class="nobreak">{match[0]}</span>' if before or after else formula

    context["body"] = _MATHS.sub(together, context.get("body", ""))


def mend_page(page: str) -> str:
    """Return a whole page with what the theme's templates leave out, or say twice."""
    # The name of the book stands in no part of the page that has a role.
    page = page.replace('<div id="pst-primary-sidebar" ', '<div id="pst-primary-sidebar" role="complementary" ', 1)
    page = page.replace('role="complementary" class', 'role="complementary" aria-label="The book" class', 1)
    page = page.replace('<p class="title logo__title">', mark() + '<p class="title logo__title">', 1)
    # A corner above the names of rows is no heading.
    page = _EMPTY_HEAD.sub(r"<td\1>\2</td>", page)
    return _TITLE.sub(lambda title: f"<title>{title[1]}</title>" if title[1] == title[2] else title[0], page, count=1)


def write_root(app: Sphinx, error: Exception | None) -> None:
    """Lead from the root to the first page, on a page that says what it is: Jupyter Book's only leads away."""
    if error or app.builder.format != "html":
        return
    first = f"{app.config.root_doc}.html"
    if first != "index.html":
        title, tags = (
            html.escape(app.config.html_title),
            tags_of((Path(app.outdir) / first).read_text(encoding="utf-8")),
        )
        told = {"words": "", "link": "Read the book", "tags": tags}
        text = LEADS_ON.format(language=app.config.language, title=title, address=first, **told)
        (Path(app.outdir) / "index.html").write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the steps."""
    app.connect("config-inited", add_vendored)
    app.connect("html-page-context", drop_scripts, priority=900)
    app.connect("html-page-context", mend_roles)
    app.connect("html-page-context", keep_points, priority=900)  # After the definitions of terms.
    app.connect("build-finished", write_root, priority=900)
    app.add_css_file("book.css")
    app.add_css_file("controls.css")
    app.add_css_file("figures.css")
    app.add_css_file("print.css", media="print")
    app.add_js_file("book.js", loading_method="defer")
    app.add_js_file("read.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
