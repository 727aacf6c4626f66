"""How tests wait: as long as something moves, so that a slow machine or a busy one changes nothing."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 300
"""Seconds without progress after which a test gives up: many times what the slowest step takes on a busy machine."""


def wait_until(condition: Callable[[], object], folder: Path) -> None:
    """Wait until the condition holds; the clock starts anew whenever a file in that folder appears or grows.

    What a test waits for writes there: stores, marks and logs.

    Raises
    ------
    AssertionError
        If nothing there has moved for `PATIENCE` seconds.
    """
    seen, since = _sizes(folder), time.monotonic()
    while not condition():
        now = _sizes(folder)
        if now != seen:
            seen, since = now, time.monotonic()
        assert time.monotonic() - since < PATIENCE, f"nothing has moved for {PATIENCE} seconds in {folder}: {seen}"
        time.sleep(0.05)


def _sizes(folder: Path) -> dict[str, int]:
    sizes = {}
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # It has gone since it was listed.
            sizes[str(path.relative_to(folder))] = path.stat().st_size
    return sizes
