"""Files: written whole or not at all, and read with bounds; JSON and npz for the package and the book alike."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import platform
import stat
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from glob import escape
from pathlib import Path
from typing import IO, Any

import numpy as np

from nnkit.typing import Array

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

MOST_BYTES = 2**24
"""The most bytes of a JSON text, sixteen times the book's largest: parsing can take twenty times its size in memory."""

_HAS_LOCKS = fcntl is not None
_HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def locked(file: IO[bytes], *, wait: bool = False) -> None:
    """Lock a file until it is closed; raise BlockingIOError if another process has it. Windows has no such locks."""
    if _HAS_LOCKS:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def written_whole(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for writing that replaces `path` once all of it is on the disk, and not at all after an error.

    A link stays a link to the new file, which has the permissions of the old one. Partial files that killed processes
    on this machine left beside it are removed.
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
                file.close()  # Windows cannot rename an open file. Elsewhere closing it now would drop the lock early.
            partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _new_partial(target: Path) -> tuple[Path, IO[bytes]]:
    """Create a file beside `target`; its lock, which ends with the process, tells others that it is in use."""
    while True:
        partial = target.with_name(f".{target.name}.{_HOST}{os.urandom(4).hex()}.partial")
        file = partial.open("xb")
        with suppress(OSError):  # Some network file systems have no locks; nothing is removed there.
            locked(file, wait=True)
        if partial.exists():
            return partial, file
        file.close()  # Another process removed it as abandoned before it was locked.


def _remove_abandoned(target: Path) -> None:
    """Remove the partial files of `target` that a process of this machine made and none has locked."""
    for partial in target.parent.glob(f".{escape(target.name)}.{_HOST}*.partial"):
        # A file that cannot be locked or removed stays. Windows refuses to remove an open one by itself.
        with suppress(OSError), partial.open("rb") if _HAS_LOCKS else nullcontext() as file:
            if file is not None:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            partial.unlink()


def plain(name: str, value: Any) -> Any:
    """Return `value` in JSON's types, with NaN and the infinities, which JSON lacks, as ``{"$float": "nan"}``.

    It may hold numbers, strings, None, NumPy's arrays, and lists, tuples and dicts of them with strings as keys. For
    anything else, the TypeError calls the value by `name`.
    """
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
        return {key: plain(f"{name}[{key!r}]", item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(f"{name}[{i}]", item) for i, item in enumerate(value)]
    raise TypeError(f"{name} must be made of numbers, strings, None, lists and dicts; got a {type(value).__name__}")


def loads(text: bytes | str) -> Any:
    """Return what a JSON text holds, with the floats as they were before `plain`; raise ValueError if it cannot."""
    if len(text) > MOST_BYTES:
        raise ValueError(f"a JSON text must have at most {MOST_BYTES} bytes; got {len(text)}")
    try:
        return json.loads(text, object_hook=lambda item: float(item["$float"]) if item.keys() == {"$float"} else item)
    except RecursionError:
        raise ValueError("a JSON text must not be nested deeper than Python can follow") from None


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8; raise ValueError if it is not, or has more than `MOST_BYTES`."""
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"{path} must have at most {MOST_BYTES} bytes; it has more")
    return content.decode()


def read_json(path: Path) -> Any:
    """Return what a JSON file holds; raise ValueError naming the file if `read_text` or `loads` refuses it."""
    try:
        return loads(read_text(path))
    except ValueError as error:
        raise ValueError(f"{path} must hold JSON: {error}") from error


def arrays_of(file: IO[bytes]) -> Iterator[tuple[str, Array]]:
    """Yield the name and the array of each member of an npz file, as `numpy.savez` writes it.

    Nothing is unpickled or unpacked, and no more memory is taken than the file has bytes. Raises ValueError if members
    share a name, hold anything but real numbers, or claim more bytes than the file has, and BadZipFile for damage.
    """
    size = file.seek(0, os.SEEK_END)
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if len({member.filename for member in members}) < len(members):
            raise ValueError("it must have each member once; got several of the same name")
        claimed = sum(member.file_size for member in members)
        if claimed > size:
            raise ValueError(f"its members claim {claimed} bytes of the file's {size}; compressed ones are not read")
        for member in members:
            yield member.filename.removesuffix(".npy"), _array(member.filename, archive.read(member))


def _array(name: str, content: bytes) -> Array:
    """Return the array in a member of an npz file, which must hold exactly what its header claims."""
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    if version != (1, 0):
        raise ValueError(f"its member {name!r} must be of NumPy's format 1.0; got {version}")
    shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    if dtype.kind not in "fiub":
        raise ValueError(f"its member {name!r} must hold real numbers; nothing is ever unpickled; got {dtype}")
    claimed, held = math.prod(shape) * dtype.itemsize, len(content) - stream.tell()
    if claimed != held:
        raise ValueError(f"its member {name!r} claims {dtype} of shape {shape}, {claimed} bytes, and holds {held}")
    stream.seek(0)
    return np.lib.format.read_array(stream, allow_pickle=False)
