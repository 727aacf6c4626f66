"""A Sphinx extension for the labs: their frames come when they are needed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

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


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the steps."""
    app.connect("html-page-context", move_frames)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
