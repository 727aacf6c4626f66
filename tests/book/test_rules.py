"""Rules before results: each experiment has its questions and bounds beside it, committed before its rows."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import pytest

from lab.provenance import ROOT, git, ran, rules_hash
from lab.sweep import load_rows
from nnkit.files import read_json

EXPERIMENTS = ROOT / "book" / "experiments"
NAMES = sorted(path.stem for path in EXPERIMENTS.glob("[!_]*.py"))

# Both lists only become shorter: a name that no longer belongs there is a failure.
RAN_WITHOUT_RULES = {
    *("autoencoder_deep", "autoencoder_grid", "denoising", "svm_learning_curve"),
    *("latent_codes", "latent_maps", "latent_walks", "nearest_neighbours"),
    *("mnist_best", "mnist_sweeps"),
}
"""Experiments whose results are from before their rules, until they are run again."""


def runs_of(name: str) -> list[dict[str, str]]:
    """Return the provenance of each run, or of the whole result; nothing if there is no result yet."""
    store, whole = (ROOT / "book" / "results" / f"{name}.{kind}" for kind in ("jsonl", "json"))
    if store.is_file():
        return [row["result"] for row in load_rows(store)]
    return [read_json(whole)["provenance"]] if whole.is_file() else []


def fault(run: dict[str, str], rules: Path, root: Path = ROOT) -> str | None:
    """Return what is wrong with the rules that a run names, if anything."""

    def in_history(*words: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(["git", *words], cwd=root, capture_output=True, check=False)

    commit, before = run["commit"], run["rules_commit"]
    if in_history("merge-base", "--is-ancestor", before, commit).returncode:
        return f"its rules, of {before}, do not come before its code, of {commit}"
    then = in_history("show", f"{commit}:{rules.relative_to(root).as_posix()}")
    known = {rules_hash(rules.read_bytes())} | ({rules_hash(then.stdout)} if then.returncode == 0 else set())
    if run["rules"] in known:
        return None
    return f"its rules, {run['rules']}, are neither those of {commit} nor those of now"


def test_every_experiment_has_its_rules():
    assert [name for name in NAMES if not (EXPERIMENTS / f"{name}.toml").is_file()] == []
    assert {path.stem for path in EXPERIMENTS.glob("*.toml")} <= set(NAMES)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_rules_say_what_is_asked_and_what_answers_it(name):
    rules = tomllib.loads((EXPERIMENTS / f"{name}.toml").read_text(encoding="utf-8"))
    assert isinstance(rules.pop("after_a_first_run"), bool)
    questions = {name: rules.pop(name) for name in list(rules) if isinstance(rules[name], dict)}
    assert questions
    for question in questions.values():
        assert question.pop("asks").endswith("?")
        assert question.pop("rule")
    for number in (number for numbers in (rules, *questions.values()) for number in numbers.values()):
        assert all(type(each) in (int, float) for each in (number if isinstance(number, list) else [number]))


@pytest.mark.parametrize("name", NAMES)
def test_rules_came_before_the_runs_that_name_them(name):
    runs = runs_of(name)
    named = [run for run in runs if "rules" in run]
    if name in RAN_WITHOUT_RULES:
        assert runs
        assert not named, "it has been run again: take it from RAN_WITHOUT_RULES"
        return
    assert len(named) == len(runs)
    if not git("rev-parse", "HEAD"):
        pytest.skip("there is no history to look in")
    keys = ("rules", "rules_commit", "commit")
    for run in [dict(zip(keys, each, strict=True)) for each in {tuple(run[key] for key in keys) for run in named}]:
        assert fault(run, EXPERIMENTS / f"{name}.toml") is None, run


@pytest.fixture
def history(tmp_path):
    """A repository of three commits: code, then rules, then other code; and a function that gives their names."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)

    def committed(name: str, text: str) -> str:
        (tmp_path / name).write_text(text, encoding="utf-8")
        who = ["-c", "user.name=n", "-c", "user.email=n@example.org"]
        for words in (["add", "."], [*who, "commit", "-qm", name]):
            subprocess.run(["git", *words], cwd=tmp_path, check=True)
        words = ["git", "rev-parse", "--short=12", "HEAD"]
        return subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip()

    return tmp_path, committed


def test_rules_that_come_too_late_or_differ_are_caught(history):
    root, committed = history
    before = committed("a.py", "old")
    rules = committed("a.toml", "above = 0\n")
    after = committed("a.py", "new")
    right = {"rules": rules_hash(b"above = 0\n"), "rules_commit": rules, "commit": after}
    assert fault(right, root / "a.toml", root) is None
    assert fault(right | {"commit": rules}, root / "a.toml", root) is None
    assert "do not come before" in fault(right | {"commit": before}, root / "a.toml", root)
    assert "do not come before" in fault(right | {"rules_commit": "unknown"}, root / "a.toml", root)
    assert "neither those of" in fault(right | {"rules": rules_hash(b"above = -1\n")}, root / "a.toml", root)
    # A later edit does not hurt the rows of before, but is no excuse for a row of before that names it.
    later = committed("a.toml", "above = -1\n")
    assert fault(right, root / "a.toml", root) is None
    eased = right | {"rules": rules_hash(b"above = -1\n"), "rules_commit": later}
    assert "do not come before" in fault(eased, root / "a.toml", root)
    assert fault(eased | {"commit": later}, root / "a.toml", root) is None


def test_a_run_names_the_rules_beside_its_experiment():
    run = ran(str(EXPERIMENTS / "mnist_best.py"))
    assert run["rules"] == rules_hash((EXPERIMENTS / "mnist_best.toml").read_bytes())
    assert "rules" not in ran()
