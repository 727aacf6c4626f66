"""Source A, figures 6 to 9: activation, batch size, width and optimizer on MNIST; 50 epochs, 15 seeds a cell."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

import nnkit as nn
from book.experiments import _run
from book.experiments._mnist import N_VALIDATION, OnTestDigits
from nnkit.sweep import Row, sweep

STORE = _run.RESULTS / "mnist_sweeps.jsonl"
SEEDS = range(15)
SETUP = {
    "loss": "cross-entropy",
    "init": "kaiming_uniform",
    "epochs": 50,
    "validation": f"the last {N_VALIDATION} training digits",
}

# The network of figure 5, which every figure varies in one respect.
BASE: dict[str, Any] = {"activation": "ReLU", "hidden": [64, 32], "batch_size": 128, "optimizer": "Adam", "lr": 0.001}
FIGURES: dict[str, list[dict[str, Any]]] = {
    "fig6": [BASE | {"activation": name} for name in ("ReLU", "Sigmoid", "Tanh")],
    "fig7": [BASE | {"batch_size": size} for size in (8, 16, 32, 64, 128, 256)],
    "fig8": [BASE | {"hidden": [width, width]} for width in (16, 32, 64, 128)],
    # The source leaves the momentum open; 0.9 is the usual one.
    "fig9": [
        BASE | {"optimizer": "SGD", "lr": 0.01},
        BASE | {"optimizer": "SGD with momentum 0.9", "lr": 0.01},
        BASE,
    ],
}


def network(activation: str, hidden: list[int], rng: np.random.Generator) -> nn.Sequential:
    """Return a classifier with these hidden layers, the activation after each."""
    widths = [784, *hidden, 10]
    modules: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(widths):
        modules += [nn.Linear(n_in, n_out, rng=rng), getattr(nn, activation)()]
    return nn.Sequential(*modules[:-1])


def optimizer_for(name: str, model: nn.Module, lr: float) -> nn.Optimizer:
    """Return the optimizer of that name over the model's parameters."""
    if name == "SGD with momentum 0.9":
        return nn.SGD(model.parameters(), lr=lr, momentum=0.9)
    return {"SGD": nn.SGD, "Adam": nn.Adam}[name](model.parameters(), lr=lr)


def train(activation: str, hidden: list[int], batch_size: int, optimizer: str, lr: float, seed: int) -> dict[str, Any]:
    """Train once; return the curves of all three parts of the data, the seconds, and the length of the weights."""
    data = nn.load_mnist()
    rng = np.random.default_rng(seed)
    model = network(activation, hidden, rng)
    test = OnTestDigits(data)
    history = nn.fit(
        model,
        nn.CrossEntropyLoss(),
        optimizer_for(optimizer, model, lr),
        data.X_train[:-N_VALIDATION],
        data.y_train[:-N_VALIDATION],
        epochs=SETUP["epochs"],
        batch_size=batch_size,
        validation_data=(data.X_train[-N_VALIDATION:], data.y_train[-N_VALIDATION:]),
        metrics=[nn.accuracy],
        callbacks=[test],
        rng=rng,
    )
    curves = history.values | {f"test_{name}": [row[name] for row in test.records] for name in ("loss", "accuracy")}
    norm = np.sqrt(sum(float(np.sum(np.square(p.data, dtype=np.float64))) for p in model.parameters()))
    return {
        **{name: [float(f"{value:.5g}") for value in values] for name, values in curves.items()},
        "weight_norm": round(float(norm), 4),
        "commit": _run.commit(),
        "processor": _run.processor(),
    }


def run() -> list[Row]:
    """Train every cell of the four figures under every seed; cells that figures share are trained once."""
    data = nn.load_mnist()
    setup = SETUP | {"data": data.name, "data_sha256": _run.data_hash(data)}
    cells = [cell for cells in FIGURES.values() for cell in cells]
    return sweep(train, cells, SEEDS, store=STORE, setup=setup)


if __name__ == "__main__":
    run()
