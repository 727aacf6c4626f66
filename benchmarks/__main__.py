"""Time the networks of figures 5 to 9 and the other parts of the benchmark, each contestant in turn; print the ratios.

Times depend on the machine and its load; ratios of interleaved repetitions hardly do. A complete run also writes
results.json and the README's tables; a run of all figures, or of another part such as the neighbours, writes only that
part. The exit status is 1 if a bound is clearly missed.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from typing import Any

import nnkit as nn
from benchmarks import cases, contestants, report, shares, verdicts
from benchmarks.cases import BASE, Case
from benchmarks.report import PARTS
from benchmarks.threads import limited
from lab import provenance
from lab.results import write_whole
from nnkit.files import read_json
from nnkit.typing import Array

WARM_UP_BATCHES = 20
PROFILED = (128, 8)
"""The batch sizes for which the time of a step is broken down."""


def measure(case: Case, X: Array, y: Array, repeats: int) -> dict[str, Any]:
    """Return a row: the seconds of each contestant, measured in turn so that the machine's load affects all alike."""
    n_samples, epochs = case.samples_and_epochs
    X, y = X[:n_samples], y[:n_samples]
    n_warm = WARM_UP_BATCHES * case.cell["batch_size"]
    runs: dict[str, list[contestants.Run]] = {}
    trainers, not_available = {}, {}
    for name, make in contestants.ALL.items():
        try:
            trainers[name] = make(case.cell)
        except contestants.UnavailableError as error:
            not_available[name] = str(error)
        else:
            trainers[name](X[:n_warm], y[:n_warm], 1)  # Warm up caches and allocators.
    for _ in range(repeats):
        for name, train in trainers.items():
            runs.setdefault(name, []).append(train(X, y, epochs))
    trained = {name: taken[-1] for name, taken in runs.items() if name != contestants.FLOOR}
    return {
        "figures": case.figures,
        **case.cell,
        "threads": case.threads,
        "n_samples": len(X),
        "epochs": epochs,
        "seconds": {name: [float(f"{run.seconds:.5g}") for run in taken] for name, taken in runs.items()},
        "loss": {name: float(f"{run.loss:.4g}") for name, run in trained.items()},
        "n_parameters": {name: run.n_parameters for name, run in trained.items()},
        "not_available": not_available,
    }


def divided(X: Array, y: Array, repeats: int) -> list[dict[str, Any]]:
    """Return how the time of a step is divided, for the network of figure 5 on one thread."""
    rows = []
    for batch_size in PROFILED:
        case = Case(BASE | {"batch_size": batch_size}, 1)
        n_samples, epochs = case.samples_and_epochs
        with limited(1):
            found = shares.shares(case.cell, X[:n_samples], y[:n_samples], epochs, repeats)
        rows.append({"batch_size": batch_size, "shares": {part: round(share, 4) for part, share in found.items()}})
    return rows


def write(results: dict[str, Any]) -> None:
    """Write the results, one row per line, and the README's tables; each file is written atomically."""
    head = json.dumps({name: part for name, part in results.items() if name != "rows"}, indent=2)[:-2]
    lines = ",\n".join("    " + json.dumps(row) for row in results["rows"])
    write_whole(report.RESULTS, f'{head},\n  "rows": [\n{lines}\n  ]\n}}\n')
    report.write_readme()


def asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the command-line options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="FIGURE", help=f"some of {', '.join([*cases.CELLS, *PARTS])}"
    )
    parser.add_argument("--repeats", type=int, default=6, help="timed rounds (default 6)")
    parser.add_argument("--quick", action="store_true", help="use a tenth of the data, to check that it runs")
    return parser.parse_args(arguments)


def begun(arguments: Sequence[str], repeats: int, data: nn.Dataset) -> dict[str, Any]:
    """Return the provenance of the numbers, as far as it is known before they are measured."""
    return {
        "command": " ".join(["python -m benchmarks", *arguments]),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "nnkit": nn.__version__,
        "commit": provenance.commit("benchmarks/*.py"),
        "versions": {"python": platform.python_version(), **contestants.versions()},
        "data": {"name": data.name, "sha256": provenance.data_hash(data)},
        "repeats": repeats,
        "processor": provenance.processor(),
        "cores": os.cpu_count(),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark that the command line specifies."""
    options = asked(arguments)
    started, load = time.perf_counter(), os.getloadavg()[0]
    data = nn.load_mnist()
    origin = begun(sys.argv[1:] if arguments is None else arguments, options.repeats, data)
    print(f"{origin['processor']}, {origin['cores']} cores; {report.joined(origin['versions'])}")
    if load > 0.5:
        print(f"The load average is already {load:.1f}: other work will distort the times.")
    n_samples = len(data.X_train) // 10 if options.quick else len(data.X_train)
    X, y = data.X_train[:n_samples], data.y_train[:n_samples]
    names = options.only or [*cases.CELLS, *PARTS]
    figures = [name for name in names if name not in PARTS]
    rows: list[dict[str, Any]] = []
    for case in cases.chosen(figures) if figures else []:
        with limited(case.threads) as found:
            if not rows or rows[-1]["threads"] != case.threads:
                print(f"\nThreads: {report.joined(found)}")
            rows.append(measure(case, X, y, options.repeats))
        print(report.table(rows[-1]), flush=True)
    if figures:
        print("\n" + "\n".join(report.conclusion(rows)))
    absent = {name for row in rows for name in row["not_available"]} - {"PyTorch compiled"}
    results: dict[str, Any] = {}
    if set(figures) == set(cases.CELLS) and not absent:
        profile = divided(X, y, options.repeats)
        results = {"provenance": origin | _ended(started, load), "profile": profile, "rows": rows}
        print("\n" + "\n".join(report.shares_table(results)))
    failed = verdicts.failed(rows)
    for name in [name for name in PARTS if name in names]:
        started = time.perf_counter()
        with limited(1):
            measured = PARTS[name].measure(data, options.repeats, 10 if options.quick else 1)
        print("\n" + "\n".join([*PARTS[name].table(measured), "", *PARTS[name].conclusion(measured)]), flush=True)
        if not any(row.get("not_available") for row in measured):
            results[name] = {"provenance": origin | _ended(started, load), "rows": measured}
        failed |= PARTS[name].failed(measured)
    print(f"\n{_kept(results, keep=not options.quick and not (figures and 'rows' not in results))}")
    print("What is timed, and where the time goes: benchmarks/README.md")
    return 1 if failed and not options.quick else 0


def _kept(results: dict[str, Any], keep: bool) -> str:
    """Write the results worth keeping, and return a message."""
    if not (results and keep):
        return f"{report.RESULTS.name} is unchanged: figures are updated only by a run of all of them, with PyTorch."
    complete = {"rows", *PARTS} <= set(results)
    write(results if complete else read_json(report.RESULTS) | results)
    written = [name for name in results if name in PARTS] + (["the figures"] if "rows" in results else [])
    rest = "" if complete else "; the rest is unchanged"
    return f"updated {' and '.join(written)} in {report.RESULTS.name} and README.md{rest}."


def _ended(started: float, load: float) -> dict[str, Any]:
    return {
        "seconds": round(time.perf_counter() - started, 1),
        "load_average": [round(load, 2), round(os.getloadavg()[0], 2)],
    }


if __name__ == "__main__":
    sys.exit(main())
