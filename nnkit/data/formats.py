"""The four files of MNIST, and a reader for each form in which people have them.

Only contents with the published SHA-256 are returned, and hardly more is unpacked of a file than they take.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import struct
import zipfile
import zlib
from dataclasses import dataclass
from functools import partial
from io import BufferedIOBase, BufferedReader
from itertools import chain, islice
from math import prod
from pathlib import Path

import numpy as np

from nnkit.typing import Array

_MAGIC = {"images": 2051, "labels": 2049}

# Unpacked by 7-Zip or from Kaggle, a name has dots for hyphens; a second download has a number. Browsers unpack some
# files and keep the name, so whether one is compressed is seen from its contents.
_IDX = re.compile(r"(train|t10k)-(images|labels)[-.]idx[13][-.]ubyte(?: ?\(?\d+\)?)?(?:\.gz)?", re.I)
# Keras' archive, and OpenML's table as it is downloaded and as two versions of scikit-learn's cache name it.
_ARCHIVE = re.compile(r"mnist(?: ?\(?\d+\)?)?\.npz|mnist_784\.arff(?:\.gz)?|52667\.gz", re.I)

_NPY_HEADER = 1024  # bytes, at most; NumPy writes 128
_ARFF_LINE = 1 << 16  # bytes, at most; a row of pixels takes some 3,000
_ARFF_HEADER = 5000  # lines, at most; one for each of the 785 columns, and comments


class MnistFileError(ValueError):
    """A file is damaged, or is not what its name says."""


@dataclass(frozen=True)
class IdxFile:
    """One of the four files: its half and kind, the shape of its array, and the SHA-256 of all it decompresses to."""

    half: str
    kind: str
    shape: tuple[int, ...]
    sha256: str

    @property
    def name(self) -> str:
        return f"{self.half}-{self.kind}-idx{len(self.shape)}-ubyte.gz"

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def header(self) -> bytes:
        """The magic number and the shape, as big-endian integers."""
        return struct.pack(f">{1 + len(self.shape)}i", _MAGIC[self.kind], *self.shape)


FILES = (
    IdxFile("train", "images", (60000, 28, 28), "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    IdxFile("train", "labels", (60000,), "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    IdxFile("t10k", "images", (10000, 28, 28), "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    IdxFile("t10k", "labels", (10000,), "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
)


def held(name: str) -> set[str]:
    """Return the published names of those of the four files that a file called `name` should hold."""
    if _ARCHIVE.fullmatch(name):
        return {file.name for file in FILES}
    match = _IDX.fullmatch(name)
    return {file.name for file in FILES if match and match.expand(r"\1-\2").lower() == f"{file.half}-{file.kind}"}


def read(path: Path, name: str = "") -> dict[str, Array]:
    """Return the arrays of uint8 in a file, by their published names; the form is known from `name`, or the file's own.

    Raises `MnistFileError` with a message that can follow the path, or OSError.
    """
    name = name or path.name
    if path.exists() and not path.is_file():  # Opening a pipe would wait for its writer.
        raise MnistFileError("is not a regular file")
    with path.open("rb") as stream:
        try:
            if name.lower().endswith(".npz"):
                return _read_npz(stream)
            if re.fullmatch(r".*\.arff(\.gz)?|52667\.gz", name, re.I):
                return _read_arff(_decompressed(stream))
            for file in FILES:
                if held(name) == {file.name}:
                    return {file.name: _verified(_decompressed(stream).read(len(file.header) + file.size + 1), file)}
        except (gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
            raise MnistFileError(f"is truncated or damaged: {error}") from None
    raise MnistFileError("does not have the name of an MNIST file, such as train-images-idx3-ubyte.gz or mnist.npz")


def _decompressed(stream: BufferedReader) -> BufferedIOBase:
    return gzip.GzipFile(fileobj=stream) if stream.peek(2).startswith(b"\x1f\x8b") else stream


def _verified(contents: bytes, file: IdxFile) -> Array:
    """Return the array in the decompressed contents of one of the four files, if they are the published ones."""
    if hashlib.sha256(contents).hexdigest() == file.sha256:
        return np.frombuffer(contents, np.uint8, offset=len(file.header)).reshape(file.shape)
    if contents[:64].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):  # perhaps after a byte-order mark
        raise MnistFileError("is a web page")
    sizes = f"{len(contents):,} bytes for {len(file.header) + file.size:,}"
    raise MnistFileError(f"does not hold the published {file.half} {file.kind}: {sizes}, and another SHA-256")


def _read_npz(stream: BufferedReader) -> dict[str, Array]:
    """Return the four arrays of Keras' archive."""
    arrays = {}
    with zipfile.ZipFile(stream) as archive:
        for file, member in zip(FILES, ("x_train.npy", "y_train.npy", "x_test.npy", "y_test.npy"), strict=True):
            if member not in archive.namelist():
                raise MnistFileError(f"has no member {member}, as Keras' mnist.npz does")
            with archive.open(member) as npy:
                contents = npy.read(_NPY_HEADER + file.size)
            # The array comes last. Whatever the header says, only the published bytes pass.
            arrays[file.name] = _verified(file.header + contents[-file.size :], file)
    return arrays


def _read_arff(stream: BufferedIOBase) -> dict[str, Array]:
    """Return the halves of OpenML's table: an image and its label in each row, the training rows first."""
    n_train = FILES[0].shape[0]
    n = n_train + FILES[2].shape[0]
    lines = islice(iter(partial(stream.readline, _ARFF_LINE), b""), n + _ARFF_HEADER)
    any(line.lower().startswith(b"@data") for line in lines)  # Skip the header.
    if (first := next((line for line in lines if line.strip()), None)) is None:
        raise MnistFileError("has no rows after a line @DATA")
    try:
        table = np.loadtxt(
            chain([first], lines), np.uint8, delimiter=",", quotechar="'", comments="%", usecols=range(785), ndmin=2
        )
    except ValueError as error:
        raise MnistFileError(f"has a row that is not 784 pixels and a label: {error}") from None
    train, test = table[:n_train], table[n_train:]
    parts = (train[:, :-1], train[:, -1], test[:, :-1], test[:, -1])
    return {file.name: _verified(file.header + part.tobytes(), file) for file, part in zip(FILES, parts, strict=True)}
