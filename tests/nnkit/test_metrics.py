"""Metrics: agreement with scikit-learn and SciPy, and errors that name the argument and detect swapped ones."""

import numpy as np
import pytest

from nnkit import (
    Linear,
    accuracy,
    class_counts,
    confusion_matrix,
    f1_score,
    precision,
    predict,
    predicted_classes,
    recall,
)

METRICS = [accuracy, confusion_matrix, class_counts, precision, recall, f1_score]
every_metric = pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.__name__)
every_score = pytest.mark.parametrize("score", [precision, recall, f1_score], ids=lambda score: score.__name__)

# predicted_classes


def test_largest_score_in_a_row_is_predicted():
    np.testing.assert_array_equal(predicted_classes([[0.1, 0.7, 0.2], [3, 1, 2]]), [1, 0])
    np.testing.assert_array_equal(predicted_classes([[-np.inf, -5.0], [1.0, np.inf]]), [1, 1])


def test_classes_are_returned_unchanged():
    classes = predicted_classes(np.array([2, 0], dtype=np.uint8))
    np.testing.assert_array_equal(classes, [2, 0])
    assert classes.dtype == np.int64


@pytest.mark.parametrize("scores", [[0.2, 0.5, 0.9], [[0.2], [0.5], [0.9]]])
def test_single_scores_are_compared_with_the_threshold(scores):
    np.testing.assert_array_equal(predicted_classes(scores, 0.5), [0, 1, 1])
    np.testing.assert_array_equal(predicted_classes(scores, 0), [1, 1, 1])


@pytest.mark.parametrize(
    ("scores", "threshold", "error", "message"),
    [
        ([0.2, 0.9], None, ValueError, "threshold.* 0.5 for probabilities, 0 for logits"),
        ([[0.1, 0.9]], 0.5, ValueError, "threshold needs one score a sample"),
        (["cat"], 0.5, ValueError, "threshold needs one score a sample"),
        ([0.1], "0.5", TypeError, "threshold"),
        ([0.1], np.nan, ValueError, "threshold"),
        (np.zeros(()), None, ValueError, "y_pred must have shape"),
        (np.zeros((2, 3, 4)), None, ValueError, "y_pred must have shape"),
        (np.zeros((2, 0)), None, ValueError, "y_pred must have shape"),
        ([[0.0, 1.0], [np.nan, 1.0]], None, ValueError, r"y_pred .*NaN; got 1 of 4 values, the first at \(1, 0\)"),
        ([0.9, np.nan], 0.5, ValueError, r"y_pred .*NaN; got 1 of 2 values, the first at \(1,\)"),
        (
            np.array([2**64 - 1], dtype=np.uint64),
            None,
            ValueError,
            "y_pred must hold classes; got .*18446744073709551615",
        ),
    ],
    ids=str,
)
def test_predictions_without_a_class_are_rejected(scores, threshold, error, message):
    with pytest.raises(error, match=message):
        predicted_classes(scores, threshold)


@every_metric
def test_floats_are_scores_whatever_their_value(metric, rng):
    # 0.0 and 1.0 may be saturated probabilities, logits or classes: as a logit, 0.0 means class 1.
    outputs = predict(Linear(3, 1, rng=0), rng.normal(size=(4, 3)))
    for y_pred in (outputs, (outputs > 0).astype(float), [0.0, 1.0, 1.0, 0.0]):
        with pytest.raises(ValueError, match=r"threshold.*got y_pred of float\d\d; .*astype\(int\)"):
            metric([0, 1, 1, 0], y_pred)
        metric([0, 1, 1, 0], np.asarray(y_pred).astype(int))  # As the error suggests; a column of classes is accepted.
        metric([0, 1, 1, 0], predicted_classes(y_pred, 0.5))


# Argument order


SCORES = np.array([[2.0, 1.0], [0.5, 1.5], [-1.0, 3.0]])


@every_metric
@pytest.mark.parametrize(
    "scores",
    [SCORES, np.exp(SCORES) / np.exp(SCORES).sum(axis=1, keepdims=True), [[3, 1], [1, 2], [0, 2]]],
    ids=["logits", "probabilities", "whole numbers"],
)
@pytest.mark.parametrize(
    "labels", [[0, 1, 1], [[0], [1], [1]], np.eye(2)[[0, 1, 1]]], ids=["flat", "column", "one-hot"]
)
def test_score_rows_as_y_true_look_swapped(metric, scores, labels):
    metric(labels, scores)
    with pytest.raises(ValueError, match="y_true and y_pred look swapped"):
        metric(scores, labels)


@every_metric
def test_single_scores_as_y_true_look_swapped(metric):
    for scores in ([0.2, 1.0], [[0.2], [1.0]], np.float32([-1.5, 2.0])):
        with pytest.raises(ValueError, match=r"got scores such as (0.2|-1.5): y_true and y_pred look swapped"):
            metric(scores, [0, 1])


def test_soft_labels_with_predicted_scores_do_not_look_swapped():
    assert accuracy([[0.9, 0.1], [0.2, 0.8]], SCORES[:2]) == 1
    with pytest.raises(ValueError, match="y_true must have one largest entry"):
        accuracy([[0.5, 0.5], [0.2, 0.8]], SCORES[:2])


# accuracy and confusion_matrix


def test_confusion_matrix_has_true_classes_as_rows():
    np.testing.assert_array_equal(confusion_matrix([0, 1, 0], [1, 1, 0]), [[1, 1], [0, 1]])


def test_confusion_matrix_covers_the_occurring_classes_or_the_given_labels():
    np.testing.assert_array_equal(confusion_matrix([0, 1], [0, 10**6]), [[1, 0, 0], [0, 0, 1], [0, 0, 0]])
    assert confusion_matrix([1, 1], [0, -1]).shape == (3, 3)
    assert confusion_matrix([1, 1], [0, 1], labels=range(6)).shape == (6, 6)
    assert confusion_matrix([1, 1], [0, 1], labels=[1, 7]).shape == (2, 2)


def test_oversized_confusion_matrix_is_rejected():
    many = np.arange(40_000)  # Such as regression outputs or identifiers.
    with pytest.raises(ValueError, match=r"may have 30,000 classes .*; got 40,000, or 13 GB"):
        confusion_matrix(many, many)
    assert precision(many, many) == 1  # Metrics that need no matrix have no such limit.


@pytest.mark.parametrize("y_true", [[1, 0, 1], [[1], [0], [1]], [1.0, 0.0, 1.0], [[0, 1], [1, 0], [0, 1]]])
def test_y_true_may_be_a_column_floats_or_one_hot(y_true):
    assert accuracy(y_true, [1, 0, 0]) == pytest.approx(2 / 3)


def test_accuracy_accepts_a_threshold():
    logits = np.array([[-1.0], [2.0], [0.5]])
    assert accuracy([[0], [1], [0]], logits, threshold=0) == pytest.approx(2 / 3)
    assert accuracy([[0], [1], [0]], logits, threshold=1) == 1
    assert type(accuracy([1, 1], [1, 0])) is float


@every_metric
@pytest.mark.parametrize(
    ("y_true", "y_pred", "message"),
    [
        ([1, 0], [1, 0, 1], r"y_true must have the shape of the predicted classes, \(3,\); got \(2,\)"),
        (np.zeros((2, 0), int), [0, 1], "y_true must have shape"),
        (np.zeros((), int), [0, 1], "y_true must have shape"),
        ([], [], "y_pred must hold at least one prediction"),
        ([], np.zeros((0, 3)), "y_pred must hold at least one prediction"),
        (np.array([], str), np.array([], object), "y_pred must hold at least one prediction"),
        ([1.0, np.nan], [1, 0], r"y_true .*NaN; got 1 of 2 values, the first at \(1,\)"),
        ([[1.0, 0.0], [0.0, np.nan]], [0, 1], r"y_true .*NaN; got 1 of 4 values, the first at \(1, 1\)"),
        ([1.0, np.inf], [1, 0], "y_true must hold classes; got values such as inf"),
        ([1.0, 1e300], [1, 0], r"y_true must hold classes; got values such as 1e\+300"),
        ([[1, 0, 0], [0, 1, 1]], [0, 1], "y_true"),
        ([["cat", "dog"], ["cow", "ox"]], ["cat", "cat"], r"y_true must have shape"),
        (["cat", "cat"], [["cat", "dog"], ["cow", "ox"]], r"y_pred must have shape"),
        (np.ma.array([0, 1], mask=[False, True]), [0, 1], "y_true must not hold masked values"),
        ([0, 1], np.ma.array([0, 1], mask=[False, True]), "y_pred must not hold masked values"),
    ],
    ids=str,
)
def test_invalid_argument_is_named(metric, y_true, y_pred, message):
    with pytest.raises(ValueError, match=message):
        metric(y_true, y_pred)


@every_metric
@pytest.mark.parametrize(
    ("classes", "got"),
    [
        (["cat", None], "None"),
        (["cat", np.nan], "nan"),
        (["cat", 1], "1"),
        (np.array([0, 1], dtype=object), "0"),
        ([b"cat", b"dog"], r"dtype \|S3"),
        ([1j, 2], "dtype complex128"),
        (np.array(["2026-01-01", "2026-01-02"], "M8[D]"), r"dtype datetime64\[D\]"),
    ],
    ids=str,
)
def test_classes_must_be_numbers_or_strings(metric, classes, got):
    good = ["cat", "dog"]
    for name, y_true, y_pred in (("y_true", classes, good), ("y_pred", good, classes)):
        with pytest.raises(TypeError, match=f"{name} must hold numbers .*; got {got}"):
            metric(y_true, y_pred)


@every_metric
def test_mixing_numbers_and_strings_is_rejected(metric):
    names = np.array(["cat", "dog", "dog"])
    for y_true, y_pred in ((["0", "1"], [0, 1]), ([True], ["cat"]), (names, SCORES)):
        with pytest.raises(TypeError, match="y_true and y_pred must both hold numbers or both strings"):
            metric(y_true, y_pred)
    metric(names, names[predicted_classes(SCORES)])  # As documented.


# class_counts, precision, recall and f1_score


TRUE, PRED = [0, 1, 1, 2, 0, 0], [0, 0, 1, 2, 2, 2]  # Three samples of class 0, two of class 1, one of class 2.


def test_class_counts_match_a_hand_calculation():
    counts = class_counts(TRUE, PRED)
    np.testing.assert_array_equal(counts.TP, [1, 1, 1])
    np.testing.assert_array_equal(counts.FP, [1, 0, 2])
    np.testing.assert_array_equal(counts.FN, [2, 1, 0])
    np.testing.assert_array_equal(counts.TN, [2, 4, 3])
    np.testing.assert_allclose(counts.accuracy, [3 / 6, 5 / 6, 4 / 6])


def test_precision_recall_and_f1_match_a_hand_calculation():
    np.testing.assert_allclose(precision(TRUE, PRED, average=None), [1 / 2, 1, 1 / 3])
    np.testing.assert_allclose(recall(TRUE, PRED, average=None), [1 / 3, 1 / 2, 1])
    np.testing.assert_allclose(f1_score(TRUE, PRED, average=None), [2 / 5, 2 / 3, 1 / 2])
    assert precision(TRUE, PRED) == pytest.approx((1 / 2 + 1 + 1 / 3) / 3)
    assert f1_score(TRUE, PRED, average="weighted") == pytest.approx((3 * 2 / 5 + 2 * 2 / 3 + 1 / 2) / 6)


def test_per_class_accuracy_differs_from_overall_accuracy():
    # Even if every prediction is wrong, most of the one-vs-rest decisions for each sample are right.
    y_true, y_pred = np.roll(np.arange(10), 1), np.arange(10)
    assert accuracy(y_true, y_pred) == 0
    np.testing.assert_allclose(class_counts(y_true, y_pred).accuracy, 0.8)


@every_score
def test_scores_accept_the_same_inputs_as_accuracy(score):
    assert score(np.eye(2)[[0, 1, 0]], np.eye(2)[[0, 1, 1]]) == score([0, 1, 0], [0, 1, 1])
    assert type(score([0, 0], [0, 1])) is float
    assert type(score([0, 0], [0, 1], average="weighted")) is float
    with pytest.raises(ValueError, match="average"):
        score([0, 0], [0, 1], average="micro")
    for value in ("warn", 0.5, None):
        with pytest.raises(ValueError, match="zero_division"):
            score([0, 1], [0, 1], zero_division=value)


# Classes of every type


def cases(rng):
    """Yield class names of each type, and names that no sample has."""
    yield np.array(["ant", "bee", "a much longer name", "ä", ""]), ["no such"]
    yield np.sort(rng.choice(10**7, 5, replace=False)), [-1, 10**8]
    yield np.arange(-2, 3), [7]
    yield np.array([False, True]), []
    yield np.array(["one"]), []


def written(classes, rng):
    """Return the classes in one of the common containers."""
    forms = [classes, classes.tolist(), classes[:, None]]
    if classes.dtype.kind == "U":
        forms.append(classes.astype(object))
    if classes.dtype.kind == "i":
        forms.append(classes.astype(">i4"))
    return forms[rng.integers(len(forms))]


@pytest.mark.filterwarnings("ignore:A single label was found")  # From scikit-learn.
@pytest.mark.parametrize("seed", range(4))
def test_metrics_match_scikit_learn_for_classes_of_every_type(seed):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    for names, others in cases(rng):
        true, predicted = names[rng.integers(0, len(names), (2, rng.integers(2, 12)))]
        y_true, y_pred = written(true, rng), written(predicted, rng)
        assert accuracy(y_true, y_pred) == pytest.approx(metrics.accuracy_score(true, predicted))
        shuffled = rng.permutation(names.tolist() + others)
        for labels in (None, shuffled, shuffled[: rng.integers(1, len(shuffled) + 1)]):
            if labels is None or np.isin(true, labels).any():
                found = confusion_matrix(y_true, y_pred, labels=labels)
                np.testing.assert_array_equal(found, metrics.confusion_matrix(true, predicted, labels=labels))
            counts = class_counts(y_true, y_pred, labels=labels)
            np.testing.assert_array_equal(
                np.array([[counts.TN, counts.FP], [counts.FN, counts.TP]]).transpose(2, 0, 1),
                metrics.multilabel_confusion_matrix(true, predicted, labels=labels),
            )
            for average, nothing in ((None, 0), ("macro", 1), ("macro", np.nan), ("weighted", np.nan), ("weighted", 0)):
                how = {"labels": labels, "average": average, "zero_division": nothing}
                found = [score(y_true, y_pred, **how) for score in (precision, recall, f1_score)]
                expected = metrics.precision_recall_fscore_support(true, predicted, **how)[:3]
                np.testing.assert_allclose(np.array(found), np.array(expected, dtype=float), rtol=1e-12)


def test_labels_exclude_samples_from_the_matrix_but_not_the_counts():
    y_true, y_pred = ["cat", "cat", "dog"], ["cat", "dog", "cow"]
    np.testing.assert_array_equal(confusion_matrix(y_true, y_pred, labels=["dog", "cat"]), [[0, 0], [1, 1]])
    np.testing.assert_array_equal(class_counts(y_true, y_pred, labels=["dog", "cat"]).TN, [1, 1])
    assert recall(y_true, y_pred, labels=["cow"], zero_division=1) == 1
    assert np.isnan(f1_score(y_true, y_pred, labels=["horse"], zero_division=np.nan))
    with pytest.raises(ValueError, match="labels must name a class of y_true"):
        confusion_matrix(y_true, y_pred, labels=["cow"])


def test_classes_may_be_a_series_or_a_categorical():
    pandas = pytest.importorskip("pandas")
    y_true, y_pred = ["cat", "dog", "dog"], ["cat", "dog", "cat"]
    for kind in (pandas.Series, pandas.Categorical, lambda names: pandas.DataFrame({"name": names})):
        np.testing.assert_array_equal(confusion_matrix(kind(y_true), kind(y_pred)), [[1, 0], [1, 1]])
    with pytest.raises(TypeError, match="y_true must hold numbers of a numeric dtype, or only strings; got nan"):
        accuracy(pandas.Series(["cat", None, "dog"]), y_pred)


@pytest.mark.parametrize("metric", METRICS[1:], ids=lambda metric: metric.__name__)
def test_labels_must_be_distinct_and_match_the_type_of_the_classes(metric):
    for labels in ([], ["cat", "cat"], [["cat"]], "cat"):
        with pytest.raises(ValueError, match="labels must be a list of different classes"):
            metric(["dog"], ["cat"], labels=labels)
    with pytest.raises(TypeError, match="labels and y_true must both hold numbers or both strings"):
        metric(["dog"], ["cat"], labels=[0, 1])
