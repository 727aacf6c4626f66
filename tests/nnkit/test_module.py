"""Parameter, Module and Sequential: gradients that add up, names, states, and who is asked for dL/dx."""

import copy

import numpy as np
import pytest

from nnkit import (
    SGD,
    BatchNorm1d,
    CrossEntropyLoss,
    Dropout,
    Flatten,
    Linear,
    Module,
    MSELoss,
    Parameter,
    ReLU,
    Sequential,
    Tanh,
)
from nnkit.module import interleaved


class Doubled(Module):
    """A module of somebody else's, without parameters."""

    def forward(self, x):
        self._save()
        return 2 * x

    def backward(self, grad):
        self._take()
        return 2 * grad


class Tied(Module):
    """Two layers that share one weight."""

    def __init__(self, rng):
        self.first = Linear(3, 3, rng=rng, dtype=np.float64)
        self.second = Linear(3, 3, rng=rng, dtype=np.float64)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.second(self.first(x))

    def backward(self, grad):
        return self.first.backward(self.second.backward(grad))


class Listed(Module):
    """Sub-modules in a list and in a tuple."""

    def __init__(self):
        self.layers = [Linear(2, 2, rng=0), Linear(2, 2, rng=1)]
        self.heads = (Linear(2, 1, rng=2),)

    def forward(self, x):
        return x

    def backward(self, grad):
        return grad


def small_network(dtype=np.float64):
    return Sequential(Linear(4, 5, rng=1, dtype=dtype), Tanh(), Linear(5, 3, rng=2, dtype=dtype))


# Parameter


def test_parameter_copies_its_data():
    values = np.ones(3)
    parameter = Parameter(values)
    parameter.data[0] = 5
    assert values[0] == 1


def test_parameter_turns_integers_into_float32():
    assert Parameter([1, 2]).data.dtype == np.float32


def test_parameter_starts_with_a_zero_gradient_of_its_shape_and_dtype():
    parameter = Parameter(np.ones((2, 3), dtype=np.float32))
    assert parameter.grad.shape == (2, 3)
    assert parameter.grad.dtype == np.float32
    assert not parameter.grad.any()


def test_parameter_refuses_what_is_not_a_number():
    with pytest.raises(TypeError, match="data must hold real numbers; got dtype"):
        Parameter(["a"])


def test_parameter_refuses_a_gradient_of_another_shape():
    parameter = Parameter(np.zeros(3))
    with pytest.raises(ValueError, match=r"grad must have the shape of data, \(3,\); got \(2, 3\)"):
        parameter.grad = np.zeros((2, 3))


def test_zeroed_gradient_reads_as_zeros():
    parameter = Parameter(np.zeros(3))
    parameter.grad[:] = 7
    parameter.zero_grad()
    np.testing.assert_array_equal(parameter.grad, 0)


def test_zeroed_gradient_forgets_the_old_one_when_something_is_added():
    parameter = Parameter(np.zeros(3))
    parameter.grad[:] = 7
    parameter.zero_grad()
    parameter.grad += 1
    np.testing.assert_array_equal(parameter.grad, 1)


def test_assigned_gradient_survives_an_earlier_zero_grad():
    parameter = Parameter(np.zeros(3))
    parameter.zero_grad()
    parameter.grad = np.full(3, 4.0)
    np.testing.assert_array_equal(parameter.grad, 4)


def test_product_is_written_after_zero_grad_and_added_otherwise(rng):
    a, b = rng.normal(size=(3, 2)), rng.normal(size=(2, 4))
    parameter = Parameter(np.zeros((3, 4)))
    parameter.grad[:] = 7
    parameter.zero_grad()
    parameter.add_product_to_grad(a, b)
    np.testing.assert_allclose(parameter.grad, a @ b)
    parameter.add_product_to_grad(a, b)
    np.testing.assert_allclose(parameter.grad, 2 * (a @ b))


def test_parameter_shows_its_shape_and_dtype():
    assert repr(Parameter(np.zeros((2, 3)))) == "Parameter(shape=(2, 3), dtype=float64)"


# Module


def test_module_is_abstract():
    with pytest.raises(TypeError, match="abstract"):
        Module()


def test_calling_a_module_is_forward(rng):
    x = rng.normal(size=(2, 4))
    model = small_network()
    np.testing.assert_array_equal(model(x), model.forward(x))


def test_backward_without_forward_names_the_class():
    with pytest.raises(RuntimeError, match=r"Doubled\.backward has nothing to work on: call forward first"):
        Doubled().backward(np.ones(2))


def test_each_forward_serves_one_backward():
    module = Doubled()
    module.forward(np.ones(2))
    module.backward(np.ones(2))
    with pytest.raises(RuntimeError, match=r"Doubled\.backward has nothing"):
        module.backward(np.ones(2))


def test_names_follow_the_tree():
    model = Sequential(Flatten(), Sequential(Linear(2, 2, rng=0), ReLU()), Linear(2, 1, bias=False, rng=0))
    assert [name for name, _ in model.named_parameters()] == ["1.0.weight", "1.0.bias", "2.weight"]


def test_names_reach_into_lists_and_tuples():
    names = [name for name, _ in Listed().named_parameters()]
    assert names == [
        "layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias", "heads.0.weight", "heads.0.bias",
    ]  # fmt: skip


def test_prefix_goes_before_every_name():
    assert [name for name, _ in Linear(1, 1, rng=0).named_parameters("layer.")] == ["layer.weight", "layer.bias"]


def test_shared_parameter_appears_once():
    model = Tied(0)
    assert [name for name, _ in model.named_parameters()] == ["first.weight", "first.bias", "second.bias"]
    assert len(model.parameters()) == 3


def test_shared_parameter_gets_the_sum_of_both_gradients(rng):
    model = Tied(0)
    x, grad = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    hidden = model.first(x)
    model(x)
    model.backward(grad)
    expected = hidden.T @ grad + x.T @ (grad @ model.first.weight.data.T)
    np.testing.assert_allclose(model.first.weight.grad, expected)


def test_two_passes_add_up_without_zero_grad(rng):
    model = small_network()
    pairs = [(rng.normal(size=(6, 4)), rng.normal(size=(6, 3))) for _ in range(2)]
    separate = []
    for x, grad in pairs:
        model.zero_grad()
        model(x)
        model.backward(grad)
        separate.append([parameter.grad.copy() for parameter in model.parameters()])
    model.zero_grad()
    for x, grad in pairs:
        model(x)
        model.backward(grad)
    for parameter, first, second in zip(model.parameters(), *separate, strict=True):
        np.testing.assert_allclose(parameter.grad, first + second)


def test_zero_grad_zeroes_the_whole_tree(rng):
    model = Sequential(small_network(), Linear(3, 2, rng=3))
    model(rng.normal(size=(6, 4)))
    model.backward(rng.normal(size=(6, 2)))
    assert all(parameter.grad.any() for parameter in model.parameters())
    model.zero_grad()
    assert not any(parameter.grad.any() for parameter in model.parameters())


def test_train_and_eval_reach_the_whole_tree():
    inner = ReLU()
    model = Sequential(Sequential(inner), Linear(2, 2, rng=0))
    assert model.eval() is model
    assert not model.training
    assert not inner.training
    assert model.train() is model
    assert inner.training


def test_astype_converts_values_and_zeroes_gradients(rng):
    model = small_network(np.float32)
    model(rng.normal(size=(2, 4)))
    model.backward(np.ones((2, 3), dtype=np.float32))
    before = model.state_dict()
    assert model.astype(np.float64) is model
    for name, parameter in model.named_parameters():
        assert parameter.data.dtype == parameter.grad.dtype == np.float64
        assert not parameter.grad.any()
        np.testing.assert_array_equal(parameter.data, before[name])
    assert model(rng.normal(size=(2, 4))).dtype == np.float64


def test_astype_refuses_integers():
    with pytest.raises(TypeError, match="dtype must be a floating-point dtype such as float32; got int64"):
        small_network().astype(np.int64)


def test_deep_copy_is_independent(rng):
    model = small_network()
    SGD(model.parameters(), lr=0.1)  # Now the parameters are views of one array, which must not be shared.
    other = copy.deepcopy(model)
    other.parameters()[0].data += 1
    other.parameters()[0].grad += 1
    assert not model.parameters()[0].grad.any()
    assert not np.array_equal(model.parameters()[0].data, other.parameters()[0].data)


# State


def test_state_dict_round_trip(rng):
    model, other = small_network(), small_network()
    for parameter in other.parameters():
        parameter.data += rng.normal(size=parameter.data.shape)
    other.load_state_dict(model.state_dict())
    x = rng.normal(size=(3, 4))
    np.testing.assert_array_equal(other(x), model(x))


def test_state_dict_is_a_copy():
    model = small_network()
    state = model.state_dict()
    model.parameters()[0].data += 1
    assert not np.array_equal(state["0.weight"], model.parameters()[0].data)


def test_loading_copies_the_values():
    model = small_network()
    state = {name: value + 1 for name, value in model.state_dict().items()}
    model.load_state_dict(state)
    state["0.weight"][:] = 0
    assert model.parameters()[0].data.any()


def test_loading_keeps_the_dtype_of_the_parameter():
    model = small_network(np.float32)
    model.load_state_dict(small_network(np.float64).state_dict())
    assert {parameter.data.dtype for parameter in model.parameters()} == {np.dtype(np.float32)}


def test_loading_keeps_an_optimizer_at_work():
    model = small_network()
    optimizer = SGD(model.parameters(), lr=1.0)
    state = model.state_dict()
    model.load_state_dict(state)
    for parameter in model.parameters():
        parameter.grad += 1
    optimizer.step()
    np.testing.assert_allclose(model.parameters()[0].data, state["0.weight"] - 1)


def check_nothing_changes(model, state, error, match, strict=True):
    before = model.state_dict()
    with pytest.raises(error, match=match):
        model.load_state_dict(state, strict=strict)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_missing_and_unexpected_names_are_errors_that_change_nothing():
    model = small_network()
    state = {name: value + 1 for name, value in model.state_dict().items()}
    state["extra"] = state.pop("2.bias")
    check_nothing_changes(model, state, KeyError, r"Sequential: missing \['2.bias'\], unexpected \['extra'\]")


def test_wrong_shape_is_an_error_that_changes_nothing():
    model = small_network()
    state = {name: value + 1 for name, value in model.state_dict().items()}
    state["2.bias"] = np.zeros(7)
    match = r"state\['2.bias'\] must have the shape of the parameter, \(3,\); got \(7,\)"
    check_nothing_changes(model, state, ValueError, match)
    check_nothing_changes(model, state, ValueError, match, strict=False)


def test_nan_is_an_error_that_changes_nothing():
    model = small_network()
    state = {name: value + 1 for name, value in model.state_dict().items()}
    state["2.weight"][1, 2] = np.nan
    check_nothing_changes(model, state, ValueError, r"state\['2.weight'\] must be finite .* at index \(1, 2\)")


def test_value_too_large_for_the_dtype_is_an_error_that_changes_nothing():
    model = small_network(np.float32)
    state = small_network(np.float64).state_dict()
    state["2.bias"][0] = 1e300
    check_nothing_changes(model, state, ValueError, r"state\['2.bias'\] must be finite as float32")


def test_not_strict_loads_what_is_there():
    model = small_network()
    before = model.state_dict()
    model.load_state_dict({"0.bias": np.ones(5), "extra": np.ones(2)}, strict=False)
    np.testing.assert_array_equal(model.state_dict()["0.bias"], 1)
    np.testing.assert_array_equal(model.state_dict()["0.weight"], before["0.weight"])


# Buffers


def normalized_network(dtype=np.float64):
    """Return a network with running statistics that have seen a batch."""
    model = Sequential(
        Linear(4, 5, rng=1, dtype=dtype),
        Sequential(BatchNorm1d(5, dtype=dtype), Tanh()),
        Linear(5, 3, rng=2, dtype=dtype),
    )
    model(np.random.default_rng(0).normal(3, 2, size=(8, 4)))
    return model


def test_named_modules_are_the_whole_tree_under_dotted_names():
    inner = Sequential(Linear(2, 2, rng=0), ReLU())
    model = Sequential(Flatten(), inner)
    expected = [("", model), ("0", model[0]), ("1", inner), ("1.0", inner[0]), ("1.1", inner[1])]
    assert list(model.named_modules()) == expected
    assert [name for name, _ in inner.named_modules("net")] == ["net", "net.0", "net.1"]


def test_named_buffers_are_the_arrays_themselves_and_no_parameters():
    model = normalized_network()
    buffers = dict(model.named_buffers())
    assert list(buffers) == ["1.0.running_mean", "1.0.running_var"]
    assert buffers["1.0.running_mean"] is model[1][0].running_mean
    assert [name for name, _ in model[1][0].named_buffers("norm.")] == ["norm.running_mean", "norm.running_var"]
    assert not buffers.keys() & dict(model.named_parameters()).keys()
    assert list(small_network().named_buffers()) == []


def test_shared_buffers_appear_once():
    class Shared(Tied):
        def __init__(self):
            self.first = BatchNorm1d(3)
            self.second = self.first

    assert [name for name, _ in Shared().named_buffers()] == ["first.running_mean", "first.running_var"]


def test_state_holds_the_running_statistics_and_gives_them_back(rng):
    model = normalized_network()
    state = model.state_dict()
    assert list(state) == [
        "0.weight", "0.bias", "1.0.weight", "1.0.bias", "2.weight", "2.bias", "1.0.running_mean", "1.0.running_var",
    ]  # fmt: skip
    x = rng.normal(size=(3, 4))
    expected = model.eval()(x)
    model.train()(x)  # moves the running statistics, not those in state
    assert not np.array_equal(model.eval()(x), expected)
    model.load_state_dict(state)
    np.testing.assert_array_equal(model(x), expected)
    other = Sequential(Linear(4, 5, rng=7), Sequential(BatchNorm1d(5), Tanh()), Linear(5, 3, rng=8)).eval()
    other.astype(np.float64).load_state_dict(state)
    np.testing.assert_array_equal(other(x), expected)


def test_loaded_running_statistics_are_copies_in_the_dtype_of_the_layer():
    model = normalized_network(np.float32)
    state = normalized_network(np.float64).state_dict()
    model.load_state_dict(state)
    assert model[1][0].running_var.dtype == np.float32
    state["1.0.running_var"][:] = -1
    assert (model[1][0].running_var > 0).all()


def test_missing_and_wrong_buffers_are_errors_that_change_nothing():
    model = normalized_network()
    state = {name: value + 1 for name, value in model.state_dict().items()}
    lacking = {name: value for name, value in state.items() if name != "1.0.running_var"}
    check_nothing_changes(model, lacking, KeyError, r"missing \['1.0.running_var'\], unexpected \[\]")
    extra = state | {"1.0.num_batches_tracked": np.array(1)}
    check_nothing_changes(model, extra, KeyError, r"missing \[\], unexpected \['1.0.num_batches_tracked'\]")
    bad_shape = state | {"1.0.running_var": np.ones(4)}
    match = r"state\['1.0.running_var'\] must have the shape of the buffer, \(5,\); got \(4,\)"
    check_nothing_changes(model, bad_shape, ValueError, match)
    check_nothing_changes(model, bad_shape, ValueError, match, strict=False)
    nan = state | {"1.0.running_mean": np.full(5, np.nan)}
    check_nothing_changes(model, nan, ValueError, r"state\['1.0.running_mean'\] must be finite")


def test_negative_variance_is_an_error_that_changes_nothing():
    model = normalized_network()
    state = {name: value + 1 for name, value in model.state_dict().items()}
    state["1.0.running_var"][2] = -0.5
    state["1.0.running_mean"][:] = -3  # Which a mean may be.
    match = r"state\['1.0.running_var'\] must hold no negative number; got -0.5"
    check_nothing_changes(model, state, ValueError, match)
    check_nothing_changes(model, state, ValueError, match, strict=False)
    state["1.0.running_var"][2] = 0
    model.load_state_dict(state)
    alone = BatchNorm1d(2)
    check_nothing_changes(
        alone, alone.state_dict() | {"running_var": [-1.0, 1.0]}, ValueError, r"state\['running_var'\]"
    )


@pytest.mark.parametrize("state", [None, 5, "weights", [("0.weight", 1)]], ids=repr)
def test_state_that_is_no_mapping_is_an_error_that_changes_nothing(state):
    check_nothing_changes(normalized_network(), state, TypeError, "state must be what state_dict returned; got")


def test_not_strict_loads_the_buffers_that_are_there():
    model = normalized_network()
    before = model.state_dict()
    model.load_state_dict({"1.0.running_mean": np.full(5, 9), "1.0.num_batches_tracked": np.array(1)}, strict=False)
    np.testing.assert_array_equal(model[1][0].running_mean, 9)
    np.testing.assert_array_equal(model[1][0].running_var, before["1.0.running_var"])


def test_buffers_follow_astype():
    model = normalized_network(np.float32)
    before = model.state_dict()
    model.astype(np.float64)
    for name, array in model.named_buffers():
        assert array.dtype == np.float64
        np.testing.assert_array_equal(array, before[name])


def test_deep_copy_has_running_statistics_of_its_own():
    model = normalized_network()
    other = copy.deepcopy(model)
    before = model.state_dict()
    np.testing.assert_array_equal(other[1][0].running_mean, before["1.0.running_mean"])
    other(np.ones((2, 4)))
    np.testing.assert_array_equal(model[1][0].running_mean, before["1.0.running_mean"])
    assert not np.array_equal(other[1][0].running_mean, before["1.0.running_mean"])


def test_optimizer_leaves_buffers_alone():
    model = normalized_network()
    before = model.state_dict()
    optimizer = SGD(model.parameters(), lr=1.0, weight_decay=0.5)
    optimizer.step()
    np.testing.assert_array_equal(model[1][0].running_mean, before["1.0.running_mean"])
    assert not np.array_equal(model[1][0].weight.data, before["1.0.weight"])


def test_named_generators_are_those_of_the_layers_each_once():
    shared, own = np.random.default_rng(0), np.random.default_rng(1)
    model = Sequential(Dropout(rng=shared), Sequential(Linear(2, 2, rng=own), Dropout(rng=own), Dropout(rng=shared)))
    assert list(model.named_generators()) == [("0.rng", shared), ("1.1.rng", own)]
    assert list(model[0].named_generators()) == [("rng", shared)]
    assert list(small_network().named_generators()) == []


# Sequential


def test_sequential_applies_its_modules_in_order(rng):
    x = rng.normal(size=(3, 4))
    first, second = Linear(4, 5, rng=0), Linear(5, 2, rng=1)
    np.testing.assert_array_equal(Sequential(first, Tanh(), second)(x), second(np.tanh(first(x))))


def test_empty_sequential_is_the_identity(rng):
    x = rng.normal(size=(3, 4))
    model = Sequential()
    np.testing.assert_array_equal(model(x), x)
    np.testing.assert_array_equal(model.backward(x), x)


def test_sequential_is_a_sequence_of_modules():
    model = small_network()
    assert len(model) == 3
    assert list(model) == [model[0], model[1], model[2]]
    assert isinstance(model[1], Tanh)
    assert model[-1] is model[2]


def test_slice_shares_its_modules():
    model = small_network()
    part = model[:2]
    assert isinstance(part, Sequential)
    assert part[0] is model[0]
    assert len(part) == 2


def test_sequential_shows_its_modules():
    assert repr(small_network()) == "Sequential(Linear(4, 5), Tanh(), Linear(5, 3))"


def test_class_instead_of_an_instance_is_pointed_out():
    with pytest.raises(TypeError, match=r"modules\[1\] must be a Module; got .*; write ReLU\(\) with parentheses"):
        Sequential(Linear(2, 2, rng=0), ReLU)


def test_anything_else_than_a_module_is_refused():
    with pytest.raises(TypeError, match=r"modules\[0\] must be a Module; got 'relu'$"):
        Sequential("relu")


def test_the_same_object_twice_is_refused():
    relu = ReLU()
    with pytest.raises(ValueError, match="modules holds the same object twice"):
        Sequential(Linear(2, 2, rng=0), relu, Linear(2, 2, rng=0), relu)


class Forgetful(Doubled):
    """Its backward forgot to return."""

    def backward(self, grad):
        self._take()


def test_backward_without_a_return_is_an_error_and_not_a_layer_that_never_learns():
    model = Sequential(Linear(2, 2, rng=0), Forgetful(), Linear(2, 2, rng=0))
    model(np.ones((1, 2)))
    with pytest.raises(TypeError, match=r"modules\[1\], Forgetful\(\), must return dL/dx from backward; got None"):
        model.backward(np.ones((1, 2)))


def test_interleaved_puts_a_new_activation_between_each_two_layers():
    layers = [Linear(2, 3, rng=0), Linear(3, 4, rng=1), Linear(4, 2, rng=2)]
    model = interleaved(layers, Tanh)
    assert [type(module) for module in model] == [Linear, Tanh, Linear, Tanh, Linear]
    assert list(model[::2]) == layers
    assert model[1] is not model[3]
    assert list(interleaved(layers[:1], Tanh)) == layers[:1]


# needs_input_grad


def networks_that_start_differently():
    return {
        "Linear first": small_network(),
        "Flatten first": Sequential(Flatten(), small_network()),
        "nested": Sequential(Sequential(Sequential(Flatten(), small_network())), Linear(3, 3, rng=5)),
        "custom activation first": Sequential(Doubled(), small_network()),
        "BatchNorm1d first": Sequential(BatchNorm1d(4, dtype=np.float64), small_network()),
        "BatchNorm1d first, in evaluation mode": Sequential(BatchNorm1d(4, dtype=np.float64), small_network()).eval(),
        "Dropout first": Sequential(Dropout(0.0), small_network()),
        "Linear alone": Linear(4, 3, rng=0, dtype=np.float64),
    }


@pytest.mark.parametrize("name", networks_that_start_differently())
def test_parameters_get_the_same_gradients_where_nobody_needs_that_of_the_input(name, rng):
    model = networks_that_start_differently()[name]
    x, grad = rng.normal(size=(6, 4)), rng.normal(size=(6, 3))
    model(x)
    assert model.backward(grad).shape == x.shape
    expected = [parameter.grad.copy() for parameter in model.parameters()]
    model.zero_grad()
    model.needs_input_grad = False
    assert not model.needs_input_grad
    model(x)
    assert model.backward(grad) is None
    for parameter, value in zip(model.parameters(), expected, strict=True):
        np.testing.assert_array_equal(parameter.grad, value)
    model.needs_input_grad = True
    assert model.needs_input_grad
    model(x)
    assert model.backward(grad).shape == x.shape


def test_network_without_parameters_always_returns_the_input_gradient():
    model = Sequential(Doubled(), Tanh())
    model.needs_input_grad = False
    assert model.needs_input_grad
    model(np.ones((1, 2)))
    assert model.backward(np.ones((1, 2))).shape == (1, 2)


def test_only_the_first_layer_with_parameters_is_told():
    model = Sequential(Doubled(), Linear(2, 2, rng=0), Linear(2, 2, rng=0))
    model.needs_input_grad = False
    assert [module.needs_input_grad for module in model] == [True, False, True]
    model = Sequential(Dropout(rng=0), BatchNorm1d(2), Linear(2, 2, rng=0))
    model.needs_input_grad = False
    assert [module.needs_input_grad for module in model] == [True, False, True]


# The whole way


def test_network_and_loss_follow_the_chain_rule(rng):
    x, target = rng.normal(size=(5, 4)), rng.normal(size=(5, 3))
    model, loss = small_network(), MSELoss()
    hidden = np.tanh(x @ model[0].weight.data + model[0].bias.data)
    error = 2 / 15 * (hidden @ model[2].weight.data + model[2].bias.data - target)
    loss(model(x), target)
    input_grad = model.backward(loss.backward())
    hidden_grad = (error @ model[2].weight.data.T) * (1 - hidden**2)
    np.testing.assert_allclose(model[2].weight.grad, hidden.T @ error)
    np.testing.assert_allclose(model[2].bias.grad, error.sum(axis=0))
    np.testing.assert_allclose(model[0].weight.grad, x.T @ hidden_grad)
    np.testing.assert_allclose(input_grad, hidden_grad @ model[0].weight.data.T)


def test_gradient_does_not_depend_on_how_often_the_batch_is_repeated(rng):
    # The loss divides by the batch, and nothing else does.
    x, y = rng.normal(size=(5, 4)), rng.integers(0, 3, 5)
    gradients = []
    for repeats in (1, 4):
        model, loss = small_network(), CrossEntropyLoss()
        loss(model(np.tile(x, (repeats, 1))), np.tile(y, repeats))
        model.backward(loss.backward())
        gradients.append([parameter.grad for parameter in model.parameters()])
    for once, repeated in zip(*gradients, strict=True):
        np.testing.assert_allclose(repeated, once, rtol=1e-12, atol=1e-15)
