"""What `book/chapters.toml` says of each chapter, and a reader of notebooks, for the site, the tools and the tests."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import nbformat

from lab.provenance import ROOT
from nnkit.files import read_text

BOOK = ROOT / "book"


@dataclass(frozen=True)
class Chapter:
    """What is true of a chapter; `book/chapters.toml` says what each field means."""

    number: int
    file: str
    title: str
    question: str
    gives: str
    needs: list[int]
    minutes: int
    picture: str
    experiments: list[str]
    builds: list[str] = field(default_factory=list)

    @property
    def document(self) -> str:
        """Its name in Sphinx."""
        return f"book/{self.file}"

    @property
    def path(self) -> Path:
        """Its notebook."""
        return BOOK / f"{self.file}.ipynb"


@cache
def chapters() -> tuple[Chapter, ...]:
    """Return all chapters, in the order of the book."""
    entries: list[dict[str, Any]] = tomllib.loads((BOOK / "chapters.toml").read_text(encoding="utf-8"))["chapter"]
    return tuple(Chapter(**entry) for entry in entries)


def notebooks() -> list[Path]:
    """Return every notebook of the book: the chapters in their order, then the pages of the appendix that run."""
    return [*sorted(BOOK.glob("part*/*.ipynb")), *sorted(BOOK.glob("appendix/*.ipynb"))]


def read_notebook(path: Path) -> nbformat.NotebookNode:
    """Return the notebook in a file.

    Raises
    ------
    ValueError
        If it is no notebook, is nested too deeply, or is larger than 16 MiB, many times what a chapter may have.
    """
    text = read_text(path)
    try:
        return nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]
    except Exception as error:  # A damaged file can fail at any step.
        raise ValueError(f"{path} must be a notebook; got {type(error).__name__}: {str(error)[:200]}") from error
