"""History: what a training recorded, one number an epoch under each name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from nnkit.typing import Array


class History(Mapping[str, Array]):
    """What `fit` recorded: a mapping from names to arrays with one entry an epoch.

    The names are ``loss`` (mean over all training samples, measured while the epoch ran), each metric's name
    (likewise), ``seconds`` (of training, without validation), and with validation data ``val_loss`` and ``val_``
    before each metric's name (measured after the epoch).

    `values_by_name` is the same with lists that can grow, and `stop_reason` says why training ended.
    """

    def __init__(self, values_by_name: Mapping[str, list[float]] | None = None, stop_reason: str = "") -> None:
        self.values_by_name = dict(values_by_name or {})
        self.stop_reason = stop_reason

    @property
    def n_epochs(self) -> int:
        """The number of epochs recorded."""
        return len(self.values_by_name.get("loss", ()))

    def append(self, record: Mapping[str, float]) -> None:
        """Add one epoch."""
        for name, value in record.items():
            self.values_by_name.setdefault(name, []).append(float(value))

    def __getitem__(self, name: str) -> Array:
        if name not in self.values_by_name:
            raise KeyError(f"history has no {name!r}; it has {list(self)}")
        return np.array(self.values_by_name[name])

    def __contains__(self, name: object) -> bool:
        return name in self.values_by_name

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, History) and vars(self) == vars(other)

    def __len__(self) -> int:
        return len(self.values_by_name)

    def __repr__(self) -> str:
        last = ", ".join(f"{name}={values[-1]:.4g}" for name, values in self.values_by_name.items())
        return f"History({self.n_epochs} epochs; last: {last or 'none'}; {self.stop_reason or 'running'})"


def weighted_means(batches: Sequence[tuple[int, Mapping[str, float]]]) -> dict[str, float]:
    """Return the means over all samples, from the size of each batch and the means over its samples."""
    n = sum(size for size, _ in batches)
    return {name: sum(size * means[name] for size, means in batches) / n for name in batches[0][1]}
