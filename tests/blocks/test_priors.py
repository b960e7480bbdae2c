"""A prior is one law: in its potential, in its error, in its moments and in what is drawn.

The reference is the definition by quadrature over the weight: nothing here uses the closed forms,
the Nishimori identity or the derivatives of the package.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf
from sympy import Rational, Symbol, log, oo, sqrt, symbols

from replica.blocks.priors import (
    Discrete,
    GaussBernoulli,
    Gaussian,
    Laplace,
    Prior,
    Rademacher,
    Uniform,
)
from replica.errors import ControlError, DeclarationError, ReplicaError, UnknownName
from replica.numerics.kernel import Kernel, compile_kernel
from replica.numerics.precise import PreciseKernel

g = Symbol("g", positive=True)
r = Symbol("r", real=True)

# ---- the laws, written again ---------------------------------------------------------------------


@dataclass(frozen=True)
class Law:
    """Atoms (weight, place), and beside them a density of some mass between ends."""

    atoms: tuple[tuple[float, float], ...] = ()
    density: Callable[[Any], Any] | None = None
    ends: tuple[float, ...] = ()

    def nodes(self) -> tuple[np.ndarray, np.ndarray]:
        """Return places and their weights, which sum to one."""
        places = [np.array([w for _, w in self.atoms])]
        weights = [np.array([p for p, _ in self.atoms])]
        if self.density is not None:
            x, share = np.polynomial.legendre.leggauss(20)
            for low, high in zip(self.ends[:-1], self.ends[1:], strict=True):
                at = (low + high) / 2 + x * (high - low) / 2
                places.append(at)
                weights.append(share * (high - low) / 2 * self.density(at))
        return np.concatenate(places), np.concatenate(weights)

    def moment(self, power: int) -> float:
        places, weights = self.nodes()
        return float(weights @ places**power)


def normal(w: Any) -> Any:
    return np.exp(-(w**2) / 2) / np.sqrt(2 * np.pi)


PANELS = tuple(np.linspace(-9.5, 9.5, 39))
LONG = (-27, -22, -18, -15, -12, -10, *np.linspace(-8.5, 8.5, 35), 10, 12, 15, 18, 22, 27)
DENSITY = 0.3

CASES: dict[str, tuple[Prior, dict[str, float], Law]] = {
    "gaussian": (Gaussian(), {}, Law((), normal, PANELS)),
    "rademacher": (Rademacher(), {}, Law(((0.5, -1.0), (0.5, 1.0)))),
    "gauss-bernoulli": (
        GaussBernoulli(),
        {"density": DENSITY},
        Law(((1 - DENSITY, 0.0),), lambda w: DENSITY * normal(w), PANELS),
    ),
    "laplace": (
        Laplace(),
        {},
        Law((), lambda w: np.exp(-math.sqrt(2) * np.abs(w)) / math.sqrt(2), LONG),
    ),
    "uniform": (
        Uniform(),
        {},
        Law((), lambda w: 0.5 / math.sqrt(3) + 0 * w, tuple(math.sqrt(3) * np.linspace(-1, 1, 13))),
    ),
    "uniform aside": (
        Uniform(-0.5, 2),
        {},
        Law((), lambda w: 0.4 + 0 * w, tuple(np.linspace(-0.5, 2, 13))),
    ),
    "three values": (
        Discrete([-1, 0, 2], [0.2, 0.5, 0.3]),
        {},
        Law(((0.2, -1.0), (0.5, 0.0), (0.3, 2.0))),
    ),
    "three symmetric values": (
        Discrete([-1, 0, 1], [0.25, 0.5, 0.25]),
        {},
        Law(((0.25, -1.0), (0.5, 0.0), (0.25, 1.0))),
    ),
    "zero or one": (Discrete([0, 1], [0.6, 0.4]), {}, Law(((0.6, 0.0), (0.4, 1.0)))),
    "biased signs": (Discrete([-1, 1], [0.3, 0.7]), {}, Law(((0.3, -1.0), (0.7, 1.0)))),
}
MIXTURES = [k for k in CASES if not k.startswith(("laplace", "uniform"))]
QUICK = {"gaussian", "rademacher", "gauss-bernoulli"}  # of these in many digits
DISCRETE = [k for k, (_, _, law) in CASES.items() if law.density is None]
EVERY = pytest.mark.parametrize("name", CASES)
STRENGTHS = [0.6, 25.0, *(pytest.param(g, marks=pytest.mark.slow) for g in (0.03, 3.0, 60.0))]


def defined(law: Law, strength: float) -> tuple[float, float, float]:
    """Return Phi_w, D and E f_w^2 by their definitions, with moments of the posterior."""
    w, weight = law.nodes()
    root = math.sqrt(strength)
    # r = g w + sqrt(g) z: wide enough for every w that has weight
    reach = strength * np.abs(w).max() + 10 * root
    count = int(2 * reach / root * 14) | 1
    field = np.linspace(-reach, reach, count)
    step = field[1] - field[0]
    total = np.zeros(3)
    for part in np.array_split(field, 1 + count * w.size // 2_000_000):
        exponent = part[:, None] * w - strength * w**2 / 2
        top = exponent.max(axis=1, keepdims=True)
        posterior = np.exp(exponent - top) * weight
        mass = posterior.sum(axis=1)
        partition = top[:, 0] + np.log(mass)
        mean = posterior @ w / mass
        variance = posterior @ w**2 / mass - mean**2
        # P(r) = E_w N(r; g w, g)
        chance = np.exp(partition - part**2 / (2 * strength)) / math.sqrt(2 * math.pi * strength)
        total += step * np.array([chance @ partition, chance @ variance, chance @ mean**2])
    return float(total[0]), float(total[1]), float(total[2])


@lru_cache(maxsize=64)
def kernel(name: str) -> Kernel:
    """Phi_w, D, 2 dPhi_w/dg and E f_w^2 as functions of g."""
    law, controls, _ = CASES[name]
    free = law.free_entropy(g)
    square = law.average(lambda x: law.log_partition(r, g).diff(r).subs(r, x) ** 2, g)
    wanted = (free, law.gap(g), 2 * free.diff(g), square)
    return compile_kernel((g,), tuple(fixed(law, e, controls) for e in wanted))


def fixed(law: Prior, expression: Any, controls: dict[str, float]) -> Any:
    """Return an expression with the controls of a prior put in."""
    return expression.subs({law.controls[k].symbol: Rational(str(v)) for k, v in controls.items()})


def number(name: str, expression: Any) -> float:
    law, controls, _ = CASES[name]
    return float(fixed(law, expression, controls))


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


def test_two_values_written_by_hand_are_the_shipped_signs():
    law = Discrete([-1, 1], [0.5, 0.5])
    found = compile_kernel((g,), (law.free_entropy(g), law.gap(g)))
    for strength in (0.2, 3.0, 40.0):
        for one, two in zip(
            found.bounded(strength), kernel("rademacher").bounded(strength), strict=False
        ):
            assert abs(float(one.value - two.value)) <= float(one.bound + two.bound)
            assert float(one.value) == pytest.approx(float(two.value), rel=1e-9)


def test_a_shift_changes_the_mean_and_not_the_error():
    strengths = np.array([0.3, 2.0, 15.0])
    aside = compile_kernel((g,), (Discrete([0, 2], [0.5, 0.5]).gap(g),))(strengths)[0]
    np.testing.assert_allclose(aside, kernel("rademacher")(strengths)[1], rtol=1e-12)
    wide = compile_kernel((g,), (Uniform(0, 2 * sqrt(3)).gap(g),))(strengths)[0]
    np.testing.assert_allclose(wide, kernel("uniform")(strengths)[1], rtol=1e-10)


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
def test_errors_are_honest_where_little_is_seen(name: str):
    """Those of laws with ends or tails grow without limit as g -> 0, and their bounds with them."""
    law = CASES[name][0]
    variance = number(name, law.second_moment - law.mean**2)
    for strength in (1e-5, 1e-7, 1e-9):
        gap = kernel(name).bounded(strength, refinement=1)[1]
        # the next term of the series is of second order
        slack = 20 * (1 + variance) ** 3 * strength**2 + 1e-15
        assert abs(float(gap.value) - variance + variance**2 * strength) <= float(gap.bound) + slack


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


@pytest.mark.parametrize("name", DISCRETE)
def test_entropy_is_what_a_discrete_weight_tells_at_most(name: str):
    """Phi_w - g rho / 2 -> minus the entropy."""
    law = CASES[name][0]
    chances = np.array([p for p, _ in CASES[name][2].atoms])
    entropy = float(-chances @ np.log(chances))
    assert float(law.entropy) == pytest.approx(entropy, rel=1e-14)
    strength = 200.0
    potential = float(kernel(name)(strength)[0])
    assert potential - strength * float(law.second_moment) / 2 == pytest.approx(-entropy, abs=1e-9)


def test_only_a_discrete_law_has_an_entropy():
    for name, (law, _, written) in CASES.items():
        assert (law.entropy is None) == (written.density is not None), name


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


def test_only_the_declared_values_are_drawn(rng: np.random.Generator):
    drawn = Discrete([-1, 0.1, 2], [0.2, 0.5, 0.3]).sample(rng, 1000, {})
    assert set(np.unique(drawn)) == {-1.0, 0.1, 2.0}
    drawn = Uniform(-0.5, 2).sample(rng, 1000, {})
    assert drawn.min() >= -0.5
    assert drawn.max() < 2
    sparse = GaussBernoulli().sample(rng, 1000, {"density": 0.25})
    assert np.mean(sparse != 0) == pytest.approx(0.25, abs=4 * math.sqrt(0.25 * 0.75 / 1000))


# ---- declarations --------------------------------------------------------------------------------


def test_numbers_are_exact():
    law = Discrete([-0.1, 0.3], [0.4, 0.6])
    assert law.second_moment == Rational(4, 1000) + Rational(54, 1000)
    assert law.mean == Rational(14, 100)
    assert Discrete([0, sqrt(2)], [Rational(1, 3), Rational(2, 3)]).second_moment == Rational(4, 3)
    assert Discrete([-1, 1], [0.5, 0.5]).entropy == log(2)
    assert Uniform(0, 1).second_moment == Rational(1, 3)
    assert Uniform(0, 1).mean == Rational(1, 2)
    assert Uniform(-1, 0.5).mean == Rational(-1, 4)


@pytest.mark.parametrize(
    "value",
    [
        0.1,
        -2.5,
        1 / 3,
        1e-20,
        1.000000001,
        math.pi,
    ],
)
def test_a_float_is_the_number_that_was_given(value: float):
    law = Discrete([value, 7], [0.5, 0.5])
    assert float(law.components[0][1]) == value
    assert float(Uniform(value, 7).low) == value  # type: ignore[attr-defined]


@pytest.mark.parametrize("probabilities", [[1 / 3] * 3, [0.1, 0.2, 0.7], [1e-6, 0.5, 0.499999]])
def test_decimal_probabilities_that_sum_to_one_are_accepted(probabilities: list[float]):
    law = Discrete([-1, 0, 1], probabilities)
    assert float(law.second_moment) == pytest.approx(probabilities[0] + probabilities[2])


@pytest.mark.parametrize(
    ("probabilities", "total"),
    [
        ([0.5, 0.4], "0.9"),
        ([0.5, 0.6], "1.1"),
        ([0.5, 0.50001], "1.00001"),
        ([0.5, 0.500000001], "1.000000001"),
    ],
)
def test_probabilities_that_do_not_sum_to_one(probabilities: list[float], total: str):
    with pytest.raises(ControlError, match=rf"sum to {total}$"):
        Discrete([-1, 1], probabilities)


@pytest.mark.parametrize("probabilities", [[0, 1], [-0.5, 1.5]])
def test_probabilities_that_are_not_positive(probabilities: list[float]):
    with pytest.raises(ControlError, match="must be positive"):
        Discrete([-1, 1], probabilities)


@pytest.mark.parametrize(
    ("values", "probabilities"),
    [
        ([1, 1], [0.5, 0.5]),
        ([1, 1.0], [0.5, 0.5]),
        ([0.5, Rational(1, 2)], [0.5, 0.5]),
        ([1], [1]),
        ([], []),
        ([1, 2, 3], [0.5, 0.5]),
        ([1, 2], [0.5, 0.25, 0.25]),
    ],
    ids=str,
)
def test_values_that_repeat_or_do_not_match(values: list[Any], probabilities: list[Any]):
    with pytest.raises(ControlError, match=r"distinct values and as many probabilities") as caught:
        Discrete(values, probabilities)
    assert f"{len(values)} values and {len(probabilities)} prob" in str(caught.value)


@pytest.mark.parametrize("bad", ["1", True, None, 1j, [1], float("nan"), float("inf"), oo, r])
def test_what_is_no_number(bad: Any):
    attempts = {
        "value": lambda: Discrete([0, bad], [0.5, 0.5]),
        "probability": lambda: Discrete([0, 1], [bad, 0.5]),
    }
    if bad is not None:  # which stands for the default end
        attempts |= {"low": lambda: Uniform(bad, 100), "high": lambda: Uniform(-100, bad)}
    for what, attempt in attempts.items():
        with pytest.raises(DeclarationError, match=rf"{what} = .*is not a .*real number") as caught:
            attempt()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["-1,1", "ab"])
def test_text_is_no_list_of_values(text: str):
    with pytest.raises(ReplicaError):
        Discrete(text, [0.5, 0.5])
    with pytest.raises(ReplicaError):
        Discrete([0, 1], text)


@pytest.mark.parametrize(("low", "high"), [(1, 1), (2, 1), (0.5, 0.25), (sqrt(3), None)])
def test_ends_out_of_order(low: Any, high: Any):
    with pytest.raises(ControlError, match=r"uniform prior: low = .* must be below high = "):
        Uniform(low, high)


def test_values_may_come_as_arrays():
    plain = Discrete([-1, 1], [0.25, 0.75])
    assert Discrete(np.array([-1.0, 1.0]), np.array([0.25, 0.75])) == plain
    assert Discrete((-1, 1), (0.25, 0.75)) == plain


def test_values_may_come_as_an_array_of_integers():
    law = Discrete(np.array([-1, 1]), np.array([0.25, 0.75]))
    assert law == Discrete([-1, 1], [0.25, 0.75])
    assert Uniform(np.int64(0), np.int64(1)) == Uniform(0, 1)


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
