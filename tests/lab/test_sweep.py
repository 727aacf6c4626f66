"""Sweeps: nothing is lost or done twice, whatever is killed, torn, changed or raised in between."""

from __future__ import annotations

import contextlib
import functools
import json
import math
import os
import re
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

joblib = pytest.importorskip("joblib")
pytest.importorskip("tqdm")
threadpoolctl = pytest.importorskip("threadpoolctl")

from lab import sweep as engine  # noqa: E402
from lab.sweep import load_rows, sweep  # noqa: E402
from tests.patience import PATIENCE, wait_until  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
GRID = {"a": [1, 2, 3], "b": [10, 20]}

# What every process of the tests below runs: each run leaves a mark when it starts and when it ends.
SCRIPT_BEGINS = """
import os, signal, sys, time
from pathlib import Path
from lab.sweep import sweep

FOLDER = Path(sys.argv[1])
signal.signal(signal.SIGINT, signal.default_int_handler)  # A shell's background jobs are started deaf to it.

def mark(name, text=""):
    with open(FOLDER / name, "a") as file:
        file.write(f"{text}\\n")

def wait_for(name):
    while not (FOLDER / name).exists():
        time.sleep(0.02)
"""


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store.jsonl"


@pytest.fixture
def start(tmp_path):
    """Return a function that starts a Python script, with a log of what it says; it is killed at the end."""
    if not hasattr(os, "killpg"):
        pytest.skip("Windows has no groups of processes that end together")
    processes = []

    def start(code, *arguments, **environment):
        script = tmp_path / "script.py"
        script.write_text(SCRIPT_BEGINS + code, encoding="utf-8")
        command = [sys.executable, str(script), str(tmp_path), *arguments]
        pythonpath = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        environment = os.environ | {"PYTHONPATH": pythonpath} | environment
        log = tmp_path / f"log-{len(processes)}"
        with log.open("w") as said:
            process = subprocess.Popen(command, env=environment, stderr=said, start_new_session=True)
        process.log = log
        processes.append(process)
        return process

    yield start
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # Its workers too.
        process.wait()


def end_of(process):
    """Wait for the end of a process, and return what it said."""
    wait_until(lambda: process.poll() is not None, process.log.parent)
    return process.log.read_text(encoding="utf-8")


def finish(process):
    errors = end_of(process)
    assert process.returncode == 0, errors


def count(path):
    """Return how many whole lines a file has, 0 where there is none."""
    return path.read_bytes().count(b"\n") if path.exists() else 0


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def plus(a, b=0, *, seed):
    return {"sum": a + b + seed}


def quick(train, grid, seeds, store, **options):
    """Sweep in this process and without a bar."""
    return sweep(train, grid, seeds, store=store, n_jobs=1, progress=False, **options)


def never(**_):
    raise AssertionError("this run was not to be done")


def without_seconds(rows):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def recorder(calls, train=plus):
    """Return `train` with each call's arguments appended to `calls`."""

    def recorded(**arguments):
        calls.append(arguments)
        return train(**arguments)

    return recorded


# --- Rows -----------------------------------------------------------------------------------------------------------


def test_rows_come_cell_by_cell_and_seed_by_seed(store):
    rows = quick(plus, GRID, [0, 7], store)
    assert [(row["config"], row["seed"]) for row in rows] == [
        ({"a": a, "b": b}, seed) for a in GRID["a"] for b in GRID["b"] for seed in (0, 7)
    ]
    for row in rows:
        assert row["result"] == {"sum": row["config"]["a"] + row["config"]["b"] + row["seed"]}
        assert list(row) == ["key", "config", "seed", "seconds", "result"]
        assert 0 <= row["seconds"] < 60
    assert load_rows(store) == rows
    assert count(store) == 1 + 12


def test_the_same_sweep_again_trains_nothing(store):
    rows = quick(plus, GRID, range(2), store)
    before = store.read_bytes()
    assert quick(never, GRID, range(2), store) == rows
    assert store.read_bytes() == before


def test_cells_that_two_grids_share_are_trained_once(store):
    calls = []
    quick(recorder(calls), {"a": [1, 2]}, [0], store)
    rows = quick(recorder(calls), [{"a": 2}, {"a": 3}, {"a": 2}, {"b": 5, "a": 1}], [0, 1], store)
    assert [row["result"]["sum"] for row in rows] == [2, 3, 3, 4, 2, 3, 6, 7]
    assert len(calls) == len(load_rows(store)) == 2 + 5
    assert quick(never, {"a": [3]}, [1], store)[0]["result"] == {"sum": 4}


def test_processes_give_the_rows_that_one_process_gives(store, tmp_path):
    here = quick(plus, GRID, range(3), tmp_path / "here.jsonl")
    rows = sweep(plus, GRID, range(3), store=store, n_jobs=2, progress=False)
    assert without_seconds(rows) == without_seconds(here)
    assert sweep(never, GRID, range(3), store=store, n_jobs=2, progress=False) == rows


def test_the_key_is_made_of_configuration_seed_and_setup(tmp_path):
    def key(cell, seed, setup):
        (row,) = quick(plus, [cell], [seed], tmp_path / f"{len(list(tmp_path.iterdir()))}.jsonl", setup=setup)
        return row["key"]

    first = key({"a": 1, "b": 2.5}, 3, {"epochs": 4})
    assert key({"b": 2.5, "a": 1}, 3, {"epochs": 4}) == first
    assert key({"b": np.float64(2.5), "a": np.int64(1)}, np.int64(3), {"epochs": np.int64(4)}) == first
    others = [({"a": 1, "b": 2.0}, 3, {"epochs": 4}), ({"a": 1, "b": 2.5}, 2, {"epochs": 4})]
    others += [({"a": 1, "b": 2.5}, 3, {"epochs": 5}), ({"a": 1, "b": 2.5}, 3, None)]
    assert len({first, *(key(*other) for other in others)}) == 5
    # A change of how keys are made would quietly do every run of every older store again.
    assert first == "afd7fa539244da092dcfa0391c37340e86f7a660e99c7bd25adce01ad2ec9853"


def test_numpy_values_nan_and_infinities_survive(store):
    def train(scale, sizes, seed):
        assert type(scale) is float  # What was given, and not what the store makes of it.
        assert sizes == (3, 2)
        return {"loss": [1.0, math.nan, -math.inf], "n": np.int64(4), "x": np.float32([0.5, np.inf]), "ok": np.True_}

    (row,) = quick(train, {"scale": [math.inf], "sizes": [(3, 2)]}, [0], store)
    assert row["config"] == {"scale": math.inf, "sizes": [3, 2]}
    assert np.array_equal(row["result"]["loss"], [1.0, np.nan, -np.inf], equal_nan=True)
    assert (row["result"]["n"], row["result"]["x"], row["result"]["ok"]) == (4, [0.5, math.inf], True)
    assert repr(load_rows(store)) == repr([row])
    assert repr(quick(never, {"scale": [math.inf], "sizes": [[3, 2]]}, [0], store)) == repr([row])
    for line in store.read_text(encoding="utf-8").splitlines():  # Strict JSON, which has no NaN.
        json.loads(line, parse_constant=never)


def test_every_row_is_on_the_disk_before_the_next_run_starts(store, monkeypatch):
    synced = []
    monkeypatch.setattr(engine.os, "fsync", lambda file: synced.append(os.fstat(file).st_size))

    def train(a, seed):
        assert synced[-1] == store.stat().st_size
        assert count(store) == len(synced) == a + 1
        return {}

    assert "error" not in quick(train, {"a": [0, 1, 2]}, [0], store)[-1]


def test_the_bar_shows_the_time_left_and_starts_at_what_is_there(store, capsys):
    quick(plus, {"a": [1, 2]}, [0], store)
    sweep(plus, {"a": range(5)}, [0], store=store, n_jobs=1)
    shown = capsys.readouterr().err
    assert re.search(r"sweep:  40%.*2/5 \[", shown)
    assert re.search(r"sweep: 100%.*5/5 \[\d\d:\d\d<\d\d:\d\d", shown)


TWO_THREADS = dict.fromkeys(["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"], "2")


@pytest.mark.skipif(os.cpu_count() == 1, reason="one core has one thread anyway")
@pytest.mark.parametrize("n_jobs", ["1", "2"])
def test_blas_keeps_to_one_thread_also_where_a_run_loads_another_one(start, store, n_jobs):
    code = """
import numpy, threadpoolctl

def threads():
    pools = threadpoolctl.threadpool_info()
    return {pool["filepath"]: pool["num_threads"] for pool in pools if pool["user_api"] == "blas"}

def train(seed):
    import scipy.linalg  # It brings its own BLAS.
    return {"threads": list(threads().values())}

if __name__ == "__main__":
    before, environment = threads(), dict(os.environ)
    assert set(before.values()) == {2}, before
    sweep(train, {}, range(3), store=FOLDER / "store.jsonl", n_jobs=int(sys.argv[2]))
    assert threads() == threads() | before, threads()
    assert dict(os.environ) == environment
"""
    finish(start(code, n_jobs, **TWO_THREADS))
    rows = [row["result"]["threads"] for row in load_rows(store)]
    assert len(rows) == 3
    assert {count for row in rows for count in row} == {1}


def test_a_run_has_the_same_bits_wherever_it_is_done(start, tmp_path):
    """In one process and in workers, started with one thread and with two, where threads make a difference."""
    code = """
import hashlib
import numpy as np
import nnkit as nn

def train(width, seed):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(600, 784)).astype(np.float32), rng.integers(0, 10, 600)
    model = nn.Sequential(nn.Linear(784, width, rng=rng), nn.ReLU(), nn.Linear(width, 10, rng=rng))
    nn.fit(model, nn.CrossEntropyLoss(), nn.Adam(model.parameters()), X, y, epochs=2, rng=rng)
    return {"bits": hashlib.sha256(b"".join(p.data.tobytes() for p in model.parameters())).hexdigest()}

if __name__ == "__main__":
    for n_jobs in (1, 2):
        store = FOLDER / f"{sys.argv[2]}-{n_jobs}.jsonl"
        sweep(train, {"width": [64, 200]}, [0], store=store, n_jobs=n_jobs, progress=False)
"""
    finish(start(code, "two", **TWO_THREADS))
    finish(start(code, "one", **dict.fromkeys(TWO_THREADS, "1")))
    stores = [load_rows(path) for path in tmp_path.glob("*.jsonl")]
    assert len(stores) == 4
    found = {(row["config"]["width"], row["result"]["bits"]) for rows in stores for row in rows}
    assert len(found) == 2, found


# --- Killed ---------------------------------------------------------------------------------------------------------

HALTS = """
def train(a, seed):
    mark("pids", os.getpid())
    if a >= 4:
        mark("halted", a)
        wait_for("go")
    mark("done", a)
    return {"square": a * a}

if __name__ == "__main__":
    sweep(train, {"a": list(range(10))}, [0], store=FOLDER / "store.jsonl", n_jobs=int(sys.argv[2]))
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_a_killed_sweep_resumes_with_nothing_lost_or_done_twice(start, store, tmp_path):
    process = start(HALTS, "2")
    wait_until(lambda: count(tmp_path / "halted") == 2 and count(store) == 1 + 4, tmp_path)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = store.read_bytes()
    # Workers that outlived it would go on with runs whose rows nobody writes, beside those of the next sweep.
    pids = set((tmp_path / "pids").read_text(encoding="utf-8").split())
    wait_until(lambda: not any(alive(pid) for pid in pids), tmp_path)

    (tmp_path / "go").touch()
    finish(start(HALTS, "2"))
    assert store.read_bytes().startswith(before)
    rows = load_rows(store)
    assert sorted(row["config"]["a"] for row in rows) == list(range(10))
    assert all(row["result"]["square"] == row["config"]["a"] ** 2 for row in rows)
    assert count(store) == 1 + 10
    assert sorted((tmp_path / "done").read_text(encoding="utf-8").split()) == [str(a) for a in range(10)]


@pytest.mark.parametrize("n_jobs", ["1", "2"])
def test_an_interrupted_sweep_ends_and_resumes(start, store, tmp_path, n_jobs):
    process = start(HALTS, n_jobs)
    wait_until(lambda: count(tmp_path / "halted") == int(n_jobs) and count(store) == 1 + 4, tmp_path)
    process.send_signal(signal.SIGINT)
    errors = end_of(process)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in errors
    assert len(load_rows(store)) == 4
    (tmp_path / "go").touch()
    finish(start(HALTS, n_jobs))
    assert len(load_rows(store)) == count(store) - 1 == 10


def test_a_second_sweep_on_a_store_in_use_is_refused(start, store, tmp_path):
    process = start(HALTS, "1")
    wait_until(lambda: count(tmp_path / "halted") == 1, tmp_path)
    before = store.read_bytes()
    second = start(HALTS, "1")
    errors = end_of(second)
    assert second.returncode != 0
    assert re.search(r"RuntimeError: store must not be in use; another sweep is writing to .*store.jsonl", errors)
    assert store.read_bytes() == before
    assert len(load_rows(store)) == 4  # Looking is allowed.
    (tmp_path / "go").touch()
    finish(process)
    quick(plus, {"a": [9, 10]}, [0], store)
    assert len(load_rows(store)) == count(store) - 1 == 11


KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows has the second alone, and kills by it.


def kills_its_process(a, folder, always, seed):
    """Train, but for a = 1 end the worker: each time, or the first time only."""
    tried = Path(folder) / "tried"
    if a == 1 and (always or not tried.exists()):
        tried.touch()
        os.kill(os.getpid(), KILL)
    return {"a": a}


def test_a_killed_worker_does_not_end_the_sweep(store, tmp_path):
    train = functools.partial(kills_its_process, folder=str(tmp_path), always=False)
    rows = sweep(train, {"a": range(8)}, [0], store=store, n_jobs=2, progress=False)
    assert (tmp_path / "tried").exists()
    assert [row["result"]["a"] for row in rows] == list(range(8))
    assert count(store) == 1 + 8


def test_a_run_that_always_kills_its_worker_is_recorded_and_the_others_are_done(store, tmp_path):
    train = functools.partial(kills_its_process, folder=str(tmp_path), always=True)
    with pytest.warns(RuntimeWarning, match=r"1 of 8 runs failed.*TerminatedWorkerError"):
        rows = sweep(train, {"a": range(8)}, [0], store=store, n_jobs=2, progress=False)
    assert [row["config"]["a"] for row in rows if "error" in row] == [1]
    assert rows[1]["seconds"] is None
    assert count(store) == 1 + 8


# A cluster must not take a slow worker for a dead one.
DASK = {
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": f"{PATIENCE}s",
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": f"{PATIENCE}s",
}


def test_dask_finishes_complete_though_workers_are_killed(start, store):
    pytest.importorskip("distributed")
    code = """
import dask, numpy, threadpoolctl
from distributed import Client, LocalCluster

def train(a, seed):
    mark("started", a)
    if a == 2 and not (FOLDER / "killed").exists():
        mark("killed", os.getpid())
        os.kill(os.getpid(), signal.SIGKILL)
    if a == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    if a == 7:
        raise ValueError("seven")
    blas = [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    return {"a": a, "blas": blas, "in_worker": os.getpid() != int(os.environ["MAIN"])}

if __name__ == "__main__":
    os.environ["MAIN"] = str(os.getpid())
    dask.config.set({"distributed.nanny.pre-spawn-environ.OPENBLAS_NUM_THREADS": 2})
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        sweep(train, {"a": list(range(12))}, [0], store=FOLDER / "store.jsonl", backend="dask")
        client.wait_for_workers(2)  # A cluster that closes while one starts again raises.
"""
    finish(start(code, **DASK))
    rows = load_rows(store)
    assert count(store) == 1 + 12
    assert {row["config"]["a"]: row["error"]["type"] for row in rows if "error" in row} == {
        5: "KilledWorker",
        7: "ValueError",
    }
    assert sorted(row["result"]["a"] for row in rows if "result" in row) == [0, 1, 2, 3, 4, 6, 8, 9, 10, 11]
    assert all(row["result"]["blas"] == [1] and row["result"]["in_worker"] for row in rows if "result" in row)
    started = (store.parent / "started").read_text(encoding="utf-8").split()
    assert started.count("2") >= 2


def test_dask_does_not_blame_a_run_for_the_one_beside_it(start, store):
    pytest.importorskip("distributed")
    code = """
from distributed import Client, LocalCluster

def started(a):
    path = FOLDER / f"started-{a}"
    return len(path.read_text().split()) if path.exists() else 0

# Four times, the first kills the worker while the second is beside it: then Dask gives up both.
def train(a, seed):
    mark(f"started-{a}", os.getpid())
    while started(a) <= 4 and (a == 1 or started(1) < started(0)):
        time.sleep(0.02)
    if a == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"a": a}

if __name__ == "__main__":
    with LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=None) as cluster, Client(cluster) as client:
        sweep(train, {"a": [0, 1]}, [0], store=FOLDER / "store.jsonl", backend="dask")
        client.wait_for_workers(1)  # A cluster that closes while one starts again raises.
"""
    finish(start(code, **DASK))
    first, second = sorted(load_rows(store), key=lambda row: row["config"]["a"])
    assert first["error"]["type"] == "KilledWorker"
    assert second["result"] == {"a": 1}
    assert count(store.parent / "started-1") == 5


def test_dask_without_a_client_says_what_to_do(store):
    pytest.importorskip("distributed")
    with pytest.raises(ValueError, match="backend 'dask' needs a client"):
        sweep(plus, {"a": [1]}, [0], store=store, backend="dask", progress=False)


def test_dask_that_is_not_installed_says_what_to_install(store, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=r"pip install 'nnkit\[dask\]'"):
        sweep(plus, {"a": [1]}, [0], store=store, backend="dask", progress=False)


# --- Torn, damaged, changed -----------------------------------------------------------------------------------------


def test_a_store_cut_off_anywhere_is_completed(store):
    grid, setup = {"a": [1, 2, 3]}, {"epochs": 2}
    rows = without_seconds(quick(plus, grid, [0, 1], store, setup=setup))
    whole = store.read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    # Every place in the header and the last row, and around each end; a few in between.
    cuts = {*range(ends[0] + 2), *range(ends[-2] - 2, len(whole)), *range(0, len(whole), 31)}
    for cut in sorted(cuts | {end + step for end in ends[:-1] for step in (-1, 0, 1)}):
        store.write_bytes(whole[:cut])
        calls = []
        assert without_seconds(quick(recorder(calls), grid, [0, 1], store, setup=setup)) == rows
        kept = max(sum(end <= cut for end in ends) - 1, 0)
        assert len(calls) == 6 - kept, cut
        assert without_seconds(load_rows(store)) == rows
        assert store.read_bytes().startswith(whole[: ends[kept]] if kept else whole[: ends[0]])


def test_a_last_line_with_a_hole_is_done_again(store):
    rows = quick(plus, {"a": [1, 2]}, [0], store)
    *before, last = store.read_bytes().splitlines(keepends=True)
    store.write_bytes(b"".join(before) + b"\0" * (len(last) - 5) + last[-5:])
    assert load_rows(store) == rows[:1]
    calls = []
    assert without_seconds(quick(recorder(calls), {"a": [1, 2]}, [0], store)) == without_seconds(rows)
    assert calls == [{"a": 2, "seed": 0}]


@pytest.mark.parametrize("damage", [b"{'key': 1}", b"", b"12", b'{"config": {}}', b"\0\0\0"])
@pytest.mark.parametrize("tail", [b"", b'{"key'])
def test_damage_before_the_last_line_is_an_error_and_changes_nothing(store, damage, tail):
    quick(plus, {"a": [1, 2, 3]}, [0], store)
    lines = store.read_bytes().split(b"\n")
    lines[2] = damage
    store.write_bytes(b"\n".join(lines) + tail)
    before = store.read_bytes()
    with pytest.raises(ValueError, match=r"line 3 of .*store.jsonl is not a row"):
        quick(never, {"a": [1, 2, 3]}, [0], store)
    with pytest.raises(ValueError, match="line 3"):
        load_rows(store)
    assert store.read_bytes() == before


@pytest.mark.parametrize("content", [b"my notes", b"my notes\nand more\n", b'{"a": 1}\n', b"\n"])
def test_a_file_that_is_no_store_is_left_alone(store, content):
    store.write_bytes(content)
    with pytest.raises(ValueError, match=r"store must be the file of a sweep, or none yet; .*store.jsonl begins with"):
        quick(never, {"a": [1]}, [0], store)
    assert store.read_bytes() == content


def test_a_store_of_another_version_is_left_alone(store):
    quick(plus, {"a": [1]}, [0], store)
    content = store.read_bytes().replace(b'"nnkit_sweep": 1', b'"nnkit_sweep": 2')
    store.write_bytes(content)
    with pytest.raises(ValueError, match=r"store must be of version 1; .* is of version 2"):
        quick(never, {"a": [1]}, [0], store)
    assert store.read_bytes() == content


def test_a_store_of_another_setup_is_refused_and_left_alone(store):
    setup = {"epochs": 10, "data": "mnist", "limit": math.nan, "same": [1]}
    rows = quick(plus, {"a": [1]}, [0], store, setup=setup)
    before = store.read_bytes() + b'{"torn'
    store.write_bytes(before)
    other = {"epochs": 20, "limit": math.nan, "same": (1,), "code": "v2"}
    with pytest.raises(ValueError, match="setup must be the one that") as caught:
        quick(never, {"a": [1, 2]}, [0], store, setup=other)
    for part in ("'epochs' is 10 there, 20 here", "'data' is \"mnist\" there, missing here", "missing there"):
        assert part in str(caught.value)
    assert "'same'" not in str(caught.value)
    assert "'limit'" not in str(caught.value)
    with pytest.raises(ValueError, match="setup must be"):
        quick(never, {"a": [1]}, [0], store)
    assert store.read_bytes() == before
    assert quick(never, {"a": [1]}, [0], store, setup=dict(reversed(setup.items()))) == rows


def test_a_line_larger_than_any_row_is_refused_and_not_read(store):
    quick(plus, {"a": [1, 2]}, [0], store)
    whole = store.read_bytes()
    with store.open("ab") as file:
        file.truncate(2**30)  # Zeros, which take no room on the disk.
    for read in (lambda: load_rows(store), lambda: quick(never, {"a": [1, 2]}, [0], store)):
        tracemalloc.start()
        try:
            with pytest.raises(ValueError, match=r"lines of at most 16777216 bytes; line 4 of .*store.jsonl has more"):
                read()
            assert tracemalloc.get_traced_memory()[1] < 2**26
        finally:
            tracemalloc.stop()
    assert store.stat().st_size == 2**30
    store.write_bytes(whole)
    assert len(load_rows(store)) == 2


def test_a_line_nested_too_deep_is_damage(store):
    quick(plus, {"a": [1, 2, 3]}, [0], store)
    lines = store.read_bytes().split(b"\n")
    lines[2] = b'{"key": ' + b"[" * 200_000
    store.write_bytes(b"\n".join(lines))
    with pytest.raises(ValueError, match=r"line 3 of .*store.jsonl is not a row: b'{\"key\": \[\["):
        load_rows(store)


@pytest.mark.parametrize("name", ["key", "config", "seed", "seconds", "result"])
@pytest.mark.parametrize("wrong", [None, "missing", [], [None]], ids=repr)
def test_a_row_with_an_entry_that_is_none_is_damage(name, wrong, store):
    wrong = "no number" if (name, wrong) == ("seconds", None) else wrong  # A run that lost its process has none.
    quick(plus, {"a": [1, 2]}, [0], store)
    first, second, third = store.read_bytes().splitlines()
    row = json.loads(second)
    row[name] = wrong
    if wrong == "missing":
        del row[name]
    store.write_bytes(b"\n".join([first, json.dumps(row).encode(), third, b""]))
    before = store.read_bytes()
    with pytest.raises(ValueError, match=r"line 2 of .*store.jsonl is not a row"):
        load_rows(store)
    with pytest.raises(ValueError, match=r"line 2 of .*store.jsonl is not a row"):
        quick(never, {"a": [1, 2]}, [0], store)
    assert store.read_bytes() == before


@pytest.mark.parametrize("setup", [None, 5, "x"])
def test_a_setup_that_is_none_is_damage(setup, store):
    quick(plus, {"a": [1]}, [0], store)
    _, *rows = store.read_bytes().splitlines()
    store.write_bytes(b"\n".join([json.dumps({"nnkit_sweep": 1, "setup": setup}).encode(), *rows, b""]))
    with pytest.raises(ValueError, match=r"line 1 of .*store.jsonl is not a row"):
        quick(never, {"a": [1]}, [0], store)


def test_a_result_that_no_line_can_hold_is_a_failed_run(store):
    def train(a, seed):
        return {"text": "x" * (2**24 if a == 1 else 10)}

    with pytest.warns(RuntimeWarning, match="1 of 2 runs failed.* ValueError: result must have at most 16777216"):
        rows = quick(train, {"a": [1, 2]}, [0], store)
    assert [row["result"]["text"] for row in rows if "result" in row] == ["x" * 10]
    assert load_rows(store) == rows


def test_a_setup_that_no_line_can_hold_is_an_error(store):
    with pytest.raises(ValueError, match="setup and the cells of grid must have at most 16777216 bytes as JSON; got"):
        quick(never, {"a": [1]}, [0], store, setup={"text": "x" * 2**24})


# --- Failed ---------------------------------------------------------------------------------------------------------


def fails_at_two(a, seed):
    if a == 2:
        raise ZeroDivisionError(f"a is {a}" + "!" * 10_000)
    if a == 3:
        sys.exit("enough")
    return {"a": a}


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_run_that_raises_is_recorded_and_stops_no_other(store, n_jobs):
    with pytest.warns(RuntimeWarning, match=r"2 of 5 runs failed; the first, {'a': 2} with seed 0, with ZeroDivis"):
        rows = sweep(fails_at_two, {"a": range(5)}, [0], store=store, n_jobs=n_jobs, progress=False)
    assert [row["result"]["a"] for row in rows if "result" in row] == [0, 1, 4]
    for row, type_ in ((rows[2], "ZeroDivisionError"), (rows[3], "SystemExit")):
        assert list(row) == ["key", "config", "seed", "seconds", "error"]
        assert row["error"]["type"] == type_
        assert "in fails_at_two" in row["error"]["traceback"]
        assert len(json.dumps(row)) < 10_000
    assert rows[3]["error"]["message"] == "enough"
    assert count(store) == 1 + 5


def test_failed_runs_are_done_again_unless_told_otherwise(store):
    with pytest.warns(RuntimeWarning, match="2 of 5 runs failed"):
        quick(fails_at_two, {"a": range(5)}, [0], store)
    before = store.read_bytes()
    with pytest.warns(RuntimeWarning, match="2 of 5 runs failed"):
        rows = quick(never, {"a": range(5)}, [0], store, retry_failed=False)
    assert [("error" in row) for row in rows] == [False, False, True, True, False]
    assert store.read_bytes() == before

    calls = []
    rows = quick(recorder(calls), {"a": range(5)}, [0], store)  # And no warning.
    assert [call["a"] for call in calls] == [2, 3]
    assert rows[2]["result"] == {"sum": 2}
    # The failures stay on record, but only the last row of a run counts.
    assert store.read_bytes().startswith(before)
    assert load_rows(store) == rows
    assert quick(never, {"a": range(5)}, [0], store) == rows


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (0.5, "train must return a dict; got float"),
        ({"fine": 1, "models": [plus]}, r"result['models'][0] must be made of numbers, strings, None"),
        ({"per_class": {0: 0.5}}, "result['per_class'] must have strings as keys"),
        ({"$float": "one"}, "not '$float'"),
        ({"z": 1j}, "got a complex"),
    ],
)
def test_a_result_that_json_cannot_hold_is_a_failed_run(store, result, message):
    with pytest.warns(RuntimeWarning, match="1 of 1 runs failed"):
        (row,) = quick(lambda seed: result, {}, [0], store)
    assert row["error"]["type"] == "TypeError"
    assert message in row["error"]["message"]


# --- Arguments ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"train": "plus"}, TypeError, "train must be a function; got 'plus'"),
        ({"grid": {"a": [plus]}}, TypeError, "grid['a'] must be made of numbers, strings, None, lists and dicts"),
        ({"grid": [{"a": {"deep": [0, {1, 2}]}}]}, TypeError, "grid['a']['deep'][1] must be made of"),
        ({"grid": {"a": "relu"}}, TypeError, "grid['a'] must be a list of values; got 'relu'"),
        ({"grid": {"a": 0.1}}, TypeError, "grid['a'] must be a list of values; got 0.1"),
        ({"grid": [0.1]}, TypeError, "grid must be a dict of lists, or a list of dicts; got [0.1]"),
        ({"grid": {"a": [1], "b": []}}, ValueError, "grid must have at least one cell"),
        ({"grid": []}, ValueError, "grid must have at least one cell; got []"),
        ({"grid": {"seed": [1]}}, ValueError, "grid must not use the name 'seed'"),
        ({"seeds": 5}, TypeError, "seeds must be a list of whole numbers; got 5"),
        ({"seeds": []}, ValueError, "seeds must hold at least one seed"),
        ({"seeds": [0, 1.5]}, TypeError, "seeds[1] must be a whole number; got 1.5"),
        ({"seeds": [-1]}, ValueError, "seeds[0] must be at least 0; got -1"),
        ({"setup": {"data": plus}}, TypeError, "setup['data'] must be made of numbers"),
        ({"setup": [1]}, TypeError, "setup must be a dict; got [1]"),
        ({"n_jobs": 0}, ValueError, "n_jobs must be a whole number other than 0; got 0"),
        ({"n_jobs": "all"}, ValueError, "n_jobs must be a whole number other than 0; got 'all'"),
        ({"backend": "mpi"}, ValueError, "backend must be 'loky' or 'dask'; got 'mpi'"),
    ],
)
def test_a_wrong_argument_is_named_and_leaves_no_file(store, changed, error, message):
    arguments = {"train": plus, "grid": {"a": [1]}, "seeds": [0], "store": store, "progress": False, **changed}
    with pytest.raises(error, match=re.escape(message)):
        sweep(**arguments)
    assert not store.exists()


def test_the_folder_of_the_store_is_made(tmp_path):
    quick(plus, {"a": np.array([1, 2])}, [0], str(tmp_path / "new" / "folder" / "store.jsonl"))
    assert len(load_rows(tmp_path / "new" / "folder" / "store.jsonl")) == 2
