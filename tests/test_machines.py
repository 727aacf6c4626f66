"""Other machines: what CI runs where, folders with any name, and folders that cannot be written."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = {path.name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in ROOT.glob(".github/workflows/*")}
JOBS = WORKFLOWS["ci.yml"]["jobs"]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
OF_THE_PACKAGE = (ROOT / "tests" / "package.txt").read_text(encoding="utf-8").splitlines()


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
    assert commands("package")[-1] == 'python -m pytest -q -n 2 "@tests/package.txt"'
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


def test_tests_of_the_package_are_all_listed_and_need_no_book():
    of_the_book = re.compile(r'^(from|import) (book|benchmarks|tests)\b|/ "book"', re.M)
    expected = {
        f"tests/{path.name}"
        for path in (ROOT / "tests").glob("test_*.py")
        if not of_the_book.search(path.read_text(encoding="utf-8"))
    }
    assert sorted(expected) == OF_THE_PACKAGE
