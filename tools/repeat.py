"""Repeat one run of each committed result with the current code, and compare it with the spread over seeds.

A change to nnkit that affects only the last bits of a training must move every result by no more than another seed
could. ``python -m tools.repeat`` repeats the cheapest run of each store, or only of those named.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from lab.results import RESULTS
from lab.sweep import load_rows, single_threaded

LONGEST = 400
"""Longest run, in seconds, that is repeated; longer ones are skipped, with a message."""


def cells(name: str) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Yield each configuration of a result with its runs, one per seed."""
    if (store := RESULTS / f"{name}.jsonl").exists():
        rows = [
            {"seed": row["seed"], "config": row["config"], "took": row["seconds"], **row["result"]}
            for row in load_rows(store)
        ]
    else:
        held = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
        names = [key for key in ("activation", "width", "case") if key in held["rows"][0]]
        took = held["provenance"]["seconds"] / len(held["rows"])
        rows = [{"config": {key: row[key] for key in names}, "took": took, **row} for row in held["rows"]]
    for config in {json.dumps(row["config"]): row["config"] for row in rows}.values():
        yield config, [row for row in rows if row["config"] == config]


def numbers(row: dict[str, Any]) -> dict[str, float]:
    """Return what a run measured as plain numbers: the last value of each curve, without times and plot coordinates."""
    found = {}
    for key, value in row.items():
        last = value[-1] if isinstance(value, list) and value else value
        if (
            isinstance(last, (int, float))
            and key not in ("seed", "took", "seconds", "width")
            and not isinstance(last, bool)
        ):
            found[key] = float(last)
    return found


def repeat(name: str) -> None:
    """Print how far the cheapest run of a result moved, in standard deviations over its seeds."""
    # Prefer a cell with several seeds, since it shows a spread.
    config, rows = min(cells(name), key=lambda cell: (len(cell[1]) < 3, min(row["took"] for row in cell[1])))
    row = min(rows, key=lambda row: row["took"])
    title = f"{name}, {json.dumps(config)}, seed {row['seed']}"
    if row["took"] > LONGEST:
        print(f"{title}: skipped, since it takes {row['took']:.0f} s")
        return
    started = time.perf_counter()
    experiment = importlib.import_module(f"book.experiments.{name}")
    train = experiment.CASES[config.pop("case")] if "case" in config else experiment.train
    with single_threaded():
        result = train(**config, seed=row["seed"])
    print(f"{title}: {len(rows)} seeds, {time.perf_counter() - started:.0f} s, then {row['took']:.0f} s")
    new, old = numbers(result), numbers(row)
    for key in old.keys() & new.keys():
        spread = float(np.std([numbers(other)[key] for other in rows], ddof=1)) if len(rows) > 1 else float("nan")
        moved = new[key] - old[key]
        sigmas = (
            f"{abs(moved) / spread:.2f} of the seeds' standard deviation {spread:.3g}" if spread > 0 else "no spread"
        )
        print(f"    {key}: {old[key]:.6g} -> {new[key]:.6g}, {sigmas}")


if __name__ == "__main__":
    for name in sys.argv[1:] or sorted(path.stem for path in RESULTS.glob("*.json*")):
        repeat(name)
