"""Parameter, Module and Sequential: gradients, names, state, display, and training without dL/dx."""

import contextlib
import copy

import numpy as np
import pytest

from nnkit import (
    SGD,
    Autoencoder,
    BatchNorm1d,
    CrossEntropyLoss,
    Dropout,
    Flatten,
    GaussianNoise,
    Linear,
    Module,
    MSELoss,
    Parameter,
    ReLU,
    Sequential,
    Tanh,
    check_gradients,
    fit,
)
from nnkit.module import interleaved


class Doubled(Module):
    """A user's module without parameters."""

    def forward(self, x):
        return 2 * x

    def backward(self, grad):
        return 2 * grad


class Doubling(Linear):
    """A user's layer that modifies both passes of another layer."""

    def forward(self, x):
        return 2 * super().forward(x)

    def backward(self, grad):
        return super().backward(2 * grad)


class Shared(Module):
    """Two layers that share one weight."""

    def __init__(self):
        self.first = Linear(3, 3, rng=0, dtype=np.float64)
        self.second = Linear(3, 3, rng=0, dtype=np.float64)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.second(self.first(x))

    def backward(self, grad):
        return self.first.backward(self.second.backward(grad))


class Polynomial(Module):
    """Keeps its parameters in a list and a dict: y = x W_0 + x^2 W_1 + b."""

    def __init__(self, width_in=4, width_out=4):
        draw = np.random.default_rng(3).normal
        self.weights = [Parameter(draw(size=(width_in, width_out))) for _ in range(2)]
        self.extra = {"bias": Parameter(draw(size=width_out))}

    def forward(self, x):
        self.saved = x
        return x @ self.weights[0].data + x**2 @ self.weights[1].data + self.extra["bias"].data

    def backward(self, grad):
        x = self.saved
        for power, weight in enumerate(self.weights, start=1):
            weight.grad += (x**power).T @ grad
        self.extra["bias"].grad += grad.sum(axis=0)
        first, second = self.weights
        return grad @ first.data.T + 2 * x * (grad @ second.data.T)


class Branches(Module):
    """Keeps its modules in a list, a tuple and a dict; forward sums their outputs."""

    def __init__(self):
        self.layers = [Linear(2, 2, rng=0), Linear(2, 2, rng=1)]
        self.pair = (Linear(2, 2, bias=False, rng=2),)
        self.named = {"left": ReLU(), "right": [Polynomial(2, 2)]}

    def forward(self, x):
        return sum(branch(x) for branch in self.children())

    def backward(self, grad):
        return sum(branch.backward(grad) for branch in self.children())


def small_network(dtype=np.float64):
    return Sequential(Linear(4, 5, rng=1, dtype=dtype), Tanh(), Linear(5, 3, rng=2, dtype=dtype))


def normalized_network(dtype=np.float64):
    """Return a network whose running statistics have seen a batch."""
    model = Sequential(
        Linear(4, 5, rng=1, dtype=dtype),
        Sequential(BatchNorm1d(5, dtype=dtype), Tanh()),
        Linear(5, 3, rng=2, dtype=dtype),
    )
    model(np.random.default_rng(0).normal(3, 2, size=(8, 4)))
    return model


def names(pairs):
    return [name for name, _ in pairs]


# Parameter


def test_parameter_copies_its_values_and_starts_with_zero_gradient():
    values = np.ones((2, 3))
    parameter = Parameter(values)
    parameter.data[0] = 5
    assert values[0, 0] == 1
    assert parameter.grad.shape == (2, 3)
    assert parameter.grad.dtype == np.float64
    assert not parameter.grad.any()
    assert repr(parameter) == "Parameter(shape=(2, 3), dtype=float64)"
    assert Parameter([1, 2]).data.dtype == Parameter([1, 2]).grad.dtype == np.float32


def test_parameter_rejects_non_numbers():
    with pytest.raises(TypeError, match="data"):
        Parameter(["a"])


def test_zero_grad_zeroes_in_place():
    parameter = Parameter(np.zeros(3))
    grad = parameter.grad
    grad += 7
    parameter.zero_grad()
    np.testing.assert_array_equal(grad, 0)
    parameter.grad += 1
    np.testing.assert_array_equal(grad, 1)


def test_transposed_parameter_shares_values_and_gradient(rng):
    parameter = Parameter(rng.normal(size=(2, 3)))
    transposed = parameter.T
    np.testing.assert_array_equal(transposed.data, parameter.data.T)
    transposed.data[2, 0] = 9
    transposed.grad += [[1, 2], [3, 4], [5, 6]]
    assert parameter.data[0, 2] == 9
    np.testing.assert_array_equal(parameter.grad, [[1, 3, 5], [2, 4, 6]])


# Forward and backward


@pytest.mark.parametrize("call", ["forward", "backward"])
def test_base_module_says_what_a_subclass_must_define(call):
    with pytest.raises(NotImplementedError, match=f"Module must define {call}"):
        getattr(Module(), call)(np.ones((2, 2)))


def test_calling_a_module_runs_forward(rng):
    x = rng.normal(size=(2, 4))
    model = small_network()
    np.testing.assert_array_equal(model(x), model.forward(x))


@pytest.mark.parametrize("back", ["backward", "accumulate"])
@pytest.mark.parametrize("module", [Doubled(), Linear(2, 2, rng=0, dtype=np.float64), Sequential()], ids=repr)
def test_each_backward_needs_its_own_forward(module, back):
    name = type(module).__name__
    with pytest.raises(RuntimeError, match=name):
        getattr(module, back)(np.ones((2, 2)))
    module.forward(np.ones((2, 2)))
    getattr(module, back)(np.ones((2, 2)))
    with pytest.raises(RuntimeError, match=name):
        getattr(module, back)(np.ones((2, 2)))


def test_backward_fails_after_evaluating_or_a_failed_forward():
    model = small_network()
    model(np.ones((2, 4)))
    with model.evaluating():
        pass
    assert all(module.saved is None for _, module in model.named_modules())
    with pytest.raises(RuntimeError, match="Sequential"):
        model.backward(np.ones((2, 3)))
    flatten = Flatten()
    flatten(np.ones((2, 4)))
    with pytest.raises(ValueError, match="x must have at least one axis"):
        flatten(np.float64(1))
    with pytest.raises(RuntimeError, match="Flatten"):
        flatten.backward(np.ones((2, 4)))


@pytest.mark.parametrize(
    ("grad", "error"), [(np.ones((1, 3)), ValueError), (None, TypeError), ([[1.0, 1.0, 1.0]], TypeError)]
)
@pytest.mark.parametrize("back", ["backward", "accumulate"])
def test_upstream_gradient_must_match_the_output_shape(back, grad, error):
    model = small_network()
    model(np.ones((2, 4)))
    with pytest.raises(error, match=r"grad must .*output, \(2, 3\)"):
        getattr(model, back)(grad)
    assert not any(parameter.grad.any() for parameter in model.parameters())


def test_backward_without_return_value_raises():
    class Forgetful(Doubled):
        def backward(self, grad):
            pass

    model = Sequential(Linear(2, 2, rng=0), Forgetful(), Linear(2, 2, rng=0))
    for back in (model.backward, model.accumulate):
        model(np.ones((1, 2)))
        with pytest.raises(TypeError, match=r"Forgetful\.backward must return"):
            back(np.ones((1, 2)))


def test_shared_parameter_gets_the_sum_of_both_gradients(rng):
    model = Shared()
    assert names(model.named_parameters()) == ["first.weight", "first.bias", "second.bias"]
    x, grad = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    hidden = model.first(x)
    model(x)
    model.backward(grad)
    expected = hidden.T @ grad + x.T @ (grad @ model.first.weight.data.T)
    np.testing.assert_allclose(model.first.weight.grad, expected)


def test_gradients_accumulate_until_zero_grad(rng):
    model = Sequential(small_network(), Linear(3, 2, rng=3, dtype=np.float64))
    passes = [(rng.normal(size=(6, 4)), rng.normal(size=(6, 2))) for _ in range(2)]

    def gradients(*passes):
        model.zero_grad()
        assert not any(parameter.grad.any() for parameter in model.parameters())
        for x, grad in passes:
            model(x)
            model.backward(grad)
        return [parameter.grad.copy() for parameter in model.parameters()]

    for first, second, both in zip(*map(gradients, passes), gradients(*passes), strict=True):
        assert first.any()
        np.testing.assert_allclose(both, first + second)


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


def test_only_the_loss_divides_by_the_batch_size(rng):
    x, y = rng.normal(size=(5, 4)), rng.integers(0, 3, 5)
    gradients = []
    for repeats in (1, 4):
        model, loss = small_network(), CrossEntropyLoss()
        loss(model(np.tile(x, (repeats, 1))), np.tile(y, repeats))
        model.backward(loss.backward())
        gradients.append([parameter.grad for parameter in model.parameters()])
    for once, repeated in zip(*gradients, strict=True):
        np.testing.assert_allclose(repeated, once, rtol=1e-12, atol=1e-15)


# accumulate: backward without dL/dx


def linear(width_in=4, width_out=4):
    return Linear(width_in, width_out, rng=0, dtype=np.float64)


NETWORKS = {
    "Linear": linear,
    "Sequential": lambda: Sequential(*small_network(), linear(3)),
    "nested": lambda: Sequential(Sequential(Sequential(Flatten(), small_network())), linear(3)),
    "Flatten first": lambda: Sequential(Flatten(), linear(), Tanh()),
    "Dropout first": lambda: Sequential(Dropout(0.5, rng=0), linear()),
    "GaussianNoise first": lambda: Sequential(GaussianNoise(0.5, rng=0, clip=(-1, 1)), linear(), Dropout(0.5, rng=1)),
    "a user's module first": lambda: Sequential(Doubled(), linear()),
    "BatchNorm1d first": lambda: Sequential(BatchNorm1d(4, dtype=np.float64), linear()),
    "in evaluation mode": lambda: Sequential(BatchNorm1d(4, dtype=np.float64), Dropout(rng=0), linear()).eval(),
    "autoencoder": lambda: Autoencoder.symmetric([4, 3, 2], rng=0).astype(np.float64),
    "tied autoencoder": lambda: Autoencoder.symmetric([4, 3, 2], rng=0, tied=True).astype(np.float64),
    "parameters in a list first": lambda: Sequential(Polynomial(), linear()),
    "a subclass of Linear": lambda: Sequential(Doubling(4, 4, rng=0, dtype=np.float64), Tanh()),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_accumulate_matches_backward_bit_for_bit(name, rng):
    model = NETWORKS[name]()
    other = copy.deepcopy(model)
    x, grad = rng.normal(size=(6, 4)), rng.normal(size=(6, 4))
    for _ in range(2):  # The second pass adds to existing gradients.
        model(x)
        assert model.backward(grad).shape == x.shape
        other(x)
        assert other.accumulate(grad) is None
    for parameter, expected in zip(other.parameters(), model.parameters(), strict=True):
        assert expected.grad.any()
        np.testing.assert_array_equal(parameter.grad, expected.grad)


@pytest.mark.parametrize("name", ["Linear", "Sequential", "nested", "Flatten first", "autoencoder", "tied autoencoder"])
def test_accumulate_computes_no_input_gradient_in_the_first_linear_layer(name, rng, monkeypatch):
    model, original, asked = NETWORKS[name](), Linear.backward, []
    monkeypatch.setattr(Linear, "backward", lambda layer, grad: asked.append(layer) or original(layer, grad))
    model(rng.normal(size=(6, 4)))
    model.accumulate(rng.normal(size=(6, 4)))
    _, *others = (module for _, module in model.named_modules() if isinstance(module, Linear))
    assert asked == others[::-1]


def test_accumulate_skips_modules_before_the_first_parameter():
    class Unasked(Doubled):
        def backward(self, grad):
            raise AssertionError("this gradient is never used")

    model = Sequential(Unasked(), Sequential(Unasked()), Linear(2, 2, rng=0))
    model(np.ones((1, 2)))
    model.accumulate(np.ones((1, 2), np.float32))
    assert model[2].weight.grad.any()
    without_parameters = Sequential(Unasked(), Tanh())
    without_parameters(np.ones((1, 2)))
    without_parameters.accumulate(np.ones((1, 2)))


# Where parameters and modules are found


def test_parameters_in_lists_and_dicts_are_found_saved_and_trained(rng):
    model = Sequential(Polynomial(), Linear(4, 4, rng=0, dtype=np.float64))
    expected = ["0.weights.0", "0.weights.1", "0.extra.bias", "1.weight", "1.bias"]
    assert names(model.named_parameters()) == list(model.state_dict()) == expected
    assert check_gradients(Polynomial(3, 2), rng.normal(size=(4, 3)), rng=rng)
    X, before = rng.normal(size=(40, 4)), model.state_dict()
    history = fit(model, MSELoss(), SGD(model.parameters(), 0.01), X, X**2, epochs=5, batch_size=10, rng=0)
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    for name, value in model.state_dict().items():
        assert not np.array_equal(value, before[name])
    model.load_state_dict(before)
    np.testing.assert_array_equal(model[0].extra["bias"].data, before["0.extra.bias"])


def test_modules_in_lists_tuples_and_dicts_are_found(rng):
    model = Branches()
    expected = ["layers.0", "layers.1", "pair.0", "named.left", "named.right.0"]
    children = dict(model.named_children())
    assert list(children) == expected
    assert list(model.children()) == list(children.values())
    assert children["named.left"] is model.named["left"]
    assert names(model.named_modules()) == ["", *expected]
    assert names(model.named_parameters())[-4:] == [
        "pair.0.weight", "named.right.0.weights.0", "named.right.0.weights.1", "named.right.0.extra.bias",
    ]  # fmt: skip
    model.eval()
    assert not any(child.training for child in model.children())
    assert check_gradients(model, rng.normal(size=(3, 2)), rng=rng)


@pytest.mark.parametrize("kind", [set, frozenset])
@pytest.mark.parametrize("item", [Parameter([1.0]), Tanh()], ids=repr)
def test_parameters_and_modules_in_a_set_are_rejected(kind, item):
    module = Doubled()
    module.parts = kind([item])
    with pytest.raises(TypeError, match="parts must be a list or a dict"):
        [*module.named_parameters(), *module.named_modules()]
    module.parts = {1, 2}
    assert module.parameters() == []


def test_named_children_yields_each_direct_child_once():
    inner = Sequential(Linear(2, 2, rng=0), ReLU())
    model = Sequential(Flatten(), inner)
    assert list(model.named_children()) == [("0", model[0]), ("1", inner)]
    assert list(model.children()) == [model[0], inner]
    assert list(Tanh().children()) == []
    twice = Doubled()
    twice.first = twice.second = inner
    assert list(twice.named_children()) == [("first", inner)]


def test_names_follow_the_module_tree():
    inner = Sequential(Linear(2, 2, rng=0), ReLU())
    model = Sequential(Flatten(), inner, Linear(2, 1, bias=False, rng=0))
    assert names(model.named_parameters()) == ["1.0.weight", "1.0.bias", "2.weight"]
    assert names(model.named_parameters()) == ["1.0.weight", "1.0.bias", "2.weight"]
    assert list(model.named_modules())[1:4] == [("0", model[0]), ("1", inner), ("1.0", inner[0])]
    assert names(inner.named_modules("net")) == ["net", "net.0", "net.1"]


def test_named_buffers_yields_the_arrays_themselves_and_no_parameters():
    model = normalized_network()
    buffers = dict(model.named_buffers())
    assert list(buffers) == ["1.0.running_mean", "1.0.running_var"]
    assert buffers["1.0.running_mean"] is model[1][0].running_mean
    assert names(model[1][0].named_buffers()) == ["running_mean", "running_var"]
    assert not buffers.keys() & dict(model.named_parameters()).keys()
    assert list(small_network().named_buffers()) == []
    twice = Doubled()
    twice.first = twice.second = BatchNorm1d(3)
    assert names(twice.named_buffers()) == ["first.running_mean", "first.running_var"]


def test_named_generators_yields_each_generator_once():
    shared, own = np.random.default_rng(0), np.random.default_rng(1)
    model = Sequential(Dropout(rng=shared), Sequential(Linear(2, 2, rng=own), Dropout(rng=own), Dropout(rng=shared)))
    assert list(model.named_generators()) == [("0.rng", shared), ("1.1.rng", own)]
    assert list(small_network().named_generators()) == []


# Modes and dtypes


def test_train_and_eval_apply_to_the_whole_tree():
    inner = ReLU()
    model = Sequential(Sequential(inner), Linear(2, 2, rng=0))
    assert model.eval() is model
    assert not model.training
    assert not inner.training
    assert model.train() is model
    assert inner.training


def test_evaluating_restores_each_mode_and_clears_saved_arrays():
    model = Sequential(Linear(2, 2, rng=0), Dropout(0.5, rng=0)).train()
    model[0].eval()
    with contextlib.suppress(KeyError), model.evaluating():
        assert not any(module.training for _, module in model.named_modules())
        model(np.ones((1, 2)))
        raise KeyError  # The modes are restored after an error too.
    assert [module.training for _, module in model.named_modules()] == [True, False, True]
    with pytest.raises(RuntimeError, match="Sequential"):
        model.backward(np.ones((1, 2)))


def test_astype_converts_parameters_and_buffers_and_zeroes_gradients(rng):
    model = normalized_network(np.float32)
    model.backward(np.ones((8, 3), dtype=np.float32))
    before = model.state_dict()
    assert model.astype(np.float64) is model
    for name, value in model.state_dict().items():
        assert value.dtype == np.float64
        np.testing.assert_array_equal(value, before[name])
    for parameter in model.parameters():
        assert parameter.grad.dtype == np.float64
        assert not parameter.grad.any()
    assert model(rng.normal(size=(2, 4))).dtype == np.float64
    with pytest.raises(TypeError, match="dtype"):
        model.astype(np.int64)


def test_deep_copy_is_independent():
    model = normalized_network()
    SGD(model.parameters(), lr=0.1)  # Now the parameters are views of one array, which the copy must not share.
    before, other = model.state_dict(), copy.deepcopy(model)
    other.parameters()[0].data += 1
    other.parameters()[0].grad += 1
    other(np.ones((2, 4)))
    assert not np.array_equal(other[1][0].running_mean, before["1.0.running_mean"])
    assert not model.parameters()[0].grad.any()
    np.testing.assert_equal(model.state_dict(), before)


# State


def test_state_round_trips_parameters_and_running_statistics(rng):
    model = normalized_network()
    state = model.state_dict()
    assert list(state) == [
        "0.weight", "0.bias", "1.0.weight", "1.0.bias", "2.weight", "2.bias", "1.0.running_mean", "1.0.running_var",
    ]  # fmt: skip
    x = rng.normal(size=(3, 4))
    expected = model.eval()(x)
    model.train()(x)  # Changes the running statistics, but not the saved ones.
    model.parameters()[0].data += 1
    assert not np.array_equal(model.eval()(x), expected)
    model.load_state_dict(state)
    np.testing.assert_array_equal(model(x), expected)
    state["0.weight"][:] = 0
    state["1.0.running_var"][:] = 0
    np.testing.assert_array_equal(model(x), expected)


def test_loading_keeps_the_module_dtype():
    model = normalized_network(np.float32)
    model.load_state_dict(normalized_network(np.float64).state_dict())
    assert {value.dtype for value in model.state_dict().values()} == {np.dtype(np.float32)}


def test_optimizer_still_works_after_loading():
    model = small_network()
    optimizer, state = SGD(model.parameters(), lr=1.0), model.state_dict()
    model.load_state_dict(state)
    for parameter in model.parameters():
        parameter.grad += 1
    optimizer.step()
    np.testing.assert_allclose(model.parameters()[0].data, state["0.weight"] - 1)


def test_optimizer_does_not_touch_buffers():
    model = normalized_network()
    before = model.state_dict()
    SGD(model.parameters(), lr=1.0, weight_decay=0.5).step()
    np.testing.assert_array_equal(model[1][0].running_mean, before["1.0.running_mean"])
    assert not np.array_equal(model[1][0].weight.data, before["1.0.weight"])


def check_nothing_changes(model, state, error, match, **options):
    before = model.state_dict()
    with pytest.raises(error, match=match):
        model.load_state_dict(state, **options)
    np.testing.assert_equal(model.state_dict(), before)


@pytest.mark.parametrize(("renamed", "name"), [("2.bias", "extra"), ("1.0.running_var", "1.0.batches")])
def test_missing_or_unexpected_names_change_nothing(renamed, name):
    model = normalized_network()
    state = {key: value + 1 for key, value in model.state_dict().items()}
    state[name] = state.pop(renamed)
    check_nothing_changes(model, state, KeyError, rf"missing \['{renamed}'\], unexpected \['{name}'\]")


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("2.bias", np.zeros(7)),
        ("2.bias", [1, np.nan, 1]),
        ("2.bias", [1, 1e300, 1]),
        ("1.0.running_var", np.ones(4)),
        ("1.0.running_mean", np.full(5, np.nan)),
        ("1.0.running_var", [1, 1, -0.5, 1, 1]),
    ],
    ids=["shape", "NaN", "too large for float32", "shape of a buffer", "NaN in a buffer", "negative variance"],
)
def test_invalid_value_changes_nothing(name, value, strict):
    model = normalized_network(np.float32)
    state = {key: array + 1 for key, array in model.state_dict().items()} | {name: value}
    check_nothing_changes(model, state, ValueError, rf"state\['{name}'\]", strict=strict)


def test_means_may_be_negative_and_variances_zero():
    layer = BatchNorm1d(2)
    layer.load_state_dict(layer.state_dict() | {"running_mean": [-3.0, 0.0], "running_var": [0.0, 1.0]})
    np.testing.assert_array_equal([layer.running_mean, layer.running_var], [[-3, 0], [0, 1]])


@pytest.mark.parametrize("state", [None, 5, "weights", [("0.weight", 1)]], ids=repr)
def test_state_must_be_a_mapping(state):
    check_nothing_changes(normalized_network(), state, TypeError, "state")


def test_non_strict_loading_accepts_a_partial_state():
    model = normalized_network()
    before = model.state_dict()
    model.load_state_dict({"0.bias": np.ones(5), "1.0.running_mean": np.full(5, 9), "extra": 1}, strict=False)
    after = model.state_dict()
    np.testing.assert_array_equal(after["0.bias"], 1)
    np.testing.assert_array_equal(after["1.0.running_mean"], 9)
    np.testing.assert_equal(after, before | {name: after[name] for name in ("0.bias", "1.0.running_mean")})


# Display


def mixed_network():
    return Sequential(
        Flatten(), Linear(6, 3, rng=0), Sequential(BatchNorm1d(3), Tanh()), Linear(3, 2, bias=False, rng=0)
    )


def test_str_is_an_indented_tree_with_parameter_shapes():
    assert str(mixed_network()) == (
        "Sequential\n"
        "  0: Flatten()\n"
        "  1: Linear(6, 3)  # weight (6, 3), bias (3,)\n"
        "  2: Sequential\n"
        "    0: BatchNorm1d(3, eps=1e-05, momentum=0.1)  # weight (3,), bias (3,)\n"
        "    1: Tanh()\n"
        "  3: Linear(3, 2, bias=False)  # weight (3, 2)"
    )
    assert str(Polynomial(2, 3)) == "Polynomial()  # weights.0 (2, 3), weights.1 (2, 3), extra.bias (3,)"
    assert str(Sequential()) == repr(Sequential()) == "Sequential()"


def test_repr_is_one_line():
    assert repr(small_network()) == "Sequential(Linear(4, 5), Tanh(), Linear(5, 3))"


SUMMARY = """\
layer                                         output  parameters
0: Flatten()                                  (n, 6)           0
1: Linear(6, 3)                               (n, 3)          21
2.0: BatchNorm1d(3, eps=1e-05, momentum=0.1)  (n, 3)           6
2.1: Tanh()                                   (n, 3)           0
3: Linear(3, 2, bias=False)                   (n, 2)           6
all                                                           33"""


@pytest.mark.parametrize("shape", [None, 6, (6,), (2, 3)], ids=repr)
def test_summary_lists_output_shapes_and_parameter_counts(shape):
    assert mixed_network().summary(shape) == SUMMARY


def test_summary_handles_many_axes_large_counts_and_single_layers():
    text = Sequential(Tanh(), Flatten(), Linear(1200, 100, rng=0)).summary((3, 20, 20))
    assert [line.split("  ")[0] for line in text.splitlines()[1:3]] == ["0: Tanh()", "1: Flatten()"]
    assert "(n, 3, 20, 20)" in text
    assert text.endswith("120,100")
    assert Linear(2, 3, rng=0).summary().splitlines()[1] == "Linear(2, 3)  (n, 3)           9"


def test_summary_leaves_the_model_unchanged():
    model = mixed_network().train()
    before = model.state_dict()
    model.summary()
    assert all(module.training and module.saved is None for _, module in model.named_modules())
    np.testing.assert_equal(model.state_dict(), before)


def test_summary_needs_an_input_shape_if_no_layer_has_a_width():
    model = Sequential(Flatten(), ReLU())
    assert "(n, 4)" in model.summary((2, 2))
    with pytest.raises(ValueError, match="input_shape"):
        model.summary()


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


def test_sequential_slices_share_its_modules():
    model = small_network()
    assert len(model) == 3
    assert list(model) == [model[0], model[1], model[2]]
    assert model[-1] is model[2]
    part = model[:2]
    assert isinstance(part, Sequential)
    assert list(part) == [model[0], model[1]]


@pytest.mark.parametrize(
    ("modules", "match"),
    [((Tanh(), ReLU), r"modules\[1\].*ReLU\(\.*\) with parentheses"), (("relu",), r"modules\[0\].*'relu'")],
)
def test_sequential_accepts_only_modules(modules, match):
    with pytest.raises(TypeError, match=match):
        Sequential(*modules)


def test_sequential_rejects_duplicate_modules():
    relu = ReLU()
    with pytest.raises(ValueError, match="modules"):
        Sequential(Linear(2, 2, rng=0), relu, Linear(2, 2, rng=0), relu)


def test_interleaved_puts_a_new_activation_between_layers():
    layers = [Linear(2, 3, rng=0), Linear(3, 4, rng=1), Linear(4, 2, rng=2)]
    model = interleaved(layers, Tanh)
    assert [type(module) for module in model] == [Linear, Tanh, Linear, Tanh, Linear]
    assert list(model[::2]) == layers
    assert model[1] is not model[3]
    assert list(interleaved(layers[:1], Tanh)) == layers[:1]
    with pytest.raises(TypeError, match="activation"):
        interleaved(layers, lambda: 5)
