"""Tilted laws against closed forms in many digits, at every precision and at none."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mpf

from replica.numerics.implementations import IMPLEMENTATIONS
from replica.numerics.rounding import UNIT, Bounded, bounded_namespace

LAWS = ("Interval", "Exponential")
FEW = 16


def tail(x: Any) -> Any:
    return mpmath.erfc(x / mpmath.sqrt(2)) / 2


def log_mass(h: Any, g: Any, law: str) -> Any:
    """Return log of the mean of exp(h w - g w^2 / 2), completing the square."""
    if g == 0:
        if law == "Exponential":
            return -mpmath.log(1 - h * h)
        return mpmath.log(mpmath.sinh(h) / h) if h else mpf(0)
    root, scale = mpmath.sqrt(g), mpmath.sqrt(mpmath.pi / (2 * g))
    if law == "Interval":
        h = abs(h)
        mass = tail((-g - h) / root) - tail((g - h) / root)
        if h > g:
            mass = tail((h - g) / root) - tail((h + g) / root)
        return h * h / (2 * g) + mpmath.log(mass * scale)
    sides = ((1 - s * h) / root for s in (1, -1))
    return mpmath.log(scale * mpmath.fsum(mpmath.exp(x * x / 2) * tail(x) for x in sides))


@cache
def truth(law: str, n: int, h: float, g: float) -> Any:
    with mpmath.workdps(70 + 30 * n):
        if n == 0:
            return log_mass(mpf(h), mpf(g), law)
        # the step is far below every scale of the law, and well above the digits carried
        step = mpf(10) ** -20 / (1 + mpmath.sqrt(mpf(g)))
        mid = mpf(h)
        return (
            mpmath.fsum(
                (-1) ** k
                * mpmath.binomial(n, k)
                * log_mass(mid + (mpf(n) / 2 - k) * step, mpf(g), law)
                for k in range(n + 1)
            )
            / step**n
        )


def points(law: str) -> list[tuple[float, float]]:
    rng = np.random.default_rng(8)
    found = [(0.3, 0.0), (-0.7, 0.0), (0.4, 1e-12), (-0.5, 1e-7)]
    for exponent in rng.uniform(-4, 8, 7):
        g = 10.0**exponent
        place = rng.uniform(-1.2, 1.2) * min(1.0, g) + 0.5 * rng.uniform(-1, 1) * (g < 1)
        found.append((float(g * place if g > 1 else place * 0.6), g))
        found.append((float(g + rng.normal() * np.sqrt(g)), g))
    return [p for p in found if law == "Interval" or p[1] > 0.02 or abs(p[0]) < 0.95]


@pytest.mark.parametrize("n", [0, 1, 2, 3])
@pytest.mark.parametrize("law", LAWS)
def test_cumulants_are_within_their_stated_rounding(law: str, n: int):
    implementation = IMPLEMENTATIONS[f"{law}Cumulant"]
    for h, g in points(law):
        value = float(implementation.value(n, h, g))
        stated = implementation.rounding(n, h, g)
        allowed = UNIT * (FEW * abs(value) + 4 * float(stated))
        assert abs(mpf(value) - truth(law, n, h, g)) <= allowed, (h, g)


@pytest.mark.parametrize("law", LAWS)
def test_the_variance_keeps_its_digits(law: str):
    """Also where the law is a narrow one at an end, or g vanishes."""
    implementation = IMPLEMENTATIONS[f"{law}Cumulant"]
    for h, g in points(law):
        value = mpf(float(implementation.value(2, h, g)))
        digits = 2e-14
        assert abs(value / truth(law, 2, h, g) - 1) < digits, (h, g)


@pytest.mark.parametrize("law", LAWS)
def test_weights_are_what_is_left_beside_a_gaussian(law: str):
    implementation = IMPLEMENTATIONS[f"{law}Weight"]
    for h, g in points(law):
        for c in (0.3, 18.0):
            value = float(implementation.value(h, g, c))
            with mpmath.workdps(60):
                beside = mpf(c) * mpf(h) ** 2 / (2 * (1 + mpf(c) * mpf(g)))
                expected = truth(law, 0, h, g) - beside
            stated = float(implementation.rounding(h, g, c))
            assert abs(mpf(value) - expected) <= UNIT * (FEW * abs(value) + 4 * stated), (h, g)
            assert stated < 1e3 * (1 + abs(value) + np.sqrt(g)), (h, g)


@pytest.mark.parametrize("kind", ["Cumulant", "Weight"])
@pytest.mark.parametrize("law", LAWS)
def test_bounds_cover_uncertain_arguments(law: str, kind: str):
    rng = np.random.default_rng(9)
    name = law + kind
    h, g = np.array([p for p in points(law) if p[1] > 0]).T
    orders: tuple[Any, ...] = (0, 1, 2) if kind == "Cumulant" else (None,)
    for order in orders:
        function = bounded_namespace()[name]
        last = (np.full_like(h, 0.4),) if order is None else ()
        call = function if order is None else partial(function, order)
        spreads = [1e-9 * np.minimum(np.abs(a), np.sqrt(g)) for a in (h, g)]
        moved = [a + rng.choice([-1, 1], a.shape) * s for a, s in zip((h, g), spreads, strict=True)]
        row = call(*(Bounded(a, s) for a, s in zip((h, g), spreads, strict=True)), *last)
        exact = call(*(Bounded(a, 0 * a) for a in moved), *last)
        # to the first order in the spreads
        assert (np.abs(exact.value - row.value) <= 1.001 * row.bound + exact.bound).all()


@pytest.mark.slow
@pytest.mark.parametrize("law", LAWS)
def test_precise_twins(law: str):
    with mpmath.workdps(40):
        for h, g in points(law)[::3]:
            for n in (0, 1, 2, 3):
                value = IMPLEMENTATIONS[f"{law}Cumulant"].precise(n, mpf(h), mpf(g))
                expected = truth(law, n, h, g)
                size = abs(truth(law, 2, h, g)) ** (mpf(n) / 2) + abs(expected)
                assert abs(value - expected) <= mpf(10) ** -35 * size, (n, h, g)


def test_laws_at_once_are_laws_one_by_one():
    h, g = np.linspace(-3, 3, 5000), np.geomspace(1e-3, 1e3, 5000)
    together = IMPLEMENTATIONS["IntervalCumulant"].value(2, h, g)
    for k in (0, 4095, 4096, 4999):
        assert IMPLEMENTATIONS["IntervalCumulant"].value(2, h[k], g[k]) == together[k]
