"""Optimizers: one step by hand, what they share, and resuming. That whole runs equal PyTorch's is tested beside it."""

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
    Parameter,
    RMSprop,
    Sequential,
    Tanh,
    clip_grad_norm,
)

ALL = {
    "SGD": lambda params: SGD(params, lr=0.1),
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
    """Take steps on drawn batches, the same for the same seed."""
    rng, loss = np.random.default_rng(seed), MSELoss()
    for _ in range(steps):
        x, y = rng.normal(size=(8, 3)), rng.normal(size=(8, 2))
        optimizer.zero_grad()
        loss(model(x), y)
        model.backward(loss.backward())
        optimizer.step()


def weights(model):
    return np.concatenate([parameter.data.ravel() for parameter in model.parameters()])


# Gradients at the edge of float32

with_running_squares = pytest.mark.parametrize("optimizer", [RMSprop, Adam, AdamW])


def gradients_of(*values):
    """Return two parameters of float32, the second with these gradients."""
    other, parameter = Parameter(np.ones((2, 2), np.float32)), Parameter(np.ones(len(values), np.float32))
    parameter.grad = np.array(values, np.float32)
    return [other, parameter]


@pytest.mark.parametrize("large", [2e19, 1e20])
@with_running_squares
def test_a_weight_moves_on_after_a_gradient_whose_bare_square_would_overflow(optimizer, large):
    _, parameter = params = gradients_of(1, large)
    made = optimizer(params)
    made.step()
    after_one = parameter.data.copy()
    made.step()
    assert (after_one < 1).all()
    assert (parameter.data < after_one).all()
    assert list(made.not_finite()) == []


@with_running_squares
def test_a_weight_that_can_never_move_again_is_named(optimizer):
    with pytest.warns(DivergenceWarning, match=r"square_average of params\[1\], Parameter.* never changes"):
        optimizer(params := gradients_of(1, 1e25, 1)).step()
    made = optimizer(params)
    with np.errstate(over="ignore"):  # As in fit, which looks for itself.
        made.step()
    assert list(made.not_finite()) == [(1, "square_average")]


def test_a_step_that_overflows_names_the_weights():
    made = SGD(gradients_of(1, 3e38), lr=10)
    with pytest.warns(DivergenceWarning, match=r"no longer finite: the data of params\[1\]"):
        made.step()


def test_an_overflow_that_spoils_nothing_is_no_warning():
    params = gradients_of(1, 1)
    made = RMSprop(params, lr=1e30)
    with warnings.catch_warnings(action="error"):
        made.step()


# One or two steps by hand


def test_sgd_goes_down_the_gradient():
    parameter = one_parameter([1.0, 2.0], [0.5, -1.0])
    SGD([parameter], lr=0.1).step()
    np.testing.assert_allclose(parameter.data, [0.95, 2.1])


def test_sgd_momentum_adds_up_velocity():
    parameter = one_parameter([1.0], [1.0])
    optimizer = SGD([parameter], lr=0.1, momentum=0.5)
    optimizer.step()
    np.testing.assert_allclose(parameter.data, [0.9])
    optimizer.step()
    np.testing.assert_allclose(parameter.data, [0.9 - 0.1 * 1.5])


def test_sgd_nesterov_looks_ahead():
    parameter = one_parameter([1.0], [1.0])
    SGD([parameter], lr=0.1, momentum=0.5, nesterov=True).step()
    np.testing.assert_allclose(parameter.data, [1 - 0.1 * 1.5])


def test_sgd_weight_decay_pulls_towards_zero():
    parameter = one_parameter([1.0, -2.0], [0.0, 0.0])
    SGD([parameter], lr=0.1, weight_decay=0.5).step()
    np.testing.assert_allclose(parameter.data, [0.95, -1.9])


def test_rmsprop_divides_by_the_root_mean_square():
    parameter = one_parameter([1.0], [2.0])
    RMSprop([parameter], lr=0.1, alpha=0.9, eps=0.5).step()
    np.testing.assert_allclose(parameter.data, [1 - 0.1 * 2 / (np.sqrt(0.1 * 4) + 0.5)])


def test_first_step_of_adam_is_the_learning_rate_in_every_coordinate():
    parameter = one_parameter([1.0, 1.0, 1.0], [1e-3, -5.0, 2e4])
    Adam([parameter], lr=0.1).step()
    np.testing.assert_allclose(parameter.data, [0.9, 1.1, 0.9], rtol=1e-5)


def test_adam_follows_its_published_form():
    parameter = one_parameter([1.0], [0.0])
    optimizer = Adam([parameter], lr=0.1, betas=(0.8, 0.9), eps=1e-3)
    theta, m, v = 1.0, 0.0, 0.0
    for t, g in enumerate([2.0, -1.0, 0.5], start=1):
        m, v = 0.8 * m + 0.2 * g, 0.9 * v + 0.1 * g * g
        theta -= 0.1 * (m / (1 - 0.8**t)) / (np.sqrt(v / (1 - 0.9**t)) + 1e-3)
        parameter.grad = np.array([g])
        optimizer.step()
        np.testing.assert_allclose(parameter.data, [theta], rtol=1e-13)


def test_adamw_decays_the_weights_and_not_the_gradient():
    decoupled, coupled = one_parameter([1.0], [0.0]), one_parameter([1.0], [0.0])
    AdamW([decoupled], lr=0.1, weight_decay=0.5).step()
    Adam([coupled], lr=0.1, weight_decay=0.5).step()
    np.testing.assert_allclose(decoupled.data, [0.95])
    np.testing.assert_allclose(coupled.data, [0.9], rtol=1e-6)


# What all of them share


@every_optimizer
def test_training_lowers_the_loss(make, rng):
    model, loss = network(), MSELoss()
    x = rng.normal(size=(16, 3))
    y = np.tanh(x[:, :2])
    before, optimizer = loss(model(x), y), make(model.parameters())
    for _ in range(50):
        optimizer.zero_grad()
        loss(model(x), y)
        model.backward(loss.backward())
        optimizer.step()
    assert loss(model(x), y) < 0.5 * before


@every_optimizer
def test_step_leaves_the_gradient_alone(make):
    parameter = one_parameter([1.0, 2.0], [0.5, -1.0])
    optimizer = make([parameter])
    optimizer.step()
    optimizer.step()
    np.testing.assert_array_equal(parameter.grad, [0.5, -1.0])


@every_optimizer
def test_making_an_optimizer_changes_no_value(make, rng):
    model = network()
    for parameter in model.parameters():
        parameter.grad = rng.normal(size=parameter.data.shape)
    before = [(parameter.data.copy(), parameter.grad.copy()) for parameter in model.parameters()]
    make(model.parameters())
    for parameter, (data, grad) in zip(model.parameters(), before, strict=True):
        np.testing.assert_array_equal(parameter.data, data)
        np.testing.assert_array_equal(parameter.grad, grad)


@every_optimizer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_of_the_parameters_is_kept(make, dtype):
    model = network(dtype)
    train(model, make(model.parameters()), 3)
    assert {parameter.data.dtype for parameter in model.parameters()} == {np.dtype(dtype)}
    assert {parameter.grad.dtype for parameter in model.parameters()} == {np.dtype(dtype)}


@pytest.mark.parametrize("through", ["parameter", "module", "optimizer"])
def test_zero_grad_reads_as_zeros_wherever_it_is_called(through, rng):
    model = network()
    optimizer = SGD(model.parameters(), lr=1.0)
    model(rng.normal(size=(4, 3)))
    model.backward(rng.normal(size=(4, 2)))
    before = weights(model)
    if through == "parameter":
        for parameter in model.parameters():
            parameter.zero_grad()
    elif through == "module":
        model.zero_grad()
    else:
        optimizer.zero_grad()
    # The memory is zeroed late; a step must see zeros all the same.
    optimizer.step()
    np.testing.assert_array_equal(weights(model), before)
    assert not any(parameter.grad.any() for parameter in model.parameters())


@every_optimizer
def test_gradients_left_from_before_zero_grad_do_not_come_back(make, rng):
    clean, stale = network(), network()
    first, second = make(clean.parameters()), make(stale.parameters())
    stale(rng.normal(size=(4, 3)))
    stale.backward(rng.normal(size=(4, 2)))
    train(clean, first, 3)
    train(stale, second, 3)
    np.testing.assert_array_equal(weights(clean), weights(stale))


@every_optimizer
def test_rebound_data_is_trained(make):
    model, other = network(), network()
    optimizer, same = make(model.parameters()), make(other.parameters())
    for parameter in model.parameters():
        parameter.data = parameter.data.copy()
    train(model, optimizer, 3)
    train(other, same, 3)
    np.testing.assert_array_equal(weights(model), weights(other))


def test_rebound_gradient_is_used_whatever_its_dtype():
    parameter = Parameter(np.ones(2, dtype=np.float32))
    optimizer = Adam([parameter], lr=0.1)
    parameter.grad = np.array([1, -1])
    optimizer.step()
    np.testing.assert_allclose(parameter.data, [0.9, 1.1], rtol=1e-6)
    assert parameter.data.dtype == parameter.grad.dtype == np.float32


def test_second_optimizer_over_the_same_parameters_trains_too():
    parameter = one_parameter([1.0], [1.0])
    first, second = SGD([parameter], lr=0.1), SGD([parameter], lr=0.01)
    for optimizer, expected in ((first, 0.9), (second, 0.89), (first, 0.79), (second, 0.78)):
        optimizer.step()
        np.testing.assert_allclose(parameter.data, [expected])


def test_two_optimizers_over_parts_and_one_over_the_whole_live_together():
    model = network()
    whole, part = SGD(model.parameters(), lr=1.0), SGD(model[0].parameters(), lr=1.0)
    for parameter in model.parameters():
        parameter.grad = np.ones_like(parameter.data)
    before = model.state_dict()
    part.step()
    whole.step()
    part.step()
    np.testing.assert_allclose(model.state_dict()["0.bias"], before["0.bias"] - 3)
    np.testing.assert_allclose(model.state_dict()["2.bias"], before["2.bias"] - 1)


def test_running_averages_survive_a_rebinding():
    parameter = one_parameter([1.0], [1.0])
    optimizer = SGD([parameter], lr=0.1, momentum=0.5)
    optimizer.step()
    parameter.data = parameter.data.copy()
    optimizer.step()
    np.testing.assert_allclose(parameter.data, [0.9 - 0.1 * 1.5])


def test_copied_model_and_optimizer_go_on_apart():
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
def test_parameter_given_twice_is_stepped_once(make):
    once, twice = one_parameter([1.0], [1.0]), one_parameter([1.0], [1.0])
    make([once]).step()
    optimizer = make([twice, twice])
    assert len(optimizer.params) == 1
    optimizer.step()
    np.testing.assert_array_equal(once.data, twice.data)


def test_parameters_may_come_from_a_generator():
    model = network()
    optimizer = SGD((parameter for parameter in model.parameters()), lr=0.1)
    assert len(optimizer.params) == 4


def test_scalar_and_empty_parameters_are_allowed():
    scalar, empty = one_parameter(3.0, 1.0), one_parameter(np.zeros((0, 2)), np.zeros((0, 2)))
    SGD([scalar, empty], lr=1.0).step()
    assert scalar.data.shape == ()
    assert scalar.data == 2


def test_learning_rate_may_be_changed_between_steps():
    parameter = one_parameter([1.0], [1.0])
    optimizer = SGD([parameter], lr=0.1)
    optimizer.lr = 0.5
    optimizer.step()
    np.testing.assert_allclose(parameter.data, [0.5])


@every_optimizer
def test_learning_rate_zero_changes_nothing(make):
    model = network()
    optimizer, before = make(model.parameters()), weights(model)
    optimizer.lr = 0.0
    train(model, optimizer, 3)
    np.testing.assert_array_equal(weights(model), before)


def test_astype_after_making_the_optimizer_is_an_error():
    model = network(np.float32)
    optimizer = Adam(model.parameters())
    model.astype(np.float64)
    with pytest.raises(ValueError, match="changed size or dtype after this optimizer was made; make the optimizer"):
        optimizer.step()


def test_another_size_after_making_the_optimizer_is_an_error():
    parameter = one_parameter([1.0], [1.0])
    optimizer = SGD([parameter], lr=0.1)
    parameter.data, parameter.grad = np.ones(2), np.ones(2)
    with pytest.raises(ValueError, match="changed size or dtype after this optimizer was made"):
        optimizer.step()


# clip_grad_norm


def test_gradient_above_the_norm_is_shortened_and_keeps_its_direction():
    first, second = one_parameter([1.0, 2.0], [3.0, 0.0]), one_parameter([[1.0]], [[-4.0]])
    assert clip_grad_norm([first, second], 1.0) == 5
    np.testing.assert_allclose(first.grad, [0.6, 0], rtol=1e-6)
    np.testing.assert_allclose(second.grad, [[-0.8]], rtol=1e-6)
    np.testing.assert_array_equal(first.data, [1, 2])


@pytest.mark.parametrize("max_norm", [5.01, 100])
def test_gradient_below_the_norm_is_left_alone(max_norm):
    parameter = one_parameter([1.0, 2.0], [3.0, -4.0])
    assert clip_grad_norm([parameter], max_norm) == 5
    np.testing.assert_array_equal(parameter.grad, [3, -4])


def test_clipping_sees_zeros_after_zero_grad_and_not_what_was_there():
    first, second = one_parameter([1.0], [100.0]), one_parameter([1.0], [3.0])
    first.zero_grad()
    assert clip_grad_norm([first, second], 1.0) == 3
    np.testing.assert_array_equal(first.grad, 0)
    assert clip_grad_norm([first], 1.0) == 0
    first.add_product_to_grad(np.ones((1, 1)), np.array([2.0]))
    assert clip_grad_norm([first], 5.0) == 2


@every_optimizer
def test_step_goes_by_the_clipped_gradient(make):
    clipped, scaled = network(), network()
    first, second = make(clipped.parameters()), make(scaled.parameters())
    rng = np.random.default_rng(0)
    for _ in range(3):
        gradients = [rng.normal(size=parameter.data.shape) for parameter in clipped.parameters()]
        norm = np.sqrt(sum((gradient**2).sum() for gradient in gradients))
        for ours, other, gradient in zip(clipped.parameters(), scaled.parameters(), gradients, strict=True):
            ours.grad[...] = gradient
            other.grad[...] = gradient * (0.5 / (norm + 1e-6))
        assert clip_grad_norm(first.params, 0.5) == pytest.approx(norm, rel=1e-14)
        first.step()
        second.step()
    np.testing.assert_allclose(weights(clipped), weights(scaled), rtol=1e-12)


def test_parameter_given_twice_is_counted_and_clipped_once():
    parameter = one_parameter([1.0, 2.0], [3.0, 4.0])
    assert clip_grad_norm(iter([parameter, parameter]), 1.0) == 5
    np.testing.assert_allclose(parameter.grad, [0.6, 0.8], rtol=1e-6)


def test_norm_of_large_float32_gradients_does_not_overflow():
    parameter = one_parameter(np.ones(2, np.float32), np.array([3e30, 4e30], np.float32))
    assert clip_grad_norm([parameter], 1.0) == pytest.approx(5e30)
    np.testing.assert_allclose(parameter.grad, [0.6, 0.8], rtol=1e-6)
    assert parameter.grad.dtype == np.float32


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e200])
def test_gradient_without_a_finite_norm_is_returned_and_left_alone(bad):
    parameter = one_parameter([1.0, 2.0], [3.0, bad])
    assert not np.isfinite(clip_grad_norm([parameter], 1.0))
    np.testing.assert_array_equal(parameter.grad, [3, bad])


def test_clipping_checks_its_arguments():
    parameter = one_parameter([1.0], [1.0])
    for bad in (0, -1, np.nan, np.inf):
        with pytest.raises(ValueError, match="max_norm must be a finite number above 0; got"):
            clip_grad_norm([parameter], bad)
    with pytest.raises(ValueError, match="params must hold at least one Parameter; got none"):
        clip_grad_norm([], 1.0)
    with pytest.raises(TypeError, match=r"params\[0\] must be a Parameter, as model.parameters\(\) gives; got Linear"):
        clip_grad_norm(network(), 1.0)


# Resuming


@every_optimizer
def test_resumed_run_continues_bit_by_bit(make):
    straight = network()
    optimizer = make(straight.parameters())
    train(straight, optimizer, 4)
    weights_then, state_then = straight.state_dict(), optimizer.state_dict()
    train(straight, optimizer, 4, seed=1)

    resumed = network()
    train(resumed, make(resumed.parameters()), 1, seed=9)
    resumed.load_state_dict(weights_then)
    new_optimizer = make(resumed.parameters())
    new_optimizer.load_state_dict(state_then)
    train(resumed, new_optimizer, 4, seed=1)
    np.testing.assert_array_equal(weights(resumed), weights(straight))
    assert new_optimizer.steps == optimizer.steps == 8


def test_resuming_takes_over_the_learning_rate():
    optimizer, other = Adam(network().parameters(), lr=0.1), Adam(network().parameters())
    other.load_state_dict(optimizer.state_dict())
    assert other.lr == 0.1


@every_optimizer
def test_state_dict_is_a_copy(make):
    model = network()
    optimizer = make(model.parameters())
    train(model, optimizer, 2)
    state = optimizer.state_dict()
    kept = copy.deepcopy(state)
    train(model, optimizer, 2)
    for name, value in kept.items():
        np.testing.assert_array_equal(state[name], value)


def check_nothing_changes(optimizer, state, error, match):
    before = optimizer.state_dict()
    with pytest.raises(error, match=match):
        optimizer.load_state_dict(state)
    for name, value in optimizer.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_state_of_another_optimizer_is_refused():
    state = SGD(network().parameters(), lr=0.5, momentum=0.9).state_dict()
    match = r"state must hold \['gradient_average', 'lr', 'square_average', 'steps'\] for Adam; got \['lr', .*velocity"
    check_nothing_changes(Adam(network().parameters()), state, KeyError, match)


def test_state_of_another_size_is_refused_and_changes_nothing():
    state = Adam(Linear(2, 2, rng=0).parameters(), lr=0.5).state_dict()
    match = r"state\['gradient_average'\] must have the shape of all parameters together, \(26,\); got \(6,\)"
    check_nothing_changes(Adam(network().parameters()), state, ValueError, match)


def test_nan_in_a_state_is_refused_and_changes_nothing():
    optimizer = Adam(network().parameters())
    state = optimizer.state_dict() | {"lr": 0.5}
    state["square_average"][3] = np.nan
    check_nothing_changes(optimizer, state, ValueError, r"state\['square_average'\] must be finite .* at index \(3,\)")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("lr", np.nan, r"state\['lr'\] must be a finite number at least 0; got nan"),
        ("lr", -0.1, r"state\['lr'\] must be a finite number at least 0; got -0\.1"),
        ("steps", -1, r"state\['steps'\] must be at least 0; got -1"),
    ],
)
def test_number_out_of_range_in_a_state_is_refused_and_changes_nothing(name, value, message):
    optimizer = Adam(network().parameters())
    state = {key: entry + 1 for key, entry in optimizer.state_dict().items()} | {name: value}
    check_nothing_changes(optimizer, state, ValueError, message)


# Errors


@every_optimizer
def test_no_parameters_is_an_error(make):
    with pytest.raises(ValueError, match="params must hold at least one Parameter; got none"):
        make([])


def test_module_in_place_of_its_parameters_is_an_error():
    with pytest.raises(TypeError, match=r"params\[0\] must be a Parameter, as model.parameters\(\) gives; got Linear"):
        SGD(network(), lr=0.1)


@pytest.mark.parametrize("params", [None, Linear(2, 1, rng=0), Parameter(np.ones(2))])
def test_what_cannot_be_gone_through_is_an_error(params):
    message = r"params must be a list of Parameters, as model.parameters\(\) gives; got (None|Linear|Parameter)"
    with pytest.raises(TypeError, match=message):
        SGD(params, lr=0.1)
    with pytest.raises(TypeError, match=message):
        clip_grad_norm(params, 1.0)


def test_error_in_a_generator_of_parameters_comes_through():
    with pytest.raises(TypeError, match="unsupported operand"):
        SGD((1 + name for name in "ab"), lr=0.1)


def test_mixed_dtypes_are_an_error():
    with pytest.raises(ValueError, match=r"params must share one dtype; got \['float32', 'float64'\]; model.astype"):
        SGD([Parameter(np.ones(2)), Parameter([1])], lr=0.1)


@pytest.mark.parametrize("make", [SGD, RMSprop, Adam, AdamW])
def test_learning_rate_and_decay_must_be_numbers_from_zero_on(make):
    params = network().parameters()
    for bad in (-0.1, np.nan, np.inf):
        with pytest.raises(ValueError, match="lr must be a finite number at least 0; got"):
            make(params, lr=bad)
        with pytest.raises(ValueError, match="weight_decay must be a finite number at least 0; got"):
            make(params, lr=0.1, weight_decay=bad)
    with pytest.raises(TypeError, match=r"lr must be a number; got '0\.1'"):
        make(params, lr="0.1")


def test_other_hyperparameters_are_checked_by_name():
    params = network().parameters()
    with pytest.raises(ValueError, match="momentum must be a finite number at least 0 and below 1; got 1"):
        SGD(params, lr=0.1, momentum=1)
    with pytest.raises(ValueError, match="nesterov=True needs a momentum above 0; got momentum=0"):
        SGD(params, lr=0.1, nesterov=True)
    with pytest.raises(ValueError, match=r"alpha must be a finite number at least 0 and below 1; got 1\.5"):
        RMSprop(params, alpha=1.5)
    with pytest.raises(ValueError, match="eps must be a finite number above 0; got 0"):
        RMSprop(params, eps=0)
    with pytest.raises(ValueError, match=r"betas\[1\] must be a finite number at least 0 and below 1; got 1"):
        Adam(params, betas=(0.9, 1))
    with pytest.raises(ValueError, match=r"betas must be a pair of numbers; got \(0\.9,\)"):
        AdamW(params, betas=(0.9,))
    with pytest.raises(TypeError, match=r"betas must be a pair of numbers; got 0\.9"):
        Adam(params, betas=0.9)
    with pytest.raises(ValueError, match="eps must be a finite number above 0; got -1"):
        Adam(params, eps=-1)


def test_optimizers_show_their_learning_rate():
    assert repr(Adam(network().parameters(), lr=0.02)) == "Adam(lr=0.02)"
