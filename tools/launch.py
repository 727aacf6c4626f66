"""The cell that fetches what a chapter needs; ``python -m tools.launch`` writes it into every chapter.

It is the first code cell of each chapter. On Colab, which opens a notebook in an empty folder, it fetches the rest of
the book. If a chapter was downloaded alone, or opened with another Python, it prints the commands to run. Otherwise it
does nothing.
"""

from __future__ import annotations

import hashlib
from typing import Any

import nbformat
import yaml

from lab.provenance import ROOT
from lab.results import write_whole
from website.chapters import notebooks, read_notebook

TAG = "launch"
_SOURCE = """\
# Finds the rest of the book, which Colab does not have, or says what is missing.
import importlib.util
import os
import site
import subprocess
import sys
from pathlib import Path


class BookNeeded(ImportError):
    def _render_traceback_(self):  # Jupyter then shows the sentence alone.
        return [str(self)]


address = "{url}"
needed = ["nnkit", "lab", "matplotlib", "sklearn", "joblib", "anywidget"]
missing = [name for name in needed if importlib.util.find_spec(name) is None]
if "google.colab" in sys.modules:
    home = Path.home() / "nnkit-book"
    if not home.is_dir():
        clone = ["git", "clone", "-q", "--depth=1", "--branch={branch}", address]
        subprocess.run([*clone, str(home)], check=True)
    if importlib.util.find_spec("nnkit") is None:
        install = [sys.executable, "-m", "pip", "install", "-q", "-e"]
        extras = "[data,estimators,sweep,touch]"
        subprocess.run([*install, f"{{home}}{{extras}}"], check=True)
        site.main()  # what pip installs as editable counts from the next start on, or now
    os.chdir(home / "book" / "{folder}")
elif not Path("../chapters.toml").is_file():
    raise BookNeeded(
        "This chapter needs the rest of the book around it, which these commands fetch "
        f"and open:\\n\\n    git clone {{address}}\\n    cd {{Path(address).name}}\\n"
        "    make lab\\n\\nWithout make, the README.md there has the plain commands."
    )
elif missing:
    root = Path("../..").resolve()
    raise BookNeeded(
        f"This chapter needs {{' and '.join(missing)}}, which {{sys.executable}} lacks. "
        f"Choose the Python in {{root / '.venv'}} as the kernel, or let it open the "
        f'chapters:\\n\\n    cd "{{root}}"\\n    make lab\\n\\n'
        "Without make, the README.md there has the plain commands."
    )"""


def repository() -> dict[str, Any]:
    """Return the project's ``url`` and ``branch`` from ``_config.yml``."""
    return yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]


def launch_source(folder: str) -> str:
    """Return the cell's source for a chapter in that folder of the book."""
    return _SOURCE.format(**repository(), folder=folder)


def is_launch(cell: nbformat.NotebookNode) -> bool:
    """Return whether this is the launch cell, which the site omits."""
    return TAG in cell.metadata.get("tags", [])


def with_launch(notebook: nbformat.NotebookNode, folder: str) -> nbformat.NotebookNode:
    """Insert the launch cell before the first code cell of a notebook, or update the existing one."""
    cells = [cell for cell in notebook.cells if not is_launch(cell)]
    place = next(i for i, cell in enumerate(cells) if cell.cell_type == "code")
    source = launch_source(folder)
    launch = nbformat.v4.new_code_cell(
        source,
        id=f"launch-{hashlib.sha256(source.encode()).hexdigest()[:8]}",
        metadata={"tags": [TAG, "remove-cell"], "jupyter": {"source_hidden": True}},
    )
    notebook.cells = [*cells[:place], launch, *cells[place:]]
    # It prints nothing, so it counts as run: everything that ran came after it.
    for count, cell in enumerate((cell for cell in notebook.cells if cell.cell_type == "code"), 1):
        cell.execution_count = count
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
    return notebook


def main() -> None:
    """Write the launch cell into every chapter."""
    for path in notebooks():
        notebook = with_launch(read_notebook(path), path.parent.name)
        write_whole(path, nbformat.writes(notebook) + "\n")


if __name__ == "__main__":
    main()
