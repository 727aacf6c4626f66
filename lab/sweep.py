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

from nnkit.checks import instance, whole_number
from nnkit.files import MOST_BYTES, loads, plain

try:
    from joblib import Parallel, delayed, effective_n_jobs
    from joblib.externals.loky.process_executor import TerminatedWorkerError
    from threadpoolctl import threadpool_limits
    from tqdm.auto import tqdm
except ImportError as error:
    raise ImportError("sweeps need three packages: pip install joblib threadpoolctl tqdm") from error

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

Row = dict[str, Any]
Grid = Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]]
Runs = dict[str, tuple[dict[str, Any], int]]  # Key -> (configuration, seed).
Outcomes = Generator[tuple[str, Any], None, None]

_HEADER = b'{"nnkit_sweep": '
_VERSION = 1
_MOST_IN_RESULT = MOST_BYTES // 2
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def sweep(
    train: Callable[..., Mapping[str, Any]],
    grid: Grid,
    seeds: Iterable[int],
    *,
    store: str | os.PathLike[str],
    setup: Mapping[str, Any] | None = None,
    n_jobs: int = -1,
    backend: str = "loky",
    retry_failed: bool = True,
    progress: bool = True,
) -> list[Row]:
    """Call ``train(**config, seed=seed)`` for every cell of a grid and every seed; keep each run as it finishes.

    Runs that the store already holds are not repeated. So after Ctrl-C, ``kill -9`` or a power cut the same call goes
    on where the sweep was, and overlapping grids share their runs in one store.

    Parameters
    ----------
    train : function
        Trains once, drawing all randomness from `seed`, and returns a dict of what JSON can hold, NumPy numbers and
        arrays, NaN and the infinities. It is sent with every run, so it should load large data itself.
    grid : dict of str to sequence, or sequence of dict
        The values of each name, every combination of which is a cell, or the cells themselves.
    seeds : iterable of int
        The seeds of each cell.
    store : path
        A file of JSON lines, created if it does not exist.
    setup : dict, optional
        Whatever else determines a run: the epochs, the hash of the data, a version of `train`. The store refuses a
        sweep with another setup, so change it when you change what `train` does.
    n_jobs : int, default -1
        The number of processes; -1 means one for each core, 1 this process. A Dask cluster has its own number.
    backend : {"loky", "dask"}, default "loky"
        Where to run: joblib's processes, or the workers of the latest ``dask.distributed.Client``, which need this
        package too, and one thread each.
    retry_failed : bool, default True
        Whether to repeat runs that failed in an earlier sweep.
    progress : bool, default True
        Whether to show a tqdm bar with the time left.

    Returns
    -------
    list of dict
        One row for each cell and seed, in order, as the store holds them: ``key``, ``config``, ``seed``, ``seconds``,
        and either ``result`` or ``error`` with its ``type``, ``message`` and ``traceback``. ``seconds`` is None for a
        run that lost its process.

    Raises
    ------
    ValueError
        If the store has another setup, is damaged before its last line, or is not a store; it is left as it is.
    TypeError
        If a configuration or the setup holds what JSON cannot.
    RuntimeError
        If another sweep is writing to the store now; on Windows nothing locks it.

    Warns
    -----
    RuntimeWarning
        If runs failed. One that raises, or loses its process twice, the second time alone, stops no other.

    Notes
    -----
    Only the calling process writes. It appends each row in one piece and calls ``fsync`` before it counts the run as
    done, so at most the last line can be torn, which the next sweep drops. Matrix products in a run use one thread,
    since another number adds in another order: so a run has the same bits here, in a worker or on a cluster.
    """
    if not callable(train):
        raise TypeError(f"train must be a function; got {train!r}")
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, int) or n_jobs == 0:
        raise ValueError(f"n_jobs must be a whole number other than 0; got {n_jobs!r}")
    if backend not in ("loky", "dask"):
        raise ValueError(f"backend must be 'loky' or 'dask'; got {backend!r}")
    instance("setup", {} if setup is None else setup, Mapping, "a dict")
    fixed: dict[str, Any] = plain("setup", setup or {})
    wanted = [(_key(cell, seed, fixed), cell, seed) for cell, seed in itertools.product(_cells(grid), _seeds(seeds))]
    runs: Runs = {key: (cell, seed) for key, cell, seed in wanted}

    with _opened(Path(store), fixed) as (file, rows):
        todo = {key: run for key, run in runs.items() if key not in rows or (retry_failed and "error" in rows[key])}
        done = len(runs) - len(todo)
        # Smoothing 0 is the mean over all runs: those that run side by side finish in bursts.
        bar = tqdm(total=len(runs), initial=done, unit="run", desc="sweep", smoothing=0, disable=not progress)
        with bar, closing(_outcomes(train, todo, n_jobs, backend)) as outcomes:
            for key, outcome in outcomes:
                config, seed = todo[key]
                rows[key] = _append(file, {"key": key, "config": plain("grid", config), "seed": seed, **outcome})
                bar.update()

    failed = [rows[key] for key in runs if "error" in rows[key]]
    if failed:
        config, seed, error = (failed[0][name] for name in ("config", "seed", "error"))
        warnings.warn(
            f"{len(failed)} of {len(runs)} runs failed; the first, {config} with seed {seed}, with {error['type']}: "
            f"{error['message'][:200]}",
            RuntimeWarning,
            stacklevel=2,
        )
    return [rows[key] for key, _, _ in wanted]


def load_rows(store: str | os.PathLike[str]) -> list[Row]:
    """Return all rows of a store, as `sweep` does but in the order in which they first appeared.

    It only reads, so it can also look at a running sweep; a torn last line is left out.
    """
    path = Path(store)
    with path.open("rb") as file:
        return list(_parse(path, file)[1].values())


def _cells(grid: Any) -> list[dict[str, Any]]:
    if isinstance(grid, Mapping):
        for name, values in grid.items():
            if isinstance(values, (str, bytes)) or not isinstance(values, (Sequence, np.ndarray)):
                raise TypeError(f"grid[{name!r}] must be a list of values; got {values!r}")
        grid = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    if not isinstance(grid, Sequence) or not all(isinstance(cell, Mapping) for cell in grid):
        raise TypeError(f"grid must be a dict of lists, or a list of dicts; got {grid!r}")
    if not grid or any("seed" in cell for cell in grid):
        raise ValueError(f"grid must have at least one cell, and not the name 'seed', which seeds has; got {grid!r}")
    return [dict(cell) for cell in grid]


def _seeds(seeds: Any) -> list[int]:
    instance("seeds", seeds, Iterable, "a list of whole numbers")
    found = [whole_number(f"seeds[{i}]", seed, least=0) for i, seed in enumerate(seeds)]
    if not found:
        raise ValueError("seeds must hold at least one seed; got none")
    return found


def _key(config: dict[str, Any], seed: int, setup: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical({"config": plain("grid", config), "seed": seed, "setup": setup})).hexdigest()


# --- Running --------------------------------------------------------------------------------------------------------


def _outcomes(train: Callable[..., Any], runs: Runs, n_jobs: int, backend: str) -> Outcomes:
    """Yield each run's key and the rest of its row as it finishes; a run that loses its process is repeated alone."""
    if not runs:
        return  # A sweep that is complete needs no workers, and no cluster.
    n_jobs = effective_n_jobs(n_jobs)
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


def _in_processes(train: Callable[..., Any], runs: Runs, n_jobs: int) -> Outcomes:
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


def _on_dask(train: Callable[..., Any], runs: Runs) -> Outcomes:
    # Not through joblib's own backend for Dask, which waits forever for a run that kills its workers.
    try:
        from distributed import KilledWorker, as_completed, get_client
    except ImportError as error:
        raise ImportError("backend 'dask' needs dask.distributed: pip install distributed") from error
    try:
        client = get_client()
    except ValueError as error:
        raise ValueError("backend 'dask' needs a client: make one with dask.distributed.Client(address)") from error
    # Pure functions Dask may not run at all, but return what an older version of train has returned.
    keys = {client.submit(_run, key, train, *run, pure=False): key for key, run in runs.items()}
    # With results: each is fetched as soon as it is there, while one whose worker is lost in between is done again.
    for future, outcome in as_completed(list(keys), with_results=True, raise_errors=False):
        if isinstance(outcome, BaseException):  # The cluster is gone.
            raise outcome
        key, failed = keys.pop(future), future.status == "error"
        future.release()  # Otherwise Dask repeats it when the worker that holds its result is lost.
        if failed and not isinstance(outcome[1], KilledWorker):
            raise outcome[1]
        yield (key, outcome[1]) if failed else outcome  # Its workers were killed, by it or by a run beside it.


def _run(
    key: str, train: Callable[..., Any], config: dict[str, Any], seed: int, parent: int | None = None
) -> tuple[str, dict[str, Any]]:
    """Return the key and the part of a row that a run determines."""
    if parent is not None:
        _end_with(parent)
    # For good rather than inside `single_threaded`: threads that share a worker would undo each other's limits.
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    threadpool_limits(1)
    started = time.perf_counter()
    try:
        result = train(**config, seed=seed)
        if not isinstance(result, Mapping):
            raise TypeError(f"train must return a dict; got {type(result).__name__}")
        outcome = {"result": plain("result", result)}
        if (size := len(_canonical(outcome))) > _MOST_IN_RESULT:
            raise ValueError(f"result must have at most {_MOST_IN_RESULT} bytes as JSON; got {size}")
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


# --- The store ------------------------------------------------------------------------------------------------------


@contextmanager
def _opened(path: Path, setup: dict[str, Any]) -> Iterator[tuple[IO[bytes], dict[str, Row]]]:
    """Open a store for this process alone, ready to append, with the latest row under each key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RuntimeError(f"store must not be in use; another sweep is writing to {path}") from None
        stored_setup, rows, end = _parse(path, file)
        if stored_setup is not None:
            _check_setup(path, stored_setup, setup)
        if end < file.seek(0, os.SEEK_END):
            file.truncate(end)
        if stored_setup is None:
            _append(file, {"nnkit_sweep": _VERSION, "setup": setup})
        yield file, rows


def _append(file: IO[bytes], record: dict[str, Any]) -> Row:
    """Write a line that survives a power cut, and return what reading it will give."""
    line = json.dumps(record, allow_nan=False).encode() + b"\n"
    if len(line) > MOST_BYTES:
        raise ValueError(f"setup and the cells of grid must have at most {MOST_BYTES} bytes as JSON; got {len(line)}")
    file.write(line)
    file.flush()
    os.fsync(file.fileno())
    return loads(line)


def _parse(path: Path, file: IO[bytes]) -> tuple[dict[str, Any] | None, dict[str, Row], int]:
    """Return a store's setup (None if its first line is not whole), its rows, and how many bytes are whole."""
    file.seek(0)
    setup, rows, end = None, {}, 0
    for number, line in enumerate(iter(lambda: file.readline(MOST_BYTES + 1), b""), 1):
        if number == 1 and not line.startswith(_HEADER) and not _HEADER.startswith(line):
            raise ValueError(f"store must be the file of a sweep, or none yet; {path} begins with {line[:40]!r}")
        if len(line) > MOST_BYTES:
            raise ValueError(f"store must hold lines of at most {MOST_BYTES} bytes; line {number} of {path} has more")
        if not line.endswith(b"\n"):
            break
        try:
            record = loads(line)
            if number == 1:
                setup, version = plain("setup", dict(record["setup"])), record["nnkit_sweep"]
            else:
                rows[record["key"]] = _checked(record)
        except (ValueError, TypeError, KeyError):
            if not file.read(1):  # The disk may have kept the end of the last line without its middle.
                break
            what = f"line {number} of {path} is not a row: {line[:40]!r}"
            raise ValueError(f"store must be whole up to its last line; {what}") from None
        if number == 1 and version != _VERSION:
            raise ValueError(f"store must be of version {_VERSION}; {path} is of version {version}")
        end += len(line)
    return setup, rows, end


def _checked(row: Row) -> Row:
    """Return a row if it is as `sweep` writes it, or raise an error."""
    kinds: dict[str, Any] = {"key": str, "config": dict, "seed": int, "seconds": (int, float, type(None))}
    outcome = row["error"] if "error" in row else row["result"]
    if not all(isinstance(row[name], kind) for name, kind in kinds.items()) or not isinstance(outcome, dict):
        raise TypeError("not a row")
    return row


def _check_setup(path: Path, stored: dict[str, Any], given: dict[str, Any]) -> None:
    there, here = ({name: _canonical(value).decode() for name, value in setup.items()} for setup in (stored, given))
    names = [name for name in here | there if here.get(name) != there.get(name)]
    if names:
        both = (f"{name!r} is {there.get(name, 'missing')} there, {here.get(name, 'missing')} here" for name in names)
        raise ValueError(f"setup must be the one of {path}, or store another file: {'; '.join(both)}")


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
