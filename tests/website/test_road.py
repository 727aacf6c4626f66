"""The road on the landing page: drawn from chapters.toml, and saying the same as the text beside it."""

from __future__ import annotations

import re

from website import road
from website.chapters import BOOK, chapters

INDEX = (BOOK / "index.md").read_text(encoding="utf-8")


def test_picture_is_of_the_present_chapters():
    assert road.PICTURE.read_text(encoding="utf-8") == road.draw(), "run python -m website.road"


def test_alternative_text_of_the_road_names_every_chapter_in_its_part():
    alternative = re.search(r"^:alt: (A road .+)$", INDEX, re.M)[1].lower()
    first = road.parts()
    ends = [*list(first)[1:], len(chapters()) + 1]
    said = [
        f"{caption}: {', '.join(chapter.title for chapter in chapters()[begin - 1 : end - 1])}."
        for (begin, caption), end in zip(first.items(), ends, strict=True)
    ]
    assert " ".join(said).lower() in alternative
