"""Schedules: rates by hand and by formula, and resuming. test_torch_oracle compares them with PyTorch's."""

import math

import numpy as np
import pytest

from nnkit import SGD, Adam, CosineLR, Parameter, StepLR


def make_optimizer(lr=0.8):
    return SGD([Parameter(np.ones(1))], lr=lr)


def rates(schedule, epochs):
    """Return the rate in each epoch, starting with the optimizer's own."""
    found = []
    for _ in range(epochs):
        found.append(schedule.optimizer.lr)
        schedule.step()
    return found


SCHEDULES = {
    "StepLR": lambda optimizer: StepLR(optimizer, 3, gamma=0.5),
    "CosineLR": lambda optimizer: CosineLR(optimizer, 5, eta_min=0.01),
}
every_schedule = pytest.mark.parametrize("make", SCHEDULES.values(), ids=SCHEDULES)


def test_step_lr_multiplies_by_gamma_every_step_size_epochs():
    np.testing.assert_allclose(rates(StepLR(make_optimizer(), 2), 6), [0.8, 0.8, 0.08, 0.08, 0.008, 0.008])
    np.testing.assert_allclose(rates(StepLR(make_optimizer(), 1, gamma=0.5), 4), [0.8, 0.4, 0.2, 0.1])
    np.testing.assert_allclose(rates(StepLR(make_optimizer(), 2, gamma=1.5), 3), [0.8, 0.8, 1.2])


def test_step_lr_matches_its_formula():
    found = rates(StepLR(make_optimizer(), 3, gamma=0.7), 50)
    np.testing.assert_allclose(found, [0.8 * 0.7 ** (t // 3) for t in range(50)], rtol=1e-12)


def test_step_lr_continues_from_a_rate_set_by_hand():
    optimizer = make_optimizer()
    schedule = StepLR(optimizer, 2, gamma=0.5)
    schedule.step()
    optimizer.lr = 0.3
    schedule.step()
    assert optimizer.lr == 0.15
    schedule.step()
    assert optimizer.lr == 0.15


def test_cosine_lr_decays_along_half_a_cosine():
    found = rates(CosineLR(make_optimizer(), 4), 5)
    np.testing.assert_allclose(found, [0.8, 0.4 * (1 + 0.5**0.5), 0.4, 0.4 * (1 - 0.5**0.5), 0], atol=1e-15)


def test_cosine_lr_goes_to_its_minimum_and_back():
    found = rates(CosineLR(make_optimizer(), 6, eta_min=0.2), 25)
    assert found[0] == pytest.approx(0.8)
    assert found[6] == pytest.approx(0.2)
    assert found[12] == pytest.approx(0.8)
    assert found == pytest.approx(found[:13] + found[1:13])
    assert (np.diff(found[:7]) < 0).all()
    assert (np.diff(found[6:13]) > 0).all()


def test_cosine_lr_may_increase():
    assert rates(CosineLR(make_optimizer(0.0), 2, eta_min=0.4), 3) == pytest.approx([0.0, 0.2, 0.4])


def test_cosine_lr_depends_only_on_the_epoch():
    optimizer = make_optimizer()
    schedule = CosineLR(optimizer, 4)
    rates(schedule, 5)
    optimizer.lr = 0.7  # at the minimum, where a multiplicative update would amplify it
    schedule.step()
    assert optimizer.lr == pytest.approx(0.4 * (1 + math.cos(math.pi * 6 / 4)))


@every_schedule
def test_rate_is_unchanged_until_the_first_step(make):
    optimizer = make_optimizer()
    make(optimizer)
    assert optimizer.lr == 0.8


@every_schedule
def test_optimizer_uses_the_scheduled_rate(make):
    optimizer = make_optimizer()
    schedule, parameter = make(optimizer), optimizer.params[0]
    expected = 1.0
    for _ in range(8):
        parameter.grad[:] = 1
        expected -= optimizer.lr
        optimizer.step()
        schedule.step()
    np.testing.assert_allclose(parameter.data, [expected])


@every_schedule
@pytest.mark.parametrize("done", [0, 1, 4, 7])
def test_resumed_schedule_continues_as_if_uninterrupted(make, done):
    straight = make(make_optimizer())
    expected = rates(straight, 12)

    first = make(make_optimizer())
    rates(first, done)
    saved, saved_optimizer = first.state_dict(), first.optimizer.state_dict()
    optimizer = make_optimizer(0.5)
    optimizer.load_state_dict(saved_optimizer)
    resumed = make(optimizer)
    resumed.load_state_dict(saved)
    assert resumed.epoch == done
    np.testing.assert_allclose(rates(resumed, 12 - done), expected[done:], rtol=1e-14)


def test_state_holds_only_what_the_constructor_cannot_restore():
    assert StepLR(make_optimizer(), 3).state_dict() == {"epoch": 0}
    schedule = CosineLR(make_optimizer(), 3)
    schedule.step()
    assert schedule.state_dict() == {"base_lr": 0.8, "epoch": 1}


@pytest.mark.parametrize(
    ("state", "error", "match"),
    [
        ({"epoch": 2}, KeyError, "base_lr"),
        ({"base_lr": 0.5, "epoch": 2, "lr": 1}, KeyError, "lr"),
        ({"base_lr": -1.0, "epoch": 2}, ValueError, "base_lr"),
        ({"base_lr": None, "epoch": 2}, TypeError, "base_lr"),
        ({"base_lr": 0.5, "epoch": -2}, ValueError, "epoch"),
        ({"base_lr": 0.5, "epoch": None}, TypeError, "epoch"),
        ({"base_lr": 0.5, "epoch": 2.5}, TypeError, "epoch"),
        (["epoch", "base_lr"], TypeError, "state must"),
    ],
)
def test_invalid_state_is_rejected_and_changes_nothing(state, error, match):
    schedule = CosineLR(make_optimizer(), 3)
    with pytest.raises(error, match=match):
        schedule.load_state_dict(state)
    assert (schedule.epoch, schedule.base_lr) == (0, 0.8)


@pytest.mark.parametrize(
    ("make", "error", "name"),
    [
        (lambda optimizer: StepLR(0.1, 2), TypeError, "optimizer"),
        (lambda optimizer: CosineLR(Adam, 2), TypeError, "optimizer"),
        (lambda optimizer: StepLR(optimizer, 0), ValueError, "step_size"),
        (lambda optimizer: StepLR(optimizer, 1, gamma=0), ValueError, "gamma"),
        (lambda optimizer: CosineLR(optimizer, 2.0), TypeError, "T_max"),
        (lambda optimizer: CosineLR(optimizer, 2, eta_min=-1), ValueError, "eta_min"),
    ],
)
def test_schedules_validate_their_arguments(make, error, name):
    with pytest.raises(error, match=f"{name} must"):
        make(make_optimizer())


def test_repr_shows_the_arguments():
    assert repr(StepLR(make_optimizer(), 3)) == "StepLR(step_size=3, gamma=0.1)"
    assert repr(CosineLR(make_optimizer(), 30, eta_min=0.001)) == "CosineLR(T_max=30, eta_min=0.001)"
