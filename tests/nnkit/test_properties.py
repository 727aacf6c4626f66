"""Properties that hold for every input: shapes, dtypes, extreme values, empty batches, and inputs left unchanged."""

import itertools

import numpy as np
import pytest

from nnkit import (
    SGD,
    Autoencoder,
    BatchNorm1d,
    BCEWithLogitsLoss,
    CosineLR,
    CrossEntropyLoss,
    Dropout,
    Flatten,
    GaussianNoise,
    LeakyReLU,
    Linear,
    MSELoss,
    Parameter,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
    StepLR,
    Tanh,
    TiedLinear,
    accuracy,
    check_gradients,
    class_counts,
    clip_grad_norm,
    confusion_matrix,
    f1_score,
    precision,
    recall,
    sigmoid,
    softmax,
)

hypothesis = pytest.importorskip("hypothesis")

from hypothesis import strategies as st  # noqa: E402
from hypothesis.extra import numpy as hnp  # noqa: E402

# The same examples on every run and machine, and no time limits: failures must be reproducible.
given = hypothesis.given
settings = hypothesis.settings(max_examples=30, deadline=None, derandomize=True, database=None)

ACTIVATIONS = [ReLU, LeakyReLU, Sigmoid, Tanh, Softmax]
every_activation = pytest.mark.parametrize("activation", ACTIVATIONS)

dtypes = st.sampled_from([np.float32, np.float64])
moderate = st.floats(-10, 10, width=32)
extreme = moderate | st.sampled_from([0.0, -0.0, 1e-30, 1e4, -1e4, 1e30, -1e30])
sizes = st.integers(1, 5)


@st.composite
def matrices(draw, elements=moderate, rows=sizes, columns=sizes, dtype=dtypes):
    shape = (draw(rows), draw(columns))
    values = draw(hnp.arrays(np.float64, shape, elements=elements))
    return values.astype(draw(dtype))


def frozen(array):
    """Return a read-only copy."""
    array = np.array(array)
    array.flags.writeable = False
    return array


def upstream_for(y):
    """Return a gradient with the shape and dtype of `y` that is not all ones."""
    return np.linspace(-1, 2, y.size).reshape(y.shape).astype(y.dtype)


# Modules


@every_activation
@settings
@given(x=matrices(elements=extreme))
def test_activations_keep_shape_and_dtype_and_stay_finite_for_extreme_inputs(activation, x):
    module = activation()
    y = module(x)
    grad = module.backward(upstream_for(y))
    assert y.shape == grad.shape == x.shape
    assert y.dtype == grad.dtype == x.dtype
    assert np.isfinite(y).all()
    assert np.isfinite(grad).all()


@settings
@given(x=matrices(elements=extreme, columns=st.just(4)), dtype=dtypes, bias=st.booleans())
def test_linear_returns_its_own_dtype_and_stays_finite_for_extreme_inputs(x, dtype, bias):
    layer = Linear(4, 3, bias=bias, rng=0, dtype=dtype)
    y = layer(x)
    grad = layer.backward(upstream_for(y))
    assert y.shape == (len(x), 3)
    assert grad.shape == x.shape
    assert y.dtype == grad.dtype == layer.weight.grad.dtype == dtype
    for array in (y, grad, layer.weight.grad):
        assert np.isfinite(array).all()


@settings
@given(x=hnp.arrays(st.sampled_from([np.int8, np.uint8, np.int64, np.bool_]), (3, 4)))
def test_integers_are_converted_to_the_parameter_dtype(x):
    layer = Linear(4, 2, rng=0, dtype=np.float64)
    np.testing.assert_array_equal(layer(x), layer(x.astype(np.float64)))
    assert Sequential(Flatten(), ReLU())(x).dtype == np.float32


@settings
@given(x=matrices(columns=st.just(4)), dtype=dtypes)
def test_input_and_upstream_gradient_are_never_modified(x, dtype):
    modules = [
        *(kind() for kind in ACTIVATIONS),
        Flatten(),
        Linear(4, 3, rng=0, dtype=dtype),
        Sequential(Linear(4, 4, rng=0, dtype=dtype), ReLU(), Tanh()),
        Dropout(0.5, rng=0),
        Dropout(0.5, rng=0).eval(),
        BatchNorm1d(4, dtype=dtype).eval(),
        GaussianNoise(0.5, rng=0, clip=(0, 1)),
        GaussianNoise(0.5, rng=0).eval(),
        TiedLinear(Linear(3, 4, rng=0, dtype=dtype)),
        Autoencoder.symmetric([4, 3, 2], rng=0, tied=True).astype(dtype),
    ]
    if len(x) > 1:
        modules += [BatchNorm1d(4, dtype=dtype), Sequential(Dropout(rng=0), BatchNorm1d(4, dtype=dtype), ReLU())]
    for module in modules:
        given_x = frozen(x)
        y = module(given_x)
        given_grad = frozen(upstream_for(y))
        for back in (module.backward, module.accumulate):
            module(given_x)
            back(given_grad)
        np.testing.assert_array_equal(given_x, x)
        np.testing.assert_array_equal(given_grad, upstream_for(y))


@pytest.mark.parametrize(
    "module",
    [
        *(kind() for kind in ACTIVATIONS),
        Flatten(),
        Sequential(),
        Dropout(rng=0),
        Dropout().eval(),
        GaussianNoise(1.0, rng=0, clip=(0, 1)),
        GaussianNoise(1.0).eval(),
    ],
    ids=repr,
)
@settings
@given(columns=sizes, dtype=dtypes)
def test_modules_without_parameters_accept_an_empty_batch(module, columns, dtype):
    empty = np.zeros((0, columns), dtype=dtype)
    assert module(empty).shape == (0, columns)
    grad = module.backward(empty)
    assert grad.shape == (0, columns)
    assert grad.dtype == dtype


@settings
@given(columns=sizes, dtype=dtypes)
def test_empty_batch_gives_zero_parameter_gradients(columns, dtype):
    model = Sequential(Linear(columns, 3, rng=0, dtype=dtype), Tanh(), Linear(3, 2, rng=1, dtype=dtype), Softmax())
    assert model(np.zeros((0, columns))).shape == (0, 2)
    assert model.backward(np.zeros((0, 2), dtype=dtype)).shape == (0, columns)
    for parameter in model.parameters():
        np.testing.assert_array_equal(parameter.grad, 0)


@settings
@given(
    x=hnp.arrays(np.float64, (3, 4), elements=moderate),
    z=hnp.arrays(np.float64, (3, 4), elements=moderate),
    a=moderate,
    b=moderate,
)
def test_linear_without_bias_is_linear(x, z, a, b):
    layer = Linear(4, 2, bias=False, rng=0, dtype=np.float64)
    np.testing.assert_allclose(layer(a * x + b * z), a * layer(x) + b * layer(z), rtol=1e-9, atol=1e-9)


@settings
@given(x=matrices(columns=st.just(4), dtype=st.just(np.float64)))
def test_samples_are_independent_in_evaluation_mode(x):
    for model in (
        Sequential(Linear(4, 3, rng=0), BatchNorm1d(3), Tanh(), Dropout(0.5, rng=0), Linear(3, 2, rng=1), Softmax()),
        Autoencoder.symmetric([4, 3, 2], rng=0),
        Autoencoder.symmetric([4, 2], rng=0, tied=True),
    ):
        together = model.astype(np.float64).eval()(x)
        for i in range(len(x)):
            np.testing.assert_allclose(model(x[i : i + 1])[0], together[i], rtol=1e-12, atol=1e-13)


@settings
@given(
    widths=st.lists(st.integers(1, 4), min_size=2, max_size=4),
    n=st.integers(1, 3),
    kind=st.sampled_from([Sigmoid, Tanh, Softmax]),
    seed=st.integers(0, 99),
)
def test_networks_of_every_shape_pass_the_gradient_check(widths, n, kind, seed):
    rng = np.random.default_rng(seed)
    layers = []
    for width_in, width_out in itertools.pairwise(widths):
        layers += [Linear(width_in, width_out, rng=rng), kind()]
    report = check_gradients(Sequential(*layers), rng.normal(size=(n, widths[0])), rng=rng, max_entries=6, atol=1e-7)
    assert report, report


# Dropout and batch normalization


@settings
@given(x=matrices(elements=extreme), p=st.floats(0, 0.99), seed=st.integers(0, 99))
def test_dropout_zeroes_or_scales_input_and_gradient_alike(x, p, seed):
    layer = Dropout(p, rng=seed)
    y = layer(x)
    grad = layer.backward(np.ones_like(x))
    assert y.shape == grad.shape == x.shape
    assert y.dtype == grad.dtype == x.dtype
    scaled = x / (1 - p)
    close = np.isclose(y, scaled, rtol=1e-5, atol=0)
    assert (close | (y == 0)).all()
    np.testing.assert_allclose(x * grad, y, rtol=1e-5)
    np.testing.assert_array_equal(layer.eval()(x), x)


@settings
@given(
    x=matrices(elements=st.integers(-1000, 1000), rows=st.integers(2, 9)),
    shift=st.integers(-1000, 1000),
    dtype=dtypes,
)
def test_batch_norm_gives_mean_zero_and_variance_one_in_training(x, shift, dtype):
    layer = BatchNorm1d(x.shape[1], dtype=dtype)
    y = layer((x + shift).astype(dtype))
    tolerance = 1e-3 if dtype == np.float32 else 1e-9
    assert y.dtype == dtype
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=tolerance)
    variance = x.astype(np.float64).var(axis=0)
    np.testing.assert_allclose(y.var(axis=0), variance / (variance + 1e-5), atol=tolerance)
    # Trained scale and shift would move them.
    layer.weight.data[:], layer.bias.data[:] = 3, -2
    z = layer((x + shift).astype(dtype))
    np.testing.assert_allclose(z, 3 * y - 2, atol=1e-5)


@settings
@given(x=matrices(rows=st.integers(2, 5), columns=st.just(4), elements=extreme), training=st.booleans())
def test_batch_norm_stays_finite_for_extreme_float64_inputs(x, training):
    layer = BatchNorm1d(4, dtype=np.float64).train(training)
    y = layer(x)
    grad = layer.backward(upstream_for(y))
    assert y.shape == grad.shape == x.shape
    for array in (y, grad, layer.weight.grad, layer.bias.grad, layer.running_mean, layer.running_var):
        assert array.dtype == np.float64
        assert np.isfinite(array).all()


@settings
@given(
    n=st.integers(2, 5),
    width=st.integers(1, 4),
    p=st.floats(0, 0.9),
    training=st.booleans(),
    seed=st.integers(0, 99),
)
def test_networks_with_both_pass_the_gradient_check_in_both_modes(n, width, p, training, seed):
    rng = np.random.default_rng(seed)
    norm = BatchNorm1d(width, eps=0.1)  # Apart from eps, a batch of two gives 1 and -1 whatever the input.
    norm.running_mean, norm.running_var = rng.normal(size=width), rng.uniform(0.5, 2, width)
    model = Sequential(Linear(3, width, rng=rng), norm, Tanh(), Dropout(p, rng=rng), Linear(width, 2, rng=rng))
    report = check_gradients(model.train(training), rng.normal(size=(n, 3)), rng=rng, max_entries=6, atol=1e-7)
    assert report, report


# Noise and autoencoders


@settings
@given(
    x=matrices(elements=extreme),
    std=st.floats(0, 10),
    bounds=st.tuples(st.floats(-5, 0), st.floats(0.5, 5)),
    seed=st.integers(0, 99),
)
def test_clipped_noise_stays_in_bounds_and_keeps_shape_and_dtype(x, std, bounds, seed):
    layer = GaussianNoise(std, rng=seed, clip=bounds)
    y = layer(x)
    grad = layer.backward(upstream_for(y))
    assert y.shape == grad.shape == x.shape
    assert y.dtype == grad.dtype == x.dtype
    low, high = np.array(bounds, dtype=x.dtype)
    assert low <= y.min() <= y.max() <= high
    unclipped = GaussianNoise(std, rng=seed)(x)
    inside = (unclipped > low) & (unclipped < high)
    np.testing.assert_array_equal(y[inside], unclipped[inside])
    np.testing.assert_array_equal(grad[inside], upstream_for(y)[inside])
    assert np.isin(grad, [0, *upstream_for(y).ravel()]).all()


@settings
@given(x=matrices(), seed=st.integers(0, 99))
def test_noise_with_zero_std_changes_nothing(x, seed):
    np.testing.assert_array_equal(GaussianNoise(0.0, rng=seed)(x), x)


@settings
@given(
    sizes=st.lists(st.integers(1, 5), min_size=2, max_size=4),
    activation=st.sampled_from(["sigmoid", "tanh"]),
    loss=st.sampled_from([None, MSELoss(), BCEWithLogitsLoss()]),
    tied=st.booleans(),
    seed=st.integers(0, 99),
)
def test_symmetric_autoencoders_of_every_shape_pass_the_gradient_check(sizes, activation, loss, tied, seed):
    rng = np.random.default_rng(seed)
    model = Autoencoder.symmetric(sizes, activation, rng=rng, logits=True, tied=tied)
    x = rng.uniform(size=(3, sizes[0]))
    target = None if loss is None else x
    report = check_gradients(model, x, loss, target, rng=rng, max_entries=6, atol=1e-7)
    assert report, report
    assert model.encode(x).shape == (3, sizes[-1])
    assert model.reconstruct(x).shape == x.shape
    assert 0 <= model.reconstruct(x).min() <= model.reconstruct(x).max() <= 1


# Clipping and schedules


@settings
@given(grad=hnp.arrays(np.float64, st.integers(1, 9), elements=extreme), max_norm=st.floats(1e-6, 1e6))
def test_clipped_gradient_is_parallel_and_within_the_norm(grad, max_norm):
    parameter = Parameter(np.zeros(len(grad)))
    parameter.grad = grad.copy()
    norm = clip_grad_norm([parameter], max_norm)
    clipped = parameter.grad
    assert norm == pytest.approx(np.linalg.norm(grad), rel=1e-12)
    assert np.linalg.norm(clipped) <= max_norm * (1 + 1e-12)
    if norm + 1e-6 <= max_norm:
        np.testing.assert_array_equal(clipped, grad)
    else:
        np.testing.assert_allclose(clipped * (norm + 1e-6), grad * max_norm, rtol=1e-9)


@settings
@given(lr=st.floats(0, 10), eta_min=st.floats(0, 10), T_max=st.integers(1, 40), epochs=st.integers(1, 100))
def test_cosine_rate_stays_between_its_endpoints(lr, eta_min, T_max, epochs):
    optimizer = SGD([Parameter(np.zeros(1))], lr=lr)
    schedule = CosineLR(optimizer, T_max, eta_min)
    for _ in range(epochs):
        schedule.step()
        assert min(lr, eta_min) - 1e-12 <= optimizer.lr <= max(lr, eta_min) + 1e-12


@settings
@given(lr=st.floats(0.01, 10), step_size=st.integers(1, 10), gamma=st.floats(0.1, 1), epochs=st.integers(1, 50))
def test_step_rate_is_scaled_by_a_power_of_gamma(lr, step_size, gamma, epochs):
    optimizer = SGD([Parameter(np.zeros(1))], lr=lr)
    schedule = StepLR(optimizer, step_size, gamma)
    for _ in range(epochs):
        schedule.step()
    assert optimizer.lr == pytest.approx(lr * gamma ** (epochs // step_size), rel=1e-12)


# sigmoid and softmax


@settings
@given(x=matrices(elements=extreme))
def test_sigmoid_of_minus_x_is_one_minus_sigmoid(x):
    y = sigmoid(x)
    assert 0 <= y.min() <= y.max() <= 1
    np.testing.assert_allclose(sigmoid(-x), 1 - y, rtol=0, atol=4 * np.finfo(x.dtype).eps)


@settings
@given(x=matrices(elements=extreme))
def test_softmax_rows_are_probabilities(x):
    y = softmax(x)
    assert (y >= 0).all()
    np.testing.assert_allclose(y.sum(axis=1), 1, rtol=10 * np.finfo(x.dtype).eps)


@settings
@given(x=matrices(dtype=st.just(np.float64)))
def test_softmax_gradient_of_a_constant_is_zero(x):
    # The outputs always sum to 1, so their sum has no slope.
    module = Softmax()
    module(x)
    np.testing.assert_allclose(module.backward(np.full(x.shape, 3.0)), 0, atol=1e-14)


# Losses


@st.composite
def classifications(draw, elements=extreme):
    """Draw logits with integer classes that fit."""
    logits = draw(matrices(elements=elements))
    n, k = logits.shape
    return logits, draw(hnp.arrays(np.int64, n, elements=st.integers(0, k - 1)))


@settings
@given(data=classifications(), mix=st.floats(0, 1))
def test_cross_entropy_is_finite_and_nonnegative_for_extreme_logits(data, mix):
    logits, classes = data
    k = logits.shape[1]
    one_hot = np.eye(k)[classes]
    for target in (classes, one_hot, mix * one_hot + (1 - mix) / k):
        loss = CrossEntropyLoss()
        assert 0 <= loss(frozen(logits), frozen(target)) < np.inf
        grad = loss.backward()
        assert np.isfinite(grad).all()
        assert grad.dtype == logits.dtype
        # Each row sums to zero because softmax and target both sum to 1.
        np.testing.assert_allclose(grad.sum(axis=1), 0, atol=10 * np.finfo(logits.dtype).eps)


@settings
@given(logits=matrices(elements=extreme, columns=st.just(1)))
def test_cross_entropy_with_one_class_is_zero(logits):
    loss = CrossEntropyLoss()
    assert loss(logits, np.zeros(len(logits), dtype=int)) == 0
    np.testing.assert_array_equal(loss.backward(), np.zeros_like(logits))


@settings
@given(data=classifications(moderate), seed=st.integers(0, 9))
def test_cross_entropy_does_not_depend_on_sample_order(data, seed):
    logits, classes = data
    order = np.random.default_rng(seed).permutation(len(logits))
    assert CrossEntropyLoss()(logits, classes) == pytest.approx(CrossEntropyLoss()(logits[order], classes[order]))


@settings
@given(logits=matrices(elements=extreme), fraction=st.floats(0, 1))
def test_binary_cross_entropy_is_finite_and_nonnegative_for_extreme_logits(logits, fraction):
    for target in (np.zeros_like(logits), np.ones_like(logits), np.full_like(logits, fraction)):
        loss = BCEWithLogitsLoss()
        assert 0 <= loss(frozen(logits), frozen(target)) < np.inf
        grad = loss.backward()
        assert np.isfinite(grad).all()
        assert grad.dtype == logits.dtype


@settings
@given(logits=matrices(), fraction=st.floats(0, 1, width=32))
def test_binary_cross_entropy_is_symmetric_in_signs_and_targets(logits, fraction):
    target = np.full_like(logits, fraction)
    loss = BCEWithLogitsLoss()
    assert loss(logits, target) == pytest.approx(loss(-logits, 1 - target), rel=1e-5, abs=1e-6)


@settings
@given(pred=matrices(elements=extreme, dtype=st.just(np.float64)))
def test_mse_is_zero_for_a_perfect_prediction_and_positive_otherwise(pred):
    loss = MSELoss()
    assert loss(frozen(pred), frozen(pred)) == 0
    np.testing.assert_array_equal(loss.backward(), np.zeros_like(pred))
    assert 0 < loss(pred, np.where(np.abs(pred) > 1, -pred, pred + 1)) < np.inf
    assert np.isfinite(loss.backward()).all()


# Metrics


@settings
@given(
    classes=hnp.arrays(np.int64, st.tuples(st.integers(1, 20), st.just(2)), elements=st.integers(0, 4)),
)
def test_confusion_matrix_counts_every_sample_and_its_diagonal_gives_accuracy(classes):
    predicted, target = classes.T
    counts = confusion_matrix(target, predicted, labels=range(5))
    np.testing.assert_array_equal(counts.sum(axis=1), np.bincount(target, minlength=5))
    np.testing.assert_array_equal(counts.sum(axis=0), np.bincount(predicted, minlength=5))
    assert accuracy(target, predicted) == pytest.approx(np.trace(counts) / counts.sum())


@hypothesis.settings(settings, max_examples=10)  # scikit-learn is slow here.
@given(
    classes=hnp.arrays(np.int64, st.tuples(st.integers(1, 20), st.just(2)), elements=st.integers(0, 4)),
    more=st.integers(0, 2),
)
def test_class_counts_and_scores_match_scikit_learn(classes, more):
    metrics = pytest.importorskip("sklearn.metrics")
    predicted, target = classes.T
    n_classes = classes.max() + 1 + more
    counts = class_counts(target, predicted, labels=range(n_classes))
    expected = metrics.multilabel_confusion_matrix(target, predicted, labels=range(n_classes))
    np.testing.assert_array_equal(
        np.array([[counts.TN, counts.FP], [counts.FN, counts.TP]]).transpose(2, 0, 1), expected
    )
    for average in (None, "macro", "weighted"):
        how = {"labels": range(n_classes), "average": average}
        found = [score(target, predicted, **how) for score in (precision, recall, f1_score)]
        expected = metrics.precision_recall_fscore_support(target, predicted, **how, zero_division=0)
        np.testing.assert_allclose(np.array(found), np.array(expected[:3], dtype=float), rtol=1e-12)
    one_by_one = [metrics.accuracy_score(target == label, predicted == label) for label in range(n_classes)]
    np.testing.assert_allclose(counts.accuracy, one_by_one)
    weighted = recall(target, predicted, labels=range(n_classes), average="weighted")
    assert weighted == pytest.approx(accuracy(target, predicted))
