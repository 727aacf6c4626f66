"""A Sphinx extension for the first screen: nothing that a reader can do without stands before it.

The theme brings every icon of Font Awesome twice, as fonts and as a script of half a megabyte, packed, which must run
before anything is painted. Here the script goes, the icons that the site shows go into its style sheet, and all other
scripts wait for the text.
"""

from __future__ import annotations

import base64
import io
import logging
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from PIL import Image
from sphinx.application import Sphinx

from website.site_assets import mend_page

logging.getLogger("fontTools").setLevel(logging.ERROR)  # It tells Sphinx all that it does.

_ICON = re.compile(r'((?:\.fa-[\w-]+:+before,?)+)\{content:"[^"]*"\}')
_IMPORT = re.compile(r"""@import\s*(?:url\()?["']?\.\./([\w.-]+\.css)["']?\)?;""")
_CODE = re.compile(r"""["']\\u?([ef][0-9a-f]{3})["']""")
_FONT = re.compile(r"src:url\(([^)]*?/(fa-[\w-]+)\.)woff2\)[^;}]*")
_THEME = "styles/pydata-sphinx-theme.css"
_DROPPED = (
    re.compile(r"\s*<!-- So that users can add custom icons -->"),
    re.compile(r'\s*<script src="[^"]*/scripts/fontawesome\.js[^"]*"></script>'),
    # They are asked for at the end of the page, early enough.
    re.compile(r"\s*<!-- Pre-loaded scripts that we'll load fully later -->"),
    re.compile(r'\s*<link rel="preload" as="script"[^>]*>'),
    # Only a switch between versions reads it, which the site has not, and it would have to wait for a script.
    re.compile(r"\s*<script>DOCUMENTATION_OPTIONS\.pagename = [^<]*</script>"),
    re.compile(r'\s*<link[^>]* href="[^"]*/sphinx-thebe\.css[^"]*"[^>]*>'),
)
_UNDECIDED = re.compile(r'(<html[^>]* data-theme=)"auto"')
_THEME_OF_LAST_TIME = 'localStorage.getItem("theme") || "auto"'
_THEME_OF_NOW = (
    '["light", "dark"].find((one) => one === document.documentElement.dataset.mode) || '
    '(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")'
)
_VIEWPORT = re.compile(r'\s*<meta name="viewport"[^>]*>')
_SCRIPT = re.compile(r'<script (?![^>]*\b(?:defer|async)\b)([^>]*\bsrc="[^"]*"[^>]*>)')
_TABLE = re.compile(r"<table\b.*?</table>", re.DOTALL)
_LONG, _NEAR = 8_000, 12_000
"""Characters of a table that comes in several pieces, and of the text before it on the first screen."""
_PICTURE = re.compile(r'<img (?![^>]*\b(?:width|height)=)([^>]*?\bsrc="([^"]+\.(?:png|jpe?g|webp))"[^>]*>)')


def lightened(page: str) -> str:
    """Return the HTML of a page without what holds up its first paint."""
    head, end, body = page.partition("</head>")
    for dropped in _DROPPED:
        head = dropped.sub("", head)
    # The theme is known before anything is painted, not only once its script runs; and also where no script does.
    head = _UNDECIDED.sub(r'\1"light"', head).replace(_THEME_OF_LAST_TIME, _THEME_OF_NOW)
    first = _VIEWPORT.search(head)
    if first:
        head = head[: first.end()] + _VIEWPORT.sub("", head[first.end() :])
    # Its columns would move with every piece that comes. Browsers that do not know the link show the pieces.
    start = body.find("<article")
    table = _TABLE.search(body, max(start, 0))
    if table and table.start() - start < _NEAR and len(table[0]) > _LONG:
        body = body[: table.end()] + '<span id="nnkit-first-table-ends"></span>' + body[table.end() :]
        head += '<link rel="expect" href="#nnkit-first-table-ends" blocking="render" />\n'
    # In their order, and after the text. What stands in the page itself only sets variables for them.
    return _SCRIPT.sub(r'<script defer="defer" \1', head) + end + _SCRIPT.sub(r'<script defer="defer" \1', body)


def sized(page: str, pictures: dict[str, Path]) -> str:
    """Return a page that keeps the room for its pictures until they come: each says how large it is."""

    def say(match: re.Match[str]) -> str:
        path = pictures.get(unquote(urlsplit(match[2]).path).rsplit("/", 1)[-1])
        if path is None or not path.is_file():
            return match[0]
        with Image.open(path) as picture:
            width, height = picture.size
        return f'<img width="{width}" height="{height}" {match[1]}'

    return _PICTURE.sub(say, page)


def subset(font: Path, letters: Iterable[int]) -> bytes:
    """Return the part of a font that draws these letters, as WOFF, which needs no other library to be packed."""
    options = Options(flavor="woff", layout_features=[], notdef_outline=True)
    with TTFont(font, recalcTimestamp=False) as loaded:  # The same letters give the same bytes.
        subsetter = Subsetter(options)
        subsetter.populate(unicodes=letters)
        subsetter.subset(loaded)
        loaded.flavor = "woff"
        written = io.BytesIO()
        loaded.save(written)
    return written.getvalue()


def icons_of(style: str, shown: set[str], others: str, fonts: Path) -> str:
    """Return the theme's style sheet with the icons that are shown or that `others` use, and with these in it."""

    def keep(rule: re.Match[str]) -> str:
        return rule[0] if shown & set(re.findall(r"\.(fa-[\w-]+):", rule[1])) else ""

    style = _ICON.sub(keep, style)
    letters = {int(code, 16) for code in _CODE.findall(style + others)}
    letters |= {ord(letter) for letter in re.findall("[\ue000-\uf8ff]", style + others)}

    def inline(source: re.Match[str]) -> str:
        packed = base64.b64encode(subset(fonts / f"{source[2]}.ttf", letters)).decode()
        return f"src:url(data:font/woff;base64,{packed}) format('woff')"

    return _FONT.sub(inline, style)


def pack_icons(app: Sphinx, error: Exception | None) -> None:
    """Write the theme's style sheet anew with the icons of the built site, once all pages are there."""
    if error or app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    theme = Path(__import__("pydata_sphinx_theme").__file__).parent / "theme" / "pydata_sphinx_theme" / "static"
    own = static / _THEME
    if not own.exists():
        return
    texts = [path.read_text(encoding="utf-8") for path in sorted(Path(app.outdir).rglob("*.html"))]
    scripts = [path.read_text(encoding="utf-8") for path in sorted(static.rglob("*.js")) if "mathjax" not in path.parts]
    shown = set(re.findall(r"\bfa-[\w-]+", "\n".join(texts + [one for one in scripts if len(one) < 1_000_000])))
    others = "\n".join(
        path.read_text(encoding="utf-8") for path in sorted(static.rglob("*.css")) if path.resolve() != own.resolve()
    )
    fonts = theme / "vendor" / "fontawesome" / "webfonts"
    own.write_text(icons_of((theme / _THEME).read_text(encoding="utf-8"), shown, others, fonts), encoding="utf-8")
    # A style sheet that asks for another has the reader wait for one after the other.
    basic = static / "styles" / "theme.css"
    text = basic.read_text(encoding="utf-8")
    basic.write_text(_IMPORT.sub(lambda asked: (static / asked[1]).read_text(encoding="utf-8"), text), encoding="utf-8")
    # Nothing asks for it any more.
    (static / "scripts" / "fontawesome.js").unlink(missing_ok=True)


def render_light(app: Sphinx) -> None:
    """Let every page that is written pass through here."""
    if app.builder.format != "html":
        return
    render = app.builder.templates.render

    def rendered(template: str, context: dict[str, Any]) -> str:
        page = render(template, context)
        if "</head>" not in page:
            return page
        pictures = {name: Path(app.srcdir) / source for source, name in app.builder.images.items()}
        return sized(lightened(mend_page(page)), pictures)

    app.builder.templates.render = rendered


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the steps."""
    app.connect("builder-inited", render_light)
    app.connect("build-finished", pack_icons, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
