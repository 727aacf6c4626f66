"""A Sphinx extension that numbers figures, equations and exercises by chapter: 10.3 is the third in chapter 10.

The chapters' own numbers are typed in their titles, so that JupyterLab shows them too, and Sphinx knows none. It is
told them, from chapters.toml, only while it numbers what stands in the chapters; all references ask it for these.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.environment.collectors.toctree import TocTreeCollector

from website.chapters import chapters

APPENDIX = "A"


def sections(documents: set[str]) -> dict[str, dict[str, tuple[int | str, ...]]]:
    """Return the number that begins all numbers of a page, for each page that has one, as Sphinx keeps them."""
    appendix = {name: {"": (APPENDIX,)} for name in documents if name.startswith("book/appendix/")}
    return appendix | {chapter.document: {"": (chapter.number,)} for chapter in chapters()}


def by_chapter(assign: Callable[[Any, BuildEnvironment], list[str]]) -> Callable[[Any, BuildEnvironment], list[str]]:
    """Return Sphinx's numbering of figures, as if its sections had the chapters' numbers."""

    @functools.wraps(assign)
    def numbered(self: Any, env: BuildEnvironment) -> list[str]:
        known = env.toc_secnumbers
        env.toc_secnumbers = sections(set(env.found_docs))  # type: ignore[assignment]
        try:
            return assign(self, env)
        finally:
            env.toc_secnumbers = known

    return numbered


def setup(app: Sphinx) -> dict[str, bool]:
    """Wrap the step in which Sphinx numbers, once: the books of one process share its class."""
    if not hasattr(TocTreeCollector.assign_figure_numbers, "__wrapped__"):
        TocTreeCollector.assign_figure_numbers = by_chapter(  # type: ignore[method-assign]
            TocTreeCollector.assign_figure_numbers
        )
    return {"parallel_read_safe": True, "parallel_write_safe": True}
