"""Learning-rate schedules, which change an optimizer's rate once an epoch: StepLR and CosineLR."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from nnkit.checks import instance, number, whole_number
from nnkit.optimizers import Optimizer


class Schedule(ABC):
    """What the schedules share: they count the epochs done in `epoch`, and are saved and resumed."""

    _state_names: tuple[str, ...] = ("epoch",)

    def __init__(self, optimizer: Optimizer) -> None:
        instance("optimizer", optimizer, Optimizer, "an Optimizer such as SGD")
        self.optimizer = optimizer
        self.epoch = 0

    def step(self) -> None:
        """Count one more epoch as done, and set the learning rate for the next one."""
        self.epoch += 1
        self.optimizer.lr = self._next_lr()

    @abstractmethod
    def _next_lr(self) -> float:
        """Return the learning rate after `epoch` epochs."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs besides the optimizer's own state, which has the current rate."""
        return {name: getattr(self, name) for name in self._state_names}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned; after a KeyError, TypeError or ValueError nothing has changed."""
        instance("state", state, Mapping, "what state_dict returned")
        if set(state) != set(self._state_names):
            raise KeyError(f"state must hold {self._state_names} for {type(self).__name__}; got {sorted(state)}")
        rates = {name: number(f"state[{name!r}]", state[name], least=0) for name in self._state_names[1:]}
        vars(self).update(rates, epoch=whole_number("state['epoch']", state["epoch"], least=0))


class StepLR(Schedule):
    r"""Multiply the learning rate by `gamma` after every `step_size` epochs.

    After :math:`t` epochs a rate :math:`\eta_0` has become :math:`\eta_0 \gamma^{\lfloor t / s \rfloor}`, :math:`s`
    being the `step_size`. A rate set by hand in between stays, and is what the next multiplication starts from.

    Parameters
    ----------
    step_size : int
        The number of epochs between changes, at least 1.
    gamma : float, default 0.1
        The factor, above 0.
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        super().__init__(optimizer)
        self.step_size = whole_number("step_size", step_size, least=1)
        self.gamma = number("gamma", gamma, above=0)

    def _next_lr(self) -> float:
        return self.optimizer.lr * (self.gamma if self.epoch % self.step_size == 0 else 1)

    def __repr__(self) -> str:
        return f"StepLR(step_size={self.step_size}, gamma={self.gamma:g})"


class CosineLR(Schedule):
    r"""Let the learning rate fall along half a cosine, from its current value to `eta_min` after `T_max` epochs.

    From :math:`\eta_0`, after :math:`t` epochs

    .. math:: \eta_t = \eta_{\min} + \tfrac{1}{2} (\eta_0 - \eta_{\min}) \left(1 + \cos \frac{\pi t}{T}\right).

    After that the rate rises again the same way (Loshchilov and Hutter, SGDR, 2017).

    Parameters
    ----------
    T_max : int
        The number of epochs of the fall, usually the whole training; at least 1.
    eta_min : float, default 0
        The lowest rate, at least 0.
    """

    _state_names = ("epoch", "base_lr")

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        super().__init__(optimizer)
        self.T_max = whole_number("T_max", T_max, least=1)
        self.eta_min = number("eta_min", eta_min, least=0)
        self.base_lr = optimizer.lr

    def _next_lr(self) -> float:
        height = (1 + math.cos(math.pi * self.epoch / self.T_max)) / 2
        return self.eta_min + (self.base_lr - self.eta_min) * height

    def __repr__(self) -> str:
        return f"CosineLR(T_max={self.T_max}, eta_min={self.eta_min:g})"
