"""Formulas without overlaps, or without controls: what a limit may leave."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special
from sympy import Abs, Interval, Max, S, log, oo, symbols

import replica as rp

alpha, kappa, u = symbols("alpha kappa u", real=True)
x, y = symbols("x y", positive=True)


def capacity(**changes):
    known = {
        "name": "capacity",
        "title": "Capacity of the perceptron",
        "potential": S.Half - alpha * rp.Mean(Max(0, kappa - u) ** 2, (u, 1)) / 2,
        "overlaps": {},
        "controls": {alpha: (Interval.open(0, oo), None), kappa: (Interval(-5, 5), 0)},
        "thresholds": {"alpha_G": rp.Root("potential", in_=alpha)},
    }
    return rp.Formula(**{**known, **changes})


def test_values_without_overlaps():
    found = rp.solve(capacity(), alpha=1)
    assert found["potential"] == pytest.approx(0.25, abs=1e-12)
    assert found.status.name == "CONVERGED"
    assert found.overlaps == {}
    assert found.error <= 1e-10
    grid = rp.solve(capacity(), alpha=[1, 2], kappa=0)
    np.testing.assert_allclose(grid["potential"], [0.25, 0], atol=1e-12)
    assert rp.solve(capacity(), alpha=1, digits=30).texts["potential"][:30] == "0." + "25".ljust(
        28, "0"
    )


def test_grids_without_overlaps():
    grid = rp.sweep(capacity(), alpha=[0.5, 1, 2], kappa=[0, 1])
    margin = np.array([0.0, 1.0])
    second = (1 + margin**2) * special.ndtr(margin) + margin * np.exp(-(margin**2) / 2) / np.sqrt(
        2 * np.pi
    )
    expected = 0.5 - np.outer([0.5, 1, 2], second) / 2
    np.testing.assert_allclose(grid["potential"], expected, atol=1e-12)
    line = rp.sweep(capacity(), "alpha_G", kappa=[0, 1])
    np.testing.assert_allclose(line["alpha_G"], 1 / second, rtol=1e-11)


def test_nothing_to_follow():
    with pytest.raises(rp.DeclarationError, match="there are no overlaps"):
        rp.branches(capacity(), alpha=(0.5, 2))
    with pytest.raises(rp.DeclarationError, match="there are no overlaps"):
        rp.trajectory(capacity(), alpha=1)


def test_no_overlap_and_no_control():
    ground = capacity(potential=rp.Mean(Abs(u), (u, 1)), controls={}, thresholds={})
    assert rp.solve(ground)["potential"] == pytest.approx(np.sqrt(2 / np.pi), abs=1e-12)
    with pytest.raises(rp.UnknownName, match="'alpha'; there is none"):
        rp.solve(ground, alpha=1)


def test_overlaps_without_control():
    saddle = log(x) - 2 * x - (log(y) + 1) ** 2
    alone = capacity(
        potential=saddle,
        overlaps={x: Interval.open(0, oo), y: Interval.open(0, oo)},
        controls={},
        thresholds={},
    )
    for found in (rp.solve(alone), rp.solve(alone, start={"x": 0.4, "y": 0.4})):
        assert found.x == pytest.approx(0.5, abs=1e-12)
        assert found.y == pytest.approx(np.exp(-1), abs=1e-12)
    assert rp.solve(alone, digits=25).texts["x"] == "0.5000000000000000000000000"


def test_potential_that_vanishes_at_its_saddle_needs_no_branch():
    affine = x - log(x) - 2 * alpha
    formula = capacity(
        potential=affine,
        overlaps={x: Interval.open(0, oo)},
        controls={alpha: (Interval.open(0, oo), None)},
    )
    assert rp.threshold(formula, "alpha_G").value == pytest.approx(0.5, abs=1e-12)


def test_failures_without_controls_say_where():
    nowhere = capacity(
        potential=log(x) + x, overlaps={x: Interval.open(0, oo)}, controls={}, thresholds={}
    )
    with pytest.raises(rp.ConvergenceError, match=r"^capacity: [A-Z_]+, "):
        rp.solve(nowhere)
