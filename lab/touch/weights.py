"""Trained networks as text for a page: whole numbers from -127 to 127, and one scale for each column of a weight.

`weights.js` reads what `packed` returns, and `rounded` is the same network in nnkit: the two agree to the last digits.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

import nnkit as nn
from nnkit.checks import instance
from nnkit.typing import Array

LARGEST = 127
"""The largest whole number that stands for a weight."""

ACTIVATIONS: dict[str, type[nn.Module]] = {kind.__name__: kind for kind in (nn.ReLU, nn.Tanh, nn.Sigmoid, nn.Softmax)}


def packed(model: nn.Module) -> list[dict[str, Any]]:
    """Return a network as a list of layers that JSON can hold, about 1.33 bytes a weight.

    Parameters
    ----------
    model : Module
        A `Sequential`, also of such, of `Linear` layers and activations: ReLU, Tanh, Sigmoid or Softmax.

    Returns
    -------
    list of dict
        One for each layer, with its ``kind``. A ``"Linear"`` has the widths ``in`` and ``out``, and in base64 its
        ``weight`` (int8, in row order), and the ``scale`` and ``bias`` of each column (float32, the lowest byte
        first). The weight is ``weight * scale``.

    Raises
    ------
    TypeError
        If another kind of layer stands in it.
    ValueError
        If a weight or a bias is not finite, or the widths of two layers do not fit.
    """
    layers: list[dict[str, Any]] = []
    width = None
    for i, module in enumerate(_flat(model)):
        if type(module) is not nn.Linear:
            if type(module).__name__ not in ACTIVATIONS:
                kinds = ", ".join(["Linear", *ACTIVATIONS])
                raise TypeError(f"model must be made of {kinds}; got {module!r} as layer {i + 1}")
            layers.append({"kind": type(module).__name__})
            continue
        if width not in (None, module.in_features):
            raise ValueError(f"layer {i + 1} must take the {width} numbers of the one before; got {module!r}")
        width = module.out_features
        weight = module.weight.data.astype(np.float64)
        bias = np.zeros(width) if module.bias is None else module.bias.data
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise ValueError(f"model must have finite weights; those of layer {i + 1}, {module!r}, are not")
        scale = (np.abs(weight).max(axis=0) / LARGEST).astype(np.float32)
        scale[scale == 0] = 1  # A column of zeros stays one.
        whole = np.rint(weight / scale).clip(-LARGEST, LARGEST).astype(np.int8)
        layers.append(
            {
                "kind": "Linear",
                "in": module.in_features,
                "out": width,
                "weight": _text(whole),
                "scale": _text(scale.astype("<f4")),
                "bias": _text(bias.astype("<f4")),
            }
        )
    if width is None:
        raise ValueError(f"model must have at least one Linear layer; got {model!r}")
    return layers


def rounded(layers: Sequence[Mapping[str, Any]]) -> nn.Sequential:
    """Return the network of packed layers in float64, with the weights as they were rounded.

    Raises
    ------
    ValueError
        If a layer's numbers do not fit its header, or its width that of the layer before.
    """
    modules: list[nn.Module] = []
    width = None
    for i, layer in enumerate(layers):
        kind = layer.get("kind")
        if kind in ACTIVATIONS:
            modules.append(ACTIVATIONS[kind]())
            continue
        if kind != "Linear":
            raise ValueError(f"the kind of layer {i + 1} must be Linear, {', '.join(ACTIVATIONS)}; got {kind!r}")
        n_in, n_out = layer["in"], layer["out"]
        if width not in (None, n_in):
            raise ValueError(f"layer {i + 1} must take the {width} numbers of the one before; got {n_in}")
        module = nn.Linear(n_in, n_out, init="zeros", dtype=np.float64)
        whole = _numbers(layer, "weight", np.dtype(np.int8), n_in * n_out, i)
        scale, bias = (_numbers(layer, name, np.dtype("<f4"), n_out, i) for name in ("scale", "bias"))
        module.weight.data[:] = whole.reshape(n_in, n_out) * scale.astype(np.float64)
        assert module.bias is not None
        module.bias.data[:] = bias
        modules.append(module)
        width = n_out
    return nn.Sequential(*modules)


def packed_digits(pixels: Array, labels: Array) -> dict[str, Any]:
    """Return digits as JSON can hold them: the bytes, with each run of paper as a zero and its length, in base64.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (n, 784)
        Ink from 0 to 255.
    labels : ndarray of int, shape (n,)
        What each of them is, from 0 to 9.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 2 or pixels.shape[1] != 784 or labels.shape != pixels.shape[:1]:
        expected = "pixels must be uint8 of shape (n, 784), and labels of shape (n,)"
        raise ValueError(f"{expected}; got {pixels.dtype} of {pixels.shape}, and {labels.shape}")
    short, paper = bytearray(), 0
    for ink in [*pixels.ravel().tolist(), None]:
        if paper and (ink != 0 or paper == 255):
            short += bytes((0, paper))
            paper = 0
        if ink == 0:
            paper += 1
        elif ink is not None:
            short.append(ink)
    return {"labels": "".join(map(str, labels.tolist())), "pixels": _text(np.frombuffer(short, np.uint8))}


def _flat(module: nn.Module) -> Iterator[nn.Module]:
    instance("model", module, nn.Module, "a Module such as Sequential")
    if isinstance(module, nn.Sequential):
        for each in module:
            yield from _flat(each)
    else:
        yield module


def _text(array: Array) -> str:
    return base64.b64encode(array.tobytes()).decode("ascii")


def _numbers(layer: Mapping[str, Any], name: str, dtype: np.dtype[Any], count: int, i: int) -> Array:
    """Return the numbers of one of a layer's texts; raise ValueError if they are not as many as its header says."""
    try:
        held = base64.b64decode(layer[name], validate=True)
    except (KeyError, TypeError, binascii.Error) as error:
        raise ValueError(f"the {name} of layer {i + 1} must be there as base64; got {error!r}") from error
    if len(held) != count * dtype.itemsize:
        expected = f"{count} numbers of {dtype.itemsize} byte(s), as its header says"
        raise ValueError(f"the {name} of layer {i + 1} must be {expected}; got {len(held)} bytes")
    return np.frombuffer(held, dtype)
