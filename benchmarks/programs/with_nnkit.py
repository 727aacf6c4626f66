"""The three programs in nnkit, and those that do what scikit-learn does in their place."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np

import nnkit as nn

FLOAT64 = np.float64


def xor(dtype: Any = np.float32) -> Any:
    model = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1), nn.Sigmoid()).astype(dtype)
    return model, nn.MSELoss(), nn.SGD(model.parameters(), lr=0.5)


def classifier(dtype: Any = np.float32) -> Any:
    layers = nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)
    model = nn.Sequential(*layers).astype(dtype)
    return model, nn.CrossEntropyLoss(), nn.Adam(model.parameters(), lr=0.001)


def autoencoder(dtype: Any = np.float32) -> Any:
    model = nn.Autoencoder.symmetric([784, 256, 128, 64, 32], logits=True).astype(dtype)
    return model, nn.BCEWithLogitsLoss(), nn.SGD(model.parameters(), lr=0.5)


def train(network: Any, X: Any, y: Any, *, epochs: int, batch_size: int) -> Any:
    model, loss, optimizer = network
    history = nn.fit(model, loss, optimizer, X, y, epochs=epochs, batch_size=batch_size, rng=0)
    return history["loss"]


def start(network: Any, weights: Any) -> None:
    """Begin with these weights: for each layer W, (in, out), and b."""
    linear = [module for _, module in network[0].named_modules() if isinstance(module, nn.Linear)]
    for layer, (W, b) in zip(linear, weights, strict=True):
        layer.weight.data[...], layer.bias.data[...] = W, b


def xor_with_log_loss(dtype: Any = np.float32) -> Any:
    """Return what scikit-learn's XOR is: the same network with the log loss on the output's logit."""
    model = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).astype(dtype)
    return model, nn.BCEWithLogitsLoss(), nn.SGD(model.parameters(), lr=0.5)


class EarlyEpsilonAdam(nn.Adam):
    """Adam as scikit-learn has it, and the paper in its last lines on it: epsilon before the correction of v."""

    def step(self) -> None:
        self.eps = 1e-8 / math.sqrt(1 - self.betas[1] ** (self.steps + 1))
        super().step()


def classifier_with_early_epsilon(dtype: Any = np.float32) -> Any:
    """Return what scikit-learn's classifier is: the same network and loss with its own Adam."""
    model, loss, _ = classifier(dtype)
    return model, loss, EarlyEpsilonAdam(model.parameters(), lr=0.001)


def autoencoder_with_squared_error(dtype: Any = np.float32) -> Any:
    """Return what scikit-learn's autoencoder is, but for two factors: also the code goes through a ReLU.

    Its loss is half of this one. It divides the gradient by the samples and not by the 784 outputs, so that a rate of
    0.5 / 784 there is 0.5 / 2 here.
    """
    linear = [nn.Linear(a, b) for a, b in pairwise([784, 256, 128, 64, 32, 64, 128, 256, 784])]
    model = nn.Sequential(*[module for layer in linear for module in (layer, nn.ReLU())][:-1]).astype(dtype)
    return model, nn.MSELoss(), nn.SGD(model.parameters(), lr=0.25)
