"""Piecewise quadratic functions of a field, against their values and plain integrals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special
from sympy import Abs, Heaviside, Max, Min, Rational, exp, lambdify, log, sign, sqrt, symbols

from replica.language.logmeans import LogMean
from replica.language.means import Mean
from replica.language.pieces import tidied
from replica.language.primitives import LogH, LogHDifference, LogSumExp, PositivePart
from replica.numerics.kernel import compile_kernel

u, z, k = symbols("u z k", real=True)
x = symbols("x", positive=True)

NUMPY = [
    {
        "PositivePart": lambda v: np.maximum(v, 0),
        "Heaviside": lambda v, _: np.heaviside(v, 0.5),
        "LogH": lambda v: special.log_ndtr(-v),
    },
    "numpy",
]


def random_function(rng: np.random.Generator):
    """Return a function of u that is at most quadratic between its kinks, kinks within kinks."""

    def affine():
        return Rational(int(rng.integers(1, 5)) * int(rng.choice([-1, 1])), 2) * u + Rational(
            int(rng.integers(-6, 7)), 3
        )

    inner = [PositivePart(affine()), Abs(affine()), affine(), Max(affine(), affine())]
    square = rng.choice(inner) ** 2
    outer = [
        PositivePart(square - int(rng.integers(0, 4))),
        Min(square / 2, int(rng.integers(1, 4))),
        Abs(square - Abs(affine())),
        PositivePart(Abs(affine()) - int(rng.integers(0, 3))),
        sign(affine()) * affine() + Heaviside(affine()),
    ]
    return sum(rng.choice(outer, 2, replace=False)) + rng.choice(inner)


@pytest.mark.parametrize("seed", range(25))
def test_random_kinks_are_resolved(seed: int):
    rng = np.random.default_rng(seed)
    given = random_function(rng)
    found = tidied(Mean(given, (u, 1)))
    places = rng.uniform(-5, 5, 200)
    before = lambdify(u, given, NUMPY)(places)
    # a constant may have been taken out of the mean
    body = found.replace(lambda n: isinstance(n, Mean), lambda n: n.body.subs(n.field, u))
    after = lambdify(u, body, NUMPY)(places) * np.ones_like(places)
    np.testing.assert_allclose(after, before, atol=1e-10)
    kinks = (n for n in body.atoms(PositivePart, Heaviside, Abs, sign) if n.has(u))
    assert all(not n.args[0].diff(u).has(u) for n in kinks)


@pytest.mark.parametrize("seed", range(12))
def test_means_of_random_exponentials(seed: int):
    """log E exp(-g(u + z)) in closed form, u a parameter, against a sum over z."""
    rng = np.random.default_rng(100 + seed)
    cost = [
        PositivePart(k - u - z) ** 2 / (2 * x),
        Abs(u + z),
        -Abs(u + z) / 2,
        Min(1, PositivePart(k - u - z) ** 2 / (2 * x)),
        PositivePart(u + z - k) + PositivePart(k - u - z - x),
        Heaviside(u + z),
    ][seed % 6]
    found = tidied(log(Mean(exp(-cost), (z, Rational(3, 4)))))
    assert not found.has(Mean)
    values = {"u": rng.normal(), "k": rng.normal(), "x": rng.uniform(0.2, 2)}
    (number,) = compile_kernel((u, k, x), (found,))(*values.values())
    grid = np.linspace(-9, 9, 400_001)
    weight = np.exp(-(grid**2) / 1.5) / np.sqrt(1.5 * np.pi) * (grid[1] - grid[0])
    numbers = lambdify((u, k, x, z), exp(-cost), NUMPY)(*values.values(), grid)
    assert float(number) == pytest.approx(np.log(weight @ numbers), abs=2e-5)


def test_other_means_of_exponentials_are_stable_ones():
    found = tidied(log(x * Mean(exp(LogH(u) - k * Abs(u)), (u, x))))
    assert found == log(x) + LogMean(LogH(u) - k * Abs(u), (u, x), 1)


def test_unknown_order_leaves_the_function():
    both = Mean(PositivePart(PositivePart(u - k) - PositivePart(u - z)), (u, 1))
    assert tidied(both) == both


def test_margin_of_a_pattern():
    found = tidied(Mean(Min(1, PositivePart(k - u) ** 2 / (2 * x)), (u, 1)))
    beyond = PositivePart(k - u - sqrt(2) * sqrt(x))
    inside = PositivePart(k - u) ** 2 / (2 * x)
    assert found == Mean(inside - beyond**2 / (2 * x) - sqrt(2) * beyond / sqrt(x), (u, 1))


def test_three_pieces_are_three_terms():
    found = tidied(log(Mean(exp(-Min(2, PositivePart(-z) ** 2 / 2)), (z, x))))
    assert isinstance(found, LogSumExp)
    assert len(found.args) == 3
    assert len(found.atoms(LogHDifference)) == 1
    assert found.atoms(LogH) == {LogH(2 / sqrt(x))}  # and the half above zero


def test_powers_of_steps():
    assert tidied(Mean(Heaviside(u - k) ** 3, (u, 1))) == Mean(Heaviside(u - k), (u, 1))
    assert tidied(Mean(sign(u - k) ** 2 * u**2, (u, 1))) == Mean(u**2, (u, 1))


def test_smooth_expressions_stay():
    assert tidied(Mean(LogH(u), (u, x)) + k) == Mean(LogH(u), (u, x)) + k
    assert tidied(Abs(k)) == Abs(k)
