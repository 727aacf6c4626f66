"""Results of experiments and of the benchmark, as chapters load them, and how such files are written."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from lab.provenance import ROOT, rules_beside
from lab.sweep import load_rows
from nnkit.files import read_json, written_whole

BENCHMARK = ROOT / "benchmarks" / "results.json"
_COMMITTED = ROOT / "book" / "results"
RESULTS = Path(os.environ.get("NNKIT_RESULTS") or _COMMITTED)
"""Where results are written and kept weights are read; ``make replicate`` names a fresh folder."""


def load_result(name: str) -> dict[str, Any]:
    """Return what the experiment of that name measured: its ``rows``, ``setup`` and ``provenance``."""
    return read_json(_committed(f"{name}.json"))


def load_store(name: str, *, quiet: bool = False) -> list[dict[str, Any]]:
    """Return the rows of the sweep of that name, and print where they come from unless `quiet`."""
    rows = load_rows(_committed(f"{name}.jsonl"))
    if not quiet:
        commits, processors = (sorted({row["result"][key] for row in rows}) for key in ("commit", "processor"))
        hours = sum(row["seconds"] for row in rows) / 3600
        print(
            f"python -m book.experiments.{name}: {len(rows)} runs, {hours:.1f} hours of one core"
            f" | commits {', '.join(commits)} | {', '.join(processors)}"
        )
    return rows


def load_rules(module: str | os.PathLike[str] | None) -> dict[str, Any]:
    """Return the questions of the experiment in the file `module` by name, each with its bounds and its rule."""
    return tomllib.loads(rules_beside(module or "").read_text(encoding="utf-8"))


def _committed(name: str) -> Path:
    path = _COMMITTED / name
    if not path.is_file():
        raise FileNotFoundError(f"there is no result {path.stem!r}; python -m book.experiments.{path.stem} makes it")
    return path


def load_benchmark(name: str = "results") -> dict[str, Any]:
    """Return what the benchmark measured: its own ``rows``, ``profile`` and ``provenance``, and those of its parts.

    ``"touch"`` is the benchmark of the widgets' engine, with the ``seconds`` and ``losses`` of each contestant.
    """
    return read_json(BENCHMARK.with_stem(name))


def benchmark_origin(results: dict[str, Any]) -> str:
    """Return where the numbers of the benchmark, or of one of its parts, come from."""
    made = results["provenance"]
    before, after = made["load_average"]
    versions = ", ".join(f"{name} {version}" for name, version in made["versions"].items())
    return (
        f"Measured on {made['date']} at commit {made['commit']} by `{made['command']}`, in {made['repeats']} rounds "
        f"and {made['seconds'] / 60:.0f} minutes. {made['processor']}, {made['cores']} cores; {versions}. "
        f"The machine's load average was {before:g} before the run, and {after:g} after it."
    )


def write_whole(path: Path, text: str) -> None:
    """Write a text file, in folders made as needed, so that nobody ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as file:
        file.write(text.encode())


def refuse_unwritable(folder: Path) -> None:
    """Exit before the work, rather than after it, if its results could not be written into a folder."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        raise SystemExit(
            f"{there} cannot be written: copy the checkout, without .venv and _build, to a folder of your own and run "
            "this there; results alone go to the folder that NNKIT_RESULTS names"
        )
