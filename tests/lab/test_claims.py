"""The book's own helpers: an interval that holds what it promises, a claim that fails, a table that says so."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import nnkit as nn
from lab.claims import ClaimError, claim, interval, reported_and_measured, source_line
from lab.results import load_result, load_store


def test_interval_of_a_median_covers_it_as_often_as_promised():
    rng = np.random.default_rng(0)
    covered = [low <= 0 <= high for _, low, high in (interval(rng.normal(size=25)) for _ in range(1000))]
    assert 0.93 < np.mean(covered) < 0.985


def test_interval_of_a_share_covers_it_as_often_as_promised():
    rng = np.random.default_rng(0)
    covered = [low <= 0.9 <= high for _, low, high in (interval(rng.random(60) < 0.9) for _ in range(500))]
    assert 0.92 < np.mean(covered) < 0.99


def test_five_runs_are_too_few_for_an_interval():
    with pytest.raises(ValueError, match="more runs for a 95% interval of their median; got 5"):
        interval([1.0, 2.0, 3.0, 4.0, 5.0])


def test_values_must_be_one_number_a_run():
    with pytest.raises(ValueError, match="one number for each of at least two runs"):
        interval(np.ones((3, 2)))


def test_claim_states_its_numbers():
    text = claim("It gains {estimate:.1%} ({low:.1%} to {high:.1%}, {runs} runs).", np.arange(11) / 100, above=-1).data
    assert text.startswith("**Claim, checked.** It gains 5.0")
    assert "11 runs" in text
    assert "\N{NARROW NO-BREAK SPACE}%" in text


@pytest.mark.parametrize("bounds", [{"above": 0.02}, {"below": 0.08}, {"above": 0.2}])
def test_claim_fails_unless_the_whole_interval_holds(bounds):
    # The median is 0.05, but its interval runs from 0.01 to 0.09.
    with pytest.raises(ClaimError, match="does not hold"):
        claim("{estimate}", np.arange(11) / 100, **bounds)


def test_claim_needs_a_bound():
    with pytest.raises(ValueError, match="above or below"):
        claim("{estimate}", np.arange(11))


def test_table_turns_comparisons_into_verdicts():
    table = reported_and_measured(
        [("a", "1", "1", True, "x"), ("b", "1", "2", False, "y"), ("c", "1", "0.5", "better", "z")]
    ).data
    rows = table.splitlines()[2:]
    assert ["**replicated**" in rows[0], "**did not replicate**" in rows[1], "**better**" in rows[2]] == [True] * 3
    with pytest.raises(ValueError, match="holds must be true, false or one of"):
        reported_and_measured([("a", "1", "1", "perfect", "x")])


def test_missing_result_says_how_to_make_it():
    with pytest.raises(FileNotFoundError, match=r"python -m book.experiments.nothing makes it"):
        load_result("nothing")
    with pytest.raises(FileNotFoundError, match=r"there is no result 'nothing'; python -m book.experiments.nothing"):
        load_store("nothing")


def test_store_is_loaded_with_its_provenance(capsys):
    rows = load_store("mnist_sweeps")
    assert {"config", "seed", "seconds", "result"} <= set(rows[0])
    printed = capsys.readouterr().out
    assert f"python -m book.experiments.mnist_sweeps: {len(rows)} runs" in printed
    assert rows[0]["result"]["commit"] in printed


def test_source_line_points_to_the_one_line_that_is_the_statement():
    where = source_line(nn.Linear.forward, "y = x @ self.weight.data")
    match = re.fullmatch(r"`layers\.py`, line (\d+)", where)
    lines = Path(nn.layers.__file__).read_text(encoding="utf-8").splitlines()
    assert lines[int(match[1]) - 1].strip() == "y = x @ self.weight.data"


@pytest.mark.parametrize("statement", ["y = x @ weight", "y = x @"])
def test_source_line_refuses_what_is_not_a_line(statement):
    with pytest.raises(ValueError, match="exactly one line"):
        source_line(nn.Linear.forward, statement)
