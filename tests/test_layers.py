"""Linear and Flatten: values, gradients, dtypes and the errors of their arguments."""

import numpy as np
import pytest

from nnkit import Flatten, Linear, Parameter, Sequential, Tanh, check_gradients


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


@pytest.mark.parametrize("layer", [Linear(3, 2, rng=0), Flatten()])
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
