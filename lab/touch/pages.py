"""How widgets stand on a page: their modules and weights in files of their own, which come when a reader does."""

from __future__ import annotations

import json
import re
from pathlib import Path

from lab.touch.modules import in_order, script
from lab.touch.widget import remade

_WIDGET = re.compile(r'<div class="nnkit-touch" id="(?P<id>[^"]+)"[^>]* data-touch="(?P<module>\w+)">')
_DATA = re.compile(
    r'(<div class="nnkit-touch" id="([^"]+)".*?<script type="application/json">)(.*?)(</script>)', re.DOTALL
)


def widgets_on(page: str) -> list[tuple[str, str]]:
    """Return the name and the module of every widget on a page."""
    return _WIDGET.findall(page)


def brought_to_life(body: str, page: str, folder: Path) -> str:
    """Write into a folder what the widgets of a page load, and return the page's HTML without it.

    Raises
    ------
    ValueError
        If two widgets have one name.
    """
    found = widgets_on(body)
    if len({name for name, _ in found}) < len(found):
        raise ValueError(f"{page} has two widgets with one name among {', '.join(name for name, _ in found)}")
    folder.mkdir(parents=True, exist_ok=True)
    for each in {needed for _, module in found for needed in [*in_order("parts"), *in_order(module)]}:
        (folder / f"{each}.js").write_text(script(each), encoding="utf-8")

    def moved(widget: re.Match[str]) -> str:
        content = json.loads(widget[3])
        data = content["state"].get("data")
        if isinstance(data, dict) and data:
            name = f"{page.replace('/', '-')}-{widget[2]}.js"
            text = json.dumps({"data": remade(content["state"].pop("data"))}, separators=(",", ":"))
            (folder / name).write_text(f"nnkitTouch.data[{json.dumps(name)}] = {text};\n", encoding="utf-8")
            content["source"] = name
        return widget[1] + json.dumps(content, separators=(",", ":")).replace("</", "<\\/") + widget[4]

    return _DATA.sub(moved, body)
