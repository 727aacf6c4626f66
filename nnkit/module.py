"""Parameter, Module and Sequential: what every network in the book is made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike

from nnkit.checks import finite_array, float_array, instance, nonnegative, same_shape
from nnkit.typing import Array


class Parameter:
    """An array that training changes, with the gradient of the loss beside it.

    Parameters
    ----------
    data : array_like
        The initial values, any shape. Integers become float32.

    Attributes
    ----------
    data : ndarray
        The current values.
    grad : ndarray
        The gradient of the loss with respect to `data`, same shape and dtype. Each `backward` adds to it;
        `zero_grad` sets it to zero.
    """

    __slots__ = ("_grad", "_grad_is_zero", "data")
    _grad: Array
    _grad_is_zero: bool

    def __init__(self, data: Any) -> None:
        self.data: Array = np.array(float_array("data", data))
        self.grad = np.zeros_like(self.data)

    @property
    def grad(self) -> Array:
        if self._grad_is_zero:
            self._grad.fill(0)
            self._grad_is_zero = False
        return self._grad

    @grad.setter
    def grad(self, value: Array) -> None:
        same_shape("grad", value, self.data.shape, "data")
        self._grad = value
        self._grad_is_zero = False

    def zero_grad(self) -> None:
        """Set the gradient to zero; the memory is only touched once somebody reads it or adds to it."""
        self._grad_is_zero = True

    def add_product_to_grad(self, a: Array, b: Array) -> None:
        """Do ``grad += a @ b``; right after `zero_grad` the product is written in place, which saves two passes."""
        if self._grad_is_zero:
            np.matmul(a, b, out=self._grad)
            self._grad_is_zero = False
        else:
            self._grad += a @ b

    def __repr__(self) -> str:
        return f"Parameter(shape={self.data.shape}, dtype={self.data.dtype})"


class Module(ABC):
    """A function with a backward pass: the common interface of layers, activations and networks.

    A subclass defines `forward` and `backward`. `forward` keeps what `backward` will need with `self._save(...)`,
    and `backward` takes it back with `self._take()`. Parameters and sub-modules are found among the attributes. A
    module that keeps other arrays from batch to batch, such as running means, lists their attributes in
    `_buffer_names`; these buffers are saved, loaded and converted with the parameters, but no optimizer sees them.
    Those of them that are never negative, such as variances, it lists in `_nonnegative_names` as well.

    Attributes
    ----------
    training : bool
        True after `train()`, False after `eval()`. Only layers that behave differently in the two look at it.
    needs_input_grad : bool
        Whether `backward` must return dL/dx. `fit` turns it off for the first layer of a network, because nobody
        uses the gradient with respect to the data and it costs as much as the layer's forward pass.
    min_batch_size : int
        How many samples a batch must have in training mode, at the least; `fit` looks before it begins.
    """

    training: bool = True
    needs_input_grad: bool = True
    min_batch_size: int = 1
    _buffer_names: tuple[str, ...] = ()
    _nonnegative_names: tuple[str, ...] = ()
    _saved: tuple[Any, ...] | None = None

    @abstractmethod
    def forward(self, x: Array) -> Array:
        """Return the module's output for the input `x`; `x` is not changed."""

    @abstractmethod
    def backward(self, grad: Array) -> Any:
        """Turn dL/d(output) into dL/d(input), adding dL/d(parameter) to each parameter's `grad`.

        Parameters
        ----------
        grad : ndarray
            dL/d(output), of the output's shape; it is not changed.

        Returns
        -------
        ndarray
            dL/d(input), of the input's shape.

        Raises
        ------
        RuntimeError
            If no `forward` came before it: each backward pass uses up what one forward pass saved.
        """

    def __call__(self, x: Array) -> Array:
        return self.forward(x)

    def _save(self, *values: Any) -> None:
        self._saved = values

    def _take(self) -> tuple[Any, ...]:
        if self._saved is None:
            raise RuntimeError(
                f"{type(self).__name__}.backward has nothing to work on: call forward first, once for each backward"
            )
        saved, self._saved = self._saved, None
        return saved

    def _forget(self) -> None:
        """Let go of what the last forward pass of the whole tree saved."""
        for _, module in self.named_modules():
            module._saved = None

    def children(self) -> Iterator[tuple[str, Module]]:
        """Yield the name and the module of each direct sub-module."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value
            elif isinstance(value, (list, tuple)):
                yield from ((f"{name}.{i}", item) for i, item in enumerate(value) if isinstance(item, Module))

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Yield the dotted name and the module for this one, whose name is `prefix`, and for each one below it."""
        yield prefix, self
        for name, child in self.children():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """Yield the dotted name and the `Parameter` of each one in the tree, a shared one only once."""
        seen: set[int] = set()
        for path, module in self.named_modules():
            for name, value in vars(module).items():
                if isinstance(value, Parameter) and id(value) not in seen:
                    seen.add(id(value))
                    yield prefix + (f"{path}.{name}" if path else name), value

    def named_buffers(self, prefix: str = "") -> Iterator[tuple[str, Array]]:
        """Yield the dotted name and the array of each buffer in the tree, a shared one only once."""
        seen: set[int] = set()
        for path, module in self.named_modules():
            for name in module._buffer_names:
                array = getattr(module, name)
                if id(array) not in seen:
                    seen.add(id(array))
                    yield prefix + (f"{path}.{name}" if path else name), array

    def named_generators(self) -> Iterator[tuple[str, np.random.Generator]]:
        """Yield the dotted name and the generator of each layer that draws, a shared one only once."""
        seen: set[int] = set()
        for path, module in self.named_modules():
            for name, value in vars(module).items():
                if isinstance(value, np.random.Generator) and id(value) not in seen:
                    seen.add(id(value))
                    yield f"{path}.{name}" if path else name, value

    def parameters(self) -> list[Parameter]:
        """Return every `Parameter` of the tree, a shared one only once."""
        return [parameter for _, parameter in self.named_parameters()]

    def zero_grad(self) -> None:
        """Set every parameter's gradient to zero."""
        for parameter in self.parameters():
            parameter.zero_grad()

    def train(self, mode: bool = True) -> Self:
        """Set the whole tree to training mode, or with ``mode=False`` to evaluation mode; return the module."""
        self.training = mode
        for _, child in self.children():
            child.train(mode)
        return self

    def eval(self) -> Self:
        """Set the whole tree to evaluation mode; return the module."""
        return self.train(False)

    def astype(self, dtype: DTypeLike) -> Self:
        """Convert parameters and buffers to `dtype` (float32 or float64), zero the gradients; return the module."""
        if np.dtype(dtype).kind != "f":
            raise TypeError(f"dtype must be a floating-point dtype such as float32; got {np.dtype(dtype)}")
        for parameter in self.parameters():
            parameter.data = parameter.data.astype(dtype)
            parameter.grad = np.zeros_like(parameter.data)
        for _, module in self.named_modules():
            for name in module._buffer_names:
                setattr(module, name, getattr(module, name).astype(dtype))
        return self

    def state_dict(self) -> dict[str, Array]:
        """Return a copy of every parameter's values, and of every buffer, under its dotted name."""
        return {name: array.copy() for name, array in self._named_arrays().items()}

    def _named_arrays(self) -> dict[str, Array]:
        return {name: parameter.data for name, parameter in self.named_parameters()} | dict(self.named_buffers())

    def load_state_dict(self, state: Mapping[str, Array], strict: bool = True) -> None:
        """Copy the values in `state` into the parameters and buffers of the same names.

        Parameters
        ----------
        state : mapping of str to ndarray
            What `state_dict` returned. Nothing is changed unless all of it fits.
        strict : bool, default True
            Whether a missing or an unexpected name is an error. A wrong shape always is.

        Raises
        ------
        KeyError
            If names are missing or unexpected and `strict` is true.
        ValueError
            If a shape differs, a value is not finite in the dtype of its place, or one is negative that cannot be.
        TypeError
            If `state` is no mapping, or holds something else than real numbers.
        """
        instance("state", state, Mapping, "what state_dict returned")
        own = self._named_arrays()
        buffers = dict(self.named_buffers())
        missing, unexpected = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
        if strict and (missing or unexpected):
            raise KeyError(f"state does not match {type(self).__name__}: missing {missing}, unexpected {unexpected}")
        common = {
            name: finite_array(f"state[{name!r}]", state[name], array.dtype)
            for name, array in own.items()
            if name in state
        }
        for name, value in common.items():
            of = "the buffer" if name in buffers else "the parameter"
            same_shape(f"state[{name!r}]", value, own[name].shape, of)
        for name in sorted(common.keys() & self._nonnegative_buffers()):
            nonnegative(f"state[{name!r}]", common[name])
        for name, value in common.items():
            own[name][...] = value

    def _nonnegative_buffers(self) -> set[str]:
        return {
            f"{path}.{name}" if path else name
            for path, module in self.named_modules()
            for name in module._nonnegative_names
        }

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class Sequential(Module):
    """Modules applied one after the other; backward runs through them in the opposite order.

    With no modules it is the identity. ``model[i]`` is the module number `i`, and ``model[i:j]`` a Sequential that
    shares modules `i` to `j - 1` with this one.

    Parameters
    ----------
    *modules : Module
        In the order in which forward applies them. Each keeps what its own backward needs, so a module object can
        stand in a network only once.

    Raises
    ------
    TypeError
        If an argument is not a Module (a class instead of an instance is the usual cause).
    ValueError
        If the same module object stands in it twice.
    """

    def __init__(self, *modules: Module) -> None:
        given: tuple[Any, ...] = modules
        for i, module in enumerate(given):
            if not isinstance(module, Module):
                hint = f"; write {module.__name__}() with parentheses" if isinstance(module, type) else ""
                raise TypeError(f"modules[{i}] must be a Module; got {module!r}{hint}")
        if len({id(module) for module in modules}) != len(modules):
            raise ValueError(
                "modules holds the same object twice; make a second module, since each saves its own forward pass"
            )
        self.modules = list(modules)

    def forward(self, x: Array) -> Array:
        for module in self.modules:
            x = module.forward(x)
        return x

    def backward(self, grad: Array) -> Any:
        passed: Any = grad
        for i, module in reversed(list(enumerate(self.modules))):
            passed = module.backward(passed)
            if passed is None:  # The first layer with parameters was told that nobody needs dL/dx.
                if any(earlier.parameters() for earlier in self.modules[:i]):
                    raise TypeError(f"modules[{i}], {module!r}, must return dL/dx from backward; got None")
                break
        return passed

    @property
    def needs_input_grad(self) -> bool:
        first = self._first_with_parameters()
        return first is None or first.needs_input_grad

    @needs_input_grad.setter
    def needs_input_grad(self, value: bool) -> None:
        first = self._first_with_parameters()
        if first is not None:
            first.needs_input_grad = value

    def _first_with_parameters(self) -> Module | None:
        return next((module for module in self.modules if module.parameters()), None)

    def children(self) -> Iterator[tuple[str, Module]]:
        return ((str(i), module) for i, module in enumerate(self.modules))

    def __len__(self) -> int:
        return len(self.modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self.modules)

    def __getitem__(self, index: int | slice) -> Module:
        return Sequential(*self.modules[index]) if isinstance(index, slice) else self.modules[index]

    def __repr__(self) -> str:
        return "Sequential(" + ", ".join(map(repr, self.modules)) + ")"


def interleaved(layers: Sequence[Module], make_activation: Callable[[], Module]) -> Sequential:
    """Return a Sequential of `layers`, at least one, with a new activation between each two."""
    first, *others = layers
    modules = [first]
    for layer in others:
        activation = make_activation()
        instance("what activation makes", activation, Module, "a Module such as ReLU()")
        modules += [activation, layer]
    return Sequential(*modules)
