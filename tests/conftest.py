"""What the tests share."""

import numpy as np
import pytest

import nnkit


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
