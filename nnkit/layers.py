"""Layers: modules with weights, and modules that only change a shape."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from nnkit._checks import Array, float_array, same_shape, whole_number
from nnkit.initializers import Initializer, get_initializer
from nnkit.module import Module, Parameter


@lru_cache(maxsize=16)
def _ones(n: int, dtype: np.dtype[Any]) -> Array:
    ones = np.ones(n, dtype=dtype)
    ones.flags.writeable = False
    return ones


class Linear(Module):
    r"""The affine map :math:`y = x W + b`, applied to each row of a batch.

    Parameters
    ----------
    in_features, out_features : int
        The widths of the input and of the output, at least 1.
    bias : bool, default True
        Whether to add :math:`b`, which starts at zero.
    init : str or callable, default "kaiming_uniform"
        How the weights start: a name from `nnkit.initializers`, or a function of a shape and a generator.
    rng : numpy.random.Generator or int, optional
        Where the weights are drawn from. Without it each layer differs from run to run.
    dtype : dtype, default float32
        The dtype of the parameters, and so of everything that the layer returns.

    Attributes
    ----------
    weight : Parameter
        :math:`W`, shape (in_features, out_features).
    bias : Parameter or None
        :math:`b`, shape (out_features,).

    Notes
    -----
    With the upstream gradient :math:`G = \partial L / \partial y`, backward adds
    :math:`\partial L / \partial W = x^\top G` and :math:`\partial L / \partial b = \sum_i G_i` to the gradients, and
    returns :math:`\partial L / \partial x = G W^\top`. Chapter 1 derives the first two, chapter 5 the third.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        init: str | Initializer = "kaiming_uniform",
        rng: np.random.Generator | int | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.in_features = whole_number("in_features", in_features, least=1)
        self.out_features = whole_number("out_features", out_features, least=1)
        if np.dtype(dtype).kind != "f":
            raise TypeError(f"dtype must be a floating-point dtype such as float32; got {np.dtype(dtype)}")
        shape = (self.in_features, self.out_features)
        weight = np.asarray(get_initializer(init)(shape, np.random.default_rng(rng)), dtype=dtype)
        same_shape("the array that init returned", weight, shape, "the weight")
        self.weight = Parameter(weight)
        self.bias = Parameter(np.zeros(self.out_features, dtype=dtype)) if bias else None

    def forward(self, x: Array) -> Array:
        x = float_array("x", x, self.weight.data.dtype)
        if x.ndim != 2 or x.shape[1] != self.in_features:
            raise ValueError(f"x must have shape (n, {self.in_features}) to enter {self!r}; got {x.shape}")
        self._save(x)
        y = x @ self.weight.data
        if self.bias is not None:
            y += self.bias.data
        return y

    def backward(self, grad: Array) -> Any:
        (x,) = self._take()
        same_shape("grad", grad, (len(x), self.out_features), "the output")
        self.weight.add_product_to_grad(x.T, grad)  # weight.grad += x.T @ grad
        if self.bias is not None:
            # bias.grad += grad.sum(axis=0), as a product: twice as fast
            self.bias.add_product_to_grad(_ones(len(grad), grad.dtype), grad)
        return grad @ self.weight.data.T if self.needs_input_grad else None

    def __repr__(self) -> str:
        return f"Linear({self.in_features}, {self.out_features}{'' if self.bias is not None else ', bias=False'})"


class Flatten(Module):
    """Turn each sample into one row: (n, a, b, ...) becomes (n, a * b * ...)."""

    def forward(self, x: Array) -> Array:
        x = float_array("x", x)
        if x.ndim < 1:
            raise ValueError(f"x must have at least one axis, the samples; got shape {x.shape}")
        self._save(x.shape)
        return x.reshape(len(x), int(np.prod(x.shape[1:])))

    def backward(self, grad: Array) -> Array:
        (shape,) = self._take()
        same_shape("grad", grad, (shape[0], int(np.prod(shape[1:]))), "the output")
        return grad.reshape(shape)
