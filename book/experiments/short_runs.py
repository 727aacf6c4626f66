"""The short runs of chapters 1, 2 and 5, repeated so that the replication report can read them."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

import nnkit as nn
from book.experiments import xor_seeds
from book.experiments.shared.runs import over_seeds, record

SETUP = {
    "regression": "report A, figure 2: 100 points, SGD, rate 0.01, batch 32, 200 epochs",
    "classification": "report A, figure 3: 200 points, cross-entropy, SGD, rate 0.01, batch 32, 256 epochs",
    "quadrants": "report A, figure 4: 400 points, 2-8-2, sigmoid, xavier_normal, rate 0.01, batch 32, 256 epochs",
    "xor": "report B, figures 2 and 3: the network of xor_seeds",
    "runs": 25,
}


def regression(seed: int) -> dict[str, Any]:
    """Fit a line; return its losses, and the least-squares loss."""
    X, y = nn.make_linear(100, slope=2.0, intercept=-1.0, noise=0.5, rng=0)
    rng = np.random.default_rng(seed)
    model = nn.Linear(1, 1, rng=rng)
    optimizer = nn.SGD(model.parameters(), lr=0.01)
    loss = nn.fit(model, nn.MSELoss(), optimizer, X, y, epochs=200, batch_size=32, rng=rng)["loss"]
    A = np.column_stack([X.astype(float), np.ones(len(X))])
    best, *_ = np.linalg.lstsq(A, y[:, 0].astype(float))
    return _at(loss) | {"floor": round(float(np.mean((A @ best - y[:, 0]) ** 2)), 6)}


def classification(seed: int) -> dict[str, Any]:
    """Train a linear classifier; return its losses, its accuracy, the angle to the best boundary, and the best loss."""
    X, y = nn.make_blobs(200, rng=0)
    rng = np.random.default_rng(seed)
    model = nn.Linear(2, 2, rng=rng)
    optimizer = nn.SGD(model.parameters(), lr=0.01)
    loss = nn.fit(model, nn.CrossEntropyLoss(), optimizer, X, y, epochs=256, batch_size=32, rng=rng)["loss"]
    best = LogisticRegression(C=np.inf, tol=1e-8).fit(X, y)
    floor = nn.CrossEntropyLoss()(np.column_stack([np.zeros(200), best.decision_function(X)]), y)
    ours, ideal = model.weight.data[:, 1] - model.weight.data[:, 0], best.coef_[0]
    cosine = ours @ ideal / np.linalg.norm(ours) / np.linalg.norm(ideal)
    return _at(loss) | {
        "right": nn.accuracy(y, model(X)),
        "angle": round(float(np.degrees(np.arccos(min(cosine, 1.0)))), 2),
        "floor": round(float(floor), 6),
    }


def quadrants(kind: type[nn.Optimizer], seed: int) -> dict[str, Any]:
    """Train on the four quadrants; return the accuracy."""
    X, y = nn.make_xor(400, rng=0)
    rng = np.random.default_rng(seed)
    first, last = (nn.Linear(a, b, init="xavier_normal", rng=rng) for a, b in ((2, 8), (8, 2)))
    model = nn.Sequential(first, nn.Sigmoid(), last)
    optimizer = kind(model.parameters(), lr=0.01)
    nn.fit(model, nn.CrossEntropyLoss(), optimizer, X, y, epochs=256, batch_size=32, rng=rng)
    return {"right": nn.accuracy(y, nn.predict(model, X))}


def xor(seed: int) -> dict[str, Any]:
    """Train report B's network; return how much of the loss is gone by epoch 1,000, and how many steps lower it."""
    X, y = nn.make_xor()
    model = xor_seeds.network(4, seed)
    optimizer, target = nn.SGD(model.parameters(), lr=0.5), y[:, None].astype(np.float32)
    loss = nn.fit(model, nn.MSELoss(), optimizer, X, target, epochs=5000, batch_size=4, rng=seed)["loss"]
    return {
        "gone": round(float((loss[0] - loss[999]) / (loss[0] - loss[-1])), 5),
        # The last digits in float32 fluctuate.
        "falls": float(np.mean(np.diff(loss) <= 1e-6)),
        "solved": bool(((nn.predict(model, X)[:, 0] > 0.5) == y).all()),
    }


def _at(loss: np.ndarray) -> dict[str, float]:
    return {"first": round(float(loss[0]), 6), "after_20": round(float(loss[19]), 6), "last": round(float(loss[-1]), 6)}


CASES = {
    "regression": regression,
    "classification": classification,
    "quadrants, SGD": lambda seed: quadrants(nn.SGD, seed),
    "quadrants, Adam": lambda seed: quadrants(nn.Adam, seed),
    "xor": xor,
}


def run() -> list[dict[str, Any]]:
    """Train every case with every seed."""
    rows = []
    for name, train in CASES.items():
        rows += [{"case": name, **row} for row in over_seeds(train, range(SETUP["runs"]))]
    return rows


if __name__ == "__main__":
    record("short_runs", run, setup=SETUP)
