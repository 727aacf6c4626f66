"""Activations: the functions between the linear maps, without which a deep network would be one linear map."""

from __future__ import annotations

import numpy as np

from nnkit.checks import float_array, number
from nnkit.module import Module
from nnkit.typing import Array


def sigmoid(x: Array) -> Array:
    r"""Return :math:`\sigma(x) = 1 / (1 + e^{-x})`, exact to rounding and without overflow for any `x`."""
    x = float_array("x", x)
    decay = np.exp(-np.abs(x))  # At most 1, whatever the sign of x.
    return np.maximum(decay, x >= 0) / (1 + decay)  # 1 above where x is not negative, decay elsewhere.


def softmax(x: Array) -> Array:
    r"""Return :math:`e^{x_i} / \sum_j e^{x_j}` along the last axis, from shifted scores so that nothing overflows."""
    exponentials = np.exp(_shifted(x))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def log_softmax(x: Array) -> Array:
    r"""Return :math:`x_i - \log \sum_j e^{x_j}` along the last axis, from shifted scores so that nothing overflows."""
    shifted = _shifted(x)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def _shifted(x: Array) -> Array:
    """Return `x` less its maximum along the last axis, in column order, in which NumPy reduces few columns faster."""
    x = np.asarray(float_array("x", x), order="F")
    with np.errstate(over="ignore"):
        shifted = x - x.max(axis=-1, keepdims=True)
    return np.maximum(shifted, np.finfo(x.dtype).min)  # finite, so that a probability of zero times it is zero


def zero_unless(mask: Array, values: Array) -> Array:
    """Return ``np.where(mask, values, 0)``, several times as fast for a mask without order.

    A product with the mask would be as fast, but turns an infinite value into NaN.
    """
    if values.itemsize > 8:
        return np.where(mask, values, 0)
    integers = np.dtype(f"i{values.itemsize}")
    kept = values.view(integers) & -mask.astype(integers)  # -True has every bit, -False none.
    return kept.view(values.dtype)


class ReLU(Module):
    r"""The rectifier :math:`y = \max(0, x)`, with :math:`\partial y / \partial x = 1` where :math:`x > 0`, else 0."""

    def forward(self, x: Array) -> Array:
        self.saved = y = np.maximum(x, 0)
        return y

    def backward(self, grad: Array) -> Array:
        y = self.saved
        return zero_unless(y > 0, grad)


class LeakyReLU(Module):
    r"""The leaky rectifier :math:`y = x` where :math:`x > 0`, else :math:`a x`.

    Parameters
    ----------
    negative_slope : float, default 0.01
        :math:`a`, at least 0 (Maas et al., Rectifier nonlinearities improve neural network acoustic models, 2013).
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = number("negative_slope", negative_slope, least=0)

    def forward(self, x: Array) -> Array:
        self.saved = x
        return np.maximum(x, 0) + self.negative_slope * np.minimum(x, 0)

    def backward(self, grad: Array) -> Array:
        x = self.saved
        return zero_unless(x > 0, grad) + self.negative_slope * zero_unless(x <= 0, grad)

    def __repr__(self) -> str:
        return f"LeakyReLU({self.negative_slope})"


class Sigmoid(Module):
    r"""The logistic function :math:`y = 1 / (1 + e^{-x})`, with :math:`\partial y / \partial x = y (1 - y)`."""

    def forward(self, x: Array) -> Array:
        self.saved = y = sigmoid(x)
        return y

    def backward(self, grad: Array) -> Array:
        y = self.saved
        return grad * y * (1 - y)


class Tanh(Module):
    r"""The hyperbolic tangent :math:`y = \tanh x`, with :math:`\partial y / \partial x = 1 - y^2`."""

    def forward(self, x: Array) -> Array:
        self.saved = y = np.tanh(x)
        return y

    def backward(self, grad: Array) -> Array:
        y = self.saved
        return grad * (1 - y * y)


class Softmax(Module):
    r"""Turn each row of scores into probabilities, :math:`y_i = e^{x_i} / \sum_j e^{x_j}`, along the last axis.

    Notes
    -----
    Every output depends on every input, so the derivative is a full matrix for each row, the Jacobian
    :math:`J_{ij} = y_i (\delta_{ij} - y_j)`. Backward multiplies by it without forming it:
    :math:`G J = y \odot (G - \sum_i G_i y_i)`. To train a classifier, leave this module out and give the logits to
    `CrossEntropyLoss`, which joins the two steps exactly and more stably.
    """

    def forward(self, x: Array) -> Array:
        self.saved = y = softmax(x)
        return y

    def backward(self, grad: Array) -> Array:
        y = self.saved
        return y * (grad - (grad * y).sum(axis=-1, keepdims=True))


ACTIVATIONS: dict[str, type[Module]] = {"relu": ReLU, "leaky_relu": LeakyReLU, "sigmoid": Sigmoid, "tanh": Tanh}
"""What may follow a hidden layer, by the name that a network made from its widths is told."""
