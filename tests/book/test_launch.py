"""What a chapter needs to run on Colab, on Binder, downloaded by itself, or with another Python."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import types
import venv
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from tests.patience import PATIENCE
from tools import launch
from tools.execute import source_hash
from website.chapters import notebooks

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = sorted((ROOT / "book").glob("part*/*.ipynb"))


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_first_code_cell_fetches_the_book_on_colab(path):
    notebook = nbformat.read(path, as_version=4)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    assert launch.is_launch(first)
    assert first.source == launch.launch_source(path.parent.name)
    assert "remove-cell" in first.metadata.tags
    again = launch.with_launch(nbformat.read(path, as_version=4), path.parent.name)
    assert again == notebook


def test_launch_cell_does_nothing_if_everything_is_installed(monkeypatch, capsys):
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("must not run a program"))
    monkeypatch.chdir(ROOT / "book" / "part1-foundations")
    exec(launch.launch_source("part1-foundations"), {})
    assert Path.cwd() == ROOT / "book" / "part1-foundations"
    assert capsys.readouterr() == ("", "")


def error_of_first_cell(path: Path, kernel: str) -> str:
    """Run a chapter in its folder; the launch cell must stop the run. Return what the reader sees below it."""
    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(path.parent)}}
    quiet = ["--log-level=ERROR"]  # A kernel warns at every start that it communicates over TCP.
    client = NotebookClient(notebook, kernel_name=kernel, timeout=PATIENCE, resources=where, extra_arguments=quiet)
    with pytest.raises(CellExecutionError):
        client.execute()
    assert client.code_cells_executed == 1
    (output,) = next(cell for cell in notebook.cells if launch.is_launch(cell)).outputs
    assert output.output_type == "error"
    (shown,) = output.traceback  # One traceback entry with the sentence: no code and no frames.
    return shown


@pytest.fixture
def other_kernel(tmp_path, monkeypatch):
    """Make a kernel with all the packages of this one except nnkit; return its name and its Python."""
    builder = venv.EnvBuilder(symlinks=os.name != "nt")
    builder.create(tmp_path / "other")
    python = builder.ensure_directories(tmp_path / "other").env_exe
    ask = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
    # Contents of linked folders, such as that of an editable nnkit, are not linked.
    Path(site, "packages.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    spec = tmp_path / "jupyter" / "kernels" / "other" / "kernel.json"
    spec.parent.mkdir(parents=True)
    words = [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec.write_text(json.dumps({"argv": words, "display_name": "Other", "language": "python"}), encoding="utf-8")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    return "other", python


@pytest.mark.parametrize("kernel", ["python3", "other"])
def test_chapter_alone_in_a_folder_says_how_to_get_the_rest(kernel, other_kernel, tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    alone = tmp_path / "downloads" / CHAPTERS[0].name
    alone.parent.mkdir()
    shutil.copy(CHAPTERS[0], alone)
    address = launch.repository()["url"]
    shown = error_of_first_cell(alone, kernel)
    assert shown.startswith("This chapter needs the rest of the book around it")
    assert f"\n\n    git clone {address}\n    cd {address.rsplit('/', 1)[1]}\n    make lab\n\n" in shown


def test_chapter_opened_with_another_python_says_which_one_it_needs(other_kernel):
    kernel, python = other_kernel
    shown = error_of_first_cell(CHAPTERS[0], kernel)
    assert shown.startswith(
        f"This chapter needs nnkit and lab, which {python} lacks. Choose the Python in {ROOT / '.venv'} as"
    )
    assert f'\n\n    cd "{ROOT}"\n    make lab\n\n' in shown


def test_missing_package_of_any_part_is_named(monkeypatch):
    monkeypatch.chdir(ROOT / "book" / "part1-foundations")
    found = importlib.util.find_spec
    for name in ("nnkit", "lab", "matplotlib", "sklearn", "joblib", "anywidget"):
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda asked, name=name: None if asked == name else found(asked)
        )
        with pytest.raises(ImportError, match=f"This chapter needs {name}, which"):
            exec(launch.launch_source("part1-foundations"), {})


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed, and the cell needs it to fetch the book")
def test_launch_cell_clones_installs_and_changes_to_the_chapter_folder(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    # The repository's address is redirected to this folder, and pip is only recorded.
    (tmp_path / "git").mkdir()
    subprocess.run(["git", "init", "-q", "-b", launch.repository()["branch"], "git"], cwd=tmp_path, check=True)
    chapter = tmp_path / "git" / "book" / "part1-foundations" / "chapter.ipynb"
    chapter.parent.mkdir(parents=True)
    chapter.touch()
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", "add", "."], cwd=tmp_path / "git", check=True)
    subprocess.run(["git", *identity, "commit", "-qm", "a"], cwd=tmp_path / "git", check=True)
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.file://{tmp_path / 'git'}.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", launch.repository()["url"])
    run, installed = subprocess.run, []
    monkeypatch.setattr(
        subprocess,
        "run",
        lambda words, **how: run(words, **how) if words[0] == "git" else installed.append(words),
    )
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: installed or None)
    for _ in range(2):  # Running the cell again does not fetch again.
        exec(launch.launch_source("part1-foundations"), {})
    assert Path("chapter.ipynb").is_file()
    package = f"{tmp_path}/nnkit-book[data,estimators,sweep,touch]"
    assert installed == [[sys.executable, "-m", "pip", "install", "-q", "-e", package]]


def test_launch_cell_does_not_make_a_chapter_stale():
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1")])
    before = source_hash(notebook)
    assert source_hash(launch.with_launch(notebook, "part1-foundations")) == before
    notebook.cells[-1].source = "2 + 2"
    assert source_hash(notebook) != before


def test_outdated_launch_cell_is_replaced():
    notebook = launch.with_launch(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")]), "elsewhere")
    notebook = launch.with_launch(notebook, "part1-foundations")
    assert [cell.source for cell in notebook.cells] == [launch.launch_source("part1-foundations"), "1"]


def test_binder_installs_what_the_book_needs():
    assert (ROOT / "binder" / "requirements.txt").read_text(encoding="utf-8").split() == ["-r", "../requirements.txt"]
    assert re.fullmatch(r"python-3\.\d+\n", (ROOT / "binder" / "runtime.txt").read_text(encoding="utf-8"))
    script = ROOT / "binder" / "postBuild"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)
    assert "load_mnist()" in script.read_text(encoding="utf-8")
