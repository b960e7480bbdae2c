"""Folds of a formula with a mean within a mean: the relu generator of Aubin et al. (2020)."""

from __future__ import annotations

import numpy as np
import pytest
from literature import generator
from numpy.polynomial.hermite_e import hermegauss
from sympy import Interval, cosh, exp, log, oo, symbols

import replica as rp
from replica.solvers.system import System


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ratio", "transition"), [(0.1, 0.100528254503958), (1.0, 0.5622460034)], ids=["0.1", "1"]
)
def test_generator_without_a_start(ratio, transition):
    found = rp.threshold(generator(), "alpha_AMP", ratio=ratio)
    assert found.status == rp.Status.CONVERGED
    assert found.error < 1e-9
    assert found.value == pytest.approx(transition, abs=1e-10 if ratio == 1 else 1e-12)


def test_slopes_of_a_mean_within_a_mean():
    """What stands outside the inner mean is exact, what is inside is known by differences."""
    x, y, c = symbols("x y c", positive=True)
    g, h = symbols("g h", real=True)
    inner = log(rp.Mean(exp(log(2 * cosh(g + h)) / 2), (g, x)))
    equations = (rp.Mean(inner, (h, x)) + c * y**2, c * x**3 - y)
    system = System(equations, (x, y), (c,), {s: Interval.open(0, oo) for s in (x, y)})
    z, given = np.array([[0.4, 0.7]]), [np.array([1.5])]
    _, jacobian = system.evaluate(z, given)

    nodes, weights = hermegauss(60)
    weights = weights / weights.sum()

    def by_hand(v):
        field = np.sqrt(v) * (nodes[:, None] + nodes)
        return weights @ np.log(np.sqrt(2 * np.cosh(field)) @ weights)

    step = 1e-4
    slope = (by_hand(0.4 + step) - by_hand(0.4 - step)) / (2 * step)
    assert jacobian[0, 0, 0] == pytest.approx(slope, rel=1e-5)
    assert jacobian[0, 0, 1] == pytest.approx(2 * 1.5 * 0.7, rel=1e-15)
    assert jacobian[0, 1, 0] == pytest.approx(3 * 1.5 * 0.4**2, rel=1e-15)
    assert jacobian[0, 1, 1] == -1.0
