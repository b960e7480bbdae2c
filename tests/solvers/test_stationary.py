"""Stationary points that are looked for across the domain, without a start or with a poor one."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from sympy import Interval, S, cos, exp, log, oo, pi, sqrt, symbols

import replica as rp
from replica.solvers.stationary import places_across, stationary_points
from replica.solvers.system import System

alpha, a, v, kappa = symbols("alpha a v kappa", real=True)
x, y = symbols("x y", positive=True)
q = symbols("q", nonnegative=True)


def above(margin):
    """Return E (margin - u)_+^2 over a unit Gaussian."""
    density = exp(-(margin**2) / 2) / sqrt(2 * pi)
    return (1 + margin**2) * exp(rp.LogH(-margin)) + margin * density


def biased(over):
    """Return the capacity for patterns of magnetisation a (Gardner 1988), and its threshold."""
    value = 1 / ((1 + a) / 2 * above(-v) + (1 - a) / 2 * above(v))
    return rp.Formula(
        name="biased-perceptron",
        title="Perceptron with biased patterns",
        potential=log(1 - q) / 2,
        overlaps={q: Interval.open(0, 1)},
        controls={alpha: (Interval.open(0, oo), None), a: (Interval.Ropen(0, 1), 0)},
        thresholds={"alpha_G": rp.Limit(value, over=over)},
    )


@pytest.mark.parametrize("start", [None, 1, 0.1, -3, 40])
@pytest.mark.parametrize("bias", [0.0, 0.5, 0.9, 0.99, 0.999])
def test_biased_patterns(bias: float, start: float | None):
    def cost(place):
        def one(margin):
            tail = mpmath.erfc(-margin / mpmath.sqrt(2)) / 2
            return (1 + margin**2) * tail + margin * mpmath.npdf(margin)

        return (1 + bias) / 2 * one(-place) + (1 - bias) / 2 * one(place)

    places = np.linspace(0, 4, 401)
    guess = places[int(np.argmin([cost(place) for place in places]))]
    best = mpmath.findroot(lambda place: mpmath.diff(cost, place), guess)
    over = {v: S.Reals} if start is None else {v: (S.Reals, start)}
    found = rp.threshold(biased(over), "alpha_G", a=bias)
    assert found.value == pytest.approx(float(1 / cost(best)), rel=1e-12)
    assert found.error < 1e-9
    assert found.status.name == "CONVERGED"


def test_published_biases():
    assert rp.threshold(biased({v: S.Reals}), "alpha_G", a=0.5).text.startswith("2.405870596485")
    assert rp.threshold(biased({v: S.Reals}), "alpha_G", a=0.99).value == pytest.approx(
        32.65628, abs=1e-5
    )


def test_what_was_tried_is_said():
    without = rp.Formula(
        name="own",
        title="Own",
        potential=log(1 - q) / 2,
        overlaps={q: Interval.open(0, 1)},
        controls={alpha: (Interval.open(0, oo), None), kappa: (Interval(-5, 5), 0)},
        thresholds={"alpha_G": rp.Limit(exp(v) + kappa, over={v: (Interval(-1, 4), 2)})},
    )
    with pytest.raises(rp.ThresholdNotFound) as error:
        rp.threshold(without, "alpha_G")
    text = str(error.value)
    assert "no stationary point of its value in v was found" in text
    assert "the declared start v = 2 and" in text
    assert "places across the domain" in text


def test_places_are_inside():
    domains = [Interval.open(0, oo), Interval.open(-2, 3), S.Reals, Interval.open(-oo, 1)]
    for domain in domains:
        for places in places_across([domain]):
            assert all(domain.contains(S(place)) for (place,) in places)
    usual, wide = places_across([S.Reals])
    assert {(1.0,), (-1.0,), (0.0,)} <= set(usual)
    assert max(wide) == (1000.0,)


@pytest.mark.parametrize("seed", range(8))
def test_random_places_are_found(seed: int):
    """The saddle of a function of two positive variables, of any size, by random scales."""
    rng = np.random.default_rng(seed)
    one, two = (S(float(s)) for s in 10 ** rng.uniform(-2, 2, 2))
    value = log(x / one) ** 2 - log(y / two) ** 2 + log(x / one) * log(y / two) / 2
    system = System(
        [value.diff(x), value.diff(y)],
        (x, y),
        (alpha,),
        {x: Interval.open(0, oo), y: Interval.open(0, oo)},
    )
    found = stationary_points(system, [Interval.open(0, oo)] * 2, [np.ones(1)])
    assert found.shape[0]
    np.testing.assert_allclose(found[0], [float(one), float(two)], rtol=1e-6)


def test_several_turns_of_one_variable():
    value = cos(7 * x) / x
    system = System([value.diff(x)], (x,), (alpha,), {x: Interval.open(0, oo)})
    found = stationary_points(system, [Interval.open(0, oo)], [np.ones(1)])
    slope = [float(value.diff(x).subs(x, place)) for (place,) in found]
    assert max(map(abs, slope)) < 1e-6


def test_where_newton_stops_is_no_stationary_point():
    """At a singular Jacobian the step of least norm may be none, and slopes are not zero."""
    value = v**3 + v
    system = System([value.diff(v)], (v,), (alpha,), {v: S.Reals})
    assert stationary_points(system, [S.Reals], [np.ones(1)]).shape == (0, 1)
    flat = System([exp(v)], (v,), (alpha,), {v: S.Reals})
    assert stationary_points(flat, [S.Reals], [np.ones(1)]).shape == (0, 1)
