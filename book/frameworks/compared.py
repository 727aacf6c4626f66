"""The same steps in three libraries: from the same weights and batches, the losses of each in float64."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

import numpy as np

import nnkit as nn
from book.frameworks import LIBRARIES, TASKS, Task
from nnkit.typing import Array

OWN, TORCH, SKLEARN = LIBRARIES
N_STEPS = 20
"""How many losses are compared."""
NEAREST: dict[str, tuple[str, float]] = {
    "xor": ("xor_with_log_loss", 1.0),
    "classifier": ("classifier_with_early_epsilon", 1.0),
    "autoencoder": ("autoencoder_with_squared_error", 0.5),
}
"""The program in nnkit that does what scikit-learn does, and the factor from its loss to scikit-learn's."""

Weights = list[tuple[Array, Array]]


def program(library: str) -> ModuleType:
    """Return the programs of a library."""
    return importlib.import_module(f"book.frameworks.{LIBRARIES[library]}")


def available() -> list[str]:
    """Return the libraries that can be imported here."""
    return [library for library in LIBRARIES if library != TORCH or importlib.util.find_spec("torch")]


def first_weights(task: Task, seed: int) -> Weights:
    """Return W, (in, out), and b of every layer, float64."""
    rng = np.random.default_rng(seed)
    layers = [nn.Linear(a, b, init=task.init, rng=rng) for a, b in zip(task.widths, task.widths[1:], strict=False)]
    return [(layer.weight.data.astype(float), layer.bias.data.astype(float)) for layer in layers if layer.bias]


def data_for(name: str, data: nn.Dataset | None, n_samples: int | None = None) -> tuple[Array, Array]:
    """Return what a task is trained on, in float32: inputs and targets, which for the autoencoder are one array."""
    if name == "xor":
        X, labels = nn.make_xor()
        return X, labels[:, None].astype(np.float32)
    assert data is not None
    X, labels = data.X_train[:n_samples], data.y_train[:n_samples]
    return X, X if name == "autoencoder" else labels


def targets_for(library: str, name: str, y: Array) -> Array:
    """Return the targets as the library wants them: scikit-learn's classes are integers."""
    return y[:, 0].astype(int) if (library, name) == (SKLEARN, "xor") else y


def first_losses(library: str, name: str, X: Array, y: Array, variant: str = "", n_steps: int = N_STEPS) -> list[float]:
    """Return the loss of each of the first steps in float64, measured before the step.

    Step i takes the i-th stretch of the data, of the task's batch size, and begins again at the end of the data.

    Parameters
    ----------
    variant : str, optional
        Another function of the library's programs than the task's own.
    """
    task, programs = TASKS[name], program(library)
    network = getattr(programs, variant or name)(programs.FLOAT64)
    programs.start(network, first_weights(task, seed=0))
    X, targets = X.astype(float), targets_for(library, name, y)
    targets = targets if targets.dtype.kind == "i" else targets.astype(float)
    losses = []
    for step in range(n_steps):
        batch = np.arange(step * task.batch_size, (step + 1) * task.batch_size) % len(X)
        if library == SKLEARN:
            # Its fit would begin anew each time.
            network.set_params(batch_size=task.batch_size)
            classes = {"classes": np.unique(targets)} if targets.dtype.kind == "i" else {}
            losses.append(float(network.partial_fit(X[batch], targets[batch], **classes).loss_))
        else:
            found = programs.train(network, X[batch], targets[batch], epochs=1, batch_size=task.batch_size)
            losses.append(float(found[0]))
    return losses


def expected_losses(library: str, name: str, X: Array, y: Array, n_steps: int = N_STEPS) -> list[float]:
    """Return nnkit's losses for what a library trains, which for scikit-learn is the nearest that it can."""
    if library == SKLEARN:
        variant, factor = NEAREST[name]
        return [factor * loss for loss in first_losses(OWN, name, X, y, variant, n_steps)]
    return first_losses(OWN, name, X, y, n_steps=n_steps)
