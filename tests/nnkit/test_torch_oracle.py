"""Everything that PyTorch also offers gives the same numbers in float64: values, gradients and training steps."""

import numpy as np
import pytest

from nnkit import (
    SGD,
    Adam,
    AdamW,
    Autoencoder,
    BatchNorm1d,
    BCEWithLogitsLoss,
    CosineLR,
    CrossEntropyLoss,
    Dropout,
    Flatten,
    LeakyReLU,
    Linear,
    MSELoss,
    Parameter,
    ReLU,
    RMSprop,
    Sequential,
    Sigmoid,
    Softmax,
    StepLR,
    Tanh,
    TiedLinear,
    clip_grad_norm,
)

torch = pytest.importorskip("torch")

seeds = pytest.mark.parametrize("seed", [0, 1])


def torch_linear(layer):
    """Return PyTorch's layer with the same weights, which it stores transposed, as (out, in)."""
    other = torch.nn.Linear(layer.in_features, layer.out_features, bias=layer.bias is not None, dtype=torch.float64)
    with torch.no_grad():
        other.weight.copy_(torch.tensor(layer.weight.data.T))
        if layer.bias is not None:
            other.bias.copy_(torch.tensor(layer.bias.data))
    return other


def networks(seed):
    """Return the same network twice: ours and PyTorch's."""
    rng = np.random.default_rng(seed)
    first, second = Linear(4, 6, rng=rng, dtype=np.float64), Linear(6, 3, rng=rng, dtype=np.float64)
    first.bias.data[:], second.bias.data[:] = rng.normal(size=6), rng.normal(size=3)
    theirs = torch.nn.Sequential(torch_linear(first), torch.nn.Tanh(), torch_linear(second))
    return Sequential(first, Tanh(), second), theirs


def ours_in_torch_form(model):
    """Return parameter values and gradients in PyTorch's order and layout."""
    return [(p.data.T, p.grad.T) for p in model.parameters()]


def check_equal(actual, expected):
    np.testing.assert_allclose(actual, expected.detach().numpy(), rtol=1e-6, atol=1e-12)


def check_parameters(ours, theirs):
    """Compare weight and bias gradients, each in its own layout."""
    weight = ours.shared if isinstance(ours, TiedLinear) else ours.weight
    check_equal(weight.grad.T if type(ours) is Linear else weight.grad, theirs.weight.grad)
    if ours.bias is not None:
        check_equal(ours.bias.grad, theirs.bias.grad)


def check_module(ours, theirs, x, rng):
    """Compare output, dL/dx and parameter gradients for a random upstream gradient."""
    given = torch.tensor(x, requires_grad=True)
    expected = theirs(given)
    grad = rng.normal(size=tuple(expected.shape))
    expected.backward(torch.tensor(grad))
    check_equal(ours(x), expected)
    check_equal(ours.backward(grad), given.grad)
    if ours.parameters():
        check_parameters(ours, theirs)


@seeds
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (ReLU(), torch.nn.ReLU()),
        (LeakyReLU(), torch.nn.LeakyReLU()),
        (LeakyReLU(0.2), torch.nn.LeakyReLU(0.2)),
        (Sigmoid(), torch.nn.Sigmoid()),
        (Tanh(), torch.nn.Tanh()),
        (Softmax(), torch.nn.Softmax(dim=-1)),
    ],
    ids=str,
)
def test_activations_match(ours, theirs, seed):
    rng = np.random.default_rng(seed)
    check_module(ours, theirs, 3 * rng.normal(size=(5, 4)), rng)
    # Exactly zero, where a rectifier's slope is a convention, and values far from it.
    check_module(ours, theirs, np.array([[0.0, -30.0, 30.0, -1.0]]), rng)


@seeds
@pytest.mark.parametrize("bias", [True, False])
def test_linear_matches(bias, seed):
    rng = np.random.default_rng(seed)
    ours = Linear(4, 3, bias=bias, rng=rng, dtype=np.float64)
    if bias:
        ours.bias.data[:] = rng.normal(size=3)
    check_module(ours, torch_linear(ours), rng.normal(size=(5, 4)), rng)


@seeds
@pytest.mark.parametrize("bias", [True, False])
def test_tied_linear_matches(bias, seed):
    rng = np.random.default_rng(seed)
    ours = TiedLinear(Linear(3, 4, rng=rng, dtype=np.float64), bias=bias)
    if bias:
        ours.bias.data[:] = rng.normal(size=3)
    check_module(ours, torch_linear(ours), rng.normal(size=(5, 4)), rng)


def test_flatten_matches(rng):
    check_module(Flatten(), torch.nn.Flatten(), rng.normal(size=(5, 2, 3)), rng)


class Replayed:
    """A generator whose draws keep the same entries as a given mask."""

    def __init__(self, kept):
        self.kept = kept

    def random(self, shape, dtype):
        assert self.kept.shape == shape
        return self.kept.astype(dtype)


@seeds
@pytest.mark.parametrize("p", [0.0, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("training", [True, False])
def test_dropout_matches(training, p, seed):
    rng = np.random.default_rng(seed)
    x, grad = rng.normal(size=(20, 30)), rng.normal(size=(20, 30))
    torch.manual_seed(seed)
    given = torch.tensor(x, requires_grad=True)
    expected = torch.nn.Dropout(p).train(training)(given)
    expected.backward(torch.tensor(grad))
    ours = Dropout(p).train(training)
    # The two libraries draw differently, so our layer replays PyTorch's draw.
    ours.rng = Replayed(expected.detach().numpy() != 0)
    check_equal(ours(x), expected)
    check_equal(ours.backward(grad), given.grad)


def batch_norms(rng, num_features, **options):
    """Return the same layer twice, with random scale and shift: ours and PyTorch's."""
    ours = BatchNorm1d(num_features, dtype=np.float64, **options)
    theirs = torch.nn.BatchNorm1d(num_features, dtype=torch.float64, **options)
    ours.weight.data[:], ours.bias.data[:] = rng.normal(size=num_features), rng.normal(size=num_features)
    theirs.load_state_dict({name: torch.tensor(array) for name, array in ours.state_dict().items()}, strict=False)
    return ours, theirs


def check_running_statistics(ours, theirs):
    check_equal(ours.running_mean, theirs.running_mean)
    check_equal(ours.running_var, theirs.running_var)


@seeds
@pytest.mark.parametrize("options", [{}, {"eps": 0.1, "momentum": 0.3}, {"momentum": 1.0}, {"momentum": 0.0}], ids=str)
def test_batch_norm_matches(options, seed):
    rng = np.random.default_rng(seed)
    ours, theirs = batch_norms(rng, 4, **options)
    # Batches of several sizes, since the unbiased variance depends on the size.
    for training, sizes in ((True, (8, 2, 5, 100)), (False, (8, 1))):
        ours.train(training)
        theirs.train(training)
        for n in sizes:
            ours.zero_grad()
            theirs.zero_grad()
            check_module(ours, theirs, rng.normal(3, 2, size=(n, 4)), rng)
            check_running_statistics(ours, theirs)


@seeds
def test_batch_norm_matches_in_float32(seed):
    rng = np.random.default_rng(seed)
    ours, theirs = BatchNorm1d(64), torch.nn.BatchNorm1d(64)
    for _ in range(10):
        x, grad = rng.normal(5, 3, size=(2, 128, 64)).astype(np.float32)
        given = torch.tensor(x, requires_grad=True)
        expected = theirs(given)
        expected.backward(torch.tensor(grad))
        y, input_grad = ours(x), ours.backward(grad)
        assert y.dtype == input_grad.dtype == np.float32
        # In single precision each is off by a few 1e-6, because they sum in different orders.
        np.testing.assert_allclose(y, expected.detach().numpy(), atol=1e-5)
        np.testing.assert_allclose(input_grad, given.grad.numpy(), atol=2e-5)
    np.testing.assert_allclose(ours.running_mean, theirs.running_mean.numpy(), rtol=1e-6)
    np.testing.assert_allclose(ours.running_var, theirs.running_var.numpy(), rtol=1e-6)


def test_state_names_match_pytorch():
    ours, theirs = networks(0)
    ours, theirs = Sequential(*ours, BatchNorm1d(3)), torch.nn.Sequential(*theirs, torch.nn.BatchNorm1d(3))
    # PyTorch also counts batches, which nnkit does not need.
    assert set(ours.state_dict()) == set(theirs.state_dict()) - {"3.num_batches_tracked"}


def check_loss(ours, theirs, pred, target):
    given = torch.tensor(pred, requires_grad=True)
    expected = theirs(given, torch.tensor(target))
    expected.backward()
    assert ours(pred, target) == pytest.approx(expected.item(), rel=1e-6)
    check_equal(ours.backward(), given.grad)


@seeds
@pytest.mark.parametrize("scale", [1, 100])
def test_losses_match(scale, seed):
    rng = np.random.default_rng(seed)
    pred, other = scale * rng.normal(size=(2, 7, 4))
    check_loss(MSELoss(), torch.nn.MSELoss(), pred, other)
    classes = rng.integers(0, 4, 7)
    for target in (classes, np.eye(4)[classes], rng.dirichlet(np.ones(4), 7)):
        check_loss(CrossEntropyLoss(), torch.nn.CrossEntropyLoss(), pred, target)
    for target in (np.eye(4)[classes], rng.uniform(size=(7, 4))):
        check_loss(BCEWithLogitsLoss(), torch.nn.BCEWithLogitsLoss(), pred, target)


class TorchAutoencoder(torch.nn.Module):
    """The symmetric autoencoder in PyTorch; if tied, the decoder uses the encoder's weights transposed."""

    def __init__(self, ours, tied):
        super().__init__()
        self.tied = tied
        self.down = torch.nn.ModuleList(torch_linear(layer) for layer in ours.encoder[::2])
        self.up_bias = torch.nn.ParameterList(torch.tensor(layer.bias.data) for layer in ours.decoder[::2])
        if tied:
            self.up_weight = [layer.weight for layer in reversed(self.down)]
        else:
            self.up_weight = torch.nn.ParameterList(torch.tensor(layer.weight.data) for layer in ours.decoder[::2])

    def encode(self, x):
        for i, layer in enumerate(self.down):
            x = layer(torch.relu(x) if i else x)
        return x

    def forward(self, x):
        x = self.encode(x)
        for i, (weight, bias) in enumerate(zip(self.up_weight, self.up_bias, strict=True)):
            x = (torch.relu(x) if i else x) @ weight + bias
        return x

    def gradients(self):
        """Return the gradients with the names and layout of nnkit's parameters."""
        found = {}
        for i, layer in enumerate(self.down):
            found |= {f"encoder.{2 * i}.weight": layer.weight.grad.T, f"encoder.{2 * i}.bias": layer.bias.grad}
        for i, (weight, bias) in enumerate(zip(self.up_weight, self.up_bias, strict=True)):
            found |= {f"decoder.{2 * i}.bias": bias.grad}
            found |= {} if self.tied else {f"decoder.{2 * i}.weight": weight.grad}
        return found


@seeds
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("loss", ["mse", "bce"])
def test_symmetric_autoencoder_matches_for_both_losses(loss, tied, seed):
    """Each gradient, and the weights after ten SGD steps, with report B's batch size and its network made narrow."""
    rng = np.random.default_rng(seed)
    ours = Autoencoder.symmetric([20, 12, 8, 5, 3], init="xavier_normal", rng=rng, logits=loss == "bce", tied=tied)
    ours.astype(np.float64)
    for parameter in ours.parameters():
        parameter.data += 0.1 * rng.normal(size=parameter.data.shape)  # So that no bias is zero.
    theirs = TorchAutoencoder(ours, tied)
    criterion, torch_criterion = {
        "mse": (MSELoss(), torch.nn.MSELoss()),
        "bce": (BCEWithLogitsLoss(), torch.nn.BCEWithLogitsLoss()),
    }[loss]
    optimizer, torch_optimizer = SGD(ours.parameters(), 0.1), torch.optim.SGD(theirs.parameters(), 0.1)
    for _ in range(10):
        x = rng.uniform(size=(16, 20))
        optimizer.zero_grad()
        torch_optimizer.zero_grad()
        expected = torch_criterion(theirs(torch.tensor(x)), torch.tensor(x))
        expected.backward()
        assert criterion(ours(x), x) == pytest.approx(expected.item(), rel=1e-6)
        ours.backward(criterion.backward())
        gradients = theirs.gradients()
        assert gradients.keys() == dict(ours.named_parameters()).keys()
        for name, parameter in ours.named_parameters():
            check_equal(parameter.grad, gradients[name])
        optimizer.step()
        torch_optimizer.step()
    x = rng.uniform(size=(16, 20))
    check_equal(ours.encode(x), theirs.encode(torch.tensor(x)))
    output = theirs(torch.tensor(x))
    check_equal(ours.reconstruct(x), torch.sigmoid(output) if loss == "bce" else output)


OPTIMIZERS = {
    "SGD": (SGD, torch.optim.SGD, {"lr": 0.1}),
    "SGD, weight decay": (SGD, torch.optim.SGD, {"lr": 0.1, "weight_decay": 0.05}),
    "SGD, momentum": (SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
    "SGD, momentum, weight decay": (SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.8, "weight_decay": 0.05}),
    "SGD, Nesterov": (SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    "SGD, Nesterov, weight decay": (
        SGD,
        torch.optim.SGD,
        {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.05},
    ),
    "RMSprop": (RMSprop, torch.optim.RMSprop, {}),
    "RMSprop, alpha, eps": (RMSprop, torch.optim.RMSprop, {"lr": 0.02, "alpha": 0.8, "eps": 1e-3}),
    "RMSprop, weight decay": (RMSprop, torch.optim.RMSprop, {"lr": 0.02, "weight_decay": 0.05}),
    "Adam": (Adam, torch.optim.Adam, {}),
    "Adam, betas, eps": (Adam, torch.optim.Adam, {"lr": 0.02, "betas": (0.7, 0.9), "eps": 1e-3}),
    "Adam, weight decay": (Adam, torch.optim.Adam, {"lr": 0.02, "weight_decay": 0.05}),
    "AdamW": (AdamW, torch.optim.AdamW, {}),
    "AdamW, betas, eps, decay": (
        AdamW,
        torch.optim.AdamW,
        {"lr": 0.02, "betas": (0.7, 0.9), "eps": 1e-3, "weight_decay": 0.2},
    ),
}


@seeds
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_take_the_same_ten_steps(name, seed):
    kind, torch_kind, options = OPTIMIZERS[name]
    ours, theirs = networks(seed)
    optimizer, torch_optimizer = kind(ours.parameters(), **options), torch_kind(theirs.parameters(), **options)
    loss, torch_loss = CrossEntropyLoss(), torch.nn.CrossEntropyLoss()
    start = np.concatenate([data.ravel() for data, _ in ours_in_torch_form(ours)])
    rng = np.random.default_rng(seed)
    for _ in range(10):
        x, classes = rng.normal(size=(8, 4)), rng.integers(0, 3, 8)
        optimizer.zero_grad()
        loss(ours(x), classes)
        ours.backward(loss.backward())
        optimizer.step()
        torch_optimizer.zero_grad()
        torch_loss(theirs(torch.tensor(x)), torch.tensor(classes)).backward()
        torch_optimizer.step()
        for (data, _), parameter in zip(ours_in_torch_form(ours), theirs.parameters(), strict=True):
            np.testing.assert_allclose(data, parameter.detach().numpy(), rtol=0, atol=1e-10)
    moved = np.concatenate([data.ravel() for data, _ in ours_in_torch_form(ours)]) - start
    assert np.abs(moved).max() > 1e-3


@pytest.mark.parametrize("large", [2e19, 1e20, 1.5e20])
@pytest.mark.parametrize("name", ["RMSprop", "Adam", "AdamW"])
def test_optimizers_tolerate_the_same_gradient_sizes_as_pytorch(name, large):
    kind, torch_kind, options = OPTIMIZERS[name]
    ours, theirs = Parameter(np.ones(3, np.float32)), torch.nn.Parameter(torch.ones(3))
    optimizer, torch_optimizer = kind([ours], **options), torch_kind([theirs], **options)
    for grad in ([1, large, -large], [1, 1, 1], [1, 1, 1]):
        ours.grad, theirs.grad = np.array(grad, np.float32), torch.tensor(grad, dtype=torch.float32)
        optimizer.step()
        torch_optimizer.step()
        np.testing.assert_allclose(ours.data, theirs.detach().numpy(), rtol=1e-6)


@seeds
def test_training_with_batch_norm_clipping_and_schedule_matches(seed):
    """Everything together: ten epochs of three batches, compared after each step."""
    (first, tanh, second), theirs = networks(seed)
    rng = np.random.default_rng(seed)
    norm, torch_norm = batch_norms(rng, 6)
    ours = Sequential(first, norm, tanh, second)
    theirs = torch.nn.Sequential(theirs[0], torch_norm, theirs[1], theirs[2])
    optimizer, torch_optimizer = (
        SGD(ours.parameters(), lr=0.5, momentum=0.9),
        torch.optim.SGD(theirs.parameters(), lr=0.5, momentum=0.9),
    )
    schedule = CosineLR(optimizer, 10, eta_min=0.01)
    torch_schedule = torch.optim.lr_scheduler.CosineAnnealingLR(torch_optimizer, 10, eta_min=0.01)
    loss, torch_loss, norms = CrossEntropyLoss(), torch.nn.CrossEntropyLoss(), []
    for _ in range(10):
        for _ in range(3):
            x, classes = rng.normal(1, 2, size=(8, 4)), rng.integers(0, 3, 8)
            optimizer.zero_grad()
            loss(ours(x), classes)
            ours.backward(loss.backward())
            norms.append(clip_grad_norm(ours.parameters(), 0.5))
            optimizer.step()
            torch_optimizer.zero_grad()
            torch_loss(theirs(torch.tensor(x)), torch.tensor(classes)).backward()
            expected = torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.5).item()
            torch_optimizer.step()
            assert norms[-1] == pytest.approx(expected, rel=1e-6)
            for (data, _), parameter in zip(ours_in_torch_form(ours), theirs.parameters(), strict=True):
                np.testing.assert_allclose(data, parameter.detach().numpy(), rtol=0, atol=1e-8)
        schedule.step()
        torch_schedule.step()
    check_running_statistics(norm, torch_norm)
    assert min(norms) < 0.5 < max(norms)  # Some gradients were clipped and some were not.
    x = rng.normal(1, 2, size=(5, 4))
    np.testing.assert_allclose(ours.eval()(x), theirs.eval()(torch.tensor(x)).detach().numpy(), rtol=0, atol=1e-7)


# Clipping


@seeds
@pytest.mark.parametrize("max_norm", [1e-3, 0.5, 1e3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_clip_grad_norm_matches(dtype, max_norm, seed):
    rng = np.random.default_rng(seed)
    ours, theirs = networks(seed)
    ours, theirs = ours.astype(dtype), theirs.to(torch.float32 if dtype == np.float32 else torch.float64)
    for parameter, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        parameter.grad[...] = rng.normal(size=parameter.grad.shape)
        other.grad = torch.tensor(parameter.grad.T.copy())
    expected = torch.nn.utils.clip_grad_norm_(theirs.parameters(), max_norm).item()
    assert clip_grad_norm(ours.parameters(), max_norm) == pytest.approx(expected, rel=1e-6)
    for (_, grad), other in zip(ours_in_torch_form(ours), theirs.parameters(), strict=True):
        assert grad.dtype == dtype
        check_equal(grad, other.grad)


# Schedules


def rates(kind, torch_kind, epochs, by_hand=None, **options):
    """Return both rates after each epoch; `by_hand` overrides them before some of the steps."""
    ours, theirs = networks(0)
    optimizer, torch_optimizer = SGD(ours.parameters(), lr=0.3), torch.optim.SGD(theirs.parameters(), lr=0.3)
    schedules, found = (kind(optimizer, **options), torch_kind(torch_optimizer, **options)), []
    for epoch in range(epochs):
        if by_hand and epoch in by_hand:
            optimizer.lr = torch_optimizer.param_groups[0]["lr"] = by_hand[epoch]
        torch_optimizer.step()  # PyTorch warns if a schedule steps before its optimizer.
        for schedule in schedules:
            schedule.step()
        found.append((optimizer.lr, torch_optimizer.param_groups[0]["lr"]))
    return tuple(zip(*found, strict=True))


@pytest.mark.parametrize("options", [{"step_size": 1}, {"step_size": 7, "gamma": 0.5}, {"step_size": 3, "gamma": 1.1}])
@pytest.mark.parametrize("by_hand", [None, {5: 0.2, 14: 0.7}])
def test_step_lr_matches(options, by_hand):
    ours, theirs = rates(StepLR, torch.optim.lr_scheduler.StepLR, 40, by_hand, **options)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@pytest.mark.parametrize("T_max", [1, 2, 3, 10])
@pytest.mark.parametrize("eta_min", [0.0, 0.01, 0.5])
def test_cosine_lr_matches_over_more_than_two_periods(T_max, eta_min):
    kind = torch.optim.lr_scheduler.CosineAnnealingLR
    ours, theirs = rates(CosineLR, kind, 5 * T_max + 3, T_max=T_max, eta_min=eta_min)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


def test_cosine_lr_follows_the_closed_form_even_after_a_rate_set_by_hand():
    # Here the two differ: PyTorch's recursion continues from the new rate and climbs far above the first.
    kind, by_hand = torch.optim.lr_scheduler.CosineAnnealingLR, {32: 0.1}
    ours, theirs = rates(CosineLR, kind, 60, by_hand, T_max=30)
    undisturbed, closed_form = rates(CosineLR, kind, 60, T_max=30)
    assert ours == undisturbed
    np.testing.assert_allclose(ours, closed_form, rtol=0, atol=1e-12)
    assert max(theirs) > 1 > 0.3 >= max(ours)
