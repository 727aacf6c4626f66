"""Training: the loop over epochs and batches, what it records, and when it stops."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from nnkit._divergence import DivergenceGuard
from nnkit._training_checks import check_batches, checked_callbacks, dtype_of, named_metrics, training_data
from nnkit.checks import entries, finite_array, generator, instance, number, whole_number, with_methods
from nnkit.losses import Loss
from nnkit.module import Module
from nnkit.optimizers import DivergenceWarning, Optimizer, clip_grad_norm
from nnkit.typing import Array

Metric = Callable[[Array, Array], float]
Metrics = Mapping[str, Metric] | Sequence[Metric] | None


class Scheduler(Protocol):
    """What `fit` asks of a learning-rate schedule: one `step` at the end of each epoch."""

    def step(self) -> None:
        """Set the optimizer's learning rate for the next epoch."""


@dataclass
class History:
    """What `fit` recorded: one number an epoch under each name.

    ``history["loss"]`` is an array with one entry an epoch. The names are ``loss`` (mean over all training samples,
    measured while the epoch ran), each metric's name (likewise), ``seconds`` (of training, without validation), and
    with validation data ``val_loss`` and ``val_`` before each metric's name (measured after the epoch).

    Attributes
    ----------
    values : dict of str to list of float
        The numbers themselves.
    stop_reason : str
        Why training ended.
    """

    values: dict[str, list[float]] = field(default_factory=dict)
    stop_reason: str = ""

    def append(self, record: Mapping[str, float]) -> None:
        """Add one epoch."""
        for name, value in record.items():
            self.values.setdefault(name, []).append(float(value))

    def __getitem__(self, name: str) -> Array:
        if name not in self.values:
            raise KeyError(f"history has no {name!r}; it has {sorted(self.values)}")
        return np.array(self.values[name])

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def __len__(self) -> int:
        """Return the number of epochs."""
        return len(self.values.get("loss", ()))

    def __repr__(self) -> str:
        last = ", ".join(f"{name}={values[-1]:.4g}" for name, values in self.values.items())
        return f"History({len(self)} epochs; last: {last or 'none'}; {self.stop_reason or 'running'})"


@dataclass
class TrainingState:
    """What a callback is given: the parts of a training run, live, its epochs, and the names that each one records."""

    model: Module
    optimizer: Optimizer
    history: History
    epoch: int = 0
    scheduler: Scheduler | None = None
    rng: np.random.Generator | None = None
    epochs: int = 0
    names: Sequence[str] = ()


class Callback:
    """Something that happens during `fit`; a subclass overrides what it needs."""

    def on_train_begin(self, state: TrainingState) -> None:
        """Run before the first epoch."""

    def on_epoch_end(self, state: TrainingState) -> bool | None:
        """Run after each epoch, its validation and the scheduler's step; return True to stop training."""

    def on_train_end(self, state: TrainingState) -> None:
        """Run when training ends: after the last epoch, where it stopped early, or after an error or an interrupt."""


class EarlyStopping(Callback):
    """Stop when a recorded number has not become better for some epochs.

    Parameters
    ----------
    monitor : str, default "val_loss"
        The name in the history.
    patience : int, default 5
        After how many epochs without a new best value to stop, at least 1.
    min_delta : float, default 0
        By how much a value must beat the best to count.
    mode : {"min", "max"}, default "min"
        Whether smaller or larger is better; "max" for an accuracy.
    restore_best : bool, default True
        Whether to give the model the weights and running statistics of its best epoch when training ends, for
        whatever reason, also where somebody interrupts it.

    Attributes
    ----------
    best_epoch : int
        The epoch of the best value, counted from 1; 0 before there is one.
    best_value : float
        That value; NaN before there is one.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 5,
        min_delta: float = 0.0,
        mode: str = "min",
        restore_best: bool = True,
    ) -> None:
        if mode not in ("min", "max"):
            raise ValueError(f"mode must be 'min' or 'max'; got {mode!r}")
        instance("monitor", monitor, str, "a name in the history such as 'val_loss'")
        self.monitor = monitor
        self.patience = whole_number("patience", patience, least=1)
        self.min_delta = number("min_delta", min_delta, least=0)
        self.mode = mode
        self.restore_best = restore_best

        self.best_epoch = 0
        self.best_value = math.nan

    def on_train_begin(self, state: TrainingState) -> None:
        self.best_epoch = 0
        self.best_value = math.nan
        self._best_weights: dict[str, Array] | None = None

    def on_epoch_end(self, state: TrainingState) -> bool:
        if self.monitor not in state.history:
            hint = "; give fit validation_data" if self.monitor.startswith("val_") else ""
            raise ValueError(f"monitor must be one of {sorted(state.history.values)}; got {self.monitor!r}{hint}")
        value = state.history.values[self.monitor][-1]
        sign = -1 if self.mode == "min" else 1
        best = self.best_value if self.best_epoch else -sign * math.inf
        gain = sign * (value - best)
        if gain > self.min_delta:
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


def fit(
    model: Module,
    loss: Loss,
    optimizer: Optimizer,
    X: Any,
    y: Any,
    *,
    epochs: int,
    batch_size: int = 128,
    validation_data: tuple[Any, Any] | None = None,
    metrics: Metrics = None,
    callbacks: Iterable[Callback] = (),
    scheduler: Scheduler | None = None,
    max_grad_norm: float | None = None,
    rng: np.random.Generator | int | None = None,
    progress: bool = False,
) -> History:
    """Train a model with mini-batches, and return what happened.

    Every epoch goes through all samples once, in a new random order; the last batch may be short. Every layer trains
    in training mode, except where its own `train` says otherwise; the model is left in evaluation mode.

    Parameters
    ----------
    model : Module
        The network; it is changed.
    loss : Loss
        What to make small.
    optimizer : Optimizer
        Made over ``model.parameters()``.
    X : array_like, shape (n, ...)
        The inputs, finite; converted once to the model's dtype.
    y : array_like, shape (n, ...)
        The targets, as the loss wants them; for an autoencoder `X` itself, of which each batch is then gathered once.
    epochs : int
        How many times to go through the data; where `Checkpoint` resumes a training, those already done count.
    batch_size : int, default 128
        Samples a step; one larger than n means the whole data at once.
    validation_data : (X, y), optional
        Measured after each epoch, in evaluation mode.
    metrics : dict of str to function, or sequence of functions, optional
        Each is called as ``metric(pred, target)``; a function's own name serves where no other is given. On the
        training data it is averaged over the batches by their size, which is exact for means such as accuracy.
    callbacks : iterable of Callback, optional
        For example `EarlyStopping` and `Checkpoint`.
    scheduler : Scheduler, optional
        Its ``step()`` is called after each epoch, before the callbacks; for example of `StepLR` or `CosineLR`.
    max_grad_norm : float, optional
        The largest norm of the whole gradient, above 0; `clip_grad_norm` scales a larger one down before each step.
    rng : numpy.random.Generator or int, optional
        Where the order of the samples is drawn from. The same seed gives the same bits in every process that does
        matrix products alike: on the same machine, with the same NumPy and the same number of BLAS threads.
    progress : bool, default False
        Whether to show a tqdm bar.

    Returns
    -------
    History
        One number an epoch for each of ``loss``, the metrics, ``seconds`` and their ``val_`` forms.

    Raises
    ------
    TypeError
        If a part is not what it must be; the class in place of an object is the usual mistake.
    ValueError
        If the data is empty, not finite, or of unequal lengths, the optimizer is another model's, the scheduler
        another optimizer's, or the last batch so small that a layer such as `BatchNorm1d` cannot take it.

    Warns
    -----
    DivergenceWarning
        If the loss, the weights or the optimizer's running averages are no longer finite; training stops, and
        ``history.stop_reason`` says when. Also, once, if weights get no gradient or do not move, as of dead ReLUs;
        training then goes on, and ``history.stop_reason`` says so at its end.
    """
    epochs = whole_number("epochs", epochs, least=1)
    batch_size = whole_number("batch_size", batch_size, least=1)
    X, y = training_data(model, X, y, "X", "y")
    if validation_data is not None:
        X_val, y_val = entries("validation_data", validation_data, 2, "a pair (X, y)")
        validation_data = training_data(model, X_val, y_val, "validation_data[0]", "validation_data[1]")
    with_methods("loss", loss, ("__call__", "backward"), "a Loss such as MSELoss()")
    instance("optimizer", optimizer, Optimizer, "an Optimizer such as SGD")
    if scheduler is not None:
        with_methods("scheduler", scheduler, ("step",), "a schedule such as StepLR")
    if not {id(p) for p in optimizer.params} & {id(p) for p in model.parameters()}:
        raise ValueError("optimizer must be made over the parameters of model; got one that shares none with it")
    if getattr(scheduler, "optimizer", optimizer) is not optimizer:
        raise ValueError("scheduler must be made over the optimizer given here; got one made over another")
    if max_grad_norm is not None:
        max_grad_norm = number("max_grad_norm", max_grad_norm, above=0)
    metric_functions = named_metrics(metrics)
    callbacks = checked_callbacks(callbacks)
    rng = generator("rng", rng)
    history = History()
    names = ["loss", *metric_functions]
    validated = [] if validation_data is None else [f"val_{name}" for name in names]
    state = TrainingState(model, optimizer, history, 0, scheduler, rng, epochs, [*names, "seconds", *validated])
    bar, diverged = None, ""
    needed_input_grad = getattr(model, "needs_input_grad", True)
    model.needs_input_grad = False
    begun: list[Callback] = []
    try:
        model.train()
        check_batches(model, len(X), batch_size)
        for callback in callbacks:
            callback.on_train_begin(state)
            begun.append(callback)
        guard = DivergenceGuard(model, optimizer, X)
        bar = _progress_bar(epochs, done=len(history)) if progress else None
        for state.epoch in range(len(history) + 1, epochs + 1):
            model.train()
            record = _train_epoch(model, loss, optimizer, X, y, batch_size, metric_functions, max_grad_norm, rng, guard)
            model.eval()
            diverged = guard.divergence(record["loss"])
            if validation_data is not None:
                scores = dict.fromkeys(["loss", *metric_functions], math.nan)
                if not diverged:
                    try:
                        with np.errstate(over="ignore", invalid="ignore"):
                            scores = evaluate(model, loss, *validation_data, metrics=metric_functions)
                        diverged = guard.divergence(scores["loss"])
                    except FloatingPointError:
                        diverged = guard.divergence(math.nan)
                record |= {f"val_{name}": value for name, value in scores.items()}
            history.append(record)
            if bar is not None:
                bar.update()
                bar.set_postfix({name: f"{value:.4g}" for name, value in record.items() if name != "seconds"})
            if diverged:
                history.stop_reason = f"diverged in epoch {state.epoch}: {diverged}"
                warnings.warn(f"training {history.stop_reason}; {guard.remedy}", DivergenceWarning, stacklevel=2)
                break
            guard.end_epoch(state.epoch, record["loss"])
            if scheduler is not None:
                scheduler.step()
            # Every callback sees every epoch, also where one of them has asked to stop.
            wishes = [callback.on_epoch_end(state) for callback in callbacks]
            if any(wishes):
                history.stop_reason = history.stop_reason or f"a callback stopped it after epoch {state.epoch}"
                break
        history.stop_reason = history.stop_reason or f"all {epochs} epochs done"
        if not diverged and (fault := guard.end()):
            history.stop_reason += f", but {fault}"
    except BaseException as error:  # Also KeyboardInterrupt: who stops a cell wants the best weights, too.
        history.stop_reason = f"{type(error).__name__} in epoch {state.epoch}"
        model.eval()
        _end(begun, state, error)
        raise
    else:
        _end(begun, state)
    finally:
        model.needs_input_grad = needed_input_grad
        model.eval()
        if bar is not None:
            bar.close()
    return history


def _end(callbacks: list[Callback], state: TrainingState, error: BaseException | None = None) -> None:
    """Run the end of each callback, also where that of another fails; raise the first error unless it is `error`."""
    first = error
    for callback in callbacks:
        try:
            callback.on_train_end(state)
        except BaseException as another:
            if first is None:
                first = another
            else:
                first.add_note(f"After that, on_train_end of {type(callback).__name__} failed: {another!r}")
    if first is not None and first is not error:
        raise first


def _train_epoch(
    model: Module,
    loss: Loss,
    optimizer: Optimizer,
    X: Array,
    y: Array,
    batch_size: int,
    metrics: Mapping[str, Metric],
    max_grad_norm: float | None,
    rng: np.random.Generator,
    guard: DivergenceGuard,
) -> dict[str, float]:
    n = len(X)
    guard.begin_epoch(math.ceil(n / batch_size))
    totals = dict.fromkeys(["loss", *metrics], 0.0)
    started = time.perf_counter()
    order = rng.permutation(n)
    # Each batch is gathered into the same memory, which then stays in the processor's cache.
    buffer = np.empty((min(batch_size, n), *X.shape[1:]), dtype=X.dtype)
    # What overflows here is seen in the loss and reported once, by fit.
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, n, batch_size):
            batch = order[start : start + batch_size]
            X_batch = X.take(batch, axis=0, out=buffer[: len(batch)], mode="clip")
            y_batch = X_batch if y is X else y.take(batch, axis=0)  # An autoencoder's targets are its inputs.
            optimizer.zero_grad()
            pred = model.forward(X_batch)
            try:
                batch_loss = loss(pred, y_batch)
            except FloatingPointError:
                batch_loss = math.nan
            if not math.isfinite(batch_loss):
                totals = dict.fromkeys(totals, math.nan)
                break
            totals["loss"] += batch_loss * len(batch)
            for name, metric in metrics.items():
                totals[name] += metric(pred, y_batch) * len(batch)
            model.backward(loss.backward())
            if max_grad_norm is not None:
                clip_grad_norm(optimizer.params, max_grad_norm)
            optimizer.step()
            guard.step_done()
    return {name: total / n for name, total in totals.items()} | {"seconds": time.perf_counter() - started}


def predict(model: Module, X: Any, *, batch_size: int = 4096) -> Array:
    """Return the model's output for all of `X`, in evaluation mode and in batches, so that memory stays small.

    There is no backward for it: nothing of `X` stays in the model.

    Parameters
    ----------
    model : Module
        Its mode is put back afterwards, that of each layer on its own: a frozen one stays frozen.
    X : array_like, shape (n, ...)
        The inputs, finite, at least one.
    batch_size : int, default 4096
        Samples at a time.
    """
    X = finite_array("X", X, dtype_of(model))
    if X.ndim == 0 or len(X) == 0:
        raise ValueError(f"X must hold at least one sample; got shape {X.shape}")
    whole_number("batch_size", batch_size, least=1)
    modes = [(module, module.training) for _, module in model.named_modules()]
    model.eval()
    try:
        return np.concatenate([model(X[i : i + batch_size]) for i in range(0, len(X), batch_size)])
    finally:
        for module, was_training in modes:
            module.training = was_training
        model._forget()


def evaluate(model: Module, loss: Loss, X: Any, y: Any, *, metrics: Metrics = None) -> dict[str, float]:
    """Return the loss and each metric of a model on all of (X, y), in evaluation mode.

    Parameters
    ----------
    model, loss, X, y, metrics
        As for `fit`.

    Returns
    -------
    dict of str to float
        ``"loss"`` and the metrics' names.
    """
    X, y = training_data(model, X, y, "X", "y")
    with_methods("loss", loss, ("__call__",), "a Loss such as MSELoss()")
    pred = predict(model, X)
    return {"loss": loss(pred, y)} | {name: metric(pred, y) for name, metric in named_metrics(metrics).items()}


def _progress_bar(epochs: int, done: int) -> Any:
    from tqdm.auto import tqdm

    return tqdm(total=epochs, initial=done, unit="epoch", desc="training")
