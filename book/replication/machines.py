"""Measurements for the claims about support vector machines and their features."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from book.replication.claim import Outcome, measures, said
from book.replication.codes import PAIRS, of_pairs
from book.replication.outcomes import Comparison, Conditions, Number
from book.replication.reading import benchmark, spread, store


def _rows_of_machines(features: str, n: int = 5000, limit: int = 2000) -> list[dict[str, Any]]:
    cell = {"features": features, "n": n, "kernel": "rbf", "max_iter": limit}
    return [row for row in store("svm_features") if row["config"] == cell]


@functools.cache
def _machines(features: str, n: int = 5000, limit: int = 2000) -> dict[str, np.ndarray]:
    """Return the accuracy of report B's SVM on these features: one number per run, in seed order."""
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
    ("untrained", "untrained", "accuracy", "the untrained network gives the reported number"),
    ("macro_f1", "trained", "macro_f1", "as its accuracy"),
    ("macro_f1_untrained", "untrained", "macro_f1", "as its accuracy"),
    ("weighted_f1", "trained", "weighted_f1", "as its accuracy"),
    ("weighted_f1_untrained", "untrained", "weighted_f1", "as its accuracy"),
    ("pixels", "pixels", "accuracy", "and this without choosing C or gamma"),
):

    @measures(f"B.table9_10_svm.{_name}", _why)
    def _(name: str = _name, features: str = _features, measure: str = _measure) -> Outcome:
        runs = _machines(features, 3000 if features == "pixels" else 5000)[measure]
        text = spread(runs, ".1%" if measure == "accuracy" else ".3f")
        # The reported code was never trained (chapter 15), so to exceed its numbers is not to do better.
        good = "higher" if name == "pixels" else None
        return Number(runs, said(f"B.table9_10_svm.{name}")["number"], text, good, is_accuracy=True)


@measures(
    "B.table9_10_svm.costs",
    "codes of the published network, trained at a rate of 0.5, which are classified better",
)
def _() -> Outcome:
    lost = 100 * (_machines("pixels", 3000)["accuracy"] - _machines("trained as published", limit=-1)["accuracy"])
    text = f"{np.median(lost):+.1f} points ({lost.min():+.1f} to {lost.max():+.1f}, {len(lost)} draws)"
    return Comparison(lost, text, above=0)


@measures("B.table9_10_svm.pretraining", "with 5,000 labels for both; the code also saw 50,400 digits without labels")
def _() -> Outcome:
    codes, pixels = (_machines(name, limit=-1)["accuracy"] for name in ("trained as published", "pixels"))
    gained = 100 * (codes - pixels)
    spread_of = f"{gained.min():+.1f} to {gained.max():+.1f}, {len(gained)} draws"
    return Comparison(gained, f"codes against pixels {np.median(gained):+.1f} points ({spread_of})", above=0)


@measures(
    "B.table9_10_svm.enough_steps", "some of the ten problems stop before their gap closes, but it does not matter"
)
def _() -> Outcome:
    lost = 100 * (_machines("trained", limit=-1)["accuracy"] - _machines("trained")["accuracy"])
    text = f"the limit costs {np.median(lost):+.2f} points ({lost.min():+.2f} to {lost.max():+.2f}, {len(lost)} draws)"
    return Comparison(lost, text, above=-0.5, below=0.5)


@measures("B.table9_10_svm.confusions", "counted among the three most confused pairs")
def _() -> Outcome:
    C = _machines("trained as published", limit=-1)["confusion"].mean(axis=0)
    mixed = of_pairs(C + C.T)
    most = [PAIRS[i] for i in np.argsort(mixed)[::-1][:3]]
    text = ", ".join(f"{a}/{b} ({mixed[PAIRS.index((a, b))]:.0f} times)" for a, b in most)
    wants = "4/9 is among the three pairs confused most; so is 3/8"
    return Conditions(((4, 9) in most, (3, 8) in most), f"{text}; mean of 5 draws", wants)


def _feature_variances() -> dict[str, np.ndarray]:
    return {
        features: np.array([row["result"]["discriminative"]["variance"] for row in _rows_of_machines(features)])
        for features in ("trained", "untrained")
    }


@measures(
    "B.table9_10_svm.features", "its size follows the weights', before and after training; neither of ours matches"
)
def _() -> Outcome:
    best = {name: found[:, 0] for name, found in _feature_variances().items()}
    text = f"trained {np.median(best['trained']):.3f} (one network); untrained {spread(best['untrained'], '.4f')}"
    return Number(best["untrained"], said("B.table9_10_svm.features")["number"], text)


@measures(
    "B.table9_10_svm.telling", "which numbers these are depends on initialization; how much they vary, on training"
)
def _() -> Outcome:
    best = _rows_of_machines("trained as published", limit=-1)[0]["result"]["discriminative"]
    first, variance, reported = best["feature"][0], best["variance"][0], said("B.table9_10_svm.telling")["numbers"]
    text = f"{variance:.1f} in number {first}, of the published network trained at a rate of 0.5"
    wants = "it is number 8; its variance is within half of the reported 0.0772"
    return Conditions((first == reported[0], abs(variance / reported[1] - 1) < 0.5), text, wants)


@measures("B.table9_10_svm.next_features", "its first is twice its second; ours decrease more evenly")
def _() -> Outcome:
    ratio = {name: found[:, 1] / found[:, 0] for name, found in _feature_variances().items()}
    reported = said("B.table9_10_svm.next_features")["numbers"][0] / said("B.table9_10_svm.features")["number"]
    text = f"second over first: reported {reported:.2f}; trained {np.median(ratio['trained']):.2f}; "
    return Number(ratio["untrained"], reported, f"{text}untrained {spread(ratio['untrained'], '.2f')}")


@measures("B.table9_10_svm.faster", "with the same number of digits for both, in the committed benchmark")
def _() -> Outcome:
    measured = benchmark("svm")
    times = {
        (row["case"], row["phase"]): np.array(row["seconds"]["nnkit"])
        for row in measured["rows"]
        if row["strategy"] == "ovr"
    }
    by = {phase: times["784 pixels", phase] / times["32-D code", phase] for phase in ("fit", "predict")}
    text = "; ".join(f"{phase} {np.median(t):.1f} times ({t.min():.1f} to {t.max():.1f})" for phase, t in by.items())
    wants = "in the median of the rounds fitting is faster with codes; predicting is"
    return Conditions((bool(np.median(by["fit"]) > 1), bool(np.median(by["predict"]) > 1)), text, wants)


@measures(
    "B.table9_10_svm.faster_with_more", "one matrix product gives our kernel, so 784 numbers cost little more than 32"
)
def _() -> Outcome:
    codes, pixels = _machines("trained")["seconds"], _machines("pixels", 3000)["seconds"]
    ratio = codes / pixels
    text = f"5,000 codes take {spread(ratio, '.2f')} of the time of 3,000 digits, including prediction"
    return Comparison(ratio, text, below=1, none=1)
