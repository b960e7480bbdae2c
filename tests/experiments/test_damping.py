"""When an iteration is damped more than was asked for."""

from __future__ import annotations

import math

import numpy as np
import pytest

from replica.experiments.damping import Swings, kept


def test_which_half_of_the_iteration_is_damped():
    assert kept(0.4, sign_is_free=True) == (0.4, 0.0)
    assert kept(0.4, sign_is_free=False) == (0.0, 0.4)


@pytest.mark.parametrize("shape", [(6,), (6, 2)])
def test_a_cycle_of_two_is_damped(shape):
    swings = Swings(0.0)
    move = np.random.default_rng(0).standard_normal(shape)
    for step in range(12):
        swings.see((-1) ** step * move, 0.1)
    assert swings.damping == pytest.approx(0.3)
    for step in range(30):
        swings.see((-1) ** step * move, 0.1)
    assert 0.3 < swings.damping < 1


def test_a_cycle_that_shrinks_settles_by_itself():
    swings = Swings(0.0)
    for step in range(100):
        assert not swings.see((-0.95) ** step * np.ones(3), 0.95**step)
    assert swings.damping == 0


def test_an_estimate_that_wanders_begins_again():
    swings, rng = Swings(0.0), np.random.default_rng(0)
    lost = [swings.see(rng.standard_normal(50), 1.0) for _ in range(80)]
    assert not any(lost[:39])
    assert any(lost)
    assert swings.damping == pytest.approx(0.3) or swings.damping > 0.3


def test_an_estimate_that_slowly_settles_does_not():
    swings, rng = Swings(0.0), np.random.default_rng(0)
    assert not any(swings.see(rng.standard_normal(50), math.exp(-k / 30)) for k in range(400))
    assert swings.damping == 0
