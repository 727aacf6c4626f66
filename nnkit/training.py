"""Training: the loop over epochs and batches, and the measurement of a model on data."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nnkit.callbacks import Callback, CallbackList, DivergenceGuard, ProgressBar, TrainingState
from nnkit.checks import (
    checked_data,
    checked_parts,
    finite_array,
    generator,
    instance,
    named_metrics,
    samples,
    whole_number,
    with_methods,
)
from nnkit.history import History, weighted_means
from nnkit.losses import Loss
from nnkit.module import Module
from nnkit.optimizers import Optimizer, clip_grad_norm
from nnkit.schedulers import Schedule
from nnkit.typing import Array

Metric = Callable[[Array, Array], float]
Metrics = Mapping[str, Metric] | Sequence[Metric] | None


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
    scheduler: Schedule | None = None,
    max_grad_norm: float | None = None,
    rng: np.random.Generator | int | None = None,
    progress: bool = False,
) -> History:
    """Train a model with mini-batches, and return what happened.

    Every epoch goes through all samples once, in a new random order; the last batch may be short. The model is left in
    evaluation mode.

    Parameters
    ----------
    model, loss, optimizer : Module, Loss, Optimizer
        The network, which is changed; what to make small; and what changes it, made over ``model.parameters()``.
    X : array_like, shape (n, ...)
        The inputs, finite; converted once to the model's dtype.
    y : array_like, shape (n, ...)
        The targets, as the loss wants them; for an autoencoder `X` itself.
    epochs : int
        How many times to go through the data, those included after which `Checkpoint` resumes.
    batch_size : int, default 128
        Samples a step; if it is larger than n, all data at once.
    validation_data : (X, y), optional
        Measured after each epoch, in evaluation mode.
    metrics : dict of str to function, or sequence of functions, optional
        Each is called as ``metric(y_true, y_pred)``, where `y_pred` is the model's output. On the training data it is
        averaged over the batches, which is exact for means such as accuracy.
    callbacks : iterable of Callback, optional
        For example `EarlyStopping` and `Checkpoint`.
    scheduler : Schedule, optional
        `StepLR` or `CosineLR`: its ``step()`` is called after each epoch, before the callbacks.
    max_grad_norm : float, optional
        The largest norm of the whole gradient, above 0; `clip_grad_norm` scales a larger one down before each step.
    rng : numpy.random.Generator or int, optional
        Draws the order of the samples. The same seed gives the same bits with the same machine, NumPy and number of
        BLAS threads.
    progress : bool, default False
        Whether to show a tqdm bar.

    Returns
    -------
    History
        One number an epoch for each of ``loss``, the metrics, ``seconds`` and their ``val_`` forms.

    Warns
    -----
    DivergenceWarning
        If numbers are no longer finite, and training stops, or if weights get no gradient or do not move, as behind
        dead ReLUs, and it goes on. ``history.stop_reason`` says so too.
    """
    epochs, rng = whole_number("epochs", epochs, least=1), generator("rng", rng)
    X, y, validation_data = checked_data(model, X, y, batch_size, validation_data)
    named, callbacks = checked_parts(model, loss, optimizer, scheduler, metrics, callbacks, max_grad_norm)
    names = ["loss", *named, "seconds"] + ["val_" + name for name in ("loss", *named) if validation_data]
    history, n_batches = History(), math.ceil(len(X) / batch_size)
    state = TrainingState(model, optimizer, history, X, epochs, n_batches, names, scheduler, rng)
    hooks = CallbackList(DivergenceGuard(), [*callbacks, *([ProgressBar()] if progress else [])])

    with hooks.running(state), np.errstate(over="ignore", invalid="ignore"):  # The guard looks for what overflows.
        for state.epoch in range(history.n_epochs + 1, epochs + 1):
            hooks.begin_epoch(state)
            measured, started = [], time.perf_counter()
            for x, target in batches(X, y, batch_size, rng):
                hooks.call("on_batch_begin", state)
                optimizer.zero_grad()
                pred = model.forward(x)
                state.loss = loss(pred, target)
                measured.append((len(x), _measured(state.loss, named, target, pred)))
                if not math.isfinite(state.loss):
                    break
                model.accumulate(loss.backward())  # backward, but for dL/dx, which nobody needs
                if max_grad_norm is not None:
                    clip_grad_norm(optimizer.params, max_grad_norm)
                optimizer.step()
                hooks.call("on_batch_end", state)
            record = weighted_means(measured) | {"seconds": time.perf_counter() - started}
            if validation_data is not None:
                scores = evaluate(model, loss, *validation_data, metrics=named)
                record |= {f"val_{name}": value for name, value in scores.items()}
            history.append(record)
            if hooks.end_epoch(state):
                break
    return history


def batches(X: Array, y: Array, batch_size: int, rng: np.random.Generator) -> Iterator[tuple[Array, Array]]:
    """Yield all samples once, in a random order, as inputs and targets; if `y` is `X`, they are one array.

    Each batch is gathered into the same memory, which then stays in the processor's cache: use it before the next one.
    """
    order = rng.permutation(len(X))
    buffer = np.empty((min(batch_size, len(X)), *X.shape[1:]), dtype=X.dtype)
    for start in range(0, len(X), batch_size):
        batch = order[start : start + batch_size]
        x = X.take(batch, axis=0, out=buffer[: len(batch)], mode="clip")
        yield x, x if y is X else y.take(batch, axis=0)


def predict(model: Module, X: Any, *, batch_size: int = 4096) -> Array:
    """Return the model's output for all of `X`, in evaluation mode and in batches, so that memory stays small.

    `X` has shape (n, ...), n at least 1, and is finite. Nothing of it stays in the model, and each mode is as before.
    """
    X = finite_array("X", X, _dtype_of(model))
    if X.ndim == 0 or len(X) == 0:
        raise ValueError(f"X must hold at least one sample; got shape {X.shape}")
    whole_number("batch_size", batch_size, least=1)
    with model.evaluating():
        return np.concatenate([model(X[i : i + batch_size]) for i in range(0, len(X), batch_size)])


def _dtype_of(model: Module) -> np.dtype[Any] | None:
    instance("model", model, Module, "a Module such as Sequential")
    return next((parameter.data.dtype for parameter in model.parameters()), None)


def evaluate(model: Module, loss: Loss, X: Any, y: Any, *, metrics: Metrics = None) -> dict[str, float]:
    """Return the loss and each metric of a model on all of (X, y), in evaluation mode, named as in `fit`."""
    X, y = samples("X", X, "y", y, _dtype_of(model))
    with_methods("loss", loss, ("__call__",), "a Loss such as MSELoss()")
    pred = predict(model, X)
    return _measured(loss(pred, y), named_metrics(metrics), y, pred)


def _measured(loss: float, metrics: Mapping[str, Metric], y: Array, pred: Array) -> dict[str, float]:
    """Return the loss and the metrics, which are not asked where the loss is no longer finite."""
    finite = math.isfinite(loss)
    return {"loss": loss} | {name: metric(y, pred) if finite else math.nan for name, metric in metrics.items()}
