"""Estimators with scikit-learn's interface: networks, nearest neighbours and support vector machines."""

from nnkit.estimators.neighbors import KNeighborsClassifier
from nnkit.estimators.networks import AutoencoderTransformer, MLPClassifier
from nnkit.estimators.svm import SVC

__all__ = ["SVC", "AutoencoderTransformer", "KNeighborsClassifier", "MLPClassifier"]
