"""Report B's XOR network with other activations: how many of 100 random starts solve it, by width and activation."""

from __future__ import annotations

from typing import Any

import nnkit as nn
from book.experiments import xor_seeds
from book.experiments.shared.runs import over_seeds, record

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "Tanh": nn.Tanh,
    "Sigmoid": nn.Sigmoid,
    "ReLU": nn.ReLU,
    "LeakyReLU": nn.LeakyReLU,
}
WIDTHS = (1, 2, 3, 4, 8, 16)
RUNS = 100
SETUP = xor_seeds.SETUP | {
    "network": "2-width-1, activation, sigmoid, xavier_normal",
    "activations": list(ACTIVATIONS),
    "widths": list(WIDTHS),
    "runs": RUNS,
}


def train(activation: str, width: int, seed: int) -> dict[str, Any]:
    """Train one network; return whether it solves XOR, and its final loss."""
    row = xor_seeds.train(width, seed, ACTIVATIONS[activation])
    return {"activation": activation, "width": width, "solved": row["solved"], "final_loss": row["final_loss"]}


def run() -> list[dict[str, Any]]:
    """Train every activation and width with every seed."""
    rows = []
    for activation in ACTIVATIONS:
        for width in WIDTHS:
            rows += over_seeds(lambda seed, a=activation, w=width: train(a, w, seed), range(RUNS))
    return rows


if __name__ == "__main__":
    record("xor_activations", run, setup=SETUP)
