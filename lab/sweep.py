"""Sweeps: every cell of a grid under every seed, in parallel, with each finished run safe on disk."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cache, partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from lab import needed_by
from nnkit.checks import instance, whole_number
from nnkit.files import MOST_BYTES, loads, locked, plain

with needed_by(__name__):
    from joblib import Parallel, delayed, effective_n_jobs
    from joblib.externals.loky.process_executor import TerminatedWorkerError
    from threadpoolctl import threadpool_limits
    from tqdm.auto import tqdm

Row = dict[str, Any]
Train = Callable[..., Mapping[str, Any]]
Runs = dict[str, tuple[dict[str, Any], int]]  # Key -> (configuration, seed).
Outcomes = Generator[tuple[str, Any], None, None]

_HEADER = b'{"nnkit_sweep": 1, '  # 1 is the version of the format.
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def sweep(
    train: Train,
    grid: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]],
    seeds: Iterable[int],
    *,
    store: str | os.PathLike[str],
    setup: Mapping[str, Any] | None = None,
    n_jobs: int = -1,
    backend: str = "loky",
    progress: bool = True,
) -> list[Row]:
    """Call ``train(**config, seed=seed)`` for every cell of a grid and every seed; keep each run as it finishes.

    Runs that the store already holds are not repeated: after Ctrl-C or a power cut the same call resumes the sweep, and
    overlapping grids share their runs. A run that raises, or loses its process twice, stops no other: it is recorded,
    counted in a RuntimeWarning, and repeated by the next sweep. Matrix products in a run use one thread, since another
    number adds in another order; so a run has the same bits here, in a worker or on a cluster.

    Parameters
    ----------
    train : function
        Draws all randomness from `seed`, and returns a dict of what JSON can hold, NumPy numbers and arrays, NaN and
        the infinities. It is sent with every run, so it should load large data itself.
    grid : dict of str to sequence, or sequence of dict
        The values of each name, every combination of which is a cell, or the cells themselves.
    seeds : iterable of int
    store : path
        A file of JSON lines, created if it does not exist. If its last line is torn, that run is repeated; other damage
        is a ValueError, and another sweep that writes to it now a RuntimeError (on Windows nothing locks it).
    setup : dict, optional
        Whatever else determines a run, such as a version of `train`. The store refuses a sweep with another setup.
    n_jobs : int, default -1
        The number of processes; -1 means one for each core, 1 this process. A Dask cluster has its own number.
    backend : {"loky", "dask"}, default "loky"
        joblib's processes, or the workers of the latest ``dask.distributed.Client``, which need this package too.
    progress : bool, default True
        Whether to show a bar with the time left.

    Returns
    -------
    list of dict
        One row for each cell and seed, in order: ``key``, ``config``, ``seed``, ``seconds`` (None for a run that lost
        its process), and either ``result`` or ``error`` with its ``type``, ``message`` and ``traceback``.
    """
    if not callable(train):
        raise TypeError(f"train must be a function; got {train!r}")
    n_jobs = effective_n_jobs(whole_number("n_jobs", n_jobs, least=-1))
    if backend not in ("loky", "dask"):
        raise ValueError(f"backend must be 'loky' or 'dask'; got {backend!r}")
    instance("setup", {} if setup is None else setup, Mapping, "a dict")
    fixed: dict[str, Any] = plain("setup", setup or {})
    instance("seeds", seeds, Iterable, "a list of whole numbers")
    seeds = [whole_number(f"seeds[{i}]", seed, least=0) for i, seed in enumerate(seeds)]
    wanted = [(_key(cell, seed, fixed), (cell, seed)) for cell in _cells(grid) for seed in seeds]
    if not wanted:
        raise ValueError(f"grid and seeds must give at least one run; got {grid!r} and {seeds}")
    runs: Runs = dict(wanted)

    with _opened(Path(store), fixed) as (file, rows):
        todo = {key: run for key, run in runs.items() if key not in rows or "error" in rows[key]}
        # Smoothing 0 is the mean over all runs: those that run side by side finish in bursts.
        bar = tqdm(total=len(runs), initial=len(runs) - len(todo), unit="run", smoothing=0, disable=not progress)
        with bar, closing(_outcomes(train, todo, n_jobs, backend)) as outcomes:
            for key, outcome in outcomes:
                config, seed = todo[key]
                rows[key] = _append(file, {"key": key, "config": plain("grid", config), "seed": seed, **outcome})
                bar.update()

    if failed := [rows[key] for key in runs if "error" in rows[key]]:
        config, seed, error = (failed[0][name] for name in ("config", "seed", "error"))
        first = f"{config} with seed {seed}, with {error['type']}: {error['message'][:200]}"
        warnings.warn(f"{len(failed)} of {len(runs)} runs failed; the first, {first}", RuntimeWarning, stacklevel=2)
    return [rows[key] for key, _ in wanted]


def load_rows(store: str | os.PathLike[str]) -> list[Row]:
    """Return all rows of a store, in the order in which they first appeared; a sweep may be writing to it."""
    with Path(store).open("rb") as file:
        return list(_parse(file)[1].values())


def _cells(grid: Any) -> list[dict[str, Any]]:
    if isinstance(grid, Mapping) and all(isinstance(each, (list, tuple, range, np.ndarray)) for each in grid.values()):
        grid = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    if not isinstance(grid, Sequence) or not all(isinstance(cell, Mapping) and "seed" not in cell for cell in grid):
        raise TypeError(f"grid must be a dict of lists, or a list of dicts, without the name 'seed'; got {grid!r}")
    return [dict(cell) for cell in grid]


def _key(cell: dict[str, Any], seed: int, setup: dict[str, Any]) -> str:
    run = {"config": plain("grid", cell), "seed": seed, "setup": setup}
    return hashlib.sha256(_canonical(run).encode()).hexdigest()


def _outcomes(train: Train, runs: Runs, n_jobs: int, backend: str) -> Outcomes:
    """Yield each run's key and the rest of its row as it finishes; a run that loses its process is repeated alone."""
    if not runs:
        return  # A sweep that is complete needs no workers, and no cluster.
    if backend == "loky" and n_jobs == 1:
        with single_threaded():
            yield from (_run(key, train, *run) for key, run in runs.items())
        return
    start = partial(_on_dask, train) if backend == "dask" else partial(_in_processes, train, n_jobs=n_jobs)
    lost = {}
    with closing(start(runs)) as finished:
        for key, outcome in finished:
            if isinstance(outcome, Exception):
                lost[key] = runs[key]
            else:
                yield key, outcome
    for key, run in lost.items():
        for _, outcome in start({key: run}):
            yield key, {"seconds": None, **_failure(outcome)} if isinstance(outcome, Exception) else outcome


@contextmanager
def single_threaded() -> Iterator[None]:
    """Let matrix products use one thread, as in each run of a `sweep`; restore this process's threads at the end."""
    before = {name: os.environ[name] for name in _THREADS if name in os.environ}
    try:
        with threadpool_limits(1):
            os.environ.update(dict.fromkeys(_THREADS, "1"))  # For libraries that are loaded from now on.
            yield
    finally:
        for name in _THREADS:
            os.environ.pop(name, None)
        os.environ.update(before)


def _in_processes(train: Train, runs: Runs, n_jobs: int) -> Outcomes:
    waiting = dict(runs)
    while waiting:
        jobs = (delayed(_run)(key, train, *run, parent=os.getpid()) for key, run in list(waiting.items()))
        # Batches of one and in any order, so that no finished run waits for another one to be written.
        parallel = Parallel(n_jobs=n_jobs, backend="loky", batch_size=1, return_as="generator_unordered")
        try:
            with closing(parallel(jobs)) as finished:
                for key, outcome in finished:
                    del waiting[key]
                    yield key, outcome
        except TerminatedWorkerError as error:
            # The whole pool is gone. Runs start in order, so the one to blame is among the first.
            for key in list(waiting)[:n_jobs]:
                del waiting[key]
                yield key, error


def _on_dask(train: Train, runs: Runs) -> Outcomes:
    # Not through joblib's own backend for Dask, which waits forever for a run that kills its workers.
    with needed_by("backend='dask'"):
        from distributed import as_completed, get_client
    client = get_client()
    # Pure functions Dask may not run at all, but return what an older version of train has returned.
    keys = {client.submit(_run, key, train, *run, pure=False): key for key, run in runs.items()}
    # With results: each is fetched as soon as it is there, while one whose worker is lost in between is done again.
    for future, outcome in as_completed(list(keys), with_results=True, raise_errors=False):
        if isinstance(outcome, BaseException):  # The cluster is gone.
            raise outcome
        key, failed = keys.pop(future), future.status == "error"
        future.release()  # Otherwise Dask repeats it when the worker that holds its result is lost.
        yield (key, outcome[1]) if failed else outcome  # Mostly killed with its worker, by itself or a run beside it.


def _run(key: str, train: Train, config: Row, seed: int, parent: int | None = None) -> tuple[str, Row]:
    """Return the key and the part of a row that a run determines."""
    if parent is not None:
        _end_with(parent)
    # For good rather than inside `single_threaded`: threads that share a worker would undo each other's limits.
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    threadpool_limits(1)
    started = time.perf_counter()
    try:
        result = train(**config, seed=seed)
        instance("what train returns", result, Mapping, "a dict")
        outcome = {"result": plain("result", result)}
        if (size := len(_canonical(outcome))) > MOST_BYTES // 2:
            raise ValueError(f"result must have at most {MOST_BYTES // 2} bytes as JSON; got {size}")
    except (Exception, SystemExit) as error:
        outcome = _failure(error)
    return key, {"seconds": round(time.perf_counter() - started, 3), **outcome}


def _failure(error: BaseException) -> dict[str, Any]:
    text = "".join(traceback.format_exception(error, limit=-10))
    return {"error": {"type": type(error).__name__, "message": str(error)[:2000], "traceback": text[:5000]}}


@cache
def _end_with(parent: int) -> None:
    """Let this worker end soon after its parent, which alone writes rows; joblib's workers would go on."""

    def wait() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


@contextmanager
def _opened(path: Path, setup: dict[str, Any]) -> Iterator[tuple[IO[bytes], dict[str, Row]]]:
    """Open a store for this process alone, ready to append, with the latest row under each key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        try:
            locked(file)
        except BlockingIOError:
            raise RuntimeError(f"store must not be in use; another sweep is writing to {path}") from None
        stored, rows, end = _parse(file)
        if stored is not None:
            there, here = ({f"{name}={_canonical(value)}" for name, value in both.items()} for both in (stored, setup))
            if there != here:
                raise ValueError(
                    f"setup must be that of {path}; there {sorted(there - here)}, here {sorted(here - there)}"
                )
        file.truncate(end)
        if stored is None:
            _append(file, {"nnkit_sweep": 1, "setup": setup})
        yield file, rows


def _append(file: IO[bytes], record: dict[str, Any]) -> Row:
    """Write a line that survives a power cut, and return what reading it will give."""
    line = json.dumps(record, allow_nan=False).encode() + b"\n"
    row = loads(line)
    file.write(line)
    file.flush()
    os.fsync(file.fileno())
    return row


def _parse(file: IO[bytes]) -> tuple[dict[str, Any] | None, dict[str, Row], int]:
    """Return a store's setup (None if its first line is not whole), its rows, and how many bytes are whole."""
    file.seek(0)
    setup, rows, end = None, {}, 0
    for number, line in enumerate(iter(lambda: file.readline(MOST_BYTES + 1), b""), 1):
        if number == 1 and not (line.startswith(_HEADER) or _HEADER.startswith(line)):
            raise ValueError(f"store must be of a sweep, version 1, or none yet; {file.name} begins with {line[:40]!r}")
        if not line.endswith(b"\n") and len(line) <= MOST_BYTES:
            break
        try:
            record = loads(line)
        except (ValueError, TypeError):
            record = None
        match record:
            case {"setup": dict() as stored} if number == 1:
                setup = plain("setup", stored)
            case {"key": str() as key, "config": dict(), "seed": int(), "seconds": int() | float() | None, **rest} if (
                isinstance(rest.get("error", rest.get("result")), dict)
            ):
                rows[key] = record
            case _:
                if not file.read(1):  # The disk may have kept the end of the last line without its middle.
                    break
                raise ValueError(f"store must hold a row in each line; line {number} of {file.name} is {line[:40]!r}")
        end += len(line)
    return setup, rows, end


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
