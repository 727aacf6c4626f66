"""Files: written whole or not at all, and read with bounds; JSON and npz for the package and the book alike."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import platform
import re
import stat
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from nnkit.typing import Array

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


MOST_BYTES = 2**24
"""The most that one JSON text may have: the record of a checkpoint, a line of a store, a result, a notebook.

The largest that the book has is a sixteenth of it. What Python makes of a text can take some twenty times its size.
"""


def plain(name: str, value: Any) -> Any:
    """Return `value` in JSON's types, with NaN and the infinities, which JSON lacks, as ``{"$float": "nan"}``.

    Parameters
    ----------
    name : str
        What the caller calls `value`; used in the error.
    value : object
        Numbers, strings, None, lists and dicts of them; also tuples, and NumPy's numbers and arrays.

    Raises
    ------
    TypeError
        If it holds anything else, or a dict has a key that is no string.
    ValueError
        If it is nested deeper than Python can follow, as what holds itself.
    """
    try:
        return _plain(name, value)
    except RecursionError:
        raise ValueError(f"{name} must not be nested deeper than Python can follow; it may hold itself") from None


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": str(value)}
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str) or key == "$float":
                raise TypeError(f"{name} must have strings as keys, and not '$float'; got {key!r}")
        return {key: _plain(f"{name}[{key!r}]", item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(f"{name}[{i}]", item) for i, item in enumerate(value)]
    raise TypeError(f"{name} must be made of numbers, strings, None, lists and dicts; got a {type(value).__name__}")


def loads(text: bytes | str) -> Any:
    """Return what a JSON text holds, with the floats as they were before `plain`.

    Raises
    ------
    ValueError
        If it is no JSON, larger than `MOST_BYTES`, or nested deeper than Python can follow.
    """
    if len(text) > MOST_BYTES:
        raise ValueError(f"a JSON text must have at most {MOST_BYTES} bytes; got {len(text)}")
    try:
        return json.loads(text, object_hook=lambda item: float(item["$float"]) if item.keys() == {"$float"} else item)
    except RecursionError:
        raise ValueError("a JSON text must not be nested deeper than Python can follow") from None


def read_text(path: Path) -> str:
    """Return the JSON text of a file, of which no more is read than it may have.

    Raises
    ------
    ValueError
        If it is larger than `MOST_BYTES`, or not UTF-8.
    """
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"{path} must have at most {MOST_BYTES} bytes of JSON; it has more")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} must be JSON in UTF-8; got {error}") from error


def read_json(path: Path) -> Any:
    """Return what a JSON file holds; raise ValueError that names it if it is none, too large, or nested too deep."""
    text = read_text(path)
    try:
        return loads(text)
    except ValueError as error:
        raise ValueError(f"{path} must hold JSON: {error}") from error


_MOST_MEMBERS = 10_000


def arrays_of(file: IO[bytes]) -> Iterator[tuple[str, Array]]:
    """Yield each array of an npz file under its name, as `numpy.savez` wrote it.

    Raises
    ------
    ValueError
        If members are compressed, too many, of one name, or promise more than they or the file can hold, or if one
        holds something else than real numbers.
    zipfile.BadZipFile
        If it is no such archive, or a member is damaged.
    """
    size = file.seek(0, os.SEEK_END)
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if len(members) > _MOST_MEMBERS:
            raise ValueError(f"it must have at most {_MOST_MEMBERS} members; got {len(members)}")
        if len({member.filename for member in members}) < len(members):
            raise ValueError("it must have each member once; got several of one name")
        for member in members:
            if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
                raise ValueError(f"its members must be stored as they are; {member.filename!r} is compressed")
        promised = sum(member.file_size for member in members)
        if promised > size:
            raise ValueError(f"its members promise {promised} bytes, and the file has {size}")
        for member in members:
            yield member.filename.removesuffix(".npy"), _array(member.filename, archive.read(member))


def _array(name: str, content: bytes) -> Array:
    """Return the array in a member of an npz file, which must hold as much as its header promises."""
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    if version != (1, 0):
        raise ValueError(f"its member {name!r} must be of NumPy's format 1.0; got {version}")
    shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    if dtype.kind not in "fiub":
        raise ValueError(f"its member {name!r} must hold real numbers, and no pickle is ever loaded; got {dtype}")
    promised, held = math.prod(shape) * dtype.itemsize, len(content) - stream.tell()
    if promised != held:
        raise ValueError(f"its member {name!r} promises {dtype} of shape {shape}, {promised} bytes, and holds {held}")
    stream.seek(0)
    return np.lib.format.read_array(stream, allow_pickle=False)
