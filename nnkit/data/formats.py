"""What the MNIST files are, and a reader for each form in which people have them.

A file from outside may promise or unpack to anything. So a reader looks at the beginning first, takes no more than the
published file holds and one byte, and lets the contents pass only by their published SHA-256.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from nnkit.typing import Array

_IMAGES, _LABELS = 2051, 2049  # The magic numbers at the start of the two kinds of file.
_KINDS = {_IMAGES: "images", _LABELS: "labels"}
_PACKED = b"\x1f\x8b"  # What a gzip file begins with.

# What a web page may begin with before its first "<": byte-order marks, the zeros of UTF-16, and blanks.
_BEFORE_MARKUP = b"\xef\xbb\xbf\xfe\xff\0 \t\r\n\f"

# The file's own name, that of 7-Zip and Kaggle with a dot, and that of a second download; EMNIST and QMNIST put theirs
# in front. Whether it is packed is seen from the contents: browsers unpack some files and leave them their name.
_IDX_NAME = re.compile(
    r"(?:[\w-]+-)?(train|t10k|test)-(images|labels)[-.]idx[13][-.]ubyte(?: ?\(?\d+\)?)?(?:\.gz)?", re.I
)
# Keras' archive, and what scikit-learn keeps of OpenML's: the older name is that of the download alone.
_ARCHIVE_NAME = re.compile(r"mnist(?: ?\(?\d+\)?)?\.npz|mnist_784\.arff(?:\.gz)?|52667\.gz", re.I)
_ARFF_NAME = re.compile(r".*\.arff(?:\.gz)?|52667\.gz", re.I)

_PACKING = 1 << 20  # Bytes by which packing may lengthen a file; what is longer is packed over and over.
_NPY_HEADER = 1024  # Bytes; NumPy's own take 128.
_ZIP_DIRECTORY = 4096  # Bytes; that of four arrays takes some 200.
_ARFF_LINE = 1 << 16  # Bytes; a row of pixels takes at most 3,138, a comment may be a paragraph.
_ARFF_HEADER = 5000  # Lines; one for each of the 785 columns, and comments.

# The other data sets that come in files of the same names and sizes, by the MD5 of their packed files, as published
# with torchvision, or by a word in the path. EMNIST's files are published only together, so the path must tell.
_OTHERS = {
    "Fashion-MNIST": (
        "fashion",
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d 25c81989df183df01b3e8a0aad5dffbe "
        "bef4ecab320f06d8554ea6380940ec79 bb300cfdad3c16e7a12a480ee83cd310",
    ),
    "KMNIST": (
        "kmnist|kuzushiji",
        "bdb82020997e1d708af4cf47b453dcf7 e144d726b3acfaa3e44228e80efcd344 "
        "5c965bf0a639b31b8f53240b1b52f4d7 7320c461ea6c1c855c0b718fb2a4b134",
    ),
    "EMNIST": ("emnist", ""),
    "QMNIST": ("qmnist", "ed72d4157d28c017586c42bc6afe6370 1394631089c404de565df7b7aeaf9412"),
}


class MnistFileError(ValueError):
    """A file is damaged, or is not what its name says."""


@dataclass(frozen=True)
class IdxFile:
    """What one file must be: its name, kind, number of samples, and the SHA-256 of its decompressed contents."""

    name: str
    magic: int
    count: int
    sha256: str

    @property
    def header(self) -> tuple[int, ...]:
        """The big-endian integers at its start."""
        return (self.magic, self.count, 28, 28) if self.magic == _IMAGES else (self.magic, self.count)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array behind the header."""
        return self.header[1:]

    @property
    def size(self) -> int:
        """The bytes behind the header."""
        return int(np.prod(self.shape))

    @property
    def role(self) -> tuple[str, str]:
        """The half of MNIST and the kind, as in its name."""
        return ("train" if self.name.startswith("train") else "test", _KINDS[self.magic])

    @property
    def member(self) -> str:
        """The name of its array in Keras' archive."""
        half, kind = self.role
        return f"{'x' if kind == 'images' else 'y'}_{half}"


FILES = (
    IdxFile(
        "train-images-idx3-ubyte.gz",
        _IMAGES,
        60000,
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    IdxFile(
        "train-labels-idx1-ubyte.gz",
        _LABELS,
        60000,
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    IdxFile(
        "t10k-images-idx3-ubyte.gz",
        _IMAGES,
        10000,
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    IdxFile(
        "t10k-labels-idx1-ubyte.gz",
        _LABELS,
        10000,
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
)


def role(name: str) -> tuple[str, str] | None:
    """Return which of the four files a name is that of, as `IdxFile.role` has it."""
    match = _IDX_NAME.fullmatch(name)
    return ("train" if match[1].lower() == "train" else "test", match[2].lower()) if match else None


def is_archive(name: str) -> bool:
    """Return whether a name is that of an archive of all of MNIST."""
    return _ARCHIVE_NAME.fullmatch(name) is not None


def other_dataset(text: str) -> str | None:
    """Return which other data set a text names, such as a path."""
    found = (name for name, (words, _) in _OTHERS.items() if re.search(rf"(?<![a-z])({words})", text.lower()))
    return next(found, None)


def read(path: Path, files: Sequence[IdxFile]) -> dict[str, Array]:
    """Return the samples of those of the four files that a path holds, by the files' names.

    Raises `MnistFileError`, whose message begins with what is wrong, and OSError where the path cannot be read.
    """
    if not stat.S_ISREG(path.stat().st_mode):  # Opening a pipe would wait for whoever writes into it.
        raise MnistFileError("is not a regular file")
    with path.open("rb") as stream:
        if path.suffix.lower() == ".npz":
            return _read_npz(stream, files)
        if _ARFF_NAME.fullmatch(path.name):
            return _read_arff(stream, files)
        for file in files:
            if file.role == role(path.name):
                return {file.name: read_idx(stream, file, path.name)}
    raise MnistFileError("has no name under which MNIST is known, such as train-images-idx3-ubyte.gz or mnist.npz")


def read_idx(stream: io.BufferedReader, file: IdxFile, name: str) -> Array:
    """Return what stands behind the header of one of the four files, packed or not."""
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    start = stream.read(64)
    stream.seek(0)
    packed = start.startswith(_PACKED)
    if not packed and _magic(start) not in _KINDS:
        kind = "a web page" if _is_web_page(start) else f"something that starts with {start.lstrip()[:16]!r}"
        wanted = "a gzip file" if name.lower().endswith(".gz") else "an idx file"
        raise MnistFileError(f"is not {wanted} but {kind if start else 'empty'}")
    contents = gzip.GzipFile(fileobj=stream) if packed else stream
    try:
        beginning = contents.read(64)
        _check_header(beginning, file)
        expected = 4 * len(file.header) + file.size
        if packed and size > expected + _PACKING:
            raise MnistFileError(f"is longer packed, {size:,} bytes, than the {expected:,} bytes that it should hold")
        whole = beginning + contents.read(expected + 1 - len(beginning))
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise MnistFileError(f"is truncated or damaged: its {size:,} bytes cannot be decompressed") from None
    if len(whole) != expected:
        found = f"{len(whole):,} bytes" if len(whole) < expected else "more bytes"
        raise MnistFileError(f"{'decompresses to' if packed else 'holds'} {found} where {expected:,} should be")
    return _published(memoryview(whole)[expected - file.size :], file, stream if packed else None)


def _check_header(beginning: bytes, file: IdxFile) -> None:
    magic, kind = _magic(beginning), _KINDS[file.magic]
    if magic != file.magic:
        if _is_web_page(beginning):
            raise MnistFileError(f"holds a web page where {kind} (magic number {file.magic}) should be")
        found = f"{_KINDS[magic]} (magic number {magic})" if magic in _KINDS else f"magic number {magic}"
        swapped = ": images and labels are swapped" if magic in _KINDS else ""
        raise MnistFileError(f"holds {found} where {kind} (magic number {file.magic}) should be{swapped}")
    size = 4 * len(file.header)
    header = struct.unpack(f">{len(file.header)}i", beginning[:size].ljust(size, b"\0"))
    if header != file.header:
        raise MnistFileError(f"describes an array of shape {header[1:]} where {file.shape} should be")


def _magic(beginning: bytes) -> int | None:
    return struct.unpack(">i", beginning[:4])[0] if len(beginning) >= 4 else None


def _is_web_page(contents: bytes) -> bool:
    return contents[:64].lstrip(_BEFORE_MARKUP).startswith(b"<")


def _published(samples: memoryview, file: IdxFile, packed: io.BufferedReader | None = None, title: str = "") -> Array:
    """Return samples whose contents, with the header that belongs to them, are those of the published file."""
    digest = hashlib.sha256(struct.pack(f">{len(file.header)}i", *file.header))
    digest.update(samples)
    if digest.hexdigest() == file.sha256:
        return np.frombuffer(samples, dtype=np.uint8)
    other = other_dataset(title)
    if packed is not None:
        packed.seek(0)
        checksum = hashlib.file_digest(packed, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        other = next((name for name, (_, sums) in _OTHERS.items() if checksum in sums.split()), None)
    known = f": it is {other}, as its {'title' if title else 'published checksum'} says" if other else ""
    raise MnistFileError(f"has the right size but not the published contents (its SHA-256 differs){known}")


def _read_npz(stream: io.BufferedReader, files: Sequence[IdxFile]) -> dict[str, Array]:
    """Return the four arrays of Keras' archive."""
    if not _has_short_directory(stream):
        raise MnistFileError("is no NumPy archive of a few arrays")
    try:
        with zipfile.ZipFile(stream) as archive:
            return {file.name: _member(archive, file) for file in files}
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise MnistFileError(f"is truncated or damaged: {error}") from None


def _has_short_directory(stream: io.BufferedReader) -> bool:
    """Return whether a zip file ends with a directory of a few entries, which Python reads whole."""
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size - 42))  # The end record of 22 bytes, and before it that of large files.
    end = stream.read().rjust(42, b"\0")
    return end[:4] != b"PK\6\7" and end[20:24] == b"PK\5\6" and struct.unpack("<I", end[32:36])[0] <= _ZIP_DIRECTORY


def _member(archive: zipfile.ZipFile, file: IdxFile) -> Array:
    try:
        entry = archive.getinfo(f"{file.member}.npy")
    except KeyError:
        raise MnistFileError(f"holds no array {file.member}, as Keras' mnist.npz does") from None
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or entry.flag_bits & 1:
        raise MnistFileError(f"holds {file.member} in a form that NumPy does not write")
    with archive.open(entry) as member:
        beginning = io.BytesIO(member.read(_NPY_HEADER))
        try:
            np.lib.format.read_magic(beginning)
            shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(beginning)
        except ValueError:
            raise MnistFileError(f"holds something under {file.member} that is no array") from None
        if (shape, dtype) != (file.shape, np.dtype(np.uint8)) or fortran_order:
            raise MnistFileError(
                f"holds {file.member} as {dtype} of shape {shape} where uint8 of shape {file.shape} should be"
            )
        samples = beginning.read()
        samples += member.read(file.size + 1 - len(samples))
    if len(samples) != file.size:
        found = f"{len(samples):,}" if len(samples) < file.size else "more"
        raise MnistFileError(f"holds {found} bytes in {file.member} where {file.size:,} should be")
    return _published(memoryview(samples), file)


def _read_arff(stream: io.BufferedReader, files: Sequence[IdxFile]) -> dict[str, Array]:
    """Return what OpenML's table holds: one image a row with its label last, those for training first."""
    counts = {file.role[0]: file.count for file in files}
    packed = stream.read(2) == _PACKED
    stream.seek(0)
    lines = _arff_lines(gzip.GzipFile(fileobj=stream) if packed else stream, sum(counts.values()) + _ARFF_HEADER)
    title = ""
    try:
        for line in lines:
            if line.lower().startswith(b"@relation"):
                title = line[9:].decode("latin-1")
            if line.lower().startswith(b"@data"):
                break
        rows = _arff_rows(lines, sum(counts.values()))
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise MnistFileError("is truncated or damaged: it cannot be decompressed") from None
    halves = {"train": rows[: counts["train"]], "test": rows[counts["train"] :]}
    arrays = {}
    for file in files:
        half, kind = file.role
        samples = halves[half][:, :-1] if kind == "images" else halves[half][:, -1]
        arrays[file.name] = _published(memoryview(samples.tobytes()), file, title=title)
    return arrays


def _arff_lines(stream: io.BufferedReader | gzip.GzipFile, most: int) -> Iterator[bytes]:
    """Yield the lines that are neither empty nor comments, of which neither one nor all may be too long."""
    for _ in range(most):
        line = stream.readline(_ARFF_LINE)
        if not line:
            return
        if len(line) == _ARFF_LINE:
            raise MnistFileError(f"has a line of {_ARFF_LINE:,} bytes or more")
        if line.strip() and not line.startswith(b"%"):
            yield line.strip()
    raise MnistFileError(f"has {most:,} lines or more")


def _arff_rows(lines: Iterator[bytes], count: int) -> Array:
    def checked() -> Iterator[bytes]:
        for number, line in enumerate(lines, start=1):
            if number > count:
                raise MnistFileError(f"has more rows than the {count:,} of MNIST")
            if line.count(b",") != 784:
                raise MnistFileError(f"has a row {number:,} that is not 784 pixels and a label")
            yield line

    rows = checked()
    first = next(rows, None)
    if first is None:
        raise MnistFileError("has no rows after a line @DATA")
    try:
        table = np.loadtxt(chain([first], rows), dtype=np.uint8, delimiter=",", quotechar="'", ndmin=2)
    except MnistFileError:
        raise
    except ValueError as error:
        raise MnistFileError(f"has a row that is not whole numbers from 0 to 255: {error}") from None
    if len(table) < count:
        raise MnistFileError(f"has {len(table):,} rows where {count:,} should be")
    return table
