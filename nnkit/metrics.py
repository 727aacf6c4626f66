"""Metrics with scikit-learn's names and its order of arguments, ``(y_true, y_pred)``, and the mean of many runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nnkit.checks import class_array, number, same_kind, same_shape, shown, true_classes, whole_or_strings
from nnkit.typing import Array


def predicted_classes(y_pred: Any, threshold: float | None = None) -> Array:
    """Turn predictions into classes, an array of int64 or strings of shape (n,).

    Parameters
    ----------
    y_pred : array_like
        Classes, shape (n,) or (n, 1): integers, booleans or strings, which are returned as they are. Scores, shape
        (n, k), of which the largest in a row wins. Or one score a sample, shape (n,) or (n, 1), which needs a
        `threshold`. The dtype alone tells them apart: a float is a score, even 0.0 or 1.0. No score may be NaN.
    threshold : float, optional
        The smallest single score that means class 1: 0.5 for probabilities, 0 for logits.
    """
    y_pred = class_array("y_pred", y_pred)
    if threshold is not None:
        if y_pred.ndim == 2 or y_pred.dtype.kind == "U":
            raise ValueError(
                f"threshold needs one score a sample; got {y_pred.dtype} of shape {y_pred.shape} for y_pred"
            )
        return (y_pred >= number("threshold", threshold)).astype(np.int64)
    if y_pred.ndim == 2:
        return y_pred.argmax(axis=1)
    if y_pred.dtype.kind == "f" and len(y_pred):
        raise ValueError(
            "one score a sample needs a threshold, predicted_classes(y_pred, threshold): 0.5 for probabilities, 0 for "
            f"logits; got y_pred of {y_pred.dtype}; if it holds classes, pass np.asarray(y_pred).astype(int)"
        )
    return whole_or_strings("y_pred", y_pred)


def accuracy(y_true: Any, y_pred: Any, *, threshold: float | None = None) -> float:
    """Return the fraction of samples whose predicted class is the true one.

    Raises ValueError if `y_true` holds scores, since the arguments look swapped, or if the lengths differ or are 0.

    Parameters
    ----------
    y_true : array_like
        Classes, shape (n,) or (n, 1): whole numbers of any dtype, or strings. Or rows of probabilities, shape (n, k),
        one-hot or soft, each with one largest entry; soft rows need scores for `y_pred`.
    y_pred : array_like
        Classes or scores, as for `predicted_classes`. The columns of scores stand for the classes 0, 1 and so on; if
        `y_true` holds strings, ``names[predicted_classes(scores)]`` names the predictions.
    threshold : float, optional
        As for `predicted_classes`.
    """
    true, predicted = _classes(y_true, y_pred, threshold)
    return float((true == predicted).mean())


def confusion_matrix(y_true: Any, y_pred: Any, *, labels: Any = None) -> Array:
    """Count the samples by true class (row) and predicted class (column), shape (n_classes, n_classes).

    Parameters
    ----------
    y_true, y_pred
        As for `accuracy`.
    labels : array_like, shape (n_classes,), optional
        The classes in the order of the rows and columns; samples of other classes, or predicted to be, are left out.
        There must be some of these classes, and at most 30,000. The default is the sorted classes that occur.
    """
    true, predicted, n = _places(y_true, y_pred, labels)
    if n > 30_000:
        raise ValueError(f"a confusion matrix may have 30,000 classes (7 GB); got {n:,}, or {8e-9 * n * n:,.0f} GB")
    if (true == n).all():
        raise ValueError(f"labels must name a class of y_true; got {shown(labels)}")
    listed = (true < n) & (predicted < n)
    return np.bincount((true * n + predicted)[listed], minlength=n**2).reshape(n, n)


@dataclass(frozen=True)
class ClassCounts:
    """For each class, the samples by whether they are of the class and whether they were predicted to be.

    `TP`, `FP`, `FN` and `TN`, int64 of shape (n_classes,), are true positives (of the class, and predicted so), false
    positives (predicted so, but of another), false negatives and true negatives; they sum to the samples.
    """

    TP: Array
    FP: Array
    FN: Array
    TN: Array

    @property
    def accuracy(self) -> Array:
        """The share of right answers to "is it this class?", (TP + TN) / n; with many classes, TN is most of it."""
        return (self.TP + self.TN) / (self.TP + self.FP + self.FN + self.TN)


def class_counts(y_true: Any, y_pred: Any, *, labels: Any = None) -> ClassCounts:
    """Count true and false positives and negatives for each class against the rest.

    Parameters are as for `confusion_matrix`, but samples of classes outside `labels` stay, as part of the rest.
    """
    true, predicted, n = _places(y_true, y_pred, labels)
    TP = np.bincount(true[true == predicted], minlength=n + 1)[:n]
    FP = np.bincount(predicted, minlength=n + 1)[:n] - TP
    FN = np.bincount(true, minlength=n + 1)[:n] - TP
    return ClassCounts(TP, FP, FN, len(true) - TP - FP - FN)


def precision(
    y_true: Any, y_pred: Any, *, labels: Any = None, average: str | None = "macro", zero_division: float = 0.0
) -> Any:
    """Return the share of the samples predicted to be of a class that are: TP / (TP + FP).

    Parameters
    ----------
    y_true, y_pred, labels
        As for `class_counts`.
    average : {"macro", "weighted", None}, default "macro"
        Return the mean over the classes, their mean weighted by their numbers of samples, or one score a class.
    zero_division : {0, 1, nan}, default 0
        The score of a class where this would divide by zero; NaN leaves the class out of the average.
    """
    counts = class_counts(y_true, y_pred, labels=labels)
    return _averaged(counts.TP, counts.TP + counts.FP, counts, average, zero_division)


def recall(
    y_true: Any, y_pred: Any, *, labels: Any = None, average: str | None = "macro", zero_division: float = 0.0
) -> Any:
    """Return the share of the samples of a class that were predicted to be: TP / (TP + FN).

    The weighted average over all classes is the accuracy. Parameters and result are as for `precision`.
    """
    counts = class_counts(y_true, y_pred, labels=labels)
    return _averaged(counts.TP, counts.TP + counts.FN, counts, average, zero_division)


def f1_score(
    y_true: Any, y_pred: Any, *, labels: Any = None, average: str | None = "macro", zero_division: float = 0.0
) -> Any:
    """Return the harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN).

    Parameters and result are as for `precision`; an average is that of the classes' F1 scores.
    """
    counts = class_counts(y_true, y_pred, labels=labels)
    return _averaged(2 * counts.TP, 2 * counts.TP + counts.FP + counts.FN, counts, average, zero_division)


def _classes(y_true: Any, y_pred: Any, threshold: float | None = None) -> tuple[Array, Array]:
    """Return the true and the predicted classes, one a sample and both of one kind."""
    y_true, y_pred = class_array("y_true", y_true), class_array("y_pred", y_pred)
    true, predicted = true_classes(y_true, y_pred), predicted_classes(y_pred, threshold)
    same_shape("y_true", true, predicted.shape, "the predicted classes")
    if not len(predicted):
        raise ValueError("y_pred must hold at least one prediction; got none")
    same_kind("y_true", true, "y_pred", predicted)
    return true, predicted


def _places(y_true: Any, y_pred: Any, labels: Any) -> tuple[Array, Array, int]:
    """Return each true and predicted class as its place among the `n` labels, or `n` if it is not there; and `n`."""
    true, predicted = _classes(y_true, y_pred)
    present, places = np.unique(np.concatenate([true, predicted]), return_inverse=True)
    if labels is not None:
        wanted = whole_or_strings("labels", class_array("labels", labels)) if np.ndim(labels) == 1 else np.empty(0)
        if not len(wanted) or len(np.unique(wanted)) < len(wanted):
            raise ValueError(f"labels must be a list of different classes; got {shown(labels)}")
        same_kind("labels", wanted, "y_true", true)
        place = {label: i for i, label in enumerate(wanted.tolist())}
        places = np.array([place.get(label, len(place)) for label in present.tolist()])[places]
        present = wanted
    return places[: len(true)], places[len(true) :], len(present)


def _averaged(above: Array, below: Array, counts: ClassCounts, average: str | None, zero_division: float) -> Any:
    if not isinstance(zero_division, (int, float)) or not (zero_division in (0, 1) or np.isnan(zero_division)):
        raise ValueError(f"zero_division must be 0, 1 or nan; got {zero_division!r}")
    scores = np.where(below > 0, above / np.maximum(below, 1), zero_division)
    if average is None:
        return scores
    if average not in ("macro", "weighted"):
        raise ValueError(f"average must be 'macro', 'weighted' or None; got {average!r}")
    counted = ~np.isnan(scores)
    weights = (counts.TP + counts.FN)[counted]
    if average == "macro" or not weights.any():  # As in scikit-learn, classes that all have no sample weigh the same.
        weights = np.ones(len(weights))
    return float(np.average(scores[counted], weights=weights)) if counted.any() else float("nan")
