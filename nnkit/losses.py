"""Losses: how wrong a batch of predictions is, as one number, and the gradient that training starts from.

A loss is called with the predictions and the targets and returns a Python float; `backward` then returns dL/dpred.
The mean over the batch is taken here and only here, so no layer divides by the batch size.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from nnkit.activations import log_softmax, sigmoid
from nnkit.checks import finite_array, float_array, probabilities, same_shape, used_once
from nnkit.typing import Array


class Loss(ABC):
    """The common interface of the losses: a subclass defines `forward` and `backward` as plain mathematics.

    `forward` keeps in ``self.saved`` what `backward` will need. If targets have another form than predictions, the
    subclass overrides `checked_target` too.
    """

    saved: Any = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "backward" in vars(cls):
            cls.backward = used_once(cls.backward)  # type: ignore[method-assign]

    def __call__(self, pred: Array, target: Array) -> float:
        """Return the loss of the batch, whose predictions have shape (n, ...) with n at least 1.

        Raises ValueError if `target` does not fit, and FloatingPointError if the loss is NaN because `pred` is not
        finite; under ``numpy.errstate(invalid="ignore")`` the NaN is returned, for a caller such as `fit`.
        """
        pred = float_array("pred", pred)
        if pred.size == 0:
            raise ValueError(f"pred must hold at least one prediction; got shape {pred.shape}")
        target = self.checked_target(pred, target)
        value = self.forward(pred, target)
        if value != value:
            finite_array("target", target)
            if np.geterr()["invalid"] != "ignore":
                raise FloatingPointError(
                    f"pred must be finite; got {int((~np.isfinite(pred)).sum())} NaN or infinite of {pred.size} "
                    "values, so training has diverged or its data was bad"
                )
        return value

    @abstractmethod
    def forward(self, pred: Array, target: Array) -> float:
        """Return the loss."""

    @abstractmethod
    def backward(self) -> Array:
        """Return dL/dpred for the last call, in the shape and dtype of `pred`; each call can be used once."""

    def checked_target(self, pred: Array, target: Any) -> Array:
        """Return the target in the shape and dtype of `pred`; raise ValueError if it has another shape."""
        target = float_array("target", target, pred.dtype)
        same_shape("target", target, pred.shape, "pred")
        return target

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class MSELoss(Loss):
    r"""The mean squared error :math:`L = \frac{1}{N} \sum_i (\hat y_i - y_i)^2` over all N entries of the batch.

    `pred` and `target` must have the same shape; nothing is broadcast, because (n, 1) against (n,) would silently
    compare every prediction with every target. The gradient is :math:`\frac{2}{N} (\hat y - y)`.
    """

    def forward(self, pred: Array, target: Array) -> float:
        difference = pred - target
        self.saved = difference
        return float(np.square(difference).sum(dtype=np.float64)) / difference.size

    def backward(self) -> Array:
        difference: Array = self.saved
        return 2 / difference.size * difference


class CrossEntropyLoss(Loss):
    r"""The mean of :math:`-\sum_k t_k \log \mathrm{softmax}(z)_k` over the samples, from logits :math:`z`.

    `pred` holds logits of shape (n, k). `target` holds n integer classes from 0 to k - 1, or a matrix of shape (n, k)
    whose rows are probabilities (one-hot or soft) and sum to 1. Classes become one-hot rows :math:`t`.

    Notes
    -----
    With the shifted logits :math:`z' = z - \max_k z_k`, :math:`\log \mathrm{softmax}(z) = z' - \log \sum_k e^{z'_k}`
    can neither overflow nor take the logarithm of zero. The gradient is :math:`(\mathrm{softmax}(z) - t) / n`.
    """

    def forward(self, pred: Array, target: Array) -> float:
        log_p = log_softmax(pred)
        self.saved = log_p, target
        return -float((target * log_p).sum(dtype=np.float64)) / len(pred)

    def backward(self) -> Array:
        log_p, target = self.saved
        return (np.exp(log_p) - target) / len(target)

    def checked_target(self, pred: Array, target: Any) -> Array:
        """Return the target as probabilities in the shape and dtype of `pred`, or raise ValueError."""
        if pred.ndim != 2:
            raise ValueError(f"pred must hold logits of shape (n, k); got shape {pred.shape}")
        return probabilities("target", target, pred.shape, pred.dtype)


class BCEWithLogitsLoss(Loss):
    r"""The mean binary cross-entropy :math:`-t \log \sigma(z) - (1 - t) \log(1 - \sigma(z))` over all entries.

    `pred` holds logits :math:`z`, `target` values in [0, 1] of the same shape; nothing is broadcast. Computed as
    :math:`\max(z, 0) - z t + \log(1 + e^{-|z|})`, which is the same and cannot overflow. The gradient is
    :math:`(\sigma(z) - t) / N`.
    """

    def forward(self, pred: Array, target: Array) -> float:
        self.saved = pred, target
        terms = np.maximum(pred, 0) - pred * target + np.log1p(np.exp(-np.abs(pred)))
        return float(terms.sum(dtype=np.float64)) / terms.size

    def backward(self) -> Array:
        pred, target = self.saved
        return (sigmoid(pred) - target) / pred.size

    def checked_target(self, pred: Array, target: Any) -> Array:
        """Return the target in the shape and dtype of `pred`; raise ValueError if it does not lie in [0, 1]."""
        target = super().checked_target(pred, target)
        if target.min() < 0 or target.max() > 1:
            raise ValueError(f"target must lie in [0, 1]; got values from {target.min():g} to {target.max():g}")
        return target
