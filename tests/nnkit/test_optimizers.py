"""Optimizers: steps by hand, shared behaviour, and resuming. test_torch_oracle compares whole runs with PyTorch."""

import copy
import warnings

import numpy as np
import pytest

from nnkit import (
    SGD,
    Adam,
    AdamW,
    DivergenceWarning,
    Linear,
    MSELoss,
    Optimizer,
    Parameter,
    RMSprop,
    Sequential,
    Tanh,
    clip_grad_norm,
    optimizers,
)

ALL = {
    "SGD": lambda params: SGD(params, lr=0.1),
    "SGD, weight decay": lambda params: SGD(params, lr=0.1, weight_decay=0.05),
    "momentum": lambda params: SGD(params, lr=0.1, momentum=0.9),
    "Nesterov": lambda params: SGD(params, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "RMSprop": lambda params: RMSprop(params, lr=0.01, weight_decay=0.01),
    "Adam": lambda params: Adam(params, lr=0.01, weight_decay=0.01),
    "AdamW": lambda params: AdamW(params, lr=0.01),
}
every_optimizer = pytest.mark.parametrize("make", ALL.values(), ids=ALL)


def one_parameter(value, grad):
    parameter = Parameter(np.array(value))
    parameter.grad = np.array(grad)
    return parameter


def network(dtype=np.float64):
    return Sequential(Linear(3, 4, rng=1, dtype=dtype), Tanh(), Linear(4, 2, rng=2, dtype=dtype))


def train(model, optimizer, steps, seed=0):
    """Take steps on random batches, reproducible by seed; return the losses."""
    rng, loss, losses = np.random.default_rng(seed), MSELoss(), []
    for _ in range(steps):
        x = rng.normal(size=(8, 3))
        optimizer.zero_grad()
        losses.append(loss(model(x), np.tanh(x[:, :2])))
        model.backward(loss.backward())
        optimizer.step()
    return losses


def weights(model):
    return np.concatenate([parameter.data.ravel() for parameter in model.parameters()])


# One or two steps by hand


@pytest.mark.parametrize(
    ("make", "value", "grad", "expected"),
    [
        (lambda params: SGD(params, 0.1), [1.0, 2.0], [0.5, -1.0], [0.95, 2.1]),
        (lambda params: SGD(params, 0.1, momentum=0.5), [1.0], [1.0], [0.9]),
        (lambda params: SGD(params, 0.1, momentum=0.5, nesterov=True), [1.0], [1.0], [1 - 0.1 * 1.5]),
        (lambda params: SGD(params, 0.1, weight_decay=0.5), [1.0, -2.0], [0.0, 0.0], [0.95, -1.9]),
        (
            lambda params: RMSprop(params, 0.1, alpha=0.9, eps=0.5),
            [1.0],
            [2.0],
            [1 - 0.1 * 2 / (np.sqrt(0.1 * 4) + 0.5)],
        ),
        (lambda params: Adam(params, 0.1), [1.0, 1.0, 1.0], [1e-3, -5.0, 2e4], [0.9, 1.1, 0.9]),
        (lambda params: Adam(params, 0.1, weight_decay=0.5), [1.0], [0.0], [0.9]),
        (lambda params: AdamW(params, 0.1, weight_decay=0.5), [1.0], [0.0], [0.95]),
    ],
    ids=[
        "SGD", "momentum", "Nesterov", "SGD, weight decay", "RMSprop", "Adam", "Adam, weight decay",
        "AdamW, weight decay",
    ],
)  # fmt: skip
def test_first_step_matches_a_hand_calculation(make, value, grad, expected):
    parameter = one_parameter(value, grad)
    make([parameter]).step()
    np.testing.assert_allclose(parameter.data, expected, rtol=1e-5)


def test_momentum_accumulates_velocity():
    parameter = one_parameter([1.0], [1.0])
    optimizer = SGD([parameter], lr=0.1, momentum=0.5)
    optimizer.step()
    parameter.data = parameter.data.copy()  # The velocity is kept.
    optimizer.step()
    np.testing.assert_allclose(parameter.data, [0.9 - 0.1 * 1.5])


def test_adam_matches_its_published_form():
    parameter = one_parameter([1.0], [0.0])
    optimizer = Adam([parameter], lr=0.1, betas=(0.8, 0.9), eps=1e-3)
    theta, m, v = 1.0, 0.0, 0.0
    for t, g in enumerate([2.0, -1.0, 0.5], start=1):
        m, v = 0.8 * m + 0.2 * g, 0.9 * v + 0.1 * g * g
        theta -= 0.1 * (m / (1 - 0.8**t)) / (np.sqrt(v / (1 - 0.9**t)) + 1e-3)
        parameter.grad = np.array([g])
        optimizer.step()
        np.testing.assert_allclose(parameter.data, [theta], rtol=1e-13)


def test_custom_optimizer_needs_only_update_and_state_names():
    class Signs(Optimizer):
        state_names = ("total",)

        def update(self, weight, grad, total):
            total += np.sign(grad)
            weight -= self.lr * total

    parameter = one_parameter([1.0, 1.0], [5.0, -0.1])
    optimizer = Signs([parameter], lr=0.1)
    optimizer.step()
    optimizer.step()
    np.testing.assert_allclose(parameter.data, [0.7, 1.3])
    np.testing.assert_equal(optimizer.state_dict(), {"lr": 0.1, "steps": 2, "total": [2, -2]})


# Shared by all optimizers


@every_optimizer
def test_training_lowers_the_loss(make):
    model = network()
    losses = train(model, make(model.parameters()), 60)
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])


@every_optimizer
def test_blockwise_step_equals_a_whole_step(make, monkeypatch):
    rng = np.random.default_rng(0)
    shapes = [(200, 200), (200,), (150, 180)]  # A little over two blocks, with boundaries inside the matrices.
    params = [Parameter(rng.normal(size=shape).astype(np.float32)) for shape in shapes]
    others = copy.deepcopy(params)
    optimizer, other, sizes = make(params), make(others), []
    update = optimizer.update
    optimizer.update = lambda weight, *args: sizes.append(weight.size) or update(weight, *args)

    for _ in range(3):
        for first, second in zip(params, others, strict=True):
            first.grad[...] = second.grad[...] = rng.normal(size=first.grad.shape)
        optimizer.step()
        with monkeypatch.context() as patch:
            patch.setattr(optimizers, "BLOCK", 10**9)
            other.step()
    total = sum(parameter.data.size for parameter in params)
    assert sizes == 3 * [optimizers.BLOCK, optimizers.BLOCK, total - 2 * optimizers.BLOCK]
    np.testing.assert_equal(optimizer.state_dict(), other.state_dict())
    for first, second in zip(params, others, strict=True):
        np.testing.assert_array_equal(first.data, second.data)


@every_optimizer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_average_of_gradients_stays_below_the_normal_numbers(make, dtype):
    # Without a gradient 0.9 m shrinks until rounding gives m back: for ever 4e-45, at 20 times the cost of a product.
    tiny = np.finfo(dtype).tiny
    parameter = one_parameter(np.ones(4, dtype=dtype), np.array([1, -1, 1e-30, 0], dtype=dtype))
    optimizer = make([parameter])
    averages = [name for name in optimizer.state_names if name not in optimizer.nonnegative_names]
    optimizer.step()
    parameter.zero_grad()
    for name in averages:
        getattr(optimizer, name)[:3] *= tiny  # as after a thousand steps without a gradient, or seven thousand
    for _ in range(40):
        optimizer.step()
    for name in averages:
        average = np.abs(getattr(optimizer, name))
        assert not np.any((average > 0) & (average < tiny)), f"{name} is {average}"


def test_small_averages_are_kept():
    parameter = one_parameter(np.zeros(2, dtype=np.float32), np.array([1e-20, -1e-25], dtype=np.float32))
    optimizer = SGD([parameter], lr=1.0, momentum=0.9)
    for _ in range(64):
        optimizer.step()
    np.testing.assert_allclose(optimizer.velocity, [1e-19, -1e-24], rtol=0.01)


def test_float16_keeps_its_averages():  # of which even the smallest normal number is large
    parameter = one_parameter(np.zeros(1, dtype=np.float16), np.array([1e-4], dtype=np.float16))
    optimizer = SGD([parameter], lr=1.0, momentum=0.5)
    for _ in range(32):
        optimizer.step()
    assert optimizer.velocity[0] > 1e-4


@every_optimizer
def test_construction_and_step_leave_gradients_alone(make, rng):
    model = network()
    for parameter in model.parameters():
        parameter.grad = rng.normal(size=parameter.data.shape)
    data, grads = weights(model), [parameter.grad.copy() for parameter in model.parameters()]
    optimizer = make(model.parameters())
    np.testing.assert_array_equal(weights(model), data)
    optimizer.step()
    optimizer.step()
    np.testing.assert_equal([parameter.grad for parameter in model.parameters()], grads)


@every_optimizer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_parameters_keep_their_dtype(make, dtype):
    model = network(dtype)
    train(model, make(model.parameters()), 3)
    arrays = [array for parameter in model.parameters() for array in (parameter.data, parameter.grad)]
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}


@pytest.mark.parametrize("through", ["parameter", "module", "optimizer"])
def test_zero_grad_works_on_optimizer_module_and_parameter(through, rng):
    model = network()
    optimizer = SGD(model.parameters(), lr=1.0)
    model(rng.normal(size=(4, 3)))
    model.backward(rng.normal(size=(4, 2)))
    before = weights(model)
    for owner in {"parameter": model.parameters(), "module": [model], "optimizer": [optimizer]}[through]:
        owner.zero_grad()
    assert not any(parameter.grad.any() for parameter in model.parameters())
    optimizer.step()
    np.testing.assert_array_equal(weights(model), before)


@every_optimizer
def test_parameters_assigned_new_arrays_keep_training(make):
    model, other = network(), network()
    optimizer, same = make(model.parameters()), make(other.parameters())
    for steps in (2, 3):
        for parameter in model.parameters():
            parameter.data, parameter.grad = parameter.data.copy(), parameter.grad.copy()
        train(model, optimizer, steps)
        train(other, same, steps)
    np.testing.assert_array_equal(weights(model), weights(other))


def test_assigned_gradient_is_used_whatever_its_dtype():
    parameter = Parameter(np.ones(2, dtype=np.float32))
    optimizer = Adam([parameter], lr=0.1)
    parameter.grad = np.array([1, -1])
    optimizer.step()
    np.testing.assert_allclose(parameter.data, [0.9, 1.1], rtol=1e-6)
    assert parameter.data.dtype == parameter.grad.dtype == np.float32


def test_two_optimizers_can_share_parameters():
    model = network()
    whole, part = SGD(model.parameters(), lr=1.0), SGD(model[0].parameters(), lr=0.1)
    for parameter in model.parameters():
        parameter.grad = np.ones_like(parameter.data)
    before = model.state_dict()
    for optimizer in (part, whole, part, whole):
        optimizer.step()
    np.testing.assert_allclose(model.state_dict()["0.bias"], before["0.bias"] - 2.2)
    np.testing.assert_allclose(model.state_dict()["2.bias"], before["2.bias"] - 2)


def test_copied_model_and_optimizer_train_independently():
    model = network()
    optimizer = Adam(model.parameters())
    train(model, optimizer, 3)
    other, its_optimizer = copy.deepcopy((model, optimizer))
    before = weights(model)
    train(other, its_optimizer, 2, seed=1)
    np.testing.assert_array_equal(weights(model), before)
    train(model, optimizer, 2, seed=1)
    np.testing.assert_array_equal(weights(model), weights(other))


@every_optimizer
def test_duplicate_parameter_is_stepped_once(make):
    once, twice = one_parameter([1.0], [1.0]), one_parameter([1.0], [1.0])
    make([once]).step()
    optimizer = make(parameter for parameter in [twice, twice])
    assert optimizer.params == [twice]
    optimizer.step()
    np.testing.assert_array_equal(once.data, twice.data)


def test_scalar_and_empty_parameters_are_allowed():
    scalar, empty = one_parameter(3.0, 1.0), one_parameter(np.zeros((0, 2)), np.zeros((0, 2)))
    SGD([scalar, empty], lr=1.0).step()
    assert scalar.data.shape == ()
    assert scalar.data == 2


@every_optimizer
def test_learning_rate_may_change_between_steps(make):
    model = network()
    optimizer, before = make(model.parameters()), weights(model)
    optimizer.lr = 0.0
    train(model, optimizer, 3)
    np.testing.assert_array_equal(weights(model), before)
    optimizer.lr = 0.1
    train(model, optimizer, 1)
    assert (weights(model) != before).all()


@pytest.mark.parametrize("change", ["dtype", "size", "shape of the gradient"])
def test_parameters_must_keep_dtype_and_size(change):
    parameter = one_parameter([1.0], [1.0])
    optimizer = SGD([parameter], lr=0.1)
    parameter.grad = np.ones(2)
    if change != "shape of the gradient":
        parameter.data = np.ones(2) if change == "size" else np.ones(1, np.float32)
    with pytest.raises(ValueError, match="params"):
        optimizer.step()


# Overflow

with_running_squares = pytest.mark.parametrize("kind", [RMSprop, Adam, AdamW])


def gradients_of(*values):
    """Return two float32 parameters, the second with these gradients."""
    other, parameter = Parameter(np.ones((2, 2), np.float32)), Parameter(np.ones(len(values), np.float32))
    parameter.grad = np.array(values, np.float32)
    return [other, parameter]


@pytest.mark.parametrize("large", [2e19, 1e20])
@with_running_squares
def test_weight_keeps_moving_if_only_the_unscaled_squared_gradient_overflows(kind, large):
    _, parameter = params = gradients_of(1, large)
    optimizer = kind(params)
    optimizer.step()
    after_one = parameter.data.copy()
    optimizer.step()
    assert (after_one < 1).all()
    assert (parameter.data < after_one).all()
    assert list(optimizer.not_finite()) == []


@with_running_squares
def test_frozen_weight_is_named_in_the_warning(kind):
    name = kind.nonnegative_names[0]
    with pytest.warns(DivergenceWarning, match=rf"the {name} of params\[1\]"):
        kind(params := gradients_of(1, 1e25, 1)).step()
    optimizer = kind(params)
    with np.errstate(over="ignore"):  # As in fit, which does its own check.
        optimizer.step()
    assert list(optimizer.not_finite()) == [(1, name)]


def test_overflowing_step_names_the_weights():
    optimizer = SGD(gradients_of(1, 3e38), lr=10)
    with pytest.warns(DivergenceWarning, match=r"the data of params\[1\]"):
        optimizer.step()


def test_harmless_overflow_does_not_warn():
    optimizer = RMSprop(gradients_of(1, 1), lr=1e30)
    with warnings.catch_warnings(action="error"):
        optimizer.step()


# clip_grad_norm


def test_gradient_above_max_norm_is_scaled_down_and_keeps_its_direction():
    first, second = one_parameter([1.0, 2.0], [3.0, 0.0]), one_parameter([[1.0]], [[-4.0]])
    assert clip_grad_norm(iter([first, second, first]), 1.0) == 5
    np.testing.assert_allclose(first.grad, [0.6, 0], rtol=1e-6)
    np.testing.assert_allclose(second.grad, [[-0.8]], rtol=1e-6)
    np.testing.assert_array_equal(first.data, [1, 2])


@pytest.mark.parametrize("max_norm", [5.01, 100])
def test_gradient_below_max_norm_is_unchanged(max_norm):
    parameter = one_parameter([1.0, 2.0], [3.0, -4.0])
    assert clip_grad_norm([parameter], max_norm) == 5
    np.testing.assert_array_equal(parameter.grad, [3, -4])


def test_clipping_acts_on_the_arrays_the_optimizer_uses():
    parameter = one_parameter([1.0, 2.0], [3.0, 4.0])
    optimizer = SGD([parameter], lr=1.0)
    clip_grad_norm(optimizer.params, 1.0)
    optimizer.step()
    np.testing.assert_allclose(parameter.data, [0.4, 1.2], rtol=1e-5)


def test_norm_of_large_float32_gradients_does_not_overflow():
    parameter = one_parameter(np.ones(2, np.float32), np.array([3e30, 4e30], np.float32))
    assert clip_grad_norm([parameter], 1.0) == pytest.approx(5e30)
    np.testing.assert_allclose(parameter.grad, [0.6, 0.8], rtol=1e-6)
    assert parameter.grad.dtype == np.float32


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e200])
def test_gradient_with_non_finite_norm_is_unchanged(bad):
    parameter = one_parameter([1.0, 2.0], [3.0, bad])
    assert not np.isfinite(clip_grad_norm([parameter], 1.0))
    np.testing.assert_array_equal(parameter.grad, [3, bad])


@pytest.mark.parametrize("max_norm", [0, -1, np.nan, np.inf])
def test_max_norm_must_be_positive(max_norm):
    with pytest.raises(ValueError, match="max_norm"):
        clip_grad_norm([one_parameter([1.0], [1.0])], max_norm)


# Resuming


@every_optimizer
def test_resumed_run_continues_bit_for_bit(make):
    straight = network()
    optimizer = make(straight.parameters())
    train(straight, optimizer, 4)
    weights_then, state_then = straight.state_dict(), optimizer.state_dict()
    train(straight, optimizer, 4, seed=1)  # Does not change the two states taken before.

    resumed = network()
    train(resumed, make(resumed.parameters()), 1, seed=9)
    resumed.load_state_dict(weights_then)
    new_optimizer = make(resumed.parameters())
    new_optimizer.lr = 7.0  # The loaded state replaces it.
    new_optimizer.load_state_dict(state_then)
    train(resumed, new_optimizer, 4, seed=1)
    np.testing.assert_array_equal(weights(resumed), weights(straight))
    assert new_optimizer.steps == optimizer.steps == 8


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda params: SGD(params, 0.1), []),
        (lambda params: SGD(params, 0.1, momentum=0.9), ["velocity"]),
        (RMSprop, ["s"]),
        (Adam, ["m", "v"]),
        (AdamW, ["m", "v"]),
    ],
)
def test_state_holds_the_running_averages_by_name(make, names):
    assert list(make(network().parameters()).state_dict()) == ["lr", "steps", *names]


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"velocity": np.zeros(26)}, KeyError, "velocity"),
        ({"m": np.zeros(6)}, ValueError, r"state\['m'\].*\(26,\)"),
        ({"v": np.r_[np.nan, np.ones(25)]}, ValueError, r"state\['v'\].*\(0,\)"),
        ({"v": np.r_[-1.0, np.ones(25)]}, ValueError, r"state\['v'\]"),
        ({"m": ["a"] * 26}, TypeError, r"state\['m'\]"),
        ({"lr": np.nan}, ValueError, r"state\['lr'\]"),
        ({"lr": -0.1}, ValueError, r"state\['lr'\]"),
        ({"steps": -1}, ValueError, r"state\['steps'\]"),
        (None, TypeError, "state"),
    ],
)
def test_invalid_state_changes_nothing(change, error, match):
    optimizer = Adam(network().parameters())
    before = optimizer.state_dict()
    state = change if change is None else {name: value + 1 for name, value in before.items()} | change
    with pytest.raises(error, match=match):
        optimizer.load_state_dict(state)
    np.testing.assert_equal(optimizer.state_dict(), before)


# Errors


@pytest.mark.parametrize("use", [*ALL.values(), lambda params: clip_grad_norm(params, 1.0)], ids=[*ALL, "clipping"])
@pytest.mark.parametrize(
    ("params", "error", "match"),
    [
        ([], ValueError, "params"),
        (network(), TypeError, r"params\[0\].*Linear"),
        (None, TypeError, "params.*None"),
        (Linear(2, 1, rng=0), TypeError, "params.*Linear"),
        (Parameter(np.ones(2)), TypeError, "params.*Parameter"),
    ],
    ids=["nothing", "network", "None", "layer", "parameter"],
)
def test_params_must_be_parameters(use, params, error, match):
    with pytest.raises(error, match=match):
        use(params)


def test_error_in_a_parameter_generator_propagates():
    with pytest.raises(TypeError, match="unsupported operand"):
        SGD((1 + name for name in "ab"), lr=0.1)


def test_mixed_dtypes_are_rejected():
    with pytest.raises(ValueError, match=r"params.*float32.*float64"):
        SGD([Parameter(np.ones(2)), Parameter([1])], lr=0.1)


@pytest.mark.parametrize("kind", [SGD, RMSprop, Adam, AdamW])
def test_learning_rate_and_weight_decay_are_validated(kind):
    params = network().parameters()
    for bad, error in ((-0.1, ValueError), (np.nan, ValueError), (np.inf, ValueError), ("0.1", TypeError)):
        with pytest.raises(error, match="lr"):
            kind(params, lr=bad)
        with pytest.raises(error, match="weight_decay"):
            kind(params, lr=0.1, weight_decay=bad)
    assert repr(kind(params, lr=0.02)) == f"{kind.__name__}(lr=0.02)"


@pytest.mark.parametrize(
    ("make", "error", "name"),
    [
        (lambda params: SGD(params, lr=0.1, momentum=1), ValueError, "momentum"),
        (lambda params: SGD(params, lr=0.1, nesterov=True), ValueError, "nesterov"),
        (lambda params: RMSprop(params, alpha=1.5), ValueError, "alpha"),
        (lambda params: RMSprop(params, eps=0), ValueError, "eps"),
        (lambda params: Adam(params, betas=(0.9, 1)), ValueError, r"betas\[1\]"),
        (lambda params: AdamW(params, betas=(0.9,)), ValueError, "betas"),
        (lambda params: Adam(params, betas=0.9), TypeError, "betas"),
        (lambda params: Adam(params, eps=-1), ValueError, "eps"),
    ],
)
def test_other_hyperparameters_are_validated(make, error, name):
    with pytest.raises(error, match=name):
        make(network().parameters())
