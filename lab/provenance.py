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


def git(*words: str) -> str:
    """Return what git prints in the checkout; nothing where there is no history."""
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True).stdout.strip()


def commit(*also: str) -> str:
    """Return the commit of the running code, or ``NNKIT_COMMIT``, marked if what counts, or `also`, has changed."""
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


def ran(module: str | None = None) -> dict[str, str]:
    """Return what a row says of its run: date, commit, NumPy, processor, and the rules beside the file `module`."""
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    run = {"date": date, "commit": commit(), "numpy": importlib.metadata.version("numpy"), "processor": processor()}
    return run if module is None else run | stamp(module)


def rules_beside(module: str | os.PathLike[str]) -> Path:
    """Return the file with the rules of the experiment in the file `module`: what it asks, and what would answer it.

    It has a table for each question, with its bounds and the rule that makes a verdict of the runs, and is committed
    before they start.
    """
    return Path(module).with_suffix(".toml")


def rules_hash(text: bytes) -> str:
    """Return the hash of a file of rules, whatever its line ends."""
    return hashlib.sha256(text.replace(b"\r\n", b"\n")).hexdigest()[:16]


def stamp(module: str | os.PathLike[str]) -> dict[str, str]:
    """Return what a row says of its rules, to show that they came first: their hash and their commit."""
    path = rules_beside(module)
    changed = git("log", "-1", "--format=%h", "--abbrev=12", "--", str(path))
    return {"rules": rules_hash(path.read_bytes()), "rules_commit": changed or "unknown"}


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
