"""The tables in chapter 17, and the counts and ratios behind its figure."""

from __future__ import annotations

import numpy as np
from IPython.display import Markdown

from book.replication.claim import BOOK, CONTRADICTIONS, claims
from book.replication.evidence import EVIDENCE
from book.replication.outcomes import Number
from lab.claims import spaced
from lab.verdicts import Verdict


def links() -> dict[str, str]:
    """Return the address of each chapter's page, relative to a chapter."""
    return {path.stem: f"../{path.parent.name}/{path.name}" for path in sorted(BOOK.glob("part*/*.ipynb"))}


def _link(chapter: str) -> str:
    number, address = chapter[:2], links().get(chapter)
    return f"[{number}]({address})" if address else number


def shown(verdict: str) -> str:
    """Return a verdict as the report prints it: its label, followed by how it failed to replicate."""
    return f"{Verdict.FAILED}: {verdict}" if verdict in (Verdict.WEAKER, Verdict.OPPOSITE) else verdict


def report() -> Markdown:
    """Return the main table: every claim, what was reported and measured, the verdict and its reason."""
    lines = [
        "| What | Set-up, as stated | Reported | Measured here | Verdict | Why | Chapter |",
        "|---|---|---|---|---|---|---|",
    ]
    entry = None
    for claim in claims():
        setup = claim.entry["setup"] if claim.entry is not entry else "″"
        entry = claim.entry
        cells = (claim.said["what"], setup, claim.said["reported"], claim.outcome.text)
        verdict = f"**{shown(claim.outcome.verdict())}**"
        lines.append(f"| {' | '.join(cells)} | {verdict} | {claim.why} | {_link(claim.chapter)} |")
    return Markdown(spaced("\n".join(lines)))


def contradictions() -> Markdown:
    """Return the table of the sources' contradictions."""
    lines = ["| It says | But | Where | Checked | So | Chapter |", "|---|---|---|---|---|---|"]
    for item in CONTRADICTIONS:
        checked = EVIDENCE.get(item["id"], lambda: "in its words")()
        cells = (f"{item['id'][0]}: {item['says']}", item["but"], item["places"], checked, item["note"])
        lines.append(f"| {' | '.join(cells)} | {_link(item['chapter'])} |")
    return Markdown(spaced("\n".join(lines)))


def counts(verdicts: list[str]) -> dict[str, int]:
    """Return how often each verdict occurs, in a fixed order."""
    return {name: verdicts.count(name) for name in Verdict}


def ratios(coverage: float = 0.95, tolerance: float | None = None) -> list[tuple[str, tuple[float, float, float], str]]:
    """Return for each reported number: its name, ours as multiples of it (median and interval), and the verdict.

    Accuracies are turned into error rates, whose ratio is more informative. A number that can be negative has no
    ratio and is omitted.
    """
    found = []
    for claim in claims():
        number = claim.outcome if isinstance(claim.outcome, Number) else getattr(claim.outcome, "beside", None)
        if number is None:
            continue
        ends = np.array([np.median(number.runs), *number.interval(coverage)])
        ours, reported = (1 - ends, 1 - number.reported) if number.is_accuracy else (ends, number.reported)
        middle, low, high = ours / reported
        verdict = claim.outcome.verdict(coverage, tolerance)
        found.append((claim.said["what"], (float(middle), float(min(low, high)), float(max(low, high))), verdict))
    return found
