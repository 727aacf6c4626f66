"""Repeat every result from scratch: ``make replicate``. ``make replicate PLAN=1`` only estimates how long that takes.

The experiments write into a separate folder, so the committed results stay in place until all new ones are complete.
Then the old ones move to ``book/results.old-DATE`` and the new ones replace them. An interrupted run resumes where it
stopped. Finally the chapters are executed and tested.
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

# Not test_notebooks, which requires committed results: these are new.
CHECKS = ("tests/book/test_experiments.py", "tests/book/test_replication.py")


def run_experiment(name: str, folder: Path) -> None:
    """Run one experiment in a separate process that writes its results to the folder."""
    environment = os.environ | {"NNKIT_RESULTS": str(folder)}
    subprocess.run([sys.executable, "-m", f"book.experiments.{name}"], env=environment, cwd=ROOT, check=True)


def repeat(
    steps: Sequence[Step], *, results: Path = RESULTS, run: Callable[[str, Path], None] = run_experiment
) -> tuple[Path, float]:
    """Run the steps into a new folder, then replace the old results with what they wrote.

    Parameters
    ----------
    steps : sequence of Step
        What to run, in order.
    results : path
        The results folder. While the steps run, they write to ``results.new`` next to it.
    run : function, optional
        Called with each step's name and the new folder.

    Returns
    -------
    path, float
        The folder with the old results, and the seconds of all steps, including those before an interruption.

    Raises
    ------
    RuntimeError
        If a step left no result, or a store with failed runs. As after any failed step, the old results are untouched
        and the next call repeats that step.
    """
    fresh = results.with_name(f"{results.name}.new")
    if fresh.exists():
        print(f"resuming in {fresh.name}, left by an interrupted run")
    fresh.mkdir(exist_ok=True)
    seconds = 0.0
    for number, step in enumerate(steps, 1):
        done = fresh / f".{step.name}.done"  # Sweeps resume by themselves; the others need this.
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
    if failed := [row for row in rows if "error" in row]:  # A sweep runs to the end and only warns about them.
        first = failed[0]
        raise RuntimeError(
            f"{len(failed)} of {len(rows)} runs of {name} failed; the first, {first['config']} with seed "
            f"{first['seed']}, with {first['error']['type']}: {first['error']['message'][:200]}"
        )


def exchange(fresh: Path, results: Path) -> Path:
    """Move each new file into place, and the file it replaces to a folder of old results; nothing is deleted."""
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
    """Print the expected duration, run everything, and print the actual duration."""
    parser = argparse.ArgumentParser(prog="python -m tools.rerun", description="repeat every result from scratch")
    parser.add_argument("names", nargs="*", help="experiments to repeat (default: all)")
    parser.add_argument("--plan", action="store_true", help="only print how long it takes")
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
    print(f"from scratch, it took {duration(seconds + time.perf_counter() - started)}")
    print("To keep the new results, commit book/results, then run 'make notebooks': each chapter names that commit.")


if __name__ == "__main__":
    main()
