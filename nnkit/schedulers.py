"""Learning-rate schedules: StepLR and CosineLR. Each changes the rate of an optimizer once an epoch."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from nnkit.checks import instance, number, whole_number
from nnkit.optimizers import Optimizer


class _Schedule(ABC):
    """What the schedules share: the optimizer, the number of epochs done, and saving and resuming."""

    _state_names: tuple[str, ...] = ("epoch",)

    def __init__(self, optimizer: Optimizer) -> None:
        instance("optimizer", optimizer, Optimizer, "an Optimizer such as SGD")
        self.optimizer = optimizer
        self.epoch = 0

    def step(self) -> None:
        """Count one more epoch as done, and set the optimizer's learning rate for the next one."""
        self.epoch += 1
        self.optimizer.lr = self._next_lr()

    @abstractmethod
    def _next_lr(self) -> float:
        """Return the learning rate after `epoch` epochs."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs beside the optimizer's own state, in which the present rate is kept."""
        return {name: getattr(self, name) for name in self._state_names}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned; the optimizer's rate comes from its own state.

        Raises
        ------
        KeyError
            If a name is missing or unexpected.
        ValueError
            If a number is negative or not finite. Nothing is changed unless all of it fits.
        TypeError
            If `state` is no mapping, or holds something else than numbers.
        """
        instance("state", state, Mapping, "what state_dict returned")
        expected = sorted(self._state_names)
        if sorted(state) != expected:
            raise KeyError(f"state must hold {expected} for {type(self).__name__}; got {sorted(state)}")
        epoch = whole_number("state['epoch']", state["epoch"], least=0)
        rates = {name: number(f"state[{name!r}]", state[name], least=0) for name in expected if name != "epoch"}
        self.epoch = epoch
        for name, rate in rates.items():
            setattr(self, name, rate)


class StepLR(_Schedule):
    r"""Multiply the learning rate by `gamma` after every `step_size` epochs.

    Parameters
    ----------
    optimizer : Optimizer
        Whose rate.
    step_size : int
        After how many epochs, at least 1.
    gamma : float, default 0.1
        By what, above 0.

    Attributes
    ----------
    epoch : int
        How many epochs are done.

    Notes
    -----
    From a rate :math:`\eta_0`, after :math:`t` epochs :math:`\eta_t = \eta_0 \gamma^{\lfloor t / s \rfloor}`, with
    :math:`s` for `step_size`. The rate is multiplied where it stands: one that was set by hand in between stays, and is
    what the next multiplication starts from.
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        super().__init__(optimizer)
        self.step_size = whole_number("step_size", step_size, least=1)
        self.gamma = number("gamma", gamma, above=0)

    def _next_lr(self) -> float:
        return self.optimizer.lr * (self.gamma if self.epoch % self.step_size == 0 else 1)

    def __repr__(self) -> str:
        return f"StepLR(step_size={self.step_size}, gamma={self.gamma:g})"


class CosineLR(_Schedule):
    r"""Let the learning rate fall along half a cosine, from where it is now to `eta_min` after `T_max` epochs.

    Parameters
    ----------
    optimizer : Optimizer
        Whose rate.
    T_max : int
        The number of epochs of the fall, usually all of the training; at least 1.
    eta_min : float, default 0
        The lowest rate, at least 0.

    Attributes
    ----------
    epoch : int
        How many epochs are done.
    base_lr : float
        The rate at which the curve starts: the optimizer's, when the schedule was made.

    Notes
    -----
    From a rate :math:`\eta_0`, after :math:`t` epochs

    .. math:: \eta_t = \eta_{\min} + \tfrac{1}{2} (\eta_0 - \eta_{\min}) \left(1 + \cos \frac{\pi t}{T}\right).

    After :math:`T` epochs the rate rises again as it fell, and is back at :math:`\eta_0` after :math:`2 T`. This is
    PyTorch's ``CosineAnnealingLR``, but computed from :math:`t` alone where PyTorch goes from each rate to the next. So
    a rate that was set by hand lasts until the next step, while PyTorch would stretch the rest of the curve with it;
    where the curve rises, that can multiply such a rate a hundredfold.

    References
    ----------
    I. Loshchilov and F. Hutter, SGDR: stochastic gradient descent with warm restarts, 2017.
    """

    _state_names = ("base_lr", "epoch")

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
