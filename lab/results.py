"""Results of experiments: run over seeds, kept with their provenance in ``book/results``, and loaded by chapters."""

from __future__ import annotations

import datetime
import importlib
import importlib.metadata
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed
from tqdm import tqdm

import nnkit
from lab.provenance import ROOT, commit, data_hash, processor, warn_unless_committed
from lab.sweep import Row, load_rows, single_threaded, sweep
from nnkit.files import read_json, written_whole

BENCHMARK = ROOT / "benchmarks" / "results.json"
_COMMITTED = ROOT / "book" / "results"
RESULTS = Path(os.environ.get("NNKIT_RESULTS") or _COMMITTED)
"""Where results go, and where kept weights are read; ``make replicate`` names another folder to begin from zero."""


def load_result(name: str) -> dict[str, Any]:
    """Return what the experiment of that name measured: its ``rows``, ``setup`` and ``provenance``."""
    return read_json(_committed(f"{name}.json"))


def load_store(name: str, *, quiet: bool = False) -> list[dict[str, Any]]:
    """Return the rows of the sweep of that name, and print where they come from unless it should be quiet."""
    rows = load_rows(_committed(f"{name}.jsonl"))
    if not quiet:
        commits, processors = (sorted({row["result"][key] for row in rows}) for key in ("commit", "processor"))
        hours = sum(row["seconds"] for row in rows) / 3600
        print(
            f"python -m book.experiments.{name}: {len(rows)} runs, {hours:.1f} hours of one core"
            f" | commits {', '.join(commits)} | {', '.join(processors)}"
        )
    return rows


def _committed(name: str) -> Path:
    path = _COMMITTED / name
    if not path.is_file():
        raise FileNotFoundError(f"there is no result {path.stem!r}; python -m book.experiments.{path.stem} makes it")
    return path


def load_benchmark() -> dict[str, Any]:
    """Return what the benchmark measured: its own ``rows``, ``profile`` and ``provenance``, and those of its parts."""
    return read_json(BENCHMARK)


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


def record(
    name: str, run: Callable[[], list[dict[str, Any]]], *, setup: dict[str, Any], data: nnkit.Dataset | None = None
) -> Path:
    """Run an experiment and write ``book/results/NAME.json``: the set-up, one row a run, and the provenance.

    The file appears whole or not at all; an older one stays until then.
    """
    refuse_unwritable(RESULTS)
    ran = commit()  # Of the code that runs, whatever is edited meanwhile.
    warn_unless_committed(ran)
    started = time.perf_counter()
    rows = run()
    provenance = {
        "command": f"python -m book.experiments.{name}",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "nnkit": nnkit.__version__,
        "commit": ran,
        "versions": {
            "python": platform.python_version(),
            **{package: importlib.metadata.version(package) for package in ("numpy", "scikit-learn")},
        },
        "seeds": [row["seed"] for row in rows],
        "data": None if data is None else {"name": data.name, "sha256": data_hash(data)},
        "seconds": round(time.perf_counter() - started, 1),
        "processor": processor(),
    }
    # One row a line, so that a change of one run is a change of one line.
    lines = ",\n".join("    " + json.dumps(row) for row in rows)
    head = json.dumps({"provenance": provenance, "setup": setup}, indent=2)[:-2]
    path = RESULTS / f"{name}.json"
    write_whole(path, f'{head},\n  "rows": [\n{lines}\n  ]\n}}\n')
    print(f"{path.name}: {len(rows)} runs in {provenance['seconds']} s")
    return path


def over_seeds(train: Callable[[int], dict[str, Any]], seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Call ``train(seed)`` for every seed, in one process a core with one BLAS thread each; rows in seed order."""
    jobs = (delayed(_single_threaded)(train, seed) for seed in seeds)
    rows = Parallel(n_jobs=-1, return_as="generator")(jobs)
    return list(tqdm(rows, total=len(seeds), unit="run"))


def _single_threaded(train: Callable[[int], dict[str, Any]], seed: int) -> dict[str, Any]:
    with single_threaded():
        return {"seed": seed, **train(seed)}


def on_mnist(setup: dict[str, Any]) -> dict[str, Any]:
    """Return the set-up of a sweep on MNIST, with the name and the hash of the data."""
    data = nnkit.load_mnist()
    return setup | {"data": data.name, "data_sha256": data_hash(data)}


def sweep_cells(
    train: Callable[..., dict[str, Any]],
    cells: Sequence[tuple[dict[str, Any], Sequence[int]]],
    *,
    store: Path,
    setup: dict[str, Any],
) -> list[Row]:
    """Call ``train(**cell, seed=seed)`` on MNIST for every cell and its own seeds; the store keeps each run."""
    setup = on_mnist(setup)
    train = _imported(train)
    return [row for cell, seeds in cells for row in sweep(train, [cell], seeds, store=store, setup=setup)]


def _imported(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function as its module has it, where ``python -m`` runs that module as ``__main__``.

    A worker imports the functions of a module. Those of ``__main__`` it is sent, with all that they use, anew for each
    run: what another one has cached is lost, and a cached function cannot be sent at all.
    """
    spec = sys.modules["__main__"].__spec__
    if function.__module__ != "__main__" or spec is None:
        return function
    return getattr(importlib.import_module(spec.name), function.__name__)


def write_whole(path: Path, text: str) -> None:
    """Write a text file so that nobody ever sees half of it, even if the power fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as file:
        file.write(text.encode())


def refuse_unwritable(folder: Path) -> None:
    """End at once, rather than after the work, where what comes of it could not be written into a folder.

    Raises
    ------
    SystemExit
        If the folder, or the one in which it would have to be made, may not be written.
    """
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        raise SystemExit(
            f"{there} cannot be written: copy the checkout, without .venv and _build, to a folder of your own and run "
            "this there; results alone go to the folder that NNKIT_RESULTS names"
        )
