"""What goes wrong in a training without showing in its loss: weights that overflowed, froze, or get no gradient."""

from __future__ import annotations

import math
import warnings

import numpy as np

from nnkit.module import Module
from nnkit.optimizers import NEVER_MOVES, DivergenceWarning, Optimizer
from nnkit.typing import Array

ENOUGH_STEPS = 10
"""After how many steps without a gradient, or without a change, a weight is reported."""


class DivergenceGuard:
    """Watches one call of `fit`, and says in words what has gone wrong.

    A weight without a gradient for a step or two is nothing unusual: a small batch may leave all ReLUs before it at
    zero, and a last layer that starts at zero hides those before it from the first step. So it must be without one for
    `ENOUGH_STEPS` in a row, whole epochs or the last quarter of a long one; in a shorter training, in all of its steps.
    To look costs nothing once each weight has been seen with a gradient, which is usually in the first of these steps.
    Only matrices with another one behind them count: a linear model has no gradient where it is done.

    Parameters
    ----------
    model, optimizer, X
        As `fit` was given them.
    """

    def __init__(self, model: Module, optimizer: Optimizer, X: Array) -> None:
        names = {id(parameter): name for name, parameter in model.named_parameters()}
        self.model, self.optimizer, self.X = model, optimizer, X
        self.names = [names.get(id(p), f"params[{i}]") for i, p in enumerate(optimizer.params)]
        matrices = {name: p for name, p in zip(self.names, optimizer.params, strict=True) if p.data.ndim > 1}
        self.hidden = dict(list(matrices.items())[:-1])
        self.start: dict[str, Array] = {name: p.data.copy() for name, p in matrices.items()}
        self.matrices = matrices
        self.n_steps = 0
        self.idle = dict.fromkeys(self.hidden, 0)
        self.fault = ""
        self._epoch, self._loss = 0, 0.0

    def begin_epoch(self, n_steps: int) -> None:
        """Look at the gradients of the next steps, of which there are so many: of all, or of the last quarter."""
        self._skip = n_steps * 3 // 4 if n_steps >= 4 * ENOUGH_STEPS else 0
        self._looked = n_steps - self._skip
        self._waiting = dict(self.hidden)
        self.n_steps += n_steps

    def step_done(self) -> None:
        """Cross off the weights that had a gradient in this step."""
        if self._skip:
            self._skip -= 1
        elif self._waiting:
            self._waiting = {name: p for name, p in self._waiting.items() if not p.grad.any()}

    def divergence(self, loss: float) -> str:
        """Return what is no longer finite after an epoch with this mean loss, or nothing; `remedy` goes with it."""
        arrays = [p.data for p in self.model.parameters()] + [array for _, array in self.model.named_buffers()]
        if not (math.isfinite(loss) and all(np.isfinite(array).all() for array in arrays)):
            self.remedy = f"a smaller learning rate than {self.optimizer.lr:g} may help"
            return "its loss or its weights are no longer finite"
        self.remedy = NEVER_MOVES
        frozen = [f"the {what} of {self.names[i]}" for i, what in self.optimizer.not_finite()]
        return f"no longer finite: {', '.join(frozen)}" if frozen else ""

    def end_epoch(self, epoch: int, loss: float) -> None:
        """Warn, once, of weights that cannot be trained although the loss is not zero."""
        self._epoch, self._loss = epoch, loss
        for name in self.idle:
            self.idle[name] = self.idle[name] + self._looked if name in self._waiting else 0
        if self.n_steps >= ENOUGH_STEPS:
            self._report()

    def end(self) -> str:
        """Return the fault, for the reason why training ended, or nothing."""
        if 1 < self.n_steps < ENOUGH_STEPS:
            self._report()
        return self.fault

    def _report(self) -> None:
        lr = self.optimizer.lr
        if self.fault or self._loss == 0 or lr == 0:
            return
        dead = [name for name, steps in self.idle.items() if steps >= min(ENOUGH_STEPS, self.n_steps)]
        lost = self._unmoved()
        self.start = {}  # A training that has moved may well come to rest.
        if not (dead or lost):
            return
        largest = float(np.abs(self.X).max())
        scale = "" if 0.1 <= largest <= 10 else f"scale the inputs to about 0 to 1 (they reach {largest:g}), or "
        if dead:
            self.fault = f"no gradient reached {', '.join(dead)} at the end of epoch {self._epoch}"
            why = "the units behind are dead, as ReLUs that are zero for all samples, or saturated, or began at zero"
            remedy = f"To mend it, {scale}take a smaller learning rate than {lr:g}, or other starting weights"
        else:
            self.fault = f"{', '.join(lost)} had not moved by the end of epoch {self._epoch}"
            why = "every step is so small that it is lost in rounding"
            remedy = f"Unless training was done already, {scale}take a larger learning rate than {lr:g}"
        warnings.warn(f"{self.fault}: {why}. {remedy}", DivergenceWarning, stacklevel=4)

    def _unmoved(self) -> list[str]:
        """Return the matrices that are where they started, although they have a gradient."""
        return [
            name
            for name, data in self.start.items()
            if self.matrices[name].grad.any() and np.array_equal(data, self.matrices[name].data)
        ]
