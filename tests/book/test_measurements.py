"""What the measurements behind the replication report compute, on numbers whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from book.replication import mnist, reconstructions, xor


def test_highest_is_judged_beside_the_hardest_of_the_others():
    luck = np.linspace(-0.1, 0.1, 15)
    values, far, near, above = luck + 1.0, luck, luck[::-1] + 0.95, luck[::-1] + 1.5
    np.testing.assert_array_equal(mnist._above_each(values, [far, near]), values - near)
    np.testing.assert_array_equal(mnist._above_each(values, [far, near, above]), values - above)
    assert np.mean(values - np.mean([far, far, near], axis=0)) > 0.5  # The mean of the others would have hidden it.


def test_judged_network_has_no_vote_on_its_own_digits():
    np.testing.assert_array_equal(mnist.hard_for_others([[1, 2], [1, 2], [1, 3], [9]]), [0.5, 0.5, 0.5, 0])
    # With their own votes, 1 would be hard by 2 of 3, and so would all that is misread.
    np.testing.assert_array_equal(mnist.hard_for_others([[1], [1], [2]]), [0, 0, 0])


def test_claims_on_the_sweeps_say_what_is_tested():
    claims, chances = mnist.sweep_claims(), mnist.sweep_p_values()
    assert {name for name, claim in claims.items() if claim.predicted == "alike"} == set(claims) - set(chances)
    for name, (alone, by_holm) in chances.items():
        assert alone == mnist.sign_flip_test(claims[name].differences)
        assert alone <= by_holm <= 1
    assert claims["fig7_batch_size.highest"].values.ndim == 1
    assert claims["fig8_hidden_size.grows"].values.shape == (15, 1)
    assert claims["fig6_activation.alike"].bounds == {"above": -mnist.MARGIN, "below": mnist.MARGIN}
    by_last = mnist.sweep_claims(epochs=1)
    assert by_last.keys() == claims.keys()
    assert not np.array_equal(
        by_last["fig8_hidden_size.grows"].differences, claims["fig8_hidden_size.grows"].differences
    )


def test_fence_counts_what_lies_beyond_it():
    even = np.ones(100)
    assert reconstructions._above_the_fence(even) == 0
    tail = np.concatenate([np.full(40, 24.0), np.zeros(60)])  # Quartiles 10.4 and 31.3: the fence is at 62.5.
    tail[[50, 99]] = 20
    assert reconstructions._above_the_fence(tail) == pytest.approx(0.02)


def test_digits_are_named_by_the_other_runs_only():
    worst = [{1, 2, 3, 4}, {1, 2, 5, 6}, {1, 7, 8, 9}]
    assert reconstructions._share_that_others_name(worst, 0) == 0.25  # Both others name 1; one of two is not most.
    assert reconstructions._share_that_others_name([{1}, {2}, {3}], 0) == 0


def test_two_runs_name_the_same_digits_only_once():
    np.testing.assert_array_equal(reconstructions._named_again([{1, 2}, {2, 3}]), [0.5])
    np.testing.assert_array_equal(reconstructions._named_again([{1, 2}, {1, 3}, {1, 4}]), [0.5, 0.5, 0.5])


def test_part_of_the_better_pairs_with_the_first_depth():
    assert reconstructions._against_depth_1(np.array([[3.0, 2.0, 1.0]])) == pytest.approx(2 / 3)
    assert reconstructions._against_depth_1(np.array([[1.0, 2.0, 3.0]])) == 0


def test_deeper_networks_are_compared_with_every_shallower_one():
    assert reconstructions._deeper_is_better(np.array([[3.0, 2.0, 1.0]])) == 1
    assert reconstructions._deeper_is_better(np.array([[3.0, 1.0, 2.0], [1.0, 2.0, 3.0]])) == pytest.approx(2 / 6)


def test_line_is_found_if_there_is_one():
    points = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    assert xor._has_a_line(points, np.array([0, 1, 1, 1]))
    assert xor._has_a_line(points, np.array([1, 0, 0, 0]))
    assert not xor._has_a_line(points, xor.XOR)
    assert not xor._has_a_line(points, 1 - xor.XOR)
