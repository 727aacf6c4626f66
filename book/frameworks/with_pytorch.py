"""The three programs in PyTorch, with the training loop of its tutorials."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

FLOAT64 = torch.float64


def xor(dtype=torch.float32):
    model = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1), nn.Sigmoid()).to(dtype)
    return model, nn.MSELoss(), torch.optim.SGD(model.parameters(), lr=0.5)


def classifier(dtype=torch.float32):
    layers = nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)
    model = nn.Sequential(*layers).to(dtype)
    return model, nn.CrossEntropyLoss(), torch.optim.Adam(model.parameters(), lr=0.001)


def autoencoder(dtype=torch.float32):
    encoder = nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU()
    decoder = nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 256), nn.ReLU()
    model = nn.Sequential(*encoder, nn.Linear(64, 32), *decoder, nn.Linear(256, 784)).to(dtype)
    return model, nn.BCEWithLogitsLoss(), torch.optim.SGD(model.parameters(), lr=0.5)


def train(network, X, y, *, epochs, batch_size):
    torch.manual_seed(0)
    model, loss_function, optimizer = network
    X, y = torch.from_numpy(X), torch.from_numpy(y)
    batches = [(X, y)]
    if batch_size < len(X):
        batches = DataLoader(TensorDataset(X, y), batch_size, shuffle=True)
    losses = []
    for _ in range(epochs):
        total = 0.0
        for inputs, targets in batches:
            optimizer.zero_grad()
            loss = loss_function(model(inputs), targets)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(inputs)
        losses.append(total / len(X))
    return losses


def start(network, weights):
    """Begin with these weights: for each layer W, (in, out), which PyTorch keeps transposed, and b."""
    linear = [module for module in network[0] if isinstance(module, nn.Linear)]
    with torch.no_grad():
        for layer, (W, b) in zip(linear, weights, strict=True):
            layer.weight.copy_(torch.from_numpy(W.T))
            layer.bias.copy_(torch.from_numpy(b))
