"""Laws with ends or exponential tails, at every precision."""

from __future__ import annotations

from typing import Any

import pytest
from blocks.prior_laws import (
    CASES,
    DENSITY,
    EVERY,
    g,
    kernel,
    number,
)
from mpmath import mp, mpf

from replica.numerics.kernel import compile_kernel


@EVERY
def test_errors_are_honest_where_little_is_seen(name: str):
    """Those of laws with ends or tails grow without limit as g -> 0, and their bounds with them."""
    law = CASES[name][0]
    variance = number(name, law.second_moment - law.mean**2)
    for strength in (1e-5, 1e-7, 1e-9):
        gap = kernel(name).bounded(strength, refinement=1)[1]
        # the next term of the series is of second order
        slack = 20 * (1 + variance) ** 3 * strength**2 + 1e-15
        assert abs(float(gap.value) - variance + variance**2 * strength) <= float(gap.bound) + slack


# ---- laws with ends or exponential tails, at every precision -------------------------------------


def tail(x: Any) -> Any:
    return mp.erfc(x / mp.sqrt(2)) / 2


def excess(x: Any) -> Any:
    """Return density over tail, less x."""
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi) / tail(x) - x


def true_gap(name: str, strength: float) -> Any:
    """Return the mean over r of the posterior variance, from its density and truncated normals."""
    with mp.workdps(50):
        v, root = mpf(strength), mp.sqrt(mpf(strength))
        if name == "laplace":
            rate = mp.sqrt(2)

            def at(r: Any) -> Any:
                x = [(rate - s * r) / root for s in (1, -1)]
                log_mass = [a * a / 2 + mp.log(tail(a)) for a in x]
                top = max(log_mass)
                chance = [mp.exp(m - top) for m in log_mass]
                total = chance[0] + chance[1]
                e = [excess(a) for a in x]
                means = [e[0] / root, -e[1] / root]
                spreads = [(1 - b * (b + a)) / v for a, b in zip(x, e, strict=True)]
                p, q = chance[0] / total, chance[1] / total
                variance = p * spreads[0] + q * spreads[1] + p * q * (means[0] - means[1]) ** 2
                scale = rate / 2 / v  # of P(r), beside exp(-r^2/2g) and the masses
                return variance * scale * mp.exp(top - r * r / (2 * v)) * total

            ends, furthest = [mpf(0)], 90
        else:
            half = mp.sqrt(3)

            def at(r: Any) -> Any:
                low, high = (-half * v - r) / root, (half * v - r) / root
                if low + high < 0:
                    low, high = -high, -low
                mass = tail(low) - tail(high)
                a, b = (mp.exp(-y * y / 2) / mp.sqrt(2 * mp.pi) / mass for y in (low, high))
                variance = (1 + low * a - high * b - (a - b) ** 2) / v
                return variance * mass / (2 * half * v)

            ends, furthest = [half * v], 1.8
        marks = {mpf(0), furthest * v + 12 * root}
        for end in ends:
            marks |= {end + k * root for k in (-12, -6, -3, -1, 0, 1, 3, 6, 12)}
            marks |= {end + s * mpf(2) ** k * v for k in range(-24, 7, 3) for s in (1, -1)}
        inside = sorted(m for m in marks if 0 <= m <= furthest * v + 12 * root)
        return 2 * mp.quad(at, inside, maxdegree=5)


@pytest.mark.slow
@pytest.mark.parametrize("strength", [1e-9, 1e-3, 0.4, 3.0, 90.0, 1e5, 1e12])
@pytest.mark.parametrize("name", ["laplace", "uniform"])
def test_gap_of_continuous_laws_at_every_precision(name: str, strength: float):
    truth = true_gap(name, strength)
    for refinement, digits in ((0, 1e-8), (1, 1e-10), (2, 1e-11)):
        found = kernel(name).bounded(strength, refinement=refinement)[1]
        error = abs(mpf(float(found.value)) - truth)
        assert error <= float(found.bound) + 1e-25 * truth
        assert float(found.bound) <= digits * truth
        assert error <= 2e-13 * truth


@pytest.mark.parametrize("name", ["laplace", "uniform", "uniform aside"])
def test_slope_of_the_gap_is_minus_the_mean_square_of_the_variance(name: str):
    """D' = -E Var^2; at no precision it is minus the square of the variance of the law."""
    law = CASES[name][0]
    variance = number(name, law.second_moment - law.mean**2)
    slope = compile_kernel((g,), (law.gap(g).diff(g),))
    at_zero = slope.bounded(0.0)[0]
    assert float(at_zero.value) == pytest.approx(-(variance**2), rel=1e-14)
    for strength in (0.5, 40.0, 1e6):
        step = 1e-4 * strength
        away = [kernel(name)(strength + k * step, refinement=2)[1] for k in (-2, -1, 1, 2)]
        expected = (8 * (away[2] - away[1]) - (away[3] - away[0])) / (12 * step)
        assert float(slope(strength, refinement=2)[0]) == pytest.approx(float(expected), rel=1e-8)


def test_gap_of_a_sparse_prior_is_known_relative_to_itself():
    """Its bound was absolute, 3e-8 of the gap at g = 1e7 and all of it at 1e15."""
    for strength in (1.0, 1e4, 1e7, 1e12, 1e15):
        found = kernel("gauss-bernoulli").bounded(strength, refinement=1)[1]
        assert float(found.bound) <= 1e-11 * float(found.value)
    # at large g what is left is the variance of the non-zero weights, 1/g
    assert 1e15 * float(found.value) == pytest.approx(DENSITY, rel=1e-5)
