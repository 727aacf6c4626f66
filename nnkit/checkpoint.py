"""Checkpoints: a network, and whatever its training needs to go on, in one file that no crash leaves half written.

A file is an npz: the arrays under their names, and everything else as JSON. Nothing is pickled, so reading a file never
runs code that somebody put there.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator

from nnkit.checks import finite_array, float_array, instance, shown, with_methods
from nnkit.files import MOST_BYTES, arrays_of, loads, plain, written_whole
from nnkit.module import Module
from nnkit.optimizers import Optimizer

_JSON = "checkpoint.json"
_VERSION = 2


@dataclass(frozen=True)
class SavedState:
    """What a checkpoint holds, as `load_checkpoint` returns it; `restore` puts it into a network.

    Attributes
    ----------
    path, saved_from : Path, dict of str to str
        The file, the ``repr`` of the model, and the class names of the optimizer and the scheduler.
    states, generators, extra : dict
        The state of each part, under ``"model"`` and so on, and of each generator; and what the caller added.
    """

    path: Path
    saved_from: dict[str, str]
    states: dict[str, dict[str, Any]]
    generators: dict[str, dict[str, Any]]
    extra: dict[str, Any]

    def restore(
        self, model: Module, optimizer: Optimizer | None = None, scheduler: Any = None, *, rng: Generator | None = None
    ) -> None:
        """Put the saved state into parts made like those that were saved; a training that goes on needs all of them.

        With `rng`, the generator for `fit`, it and those in the model's layers go on where they were; without it no
        generator is touched. Everything is tried on copies first, so that nothing has changed after an error.

        Raises
        ------
        ValueError, TypeError
            If a part was not saved, does not fit what was, is of another kind, or cannot be copied.
        """
        parts = parts_to_save(model, optimizer, scheduler, rng)
        try:
            trial = copy.deepcopy((parts, rng))
        except Exception as error:
            raise TypeError(f"{', '.join(parts)} must be parts that copy.deepcopy can copy; got {error!r}") from error
        self._load(*trial)
        self._load(parts, rng)

    def _load(self, parts: dict[str, Any], rng: Generator | None) -> None:
        for name, part in parts.items():
            kind, held = type(part).__name__, self.saved_from.get(name)
            if name != "model" and kind != held:
                raise ValueError(f"{name} must be of the class that {self.path} holds, {held}; got {kind}")
            with _value_errors(f"{name} must be like the one in {self.path}, {held}; got {part!r}"):
                part.load_state_dict(copy.deepcopy(self.states[name]))  # The part may keep or change what it is given.
        generators = {} if rng is None else _generators(parts["model"], rng)
        if rng is not None and generators.keys() != self.generators.keys():
            expected = f"those in {self.path}, {sorted(self.generators)}"
            raise ValueError(f"rng and the generators in model's layers must be {expected}; got {sorted(generators)}")
        for name, generator in generators.items():
            with _value_errors(f"the generator {name!r} must be like the one in {self.path}; got {generator!r}"):
                _set_state(generator, self.generators[name])


def save_checkpoint(
    path: str | os.PathLike[str],
    model: Module,
    optimizer: Optimizer | None = None,
    scheduler: Any = None,
    *,
    rng: Generator | None = None,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write a network, and what its training needs to go on, to one file, which replaces an older one in one step.

    Weights, buffers, states and the generators of the layers are saved; the architecture, which is code, is not.

    Parameters
    ----------
    path : path
        Where to write, usually ``*.npz``; the folder must exist.
    rng : numpy.random.Generator, optional
        The generator given to `fit`.
    extra : dict, optional
        Anything JSON can hold; tuples and arrays come back as lists, NaN and the infinities as themselves.

    Raises
    ------
    ValueError, TypeError
        If an array of a state is not finite (a diverged training must not replace a good file), all but the arrays
        takes more than 16 MiB, or something is of another kind.
    """
    parts = parts_to_save(model, optimizer, scheduler, rng)
    extra = {} if extra is None else extra
    instance("extra", extra, Mapping, "a dict")
    arrays: dict[str, Any] = {}
    states: dict[str, Any] = {}
    for name, part in parts.items():
        state = part.state_dict()
        of_part = {key: value for key, value in state.items() if isinstance(value, np.ndarray)}
        arrays |= {f"{name}/{key}": finite_array(f"{name}/{key}", array) for key, array in of_part.items()}
        others = {key: value for key, value in state.items() if key not in of_part}
        states[name] = plain(f"the state of {name}", others)
    record = {
        "nnkit_checkpoint": _VERSION,
        "saved_from": {name: repr(part) if name == "model" else type(part).__name__ for name, part in parts.items()},
        "states": states,
        "generators": {
            name: plain("a generator", found.bit_generator.state) for name, found in _generators(model, rng).items()
        },
        "extra": plain("extra", extra),
    }
    text = json.dumps(record, allow_nan=False).encode()
    if len(text) > MOST_BYTES:
        raise ValueError(f"extra and all but the arrays must have at most {MOST_BYTES} bytes; got {len(text)}")
    arrays[_JSON] = np.frombuffer(text, dtype=np.uint8)
    with written_whole(Path(path)) as file:
        np.savez(file, **arrays)


def load_checkpoint(path: str | os.PathLike[str]) -> SavedState:
    """Read what `save_checkpoint` wrote; ``load_checkpoint(path).restore(model)`` puts the weights into `model`.

    A file that is damaged, of another version or program, or pickled, compressed or cut off is a ValueError.
    """
    path = Path(path)
    with path.open("rb") as file, _value_errors(f"path must be a whole checkpoint of this nnkit; got {path}"):
        arrays = dict(arrays_of(file))
        if _JSON not in arrays:
            raise ValueError(f"it has no member {_JSON}")
        record = loads(arrays.pop(_JSON).tobytes())
        version, states = record["nnkit_checkpoint"], record["states"]
        if version != _VERSION and (version != 1 or "optimizer" in states):
            raise ValueError(
                f"it has version {version}; this nnkit reads version {_VERSION}, and of version 1 files without an "
                "optimizer: train again, or save the model alone with the nnkit that wrote it"
            )
        fields = [record[name] for name in ("saved_from", "states", "generators", "extra")]
        if not all(isinstance(field, dict) for field in fields) or not {"model"} <= states.keys() == fields[0].keys():
            raise ValueError(f"it is not as save_checkpoint writes it; got {shown(record)}")
        for name, array in arrays.items():
            part, _, key = name.partition("/")
            states[part][key] = array
    return SavedState(path, *fields)


def resume_training(
    path: Path, parts: dict[str, Any], rng: Generator | None, names: Sequence[str], epochs: int
) -> list[dict[str, float]]:
    """Restore the parts from a file of `Checkpoint`, and return what each of its epochs recorded.

    If it does not fit them, the `names` to record or the number of `epochs`, raise ValueError and change nothing.
    """
    saved = load_checkpoint(path)
    history = saved.extra.get("history")
    if not isinstance(history, dict) or history.keys() != set(names):
        raise ValueError(
            f"path must be a file of Checkpoint whose training recorded {sorted(names)}, as metrics and "
            f"validation_data ask for here; {path} holds {shown(history)}"
        )
    with _value_errors(f"path must be a file of Checkpoint; the history in {path} is not lists of equal lengths"):
        values = float_array("history", list(history.values()), np.float64)
        _, done = values.shape
    if not 1 <= done <= epochs:
        raise ValueError(f"epochs must be at least the {done} that {path} has done; got {epochs}")
    if "scheduler" in saved.states and "scheduler" not in parts:
        raise ValueError(f"scheduler must be the {saved.saved_from['scheduler']} that {path} holds; got None")
    saved.restore(**parts, rng=rng)
    return [dict(zip(history, epoch, strict=True)) for epoch in values.T.tolist()]


def parts_to_save(model: Any, optimizer: Any, scheduler: Any, rng: Any) -> dict[str, Any]:
    """Return the parts that are not None under their names; raise TypeError if any argument is of another kind."""
    instance("model", model, Module, "a Module such as Sequential")
    if rng is not None:
        instance("rng", rng, Generator, "the numpy.random.Generator given to fit")
    parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
    parts = {name: part for name, part in parts.items() if part is not None}
    for name, part in parts.items():
        with_methods(name, part, ("state_dict", "load_state_dict"), "a part that can be saved")
    return parts


@contextmanager
def _value_errors(message: str) -> Iterator[None]:
    """Turn every error into a ValueError that begins with `message`: damaged data can fail in many ways."""
    try:
        yield
    except Exception as error:
        raise ValueError(f"{message}: {type(error).__name__}: {error}") from error


def _generators(model: Module, rng: Generator | None) -> dict[str, Generator]:
    """Return each generator under a name; one that layers share, with each other or with `fit`, appears once."""
    found = {} if rng is None else {"rng": rng}
    return found | {f"model/{name}": generator for name, generator in model.named_generators() if generator is not rng}


def _set_state(generator: Generator, state: dict[str, Any]) -> None:
    """Give a generator a state as JSON has it, or raise an error, perhaps after the state has changed."""
    generator.bit_generator.state = state
    if plain("state", generator.bit_generator.state) != state:  # NumPy silently cuts off or rounds what does not fit.
        raise ValueError(f"got {shown(state)}")
    # NumPy does not check how far MT19937 and Philox have read in their buffers, and would read on behind the end.
    for name, most in {"pos": 624, "buffer_pos": 4, "has_uint32": 1}.items():
        position = (state | state["state"]).get(name, 0)
        if not 0 <= position <= most:
            raise ValueError(f"{name!r} must be from 0 to {most}; got {position}")
