"""Notebooks and results are read with bounds, and a damaged file is named."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest

from nnkit.files import MOST_BYTES, read_json
from website.chapters import read_notebook

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = [*(ROOT / "book").glob("part*/*.ipynb"), *(ROOT / "book" / "results").glob("*.json")]

NOTEBOOK = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.ipynb"


def test_committed_files_are_far_below_the_bound():
    assert len(COMMITTED) > 20
    assert max(path.stat().st_size for path in COMMITTED) < MOST_BYTES / 8


def test_a_notebook_is_read(path):
    path.write_text(json.dumps(NOTEBOOK), encoding="utf-8")
    assert read_notebook(path) == NOTEBOOK


@pytest.mark.parametrize("read", [read_notebook, read_json])
def test_a_huge_file_is_refused_without_reading_it(read, path):
    with path.open("wb") as file:
        file.truncate(2**32)  # Zeros, which take no room on the disk.
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"a\.ipynb.* at most 16777216 bytes"):
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 2**26
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("text", ["", "null", "[]", "5", "{}", '{"nbformat": 4}', '{"nbformat": 3}', "[" * 200_000])
def test_a_file_that_is_no_notebook_is_named(text, path):
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"a\.ipynb must be a notebook"):
        read_notebook(path)


@pytest.mark.parametrize("wrong", [{"cells": None}, {"cells": [None]}, {"metadata": None}, {"nbformat": None}])
def test_a_notebook_with_null_entries_is_named(wrong, path):
    path.write_text(json.dumps(NOTEBOOK | wrong), encoding="utf-8")
    with pytest.raises(ValueError, match=r"a\.ipynb must be a notebook"):
        read_notebook(path)


@pytest.mark.parametrize("content", [b"", b"no JSON", b"[" * 200_000, b"\xff\xfe", b'{"$float": "many"}'])
def test_a_file_that_is_no_json_is_named(content, path):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.ipynb.* JSON"):
        read_json(path)
