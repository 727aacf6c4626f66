"""A Sphinx extension that makes the site need no other host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

_HERE = Path(__file__).resolve().parent


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


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the two steps."""
    app.connect("config-inited", add_vendored)
    app.connect("html-page-context", drop_scripts, priority=900)
    app.add_css_file("book.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
