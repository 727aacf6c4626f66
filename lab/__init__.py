"""lab: how *Neural Networks from Scratch, Measured* measures and shows; installed with `nnkit`.

A chapter says ``from lab import claim, plots, sliders``. Each module is loaded when it is first used, so that a worker
that only trains does not load them all.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.claims import ClaimError as ClaimError
    from lab.claims import claim as claim
    from lab.claims import interval as interval
    from lab.claims import reported_and_measured as reported_and_measured
    from lab.claims import source_line as source_line
    from lab.claims import spaced as spaced
    from lab.results import benchmark_origin as benchmark_origin
    from lab.results import load_benchmark as load_benchmark
    from lab.results import load_result as load_result
    from lab.results import load_store as load_store

_HOMES = {
    "ClaimError": "claims",
    "benchmark_origin": "results",
    "claim": "claims",
    "interval": "claims",
    "load_benchmark": "results",
    "load_result": "results",
    "load_store": "results",
    "reported_and_measured": "claims",
    "source_line": "claims",
    "spaced": "claims",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"lab.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'lab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
