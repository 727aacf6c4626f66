"""Losses: values against their definitions, gradients against central differences, targets and errors."""

import math

import numpy as np
import pytest

from nnkit import BCEWithLogitsLoss, CrossEntropyLoss, Linear, Loss, MSELoss, Sequential, Tanh, check_gradients, softmax

LOSSES = [MSELoss(), CrossEntropyLoss(), BCEWithLogitsLoss()]


def one_hot(classes, k):
    return np.eye(k)[classes]


def fitting_target(loss, n=4, k=3):
    """Return a valid target for predictions of shape (n, k)."""
    return np.arange(n) % k if isinstance(loss, CrossEntropyLoss) else np.full((n, k), 0.25)


# Values


def test_mse_averages_over_all_entries():
    assert MSELoss()(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 0.0], [0.0, 4.0]])) == (4 + 9) / 4


def test_cross_entropy_is_the_mean_negative_log_probability(rng):
    logits, classes = rng.normal(size=(4, 3)), np.array([2, 0, 1, 1])
    expected = -np.mean([math.log(softmax(row)[c]) for row, c in zip(logits, classes, strict=True)])
    assert CrossEntropyLoss()(logits, classes) == pytest.approx(expected, rel=1e-12)


def test_cross_entropy_of_equal_logits_is_log_of_the_class_count():
    assert CrossEntropyLoss()(np.zeros((5, 10)), np.arange(5)) == pytest.approx(math.log(10))


def test_one_hot_targets_match_class_targets(rng):
    logits, classes = rng.normal(size=(6, 4)), rng.integers(0, 4, 6)
    by_class, by_row = CrossEntropyLoss(), CrossEntropyLoss()
    assert by_class(logits, classes) == pytest.approx(by_row(logits, one_hot(classes, 4)), rel=1e-14)
    np.testing.assert_allclose(by_class.backward(), by_row.backward(), rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("target", [np.array([0]), np.array([[1.0, 0.0, 0.0]], np.float32)], ids=["class", "one-hot"])
def test_cross_entropy_handles_the_widest_float32_logits(target):
    loss = CrossEntropyLoss()
    assert loss(np.array([[3e38, -3e38, -3e38]], np.float32), target) == 0
    np.testing.assert_array_equal(loss.backward(), [[0, 0, 0]])


def test_soft_targets_weight_the_classes(rng):
    logits, target = rng.normal(size=(4, 3)), rng.dirichlet(np.ones(3), 4)
    expected = -(target * np.log(softmax(logits))).sum() / 4
    assert CrossEntropyLoss()(logits, target) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.int64, np.uint64])
def test_classes_may_have_any_integer_dtype(dtype, rng):
    # More samples than int8 can count, so positions must not be computed in the classes' dtype.
    logits, classes = rng.normal(size=(200, 3)), rng.integers(0, 3, 200)
    loss = CrossEntropyLoss()
    assert loss(logits, classes.astype(dtype)) == loss(logits, classes)
    narrow = loss.backward()
    loss(logits, np.eye(3)[classes])
    np.testing.assert_allclose(narrow, loss.backward(), atol=1e-15)


def test_cross_entropy_is_invariant_to_a_constant_shift(rng):
    logits, classes = rng.normal(size=(4, 3)), np.array([2, 0, 1, 1])
    loss = CrossEntropyLoss()
    assert loss(logits + 1e4, classes) == pytest.approx(loss(logits, classes), rel=1e-10)


def test_binary_cross_entropy_matches_its_definition(rng):
    logits, target = rng.normal(size=(4, 3)), rng.uniform(size=(4, 3))
    p = 1 / (1 + np.exp(-logits))
    expected = -(target * np.log(p) + (1 - target) * np.log(1 - p)).mean()
    assert BCEWithLogitsLoss()(logits, target) == pytest.approx(expected, rel=1e-12)


def test_binary_cross_entropy_equals_two_class_cross_entropy(rng):
    logits, classes = rng.normal(size=(8, 1)), rng.integers(0, 2, 8)
    both = np.hstack([np.zeros((8, 1)), logits])
    assert BCEWithLogitsLoss()(logits, classes[:, None]) == pytest.approx(CrossEntropyLoss()(both, classes))


def test_losses_are_summed_in_float64():
    # In float32 the small term would be lost next to the large one.
    pred = np.array([[1e4, 1.0]], dtype=np.float32)
    assert MSELoss()(pred, np.zeros_like(pred)) == (1e8 + 1) / 2
    assert CrossEntropyLoss()(np.array([[1e8, 0], [1, 0]], dtype=np.float32), [1, 1]) > 5e7 + 0.5
    assert BCEWithLogitsLoss()(np.array([[1e8, 1]], dtype=np.float32), [[0, 0]]) > 5e7 + 0.5


# Gradients


@pytest.mark.parametrize("n", [1, 5])
def test_gradients_match_central_differences(n, rng):
    pred, classes, bits = rng.normal(size=(n, 4)), rng.integers(0, 4, n), rng.integers(0, 2, (n, 4))
    for loss, targets in (
        (MSELoss(), [rng.normal(size=(n, 4))]),
        (CrossEntropyLoss(), [classes, one_hot(classes, 4), rng.dirichlet(np.ones(4), n)]),
        (BCEWithLogitsLoss(), [bits, rng.uniform(size=(n, 4))]),
    ):
        for target in targets:
            report = check_gradients(Sequential(), pred, loss, target)
            assert report, report


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_network_gradients_match_central_differences_for_each_loss(loss, rng):
    model = Sequential(Linear(4, 5, rng=rng), Tanh(), Linear(5, 3, rng=rng))
    report = check_gradients(model, rng.normal(size=(4, 4)), loss, fitting_target(loss))
    assert report, report
    assert len(report.checks) == 5


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_loss_is_a_float_and_its_gradient_has_pred_shape_and_dtype(loss, dtype):
    assert type(loss(np.ones((4, 3), dtype=dtype), fitting_target(loss))) is float
    grad = loss.backward()
    assert grad.shape == (4, 3)
    assert grad.dtype == dtype


@pytest.mark.parametrize("size", [1e4, 1e30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_logits_give_exact_losses_and_gradients(size, dtype):
    logits = np.array([[size, -size], [-size, size]], dtype=dtype)
    right, wrong = CrossEntropyLoss(), CrossEntropyLoss()
    assert right(logits, [0, 1]) == 0
    assert wrong(logits, [1, 0]) == pytest.approx(2 * size)
    np.testing.assert_array_equal(right.backward(), np.zeros((2, 2)))
    np.testing.assert_array_equal(wrong.backward(), [[0.5, -0.5], [-0.5, 0.5]])
    binary = BCEWithLogitsLoss()
    assert binary(logits, [[1, 0], [0, 1]]) == 0
    assert binary(logits, [[0, 1], [1, 0]]) == pytest.approx(size)
    np.testing.assert_array_equal(binary.backward(), [[0.25, -0.25], [-0.25, 0.25]])


# Custom losses


class Half(Loss):
    """Defines only forward and backward."""

    def forward(self, pred, target):
        self.saved = pred - target
        return float((self.saved**2).sum() / 2)

    def backward(self):
        return self.saved


class Percent(Half):
    """Takes targets in percent."""

    def checked_target(self, pred, target):
        return super().checked_target(pred, np.asarray(target) / 100)


def test_custom_loss_needs_only_forward_and_backward(rng):
    pred, target = rng.normal(size=(3, 2)), rng.normal(size=(3, 2))
    assert check_gradients(Sequential(), pred, Half(), target)
    loss, percent = Half(), Percent()
    assert percent(pred, 100 * target) == pytest.approx(loss(pred, target))
    np.testing.assert_allclose(percent.backward(), loss.backward())
    with pytest.raises(RuntimeError, match="Half"):
        loss.backward()
    with pytest.raises(ValueError, match="target"):
        loss(pred, target[0])
    with pytest.raises(TypeError, match="abstract"):
        Loss()


# Misuse


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_each_backward_needs_its_own_call(loss):
    fresh = type(loss)()
    with pytest.raises(RuntimeError, match=type(loss).__name__):
        fresh.backward()
    fresh(np.ones((4, 3)), fitting_target(loss))
    fresh.backward()
    with pytest.raises(RuntimeError, match=type(loss).__name__):
        fresh.backward()


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize(
    ("pred", "error"), [(np.zeros((0, 3)), ValueError), (np.zeros((3, 0)), ValueError), ([["a", "b"]], TypeError)]
)
def test_empty_batches_and_strings_are_rejected(loss, pred, error):
    with pytest.raises(error, match="pred"):
        loss(pred, np.zeros(np.shape(pred)))


@pytest.mark.parametrize(
    ("loss", "pred", "target"),
    [
        (MSELoss(), np.zeros((4, 1)), np.zeros(4)),  # Broadcasting would compare every pair.
        (BCEWithLogitsLoss(), np.zeros((4, 1)), np.zeros(4)),
        (BCEWithLogitsLoss(), np.zeros((1, 2)), [[0.5, -0.1]]),
        (BCEWithLogitsLoss(), np.zeros((1, 2)), [[0.5, 1.1]]),
        (CrossEntropyLoss(), np.zeros((2, 3)), [0, -1]),
        (CrossEntropyLoss(), np.zeros((2, 3)), [0, 3]),
        (CrossEntropyLoss(), np.zeros((2, 3)), np.zeros(2)),
        (CrossEntropyLoss(), np.zeros((2, 3)), np.zeros((2, 1), dtype=int)),
        (CrossEntropyLoss(), np.zeros((2, 3)), np.zeros(3, dtype=int)),
        (CrossEntropyLoss(), np.zeros((2, 3)), ["a", "b"]),
        (CrossEntropyLoss(), np.zeros((1, 2)), [[0.5, 0.6]]),
        (CrossEntropyLoss(), np.zeros((1, 2)), [[0.2, 0.2]]),
        (CrossEntropyLoss(), np.zeros((1, 2)), [[-0.5, 1.5]]),
    ],
)
def test_invalid_target_is_rejected(loss, pred, target):
    with pytest.raises(ValueError, match="target must"):
        loss(pred, np.asarray(target))


def test_cross_entropy_needs_rows_of_logits():
    with pytest.raises(ValueError, match=r"pred .*\(n, k\)"):
        CrossEntropyLoss()(np.zeros(4), np.zeros(4, dtype=int))


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_nan_in_pred_raises_unless_the_caller_checks_for_it(loss):
    pred = np.ones((4, 3))
    pred[1, 2] = np.nan
    with pytest.raises(FloatingPointError, match="pred must be finite; got 1 NaN or infinite of 12 values"):
        loss(pred, fitting_target(loss))
    with np.errstate(invalid="ignore"):
        assert np.isnan(loss(pred, fitting_target(loss)))


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_infinite_pred_that_makes_the_loss_nan_is_named():
    pred = np.ones((4, 3))
    pred[1, 2] = np.inf
    with pytest.raises(FloatingPointError, match="pred must be finite; got 1 NaN or infinite of 12 values"):
        CrossEntropyLoss()(pred, np.zeros(4, dtype=int))


@pytest.mark.parametrize("invalid", ["warn", "ignore"])
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_nan_in_target_is_named(loss, invalid):
    target = np.full((4, 3), 1 / 3)
    target[2, 0] = np.nan
    with np.errstate(invalid=invalid), pytest.raises(ValueError, match=r"target must be finite .*\(2, 0\)"):
        loss(np.ones((4, 3)), target)
