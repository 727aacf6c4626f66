"""Fixtures shared by all tests."""

from collections.abc import Iterator

import matplotlib
import numpy as np
import pytest

import nnkit


@pytest.fixture(autouse=True, scope="module")
def isolated_style() -> Iterator[None]:
    """Keep Matplotlib settings such as the book's style from leaking into the next test file."""
    with matplotlib.rc_context():
        yield


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def mnist() -> nnkit.Dataset:
    """Return the real digits, or skip the test if `load_mnist` does not find them."""
    try:
        return nnkit.load_mnist()
    except OSError as error:
        pytest.skip(f"needs MNIST: {str(error)[:120]} ...")
