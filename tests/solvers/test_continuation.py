"""Branches followed through folds, against curves that are known."""

from __future__ import annotations

import numpy as np
import pytest
from sympy import Interval, oo, symbols

import replica as rp
from replica.solvers.continuation import follow, saddle_branches

alpha = symbols("alpha", real=True)
m = symbols("m", nonnegative=True)

# rises, falls and rises again: its derivative 3 m^2 - 4 m + 1.1 has two zeros below two
CURVE = m * (1 - m) ** 2 + m / 10
FOLDED = rp.Formula(
    name="folded",
    title="A potential whose saddle points turn twice",
    potential=alpha * m - CURVE.integrate(m),
    overlaps={m: Interval.Ropen(0, 2)},
    controls={alpha: (Interval.open(0, oo), None)},
)


def test_through_two_folds():
    system = saddle_branches(FOLDED, alpha)
    begin = 0.05
    start = np.array([begin, float(CURVE.subs(m, begin))])
    branch = follow(system, start, [])
    place, control = branch.overlaps[:, 0], branch.control
    assert (np.diff(place) > 0).all()
    np.testing.assert_allclose(control, [float(CURVE.subs(m, x)) for x in place], atol=1e-9)
    assert place[-1] == pytest.approx(2, abs=1e-6)
    turns = np.count_nonzero(np.diff(np.sign(np.diff(control))))
    assert turns == 2


def test_downwards_from_the_middle():
    system = saddle_branches(FOLDED, alpha)
    start = np.array([1.5, float(CURVE.subs(m, 1.5))])
    branch = follow(system, start, [], upwards=False)
    assert (np.diff(branch.overlaps[:, 0]) < 0).all()
    assert branch.control.min() < 0.15


def test_stops_where_it_is_told():
    system = saddle_branches(FOLDED, alpha)
    start = np.array([0.05, float(CURVE.subs(m, 0.05))])
    branch = follow(system, start, [], until=lambda point: point[0] > 0.5)
    assert branch.overlaps[-2, 0] <= 0.5 < branch.overlaps[-1, 0]
    assert "found" in branch.ended


def test_every_point_is_a_saddle_of_a_potential_with_means():
    binary = rp.formulas["binary-perceptron"]
    system = saddle_branches(binary, next(iter(binary.controls.values())).symbol)
    first = rp.solve(binary, alpha=0.01, kappa=0.5)
    start = np.array([first.q, first.qhat, 0.01])
    branch = follow(system, start, [np.array([0.5])], most=25)
    assert len(branch.points) == 25
    for q, _, control in branch.points[5::5]:
        assert rp.solve(binary, alpha=control, kappa=0.5).q == pytest.approx(q, abs=1e-8)
