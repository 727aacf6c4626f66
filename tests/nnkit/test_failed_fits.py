"""Every estimator, every bad parameter and bad data: a fit that fails names why, and leaves what was fitted before."""

import itertools
import warnings

import numpy as np
import pytest

import nnkit as nn

pytest.importorskip("sklearn")

from nnkit import SVC, AutoencoderTransformer, KNeighborsClassifier, MLPClassifier
from nnkit.estimators import neighbors
from nnkit.estimators.smo import SMO

X = np.array([[0.0, 0.1], [0.1, 0.0], [0.9, 1.0], [1.0, 0.8], [0.0, 1.0], [0.1, 0.9]])
Y = np.array(["a", "a", "b", "b", "c", "c"])
OTHER_X = np.hstack([1 - X, X[:, :1]])[[5, 4, 3, 2, 1]]
OTHER_Y = np.array(["dog", "cat", "dog", "cat", "dog"])

NETWORK = {"hidden_layer_sizes": 4, "max_epochs": 2, "random_state": 0}
MAKERS = {
    "SVC": lambda: SVC(C=10),
    "SVC, linear and one against one": lambda: SVC(kernel="linear", multi_class="ovo"),
    "KNeighborsClassifier": lambda: KNeighborsClassifier(2),
    "MLPClassifier": lambda: MLPClassifier(**NETWORK),
    "MLPClassifier that stops early": lambda: MLPClassifier(early_stopping=True, validation_fraction=0.4, **NETWORK),
    "AutoencoderTransformer": lambda: AutoencoderTransformer(1, loss="bce", **NETWORK),
}
every_estimator = pytest.mark.parametrize("maker", MAKERS)


def no_initializer(shape, rng):
    return np.zeros(3)


BAD = {
    "C": [-1, 0, np.nan, np.inf, "1", None, True],
    "activation": ["rleu", None, nn.Tanh(), nn.Linear, np.tanh, lambda: 5],
    "batch_size": [0, 1.5, "all", None],
    "cache_size": [0, "200MB"],
    "class_weight": ["even", {"zebra": 1.0}, {"cat": 0.0}, {"cat": "much"}, 5, [1, 2]],
    "clip": [(1, 0), 5, (0, np.nan), (0, 1, 2), "01"],
    "coef0": [np.inf, None, "0"],
    "degree": [0, 2.5, "3", None],
    "early_stopping": ["no", None, 0.5],
    "gamma": [0, -1.0, np.nan, "large", None, True],
    "hidden_layer_sizes": ["64", (4, 0), -1, 4.5, None, True, {3, 4}, ((4, 3), (2,)), np.ones((2, 2)), nn.Linear],
    "init": ["kaiming", None, 0.1, nn.ReLU, no_initializer],
    "kernel": ["sigmoid", None, 3, np.dot, np.array(["rbf", "poly"])],
    "loss": ["mae", None, nn.MSELoss(), nn.MSELoss, np.array(["mse", "bce"])],
    "lr": [-1, np.nan, np.inf, "fast", None],
    "max_epochs": [0, 2.0, "2", None],
    "max_iter": [0, -2, 2.0, "many", None],
    "multi_class": ["both", None, 1, np.array(["ovr", "ovo"])],
    "n_components": [0, -1, 2.0, "2", None],
    "n_neighbors": [0, -1, 2.5, 10, "5", None],
    "noise": [-0.1, np.nan, "little", None],
    "optimizer": ["adm", None, nn.Adam(nn.Linear(1, 1).parameters()), nn.ReLU, lambda params, lr: None, 0.1],
    "patience": [0, 1.5, "long", None],
    "random_state": [-1, 1.5, "lucky", nn.ReLU],
    "tied": ["no", None, 0.5],
    "tol": [0, -1.0, np.nan, np.inf, "small", None],
    "validation_fraction": [0, 1, -0.1, np.nan, "half", None],
    "verbose": ["no", None, 0.5],
    "weight_decay": [-1, np.nan, "much", None],
    "weights": ["near", None, np.ones, np.array(["uniform", "distance"])],
}
BAD_PARAMETERS = [(maker, name, bad) for maker in MAKERS for name in MAKERS[maker]().get_params() for bad in BAD[name]]

BAD_DATA = {
    "NaN": (np.where(OTHER_X > 0.85, np.nan, OTHER_X), OTHER_Y),
    "infinity": (np.where(OTHER_X > 0.85, np.inf, OTHER_X), OTHER_Y),
    "one dimension": (OTHER_X[:, 0], OTHER_Y),
    "three dimensions": (OTHER_X[:, :, None], OTHER_Y),
    "no samples": (OTHER_X[:0], OTHER_Y[:0]),
    "no features": (OTHER_X[:, :0], OTHER_Y),
    "words": (np.full((5, 3), "word"), OTHER_Y),
    "complex numbers": (OTHER_X * 1j, OTHER_Y),
    "rows of unequal lengths": ([[0.0], [1.0, 2.0]], OTHER_Y[:2]),
    "nothing": (None, OTHER_Y),
    "numbers too large": (np.where(OTHER_X > 0.5, 1e308, -1e308), OTHER_Y),
}
BAD_LABELS = {
    "no labels": None,
    "a label too few": OTHER_Y[:4],
    "labels that are not classes": np.array([0.5, 0.1, 0.2, 0.3, 0.4]),
    "a label that is missing": np.array([0.0, 1.0, np.nan, 1.0, 0.0]),
    "two labels a sample": np.column_stack([OTHER_Y, OTHER_Y]),
    "one class": np.full(5, "dog"),
}


def fits(maker):
    """Yield an estimator that was fitted, and what it was: its attributes and its answers."""
    estimator = MAKERS[maker]().fit(X, Y)
    return estimator, vars(estimator).copy(), answers(estimator)


def answers(estimator):
    """Return all that a fitted estimator says."""
    if isinstance(estimator, AutoencoderTransformer):
        codes = estimator.transform(X)
        return [codes, estimator.inverse_transform(codes), estimator.get_feature_names_out()]
    found = [estimator.predict(X)]
    for name in ("predict_proba", "decision_function"):
        found += [getattr(estimator, name)(X)] if hasattr(estimator, name) else []
    if isinstance(estimator, KNeighborsClassifier):
        found += estimator.kneighbors(X)
    return found + ([estimator.coef_] if hasattr(estimator, "coef_") else [])


def assert_unchanged(estimator, attributes, said):
    """Stop unless an estimator has the very attributes that it had, and says what it said."""
    assert vars(estimator).keys() == attributes.keys()
    assert [name for name, value in vars(estimator).items() if value is not attributes[name]] == []
    for now, before in zip(answers(estimator), said, strict=True):
        np.testing.assert_array_equal(now, before)


def test_every_parameter_has_bad_values():
    names = {name for make in MAKERS.values() for name in make().get_params()}
    assert names == BAD.keys()
    assert all(BAD.values())
    estimators = {getattr(nn, name) for name in dir(nn) if hasattr(getattr(nn, name), "get_params")}
    assert {type(make()) for make in MAKERS.values()} == estimators


def test_a_good_fit_does_change_it():
    for maker in MAKERS:
        estimator, attributes, said = fits(maker)
        estimator.fit(OTHER_X[:, :2], OTHER_Y)
        with pytest.raises(AssertionError):
            assert_unchanged(estimator, attributes, said)


@pytest.mark.parametrize(("maker", "name", "bad"), BAD_PARAMETERS)
def test_bad_parameter_is_named_and_the_old_fit_stays(maker, name, bad):
    estimator, attributes, said = fits(maker)
    good = getattr(estimator, name)
    with pytest.raises((TypeError, ValueError), match=name):
        estimator.set_params(**{name: bad}).fit(OTHER_X, OTHER_Y)
    assert getattr(estimator, name) is bad
    assert_unchanged(estimator.set_params(**{name: good}), attributes, said)


@pytest.mark.parametrize(("maker", "name", "bad"), BAD_PARAMETERS)
def test_a_first_fit_that_fails_leaves_nothing(maker, name, bad):
    estimator = MAKERS[maker]().set_params(**{name: bad})
    with pytest.raises((TypeError, ValueError)):
        estimator.fit(OTHER_X, OTHER_Y)
    assert vars(estimator).keys() == estimator.get_params().keys()


@pytest.mark.parametrize(("maker", "data"), [*itertools.product(MAKERS, BAD_DATA)])
def test_after_bad_data_the_old_fit_stays(maker, data):
    estimator, attributes, said = fits(maker)
    with pytest.raises((TypeError, ValueError)):
        estimator.fit(*BAD_DATA[data])
    assert_unchanged(estimator, attributes, said)


@pytest.mark.parametrize(("maker", "labels"), [*itertools.product(MAKERS, BAD_LABELS)])
def test_after_bad_labels_the_old_fit_stays(maker, labels):
    estimator, attributes, said = fits(maker)
    if isinstance(estimator, AutoencoderTransformer) or (
        isinstance(estimator, KNeighborsClassifier) and labels == "one class"
    ):
        estimator.fit(OTHER_X, BAD_LABELS[labels])  # Which are not bad for it.
        return
    with pytest.raises((TypeError, ValueError)):
        estimator.fit(OTHER_X, BAD_LABELS[labels])
    assert_unchanged(estimator, attributes, said)


def test_data_outside_the_bounds_of_the_loss_leaves_the_old_fit():
    estimator, attributes, said = fits("AutoencoderTransformer")
    with pytest.raises(ValueError, match=r"X must lie in \[0, 1\] for loss='bce'"):
        estimator.fit(OTHER_X * 2)
    assert_unchanged(estimator, attributes, said)


def test_fewer_samples_than_neighbours_leave_the_old_fit():
    estimator, attributes, said = fits("KNeighborsClassifier")
    with pytest.raises(ValueError, match="n_neighbors=2 and n_samples=1"):
        estimator.fit(OTHER_X[:1], OTHER_Y[:1])
    assert_unchanged(estimator, attributes, said)


@every_estimator
def test_names_of_features_stay_too(maker):
    pandas = pytest.importorskip("pandas")
    frame, other = pandas.DataFrame(X, columns=["width", "height"]), pandas.DataFrame(OTHER_X, columns=list("abc"))
    estimator = MAKERS[maker]().fit(frame, Y)
    attributes = vars(estimator).copy()
    name = next(iter(estimator.get_params()))
    good = getattr(estimator, name)
    for bad in (other, OTHER_X):
        with pytest.raises((TypeError, ValueError), match=name):
            estimator.set_params(**{name: BAD[name][0]}).fit(bad, OTHER_Y)
        estimator.set_params(**{name: good})
        assert vars(estimator) == attributes
    assert list(estimator.feature_names_in_) == ["width", "height"]


class Interrupted(nn.ReLU):
    """An activation during whose third batch something happens."""

    def forward(self, x):
        if self.training:
            Interrupted.batches += 1
            if Interrupted.batches == 3:
                raise Interrupted.error
        return super().forward(x)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError, ZeroDivisionError])
@every_estimator
def test_what_ends_a_fit_in_the_middle_leaves_the_old_one(maker, error, monkeypatch):
    estimator, attributes, said = fits(maker)

    def fails(*given):
        raise error

    if isinstance(estimator, SVC):
        monkeypatch.setattr(SMO, "move", fails)
    elif isinstance(estimator, KNeighborsClassifier):
        monkeypatch.setattr(neighbors, "_expanded", fails)
    else:
        Interrupted.batches, Interrupted.error = 0, error
        estimator.set_params(activation=Interrupted, batch_size=1)
    with pytest.raises(error):
        estimator.fit(OTHER_X, OTHER_Y)
    monkeypatch.undo()
    if hasattr(estimator, "activation"):
        estimator.set_params(activation="relu", batch_size=128)
    assert_unchanged(estimator, attributes, said)


@pytest.mark.parametrize(
    ("maker", "params"),
    [("SVC", {"max_iter": 1}), ("MLPClassifier", {"activation": "leaky_relu", "optimizer": "sgd", "lr": 1e30})]
    + [("AutoencoderTransformer", {"optimizer": "sgd", "lr": 1e30, "loss": "mse"})],
)
def test_a_warning_that_is_made_an_error_leaves_the_old_fit(maker, params):
    estimator, attributes, said = fits(maker)
    good = {name: getattr(estimator, name) for name in params}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(Warning):
            estimator.set_params(**params).fit(OTHER_X, OTHER_Y)
    assert_unchanged(estimator.set_params(**good), attributes, said)


@pytest.mark.parametrize(("maker", "name", "bad"), [case for case in BAD_PARAMETERS if case[0][0] != "K"])
def test_parameters_that_are_set_after_a_fit_wait_for_the_next(maker, name, bad):
    # Those of the neighbours count at once, which is documented and tested elsewhere.
    estimator, _, said = fits(maker)
    estimator.set_params(**{name: bad})
    for now, before in zip(answers(estimator), said, strict=True):
        np.testing.assert_array_equal(now, before)


@pytest.mark.parametrize(("fitted", "then"), [*itertools.permutations(["linear", "rbf"])])
@pytest.mark.parametrize("strategies", [*itertools.permutations(["ovr", "ovo"])])
def test_machine_answers_as_it_was_fitted_whatever_it_is_told_since(fitted, then, strategies):
    machine = SVC(kernel=fitted, multi_class=strategies[0]).fit(X, Y)
    scores = machine.decision_function(X)
    machine.set_params(kernel=then, multi_class=strategies[1])
    np.testing.assert_array_equal(machine.decision_function(X), scores)
    assert hasattr(machine, "coef_") == (fitted == "linear")
    if fitted == "linear":
        with pytest.raises(ValueError, match="its linear kernel is not finite"):
            machine.predict([[1e308, -1e308]])


def test_the_report():
    # Word for word what was reported.
    machine = SVC().fit([[0.0], [1.0], [10.0], [11.0]], list("aabb"))
    with pytest.raises(ValueError, match="C must be a finite number above 0; got -1"):
        machine.set_params(C=-1).fit([[0.0], [1.0], [10.0], [11.0]], ["dog", "cat", "dog", "cat"])
    assert machine.set_params(C=1).predict([[0.0], [1.0], [10.0], [11.0]]).tolist() == list("aabb")
