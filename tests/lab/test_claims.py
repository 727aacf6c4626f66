"""Intervals with the promised coverage, claims that fail, and a table that reports it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import nnkit as nn
from lab.claims import (
    ClaimError,
    claim,
    detectable,
    holm,
    interquartile_mean,
    interval,
    permutation_p,
    reported_and_measured,
    shown_from,
    source_line,
)
from lab.results import load_result, load_store


@pytest.mark.parametrize(
    ("true", "draw"), [(0, lambda rng: rng.normal(size=25)), (0.9, lambda rng: rng.random(60) < 0.9)]
)
def test_interval_has_the_promised_coverage(true, draw):
    rng = np.random.default_rng(0)
    covered = [low <= true <= high for _, low, high in (interval(draw(rng)) for _ in range(1000))]
    assert 0.93 < np.mean(covered) < 0.99


@pytest.mark.parametrize(
    "values",
    [[1.0, 2.0, 3.0, 4.0, 5.0], [1.0], np.ones((1, 9), bool), np.ones((3, 0)), np.ones((3, 2, 2)), 1.0],
)
def test_interval_needs_enough_runs_with_one_number_each(values):
    with pytest.raises(ValueError, match="values"):
        interval(values)


def answers_of(rng, n_runs: int, n_digits: int, of_runs: float, of_digits: float) -> np.ndarray:
    """Return right or wrong answers: runs differ in skill, digits in difficulty, and the rest is chance."""
    skill = 1 + of_runs * rng.standard_normal((n_runs, 1))
    return rng.standard_normal((n_runs, n_digits)) < skill + of_digits * rng.standard_normal(n_digits)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_runs", "of_runs", "of_digits"),
    [(25, 0.3, 0.0), (25, 0.0, 1.0), (25, 0.2, 0.7), (6, 0.3, 0.7), (3, 0.2, 0.5)],
)
def test_interval_of_answers_covers_other_runs_and_other_digits(n_runs, of_runs, of_digits, monkeypatch):
    monkeypatch.setattr("lab.claims._RESAMPLES", 400)
    norm = pytest.importorskip("scipy.stats").norm
    rng = np.random.default_rng(0)
    true = norm.cdf(1 / np.sqrt(1 + of_runs**2 + of_digits**2))
    found = [interval(answers_of(rng, n_runs, 200, of_runs, of_digits)) for _ in range(300)]
    # Resampling runs alone, or digits alone, covers less than 0.8 in the first two cases.
    assert 0.9 < np.mean([low <= true <= high for _, low, high in found]) <= 0.99


def test_interval_of_answers_is_the_same_each_time_and_as_wide_as_its_larger_part():
    rng = np.random.default_rng(1)
    table = answers_of(rng, 25, 2000, 0.0, 1.0)
    mean, low, high = interval(table)
    assert (mean, low, high) == interval(table.copy())
    assert mean == table.mean()
    assert high - low == pytest.approx(2 * 1.96 * table.mean(axis=0).std(ddof=1) / np.sqrt(2000), rel=0.15)
    alike = np.repeat(table[:, :1], 2000, axis=1)  # As if every digit were one digit: only runs are left.
    _, low, high = interval(alike)
    assert high - low == pytest.approx(2 * 2.06 * alike[:, 0].std(ddof=1) / np.sqrt(25), rel=0.15)


def test_interval_of_paired_answers_is_that_of_their_differences():
    rng = np.random.default_rng(2)
    first = answers_of(rng, 8, 3000, 0.1, 2.0)
    second = first ^ (rng.random(first.shape) < 0.001)
    mean, low, high = interval(second.astype(int) - first)
    assert low < mean < high
    assert high - low < 0.2 * (interval(first)[2] - interval(first)[1])
    assert interval(np.ones((5, 40), bool)) == (1, 1, 1)


@pytest.mark.parametrize("n", [6, 15, 25])
def test_detectable_difference_of_medians_is_shown_as_often_as_promised(n):
    rng = np.random.default_rng(n)
    values = rng.standard_normal(n)
    apart = detectable(values) / values.std(ddof=1)
    shown = np.mean([interval(rng.standard_normal(n) + apart)[1] > 0 for _ in range(1000)])
    assert abs(shown - 0.8) < 0.04
    assert detectable(values, 0.95) > detectable(values)


@pytest.mark.parametrize(("n", "bound"), [(15, 0.5), (60, 0.8)])
def test_detectable_share_is_shown_as_often_as_promised(n, bound):
    rng = np.random.default_rng(n)
    share = bound + detectable(np.arange(n) > 2, bound=bound)
    assert abs(np.mean([interval(rng.random(n) < share)[1] > bound for _ in range(1000)]) - 0.8) < 0.04
    assert detectable(np.ones(3, bool), bound=0.5) == np.inf  # Three of three do not exceed one half.


def test_detectable_difference_of_answers_is_two_point_eight_standard_errors():
    table = answers_of(np.random.default_rng(3), 25, 2000, 0.0, 1.0)
    _, low, high = interval(table)
    assert detectable(table) == pytest.approx(2.8 / (2 * 1.96) * (high - low), rel=0.05)


def test_value_shown_lies_beyond_the_bound_on_its_side():
    values = np.linspace(-1, 1, 11)
    assert shown_from(values, above=3) == pytest.approx(3 + detectable(values))
    assert shown_from(values, below=3) == pytest.approx(3 - detectable(values))
    few = np.arange(40) < 4
    assert 0 < shown_from(few, below=0.5) < 0.5
    assert shown_from(few, below=0.4) == pytest.approx(1 - shown_from(~few, above=0.6))
    for bounds in ({}, {"above": 0, "below": 1}):
        with pytest.raises(ValueError, match="above or below"):
            shown_from(values, **bounds)


def test_permutation_p_counts_the_data_as_one_of_the_permutations():
    assert permutation_p(5, np.zeros(999)) == 1 / 1000
    assert permutation_p(5, [5, 6, 4]) == 3 / 4
    with pytest.raises(ValueError, match="permuted"):
        permutation_p(5, [])


def test_permutation_p_is_below_five_percent_in_five_percent_of_the_cases():
    rng = np.random.default_rng(0)
    p = [permutation_p(draw[0], draw[1:]) for draw in rng.standard_normal((4000, 40))]
    assert abs(np.mean(np.array(p) <= 0.05) - 0.05) < 0.01


def test_holm_multiplies_by_the_tests_that_are_left():
    np.testing.assert_allclose(holm([0.04, 0.01, 0.03]), [0.06, 0.03, 0.06])
    np.testing.assert_allclose(holm([0.5, 0.9]), [1, 1])
    for wrong in ([0.0, 0.1], [1.1], [[0.1]]):
        with pytest.raises(ValueError, match="p_values"):
            holm(wrong)


def test_holm_rarely_shows_anything_in_a_family_without_effects():
    p = np.random.default_rng(0).random((2000, 10))
    assert abs(np.mean([holm(family).min() < 0.05 for family in p]) - 0.05) < 0.015


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
    gain = np.arange(11) / 100
    text = claim("It gains {estimate:.1%} ({low:.1%} to {high:.1%}, {runs} runs).", gain, above=0).data
    space = "\N{NARROW NO-BREAK SPACE}"
    assert text == (
        f"**Claim, checked.** It gains 5.0{space}% (1.0{space}% to 9.0{space}%, 11 runs). "
        "Runs like these would show it in four cases of five if the truth were "
        f"{100 * detectable(gain):.1f}{space}% or more."
    )


@pytest.mark.parametrize(
    ("sentence", "values", "bounds"),
    [
        ("It falls in {runs} of {runs} runs.", np.arange(11), {"above": -1}),
        ("It is {estimate}.", np.full(11, 2.0), {"above": 1}),
        ("It is {estimate}.", np.linspace(-0.1, 0.1, 11), {"above": -1, "below": 1}),
        ("It is {estimate} times as much.", np.geomspace(2, 20, 15), {"above": 1.5}),
        ("It is {estimate} times as much.", np.geomspace(0.2, 0.9, 15), {"below": 1}),
    ],
)
def test_claim_says_nothing_of_power_where_there_is_none_to_say(sentence, values, bounds):
    assert "would show" not in claim(sentence, values, **bounds).data


def test_claim_says_its_power_unless_it_is_of_a_ratio():
    assert (
        "would show it in four cases of five" in claim("{estimate}", np.linspace(-0.5, 9, 15), above=1).data
    )  # Ratios are positive.
    assert "would show it in four cases of five" in claim("{estimate}", np.geomspace(2, 20, 15), above=0.9).data


def test_claim_about_answers_counts_runs_and_digits():
    table = np.random.default_rng(0).random((5, 300)) < 0.9
    text = claim("{estimate:.2f} of {digits} digits in {runs} runs.", table, above=0.8).data
    assert "of 300 digits in 5 runs. Runs like these would show it in four cases of five if the truth were 0.8" in text
    text = claim("{estimate:.2f}", table, below=0.95).data
    assert text.endswith(" or less.")


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
        [
            ("a", "1", "1", True, "x"),
            ("b", "1", "2", False, "y"),
            ("c", "1", "0.5", ("did not replicate", "better"), "z"),
        ]
    ).data
    verdicts = [row.split(" | ")[3] for row in table.splitlines()[2:]]
    assert verdicts == ["**replicated**", "**did not replicate**", "**did not replicate (better)**"]
    for no_verdict in ("perfect", "better", "in part"):
        with pytest.raises(ValueError, match="Verdict"):
            reported_and_measured([("a", "1", "1", no_verdict, "x")])


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
