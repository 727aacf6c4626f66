"""Where the MNIST files come from, and the checks they pass before anybody sees them."""

from __future__ import annotations

import gzip
import hashlib
import logging
import math
import os
import socket
import struct
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import numpy as np

from nnkit._checks import Array

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://raw.githubusercontent.com/fgnt/mnist/master/",
)
"""Public copies of the four files. Their .gz files differ, their decompressed contents do not."""

CONNECT_TIMEOUT = 10
"""Seconds for a connection to a mirror, shared among its addresses, after which the next mirror is tried."""

READ_TIMEOUT = 30
"""Seconds without an answer over a connection after which the next mirror is tried."""

SLOW = 1
"""Seconds that a failure may take and still be forgotten; a slower one makes the mirror rest."""

REST = 60
"""Seconds for which a mirror is not asked again after a slow failure: others may wait in the same cell."""

_IMAGES, _LABELS = 2051, 2049  # The magic numbers at the start of the two kinds of file.
_KINDS = {_IMAGES: "images", _LABELS: "labels"}

# What a web page may begin with before its first "<": byte-order marks, the zeros of UTF-16, and blanks.
_BEFORE_MARKUP = b"\xef\xbb\xbf\xfe\xff\0 \t\r\n\f"

# When the rest of a mirror ends, and how it failed. The proxies are part of the key, since whoever sets one after a
# failure is right to try again at once.
_resting: dict[tuple[str, frozenset[tuple[str, str]]], tuple[float, str]] = {}


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


class MnistFileError(ValueError):
    """A file is damaged, or is not what its name says."""


class MnistUnavailableError(OSError):
    """MNIST is nowhere on this machine and cannot be downloaded."""


def cache_folder() -> Path:
    """Return the folder of the user's cache where downloads are kept."""
    import pooch

    return Path(pooch.os_cache("nnkit")) / "mnist"


def load() -> tuple[Array, Array, Array, Array]:
    """Return X_train, y_train, X_test, y_test, as `Dataset` describes them."""
    folder = _find_folder()
    if folder == _wanted_folder():
        mend = "replace it with the published file, or unset NNKIT_DATA, and load_mnist() downloads all four"
    else:
        mend = "delete it, and load_mnist() downloads it again"
    X_train, y_train, X_test, y_test = (_read(folder / file.name, file, mend) for file in FILES)
    return _scaled(X_train), y_train.astype(np.int64), _scaled(X_test), y_test.astype(np.int64)


def _scaled(images: Array) -> Array:
    return images.reshape(-1, 784).astype(np.float32) / np.float32(255)


def _wanted_folder() -> Path | None:
    wanted = os.environ.get("NNKIT_DATA")
    return Path(wanted).expanduser() if wanted else None


def _find_folder() -> Path:
    """Return a folder that holds all four files, after a download if need be."""
    looked = []
    folder = _wanted_folder()
    if folder is not None:
        missing = [file.name for file in _missing(folder)]
        if not missing:
            return folder
        if len(missing) < len(FILES):
            raise MnistFileError(
                f"NNKIT_DATA is {folder}, which holds some of the MNIST files but not {', '.join(missing)}; "
                "add what is missing, or unset NNKIT_DATA to have all four downloaded"
            )
        readable = os.access(folder, os.R_OK | os.X_OK)
        what = "holds none of the four MNIST files" if readable else "is no folder that may be read"
        looked.append(f"NNKIT_DATA is {folder}, which {what}")
    try:
        cache = cache_folder()
    except ModuleNotFoundError as error:
        raise _unavailable(
            [*looked, f"the cache and the download need {error.name}: pip install pooch tqdm"]
        ) from error
    missing_files = _missing(cache)
    if not missing_files:
        return cache
    looked.append(f"the cache {cache} does not hold all four files")
    if _offline():
        raise _unavailable([*looked, "NNKIT_OFFLINE is set, so nothing was downloaded"])
    try:
        cache.mkdir(parents=True, exist_ok=True)
        # The folder for the download lies inside the cache, so that moving a file out of it is atomic.
        with tempfile.TemporaryDirectory(dir=cache, prefix=".download-") as scratch:
            for file in missing_files:
                _download(file, Path(scratch), cache, looked)
    except OSError as error:
        if isinstance(error, MnistUnavailableError):
            raise
        raise _unavailable([*looked, f"the cache {cache} cannot be written ({error})"]) from error
    return cache


def _missing(folder: Path) -> list[IdxFile]:
    """Return those of the four files that a folder does not hold, or does not show to this user."""
    try:
        return [file for file in FILES if not (folder / file.name).is_file()]
    except PermissionError:  # The folder may not be searched.
        return list(FILES)


def _offline() -> bool:
    return os.environ.get("NNKIT_OFFLINE", "") not in ("", "0")


def _download(file: IdxFile, scratch: Path, cache: Path, looked: list[str]) -> None:
    import pooch

    pooch.get_logger().setLevel(logging.WARNING)
    failures = []
    for mirror in MIRRORS:
        key = (mirror, frozenset(getproxies().items()))
        start = monotonic()
        end, failure = _resting.get(key, (start, ""))
        if end > start:
            failures.append(f"{mirror}: {failure} (not asked again for {math.ceil(end - start)} s)")
            continue
        try:
            path = Path(
                pooch.retrieve(
                    mirror + file.name,
                    known_hash=None,  # The .gz differs between mirrors; _read checks the contents.
                    fname=file.name,
                    path=scratch,
                    downloader=_downloader(mirror),
                )
            )
            _read(path, file)
        except MnistFileError as error:
            failures.append(f"{mirror}: {error}")
            (scratch / file.name).unlink(missing_ok=True)
        except OSError as error:  # What requests raises for every failure of the network is one of these.
            if error.errno is not None:  # A local file: the disk is full, or read-only.
                raise
            failure = type(error).__name__
            if monotonic() - start > SLOW:
                _resting[key] = (monotonic() + REST, failure)
                failure += f" (not asked again for {REST} s)"
            failures.append(f"{mirror}: {failure}")
        else:
            path.replace(cache / file.name)
            return
    raise _unavailable([*looked, f"downloading {file.name} failed at every mirror ({'; '.join(failures)})"])


def _downloader(mirror: str) -> Any:
    """Return what downloads from a mirror, with a progress bar where tqdm is installed."""
    import pooch

    timeout = (_connect_timeout(mirror), READ_TIMEOUT)
    try:
        return pooch.HTTPDownloader(progressbar=True, timeout=timeout)
    except ValueError:  # tqdm is missing.
        return pooch.HTTPDownloader(progressbar=False, timeout=timeout)


def _connect_timeout(mirror: str) -> float:
    """Return the seconds for each address of a mirror: some have 16, which are tried one after another."""
    parts = urlsplit(mirror)
    host = parts.hostname or ""
    if {parts.scheme, "all"} & getproxies().keys() and not proxy_bypass(host):
        return CONNECT_TIMEOUT  # The proxy connects, and only it may know the addresses.
    try:
        addresses = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        # Without an errno, as requests raises it, since it is no fault of a local file.
        raise ConnectionError(f"the name {host} cannot be resolved") from error
    return max(1.0, CONNECT_TIMEOUT / len(addresses))


def _unavailable(reasons: list[str]) -> MnistUnavailableError:
    unset = ", unset NNKIT_OFFLINE" if _offline() else ""
    return MnistUnavailableError(
        f"MNIST cannot be had: {'; '.join(reasons)}. Three ways to mend it: "
        f"(1) connect to the internet{unset} and call load_mnist() again, with a cache that can be written "
        f"(XDG_CACHE_HOME moves it); "
        f"(2) put {', '.join(file.name for file in FILES)} into a folder and set NNKIT_DATA to it; "
        f"(3) call load_mnist(fallback=True) for scikit-learn's small digits instead"
    )


def _read(path: Path, file: IdxFile, mend: str = "") -> Array:
    """Return the bytes of a file behind its header, once all of it is what it must be."""

    def fail(what: str, first: str = "") -> MnistFileError:
        return MnistFileError(f"{path} {what}; to mend it, {first}{mend}" if mend else f"{file.name} {what}")

    try:
        packed = path.read_bytes()
    except OSError as error:
        if not mend:  # A download that cannot be read back is no fault of the mirror.
            raise
        raise fail(f"cannot be read ({error.strerror or error})", "make it readable, or ") from error
    if not packed.startswith(b"\x1f\x8b"):
        start = packed[:64].lstrip()
        kind = "a web page" if _is_web_page(packed) else f"something that starts with {start[:16]!r}"
        raise fail(f"is not a gzip file but {kind if packed else 'empty'}")
    try:
        contents = gzip.decompress(packed)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise fail(f"is truncated or damaged: its {len(packed):,} bytes cannot be decompressed") from None
    magic = struct.unpack(">i", contents[:4])[0] if len(contents) >= 4 else None
    if magic != file.magic:
        if _is_web_page(contents):
            raise fail(f"holds a web page where {_KINDS[file.magic]} (magic number {file.magic}) should be")
        found = f"{_KINDS[magic]} (magic number {magic})" if magic in _KINDS else f"magic number {magic}"
        swapped = ": images and labels are swapped" if magic in _KINDS else ""
        raise fail(f"holds {found} where {_KINDS[file.magic]} (magic number {file.magic}) should be{swapped}")
    size = 4 * len(file.header)
    header = struct.unpack(f">{len(file.header)}i", contents[:size].ljust(size, b"\0"))
    if header != file.header:
        raise fail(f"describes an array of shape {header[1:]} where {file.header[1:]} should be")
    expected = size + int(np.prod(file.header[1:]))
    if len(contents) != expected:
        raise fail(f"decompresses to {len(contents):,} bytes where {expected:,} should be")
    if hashlib.sha256(contents).hexdigest() != file.sha256:
        raise fail("has the right size but not the published contents (its SHA-256 differs)")
    return np.frombuffer(contents, dtype=np.uint8, offset=size)


def _is_web_page(contents: bytes) -> bool:
    return contents[:64].lstrip(_BEFORE_MARKUP).startswith(b"<")
