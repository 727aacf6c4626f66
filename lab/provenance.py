"""Where a number comes from: the commit, the data, the versions and the processor of its run."""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path

import nnkit

ROOT = Path(__file__).resolve().parent.parent
"""The checkout, which the book is run from."""


def commit(*also: str) -> str:
    """Return the commit that ran, marked where files that count, and those in `also`, had been changed since.

    A copy without its history, as in a container, is told its commit in ``NNKIT_COMMIT``.
    """

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True).stdout.strip()

    head = git("rev-parse", "--short=12", "HEAD") or os.environ.get("NNKIT_COMMIT")
    changed = git("status", "--porcelain", "--", "nnkit", "lab", "book/experiments", *also)
    return (head or "unknown") + (" with changes" if head and changed else "")


def warn_unless_committed(ran: str) -> None:
    """Say before a run, not after it, that the tests refuse what comes from code that is not committed."""
    if ran == "unknown" or ran.endswith("with changes"):
        print(
            f"This runs on the commit {ran!r}, which the tests will refuse. To keep what comes of it, commit nnkit, "
            "lab, the experiments and, for a chapter, book/replication, book/results and the benchmarks first.",
            file=sys.stderr,
        )


def ran() -> dict[str, str]:
    """Return what a row of a store says of its run: when, on which commit, NumPy and processor."""
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit(),
        "numpy": importlib.metadata.version("numpy"),
        "processor": processor(),
    }


def data_hash(data: nnkit.Dataset) -> str:
    """Return a hash of the arrays that were trained and tested on."""
    digest = hashlib.sha256()
    for array in (data.X_train, data.y_train, data.X_test, data.y_test):
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]


def processor() -> str:
    """Return the processor's name, as well as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
