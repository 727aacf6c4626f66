"""Checkpoints: what comes back, what damaged files and wrong networks meet, and trainings that go on bit for bit."""

import io
import json
import os
import pickle
import signal
import subprocess
import sys
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
        generators = [g.bit_generator.state for _, g in self.model.named_generators()]
        return arrays, numbers, [*generators, self.rng.bit_generator.state]


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
    extra = {"epochs": np.int64(3), "loss": [np.float32(0.5), float("nan")], "sizes": (784, 32), "mean": np.ones(2)}
    save_checkpoint(path, network(), extra=extra)
    found = load_checkpoint(path).extra
    assert found.pop("loss")[0] == 0.5
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
    with pytest.raises(TypeError, match=r"extra must hold what JSON can; got \{3\}"):
        save_checkpoint(path, network(), extra={"epochs": {3}})
    assert path.read_bytes() == content


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


def test_resuming_another_network_is_an_error(path):
    Run().fit(1, Checkpoint(path))
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
