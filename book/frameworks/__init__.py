"""Three networks of the book, each written for three libraries: what chapter 17 shows and the benchmark measures.

Each module `with_...` has a function for every task, which returns the network and what trains it, and one `train`.
They look as a user of the library would write them, without types. This file imports nothing heavy, so that a program
can be measured alone.
"""

from __future__ import annotations

from dataclasses import dataclass

LIBRARIES = {"nnkit": "with_nnkit", "PyTorch": "with_pytorch", "scikit-learn": "with_sklearn"}
"""By name of the library: the module of its programs."""


@dataclass(frozen=True)
class Task:
    """What every library trains: the widths, how the weights begin, and for how long.

    Attributes
    ----------
    nearest : str
        What scikit-learn does in its place, since it cannot do the same.
    """

    widths: tuple[int, ...]
    init: str
    batch_size: int
    n_samples: int
    epochs: int
    nearest: str


TASKS = {
    "xor": Task((2, 4, 1), "xavier_normal", 4, 4, 1000, "log loss"),
    "classifier": Task((784, 64, 32, 10), "kaiming_uniform", 128, 60_000, 2, "Adam's epsilon added early"),
    "autoencoder": Task(
        (784, 256, 128, 64, 32, 64, 128, 256, 784),
        "xavier_normal",
        256,
        50_400,
        1,
        "ReLU on the code, half the squared error",
    ),
}
"""The networks of chapters 5, 6 and 9; the autoencoder from Xavier weights at a rate of 0.5, for timing alone."""
