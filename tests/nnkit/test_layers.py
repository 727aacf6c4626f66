"""Layers: values, gradients, dtypes, differences between the modes, and argument errors."""

import copy

import numpy as np
import pytest

from nnkit import (
    SGD,
    Adam,
    AdamW,
    Autoencoder,
    BatchNorm1d,
    Dropout,
    Flatten,
    GaussianNoise,
    Linear,
    MSELoss,
    Parameter,
    ReLU,
    RMSprop,
    Sequential,
    Tanh,
    TiedLinear,
    check_gradients,
    fit,
    predict,
)


def check(module, x, rng, **options):
    """Compare gradients with central differences; return the names of those compared."""
    report = check_gradients(module, x, rng=rng, **options)
    assert report, report
    return [entry.name for entry in report.checks]


# Linear


def test_linear_computes_x_times_weight_plus_bias(rng):
    layer = Linear(3, 2, rng=rng, dtype=np.float64)
    assert layer.weight.data.shape == (3, 2)
    np.testing.assert_array_equal(layer.bias.data, [0, 0])
    layer.bias.data[:] = [1, -2]
    x = rng.normal(size=(4, 3))
    expected = [
        [sum(row[i] * layer.weight.data[i, j] for i in range(3)) + layer.bias.data[j] for j in range(2)] for row in x
    ]
    np.testing.assert_allclose(layer(x), expected)


def test_linear_without_bias_maps_zero_to_zero():
    layer = Linear(3, 2, bias=False, rng=0)
    assert layer.bias is None
    assert layer.parameters() == [layer.weight]
    assert not layer(np.zeros((1, 3))).any()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("n", [1, 5])
def test_linear_gradients_match_central_differences(n, bias, rng):
    check(Linear(4, 3, bias=bias, rng=rng), rng.normal(size=(n, 4)), rng)


def test_nested_network_gradients_match_central_differences(rng):
    model = Sequential(
        Flatten(), Sequential(Linear(6, 5, rng=rng), Tanh(), Sequential(Linear(5, 4, bias=False, rng=rng))), Tanh(),
        Linear(4, 2, rng=rng),
    )  # fmt: skip
    assert check(model, rng.normal(size=(3, 2, 3)), rng) == [
        "input", "1.0.weight", "1.0.bias", "1.2.0.weight", "3.weight", "3.bias",
    ]  # fmt: skip


def test_same_seed_gives_the_same_weights_in_every_dtype():
    wide, narrow = Linear(5, 4, rng=3, dtype=np.float64), Linear(5, 4, rng=3)
    np.testing.assert_array_equal(wide.weight.data.astype(np.float32), narrow.weight.data)


def test_init_accepts_a_name_or_a_function():
    assert not Linear(3, 2, init="zeros").weight.data.any()
    layer = Linear(3, 2, init=lambda shape, rng: np.full(shape, 7))
    np.testing.assert_array_equal(layer.weight.data, 7)
    assert layer.weight.data.dtype == np.float32


# Shared by all layers

LAYERS = {
    "Linear": lambda dtype: Linear(3, 2, rng=0, dtype=dtype),
    "TiedLinear": lambda dtype: TiedLinear(Linear(2, 3, rng=0, dtype=dtype)),
    "BatchNorm1d": lambda dtype: BatchNorm1d(3, dtype=dtype),
    "Sequential": lambda dtype: Sequential(Linear(3, 2, rng=0, dtype=dtype), BatchNorm1d(2, dtype=dtype)),
}
every_layer = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)


@every_layer
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_layers_compute_in_the_dtype_of_their_parameters(make, dtype, training):
    layer = make(dtype).train(training)
    for x in (np.ones((2, 3), dtype=np.float32), np.ones((2, 3)), np.ones((2, 3), dtype=int), [[1, 2, 3], [4, 5, 6]]):
        y = layer(x)
        assert y.dtype == layer.backward(np.ones_like(y)).dtype == dtype
        assert {parameter.grad.dtype for parameter in layer.parameters()} == {np.dtype(dtype)}
        assert {buffer.dtype for _, buffer in layer.named_buffers()} <= {np.dtype(dtype)}


@every_layer
def test_parameter_gradients_accumulate_until_zeroed(make, rng):
    layer, x = make(np.float64), rng.normal(size=(5, 3))
    grad = rng.normal(size=layer(x).shape)
    layer.backward(grad)
    once = [parameter.grad.copy() for parameter in layer.parameters()]
    layer(x)
    layer.backward(grad)
    np.testing.assert_equal([parameter.grad for parameter in layer.parameters()], [2 * array for array in once])
    layer.zero_grad()
    layer(x)
    layer.backward(grad)
    np.testing.assert_equal([parameter.grad for parameter in layer.parameters()], once)


@pytest.mark.parametrize("layer", [make(np.float32) for make in LAYERS.values()][:3], ids=repr)
@pytest.mark.parametrize("shape", [(3,), (4, 2), (2, 4, 3), ()], ids=str)
def test_input_of_the_wrong_shape_is_rejected(layer, shape):
    with pytest.raises(ValueError, match=r"x must have shape \(n, 3\)"):
        layer(np.zeros(shape))
    with pytest.raises(TypeError, match="x must hold real numbers"):
        layer(np.full((2, 3), 1j))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Linear(3, 2, rng=0), "Linear(3, 2)"),
        (lambda: Linear(3, 2, bias=False, rng=0), "Linear(3, 2, bias=False)"),
        (lambda: TiedLinear(Linear(4, 3, rng=0)), "TiedLinear(3, 4)"),
        (lambda: TiedLinear(Linear(4, 3, rng=0), bias=False), "TiedLinear(3, 4, bias=False)"),
        (lambda: Dropout(0.25), "Dropout(0.25)"),
        (lambda: GaussianNoise(0.1), "GaussianNoise(0.1)"),
        (lambda: GaussianNoise(0.1, clip=(0, 1)), "GaussianNoise(0.1, clip=(0.0, 1.0))"),
        (lambda: BatchNorm1d(3), "BatchNorm1d(3, eps=1e-05, momentum=0.1)"),
    ],
)
def test_repr_shows_the_settings(make, text):
    assert repr(make()) == text


@pytest.mark.parametrize(
    ("make", "error", "name"),
    [
        (lambda: Linear(0, 2), ValueError, "in_features"),
        (lambda: Linear(3, 2.0), TypeError, "out_features"),
        (lambda: Linear(True, 2), TypeError, "in_features"),
        (lambda: Linear(3, 2, dtype=np.int32), TypeError, "dtype"),
        (lambda: Linear(3, 2, init=lambda shape, rng: np.zeros(shape[::-1])), ValueError, "init"),
        (lambda: Linear(2, 3, rng="a"), TypeError, "rng"),
        (lambda: TiedLinear(ReLU()), TypeError, r"layer.*ReLU\(\)"),
        (lambda: Dropout(-0.1), ValueError, "p"),
        (lambda: Dropout(1), ValueError, "p"),
        (lambda: Dropout(np.nan), ValueError, "p"),
        (lambda: Dropout("0.5"), TypeError, "p"),
        (lambda: Dropout(0.5, rng=-1), ValueError, "rng"),
        (lambda: GaussianNoise(-0.1), ValueError, "std"),
        (lambda: GaussianNoise(np.nan), ValueError, "std"),
        (lambda: GaussianNoise(0.5, rng=1.5), TypeError, "rng"),
        (lambda: GaussianNoise(0.5, clip=1), TypeError, "clip"),
        (lambda: GaussianNoise(0.5, clip=(0, 1, 2)), ValueError, "clip"),
        (lambda: GaussianNoise(0.5, clip=(1, 1)), ValueError, r"clip\[1\]"),
        (lambda: GaussianNoise(0.5, clip=(None, 1)), TypeError, r"clip\[0\]"),
        (lambda: BatchNorm1d(0), ValueError, "num_features"),
        (lambda: BatchNorm1d(3, eps=0), ValueError, "eps"),
        (lambda: BatchNorm1d(3, momentum=-0.1), ValueError, "momentum"),
        (lambda: BatchNorm1d(3, momentum=1.1), ValueError, "momentum"),
        (lambda: BatchNorm1d(3, momentum=None), TypeError, "momentum"),
        (lambda: BatchNorm1d(3, dtype=np.int32), TypeError, "dtype"),
        (lambda: Autoencoder.symmetric([4, 2], rng="a"), TypeError, "rng"),
    ],
)
def test_invalid_argument_is_named(make, error, name):
    with pytest.raises(error, match=rf"\b{name}"):
        make()


# Flatten


def test_flatten_does_not_mix_samples(rng):
    x = rng.normal(size=(2, 3, 4))
    flatten = Flatten()
    y = flatten(x)
    np.testing.assert_array_equal(y, [x[0].ravel(), x[1].ravel()])
    np.testing.assert_array_equal(flatten.backward(y), x)
    check(Flatten(), x, rng)


@pytest.mark.parametrize(("shape", "flat"), [((5,), (5, 1)), ((5, 2), (5, 2)), ((0, 2, 3), (0, 6)), ((4, 0), (4, 0))])
def test_flatten_preserves_the_number_of_samples(shape, flat):
    flatten = Flatten()
    assert flatten(np.zeros(shape)).shape == flat
    assert flatten.backward(np.zeros(flat)).shape == shape


def test_flatten_rejects_scalars_and_unflattened_gradients():
    flatten = Flatten()
    with pytest.raises(ValueError, match=r"x must have at least one axis"):
        flatten(np.float64(3))
    flatten(np.zeros((2, 3, 4)))
    with pytest.raises(ValueError, match=r"grad must .*\(2, 12\)"):
        flatten.backward(np.zeros((2, 3, 4)))


# TiedLinear


def tied_network(rng):
    layer = Linear(4, 3, rng=rng)
    return Sequential(layer, Tanh(), TiedLinear(layer))


def test_tied_layer_computes_x_times_transposed_weight_plus_its_own_bias(rng):
    layer = Linear(4, 3, rng=rng, dtype=np.float64)
    tied = TiedLinear(layer)
    layer.bias.data[:], tied.bias.data[:] = 7, rng.normal(size=4)
    x = rng.normal(size=(5, 3))
    expected = [
        [sum(row[j] * layer.weight.data[i, j] for j in range(3)) + tied.bias.data[i] for i in range(4)] for row in x
    ]
    np.testing.assert_allclose(tied(x), expected)


def test_tied_weight_is_a_transposed_view_of_the_shared_parameter(rng):
    layer = Linear(4, 3, rng=rng, dtype=np.float64)
    tied = TiedLinear(layer)
    assert isinstance(tied, Linear)
    assert tied.shared is layer.weight
    assert (tied.in_features, tied.out_features) == tied.weight.data.shape == (3, 4)
    assert isinstance(tied.weight, Parameter)
    assert np.shares_memory(tied.weight.data, layer.weight.data)
    assert np.shares_memory(tied.weight.grad, layer.weight.grad)
    x, grad = rng.normal(size=(5, 3)), rng.normal(size=(5, 4))
    tied(x)
    tied.backward(grad)
    np.testing.assert_allclose(layer.weight.grad, grad.T @ x)
    np.testing.assert_allclose(tied.bias.grad, grad.sum(axis=0))


def test_tied_layer_owns_the_shared_weight_and_a_bias():
    layer = Linear(4, 3, rng=0)
    assert list(TiedLinear(layer).state_dict()) == ["shared", "bias"]
    without = TiedLinear(layer, bias=False)
    assert without.bias is None
    assert without.parameters() == [layer.weight]
    assert not without(np.zeros((1, 3))).any()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("n", [1, 5])
def test_tied_gradients_match_central_differences(n, bias, rng):
    check(TiedLinear(Linear(4, 3, rng=rng), bias=bias), rng.normal(size=(n, 3)), rng)
    assert check(tied_network(rng), rng.normal(size=(n, 4)), rng) == ["input", "0.weight", "0.bias", "2.bias"]


def test_gradient_missing_one_use_of_a_tied_weight_is_caught(rng):
    class Forgetful(TiedLinear):
        def backward(self, grad):
            kept = self.shared.grad.copy()
            passed = super().backward(grad)
            self.shared.grad[:] = kept
            return passed

    layer = Linear(4, 3, rng=rng)
    report = check_gradients(Sequential(layer, Tanh(), Forgetful(layer)), rng.normal(size=(2, 4)), rng=rng)
    assert [entry.name for entry in report.checks if not entry.passed] == ["0.weight"]


@pytest.mark.parametrize("kind", [SGD, RMSprop, Adam, AdamW])
def test_training_keeps_the_layers_tied(kind, rng):
    model, X = tied_network(rng), rng.normal(size=(30, 4)).astype(np.float32)
    first, _, tied = model
    before = first.weight.data.copy()
    optimizer = kind(model.parameters(), lr=0.05)
    assert len(optimizer.params) == 3
    history = fit(model, MSELoss(), optimizer, X, X, epochs=20, batch_size=10, rng=0)
    assert history["loss"][-1] < 0.7 * history["loss"][0]
    assert not np.array_equal(first.weight.data, before)
    np.testing.assert_array_equal(tied.weight.data, first.weight.data.T)
    np.testing.assert_array_equal(tied(np.eye(3)), first.weight.data.T + tied.bias.data)


@pytest.mark.parametrize("kind", [SGD, RMSprop, Adam])
def test_step_moves_a_tied_weight_by_the_sum_of_both_gradients(kind, rng):
    layer = Linear(4, 3, bias=False, rng=0, dtype=np.float64)
    alone = Parameter(layer.weight.data)
    x, grad = rng.normal(size=(5, 4)), rng.normal(size=(5, 4))
    model = Sequential(layer, TiedLinear(layer, bias=False))
    optimizers = kind(model.parameters(), lr=0.1), kind([alone], lr=0.1)
    for _ in range(2):
        weight = alone.data
        alone.grad[...] = x.T @ (grad @ weight) + grad.T @ (x @ weight)
        model.zero_grad()
        model(x)
        model.accumulate(grad)
        for optimizer in optimizers:
            optimizer.step()
        np.testing.assert_allclose(layer.weight.data, alone.data, rtol=1e-12)


def test_tied_weight_is_saved_converted_and_copied_once(rng):
    model = tied_network(rng)
    assert list(model.state_dict()) == ["0.weight", "0.bias", "2.bias"]
    other = tied_network(np.random.default_rng(9))
    other.load_state_dict(model.state_dict())
    x = rng.normal(size=(5, 4)).astype(np.float32)
    np.testing.assert_array_equal(other(x), model(x))
    for kept in (copy.deepcopy(model), model.astype(np.float64)):
        assert kept[2].shared is kept[0].weight
        np.testing.assert_allclose(kept(x), other(x), rtol=1e-5)
    assert model[2](np.ones((1, 3))).dtype == np.float64
    assert other[2].shared is not model[0].weight


# Dropout and GaussianNoise

NOISY = {
    "Dropout": lambda rng=0: Dropout(0.5, rng=rng),
    "noise": lambda rng=0: GaussianNoise(1.0, rng=rng),
    "clipped noise": lambda rng=0: GaussianNoise(1.0, rng=rng, clip=(-0.5, 0.5)),
}
noisy_layers = pytest.mark.parametrize("make", NOISY.values(), ids=NOISY)


@noisy_layers
def test_each_forward_draws_new_noise_and_seeds_reproduce_it(make):
    x = np.ones((10, 10))
    layer, same, copied = make(), make(np.random.default_rng(0)), copy.deepcopy(make())
    draws = [layer(x), layer(x)]
    assert not np.array_equal(*draws)
    for other in (same, copied):
        np.testing.assert_array_equal([other(x), other(x)], draws)
    assert not np.array_equal(make(1)(x), draws[0])
    assert not np.array_equal(make(None)(x), make(None)(x))
    shared = np.random.default_rng(0)
    assert not np.array_equal(make(shared)(x), make(shared)(x))


@noisy_layers
def test_draws_do_not_depend_on_the_dtype(make):
    wide, narrow = make()(np.ones((9, 9))), make()(np.ones((9, 9), np.float32))
    assert (wide.dtype, narrow.dtype) == (np.float64, np.float32)
    np.testing.assert_allclose(wide, narrow, rtol=1e-6, atol=1e-7)


@noisy_layers
def test_noisy_layers_are_the_identity_and_draw_nothing_in_evaluation_mode(make, rng):
    layer = make(3).eval()
    x, grad = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))  # Some values lie outside the bounds.
    np.testing.assert_array_equal(layer(x), x)
    np.testing.assert_array_equal(layer.backward(grad), grad)
    assert layer.rng.bit_generator.state == np.random.default_rng(3).bit_generator.state


@noisy_layers
def test_backward_uses_the_last_forward_regardless_of_mode_and_older_draws(make, rng):
    layer, x, grad = make(), rng.uniform(size=(10, 10)), rng.normal(size=(10, 10))
    layer(x)  # A draw without a backward pass.
    layer.eval()(x)
    np.testing.assert_array_equal(layer.train().backward(grad), grad)
    first, other = make(), make()
    first(x)
    other(x)
    np.testing.assert_array_equal(first.eval().backward(grad), other.backward(grad))


@noisy_layers
@pytest.mark.parametrize("training", [True, False])
def test_noisy_gradients_match_central_differences(make, training, rng):
    check(make(1).train(training), rng.normal(size=(6, 5)), rng)
    model = Sequential(make(2), Linear(5, 4, rng=rng), Tanh(), make(3), Linear(4, 2, rng=rng), make(4))
    check(model.train(training), rng.normal(size=(6, 5)), rng)


@noisy_layers
@pytest.mark.parametrize("training", [True, False])
def test_noisy_layers_have_no_parameters_and_reject_a_misshapen_gradient(make, training):
    layer = make().train(training)
    assert layer.parameters() == []
    assert layer.state_dict() == {}
    layer(np.zeros((4, 3)))
    with pytest.raises(ValueError, match=r"grad must .*\(4, 3\)"):
        layer.backward(np.zeros((4, 1)))


def test_layers_do_not_touch_the_global_random_state():
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    for layer in (Linear(3, 4), Linear(3, 4, rng=1), Dropout(), GaussianNoise(0.1)):
        layer(np.ones((3, 3)))
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize("p", [0.0, 0.25, 0.5, 0.9])
def test_dropout_drops_a_fraction_p_and_scales_the_rest(p):
    x = np.full((200, 100), 3.0)
    layer = Dropout(p, rng=0)
    y = layer(x)
    kept = y != 0
    np.testing.assert_allclose(y[kept], 3 / (1 - p), rtol=1e-12)
    np.testing.assert_allclose(layer.backward(np.ones_like(x)), kept / (1 - p), rtol=1e-12)
    # 20,000 draws: the fraction lies within five standard deviations of p.
    assert abs(kept.mean() - (1 - p)) <= 5 * np.sqrt(p * (1 - p) / x.size)


@pytest.mark.parametrize("layer", [Dropout(0.5, rng=0), GaussianNoise(0.5, rng=0, clip=(0, 1))], ids=repr)
def test_infinite_gradient_becomes_zero_at_dropped_and_clipped_entries(layer):
    layer(np.zeros((8, 8), np.float32))
    grad = layer.backward(np.full((8, 8), np.inf, np.float32))
    assert set(np.unique(grad)) == {0, np.inf}


@pytest.mark.parametrize("clip", [None, (0, 1)])
def test_noise_comes_from_the_generator(clip):
    x = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    expected = x + 0.5 * np.random.default_rng(3).standard_normal((3, 4), dtype=np.float32)
    found = GaussianNoise(0.5, np.random.default_rng(3), clip=clip)(x)
    np.testing.assert_allclose(found, expected if clip is None else np.clip(expected, 0, 1), rtol=1e-6)


def test_gradient_is_zero_at_clipped_values(rng):
    layer = GaussianNoise(0.3, rng=0, clip=(0, 1))
    x, grad = rng.uniform(size=(20, 30)), rng.normal(size=(20, 30))
    y = layer(x)
    inside = (y > 0) & (y < 1)
    assert 0.1 < inside.mean() < 0.9
    np.testing.assert_array_equal(layer.backward(grad), np.where(inside, grad, 0))


def test_denoising_uses_clean_targets_and_new_noise_each_epoch(rng):
    X = rng.uniform(size=(6, 4)).astype(np.float32)
    inputs, targets = [], []

    class Watched(Linear):
        def forward(self, x):
            inputs.append(x.copy())
            return super().forward(x)

    class WatchedLoss(MSELoss):
        def forward(self, pred, target):
            targets.append(target.copy())
            return super().forward(pred, target)

    model = Sequential(GaussianNoise(0.2, rng=5, clip=(0, 1)), Watched(4, 4, rng=0))
    fit(model, WatchedLoss(), SGD(model.parameters(), lr=0.1), X, X, epochs=3, batch_size=6, rng=7)

    order, noise = np.random.default_rng(7), np.random.default_rng(5)
    for seen, target in zip(inputs, targets, strict=True):
        clean = X[order.permutation(6)]
        np.testing.assert_array_equal(target, clean)
        drawn = noise.standard_normal((6, 4), dtype=np.float32)
        np.testing.assert_array_equal(seen, np.clip(clean + 0.2 * drawn, 0, 1))
    assert len(targets) == 3


def test_validation_adds_no_noise(rng):
    X = rng.uniform(size=(8, 4)).astype(np.float32)
    X_noisy = GaussianNoise(0.2, rng=1, clip=(0, 1))(X)
    model = Sequential(GaussianNoise(0.2, rng=5, clip=(0, 1)), Linear(4, 4, rng=0))
    optimizer = SGD(model.parameters(), lr=0.1)
    history = fit(model, MSELoss(), optimizer, X, X, epochs=1, validation_data=(X_noisy, X), rng=7)
    expected = MSELoss()(X_noisy @ model[1].weight.data + model[1].bias.data, X)
    assert history["val_loss"][0] == pytest.approx(expected, rel=1e-6)
    np.testing.assert_array_equal(predict(model, X), predict(model[1], X))


# BatchNorm1d


def batch_norm(rng, num_features=3, **options):
    """Return a layer with random scale, shift and running statistics."""
    layer = BatchNorm1d(num_features, dtype=np.float64, **options)
    layer.weight.data[:], layer.bias.data[:] = rng.normal(size=num_features), rng.normal(size=num_features)
    layer.running_mean[:], layer.running_var[:] = rng.normal(size=num_features), rng.uniform(0.5, 2, num_features)
    return layer


def test_batch_norm_standardizes_then_scales_and_shifts_each_feature(rng):
    layer = batch_norm(rng, eps=0.01)
    x = rng.normal(3, 2, size=(6, 3))
    y = layer(x)
    for j in range(3):
        mean = sum(x[:, j]) / 6
        variance = sum((x[:, j] - mean) ** 2) / 6
        expected = (x[:, j] - mean) / np.sqrt(variance + 0.01) * layer.weight.data[j] + layer.bias.data[j]
        np.testing.assert_allclose(y[:, j], expected)


def test_batch_norm_uses_running_statistics_in_evaluation_mode(rng):
    layer = batch_norm(rng, eps=0.01).eval()
    x = rng.normal(3, 2, size=(6, 3))
    expected = (x - layer.running_mean) / np.sqrt(layer.running_var + 0.01) * layer.weight.data + layer.bias.data
    np.testing.assert_allclose(layer(x), expected)
    np.testing.assert_allclose(layer(x[:1]), expected[:1])


@pytest.mark.parametrize("momentum", [0, 0.3, 1])
def test_running_statistics_approach_mean_and_unbiased_variance(momentum, rng):
    layer = BatchNorm1d(2, momentum=momentum, dtype=np.float64)
    mean, variance = np.zeros(2), np.ones(2)
    for n in (2, 5, 3):
        x = rng.normal(4, 3, size=(n, 2))
        layer(x)
        mean = (1 - momentum) * mean + momentum * x.mean(axis=0)
        variance = (1 - momentum) * variance + momentum * x.var(axis=0, ddof=1)
        np.testing.assert_allclose(layer.running_mean, mean, rtol=1e-13)
        np.testing.assert_allclose(layer.running_var, variance, rtol=1e-13)


def test_running_statistics_change_only_in_training_mode(rng):
    layer, x = batch_norm(rng), rng.normal(size=(4, 3))
    before = layer.state_dict()
    layer.eval()(x)
    layer.backward(np.ones((4, 3)))
    np.testing.assert_equal(layer.state_dict(), before)
    layer.train()(x)
    after = layer.state_dict()
    layer.backward(np.ones((4, 3)))
    np.testing.assert_equal(layer.state_dict(), after)
    for name in layer.buffer_names:
        assert not np.array_equal(after[name], before[name])


@pytest.mark.parametrize(("n", "training"), [(2, True), (3, True), (8, True), (1, False), (8, False)])
def test_batch_norm_gradients_match_central_differences(n, training, rng):
    layer = batch_norm(rng).train(training)
    assert check(layer, rng.normal(2, 3, size=(n, 3)), rng) == ["input", "weight", "bias"]
    model = Sequential(Linear(4, 3, rng=rng), layer, Tanh(), BatchNorm1d(3), Linear(3, 2, rng=rng)).train(training)
    check(model, rng.normal(size=(n, 4)), rng, atol=1e-7)


def test_batch_norm_backward_uses_the_mode_of_its_forward(rng):
    x, grad = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    for training in (True, False):
        layer = batch_norm(rng).train(training)
        layer(x)
        expected = layer.backward(grad)
        layer(x)
        np.testing.assert_array_equal(layer.train(not training).backward(grad), expected)


def test_batch_norm_is_invariant_to_a_constant_shift(rng):
    layer = batch_norm(rng)
    x = rng.normal(size=(6, 3))
    y = layer(x)
    np.testing.assert_allclose(layer(x + 5), y, rtol=1e-9)
    np.testing.assert_allclose(layer.backward(rng.normal(size=(6, 3))).sum(axis=0), 0, atol=1e-12)


def test_constant_feature_maps_to_the_shift():
    layer = BatchNorm1d(2)
    layer.bias.data[:] = [1, -2]
    np.testing.assert_array_equal(layer(np.full((4, 2), 7.0)), [[1, -2]] * 4)
    assert np.isfinite(layer.backward(np.ones((4, 2), dtype=np.float32))).all()


def test_variance_stays_accurate_far_from_zero_in_float32(rng):
    x = rng.normal(size=(64, 3)).astype(np.float32)
    np.testing.assert_allclose(BatchNorm1d(3)(x + 1000), BatchNorm1d(3)(x), atol=2e-3)


@pytest.mark.parametrize("n", [0, 1])
def test_batch_norm_needs_at_least_two_training_samples(n):
    layer = BatchNorm1d(3)
    with pytest.raises(ValueError, match=r"x must hold at least 2 samples.*batch_size"):
        layer(np.zeros((n, 3)))
    np.testing.assert_array_equal(layer.running_var, 1)
    assert layer.eval()(np.zeros((n, 3))).shape == (n, 3)
