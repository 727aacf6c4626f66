"""Networks as scikit-learn's estimators, so that pipelines, `GridSearchCV` and `cross_val_score` can use them.

An estimator only translates: its parameters become a network, a loss and an optimizer, `fit` trains them, and labels
go in and come back as the user wrote them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from nnkit.activations import ACTIVATIONS, softmax
from nnkit.autoencoder import Autoencoder
from nnkit.callbacks import EarlyStopping
from nnkit.checks import chosen, number, whole_number
from nnkit.estimators.base import (
    FLOATS,
    NetworkEstimator,
    all_or_nothing,
    checked_classes,
    checked_queries,
    flag,
    one_of,
    random_generator,
)
from nnkit.layers import GaussianNoise, Linear
from nnkit.losses import BCEWithLogitsLoss, CrossEntropyLoss, MSELoss
from nnkit.metrics import accuracy
from nnkit.module import Module, Sequential, interleaved
from nnkit.training import predict
from nnkit.typing import Array


@dataclass(eq=False, repr=False)
class MLPClassifier(ClassifierMixin, NetworkEstimator):  # type: ignore[misc]
    """A multi-layer perceptron for classification: `Sequential` and `fit` as a scikit-learn estimator.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int, or int, default (64, 32)
        As in scikit-learn; ``()`` makes the softmax regression of chapter 2.
    activation : {"relu", "leaky_relu", "sigmoid", "tanh"} or callable, default "relu"
        What follows each hidden layer, or a function without arguments that makes such a `Module`.
    optimizer : {"sgd", "rmsprop", "adam", "adamw"} or callable, default "adam"
        A name, or a function such as ``partial(SGD, momentum=0.9)`` of the parameters, `lr` and `weight_decay`.
    lr, weight_decay : float, default 0.001 and 0
        As the optimizer takes them.
    batch_size, max_epochs : int, default 128 and 20
        As for `fit`; a batch larger than the data means all of it at once.
    init : str or callable, default "kaiming_uniform"
        As for `Linear`.
    early_stopping, validation_fraction, patience : bool, float and int, default False, 0.1 and 5
        Whether to hold out this part of the data, the same of each class unless one is too small for that, stop when
        the loss on it has not decreased for `patience` epochs, and restore the weights of the best epoch.
    random_state, verbose
        As in scikit-learn, but also a Generator; the weights, the held-out part and the order of the samples are drawn
        from it in turn.

    Attributes
    ----------
    classes_, n_features_in_, feature_names_in_
        As in scikit-learn.
    model_ : Sequential
        The trained network. It returns logits, one column a class in the order of `classes_`.
    history_ : History
        One number an epoch for each of ``loss``, ``accuracy``, ``seconds`` and, with early stopping, ``val_loss`` and
        ``val_accuracy``.
    n_iter_ : int
        The number of epochs trained, even if the weights are those of an earlier one.

    Notes
    -----
    A `DivergenceWarning` says if training diverged and stopped; the predictions are then worthless.

    Training runs in float32 whatever `X` has, because it is twice as fast. Then the weights become float64, because in
    float32 the prediction for a sample would change in its last digits with the number of samples beside it.
    """

    hidden_layer_sizes: Sequence[int] | int = (64, 32)
    activation: str | Callable[[], Module] = "relu"
    _: KW_ONLY
    early_stopping: bool = False
    validation_fraction: float = 0.1
    patience: int = 5

    @all_or_nothing
    def fit(self, X: Any, y: Any) -> Self:
        """Train a new network on `X`, shape (n, n_features), and `y`, shape (n,); if it fails, nothing changes."""
        X, _, targets = checked_classes(self, X, y)
        fraction = number("validation_fraction", self.validation_fraction, above=0, below=1)
        stopping = EarlyStopping(patience=self.patience)
        rng = random_generator(self.random_state)
        widths = [X.shape[1], *self._hidden_widths(), len(self.classes_)]
        layers = [Linear(a, b, init=self.init, rng=rng) for a, b in pairwise(widths)]
        model = interleaved(layers, chosen("activation", self.activation, ACTIVATIONS, ()))
        options: dict[str, Any] = {"metrics": [accuracy]}
        if flag("early_stopping", self.early_stopping):
            X, X_held_out, targets, targets_held_out = self._hold_out(X, targets, fraction, rng)
            options |= {"validation_data": (X_held_out, targets_held_out), "callbacks": [stopping]}
        self._train(model, CrossEntropyLoss(), X, targets, rng, **options)
        self.model_ = model.astype(np.float64)
        return self

    def predict(self, X: Any) -> Array:
        """Return the most probable label of each sample, shape (n,)."""
        winners = self._logits(X).argmax(axis=1)
        return self.classes_[winners]

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class, the softmax of the logits, shape (n, n_classes)."""
        return softmax(self._logits(X))

    def decision_function(self, X: Any) -> Array:
        """Return the logits, shape (n, n_classes); for two classes the log-odds of the second one, shape (n,)."""
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def _hold_out(self, X: Array, targets: Array, fraction: float, rng: np.random.Generator) -> list[Array]:
        n, n_classes = len(X), len(self.classes_)
        n_held_out = math.ceil(fraction * n)
        if n_held_out == n:
            raise ValueError(f"validation_fraction must leave a sample to train on; got {fraction} of {n} samples")
        enough_of_each = np.bincount(targets).min() >= 2 and min(n_held_out, n - n_held_out) >= n_classes
        stratify, seed = targets if enough_of_each else None, int(rng.integers(2**32))
        return train_test_split(X, targets, test_size=n_held_out, stratify=stratify, random_state=seed)

    def _logits(self, X: Any) -> Array:
        X = checked_queries(self, X)
        return predict(self.model_, X)


@dataclass(eq=False, repr=False)
class AutoencoderTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, NetworkEstimator):  # type: ignore[misc]
    """An autoencoder as a scikit-learn transformer: `transform` encodes, `inverse_transform` decodes.

    Parameters that are not listed here, attributes, warnings and notes are as for `MLPClassifier`; `model_` is an
    `Autoencoder`. Codes have the dtype of the data, float32 or float64.

    Parameters
    ----------
    n_components : int, default 32
        The width of the code.
    hidden_layer_sizes : sequence of int, or int, default (256, 128, 64)
        The widths of the encoder's hidden layers, which the decoder has in reverse order; ``()`` makes the linear
        autoencoder.
    loss : {"mse", "bce"}, default "mse"
        The squared error; or the binary cross-entropy of each feature, for data in [0, 1]. Then the decoder ends in
        logits, and `inverse_transform` returns values in [0, 1] as well.
    noise, clip : float, default 0, and tuple of float, optional
        As for the `GaussianNoise` that is added to the inputs during training, for a denoising autoencoder.
    tied : bool, default False
        Whether the decoder shares the weights of the encoder.
    """

    n_components: int = 32
    hidden_layer_sizes: Sequence[int] | int = (256, 128, 64)
    activation: str | Callable[[], Module] = "relu"
    _: KW_ONLY
    loss: str = "mse"
    noise: float = 0.0
    clip: tuple[float, float] | None = None
    tied: bool = False

    @all_or_nothing
    def fit(self, X: Any, y: Any = None) -> Self:
        """Train a new autoencoder on `X`, shape (n, n_features); `y` is ignored, and if it fails, nothing changes."""
        X = validate_data(self, X, dtype=FLOATS)
        logits = one_of("loss", self.loss, ("mse", "bce")) == "bce"
        if logits and (X.min() < 0 or X.max() > 1):
            raise ValueError(f"X must lie in [0, 1] for loss='bce'; got values from {X.min():g} to {X.max():g}")
        n_components = whole_number("n_components", self.n_components, least=1)
        rng = random_generator(self.random_state)
        sizes = [X.shape[1], *self._hidden_widths(), n_components]
        tied = flag("tied", self.tied)
        model = Autoencoder.symmetric(sizes, self.activation, init=self.init, rng=rng, logits=logits, tied=tied)
        noise = GaussianNoise(number("noise", self.noise, least=0), rng, clip=self.clip)
        network = Sequential(noise, model) if noise.std else model
        self._train(network, BCEWithLogitsLoss() if logits else MSELoss(), X, X, rng)
        self.model_ = model.astype(np.float64)
        self._n_features_out = n_components
        return self

    def transform(self, X: Any) -> Array:
        """Return the code of each sample, shape (n, n_components)."""
        X = checked_queries(self, X)
        return self.model_.encode(X).astype(X.dtype, copy=False)

    def inverse_transform(self, X: Any) -> Array:
        """Return the decoded `X`, codes of shape (n, n_components); of ``transform(X)``, the reconstruction of `X`."""
        check_is_fitted(self)
        X = check_array(X, dtype=FLOATS)
        if X.shape[1] != self._n_features_out:
            raise ValueError(f"X must hold codes of shape (n, {self._n_features_out}); got {X.shape}")
        return self.model_.decode(X).astype(X.dtype, copy=False)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
