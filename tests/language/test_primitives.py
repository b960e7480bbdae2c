"""Stable functions: their derivatives, and that they never leave the set."""

from __future__ import annotations

import pickle
from itertools import pairwise

import mpmath
import numpy as np
import pytest
from language.values import PRIMITIVE_VALUES, value
from mpmath import mpf
from sympy import (
    DiracDelta,
    Expr,
    Heaviside,
    Integer,
    Rational,
    S,
    Symbol,
    exp,
    latex,
    log,
    oo,
    pi,
    sqrt,
    symbols,
)
from sympy.core.function import ArgumentIndexError, Function

from replica.language.bessel import (
    BesselQuotient,
    BesselRatio,
    BesselRatioSlope,
    LogScaledI0,
    LogScaledK0,
    LogScaledK1,
    PhaseEntropy,
    PhaseLogPartition,
    PhaseVariance,
)
from replica.language.primitives import (
    LogCosh,
    LogH,
    LogHDifference,
    LogSumExp,
    LowerMills,
    Mills,
    MillsExcess,
    PositivePart,
    ProductDifference,
    Sech,
    Softmax,
    Tanh,
    UpperMills,
)
from replica.language.tilted import (
    ExponentialCumulant,
    ExponentialWeight,
    IntervalCumulant,
    IntervalWeight,
)
from replica.language.vocabulary import PRIMITIVES

x, y, z, w = symbols("x y z w", real=True)
ARGUMENTS = (x, y, z, w)
PHASES = (PhaseLogPartition, PhaseEntropy, PhaseVariance, BesselQuotient)
BESSEL = (LogScaledI0, BesselRatio, BesselRatioSlope, *PHASES)
CUMULANTS = (IntervalCumulant, ExponentialCumulant)
WEIGHTS = (IntervalWeight, ExponentialWeight)
COUNT = {
    ProductDifference: 4,
    LogHDifference: 2,
    LowerMills: 2,
    UpperMills: 2,
    LogSumExp: 3,
    Softmax: 3,
}
COUNT |= {ProductDifference: 4}
COUNT |= dict.fromkeys(CUMULANTS, 2) | dict.fromkeys(WEIGHTS, 3)


def applied(primitive, names=ARGUMENTS):
    order = (1,) if primitive in (*CUMULANTS, BesselQuotient) else ()
    return primitive(*order, *names[: COUNT.get(primitive, 1)])


def points(primitive) -> list[tuple[float, ...]]:
    """Random places, then far tails and near coincidences."""
    rng = np.random.default_rng(7)
    count = COUNT.get(primitive, 1)
    drawn = [tuple(rng.normal(size=count) * scale) for scale in (0.1, 1, 1, 3, 10)]
    if primitive in (PositivePart, ProductDifference):
        return drawn
    if primitive in BESSEL:  # of the size of a field
        return [(abs(p[0]),) for p in drawn] + [(1e-9,), (8.5,), (300.0,)]
    if primitive in (LogScaledK0, LogScaledK1):  # of a logarithm
        return [*drawn[:4], (-40.0,), (0.0,), (6.0,)]
    if primitive in (*CUMULANTS, *WEIGHTS):  # a field, a precision, a variance
        return [(h, *map(abs, rest)) for h, *rest in drawn[1:]] + [(-0.5, 0.03, 0.5)[:count]]
    if count == 1:
        return [*drawn, (-60.0,), (-8.5,), (0.0,), (1e-9,), (8.5,), (39.0,), (300.0,)]
    if primitive in (LogSumExp, Softmax):
        return [*drawn, (0.0, 0.0, 0.0), (700.0, 710.0, -5.0), (-800.0, -801.0, -900.0)]
    ordered = [tuple(sorted(p)) for p in drawn]
    return [*ordered, (-20.0, 20.0), (-1e-3, 1e-3), (5.0, 5.01), (-40.0, -39.0), (39.0, 80.0)]


def at(point) -> dict[Symbol, mpf]:
    return dict(zip(ARGUMENTS, map(mpf, map(float, point)), strict=False))


def digits_for(primitive, point) -> int:
    """Digits that show a value next to one, or an interval that holds all but a tail."""
    if primitive in (LogCosh, Tanh, Sech, LogSumExp, Softmax):
        return 100 + int(2 * max(map(abs, point)))
    return 250 if len(point) == 2 and point[0] < 0 < point[1] else 80


@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_derivatives_in_the_bulk_and_the_tails(primitive):
    expression = applied(primitive)
    for point in points(primitive):
        with mpmath.workdps(digits_for(primitive, point)):
            where = at(point)
            for symbol in ARGUMENTS[: len(point)]:

                def along(moved, where=where, symbol=symbol):
                    return value(expression, {**where, symbol: moved})

                truth = mpmath.diff(along, where[symbol], h=mpf(10) ** (-mpmath.mp.dps // 3))
                found = value(expression.diff(symbol), where)
                size = max(abs(truth), abs(found), mpf(10) ** -600)
                assert abs(found - truth) <= mpf(10) ** -20 * size, (point, symbol)


@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_closed_under_differentiation(primitive):
    """Derivatives of any order are made of primitives and arithmetic."""
    expression = applied(primitive)
    for _ in range(3):
        expression = expression.diff(x)
        known = (*PRIMITIVES, exp, Heaviside, DiracDelta)  # the last two: means integrate them
        assert all(isinstance(node, known) for node in expression.atoms(Function))


@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_mixed_derivatives_commute(primitive):
    expression = applied(primitive)
    for one, two in pairwise(ARGUMENTS[: COUNT.get(primitive, 1)]):
        forth, back = expression.diff(one, two), expression.diff(two, one)
        with mpmath.workdps(60):
            for point in points(primitive)[:4]:
                a, b = value(forth, at(point)), value(back, at(point))
                assert abs(a - b) <= mpf(10) ** -40 * max(abs(a), 1)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (LogH(x).diff(x), -Mills(x)),
        (Mills(x).diff(x), Mills(x) * MillsExcess(x)),
        (LogCosh(x).diff(x), Tanh(x)),
        (Tanh(x).diff(x), Sech(x) ** 2),
        (Sech(x).diff(x), -Sech(x) * Tanh(x)),
        (LogHDifference(x, y).diff(x), -LowerMills(x, y)),
        (LogHDifference(x, y).diff(y), UpperMills(x, y)),
        (LogSumExp(x, y).diff(x), Softmax(x, y)),
        (LogH(3 * x - y).diff(x), -3 * Mills(3 * x - y)),
        (LogH(-oo), Integer(0)),
        (LogH(0), -log(2)),
        (Mills(0), sqrt(2 / pi)),
        (LogCosh(0), Integer(0)),
        (LogCosh(-x), LogCosh(x)),
        (LogCosh(y - x), LogCosh(x - y)),
        (Tanh(0), Integer(0)),
        (Tanh(-x), -Tanh(x)),
        (Sech(0), Integer(1)),
        (Sech(-x), Sech(x)),
        (LogSumExp(x), x),
        (LogSumExp(y, x), LogSumExp(x, y)),
        (Softmax(x), Integer(1)),
        (Softmax(x, z, y), Softmax(x, y, z)),
        (IntervalCumulant(1, -x, y), -IntervalCumulant(1, x, y)),
        (ExponentialCumulant(2, -x, y), ExponentialCumulant(2, x, y)),
        (ExponentialWeight(-x, y, z), ExponentialWeight(x, y, z)),
    ],
    ids=str,
)
def test_exact_forms(expression, expected):
    assert expression == expected


def test_special_values_agree_with_the_functions():
    for expression in (LogH(0), Mills(0), LogCosh(0), Tanh(0), Sech(0)):
        assert expression.is_number
    with mpmath.workdps(30):
        for name, exact in (("LogH", LogH(0)), ("Mills", Mills(0)), ("Sech", Sech(0))):
            assert abs(PRIMITIVE_VALUES[name](mpf(0)) - mpf(exact.evalf(30))) < mpf(10) ** -29


@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_real_on_the_real_line(primitive):
    assert applied(primitive).is_extended_real
    assert applied(primitive, symbols("p q r s")).is_extended_real is None


@pytest.mark.parametrize("primitive", [Mills, MillsExcess, Sech, Softmax])
def test_stated_positive(primitive):
    assert applied(primitive).is_positive
    with mpmath.workdps(300):
        for point in points(primitive):
            assert value(applied(primitive), at(point)) > 0


def test_stated_negative():
    assert LogH(x).is_negative
    assert LogH(Symbol("c")).is_negative is None


def test_the_excess_is_a_difference():
    assert MillsExcess(x).as_difference() == Mills(x) - x


@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_pickles_and_shows(primitive):
    expression = applied(primitive)
    assert pickle.loads(pickle.dumps(expression)) == expression
    shown = latex(expression)
    assert shown.startswith(primitive.latex_name)
    assert r"\left(" in shown
    assert "^{2}" in latex(expression**2)


def test_wrong_numbers_of_arguments():
    for make in (lambda: LogH(x, y), lambda: LogHDifference(x), lambda: LogSumExp()):
        with pytest.raises(TypeError):
            make()
    for index in (0, 4):
        with pytest.raises(ArgumentIndexError):
            LogSumExp(x, y, z).fdiff(index)


def test_substitution_reaches_the_arguments():
    assert LogSumExp(x, y).subs(x, 0) == LogSumExp(0, y)
    assert Softmax(x, y).subs(y, x).subs(x, Rational(1, 2)) == Softmax(S.Half, S.Half)
    assert LogCosh(x - y).subs(x, y) == 0


@pytest.mark.parametrize(
    ("node", "truth"),
    [
        (LogH(Integer(30)), lambda: mpmath.log(mpmath.erfc(30 / mpmath.sqrt(2)) / 2)),
        (Mills(Rational(1, 3)), lambda: mpmath.npdf(mpf(1) / 3) / mpmath.ncdf(-mpf(1) / 3)),
        (MillsExcess(Integer(2)), lambda: mpmath.npdf(2) / mpmath.ncdf(-2) - 2),
        (LogCosh(Integer(900)), lambda: 900 - mpmath.log(2)),
        (Sech(Integer(2)), lambda: mpmath.sech(2)),
        (Tanh(Rational(1, 2)), lambda: mpmath.tanh(mpf(1) / 2)),
        (LogSumExp(0, Integer(2)), lambda: mpmath.log(1 + mpmath.exp(2))),
        (Softmax(Integer(2), 0), lambda: 1 / (1 + mpmath.exp(-2))),
        (
            LogHDifference(Integer(1), Integer(2)),
            lambda: mpmath.log(mpmath.ncdf(-1) - mpmath.ncdf(-2)),
        ),
    ],
    ids=lambda part: str(part) if isinstance(part, Expr) else "",
)
def test_numbers_have_values(node, truth):
    with mpmath.workdps(30):
        assert abs(mpf(node.evalf(25)) - truth()) < mpf(10) ** -22 * (1 + abs(truth()))
