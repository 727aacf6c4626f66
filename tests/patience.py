"""Waiting for as long as there is progress, so that tests pass on slow or busy machines."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 300
"""Seconds without progress before a test gives up: many times the slowest step on a busy machine."""


def wait_until(condition: Callable[[], object], folder: Path) -> None:
    """Wait until the condition holds; the timeout restarts whenever a file in that folder appears or grows.

    Whatever a test waits for writes its files there: stores, marks and logs.

    Raises
    ------
    AssertionError
        If nothing there has changed for `PATIENCE` seconds.
    """
    seen, since = _sizes(folder), time.monotonic()
    while not condition():
        now = _sizes(folder)
        if now != seen:
            seen, since = now, time.monotonic()
        assert time.monotonic() - since < PATIENCE, f"nothing has changed for {PATIENCE} seconds in {folder}: {seen}"
        time.sleep(0.05)


def _sizes(folder: Path) -> dict[str, int]:
    sizes = {}
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # It was removed after it was listed.
            sizes[str(path.relative_to(folder))] = path.stat().st_size
    return sizes
