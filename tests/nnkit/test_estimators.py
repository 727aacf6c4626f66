"""The scikit-learn contract of the estimators, and MLPClassifier: labels, seeds, early stopping, training by fit."""

import os
import pickle
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import nnkit as nn

pytest.importorskip("sklearn")

from sklearn.base import clone, is_classifier
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from nnkit import AutoencoderTransformer, MLPClassifier

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return train_test_split(X / 16, y, random_state=0, stratify=y)


def blobs(n=90, n_classes=3, spread=0.5):
    """Return points around centres on a circle, labelled with colour names."""
    rng = np.random.default_rng(0)
    classes = rng.permutation(np.arange(n) % n_classes)
    angles = 2 * np.pi * classes / n_classes
    X = 2 * np.column_stack([np.cos(angles), np.sin(angles)]) + spread * rng.normal(size=(n, 2))
    return X, np.array(["red", "green", "blue", "white"])[classes]


def quick(**params):
    return MLPClassifier(**{"hidden_layer_sizes": 8, "lr": 0.03, "batch_size": 32, "random_state": 0, **params})


def weights(classifier):
    return np.concatenate([parameter.data.ravel() for parameter in classifier.model_.parameters()])


# The scikit-learn contract


@parametrize_with_checks(
    [MLPClassifier(early_stopping=True), AutoencoderTransformer(3, (), loss="mse", noise=0.1, tied=True)]
)
def test_scikit_learn_estimator_checks_pass(estimator, check):
    check(estimator)


@pytest.mark.slow
def test_optional_scikit_learn_checks_pass_with_default_parameters():
    # Some need pandas, and some need SciPy's array API support switched on before anything imports it.
    pytest.importorskip("pandas")
    code = (
        "import nnkit\n"
        "from sklearn.utils.estimator_checks import check_dataframe_column_names_consistency, check_estimator\n"
        "for name in nnkit.estimators.__all__:\n"
        "    estimator = getattr(nnkit, name)()\n"
        "    check_dataframe_column_names_consistency(name, estimator)\n"
        "    results = check_estimator(estimator, on_fail=None, on_skip=None)\n"
        "    failed = [(r['check_name'], r['status']) for r in results if r['status'] != 'passed']\n"
        "    print(name, len(results) > 40, failed)"
    )
    environment = {**os.environ, "SCIPY_ARRAY_API": "1"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{name} True []" for name in nn.estimators.__all__]


def test_scikit_learn_checks_catch_unmapped_labels():
    from sklearn.utils.estimator_checks import check_classifiers_classes

    class Forgetful(MLPClassifier):
        def predict(self, X):
            return self.predict_proba(X).argmax(axis=1)

    check_classifiers_classes("MLPClassifier", MLPClassifier())
    with pytest.raises(AssertionError, match="decision_function does not match classifier"):
        check_classifiers_classes("Forgetful", Forgetful())


def test_tags_match_capabilities():
    tags = get_tags(MLPClassifier())
    assert is_classifier(MLPClassifier())
    assert tags.classifier_tags.multi_class
    assert tags.target_tags.required
    claims = [tags.classifier_tags.multi_label, tags.classifier_tags.poor_score, tags.non_deterministic]
    assert not any([*claims, tags.input_tags.sparse, tags.input_tags.allow_nan])


def test_init_stores_parameters_unchanged():
    given = {"hidden_layer_sizes": [3, 2], "activation": nn.Tanh, "random_state": np.random.RandomState(0)}
    classifier = MLPClassifier(**given)
    assert all(getattr(classifier, name) is value for name, value in given.items())
    assert clone(classifier).get_params()["activation"] is nn.Tanh
    assert classifier.set_params(lr=0.5, max_epochs=3).get_params()["lr"] == 0.5


def test_clone_is_untrained_and_trains_identically():
    X, y = blobs()
    classifier = quick().fit(X, y)
    other = clone(classifier)
    with pytest.raises(NotFittedError):
        other.predict(X)
    np.testing.assert_array_equal(weights(other.fit(X, y)), weights(classifier))


def test_pickle_preserves_predictions_and_omits_training_data():
    X, y = blobs(2000)
    classifier = quick(max_epochs=1, early_stopping=True).fit(X, y)
    expected = classifier.predict_proba(X)
    packed = pickle.dumps(classifier)
    assert len(packed) < 5000 < X.nbytes
    np.testing.assert_array_equal(pickle.loads(packed).predict_proba(X), expected)


# With scikit-learn's tools


def test_grid_search_finds_width_and_learning_rate():
    X, y = blobs()
    grid = {"hidden_layer_sizes": [(4,), (8, 8)], "lr": [1e-6, 0.03]}
    search = GridSearchCV(quick(max_epochs=10), grid, cv=3, error_score="raise").fit(X, y)
    assert search.best_params_["lr"] == 0.03
    assert search.best_score_ > 0.9
    assert len(search.cv_results_["params"]) == 4
    assert set(search.predict(X)) == {"red", "green", "blue"}


@pytest.mark.parametrize(
    ("n_classes", "scoring"), [(2, "roc_auc"), (3, "roc_auc_ovr"), (3, "neg_log_loss"), (3, None), (3, "f1_macro")]
)
def test_cross_validation_works(n_classes, scoring):
    X, y = blobs(n_classes=n_classes)
    scores = cross_val_score(quick(), X, y, cv=3, scoring=scoring, error_score="raise")
    assert scores.shape == (3,)
    assert scores.min() > (-0.3 if scoring == "neg_log_loss" else 0.9)


def test_pipeline_supports_string_labels():
    X, y = blobs()
    X = X * [1000, 1e-3] + [5000, 0]  # Data that a network cannot learn until it is scaled.
    pipeline = make_pipeline(StandardScaler(), quick())
    assert pipeline.fit(X, y).score(X, y) > 0.95
    assert quick().fit(X, y).score(X, y) < 0.8
    assert pipeline.predict(X).dtype == y.dtype
    search = GridSearchCV(pipeline, {"mlpclassifier__activation": ["relu", "tanh"]}, cv=3, error_score="raise")
    assert search.fit(X, y).best_score_ > 0.9


def test_data_frame_columns_are_remembered():
    pandas = pytest.importorskip("pandas")
    X, y = blobs()
    frame = pandas.DataFrame(X, columns=["width", "height"])
    classifier = quick().fit(frame, pandas.Series(y))
    assert list(classifier.feature_names_in_) == ["width", "height"]
    with pytest.raises(ValueError, match="feature names should match"):
        classifier.predict(frame[["height", "width"]])


# Labels, probabilities and scores


@pytest.mark.parametrize("labels", [["red", "green", "blue"], [30, 10, 20], np.array(["c", "a", "b"], dtype=object)])
def test_predictions_use_the_original_labels(labels):
    X, y = blobs()
    y = np.asarray(labels)[np.unique(y, return_inverse=True)[1]]
    classifier = quick().fit(X, y)
    np.testing.assert_array_equal(classifier.classes_, np.unique(y))
    assert classifier.predict(X).dtype == y.dtype
    assert (classifier.predict(X) == y).mean() > 0.95
    assert classifier.score(X, y) == (classifier.predict(X) == y).mean()


@pytest.mark.parametrize("n_classes", [2, 3])
def test_probabilities_scores_and_predictions_agree(n_classes):
    X, y = blobs(n_classes=n_classes, spread=2.0)
    classifier = quick().fit(X, y)
    probabilities, scores = classifier.predict_proba(X), classifier.decision_function(X)
    assert probabilities.shape == (len(X), n_classes)
    assert probabilities.min() >= 0
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_array_equal(classifier.classes_[probabilities.argmax(axis=1)], classifier.predict(X))
    if n_classes == 2:
        assert scores.shape == (len(X),)
        np.testing.assert_allclose(scores, np.log(probabilities[:, 1] / probabilities[:, 0]), rtol=1e-9)
        np.testing.assert_array_equal(classifier.classes_[(scores > 0).astype(int)], classifier.predict(X))
    else:
        np.testing.assert_allclose(nn.softmax(scores), probabilities, rtol=1e-12)


def test_prediction_for_a_sample_does_not_depend_on_the_batch(digits):
    X, X_test, y, _ = digits
    classifier = MLPClassifier(max_epochs=2, random_state=0).fit(X, y)
    together = classifier.predict_proba(X_test)
    alone = np.concatenate([classifier.predict_proba(x[None]) for x in X_test])
    np.testing.assert_allclose(together, alone, rtol=1e-12)
    assert {parameter.data.dtype for parameter in classifier.model_.parameters()} == {np.dtype(np.float64)}


def test_predictions_use_evaluation_mode():
    class Noisy(nn.Module):
        """Perturbs its input in training mode, like dropout."""

        rng = np.random.default_rng(0)

        def forward(self, x):
            return x + self.rng.normal(size=x.shape).astype(x.dtype) if self.training else x

        def backward(self, grad):
            return grad

    X, y = blobs()
    classifier = quick(activation=Noisy, max_epochs=2).fit(X, y)
    assert not classifier.model_.training
    for answer in (classifier.predict, classifier.predict_proba, classifier.decision_function):
        np.testing.assert_array_equal(answer(X), answer(X))
    np.testing.assert_array_equal(classifier.decision_function(X), nn.predict(classifier.model_, X))
    assert not classifier.model_.training


# Training is done by fit


def by_hand(X, y, widths, activation, optimizer, seed, **options):
    rng = np.random.default_rng(seed)
    modules = []
    for i in range(len(widths) - 1):
        modules += [nn.Linear(widths[i], widths[i + 1], rng=rng)]
        modules += [activation()] if i < len(widths) - 2 else []
    model = nn.Sequential(*modules)
    history = nn.fit(model, nn.CrossEntropyLoss(), optimizer(model.parameters()), X, y, rng=rng, **options)
    return np.concatenate([parameter.data.ravel() for parameter in model.parameters()]), history


@pytest.mark.parametrize(
    ("params", "widths", "activation", "optimizer"),
    [
        ({}, [64, 64, 32, 10], nn.ReLU, nn.Adam),
        ({"hidden_layer_sizes": 5, "activation": "tanh"}, [64, 5, 10], nn.Tanh, nn.Adam),
        ({"hidden_layer_sizes": [7], "activation": "sigmoid"}, [64, 7, 10], nn.Sigmoid, nn.Adam),
        ({"hidden_layer_sizes": np.array([7]), "activation": "leaky_relu"}, [64, 7, 10], nn.LeakyReLU, nn.Adam),
        ({"hidden_layer_sizes": (), "optimizer": "sgd", "lr": 0.5}, [64, 10], None, partial(nn.SGD, lr=0.5)),
        ({"optimizer": "rmsprop", "lr": 0.002}, [64, 64, 32, 10], nn.ReLU, partial(nn.RMSprop, lr=0.002)),
        ({"optimizer": "adamw"}, [64, 64, 32, 10], nn.ReLU, partial(nn.AdamW, weight_decay=0)),
        ({"weight_decay": 0.1}, [64, 64, 32, 10], nn.ReLU, partial(nn.Adam, weight_decay=0.1)),
        (
            {"optimizer": partial(nn.SGD, momentum=0.9), "lr": 0.1},
            [64, 64, 32, 10],
            nn.ReLU,
            partial(nn.SGD, lr=0.1, momentum=0.9),
        ),
        ({"activation": partial(nn.LeakyReLU, 0.3)}, [64, 64, 32, 10], partial(nn.LeakyReLU, 0.3), nn.Adam),
    ],
)
def test_weights_match_the_same_training_by_hand(digits, params, widths, activation, optimizer):
    X, _, y, _ = digits
    X, y = X[:200], y[:200]
    classifier = MLPClassifier(max_epochs=2, batch_size=50, random_state=7, **params).fit(X, y)
    expected, history = by_hand(X, y, widths, activation, optimizer, 7, epochs=2, batch_size=50)
    np.testing.assert_array_equal(weights(classifier), expected)
    np.testing.assert_array_equal(classifier.history_["loss"], history["loss"])
    assert {"loss", "accuracy", "seconds"} == set(classifier.history_)
    assert classifier.n_iter_ == 2


def test_initializer_reaches_every_layer(digits):
    X, _, y, _ = digits
    classifier = MLPClassifier(init="zeros", lr=0.0, max_epochs=1).fit(X, y)
    assert not weights(classifier).any()
    np.testing.assert_allclose(classifier.predict_proba(X), 0.1)


def test_digits_are_learned(digits):
    X, X_test, y, y_test = digits
    for seed in range(3):
        assert MLPClassifier(random_state=seed, lr=3e-3).fit(X, y).score(X_test, y_test) >= 0.93


def test_refit_starts_from_scratch():
    X, y = blobs()
    classifier = quick().fit(X, y)
    first = weights(classifier)
    kept = classifier.model_
    classifier.fit(X[:, :1], np.where(y == "red", 1, 0))
    assert classifier.n_features_in_ == 1
    assert list(classifier.classes_) == [0, 1]
    np.testing.assert_array_equal(weights(classifier.fit(X, y)), first)
    assert classifier.model_ is not kept


def test_verbose_shows_a_progress_bar(capsys):
    pytest.importorskip("tqdm")
    X, y = blobs()
    quick(max_epochs=2).fit(X, y)
    assert capsys.readouterr().err == ""
    quick(max_epochs=2, verbose=True).fit(X, y)
    assert "2/2" in capsys.readouterr().err


# Seeds


@pytest.mark.parametrize("early_stopping", [False, True])
def test_same_seed_is_reproducible_and_another_seed_differs(early_stopping):
    X, y = blobs()
    first, same, other = (quick(random_state=s, early_stopping=early_stopping).fit(X, y) for s in (3, 3, 4))
    np.testing.assert_array_equal(weights(first), weights(same))
    assert not np.array_equal(weights(first), weights(other))
    np.testing.assert_array_equal(weights(first), weights(first.fit(X, y)))  # A second fit repeats the first.


@pytest.mark.parametrize("make", [np.random.RandomState, np.random.default_rng])
def test_generator_continues_from_its_state(make):
    X, y = blobs()
    first, second = quick(random_state=make(3)).fit(X, y), quick(random_state=make(3)).fit(X, y)
    np.testing.assert_array_equal(weights(first), weights(second))
    assert not np.array_equal(weights(first), weights(second.fit(X, y)))


def test_unseeded_fits_differ():
    X, y = blobs()
    first, second = (quick(random_state=None, activation="tanh").fit(X, y) for _ in range(2))
    assert not np.array_equal(weights(first), weights(second))


@pytest.mark.parametrize("random_state", [None, 0, np.int64(3)])
def test_global_random_state_is_untouched(random_state):
    X, y = blobs()
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    quick(random_state=random_state, early_stopping=True, activation="tanh").fit(X, y)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


# Early stopping


@pytest.fixture
def given_to_fit(monkeypatch):
    """Return a dict that records the arguments the estimator passes to `nnkit.fit`."""
    given = {}

    def spy(model, loss, optimizer, X, y, **options):
        given.update(train=(X, y), held_out=options.get("validation_data"))
        return nn.fit(model, loss, optimizer, X, y, **options)

    monkeypatch.setattr("nnkit.estimators.base.fit", spy)
    return given


def test_early_stopping_stops_and_restores_the_best_epoch(given_to_fit):
    X, y = blobs(60, spread=2.5)
    classifier = quick(hidden_layer_sizes=64, early_stopping=True, patience=3, max_epochs=200).fit(X, y)
    history = classifier.history_
    best = int(history["val_loss"].argmin())
    assert classifier.n_iter_ == len(history["val_loss"]) == best + 1 + 3 < 200
    assert "stopped early" in history.stop_reason
    scores = nn.evaluate(classifier.model_, nn.CrossEntropyLoss(), *given_to_fit["held_out"])
    assert scores["loss"] == pytest.approx(history["val_loss"][best], rel=1e-5)
    assert history["val_loss"][-1] - history["val_loss"][best] > 1e-3


def test_without_early_stopping_every_epoch_trains_on_all_the_data(given_to_fit):
    X, y = blobs(60, spread=2.5)
    assert quick(patience=1, max_epochs=40).fit(X, y).n_iter_ == 40
    assert len(given_to_fit["train"][0]) == 60
    assert given_to_fit["held_out"] is None


def test_held_out_part_is_stratified_and_not_trained_on(given_to_fit):
    X, y = blobs(120)
    quick(early_stopping=True, validation_fraction=0.25, max_epochs=1).fit(X, y)
    (X_train, y_train), (X_held_out, y_held_out) = given_to_fit["train"], given_to_fit["held_out"]
    assert np.bincount(y_held_out).tolist() == [10, 10, 10]
    assert np.bincount(y_train).tolist() == [30, 30, 30]
    together = np.concatenate([X_train, X_held_out])
    # Every sample appears exactly once, in one of the two parts.
    np.testing.assert_array_equal(np.sort(together[:, 0]), np.sort(X[:, 0]))
    labels = dict(zip(X[:, 0], np.unique(y, return_inverse=True)[1], strict=True))
    assert [labels[x] for x in together[:, 0]] == [*y_train, *y_held_out]


def test_early_stopping_accepts_a_class_with_one_sample():
    X, y = blobs()
    y = y.copy()
    y[0] = "alone"
    classifier = quick(early_stopping=True, max_epochs=2).fit(X, y)
    assert "alone" in classifier.classes_
    assert classifier.predict_proba(X).shape == (90, 4)


def test_early_stopping_must_leave_a_training_sample():
    with pytest.raises(ValueError, match=r"validation_fraction must leave a sample to train on; got 0.9 of 3 samples"):
        quick(early_stopping=True, validation_fraction=0.9).fit([[0.0], [1.0], [2.0]], [0, 1, 1])


# Errors


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"activation": "rleu"}, ValueError, "activation must be one of .*'rleu'"),
        ({"activation": nn.Tanh()}, TypeError, r"activation must be .* called with \(\); got Tanh\(\)"),
        ({"activation": lambda: 5}, TypeError, "what activation makes must be a Module.*; got 5"),
        ({"optimizer": "adm"}, ValueError, "optimizer must be one of .*'adm'"),
        ({"optimizer": nn.ReLU}, TypeError, r"optimizer must be .* called with \(params, lr=..., weight_decay=...\)"),
        ({"init": nn.ReLU}, TypeError, r"init must be .* called with \(shape, rng\)"),
        ({"hidden_layer_sizes": (4, 0)}, ValueError, r"hidden_layer_sizes\[1\] must be at least 1; got 0"),
        ({"hidden_layer_sizes": 4.5}, TypeError, r"hidden_layer_sizes\[0\] must be a whole number; got 4.5"),
        ({"early_stopping": True, "validation_fraction": 1}, ValueError, "validation_fraction must be .*; got 1"),
        ({"random_state": "lucky"}, TypeError, "random_state must be .*; got 'lucky'"),
        ({"early_stopping": "no"}, TypeError, "early_stopping must be True or False; got 'no'"),
    ],
)
def test_invalid_parameter_is_named(params, error, message):  # test_failed_fits covers every parameter.
    with pytest.raises(error, match=message):
        quick(**params).fit(*blobs())


def test_invalid_data_is_named():
    X, y = blobs()
    with pytest.raises(ValueError, match=r"y must hold at least two classes; got one class, .*'red'"):
        quick().fit(X, np.full(len(y), "red"))
    with pytest.raises(ValueError, match="X must be finite as float32"):
        quick().fit(X * 1e300, y)
    with pytest.raises(ValueError, match="X has 1 features, but MLPClassifier is expecting 2"):
        quick(max_epochs=1).fit(X, y).predict(X[:, :1])
    with pytest.raises(TypeError, match="sample_weight"):
        quick().fit(X, y, sample_weight=np.ones(len(y)))


def test_divergence_warns():
    X, y = blobs()
    classifier = quick(optimizer="sgd", lr=1e30)
    with pytest.warns(nn.DivergenceWarning, match="diverged in epoch 1"):
        classifier.fit(X, y)
    assert classifier.history_.stop_reason.startswith("diverged")
    assert classifier.n_iter_ == 1
    assert set(classifier.predict(X)) <= set(y)  # Worthless, but still labels, so that a search can continue.
