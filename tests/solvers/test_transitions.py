"""Folds, crossings and their ends, on a potential whose branches are known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
from solvers.folded import FOLDED, alpha, curve

import replica as rp
from replica.solvers.thresholds.sampled import sampled_curves


@pytest.mark.parametrize("slope", [0.3, 0.5, 0.9, 0.99])
def test_folds_of_a_cubic(slope: float):
    """The turns of y^3/3 - y^2 + b y + 1 are at y = 1 -+ sqrt(1 - b)."""
    for name, side in (("alpha_AMP", -1), ("alpha_sp", 1)):
        y = 1 + side * math.sqrt(1 - slope)
        found = rp.threshold(FOLDED, name, b=slope)
        assert found.value == pytest.approx(curve(y, slope), abs=1e-11)
        assert abs(found.value - curve(y, slope)) <= found.error + 1e-15
        assert found.overlaps["mhat"] == pytest.approx(y, abs=1e-5)


def test_cusp_of_a_cubic():
    """Both turns meet at y = 1, b = 1, where the curve is at 4/3."""
    found = rp.threshold(FOLDED, "b_c")
    assert found.value == pytest.approx(1, abs=1e-9)
    assert found.controls["alpha"] == pytest.approx(4 / 3, abs=1e-9)


def test_no_fold_on_a_monotone_curve():
    with pytest.raises(rp.ThresholdNotFound, match="without turning back"):
        rp.threshold(FOLDED, "alpha_AMP", b=1.5)


def test_the_sampled_curve_is_the_curve():
    (sampled,) = sampled_curves(FOLDED, alpha, [[0.5]])
    y = sampled.z[:, 1]
    near = (y > 0) & (y < 1e3)
    np.testing.assert_allclose(sampled.control[near], curve(y[near], 0.5), rtol=1e-9)


def test_a_control_next_to_a_fold_is_on_the_right_branch():
    """One part in 1e9 below the fold is still the uninformed branch; above, the informed one."""
    slope = 0.5
    top = curve(1 - math.sqrt(1 - slope), slope)
    below = rp.solve(FOLDED, alpha=top * (1 - 1e-9), b=slope)
    above = rp.solve(FOLDED, alpha=top * (1 + 1e-9), b=slope)
    assert below.mhat < 1 < above.mhat
    informed = rp.solve(FOLDED, alpha=top * (1 - 1e-9), b=slope, start="informed")
    assert informed.mhat > 1
    assert curve(informed.mhat, slope) == pytest.approx(top, rel=1e-8)
