"""Calibration: bins, the expected calibration error, and what cannot be sorted into bins."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as with_settings
from hypothesis import strategies as st

from book.experiments.shared.calibration import calibration_bins, calibration_error

settings = with_settings(max_examples=30, deadline=None, derandomize=True, database=None)
sizes = st.integers(1, 5)


# Four bins: none up to 0.25, two answers up to 0.5, one up to 0.75, three up to 1.
CORRECT = [True, True, False, False, True, False]
CONFIDENCE = [0.9, 0.5, 0.3, 0.75, 1.0, 0.8]


def test_calibration_matches_a_hand_calculation():
    count, confidence_sum, n_correct = calibration_bins(CORRECT, CONFIDENCE, n_bins=4)
    np.testing.assert_array_equal(count, [0, 2, 1, 3])
    np.testing.assert_allclose(confidence_sum, [0, 0.8, 0.75, 2.7])
    np.testing.assert_array_equal(n_correct, [0, 1, 0, 2])
    # The gaps are 0.1, 0.75 and 0.7 / 3, in bins that hold 2, 1 and 3 of the 6 answers.
    assert calibration_error(CORRECT, CONFIDENCE, n_bins=4) == pytest.approx((0.2 + 0.75 + 0.7) / 6)


def test_bins_include_their_upper_edge_and_the_first_includes_zero():
    count, _, _ = calibration_bins(np.ones(5, dtype=bool), [0.0, 0.25, 0.5, 0.75, 1.0], n_bins=4)
    np.testing.assert_array_equal(count, [2, 1, 1, 1])


def test_default_is_fifteen_bins():
    assert [len(sums) for sums in calibration_bins(CORRECT, CONFIDENCE)] == [15, 15, 15]
    assert calibration_error(CORRECT, CONFIDENCE) == calibration_error(CORRECT, CONFIDENCE, n_bins=15)


def test_calibration_error_of_overconfident_and_calibrated_answers(rng):
    assert calibration_error(np.full(7, True), np.ones(7)) == 0
    assert calibration_error(np.full(7, False), np.ones(7)) == 1
    confidence = rng.uniform(0.5, 1, 200_000)
    error = calibration_error(rng.random(200_000) < confidence, confidence)
    assert 0 < error < 0.01
    assert type(error) is float


@pytest.mark.parametrize(
    ("correct", "confidence", "n_bins", "message"),
    [
        ([True, False], [0.5, 1.5], 15, "confidence must hold probabilities, from 0 to 1; got values from 0.5 to 1.5"),
        ([True, False], [-0.25, 0.5], 15, "confidence must hold probabilities"),
        ([True, False], [0.5, np.nan], 15, r"confidence must be finite .* the first at index \(1,\)"),
        ([True, False, True], [0.5, 0.6], 15, r"correct must have the shape of confidence, \(2,\); got \(3,\)"),
        ([True], [0.5], 0, "n_bins must be at least 1; got 0"),
        (np.zeros(0, bool), np.zeros(0), 15, "confidence must have shape"),
        (np.zeros((2, 3), bool), np.zeros((2, 3)), 15, "confidence must have shape"),
    ],
)
def test_invalid_calibration_argument_is_named(correct, confidence, n_bins, message):
    with pytest.raises(ValueError, match=message):
        calibration_error(correct, confidence, n_bins=n_bins)


def test_confidence_as_correct_looks_swapped():
    with pytest.raises(TypeError, match="correct and confidence look swapped"):
        calibration_error([0.5, 0.6], [True, False])
    with pytest.raises(TypeError, match=r"correct must hold booleans; got dtype int64$"):
        calibration_error(np.array([7, 1]), [0.5, 0.6])


answers = st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=30)


@settings
@given(answers=answers, n_bins=st.sampled_from([1, 2, 4, 8]), seed=sizes)
def test_calibration_error_lies_between_one_bin_and_finer_bins(answers, n_bins, seed):
    correct, confidence = (np.array(column) for column in zip(*answers, strict=True))
    error = calibration_error(correct, confidence, n_bins=n_bins)
    # Gaps of opposite sign cancel when bins are merged; with a single bin, all of them can.
    assert abs(confidence.mean() - correct.mean()) - 1e-12 <= error <= 1
    assert error <= calibration_error(correct, confidence, n_bins=2 * n_bins) + 1e-12
    order = np.random.default_rng(seed).permutation(len(answers))
    assert calibration_error(correct[order], confidence[order], n_bins=n_bins) == pytest.approx(error, abs=1e-12)


@settings
@given(answers=answers, more=answers, n_bins=sizes)
def test_calibration_bins_of_two_runs_add_up(answers, more, n_bins):
    parts = [calibration_bins(*zip(*run, strict=True), n_bins=n_bins) for run in (answers, more)]
    both = calibration_bins(*zip(*answers, *more, strict=True), n_bins=n_bins)
    for first, second, total in zip(*parts, both, strict=True):
        np.testing.assert_allclose(first + second, total)
    count, confidence_sum, n_correct = both
    assert count.sum() == len(answers) + len(more)
    assert (n_correct <= count).all()
    assert (confidence_sum <= count).all()
