"""What Colab and Binder need to run a chapter."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import nbformat
import pytest

from book import launch
from book.execute import source_hash

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = sorted((ROOT / "book").glob("part*/*.ipynb"))


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_first_code_of_a_chapter_brings_the_book_to_colab(path):
    notebook = nbformat.read(path, as_version=4)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    assert launch.is_launch(first)
    assert first.source == launch.launch_source(path.parent.name)
    assert "remove-cell" in first.metadata.tags
    again = launch.with_launch(nbformat.read(path, as_version=4), path.parent.name)
    assert again == notebook


def test_launch_cell_does_nothing_elsewhere(monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("must not run a program"))
    before = Path.cwd()
    exec(launch.launch_source("part1-foundations"), {})
    assert Path.cwd() == before


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git, with which the cell fetches the book")
def test_launch_cell_clones_installs_and_goes_to_the_chapter(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    # The repository's address leads to this folder, and pip is only asked.
    (tmp_path / "git").mkdir()
    subprocess.run(["git", "init", "-q", "-b", launch.repository()["branch"], "git"], cwd=tmp_path, check=True)
    chapter = tmp_path / "git" / "book" / "part1-foundations" / "chapter.ipynb"
    chapter.parent.mkdir(parents=True)
    chapter.touch()
    as_somebody = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", "add", "."], cwd=tmp_path / "git", check=True)
    subprocess.run(["git", *as_somebody, "commit", "-qm", "a"], cwd=tmp_path / "git", check=True)
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
    for _ in range(2):  # A cell that is run again does not fetch again.
        exec(launch.launch_source("part1-foundations"), {})
    assert Path("chapter.ipynb").is_file()
    package = f"{tmp_path}/nnkit-book[data,estimators,sweep]"
    assert installed == [[sys.executable, "-m", "pip", "install", "-q", package]]


def test_launch_cell_does_not_make_a_chapter_stale():
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1")])
    before = source_hash(notebook)
    assert source_hash(launch.with_launch(notebook, "part1-foundations")) == before
    notebook.cells[-1].source = "2 + 2"
    assert source_hash(notebook) != before


def test_an_old_launch_cell_is_replaced():
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
