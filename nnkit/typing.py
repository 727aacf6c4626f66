"""The types that the package's signatures share."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
"""An array of any dtype and shape; what a function asks of both stands in its docstring."""
