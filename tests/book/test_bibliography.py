"""The bibliography: each entry says where to find its work, stands once, and is cited."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from pathlib import Path

import nbformat
import pytest

BOOK = Path(__file__).resolve().parents[2] / "book"
BIBLIOGRAPHY = (BOOK / "references.bib").read_text(encoding="utf-8")

DOI = re.compile(r"10\.\d{4,9}/\S+")
PLACEHOLDER = "10.5555/"
"""The ACM's library gives this prefix to works that have no DOI; it leads nowhere."""

WITHOUT_ADDRESS = {
    "report-a": "the author of the report is not named",
    "report-b": "the author of the report is not named",
    "report-b-code": "its address would name the author of the report",
}
"""Entries that have neither a DOI nor an address, and why."""

WITHOUT_HTTPS = {"nielsen": "the address that the book itself gives"}
"""Entries whose address begins with http, and why."""

Entries = list[tuple[str, dict[str, str]]]


def read_entries(text: str) -> Entries:
    """Return each entry's key and fields. The file has one field on a line, and keys may repeat."""
    found = re.findall(r"^@\w+\{([\w-]+),\n(.*?)^\}", text, re.M | re.S)
    return [(key, dict(re.findall(r"^  (\w+) *= \{(.+)\},?$", body, re.M))) for key, body in found]


@cache
def cited_keys() -> set[str]:
    """Return the keys that the book's pages cite. The page of the bibliography shows these and no others."""
    texts = [path.read_text(encoding="utf-8") for path in BOOK.rglob("*.md")]
    for path in BOOK.glob("part*/*.ipynb"):
        cells = nbformat.read(path, as_version=4).cells
        texts += [cell.source for cell in cells if cell.cell_type == "markdown"]
    roles = re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", "\n".join(texts))
    return {key.strip() for role in roles for key in role.split(",")}


def faults_of_addresses(entries: Entries) -> list[str]:
    """Return what is wrong with the DOIs and addresses, and with the two lists above."""
    found = []
    for key, fields in entries:
        doi, url = fields.get("doi"), fields.get("url")
        if not (doi or url or key in WITHOUT_ADDRESS):
            found.append(f"{key} has neither doi nor url")
        if (doi or url) and key in WITHOUT_ADDRESS:
            found.append(f"{key} has an address; take it off WITHOUT_ADDRESS")
        if doi and (not DOI.fullmatch(doi) or doi.startswith(PLACEHOLDER)):
            found.append(f"{key}: {doi} is no DOI")
        if url and url.startswith("https://") == (key in WITHOUT_HTTPS):
            found.append(f"{key}: {url} should begin with https://, or be on WITHOUT_HTTPS, and not both")
    gone = (WITHOUT_ADDRESS.keys() | WITHOUT_HTTPS) - {key for key, _ in entries}
    return found + [f"{key} is on a list, but not in the bibliography" for key in sorted(gone)]


def repeated(values: list[str]) -> list[str]:
    return [value for value, count in Counter(values).items() if count > 1]


def faults_of_entries(entries: Entries, cited: set[str]) -> list[str]:
    """Return the entries that no page cites, and the works that have two."""
    keys = [key for key, _ in entries]
    names = [
        # Versions of a title differ in braces and capitals.
        re.sub(r"\W", "", fields[field]).lower()
        for _, fields in entries
        for field in ("title", "doi", "url")
        if field in fields
    ]
    return [
        *(f"{key} is not cited" for key in sorted(set(keys) - cited)),
        *(f"{name} stands twice" for name in repeated(keys) + repeated(names)),
    ]


def test_every_entry_says_where_to_find_its_work():
    entries = read_entries(BIBLIOGRAPHY)
    assert len(entries) == len(re.findall("^ *@", BIBLIOGRAPHY, re.M)) > 0
    assert faults_of_addresses(entries) == []


def test_every_entry_is_cited_and_stands_once():
    assert faults_of_entries(read_entries(BIBLIOGRAPHY), cited_keys()) == []


def planted(key: str, line: str, instead: str) -> Entries:
    """Return the entries with a line of one of them replaced."""
    start = BIBLIOGRAPHY.index(f"{{{key},")
    before, after = BIBLIOGRAPHY[:start], BIBLIOGRAPHY[start:]
    changed = re.sub(line, instead, after, count=1, flags=re.M)
    assert changed != after
    return read_entries(before + changed)


@pytest.mark.parametrize(
    ("key", "line", "instead", "fault"),
    [
        ("rumelhart", r"^  doi.*\n", "", "rumelhart has neither"),
        ("rumelhart", r"\{10\.1038", "{https://doi.org/10.1038", "is no DOI"),
        ("rumelhart", r"\{10\.1038", "{doi:10.1038", "is no DOI"),
        ("rumelhart", r"10\.1038/\w+", "10.1038/", "is no DOI"),
        ("rumelhart", r"10\.1038/\w+", "10.1038/323533a0 (paid)", "is no DOI"),
        ("rumelhart", r"10\.1038/\w+", "10.5555/65669.104451", "is no DOI"),
        ("glorot", "https://", "http://", "glorot: http://"),
        ("nielsen", "http://", "https://", "nielsen: https://"),
        ("report-a", r"^  author", "  url = {https://example.org},\n  author", "take it off"),
        ("report-a", r"\{report-a,", "{report-c,", "report-a is on a list"),
        ("nielsen", r"\{nielsen,", "{nielson,", "nielsen is on a list"),
    ],
)
def test_bad_address_is_caught(key, line, instead, fault):
    assert any(fault in text for text in faults_of_addresses(planted(key, line, instead)))


@pytest.mark.parametrize(
    ("key", "line", "instead", "fault"),
    [
        ("glorot", r"\{glorot,", "{glorot-bengio,", "glorot-bengio is not cited"),
        ("glorot", r"\{glorot,", "{adam,", "adam stands twice"),
        (
            "glorot",
            r"title = .*",
            "title = {Adam: A Method for {Stochastic} Optimization},",
            "optimization stands twice",
        ),
        ("glorot", r"url = .*", "doi = {10.1109/CVPR.2016.90}", "101109cvpr201690 stands twice"),
        ("glorot", r"v9/glorot10a", "v70/guo17a", "guo17ahtml stands twice"),
    ],
)
def test_uncited_or_repeated_entry_is_caught(key, line, instead, fault):
    found = faults_of_entries(planted(key, line, instead), cited_keys())
    assert any(fault in text for text in found)
