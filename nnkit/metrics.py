"""Metrics: numbers that say how good predictions are, and numbers that summarize many runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nnkit.checks import finite_array, number, numbers_or_strings, same_shape, shown, whole_number, whole_or_strings
from nnkit.typing import Array

_MOST_CLASSES = 30_000  # Of a confusion matrix, which then takes 7 GB.


def predicted_classes(pred: Any, threshold: float | None = None) -> Array:
    """Turn predictions into classes.

    The dtype says which of the two they are, never the values: a float is a score, also where it is 0.0 or 1.0, and
    classes that are kept as floats, as in ``(p > 0.5).astype(float)``, need ``.astype(int)``.

    Parameters
    ----------
    pred : array_like
        Classes, shape (n,) or (n, 1), integers, truth values or strings, returned as they are; scores, shape (n, k)
        with k at least 2, of which the column of the largest counts; or one score a sample, shape (n,) or (n, 1),
        which needs a `threshold`. Scores may be infinite, as the logit of what is impossible.
    threshold : float, optional
        From which score on a single score means class 1: 0.5 for a probability, 0 for a logit.

    Returns
    -------
    ndarray of int64 or str, shape (n,)

    Raises
    ------
    TypeError
        If `pred` holds anything but numbers, or anything but strings.
    ValueError
        If a score is NaN, a value is masked, the shape is another, or `threshold` is missing or has no use.
    """
    pred = numbers_or_strings("pred", pred)
    if pred.ndim not in (1, 2) or 0 in pred.shape[1:]:
        raise ValueError(f"pred must have shape (n,) or (n, k); got {pred.shape}")
    _refuse_nan("pred", pred)
    several = pred.ndim == 2 and pred.shape[1] > 1
    if threshold is not None and (several or pred.dtype.kind == "U"):
        raise ValueError(f"threshold needs one score a sample; got pred of dtype {pred.dtype} and shape {pred.shape}")
    if several:
        return pred.argmax(axis=1)
    pred = pred.reshape(-1)
    if threshold is not None:
        infinite = isinstance(threshold, float) and np.isinf(threshold)
        return (pred >= (threshold if infinite else number("threshold", threshold))).astype(np.int64)
    if pred.dtype.kind == "f" and len(pred):
        raise ValueError(
            "threshold must be given for one score a sample: 0.5 for probabilities, 0 for logits; "
            f"got pred of dtype {pred.dtype}; if it holds classes, pass np.asarray(pred).astype(int)"
        )
    return whole_or_strings("pred", pred)


def _refuse_nan(name: str, array: Array) -> None:
    # A NaN is its array's minimum. To argmax it would be the largest score, and to a threshold class 0.
    if array.dtype.kind == "f" and array.size and np.isnan(array.min()):
        bad = np.isnan(array)
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"{name} must not hold NaN; got {int(bad.sum())} of {array.size} values, the first at {first}")


def _classes(pred: Any, target: Any, threshold: float | None) -> tuple[Array, Array]:
    """Return the predicted and the true classes, one a sample and both of one kind."""
    predicted = predicted_classes(pred, threshold)
    target = numbers_or_strings("target", target)
    if target.ndim == 2 and target.shape[1] > 1:  # One-hot rows.
        _refuse_nan("target", target)
        largest = target == target.max(axis=1, keepdims=True)
        if (several := largest.sum(axis=1) > 1).any():
            raise ValueError(f"each row of target must have one largest entry; got {target[several][0]}")
        target = target.argmax(axis=1)
    elif target.ndim == 2 and target.shape[1] == 1:
        target = target[:, 0]
    same_shape("target", target, predicted.shape, "the predicted classes")
    if not len(predicted):
        raise ValueError("pred must hold at least one prediction; got none")
    target = whole_or_strings("target", target)
    _same_kind("pred", predicted, "target", target)
    return predicted, target


def _same_kind(name: str, classes: Array, other: str, others: Array) -> None:
    if classes.dtype.kind != others.dtype.kind:
        raise TypeError(
            f"{name} and {other} must both hold numbers or both strings; "
            f"got the classes {classes[0].item()!r} and {others[0].item()!r}"
        )


def _numbered(
    pred: Any, target: Any, n_classes: int | None, labels: Any, threshold: float | None
) -> tuple[Array, Array, int]:
    """Return predicted and true classes as their places among those asked for, and how many these are.

    That number is also the place of every other class.
    """
    predicted, target = _classes(pred, target, threshold)
    if n_classes is not None:
        if labels is not None:
            raise ValueError("n_classes and labels must not both be given: labels says how many there are")
        n_classes = whole_number("n_classes", n_classes, least=1)
        if target.dtype.kind == "U":
            raise TypeError(f"n_classes needs classes from 0 on, and strings need labels; got {target[0].item()!r}")
        lowest, highest = min(predicted.min(), target.min()), max(predicted.max(), target.max())
        if lowest < 0 or highest >= n_classes:
            raise ValueError(f"classes must lie from 0 to {n_classes - 1}; got values from {lowest} to {highest}")
        return predicted, target, n_classes
    present, numbers = np.unique(np.concatenate([predicted, target]), return_inverse=True)
    if labels is not None:
        wanted = whole_or_strings("labels", numbers_or_strings("labels", labels))
        if wanted.ndim != 1 or not len(wanted) or len(np.unique(wanted)) < len(wanted):
            raise ValueError(f"labels must be a list of different classes; got {shown(labels)}")
        _same_kind("labels", wanted, "target", target)
        place = {label: i for i, label in enumerate(wanted.tolist())}
        numbers = np.array([place.get(label, len(place)) for label in present.tolist()])[numbers]
        present = wanted
    return numbers[: len(predicted)], numbers[len(predicted) :], len(present)


def accuracy(pred: Any, target: Any, *, threshold: float | None = None) -> float:
    """Return the fraction of samples whose predicted class is the right one.

    Parameters
    ----------
    pred : array_like
        Classes or scores, as `predicted_classes` takes them. The columns of scores are the classes 0, 1 and so on; if
        `target` holds strings, ``names[predicted_classes(pred)]`` calls them by name.
    target : array_like
        Classes, shape (n,) or (n, 1), whole numbers of any dtype or strings; or one-hot rows, shape (n, k), which may
        be soft, but each have one largest entry.
    threshold : float, optional
        As for `predicted_classes`.

    Raises
    ------
    TypeError
        If not both hold numbers or both strings.
    ValueError
        If there is no sample, `target` is of another length, or it holds NaN, infinity or a fraction.
    """
    predicted, target = _classes(pred, target, threshold)
    return float((predicted == target).mean())


def confusion_matrix(
    pred: Any, target: Any, n_classes: int | None = None, *, labels: Any = None, threshold: float | None = None
) -> Array:
    """Count the samples by true class (row) and predicted class (column).

    Parameters
    ----------
    pred, target, threshold
        As for `accuracy`.
    n_classes : int, optional
        How many classes there are, from 0 on. Another one in `pred` or `target` is an error.
    labels : array_like, shape (n_classes,), optional
        The classes in the order of the rows and columns; samples of any other, or predicted to be, are left out.
        Without it and `n_classes`, the classes that occur in `pred` or `target`, sorted.

    Returns
    -------
    ndarray of int64, shape (n_classes, n_classes)

    Raises
    ------
    ValueError
        As for `accuracy`; if no sample is of a class in `labels`; if there are more than 30,000 classes.
    """
    predicted, target, n = _numbered(pred, target, n_classes, labels, threshold)
    if n > _MOST_CLASSES:
        raise ValueError(
            f"a confusion matrix may have {_MOST_CLASSES:,} classes; got {n:,}, which would take {8e-9 * n * n:,.0f} GB"
        )
    if (target == n).all():
        raise ValueError(f"labels must name a class of target; got {shown(labels)}")
    asked_for = (predicted < n) & (target < n)
    return np.bincount((target * n + predicted)[asked_for], minlength=n**2).reshape(n, n)


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
    pred: Any, target: Any, n_classes: int | None = None, *, labels: Any = None, threshold: float | None = None
) -> ClassCounts:
    """Count true and false positives and negatives for each class against the rest.

    Parameters
    ----------
    pred, target, n_classes, threshold
        As for `confusion_matrix`.
    labels : array_like, shape (n_classes,), optional
        The classes to report, in this order. Samples of other classes stay, as part of the rest.
        Without it and `n_classes`, the classes that occur in `pred` or `target`, sorted.
    """
    predicted, target, n = _numbered(pred, target, n_classes, labels, threshold)
    TP = np.bincount(target[predicted == target], minlength=n + 1)[:n]
    FP = np.bincount(predicted, minlength=n + 1)[:n] - TP
    FN = np.bincount(target, minlength=n + 1)[:n] - TP
    return ClassCounts(TP, FP, FN, len(target) - TP - FP - FN)


def precision(
    pred: Any,
    target: Any,
    n_classes: int | None = None,
    *,
    labels: Any = None,
    average: str | None = "macro",
    zero_division: float = 0.0,
    threshold: float | None = None,
) -> Any:
    """Return how many of those that were predicted to be of a class are: TP / (TP + FP).

    Parameters
    ----------
    pred, target, n_classes, labels, threshold
        As for `class_counts`.
    average : {"macro", "weighted", None}, default "macro"
        The mean over the classes, their mean weighted by the number of samples of each, or none: one number a class.
        Every class that is reported counts, also one without samples.
    zero_division : {0, 1, nan}, default 0
        The score of a class that is never predicted; NaN leaves it out of the average.

    Returns
    -------
    float, or ndarray of float64 of shape (n_classes,) without an average
    """
    found = class_counts(pred, target, n_classes, labels=labels, threshold=threshold)
    return _averaged(found.TP, found.TP + found.FP, found, average, zero_division)


def recall(
    pred: Any,
    target: Any,
    n_classes: int | None = None,
    *,
    labels: Any = None,
    average: str | None = "macro",
    zero_division: float = 0.0,
    threshold: float | None = None,
) -> Any:
    """Return how many of those that are of a class were predicted to be: TP / (TP + FN).

    The weighted average over all classes is the accuracy.

    Parameters
    ----------
    pred, target, n_classes, labels, average, threshold
        As for `precision`.
    zero_division : {0, 1, nan}, default 0
        The score of a class without samples; NaN leaves it out of the average.

    Returns
    -------
    float, or ndarray of float64 of shape (n_classes,) without an average
    """
    found = class_counts(pred, target, n_classes, labels=labels, threshold=threshold)
    return _averaged(found.TP, found.TP + found.FN, found, average, zero_division)


def f1_score(
    pred: Any,
    target: Any,
    n_classes: int | None = None,
    *,
    labels: Any = None,
    average: str | None = "macro",
    zero_division: float = 0.0,
    threshold: float | None = None,
) -> Any:
    """Return the harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN).

    Parameters
    ----------
    pred, target, n_classes, labels, average, threshold
        As for `precision`. An average is that of the classes' scores.
    zero_division : {0, 1, nan}, default 0
        The score of a class without samples that is never predicted; NaN leaves it out of the average.

    Returns
    -------
    float, or ndarray of float64 of shape (n_classes,) without an average
    """
    found = class_counts(pred, target, n_classes, labels=labels, threshold=threshold)
    return _averaged(2 * found.TP, 2 * found.TP + found.FP + found.FN, found, average, zero_division)


def _averaged(
    numerator: Array, denominator: Array, found: ClassCounts, average: str | None, zero_division: float
) -> Any:
    if not isinstance(zero_division, (int, float)) or not (zero_division in (0, 1) or np.isnan(zero_division)):
        raise ValueError(f"zero_division must be 0, 1 or nan; got {zero_division!r}")
    scores = np.where(denominator > 0, numerator / np.maximum(denominator, 1), zero_division)
    if average is None:
        return scores
    if average not in ("macro", "weighted"):
        raise ValueError(f"average must be 'macro', 'weighted' or None; got {average!r}")
    weights = found.TP + found.FN if average == "weighted" else np.ones(len(scores))
    counted = ~np.isnan(scores)
    if not counted.any():
        return float("nan")
    # As in scikit-learn, classes that all have no sample weigh the same.
    return float(np.average(scores[counted], weights=weights[counted] if weights[counted].any() else None))


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
