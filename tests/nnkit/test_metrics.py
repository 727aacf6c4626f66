"""Metrics: equal to scikit-learn's and SciPy's, with the thresholds and the errors of their own."""

import re

import numpy as np
import pytest

from nnkit import (
    Linear,
    accuracy,
    calibration_bins,
    calibration_error,
    class_counts,
    confusion_matrix,
    f1_score,
    interquartile_mean,
    precision,
    predict,
    predicted_classes,
    recall,
)

METRICS = [accuracy, confusion_matrix, class_counts, precision, recall, f1_score]
every_metric = pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.__name__)

# predicted_classes


def test_largest_score_wins():
    np.testing.assert_array_equal(predicted_classes([[0.1, 0.7, 0.2], [3, 1, 2]]), [1, 0])


def test_classes_pass_through():
    classes = predicted_classes(np.array([2, 0], dtype=np.uint8))
    np.testing.assert_array_equal(classes, [2, 0])
    assert classes.dtype == np.int64


@pytest.mark.parametrize("scores", [[0.2, 0.5, 0.9], [[0.2], [0.5], [0.9]]])
def test_single_scores_are_compared_with_the_threshold(scores):
    np.testing.assert_array_equal(predicted_classes(scores, 0.5), [0, 1, 1])
    np.testing.assert_array_equal(predicted_classes(scores, 0), [1, 1, 1])


def test_single_scores_need_a_threshold():
    with pytest.raises(ValueError, match=r"threshold must be given for one score a sample: 0\.5 for probabilities, 0"):
        predicted_classes([0.2, 0.9])


@pytest.mark.parametrize("shape", [(), (2, 3, 4), (2, 0)])
def test_scores_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"pred must have shape \(n,\) or \(n, k\); got \("):
        predicted_classes(np.zeros(shape))


@pytest.mark.parametrize(
    ("scores", "threshold", "where"),
    [([[0.0, 1.0], [np.nan, 1.0]], None, r"\(1, 0\)"), ([0.9, np.nan], 0.5, r"\(1,\)"), ([[np.nan]], 0, r"\(0, 0\)")],
)
def test_nan_is_no_class(scores, threshold, where):
    message = rf"pred must not hold NaN; got 1 of {np.size(scores)} values, the first at {where}"
    with pytest.raises(ValueError, match=message):
        predicted_classes(scores, threshold)
    with pytest.raises(ValueError, match=message):
        accuracy(scores, [0] * len(scores), threshold=threshold)


def test_infinite_logits_are_the_largest_and_the_smallest():
    np.testing.assert_array_equal(predicted_classes([[-np.inf, -5.0], [1.0, np.inf]]), [1, 1])
    np.testing.assert_array_equal(predicted_classes([-np.inf, np.inf], 0), [0, 1])


def test_nan_in_rows_of_targets_is_refused():
    with pytest.raises(ValueError, match=r"target must not hold NaN; got 1 of 4 values, the first at \(1, 1\)"):
        accuracy([0, 1], [[1.0, 0.0], [0.0, np.nan]])


# accuracy and confusion_matrix


def test_accuracy_equals_that_of_scikit_learn(rng):
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    for n in (1, 7, 100):
        scores, target = rng.normal(size=(n, 4)), rng.integers(0, 4, n)
        expected = sklearn_metrics.accuracy_score(target, scores.argmax(axis=1))
        assert accuracy(scores, target) == pytest.approx(expected)


def test_confusion_matrix_equals_that_of_scikit_learn(rng):
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    for n in (1, 7, 100):
        predicted, target = rng.integers(0, 4, n), rng.integers(0, 5, n)
        expected = sklearn_metrics.confusion_matrix(target, predicted, labels=range(5))
        np.testing.assert_array_equal(confusion_matrix(predicted, target, 5), expected)


def test_rows_are_true_classes_and_columns_predicted_ones():
    np.testing.assert_array_equal(confusion_matrix([1, 1, 0], [0, 1, 0]), [[1, 1], [0, 1]])


def test_confusion_matrix_is_of_the_classes_that_occur_or_of_those_that_are_asked_for():
    np.testing.assert_array_equal(confusion_matrix([0, 10**6], [0, 1]), [[1, 0, 0], [0, 0, 1], [0, 0, 0]])
    assert confusion_matrix([0, -1], [1, 1]).shape == (3, 3)
    assert confusion_matrix([0, 1], [1, 1], n_classes=6).shape == (6, 6)
    assert confusion_matrix([0, 1], [1, 1], labels=[1, 7]).shape == (2, 2)


def test_a_confusion_matrix_larger_than_memory_says_why():
    with pytest.raises(ValueError, match=r"may have 30,000 classes; got 1,000,000, which would take 8,000 GB"):
        confusion_matrix([0, 1], [0, 1], n_classes=10**6)
    many = np.arange(40_000)  # Such as a regression's answers, or identifiers.
    with pytest.raises(ValueError, match=r"may have 30,000 classes; got 40,000, which would take 13 GB"):
        confusion_matrix(many, many)
    assert precision(many, many) == 1  # What needs no matrix has no such bound.


@pytest.mark.parametrize("target", [[1, 0, 1], [[1], [0], [1]], [1.0, 0.0, 1.0], [[0, 1], [1, 0], [0, 1]]])
def test_targets_may_be_classes_a_column_or_one_hot(target):
    assert accuracy([1, 0, 0], target) == pytest.approx(2 / 3)


def test_threshold_serves_both_metrics():
    logits, target = np.array([[-1.0], [2.0], [0.5]]), [[0], [1], [0]]
    assert accuracy(logits, target, threshold=0) == pytest.approx(2 / 3)
    assert accuracy(logits, target, threshold=1) == 1
    np.testing.assert_array_equal(confusion_matrix(logits, target, threshold=0), [[1, 1], [0, 1]])


def test_accuracy_is_a_python_float():
    assert type(accuracy([1, 0], [1, 1])) is float


def test_lengths_must_agree():
    with pytest.raises(ValueError, match=r"target must have the shape of the predicted classes, \(3,\); got \(2,\)"):
        accuracy([1, 0, 1], [1, 0])


@every_metric
@pytest.mark.parametrize("empty", [[], np.zeros((0, 3)), np.zeros((0, 1)), np.array([], str), np.array([], object)])
def test_empty_predictions_are_refused(metric, empty):
    with pytest.raises(ValueError, match="pred must hold at least one prediction; got none"):
        metric(empty, [])


@every_metric
@pytest.mark.parametrize("value", [0.5, np.nan, np.inf, -np.inf, 1e300])
def test_targets_that_are_no_classes_are_refused(metric, value):
    with pytest.raises(ValueError, match=rf"target must hold classes; got values such as {re.escape(str(value))}"):
        metric([1, 0], [1.0, value])


def test_numbers_that_an_int64_cannot_hold_are_refused_and_not_wrapped():
    with pytest.raises(ValueError, match="pred must hold classes; got values such as 18446744073709551615"):
        accuracy(np.array([2**64 - 1], dtype=np.uint64), [-1])


def test_classes_outside_the_matrix_are_refused():
    with pytest.raises(ValueError, match="classes must lie from 0 to 2; got values from 0 to 3"):
        confusion_matrix([0, 3], [1, 1], n_classes=3)
    with pytest.raises(ValueError, match="classes must lie from 0 to 1; got values from -1 to 1"):
        confusion_matrix([0, -1], [1, 1], n_classes=2)
    with pytest.raises(ValueError, match="n_classes must be at least 1; got 0"):
        confusion_matrix([0], [0], n_classes=0)


# class_counts, precision, recall and f1_score


def test_counts_by_class_by_hand():
    counts = class_counts([0, 0, 1, 2, 2, 2], [0, 1, 1, 2, 0, 0])
    np.testing.assert_array_equal(counts.TP, [1, 1, 1])
    np.testing.assert_array_equal(counts.FP, [1, 0, 2])
    np.testing.assert_array_equal(counts.FN, [2, 1, 0])
    np.testing.assert_array_equal(counts.TN, [2, 4, 3])
    np.testing.assert_allclose(counts.accuracy, [3 / 6, 5 / 6, 4 / 6])


def test_scores_by_hand():
    pred, target = [0, 0, 1, 2, 2, 2], [0, 1, 1, 2, 0, 0]  # Three samples of class 0, two of 1, one of 2.
    np.testing.assert_allclose(precision(pred, target, average=None), [1 / 2, 1, 1 / 3])
    np.testing.assert_allclose(recall(pred, target, average=None), [1 / 3, 1 / 2, 1])
    np.testing.assert_allclose(f1_score(pred, target, average=None), [2 / 5, 2 / 3, 1 / 2])
    assert precision(pred, target) == pytest.approx((1 / 2 + 1 + 1 / 3) / 3)
    assert f1_score(pred, target, average="weighted") == pytest.approx((3 * 2 / 5 + 2 * 2 / 3 + 1 / 2) / 6)


def test_accuracy_by_class_is_not_the_accuracy():
    # Whoever is never right can still be right about most classes of each sample.
    pred, target = np.arange(10), np.roll(np.arange(10), 1)
    assert accuracy(pred, target) == 0
    np.testing.assert_allclose(class_counts(pred, target).accuracy, 0.8)


def test_counts_and_scores_without_predictions_samples_or_either_are_zero():
    pred, target = [0, 0, 1], [0, 2, 0]
    np.testing.assert_allclose(precision(pred, target, 4, average=None), [1 / 2, 0, 0, 0])
    np.testing.assert_allclose(recall(pred, target, 4, average=None), [1 / 2, 0, 0, 0])
    np.testing.assert_allclose(f1_score(pred, target, 4, average=None), [1 / 2, 0, 0, 0])
    assert precision(pred, target) == pytest.approx(1 / 6)
    assert precision(pred, target, 4) == pytest.approx(1 / 8)
    assert class_counts(pred, target, 4).TN[3] == 3


@pytest.mark.parametrize("metric", [precision, recall, f1_score])
def test_scores_take_what_accuracy_takes(metric):
    logits, target = np.array([[-1.0], [2.0], [0.5]]), [[0], [1], [0]]
    assert metric(logits, target, threshold=0) == metric([0, 1, 1], [0, 1, 0])
    assert metric(np.eye(2)[[0, 1, 1]], np.eye(2)[[0, 1, 0]]) == metric([0, 1, 1], [0, 1, 0])
    assert type(metric([0, 1], [0, 0])) is float
    assert type(metric([0, 1], [0, 0], average="weighted")) is float
    with pytest.raises(ValueError, match="average must be 'macro', 'weighted' or None; got 'micro'"):
        metric([0, 1], [0, 0], average="micro")
    with pytest.raises(ValueError, match="classes must lie from 0 to 1; got values from 0 to 2"):
        metric([0, 2], [0, 0], 2)


# Classes of every kind


def cases(rng):
    """Yield names of classes of each kind, and names that no sample bears."""
    yield np.array(["ant", "bee", "a much longer name", "ä", ""]), ["no such"]
    yield np.sort(rng.choice(10**7, 5, replace=False)), [-1, 10**8]
    yield np.arange(-2, 3), [7]
    yield np.array([False, True]), []
    yield np.array(["one"]), []


def written(classes, rng):
    """Return classes in one of the forms that people hold them in."""
    forms = [classes, classes.tolist(), classes[:, None]]
    if classes.dtype.kind == "U":
        forms.append(classes.astype(object))
    if classes.dtype.kind == "i":
        forms.append(classes.astype(">i4"))
    return forms[rng.integers(len(forms))]


@pytest.mark.filterwarnings("ignore:A single label was found")  # Of scikit-learn.
@pytest.mark.parametrize("seed", range(8))
def test_metrics_are_those_of_scikit_learn_for_classes_of_every_kind(seed):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    for names, others in cases(rng):
        predicted, target = names[rng.integers(0, len(names), (2, rng.integers(2, 12)))]
        pred, true = written(predicted, rng), written(target, rng)
        assert accuracy(pred, true) == pytest.approx(metrics.accuracy_score(target, predicted))
        shuffled = rng.permutation(names.tolist() + others)
        for labels in (None, shuffled, shuffled[: rng.integers(1, len(shuffled) + 1)]):
            if labels is None or np.isin(target, labels).any():
                found = confusion_matrix(pred, true, labels=labels)
                np.testing.assert_array_equal(found, metrics.confusion_matrix(target, predicted, labels=labels))
            counts = class_counts(pred, true, labels=labels)
            np.testing.assert_array_equal(
                np.array([[counts.TN, counts.FP], [counts.FN, counts.TP]]).transpose(2, 0, 1),
                metrics.multilabel_confusion_matrix(target, predicted, labels=labels),
            )
            for average in (None, "macro", "weighted"):
                for nothing in (0, 1, np.nan):
                    how = {"labels": labels, "average": average, "zero_division": nothing}
                    found = [score(pred, true, **how) for score in (precision, recall, f1_score)]
                    expected = metrics.precision_recall_fscore_support(target, predicted, **how)[:3]
                    np.testing.assert_allclose(np.array(found), np.array(expected, dtype=float), rtol=1e-12)


def test_labels_leave_samples_out_of_the_matrix_but_not_out_of_the_counts():
    pred, target = ["cat", "dog", "cow"], ["cat", "cat", "dog"]
    np.testing.assert_array_equal(confusion_matrix(pred, target, labels=["dog", "cat"]), [[0, 0], [1, 1]])
    np.testing.assert_array_equal(class_counts(pred, target, labels=["dog", "cat"]).TN, [1, 1])
    assert recall(pred, target, labels=["cow"], zero_division=1) == 1
    assert np.isnan(f1_score(pred, target, labels=["horse"], zero_division=np.nan))


def test_classes_may_be_a_series_or_a_categorical():
    pandas = pytest.importorskip("pandas")
    pred, target = ["cat", "dog", "cat"], ["cat", "dog", "dog"]
    for kind in (pandas.Series, pandas.Categorical, lambda names: pandas.DataFrame({"name": names})):
        np.testing.assert_array_equal(confusion_matrix(kind(pred), kind(target)), [[1, 0], [1, 1]])
    with pytest.raises(TypeError, match="target must hold numbers of a numeric dtype, or only strings; got nan"):
        accuracy(pred, pandas.Series(["cat", None, "dog"]))


@every_metric
@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["cat", None], "must hold numbers of a numeric dtype, or only strings; got None"),
        (["cat", np.nan], "must hold numbers of a numeric dtype, or only strings; got nan"),
        (["cat", 1], "must hold numbers of a numeric dtype, or only strings; got 1"),
        ([None, None], "must hold numbers of a numeric dtype, or only strings; got None"),
        (np.array([0, 1], dtype=object), "must hold numbers of a numeric dtype, or only strings; got 0"),
        ([b"cat", b"dog"], r"must hold numbers or strings; got dtype \|S3"),
        ([1j, 2], "must hold numbers or strings; got dtype complex128"),
        (np.array(["2026-01-01", "2026-01-02"], "M8[D]"), r"must hold numbers or strings; got dtype datetime64\[D\]"),
    ],
    ids=str,
)
def test_what_is_neither_numbers_nor_strings_is_refused(metric, classes, message):
    good = ["cat", "dog"]
    for name, pred, target in (("pred", classes, good), ("target", good, classes)):
        with pytest.raises(TypeError, match=f"{name} {message}"):
            metric(pred, target)


@every_metric
def test_numbers_and_strings_do_not_mix(metric):
    for pred, target, got in (([0, 1], ["0", "1"], "0 and '0'"), (["cat"], [True], "'cat' and 1")):
        with pytest.raises(TypeError, match=f"pred and target must both hold numbers or both strings; got .* {got}"):
            metric(pred, target)
    names = np.array(["cat", "dog"])
    scores, target = np.array([[2.0, 1.0], [0.0, 1.0]]), ["cat", "dog"]
    with pytest.raises(TypeError, match="pred and target must both hold numbers or both strings"):
        metric(scores, target)
    metric(names[predicted_classes(scores)], target)  # As the docstring says.


@every_metric
def test_rows_of_strings_and_masked_values_are_refused(metric):
    rows = [["cat", "dog"], ["cow", "ox"]]
    message = r"must hold one string a sample, shape \(n,\); got shape \(2, 2\)"
    for name, pred, target in (("pred", rows, ["cat", "cat"]), ("target", ["cat", "cat"], rows)):
        with pytest.raises(ValueError, match=f"{name} {message}"):
            metric(pred, target)
    masked = np.ma.array([0, 1], mask=[False, True])
    for name, pred, target in (("pred", masked, [0, 1]), ("target", [0, 1], masked)):
        with pytest.raises(ValueError, match=f"{name} must not hold masked values"):
            metric(pred, target)
    metric(np.ma.array([0, 1]), [0, 1])


@every_metric
def test_a_float_is_a_score_whatever_its_value(metric, rng):
    # Zeros and ones may be a saturated sigmoid's probabilities, logits, or classes: 0.0 is class 1 if it is a logit.
    outputs = predict(Linear(3, 1, rng=0), rng.normal(size=(4, 3)))
    message = r"got pred of dtype float\d\d; if it holds classes, pass np.asarray\(pred\).astype\(int\)"
    for pred in (outputs, (outputs > 0).astype(float), [0.0, 1.0, 1.0, 0.0]):
        with pytest.raises(ValueError, match=message):
            metric(pred, [0, 1, 1, 0])
        metric(np.asarray(pred).astype(int), [0, 1, 1, 0])  # As the error says; a column of classes is one.
        metric(pred, [0, 1, 1, 0], threshold=0.5)


@every_metric
def test_rows_of_targets_that_name_two_classes_are_refused(metric):
    with pytest.raises(ValueError, match=r"each row of target must have one largest entry; got \[0 1 1\]"):
        metric([0, 1], [[1, 0, 0], [0, 1, 1]])


@every_metric
@pytest.mark.parametrize("shape", [(2, 0), (), (2, 2, 2)])
def test_targets_of_another_shape_are_refused(metric, shape):
    with pytest.raises(ValueError, match=r"target must have the shape of the predicted classes, \(2,\); got \("):
        metric([0, 1], np.zeros(shape, dtype=int))


@every_metric
def test_a_threshold_without_use_is_refused(metric):
    for pred, target in (([[0.1, 0.9]], [1]), (["cat"], ["cat"])):
        with pytest.raises(ValueError, match="threshold needs one score a sample; got pred of dtype"):
            metric(pred, target, threshold=0.5)
    for threshold in ("0.5", [0.5], np.nan):
        with pytest.raises((TypeError, ValueError), match=r"threshold must be a (finite )?number"):
            metric([0.1, 0.9], [0, 1], threshold=threshold)
    metric([0.1, 0.9], [0, 1], threshold=np.inf)  # Where a ROC curve begins.


@pytest.mark.parametrize("metric", METRICS[1:], ids=lambda metric: metric.__name__)
def test_labels_must_be_different_classes_of_the_kind_that_came(metric):
    for labels in ([], ["cat", "cat"], [["cat"]], "cat"):
        with pytest.raises(ValueError, match="labels must be a list of different classes; got"):
            metric(["cat"], ["dog"], labels=labels)
    with pytest.raises(TypeError, match="labels and target must both hold numbers or both strings"):
        metric(["cat"], ["dog"], labels=[0, 1])
    with pytest.raises(ValueError, match="n_classes and labels must not both be given"):
        metric([0], [0], 2, labels=[0, 1])
    with pytest.raises(TypeError, match="n_classes needs classes from 0 on, and strings need labels; got 'dog'"):
        metric(["cat"], ["dog"], 2)


def test_a_matrix_of_labels_that_no_sample_bears_is_refused():
    with pytest.raises(ValueError, match=r"labels must name a class of target; got \['horse'\]"):
        confusion_matrix(["cat"], ["dog"], labels=["horse"])


@pytest.mark.parametrize("metric", [precision, recall, f1_score])
@pytest.mark.parametrize("value", ["warn", 0.5, None])
def test_zero_division_is_a_score(metric, value):
    with pytest.raises(ValueError, match=f"zero_division must be 0, 1 or nan; got {value!r}"):
        metric([0, 1], [0, 1], zero_division=value)


# calibration_bins and calibration_error


# Four bins: up to 0.25 nothing, up to 0.5 two answers, up to 0.75 one, up to 1 three.
CONFIDENCE = [0.9, 0.5, 0.3, 0.75, 1.0, 0.8]
CORRECT = [True, True, False, False, True, False]


def test_calibration_of_six_answers_by_hand():
    count, confidence_sum, n_correct = calibration_bins(CONFIDENCE, CORRECT, n_bins=4)
    np.testing.assert_array_equal(count, [0, 2, 1, 3])
    np.testing.assert_allclose(confidence_sum, [0, 0.8, 0.75, 2.7])
    np.testing.assert_array_equal(n_correct, [0, 1, 0, 2])
    # The bins lie 0.1, 0.75 and 0.7 / 3 apart, and hold 2, 1 and 3 of the 6.
    assert calibration_error(CONFIDENCE, CORRECT, n_bins=4) == pytest.approx((0.2 + 0.75 + 0.7) / 6)


def test_a_bin_holds_its_upper_end_and_the_first_holds_zero():
    count, _, _ = calibration_bins([0.0, 0.25, 0.5, 0.75, 1.0], np.ones(5, dtype=bool), n_bins=4)
    np.testing.assert_array_equal(count, [2, 1, 1, 1])


def test_there_are_fifteen_bins_unless_asked_otherwise():
    assert [len(sums) for sums in calibration_bins(CONFIDENCE, CORRECT)] == [15, 15, 15]
    assert calibration_error(CONFIDENCE, CORRECT) == calibration_error(CONFIDENCE, CORRECT, n_bins=15)


@pytest.mark.parametrize(("correct", "expected"), [(True, 0.0), (False, 1.0)])
def test_calibration_error_of_answers_that_are_all_sure(correct, expected):
    assert calibration_error(np.ones(7), np.full(7, correct)) == expected


def test_calibration_error_of_honest_answers_goes_to_zero(rng):
    confidence = rng.uniform(0.5, 1, 200_000)
    assert calibration_error(confidence, rng.random(200_000) < confidence) < 0.01
    assert type(calibration_error(confidence, rng.random(200_000) < confidence)) is float


def test_calibration_refuses_what_is_no_probability_and_no_truth_value():
    for bad in ([0.5, 1.5], [-0.25, 0.5]):
        with pytest.raises(ValueError, match="confidence must hold probabilities, from 0 to 1; got values from"):
            calibration_error(bad, [True, False])
    with pytest.raises(ValueError, match=r"confidence must be finite .* the first at index \(1,\)"):
        calibration_error([0.5, np.nan], [True, False])
    with pytest.raises(TypeError, match="correct must hold truth values; got dtype int64"):
        calibration_error([0.5, 0.6], np.array([7, 1]))
    with pytest.raises(ValueError, match=r"correct must have the shape of confidence, \(2,\); got \(3,\)"):
        calibration_error([0.5, 0.6], [True, False, True])
    with pytest.raises(ValueError, match="n_bins must be at least 1; got 0"):
        calibration_error([0.5], [True], n_bins=0)
    for shape in ((0,), (2, 3)):
        with pytest.raises(ValueError, match=r"confidence must have shape \(n,\) with n at least 1; got \("):
            calibration_error(np.zeros(shape), np.zeros(shape, dtype=bool))


# interquartile_mean


@pytest.mark.parametrize("n", [4, 8, 20, 100])
def test_interquartile_mean_is_the_trimmed_mean_where_quarters_are_whole(n, rng):
    stats = pytest.importorskip("scipy.stats")
    values = rng.normal(size=n)
    assert interquartile_mean(values) == pytest.approx(stats.trim_mean(values, 0.25))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([7.0], 7.0),
        ([1.0, 3.0], 2.0),
        # Quarters of 0.75 values: the outer two keep a weight of 0.25 each, the middle one 1.
        ([0.0, 1.0, 5.0], (0.25 * 0 + 1 + 0.25 * 5) / 1.5),
        # Quarters of 1.25 values: nothing of the outer two, 0.75 of their neighbours, all of the middle one.
        ([-100.0, 0.0, 1.0, 5.0, 100.0], (0.75 * 0 + 1 + 0.75 * 5) / 2.5),
    ],
)
def test_interquartile_mean_weighs_the_edges_by_what_lies_inside(values, expected, rng):
    assert interquartile_mean(rng.permutation(values)) == pytest.approx(expected)


@pytest.mark.parametrize("n", range(1, 14))
def test_interquartile_mean_of_constant_and_symmetric_values(n):
    assert interquartile_mean(np.full(n, 3.5)) == pytest.approx(3.5)
    assert interquartile_mean(np.arange(n) - (n - 1) / 2) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("n", range(4, 14))
def test_interquartile_mean_ignores_how_far_out_an_outlier_lies(n):
    values = np.arange(float(n))
    expected = interquartile_mean(values)
    values[-1] = 1e9
    assert interquartile_mean(values) == pytest.approx(expected)


def test_interquartile_mean_along_an_axis(rng):
    values = rng.normal(size=(5, 3, 2))
    np.testing.assert_allclose(interquartile_mean(values)[1, 0], interquartile_mean(values[:, 1, 0]))
    result = interquartile_mean(values, axis=1)
    assert result.shape == (5, 2)
    np.testing.assert_allclose(result[4, 1], interquartile_mean(values[4, :, 1]))


def test_interquartile_mean_does_not_sort_its_input():
    values = np.array([3.0, 1.0, 2.0])
    interquartile_mean(values)
    np.testing.assert_array_equal(values, [3, 1, 2])


def test_interquartile_mean_refuses_nothing_nan_and_infinity():
    with pytest.raises(ValueError, match="values must hold at least one run; got none"):
        interquartile_mean([])
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match=r"values must be finite .* the first at index \(3,\)"):
            interquartile_mean([1.0, 2.0, 3.0, bad])


def test_axis_of_the_runs_must_be_there():
    np.testing.assert_array_equal(interquartile_mean([[1.0, 2.0]], axis=-1), [1.5])
    with pytest.raises(ValueError, match=r"values must have the axis 0, that of the runs; got shape \(\)"):
        interquartile_mean(1.0)
    with pytest.raises(ValueError, match=r"values must have the axis 2, that of the runs; got shape \(2, 3\)"):
        interquartile_mean(np.ones((2, 3)), axis=2)
    with pytest.raises(ValueError, match="axis must be at least -2; got -3"):
        interquartile_mean(np.ones((2, 3)), axis=-3)
    with pytest.raises(TypeError, match="axis must be a whole number; got None"):
        interquartile_mean(np.ones((2, 3)), axis=None)
