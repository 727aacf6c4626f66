"""The three programs in scikit-learn. Only the classifier is the same network with the same loss.

Even there Adam is another one: it adds epsilon before the correction of the second moment, and not after.
"""

from sklearn.neural_network import MLPClassifier, MLPRegressor

FLOAT64 = None  # It computes in the dtype of the data.


def xor(dtype=None):
    options = {"solver": "sgd", "learning_rate_init": 0.5, "momentum": 0, "shuffle": False}
    return MLPClassifier((4,), "tanh", alpha=0, random_state=0, **options)


def classifier(dtype=None):
    return MLPClassifier((64, 32), learning_rate_init=0.001, alpha=0, random_state=0)


def autoencoder(dtype=None):
    options = {"solver": "sgd", "learning_rate_init": 0.5 / 784, "momentum": 0}
    hidden = (256, 128, 64, 32, 64, 128, 256)
    return MLPRegressor(hidden_layer_sizes=hidden, alpha=0, random_state=0, **options)


def train(network, X, y, *, epochs, batch_size):
    network.set_params(batch_size=batch_size, max_iter=epochs, n_iter_no_change=epochs)
    return network.fit(X, y).loss_curve_


def start(network, weights):
    """Begin with these weights, for which there is no public way: each layer asks this method for its own."""
    layers = iter(weights)

    def next_layer(fan_in, fan_out, dtype):
        W, b = next(layers)
        return W.astype(dtype), b.astype(dtype)

    network._init_coef = next_layer
