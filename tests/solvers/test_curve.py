"""Explicit curves of saddle points and their passages."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from sympy import Interval, Symbol, cosh, exp, log, oo

import replica as rp
from replica.solvers.curve import explicit_curve
from replica.solvers.passages import Curves, Passage, thinned, turns
from replica.solvers.system import saddle_system

m, mhat = Symbol("m", nonnegative=True), Symbol("mhat", nonnegative=True)
b, h = Symbol("b", positive=True), Symbol("h", real=True)


def magnet(**changes) -> rp.Formula:
    """Return a ferromagnet: mhat = b m, m = tanh(mhat + h), so b = mhat / tanh(mhat + h)."""
    content = {
        "name": "magnet",
        "title": "Curie-Weiss",
        "potential": b * m**2 / 2 - m * mhat + log(2 * cosh(mhat + h)),
        "overlaps": {m: Interval.Ropen(0, 1)},
        "conjugates": {m: mhat},
        "controls": {b: (Interval.open(0, oo), None), h: (Interval(-1, 1), 0)},
    }
    return rp.Formula(**{**content, **changes})


def test_points_are_saddle_points():
    formula = magnet()
    curve = explicit_curve(formula)
    assert curve is not None
    assert curve.control == b
    assert curve.parameter == mhat
    place = np.array([0.1, 1.0, 3.0])
    z, control = curve.points(place, [0.2])
    np.testing.assert_allclose(control, place / np.tanh(place + 0.2), rtol=1e-13)
    residual = saddle_system(formula).residual(*z.T, control, np.full(3, 0.2))
    assert np.abs(np.stack(residual)).max() < 1e-13


def test_further_expressions_come_in_the_same_pass():
    curve = explicit_curve(magnet())
    z, control, doubled = curve.points(np.array([1.0]), [0.0], (2 * b * m,))
    assert doubled[0] == pytest.approx(2 * control[0] * z[0, 0], rel=1e-14)


def test_grids_cover_the_domain():
    curve = explicit_curve(magnet())
    few, many, far = (curve.grid(level) for level in range(3))
    assert few[0] == many[0] == 0
    assert few.size < many.size
    assert (np.diff(few) > 0).all()
    assert (np.diff(many) > 0).all()
    assert far[0] == pytest.approx(many[-1], rel=1e-9)


def test_the_state_of_no_overlap():
    """At h = 0 it is a saddle point at every b, and the curve leaves it at b = 1."""
    curve = explicit_curve(magnet())
    place, leaving, proportional = curve.origin([np.array([0.5]), np.array([0.0])])
    assert place.tolist() == [[0.0, 0.0]]
    assert leaving[0] == pytest.approx(1, abs=1e-9)
    assert not proportional[0]
    _, _, proportional = curve.origin([np.array([0.5]), np.array([0.3])])
    assert proportional[0]  # b = mhat / tanh(h): the control vanishes with the parameter


@pytest.mark.parametrize(("coupling", "field"), [(1.5, 0.0), (0.7, 0.2), (4.0, 0.5)])
def test_a_passage_is_where_the_curve_takes_the_control(coupling, field):
    curve = explicit_curve(magnet())
    controls = [np.array([coupling]), np.array([field])]
    (passage,) = curve.passages(controls)
    assert passage.found[0]
    truth = brentq(lambda x: x / np.tanh(x + field) - coupling, 1e-9, 50)
    assert passage.low[0] <= truth <= passage.high[0]
    found = curve.between(passage, controls)
    assert found[0, curve.formula.unknowns.index(mhat)] == pytest.approx(truth, rel=1e-9)


def test_no_passage_below_where_the_curve_begins():
    curve = explicit_curve(magnet())
    (passage,) = curve.passages([np.array([0.5]), np.array([0.0])])
    assert not passage.found[0]


def test_first_last_and_all_passages_of_a_curve_that_turns():
    """b = x^3 - 6 x^2 + 9 x + 1 turns at 5 and at 1: three states in between, two that attract."""
    q, qhat = Symbol("q", positive=True), Symbol("qhat", nonnegative=True)
    value = qhat**3 - 6 * qhat**2 + 9 * qhat + 1
    # the residual of qhat is affine in b: b = value at q = 1 - exp(-qhat)
    formula = rp.Formula(
        name="turning",
        title="A curve that turns",
        equations={q: 1 - exp(-qhat), qhat: qhat + b - value + 0 * q},
        overlaps={q: Interval.open(0, 1)},
        conjugates={q: qhat},
        controls={b: (Interval.open(0, oo), None)},
    )
    curve = explicit_curve(formula)
    assert curve is not None
    wanted = np.array([3.0])
    roots = np.sort(np.roots([1, -6, 9, 1 - 3.0]).real)
    rising = [roots[0], roots[2]]  # what state evolution is attracted to
    first, last = (curve.passages([wanted], which)[0] for which in ("first", "last"))
    every = curve.passages([wanted], "all")
    for passage, root in ((first, rising[0]), (last, rising[1])):
        assert passage.low[0] <= root <= passage.high[0]
    assert sum(bool(p.found[0]) for p in every) == 2


def test_formulas_without_an_explicit_curve():
    n = Symbol("n", nonnegative=True)
    two = magnet(
        potential=b * (m**2 + n**2) / 2 - log(cosh(b * m)) - log(cosh(b * n)),
        overlaps={m: Interval.Ropen(0, 1), n: Interval.Ropen(0, 1)},
        conjugates={},
    )
    assert explicit_curve(two) is None  # two overlaps
    entangled = magnet(potential=-m * mhat + log(2 * cosh(mhat * b + h)) + b**2 * m**2 / 2)
    assert explicit_curve(entangled) is None  # the control enters both equations


# ---- sampled curves ----------------------------------------------------------------------------


def parabolas() -> Curves:
    """Return two curves x -> (x - 2)^2 and x -> x, sampled at the same nodes."""
    x = np.linspace(0, 6, 25)
    z = np.stack([x, x])[..., None]
    return Curves(z, np.stack([(x - 2) ** 2, x]), 0)


def test_passages_rise_where_the_curve_rises():
    curves = parabolas()
    (passage,) = curves.passages(np.array([0, 1]), np.array([4.0, 4.0]), "first")
    assert passage.found.all()
    np.testing.assert_allclose(passage.start[:, 0], [4.0, 4.0], atol=1e-12)


def test_what_is_not_known_comes_last():
    x = np.array([0.0, 1.0, 2.0, 3.0])
    value = np.array([[0.0, np.nan, 2.0, 3.0]])
    curves = Curves(x[None, :, None], value, 0)
    assert curves.count.tolist() == [3]
    np.testing.assert_array_equal(curves.value, [[0, 2, 3, np.nan]])
    assert not curves.ended[0]


def test_turns_are_inner_extrema():
    x = np.linspace(0, 2 * np.pi, 41)
    found = turns(np.stack([np.sin(x), x, np.zeros_like(x)]))
    assert [int(row.sum()) for row in found] == [2, 0, 0]


def test_a_passage_that_no_point_has():
    none = Passage.none(3, 2)
    assert none.start.shape == (3, 2)
    assert not none.found.any()
    part = Passage(np.ones((1, 2)), np.array([True]), *np.ones((3, 1)), np.array([False]))
    none.put(np.array([1]), part)
    assert none.found.tolist() == [False, True, False]
    assert none.at([1]).start.tolist() == [[1.0, 1.0]]


def test_a_cloud_is_thinned_to_its_neighbours(rng):
    table = rng.uniform(size=(2000, 2))
    chosen, member = thinned(table)
    assert chosen.shape[0] <= 512
    assert member.shape == (2000,)
    distance = np.abs(chosen[member] - table).sum(axis=1)
    assert distance.max() < 0.3
