"""A Sphinx extension for the labs: their frames come when they are needed, and a page can show another chapter's."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import nbformat
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

FOLDER = "_labs"
_DATA = re.compile(
    r'(<div class="nnkit-lab" id="([^"]+)".*?<script type="application/json">)(.*?)(</script>)', re.DOTALL
)


def move_frames(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object) -> None:
    """Write the frames of a page's labs to files of their own, so that the text does not wait for them."""

    def moved(lab: re.Match[str]) -> str:
        data = json.loads(lab[3])
        name = f"{pagename.replace('/', '-')}-{lab[2]}.js"
        text = f"(window.nnkitFrames ??= {{}})[{json.dumps(name)}] = {json.dumps(data.pop('frames'))};\n"
        folder = Path(app.outdir) / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
        data["source"] = context["pathto"](f"{FOLDER}/{name}", resource=True)
        return lab[1] + json.dumps(data).replace("</", "<\\/") + lab[4]

    context["body"] = _DATA.sub(moved, context.get("body", ""))


def lab_of(path: Path) -> str:
    """Return the HTML of the first lab among a notebook's outputs.

    Raises
    ------
    ValueError
        If it has none.
    """
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            page = output.get("data", {}).get("text/html", "")
            if 'class="nnkit-lab"' in page:
                return page
    raise ValueError(f"{path.name} has no lab among its outputs")


class LabOf(SphinxDirective):
    """``{lab-of} folder/chapter``: the lab that a chapter's notebook holds, shown on this page too."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the lab as it stands in the notebook."""
        _, path = self.env.relfn2path(f"{self.arguments[0]}.ipynb", self.env.docname)
        self.env.note_dependency(path)
        try:
            return [nodes.raw("", lab_of(Path(path)), format="html")]
        except (OSError, ValueError) as error:
            raise self.error(f"no lab to show: {error}") from error


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the steps."""
    app.add_directive("lab-of", LabOf)
    app.connect("html-page-context", move_frames)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
