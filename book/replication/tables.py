"""The tables in chapter 18, and the counts, ratios and tiles behind its figures."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from IPython.display import Markdown

from book.replication.claim import BOOK, CONTRADICTIONS, REPORTED, Claim, claims, outcome
from book.replication.evidence import EVIDENCE
from book.replication.outcomes import Number
from lab.claims import spaced
from lab.verdicts import Verdict, with_remark


def links() -> dict[str, str]:
    """Return the address of each chapter's page, relative to a chapter."""
    return {path.stem: f"../{path.parent.name}/{path.name}" for path in sorted(BOOK.glob("part*/*.ipynb"))}


def _link(chapter: str) -> str:
    number, address = chapter[:2], links().get(chapter)
    return f"[{number}]({address})" if address else number


# --- Figure by figure -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One claim, as a page shows it."""

    key: str
    what: str
    reported: str
    measured: str
    verdict: Verdict
    remark: str
    rule: str
    power: str
    why: str
    chapter: str
    address: str
    """Of the chapter's page, relative to a chapter."""
    repeats: str
    """The key of the claim whose result this is once more; such a row is shown, but not counted."""
    aside: str = ""
    """Why the claim tests nothing about the source; such a row is shown without its verdict, and not counted."""

    @property
    def counted(self) -> bool:
        return not self.repeats and not self.aside

    @property
    def shown(self) -> str:
        return "not counted" if self.aside else with_remark(self.verdict, self.remark)


@dataclass(frozen=True)
class Exhibit:
    """One figure, table or other place of a source, with the claims that stand there."""

    source: str
    place: str
    title: str
    setup: str
    rows: tuple[Row, ...]

    @property
    def counted(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.counted)

    @property
    def verdict(self) -> Verdict | None:
        """The verdict on the whole; None where nothing is claimed, as in a table of settings or a drawing."""
        if not self.counted:  # What stands here repeats something that stands elsewhere.
            return overall(
                [outcome(key).verdict() for key in sorted({row.repeats for row in self.rows if row.repeats})]
            )
        return overall([row.verdict for row in self.counted])

    @property
    def chapters(self) -> dict[str, str]:
        """The chapters that measure it, with the addresses of their pages, the one with most claims first."""
        named = [(row.chapter, row.address) for row in self.rows]
        return dict(sorted(set(named), key=lambda pair: (-named.count(pair), pair)))


def overall(verdicts: list[Verdict]) -> Verdict | None:
    """Return one verdict for several: theirs if they agree; in part if some replicate; else what is known at most."""
    if len(set(verdicts)) <= 1:
        return verdicts[0] if verdicts else None
    if {Verdict.REPLICATED, Verdict.IN_PART} & set(verdicts):
        return Verdict.IN_PART
    return Verdict.NOT_SHOWN if set(verdicts) == {Verdict.NOT_SHOWN, Verdict.NOT_MEASURED} else Verdict.FAILED


@functools.cache
def exhibits(source: str) -> list[Exhibit]:
    """Return every figure, table and other place of a source, "A" or "B": figures first, then tables, then the rest."""
    found = []
    for name, entry in REPORTED[source].items():
        rows: dict[str, list[Row]] = {place: [] for place in _places(entry)}
        for claim in claims():
            if claim.entry is entry and claim.shown:
                rows.setdefault(_place(claim), []).append(_row(claim))
        title = entry.get("title", name)
        found += [
            Exhibit(source, place, title, entry["setup"], tuple(there))
            for place, there in rows.items()
            if there or re.search(r"\d", place)
        ]
    return sorted(found, key=_order)


def _places(entry: dict[str, Any]) -> list[str]:
    """Return the numbered figures and tables of an entry, one by one, or where else it stands."""
    found = []
    for place in entry["where"]:
        numbered = re.fullmatch(r"(figure|table)s? (\d+)(?: (?:to|and) (\d+))?", place)
        if numbered:
            kind, first, last = numbered[1], int(numbered[2]), int(numbered[3] or numbered[2])
            found += [f"{kind} {number}" for number in range(first, last + 1)]
        else:
            found.append(place)
    return found


def _place(claim: Claim) -> str:
    """Return where a claim stands: as it says itself, or where its entry does."""
    named = re.search(r"\b(fig\.|table) (\d+)", claim.said["what"])
    numbered = f"{'figure' if named[1] == 'fig.' else 'table'} {named[2]}" if named else ""
    return claim.said.get("at") or numbered or _places(claim.entry)[0]


def _order(exhibit: Exhibit) -> tuple[int, int]:
    kind, number = exhibit.place.partition(" ")[0], re.search(r"\d+", exhibit.place)
    return ("figure", "table").index(kind) if kind in ("figure", "table") else 2, int(number[0]) if number else 0


def _row(claim: Claim) -> Row:
    measured = claim.outcome
    return Row(
        key=claim.key,
        what=claim.said["what"],
        reported=claim.said["reported"],
        measured=spaced(measured.text),
        verdict=measured.verdict(),
        remark=measured.remark(),
        rule=spaced(measured.rule),
        power=spaced(measured.power),
        why=claim.aside or claim.why,
        chapter=claim.chapter,
        address=links()[claim.chapter],
        repeats=claim.repeats,
        aside=claim.aside,
    )


# --- All claims in one table ------------------------------------------------------------------------------------------


def report() -> Markdown:
    """Return the main table: every claim that is shown. The mark ↳ leads a result that is there already."""
    lines = [
        "| What | Set-up, as stated | Reported | Measured here | Verdict | Why | Chapter |",
        "|---|---|---|---|---|---|---|",
    ]
    entry = None
    for claim in claims():
        if not claim.shown:
            continue
        setup = claim.entry["setup"] if claim.entry is not entry else "″"
        entry = claim.entry
        what = f"↳ {claim.said['what']}" if claim.repeats else claim.said["what"]
        row = _row(claim)
        cells = (what, setup, row.reported, row.measured, f"**{row.shown}**", row.why, _link(claim.chapter))
        lines.append(f"| {' | '.join(cells)} |")
    return Markdown(spaced("\n".join(lines)))


def contradictions() -> Markdown:
    """Return the table of the sources' contradictions."""
    lines = ["| It says | But | Where | Checked | What follows | Chapter |", "|---|---|---|---|---|---|"]
    for item in CONTRADICTIONS:
        checked = EVIDENCE.get(item["id"], lambda: "by its wording")()
        cells = (f"{item['id'][0]}: {item['says']}", item["but"], item["places"], checked, item["note"])
        lines.append(f"| {' | '.join(cells)} | {_link(item['chapter'])} |")
    return Markdown(spaced("\n".join(lines)))


def counted() -> list[Claim]:
    """Return the claims that count: each tests something about its source, and each result is there once."""
    return [claim for claim in claims() if claim.counted]


def counts(verdicts: list[str]) -> dict[str, int]:
    """Return how often each verdict occurs, in a fixed order."""
    return {name: verdicts.count(name) for name in Verdict}


def ratios(coverage: float = 0.95, tolerance: float | None = None) -> list[tuple[str, tuple[float, float, float], str]]:
    """Return for each reported number: its name, ours as multiples of it (median and interval), and the verdict.

    Accuracies are turned into error rates, whose ratio is more informative. A number that can be negative has no
    ratio and is omitted, and so is what tests nothing about its source.
    """
    found = []
    for claim in claims():
        number = claim.outcome if isinstance(claim.outcome, Number) else getattr(claim.outcome, "beside", None)
        if number is None or claim.aside:
            continue
        ends = np.array([np.median(number.runs), *number.interval(coverage)])
        ours, reported = (1 - ends, 1 - number.reported) if number.is_accuracy else (ends, number.reported)
        middle, low, high = ours / reported
        verdict = with_remark(claim.outcome.verdict(coverage, tolerance), claim.outcome.remark(coverage, tolerance))
        found.append((claim.said["what"], (float(middle), float(min(low, high)), float(max(low, high))), verdict))
    return found
