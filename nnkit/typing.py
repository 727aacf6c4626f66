"""The types that the package's signatures share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
"""An array of any dtype and shape; what a function asks of both stands in its docstring."""

Seed = np.random.Generator | int | None
"""Where random numbers are drawn from: a generator, a seed for one, or None for other numbers in every run."""
