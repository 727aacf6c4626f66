"""Activations: values against their definitions, gradients against central differences, and extreme inputs."""

import math

import numpy as np
import pytest

from nnkit import LeakyReLU, ReLU, Sigmoid, Softmax, Tanh, check_gradients, sigmoid, softmax
from nnkit.activations import log_softmax, zero_unless

ACTIVATIONS = [ReLU(), LeakyReLU(), LeakyReLU(0.3), Sigmoid(), Tanh(), Softmax()]


def away_from_zero(rng, shape):
    """Draw inputs far enough from zero that no central difference straddles a rectifier's kink."""
    return rng.choice([-1, 1], shape) * rng.uniform(0.1, 2, shape)


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=repr)
@pytest.mark.parametrize("shape", [(1, 4), (5, 3), (2, 3, 4)])
def test_gradients_match_central_differences(activation, shape, rng):
    report = check_gradients(activation, away_from_zero(rng, shape), rng=rng)
    assert report, report
    assert report["input"].n_checked == math.prod(shape)


def test_relu_keeps_positive_values_and_has_zero_slope_at_zero():
    relu = ReLU()
    np.testing.assert_array_equal(relu(np.array([-2.0, 0.0, 3.0])), [0, 0, 3])
    np.testing.assert_array_equal(relu.backward(np.full(3, 5.0)), [0, 0, 5])
    relu(np.array([0.0, -1.0, 0.0, 2.0], np.float32))
    grad = relu.backward(np.array([np.inf, -np.inf, np.nan, np.inf], np.float32))
    np.testing.assert_array_equal(grad, np.array([0, 0, 0, np.inf], np.float32))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_zero_unless_selects_the_value_or_zero(rng, dtype):
    values = rng.normal(size=(4, 6)).astype(dtype)
    values[0, :3] = [np.inf, np.nan, -0.0]
    mask = rng.random((4, 6)) < 0.5
    for a, m in [(values, mask), (values.T, mask.T), (values[:, ::2], mask[:, ::2]), (values[0, 0], mask[0, 0])]:
        found = zero_unless(m, a)
        np.testing.assert_array_equal(found, np.where(m, a, 0))
        assert found.dtype == dtype


def test_leaky_relu_is_exact_near_the_float32_limits():
    leaky = LeakyReLU(2.0)
    x = np.array([3e38, -1e38, 0], np.float32)
    np.testing.assert_array_equal(leaky(x), np.array([3e38, -2e38, 0], np.float32))
    np.testing.assert_array_equal(leaky.backward(x), np.array([3e38, -2e38, 0], np.float32))


def test_leaky_relu_scales_negative_values():
    leaky = LeakyReLU(0.1)
    np.testing.assert_allclose(leaky(np.array([-2.0, 0.0, 3.0])), [-0.2, 0, 3])
    np.testing.assert_allclose(leaky.backward(np.full(3, 5.0)), [0.5, 0.5, 5])


def test_leaky_relu_with_zero_slope_is_relu(rng):
    x = rng.normal(size=(3, 4))
    np.testing.assert_array_equal(LeakyReLU(0)(x), ReLU()(x))


@pytest.mark.parametrize(("slope", "error"), [(-0.1, ValueError), ("steep", TypeError)])
def test_leaky_relu_rejects_a_bad_slope(slope, error):
    with pytest.raises(error, match="negative_slope"):
        LeakyReLU(slope)
    assert repr(LeakyReLU(0.2)) == "LeakyReLU(0.2)"


def test_sigmoid_matches_its_definition():
    x = [-3.0, -0.5, 0.0, 0.5, 3.0]
    np.testing.assert_allclose(sigmoid(x), [1 / (1 + math.exp(-value)) for value in x], rtol=1e-15)
    np.testing.assert_array_equal(Sigmoid()(x), sigmoid(x))


def test_sigmoid_is_exact_far_from_zero_and_saturates_silently():
    np.testing.assert_allclose(sigmoid(np.array([-700.0, -50.0])), np.exp([-700.0, -50.0]), rtol=1e-14)
    np.testing.assert_array_equal(sigmoid(np.array([-1e30, -1e4, 1e4, 1e30])), [0, 0, 1, 1])


def test_tanh_matches_its_definition(rng):
    x = rng.normal(size=(3, 4))
    np.testing.assert_allclose(Tanh()(x), (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x)))


def test_softmax_and_log_softmax_match_their_definitions():
    weights = [math.exp(value) for value in (1.0, 2.0, 4.0)]
    expected = [[weight / sum(weights) for weight in weights]]
    np.testing.assert_allclose(softmax([[1.0, 2.0, 4.0]]), expected)
    np.testing.assert_allclose(log_softmax([[1.0, 2.0, 4.0]]), np.log(expected))
    np.testing.assert_array_equal(log_softmax([[0.0, -1e4]]), [[0, -1e4]])


def test_softmax_handles_the_widest_float32_scores():
    np.testing.assert_array_equal(softmax(np.array([[3e38, -3e38, 3e38]], np.float32)), [[0.5, 0, 0.5]])


def test_softmax_acts_along_the_last_axis(rng):
    x = rng.normal(size=(2, 3, 4))
    np.testing.assert_allclose(softmax(x).sum(axis=-1), 1)
    np.testing.assert_allclose(softmax(x)[1, 2], softmax(x[1, 2]))


def test_softmax_is_invariant_to_a_constant_shift(rng):
    x = rng.normal(size=(3, 4))
    np.testing.assert_allclose(softmax(x + 1000), softmax(x), rtol=1e-10)


def test_softmax_backward_multiplies_the_upstream_gradient_by_the_jacobian(rng):
    x, grad = rng.normal(size=(5, 4)), rng.normal(size=(5, 4))
    layer = Softmax()
    y = layer(x)
    jacobian = y[:, :, None] * (np.eye(4) - y[:, None, :])
    np.testing.assert_allclose(layer.backward(grad), np.einsum("ni,nij->nj", grad, jacobian), rtol=1e-12)


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=repr)
def test_integers_become_float32_and_floats_keep_their_dtype(activation):
    assert activation([[1, -2]]).dtype == np.float32
    for dtype in (np.float32, np.float64):
        assert activation(np.array([[1, -2]], dtype=dtype)).dtype == dtype
        assert activation.backward(np.ones((1, 2), dtype=dtype)).dtype == dtype


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=repr)
def test_activations_validate_their_inputs(activation):
    with pytest.raises(TypeError, match="x must hold real numbers"):
        activation(np.array(["a"]))
    activation(np.ones((4, 3)))
    with pytest.raises(ValueError, match=r"grad must .*\(4, 3\)"):
        activation.backward(np.ones(3))
    activation.backward(np.ones((4, 3)))
    with pytest.raises(RuntimeError, match=type(activation).__name__):
        activation.backward(np.ones((4, 3)))
