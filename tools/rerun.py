"""Repeat every result from zero: ``make replicate``. ``make replicate PLAN=1`` only says how long that takes.

The experiments write into a folder of their own, so the committed results stay until all new ones are complete. Only
then do the old ones move to ``book/results.old-DATE`` and the new ones into their place. A run that was interrupted
goes on where it stopped. Then the chapters are executed, and the tests check what they say.
"""

from __future__ import annotations

import argparse
import datetime
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from book.replication.plan import Step, duration, plan, table
from lab.provenance import ROOT, commit
from lab.results import refuse_unwritable, write_whole
from lab.sweep import load_rows

BOOK = ROOT / "book"
RESULTS = BOOK / "results"

# Not those of the notebooks as files: they ask for a run on committed results, and these are new.
CHECKS = ("tests/book/test_experiments.py", "tests/book/test_replication.py")


def run_experiment(name: str, folder: Path) -> None:
    """Run one experiment in a process of its own, with its results in the folder."""
    environment = os.environ | {"NNKIT_RESULTS": str(folder)}
    subprocess.run([sys.executable, "-m", f"book.experiments.{name}"], env=environment, cwd=ROOT, check=True)


def repeat(
    steps: Sequence[Step], *, results: Path = RESULTS, run: Callable[[str, Path], None] = run_experiment
) -> tuple[Path, float]:
    """Run the steps into a new folder, and put what they wrote in the place of the old results.

    Parameters
    ----------
    steps : sequence of Step
        What to run, in this order.
    results : path
        The folder of the results. Beside it, ``results.new`` grows while the steps run.
    run : function, optional
        Called with each name and the new folder.

    Returns
    -------
    path, float
        The folder that the old results were moved to, and the seconds of all steps, those before an interruption too.

    Raises
    ------
    RuntimeError
        If a step left no result, or failed runs in its store. The old results are then untouched, as they are if a
        step fails, and the next call begins that step again.
    """
    fresh = results.with_name(f"{results.name}.new")
    if fresh.exists():
        print(f"going on in {fresh.name}, which an interrupted run has left")
    fresh.mkdir(exist_ok=True)
    seconds = 0.0
    for number, step in enumerate(steps, 1):
        done = fresh / f".{step.name}.done"  # A sweep goes on by itself; this spares the rest a second run.
        if not done.exists():
            print(f"[{number}/{len(steps)}] {step.name}", flush=True)
            started = time.perf_counter()
            run(step.name, fresh)
            _refuse_incomplete(step.name, fresh)
            write_whole(done, f"{time.perf_counter() - started:.1f}\n")
        seconds += float(done.read_text(encoding="utf-8"))
    for step in steps:
        (fresh / f".{step.name}.done").unlink()
    return exchange(fresh, results), seconds


def _refuse_incomplete(name: str, fresh: Path) -> None:
    store = fresh / f"{name}.jsonl"
    if not store.is_file():
        if not store.with_suffix(".json").is_file():
            raise RuntimeError(f"{name} left no result in {fresh}")
        return
    rows = load_rows(store)
    if failed := [row for row in rows if "error" in row]:  # A sweep goes on to its end, and only warns of them.
        first = failed[0]
        raise RuntimeError(
            f"{len(failed)} of {len(rows)} runs of {name} failed; the first, {first['config']} with seed "
            f"{first['seed']}, with {first['error']['type']}: {first['error']['message'][:200]}"
        )


def exchange(fresh: Path, results: Path) -> Path:
    """Move each new file to its place, and the old one of its name to a folder of old results; nothing is deleted."""
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d-%H%M%S")
    old = results.with_name(f"{results.name}.old-{stamp}")
    old.mkdir()
    for path in sorted(file for file in fresh.rglob("*") if file.is_file()):
        name = path.relative_to(fresh)
        if (results / name).exists():
            (old / name).parent.mkdir(parents=True, exist_ok=True)
            (results / name).replace(old / name)
        (results / name).parent.mkdir(parents=True, exist_ok=True)
        path.replace(results / name)
    for folder in sorted((file for file in fresh.rglob("*") if file.is_dir()), reverse=True):
        folder.rmdir()
    fresh.rmdir()
    return old


def main() -> None:
    """Say how long it takes, run everything, and say how long it took."""
    parser = argparse.ArgumentParser(prog="python -m tools.rerun", description="repeat every result from zero")
    parser.add_argument("names", nargs="*", help="experiments; all, if none is named")
    parser.add_argument("--plan", action="store_true", help="only say how long it takes")
    parser.add_argument("--results-only", action="store_true", help="do not execute the chapters and the tests")
    options = parser.parse_args()
    steps = plan(options.names)
    print(table(steps, os.cpu_count() or 1, chapters=not options.results_only), flush=True)
    if options.plan:
        return
    if (ran := commit()).endswith("with changes"):
        raise SystemExit("commit your changes first: each result names the commit that ran")
    refuse_unwritable(BOOK)
    old, seconds = repeat(steps)
    print(f"experiments at commit {ran}: {duration(seconds)}; the old results are in {old.name}", flush=True)
    started = time.perf_counter()
    if not options.results_only:
        here = [sys.executable, "-m"]
        for command in ([*here, "tools.execute"], [*here, "pytest", "-q", *CHECKS], ["make", "test-notebooks"]):
            subprocess.run(command, cwd=ROOT, check=True)
    print(f"from zero, it took {duration(seconds + time.perf_counter() - started)}")
    print("To keep the new results, commit book/results, then 'make notebooks', and each chapter names that commit.")


if __name__ == "__main__":
    main()
