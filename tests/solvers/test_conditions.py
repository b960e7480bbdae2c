"""Conditions on controls: any Boolean of any of them, read in one way wherever they stand."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import (
    ITE,
    And,
    Eq,
    Ge,
    Gt,
    Interval,
    Le,
    Lt,
    Ne,
    Not,
    Or,
    Rational,
    S,
    Symbol,
    Xor,
    exp,
    log,
    oo,
    sqrt,
    sympify,
)

import replica as rp
from replica.declarations.reading import read
from replica.solvers.conditions import holds

a, b = Symbol("a", real=True), Symbol("b", real=True)
q = Symbol("q", nonnegative=True)


def toy(**changes) -> rp.Formula:
    """Return a system whose saddle point is q = a + b / 2, whatever is declared besides."""
    content = {
        "name": "toy",
        "title": "A parabola",
        "potential": -((q - a - b / 2) ** 2),
        "overlaps": {q: Interval(0, oo)},
        "controls": {a: (Interval(0, 10), 1), b: (Interval(0, 10), 0)},
        "thresholds": {"half": rp.Root(q - S.Half, in_=a, doc="q is one half")},
    }
    return rp.Formula(**{**content, **changes})


def at(condition, **values) -> np.ndarray:
    formula = toy()
    return holds(condition, read(formula, values))


CONDITIONS = [
    (True, lambda x, y: True),
    (S.false, lambda x, y: False),
    (a < 1, lambda x, y: x < 1),
    (1 >= a, lambda x, y: x <= 1),
    (Eq(a, b), lambda x, y: x == y),
    (Ne(a, 0), lambda x, y: x != 0),
    (And(a > 1, b <= 2), lambda x, y: x > 1 and y <= 2),
    (Or(a > 1, Not(b < 2)), lambda x, y: x > 1 or y >= 2),
    (Xor(a > 1, b > 1), lambda x, y: (x > 1) != (y > 1)),
    (ITE(a > 1, b > 1, b > 2), lambda x, y: y > (1 if x > 1 else 2)),
    (a + b <= 3, lambda x, y: x + y <= 3),
    (Eq(a * b, 2), lambda x, y: x * y == 2),
    (a**2 > b, lambda x, y: x**2 > y),
]


@pytest.mark.parametrize(("condition", "expected"), CONDITIONS, ids=[str(c) for c, _ in CONDITIONS])
def test_the_same_at_every_point_of_a_grid_and_alone(condition, expected):
    grid = [0, 0.5, 1, 2, 3, 4]
    table = at(condition, a=np.array(grid)[:, None], b=np.array(grid))
    assert table.shape == (6, 6)
    for i, x in enumerate(grid):
        for j, y in enumerate(grid):
            assert table[i, j] == expected(x, y) == at(condition, a=x, b=y)


def test_it_is_exact():
    """No rounding decides: neither that of a product nor that of what has more digits."""
    tiny = 1e-200
    assert at(a**2 > 0, a=tiny)  # which is zero in doubles
    assert at(a**2 > 0, a=[tiny, 0.0]).tolist() == [True, False]
    assert not at(Eq((1 + a) ** 2, 1), a=[tiny]).any()
    assert not at(a > b, a=Decimal("0.1"), b=Fraction(1, 10))
    assert at(a < b, a=Decimal("0.1"), b=0.1)  # the double is above one tenth
    assert at(a > Rational(1, 10), a=Decimal("0.10000000000000000000001"))


def test_a_constant_is_the_double_next_to_it():
    tenth = Rational(1, 10)
    for value in (0.1, [0.1], Decimal("0.1")):
        assert np.all(at(Eq(a, tenth), a=value))
        assert not np.any(at(a < tenth, a=value))
        assert not np.any(at(a > tenth, a=value))
    assert at(a <= sqrt(2), a=np.sqrt(2))


def test_what_is_not_real_does_not_hold():
    assert at(log(a - 1) < 0, a=[0.5, 1.5, 3]).tolist() == [False, True, False]
    assert not at(log(a - 1) < 0, a=0.5)


numbers = st.sampled_from([0, 1, 2, 3, Rational(1, 2), Rational(7, 3), sqrt(2)])
sides = st.one_of(
    st.sampled_from([a, b, a + b, a * b, a - 2 * b, a**2, exp(-a), a / (1 + b)]), numbers
)
comparisons = st.builds(
    lambda kind, left, right: kind(left, right),
    st.sampled_from([Lt, Le, Gt, Ge, Eq, Ne]),
    sides,
    sides,
)
booleans = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        inner.map(Not),
        st.builds(And, inner, inner),
        st.builds(Or, inner, inner),
        st.builds(Xor, inner, inner),
        st.builds(ITE, inner, inner, inner),
    ),
    max_leaves=5,
)
places = st.fractions(0, 10, max_denominator=12)


@settings(max_examples=150, deadline=None)
@given(booleans, places, places)
def test_any_condition_is_what_sympy_says_of_exact_numbers(condition, x, y):
    """Whatever the Boolean, on exact numbers, on doubles and on a grid."""
    exact = {a: Rational(x.numerator, x.denominator), b: Rational(y.numerator, y.denominator)}
    expected = S.true == sympify(condition).subs(exact)
    assert bool(at(condition, a=x, b=y)) == expected
    doubles = {a: Rational(float(x)), b: Rational(float(y))}
    if S.true == sympify(condition).subs(doubles) == (S.true if expected else S.false):
        assert at(condition, a=[float(x)], b=float(y)).tolist() == [expected]


@settings(max_examples=60, deadline=None)
@given(booleans, booleans, places, places)
def test_conditions_obey_de_morgan(first, second, x, y):
    both = at(And(first, second), a=x, b=y)
    assert bool(both) == (not at(Or(Not(first), Not(second)), a=x, b=y))
    assert bool(at(Not(first), a=x, b=y)) != bool(at(first, a=x, b=y))


# ---- where they stand --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "when",
    [a < Rational(1, 10), And(a < Rational(1, 10), b < 5), Or(Eq(a, 0), a + b < Rational(1, 10))],
    ids=str,
)
def test_a_boundary_is_there_only_where_its_condition_holds(when):
    edge = rp.Boundary("edge", {q: S(7)}, b, S.Zero, {"potential": oo}, when=when)
    formula = toy(boundary=edge)
    for value, there in ((0.5, False), (0.05, True)):
        found = rp.solve(formula, a=value, b=0, start="informed")
        assert found.converged
        assert found.q == pytest.approx(7 if there else value, rel=1e-12)
        assert ("edge" in found.note) == there
    seen = rp.solve(formula, a=np.array([0.5, 0.05, 0.2]), b=0, start="informed")
    assert seen.q == pytest.approx([0.5, 7, 0.2], rel=1e-12)


def test_full_recovery_of_a_shipped_system_under_another_condition():
    """A user's copy in which labels are exact below some noise: nothing is recovered above."""
    shipped = rp.formulas["bayes-optimal-glm"](prior="rademacher", channel="linear")
    noise = shipped.controls["Delta"].symbol
    edge = dataclasses.replace(shipped.boundary, when=noise < Rational(1, 10))
    mine = dataclasses.replace(shipped, boundary=edge)
    for start in ("uninformed", "informed"):
        found = rp.solve(mine, alpha=1.5, Delta=0.5, start=start)
        assert found.observables["mse"] == pytest.approx(
            rp.solve(shipped, alpha=1.5, Delta=0.5, start=start).observables["mse"], rel=1e-12
        )
        assert found.observables["mse"] > 0.01


def test_an_absence_in_several_controls():
    absence = rp.Absence(a, "<", 2, "there is nothing below two", when=And(b > 1, a + b < 4))
    formula = toy(absences=(absence,))
    found = rp.solve(formula, a=[1, 1, 1.5], b=[0.5, 2, 3])
    assert found.converged.tolist() == [True, False, True]
    with pytest.raises(rp.ConvergenceError, match="nothing below two"):
        rp.solve(formula, a=1, b=2)


def test_thresholds_under_several_conditions():
    half = rp.Root(q - S.Half, in_=a, doc="q is one half")
    none = dataclasses.replace(half, unless=((And(b > S.Half, b < 3), "b is between"),))
    inner = rp.Cases(a, ((b < Rational(1, 4), half), (b < 1, none)))
    formula = toy(thresholds={"half": inner})
    assert rp.threshold(formula, "half", b=0.125).value == pytest.approx(0.4375, rel=1e-12)
    assert rp.threshold(formula, "half", b=0.5).value == pytest.approx(0.25, rel=1e-12)
    with pytest.raises(rp.ThresholdNotFound, match="b is between"):
        rp.threshold(formula, "half", b=0.75)
    with pytest.raises(rp.ThresholdNotFound, match="no case applies"):
        rp.threshold(formula, "half", b=1)


STRANGER = Symbol("stranger", real=True)
BAD = [STRANGER > 0, And(a > 0, STRANGER > 0), q > 0, a, 1, "a > 0", None]


@pytest.mark.parametrize("condition", BAD, ids=str)
@pytest.mark.parametrize("place", ["boundary", "absence", "unless", "case"])
def test_what_is_no_condition_on_controls_is_refused_at_declaration(condition, place):
    root = rp.Root(q - S.Half, in_=b)
    changes = {
        "boundary": {"boundary": rp.Boundary("edge", {q: S.One}, a, 0, {}, when=condition)},
        "absence": {"absences": (rp.Absence(a, "<", 1, "none", when=condition),)},
        "unless": {
            "thresholds": {
                "half": dataclasses.replace(root, unless=((condition, "for this reason"),))
            }
        },
        "case": {"thresholds": {"half": rp.Cases(b, ((condition, root), (True, root)))}},
    }[place]
    with pytest.raises(rp.DeclarationError, match="not one on controls"):
        toy(**changes)


def test_a_condition_on_the_control_that_is_solved_for_is_refused():
    with pytest.raises(rp.DeclarationError, match="controls other than a"):
        toy(thresholds={"half": rp.Root(q - S.Half, in_=a, unless=((a > 1, "no"),))})


@pytest.mark.parametrize(
    ("threshold", "words"),
    [
        (lambda: rp.Cusp((a, a)), "determines two controls"),
        (lambda: rp.Cases(a, ((True, rp.Limit(a + b)),)), "a value that depends on a"),
        (lambda: rp.Cases(a, ((True, rp.Cases(b, ((True, rp.Fold(b)),))),)), "determines b"),
        (lambda: rp.Cases(a, ((True, "half"),)), "expected a Root"),
    ],
    ids=["one control twice", "limit in the control itself", "cases within", "no threshold"],
)
def test_thresholds_that_do_not_fit_are_refused_at_declaration(threshold, words):
    with pytest.raises(rp.DeclarationError, match=words):
        toy(thresholds={"half": threshold()})


@pytest.mark.parametrize(
    "absence",
    [rp.Absence(q, "<", 1, "none"), rp.Absence(a, "<", STRANGER, "none")],
    ids=["of no control", "than an unbound symbol"],
)
def test_absences_that_name_nothing_are_refused(absence):
    with pytest.raises(rp.DeclarationError, match="absence"):
        toy(absences=(absence,))
