"""Gradient checking: compare what `backward` returns with central differences of what `forward` returns.

References
----------
Chapter 4 derives the method and its best step.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnkit.checks import finite_array, generator, number, same_shape, whole_number
from nnkit.losses import Loss
from nnkit.module import Module
from nnkit.typing import Array


@dataclass(frozen=True)
class GradientCheck:
    r"""The comparison for one array: the input, or one parameter.

    Attributes
    ----------
    name : str
        ``"input"``, or the parameter's dotted name.
    shape : tuple of int
        The array's shape.
    n_checked : int
        How many of its entries were compared.
    max_absolute_error, max_relative_error : float
        The largest of :math:`|a - n|` and of :math:`|a - n| / \max(|a|, |n|)` over those entries, where a is the
        analytic and n the numeric gradient (0 where both are 0, infinite where one is NaN or infinite).
    worst_index : tuple of int
        The entry that comes closest to failing, or fails by most.
    analytic, numeric : float
        The two gradients at `worst_index`.
    passed : bool
        Whether every entry satisfies :math:`|a - n| \le` atol + rtol :math:`\max(|a|, |n|)`.
    """

    name: str
    shape: tuple[int, ...]
    n_checked: int
    max_absolute_error: float
    max_relative_error: float
    worst_index: tuple[int, ...]
    analytic: float
    numeric: float
    passed: bool


@dataclass(frozen=True)
class GradientReport:
    """What `check_gradients` found; ``print`` shows it as a table, and it is true if all of it passed."""

    checks: tuple[GradientCheck, ...]

    @property
    def passed(self) -> bool:
        """Whether every array passed."""
        return all(check.passed for check in self.checks)

    @property
    def max_relative_error(self) -> float:
        """The largest relative error of all."""
        return max((check.max_relative_error for check in self.checks), default=0.0)

    def __bool__(self) -> bool:
        return self.passed

    def __getitem__(self, name: str) -> GradientCheck:
        """Return the check of that name."""
        for check in self.checks:
            if check.name == name:
                return check
        raise KeyError(f"no check is named {name!r}; there are {[check.name for check in self.checks]}")

    def __str__(self) -> str:
        lines = [f"{'array':<16}{'checked':>8}  {'max rel. error':>14}  {'analytic':>13}  {'numeric':>13}  result"]
        lines += [
            f"{check.name:<16}{check.n_checked:>8}  {check.max_relative_error:>14.2e}  {check.analytic:>13.6e}  "
            f"{check.numeric:>13.6e}  {'pass' if check.passed else f'FAIL at {check.worst_index}'}"
            for check in self.checks
        ]
        return "\n".join(lines)


def check_gradients(
    module: Module,
    x: Any,
    loss: Loss | None = None,
    target: Any = None,
    *,
    eps: float = 1e-6,
    rtol: float = 1e-5,
    atol: float = 1e-8,
    max_entries: int | None = None,
    rng: np.random.Generator | int = 0,
) -> GradientReport:
    r"""Compare a module's gradients, for its input and each parameter, with central differences in float64.

    The number that is differentiated is ``loss(module(x), target)``, or without a loss :math:`\sum_i u_i y_i` with a
    random :math:`u` that is not ones, since ones hide errors that cancel. Module and loss are copied first: their
    values, gradients, running statistics and saved state stay as they are. Random numbers drawn are the same in
    every evaluation, so that a layer such as Dropout is one fixed function while it is checked.

    Parameters
    ----------
    module : Module
        What to check, in its present mode. To check a loss alone, give an empty `Sequential` with that loss.
    x : array_like
        The input. Keep it away from kinks such as 0 for ReLU, where there is no derivative to find.
    loss : Loss, optional
        Applied to the module's output.
    target : array_like, optional
        The target for `loss`.
    eps : float, default 1e-6
        The step of the differences :math:`(f(x + \epsilon) - f(x - \epsilon)) / 2 \epsilon`.
    rtol, atol : float, default 1e-5 and 1e-8
        An entry passes if :math:`|a - n| \le` atol + rtol :math:`\max(|a|, |n|)`; both finite and at least 0.
    max_entries : int, optional
        At most so many entries of each array, drawn at random; without it, all.
    rng : numpy.random.Generator or int, default 0
        Where the upstream gradient and the entries are drawn from.

    Returns
    -------
    GradientReport
        One check for the input and one for each parameter; true if all passed.

    Raises
    ------
    ValueError
        If `backward` returns an array of another shape than the input, `x` is not finite, or a tolerance is negative
        or not finite.
    """
    number("eps", eps, above=0)
    number("rtol", rtol, least=0)
    number("atol", atol, least=0)
    if max_entries is not None:
        whole_number("max_entries", max_entries, least=1)
    if (loss is None) != (target is None):
        raise ValueError("loss and target must be given together")
    rng = generator("rng", rng)
    module = copy.deepcopy(module).astype(np.float64)
    loss = copy.deepcopy(loss)
    x = np.array(finite_array("x", x, np.float64))
    generators = [(source, source.bit_generator.state) for _, source in module.named_generators()]

    def forward() -> Array:
        for source, state in generators:
            source.bit_generator.state = state
        return module.forward(x)

    output = forward()
    upstream = rng.standard_normal(output.shape)

    def value() -> float:
        output = forward()
        return float((output * upstream).sum()) if loss is None else loss(output, target)

    module.zero_grad()
    if loss is None:
        input_grad = module.backward(upstream)
    else:
        loss(output, target)
        input_grad = module.backward(loss.backward())
    if not isinstance(input_grad, np.ndarray):
        raise ValueError(f"backward must return dL/dx as an array of shape {x.shape}; got {input_grad!r}")
    same_shape("the array that backward returns", input_grad, x.shape, "x")

    arrays = [("input", x, input_grad)]
    arrays += [(name, p.data, p.grad.copy()) for name, p in module.named_parameters()]
    return GradientReport(
        tuple(_compare(name, data, grad, value, eps, rtol, atol, max_entries, rng) for name, data, grad in arrays)
    )


def numeric_gradient(value: Callable[[], float], data: Array, index: tuple[int, ...], eps: float) -> float:
    """Return the central difference of ``value()`` with respect to one entry of `data`, which is put back after."""
    if data.dtype.kind != "f":
        raise TypeError(f"data must be a floating-point array, since eps is added to it; got dtype {data.dtype}")
    kept = data[index]
    try:
        data[index] = kept + eps
        above = value()
        data[index] = kept - eps
        below = value()
    finally:
        data[index] = kept
    return (above - below) / (2 * eps)


def _compare(
    name: str,
    data: Array,
    grad: Array,
    value: Callable[[], float],
    eps: float,
    rtol: float,
    atol: float,
    max_entries: int | None,
    rng: np.random.Generator,
) -> GradientCheck:
    positions = np.arange(data.size)
    if max_entries is not None and data.size > max_entries:
        positions = np.sort(rng.choice(data.size, max_entries, replace=False))
    indices = [tuple(int(i) for i in np.unravel_index(position, data.shape)) for position in positions]
    if not indices:
        return GradientCheck(name, data.shape, 0, 0.0, 0.0, (), 0.0, 0.0, True)
    analytic = np.array([grad[index] for index in indices])
    numeric = np.array([numeric_gradient(value, data, index, eps) for index in indices])
    with np.errstate(invalid="ignore"):
        error = np.abs(analytic - numeric)
    size = np.maximum(np.abs(analytic), np.abs(numeric))
    # A NaN or an infinity on either side is the worst failure there is, and must not vanish in a maximum.
    broken = ~np.isfinite(error)
    error[broken], size[broken] = np.inf, 1.0
    tolerance = atol + rtol * size
    # An error of 0 is within every tolerance, also one of 0, which both gradients give where they are 0 and atol is.
    excess = np.divide(error, tolerance, out=np.where(error > 0, np.inf, 0.0), where=tolerance > 0)
    worst = int(excess.argmax())
    relative = np.divide(error, size, out=np.zeros_like(error), where=size > 0)
    return GradientCheck(
        name=name,
        shape=data.shape,
        n_checked=len(indices),
        max_absolute_error=float(error.max()),
        max_relative_error=float(relative.max()),
        worst_index=indices[worst],
        analytic=float(analytic[worst]),
        numeric=float(numeric[worst]),
        passed=bool((excess <= 1).all()),
    )
