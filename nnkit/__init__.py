"""nnkit: the small NumPy package that *Neural Networks from Scratch, Measured* builds and reuses.

Everything public can be imported from here. Only NumPy is imported at once; what needs pooch or
scikit-learn is loaded when it is first used, and left out of ``from nnkit import *``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from nnkit._version import __version__
from nnkit.activations import LeakyReLU, ReLU, Sigmoid, Softmax, Tanh, sigmoid, softmax
from nnkit.autoencoder import Autoencoder
from nnkit.callbacks import Callback, Checkpoint, EarlyStopping, TrainingState
from nnkit.checkpoint import SavedState, load_checkpoint, save_checkpoint
from nnkit.data import Dataset, load_mnist, make_blobs, make_linear, make_moons, make_xor
from nnkit.gradcheck import GradientCheck, GradientReport, check_gradients, numeric_gradient
from nnkit.history import History
from nnkit.initializers import kaiming_normal, kaiming_uniform, xavier_normal, xavier_uniform, zeros
from nnkit.layers import BatchNorm1d, Dropout, Flatten, GaussianNoise, Linear, TiedLinear
from nnkit.losses import BCEWithLogitsLoss, CrossEntropyLoss, Loss, MSELoss
from nnkit.metrics import (
    ClassCounts,
    accuracy,
    class_counts,
    confusion_matrix,
    f1_score,
    precision,
    predicted_classes,
    recall,
)
from nnkit.module import Module, Parameter, Sequential
from nnkit.optimizers import SGD, Adam, AdamW, DivergenceWarning, Optimizer, RMSprop, clip_grad_norm
from nnkit.schedulers import CosineLR, StepLR
from nnkit.training import evaluate, fit, predict

if TYPE_CHECKING:
    from nnkit.estimators import SVC as SVC
    from nnkit.estimators import AutoencoderTransformer as AutoencoderTransformer
    from nnkit.estimators import KNeighborsClassifier as KNeighborsClassifier
    from nnkit.estimators import MLPClassifier as MLPClassifier

_LAZY_MODULES = ("estimators",)
_LAZY_NAMES = {
    "AutoencoderTransformer": "estimators",
    "KNeighborsClassifier": "estimators",
    "MLPClassifier": "estimators",
    "SVC": "estimators",
}

# fmt: off
__all__ = [
    "SGD", "Adam", "AdamW", "Autoencoder", "BCEWithLogitsLoss", "BatchNorm1d", "Callback", "Checkpoint",
    "ClassCounts", "CosineLR", "CrossEntropyLoss", "Dataset", "DivergenceWarning", "Dropout", "EarlyStopping",
    "Flatten", "GaussianNoise", "GradientCheck", "GradientReport", "History", "LeakyReLU", "Linear", "Loss",
    "MSELoss", "Module", "Optimizer", "Parameter", "RMSprop", "ReLU", "SavedState", "Sequential", "Sigmoid",
    "Softmax", "StepLR", "Tanh", "TiedLinear", "TrainingState", "__version__", "accuracy", "check_gradients",
    "class_counts", "clip_grad_norm", "confusion_matrix", "evaluate", "f1_score", "fit", "kaiming_normal",
    "kaiming_uniform", "load_checkpoint", "load_mnist", "make_blobs", "make_linear", "make_moons", "make_xor",
    "numeric_gradient", "precision", "predict", "predicted_classes", "recall", "save_checkpoint", "sigmoid",
    "softmax", "xavier_normal", "xavier_uniform", "zeros",
]
# fmt: on


def __getattr__(name: str) -> Any:
    if name in _LAZY_MODULES:
        return importlib.import_module(f"nnkit.{name}")
    if name in _LAZY_NAMES:
        return getattr(importlib.import_module(f"nnkit.{_LAZY_NAMES[name]}"), name)
    raise AttributeError(f"module 'nnkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_LAZY_NAMES, *_LAZY_MODULES])
