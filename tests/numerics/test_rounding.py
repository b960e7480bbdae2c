"""Arithmetic on numbers with bounds: the exact result lies inside, whatever the operations."""

from __future__ import annotations

import operator
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mpf

from replica.numerics.rounding import UNIT, Bounded, bounded_namespace, bounded_parts

# Magnitudes whose products and quotients stay normal numbers.
FINITE = st.floats(min_value=1e-60, max_value=1e60).flatmap(
    lambda size: st.sampled_from([size, -size])
)
RELATIVE = st.sampled_from([0.0, 2.0**-52, 1e-12, 1e-6, 1e-2, 0.4])
WHERE = st.sampled_from([Fraction(-1), Fraction(-1, 3), Fraction(0), Fraction(1, 2), Fraction(1)])


@st.composite
def uncertain(draw: Any, numbers: Any = FINITE) -> tuple[Bounded, Fraction]:
    """A number with a bound, and a true value that the bound allows."""
    value = draw(numbers)
    bound = abs(value) * draw(RELATIVE)
    return Bounded(value, bound), Fraction(value) + draw(WHERE) * Fraction(bound)


def inside(result: Bounded, truth: Fraction) -> bool:
    # the bound is a double itself, rounded in its last places
    slack = Fraction(1 + 4 * 2.0**-52)
    return abs(Fraction(float(result.value)) - truth) <= slack * Fraction(float(result.bound))


@given(uncertain(), uncertain(), st.sampled_from("+-*/"))
@settings(max_examples=400)
def test_one_operation(one, two, symbol):
    operation = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
    (a, x), (b, y) = one, two
    assert inside(operation[symbol](a, b), operation[symbol](x, y))


@given(uncertain(), FINITE, st.sampled_from("+-*/"), st.booleans())
@settings(max_examples=300)
def test_with_exact_numbers_on_either_side(one, other, symbol, first):
    operation = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
    (a, x), y = one, Fraction(other)
    if first:
        assert inside(operation[symbol](other, a), operation[symbol](y, x))
    else:
        assert inside(operation[symbol](a, other), operation[symbol](x, y))


SMALL = st.floats(min_value=1e-6, max_value=1e6).flatmap(
    lambda size: st.sampled_from([size, -size])
)


@given(uncertain(SMALL), st.integers(min_value=-6, max_value=8))
@settings(max_examples=300)
def test_integer_powers(one, power):
    a, x = one
    assert inside(a**power, x**power)


@given(st.lists(st.tuples(uncertain(SMALL), st.sampled_from("+-*/n")), min_size=1, max_size=8))
@settings(max_examples=150)
def test_chains(steps):
    """Errors pass through any chain of operations, and no division by what may be zero."""
    total, truth = Bounded(1.0, 0.0), Fraction(1)
    for (a, x), symbol in steps:
        if symbol == "n":
            total, truth = -abs(total), -abs(truth)
        elif symbol == "+":
            total, truth = total + a, truth + x
        elif symbol == "-":
            total, truth = total - a, truth - x
        elif symbol == "*":
            total, truth = total * a, truth * x
        elif x != 0:
            total, truth = total / a, truth / x
    assert not np.isfinite(total.bound) or inside(total, truth)


@given(uncertain(SMALL))
def test_division_by_what_may_be_zero_is_unbounded(one):
    a, _ = one
    vague = Bounded(a.value, 2 * abs(a.value))
    with np.errstate(all="ignore"):
        assert (1 / vague).bound == np.inf


@given(uncertain(), uncertain())
def test_extremes(one, two):
    (a, x), (b, y) = one, two
    functions = bounded_namespace()
    assert inside(functions["maximum"](a, b), max(x, y))
    assert inside(functions["minimum"](a, b), min(x, y))
    assert inside(functions["absolute"](a), abs(x))


@given(uncertain())
def test_sign_and_step(one):
    a, x = one
    functions = bounded_namespace()
    assert inside(functions["sign"](a), Fraction((x > 0) - (x < 0)))
    assert inside(functions["heaviside"](a), Fraction((x > 0) - (x < 0) + 1, 2))


def test_step_at_zero_exactly():
    functions = bounded_namespace()
    assert functions["heaviside"](Bounded(0.0, 0.0)).value == 0.5
    assert functions["sign"](Bounded(0.0, 0.0)).value == 0
    unsure = functions["heaviside"](Bounded(0.0, 1e-9))
    assert unsure.bound >= 0.5


# ---- functions of one argument -----------------------------------------------------------------

DOMAINS = {
    "sqrt": (0.0, 1e200),
    "exp": (-700.0, 700.0),
    "log": (1e-200, 1e200),
    "erf": (-10.0, 10.0),
    "erfc": (-10.0, 26.0),
    "sin": (-1e6, 1e6),
    "cos": (-1e6, 1e6),
    "atan": (-1e8, 1e8),
    "asin": (-0.9, 0.9),
    "acos": (-0.9, 0.9),
    "cosh": (-700.0, 700.0),
    "sinh": (-700.0, 700.0),
}


def points_of(name: str) -> np.ndarray:
    low, high = DOMAINS[name]
    rng = np.random.default_rng(5)
    drawn = rng.uniform(low, high, 60)
    size = np.geomspace(1e-12, max(abs(low), abs(high)), 60)
    signed = np.concatenate([size, -size])
    return np.concatenate([drawn, signed[(signed >= low) & (signed <= high)]])


@pytest.mark.parametrize("name", sorted(DOMAINS))
def test_functions_of_exact_arguments(name):
    x = points_of(name)
    row = bounded_namespace()[name](Bounded(x, 0 * x))
    with mpmath.workdps(60):
        for at, value, bound in zip(x, row.value, row.bound, strict=True):
            truth = getattr(mpmath, name)(mpf(float(at)))
            assert abs(mpf(float(value)) - truth) <= bound, at
            size = 1 if name in ("sin", "cos") else abs(truth)
            assert bound <= 1e-9 * size + 1e-300, at  # and says something


@pytest.mark.parametrize("name", sorted(DOMAINS))
@pytest.mark.parametrize("relative", [1e-13, 1e-9])
def test_functions_of_uncertain_arguments(name, relative):
    x = points_of(name)
    low, high = DOMAINS[name]
    spread = relative * np.minimum(np.abs(x), 1.0)
    row = bounded_namespace()[name](Bounded(x, spread))
    with mpmath.workdps(60):
        for at, e, value, bound in zip(x, spread, row.value, row.bound, strict=True):
            for moved in (mpf(float(at)) - mpf(float(e)), mpf(float(at)) + mpf(float(e))):
                if low <= moved <= high:
                    truth = getattr(mpmath, name)(moved)
                    assert abs(mpf(float(value)) - truth) <= bound, at


@pytest.mark.parametrize("power", [0.5, 1.5, -0.5, -1.5, 2.5, 1 / 3])
def test_fractional_powers(power):
    x = np.geomspace(1e-30, 1e30, 61)
    for relative in (0.0, 1e-6, 0.3):
        row = Bounded(x, relative * x) ** power
        with mpmath.workdps(40):
            for at, value, bound in zip(x, row.value, row.bound, strict=True):
                for factor in (1 - mpf(relative), 1, 1 + mpf(relative)):
                    truth = (mpf(float(at)) * factor) ** mpf(power)
                    assert abs(mpf(float(value)) - truth) <= bound * (1 + UNIT)


def test_uncertain_exponent():
    row = Bounded(2.0, 1e-12) ** Bounded(3.0, 1e-12)
    assert abs(row.value - 8) <= row.bound <= 1e-10
    row = 2.0 ** Bounded(3.0, 1e-12)
    assert abs(row.value - 8) <= row.bound <= 1e-10


def test_power_at_zero_keeps_an_uncertain_base():
    """The slope at q = 0 of a square is zero; the bound must look at the far end."""
    row = Bounded(0.0, 1e-3) ** 2
    assert row.bound >= 1e-6


def test_arrays_defer_to_bounded():
    grid = np.linspace(1, 2, 5)
    for row in (grid * Bounded(2.0, 0.1), grid + Bounded(2.0, 0.1), grid / Bounded(2.0, 0.1)):
        assert isinstance(row, Bounded)
        assert np.shape(row.value) == (5,)
        assert (row.bound >= 0.02).all()


def test_parts_of_plain_numbers_are_exact():
    assert bounded_parts(3.0) == (3.0, 0.0)
    assert bounded_parts(Bounded(3.0, 0.5)) == (3.0, 0.5)


def test_shows_value_and_bound():
    assert repr(Bounded(1.5, 0.25)) == "1.5 +- 0.25"
