"""Measurements for claims about reconstructions as a whole: over epochs, over depths, and over all test digits."""

from __future__ import annotations

from typing import Any

import numpy as np

from book.replication.autoencoders import grid, seeds_of_grid, training
from book.replication.claim import Outcome, measures
from book.replication.outcomes import Comparison, Conditions
from book.replication.reading import spread

N_TEST = 14_000


def _published() -> list[dict[str, Any]]:
    """Return the runs of report B's autoencoder as its repository ran it."""
    return training()["as run"]


@measures(
    "B.table7_8_autoencoder.quality", "by the squared error of the validation digits; in single epochs it may rise"
)
def _() -> Outcome:
    curves = np.array([run["val_mse"] for run in _published()])
    falls = np.mean(np.diff(curves) < 0, axis=1)
    by_hundreds = np.diff(curves[:, 99::100]) < 0
    text = f"falls in {spread(falls, '.0%')} of the epochs, and in {by_hundreds.sum()} of {by_hundreds.size} hundreds"
    wants = "in every run it falls in more than half of the epochs; it is lower after each further 100"
    return Conditions((falls.min() > 0.5, bool(by_hundreds.all())), text, wants, runs=len(falls))


def _above_the_fence(histogram: Any) -> float:
    """Return the share of digits whose error is above the upper quartile by over 1.5 interquartile ranges.

    From the counts in equal bins from 0: quartiles are interpolated, and so is the bin that holds the fence.
    """
    below = np.concatenate([[0], np.cumsum(histogram)]) / np.sum(histogram)
    edges = np.arange(len(below))
    low, high = np.interp([0.25, 0.75], below, edges)
    return float(1 - np.interp(high + 1.5 * (high - low), edges, below))


@measures(
    "B.table7_8_autoencoder.outliers", "few is a matter of the bound; of normally distributed errors it is 1 in 290"
)
def _() -> Outcome:
    beyond = np.array([_above_the_fence(run["test"]["histogram"]) for run in _published()])
    text = f"{spread(beyond, '.1%')} of the digits lie above the upper quartile by over 1.5 interquartile ranges"
    return Conditions((beyond.max() < 0.05,), text, "it is below 5 % in every run", runs=len(beyond))


@measures(
    "B.table7_8_autoencoder.harder", "some come back worst whatever the initial weights, far more often than by chance"
)
def _() -> Outcome:
    worst = [set(run["test"]["worst"]) for run in _published()]
    again = _named_again(worst)
    text = f"{spread(again, '.0%')} of a run's {len(worst[0])} worst digits are among the worst of most other runs"
    by_chance = len(worst[0]) / N_TEST  # Among the worst of one other run; of most of them, less.
    return Comparison(again, text, above=by_chance, none=by_chance)


def _named_again(worst: list[set[int]]) -> np.ndarray:
    """Return for each run which share of its worst digits most others name too; of two runs, their one overlap."""
    again = np.array([_share_that_others_name(worst, i) for i in range(len(worst))])
    return again[:1] if len(worst) == 2 else again


def _share_that_others_name(sets: list[set[int]], i: int) -> float:
    others = sets[:i] + sets[i + 1 :]
    return float(np.mean([2 * sum(digit in other for other in others) > len(others) for digit in sets[i]]))


@measures("A.fig10_latent_depth.deeper", "the first hidden layer brings nearly all of it; the widths are ours")
def _() -> Outcome:
    # The cells of one seed share it, so they count once together, as for the sensitivity.
    tables = [np.vstack(list(grid(seed)["mse"].values())) for seed in seeds_of_grid()]
    share, with_first = (np.array([of(rows) for rows in tables]) for of in (_deeper_is_better, _against_depth_1))
    text = f"the deeper of two networks has the lower error in {spread(share, '.0%')} of the pairs; "
    text += f"{np.median(with_first):.0%} of these are pairs with depth 1"
    return Comparison(share, text, above=0.5, none=0.5)


def _deeper_is_better(rows: np.ndarray) -> float:
    """Return in which share of the pairs of depths, over all rows, the deeper network has the lower error."""
    shallow, deep = np.triu_indices(rows.shape[1], 1)
    return float(np.mean(rows[:, deep] < rows[:, shallow]))


def _against_depth_1(rows: np.ndarray) -> float:
    """Return which part of the pairs whose deeper network has the lower error are pairs with the first depth."""
    shallow, deep = np.triu_indices(rows.shape[1], 1)
    better = rows[:, deep] < rows[:, shallow]
    return float(better[:, shallow == 0].sum() / max(better.sum(), 1))
