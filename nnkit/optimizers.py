"""Optimizers: how a gradient becomes a step. SGD (momentum, Nesterov), RMSprop, Adam and AdamW.

Each optimizer is the equation of its `update`. The base class holds what makes it fast: all parameters lie in one flat
array and all gradients in another, of which each `Parameter` has views, so that one update serves the whole network.
"""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from nnkit.checks import checked_state, distinct, entries, number, same_shape, whole_number
from nnkit.module import Parameter
from nnkit.typing import Array

BLOCK = 2**15
"""How many weights `Optimizer.step` updates at a time: few enough that what an update computes stays in the cache."""

NEVER_MOVES = (
    "a weight whose running average is infinite never changes again; scale the inputs to about 0 to 1, use a smaller "
    "learning rate, or clip the gradient (clip_grad_norm; max_grad_norm of fit)"
)

Params = Iterable[Parameter]


class DivergenceWarning(RuntimeWarning):
    """Training has gone wrong: numbers are no longer finite, or weights can no longer change."""


class Optimizer(ABC):
    r"""The common interface of the optimizers; a subclass defines `update` and names its averages in `state_names`.

    Parameters
    ----------
    params : iterable of Parameter
        What to train, usually ``model.parameters()``; at least one, all of one dtype.
    lr : float
        The learning rate :math:`\eta`, at least 0. It may be changed between steps.
    weight_decay : float, default 0
        :math:`\lambda`, at least 0; adds :math:`\lambda \theta` to the gradient.
    """

    state_names: tuple[str, ...] = ()
    nonnegative_names: tuple[str, ...] = ()
    decays_in_gradient = True

    def __init__(self, params: Params, lr: float, weight_decay: float = 0.0) -> None:
        self.params = distinct("params", params, Parameter)
        dtypes = sorted({str(parameter.data.dtype) for parameter in self.params})
        if len(dtypes) > 1:
            raise ValueError(f"params must share one dtype; got {dtypes}; model.astype(np.float32) converts them all")
        self.lr = number("lr", lr, least=0)
        self.weight_decay = number("weight_decay", weight_decay, least=0)
        self.steps = 0
        self._data, self._grad = self._flatten()
        for name in self.state_names:
            setattr(self, name, np.zeros_like(self._data))

    @abstractmethod
    def update(self, *args: Any, **kwargs: Any) -> None:
        """Change some of the weights and their averages in place: ``update(weight, grad, *averages)``, all flat."""

    def zero_grad(self) -> None:
        """Set every gradient to zero."""
        self._refresh()
        self._grad[...] = 0

    def step(self) -> None:
        """Change every parameter by one step, from the gradients that backward has left.

        Warns with `DivergenceWarning` if a weight, or its running average, overflows in this step; not under
        ``numpy.errstate(over="ignore")``, since `fit` looks for itself.
        """
        self._refresh()
        self.steps += 1
        if np.geterr()["over"] == "ignore":
            self._update_blocks()
            return
        overflows: list[str] = []
        with np.errstate(over="call", call=lambda kind, flag: overflows.append(kind)):
            self._update_blocks()
        if overflows and (parts := list(self.not_finite())):
            found = ", ".join(f"the {what} of params[{i}], {self.params[i]!r}" for i, what in parts)
            message = f"a step of {self!r} overflowed; no longer finite: {found}; {NEVER_MOVES}"
            warnings.warn(message, DivergenceWarning, stacklevel=2)

    def _update_blocks(self) -> None:
        arrays = [self._data, self._grad, *(getattr(self, name) for name in self.state_names)]
        for start in range(0, self._data.size, BLOCK):
            weight, grad, *averages = [array[start : start + BLOCK] for array in arrays]
            if self.weight_decay and self.decays_in_gradient:
                grad = grad + self.weight_decay * weight
            self.update(weight, grad, *averages)
        if self.steps % 32 == 0:
            self._drop_vanished()

    def _drop_vanished(self) -> None:
        """Set to zero what has nearly vanished of the averages of gradients.

        Below the normal numbers a product takes many times as long, and rounding lets none of them shrink to zero.
        """
        for average in (getattr(self, name) for name in self.state_names if name not in self.nonnegative_names):
            vanished = min(1e6 * np.finfo(average.dtype).tiny, 1e-30)  # The second is for float16, whose tiny is 6e-5.
            average[np.abs(average) < vanished] = 0

    def not_finite(self) -> Iterator[tuple[int, str]]:
        """Yield the place in `params` and the name of everything that is NaN or infinite: weights and averages."""
        for name in ("data", *self.state_names):
            finite = np.isfinite(self._data if name == "data" else getattr(self, name))
            if not finite.all():
                stops = np.cumsum([parameter.data.size for parameter in self.params])
                places = np.searchsorted(stops, np.flatnonzero(~finite), side="right")
                yield from ((int(i), name) for i in np.unique(places))

    def _flatten(self) -> tuple[Array, Array]:
        """Copy all parameters into two flat arrays, and let each `Parameter` hold views of them."""
        data = np.concatenate([parameter.data.ravel() for parameter in self.params])
        grad = np.zeros_like(data)
        start = 0
        for i, parameter in enumerate(self.params):
            shape, stop = parameter.data.shape, start + parameter.data.size
            same_shape(f"the grad of params[{i}]", parameter.grad, shape, "its data")
            grad[start:stop] = parameter.grad.ravel()
            parameter.data, parameter.grad = data[start:stop].reshape(shape), grad[start:stop].reshape(shape)
            start = stop
        return data, grad

    def _refresh(self) -> None:
        """Flatten again if a parameter was given another array: by assignment, or in another optimizer."""
        if all(p.data.base is self._data and p.grad.base is self._grad for p in self.params):
            return
        sizes = sum(parameter.data.size for parameter in self.params)
        if sizes != self._data.size or {parameter.data.dtype for parameter in self.params} != {self._data.dtype}:
            raise ValueError("params changed size or dtype after this optimizer was made; make a new optimizer")
        self._data, self._grad = self._flatten()

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs: ``lr``, ``steps`` and a copy of each running average."""
        return {"lr": self.lr, "steps": self.steps} | {name: getattr(self, name).copy() for name in self.state_names}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned, all of it or, after a KeyError, ValueError or TypeError, nothing."""
        expected = {name: getattr(self, name) for name in self.state_names}
        arrays = checked_state(state, expected, type(self).__name__, self.nonnegative_names, ("lr", "steps"))
        lr, steps = number("state['lr']", state["lr"], least=0), whole_number("state['steps']", state["steps"], least=0)
        vars(self).update(arrays, lr=lr, steps=steps)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(lr={self.lr})"


class SGD(Optimizer):
    r"""Stochastic gradient descent, with momentum and Nesterov's momentum if wanted.

    Parameters
    ----------
    params, lr, weight_decay
        As in `Optimizer`.
    momentum : float, default 0
        :math:`\mu`, from 0 up to but not including 1.
    nesterov : bool, default False
        Whether to look ahead along the velocity; needs a positive momentum.

    Notes
    -----
    Plain: :math:`\theta \leftarrow \theta - \eta g`. Momentum: :math:`v \leftarrow \mu v + g`, then
    :math:`\theta \leftarrow \theta - \eta v`. Nesterov: :math:`\theta \leftarrow \theta - \eta (g + \mu v)`
    (Sutskever et al., On the importance of initialization and momentum in deep learning, 2013).
    """

    def __init__(
        self, params: Params, lr: float, momentum: float = 0.0, nesterov: bool = False, weight_decay: float = 0.0
    ) -> None:
        self.momentum = number("momentum", momentum, least=0, below=1)
        if nesterov and not self.momentum:
            raise ValueError("nesterov=True needs a momentum above 0; got momentum=0")
        self.nesterov = nesterov
        self.state_names = ("velocity",) if self.momentum else ()
        super().__init__(params, lr, weight_decay)

    def update(self, weight: Array, grad: Array, v: Array | None = None) -> None:
        if v is not None:
            v *= self.momentum
            v += grad
            grad = grad + self.momentum * v if self.nesterov else v
        weight -= self.lr * grad


class RMSprop(Optimizer):
    r"""Divide each step by a running root mean square of the gradient.

    Parameters
    ----------
    params, lr, weight_decay
        As in `Optimizer`.
    alpha : float, default 0.99
        How slowly the running mean forgets.
    eps : float, default 1e-8
        :math:`\epsilon`, which keeps the division finite.

    Notes
    -----
    :math:`s \leftarrow \alpha s + (1 - \alpha) g^2`, then
    :math:`\theta \leftarrow \theta - \eta g / (\sqrt{s} + \epsilon)` (Tieleman and Hinton, Lecture 6.5, 2012).
    """

    state_names = nonnegative_names = ("s",)

    def __init__(
        self, params: Params, lr: float = 0.01, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, lr, weight_decay)
        self.alpha = number("alpha", alpha, least=0, below=1)
        self.eps = number("eps", eps, above=0)

    def update(self, weight: Array, grad: Array, s: Array) -> None:
        s *= self.alpha
        s += (1 - self.alpha) * grad * grad  # in this order, in which less overflows
        weight -= self.lr * grad / (np.sqrt(s) + self.eps)


class Adam(Optimizer):
    r"""Momentum and RMSprop together, corrected for their start at zero.

    Parameters
    ----------
    params, lr, weight_decay
        As in `Optimizer`. `AdamW` decays the weights themselves instead of the gradient.
    betas : tuple of float, default (0.9, 0.999)
        :math:`\beta_1` and :math:`\beta_2`, how slowly the two running means forget.
    eps : float, default 1e-8
        :math:`\epsilon`, which keeps the division finite.

    Notes
    -----
    :math:`m \leftarrow \beta_1 m + (1 - \beta_1) g` and :math:`v \leftarrow \beta_2 v + (1 - \beta_2) g^2`, then with
    :math:`\hat m = m / (1 - \beta_1^t)` and :math:`\hat v = v / (1 - \beta_2^t)`,
    :math:`\theta \leftarrow \theta - \eta \hat m / (\sqrt{\hat v} + \epsilon)`. The code puts both corrections into
    :math:`\eta` and :math:`\epsilon`, as section 2 of the paper does (Kingma and Ba, Adam, 2015): the same step, and
    two divisions fewer.
    """

    state_names = ("m", "v")
    nonnegative_names = ("v",)

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr, weight_decay)
        beta1, beta2 = entries("betas", betas, 2, "a pair of numbers")
        self.betas = (number("betas[0]", beta1, least=0, below=1), number("betas[1]", beta2, least=0, below=1))
        self.eps = number("eps", eps, above=0)

    def update(self, weight: Array, grad: Array, m: Array, v: Array) -> None:
        (beta1, beta2), t = self.betas, self.steps
        m *= beta1
        m += (1 - beta1) * grad
        v *= beta2
        v += (1 - beta2) * grad * grad  # in this order, in which less overflows
        correction_m, correction_v = 1 - beta1**t, math.sqrt(1 - beta2**t)
        lr, eps = self.lr * correction_v / correction_m, self.eps * correction_v
        weight -= lr * m / (np.sqrt(v) + eps)


class AdamW(Adam):
    r"""Adam with decoupled weight decay: :math:`\theta` shrinks by :math:`\eta \lambda \theta`, outside the averages.

    The parameters are those of `Adam` (Loshchilov and Hutter, Decoupled weight decay regularization, 2019).
    """

    decays_in_gradient = False

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)

    def update(self, weight: Array, grad: Array, m: Array, v: Array) -> None:
        weight -= self.lr * self.weight_decay * weight
        super().update(weight, grad, m, v)


OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {"sgd": SGD, "rmsprop": RMSprop, "adam": Adam, "adamw": AdamW}
"""The optimizers by name; each is called as ``optimizer(params, lr=..., weight_decay=...)``."""


def clip_grad_norm(params: Params, max_norm: float) -> float:
    r"""Scale all gradients by one factor if their norm together is above `max_norm`, and return the norm before.

    Call it between backward and the optimizer's step; `fit` does with ``max_grad_norm=...``. The factor is
    :math:`\min(1, c / (\|g\| + 10^{-6}))`, as in PyTorch, :math:`c` being `max_norm` (Pascanu et al., On the difficulty
    of training recurrent neural networks, 2013). If the norm is NaN or infinite, the gradients stay as they are.
    """
    max_norm = number("max_norm", max_norm, above=0)
    own = distinct("params", params, Parameter)
    # In float64, where the square of no float32 overflows.
    with np.errstate(over="ignore", invalid="ignore"):
        norm = math.sqrt(sum(np.square(parameter.grad, dtype=np.float64).sum() for parameter in own))
    factor = max_norm / (norm + 1e-6)
    if math.isfinite(norm) and factor < 1:
        for parameter in own:
            parameter.grad *= factor
    return norm
