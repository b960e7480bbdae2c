"""The mpmath path against closed forms, at forty digits and more."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import pytest
from mpmath import mpf
from numerics import oracle
from sympy import Abs, Float, Heaviside, Max, Rational, cos, exp, log, sqrt, symbols

import replica as rp
from replica.errors import LoweringError
from replica.language.means import Mean
from replica.language.primitives import LogCosh, LogH, Mills, Tanh
from replica.numerics.precise import PreciseKernel

x, z = symbols("x z", real=True)
a, q, v = symbols("a q v", real=True)


def phi(t):
    return mpmath.exp(-t * t / 2) / mpmath.sqrt(2 * mpmath.pi)


CLOSED = {
    "moment": (Mean(x**8, (x, v)), {v: 3}, lambda: mpf(105 * 81)),
    "cosine": (Mean(cos(3 * x), (x, v)), {v: 2}, lambda: mpmath.exp(-9)),
    "gaussian": (Mean(exp(-5 * x**2), (x, v)), {v: 1}, lambda: 1 / mpmath.sqrt(11)),
    "exponential": (Mean(exp(x), (x, v)), {v: 4}, lambda: mpmath.exp(2)),
    "tail": (
        Mean(exp(LogH(x + 1)), (x, v)),
        {v: 3},
        lambda: mpmath.erfc(1 / mpmath.sqrt(8)) / 2,
    ),
    "largest of three": (Mean(exp(2 * LogH(x)), (x, v)), {v: 1}, lambda: mpf(1) / 3),
    "largest of four": (Mean(exp(3 * LogH(x)), (x, v)), {v: 1}, lambda: mpf(1) / 4),
    "steep orthant": (
        Mean(exp(2 * LogH(x / v)), (x, 1)),
        {v: Fraction(1, 1000)},
        lambda: mpf(1) / 4 + mpmath.asin(mpf(10) ** 6 / (mpf(10) ** 6 + 1)) / (2 * mpmath.pi),
    ),
    "steep tail off centre": (
        Mean(exp(LogH((x - 1) / v)), (x, 1)),
        {v: Fraction(1, 10**6)},
        lambda: mpmath.erfc(-1 / mpmath.sqrt(2 * (1 + mpf(10) ** -12))) / 2,
    ),
    "modulus": (Mean(Abs(x), (x, v)), {v: 2}, lambda: 2 / mpmath.sqrt(mpmath.pi)),
    "modulus off centre": (
        Mean(Abs(x - Rational(1, 3)), (x, v)),
        {v: 1},
        lambda: 2 * phi(mpf(1) / 3) + mpmath.erf(mpf(1) / 3 / mpmath.sqrt(2)) / 3,
    ),
    "ramp": (
        Mean(Max(0, x - 1), (x, v)),
        {v: 1},
        lambda: phi(1) - mpmath.erfc(1 / mpmath.sqrt(2)) / 2,
    ),
    "step": (
        Mean(Heaviside(x - a), (x, v)),
        {v: 1, a: Fraction(1, 7)},
        lambda: mpmath.erfc(1 / (7 * mpmath.sqrt(2))) / 2,
    ),
    "square of a ramp": (Mean(Max(0, x) ** 2, (x, v)), {v: 5}, lambda: mpf(5) / 2),
    "narrow gaussian": (
        Mean(exp(-((x - 2) ** 2) / (2 * v)), (x, 1)),
        {v: Fraction(1, 10**10)},
        lambda: mpmath.exp(-2 / (1 + mpf(10) ** -10)) / mpmath.sqrt(1 + mpf(10) ** 10),
    ),
    "no variance": (Mean(LogCosh(x + a), (x, v)), {v: 0, a: 2}, lambda: mpmath.log(mpmath.cosh(2))),
    "function of means": (
        log(Mean(exp(x), (x, v))) * Mean(x**2, (x, v)) / sqrt(v),
        {v: 2},
        lambda: mpmath.sqrt(2),
    ),
}


@pytest.mark.parametrize("name", CLOSED)
@pytest.mark.parametrize("digits", [15, 40])
def test_closed_forms(name, digits):
    expression, at, truth = CLOSED[name]
    kernel = PreciseKernel(tuple(at), (expression,))
    values = [Rational(w.numerator, w.denominator) for w in map(Fraction, at.values())]
    (value,), (claimed,) = kernel(values, digits)
    with mpmath.workdps(digits + 30):
        error = abs(value - truth())
        assert error <= claimed + mpf(10) ** (-digits - 25)
        assert error <= mpf(10) ** -digits * max(abs(truth()), 1)


def test_nested_means_of_the_sum_of_two_fields():
    """E over two independent fields of their sum is E over one of the summed variance."""
    nested = PreciseKernel((q, v), (Mean(Mean(Tanh(x + z) ** 2, (z, v)), (x, q)),))
    single = PreciseKernel((v,), (Mean(Tanh(x) ** 2, (x, v)),))
    (value,), (claimed,) = nested([mpf(1) / 2, mpf(1) / 4], 12)
    (truth,), _ = single([mpf(3) / 4], 30)
    assert abs(value - truth) <= claimed
    assert abs(value - truth) < mpf(10) ** -12


def test_more_digits_confirm_fewer():
    formula = rp.formulas["binary-perceptron"]
    arguments = (*formula.unknowns, *(c.symbol for c in formula.controls.values()))
    expressions = (*formula.residuals.values(), *formula.observables.values())
    kernel = PreciseKernel(arguments, expressions)
    point = [Rational(9, 10), Rational(5, 2), 1, Rational(3, 10)]
    low, claimed = kernel(point, 15)
    high, _ = kernel(point, 30)
    for few, many, error in zip(low, high, claimed, strict=True):
        assert abs(few - many) <= error
        assert error < mpf(10) ** -13 * max(abs(many), 1)


@pytest.mark.parametrize(
    ("system", "constraint"),
    [
        ("spherical-perceptron", "step"),
        ("rectangle", "rectangle"),
        ("u", "u"),
    ],
)
@pytest.mark.parametrize("q_value", [0.5, 0.97, 1 - 1e-6])
def test_storage_potentials_against_the_oracle(system, constraint, q_value):
    """The mean of log P by two independent multi-precision routes, steep end included."""
    if system == "spherical-perceptron":
        formula = rp.formulas[system](rsb=0)
    else:
        formula = rp.formulas["symmetric-binary-perceptron"](constraint=system)
    kappa = {"step": 1.0, "rectangle": 1.5, "u": 0.5}[constraint]
    (mean,) = (m for m in formula.potential.atoms(Mean) if m.variance == formula.unknowns[0])
    symbols_ = (formula.unknowns[0], formula.controls["kappa"].symbol)
    (value,), (claimed,) = PreciseKernel(symbols_, (mean,))([mpf(q_value), mpf(kappa)], 20)
    truth = oracle.read()[constraint].get((q_value, kappa))
    if truth is None:
        truth = oracle.pattern_means(constraint, q_value, kappa)
    with mpmath.workdps(40):
        assert abs(value - truth[0]) <= claimed + mpf(10) ** -24 * abs(truth[0])
        assert abs(value - truth[0]) <= mpf(10) ** -19 * max(abs(truth[0]), 1)


@pytest.mark.slow
@pytest.mark.parametrize("constraint", sorted(oracle.PATTERNS))
def test_storage_lattice_in_many_digits(constraint):
    """Every equation and observable of the three formulas over a coarse lattice."""
    formulas = {
        "step": rp.formulas["binary-perceptron"],
        "rectangle": rp.formulas["symmetric-binary-perceptron"](constraint="rectangle"),
        "u": rp.formulas["symmetric-binary-perceptron"](constraint="u"),
    }
    formula = formulas[constraint]
    q_symbol, qhat = formula.unknowns
    arguments = (q_symbol, qhat, *(c.symbol for c in formula.controls.values()))
    residual = formula.residuals[qhat]
    kernel = PreciseKernel(arguments, (residual, formula.potential))
    for k, ((overlap, kappa), means) in enumerate(oracle.read()[constraint].items()):
        if k % 12:
            continue
        values, claimed = kernel([mpf(overlap), mpf(0), mpf(1), mpf(kappa)], 20)
        with mpmath.workdps(40):
            truths = means[1], mpmath.log(2) + means[0]
            for value, truth, error in zip(values, truths, claimed, strict=True):
                assert abs(value - truth) <= error + mpf(10) ** -24 * max(abs(truth), 1)


def test_exact_arguments_stay_exact():
    kernel = PreciseKernel((a,), (a,))
    third = kernel([Rational(1, 3)], 50)[0][0]
    with mpmath.workdps(60):
        assert abs(third - mpf(1) / 3) < mpf(10) ** -55
    long = kernel([Float("0.1", 60)], 50)[0][0]
    with mpmath.workdps(60):
        assert abs(long - mpf(1) / 10) < mpf(10) ** -55
    irrational = kernel([sqrt(2)], 50)[0][0]
    with mpmath.workdps(60):
        assert abs(irrational - mpmath.sqrt(2)) < mpf(10) ** -55


def test_arguments_with_a_double_zero():
    """x^2 touches zero without crossing it: a place, and no width."""
    for body in (LogCosh(x**2), Tanh(x**2) ** 2, cos(x**2)):
        (value,), (claimed,) = PreciseKernel((v,), (Mean(body, (x, v)),))([mpf(1)], 15)
        with mpmath.workdps(30):
            plain = {LogCosh(x**2): lambda t: mpmath.log(mpmath.cosh(t * t)),
                     Tanh(x**2) ** 2: lambda t: mpmath.tanh(t * t) ** 2,
                     cos(x**2): lambda t: mpmath.cos(t * t)}[body]  # fmt: skip
            truth = oracle.gaussian_mean(plain, 1, [(0, 0.5)])
            assert abs(value - truth) <= claimed + mpf(10) ** -22


def test_caller_precision_is_left_alone():
    before = mpmath.mp.prec
    PreciseKernel((v,), (Mean(x**2, (x, v)),))([mpf(1)], 60)
    assert mpmath.mp.prec == before


def test_constants_have_all_digits():
    """Rationals and pi inside an expression are not rounded to doubles."""
    kernel = PreciseKernel(
        (v,), (Mean(Rational(1, 3) * x**2, (x, v)) + Mills(0 * v + Rational(1, 7)),)
    )
    (value,), _ = kernel([mpf(1)], 40)
    with mpmath.workdps(60):
        seventh = mpf(1) / 7
        truth = mpf(1) / 3 + phi(seventh) / (mpmath.erfc(seventh / mpmath.sqrt(2)) / 2)
        assert abs(value - truth) < mpf(10) ** -40


def test_refuses_loose_symbols():
    with pytest.raises(LoweringError, match="symbol a"):
        PreciseKernel((v,), (Mean(x + a, (x, v)),))
