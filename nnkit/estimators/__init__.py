"""Estimators with scikit-learn's interface: networks, nearest neighbours and support vector machines."""

try:
    from nnkit.estimators.neighbors import KNeighborsClassifier
    from nnkit.estimators.networks import AutoencoderTransformer, MLPClassifier
    from nnkit.estimators.svm import SVC
except ImportError as error:
    if not (error.name or "").startswith("sklearn"):
        raise
    raise ImportError("nnkit.estimators needs scikit-learn 1.6 or newer: pip install scikit-learn") from error

__all__ = ["SVC", "AutoencoderTransformer", "KNeighborsClassifier", "MLPClassifier"]
