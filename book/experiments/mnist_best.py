"""The book's best fully connected network on MNIST, and the steps from the published one to it; 6 seeds each."""

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

STORE = results.RESULTS / "mnist_best.jsonl"
SEEDS = range(6)
SETUP = {
    "loss": "cross-entropy",
    "init": "kaiming_uniform",
    "activation": "ReLU",
    "optimizer": "Adam",
    "lr": 0.001,
    "batch": 128,
    "dropout": "0.2 of the pixels, 0.5 of the hidden units",
    "schedule": "cosine to 0 over all epochs",
    "validation": f"the last {N_VALIDATION} training digits, except in the last step, which trains on them too",
}

# Each step changes one thing in the step before it.
STEPS: dict[str, dict[str, Any]] = {}
STEPS["784-64-32-10"] = {
    "hidden": [64, 32],
    "cosine": False,
    "dropout": False,
    "batch_norm": False,
    "epochs": 20,
    "all_digits": False,
}
STEPS["two layers of 800"] = STEPS["784-64-32-10"] | {"hidden": [800, 800]}
STEPS["cosine schedule"] = STEPS["two layers of 800"] | {"cosine": True}
STEPS["dropout"] = STEPS["cosine schedule"] | {"dropout": True}
STEPS["30 epochs"] = STEPS["dropout"] | {"epochs": 30}
STEPS["batch norm"] = STEPS["30 epochs"] | {"batch_norm": True}
STEPS["all 60,000 digits"] = STEPS["batch norm"] | {"all_digits": True}


def train(
    hidden: list[int], cosine: bool, dropout: bool, batch_norm: bool, epochs: int, all_digits: bool, seed: int
) -> dict[str, Any]:
    """Train once; return the curves, and which test digits the final network gets right."""
    data = nn.load_mnist()
    rng = np.random.default_rng(seed)
    model = network(hidden, rng, dropout=(0.2, 0.5) if dropout else (0.0, 0.0), batch_norm=batch_norm)
    optimizer = nn.Adam(model.parameters(), lr=SETUP["lr"])
    digits, held_out = without_validation(data)
    curves = trained(
        model,
        optimizer,
        (data.X_train, data.y_train) if all_digits else digits,
        OnTestDigits(data),
        epochs=epochs,
        batch_size=SETUP["batch"],
        validation_data=None if all_digits else held_out,
        metrics=[nn.accuracy],
        scheduler=nn.CosineLR(optimizer, epochs) if cosine else None,
        rng=rng,
    )
    return {
        **{name: rounded(values) for name, values in curves.items()},
        "weight_norm": weight_norm(model),
        "right": right_of(model, data),
        **provenance.ran(__file__),
    }


def run() -> list[Row]:
    """Train every step with every seed, long runs first."""
    setup = on_mnist(SETUP)
    return sweep(train, list(reversed(STEPS.values())), SEEDS, store=STORE, setup=setup)


if __name__ == "__main__":
    run()
