"""Chapter 15, exercise on gamma: which multiple of "scale" is best for the codes, as they are and centred; 10 draws."""

from __future__ import annotations

from typing import Any

import numpy as np

import nnkit as nn
from book.experiments.shared.mnist import rounded
from book.experiments.shared.runs import on_mnist
from book.experiments.svm_features import encoded
from lab import provenance, results
from lab.sweep import Row, sweep

STORE = results.RESULTS / "svm_gamma.jsonl"
SEEDS = range(10)
GRID = {"centred": [False, True]}
FACTORS = [2 ** (step / 2) for step in range(-4, 13)]
"""A quarter to 64 times "scale", two to a doubling."""

N_DIGITS = 2000
SETUP = {
    "codes": "of the better autoencoder of autoencoder_training, as in svm_features",
    "C": 10.0,
    "factors": FACTORS,
    "digits": f"{N_DIGITS} to train on and {N_DIGITS} others to choose by, drawn by the seed from the training digits",
    "centred": "on the means of the digits to train on",
}


def train(centred: bool, seed: int) -> dict[str, Any]:
    """Train with every factor; return the share of the others that each gets right, and the variance behind "scale"."""
    data = nn.load_mnist()
    chosen = np.random.default_rng([seed, 0]).permutation(len(data.X_train))[: 2 * N_DIGITS]
    H, y = encoded("trained", data.X_train[chosen], chosen, seed), data.y_train[chosen]
    if centred:
        H = H - H[:N_DIGITS].mean(axis=0)
    (H, others), (y, y_others) = (np.split(part, [N_DIGITS]) for part in (H, y))
    variance = float(H.var(dtype=np.float64))
    scale = 1 / (H.shape[1] * variance)
    machines = [nn.SVC(SETUP["C"], gamma=scale * factor).fit(H, y) for factor in FACTORS]
    accuracy = [float(np.mean(machine.predict(others) == y_others)) for machine in machines]
    return {
        "accuracy": rounded(accuracy),
        "best": FACTORS[int(np.argmax(accuracy))],
        "variance": rounded([variance])[0],
        **provenance.ran(__file__),
    }


def run() -> list[Row]:
    """Measure both kinds of codes with every draw."""
    return sweep(train, GRID, SEEDS, store=STORE, setup=on_mnist(SETUP))


if __name__ == "__main__":
    run()
