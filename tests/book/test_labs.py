"""Every lab in the book: its function works at every corner, draws the stored images, and drives a live widget."""

from __future__ import annotations

import itertools
import math
import os
import re
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest

from lab.sliders import Lab
from tests.frames import frames_of, pixels

pytestmark = pytest.mark.slow

BOOK = Path(__file__).resolve().parents[2] / "book"
# The others have something that answers the hand.
CHAPTERS = [path for path in sorted(BOOK.glob("part*/*.ipynb")) if "sliders.lab(" in path.read_text(encoding="utf-8")]
# Training differs in the last digits between processors, so a curve may move by a pixel and a number slightly.
MAX_SHARE_OF_PIXELS = 0.02
MAX_RELATIVE_CHANGE, MAX_LAST_DIGITS = 0.2, 2
N_SAMPLED = 3
NUMBER = re.compile(r"-?\d[\d,]*(?:\.(\d+))?(?:e([+-]?\d+))?")


def load_lab(path: Path) -> tuple[Lab, str]:
    """Run a chapter's setup and lab cells in the chapter's folder; return the lab and the stored HTML."""
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if {"setup", "lab"} & set(cell.metadata.get("tags", []))]
    names: dict[str, object] = {}
    before, before_path = Path.cwd(), sys.path[:]
    os.chdir(path.parent)
    try:
        for cell in cells[:-1]:
            exec(cell.source, names)
        # The last line of the lab cell is the call; everything before it is setup and the function.
        start = cells[-1].source.rindex("sliders.lab(")
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
        request.getfixturevalue("mnist")  # Skip without MNIST, which the stored frames show.
    return load_lab(request.param)


def differing_share(first: str, second: str) -> float:
    a, b = pixels(first), pixels(second)
    assert a.shape == b.shape
    return float((np.abs(a - b) > 64).mean())


def nearest(picture: str, stored: list[tuple[str, str]]) -> list[int]:
    """Return the indices of the stored images closest to this one; several only if they are equal."""
    own = pixels(picture)
    distances = [np.abs(own - pixels(other)).mean() for other, _ in stored]
    return [index for index, distance in enumerate(distances) if distance == min(distances)]


def sentences_agree(sentence: str, stored: str) -> bool:
    """Return whether two sentences have the same slider values, the same words and nearly the same numbers."""
    if sentence.partition(". ")[0] != stored.partition(". ")[0] or NUMBER.sub("#", sentence) != NUMBER.sub("#", stored):
        return False
    for one, other in zip(NUMBER.finditer(sentence), NUMBER.finditer(stored), strict=True):
        a, b = (float(match[0].replace(",", "")) for match in (one, other))
        last_digit = 10.0 ** (int(other[2] or 0) - len(other[1] or ""))
        if not math.isclose(a, b, rel_tol=MAX_RELATIVE_CHANGE, abs_tol=1.01 * MAX_LAST_DIGITS * last_digit):
            return False
    return True


def is_stored_at(index: int, frame: tuple[str, str], stored: list[tuple[str, str]]) -> bool:
    """Return whether a newly drawn frame matches the stored one at this index and no other."""
    picture, sentence = frame
    return (
        index in nearest(picture, stored)
        and differing_share(picture, stored[index][0]) < MAX_SHARE_OF_PIXELS
        and sentences_agree(sentence, stored[index][1])
    )


def test_function_works_at_every_corner_of_its_grid(lab_and_page):
    lab, _ = lab_and_page
    corners = itertools.product(*[(values[0], values[-1]) for values in lab.grids.values()])
    for corner in corners:
        picture, sentence = lab.frame(**dict(zip(lab.grids, corner, strict=True)))
        assert pixels(picture).std() > 1  # Not blank.
        assert len(sentence) > 20


def test_function_reproduces_the_stored_frames(lab_and_page):
    lab, page = lab_and_page
    stored = frames_of(page)
    combinations = list(itertools.product(*lab.grids.values()))
    assert len(stored) == len(combinations)
    for index in np.random.default_rng(0).choice(len(stored), N_SAMPLED, replace=False):
        values = dict(zip(lab.grids, combinations[index], strict=True))
        assert is_stored_at(index, lab.frame(**values), stored), values


def test_wrong_frame_is_detected(lab_and_page):
    """Misplaced frames: with their own sentence, and with the sentence that belongs there."""
    _, page = lab_and_page
    stored = frames_of(page)
    for index, *others in np.random.default_rng(0).permutation(len(stored))[: 4 * N_SAMPLED].reshape(N_SAMPLED, 4):
        assert is_stored_at(index, stored[index], stored)
        for other in others:
            picture, sentence = stored[other]
            assert not is_stored_at(index, (picture, sentence), stored)
            alike = differing_share(picture, stored[index][0]) == 0
            assert alike or not is_stored_at(index, (picture, stored[index][1]), stored)


def test_wrong_sentence_is_detected():
    right = "Learning rate 0.1, batch size 8. After 1,000 epochs the loss is 0.368; an error of 3e-10."
    assert sentences_agree(right, right)
    assert sentences_agree(right.replace("0.368", "0.371").replace("3e-10", "5e-10"), right)
    for part, wrong in [("0.1,", "0.11,"), ("1,000", "100"), ("0.368", "0.468"), ("3e-10", "3e-9"), ("loss", "gain")]:
        assert not sentences_agree(right.replace(part, wrong), right), wrong


def test_live_widget_redraws_when_a_slider_moves(lab_and_page):
    lab, _ = lab_and_page
    _, *sliders, image, readout = lab.widget().children
    before = image.value, readout.value
    sliders[0].index = len(sliders[0].options) - 1
    assert image.value != before[0]
    assert readout.value != before[1]
