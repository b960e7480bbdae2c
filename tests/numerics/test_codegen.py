"""Compiled expressions: constants, powers, shared sub-expressions, other namespaces."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from sympy import Heaviside, Max, Min, Rational, Symbol, exp, pi, sign, sqrt, symbols

from replica.language.primitives import LogH, Mills, MillsExcess
from replica.numerics.codegen import compiled, compiled_precisely, on_namespace
from replica.numerics.functions import FUNCTIONS
from replica.numerics.kernel import Kernel

v = symbols("v", real=True)


def test_constants_are_numbers():
    (value,) = Kernel((v,), (pi * v + Rational(1, 3) + sqrt(2),))(2.0)
    assert value == pytest.approx(2 * np.pi + 1 / 3 + np.sqrt(2), rel=1e-15)


@pytest.mark.parametrize("power", [Rational(k, 2) for k in range(-9, 10)], ids=str)
def test_every_power_is_printed_right(power):
    base = Symbol("b", positive=True)
    for expression in ((base + 1) ** power, base**power, (2 * base) ** power * base):
        (value,) = Kernel((base,), (expression,))(1.7)
        assert value == pytest.approx(float(expression.subs(base, 1.7)), rel=1e-14)


def test_functions_of_arrays():
    function = compiled((v,), (Max(v, 0, v / 2), Min(v, 1), sign(v), Heaviside(v), abs(v)), {})
    grid = np.array([-2.0, 0.0, 3.0])
    largest, least, signs, steps, size = function(grid)
    np.testing.assert_array_equal(largest, [0, 0, 3])
    np.testing.assert_array_equal(least, [-2, 0, 1])
    np.testing.assert_array_equal(signs, [-1, 0, 1])
    np.testing.assert_array_equal(steps, [0, 0.5, 1])
    np.testing.assert_array_equal(size, [2, 0, 3])


def test_tails_of_one_argument_share_their_cost():
    """log H and A - x take A where it is there already, to the same digits."""
    together = compiled((v,), (Mills(v), MillsExcess(v), LogH(v)), FUNCTIONS)
    alone = [compiled((v,), (f(v),), FUNCTIONS) for f in (Mills, MillsExcess, LogH)]
    grid = np.linspace(-8, 30, 77)
    for shared, function in zip(together(grid), alone, strict=True):
        np.testing.assert_allclose(shared, function(grid)[0], rtol=3e-15, atol=1e-300)


def test_the_same_code_on_other_functions():
    function = compiled((v,), (exp(v) + sqrt(v),), {})
    counted = on_namespace(function, {"exp": lambda x: 0 * x, "sqrt": lambda x: 7 + 0 * x})
    assert counted(4.0) == [7.0]
    assert function(4.0)[0] == pytest.approx(np.exp(4) + 2)


def test_mpmath_gets_every_constant_with_its_digits():
    function = compiled_precisely((v,), (v / 3 + Rational(1, 10) + pi,), {})
    with mpmath.workdps(50):
        (value,) = function(mpmath.mpf(1))
        assert mpmath.almosteq(value, mpmath.mpf(1) / 3 + mpmath.mpf(1) / 10 + mpmath.pi)
