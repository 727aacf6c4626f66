"""Every lab of the book: its stored pictures are what its function draws, at every corner, and its widget is alive."""

from __future__ import annotations

import io
import itertools
import os
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

from nnkit.interact import Lab, frames_of

BOOK = Path(__file__).resolve().parent.parent / "book"
CHAPTERS = sorted(BOOK.glob("part*/*.ipynb"))
# Training differs in the last digits between processors, so a curve may move by a pixel; a wrong one moves by many.
MAX_SHARE_OF_PIXELS = 0.02
N_SAMPLED = 3


def load_lab(path: Path) -> tuple[Lab, str]:
    """Run a chapter's setup cell and its lab cell, as in the chapter's folder; return the lab and the stored HTML."""
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if {"setup", "lab"} & set(cell.metadata.get("tags", []))]
    names: dict[str, object] = {}
    before, before_path = Path.cwd(), sys.path[:]
    os.chdir(path.parent)
    try:
        for cell in cells[:-1]:
            exec(cell.source, names)
        # The last line of the lab's cell is the call; all before it is set-up and the function.
        start = cells[-1].source.rindex("nn.interact.lab(")
        exec(cells[-1].source[:start], names)
        lab = eval(cells[-1].source[start:], names)
    finally:
        os.chdir(before)
        sys.path[:] = before_path
    stored = next(output.data["text/html"] for output in cells[-1].outputs if "text/html" in output.get("data", {}))
    return lab, stored


@pytest.fixture(scope="module", params=CHAPTERS, ids=lambda path: path.stem)
def lab_and_page(request):
    if "load_mnist" in request.param.read_text(encoding="utf-8"):
        import nnkit

        try:
            nnkit.load_mnist()
        except OSError as error:
            pytest.skip(f"the stored frames are of MNIST, which is not here: {str(error)[:80]} ...")
    return load_lab(request.param)


def pixels(picture: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture)).convert("L"), dtype=float)


def share_that_differs(first: bytes, second: bytes) -> float:
    a, b = pixels(first), pixels(second)
    assert a.shape == b.shape
    return float((np.abs(a - b) > 64).mean())


def test_function_works_at_every_corner_of_its_grid(lab_and_page):
    lab, _ = lab_and_page
    corners = itertools.product(*[(values[0], values[-1]) for values in lab.grids.values()])
    for corner in corners:
        picture, sentence = lab.frame(**dict(zip(lab.grids, corner, strict=True)))
        assert pixels(picture).std() > 1  # Not blank.
        assert len(sentence) > 20


def test_stored_frames_are_what_the_function_draws(lab_and_page):
    lab, page = lab_and_page
    stored = frames_of(page)
    combinations = list(itertools.product(*lab.grids.values()))
    assert len(stored) == len(combinations)
    for index in np.random.default_rng(0).choice(len(stored), N_SAMPLED, replace=False):
        values = dict(zip(lab.grids, combinations[index], strict=True))
        picture, sentence = lab.frame(**values)
        assert share_that_differs(picture, stored[index][0]) < MAX_SHARE_OF_PIXELS, values
        assert sentence.split(".")[0] == stored[index][1].split(".")[0]


def test_a_wrong_frame_would_be_noticed(lab_and_page):
    lab, page = lab_and_page
    stored = frames_of(page)
    corners = [lab.frame(**{name: values[end] for name, values in lab.grids.items()}) for end in (0, -1)]
    assert share_that_differs(corners[0][0], corners[1][0]) > MAX_SHARE_OF_PIXELS / 4
    assert share_that_differs(stored[0][0], stored[-1][0]) > MAX_SHARE_OF_PIXELS / 4


def test_live_widget_redraws_when_a_slider_moves(lab_and_page):
    lab, _ = lab_and_page
    _, *sliders, image, readout = lab.widget().children
    before = image.value, readout.value
    sliders[0].index = len(sliders[0].options) - 1
    assert (image.value, readout.value) != before
