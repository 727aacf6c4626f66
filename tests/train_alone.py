"""Train with the installed package and only NumPy; run by .ci/wheel in an environment that has nothing else."""

import importlib
import importlib.util
import sys
from pathlib import Path

import numpy as np

import lab
import nnkit as nn

for module in (nn, lab):
    assert Path(module.__file__).is_relative_to(sys.prefix), f"{module.__name__} comes from {module.__file__}"
assert importlib.util.find_spec("sklearn") is None, "this environment must have no package but NumPy"

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
y = np.array([[0], [1], [1], [0]])
model = nn.Sequential(nn.Linear(2, 8, rng=0), nn.Tanh(), nn.Linear(8, 1, rng=1))
history = nn.fit(model, nn.BCEWithLogitsLoss(), nn.Adam(model.parameters(), lr=0.05), X, y, epochs=300, rng=0)
assert history["loss"][-1] < 0.05, history
assert np.array_equal(nn.predict(model, X) > 0, y == 1)

for use in (lambda: nn.SVC, lambda: nn.load_mnist(fallback=True), lambda: importlib.import_module("lab.plots")):
    message = ""
    try:
        use()
    except ImportError as error:
        message = str(error)
    assert "pip install " in message, message
    assert "\n" not in message, message
print(f"nnkit {nn.__version__} with only NumPy {np.__version__}: XOR is learned, {history}")
