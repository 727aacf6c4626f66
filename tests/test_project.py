"""The project itself: the README's example runs, and the repository contains nothing that it should not."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.planted_bugs import bugs
from tools import execute

ROOT = Path(__file__).resolve().parent.parent
MAX_FILE_BYTES = 1_500_000


def tracked() -> list[Path]:
    if shutil.which("git") is None:
        pytest.skip("git is not installed, so the checkout's files cannot be listed")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("this is not a git checkout, so its files cannot be listed")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:using scikit-learn's 1,797 digits")
def test_readme_example_runs(capsys):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    example = re.search(r"```python\n(.*?)```", text, re.S)[1]
    assert len([line for line in example.splitlines() if line]) == 5
    exec(example, {})
    assert 0.85 < float(capsys.readouterr().out) < 1


def test_files_named_in_the_readme_exist():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / path).is_file(), path


def test_makefile_targets_named_in_the_docs_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    for name in ("README.md", "CONTRIBUTING.md", "benchmarks/README.md", "book/index.md"):
        used = set(re.findall(r"`?make ([a-z-]+)", (ROOT / name).read_text(encoding="utf-8")))
        used -= {"an", "the", "it", "much", "what", "and", "all", "a"}
        assert used <= targets, (name, used - targets)


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize(
    "given", ["../digits", "digits", "my digits", "/some/digits", "/some/my digits", "~/digits", "none"]
)
def test_make_gives_chapters_an_absolute_data_path(given):
    shown = subprocess.run(
        ["make", "-s", "-C", str(ROOT), "--no-print-directory", "--eval", 'show: ; @echo "$$NNKIT_DATA"', "show"],
        env=os.environ | {"NNKIT_DATA": given},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert shown == (given if given[0] in "/~" or given == "none" else f"{ROOT}/{given}")


@pytest.mark.parametrize("given", ["digits", "none"])
def test_executed_chapters_get_an_absolute_data_path(given, monkeypatch, tmp_path):
    seen = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NNKIT_DATA", given)
    monkeypatch.setattr("sys.argv", ["execute", "01"])
    monkeypatch.setattr(execute, "warn_unless_committed", lambda commit: None)
    monkeypatch.setattr(execute, "execute", lambda path: seen.append(os.environ["NNKIT_DATA"]) or 0.0)
    execute.main()
    assert seen == ["none" if given == "none" else str(tmp_path / given)]


def test_no_tracked_file_is_large_or_data():
    for path in tracked():
        assert path.stat().st_size <= MAX_FILE_BYTES, path
        assert not path.name.endswith("ubyte.gz"), path


CORE = (
    "module layers activations losses initializers optimizers schedulers training callbacks history gradcheck metrics "
    "checkpoint autoencoder"
)


def lines_of(*paths: Path) -> int:
    return sum(path.read_text(encoding="utf-8").count("\n") for path in paths)


def test_the_package_can_be_read_in_an_afternoon():
    assert lines_of(*(ROOT / "nnkit" / f"{name}.py" for name in CORE.split())) <= 2600
    assert lines_of(*(path for path in tracked() if path.relative_to(ROOT).parts[0] == "nnkit")) <= 4850


def code_lines(function: ast.FunctionDef) -> int:
    """Return the number of lines of a function on which code begins, its docstring not counted."""
    body = function.body[ast.get_docstring(function) is not None :]
    return len({node.lineno for part in body for node in ast.walk(part) if hasattr(node, "lineno")})


def test_no_function_has_more_than_forty_lines_of_code():
    long = {
        f"{path.relative_to(ROOT)}: {node.name}": code_lines(node)
        for path in tracked()
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] != "tests"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and code_lines(node) > 40
    }
    assert long == {}


def test_no_file_contains_a_home_folder_path():
    home = re.compile(re.escape(str(ROOT)) + "|" + re.escape(str(Path.home())) + r"/[\w.]")
    for path in tracked():
        if path.suffix in {".py", ".md", ".yml", ".toml", ".txt", ".ipynb", ".json", ""}:
            assert not home.search(path.read_text(encoding="utf-8", errors="ignore")), path


def pins(name: str) -> dict[str, str]:
    """Return the version of each distribution pinned in a requirements file; any other line is an error."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    found = {}
    for line in lines:
        if line and not line.startswith("#") and line != "-c constraints.txt":
            pin = re.fullmatch(r"([\w.-]+)==([\w.]+)", line)
            assert pin, line
            found[canonicalize_name(pin[1])] = pin[2]
    return found


def test_requirements_and_their_dependencies_are_pinned():
    required, pinned = pins("requirements.txt"), pins("constraints.txt")
    assert required.items() <= pinned.items()
    assert "-c constraints.txt" in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    waiting, seen = sorted(required), {*required, "setuptools"}  # It comes with Python.
    while waiting:
        name = waiting.pop()
        assert name in pinned, f"{name} is not in constraints.txt, whose first lines say how to update it"
        try:
            requirements = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:  # For another system, or not required here.
            continue
        for requirement in map(Requirement, requirements):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                brought = canonicalize_name(requirement.name)
                waiting += [brought] if brought not in seen else []
                seen.add(brought)


def test_every_planted_bug_still_has_its_line():
    for bug in bugs():
        assert (ROOT / bug["file"]).read_text(encoding="utf-8").count(bug["line"]) == 1, bug["line"]
    assert len(bugs()) >= 30
