"""Data: MNIST, checked and cached, and small problems that are drawn on the spot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnkit.checks import finite_array, generator, number, whole_number
from nnkit.data import mnist as _mnist
from nnkit.typing import Array


@dataclass(frozen=True)
class Dataset:
    """Images of digits with their labels, split for training and testing.

    Attributes
    ----------
    X_train, X_test : ndarray of float32, shape (n, 784)
        The images, one a row, from 0 (paper) to 1 (ink).
    y_train, y_test : ndarray of int64, shape (n,)
        The digits, 0 to 9.
    name : str
        ``"mnist"``, or ``"digits"`` for the fallback.
    source : str
        Where the images came from: the path of the folder or file, or ``"scikit-learn"`` for the fallback.
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
    """Load the MNIST digits from wherever they are on this machine, else from a public mirror.

    The places, in this order: what ``$NNKIT_DATA`` names; the user's cache, where downloads are kept; where other
    libraries keep MNIST, which is ``./data`` for torchvision, ``~/.keras/datasets`` (or ``$KERAS_HOME/datasets``) for
    Keras and ``~/scikit_learn_data`` (or ``$SCIKIT_LEARN_DATA``) for scikit-learn; a mirror. The attribute ``source``
    of the result says which it was, and so does the logger ``nnkit``: aloud for the folder of another library.

    What is read: the four published files, packed or not, also as torchvision (``MNIST/raw``) and Kaggle lay them out;
    Keras' ``mnist.npz``; and OpenML's ``mnist_784.arff`` as ``fetch_openml`` keeps it. ``NNKIT_DATA`` names a folder
    that holds any of them, or one up to two levels above it; or the archive itself, or one of the four files, with the
    others beside it. ``NNKIT_DATA=none`` stands for a machine without MNIST: nothing is looked for.

    Whatever the form, what is loaded has the published SHA-256 of the decompressed contents, and no more is read than
    the published files hold. What is damaged in the folder of another library is passed over. A download goes to the
    user's cache, whole or not at all. ``NNKIT_OFFLINE=1`` forbids downloads.

    Parameters
    ----------
    fallback : bool, default False
        Whether to return scikit-learn's 1,797 digits, scaled up to the same shape, where MNIST cannot be had; a
        warning says so. A damaged file where ``NNKIT_DATA`` leads or in the user's cache is an error even then.

    Returns
    -------
    Dataset
        60,000 training and 10,000 test images; with the fallback 1,437 and 360.

    Raises
    ------
    MnistUnavailableError
        If the files are nowhere and cannot be downloaded; the message says the three ways to mend it.
    MnistFileError
        If a file is damaged or is not what its name says; the message names it and says how to mend it. Fashion-MNIST,
        KMNIST, EMNIST and QMNIST are named where a published checksum or the path tells.

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, Gradient-based learning applied to document recognition, 1998.
    """
    try:
        arrays, source = _mnist.load()
    except _mnist.MnistUnavailableError as error:
        if not fallback:
            raise
        return _load_digits(str(error))
    return Dataset(*arrays, name="mnist", source=source)


def _load_digits(reason: str) -> Dataset:
    import warnings

    from scipy.ndimage import zoom
    from sklearn.datasets import load_digits

    warnings.warn(
        "using scikit-learn's 1,797 digits instead of MNIST, so the numbers will differ from those in the text. "
        f"Why: {reason}",
        UserWarning,
        stacklevel=3,
    )
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32).reshape(-1, 8, 8)
    # As in MNIST, the digit fills 20 x 20 pixels of 28 x 28.
    images = np.pad(zoom(images, (1, 2.5, 2.5), order=1), ((0, 0), (4, 4), (4, 4)))
    order = np.random.default_rng(0).permutation(len(images))
    X, y = images.reshape(-1, 784)[order], labels.astype(np.int64)[order]
    n_train = 1437
    return Dataset(X[:n_train], y[:n_train], X[n_train:], y[n_train:], name="digits", source="scikit-learn")


def make_linear(
    n: int = 100,
    *,
    slope: float = 2.0,
    intercept: float = -1.0,
    noise: float = 0.5,
    rng: np.random.Generator | int | None = None,
) -> tuple[Array, Array]:
    """Draw points around a line: x uniform in [-2, 2], y = slope x + intercept + normal noise.

    Parameters
    ----------
    n : int, default 100
        How many points.
    slope, intercept : float, default 2 and -1
        The line.
    noise : float, default 0.5
        The standard deviation of the noise.
    rng : numpy.random.Generator or int, optional
        Where the points are drawn from.

    Returns
    -------
    X, y : ndarray of float32, shape (n, 1)
    """
    n, noise = whole_number("n", n, least=1), number("noise", noise, least=0)
    slope, intercept = number("slope", slope), number("intercept", intercept)
    rng = generator("rng", rng)
    X = rng.uniform(-2, 2, (n, 1))
    y = slope * X + intercept + rng.normal(0, noise, (n, 1))
    return X.astype(np.float32), y.astype(np.float32)


def make_blobs(
    n: int = 200,
    *,
    centers: Array | tuple[tuple[float, float], ...] = ((-1.5, -1.0), (1.5, 1.0)),
    spread: float = 0.8,
    rng: np.random.Generator | int | None = None,
) -> tuple[Array, Array]:
    """Draw points in the plane from one normal cloud a class.

    Parameters
    ----------
    n : int, default 200
        How many points; the classes get equal shares, up to one point.
    centers : array_like, shape (k, d)
        The middle of each cloud.
    spread : float, default 0.8
        The standard deviation of each cloud in each direction.
    rng : numpy.random.Generator or int, optional
        Where the points are drawn from.

    Returns
    -------
    X : ndarray of float32, shape (n, d)
    y : ndarray of int64, shape (n,)
    """
    n, spread = whole_number("n", n, least=1), number("spread", spread, least=0)
    rng = generator("rng", rng)
    middles = finite_array("centers", centers, np.float64)
    if middles.ndim != 2 or middles.size == 0:
        raise ValueError(f"centers must have shape (k, d), at least (1, 1); got {middles.shape}")
    y = rng.permutation(np.arange(n) % len(middles))
    X = middles[y] + rng.normal(0, spread, (n, middles.shape[1]))
    return X.astype(np.float32), y.astype(np.int64)


def make_xor(
    n: int | None = None, *, margin: float = 0.0, rng: np.random.Generator | int | None = None
) -> tuple[Array, Array]:
    """Return the four corners of XOR, or draw points in four quadrants of which opposite ones share a class.

    Parameters
    ----------
    n : int, optional
        How many points to draw in [-1, 1] x [-1, 1]; class 1 where the signs differ. Without it, the truth table:
        (0, 0), (0, 1), (1, 0), (1, 1).
    margin : float, default 0
        How far every drawn point stays from both axes, below 1.
    rng : numpy.random.Generator or int, optional
        Where the points are drawn from.

    Returns
    -------
    X : ndarray of float32, shape (n, 2)
    y : ndarray of int64, shape (n,)
    """
    if n is None:
        corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32)
        return corners, np.array([0, 1, 1, 0], dtype=np.int64)
    n, margin = whole_number("n", n, least=1), number("margin", margin, least=0, below=1)
    rng = generator("rng", rng)
    X = rng.uniform(margin, 1, (n, 2)) * rng.choice([-1, 1], (n, 2))
    return X.astype(np.float32), ((X[:, 0] > 0) != (X[:, 1] > 0)).astype(np.int64)


def make_moons(
    n: int = 200, *, noise: float = 0.1, rng: np.random.Generator | int | None = None
) -> tuple[Array, Array]:
    """Draw two interleaved half circles, one a class.

    Parameters
    ----------
    n : int, default 200
        How many points; the classes get equal shares, up to one point.
    noise : float, default 0.1
        The standard deviation of the noise in each direction.
    rng : numpy.random.Generator or int, optional
        Where the points are drawn from.

    Returns
    -------
    X : ndarray of float32, shape (n, 2)
    y : ndarray of int64, shape (n,)
    """
    n, noise = whole_number("n", n, least=1), number("noise", noise, least=0)
    rng = generator("rng", rng)
    y = rng.permutation(np.arange(n) % 2)
    angle = rng.uniform(0, np.pi, n)
    upper = np.column_stack([np.cos(angle), np.sin(angle)])
    X = np.where(y[:, None] == 0, upper, [1.0, 0.5] - upper) + rng.normal(0, noise, (n, 2))
    return X.astype(np.float32), y.astype(np.int64)
