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

from lab.sweep import load_rows, sweep  # noqa: E402
from tests.patience import PATIENCE, wait_until  # noqa: E402

MODULE = sweep.__module__
ROOT = Path(sys.modules[MODULE].__file__).parents[1]
GRID = {"a": [1, 2, 3], "b": [10, 20]}

# What every process of the tests below runs: each run leaves a mark when it starts and when it ends.
SCRIPT_BEGINS = (
    f"from {MODULE} import sweep"
    + """
import os, signal, sys, time
from pathlib import Path

FOLDER = Path(sys.argv[1])
signal.signal(signal.SIGINT, signal.default_int_handler)  # A shell's background jobs are started deaf to it.

def mark(name, text=""):
    with open(FOLDER / name, "a") as file:
        file.write(f"{text}\\n")

def wait_for(name):
    while not (FOLDER / name).exists():
        time.sleep(0.02)
"""
)


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
    before = store.read_bytes()
    assert quick(never, GRID, [0, 7], store) == rows  # The same sweep again trains nothing.
    assert store.read_bytes() == before


def test_cells_shared_by_two_grids_are_trained_once(store):
    calls = []
    quick(recorder(calls), {"a": [1, 2]}, [0], store)
    rows = quick(recorder(calls), [{"a": 2}, {"a": 3}, {"a": 2}, {"b": 5, "a": 1}], [0, 1], store)
    assert [row["result"]["sum"] for row in rows] == [2, 3, 3, 4, 2, 3, 6, 7]
    assert len(calls) == len(load_rows(store)) == 2 + 5


def test_key_is_made_of_configuration_seed_and_setup(tmp_path):
    def key(cell, seed, setup):
        (row,) = quick(plus, [cell], [seed], tmp_path / f"{len(list(tmp_path.iterdir()))}.jsonl", setup=setup)
        return row["key"]

    first = key({"a": 1, "b": 2.5}, 3, {"epochs": 4})
    assert key({"b": 2.5, "a": 1}, 3, {"epochs": 4}) == first
    assert key({"b": np.float64(2.5), "a": np.int64(1)}, np.int64(3), {"epochs": np.int64(4)}) == first
    others = [({"a": 1, "b": 2.0}, 3, {"epochs": 4}), ({"a": 1, "b": 2.5}, 2, {"epochs": 4})]
    others += [({"a": 1, "b": 2.5}, 3, {"epochs": 5}), ({"a": 1, "b": 2.5}, 3, None)]
    assert len({first, *(key(*other) for other in others)}) == 5
    # If the way keys are made changed, every run of every older store would silently be repeated.
    assert first == "afd7fa539244da092dcfa0391c37340e86f7a660e99c7bd25adce01ad2ec9853"


def test_numpy_values_nan_and_infinities_survive(store):
    def train(scale, sizes, seed):
        assert type(scale) is float  # What was given, not what the store makes of it.
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
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_size))

    def train(a, seed):
        assert synced[-1] == store.stat().st_size
        assert count(store) == len(synced) == a + 1
        return {}

    assert "error" not in quick(train, {"a": [0, 1, 2]}, [0], store)[-1]


def test_bar_shows_the_time_left_and_starts_at_what_is_there(store, capsys):
    quick(plus, {"a": [1, 2]}, [0], store)
    sweep(plus, {"a": range(5)}, [0], store=store, n_jobs=1)
    shown = capsys.readouterr().err
    assert re.search(r" 40%.*2/5 \[", shown)
    assert re.search(r"100%.*5/5 \[\d\d:\d\d<\d\d:\d\d", shown)


@pytest.mark.slow
@pytest.mark.skipif(os.cpu_count() == 1, reason="one core has one thread anyway")
def test_run_uses_one_thread_and_has_the_same_bits_wherever_it_is_done(start, tmp_path):
    """In one process and in workers, started with one thread and with two, where threads would make a difference."""
    code = """
import hashlib, numpy, threadpoolctl
import nnkit as nn

def threads():
    pools = threadpoolctl.threadpool_info()
    return {pool["filepath"]: pool["num_threads"] for pool in pools if pool["user_api"] == "blas"}

def train(width, seed):
    import scipy.linalg  # It brings its own BLAS.
    rng = numpy.random.default_rng(seed)
    X, y = rng.normal(size=(600, 784)).astype(numpy.float32), rng.integers(0, 10, 600)
    model = nn.Sequential(nn.Linear(784, width, rng=rng), nn.ReLU(), nn.Linear(width, 10, rng=rng))
    nn.fit(model, nn.CrossEntropyLoss(), nn.Adam(model.parameters()), X, y, epochs=2, rng=rng)
    bits = hashlib.sha256(b"".join(p.data.tobytes() for p in model.parameters())).hexdigest()
    return {"threads": list(threads().values()), "bits": bits}

if __name__ == "__main__":
    before, environment = threads(), dict(os.environ)
    assert set(before.values()) == {int(sys.argv[2])}, before
    for n_jobs in sys.argv[3:]:
        store = FOLDER / f"{sys.argv[2]}-{n_jobs}.jsonl"
        sweep(train, {"width": [64, 200]}, [0], store=store, n_jobs=int(n_jobs), progress=False)
        assert threads() == threads() | before, threads()
        assert dict(os.environ) == environment
"""
    names = ["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"]
    finish(start(code, "2", "2", "1", **dict.fromkeys(names, "2")))
    finish(start(code, "1", "1", **dict.fromkeys(names, "1")))
    rows = [row for path in tmp_path.glob("*.jsonl") for row in load_rows(path)]
    assert len(rows) == 6
    assert {count for row in rows for count in row["result"]["threads"]} == {1}
    assert len({(row["config"]["width"], row["result"]["bits"]) for row in rows}) == 2


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


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_killed_sweep_resumes_with_nothing_lost_or_done_twice(start, store, tmp_path):
    process = start(HALTS, "2")
    wait_until(lambda: count(tmp_path / "halted") == 2 and count(store) == 1 + 4, tmp_path)
    before = store.read_bytes()
    with pytest.raises(RuntimeError, match=r"store must not be in use; .*store\.jsonl"):
        quick(never, {"a": [1]}, [0], store)
    assert len(load_rows(store)) == 4  # Looking is allowed.
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert store.read_bytes() == before
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
def test_interrupted_sweep_ends_and_resumes(start, store, tmp_path, n_jobs):
    process = start(HALTS, n_jobs)
    wait_until(lambda: count(tmp_path / "halted") == int(n_jobs) and count(store) == 1 + 4, tmp_path)
    process.send_signal(signal.SIGINT)
    errors = end_of(process)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in errors
    assert len(load_rows(store)) == 4
    rows = quick(lambda a, seed: {"square": a * a}, {"a": range(10)}, [0], store)
    assert len(load_rows(store)) == len(rows) == count(store) - 1 == 10


KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows has the second alone, and kills by it.


def kills_its_process(a, folder, seed):
    """Train, but end the worker: for a = 1 the first time, for a = 5 each time."""
    tried = Path(folder) / "tried"
    if (a == 1 and not tried.exists()) or a == 5:
        tried.touch()
        os.kill(os.getpid(), KILL)
    return {"a": a}


@pytest.mark.slow
def test_run_that_kills_its_worker_twice_is_recorded_and_the_others_are_done(store, tmp_path):
    train = functools.partial(kills_its_process, folder=str(tmp_path))
    with pytest.warns(RuntimeWarning, match=r"1 of 8 runs failed.*TerminatedWorkerError"):
        rows = sweep(train, {"a": range(8)}, [0], store=store, n_jobs=2, progress=False)
    assert (tmp_path / "tried").exists()
    assert [row["config"]["a"] for row in rows if "error" in row] == [5]
    assert [row["result"]["a"] for row in rows if "result" in row] == [0, 1, 2, 3, 4, 6, 7]
    assert rows[5]["seconds"] is None
    assert count(store) == 1 + 8


# A cluster must not take a slow worker for a dead one.
DASK = {
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": f"{PATIENCE}s",
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": f"{PATIENCE}s",
}


@pytest.mark.slow
def test_dask_finishes_complete_and_blames_no_run_for_the_one_beside_it(start, store):
    pytest.importorskip("distributed")
    code = """
import dask, threadpoolctl
from distributed import Client, LocalCluster

def started(a):
    path = FOLDER / f"started-{a}"
    return len(path.read_text().split()) if path.exists() else 0

# Twice, the first kills the worker while the second is beside it: then Dask gives up both.
def train(a, seed):
    mark(f"started-{a}", os.getpid())
    while a <= 1 and started(a) <= 2 and (a == 1 or started(1) < started(0)):
        time.sleep(0.02)
    if a == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    if a == 3:
        raise ValueError("three")
    blas = [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    return {"a": a, "blas": blas, "in_worker": os.getpid() != int(os.environ["MAIN"])}

if __name__ == "__main__":
    os.environ["MAIN"] = str(os.getpid())
    dask.config.set({"distributed.scheduler.allowed-failures": 1})
    dask.config.set({"distributed.nanny.pre-spawn-environ.OPENBLAS_NUM_THREADS": 2})
    with LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=None) as cluster, Client(cluster) as client:
        sweep(train, {"a": list(range(6))}, [0], store=FOLDER / "store.jsonl", backend="dask")
        client.wait_for_workers(1)  # A cluster that closes while a worker starts raises.
"""
    finish(start(code, **DASK))
    rows = {row["config"]["a"]: row for row in load_rows(store)}
    assert count(store) == 1 + 6
    assert {a: row["error"]["type"] for a, row in rows.items() if "error" in row} == {
        0: "KilledWorker",
        3: "ValueError",
    }
    results = [row["result"] for row in rows.values() if "result" in row]
    assert sorted(result["a"] for result in results) == [1, 2, 4, 5]
    assert all(result["blas"] == [1] and result["in_worker"] for result in results)
    assert count(store.parent / "started-1") == 3


def test_dask_without_a_client_says_what_to_do(store):
    pytest.importorskip("distributed")
    with pytest.raises(ValueError, match="client"):
        sweep(plus, {"a": [1]}, [0], store=store, backend="dask", progress=False)


@pytest.mark.parametrize(("missing", "user"), [("distributed", "backend='dask'"), ("threadpoolctl", MODULE)])
def test_missing_package_says_what_to_install(store, missing, user):
    code = "import sys; sys.modules[sys.argv[1]] = None\n" + (
        f"from {MODULE} import sweep\n"
        "sweep(lambda a, seed: {}, {'a': [1]}, [0], store=sys.argv[2], backend='dask', progress=False)"
    )
    command = [sys.executable, "-c", code, missing, str(store)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert re.search(rf"ImportError: {user} needs {missing}: pip install {missing}\n$", done.stderr)


# --- Torn, damaged, changed -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_store_cut_off_anywhere_is_completed(store):
    grid, setup = {"a": [1, 2, 3]}, {"epochs": 2}
    rows = without_seconds(quick(plus, grid, [0, 1], store, setup=setup))
    whole = store.read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    # Every place in the header and the last row, and around each end; a few in between.
    cuts = {*range(ends[0] + 2), *range(ends[-2] - 2, len(whole)), *range(0, len(whole), 61)}
    for cut in sorted(cuts | {end + step for end in ends[:-1] for step in (-1, 0, 1)}):
        store.write_bytes(whole[:cut])
        calls = []
        assert without_seconds(quick(recorder(calls), grid, [0, 1], store, setup=setup)) == rows
        kept = max(sum(end <= cut for end in ends) - 1, 0)
        assert len(calls) == 6 - kept, cut
        assert without_seconds(load_rows(store)) == rows
        assert store.read_bytes().startswith(whole[: ends[kept]] if kept else whole[: ends[0]])


def test_run_whose_last_line_has_a_hole_is_repeated(store):
    rows = quick(plus, {"a": [1, 2]}, [0], store)
    *before, last = store.read_bytes().splitlines(keepends=True)
    store.write_bytes(b"".join(before) + b"\0" * (len(last) - 5) + last[-5:])
    assert load_rows(store) == rows[:1]
    calls = []
    assert without_seconds(quick(recorder(calls), {"a": [1, 2]}, [0], store)) == without_seconds(rows)
    assert calls == [{"a": 2, "seed": 0}]


def check_left_alone(store, match, grid=GRID, **options):
    before = store.read_bytes()
    with pytest.raises(ValueError, match=match):
        quick(never, grid, [0], store, **options)
    assert store.read_bytes() == before


@pytest.mark.parametrize(
    "damage",
    [
        b"{'key': 1}", b"", b"12", b'{"config": {}}', b"\0\0\0", b'{"key": ' + b"[" * 200_000,
        *({name: wrong} for name in ("key", "config", "seed", "result") for wrong in (None, "missing", [])),
        *({"seconds": wrong} for wrong in ("missing", [], "no number")),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
@pytest.mark.parametrize("tail", [b"", b'{"key'])
def test_damage_before_the_last_line_is_an_error_and_changes_nothing(store, damage, tail):
    quick(plus, {"a": [1, 2, 3]}, [0], store)
    lines = store.read_bytes().split(b"\n")
    if isinstance(damage, dict):
        row = json.loads(lines[2]) | damage
        damage = json.dumps({name: value for name, value in row.items() if value != "missing"}).encode()
    lines[2] = damage
    store.write_bytes(b"\n".join(lines) + tail)
    check_left_alone(store, r"line 3 of .*store\.jsonl")
    with pytest.raises(ValueError, match="line 3"):
        load_rows(store)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        *((content, "store must") for content in (b"my notes", b"my notes\nand more\n", b'{"a": 1}\n', b"\n")),
        (b'{"nnkit_sweep": 2, "setup": {}}\n', r"version 1, .* begins with b'..nnkit_sweep.: 2"),
        *((b'{"nnkit_sweep": 1, "setup": %s}\n{}\n' % setup, "line 1") for setup in (b"null", b"5", b'"x"')),
    ],
)
def test_file_that_is_not_a_store_of_this_version_is_left_alone(store, content, match):
    store.write_bytes(content)
    check_left_alone(store, match)


def test_store_of_another_setup_is_refused_and_left_alone(store):
    setup = {"epochs": 10, "data": "mnist", "limit": math.nan, "same": [1]}
    rows = quick(plus, {"a": [1]}, [0], store, setup=setup)
    store.write_bytes(store.read_bytes() + b'{"torn')
    other = {"epochs": 20, "limit": math.nan, "same": (1,), "code": "v2"}
    with pytest.raises(ValueError, match="setup must") as caught:
        quick(never, {"a": [1, 2]}, [0], store, setup=other)
    there, here = str(caught.value).split(", here ")
    assert "epochs=10" in there
    assert 'data="mnist"' in there
    assert "epochs=20" in here
    assert 'code="v2"' in here
    assert not {"same", "limit"} & set(re.findall(r"\w+", str(caught.value)))
    check_left_alone(store, "setup must")
    assert quick(never, {"a": [1]}, [0], store, setup=dict(reversed(setup.items()))) == rows


def test_line_larger_than_any_row_is_refused_and_not_read(store):
    quick(plus, {"a": [1, 2]}, [0], store)
    with store.open("ab") as file:
        file.truncate(2**30)  # Zeros, which take no room on the disk.
    for read in (lambda: load_rows(store), lambda: quick(never, {"a": [1, 2]}, [0], store)):
        tracemalloc.start()
        try:
            with pytest.raises(ValueError, match=r"line 4 of .*store\.jsonl"):
                read()
            assert tracemalloc.get_traced_memory()[1] < 2**26
        finally:
            tracemalloc.stop()
    assert store.stat().st_size == 2**30


# --- Failed ---------------------------------------------------------------------------------------------------------


def fails_at_two(a, seed):
    if a == 2:
        raise ZeroDivisionError(f"a is {a}" + "!" * 10_000)
    if a == 3:
        sys.exit("enough")
    return {"a": a}


def test_run_that_raises_is_recorded_and_stops_no_other(store, tmp_path):
    found = []
    for n_jobs in (1, 2):
        with pytest.warns(RuntimeWarning, match=r"2 of 5 runs failed; the first, {'a': 2} with seed 0, with ZeroDivis"):
            found.append(
                sweep(fails_at_two, {"a": range(5)}, [0], store=tmp_path / str(n_jobs), n_jobs=n_jobs, progress=False)
            )
    here, rows = found
    for row, type_ in ((rows[2], "ZeroDivisionError"), (rows[3], "SystemExit")):
        assert list(row) == ["key", "config", "seed", "seconds", "error"]
        assert row["error"]["type"] == type_
        assert "in fails_at_two" in row["error"]["traceback"]
        assert len(json.dumps(row)) < 10_000
    assert rows[3]["error"]["message"] == "enough"
    # Processes give the rows that one process gives.
    assert without_seconds(rows[:2] + rows[4:]) == without_seconds(here[:2] + here[4:])
    assert [row["result"]["a"] for row in rows if "result" in row] == [0, 1, 4]
    assert count(tmp_path / "2") == 1 + 5


def test_failed_runs_are_repeated(store):
    with pytest.warns(RuntimeWarning, match="2 of 5 runs failed"):
        quick(fails_at_two, {"a": range(5)}, [0], store)
    before = store.read_bytes()
    calls = []
    rows = quick(recorder(calls), {"a": range(5)}, [0], store)  # And no warning.
    assert [call["a"] for call in calls] == [2, 3]
    assert rows[2]["result"] == {"sum": 2}
    # The failures stay on record, but only the last row of a run counts.
    assert store.read_bytes().startswith(before)
    assert load_rows(store) == rows
    assert quick(never, {"a": range(5)}, [0], store) == rows


@pytest.mark.parametrize(
    ("result", "error", "message"),
    [
        (0.5, "TypeError", "what train returns must be a dict"),
        ({"fine": 1, "models": [plus]}, "TypeError", "result['models'][0] must"),
        ({"per_class": {0: 0.5}}, "TypeError", "result['per_class'] must"),
        ({"$float": "one"}, "TypeError", "$float"),
        ({"z": 1j}, "TypeError", "complex"),
        ({"text": "x" * 2**23}, "ValueError", "result must have at most"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_result_that_the_store_cannot_hold_is_a_failed_run(store, result, error, message):
    with pytest.warns(RuntimeWarning, match="1 of 1 runs failed"):
        (row,) = quick(lambda seed: result, {}, [0], store)
    assert row["error"]["type"] == error
    assert message in row["error"]["message"]


# --- Arguments ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "error", "name"),
    [
        ({"train": "plus"}, TypeError, "train"),
        ({"grid": {"a": [plus]}}, TypeError, "grid['a']"),
        ({"grid": [{"a": {"deep": [0, {1, 2}]}}]}, TypeError, "grid['a']['deep'][1]"),
        ({"grid": {"a": "relu"}}, TypeError, "grid"),
        ({"grid": {"a": 0.1}}, TypeError, "grid"),
        ({"grid": [0.1]}, TypeError, "grid"),
        ({"grid": 0.1}, TypeError, "grid"),
        ({"grid": {"a": [1], "b": []}}, ValueError, "grid and seeds"),
        ({"grid": []}, ValueError, "grid and seeds"),
        ({"grid": {"seed": [1]}}, TypeError, "grid"),
        ({"seeds": 5}, TypeError, "seeds"),
        ({"seeds": []}, ValueError, "grid and seeds"),
        ({"seeds": [0, 1.5]}, TypeError, "seeds[1]"),
        ({"seeds": [-1]}, ValueError, "seeds[0]"),
        ({"setup": {"data": plus}}, TypeError, "setup['data']"),
        ({"setup": [1]}, TypeError, "setup"),
        ({"n_jobs": -2}, ValueError, "n_jobs"),
        ({"n_jobs": "all"}, TypeError, "n_jobs"),
        ({"backend": "mpi"}, ValueError, "backend"),
    ],
)
def test_wrong_argument_is_named_and_leaves_no_file(store, changed, error, name):
    arguments = {"train": plus, "grid": {"a": [1]}, "seeds": [0], "store": store, "progress": False, **changed}
    with pytest.raises(error, match=rf"{re.escape(name)} must "):
        sweep(**arguments)
    assert not store.exists()


def test_setup_that_no_line_can_hold_is_an_error(store):
    with pytest.raises(ValueError, match="16777216"):
        quick(never, {"a": [1]}, [0], store, setup={"text": "x" * 2**24})


def test_folder_of_the_store_is_created(tmp_path):
    quick(plus, {"a": np.array([1, 2])}, [0], str(tmp_path / "new" / "folder" / "store.jsonl"))
    assert len(load_rows(tmp_path / "new" / "folder" / "store.jsonl")) == 2
