"""Metrics: numbers that say how good predictions are, and numbers that summarize many runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nnkit._checks import Array, finite_array, same_shape, whole_number


def predicted_classes(pred: Any, threshold: float | None = None) -> Array:
    """Turn predictions into classes.

    Parameters
    ----------
    pred : array_like
        Classes, shape (n,) and integers, returned as they are; scores, shape (n, k) with k at least 2, of which the
        column of the largest counts; or one score a sample, shape (n,) or (n, 1), which needs a `threshold`. Scores
        may be infinite, as the logit of what is impossible.
    threshold : float, optional
        From which score on a single score means class 1: 0.5 for a probability, 0 for a logit.

    Returns
    -------
    ndarray of int64, shape (n,)

    Raises
    ------
    ValueError
        If a score is NaN, or the shape is another.
    """
    pred = np.asarray(pred)
    _refuse_nan("pred", pred)
    if pred.ndim == 2 and pred.shape[1] > 1:
        return pred.argmax(axis=1)
    if pred.ndim == 1 and pred.dtype.kind in "iub" and threshold is None:
        return pred.astype(np.int64)
    if pred.ndim == 1 or (pred.ndim == 2 and pred.shape[1] == 1):
        if threshold is None:
            raise ValueError("threshold must be given for one score a sample: 0.5 for probabilities, 0 for logits")
        return (pred.reshape(-1) >= threshold).astype(np.int64)
    raise ValueError(f"pred must have shape (n,) or (n, k); got {pred.shape}")


def _refuse_nan(name: str, array: Array) -> None:
    # A NaN is its array's minimum. To argmax it would be the largest score, and to a threshold class 0.
    if array.dtype.kind == "f" and array.size and np.isnan(array.min()):
        bad = np.isnan(array)
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"{name} must not hold NaN; got {int(bad.sum())} of {array.size} values, the first at {first}")


def _classes(pred: Any, target: Any, threshold: float | None) -> tuple[Array, Array]:
    predicted = predicted_classes(pred, threshold)
    target = np.asarray(target)
    if target.ndim == 2:  # One-hot rows, or one column.
        _refuse_nan("target", target)
        target = target.argmax(axis=1) if target.shape[1] > 1 else target[:, 0]
    same_shape("target", target, predicted.shape, "the predicted classes")
    if not len(predicted):
        raise ValueError("pred must hold at least one prediction; got none")
    if target.dtype.kind == "f" and (target != np.floor(target)).any():
        raise ValueError(f"target must hold classes; got values such as {target[target != np.floor(target)][0]}")
    return predicted, target.astype(np.int64)


def accuracy(pred: Any, target: Any, *, threshold: float | None = None) -> float:
    """Return the fraction of samples whose predicted class is the right one.

    Parameters
    ----------
    pred : array_like
        Classes or scores, as `predicted_classes` takes them.
    target : array_like
        Classes, shape (n,) or (n, 1), or one-hot rows, shape (n, k).
    threshold : float, optional
        As for `predicted_classes`.
    """
    predicted, target = _classes(pred, target, threshold)
    return float((predicted == target).mean())


def confusion_matrix(pred: Any, target: Any, n_classes: int | None = None, *, threshold: float | None = None) -> Array:
    """Count the samples by true class (row) and predicted class (column).

    Parameters
    ----------
    pred, target, threshold
        As for `accuracy`.
    n_classes : int, optional
        How many classes there are; without it, one more than the largest that occurs.

    Returns
    -------
    ndarray of int64, shape (n_classes, n_classes)
    """
    predicted, target = _classes(pred, target, threshold)
    lowest, highest = min(predicted.min(), target.min()), max(predicted.max(), target.max())
    n_classes = int(highest) + 1 if n_classes is None else whole_number("n_classes", n_classes, least=1)
    if lowest < 0 or highest >= n_classes:
        raise ValueError(f"classes must lie from 0 to {n_classes - 1}; got values from {lowest} to {highest}")
    return np.bincount(target * n_classes + predicted, minlength=n_classes**2).reshape(n_classes, n_classes)


@dataclass(frozen=True)
class ClassCounts:
    """For each class, how the samples divide when the question is only whether they are of this class.

    Attributes
    ----------
    TP : ndarray of int64, shape (n_classes,)
        True positives: of the class, and predicted so.
    FP : ndarray of int64, shape (n_classes,)
        False positives: predicted so, but of another class.
    FN : ndarray of int64, shape (n_classes,)
        False negatives: of the class, but predicted otherwise.
    TN : ndarray of int64, shape (n_classes,)
        True negatives: neither. The four sum to the number of samples.
    """

    TP: Array
    FP: Array
    FN: Array
    TN: Array

    @property
    def accuracy(self) -> Array:
        """The share of right answers to each class's question, (TP + TN) / n, shape (n_classes,).

        Not the share of samples whose class is right: with many classes TN is most of it, whatever is predicted.
        """
        return (self.TP + self.TN) / (self.TP + self.FP + self.FN + self.TN)


def class_counts(
    pred: Any, target: Any, n_classes: int | None = None, *, threshold: float | None = None
) -> ClassCounts:
    """Count true and false positives and negatives for each class against the rest.

    Parameters
    ----------
    pred, target, n_classes, threshold
        As for `confusion_matrix`.
    """
    counts = confusion_matrix(pred, target, n_classes, threshold=threshold)
    TP = counts.diagonal().copy()
    FP, FN = counts.sum(axis=0) - TP, counts.sum(axis=1) - TP
    return ClassCounts(TP, FP, FN, counts.sum() - TP - FP - FN)


def precision(
    pred: Any,
    target: Any,
    n_classes: int | None = None,
    *,
    average: str | None = "macro",
    threshold: float | None = None,
) -> Any:
    """Return how many of those that were predicted to be of a class are: TP / (TP + FP).

    Parameters
    ----------
    pred, target, n_classes, threshold
        As for `confusion_matrix`.
    average : {"macro", "weighted", None}, default "macro"
        The mean over the classes, their mean weighted by the number of samples of each, or none: one number a class.

    Returns
    -------
    float, or ndarray of float64 of shape (n_classes,) without an average
        Zero for a class that is never predicted. In the macro average every class from 0 to ``n_classes - 1`` counts,
        also one that does not occur.
    """
    found = class_counts(pred, target, n_classes, threshold=threshold)
    return _averaged(found.TP, found.TP + found.FP, found, average)


def recall(
    pred: Any,
    target: Any,
    n_classes: int | None = None,
    *,
    average: str | None = "macro",
    threshold: float | None = None,
) -> Any:
    """Return how many of those that are of a class were predicted to be: TP / (TP + FN).

    Parameters
    ----------
    pred, target, n_classes, average, threshold
        As for `precision`.

    Returns
    -------
    float, or ndarray of float64 of shape (n_classes,) without an average
        Zero for a class without samples. The weighted average is the accuracy.
    """
    found = class_counts(pred, target, n_classes, threshold=threshold)
    return _averaged(found.TP, found.TP + found.FN, found, average)


def f1_score(
    pred: Any,
    target: Any,
    n_classes: int | None = None,
    *,
    average: str | None = "macro",
    threshold: float | None = None,
) -> Any:
    """Return the harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN).

    Parameters
    ----------
    pred, target, n_classes, average, threshold
        As for `precision`. An average is that of the classes' scores.

    Returns
    -------
    float, or ndarray of float64 of shape (n_classes,) without an average
        Zero for a class without samples that is never predicted.
    """
    found = class_counts(pred, target, n_classes, threshold=threshold)
    return _averaged(2 * found.TP, 2 * found.TP + found.FP + found.FN, found, average)


def _averaged(numerator: Array, denominator: Array, found: ClassCounts, average: str | None) -> Any:
    scores = numerator / np.maximum(denominator, 1)  # Where the denominator is zero, the numerator is too.
    if average is None:
        return scores
    if average == "macro":
        return float(scores.mean())
    if average == "weighted":
        return float(np.average(scores, weights=found.TP + found.FN))
    raise ValueError(f"average must be 'macro', 'weighted' or None; got {average!r}")


def calibration_bins(confidence: Any, correct: Any, *, n_bins: int = 15) -> tuple[Array, Array, Array]:
    """Sort answers by their confidence into bins of equal width, and add up each bin.

    The sums of several runs can be added. Divided by the first, the other two are the axes of a reliability diagram.

    Parameters
    ----------
    confidence : array_like, shape (n,)
        The probability that was given to each answer, from 0 to 1.
    correct : array_like of bool, shape (n,)
        Whether the answer was right.
    n_bins : int, default 15
        How many bins; each holds its upper end, and the first holds 0 as well.

    Returns
    -------
    count : ndarray of int64, shape (n_bins,)
        The number of answers in each bin.
    confidence_sum : ndarray of float64, shape (n_bins,)
        The sum of their confidences.
    n_correct : ndarray of int64, shape (n_bins,)
        The number of those that were right.
    """
    confidence, correct = finite_array("confidence", confidence, np.float64), np.asarray(correct)
    if confidence.ndim != 1 or len(confidence) == 0:
        raise ValueError(f"confidence must have shape (n,) with n at least 1; got {confidence.shape}")
    if confidence.min() < 0 or confidence.max() > 1:
        raise ValueError(
            "confidence must hold probabilities, from 0 to 1; "
            f"got values from {confidence.min():g} to {confidence.max():g}"
        )
    same_shape("correct", correct, confidence.shape, "confidence")
    if correct.dtype != bool:
        raise TypeError(f"correct must hold truth values; got dtype {correct.dtype}")
    n_bins = whole_number("n_bins", n_bins, least=1)
    bin_of = np.digitize(confidence, np.linspace(0, 1, n_bins + 1)[1:-1], right=True)
    return (
        np.bincount(bin_of, minlength=n_bins),
        np.bincount(bin_of, weights=confidence, minlength=n_bins),
        np.bincount(bin_of[correct], minlength=n_bins),
    )


def calibration_error(confidence: Any, correct: Any, *, n_bins: int = 15) -> float:
    """Return the expected calibration error: how far confidence and share of right answers are apart, over the bins.

    Each bin's distance counts by the share of answers in it (Guo et al. 2017).

    Parameters
    ----------
    confidence, correct, n_bins
        As for `calibration_bins`.
    """
    count, confidence_sum, n_correct = calibration_bins(confidence, correct, n_bins=n_bins)
    return float(np.abs(n_correct - confidence_sum).sum() / count.sum())


def interquartile_mean(values: Any, axis: int = 0) -> Array:
    """Return the mean of the middle half of `values` along `axis`: as steady as the median, and smoother.

    Where the number of values is not a multiple of four, the two at the edges count by the part of them that lies
    inside, so that the weights always sum to half the number of values.

    Parameters
    ----------
    values : array_like
        At least one value along `axis`; NaN and infinities are not allowed.
    axis : int, default 0
        The axis of the runs.
    """
    values = finite_array("values", values, np.float64)
    axis = whole_number("axis", axis, least=-values.ndim)
    if axis >= values.ndim:
        raise ValueError(f"values must have the axis {axis}, that of the runs; got shape {values.shape}")
    ordered = np.sort(values, axis=axis)
    n = ordered.shape[axis]
    if n == 0:
        raise ValueError("values must hold at least one run; got none")
    # Value number i owns the stretch from i to i + 1; its weight is the part of that inside [n/4, 3n/4].
    edges = np.clip(np.arange(n + 1), n / 4, 3 * n / 4)
    weights = np.diff(edges) / (n / 2)
    return np.tensordot(np.moveaxis(ordered, axis, -1), weights, axes=1)
