"""The gradient checker: it passes what is right, catches planted bugs, and leaves everything as it was."""

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

# Planted bugs: each is a mistake that people make, in a subclass of the right thing.


class FlippedSign(Tanh):
    def backward(self, grad):
        return -super().backward(grad)


class TransposedWeight(Linear):
    """Right for square weights only in shape."""

    def backward(self, grad):
        super().backward(grad)
        return grad @ self.weight.data


class ForgottenBias(Linear):
    def backward(self, grad):
        (x,) = self._take()
        self.weight.grad += x.T @ grad
        return grad @ self.weight.data.T


class BiasOfTheFirstSample(Linear):
    """Takes one row of the upstream gradient where the sum over the batch belongs."""

    def backward(self, grad):
        before = self.bias.grad.copy()
        result = super().backward(grad)
        self.bias.grad = before + grad[0]
        return result


class DerivativeAtTheOutput(Sigmoid):
    """Computes the derivative s(x) (1 - s(x)) at y instead of at x."""

    def backward(self, grad):
        (y,) = self._take()
        at_output = 1 / (1 + np.exp(-y))
        return grad * at_output * (1 - at_output)


class MissingMean(MSELoss):
    def gradient(self, difference):
        return 2 * difference


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


class InfiniteWeightGradient(Linear):
    def backward(self, grad):
        result = super().backward(grad)
        self.weight.grad[1, 0] = np.inf
        return result


class OverwrittenGradient(Linear):
    """Sets the gradient instead of adding to it; only a shared layer shows the difference."""

    def backward(self, grad):
        (x,) = self._take()
        self.weight.grad = x.T @ grad
        self.bias.grad = grad.sum(axis=0)
        return grad @ self.weight.data.T


class Twice(Module):
    """One weight used in two layers."""

    def __init__(self, layer):
        self.first = layer(3, 3, rng=0)
        self.second = layer(3, 3, rng=0)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.second(self.first(x))

    def backward(self, grad):
        return self.first.backward(self.second.backward(grad))


class GradientThatCancels(Tanh):
    """Its error sums to zero, so an upstream gradient of ones in the next layer's sum would hide it."""

    def backward(self, grad):
        result = super().backward(grad)
        error = np.where(np.arange(result.shape[1]) % 2 == 0, 1e-3, -1e-3)
        return result + error * grad


class NormWithoutTheTermOfTheMean(BatchNorm1d):
    def backward(self, grad):
        normalized, std, _ = self._take()
        g = grad * self.weight.data
        return (g - normalized * (g * normalized).mean(axis=0)) / std


class NormWithoutTheTermOfTheVariance(BatchNorm1d):
    def backward(self, grad):
        _, std, _ = self._take()
        g = grad * self.weight.data
        return (g - g.mean(axis=0)) / std


class NormWithConstantStatistics(BatchNorm1d):
    """Right in evaluation mode only."""

    def backward(self, grad):
        _, std, _ = self._take()
        return grad * self.weight.data / std


class NormWithBatchStatistics(BatchNorm1d):
    """Takes the gradient of training mode in evaluation mode too."""

    def backward(self, grad):
        normalized, std, _ = self._take()
        self._save(normalized, std, True)
        return super().backward(grad)


class NormWithoutItsScale(BatchNorm1d):
    """Forgets the factor of the weight on the way back."""

    def backward(self, grad):
        weight = self.weight.data
        self.weight.data = np.ones_like(weight)
        result = super().backward(grad)
        self.weight.data = weight
        return result


class RedrawnMask(Dropout):
    """Draws a second time in backward."""

    def backward(self, grad):
        self._take()
        return grad * (self.rng.random(grad.shape, dtype=np.float32) >= self.p) / (1 - self.p)


class UnscaledBackward(Dropout):
    """Drops the same entries, but forgets to scale the gradient."""

    def backward(self, grad):
        return super().backward(grad) * (1 - self.p)


class Noisy(Module):
    """Random in every forward, as dropout is."""

    def __init__(self, rng):
        self.rng = rng

    def forward(self, x):
        factors = self.rng.uniform(1, 2, x.shape)
        self._save(factors)
        return x * factors

    def backward(self, grad):
        (factors,) = self._take()
        return grad * factors


@pytest.fixture
def x(rng):
    return rng.normal(size=(4, 3))


def test_flipped_sign_is_caught(x):
    report = check_gradients(FlippedSign(), x)
    assert not report
    assert report["input"].analytic == pytest.approx(-report["input"].numeric)


def test_flipped_sign_inside_a_network_is_caught_in_what_lies_before_it(x):
    model = Sequential(Linear(3, 3, rng=0), FlippedSign(), Linear(3, 2, rng=1))
    report = check_gradients(model, x)
    assert {check.name for check in report.checks if not check.passed} == {"input", "0.weight", "0.bias"}


def test_transposed_weight_is_caught(x):
    report = check_gradients(TransposedWeight(3, 3, rng=0), x)
    assert {check.name for check in report.checks if not check.passed} == {"input"}


def test_transposed_weight_that_does_not_fit_is_caught(x):
    with pytest.raises(ValueError, match="matmul"):
        check_gradients(TransposedWeight(3, 2, rng=0), x)


def test_forgotten_bias_is_caught(x):
    report = check_gradients(ForgottenBias(3, 2, rng=0), x)
    assert not report
    assert {check.name for check in report.checks if not check.passed} == {"bias"}
    assert report["bias"].analytic == 0


def test_forgotten_bias_sum_is_caught(x):
    report = check_gradients(BiasOfTheFirstSample(3, 2, rng=0), x)
    assert {check.name for check in report.checks if not check.passed} == {"bias"}


def test_derivative_at_the_wrong_argument_is_caught(x):
    assert not check_gradients(DerivativeAtTheOutput(), x)


def test_missing_mean_in_a_loss_is_caught(x):
    target = np.zeros((4, 3))
    assert check_gradients(Sequential(), x, MSELoss(), target)
    report = check_gradients(Sequential(), x, MissingMean(), target)
    assert not report
    assert report["input"].analytic == pytest.approx(12 * report["input"].numeric)


def test_overwriting_instead_of_adding_is_caught_in_a_shared_layer(x):
    assert check_gradients(Twice(Linear), x)
    report = check_gradients(Twice(OverwrittenGradient), x)
    assert {check.name for check in report.checks if not check.passed} == {"first.weight"}


def test_errors_that_would_cancel_under_ones_are_caught(rng):
    x = rng.normal(size=(4, 2))
    assert not check_gradients(GradientThatCancels(), x)


def test_one_wrong_entry_is_found_and_named(x):
    class OneWrongEntry(Tanh):
        def backward(self, grad):
            grad = super().backward(grad)
            grad[2, 1] += 0.01
            return grad

    report = check_gradients(OneWrongEntry(), x)
    assert report["input"].worst_index == (2, 1)
    assert report["input"].max_absolute_error == pytest.approx(0.01, rel=1e-3)


def test_nan_gradient_is_caught(x):
    report = check_gradients(NanGradient(), x)
    assert not report
    assert report["input"].worst_index == (0, 1)
    assert np.isnan(report["input"].analytic)
    assert report["input"].max_relative_error == report.max_relative_error == np.inf


def test_infinite_gradient_is_caught(x):
    report = check_gradients(InfiniteWeightGradient(3, 2, rng=0), x)
    assert {check.name for check in report.checks if not check.passed} == {"weight"}
    assert report["weight"].worst_index == (1, 0)
    assert report.max_relative_error == np.inf


def test_wrong_shape_is_an_error(x):
    with pytest.raises(
        ValueError, match=r"the array that backward returns must have the shape of x, \(4, 3\); got \(3,\)"
    ):
        check_gradients(WrongShape(), x)


def test_missing_return_is_an_error(x):
    with pytest.raises(ValueError, match=r"backward must return dL/dx as an array of shape \(4, 3\); got None"):
        check_gradients(NoReturn(), x)


def test_relu_across_its_kink_is_caught():
    # There is no derivative at 0: the central difference is 1/2 there.
    assert not check_gradients(ReLU(), np.array([[0.0, 1.0]]))


@pytest.mark.parametrize(
    ("kind", "seen_in"),
    [
        (NormWithoutTheTermOfTheMean, {True}),
        (NormWithoutTheTermOfTheVariance, {True}),
        (NormWithConstantStatistics, {True}),
        (NormWithBatchStatistics, {False}),
        (NormWithoutItsScale, {True, False}),
    ],
)
def test_wrong_input_gradients_of_batch_norm_are_caught(kind, seen_in, x):
    for training in (True, False):
        right, wrong = BatchNorm1d(3).train(training), kind(3).train(training)
        right.weight.data[:] = wrong.weight.data[:] = [1.5, -0.5, 2]
        assert check_gradients(right, x)
        if training in seen_in:
            assert not check_gradients(wrong, x)["input"].passed


@pytest.mark.parametrize("kind", [RedrawnMask, UnscaledBackward])
def test_wrong_gradients_of_dropout_are_caught(kind, x):
    assert check_gradients(Dropout(0.4, rng=0), x)
    assert not check_gradients(kind(0.4, rng=0), x)


# What it promises


def test_running_statistics_and_the_next_draw_are_left_as_they_were(x):
    shared = np.random.default_rng(3)
    model = Sequential(
        Linear(3, 4, rng=0), BatchNorm1d(4), Dropout(0.5, rng=shared), Linear(4, 4, rng=1), Dropout(0.2, rng=shared)
    )
    model(x)
    before, generator_state = model.state_dict(), shared.bit_generator.state
    report = check_gradients(model, x)
    assert report, report
    assert shared.bit_generator.state == generator_state
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    # In evaluation mode the statistics are what is checked with, so no forward pass may move them.
    assert check_gradients(model.eval(), x)
    assert not model[1].training


def test_random_numbers_are_the_same_in_every_evaluation(x):
    assert check_gradients(Noisy(np.random.default_rng(0)), x)
    assert check_gradients(Sequential(Noisy(np.random.default_rng(0)), Linear(3, 2, rng=0)), x)


def test_upstream_gradient_is_random_and_not_ones(x):
    seen = []

    class Spy(Tanh):
        def __deepcopy__(self, memo):
            return self

        def backward(self, grad):
            seen.append(grad.copy())
            return super().backward(grad)

    check_gradients(Spy(), x, rng=0)
    check_gradients(Spy(), x, rng=1)
    assert len(np.unique(seen[0])) == x.size
    assert not np.array_equal(seen[0], seen[1])


def test_module_is_left_as_it_was(x, rng):
    model = Sequential(Linear(3, 4, rng=0), Noisy(np.random.default_rng(3)), Linear(4, 2, rng=1)).eval()
    model.needs_input_grad = False
    for parameter in model.parameters():
        parameter.grad += 1
    model(x)
    grad = rng.normal(size=(4, 2)).astype(np.float32)
    kept = copy.deepcopy(model)
    generator_state = model[1].rng.bit_generator.state
    given = x.copy()

    check_gradients(model, x)

    np.testing.assert_array_equal(x, given)
    assert not model.training
    assert not model.needs_input_grad
    assert model[1].rng.bit_generator.state == generator_state
    for parameter, before in zip(model.parameters(), kept.parameters(), strict=True):
        assert parameter.data.dtype == np.float32
        np.testing.assert_array_equal(parameter.data, before.data)
        np.testing.assert_array_equal(parameter.grad, before.grad)
    # The forward pass from before is still there to be used, once.
    model.backward(grad)
    kept.backward(grad)
    for parameter, before in zip(model.parameters(), kept.parameters(), strict=True):
        np.testing.assert_array_equal(parameter.grad, before.grad)


def test_loss_is_left_as_it_was(x, rng):
    loss, target = MSELoss(), rng.normal(size=(4, 2))
    model = Linear(3, 2, rng=0)
    check_gradients(model, x, loss, target)
    with pytest.raises(RuntimeError, match="MSELoss"):
        loss.backward()
    loss(np.ones((1, 2)), np.zeros((1, 2)))
    check_gradients(model, x, loss, target)
    np.testing.assert_array_equal(loss.backward(), [[1, 1]])


def test_float32_modules_are_checked_in_float64(x):
    assert check_gradients(Linear(3, 2, rng=0, dtype=np.float32), x.astype(np.float32)).max_relative_error < 1e-6


def test_integers_are_taken_as_input():
    assert check_gradients(Linear(2, 2, rng=0), [[1, 2], [3, 4]])


def test_empty_batch_passes():
    report = check_gradients(Linear(3, 2, rng=0), np.zeros((0, 3)))
    assert report
    assert report["input"].n_checked == 0


def test_max_entries_bounds_what_is_compared(x):
    report = check_gradients(Linear(3, 2, rng=0), x, max_entries=2)
    assert [check.n_checked for check in report.checks] == [2, 2, 2]
    assert [check.n_checked for check in check_gradients(Linear(3, 2, rng=0), x, max_entries=7).checks] == [7, 6, 2]


def test_max_entries_draws_from_the_generator():
    class WrongInOneColumn(Tanh):
        def backward(self, grad):
            grad = super().backward(grad)
            grad[:, 0] += 1
            return grad

    x = np.random.default_rng(0).normal(size=(1, 10))
    found = [not check_gradients(WrongInOneColumn(), x, max_entries=5, rng=seed) for seed in range(20)]
    assert any(found)
    assert not all(found)


def test_same_seed_gives_the_same_report(x):
    model = Linear(3, 2, rng=0)
    assert check_gradients(model, x, rng=5) == check_gradients(model, x, rng=np.random.default_rng(5))


def test_tolerances_decide(x):
    class SlightlyWrong(Tanh):
        def backward(self, grad):
            return super().backward(grad) * (1 + 1e-3)

    assert not check_gradients(SlightlyWrong(), x)
    assert check_gradients(SlightlyWrong(), x, rtol=2e-3)
    assert check_gradients(SlightlyWrong(), x, atol=1.0)


@pytest.mark.parametrize("name", ["rtol", "atol"])
@pytest.mark.parametrize("value", [-1, np.inf, np.nan])
def test_tolerance_that_would_let_anything_pass_is_refused(name, value, x):
    with pytest.raises(ValueError, match=rf"{name} must be a finite number at least 0; got {value}"):
        check_gradients(FlippedSign(), x, **{name: value})


def test_gradients_that_are_both_zero_pass_under_every_tolerance():
    x = np.array([[-1.0, -2.0, 3.0]])
    assert check_gradients(ReLU(), x, atol=0)
    assert check_gradients(ReLU(), -np.abs(x), atol=0, rtol=0)
    assert not check_gradients(ReLU(), x, atol=0, rtol=0)
    assert not check_gradients(FlippedSign(), x, atol=0)


# The report


def test_report_can_be_asked_by_name(x):
    report = check_gradients(Sequential(Linear(3, 2, rng=0)), x)
    assert report["0.weight"].shape == (3, 2)
    assert report["input"].shape == (4, 3)
    with pytest.raises(KeyError, match=r"no check is named 'weight'; there are \['input', '0.weight', '0.bias'\]"):
        report["weight"]


def test_report_prints_a_table(x, capsys):
    print(check_gradients(Linear(3, 2, rng=0), x))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["array", "checked", "max", "rel.", "error", "analytic", "numeric", "result"]
    assert [line.split()[0] for line in lines[1:]] == ["input", "weight", "bias"]
    assert all(line.endswith("pass") for line in lines[1:])


def test_printed_report_says_where_it_failed(x):
    lines = str(check_gradients(ForgottenBias(3, 2, rng=0), x)).splitlines()
    assert lines[2].endswith("pass")
    assert lines[3].endswith(("FAIL at (0,)", "FAIL at (1,)"))


def test_report_is_true_where_everything_passed(x):
    good, bad = check_gradients(Tanh(), x), check_gradients(FlippedSign(), x)
    assert bool(good) is good.passed is True
    assert bool(bad) is bad.passed is False
    assert good.max_relative_error == good["input"].max_relative_error < 1e-6
    assert bad.max_relative_error == pytest.approx(2)


# Errors


def test_bad_arguments_are_named(x):
    with pytest.raises(ValueError, match=r"x must be finite as float64; got 1 NaN or infinite of 2 values"):
        check_gradients(Tanh(), [[1.0, np.nan]])
    with pytest.raises(ValueError, match=r"eps must be a finite number above 0; got 0"):
        check_gradients(Tanh(), x, eps=0)
    with pytest.raises(ValueError, match="max_entries must be at least 1; got 0"):
        check_gradients(Tanh(), x, max_entries=0)
    with pytest.raises(ValueError, match=r"rng must be a .* whole number that is at least 0; got -1"):
        check_gradients(Tanh(), x, rng=-1)


def test_loss_and_target_go_together(x):
    with pytest.raises(ValueError, match="loss and target must be given together"):
        check_gradients(Tanh(), x, MSELoss())
    with pytest.raises(ValueError, match="loss and target must be given together"):
        check_gradients(Tanh(), x, target=x)


def test_errors_of_the_loss_come_through(x):
    with pytest.raises(ValueError, match="target must hold 4 integer classes"):
        check_gradients(Sequential(), x, CrossEntropyLoss(), np.zeros(3, dtype=int))


# numeric_gradient


def test_numeric_gradient_of_a_cubic():
    data = np.array([1.0, 2.0, 3.0])
    slope = numeric_gradient(lambda: float((data**3).sum()), data, (1,), 1e-5)
    assert slope == pytest.approx(12, rel=1e-8)
    np.testing.assert_array_equal(data, [1, 2, 3])


def test_numeric_gradient_puts_the_entry_back_after_an_error():
    data = np.array([1.0, 2.0])
    with pytest.raises(ZeroDivisionError):
        numeric_gradient(lambda: 1 / 0, data, (0,), 1e-5)
    np.testing.assert_array_equal(data, [1, 2])


def test_numeric_gradient_refuses_integers_which_cannot_take_a_small_step():
    with pytest.raises(TypeError, match=r"data must be a floating-point array.*got dtype int64"):
        numeric_gradient(lambda: 0.0, np.array([1, 2]), (0,), 1e-5)
