"""Theorems that hold for every prior and every channel, of random discrete ones.

Posterior means are written again here in numpy: sums over the values of the weight.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sympy import Heaviside, Rational, S, Symbol, symbols

import replica as rp
from replica.numerics.kernel import compile_kernel

g, gap = symbols("g D", positive=True)
r, z = Symbol("r", real=True), Symbol("z", real=True)

FIELDS = np.linspace(-12, 12, 2401)
NORMAL = np.exp(-(FIELDS**2) / 2) / np.sqrt(2 * np.pi) * (FIELDS[1] - FIELDS[0])

values = st.integers(-12, 12).map(lambda k: Rational(k, 5))
precisions = st.sampled_from([0.05, 0.7, 3.0, 12.0])
few = settings(max_examples=8)


@st.composite
def priors(draw: Any) -> Any:
    """Return a prior of two to four values that differ, with whatever mean."""
    places = draw(st.lists(values, min_size=2, max_size=4, unique=True))
    shares = draw(st.lists(st.integers(1, 6), min_size=len(places), max_size=len(places)))
    return rp.Discrete(places, [Rational(share, sum(shares)) for share in shares])


@st.composite
def channels(draw: Any) -> Any:
    """Return a channel of two labels, whose chances jump at two fields."""
    first, second = sorted(draw(st.lists(values, min_size=2, max_size=2, unique=True)))
    chances = draw(st.lists(st.integers(1, 9), min_size=3, max_size=3))
    assume(len(set(chances)) > 1)
    low, middle, high = (Rational(chance, 10) for chance in chances)
    up = low + (middle - low) * Heaviside(z - first) + (high - middle) * Heaviside(z - second)
    return rp.DiscreteChannel({1: up, -1: 1 - up}, z, name="steps")


def posterior(prior: Any, fields: Any, precision: float) -> Any:
    """Return the mean weight at each field r."""
    atoms = np.array([[float(part) for part in row[:2]] for row in prior.components])
    share, place = atoms.T
    exponent = np.multiply.outer(fields, place) - precision * place**2 / 2 + np.log(share)
    weight = np.exp(exponent - exponent.max(axis=-1, keepdims=True))
    return (weight @ place) / weight.sum(axis=-1)


def numbers(found: Any, *at: float) -> list[float]:
    return [float(value) for value in found(*at, refinement=1)]


@few
@given(priors(), precisions)
def test_a_replica_is_as_good_as_the_teacher(prior, precision):
    """Nishimori: E w* <w> = E <w>^2, and both are what the gap leaves of rho."""
    m = 0.0
    for share, place, _ in prior.components:
        fields = precision * float(place) + np.sqrt(precision) * FIELDS
        m += float(share * place) * float(NORMAL @ posterior(prior, fields, precision))
    slope = prior.log_partition(r, g).diff(r)
    square = prior.average(lambda field: slope.subs(r, field) ** 2, g)
    q, known = numbers(
        compile_kernel((g,), (square, prior.second_moment - prior.gap(g))), precision
    )
    assert abs(q - m) < 1e-9 * (1 + abs(m))
    assert abs(known - m) < 1e-9 * (1 + abs(m))


@pytest.mark.slow
@few
@given(priors(), precisions)
def test_the_gap_is_the_slope_of_the_free_entropy(prior, precision):
    """The heat equation: rho - D = 2 dPhi/dg."""
    free = prior.free_entropy(g)
    slope, left = numbers(
        compile_kernel((g,), (2 * free.diff(g), prior.second_moment - prior.gap(g))), precision
    )
    assert abs(slope - left) < 1e-8 * (1 + abs(left))


@few
@given(priors())
def test_what_is_told_of_a_weight_grows_up_to_its_entropy(prior):
    kernel = compile_kernel((g,), (prior.mutual_information(g), prior.gap(g)))
    told, left = kernel(np.array([0.0, 0.1, 0.5, 2.0, 10.0, 40.0]), refinement=1)
    assert abs(told[0]) < 1e-12
    assert (np.diff(told) > -1e-12).all()
    assert (np.diff(left) < 1e-12).all()
    assert told[-1] < float(prior.entropy) + 1e-9


@pytest.mark.slow
@few
@given(channels(), st.sampled_from([0.05, 0.4, 0.9]))
def test_the_strength_is_the_slope_of_the_free_entropy_of_a_label(channel, unknown):
    """The heat equation: G = -2 dPhi_out/dD."""
    free = channel.free_entropy(gap, S.One)
    slope, strength = numbers(
        compile_kernel((gap,), (-2 * free.diff(gap), channel.strength(gap, S.One))), unknown
    )
    assert strength >= 0
    assert abs(slope - strength) < 1e-8 * (1 + strength)


@few
@given(channels())
def test_a_known_field_tells_more_of_the_label(channel):
    kernel = compile_kernel((gap,), (channel.free_entropy(gap, S.One),))
    (free,) = kernel(np.array([0.01, 0.1, 0.3, 0.6, 0.9, 1.0]), refinement=1)
    assert (free < 1e-12).all()
    assert (free > -np.log(2) - 1e-12).all()
    assert (np.diff(free) < 1e-12).all()


@pytest.mark.slow
@settings(max_examples=3)
@given(priors(), channels())
def test_the_free_entropy_falls_with_every_label(prior, channel):
    """A label has an entropy, and tells more of the weights: both are the slope of phi."""
    formula = rp.formulas["bayes-optimal-glm"](prior=prior, channel=channel)
    alpha = np.array([0.1, 0.3, 0.6, 0.9])
    found = rp.solve(formula, alpha=alpha, check=False)
    seen = np.array([status == rp.Status.CONVERGED for status in np.atleast_1d(found.status)])
    assert seen.any()
    assert (np.diff(found.potential[seen]) < 0).all()
    assert (np.diff(found.D[seen]) < 1e-9).all()
    assert (found["m"][seen] > float(prior.mean) ** 2 - 1e-9).all()
