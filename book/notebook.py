"""How the book's own tools read a notebook: no more of it than any chapter has."""

from __future__ import annotations

from pathlib import Path

import nbformat

from nnkit.files import read_text


def read_notebook(path: Path) -> nbformat.NotebookNode:
    """Return the notebook in a file.

    Raises
    ------
    ValueError
        If it is no notebook, is nested deeper than Python can follow, or is larger than 16 MiB, which is many times
        what a chapter may have.
    """
    text = read_text(path)
    try:
        return nbformat.reads(text, as_version=4)
    except Exception as error:  # A damaged file can fail in each of the steps.
        raise ValueError(f"{path} must be a notebook; got {type(error).__name__}: {str(error)[:200]}") from error
