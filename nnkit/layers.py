"""Layers: modules with weights, modules that only change a shape, and modules that differ between the two modes."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from nnkit.checks import entries, float_array, generator, number, same_shape, whole_number, zero_unless
from nnkit.initializers import Initializer, get_initializer
from nnkit.module import Module, Parameter
from nnkit.typing import Array


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
    returns :math:`\partial L / \partial x = G W^\top`. Chapter 1 derives the first two, chapter 3 the third.
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
        weight = np.asarray(get_initializer(init)(shape, generator("rng", rng)), dtype=dtype)
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


class TiedLinear(Module):
    r"""The affine map :math:`y = x W^\top + c` with the weight of another layer: the way back, at no new weights.

    Parameters
    ----------
    layer : Linear
        Whose weight :math:`W` to share. The two hold one `Parameter`: an optimizer steps it once, with the sum of both
        layers' gradients, and `state_dict` has it once, under the name of the layer that comes first.
    bias : bool, default True
        Whether to add :math:`c`, a bias of its own, which starts at zero.

    Attributes
    ----------
    weight : Parameter
        :math:`W`, shape (out_features, in_features), and not (in_features, out_features) as in `Linear`.
    bias : Parameter or None
        :math:`c`, shape (out_features,).

    Notes
    -----
    With the upstream gradient :math:`G`, backward adds :math:`\partial L / \partial W = G^\top x` and
    :math:`\partial L / \partial c = \sum_i G_i`, and returns :math:`\partial L / \partial x = G W`: those of `Linear`
    with :math:`W^\top` for :math:`W`.
    """

    def __init__(self, layer: Linear, bias: bool = True) -> None:
        if not isinstance(layer, Linear):
            raise TypeError(f"layer must be a Linear, whose weight is to be shared; got {layer!r}")
        self.in_features, self.out_features = layer.out_features, layer.in_features
        self.weight = layer.weight
        self.bias = Parameter(np.zeros(self.out_features, dtype=self.weight.data.dtype)) if bias else None

    def forward(self, x: Array) -> Array:
        x = float_array("x", x, self.weight.data.dtype)
        if x.ndim != 2 or x.shape[1] != self.in_features:
            raise ValueError(f"x must have shape (n, {self.in_features}) to enter {self!r}; got {x.shape}")
        self._save(x)
        y = x @ self.weight.data.T
        if self.bias is not None:
            y += self.bias.data
        return y

    def backward(self, grad: Array) -> Any:
        (x,) = self._take()
        same_shape("grad", grad, (len(x), self.out_features), "the output")
        self.weight.add_product_to_grad(grad.T, x)  # weight.grad += grad.T @ x
        if self.bias is not None:
            self.bias.add_product_to_grad(_ones(len(grad), grad.dtype), grad)
        return grad @ self.weight.data if self.needs_input_grad else None

    def __repr__(self) -> str:
        return f"TiedLinear({self.in_features}, {self.out_features}{'' if self.bias is not None else ', bias=False'})"


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


class Dropout(Module):
    r"""Set a random part of the input to zero while training, so that no unit can rely on another one.

    Parameters
    ----------
    p : float, default 0.5
        The probability of each entry to be dropped, from 0 up to but not including 1.
    rng : numpy.random.Generator or int, optional
        Where it is drawn which entries go, anew in each forward pass. Without it each layer differs from run to run.

    Notes
    -----
    In training mode :math:`y = m \odot x`, where each entry of :math:`m` is 0 with probability :math:`p` and
    :math:`1 / (1 - p)` otherwise, so that the mean of :math:`y` over the draws is :math:`x`. This is inverted dropout:
    since the scaling is done while training, the layer is the identity in evaluation mode. Backward returns
    :math:`m \odot G` with the same :math:`m`.

    References
    ----------
    N. Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting, 2014.
    """

    def __init__(self, p: float = 0.5, rng: np.random.Generator | int | None = None) -> None:
        self.p = number("p", p, least=0, below=1)
        self.rng = generator("rng", rng)

    def forward(self, x: Array) -> Array:
        x = float_array("x", x)
        if not self.training:
            self._save(x.shape, None)
            return x
        # Drawn in float32 whatever x has: the same seed drops the same entries in every dtype.
        kept = self.rng.random(x.shape, dtype=np.float32) >= self.p
        self._save(x.shape, kept)
        return self._kept(x, kept)

    def backward(self, grad: Array) -> Array:
        shape, kept = self._take()
        same_shape("grad", grad, shape, "the output")
        return grad if kept is None else self._kept(grad, kept)

    def _kept(self, values: Array, kept: Array) -> Array:
        scale = values.dtype.type(1) / (1 - self.p)
        return zero_unless(kept, values) * scale

    def __repr__(self) -> str:
        return f"Dropout({self.p})"


class GaussianNoise(Module):
    r"""Add normal noise to the input while training, so that a network learns to do without exact values.

    In front of an autoencoder it makes a denoising one: ``fit(Sequential(GaussianNoise(0.2), model), loss, optimizer,
    X, X, epochs=...)`` trains `model` on noisy inputs and clean targets, with new noise in each batch of each epoch.

    Parameters
    ----------
    std : float
        :math:`\sigma`, the standard deviation of the noise, at least 0.
    rng : numpy.random.Generator or int, optional
        Where the noise is drawn from, anew in each forward pass. Without it each layer differs from run to run.
    clip : tuple of float, optional
        The bounds to which the noisy values are clipped, such as ``(0, 1)`` for images.

    Notes
    -----
    In training mode :math:`y = x + \sigma \epsilon` with standard normal :math:`\epsilon`, and backward returns
    :math:`G`; with bounds :math:`y` is clipped to them, and backward returns 0 where it was. In evaluation mode the
    layer is the identity, also outside the bounds. To measure a network on noisy data, make the noise once, as in
    ``X_noisy = GaussianNoise(0.2, rng=0)(X)``, and give `fit` ``validation_data=(X_noisy, X)``.

    References
    ----------
    P. Vincent et al., Extracting and composing robust features with denoising autoencoders, 2008.
    """

    def __init__(
        self,
        std: float,
        rng: np.random.Generator | int | None = None,
        *,
        clip: tuple[float, float] | None = None,
    ) -> None:
        self.std = number("std", std, least=0)
        self.rng = generator("rng", rng)
        if clip is not None:
            first, second = entries("clip", clip, 2, "a pair of bounds")
            low = number("clip[0]", first)
            clip = (low, number("clip[1]", second, above=low))
        self.clip = clip

    def forward(self, x: Array) -> Array:
        x = float_array("x", x)
        if not self.training:
            self._save(x.shape, None)
            return x
        # Drawn in float32 whatever x has: the same seed gives the same noise in every dtype.
        noise = self.std * self.rng.standard_normal(x.shape, dtype=np.float32)
        noisy = x + noise.astype(x.dtype, copy=False)
        self._save(x.shape, noisy)
        return noisy if self.clip is None else np.clip(noisy, *self.clip)

    def backward(self, grad: Array) -> Array:
        shape, noisy = self._take()
        same_shape("grad", grad, shape, "the output")
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
    num_features : int
        The width of the input, at least 1.
    eps : float, default 1e-5
        :math:`\epsilon`, added to the variance, so that a constant feature does not divide by zero.
    momentum : float, default 0.1
        The weight of the newest batch in the running statistics, from 0 to 1. (PyTorch's convention; the momentum of
        `SGD` is the weight of the old.)
    dtype : dtype, default float32
        The dtype of parameters and running statistics, and so of everything that the layer returns.

    Attributes
    ----------
    weight, bias : Parameter
        The scale :math:`\gamma`, ones at first, and the shift :math:`\beta`, zeros at first; shape (num_features,).
    running_mean, running_var : ndarray
        The running mean and variance of each feature, 0 and 1 at first. They are buffers: part of `state_dict` and
        converted by `astype`, but not trained.

    Notes
    -----
    In training mode, with the mean :math:`\mu` and the variance :math:`\sigma^2 = \frac{1}{n} \sum_i (x_i - \mu)^2` of
    each feature over the :math:`n` samples of the batch,

    .. math:: \hat x = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}}, \qquad y = \gamma \odot \hat x + \beta.

    The running statistics move towards :math:`\mu` and towards the unbiased :math:`\frac{n}{n - 1} \sigma^2`. In
    evaluation mode they stand in for :math:`\mu` and :math:`\sigma^2`, so that a sample's output does not depend on the
    others.

    Backward adds :math:`\sum_i G_i \odot \hat x_i` and :math:`\sum_i G_i` to the gradients of :math:`\gamma` and
    :math:`\beta`. With :math:`\hat G = \gamma \odot G` it returns, where the bars are means over the batch,

    .. math::

        \frac{\hat G - \overline{\hat G} - \hat x \odot \overline{\hat G \odot \hat x}}{\sqrt{\sigma^2 + \epsilon}},

    one term for each way in which :math:`x` acts: directly, through the mean, and through the variance. In evaluation
    mode mean and variance are constants, and only the first remains.

    PyTorch also counts the batches seen (``num_batches_tracked``), which only its ``momentum=None`` needs; this layer
    has neither.

    References
    ----------
    S. Ioffe and C. Szegedy, Batch normalization: accelerating deep network training by reducing internal covariate
    shift, 2015.
    """

    min_batch_size = 2  # One sample has no variance.
    _buffer_names = ("running_mean", "running_var")
    _nonnegative_names = ("running_var",)

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, *, dtype: DTypeLike = np.float32
    ) -> None:
        self.num_features = whole_number("num_features", num_features, least=1)
        self.eps = number("eps", eps, above=0)
        self.momentum = number("momentum", momentum, least=0, most=1)
        if np.dtype(dtype).kind != "f":
            raise TypeError(f"dtype must be a floating-point dtype such as float32; got {np.dtype(dtype)}")
        self.weight = Parameter(np.ones(self.num_features, dtype=dtype))
        self.bias = Parameter(np.zeros(self.num_features, dtype=dtype))
        self.running_mean: Array = np.zeros(self.num_features, dtype=dtype)
        self.running_var: Array = np.ones(self.num_features, dtype=dtype)

    def forward(self, x: Array) -> Array:
        x = float_array("x", x, self.weight.data.dtype)
        if x.ndim != 2 or x.shape[1] != self.num_features:
            raise ValueError(f"x must have shape (n, {self.num_features}) to enter {self!r}; got {x.shape}")
        if self.training:
            mean, var = self._batch_statistics(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        normalized = (x - mean) / std
        self._save(normalized, std, self.training)
        return self.weight.data * normalized + self.bias.data

    def _batch_statistics(self, x: Array) -> tuple[Array, Array]:
        """Return the mean and the biased variance of each feature, and move the running statistics towards them."""
        n, m = len(x), self.momentum
        if n < self.min_batch_size:
            raise ValueError(
                f"x must hold at least 2 samples in training mode, since one has no variance; got shape {x.shape}; "
                "choose a batch_size that leaves no batch of one, or call eval() first"
            )
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - m) * self.running_mean + m * mean
        self.running_var = (1 - m) * self.running_var + m * var * (n / (n - 1))
        return mean, var

    def backward(self, grad: Array) -> Any:
        normalized, std, was_training = self._take()
        same_shape("grad", grad, normalized.shape, "the output")
        self.weight.grad += (grad * normalized).sum(axis=0)
        self.bias.grad += grad.sum(axis=0)
        if not self.needs_input_grad:
            return None
        g = grad * self.weight.data
        if not was_training:
            return g / std
        return (g - g.mean(axis=0) - normalized * (g * normalized).mean(axis=0)) / std

    def __repr__(self) -> str:
        return f"BatchNorm1d({self.num_features}, eps={self.eps:g}, momentum={self.momentum:g})"
