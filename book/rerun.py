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
from dataclasses import dataclass
from pathlib import Path

from book.experiments._run import commit, refuse_unwritable, write_whole
from book.notebook import read_notebook
from nnkit.files import read_json
from nnkit.sweep import load_rows

BOOK = Path(__file__).resolve().parent
RESULTS = BOOK / "results"

# Whose kept weights an experiment reads; all others need nothing but the data.
NEEDS = {
    "latent_maps": "latent_codes",
    "latent_pca": "autoencoder_training",
    "latent_walks": "latent_codes",
    "nearest_neighbours": "latent_codes",
    "svm_features": "autoencoder_training",
    "svm_standardized": "autoencoder_training",
}
# Not those of the notebooks as files: they ask for a run on committed results, and these are new.
CHECKS = ("tests/test_experiments.py", "tests/test_replication.py")


@dataclass(frozen=True)
class Step:
    """One experiment, and how long its last run took, as its result says."""

    name: str
    seconds: float | None
    """Of one core for a sweep, since each row has its own; of the whole run otherwise. None if there is no result."""
    longest: float | None = None
    """The longest run of a sweep, which no number of cores makes shorter."""

    def expected(self, n_cores: int) -> float | None:
        """Return how many seconds to expect on this many cores; those of a whole run are taken as they were."""
        if self.seconds is None or self.longest is None:
            return self.seconds
        return max(self.seconds / n_cores, self.longest)


def plan(names: Sequence[str] = (), *, results: Path = RESULTS) -> list[Step]:
    """Return the steps that repeat these experiments, or all of them, each after the one whose weights it reads."""
    there = sorted(path.stem for path in (BOOK / "experiments").glob("[!_]*.py"))
    if unknown := sorted(set(names) - set(there)):
        raise SystemExit(f"there is no experiment {unknown[0]!r}; there are {', '.join(there)}")
    chosen = set(names or there)
    chosen |= {NEEDS[name] for name in chosen if name in NEEDS}
    order = sorted(chosen, key=lambda name: (name in NEEDS, name))
    return [_step(name, results) for name in order]


def _step(name: str, results: Path) -> Step:
    store, whole = results / f"{name}.jsonl", results / f"{name}.json"
    if store.is_file():
        seconds = [row["seconds"] or 0.0 for row in load_rows(store)]
        return Step(name, sum(seconds), max(seconds, default=0.0))
    if whole.is_file():
        return Step(name, read_json(whole)["provenance"]["seconds"])
    return Step(name, None)


def seconds_of_chapters() -> float:
    """Return how long the chapters took when they were last executed, as their metadata say."""
    chapters = sorted(BOOK.glob("part*/*.ipynb"))
    return sum(read_notebook(path).metadata.get("nnkit", {}).get("seconds", 0.0) for path in chapters)


def table(steps: Sequence[Step], n_cores: int, *, chapters: bool = True) -> str:
    """Return the plan as text: each step, the chapters if they follow, and the sum."""
    lines = [f"expected on {n_cores} cores, from the seconds that the results hold:"]
    times = [(step.name, step.expected(n_cores)) for step in steps]
    if chapters:  # The tests execute every chapter once more.
        times.append(("the chapters, then the tests that run them", 2 * seconds_of_chapters()))
    for name, seconds in times:
        lines.append(f"  {name:43} {'unknown' if seconds is None else duration(seconds):>10}")
    lines.append(f"  {'in all':43} {duration(sum(seconds or 0.0 for _, seconds in times)):>10}")
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """Return a time in words, as ``1 h 05 min``, ``3 min 20 s`` or ``12 s``."""
    seconds = round(seconds)
    hours, minutes = seconds // 3600, seconds // 60 % 60
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {seconds % 60:02d} s" if minutes else f"{seconds} s"


def run_experiment(name: str, folder: Path) -> None:
    """Run one experiment in a process of its own, with its results in the folder."""
    environment = os.environ | {"NNKIT_RESULTS": str(folder)}
    subprocess.run([sys.executable, "-m", f"book.experiments.{name}"], env=environment, cwd=BOOK.parent, check=True)


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
    parser = argparse.ArgumentParser(prog="python -m book.rerun", description="repeat every result from zero")
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
        for command in ([*here, "book.execute"], [*here, "pytest", "-q", *CHECKS], ["make", "test-notebooks"]):
            subprocess.run(command, cwd=BOOK.parent, check=True)
    print(f"from zero, it took {duration(seconds + time.perf_counter() - started)}")
    print("To keep the new results, commit book/results, then 'make notebooks', and each chapter names that commit.")


if __name__ == "__main__":
    main()
