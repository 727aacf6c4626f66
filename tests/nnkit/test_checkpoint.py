"""Checkpoints: what is restored, which files and networks are rejected, and training that resumes bit for bit."""

import copy
import io
import json
import pickle
import reprlib
import struct
import threading
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

import nnkit
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
    """Return an untrained autoencoder behind layers that draw random numbers and one that keeps running statistics."""
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
GENERATORS = {kind.__name__: kind for kind in (np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64)}


class Run:
    """A training run and its parts, all made from one seed."""

    def __init__(self, seed=0, optimizer="Adam", scheduler="StepLR", generator="PCG64"):
        self.X = np.random.default_rng(9).uniform(size=(30, 4)).astype(np.float32)
        self.model = network(seed)
        self.optimizer = OPTIMIZERS[optimizer](self.model.parameters())
        self.scheduler = SCHEDULERS[scheduler](self.optimizer)
        self.rng = np.random.Generator(GENERATORS[generator](seed + 1))

    def fit(self, epochs, *callbacks, **options):
        return fit(
            self.model, MSELoss(), self.optimizer, self.X, self.X, epochs=epochs, batch_size=8, callbacks=callbacks,
            scheduler=self.scheduler, rng=self.rng, **options
        )  # fmt: skip

    def save(self, path, **options):
        save_checkpoint(path, self.model, self.optimizer, self.scheduler, rng=self.rng, **options)

    def restore(self, saved):
        saved = saved if isinstance(saved, nnkit.SavedState) else load_checkpoint(saved)
        saved.restore(self.model, self.optimizer, self.scheduler, rng=self.rng)

    def state(self):
        """Return everything that determines how training continues."""
        arrays = self.model.state_dict() | self.optimizer.state_dict()
        numbers = self.scheduler.state_dict() if self.scheduler else {}
        generators = [*(generator for _, generator in self.model.named_generators()), self.rng]
        return arrays, numbers, [plain("a state", generator.bit_generator.state) for generator in generators]


class Plateau:
    """A third-party schedule, unaware of nnkit; its `load_state_dict` can be made to fail."""

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


def check_rejected_unchanged(run, saved, match):
    before = copy.deepcopy(run)
    with pytest.raises(ValueError, match=match):
        run.restore(saved)
    check_same(run, before)


def check_resume_fails(run, path, match, epochs=5, **options):
    before = copy.deepcopy(run)
    with pytest.raises(ValueError, match=match):
        run.fit(epochs, Checkpoint(path, resume=True), **options)
    check_same(run, before)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.npz"


# Round trips


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_network_round_trips_exactly(dtype, path):
    run = Run(scheduler="none")
    run.model.astype(dtype)
    run.optimizer = Adam(run.model.parameters())
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
def test_resumed_training_matches_bit_for_bit(optimizer, scheduler, path):
    whole = Run(0, optimizer, scheduler)
    losses = [*whole.fit(3)["loss"], *whole.fit(4)["loss"]]
    first, untouched = Run(0, optimizer, scheduler), Run(0, optimizer, scheduler)
    first.save(path, extra={"a": 1})
    check_same(first, untouched)  # Saving changes nothing.
    first.fit(3)
    first.save(path)
    second = Run(7, optimizer, scheduler)  # A different seed: everything that matters must come from the file.
    second.restore(path)
    check_same(first, second)
    np.testing.assert_array_equal(second.fit(4)["loss"], losses[3:])
    check_same(whole, second)


@pytest.mark.parametrize("left_out", ["optimizer", "scheduler", "rng", "dropout"])
def test_resuming_without_any_part_changes_the_result(left_out, path):
    # Shows that the test above can fail.
    first, second = Run(0), Run(7)
    first.fit(3)
    first.save(path)
    parts = {"optimizer": second.optimizer, "scheduler": second.scheduler, "rng": second.rng}
    load_checkpoint(path).restore(second.model, **{name: part for name, part in parts.items() if name != left_out})
    if left_out == "dropout":
        second.model[1].decoder[2].rng.random()
    first.fit(4)
    second.fit(4)
    with pytest.raises(AssertionError):
        check_same(first, second)


def test_extra_round_trips_through_json(path):
    extra = {"epochs": np.int64(3), "loss": [np.float32(0.5), np.nan, -np.inf], "sizes": (784, 32), "mean": np.ones(2)}
    save_checkpoint(path, network(), extra=extra)
    found = load_checkpoint(path).extra
    np.testing.assert_array_equal(found.pop("loss"), [0.5, np.nan, -np.inf])
    assert b"NaN" not in path.read_bytes()  # Other JSON readers need not accept it.
    assert found == {"epochs": 3, "sizes": [784, 32], "mean": [1.0, 1.0]}
    save_checkpoint(path, network())
    assert load_checkpoint(path).extra == {}


def test_file_is_an_npz_of_plain_arrays_and_json(tmp_path):
    path = tmp_path / "net (2) ü"  # The path may lack a suffix, and may contain characters that are awkward in a shell.
    run = Run(scheduler="CosineLR")
    run.save(str(path))
    assert list(tmp_path.iterdir()) == [path]
    with np.load(path, allow_pickle=False) as npz:
        assert all(npz[name].dtype.kind in "fu" for name in npz.files)
        assert {name.split("/")[0] for name in npz.files} == {"model", "optimizer", "checkpoint.json"}
        record = json.loads(npz["checkpoint.json"].tobytes())
        np.testing.assert_array_equal(npz["model/1.encoder.0.weight"], run.model[1].encoder[0].weight.data)
    assert record["nnkit_checkpoint"] == 2
    saved = load_checkpoint(path)
    assert saved.saved_from == {"model": repr(run.model), "optimizer": "Adam", "scheduler": "CosineLR"}
    assert saved.path == path
    content = path.read_bytes()
    Run(scheduler="CosineLR").save(path)
    assert path.read_bytes() == content  # The same state gives the same bytes.


def test_weights_can_be_stored_at_half_the_size(path):
    run = Run()
    run.fit(2)
    save_checkpoint(path, run.model.astype(np.float16))
    other = network(5)
    load_checkpoint(path).restore(other)
    for name, array in other.state_dict().items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, run.model.state_dict()[name])


def test_restoring_only_weights_leaves_generators_alone(path):
    run, other = Run(), Run(3)
    run.fit(1)
    run.save(path)
    generators = other.state()[2]
    load_checkpoint(path).restore(other.model)
    assert other.state()[2] == generators


# Files that are not checkpoints, or no longer are


def check_rejected(path, reason=""):
    with pytest.raises(ValueError, match=rf"path must .*{reason}"):
        load_checkpoint(path)


def write_npz(path, members, **options):
    """Write an npz file from a dict of member names to bytes."""
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in members:
            archive.writestr(name, content)


def npy(array, version=(1, 0)):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version=version)
    return stream.getvalue()


def header(shape, dtype="<f4"):
    """Return the npy header of an array, without its data."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": False, "shape": shape})
    return stream.getvalue()


def record(**changed):
    """Return the JSON member of an empty checkpoint."""
    empty = {"nnkit_checkpoint": 2, "saved_from": {"model": "nothing"}, "states": {"model": {}}}
    return json_member(json.dumps(empty | {"generators": {}, "extra": {}} | changed).encode())


def json_member(text):
    return "checkpoint.json.npy", npy(np.frombuffer(text, np.uint8))


WEIGHT = "model/weight.npy"
ONES = npy(np.ones(3))


def test_non_archive_or_truncated_file_is_rejected(path):
    Run().save(path)
    content = path.read_bytes()
    cut_off = [content[:length] for length in {0, 1, 4, 100, *range(0, len(content), 197), len(content) - 1}]
    for wrong in (*cut_off, ONES, b"epoch,loss\n1,0.5\n"):
        path.write_bytes(wrong)
        check_rejected(path)


def test_corrupted_byte_is_detected_or_harmless(path):
    save_checkpoint(path, Linear(3, 2, rng=0), rng=np.random.default_rng(0), extra={"note": "kept"})
    content, expected = path.read_bytes(), load_checkpoint(path)
    refused, positions = 0, range(0, len(content), 3)
    for position in positions:
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
    assert refused > 0.5 * len(positions)


class Trap:
    """Leaves a trace if it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_pickles_are_never_loaded(path, tmp_path):
    trace = tmp_path / "trace"
    np.savez(path, **{"model/weight": np.array([Trap(trace)], dtype=object)})
    check_rejected(path)
    path.write_bytes(pickle.dumps(Trap(trace)))
    check_rejected(path)
    assert not trace.exists()
    pickle.loads(pickle.dumps(Trap(trace)))
    assert trace.exists()  # The trap does work when it is sprung.


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([(WEIGHT, ONES)], "checkpoint.json"),
        ([("checkpoint.json", b'{"nnkit_checkpoint": 2}')], ""),
        ([json_member(b'{"epochs": 3}')], "nnkit_checkpoint"),
        ([json_member(b"not JSON")], "JSON"),
        ([json_member(b'{"a": "' + b"x" * 2**24)], "16777216"),
        ([json_member(b'{"a": ' + b"[" * 200_000)], "nested"),
        ([record(nnkit_checkpoint=3)], "version 3"),
        ([record(nnkit_checkpoint=None)], "version None"),
        ([record(states=[])], ""),
        ([record(states={})], ""),
        ([record(saved_from={})], ""),
        ([record(), (WEIGHT, npy(np.ones(3), version=(2, 0)))], WEIGHT),
        ([record(), ("weight.npy", ONES)], "weight"),
        ([record(), ("optimizer/velocity.npy", ONES)], "optimizer"),
        *(
            ([record(), (WEIGHT, header((1,), dtype) + bytes(np.dtype(dtype).itemsize))], f"{WEIGHT}.*real numbers")
            for dtype in ("|O", "<U3", "|V0", "<c8")
        ),
    ],
    ids=lambda value: reprlib.repr(value)[:40],
)
def test_file_from_another_program_or_version_is_rejected(members, reason, path):
    write_npz(path, members)
    check_rejected(path, reason)


def test_version_1_weights_load_but_its_optimizers_are_rejected(path):
    write_npz(path, [record(nnkit_checkpoint=1), (WEIGHT, ONES)])
    np.testing.assert_array_equal(load_checkpoint(path).states["model"]["weight"], 1)
    parts = {"model": {}, "optimizer": {"lr": 0.1, "steps": 1}}
    write_npz(path, [record(nnkit_checkpoint=1, states=parts, saved_from={"model": "", "optimizer": "Adam"})])
    check_rejected(path, "version 1;.*save the model alone")


# Files that claim more than they hold


def check_rejected_in_little_memory(path, reason, most=2**21):
    tracemalloc.start()
    try:
        check_rejected(path, reason)
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


def test_compressed_members_are_rejected_before_decompression(path):
    zeros = (WEIGHT, npy(np.zeros(2**22, np.uint8)))
    write_npz(path, [record(), zeros], compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**14
    check_rejected_in_little_memory(path, rf"claim 419\d+ bytes of the file's {path.stat().st_size}")


def test_overlapping_members_are_rejected(path):
    # A thousand names for one member: together they claim more than the size of the file.
    write_npz(path, [record(), (WEIGHT, npy(np.ones(2**14)))])
    content = path.read_bytes()
    start, entry, end = content.index(b"PK\x01\x02"), content.rindex(b"PK\x01\x02"), content.rindex(b"PK\x05\x06")
    copies = b"".join(content[entry:end].replace(b"model/weight", b"model/%06d" % i) for i in range(1000))
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1001, 1001, entry - start + len(copies), start, 0)
    path.write_bytes(content[:entry] + copies + tail)
    check_rejected(path, rf"claim 131\d+ bytes of the file's {path.stat().st_size}")


@pytest.mark.parametrize("shape", [(2**40,), (10**6, 10**6), (4,), (2,), (-3,)])
def test_header_with_the_wrong_size_is_rejected_before_allocation(shape, path):
    write_npz(path, [record(), (WEIGHT, header(shape) + bytes(12))])
    check_rejected_in_little_memory(path, f"{WEIGHT}.*holds 12")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_duplicate_member_names_are_rejected(path):
    write_npz(path, [record(), (WEIGHT, ONES), (WEIGHT, ONES)])
    check_rejected(path, "same name")


# JSON with wrong or missing entries

MISSING = object()
WRONG = [MISSING, None, "x", -1, 1.5, {}, [None]]


def places(record, above=()):
    """Yield the path to every entry of a record, at every depth; in a list, only to its first entry."""
    items = record.items() if isinstance(record, dict) else list(enumerate(record))[:1]
    for name, value in items:
        yield (*above, name)
        if isinstance(value, (dict, list)):
            yield from places(value, (*above, name))


def change(record, place, wrong):
    *above, name = place
    for step in above:
        record = record[step]
    if wrong is MISSING:
        del record[name]
    else:
        record[name] = wrong


def could_be_right(place, wrong):
    """Return whether this entry looks wrong but could have been saved here."""
    number = type(wrong) in (int, float)
    return (
        (place == ("saved_from", "model") and wrong is not MISSING)  # It is only displayed.
        or (place == ("states", "model") and wrong == {})  # Its arrays are stored as separate members.
        or (place[-1] in ("lr", "base_lr") and wrong == 1.5)
        or (place[:2] == ("extra", "history") and number and type(place[-1]) is int)
    )


@pytest.mark.slow
def test_any_wrong_entry_raises_value_error_and_changes_nothing(path):
    run, other = Run(scheduler="CosineLR"), Run(3, scheduler="CosineLR")
    run.fit(2, Checkpoint(path))
    before = copy.deepcopy(other)
    with np.load(path) as npz:
        arrays = dict(npz)
    text = arrays.pop("checkpoint.json").tobytes()
    wrong_path = path.with_name("wrong.npz")
    every = list(places(json.loads(text)))
    assert len(every) > 30
    for place in every:
        for wrong in WRONG:
            if could_be_right(place, wrong):
                continue
            record = json.loads(text)
            change(record, place, wrong)
            np.savez(wrong_path, **arrays, **{"checkpoint.json": np.frombuffer(json.dumps(record).encode(), np.uint8)})
            with pytest.raises(ValueError, match=r"wrong\.npz"):
                other.fit(5, Checkpoint(wrong_path, resume=True))
    check_same(other, before)
    other.fit(2, Checkpoint(path, resume=True))  # The file itself was fine.
    check_same(other, run)


@pytest.mark.parametrize("kind", GENERATORS)
def test_invalid_generator_state_changes_nothing(kind, path):
    run, other = Run(generator=kind), Run(3, generator=kind)
    run.save(path)
    saved = load_checkpoint(path)
    right = saved.generators["rng"]
    changes = [(place, wrong) for place in places(right) for wrong in WRONG]
    changes += {
        "PCG64": [(("state", "state"), 2**200), (("bit_generator",), "SFC64"), (("more",), 1)],
        "MT19937": [
            (("state", "pos"), 10**6),
            (("state", "key"), [1] * 5),
            (("state", "key"), [1] * 625),
            (("state", "key"), [1.5] * 624),
        ],
        "Philox": [(("buffer_pos",), 10), (("buffer",), [1] * 5)],
        "SFC64": [],
    }[kind]
    before = copy.deepcopy(other)
    for place, wrong in changes:
        saved.generators["rng"] = copy.deepcopy(right)
        change(saved.generators["rng"], place, wrong)
        with pytest.raises(ValueError, match=r"generator 'rng' .*net\.npz"):
            other.restore(saved)
    check_same(other, before)
    check_rejected_unchanged(Run(3, generator="Philox" if kind == "PCG64" else "PCG64"), path, "generator 'rng'")
    other.restore(path)  # The file itself was fine.
    check_same(other, run)


@pytest.mark.parametrize("optimizer", ["RMSprop", "Adam", "AdamW"])
@pytest.mark.parametrize("wrong", [-1e-3, np.nan])
def test_negative_variances_and_mean_squares_are_rejected(optimizer, wrong, path):
    run = Run(optimizer=optimizer)
    run.fit(1)
    run.save(path)
    for part, name in (("model", "1.encoder.1.running_var"), ("optimizer", list(run.optimizer.state_dict())[-1])):
        saved = load_checkpoint(path)
        saved.states[part][name].flat[1] = wrong
        check_rejected_unchanged(Run(3, optimizer=optimizer), saved, rf"{part} must .*state\['{name}'\]")


# Third-party parts


@pytest.mark.parametrize("error", [KeyError("best"), RuntimeError("best"), IndexError()], ids=repr)
def test_third_party_part_that_fails_changes_nothing(error, path):
    run, other = Run(scheduler="none"), Run(3, scheduler="none")
    run.scheduler, other.scheduler = Plateau(), Plateau(error)
    run.fit(2, Checkpoint(path))
    check_rejected_unchanged(other, path, r"scheduler must .*net\.npz, Plateau; got <")
    check_resume_fails(other, path, "scheduler must ", epochs=3)


def test_third_party_part_is_restored_with_its_own_copy(path):
    run, other = Run(scheduler="none"), Run(3, scheduler="none")
    run.scheduler, other.scheduler = Plateau(), Plateau()
    run.fit(2, Checkpoint(path))
    other.scheduler.best = 0
    saved = load_checkpoint(path)
    for _ in range(2):  # It takes its state apart and keeps pieces of it.
        other.restore(saved)
        assert other.scheduler.state_dict() == {"best": float("inf"), "waited": 2, "rates": [0.1]}
        other.scheduler.rates.append(5)


def test_part_that_cannot_be_copied_is_named_and_changes_nothing(path):
    run, other = Run(scheduler="none"), Run(3, scheduler="none")
    run.scheduler, other.scheduler = Plateau(), Plateau()
    run.save(path)
    other.scheduler.lock = threading.Lock()
    before = other.model.state_dict()
    with pytest.raises(TypeError, match=r"scheduler must be .*lock"):
        other.restore(path)
    for name, array in other.model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_diverged_network_can_be_restored(path):
    run, other = Run(), Run(3)
    run.save(path)
    other.model[1].encoder[0].weight.data[:] = np.nan
    saved = load_checkpoint(path)
    saved.states["scheduler"]["epoch"] = None
    check_rejected_unchanged(other, saved, "scheduler must ")
    other.restore(path)
    check_same(run, other)


# Mismatched parts


@pytest.mark.parametrize(
    ("model", "match"),
    [
        (Sequential(Linear(4, 5, rng=0), ReLU(), Linear(5, 2, rng=0)), r"0\.weight"),
        (Linear(4, 3, rng=0), "missing .*weight"),
        (Sequential(Linear(4, 3, rng=0), BatchNorm1d(3)), "missing .*running_mean"),
    ],
)
def test_architecture_mismatch_reports_what_the_file_holds(model, match, path):
    kept = Sequential(Linear(4, 3, rng=0), ReLU(), Linear(3, 2, rng=0))
    save_checkpoint(path, kept)
    before = model.state_dict()
    with pytest.raises(ValueError, match=rf"(?s)model must .*net\.npz.*{match}") as caught:
        load_checkpoint(path).restore(model)
    assert repr(kept) in str(caught.value)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize(
    ("saved", "make", "match"),
    [
        ("Adam", lambda params: AdamW(params), "Adam; got AdamW"),  # Its state has the same names.
        ("Adam", lambda params: Adam(Linear(2, 2, rng=0).parameters()), r"Adam; got Adam.*state\["),
        ("momentum", lambda params: SGD(params, 0.1), "SGD; .*velocity"),
    ],
)
def test_optimizer_and_scheduler_must_match_in_class_and_size(saved, make, match, path):
    run = Run(optimizer=saved)
    run.save(path)
    run.optimizer = make(run.model.parameters())
    check_rejected_unchanged(run, path, f"optimizer must .*{match}")
    run = Run(optimizer=saved, scheduler="CosineLR")
    check_rejected_unchanged(run, path, "scheduler must .*StepLR; got CosineLR")


def test_part_that_was_not_saved_cannot_be_restored(path):
    run = Run()
    save_checkpoint(path, run.model)
    saved = load_checkpoint(path)
    for name in ("optimizer", "scheduler", "rng"):
        with pytest.raises(ValueError, match=rf"{name} .*net\.npz"):
            saved.restore(run.model, **{name: getattr(run, name)})


def test_generators_must_be_shared_as_they_were_when_saved(path):
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


def contains_itself():
    extra = {}
    extra["again"] = [extra]
    return extra


@pytest.mark.parametrize(
    ("extra", "error", "match"),
    [
        (5, TypeError, "extra must"),
        ([("a", 1)], TypeError, "extra must"),
        ({1: "one"}, TypeError, "extra must have strings as keys.*got 1"),
        ({"a": [{None: 1}]}, TypeError, r"extra\['a'\]\[0\] must have strings as keys"),
        ({"$float": "nan"}, TypeError, r"extra must .*\$float"),
        ({"a": {"b": 1j}}, TypeError, r"extra\['a'\]\['b'\] must .*complex"),
        ({"a": {3}}, TypeError, r"extra\['a'\] must .*set"),
        ({"a": np.array([object()])}, TypeError, r"extra\['a'\]\[0\] must"),
        (contains_itself(), RecursionError, "recursion"),
        ({"a": "x" * 2**24}, ValueError, "extra .* must .*16777216"),
    ],
    ids=lambda value: reprlib.repr(value)[:30],
)
def test_unserializable_extra_is_named_and_keeps_the_old_file(extra, error, match, path):
    save_checkpoint(path, network())
    content = path.read_bytes()
    with pytest.raises(error, match=match):
        save_checkpoint(path, network(), extra=extra)
    assert path.read_bytes() == content


@pytest.mark.parametrize("part", ["model", "optimizer"])
def test_non_finite_values_do_not_replace_the_file(part, path):
    run = Run()
    run.save(path)
    content = path.read_bytes()
    state = run.optimizer.state_dict()
    name = {"model": "1.encoder.0.weight", "optimizer": list(state)[-1]}[part]
    array = run.model[1].encoder[0].weight.data if part == "model" else getattr(run.optimizer, name)
    array.flat[2] = np.nan
    with pytest.raises(ValueError, match=f"{part}/{name} must be finite"):
        run.save(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "given",
    [{"model": 5}, {"model": Linear}, {"optimizer": 0.1}, {"optimizer": Adam}, {"scheduler": "cosine"}, {"rng": 3}],
)
def test_part_of_the_wrong_type_is_named(given, path):
    (name,) = given
    with pytest.raises(TypeError, match=f"{name} must"):
        save_checkpoint(path, **({"model": network()} | given))
    assert not path.exists()
    save_checkpoint(path, network())
    with pytest.raises(TypeError, match=f"{name} must"):
        load_checkpoint(path).restore(**({"model": network()} | given))


def test_unserializable_third_party_state_is_named(path):
    scheduler = Plateau()
    scheduler.rates = {0: 0.1}
    with pytest.raises(TypeError, match=r"scheduler\['rates'\] must"):
        save_checkpoint(path, network(), scheduler=scheduler)
    assert not path.exists()


def test_error_while_writing_leaves_only_the_old_file(path, monkeypatch):
    save_checkpoint(path, Linear(3, 2, rng=1))
    content = path.read_bytes()

    def torn(file, **arrays):
        file.write(b"half of it")
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez", torn)
    with pytest.raises(OSError, match="no space"):
        save_checkpoint(path, Linear(3, 2, rng=2))
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_missing_folder_or_file_raises(tmp_path):
    with pytest.raises(FileNotFoundError):
        save_checkpoint(tmp_path / "nowhere" / "net.npz", network())
    with pytest.raises(FileNotFoundError, match=r"net\.npz"):
        load_checkpoint(tmp_path / "net.npz")


# The Checkpoint callback


class Stop(Callback):
    """A power cut after an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, state):
        if state.epoch == self.epoch:
            raise KeyboardInterrupt


@pytest.mark.parametrize(("every", "cuts"), [(1, [3]), (2, [5]), (3, [1, 4]), (1, [1, 2, 6]), (1, [7])])
@pytest.mark.parametrize("scheduler", ["none", "CosineLR"])
def test_interrupted_training_matches_uninterrupted_training_bit_for_bit(scheduler, every, cuts, path):
    whole = Run(scheduler=scheduler)
    expected = whole.fit(7, validation_data=(whole.X, whole.X))
    for cut in (*cuts, None):
        # Until something has been saved, the call starts over and needs the same seed; after that it does not.
        run = Run(50 + (cut or 0) if path.exists() else 0, scheduler=scheduler)
        callbacks = [Checkpoint(path, every, resume=True)]
        if cut:
            with pytest.raises(KeyboardInterrupt):
                run.fit(7, *callbacks, Stop(cut), validation_data=(run.X, run.X))
    history = run.fit(7, *callbacks, validation_data=(run.X, run.X))
    check_same(run, whole)
    for name in ("loss", "val_loss"):
        np.testing.assert_array_equal(history[name], expected[name])
    assert len(history["seconds"]) == 7
    assert history.stop_reason == "all 7 epochs done"


def test_finished_training_is_not_repeated(path):
    first = Run()
    history = first.fit(3, Checkpoint(path))
    other = Run(4)
    again = other.fit(3, Checkpoint(path, resume=True))
    check_same(first, other)
    for name in ("loss", "seconds"):
        np.testing.assert_array_equal(again[name], history[name])
    longer = other.fit(5, Checkpoint(path, resume=True))
    assert len(longer["loss"]) == 5
    np.testing.assert_array_equal(longer["loss"][:3], history["loss"])


def test_without_resume_training_starts_over_and_replaces_the_file(path):
    Run(3).fit(5, Checkpoint(path))
    first, plain = Run(), Run()
    history = first.fit(2, Checkpoint(path))
    plain.fit(2)
    check_same(first, plain)
    saved = load_checkpoint(path)
    assert saved.extra == {"history": {name: history[name].tolist() for name in ("loss", "seconds")}}
    restored = Run(8)
    restored.restore(saved)
    check_same(restored, first)


def test_each_save_holds_the_state_after_its_epoch(tmp_path):
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


def test_seed_passed_to_fit_is_saved_as_its_generator(path):
    def train(epochs, seed, *callbacks):
        model = Linear(4, 4, rng=0)
        X, optimizer = Run().X, SGD(model.parameters(), 0.1)
        fit(model, MSELoss(), optimizer, X, X, epochs=epochs, batch_size=8, callbacks=callbacks, rng=seed)
        return model.weight.data

    whole = train(4, 3)
    train(2, 3, Checkpoint(path))
    np.testing.assert_array_equal(train(4, 8, Checkpoint(path, resume=True)), whole)


@pytest.mark.parametrize(
    "extra",
    [
        {}, {"history": None}, {"history": []}, {"history": {}}, {"history": {"loss": [0.5]}},
        {"history": {"loss": [], "seconds": []}}, {"history": {"loss": 0.5, "seconds": 0.1}},
        {"history": {"loss": [0.5, None], "seconds": [0.1, 0.1]}}, {"history": {"loss": ["x"], "seconds": [0.1]}},
        {"history": {"loss": [0.5, 0.4], "seconds": [0.1]}}, {"history": {"loss": [[0.5]], "seconds": [[0.1]]}},
    ],
)  # fmt: skip
def test_resuming_without_a_usable_history_fails_and_changes_nothing(extra, path):
    Run().save(path, extra=extra)
    check_resume_fails(Run(3), path, r"net\.npz")


def test_history_with_other_metrics_changes_nothing(path):
    def undefined(pred, target):
        return float("nan")

    run, other = Run(), Run(3)
    options = {"metrics": {"undefined": undefined}, "validation_data": (run.X, run.X)}
    run.fit(2, Checkpoint(path), **options)
    more = options | {"metrics": {"undefined": undefined, "other": undefined}}
    for given in (more, options | {"metrics": None}, options | {"validation_data": None}, {}):
        check_resume_fails(other, path, r"metrics and validation_data .*net\.npz", **given)
    history = other.fit(3, Checkpoint(path, resume=True), **options)
    np.testing.assert_array_equal(history["undefined"], [np.nan] * 3)  # A history may hold NaN.
    for name in ("loss", "seconds", "val_loss", "val_undefined"):
        assert len(history[name]) == 3


def test_scheduler_must_be_given_again_if_and_only_if_it_was_saved(path):
    Run(scheduler="StepLR").fit(2, Checkpoint(path))
    check_resume_fails(Run(3, scheduler="none"), path, r"scheduler must be the StepLR that .*net\.npz")
    Run(scheduler="none").fit(2, Checkpoint(path))
    check_resume_fails(Run(3), path, r"scheduler must .*net\.npz")


def test_file_with_more_epochs_than_requested_changes_nothing(path):
    Run().fit(4, Checkpoint(path))
    check_resume_fails(Run(3), path, r"epochs must be at least the 4 .*; got 3", epochs=3)


@pytest.mark.filterwarnings("ignore::nnkit.DivergenceWarning")
def test_divergence_does_not_replace_the_last_good_file(path):
    run = Run(optimizer="SGD", scheduler="none")
    run.fit(2, Checkpoint(path))
    content = path.read_bytes()
    run.optimizer.lr = 1e30
    history = run.fit(5, Checkpoint(path))
    assert history.stop_reason.startswith("diverged")
    assert path.read_bytes() == content


def test_unsavable_schedule_is_rejected_before_training(path):
    class Halving:
        def step(self):
            pass

    run = Run()
    run.scheduler = Halving()
    before = run.model.state_dict()
    with pytest.raises(TypeError, match="scheduler must"):
        run.fit(1, Checkpoint(path))
    assert all(np.array_equal(before[name], array) for name, array in run.model.state_dict().items())


def test_progress_bar_includes_earlier_epochs(path, capsys):
    pytest.importorskip("tqdm")
    Run().fit(2, Checkpoint(path))
    Run().fit(3, Checkpoint(path, resume=True), progress=True)
    shown = capsys.readouterr().err
    assert "2/3" in shown
    assert "3/3" in shown
    assert "1/3" not in shown


@pytest.mark.parametrize(("every", "error"), [(0, ValueError), (None, TypeError)])
def test_callback_validates_its_arguments(every, error, path):
    with pytest.raises(error, match="every must"):
        Checkpoint(path, every=every)
