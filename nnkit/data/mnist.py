"""MNIST: found on this machine or downloaded, and checked against the published contents either way."""

from __future__ import annotations

import logging
import os
import re
import warnings
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from nnkit.data import formats
from nnkit.data.formats import MnistFileError
from nnkit.typing import Array

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://raw.githubusercontent.com/fgnt/mnist/master/",
)
"""Public copies of the four files. They are compressed differently, but decompress to the same contents."""

CONNECT_TIMEOUT, READ_TIMEOUT = 2, 30
"""Seconds to wait for a connection to each address of a mirror, of which some have 16, and for the next bytes."""

# Up to two levels below a folder; Kaggle adds a folder named like each file, and scikit-learn has its own.
_BELOW: tuple[str, ...] = ("*", "*/*", "*/*/*", "*/*/*ubyte*/*", "openml/openml.org/**/*")
_BESIDE = ("*", "*ubyte*/*")

# Data sets whose files have the same names and sizes as those of MNIST.
_OTHER = re.compile(r"(?<![a-z])(fashion|kmnist|kuzushiji|emnist|qmnist)", re.I)

_FIXES = {
    "NNKIT_DATA": "replace it with the published file, or unset NNKIT_DATA",
    "the cache": "delete it, and load_mnist() will download it again",
}


class MnistUnavailableError(OSError):
    """MNIST is not on this machine and cannot be downloaded."""


@dataclass(frozen=True)
class Dataset:
    """Images of digits, float32 from 0 (paper) to 1 (ink), shape (n, 784), with labels, int64, shape (n,).

    `name` and `source` are ``"mnist"`` and what was read, or ``"digits"`` and ``"scikit-learn"`` for the fallback.
    """

    X_train: Array
    y_train: Array
    X_test: Array
    y_test: Array
    name: str
    source: str = ""

    def __repr__(self) -> str:
        return f"Dataset({self.name}: {len(self.X_train):,} for training, {len(self.X_test):,} for testing)"


def load_mnist(*, fallback: bool = False) -> Dataset:
    """Load the MNIST digits from this machine if they are there, otherwise from a public mirror.

    It looks in ``$NNKIT_DATA`` (a file, its folder, or one up to two levels above it; ``none`` stands for a machine
    without MNIST), the user's cache, and the folders of torchvision (``./data``), Keras and scikit-learn, and downloads
    to the cache unless ``NNKIT_OFFLINE=1``. It reads the four published files, compressed or not, Keras' ``mnist.npz``
    and OpenML's ``mnist_784.arff``, and accepts only the published contents.

    With `fallback`, scikit-learn's digits (1,437 for training, 360 for testing) are scaled up to the same shape and
    returned with a warning if MNIST is unavailable (LeCun et al., Gradient-based learning applied to document
    recognition, 1998).

    Raises
    ------
    MnistUnavailableError
        If MNIST is not on this machine and cannot be downloaded; the message says how to get it.
    MnistFileError
        If a file in ``NNKIT_DATA`` or in the user's cache is damaged, or the former lacks some of the four files.
    """
    try:
        arrays, paths = _find()
    except MnistUnavailableError as error:
        if fallback:
            return _load_digits(error)
        raise
    source = str(Path(os.path.commonpath(paths)).absolute())
    logging.getLogger("nnkit").info("MNIST was read from %s", source)
    X_train, y_train, X_test, y_test = (arrays[file.name] for file in formats.FILES)
    X_train, X_test = (X.reshape(-1, 784).astype(np.float32) / np.float32(255) for X in (X_train, X_test))
    return Dataset(X_train, y_train.astype(np.int64), X_test, y_test.astype(np.int64), "mnist", source)


def _load_digits(unavailable: MnistUnavailableError) -> Dataset:
    try:
        from scipy.ndimage import zoom
        from sklearn.datasets import load_digits
    except ImportError:
        raise ImportError(
            "MNIST is unavailable, and the digits that replace it need scikit-learn: pip install scikit-learn "
            "(or, to download MNIST instead, pip install pooch tqdm)"
        ) from unavailable
    notice = "using scikit-learn's 1,797 digits instead of MNIST, so the numbers will differ from those in the text."
    warnings.warn(f"{notice} Why: {unavailable}", UserWarning, stacklevel=3)
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32).reshape(-1, 8, 8)
    # As in MNIST, the digit fills 20 x 20 pixels of 28 x 28.
    images = np.pad(zoom(images, (1, 2.5, 2.5), order=1), ((0, 0), (4, 4), (4, 4)))
    train, test = np.split(np.random.default_rng(0).permutation(len(images)), [1437])
    X, y = images.reshape(-1, 784), labels.astype(np.int64)
    return Dataset(X[train], y[train], X[test], y[test], name="digits", source="scikit-learn")


def _find() -> tuple[dict[str, Array], list[Path]]:
    """Return the arrays from the first place that has all four, by the files' names, and the paths read."""
    if os.environ.get("NNKIT_DATA") == "none":
        raise _unavailable("NNKIT_DATA is none")
    tried = ""
    for owner, place in _places().items():
        arrays, paths, faults = _read(_files_at(place))
        missing = [file.name for file in formats.FILES if file.name not in arrays]
        if not missing:
            if owner not in _FIXES:  # Nobody named this place, so say so; logging prints warnings without a handler.
                logging.getLogger("nnkit").warning("load_mnist takes MNIST from %s, the folder of %s", place, owner)
            return arrays, paths
        if faults and owner in _FIXES:
            raise MnistFileError(f"{faults[0]}; {_FIXES[owner]}")
        if arrays and owner == "NNKIT_DATA":
            raise MnistFileError(f"NNKIT_DATA is {place}, which lacks {', '.join(missing)}; add them or unset it")
        tried += f"{faults[0]}; " if faults else f"{place} ({owner}) does not hold MNIST; "
    if os.environ.get("NNKIT_OFFLINE", "") not in ("", "0"):
        raise _unavailable(f"{tried}NNKIT_OFFLINE is set, so nothing was downloaded")
    if (cache := cache_folder()) is None:
        raise _unavailable(f"{tried}downloading it needs pooch: pip install pooch tqdm")
    _download(cache, tried)
    return _read([cache / file.name for file in formats.FILES])[:2]


def _unavailable(reason: str) -> MnistUnavailableError:
    return MnistUnavailableError(
        f"MNIST is unavailable: {reason}. There are three ways to fix this: "
        f"(1) unset NNKIT_DATA and NNKIT_OFFLINE, connect to the internet and call load_mnist() again; "
        f"(2) put {', '.join(file.name for file in formats.FILES)} or Keras' mnist.npz into a folder and set "
        f"NNKIT_DATA to it; (3) call load_mnist(fallback=True) for scikit-learn's small digits instead"
    )


def cache_folder() -> Path | None:
    """Return the folder of the user's cache for downloads, or None without pooch, which knows where it is."""
    try:
        import pooch
    except ImportError:
        return None
    return Path(pooch.os_cache("nnkit")) / "mnist"


def _places() -> dict[str, Path]:
    """Return where MNIST may be on this machine, by the owner of the place; the slowest to read comes last."""
    places = {
        "NNKIT_DATA": os.environ.get("NNKIT_DATA"),
        "the cache": cache_folder(),
        "torchvision": "data",
        "Keras": Path(os.environ.get("KERAS_HOME") or "~/.keras") / "datasets",
        "scikit-learn": os.environ.get("SCIKIT_LEARN_DATA") or "~/scikit_learn_data",
    }
    # Path.expanduser would fail for a user without a home folder.
    return {owner: Path(os.path.expanduser(place)) for owner, place in places.items() if place}  # noqa: PTH111


def _files_at(place: Path) -> list[Path]:
    """Return what may hold MNIST in a folder, or a file and what complements it beside it, the likeliest first."""
    folder, patterns, files = place, _BELOW, list[Path]()
    with suppress(OSError):  # What may not be looked at is taken as empty.
        if not place.is_dir() and (place.exists() or place.is_symlink()):
            files = [place]
            folder, patterns = (place.parent.parent if formats.held(place.parent.name) else place.parent), _BESIDE
        own = {name for file in files for name in _wanted(file)}
        found = [path for pattern in patterns for path in sorted(folder.glob(pattern)) if formats.held(path.name)]
        found = [path for path in found if own.isdisjoint(_wanted(path)) and not path.is_dir()]
        # Other data sets and large archives come last.
        found.sort(key=lambda path: (_OTHER.search(str(path.relative_to(folder))) is not None, len(_wanted(path))))
        files += found
    return files


def _wanted(path: Path) -> set[str]:
    return formats.held(path.name) or {file.name for file in formats.FILES}


def _read(paths: list[Path]) -> tuple[dict[str, Array], list[Path], list[str]]:
    """Return the arrays in files, the files they came from, and what is wrong with the others."""
    arrays: dict[str, Array] = {}
    sound: list[Path] = []
    faults: list[str] = []
    for path in paths:
        if _wanted(path) <= arrays.keys():
            continue
        try:
            arrays = formats.read(path) | arrays
            sound.append(path)
        except (MnistFileError, OSError) as error:
            what = f"{path} cannot be read ({error.strerror})" if isinstance(error, OSError) else f"{path} {error}"
            if other := _OTHER.search("/".join(path.parts[-3:])):
                what += f" (its path suggests another data set, {other[0]})"
            faults.append(what)
    return arrays, sound, faults


def _download(cache: Path, tried: str) -> None:
    """Download what the cache lacks; pooch moves a file there only once it is complete and has been checked."""
    import pooch
    import requests

    pooch.get_logger().setLevel(logging.WARNING)
    http = pooch.HTTPDownloader(progressbar=find_spec("tqdm") is not None, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT))

    def fetch(url: str, output: str, _: object) -> None:
        http(url, output, None)
        formats.read(Path(output), url.rpartition("/")[2])

    slow: set[str] = set()
    for file in formats.FILES:
        failures = ""
        for mirror in MIRRORS:
            if mirror in slow:  # Behind a firewall, each mirror costs its wait only once.
                continue
            try:
                # No hash is given, since that of the compressed file differs between mirrors.
                pooch.retrieve(mirror + file.name, None, file.name, cache, downloader=fetch)
                break
            except (requests.RequestException, MnistFileError) as error:
                failures += f"; {mirror}: {error if isinstance(error, MnistFileError) else type(error).__name__}"
                if isinstance(error, requests.Timeout):
                    slow.add(mirror)
            except OSError as error:
                reason = f"{tried}the cache {cache} cannot be written ({error}); XDG_CACHE_HOME moves it"
                raise _unavailable(reason) from error
        else:
            raise _unavailable(f"{tried}no mirror delivered {file.name}{failures}")
