"""The commands of the README for those who have no make: they are what make runs, and they run."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from website.chapters import notebooks

ROOT = Path(__file__).resolve().parent.parent


def plain_commands() -> list[str]:
    """Return the commands that the README gives to those who have no make."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("### Without make\n")[1].split("\n## ")[0]
    return [line for block in re.findall(r"```sh\n(.*?)```", section, re.S) for line in block.splitlines()]


def run_plain(start: str, *more: str, cwd: Path = ROOT, **env: str) -> str:
    """Run the one plain command that begins so, as if the environment were active, and return what it prints."""
    (command,) = [line for line in plain_commands() if line.startswith(start)]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    program, *words = shlex.split(command)
    done = subprocess.run(
        [shutil.which(program, path=path), *words, *more],
        cwd=cwd,
        env=os.environ | {"PATH": path} | env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make, to compare with")
def test_commands_without_make_are_what_make_runs():
    targets = ["env", "book", "test-code", "test-notebooks", "lab"]
    shown = subprocess.run(
        ["make", "-C", str(ROOT), "--dry-run", "--always-make", "PYTHON=python3", *targets],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    ran = [line.removeprefix(".venv/bin/").split(" || ")[0] for line in shown.splitlines()]
    plain = [line for line in plain_commands() if line != "source .venv/bin/activate"]
    assert [line for line in ran if line in plain] == plain
    assert len(plain) == 3 + 4


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has other words for these two, as the README says")
def test_the_environment_without_make_is_made_and_activated(tmp_path):
    make, activate = plain_commands()[:2]
    make = re.sub("^python3", shlex.quote(sys.executable), make)
    script = f"set -eu\n{make}\n{activate}\npython -c 'import sys; print(sys.prefix)'\npython -m pip --version"
    shown = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    prefix, pip = shown.splitlines()
    assert Path(prefix).samefile(tmp_path / ".venv")
    assert str(tmp_path) in pip


@pytest.mark.slow
def test_what_is_installed_without_make_is_what_runs_these_tests():
    # Without an index, pip fails for whatever is not here yet.
    shown = run_plain("python -m pip install -r", "--dry-run", "--no-index", PIP_QUIET="0")
    assert "Requirement already satisfied: numpy==" in shown
    assert "Would install" not in shown


@pytest.mark.slow
def test_the_site_is_built_without_make(tmp_path):
    # `make test` has built the whole book with this command; here, a book of one page.
    (tmp_path / "_config.yml").write_text("title: A book\n", encoding="utf-8")
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: index\n", encoding="utf-8")
    (tmp_path / "index.md").write_text("# The page\n", encoding="utf-8")
    run_plain("jupyter-book build", cwd=tmp_path)
    assert "The page" in (tmp_path / "_build" / "html" / "index.html").read_text(encoding="utf-8")


def test_tests_have_one_thread_a_process_without_make_too():
    exported = dict(re.findall(r"^export (\w+_NUM_THREADS) := (\w+)$", (ROOT / "Makefile").read_text("utf-8"), re.M))
    assert len(exported) == 3
    bare = {name: value for name, value in os.environ.items() if name not in exported}
    asks = "import json, os, sys, conftest; assert 'numpy' not in sys.modules; print(json.dumps(dict(os.environ)))"
    shown = subprocess.run([sys.executable, "-c", asks], cwd=ROOT, env=bare, capture_output=True, text=True, check=True)
    assert exported.items() <= json.loads(shown.stdout).items()


def test_tests_are_found_without_make(request):
    *_, asked_for = next(line for line in plain_commands() if " tests" in line).split()
    if request.config.args != [asked_for]:
        pytest.skip(f"the tests were not started as the README says, with {asked_for}")
    skipped = set() if importlib.util.find_spec("torch") else {"test_torch_oracle.py"}
    there = {path for path in (ROOT / "tests").rglob("test_*.py") if path.name not in skipped}
    assert there <= {item.path for item in request.session.items}


@pytest.mark.slow
def test_notebooks_are_found_without_make():
    shown = run_plain("python -m pytest -q -n 2 --nbval", "--collect-only")
    found = set(re.findall(r"^(book/.*?\.ipynb)::", shown, re.M))
    assert found == {path.relative_to(ROOT).as_posix() for path in notebooks()}


@pytest.mark.slow
def test_the_lab_opens_without_make(tmp_path):
    shown = run_plain("jupyter lab", "--show-config-json", JUPYTER_RUNTIME_DIR=str(tmp_path))
    server = json.loads(shown)["ServerApp"]
    assert (ROOT / server["root_dir"]).samefile(ROOT)
    assert Path(server["file_to_run"]).is_file()
