"""Files that appear whole: what killed processes leave, links and permissions, for checkpoints and texts alike."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import nnkit as nn
from lab.results import write_whole
from nnkit import _files

ROOT = Path(__file__).resolve().parents[2]
fcntl = pytest.importorskip("fcntl", reason="the locks that tell the living from the dead")

# Each saves the number under the path; the first of a checkpoint's biases says which one it was.
WRITERS = {
    "checkpoint": lambda path, number: nn.save_checkpoint(path, nn.Linear(1, 1, rng=0), extra={"number": number}),
    "text": lambda path, number: write_whole(path, f"number {number}\n"),
}
every_writer = pytest.mark.parametrize("writer", WRITERS)

# Saves in another process, which halts when all is written but nothing has its name.
HALTS = """
import os, sys
from pathlib import Path
from tests.nnkit.test_files import WRITERS

def halt(file):
    print("written", flush=True)
    sys.stdin.readline()

os.fsync = halt
WRITERS[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))
"""


def number_in(path):
    text = path.read_bytes()
    return nn.load_checkpoint(path).extra["number"] if text.startswith(b"PK") else int(text.split()[1])


@pytest.fixture
def start():
    """Return a function that starts a save in a process, and waits until it halts in the middle."""
    processes = []

    def start(writer, path, number):
        command = [sys.executable, "-c", HALTS, writer, str(path), str(number)]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True)
        processes.append(process)
        assert process.stdout.readline() == "written\n"
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net [1].npz"  # What a glob would read as a pattern.


def others(path):
    return [file for file in path.parent.iterdir() if file != path]


@every_writer
def test_a_later_save_removes_what_killed_ones_have_left(writer, start, path):
    WRITERS[writer](path, 1)
    for _ in range(3):
        process = start(writer, path, 2)
        assert len(others(path)) == 1  # Each save cleans up after those that were killed before it.
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert number_in(path) == 1
    assert others(path)[0].stat().st_size > 0
    WRITERS[writer](path, 3)
    assert number_in(path) == 3
    assert others(path) == []


@every_writer
def test_a_process_that_is_still_writing_keeps_its_file(writer, start, path):
    process = start(writer, path, 2)
    (partial,) = others(path)
    for number in (3, 4):
        WRITERS[writer](path, number)
        assert number_in(path) == number
        assert others(path) == [partial]
    process.communicate("go on\n")
    assert process.returncode == 0
    assert number_in(path) == 2
    assert others(path) == []


@pytest.mark.parametrize("middle", ["0a1b2c3d", "ffffffff0a1b2c3d"], ids=["earlier version", "other machine"])
def test_files_whose_process_cannot_be_asked_for_are_removed_after_a_day_without_a_change(middle, path):
    partial = path.with_name(f".{path.name}.{middle}.partial")
    partial.write_bytes(b"half of it")
    WRITERS["text"](path, 1)
    assert partial.exists()
    yesterday = time.time() - 25 * 3600
    os.utime(partial, (yesterday, yesterday))
    with partial.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        WRITERS["text"](path, 2)
        assert partial.exists()
    WRITERS["text"](path, 3)
    assert not partial.exists()


def test_files_of_others_stay(path):
    names = [".partial", f".{path.name}.partial", f".{path.name}.notes.partial", f"{path.name}.0a1b2c3d.partial"]
    names += [f".{path.name}.0a1b2c3d", ".other.npz.0a1b2c3d.partial", f".{path.name}.x.0a1b2c3d.partial"]
    for name in names:
        path.with_name(name).write_bytes(b"mine")
        os.utime(path.with_name(name), (0, 0))
    WRITERS["text"](path, 1)
    assert sorted(file.name for file in others(path)) == sorted(names)


def test_a_file_that_is_taken_for_abandoned_before_it_has_its_lock_is_made_anew(path, monkeypatch):
    taken = []

    def late(file, how, lock=fcntl.flock):
        if not taken:
            taken.append(Path(file.name))
            taken[0].unlink()
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    WRITERS["text"](path, 1)
    assert number_in(path) == 1
    assert len(taken) == 1
    assert others(path) == []


def test_where_there_are_no_locks_everything_is_kept(path, monkeypatch):
    def none(*_):
        raise OSError("no locks available")

    partial = path.with_name(f".{path.name}.{_files._HOST}0a1b2c3d.partial")
    partial.write_bytes(b"")
    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", none)
        WRITERS["text"](path, 1)
    assert number_in(path) == 1
    assert others(path) == [partial]
    WRITERS["text"](path, 2)
    assert others(path) == []


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="looks for open files in /proc")
def test_windows_is_asked_to_rename_and_remove_only_what_is_closed(path, monkeypatch):
    def closed(method):
        def checked(file, *arguments, **options):
            for link in Path("/proc/self/fd").iterdir():
                with contextlib.suppress(FileNotFoundError):
                    assert link.readlink() != file
            return method(file, *arguments, **options)

        return checked

    monkeypatch.setattr(_files, "_HAS_LOCKS", False)
    for method in ("replace", "unlink"):
        monkeypatch.setattr(Path, method, closed(getattr(Path, method)))
    partial = path.with_name(f".{path.name}.{_files._HOST}0a1b2c3d.partial")
    partial.write_bytes(b"")
    WRITERS["text"](path, 1)
    assert number_in(path) == 1
    assert others(path) == []


# Links and permissions


@every_writer
def test_a_link_stays_and_what_it_leads_to_is_replaced(writer, tmp_path, monkeypatch):
    (tmp_path / "far").mkdir()
    (tmp_path / "near").mkdir()
    target, middle, link = tmp_path / "far" / "net", tmp_path / "far" / "middle", tmp_path / "near" / "link"
    middle.symlink_to("net")
    link.symlink_to("../far/middle")
    where = []
    monkeypatch.setattr(
        os, "fsync", lambda file: where.append([len(list((tmp_path / f).iterdir())) for f in ("far", "near")])
    )
    for number in (1, 2):  # First the target is not there yet.
        WRITERS[writer](link, number)
        assert link.is_symlink()
        assert middle.is_symlink()
        assert number_in(target) == number_in(link) == number
    assert where == [[2, 1], [3, 1]]  # The new file grows beside the target, where alone it can be renamed at once.
    assert len(list((tmp_path / "far").iterdir())) == 2


def test_a_link_to_itself_is_said(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="loop"):
        WRITERS["text"](tmp_path / "loop", 1)
    assert (tmp_path / "loop").is_symlink()


@every_writer
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o755])
def test_a_file_keeps_its_permissions(writer, mode, path, monkeypatch):
    WRITERS[writer](path, 1)
    path.chmod(mode)
    before = []
    monkeypatch.setattr(os, "fsync", lambda file: before.append(os.fstat(file).st_mode & 0o777))
    WRITERS[writer](path, 2)
    assert before == [mode]  # Nor could anybody read it under its first name.
    assert path.stat().st_mode & 0o777 == mode
    assert number_in(path) == 2


@every_writer
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_a_new_file_has_the_permissions_of_any_new_file(writer, umask, path):
    before = os.umask(umask)
    try:
        WRITERS[writer](path, 1)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_text_is_written_as_it_stands(path):
    write_whole(path.parent / "new folder" / "ü", "é\r\nß\n")
    assert (path.parent / "new folder" / "ü").read_bytes() == "é\r\nß\n".encode()
