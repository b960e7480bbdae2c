"""A channel is one law: in its potential, in its strength, in its errors and in what is drawn.

The reference is the definition by quadrature over field and label: see `channel_laws`.
"""

from __future__ import annotations

import itertools
import math
import pickle

import numpy as np
import pytest
from blocks.channel_laws import (
    CASES,
    EVERY,
    MORE_PLACES,
    PLACES,
    WITH_LABELS,
    defined,
    fixed,
    flipped,
    gap,
    kernel,
    labels_at,
    levels,
    normal,
    on_labels,
    panels,
    smooth,
)
from scipy import integrate, special
from sympy import Rational, Symbol

from replica.blocks.channel import Channel, V, omega, y
from replica.errors import UnknownName
from replica.numerics.kernel import Kernel

# ---- potential, strength and errors --------------------------------------------------------------


def test_every_shipped_channel_is_here():
    real = {name for name in Channel.shipped if Channel.shipped[name].parts == 1}
    assert set(Channel.shipped) - real == {"complex-abs"}  # in test_conditional
    assert real <= set(CASES)
    for name in real:
        assert CASES[name][0] == Channel.shipped[name]


@EVERY
@pytest.mark.parametrize(
    "place",
    [*PLACES, *(pytest.param(place, marks=pytest.mark.slow) for place in MORE_PLACES)],
    ids=str,
)
def test_potential_strength_and_error_are_those_of_the_definition(
    name: str, place: tuple[float, float]
):
    variance, rho = place
    expected = defined(CASES[name][2], variance, rho)
    # a chance that vanishes at one field is narrow in what is averaged
    found = kernel(name).bounded(variance, rho, refinement=2 if name == "bump" else 1)
    for row, key in zip((found[0], found[1], found[3]), expected, strict=False):
        truth = expected[key]
        scale = 1 + abs(truth)
        assert abs(float(row.value) - truth) <= float(row.bound) + 2e-10 * scale, key
        assert float(row.bound) <= (1e-3 if name == "bump" else 1e-9) * scale, key


@EVERY
def test_strength_is_the_slope_of_the_potential(name: str):
    """G = -2 dPhi/dD: the heat equation, by the symbolic derivative and by differences."""
    for variance, rho in PLACES:
        strength, slope = (float(row) for row in kernel(name)(variance, rho, refinement=1)[1:3])
        assert strength == pytest.approx(slope, rel=1e-8)
        step = 1e-3 * variance
        near = variance + step * np.array([-2, -1, 1, 2])
        sides = kernel(name)(near, rho, refinement=1)[0]
        difference = (8 * (sides[2] - sides[1]) - (sides[3] - sides[0])) / (12 * step)
        assert strength == pytest.approx(-2 * difference, rel=1e-7)


@pytest.mark.parametrize("name", WITH_LABELS)
def test_labels_have_probabilities(name: str):
    """They sum to one whatever the field: so do not their first two derivatives."""
    law, _, _ = CASES[name]
    for variance in (0.02, 0.5, 3.0):
        fields = np.linspace(-3, 3, 25)
        *rows, _ = on_labels(name)(fields, variance, refinement=1)
        logs, slopes, bends = rows[0::3], rows[1::3], rows[2::3]
        seen = [np.isfinite(part) for part in logs]  # of a label that cannot be, zero
        total = sum(np.where(s, np.exp(part), 0) for s, part in zip(seen, logs, strict=True))
        np.testing.assert_allclose(total, 1, rtol=1e-11)
        first, second = np.zeros(25), np.zeros(25)
        for s, part, slope, bend in zip(seen, logs, slopes, bends, strict=True):
            first += np.where(s, np.exp(part) * slope, 0)
            # the posterior of the field cannot be wider on average than before the label
            second += np.where(s, np.exp(part) * (bend + slope**2), 0)
        np.testing.assert_allclose(first, 0, atol=1e-9)
        np.testing.assert_allclose(second * variance, 0, atol=1e-8)
    assert len(law.labels) == len(rows) // 3


@EVERY
def test_log_partition_is_the_integral_over_the_field(name: str):
    """By label, with its derivative in the mean of the field."""
    law, controls, written = CASES[name]
    fields, variance = np.array([-1.3, -0.2, 0.0, 0.7, 2.0]), 0.4
    rows = labels_at(written, fields, variance)
    for own, (_, _, mass, moved) in zip([own for own, _ in written.chances], rows, strict=False):
        part = fixed(law, law.log_partition(own, omega, V), controls)
        value, slope = Kernel((omega, V), (part, part.diff(omega)))(fields, variance, refinement=1)
        np.testing.assert_allclose(np.exp(value), mass[:, 0], rtol=1e-10)
        np.testing.assert_allclose(slope, moved[:, 0] / mass[:, 0], rtol=1e-8, atol=1e-9)
    if written.fields:
        at, _, mass, moved = rows[-1]
        part = fixed(law, law.log_partition(y, omega, V), controls)
        compiled = Kernel((y, omega, V), (part, part.diff(omega)))
        value, slope = compiled(at[None, :], fields[:, None], variance)
        np.testing.assert_allclose(np.exp(value), mass, rtol=1e-11, atol=1e-300)
        seen = mass > 1e-200
        np.testing.assert_allclose(slope[seen], (moved / np.where(seen, mass, 1))[seen], atol=1e-9)


@EVERY
def test_mean_label_is_the_best_prediction(name: str):
    law, controls, written = CASES[name]
    fields, variance = np.array([-2.0, -0.4, 0.0, 0.9, 3.0]), 0.55
    compiled = Kernel((omega, V), (fixed(law, law.mean_label(omega, V), controls),))
    (found,) = compiled(fields, variance, refinement=1)
    expected = sum(
        (weight * label * mass).sum(axis=1)
        for label, weight, mass, _ in labels_at(written, fields, variance)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-11)


@EVERY
def test_cases_are_the_log_partition_of_every_label(name: str):
    """Each label belongs to one case, which holds there."""
    law, controls, written = CASES[name]
    labels = [own for own, _ in written.chances]
    if written.fields:
        labels += [0.4, 1.3]
    compiled = [Kernel((y, omega, V), (fixed(law, part, controls),)) for _, part in law.cases()]
    for label in labels:
        holds = [bool(test(np.array([label]))[0]) for test, _ in law.cases()]
        assert sum(holds) == 1
        case = compiled[holds.index(True)](label, 0.3, 0.7)[0]
        own = Kernel((omega, V), (fixed(law, law.log_partition(label, omega, V), controls),))
        assert float(case) == pytest.approx(float(own(0.3, 0.7)[0]), rel=1e-13)


# ---- limits --------------------------------------------------------------------------------------


@EVERY
def test_dimension_is_the_strength_where_everything_is_seen(name: str):
    """D G(D) -> dimension, where the label has no noise of its own."""
    law, _, written = CASES[name]
    dimension = float(law.dimension) if not written.noise else 0.0
    shares = [d * float(kernel(name)(d, 1.0)[1]) for d in (1e-3, 1e-5)]
    distances = [abs(share - dimension) for share in shares]
    assert distances[1] <= distances[0] + 1e-12
    assert distances[1] < 0.02


@EVERY
def test_nothing_known_leaves_the_entropy_of_the_label(name: str):
    """At D = rho, Phi_out is minus the entropy of y, and G vanishes where the channel is even."""
    law, _, written = CASES[name]
    potential, strength, _, error = (float(row) for row in kernel(name)(1.0, 1.0, refinement=1))
    expected = defined(written, 1.0, 1.0)
    assert potential == pytest.approx(expected["potential"], abs=1e-11)
    assert error == pytest.approx(expected["error"], abs=1e-11)
    assert (abs(strength) < 1e-12) == law.even
    if law.labels:
        total = sum(np.exp(row) for row in on_labels(name)(0.0, 1.0)[:-1:3])
        assert float(total) == pytest.approx(1, abs=1e-12)
        assert 0 < -potential <= math.log(len(law.labels)) + 1e-12


@EVERY
def test_more_known_means_more_told(name: str):
    """Phi_out and G fall with D; the error of a label rises."""
    variance = np.geomspace(1e-3, 1, 30)
    potential, _, _, error = kernel(name)(variance, 1.0)
    assert np.all(np.diff(potential) < 1e-13)
    assert np.all(np.diff(error) > -1e-13)


# ---- weak recovery -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [k for k, (law, _, _) in CASES.items() if law.even])
@pytest.mark.parametrize("rho", [0.3, 1.0])
def test_weak_recovery_is_what_the_label_tells_of_the_square(name: str, rho: float):
    """E_y (E[z^2|y]/rho - 1)^2, and the slope of the strength at D = rho."""
    law, controls, written = CASES[name]
    second = Rational(str(rho))
    compiled = Kernel((gap,), (fixed(law, law.weak_recovery(second), controls),))
    found = float(compiled(1.0, refinement=1)[0])
    total = 0.0
    reach = 12 * math.sqrt(rho)
    at, weight = panels(-reach, reach, 0.05 * math.sqrt(rho), (0.0, *written.jumps))
    for _, chance in written.chances:
        seen = weight * normal(at, rho) * chance(at)
        total += seen.sum() * ((seen @ at**2) / seen.sum() / rho - 1) ** 2
    if written.fields:  # the label gives the square away
        total += weight @ (normal(at, rho) * (at**2 / rho - 1) ** 2)
    assert found == pytest.approx(total, rel=1e-10)
    # G = m * weak recovery / rho^2 at small m
    m = 1e-5 * rho
    strength = float(kernel(name).bounded(rho - m, rho, refinement=1)[1].value)
    assert strength == pytest.approx(found * m / rho**2, rel=1e-3)


@pytest.mark.parametrize(("name", "value"), [("linear", 2), ("relu", 1)])
def test_weak_recovery_of_a_continuous_label(name: str, value: int):
    """E (E[z^2|y]/rho - 1)^2 is not zero."""
    assert (
        Channel.shipped[name].weak_recovery(Rational(1)).subs(Symbol("Delta", real=True), 0)
        == value
    )


def test_which_channels_are_even():
    even = {name for name in Channel.shipped if Channel.shipped[name].even}
    assert even == {"abs", "complex-abs", "door"}
    assert smooth.even
    assert not flipped.even
    assert not levels.even


# ---- samples -------------------------------------------------------------------------------------

DRAWN = [name for name in CASES if name not in {"flipped sign", "levels", "bump"}]


COUNT = 100_000


@pytest.mark.parametrize("name", DRAWN)
def test_drawn_labels_have_their_mean_given_the_field(name: str, rng: np.random.Generator):
    """Fields N(omega, V): the labels' mean is the best prediction, their frequencies exp(L)."""
    law, controls, written = CASES[name]
    for mean, variance in ((0.0, 1.0), (0.6, 0.5), (-1.1, 0.2)):
        fields = mean + math.sqrt(variance) * rng.standard_normal(COUNT)
        labels = np.asarray(law.sample(rng, fields, controls))
        assert labels.shape == fields.shape
        assert np.all(law.possible(labels))
        compiled = Kernel((omega, V), (fixed(law, law.mean_label(omega, V), controls),))
        expected = float(compiled(mean, variance)[0])
        spread = labels.std() / math.sqrt(COUNT)
        assert abs(labels.mean() - expected) <= 4 * spread
        for own, _ in written.chances:
            part = fixed(law, law.log_partition(own, omega, V), controls)
            chance = float(np.exp(Kernel((omega, V), (part,))(mean, variance)[0]))
            error = math.sqrt(chance * (1 - chance) / COUNT)
            assert abs(np.mean(labels == own) - chance) <= 4 * error, own
        if written.fields:
            edges = np.array([0.1, 0.5, 1.0, 2.0])
            rows = labels_at(written, np.array([mean]), variance)
            at, weight, mass, _ = rows[-1]
            for low, high in itertools.pairwise(edges):
                # the density of the label, in bins of which the nodes resolve the ends
                nodes, share = panels(low, high, 0.05, ())
                density = np.interp(nodes, at, mass[0])
                chance = float(share @ density)
                error = math.sqrt(chance * (1 - chance) / COUNT)
                seen = np.mean((labels > low) & (labels <= high))
                assert abs(seen - chance) <= 4 * error + 2e-4, (low, high)
            assert weight.size == at.size


@pytest.mark.parametrize("name", DRAWN)
def test_drawn_labels_at_a_given_field(name: str, rng: np.random.Generator):
    law, controls, written = CASES[name]
    for field in (-1.4, -0.3, 0.2, 0.9):
        labels = np.asarray(law.sample(rng, np.full(20_000, field), controls))
        for own, chance in written.chances:
            p = float(chance(np.array([field]))[0])
            error = math.sqrt(p * (1 - p) / labels.size)
            assert abs(np.mean(labels == own) - p) <= 4 * error + 1e-12
        if written.fields and not written.noise and field > 0:
            np.testing.assert_array_equal(labels, field)
        if written.noise:
            assert labels.var() == pytest.approx(written.noise, rel=0.05)


@pytest.mark.parametrize("name", DRAWN)
def test_samples_follow_their_generator(name: str):
    law, controls, _ = CASES[name]
    fields = np.linspace(-2, 2, 12).reshape(3, 4)
    one, two = (law.sample(np.random.default_rng(5), fields, controls) for _ in range(2))
    assert np.shape(one) == (3, 4)
    np.testing.assert_array_equal(one, two)


def test_possible_labels():
    labels = np.array([-1.0, 0.0, 1.0, 2.5, np.nan, np.inf])
    expected = {
        "linear": [True, True, True, True, False, False],
        "abs": [False, True, True, True, False, False],
        "relu": [False, True, True, True, False, False],
        "sign": [True, False, True, False, False, False],
        "door": [True, False, True, False, False, False],
        "logistic": [True, False, True, False, False, False],
        "probit": [True, False, True, False, False, False],
    }
    for name, possible in expected.items():
        np.testing.assert_array_equal(
            Channel.shipped[name].possible(labels), possible, err_msg=name
        )
    np.testing.assert_array_equal(
        levels.possible(np.array([2.0, 0.0, -1.0, 1.0])), [True, True, True, False]
    )


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ("Sign", "sign"),
        ("rellu", "relu"),
        ("logit", "logistic"),
        ("dor", "door"),
        ("lin", "linear"),
    ],
)
def test_near_names(wrong: str, near: str):
    with pytest.raises(UnknownName, match=rf"unknown channel: '{wrong}'; did you mean .*{near}"):
        Channel.shipped[wrong]


@pytest.mark.parametrize("name", sorted(Channel.shipped))
def test_shipped_channels(name: str):
    law = Channel.shipped[name]
    assert law.name == str(law) == name
    assert law == Channel.shipped[name]
    assert hash(law) == hash(Channel.shipped[name])
    assert pickle.loads(pickle.dumps(law)) == law
    assert law.deterministic == (name not in {"logistic", "probit"})
    assert float(law.dimension) == {"linear": 1, "abs": 1, "relu": 0.5, "complex-abs": 0.5}.get(
        name, 0
    )


def test_an_integral_of_scipy_agrees_with_the_definition_above():
    """The reference itself, once, by adaptive quadrature."""
    variance, spread = 0.35, math.sqrt(0.65)

    def outer(field: float, power: int) -> float:
        z_plus = integrate.quad(
            lambda at: normal(at - field, variance) * special.expit(at), -12, 12, epsabs=1e-13
        )[0]
        slope = integrate.quad(
            lambda at: normal(at - field, variance) * special.expit(at) * (at - field) / variance,
            -12,
            12,
            epsabs=1e-13,
        )[0]
        inner = (
            z_plus * math.log(z_plus) + (1 - z_plus) * math.log(1 - z_plus)
            if power == 0
            else slope**2 / z_plus + slope**2 / (1 - z_plus)
        )
        return float(normal(field, spread**2)) * inner

    expected = defined(CASES["logistic"][2], variance, 1.0)
    for power, key in ((0, "potential"), (1, "strength")):
        found = integrate.quad(outer, -7, 7, args=(power,), epsabs=1e-11)[0]
        assert found == pytest.approx(expected[key], abs=1e-10)
