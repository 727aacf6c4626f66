"""Source B, tables 4 to 6: how often does the 2-4-1 network learn XOR, over 1,000 random starts?"""

from __future__ import annotations

from typing import Any

import nnkit as nn
from book.experiments._run import over_seeds, record

SETUP = {"network": "2-4-1, tanh, sigmoid", "loss": "MSE", "optimizer": "SGD", "lr": 0.5, "epochs": 5000, "batch": 4}


def train(seed: int) -> dict[str, Any]:
    """Train one network; return its losses, its four predictions and whether all four fall on the right side."""
    X, y = nn.make_xor()
    target = y[:, None].astype("float32")
    model = nn.Sequential(
        nn.Linear(2, 4, init="xavier_normal", rng=seed), nn.Tanh(), nn.Linear(4, 1, init="xavier_normal", rng=seed + 10**6), nn.Sigmoid()
    )
    loss = nn.MSELoss()
    initial = nn.evaluate(model, loss, X, target)["loss"]
    nn.fit(model, loss, nn.SGD(model.parameters(), lr=0.5), X, target, epochs=5000, batch_size=4, rng=seed)
    prediction = nn.predict(model, X)[:, 0]
    return {
        "initial_loss": round(initial, 6),
        "final_loss": round(nn.evaluate(model, loss, X, target)["loss"], 8),
        "predictions": [round(float(value), 4) for value in prediction],
        "solved": bool(((prediction > 0.5) == y).all()),
    }


if __name__ == "__main__":
    record("xor_seeds", lambda: over_seeds(train, range(1000)), setup=SETUP)
