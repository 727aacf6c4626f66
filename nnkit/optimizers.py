"""Optimizers: how a gradient becomes a step. SGD (momentum, Nesterov), RMSprop, Adam and AdamW.

All parameters lie in one flat array and all gradients in another; each `Parameter` holds views of the two. A step is
then a handful of vector operations on the whole network, instead of one for each layer.
"""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from nnkit.checks import entries, finite_array, instance, nonnegative, number, same_shape, whole_number
from nnkit.module import Parameter
from nnkit.typing import Array

NEVER_MOVES = (
    "a weight whose running average is infinite never changes again; scale the inputs to about 0 to 1, take a smaller "
    "learning rate, or clip the gradient (clip_grad_norm; max_grad_norm of fit)"
)
"""What a warning says of numbers that have overflowed in an optimizer."""


class DivergenceWarning(RuntimeWarning):
    """A training has gone wrong: numbers are no longer finite, or weights can no longer change."""


class Optimizer(ABC):
    """The common interface of the optimizers.

    Parameters
    ----------
    params : iterable of Parameter
        What to train, usually ``model.parameters()``; all of one dtype.
    lr : float
        The learning rate, at least 0. It may be changed between steps.
    weight_decay : float
        The factor of the decay of the weights, at least 0.

    Raises
    ------
    TypeError
        If `params` holds something else than parameters.
    ValueError
        If `params` is empty or mixes dtypes.
    """

    _state_names: tuple[str, ...] = ()

    def __init__(self, params: Iterable[Parameter], lr: float, weight_decay: float) -> None:
        self.params = _distinct(params)
        dtypes = sorted({str(parameter.data.dtype) for parameter in self.params})
        if len(dtypes) > 1:
            raise ValueError(f"params must share one dtype; got {dtypes}; model.astype(np.float32) converts them all")
        self.lr = number("lr", lr, least=0)
        self.weight_decay = number("weight_decay", weight_decay, least=0)
        self.steps = 0
        self._data, self._grad = self._flatten()
        self._scratch = np.empty_like(self._data)

    def zero_grad(self) -> None:
        """Set every gradient to zero."""
        for parameter in self.params:
            parameter.zero_grad()

    def step(self) -> None:
        """Change every parameter by one step, from the gradients that backward has left.

        Warns
        -----
        DivergenceWarning
            If numbers overflow in this step, so that weights are no longer finite, or a running average is not and
            its weight can never change again. Under ``numpy.errstate(over="ignore")`` nobody is warned; `fit`, which
            looks for itself, makes use of that.
        """
        self._refresh()
        self.steps += 1
        if np.geterr()["over"] == "ignore":
            self._update(self._data, self._grad)
            return
        overflows: list[str] = []
        with np.errstate(over="call", call=lambda kind, flag: overflows.append(kind)):
            self._update(self._data, self._grad)
        if overflows and (parts := list(self.not_finite())):
            found = ", ".join(f"the {what} of params[{i}], {self.params[i]!r}" for i, what in parts)
            warnings.warn(
                f"a step of {self!r} overflowed; no longer finite: {found}; {NEVER_MOVES}",
                DivergenceWarning,
                stacklevel=2,
            )

    def not_finite(self) -> Iterator[tuple[int, str]]:
        """Yield the place in `params` and the name of all that is NaN or infinite: weights and running averages."""
        named = {"data": self._data} | {name: getattr(self, name) for name in self._state_names}
        for name, array in named.items():
            if np.isfinite(array).all():
                continue
            stops = np.cumsum([parameter.data.size for parameter in self.params])
            bad = np.flatnonzero(~np.isfinite(array))
            for i in np.unique(np.searchsorted(stops, bad, side="right")):
                yield int(i), name

    @abstractmethod
    def _update(self, data: Array, grad: Array) -> None:
        """Change `data` in place; `grad` is only read. Both are flat and hold every parameter."""

    def _flatten(self) -> tuple[Array, Array]:
        """Copy all parameters into two flat arrays, and let each `Parameter` hold views of them."""
        data = np.concatenate([parameter.data.ravel() for parameter in self.params])
        grad = np.concatenate([parameter.grad.ravel() for parameter in self.params], dtype=data.dtype)
        start = 0
        for parameter in self.params:
            shape, stop = parameter.data.shape, start + parameter.data.size
            parameter.data, parameter.grad = data[start:stop].reshape(shape), grad[start:stop].reshape(shape)
            start = stop
        return data, grad

    def _refresh(self) -> None:
        """Flatten anew if somebody gave a parameter another array: by assignment, or in another optimizer."""
        for parameter in self.params:
            if parameter.data.base is not self._data or parameter.grad.base is not self._grad:
                break
        else:
            return
        sizes = sum(parameter.data.size for parameter in self.params)
        dtypes = {parameter.data.dtype for parameter in self.params}
        if sizes != self._data.size or dtypes != {self._data.dtype}:
            raise ValueError(
                "the parameters changed size or dtype after this optimizer was made; make the optimizer afterwards"
            )
        self._data, self._grad = self._flatten()

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs: ``lr``, ``steps`` and a copy of each running average."""
        return {"lr": self.lr, "steps": self.steps} | {name: getattr(self, name).copy() for name in self._state_names}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned, for the same optimizer over the same parameters.

        Raises
        ------
        KeyError
            If a name is missing or unexpected.
        ValueError
            If an array has another size, a value is not finite, or `lr`, `steps` or a mean of squares negative. All is
            changed or nothing.
        TypeError
            If `state` is no mapping, or holds something else than numbers.
        """
        instance("state", state, Mapping, "what state_dict returned")
        expected = {"lr", "steps", *self._state_names}
        if set(state) != expected:
            raise KeyError(f"state must hold {sorted(expected)} for {type(self).__name__}; got {sorted(state)}")
        arrays = {name: finite_array(f"state[{name!r}]", state[name], self._data.dtype) for name in self._state_names}
        for name, array in arrays.items():
            same_shape(f"state[{name!r}]", array, self._data.shape, "all parameters together")
            if "square" in name:
                nonnegative(f"state[{name!r}]", array)
        lr = number("state['lr']", state["lr"], least=0)
        self.lr, self.steps = lr, whole_number("state['steps']", state["steps"], least=0)
        for name, array in arrays.items():
            getattr(self, name)[...] = array

    def __repr__(self) -> str:
        return f"{type(self).__name__}(lr={self.lr})"


class SGD(Optimizer):
    r"""Stochastic gradient descent, with momentum and Nesterov's momentum if wanted.

    Parameters
    ----------
    params : iterable of Parameter
        What to train.
    lr : float
        The learning rate :math:`\eta`.
    momentum : float, default 0
        :math:`\mu`, from 0 up to but not including 1.
    nesterov : bool, default False
        Whether to look ahead along the velocity; needs a positive momentum.
    weight_decay : float, default 0
        :math:`\lambda`; adds :math:`\lambda \theta` to the gradient.

    Notes
    -----
    Plain: :math:`\theta \leftarrow \theta - \eta g`. Momentum: :math:`v \leftarrow \mu v + g`, then
    :math:`\theta \leftarrow \theta - \eta v`. Nesterov: :math:`\theta \leftarrow \theta - \eta (g + \mu v)`.

    References
    ----------
    I. Sutskever et al., On the importance of initialization and momentum in deep learning, 2013.
    """

    def __init__(
        self,
        params: Iterable[Parameter],
        lr: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr, weight_decay)
        self.momentum = number("momentum", momentum, least=0, below=1)
        if nesterov and not self.momentum:
            raise ValueError("nesterov=True needs a momentum above 0; got momentum=0")
        self.nesterov = nesterov
        if self.momentum:
            self._state_names = ("velocity",)
            self.velocity = np.zeros_like(self._data)

    def _update(self, data: Array, grad: Array) -> None:
        if self.weight_decay:
            grad = grad + self.weight_decay * data
        if self.momentum:
            self.velocity *= self.momentum
            self.velocity += grad
            grad = grad + self.momentum * self.velocity if self.nesterov else self.velocity
        data -= np.multiply(grad, self.lr, out=self._scratch)


class RMSprop(Optimizer):
    r"""Divide each step by a running root mean square of the gradient.

    Parameters
    ----------
    params : iterable of Parameter
        What to train.
    lr : float, default 0.01
        The learning rate :math:`\eta`.
    alpha : float, default 0.99
        How slowly the running mean forgets.
    eps : float, default 1e-8
        :math:`\epsilon`, which keeps the division finite.
    weight_decay : float, default 0
        :math:`\lambda`; adds :math:`\lambda \theta` to the gradient.

    Notes
    -----
    :math:`s \leftarrow \alpha s + (1 - \alpha) g^2`, then
    :math:`\theta \leftarrow \theta - \eta g / (\sqrt{s} + \epsilon)`.

    References
    ----------
    T. Tieleman and G. Hinton, Lecture 6.5, Neural Networks for Machine Learning, 2012.
    """

    _state_names = ("square_average",)

    def __init__(
        self,
        params: Iterable[Parameter],
        lr: float = 0.01,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr, weight_decay)
        self.alpha = number("alpha", alpha, least=0, below=1)
        self.eps = number("eps", eps, above=0)
        self.square_average = np.zeros_like(self._data)

    def _update(self, data: Array, grad: Array) -> None:
        if self.weight_decay:
            grad = grad + self.weight_decay * data
        self.square_average *= self.alpha
        self.square_average += (1 - self.alpha) * grad * grad  # In this order, of which less overflows.
        data -= self.lr * grad / (np.sqrt(self.square_average, out=self._scratch) + self.eps)


class Adam(Optimizer):
    r"""Momentum and RMSprop together, corrected for their start at zero.

    Parameters
    ----------
    params : iterable of Parameter
        What to train.
    lr : float, default 0.001
        The learning rate :math:`\eta`.
    betas : tuple of float, default (0.9, 0.999)
        :math:`\beta_1` and :math:`\beta_2`, how slowly the two running means forget.
    eps : float, default 1e-8
        :math:`\epsilon`, which keeps the division finite.
    weight_decay : float, default 0
        :math:`\lambda`; adds :math:`\lambda \theta` to the gradient. `AdamW` decays the weights themselves instead.

    Notes
    -----
    :math:`m \leftarrow \beta_1 m + (1 - \beta_1) g` and :math:`v \leftarrow \beta_2 v + (1 - \beta_2) g^2`, then with
    :math:`\hat m = m / (1 - \beta_1^t)` and :math:`\hat v = v / (1 - \beta_2^t)`,
    :math:`\theta \leftarrow \theta - \eta \hat m / (\sqrt{\hat v} + \epsilon)`.

    The code puts both corrections into the learning rate and :math:`\epsilon`, as section 2 of the paper does. The step
    is the same, and a quarter faster.

    References
    ----------
    D. Kingma and J. Ba, Adam: a method for stochastic optimization, 2015.
    """

    _state_names = ("gradient_average", "square_average")

    def __init__(
        self,
        params: Iterable[Parameter],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr, weight_decay)
        beta1, beta2 = entries("betas", betas, 2, "a pair of numbers")
        self.betas = (number("betas[0]", beta1, least=0, below=1), number("betas[1]", beta2, least=0, below=1))
        self.eps = number("eps", eps, above=0)
        self.gradient_average = np.zeros_like(self._data)
        self.square_average = np.zeros_like(self._data)

    def _update(self, data: Array, grad: Array) -> None:
        if self.weight_decay:
            grad = grad + self.weight_decay * data
        self._adam_step(data, grad)

    def _adam_step(self, data: Array, grad: Array) -> None:
        (beta1, beta2), t = self.betas, self.steps
        m, v = self.gradient_average, self.square_average
        m *= beta1
        m += (1 - beta1) * grad
        v *= beta2
        v += (1 - beta2) * grad * grad  # In this order, of which less overflows.
        correction = math.sqrt(1 - beta2**t)
        lr, eps = self.lr * correction / (1 - beta1**t), self.eps * correction
        data -= lr * m / (np.sqrt(v, out=self._scratch) + eps)


class AdamW(Adam):
    r"""Adam with decoupled weight decay: :math:`\theta` shrinks by :math:`\eta \lambda \theta`, outside the averages.

    Parameters
    ----------
    params : iterable of Parameter
        What to train.
    lr : float, default 0.001
        The learning rate :math:`\eta`.
    betas : tuple of float, default (0.9, 0.999)
        As in `Adam`.
    eps : float, default 1e-8
        As in `Adam`.
    weight_decay : float, default 0.01
        :math:`\lambda`.

    References
    ----------
    I. Loshchilov and F. Hutter, Decoupled weight decay regularization, 2019.
    """

    def __init__(
        self,
        params: Iterable[Parameter],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)

    def _update(self, data: Array, grad: Array) -> None:
        data *= 1 - self.lr * self.weight_decay
        self._adam_step(data, grad)


OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {"sgd": SGD, "rmsprop": RMSprop, "adam": Adam, "adamw": AdamW}
"""The optimizers by name; each is called as ``optimizer(params, lr=..., weight_decay=...)``."""


def clip_grad_norm(params: Iterable[Parameter], max_norm: float) -> float:
    r"""Scale all gradients by one factor where their norm together is above `max_norm`, and return the norm before.

    Call it between backward and the optimizer's step; `fit` does with ``max_grad_norm=...``. The gradient keeps its
    direction.

    Parameters
    ----------
    params : iterable of Parameter
        Whose gradients, usually ``model.parameters()``; they are changed in place.
    max_norm : float
        The largest norm allowed, above 0.

    Returns
    -------
    float
        :math:`\|g\|`, the root of the sum of the squares of all entries, before any scaling. If that is NaN or
        infinite, no factor would give a direction to go in: the gradients then stay as they are, for the caller to
        see. (PyTorch would turn them into NaN and zeros.)

    Raises
    ------
    TypeError
        If `params` holds something else than parameters.
    ValueError
        If `params` is empty.

    Notes
    -----
    The factor is :math:`\min(1, c / (\|g\| + 10^{-6}))`, with :math:`c` for `max_norm`, as in PyTorch.

    References
    ----------
    R. Pascanu, T. Mikolov and Y. Bengio, On the difficulty of training recurrent neural networks, 2013.
    """
    max_norm = number("max_norm", max_norm, above=0)
    distinct = _distinct(params)
    # In float64, where the square of no float32 overflows.
    with np.errstate(over="ignore", invalid="ignore"):
        squares = [np.square(parameter.grad, dtype=np.float64).sum() for parameter in distinct]
    norm = math.sqrt(sum(squares))
    factor = max_norm / (norm + 1e-6)
    if math.isfinite(norm) and factor < 1:
        for parameter in distinct:
            parameter.grad *= factor
    return norm


def _distinct(params: Iterable[Parameter]) -> list[Parameter]:
    """Return each parameter once, or raise an error that says what else was given."""
    try:
        distinct = list({id(parameter): parameter for parameter in params}.values())
    except TypeError as error:
        if isinstance(params, Iterable):  # Then it is an error of what makes them, as of a generator.
            raise
        raise TypeError(f"params must be a list of Parameters, as model.parameters() gives; got {params!r}") from error
    if not distinct:
        raise ValueError("params must hold at least one Parameter; got none")
    for i, parameter in enumerate(distinct):
        if not isinstance(parameter, Parameter):
            raise TypeError(f"params[{i}] must be a Parameter, as model.parameters() gives; got {parameter!r}")
    return distinct
