"""Run experiments over seeds or the cells of a sweep, and store them with their provenance in ``book/results``."""

from __future__ import annotations

import datetime
import importlib
import json
import platform
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed
from tqdm import tqdm

import nnkit as nn
from lab import results
from lab.provenance import commit, data_hash, processor, rules_beside, stamp, warn_unless_committed
from lab.sweep import Row, single_threaded, sweep

EXPERIMENTS = Path(__file__).resolve().parents[1]


def record(
    name: str, run: Callable[[], list[dict[str, Any]]], *, setup: dict[str, Any], data: nn.Dataset | None = None
) -> Path:
    """Run an experiment and write ``book/results/NAME.json`` in one piece: setup, one row per run, and provenance."""
    results.refuse_unwritable(results.RESULTS)
    ran = commit()  # Before the run, since the code may be edited in the meantime.
    warn_unless_committed(ran)
    module = EXPERIMENTS / f"{name}.py"
    rules = stamp(module) if rules_beside(module).is_file() else {}
    started = time.perf_counter()
    rows = run()
    provenance = {
        "command": f"python -m book.experiments.{name}",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "nnkit": nn.__version__,
        "commit": ran,
        "versions": {
            "python": platform.python_version(),
            **{package: version(package) for package in ("numpy", "scikit-learn")},
        },
        "seeds": [row["seed"] for row in rows],
        "data": None if data is None else {"name": data.name, "sha256": data_hash(data)},
        "seconds": round(time.perf_counter() - started, 1),
        "processor": processor(),
        **rules,
    }
    # One row per line, so that changing one run changes one line.
    lines = ",\n".join("    " + json.dumps(row) for row in rows)
    head = json.dumps({"provenance": provenance, "setup": setup}, indent=2)[:-2]
    path = results.RESULTS / f"{name}.json"
    results.write_whole(path, f'{head},\n  "rows": [\n{lines}\n  ]\n}}\n')
    print(f"{path.name}: {len(rows)} runs in {provenance['seconds']} s")
    return path


def over_seeds(train: Callable[[int], dict[str, Any]], seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Call ``train(seed)`` for every seed, with one process per core and one BLAS thread each; rows in seed order."""
    jobs = (delayed(_single_threaded)(train, seed) for seed in seeds)
    return list(tqdm(Parallel(n_jobs=-1, return_as="generator")(jobs), total=len(seeds), unit="run"))


def _single_threaded(train: Callable[[int], dict[str, Any]], seed: int) -> dict[str, Any]:
    with single_threaded():
        return {"seed": seed, **train(seed)}


def on_mnist(setup: dict[str, Any]) -> dict[str, Any]:
    """Return the setup of a sweep on MNIST, with the name and hash of the data."""
    data = nn.load_mnist()
    return setup | {"data": data.name, "data_sha256": data_hash(data)}


def sweep_cells(
    train: Callable[..., dict[str, Any]],
    cells: Sequence[tuple[dict[str, Any], Sequence[int]]],
    *,
    store: Path,
    setup: dict[str, Any],
) -> list[Row]:
    """Call ``train(**cell, seed=seed)`` on MNIST for each cell and its seeds; the store keeps each run."""
    setup, train = on_mnist(setup), _imported(train)
    return [row for cell, seeds in cells for row in sweep(train, [cell], seeds, store=store, setup=setup)]


def sweep_by_seed(
    train: Callable[..., dict[str, Any]], grid: Any, seeds: Sequence[int], *, store: Path, setup: dict[str, Any]
) -> list[Row]:
    """Call ``train`` on MNIST for every cell of a grid, the first seed before the second, so that it stops even."""
    setup, train = on_mnist(setup), _imported(train)
    return [row for seed in seeds for row in sweep(train, grid, [seed], store=store, setup=setup)]


def _imported(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function from its importable module if ``python -m`` runs that module as ``__main__``.

    A worker imports a module's functions once. Functions of ``__main__`` are instead pickled for every run, so their
    caches are lost, and a cached function cannot be pickled at all.
    """
    spec = sys.modules["__main__"].__spec__
    if function.__module__ != "__main__" or spec is None:
        return function
    return getattr(importlib.import_module(spec.name), function.__name__)
