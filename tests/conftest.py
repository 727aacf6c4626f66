"""Fixtures shared by all tests."""

import os
from collections.abc import Iterator

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest

import nnkit


@pytest.fixture(autouse=True, scope="module")
def isolated_style() -> Iterator[None]:
    """Keep Matplotlib settings, such as the book's style, and open figures from leaking into the next test file."""
    with matplotlib.rc_context():
        yield
    plt.close("all")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Take a test that reads MNIST for a slow one."""
    if "mnist" in getattr(item, "fixturenames", ()):
        item.add_marker("slow")


WHERE_MNIST_IS = os.environ.get("NNKIT_DATA")


@pytest.fixture(autouse=True, scope="session")
def nowhere_by_default() -> Iterator[None]:
    """Hide MNIST, so that no test needs it by mistake."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NNKIT_DATA", "none")
        yield


@pytest.fixture(autouse=True)
def no_mnist(request: pytest.FixtureRequest) -> Iterator[None]:
    """Hide it as well from a test beside others, in one file, that ask for it."""
    with pytest.MonkeyPatch.context() as patch:
        if "mnist" not in request.fixturenames:
            patch.setenv("NNKIT_DATA", "none")
        yield


@pytest.fixture(scope="module")
def mnist() -> Iterator[nnkit.Dataset]:
    """Return the real digits, from wherever `load_mnist` finds them; where it does not, the test is skipped."""
    with pytest.MonkeyPatch.context() as patch:
        if WHERE_MNIST_IS is None:
            patch.delenv("NNKIT_DATA")
        else:
            patch.setenv("NNKIT_DATA", WHERE_MNIST_IS)
        try:
            data = nnkit.load_mnist()
        except OSError as error:
            pytest.skip(f"needs MNIST: {str(error)[:120]} ...")
        yield data
