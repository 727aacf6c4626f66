"""What the estimators that train a network share: widths, a training, and a generator from a ``random_state``."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from nnkit.checks import chosen, whole_number
from nnkit.estimators.validation import flag, random_source
from nnkit.losses import Loss
from nnkit.module import Module
from nnkit.optimizers import OPTIMIZERS
from nnkit.training import fit
from nnkit.typing import Array


class NetworkEstimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """An estimator whose parameters describe a network and its training."""

    def _hidden_widths(self) -> list[int]:
        hidden: Any = self.hidden_layer_sizes
        hidden = list(hidden) if isinstance(hidden, (list, tuple, range, np.ndarray)) else [hidden]
        return [whole_number(f"hidden_layer_sizes[{i}]", width, least=1) for i, width in enumerate(hidden)]

    def _train(self, model: Module, loss: Loss, X: Array, y: Array, rng: np.random.Generator, **options: Any) -> None:
        """Train `model` as the parameters say, with further `options` of `fit`; set `history_` and `n_iter_`."""
        make_optimizer = chosen("optimizer", self.optimizer, OPTIMIZERS, ("params",), ("lr", "weight_decay"))
        self.history_ = fit(
            model,
            loss,
            make_optimizer(model.parameters(), lr=self.lr, weight_decay=self.weight_decay),
            X,
            y,
            epochs=whole_number("max_epochs", self.max_epochs, least=1),
            batch_size=self.batch_size,
            rng=rng,
            progress=flag("verbose", self.verbose),
            **options,
        )
        self.n_iter_ = self.history_.n_epochs


def generator(random_state: Any) -> np.random.Generator:
    """Return the generator that a ``random_state`` stands for: None, a seed, a Generator itself, or a RandomState."""
    source = random_source(random_state)
    if isinstance(source, np.random.Generator):
        return source
    # A RandomState gives the seed, and so goes on: the next fit draws another.
    return np.random.default_rng(source.randint(2**32, size=4, dtype=np.uint32))
