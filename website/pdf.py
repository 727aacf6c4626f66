"""Print the book: `python -m website.pdf` makes book.pdf of the built site, through Chromium, and links it there.

All pages become one document, in the order of _toc.yml, so that every reference between them is a link within the file.
Folded code stays on the site, and so does the reference, where one follows links. Solutions move to the end, where one
turns to them; the chapters' tables of verdicts are left out, since the last chapter has all their rows. Chromium prints
the document twice: the second time, the page numbers are known that the contents and the references to the end give.
"""

from __future__ import annotations

import argparse
import contextlib
import html
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import yaml
from bs4 import BeautifulSoup, Tag
from playwright.sync_api import Browser, ViewportSize, sync_playwright
from pypdf import PdfReader

from nnkit import __version__
from website.chapters import chapters
from website.share import PDF, link_pdf

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "_build" / "html"
STYLE = Path(__file__).parent / "print" / "book.css"
SHEET: ViewportSize = {"width": 665, "height": 930}  # 176 mm, as wide as the text
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

COVER = """<section class="cover"><p class="title">{title}</p><p>{author}</p>
<p class="small">nnkit {version}. Text: CC BY 4.0. Code: MIT.</p>
<p class="small">This is the book on paper. Its labs and widgets show one picture; they move on the site, which
<code>make book</code> builds, and in JupyterLab, which <code>make lab</code> opens. So does the code that draws the
figures, and the reference of every name. The solutions of the exercises stand at the end.</p></section>"""
LIVE = """<p class="note">The sliders of this lab move on the page <code>{document}.html</code> of the site, and in
JupyterLab (<code>make lab</code>).</p>"""
TOUCH = """<p class="note">This picture answers your hand on the page <code>{document}.html</code> of the site, and in
JupyterLab.</p>"""
ROWS = """<p class="there">{title} has the rows of this table{number}</p>"""
# What a reader of paper cannot use, or finds elsewhere: the site folds the code that draws.
DROPPED = (
    "a.headerlink, a:has(> .viewcode-link), script, style, .nnkit-lab-controls, .nnkit-lab-static, .term-notes, "
    # The chapter's text answers what it asked, and questions with their answers below them ask nothing.
    ".nnkit-touch-static, .nnkit-touch-tries, .nnkit-touch .nnkit-narrow, #touch-look-back, #check-yourself, "
    "#touch-predict > .nnkit-touch-question, #touch-predict ul, "
    ".toctree-wrapper, .noprint, button, "
    "details.hide:not(.verdicts), .cell.tag_hide-input > .cell_input"
)

# Shrinks what is wider than the page, and returns what still is.
_FIT = """async () => {
  await MathJax.startup.promise;
  await document.fonts.ready;
  await Promise.all([...document.images].map(image => image.decode()));
  for (const wide of document.querySelectorAll("table, mjx-container[display=true]")) {
    const room = wide.parentElement.clientWidth;
    const width = (wide.querySelector("mjx-math") ?? wide).getBoundingClientRect().width;
    if (room && width > room) wide.style.fontSize = `${Math.floor(90 * room / width)}%`;
  }
  return [...document.body.querySelectorAll(":not(mjx-assistive-mml, mjx-assistive-mml *, svg *)")]
    .filter(element => element.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
    .map(element => `${element.tagName} ${element.className}: ${element.textContent.trim().slice(0, 80)}`);
}"""
_NUMBER = """(pages) => {
  for (const place of document.querySelectorAll("[data-page-of]"))
    place.textContent = pages[place.dataset.pageOf] ?? "";
}"""


@dataclass(frozen=True)
class Page:
    """A page of the site: its name, the part that it opens if any, and how deep it stands below one."""

    document: str
    part: str | None
    level: int

    @property
    def id(self) -> str:
        """Its place in the whole."""
        return self.document.replace("/", "-")


def browser_path() -> str | None:
    """Return where a Chromium is installed."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


@contextlib.contextmanager
def chromium(*options: str) -> Iterator[Browser]:
    """Start the Chromium that is installed, with these options."""
    with sync_playwright() as playwright:
        # Containers forbid the sandbox to root; the pages are our own.
        browser = playwright.chromium.launch(
            executable_path=browser_path(), args=["--no-sandbox", "--disable-gpu", *options]
        )
        yield browser
        browser.close()


def pages(toc: Path = ROOT / "_toc.yml") -> Iterator[Page]:
    """Yield the pages in the order of the table of contents."""
    contents = yaml.safe_load(toc.read_text(encoding="utf-8"))
    yield Page(contents["root"], None, 0)
    for part in contents["parts"]:
        for i, chapter in enumerate(part["chapters"]):
            yield Page(chapter["file"], part["caption"] if i == 0 else None, 1)
            for section in chapter.get("sections", ()):
                yield Page(section["file"], None, 2)


def on_paper() -> list[Page]:
    """Return the pages of the printed book: all but the reference, whose names one looks up on the site."""
    return [page for page in pages() if not page.document.startswith("book/appendix/api/")]


def article(page: Page, chosen: set[str], site: Path) -> Tag:
    """Return the text of a page, with names and links that hold in the whole, and headings below those of its part."""
    path = site / f"{page.document}.html"
    soup = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
    text = soup.select_one("article.bd-article")
    assert text is not None, f"{path} has no article"
    for dropped in text.select(DROPPED):
        dropped.decompose()
    seen = set()
    for element in text.find_all(id=True):
        name = element.attrs.pop("id")
        if name not in seen:  # Every exercise brings an exercise-content.
            element["id"] = f"{page.id}--{name}"
        seen.add(name)
    for element in text.find_all(True):
        for attribute in ("aria-describedby", "aria-live", "for"):
            del element[attribute]
    for image in text.find_all("img"):
        if not image["src"].startswith("data:"):
            image["src"] = (path.parent / unquote(image["src"])).resolve().as_uri()
    for link in text.find_all("a", href=True):
        target, _, anchor = unquote(link["href"]).partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        document = os.path.relpath((path.parent / target).resolve(), site) if target else f"{page.document}.html"
        document = document.removesuffix(".html")
        if document in chosen:
            link["href"] = "#" + document.replace("/", "-") + (f"--{anchor}" if anchor else "")
        else:  # A page that is not printed, such as the index.
            link.unwrap()
    for heading in text.find_all(["h1", "h2", "h3", "h4"]):
        heading.name = f"h{min(6, int(heading.name[1]) + page.level)}"
    for folded in text.find_all("details"):
        folded["open"] = ""  # Paper does not unfold.
    for rows in text.select("details.verdicts"):
        rows.replace_with(_rows_elsewhere(chosen))
    for lab in text.select(".nnkit-lab"):
        lab.append(BeautifulSoup(LIVE.format(document=page.document), "html.parser"))
    for widget in text.select(".nnkit-touch:has(.nnkit-touch-still)"):
        widget.append(BeautifulSoup(TOUCH.format(document=page.document), "html.parser"))
    text.name, text["class"], text["id"] = "section", f"page level-{page.level}", page.id
    return text


def _rows_elsewhere(chosen: set[str]) -> Tag:
    """Return the line that says where a chapter's table of verdicts stands on paper."""
    last = chapters()[-1]
    title = html.escape(f"{last.number}. {last.title}")
    document = f"book/{last.file}"
    if document not in chosen:
        return _parse(ROWS.format(title=title, number=""))
    id = document.replace("/", "-")
    return _parse(ROWS.format(title=f'<a href="#{id}">{title}</a>', number=_page_of(id)))


def move_to_end(page: Page, text: Tag) -> Tag | None:
    """Take the solutions out of a page, leave a link to each, and return them, if there are any, with links back."""
    end = _parse('<section class="end"></section>')
    for i, solution in enumerate(text.select("div.solution")):
        there, here = f"{page.id}--solution-{i}", f"{page.id}--from-solution-{i}"
        solution.replace_with(
            _parse(f'<p class="there" id="{here}"><a href="#{there}">Solution</a>{_page_of(there)}</p>')
        )
        back = f'<a href="#{here}">Exercise</a>{_page_of(here)}'
        block = _parse(f'<div class="moved" id="{there}"><p class="back">{back}</p></div>')
        block.append(solution)
        end.append(block)
    if not end.contents:
        return None
    end.insert(0, _parse(f"<h3>{html.escape(title_of(text))}</h3>"))
    return end


def _parse(text: str) -> Tag:
    element = BeautifulSoup(text, "html.parser").find(True)
    assert isinstance(element, Tag)
    return element


def _page_of(id: str) -> str:
    return f'<span class="number" data-page-of="{id}"></span>'


def title_of(text: Tag) -> str:
    """Return the first heading."""
    heading = text.find(["h1", "h2", "h3"])
    assert heading is not None
    return heading.get_text().strip()


def whole(chosen: Sequence[Page], site: Path = SITE) -> str:
    """Return the book as one HTML document."""
    names = {page.document for page in chosen}
    bodies, contents, rules, running = [], [], [], ""
    solutions: list[Tag] = []
    for i, page in enumerate(chosen):
        text = article(page, names, site)
        moved = move_to_end(page, text)
        solutions += [moved] if moved else []
        if page.part:
            text.insert(0, _parse(f'<h1 class="part" id="part-{i}">{html.escape(page.part)}</h1>'))
            contents.append(f'<li class="part">{html.escape(page.part)}</li>')
        title = text.find(f"h{page.level + 1}", class_=lambda value: value != "part").get_text().strip()
        contents.append(_line(page.id, title, f"level-{page.level}"))
        if page.level < 2:
            running = f"sheet-{i}"
            rules.append(_running(running, title))
        text["style"] = f"page: {running}"
        bodies.append(text)
    if solutions:
        end = _parse('<section class="page level-1" id="end-solutions"><h2>Solutions</h2></section>')
        end.extend(solutions)
        contents.append(_line("end-solutions", "Solutions", "level-1"))
        rules.append(_running("sheet-end-solutions", "Solutions"))
        end["style"] = "page: sheet-end-solutions"
        bodies.append(end)
    return _document(bodies, contents, rules, site)


def _document(bodies: list[Tag], contents: list[str], rules: list[str], site: Path) -> str:
    """Return the document that has this body, these lines in its table of contents, and these rules of style."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    title = html.escape(config["title"])
    cover = COVER.format(title=title, author=html.escape(config["author"]), version=__version__)
    static = (site / "_static").as_uri()
    return "\n".join(
        [
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
            f'<link rel="stylesheet" href="{static}/pygments.css">',
            f'<link rel="stylesheet" href="{static}/formulas.css">',
            f"<style>{STYLE.read_text(encoding='utf-8')}\n{''.join(rules)}</style>",
            '<script>window.MathJax = {options: {processHtmlClass: "tex2jax_process|mathjax_process|math|output_area",',
            "enableMenu: false}}</script>",
            f'<script defer src="{static}/mathjax/tex-chtml.js"></script></head><body data-theme="light">',
            f'{cover}<nav class="contents"><p class="heading">Contents</p><ul>{"".join(contents)}</ul></nav>',
            *map(str, bodies),
            "</body></html>",
        ]
    )


def _line(id: str, title: str, kind: str) -> str:
    return f'<li class="{kind}"><a href="#{id}">{html.escape(title)}</a>{_page_of(id)}</li>'


def _running(sheet: str, title: str) -> str:
    """Return the rule that writes a title at the head of the sheets of that name."""
    quoted = title.replace("\\", "\\\\").replace('"', '\\"')
    return f'@page {sheet} {{ @top-right {{ content: "{quoted}"; }} }}\n'


def print_pdf(browser: Browser, source: Path, target: Path) -> None:
    """Let Chromium print an HTML file twice, with the numbers of the pages the second time.

    Raises
    ------
    ValueError
        If something would be cut at the edge of the sheet.
    """
    with browser.new_page(viewport=SHEET, color_scheme="light") as page:
        page.set_default_timeout(300_000)
        page.emulate_media(media="print")
        page.goto(source.as_uri(), wait_until="load")
        cut = page.evaluate(_FIT)
        if cut:
            raise ValueError("these are wider than the sheet:\n" + "\n".join(cut))
        for _ in range(2):
            page.pdf(path=target, prefer_css_page_size=True, print_background=True, outline=True, tagged=True)
            reader = PdfReader(target)
            places = {name.lstrip("/"): place for name, place in reader.named_destinations.items()}
            numbers = {name: reader.get_destination_page_number(place) for name, place in places.items()}
            page.evaluate(_NUMBER, {name: number + 1 for name, number in numbers.items() if number is not None})


def print_book(browser: Browser, chosen: Sequence[Page], target: Path) -> None:
    """Print these pages of the site as one PDF."""
    source = target.with_suffix(".html")
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(whole(chosen), encoding="utf-8")
    try:
        print_pdf(browser, source, target)
    finally:
        source.unlink()  # It may lie in the site.


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the whole book, or some of its pages."""
    parser = argparse.ArgumentParser(prog="python -m website.pdf", description=main.__doc__)
    parser.add_argument("--only", nargs="+", metavar="PAGE", help="such as book/appendix/notation; name an output too")
    parser.add_argument("--output", type=Path, default=SITE / PDF)
    options = parser.parse_args(arguments)
    chosen = [page for page in pages() if page.document in options.only] if options.only else on_paper()
    if options.only and options.output == SITE / PDF:
        parser.error("some pages are not the book that the site links: name another --output")
    if not chosen:
        parser.error(f"no page is called {' or '.join(options.only)}; _toc.yml lists them")
    if not SITE.exists():
        parser.error("there is no site in _build/html; make book builds it")
    if browser_path() is None:
        parser.error(f"printing needs a browser: none of {', '.join(BROWSERS)} is on the PATH")
    with chromium() as browser:
        print_book(browser, chosen, options.output)
    link_pdf(SITE)
    print(f"{len(PdfReader(options.output).pages)} pages: {options.output}")


if __name__ == "__main__":
    main()
