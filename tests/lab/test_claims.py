"""Intervals with the promised coverage, claims that fail, and a table that reports it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import nnkit as nn
from lab.claims import ClaimError, claim, interquartile_mean, interval, reported_and_measured, source_line
from lab.results import load_result, load_store


@pytest.mark.parametrize(
    ("true", "draw"), [(0, lambda rng: rng.normal(size=25)), (0.9, lambda rng: rng.random(60) < 0.9)]
)
def test_interval_has_the_promised_coverage(true, draw):
    rng = np.random.default_rng(0)
    covered = [low <= true <= high for _, low, high in (interval(draw(rng)) for _ in range(1000))]
    assert 0.93 < np.mean(covered) < 0.99


@pytest.mark.parametrize("values", [[1.0, 2.0, 3.0, 4.0, 5.0], [1.0], np.ones((3, 2))])
def test_interval_needs_enough_runs_with_one_number_each(values):
    with pytest.raises(ValueError, match="values"):
        interval(values)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([7.0], 7.0),
        ([1.0, 3.0], 2.0),
        # A quarter is 0.75 runs: the outer two keep a weight of 0.25 each, the middle one keeps 1.
        ([0.0, 1.0, 5.0], (0.25 * 0 + 1 + 0.25 * 5) / 1.5),
        # A quarter is 1.25 runs: the outer two are dropped and their neighbours keep 0.75.
        ([-1e9, 0.0, 1.0, 5.0, 1e9], (0.75 * 0 + 1 + 0.75 * 5) / 2.5),
    ],
)
def test_interquartile_mean_weights_runs_at_the_quartiles_fractionally(values, expected, rng):
    assert interquartile_mean(rng.permutation(values)) == pytest.approx(expected)


@pytest.mark.parametrize("n", [4, 8, 20, 100])
def test_interquartile_mean_of_whole_quarters_is_the_trimmed_mean_per_column(n, rng):
    stats = pytest.importorskip("scipy.stats")
    runs = rng.normal(size=(n, 3, 2))
    before = runs.copy()
    np.testing.assert_allclose(interquartile_mean(runs), stats.trim_mean(runs, 0.25))
    np.testing.assert_array_equal(runs, before)


@pytest.mark.parametrize("n", range(1, 14))
def test_interquartile_mean_of_constant_or_symmetric_runs_is_their_center(n):
    assert interquartile_mean(np.full(n, 3.5)) == pytest.approx(3.5)
    assert interquartile_mean(np.arange(n) - (n - 1) / 2) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("values", [[], 1.0, [1.0, np.nan], [1.0, np.inf]])
def test_interquartile_mean_needs_finite_runs(values):
    with pytest.raises(ValueError, match="values"):
        interquartile_mean(values)


def test_claim_prints_its_numbers():
    text = claim("It gains {estimate:.1%} ({low:.1%} to {high:.1%}, {runs} runs).", np.arange(11) / 100, above=-1).data
    space = "\N{NARROW NO-BREAK SPACE}"
    assert text == f"**Claim, checked.** It gains 5.0{space}% (1.0{space}% to 9.0{space}%, 11 runs)."


@pytest.mark.parametrize("bounds", [{"above": 0.02}, {"below": 0.08}, {"above": 0.2}, {"above": 0.01}])
def test_claim_fails_unless_it_holds_for_the_whole_interval(bounds):
    # The median is 0.05, but its interval runs from 0.01 to 0.09.
    with pytest.raises(ClaimError, match="does not hold"):
        claim("{estimate}", np.arange(11) / 100, **bounds)


def test_claim_needs_a_bound():
    with pytest.raises(ValueError, match="above or below"):
        claim("{estimate}", np.arange(11))


def test_table_shows_comparisons_as_verdicts():
    table = reported_and_measured(
        [("a", "1", "1", True, "x"), ("b", "1", "2", False, "y"), ("c", "1", "0.5", "better", "z")]
    ).data
    verdicts = [row.split(" | ")[3] for row in table.splitlines()[2:]]
    assert verdicts == ["**replicated**", "**did not replicate**", "**better**"]
    with pytest.raises(ValueError, match="Verdict"):
        reported_and_measured([("a", "1", "1", "perfect", "x")])


@pytest.mark.parametrize("load", [load_result, load_store])
def test_missing_result_says_how_to_create_it(load):
    with pytest.raises(FileNotFoundError, match=r"'nothing'; python -m book\.experiments\.nothing makes it"):
        load("nothing")


def test_store_is_loaded_with_its_provenance(capsys):
    rows = load_store("mnist_sweeps")
    assert {"config", "seed", "seconds", "result"} <= set(rows[0])
    printed = capsys.readouterr().out
    assert f"python -m book.experiments.mnist_sweeps: {len(rows)} runs" in printed
    assert rows[0]["result"]["commit"] in printed
    load_store("mnist_sweeps", quiet=True)
    assert capsys.readouterr().out == ""


def test_source_line_locates_the_statement():
    match = re.fullmatch(r"`layers\.py`, line (\d+)", source_line(nn.Linear.forward, "y = x @ self.weight.data"))
    lines = Path(nn.layers.__file__).read_text(encoding="utf-8").splitlines()
    assert lines[int(match[1]) - 1].strip() == "y = x @ self.weight.data"


@pytest.mark.parametrize("statement", ["y = x @ weight", "y = x @"])
def test_source_line_rejects_missing_or_partial_lines(statement):
    with pytest.raises(ValueError, match="statement"):
        source_line(nn.Linear.forward, statement)


def test_interval_of_a_share_is_wilsons():
    share, low, high = interval([True] * 8 + [False] * 2)
    z, n = 1.959964, 10
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    assert (low, high) == pytest.approx((centre - half, centre + half), abs=1e-5)
