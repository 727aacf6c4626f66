"""Data: MNIST, checked and cached, and small problems that are drawn on the spot."""

from nnkit.data.mnist import Dataset, load_mnist
from nnkit.data.toy import make_blobs, make_linear, make_moons, make_xor

__all__ = ["Dataset", "load_mnist", "make_blobs", "make_linear", "make_moons", "make_xor"]
