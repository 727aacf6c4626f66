"""Losses: how wrong a batch of predictions is, as one number, and the gradient that training starts from.

A loss is called with the predictions and the targets and returns a Python float; `backward` then returns dL/dpred.
The mean over the batch is taken here and only here, so no layer divides by the batch size.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from nnkit.activations import sigmoid
from nnkit.checks import finite_array, float_array, same_shape
from nnkit.typing import Array


class Loss(ABC):
    """The common interface of the losses.

    A subclass defines `value` and `gradient`.
    """

    _saved: tuple[Any, ...] | None = None

    def __call__(self, pred: Array, target: Array) -> float:
        """Return the loss of the batch.

        Parameters
        ----------
        pred : ndarray, shape (n, ...)
            The predictions, n at least 1.
        target : ndarray
            What should have come out.

        Raises
        ------
        ValueError
            If the batch is empty, the shapes do not fit, or the targets are out of range or not finite.
        FloatingPointError
            If the loss is NaN, because `pred` is not finite: the training has diverged, or its data was bad.
        """
        pred = float_array("pred", pred)
        if pred.size == 0:
            raise ValueError(
                f"pred must hold at least one prediction, since the loss is a mean; got shape {pred.shape}"
            )
        value, saved = self.value(pred, target)
        if value != value:
            finite_array("target", target)
            raise FloatingPointError(
                f"pred must be finite; got {int((~np.isfinite(pred)).sum())} NaN or infinite of {pred.size} values, "
                "the loss is NaN, and so the training has diverged or its data was bad"
            )
        self._saved = saved
        return value

    def backward(self) -> Array:
        """Return dL/dpred for the last call, in the shape and dtype of `pred`; each call can be used once."""
        if self._saved is None:
            raise RuntimeError(
                f"{type(self).__name__}.backward has nothing to work on: call the loss first, once for each backward"
            )
        saved, self._saved = self._saved, None
        return self.gradient(*saved)

    @abstractmethod
    def value(self, pred: Array, target: Array) -> tuple[float, tuple[Any, ...]]:
        """Return the loss, and a tuple of whatever `gradient` needs."""

    @abstractmethod
    def gradient(self, *saved: Any) -> Array:
        """Return dL/dpred from the entries of that tuple."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class MSELoss(Loss):
    r"""The mean squared error :math:`L = \frac{1}{N} \sum_i (\hat y_i - y_i)^2` over all N entries of the batch.

    `pred` and `target` must have the same shape; nothing is broadcast, because (n, 1) against (n,) would silently
    compare every prediction with every target. The gradient is :math:`\frac{2}{N} (\hat y - y)`.
    """

    def value(self, pred: Array, target: Array) -> tuple[float, tuple[Any, ...]]:
        target = float_array("target", target, pred.dtype)
        same_shape("target", target, pred.shape, "pred")
        difference = pred - target
        return float(np.square(difference).sum(dtype=np.float64)) / difference.size, (difference,)

    def gradient(self, difference: Array) -> Array:
        return difference * (2 / difference.size)


class CrossEntropyLoss(Loss):
    r"""The mean of :math:`-\sum_k t_k \log \mathrm{softmax}(z)_k` over the samples, from logits :math:`z`.

    `pred` holds logits of shape (n, k). `target` holds n integer classes from 0 to k - 1, or a matrix of shape (n, k)
    whose rows are probabilities (one-hot or soft) and sum to 1.

    Notes
    -----
    With :math:`z' = z - \max_k z_k` the loss is :math:`\log \sum_k e^{z'_k} - \sum_k t_k z'_k`, which can neither
    overflow nor take the logarithm of zero. Its gradient is :math:`(\mathrm{softmax}(z) - t) / n`.
    """

    def value(self, pred: Array, target: Array) -> tuple[float, tuple[Any, ...]]:
        if pred.ndim != 2:
            raise ValueError(f"pred must hold logits of shape (n, k); got shape {pred.shape}")
        target = self._checked(pred, np.asarray(target))
        n = len(pred)
        # From here on one column a sample, (k, n): NumPy reduces over the few classes much faster that way.
        shifted = pred.T.copy()
        with np.errstate(over="ignore"):  # As in softmax.
            shifted -= np.maximum.reduce(shifted)
        if target.ndim == 1:
            right = target * n + np.arange(n)  # Where the right classes stand, counted along the rows of (k, n).
            picked = shifted.take(right)
        else:
            right = None
            # A class that has no probability counts nothing, however low its logit: 0 times -inf would be NaN.
            picked = np.multiply(target.T, shifted, where=target.T > 0, out=np.zeros_like(shifted)).sum(axis=0)
        exponentials = np.exp(shifted, out=shifted)
        normalizer = np.add.reduce(exponentials)
        value = float(np.add.reduce(np.log(normalizer) - picked, dtype=np.float64)) / n
        return value, (exponentials, normalizer, target, right)

    def gradient(self, exponentials: Array, normalizer: Array, target: Array, right: Array | None) -> Array:
        n = len(normalizer)
        grad = exponentials
        grad /= normalizer * n  # softmax(z) / n
        if right is not None:
            grad.reshape(-1)[right] -= 1 / n
        else:
            grad -= target.T / n
        return grad.T

    def _checked(self, pred: Array, target: Array) -> Array:
        n, k = pred.shape
        if target.shape == (n,) and target.dtype.kind in "iu":
            classes = target.astype(np.int64, copy=False)
            # Read as unsigned, a negative class is a huge one: one pass finds both ends.
            if np.maximum.reduce(classes.view(np.uint64)) >= k:
                raise ValueError(
                    f"target must hold classes from 0 to {k - 1}, since pred has {k} columns; "
                    f"got values from {target.min()} to {target.max()}"
                )
            return classes
        if target.shape == (n, k):
            target = finite_array("target", target, pred.dtype)
            sums = target.sum(axis=1, dtype=np.float64)
            if target.min() < 0 or np.abs(sums - 1).max() > 1e-3:
                raise ValueError(
                    "target must hold probabilities in each row, at least 0 and with sum 1; "
                    f"got values from {target.min():g} and sums from {sums.min():g} to {sums.max():g}"
                )
            return target
        raise ValueError(
            f"target must hold {n} integer classes, or probabilities of shape {(n, k)}, for pred of shape {(n, k)}; "
            f"got shape {target.shape} and dtype {target.dtype}"
        )


class BCEWithLogitsLoss(Loss):
    r"""The mean binary cross-entropy :math:`-t \log \sigma(z) - (1 - t) \log(1 - \sigma(z))` over all entries.

    `pred` holds logits :math:`z`, `target` values in [0, 1] of the same shape; nothing is broadcast.

    Notes
    -----
    Computed as :math:`\max(z, 0) - z t + \log(1 + e^{-|z|})`, which is the same and cannot overflow. The gradient is
    :math:`(\sigma(z) - t) / N`.
    """

    def value(self, pred: Array, target: Array) -> tuple[float, tuple[Any, ...]]:
        target = float_array("target", target, pred.dtype)
        same_shape("target", target, pred.shape, "pred")
        if target.min() < 0 or target.max() > 1:
            raise ValueError(f"target must lie in [0, 1]; got values from {target.min():g} to {target.max():g}")
        terms = np.maximum(pred, 0) - pred * target + np.log1p(np.exp(-np.abs(pred)))
        return float(terms.sum(dtype=np.float64)) / terms.size, (pred, target)

    def gradient(self, pred: Array, target: Array) -> Array:
        return (sigmoid(pred) - target) / pred.size
