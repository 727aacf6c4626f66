"""Autoencoder: an encoder and a decoder, trained together to reproduce their input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Self

import numpy as np

from nnkit.activations import ACTIVATIONS, sigmoid
from nnkit.checks import chosen, generator, instance, whole_number
from nnkit.initializers import Initializer
from nnkit.layers import Linear, TiedLinear
from nnkit.module import Module, interleaved
from nnkit.training import predict
from nnkit.typing import Array


class Autoencoder(Module):
    """An encoder, which turns each sample into a short code, and a decoder, which turns the code back.

    Train it like any network, with the inputs as targets: ``fit(model, MSELoss(), optimizer, X, X, epochs=...)``. It
    holds the two networks themselves and no copies, so `encode` and `decode` use what was trained.

    Parameters
    ----------
    encoder, decoder : Module
        The two networks; the decoder takes what the encoder returns.
    logits : bool, default False
        Whether the decoder returns logits, for training with `BCEWithLogitsLoss`. Then `decode` and `reconstruct`,
        but not the forward pass, apply the sigmoid.
    """

    def __init__(self, encoder: Module, decoder: Module, *, logits: bool = False) -> None:
        instance("encoder", encoder, Module, "a Module such as Sequential")
        instance("decoder", decoder, Module, "a Module such as Sequential")
        self.encoder, self.decoder, self.logits = encoder, decoder, logits

    @classmethod
    def symmetric(
        cls,
        sizes: Sequence[int],
        activation: str | Callable[[], Module] = "relu",
        *,
        init: str | Initializer = "kaiming_uniform",
        rng: np.random.Generator | int | None = None,
        logits: bool = False,
        tied: bool = False,
    ) -> Self:
        """Return an autoencoder of `Linear` layers whose decoder has the widths of its encoder in reverse order.

        The activation stands between layers, but not after the code or the output: ``symmetric([784, 32])`` is linear.

        Parameters
        ----------
        sizes : sequence of int
            The widths from the input to the code, at least these two: ``[784, 128, 32]`` makes 784-128-32-128-784.
        activation : {"relu", "leaky_relu", "sigmoid", "tanh"} or callable, default "relu"
            What stands between the layers, or a function without arguments that makes such a `Module`.
        init, rng
            How the weights start and where they are drawn from, as for `Linear`.
        logits, tied : bool, default False
            Whether the output is trained as logits, and whether the layers of the decoder are `TiedLinear`.
        """
        widths = [whole_number(f"sizes[{i}]", size, least=1) for i, size in enumerate(sizes)]
        if len(widths) < 2:
            raise ValueError(f"sizes must hold at least two widths, of the input and the code; got {widths}")
        make_activation = chosen("activation", activation, ACTIVATIONS, ())
        rng = generator("rng", rng)
        encoder = [Linear(a, b, init=init, rng=rng) for a, b in pairwise(widths)]
        decoder: list[Linear] = [TiedLinear(layer) for layer in reversed(encoder)] if tied else []
        decoder = decoder or [Linear(a, b, init=init, rng=rng) for a, b in pairwise(reversed(widths))]
        return cls(interleaved(encoder, make_activation), interleaved(decoder, make_activation), logits=logits)

    def forward(self, x: Array) -> Array:
        return self.decoder.forward(self.encoder.forward(x))

    def backward(self, grad: Array) -> Array:
        return self.encoder.backward(self.decoder.backward(grad))

    def accumulate(self, grad: Array) -> None:
        self.encoder.accumulate(self.decoder.backward(grad))

    def encode(self, X: Any) -> Array:
        """Return the codes of samples, shape (n, width of the code), in evaluation mode and in batches as `predict`."""
        return predict(self.encoder, X)

    def decode(self, codes: Any) -> Array:
        """Return what the decoder makes of codes, shape (n, n_features), in evaluation mode; of logits the sigmoid."""
        output = predict(self.decoder, codes)
        return sigmoid(output) if self.logits else output

    def reconstruct(self, X: Any) -> Array:
        """Return ``decode(encode(X))``: each sample after its way through the code."""
        return self.decode(self.encode(X))

    def __repr__(self) -> str:
        logits = ", logits=True" if self.logits else ""
        return f"Autoencoder(encoder={self.encoder!r}, decoder={self.decoder!r}{logits})"
