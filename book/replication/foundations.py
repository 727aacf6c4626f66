"""Measurements for the claims of the first chapters: regression, classification, gradients, design."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

import nnkit as nn
from book.replication.claim import Outcome, measures, said
from book.replication.outcomes import Comparison, Conditions, Number
from book.replication.reading import benchmark, short_runs, spread


@measures("A.fig2_linear_regression.loss_curve", "a convex bowl with a single minimum")
def _() -> Outcome:
    runs = short_runs("regression")
    fall, excess = runs["first"] / runs["after_20"], runs["last"] / runs["floor"] - 1
    text = f"falls by a factor of {spread(fall, '.0f')} in 20 epochs; ends {np.median(excess):.2%} above least squares"
    wants = "in the median the loss falls more than 5 times in 20 epochs; it ends less than 1 % above least squares"
    return Conditions((np.median(fall) > 5, np.median(excess) < 0.01), text, wants)


@measures(
    "A.fig2_linear_regression.worst_run", "the order of the last mini-batches matters more than the initial weights"
)
def _() -> Outcome:
    excess = short_runs("regression")["last"] / short_runs("regression")["floor"] - 1
    wants = "every run ends less than 2 % above least squares"
    return Conditions((excess.max() < 0.02,), f"above least squares: {spread(excess, '.2%')}", wants)


@measures(
    "A.fig3_linear_classification.loss_curve", "it falls, but the weights are still growing: it has not converged"
)
def _() -> Outcome:
    runs = short_runs("classification")
    fall, above = runs["first"] / runs["after_20"], runs["last"] / runs["floor"]
    text = f"falls by a factor of {np.median(fall):.1f} in 20 epochs; ends at {spread(above, '.1f')} times the lowest"
    wants = "in the median the loss falls more than 2 times in 20 epochs; it ends below 1.1 times the lowest"
    return Conditions((np.median(fall) > 2, np.median(above) < 1.1), text, wants)


@measures("A.fig3_linear_classification.accuracy", "the clouds overlap; we take 97 % for nearly all")
def _() -> Outcome:
    right = short_runs("classification")["right"]
    return Comparison(right, spread(right, ".1%"), above=0.97, none=0.5)


@measures("A.fig3_linear_classification.worst_run", "the angle has not settled, and the loss grows with it")
def _() -> Outcome:
    runs = short_runs("classification")
    order = np.argsort(runs["last"])
    better, worse = (np.median(runs["angle"][half]) for half in (order[:12], order[13:]))
    text = f"median angle to the best boundary: {better:.0f} degrees in the better half of 25, {worse:.0f} in the worse"
    wants = "every run gets more than 95 % right; the half with the larger loss has the larger median angle"
    return Conditions((runs["right"].min() > 0.95, worse > better), text, wants)


@measures("A.fig1_backprop.algorithm", "the steps are the chain rule, starting from the output")
def _() -> Outcome:
    layers = (nn.Linear(6, 5, rng=0), nn.Tanh(), nn.Linear(5, 4, rng=1), nn.Sigmoid(), nn.Linear(4, 3, rng=2))
    x, target = np.random.default_rng(3).standard_normal((7, 6)), np.array([0, 1, 2, 0, 1, 2, 0])
    check = nn.check_gradients(nn.Sequential(*layers), x, loss=nn.CrossEntropyLoss(), target=target)
    text = f"{check.max_relative_error:.0e}, the largest gradient error in three layers"
    return Conditions((check.passed,), text, "every gradient agrees with central differences")


@measures("A.fig6_activation.vanishing", "the factor is real; that it is the cause is not shown")
def _() -> Outcome:
    def behind_two(activation: type[nn.Module], seed: int) -> float:
        rng = np.random.default_rng(seed)
        options = {"init": "xavier_normal", "rng": rng, "dtype": np.float64}
        model = nn.Sequential(*(part for _ in range(2) for part in (nn.Linear(64, 64, **options), activation())))
        out = model(rng.standard_normal((256, 64)))
        G = rng.standard_normal(out.shape)
        model[0].needs_input_grad = True
        return float(np.sqrt(np.mean(model.backward(G) ** 2) / np.mean(G**2)))

    ratio = np.array([behind_two(nn.Tanh, seed) / behind_two(nn.Sigmoid, seed) for seed in range(20)])
    text = f"behind two sigmoids the gradient is {spread(ratio, '.1f')} times smaller than behind two tanhs"
    wants = "in each of 20 networks the gradient is more than 2 times smaller; that this is the reason is not measured"
    return Conditions((ratio.min() > 2, None), text, wants)


def _numeric(value: Callable[[], float], array: np.ndarray) -> np.ndarray:
    """Return central differences with respect to every entry of an array, with report B's step."""
    entries = [nn.numeric_gradient(value, array, index, 1e-7) for index in np.ndindex(array.shape)]
    return np.reshape(entries, array.shape)


@functools.cache
def _dense_errors() -> np.ndarray:
    """Return the relative errors of table 1's weight and bias gradients, for 25 random draws of its numbers."""

    def check(seed: int) -> list[float]:
        rng = np.random.default_rng(seed)
        layer = nn.Linear(3, 2, init="xavier_normal", rng=rng, dtype=np.float64)
        x, upstream = rng.standard_normal((2, 3)), rng.standard_normal((2, 2))
        layer(x)
        layer.backward(upstream)
        found = []
        for p in layer.parameters():
            numeric = _numeric(lambda: np.sum(upstream * layer(x)), p.data)
            larger = max(np.linalg.norm(p.grad), np.linalg.norm(numeric))
            found.append(float(np.linalg.norm(p.grad - numeric) / larger))
        return found

    return np.array([check(seed) for seed in range(25)])


for _name, _column, _why in (
    ("weights", 0, "the power of ten depends on the random numbers"),
    ("biases", 1, "as above; a dense layer is linear, so only rounding is left"),
):

    @measures(f"B.table1_dense_gradcheck.{_name}", _why)
    def _(name: str = _name, column: int = _column) -> Outcome:
        errors, text = _dense_errors()[:, column], f"{spread(_dense_errors()[:, column], '.0e')}; tolerance 1e-5"
        beside = Number(errors, said(f"B.table1_dense_gradcheck.{name}")["number"], text)
        return Conditions((errors.max() < 1e-5,), text, "in each of 25 draws the error is below 1e-5", beside)


@measures("B.table2_activations.all_pass", "the largest error of any entry")
def _() -> Outcome:
    x = np.random.default_rng(1).standard_normal((4, 3))
    errors = {kind.__name__: nn.check_gradients(kind(), x, eps=1e-7) for kind in (nn.ReLU, nn.Sigmoid, nn.Tanh)}
    text = ", ".join(f"{name} {report.max_relative_error:.0e}" for name, report in errors.items())
    passed = all(report.max_relative_error < 1e-5 for report in errors.values())
    return Conditions((passed,), text, "every relative error is below 1e-5")


@measures("B.table3_mse.difference", "comparing a formula with itself gives 0")
def _() -> Outcome:
    own, numeric = [], []
    for seed in range(25):
        rng = np.random.default_rng(seed)
        pred, target = rng.standard_normal((3, 2)), rng.standard_normal((3, 2))
        loss = nn.MSELoss()
        loss(pred, target)
        computed = loss.backward()
        own.append(abs(computed - 2 / 6 * (pred - target)).max())
        numeric.append(abs(computed - _numeric(lambda f=loss, p=pred, t=target: f(p, t), pred)).max())
    text = f"against its own formula {max(own):.2g}; against central differences {spread(numeric, '.0e')}"
    wants = "the difference is 0 against its own formula; it is 0 against central differences"
    return Conditions((max(own) == 0, max(numeric) == 0), text, wants)


@measures("B.table3_mse.norm", "the gradient's norm is twice the root of loss / 6, so its two numbers agree")
def _() -> Outcome:
    entry = said("B.table3_mse")
    norm = 2 * math.sqrt(entry["loss"] / 6)
    wants = "the norm that follows from the loss differs by less than 1e-6"
    return Conditions((abs(norm - entry["gradient_norm"]) < 1e-6,), f"norm from its loss {norm:.6f}", wants)


def _parts() -> dict[str, Any]:
    """Return nnkit's counterpart of each part of report B's library."""
    return {
        "Layer": nn.Module,
        "Dense": nn.Linear(3, 2, rng=0),
        "ReLU": nn.ReLU(),
        "Sigmoid": nn.Sigmoid(),
        "Tanh": nn.Tanh(),
        "Softmax": nn.Softmax(),
        "MSE": nn.MSELoss(),
        "BCE with logits": nn.BCEWithLogitsLoss(),
        "SGD": nn.SGD,
        "Sequential": nn.Sequential(nn.Linear(3, 4, rng=0), nn.Tanh(), nn.Linear(4, 2, rng=1)),
        "Xavier/Glorot normal": nn.Linear(3, 2, init="xavier_normal", rng=0),
    }


@measures("B.design.parts", "each exists in nnkit")
def _() -> Outcome:
    there = [part for part in said("B.design")["parts"] if part in _parts()]
    wants = "nnkit has each part"
    return Conditions((len(there) == len(said("B.design")["parts"]),), f"{len(there)} parts", wants)


@measures("B.design.components", "ours are correct; its own checks leave out softmax and the loss of its autoencoder")
def _() -> Outcome:
    rng = np.random.default_rng(0)
    x, target = rng.standard_normal((4, 3)), rng.random((4, 3))
    checks = {}
    for name in ("Dense", "ReLU", "Sigmoid", "Tanh", "Softmax", "MSE", "BCE with logits"):
        part = _parts()[name]
        if isinstance(part, nn.Loss):
            checks[name] = bool(nn.check_gradients(nn.Sequential(), x, loss=part, target=target))
        else:
            checks[name] = bool(nn.check_gradients(part, x))
    own = [name for name in checks if name in said("B.design")["checked"]]
    text = f"{sum(checks.values())} of {len(checks)} gradients of ours are right; the report checks {len(own)} of them"
    wants = "each part's gradient agrees with central differences in nnkit; the report's own checks name each"
    return Conditions((all(checks.values()), len(own) == len(checks)), text, wants)


@measures("B.design.hidden", "these chapters derive what a framework hides")
def _() -> Outcome:
    rows = benchmark("frameworks")["rows"]
    apart = max(row["largest_difference"]["PyTorch"] for row in rows)
    text = f"PyTorch is within {apart:.0e} of our losses in {len(rows)} networks"
    return Conditions((apart <= 1e-6,), text, "the losses of PyTorch and nnkit differ by at most 1e-6")


@measures("B.design.logits", "the sigmoid of a large logit rounds to 1, and the logarithm of what is left is infinite")
def _() -> Outcome:
    logits = np.array([[-1000.0, -50.0, 50.0, 1000.0]], dtype=np.float32)
    wrong = (logits < 0).astype(np.float32)  # Sure and wrong: each loss is as large as its logit.
    with np.errstate(all="ignore"):
        p = 1 / (1 + np.exp(-logits))
        by_sigmoid = -wrong * np.log(p) - (1 - wrong) * np.log(1 - p)
    loss = nn.BCEWithLogitsLoss()
    right = loss(logits, wrong) == np.abs(logits).mean() and bool(np.isfinite(loss.backward()).all())
    lost = int(np.sum(~np.isclose(by_sigmoid, np.abs(logits), rtol=1e-3)))
    text = (
        f"of 4 losses up to 1,000, sigmoid and logarithm miss {lost}; from logits {'none' if right else 'some'} is off"
    )
    wants = "from logits the loss is exact and its gradient finite; by sigmoid and logarithm some losses are not"
    return Conditions((right, lost > 0), text, wants)


def _gradient_left(init: str, seed: int) -> float:
    """Return the gradient behind the first layer of report B's autoencoder, relative to that behind its last."""
    rng = np.random.default_rng(seed)
    model = nn.Autoencoder.symmetric([784, 256, 128, 64, 32], rng=rng)
    for p in model.parameters():
        if p.data.ndim == 2:
            std = math.sqrt(2 / sum(p.data.shape)) if init == "Xavier" else float(init)
            p.data[...] = rng.normal(0, std, p.data.shape)
    x, loss = rng.random((64, 784), dtype=np.float32), nn.BCEWithLogitsLoss()
    loss(model(x), x)
    model.backward(loss.backward())
    # What arrives behind a layer, summed over the batch, is the gradient of its biases.
    first, *_, last = (np.sqrt(np.mean(p.grad**2)) for p in model.parameters() if p.data.ndim == 1)
    return float(first / last)


@measures("B.design.xavier", "some is lost, since Xavier's rule does not count what each ReLU drops, as He's does")
def _() -> Outcome:
    left = {init: np.array([_gradient_left(init, seed) for seed in range(20)]) for init in ("Xavier", "0.01", "1")}
    by = ", ".join(f"{np.median(found):.1g} by {name}" for name, found in left.items())
    text = f"gradient behind the first of 8 layers over that behind the last: {by} (medians of 20 networks)"
    parts = (left["0.01"].max() < 0.1 < left["Xavier"].min(), left["Xavier"].max() < 10 < left["1"].min())
    wants = "it stays above a tenth, unlike by weights of 0.01; below 10, unlike by weights of 1"
    return Conditions(parts, text, wants)
