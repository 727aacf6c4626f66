"""The layers: values, gradients, dtypes, what differs between the modes, and the errors of their arguments."""

import copy

import numpy as np
import pytest

from nnkit import (
    SGD,
    Adam,
    Autoencoder,
    BatchNorm1d,
    Dropout,
    Flatten,
    GaussianNoise,
    Linear,
    MSELoss,
    Parameter,
    ReLU,
    Sequential,
    Tanh,
    TiedLinear,
    check_gradients,
    fit,
    predict,
)


def test_linear_is_x_times_weight_plus_bias(rng):
    layer = Linear(3, 2, rng=rng, dtype=np.float64)
    layer.bias.data[:] = [1, -2]
    x = rng.normal(size=(4, 3))
    expected = [
        [sum(row[i] * layer.weight.data[i, j] for i in range(3)) + layer.bias.data[j] for j in range(2)] for row in x
    ]
    np.testing.assert_allclose(layer(x), expected)


def test_linear_without_bias_maps_zero_to_zero():
    layer = Linear(3, 2, bias=False, rng=0)
    assert layer.bias is None
    assert len(layer.parameters()) == 1
    assert not layer(np.zeros((1, 3))).any()


def test_bias_starts_at_zero():
    assert not Linear(3, 2, rng=0).bias.data.any()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("n", [1, 5])
def test_linear_gradients_match_central_differences(n, bias, rng):
    layer = Linear(4, 3, bias=bias, rng=rng)
    report = check_gradients(layer, rng.normal(size=(n, 4)), rng=rng)
    assert report, report
    assert report.max_relative_error < 1e-6


def test_flatten_gradients_match_central_differences(rng):
    assert check_gradients(Flatten(), rng.normal(size=(2, 3, 2)), rng=rng)


def test_nested_network_gradients_match_central_differences(rng):
    model = Sequential(
        Flatten(), Sequential(Linear(6, 5, rng=rng), Tanh(), Sequential(Linear(5, 4, bias=False, rng=rng))), Tanh(),
        Linear(4, 2, rng=rng),
    )  # fmt: skip
    report = check_gradients(model, rng.normal(size=(3, 2, 3)), rng=rng)
    assert report, report
    assert [check.name for check in report.checks] == [
        "input", "1.0.weight", "1.0.bias", "1.2.0.weight", "3.weight", "3.bias",
    ]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_linear_works_in_the_dtype_of_its_parameters(dtype, rng):
    layer = Linear(3, 2, rng=rng, dtype=dtype)
    for x in (np.ones((2, 3), dtype=np.float32), np.ones((2, 3)), np.ones((2, 3), dtype=int), [[1, 2, 3], [4, 5, 6]]):
        assert layer(x).dtype == dtype
        assert layer.backward(np.ones((2, 2), dtype=dtype)).dtype == dtype
        assert layer.weight.grad.dtype == layer.bias.grad.dtype == dtype


def test_same_seed_gives_the_same_weights_in_every_dtype():
    wide, narrow = Linear(5, 4, rng=3, dtype=np.float64), Linear(5, 4, rng=3)
    np.testing.assert_array_equal(wide.weight.data.astype(np.float32), narrow.weight.data)


def test_layers_draw_one_after_the_other_from_a_shared_generator():
    rng = np.random.default_rng(0)
    first, second = Linear(5, 4, rng=rng), Linear(5, 4, rng=rng)
    assert not np.array_equal(first.weight.data, second.weight.data)


def test_global_random_state_is_not_touched():
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    Linear(5, 4)
    Linear(5, 4, rng=1)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_init_may_be_a_name_or_a_function():
    assert not Linear(3, 2, init="zeros").weight.data.any()
    layer = Linear(3, 2, init=lambda shape, rng: np.full(shape, 7))
    np.testing.assert_array_equal(layer.weight.data, 7)
    assert layer.weight.data.dtype == np.float32


def test_linear_weight_is_a_parameter_of_shape_in_by_out():
    layer = Linear(3, 2, rng=0)
    assert isinstance(layer.weight, Parameter)
    assert layer.weight.data.shape == (3, 2)
    assert layer.bias.data.shape == (2,)


def test_linear_shows_its_widths():
    assert repr(Linear(3, 2, rng=0)) == "Linear(3, 2)"
    assert repr(Linear(3, 2, bias=False, rng=0)) == "Linear(3, 2, bias=False)"


def test_widths_must_be_positive_whole_numbers():
    with pytest.raises(ValueError, match="in_features must be at least 1; got 0"):
        Linear(0, 2)
    with pytest.raises(TypeError, match=r"out_features must be a whole number; got 2\.0"):
        Linear(3, 2.0)
    with pytest.raises(TypeError, match="in_features must be a whole number; got True"):
        Linear(True, 2)


def test_dtype_must_be_floating():
    with pytest.raises(TypeError, match="dtype must be a floating-point dtype such as float32; got int32"):
        Linear(3, 2, dtype=np.int32)


def test_init_of_another_shape_is_refused():
    with pytest.raises(
        ValueError, match=r"array that init returned must have the shape of the weight, \(3, 2\); got \(2, 3\)"
    ):
        Linear(3, 2, init=lambda shape, rng: np.zeros(shape[::-1]))


@pytest.mark.parametrize("shape", [(3,), (4, 2), (2, 4, 3), ()])
def test_linear_refuses_an_input_of_another_shape(shape):
    with pytest.raises(ValueError, match=r"x must have shape \(n, 3\) to enter Linear\(3, 2\); got \("):
        Linear(3, 2, rng=0)(np.zeros(shape))


def test_linear_refuses_what_is_not_a_number():
    with pytest.raises(TypeError, match="x must hold real numbers; got dtype complex128"):
        Linear(1, 1, rng=0)(np.array([[1j]]))


def test_linear_refuses_an_upstream_gradient_of_another_shape():
    layer = Linear(3, 2, rng=0)
    layer(np.zeros((4, 3)))
    with pytest.raises(ValueError, match=r"grad must have the shape of the output, \(4, 2\); got \(4, 3\)"):
        layer.backward(np.zeros((4, 3)))
    layer(np.zeros((4, 3)))
    with pytest.raises(ValueError, match=r"grad must have the shape of the output, \(4, 2\); got \(1, 2\)"):
        layer.backward(np.zeros((1, 2)))
    assert not layer.weight.grad.any()


@pytest.mark.parametrize(
    "layer",
    [
        Linear(3, 2, rng=0),
        TiedLinear(Linear(2, 3, rng=0)),
        Flatten(),
        Dropout(rng=0),
        GaussianNoise(0.1, rng=0),
        BatchNorm1d(3),
    ],
    ids=repr,
)
def test_layers_name_themselves_where_forward_is_missing_or_used_up(layer):
    match = rf"{type(layer).__name__}\.backward has nothing to work on"
    with pytest.raises(RuntimeError, match=match):
        layer.backward(np.zeros((4, 2)))
    y = layer(np.zeros((4, 3)))
    layer.backward(np.zeros(y.shape))
    with pytest.raises(RuntimeError, match=match):
        layer.backward(np.zeros(y.shape))


def test_flatten_keeps_the_samples_apart(rng):
    x = rng.normal(size=(2, 3, 4))
    flatten = Flatten()
    y = flatten(x)
    np.testing.assert_array_equal(y, [x[0].ravel(), x[1].ravel()])
    np.testing.assert_array_equal(flatten.backward(y), x)


@pytest.mark.parametrize(("shape", "flat"), [((5,), (5, 1)), ((5, 2), (5, 2)), ((0, 2, 3), (0, 6)), ((4, 0), (4, 0))])
def test_flatten_keeps_the_number_of_samples(shape, flat):
    flatten = Flatten()
    assert flatten(np.zeros(shape)).shape == flat
    assert flatten.backward(np.zeros(flat)).shape == shape


def test_flatten_needs_an_axis_of_samples():
    with pytest.raises(ValueError, match=r"x must have at least one axis, the samples; got shape \(\)"):
        Flatten()(np.float64(3))


def test_flatten_refuses_an_upstream_gradient_of_another_shape():
    flatten = Flatten()
    flatten(np.zeros((2, 3, 4)))
    with pytest.raises(ValueError, match=r"grad must have the shape of the output, \(2, 12\); got \(2, 3, 4\)"):
        flatten.backward(np.zeros((2, 3, 4)))


# TiedLinear


def tied_network(rng, activation=Tanh):
    layer = Linear(4, 3, rng=rng)
    return Sequential(layer, activation(), TiedLinear(layer))


def test_tied_layer_is_x_times_the_transposed_weight_plus_its_own_bias(rng):
    layer = Linear(4, 3, rng=rng, dtype=np.float64)
    tied = TiedLinear(layer)
    layer.bias.data[:], tied.bias.data[:] = 7, rng.normal(size=4)
    x = rng.normal(size=(5, 3))
    expected = [
        [sum(row[j] * layer.weight.data[i, j] for j in range(3)) + tied.bias.data[i] for i in range(4)] for row in x
    ]
    np.testing.assert_allclose(tied(x), expected)


def test_tied_layer_without_bias_has_nothing_of_its_own():
    layer = Linear(4, 3, rng=0)
    tied = TiedLinear(layer, bias=False)
    assert tied.bias is None
    assert tied.parameters() == [layer.weight]
    assert not tied(np.zeros((1, 3))).any()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("n", [1, 5])
def test_tied_gradients_match_central_differences(n, bias, rng):
    report = check_gradients(TiedLinear(Linear(4, 3, rng=rng), bias=bias), rng.normal(size=(n, 3)), rng=rng)
    assert report, report
    assert report.max_relative_error < 1e-6
    report = check_gradients(tied_network(rng), rng.normal(size=(n, 4)), rng=rng)
    assert report, report
    assert [check.name for check in report.checks] == ["input", "0.weight", "0.bias", "2.bias"]


def test_gradient_that_forgets_one_of_the_two_uses_is_caught(rng):
    class Forgetful(TiedLinear):
        def backward(self, grad):
            kept = self.weight.grad.copy()
            passed = super().backward(grad)
            self.weight.grad[:] = kept
            return passed

    layer = Linear(4, 3, rng=rng)
    report = check_gradients(Sequential(layer, Tanh(), Forgetful(layer)), rng.normal(size=(2, 4)), rng=rng)
    assert [check.name for check in report.checks if not check.passed] == ["0.weight"]


def test_gradients_of_a_tied_layer_add_up_until_they_are_zeroed(rng):
    tied = TiedLinear(Linear(4, 3, rng=rng, dtype=np.float64))
    x, grad = rng.normal(size=(5, 3)), rng.normal(size=(5, 4))
    for n in (1, 2):
        tied(x)
        tied.backward(grad)
        np.testing.assert_allclose(tied.weight.grad, n * grad.T @ x)
        np.testing.assert_allclose(tied.bias.grad, n * grad.sum(axis=0))
    tied.zero_grad()
    tied(x)
    tied.backward(grad)
    np.testing.assert_allclose(tied.weight.grad, grad.T @ x)


@pytest.mark.parametrize("kind", [SGD, Adam])
def test_training_keeps_the_two_layers_tied(kind, rng):
    model, X = tied_network(rng), rng.normal(size=(30, 4)).astype(np.float32)
    first, _, tied = model
    before = first.weight.data.copy()
    optimizer = kind(model.parameters(), lr=0.05)
    assert len(optimizer.params) == 3
    history = fit(model, MSELoss(), optimizer, X, X, epochs=20, batch_size=10, rng=0)
    assert history["loss"][-1] < 0.7 * history["loss"][0]
    assert not np.array_equal(first.weight.data, before)
    assert tied.weight is first.weight
    np.testing.assert_array_equal(tied(np.eye(3)), first.weight.data.T + tied.bias.data)


def test_tied_weight_is_saved_converted_and_copied_once(rng):
    model = tied_network(rng)
    assert list(model.state_dict()) == ["0.weight", "0.bias", "2.bias"]
    other = tied_network(np.random.default_rng(9))
    other.load_state_dict(model.state_dict())
    x = rng.normal(size=(5, 4)).astype(np.float32)
    np.testing.assert_array_equal(other(x), model(x))
    for kept in (copy.deepcopy(model), model.astype(np.float64)):
        assert kept[2].weight is kept[0].weight
        np.testing.assert_allclose(kept(x), other(x), rtol=1e-5)
    assert model[2](np.ones((1, 3))).dtype == np.float64
    assert other[2].weight is not model[0].weight


def test_tied_layer_computes_no_input_gradient_where_nobody_needs_it(rng):
    tied = TiedLinear(Linear(4, 3, rng=rng))
    tied.needs_input_grad = False
    tied(np.ones((2, 3)))
    assert tied.backward(np.ones((2, 4), dtype=np.float32)) is None
    assert tied.weight.grad.any()
    assert tied.bias.grad.any()


def test_tied_layer_shows_its_widths():
    assert repr(TiedLinear(Linear(4, 3, rng=0))) == "TiedLinear(3, 4)"
    assert repr(TiedLinear(Linear(4, 3, rng=0), bias=False)) == "TiedLinear(3, 4, bias=False)"


def test_tied_layer_checks_its_arguments():
    with pytest.raises(TypeError, match=r"layer must be a Linear, whose weight is to be shared; got ReLU\(\)"):
        TiedLinear(ReLU())
    tied = TiedLinear(Linear(4, 3, rng=0))
    with pytest.raises(ValueError, match=r"x must have shape \(n, 3\) to enter TiedLinear\(3, 4\); got \(2, 4\)"):
        tied(np.zeros((2, 4)))
    tied(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"grad must have the shape of the output, \(2, 4\); got \(2, 3\)"):
        tied.backward(np.zeros((2, 3)))


# Dropout


@pytest.mark.parametrize("p", [0.0, 0.25, 0.5, 0.9])
def test_dropout_drops_its_share_and_scales_what_it_keeps(p):
    x = np.full((200, 100), 3.0)
    y = Dropout(p, rng=0)(x)
    kept = y != 0
    np.testing.assert_allclose(y[kept], 3 / (1 - p), rtol=1e-12)
    # 20,000 draws: the share lies within five standard deviations.
    assert abs(kept.mean() - (1 - p)) <= 5 * np.sqrt(p * (1 - p) / x.size)


def test_dropout_keeps_the_mean_of_the_input(rng):
    x, n = rng.normal(size=(3, 4)), 4000
    layer = Dropout(0.4, rng=0)
    mean = np.mean([layer(x) for _ in range(n)], axis=0)
    # Each output has the variance x^2 p / (1 - p) around x.
    assert (np.abs(mean - x) <= 5 * np.abs(x) * np.sqrt(0.4 / 0.6 / n)).all()


def test_dropout_in_evaluation_mode_is_the_identity_and_draws_nothing(rng):
    layer = Dropout(0.5, rng=3).eval()
    x, grad = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    np.testing.assert_array_equal(layer(x), x)
    np.testing.assert_array_equal(layer.backward(grad), grad)
    assert layer.rng.bit_generator.state == np.random.default_rng(3).bit_generator.state


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("p", [0.0, 0.3, 0.8])
def test_dropout_gradients_match_central_differences(p, training, rng):
    layer = Dropout(p, rng=1).train(training)
    assert check_gradients(layer, rng.normal(size=(4, 5)), rng=rng)
    model = Sequential(Linear(3, 5, rng=rng), Tanh(), layer, Linear(5, 2, rng=rng), Dropout(0.5, rng=rng))
    report = check_gradients(model.train(training), rng.normal(size=(4, 3)), rng=rng)
    assert report, report


def test_dropout_goes_back_through_what_it_kept_also_after_a_change_of_mode(rng):
    layer = Dropout(0.5, rng=0)
    x, grad = rng.normal(size=(4, 5)), rng.normal(size=(4, 5))
    mask = layer(x) / x
    np.testing.assert_allclose(layer.eval().backward(grad), grad * mask)
    layer(x)
    np.testing.assert_array_equal(layer.train().backward(grad), grad)


@pytest.mark.parametrize("layer", [Dropout(0.5, rng=0), GaussianNoise(0.5, rng=0, clip=(0, 1))], ids=repr)
def test_what_was_dropped_or_clipped_passes_nothing_on_of_an_infinite_gradient(layer):
    layer(np.zeros((8, 8), np.float32))
    grad = layer.backward(np.full((8, 8), np.inf, np.float32))
    assert set(np.unique(grad)) == {0, np.inf}


def test_dropout_draws_anew_in_each_forward_and_the_same_from_the_same_seed():
    x = np.ones((10, 10))
    first, second = Dropout(rng=0), Dropout(rng=np.random.default_rng(0))
    one, two = first(x), first(x)
    assert not np.array_equal(one, two)
    np.testing.assert_array_equal([one, two], [second(x), second(x)])
    assert not np.array_equal(one, Dropout(rng=1)(x))


def test_dropout_drops_the_same_entries_in_every_dtype():
    wide, narrow = Dropout(0.3, rng=0)(np.ones((9, 9))), Dropout(0.3, rng=0)(np.ones((9, 9), dtype=np.float32))
    np.testing.assert_array_equal(wide == 0, narrow == 0)


def test_dropout_layers_draw_one_after_the_other_from_a_shared_generator():
    shared = np.random.default_rng(0)
    first, second = Dropout(rng=shared), Dropout(rng=shared)
    x = np.ones((10, 10))
    assert not np.array_equal(first(x), second(x))


def test_copied_dropout_draws_on_by_itself():
    layer = Dropout(rng=0)
    other = copy.deepcopy(layer)
    x = np.ones((10, 10))
    first = layer(x)
    np.testing.assert_array_equal(other(x), first)


def test_dropout_leaves_the_global_random_state_alone():
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    Dropout()(np.ones((3, 3)))
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_dropout_has_nothing_to_train_or_to_save():
    assert Dropout().parameters() == []
    assert Dropout().state_dict() == {}
    assert repr(Dropout(0.25)) == "Dropout(0.25)"


def test_dropout_checks_its_arguments():
    for bad in (-0.1, 1, 1.5, np.nan):
        with pytest.raises(ValueError, match="p must be a finite number at least 0 and below 1; got"):
            Dropout(bad)
    with pytest.raises(TypeError, match=r"p must be a number; got '0\.5'"):
        Dropout("0.5")
    layer = Dropout(rng=0)
    for mode in (True, False):
        layer.train(mode)(np.zeros((4, 3)))
        with pytest.raises(ValueError, match=r"grad must have the shape of the output, \(4, 3\); got \(4, 1\)"):
            layer.backward(np.zeros((4, 1)))
    with pytest.raises(TypeError, match="x must hold real numbers; got dtype complex128"):
        layer(np.array([[1j]]))


# GaussianNoise


@pytest.mark.parametrize("std", [0.0, 0.2, 3.0])
def test_noise_has_mean_zero_and_the_standard_deviation_asked_for(std):
    x = np.full((200, 100), 5.0)
    noise = GaussianNoise(std, rng=0)(x) - x
    # 20,000 draws: mean and standard deviation lie within five of their own standard deviations.
    assert abs(noise.mean()) <= 5 * std / np.sqrt(x.size)
    assert abs(noise.std() - std) <= 5 * std / np.sqrt(2 * x.size) + 1e-15
    assert abs((noise > 0).mean() - 0.5) <= 5 * 0.5 / np.sqrt(x.size) or std == 0


def test_noise_is_what_the_generator_draws():
    x = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    drawn = np.random.default_rng(3).standard_normal((3, 4), dtype=np.float32)
    np.testing.assert_allclose(GaussianNoise(0.5, rng=3)(x), x + 0.5 * drawn, rtol=1e-6)
    np.testing.assert_allclose(
        GaussianNoise(0.5, np.random.default_rng(3), clip=(0, 1))(x), np.clip(x + 0.5 * drawn, 0, 1), rtol=1e-6
    )


def test_noise_is_drawn_anew_in_each_forward_and_the_same_from_the_same_seed():
    x = np.ones((10, 10))
    first, second = GaussianNoise(1, rng=0), GaussianNoise(1, rng=np.random.default_rng(0))
    one, two = first(x), first(x)
    assert not np.array_equal(one, two)
    np.testing.assert_array_equal([one, two], [second(x), second(x)])
    assert not np.array_equal(one, GaussianNoise(1, rng=1)(x))
    assert not np.array_equal(GaussianNoise(1)(x), GaussianNoise(1)(x))


def test_noise_is_the_same_in_every_dtype():
    x = np.zeros((9, 9))
    wide, narrow = GaussianNoise(0.3, rng=0)(x), GaussianNoise(0.3, rng=0)(x.astype(np.float32))
    assert wide.dtype == np.float64
    assert narrow.dtype == np.float32
    np.testing.assert_array_equal(wide, narrow)


@pytest.mark.parametrize("clip", [None, (0, 1)])
def test_noise_in_evaluation_mode_is_the_identity_and_draws_nothing(clip, rng):
    layer = GaussianNoise(0.5, rng=3, clip=clip).eval()
    x, grad = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))  # some of it outside the bounds
    np.testing.assert_array_equal(layer(x), x)
    np.testing.assert_array_equal(layer.backward(grad), grad)
    assert layer.rng.bit_generator.state == np.random.default_rng(3).bit_generator.state


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("clip", [None, (-0.5, 0.5)])
def test_noise_gradients_match_central_differences(clip, training, rng):
    layer = GaussianNoise(0.3, rng=1, clip=clip).train(training)
    assert check_gradients(layer, rng.normal(size=(6, 5)), rng=rng)
    model = Sequential(layer, Linear(5, 4, rng=rng), GaussianNoise(0.1, rng=rng, clip=clip), Linear(4, 2, rng=rng))
    report = check_gradients(model.train(training), rng.normal(size=(6, 5)), rng=rng)
    assert report, report


def test_no_gradient_passes_where_the_noisy_value_was_clipped(rng):
    layer = GaussianNoise(0.3, rng=0, clip=(0, 1))
    x, grad = rng.uniform(size=(20, 30)), rng.normal(size=(20, 30))
    y = layer(x)
    inside = (y > 0) & (y < 1)
    assert 0.1 < inside.mean() < 0.9
    np.testing.assert_array_equal(layer.backward(grad), np.where(inside, grad, 0))


def test_wrong_gradient_of_clipped_noise_is_caught(rng):
    class Unclipped(GaussianNoise):
        def backward(self, grad):
            self._take()
            return grad

    x = rng.uniform(size=(6, 5))
    assert check_gradients(GaussianNoise(0.5, rng=0, clip=(0, 1)), x)
    assert not check_gradients(Unclipped(0.5, rng=0, clip=(0, 1)), x)


def test_noise_goes_back_through_the_mode_of_its_forward(rng):
    layer = GaussianNoise(0.5, rng=0, clip=(0, 1))
    x, grad = rng.uniform(size=(10, 10)), rng.normal(size=(10, 10))
    layer(x)
    assert not np.array_equal(layer.eval().backward(grad), grad)
    layer(x)
    np.testing.assert_array_equal(layer.train().backward(grad), grad)


class Watched(Linear):
    """Keeps what came in."""

    def forward(self, x):
        self.seen = [*getattr(self, "seen", []), x.copy()]
        return super().forward(x)


def test_noisy_inputs_and_clean_targets_are_trained_on_with_new_noise_each_epoch(rng):
    X = rng.uniform(size=(6, 4)).astype(np.float32)
    targets = []

    class WatchedLoss(MSELoss):
        def value(self, pred, target):
            targets.append(target.copy())
            return super().value(pred, target)

    model = Sequential(GaussianNoise(0.2, rng=5, clip=(0, 1)), Watched(4, 4, rng=0))
    optimizer = SGD(model.parameters(), lr=0.1)
    fit(model, WatchedLoss(), optimizer, X, X, epochs=3, batch_size=6, rng=7)

    order, noise = np.random.default_rng(7), np.random.default_rng(5)
    for seen, target in zip(model[1].seen, targets, strict=True):
        clean = X[order.permutation(6)]
        np.testing.assert_array_equal(target, clean)
        drawn = noise.standard_normal((6, 4), dtype=np.float32)
        np.testing.assert_array_equal(seen, np.clip(clean + 0.2 * drawn, 0, 1))
    assert len(targets) == 3


def test_validation_sees_the_noise_that_it_is_given_and_no_other(rng):
    X = rng.uniform(size=(8, 4)).astype(np.float32)
    X_noisy = GaussianNoise(0.2, rng=1, clip=(0, 1))(X)
    model = Sequential(GaussianNoise(0.2, rng=5, clip=(0, 1)), Linear(4, 4, rng=0))
    optimizer = SGD(model.parameters(), lr=0.1)
    history = fit(model, MSELoss(), optimizer, X, X, epochs=1, validation_data=(X_noisy, X), rng=7)
    expected = MSELoss()(X_noisy @ model[1].weight.data + model[1].bias.data, X)
    assert history["val_loss"][0] == pytest.approx(expected, rel=1e-6)
    np.testing.assert_array_equal(predict(model, X), predict(model[1], X))


def test_noise_leaves_the_global_random_state_alone():
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    GaussianNoise(0.1)(np.ones((3, 3)))
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_noise_has_nothing_to_train_or_to_save():
    assert GaussianNoise(0.1).parameters() == []
    assert GaussianNoise(0.1).state_dict() == {}
    assert repr(GaussianNoise(0.1)) == "GaussianNoise(0.1)"
    assert repr(GaussianNoise(0.1, clip=(0, 1))) == "GaussianNoise(0.1, clip=(0.0, 1.0))"


def test_noise_checks_its_arguments():
    for bad in (-0.1, np.nan):
        with pytest.raises(ValueError, match="std must be a finite number at least 0; got"):
            GaussianNoise(bad)
    with pytest.raises(ValueError, match=r"clip must be a pair of bounds; got \(0, 1, 2\)"):
        GaussianNoise(0.1, clip=(0, 1, 2))
    with pytest.raises(ValueError, match=r"clip\[1\] must be a finite number above 1.0; got 1"):
        GaussianNoise(0.1, clip=(1, 1))
    with pytest.raises(TypeError, match=r"clip\[0\] must be a number; got None"):
        GaussianNoise(0.1, clip=(None, 1))
    layer = GaussianNoise(0.1, rng=0)
    for mode in (True, False):
        layer.train(mode)(np.zeros((4, 3)))
        with pytest.raises(ValueError, match=r"grad must have the shape of the output, \(4, 3\); got \(4, 1\)"):
            layer.backward(np.zeros((4, 1)))


# BatchNorm1d


def batch_norm(rng, num_features=3, **options):
    """Return a layer with drawn scale, shift and running statistics."""
    layer = BatchNorm1d(num_features, dtype=np.float64, **options)
    layer.weight.data[:], layer.bias.data[:] = rng.normal(size=num_features), rng.normal(size=num_features)
    layer.running_mean[:], layer.running_var[:] = rng.normal(size=num_features), rng.uniform(0.5, 2, num_features)
    return layer


def test_batch_norm_standardizes_each_feature_then_scales_and_shifts(rng):
    layer = batch_norm(rng, eps=0.01)
    x = rng.normal(3, 2, size=(6, 3))
    y = layer(x)
    for j in range(3):
        mean = sum(x[:, j]) / 6
        variance = sum((x[:, j] - mean) ** 2) / 6
        expected = (x[:, j] - mean) / np.sqrt(variance + 0.01) * layer.weight.data[j] + layer.bias.data[j]
        np.testing.assert_allclose(y[:, j], expected)


def test_batch_norm_in_evaluation_mode_uses_the_running_statistics(rng):
    layer = batch_norm(rng, eps=0.01).eval()
    x = rng.normal(3, 2, size=(6, 3))
    expected = (x - layer.running_mean) / np.sqrt(layer.running_var + 0.01) * layer.weight.data + layer.bias.data
    np.testing.assert_allclose(layer(x), expected)
    np.testing.assert_allclose(layer(x[:1]), expected[:1])


def test_running_statistics_move_towards_mean_and_unbiased_variance(rng):
    layer = BatchNorm1d(2, momentum=0.3, dtype=np.float64)
    mean, variance = np.zeros(2), np.ones(2)
    for n in (2, 5, 3):
        x = rng.normal(4, 3, size=(n, 2))
        layer(x)
        mean = 0.7 * mean + 0.3 * x.mean(axis=0)
        variance = 0.7 * variance + 0.3 * x.var(axis=0, ddof=1)
        np.testing.assert_allclose(layer.running_mean, mean, rtol=1e-13)
        np.testing.assert_allclose(layer.running_var, variance, rtol=1e-13)


def test_momentum_zero_keeps_the_running_statistics_and_one_takes_the_last_batch(rng):
    x = rng.normal(4, 3, size=(5, 2))
    still, quick = BatchNorm1d(2, momentum=0, dtype=np.float64), BatchNorm1d(2, momentum=1, dtype=np.float64)
    still(x)
    quick(x)
    np.testing.assert_array_equal([still.running_mean, still.running_var], [[0, 0], [1, 1]])
    np.testing.assert_allclose([quick.running_mean, quick.running_var], [x.mean(axis=0), x.var(axis=0, ddof=1)])


def test_evaluation_and_backward_leave_the_running_statistics_alone(rng):
    layer = batch_norm(rng)
    before = layer.state_dict()
    layer.eval()
    layer(rng.normal(size=(4, 3)))
    layer.backward(np.ones((4, 3)))
    layer.train()(rng.normal(size=(4, 3)))
    after_one = layer.state_dict()
    layer.backward(np.ones((4, 3)))
    for name in ("running_mean", "running_var"):
        assert not np.array_equal(after_one[name], before[name])
        np.testing.assert_array_equal(getattr(layer, name), after_one[name])
    layer.eval()(rng.normal(size=(4, 3)))
    np.testing.assert_array_equal(layer.running_mean, after_one["running_mean"])


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("n", [2, 3, 8])
def test_batch_norm_gradients_match_central_differences(n, training, rng):
    layer = batch_norm(rng).train(training)
    report = check_gradients(layer, rng.normal(2, 3, size=(n, 3)), rng=rng)
    assert report, report
    assert [check.name for check in report.checks] == ["input", "weight", "bias"]
    model = Sequential(Linear(4, 3, rng=rng), layer, Tanh(), BatchNorm1d(3), Linear(3, 2, rng=rng)).train(training)
    report = check_gradients(model, rng.normal(size=(n, 4)), rng=rng, atol=1e-7)
    assert report, report


def test_evaluation_mode_needs_no_second_sample(rng):
    report = check_gradients(batch_norm(rng).eval(), rng.normal(size=(1, 3)), rng=rng)
    assert report, report


def test_batch_norm_goes_back_through_the_mode_of_its_forward(rng):
    x, grad = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    for training in (True, False):
        layer = batch_norm(rng).train(training)
        layer(x)
        expected = layer.backward(grad)
        layer(x)
        np.testing.assert_array_equal(layer.train(not training).backward(grad), expected)


def test_adding_a_constant_to_the_input_changes_nothing_so_its_gradient_sums_to_zero(rng):
    layer = batch_norm(rng)
    x = rng.normal(size=(6, 3))
    y = layer(x)
    np.testing.assert_allclose(layer(x + 5), y, rtol=1e-9)
    np.testing.assert_allclose(layer.backward(rng.normal(size=(6, 3))).sum(axis=0), 0, atol=1e-12)


def test_constant_feature_becomes_the_shift():
    layer = BatchNorm1d(2)
    layer.bias.data[:] = [1, -2]
    np.testing.assert_array_equal(layer(np.full((4, 2), 7.0)), [[1, -2]] * 4)
    assert np.isfinite(layer.backward(np.ones((4, 2), dtype=np.float32))).all()


def test_far_from_zero_the_variance_keeps_its_digits_in_float32(rng):
    x = rng.normal(size=(64, 3)).astype(np.float32)
    np.testing.assert_allclose(BatchNorm1d(3)(x + 1000), BatchNorm1d(3)(x), atol=2e-3)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_batch_norm_works_in_the_dtype_of_its_parameters(dtype, training):
    layer = BatchNorm1d(3, dtype=dtype).train(training)
    for x in (np.ones((2, 3), dtype=np.float32), np.ones((2, 3)), np.ones((2, 3), dtype=int), [[1, 2, 3], [4, 5, 6]]):
        assert layer(x).dtype == dtype
        assert layer.backward(np.ones((2, 3), dtype=dtype)).dtype == dtype
        for array in (layer.weight.grad, layer.bias.grad, layer.running_mean, layer.running_var):
            assert array.dtype == dtype


def test_gradients_of_batch_norm_add_up_until_they_are_zeroed(rng):
    layer, x, grad = batch_norm(rng), rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    layer(x)
    layer.backward(grad)
    once = [parameter.grad.copy() for parameter in layer.parameters()]
    layer(x)
    layer.backward(grad)
    np.testing.assert_allclose([parameter.grad for parameter in layer.parameters()], 2 * np.array(once))
    layer.zero_grad()
    layer(x)
    layer.backward(grad)
    np.testing.assert_array_equal([parameter.grad for parameter in layer.parameters()], once)


@pytest.mark.parametrize("n", [0, 1])
def test_one_sample_has_no_variance_to_train_with(n):
    layer = BatchNorm1d(3)
    match = rf"x must hold at least 2 samples in training mode, .* got shape \({n}, 3\); choose a batch_size"
    with pytest.raises(ValueError, match=match):
        layer(np.zeros((n, 3)))
    np.testing.assert_array_equal(layer.running_var, 1)
    assert layer.eval()(np.zeros((n, 3))).shape == (n, 3)


def test_batch_norm_checks_its_arguments():
    with pytest.raises(ValueError, match="num_features must be at least 1; got 0"):
        BatchNorm1d(0)
    with pytest.raises(ValueError, match="eps must be a finite number above 0; got 0"):
        BatchNorm1d(3, eps=0)
    for bad in (-0.1, 1.1):
        with pytest.raises(ValueError, match="momentum must be a finite number at least 0 and at most 1; got"):
            BatchNorm1d(3, momentum=bad)
    with pytest.raises(TypeError, match="momentum must be a number; got None"):
        BatchNorm1d(3, momentum=None)
    with pytest.raises(TypeError, match="dtype must be a floating-point dtype such as float32; got int32"):
        BatchNorm1d(3, dtype=np.int32)


@pytest.mark.parametrize("shape", [(3,), (4, 2), (2, 3, 4), ()])
def test_batch_norm_refuses_an_input_of_another_shape(shape):
    with pytest.raises(
        ValueError, match=r"x must have shape \(n, 3\) to enter BatchNorm1d\(3, eps=1e-05, momentum=0.1\)"
    ):
        BatchNorm1d(3)(np.zeros(shape))


def test_batch_norm_refuses_an_upstream_gradient_of_another_shape():
    layer = BatchNorm1d(3)
    layer(np.zeros((4, 3)))
    with pytest.raises(ValueError, match=r"grad must have the shape of the output, \(4, 3\); got \(1, 3\)"):
        layer.backward(np.zeros((1, 3)))
    assert not layer.weight.grad.any()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Linear(2, 3, rng="a"), TypeError, "rng must be a numpy.random.Generator or a whole number"),
        (lambda: Dropout(0.5, rng=-1), ValueError, "rng must be a numpy.random.Generator or a whole number"),
        (lambda: GaussianNoise(0.5, rng=1.5), TypeError, "rng must be a numpy.random.Generator or a whole number"),
        (lambda: Autoencoder.symmetric([4, 2], rng="a"), TypeError, "rng must be a numpy.random.Generator"),
        (lambda: GaussianNoise(0.5, clip=1), TypeError, "clip must be a pair of bounds; got 1"),
        (lambda: GaussianNoise(0.5, clip=(0, 1, 2)), ValueError, "clip must be a pair of bounds; got"),
    ],
)
def test_seed_or_bounds_that_are_none_are_named(make, error, message):
    with pytest.raises(error, match=message):
        make()
