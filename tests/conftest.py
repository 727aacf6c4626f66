"""What the tests share."""

from collections.abc import Iterator

import matplotlib
import numpy as np
import pytest

import nnkit


@pytest.fixture(autouse=True, scope="module")
def style_of_its_own() -> Iterator[None]:
    """Keep what a file of tests sets of Matplotlib, such as the book's style, from the next file in its process."""
    with matplotlib.rc_context():
        yield


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def mnist() -> nnkit.Dataset:
    """Return the real digits, from wherever `load_mnist` finds them; where it does not, the test is skipped."""
    try:
        return nnkit.load_mnist()
    except OSError as error:
        pytest.skip(f"needs MNIST: {str(error)[:120]} ...")
