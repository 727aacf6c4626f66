"""The experiments: results state their origin, single runs are reproducible, and files are written whole."""

from __future__ import annotations

import importlib
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nnkit as nn
from book.experiments import (
    autoencoder_baselines,
    autoencoder_deep,
    autoencoder_grid,
    autoencoder_narrow,
    autoencoder_starts,
    autoencoder_training,
    denoising,
    latent_codes,
    latent_maps,
    latent_pca,
    latent_walks,
    mnist_best,
    mnist_classifier,
    mnist_grid,
    mnist_max_norm,
    mnist_regularization,
    mnist_sweeps,
    nearest_neighbours,
    short_runs,
    svm_features,
    svm_gamma,
    svm_learning_curve,
    svm_script,
    xor_activations,
    xor_quadrants,
    xor_seeds,
)
from book.experiments.shared import autoencoders, mnist, pictures, runs
from book.experiments.shared.mnist import network as mnist_network
from lab import results
from lab.answers import answers
from lab.results import load_result, load_store
from lab.sweep import load_rows
from tests.book.test_rules import RAN_WITHOUT_RULES

BOOK = Path(__file__).resolve().parents[2] / "book"
NAMES = sorted(path.stem for path in (BOOK / "experiments").glob("[!_]*.py"))
PROVENANCE = {"command", "commit", "data", "date", "nnkit", "processor", "seconds", "seeds", "versions"}
RULES = {"rules", "rules_commit"}  # test_rules says which results have none yet.

# Until these have run again. The lists only become shorter: a name that no longer belongs there is a failure.
NOT_YET_RUN: set[str] = set()
"""Experiments without a result."""

BEING_RERUN = {
    *("autoencoder_grid", "denoising", "latent_codes", "latent_walks"),
    *("mnist_best", "nearest_neighbours", "svm_learning_curve"),
}
"""Experiments whose plan has grown since their result, which holds a part of it."""


def test_experiments_and_results_correspond():
    there = {path.stem for path in (BOOK / "results").glob("*.json*")}
    assert there == set(NAMES) - NOT_YET_RUN


def cells_of(parts):
    return [cell for cells in parts.values() for cell in cells]


def product(grid):
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


# For each experiment whose result is a sweep's store: the cells and their seeds.
SWEPT = {
    "autoencoder_deep": [(autoencoder_deep.CELLS, autoencoder_deep.SEEDS)],
    "autoencoder_grid": [(product(autoencoder_grid.GRID), autoencoder_grid.SEEDS)],
    "autoencoder_narrow": [(product(autoencoder_narrow.GRID), autoencoder_narrow.SEEDS)],
    "autoencoder_starts": [(product(autoencoder_starts.GRID), autoencoder_starts.SEEDS)],
    "autoencoder_training": [(list(autoencoder_training.CELLS.values()), autoencoder_training.SEEDS)],
    "denoising": [(product({"method": [*denoising.METHODS, *denoising.READERS]}), denoising.SEEDS)],
    "latent_codes": [([cell], seeds) for cell, seeds in latent_codes.CELLS],
    "latent_maps": [([cell], seeds) for cell, seeds in latent_maps.CELLS],
    "latent_pca": latent_pca.CELLS,
    "latent_walks": latent_walks.CELLS,
    "mnist_best": [(list(mnist_best.STEPS.values()), mnist_best.SEEDS)],
    "mnist_grid": [(product(mnist_grid.GRID), mnist_grid.SEEDS)],
    "mnist_max_norm": [(product(mnist_max_norm.GRID), mnist_max_norm.SEEDS)],
    "mnist_regularization": [
        (
            product({"n": mnist_regularization.EPOCHS, "method": mnist_regularization.METHODS}),
            mnist_regularization.SEEDS,
        )
    ],
    "mnist_sweeps": [
        (cells_of(mnist_sweeps.FIGURES), mnist_sweeps.SEEDS),
        (cells_of(mnist_sweeps.FAIR), mnist_sweeps.FAIR_SEEDS),
    ],
    "nearest_neighbours": [(product(nearest_neighbours.GRID), nearest_neighbours.SEEDS)],
    "svm_features": [([cell], seeds) for cell, seeds in svm_features.CELLS],
    "svm_gamma": [(product(svm_gamma.GRID), svm_gamma.SEEDS)],
    "svm_learning_curve": [([cell], seeds) for cell, seeds in svm_learning_curve.CELLS],
    "svm_script": [([cell], seeds) for cell, seeds in svm_script.CELLS],
}
RECORDED = [name for name in NAMES if name not in SWEPT]

# Starts each experiment as its command does, up to sending the function to its workers; prints it as text instead.
_SEND = """
import base64, runpy, sys
from joblib.externals.loky.backend.reduction import dumps
import nnkit
from lab import sweep

load = nnkit.load_mnist
nnkit.load_mnist = lambda: load(fallback=True)

def send(train, runs, n_jobs, backend):
    print(sys.modules["__main__"].__spec__.name, base64.b64encode(dumps(train)).decode())
    raise SystemExit

sweep._outcomes = send
for name in sys.argv[1:]:
    try:
        runpy.run_module(f"book.experiments.{name}", run_name="__main__", alter_sys=True)
    except SystemExit:
        pass
"""
# A worker, which knows only what it was sent.
_RECEIVE = """
import base64, pickle, sys

for line in sys.stdin:
    name, sent = line.split()
    assert callable(pickle.loads(base64.b64decode(sent))), name
    print(name)
"""


@pytest.mark.slow
def test_workers_can_unpickle_what_each_experiment_sends(tmp_path):
    (tmp_path / "weights").symlink_to(BOOK / "results" / "weights")
    environment = os.environ | {"NNKIT_RESULTS": str(tmp_path)}
    start = {"capture_output": True, "text": True, "cwd": BOOK.parent, "env": environment, "check": False}
    sent = subprocess.run([sys.executable, "-c", _SEND, *SWEPT], **start)
    assert sent.returncode == 0, sent.stderr
    read = subprocess.run([sys.executable, "-c", _RECEIVE], input=sent.stdout, **start)
    assert read.returncode == 0, read.stderr
    assert read.stdout.split() == [f"book.experiments.{name}" for name in SWEPT]


@pytest.mark.parametrize("name", RECORDED)
def test_result_states_its_origin(name):
    result = load_result(name)
    provenance = result["provenance"]
    assert set(provenance) - RULES == PROVENANCE
    assert provenance["command"] == f"python -m book.experiments.{name}"
    assert "changes" not in provenance["commit"]
    assert provenance["seeds"] == [row["seed"] for row in result["rows"]]
    planned = json.loads(json.dumps(importlib.import_module(f"book.experiments.{name}").SETUP))
    assert result["setup"] == planned
    assert (BOOK / "results" / f"{name}.json").stat().st_size < 600_000


@pytest.mark.slow
def test_xor_seeds_run_is_reproducible():
    for row in load_result("xor_seeds")["rows"][::700]:
        again = xor_seeds.train(row["width"], row["seed"])
        # The last digits differ between processors, and 5,000 epochs amplify small differences.
        assert again["solved"] == row["solved"]
        assert np.isclose(again["initial_loss"], row["initial_loss"], atol=1e-4)
        assert np.isclose(again["final_loss"], row["final_loss"], rtol=0.05)


def test_solved_xor_runs_classify_all_four_points():
    _, y = nn.make_xor()
    for row in load_result("xor_seeds")["rows"]:
        assert row["solved"] == bool(((np.array(row["predictions"]) > 0.5) == y).all())


def test_quadrants_curves_have_the_length_given_in_the_setup():
    for row in load_result("xor_quadrants")["rows"]:
        assert len(row["loss"]) == len(row["accuracy"]) == 256 // xor_quadrants.EVERY


def test_classifier_matches_the_chapter():
    rows = load_result("mnist_classifier")["rows"]
    final = np.array([row["test_accuracy"][-1] for row in rows])
    assert len(rows) == 25
    assert np.median(final[:5]) >= 0.970
    for row in rows:
        confusion = np.array(row["confusion"])
        assert confusion.sum() == 10_000
        assert np.isclose(np.trace(confusion) / 10_000, row["test_accuracy"][-1])
        assert len(set(row["misread"])) == 10_000 - np.trace(confusion)


def test_classifier_calibration_agrees_with_its_curves_and_confusions():
    for row in load_result("mnist_classifier")["rows"]:
        trained, scaled = row["calibration"]["as trained"], row["calibration"]["scaled"]
        for bins in (trained, scaled):
            # Dividing all logits by one number does not change the predictions.
            assert sum(bins["n_correct"]) == np.trace(row["confusion"])
            assert sum(bins["count"]) == 10_000
            gaps = np.subtract(bins["n_correct"], bins["confidence_sum"])
            assert np.isclose(np.abs(gaps).sum() / 10_000, bins["calibration_error"], atol=1e-5)
        assert trained["loss"] == row["test_loss"][-1]
        assert trained["calibration_error"] == row["test_calibration_error"][-1]
        assert np.isclose(sum(trained["confidence_sum"]) / 10_000, row["test_mean_confidence"][-1], atol=1e-5)
        # A temperature above 1 makes a network less confident, below 1 more confident.
        assert (row["temperature"] > 1) == (sum(scaled["confidence_sum"]) < sum(trained["confidence_sum"]))


def test_temperature_minimizes_the_loss():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(300, 4))
    y = np.array([rng.choice(4, p=p) for p in nn.softmax(logits)])
    best = mnist_classifier.best_temperature(3 * logits, y)
    losses = [nn.CrossEntropyLoss()(3 * logits / t, y) for t in (best, 0.98 * best, 1.02 * best)]
    assert min(losses) == losses[0]
    assert 2 < best < 4.5  # The labels were drawn with the probabilities of a third of these logits.


def test_record_writes_rows_and_provenance(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    data = nn.Dataset(*[np.zeros(1)] * 4, name="none")
    path = runs.record("trial", lambda: [{"seed": 4, "value": 1.5}], setup={"lr": 0.1}, data=data)
    result = json.loads(path.read_text(encoding="utf-8"))
    assert result["rows"] == [{"seed": 4, "value": 1.5}]
    assert result["setup"] == {"lr": 0.1}
    assert result["provenance"]["seeds"] == [4]
    assert result["provenance"]["data"]["name"] == "none"
    assert [file.name for file in tmp_path.iterdir()] == ["trial.json"]


def test_failed_experiment_keeps_the_old_result(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    (tmp_path / "trial.json").write_text("old", encoding="utf-8")

    def fail():
        raise RuntimeError("by hand")

    with pytest.raises(RuntimeError, match="by hand"):
        runs.record("trial", fail, setup={})
    assert (tmp_path / "trial.json").read_text(encoding="utf-8") == "old"


@pytest.mark.parametrize("ran", ["0123456789ab with changes", "unknown", "0123456789ab"])
def test_running_uncommitted_code_warns_first(ran, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    monkeypatch.setattr(runs, "commit", lambda: ran)
    said = []
    runs.record("trial", lambda: said.append(capsys.readouterr().err) or [], setup={})
    assert said == [""] if ran == "0123456789ab" else f"{ran!r}, which the tests will refuse" in said[0]


def test_runs_are_returned_in_seed_order():
    assert runs.over_seeds(lambda seed: {"square": seed**2}, range(5)) == [
        {"seed": seed, "square": seed**2} for seed in range(5)
    ]


@pytest.mark.slow
def test_xor_activations_run_is_reproducible():
    for row in load_result("xor_activations")["rows"][150::900]:
        again = xor_activations.train(row["activation"], row["width"], row["seed"])
        assert again["solved"] == row["solved"]
        assert np.isclose(again["final_loss"], row["final_loss"], rtol=0.05, atol=1e-4)


def test_short_runs_are_reproducible():
    rows = load_result("short_runs")["rows"]
    assert [(row["case"], row["seed"]) for row in rows] == [
        (case, seed) for case in short_runs.CASES for seed in range(short_runs.SETUP["runs"])
    ]
    for case, train in list(short_runs.CASES.items())[:3]:
        stored = next(row for row in rows if (row["case"], row["seed"]) == (case, 3))
        for name, value in train(3).items():
            assert np.isclose(stored[name], value, rtol=0.02, atol=0.01), (case, name)


@pytest.mark.parametrize("name", sorted(set(SWEPT) - NOT_YET_RUN))
def test_store_holds_exactly_the_planned_runs(name):
    module = importlib.import_module(f"book.experiments.{name}")
    expected = {(json.dumps(cell), seed) for cells, seeds in SWEPT[name] for cell in cells for seed in seeds}
    rows = load_rows(module.STORE)
    there = [(json.dumps(row["config"]), row["seed"]) for row in rows]
    assert len(there) == len(set(there))
    for row in rows:
        assert "error" not in row
        assert "changes" not in row["result"]["commit"]
        assert row["result"]["processor"]
    setup = json.loads(module.STORE.read_text(encoding="utf-8").partition("\n")[0])["setup"]
    assert "mnist" in setup.values()
    planned = json.loads(json.dumps(module.SETUP))
    if name in BEING_RERUN:
        assert set(there) < expected
        assert all(setup[key] == planned[key] for key in planned.keys() & setup.keys())
    else:
        assert set(there) == expected
        assert setup.items() >= planned.items()


def read_at(kind, level):
    place = denoising.LEVELS[kind].index(level)
    return lambda row: row[kind]["accuracy"][place]


# What each row says it gets right, and how many of the test digits that is.
ANSWERS = {
    "denoising": {f"right, {kind} {level:g}": read_at(kind, level) for kind, level in denoising.COMPARED},
    "latent_codes": {"right": lambda row: row["accuracy"][4]},
    "mnist_best": {"right": lambda row: row["test_accuracy"][-1]},
    "mnist_classifier": {"right": lambda row: row["test_accuracy"][-1]},
    "mnist_max_norm": {"right": lambda row: row["test_accuracy"]},
    "mnist_regularization": {"right": lambda row: row["test_accuracy"]},
    "mnist_sweeps": {"right": lambda row: row["test_accuracy"][-1]},
    "nearest_neighbours": {"right": lambda row: row["accuracy"][0]},
    "svm_features": {"right": lambda row: row["accuracy"]},
    "svm_learning_curve": {"right": lambda row: row["accuracy"]},
}


@pytest.mark.parametrize("name", sorted(set(ANSWERS) - NOT_YET_RUN))
def test_answers_agree_with_the_accuracy(name):
    rows = load_result(name)["rows"] if name in RECORDED else [row["result"] for row in load_store(name, quiet=True)]
    for key, accuracy in ANSWERS[name].items():
        if name in RAN_WITHOUT_RULES and not any(key in row for row in rows):
            continue  # It ran before rows had answers, and before they had rules.
        right = answers(rows, name, key=key)
        assert right.shape[1] == (14_000 if name == "svm_features" else 10_000)
        assert np.allclose(right.mean(axis=1), [accuracy(row) for row in rows], atol=5.1e-5)


def test_results_are_small():
    sizes = [path.stat().st_size for path in (BOOK / "results").rglob("*") if path.is_file()]
    assert max(sizes) < 1_500_000
    assert sum(sizes) < 25_000_000


def test_sweep_curves_are_complete():
    for row in load_rows(mnist_sweeps.STORE):
        for name in ("loss", "accuracy", "val_loss", "val_accuracy", "test_loss", "test_accuracy", "seconds"):
            assert len(row["result"][name]) == mnist_sweeps.SETUP["epochs"], (row["config"], row["seed"])


def test_sweep_figures_share_the_network_of_figure_five():
    assert cells_of(mnist_sweeps.FIGURES).count(mnist_sweeps.BASE) == 3
    assert cells_of(mnist_sweeps.FAIR).count(mnist_sweeps.BASE) == 3


@pytest.mark.usefixtures("mnist")
def test_sweep_run_is_reproducible(monkeypatch):
    monkeypatch.setitem(mnist_sweeps.SETUP, "epochs", 2)
    again = mnist_sweeps.train(**mnist_sweeps.BASE, seed=3)
    stored = next(
        row for row in load_rows(mnist_sweeps.STORE) if row["config"] == mnist_sweeps.BASE and row["seed"] == 3
    )
    # The last digits differ between processors, and a thousand steps amplify the difference slightly.
    assert np.allclose(again["val_loss"], stored["result"]["val_loss"][:2], rtol=0.03)
    assert np.allclose(again["test_accuracy"], stored["result"]["test_accuracy"][:2], atol=0.004)


def test_network_places_dropout_and_batch_norm_as_documented():
    rng = np.random.default_rng(0)
    plain = mnist.network([16, 16], rng, activation="Tanh")
    assert [type(module).__name__ for module in plain] == ["Linear", "Tanh", "Linear", "Tanh", "Linear"]
    full = mnist.network([16], rng, dropout=(0.2, 0.5), batch_norm=True)
    assert [type(module).__name__ for module in full] == [
        "Dropout", "Linear", "BatchNorm1d", "ReLU", "Dropout", "Linear"
    ]  # fmt: skip
    assert [module.p for module in full if isinstance(module, nn.Dropout)] == [0.2, 0.5]


def test_each_step_to_the_best_network_changes_one_thing():
    steps = list(mnist_best.STEPS.values())
    for before, after in itertools.pairwise(steps):
        assert sum(before[name] != after[name] for name in before) == 1


WEIGHTS = sorted(autoencoders.WEIGHTS.glob("*.npz"))


def test_stored_weights_are_small_and_match_what_chapters_load():
    kept = {"autoencoder", "autoencoder_published", "denoiser", "latent_4"}
    # One of chapter 6's networks, from when its experiment has run again, with its rules.
    kept |= set() if "mnist_classifier" in RAN_WITHOUT_RULES else {"mnist_classifier"}
    # The encoder of each network that was trained as report B's; one by one while these runs come.
    ran = [row["seed"] for row in load_rows(autoencoder_training.STORE) if row["config"] == autoencoder_training.AS_RUN]
    kept |= {f"encoder_published_{seed}" for seed in ran}
    assert {path.stem for path in WEIGHTS} == kept
    assert sum(path.stat().st_size for path in WEIGHTS) <= 8_000_000


@pytest.mark.parametrize("path", WEIGHTS, ids=lambda path: path.stem)
def test_stored_weights_state_their_origin(path):
    saved = nn.load_checkpoint(path)  # It never unpickles.
    assert "changes" not in saved.extra["commit"]
    assert saved.extra["seed"] == int(path.stem.rpartition("_")[2] if path.stem.startswith("encoder") else 0)
    assert all(array.dtype == np.float16 for array in saved.states["model"].values())


@pytest.mark.parametrize("name", ["autoencoder", "autoencoder_published"])
def test_stored_weights_reproduce_the_stored_error(name, mnist):
    X, y = autoencoders.pooled(mnist)
    X = X[autoencoders.split_indices(y)[2]]
    model = nn.Autoencoder.symmetric(autoencoder_training.SIZES, rng=0, logits=True).astype(np.float16)
    saved = nn.load_checkpoint(autoencoders.WEIGHTS / f"{name}.npz")
    saved.restore(model)
    row = next(
        row
        for row in load_rows(autoencoder_training.STORE)
        if row["config"] == saved.extra["config"] and row["seed"] == saved.extra["seed"]
    )
    error = autoencoders.errors_of(model.astype(np.float32).reconstruct(X), X).mean()
    assert np.isclose(error, row["result"]["test"]["mse"], rtol=1e-3)


@pytest.mark.skipif("mnist_classifier" in RAN_WITHOUT_RULES, reason="from when its experiment has run again")
def test_kept_classifier_reads_what_its_row_says(mnist):
    model = mnist_network([64, 32], np.random.default_rng(0)).astype(np.float16)
    nn.load_checkpoint(autoencoders.WEIGHTS / "mnist_classifier.npz").restore(model)
    predicted = nn.predicted_classes(nn.predict(model.astype(np.float32), mnist.X_test))
    right = answers(load_result("mnist_classifier")["rows"][:1], "mnist_classifier")[0]
    # Half precision may turn a few answers that were close.
    assert np.mean((predicted == mnist.y_test) == right) > 0.998


def test_live_units_are_counted_behind_activations_and_in_the_code():
    encoder = nn.Autoencoder.symmetric([3, 4, 2], rng=0).encoder
    X = np.random.default_rng(0).standard_normal((50, 3)).astype(np.float32)
    encoder[0].weight.data[:] = np.abs(encoder[0].weight.data)
    encoder[0].bias.data[:] = [-100, 100, 0, 0]  # never active, always active, sometimes
    assert autoencoders.live_units(encoder, X) == [3, 2]
    encoder[2].weight.data[:, 1] = 0
    assert autoencoders.live_units(encoder, X) == [3, 1]


def test_pictures_round_trip_through_text():
    shown = np.random.default_rng(0).random((3, 784))
    again = pictures.from_text(pictures.as_text(shown))
    assert again.shape == (3, 784)
    assert np.abs(again - shown).max() <= 0.5 / 255 + 1e-6


def test_split_of_report_b_uses_each_digit_once():
    for n, lengths in ((70_000, (50_400, 5_600, 14_000)), (1797, (1294, 143, 360))):
        y = np.random.default_rng(0).integers(0, 10, n)
        parts = autoencoders.split_indices(y)
        assert tuple(map(len, parts)) == lengths
        assert len(np.unique(np.concatenate(parts))) == n
        shares = [np.bincount(y[part]) / len(part) for part in (parts[2], np.concatenate(parts[:2]))]
        assert np.abs(shares[0] - shares[1]).max() < 0.005  # stratified


def test_baselines_agree_with_pca_and_the_loss():
    rows = {row["reconstruction"]: row for row in load_result("autoencoder_baselines")["rows"]}
    split = next(row for row in load_result("autoencoder_pca")["rows"] if row["split"] == "without validation digits")
    assert np.isclose(rows["mean"]["test_mse"], split["test_mse"][0], rtol=1e-4)
    for size in autoencoder_baselines.SETUP["sizes"]:
        row = rows[f"PCA {size}"]
        assert np.isclose(row["test_mse"], split["test_mse"][size], rtol=1e-4)
        assert row["test_mse_clipped"] < row["test_mse"]
    assert rows["itself"]["test_mse"] == 0
    assert 0 < rows["itself"]["test_cross_entropy"] < rows["mean"]["test_cross_entropy"] < np.log(2)


def test_pixel_cross_entropy_matches_the_loss_even_for_black_and_white_pixels():
    rng = np.random.default_rng(0)
    logits, y = rng.normal(size=(2, 5, 7))
    y = np.clip(y, 0, 1)
    measured = autoencoder_baselines.cross_entropy(1 / (1 + np.exp(-logits)), y)
    assert np.isclose(measured, nn.BCEWithLogitsLoss()(logits, y))
    assert autoencoder_baselines.cross_entropy(np.array([0.0, 1.0]), np.array([[0.0, 1.0]])) == 0
    half = np.full((2, 3), 0.5)
    assert np.isclose(autoencoder_baselines.cross_entropy(half, half), np.log(2))
