"""A Sphinx extension by which the site is found and shared: what search engines, chats and feed readers ask of it.

All of it comes from the site's address in _config.yml, from `book/chapters.toml` and from CHANGELOG.md. A chapter's
picture is its figure named there, as the notebook stores it, on a card with the title.
"""

from __future__ import annotations

import base64
import html
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib
from docutils import nodes
from markdown_it import MarkdownIt
from PIL import Image, ImageChops, ImageDraw, ImageFont
from sphinx.application import Sphinx
from sphinx.config import Config

from lab.provenance import ROOT
from website.chapters import Chapter, chapters, read_notebook

SIZE = (1200, 630)
FACE = 6
"""The chapter whose figure stands for the whole book, and for the pages that are no chapter."""
FOLDER, FEED, PDF = "_share", "feed.xml", "book.pdf"
LICENCE = "https://creativecommons.org/licenses/by/4.0/"
HERE = Path(__file__).resolve().parent
_LETTERS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"  # The same on every machine.
_LONG = 200
_ATOM = "http://www.w3.org/2005/Atom"
_RELEASE = re.compile(r"^## (\S+) \((\d{4}-\d{2}-\d{2})\)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
# What the root page has in common with the first page, which it leads to.
_TAGS = re.compile(
    r'<meta (?:property="og:|name="twitter:|name="description")[^>]*>|<link rel="(?:canonical|alternate)"[^>]*>|'
    r'<script type="application/ld\+json">.*?</script>',
    re.DOTALL,
)
_PLACE = '<span class="nnkit-pdf"></span>'


# The pictures


def figure(chapter: Chapter) -> tuple[Image.Image, str]:
    """Return the figure that stands for a chapter, and its alternative text.

    Raises
    ------
    ValueError
        If the chapter has no figure of that name, or stores no picture of it.
    """
    for cell in read_notebook(chapter.path).cells:
        shown = cell.metadata.get("mystnb", {})
        if shown.get("figure", {}).get("name") != chapter.picture:
            continue
        for output in cell.outputs:
            if picture := output.get("data", {}).get("image/png"):
                return Image.open(io.BytesIO(base64.b64decode(picture))), " ".join(shown["image"]["alt"].split())
    raise ValueError(f"picture of chapter {chapter.number} must name a figure with a PNG; got {chapter.picture!r}")


def card(picture: Image.Image, above: str, title: str, below: str) -> Image.Image:
    """Return a picture on white, with a line above its title and one below: 1200 x 630, as all who show cards take."""
    width, height = SIZE
    sheet = Image.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(sheet)
    draw.rectangle((0, 0, width, 12), fill="#0072B2")

    def write(text: str, y: int, size: int, colour: str, face: str = "DejaVuSans") -> None:
        font = ImageFont.truetype(_LETTERS / f"{face}.ttf", size, layout_engine=ImageFont.Layout.BASIC)
        while font.getlength(text) > width - 120:
            size -= 1
            font = font.font_variant(size=size)
        draw.text((60, y), text, fill=colour, font=font, anchor="ls")

    top = 64
    if above:
        write(above, 74, 26, "#00507f")
        top = 92
    write(title, top + 46, 48, "#111111", "DejaVuSans-Bold")
    write(below, height - 30, 24, "#555555")
    room = (width - 120, height - 78 - (top + 76))
    shown = Image.new("RGB", picture.size, "white")
    shown.paste(picture, mask=picture.convert("RGBA").getchannel("A"))
    shown = shown.crop(ImageChops.invert(shown).getbbox())  # Its rim would make it small.
    scale = min(room[0] / shown.width, room[1] / shown.height)
    shown = shown.resize((round(shown.width * scale), round(shown.height * scale)), Image.Resampling.LANCZOS)
    place = ((width - shown.width) // 2, top + 70 + (room[1] - shown.height) // 2)
    sheet.paste(shown, place)
    return sheet


def card_name(chapter: Chapter | None) -> str:
    """Return where the card of a chapter is, or that of the book."""
    return f"{FOLDER}/{Path(chapter.file).name if chapter else 'book'}.png"


def write_cards(app: Sphinx, error: Exception | None) -> None:
    """Write a card for each chapter, and one for the book."""
    if error or app.builder.format != "html":
        return
    (Path(app.outdir) / FOLDER).mkdir(exist_ok=True)
    name, author = str(app.config.html_title), str(app.config.author)
    for chapter in chapters():
        picture, _ = figure(chapter)
        made = [(chapter, card(picture, f"Chapter {chapter.number}", chapter.title, name))]
        if chapter.number == FACE:
            made.append((None, card(picture, "", name, author)))
        for whose, drawn in made:
            drawn.save(Path(app.outdir) / card_name(whose), optimize=True)


# What a page says of itself


def description(doctree: nodes.document) -> str:
    """Return the first paragraph of a page, or as much of it as a list of results shows."""
    for paragraph in doctree.findall(nodes.paragraph):
        if isinstance(paragraph.parent, nodes.section | nodes.document):
            copy = paragraph.deepcopy()
            for formula in list(copy.findall(nodes.math)):
                formula.parent.remove(formula)
            text = " ".join(copy.astext().split())
            if len(text) > 20:
                return shortened(text)
    return ""


def shortened(text: str, length: int = _LONG) -> str:
    """Return the whole sentences that fit, or the words of the first one."""
    if len(text) <= length:
        return text
    sentences = text[: length + 1].rpartition(". ")[0]
    return f"{sentences}." if sentences else text[:length].rpartition(" ")[0].rstrip(",;:") + " …"


def book(config: Config) -> dict[str, Any]:
    """Return what schema.org calls the book, for the pages that are a part of it."""
    return {
        "@type": "Book",
        "@id": f"{config.html_baseurl}#book",
        "name": config.html_title,
        "url": f"{config.html_baseurl}{config.root_doc}.html",
    }


def schema(config: Config, document: str, about: str) -> dict[str, Any] | None:
    """Return what schema.org can say of the first page and of the chapters."""
    site = config.html_baseurl
    general = {
        "inLanguage": config.language,
        "license": LICENCE,
        "isAccessibleForFree": True,
        "author": {"@type": "Organization", "name": config.author},
        "description": about,
    }
    if document == config.root_doc:
        parts = [{"@type": "LearningResource", **_named(config, chapter)} for chapter in chapters()]
        whole = {"bookFormat": "https://schema.org/EBook", "image": site + card_name(None), "hasPart": parts}
        return {"@context": "https://schema.org", **book(config), **general, **whole}
    for chapter in chapters():
        if chapter.document == document:
            return {
                "@context": "https://schema.org",
                "@type": "LearningResource",
                **_named(config, chapter),
                **general,
                "image": site + card_name(chapter),
                "timeRequired": f"PT{chapter.minutes}M",
                "teaches": chapter.gives,
                "competencyRequired": [other.gives for other in chapters() if other.number in chapter.needs],
                "isPartOf": book(config),
            }
    return None


def _named(config: Config, chapter: Chapter) -> dict[str, Any]:
    url = f"{config.html_baseurl}{chapter.document}.html"
    return {"@id": url, "name": chapter.title, "url": url, "position": chapter.number}


def describe_page(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Say what the page is about, which picture stands for it and what schema.org calls it; the rest others write."""
    feed = html.escape(context["pathto"](FEED, 1))
    tags = [f'<link rel="alternate" type="application/atom+xml" title="Changes" href="{feed}" />']
    if doctree is None:  # An index or a list of results: nothing to be found by.
        context["metatags"] = context.get("metatags", "") + "\n".join([*tags, ""])
        return
    chapter = next((one for one in chapters() if one.document == pagename), None)
    about = f"{chapter.question} You take along: {chapter.gives}." if chapter else description(doctree)
    about = about or f"{context['title']} of {app.config.html_title}."
    alternative = figure(chapter or chapters()[FACE - 1])[1]
    context["meta"] = {
        **(context.get("meta") or {}),
        "og:type": "book" if pagename == app.config.root_doc else "article",
        "og:description": html.escape(about, quote=False),
        "og:image": app.config.html_baseurl + card_name(chapter),
        "og:image:width": str(SIZE[0]),
        "og:image:height": str(SIZE[1]),
        "og:image:alt": html.escape(alternative, quote=False),
    }
    tags.append(f'<meta name="description" content="{html.escape(about)}" />')
    if said := schema(app.config, pagename, about):
        # A script ends at the first "</", also within its strings.
        said_safely = json.dumps(said, ensure_ascii=False).replace("</", "<\\/")
        tags.append(f'<script type="application/ld+json">{said_safely}</script>')
    context["metatags"] = context.get("metatags", "") + "\n".join([*tags, ""])


def tags_of(page: str) -> str:
    """Return the tags in the head of the first page that its root repeats, as seen from there."""
    head = page.partition("</head>")[0]
    return "\n    ".join(_TAGS.findall(head)).replace(f'href="../{FEED}"', f'href="{FEED}"')


# What the site says of itself


@dataclass(frozen=True)
class Release:
    """An entry of the changelog: its version, the day of it, and its text in Markdown."""

    version: str
    day: str
    text: str


def releases(changelog: str) -> Iterator[Release]:
    """Yield the entries of a changelog.

    Raises
    ------
    ValueError
        If the heading of one has no date.
    """
    for line in re.findall(r"^## .*$", changelog, re.MULTILINE):
        if not re.fullmatch(r"## \S+ \(\d{4}-\d{2}-\d{2}\)", line):
            raise ValueError(f"a heading in CHANGELOG.md must be like '## 1.2.3 (2026-01-31)'; got {line!r}")
    for version, day, text in _RELEASE.findall(changelog):
        yield Release(version, day, text.strip())


def feed(config: Config, changelog: str, changes: str) -> ElementTree.Element:
    """Return the entries of the changelog as an Atom feed; `changes` is the address at which one reads them all."""
    site = config.html_baseurl
    entries = list(releases(changelog))
    root = ElementTree.Element("feed", {"xmlns": _ATOM, "xml:lang": config.language})

    def add(parent: ElementTree.Element, name: str, text: str | None = None, **attributes: str) -> ElementTree.Element:
        element = ElementTree.SubElement(parent, name, attributes)
        element.text = text
        return element

    add(root, "id", site)
    add(root, "title", f"Changes in {config.html_title}")
    add(root, "updated", f"{max(entry.day for entry in entries)}T00:00:00Z")
    add(root, "link", rel="self", type="application/atom+xml", href=site + FEED)
    add(root, "link", rel="alternate", type="text/html", href=f"{site}{config.root_doc}.html")
    add(add(root, "author"), "name", config.author)
    for entry in entries:
        element = add(root, "entry")
        add(element, "id", f"{site}{FEED}#{entry.version}")
        add(element, "title", entry.version if entry.version == "Unreleased" else f"Version {entry.version}")
        add(element, "updated", f"{entry.day}T00:00:00Z")
        add(element, "link", rel="alternate", type="text/html", href=changes)
        add(element, "content", MarkdownIt().render(entry.text), type="html")
    return root


def write_site(app: Sphinx, error: Exception | None) -> None:
    """Write the feed and robots.txt, and have the sitemap list every page, not only those written in this build."""
    if error or app.builder.format != "html":
        return
    out, links = Path(app.outdir), app.sitemap_links  # type: ignore[attr-defined]
    options = app.config.html_theme_options
    changes = f"{options['repository_url']}/blob/{options['repository_branch']}/CHANGELOG.md"
    written = feed(app.config, (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), changes)
    ElementTree.indent(written)
    ElementTree.ElementTree(written).write(out / FEED, encoding="utf-8", xml_declaration=True)
    robots = f"User-agent: *\nAllow: /\n\nSitemap: {app.config.html_baseurl}sitemap.xml\n"
    (out / "robots.txt").write_text(robots, encoding="utf-8")
    while not links.empty():
        links.get()
    for document in sorted(app.env.found_docs):
        links.put((f"{document}.html", None))


def link_pdf(site: Path, root: str = "book/index") -> None:
    """Link the printed book from the first page, if it has been printed; a page that has the link keeps it."""
    page = site / f"{root}.html"
    if not (site / PDF).exists() or not page.exists():
        return
    text = page.read_text(encoding="utf-8")
    if "nnkit-pdf-link" in text:
        return
    link = f'<a class="nnkit-pdf-link noprint" href="{"../" * root.count("/")}{PDF}">The whole book as a PDF</a>'
    if _PLACE in text:
        text = text.replace(_PLACE, f"{link}.", 1)
    else:
        text = text.replace("</article>", f"<p>{link}, to print or to read without a browser.</p></article>", 1)
    page.write_text(text, encoding="utf-8")


def link_printed(app: Sphinx, error: Exception | None) -> None:
    """Keep the link to a book that was printed before this build."""
    if not error and app.builder.format == "html":
        link_pdf(Path(app.outdir), app.config.root_doc)


def set_addresses(app: Sphinx, config: Config) -> None:
    """Tell the extensions the site's address, and what they should write with it.

    Raises
    ------
    ValueError
        If the address has no slash at its end, where the names of the pages are added.
    """
    if not re.fullmatch(r"https://\S+/", config.html_baseurl):
        raise ValueError(f"html.baseurl in _config.yml must be like 'https://host/path/'; got {config.html_baseurl!r}")
    config.ogp_site_url = config.html_baseurl
    config.ogp_site_name = config.html_title
    config.ogp_custom_meta_tags = ('<meta name="twitter:card" content="summary_large_image" />',)
    config.sitemap_url_scheme = "{link}"
    config.templates_path = [*config.templates_path, str(HERE / "templates")]
    config.notfound_template = "404.html"
    config.notfound_context = {
        "title": "Page not found",
        "site": config.html_baseurl,
        "name": config.html_title,
        "chapters": chapters(),
    }


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the steps; the extensions that finish the work read what is told them here."""
    for extension in ("sphinxext.opengraph", "sphinx_sitemap", "notfound.extension"):
        app.setup_extension(extension)
    app.connect("config-inited", set_addresses)
    app.connect("html-page-context", describe_page, priority=400)
    app.connect("build-finished", write_cards, priority=400)
    app.connect("build-finished", write_site, priority=400)
    app.connect("build-finished", link_printed, priority=950)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
