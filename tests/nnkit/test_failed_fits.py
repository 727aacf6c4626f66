"""A failed fit names the parameter and leaves the estimator as it was: unfitted, or with its last good fit."""

import warnings

import numpy as np
import pytest

import nnkit as nn

pytest.importorskip("sklearn")

from nnkit import SVC, AutoencoderTransformer, KNeighborsClassifier, MLPClassifier
from nnkit.estimators.smo import SMO

X = np.array([[0.0, 0.1], [0.1, 0.0], [0.9, 1.0], [1.0, 0.8], [0.0, 1.0], [0.1, 0.9]])
Y = np.array(["a", "a", "b", "b", "c", "c"])
OTHER_X = np.hstack([1 - X, X[:, :1]])[[5, 4, 3, 2, 1]]
OTHER_Y = np.array(["dog", "cat", "dog", "cat", "dog"])

NETWORK = {"hidden_layer_sizes": 4, "max_epochs": 2, "random_state": 0}
MAKERS = {
    "SVC": lambda: SVC(kernel="linear", multi_class="ovo"),
    "KNeighborsClassifier": lambda: KNeighborsClassifier(2),
    "MLPClassifier": lambda: MLPClassifier(early_stopping=True, validation_fraction=0.4, **NETWORK),
    "AutoencoderTransformer": lambda: AutoencoderTransformer(1, loss="bce", **NETWORK),
}
every_estimator = pytest.mark.parametrize("maker", MAKERS)


def no_initializer(shape, rng):
    return np.zeros(3)


# A value of the right type but out of range, and one of the wrong type.
BAD = {
    "C": [-1, "1"],
    "activation": ["rleu", nn.Tanh()],
    "batch_size": [0, "all"],
    "cache_size": [0, "200MB"],
    "class_weight": [{"cat": 0.0}, 5],
    "clip": [(1, 0), "01"],
    "coef0": [np.inf, None],
    "decision_function_shape": ["both", np.array(["ovr", "ovo"])],
    "degree": [0, 2.5],
    "early_stopping": ["no", None],
    "gamma": [np.nan, None],
    "hidden_layer_sizes": [(4, 0), ((4, 3), (2,))],
    "init": ["kaiming", no_initializer],
    "kernel": ["sigmoid", np.array(["rbf", "poly"])],
    "loss": ["mae", nn.MSELoss()],
    "lr": [-1, "fast"],
    "max_epochs": [0, 2.0],
    "max_iter": [-2, "many"],
    "multi_class": ["both", None],
    "n_components": [0, 2.0],
    "n_neighbors": [10, 2.5],
    "noise": [-0.1, "little"],
    "optimizer": ["adm", lambda params, lr: None],
    "patience": [0, 1.5],
    "random_state": [-1, "lucky"],
    "tied": ["no", None],
    "tol": [0, "small"],
    "validation_fraction": [1, "half"],
    "verbose": ["no", 0.5],
    "weight_decay": [np.nan, "much"],
    "weights": ["near", np.array(["uniform", "distance"])],
}
PARAMETERS = [(maker, name) for maker in MAKERS for name in MAKERS[maker]().get_params()]

BAD_DATA = {
    "NaN": (np.where(OTHER_X > 0.85, np.nan, OTHER_X), OTHER_Y),
    "numbers too large": (np.where(OTHER_X > 0.5, 1e308, -1e308), OTHER_Y),
    "one dimension": (OTHER_X[:, 0], OTHER_Y),
    "no samples": (OTHER_X[:0], OTHER_Y[:0]),
    "no features": (OTHER_X[:, :0], OTHER_Y),
    "words": (np.full((5, 3), "word"), OTHER_Y),
    "nothing": (None, OTHER_Y),
}
BAD_LABELS = {
    "no labels": (OTHER_X, None),
    "one label too few": (OTHER_X, OTHER_Y[:4]),
    "labels that are not classes": (OTHER_X, np.array([0.5, 0.1, 0.2, 0.3, 0.4])),
    "two labels per sample": (OTHER_X, np.column_stack([OTHER_Y, OTHER_Y])),
}


def answers(estimator):
    """Return everything that a fitted estimator predicts."""
    if isinstance(estimator, AutoencoderTransformer):
        codes = estimator.transform(X)
        return [codes, estimator.inverse_transform(codes), estimator.get_feature_names_out()]
    found = [estimator.predict(X)]
    for name in ("predict_proba", "decision_function"):
        found += [getattr(estimator, name)(X)] if hasattr(estimator, name) else []
    if isinstance(estimator, KNeighborsClassifier):
        found += estimator.kneighbors(X)
    return found + ([estimator.coef_] if hasattr(estimator, "coef_") else [])


def assert_same_answers(estimator, said):
    for now, before in zip(answers(estimator), said, strict=True):
        np.testing.assert_array_equal(now, before)


class Fitted:
    """A fitted estimator and a record of its state."""

    def __init__(self, maker):
        self.estimator = MAKERS[maker]().fit(X, Y)
        self.attributes, self.said = vars(self.estimator).copy(), answers(self.estimator)

    def assert_unchanged(self):
        """Assert that the estimator has the same attribute objects as before and gives the same answers."""
        assert vars(self.estimator).keys() == self.attributes.keys()
        changed = [name for name, value in vars(self.estimator).items() if value is not self.attributes[name]]
        assert changed == []
        assert_same_answers(self.estimator, self.said)


def test_bad_values_cover_every_parameter_of_every_estimator():
    assert {name for _, name in PARAMETERS} == BAD.keys()
    assert {type(make()).__name__ for make in MAKERS.values()} == set(nn.estimators.__all__)


@every_estimator
def test_successful_refit_changes_the_answers(maker):
    fitted = Fitted(maker)
    fitted.estimator.fit(OTHER_X[:, :2], OTHER_Y)
    with pytest.raises(AssertionError):
        fitted.assert_unchanged()


@pytest.mark.parametrize(("maker", "name"), PARAMETERS)
def test_bad_parameter_is_named_and_keeps_the_old_fit(maker, name):
    fitted = Fitted(maker)
    estimator, good = fitted.estimator, getattr(fitted.estimator, name)
    for bad in BAD[name]:
        never = MAKERS[maker]().set_params(**{name: bad})
        with pytest.raises((TypeError, ValueError), match=name):
            never.fit(OTHER_X, OTHER_Y)
        assert vars(never).keys() == never.get_params().keys()

        estimator.set_params(**{name: bad})
        if maker != "KNeighborsClassifier":  # The only one whose parameters take effect without a fit.
            assert_same_answers(estimator, fitted.said)
        with pytest.raises((TypeError, ValueError), match=name):
            estimator.fit(OTHER_X, OTHER_Y)
        assert getattr(estimator, name) is bad
        estimator.set_params(**{name: good})
        fitted.assert_unchanged()


@every_estimator
def test_bad_data_keeps_the_old_fit(maker):
    fitted = Fitted(maker)
    cases = BAD_DATA if maker == "AutoencoderTransformer" else BAD_DATA | BAD_LABELS
    for data in cases.values():
        with pytest.raises((TypeError, ValueError)):
            fitted.estimator.fit(*data)
        fitted.assert_unchanged()


@pytest.mark.parametrize(
    ("maker", "data", "message"),
    [
        ("SVC", (OTHER_X, np.full(5, "dog")), "y must hold at least two classes"),
        ("MLPClassifier", (OTHER_X, np.full(5, "dog")), "y must hold at least two classes"),
        ("AutoencoderTransformer", (OTHER_X * 2,), r"X must lie in \[0, 1\]"),
        ("KNeighborsClassifier", (OTHER_X[:1], OTHER_Y[:1]), "n_neighbors=2 and n_samples=1"),
    ],
)
def test_unsuitable_data_keeps_the_old_fit(maker, data, message):
    fitted = Fitted(maker)
    with pytest.raises(ValueError, match=message):
        fitted.estimator.fit(*data)
    fitted.assert_unchanged()


@every_estimator
def test_failed_fit_keeps_feature_names(maker):
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
    """An activation that runs a callback during its third batch."""

    def forward(self, x):
        if self.training:
            Interrupted.batches += 1
            if Interrupted.batches == 3:
                raise Interrupted.error
        return super().forward(x)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@every_estimator
def test_interrupted_fit_keeps_the_old_fit(maker, error, monkeypatch):
    fitted = Fitted(maker)

    def fails(*given):
        raise error

    if maker == "SVC":
        monkeypatch.setattr(SMO, "move", fails)
    elif maker == "KNeighborsClassifier":
        monkeypatch.setattr("nnkit.estimators.neighbors._expanded", fails)
    else:
        Interrupted.batches, Interrupted.error = 0, error
        fitted.estimator.set_params(activation=Interrupted, batch_size=1)
    with pytest.raises(error):
        fitted.estimator.fit(OTHER_X, OTHER_Y)
    monkeypatch.undo()
    if hasattr(fitted.estimator, "activation"):
        fitted.estimator.set_params(activation="relu", batch_size=128)
    fitted.assert_unchanged()


@pytest.mark.parametrize(
    ("maker", "params"),
    [
        ("SVC", {"max_iter": 1}),
        ("MLPClassifier", {"activation": "leaky_relu", "optimizer": "sgd", "lr": 1e30}),
        ("AutoencoderTransformer", {"optimizer": "sgd", "lr": 1e30, "loss": "mse"}),
    ],
)
def test_warning_raised_as_an_error_keeps_the_old_fit(maker, params):
    fitted = Fitted(maker)
    good = {name: getattr(fitted.estimator, name) for name in params}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(Warning):
            fitted.estimator.set_params(**params).fit(np.vstack([OTHER_X, OTHER_X[:, ::-1]]), np.tile(OTHER_Y, 2))
    fitted.estimator.set_params(**good)
    fitted.assert_unchanged()


@pytest.mark.parametrize(("fitted", "then"), [("linear", "rbf"), ("rbf", "linear")])
@pytest.mark.parametrize("strategies", [("ovr", "ovo"), ("ovo", "ovr")])
def test_svc_predicts_as_fitted_after_its_parameters_change(fitted, then, strategies):
    machine = SVC(kernel=fitted, multi_class=strategies[0]).fit(X, Y)
    scores = machine.decision_function(X)
    machine.set_params(kernel=then, multi_class=strategies[1], decision_function_shape=strategies[1])
    np.testing.assert_array_equal(machine.decision_function(X), scores)
    assert hasattr(machine, "coef_") == (fitted == "linear")
    if fitted == "linear":
        with pytest.raises(ValueError, match="its linear kernel is not finite"):
            machine.predict([[1e308, -1e308]])
