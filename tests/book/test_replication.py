"""The replication report: it is complete, its verdicts match the chapters', and repeating it loses nothing."""

from __future__ import annotations

import ast
import copy
import json
import os
import re
import shutil
from pathlib import Path

import nbformat
import numpy as np
import pytest

from book import replication
from book.replication import Claim, Comparison, Conditions, Number, plan, reading
from book.replication.outcomes import on_runs, prediction_interval
from lab.sweep import load_rows, sweep
from lab.verdicts import Verdict, with_remark
from tools import rerun

BOOK = Path(__file__).resolve().parents[2] / "book"
REFERENCE = BOOK.parent.parent / "shared" / "reference"
CLAIMS = replication.claims()
NAMES = {claim.said[key] for claim in CLAIMS for key in ("what", "row", "also") if key in claim.said}

# Every figure and table of the two sources, by its name in this project.
TARGETS = {
    "A": [
        *("fig1_backprop", "fig2_linear_regression", "fig3_linear_classification", "fig4_xor_quadrants", "fig5_mnist"),
        *("fig6_activation", "fig7_batch_size", "fig8_hidden_size", "fig9_optimizer", "fig10_latent_depth"),
        *("fig11_reconstructions", "fig12_tsne", "table_knn", "fig13_interpolation", "fig14_denoise"),
        *("fig15_denoise_hard", "extensions_named"),
    ],
    "B": [
        *("design", "table1_dense_gradcheck", "table2_activations", "table3_mse", "table4_to_6_xor"),
        *("table7_8_autoencoder", "table9_10_svm"),
    ],
}


def missing(reported: dict, measured: dict) -> list[str]:
    """Return what a report lacks: targets without an entry, and entries or claims without a result."""
    found = []
    for source, names in TARGETS.items():
        for name in names:
            entry = reported[source].get(name)
            if entry is None:
                found.append(f"{source}.{name} has no entry")
            elif not any(f"{source}.{name}.{claim}" in measured for claim in entry["claims"]):
                found.append(f"{source}.{name} has no result")
            else:
                lacking = [claim for claim in entry["claims"] if f"{source}.{name}.{claim}" not in measured]
                found += [f"{source}.{name}.{claim} has no result" for claim in lacking]
    return found


def test_report_has_a_result_for_every_target():
    assert missing(replication.REPORTED, replication.MEASURED) == []
    assert set(replication.MEASURED) == {claim.key for claim in CLAIMS}


def test_missing_entries_and_results_are_caught():
    reported = copy.deepcopy(replication.REPORTED)
    del reported["A"]["table_knn"]
    measured = {key: value for key, value in replication.MEASURED.items() if not key.startswith("B.table3_mse")}
    del measured["A.fig5_mnist.speed"]
    assert missing(reported, measured) == [
        "A.fig5_mnist.speed has no result",
        "A.table_knn has no entry",
        "B.table3_mse has no result",
    ]


@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.95, 0.99])
@pytest.mark.parametrize("n", range(1, 12))
def test_every_comparison_has_a_verdict_at_every_confidence(n, confidence):
    runs, enough = np.linspace(0.1, 0.2, n), n >= 5
    assert Comparison(runs, "", above=0).verdict(confidence) is (Verdict.REPLICATED if enough else Verdict.NOT_SHOWN)
    assert Comparison(runs, "", above=0.3).verdict(confidence) is (Verdict.WEAKER if enough else Verdict.NOT_SHOWN)


def test_claim_without_a_function_says_what_to_do():
    with pytest.raises(KeyError, match="add a function for it"):
        _ = Claim("A.fig5_mnist.invented", {}, {}).outcome


@pytest.mark.parametrize("name", ["mnist_classifier", "mnist_sweeps"])
def test_missing_result_file_raises(name, monkeypatch):
    monkeypatch.setattr("lab.results._COMMITTED", BOOK / "nowhere")
    read = reading.store if name == "mnist_sweeps" else reading.result
    with pytest.raises(FileNotFoundError, match=f"there is no result '{name}'"):
        read.__wrapped__(name)


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the sources are available only where the project is built")
def test_targets_match_the_reference():
    yaml = pytest.importorskip("yaml")
    targets = yaml.safe_load((REFERENCE / "replication-targets.yml").read_text(encoding="utf-8"))
    assert {source: sorted(entries) for source, entries in targets.items()} == {
        source: sorted(names) for source, names in TARGETS.items()
    }


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the sources are available only where the project is built")
def test_transcribed_numbers_match_the_reference():
    yaml = pytest.importorskip("yaml")
    targets = yaml.safe_load((REFERENCE / "replication-targets.yml").read_text(encoding="utf-8"))

    def numbers(value) -> set[float]:
        if isinstance(value, dict):
            return set().union(*map(numbers, value.values()), set())
        if isinstance(value, list):
            return set().union(*map(numbers, value), set())
        return {float(value)} if isinstance(value, (int, float)) and not isinstance(value, bool) else set()

    for source, entries in targets.items():
        for name, entry in entries.items():
            if isinstance(entry, list):  # Named without a number.
                continue
            ours = replication.REPORTED[source][name]
            typed = {float(n) for n in re.findall(r"\d+(?:\.\d+)?(?:e-?\d+)?", json.dumps(ours).replace(",", ""))}
            percent = {round(n / 100, 6) for n in typed}
            for number in numbers(entry.get("reported", {})):
                assert number in typed | percent | {1.0}, f"{source}.{name}: {number} is not transcribed"


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the sources are available only where the project is built")
@pytest.mark.parametrize("item", replication.CONTRADICTIONS, ids=lambda item: item["id"])
def test_contradictions_quote_the_sources(item):
    path = next(REFERENCE.glob({"A": "000_*.txt", "B": "002_*.txt"}[item["id"][0]]))
    text = " ".join(path.read_text(encoding="utf-8").split())
    for words in item["words"]:
        assert " ".join(words.split()) in text, words
        assert len(words.split()) <= 8


def test_every_figure_and_table_of_both_sources_is_covered():
    for source, figures, tables in (("A", 15, 0), ("B", 11, 10)):
        named = {"figure": set(), "table": set()}
        for entry in replication.REPORTED[source].values():
            for place in entry["where"]:
                if match := re.fullmatch(r"(figure|table)s? (\d+)(?: (?:to|and) (\d+))?", place):
                    named[match[1]] |= set(range(int(match[2]), int(match[3] or match[2]) + 1))
        assert named == {"figure": set(range(1, figures + 1)), "table": set(range(1, tables + 1))}


# --- The verdicts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.key)
def test_every_claim_is_measured_with_a_verdict_and_a_reason(claim):
    outcome = claim.outcome
    assert outcome.verdict() in list(Verdict)
    assert outcome.text
    for text in (outcome.text, claim.why, outcome.rule, outcome.power):
        assert "nan" not in text.split()
        assert "inf" not in text.split()
        assert not set(text) & {"\n", "|"}
    assert 0 < len(claim.why) < 120


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.key)
def test_every_claim_says_its_rule_with_its_bounds(claim):
    outcome = claim.outcome
    assert outcome.rule.startswith(("Replicated if ", "Nothing here measures it: "))
    assert outcome.rule.endswith(".")
    if isinstance(outcome, Conditions):
        wants = outcome.wants.split("; ")
        assert len(wants) in (1, len(outcome.parts)), "one condition for each part, or one for all"
    else:
        assert outcome.power
    if isinstance(outcome, Comparison):
        for bound in (outcome.above, outcome.below):
            assert not np.isfinite(bound) or f"{bound:g}" in outcome.rule


def test_no_result_counts_twice_and_what_is_aside_says_why():
    counted = replication.counted()
    assert {claim.key for claim in counted} == {claim.key for claim in CLAIMS if not claim.aside and not claim.repeats}
    keys = {claim.key for claim in counted}
    for claim in CLAIMS:
        assert not (claim.aside and claim.repeats), claim.key
        assert not claim.repeats or claim.repeats in keys, f"{claim.key} repeats what is not counted"
    judged = [(claim.outcome.text, claim.outcome.rule) for claim in counted]
    assert len(judged) == len(set(judged)), "two counted claims have one result, judged by one rule"


def rows_of_chapters() -> list[tuple[str, str, str, str]]:
    """Return chapter, quantity, reported value and verdict of each row about a source in the chapters' tables."""
    found = []
    for path in sorted(BOOK.glob("part*/*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "code" and "reported_and_measured(" in cell.source:
                text = cell.outputs[-1]["data"]["text/markdown"].replace("\N{NARROW NO-BREAK SPACE}", " ")
                for line in text.splitlines()[2:]:
                    what, reported, _, verdict, _ = (part.strip() for part in line.strip("| ").split(" | "))
                    if re.match(r"(A|B)\b", what) or what in NAMES:
                        found.append((path.stem, what, reported, verdict.strip("*")))
    return found


def names_of(claim: Claim) -> set[str]:
    return {claim.said[key] for key in ("row", "also") if key in claim.said} | {claim.said["what"]}


@pytest.mark.parametrize("row", rows_of_chapters(), ids=lambda row: f"{row[0][:2]}: {row[1]}")
def test_chapter_verdicts_match_the_report(row):
    chapter, what, reported, verdict = row
    fitting = [claim for claim in CLAIMS if what in names_of(claim)]
    if len(fitting) > 1:  # Two rows of a chapter, or two chapters, may share a name.
        fitting = [c for c in fitting if c.chapter == chapter and reported in (c.said["reported"], "—")] or fitting
    assert fitting, f"{what!r} of chapter {chapter} is not in book/reported.toml"
    assert {with_remark(claim.outcome.verdict(), claim.outcome.remark()) for claim in fitting} == {verdict}


def test_chapter_rows_are_found():
    rows = rows_of_chapters()
    assert len(rows) > 60
    # Of what chapter 8 tries, report A claims nothing: it only names what it lacks.
    assert {chapter[:2] for chapter, *_ in rows} >= {f"{number:02}" for number in range(1, 14)} - {"08"}


def test_prediction_interval_has_the_promised_coverage():
    rng = np.random.default_rng(0)
    inside = []
    for _ in range(4000):
        *runs, new = rng.exponential(size=40)
        low, high = prediction_interval(runs, 0.9)
        inside.append(low <= new <= high)
    assert abs(np.mean(inside) - 37 / 41) < 0.015  # j = 2


@pytest.mark.parametrize(
    ("coverage", "expected"), [(0.95, (0, 39)), (0.94, (0, 39)), (0.9, (1, 38)), (0.5, (9, 30)), (1.0, (0, 39))]
)
def test_prediction_interval_of_forty_runs_has_the_expected_bounds(coverage, expected):
    assert prediction_interval(np.arange(40), coverage) == expected


def test_prediction_interval_of_one_run_is_that_run():
    assert prediction_interval([3.0]) == (3.0, 3.0)


@pytest.mark.parametrize(
    ("reported", "options", "verdict"),
    [
        (1.5, {}, "replicated"),
        (2.0, {}, "replicated"),
        (2.1, {}, "did not replicate"),
        (2.1, {"tolerance": 0.2}, "replicated"),
        (2.1, {"good": "lower"}, "did not replicate (better)"),
        (2.1, {"good": "higher"}, "weaker"),
        (0.9, {"good": "lower"}, "weaker"),
        (0.9, {"good": "higher"}, "did not replicate (better)"),
        (1.5, {"good": "higher"}, "replicated"),
    ],
)
def test_verdict_on_a_number(reported, options, verdict):
    number = Number([1.0, 2.0], reported, "", **options)
    assert with_remark(number.verdict(), number.remark()) == verdict


@pytest.mark.parametrize(
    ("bounds", "verdict"),
    [
        ({"above": 0}, "replicated"),
        ({"above": 1.5}, "not shown"),
        ({"above": 3}, "weaker"),  # On the claimed side of no effect, which is 0.
        ({"above": 3, "none": 2.5}, "opposite"),
        ({"above": 3, "none": 2}, "opposite"),
        ({"above": 3, "none": 1.5}, "did not replicate"),  # Below the bound, and perhaps no effect at all.
        ({"below": 0}, "opposite"),
        ({"below": 0.5, "none": 3}, "weaker"),
        ({"below": 0.5, "none": 1.5}, "did not replicate"),
        ({"below": 0.5, "none": 0.5}, "opposite"),
        ({"below": 1.5, "none": 3}, "not shown"),
        ({"above": 0, "below": 3}, "replicated"),
        ({"above": 1.5, "below": 3}, "not shown"),
        ({"above": -0.5, "below": 0.5}, "opposite"),
    ],
)
def test_verdict_on_a_comparison(bounds, verdict):
    runs = [1.0, 1.0, 1.5, 1.5, 2.0, 2.0]
    assert Comparison(runs, "", **bounds).interval() == (1, 2)
    assert Comparison(runs, "", **bounds).verdict() == verdict


def test_few_runs_must_all_lie_inside_and_say_so():
    five = Comparison(np.arange(1.0, 6.0), "", above=0)
    assert five.verdict() == "replicated"
    assert "each of 5 runs, 1 to 5, lies above 0" in five.rule
    assert Comparison(np.array([-1.0, 2.0, 3.0, 4.0, 5.0]), "", above=0).verdict() == "not shown"
    assert "the 95 % interval" in Comparison(np.arange(1.0, 7.0), "", above=0).rule
    assert "six runs" in five.power


@pytest.mark.parametrize("runs", [[1.0], [1.0, 2.0], [-2.0, -1.0], [1.0, 2.0, 3.0, 4.0]])
def test_fewer_than_five_runs_show_nothing_and_say_so(runs):
    few = Comparison(np.array(runs), "", above=0)
    assert few.verdict() == "not shown"
    assert few.rule.endswith("lies above 0; fewer than 5 runs do not show it, whatever they say.")
    assert few.verdict(0.5) == "not shown"
    for values in (np.ones(4, dtype=bool), reading.of_runs([1.0, 1.1, 1.2])):  # These have an interval.
        assert not Comparison(values, "", above=0.3).too_few


def test_conditions_on_fewer_than_five_runs_show_nothing_and_say_so():
    for parts in ((True, True), (True, False), (False, None)):
        few = Conditions(parts, "", "a; b", runs=4)
        assert few.verdict() == "not shown"
        assert few.rule.endswith("a; b. Fewer than 5 runs, here 4, do not show it.")
    assert Conditions((True, True), "", "a; b", runs=5).verdict() == "replicated"
    assert Conditions((None,), "", "a", runs=1).verdict() == "not measured"


def test_verdict_that_must_hold_in_every_run_needs_five():
    for verdict in (True, False, "replicated only in part", ("did not replicate", "better")):
        assert on_runs(5, verdict) == verdict
        assert on_runs(4, verdict) == "not shown"


def test_rule_says_where_the_opposite_begins():
    runs = np.arange(1.0, 7.0)
    assert Comparison(runs, "", above=0.5, none=0.5).rule.endswith("lies above 0.5; wholly below, it is the opposite.")
    assert Comparison(runs, "", below=7, none=7).rule.endswith("lies below 7; wholly above, it is the opposite.")
    assert Comparison(runs, "", above=-1, below=9).rule.endswith("wholly outside, it is the opposite.")
    assert Comparison(runs, "", above=0.5).rule.endswith("lies above 0.5; no effect is 0.")


def test_rule_about_runs_asks_where_they_lie_and_not_their_median():
    runs = np.array([0.9, *np.linspace(1.1, 1.3, 14)])
    assert Comparison(runs, "", above=1, none=1).verdict() == "replicated"
    of_runs = Comparison(runs, "", above=1, none=1, of_runs=True)
    assert of_runs.verdict() == "not shown"
    assert "the central 95 % of 15 runs, 0.9 to 1.3, lies above 1" in of_runs.rule
    assert of_runs.verdict(0.5) == "replicated"


def test_power_says_what_the_runs_could_have_shown():
    rng = np.random.default_rng(0)
    wide, narrow = (Comparison(scale * rng.standard_normal(15), "", above=0) for scale in (10, 1))

    def shown(outcome):
        return float(re.search(r"if the truth were ([\d.]+) or more", outcome.power)[1])

    assert shown(wide) > 5 * shown(narrow) > 0
    three = Comparison(np.ones(3, dtype=bool), "", above=0.5)
    assert "No outcome of 3 runs" in three.power
    assert " or less." in Comparison(np.arange(40) < 4, "", below=0.5, none=0.5).power
    assert "skewed" in Comparison(np.linspace(1.1, 9, 15), "", above=1, none=1).power
    assert Number([1.0, 2.0], 1.5, "", tolerance=0.5).power == "These runs exclude numbers below 0.5 and above 2.5."


@pytest.mark.parametrize(
    ("parts", "verdict"),
    [
        ((True, True), "replicated"),
        ((True, False), "replicated only in part"),
        ((True, None), "replicated only in part"),
        ((False, None), "did not replicate"),
        ((None,), "not measured"),
    ],
)
def test_verdict_on_conditions(parts, verdict):
    assert Conditions(parts, "", "a bound").verdict() == verdict


def test_verdict_follows_the_numbers():
    runs = np.linspace(0.96, 0.98, 25)
    assert Number(runs, 0.97, "", "higher").verdict() == "replicated"
    assert Number(runs + 0.02, 0.97, "", "higher").verdict() == "did not replicate"
    assert Number(runs + 0.02, 0.97, "", "higher").remark() == "better"
    assert Number(runs - 0.02, 0.97, "", "higher").verdict() == "weaker"
    assert Number(runs - 0.02, 0.97, "", "higher").verdict(tolerance=0.1) == "replicated"
    differences = np.linspace(-1, 3, 25)
    assert Comparison(differences, "", above=0).verdict(0.95) == "replicated"
    assert Comparison(differences, "", above=0).verdict(0.9999) == "not shown"
    assert Comparison(reading.of_runs(differences), "", above=0).verdict(0.95) == "replicated"
    assert Conditions((np.bool_(True), np.bool_(False)), "", "a; b").verdict() == "replicated only in part"


def test_reported_accuracies_are_valid_numbers():
    for claim in CLAIMS:
        if isinstance(claim.outcome, Number) and claim.outcome.is_accuracy:
            assert 0.5 < claim.outcome.reported < 1


def test_tables_contain_every_row_and_link_to_existing_chapters():
    text, second = replication.report().data, replication.contradictions().data
    assert text.count("\n") == len([claim for claim in CLAIMS if claim.shown]) + 1
    assert text.count("| ↳ ") == len([claim for claim in CLAIMS if claim.repeats])
    assert second.count("\n") == len(replication.CONTRADICTIONS) + 1
    assert {line.count(" | ") for line in text.splitlines()[2:]} == {6}
    assert {line.count(" | ") for line in second.splitlines()[2:]} == {5}
    for address in re.findall(r"\]\(([^)]+)\)", text + second):
        assert (BOOK / "part5-reality" / address).resolve().is_file(), address
    assert set(replication.EVIDENCE) <= {item["id"] for item in replication.CONTRADICTIONS}


@pytest.mark.parametrize("source", ["A", "B"])
def test_exhibits_hold_every_claim_once_and_every_figure_and_table(source):
    exhibits = replication.exhibits(source)
    rows = [row for exhibit in exhibits for row in exhibit.rows]
    expected = [claim.key for claim in CLAIMS if claim.key[0] == source and claim.shown]
    assert sorted(row.key for row in rows) == sorted(expected)
    assert len({exhibit.place for exhibit in exhibits}) == len(exhibits)
    numbers = {kind: {e.place for e in exhibits if e.place.startswith(kind)} for kind in ("figure", "table")}
    figures, tables = {"A": (15, 0), "B": (11, 10)}[source]
    assert numbers["figure"] == {f"figure {n}" for n in range(1, figures + 1)}
    assert {f"table {n}" for n in range(1, tables + 1)} <= numbers["table"]
    for exhibit in exhibits:
        assert (exhibit.verdict is None) == (not exhibit.rows)
        assert exhibit.title
        for address in exhibit.chapters.values():
            assert (BOOK / "part5-reality" / address).resolve().is_file()
    for row in rows:
        assert row.rule
        assert row.shown.startswith("not counted" if row.aside else row.verdict)
        assert row.counted == (not row.aside and not row.repeats)


@pytest.mark.parametrize(
    ("verdicts", "verdict"),
    [
        (["replicated", "replicated"], "replicated"),
        (["replicated", "not measured"], "replicated only in part"),
        (["replicated only in part", "opposite"], "replicated only in part"),
        (["not shown", "not measured"], "not shown"),
        (["weaker", "weaker"], "weaker"),
        (["weaker", "not shown"], "did not replicate"),
        ([], None),
    ],
)
def test_overall_verdict_claims_no_more_than_its_parts(verdicts, verdict):
    assert replication.overall([Verdict(name) for name in verdicts]) == verdict


# --- From zero --------------------------------------------------------------------------------------------------------


def results_of(folder: Path, **texts: str) -> Path:
    results = folder / "results"
    (results / "weights").mkdir(parents=True)
    for name, text in texts.items():
        (results / f"{name}.json").write_text(text, encoding="utf-8")
    (results / "weights" / "first.npz").write_text("old weights", encoding="utf-8")
    return results


def steps(*names: str) -> list[plan.Step]:
    return [plan.Step(name, 1.0) for name in names]


def write(name: str, folder: Path) -> None:
    (folder / f"{name}.json").write_text(f"new {name}", encoding="utf-8")
    if name == "first":
        (folder / "weights").mkdir()
        (folder / "weights" / "first.npz").write_text("new weights", encoding="utf-8")


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in files}


def test_new_results_replace_the_old_and_nothing_is_lost(tmp_path):
    results = results_of(tmp_path, first="old first", second="old second", other="old other")
    old, seconds = rerun.repeat(steps("first", "second"), results=results, run=write)
    assert contents(results) == {
        "first.json": "new first",
        "second.json": "new second",
        "other.json": "old other",
        "weights/first.npz": "new weights",
    }
    assert contents(old) == {
        "first.json": "old first",
        "second.json": "old second",
        "weights/first.npz": "old weights",
    }
    assert seconds >= 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results", old.name]


def test_run_interrupted_while_marking_a_step_resumes_with_that_step(tmp_path, monkeypatch):
    results = results_of(tmp_path, first="old first", second="old second")

    def end(_):
        raise KeyboardInterrupt

    def again(name: str, folder: Path) -> None:
        shutil.rmtree(folder / "weights", ignore_errors=True)
        write(name, folder)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", end)
        with pytest.raises(KeyboardInterrupt):
            rerun.repeat(steps("first", "second"), results=results, run=again)
    rerun.repeat(steps("first", "second"), results=results, run=again)
    assert contents(results)["second.json"] == "new second"


def test_failed_step_keeps_the_old_results_and_the_next_run_resumes(tmp_path):
    results = results_of(tmp_path, first="old first", second="old second")
    before, calls = contents(results), []

    def fail_at_second(name: str, folder: Path) -> None:
        calls.append(name)
        if name == "second" and calls.count("second") == 1:
            raise RuntimeError("by hand")
        write(name, folder)

    with pytest.raises(RuntimeError, match="by hand"):
        rerun.repeat(steps("first", "second"), results=results, run=fail_at_second)
    assert contents(results) == before
    rerun.repeat(steps("first", "second"), results=results, run=fail_at_second)
    assert calls == ["first", "second", "second"]
    assert contents(results)["second.json"] == "new second"


def test_step_without_a_result_raises_and_is_restarted(tmp_path):
    results = results_of(tmp_path, first="old first")
    before = contents(results)
    with pytest.raises(RuntimeError, match="first left no result"):
        rerun.repeat(steps("first"), results=results, run=lambda name, folder: None)
    assert contents(results) == before
    rerun.repeat(steps("first"), results=results, run=write)
    assert contents(results)["first.json"] == "new first"


def test_store_with_a_failed_run_does_not_replace_a_complete_one(tmp_path):
    results = results_of(tmp_path)
    (results / "first.jsonl").write_text("old", encoding="utf-8")
    before, broken = contents(results), [True]

    def train(width, seed):
        if broken[0] and width == 2:
            raise FileNotFoundError("the weights")
        return {"twice": 2 * width}

    def run(name: str, folder: Path) -> None:
        sweep(train, {"width": [1, 2]}, [0], store=folder / f"{name}.jsonl", progress=False)

    with (
        pytest.warns(RuntimeWarning, match="1 of 2 runs failed"),
        pytest.raises(
            RuntimeError, match=r"1 of 2 runs of first failed; .*'width': 2.* FileNotFoundError: the weights"
        ),
    ):
        rerun.repeat(steps("first"), results=results, run=run)
    assert contents(results) == before
    broken[0] = False
    rerun.repeat(steps("first"), results=results, run=run)
    # Rows are stored in the order in which they finished.
    rows = load_rows(results / "first.jsonl")
    assert {row["config"]["width"]: row["result"]["twice"] for row in rows} == {1: 2, 2: 4}


def test_experiment_writes_to_the_given_folder(tmp_path, monkeypatch):
    """A tiny experiment, run with the same processes, environment and helpers as the real ones."""
    package = tmp_path / "book"
    for source in ("__init__.py", "experiments/__init__.py"):
        (package / source).parent.mkdir(parents=True, exist_ok=True)
        (package / source).write_text((BOOK / source).read_text(encoding="utf-8"), encoding="utf-8")
    (package / "experiments" / "tiny.py").write_text(
        "from lab import results\n"
        "from lab.sweep import sweep\n\n\n"
        "def train(width, seed):\n    return {'twice': 2 * width + seed}\n\n\n"
        "if __name__ == '__main__':\n"
        "    sweep(train, {'width': [1, 2]}, [0], store=results.RESULTS / 'tiny.jsonl', n_jobs=1, progress=False)\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(plan, "BOOK", package)
    monkeypatch.setattr(rerun, "ROOT", tmp_path)
    results = results_of(tmp_path)
    (results / "tiny.jsonl").write_text("old", encoding="utf-8")
    old, _ = rerun.repeat(plan.plan(["tiny"], results=results_of(tmp_path / "none")), results=results)
    assert [row["result"]["twice"] for row in load_rows(results / "tiny.jsonl")] == [2, 4]
    assert (old / "tiny.jsonl").read_text(encoding="utf-8") == "old"


def test_plan_covers_everything_and_orders_dependencies_first():
    order = [step.name for step in plan.plan()]
    assert sorted(order) == sorted(path.stem for path in (BOOK / "experiments").glob("[!_]*.py"))
    assert [step.name for step in plan.plan(["latent_maps"])] == ["latent_codes", "latent_maps"]
    for name, needed in plan.NEEDS.items():
        assert order.index(needed) < order.index(name)
    with pytest.raises(SystemExit, match="there is no experiment 'invented'"):
        plan.plan(["invented"])


def test_needs_lists_every_experiment_that_reads_stored_weights():
    assert readers_of_weights(BOOK / "experiments") == set(plan.NEEDS)


def test_reader_of_weights_is_found_through_two_imports(tmp_path):
    for name, text in {
        "loads": "def kept():\n    return nn.load_checkpoint('a.npz')\n\ndef other():\n    return 1\n",
        "uses": "from book.experiments.loads import kept\n\ndef codes():\n    return kept().encode()\n",
        "sweeps": "from book.experiments.uses import codes\n\ndef train(seed):\n    return codes()\n",
        "trains": "from book.experiments.loads import other\n\ndef train(seed):\n    return other()\n",
    }.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    assert readers_of_weights(tmp_path) == {"loads", "uses", "sweeps"}


def readers_of_weights(folder: Path) -> set[str]:
    """Return the modules with a function that loads a checkpoint, directly or through one that may be shared."""
    paths = list(folder.rglob("[!_]*.py"))
    functions = [
        (path.stem, node.name, {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}, ast.unparse(node))
        for path in paths
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
    ]
    imported = {
        (path.stem, alias.asname or alias.name): (str(node.module).rpartition(".")[2], alias.name)
        for path in paths
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    readers = {(module, name) for module, name, _, source in functions if "load_checkpoint(" in source}
    while True:
        found = {
            (module, name)
            for module, name, used, _ in functions
            if any(imported.get((module, other), (module, other)) in readers for other in used)
        }
        if found <= readers:
            return {module for module, _ in readers} & {path.stem for path in folder.glob("*.py")}
        readers |= found


def test_expected_seconds_come_from_the_results(tmp_path):
    assert plan.Step("sweep", 100.0, 20.0).expected(4) == 25
    assert plan.Step("sweep", 100.0, 40.0).expected(4) == 40  # More cores do not shorten the longest run.
    assert plan.Step("recorded", 100.0).expected(4) == 100
    assert plan.Step("never ran", None).expected(4) is None
    text = plan.table([plan.Step("sweep", 7200.0, 20.0), plan.Step("never ran", None)], 2)
    assert re.search(r"sweep +1 h 00 min", text)
    assert re.search(r"never ran +unknown", text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(12.4, "12 s"), (200, "3 min 20 s"), (3600, "1 h 00 min"), (3899, "1 h 04 min")]
)
def test_durations_are_readable(seconds, text):
    assert plan.duration(seconds) == text
