"""The same training, written for each library the way its users would write it.

Each function takes a cell (activation, hidden widths, batch size, optimizer, learning rate) and returns a trainer:
called with data and a number of epochs, it trains from scratch and reports how long that took.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import itertools
import math
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import nnkit as nn
from benchmarks.cases import Cell
from benchmarks.verdicts import FLOOR
from nnkit.typing import Array


@dataclass(frozen=True)
class Run:
    """The outcome of one training: seconds, the last epoch's mean loss, and the number of parameters."""

    seconds: float
    loss: float
    n_parameters: int


Trainer = Callable[[Array, Array, int], Run]
OWN = "nnkit fit"


class UnavailableError(Exception):
    """Raised if a contestant cannot run here; the message says why."""


def has_torch() -> bool:
    """Return whether PyTorch can be imported."""
    return importlib.util.find_spec("torch") is not None


def versions() -> dict[str, str]:
    """Return the versions of the contestants."""
    packages = ["numpy", "scikit-learn", *(["torch"] if has_torch() else [])]
    return {package: importlib.metadata.version(package) for package in packages}


def network(cell: Cell, rng: np.random.Generator) -> tuple[nn.Sequential, nn.Optimizer]:
    """Return a cell's nnkit network and its optimizer."""
    modules: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise([784, *cell["hidden"], 10]):
        modules += [nn.Linear(n_in, n_out, rng=rng), getattr(nn, cell["activation"])()]
    model = nn.Sequential(*modules[:-1])
    if cell["optimizer"] == "Adam":
        return model, nn.Adam(model.parameters(), lr=cell["lr"])
    momentum = 0.9 if cell["optimizer"] == "SGD with momentum 0.9" else 0.0
    return model, nn.SGD(model.parameters(), lr=cell["lr"], momentum=momentum)


def nnkit_fit(cell: Cell) -> Trainer:
    """Time `nnkit.fit`, including its argument checks."""

    def train(X: Array, y: Array, epochs: int) -> Run:
        rng = np.random.default_rng(0)
        model, optimizer = network(cell, rng)
        loss = nn.CrossEntropyLoss()
        started = time.perf_counter()
        history = nn.fit(model, loss, optimizer, X, y, epochs=epochs, batch_size=cell["batch_size"], rng=rng)
        seconds = time.perf_counter() - started
        return Run(seconds, float(history["loss"][-1]), sum(parameter.data.size for parameter in model.parameters()))

    return train


def pytorch_eager(cell: Cell) -> Trainer:
    """Time the loop from PyTorch's tutorials, over a DataLoader, as most users write it."""
    _need_torch()
    from torch.utils.data import DataLoader, TensorDataset

    return _pytorch(cell, lambda X, y: DataLoader(TensorDataset(X, y), cell["batch_size"], shuffle=True))


def pytorch_lean(cell: Cell) -> Trainer:
    """Time the same loop without the DataLoader: batches by index tensors."""
    _need_torch()
    return _pytorch(cell, _by_index(cell["batch_size"]))


def pytorch_fused(cell: Cell) -> Trainer:
    """Time the lean loop with a fused optimizer step: the leanest eager loop that we know."""
    _need_torch()
    return _pytorch(cell, _by_index(cell["batch_size"]), fused=True)


def pytorch_compiled(cell: Cell) -> Trainer:
    """Time the fused loop with `torch.compile` around network and loss, excluding compilation."""
    _need_torch()
    return _pytorch(cell, _by_index(cell["batch_size"]), fused=True, compiled=True)


def _need_torch() -> None:
    if not has_torch():
        raise UnavailableError("PyTorch is not installed: pip install torch")


def _by_index(batch_size: int) -> Callable[[Any, Any], Any]:
    import torch

    class Batches:
        def __init__(self, X: Any, y: Any) -> None:
            self.X, self.y = X, y

        def __iter__(self) -> Iterator[tuple[Any, Any]]:
            order = torch.randperm(len(self.X))
            for start in range(0, len(self.X), batch_size):
                batch = order[start : start + batch_size]
                yield self.X[batch], self.y[batch]

    return Batches


def _pytorch(
    cell: Cell, loader: Callable[[Any, Any], Any], *, fused: bool | None = None, compiled: bool = False
) -> Trainer:
    import torch

    widths = [784, *cell["hidden"], 10]
    layers: list[torch.nn.Module] = []
    for n_in, n_out in itertools.pairwise(widths):
        layers += [torch.nn.Linear(n_in, n_out), getattr(torch.nn, cell["activation"])()]
    model = torch.nn.Sequential(*layers[:-1])
    # nnkit's initial weights, transposed: PyTorch's are so small that the losses would differ for epochs.
    own, _ = network(cell, np.random.default_rng(0))
    start = {name: torch.from_numpy(array.T.copy()) for name, array in own.state_dict().items()}
    loss_function = torch.nn.CrossEntropyLoss()

    def optimizer_over_model() -> Any:
        if cell["optimizer"] == "Adam":
            return torch.optim.Adam(model.parameters(), lr=cell["lr"], fused=fused)
        momentum = 0.9 if cell["optimizer"] == "SGD with momentum 0.9" else 0
        return torch.optim.SGD(model.parameters(), lr=cell["lr"], momentum=momentum, fused=fused)

    def loss_of(inputs: Any, targets: Any) -> Any:
        return loss_function(model(inputs), targets)

    if compiled:
        loss_of = _compiled(loss_of, cell["batch_size"])

    def train(X: Array, y: Array, epochs: int) -> Run:
        torch.manual_seed(0)
        model.load_state_dict(start)
        optimizer = optimizer_over_model()
        batches = loader(torch.from_numpy(X), torch.from_numpy(y))
        started = time.perf_counter()
        for _ in range(epochs):
            total, n = 0.0, 0
            for inputs, targets in batches:
                optimizer.zero_grad()
                loss = loss_of(inputs, targets)
                loss.backward()
                optimizer.step()
                # The epoch's mean loss, as in fit and scikit-learn.
                total, n = total + loss.item() * len(inputs), n + len(inputs)
        seconds = time.perf_counter() - started
        return Run(seconds, total / n, sum(parameter.numel() for parameter in model.parameters()))

    return train


def _compiled(loss_of: Callable[[Any, Any], Any], batch_size: int) -> Callable[[Any, Any], Any]:
    """Return the function compiled for one shape and the current number of threads."""
    import torch

    try:
        import torch._inductor.config

        # In this process: a pool of compile workers would compete with the timed contestants.
        torch._inductor.config.compile_threads = 1
        # Reset for each case, since after about eight shapes PyTorch silently falls back to eager mode.
        torch._dynamo.reset()
        compiled = torch.compile(loss_of)
        compiled(torch.zeros(batch_size, 784), torch.zeros(batch_size, dtype=torch.int64)).backward()
    except Exception as error:  # A missing compiler, or anything else that is not supported here.
        reason = str(error).strip().splitlines()
        raise UnavailableError(f"torch.compile: {reason[0] if reason else type(error).__name__}") from error
    return compiled


def sklearn_mlp(cell: Cell) -> Trainer:
    """Time `MLPClassifier.fit` with the same network and optimizer, in float32 because the data is."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    def train(X: Array, y: Array, epochs: int) -> Run:
        classifier = MLPClassifier(
            cell["hidden"],
            activation={"ReLU": "relu", "Sigmoid": "logistic", "Tanh": "tanh"}[cell["activation"]],
            solver="adam" if cell["optimizer"] == "Adam" else "sgd",
            momentum=0.9 if cell["optimizer"] == "SGD with momentum 0.9" else 0,
            nesterovs_momentum=False,
            learning_rate_init=cell["lr"],
            batch_size=cell["batch_size"],
            alpha=0,
            max_iter=epochs,
            n_iter_no_change=epochs,  # It never stops early.
            random_state=0,
        )
        started = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            classifier.fit(X, y)
        seconds = time.perf_counter() - started
        n_parameters = sum(array.size for array in classifier.coefs_ + classifier.intercepts_)
        return Run(seconds, float(classifier.loss_curve_[-1]), n_parameters)

    return train


def bare_products(cell: Cell) -> Trainer:
    """Time only the eight matrix products of each training step: the floor for any program on this BLAS."""
    return products_alone([784, *cell["hidden"], 10], cell["batch_size"])


def products_alone(
    widths: Sequence[int], batch_size: int, convert: Callable[[Array], Any] = lambda array: array
) -> Trainer:
    """Time the matrix products of each training step of a network with these widths, in NumPy or after `convert`.

    Each batch is a slice of the data, neither shuffled nor copied, since every program has to read the data.
    """
    rng = np.random.default_rng(0)
    W = [convert(rng.standard_normal(shape).astype(np.float32)) for shape in itertools.pairwise(widths)]
    Z = [convert(rng.standard_normal((batch_size, width)).astype(np.float32)) for width in widths[1:]]
    inner = list(zip(Z[:-1], W[1:], Z[1:], strict=True))

    def train(X: Array, y: Array, epochs: int) -> Run:
        X = convert(X)
        started = time.perf_counter()
        for _ in range(epochs):
            for start in range(0, len(X) - len(X) % batch_size, batch_size):
                x = X[start : start + batch_size]
                x @ W[0]
                for H, weight, _ in inner:
                    H @ weight
                # The gradients of the weights, and of the inputs of all layers but the first.
                for H, weight, G in inner:
                    H.T @ G, G @ weight.T
                x.T @ Z[0]
        return Run(time.perf_counter() - started, math.nan, 0)

    return train


ALL: dict[str, Callable[[Cell], Trainer]] = {
    OWN: nnkit_fit,
    "PyTorch eager": pytorch_eager,
    "PyTorch lean": pytorch_lean,
    "PyTorch fused": pytorch_fused,
    "PyTorch compiled": pytorch_compiled,
    "scikit-learn": sklearn_mlp,
    FLOOR: bare_products,
}
