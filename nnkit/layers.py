"""Layers: linear maps, a change of shape, and the layers that train and evaluate differently."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import DTypeLike

from nnkit.activations import zero_unless
from nnkit.checks import entries, float_dtype, generator, instance, number, same_shape, whole_number
from nnkit.initializers import Initializer, get_initializer
from nnkit.module import Module, Parameter
from nnkit.typing import Array, Seed


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

    Notes
    -----
    `weight` is :math:`W`, shape (in_features, out_features), `bias` :math:`b`, shape (out_features,), or None. With the
    upstream gradient :math:`G = \partial L / \partial y`,
    :math:`\partial L / \partial W = x^\top G`, :math:`\partial L / \partial b = \sum_i G_i` and
    :math:`\partial L / \partial x = G W^\top`. Chapter 1 derives the first two, chapter 3 the third.
    """

    bias: Parameter | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        init: str | Initializer = "kaiming_uniform",
        rng: Seed = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.in_features: int = whole_number("in_features", in_features, least=1)
        self.out_features = whole_number("out_features", out_features, least=1)
        shape = (self.in_features, self.out_features)
        weight = np.asarray(get_initializer(init)(shape, generator("rng", rng)), dtype=float_dtype(dtype))
        same_shape("the array that init returned", weight, shape, "the weight")
        self.weight = Parameter(weight)
        self.bias = Parameter(np.zeros(self.out_features, dtype=dtype)) if bias else None

    def forward(self, x: Array) -> Array:
        self.saved = x
        y = x @ self.weight.data
        if self.bias is not None:
            y += self.bias.data
        return y

    def accumulate(self, grad: Array) -> None:
        x, weight, bias = self.saved, self.weight, self.bias
        weight.grad += x.T @ grad
        if bias is not None:
            bias.grad += grad.sum(axis=0)

    def backward(self, grad: Array) -> Array:
        Linear.accumulate(self, grad)
        return grad @ self.weight.data.T

    def __repr__(self) -> str:
        bias = "" if self.bias is not None else ", bias=False"
        return f"{type(self).__name__}({self.in_features}, {self.out_features}{bias})"


class TiedLinear(Linear):
    r"""The affine map :math:`y = x W^\top + c` with the weight of another layer: the way back, at no new weights.

    Its `weight` is a transposed view of the other layer's, which is its attribute `shared`.

    Parameters
    ----------
    layer : Linear
        Whose weight :math:`W` to share. The two hold one `Parameter`: an optimizer steps it once, with the sum of both
        layers' gradients, and `state_dict` has it once, under the name of the layer that comes first.
    bias : bool, default True
        Whether to add :math:`c`, a bias of its own, which starts at zero.
    """

    def __init__(self, layer: Linear, bias: bool = True) -> None:
        instance("layer", layer, Linear, "a Linear, whose weight is to be shared")
        self.in_features, self.out_features = layer.out_features, layer.in_features
        self.shared = layer.weight
        self.bias = Parameter(np.zeros(self.out_features, dtype=layer.weight.data.dtype)) if bias else None

    @property
    def weight(self) -> Parameter:  # type: ignore[override]  # it is never assigned
        """The transposed weight, shape (in_features, out_features)."""
        return self.shared.T


class Flatten(Module):
    """Turn each sample into one row: (n, a, b, ...) becomes (n, a * b * ...)."""

    def forward(self, x: Array) -> Array:
        if x.ndim < 1:
            raise ValueError(f"x must have at least one axis, the samples; got shape {x.shape}")
        self.saved = x.shape
        return x.reshape(len(x), math.prod(x.shape[1:]))

    def backward(self, grad: Array) -> Array:
        shape = self.saved
        return grad.reshape(shape)


class Dropout(Module):
    r"""Set a random part of the input to zero while training, so that no unit can rely on another one.

    Parameters
    ----------
    p : float, default 0.5
        The probability that an entry is dropped, from 0 up to but not including 1.
    rng : numpy.random.Generator or int, optional
        Where each forward pass draws the entries to drop.

    Notes
    -----
    In training mode :math:`y = m \odot x`, where each entry of :math:`m` is 0 with probability :math:`p` and
    :math:`1 / (1 - p)` otherwise, so that the mean of :math:`y` over the draws is :math:`x`. In evaluation mode the
    layer is the identity. Backward returns :math:`m \odot G` with the same :math:`m` (Srivastava et al., Dropout,
    2014).
    """

    def __init__(self, p: float = 0.5, rng: Seed = None) -> None:
        self.p = number("p", p, least=0, below=1)
        self.rng = generator("rng", rng)

    def forward(self, x: Array) -> Array:
        # Drawn in float32 whatever x has: the same seed drops the same entries in every dtype.
        self.saved = kept = self.rng.random(x.shape, dtype=np.float32) >= self.p if self.training else None
        return x if kept is None else zero_unless(kept, x) / (1 - self.p)

    def backward(self, grad: Array) -> Array:
        kept = self.saved
        return grad if kept is None else zero_unless(kept, grad) / (1 - self.p)

    def __repr__(self) -> str:
        return f"Dropout({self.p})"


class GaussianNoise(Module):
    r"""Add normal noise to the input while training, so that a network learns to do without exact values.

    In front of an autoencoder, ``Sequential(GaussianNoise(0.2), autoencoder)``, it makes a denoising one.

    Parameters
    ----------
    std : float
        The standard deviation :math:`\sigma`, at least 0.
    rng : numpy.random.Generator or int, optional
        Where each forward pass draws the noise.
    clip : tuple of float, optional
        The bounds to which the noisy values are clipped, such as ``(0, 1)`` for images.

    Notes
    -----
    In training mode :math:`y = x + \sigma \epsilon` with standard normal :math:`\epsilon`, and backward returns
    :math:`G`; with bounds :math:`y` is clipped to them, and backward returns 0 where it was. In evaluation mode the
    layer is the identity (Vincent et al., Extracting and composing robust features with denoising autoencoders, 2008).
    """

    def __init__(self, std: float, rng: Seed = None, *, clip: tuple[float, float] | None = None) -> None:
        self.std = number("std", std, least=0)
        self.rng = generator("rng", rng)
        if clip is not None:
            first, second = entries("clip", clip, 2, "a pair of bounds")
            low = number("clip[0]", first)
            clip = (low, number("clip[1]", second, above=low))
        self.clip = clip

    def forward(self, x: Array) -> Array:
        if not self.training:
            return x
        # Drawn in float32 whatever x has: the same seed gives the same noise in every dtype.
        noise = self.rng.standard_normal(x.shape, dtype=np.float32).astype(x.dtype, copy=False)
        noisy = x + self.std * noise
        self.saved = noisy if self.clip else None
        return np.clip(noisy, *self.clip) if self.clip else noisy

    def backward(self, grad: Array) -> Array:
        noisy = self.saved
        if noisy is None or self.clip is None:
            return grad
        low, high = self.clip
        return zero_unless((noisy >= low) & (noisy <= high), grad)

    def __repr__(self) -> str:
        return f"GaussianNoise({self.std}{'' if self.clip is None else f', clip={self.clip}'})"


class BatchNorm1d(Module):
    r"""Give every feature mean 0 and variance 1 over the batch, then a learned scale and shift.

    Parameters
    ----------
    num_features, dtype : int, dtype
        The width of the input, at least 1, and the dtype of all arrays, float32 by default.
    eps : float, default 1e-5
        :math:`\epsilon`, added to the variance, so that a constant feature does not divide by zero.
    momentum : float, default 0.1
        The weight of the newest batch in the running statistics, from 0 to 1, as in PyTorch.

    Attributes
    ----------
    weight, bias : Parameter
        The scale :math:`\gamma`, ones at first, and the shift :math:`\beta`, zeros at first; shape (num_features,).
    running_mean, running_var : ndarray
        The running mean and variance of each feature, 0 and 1 at first, of the same shape: buffers, not trained.

    Notes
    -----
    In training mode, with the mean :math:`\mu` and the variance :math:`\sigma^2` of each feature over the :math:`n`
    samples of the batch,

    .. math:: \hat x = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}}, \qquad y = \gamma \odot \hat x + \beta.

    The running statistics move towards :math:`\mu` and towards the unbiased :math:`\frac{n}{n - 1} \sigma^2`, and stand
    in for :math:`\mu` and :math:`\sigma^2` in evaluation mode. With :math:`\hat G = \gamma \odot G` backward returns

    .. math::

        \frac{\hat G - \overline{\hat G} - \hat x \odot \overline{\hat G \odot \hat x}}{\sqrt{\sigma^2 + \epsilon}},

    one term for each way in which :math:`x` acts: directly, through the mean, and through the variance; the bars are
    means over the batch. In evaluation mode only the first remains (Ioffe and Szegedy, Batch normalization, 2015).
    """

    min_batch_size = 2  # One sample has no variance.
    buffer_names = ("running_mean", "running_var")
    nonnegative_names = ("running_var",)

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, *, dtype: DTypeLike = np.float32
    ) -> None:
        self.in_features = self.num_features = whole_number("num_features", num_features, least=1)
        self.eps = number("eps", eps, above=0)
        self.momentum = number("momentum", momentum, least=0, most=1)
        self.weight = Parameter(np.ones(self.num_features, dtype=float_dtype(dtype)))
        self.bias = Parameter(np.zeros(self.num_features, dtype=dtype))
        self.running_mean: Array = np.zeros(self.num_features, dtype=dtype)
        self.running_var: Array = np.ones(self.num_features, dtype=dtype)

    def forward(self, x: Array) -> Array:
        mean, var = self.running_mean, self.running_var
        if self.training:
            n, m = len(x), self.momentum
            mean, var = x.mean(axis=0), x.var(axis=0)
            self.running_mean = (1 - m) * self.running_mean + m * mean
            self.running_var = (1 - m) * self.running_var + m * var * (n / (n - 1))
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.saved = x_hat, std, self.training
        return self.weight.data * x_hat + self.bias.data

    def backward(self, grad: Array) -> Array:
        x_hat, std, was_training = self.saved
        self.weight.grad += (grad * x_hat).sum(axis=0)
        self.bias.grad += grad.sum(axis=0)
        g = grad * self.weight.data
        if not was_training:
            return g / std
        return (g - g.mean(axis=0) - x_hat * (g * x_hat).mean(axis=0)) / std

    def __repr__(self) -> str:
        return f"BatchNorm1d({self.num_features}, eps={self.eps:g}, momentum={self.momentum:g})"
