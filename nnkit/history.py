"""History: what a training recorded, one number an epoch under each name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from nnkit.typing import Array


class History(Mapping[str, Array]):
    """What `fit` recorded: a mapping from names to arrays with one entry an epoch.

    The names are ``loss`` (mean over all training samples, measured while the epoch ran), each metric's name
    (likewise), ``seconds`` (of training, without validation), and with validation data ``val_loss`` and ``val_``
    before each metric's name (measured after the epoch).

    Attributes
    ----------
    values_by_name : dict of str to list of float
        The numbers themselves.
    stop_reason : str
        Why training ended.
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


class Means:
    """The means over the samples of an epoch, from those of its batches."""

    def __init__(self) -> None:
        self.totals: dict[str, float] = {}
        self.n = 0

    def add(self, n: int, values: Mapping[str, float]) -> None:
        """Add the means over a batch of `n` samples."""
        self.n += n
        for name, value in values.items():
            self.totals[name] = self.totals.get(name, 0.0) + n * value

    def result(self) -> dict[str, float]:
        """Return the mean under each name."""
        return {name: total / self.n for name, total in self.totals.items()}
