"""Training: the loop over epochs and batches, and the measurement of a model on data."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nnkit.callbacks import Callback, CallbackList, DivergenceGuard, ProgressBar, TrainingState
from nnkit.checks import as_array, entries, finite_array, generator, instance, number, whole_number, with_methods
from nnkit.history import History, Means
from nnkit.losses import Loss
from nnkit.module import Module
from nnkit.optimizers import Optimizer, clip_grad_norm
from nnkit.schedulers import _Schedule
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
    scheduler: _Schedule | None = None,
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
        The targets, as the loss wants them; for an autoencoder `X` itself.
    epochs : int
        How many times to go through the data; where `Checkpoint` resumes a training, those already done count.
    batch_size : int, default 128
        Samples a step; if it is larger than n, all data at once.
    validation_data : (X, y), optional
        Measured after each epoch, in evaluation mode.
    metrics : dict of str to function, or sequence of functions, optional
        Each is called as ``metric(y_true, y_pred)``, where `y_pred` is the model's output; a function's own name serves
        where no other is given. On the training data it is averaged over the batches by their size, which is exact for
        means such as accuracy.
    callbacks : iterable of Callback, optional
        For example `EarlyStopping` and `Checkpoint`.
    scheduler : Schedule, optional
        `StepLR` or `CosineLR`: its ``step()`` is called after each epoch, before the callbacks.
    max_grad_norm : float, optional
        The largest norm of the whole gradient, above 0; `clip_grad_norm` scales a larger one down before each step.
    rng : numpy.random.Generator or int, optional
        Draws the order of the samples. The same seed gives the same bits on the same machine, with the same NumPy and
        the same number of BLAS threads.
    progress : bool, default False
        Whether to show a tqdm bar.

    Returns
    -------
    History
        One number an epoch for each of ``loss``, the metrics, ``seconds`` and their ``val_`` forms.

    Raises
    ------
    TypeError
        If a part has the wrong type; the class in place of an object is the usual mistake.
    ValueError
        If the data is empty, not finite, or of unequal lengths, the optimizer is another model's, the scheduler
        another optimizer's, or the last batch too small for a layer such as `BatchNorm1d`.

    Warns
    -----
    DivergenceWarning
        If the loss, the weights or the optimizer's running averages are no longer finite; training stops, and
        ``history.stop_reason`` says when. Also, once, if weights get no gradient or do not move, as behind dead ReLUs;
        training then goes on, and ``history.stop_reason`` says so at its end.
    """
    epochs, batch_size = whole_number("epochs", epochs, least=1), whole_number("batch_size", batch_size, least=1)
    X, y, validation_data = _checked_data(model, X, y, validation_data)
    metrics, rng = _named_metrics(metrics), generator("rng", rng)
    callbacks = _checked_parts(model, loss, optimizer, scheduler, max_grad_norm, callbacks)
    names = ["loss", *metrics, "seconds"] + ["val_" + name for name in ("loss", *metrics) if validation_data]
    history, n_batches = History(), math.ceil(len(X) / batch_size)
    state = TrainingState(model, optimizer, history, X, epochs, 0, n_batches, math.nan, names, scheduler, rng)
    hooks = CallbackList(DivergenceGuard(), [*callbacks, *([ProgressBar()] if progress else [])])
    _check_batches(model.train(), len(X), batch_size)

    with hooks.running(state), np.errstate(over="ignore", invalid="ignore"):  # The guard looks for what overflows.
        for state.epoch in range(history.n_epochs + 1, epochs + 1):
            hooks.on_epoch_begin(state)
            model.train()
            means, started = Means(), time.perf_counter()
            for x, target in batches(X, y, batch_size, rng):
                hooks.on_batch_begin(state)
                optimizer.zero_grad()
                pred = model.forward(x)
                state.loss = loss(pred, target)
                means.add(len(x), _measured(state.loss, metrics, target, pred))
                if not math.isfinite(state.loss):
                    break
                model.accumulate(loss.backward())  # backward, but for dL/dx, which nobody needs
                if max_grad_norm is not None:
                    clip_grad_norm(optimizer.params, max_grad_norm)
                optimizer.step()
                hooks.on_batch_end(state)
            record = means.result() | {"seconds": time.perf_counter() - started}
            model.eval()
            if validation_data is not None:
                scores = evaluate(model, loss, *validation_data, metrics=metrics)
                record |= {f"val_{name}": value for name, value in scores.items()}
            history.append(record)
            if hooks.on_epoch_end(state):
                break
    return history


def batches(X: Array, y: Array, batch_size: int, rng: np.random.Generator) -> Iterator[tuple[Array, Array]]:
    """Yield all samples once, in a random order, as inputs and targets of at most `batch_size` samples.

    Each batch is gathered into the same memory, which then stays in the processor's cache: use it before the next one.
    Where the targets are the inputs themselves, so are those of the batch.
    """
    order = rng.permutation(len(X))
    buffer = np.empty((min(batch_size, len(X)), *X.shape[1:]), dtype=X.dtype)
    for start in range(0, len(X), batch_size):
        batch = order[start : start + batch_size]
        x = X.take(batch, axis=0, out=buffer[: len(batch)], mode="clip")
        yield x, x if y is X else y.take(batch, axis=0)


def predict(model: Module, X: Any, *, batch_size: int = 4096) -> Array:
    """Return the model's output for all of `X`, in evaluation mode and in batches, so that memory stays small.

    Nothing of `X` stays in the model, so there is no backward after it.

    Parameters
    ----------
    model : Module
        Each layer has its own mode back afterwards.
    X : array_like, shape (n, ...)
        The inputs, finite, at least one.
    batch_size : int, default 4096
        Samples at a time.
    """
    X = finite_array("X", X, _dtype_of(model))
    if X.ndim == 0 or len(X) == 0:
        raise ValueError(f"X must hold at least one sample; got shape {X.shape}")
    whole_number("batch_size", batch_size, least=1)
    with model.evaluating():
        return np.concatenate([model(X[i : i + batch_size]) for i in range(0, len(X), batch_size)])


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
    X, y = _samples(model, X, y, "X", "y")
    with_methods("loss", loss, ("__call__",), "a Loss such as MSELoss()")
    pred = predict(model, X)
    return _measured(loss(pred, y), _named_metrics(metrics), y, pred)


def _measured(loss: float, metrics: Mapping[str, Metric], y: Array, pred: Array) -> dict[str, float]:
    """Return the loss and the metrics, which are not asked where the loss is no longer finite."""
    finite = math.isfinite(loss)
    return {"loss": loss} | {name: metric(y, pred) if finite else math.nan for name, metric in metrics.items()}


# What the functions above ask of their arguments.


def _dtype_of(model: Module) -> np.dtype[Any] | None:
    instance("model", model, Module, "a Module such as Sequential")
    parameters = model.parameters()
    return parameters[0].data.dtype if parameters else None


def _samples(model: Module, X: Any, y: Any, X_name: str, y_name: str) -> tuple[Array, Array]:
    """Return inputs and targets as finite arrays of one length, in the model's dtype; one array where they are one."""
    dtype = _dtype_of(model)
    given, X, y = X, finite_array(X_name, X, dtype), as_array(y_name, y)
    if y.dtype.kind == "f":
        y = X if y is given else finite_array(y_name, y, dtype)
    if X.ndim == 0 or y.ndim == 0 or len(X) == 0 or len(X) != len(y):
        raise ValueError(
            f"{X_name} and {y_name} must hold the same number of samples, at least one; "
            f"got shapes {X.shape} and {y.shape}"
        )
    return X, y


def _checked_data(model: Any, X: Any, y: Any, validation_data: Any) -> tuple[Array, Array, Any]:
    X, y = _samples(model, X, y, "X", "y")
    if validation_data is not None:
        X_val, y_val = entries("validation_data", validation_data, 2, "a pair (X, y)")
        validation_data = _samples(model, X_val, y_val, "validation_data[0]", "validation_data[1]")
    return X, y, validation_data


def _checked_parts(
    model: Module, loss: Any, optimizer: Any, scheduler: Any, max_grad_norm: Any, callbacks: Any
) -> list[Callback]:
    """Check what `fit` is given beside data, and return the callbacks as a list."""
    with_methods("loss", loss, ("__call__", "backward"), "a Loss such as MSELoss()")
    instance("optimizer", optimizer, Optimizer, "an Optimizer such as SGD")
    if not {id(p) for p in optimizer.params} & {id(p) for p in model.parameters()}:
        raise ValueError("optimizer must be made over the parameters of model; got one that shares none with it")
    if scheduler is not None:
        with_methods("scheduler", scheduler, ("step",), "a schedule such as StepLR")
    if getattr(scheduler, "optimizer", optimizer) is not optimizer:
        raise ValueError("scheduler must be made over the optimizer given here; got one made over another")
    if max_grad_norm is not None:
        number("max_grad_norm", max_grad_norm, above=0)
    instance("callbacks", callbacks, Iterable, "a list of callbacks")
    callbacks = list(callbacks)
    for i, callback in enumerate(callbacks):
        instance(f"callbacks[{i}]", callback, Callback, "a Callback such as EarlyStopping()")
    return callbacks


def _check_batches(model: Module, n: int, batch_size: int) -> None:
    """Raise ValueError if the smallest batch of an epoch has too few samples for a layer in training mode."""
    smallest = n % batch_size or batch_size if batch_size < n else n
    for name, module in model.named_modules():
        if module.training and smallest < module.min_batch_size:
            model.eval()
            raise ValueError(
                f"batch_size must leave no batch with fewer than {module.min_batch_size} samples, which "
                f"{name or 'model'}, {module!r}, cannot train on; got {batch_size} for {n} samples, of which the last "
                f"batch has {smallest}"
            )


def _named_metrics(metrics: Any) -> dict[str, Metric]:
    """Return each metric under its name."""
    if metrics is None:
        return {}
    if isinstance(metrics, str) or not isinstance(metrics, Iterable):
        raise TypeError(f"metrics must be a dict or a list of functions; got {metrics!r}")
    named: dict[Any, Any] = dict(metrics) if isinstance(metrics, Mapping) else dict(enumerate(metrics))
    for key, function in named.items():
        if not callable(function):
            raise TypeError(f"metrics[{key!r}] must be a function; got {function!r}")
    if not isinstance(metrics, Mapping):
        functions = list(named.values())
        names = [getattr(function, "__name__", "") for function in functions]
        if not all(names) or len(set(names)) < len(names):
            raise ValueError(f"metrics must be a dict where functions lack names of their own; got {functions}")
        named = dict(zip(names, functions, strict=True))
    for name in named:
        instance("each name in metrics", name, str, "a string")
        if name in ("loss", "seconds") or name.startswith("val_"):
            raise ValueError(f"metrics must not use the name {name!r}, which the history needs itself")
    return named
