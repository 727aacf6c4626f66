"""A chapter that loads MNIST also runs where it is not, on scikit-learn's digits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tools.execute import loads_mnist
from website.chapters import BOOK, chapters, read_notebook

CHAPTERS = [chapter for chapter in chapters() if loads_mnist(read_notebook(chapter.path))]


def run_without_mnist(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.book.bare", str(path)]
    environment = os.environ | {"NNKIT_DATA": "none"}
    return subprocess.run(command, cwd=BOOK.parent, env=environment, capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: str(chapter.number))
def test_chapter_runs_without_mnist(chapter):
    done = run_without_mnist(chapter.path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "using scikit-learn's 1,797 digits" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import nnkit\nassert len(nnkit.load_mnist(fallback=True).X_train) == 60_000", "AssertionError"),
        ("print(2)", "cell 1 prints '2\\n', not '1\\n'"),
    ],
)
def test_a_chapter_that_needs_mnist_would_be_seen(source, said, tmp_path):
    cell = nbformat.v4.new_code_cell(source, outputs=[nbformat.v4.new_output("stream", text="1\n")])
    (tmp_path / "planted.ipynb").write_text(json.dumps(nbformat.v4.new_notebook(cells=[cell])), encoding="utf-8")
    done = run_without_mnist(tmp_path / "planted.ipynb")
    assert done.returncode == 1
    assert said in done.stderr
