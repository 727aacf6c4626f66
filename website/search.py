"""A Sphinx extension that writes the index of the search: sections in a script, so that it works from a folder too."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup, Tag
from sphinx.application import Sphinx

from website.chapters import chapters

_HERE = Path(__file__).resolve().parent
_GLOSSARY = "book/appendix/glossary"
# What is not read as text: code and its outputs, formulas, the marks beside headings.
_LEFT_OUT = "div.cell, div.highlight, .math, .headerlink, script, style, .provenance, .term-notes, table, svg, section"

_WITHOUT = (
    "The search needs JavaScript. Without it, the contents beside this page and the glossary lead to every chapter."
)


def sections(page: str, source: str) -> list[dict[str, str]]:
    """Return the sections of a page, each with its title, heading, address and text."""
    soup = BeautifulSoup(source, "html.parser")
    article = soup.select_one("article.bd-article")
    found: list[dict[str, str]] = []
    title = ""
    for section in article.select("section[id]") if article else []:
        name = section.find(re.compile("^h[1-6]$"))
        if not isinstance(name, Tag):
            continue
        for mark in name.select(".headerlink"):
            mark.decompose()
        heading = name.get_text().strip()
        title = title or heading
        copy = BeautifulSoup(str(section), "html.parser")
        outer = copy.find("section")
        assert isinstance(outer, Tag)
        for part in outer.select(_LEFT_OUT):
            if not part.decomposed:
                part.decompose()
        for part in outer.find_all(re.compile("^h[1-6]$"), recursive=False):
            part.decompose()
        text = " ".join(outer.get_text(" ").split())
        text = re.sub(r" ([.,;:!?)])", r"\1", text)
        anchor = f"#{section['id']}" if found else ""
        found.append({"page": page + ".html", "anchor": anchor, "title": title, "heading": heading, "text": text})
    return found


def built_terms(glossary: str) -> dict[str, list[str]]:
    """Return the terms that the glossary sends to each page."""
    built: dict[str, list[str]] = {}
    soup = BeautifulSoup(glossary, "html.parser")
    for term in soup.select("dt[id^=term-]"):
        for mark in term.select(".headerlink"):
            mark.decompose()
        definition = term.find_next_sibling("dd")
        link = definition.select_one('a[href*="../part"]') if isinstance(definition, Tag) else None
        if link is not None:
            page = "book/" + str(link["href"]).split("#")[0].removeprefix("../")
            built.setdefault(page, []).append(term.get_text().strip())
    return built


def write_index(app: Sphinx, exception: Exception | None) -> None:
    """Write the index beside the pages, once they are built."""
    if exception is not None or app.builder.name != "html":
        return
    out = Path(app.outdir)
    words = tomllib.loads((_HERE / "search.toml").read_text(encoding="utf-8"))
    built = built_terms((out / f"{_GLOSSARY}.html").read_text(encoding="utf-8"))
    placed = {term for terms in words["builds"].values() for term in terms}  # Ours goes before the glossary's.
    built = {page: [term for term in terms if term not in placed] for page, terms in built.items()}
    for chapter in chapters():
        built.setdefault(f"{chapter.document}.html", []).extend(words["builds"].get(str(chapter.number), []))
    index: dict[str, Any] = {"synonyms": words["synonyms"], "builds": built, "sections": []}
    for page in sorted(app.env.found_docs):
        if (out / f"{page}.html").exists():
            index["sections"] += sections(page, (out / f"{page}.html").read_text(encoding="utf-8"))
    text = json.dumps(index, ensure_ascii=False, separators=(",", ":"))
    (out / "_static" / "search-index.js").write_text(f"window.bookIndex = {text};\n", encoding="utf-8")


def replace_theirs(app: Sphinx, exception: Exception | None) -> None:
    """Take Sphinx's own search out of the search page, and its files, which nothing else uses, out of the site."""
    out = Path(app.outdir)
    page = out / "search.html"
    if exception is not None or app.builder.name != "html" or not page.exists():
        return
    text = re.sub(
        r'\s*<script src="(_static/searchtools|_static/language_data|searchindex)\.js[^>]*></script>',
        "",
        page.read_text(encoding="utf-8"),
    )
    text = text.replace("Please activate JavaScript to enable the search functionality.", _WITHOUT)
    page.write_text(text, encoding="utf-8")
    for name in ("searchindex.js", "_static/searchtools.js", "_static/language_data.js"):
        (out / name).unlink(missing_ok=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the step."""
    app.connect("build-finished", write_index)
    app.connect("build-finished", replace_theirs)
    app.add_css_file("search.css")
    app.add_js_file("search.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
