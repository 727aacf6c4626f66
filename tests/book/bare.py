"""Run the code of a chapter without a kernel: `python -m tests.book.bare CHAPTER`.

Every cell runs, with its claims and asserts. Of what it shows, only printed text is looked at: a figure is laid out and
not drawn, and of a lab the first and the last frame are made.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import warnings
from pathlib import Path

os.environ["MPLBACKEND"] = "agg"

import matplotlib.pyplot as plt
import nbformat

from lab.sliders import Lab


def run(path: Path) -> None:
    """Run a chapter in its folder; fail where a cell fails, or prints another text than the same one in the file."""
    notebook = nbformat.read(path, as_version=4)
    os.chdir(path.parent)
    names: dict[str, object] = {"__name__": "__main__", "display": lambda *shown: None}
    for number, cell in enumerate((cell for cell in notebook.cells if cell.cell_type == "code"), 1):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(cell.source, f"cell {number}", "exec"), names)
        stored = "".join(output.text for output in cell.outputs if output.get("name") == "stdout")
        if "nbval-ignore-output" not in cell.metadata.get("tags", []) and printed.getvalue() != stored:
            raise AssertionError(f"cell {number} prints {printed.getvalue()!r}, not {stored!r}")
        if "lab" in cell.metadata.get("tags", []):
            show_lab(cell.source, names)
        for figure in map(plt.figure, plt.get_fignums()):
            figure.draw_without_rendering()
        plt.close("all")


def show_lab(source: str, names: dict[str, object]) -> None:
    """Draw the first and the last frame of the lab that the last lines of a cell make."""
    lab = eval(source[source.rindex("sliders.lab(") :], names)
    assert isinstance(lab, Lab)
    for end in (0, -1):
        lab.frame(**{name: values[end] for name, values in lab.grids.items()})


if __name__ == "__main__":
    warnings.filterwarnings("ignore", message="FigureCanvasAgg is non-interactive")
    run(Path(sys.argv[1]).resolve())
