"""The gradient checker: it passes correct gradients, catches planted bugs, and changes nothing."""

import copy

import numpy as np
import pytest

from nnkit import (
    BatchNorm1d,
    CrossEntropyLoss,
    Dropout,
    Linear,
    Module,
    MSELoss,
    ReLU,
    Sequential,
    Sigmoid,
    Tanh,
    check_gradients,
    numeric_gradient,
)

# Planted bugs: each is a common mistake, in a subclass of the correct layer.


class FlippedSign(Tanh):
    def backward(self, grad):
        return -super().backward(grad)


class TransposedWeight(Linear):
    """Only the shape gives it away, and for square weights not even that."""

    def backward(self, grad):
        super().backward(grad)
        return grad @ self.weight.data


class ForgottenBias(Linear):
    def backward(self, grad):
        result = super().backward(grad)
        self.bias.zero_grad()
        return result


class BiasFromFirstSample(Linear):
    """Uses one row of the upstream gradient instead of the sum over the batch."""

    def backward(self, grad):
        result = super().backward(grad)
        self.bias.grad = grad[0].copy()
        return result


class InfiniteWeightGradient(Linear):
    def backward(self, grad):
        result = super().backward(grad)
        self.weight.grad[1, 0] = np.inf
        return result


class OverwrittenGradient(Linear):
    """Assigns the gradient instead of adding to it; only a shared layer reveals the bug."""

    def backward(self, grad):
        self.zero_grad()
        return super().backward(grad)


class DerivativeAtOutput(Sigmoid):
    """Evaluates the derivative s(x) (1 - s(x)) at y instead of at x."""

    def forward(self, x):
        self.y = super().forward(x)
        return self.y

    def backward(self, grad):
        at_output = 1 / (1 + np.exp(-self.y))
        return grad * at_output * (1 - at_output)


class MissingMean(MSELoss):
    def backward(self):
        grad = super().backward()
        return grad * grad.size


class WrongShape(Tanh):
    def backward(self, grad):
        return super().backward(grad).sum(axis=0)


class NoReturn(Tanh):
    def backward(self, grad):
        super().backward(grad)


class NanGradient(Tanh):
    def backward(self, grad):
        grad = super().backward(grad)
        grad[0, 1] = np.nan
        return grad


class OneWrongEntry(Tanh):
    def backward(self, grad):
        grad = super().backward(grad)
        grad[2, 1] += 0.01
        return grad


class CancellingGradient(Tanh):
    """Its error sums to zero, so an upstream gradient of ones would hide it in the next layer's sum."""

    def backward(self, grad):
        error = np.where(np.arange(grad.shape[1]) % 2 == 0, 1e-3, -1e-3)
        return super().backward(grad) + error * grad


class Twice(Module):
    """Uses one weight in two layers."""

    def __init__(self, layer):
        self.first = layer(3, 3, rng=0)
        self.second = layer(3, 3, rng=0)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.second(self.first(x))

    def backward(self, grad):
        return self.first.backward(self.second.backward(grad))


class WrongNorm(BatchNorm1d):
    """Makes one of the common mistakes in the gradient of batch normalization."""

    def __init__(self, n, mistake):
        super().__init__(n)
        self.mistake = mistake

    def forward(self, x):
        output = super().forward(x)
        std = np.sqrt((x.var(axis=0) if self.training else self.running_var) + self.eps)
        self.kept = (x - (x.mean(axis=0) if self.training else self.running_mean)) / std, std
        return output

    def backward(self, grad):
        normalized, std = self.kept
        g = grad if self.mistake == "no scale" else grad * self.weight.data
        term_of_mean = g.mean(axis=0)
        term_of_variance = normalized * (g * normalized).mean(axis=0)
        if self.mistake == "constant statistics" or (self.mistake == "no scale" and not self.training):
            return g / std
        if self.mistake == "no term of the mean":
            return (g - term_of_variance) / std
        if self.mistake == "no term of the variance":
            return (g - term_of_mean) / std
        return (g - term_of_mean - term_of_variance) / std


class RedrawnMask(Dropout):
    """Draws a new mask in backward."""

    def backward(self, grad):
        return grad * (self.rng.random(grad.shape, dtype=np.float32) >= self.p) / (1 - self.p)


class UnscaledBackward(Dropout):
    """Drops the same entries, but forgets to scale the gradient."""

    def backward(self, grad):
        return super().backward(grad) * (1 - self.p)


class Noisy(Module):
    """Random in every forward pass, like dropout."""

    def __init__(self, rng):
        self.rng = rng

    def forward(self, x):
        self.factors = self.rng.uniform(1, 2, x.shape)
        return x * self.factors

    def backward(self, grad):
        return grad * self.factors


@pytest.fixture
def x(rng):
    return rng.normal(size=(4, 3))


def failed(report):
    assert bool(report) is report.passed is all(check.passed for check in report.checks)
    return {check.name for check in report.checks if not check.passed}


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (FlippedSign, {"input"}),
        (
            lambda: Sequential(Linear(3, 3, rng=0), FlippedSign(), Linear(3, 2, rng=1)),
            {"input", "0.weight", "0.bias"},  # The layer before it.
        ),
        (lambda: TransposedWeight(3, 3, rng=0), {"input"}),
        (lambda: ForgottenBias(3, 2, rng=0), {"bias"}),
        (lambda: BiasFromFirstSample(3, 2, rng=0), {"bias"}),
        (lambda: InfiniteWeightGradient(3, 2, rng=0), {"weight"}),
        (lambda: Twice(OverwrittenGradient), {"first.weight"}),
        (DerivativeAtOutput, {"input"}),
        (CancellingGradient, {"input"}),
        (OneWrongEntry, {"input"}),
        (NanGradient, {"input"}),
        (lambda: RedrawnMask(0.4, rng=0), {"input"}),
        (lambda: UnscaledBackward(0.4, rng=0), {"input"}),
        (Sequential, set()),
        (Tanh, set()),
        (Sigmoid, set()),
        (lambda: Linear(3, 2, rng=0), set()),
        (lambda: Twice(Linear), set()),
        (lambda: Dropout(0.4, rng=0), set()),
        (lambda: Noisy(np.random.default_rng(0)), set()),
        (lambda: Sequential(Noisy(np.random.default_rng(0)), Linear(3, 2, rng=0)), set()),
    ],
)
def test_planted_bugs_are_located_and_correct_gradients_pass(make, expected, x):
    assert failed(check_gradients(make(), x)) == expected


@pytest.mark.parametrize(
    ("mistake", "seen_in"),
    [
        ("no term of the mean", {True, False}),
        ("no term of the variance", {True, False}),
        ("constant statistics", {True}),  # Correct in evaluation mode.
        ("no mistake", {False}),  # Uses the training-mode gradient in evaluation mode too.
        ("no scale", {True, False}),
    ],
)
def test_batch_norm_bugs_are_caught(mistake, seen_in, x):
    for training in (True, False):
        right, wrong = BatchNorm1d(3).train(training), WrongNorm(3, mistake).train(training)
        right.weight.data[:] = wrong.weight.data[:] = [1.5, -0.5, 2]
        assert check_gradients(right, x)
        assert check_gradients(wrong, x)["input"].passed == (training not in seen_in)


def test_missing_mean_in_a_loss_is_caught(x):
    target = np.zeros((4, 3))
    assert check_gradients(Sequential(), x, MSELoss(), target)
    report = check_gradients(Sequential(), x, MissingMean(), target)
    assert not report
    assert report["input"].analytic == pytest.approx(12 * report["input"].numeric)


@pytest.mark.parametrize("make", [WrongShape, NoReturn, lambda: TransposedWeight(3, 2, rng=0)])
def test_backward_returning_the_wrong_shape_or_nothing_raises(make, x):
    with pytest.raises((ValueError, TypeError), match=r"backward|matmul"):
        check_gradients(make(), x)


def test_relu_at_its_kink_is_caught():
    # There is no derivative at 0; the central difference there is 1/2.
    assert not check_gradients(ReLU(), np.array([[0.0, 1.0]]))


# Guarantees


def test_upstream_gradient_is_random(x):
    seen = []

    class Spy(Tanh):
        def __deepcopy__(self, memo):
            return self

        def backward(self, grad):
            seen.append(grad.copy())
            return super().backward(grad)

    for seed in (0, 1):
        check_gradients(Spy(), x, rng=seed)
    assert len(np.unique(seen[0])) == x.size
    assert not np.array_equal(seen[0], seen[1])


def test_module_is_left_unchanged(x):
    shared = np.random.default_rng(3)
    model = Sequential(
        Linear(3, 4, rng=0), BatchNorm1d(4), Dropout(0.5, rng=shared), Linear(4, 2, rng=1), Dropout(0.2, rng=shared)
    )
    for parameter in model.parameters():
        parameter.grad += 1
    x.setflags(write=False)
    for mode in (True, False):
        model.train(mode)
        model.needs_input_grad = False
        model(x)
        kept, given, state = copy.deepcopy(model), x.copy(), shared.bit_generator.state

        assert check_gradients(model, x)

        np.testing.assert_array_equal(x, given)
        assert model.training is model[1].training is mode
        assert not model.needs_input_grad
        assert shared.bit_generator.state == state
        for name, value in model.state_dict().items():
            assert value.dtype == np.float32
            np.testing.assert_array_equal(value, kept.state_dict()[name])
        # The earlier forward pass can still be used, once.
        grad = np.ones((4, 2), dtype=np.float32)
        model.backward(grad)
        kept.backward(grad)
        for parameter, before in zip(model.parameters(), kept.parameters(), strict=True):
            np.testing.assert_array_equal(parameter.grad, before.grad)


def test_loss_is_left_unchanged(x, rng):
    loss, target = MSELoss(), rng.normal(size=(4, 2))
    model = Linear(3, 2, rng=0)
    check_gradients(model, x, loss, target)
    with pytest.raises(RuntimeError, match="MSELoss"):
        loss.backward()
    loss(np.ones((1, 2)), np.zeros((1, 2)))
    check_gradients(model, x, loss, target)
    np.testing.assert_array_equal(loss.backward(), [[1, 1]])


def test_float32_and_integers_are_checked_in_float64(x):
    assert check_gradients(Linear(3, 2, rng=0, dtype=np.float32), x.astype(np.float32)).max_relative_error < 1e-6
    assert check_gradients(Linear(2, 2, rng=0), [[1, 2], [3, 4]]).max_relative_error < 1e-6


def test_empty_batch_passes():
    report = check_gradients(Linear(3, 2, rng=0), np.zeros((0, 3)))
    assert report
    assert report["input"].n_checked == 0


@pytest.mark.parametrize(("max_entries", "checked"), [(2, [2, 2, 2]), (7, [7, 6, 2]), (None, [12, 6, 2])])
def test_max_entries_limits_the_comparison(max_entries, checked, x):
    report = check_gradients(Linear(3, 2, rng=0), x, max_entries=max_entries)
    assert [check.n_checked for check in report.checks] == checked


def test_entries_are_sampled_with_the_generator(x):
    found = [not check_gradients(OneWrongEntry(), x, max_entries=6, rng=seed) for seed in range(20)]
    assert any(found)
    assert not all(found)
    model = Linear(3, 2, rng=0)
    reports = [check_gradients(model, x, max_entries=2, rng=rng) for rng in (5, np.random.default_rng(5))]
    assert reports[0] == reports[1]


def test_tolerances_determine_the_verdict(x):
    class SlightlyWrong(Tanh):
        def backward(self, grad):
            return super().backward(grad) * (1 + 1e-3)

    assert not check_gradients(SlightlyWrong(), x)
    assert check_gradients(SlightlyWrong(), x, rtol=2e-3)
    assert check_gradients(SlightlyWrong(), x, atol=1.0)


def test_zero_gradients_pass_at_any_tolerance():
    x = np.array([[-1.0, -2.0, 3.0]])
    assert check_gradients(ReLU(), x, atol=0)
    assert check_gradients(ReLU(), -np.abs(x), atol=0, rtol=0)
    assert not check_gradients(ReLU(), x, atol=0, rtol=0)
    assert not check_gradients(FlippedSign(), x, atol=0)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        *(({name: value}, name) for name in ("rtol", "atol") for value in (-1, np.inf, np.nan)),
        ({"eps": 0}, "eps"),
        ({"max_entries": 0}, "max_entries"),
        ({"rng": -1}, "rng"),
        ({"x": [[1.0, np.nan]]}, "x"),
        ({"loss": MSELoss()}, "target"),
        ({"target": np.zeros((4, 3))}, "loss"),
        ({"loss": CrossEntropyLoss(), "target": np.zeros(3, dtype=int)}, "target"),
    ],
)
def test_invalid_argument_is_named(arguments, name, x):
    with pytest.raises(ValueError, match=name):
        check_gradients(FlippedSign(), **({"x": x} | arguments))


# The report


def test_report_can_be_indexed_by_name(x):
    report = check_gradients(Sequential(Linear(3, 2, rng=0)), x)
    assert report["0.weight"].shape == (3, 2)
    assert report["input"].shape == (4, 3)
    with pytest.raises(KeyError, match=r"'input', '0\.weight', '0\.bias'"):
        report["weight"]


@pytest.mark.parametrize(
    ("make", "worst", "absolute", "relative"),
    [
        (OneWrongEntry, (2, 1), pytest.approx(0.01, rel=1e-3), pytest.approx(0.016, rel=1)),
        (NanGradient, (0, 1), np.inf, np.inf),
        (lambda: Sequential(FlippedSign()), None, pytest.approx(2.0, rel=1), pytest.approx(2)),
    ],
)
def test_report_gives_the_worst_entry(make, worst, absolute, relative, x):
    report = check_gradients(make(), x)
    check = report["input"]
    assert worst in (check.worst_index, None)
    assert check.max_absolute_error == absolute
    assert check.max_relative_error == report.max_relative_error == relative
    if worst is None:
        assert check.analytic == pytest.approx(-check.numeric)


def test_report_prints_a_table_of_failures(x):
    lines = str(check_gradients(ForgottenBias(3, 2, rng=0), x)).splitlines()
    assert lines[0].split() == ["array", "checked", "max", "rel.", "error", "analytic", "numeric", "result"]
    assert [line.split()[0] for line in lines[1:]] == ["input", "weight", "bias"]
    assert all(line.endswith("pass") for line in lines[1:3])
    assert lines[3].endswith(("FAIL at (0,)", "FAIL at (1,)"))


# numeric_gradient


def test_numeric_gradient_of_a_cubic_is_accurate():
    data = np.array([1.0, 2.0, 3.0])
    slope = numeric_gradient(lambda: float((data**3).sum()), data, (1,), 1e-5)
    assert slope == pytest.approx(12, rel=1e-8)
    np.testing.assert_array_equal(data, [1, 2, 3])


def test_numeric_gradient_restores_the_entry_after_an_error():
    data = np.array([1.0, 2.0])
    with pytest.raises(ZeroDivisionError):
        numeric_gradient(lambda: 1 / 0, data, (0,), 1e-5)
    np.testing.assert_array_equal(data, [1, 2])


def test_numeric_gradient_rejects_integers():
    with pytest.raises(TypeError, match="data must"):
        numeric_gradient(lambda: 0.0, np.array([1, 2]), (0,), 1e-5)
