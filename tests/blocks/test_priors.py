"""A prior is one law: in its potential, in its error, in its moments and in what is drawn.

The reference is the definition by quadrature over the weight: nothing here uses the closed forms,
the Nishimori identity or the derivatives of the package.
"""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from blocks.prior_laws import (
    CASES,
    EVERY,
    MIXTURES,
    QUICK,
    STRENGTHS,
    Law,
    defined,
    fixed,
    g,
    kernel,
    number,
    r,
)
from mpmath import mp, mpf
from sympy import symbols

from replica.blocks.priors import (
    Discrete,
    GaussBernoulli,
    Prior,
    Rademacher,
    Uniform,
)
from replica.errors import UnknownName
from replica.numerics.kernel import Kernel, compile_kernel
from replica.numerics.precise import PreciseKernel

# ---- potential and error -------------------------------------------------------------------------


def test_every_shipped_prior_is_here():
    assert set(Prior.shipped) <= set(CASES)
    for name in Prior.shipped:
        assert CASES[name][0] == Prior.shipped[name]


@EVERY
@pytest.mark.parametrize("strength", STRENGTHS)
def test_potential_and_gap_are_those_of_the_definition(name: str, strength: float):
    potential, gap, square = defined(CASES[name][2], strength)
    found = kernel(name).bounded(strength, refinement=1)
    values = [float(row.value) for row in found]
    assert values[0] == pytest.approx(potential, abs=1e-11)
    assert values[1] == pytest.approx(gap, abs=1e-11)
    assert values[3] == pytest.approx(square, abs=1e-11)
    # and the reported errors are honest, up to those of the definition by quadrature
    for row, truth in zip((found[0], found[1], found[3]), (potential, gap, square), strict=True):
        assert abs(float(row.value) - truth) <= float(row.bound) + 1e-12 * (1 + abs(truth))


@EVERY
@pytest.mark.parametrize("strength", [1e-6, *STRENGTHS, 1e8])
def test_mutual_information_is_what_is_left_of_the_potential(name: str, strength: float):
    """I = rho g / 2 - Phi where the difference has digits, and digits where it has none."""
    law, controls, _ = CASES[name]
    both = (law.mutual_information(g), law.second_moment * g / 2 - law.free_entropy(g))
    compiled = compile_kernel((g,), tuple(fixed(law, e, controls) for e in both))
    found, difference = compiled.bounded(strength, refinement=2)
    gap = abs(float(found.value - difference.value))
    assert gap <= float(found.bound + difference.bound)
    assert float(found.bound) <= 1e-11 * max(float(found.value), 1e-2)


@EVERY
def test_gap_is_what_the_derivative_of_the_potential_leaves(name: str):
    """D = rho - 2 dPhi/dg: the Nishimori identity; and E f_w^2 = rho - D."""
    moment = number(name, CASES[name][0].second_moment)
    for strength in (0.2, 1.0, 7.0, 60.0):
        rows = kernel(name).bounded(strength, refinement=1)
        _, gap, slope, square = (float(row.value) for row in rows)
        assert gap == pytest.approx(moment - slope, abs=2e-10)
        assert gap == pytest.approx(moment - square, abs=2e-10)


@EVERY
def test_gap_is_the_finite_difference_of_the_potential(name: str):
    moment = number(name, CASES[name][0].second_moment)
    for strength in (0.3, 2.5, 12.0):
        step = 1e-3 * strength
        at = strength + step * np.array([-2, -1, 1, 2])
        far_below, below, above, far_above = kernel(name)(at, refinement=1)[0]
        slope = (8 * (above - below) - (far_above - far_below)) / (12 * step)
        gap = float(kernel(name)(strength, refinement=1)[1])
        assert gap == pytest.approx(moment - 2 * slope, abs=1e-9)


@pytest.mark.parametrize(
    "name",
    [k if k in QUICK else pytest.param(k, marks=pytest.mark.slow) for k in MIXTURES],
)
def test_gap_is_the_finite_difference_of_the_potential_in_many_digits(name: str):
    law, controls, _ = CASES[name]
    expressions = tuple(fixed(law, e, controls) for e in (law.free_entropy(g), law.gap(g)))
    moment = fixed(law, law.second_moment, controls)
    potential, gap = (PreciseKernel((g,), (e,)) for e in expressions)
    with mp.workdps(40):
        strength, step = mpf("1.7"), mpf(10) ** -6
        sides = [potential([strength + k * step], 26)[0][0] for k in (-2, -1, 1, 2)]
        slope = (8 * (sides[2] - sides[1]) - (sides[3] - sides[0])) / (12 * step)
        (found,), _ = gap([strength], 20)
        assert abs(found - (mpf(moment.p) / moment.q - 2 * slope)) < mpf(10) ** -17


def test_closed_forms():
    strengths = np.geomspace(1e-3, 1e9, 13)
    potential, gap, *_ = kernel("gaussian")(strengths)
    np.testing.assert_allclose(gap, 1 / (1 + strengths), rtol=1e-14)
    expected = (strengths - np.log1p(strengths)) / 2
    np.testing.assert_allclose(potential, expected, rtol=1e-12, atol=1e-16)
    # signs: D = E (1 - tanh r), r ~ N(g, g), and Phi_w = E log cosh r - g/2
    z, weight = np.polynomial.hermite_e.hermegauss(120)
    weight = weight / weight.sum()
    for strength in (0.1, 1.0, 2.0):
        field = strength + math.sqrt(strength) * z
        found = [float(value) for value in kernel("rademacher")(strength)[:2]]
        assert found[0] == pytest.approx(weight @ np.log(np.cosh(field)) - strength / 2, abs=1e-9)
        assert found[1] == pytest.approx(weight @ (1 - np.tanh(field)), abs=1e-9)


def test_a_sparse_prior_of_full_density_is_gaussian():
    law = GaussBernoulli()
    symbol = law.controls["density"].symbol
    found = compile_kernel((g, symbol), (law.free_entropy(g), law.gap(g)))
    strengths = np.array([0.1, 1.0, 30.0])
    for density, close in ((1 - 1e-9, 1e-7), (1.0, 1e-14)):
        potential, gap = found(strengths, density)
        np.testing.assert_allclose(gap, 1 / (1 + strengths), rtol=close)
        expected = (strengths - np.log1p(strengths)) / 2
        np.testing.assert_allclose(potential, expected, rtol=close)


# ---- limits --------------------------------------------------------------------------------------


@EVERY
def test_nothing_seen_leaves_the_variance(name: str):
    """D falls from the variance of the weight with slope minus its square."""
    law = CASES[name][0]
    variance = number(name, law.second_moment - law.mean**2)
    assert variance == pytest.approx(CASES[name][2].moment(2) - CASES[name][2].moment(1) ** 2)
    for strength in (1e-3, 1e-4):
        found = float(kernel(name)(strength, refinement=1)[1])
        assert found == pytest.approx(variance, abs=1.5 * variance**2 * strength)
        slope = (found - variance) / strength
        assert slope == pytest.approx(-(variance**2), rel=30 * strength)


@EVERY
def test_nothing_seen_at_all(name: str):
    """The point of no overlap, g = 0, is a saddle point of every even channel."""
    law = CASES[name][0]
    with np.errstate(all="ignore"):
        potential, gap, *_ = kernel(name)(0.0)
    assert float(potential) == pytest.approx(0, abs=3e-16)
    variance = number(name, law.second_moment - law.mean**2)
    assert float(gap) == pytest.approx(variance, rel=1e-15)


@EVERY
def test_dimension_is_what_is_left_where_everything_is_seen(name: str):
    """G D(g) -> dimension; the corrections are powers of log(g)/g, or exponential in g."""
    dimension = number(name, CASES[name][0].dimension)
    distances = []
    for strength in (1e3, 1e5):
        found = float(kernel(name)(strength)[1])
        assert found >= 0
        distances.append(abs(strength * found - dimension))
    assert distances[1] < distances[0] or distances[0] < 1e-9
    assert distances[1] < 0.15 * max(dimension, 1e-12)
    if name == "gauss-bernoulli":
        assert 1e12 * float(kernel(name)(1e12)[1]) == pytest.approx(dimension, rel=1e-3)
    elif dimension:
        assert distances[1] < 0.02 * dimension


@EVERY
def test_gap_falls_and_the_potential_rises_and_is_convex(name: str):
    strengths = np.geomspace(1e-2, 300, 40)
    potential, gap, *_ = kernel(name)(strengths)
    assert np.all(np.diff(gap) < 0)
    assert np.all(gap > 0)
    assert np.all(np.diff(potential) > 0)
    assert np.all(np.diff(np.diff(potential) / np.diff(strengths)) > -1e-12)


def test_gap_keeps_its_digits_where_the_difference_has_none():
    """At g = 300 the error of a sign is 1e-66; one minus the overlap would be zero."""
    found = kernel("rademacher").bounded(300.0, refinement=1)[1]
    with mp.workdps(100):
        # D = exp(-g/2) E sech, and the mean is almost sqrt(pi / 2 g) at large g
        truth = mp.exp(-150) * mp.quad(
            lambda h: mp.sech(h) * mp.exp(-h * h / 600) / mp.sqrt(600 * mp.pi),
            [-200, -50, -20, -8, -3, 0, 3, 8, 20, 50, 200],
        )
        assert abs(mpf(float(found.value)) / truth - 1) < mpf(10) ** -11
        assert abs(mpf(float(found.value)) - truth) <= float(found.bound)


# ---- moments and samples -------------------------------------------------------------------------


@EVERY
def test_moments_are_those_of_the_law(name: str):
    law, _, written = CASES[name]
    assert written.moment(0) == pytest.approx(1, abs=1e-13)
    assert number(name, law.mean) == pytest.approx(written.moment(1), abs=1e-13)
    assert number(name, law.second_moment) == pytest.approx(written.moment(2), rel=1e-12)


@EVERY
def test_drawn_weights_have_the_moments_of_the_law(name: str, rng: np.random.Generator):
    law, controls, written = CASES[name]
    count = 200_000
    drawn = np.asarray(law.sample(rng, count, controls))
    assert drawn.shape == (count,)
    for power in (1, 2, 3, 4):
        expected = written.moment(power)
        spread = math.sqrt((written.moment(2 * power) - expected**2) / count)
        assert abs(np.mean(drawn**power) - expected) <= 4 * spread + 1e-12


@EVERY
def test_drawn_weights_have_the_quantiles_of_the_law(name: str, rng: np.random.Generator):
    """P(w <= x), at places that are no atoms, within four standard errors."""
    law, controls, written = CASES[name]
    count = 100_000
    drawn = np.asarray(law.sample(rng, count, controls))
    for place in (-1.7, -0.6, -0.1, 0.2, 0.9, 1.5, 2.5):
        share = sum(p for p, at in written.atoms if at <= place)
        if written.density is not None:
            low, high = written.ends[0], min(max(place, written.ends[0]), written.ends[-1])
            kink = min(max(0.0, low), high)  # the Laplace law has a kink at zero
            share += sum(
                Law((), written.density, tuple(np.linspace(a, b, 41))).moment(0)
                for a, b in ((low, kink), (kink, high))
                if b > a
            )
        spread = math.sqrt(max(share * (1 - share), 0) / count)
        assert abs(np.mean(drawn <= place) - share) <= 4 * spread + 1e-12, place


@EVERY
def test_samples_follow_their_generator(name: str):
    law, controls, _ = CASES[name]
    one, two, other = (
        law.sample(np.random.default_rng(seed), (3, 4), controls) for seed in (1, 1, 2)
    )
    assert np.shape(one) == (3, 4)
    assert np.asarray(one).dtype == float
    np.testing.assert_array_equal(one, two)
    if CASES[name][2].density is not None:
        assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ("rademacherr", "rademacher"),
        ("Gaussian", "gaussian"),
        ("gauss_bernoulli", "gauss-bernoulli"),
        ("laplac", "laplace"),
        ("unifrom", "uniform"),
    ],
)
def test_near_names(wrong: str, near: str):
    with pytest.raises(UnknownName, match=rf"unknown prior: '{wrong}'; did you mean .*{near}"):
        Prior.shipped[wrong]


def test_names_that_resemble_nothing():
    with pytest.raises(UnknownName, match=r"known: gauss-bernoulli, gaussian, laplace"):
        Prior.shipped["zzz"]


@pytest.mark.parametrize("name", sorted(Prior.shipped))
def test_shipped_priors(name: str):
    law = Prior.shipped[name]
    assert law.name == str(law) == name
    assert law == Prior.shipped[name]
    assert hash(law) == hash(Prior.shipped[name])
    assert law.second_moment == (law.controls["density"].symbol if law.controls else 1)
    assert law.mean == 0
    assert pickle.loads(pickle.dumps(law)) == law


def test_priors_that_differ_are_different():
    laws = [law for law, _, _ in CASES.values()]
    assert len(set(laws)) == len(laws)
    assert len({str(law) for law in laws}) == len(laws)
    assert Discrete([-1, 1], [0.5, 0.5]) != Rademacher()
    assert "-1: 1/4" in str(Discrete([-1, 1], [0.25, 0.75]))
    assert str(Uniform(0, 1)) == "uniform(0, 1)"


def test_log_partition_of_every_law_in_its_tails():
    """A field that no weight would give still has a finite logarithm and posterior mean."""
    strength, fields = 2.0, np.array([-300.0, -40.0, 0.0, 40.0, 300.0])
    for name, (law, controls, _) in CASES.items():
        partition = fixed(law, law.log_partition(r, g), controls)
        found = Kernel((r, g), (partition, partition.diff(r), partition.diff(r, 2)))
        value, mean, variance = found(fields, strength)
        assert np.isfinite(value).all(), name
        assert np.isfinite(mean).all(), name
        assert np.all(np.diff(mean) >= 0), name
        assert np.all(variance >= -1e-12), name


def test_symbols_are_those_that_are_given():
    other = symbols("strength", positive=True)
    for name, (law, controls, _) in CASES.items():
        known = {law.controls[k].symbol for k in controls}
        assert law.free_entropy(other).free_symbols <= {other} | known, name
        assert law.gap(other).free_symbols <= {other} | known, name
