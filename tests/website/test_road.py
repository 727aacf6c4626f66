"""The road on the landing page: drawn from the chapters that exist, and saying the same as the table beside it."""

from __future__ import annotations

import re

from website import road


def test_picture_is_of_the_present_chapters():
    assert road.PICTURE.read_text(encoding="utf-8") == road.draw(), "run python -m website.road"


def test_table_of_chapters_says_what_each_one_needs():
    index = (road.BOOK / "index.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \{doc\}`[\w-]+/(\d\d)-[\w-]+` \|.+\| ?([\d, ]*)\|$", index, re.M)
    table = {int(number): tuple(int(other) for other in re.findall(r"\d+", needs)) for number, needs in rows}
    assert table == {number: road.NEEDS.get(number, ()) for number in road.chapters()}


def test_alternative_text_of_the_road_names_every_chapter_in_its_part():
    index = (road.BOOK / "index.md").read_text(encoding="utf-8")
    alternative = re.search(r"^:alt: (A road .+)$", index, re.M)[1].lower()
    titles, first = road.chapters(), road.parts()
    ends = [*list(first)[1:], max(titles) + 1]
    said = [
        f"{caption}: {', '.join(titles[number] for number in range(begin, end))}."
        for (begin, caption), end in zip(first.items(), ends, strict=True)
    ]
    assert " ".join(said).lower() in alternative
