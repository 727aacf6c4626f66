"""Reading an npz file that may come from anywhere: never more than it can hold, and never a pickle."""

from __future__ import annotations

import io
import math
import os
import zipfile
from collections.abc import Iterator
from typing import IO

import numpy as np

from nnkit._checks import Array

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
