"""lab: how *Neural Networks from Scratch, Measured* measures and shows; installed with `nnkit`.

A chapter says ``from lab import claim, plots, sliders``. Modules are loaded when they are first used, so that a worker
that only trains does not load SciPy and Matplotlib.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.claims import (
        ClaimError,
        claim,
        detectable,
        holm,
        interquartile_mean,
        interval,
        permutation_p,
        reported_and_measured,
        shown_from,
        source_line,
        spaced,
    )
    from lab.results import benchmark_origin, load_benchmark, load_result, load_rules, load_store
    from lab.tables import as_table, check_table

_MODULES = ("answers", "claims", "plots", "provenance", "results", "sliders", "sweep", "tables", "touch", "verdicts")
__all__ = ["ClaimError", "claim", "detectable", "holm", "interquartile_mean", "interval", "permutation_p"]
__all__ += ["reported_and_measured", "shown_from", "source_line", "spaced"]
__all__ += ["as_table", "benchmark_origin", "check_table", "load_benchmark", "load_result", "load_rules", "load_store"]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"lab.{name}")
    if name in __all__:
        of_results = name.startswith(("load_", "benchmark_"))
        module = "tables" if name.endswith("_table") else "results" if of_results else "claims"
        return getattr(importlib.import_module(f"lab.{module}"), name)
    raise AttributeError(f"module 'lab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES])


@contextmanager
def needed_by(user: str) -> Iterator[None]:
    """Say how to install an optional package whose import in this block fails."""
    try:
        yield
    except ModuleNotFoundError as error:
        module = str(error.name).partition(".")[0]
        package = {"IPython": "ipython", "PIL": "pillow"}.get(module, module)
        raise ImportError(f"{user} needs {package}: pip install {package}") from error
