"""Files that appear whole or not at all, for the package and the book alike."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_HAS_LOCKS = fcntl is not None
_HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
_DAY = 24 * 60 * 60  # In seconds.


@contextmanager
def written_whole(path: Path) -> Iterator[IO[bytes]]:
    """Open a file to write to, which takes the place of `path` once all of it is on the disk.

    Where `path` is a link, it stays one, and the file that it leads to is replaced. A file that was there keeps its
    permissions. What other processes left of theirs, when they were killed while they wrote `path`, is removed.
    """
    target = Path(os.path.realpath(path))
    _remove_abandoned(target)
    partial, file = _new_partial(target)
    try:
        with file:
            with suppress(FileNotFoundError):
                partial.chmod(stat.S_IMODE(target.stat().st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
            if not _HAS_LOCKS:
                file.close()  # Windows gives no open file another name. Elsewhere it keeps its lock until it has it.
            partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _new_partial(target: Path) -> tuple[Path, IO[bytes]]:
    """Make a file beside `target`, with the lock by which others see that its process lives; it ends with it."""
    while True:
        partial = target.with_name(f".{target.name}.{_HOST}{os.urandom(4).hex()}.partial")
        file = partial.open("xb")
        if _HAS_LOCKS:
            with suppress(
                OSError
            ):  # Not every network's file system has locks; _remove_unlocked keeps what it finds there.
                fcntl.flock(file, fcntl.LOCK_EX)
        if partial.exists():
            return partial, file
        file.close()  # Another process came between the making and the lock, and took it for abandoned.


def _remove_abandoned(target: Path) -> None:
    """Remove the partial files of `target` whose processes are dead: nobody holds their locks.

    Locks may not be seen from machine to machine, and the files of earlier versions, whose names lack the machine, had
    none: these are also left alone until nobody has written to them for a day.
    """
    ours = re.compile(rf"\.{re.escape(target.name)}\.([0-9a-f]{{8}})?[0-9a-f]{{8}}\.partial")
    with suppress(OSError):  # What cannot be listed or removed keeps nobody from saving.
        for partial in target.parent.iterdir():
            match = ours.fullmatch(partial.name)
            with suppress(OSError):
                if match and (match[1] == _HOST or time.time() - partial.stat().st_mtime > _DAY):
                    _remove_unlocked(partial)


def _remove_unlocked(partial: Path) -> None:
    """Remove a file, or raise OSError if a process is writing to it."""
    if not _HAS_LOCKS:
        partial.unlink()  # Windows removes no file that is open.
        return
    with partial.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        partial.unlink()
