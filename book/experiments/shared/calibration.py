"""Calibration: whether a classifier that is 90 % sure is right in 90 % of the cases."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnkit.checks import finite_array, same_shape, whole_number
from nnkit.typing import Array


def calibration_bins(correct: Any, confidence: Any, *, n_bins: int = 15) -> tuple[Array, Array, Array]:
    """Sort answers by their confidence into bins of equal width, and add up each bin.

    The sums of several runs can be added. Divided by the first, the other two are the axes of a reliability diagram.

    Parameters
    ----------
    correct : array_like of bool, shape (n,)
        Whether each answer was right.
    confidence : array_like, shape (n,)
        The probability that was given to each answer, from 0 to 1.
    n_bins : int, default 15
        The number of bins; each includes its upper end, and the first includes 0 as well.

    Returns
    -------
    count, confidence_sum, n_correct : ndarray, shape (n_bins,)
        The number of answers in each bin, the sum of their confidences, and the number of right ones among them.
    """
    correct = np.asarray(correct)
    if correct.dtype != bool:
        swapped = ": correct and confidence look swapped" if np.asarray(confidence).dtype == bool else ""
        raise TypeError(f"correct must hold booleans; got dtype {correct.dtype}{swapped}")
    confidence = finite_array("confidence", confidence, np.float64)
    if confidence.ndim != 1 or len(confidence) == 0:
        raise ValueError(f"confidence must have shape (n,) with n at least 1; got {confidence.shape}")
    low, high = confidence.min(), confidence.max()
    if low < 0 or high > 1:
        raise ValueError(f"confidence must hold probabilities, from 0 to 1; got values from {low:g} to {high:g}")
    same_shape("correct", correct, confidence.shape, "confidence")
    n_bins = whole_number("n_bins", n_bins, least=1)
    bin_of = np.digitize(confidence, np.linspace(0, 1, n_bins + 1)[1:-1], right=True)
    count = np.bincount(bin_of, minlength=n_bins)
    confidence_sum = np.bincount(bin_of, weights=confidence, minlength=n_bins)
    return count, confidence_sum, np.bincount(bin_of[correct], minlength=n_bins)


def calibration_error(correct: Any, confidence: Any, *, n_bins: int = 15) -> float:
    """Return the expected calibration error: the distance of confidence and share of right answers, over the bins.

    Each bin counts by its share of the answers (Guo et al. 2017). Parameters are as for `calibration_bins`.
    """
    count, confidence_sum, n_correct = calibration_bins(correct, confidence, n_bins=n_bins)
    return float(np.abs(n_correct - confidence_sum).sum() / count.sum())
