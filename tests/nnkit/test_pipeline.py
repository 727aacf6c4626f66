"""From images to classes: parts of nnkit and scikit-learn in one pipeline."""

import io
import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")

import joblib
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.neighbors import KNeighborsClassifier as TheirNeighbors
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC as TheirSVC

from nnkit import SVC, Autoencoder, AutoencoderTransformer, KNeighborsClassifier, MLPClassifier


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return train_test_split(X / 16, y, train_size=600, test_size=400, random_state=0, stratify=y)


def autoencoder(**params):
    defaults = {"n_components": 12, "hidden_layer_sizes": 32, "loss": "bce", "lr": 0.01, "batch_size": 32}
    return AutoencoderTransformer(**{**defaults, "max_epochs": 8, "random_state": 0, **params})


def pipeline(**params):
    return make_pipeline(autoencoder(**params), StandardScaler(), SVC(C=10))


class Forgetful(AutoencoderTransformer):
    """Trains one network and encodes with another: the bug from chapter 16."""

    def fit(self, X, y=None):
        super().fit(X)
        sizes = [X.shape[1], *self._hidden_widths(), self.n_components]
        self.model_ = Autoencoder.symmetric(sizes, logits=self.loss == "bce", rng=0)
        return self


def assert_codes_are_of_the_trained_network(fitted, X):
    """Assert that the first step of a fitted pipeline reconstructs images better than the mean image does."""
    encoder = fitted[0]
    back = encoder.inverse_transform(encoder.transform(X))
    assert np.mean((back - X) ** 2) < 0.7 * X.var(axis=0).mean()


# The encoder is the trained network


def test_pipeline_classifies_trained_codes(digits):
    X, X_test, y, y_test = digits
    fitted = pipeline().fit(X, y)
    assert fitted.score(X_test, y_test) > 0.9
    assert_codes_are_of_the_trained_network(fitted, X_test)
    # The SVM was trained on what the first two steps produce now.
    codes = fitted[:-1].transform(X)
    np.testing.assert_array_equal(fitted[-1].support_vectors_, codes[fitted[-1].support_])


def test_untrained_encoder_is_detected(digits):
    X, X_test, y, y_test = digits
    planted = make_pipeline(Forgetful(**autoencoder().get_params()), StandardScaler(), SVC(C=10)).fit(X, y)
    assert planted.score(X_test, y_test) > 0.6  # The score alone would not reveal it.
    with pytest.raises(AssertionError):
        assert_codes_are_of_the_trained_network(planted, X_test)


def test_codes_depend_on_training(digits):
    X, X_test, y, y_test = digits
    doses = [pipeline(max_epochs=1, lr=1e-9), pipeline(max_epochs=8)]
    untrained, trained = (dose.fit(X, y).score(X_test, y_test) for dose in doses)
    assert trained > untrained + 0.02


def test_each_fold_trains_its_own_encoder(digits):
    X, _, y, _ = digits
    fits = []

    class Counting(AutoencoderTransformer):
        def fit(self, X, y=None):
            fits.append(X.copy())
            return super().fit(X)

    counting = make_pipeline(Counting(**autoencoder(max_epochs=1).get_params()), SVC())
    cross_val_score(counting, X, y, cv=3, error_score="raise")
    assert [len(fold) for fold in fits] == [400, 400, 400]
    assert not np.array_equal(fits[0], fits[1])


# Searches


@pytest.mark.slow
def test_grid_search_over_parameters_of_every_step(digits):
    X, X_test, y, y_test = digits
    grid = {
        "autoencodertransformer__n_components": [1, 12],
        "standardscaler__with_std": [True, False],
        "svc__C": [1e-4, 10.0],
    }
    search = GridSearchCV(pipeline(), grid, cv=2, error_score="raise").fit(X, y)
    assert len(search.cv_results_["params"]) == 8
    assert search.best_params_["autoencodertransformer__n_components"] == 12
    assert search.best_params_["svc__C"] == 10.0
    assert search.score(X_test, y_test) > 0.88
    assert_codes_are_of_the_trained_network(search.best_estimator_, X_test)


CLASSIFIERS = [
    SVC(C=10),
    TheirSVC(C=10),
    KNeighborsClassifier(3),
    TheirNeighbors(3),
    MLPClassifier(32, lr=0.01, random_state=0),
    LogisticRegression(max_iter=500),
]


@pytest.mark.slow
def test_grid_search_over_the_steps_themselves(digits):
    X, X_test, y, y_test = digits
    exchange = Pipeline([("encoder", autoencoder()), ("scaler", StandardScaler()), ("classifier", SVC())])
    grid = {
        "encoder": [autoencoder(), PCA(12, random_state=0), "passthrough"],
        "scaler": [StandardScaler()],
        "classifier": CLASSIFIERS,
    }
    search = GridSearchCV(exchange, grid, cv=2, error_score="raise").fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert len(scores) == 3 * len(CLASSIFIERS)
    assert scores.min() > 0.75
    assert search.score(X_test, y_test) > 0.9


def test_nnkit_and_scikit_learn_svc_agree_on_codes(digits):
    X, X_test, y, _ = digits
    codes = make_pipeline(autoencoder(), StandardScaler()).fit(X)
    ours = SVC(C=10, multi_class="ovo").fit(codes.transform(X), y).predict(codes.transform(X_test))
    theirs = TheirSVC(C=10).fit(codes.transform(X), y).predict(codes.transform(X_test))
    assert np.mean(ours == theirs) > 0.98


@pytest.mark.slow
def test_search_with_two_processes_matches_one(digits):
    X, _, y, _ = digits
    grid = {"autoencodertransformer__n_components": [2, 12], "svc__C": [0.1, 10.0]}
    searches = [GridSearchCV(pipeline(max_epochs=2), grid, cv=2, n_jobs=n_jobs).fit(X, y) for n_jobs in (1, 2)]
    alone, together = (search.cv_results_["mean_test_score"] for search in searches)
    np.testing.assert_array_equal(together, alone)


def test_cross_validation_scores_match_manual_folds(digits):
    X, _, y, _ = digits
    scores = cross_val_score(pipeline(), X, y, cv=3, error_score="raise")
    assert scores.shape == (3,)
    assert scores.min() > 0.8
    np.testing.assert_array_equal(cross_val_score(pipeline(), X, y, cv=3, scoring="accuracy"), scores)


# The contract of a pipeline step


def test_clone_is_untrained_and_trains_identically(digits):
    X, X_test, y, _ = digits
    fitted = pipeline().fit(X, y)
    other = clone(fitted)
    with pytest.raises(NotFittedError):
        other.predict(X_test)
    np.testing.assert_array_equal(other.fit(X, y).decision_function(X_test), fitted.decision_function(X_test))


def test_set_params_reaches_and_replaces_steps(digits):
    X, X_test, y, y_test = digits
    changed = pipeline().set_params(autoencodertransformer__n_components=5, svc__kernel="linear")
    assert (changed[0].n_components, changed[-1].kernel) == (5, "linear")
    assert changed.fit(X, y)[-1].n_features_in_ == 5
    replaced = changed.set_params(svc=KNeighborsClassifier(3))
    assert replaced.get_params()["svc__n_neighbors"] == 3
    assert replaced.fit(X, y).score(X_test, y_test) > 0.75
    with pytest.raises(ValueError, match="Invalid parameter"):
        changed.set_params(autoencodertransformer__n_numbers=5)


@pytest.mark.parametrize("store", [pickle, joblib], ids=["pickle", "joblib"])
def test_pickled_pipeline_predicts_the_same(store, digits):
    X, X_test, y, _ = digits
    fitted = pipeline().fit(X, y)
    file = io.BytesIO()
    store.dump(fitted, file)
    file.seek(0)
    loaded = store.load(file)
    np.testing.assert_array_equal(loaded.decision_function(X_test), fitted.decision_function(X_test))
    assert_codes_are_of_the_trained_network(loaded, X_test)


def test_pipeline_returns_feature_names(digits):
    X, _, y, _ = digits
    fitted = pipeline(n_components=3, max_epochs=1).fit(X, y)
    names = fitted[:-1].get_feature_names_out()
    assert names.tolist() == [f"autoencodertransformer{i}" for i in range(3)]


def test_feature_union_combines_codes_and_principal_components(digits):
    X, X_test, y, y_test = digits
    both = FeatureUnion([("code", autoencoder()), ("components", PCA(4, random_state=0))])
    fitted = make_pipeline(both, StandardScaler(), SVC(C=10)).fit(X, y)
    assert fitted[-1].n_features_in_ == 16
    assert fitted.score(X_test, y_test) > 0.9
    names = fitted[:-1].get_feature_names_out()
    assert names[0] == "code__autoencodertransformer0"
    assert names[-1] == "components__pca3"


def test_labels_may_be_strings(digits):
    X, X_test, y, y_test = digits
    words = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])
    fitted = pipeline().fit(X, words[y])
    assert np.mean(fitted.predict(X_test) == words[y_test]) > 0.9
