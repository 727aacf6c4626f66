"""Networks behind scikit-learn's contract, so that pipelines, `GridSearchCV` and `cross_val_score` can use them.

An estimator only translates: its parameters become a network, a loss and an optimizer, `fit` trains them, and labels
go in and come back as the user wrote them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Self

import numpy as np

try:
    from sklearn.base import ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin
    from sklearn.model_selection import train_test_split
    from sklearn.utils.validation import check_array, check_is_fitted, validate_data
except ImportError as error:
    raise ImportError("nnkit.estimators needs scikit-learn 1.6 or newer: pip install 'nnkit[estimators]'") from error

from nnkit.activations import ACTIVATIONS, softmax
from nnkit.autoencoder import Autoencoder
from nnkit.callbacks import EarlyStopping
from nnkit.checks import chosen, number, whole_number
from nnkit.estimators.base import NetworkEstimator, generator
from nnkit.estimators.validation import FLOATS, all_or_nothing, checked_classes, flag, one_of
from nnkit.initializers import Initializer
from nnkit.layers import GaussianNoise, Linear
from nnkit.losses import BCEWithLogitsLoss, CrossEntropyLoss, MSELoss
from nnkit.metrics import accuracy, predicted_classes
from nnkit.module import Module, Sequential, interleaved
from nnkit.optimizers import Optimizer
from nnkit.training import predict
from nnkit.typing import Array


class MLPClassifier(ClassifierMixin, NetworkEstimator):  # type: ignore[misc]
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
        same bits, as the `rng` of `fit` does; the others go on drawing where they are; None differs from run to run.
        NumPy's global state is not touched.
    verbose : bool, default False
        Whether to show a tqdm bar.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
        The labels, sorted.
    n_features_in_ : int
        How many features `fit` saw.
    feature_names_in_ : ndarray of str, shape (n_features,)
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

    @all_or_nothing
    def fit(self, X: Any, y: Any) -> Self:
        """Train a new network; what was learned before is forgotten, unless this fails.

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
        X, _, targets = checked_classes(self, X, y)
        fraction = number("validation_fraction", self.validation_fraction, above=0, below=1)
        stopping = EarlyStopping(patience=self.patience)

        rng = generator(self.random_state)
        model = self._network(X.shape[1], len(self.classes_), rng)
        validation_data, callbacks = None, []
        if flag("early_stopping", self.early_stopping):
            callbacks = [stopping]
            X, X_held_out, targets, targets_held_out = self._hold_out(X, targets, fraction, rng)
            validation_data = (X_held_out, targets_held_out)
        options = {"validation_data": validation_data, "metrics": [accuracy], "callbacks": callbacks}
        self._train(model, CrossEntropyLoss(), X, targets, rng, **options)
        self.model_ = model.astype(np.float64)
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
        widths = [n_features, *self._hidden_widths(), n_classes]
        layers = [Linear(a, b, init=self.init, rng=rng) for a, b in pairwise(widths)]
        return interleaved(layers, chosen("activation", self.activation, ACTIVATIONS, ()))

    def _hold_out(self, X: Array, targets: Array, fraction: float, rng: np.random.Generator) -> list[Array]:
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
        X = validate_data(self, X, dtype=FLOATS, reset=False)
        return predict(self.model_, X)


class AutoencoderTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, NetworkEstimator):  # type: ignore[misc]
    """An autoencoder as a scikit-learn transformer: `transform` encodes, `inverse_transform` decodes.

    Parameters
    ----------
    n_components : int, default 32
        The width of the code.
    hidden_layer_sizes : sequence of int, or int, default (256, 128, 64)
        The widths of the encoder's hidden layers; the decoder has them in opposite order. ``()`` makes the linear
        autoencoder.
    activation, init
        As for `MLPClassifier`.
    loss : {"mse", "bce"}, default "mse"
        The squared error, or the binary cross-entropy of each feature, for data in [0, 1]; then the decoder ends in
        logits, and what `inverse_transform` returns lies in [0, 1] as well.
    noise : float, default 0
        The standard deviation of the noise that `GaussianNoise` adds while training, for a denoising autoencoder.
    clip : tuple of float, optional
        The bounds to which the noisy inputs are clipped, such as ``(0, 1)``.
    tied : bool, default False
        Whether the decoder shares the weights of the encoder.
    optimizer, lr, batch_size, max_epochs, weight_decay, random_state, verbose
        As for `MLPClassifier`; there is no early stopping.

    Attributes
    ----------
    n_features_in_, feature_names_in_, n_iter_
        As of `MLPClassifier`.
    model_ : Autoencoder
        The trained network.
    history_ : History
        One number an epoch for each of ``loss``, on noisy inputs if there is noise, and ``seconds``.

    Warns
    -----
    DivergenceWarning
        If training stopped because it diverged; the codes are then worthless.

    Notes
    -----
    As in `MLPClassifier`, training runs in float32 and the trained network works in float64. What comes out has the
    dtype of what went in, float32 or float64.

    With ``rng = numpy.random.default_rng(random_state)`` and an int, training is the same as that of
    ``Autoencoder.symmetric(..., rng=rng)`` behind ``GaussianNoise(noise, rng, clip=clip)`` with that `rng` in `fit`.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import SVC
    >>> pipeline = make_pipeline(AutoencoderTransformer(32, loss="bce", random_state=0), SVC())
    """

    n_features_in_: int

    def __init__(
        self,
        n_components: int = 32,
        hidden_layer_sizes: Sequence[int] | int = (256, 128, 64),
        activation: str | Callable[[], Module] = "relu",
        *,
        loss: str = "mse",
        noise: float = 0.0,
        clip: tuple[float, float] | None = None,
        tied: bool = False,
        optimizer: str | Callable[..., Optimizer] = "adam",
        lr: float = 1e-3,
        batch_size: int = 128,
        max_epochs: int = 20,
        weight_decay: float = 0.0,
        init: str | Initializer = "kaiming_uniform",
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
        verbose: bool = False,
    ) -> None:
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.loss = loss
        self.noise = noise
        self.clip = clip
        self.tied = tied
        self.optimizer = optimizer
        self.lr = lr
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.weight_decay = weight_decay
        self.init = init
        self.random_state = random_state
        self.verbose = verbose

    @all_or_nothing
    def fit(self, X: Any, y: Any = None) -> Self:
        """Train a new autoencoder; what was learned before is forgotten, unless this fails.

        Parameters
        ----------
        X : array_like or data frame, shape (n, n_features)
            The samples, finite real numbers; in [0, 1] for ``loss="bce"``.
        y : ignored
            There for scikit-learn's pipelines.

        Returns
        -------
        AutoencoderTransformer
            The estimator itself.

        Raises
        ------
        ValueError
            If a parameter or the data is out of range.
        """
        X = validate_data(self, X, dtype=FLOATS)
        logits = one_of("loss", self.loss, ("mse", "bce")) == "bce"
        if logits and (X.min() < 0 or X.max() > 1):
            raise ValueError(f"X must lie in [0, 1] for loss='bce'; got values from {X.min():g} to {X.max():g}")
        n_components = whole_number("n_components", self.n_components, least=1)
        rng = generator(self.random_state)
        model = Autoencoder.symmetric(
            [X.shape[1], *self._hidden_widths(), n_components],
            self.activation,
            init=self.init,
            rng=rng,
            logits=logits,
            tied=flag("tied", self.tied),
        )
        noise = GaussianNoise(number("noise", self.noise, least=0), rng, clip=self.clip)
        network = Sequential(noise, model) if noise.std else model
        self._train(network, BCEWithLogitsLoss() if logits else MSELoss(), X, X, rng)
        self.model_ = model.astype(np.float64)
        self._n_features_out = n_components
        return self

    def transform(self, X: Any) -> Array:
        """Return the code of each sample.

        Parameters
        ----------
        X : array_like or data frame, shape (n, n_features)
            The samples.

        Returns
        -------
        ndarray, shape (n, n_components)
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=FLOATS, reset=False)
        return self.model_.encode(X).astype(X.dtype, copy=False)

    def inverse_transform(self, X: Any) -> Array:
        """Return what the decoder makes of each code: of ``transform(X)``, the reconstruction of `X`.

        Parameters
        ----------
        X : array_like, shape (n, n_components)
            The codes.

        Returns
        -------
        ndarray, shape (n, n_features)
        """
        check_is_fitted(self)
        X = check_array(X, dtype=FLOATS)
        if X.shape[1] != self._n_features_out:
            raise ValueError(f"X must hold codes of shape (n, {self._n_features_out}); got {X.shape}")
        return self.model_.decode(X).astype(X.dtype, copy=False)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
