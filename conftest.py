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


# The site in one browser, whose windows stay open from test to test, and what else needs a browser in another, so that
# two workers end at about the same time; and the labs, each of which is loaded once.
TOGETHER = {
    "tests/website/test_site.py": "site",
    "tests/website/test_pdf.py": "print and JupyterLab",
    "tests/website/test_jupyterlab.py": "print and JupyterLab",
    "tests/book/test_labs.py": "labs",
}


DRAWINGS = "application/vnd.nnkit.figure+json"  # As lab.drawings.MIME, which would load NumPy.


def group(nodeid: str) -> str:
    """Return what stays on one worker with a test: its notebook, whose cells depend on each other, or its group."""
    file = nodeid.partition("::")[0]
    return file if file.endswith(".ipynb") else TOGETHER.get(file, nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: Any, log: Any) -> Any:
    """Give each worker the next test or group, in the order below, as soon as it has nearly done its last."""
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group(nodeid)

    config.option.loadscopereorder = False
    return ByGroup(config, log)


def pytest_collectstart(collector: Any) -> None:
    """Compare what cells print, not their figures: nbval leaves out rasters, and so the drawings beside them."""
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += (DRAWINGS,)


def pytest_itemcollected(item: Any) -> None:
    """Let a kernel warn as it likes, beside tests too."""
    if item.path.suffix == ".ipynb":
        item.add_marker(pytest.mark.filterwarnings("default"))


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Begin with what takes longest, so that no worker is left alone with it at the end."""
    items.sort(key=_seconds, reverse=True)


def _seconds(item: Any) -> float:
    """Return about how long a test, or the group that stays on one worker with it, takes."""
    if item.path.suffix == ".ipynb":
        return _seconds_of_chapter(item.path)
    together = {"site": 400, "print and JupyterLab": 70, "labs": 60}.get(group(item.nodeid))
    return together or (5 if item.get_closest_marker("slow") else 0)


@functools.cache
def _seconds_of_chapter(path: Path) -> float:
    """Return how long a chapter took when it was run last; one that nobody stamped begins."""
    return json.loads(path.read_text(encoding="utf-8"))["metadata"].get("nnkit", {}).get("seconds", 1_000)
