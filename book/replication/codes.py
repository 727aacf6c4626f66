"""Measurements for the claims about codes: maps, neighbours, walks."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np

from book.experiments import latent_pca
from book.replication.claim import Outcome, measures, said
from book.replication.outcomes import Comparison, Conditions, Number
from book.replication.reading import runs_of, spread, store
from lab.claims import interval
from lab.results import load_rules

LATENT_PCA = load_rules(latent_pca.__file__)
PAIRS = list(itertools.combinations(range(10), 2))


def of_pairs(table: Any) -> np.ndarray:
    """Return the entries of a symmetric table in the order of `PAIRS`."""
    return np.array([table[a][b] for a, b in PAIRS])


def _codes(method: str = "autoencoder", latent: int = 4) -> list[dict[str, Any]]:
    return runs_of("latent_codes", method=method, latent=latent)


@measures("A.fig12_tsne.clusters", "most neighbours share a class, but some classes overlap; the gaps come from t-SNE")
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
    gap = of_pairs(code["centroid_distances"])[PAIRS.index((4, 9))]
    spreads = gap / np.sqrt((code["spread"][4] ** 2 + code["spread"][9] ** 2) / 2)
    text = f"five neighbours are right for {min(right):.0%} to {max(right):.0%} on {len(right)} maps; "
    text += f"4 and 9 are {spreads:.1f} spreads apart"
    wants = "on every map five neighbours are right for more than 80 %; 4 and 9 are more than one spread apart"
    return Conditions((min(right) > 0.8, spreads > 1), text, wants, runs=len(right))


@measures("A.fig12_tsne.neighbours", "4 and 9 come first in every code; any one code or map may not show the others")
def _() -> Outcome:
    named = [PAIRS.index(pair) for pair in ((4, 9), (3, 5), (3, 8), (5, 8))]

    def places(run: dict[str, Any]) -> list[int]:
        apart = of_pairs(run["centroid_distances"])
        return [1 + int(np.sum(apart < apart[i])) for i in named]

    in_code = np.array([places(run) for run in _codes()])
    on_maps = np.array([places(row["result"]) for row in store("latent_maps")])
    near = in_code <= 10
    text = f"{near.sum()} of {near.size} places in {len(near)} codes are among the ten nearest of 45; "
    text += f"at worst {in_code.max()}, on the maps {on_maps.max()}"
    wants = f"in each of {len(near)} codes 4-9, 3-5, 3-8 and 5-8 are each among the ten nearest of 45 pairs"
    return Conditions(tuple(near.ravel().tolist()), text, wants, runs=len(near))


@functools.cache
def _knn_confusions() -> list[np.ndarray]:
    """Return, for each 4-D code, how often each digit (row) was classified as each digit (column)."""
    return [np.array(run["confusion"]) for run in _codes()]


def _right() -> np.ndarray:
    return np.array([run["accuracy"][4] for run in _codes()])


def mean_of_ten(right: Any) -> Any:
    """Return the mean of ten one-vs-rest accuracies: each wrong prediction is wrong in two of the ten."""
    return 1 - 2 / 10 * (1 - np.asarray(right))


def _of_each_class(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the one-vs-rest accuracy and the F1 score of each class."""
    both, right = confusion.sum(axis=0) + confusion.sum(axis=1), np.diag(confusion)
    return 1 - (both - 2 * right) / confusion.sum(), 2 * right / both


@measures("A.table_knn.mean_of_ten", "the same formula with fewer errors; the source does not say how long it trained")
def _() -> Outcome:
    found = mean_of_ten(_right())
    return Number(found, said("A.table_knn.mean_of_ten")["number"], spread(found, ".2%"), "higher", is_accuracy=True)


@measures("A.table_knn.right", "as above")
def _() -> Outcome:
    return Number(_right(), said("A.table_knn.right")["number"], spread(_right(), ".2%"), "higher", is_accuracy=True)


@measures("A.table_knn.confirms", "the conclusion holds by accuracy; this number could not have contradicted it")
def _() -> Outcome:
    ones = _knn_confusions()[0].sum(axis=1)[1] / 10_000
    for_nothing = mean_of_ten(ones)
    text = f'{spread(_right(), ".1%")} right; always "1" scores {for_nothing:.2%} by the mean of ten'
    wants = "every code gets more than 50 % right; an answer that ignores the digit scores below 50 % by this measure"
    return Conditions((_right().min() > 0.5, for_nothing < 0.5), text, wants, runs=len(_right()))


@measures("A.table_knn.one", "the highest of ten in each of our codes, also by F1")
def _() -> Outcome:
    accuracy, f1 = (np.array(found) for found in zip(*map(_of_each_class, _knn_confusions()), strict=True))
    parts = ((accuracy.argmax(axis=1) == 1).all(), (f1.argmax(axis=1) == 1).all())
    text, number = spread(accuracy[:, 1], ".2%"), said("A.table_knn.one")["number"]
    wants = "it is the highest of ten by accuracy in each of our codes; by F1 too"
    beside = Number(accuracy[:, 1], number, text, is_accuracy=True)
    return Conditions(parts, text, wants, beside, runs=len(accuracy))


@measures(
    "A.table_knn.five_three",
    "other codes confuse other digits (the rule first asked for the two lowest; the report says only lower)",
)
def _() -> Outcome:
    accuracy = np.array([_of_each_class(confusion)[0] for confusion in _knn_confusions()])
    lower = accuracy < accuracy.mean(axis=1, keepdims=True)
    lowest = "; ".join(f"{a} and {b}" for a, b in np.argsort(accuracy, axis=1)[:, :2])
    texts = [f"{digit} {spread(accuracy[:, digit], '.2%')}" for digit in (5, 3)]
    text = f"{'; '.join(texts)}; mean of ten {np.median(accuracy.mean(axis=1)):.2%}; two lowest {lowest}"
    wants = "in each of our codes 5 is below the mean of the ten digits; so is 3"
    return Conditions((bool(lower[:, 5].all()), bool(lower[:, 3].all())), text, wants, runs=len(lower))


@measures("A.table_knn.sums", "the table is consistent, including with the printed accuracies")
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
    text = f"{FP.sum():,} FP, {FN.sum():,} FN; rows sum to 10,000; TP + FN are MNIST's digits"
    wants = "each row sums to 10,000; the columns to its totals; the accuracies follow; TP + FN are MNIST's digits"
    return Conditions(parts, text, wants)


def _strangers(run: dict[str, Any]) -> tuple[int, int]:
    """Return how many centroids, and how many mixtures of two, are classified as a different digit."""
    read = run["mixes_read"]
    return sum(read[c][c] != c for c in range(10)), sum(read[a][b] not in (a, b) for a, b in PAIRS)


def _walks() -> list[dict[str, Any]]:
    return runs_of("latent_walks", method="autoencoder", latent=4)


@measures("A.fig13_interpolation.centroids", "by the five nearest training digits")
def _() -> Outcome:
    themselves = [10 - _strangers(run)[0] for run in _walks()]
    text = f"{', '.join(map(str, themselves))} of 10 classified as themselves"
    wants = "in each of our codes at least 9 of 10 are classified as themselves"
    return Conditions((min(themselves) >= 9,), text, wants, runs=len(themselves))


@measures("A.fig13_interpolation.mixes", "smooth, as any decoder is, but the path leads through other digits")
def _() -> Outcome:
    thirds = [_strangers(run)[1] for run in _walks()]
    text = f"{', '.join(map(str, thirds))} of 45 mixtures are classified as a third digit"
    wants = "in each of our codes fewer than half of the mixtures are classified as a third digit; none is"
    return Conditions((max(thirds) < 45 / 2, max(thirds) == 0), text, wants, runs=len(thirds))


@measures("A.fig13_interpolation.natural", "by five neighbours; looking natural is for the eye")
def _() -> Outcome:
    named = ((4, 9), (3, 8))
    own = [run["mixes_read"][a][b] in (a, b) for run in _walks() for a, b in named]
    thirds = [_strangers(run)[1] for run in _walks()]
    text = f"{sum(own)} of {len(own)} such mixtures are classified as one of the two; of all 45, {thirds[0]} are not"
    wants = "each is classified as one of its two digits; some of the 45 are not; how they look is not measured"
    return Conditions((all(own), min(thirds) > 0, None), text, wants, runs=len(thirds))


@measures("A.fig13_interpolation.memorizing", "these errors are the evidence; the interpolation is not")
def _() -> Outcome:
    ratio = np.array([run["test_mse"] / run["train_mse"] for run in _walks()])
    text = f"error on new digits over that on its own: {spread(ratio, '.2f')}"
    return Conditions((ratio.max() < 1.1,), text, "in each of our codes the ratio is below 1.1", runs=len(ratio))


def planes(space: str) -> list[dict[str, Any]]:
    """Return the principal planes of one kind of code, one a network."""
    return runs_of("latent_pca", space=space)


def gaps(run: dict[str, Any]) -> np.ndarray:
    """Return how far apart each two digits' middles are in a plane, in root mean squares of their spreads, (10, 10)."""
    centres, spreads = np.array(run["centres"]), np.array(run["spread"])
    between = np.linalg.norm(centres[:, None] - centres, axis=-1)
    return between / np.sqrt((spreads[:, None] ** 2 + spreads**2) / 2)


def furthest(run: dict[str, Any]) -> set[int]:
    """Return the three digits whose nearest neighbour in the plane is furthest away."""
    apart = gaps(run)
    np.fill_diagonal(apart, np.inf)
    return set(np.argsort(apart.min(axis=1))[-3:].tolist())


@measures(
    "B.table7_8_autoencoder.variance",
    "the figure very likely shows an encoder that was never trained; beside it, trained",
)
def _() -> Outcome:
    held = {
        space: np.array([sum(run["explained"][:2]) for run in planes(space)])
        for space in ("never trained", "trained as run")
    }
    drawn = held["never trained"]
    wants = "in every run two components explain more than twice what 2 of 32 equal ones would; more than half"
    text = f"{spread(drawn, '.0%')}; trained {spread(held['trained as run'], '.0%')}"
    parts = (bool(drawn.min() > 2 * 2 / 32), bool(drawn.min() > LATENT_PCA["variance"]["above"]))
    return Conditions(parts, text, wants, runs=len(drawn))


@measures(
    "B.table7_8_autoencoder.separated", "an encoder that was never trained; which digits differs from one to another"
)
def _() -> Outcome:
    top = {
        space: np.array([furthest(run) == {0, 1, 6} for run in planes(space)])
        for space in ("never trained", "trained as run")
    }
    drawn, meant = top["never trained"], top["trained as run"]
    text = f"0, 1 and 6 are the three furthest apart in {drawn.sum()} of {len(drawn)} encoders; trained, in "
    return Comparison(drawn, f"{text}{meant.sum()} of {len(meant)}", above=0.5, none=0.5)


@measures("B.table7_8_autoencoder.overlap", "report B states no measure")
def _() -> Outcome:
    apart = np.array([[gaps(run)[pair] for pair in ((4, 9), (3, 8))] for run in planes("never trained")])
    near = [interval(column < 1)[1] > 0.5 for column in apart.T]
    text = f"4/9 {spread(apart[:, 0], '.1f')} and 3/8 {spread(apart[:, 1], '.1f')} spreads apart"
    return Conditions(
        tuple(map(bool, near)), text, "in most encoders the middles of 4 and 9 are less than a spread apart; of 3 and 8"
    )
