"""Checkpoints: what comes back, what damaged files and wrong networks meet, and trainings that go on bit for bit."""

import copy
import io
import json
import os
import pickle
import re
import reprlib
import signal
import struct
import subprocess
import sys
import threading
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

import nnkit.checkpoint
from nnkit import (
    SGD,
    Adam,
    AdamW,
    Autoencoder,
    BatchNorm1d,
    Callback,
    Checkpoint,
    CosineLR,
    Dropout,
    EarlyStopping,
    GaussianNoise,
    Linear,
    MSELoss,
    ReLU,
    RMSprop,
    Sequential,
    StepLR,
    fit,
    load_checkpoint,
    predict,
    save_checkpoint,
)
from nnkit.files import plain


def network(seed=0, widths=(4, 3, 2)):
    """Return an autoencoder behind all that draws or keeps running statistics, trained by nobody yet."""
    rng = np.random.default_rng(seed)
    first, code, last = widths
    encoder = Sequential(
        Linear(first, code, rng=rng), BatchNorm1d(code), ReLU(), Dropout(0.2, rng=rng), Linear(code, last, rng=rng)
    )
    decoder = Sequential(
        Linear(last, code, rng=rng), ReLU(), Dropout(0.1, rng=seed + 100), Linear(code, first, rng=rng)
    )
    return Sequential(GaussianNoise(0.1, rng=rng), Autoencoder(encoder, decoder))


OPTIMIZERS = {
    "SGD": lambda params: SGD(params, 0.05),
    "momentum": lambda params: SGD(params, 0.05, momentum=0.9),
    "RMSprop": lambda params: RMSprop(params, 0.01),
    "Adam": lambda params: Adam(params, 0.01),
    "AdamW": lambda params: AdamW(params, 0.01),
}
SCHEDULERS = {
    "none": lambda optimizer: None,
    "StepLR": lambda optimizer: StepLR(optimizer, 2, 0.5),
    "CosineLR": lambda optimizer: CosineLR(optimizer, 7),
}


class Run:
    """A training from its parts, all of them made from a seed."""

    def __init__(self, seed=0, optimizer="Adam", scheduler="StepLR"):
        self.X = np.random.default_rng(9).uniform(size=(30, 4)).astype(np.float32)
        self.model = network(seed)
        self.optimizer = OPTIMIZERS[optimizer](self.model.parameters())
        self.scheduler = SCHEDULERS[scheduler](self.optimizer)
        self.rng = np.random.default_rng(seed + 1)

    def fit(self, epochs, *callbacks, **options):
        return fit(
            self.model, MSELoss(), self.optimizer, self.X, self.X, epochs=epochs, batch_size=8, callbacks=callbacks,
            scheduler=self.scheduler, rng=self.rng, **options
        )  # fmt: skip

    def save(self, path, **options):
        save_checkpoint(path, self.model, self.optimizer, self.scheduler, rng=self.rng, **options)

    def restore(self, path):
        load_checkpoint(path).restore(self.model, self.optimizer, self.scheduler, rng=self.rng)

    def state(self):
        """Return everything that decides how the training goes on."""
        arrays = self.model.state_dict() | self.optimizer.state_dict()
        numbers = self.scheduler.state_dict() if self.scheduler else {}
        generators = [*(generator for _, generator in self.model.named_generators()), self.rng]
        return arrays, numbers, [plain("a state", generator.bit_generator.state) for generator in generators]


class Plateau:
    """A schedule of somebody else's, which knows nothing of nnkit; its `load_state_dict` can be made to fail."""

    def __init__(self, error=None):
        self.best, self.waited, self.rates, self.error = float("inf"), 0, [0.1], error

    def step(self):
        self.waited += 1

    def state_dict(self):
        return {"best": self.best, "waited": self.waited, "rates": self.rates}

    def load_state_dict(self, state):
        self.best = state.pop("best")  # As some of PyTorch's do.
        if self.error:
            raise self.error
        self.__dict__.update(state)


def check_same(one, two):
    for first, second in zip(one.state(), two.state(), strict=True):
        if isinstance(first, list):
            assert first == second
            continue
        assert first.keys() == second.keys()
        for name, value in first.items():
            np.testing.assert_array_equal(value, second[name])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.npz"


# Round trips


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_network_comes_back_to_the_last_bit(dtype, path):
    run = Run()
    run.model.astype(dtype)
    run.optimizer = Adam(run.model.parameters())
    run.scheduler = None
    run.fit(2)
    save_checkpoint(path, run.model)
    other = network(5).astype(dtype)
    load_checkpoint(path).restore(other)
    for name, array in run.model.state_dict().items():
        assert other.state_dict()[name].dtype == dtype
        np.testing.assert_array_equal(other.state_dict()[name], array)
    np.testing.assert_array_equal(predict(other, run.X), predict(run.model, run.X))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_training_goes_on_bit_for_bit(optimizer, scheduler, path):
    whole = Run(0, optimizer, scheduler)
    losses = [*whole.fit(3)["loss"], *whole.fit(4)["loss"]]
    first = Run(0, optimizer, scheduler)
    first.fit(3)
    first.save(path)
    second = Run(7, optimizer, scheduler)  # Made from another seed: all that counts comes from the file.
    second.restore(path)
    check_same(first, second)
    np.testing.assert_array_equal(second.fit(4)["loss"], losses[3:])
    check_same(whole, second)


@pytest.mark.parametrize("left_out", ["optimizer", "scheduler", "rng", "dropout"])
def test_training_does_not_go_on_alike_where_a_part_is_left_out(left_out, path):
    # That the test above can fail.
    first, second = Run(0), Run(7)
    first.fit(3)
    first.save(path)
    saved = load_checkpoint(path)
    parts = {"optimizer": second.optimizer, "scheduler": second.scheduler, "rng": second.rng}
    saved.restore(second.model, **{name: part for name, part in parts.items() if name != left_out})
    if left_out == "dropout":
        second.model[1].decoder[2].rng.random()
    first.fit(4)
    second.fit(4)
    with pytest.raises(AssertionError):
        check_same(first, second)


def test_extra_comes_back_as_json_has_it(path):
    extra = {"epochs": np.int64(3), "loss": [np.float32(0.5), np.nan, -np.inf], "sizes": (784, 32), "mean": np.ones(2)}
    save_checkpoint(path, network(), extra=extra)
    found = load_checkpoint(path).extra
    np.testing.assert_array_equal(found.pop("loss"), [0.5, np.nan, -np.inf])
    assert b"NaN" not in path.read_bytes()  # Which no other reader of JSON need take.
    assert found == {"epochs": 3, "sizes": [784, 32], "mean": [1.0, 1.0]}
    save_checkpoint(path, network())
    assert load_checkpoint(path).extra == {}


def test_it_says_what_it_was_saved_from(path):
    run = Run(scheduler="CosineLR")
    run.save(path)
    saved = load_checkpoint(path)
    assert saved.saved_from == {"model": repr(run.model), "optimizer": "Adam", "scheduler": "CosineLR"}
    assert saved.path == path
    assert set(saved.states) == {"model", "optimizer", "scheduler"}


def test_paths_may_be_strings_and_need_no_suffix(tmp_path):
    save_checkpoint(str(tmp_path / "weights"), network())
    assert [file.name for file in tmp_path.iterdir()] == ["weights"]
    load_checkpoint(str(tmp_path / "weights")).restore(network(3))


def test_same_state_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        Run().save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    Run(1).save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() != (tmp_path / "b").read_bytes()


def test_file_is_an_npz_of_plain_arrays_and_json(path):
    run = Run()
    run.save(path)
    with np.load(path, allow_pickle=False) as npz:
        assert all(npz[name].dtype.kind in "fu" for name in npz.files)
        assert {name.split("/")[0] for name in npz.files} == {"model", "optimizer", "checkpoint.json"}
        record = json.loads(npz["checkpoint.json"].tobytes())
        np.testing.assert_array_equal(npz["model/1.encoder.0.weight"], run.model[1].encoder[0].weight.data)
    assert record["nnkit_checkpoint"] == 1
    assert path.stat().st_mode & 0o777 == 0o666 & ~current_umask()


def current_umask():
    umask = os.umask(0)
    os.umask(umask)
    return umask


def test_weights_may_be_stored_at_half_the_size(path):
    run = Run()
    run.fit(2)
    save_checkpoint(path, run.model.astype(np.float16))
    other = network(5)
    load_checkpoint(path).restore(other)
    for name, array in other.state_dict().items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, run.model.state_dict()[name])


def test_restoring_the_weights_alone_touches_no_generator(path):
    run, other = Run(), Run(3)
    run.fit(1)
    run.save(path)
    generators = other.state()[2]
    load_checkpoint(path).restore(other.model)
    assert other.state()[2] == generators


@pytest.mark.parametrize("kind", [np.random.MT19937, np.random.Philox, np.random.SFC64])
def test_other_generators_than_the_usual_come_back_too(kind, path):
    rng, other = np.random.Generator(kind(0)), np.random.Generator(kind(1))
    rng.random(3)
    save_checkpoint(path, Linear(2, 2, rng=0), rng=rng)
    load_checkpoint(path).restore(Linear(2, 2, rng=0), rng=other)
    np.testing.assert_array_equal(rng.random(1000), other.random(1000))


# Files that are no checkpoint, or not any more


def check_refused(path, reason=""):
    with pytest.raises(ValueError, match=rf"path must be a whole checkpoint, as save_checkpoint writes it; .*{reason}"):
        load_checkpoint(path)


def test_missing_file_is_said_to_be_missing(path):
    with pytest.raises(FileNotFoundError, match=r"net\.npz"):
        load_checkpoint(path)


def test_file_cut_off_anywhere_is_refused(path):
    Run().save(path)
    content = path.read_bytes()
    for length in {0, 1, 4, 100, *range(0, len(content), 97), len(content) - 1}:
        path.write_bytes(content[:length])
        check_refused(path)


def test_damaged_byte_is_noticed_or_changes_nothing(path):
    save_checkpoint(path, network(), rng=np.random.default_rng(0), extra={"note": "kept"})
    content, expected = path.read_bytes(), load_checkpoint(path)
    refused = 0
    for position in range(0, len(content), 7):
        path.write_bytes(content[:position] + bytes([content[position] ^ 0x15]) + content[position + 1 :])
        try:
            found = load_checkpoint(path)
        except ValueError as error:
            assert "path must be a whole checkpoint" in str(error)  # noqa: PT017
            refused += 1
            continue
        assert (found.generators, found.extra) == (expected.generators, expected.extra)
        for name, array in expected.states["model"].items():
            np.testing.assert_array_equal(found.states["model"][name], array)
    assert refused > 0.5 * len(content) / 7


class Trap:
    """Unpickling it would leave a trace."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_pickles_are_never_opened(path, tmp_path):
    trace = tmp_path / "trace"
    record = np.frombuffer(b'{"nnkit_checkpoint": 1}', np.uint8)
    np.savez(path, **{"model/weight": np.array([Trap(trace)], dtype=object), "checkpoint.json": record})
    check_refused(path, "pickle")
    path.write_bytes(pickle.dumps(Trap(trace)))
    check_refused(path, "pickle")
    np.save(path.with_suffix(".npy"), np.array([Trap(trace)], dtype=object))
    check_refused(path.with_suffix(".npy"), "pickle")
    assert not trace.exists()
    pickle.loads(pickle.dumps(Trap(trace)))
    assert trace.exists()  # The trap would have worked.


def test_files_of_others_are_refused(path):
    np.savez(path, weight=np.ones(3))
    check_refused(path, "checkpoint.json")
    np.savez(path, **{"checkpoint.json": np.frombuffer(b'{"epochs": 3}', np.uint8)})
    check_refused(path, "nnkit_checkpoint")
    np.savez(path, **{"checkpoint.json": np.frombuffer(b"not JSON", np.uint8)})
    check_refused(path, "JSONDecodeError")
    with path.open("wb") as file:  # Not under path itself, to which NumPy would add its suffix.
        np.save(file, np.ones(3))
    check_refused(path)
    path.write_text("epoch,loss\n1,0.5\n")
    check_refused(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("checkpoint.json", b'{"nnkit_checkpoint": 1}')
    check_refused(path)


def test_later_version_is_told_from_a_damaged_file(path, monkeypatch):
    monkeypatch.setattr(nnkit.checkpoint, "_VERSION", 2)
    save_checkpoint(path, network())
    monkeypatch.undo()
    check_refused(path, "it has version 2, and this nnkit reads version 1")


# Files that promise more than they hold


def write_npz(path, members, **options):
    """Write the members, bytes by name, as an npz file."""
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in members:
            archive.writestr(name, content)


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def header(shape, dtype="<f4"):
    """Return the header of an array, without the array."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": False, "shape": shape})
    return stream.getvalue()


def record(**changed):
    """Return the member with the JSON of a checkpoint of nothing."""
    empty = {"nnkit_checkpoint": 1, "saved_from": {"model": "nothing"}, "states": {"model": {}}}
    return json_member(json.dumps(empty | {"generators": {}, "extra": {}} | changed).encode())


def json_member(text):
    return "checkpoint.json.npy", npy(np.frombuffer(text, np.uint8))


def check_refused_in_little_memory(path, reason, most=2**21):
    tracemalloc.start()
    try:
        check_refused(path, reason)
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


def test_checkpoint_of_nothing_is_read(path):
    write_npz(path, [record(), ("model/weight.npy", npy(np.ones(3)))])
    np.testing.assert_array_equal(load_checkpoint(path).states["model"]["weight"], 1)


def test_compressed_members_are_refused_before_they_are_unpacked(path):
    zeros = ("model/weight.npy", npy(np.zeros(2**24, np.uint8)))
    write_npz(path, [record(), zeros], compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**16
    check_refused_in_little_memory(path, "its members must be stored as they are; 'checkpoint.json.npy' is compressed")


def test_member_larger_than_the_file_is_refused_before_it_is_read(path):
    write_npz(path, [record(), ("model/weight.npy", npy(np.ones(3)))])
    content = bytearray(path.read_bytes())
    entry = content.rindex(b"PK\x01\x02")
    struct.pack_into("<LL", content, entry + 20, 2**31, 2**31)
    path.write_bytes(content)
    check_refused_in_little_memory(path, rf"its members promise 2147\d+ bytes, and the file has {len(content)}")


def test_members_that_share_their_bytes_are_refused(path):
    # A thousand names for one member: together they are longer than the file.
    write_npz(path, [record(), ("model/weight.npy", npy(np.ones(2**14)))])
    content = path.read_bytes()
    entry, end = content.rindex(b"PK\x01\x02"), content.rindex(b"PK\x05\x06")
    copies = b"".join(content[entry:end].replace(b"model/weight", b"model/%06d" % i) for i in range(1000))
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1001, 1001, entry - content.index(b"PK\x01\x02") + len(copies),
                       content.index(b"PK\x01\x02"), 0)  # fmt: skip
    path.write_bytes(content[:entry] + copies + tail)
    check_refused(path, r"its members promise 131\d+ bytes")


@pytest.mark.parametrize("shape", [(2**40,), (10**6, 10**6), (4,), (2,), (-3,), (0,)])
def test_header_that_promises_another_size_is_refused_before_there_is_room_for_it(shape, path):
    write_npz(path, [record(), ("model/weight.npy", header(shape) + bytes(12))])
    check_refused_in_little_memory(path, "its member 'model/weight.npy' promises float32 of shape .* and holds 12")


@pytest.mark.parametrize("dtype", ["|O", "<U3", "|V0", "<c8", "<M8[s]"])
def test_member_of_anything_but_numbers_is_refused(dtype, path):
    write_npz(path, [record(), ("model/weight.npy", header((1,), dtype) + bytes(16))])
    check_refused(path, "its member 'model/weight.npy' must hold real numbers, and no pickle is ever loaded; got ")


def test_header_of_another_version_is_refused(path):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.ones(3), version=(2, 0))
    write_npz(path, [record(), ("model/weight.npy", stream.getvalue())])
    check_refused(path, r"must be of NumPy's format 1.0; got \(2, 0\)")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_of_one_name_are_refused(path):
    twice = ("model/weight.npy", npy(np.ones(3)))
    write_npz(path, [record(), twice, twice])
    check_refused(path, "it must have each member once; got several of one name")


def test_too_many_members_are_refused(path):
    write_npz(path, [record(), *((f"model/{i}.npy", b"") for i in range(10_000))])
    check_refused(path, "it must have at most 10000 members; got 10001")


def test_json_too_large_or_too_deep_is_refused(path):
    write_npz(path, [json_member(b'{"a": "' + b"x" * 2**24)])
    check_refused(path, "a JSON text must have at most 16777216 bytes; got 16777223")
    write_npz(path, [json_member(b'{"a": ' + b"[" * 200_000)])
    check_refused(path, "a JSON text must not be nested deeper than Python can follow")


@pytest.mark.parametrize("name", ["weight", "optimizer/velocity", "model"])
def test_array_of_no_part_is_refused(name, path):
    write_npz(path, [record(), (f"{name}.npy", npy(np.ones(3)))])
    check_refused(path, rf"its arrays must each belong to one of \['model'\], once; got '{name}'")


def test_array_that_json_holds_as_well_is_refused(path):
    write_npz(path, [record(states={"model": {"weight": 1}}), ("model/weight.npy", npy(np.ones(3)))])
    check_refused(path, "once; got 'model/weight'")


# JSON with null and missing entries

MISSING = object()
WRONG = [MISSING, None, "x", -1, 1.5, True, [], {}, [None], {"x": None}]


def places(record, above=()):
    """Yield the path to everything that a record holds, at every depth; of a list, to its first entry."""
    items = record.items() if isinstance(record, dict) else list(enumerate(record))[:1]
    for name, value in items:
        yield (*above, name)
        if isinstance(value, (dict, list)):
            yield from places(value, (*above, name))


def write_changed(path, target, place, wrong):
    """Write a copy of a checkpoint of which one entry is wrong."""
    with np.load(path) as npz:
        arrays = dict(npz)
    record = json.loads(arrays["checkpoint.json"].tobytes())
    *above, name = place
    holder = record
    for step in above:
        holder = holder[step]
    if wrong is MISSING:
        del holder[name]
    else:
        holder[name] = wrong
    arrays["checkpoint.json"] = np.frombuffer(json.dumps(record).encode(), np.uint8)
    with target.open("wb") as file:
        np.savez(file, **arrays)


def is_right(place, wrong):
    """Return whether what looks wrong could have been saved in this place all the same."""
    number = type(wrong) in (int, float) or wrong is True
    return (
        (place == ("saved_from", "model") and wrong == "x")
        or (place == ("nnkit_checkpoint",) and wrong is True)
        or (place == ("states", "model") and wrong == {})  # Its arrays are members of their own.
        or (place[-1] in ("lr", "base_lr") and wrong == 1.5)
        or (place[0] == "generators" and wrong is True)  # Python's True is a 1, as positions and halves of a draw are.
        or (place[0] == "extra" and number and type(wrong) is not bool and type(place[-1]) is int)
    )


@pytest.mark.parametrize("kind", [np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64])
def test_any_entry_that_is_wrong_is_a_value_error_and_nothing_is_changed(kind, path):
    run = Run(scheduler="CosineLR")
    run.rng = np.random.Generator(kind(0))
    run.fit(2, Checkpoint(path))
    other = Run(3, scheduler="CosineLR")
    other.rng = np.random.Generator(kind(1))
    before = copy.deepcopy(other)
    with np.load(path) as npz:
        every = list(places(json.loads(npz["checkpoint.json"].tobytes())))
    assert len(every) > 30
    wrong_path = path.with_name("wrong.npz")
    for place in every:
        for wrong in WRONG:
            if is_right(place, wrong):
                continue
            write_changed(path, wrong_path, place, wrong)
            with pytest.raises(ValueError, match=r"wrong\.npz"):
                other.fit(5, Checkpoint(wrong_path, resume=True))
            check_same(other, before)
    other.fit(2, Checkpoint(path, resume=True))  # They were wrong, and not the file.
    check_same(other, run)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (np.random.MT19937, lambda state: state["state"].update(pos=10**6)),
        (np.random.MT19937, lambda state: state["state"].update(pos=-5)),
        (np.random.MT19937, lambda state: state["state"].update(key=state["state"]["key"][:5])),
        (np.random.MT19937, lambda state: state["state"].update(key=[*state["state"]["key"], 1])),
        (np.random.MT19937, lambda state: state["state"].update(key=[1.5] * 624)),
        (np.random.Philox, lambda state: state.update(buffer_pos=10)),
        (np.random.Philox, lambda state: state.update(buffer=[*state["buffer"], 1])),
        (np.random.PCG64, lambda state: state["state"].update(state=-1)),
        (np.random.PCG64, lambda state: state["state"].update(state=2**200)),
        (np.random.PCG64, lambda state: state.update(bit_generator="SFC64")),
        (np.random.PCG64, lambda state: state.update(more=1)),
        (np.random.PCG64, lambda state: state.pop("uinteger")),
    ],
)
def test_state_of_a_generator_that_is_none_changes_nothing(kind, change, path):
    run, other = Run(), Run(3)
    run.rng, other.rng = np.random.Generator(kind(0)), np.random.Generator(kind(1))
    run.save(path)
    before = copy.deepcopy(other)
    saved = load_checkpoint(path)
    change(saved.generators["rng"])
    match = rf"the state of the generator 'rng' in .*net.npz must be one of its {kind.__name__}: "
    with pytest.raises(ValueError, match=match):
        saved.restore(other.model, other.optimizer, other.scheduler, rng=other.rng)
    check_same(other, before)


def test_generators_of_another_kind_change_nothing(path):
    run, other = Run(), Run(3)
    run.save(path)
    other.rng = np.random.Generator(np.random.Philox(0))
    before = copy.deepcopy(other)
    with pytest.raises(ValueError, match=r"the state of the generator 'rng' in .* must be one of its Philox: "):
        other.restore(path)
    check_same(other, before)


@pytest.mark.parametrize("optimizer", ["RMSprop", "Adam", "AdamW"])
def test_negative_variances_and_means_of_squares_change_nothing(optimizer, path):
    run, other = Run(optimizer=optimizer), Run(3, optimizer=optimizer)
    run.fit(1)
    run.save(path)
    before = copy.deepcopy(other)
    for part, name in (("model", "1.encoder.1.running_var"), ("optimizer", run.optimizer._state_names[-1])):
        for wrong, match in ((-1e-3, "must hold no negative number; got -0.001"), (np.nan, "must be finite")):
            saved = load_checkpoint(path)
            saved.states[part][name].flat[1] = wrong
            with pytest.raises(ValueError, match=rf"{part} must be made like .*: state\['{name}'\] {match}"):
                saved.restore(other.model, other.optimizer, other.scheduler, rng=other.rng)
            check_same(other, before)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_state_of_an_optimizer_that_is_none_is_named_and_changes_nothing(optimizer):
    run = Run(optimizer=optimizer)
    run.fit(1)
    before = copy.deepcopy(run)
    for wrong in (None, 5, ["lr"]):
        with pytest.raises(TypeError, match="state must be what state_dict returned; got"):
            run.optimizer.load_state_dict(wrong)
    for name in run.optimizer.state_dict():
        for wrong in (None, "x", [None]):
            with pytest.raises((TypeError, ValueError), match=rf"state\['{name}'\] must "):
                run.optimizer.load_state_dict(run.optimizer.state_dict() | {name: wrong})
    check_same(run, before)


# Parts of others


ERRORS = [KeyError("best"), AttributeError("best"), TypeError("best"), RuntimeError("best"), IndexError(), KeyError()]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_part_of_another_that_fails_changes_nothing(error, path):
    run, other = Run(scheduler="none"), Run(3, scheduler="none")
    run.scheduler, other.scheduler = Plateau(), Plateau(error)
    run.fit(2, Checkpoint(path))
    before = copy.deepcopy(other)
    with pytest.raises(ValueError, match=r"scheduler must be made like .*net\.npz holds, Plateau; got <.*: "):
        other.restore(path)
    check_same(other, before)
    with pytest.raises(ValueError, match="scheduler must be made like"):
        other.fit(3, Checkpoint(path, resume=True))
    check_same(other, before)


def test_part_of_another_comes_back_and_owns_what_it_was_given(path):
    run, other = Run(scheduler="none"), Run(3, scheduler="none")
    run.scheduler, other.scheduler = Plateau(), Plateau()
    run.fit(2, Checkpoint(path))
    other.scheduler.best = 0
    saved = load_checkpoint(path)
    for _ in range(2):  # It takes its state apart, and keeps pieces.
        saved.restore(other.model, other.optimizer, other.scheduler, rng=other.rng)
        assert other.scheduler.state_dict() == {"best": float("inf"), "waited": 2, "rates": [0.1]}
        other.scheduler.rates.append(5)


def test_part_that_cannot_be_copied_is_said_and_nothing_is_changed(path):
    run, other = Run(scheduler="none"), Run(3, scheduler="none")
    run.scheduler, other.scheduler = Plateau(), Plateau()
    run.save(path)
    other.scheduler.lock = threading.Lock()
    before = other.model.state_dict()
    with pytest.raises(TypeError, match=r"model, optimizer, scheduler must be such as .* can copy, .*lock"):
        other.restore(path)
    for name, array in other.model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_a_diverged_network_can_be_restored_and_is_left_alone_by_what_fails(path):
    run, other = Run(), Run(3)
    run.save(path)
    other.model[1].encoder[0].weight.data[:] = np.nan
    saved = load_checkpoint(path)
    saved.states["scheduler"]["epoch"] = None
    with pytest.raises(ValueError, match="scheduler must be made like"):
        saved.restore(other.model, other.optimizer, other.scheduler)
    assert np.isnan(other.model[1].encoder[0].weight.data).all()
    other.restore(path)
    check_same(run, other)


# Parts that do not fit


def check_restore_fails(saved, error, match, model, *parts, **options):
    before = model.state_dict()
    with pytest.raises(error, match=match):
        saved.restore(model, *parts, **options)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_other_architecture_is_told_what_the_file_holds(path):
    save_checkpoint(path, Sequential(Linear(4, 3, rng=0), ReLU(), Linear(3, 2, rng=0)))
    saved = load_checkpoint(path)
    held = (
        r"model must be made like the one that .*net.npz holds, Sequential\(Linear\(4, 3\), ReLU\(\), Linear\(3, 2\)\)"
    )
    wider = Sequential(Linear(4, 5, rng=0), ReLU(), Linear(5, 2, rng=0))
    match = (
        held
        + r"; got Sequential\(Linear\(4, 5\), .*: state\['0.weight'\] must have the shape of the parameter, \(4, 5\)"
    )
    check_restore_fails(saved, ValueError, match, wider)
    match = (
        held + r"; got Linear\(4, 3\): state does not match Linear: missing \['bias', 'weight'\], unexpected \['0.bias'"
    )
    check_restore_fails(saved, ValueError, match, Linear(4, 3, rng=0))
    check_restore_fails(saved, ValueError, "missing .*running_mean", Sequential(Linear(4, 3, rng=0), BatchNorm1d(3)))


def test_state_of_a_wrong_type_is_told_where_it_was_read(path):
    run = Run()
    run.save(path)
    saved = load_checkpoint(path)
    saved.states["optimizer"]["steps"] = "many"
    with pytest.raises(
        ValueError, match=r"optimizer must be made like the one that .* holds, Adam; .*: state\['steps'\]"
    ):
        saved.restore(run.model, run.optimizer)


def test_optimizer_must_be_of_the_same_kind_and_size(path):
    run = Run()
    run.save(path)
    saved = load_checkpoint(path)
    other = AdamW(run.model.parameters())  # Its state has the names of Adam's.
    with pytest.raises(ValueError, match=r"optimizer must be the Adam that .* holds; got AdamW"):
        saved.restore(run.model, other)
    small = Adam(Linear(2, 2, rng=0).parameters())
    with pytest.raises(
        ValueError, match=r"optimizer must be made like the one .*, Adam; got Adam\(lr=0.001\): state\["
    ):
        saved.restore(run.model, small)
    momentum = Run(optimizer="momentum")
    momentum.save(path)
    with pytest.raises(
        ValueError, match=r"optimizer must be made like the one .*, SGD; .*: state must hold \['lr', 'steps"
    ):
        load_checkpoint(path).restore(momentum.model, SGD(momentum.model.parameters(), 0.1))


def test_scheduler_must_be_of_the_same_kind(path):
    run = Run(scheduler="StepLR")
    run.save(path)
    with pytest.raises(ValueError, match=r"scheduler must be the StepLR that .* holds; got CosineLR"):
        load_checkpoint(path).restore(run.model, run.optimizer, CosineLR(run.optimizer, 3))


def test_what_was_not_saved_cannot_be_restored(path):
    run = Run()
    save_checkpoint(path, run.model)
    saved = load_checkpoint(path)
    with pytest.raises(ValueError, match=r"optimizer must have been saved to be restored; .*net.npz holds none"):
        saved.restore(run.model, run.optimizer)
    with pytest.raises(ValueError, match="scheduler must have been saved to be restored"):
        saved.restore(run.model, scheduler=run.scheduler)
    with pytest.raises(ValueError, match=r"rng and the generators in the layers of model must be those .*'rng'\]$"):
        saved.restore(run.model, rng=run.rng)


def test_generators_must_be_shared_alike(path):
    shared = np.random.default_rng(0)
    save_checkpoint(path, Sequential(Dropout(rng=shared), Dropout(rng=shared)), rng=shared)
    saved = load_checkpoint(path)
    own = Sequential(Dropout(rng=0), Dropout(rng=1))
    with pytest.raises(ValueError, match=r"\['rng'\]; got \['model/0.rng', 'model/1.rng', 'rng'\]"):
        saved.restore(own, rng=np.random.default_rng(0))
    again = np.random.default_rng(5)
    saved.restore(Sequential(Dropout(rng=again), Dropout(rng=again)), rng=again)
    assert again.random() == shared.random()
    save_checkpoint(path, Sequential(Dropout(rng=shared), Dropout(rng=shared)), rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"\['model/0.rng', 'rng'\]; got \['model/0.rng', 'model/1.rng', 'rng'\]"):
        load_checkpoint(path).restore(own, rng=np.random.default_rng(0))


# Writing


def test_values_that_are_not_finite_do_not_replace_the_file(path):
    run = Run()
    run.save(path)
    content = path.read_bytes()
    run.model[1].encoder[0].weight.data[1, 2] = np.nan
    with pytest.raises(ValueError, match=r"model/1.encoder.0.weight must be finite as float32; .* at index \(1, 2\)"):
        run.save(path)
    run = Run()
    run.optimizer.square_average[3] = np.inf
    with pytest.raises(ValueError, match=r"optimizer/square_average must be finite"):
        run.save(path)
    assert path.read_bytes() == content


def test_extra_that_json_cannot_hold_does_not_replace_the_file(path):
    save_checkpoint(path, network())
    content = path.read_bytes()
    with pytest.raises(TypeError, match=r"extra\['epochs'\] must be made of numbers, .*; got a set"):
        save_checkpoint(path, network(), extra={"epochs": {3}})
    assert path.read_bytes() == content


def held_by_itself():
    extra = {}
    extra["again"] = [extra]
    return extra


@pytest.mark.parametrize(
    ("extra", "error", "match"),
    [
        (5, TypeError, "extra must be a dict; got 5"),
        ("notes", TypeError, "extra must be a dict; got 'notes'"),
        ([("a", 1)], TypeError, "extra must be a dict; got "),
        (np.ones(2), TypeError, "extra must be a dict; got array"),
        ({1: "one"}, TypeError, "extra must have strings as keys, and not '$float'; got 1"),
        ({"a": [{None: 1}]}, TypeError, "extra['a'][0] must have strings as keys"),
        ({"$float": "nan"}, TypeError, "extra must have strings as keys, and not '$float'"),
        ({"a": {"b": 1j}}, TypeError, "extra['a']['b'] must be made of numbers, strings, None, lists and dicts; got a"),
        ({"a": b"bytes"}, TypeError, "extra['a'] must be made of numbers"),
        ({"a": np.array([object()])}, TypeError, "extra['a'][0] must be made of numbers"),
        (held_by_itself(), ValueError, "extra must not be nested deeper than Python can follow; it may hold itself"),
        ({"a": "x" * 2**24}, ValueError, "extra and all else that is no array must have at most 16777216 bytes; got 1"),
    ],
    ids=lambda value: reprlib.repr(value)[:30],
)
def test_extra_of_another_kind_is_named_and_does_not_replace_the_file(extra, error, match, path):
    save_checkpoint(path, network())
    content = path.read_bytes()
    with pytest.raises(error, match=re.escape(match)):
        save_checkpoint(path, network(), extra=extra)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"model": 5}, "model must be a Module such as Sequential; got 5"),
        ({"model": Linear}, "model must be a Module such as Sequential; got <class"),
        ({"optimizer": 0.1}, "optimizer must have state_dict and load_state_dict to be saved; got 0.1"),
        ({"optimizer": Adam}, "optimizer must have state_dict and load_state_dict to be saved; got <class"),
        ({"scheduler": "cosine"}, "scheduler must have state_dict and load_state_dict to be saved; got 'cosine'"),
        ({"rng": 3}, "rng must be the numpy.random.Generator given to fit; got 3"),
    ],
)
def test_parts_of_another_kind_are_named(given, match, path):
    with pytest.raises(TypeError, match=re.escape(match)):
        save_checkpoint(path, **({"model": network()} | given))
    assert not path.exists()
    save_checkpoint(path, network())
    with pytest.raises(TypeError, match=re.escape(match)):
        load_checkpoint(path).restore(**({"model": network()} | given))


def test_state_of_another_that_json_cannot_hold_is_named(path):
    scheduler = Plateau()
    scheduler.rates = {0: 0.1}
    with pytest.raises(TypeError, match=r"the state of scheduler\['rates'\] must have strings as keys, .*; got 0"):
        save_checkpoint(path, network(), scheduler=scheduler)
    assert not path.exists()


@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt()])
def test_error_while_writing_leaves_the_old_file_and_no_other(error, path, monkeypatch):
    save_checkpoint(path, network(1))
    content = path.read_bytes()

    def torn(file, **arrays):
        file.write(b"half of it")
        raise error

    monkeypatch.setattr(np, "savez", torn)
    with pytest.raises(type(error)):
        save_checkpoint(path, network(2))
    assert path.read_bytes() == content
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows kills by no signal")
def test_kill_in_the_middle_of_writing_leaves_the_old_file(path):
    save_checkpoint(path, Linear(3, 2, rng=1), extra={"number": 1})
    code = (
        "import os, signal, sys\n"
        "import numpy as np\n"
        "import nnkit\n"
        "write = np.lib.format.write_array\n"
        "def killed(file, array, **options):\n"
        "    if array.dtype == np.uint8:\n"
        "        file.write(b'a few bytes')\n"
        "        print('writing', flush=True)\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    write(file, array, **options)\n"
        "np.lib.format.write_array = np.lib._npyio_impl.format.write_array = killed\n"
        "nnkit.save_checkpoint(sys.argv[1], nnkit.Linear(3, 2, rng=2), extra={'number': 2})\n"
    )
    command = [sys.executable, "-c", code, str(path)]
    folder = Path(nnkit.__file__).parents[1]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "writing\n"), done.stderr
    (partial,) = (file for file in path.parent.iterdir() if file != path)
    assert partial.name.startswith(".net.npz.")
    assert partial.stat().st_size > 0
    check_refused(partial)
    saved = load_checkpoint(path)
    assert saved.extra == {"number": 1}
    model = Linear(3, 2, rng=9)
    saved.restore(model)
    np.testing.assert_array_equal(model.weight.data, Linear(3, 2, rng=1).weight.data)
    save_checkpoint(path, model)
    assert list(path.parent.iterdir()) == [path]


def test_folder_that_is_not_there_is_said_to_be_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        save_checkpoint(tmp_path / "nowhere" / "net.npz", network())


def test_saving_changes_nothing(path):
    run, other = Run(), Run()
    run.save(path, extra={"a": 1})
    check_same(run, other)
    run.fit(2)
    other.fit(2)
    check_same(run, other)


# Checkpoint, the callback


class Stop(Callback):
    """The power cut after an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, state):
        if state.epoch == self.epoch:
            raise KeyboardInterrupt


@pytest.mark.parametrize(("every", "cuts"), [(1, [3]), (2, [5]), (3, [1, 4]), (1, [1, 2, 6]), (1, [7])])
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_interrupted_training_ends_with_the_bits_of_one_that_was_not(scheduler, every, cuts, path):
    whole = Run(scheduler=scheduler)
    expected = whole.fit(7, validation_data=(whole.X, whole.X))

    def begin(seed):
        # Where nothing has been saved yet, the call begins anew, and so needs the same seed; later it does not.
        run = Run(seed if path.exists() else 0, scheduler=scheduler)
        return run, lambda *callbacks: run.fit(
            7, Checkpoint(path, every, resume=True), *callbacks, validation_data=(run.X, run.X)
        )

    for cut in cuts:
        _, train = begin(50 + cut)
        with pytest.raises(KeyboardInterrupt):
            train(Stop(cut))
    run, train = begin(99)
    history = train()
    check_same(run, whole)
    for name in ("loss", "val_loss"):
        np.testing.assert_array_equal(history[name], expected[name])
    assert len(history) == len(history["seconds"]) == 7
    assert history.stop_reason == "all 7 epochs done"


def test_finished_training_is_not_done_again(path):
    first = Run()
    history = first.fit(3, Checkpoint(path))
    other = Run(4)
    again = other.fit(3, Checkpoint(path, resume=True))
    check_same(first, other)
    assert again.values == history.values
    longer = other.fit(5, Checkpoint(path, resume=True))
    assert len(longer) == 5
    np.testing.assert_array_equal(longer["loss"][:3], history["loss"])


def test_without_resume_training_begins_anew_and_the_file_is_replaced(path):
    Run(3).fit(5, Checkpoint(path))
    first, plain = Run(), Run()
    history = first.fit(2, Checkpoint(path))
    plain.fit(2)
    check_same(first, plain)
    assert load_checkpoint(path).extra == {"history": history.values}
    restored = Run(8)
    restored.restore(path)
    check_same(restored, first)


def test_file_of_each_save_is_the_training_after_that_epoch(tmp_path):
    class Keep(Callback):
        def on_epoch_end(self, state):
            if (tmp_path / "net.npz").exists():
                (tmp_path / "net.npz").replace(tmp_path / str(state.epoch))

    Run().fit(5, Checkpoint(tmp_path / "net.npz", every=2), Keep())
    assert sorted(file.name for file in tmp_path.iterdir()) == ["2", "4"]
    for epochs in (2, 4):
        part, restored = Run(), Run(6)
        part.fit(epochs)
        restored.restore(tmp_path / str(epochs))
        check_same(part, restored)


def test_seed_given_to_fit_is_saved_as_the_generator_it_has_become(path):
    X = Run().X
    models = [Linear(4, 4, rng=0) for _ in range(2)]
    optimizers = [SGD(model.parameters(), 0.1) for model in models]
    fit(models[0], MSELoss(), optimizers[0], X, X, epochs=4, batch_size=8, rng=3)
    fit(models[1], MSELoss(), optimizers[1], X, X, epochs=2, batch_size=8, callbacks=[Checkpoint(path)], rng=3)
    again = Linear(4, 4, rng=5)
    callbacks = [Checkpoint(path, resume=True)]
    fit(again, MSELoss(), SGD(again.parameters(), 9), X, X, epochs=4, batch_size=8, callbacks=callbacks, rng=8)
    np.testing.assert_array_equal(again.weight.data, models[0].weight.data)


def check_resume_fails(other, path, match, epochs=5, **options):
    before = copy.deepcopy(other)
    with pytest.raises(ValueError, match=match):
        other.fit(epochs, Checkpoint(path, resume=True), **options)
    check_same(other, before)


def count_of(y_true, y_pred):
    return float(len(y_pred))


def test_file_of_save_checkpoint_cannot_be_resumed_from_and_changes_nothing(path):
    Run().save(path)
    match = (
        r"path must be a file of Checkpoint to resume from; .*net.npz holds no history, as those of save_checkpoint: "
    )
    check_resume_fails(Run(3), path, match + "give another path, or call load_checkpoint")


@pytest.mark.parametrize(
    "history",
    [
        None, 5, [], {}, {"loss": []}, {"loss": 0.5}, {"loss": [0.5, None]}, {"loss": [0.5, "x"]}, {"loss": [True]},
        {"loss": [0.5], "seconds": []}, {"loss": [0.5, 0.4], "seconds": [0.1]}, {"seconds": [0.1]}, {"loss": [[0.5]]},
    ],
)  # fmt: skip
def test_history_that_is_none_changes_nothing(history, path):
    Run().save(path, extra={"history": history})
    match = (
        r"path must be .*; the history in .*net.npz must hold lists of numbers, one an epoch, 'loss' among them; got"
    )
    check_resume_fails(Run(3), path, match)


def test_history_of_other_metrics_changes_nothing(path):
    run, other = Run(), Run(3)
    options = {"metrics": {"count": count_of}, "validation_data": (run.X, run.X)}
    run.fit(2, Checkpoint(path), **options)
    recorded = (
        r"metrics and validation_data must be those of the training in .*net.npz, which recorded \['count', 'loss'"
    )
    more = options | {"metrics": {"count": count_of, "other": count_of}}
    for given in (more, options | {"metrics": None}, options | {"validation_data": None}, {}):
        check_resume_fails(other, path, recorded + r".*; got those that record \[", **given)
    history = other.fit(3, Checkpoint(path, resume=True), **options)
    assert {name: len(values) for name, values in history.values.items()} == dict.fromkeys(
        ["loss", "count", "seconds", "val_loss", "val_count"], 3
    )


def test_schedule_that_was_there_or_was_not_must_be_so_again(path):
    Run(scheduler="StepLR").fit(2, Checkpoint(path))
    check_resume_fails(Run(3, scheduler="none"), path, r"scheduler must be the StepLR that .*net.npz holds; got None")
    Run(scheduler="none").fit(2, Checkpoint(path))
    check_resume_fails(Run(3), path, r"scheduler must have been saved to be restored; .*net.npz holds none")


def test_more_epochs_done_than_are_asked_for_change_nothing(path):
    Run().fit(4, Checkpoint(path))
    check_resume_fails(Run(3), path, r"epochs must be at least the 4 that .*net.npz has done; got 3", epochs=3)


def test_history_may_hold_what_is_no_number(path):
    def undefined(y_true, y_pred):
        return float("nan")

    Run().fit(2, Checkpoint(path), metrics={"undefined": undefined})
    history = Run().fit(3, Checkpoint(path, resume=True), metrics={"undefined": undefined})
    np.testing.assert_array_equal(history["undefined"], [np.nan] * 3)


def test_file_of_an_earlier_version_with_nan_in_its_history_is_read(path):
    write_npz(path, [json_member(record()[1][128:].replace(b'"extra": {}', b'"extra": {"loss": [NaN]}'))])
    assert np.isnan(load_checkpoint(path).extra["loss"][0])


def test_resuming_another_network_is_an_error(path):
    Run(scheduler="none").fit(1, Checkpoint(path))
    model = Linear(4, 4, rng=0)
    optimizer = Adam(model.parameters())
    X = Run().X
    with pytest.raises(ValueError, match="model must be made like the one that"):
        fit(model, MSELoss(), optimizer, X, X, epochs=1, callbacks=[Checkpoint(path, resume=True)], rng=0)
    assert model.needs_input_grad


@pytest.mark.filterwarnings("ignore::nnkit.DivergenceWarning")
def test_divergence_does_not_replace_the_last_good_file(path):
    run = Run(optimizer="SGD", scheduler="none")
    run.fit(2, Checkpoint(path))
    content = path.read_bytes()
    run.optimizer.lr = 1e30
    history = run.fit(5, Checkpoint(path))
    assert history.stop_reason.startswith("diverged")
    assert path.read_bytes() == content


def test_early_stopping_and_checkpoint_do_their_work_side_by_side(path):
    run = Run()
    stopping = EarlyStopping("loss", patience=1, min_delta=10.0)
    history = run.fit(9, stopping, Checkpoint(path))
    assert len(history) == 2
    assert len(load_checkpoint(path).extra["history"]["loss"]) == 2


def test_schedule_that_cannot_be_saved_is_said_before_the_training(path):
    class Halving:
        def __init__(self, optimizer):
            self.optimizer = optimizer

        def step(self):
            self.optimizer.lr /= 2

    run = Run()
    run.scheduler = Halving(run.optimizer)
    before = run.model.state_dict()
    with pytest.raises(TypeError, match="scheduler must have state_dict and load_state_dict to be saved; got <"):
        run.fit(1, Checkpoint(path))
    assert all(np.array_equal(before[name], array) for name, array in run.model.state_dict().items())


def test_bar_shows_the_epochs_done_before(path, capsys):
    pytest.importorskip("tqdm")
    Run().fit(2, Checkpoint(path))
    Run().fit(3, Checkpoint(path, resume=True), progress=True)
    shown = capsys.readouterr().err
    assert "2/3" in shown
    assert "3/3" in shown
    assert "1/3" not in shown


def test_callback_checks_its_arguments(path):
    with pytest.raises(ValueError, match="every must be at least 1; got 0"):
        Checkpoint(path, every=0)
    with pytest.raises(TypeError, match="every must be a whole number; got None"):
        Checkpoint(path, every=None)


def test_nothing_of_it_needs_a_real_file_name(tmp_path):
    # A path with everything that a shell or a zip would trip over.
    path = tmp_path / "net (2) ü.x"
    save_checkpoint(path, network())
    load_checkpoint(path).restore(network(2))
    assert zipfile.is_zipfile(io.BytesIO(path.read_bytes()))
