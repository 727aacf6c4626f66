"""The three programs in nnkit, and those that do what scikit-learn does in their place."""

import math
from itertools import pairwise

import numpy as np

import nnkit as nn

FLOAT64 = np.float64


def xor(dtype=np.float32):
    model = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1), nn.Sigmoid()).astype(dtype)
    return model, nn.MSELoss(), nn.SGD(model.parameters(), lr=0.5)


def classifier(dtype=np.float32):
    layers = nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)
    model = nn.Sequential(*layers).astype(dtype)
    return model, nn.CrossEntropyLoss(), nn.Adam(model.parameters(), lr=0.001)


def autoencoder(dtype=np.float32):
    model = nn.Autoencoder.symmetric([784, 256, 128, 64, 32], logits=True).astype(dtype)
    return model, nn.BCEWithLogitsLoss(), nn.SGD(model.parameters(), lr=0.5)


def train(network, X, y, *, epochs, batch_size):
    model, loss, optimizer = network
    history = nn.fit(model, loss, optimizer, X, y, epochs=epochs, batch_size=batch_size, rng=0)
    return history["loss"]


def start(network, weights):
    """Begin with these weights: for each layer W, (in, out), and b."""
    linear = [module for _, module in network[0].named_modules() if isinstance(module, nn.Linear)]
    for layer, (W, b) in zip(linear, weights, strict=True):
        layer.weight.data[...], layer.bias.data[...] = W, b


def xor_with_log_loss(dtype=np.float32):
    """Return what scikit-learn's XOR is: the same network with the log loss on the output's logit."""
    model = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).astype(dtype)
    return model, nn.BCEWithLogitsLoss(), nn.SGD(model.parameters(), lr=0.5)


class EarlyEpsilonAdam(nn.Adam):
    """Adam as scikit-learn has it, after the paper's faster form: epsilon is added before v is corrected."""

    def step(self):
        self.eps = 1e-8 / math.sqrt(1 - self.betas[1] ** (self.steps + 1))
        super().step()


def classifier_with_early_epsilon(dtype=np.float32):
    """Return what scikit-learn's classifier is: the same network and loss with its own Adam."""
    model, loss, _ = classifier(dtype)
    return model, loss, EarlyEpsilonAdam(model.parameters(), lr=0.001)


def autoencoder_with_squared_error(dtype=np.float32):
    """Return what scikit-learn's autoencoder is, but for two factors: also the code goes through a ReLU.

    Its loss is half of this one. It divides the gradient by the samples and not by the 784 outputs, so that a rate of
    0.5 / 784 there is 0.5 / 2 here.
    """
    linear = [nn.Linear(a, b) for a, b in pairwise([784, 256, 128, 64, 32, 64, 128, 256, 784])]
    model = nn.Sequential(*[module for layer in linear for module in (layer, nn.ReLU())][:-1]).astype(dtype)
    return model, nn.MSELoss(), nn.SGD(model.parameters(), lr=0.25)
