"""Report A, figures 6 to 9: activation, batch size, width and optimizer on MNIST; 50 epochs, 15 seeds per cell.

For a fair comparison also, with 5 seeds per cell: each optimizer at learning rates on both sides of its best one, and
each batch size with the learning rate scaled to it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import nnkit as nn
from book.experiments.shared.mnist import (
    N_VALIDATION,
    OnTestDigits,
    network,
    right_of,
    rounded,
    trained,
    weight_norm,
    without_validation,
)
from book.experiments.shared.runs import on_mnist
from lab import provenance, results
from lab.sweep import Row, sweep

STORE = results.RESULTS / "mnist_sweeps.jsonl"
SEEDS = range(15)
SETUP = {
    "loss": "cross-entropy",
    "init": "kaiming_uniform",
    "epochs": 50,
    "validation": f"the last {N_VALIDATION} training digits",
}

# The network of figure 5; every figure varies one aspect of it.
BASE: dict[str, Any] = {"activation": "ReLU", "hidden": [64, 32], "batch_size": 128, "optimizer": "Adam", "lr": 0.001}
FIGURES: dict[str, list[dict[str, Any]]] = {
    "fig6": [BASE | {"activation": name} for name in ("ReLU", "Sigmoid", "Tanh")],
    "fig7": [BASE | {"batch_size": size} for size in (8, 16, 32, 64, 128, 256)],
    "fig8": [BASE | {"hidden": [width, width]} for width in (16, 32, 64, 128)],
    # The source does not state the momentum; 0.9 is the usual value.
    "fig9": [
        BASE | {"optimizer": "SGD", "lr": 0.01},
        BASE | {"optimizer": "SGD with momentum 0.9", "lr": 0.01},
        BASE,
    ],
}

FAIR_SEEDS = range(5)
LEARNING_RATES: dict[str, tuple[float, ...]] = {
    "SGD": (0.01, 0.03, 0.1, 0.3, 1.0),
    "SGD with momentum 0.9": (0.001, 0.003, 0.01, 0.03, 0.1, 0.3),
    "Adam": (0.0001, 0.0003, 0.001, 0.003, 0.01),
}
SCALING = {"square root": 0.5, "linear": 1.0}
"""Scaling rules for the learning rate: it grows with this power of the batch size."""


def scaled(rule: str, batch_size: int) -> dict[str, Any]:
    """Return figure 7's cell for a batch size, with the learning rate scaled by a rule."""
    lr = BASE["lr"] * (batch_size / BASE["batch_size"]) ** SCALING[rule]
    return BASE | {"batch_size": batch_size, "lr": round(lr, 8)}


FAIR: dict[str, list[dict[str, Any]]] = {
    "learning_rates": [BASE | {"optimizer": name, "lr": lr} for name, rates in LEARNING_RATES.items() for lr in rates],
    "scaled": [scaled(rule, cell["batch_size"]) for rule in SCALING for cell in FIGURES["fig7"]],
}


def optimizer_for(name: str, model: nn.Module, lr: float) -> nn.Optimizer:
    """Return the optimizer of that name over the model's parameters."""
    if name == "SGD with momentum 0.9":
        return nn.SGD(model.parameters(), lr=lr, momentum=0.9)
    return {"SGD": nn.SGD, "Adam": nn.Adam}[name](model.parameters(), lr=lr)


def train(activation: str, hidden: list[int], batch_size: int, optimizer: str, lr: float, seed: int) -> dict[str, Any]:
    """Train once; return the curves, the norm of the weights, and which test digits the final network gets right."""
    data = nn.load_mnist()
    rng = np.random.default_rng(seed)
    model = network(hidden, rng, activation=activation)
    digits, held_out = without_validation(data)
    curves = trained(
        model,
        optimizer_for(optimizer, model, lr),
        digits,
        OnTestDigits(data),
        epochs=SETUP["epochs"],
        batch_size=batch_size,
        validation_data=held_out,
        metrics=[nn.accuracy],
        rng=rng,
    )
    return {
        # Accuracies are counts of up to 55,000; three digits of a loss or of a time are more than anyone reads.
        **{name: rounded(values, 5 if "accuracy" in name else 4) for name, values in curves.items()},
        "weight_norm": weight_norm(model),
        "right": right_of(model, data),
        **provenance.ran(__file__),
    }


def run() -> list[Row]:
    """Train every cell with every seed; cells shared by figures are trained once."""
    setup = on_mnist(SETUP)
    rows = []
    for parts, seeds in ((FIGURES, SEEDS), (FAIR, FAIR_SEEDS)):
        cells = [cell for cells in parts.values() for cell in cells]
        rows += sweep(train, cells, seeds, store=STORE, setup=setup)
    return rows


if __name__ == "__main__":
    run()
