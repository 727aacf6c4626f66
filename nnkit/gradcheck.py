"""Gradient checking: what `backward` returns, compared with central differences of `forward`, as in chapter 4."""

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

Index = tuple[int, ...]


@dataclass(frozen=True)
class GradientCheck:
    r"""The comparison for one array: the input, or one parameter.

    Attributes
    ----------
    name, shape, n_checked : str, tuple of int, int
        ``"input"`` or the parameter's dotted name, the array's shape, and how many entries were compared.
    max_absolute_error, max_relative_error : float
        The largest :math:`|a - n|` and :math:`|a - n| / \max(|a|, |n|)`, a being the analytic gradient and n the
        numeric one; infinite where one of them is not finite.
    worst_index, analytic, numeric, passed : tuple of int, float, float, bool
        The entry closest to failing, its two gradients, and whether every entry is within its tolerance.
    """

    name: str
    shape: Index
    n_checked: int
    max_absolute_error: float
    max_relative_error: float
    worst_index: Index
    analytic: float
    numeric: float
    passed: bool


@dataclass(frozen=True)
class GradientReport:
    """The result of `check_gradients`: ``print`` shows a table, and it is true if everything passed."""

    checks: tuple[GradientCheck, ...]

    @property
    def passed(self) -> bool:
        """Whether every array passed."""
        return all(check.passed for check in self.checks)

    @property
    def max_relative_error(self) -> float:
        """The largest relative error of all arrays."""
        return max((check.max_relative_error for check in self.checks), default=0.0)

    def __bool__(self) -> bool:
        return self.passed

    def __getitem__(self, name: str) -> GradientCheck:
        """Return the check of that name."""
        found = {check.name: check for check in self.checks}
        if name not in found:
            raise KeyError(f"no check is named {name!r}; there are {list(found)}")
        return found[name]

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

    Without a loss, the scalar that is differentiated is the sum of output times a random :math:`u`, since ones would
    hide errors that cancel. Module and loss are copied first and stay as they are. Random draws are the same in every
    evaluation, so that a layer such as Dropout is one fixed function.

    Parameters
    ----------
    module, x : Module, array_like
        What to check, in its present mode, and its input, away from kinks such as 0 for ReLU.
    loss, target : Loss, array_like, optional
        Applied to the module's output; both or neither. An empty `Sequential` lets the loss be checked alone.
    eps : float, default 1e-6
        The step of the differences :math:`(f(x + \epsilon) - f(x - \epsilon)) / 2 \epsilon`.
    rtol, atol : float, default 1e-5 and 1e-8
        An entry passes if :math:`|a - n| \le` atol + rtol :math:`\max(|a|, |n|)`; both finite and at least 0.
    max_entries : int, optional
        Check at most this many entries of each array, drawn at random; by default all.
    rng : numpy.random.Generator or int, default 0
        Draws the :math:`u` and the entries.
    """
    number("eps", eps, above=0)
    number("rtol", rtol, least=0)
    number("atol", atol, least=0)
    if max_entries is not None:
        whole_number("max_entries", max_entries, least=1)
    if (loss is None) != (target is None):
        raise ValueError("loss and target must be given together")
    rng = generator("rng", rng)
    module, loss = copy.deepcopy(module).astype(np.float64), copy.deepcopy(loss)
    x = np.array(finite_array("x", x, np.float64))
    draws = [(source, source.bit_generator.state) for _, source in module.named_generators()]

    def forward() -> Array:
        for source, state in draws:
            source.bit_generator.state = state
        return module.forward(x)

    upstream = rng.standard_normal(forward().shape)

    def value() -> float:
        output = forward()
        return float((output * upstream).sum()) if loss is None else loss(output, target)

    module.zero_grad()
    value()
    input_grad = module.backward(upstream if loss is None else loss.backward())
    same_shape("what backward returns", input_grad, x.shape, "x")

    checks = []
    for name, data, grad in [("input", x, input_grad), *((n, p.data, p.grad) for n, p in module.named_parameters())]:
        indices = list(np.ndindex(data.shape))
        if max_entries is not None and data.size > max_entries:
            indices = [indices[i] for i in np.sort(rng.choice(data.size, max_entries, replace=False))]
        differences = [numeric_gradient(value, data, index, eps) for index in indices]
        analytic, numeric = np.array([grad[index] for index in indices]), np.array(differences)
        checks.append(_compare(name, data.shape, indices, analytic, numeric, rtol, atol))
    return GradientReport(tuple(checks))


def numeric_gradient(value: Callable[[], float], data: Array, index: Index, eps: float) -> float:
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
    name: str, shape: Index, indices: list[Index], analytic: Array, numeric: Array, rtol: float, atol: float
) -> GradientCheck:
    if not indices:
        return GradientCheck(name, shape, 0, 0.0, 0.0, (), 0.0, 0.0, True)
    with np.errstate(invalid="ignore", divide="ignore"):
        error, size = np.abs(analytic - numeric), np.maximum(np.abs(analytic), np.abs(numeric))
        broken = ~np.isfinite(error)  # NaN is the worst failure there is, and must not vanish in a maximum.
        error[broken], size[broken] = np.inf, 1.0
        relative = np.where(error > 0, error / size, 0.0)
        multiple = np.where(error > 0, error / (atol + rtol * size), 0.0)  # An error of 0 passes a tolerance of 0.
    worst, passed = int(multiple.argmax()), bool((multiple <= 1).all())
    largest, gradients = (float(error.max()), float(relative.max())), (float(analytic[worst]), float(numeric[worst]))
    return GradientCheck(name, shape, len(indices), *largest, indices[worst], *gradients, passed)
