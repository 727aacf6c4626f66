"""A Sphinx extension that makes the site need no other host, and mends what screen readers trip over."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

_MATHS = re.compile(r"""([(\[“"]*)(<span class="math notranslate nohighlight">[^<]*</span>)([.,;:!?)\]”"]*)""")
_HERE = Path(__file__).resolve().parent
_MENDED = {
    # It hid the text beside it, "Show code cell source", from those who cannot see it.
    '<summary aria-label="Toggle hidden content">': "<summary>",
    # Deprecated in ARIA, so that a list of them was a list without items.
    'role="doc-biblioentry"': 'role="listitem"',
}


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


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the steps."""
    app.connect("config-inited", add_vendored)
    app.connect("html-page-context", drop_scripts, priority=900)
    app.connect("html-page-context", mend_roles)
    app.connect("html-page-context", keep_points, priority=900)  # After the definitions of terms.
    app.add_css_file("book.css")
    app.add_css_file("print.css", media="print")
    app.add_js_file("book.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
