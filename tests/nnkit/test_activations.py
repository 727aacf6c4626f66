"""Activations: values against their definitions, gradients against central differences, and extreme inputs."""

import math

import numpy as np
import pytest

from nnkit import LeakyReLU, ReLU, Sigmoid, Softmax, Tanh, check_gradients, sigmoid, softmax
from nnkit.checks import zero_unless

ACTIVATIONS = [ReLU(), LeakyReLU(), LeakyReLU(0.3), Sigmoid(), Tanh(), Softmax()]


def away_from_zero(rng, shape):
    """Draw inputs that no step of a central difference takes across the kink of a rectifier."""
    return rng.choice([-1, 1], shape) * rng.uniform(0.1, 2, shape)


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=repr)
@pytest.mark.parametrize("shape", [(1, 4), (5, 3), (2, 3, 4)])
def test_gradients_match_central_differences(activation, shape, rng):
    report = check_gradients(activation, away_from_zero(rng, shape), rng=rng)
    assert report, report
    assert report["input"].n_checked == math.prod(shape)


def test_relu_keeps_the_positive_part():
    np.testing.assert_array_equal(ReLU()(np.array([-2.0, 0.0, 3.0])), [0, 0, 3])


def test_relu_has_slope_zero_at_zero():
    relu = ReLU()
    relu(np.array([-1.0, 0.0, 1.0]))
    np.testing.assert_array_equal(relu.backward(np.full(3, 5.0)), [0, 0, 5])


def test_relu_has_slope_zero_at_zero_for_any_gradient():
    relu = ReLU()
    relu(np.array([0.0, -1.0, 0.0, 2.0], np.float32))
    grad = relu.backward(np.array([np.inf, -np.inf, np.nan, np.inf], np.float32))
    np.testing.assert_array_equal(grad, np.array([0, 0, 0, np.inf], np.float32))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_zero_unless_is_a_choice_between_the_value_and_zero(rng, dtype):
    values = rng.normal(size=(4, 6)).astype(dtype)
    values[0, :3] = [np.inf, np.nan, -0.0]
    mask = rng.random((4, 6)) < 0.5
    for a, m in [(values, mask), (values.T, mask.T), (values[:, ::2], mask[:, ::2]), (values[0, 0], mask[0, 0])]:
        found = zero_unless(m, a)
        np.testing.assert_array_equal(found, np.where(m, a, 0))
        assert found.dtype == dtype


def test_leaky_relu_at_the_edge_of_float32_overflows_only_where_its_value_does():
    leaky = LeakyReLU(2.0)
    x = np.array([3e38, -1e38, 0], np.float32)
    np.testing.assert_array_equal(leaky(x), np.array([3e38, -2e38, 0], np.float32))
    np.testing.assert_array_equal(leaky.backward(x), np.array([3e38, -2e38, 0], np.float32))


def test_leaky_relu_scales_the_negative_part():
    leaky = LeakyReLU(0.1)
    np.testing.assert_allclose(leaky(np.array([-2.0, 0.0, 3.0])), [-0.2, 0, 3])
    np.testing.assert_allclose(leaky.backward(np.full(3, 5.0)), [0.5, 0.5, 5])


def test_leaky_relu_with_slope_zero_is_relu(rng):
    x = rng.normal(size=(3, 4))
    np.testing.assert_array_equal(LeakyReLU(0)(x), ReLU()(x))


def test_leaky_relu_refuses_a_negative_slope():
    with pytest.raises(ValueError, match=r"negative_slope must be a finite number at least 0; got -0\.1"):
        LeakyReLU(-0.1)
    with pytest.raises(TypeError, match="negative_slope must be a number; got 'steep'"):
        LeakyReLU("steep")


def test_leaky_relu_shows_its_slope():
    assert repr(LeakyReLU(0.2)) == "LeakyReLU(0.2)"


def test_sigmoid_follows_its_definition():
    x = [-3.0, -0.5, 0.0, 0.5, 3.0]
    np.testing.assert_allclose(sigmoid(x), [1 / (1 + math.exp(-value)) for value in x], rtol=1e-15)
    np.testing.assert_array_equal(Sigmoid()(x), sigmoid(x))


def test_sigmoid_keeps_its_relative_precision_far_from_zero():
    np.testing.assert_allclose(sigmoid(np.array([-700.0, -50.0])), np.exp([-700.0, -50.0]), rtol=1e-14)


def test_sigmoid_saturates_without_a_warning():
    np.testing.assert_array_equal(sigmoid(np.array([-1e30, -1e4, 1e4, 1e30])), [0, 0, 1, 1])


def test_tanh_follows_its_definition(rng):
    x = rng.normal(size=(3, 4))
    np.testing.assert_allclose(Tanh()(x), (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x)))


def test_softmax_follows_its_definition():
    weights = [math.exp(value) for value in (1.0, 2.0, 4.0)]
    np.testing.assert_allclose(softmax([[1.0, 2.0, 4.0]]), [[weight / sum(weights) for weight in weights]])


def test_softmax_of_scores_as_far_apart_as_float32_goes():
    np.testing.assert_array_equal(softmax(np.array([[3e38, -3e38, 3e38]], np.float32)), [[0.5, 0, 0.5]])


def test_softmax_is_taken_along_the_last_axis(rng):
    x = rng.normal(size=(2, 3, 4))
    np.testing.assert_allclose(softmax(x).sum(axis=-1), 1)
    np.testing.assert_allclose(softmax(x)[1, 2], softmax(x[1, 2]))


def test_softmax_does_not_change_where_all_scores_shift(rng):
    x = rng.normal(size=(3, 4))
    np.testing.assert_allclose(softmax(x + 1000), softmax(x), rtol=1e-10)


def test_softmax_backward_is_the_upstream_gradient_times_the_jacobian(rng):
    x, grad = rng.normal(size=(5, 4)), rng.normal(size=(5, 4))
    layer = Softmax()
    layer(x)
    expected = np.einsum("ni,nij->nj", grad, layer.jacobian(x))
    np.testing.assert_allclose(layer.backward(grad), expected, rtol=1e-12)


def test_softmax_jacobian_matches_central_differences(rng):
    x, eps = rng.normal(size=(1, 4)), 1e-6
    jacobian = Softmax().jacobian(x)
    assert jacobian.shape == (1, 4, 4)
    for j in range(4):
        step = np.zeros((1, 4))
        step[0, j] = eps
        np.testing.assert_allclose(jacobian[0, :, j], (softmax(x + step) - softmax(x - step))[0] / (2 * eps), rtol=1e-6)


def test_softmax_jacobian_leaves_the_saved_forward_alone(rng):
    x, layer = rng.normal(size=(2, 3)), Softmax()
    layer(x)
    layer.jacobian(rng.normal(size=(2, 3)))
    layer_again = Softmax()
    layer_again(x)
    grad = rng.normal(size=(2, 3))
    np.testing.assert_array_equal(layer.backward(grad), layer_again.backward(grad))


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=repr)
def test_integers_become_float32_and_floats_keep_their_dtype(activation):
    assert activation([[1, -2]]).dtype == np.float32
    for dtype in (np.float32, np.float64):
        assert activation(np.array([[1, -2]], dtype=dtype)).dtype == dtype
        assert activation.backward(np.ones((1, 2), dtype=dtype)).dtype == dtype


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=repr)
def test_activations_name_themselves_where_forward_is_missing_or_used_up(activation):
    fresh = type(activation)()
    match = rf"{type(activation).__name__}\.backward has nothing to work on"
    with pytest.raises(RuntimeError, match=match):
        fresh.backward(np.ones((2, 3)))
    fresh(np.ones((2, 3)))
    fresh.backward(np.ones((2, 3)))
    with pytest.raises(RuntimeError, match=match):
        fresh.backward(np.ones((2, 3)))


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=repr)
def test_activations_refuse_an_upstream_gradient_that_would_be_broadcast(activation):
    activation(np.ones((4, 3)))
    with pytest.raises(ValueError, match=r"grad must have the shape of the output, \(4, 3\); got \(3,\)"):
        activation.backward(np.ones(3))


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=repr)
def test_activations_refuse_what_is_not_a_number(activation):
    with pytest.raises(TypeError, match="x must hold real numbers; got dtype"):
        activation(np.array(["a"]))
