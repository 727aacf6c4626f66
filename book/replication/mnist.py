"""Measurements for the claims about the digit classifier and its sweeps."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats

import nnkit as nn
from book.replication.claim import Outcome, measures, said
from book.replication.outcomes import Comparison, Conditions, Number, prediction_interval
from book.replication.reading import of_median, result, spread, store
from lab.claims import interquartile_mean, interval


def _curve(name: str) -> np.ndarray:
    return np.array([row[name] for row in result("mnist_classifier")])


@measures("A.fig5_mnist.test_accuracy", "97 means anything that rounds to it; 20 epochs are our choice")
def _() -> Outcome:
    final, number = _curve("test_accuracy")[:, -1], said("A.fig5_mnist.test_accuracy")["number"]
    return Number(final, number, spread(final, ".2%"), "higher", 0.005, is_accuracy=True)


@measures("A.fig5_mnist.training_loss", "it falls in every epoch")
def _() -> Outcome:
    loss = interquartile_mean(_curve("loss"))
    text = f"interquartile mean of 25 runs from {loss[0]:.3f} to {loss[-1]:.3f}"
    return Conditions(((np.diff(loss) < 0).all(),), text)


@measures("A.fig5_mnist.validation_loss", "the report does not say how many epochs it shows; at first both fall")
def _() -> Outcome:
    lowest = 1 + _curve("val_loss").argmin(axis=1)
    text = f"falls until epoch {spread(lowest, '.0f')}, then rises"
    return Conditions((lowest.min() > 2, lowest.min() == _curve("val_loss").shape[1]), text)


@measures("A.fig5_mnist.speed", "counted on test accuracy after epoch 1; counted from chance, it would be even more")
def _() -> Outcome:
    points = _curve("test_accuracy")
    by = {n: (points[:, n - 1] - points[:, 0]) / (points[:, 19] - points[:, 0]) for n in (5, 10)}
    texts = ["{:.0%} ({:.0%} to {:.0%}) by epoch {}".format(*interval(gain), n) for n, gain in by.items()]
    return Comparison(of_median(by[5]), f"of the gain after epoch 1, {' and '.join(texts)}", above=0.5)


@measures(
    "A.fig5_mnist.misclassified",
    "such digits are hard for any initialization; whether they look so is a visual judgement",
)
def _() -> Outcome:
    rows = result("mnist_classifier")
    misread_by = np.bincount(np.concatenate([row["misread"] for row in rows]), minlength=10_000)
    hard = misread_by > len(rows) / 2
    part = misread_by[hard].sum() / misread_by.sum()
    text = f"{part:.0%} of all errors are on the {hard.sum()} digits that most of {len(rows)} networks misclassify"
    return Conditions((part > 0.5, None), text)


def _best_steps() -> dict[str, np.ndarray]:
    from book.experiments.mnist_best import STEPS

    found = {}
    for step, cell in STEPS.items():
        runs = [row["result"] for row in store("mnist_best") if row["config"] == cell]
        found[step] = np.array([run["test_accuracy"][-1] for run in runs])
    return found


@measures("A.fig5_mnist.best_step", "mainly through width and a schedule")
def _() -> Outcome:
    best = max(_best_steps().values(), key=np.median)
    number = said("A.fig5_mnist.best_step")["number"]
    return Number(best, number, spread(best, ".2%"), "higher", 0.005, is_accuracy=True)


@functools.cache
def _sweeps(key: str = "test_accuracy") -> dict[str, list[np.ndarray]]:
    """Return, for each figure, the runs of its settings: one row per seed, one column per epoch, in percent."""
    from book.experiments.mnist_sweeps import FIGURES

    def of(cell: dict[str, Any]) -> np.ndarray:
        curves = [row["result"][key] for row in store("mnist_sweeps") if row["config"] == cell]
        return np.array(curves) * (100 if "accuracy" in key else 1)

    return {figure: [of(cell) for cell in cells] for figure, cells in FIGURES.items()}


def _final(figure: str) -> list[np.ndarray]:
    return [runs[:, -1] for runs in _sweeps()[figure]]


def _distance(values: np.ndarray) -> np.ndarray:
    return abs(values - np.median(values))


def _mean_of(settings: dict[int, np.ndarray], names: tuple[int, ...]) -> np.ndarray:
    return np.mean([settings[name] for name in names], axis=0)


def sign_flip_test(D: Any) -> float:
    """Return the p-value of a mean paired difference: how often random signs make it at least as large."""
    D = np.asarray(D)
    signs = np.array(list(itertools.product([-1, 1], repeat=len(D))), dtype=np.int8)
    return float(np.mean(abs(signs @ D) / len(D) >= abs(D.mean()) - 1e-12))


@functools.cache
def sweep_claims() -> dict[str, tuple[np.ndarray, str]]:
    """Return, for each claim about figures 6 to 9, the differences over pairs of runs, and "larger" or "alike"."""
    relu, sigmoid, tanh = _final("fig6")
    batch = dict(zip((8, 16, 32, 64, 128, 256), _final("fig7"), strict=True))
    width = dict(zip((16, 32, 64, 128), _final("fig8"), strict=True))
    sgd, momentum, adam = _final("fig9")
    vary = {size: _distance(values) for size, values in batch.items()}
    return {
        "fig6_activation.alike": (tanh - relu, "alike"),
        "fig6_activation.tanh_first": (tanh - relu, "larger"),
        "fig6_activation.relu_sigmoid": (relu - sigmoid, "larger"),
        "fig6_activation.tanh_sigmoid": (tanh - sigmoid, "larger"),
        "fig7_batch_size.medium_best": (_mean_of(batch, (64, 128)) - _mean_of(batch, (8, 16, 32, 256)), "larger"),
        "fig7_batch_size.highest": (batch[64] - _mean_of(batch, (8, 16, 32, 128, 256)), "larger"),
        "fig7_batch_size.small_vary": (_mean_of(vary, (8, 16)) - _mean_of(vary, (32, 64, 128, 256)), "larger"),
        "fig7_batch_size.large_worse": (_mean_of(batch, (64, 128)) - batch[256], "larger"),
        "fig7_batch_size.varies_more": (vary[64] - vary[128], "larger"),
        "fig8_hidden_size.grows": (width[64] - width[16], "larger"),
        "fig8_hidden_size.marginal": (width[128] - width[64], "alike"),
        "fig9_optimizer.adam_momentum": (adam - momentum, "larger"),
        "fig9_optimizer.momentum_sgd": (momentum - sgd, "larger"),
        "fig9_optimizer.adam_steady": ((_distance(sgd) + _distance(momentum)) / 2 - _distance(adam), "larger"),
    }


MARGIN = 0.2
"""The largest difference in percentage points that still counts as alike; chosen in chapter 7."""

_WHY_SWEEPS = {
    "fig6_activation.alike": "no difference shown, but one dip of Adam makes the interval wider than 0.2",
    "fig6_activation.tanh_first": "within luck",
    "fig6_activation.relu_sigmoid": "the same dip of one epoch hides a small difference",
    "fig6_activation.tanh_sigmoid": "probably true, but small",
    "fig7_batch_size.medium_best": "within chance: after 50 epochs the batch size hardly matters",
    "fig7_batch_size.highest": "within luck",
    "fig7_batch_size.small_vary": "within luck",
    "fig7_batch_size.large_worse": "within luck",
    "fig7_batch_size.varies_more": "within luck",
    "fig8_hidden_size.grows": "every run of the wider network beats every run of the narrower one",
    "fig8_hidden_size.marginal": "about a fifth of the remaining errors disappear: more than our 0.2 points",
    "fig9_optimizer.adam_momentum": "within luck",
    "fig9_optimizer.momentum_sgd": "at this learning rate; most of it disappears with SGD's best rate",
    "fig9_optimizer.adam_steady": "its last epochs fluctuate most",
}


def of_mean(D: Any) -> Callable[[float], tuple[float, float]]:
    """Return the bootstrap interval of a mean, as a function of the confidence."""

    @functools.cache
    def at(confidence: float) -> tuple[float, float]:
        found = stats.bootstrap((D,), np.mean, confidence_level=confidence, rng=0).confidence_interval
        return float(found.low), float(found.high)

    return at


for _name, _why in _WHY_SWEEPS.items():

    @measures(f"A.{_name}", _why)
    def _(name: str = _name) -> Outcome:
        D, predicted = sweep_claims()[name]
        low, high = of_mean(D)(0.95)
        p = sign_flip_test(D)
        p_text = f"{p:.3f}" if p >= 0.001 else "0.001 or less"
        text = f"{D.mean():+.2f} points ({low:+.2f} to {high:+.2f}, {len(D)} pairs), p-value {p_text}"
        bounds = {"above": 0.0} if predicted == "larger" else {"above": -MARGIN, "below": MARGIN}
        return Comparison(of_mean(D), text, **bounds)


@measures("A.fig6_activation.relu_cheaper", "whole epochs, with several runs at a time; mostly matrix products")
def _() -> Outcome:
    relu, _, tanh = (np.median(runs, axis=1) for runs in _sweeps("seconds")["fig6"])
    ratio = tanh / relu
    low, high = prediction_interval(ratio)
    text = (
        f"an epoch with tanh takes {np.median(ratio):.2f} times as long ({low:.2f} to {high:.2f}, {len(ratio)} pairs)"
    )
    return Comparison(lambda coverage: prediction_interval(ratio, coverage), text, above=1)


@measures(
    "A.fig9_optimizer.adam_always", "with the best rate for each, chosen on validation digits, the lead disappears"
)
def _() -> Outcome:
    from book.experiments.mnist_sweeps import BASE, LEARNING_RATES

    tuned = {}
    for name, rates in LEARNING_RATES.items():
        cells = {
            lr: [
                row["result"] for row in store("mnist_sweeps") if row["config"] == BASE | {"optimizer": name, "lr": lr}
            ]
            for lr in rates
        }
        best = max(cells, key=lambda lr: np.median([run["val_accuracy"][-1] for run in cells[lr][:5]]))
        tuned[name] = 100 * np.array([run["test_accuracy"][-1] for run in cells[best][:5]])
    adam = tuned.pop("Adam")
    leads = {name: adam - values for name, values in tuned.items()}
    texts = [f"{np.median(D):+.2f} ({D.min():+.2f} to {D.max():+.2f}) over {name}" for name, D in leads.items()]
    parts = tuple(bool(D.min() > 0) for D in leads.values())
    return Conditions(parts, f"points of Adam, 5 pairs: {'; '.join(texts)}")


def _gains(method: str) -> dict[int, np.ndarray]:
    """Return the change in test accuracy, in points, from a remedy for each seed, by number of digits."""
    found: dict[tuple[str, int], dict[int, float]] = {}
    for row in store("mnist_regularization"):
        cell = found.setdefault((row["config"]["method"], row["config"]["n"]), {})
        cell[row["seed"]] = 100 * row["result"]["test_accuracy"]
    sizes = sorted({n for _, n in found})
    return {n: np.array([found[method, n][s] - found["none", n][s] for s in sorted(found["none", n])]) for n in sizes}


for _name, _method, _why in (
    ("dropout", "dropout 0.5", "helps with few digits, but not with all of them in so few epochs"),
    ("batch_norm", "batch norm", "helps with some numbers of digits; with all of them, its interval contains zero"),
):

    @measures(f"A.extensions_named.{_name}", _why)
    def _(method: str = _method) -> Outcome:
        cells = {n: interval(gain) for n, gain in _gains(method).items()}
        text = "; ".join(f"{m:+.2f} ({low:+.2f} to {high:+.2f}) with {n:,}" for n, (m, low, high) in cells.items())
        return Conditions(tuple(low > 0 for _, low, _ in cells.values()), f"points of accuracy: {text} digits")


@measures("A.extensions_named.gpu", "nnkit stays on NumPy; chapter 16 says where that ends")
def _() -> Outcome:
    return Conditions((None,), "not built")


@measures("A.extensions_named.lacks", "chapter 8 adds two of the three; NumPy runs only on the CPU")
def _() -> Outcome:
    there = [name for name in ("BatchNorm1d", "Dropout") if hasattr(nn, name)]
    return Conditions((not there, True), f"nnkit has {' and '.join(there)}, and no GPU")
