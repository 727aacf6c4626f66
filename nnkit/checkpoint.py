"""Checkpoints: a network, and whatever a training needs to go on, in one file that no crash leaves half written.

A file is NumPy's npz: the arrays under the names that they have, and everything else as JSON. Nothing is pickled, so
reading a file never runs code that somebody put there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol, runtime_checkable

import numpy as np

from nnkit._checks import finite_array, whole_number
from nnkit._files import written_whole
from nnkit.module import Module
from nnkit.optimizers import Optimizer
from nnkit.training import Callback, TrainingState

_JSON = "checkpoint.json"
_VERSION = 1


@runtime_checkable
class Stateful(Protocol):
    """What can be saved: models, optimizers and schedules are."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state: arrays and numbers under names."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over such a state."""


@dataclass(frozen=True)
class SavedState:
    """What a checkpoint holds, as `load_checkpoint` returns it; `restore` puts it into a network.

    Attributes
    ----------
    path : Path
        Where it was read.
    saved_from : dict of str to str
        What was saved, in words: how the model showed itself, and the class of optimizer and scheduler.
    states : dict of str to dict
        The state of ``"model"`` and, where they were saved, of ``"optimizer"`` and ``"scheduler"``.
    generators : dict of str to dict
        The state of each generator: of the one given as ``"rng"``, and of those in the model's layers.
    extra : dict
        What the caller added.
    """

    path: Path
    saved_from: dict[str, str]
    states: dict[str, dict[str, Any]]
    generators: dict[str, dict[str, Any]]
    extra: dict[str, Any]

    def restore(
        self,
        model: Module,
        optimizer: Optimizer | None = None,
        scheduler: Stateful | None = None,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        """Put the saved state into the parts given, which must be made like those that were saved.

        Parameters
        ----------
        model : Module
            Gets the weights and the buffers.
        optimizer, scheduler : optional
            Get their states too. A training that goes on needs both, where it had them.
        rng : numpy.random.Generator, optional
            The generator given to `fit`. It then goes on where it was, and so do those of the model's layers, such as
            `Dropout`; without it, none is touched.

        Raises
        ------
        ValueError
            If a part was not saved, or does not fit what was. A part is changed as a whole or not at all.
        """
        for name, part in (("model", model), ("optimizer", optimizer), ("scheduler", scheduler)):
            if part is None:
                continue
            if name not in self.states:
                raise ValueError(f"{name} must have been saved to be restored; {self.path} holds none")
            kind = type(part).__name__
            if name != "model" and kind != self.saved_from[name]:
                raise ValueError(f"{name} must be the {self.saved_from[name]} that {self.path} holds; got {kind}")
            try:
                part.load_state_dict(self.states[name])
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(
                    f"{name} must be made like the one that {self.path} holds, {self.saved_from[name]}; "
                    f"got {part!r}: {error.args[0]}"
                ) from error
        if rng is not None:
            generators = _generators(model, rng)
            if generators.keys() != self.generators.keys():
                raise ValueError(
                    f"rng and the generators in the layers of model must be those that {self.path} holds, "
                    f"{sorted(self.generators)}; got {sorted(generators)}"
                )
            for name, generator in generators.items():
                generator.bit_generator.state = self.generators[name]


def save_checkpoint(
    path: str | os.PathLike[str],
    model: Module,
    optimizer: Optimizer | None = None,
    scheduler: Stateful | None = None,
    *,
    rng: np.random.Generator | None = None,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write a network, and what a training of it needs to go on, to one file.

    The file appears whole or not at all: until it is complete, an older one under the same name stays as it is.

    Parameters
    ----------
    path : path
        Where to write, usually ``*.npz``; the folder must exist.
    model : Module
        Its weights and buffers are saved, and the states of the generators in its layers; not its architecture, which
        is code.
    optimizer, scheduler : optional
        Saved with their states.
    rng : numpy.random.Generator, optional
        The generator given to `fit`.
    extra : dict, optional
        Whatever JSON can hold, such as how the network was trained.

    Raises
    ------
    ValueError
        If a value is NaN or infinite: a training that has diverged must not replace what it was before.
    TypeError
        If `extra` holds what JSON cannot.
    """
    arrays: dict[str, Any] = {}
    states: dict[str, dict[str, Any]] = {}
    saved_from = {"model": repr(model)}
    for name, part in (("model", model), ("optimizer", optimizer), ("scheduler", scheduler)):
        if part is None:
            continue
        state = part.state_dict()
        arrays |= {f"{name}/{key}": value for key, value in state.items() if isinstance(value, np.ndarray)}
        states[name] = {key: value for key, value in state.items() if not isinstance(value, np.ndarray)}
        saved_from.setdefault(name, type(part).__name__)
    for name, array in arrays.items():
        finite_array(name, array)
    record = {
        "nnkit_checkpoint": _VERSION,
        "saved_from": saved_from,
        "states": states,
        "generators": {name: generator.bit_generator.state for name, generator in _generators(model, rng).items()},
        "extra": dict(extra or {}),
    }
    arrays[_JSON] = np.frombuffer(json.dumps(record, default=_plain).encode(), dtype=np.uint8)
    with written_whole(Path(path)) as file:
        np.savez(file, **arrays)


def load_checkpoint(path: str | os.PathLike[str]) -> SavedState:
    """Read what `save_checkpoint` wrote.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    SavedState
        ``load_checkpoint(path).restore(model)`` puts the saved weights into `model`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not a whole checkpoint: cut off, damaged, of another program, or with pickled objects, which are
        never loaded.
    """
    path = Path(path)
    with path.open("rb") as file:
        try:
            return _read(path, file)
        except Exception as error:  # A damaged file can fail in each of the steps.
            raise ValueError(
                f"path must be a whole checkpoint, as save_checkpoint writes it; {path} is not "
                f"({type(error).__name__}: {error})"
            ) from error


class Checkpoint(Callback):
    """Save a training while it runs, so that one that was interrupted can go on.

    Everything is saved: the network, optimizer and scheduler, the generators of `fit` and of the layers, and the
    history. A training that was resumed ends with the same bits as one that was never interrupted.

    Parameters
    ----------
    path : path
        The file, which each save replaces; its folder must exist.
    every : int, default 1
        After how many epochs to save, at least 1.
    resume : bool, default False
        Whether to go on from the file, if there is one when training begins. Make the same call of `fit` again: its
        ``epochs`` count those already done. Other callbacks start anew.
    """

    def __init__(self, path: str | os.PathLike[str], every: int = 1, *, resume: bool = False) -> None:
        self.path = Path(path)
        self.every = whole_number("every", every, least=1)
        self.resume = resume

    def on_train_begin(self, state: TrainingState) -> None:
        scheduler = _stateful(state.scheduler)
        if self.resume and self.path.exists():
            saved = load_checkpoint(self.path)
            saved.restore(state.model, state.optimizer, scheduler, rng=state.rng)
            state.history.values.update(saved.extra["history"])
            state.epoch = len(state.history)

    def on_epoch_end(self, state: TrainingState) -> None:
        if state.epoch % self.every == 0:
            scheduler, extra = _stateful(state.scheduler), {"history": state.history.values}
            save_checkpoint(self.path, state.model, state.optimizer, scheduler, rng=state.rng, extra=extra)


def _read(path: Path, file: IO[bytes]) -> SavedState:
    with np.load(file, allow_pickle=False) as npz:
        arrays = {name: npz[name] for name in npz.files}
    record = json.loads(arrays.pop(_JSON).tobytes())
    if record["nnkit_checkpoint"] != _VERSION:
        raise ValueError(f"it has version {record['nnkit_checkpoint']}, and this nnkit reads version {_VERSION}")
    states = record["states"]
    for name, array in arrays.items():
        part, key = name.split("/", 1)
        states[part][key] = array
    return SavedState(path, record["saved_from"], states, record["generators"], record["extra"])


def _generators(model: Module, rng: np.random.Generator | None) -> dict[str, np.random.Generator]:
    """Return each generator under a name; layers that share one, with each other or with `fit`, have it once."""
    found = {} if rng is None else {"rng": rng}
    return found | {f"model/{name}": generator for name, generator in model.named_generators() if generator is not rng}


def _stateful(scheduler: Any) -> Stateful | None:
    if scheduler is not None and not isinstance(scheduler, Stateful):
        raise TypeError(f"scheduler must have state_dict and load_state_dict to be saved; got {scheduler!r}")
    return scheduler


def _plain(value: Any) -> Any:
    """Return NumPy's numbers and arrays in types that JSON has."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"extra must hold what JSON can; got {value!r}")
