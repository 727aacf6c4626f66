"""Checkpoints: a network, and whatever a training needs to go on, in one file that no crash leaves half written.

A file is NumPy's npz: the arrays under the names that they have, and everything else as JSON. Nothing is pickled, so
reading a file never runs code that somebody put there.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol, runtime_checkable

import numpy as np

from nnkit.checks import finite_array, instance, shown
from nnkit.files import MOST_BYTES, arrays_of, loads, plain, written_whole
from nnkit.module import Module
from nnkit.optimizers import Optimizer

_JSON = "checkpoint.json"
_VERSION = 2
_MOST_IN_GENERATOR = {"pos": 624, "buffer_pos": 4, "has_uint32": 1}
"""How far MT19937 and Philox may have read in their buffers, and whether half a draw is left. NumPy does not look at
these, and would read on behind the buffers."""


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
            If a part was not saved, or does not fit what was. Nothing is changed unless all of it fits, which is tried
            on copies first.
        TypeError
            If a part is of another kind, or cannot be copied.
        """
        parts = _parts(model, optimizer, scheduler)
        _check_generator(rng)
        try:
            copies, rng_copy = copy.deepcopy((parts, rng))
        except Exception as error:
            raise TypeError(
                f"{', '.join(parts)} must be such as copy.deepcopy can copy, since a state is tried on a copy before "
                f"anything is changed; got {type(error).__name__}: {error}"
            ) from error
        self._load(copies, rng_copy)
        self._load(parts, rng)

    def _load(self, parts: dict[str, Any], rng: np.random.Generator | None) -> None:
        for name, part in parts.items():
            if name not in self.states:
                raise ValueError(f"{name} must have been saved to be restored; {self.path} holds none")
            kind = type(part).__name__
            if name != "model" and kind != self.saved_from[name]:
                raise ValueError(f"{name} must be the {self.saved_from[name]} that {self.path} holds; got {kind}")
            try:
                part.load_state_dict(copy.deepcopy(self.states[name]))  # What it is given, a part may keep or change.
            except Exception as error:
                raise ValueError(
                    f"{name} must be made like the one that {self.path} holds, {self.saved_from[name]}; "
                    f"got {part!r}: {_said(error)}"
                ) from error
        if rng is not None:
            generators = _generators(parts["model"], rng)
            if generators.keys() != self.generators.keys():
                raise ValueError(
                    f"rng and the generators in the layers of model must be those that {self.path} holds, "
                    f"{sorted(self.generators)}; got {sorted(generators)}"
                )
            for name, generator in generators.items():
                try:
                    _set_state(generator, self.generators[name])
                except Exception as error:
                    raise ValueError(
                        f"the state of the generator {name!r} in {self.path} must be one of its "
                        f"{type(generator.bit_generator).__name__}: {_said(error)}"
                    ) from error


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
        Whatever JSON can hold, such as how the network was trained: numbers, strings, None, lists, and dicts whose
        keys are strings. Tuples and arrays come back as lists, and NaN and the infinities as themselves.

    Raises
    ------
    ValueError
        If an array of a state is NaN or infinite somewhere: a training that has diverged must not replace what it was
        before. Also if `extra` and the states have more than 16 MiB beside their arrays.
    TypeError
        If a part is of another kind, or `extra` is no dict or holds what JSON cannot.
    """
    _check_generator(rng)
    if extra is not None:
        instance("extra", extra, Mapping, "a dict")
    arrays: dict[str, Any] = {}
    states: dict[str, dict[str, Any]] = {}
    saved_from = {"model": repr(model)}
    for name, part in _parts(model, optimizer, scheduler).items():
        state = part.state_dict()
        arrays |= {f"{name}/{key}": value for key, value in state.items() if isinstance(value, np.ndarray)}
        others = {key: value for key, value in state.items() if not isinstance(value, np.ndarray)}
        states[name] = plain(f"the state of {name}", others)
        saved_from.setdefault(name, type(part).__name__)
    for name, array in arrays.items():
        finite_array(name, array)
    record = {
        "nnkit_checkpoint": _VERSION,
        "saved_from": saved_from,
        "states": states,
        "generators": {
            name: plain(f"the state of {name}", generator.bit_generator.state)
            for name, generator in _generators(model, rng).items()
        },
        "extra": plain("extra", extra or {}),
    }
    text = json.dumps(record, allow_nan=False).encode()
    if len(text) > MOST_BYTES:
        raise ValueError(f"extra and all else that is no array must have at most {MOST_BYTES} bytes; got {len(text)}")
    arrays[_JSON] = np.frombuffer(text, dtype=np.uint8)
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
        If it is not a whole checkpoint: cut off, damaged, of another program, with pickled objects, which are never
        loaded, or with members that are compressed or promise more than they hold, which are not read.
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


def saved_history(saved: SavedState, names: Sequence[str], epochs: int, scheduler: object) -> dict[str, list[float]]:
    """Return the history of a training that can go on in this one, or raise ValueError."""
    path = saved.path
    history: Any = saved.extra.get("history")
    if "history" not in saved.extra:
        raise ValueError(
            f"path must be a file of Checkpoint to resume from; {path} holds no history, as those of save_checkpoint: "
            "give another path, or call load_checkpoint(path).restore(...) before fit"
        )
    if not _is_history(history):
        raise ValueError(
            f"path must be a file of Checkpoint to resume from; the history in {path} must hold lists of numbers, one "
            f"an epoch, 'loss' among them; got {shown(history)}"
        )
    if set(history) != set(names):
        raise ValueError(
            f"metrics and validation_data must be those of the training in {path}, which recorded {sorted(history)}; "
            f"got those that record {sorted(names)}"
        )
    if "scheduler" in saved.states and scheduler is None:
        raise ValueError(f"scheduler must be the {saved.saved_from['scheduler']} that {path} holds; got None")
    if len(history["loss"]) > epochs:
        raise ValueError(f"epochs must be at least the {len(history['loss'])} that {path} has done; got {epochs}")
    return {name: [float(value) for value in values] for name, values in history.items()}


def _is_history(history: Any) -> bool:
    return (
        isinstance(history, dict)
        and all(isinstance(values, list) for values in history.values())
        and all(type(value) in (int, float) for values in history.values() for value in values)
        and len({len(values) for values in history.values()}) == 1
        and bool(history.get("loss"))
    )


def _read(path: Path, file: IO[bytes]) -> SavedState:
    arrays = dict(arrays_of(file))
    if _JSON not in arrays:
        raise ValueError(f"it has no member {_JSON}")
    record = loads(arrays.pop(_JSON).tobytes())
    if not isinstance(record, dict) or "nnkit_checkpoint" not in record:
        raise ValueError(f"its {_JSON} must hold 'nnkit_checkpoint'; got {shown(record)}")
    if record["nnkit_checkpoint"] != _VERSION:
        raise ValueError(f"it has version {record['nnkit_checkpoint']}, and this nnkit reads version {_VERSION}")
    for name, kind in {"saved_from": str, "states": dict, "generators": dict, "extra": object}.items():
        found = record.get(name)
        if not isinstance(found, dict) or not all(isinstance(value, kind) for value in found.values()):
            raise ValueError(f"its {name!r} must be a dict, of {kind.__name__}s; got {shown(found)}")
    states = record["states"]
    if "model" not in states or states.keys() != record["saved_from"].keys():
        raise ValueError(
            f"its 'states' and 'saved_from' must have the same names, with 'model'; got {sorted(states)} and "
            f"{sorted(record['saved_from'])}"
        )
    for name, array in arrays.items():
        part, _, key = name.partition("/")
        if part not in states or not key or key in states[part]:
            raise ValueError(f"its arrays must each belong to one of {sorted(states)}, once; got {name!r}")
        states[part][key] = array
    return SavedState(path, record["saved_from"], states, record["generators"], record["extra"])


def _parts(model: Any, optimizer: Any, scheduler: Any) -> dict[str, Any]:
    """Return the parts that are there under their names, each of a kind that can be saved."""
    instance("model", model, Module, "a Module such as Sequential")
    parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
    for name, part in parts.items():
        if part is not None and (isinstance(part, type) or not isinstance(part, Stateful)):
            raise TypeError(f"{name} must have state_dict and load_state_dict to be saved; got {part!r}")
    return {name: part for name, part in parts.items() if part is not None}


def _check_generator(rng: Any) -> None:
    if rng is not None:
        instance("rng", rng, np.random.Generator, "the numpy.random.Generator given to fit")


def _generators(model: Module, rng: np.random.Generator | None) -> dict[str, np.random.Generator]:
    """Return each generator under a name; layers that share one, with each other or with `fit`, have it once."""
    found = {} if rng is None else {"rng": rng}
    return found | {f"model/{name}": generator for name, generator in model.named_generators() if generator is not rng}


def _set_state(generator: np.random.Generator, state: dict[str, Any]) -> None:
    """Give a generator a state as JSON has it, or raise an error, which may come after the state has changed."""
    generator.bit_generator.state = state
    # NumPy takes what is too long, or no whole number, for something else.
    if plain("it", generator.bit_generator.state) != state:
        raise ValueError(f"got {shown(state)}")
    inner = state.get("state")
    for name, most in _MOST_IN_GENERATOR.items():
        position = (state | inner if isinstance(inner, dict) else state).get(name, 0)
        if not 0 <= position <= most:
            raise ValueError(f"{name!r} must lie from 0 to {most}; got {position}")


def _said(error: Exception) -> str:
    """Return what an error says; a KeyError shows its message as a key."""
    return str(error.args[0] if error.args else error) or type(error).__name__
