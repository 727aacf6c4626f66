"""The benchmark: contestants train the same network, verdicts are correct, and the README shows the results."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re

import numpy as np
import pytest

import nnkit as nn
from benchmarks import __main__ as bench
from benchmarks import cases, contestants, frameworks, knn, memory, report, shares, sizes, svm, threads, verdicts
from benchmarks.cases import BASE
from benchmarks.contestants import OWN
from benchmarks.verdicts import FLOOR, Limit
from book.experiments import mnist_sweeps
from book.experiments.shared import mnist
from book.frameworks import LIBRARIES, TASKS, compared
from lab.verdicts import ratio

TORCH = ["PyTorch eager", "PyTorch lean", "PyTorch fused"]
SMALL = BASE | {"hidden": [32, 16], "batch_size": 32, "lr": 0.003}


@pytest.fixture(scope="module")
def data():
    """Ten classes from a noisy linear rule over a few pixels, so that every training reaches about the same loss."""
    rng = np.random.default_rng(0)
    X = np.zeros((2000, 784), np.float32)
    X[:, :20] = rng.standard_normal((2000, 20))
    y = (X[:, :20] @ rng.standard_normal((20, 10)) + 1.5 * rng.gumbel(size=(2000, 10))).argmax(axis=1)
    return nn.Dataset(X, y, X, y, name="made up")


def trained(name, cell, data, epochs=6):
    if name in TORCH:
        pytest.importorskip("torch")
    return contestants.ALL[name](cell)(data.X_train, data.y_train, epochs)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*TORCH, "scikit-learn"])
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"activation": "Sigmoid", "lr": 0.01},
        {"activation": "Tanh", "optimizer": "SGD", "lr": 0.1},
        {"optimizer": "SGD with momentum 0.9", "lr": 0.02},
        {"hidden": [48, 48], "batch_size": 64},
    ],
    ids=str,
)
def test_contestants_train_the_same_network_to_about_the_same_loss(name, change, data):
    cell = SMALL | change
    own, other = trained(OWN, cell, data), trained(name, cell, data)
    assert other.n_parameters == own.n_parameters
    # The sample order differs, and so does scikit-learn's initialization.
    assert abs(other.loss / own.loss - 1) < (0.08 if name == "scikit-learn" else 0.03)
    assert own.loss < 1.4  # Guessing gives ln 10.
    assert other.seconds > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", [OWN, *TORCH, "scikit-learn"])
def test_every_contestant_uses_the_momentum_and_learning_rate(name, data):
    slow = SMALL | {"optimizer": "SGD", "lr": 0.005}
    loss = trained(name, slow, data).loss
    assert trained(name, slow | {"optimizer": "SGD with momentum 0.9"}, data).loss < loss - 0.1
    assert trained(name, slow | {"lr": 0.02}, data).loss < loss - 0.1


@pytest.mark.parametrize("name", [OWN, *TORCH, "scikit-learn"])
def test_each_call_starts_from_scratch(name, data):
    if name in TORCH:
        pytest.importorskip("torch")
    train = contestants.ALL[name](SMALL)
    assert train(data.X_train, data.y_train, 2).loss == train(data.X_train, data.y_train, 2).loss


def test_floor_multiplies_the_matrices_of_the_same_network(data, monkeypatch):
    flops = []

    class Counted(np.ndarray):
        def __matmul__(self, other):
            flops.append(self.shape[0] * self.shape[1] * other.shape[1])
            return np.asarray(self) @ np.asarray(other)

    monkeypatch.setattr(np.random, "default_rng", lambda seed: _CountedDraws(Counted))
    train = contestants.bare_products(SMALL)
    train(data.X_train.view(Counted), data.y_train, 1)
    n_steps = 2000 // 32
    forward = 32 * (784 * 32 + 32 * 16 + 16 * 10)
    assert sum(flops) == n_steps * (3 * forward - 32 * 784 * 32)


class _CountedDraws:
    def __init__(self, kind):
        self.kind = kind

    def standard_normal(self, shape):
        return np.ones(shape).view(self.kind)


def test_compiled_pytorch_trains_like_the_fused_loop(data, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch, "compile", lambda function: function)
    assert trained("PyTorch compiled", SMALL, data).loss == trained("PyTorch fused", SMALL, data).loss


def test_unavailable_torch_compile_is_explained(monkeypatch):
    torch = pytest.importorskip("torch")

    def compile(function):
        raise RuntimeError("No working C++ compiler found\nand more")

    monkeypatch.setattr(torch, "compile", compile)
    with pytest.raises(contestants.UnavailableError, match=r"No working C\+\+ compiler found$"):
        contestants.pytorch_compiled(SMALL)


def test_rows_say_if_pytorch_is_missing(monkeypatch):
    monkeypatch.setattr(contestants, "has_torch", lambda: False)
    for name in [*TORCH, "PyTorch compiled"]:
        with pytest.raises(contestants.UnavailableError, match="pip install torch"):
            contestants.ALL[name](SMALL)


# ---------------------------------------------------------------------------------------------------------------------
# Cases


def test_cases_cover_each_figure_cell_once():
    chosen = cases.chosen()
    assert {"fig5": [mnist_sweeps.BASE], **mnist_sweeps.FIGURES} == cases.CELLS
    published = [cell for cells in cases.CELLS.values() for cell in cells]
    assert all(case.cell in published for case in chosen)
    assert all(cases.Case(cell, 1) in chosen for cell in published)
    assert [case.cell["batch_size"] for case in chosen if case.threads == 2] == [8, 16, 32, 64, 128, 256]
    assert all(chosen.count(case) == 1 for case in chosen)
    assert cases.Case(BASE, 1).figures == ["fig5", "fig6", "fig7", "fig9"]


@pytest.mark.parametrize("cell", [SMALL, SMALL | {"activation": "Tanh", "optimizer": "SGD with momentum 0.9"}], ids=str)
def test_benchmarked_network_matches_the_experiment(cell):
    model, optimizer = contestants.network(cell, np.random.default_rng(0))
    other = mnist.network(cell["hidden"], np.random.default_rng(0), activation=cell["activation"])
    assert str(model) == str(other)
    for own, theirs in zip(model.parameters(), other.parameters(), strict=True):
        np.testing.assert_array_equal(own.data, theirs.data)
    of_experiment = mnist_sweeps.optimizer_for(cell["optimizer"], other, cell["lr"])
    assert type(optimizer) is type(of_experiment)
    for name in ("lr", "momentum"):
        assert getattr(optimizer, name, None) == getattr(of_experiment, name, None)


def test_subset_is_selected_by_figure():
    assert cases.chosen(["fig5"]) == [cases.Case(BASE, 1), cases.Case(BASE, 2)]
    assert len(cases.chosen(["fig8", "fig5"])) == 6
    with pytest.raises(ValueError, match="got fig4"):
        cases.chosen(["fig5", "fig4"])


def test_every_call_uses_whole_batches():
    for batch_size, (n_samples, _) in cases.SAMPLES_AND_EPOCHS.items():
        assert n_samples % batch_size == 0
        assert n_samples <= 60_000


def test_every_library_reports_the_number_of_threads():
    with threads.limited(1) as found:
        assert found
        assert set(found.values()) == {1}


def test_library_that_ignores_the_thread_limit_stops_the_run(monkeypatch):
    pool = {"filepath": "lib/stubborn.so", "num_threads": 3}
    monkeypatch.setattr(threads, "threadpool_info", lambda: [pool])
    with pytest.raises(RuntimeError, match=r"1 threads; got .*stubborn.so': 3"), threads.limited(1):
        pass


# ---------------------------------------------------------------------------------------------------------------------
# Verdicts


def row(own, other, name="scikit-learn", **change):
    """Return a row with planted times; every batch size gives 10 steps."""
    cell = BASE | {"threads": 1} | change
    seconds = {OWN: own, name: other}
    return {
        **cell,
        "figures": ["fig5"],
        "n_samples": 10 * cell["batch_size"],
        "epochs": 1,
        "seconds": seconds,
        "not_available": {},
    }


def test_ratios_are_computed_within_each_round():
    # Other work slowed both contestants in the second round, which the ratio must not show.
    found = ratio(row([1, 10, 1], [2, 20, 2]), "scikit-learn")
    assert (found.low, found.median, found.high) == (2, 2, 2)
    assert str(found) == "2.00 (2.00 to 2.00)"


def test_floor_ratio_is_nnkit_time_over_floor_time():
    assert ratio(row([3, 3], [2, 2], FLOOR), FLOOR).median == 1.5


def limit(measured, contestant, at):
    return Limit(contestant, at, ratio(measured, contestant))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        ([1.9] * 5, "met"),
        ([1.8] * 5, "met"),
        ([1.7, 1.7, 1.9, 2.0, 2.0], "met, within the spread"),
        ([1.6, 1.6, 1.7, 1.9, 1.9], "MISSED, within the spread"),
        ([1.6, 1.6, 1.7, 1.7, 9.0], "MISSED"),
        ([0.1, 1.9, 1.9, 1.9, 2.0], "met"),
    ],
)
def test_verdict_on_a_minimum_ratio(seconds, words):
    assert str(limit(row([1] * 5, seconds), "scikit-learn", 1.8)) == words


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ([1.6] * 5, "met"),
        ([1.6, 1.6, 1.65, 1.8, 1.8], "met, within the spread"),
        ([1.6, 1.6, 1.75, 1.8, 1.8], "MISSED, within the spread"),
        ([1.8] * 5, "MISSED"),
    ],
)
def test_verdict_on_a_maximum_floor_ratio(own, words):
    assert str(limit(row(own, [1] * 5, FLOOR), FLOOR, 1.7)) == words


@pytest.fixture
def limits(monkeypatch):
    """Limits for these tests, independent of the real ones."""
    loops = dict.fromkeys(verdicts.LOOPS, 2.3)
    monkeypatch.setattr(verdicts, "BOUNDS", {128: {**loops, "scikit-learn": 1.8, FLOOR: 1.7}, 8: loops})
    goals = {**dict.fromkeys(verdicts.LOOPS, 2.5), "scikit-learn": 2.0, FLOOR: 1.5}
    monkeypatch.setattr(verdicts, "GOALS", {128: goals, 8: dict.fromkeys(verdicts.LOOPS, 3.0) | {"scikit-learn": 2.0}})


def test_bounds_apply_to_figure_five_and_goals_to_every_case(limits):
    assert [found.limit for found in verdicts.bounds(row([1], [3]))] == [1.8]
    assert [found.limit for found in verdicts.goals(row([1], [3]))] == [2.0]
    for change in ({"threads": 2}, {"hidden": [16, 16]}, {"activation": "Tanh"}):
        assert verdicts.bounds(row([1], [3], **change)) == []
        assert len(verdicts.goals(row([1], [3], **change))) == 1
    assert [found.limit for found in verdicts.bounds(row([1], [3], "PyTorch lean", batch_size=8))] == [2.3]
    assert [found.limit for found in verdicts.goals(row([1], [3], "PyTorch lean", batch_size=8))] == [3.0]
    assert verdicts.goals(row([1], [3], batch_size=64)) == []


def test_only_a_clearly_missed_bound_fails(limits):
    doubtful = [1.6, 1.6, 1.7, 1.9, 1.9]
    assert not verdicts.failed([row([1] * 5, [1.9] * 5), row([1] * 5, doubtful)])  # The goal of 2 is missed.
    assert verdicts.failed([row([1] * 5, [1.9] * 5), row([1] * 5, [1.7] * 5)])
    assert not verdicts.failed([row([1] * 5, [1.7] * 5, threads=2)])


def test_conclusion_lists_every_bound_and_the_missed_goals(limits):
    rows = [row([1] * 5, [1.9] * 5), row([1] * 5, [2.5] * 5, hidden=[16, 16]), row([1.6] * 5, [1] * 5, FLOOR)]
    text = "\n".join(report.conclusion(rows))
    assert "Bounds met: 2 of 2." in text
    assert "Goals reached: 1 of 3. Missed:" in text
    network = "- 784-64-32-10, ReLU, Adam, batch 128, 1 thread: "
    assert network + "scikit-learn takes 1.90 (1.90 to 1.90) times nnkit's time, at least 1.8: met" in text
    assert network + "scikit-learn takes 1.90 (1.90 to 1.90) times nnkit's time, at least 2: MISSED" in text
    assert network + "nnkit takes 1.60 (1.60 to 1.60) times the time of the bare products, at most 1.5: MISSED" in text
    assert "784-16-16-10" not in text


def test_table_shows_time_per_step_and_unavailable_contestants(limits):
    measured = row([0.004, 0.005, 0.006], [0.01] * 3) | {"not_available": {"PyTorch compiled": "torch.compile: none"}}
    lines = report.table(measured).splitlines()
    assert re.fullmatch(r"nnkit fit +500 \(400 to 600\)", lines[3])
    assert re.fullmatch(r"scikit-learn .* at least 1.8 met; at least 2 reached(, within the spread)?", lines[4])
    assert re.fullmatch(r"PyTorch compiled +torch.compile: none", lines[5])


# ---------------------------------------------------------------------------------------------------------------------
# Shares


def test_profile_trains_like_fit_and_accounts_for_all_time(data, monkeypatch):
    histories = []
    fit = nn.fit

    def recorded(*args, **kwargs):
        histories.append(fit(*args, **kwargs))
        return histories[-1]

    monkeypatch.setattr(nn, "fit", recorded)
    spent = shares.profile(SMALL, data.X_train, data.y_train, 2)
    assert set(spent) == set(shares.PARTS)
    assert min(spent.values()) > 0
    assert sum(spent.values()) == pytest.approx(histories[0]["seconds"].sum())
    assert contestants.nnkit_fit(SMALL)(data.X_train, data.y_train, 2).loss == histories[0]["loss"][-1]


# ---------------------------------------------------------------------------------------------------------------------
# The run, its results file and the README


@pytest.fixture
def small_run(data, tmp_path, monkeypatch):
    """Make the benchmark small, with its own files."""
    (tmp_path / "README.md").write_text(report.README.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "results.json").write_text("old", encoding="utf-8")
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(report, "README", tmp_path / "README.md")
    monkeypatch.setattr(cases, "SAMPLES_AND_EPOCHS", {8: (64, 1), 128: (512, 2)})
    monkeypatch.setattr(cases, "CELLS", {"fig5": [BASE], "fig7": [BASE | {"batch_size": 8}, BASE]})
    monkeypatch.setattr(knn, "CASES", {case: (50, names) for case, (_, names) in knn.CASES.items()})
    monkeypatch.setattr(knn, "failed", lambda rows: False)
    monkeypatch.setattr(svm, "N_SAMPLES", 200)
    monkeypatch.setattr(svm, "N_QUERIES", 50)
    monkeypatch.setattr(svm, "failed", lambda rows: False)
    monkeypatch.setattr(frameworks, "TASKS", {name: short_tasks()[name] for name in ("xor", "classifier")})
    monkeypatch.setattr(memory, "measured", lambda library, task, folder: {"import": 2.0, "training": 1.0})
    for module in (frameworks, compared):
        monkeypatch.setattr(module, "LIBRARIES", {name: LIBRARIES[name] for name in ("nnkit", "scikit-learn")})
    monkeypatch.setattr(sizes, "NAMES", (OWN, FLOOR, "scikit-learn"))
    monkeypatch.setattr(sizes, "WIDTHS", (4,))
    monkeypatch.setattr(sizes, "BATCH_SIZES", (8,))
    few = {name: contestants.ALL[name] for name in (OWN, "scikit-learn", FLOOR)}
    monkeypatch.setattr(contestants, "ALL", few)
    monkeypatch.setattr(nn, "load_mnist", lambda: data)
    # The speed of tiny trainings does not matter.
    monkeypatch.setattr(verdicts, "failed", lambda rows: False)
    return tmp_path


@pytest.mark.slow
def test_complete_run_writes_results_and_readme(small_run, capsys):
    assert bench.main(["--repeats", "2"]) == 0
    results = json.loads((small_run / "results.json").read_text(encoding="utf-8"))
    assert [(r["batch_size"], r["threads"]) for r in results["rows"]] == [(128, 1), (8, 1), (8, 2), (128, 2)]
    assert all(len(times) == 2 for r in results["rows"] for times in r["seconds"].values())
    readme = (small_run / "README.md").read_text(encoding="utf-8")
    assert readme == report.renewed(readme, results)
    assert "in 2 rounds" in readme
    assert sorted(path.name for path in small_run.iterdir()) == ["README.md", "results.json"]
    printed = capsys.readouterr().out
    assert printed.count("Threads: ") == 2
    assert "scikit-learn" in printed


def test_run_of_all_figures_writes_only_their_results(small_run, monkeypatch):
    old = {"provenance": {}, "profile": [], "knn": {"rows": []}, "rows": []}
    report.RESULTS.write_text(json.dumps(old), encoding="utf-8")
    monkeypatch.setattr(report, "write_readme", lambda: None)
    assert bench.main(["--repeats", "1", "--only", "fig7", "fig5"]) == 0
    results = json.loads(report.RESULTS.read_text(encoding="utf-8"))
    assert results["knn"] == old["knn"]
    assert len(results["rows"]) == 4
    assert results["provenance"]["repeats"] == 1
    assert [found["batch_size"] for found in results["profile"]] == [128, 8]


@pytest.mark.parametrize("options", [["--only", "fig5"], ["--only", "fig5", "knn"], ["--quick"]])
def test_partial_run_writes_nothing(options, small_run):
    assert bench.main(["--repeats", "1", *options]) == 0
    assert (small_run / "results.json").read_text(encoding="utf-8") == "old"


@pytest.mark.slow
def test_run_without_pytorch_writes_nothing(small_run, monkeypatch, capsys):
    monkeypatch.setattr(contestants, "has_torch", lambda: False)
    monkeypatch.setitem(contestants.ALL, "PyTorch lean", contestants.pytorch_lean)
    assert bench.main(["--repeats", "1"]) == 0
    assert (small_run / "results.json").read_text(encoding="utf-8") == "old"
    assert "PyTorch is not installed" in capsys.readouterr().out


def test_clearly_missed_bound_sets_the_exit_status(small_run, monkeypatch):
    monkeypatch.setattr(verdicts, "failed", lambda rows: True)
    assert bench.main(["--repeats", "1", "--only", "fig5"]) == 1


# ---------------------------------------------------------------------------------------------------------------------
# The nearest neighbours


def neighbours(case, own, other, name=knn.BRUTE):
    """Return a row with planted times."""
    named = {"case": case, "n_neighbors": 5, "n_samples": 100, "n_queries": 10}
    seconds = {knn.OWN: own, name: other}
    return {**named, "seconds": seconds, "accuracy": dict.fromkeys(seconds, 0.5), "unlike_nnkit": {knn.OWN: 0, name: 1}}


def test_neighbour_cases_have_bounds_but_the_tree_has_none():
    pixels, code = (neighbours(case, [1.0] * 5, [1.2] * 5) for case in knn.CASES)
    assert [str(found) for found in knn.bounds(pixels)] == ["MISSED"]
    assert [str(found) for found in knn.bounds(code)] == ["met"]
    assert knn.failed([code, pixels])
    assert not knn.failed([code, neighbours("784 pixels", [1.0] * 5, [1.1, 1.1, 1.2, 1.4, 1.4])])
    assert knn.conclusion([code]) == [
        "- 4-D code, 100 samples, 10 queries, k 5, 1 thread: "
        "scikit-learn brute takes 1.20 (1.20 to 1.20) times nnkit's time, at least 1: met"
    ]
    assert all(knn.TREE not in limits for limits in knn.BOUNDS.values())
    assert knn.TREE in knn.CASES["4-D code"][1]


def test_all_contestants_find_the_same_neighbours(data, monkeypatch):
    monkeypatch.setattr(knn, "CASES", {case: (200, names) for case, (_, names) in knn.CASES.items()})
    pixels, code = knn.measure(data, repeats=2)
    assert (pixels["n_features"], code["n_features"]) == (784, 4)
    for found in (pixels, code):
        assert (found["n_samples"], found["n_queries"]) == (2000, 200)
        assert all(len(times) == 2 and min(times) > 0 for times in found["seconds"].values())
    assert code["unlike_nnkit"][knn.BRUTE] == code["unlike_nnkit"][knn.TREE]
    assert set(knn.contestants()) == {knn.OWN, knn.BRUTE, knn.TREE}
    predicted = [
        make().set_params(n_neighbors=1).fit(data.X_train, data.y_train) for make in knn.contestants().values()
    ]
    for classifier in predicted:
        np.testing.assert_array_equal(classifier.predict(data.X_train[:50]), data.y_train[:50])


def test_neighbours_run_writes_only_its_own_results(small_run, capsys):
    old = {"provenance": {"date": "then"}, "profile": [], "knn": {}, "rows": [{"figures": ["fig5"]}]}
    report.RESULTS.write_text(json.dumps(old), encoding="utf-8")
    written = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "write_readme", lambda: written.append(True))
        assert bench.main(["--repeats", "1", "--only", "knn"]) == 0
    results = json.loads(report.RESULTS.read_text(encoding="utf-8"))
    assert {name: results[name] for name in ("provenance", "profile", "rows")} == {n: old[n] for n in old if n != "knn"}
    assert [found["case"] for found in results["knn"]["rows"]] == list(knn.CASES)
    assert results["knn"]["provenance"]["repeats"] == 1
    assert written == [True]
    assert "Threads" not in capsys.readouterr().out


def test_neighbours_results_are_complete():
    results = json.loads(report.RESULTS.read_text(encoding="utf-8"))["knn"]
    assert "changes" not in results["provenance"]["commit"]
    assert results["provenance"]["data"]["name"] == "mnist"
    assert results["provenance"]["repeats"] >= 5
    for found, (case, (n_queries, names)) in zip(results["rows"], knn.CASES.items(), strict=True):
        assert (found["case"], found["n_samples"], found["n_queries"]) == (case, 60_000, n_queries)
        assert tuple(found["seconds"]) == names
        assert {len(times) for times in found["seconds"].values()} == {results["provenance"]["repeats"]}
        assert max(found["accuracy"].values()) - min(found["accuracy"].values()) < 0.005
    assert results["rows"][0]["unlike_nnkit"][knn.BRUTE] < 20


# ---------------------------------------------------------------------------------------------------------------------
# The support vector machines


def machines(case, strategy, phase, own, other):
    """Return a row with planted times."""
    named = {"case": case, "strategy": strategy, "phase": phase, "C": 10.0, "n_samples": 100, "n_queries": 50}
    seconds = {svm.OWN: own, svm.PEER: other}
    return {**named, "seconds": seconds, "accuracy": dict.fromkeys(seconds, 0.5), "unlike_nnkit": {svm.PEER: 1}}


def test_svm_cases_have_bounds_but_one_vs_one_on_codes_has_none():
    def said(*names, other):
        return [str(found) for found in svm.bounds(machines(*names, [1.0] * 5, [other] * 5))]

    assert said("784 pixels", "ovr", "fit", other=4.9) == ["MISSED"]
    assert said("784 pixels", "ovr", "fit", other=5.1) == ["met"]
    assert said("784 pixels", "ovo", "fit", other=1.3) == ["met"]
    assert said("784 pixels", "ovo", "predict", other=7.9) == ["MISSED"]
    assert said("32-D code", "ovr", "fit", other=0.99) == ["MISSED"]
    assert said("32-D code", "ovr", "predict", other=2.1) == ["met"]
    assert said("32-D code", "ovo", "fit", other=0.1) == []
    slow = machines("784 pixels", "ovr", "fit", [1.0] * 5, [2.0] * 5)
    assert svm.failed([slow])
    assert not svm.failed([machines("784 pixels", "ovr", "fit", [1.0] * 5, [4, 4, 4.5, 6, 6])])
    assert svm.conclusion([slow]) == [
        "- 784 pixels, one-vs-rest, fit 100 samples, RBF, C 10, 1 thread: "
        "scikit-learn takes 2.00 (2.00 to 2.00) times nnkit's time, at least 5: MISSED"
    ]


@pytest.mark.slow
def test_both_svms_solve_the_same_problem(data, monkeypatch):
    monkeypatch.setattr(svm, "N_SAMPLES", 500)
    monkeypatch.setattr(svm, "N_QUERIES", 300)
    rows = svm.measure(data, repeats=2)
    names = [(found["case"], found["strategy"], found["phase"]) for found in rows]
    assert names == [(c, s, p) for c in svm.CASES for s in svm.STRATEGIES for p in svm.PHASES]
    assert {found["n_features"] for found in rows} == {784, 32}
    for found in rows:
        assert all(len(times) == 2 and min(times) > 0 for times in found["seconds"].values())
        # On training samples, several classes can have the same score, exactly on the margin. And nnkit breaks tied
        # one-vs-one votes by decision values, scikit-learn by the first label.
        assert found["unlike_nnkit"][svm.PEER] <= (6 if found["strategy"] == "ovr" else 15)
        assert found["accuracy"][svm.OWN] > 0.2
    own, peer = (make() for make in svm.contestants("ovr").values())
    assert own.C == peer.estimator.C == svm.C
    # The decision values agree to the solvers' tolerance, however ties are broken.
    X, y = data.X_train[:500], data.y_train[:500]
    scores = [machine.fit(X, y).decision_function(X[:300]) for machine in (own, peer)]
    assert np.abs(scores[0] - scores[1]).max() < 1e-2


def test_svm_run_writes_only_its_own_results(small_run, monkeypatch):
    old = {"provenance": {"date": "then"}, "profile": [], "knn": {"rows": []}, "rows": [{"figures": ["fig5"]}]}
    report.RESULTS.write_text(json.dumps(old), encoding="utf-8")
    monkeypatch.setattr(report, "write_readme", lambda: None)
    assert bench.main(["--repeats", "1", "--only", "svm"]) == 0
    results = json.loads(report.RESULTS.read_text(encoding="utf-8"))
    assert len(results["svm"]["rows"]) == 8
    assert {name: results[name] for name in old} == old


def test_svm_results_are_complete():
    results = json.loads(report.RESULTS.read_text(encoding="utf-8"))["svm"]
    assert "changes" not in results["provenance"]["commit"]
    assert results["provenance"]["data"]["name"] == "mnist"
    assert results["provenance"]["repeats"] >= 5
    assert len(results["rows"]) == 8
    for found in results["rows"]:
        assert (found["n_samples"], found["n_queries"], found["C"]) == (5000, 10_000, 10)
        assert {len(times) for times in found["seconds"].values()} == {results["provenance"]["repeats"]}
        assert abs(found["accuracy"][svm.OWN] - found["accuracy"][svm.PEER]) < 0.005
        assert found["unlike_nnkit"][svm.PEER] < (20 if found["strategy"] == "ovr" else 200)


# ---------------------------------------------------------------------------------------------------------------------
# The frameworks


def short_tasks():
    """Return the tasks in a small version."""
    return {
        name: dataclasses.replace(task, n_samples=min(task.n_samples, 1280), epochs=1) for name, task in TASKS.items()
    }


def programs_of(library):
    if library == "PyTorch":
        pytest.importorskip("torch")
    return frameworks.program(library)


others = pytest.mark.parametrize("library", ["PyTorch", "scikit-learn"])
tasks = pytest.mark.parametrize("task", list(TASKS))


@others
@tasks
def test_same_weights_give_the_same_losses_step_by_step(library, task, data):
    programs_of(library)
    X, y = frameworks.data_for(task, dataclasses.replace(data, X_train=nn.sigmoid(data.X_train)), 600)
    found = frameworks.first_losses(library, task, X, y)
    np.testing.assert_allclose(found, frameworks.expected_losses(library, task, X, y), rtol=0, atol=1e-9)
    assert len(set(found)) == frameworks.N_STEPS  # Each step changes the loss.


def test_scikit_learn_trains_a_slightly_different_model(data):
    X, y = frameworks.data_for("classifier", data, 600)
    own, other = (frameworks.first_losses(library, "classifier", X, y) for library in ("nnkit", "scikit-learn"))
    assert 1e-6 < np.abs(np.array(own) - other).max() < 0.1


@pytest.mark.parametrize("library", list(LIBRARIES))
@tasks
def test_programs_start_from_the_given_weights(library, task, data, monkeypatch):
    programs_of(library)
    monkeypatch.setattr(frameworks, "TASKS", short_tasks())
    X, y = frameworks.data_for(task, dataclasses.replace(data, X_train=nn.sigmoid(data.X_train)), 256)
    losses = [frameworks.timed(library, task, X, y, epochs=1, seed=seed)[1] for seed in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


def test_line_count_includes_only_code(tmp_path):
    def counted():
        """Say what it does.

        At length.
        """
        # A comment.
        total = sum(
            [
                1,
            ]
        )

        if total:
            return total
        return 0

    assert frameworks._n_lines(counted) == 9
    assert frameworks.n_lines("nnkit", "xor") == 7


@pytest.mark.slow
def test_memory_is_measured_for_the_program_alone(tmp_path):
    X, y = frameworks.data_for("xor", None)
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", y)
    held = np.ones(50_000_000)  # 400 MB in this process, which must not count.
    found = memory.measured("nnkit", "xor", tmp_path)
    assert len(held)
    assert 5 < found["import"] < 150
    assert 0 <= found["training"] < 20
    assert memory.peak_mb() > 400


def followed(**apart):
    """Return a row with planted loss differences."""
    return {"task": "xor", "threads": 1, "largest_difference": apart}


def test_differing_losses_fail_the_benchmark():
    good, bad = followed(PyTorch=1e-12), followed(PyTorch=2e-6)
    assert not frameworks.failed([good])
    assert frameworks.failed([good, bad])
    start = "- xor, the first 20 losses in float64: PyTorch is within "
    assert frameworks.conclusion([good, bad]) == [
        f"{start}1e-12 of nnkit; at most 1e-06: met",
        f"{start}2e-06 of nnkit; at most 1e-06: MISSED",
    ]


@pytest.mark.slow
def test_frameworks_run_writes_only_its_own_results(small_run, monkeypatch):
    old = {"provenance": {"date": "then"}, "profile": [], "knn": {"rows": []}, "rows": [{"figures": ["fig5"]}]}
    report.RESULTS.write_text(json.dumps(old), encoding="utf-8")
    monkeypatch.setattr(report, "write_readme", lambda: None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frameworks, "LIBRARIES", LIBRARIES)
        patch.setattr(contestants, "has_torch", lambda: False)
        assert bench.main(["--repeats", "2", "--only", "frameworks"]) == 0
    assert json.loads(report.RESULTS.read_text(encoding="utf-8")) == old  # Without PyTorch half of it would be missing.
    assert bench.main(["--repeats", "2", "--only", "frameworks", "sizes"]) == 0
    results = json.loads(report.RESULTS.read_text(encoding="utf-8"))
    assert {name: results[name] for name in old} == old
    xor, classifier = results["frameworks"]["rows"]
    assert (xor["task"], classifier["task"], classifier["n_samples"]) == ("xor", "classifier", 1280)
    assert set(xor["seconds"]) == {"nnkit", "scikit-learn", FLOOR}
    assert all(len(losses) == 2 for losses in classifier["loss"].values())
    assert [row["operations"] for row in results["sizes"]["rows"]] == [2 * 8 * (2 * 784 * 4 + 3 * (4 * 4 + 4 * 10))]


def test_frameworks_results_are_complete():
    results = json.loads(report.RESULTS.read_text(encoding="utf-8"))
    for name in ("frameworks", "sizes"):
        provenance = results[name]["provenance"]
        assert "changes" not in provenance["commit"]
        assert provenance["data"]["name"] == "mnist"
        assert provenance["repeats"] >= 5
        for found in results[name]["rows"]:
            assert {len(times) for times in found["seconds"].values()} == {provenance["repeats"]}
            assert found["not_available"] == []
    for found, (name, task) in zip(results["frameworks"]["rows"], TASKS.items(), strict=True):
        assert (found["task"], found["threads"]) == (name, 1)
        assert (found["n_samples"], found["epochs"]) == (task.n_samples, task.epochs)
        assert set(found["seconds"]) == {*LIBRARIES, FLOOR}
        assert set(found["memory_mb"]) == set(LIBRARIES)
        own, other = (np.median(found["loss"][library]) for library in ("nnkit", "PyTorch"))
        assert abs(other / own - 1) < 0.05
        assert {len(losses) for losses in found["first_losses"].values()} == {frameworks.N_STEPS}
        assert max(found["largest_difference"].values()) <= frameworks.TOLERANCE
        for library in frameworks.available():
            assert found["lines"][library] == frameworks.n_lines(library, name)
    measured = [(found["width"], found["batch_size"]) for found in results["sizes"]["rows"]]
    assert measured == list(itertools.product(sizes.WIDTHS, sizes.BATCH_SIZES))
    for found in results["sizes"]["rows"]:
        assert set(found["seconds"]) == set(sizes.NAMES)
        assert np.median(found["seconds"][OWN]) > 0.9 * np.median(found["seconds"][FLOOR])


# ---------------------------------------------------------------------------------------------------------------------
# The README


def test_readme_shows_the_results():
    results = json.loads(report.RESULTS.read_text(encoding="utf-8"))
    readme = report.README.read_text(encoding="utf-8")
    assert readme == report.renewed(readme, results), "python -m benchmarks.report rewrites it"


def test_readme_contains_no_typed_measurements():
    text = report.README.read_text(encoding="utf-8")
    typed = re.sub(r"<!-- (\w+) -->.*?<!-- end of \1 -->", "", text, flags=re.S)
    measured = r"\d\s*(%|µs|ms\b|s\b|seconds|minutes|times)|\b(half|third|quarter|fifth|eighth|tenth|microseconds?)\b"
    assert not re.findall(measured, typed)


def test_readme_without_markers_raises():
    results = json.loads(report.RESULTS.read_text(encoding="utf-8"))
    readme = report.README.read_text(encoding="utf-8").replace("<!-- table -->", "")
    with pytest.raises(ValueError, match="the markers of 'table' once; got 0"):
        report.renewed(readme, results)


def test_results_are_complete_and_state_their_origin():
    results = json.loads(report.RESULTS.read_text(encoding="utf-8"))
    provenance = results["provenance"]
    assert "changes" not in provenance["commit"]
    assert provenance["data"]["name"] == "mnist"
    assert provenance["repeats"] >= 5
    assert {"python", "numpy", "scikit-learn", "torch"} <= set(provenance["versions"])
    measured = [({name: found[name] for name in BASE}, found["threads"]) for found in results["rows"]]
    assert measured == [(case.cell, case.threads) for case in cases.chosen()]
    amounts: dict[int, tuple[int, int]] = {}
    for found in results["rows"]:
        assert set(found["seconds"]) | set(found["not_available"]) == set(contestants.ALL)
        assert {len(times) for times in found["seconds"].values()} == {provenance["repeats"]}
        assert (found["n_samples"], found["epochs"]) == amounts.setdefault(
            found["batch_size"], (found["n_samples"], found["epochs"])
        )
        assert len(set(found["n_parameters"].values())) == 1
        losses = np.array(list(found["loss"].values()))
        assert np.abs(np.log(losses / np.median(losses))).max() < 0.25
    for profile in results["profile"]:
        assert sum(profile["shares"].values()) == pytest.approx(1, abs=0.01)
