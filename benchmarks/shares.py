"""Where nnkit's time goes: timers around each part of a training step, inside the usual `fit`."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import nnkit as nn
from benchmarks.cases import Cell
from benchmarks.contestants import network
from nnkit.typing import Array

PARTS = (
    "first layer, forward",
    "first layer, backward",
    "other layers",
    "activations",
    "loss",
    "optimizer",
    "gathering the batch, and the loop",
)


def profile(cell: Cell, X: Array, y: Array, epochs: int) -> dict[str, float]:
    """Train one network and return the seconds that each part took; the last part is the remainder.

    Each part is timed from outside, by wrapping its method on these objects only.
    """
    rng = np.random.default_rng(0)
    model, optimizer = network(cell, rng)
    loss = nn.CrossEntropyLoss()
    spent = dict.fromkeys(PARTS, 0.0)

    def timed(owner: Any, name: str, part: str) -> None:
        function: Callable[..., Any] = getattr(owner, name)

        def call(*args: Any) -> Any:
            started = time.perf_counter()
            result = function(*args)
            spent[part] += time.perf_counter() - started
            return result

        setattr(owner, name, call)

    first, *others = model
    timed(first, "forward", "first layer, forward")
    timed(first, "accumulate", "first layer, backward")
    for module in others:
        for name in ("forward", "backward"):
            timed(module, name, "other layers" if isinstance(module, nn.Linear) else "activations")
    for name in ("checked_target", "forward", "backward"):
        timed(loss, name, "loss")
    for name in ("zero_grad", "step"):
        timed(optimizer, name, "optimizer")
    history = nn.fit(model, loss, optimizer, X, y, epochs=epochs, batch_size=cell["batch_size"], rng=rng)
    spent[PARTS[-1]] = float(history["seconds"].sum()) - sum(spent.values())
    return spent


def shares(cell: Cell, X: Array, y: Array, epochs: int, repeats: int) -> dict[str, float]:
    """Return the median share of each part over some repetitions."""
    runs = [profile(cell, X, y, epochs) for _ in range(repeats)]
    return {part: statistics.median(run[part] / sum(run.values()) for run in runs) for part in PARTS}
