"""Other machines: what CI runs where, folders with any name, and folders that cannot be written."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from lab import results

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = {path.name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in ROOT.glob(".github/workflows/*")}
JOBS = WORKFLOWS["ci.yml"]["jobs"]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]


# --- What CI runs ---------------------------------------------------------------------------------------------------


def commands(job: str) -> list[str]:
    return [step["run"] for step in JOBS[job]["steps"] if "run" in step]


def steps() -> list[dict]:
    return [step for workflow in WORKFLOWS.values() for job in workflow["jobs"].values() for step in job["steps"]]


def test_every_python_runs_everything_on_linux_and_the_package_elsewhere():
    assert f">={PYTHONS[0]}" == PYPROJECT["project"]["requires-python"]
    everything, package = JOBS["everything"], JOBS["package"]
    assert everything["runs-on"] == "ubuntu-latest"
    assert everything["strategy"]["matrix"] == {"python": PYTHONS}
    assert commands("everything") == [".ci/run"]
    assert package["runs-on"] == "${{ matrix.os }}"
    assert package["strategy"]["matrix"] == {"os": ["macos-latest", "windows-latest"], "python": PYTHONS}
    assert commands("package")[-1] == "python -m pytest -q -n 2 tests/nnkit tests/lab"
    for text in ("README.md", "CONTRIBUTING.md"):
        assert f"Python {PYTHONS[0]} to {PYTHONS[-1]}" in (ROOT / text).read_text(encoding="utf-8"), text


def test_no_job_stops_another_waits_for_ever_or_lacks_the_history():
    for workflow in WORKFLOWS.values():
        for name, job in workflow["jobs"].items():
            assert 0 < job["timeout-minutes"] <= 60, name
            assert job.get("strategy", {"fail-fast": False})["fail-fast"] is False, name
    used = [step for step in steps() if "uses" in step]
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"]) for step in used)
    checkouts = [step["with"] for step in used if step["uses"].startswith("actions/checkout@")]
    assert len(checkouts) == sum(len(workflow["jobs"]) for workflow in WORKFLOWS.values())
    assert all(options["fetch-depth"] == 0 for options in checkouts)
    for step in used:
        if step["uses"].startswith("actions/setup-python@"):
            assert step["with"]["cache"] == "pip"
            assert (ROOT / step["with"]["cache-dependency-path"]).is_file()


def test_the_oldest_job_takes_the_oldest_of_all_that_the_package_allows():
    project = PYPROJECT["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    allowed = {Requirement(text).name: str(Requirement(text).specifier) for group in lists for text in group}
    del allowed["nnkit"]
    lines = (ROOT / "constraints-oldest.txt").read_text(encoding="utf-8").splitlines()
    oldest = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert oldest.keys() - allowed.keys() == {"pytest", "pyparsing"}
    for name, bound in allowed.items():
        assert re.fullmatch(rf"{re.escape(bound.removeprefix('>='))}(\.0)*", oldest[name]), name
    install, test = commands("oldest")
    assert '-c constraints-oldest.txt --editable ".[book,dask]"' in install
    assert test == commands("package")[-1]
    (setup,) = (step for step in JOBS["oldest"]["steps"] if step.get("uses", "").startswith("actions/setup-python@"))
    assert setup["with"]["python-version"] == PYTHONS[0]


def test_each_extra_asks_for_the_same_release_of_what_it_shares_with_another():
    seen: dict[str, str] = {}
    for group in PYPROJECT["project"]["optional-dependencies"].values():
        for requirement in map(Requirement, group):
            assert seen.setdefault(requirement.name, str(requirement.specifier)) == str(requirement.specifier)


# Without what this run's own make says to those that it starts.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}


# --- A folder with any name -----------------------------------------------------------------------------------------

# Stands for each program of the environment: writes down how it was called, and with which paths.
PROGRAM = """#!/bin/bash
printf '%s\\n' "$PWD" "$0" "$@" "$NNKIT_DATA" "${XDG_CACHE_HOME-}" "$MPLCONFIGDIR" "---" >>"$CALLS"
"""


def calls(folder: Path) -> str:
    """Make every target in a folder whose programs are stand-ins; return how these were called, from there."""
    chapter, programs = folder / "book" / "part1-foundations", folder / ".venv" / "bin"
    for made in (chapter, programs):
        made.mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", folder)
    (chapter / "01-linear-regression.ipynb").write_text("load_mnist", encoding="utf-8")
    for name in ("requirements.txt", "constraints.txt", "pyproject.toml", ".venv/installed"):
        (folder / name).touch()
    for name in ("python", "jupyter", "jupyter-book", "ruff", "mypy"):
        (programs / name).write_text(PROGRAM, encoding="utf-8")
        (programs / name).chmod(0o755)
    log = folder.parent / "calls.txt"
    targets = "test quick test-package pdf lint lab notebooks experiments replicate bench"
    done = subprocess.run(
        ["make", *targets.split()],
        cwd=folder,
        env=ENVIRONMENT | {"CALLS": str(log), "NNKIT_DATA": "digits"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return log.read_text(encoding="utf-8").replace(str(folder), "HERE")


def test_make_works_the_same_in_a_folder_with_spaces_and_accents(tmp_path):
    plain, odd = tmp_path / "plain" / "book", tmp_path / "odd" / "réseaux d'été (copie 2)"
    for folder in (plain, odd):
        folder.mkdir(parents=True)
    expected = calls(plain)
    assert expected.count("\n---\n") >= 18
    assert calls(odd) == expected


# --- A folder that cannot be written ----------------------------------------------------------------------------------


@pytest.fixture
def read_only():
    """Return a folder that nobody may write, not in the one of the tests, which others may not even enter."""
    folder = Path(tempfile.mkdtemp())
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def as_nobody(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as a user to whom permissions apply, as they do not to root."""
    user = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    return subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, **user)


@pytest.mark.parametrize("target", ["env", "book", "test", "lint", "lab", "notebooks", "experiments", "bench", "clean"])
def test_make_says_in_one_sentence_that_a_checkout_cannot_be_written(target, read_only):
    shutil.copy(ROOT / "Makefile", read_only)
    read_only.chmod(0o555)
    done = as_nobody(["make", target], read_only)
    assert (done.returncode, done.stdout) == (2, "")
    sentence = f"{read_only} cannot be written: copy the checkout, without .venv and _build, to a folder of your own"
    assert re.fullmatch(rf"Makefile:\d+: \*\*\* {sentence} and run make there\.  Stop\.\n", done.stderr)
    assert [path.name for path in read_only.iterdir()] == ["Makefile"]


def test_make_names_the_site_where_that_alone_cannot_be_written(read_only):
    shutil.copy(ROOT / "Makefile", read_only)
    (read_only / "_build").mkdir()
    (read_only / "_build").chmod(0o555)
    read_only.chmod(0o777)
    assert f"{read_only}/_build cannot be written" in as_nobody(["make", "book"], read_only).stderr


def test_make_help_needs_to_write_nothing(read_only):
    shutil.copy(ROOT / "Makefile", read_only)
    read_only.chmod(0o555)
    for command in (["make"], ["make", "help"]):
        done = as_nobody(command, read_only)
        assert (done.returncode, done.stderr) == (0, "")
        assert "make book" in done.stdout


@pytest.fixture
def no_folder(tmp_path):
    """Return a path that cannot become a folder, whoever asks for it."""
    (tmp_path / "file").touch()
    return tmp_path / "file" / "results"


def test_a_folder_that_may_be_written_or_made_is_no_error(tmp_path):
    results.refuse_unwritable(tmp_path)
    results.refuse_unwritable(tmp_path / "to" / "be" / "made")


def test_a_folder_that_cannot_be_written_is_one_sentence(no_folder, monkeypatch, tmp_path):
    said = (
        r"^\S+ cannot be written: copy the checkout, without \.venv and _build, to a folder of your own and run this "
    )
    with pytest.raises(SystemExit, match=said):
        results.refuse_unwritable(no_folder)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(SystemExit, match=said):
        results.refuse_unwritable(tmp_path)


def test_an_experiment_is_refused_before_it_runs(no_folder, monkeypatch):
    from book.experiments.shared import runs

    monkeypatch.setattr(results, "RESULTS", no_folder)
    with pytest.raises(SystemExit, match="cannot be written"):
        runs.record("trial", lambda: pytest.fail("it ran"), setup={})


def test_chapters_are_refused_before_they_run(no_folder, monkeypatch):
    from tools import execute

    monkeypatch.setattr("sys.argv", ["execute"])
    monkeypatch.setattr(execute, "chapters", lambda words: [no_folder / "01.ipynb"])
    monkeypatch.setattr(execute, "execute", lambda path: pytest.fail("it ran"))
    with pytest.raises(SystemExit, match="cannot be written"):
        execute.main()


def test_results_are_refused_before_they_are_repeated(no_folder, monkeypatch):
    from tools import rerun

    monkeypatch.setattr("sys.argv", ["rerun", "xor_seeds"])
    monkeypatch.setattr(rerun, "BOOK", no_folder)
    monkeypatch.setattr(rerun, "plan", lambda names: [])
    monkeypatch.setattr(rerun, "table", lambda steps, n_cores, chapters: "")
    monkeypatch.setattr(rerun, "commit", lambda: "0123456789ab")
    monkeypatch.setattr(rerun, "repeat", lambda steps: pytest.fail("it ran"))
    with pytest.raises(SystemExit, match="cannot be written"):
        rerun.main()
