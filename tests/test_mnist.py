"""Where MNIST comes from: every way in which a file, a cache or a mirror can be wrong, with tiny files."""

import errno
import functools
import gzip
import hashlib
import http.server
import socket
import struct
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from nnkit import _mnist, load_mnist
from nnkit._mnist import IdxFile, MnistFileError, MnistUnavailableError

pytest.importorskip("pooch")

IMAGES, LABELS = 2051, 2049
HTML = b"<!DOCTYPE html>\n<html><body>Not found, but with status 200</body></html>"
NAMES = [file.name for file in _mnist.FILES]
# What the fixture below replaces.
MIRRORS, CACHE_FOLDER = _mnist.MIRRORS, _mnist.cache_folder


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


CACHE_FOLDER = _mnist.cache_folder


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
    monkeypatch.setenv("HOME", str(tmp_path))
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


def test_unpacked_file_under_the_packed_name_is_recognized(folder):
    message = error_of(NAMES[0], CONTENTS[NAMES[0]], folder)
    assert r"is not a gzip file but something that starts with b'\x00\x00\x08\x03" in message


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
    refuse_to(monkeypatch, "read_bytes", folder / NAMES[2])
    with pytest.raises(MnistFileError) as caught:
        load_mnist(fallback=fallback)
    message = str(caught.value)
    assert (
        f"{folder / NAMES[2]} cannot be read (Permission denied); to mend it, make it readable, or replace" in message
    )


def test_unreadable_file_in_the_cache_may_be_deleted(monkeypatch, cache):
    write_all(cache)
    refuse_to(monkeypatch, "read_bytes", cache / NAMES[0])
    with pytest.raises(MnistFileError, match="make it readable, or delete it, and load_mnist"):
        load_mnist()


def test_download_that_cannot_be_read_back_is_not_blamed_on_the_mirror(monkeypatch, serve, tmp_path, cache):
    address, _ = serve(write_all(tmp_path / "server"))
    monkeypatch.setattr(_mnist, "MIRRORS", (address,))

    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(MnistUnavailableError, match=r"the cache .* cannot be written \(\[Errno 13\] Permission denied"):
        load_mnist()


def test_folder_that_may_not_be_searched_is_passed_over(monkeypatch, folder, cache):
    refuse_to(monkeypatch, "is_file", folder / NAMES[0])
    monkeypatch.setattr("os.access", lambda path, mode: False)
    monkeypatch.setenv("NNKIT_OFFLINE", "1")
    with pytest.raises(MnistUnavailableError, match=r"NNKIT_DATA is .*, which is no folder that may be read"):
        load_mnist()
    write_all(cache)
    check_is_tiny(load_mnist())


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
    read = _mnist._read

    def watched(path, file, mend=""):
        order.append((path.parent == cache, (cache / file.name).exists()))
        return read(path, file, mend)

    monkeypatch.setattr(_mnist, "_read", watched)
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
