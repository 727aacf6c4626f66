"""Parameter, Module and Sequential: what every network in the book is made of.

A layer is its two equations, `forward` and `backward`. What stands around them lies here, once for all layers: the
search for parameters, the two modes, saving and loading, and how training does without the gradient of the data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from nnkit.checks import checked_backward, checked_forward, checked_state, float_array, float_dtype, instance, shown
from nnkit.typing import Array

Item = TypeVar("Item")


class Parameter:
    """An array that training changes, `data`, with the gradient of the loss beside it, `grad`, of the same shape.

    Each `backward` adds to the gradient, and `zero_grad` sets it to zero. Integers become float32.
    """

    __slots__ = ("data", "grad")

    def __init__(self, data: Any) -> None:
        self.data: Array = np.array(float_array("data", data))
        self.grad: Array = np.zeros_like(self.data)

    @property
    def T(self) -> Parameter:  # as NumPy calls it
        """The transposed parameter, which shares the memory of both arrays with this one."""
        transposed = Parameter.__new__(Parameter)
        transposed.data, transposed.grad = self.data.T, self.grad.T
        return transposed

    def zero_grad(self) -> None:
        """Set the gradient to zero."""
        self.grad[...] = 0

    def __repr__(self) -> str:
        return f"Parameter(shape={self.data.shape}, dtype={self.data.dtype})"


class Module:
    """A function with a backward pass: the common interface of layers, activations and networks.

    A subclass defines `forward(x)` and `backward(grad)` as plain mathematics: `forward` keeps in ``self.saved`` what
    `backward` will need. Both are wrapped when the class is made, so that every call is checked: `x` becomes a
    floating-point array, `grad` must have the shape of the output, and each backward pass uses up one forward pass.
    Parameters and modules are found among the attributes, also inside lists, tuples and dicts.

    Attributes
    ----------
    training : bool
        True after `train()`, False after `eval()`.
    in_features : int or None
        If set, the input must have shape (n, in_features).
    min_batch_size : int
        The smallest batch that the module can train on.
    buffer_names, nonnegative_names : tuple of str
        Attributes that are kept from batch to batch, such as running means: saved, loaded and converted with the
        parameters, but seen by no optimizer; and those of them that are never negative.
    """

    training: bool = True
    saved: Any = None
    in_features: int | None = None
    min_batch_size: int = 1
    buffer_names: tuple[str, ...] = ()
    nonnegative_names: tuple[str, ...] = ()
    output_shape: tuple[int, ...] | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in {"forward", "backward", "accumulate"} & vars(cls).keys():
            checked = checked_forward if name == "forward" else checked_backward
            setattr(cls, name, checked(vars(cls)[name]))
        if "backward" in vars(cls) and "accumulate" not in vars(cls):
            cls.accumulate = Module.accumulate  # type: ignore[method-assign]  # An inherited one bypasses this backward.

    def forward(self, x: Array) -> Array:
        """Return the module's output for the input `x`; `x` is not changed."""
        raise NotImplementedError(f"{type(self).__name__} must define forward")

    def backward(self, grad: Array) -> Array:
        """Return dL/d(input) for ``grad`` = dL/d(output), and add dL/d(parameter) to each parameter's `grad`.

        Raises RuntimeError if there was no `forward` since the last `backward`, ValueError if the shapes differ.
        """
        raise NotImplementedError(f"{type(self).__name__} must define backward")

    def accumulate(self, grad: Array) -> None:
        """Do what `backward` does to the parameters' gradients, without dL/d(input) where that saves work.

        Training calls this, because nobody uses the gradient of the data.
        """
        self.backward(grad)

    def __call__(self, x: Array) -> Array:
        return self.forward(x)

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield the name and the module of each direct sub-module."""
        return _unique(_found(vars(self), Module))

    def children(self) -> Iterator[Module]:
        """Yield each direct sub-module."""
        return (child for _, child in self.named_children())

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Yield the dotted name and the module for this one, whose name is `prefix`, and for each one below it."""
        yield prefix, self
        for name, child in self.named_children():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Yield the dotted name and the `Parameter` of each one in the tree, a shared one only once."""
        return self._in_tree(lambda module: _found(vars(module), Parameter))

    def named_buffers(self) -> Iterator[tuple[str, Array]]:
        """Yield the dotted name and the array of each buffer in the tree, a shared one only once."""
        return self._in_tree(lambda module: ((name, getattr(module, name)) for name in module.buffer_names))

    def named_generators(self) -> Iterator[tuple[str, np.random.Generator]]:
        """Yield the dotted name and the generator of each layer that draws, a shared one only once."""
        return self._in_tree(lambda module: _found(vars(module), np.random.Generator))

    def _in_tree(self, items: Callable[[Module], Iterable[tuple[str, Item]]]) -> Iterator[tuple[str, Item]]:
        modules = self.named_modules()
        return _unique((f"{path}.{name}" if path else name, item) for path, m in modules for name, item in items(m))

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
        for child in self.children():
            child.train(mode)
        return self

    def eval(self) -> Self:
        """Set the whole tree to evaluation mode; return the module."""
        return self.train(False)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Be in evaluation mode for a while; afterwards each layer has its own mode back, and nothing saved."""
        modes = [(module, module.training) for _, module in self.named_modules()]
        self.eval()
        try:
            yield
        finally:
            for module, was_training in modes:
                module.training = was_training
                module.saved = module.output_shape = None

    def astype(self, dtype: DTypeLike) -> Self:
        """Convert parameters and buffers to `dtype` (float32 or float64), zero the gradients; return the module."""
        dtype = float_dtype(dtype)
        for parameter in self.parameters():
            parameter.data = parameter.data.astype(dtype)
            parameter.grad = np.zeros_like(parameter.data)
        for _, module in self.named_modules():
            for name in module.buffer_names:
                setattr(module, name, getattr(module, name).astype(dtype))
        return self

    def state_dict(self) -> dict[str, Array]:
        """Return a copy of every parameter's values, and of every buffer, under its dotted name."""
        return {name: array.copy() for name, array in self._named_arrays().items()}

    def _named_arrays(self) -> dict[str, Array]:
        return {name: parameter.data for name, parameter in self.named_parameters()} | dict(self.named_buffers())

    def load_state_dict(self, state: Mapping[str, Array], strict: bool = True) -> None:
        """Copy the values in `state` into the parameters and buffers of the same names: all of them or none.

        Raises KeyError if names are missing or unexpected and `strict` is true, ValueError or TypeError if an array has
        another shape or values that it cannot have.
        """
        instance("state", state, Mapping, "what state_dict returned")
        own = self._named_arrays()
        if not strict:
            state = {name: array for name, array in state.items() if name in own}
            own = {name: own[name] for name in state}
        variances = self._in_tree(lambda module: [(name, getattr(module, name)) for name in module.nonnegative_names])
        for name, array in checked_state(state, own, type(self).__name__, dict(variances)).items():
            own[name][...] = array

    def summary(self, input_shape: int | tuple[int, ...] | None = None) -> str:
        """Return a table of the layers, the shapes of their outputs and their numbers of parameters.

        `input_shape` is that of one sample, by default what the first layer with an `in_features` asks for.
        """
        modules = dict(self.named_modules())
        if input_shape is None:
            input_shape = next((m.in_features for m in modules.values() if m.in_features is not None), None)
        if input_shape is None:
            raise ValueError("input_shape must be given for a model whose layers do not fix it; got None")
        rows = [("layer", "output", "parameters")]
        with self.evaluating():
            self.forward(np.zeros((1, *np.atleast_1d(input_shape)), dtype=np.float32))
            for name, module in modules.items():
                if not list(module.children()):
                    shape = ", ".join(map(str, ["n", *(module.output_shape or ())[1:]]))
                    rows.append((f"{name}: {module!r}" if name else repr(module), f"({shape})", f"{_size(module):,}"))
        rows.append(("all", "", f"{_size(self):,}"))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}" for a, b, c in rows)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def __str__(self) -> str:
        shapes = [f"{name} {value.data.shape}" for name, value in _found(vars(self), Parameter)]
        children = [f"  {name}: " + str(child).replace("\n", "\n  ") for name, child in self.named_children()]
        head = (type(self).__name__ if children else repr(self)) + ("  # " + ", ".join(shapes) if shapes else "")
        return "\n".join([head, *children])


class Sequential(Module):
    """Modules applied one after the other; backward runs through them in the opposite order.

    With no modules it is the identity. ``model[i]`` is the module number `i`, and ``model[i:j]`` a Sequential that
    shares its modules with this one. Each module keeps what its own backward needs, so none may stand in it twice.
    """

    def __init__(self, *modules: Module) -> None:
        for i, module in enumerate(modules):
            instance(f"modules[{i}]", module, Module, "a Module")
        if len({id(module) for module in modules}) != len(modules):
            raise ValueError("modules must be distinct objects, since each saves its own forward pass; got one twice")
        self.modules = list(modules)

    def forward(self, x: Array) -> Array:
        for module in self.modules:
            x = module.forward(x)
        return x

    def backward(self, grad: Array) -> Array:
        for module in reversed(self.modules):
            grad = module.backward(grad)
        return grad

    def accumulate(self, grad: Array) -> None:
        first = next((i for i, m in enumerate(self) if m.in_features or next(m.named_parameters(), None)), len(self))
        for module in reversed(self.modules[first + 1 :]):
            grad = module.backward(grad)
        for module in self.modules[first : first + 1]:
            module.accumulate(grad)

    def named_children(self) -> Iterator[tuple[str, Module]]:
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
    activations = [make_activation() for _ in layers[1:]]
    for activation in activations:
        instance("what activation makes", activation, Module, "a Module such as ReLU()")
    return Sequential(layers[0], *(module for pair in zip(activations, layers[1:], strict=True) for module in pair))


def _size(module: Module) -> int:
    return sum(parameter.data.size for parameter in module.parameters())


def _found(attributes: dict[Any, Any], kind: type[Item]) -> Iterator[tuple[str, Item]]:
    """Yield the dotted name and each value of a kind among attributes, also inside lists, tuples and dicts."""
    for name, value in attributes.items():
        if isinstance(value, kind):
            yield str(name), value
        elif isinstance(value, (list, tuple, dict)):
            inside = value if isinstance(value, dict) else dict(enumerate(value))
            yield from ((f"{name}.{key}", item) for key, item in _found(inside, kind))
        elif isinstance(value, (set, frozenset)) and any(isinstance(item, kind) for item in value):
            raise TypeError(f"{name} must be a list or a dict, since a set has no order; got {shown(value)}")


def _unique(named: Iterable[tuple[str, Item]]) -> Iterator[tuple[str, Item]]:
    seen: set[int] = set()
    for name, item in named:
        if id(item) not in seen:
            seen.add(id(item))
            yield name, item
