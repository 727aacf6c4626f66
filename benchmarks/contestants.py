"""The same training, written for each library as its own users would write it.

Each function returns a timer: called, it trains from a fresh start and returns the seconds that it took. None means
that the library is not installed.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import itertools
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import nnkit as nn
from nnkit._checks import Array

Timer = Callable[[], float]
WIDTHS = (784, 64, 32, 10)


def has_torch() -> bool:
    """Return whether PyTorch can be imported."""
    return importlib.util.find_spec("torch") is not None


def versions() -> str:
    """Return the versions of the contestants."""
    packages = ["numpy", "scikit-learn", *(["torch"] if has_torch() else [])]
    return ", ".join(f"{package} {importlib.metadata.version(package)}" for package in packages)


def nnkit_fit(X: Array, y: Array, batch_size: int, epochs: int) -> Timer:
    """Time `nnkit.fit`, checks of its arguments included."""

    def timer() -> float:
        rng = np.random.default_rng(0)
        model = nn.Sequential(
            nn.Linear(784, 64, rng=rng), nn.ReLU(), nn.Linear(64, 32, rng=rng), nn.ReLU(), nn.Linear(32, 10, rng=rng)
        )
        optimizer = nn.Adam(model.parameters(), lr=1e-3)
        started = time.perf_counter()
        nn.fit(model, nn.CrossEntropyLoss(), optimizer, X, y, epochs=epochs, batch_size=batch_size, rng=rng)
        return time.perf_counter() - started

    return timer


def pytorch_lean(X: Array, y: Array, batch_size: int, epochs: int) -> Timer | None:
    """Time the leanest eager loop that we know: batches by index tensors, without a DataLoader."""
    if not has_torch():
        return None
    import torch

    inputs, targets = torch.from_numpy(X), torch.from_numpy(y)

    def batches() -> Iterator[tuple[Any, Any]]:
        order = torch.randperm(len(inputs))
        for start in range(0, len(inputs), batch_size):
            batch = order[start : start + batch_size]
            yield inputs[batch], targets[batch]

    return _pytorch_timer(batches, epochs)


def pytorch_eager(X: Array, y: Array, batch_size: int, epochs: int) -> Timer | None:
    """Time the loop that PyTorch's own tutorials write, over a DataLoader, as most users do."""
    if not has_torch():
        return None
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    loader = DataLoader(TensorDataset(torch.from_numpy(X), torch.from_numpy(y)), batch_size, shuffle=True)
    return _pytorch_timer(lambda: iter(loader), epochs)


def _pytorch_timer(batches: Callable[[], Iterator[tuple[Any, Any]]], epochs: int) -> Timer:
    import torch

    torch.set_num_threads(1)

    def timer() -> float:
        torch.manual_seed(0)
        layers: list[torch.nn.Module] = []
        for n_in, n_out in itertools.pairwise(WIDTHS):
            layers += [torch.nn.Linear(n_in, n_out), torch.nn.ReLU()]
        model = torch.nn.Sequential(*layers[:-1])
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        loss_function = torch.nn.CrossEntropyLoss()
        started = time.perf_counter()
        for _ in range(epochs):
            total, n = 0.0, 0
            for inputs, targets in batches():
                optimizer.zero_grad()
                loss = loss_function(model(inputs), targets)
                loss.backward()
                optimizer.step()
                # As fit does, and scikit-learn: the epoch's mean loss.
                total, n = total + loss.item() * len(inputs), n + len(inputs)
            assert 0 < total / n < 3  # ln 10 is 2.3: it has learned something.
        return time.perf_counter() - started

    return timer


def sklearn_mlp(X: Array, y: Array, batch_size: int, epochs: int) -> Timer:
    """Time `MLPClassifier.fit` with the same network and optimizer."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    def timer() -> float:
        classifier = MLPClassifier(WIDTHS[1:-1], batch_size=batch_size, max_iter=epochs, alpha=0, random_state=0)
        started = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            classifier.fit(X, y)
        return time.perf_counter() - started

    return timer


def bare_products(X: Array, y: Array, batch_size: int, epochs: int) -> Timer:
    """Time nothing but the eight matrix products of each training step: the floor for any program on this BLAS.

    Each batch is a stretch of the data itself, unshuffled and uncopied, since no program can train without reading it.
    """
    rng = np.random.default_rng(0)
    weights = [rng.standard_normal(shape).astype(np.float32) for shape in itertools.pairwise(WIDTHS)]
    outputs = [rng.standard_normal((batch_size, width)).astype(np.float32) for width in WIDTHS[1:]]

    def timer() -> float:
        (W1, W2, W3), (Z1, Z2, Z3) = weights, outputs
        started = time.perf_counter()
        for _ in range(epochs):
            for start in range(0, len(X) - len(X) % batch_size, batch_size):
                x = X[start : start + batch_size]
                # Forward; then the gradients of the weights, and of the inputs of all layers but the first.
                x @ W1, Z1 @ W2, Z2 @ W3
                Z2.T @ Z3, Z3 @ W3.T, Z1.T @ Z2, Z2 @ W2.T, x.T @ Z1
        return time.perf_counter() - started

    return timer


ALL: dict[str, Callable[[Array, Array, int, int], Timer | None]] = {
    "nnkit fit": nnkit_fit,
    "PyTorch eager": pytorch_eager,
    "PyTorch lean": pytorch_lean,
    "scikit-learn": sklearn_mlp,
    "bare products": bare_products,
}
