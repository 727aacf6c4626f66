"""Answers survive the way into a row and back, and rows without them are refused with what to do."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lab.answers import answers, packed


@pytest.mark.parametrize("n_digits", [1, 7, 8, 9, 1797, 10_000])
def test_answers_come_back_from_rows(n_digits):
    right = np.random.default_rng(n_digits).random((3, n_digits)) < 0.97
    rows = json.loads(json.dumps([{"seed": i, "right": packed(each)} for i, each in enumerate(right)]))
    again = answers(rows)
    assert again.dtype == bool
    assert np.array_equal(again, right)
    assert np.array_equal(answers([{"result": row} for row in rows]), right)


def test_answers_can_stand_under_other_names():
    rows = [{"right": packed([True, True]), "right at 0.6": packed([False, True])}]
    assert answers(rows, key="right at 0.6").tolist() == [[False, True]]


def test_answers_of_a_usual_classifier_are_short():
    right = np.random.default_rng(0).random(10_000) < 0.975
    assert len(packed(right)) < 900


@pytest.mark.parametrize("wrong", [[1, 0, 1], [0.5], [[True]], [], "right"])
def test_only_one_boolean_a_digit_is_packed(wrong):
    with pytest.raises(TypeError, match="right must hold a boolean for each digit; got dtype"):
        packed(wrong)


def test_store_without_answers_is_refused_with_the_command_that_makes_them():
    rows = [{"result": {"right": packed([True])}}, {"result": {"test_accuracy": [0.97]}}]
    with pytest.raises(ValueError, match=r"rows\[1\] does not.*make replicate ONLY=mnist_sweeps"):
        answers(rows, "mnist_sweeps")
    with pytest.raises(ValueError, match="ONLY=NAME"):
        answers(rows)


def test_rows_must_have_answered_the_same_digits():
    with pytest.raises(ValueError, match=r"the same digits; got \[2, 3\]"):
        answers([{"right": packed([True] * 2)}, {"right": packed([True] * 3)}])


def test_no_rows_and_damaged_answers_are_refused():
    with pytest.raises(ValueError, match="rows must hold at least one run"):
        answers([])
    for damaged in ("", "no answers", packed([True])[:-4], 5):
        with pytest.raises(ValueError, match=r"rows\[0\]\['right'\] must be what lab.answers.packed returns"):
            answers([{"right": damaged}])
