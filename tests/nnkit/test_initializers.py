"""Initializers: the variances published in their papers, and their generators."""

import numpy as np
import pytest

from nnkit import Linear, kaiming_normal, kaiming_uniform, xavier_normal, xavier_uniform, zeros
from nnkit.initializers import INITIALIZERS, get_initializer

SHAPE = (300, 200)
VARIANCES = {
    xavier_normal: 2 / 500,
    xavier_uniform: 2 / 500,
    kaiming_normal: 2 / 300,
    kaiming_uniform: 2 / 300,
}


@pytest.mark.parametrize("init", VARIANCES)
def test_mean_is_zero_and_variance_matches_the_paper(init, rng):
    weights = init(SHAPE, rng)
    assert weights.shape == SHAPE
    # 60,000 draws determine the variance to about 1 %.
    assert weights.var() == pytest.approx(VARIANCES[init], rel=0.03)
    assert abs(weights.mean()) < 4 * np.sqrt(VARIANCES[init] / weights.size)


@pytest.mark.parametrize("init", [xavier_uniform, kaiming_uniform])
def test_uniform_draws_fill_their_interval(init, rng):
    weights, bound = init(SHAPE, rng), np.sqrt(3 * VARIANCES[init])
    assert np.abs(weights).max() <= bound
    assert np.abs(weights).max() > 0.999 * bound


@pytest.mark.parametrize("init", [xavier_normal, kaiming_normal])
def test_normal_draws_have_tails(init, rng):
    weights = init(SHAPE, rng)
    assert np.abs(weights).max() > 3.5 * weights.std()


@pytest.mark.parametrize("init", VARIANCES)
def test_same_generator_state_gives_the_same_weights(init):
    first, second = init(SHAPE, np.random.default_rng(1)), init(SHAPE, np.random.default_rng(1))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, init(SHAPE, np.random.default_rng(2)))


def test_zeros_initializer_returns_zeros(rng):
    np.testing.assert_array_equal(zeros((2, 3), rng), np.zeros((2, 3)))


@pytest.mark.parametrize("name", INITIALIZERS)
def test_linear_accepts_every_initializer_name(name):
    layer = Linear(4, 3, init=name, rng=0)
    np.testing.assert_array_equal(layer.weight.data, INITIALIZERS[name]((4, 3), np.random.default_rng(0)).astype("f4"))


def test_init_accepts_a_function():
    assert get_initializer(zeros) is zeros


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"init must be one of \['kaiming_normal', .*\] or a function; got 'he'"):
        Linear(4, 3, init="he")
