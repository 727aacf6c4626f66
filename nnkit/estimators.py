"""Networks behind scikit-learn's contract, so that pipelines, `GridSearchCV` and `cross_val_score` can use them.

An estimator only translates: its parameters become a `Sequential`, a loss and an optimizer, `fit` trains them, and
labels go in and come back as the user wrote them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.model_selection import train_test_split
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError("nnkit.estimators needs scikit-learn 1.6 or newer: pip install 'nnkit[estimators]'") from error

from nnkit._checks import Array, chosen, number, whole_number
from nnkit.activations import ACTIVATIONS, softmax
from nnkit.initializers import Initializer
from nnkit.layers import Linear
from nnkit.losses import CrossEntropyLoss
from nnkit.metrics import accuracy, predicted_classes
from nnkit.module import Module, Sequential
from nnkit.optimizers import OPTIMIZERS, Optimizer
from nnkit.training import EarlyStopping, fit, predict

_FLOATS = (np.float64, np.float32)


class MLPClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A multi-layer perceptron for classification: `Sequential` and `fit` as a scikit-learn estimator.

    A parameter has scikit-learn's name where it means what it means there (`hidden_layer_sizes`, `activation`,
    `batch_size`, `early_stopping`, `validation_fraction`, `random_state`, `verbose`). What is handed on to a part of
    nnkit has the name that it has in that part (`optimizer`, `lr`, `weight_decay`, `init`, `patience`). And
    `max_epochs` counts epochs, where scikit-learn's ``max_iter`` would leave open whether it counts those or steps.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int, or int, default (64, 32)
        The widths of the hidden layers; ``()`` makes the softmax regression of chapter 2.
    activation : {"relu", "leaky_relu", "sigmoid", "tanh"} or callable, default "relu"
        What follows each hidden layer, or a function without arguments that makes such a `Module`.
    optimizer : {"sgd", "rmsprop", "adam", "adamw"} or callable, default "adam"
        What trains, or a function such as ``partial(SGD, momentum=0.9)`` that makes an optimizer from the parameters,
        `lr` and `weight_decay`.
    lr : float, default 0.001
        The learning rate.
    batch_size : int, default 128
        Samples a step; one larger than the data means all of it at once.
    max_epochs : int, default 20
        How many times to go through the data, unless early stopping ends it before.
    weight_decay : float, default 0
        As the optimizer takes it; zero for AdamW too.
    init : str or callable, default "kaiming_uniform"
        How the weights start, as for `Linear`.
    early_stopping : bool, default False
        Whether to hold out a part of the data, stop when the loss on it has not become smaller for `patience` epochs,
        and go back to the weights of the best epoch.
    validation_fraction : float, default 0.1
        The part to hold out, between 0 and 1. Each class gives its share, unless a class is too small for that.
    patience : int, default 5
        As for `EarlyStopping`.
    random_state : int, RandomState, Generator or None, default None
        Where the weights, the held-out part and the order of the samples come from. With an int every `fit` gives the
        same bits on one machine; the others go on drawing where they are; None differs from run to run. NumPy's global
        state is not touched.
    verbose : bool, default False
        Whether to show a tqdm bar.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
        The labels, sorted.
    n_features_in_ : int
        How many features `fit` saw.
    feature_names_in_ : ndarray of str, shape (n_features_in_,)
        Their names; only where `X` was a data frame with names.
    model_ : Sequential
        The trained network. It returns logits, one column a class in the order of `classes_`.
    history_ : History
        One number an epoch for each of ``loss``, ``accuracy``, ``seconds`` and, with early stopping, ``val_loss`` and
        ``val_accuracy``.
    n_iter_ : int
        How many epochs were trained, also where the weights are those of an earlier one.

    Warns
    -----
    DivergenceWarning
        If training stopped because it diverged; the predictions are then worthless.

    Notes
    -----
    Training runs in float32 whatever `X` has, because it is twice as fast. Then the weights are converted to float64,
    without changing their values, and predictions are made in that: in float32 the prediction for a sample would
    change in its last digits with the number of samples beside it.

    With ``rng = numpy.random.default_rng(random_state)`` and an int, training is the same as making the layers from
    the first to the last with ``rng=rng`` and handing the same `rng` to `fit`; early stopping draws its held-out part
    in between.

    There are no sample weights, because the losses take none, and no ``partial_fit``.

    Examples
    --------
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> pipeline = make_pipeline(StandardScaler(), MLPClassifier(random_state=0))
    >>> grid = {"mlpclassifier__hidden_layer_sizes": [(16,), (64, 32)], "mlpclassifier__lr": [1e-3, 1e-2]}
    >>> search = GridSearchCV(pipeline, grid)
    """

    classes_: Array
    n_features_in_: int

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] | int = (64, 32),
        activation: str | Callable[[], Module] = "relu",
        *,
        optimizer: str | Callable[..., Optimizer] = "adam",
        lr: float = 1e-3,
        batch_size: int = 128,
        max_epochs: int = 20,
        weight_decay: float = 0.0,
        init: str | Initializer = "kaiming_uniform",
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        patience: int = 5,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
        verbose: bool = False,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.optimizer = optimizer
        self.lr = lr
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.weight_decay = weight_decay
        self.init = init
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> Self:
        """Train a new network; whatever was learned before is forgotten.

        Parameters
        ----------
        X : array_like or data frame, shape (n, n_features)
            The inputs, finite real numbers.
        y : array_like, shape (n,)
            The labels: numbers or strings, of at least two classes.

        Returns
        -------
        MLPClassifier
            The estimator itself.

        Raises
        ------
        ValueError
            If a parameter or the data is out of range, or there is only one class.
        """
        X, y = validate_data(self, X, y, dtype=_FLOATS)
        check_classification_targets(y)
        self.classes_, targets = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y must hold at least two classes; got one class, {self.classes_[0]!r}")

        rng = _generator(self.random_state)
        model = self._network(X.shape[1], len(self.classes_), rng)
        make_optimizer = chosen("optimizer", self.optimizer, OPTIMIZERS)
        optimizer = make_optimizer(model.parameters(), lr=self.lr, weight_decay=self.weight_decay)
        validation_data, callbacks = None, []
        if self.early_stopping:
            callbacks = [EarlyStopping(patience=self.patience)]
            X, X_held_out, targets, targets_held_out = self._hold_out(X, targets, rng)
            validation_data = (X_held_out, targets_held_out)
        self.history_ = fit(
            model,
            CrossEntropyLoss(),
            optimizer,
            X,
            targets,
            epochs=whole_number("max_epochs", self.max_epochs, least=1),
            batch_size=self.batch_size,
            validation_data=validation_data,
            metrics=[accuracy],
            callbacks=callbacks,
            rng=rng,
            progress=bool(self.verbose),
        )
        self.model_ = model.astype(np.float64)
        self.n_iter_ = len(self.history_)
        return self

    def predict(self, X: Any) -> Array:
        """Return the most probable label of each sample.

        Parameters
        ----------
        X : array_like or data frame, shape (n, n_features)
            The inputs.

        Returns
        -------
        ndarray, shape (n,)
            Entries of `classes_`.
        """
        logits = self._logits(X)
        return self.classes_[predicted_classes(logits)]

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class, the softmax of the logits.

        Parameters
        ----------
        X : array_like or data frame, shape (n, n_features)
            The inputs.

        Returns
        -------
        ndarray of float64, shape (n, n_classes)
            Columns in the order of `classes_`; each row sums to 1.
        """
        return softmax(self._logits(X))

    def decision_function(self, X: Any) -> Array:
        """Return the scores that decide: the larger, the surer.

        Parameters
        ----------
        X : array_like or data frame, shape (n, n_features)
            The inputs.

        Returns
        -------
        ndarray of float64, shape (n,) or (n, n_classes)
            With two classes the log-odds of the second one, above 0 where it is predicted; with more the logits.
        """
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def _network(self, n_features: int, n_classes: int, rng: np.random.Generator) -> Sequential:
        activation = chosen("activation", self.activation, ACTIVATIONS)
        hidden: Any = self.hidden_layer_sizes
        hidden = [hidden] if np.ndim(hidden) == 0 else list(hidden)
        hidden = [whole_number(f"hidden_layer_sizes[{i}]", width, least=1) for i, width in enumerate(hidden)]
        modules: list[Module] = []
        width = n_features
        for next_width in hidden:
            modules += [Linear(width, next_width, init=self.init, rng=rng), activation()]
            width = next_width
        return Sequential(*modules, Linear(width, n_classes, init=self.init, rng=rng))

    def _hold_out(self, X: Array, targets: Array, rng: np.random.Generator) -> list[Array]:
        fraction = number("validation_fraction", self.validation_fraction, above=0, below=1)
        n, n_classes = len(X), len(self.classes_)
        n_held_out = math.ceil(fraction * n)
        if n_held_out == n:
            raise ValueError(f"validation_fraction must leave a sample to train on; got {fraction} of {n} samples")
        enough_of_each = np.bincount(targets).min() >= 2 and min(n_held_out, n - n_held_out) >= n_classes
        return train_test_split(
            X,
            targets,
            test_size=n_held_out,
            stratify=targets if enough_of_each else None,
            random_state=int(rng.integers(2**32)),
        )

    def _logits(self, X: Any) -> Array:
        check_is_fitted(self)
        X = validate_data(self, X, dtype=_FLOATS, reset=False)
        return predict(self.model_, X)


def _generator(random_state: Any) -> np.random.Generator:
    if random_state is None or isinstance(random_state, (int, np.integer, np.random.Generator)):
        return np.random.default_rng(random_state)
    # A RandomState gives the seed, and so goes on: the next fit draws another.
    return np.random.default_rng(check_random_state(random_state).randint(2**32, size=4, dtype=np.uint32))
