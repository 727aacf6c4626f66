"""The number of threads that the libraries use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from threadpoolctl import threadpool_info, threadpool_limits

from benchmarks import contestants


@contextmanager
def limited(threads: int) -> Iterator[dict[str, int]]:
    """Limit every library to this many threads, and yield the number that each then reports.

    Raises
    ------
    RuntimeError
        If one of them reports another number.
    """
    import sklearn.neighbors
    import sklearn.neural_network
    import sklearn.svm  # noqa: F401 (libraries loaded later would not be limited)

    found = {}
    if contestants.has_torch():
        import torch

        torch.set_num_threads(threads)
        found["PyTorch"] = torch.get_num_threads()
    with threadpool_limits(threads):
        found |= {Path(pool["filepath"]).name: pool["num_threads"] for pool in threadpool_info()}
        if set(found.values()) != {threads}:
            raise RuntimeError(f"every library must use {threads} threads; got {found}")
        yield found
