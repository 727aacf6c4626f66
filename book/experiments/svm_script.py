"""Report B, tables 9 and 10, exactly as its repository computes them: encoders never trained, and trained ones."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import nnkit as nn
from book.experiments.shared.autoencoders import kept_encoder, pooled, report_b_network, split_indices
from book.experiments.shared.mnist import rounded
from book.experiments.shared.runs import sweep_cells
from lab import provenance, results
from lab.sweep import Row
from nnkit.typing import Array

STORE = results.RESULTS / "svm_script.jsonl"
CONFIGURATIONS: list[dict[str, Any]] = [
    {"C": 1.0, "kernel": "rbf"},
    {"C": 10.0, "kernel": "rbf"},
    {"C": 100.0, "kernel": "rbf"},
    {"C": 1.0, "kernel": "linear"},
]
SETUP = {
    "machine": "scikit-learn's SVC, one-vs-one, gamma scale, max_iter 2,000",
    "codes": "of 5,000 training digits, drawn by the seed, and standardized with them",
    "choice": "the configuration with the best accuracy on 2,000 of the test digits, drawn by the seed",
    "test": "all 14,000 test digits",
    "pixels": "C 1, 3,000 training digits, not standardized",
    "split": "that of autoencoder_training",
}
CELLS: list[tuple[dict[str, Any], range]] = [
    ({"features": "never trained"}, range(40)),
    ({"features": "trained as run"}, range(6)),
    ({"features": "pixels"}, range(6)),
]


def train(features: str, seed: int) -> dict[str, Any]:
    """Follow the script once; return its accuracy, and the codes' statistics that the repository prints."""
    X, y = pooled(nn.load_mnist())
    for_training, _, for_test = split_indices(y)
    rng = np.random.default_rng([seed, 0])
    chosen, choosing = rng.permutation(for_training), rng.permutation(for_test)[:2000]
    if features == "pixels":
        chosen = chosen[:3000]
        machine = fitted(X[chosen], y[chosen], **CONFIGURATIONS[0])
        return {**judged(machine, X[for_test], y[for_test]), **provenance.ran(__file__)}
    codes, chosen = encoded(features, X, seed), chosen[:5000]
    scaler = StandardScaler().fit(codes[chosen])
    Z = scaler.transform(codes).astype(np.float64)
    machines = [fitted(Z[chosen], y[chosen], **configuration) for configuration in CONFIGURATIONS]
    scores = [float(np.mean(machine.predict(Z[choosing]) == y[choosing])) for machine in machines]
    best = int(np.argmax(scores))
    return {
        **judged(machines[best], Z[for_test], y[for_test]),
        "chosen": CONFIGURATIONS[best],
        "choosing": scores,
        "code": {"training": statistics(codes[for_training]), "test": statistics(codes[for_test])},
        "variance": variances(codes[for_test], y[for_test]),
        **provenance.ran(__file__),
    }


def encoded(features: str, X: Array, seed: int) -> Array:
    """Return the codes of all digits, from an encoder as it is drawn or from one that `autoencoder_training` kept."""
    if features == "trained as run":
        return nn.predict(kept_encoder(seed), X)
    return report_b_network("as in the repository", np.random.default_rng([seed, 1])).encode(X)


def fitted(X: Array, y: Array, C: float, kernel: str) -> SVC:
    """Return scikit-learn's machine after at most 2,000 iterations, which here it often uses up."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return SVC(C=C, kernel=kernel, gamma="scale", max_iter=2000, random_state=42).fit(X, y)


def judged(machine: SVC, X: Array, y: Array) -> dict[str, Any]:
    """Return what the machine makes of the test digits, and how many of its 45 pairs used up their iterations."""
    predicted = machine.predict(X)
    return {
        "accuracy": round(float(np.mean(predicted == y)), 5),
        # Row: true digit, column: prediction.
        "confusion": nn.confusion_matrix(y, predicted, labels=range(10)).tolist(),
        "used_up": int(np.sum(machine.n_iter_ >= 2000)),
    }


def statistics(codes: Array) -> list[float]:
    """Return mean, standard deviation, least and greatest of all numbers of the codes."""
    codes = codes.astype(np.float64)
    return rounded([codes.mean(), codes.std(), codes.min(), codes.max()])


def variances(codes: Array, y: Array) -> list[float]:
    """Return the variance between the ten digits' means of the five numbers that vary most, as figure 11 shows."""
    means = np.array([codes[y == digit].mean(axis=0, dtype=np.float64) for digit in range(10)])
    return rounded(np.sort(means.var(axis=0))[::-1][:5])


def run() -> list[Row]:
    """Fill every cell with its seeds."""
    return sweep_cells(train, CELLS, store=STORE, setup=SETUP)


if __name__ == "__main__":
    run()
