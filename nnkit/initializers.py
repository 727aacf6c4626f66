r"""Where the weights start: Xavier (Glorot), Kaiming (He) and zeros.

Each takes a shape ``(fan_in, fan_out)``, the layout of `Linear.weight`, and draws in float64 from the generator
given, so that the same seed gives the same weights in every dtype (Glorot and Bengio, Understanding the difficulty of
training deep feedforward neural networks, 2010; He et al., Delving deep into rectifiers, 2015).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nnkit.checks import chosen
from nnkit.typing import Array

Initializer = Callable[[tuple[int, int], np.random.Generator], Array]


def xavier_normal(shape: tuple[int, int], rng: np.random.Generator) -> Array:
    r"""Draw from a normal distribution with variance :math:`2 / (n_{in} + n_{out})` (Glorot and Bengio, 2010)."""
    fan_in, fan_out = shape
    return rng.normal(0.0, np.sqrt(2.0 / (fan_in + fan_out)), shape)


def xavier_uniform(shape: tuple[int, int], rng: np.random.Generator) -> Array:
    r"""Draw uniformly with variance :math:`2 / (n_{in} + n_{out})` (Glorot and Bengio, 2010)."""
    fan_in, fan_out = shape
    bound = np.sqrt(6.0 / (fan_in + fan_out))
    return rng.uniform(-bound, bound, shape)


def kaiming_normal(shape: tuple[int, int], rng: np.random.Generator) -> Array:
    r"""Draw from a normal distribution with variance :math:`2 / n_{in}`, made for ReLU (He et al., 2015)."""
    return rng.normal(0.0, np.sqrt(2.0 / shape[0]), shape)


def kaiming_uniform(shape: tuple[int, int], rng: np.random.Generator) -> Array:
    r"""Draw uniformly with variance :math:`2 / n_{in}`, made for ReLU (He et al., 2015)."""
    bound = np.sqrt(6.0 / shape[0])
    return rng.uniform(-bound, bound, shape)


def zeros(shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """Return zeros: right for a bias, and a trap for the weights of a hidden layer (chapter 5)."""
    return np.zeros(shape)


INITIALIZERS: dict[str, Initializer] = {
    function.__name__: function for function in (xavier_normal, xavier_uniform, kaiming_normal, kaiming_uniform, zeros)
}


def get_initializer(init: str | Initializer) -> Initializer:
    """Return the initializer of that name, or `init` itself if it is a function; ValueError if there is none."""
    return chosen("init", init, INITIALIZERS, ("shape", "rng"))
