"""Folds, crossings and their ends, on a potential whose branches are known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sympy import Interval, S, log, oo, symbols

import replica as rp
from replica.solvers.thresholds.sampled import sampled_curves

alpha, b = symbols("alpha b", real=True)
D, mhat = symbols("D mhat", nonnegative=True)

# D = 1 / (1 + mhat) and mhat = alpha f(D): the curve is alpha = mhat / f(D). With f = x / g(x)
# and x = mhat it is alpha = g(mhat), a cubic with two turns for b < 1.
x = (1 - D) / D
CUBIC = x**3 / 3 - x**2 + b * x + 1


def folded() -> rp.Formula:
    """Return a formula whose explicit curve is alpha = mhat^3/3 - mhat^2 + b mhat + 1."""
    return rp.Formula(
        name="folded",
        title="A curve of saddle points with two turns",
        potential=(mhat - log(1 + mhat)) / 2 - (1 - D) * mhat / 2 + alpha * (1 - D) ** 2 / 4,
        overlaps={D: Interval.Lopen(0, 1)},
        conjugates={D: mhat},
        updates={D: 1 / (1 + mhat), mhat: alpha * x / CUBIC},
        controls={alpha: (Interval.open(0, oo), None), b: (Interval(0, 4), S(1) / 2)},
        thresholds={
            "alpha_AMP": rp.Fold(alpha),
            "alpha_sp": rp.Fold(alpha, upper=False),
            "b_c": rp.Cusp((b, alpha)),
        },
    )


FOLDED = folded()


def curve(y: float, slope: float) -> float:
    return y**3 / 3 - y**2 + slope * y + 1


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


@pytest.mark.parametrize("slope", [0.5, 0.9])
def test_branches_find_the_folds(slope: float):
    found = rp.branches(FOLDED, alpha=(0.2, 5.0), b=slope)
    values = dict((kind, value) for value, kind in found.folds)
    root = math.sqrt(1 - slope)
    assert values["maximum"] == pytest.approx(curve(1 - root, slope), abs=1e-9)
    assert values["minimum"] == pytest.approx(curve(1 + root, slope), abs=1e-9)
    kinds = [bool(found.stable[piece][0]) for piece in found.pieces()]
    # the state of no overlap up to where it is left, and beyond; then the curve that leaves it
    assert kinds == [True, False, True, False, True]
    assert "fold" in repr(found)


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


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"alpha": 1.0}, "exactly one control as a range"),
        ({"alpha": (2.0, 1.0)}, "is empty"),
        ({"alpha": (-1.0, 1.0)}, "outside"),
    ],
)
def test_bad_ranges(given: dict, message: str):
    with pytest.raises(rp.ReplicaError, match=message):
        rp.branches(FOLDED, **given)
