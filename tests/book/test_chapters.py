"""chapters.toml describes each chapter correctly, and pages that repeat it agree."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import yaml

from lab.provenance import ROOT
from tests.book.test_experiments import NOT_YET_RUN
from website.chapters import BOOK, Chapter, chapters, read_notebook
from website.provenance import reading_minutes

every_chapter = pytest.mark.parametrize("chapter", chapters(), ids=lambda chapter: str(chapter.number))


def test_chapters_are_the_notebooks_in_book_order():
    assert [chapter.path for chapter in chapters()] == sorted(BOOK.glob("part*/*.ipynb"))
    assert [chapter.number for chapter in chapters()] == list(range(1, len(chapters()) + 1))
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    files = [entry["file"] for part in toc["parts"] for entry in part["chapters"]]
    assert [name for name in files if "/part" in name] == [chapter.document for chapter in chapters()]


def test_landing_page_table_matches_chapters_toml():
    index = (BOOK / "index.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \{doc\}`([\w/-]+)` \| (.+) \| ?([\d, ]*)\|$", index, re.M)
    table = [(file, question, [int(n) for n in re.findall(r"\d+", needs)]) for file, question, needs in rows]
    assert table == [(chapter.file, chapter.question, chapter.needs) for chapter in chapters()]


def code_of(chapter: Chapter) -> Iterator[str]:
    return (cell.source for cell in read_notebook(chapter.path).cells if cell.cell_type == "code")


@every_chapter
def test_chapter_matches_its_description(chapter):
    notebook = read_notebook(chapter.path)
    assert notebook.cells[0].source.startswith(f"# {chapter.number}. {chapter.title}\n")
    assert chapter.path.name.startswith(f"{chapter.number:02}-")
    assert all(needed < chapter.number for needed in chapter.needs)
    # An extra sentence makes no difference; an extra section does.
    assert abs(chapter.minutes - reading_minutes(notebook)) <= 1
    loaded = re.findall(r"\bload_(?:result|store)\(\s*\"(\w+)\"", "\n".join(code_of(chapter)))
    assert sorted(set(loaded)) == chapter.experiments


@every_chapter
def test_chapter_does_not_touch_the_import_path(chapter):
    for source in code_of(chapter):
        assert "sys.path" not in source
        assert "PYTHONPATH" not in source


def test_every_experiment_is_used_by_a_chapter_or_the_report():
    there = {path.stem for path in (BOOK / "experiments").glob("[!_]*.py")}
    loaded = {name for chapter in chapters() for name in chapter.experiments}
    replication = "\n".join(path.read_text(encoding="utf-8") for path in (BOOK / "replication").glob("*.py"))
    assert loaded <= there
    # No chapter can load what has not run yet.
    assert all(name in replication for name in there - loaded - NOT_YET_RUN)
