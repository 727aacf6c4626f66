"""Where MNIST comes from: every way in which a file, a cache or a mirror can be wrong, with tiny files."""

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
import socket
import struct
import sys
import threading
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from nnkit.data import _mnist_files, load_mnist
from nnkit.data import mnist as _mnist
from nnkit.data.mnist import IdxFile, MnistFileError, MnistUnavailableError

pytest.importorskip("pooch")

IMAGES, LABELS = 2051, 2049
HTML = b"<!DOCTYPE html>\n<html><body>Not found, but with status 200</body></html>"
NAMES = [file.name for file in _mnist.FILES]
# What the fixture below replaces.
MIRRORS, CACHE_FOLDER, OTHER_CACHES = _mnist.MIRRORS, _mnist.cache_folder, _mnist.other_caches


def idx_images(images):
    return struct.pack(">4i", IMAGES, len(images), 28, 28) + images.tobytes()


def idx_labels(labels):
    return struct.pack(">2i", LABELS, len(labels)) + labels.tobytes()


def tiny_contents():
    """Return the decompressed contents of four files in the form of MNIST, with 3 and 2 images."""
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (n, 28, 28), dtype=np.uint8) for n in (3, 2)]
    labels = [np.array([5, 0, 4], dtype=np.uint8), np.array([7, 2], dtype=np.uint8)]
    parts = [idx_images(images[0]), idx_labels(labels[0]), idx_images(images[1]), idx_labels(labels[1])]
    return dict(zip(NAMES, parts, strict=True))


CONTENTS = tiny_contents()


def write_all(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, contents in CONTENTS.items():
        (folder / name).write_bytes(gzip.compress(contents))
    return folder


def closed_port():
    """Return the address of a port of this machine at which nobody answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/"


@pytest.fixture(autouse=True)
def tiny(tmp_path, monkeypatch):
    """Put tiny files, an empty cache and a mirror that does not answer in the place of the real ones."""
    files = tuple(
        IdxFile(name, *struct.unpack(">2i", contents[:8]), hashlib.sha256(contents).hexdigest())
        for name, contents in CONTENTS.items()
    )
    monkeypatch.setattr(_mnist, "FILES", files)
    monkeypatch.setattr(_mnist, "MIRRORS", (closed_port(),))
    monkeypatch.setattr(_mnist, "cache_folder", lambda: tmp_path / "cache" / "mnist")
    monkeypatch.setattr(_mnist, "other_caches", lambda: ())
    monkeypatch.setattr(_mnist, "_resting", {})  # A later test may get the port of an earlier one.
    monkeypatch.delenv("NNKIT_DATA", raising=False)
    monkeypatch.delenv("NNKIT_OFFLINE", raising=False)
    for name in ("NO_PROXY", "no_proxy"):  # A proxy would not find the servers of these tests.
        monkeypatch.setenv(name, "127.0.0.1")


class Clock:
    """Tells a time that passes only where a test says so."""

    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(_mnist, "monotonic", clock)
    return clock


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache" / "mnist"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with all four files, to which NNKIT_DATA points."""
    monkeypatch.setenv("NNKIT_DATA", str(tmp_path / "data"))
    return write_all(tmp_path / "data")


class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path.removeprefix("/"))
        super().do_GET()

    def log_message(self, *args):
        pass


class Breaks(Handler):
    """Promises a file and closes the connection half way through it."""

    def do_GET(self):
        name = self.path.removeprefix("/")
        self.server.asked.append(name)
        packed = gzip.compress(CONTENTS[name])
        self.send_response(200)
        self.send_header("Content-Length", str(len(packed)))
        self.end_headers()
        self.wfile.write(packed[: len(packed) // 2])


class AlwaysAWebPage(Handler):
    def do_GET(self):
        self.server.asked.append(self.path.removeprefix("/"))
        self.send_response(200)
        self.send_header("Content-Length", str(len(HTML)))
        self.end_headers()
        self.wfile.write(HTML)


@pytest.fixture
def serve():
    """Return a function that starts a server of a folder; it returns the address and the list of what was asked."""
    running = []

    def start(folder, handler=Handler):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=folder))
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{server.server_address[1]}/", server.asked

    yield start
    for server, thread in running:
        server.shutdown()
        server.server_close()
        thread.join()


def check_is_tiny(data):
    assert data.name == "mnist"
    assert data.X_train.shape == (3, 784)
    assert data.X_test.shape == (2, 784)
    np.testing.assert_array_equal(data.y_train, [5, 0, 4])
    np.testing.assert_array_equal(data.y_test, [7, 2])
    pixels = np.frombuffer(CONTENTS[NAMES[0]], np.uint8, offset=16).reshape(3, 784)
    np.testing.assert_array_equal(data.X_train, pixels / np.float32(255))


def error_of(name, packed, folder):
    """Return the message with which a file of such bytes is refused."""
    (folder / name).write_bytes(packed)
    with pytest.raises(MnistFileError) as caught:
        load_mnist()
    message = str(caught.value)
    assert str(folder / name) in message
    assert "to mend it, " in message
    # What is there and damaged is an error also for those who would take the digits.
    with pytest.raises(MnistFileError):
        load_mnist(fallback=True)
    return message


# In $NNKIT_DATA


@pytest.mark.usefixtures("folder")
def test_files_are_read_from_the_named_folder():
    data = load_mnist()
    check_is_tiny(data)
    assert data.X_train.dtype == np.float32
    assert data.y_train.dtype == np.int64


def test_tilde_in_the_named_folder_is_the_home_folder(tmp_path, monkeypatch):
    write_all(tmp_path / "digits")
    for name in ("HOME", "USERPROFILE"):  # The second is Windows'.
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("NNKIT_DATA", "~/digits")
    check_is_tiny(load_mnist())


@pytest.mark.usefixtures("folder")
def test_named_folder_comes_before_the_cache(cache):
    write_all(cache)
    (cache / NAMES[0]).write_bytes(b"damaged")
    check_is_tiny(load_mnist())


def test_compression_level_does_not_matter(folder):
    for name, contents in CONTENTS.items():
        (folder / name).write_bytes(gzip.compress(contents, compresslevel=1, mtime=12345))
    check_is_tiny(load_mnist())


def test_some_of_the_files_is_an_error_that_names_the_missing(folder):
    (folder / NAMES[1]).unlink()
    (folder / NAMES[3]).unlink()
    with pytest.raises(MnistFileError) as caught:
        load_mnist(fallback=True)
    assert str(folder) in str(caught.value)
    assert f"some of the MNIST files but not {NAMES[1]}, {NAMES[3]}; add what is missing" in str(caught.value)


@pytest.mark.parametrize("what", ["empty", "absent"])
def test_folder_without_the_files_is_told_of_and_passed_over(what, tmp_path, monkeypatch, cache):
    folder = tmp_path / what
    if what == "empty":
        folder.mkdir()
    monkeypatch.setenv("NNKIT_DATA", str(folder))
    monkeypatch.setenv("NNKIT_OFFLINE", "1")
    expected = "holds none of the four MNIST files" if what == "empty" else "is no folder"
    with pytest.raises(MnistUnavailableError, match=f"NNKIT_DATA is .*, which {expected}"):
        load_mnist()
    write_all(cache)
    check_is_tiny(load_mnist())


# Damaged files


def test_truncated_file_is_refused(folder):
    packed = gzip.compress(CONTENTS[NAMES[2]])
    message = error_of(NAMES[2], packed[: len(packed) // 2], folder)
    assert f"is truncated or damaged: its {len(packed) // 2:,} bytes cannot be decompressed" in message
    assert "replace it with the published file, or unset NNKIT_DATA" in message


def test_file_truncated_anywhere_is_refused(folder):
    packed = gzip.compress(CONTENTS[NAMES[3]])
    for length in range(len(packed)):
        (folder / NAMES[3]).write_bytes(packed[:length])
        with pytest.raises(MnistFileError, match=NAMES[3]):
            load_mnist()


def test_file_with_any_byte_flipped_is_refused_or_read_rightly(folder):
    # Some bytes of a gzip header, such as the time, mean nothing for the contents.
    packed = gzip.compress(CONTENTS[NAMES[3]], mtime=0)
    for position in range(len(packed)):
        damaged = bytearray(packed)
        damaged[position] ^= 0b0101_0101
        (folder / NAMES[3]).write_bytes(damaged)
        try:
            data = load_mnist()
        except MnistFileError:
            continue
        check_is_tiny(data)


def test_wrong_checksum_inside_the_gzip_is_called_damage(folder):
    packed = bytearray(gzip.compress(CONTENTS[NAMES[3]]))
    packed[-6] ^= 1
    assert "is truncated or damaged" in error_of(NAMES[3], packed, folder)


def test_trailing_rubbish_is_called_damage(folder):
    assert "is truncated or damaged" in error_of(NAMES[3], gzip.compress(CONTENTS[NAMES[3]]) + b"more", folder)


def test_web_page_under_the_name_of_a_file_is_recognized(folder):
    assert "is not a gzip file but a web page" in error_of(NAMES[0], HTML, folder)


@pytest.mark.parametrize(
    "page",
    [
        b"\xef\xbb\xbf" + HTML,
        HTML.decode().encode("utf-16-le"),
        HTML.decode().encode("utf-16"),
        b"\xfe\xff" + HTML.decode().encode("utf-16-be"),
        b"\r\n\t " + HTML,
    ],
    ids=["utf-8 with a mark", "utf-16 without one", "utf-16", "utf-16, big-endian", "after blanks"],
)
def test_web_page_is_recognized_whatever_comes_before_its_first_tag(page, folder):
    assert "is not a gzip file but a web page" in error_of(NAMES[0], page, folder)
    message = error_of(NAMES[0], gzip.compress(page), folder)
    assert "holds a web page where images (magic number 2051) should be" in message


def test_something_else_under_the_name_of_a_file_is_recognized(folder):
    message = error_of(NAMES[0], b"PK\3\4 and more", folder)
    assert r"is not a gzip file but something that starts with b'PK\x03\x04 and more'" in message


def test_empty_file_is_recognized(folder):
    assert "is not a gzip file but empty" in error_of(NAMES[0], b"", folder)
    assert "holds magic number None where images" in error_of(NAMES[0], gzip.compress(b""), folder)


def test_swapped_images_and_labels_are_recognized(folder):
    message = error_of(NAMES[0], gzip.compress(CONTENTS[NAMES[1]]), folder)
    assert "holds labels (magic number 2049) where images (magic number 2051) should be" in message
    assert "images and labels are swapped" in message
    write_all(folder)
    message = error_of(NAMES[1], gzip.compress(CONTENTS[NAMES[0]]), folder)
    assert "holds images (magic number 2051) where labels (magic number 2049) should be" in message


def test_wrong_magic_number_is_refused(folder):
    contents = struct.pack(">i", 1234) + CONTENTS[NAMES[0]][4:]
    message = error_of(NAMES[0], gzip.compress(contents), folder)
    assert "holds magic number 1234 where images (magic number 2051) should be" in message
    assert "swapped" not in message


def test_wrong_count_is_refused(folder):
    message = error_of(NAMES[0], gzip.compress(CONTENTS[NAMES[2]]), folder)
    assert "describes an array of shape (2, 28, 28) where (3, 28, 28) should be" in message


def test_header_without_all_of_the_data_is_refused(folder):
    message = error_of(NAMES[0], gzip.compress(CONTENTS[NAMES[0]][:-1]), folder)
    assert "decompresses to 2,367 bytes where 2,368 should be" in message
    assert "describes an array of shape (3, 0, 0)" in error_of(NAMES[0], gzip.compress(CONTENTS[NAMES[0]][:8]), folder)


def test_altered_content_of_the_right_size_is_refused(folder):
    contents = bytearray(CONTENTS[NAMES[1]])
    contents[-1] = 9
    message = error_of(NAMES[1], gzip.compress(contents), folder)
    assert "has the right size but not the published contents (its SHA-256 differs)" in message


def test_damaged_file_in_the_cache_may_be_deleted(cache):
    write_all(cache)
    assert "to mend it, delete it, and load_mnist() downloads it again" in error_of(NAMES[0], b"", cache)


def test_damaged_file_in_the_cache_is_told_of_as_such_also_where_a_folder_is_named(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("NNKIT_DATA", str(tmp_path / "absent"))
    write_all(cache)
    assert "to mend it, delete it, and load_mnist() downloads it again" in error_of(NAMES[0], b"", cache)


def refuse_to(monkeypatch, method, path):
    """Make a method of Path fail at one path as if the user had no right to it: those who run as root have every."""
    original = getattr(Path, method)

    def refuse(self, *args, **options):
        if self == path:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return original(self, *args, **options)

    monkeypatch.setattr(Path, method, refuse)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("fallback", [False, True])
def test_unreadable_file_is_named_with_its_mend(fallback, monkeypatch, folder):
    refuse_to(monkeypatch, "open", folder / NAMES[2])
    with pytest.raises(MnistFileError) as caught:
        load_mnist(fallback=fallback)
    message = str(caught.value)
    assert (
        f"{folder / NAMES[2]} cannot be read (Permission denied); to mend it, make it readable, or replace" in message
    )


def test_unreadable_file_in_the_cache_may_be_deleted(monkeypatch, cache):
    write_all(cache)
    refuse_to(monkeypatch, "open", cache / NAMES[0])
    with pytest.raises(MnistFileError, match="make it readable, or delete it, and load_mnist"):
        load_mnist()


def test_download_that_cannot_be_read_back_is_not_blamed_on_the_mirror(monkeypatch, serve, tmp_path, cache):
    address, _ = serve(write_all(tmp_path / "server"))
    monkeypatch.setattr(_mnist, "MIRRORS", (address,))

    def refuse(path, mode):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(MnistUnavailableError, match=r"the cache .* cannot be written \(\[Errno 13\] Permission denied"):
        load_mnist()


@pytest.mark.usefixtures("folder")
def test_folder_that_may_not_be_searched_is_passed_over(monkeypatch, cache):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    monkeypatch.setenv("NNKIT_OFFLINE", "1")
    with pytest.raises(MnistUnavailableError, match=r"NNKIT_DATA is .*, which is no folder that may be read"):
        load_mnist()
    write_all(cache)
    check_is_tiny(load_mnist())


# In the forms in which people have it


def idx(pattern="{}", packed=False, names=NAMES):
    """Return what writes the four files, each where the pattern says, which gets its name without .gz."""

    def write(folder):
        for name in names:
            path = folder / pattern.format(name.removesuffix(".gz"), kind=name.split("-")[1])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(gzip.compress(CONTENTS[name]) if packed else CONTENTS[name])

    return write


def tables(contents=None):
    contents = contents or CONTENTS
    images = [np.frombuffer(contents[name], np.uint8, offset=16).reshape(-1, 784) for name in NAMES[::2]]
    labels = [np.frombuffer(contents[name], np.uint8, offset=8) for name in NAMES[1::2]]
    return images, labels


def keras_arrays():
    (train, test), (y_train, y_test) = tables()
    return {
        "x_train": train.reshape(-1, 28, 28),
        "y_train": y_train,
        "x_test": test.reshape(-1, 28, 28),
        "y_test": y_test,
    }


def npz(name="mnist.npz", save=np.savez_compressed, **others):
    def write(folder):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        save(folder / name, **{**keras_arrays(), **others})

    return write


def arff_rows():
    images, labels = tables()
    rows = np.column_stack([np.concatenate(images), np.concatenate(labels)]).tolist()
    return "".join(",".join(map(str, row)) + "\n" for row in rows)


def arff(name, rows=None, relation="mnist_784"):
    def write(folder):
        columns = "".join(f"@ATTRIBUTE pixel{number} real\n" for number in range(1, 785))
        head = f"% A comment\n@RELATION {relation}\n\n{columns}@ATTRIBUTE class {{0,1,2,3,4,5,6,7,8,9}}\n\n@DATA\n"
        text = (head + (arff_rows() if rows is None else rows)).encode()
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)

    return write


def all_of(*writers):
    def write(folder):
        for writer in writers:
            writer(folder)

    return write


OPENML = "openml/openml.org/data/v1/download/"
FORMS = {
    "unpacked": idx(),
    "dotted, as 7-Zip unpacks them": all_of(
        idx("train-images.idx3-ubyte", names=NAMES[:1]),
        idx("train-labels.idx1-ubyte", names=NAMES[1:2]),
        idx("t10k-images.idx3-ubyte", names=NAMES[2:3]),
        idx("t10k-labels.idx1-ubyte", names=NAMES[3:]),
    ),
    "Kaggle's folders": idx("{0}/{0}"),
    "some packed": all_of(idx(names=NAMES[:2]), idx("{}.gz", packed=True, names=NAMES[2:])),
    "images here, labels there": idx("{kind}/{}"),
    "unpacked by the browser": idx("{}.gz"),
    "downloaded again": idx("{} (1).gz", packed=True),
    "torchvision's": all_of(idx("MNIST/raw/{}"), idx("MNIST/raw/{}.gz", packed=True)),
    "Keras'": npz(),
    "an archive that is not compressed": npz(save=np.savez),
    "images in files, all in an archive": all_of(npz(), idx(names=NAMES[::2])),
    "OpenML's": arff("mnist_784.arff"),
    "scikit-learn's": arff(OPENML + "52667/mnist_784.arff.gz"),
    "scikit-learn's before 1.0": arff(OPENML + "52667.gz"),
    "quoted labels": arff("mnist_784.arff", re.sub(r"(\d)\n", r"'\1'\n", arff_rows())),
}
every_form = pytest.mark.parametrize("write", FORMS.values(), ids=FORMS)


@every_form
def test_every_form_is_read(write, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO, "nnkit")
    write(tmp_path / "data")
    monkeypatch.setenv("NNKIT_DATA", str(tmp_path / "data"))
    data = load_mnist()
    check_is_tiny(data)
    assert data.source.startswith(str(tmp_path / "data"))
    assert caplog.messages == [f"MNIST was read from {data.source}"]


@pytest.mark.parametrize("above", ["", "one", "one/two"])
@pytest.mark.parametrize("form", ["unpacked", "Kaggle's folders", "Keras'", "OpenML's"])
def test_folder_may_lie_up_to_two_levels_above(form, above, tmp_path, monkeypatch):
    FORMS[form](tmp_path / "data" / above)
    monkeypatch.setenv("NNKIT_DATA", str(tmp_path / "data"))
    check_is_tiny(load_mnist())


@pytest.mark.parametrize("above", ["one/two/three", "one/two/three/four"])
def test_folder_that_lies_deeper_is_not_searched(above, tmp_path, monkeypatch):
    FORMS["unpacked"](tmp_path / "data" / above)
    monkeypatch.setenv("NNKIT_DATA", str(tmp_path / "data"))
    with pytest.raises(MnistUnavailableError, match="holds none of the four MNIST files"):
        load_mnist()


@pytest.mark.parametrize("form", [form for form in FORMS if "images" not in form])  # Those lie in more than one folder.
def test_variable_may_name_a_file_itself(form, tmp_path, monkeypatch):
    FORMS[form](tmp_path)
    for path in [path for path in tmp_path.rglob("*") if path.is_file()]:
        monkeypatch.setenv("NNKIT_DATA", str(path))
        check_is_tiny(load_mnist())


def test_the_file_that_the_variable_names_is_read_and_no_other_in_its_place(folder, monkeypatch):
    idx()(folder)
    (folder / NAMES[0]).write_bytes(b"damaged")
    check_is_tiny(load_mnist())  # The sound one beside it is taken,
    monkeypatch.setenv("NNKIT_DATA", str(folder / NAMES[0]))
    with pytest.raises(MnistFileError, match=NAMES[0]):
        load_mnist()  # unless it is not the one that was named.


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_bytes(b"3"), "has no name under which MNIST is known"),
        (lambda path: os.mkfifo(path), "is not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "is not a regular file"),
        (lambda path: path.symlink_to("nowhere"), r"cannot be read \(No such file or directory\)"),
    ],
)
@pytest.mark.parametrize("below", [False, True])
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in its file system")
def test_what_is_no_file_of_mnist_is_refused(make, message, below, tmp_path, monkeypatch):
    path = tmp_path / ("digits" if "name" in message else NAMES[0])
    make(path)
    monkeypatch.setenv("NNKIT_DATA", str(tmp_path if below else path))
    if below and "name" in message:  # What has no name of MNIST is nothing to be found.
        with pytest.raises(MnistUnavailableError, match="holds none of the four"):
            load_mnist()
    else:
        with pytest.raises(MnistFileError, match=f"{path} {message}.*; to mend it, "):
            load_mnist(fallback=True)


class Bad:
    """An object that a pickle would run."""

    def __reduce__(self):
        return pytest.fail, ("a pickle was loaded",)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (npz(x_test=np.zeros((2, 28, 28), np.uint8)), "right size but not the published contents"),
        (npz(x_test=np.zeros((3, 28, 28), np.uint8)), r"holds x_test as uint8 of shape \(3, 28, 28\) where uint8 of"),
        (npz(y_test=np.array([7, 2])), r"holds y_test as int64 of shape \(2,\) where uint8 of shape \(2,\) should be"),
        (npz(y_test=np.array([Bad(), Bad()])), "holds y_test as object"),
        (lambda folder: np.savez(folder / "mnist.npz", x_train=keras_arrays()["x_train"]), "holds no array y_train"),
        (lambda folder: (folder / "mnist.npz").write_bytes(HTML), "is no NumPy archive"),
        (arff("mnist_784.arff", arff_rows().replace("0", "1", 1)), "right size but not the published contents"),
        (arff("mnist_784.arff", arff_rows().replace("0", "256", 1)), "not whole numbers from 0 to 255: .*256"),
        (arff("mnist_784.arff", arff_rows().replace("0", "0,0", 1)), "has a row 1 that is not 784 pixels and a label"),
        (arff("mnist_784.arff", ""), "has no rows after a line @DATA"),
        (arff("mnist_784.arff", arff_rows()[: arff_rows().index("\n")]), "has 1 rows where 5 should be"),
        (arff("mnist_784.arff", arff_rows() * 2), "has more rows than the 5 of MNIST"),
        (idx("{}", names=[*NAMES[:3], NAMES[0]]), "some of the MNIST files but not t10k-labels"),
    ],
)
def test_wrong_contents_are_refused_in_every_form(write, message, folder):
    for name in NAMES:
        (folder / name).unlink()
    write(folder)
    with pytest.raises(MnistFileError, match=message):
        load_mnist()


@pytest.mark.parametrize("form", ["Keras'", "scikit-learn's"])
def test_archive_with_any_part_damaged_is_refused_or_read_rightly(form, folder):
    for name in NAMES:
        (folder / name).unlink()
    FORMS[form](folder)
    (path,) = (path for path in folder.rglob("*") if path.is_file())
    sound = path.read_bytes()
    for position in range(0, len(sound), 97):
        flipped = bytearray(sound)
        flipped[position] ^= 0b0101_0101
        for damaged in (flipped, sound[:position]):
            path.write_bytes(damaged)
            with contextlib.suppress(MnistFileError):
                check_is_tiny(load_mnist())


# A little file that unpacks to much


MUCH = 1 << 24


def zip_of(contents, method=zipfile.ZIP_DEFLATED):
    def write(folder):
        with zipfile.ZipFile(folder / "mnist.npz", "w", method) as archive:
            for name in ("x_train", "y_train", "x_test", "y_test"):
                archive.writestr(f"{name}.npy", contents)

    return write


def npy_header(shape):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def file_of(name, contents):
    return lambda folder: (folder / name).write_bytes(contents)


def sparse(folder):
    with (folder / "train-images-idx3-ubyte").open("wb") as file:
        file.write(CONTENTS[NAMES[0]])
        file.truncate(MUCH)


def crowded(folder):
    with zipfile.ZipFile(folder / "mnist.npz", "w") as archive:
        for number in range(20_000):
            archive.writestr(str(number), b"")


BOMBS = {
    "zeros": (lambda: file_of(NAMES[0], gzip.compress(bytes(MUCH), 1)), "holds magic number 0 where images"),
    "behind the right beginning": (
        lambda: file_of(NAMES[0], gzip.compress(CONTENTS[NAMES[0]] + bytes(MUCH), 1)),
        "decompresses to more bytes where 2,368 should be",
    ),
    "not packed": (lambda: sparse, "holds more bytes where 2,368 should be"),
    "packed over and over": (
        lambda: file_of(NAMES[0], gzip.compress(CONTENTS[NAMES[0]]) + gzip.compress(b"") * (1 << 16)),
        "is longer packed, 1,3.* bytes, than the 2,368 bytes",
    ),
    "a member": (lambda: zip_of(npy_header((3, 28, 28)) + bytes(MUCH)), "holds more bytes in x_train where 2,352"),
    "a member that promises much": (
        lambda: zip_of(npy_header((MUCH, 28, 28)) + bytes(MUCH)),
        "holds x_train as uint8 of shape",
    ),
    "a member with an endless header": (
        lambda: zip_of(b"\x93NUMPY\2\0\xff\xff\xff\3" + bytes(MUCH)),
        "holds something under x_train that is no array",
    ),
    "a member in another compression": (
        lambda: zip_of(npy_header((3, 28, 28)) + bytes(MUCH), zipfile.ZIP_BZIP2),
        "holds x_train in a form that NumPy does not write",
    ),
    "a crowd of members": (lambda: crowded, "is no NumPy archive of a few arrays"),
    "a line": (lambda: arff("52667.gz", "0" * MUCH), "has a line of 65,536 bytes or more"),
    "empty lines": (lambda: arff("52667.gz", "\n" * MUCH), "has 5,005 lines or more"),
    "a row": (lambda: arff("52667.gz", "0," * 20_000 + "\n"), "has a row 1 that is not 784 pixels and a label"),
}


@pytest.mark.parametrize(("bomb", "message"), BOMBS.values(), ids=BOMBS)
def test_no_more_is_read_than_a_published_file_holds(bomb, message, tmp_path, monkeypatch):
    monkeypatch.setenv("NNKIT_DATA", str(tmp_path))
    bomb()(tmp_path)
    tracemalloc.start()
    try:
        with pytest.raises(MnistFileError, match=message):
            load_mnist()
        assert tracemalloc.get_traced_memory()[1] < MUCH / 4
    finally:
        tracemalloc.stop()


# What looks like MNIST


def altered(name):
    contents = bytearray(CONTENTS[name])
    contents[-1] ^= 1
    return bytes(contents)


@pytest.mark.parametrize("folder_name", ["FashionMNIST/raw", "fashion-mnist", "KMNIST/raw", "EMNIST/raw", "QMNIST/raw"])
def test_other_data_set_beside_mnist_is_not_taken(folder_name, tmp_path, monkeypatch):
    monkeypatch.setenv("NNKIT_DATA", str(tmp_path))
    FORMS["torchvision's"](tmp_path)
    for name in NAMES:
        for packed in ("", ".gz"):
            path = tmp_path / folder_name / (name.removesuffix(".gz") + packed)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(gzip.compress(altered(name)) if packed else altered(name))
    data = load_mnist()
    check_is_tiny(data)
    assert data.source == str(tmp_path / "MNIST" / "raw")
    for packed in ("", ".gz"):  # Where MNIST is damaged, that is what must be mended.
        (tmp_path / "MNIST" / "raw" / (NAMES[0].removesuffix(".gz") + packed)).write_bytes(b"")
    with pytest.raises(MnistFileError) as caught:
        load_mnist()
    assert str(caught.value).startswith(str(tmp_path / "MNIST" / "raw"))


@pytest.mark.parametrize(
    ("path", "called"),
    [
        ("FashionMNIST/raw/train-images-idx3-ubyte", "Fashion-MNIST"),
        ("fashion-mnist/train-images-idx3-ubyte.gz", "Fashion-MNIST"),
        ("KMNIST/raw/train-images-idx3-ubyte", "KMNIST"),
        ("EMNIST/raw/emnist-mnist-train-images-idx3-ubyte", "EMNIST"),
        ("digits/qmnist-train-images-idx3-ubyte.gz", "QMNIST"),
    ],
)
@pytest.mark.parametrize("itself", [False, True])
def test_other_data_set_is_named_by_its_path(path, called, itself, tmp_path, monkeypatch):
    path = tmp_path / "data" / path
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(altered(NAMES[0])) if path.suffix else altered(NAMES[0]))
    monkeypatch.setenv("NNKIT_DATA", str(path if itself else tmp_path / "data"))
    expected = rf"not the published contents \(its SHA-256 differs\), and its path says {called}; to mend it, "
    with pytest.raises(MnistFileError, match=expected):
        load_mnist()


def test_other_data_set_is_named_by_its_published_checksum(folder, monkeypatch):
    packed = gzip.compress(altered(NAMES[0]))
    sums = hashlib.md5(b"another").hexdigest() + " " + hashlib.md5(packed).hexdigest()
    monkeypatch.setitem(_mnist_files._OTHERS, "KMNIST", ("kmnist", sums))
    assert "(its SHA-256 differs): it is KMNIST, as its published checksum says" in error_of(NAMES[0], packed, folder)


def test_other_data_set_is_named_by_the_title_of_its_table(tmp_path, monkeypatch):
    arff("data.arff", arff_rows().replace("0", "1", 1), relation="Fashion-MNIST")(tmp_path)
    monkeypatch.setenv("NNKIT_DATA", str(tmp_path / "data.arff"))
    with pytest.raises(MnistFileError, match="it is Fashion-MNIST, as its title says"):
        load_mnist()


# In the caches of other libraries


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder without anything, and a current folder in it; every cache lies where it usually does."""
    monkeypatch.setattr(_mnist, "other_caches", OTHER_CACHES)
    home = tmp_path / "home"
    (home / "work").mkdir(parents=True)
    monkeypatch.chdir(home / "work")
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    for name in ("KERAS_HOME", "SCIKIT_LEARN_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NNKIT_OFFLINE", "1")
    return home


CACHES = {
    "torchvision": ("work/data", "torchvision's", {}),
    "Keras": (".keras/datasets", "Keras'", {}),
    "scikit-learn": ("scikit_learn_data", "scikit-learn's", {}),
    "Keras elsewhere": ("elsewhere/datasets", "Keras'", {"KERAS_HOME": "elsewhere"}),
    "scikit-learn elsewhere": ("elsewhere", "scikit-learn's before 1.0", {"SCIKIT_LEARN_DATA": "~/elsewhere"}),
}
every_cache = pytest.mark.parametrize(("place", "form", "variables"), CACHES.values(), ids=CACHES)


def plant(home, place, form, variables, monkeypatch):
    FORMS[form](home / place)
    for name, value in variables.items():
        monkeypatch.setenv(name, value if value.startswith("~") else str(home / value))


@every_cache
def test_caches_of_other_libraries_are_taken_before_a_download(
    place, form, variables, home, monkeypatch, cache, caplog
):
    plant(home, place, form, variables, monkeypatch)
    data = load_mnist()
    check_is_tiny(data)
    assert data.source.startswith(str(home / place))
    (said,) = caplog.messages
    assert re.fullmatch(r"load_mnist takes MNIST from .*, the folder of (torchvision|Keras|scikit-learn)", said)
    write_all(cache)
    caplog.clear()
    assert load_mnist().source == str(cache)
    assert caplog.messages == []


def test_download_comes_last_and_says_where_it_lies(home, monkeypatch, serve, tmp_path, cache):
    monkeypatch.setenv("NNKIT_OFFLINE", "0")
    address, asked = serve(write_all(tmp_path / "server"))
    monkeypatch.setattr(_mnist, "MIRRORS", (address,))
    FORMS["Keras'"](home / ".keras" / "datasets")
    load_mnist()
    assert asked == []
    (home / ".keras" / "datasets" / "mnist.npz").unlink()
    assert load_mnist().source == str(cache)
    assert asked == NAMES


def test_damaged_file_of_another_library_is_passed_over_and_told_of(home):
    idx("{}.gz")(home / "work" / "data")
    (home / "work" / "data" / NAMES[0]).write_bytes(HTML)
    (home / ".keras" / "datasets").mkdir(parents=True)
    damaged = home / ".keras" / "datasets" / "mnist.npz"
    damaged.write_bytes(b"half of it")
    with pytest.raises(MnistUnavailableError) as caught:
        load_mnist()
    for part in (
        f"in the folder of torchvision, {Path('data', NAMES[0])} is not a gzip file but a web page",
        f"in the folder of Keras, {damaged} is no NumPy archive",
        f"MNIST is not whole in {home / 'scikit_learn_data'} of scikit-learn",
        "NNKIT_OFFLINE is set",
    ):
        assert part in str(caught.value)
    FORMS["scikit-learn's"](home / "scikit_learn_data")
    check_is_tiny(load_mnist())


def test_fashion_that_keras_keeps_does_not_stand_in_the_way(home):
    for name in NAMES:
        path = home / ".keras" / "datasets" / "fashion-mnist" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(altered(name)))
    with pytest.raises(MnistUnavailableError, match="its path says Fashion-MNIST"):
        load_mnist()
    FORMS["Keras'"](home / ".keras" / "datasets")
    check_is_tiny(load_mnist())


def test_without_pooch_the_caches_of_other_libraries_are_still_read(home, monkeypatch):
    monkeypatch.setattr(_mnist, "cache_folder", CACHE_FOLDER)
    monkeypatch.setitem(sys.modules, "pooch", None)  # As if it were not installed.
    FORMS["Keras'"](home / ".keras" / "datasets")
    check_is_tiny(load_mnist())


@pytest.mark.parametrize(
    ("place", "form", "variables"), [*CACHES.values(), ("own", "unpacked", {})], ids=[*CACHES, "our own"]
)
def test_run_without_mnist_hides_every_cache(place, form, variables, home, monkeypatch):
    makefile = Path(__file__).resolve().parent.parent / "Makefile"
    given = re.search(r"^WITHOUT_MNIST := (.*)$", makefile.read_text(encoding="utf-8"), re.M)[1]
    plant(home, place, form, variables, monkeypatch)
    if place == "own":
        monkeypatch.setattr(_mnist, "cache_folder", lambda: write_all(home / "own"))
    check_is_tiny(load_mnist())
    monkeypatch.delenv("NNKIT_OFFLINE")
    for name, value in (pair.split("=") for pair in given.split()):
        monkeypatch.setenv(name, value)
    with pytest.raises(MnistUnavailableError, match=r"NNKIT_DATA is none, .* \(1\) .* unset NNKIT_DATA and call"):
        load_mnist()


# Nowhere to be had


def nothing_is_left_in(cache):
    return not cache.exists() or not list(cache.iterdir())


def test_offline_downloads_nothing(monkeypatch, serve, tmp_path, cache):
    address, asked = serve(write_all(tmp_path / "server"))
    monkeypatch.setattr(_mnist, "MIRRORS", (address,))
    monkeypatch.setenv("NNKIT_OFFLINE", "1")
    with pytest.raises(MnistUnavailableError, match="NNKIT_OFFLINE is set, so nothing was downloaded"):
        load_mnist()
    assert asked == []
    assert not cache.exists()
    with pytest.raises(MnistUnavailableError, match=r"\(1\) connect to the internet, unset NNKIT_OFFLINE and call"):
        load_mnist()
    monkeypatch.setenv("NNKIT_OFFLINE", "0")
    check_is_tiny(load_mnist())


def test_mirrors_that_do_not_answer_are_named(monkeypatch, cache):
    mirrors = (closed_port(), closed_port())
    monkeypatch.setattr(_mnist, "MIRRORS", mirrors)
    with pytest.raises(MnistUnavailableError) as caught:
        load_mnist()
    message = str(caught.value)
    assert f"downloading {NAMES[0]} failed at every mirror" in message
    for mirror in mirrors:
        assert f"{mirror}: ConnectionError" in message
    assert f"the cache {cache} does not hold all four files" in message
    for way in ("(1) connect to the internet", "(2) put ", "set NNKIT_DATA", "(3) call load_mnist(fallback=True)"):
        assert way in message
    assert nothing_is_left_in(cache)


@pytest.fixture
def drops(monkeypatch, clock):
    """Let the mirrors drop packets, which takes 10 seconds of the clock each; return the list of what was asked."""
    import requests

    asked = []

    def time_out(url, **options):
        asked.append(url)
        clock.now += 10
        raise requests.ConnectTimeout("timed out")

    monkeypatch.setattr("pooch.retrieve", time_out)
    monkeypatch.setattr(_mnist, "MIRRORS", ("https://127.0.0.1:1/", "https://127.0.0.1:2/"))
    return asked


def test_mirrors_that_drop_packets_rest_for_a_minute(drops, clock):
    expected = [mirror + NAMES[0] for mirror in _mnist.MIRRORS]
    for rests in ((60, 60), (50, 60)):  # The second call comes at once, and asks nobody.
        with pytest.raises(MnistUnavailableError) as caught:
            load_mnist()
        assert f"downloading {NAMES[0]} failed at every mirror" in str(caught.value)
        for mirror, rest in zip(_mnist.MIRRORS, rests, strict=True):
            assert f"{mirror}: ConnectTimeout (not asked again for {rest} s)" in str(caught.value)
        assert drops == expected
    clock.now += 60
    with pytest.raises(MnistUnavailableError):
        load_mnist()
    assert drops == expected * 2


def test_fallback_serves_at_once_while_the_mirrors_rest(drops):
    pytest.importorskip("sklearn")
    for _ in range(2):
        with pytest.warns(UserWarning, match="ConnectTimeout"):
            assert load_mnist(fallback=True).name == "digits"
    assert len(drops) == 2


def test_mirrors_are_asked_at_once_through_a_new_proxy(drops, monkeypatch):
    for proxies in ({}, {"https": "http://127.0.0.1:3"}):
        monkeypatch.setattr(_mnist, "getproxies", lambda proxies=proxies: proxies)
        with pytest.raises(MnistUnavailableError):
            load_mnist()
    assert len(drops) == 4


def test_failure_that_comes_at_once_is_forgotten(monkeypatch, serve, tmp_path):
    # A cable that is not plugged in fails at once; whoever plugs it in and runs the cell again need not wait.
    import requests

    address, _ = serve(write_all(tmp_path / "server"))
    monkeypatch.setattr(_mnist, "MIRRORS", (address,))

    def fail(url, **options):
        raise requests.ConnectionError("no route")

    with monkeypatch.context() as unplugged:
        unplugged.setattr("pooch.retrieve", fail)
        with pytest.raises(MnistUnavailableError) as caught:
            load_mnist()
    assert "not asked again" not in str(caught.value)
    check_is_tiny(load_mnist())


def test_mirror_that_drops_packets_is_waited_for_once_and_not_for_each_file(monkeypatch, clock, serve, tmp_path):
    import pooch
    import requests

    good, asked_good = serve(write_all(tmp_path / "server"))
    monkeypatch.setattr(_mnist, "MIRRORS", ("https://127.0.0.1:1/", good))
    retrieve, asked_bad = pooch.retrieve, []

    def sometimes(url, **options):
        if url.startswith(good):
            return retrieve(url, **options)
        asked_bad.append(url)
        clock.now += 10
        raise requests.ConnectTimeout("timed out")

    monkeypatch.setattr("pooch.retrieve", sometimes)
    check_is_tiny(load_mnist())
    assert asked_good == NAMES
    assert len(asked_bad) == 1


@pytest.mark.parametrize(
    ("n_addresses", "proxies", "expected"),
    [
        (1, {}, 10),
        (4, {}, 2.5),
        (16, {}, 1),
        (16, {"https": "http://127.0.0.1:3"}, 10),
        (16, {"all": "http://127.0.0.1:3"}, 10),
        (16, {"http": "http://127.0.0.1:3"}, 1),
    ],
)
def test_connecting_is_given_up_soon_however_many_addresses_a_mirror_has(n_addresses, proxies, expected, monkeypatch):
    import pooch

    downloaders = []

    def remember(url, *, downloader, **options):
        downloaders.append(downloader)
        raise ConnectionError("no answer")

    monkeypatch.setattr(_mnist, "MIRRORS", ("https://mirror.example/mnist/",))
    monkeypatch.setattr(_mnist, "getproxies", lambda: proxies)
    monkeypatch.setattr("socket.getaddrinfo", lambda *args, **options: [("an address",)] * n_addresses)
    monkeypatch.setattr("pooch.retrieve", remember)
    with pytest.raises(MnistUnavailableError):
        load_mnist()
    assert isinstance(downloaders[0], pooch.HTTPDownloader)
    assert downloaders[0].kwargs["timeout"] == (expected, 30)


def test_name_that_cannot_be_resolved_is_the_mirrors_fault_and_not_the_caches(monkeypatch, cache):
    def fail(*args, **options):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(_mnist, "MIRRORS", ("https://mirror.example/mnist/",))
    monkeypatch.setattr(_mnist, "getproxies", dict)
    monkeypatch.setattr("socket.getaddrinfo", fail)
    with pytest.raises(MnistUnavailableError, match=r"https://mirror.example/mnist/: ConnectionError"):
        load_mnist()
    assert nothing_is_left_in(cache)


@pytest.mark.parametrize("parent_is_a_file", [True, False])
def test_cache_that_cannot_be_written_is_named(parent_is_a_file, monkeypatch, serve, tmp_path):
    address, _ = serve(write_all(tmp_path / "server"))
    monkeypatch.setattr(_mnist, "MIRRORS", (address,))
    blocker = tmp_path / "blocker"
    blocker.write_text("a file where a folder should be")
    unwritable = blocker / "mnist" if parent_is_a_file else blocker
    monkeypatch.setattr(_mnist, "cache_folder", lambda: unwritable)
    with pytest.raises(MnistUnavailableError) as caught:
        load_mnist()
    assert f"the cache {unwritable} cannot be written (" in str(caught.value)
    assert "XDG_CACHE_HOME moves it" in str(caught.value)


def test_read_only_cache_is_named(monkeypatch, cache):
    def refuse(*args, **options):
        raise PermissionError(errno.EACCES, "Permission denied", str(cache))

    monkeypatch.setattr("tempfile.TemporaryDirectory", refuse)
    with pytest.raises(MnistUnavailableError, match=r"the cache .* cannot be written \(\[Errno 13\] Permission denied"):
        load_mnist()


def test_full_disk_is_not_blamed_on_the_mirrors(monkeypatch, cache):
    def fill(*args, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pooch.retrieve", fill)
    with pytest.raises(
        MnistUnavailableError, match=r"the cache .* cannot be written \(\[Errno 28\] No space left"
    ) as caught:
        load_mnist()
    assert "failed at every mirror" not in str(caught.value)
    assert nothing_is_left_in(cache)


def test_fallback_serves_where_nothing_can_be_had(monkeypatch, tmp_path):
    pytest.importorskip("sklearn")
    (tmp_path / "blocker").write_text("")
    monkeypatch.setattr(_mnist, "cache_folder", lambda: tmp_path / "blocker" / "mnist")
    with pytest.warns(UserWarning, match="the cache .* cannot be written"):
        assert load_mnist(fallback=True).name == "digits"


# Downloads


def test_download_is_kept_and_not_repeated(monkeypatch, serve, tmp_path, cache):
    address, asked = serve(write_all(tmp_path / "server"))
    monkeypatch.setattr(_mnist, "MIRRORS", (address,))
    check_is_tiny(load_mnist())
    assert asked == NAMES
    assert sorted(path.name for path in cache.iterdir()) == sorted(NAMES)
    check_is_tiny(load_mnist())
    assert asked == NAMES


def test_only_what_is_missing_is_downloaded(monkeypatch, serve, tmp_path, cache):
    address, asked = serve(write_all(tmp_path / "server"))
    monkeypatch.setattr(_mnist, "MIRRORS", (address,))
    write_all(cache)
    (cache / NAMES[2]).unlink()
    check_is_tiny(load_mnist())
    assert asked == [NAMES[2]]


def test_download_appears_in_the_cache_whole_and_checked(monkeypatch, serve, tmp_path, cache):
    address, _ = serve(write_all(tmp_path / "server"))
    monkeypatch.setattr(_mnist, "MIRRORS", (address,))
    order = []
    read = _mnist.read

    def watched(path, files):
        order.append((path.parent == cache, (cache / path.name).exists()))
        return read(path, files)

    monkeypatch.setattr(_mnist, "read", watched)
    load_mnist()
    # First each download outside of its final place, which is still empty; then each file from there.
    assert order == [(False, False)] * 4 + [(True, True)] * 4


def test_download_is_moved_within_the_cache_so_that_the_move_is_atomic(monkeypatch, serve, tmp_path, cache):
    import pooch

    address, _ = serve(write_all(tmp_path / "server"))
    monkeypatch.setattr(_mnist, "MIRRORS", (address,))
    retrieve, folders = pooch.retrieve, []

    def watched(*args, path, **options):
        folders.append(path)
        return retrieve(*args, path=path, **options)

    monkeypatch.setattr("pooch.retrieve", watched)
    load_mnist()
    assert len(folders) == 4
    assert all(cache in folder.parents for folder in folders)


@pytest.mark.parametrize("handler", [AlwaysAWebPage, Breaks])
def test_bad_mirror_is_followed_by_a_good_one(handler, monkeypatch, serve, tmp_path, cache):
    bad, asked_bad = serve(tmp_path, handler)
    good, asked_good = serve(write_all(tmp_path / "server"))
    monkeypatch.setattr(_mnist, "MIRRORS", (closed_port(), bad, good))
    check_is_tiny(load_mnist())
    assert asked_bad == asked_good == NAMES
    assert sorted(path.name for path in cache.iterdir()) == sorted(NAMES)


def test_mirror_with_damaged_contents_is_followed_by_a_good_one(monkeypatch, serve, tmp_path, cache):
    damaged = write_all(tmp_path / "damaged")
    contents = bytearray(CONTENTS[NAMES[0]])
    contents[-1] ^= 1
    (damaged / NAMES[0]).write_bytes(gzip.compress(contents))
    (damaged / NAMES[1]).write_bytes((damaged / NAMES[1]).read_bytes()[:-9])
    (damaged / NAMES[2]).unlink()
    (bad, asked_bad), (good, asked_good) = serve(damaged), serve(write_all(tmp_path / "server"))
    monkeypatch.setattr(_mnist, "MIRRORS", (bad, good))
    check_is_tiny(load_mnist())
    assert asked_bad == NAMES
    assert asked_good == NAMES[:3]


def test_damaged_download_is_not_kept_and_every_mirror_says_why(monkeypatch, serve, tmp_path, cache):
    (web_page, _), (breaks, _) = serve(tmp_path, AlwaysAWebPage), serve(tmp_path, Breaks)
    (absent, _) = serve(tmp_path)
    monkeypatch.setattr(_mnist, "MIRRORS", (web_page, breaks, absent))
    with pytest.raises(MnistUnavailableError) as caught:
        load_mnist()
    message = str(caught.value)
    assert f"{web_page}: {NAMES[0]} is not a gzip file but a web page" in message
    assert f"{breaks}: ChunkedEncodingError" in message
    assert f"{absent}: HTTPError" in message
    assert nothing_is_left_in(cache)


def test_files_that_came_before_a_failure_are_kept(monkeypatch, serve, tmp_path, cache):
    server = write_all(tmp_path / "server")
    (server / NAMES[2]).unlink()
    address, asked = serve(server)
    monkeypatch.setattr(_mnist, "MIRRORS", (address,))
    with pytest.raises(MnistUnavailableError, match=f"downloading {NAMES[2]} failed"):
        load_mnist()
    assert sorted(path.name for path in cache.iterdir()) == sorted(NAMES[:2])
    write_all(server)
    check_is_tiny(load_mnist())
    assert asked == NAMES[:3] + NAMES[2:]


def test_interrupted_download_leaves_nothing(monkeypatch, cache):
    def interrupted(url, *, fname, path, **options):
        (path / fname).write_bytes(b"half a file")
        raise KeyboardInterrupt

    monkeypatch.setattr("pooch.retrieve", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load_mnist()
    assert nothing_is_left_in(cache)


def test_download_shows_its_progress(monkeypatch, serve, tmp_path, capsys):
    address, _ = serve(write_all(tmp_path / "server"))
    monkeypatch.setattr(_mnist, "MIRRORS", (address,))
    load_mnist()
    assert "100%" in capsys.readouterr().err


def test_download_needs_no_progress_bar(monkeypatch, serve, tmp_path, capsys):
    address, _ = serve(write_all(tmp_path / "server"))
    monkeypatch.setattr(_mnist, "MIRRORS", (address,))
    monkeypatch.setattr("pooch.downloaders.tqdm", None)  # As pooch has it where tqdm is not installed.
    check_is_tiny(load_mnist())
    assert "100%" not in capsys.readouterr().err


def test_download_does_not_ask_for_a_hash_to_be_written_down(monkeypatch, serve, tmp_path, caplog):
    import pooch

    # Without a known hash pooch logs the one it found, with advice that is wrong here.
    address, _ = serve(write_all(tmp_path / "server"))
    monkeypatch.setattr(_mnist, "MIRRORS", (address,))
    pooch.get_logger().setLevel("INFO")
    pooch.get_logger().addHandler(caplog.handler)
    try:
        load_mnist()
    finally:
        pooch.get_logger().removeHandler(caplog.handler)
    assert caplog.records == []


def test_mirrors_are_asked_over_https():
    assert len(MIRRORS) >= 2
    assert all(mirror.startswith("https://") and mirror.endswith("/") for mirror in MIRRORS)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep their caches elsewhere")
def test_cache_lies_in_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert CACHE_FOLDER() == tmp_path / "nnkit" / "mnist"


def test_without_pooch_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(_mnist, "cache_folder", CACHE_FOLDER)
    monkeypatch.setitem(sys.modules, "pooch", None)  # As if it were not installed.
    with pytest.raises(MnistUnavailableError, match="need pooch: pip install pooch tqdm"):
        load_mnist()
