"""Plain sympy and its stable form have the same value, also where the plain form overflows."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from mpmath import mpf
from sympy import (
    Expr,
    Rational,
    Symbol,
    cosh,
    erf,
    erfc,
    exp,
    lambdify,
    log,
    sech,
    sinh,
    sqrt,
    symbols,
    tanh,
)

from replica.language.means import Mean
from replica.language.primitives import LogCosh, LogH, LogHDifference, LogSumExp, Sech, Tanh
from replica.language.rewriting import stabilise
from replica.numerics.kernel import Kernel

h, k, v = symbols("h k v", real=True)
p = Symbol("p", positive=True)

ORDINARY = (-3.0, -0.7, 0.3, 1.9)
FAR = (-900.0, -39.0, 39.0, 900.0)
# the plain form, what it must contain, where its value is compared
FORMS = [
    (log(2 * cosh(h)), LogCosh, FAR),
    (log(cosh(h)), LogCosh, FAR),
    (log(p * cosh(h)), LogCosh, FAR),
    (log(cosh(h) * cosh(2 * h)), LogCosh, FAR),
    (log(cosh(h) / 3), LogCosh, FAR),
    (log(exp(-h) * cosh(h)), LogCosh, FAR),
    (log(erfc(h / sqrt(2)) / 2), LogH, FAR),
    (log(erfc(h)), LogH, FAR),
    (log(erfc(-h) / 2), LogH, FAR),
    (log((1 - erf(h / sqrt(2))) / 2), LogH, FAR),
    (log((1 + erf(h / sqrt(2))) / 2), LogH, FAR),
    (log(1 - erf(h)), LogH, FAR),
    (log(Rational(1, 2) + erf(h) / 2), LogH, FAR),
    (log(cosh(h) * erfc(h)), LogH, FAR),
    (log(erf(h + 1) - erf(h - 1)), LogHDifference, FAR),
    (log(erfc(h - 1) - erfc(h + 1)), LogHDifference, FAR),
    (log((erf(h + 1) - erf(h - 1)) / 2), LogHDifference, FAR),
    (log(3 * erfc(h - 1) - 3 * erfc(h + 2)), LogHDifference, FAR),
    (log(1 + exp(h)), LogSumExp, FAR),
    (log(exp(h) + exp(-h)), (LogSumExp, LogCosh), FAR),
    (log(exp(h) + 1 + exp(-h)), LogSumExp, FAR),
    (log(1 + 2 * cosh(h)), LogSumExp, FAR),
    (log(p + (1 - p / 2) * 0 + exp(h**2)), LogSumExp, FAR),
    (log(2 * p * cosh(h) * exp(k) + 3), LogSumExp, FAR),
    (log(exp(h) * p + exp(k) / 2), LogSumExp, FAR),
    (tanh(h), Tanh, FAR),
    (tanh(h) ** 2, Tanh, FAR),
    (sech(h) ** 2, Sech, ORDINARY),
    (1 / cosh(h), Sech, ORDINARY),
    (p / cosh(h) ** 3, Sech, ORDINARY),
    (sinh(h) / cosh(h), Tanh, FAR),
    (p * sinh(h) / cosh(h), Tanh, FAR),
]


def true_value(plain: Expr, at: dict) -> mpf:
    with mpmath.workdps(1500):  # erf is one up to 900^2 / log(10) digits: see `visible`
        names = tuple(at)
        return lambdify(names, plain, modules="mpmath")(*(mpf(w) for w in at.values()))


def visible(plain: Expr, number: float) -> bool:
    """A difference of erf and one at 900 needs more digits than anyone carries."""
    return not (plain.has(erf) or (plain.has(erfc) and len(plain.atoms(erfc)) > 1)) or (
        abs(number) < 50
    )


@pytest.mark.parametrize(("plain", "primitive", "places"), FORMS, ids=[str(f[0]) for f in FORMS])
def test_same_value(plain, primitive, places):
    stable = stabilise(plain)
    assert stable.has(*(primitive if isinstance(primitive, tuple) else (primitive,)))
    assert not stable.has(cosh, erfc, erf, tanh, sech)
    kernel = Kernel((h, k, p), (stable,))
    for number in (*ORDINARY, *(f for f in places if visible(plain, f))):
        at = {h: number, k: 0.4, p: 1.7}
        (found,) = kernel(*at.values())
        truth = true_value(plain, at)
        assert abs(mpf(float(found)) - truth) <= mpf(10) ** -12 * max(abs(truth), mpf(1) / 100)


@pytest.mark.parametrize(("plain", "primitive", "places"), FORMS, ids=[str(f[0]) for f in FORMS])
def test_finite_where_numpy_is_not(plain, primitive, places):
    """Value and slope stay finite, up to where erfc, cosh and exp overflow in doubles."""
    stable = stabilise(plain)
    kernel = Kernel((h, k, p), (stable, stable.diff(h)))
    grid = np.array([-1e4, -900, -40, -8.5, 0, 8.5, 40, 900, 1e4])
    value, slope = kernel(grid, 0.4, 1.7)
    assert np.isfinite(value).all()
    assert np.isfinite(slope).all()


def test_numpy_alone_would_fail():
    """What the rewriting is for: these are the forms that overflow."""
    with np.errstate(all="ignore"):
        plain = lambdify(h, log(2 * cosh(h)), modules="numpy")
        assert plain(900.0) == np.inf
        tail = lambdify(h, log(erfc(h)), modules=["scipy", "numpy"])
        assert tail(40.0) == -np.inf


@pytest.mark.parametrize(
    "expression",
    [
        h**2 + 1,
        log(1 + h**2),
        log(p + 1),
        log(h),
        log(h * cosh(k) * 0 + p),
        exp(-(h**2)),
        cosh(h),
        erfc(h),
        log(1 - exp(-p)),
        log(2 - erf(h)),
        log(erf(p)),
        LogCosh(h),
    ],
    ids=str,
)
def test_what_is_stable_or_unknown_is_left_alone(expression):
    assert stabilise(expression) == expression


def test_a_factor_of_unknown_sign_is_not_split():
    """log(k cosh h) with k < 0 is not log k + log cosh h."""
    mixed = log(k * cosh(h))
    at = {h: 0.3, k: -2.0}
    truth = true_value(mixed, at)
    rewritten = stabilise(mixed)
    found = complex(rewritten.subs(at).evalf()) if not rewritten.has(LogCosh) else None
    assert found is None or abs(found - complex(truth)) < 1e-12
    assert not rewritten.has(log(k))


def test_rewriting_reaches_into_means():
    plain = Mean(log(2 * cosh(h)) * tanh(h + k), (h, log(2 * cosh(v)) + 1))
    stable = stabilise(plain)
    assert stable == Mean((LogCosh(h) + log(2)) * Tanh(h + k), (h, LogCosh(v) + log(2) + 1))
    nested = stabilise(Mean(log(Mean(exp(-(log(erfc(h + k)) ** 2)), (h, 1))), (k, v)))
    assert nested.has(LogH)
    assert not nested.has(erfc)


def test_rewriting_twice_changes_nothing():
    for plain, _, _ in FORMS:
        assert stabilise(stabilise(plain)) == stabilise(plain)


def test_rewriting_before_differentiating_keeps_digits():
    """Differentiated first, pdf / H is NaN at 39; rewritten first, it is 39.03."""
    slope = -stabilise(log(erfc(h / sqrt(2)) / 2)).diff(h)
    (value,) = Kernel((h,), (slope,))(39.0)
    with mpmath.workdps(500):
        tail = mpmath.erfc(39 / mpmath.sqrt(2)) / 2
        truth = float(mpmath.exp(-(mpf(39) ** 2) / 2) / mpmath.sqrt(2 * mpmath.pi) / tail)
    assert value == pytest.approx(truth, rel=1e-14)
