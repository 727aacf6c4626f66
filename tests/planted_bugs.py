"""Plant each bug from planted_bugs.toml in a copy of the repository, and check that the tests catch it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
NEEDED = ("nnkit", "lab", "tests", "benchmarks", "book", "website", "tools", "conftest.py", "pyproject.toml")


def bugs() -> list[dict[str, Any]]:
    """Return the list of planted bugs."""
    return tomllib.loads((ROOT / "tests" / "planted_bugs.toml").read_text(encoding="utf-8"))["bug"]


def caught(bug: dict[str, Any]) -> bool:
    """Return whether a test fails in a copy with this bug."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in NEEDED:
            if name in ("nnkit", "lab", "tests"):
                shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                (copy / name).symlink_to(ROOT / name)
        path = copy / bug["file"]
        path.write_text(path.read_text(encoding="utf-8").replace(bug["line"], bug["bug"]), encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *bug["caught_by"]]
        # Ahead of the checkout, which an editable install puts on the path.
        environment = os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
        run = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
    if run.returncode not in (0, 1):
        raise RuntimeError(f"the tests could not be run:\n{run.stdout[-2000:]}{run.stderr[-2000:]}")
    return run.returncode == 1


def main() -> int:
    """Plant every bug, two at a time; return 1 if one is missed."""
    planted = bugs()
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(caught, planted))
    for bug, found in zip(planted, results, strict=True):
        if not found:
            print(f"MISSED in {bug['file']}: {bug['line']!r} -> {bug['bug']!r}")
    print(f"{sum(results)} of {len(results)} planted bugs were caught.")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
