"""A Sphinx extension that puts formulas on the page as MathJax has set them, so that no reader's browser has to.

`python -m website.formulas` sets the formulas of the built site that are new, in a browser, and keeps all of them in
formulas.json and formulas-display.json, and their style in static/formulas.css. `make book` only reads these. A formula
that is not there yet is set by MathJax on its page, as before.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import html
import json
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from lab.results import write_whole
from website.first_paint import subset

_HERE = Path(__file__).resolve().parent
STORES = {False: _HERE / "formulas.json", True: _HERE / "formulas-display.json"}
"""Of the formulas in a line of text, and of those on a line of their own."""
STYLE = _HERE / "static" / "formulas.css"
SITE = _HERE.parent / "_build" / "html"
MATHJAX = _HERE / "vendor" / "mathjax" / "tex-chtml.js"
FONTS = STYLE.parent / "formulas"

FORMULA = re.compile(
    r'(?P<before><(?P<tag>span|div) class="math notranslate nohighlight"[^>]*>\s*(?:<span class="eqno">.*?</span>\s*)?)'
    r"(?:\\\((?P<inline>.*?)\\\)|\\\[(?P<display>.*?)\\\])\s*(?P<after></(?P=tag)>)",
    re.DOTALL,
)
KEY = re.compile(r'data-formula="(\w+)"')

_SET = """async formulas => {
  const set = [];
  for (const [tex, display] of formulas) {
    const container = await MathJax.tex2chtmlPromise(tex, {display});
    document.body.append(container);
    if (container.querySelector("mjx-merror")) throw new Error(`${container.textContent}: ${tex}`);
    set.push(container.outerHTML);
  }
  MathJax.startup.document.updateDocument();  // Writes the styles.
  const rules = [...document.styleSheets].flatMap(sheet => [...sheet.cssRules].map(rule => rule.cssText));
  return [set, rules.filter(rule => !rule.includes("CtxtMenu"))];
}"""
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><script>window.MathJax = {{
  options: {{enableMenu: false, enableAssistiveMml: true}}, startup: {{typeset: false}},
  chtml: {{matchFontHeight: false, fontURL: "mathjax/output/chtml/fonts/woff-v2"}},
}}</script><script src="{source}"></script><body></body></html>"""
# MathJax measures the letters around each formula, to make its own as high; style sheets can say that.
_HEAD = """/* Formulas as MathJax sets them. Written by `python -m website.formulas`; do not edit. */
mjx-container[jax="CHTML"] { position: relative; font-size: calc(1ex / 0.442); }
"""


def key(tex: str, display: bool) -> str:
    """Return the name under which a formula is kept."""
    return hashlib.sha256(f"{'display' if display else 'inline'} {tex}".encode()).hexdigest()[:10]


def tex_of(match: re.Match[str]) -> tuple[str, bool]:
    """Return the TeX of a formula that was found on a page, and whether it stands on a line of its own."""
    display = match["display"] is not None
    return html.unescape(match["display"] if display else match["inline"]).strip(), display


@functools.cache
def store() -> dict[str, dict[str, Any]]:
    """Return all formulas that have been set: their TeX, whether they stand on a line of their own, and their HTML."""
    known = {}
    for path in STORES.values():
        known |= json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return known


def set_formulas(page: str, known: dict[str, dict[str, Any]]) -> tuple[str, int]:
    """Return a page with the formulas that are known, and how many are not."""
    missing = 0

    def put(match: re.Match[str]) -> str:
        nonlocal missing
        name = key(*tex_of(match))
        if name not in known:
            missing += 1
            return match[0]
        container = known[name]["html"].replace("<mjx-container ", f'<mjx-container data-formula="{name}" ', 1)
        return match["before"] + container + match["after"]

    return FORMULA.sub(put, page), missing


def replace_formulas(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object) -> None:
    """Put the formulas on a page; leave MathJax out unless it has to set one, and their style where there are none."""
    context["body"], missing = set_formulas(context.get("body", ""), store())

    def is_mathjax(script: Any) -> bool:
        said = str(getattr(script, "filename", script) or "") + str(getattr(script, "attributes", ""))
        return "mathjax" in said.lower()

    if not missing:
        context["script_files"] = [one for one in context.get("script_files", []) if not is_mathjax(one)]
    if "<mjx-container" not in context["body"]:
        context["css_files"] = [
            one for one in context.get("css_files", []) if "formulas.css" not in str(getattr(one, "filename", one))
        ]


def cleaned(container: str) -> str:
    """Return what MathJax has made without what only its menu needs."""
    head, rest = container.split(">", 1)
    return re.sub(r' (?:tabindex|ctxtmenu_counter|style)="[^"]*"', "", head) + ">" + rest


_FACE = re.compile(r'url\("[^"]*/(MathJax_(\w+)[^"]*\.woff)"\)')
_LETTER = re.compile(r'content: "((?:\\.|[^"\\])*)"')


def style_of(rules: list[str], folder: Path = FONTS) -> str:
    """Return the style of the formulas; write the part of each font that they show into a folder beside it."""
    letters: dict[str, set[int]] = {}  # By the class that chooses the font; large signs are in fonts of their own.
    for rule in rules:
        font = re.search(r"\.TEX(-[A-Z]+)", rule)
        for text in _LETTER.findall(rule):
            for name in (font[1] if font else "", "all"):
                letters.setdefault(name, set()).update(map(ord, re.sub(r"\\(?=.)", "", text)))
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.woff"):
        old.unlink()

    def written(source: re.Match[str]) -> str:
        font = next(MATHJAX.parent.rglob(source[1]))
        if source[2] == "Zero":  # It draws nothing, but the height of a line is measured by it.
            return f"url(data:font/woff;base64,{base64.b64encode(font.read_bytes()).decode()})"
        (folder / source[1]).write_bytes(subset(font, shown))
        return f'url("formulas/{source[1]}")'

    kept = []
    for rule in rules:
        face = re.match(r"@font-face .*?font-family: MJX(?:TEX|ZERO)([\w-]*)", rule)
        if not face:
            kept.append(rule)
            continue
        shown = letters["all"] if re.match(r"-S\d", face[1]) else letters.get(face[1], set())
        if shown:
            kept.append(_FACE.sub(written, rule))
    return _HEAD + "\n".join(kept) + "\n"


def formulas_of(site: Path, known: dict[str, dict[str, Any]]) -> dict[str, tuple[str, bool]]:
    """Return the formulas of the built site by their names, those that are set on it and those that are not."""
    found = {}
    for path in sorted(site.rglob("*.html")):
        page = path.read_text(encoding="utf-8")
        found |= {name: (known[name]["tex"], known[name]["display"]) for name in KEY.findall(page)}
        found |= {key(*tex_of(match)): tex_of(match) for match in FORMULA.finditer(page)}
    return dict(sorted(found.items()))


def main() -> None:
    """Set every formula of the built site, and keep these alone."""
    from website.pdf import chromium  # Here, since `make book` needs no browser.

    found = formulas_of(SITE, store())
    if not found:  # It would forget all that it knows.
        raise SystemExit(f"{SITE} must hold the built site, with its formulas; run make book first")
    page = SITE.parent / "formulas.html"
    page.write_text(_PAGE.format(source=MATHJAX.as_uri()), encoding="utf-8")
    with chromium() as browser, browser.new_page() as window:
        window.goto(page.as_uri())
        containers, rules = window.evaluate(_SET, list(found.values()))
    page.unlink()
    kept = {
        name: {"tex": tex, "display": display, "html": cleaned(container)}
        for (name, (tex, display)), container in zip(found.items(), containers, strict=True)
    }
    for display, path in STORES.items():
        some = {name: one for name, one in kept.items() if one["display"] == display}
        lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(one, ensure_ascii=False)}" for name, one in some.items())
        write_whole(path, f"{{\n{lines}\n}}\n")
    write_whole(STYLE, style_of(rules))
    print(f"{len(kept)} formulas are set; make book puts the new ones on their pages.")


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the step, after all that reads formulas as TeX."""
    app.connect("html-page-context", replace_formulas, priority=950)
    app.add_css_file("formulas.css")
    known = b"".join(path.read_bytes() for path in (*STORES.values(), STYLE) if path.exists())
    # All pages are written anew when a formula is set.
    app.add_config_value("formulas_known", hashlib.sha256(known).hexdigest(), "html", str)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    main()
