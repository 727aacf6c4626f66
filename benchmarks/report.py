"""The printed tables and those of the README, generated from the same rows.

``python -m benchmarks.report`` regenerates the README's tables from ``results.json``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks import frameworks, knn, sizes, svm, verdicts
from benchmarks.cases import BASE, network_name, title
from benchmarks.contestants import ALL, OWN
from benchmarks.verdicts import FLOOR, Limit, Row
from lab.results import BENCHMARK, benchmark_origin, write_whole
from nnkit.files import read_json
from nnkit.typing import Array

RESULTS = BENCHMARK
README = Path(__file__).with_name("README.md")
PARTS: dict[str, ModuleType] = {"knn": knn, "svm": svm, "frameworks": frameworks, "sizes": sizes}
"""The parts measured and written separately from the networks, by their name in the results and README markers."""


def microseconds_a_step(row: Row, contestant: str) -> Array:
    """Return the time of a training step in each round."""
    return np.array(row["seconds"][contestant]) / steps(row) * 1e6


def steps(row: Row) -> int:
    """Return the number of steps in one call."""
    return row["epochs"] * -(-row["n_samples"] // row["batch_size"])


def joined(pairs: Mapping[str, Any]) -> str:
    """Return names and values on one line."""
    return ", ".join(f"{name} {value}" for name, value in pairs.items())


def table(row: Row) -> str:
    """Return the measurements of one case as text."""
    epochs = "one epoch" if row["epochs"] == 1 else f"{row['epochs']} epochs"
    lines = [
        f"\n{title(row)}: {epochs} of {row['n_samples']:,} digits per call ({', '.join(row['figures'])})",
        f"{'':<18}{'µs per step (range)':>24}{'ratio (quartiles)':>24}   bound; goal",
    ]
    found = {"bound": verdicts.bounds(row), "goal": verdicts.goals(row)}
    for name in row["seconds"]:
        times = microseconds_a_step(row, name)
        spread = f"{np.median(times):.0f} ({times.min():.0f} to {times.max():.0f})"
        compared = "" if name == OWN else str(verdicts.ratio(row, name))
        said = [f"{_limit(v)} {kind_of(kind, v)}" for kind, all_ in found.items() for v in all_ if v.contestant == name]
        lines.append(f"{name:<18}{spread:>24}{compared:>24}   {'; '.join(said)}".rstrip())
    lines += [f"{name:<18}{reason}" for name, reason in row["not_available"].items()]
    return "\n".join(lines)


def kind_of(kind: str, found: Limit) -> str:
    """Return the word for a verdict: a bound is met or missed, a goal reached or missed."""
    return str(found) if kind == "bound" else str(found).replace("met", "reached")


def _limit(found: Limit) -> str:
    return f"at {'most' if found.contestant == FLOOR else 'least'} {found.limit:g}"


def conclusion(rows: list[Row]) -> list[str]:
    """Return a line for each bound, the number of goals reached, and a line for each missed goal."""
    bounds = [(row, found) for row in rows for found in verdicts.bounds(row)]
    goals = [(row, found) for row in rows for found in verdicts.goals(row)]
    missed = [(row, found) for row, found in goals if not found.holds]
    lines = [f"Bounds met: {sum(found.holds for _, found in bounds)} of {len(bounds)}."]
    lines += ["", *[_line("bound", row, found) for row, found in bounds]] if bounds else []
    lines += ["", f"Goals reached: {len(goals) - len(missed)} of {len(goals)}.{' Missed:' if missed else ''}"]
    lines += ["", *[_line("goal", row, found) for row, found in missed]] if missed else []
    return lines


def _line(kind: str, row: Row, found: Limit) -> str:
    said = f"{found.contestant} takes {found.ratio} times nnkit's time"
    if found.contestant == FLOOR:
        said = f"nnkit takes {found.ratio} times the time of the bare products"
    return f"- {title(row)}: {said}, {_limit(found)}: {kind_of(kind, found)}"


def summary_table(results: dict[str, Any]) -> list[str]:
    """Return all cases as one Markdown table: nnkit's step, and the median ratio of every contestant."""
    rows = results["rows"]
    names = [name for name in ALL if name != OWN]
    lines = [
        f"| Network | Batch | Threads | nnkit, µs per step | {' | '.join(names)} |",
        f"|---|--:|--:|--:|{'--:|' * len(names)}",
    ]
    for row in rows:
        compared = [f"{verdicts.ratio(row, name).median:.2f}" if name in row["seconds"] else "-" for name in names]
        step = f"{np.median(microseconds_a_step(row, OWN)):.0f}"
        cells = [network_name(row), str(row["batch_size"]), str(row["threads"]), step, *compared]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def shares_table(results: dict[str, Any]) -> list[str]:
    """Return a Markdown table of where the time of a step goes, and of the share of the bare products."""
    profiles = results["profile"]
    heads = [f"batch {profile['batch_size']}" for profile in profiles]
    lines = [f"| Part of a step | {' | '.join(heads)} |", f"|---|{'--:|' * len(heads)}"]
    for part in profiles[0]["shares"]:
        found = [f"{profile['shares'][part]:.0%}" for profile in profiles]
        lines.append(f"| {part} | {' | '.join(found)} |")
    floors = [f"{1 / verdicts.ratio(_base_row(results, p['batch_size']), FLOOR).median:.0%}" for p in profiles]
    return [*lines, f"| *the bare products alone would take* | {' | '.join(floors)} |"]


def _base_row(results: dict[str, Any], batch_size: int) -> Row:
    wanted = BASE | {"batch_size": batch_size, "threads": 1}
    return next(row for row in results["rows"] if all(row[name] == value for name, value in wanted.items()))


def part(name: str, results: dict[str, Any]) -> list[str]:
    """Return a part's provenance, bounds and table."""
    rows = results["rows"]
    return [benchmark_origin(results), "", *PARTS[name].conclusion(rows), "", *PARTS[name].table(rows)]


def generated(results: dict[str, Any]) -> dict[str, str]:
    """Return the generated parts of the README by marker name."""
    parts = {
        "origin": [benchmark_origin(results)],
        "conclusion": conclusion(results["rows"]),
        "table": summary_table(results),
        "shares": shares_table(results),
        **{name: part(name, results[name]) for name in PARTS if name in results},
    }
    return {name: "\n".join(lines).strip() for name, lines in parts.items()}


def renewed(readme: str, results: dict[str, Any]) -> str:
    """Return the README's text with every marked part regenerated.

    Raises
    ------
    ValueError
        If a marker is missing or occurs twice.
    """
    for name, text in generated(results).items():
        block = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.S)
        readme, n = block.subn(lambda found, text=text: f"{found[1]}\n{text}\n\n{found[2]}", readme)
        if n != 1:
            raise ValueError(f"README.md must contain the markers of {name!r} once; got {n}")
    return readme


def write_readme() -> None:
    """Regenerate the README's tables from the results."""
    results = read_json(RESULTS)
    write_whole(README, renewed(README.read_text(encoding="utf-8"), results))


if __name__ == "__main__":
    write_readme()
