"""load_mnist with the real files and with its fallback, and the small problems."""

import gzip
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest

from nnkit import Dataset, _mnist, load_mnist, make_blobs, make_linear, make_moons, make_xor

# The real files


def test_mnist_has_its_published_shapes_and_dtypes(mnist):
    assert mnist.name == "mnist"
    assert mnist.X_train.shape == (60000, 784)
    assert mnist.X_test.shape == (10000, 784)
    assert mnist.y_train.shape == (60000,)
    assert mnist.y_test.shape == (10000,)
    assert mnist.X_train.dtype == mnist.X_test.dtype == np.float32
    assert mnist.y_train.dtype == mnist.y_test.dtype == np.int64


def test_mnist_pixels_go_from_paper_to_ink(mnist):
    for images in (mnist.X_train, mnist.X_test):
        assert images.min() == 0
        assert images.max() == 1
        # The corners of every image are paper.
        assert not images[:, [0, 27, 756, 783]].any()
    assert mnist.X_train.mean(dtype=np.float64) == pytest.approx(0.1307, abs=1e-4)


def test_mnist_labels_are_the_published_ones(mnist):
    np.testing.assert_array_equal(mnist.y_train[:5], [5, 0, 4, 1, 9])
    np.testing.assert_array_equal(mnist.y_test[:5], [7, 2, 1, 0, 4])
    np.testing.assert_array_equal(np.unique(mnist.y_train), np.arange(10))
    assert np.bincount(mnist.y_train)[1] == 6742


def test_mnist_arrays_can_be_written_to(mnist):
    assert mnist.X_train.flags.writeable
    assert mnist.y_train.flags.writeable


@pytest.fixture(scope="module")
def published(mnist):
    """Return the images and labels as the published files hold them."""
    X_train, X_test = (np.rint(X * 255).astype(np.uint8) for X in (mnist.X_train, mnist.X_test))
    return {"x_train": X_train, "y_train": mnist.y_train, "x_test": X_test, "y_test": mnist.y_test}


def write_raw(folder, published):
    for half, name in (("train", "train"), ("test", "t10k")):
        X, y = published[f"x_{half}"], published[f"y_{half}"].astype(np.uint8)
        (folder / f"{name}-images-idx3-ubyte").write_bytes(struct.pack(">4i", 2051, len(X), 28, 28) + X.tobytes())
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 2049, len(y)) + y.tobytes())


def write_npz(folder, published):
    arrays = {name: array.astype(np.uint8) for name, array in published.items()}
    images = {name: array.reshape(-1, 28, 28) for name, array in arrays.items() if name[0] == "x"}
    np.savez(folder / "mnist.npz", **{**arrays, **images})


def write_arff(folder, published):
    words = np.array([list(f"{number},".ljust(4, "\0").encode()) for number in range(256)], dtype=np.uint8)
    with gzip.open(folder / "mnist_784.arff.gz", "wb", compresslevel=1) as file:
        columns = "@ATTRIBUTE pixel real\n" * 784
        file.write(f"@RELATION mnist_784\n{columns}@ATTRIBUTE class {{0,1,2,3,4,5,6,7,8,9}}\n@DATA\n".encode())
        for half in ("train", "test"):
            rows = np.column_stack([published[f"x_{half}"], published[f"y_{half}"].astype(np.uint8)])
            for part in np.array_split(rows, 10):
                text = words[part]
                text[:, -1, 1] = ord("\n")  # After the label instead of a comma.
                file.write(text[text != 0].tobytes())


@pytest.mark.parametrize("write", [write_raw, write_npz, write_arff])
def test_mnist_is_the_same_in_every_form(write, published, mnist, tmp_path, monkeypatch):
    write(tmp_path, published)
    monkeypatch.setenv("NNKIT_DATA", str(tmp_path))
    again = load_mnist()
    for name in ("X_train", "y_train", "X_test", "y_test"):
        np.testing.assert_array_equal(getattr(again, name), getattr(mnist, name))
        assert getattr(again, name).flags.writeable
    assert again.source.startswith(str(tmp_path))
    assert mnist.source


# The fallback


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """Take MNIST away: no folder, an empty cache, no network."""
    pytest.importorskip("sklearn")
    monkeypatch.delenv("NNKIT_DATA", raising=False)
    monkeypatch.setenv("NNKIT_OFFLINE", "1")
    monkeypatch.setattr(_mnist, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(_mnist, "other_caches", lambda: ())


@pytest.mark.usefixtures("nowhere")
def test_fallback_gives_digits_of_the_same_form_with_a_warning():
    with pytest.warns(UserWarning, match="1,797 digits instead of MNIST, so the numbers will differ.*NNKIT_OFFLINE"):
        digits = load_mnist(fallback=True)
    assert digits.name == "digits"
    assert digits.source == "scikit-learn"
    assert digits.X_train.shape == (1437, 784)
    assert digits.X_test.shape == (360, 784)
    assert digits.X_train.dtype == digits.X_test.dtype == np.float32
    assert digits.y_train.dtype == digits.y_test.dtype == np.int64
    for images, labels in ((digits.X_train, digits.y_train), (digits.X_test, digits.y_test)):
        assert len(images) == len(labels)
        assert images.min() == 0
        assert 0.99 < images.max() <= 1
        np.testing.assert_array_equal(np.unique(labels), np.arange(10))


@pytest.mark.usefixtures("nowhere")
def test_fallback_warning_points_at_the_caller():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load_mnist(fallback=True)
    assert [Path(warning.filename).name for warning in caught] == ["test_datasets.py"]


@pytest.mark.usefixtures("nowhere")
@pytest.mark.filterwarnings("ignore:using scikit-learn:UserWarning")
def test_fallback_is_the_same_on_every_call():
    first, second = load_mnist(fallback=True), load_mnist(fallback=True)
    np.testing.assert_array_equal(first.X_train, second.X_train)
    np.testing.assert_array_equal(first.y_test, second.y_test)


@pytest.mark.usefixtures("nowhere")
@pytest.mark.filterwarnings("ignore:using scikit-learn:UserWarning")
def test_fallback_images_are_the_digits_of_their_labels():
    from sklearn.datasets import load_digits

    digits, (small, labels) = load_mnist(fallback=True), load_digits(return_X_y=True)
    # The corners of the enlarged digit are the corners of the small one, which says which image became which.
    images = np.concatenate([digits.X_train, digits.X_test]).reshape(-1, 28, 28)
    order = np.random.default_rng(0).permutation(len(small))
    small = small.reshape(-1, 8, 8)[order] / 16
    np.testing.assert_allclose(images[:, 4, 4], small[:, 0, 0], atol=1e-6)
    np.testing.assert_allclose(images[:, 23, 23], small[:, 7, 7], atol=1e-6)
    np.testing.assert_array_equal(np.concatenate([digits.y_train, digits.y_test]), labels[order])
    assert not images[:, :4].any()
    assert not images[:, :, 24:].any()


@pytest.mark.usefixtures("nowhere")
def test_without_fallback_the_error_gives_three_ways_to_mend_it():
    with pytest.raises(_mnist.MnistUnavailableError) as caught:
        load_mnist()
    message = str(caught.value)
    for part in ("(1) connect to the internet", "(2) put train-images-idx3-ubyte.gz, ", "set NNKIT_DATA", "(3) call"):
        assert part in message
    assert "load_mnist(fallback=True)" in message


def test_dataset_shows_its_size():
    images, labels = np.zeros((1200, 784)), np.zeros(1200)
    assert repr(Dataset(images, labels, images[:300], labels[:300], "mnist")) == (
        "Dataset(mnist: 1,200 for training, 300 for testing)"
    )


# The small problems


SMALL = {"linear": make_linear, "blobs": make_blobs, "xor": make_xor, "moons": make_moons}
every_problem = pytest.mark.parametrize("make", SMALL.values(), ids=SMALL)


@every_problem
@pytest.mark.parametrize("n", [1, 2, 51])
def test_problems_have_as_many_points_as_asked_for(make, n):
    X, y = make(n, rng=0)
    assert len(X) == len(y) == n
    assert X.dtype == np.float32
    assert y.dtype == (np.float32 if make is make_linear else np.int64)


@every_problem
def test_problems_are_the_same_for_the_same_seed(make):
    (X, y), (same_X, same_y), (other_X, _) = make(20, rng=1), make(20, rng=1), make(20, rng=2)
    np.testing.assert_array_equal(X, same_X)
    np.testing.assert_array_equal(y, same_y)
    assert not np.array_equal(X, other_X)


@every_problem
def test_problems_leave_the_global_random_state_alone(make):
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    make(20)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@every_problem
def test_problems_need_at_least_one_point(make):
    with pytest.raises(ValueError, match="n must be at least 1; got 0"):
        make(0)
    with pytest.raises(TypeError, match=r"n must be a whole number; got 2\.5"):
        make(2.5)


def test_linear_points_lie_on_the_line_without_noise():
    X, y = make_linear(50, slope=3, intercept=0.5, noise=0, rng=0)
    assert X.shape == y.shape == (50, 1)
    np.testing.assert_allclose(y, 3 * X + 0.5, atol=1e-6)
    assert np.abs(X).max() <= 2


def test_linear_noise_has_the_stated_deviation():
    X, y = make_linear(10000, noise=0.5, rng=0)
    assert (y - (2 * X - 1)).std() == pytest.approx(0.5, rel=0.03)


def test_blobs_lie_around_their_centers_in_equal_shares():
    X, y = make_blobs(3000, centers=((0, 0, 0), (5, 5, 5), (-5, 0, 5)), spread=0.5, rng=0)
    assert X.shape == (3000, 3)
    np.testing.assert_array_equal(np.bincount(y), [1000] * 3)
    np.testing.assert_allclose(X[y == 2].mean(axis=0), [-5, 0, 5], atol=0.1)
    assert X[y == 1].std(axis=0) == pytest.approx(0.5, rel=0.1)


def test_blobs_need_rows_of_centers():
    with pytest.raises(ValueError, match=r"centers must have shape \(k, d\), at least \(1, 1\); got \(2,\)"):
        make_blobs(centers=(1.0, 2.0))
    for shape in ((0, 2), (2, 0)):
        with pytest.raises(
            ValueError, match=r"centers must have shape \(k, d\), at least \(1, 1\); got \([02], [02]\)"
        ):
            make_blobs(centers=np.empty(shape))
    with pytest.raises(ValueError, match="centers must be finite"):
        make_blobs(centers=[[0.0, np.nan]])


@pytest.mark.parametrize("name", ["slope", "intercept"])
def test_line_must_be_finite(name):
    with pytest.raises(ValueError, match=f"{name} must be a finite number; got nan"):
        make_linear(10, **{name: np.nan})


@every_problem
def test_problems_name_a_seed_that_is_none(make):
    with pytest.raises(ValueError, match=r"rng must be a .* whole number that is at least 0; got -1"):
        make(10, rng=-1)


def test_xor_is_its_truth_table_without_a_number():
    X, y = make_xor()
    np.testing.assert_array_equal(X, [[0, 0], [0, 1], [1, 0], [1, 1]])
    np.testing.assert_array_equal(y, [0, 1, 1, 0])


def test_xor_points_have_class_one_where_the_signs_differ():
    X, y = make_xor(500, margin=0.2, rng=0)
    np.testing.assert_array_equal(y, np.sign(X[:, 0]) != np.sign(X[:, 1]))
    assert np.abs(X).min() >= np.float32(0.2)
    assert np.abs(X).max() <= 1
    assert 200 < y.sum() < 300


def test_moons_are_two_half_circles():
    X, y = make_moons(400, noise=0, rng=0)
    np.testing.assert_array_equal(np.bincount(y), [200, 200])
    np.testing.assert_allclose(np.hypot(*X[y == 0].T), 1, atol=1e-6)
    np.testing.assert_allclose(np.hypot(*(X[y == 1] - [1, 0.5]).T), 1, atol=1e-6)
    assert X[y == 0, 1].min() >= -1e-6
    assert X[y == 1, 1].max() <= 0.5 + 1e-6


def test_negative_noise_and_a_margin_of_one_are_refused():
    for make, name in ((make_linear, "noise"), (make_moons, "noise"), (make_blobs, "spread"), (make_xor, "margin")):
        with pytest.raises(ValueError, match=f"{name} must be a finite number at least 0.*; got -1"):
            make(10, **{name: -1})
    with pytest.raises(ValueError, match="margin must be a finite number at least 0 and below 1; got 1"):
        make_xor(10, margin=1)
