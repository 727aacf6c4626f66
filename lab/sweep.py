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
from pathlib import Path
from typing import IO, Any

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from joblib.externals.loky.process_executor import TerminatedWorkerError
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from nnkit.checks import whole_number
from nnkit.files import MOST_BYTES, loads, plain

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

Row = dict[str, Any]
Grid = Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]]
Runs = dict[str, tuple[dict[str, Any], int]]  # Key -> (configuration, seed).
Outcomes = Generator[tuple[str, dict[str, Any]], None, None]

_STORE_STARTS = b'{"nnkit_sweep": '
_VERSION = 1
_ONE_THREAD = dict.fromkeys(
    ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)


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

    A run that the store already holds is not done again. So a sweep that was interrupted, whether by Ctrl-C,
    ``kill -9`` or a power cut, goes on where it was when the same call is made again, and sweeps over overlapping
    grids share their runs when they share a store.

    Parameters
    ----------
    train : function
        Trains once and returns a dict of what JSON can hold; NumPy's numbers and arrays become plain ones, and NaN and
        the infinities survive. It must draw all its randomness from `seed`. It is sent to the worker with every run,
        so let it load large data itself rather than carry it along.
    grid : dict of str to sequence, or sequence of dict
        For each name its values, of which every combination is a cell; or the cells themselves, where they do not
        form a grid. A cell that occurs twice is trained once.
    seeds : iterable of int
        The seeds of each cell.
    store : path
        A file of JSON lines, made if there is none.
    setup : dict, optional
        Whatever else determines a run: the epochs, the hash of the data, a version of `train`. The store remembers
        it, and a sweep with another one is refused. Change it when you change what `train` does, because a run is
        known by its configuration, its seed and this, and by nothing else.
    n_jobs : int, default -1
        How many processes; -1 means one a core, and 1 means this very process. A Dask cluster has its own number.
    backend : {"loky", "dask"}, default "loky"
        Where to run: joblib's processes on this machine, or the workers of the ``dask.distributed.Client`` made last.
        These need nnkit as well, and are best started with one thread each.
    retry_failed : bool, default True
        Whether to do the runs again that failed in an earlier sweep.
    progress : bool, default True
        Whether to show a tqdm bar with the time left.

    Returns
    -------
    list of dict
        One row for each cell and seed, the seeds of the first cell first. Each has ``key``, ``config``, ``seed``,
        ``seconds``, and either ``result``, what `train` returned, or ``error`` with its ``type``, ``message`` and
        ``traceback``. They are what the store holds, so a tuple comes back as a list. ``seconds`` is None for a run
        that lost its process.

    Raises
    ------
    ValueError
        If the store was written with another setup, is damaged before its last line, or is no store at all. It is
        then left as it is.
    TypeError
        If a configuration or the setup holds what JSON cannot.
    RuntimeError
        If another sweep is writing to the store at this moment.

    Warns
    -----
    RuntimeWarning
        If runs failed. One that raises, or whose process is killed, stops no other run; its row says why.

    Notes
    -----
    Only the calling process writes. It appends each row in one piece and calls ``fsync`` before it counts the run as
    done, so at most the last line can be torn; the next sweep drops that line and does its run again. Of several rows
    with one key the last counts. The lock is the operating system's and ends with the process; Windows has none here,
    and there the workers of a killed sweep stay until joblib ends what has nothing to do, after some minutes.

    A killed worker breaks joblib's whole pool. The runs that may have been to blame are then done again alone at the
    end, and one that loses its process a second time has failed. Dask does a lost worker's runs again by itself and
    gives a run up when it has lost four workers (its ``allowed-failures``). Such a run too is done again alone, since
    the one beside it may have been to blame. joblib has a backend for Dask, but this waits forever for a run that kills
    its workers, so the runs are given to the client directly.

    Each run's matrix products keep to one thread, in this process, in a worker or on a cluster. Another number of
    threads adds up in another order, so a run has the same bits wherever it is done: on processors of one kind.
    """
    if not callable(train):
        raise TypeError(f"train must be a function; got {train!r}")
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, int) or n_jobs == 0:
        raise ValueError(f"n_jobs must be a whole number other than 0; got {n_jobs!r}")
    if backend not in ("loky", "dask"):
        raise ValueError(f"backend must be 'loky' or 'dask'; got {backend!r}")
    if setup is not None and not isinstance(setup, Mapping):
        raise TypeError(f"setup must be a dict; got {setup!r}")
    plain_setup = plain("setup", setup or {})
    cells = _cells(grid)
    if not isinstance(seeds, Iterable):
        raise TypeError(f"seeds must be a list of whole numbers; got {seeds!r}")
    seeds = [whole_number(f"seeds[{i}]", seed, least=0) for i, seed in enumerate(seeds)]
    if not seeds:
        raise ValueError("seeds must hold at least one seed; got none")
    wanted = [(_key(cell, seed, plain_setup), cell, seed) for cell in cells for seed in seeds]

    with _opened(Path(store), plain_setup) as (file, rows):
        todo: Runs = {}
        for key, cell, seed in wanted:
            if key not in rows or (retry_failed and "error" in rows[key]):
                todo[key] = cell, seed
        total = len({key for key, _, _ in wanted})
        # Smoothing 0 is the mean over all runs: what finishes side by side arrives in bursts.
        bar = tqdm(total=total, initial=total - len(todo), unit="run", desc="sweep", smoothing=0, disable=not progress)
        with bar, closing(_outcomes(train, todo, n_jobs, backend)) as outcomes:
            for key, outcome in outcomes:
                cell, seed = todo[key]
                row = {"key": key, "config": plain("grid", cell), "seed": seed, **outcome}
                rows[key] = loads(_append(file, row))
                bar.update()

    failed = [rows[key] for key in dict.fromkeys(key for key, _, _ in wanted) if "error" in rows[key]]
    if failed:
        first = failed[0]
        warnings.warn(
            f"{len(failed)} of {total} runs failed; the first, {first['config']} with seed {first['seed']}, "
            f"with {first['error']['type']}: {first['error']['message'][:200]}",
            RuntimeWarning,
            stacklevel=2,
        )
    return [rows[key] for key, _, _ in wanted]


def load_rows(store: str | os.PathLike[str]) -> list[Row]:
    """Return the rows of a store, as `sweep` does, but all of them and in the order in which they first appeared.

    It only reads, so it can also look at a sweep that is running; a torn last line is left out.
    """
    path = Path(store)
    with path.open("rb") as file:
        return list(_parse(path, file)[1].values())


def _cells(grid: Any) -> list[dict[str, Any]]:
    if isinstance(grid, Mapping):
        for name, values in grid.items():
            if isinstance(values, (str, bytes)) or not isinstance(values, (Sequence, np.ndarray)):
                raise TypeError(f"grid[{name!r}] must be a list of values; got {values!r}")
        cells = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    elif isinstance(grid, Sequence) and all(isinstance(cell, Mapping) for cell in grid):
        cells = [dict(cell) for cell in grid]
    else:
        raise TypeError(f"grid must be a dict of lists, or a list of dicts; got {grid!r}")
    if not cells:
        raise ValueError(f"grid must have at least one cell; got {grid!r}")
    if any("seed" in cell for cell in cells):
        raise ValueError("grid must not use the name 'seed'; give the seeds as seeds")
    return cells


def _key(config: dict[str, Any], seed: int, setup: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical({"config": plain("grid", config), "seed": seed, "setup": setup})).hexdigest()


# --- Running --------------------------------------------------------------------------------------------------------


def _outcomes(train: Callable[..., Any], runs: Runs, n_jobs: int, backend: str) -> Outcomes:
    """Yield each run's key and outcome as it finishes."""
    # A sweep that is complete needs no workers, and no cluster.
    if not runs or (backend == "loky" and effective_n_jobs(n_jobs) == 1):
        return _here(train, runs)
    if backend == "dask":
        return _on_dask(train, runs)
    return _in_processes(train, runs, effective_n_jobs(n_jobs))


@contextmanager
def single_threaded() -> Iterator[None]:
    """Keep matrix products to one thread, as in each run of a `sweep`; at the end this process has its threads back."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    try:
        with threadpool_limits(1):
            os.environ.update(_ONE_THREAD)  # Libraries that are loaded from now on read these.
            yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _here(train: Callable[..., Any], runs: Runs) -> Outcomes:
    with single_threaded():
        for key, (config, seed) in runs.items():
            yield key, _run(train, config, seed)


def _in_processes(train: Callable[..., Any], runs: Runs, n_jobs: int) -> Outcomes:
    waiting, alone = dict(runs), {}

    def together(keys: Iterable[str]) -> Outcomes:
        jobs = (delayed(_run_in_worker)(key, train, *runs[key], os.getpid()) for key in keys)
        # Batches of one and in any order, so that no finished run waits for another one to be written.
        return Parallel(n_jobs=n_jobs, backend="loky", batch_size=1, return_as="generator_unordered")(jobs)

    while waiting:
        try:
            with closing(together(list(waiting))) as finished:
                for key, outcome in finished:
                    del waiting[key]
                    yield key, outcome
        except TerminatedWorkerError:
            # They start in order, so the run that lost its process is among the first ones.
            for key in list(waiting)[:n_jobs]:
                alone[key] = waiting.pop(key)
    for key in alone:
        try:
            yield from together([key])
        except TerminatedWorkerError as error:
            yield key, {"seconds": None, **_failure(error)}


def _on_dask(train: Callable[..., Any], runs: Runs) -> Outcomes:
    try:
        from distributed import KilledWorker, as_completed, get_client
    except ImportError as error:
        raise ImportError("backend 'dask' needs dask.distributed: pip install 'nnkit[dask]'") from error
    try:
        client = get_client()
    except ValueError as error:
        raise ValueError(
            "backend 'dask' needs a client: make one with dask.distributed.Client(address of the scheduler)"
        ) from error
    # Not pure: else Dask could hand out what an earlier version of train has returned.
    keys = {client.submit(_run, train, *run, pure=False): key for key, run in runs.items()}
    alone = []
    # With results: each is fetched as soon as it is there, while one whose worker is lost in between is done again.
    for future, outcome in as_completed(list(keys), with_results=True, raise_errors=False):
        if isinstance(outcome, BaseException):  # The cluster is gone.
            raise outcome
        key = keys.pop(future)
        failed = future.status == "error"
        future.release()  # Else Dask does it again when the worker that holds its result is lost.
        if not failed:
            yield key, outcome
        elif isinstance(outcome[1], KilledWorker):
            alone.append(key)  # It, or a run that shared its workers, has killed several of them.
        else:
            raise outcome[1]
    for key in alone:
        future = client.submit(_run, train, *runs[key], pure=False)
        try:
            yield key, future.result()
        except KilledWorker as error:
            yield key, {"seconds": None, **_failure(error)}
        finally:
            future.release()


def _run(train: Callable[..., Any], config: dict[str, Any], seed: int) -> dict[str, Any]:
    """Return the part of a row that a run determines."""
    # For good rather than inside `single_threaded`: threads that share a worker would undo each other's limits.
    os.environ.update(_ONE_THREAD)
    threadpool_limits(1)
    started = time.perf_counter()
    try:
        result = train(**config, seed=seed)
        if not isinstance(result, Mapping):
            raise TypeError(f"train must return a dict; got {type(result).__name__}")
        outcome = {"result": plain("result", result)}
    except (Exception, SystemExit) as error:
        outcome = _failure(error)
    return {"seconds": round(time.perf_counter() - started, 3), **outcome}


def _failure(error: BaseException) -> dict[str, Any]:
    text = "".join(traceback.format_exception(error, limit=-10))
    if len(text) > 5000:
        text = f"{text[:2500]}\n...\n{text[-2500:]}"
    return {"error": {"type": type(error).__name__, "message": str(error)[:2000], "traceback": text}}


def _run_in_worker(
    key: str, train: Callable[..., Any], config: dict[str, Any], seed: int, parent: int
) -> tuple[str, dict[str, Any]]:
    if not any(thread.name == "end with parent" for thread in threading.enumerate()):
        threading.Thread(target=_end_with, args=(parent,), name="end with parent", daemon=True).start()
    return key, _run(train, config, seed)


def _end_with(parent: int) -> None:
    """End this process soon after its parent, which would have written its rows: joblib's workers stay otherwise."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


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
                raise RuntimeError(
                    f"store must not be in use; another sweep is writing to {path}. Wait for it, or give another path"
                ) from None
        stored_setup, rows, end = _parse(path, file)
        if stored_setup is not None:
            _check_setup(path, stored_setup, setup)
        if end < file.seek(0, os.SEEK_END):
            file.truncate(end)
        if stored_setup is None:
            _append(file, {"nnkit_sweep": _VERSION, "setup": setup})
        yield file, rows


def _append(file: IO[bytes], record: dict[str, Any]) -> bytes:
    line = json.dumps(record, allow_nan=False).encode() + b"\n"
    if len(line) > MOST_BYTES and "result" in record:
        error = ValueError(f"result must have at most {MOST_BYTES} bytes as JSON; its row has {len(line)}")
        return _append(file, {name: value for name, value in record.items() if name != "result"} | _failure(error))
    if len(line) > MOST_BYTES:
        raise ValueError(f"setup and the cells of grid must have at most {MOST_BYTES} bytes as JSON; got {len(line)}")
    file.write(line)
    file.flush()
    os.fsync(file.fileno())
    return line


def _parse(path: Path, file: IO[bytes]) -> tuple[dict[str, Any] | None, dict[str, Row], int]:
    """Return a store's setup, the latest row under each key, and how many bytes of it are whole.

    The setup is None where not even the first line is whole.
    """
    file.seek(0)
    begins = file.read(40)
    if not begins.startswith(_STORE_STARTS) and not _STORE_STARTS.startswith(begins):
        raise ValueError(f"store must be the file of a sweep, or none yet; {path} begins with {begins!r}")
    file.seek(0)
    setup, rows, end = None, {}, 0
    for number, line in enumerate(iter(lambda: file.readline(MOST_BYTES + 1), b""), 1):
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
            # The disk may have kept the end of the last line without its middle.
            if not file.read(1):
                break
            raise ValueError(
                f"store must be whole up to its last line; line {number} of {path} is not a row: {line[:40]!r}"
            ) from None
        if number == 1 and version != _VERSION:
            raise ValueError(f"store must be of version {_VERSION}; {path} is of version {version}")
        end += len(line)
    return setup, rows, end


def _checked(row: Row) -> Row:
    """Return a row that is one as `sweep` writes it, or raise an error."""
    kinds: dict[str, Any] = {"key": str, "config": dict, "seed": int, "seconds": (int, float, type(None))}
    outcome = row["error"] if "error" in row else row["result"]
    if not all(isinstance(row[name], kind) for name, kind in kinds.items()) or not isinstance(outcome, dict):
        raise TypeError("it is no row")
    return row


def _check_setup(path: Path, there: dict[str, Any], here: dict[str, Any]) -> None:
    def text(setup: dict[str, Any], name: str) -> str:
        return _canonical(setup[name]).decode() if name in setup else "missing"

    names = [name for name in here | there if text(here, name) != text(there, name)]
    if names:
        differences = "; ".join(f"{name!r} is {text(there, name)} there, {text(here, name)} here" for name in names)
        raise ValueError(
            f"setup must be the one that {path} was written with: {differences}. Give another store, or that setup"
        )


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
