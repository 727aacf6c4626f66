"""Callbacks: what happens beside the loop of `fit`. Early stopping, checkpoints, a progress bar, a guard."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnkit.checkpoint import parts_to_save, resume_training, save_checkpoint
from nnkit.checks import instance, number, whole_number
from nnkit.history import History
from nnkit.module import Module
from nnkit.optimizers import NEVER_MOVES, DivergenceWarning, Optimizer
from nnkit.typing import Array

ENOUGH_STEPS = 10
"""After how many steps without a gradient, or without a change, `DivergenceGuard` reports a weight."""


@dataclass
class TrainingState:
    """What a callback is given: the parts of a training run, live, most of them as `fit` was given them.

    An epoch has `n_batches` steps and records `names` in the `history`; `epoch` counts from 1, and `loss` is the last
    batch's.
    """

    model: Module
    optimizer: Optimizer
    history: History
    X: Array
    epochs: int = 0
    n_batches: int = 0
    names: Sequence[str] = ()
    scheduler: Any = None
    rng: np.random.Generator | None = None
    epoch: int = 0
    loss: float = math.nan


class Callback:
    """Something that happens during `fit`; a subclass overrides what it needs of the six hooks.

    `on_epoch_end` runs after validation and the scheduler's step, and may return True to stop training. `on_train_end`
    also runs after an error or an interrupt.
    """

    def on_train_begin(self, state: TrainingState) -> None:
        """Run before the first epoch."""

    def on_train_end(self, state: TrainingState) -> None:
        """Run when training has ended, however it did."""

    def on_epoch_begin(self, state: TrainingState) -> None:
        """Run before each epoch."""

    def on_epoch_end(self, state: TrainingState) -> bool | None:
        """Run after each epoch; return True to stop training."""

    def on_batch_begin(self, state: TrainingState) -> None:
        """Run before each batch."""

    def on_batch_end(self, state: TrainingState) -> None:
        """Run after each batch and its step."""


class EarlyStopping(Callback):
    """Stop when a recorded number has not improved for some epochs.

    Its attributes `best_epoch`, counted from 1, and `best_value` are 0 and NaN before there is one.

    Parameters
    ----------
    monitor : str, default "val_loss"
        The name in the history.
    patience : int, default 5
        After how many epochs without a new best value to stop, at least 1.
    min_delta, mode : float, {"min", "max"}
        By how much a value must beat the best to count, and whether smaller or larger is better.
    restore_best : bool, default True
        Whether to give the model the weights and buffers of its best epoch when training ends, also if interrupted.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 5,
        min_delta: float = 0,
        mode: str = "min",
        restore_best: bool = True,
    ) -> None:
        if mode not in ("min", "max"):
            raise ValueError(f"mode must be 'min' or 'max'; got {mode!r}")
        instance("monitor", monitor, str, "a name in the history such as 'val_loss'")
        self.monitor, self.mode, self.restore_best = monitor, mode, restore_best
        self.patience = whole_number("patience", patience, least=1)
        self.min_delta = number("min_delta", min_delta, least=0)
        self.best_epoch, self.best_value = 0, math.nan

    def on_train_begin(self, state: TrainingState) -> None:
        self.best_epoch, self.best_value = 0, math.nan
        self._best_weights: dict[str, Array] | None = None

    def on_epoch_end(self, state: TrainingState) -> bool:
        if self.monitor not in state.history:
            hint = "; give fit validation_data" if self.monitor.startswith("val_") else ""
            raise ValueError(f"monitor must be one of {sorted(state.history)}; got {self.monitor!r}{hint}")
        value, sign = state.history.values_by_name[self.monitor][-1], -1 if self.mode == "min" else 1
        best = self.best_value if self.best_epoch else -sign * math.inf
        if sign * (value - best) > self.min_delta:
            self.best_value, self.best_epoch = value, state.epoch
            if self.restore_best:
                self._best_weights = state.model.state_dict()
        if state.epoch - self.best_epoch < self.patience:
            return False
        when = f"best in epoch {self.best_epoch}" if self.best_epoch else "never a finite number"
        state.history.stop_reason = f"stopped early after epoch {state.epoch}: {self.monitor} was {when}"
        return True

    def on_train_end(self, state: TrainingState) -> None:
        if self._best_weights is not None:
            state.model.load_state_dict(self._best_weights)
            self._best_weights = None


class Checkpoint(Callback):
    """Save a training every few epochs, so that it can go on after an interruption and end with the same bits.

    Parameters
    ----------
    path : path
        The file, which each save replaces; its folder must exist.
    every : int, default 1
        How many epochs to train between saves, at least 1.
    resume : bool, default False
        Whether to go on from the file if it exists. Call `fit` as before: its ``epochs`` include those already done.
    """

    def __init__(self, path: str | os.PathLike[str], every: int = 1, *, resume: bool = False) -> None:
        self.path = Path(path)
        self.every = whole_number("every", every, least=1)
        self.resume = resume

    def on_train_begin(self, state: TrainingState) -> None:
        parts = parts_to_save(state.model, state.optimizer, state.scheduler, state.rng)
        if self.resume and self.path.exists():
            for record in resume_training(self.path, parts, state.rng, state.names, state.epochs):
                state.history.append(record)
                state.epoch += 1

    def on_epoch_end(self, state: TrainingState) -> None:
        if state.epoch % self.every == 0:
            extra = {"history": {name: state.history[name] for name in state.names}}
            save_checkpoint(self.path, state.model, state.optimizer, state.scheduler, rng=state.rng, extra=extra)


class ProgressBar(Callback):
    """Show a tqdm bar with the numbers of the last epoch."""

    def on_train_begin(self, state: TrainingState) -> None:
        try:
            from tqdm.auto import tqdm
        except ImportError as error:
            raise ImportError("progress=True needs tqdm: pip install tqdm") from error
        self._bar: Any = tqdm(total=state.epochs, initial=state.history.n_epochs, unit="epoch", desc="training")

    def on_epoch_end(self, state: TrainingState) -> None:
        self._bar.update()
        last = {name: f"{values[-1]:.4g}" for name, values in state.history.values_by_name.items()}
        self._bar.set_postfix({name: value for name, value in last.items() if name != "seconds"})

    def on_train_end(self, state: TrainingState) -> None:
        self._bar.close()


class DivergenceGuard(Callback):
    """Stop a training whose numbers overflowed, and warn, once, of weights that get no gradient or do not move.

    `fit` always has one. A step or two without a gradient is nothing unusual, so it takes `ENOUGH_STEPS` in a row, in
    whole epochs or the last quarter of a long one; in a shorter training, all steps. Only matrices with another one
    behind them count: a linear model has no gradient once it has converged.
    """

    def on_train_begin(self, state: TrainingState) -> None:
        named = {id(parameter): name for name, parameter in state.model.named_parameters()}
        self._names = [named.get(id(p), f"params[{i}]") for i, p in enumerate(state.optimizer.params)]
        pairs = zip(self._names, state.optimizer.params, strict=True)
        self._matrices = {name: parameter for name, parameter in pairs if parameter.data.ndim > 1}
        self._start = {name: parameter.data.copy() for name, parameter in self._matrices.items()}
        self._idle = dict.fromkeys(list(self._matrices)[:-1], 0)
        self._parameters, self._modules = state.model.parameters(), [m for _, m in state.model.named_modules()]
        self._steps, self._fault = 0, ""

    def on_epoch_begin(self, state: TrainingState) -> None:
        self._skipped = state.n_batches * 3 // 4 if state.n_batches >= 4 * ENOUGH_STEPS else 0
        self._looked = 0
        self._waiting = {name: self._matrices[name] for name in self._idle}

    def on_batch_end(self, state: TrainingState) -> None:
        self._looked += 1
        if self._waiting and self._looked > self._skipped:  # This costs nothing once all had a gradient.
            self._waiting = {name: p for name, p in self._waiting.items() if not p.grad.any()}

    def on_epoch_end(self, state: TrainingState) -> bool:
        self._steps += self._looked
        fault, remedy = self._divergence(state)
        if fault:
            state.history.stop_reason = f"diverged in epoch {state.epoch}: {fault}"
            warnings.warn(f"training {state.history.stop_reason}; {remedy}", DivergenceWarning, stacklevel=4)
            return True
        for name in self._idle:
            self._idle[name] = self._idle[name] + self._looked - self._skipped if name in self._waiting else 0
        if self._steps >= ENOUGH_STEPS:
            self._report(state, stacklevel=5)
        return False

    def on_train_end(self, state: TrainingState) -> None:
        if state.history.stop_reason.startswith("diverged"):
            return
        if 1 < self._steps < ENOUGH_STEPS:
            self._report(state, stacklevel=6)
        if self._fault:
            state.history.stop_reason += f", but {self._fault}"

    def _divergence(self, state: TrainingState) -> tuple[str, str]:
        """Return what is no longer finite and what may help, or nothing."""
        losses = [state.history.values_by_name[name][-1] for name in ("loss", "val_loss") if name in state.history]
        arrays = [p.data for p in self._parameters] + [
            getattr(m, name) for m in self._modules for name in m.buffer_names
        ]
        if not all(np.isfinite(array).all() for array in [losses, *arrays]):
            remedy = f"a smaller learning rate than {state.optimizer.lr:g} may help"
            return "its loss or its weights are no longer finite", remedy
        frozen = [f"the {what} of {self._names[i]}" for i, what in state.optimizer.not_finite()]
        return (f"no longer finite: {', '.join(frozen)}", NEVER_MOVES) if frozen else ("", "")

    def _report(self, state: TrainingState, stacklevel: int) -> None:
        """Warn, once, of weights that cannot be trained although the loss is not zero."""
        lr, end = state.optimizer.lr, f"the end of epoch {state.epoch}"
        if self._fault or lr == 0 or state.history.values_by_name["loss"][-1] == 0:
            return
        dead = [name for name, steps in self._idle.items() if steps >= min(ENOUGH_STEPS, self._steps)]
        moved = {name: not np.array_equal(data, self._matrices[name].data) for name, data in self._start.items()}
        lost = [name for name in moved if not moved[name] and self._matrices[name].grad.any()]
        self._start = {}  # A training that has moved may well come to rest.
        largest = float(np.abs(state.X).max()) if dead or lost else 1.0
        scale = "" if 0.1 <= largest <= 10 else f"scale the inputs to about 0 to 1 (they reach {largest:g}), or "
        if dead:
            self._fault = f"no gradient reached {', '.join(dead)} at {end}"
            why = "the units behind are dead (ReLUs that are zero for all samples), saturated, or started at zero"
            remedy = f"Try to {scale}use a smaller learning rate than {lr:g}, or other starting weights"
        elif lost:
            self._fault = f"{', '.join(lost)} had not moved by {end}"
            why = "every step is so small that it is lost in rounding"
            remedy = f"Unless training was done already, {scale}use a larger learning rate than {lr:g}"
        if self._fault:
            warnings.warn(f"{self._fault}: {why}. {remedy}", DivergenceWarning, stacklevel=stacklevel)


class CallbackList:
    """The callbacks of one training, called as one: in their order, and in the opposite one when training ends.

    The `guard` is asked first at the end of an epoch: no other callback sees an epoch in which training diverged.
    """

    def __init__(self, guard: Callback, callbacks: Sequence[Callback]) -> None:
        self.guard, self.callbacks = guard, list(callbacks)
        # Most callbacks leave the hooks of a batch alone, and a small network has many batches.
        self._hooks = {
            hook: [getattr(c, hook) for c in (guard, *callbacks) if _overrides(c, hook)]
            for hook in ("on_epoch_begin", "on_batch_begin", "on_batch_end")
        }

    def call(self, hook: str, state: TrainingState) -> None:
        """Call the hook of that name of each callback that has one."""
        for method in self._hooks[hook]:
            method(state)

    def begin_epoch(self, state: TrainingState) -> None:
        """Call every callback, and set the model to training mode if they have seen it in evaluation mode."""
        self.call("on_epoch_begin", state)
        if self.callbacks:  # For XOR, changing the mode would take as long as an epoch.
            state.model.train()

    def end_epoch(self, state: TrainingState) -> bool:
        """Step the schedule and call every callback, also after one has asked to stop; return whether to stop."""
        if self.guard.on_epoch_end(state):
            return True
        if state.scheduler is not None:
            state.scheduler.step()
        if self.callbacks:
            state.model.eval()
        stop = any([callback.on_epoch_end(state) for callback in self.callbacks])  # noqa: C419
        if stop and not state.history.stop_reason:
            state.history.stop_reason = f"a callback stopped it after epoch {state.epoch}"
        return stop

    @contextmanager
    def running(self, state: TrainingState) -> Iterator[None]:
        """Call the hooks of a whole run; each callback that has begun also ends, whatever happens."""
        with ExitStack() as ends:
            try:
                for callback in self.callbacks:
                    callback.on_train_begin(state)
                    ends.callback(callback.on_train_end, state)
                self.guard.on_train_begin(state)  # last, since a callback may put other weights into the model
                yield
                state.history.stop_reason = state.history.stop_reason or f"all {state.epochs} epochs done"
                self.guard.on_train_end(state)
            except BaseException as error:  # also KeyboardInterrupt
                state.history.stop_reason = f"{type(error).__name__} in epoch {state.epoch}"
                raise
            finally:
                state.model.eval()


def _overrides(callback: Callback, hook: str) -> bool:
    return getattr(type(callback), hook) is not getattr(Callback, hook)
