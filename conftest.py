"""What pytest and its kernels need before NumPy is loaded, with and without make; and which test runs first."""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path
from typing import Any

import pytest

# As in the Makefile, which says why.
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")


def pytest_configure(config: Any) -> None:
    """Let pytest-xdist keep the order of the tests, where it is there."""
    config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Begin with what takes longest, so that no worker is left alone with it at the end.

    The cells of a notebook stay on one worker, beside tests too, whose rules on warnings are not those of a kernel.
    """
    for item in items:
        if item.path.suffix == ".ipynb":
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
            item.add_marker(pytest.mark.filterwarnings("default"))
    items.sort(key=_seconds, reverse=True)


def _seconds(item: Any) -> float:
    """Return about how long a test, or the group that stays on one worker with it, takes."""
    if item.path.suffix == ".ipynb":
        return _seconds_of_chapter(item.path)
    group = item.get_closest_marker("xdist_group")
    return 300 if group else 5 if item.get_closest_marker("slow") else 0


@functools.cache
def _seconds_of_chapter(path: Path) -> float:
    """Return how long a chapter took when it was run last; one that nobody stamped begins."""
    return json.loads(path.read_text(encoding="utf-8"))["metadata"].get("nnkit", {}).get("seconds", 1_000)
