"""What search engines, chats and feed readers are told of the site, and the page for addresses that lead nowhere."""

from __future__ import annotations

import functools
import http.server
import json
import re
import threading
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from bs4 import BeautifulSoup
from PIL import Image, ImageChops

from tests.website import axe
from tests.website.visit import SITE, Visit, assert_fits_at_every_width
from website import share
from website.chapters import chapters
from website.moved import old_pages

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["html"]["baseurl"]
WRITTEN = sorted({str(path.relative_to(SITE)) for path in SITE.glob("book/**/*.html")} - old_pages())
DESCRIBED = ["index.html", *WRITTEN]
FIRST = "book/index.html"
ONCE = (
    *("description", "og:title", "og:type", "og:url", "og:site_name", "og:description", "og:image", "og:image:alt"),
    *("og:image:width", "og:image:height", "twitter:card"),
)

pytestmark = pytest.mark.site
if not WRITTEN:
    pytestmark = [pytestmark, pytest.mark.skip(reason="there is no site in _build/html; make book builds it")]


@functools.cache
def head(page: str):
    return BeautifulSoup((SITE / page).read_text(encoding="utf-8").partition("</head>")[0], "html.parser")


def tags(page: str) -> list[tuple[str, str]]:
    return [(tag.get("property") or tag.get("name"), tag.get("content")) for tag in head(page).find_all("meta")]


def said(page: str) -> list[dict]:
    return [json.loads(script.string) for script in head(page).find_all("script", type="application/ld+json")]


@pytest.mark.parametrize("page", DESCRIBED)
def test_a_page_says_once_what_it_is_and_where(page):
    found = dict(tags(page))
    counts = Counter(name for name, _ in tags(page))
    assert {name: counts[name] for name in ONCE} == dict.fromkeys(ONCE, 1)
    assert all(len(found[name].strip()) > 2 for name in ONCE)
    place = ADDRESS + (FIRST if page == "index.html" else page)
    assert [link["href"] for link in head(page).find_all("link", rel="canonical")] == [place]
    assert found["og:url"] == place
    assert 20 < len(found["description"]) <= share._LONG + 2
    assert found["description"] == found["og:description"]
    assert "\\" not in found["description"]  # No TeX.
    assert found["og:image"].startswith(ADDRESS)
    picture = SITE / found["og:image"].removeprefix(ADDRESS)
    with Image.open(picture) as opened:
        assert opened.size == (int(found["og:image:width"]), int(found["og:image:height"])) == (1200, 630)
    assert len([*head(page).find_all("title")]) == 1


@pytest.mark.parametrize("page", WRITTEN)
def test_no_two_pages_are_described_alike(page):
    about = {other: dict(tags(other))["description"] for other in WRITTEN}
    assert [other for other in WRITTEN if about[other] == about[page]] == [page]


def test_the_root_is_a_page_with_a_language_and_leads_to_the_first():
    assert head("index.html").html["lang"] == "en"
    assert head("index.html").title.string == head(FIRST).title.string
    assert said("index.html") == said(FIRST)
    assert (SITE / head("index.html").find("link", type="application/atom+xml")["href"]).is_file()


@pytest.mark.parametrize("chapter", chapters(), ids=lambda chapter: chapter.file)
def test_a_chapter_says_what_it_teaches(chapter):
    page = f"{chapter.document}.html"
    (lesson,) = said(page)
    (whole,) = said(FIRST)
    assert lesson["@context"] == whole["@context"] == "https://schema.org"
    assert (lesson["@type"], whole["@type"]) == ("LearningResource", "Book")
    assert (lesson["name"], lesson["position"]) == (chapter.title, chapter.number)
    assert (lesson["timeRequired"], lesson["teaches"]) == (f"PT{chapter.minutes}M", chapter.gives)
    assert lesson["license"] == whole["license"] == "https://creativecommons.org/licenses/by/4.0/"
    assert lesson["isPartOf"]["@id"] == whole["@id"]
    part = whole["hasPart"][chapter.number - 1]
    assert part["@id"] == lesson["@id"] == lesson["url"] == ADDRESS + page
    assert chapter.question in lesson["description"]
    assert dict(tags(page))["og:image"] == f"{ADDRESS}_share/{Path(chapter.file).name}.png"


def test_only_the_first_page_and_the_chapters_have_a_schema():
    assert {page for page in WRITTEN if said(page)} == {FIRST, *(f"{chapter.document}.html" for chapter in chapters())}


@pytest.mark.parametrize("chapter", chapters(), ids=lambda chapter: chapter.file)
def test_the_card_of_a_chapter_shows_its_figure_on_white(chapter):
    picture, alternative = share.figure(chapter)
    assert len(alternative) > 20
    drawn = share.card(picture, f"Chapter {chapter.number}", chapter.title, "The book")
    with Image.open(SITE / share.card_name(chapter)) as stored:
        stored = stored.convert("RGB")
    assert (SITE / share.card_name(chapter)).stat().st_size < 300_000
    assert stored.getpixel((5, 300)) == stored.getpixel((1195, 600)) == (255, 255, 255)
    middle = (0, 0, 1200, 560)  # Above the name of the book.
    assert ImageChops.difference(stored.crop(middle), drawn.crop(middle)).getbbox() is None
    middle = (200, 180, 1000, 560)
    inked = np.asarray(stored.convert("L").crop(middle)) < 224
    assert inked.sum() > 2000


def test_a_figure_that_is_not_there_is_named():
    chapter = chapters()[0]
    with pytest.raises(ValueError, match="picture of chapter 1 must name a figure with a PNG; got 'fig-none'"):
        share.figure(type(chapter)(**vars(chapter) | {"picture": "fig-none"}))


def test_a_description_ends_with_a_sentence_or_a_word():
    assert share.shortened("One. Two.", 20) == "One. Two."
    assert share.shortened("One is here. Two is there.", 20) == "One is here."
    assert share.shortened("A sentence, and more of it", 14) == "A sentence …"


def test_the_sitemap_lists_what_one_can_read_and_robots_finds_it():
    names = {"": "http://www.sitemaps.org/schemas/sitemap/0.9"}
    listed = [place.text for place in ElementTree.parse(SITE / "sitemap.xml").findall("url/loc", names)]
    assert listed == [ADDRESS + page for page in WRITTEN]
    robots = (SITE / "robots.txt").read_text(encoding="utf-8").splitlines()
    assert "User-agent: *" in robots
    assert f"Sitemap: {ADDRESS}sitemap.xml" in robots
    assert not [line for line in robots if line.startswith("Disallow")]


def test_the_feed_has_the_entries_of_the_changelog():
    atom = {"": "http://www.w3.org/2005/Atom"}
    feed = ElementTree.parse(SITE / "feed.xml").getroot()
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (\S+) \((\S+)\)$", changelog, re.MULTILINE)
    assert len(headings) == len(re.findall(r"^## ", changelog, re.MULTILINE)) > 1
    entries = feed.findall("entry", atom)
    dates = [entry.findtext("updated", namespaces=atom) for entry in entries]
    assert dates == [f"{day}T00:00:00Z" for _, day in headings]
    assert feed.findtext("updated", namespaces=atom) == max(dates)
    for entry, (version, _) in zip(entries, headings, strict=True):
        assert version in entry.findtext("title", namespaces=atom)
        content = BeautifulSoup(entry.findtext("content", namespaces=atom), "html.parser")
        assert len(content.get_text()) > 30
        assert "`" not in content.get_text()
    assert len({entry.findtext("id", namespaces=atom) for entry in entries}) == len(entries)
    for page in (*WRITTEN, "search.html"):
        (link,) = head(page).find_all("link", type="application/atom+xml")
        assert (SITE / page).parent.joinpath(link["href"]).resolve() == SITE / "feed.xml"


def test_an_entry_without_a_date_is_named():
    with pytest.raises(ValueError, match=r"like '## 1\.2\.3 \(2026-01-31\)'; got '## 0\.3\.0'"):
        list(share.releases("# Changelog\n\n## 0.3.0\n\nMore.\n"))


# The page for addresses that lead nowhere


@pytest.fixture(scope="module")
def published():
    """Yield the address of a host that has the site in a folder, and shows its 404 page as GitHub does."""
    folder = "/" + ADDRESS.split("/", 3)[3]

    class Pages(http.server.SimpleHTTPRequestHandler):
        def translate_path(self, path):
            return str(SITE / path.partition("?")[0].removeprefix(folder).lstrip("/"))

        def send_error(self, code, message=None, explain=None):
            body = (SITE / "404.html").read_bytes()
            self.send_response(code)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Pages, directory=str(SITE)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}{folder}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("lost", ["nothing.html", "book/part9/deep/er/nothing.html", "book/nothing/"])
def test_the_page_for_lost_readers_leads_back_from_any_depth(browser, published, lost):
    with Visit(browser, published, lost) as visit:
        visit.page.get_by_role("link", name="XOR").click()
        visit.page.wait_for_url(f"{published}book/part1-foundations/05-xor.html")
        visit.page.goto(published + lost)
        visit.page.get_by_label("Search the book").fill("gradient")
        visit.page.keyboard.press("Enter")
        visit.page.wait_for_url(f"{published}search.html?q=gradient")


def test_the_page_for_lost_readers_guesses_the_chapter(browser, published):
    with Visit(browser, published, "book/part1/xor.html") as visit:
        assert visit.page.locator("#meant").inner_text() == "You may have meant XOR."
    with Visit(browser, published, "book/part1/nothing.html") as visit:
        assert not visit.page.locator("#meant").is_visible()


def test_the_page_for_lost_readers_works_from_a_file(browser):
    with Visit(browser, SITE.as_uri() + "/", "404.html") as visit:
        links = visit.page.eval_on_selector_all("a", "links => links.map(link => link.href)")
        assert len(links) >= len(chapters()) + 2
        assert all(Path(link.removeprefix("file://")).is_file() for link in links)
        visit.page.get_by_label("Search the book").fill("gradient")
        visit.page.get_by_role("button", name="Search").click()
        visit.page.wait_for_url(f"{SITE.as_uri()}/search.html?q=gradient")
        assert visit.problems == []


def test_the_page_for_lost_readers_needs_no_script_and_no_other_file(browser):
    with Visit(browser, SITE.as_uri() + "/", "404.html", scripts=False) as visit:
        assert len(visit.asked) == 1
        links = visit.page.eval_on_selector_all("a", "links => links.map(link => link.href)")
        assert all((SITE / link.removeprefix(ADDRESS)).is_file() for link in links)
        assert visit.page.locator("form").get_attribute("action") == f"{ADDRESS}search.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_for_lost_readers_is_accessible_and_fits(browser, localhost, scheme):
    with Visit(browser, localhost, "404.html", scheme=scheme) as visit:
        axe.check(visit.page)
        assert_fits_at_every_width(visit.page)
        paper = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(255, 255, 255)") == (scheme == "light")


# The printed book


def test_the_printed_book_is_linked_only_when_it_is_there(tmp_path):
    page = tmp_path / "book" / "index.html"
    page.parent.mkdir()
    for body in ("<article><p>Text</p></article>", f"<article><p>Text {share._PLACE}</p><p>More</p></article>"):
        page.write_text(body, encoding="utf-8")
        (tmp_path / share.PDF).unlink(missing_ok=True)
        share.link_pdf(tmp_path)
        assert page.read_text(encoding="utf-8") == body
        (tmp_path / share.PDF).write_bytes(b"%PDF")
        share.link_pdf(tmp_path)
        share.link_pdf(tmp_path)  # A page has it once.
        (link,) = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser").select("article a")
        assert page.parent.joinpath(link["href"]).resolve() == tmp_path / share.PDF
