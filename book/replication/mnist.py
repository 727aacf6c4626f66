"""Measurements for the claims about the digit classifier and its sweeps."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import nnkit as nn
from book.replication.claim import Outcome, measures, outcome, said
from book.replication.outcomes import Comparison, Conditions, Number
from book.replication.reading import of_runs, result, spread, store
from lab.claims import holm, interquartile_mean, interval
from lab.verdicts import Verdict


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
    return Conditions(((np.diff(loss) < 0).all(),), text, "the interquartile mean falls in every epoch")


@measures("A.fig5_mnist.validation_loss", "the report does not say how many epochs it shows; at first both fall")
def _() -> Outcome:
    lowest = 1 + _curve("val_loss").argmin(axis=1)
    text = f"falls until epoch {spread(lowest, '.0f')}, then rises"
    wants = "in every run it falls for more than 2 epochs; to the last one"
    return Conditions((lowest.min() > 2, lowest.min() == _curve("val_loss").shape[1]), text, wants)


@measures("A.fig5_mnist.speed", "counted on test accuracy after epoch 1; counted from chance, it would be even more")
def _() -> Outcome:
    points = _curve("test_accuracy")
    by = {n: (points[:, n - 1] - points[:, 0]) / (points[:, 19] - points[:, 0]) for n in (5, 10)}
    texts = ["{:.0%} ({:.0%} to {:.0%}) by epoch {}".format(*interval(gain), n) for n, gain in by.items()]
    even_pace = 4 / 19  # Epochs 2 to 5 of 2 to 20.
    return Comparison(by[5], f"of the gain after epoch 1, {' and '.join(texts)}", above=0.5, none=even_pace)


@measures(
    "A.fig5_mnist.misclassified",
    "such digits are hard for any initialization; whether they look so is a visual judgement",
)
def _() -> Outcome:
    part = hard_for_others([row["misread"] for row in result("mnist_classifier")])
    median, low, high = interval(part)
    text = (
        f"{median:.0%} ({low:.0%} to {high:.0%}, {len(part)} networks) of a network's errors are on digits that most "
    )
    text += "others misclassify"
    wants = (
        "the 95 % interval of the share of a network's errors on digits that most others misclassify lies above 50 %; "
        "whether these look ambiguous is not measured"
    )
    return Conditions((low > 0.5, None), text, wants)


def hard_for_others(misread: list[list[int]]) -> np.ndarray:
    """Return which share of each network's misread digits most of the others misread: its own vote does not count."""
    misread_by = np.bincount(np.concatenate(misread).astype(int), minlength=10_000)
    return np.array([np.mean(misread_by[digits] - 1 > (len(misread) - 1) / 2) for digits in misread])


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


def _final(figure: str, epochs: int = 10) -> list[np.ndarray]:
    """Return each run's mean over its last ten epochs, since a single one is a lottery ticket (chapter 7)."""
    return [runs[:, -epochs:].mean(axis=1) for runs in _sweeps()[figure]]


def _distance(values: np.ndarray) -> np.ndarray:
    return abs(values - np.median(values))


def _mean_of(settings: dict[int, np.ndarray], names: tuple[int, ...]) -> np.ndarray:
    return np.mean([settings[name] for name in names], axis=0)


def _above_each(
    values: np.ndarray, others: list[np.ndarray], tested: Callable[[np.ndarray], np.ndarray] = of_runs
) -> np.ndarray:
    """Return the differences to the one of several others that decides whether `values` are above each of them.

    It is the one whose interval reaches lowest: if that lies above 0, all do. To look for one that lies wholly below
    would be as many tests as there are others, of which one may show something by chance. The interval is of the mean
    of the differences, or with `tested=np.asarray` of their median.
    """
    return min((values - other for other in others), key=lambda D: interval(tested(D))[1])


def sign_flip_test(D: Any) -> float:
    """Return the p-value of a mean paired difference: how often random signs make it at least as large."""
    D = np.asarray(D)
    signs = np.array(list(itertools.product([-1, 1], repeat=len(D))), dtype=np.int8)
    return float(np.mean(abs(signs @ D) / len(D) >= abs(D.mean()) - 1e-12))


MARGIN = 0.2
"""The largest difference in percentage points that still counts as alike; chosen in chapter 7."""


@dataclass(frozen=True)
class SweepClaim:
    """A claim about figures 6 to 9: the differences over pairs of runs that must be larger than 0, or alike."""

    differences: np.ndarray
    predicted: str = "larger"
    """Or "alike"."""
    of_median: bool = False
    """Whether the report speaks of medians, so that the median of the pairs is tested and not their mean."""

    @property
    def values(self) -> np.ndarray:
        """What `lab.interval` takes for the mean of the differences, or for their median."""
        return self.differences if self.of_median else of_runs(self.differences)

    @property
    def bounds(self) -> dict[str, float]:
        return {"above": 0.0} if self.predicted == "larger" else {"above": -MARGIN, "below": MARGIN}


@functools.cache
def sweep_claims(epochs: int = 10) -> dict[str, SweepClaim]:
    """Return the claims about figures 6 to 9, by each run's mean over its last epochs: the one source for a chapter.

    What is the best or varies least must be so beside each of the others, so its differences are to the hardest one.
    """
    relu, sigmoid, tanh = _final("fig6", epochs)
    batch = dict(zip((8, 16, 32, 64, 128, 256), _final("fig7", epochs), strict=True))
    width = dict(zip((16, 32, 64, 128), _final("fig8", epochs), strict=True))
    sgd, momentum, adam = _final("fig9", epochs)
    vary = {size: _distance(values) for size, values in batch.items()}
    medium, small = _mean_of(batch, (64, 128)), _mean_of(vary, (8, 16))
    not_medium = [batch[size] for size in (8, 16, 32, 256)]
    not_64 = [values for size, values in batch.items() if size != 64]
    return {
        "fig6_activation.alike": SweepClaim(tanh - relu, "alike"),
        "fig6_activation.tanh_first": SweepClaim(tanh - relu, of_median=True),
        "fig6_activation.relu_sigmoid": SweepClaim(relu - sigmoid),
        "fig6_activation.tanh_sigmoid": SweepClaim(tanh - sigmoid),
        "fig7_batch_size.medium_best": SweepClaim(_above_each(medium, not_medium)),
        "fig7_batch_size.highest": SweepClaim(_above_each(batch[64], not_64, np.asarray), of_median=True),
        "fig7_batch_size.small_vary": SweepClaim(small - _mean_of(vary, (32, 64, 128, 256))),
        "fig7_batch_size.large_worse": SweepClaim(medium - batch[256]),
        "fig7_batch_size.varies_more": SweepClaim(vary[64] - vary[128]),
        "fig8_hidden_size.grows": SweepClaim(width[64] - width[16]),
        "fig8_hidden_size.marginal": SweepClaim(width[128] - width[64], "alike"),
        "fig9_optimizer.adam_momentum": SweepClaim(adam - momentum),
        "fig9_optimizer.momentum_sgd": SweepClaim(momentum - sgd),
        "fig9_optimizer.adam_steady": SweepClaim(
            _above_each(-_distance(adam), [-_distance(sgd), -_distance(momentum)])
        ),
    }


@functools.cache
def sweep_p_values(epochs: int = 10) -> dict[str, tuple[float, float]]:
    """Return for each claim of "larger" its p-value, and that after Holm's correction: they are one family.

    A p-value asks whether there is a difference at all, so a claim that two are alike has none.
    """
    tested = {name: claim for name, claim in sweep_claims(epochs).items() if claim.predicted == "larger"}
    alone = [sign_flip_test(claim.differences) for claim in tested.values()]
    return dict(zip(tested, zip(alone, holm(alone).tolist(), strict=True), strict=True))


_WHY_SWEEPS = {
    "fig6_activation.alike": "no difference as large as 0.2 points",
    "fig6_activation.tanh_first": "within luck, also by the medians that the report names",
    "fig6_activation.relu_sigmoid": "above 0, but so small that Holm's rule does not confirm it as significant",
    "fig6_activation.tanh_sigmoid": "perhaps true, but too small to be significant",
    "fig7_batch_size.medium_best": "within luck, against the hardest of the others: after 50 epochs all are close",
    "fig7_batch_size.highest": "within luck, against the hardest of the other five",
    "fig7_batch_size.small_vary": "within luck",
    "fig7_batch_size.large_worse": "within luck",
    "fig7_batch_size.varies_more": "within luck",
    "fig8_hidden_size.grows": "every run of the wider network beats every run of the narrower one",
    "fig8_hidden_size.marginal": "opposite by our bound of 0.2: a good part of the errors that were left disappears",
    "fig9_optimizer.adam_momentum": "within luck; it is only faster",
    "fig9_optimizer.momentum_sgd": "at this learning rate; most of it disappears with SGD's best rate",
    "fig9_optimizer.adam_steady": "beside the steadier of the two; its epochs fluctuate most, its runs do not",
}


for _name, _why in _WHY_SWEEPS.items():

    @measures(f"A.{_name}", _why)
    def _(name: str = _name) -> Outcome:
        found = sweep_claims()[name]
        of_what = f"{'median of ' if found.of_median else ''}{len(found.differences)} pairs"
        text = "{:+.2f} points ({:+.2f} to {:+.2f}, {})".format(*interval(found.values), of_what)
        if name in sweep_p_values():
            p, p_holm = (f"{p:.3f}" if p >= 0.001 else "below 0.001" for p in sweep_p_values()[name])
            text += f", p-value {p}, corrected by Holm's rule {p_holm}"
        return Comparison(found.values, text, **found.bounds)


@measures("A.fig6_activation.poor", "it is behind, but by less than the 0.2 points that we count as alike")
def _() -> Outcome:
    relu, sigmoid, tanh = _final("fig6")
    lost = of_runs((relu + tanh) / 2 - sigmoid)
    text = "{:.2f} points behind the mean of both others ({:+.2f} to {:+.2f}, {} pairs)".format(
        *interval(lost), len(lost)
    )
    return Comparison(lost, text, above=MARGIN)


@measures(
    "A.fig7_batch_size.updates", "fewer updates do cost accuracy, but no lag of 256 is shown that they could explain"
)
def _() -> Outcome:
    whole, large = (_sweeps()["fig7"][i] for i in (4, 5))
    halved = whole[:, 20:25].mean(axis=1)
    gained, ahead = (of_runs(runs[:, -10:].mean(axis=1) - halved) for runs in (whole, large))
    text = "128 gains {:+.2f} points ({:+.2f} to {:+.2f}, {} pairs) from the second half of its updates; ".format(
        *interval(gained), len(gained)
    )
    text += "with as many updates 256 is ahead by {:+.2f} ({:+.2f} to {:+.2f})".format(*interval(ahead))
    if outcome("A.fig7_batch_size.large_worse").verdict() is not Verdict.REPLICATED:
        return Conditions((None,), text, "256 is not shown to be worse, so there is nothing to explain")
    return Comparison(gained, text, above=0)


@measures("A.fig8_hidden_size.capacity", "even of the digits that they were trained with, they get fewer right")
def _() -> Outcome:
    curves = dict(zip((16, 32, 64, 128), _sweeps("accuracy")["fig8"], strict=True))
    right = {width: runs[:, -10:].mean(axis=1) for width, runs in curves.items()}
    behind = {width: interval(of_runs(right[64] - right[width])) for width in (16, 32)}
    texts = ["{} by {:.2f} points ({:+.2f} to {:+.2f})".format(width, *found) for width, found in behind.items()]
    text = f"right of the training digits, behind a width of 64: {'; '.join(texts)}; 15 pairs"
    wants = "; ".join(
        f"64 units get more training digits right than {width}, by an interval above 0" for width in behind
    )
    return Conditions(tuple(low > 0 for _, low, _ in behind.values()), text, wants)


@measures("A.fig6_activation.relu_cheaper", "whole epochs, with several runs at a time; mostly matrix products")
def _() -> Outcome:
    relu, _, tanh = (np.median(runs, axis=1) for runs in _sweeps("seconds")["fig6"])
    ratio = tanh / relu
    text = f"an epoch with tanh takes {np.median(ratio):.2f} times as long ({ratio.min():.2f} to {ratio.max():.2f}, "
    return Comparison(ratio, f"{text}{len(ratio)} pairs)", above=1, none=1, of_runs=True)


@measures("A.fig9_optimizer.adam_always", "beside plain SGD in every pair; beside momentum it is a matter of luck")
def _() -> Outcome:
    sgd, momentum, adam = _final("fig9")
    ahead = {name: int(np.sum(adam > values)) for name, values in (("plain SGD", sgd), ("momentum", momentum))}
    text = "; ".join(f"ahead of {name} in {count} of {len(adam)} pairs" for name, count in ahead.items())
    wants = "; ".join(f"in each of {len(adam)} pairs Adam is ahead of {name}" for name in ahead)
    return Conditions(tuple(count == len(adam) for count in ahead.values()), text, wants)


@measures(
    "A.fig9_optimizer.adam_tuned", "with the best rate for each, chosen on validation digits, the lead disappears"
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
        best = max(cells, key=lambda lr: np.median([np.mean(run["val_accuracy"][-10:]) for run in cells[lr][:5]]))
        tuned[name] = 100 * np.array([np.mean(run["test_accuracy"][-10:]) for run in cells[best][:5]])
    adam = tuned.pop("Adam")
    leads = {name: adam - values for name, values in tuned.items()}
    texts = [f"{np.median(D):+.2f} ({D.min():+.2f} to {D.max():+.2f}) over {name}" for name, D in leads.items()]
    parts = tuple(bool(D.min() > 0) for D in leads.values())
    text = f"points of Adam, 5 pairs: {'; '.join(texts)}"
    wants = "; ".join(f"in each of 5 pairs Adam is ahead of {name}, each at its best rate" for name in leads)
    return Conditions(parts, text, wants)


@measures("A.fig9_optimizer.adam_sgd", "at these learning rates; chapter 7 tunes them")
def _() -> Outcome:
    sgd, _, adam = _final("fig9")
    mean, low, high = interval(of_runs(adam - sgd))
    return Comparison(of_runs(adam - sgd), f"{mean:+.2f} points ({low:+.2f} to {high:+.2f}, {len(sgd)} pairs)", above=0)


def _epochs_to(figure: str, percent: float) -> list[np.ndarray]:
    """Return in which epoch each run of a figure's settings first reaches a test accuracy; 51 where it never does."""
    return [np.where((c >= percent).any(axis=1), (c >= percent).argmax(axis=1), 50) + 1 for c in _sweeps()[figure]]


@measures(
    "A.fig9_optimizer.adam_faster",
    "first crossing of 96 % of the test digits, at its rates; 96 % was our choice, after a first run",
)
def _() -> Outcome:
    sgd, momentum, adam = _epochs_to("fig9", 96)
    names = {"Adam": adam, "momentum": momentum, "plain SGD": sgd}
    text = "median epochs: " + ", ".join(f"{name} {np.median(found):.0f}" for name, found in names.items())
    return Comparison(np.minimum(sgd, momentum) - adam, text, above=0)


@functools.cache
def _cells() -> list[dict[str, Any]]:
    """Return the different settings of figures 6 to 9."""
    from book.experiments.mnist_sweeps import FIGURES

    cells = [cell for figure in FIGURES.values() for cell in figure]
    return [cell for i, cell in enumerate(cells) if cell not in cells[:i]]


def _is_recommended(cell: dict[str, Any]) -> bool:
    wide = min(cell["hidden"]) >= 64 and cell["batch_size"] in (64, 128)
    return wide and cell["activation"] in ("ReLU", "Tanh") and cell["optimizer"] == "Adam"


@measures(
    "A.summary_sweeps.optimal", "the width and the activation hold; that Adam and these batches are better is not shown"
)
def _() -> Outcome:
    from book.experiments.mnist_sweeps import FIGURES

    final = [(cell, runs) for name in FIGURES for cell, runs in zip(FIGURES[name], _final(name), strict=True)]
    least = next(runs for cell, runs in final if cell["hidden"] == [64, 64])
    others = [runs for cell, runs in final if not _is_recommended(cell)]
    ahead = of_runs(_above_each(least, others))
    count = sum(not _is_recommended(cell) for cell in _cells())
    relu, sigmoid, tanh = _final("fig6")
    found = {
        f"two layers of 64 against the hardest of {count} other settings": ahead,
        "ReLU and tanh against sigmoid": of_runs((relu + tanh) / 2 - sigmoid),
        "batches of 64 and 128 against the hardest": sweep_claims()["fig7_batch_size.medium_best"].values,
        "Adam against momentum": sweep_claims()["fig9_optimizer.adam_momentum"].values,
    }
    texts = [f"{name} {'{:+.2f} ({:+.2f} to {:+.2f})'.format(*interval(D))}" for name, D in found.items()]
    wants = (
        "two layers of 64 are better than each narrower setting, by a 95 % interval above 0; the mean of ReLU and tanh "
        "is better than sigmoid, likewise; batches of 64 and 128 than each other size; Adam than momentum"
    )
    parts = tuple(interval(D)[1] > 0 for D in found.values())
    return Conditions(parts, f"points, {len(ahead)} pairs: {'; '.join(texts)}", wants)


@measures(
    "A.summary_sweeps.factors", "over the values that the report tried, which says as much of them as of the factor"
)
def _() -> Outcome:
    names = {"fig8": "width", "fig9": "optimizer", "fig6": "activation", "fig7": "batch size"}
    ranges = {what: np.ptp([np.mean(runs) for runs in _final(figure)]) for figure, what in names.items()}
    ranked = sorted(ranges.items(), key=lambda pair: -pair[1])
    text = (
        "from the worst to the best setting: "
        + ", ".join(f"{what} {points:.2f}" for what, points in ranked)
        + " points"
    )
    return Conditions((None,), text, "the report ranks no factor")


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
        wants = "; ".join(f"the 95 % interval of the gain with {n:,} digits lies above 0" for n in cells)
        return Conditions(tuple(low > 0 for _, low, _ in cells.values()), f"points of accuracy: {text} digits", wants)


@measures("A.extensions_named.lacks", "chapter 8 adds two of the three; NumPy runs only on the CPU")
def _() -> Outcome:
    there = [name for name in ("BatchNorm1d", "Dropout") if hasattr(nn, name)]
    wants = "nnkit has neither batch normalization nor dropout; it has no GPU"
    return Conditions((not there, True), f"nnkit has {' and '.join(there)}, and no GPU", wants)
