"""The replication report: what the two sources say, what was measured here, and a verdict by rule for each of it.

`reported.toml` holds what the sources say. For each claim there, one function below returns what was measured, from the
stores in ``book/results`` or by a short computation, with the form that its verdict takes: a number, a comparison, or a
list of conditions. No verdict is typed.
"""

from __future__ import annotations

import functools
import itertools
import json
import math
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from IPython.display import Markdown
from scipy import stats

import nnkit as nn
from book.experiments._pictures import from_text
from book.measured import _spaced, interval, load_result
from book.verdicts import FAILED, OPPOSITE, VERDICTS, WEAKER, Comparison, Conditions, Number, prediction_interval
from nnkit.sweep import load_rows

BOOK = Path(__file__).resolve().parent
REPORTED: dict[str, Any] = tomllib.loads((BOOK / "reported.toml").read_text(encoding="utf-8"))
CONTRADICTIONS: list[dict[str, Any]] = REPORTED["contradiction"]

Outcome = Number | Comparison | Conditions


@dataclass(frozen=True)
class Claim:
    """One row of the report."""

    key: str
    entry: dict[str, Any] = field(repr=False)
    said: dict[str, Any] = field(repr=False)

    @property
    def chapter(self) -> str:
        return self.said.get("chapter", self.entry["chapter"])

    @property
    def outcome(self) -> Outcome:
        if self.key not in MEASURED:
            raise KeyError(f"nothing is measured for {self.key!r}; add a function for it to book/replication.py")
        return _outcome(self.key)

    @property
    def why(self) -> str:
        return MEASURED[self.key][1]


MEASURED: dict[str, tuple[Callable[[], Outcome], str]] = {}
"""Of each claim: the function that measures it, and the reason for what comes out."""


def measures(key: str, why: str) -> Callable[[Callable[[], Outcome]], Callable[[], Outcome]]:
    """Register the function that measures a claim."""

    def register(function: Callable[[], Outcome]) -> Callable[[], Outcome]:
        MEASURED[key] = function, why
        return function

    return register


@functools.cache
def _outcome(key: str) -> Outcome:
    return MEASURED[key][0]()


def claims() -> list[Claim]:
    """Return every claim of the transcription, in its order."""
    return [
        Claim(f"{source}.{name}.{claim}", entry, said)
        for source in "AB"
        for name, entry in REPORTED[source].items()
        for claim, said in entry["claims"].items()
    ]


def said(key: str) -> dict[str, Any]:
    """Return what the transcription holds of a claim, or of a figure or table."""
    source, name, *claim = key.split(".")
    entry = REPORTED[source][name]
    return entry["claims"][claim[0]] if claim else entry


# --- Reading the results ----------------------------------------------------------------------------------------------


@functools.cache
def store(name: str) -> list[dict[str, Any]]:
    """Return the rows of a sweep's store, those of one cell in the order of their seeds."""
    path = BOOK / "results" / f"{name}.jsonl"
    if not path.is_file():
        raise FileNotFoundError(f"there is no result {name!r}; python -m book.experiments.{name} makes it")
    return sorted(load_rows(path), key=lambda row: row["seed"])


@functools.cache
def result(name: str) -> list[dict[str, Any]]:
    """Return the rows of an experiment's result."""
    return load_result(name)["rows"]


def _benchmark(part: str) -> dict[str, Any]:
    """Return one part of the committed benchmark."""
    return json.loads((BOOK.parent / "benchmarks" / "results.json").read_text(encoding="utf-8"))[part]


def runs_of(name: str, **config: Any) -> list[dict[str, Any]]:
    """Return the results of all seeds of the cells that have these values."""
    found = [row["result"] for row in store(name) if config.items() <= _hashable(row["config"]).items()]
    if not found:
        raise LookupError(f"{name} holds no run of {config}")
    return found


def _hashable(config: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}


def spread(values: Any, form: str = ".3g") -> str:
    """Return the median of runs and where they lie, as text."""
    values = np.asarray(values, dtype=float)
    if len(values) == 1:
        return f"{values[0]:{form}} (one run)"
    return f"{np.median(values):{form}} ({values.min():{form}} to {values.max():{form}}, {len(values)} runs)"


def share(flags: Any, form: str = ".0%") -> str:
    """Return a share with its 95 % interval, as text."""
    estimate, low, high = interval(np.asarray(flags, dtype=bool))
    return f"{estimate:{form}} ({low:{form}} to {high:{form}})"


def of_shares(flags: Any) -> Callable[[float], tuple[float, float]]:
    """Return the interval of a share, as a function of the confidence."""
    return lambda confidence: interval(np.asarray(flags, dtype=bool), confidence)[1:]


def of_median(values: Any) -> Callable[[float], tuple[float, float]]:
    """Return the interval of a median, as a function of the confidence."""
    return lambda confidence: interval(values, confidence)[1:]


# --- Foundations ------------------------------------------------------------------------------------------------------


def _short(case: str) -> dict[str, np.ndarray]:
    """Return the columns of one of the short runs, one number a seed."""
    rows = [row for row in result("short_runs") if row["case"] == case]
    return {name: np.array([row[name] for row in rows]) for name in rows[0] if name != "case"}


@measures("A.fig2_linear_regression.loss_curve", "a bowl with one lowest point")
def _() -> Outcome:
    runs = _short("regression")
    fall, excess = runs["first"] / runs["after_20"], runs["last"] / runs["floor"] - 1
    text = f"falls {spread(fall, '.0f')} times lower in 20 epochs; ends {np.median(excess):.2%} above least squares"
    return Conditions((np.median(fall) > 5, np.median(excess) < 0.01), text)


@measures("A.fig2_linear_regression.worst_run", "the order of the last mini-batches matters more than the start")
def _() -> Outcome:
    excess = _short("regression")["last"] / _short("regression")["floor"] - 1
    return Conditions((excess.max() < 0.02,), f"above least squares: {spread(excess, '.2%')}")


@measures("A.fig3_linear_classification.loss_curve", "it falls, but the weights still grow: it has not converged")
def _() -> Outcome:
    runs = _short("classification")
    fall, above = runs["first"] / runs["after_20"], runs["last"] / runs["floor"]
    text = f"falls {np.median(fall):.1f} times lower in 20 epochs; ends at {spread(above, '.1f')} times the lowest"
    return Conditions((np.median(fall) > 2, np.median(above) < 1.1), text)


@measures("A.fig3_linear_classification.accuracy", "the clouds overlap; we take 97 % for nearly all")
def _() -> Outcome:
    right = _short("classification")["right"]
    return Comparison(of_median(right), spread(right, ".1%"), above=0.97)


@measures("A.fig3_linear_classification.worst_run", "the angle has not settled; the larger it is, the larger the loss")
def _() -> Outcome:
    runs = _short("classification")
    order = np.argsort(runs["last"])
    better, worse = (np.median(runs["angle"][half]) for half in (order[:12], order[13:]))
    text = (
        f"median angle to the best border {better:.0f} degrees in the better half of 25 runs, {worse:.0f} in the worse"
    )
    return Conditions((runs["right"].min() > 0.95, worse > better), text)


@measures("A.fig1_backprop.algorithm", "the steps are the chain rule, from the right end")
def _() -> Outcome:
    layers = (nn.Linear(6, 5, rng=0), nn.Tanh(), nn.Linear(5, 4, rng=1), nn.Sigmoid(), nn.Linear(4, 3, rng=2))
    x, target = np.random.default_rng(3).standard_normal((7, 6)), np.array([0, 1, 2, 0, 1, 2, 0])
    check = nn.check_gradients(nn.Sequential(*layers), x, loss=nn.CrossEntropyLoss(), target=target)
    text = f"{check.max_relative_error:.0e}, the largest error of a gradient in three layers"
    return Conditions((check.passed,), text)


@measures("A.fig6_activation.vanishing", "the factor is real; that it is the reason is not shown")
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
    return Conditions((ratio.min() > 2, None), text)


def _numeric_gradient(f: Callable[[], float], array: np.ndarray, eps: float) -> np.ndarray:
    gradient = np.zeros(array.shape)
    for i in np.ndindex(array.shape):
        original = array[i]
        array[i] = original + eps
        above = f()
        array[i] = original - eps
        below = f()
        array[i] = original
        gradient[i] = (above - below) / (2 * eps)
    return gradient


@functools.cache
def _dense_errors() -> np.ndarray:
    """Return the relative errors of weights and biases of table 1's layer, for 25 draws of its numbers."""

    def check(seed: int) -> list[float]:
        rng = np.random.default_rng(seed)
        layer = nn.Linear(3, 2, init="xavier_normal", rng=rng, dtype=np.float64)
        x, upstream = rng.standard_normal((2, 3)), rng.standard_normal((2, 2))
        layer(x)
        layer.backward(upstream)
        found = []
        for p in layer.parameters():
            numeric = _numeric_gradient(lambda: np.sum(upstream * layer(x)), p.data, 1e-7)
            larger = max(np.linalg.norm(p.grad), np.linalg.norm(numeric))
            found.append(float(np.linalg.norm(p.grad - numeric) / larger))
        return found

    return np.array([check(seed) for seed in range(25)])


for _name, _column, _why in (
    ("weights", 0, "which power of ten depends on the numbers drawn"),
    ("biases", 1, "as above; a dense layer is linear, so only rounding is left"),
):

    @measures(f"B.table1_dense_gradcheck.{_name}", _why)
    def _(name: str = _name, column: int = _column) -> Outcome:
        errors, text = _dense_errors()[:, column], f"{spread(_dense_errors()[:, column], '.0e')}; tolerance 1e-5"
        return Conditions(
            (errors.max() < 1e-5,), text, Number(errors, said(f"B.table1_dense_gradcheck.{name}")["number"], text)
        )


@measures("B.table2_activations.all_pass", "the largest error of any entry")
def _() -> Outcome:
    x = np.random.default_rng(1).standard_normal((4, 3))
    errors = {kind.__name__: nn.check_gradients(kind(), x, eps=1e-7) for kind in (nn.ReLU, nn.Sigmoid, nn.Tanh)}
    text = ", ".join(f"{name} {report.max_relative_error:.0e}" for name, report in errors.items())
    return Conditions((all(report.max_relative_error < 1e-5 for report in errors.values()),), text)


@measures("B.table3_mse.difference", "0 is what comes out when a formula is compared with itself")
def _() -> Outcome:
    own, numeric = [], []
    for seed in range(25):
        rng = np.random.default_rng(seed)
        pred, target = rng.standard_normal((3, 2)), rng.standard_normal((3, 2))
        loss = nn.MSELoss()
        loss(pred, target)
        computed = loss.backward()
        own.append(abs(computed - 2 / 6 * (pred - target)).max())
        numeric.append(abs(computed - _numeric_gradient(lambda f=loss, p=pred, t=target: f(p, t), pred, 1e-7)).max())
    text = f"against its own formula {max(own):.2g}; against central differences {spread(numeric, '.0e')}"
    return Conditions((max(own) == 0, max(numeric) == 0), text)


@measures("B.table3_mse.norm", "the gradient's norm is 2 times the root of loss / 6: its two numbers agree")
def _() -> Outcome:
    entry = said("B.table3_mse")
    norm = 2 * math.sqrt(entry["loss"] / 6)
    return Conditions((abs(norm - entry["gradient_norm"]) < 1e-6,), f"norm from its loss {norm:.6f}")


@measures("B.design.parts", "each is there, and central differences agree with its backward")
def _() -> Outcome:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, 3))
    modules = {
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
    there = [part for part in said("B.design")["parts"] if part in modules]
    checks = []
    for part in modules.values():
        if isinstance(part, nn.Loss):
            checks.append(nn.check_gradients(nn.Sequential(), x, loss=part, target=rng.random((4, 3))))
        elif isinstance(part, nn.Module):
            checks.append(nn.check_gradients(part, x))
    text = f"{len(there)} parts; {sum(map(bool, checks))} of {len(checks)} gradient checks pass"
    return Conditions((len(there) == len(said("B.design")["parts"]), all(checks)), text)


@measures("B.design.hidden", "what a framework hides is what these chapters derive")
def _() -> Outcome:
    rows = _benchmark("frameworks")["rows"]
    apart = max(row["largest_difference"]["PyTorch"] for row in rows)
    return Conditions((apart <= 1e-6,), f"PyTorch is within {apart:.0e} of our losses in {len(rows)} networks")


# --- XOR --------------------------------------------------------------------------------------------------------------

_XOR = np.array([0, 1, 1, 0])


def _xor(*, solved: bool) -> list[dict[str, Any]]:
    rows = [row for row in result("xor_seeds") if row["width"] == 4]
    return [row for row in rows if row["solved"]] if solved else rows


def _largest_errors() -> np.ndarray:
    return np.array([np.abs(np.array(row["predictions"]) - _XOR).max() for row in _xor(solved=True)])


@measures("B.table4_to_6_xor.initial_loss", "close to 0.25, the loss of answering one half")
def _() -> Outcome:
    initial = np.array([row["initial_loss"] for row in _xor(solved=False)])
    return Number(initial, said("B.table4_to_6_xor.initial_loss")["number"], spread(initial, ".3f"))


@measures(
    "B.table4_to_6_xor.final_loss", "ours is lower, so some part of the set-up must differ; no guess of ours fits"
)
def _() -> Outcome:
    final = np.array([row["final_loss"] for row in _xor(solved=True)])
    return Number(final, said("B.table4_to_6_xor.final_loss")["number"], f"solved: {spread(final, '.5f')}")


@measures("B.table4_to_6_xor.predictions", "a smaller loss, and so closer to 0 and 1")
def _() -> Outcome:
    rows = sorted(_xor(solved=True), key=lambda row: row["final_loss"])
    typical = ", ".join(f"{value:.4f}" for value in rows[len(rows) // 2]["predictions"])
    text = f"median run {typical}; largest error {spread(_largest_errors(), '.4f')}"
    return Number(_largest_errors(), said("B.table4_to_6_xor.predictions")["number"], text)


@measures("B.table4_to_6_xor.all_right", "one run cannot show that a few starts get stuck")
def _() -> Outcome:
    solved = [row["solved"] for row in _xor(solved=False)]
    return Comparison(of_shares(solved), f"in {share(solved, '.1%')} of {len(solved):,} runs", above=0.95)


@measures("B.table4_to_6_xor.largest_error", "near the 0.02 of its text, half of the 0.0401 of its own table")
def _() -> Outcome:
    errors, entry = _largest_errors(), said("B.table4_to_6_xor.largest_error")
    low, high = prediction_interval(errors)
    parts = tuple(low <= entry[name] <= high for name in ("claimed", "printed"))
    return Conditions(parts, spread(errors, ".4f"))


@measures(
    "B.table4_to_6_xor.first_thousand", "first a plateau near 0.25, whose length depends on the start, then a fall"
)
def _() -> Outcome:
    gone = _short("xor")["gone"]
    return Conditions((np.median(gone) > 0.9, gone.min() > 0.9), f"of the fall, by epoch 1,000: {spread(gone, '.0%')}")


@measures("B.table4_to_6_xor.smooth", "the full batch and a step that is small enough")
def _() -> Outcome:
    falls = _short("xor")["falls"]
    return Conditions((falls.min() == 1,), f"falls from epoch to epoch: {spread(falls, '.1%')} of the steps")


@measures("B.table4_to_6_xor.boundary", "no line separates them, so whatever does is no line")
def _() -> Outcome:
    solved = _short("xor")["solved"]
    return Conditions((solved.mean() > 0.8,), f"all four points right in {solved.sum()} of {len(solved)} runs")


@measures("A.fig4_xor_quadrants.sgd_few", "too few steps; the report does not say how many")
def _() -> Outcome:
    right = _short("quadrants, SGD")["right"]
    return Conditions((np.median(right) > 0.9,), spread(right, ".1%"))


@measures("A.fig4_xor_quadrants.adam_few", "fewer steps, but each adapts to its weight")
def _() -> Outcome:
    right = _short("quadrants, Adam")["right"]
    return Conditions((right.min() > 0.9,), spread(right, ".1%"))


@measures("A.fig4_xor_quadrants.sgd_many", "enough steps")
def _() -> Outcome:
    right = np.array([row["final_accuracy"] for row in result("xor_quadrants")])
    return Conditions((np.median(right) > 0.9,), spread(right, ".1%"))


# --- MNIST ------------------------------------------------------------------------------------------------------------


def _curve(name: str) -> np.ndarray:
    return np.array([row[name] for row in result("mnist_classifier")])


@measures("A.fig5_mnist.test_accuracy", "97 stands for anything that rounds to it; 20 epochs are our choice")
def _() -> Outcome:
    final, number = _curve("test_accuracy")[:, -1], said("A.fig5_mnist.test_accuracy")["number"]
    return Number(final, number, spread(final, ".2%"), "higher", 0.005, is_accuracy=True)


@measures("A.fig5_mnist.training_loss", "falls from each epoch to the next")
def _() -> Outcome:
    loss = nn.interquartile_mean(_curve("loss"))
    text = f"interquartile mean of 25 runs from {loss[0]:.3f} to {loss[-1]:.3f}"
    return Conditions(((np.diff(loss) < 0).all(),), text)


@measures("A.fig5_mnist.validation_loss", "the report does not say how many epochs it shows; at first both fall")
def _() -> Outcome:
    lowest = 1 + _curve("val_loss").argmin(axis=1)
    text = f"falls until epoch {spread(lowest, '.0f')}, then rises"
    return Conditions((lowest.min() > 2, lowest.min() == _curve("val_loss").shape[1]), text)


@measures("A.fig5_mnist.speed", "counted on test accuracy; counted from chance it would be still more")
def _() -> Outcome:
    points = _curve("test_accuracy")
    by = {n: (points[:, n - 1] - points[:, 0]) / (points[:, 19] - points[:, 0]) for n in (5, 10)}
    texts = ["{:.0%} ({:.0%} to {:.0%}) by epoch {}".format(*interval(gain), n) for n, gain in by.items()]
    return Comparison(of_median(by[5]), f"of the gain after epoch 1, {' and '.join(texts)}", above=0.5)


@measures("A.fig5_mnist.misclassified", "such digits are hard, whatever the start; whether they look so is for the eye")
def _() -> Outcome:
    rows = result("mnist_classifier")
    misread_by = np.bincount(np.concatenate([row["misread"] for row in rows]), minlength=10_000)
    hard = misread_by > len(rows) / 2
    part = misread_by[hard].sum() / misread_by.sum()
    text = f"{part:.0%} of all mistakes fall on the {hard.sum()} digits that most of {len(rows)} networks misread"
    return Conditions((part > 0.5, None), text)


def _best_steps() -> dict[str, np.ndarray]:
    from book.experiments.mnist_best import STEPS

    found = {}
    for step, cell in STEPS.items():
        runs = [row["result"] for row in store("mnist_best") if row["config"] == cell]
        found[step] = np.array([run["test_accuracy"][-1] for run in runs])
    return found


@measures("A.fig5_mnist.best_step", "width and a schedule above all")
def _() -> Outcome:
    best = max(_best_steps().values(), key=np.median)
    number = said("A.fig5_mnist.best_step")["number"]
    return Number(best, number, spread(best, ".2%"), "higher", 0.005, is_accuracy=True)


@functools.cache
def _sweeps(key: str = "test_accuracy") -> dict[str, list[np.ndarray]]:
    """Return of each figure the runs of its settings: one row a seed, one column an epoch, accuracies in percent."""
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
    """Return the p-value of a mean difference over pairs: how often signs at random make it as large."""
    D = np.asarray(D)
    signs = np.array(list(itertools.product([-1, 1], repeat=len(D))), dtype=np.int8)
    return float(np.mean(abs(signs @ D) / len(D) >= abs(D.mean()) - 1e-12))


@functools.cache
def sweep_claims() -> dict[str, tuple[np.ndarray, str]]:
    """Return of each claim on figures 6 to 9 the differences over pairs of runs, and "larger" or "alike"."""
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
"""How many percentage points apart two settings may be and still count as alike; chapter 7 chose it."""

_WHY_SWEEPS = {
    "fig6_activation.alike": "no difference shown, but one dip of Adam makes the interval wider than 0.2",
    "fig6_activation.tanh_first": "within luck",
    "fig6_activation.relu_sigmoid": "the same dip of one epoch hides a small difference",
    "fig6_activation.tanh_sigmoid": "probably true, and small",
    "fig7_batch_size.medium_best": "within luck: after 50 epochs the batch size hardly matters",
    "fig7_batch_size.highest": "within luck",
    "fig7_batch_size.small_vary": "within luck",
    "fig7_batch_size.large_worse": "within luck",
    "fig7_batch_size.varies_more": "within luck",
    "fig8_hidden_size.grows": "every run of the wider network is better than every run of the narrower",
    "fig8_hidden_size.marginal": "about a fifth of the remaining errors goes: more than our 0.2 points",
    "fig9_optimizer.adam_momentum": "within luck",
    "fig9_optimizer.momentum_sgd": "at this learning rate; most of it goes when SGD has its own",
    "fig9_optimizer.adam_steady": "its last epoch jitters most",
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


@measures(
    "A.fig6_activation.relu_cheaper", "whole epochs, several runs at a time; the matrix products are most of them"
)
def _() -> Outcome:
    relu, _, tanh = (np.median(runs, axis=1) for runs in _sweeps("seconds")["fig6"])
    ratio = tanh / relu
    low, high = prediction_interval(ratio)
    text = (
        f"an epoch with tanh takes {np.median(ratio):.2f} times as long ({low:.2f} to {high:.2f}, {len(ratio)} pairs)"
    )
    return Comparison(lambda coverage: prediction_interval(ratio, coverage), text, above=1)


@measures("A.fig9_optimizer.adam_always", "at the rate that suits each, chosen on validation digits, the lead is gone")
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
    """Return by how many points of test accuracy a remedy changes each seed's run, by the number of digits."""
    found: dict[tuple[str, int], dict[int, float]] = {}
    for row in store("mnist_regularization"):
        cell = found.setdefault((row["config"]["method"], row["config"]["n"]), {})
        cell[row["seed"]] = 100 * row["result"]["test_accuracy"]
    sizes = sorted({n for _, n in found})
    return {n: np.array([found[method, n][s] - found["none", n][s] for s in sorted(found["none", n])]) for n in sizes}


for _name, _method, _why in (
    ("dropout", "dropout 0.5", "helps with few digits; with all of them not in these few epochs"),
    ("batch_norm", "batch norm", "helps with some digits; with all of them its interval holds zero"),
):

    @measures(f"A.extensions_named.{_name}", _why)
    def _(method: str = _method) -> Outcome:
        cells = {n: interval(gain) for n, gain in _gains(method).items()}
        text = "; ".join(f"{m:+.2f} ({low:+.2f} to {high:+.2f}) with {n:,}" for n, (m, low, high) in cells.items())
        return Conditions(tuple(low > 0 for _, low, _ in cells.values()), f"points of accuracy: {text} digits")


@measures("A.extensions_named.gpu", "nnkit stays on NumPy; chapter 16 says where that ends")
def _() -> Outcome:
    return Conditions((None,), "not built")


@measures("A.extensions_named.lacks", "chapter 8 adds two of the three; NumPy computes on the processor alone")
def _() -> Outcome:
    there = [name for name in ("BatchNorm1d", "Dropout") if hasattr(nn, name)]
    return Conditions((not there, True), f"nnkit has {' and '.join(there)}, and no GPU")


# --- Autoencoders -----------------------------------------------------------------------------------------------------


@functools.cache
def _training() -> dict[str, list[dict[str, Any]]]:
    """Return the runs of source B's autoencoder: as stated, at a larger rate, and by our better set-up."""
    from book.experiments.autoencoder_training import CELLS

    return {
        name: [row["result"] for row in store("autoencoder_training") if row["config"] == cell]
        for name, cell in zip(("stated", "faster", "better"), CELLS.values(), strict=True)
    }


_TABLE_8: dict[str, tuple[Callable[[dict[str, Any]], float], str]] = {
    "first_loss": (lambda run: run["loss"][0], "the mean of the first epoch"),
    "final_loss": (lambda run: run["loss"][-1], "the steps are smaller than those of the report"),
    "final_val_loss": (lambda run: run["val_loss"][-1], "likewise"),
    "mse": (lambda run: run["test"]["mse"], "likewise; this was to be reached at the stated rate"),
    "mae": (lambda run: run["test"]["mae"], "likewise"),
    "bce": (lambda run: run["test"]["bce"], "likewise; the loss of perfect pictures is part of it"),
    "error_std": (lambda run: run["test"]["error_std"], "rises and falls with the error itself"),
    "range_preservation": (lambda run: run["test"]["range_preservation"], "two pixels of 11 million decide it"),
}

for _name, (_value, _why) in _TABLE_8.items():

    @measures(f"B.table7_8_autoencoder.{_name}", _why)
    def _(name: str = _name, value: Callable[[dict[str, Any]], float] = _value) -> Outcome:
        by = {kind: np.array([value(run) for run in runs]) for kind, runs in _training().items()}
        better = f"{by['better'].min():.5f} to {by['better'].max():.5f} by a better one ({len(by['better'])} runs)"
        text = f"{by['stated'][0]:.5f} as stated, {by['faster'][0]:.5f} at a rate of 0.5 (one run each); {better}"
        number = said(f"B.table7_8_autoencoder.{name}")["number"]
        return Number(by["stated"], number, text, "lower", 0.05 * number)


def _stated_and_faster() -> list[dict[str, Any]]:
    return [_training()["stated"][0], _training()["faster"][0]]


@measures("B.table7_8_autoencoder.smooth", "late in training the noise of the batches is larger than the progress")
def _() -> Outcome:
    falls = [np.mean(np.diff(run["loss"]) < 0) for run in _stated_and_faster()]
    text = f"falls in {falls[0]:.0%} and {falls[1]:.0%} of the steps from epoch to epoch (0.1 and 0.5)"
    return Conditions((min(falls) > 0.5, min(falls) == 1), text)


@measures("B.table7_8_autoencoder.validation", "50,400 digits are many for this network and plain SGD")
def _() -> Outcome:
    gaps = [run["val_loss"][-1] - run["loss"][-1] for run in _stated_and_faster()]
    lowest = [1 + int(np.argmin(run["val_loss"])) for run in _stated_and_faster()]
    text = f"at the end {gaps[0]:.5f} and {gaps[1]:.5f} above it; lowest at epochs {lowest[0]} and {lowest[1]}"
    return Conditions((max(gaps) < 0.003, min(lowest) > 700), text)


@measures("B.table7_8_autoencoder.convergence", "as stated it is still falling; with the larger rate, hardly")
def _() -> Outcome:
    last = [1 - run["val_loss"][799] / run["val_loss"][699] for run in _stated_and_faster()]
    text = f"the last 100 epochs lower the validation loss by {last[0]:.1%} and {last[1]:.1%}"
    return Conditions(tuple(drop < 0.01 for drop in last), text)


@measures("B.table7_8_autoencoder.shape", "and so for all five runs")
def _() -> Outcome:
    medians = [run["test"]["error_median"] / run["test"]["mse"] for runs in _training().values() for run in runs]
    return Conditions((max(medians) < 1,), f"median over mean: {spread(medians, '.2f')}")


@measures("B.table7_8_autoencoder.most_errors", "of 14,000 test digits")
def _() -> Outcome:
    below = [np.arange(14_000) < np.sum(run["test"]["histogram"][:20]) for run in _stated_and_faster()]
    text = f"{share(below[0], '.1%')} as stated, {share(below[1], '.1%')} at a rate of 0.5"
    return Comparison(of_shares(below[0]), text, above=0.5)


@measures(
    "B.table7_8_autoencoder.spread", "the reported numbers say the same: some digits come back far worse than others"
)
def _() -> Outcome:
    ratio = np.array([run["test"]["error_std"] / run["test"]["mse"] for runs in _training().values() for run in runs])
    text = f"standard deviation over mean: {spread(ratio, '.0%')}"
    return Comparison(lambda _: (float(ratio.min()), float(ratio.max())), text, below=0.5)


@measures("B.table7_8_autoencoder.identity", "read by a classifier; the same widths, another training")
def _() -> Outcome:
    clean, through = (
        np.array([run["Gaussian"]["accuracy"][0] for run in runs_of("denoising", method=method)])
        for method in ("nothing", "autoencoder, no noise")
    )
    text = f"{spread(through, '.1%')} of the reconstructions are read, {np.median(clean):.1%} of the digits"
    return Conditions((through.min() > 0.95,), text)


@measures("B.table7_8_autoencoder.compression", "counted in numbers; in bits it is less")
def _() -> Outcome:
    return Conditions(
        (round(1 - 32 / 784, 3) == 0.959, round(784 / 32, 1) == 24.5), f"{1 - 32 / 784:.1%}, {784 / 32:.1f} times"
    )


@functools.cache
def _grid() -> dict[str, Any]:
    """Return the tables of figure 10: medians over seeds, one row a size, one column a depth."""
    from book.experiments.autoencoder_grid import GRID

    sizes, depths, losses = GRID["latent"], GRID["depth"], GRID["loss"]

    def table(name: str, loss: str) -> np.ndarray:
        def cell(h: int, q: int) -> float:
            return float(np.median([run[name] for run in runs_of("autoencoder_grid", loss=loss, latent=h, depth=q)]))

        return np.array([[cell(h, q) for q in depths] for h in sizes])

    mse = {loss: table("test_mse", loss) for loss in losses}
    own = {"MSE": mse["MSE"], "cross-entropy": table("test_cross_entropy", "cross-entropy")}
    return {"mse": mse, "own": own}


@measures("A.fig10_latent_depth.larger", "the additional numbers may stay unused, and do not")
def _() -> Outcome:
    columns = np.hstack(list(_grid()["mse"].values()))
    removed = (columns[1:] < columns[:-1]).ravel()
    low, high = of_shares(removed)(0.95)
    text = f"better in {removed.sum()} of {removed.size} doublings (95 % interval {low:.0%} to {high:.0%})"
    return Conditions((removed.any(), removed.all()), text)


@measures("A.fig10_latent_depth.depth", "the larger the code, the fewer layers are best; the widths are ours")
def _() -> Outcome:
    rows = np.vstack(list(_grid()["mse"].values()))
    best = rows.argmin(axis=1) + 1
    in_range, worse = int((best >= 3).sum()), int((rows[:, 2:] > rows[:, 1:2]).sum())
    text = (
        f"3 to 5 in {in_range} of {len(best)} rows; but {worse} of {3 * len(best)} such networks are worse than depth 2"
    )
    return Conditions((2 * in_range > len(best), worse == 0 and in_range == len(best)), text)


@measures("A.fig10_latent_depth.plateau", "most of the gain is in the first bend")
def _() -> Outcome:
    rows = np.vstack(list(_grid()["mse"].values()))
    gain = np.median(1 - rows[:, 1:] / rows[:, :-1], axis=0)
    text = f"layers 2 to 5 remove {', '.join(f'{part:.0%}' for part in gain)} (medians of {len(rows)} rows)"
    return Conditions((gain[0] > 5 * gain[1:].max(),), text)


def _more_sensitive(tables: dict[str, np.ndarray], drop: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    drops = {loss: drop(table[:-1], table[1:]) for loss, table in tables.items()}
    return (drops["cross-entropy"] > drops["MSE"]).ravel()


for _name, _tables, _drop, _why in (
    ("sensitive", "own", lambda a, b: a - b, "its unit is larger"),
    ("sensitive_relative", "own", lambda a, b: 1 - b / a, "its floor does not fall"),
    ("sensitive_mse", "mse", lambda a, b: 1 - b / a, "the squared error leaves pixels that are sure and wrong"),
):

    @measures(f"A.fig10_latent_depth.{_name}", _why)
    def _(tables: str = _tables, drop: Callable[..., np.ndarray] = _drop) -> Outcome:
        more = _more_sensitive(_grid()[tables], drop)
        low, high = of_shares(more)(0.95)
        text = f"cross-entropy drops further in {more.sum()} of {more.size} doublings ({low:.0%} to {high:.0%})"
        return Comparison(of_shares(more), text, above=0.5)


def _total_variation(pictures: np.ndarray) -> np.ndarray:
    P = pictures.reshape(-1, 28, 28)
    return sum(np.abs(np.diff(P, axis=axis)).sum(axis=(1, 2)) for axis in (1, 2))


@measures("A.fig11_reconstructions.smoother", "detail that the code has no room for, rather than noise")
def _() -> Outcome:
    digits = next(row for row in result("autoencoder_baselines") if row["reconstruction"] == "itself")
    drawn = [
        runs_of("autoencoder_grid", loss=loss, latent=32, depth=5)[0]["ten_digits"] for loss in ("MSE", "cross-entropy")
    ]
    less = 1 - np.mean([_total_variation(from_text(text)) for text in drawn], axis=0) / _total_variation(
        from_text(digits["ten_digits"])
    )
    low, high = of_median(less)(0.95)
    text = f"{np.median(less):.0%} less total variation ({low:.0%} to {high:.0%}, ten digits)"
    return Comparison(of_median(less), text, above=0)


@measures("A.fig11_reconstructions.essential", "a judgement of the eye")
def _() -> Outcome:
    return Conditions((None,), "see the figure in the chapter")


# --- Codes ------------------------------------------------------------------------------------------------------------

PAIRS = list(itertools.combinations(range(10), 2))


def _of_pairs(table: Any) -> np.ndarray:
    return np.array([table[a][b] for a, b in PAIRS])


def _codes(method: str = "autoencoder", latent: int = 4) -> list[dict[str, Any]]:
    return runs_of("latent_codes", method=method, latent=latent)


@measures("A.fig12_tsne.clusters", "most neighbours share their class, but some classes overlap; the gaps are t-SNE's")
def _() -> Outcome:
    from sklearn.neighbors import NearestNeighbors

    from book.experiments.latent_maps import points_from_text
    from book.experiments.latent_walks import labels_from_text

    digit = labels_from_text(runs_of("latent_walks", method="pixels")[0]["labels"])
    right = []
    for run in (row["result"] for row in store("latent_maps")):
        points = points_from_text(run["points"])
        _, near = NearestNeighbors(n_neighbors=5).fit(points).kneighbors()
        votes = (digit[near][:, :, None] == np.arange(10)).sum(axis=1)
        right.append(np.mean(votes.argmax(axis=1) == digit))
    code = _codes()[0]
    gap = _of_pairs(code["centroid_distances"])[PAIRS.index((4, 9))]
    spreads = gap / np.sqrt((code["spread"][4] ** 2 + code["spread"][9] ** 2) / 2)
    text = (
        f"five read {min(right):.0%} to {max(right):.0%} on {len(right)} maps; 4 and 9 are {spreads:.1f} spreads apart"
    )
    return Conditions((min(right) > 0.8, spreads > 1), text)


@measures("A.fig12_tsne.neighbours", "4 and 9 come first in every code; the others, one code or map may not show")
def _() -> Outcome:
    named = [PAIRS.index(pair) for pair in ((4, 9), (3, 5), (3, 8), (5, 8))]

    def places(run: dict[str, Any]) -> list[int]:
        apart = _of_pairs(run["centroid_distances"])
        return [1 + int(np.sum(apart < apart[i])) for i in named]

    in_code = np.array([places(run) for run in _codes()])
    on_maps = np.array([places(row["result"]) for row in store("latent_maps")])
    text = (
        f"{share((in_code <= 10).ravel())} of the places in three codes are among the ten nearest of 45; "
        f"at worst {in_code.max()}, on the maps {on_maps.max()}"
    )
    return Conditions(tuple((in_code <= 10).ravel().tolist()), text)


@functools.cache
def _knn_confusions() -> list[np.ndarray]:
    """Return, for each code of 4 numbers, how often each digit (row) was taken for each (column)."""
    return [np.array(run["confusion"]) for run in _codes()]


def _right() -> np.ndarray:
    return np.array([run["accuracy"][4] for run in _codes()])


def mean_of_ten(right: Any) -> Any:
    """Return the mean of ten one-vs-rest accuracies: each wrong answer is wrong in two of the ten questions."""
    return 1 - 2 / 10 * (1 - np.asarray(right))


def _of_each_class(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the one-vs-rest accuracy and the F1 score of each class."""
    both, right = confusion.sum(axis=0) + confusion.sum(axis=1), np.diag(confusion)
    return 1 - (both - 2 * right) / confusion.sum(), 2 * right / both


@measures("A.table_knn.mean_of_ten", "the same formula on fewer errors; the source does not say how long it trained")
def _() -> Outcome:
    found = mean_of_ten(_right())
    return Number(found, said("A.table_knn.mean_of_ten")["number"], spread(found, ".2%"), "higher", is_accuracy=True)


@measures("A.table_knn.right", "as above")
def _() -> Outcome:
    return Number(_right(), said("A.table_knn.right")["number"], spread(_right(), ".2%"), "higher", is_accuracy=True)


@measures("A.table_knn.confirms", "the conclusion holds, by the right answers; this number could not have denied it")
def _() -> Outcome:
    ones = _knn_confusions()[0].sum(axis=1)[1] / 10_000
    for_nothing = mean_of_ten(ones)
    text = f'{spread(_right(), ".1%")} right; always "1" scores {for_nothing:.2%} by the mean of ten'
    return Conditions((_right().min() > 0.5, for_nothing < 0.5), text)


@measures("A.table_knn.one", "the highest of ten in each of our codes, also by F1")
def _() -> Outcome:
    accuracy, f1 = (np.array(found) for found in zip(*map(_of_each_class, _knn_confusions()), strict=True))
    parts = ((accuracy.argmax(axis=1) == 1).all(), (f1.argmax(axis=1) == 1).all())
    text, number = spread(accuracy[:, 1], ".2%"), said("A.table_knn.one")["number"]
    return Conditions(parts, text, Number(accuracy[:, 1], number, text, is_accuracy=True))


@measures("A.table_knn.five_three", "another code mixes up other digits; by recall its own counts name 5 and 9")
def _() -> Outcome:
    lowest = [np.argsort(_of_each_class(confusion)[0])[:2].tolist() for confusion in _knn_confusions()]
    text = "two lowest: " + "; ".join(f"{a} and {b}" for a, b in lowest)
    return Conditions((all(set(two) == {3, 5} for two in lowest),), text)


@measures("A.table_knn.sums", "the table is consistent, also with the printed accuracies")
def _() -> Outcome:
    entry = said("A.table_knn")
    counts = np.array([row[:4] for row in entry["counts"]])
    printed = np.array([row[4] for row in entry["counts"]])
    TP, FP, FN, TN = counts.T
    digits = _knn_confusions()[0].sum(axis=1)
    parts = (
        bool((counts.sum(axis=1) == 10_000).all()),
        bool(np.array_equal(counts.sum(axis=0), entry["total"][:4])),
        bool(np.allclose((TP + TN) / 10_000, printed, atol=5.1e-5)),
        bool(np.array_equal(TP + FN, digits)),
    )
    return Conditions(parts, f"{FP.sum():,} FP, {FN.sum():,} FN; rows sum to 10,000; TP + FN are MNIST's digits")


def _strangers(run: dict[str, Any]) -> tuple[int, int]:
    """Return how many centroids, and how many mixes of two, are read as another digit than theirs."""
    read = run["mixes_read"]
    return sum(read[c][c] != c for c in range(10)), sum(read[a][b] not in (a, b) for a, b in PAIRS)


def _walks() -> list[dict[str, Any]]:
    return runs_of("latent_walks", method="autoencoder", latent=4)


@measures("A.fig13_interpolation.centroids", "by the five nearest training digits")
def _() -> Outcome:
    themselves = [10 - _strangers(run)[0] for run in _walks()]
    return Conditions((min(themselves) >= 9,), f"{', '.join(map(str, themselves))} of 10 read as themselves")


@measures("A.fig13_interpolation.mixes", "smooth, as every decoder is; but the way leads through other digits")
def _() -> Outcome:
    thirds = [_strangers(run)[1] for run in _walks()]
    flags = np.arange(45 * len(thirds)) < sum(thirds)
    text = f"{', '.join(map(str, thirds))} of 45 mixes are read as a third digit, {share(flags)}"
    return Conditions((max(thirds) < 45 / 2, max(thirds) == 0), text)


@measures("A.fig13_interpolation.memorizing", "these errors are the evidence; the interpolation is none")
def _() -> Outcome:
    ratio = np.array([run["test_mse"] / run["train_mse"] for run in _walks()])
    text = f"error on new digits over that on its own: {spread(ratio, '.2f')}"
    return Conditions((ratio.max() < 1.1,), text)


@functools.cache
def _plane(space: str) -> dict[str, Any]:
    return runs_of("latent_pca", space=space)[0]


@measures("B.table7_8_autoencoder.variance", "two of 32; two of 784 pixels explain less")
def _() -> Outcome:
    part, of_pixels = (sum(_plane(space)["explained"][:2]) for space in ("autoencoder", "pixels"))
    return Conditions((part > of_pixels, part > 0.5), f"{part:.0%} (one network); of the pixels {of_pixels:.0%}")


@measures("B.table7_8_autoencoder.separated", "counted as the share of their own among ten neighbours in the plane")
def _() -> Outcome:
    own = np.diag(_plane("autoencoder")["in_plane"])
    best = set(np.argsort(-own)[:3].tolist())
    text = (
        f"{', '.join(f'{own[c]:.0%}' for c in (0, 1, 6))}; the three with the most: {', '.join(map(str, sorted(best)))}"
    )
    return Conditions(tuple(c in best for c in (0, 1, 6)), text)


@measures("B.table7_8_autoencoder.overlap", "in the plane; source B names no measure")
def _() -> Outcome:
    table = np.array(_plane("autoencoder")["in_plane"])
    shared = _of_pairs(table + table.T)
    place = [1 + int(np.sum(shared > shared[PAIRS.index(pair)])) for pair in ((4, 9), (3, 8))]
    return Conditions((max(place) <= 10,), f"places {place[0]} and {place[1]} of 45 by shared neighbours")


# --- Noise ------------------------------------------------------------------------------------------------------------

DENOISER = "autoencoder, sigma 0.2"


def _read(method: str, sigma: float) -> np.ndarray:
    """Return the share of test digits that the classifier reads after a remedy, for each seed."""
    return _read_at_all(method)[:, round(10 * sigma)]


def _read_at_all(method: str) -> np.ndarray:
    return np.array([run["Gaussian"]["accuracy"] for run in runs_of("denoising", method=method)])


def _kept_up_to(method: str, loss: float = 0.01) -> np.ndarray:
    """Return for each seed the strongest noise, between levels on a line, up to which no more accuracy is lost."""
    found = []
    for accuracy, floor in zip(_read_at_all(method), _read("nothing", 0) - loss, strict=True):
        i = int(np.argmax(accuracy < floor))
        found.append(0.1 * (i - (accuracy[i] - floor) / (accuracy[i] - accuracy[i - 1])) if i else 0.0)
    return np.array(found)


@measures("A.fig14_denoise.identity", "a little more than our one point is lost, some of it without any noise")
def _() -> Outcome:
    clean, read = _read("nothing", 0), _read(DENOISER, 0.2)
    text = f"{spread(read, '.1%')} are read, of the clean digits {np.median(clean):.1%}"
    return Conditions((read.min() > 0.9, bool((clean - read <= 0.01).all())), text)


@measures("A.fig15_denoise_hard.identifiable", "most of them; a clear picture can be of another digit")
def _() -> Outcome:
    clean, read = _read("nothing", 0), _read(DENOISER, 0.6)
    text = f"{spread(read, '.1%')} are read, of the clean digits {np.median(clean):.1%}"
    return Conditions((read.min() > 0.8, bool((clean - read <= 0.01).all())), text)


@measures("A.fig15_denoise_hard.generalization", "it beats filters that are set for 0.6, and has never seen 0.6")
def _() -> Outcome:
    from book.experiments.denoising import METHODS

    read = _read(DENOISER, 0.6)
    best = max(METHODS[1:4], key=lambda method: np.median(_read(method, 0.6)))
    text = f"{spread(read, '.1%')}; the best filter, {best}, {spread(_read(best, 0.6), '.1%')}"
    return Conditions((bool((read > _read(best, 0.6)).all()),), text)


@measures("A.fig15_denoise_hard.preserved", "the report gives no accuracy")
def _() -> Outcome:
    kept = _kept_up_to(DENOISER)
    return Conditions((bool((kept >= 0.6).all()),), f"kept to one point up to a noise of {spread(kept, '.2f')}")


@measures("A.fig15_denoise_hard.downstream", "far better than nothing; a classifier that trained on noise does better")
def _() -> Outcome:
    read, nothing, trained = (_read(name, 0.6) for name in (DENOISER, "nothing", "classifier, sigma 0 to 1"))
    text = f"at 0.6 {spread(read, '.1%')}; nothing {np.median(nothing):.1%}; trained on noise {np.median(trained):.1%}"
    return Conditions((bool((read > nothing).all()), bool((read >= trained).all())), text)


@measures("A.fig15_denoise_hard.eyes", "nobody was asked; judge from the figure")
def _() -> Outcome:
    text = f"a classifier reads {spread(_read('nothing', 0.6), '.1%')} of the noisy digits"
    return Conditions((None,), text)


# --- Support vector machines ------------------------------------------------------------------------------------------


def _rows_of_machines(features: str, n: int = 5000, limit: int = 2000) -> list[dict[str, Any]]:
    cell = {"features": features, "n": n, "kernel": "rbf", "max_iter": limit}
    return [row for row in store("svm_features") if row["config"] == cell]


@functools.cache
def _machines(features: str, n: int = 5000, limit: int = 2000) -> dict[str, np.ndarray]:
    """Return what source B's machine reaches on these features: one number a run, in the order of the seeds."""
    rows = _rows_of_machines(features, n, limit)
    confusions = [np.array(row["result"]["confusion"], dtype=float) for row in rows]
    f1 = np.array([2 * np.diag(C) / (C.sum(axis=0) + C.sum(axis=1)) for C in confusions])
    weights = np.array([C.sum(axis=1) / C.sum() for C in confusions])
    return {
        "accuracy": np.array([row["result"]["accuracy"] for row in rows]),
        "macro_f1": f1.mean(axis=1),
        "weighted_f1": (f1 * weights).sum(axis=1),
        "confusion": np.array(confusions),
        "seconds": np.array([row["seconds"] for row in rows]),
    }


for _name, _features, _measure, _why in (
    ("trained", "trained", "accuracy", "a code from a network that was trained"),
    ("untrained", "untrained", "accuracy", "what the network gives before it is trained: the reported number"),
    ("macro_f1", "trained", "macro_f1", "as its accuracy"),
    ("macro_f1_untrained", "untrained", "macro_f1", "as its accuracy"),
    ("weighted_f1", "trained", "weighted_f1", "as its accuracy"),
    ("weighted_f1_untrained", "untrained", "weighted_f1", "as its accuracy"),
    ("pixels", "pixels", "accuracy", "and so without choosing C or gamma"),
):

    @measures(f"B.table9_10_svm.{_name}", _why)
    def _(name: str = _name, features: str = _features, measure: str = _measure) -> Outcome:
        runs = _machines(features, 3000 if features == "pixels" else 5000)[measure]
        text = spread(runs, ".1%" if measure == "accuracy" else ".3f")
        return Number(runs, said(f"B.table9_10_svm.{name}")["number"], text, "higher", is_accuracy=True)


@measures(
    "B.table9_10_svm.costs",
    "the code of the published network, trained at a rate of 0.5, from which the digits are read better",
)
def _() -> Outcome:
    lost = 100 * (_machines("pixels", 3000)["accuracy"] - _machines("trained as published", limit=-1)["accuracy"])
    text = f"{np.median(lost):+.1f} points ({lost.min():+.1f} to {lost.max():+.1f}, {len(lost)} draws)"
    return Comparison(lambda _: (float(lost.min()), float(lost.max())), text, above=0)


@measures(
    "B.table9_10_svm.enough_steps", "some of the ten problems end before their gap closes, and it does not matter"
)
def _() -> Outcome:
    lost = 100 * (_machines("trained", limit=-1)["accuracy"] - _machines("trained")["accuracy"])
    text = f"the limit costs {np.median(lost):+.2f} points ({lost.min():+.2f} to {lost.max():+.2f}, {len(lost)} draws)"
    return Comparison(lambda _: (float(lost.min()), float(lost.max())), text, above=-0.5, below=0.5)


@measures("B.table9_10_svm.confusions", "counted among the three pairs that are mixed up most often")
def _() -> Outcome:
    C = _machines("trained as published", limit=-1)["confusion"].mean(axis=0)
    mixed = _of_pairs(C + C.T)
    most = [PAIRS[i] for i in np.argsort(mixed)[::-1][:3]]
    text = ", ".join(f"{a}/{b} ({mixed[PAIRS.index((a, b))]:.0f} times)" for a, b in most)
    return Conditions(((4, 9) in most, (3, 8) in most), f"{text}; mean of 5 draws")


def _feature_variances() -> dict[str, np.ndarray]:
    return {
        features: np.array([row["result"]["discriminative"]["variance"] for row in _rows_of_machines(features)])
        for features in ("trained", "untrained")
    }


@measures(
    "B.table9_10_svm.features", "its size is that of the weights, before and after training; neither of ours fits"
)
def _() -> Outcome:
    best = {name: found[:, 0] for name, found in _feature_variances().items()}
    text = f"trained {np.median(best['trained']):.3f} (one network); untrained {spread(best['untrained'], '.4f')}"
    return Number(best["untrained"], said("B.table9_10_svm.features")["number"], text)


@measures("B.table9_10_svm.telling", "which numbers they are depends on the start; how much they vary, on the training")
def _() -> Outcome:
    best = _rows_of_machines("trained as published", limit=-1)[0]["result"]["discriminative"]
    first, variance, reported = best["feature"][0], best["variance"][0], said("B.table9_10_svm.telling")["numbers"]
    text = f"{variance:.1f} in number {first}, of the published network trained at a rate of 0.5"
    return Conditions((first == reported[0], abs(variance / reported[1] - 1) < 0.5), text)


@measures("B.table9_10_svm.next_features", "its first is twice its second; ours fall more evenly")
def _() -> Outcome:
    ratio = {name: found[:, 1] / found[:, 0] for name, found in _feature_variances().items()}
    reported = said("B.table9_10_svm.next_features")["numbers"][0] / said("B.table9_10_svm.features")["number"]
    text = f"second over first: reported {reported:.2f}; trained {np.median(ratio['trained']):.2f}; "
    return Number(ratio["untrained"], reported, f"{text}untrained {spread(ratio['untrained'], '.2f')}")


@measures("B.table9_10_svm.faster", "with as many digits for both, in the committed benchmark")
def _() -> Outcome:
    benchmark = _benchmark("svm")
    times = {
        (row["case"], row["phase"]): np.array(row["seconds"]["nnkit"])
        for row in benchmark["rows"]
        if row["strategy"] == "ovr"
    }
    by = {phase: times["784 pixels", phase] / times["32-D code", phase] for phase in ("fit", "predict")}
    text = "; ".join(f"{phase} {np.median(t):.1f} times ({t.min():.1f} to {t.max():.1f})" for phase, t in by.items())
    return Conditions((bool(np.median(by["fit"]) > 1), bool(np.median(by["predict"]) > 1)), text)


@measures(
    "B.table9_10_svm.faster_with_more", "one matrix product gives our kernel, so 784 numbers cost little more than 32"
)
def _() -> Outcome:
    codes, pixels = _machines("trained")["seconds"], _machines("pixels", 3000)["seconds"]
    ratio = codes / pixels
    text = f"5,000 codes take {spread(ratio, '.2f')} of the time of 3,000 digits, prediction included"
    return Comparison(lambda _: (float(ratio.min()), float(ratio.max())), text, below=1)


# --- What contradicts itself ------------------------------------------------------------------------------------------


def _knn_counts() -> np.ndarray:
    return np.array([row[:4] for row in said("A.table_knn")["counts"]])


EVIDENCE: dict[str, Callable[[], str]] = {
    "A.knn_accuracy": lambda: (
        f"{_knn_counts()[:, 0].sum() / 10_000:.2%} right; mean of ten "
        f"{(_knn_counts()[:, 0] + _knn_counts()[:, 3]).mean() / 10_000:.2%}"
    ),
    "A.distinct_clusters": lambda: f"{_knn_counts()[:, 1].sum() / 10_000:.0%} of its digits get another's name",
    "A.five_and_three": lambda: (
        "lowest recall: "
        + " and ".join(map(str, np.argsort(_knn_counts()[:, 0] / (_knn_counts()[:, 0] + _knn_counts()[:, 2]))[:2]))
    ),
    "B.largest_error": lambda: (
        f"table 6 leaves at most {np.abs(np.array(_b_predictions()) - _XOR).max():.4f}, and a loss "
        f"of {np.mean(np.square(np.array(_b_predictions()) - _XOR)):.6f}"
    ),
    "B.learning_rate": lambda: "first epoch here: {:.4f} at 0.1, {:.4f} at 0.5".format(
        *(run["loss"][0] for run in _stated_and_faster())
    ),
    "B.spread": lambda: f"the standard deviation is {0.005112 / 0.008067:.0%} of the mean",
    "B.strong_accuracy": lambda: f"{(1 - 0.752) / (1 - 0.925):.1f} times the errors",
    "B.svm_samples": lambda: f"ratios {2000 / 500:.0f} and {5000 / 3000:.1f}",
    "B.mse_against_itself": lambda: _outcome("B.table3_mse.difference").text,
}
"""What code can add to a contradiction."""


def _b_predictions() -> list[float]:
    return said("B.table4_to_6_xor")["predictions"]


# --- The tables -------------------------------------------------------------------------------------------------------


def links() -> dict[str, str]:
    """Return the address of each chapter's page, as seen from a chapter."""
    return {path.stem: f"../{path.parent.name}/{path.name}" for path in sorted(BOOK.glob("part*/*.ipynb"))}


def _link(chapter: str) -> str:
    number, address = chapter[:2], links().get(chapter)
    return f"[{number}]({address})" if address else number


def shown(verdict: str) -> str:
    """Return a verdict as the report prints it: in its three words, and how it failed to replicate behind them."""
    return f"{FAILED}: {verdict}" if verdict in (WEAKER, OPPOSITE) else verdict


def report() -> Markdown:
    """Return the one table: every claim, what was reported and measured, the verdict and its reason."""
    lines = [
        "| What | Set-up, as stated | Reported | Measured here | Verdict | Why | Chapter |",
        "|---|---|---|---|---|---|---|",
    ]
    entry = None
    for claim in claims():
        setup = claim.entry["setup"] if claim.entry is not entry else "″"
        entry = claim.entry
        cells = (claim.said["what"], setup, claim.said["reported"], claim.outcome.text)
        verdict = f"**{shown(claim.outcome.verdict())}**"
        lines.append(f"| {' | '.join(cells)} | {verdict} | {claim.why} | {_link(claim.chapter)} |")
    return Markdown(_spaced("\n".join(lines)))


def contradictions() -> Markdown:
    """Return the table of what the sources say in two ways."""
    lines = ["| It says | But | Where | Checked | So | Chapter |", "|---|---|---|---|---|---|"]
    for item in CONTRADICTIONS:
        checked = EVIDENCE.get(item["id"], lambda: "in its words")()
        cells = (f"{item['id'][0]}: {item['says']}", item["but"], item["places"], checked, item["note"])
        lines.append(f"| {' | '.join(cells)} | {_link(item['chapter'])} |")
    return Markdown(_spaced("\n".join(lines)))


def counts(verdicts: list[str]) -> dict[str, int]:
    """Return how often each verdict occurs, in a fixed order."""
    return {name: verdicts.count(name) for name in VERDICTS}


def ratios(coverage: float = 0.95, tolerance: float | None = None) -> list[tuple[str, tuple[float, float, float], str]]:
    """Return of each reported number: its name, ours as multiples of it (middle and interval), and the verdict.

    Shares of right answers are turned into shares of errors, of which a ratio says more. A number that can be negative
    has no ratio and is left out.
    """
    found = []
    for claim in claims():
        number = claim.outcome if isinstance(claim.outcome, Number) else getattr(claim.outcome, "beside", None)
        if number is None:
            continue
        ends = np.array([np.median(number.runs), *number.interval(coverage)])
        ours, reported = (1 - ends, 1 - number.reported) if number.is_accuracy else (ends, number.reported)
        middle, low, high = ours / reported
        verdict = claim.outcome.verdict(coverage, tolerance)
        found.append((claim.said["what"], (float(middle), float(min(low, high)), float(max(low, high))), verdict))
    return found
