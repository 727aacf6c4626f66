"""The sources' claims, and a registry of the functions that measure them."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from book.replication.outcomes import Comparison, Conditions, Number

BOOK = Path(__file__).resolve().parents[1]
REPORTED: dict[str, Any] = tomllib.loads((BOOK / "reported.toml").read_text(encoding="utf-8"))
CONTRADICTIONS: list[dict[str, Any]] = REPORTED["contradiction"]

Outcome = Number | Comparison | Conditions


@dataclass(frozen=True)
class Claim:
    """One row of the report."""

    key: str
    entry: dict[str, Any] = field(repr=False)
    said: dict[str, Any] = field(repr=False)

    @property
    def chapter(self) -> str:
        return self.said.get("chapter", self.entry["chapter"])

    @property
    def outcome(self) -> Outcome:
        if self.key not in MEASURED:
            raise KeyError(f"nothing is measured for {self.key!r}; add a function for it to book/replication")
        return outcome(self.key)

    @property
    def why(self) -> str:
        return MEASURED[self.key][1]

    @property
    def aside(self) -> str:
        """Why the claim tests nothing about the source; empty if it does."""
        return self.said.get("aside", "")

    @property
    def shown(self) -> bool:
        """Whether chapter 18 has it: all but what is set aside, unless the entry wants it shown beside its table."""
        return not self.aside or self.said.get("shown", False)

    @property
    def repeats(self) -> str:
        """The key of the claim whose result this is once more; empty if it is none."""
        return f"{self.key.rpartition('.')[0]}.{self.said['repeats']}" if "repeats" in self.said else ""

    @property
    def counted(self) -> bool:
        return not self.aside and not self.repeats


MEASURED: dict[str, tuple[Callable[[], Outcome], str]] = {}
"""For each claim: the function that measures it, and the reason for the outcome."""


def measures(key: str, why: str) -> Callable[[Callable[[], Outcome]], Callable[[], Outcome]]:
    """Register the function that measures a claim."""

    def register(function: Callable[[], Outcome]) -> Callable[[], Outcome]:
        MEASURED[key] = function, why
        return function

    return register


@functools.cache
def outcome(key: str) -> Outcome:
    """Return what was measured for a claim, computed once."""
    return MEASURED[key][0]()


def claims() -> list[Claim]:
    """Return every transcribed claim, in order."""
    return [
        Claim(f"{source}.{name}.{claim}", entry, said)
        for source in "AB"
        for name, entry in REPORTED[source].items()
        for claim, said in entry["claims"].items()
    ]


def said(key: str) -> dict[str, Any]:
    """Return the transcription of a claim, a figure or a table."""
    source, name, *claim = key.split(".")
    entry = REPORTED[source][name]
    return entry["claims"][claim[0]] if claim else entry
