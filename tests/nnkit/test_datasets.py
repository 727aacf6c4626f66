"""load_mnist with the real files and with its fallback, and the toy data sets."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from nnkit.data import Dataset, load_mnist, make_blobs, make_linear, make_moons, make_xor

# The real files


def test_mnist_has_its_published_shapes_and_values(mnist):
    assert mnist.name == "mnist"
    for images, labels, n in ((mnist.X_train, mnist.y_train, 60000), (mnist.X_test, mnist.y_test, 10000)):
        assert images.shape == (n, 784)
        assert labels.shape == (n,)
        assert images.dtype == np.float32
        assert labels.dtype == np.int64
        assert images.flags.writeable
        assert labels.flags.writeable
        assert (images.min(), images.max()) == (0, 1)
        assert not images[:, [0, 27, 756, 783]].any()  # The corners of every image are blank.
    assert mnist.X_train.mean(dtype=np.float64) == pytest.approx(0.1307, abs=1e-4)
    np.testing.assert_array_equal(mnist.y_train[:5], [5, 0, 4, 1, 9])
    np.testing.assert_array_equal(mnist.y_test[:5], [7, 2, 1, 0, 4])
    assert np.bincount(mnist.y_train)[1] == 6742


@pytest.fixture(scope="module")
def published(mnist):
    """Return the images and labels as the published files store them."""
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
                text[:, -1, 1] = ord("\n")  # Instead of the comma after the label.
                file.write(text[text != 0].tobytes())


@pytest.mark.slow
@pytest.mark.parametrize("write", [write_raw, write_npz, write_arff])
def test_mnist_is_identical_in_every_file_format(write, published, mnist, tmp_path, monkeypatch):
    write(tmp_path, published)
    monkeypatch.setenv("NNKIT_DATA", str(tmp_path))
    again = load_mnist()
    for name in ("X_train", "y_train", "X_test", "y_test"):
        np.testing.assert_array_equal(getattr(again, name), getattr(mnist, name))
    assert again.source.startswith(str(tmp_path))


# The fallback


@pytest.fixture
def nowhere(monkeypatch):
    """Hide MNIST."""
    pytest.importorskip("sklearn")
    monkeypatch.setenv("NNKIT_DATA", "none")


@pytest.mark.usefixtures("nowhere")
def test_fallback_has_the_same_layout_as_mnist():
    with pytest.warns(UserWarning, match="1,797 digits instead of MNIST") as caught:
        digits = load_mnist(fallback=True)
    # The warning points at the caller.
    assert [Path(warning.filename).name for warning in caught] == [Path(__file__).name]
    assert (digits.name, digits.source) == ("digits", "scikit-learn")
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
@pytest.mark.filterwarnings("ignore:using scikit-learn:UserWarning")
def test_fallback_images_match_their_labels_on_every_call():
    from sklearn.datasets import load_digits

    digits, again, (small, labels) = load_mnist(fallback=True), load_mnist(fallback=True), load_digits(return_X_y=True)
    np.testing.assert_array_equal(digits.X_train, again.X_train)
    np.testing.assert_array_equal(digits.y_test, again.y_test)
    # An enlarged digit keeps the corners of the original, which identify it.
    images = np.concatenate([digits.X_train, digits.X_test]).reshape(-1, 28, 28)
    order = np.random.default_rng(0).permutation(len(small))
    small = small.reshape(-1, 8, 8)[order] / 16
    np.testing.assert_allclose(images[:, 4, 4], small[:, 0, 0], atol=1e-6)
    np.testing.assert_allclose(images[:, 23, 23], small[:, 7, 7], atol=1e-6)
    np.testing.assert_array_equal(np.concatenate([digits.y_train, digits.y_test]), labels[order])
    assert not images[:, :4].any()
    assert not images[:, :, 24:].any()


def test_dataset_repr_shows_its_size():
    images, labels = np.zeros((1200, 784)), np.zeros(1200)
    assert repr(Dataset(images, labels, images[:300], labels[:300], "mnist")) == (
        "Dataset(mnist: 1,200 for training, 300 for testing)"
    )


# The toy data sets


SMALL = {"linear": make_linear, "blobs": make_blobs, "xor": make_xor, "moons": make_moons}
every_problem = pytest.mark.parametrize("make", SMALL.values(), ids=SMALL)


@every_problem
@pytest.mark.parametrize("n", [1, 2, 51])
def test_toy_data_has_the_requested_number_of_points(make, n):
    X, y = make(n, rng=0)
    assert len(X) == len(y) == n
    assert X.dtype == np.float32
    assert y.dtype == (np.float32 if make is make_linear else np.int64)


@every_problem
def test_toy_data_is_reproducible(make):
    (X, y), (same_X, same_y), (other_X, _) = make(20, rng=1), make(20, rng=1), make(20, rng=2)
    np.testing.assert_array_equal(X, same_X)
    np.testing.assert_array_equal(y, same_y)
    assert not np.array_equal(X, other_X)


@every_problem
def test_toy_data_does_not_touch_the_global_random_state(make):
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    make(20)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@every_problem
@pytest.mark.parametrize(
    ("arguments", "kind"), [({"n": 0}, ValueError), ({"n": 2.5}, TypeError), ({"n": 10, "rng": -1}, ValueError)]
)
def test_invalid_number_of_points_or_seed_is_named(make, arguments, kind):
    with pytest.raises(kind, match=f"^{list(arguments)[-1]} must"):
        make(**arguments)


@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        (make_linear, {"noise": -1}),
        (make_linear, {"slope": np.nan}),
        (make_linear, {"intercept": np.nan}),
        (make_moons, {"noise": -1}),
        (make_blobs, {"spread": -1}),
        (make_blobs, {"centers": (1.0, 2.0)}),
        (make_blobs, {"centers": np.empty((0, 2))}),
        (make_blobs, {"centers": np.empty((2, 0))}),
        (make_blobs, {"centers": [[0.0, np.nan]]}),
        (make_xor, {"margin": -1}),
        (make_xor, {"margin": 1}),
    ],
)
def test_argument_out_of_range_is_named(make, arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"^{name} must"):
        make(10, **arguments)


def test_linear_points_lie_on_the_line_without_noise():
    X, y = make_linear(50, slope=3, intercept=0.5, noise=0, rng=0)
    assert X.shape == y.shape == (50, 1)
    np.testing.assert_allclose(y, 3 * X + 0.5, atol=1e-6)
    assert np.abs(X).max() <= 2


def test_linear_noise_has_the_stated_standard_deviation():
    X, y = make_linear(10000, noise=0.5, rng=0)
    assert (y - (2 * X - 1)).std() == pytest.approx(0.5, rel=0.03)


def test_blobs_split_evenly_around_their_centers():
    X, y = make_blobs(3000, centers=((0, 0, 0), (5, 5, 5), (-5, 0, 5)), spread=0.5, rng=0)
    assert X.shape == (3000, 3)
    np.testing.assert_array_equal(np.bincount(y), [1000] * 3)
    np.testing.assert_allclose(X[y == 2].mean(axis=0), [-5, 0, 5], atol=0.1)
    assert X[y == 1].std(axis=0) == pytest.approx(0.5, rel=0.1)


def test_xor_is_its_truth_table_by_default():
    X, y = make_xor()
    np.testing.assert_array_equal(X, [[0, 0], [0, 1], [1, 0], [1, 1]])
    np.testing.assert_array_equal(y, [0, 1, 1, 0])


def test_xor_points_have_class_one_if_the_signs_differ():
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
