"""Run chapters in place and stamp them: ``python -m tools.execute [part of a name ...]``.

A chapter is written back only if all of it ran. Its metadata then records the provenance of its outputs and a hash of
the sources that produced them, which a test compares.
"""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import os
import platform
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

import nnkit
from lab.provenance import commit, data_hash, processor, warn_unless_committed
from lab.results import refuse_unwritable, write_whole
from tools.launch import is_launch, with_launch
from website.chapters import BOOK, notebooks, read_notebook

CELL_TIMEOUT = 120
"""Seconds per cell; a whole chapter should stay under 60."""


def chapters(parts_of_names: list[str]) -> list[Path]:
    """Return the chapters whose path contains one of the words, or all chapters, in reading order."""
    found = notebooks()
    names = {path: str(path.relative_to(BOOK)) for path in found}  # Not the parent folders: their names may match too.
    chosen = [path for path in found if not parts_of_names or any(word in names[path] for word in parts_of_names)]
    if not chosen:
        raise SystemExit(f"no chapter matches {parts_of_names}; choose from {[path.stem for path in found]}")
    return chosen


def source_hash(notebook: nbformat.NotebookNode) -> str:
    """Return a hash of the sources of the code cells, in order, except the launch cell."""
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code" and not is_launch(cell)]
    return hashlib.sha256("\0".join(sources).encode()).hexdigest()[:16]


def loads_mnist(notebook: nbformat.NotebookNode) -> bool:
    """Return whether a chapter loads MNIST; otherwise it generates its own data."""
    return any("load_mnist(" in cell.source for cell in notebook.cells if cell.cell_type == "code")


def data_of(notebook: nbformat.NotebookNode) -> dict[str, str] | None:
    """Return the name and hash of the data set that a chapter loads, or None if it generates its own data."""
    if not loads_mnist(notebook):
        return None
    data = nnkit.load_mnist(fallback=True)
    return {"name": data.name, "sha256": data_hash(data)}


def commit_of_what_cells_call() -> str:
    """Return the commit of nnkit, lab and the results; the cells' hash is stored separately."""
    read = ("book/frameworks", "book/replication", "book/reported.toml", "book/questions.toml", "book/results")
    return commit(*read, "benchmarks")


def execute(path: Path) -> float:
    """Run one chapter and write it back; return the seconds it took."""
    notebook = with_launch(read_notebook(path), path.parent.name)
    ran = commit_of_what_cells_call()
    started = time.perf_counter()
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        store_widget_state=False,
        extra_arguments=["--log-level=ERROR"],  # A kernel warns at every start that it communicates over TCP.
    )
    client.execute()
    seconds = time.perf_counter() - started
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # Per-cell timings would change on every run.
        for output in cell.get("outputs", []):
            # A live widget does not work in a file, and it would hide the HTML stored with it.
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    notebook.metadata = nbformat.NotebookNode(
        kernelspec={"display_name": "Python 3", "language": "python", "name": "python3"},
        language_info={"name": "python"},
        nnkit={
            "source_hash": source_hash(notebook),
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "nnkit": nnkit.__version__,
            "commit": ran,
            "data": data_of(notebook),
            "python": platform.python_version(),
            "numpy": importlib.metadata.version("numpy"),
            "processor": processor(),
            "seconds": round(seconds, 1),
        },
    )
    write_whole(path, nbformat.writes(notebook) + "\n")
    return seconds


def main() -> None:
    """Run the chapters named on the command line."""
    os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")
    wanted = os.environ.get("NNKIT_DATA")
    if wanted and wanted != "none":  # Each chapter runs in its own folder.
        os.environ["NNKIT_DATA"] = str(Path(wanted).expanduser().absolute())
    chosen = chapters(sys.argv[1:])
    for folder in sorted({path.parent for path in chosen}):
        refuse_unwritable(folder)
    warn_unless_committed(commit_of_what_cells_call())
    for path in chosen:
        print(f"{path.relative_to(BOOK)} ... ", end="", flush=True)
        print(f"{execute(path):.1f} s")


if __name__ == "__main__":
    main()
