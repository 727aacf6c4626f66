"""Widgets that answer the hand: in JupyterLab with a kernel, and on the published page without one."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.touch import ask
    from lab.touch.border import Border
    from lab.touch.graph import Graph
    from lab.touch.line import Line
    from lab.touch.pad import Pad
    from lab.touch.playground import Playground
    from lab.touch.street import Street
    from lab.touch.walk import Walk

__all__ = ["Border", "Graph", "Line", "Pad", "Playground", "Street", "Walk", "ask"]


def __getattr__(name: str) -> Any:
    if name == "ask":
        return importlib.import_module("lab.touch.ask")
    if name in __all__:
        return getattr(importlib.import_module(f"lab.touch.{name.lower()}"), name)
    raise AttributeError(f"module 'lab.touch' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
