"""Where MNIST is looked for, and its download."""

from __future__ import annotations

import logging
import math
import os
import socket
import tempfile
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import numpy as np

from nnkit.data.formats import FILES, IdxFile, MnistFileError, is_archive, other_dataset, read, role
from nnkit.typing import Array

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

_OPENML = "openml/openml.org/data/v1/download"  # Where scikit-learn keeps OpenML's files, below its folder.

# When the rest of a mirror ends, and how it failed. The proxies are part of the key, since whoever sets one after a
# failure is right to try again at once.
_resting: dict[tuple[str, frozenset[tuple[str, str]]], tuple[float, str]] = {}


class MnistUnavailableError(OSError):
    """MNIST is nowhere on this machine and cannot be downloaded."""


def cache_folder() -> Path:
    """Return the folder of the user's cache where downloads are kept."""
    import pooch

    return Path(pooch.os_cache("nnkit")) / "mnist"


def other_caches() -> tuple[tuple[str, Path], ...]:
    """Return where other libraries usually put MNIST, with the library; the slowest to read is last."""
    keras = Path(os.environ.get("KERAS_HOME") or "~/.keras") / "datasets"
    sklearn = Path(os.environ.get("SCIKIT_LEARN_DATA") or "~/scikit_learn_data")
    return ("torchvision", Path("data")), ("Keras", keras), ("scikit-learn", sklearn)


def load() -> tuple[tuple[Array, Array, Array, Array], str]:
    """Return X_train, y_train, X_test and y_test, as `Dataset` describes them, and the path that they came from."""
    samples, paths = _find()
    source = str(Path(os.path.commonpath(paths)).absolute())
    logging.getLogger("nnkit").info("MNIST was read from %s", source)
    X_train, y_train, X_test, y_test = (samples[file.name] for file in FILES)
    return (_scaled(X_train), y_train.astype(np.int64), _scaled(X_test), y_test.astype(np.int64)), source


def _scaled(images: Array) -> Array:
    return images.reshape(-1, 784).astype(np.float32) / np.float32(255)


def _find() -> tuple[dict[str, Array], list[Path]]:
    """Return the samples of all four files, by name, and the paths that held them, after a download if need be."""
    if _is_nowhere():
        raise _unavailable(["NNKIT_DATA is none, so MNIST was neither looked for nor downloaded"])
    looked: list[str] = []
    if found := _in_wanted(looked):
        return found
    try:
        cache = cache_folder()
    except ModuleNotFoundError as error:
        cache = None
        looked.append(f"the cache and the download need {error.name}: pip install pooch tqdm")
    if cache and not _missing(cache):
        return _in_own(cache)
    if cache:
        looked.append(f"the cache {cache} does not hold all four files")
    if found := _in_other_caches(looked):
        return found
    if cache is None:
        raise _unavailable(looked)
    _fill(cache, looked)
    return _in_own(cache)


def _is_nowhere() -> bool:
    return os.environ.get("NNKIT_DATA") == "none"


def _in_wanted(looked: list[str]) -> tuple[dict[str, Array], list[Path]] | None:
    """Return what NNKIT_DATA leads to; None, with a reason in the list, where that holds nothing of MNIST."""
    if not (named := os.environ.get("NNKIT_DATA")):
        return None
    wanted = Path(named).expanduser()
    mend = "replace it with the published file, or unset NNKIT_DATA, and load_mnist() downloads all four"
    samples, paths, faults = _gather(_beside(wanted) if _is_file(wanted) else _below(wanted), mend)
    missing = [file.name for file in FILES if file.name not in samples]
    if not missing:
        return samples, paths
    if faults:
        raise faults[0]
    if samples:
        raise MnistFileError(
            f"NNKIT_DATA is {wanted}, which holds some of the MNIST files but not {', '.join(missing)}; "
            "add what is missing, or unset NNKIT_DATA to have all four downloaded"
        )
    readable = os.access(wanted, os.R_OK | os.X_OK)
    what = "holds none of the four MNIST files" if readable else "is no folder that may be read, and no file"
    looked.append(f"NNKIT_DATA is {wanted}, which {what}")
    return None


def _in_own(cache: Path) -> tuple[dict[str, Array], list[Path]]:
    mend = "delete it, and load_mnist() downloads it again"
    samples, paths, faults = _gather([cache / file.name for file in FILES], mend)
    if faults:
        raise faults[0]
    return samples, paths


def _in_other_caches(looked: list[str]) -> tuple[dict[str, Array], list[Path]] | None:
    """Return what another library has left; what is damaged there is no error, since it is not ours to mend."""
    empty = []
    for library, place in other_caches():
        with suppress(RuntimeError):  # A user without a home folder has nothing there.
            place = place.expanduser()
        samples, paths, faults = _gather(_below(place))
        if len(samples) == len(FILES):
            # Nobody named this place, so it is said aloud: without a handler, logging prints warnings and no more.
            logging.getLogger("nnkit").warning("load_mnist takes MNIST from %s, the folder of %s", place, library)
            return samples, paths
        if faults:
            looked.append(f"in the folder of {library}, {faults[0]}")
        else:
            empty.append(f"{place} of {library}")
    if empty:
        looked.append(f"MNIST is not whole in {', '.join(empty)}")
    return None


def _gather(paths: list[Path], mend: str = "") -> tuple[dict[str, Array], list[Path], list[MnistFileError]]:
    """Return what the first sound paths hold of the four files, those paths, and the faults of what else was wanted."""
    samples: dict[str, Array] = {}
    sound: list[Path] = []
    faults: list[tuple[Path, MnistFileError]] = []

    def is_missing(path: Path) -> bool:
        missing = [file.role for file in FILES if file.name not in samples]
        return bool(missing) and role(path.name) in {*missing, None}

    for path in filter(is_missing, paths):
        try:
            samples = _read(path, mend) | samples
            sound.append(path)
        except MnistFileError as error:
            faults.append((path, error))
    return samples, sound, [error for path, error in faults if is_missing(path)]


def _read(path: Path, mend: str) -> dict[str, Array]:
    """Return what a path holds of the four files; what is wrong with it is named with the path and what to do."""
    first = ""
    try:
        return read(path, FILES)
    except MnistFileError as error:
        other = other_dataset("/".join(path.parts[-3:]))
        what = f"{error}{f', and its path says {other}' if other and other not in str(error) else ''}"
    except OSError as error:
        what, first = f"cannot be read ({error.strerror or error})", "make it readable, or "
    raise MnistFileError(f"{path} {what}{f'; to mend it, {first}{mend}' if mend else ''}")


def _is_file(path: Path) -> bool:
    """Return whether there is something other than a folder, if only a pipe or a link that leads nowhere."""
    return os.path.lexists(path) and not _is_folder(path)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # It may not be looked at.
        return False


def _beside(path: Path) -> list[Path]:
    """Return a path and, if it is one of the four files, those that hold the other three."""
    own = role(path.name)
    if own is None:
        return [path]
    folder = path.parent.parent if role(path.parent.name) else path.parent
    return [path, *(other for other in _below(folder, levels=0) if role(other.name) not in {own, None})]


def _below(place: Path, levels: int = 2) -> list[Path]:
    """Return what may hold MNIST in a folder and in those below it, the likeliest first."""
    names = [file.role for file in FILES]

    def unlikeliness(path: Path) -> tuple[bool, bool, int, int, Path]:
        of = role(path.name)
        elsewhere = other_dataset("/".join(path.relative_to(place).parts)) is not None
        return elsewhere, of is None, len(path.parts), names.index(of) if of else 0, path

    return sorted(_candidates(place, levels) + _candidates(place / _OPENML, 1), key=unlikeliness)


def _candidates(folder: Path, levels: int) -> list[Path]:
    if not os.access(folder, os.R_OK | os.X_OK):
        return []
    try:
        entries = list(folder.iterdir())
    except OSError:  # It is no folder.
        return []
    found = []
    for entry in entries:
        if _is_folder(entry):
            # Kaggle puts each file into a folder of the same name, which counts as no level.
            if levels > 0 or (levels == 0 and role(entry.name)):
                found += _candidates(entry, levels - 1)
        elif role(entry.name) or is_archive(entry.name):
            found.append(entry)
    return found


def _missing(folder: Path) -> list[IdxFile]:
    """Return those of the four files that a folder does not hold, or does not show to this user."""
    try:
        return [file for file in FILES if not (folder / file.name).is_file()]
    except PermissionError:  # The folder may not be searched.
        return list(FILES)


def _fill(cache: Path, looked: list[str]) -> None:
    """Download what the cache lacks."""
    if _offline():
        raise _unavailable([*looked, "NNKIT_OFFLINE is set, so nothing was downloaded"])
    try:
        cache.mkdir(parents=True, exist_ok=True)
        # The folder for the download lies inside the cache, so that moving a file out of it is atomic.
        with tempfile.TemporaryDirectory(dir=cache, prefix=".download-") as scratch:
            for file in _missing(cache):
                _download(file, Path(scratch), cache, looked)
    except OSError as error:
        if isinstance(error, MnistUnavailableError):
            raise
        raise _unavailable([*looked, f"the cache {cache} cannot be written ({error})"]) from error


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
                    known_hash=None,  # The .gz differs between mirrors; the contents are checked.
                    fname=file.name,
                    path=scratch,
                    downloader=_downloader(mirror),
                )
            )
            read(path, FILES)
        except MnistFileError as error:
            failures.append(f"{mirror}: {file.name} {error}")
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
    unset = ", unset NNKIT_DATA" if _is_nowhere() else ", unset NNKIT_OFFLINE" if _offline() else ""
    return MnistUnavailableError(
        f"MNIST cannot be had: {'; '.join(reasons)}. Three ways to mend it: "
        f"(1) connect to the internet{unset} and call load_mnist() again, with a cache that can be written "
        f"(XDG_CACHE_HOME moves it); "
        f"(2) put {', '.join(file.name for file in FILES)} or Keras' mnist.npz into a folder and set NNKIT_DATA to it; "
        f"(3) call load_mnist(fallback=True) for scikit-learn's small digits instead"
    )
