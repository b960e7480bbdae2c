"""The bivariate normal distribution as a primitive: closed under differentiation."""

import mpmath
import pytest
from sympy import Rational, latex, log, symbols

import replica as rp
from replica.language.bivariate import (
    BIVARIATE,
    BivariateMills,
    BivariateNormalCDF,
    LogBivariateNormalCDF,
)
from replica.language.vocabulary import first_unknown_node
from replica.numerics.kernel import compile_kernel

h, k, rho = symbols("h k rho", real=True)


@pytest.mark.parametrize("primitive", BIVARIATE)
@pytest.mark.parametrize("place", [(0.3, -0.7, -0.4), (-1.2, -2.5, 0.6), (1.1, 0.9, -0.8)])
def test_derivatives_stay_in_the_set_and_are_right(primitive, place):
    node = primitive(h, k, rho)
    derivatives = tuple(node.diff(symbol) for symbol in (h, k, rho))
    assert all(first_unknown_node(derivative) is None for derivative in derivatives)
    function = compile_kernel((h, k, rho), (node,))
    stated = compile_kernel((h, k, rho), derivatives)(*place)
    step = 1e-4
    for j, found in enumerate(stated):
        values = [
            function(*(x + m * step * (i == j) for i, x in enumerate(place)))[0]
            for m in (-2, -1, 1, 2)
        ]
        exact = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)
        assert abs(found - exact) < 1e-10 * (1 + abs(exact))


def test_the_pair_has_no_order():
    assert BivariateNormalCDF(h, k, rho) == BivariateNormalCDF(k, h, rho)
    assert LogBivariateNormalCDF(h, k, rho) == LogBivariateNormalCDF(k, h, rho)
    assert BivariateMills(h, k, rho) != BivariateMills(k, h, rho)
    assert LogBivariateNormalCDF(k, h, rho).diff(k) == BivariateMills(k, h, rho)


def test_a_known_value_and_how_it_shows():
    assert BivariateNormalCDF(0, 0, Rational(1, 2)) == Rational(1, 3)
    assert latex(BivariateNormalCDF(h, k, rho)) == r"\Phi_2\left(h, k, \rho\right)"


def test_means_of_it_have_a_closed_form():
    """E Phi2(h + x, k + x) over x ~ N(0, v) is the distribution of a wider pair."""
    x, v = symbols("x v", real=True)
    at = {h: 0.4, k: -0.3, rho: -0.5, v: 0.6}
    mean = rp.Mean(BivariateNormalCDF(h + x, k + x, rho), (x, v))
    wider = BivariateNormalCDF(h / (1 + v) ** 0.5, k / (1 + v) ** 0.5, (rho + v) / (1 + v))
    arguments = (h, k, rho, v)
    kernel = compile_kernel(arguments, (mean, mean.diff(v), wider, wider.diff(v)))
    first, slope, second, other = kernel(*(at[s] for s in arguments))
    assert abs(first - second) < 1e-14
    assert abs(slope - other) < 1e-13
    (bounded,) = compile_kernel(arguments, (mean,)).bounded(*(at[s] for s in arguments))
    assert abs(bounded.value - second) <= bounded.bound < 1e-12


def test_it_is_a_function_of_formulas():
    """log of it in a potential is stable where the mass underflows a difference of tails."""
    (value,) = compile_kernel((h,), (log(BivariateNormalCDF(h, h, -Rational(1, 2))),))(-5.0)
    root = mpmath.sqrt(mpmath.mpf(3) / 4)
    mass = mpmath.quad(
        lambda x: 1e24 * mpmath.npdf(x) * mpmath.ncdf((-5 + x / 2) / root), [-9, -7, -6, -5.5, -5]
    )
    assert abs(value - float(mpmath.log(mass / 1e24))) < 1e-12 * abs(value)
