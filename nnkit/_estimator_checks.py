"""What all estimators ask of their data, beyond what scikit-learn does."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from nnkit._checks import Array

FLOATS = (np.float64, np.float32)
"""The dtypes that data may have; other numbers become float64."""


def checked_classes(classifier: Any, X: Any, y: Any, least: int = 2) -> tuple[Array, Array, Array]:
    """Return inputs and labels as arrays, and the place of each label among `classes_`, which is set here.

    Raises
    ------
    ValueError
        If they are not data for a classifier, or there are fewer than `least` classes.
    """
    X, y = validate_data(classifier, X, y, dtype=FLOATS)
    check_classification_targets(y)
    classifier.classes_, targets = np.unique(y, return_inverse=True)
    if len(classifier.classes_) < least:
        raise ValueError(f"y must hold at least two classes; got one class, {classifier.classes_[0]!r}")
    return X, y, targets
