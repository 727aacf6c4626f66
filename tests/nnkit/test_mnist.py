"""Finding MNIST, and faulty files, caches and mirrors, all tested with tiny files."""

import contextlib
import errno
import functools
import gzip
import hashlib
import http.server
import io
import logging
import os
import re
import struct
import sys
import threading
import tracemalloc
import zipfile

import numpy as np
import pytest

from nnkit.data import formats, load_mnist, mnist
from nnkit.data.formats import IdxFile, MnistFileError
from nnkit.data.mnist import MnistUnavailableError

pooch = pytest.importorskip("pooch")
requests = pytest.importorskip("requests")

MIRRORS = mnist.MIRRORS
NAMES = [file.name for file in formats.FILES]
HTML = b"<!DOCTYPE html>\n<html><body>Not found, but with status 200</body></html>"
MUCH = 1 << 24

# The contents of the four files, with 3 and 2 images.
_rng = np.random.default_rng(0)
IMAGES = [_rng.integers(0, 256, (n, 28, 28), dtype=np.uint8) for n in (3, 2)]
LABELS = [np.array(labels, dtype=np.uint8) for labels in ([5, 0, 4], [7, 2])]
ARRAYS = dict(zip(NAMES, (IMAGES[0], LABELS[0], IMAGES[1], LABELS[1]), strict=True))
CONTENTS = {
    name: struct.pack(f">{1 + array.ndim}i", 2051 if array.ndim == 3 else 2049, *array.shape) + array.tobytes()
    for name, array in ARRAYS.items()
}
ALTERED = {name: contents[:-1] + bytes([contents[-1] ^ 1]) for name, contents in CONTENTS.items()}


# Files in every format, as a dict from path to contents


def idx(pattern="{}", packed=False, names=NAMES, contents=CONTENTS):
    """Return the four files; the pattern turns each name, without .gz, into its path."""
    paths = [pattern.format(name.removesuffix(".gz"), kind=name.split("-")[1]) for name in names]
    return {
        path: gzip.compress(contents[name]) if packed else contents[name]
        for path, name in zip(paths, names, strict=True)
    }


def npz(save=np.savez_compressed, **replaced):
    arrays = {"x_train": IMAGES[0], "y_train": LABELS[0], "x_test": IMAGES[1], "y_test": LABELS[1], **replaced}
    save(buffer := io.BytesIO(), **{name: array for name, array in arrays.items() if array is not None})
    return {"mnist.npz": buffer.getvalue()}


TABLE = np.column_stack([np.concatenate(IMAGES).reshape(5, 784), np.concatenate(LABELS)])
ROWS = "".join(",".join(map(str, row)) + "\n" for row in TABLE)


def arff(name="mnist_784.arff", rows=ROWS):
    head = "% A comment\n@RELATION mnist_784\n\n" + "@ATTRIBUTE pixel real\n" * 784 + "@ATTRIBUTE class {0,1}\n\n"
    text = f"{head}@DATA\n{rows}".encode()
    return {name: gzip.compress(text) if name.endswith(".gz") else text}


def write(folder, files):
    for name, contents in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(contents)
    return folder


PUBLISHED = idx("{}.gz", packed=True)
OPENML = "openml/openml.org/data/v1/download/"
FORMS = {
    "compressed": PUBLISHED,
    "decompressed": idx(),
    "dotted, from 7-Zip": {name.replace("-idx", ".idx"): contents for name, contents in idx().items()},
    "Kaggle": idx("{0}/{0}"),
    "some compressed": idx(names=NAMES[:2]) | idx("{}.gz", packed=True, names=NAMES[2:]),
    "images and labels in separate folders": idx("{kind}/{}"),
    "decompressed by the browser": idx("{}.gz"),
    "downloaded twice": idx("{} (1).gz", packed=True),
    "torchvision": idx("MNIST/raw/{}") | idx("MNIST/raw/{}.gz", packed=True),
    "Keras": npz(),
    "uncompressed archive": npz(np.savez),
    "images in one archive": npz() | idx(names=NAMES[::2]),
    "OpenML": arff(),
    "scikit-learn": arff(OPENML + "52667/mnist_784.arff.gz"),
    "scikit-learn before 1.0": arff(OPENML + "52667.gz"),
    "quoted labels": arff(rows=re.sub(r"(\d)\n", r"'\1'\n", ROWS)),
}

# The environment of a test


NOBODY = "http://127.0.0.1:1/"  # No server listens on this port.


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Expect tiny files, in an empty home folder, with one mirror that does not answer."""
    files = tuple(
        IdxFile(file.half, file.kind, ARRAYS[file.name].shape, hashlib.sha256(CONTENTS[file.name]).hexdigest())
        for file in formats.FILES
    )
    monkeypatch.setattr(formats, "FILES", files)
    monkeypatch.setattr(mnist, "MIRRORS", (NOBODY,))
    monkeypatch.setattr("pooch.os_cache", lambda name: tmp_path / "cache" / name)
    for name in ("NNKIT_DATA", "NNKIT_OFFLINE", "KERAS_HOME", "SCIKIT_LEARN_DATA"):
        monkeypatch.delenv(name, raising=False)
    for name in ("NO_PROXY", "no_proxy"):  # A proxy could not reach these tests' servers.
        monkeypatch.setenv(name, "127.0.0.1")
    (tmp_path / "home" / "work").mkdir(parents=True)
    for name in ("HOME", "USERPROFILE"):  # The second is for Windows.
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "home" / "work")
    return tmp_path / "home"


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache" / "nnkit" / "mnist"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Point NNKIT_DATA at an empty folder."""
    (tmp_path / "named").mkdir()
    monkeypatch.setenv("NNKIT_DATA", str(tmp_path / "named"))
    return tmp_path / "named"


class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path.removeprefix("/"))
        super().do_GET()

    def log_message(self, *args):
        pass


class Breaks(Handler):
    """Announce a file, then close the connection halfway through."""

    def do_GET(self):
        self.server.asked.append(name := self.path.removeprefix("/"))
        packed = gzip.compress(CONTENTS[name])
        self.send_response(200)
        self.send_header("Content-Length", str(len(packed)))
        self.end_headers()
        self.wfile.write(packed[: len(packed) // 2])


@pytest.fixture
def serve(monkeypatch):
    """Return a function that serves folders as mirrors and returns the list of requests to each."""
    running = []

    def start(*mirrors):
        addresses, asked = [], []
        for mirror in mirrors:
            folder, handler = mirror if isinstance(mirror, tuple) else (mirror, Handler)
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=folder))
            server.asked = []
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            running.append((server, thread))
            addresses.append(f"http://127.0.0.1:{server.server_address[1]}/")
            asked.append(server.asked)
        monkeypatch.setattr(mnist, "MIRRORS", tuple(addresses))
        return asked

    yield start
    for server, thread in running:
        server.shutdown()
        server.server_close()
        thread.join()


def names_in(cache):
    return sorted(path.name for path in cache.iterdir()) if cache.exists() else []


def check_is_tiny(data):
    assert data.name == "mnist"
    np.testing.assert_array_equal(data.X_train, IMAGES[0].reshape(3, 784) / np.float32(255))
    np.testing.assert_array_equal(data.X_test, IMAGES[1].reshape(2, 784) / np.float32(255))
    np.testing.assert_array_equal(data.y_train, LABELS[0])
    np.testing.assert_array_equal(data.y_test, LABELS[1])


# What NNKIT_DATA points to


@pytest.mark.parametrize("files", FORMS.values(), ids=FORMS)
def test_every_file_format_is_read(files, folder, caplog):
    caplog.set_level(logging.INFO, "nnkit")
    write(folder, files)
    data = load_mnist()
    check_is_tiny(data)
    assert data.source.startswith(str(folder))
    assert caplog.messages == [f"MNIST was read from {data.source}"]


@pytest.mark.parametrize(("above", "found"), [("one", True), ("one/two", True), ("one/two/three", False)])
@pytest.mark.parametrize("form", ["decompressed", "Kaggle", "Keras", "OpenML"])
def test_files_may_be_two_levels_deep(form, above, found, folder, home, monkeypatch):
    write(folder / above, FORMS[form])
    with contextlib.nullcontext() if found else pytest.raises(MnistUnavailableError):
        check_is_tiny(load_mnist())
    monkeypatch.setenv("NNKIT_DATA", "~/digits")
    write(home / "digits", FORMS[form])
    check_is_tiny(load_mnist())


@pytest.mark.parametrize("form", [form for form in FORMS if "images" not in form])  # Those span several folders.
def test_nnkit_data_may_name_a_file(form, folder, monkeypatch):
    write(folder, FORMS[form])
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        monkeypatch.setenv("NNKIT_DATA", str(path))
        check_is_tiny(load_mnist())


def test_named_file_is_not_replaced_by_another(folder, monkeypatch):
    write(folder, PUBLISHED)
    write(folder, idx())
    write(folder, {NAMES[0]: b"damaged"} | npz())
    assert load_mnist().source == str(folder)  # Archives are slower to read, so they come last.
    monkeypatch.setenv("NNKIT_DATA", str(folder / NAMES[0]))
    with pytest.raises(MnistFileError, match=NAMES[0]):
        load_mnist()


def test_incomplete_folder_raises_an_error_naming_the_missing_files(folder):
    write(folder, idx("{}.gz", packed=True, names=NAMES[::2]))
    with pytest.raises(MnistFileError, match=f"NNKIT_DATA.*{NAMES[1]}, {NAMES[3]}"):
        load_mnist(fallback=True)


# Damaged files


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({NAMES[0]: HTML}, "web page"),
        ({NAMES[0]: b"\xef\xbb\xbf\r\n" + HTML}, "web page"),
        ({NAMES[0]: gzip.compress(HTML)}, "web page"),
        ({NAMES[0]: b""}, ": 0 bytes for 2,368"),
        ({NAMES[0]: gzip.compress(CONTENTS[NAMES[1]])}, "train images: "),
        ({NAMES[0]: gzip.compress(CONTENTS[NAMES[0]][:-1])}, ": 2,367 bytes for 2,368"),
        ({NAMES[3]: gzip.compress(CONTENTS[NAMES[3]]) + b"more"}, "damaged"),
        (idx("{}.gz", packed=True, contents=ALTERED), "SHA-256"),
        (npz(y_test=LABELS[1].astype(np.int64)), "SHA-256"),
        (npz(x_test=IMAGES[1][:1]), "images"),
        (npz(y_train=None), "y_train"),
        ({"mnist.npz": HTML}, "damaged"),
        ({"mnist.npz": re.sub(rb"(PK\x01\x02.{4})\x00", b"\\1\1", npz()["mnist.npz"], flags=re.S)}, "encrypted"),
        (arff(rows=ROWS.replace("0", "1", 1)), "SHA-256"),
        (arff(rows=ROWS.replace("0", "256", 1)), "256"),
        (arff(rows=ROWS.replace(",", " ", 1)), "row"),
        (arff(rows=""), "rows"),
        (arff(rows=ROWS[: ROWS.index("\n")]), "bytes for"),
        (arff(rows=ROWS * 2), "bytes for"),
    ],
)
def test_wrong_contents_are_rejected(files, message, folder, cache, monkeypatch):
    write(folder, files)
    # An error even if the caller accepts the digits instead.
    with pytest.raises(MnistFileError, match=f"{re.escape(str(folder))}.*{message}.*unset NNKIT_DATA"):
        load_mnist(fallback=True)
    monkeypatch.delenv("NNKIT_DATA")
    write(cache, files)
    with pytest.raises(MnistFileError, match=f"{re.escape(str(cache))}.*{message}.*delete it"):
        load_mnist(fallback=True)


@pytest.mark.parametrize(("form", "step"), [("compressed", 1), ("Keras", 97), ("scikit-learn", 97)])
def test_file_with_any_corrupted_byte_is_rejected_or_read_correctly(form, step, folder):
    write(folder, FORMS[form])
    path = folder / list(FORMS[form])[-1]
    sound = path.read_bytes()
    for position in range(0, len(sound), step):
        flipped = bytearray(sound)
        flipped[position] ^= 0b0101_0101
        # Some header bytes, such as the timestamp, do not affect the contents.
        for damaged in (flipped, sound[:position]):
            path.write_bytes(damaged)
            with contextlib.suppress(MnistFileError):
                check_is_tiny(load_mnist())
    path.write_bytes(sound[: len(sound) // 2])
    with pytest.raises(MnistFileError, match="damaged"):
        load_mnist()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: os.mkfifo(path), "not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
        (lambda path: path.symlink_to("nowhere"), "cannot be read"),
        (lambda path: (path.touch(), os.truncate(path, 1 << 40)), "bytes for"),
        (lambda path: path.with_name("digits").write_bytes(b"3"), "does not have the name"),
    ],
)
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_unreadable_path_is_rejected(make, message, folder, monkeypatch):
    make(folder / NAMES[0])
    if "name" not in message:
        with pytest.raises(MnistFileError, match=message):
            load_mnist()
    (path,) = folder.iterdir()
    monkeypatch.setenv("NNKIT_DATA", str(path))
    with pytest.raises(MnistFileError, match=f"{path} .*{message}"):
        load_mnist()


def zip_of_zeros():
    with zipfile.ZipFile(buffer := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("x_train", "y_train", "x_test", "y_test"):
            archive.writestr(f"{name}.npy", bytes(MUCH))
    return {"mnist.npz": buffer.getvalue()}


BOMBS = {
    "zeros": lambda: {NAMES[0]: gzip.compress(CONTENTS[NAMES[0]] + bytes(MUCH), 1)},
    "uncompressed": lambda: {NAMES[0]: CONTENTS[NAMES[0]] + bytes(MUCH)},
    "members of an archive": zip_of_zeros,
    "a line": lambda: arff("52667.gz", "0" * MUCH),
    "empty lines": lambda: arff("52667.gz", "\n" * MUCH),
    "long rows": lambda: arff("52667.gz", ("0," * 20_000 + "0\n") * 400),
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_decompression_bomb_needs_little_memory(bomb, folder):
    write(folder, bomb())
    tracemalloc.start()
    try:
        with pytest.raises(MnistFileError):
            load_mnist()
        assert tracemalloc.get_traced_memory()[1] < MUCH / 4
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("path", ["FashionMNIST/raw/{}", "fashion-mnist/{}", "KMNIST/raw/{}"])
def test_other_data_set_is_named_and_does_not_hide_mnist(path, folder):
    write(folder, idx(path, contents=ALTERED))
    with pytest.raises(MnistFileError, match=f"another data set, {path[:5]}"):
        load_mnist()
    write(folder, FORMS["torchvision"])
    assert load_mnist().source == str(folder / "MNIST" / "raw")
    for packed in ("", ".gz"):  # MNIST is what needs fixing, not the other data set.
        (folder / "MNIST" / "raw" / (NAMES[0].removesuffix(".gz") + packed)).write_bytes(b"")
    with pytest.raises(MnistFileError, match=re.escape(str(folder / "MNIST" / "raw"))):
        load_mnist()


# Other locations on this machine


@pytest.mark.parametrize(
    ("place", "form", "variables"),
    [
        ("work/data", "torchvision", {}),
        (".keras/datasets", "Keras", {}),
        ("scikit_learn_data", "scikit-learn", {}),
        ("elsewhere/datasets", "Keras", {"KERAS_HOME": "~/elsewhere"}),
        ("elsewhere", "scikit-learn before 1.0", {"SCIKIT_LEARN_DATA": "~/elsewhere"}),
    ],
)
def test_own_cache_takes_precedence_over_other_libraries(place, form, variables, home, cache, monkeypatch, caplog):
    write(home / place, FORMS[form])
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    data = load_mnist()
    check_is_tiny(data)
    assert data.source.startswith(str(home / place))
    assert form.split()[0] in caplog.text
    write(cache, PUBLISHED)
    caplog.clear()
    assert load_mnist().source == str(cache)
    assert caplog.messages == []
    monkeypatch.setenv("NNKIT_DATA", "none")
    with pytest.raises(MnistUnavailableError, match="NNKIT_DATA is none"):
        load_mnist()


@pytest.mark.parametrize("name", ["", "absent", "too long" * 100], ids=["empty", "absent", "impossible"])
def test_nnkit_data_without_files_is_skipped(name, folder, cache, monkeypatch):
    monkeypatch.setenv("NNKIT_DATA", str(folder / name))
    monkeypatch.setenv("NNKIT_OFFLINE", "1")
    with pytest.raises(MnistUnavailableError, match=f"{folder / name} .NNKIT_DATA.*NNKIT_OFFLINE"):
        load_mnist()
    write(cache, PUBLISHED)
    check_is_tiny(load_mnist())


def test_damaged_file_of_another_library_is_reported_and_skipped(home, monkeypatch):
    monkeypatch.setenv("NNKIT_OFFLINE", "1")
    write(home / "work" / "data", {NAMES[0]: HTML})
    write(home / ".keras" / "datasets", {"mnist.npz": b"half of it"})
    with pytest.raises(MnistUnavailableError, match=rf"{NAMES[0]} is a web page.*mnist\.npz is truncated or damaged"):
        load_mnist()
    write(home / "scikit_learn_data", FORMS["scikit-learn"])
    check_is_tiny(load_mnist())


# Downloads


def test_only_missing_files_are_downloaded_and_downloads_are_kept(serve, tmp_path, cache, monkeypatch, capsys):
    (asked,) = serve(write(tmp_path / "server", PUBLISHED))
    monkeypatch.setenv("NNKIT_OFFLINE", "1")
    with pytest.raises(MnistUnavailableError, match="NNKIT_OFFLINE"):
        load_mnist()
    assert asked == []
    monkeypatch.setenv("NNKIT_OFFLINE", "0")
    check_is_tiny(load_mnist())
    assert asked == NAMES
    assert names_in(cache) == sorted(NAMES)
    assert "100%" in capsys.readouterr().err
    (cache / NAMES[2]).unlink()
    check_is_tiny(load_mnist())
    assert asked == [*NAMES, NAMES[2]]


def test_download_is_verified_next_to_its_destination(serve, tmp_path, cache, monkeypatch):
    serve(write(tmp_path / "server", PUBLISHED))
    seen, read = [], formats.read

    def watched(path, name=""):
        seen.append((path.parent == cache, path.name in NAMES, name in names_in(cache)))
        return read(path, name)

    monkeypatch.setattr(formats, "read", watched)
    load_mnist()
    assert seen == [(True, False, False)] * 4 + [(True, True, False)] * 4


def test_download_falls_through_bad_mirrors_to_a_good_one(serve, tmp_path, cache):
    damaged = write(tmp_path / "damaged", PUBLISHED)
    (damaged / NAMES[0]).write_bytes(gzip.compress(ALTERED[NAMES[0]]))
    (damaged / NAMES[1]).write_bytes(HTML)
    (damaged / NAMES[2]).unlink()
    breaks, asked, asked_good = serve((tmp_path, Breaks), damaged, write(tmp_path / "server", PUBLISHED))
    mnist.MIRRORS = (NOBODY, *mnist.MIRRORS)
    check_is_tiny(load_mnist())
    assert breaks == asked == NAMES
    assert asked_good == NAMES[:3]
    assert names_in(cache) == sorted(NAMES)


def test_error_explains_every_mirror_failure_and_keeps_no_bad_file(serve, tmp_path, cache):
    server = write(tmp_path / "server", PUBLISHED)
    (server / NAMES[2]).write_bytes(HTML)
    serve(server, (tmp_path, Breaks), tmp_path)
    mnist.MIRRORS = (*mnist.MIRRORS, NOBODY)
    with pytest.raises(MnistUnavailableError, match=f"no mirror delivered {NAMES[2]}") as caught:
        load_mnist()
    reasons = ("is a web page", "ChunkedEncodingError", "HTTPError", "ConnectionError")
    for mirror, reason in zip(mnist.MIRRORS, reasons, strict=True):
        assert f"{mirror}: {reason}" in str(caught.value)
    for way in ("(1)", "(2)", "(3)", "connect to the internet", "set NNKIT_DATA", "load_mnist(fallback=True)"):
        assert way in str(caught.value)
    assert names_in(cache) == sorted(NAMES[:2])


def test_slow_mirror_is_asked_for_one_file_not_for_four(monkeypatch, serve, tmp_path):
    asked, download = [], pooch.HTTPDownloader.__call__
    serve(write(tmp_path / "server", PUBLISHED))
    monkeypatch.setattr(mnist, "MIRRORS", (NOBODY, *mnist.MIRRORS))

    def drop_packets(self, url, output, _):
        if not url.startswith(NOBODY):
            return download(self, url, output, _)
        asked.append(url)
        raise requests.ConnectTimeout("timed out")

    monkeypatch.setattr("pooch.HTTPDownloader.__call__", drop_packets)
    check_is_tiny(load_mnist())
    assert len(asked) == 1


def test_mirror_requests_are_encrypted_and_time_out(monkeypatch):
    seen = []

    def fail(url, *, timeout, **options):
        seen.append(timeout)
        raise requests.ConnectionError

    monkeypatch.setattr("requests.get", fail)
    monkeypatch.setattr(mnist, "MIRRORS", MIRRORS)
    with pytest.raises(MnistUnavailableError):
        load_mnist()
    assert len(seen) == len(MIRRORS) >= 2
    assert all(mirror.startswith("https://") and mirror.endswith("/") for mirror in MIRRORS)
    assert all(0 < connect <= 3 and 0 < read <= 60 for connect, read in seen)


@pytest.mark.parametrize("is_full", [True, False])
def test_unwritable_cache_is_not_blamed_on_a_mirror(is_full, tmp_path, cache, monkeypatch):
    def fill(self, url, output, _):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pooch.HTTPDownloader.__call__", fill)
    if not is_full:
        write(tmp_path / "cache", {"nnkit": b"a file where a folder should be"})
    with pytest.raises(MnistUnavailableError, match=f"the cache {cache} cannot be written") as caught:
        load_mnist()
    assert "no mirror" not in str(caught.value)
    assert ("No space" in str(caught.value)) == is_full
    with pytest.warns(UserWarning, match="the cache .* cannot be written"):
        assert load_mnist(fallback=True).name == "digits"


# Optional dependencies


def test_missing_packages_are_named_with_their_install_command(home, serve, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)  # As if it were not installed; only the progress bar needs it.
    monkeypatch.setattr("pooch.downloaders.tqdm", None)
    serve(write(tmp_path / "server", PUBLISHED))
    check_is_tiny(load_mnist())
    for name in ("pooch", "sklearn", "sklearn.datasets", "scipy", "scipy.ndimage"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MnistUnavailableError, match="pip install pooch tqdm"):
        load_mnist()
    with pytest.raises(ImportError, match=r"pip install scikit-learn.*pip install pooch tqdm"):
        load_mnist(fallback=True)
    write(home / ".keras" / "datasets", FORMS["Keras"])
    check_is_tiny(load_mnist())
