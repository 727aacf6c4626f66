"""Report B, tables 4 to 6: how many random starts learn XOR, for the 2-4-1 network and narrower ones."""

from __future__ import annotations

from typing import Any

import numpy as np

import nnkit as nn
from book.experiments.shared.runs import over_seeds, record

WIDTHS = {4: 1000, 3: 300, 2: 300, 1: 300}
SETUP = {
    "network": "2-width-1, tanh, sigmoid, xavier_normal",
    "loss": "MSE",
    "optimizer": "SGD",
    "lr": 0.5,
    "epochs": 5000,
    "batch": 4,
    "runs": {str(width): runs for width, runs in WIDTHS.items()},
}


def network(width: int, seed: int, activation: type[nn.Module] = nn.Tanh) -> nn.Sequential:
    """Return the source's network with a hidden layer of this width."""
    rng = np.random.default_rng(seed)
    return nn.Sequential(
        nn.Linear(2, width, init="xavier_normal", rng=rng),
        activation(),
        nn.Linear(width, 1, init="xavier_normal", rng=rng),
        nn.Sigmoid(),
    )


def train(width: int, seed: int, activation: type[nn.Module] = nn.Tanh) -> dict[str, Any]:
    """Train one network; return its losses, its four predictions, and whether all four are on the right side."""
    X, y = nn.make_xor()
    target = y[:, None].astype(np.float32)
    model, loss = network(width, seed, activation), nn.MSELoss()
    initial = nn.evaluate(model, loss, X, target)["loss"]
    nn.fit(model, loss, nn.SGD(model.parameters(), lr=0.5), X, target, epochs=5000, batch_size=4, rng=seed)
    prediction = nn.predict(model, X)[:, 0]
    return {
        "width": width,
        "initial_loss": round(initial, 5),
        "final_loss": round(nn.evaluate(model, loss, X, target)["loss"], 7),
        "predictions": [round(float(value), 4) for value in prediction],
        "solved": bool(((prediction > 0.5) == y).all()),
    }


def run() -> list[dict[str, Any]]:
    """Train every width with every seed."""
    rows = []
    for width, runs in WIDTHS.items():
        rows += over_seeds(lambda seed, width=width: train(width, seed), range(runs))
    return rows


if __name__ == "__main__":
    record("xor_seeds", run, setup=SETUP)
