"""Atomic writes: files appear whole or not at all; what killed processes leave behind; links; permissions."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nnkit import files

fcntl = pytest.importorskip(
    "fcntl", reason="without file locks there is no way to tell whether a writer is still alive"
)

# Saves in another process, which halts after writing everything but before renaming the file.
HALTS = """
import os, sys
from pathlib import Path
from nnkit.files import written_whole

def halt(file):
    print("written", flush=True)
    sys.stdin.readline()

os.fsync = halt
with written_whole(Path(sys.argv[1])) as file:
    file.write(sys.argv[2].encode())
"""


def save(path, text):
    with files.written_whole(path) as file:
        file.write(text.encode())


@pytest.fixture
def start():
    """Return a function that starts a save in another process and waits until it halts before the rename."""
    processes = []

    def start(path, text):
        command = [sys.executable, "-c", HALTS, str(path), text]
        environment = os.environ | {"PYTHONPATH": str(Path(files.__file__).parents[1])}
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
    return tmp_path / "net [1].npz"  # A glob would interpret the brackets as a pattern.


def others(path):
    return [file for file in path.parent.iterdir() if file != path]


def test_killed_save_keeps_the_old_file_and_the_next_save_cleans_up(start, path):
    save(path, "1")
    for _ in range(2):
        process = start(path, "2")
        assert len(others(path)) == 1  # Each save removes what the killed save before it left behind.
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert path.read_text() == "1"
    assert others(path)[0].stat().st_size > 0
    save(path, "3")
    assert path.read_text() == "3"
    assert others(path) == []


def test_temporary_file_of_a_live_writer_is_kept(start, path):
    process = start(path, "2")
    (partial,) = others(path)
    for text in ("3", "4"):
        save(path, text)
        assert path.read_text() == text
        assert others(path) == [partial]
    process.communicate("go on\n")
    assert process.returncode == 0
    assert path.read_text() == "2"
    assert others(path) == []


def test_unrelated_files_are_kept(path):
    names = [".partial", f".{path.name}.partial", f".{path.name}.notes.partial", f"{path.name}.0a1b2c3d.partial"]
    names += [f".{path.name}.{files._HOST}0a1b2c3d", f".other.npz.{files._HOST}0a1b2c3d.partial"]
    names += [f".{path.name}.ffffffff0a1b2c3d.partial"]  # Made on another machine, whose locks may not be visible here.
    for name in names:
        path.with_name(name).write_bytes(b"mine")
    save(path, "1")
    assert sorted(file.name for file in others(path)) == sorted(names)


@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt()])
def test_error_while_writing_leaves_only_the_old_file(error, path):
    def torn():
        with files.written_whole(path) as file:
            file.write(b"half of it")
            raise error

    save(path, "1")
    with pytest.raises(type(error)):
        torn()
    assert path.read_text() == "1"
    assert others(path) == []


def test_temporary_file_removed_before_locking_is_recreated(path, monkeypatch):
    taken = []

    def late(file, how, lock=fcntl.flock):
        if not taken:
            taken.append(Path(file.name))
            taken[0].unlink()
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    save(path, "1")
    assert path.read_text() == "1"
    assert len(taken) == 1
    assert others(path) == []


def test_nothing_is_removed_on_a_file_system_without_locks(path, monkeypatch):
    def none(*_):
        raise OSError("no locks available")

    partial = path.with_name(f".{path.name}.{files._HOST}0a1b2c3d.partial")
    partial.write_bytes(b"")
    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", none)
        save(path, "1")
    assert path.read_text() == "1"
    assert others(path) == [partial]
    save(path, "2")
    assert others(path) == []


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="looks for open files in /proc")
def test_only_closed_files_are_renamed_or_removed(path, monkeypatch):
    def closed(method):
        def checked(file, *arguments, **options):
            for link in Path("/proc/self/fd").iterdir():
                with contextlib.suppress(FileNotFoundError):
                    assert link.readlink() != file
            return method(file, *arguments, **options)

        return checked

    monkeypatch.setattr(files, "_HAS_LOCKS", False)
    for method in ("replace", "unlink"):
        monkeypatch.setattr(Path, method, closed(getattr(Path, method)))
    path.with_name(f".{path.name}.{files._HOST}0a1b2c3d.partial").write_bytes(b"")
    save(path, "1")
    assert path.read_text() == "1"
    assert others(path) == []


# Links and permissions


def test_saving_through_a_link_replaces_its_target(tmp_path, monkeypatch):
    for folder in ("far", "near"):
        (tmp_path / folder).mkdir()
    target, middle, link = tmp_path / "far" / "net", tmp_path / "far" / "middle", tmp_path / "near" / "link"
    middle.symlink_to("net")
    link.symlink_to("../far/middle")
    where = []
    monkeypatch.setattr(os, "fsync", lambda _: where.append([len(others(target)), len(others(link))]))
    for text in ("1", "2"):  # At first the target does not exist.
        save(link, text)
        assert link.is_symlink()
        assert middle.is_symlink()
        assert target.read_text() == text
    assert where == [[2, 0], [2, 0]]  # The temporary file is beside the target, so that the rename is atomic.
    assert others(target) == [middle]


def test_link_to_itself_raises(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="loop"):
        save(tmp_path / "loop", "1")
    assert (tmp_path / "loop").is_symlink()


@pytest.mark.parametrize("mode", [0o600, 0o444, 0o755])
def test_replaced_file_keeps_its_permissions(mode, path, monkeypatch):
    save(path, "1")
    path.chmod(mode)
    before = []
    monkeypatch.setattr(os, "fsync", lambda file: before.append(os.fstat(file).st_mode & 0o777))
    save(path, "2")
    assert before == [mode]  # The temporary file was just as private.
    assert path.stat().st_mode & 0o777 == mode
    assert path.read_bytes() == b"2"


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_new_file_gets_default_permissions(umask, path):
    before = os.umask(umask)
    try:
        save(path, "1")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask
