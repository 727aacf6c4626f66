"""A Sphinx extension for numbers in prose: ``{measured}`NAME``` writes one that results or chapters hold.

So the first page can tell what was measured, and nobody types it.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxRole

from lab.provenance import ROOT
from lab.results import load_store
from website.chapters import chapters, read_notebook

BENCHMARK = ROOT / "benchmarks" / "results.json"


@functools.cache
def _untrained() -> np.ndarray:
    """Return the share of right answers by the script of chapter 16, from each encoder that was never trained."""
    with contextlib.redirect_stdout(io.StringIO()):  # It tells a chapter where its rows come from.
        rows = load_store("svm_script")
    return np.array([r["result"]["accuracy"] for r in rows if r["config"]["features"] == "never trained"])


@functools.cache
def printed(number: int) -> str:
    """Return all that the code of a chapter printed when it last ran, tables too."""
    cells = read_notebook(chapters()[number - 1].path).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return "\n".join(output.get("text", output.get("data", {}).get("text/plain", "")) for output in outputs)


def _verdicts(verdict: str) -> str:
    """Return how many claims have this verdict, as chapter 18 counts them in its last column."""
    found = re.search(rf"^{verdict} +(?:\d+ +)+(\d+)$", printed(18), re.MULTILINE)
    if found is None:
        raise ValueError(f"chapter 18 prints no count of what is {verdict!r}")
    return found[1]


def _claims() -> str:
    """Return how many claims chapter 18 counts."""
    found = re.search(r"^all claims +\d+ of (\d+) replicate ", printed(18), re.MULTILINE)
    if found is None:
        raise ValueError("chapter 18 does not print how many claims it counts")
    return found[1]


def _times_as_long(case: str, strategy: str) -> float:
    """Return how many times as long LIBSVM trains as `nnkit`, the median of the runs."""
    rows: list[dict[str, Any]] = json.loads(BENCHMARK.read_text(encoding="utf-8"))["svm"]["rows"]
    (row,) = [r for r in rows if (r["case"], r["strategy"], r["phase"]) == (case, strategy, "fit")]
    return float(np.median(np.array(row["seconds"]["scikit-learn"]) / np.array(row["seconds"]["nnkit"])))


MEASURED: dict[str, Callable[[], str]] = {
    "encoders never trained": lambda: str(len(_untrained())),
    "right answers without training": lambda: f"{100 * np.median(_untrained()):.1f} %",
    "claims": _claims,
    "claims that hold": lambda: _verdicts("replicated"),
    "claims not shown": lambda: _verdicts("not shown"),
    "claims that are opposite": lambda: _verdicts("opposite"),
    "LIBSVM slower on pixels": lambda: f"{_times_as_long('784 pixels', 'ovr'):.1f}",
    "LIBSVM faster on codes": lambda: f"{1 / _times_as_long('32-D code', 'ovo'):.1f}",
}


class Measured(SphinxRole):
    """``{measured}`NAME```: the number of that name."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return the number, or say which there are."""
        if self.text not in MEASURED:
            wrong = self.inliner.reporter.error(
                f"measured must be one of {', '.join(MEASURED)}; got {self.text!r}", line=self.lineno
            )
            return [], [wrong]
        number = MEASURED[self.text]().replace(" ", "\u202f")
        return [nodes.inline("", number, classes=["measured"])], []


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the role."""
    app.add_role("measured", Measured())
    return {"parallel_read_safe": True, "parallel_write_safe": True}
