"""Report A, figure 4, with 20,000 points: train on the quadrants with plain SGD at 0.01 and many steps per epoch."""

from __future__ import annotations

from typing import Any

import numpy as np

import nnkit as nn
from book.experiments.shared.runs import over_seeds, record

N_POINTS = 20_000
EVERY = 4
SETUP = {
    "network": "2-8-2, sigmoid, xavier_normal",
    "loss": "cross-entropy",
    "optimizer": "SGD",
    "lr": 0.01,
    "epochs": 256,
    "batch": 32,
    "points": N_POINTS,
    "curves": f"every {EVERY}th epoch",
}


def train(seed: int) -> dict[str, Any]:
    """Train one network on the same points; return its curves, thinned out, and its final accuracy."""
    X, y = nn.make_xor(N_POINTS, rng=0)
    rng = np.random.default_rng(seed)
    model = nn.Sequential(
        nn.Linear(2, 8, init="xavier_normal", rng=rng), nn.Sigmoid(), nn.Linear(8, 2, init="xavier_normal", rng=rng)
    )
    optimizer = nn.SGD(model.parameters(), lr=0.01)
    history = nn.fit(
        model, nn.CrossEntropyLoss(), optimizer, X, y, epochs=256, batch_size=32, metrics=[nn.accuracy], rng=rng
    )
    return {
        "loss": [round(float(value), 4) for value in history["loss"][EVERY - 1 :: EVERY]],
        "accuracy": [round(float(value), 4) for value in history["accuracy"][EVERY - 1 :: EVERY]],
        "final_accuracy": round(nn.accuracy(y, nn.predict(model, X)), 5),
    }


if __name__ == "__main__":
    record("xor_quadrants", lambda: over_seeds(train, range(25)), setup=SETUP)
