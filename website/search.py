"""A Sphinx extension that writes the index of the search: sections in a script, so that it works from a folder too.

A section is indexed with all of its words; its excerpts are whole sentences that can be read without their page. What
says where a thing is built stands in the book already: the titles of chapters, and the glossary, which links each term
to its chapter. `search.toml` adds the words that the book does not use.
"""

# ruff: noqa: RUF001  (quotation marks and signs of mathematics)
from __future__ import annotations

import html
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup, Tag
from bs4.element import NavigableString
from sphinx.application import Sphinx

from website import formulas
from website.api import new_and_known
from website.chapters import chapters

_HERE = Path(__file__).resolve().parent
_GLOSSARY = "book/appendix/glossary"
_LEFT_OUT = (
    ".cell, .headerlink, script, style, svg, noscript, template, .provenance, .term-notes, .term-note, .caption-number,"
    " .classifier, .toctree-wrapper, dt.sig, dl.glossary > dt, .viewcode-link, .eqno,"
    " .nnkit-names, .nnkit-chapters, div.solution, .exercise .admonition"
)
"""What is not read as text: code and what it prints, hints and solutions, marks beside headings, and what is drawn."""
_BLOCKS = re.compile("^(p|li|dd|dt|td|th|figcaption|pre|div|section|dl|ul|ol|table|tr|tbody|thead|aside|blockquote)$")
_HEADING = re.compile("^h[1-6]$")
_REFERENCE = "book/appendix/api/"
_FIRST, _FIRST_OF_THE_REFERENCE = 18, 2
"""Sentences of a section of which the index keeps the order, so that they can be shown."""
_HOLE = "\ufffc"
"""In the place of a formula, its number, or code that is no word: a sentence with one is no excerpt."""
_NAME = re.compile(r"[A-Za-z_][\w.-]*(\(\))?")
_SENTENCES = re.compile(r"(?<=[.!?…])(?<!\b[A-Z]\.)([”’\")]*)\s+(?=[A-Z“\"‘(])")
_CODE = re.compile(r"[\\${}^]|  | [,.;:)]|\b(?:np|nn)\.|\w\(\w+=| == ")
"""What a sentence in words has not, wherever it comes from."""
_PAIRS = (("(", ")"), ("[", "]"), ("“", "”"))
_INSIDE = "\ue000"
"""The space in the title of a chapter, "9. Autoencoder", where no sentence ends."""
_HEAVY = re.compile(
    r"(<mjx-container [^>]*>).*?(</mjx-container>)|(<pre[^>]*>).*?(</pre>)"
    r"|(<script)\b.*?(</script>)|(<svg)\b.*?(</svg>)|(<img) [^>]*?(/?>)",
    re.DOTALL,
)
"""What is long, and is not read."""
_PLACES = re.compile(r"\s*\([^()]*\)$")
"""Where the glossary says which chapters explain a term."""
_WITHOUT = (
    "The search needs JavaScript. Without it, the contents beside this page and the "
    '<a href="book/appendix/glossary.html">glossary</a> lead to every chapter.'
)
_THEIRS = re.compile(
    r'\s*<script\b[^>]*\bsrc="[^"]*\b(?:searchtools|language_data|searchindex)\.js[^"]*"[^>]*></script>'
)

_GREEK = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta")
_SIGNS = {
    **{name: chr(code) for code, name in enumerate(_GREEK, ord("α"))},
    **{"kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "rho": "ρ", "sigma": "σ", "tau": "τ"},
    **{"varphi": "φ", "Delta": "Δ", "Phi": "Φ", "Lambda": "Λ"},
    **{"log": "log", "tanh": "tanh", "max": "max", "min": "min", "top": "T", "dots": "…"},
    **{"times": "×", "cdot": "·", "pm": "±", "approx": "≈", "le": "≤", "ge": "≥", "to": "→"},
}
_RAISED = dict(zip("0123456789-nT", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻ⁿᵀ", strict=True))
_LOWERED = dict(zip("0123456789aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True))
_LONGEST = 24
"""Characters of a formula that is read as part of its sentence."""


def plain(tex: str) -> str | None:
    """Return a short formula as text, with W₁ for `W_1`, or None if it has no such form."""
    text = re.sub(r"\\[,;: ]|\{,\}", lambda space: "," if space[0] == "{,}" else " ", tex)
    text = re.sub(r"\\([A-Za-z]+)", lambda sign: _SIGNS.get(sign[1], sign[0]), text)

    def moved(match: re.Match[str]) -> str:
        letters = _RAISED if match[1] == "^" else _LOWERED
        shifted = [letters.get(letter) for letter in match[2] or match[3]]
        return match[0] if None in shifted else "".join(filter(None, shifted))

    text = re.sub(r"([\^_])(?:\{([^{}]+)\}|(\w))", moved, text)
    text = " ".join(text.replace("-", "−").split())
    return None if re.search(r"[\\{}^_&]", text) or len(text) > _LONGEST else text


def _say(soup: BeautifulSoup) -> None:
    """Put text in the place of formulas and of code, or a hole where there is none."""
    for formula in soup.select(".math"):
        container = formula.select_one("[data-formula]")
        if container is not None:
            tex = str(formulas.store()[str(container["data-formula"])]["tex"])
        else:
            tex = html.unescape(re.sub(r"^\s*\\\(|\\\)\s*$", "", formula.get_text()))
        formula.replace_with((plain(tex) if formula.name == "span" else None) or _HOLE)
    for number in soup.select('a[href*="#equation-"]'):
        number.replace_with(_HOLE)
    for code in soup.select("code, .highlight, pre"):
        if not code.decomposed:
            words = code.get_text().strip()
            code.replace_with(words if _NAME.fullmatch(words) else f" {_HOLE} ")


def _keep_titles(soup: BeautifulSoup) -> None:
    """Let no sentence end after the number of a chapter that is linked."""
    for title in soup.select("span.doc"):
        title.string = re.sub(r"^(\d+\.) ", rf"\1{_INSIDE}", title.get_text())


def _blocks(outer: Tag) -> list[str]:
    """Return the text of each paragraph, item and cell."""
    found: list[str] = []
    line: list[str] = []

    def walk(one: Tag) -> None:
        for child in one.children:
            if isinstance(child, Tag):
                block = bool(_BLOCKS.match(child.name))
                if block:
                    end()
                walk(child)
                if block:
                    end()
            elif type(child) is NavigableString:
                line.append(str(child))

    def end() -> None:
        text = " ".join("".join(line).split())
        if text:
            found.append(re.sub(r" ([.,;:!?)])", r"\1", text))
        line.clear()

    walk(outer)
    end()
    return found


def readable(block: str) -> list[str]:
    """Return the sentences of a paragraph that can be read on their own, and "" in the place of another one."""
    kept = []
    for sentence in _SENTENCES.sub(r"\1\n", block).split("\n"):
        whole = re.match(r"[A-Z“\"‘]", sentence) and re.search(r"[.!?…][”’\")]*$", sentence)
        pairs = all(sentence.count(left) == sentence.count(right) for left, right in _PAIRS)
        is_readable = (
            whole and pairs and not _CODE.search(sentence) and _HOLE not in sentence and len(sentence.split()) >= 4
        )
        kept.append(sentence.replace(_INSIDE, " ") if is_readable else "")
    return kept


def entry(page: str, outer: Tag, explained: dict[str, list[str]]) -> dict[str, str]:
    """Return what the index holds of a section: what it defines, its sentences, a line each, and all other words.

    It defines what is in bold, and the terms of the glossary that it links to, if the glossary sends them to its page.
    """
    defined = [" ".join(one.get_text().split()) for one in outer.select("strong, dfn")]
    for link in outer.select('a[href*="glossary.html#term-"]'):
        term = str(link["href"]).partition("#term-")[2]
        if f"{page}.html" in explained.get(term, []):
            defined.append(term.replace("-", " "))
    blocks = [_PLACES.sub("", block) if page == _GLOSSARY else block for block in _blocks(outer)]
    sentences = [sentence for block in blocks for sentence in readable(block)]
    # Of the rest, the words will do: a reader searches for what a thing is, and the index has to be small.
    sentences = sentences[: _FIRST_OF_THE_REFERENCE if page.startswith(_REFERENCE) else _FIRST]
    said = set(re.findall(r"[\w'’-]+", " ".join(sentences).lower()))
    text = re.sub(f"[{_HOLE}{_INSIDE}]", " ", " ".join(blocks)).lower()
    more = [word for word in dict.fromkeys(re.findall(r"[^\W\d_][\w'’-]+", text)) if word not in said]
    return {
        "defines": ", ".join(dict.fromkeys(defined)),
        "text": re.sub(r"\n{2,}", "\n\n", "\n".join(sentences)).strip(),
        "more": " ".join(more),
    }


def _name(outer: Tag) -> str:
    heading = outer.find(_HEADING, recursive=False)
    return " ".join(heading.get_text().split()) if isinstance(heading, Tag) else ""


def _article(source: str) -> tuple[BeautifulSoup, Tag | None]:
    """Return what is read of a page, without its marks."""
    light = _HEAVY.sub(lambda part: "".join(filter(None, part.groups())), source)
    soup = BeautifulSoup(light[light.find("<article") : light.rfind("</article>") + 10], "html.parser")
    return soup, soup.select_one("article.bd-article")


def sections(page: str, source: str, explained: dict[str, list[str]]) -> list[dict[str, str]]:
    """Return the sections of a page, each term of the glossary and each entry of the reference as one of its own.

    `explained` says for each term of the glossary on which pages it is.
    """
    soup, article = _article(source)
    if article is None:
        return []
    own = [(str(dt["id"]), dt, dt.find_next_sibling("dd")) for dt in article.select("dl.glossary > dt[id], dt.sig[id]")]
    names = [" ".join((dt.select_one(".sig-name") or dt).get_text().replace("#", "").split()) for _, dt, _ in own]
    for caption in article.select(".cell figcaption"):
        cell = caption.find_parent(class_="cell")
        if cell is not None:
            cell.insert_after(caption.extract())
    for part in article.select(_LEFT_OUT):
        if not part.decomposed:
            part.decompose()
    _say(soup)
    _keep_titles(soup)
    title = ""
    found = []
    inner: list[tuple[str, str, Tag]] = []
    for section in article.select("section[id]"):
        title = title or _name(section)
        if _name(section):
            inner.append((f"#{section['id']}" if inner else "", _name(section), section))
    inner += [(f"#{name}", said, dd) for (name, _, dd), said in zip(own, names, strict=True) if isinstance(dd, Tag)]
    for anchor, heading, outer in reversed(inner):  # The inner ones first; what is taken is taken out.
        taken = outer.extract()
        for part in taken.find_all(_HEADING, recursive=False):
            part.decompose()
        where = {"page": f"{page}.html", "anchor": anchor, "title": title, "heading": heading}
        found.append(where | entry(page, taken, explained))
    return found[::-1]


def glossary_terms(source: str) -> dict[str, tuple[list[str], list[str]]]:
    """Return for each term of the glossary, by its anchor, what it is called and which pages explain it, best first."""
    found = {}
    for term in BeautifulSoup(source, "html.parser").select("dl.glossary > dt[id]"):
        for mark in term.select(".headerlink"):
            mark.decompose()
        definition = term.find_next_sibling("dd")
        if isinstance(definition, Tag):
            links = [str(link["href"]).partition("#")[0] for link in definition.select('a[href*="../part"]')]
            pages = [f"book/{link.removeprefix('../')}" for link in dict.fromkeys(links)]
            called = [term.get_text().strip(), *(other.get_text() for other in definition.select("strong"))]
            found[str(term["id"]).removeprefix("term-")] = called, pages
    return found


def code_names() -> list[list[str]]:
    """Return the names of nnkit, each with the chapter that builds it."""
    return [
        [name.rpartition(".")[2], f"{chapter.document}.html"]
        for chapter in chapters()
        for name in new_and_known(chapter.document)[0]
    ]


def write_index(app: Sphinx, exception: Exception | None) -> None:
    """Write the index beside the pages, once they are built."""
    out = Path(app.outdir)
    if exception is not None or app.builder.name != "html" or not (out / f"{_GLOSSARY}.html").exists():
        return
    terms = glossary_terms((out / f"{_GLOSSARY}.html").read_text(encoding="utf-8"))
    explained = {term: pages for term, (_, pages) in terms.items()}
    found: list[dict[str, str]] = []
    for page in sorted(app.env.found_docs):
        if (out / f"{page}.html").exists():
            found += sections(page, (out / f"{page}.html").read_text(encoding="utf-8"), explained)
    index = {
        "titles": [[chapter.title, f"{chapter.document}.html"] for chapter in chapters()],
        "terms": [[name, *pages] for called, pages in terms.values() for name in called if pages],
        "code": code_names(),
        "synonyms": tomllib.loads((_HERE / "search.toml").read_text(encoding="utf-8"))["synonyms"],
        "questions": {f"{chapter.document}.html": chapter.question for chapter in chapters()},
        "sections": found,
    }
    text = json.dumps(index, ensure_ascii=False, separators=(",", ":"))
    (out / "_static" / "search-index.js").write_text(f"window.bookIndex = {text};\n", encoding="utf-8")


def leave_out_theirs(app: Sphinx) -> None:
    """Let Sphinx make no index of its own: it is large, and nothing would read it."""
    if app.builder.name == "html":
        app.builder.search = False  # type: ignore[attr-defined]


def add_page(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Have the search page written all the same."""
    if app.builder.name == "html":
        yield "search", {}, "search.html"


def replace_theirs(app: Sphinx, exception: Exception | None) -> None:
    """Take Sphinx's own search out of the search page and out of the site."""
    out = Path(app.outdir)
    page = out / "search.html"
    if exception is not None or app.builder.name != "html" or not page.exists():
        return
    text = _THEIRS.sub("", page.read_text(encoding="utf-8"))
    text = text.replace('<p class="admonition-title">Error</p>', '<p class="admonition-title">Without JavaScript</p>')
    text = text.replace("Please activate JavaScript to enable the search functionality.", _WITHOUT)
    page.write_text(text, encoding="utf-8")
    for name in ("searchtools.js", "language_data.js"):
        (out / "_static" / name).unlink(missing_ok=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the steps."""
    app.connect("builder-inited", leave_out_theirs)
    app.connect("html-collect-pages", add_page)
    app.connect("build-finished", write_index)
    app.connect("build-finished", replace_theirs)
    app.add_css_file("search.css")
    app.add_js_file("search.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
