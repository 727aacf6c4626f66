"""Where a number comes from: the commit, data, versions and processor of its run."""

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
"""The checkout that the book runs from."""


def commit(*also: str) -> str:
    """Return the commit of the running code, or ``NNKIT_COMMIT``, marked if what counts, or `also`, has changed."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True).stdout.strip()

    head = git("rev-parse", "--short=12", "HEAD") or os.environ.get("NNKIT_COMMIT")
    changed = git("status", "--porcelain", "--", "nnkit", "lab", "book/experiments", *also)
    return (head or "unknown") + (" with changes" if head and changed else "")


def warn_unless_committed(ran: str) -> None:
    """Warn before a run that the tests refuse results of uncommitted code."""
    if ran == "unknown" or ran.endswith("with changes"):
        print(
            f"This runs on the commit {ran!r}, which the tests will refuse. To keep the results, first commit nnkit, "
            "lab, the experiments and, for a chapter, book/replication, book/results and the benchmarks.",
            file=sys.stderr,
        )


def ran() -> dict[str, str]:
    """Return what a row of a store says of its run: date, commit, NumPy and processor."""
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    return {"date": date, "commit": commit(), "numpy": importlib.metadata.version("numpy"), "processor": processor()}


def data_hash(data: nnkit.Dataset) -> str:
    """Return a hash of the training and test arrays."""
    digest = hashlib.sha256()
    for array in (data.X_train, data.y_train, data.X_test, data.y_test):
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]


def processor() -> str:
    """Return the name of the processor, if the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
