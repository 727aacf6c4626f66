"""Source A, figure 5: 784-64-32-10 on MNIST, ReLU, Adam at 0.001, batch 128; 20 epochs, 25 seeds."""

from __future__ import annotations

from typing import Any

import numpy as np

import nnkit as nn
from book.experiments._mnist import N_VALIDATION, OnTestDigits
from book.experiments._run import over_seeds, record

SETUP = {
    "network": "784-64-32-10, ReLU, kaiming_uniform",
    "loss": "cross-entropy",
    "optimizer": "Adam",
    "lr": 0.001,
    "batch": 128,
    "epochs": 20,
    "validation": f"the last {N_VALIDATION} training digits",
}


def train(seed: int) -> dict[str, Any]:
    """Train one classifier; return its curves and what it says of the test digits."""
    data = nn.load_mnist()
    rng = np.random.default_rng(seed)
    model = nn.Sequential(
        nn.Linear(784, 64, rng=rng), nn.ReLU(), nn.Linear(64, 32, rng=rng), nn.ReLU(), nn.Linear(32, 10, rng=rng)
    )
    test = OnTestDigits(data)
    history = nn.fit(
        model,
        nn.CrossEntropyLoss(),
        nn.Adam(model.parameters(), lr=1e-3),
        data.X_train[:-N_VALIDATION],
        data.y_train[:-N_VALIDATION],
        epochs=20,
        batch_size=128,
        validation_data=(data.X_train[-N_VALIDATION:], data.y_train[-N_VALIDATION:]),
        metrics=[nn.accuracy],
        callbacks=[test],
        rng=rng,
    )
    pred = nn.predict(model, data.X_test)
    return {
        **{name: [round(value, 5) for value in values] for name, values in history.values.items()},
        "test_accuracy": [round(row["accuracy"], 4) for row in test.records],
        "confusion": nn.confusion_matrix(pred, data.y_test, 10).tolist(),
    }


if __name__ == "__main__":
    record("mnist_classifier", lambda: over_seeds(train, range(25)), setup=SETUP, data=nn.load_mnist())
