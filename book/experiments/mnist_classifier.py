"""Report A, figure 5: 784-64-32-10 on MNIST, ReLU, Adam at 0.001, batch 128; 20 epochs, 25 seeds.

Beyond the figure: which digits each network misclassifies, and how well its probabilities are calibrated before and
after fitting a temperature on the validation digits. The weights of the first network are kept for pages to draw on.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

import nnkit as nn
from book.experiments.shared.autoencoders import keep_weights
from book.experiments.shared.calibration import calibration_bins
from book.experiments.shared.calibration import calibration_error as expected_calibration_error
from book.experiments.shared.mnist import N_VALIDATION, OnTestDigits, network, right_of, trained, without_validation
from book.experiments.shared.runs import over_seeds, record

SETUP = {
    "network": "784-64-32-10, ReLU, kaiming_uniform",
    "loss": "cross-entropy",
    "optimizer": "Adam",
    "lr": 0.001,
    "batch": 128,
    "epochs": 20,
    "validation": f"the last {N_VALIDATION} training digits",
    "bins": 15,
}


def answers(y: Any, logits: Any) -> tuple[Any, Any]:
    """Return whether each prediction is right, and its probability."""
    P = nn.softmax(logits)
    return P.argmax(axis=1) == y, P.max(axis=1)


def mean_confidence(y: Any, logits: Any) -> float:
    """Return the mean probability of the predictions."""
    return float(answers(y, logits)[1].mean(dtype=np.float64))


def calibration_error(y: Any, logits: Any) -> float:
    """Return the mean gap between confidence and accuracy over the bins."""
    return expected_calibration_error(*answers(y, logits), n_bins=SETUP["bins"])


def calibration(y: Any, logits: Any) -> dict[str, Any]:
    """Return the loss, the calibration error and the sums in each bin."""
    count, confidence_sum, n_correct = calibration_bins(*answers(y, logits), n_bins=SETUP["bins"])
    return {
        "loss": round(nn.CrossEntropyLoss()(logits, y), 5),
        "calibration_error": round(calibration_error(y, logits), 5),
        "count": count.tolist(),
        "confidence_sum": confidence_sum.round(3).tolist(),
        "n_correct": n_correct.tolist(),
    }


def best_temperature(logits: Any, y: Any) -> float:
    """Return the number to divide the logits by for the lowest loss."""
    fit = minimize_scalar(lambda t: nn.CrossEntropyLoss()(logits / t, y), bounds=(0.2, 5.0), method="bounded")
    return float(fit.x)


def train(seed: int) -> dict[str, Any]:
    """Train one classifier; return its curves, its predictions for the test digits, and its calibration."""
    data = nn.load_mnist()
    digits, (X_val, y_val) = without_validation(data)
    rng = np.random.default_rng(seed)
    model = network([64, 32], rng)
    curves = trained(
        model,
        nn.Adam(model.parameters(), lr=1e-3),
        digits,
        OnTestDigits(data, metrics=[nn.accuracy, mean_confidence, calibration_error]),
        epochs=20,
        batch_size=128,
        validation_data=(X_val, y_val),
        metrics=[nn.accuracy],
        rng=rng,
    )
    if seed == 0:
        keep_weights("mnist_classifier", model, network=SETUP["network"], seed=seed)
    pred = nn.predict(model, data.X_test)
    temperature = best_temperature(nn.predict(model, X_val), y_val)
    return {
        **{name: [round(value, 5) for value in values] for name, values in curves.items()},
        "confusion": nn.confusion_matrix(data.y_test, pred, labels=range(10)).tolist(),
        "misread": np.flatnonzero(nn.predicted_classes(pred) != data.y_test).tolist(),
        "right": right_of(model, data),
        "temperature": round(temperature, 4),
        "calibration": {
            "as trained": calibration(data.y_test, pred),
            "scaled": calibration(data.y_test, pred / temperature),
        },
    }


if __name__ == "__main__":
    record("mnist_classifier", lambda: over_seeds(train, range(25)), setup=SETUP, data=nn.load_mnist())
