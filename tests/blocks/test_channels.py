"""A channel is one law: in its potential, in its strength, in its errors and in what is drawn.

The reference is the definition by quadrature over field and label: Z_y is an integral of P(y|z),
and the derivative of its logarithm is the mean of (z - omega)/V in the posterior of the field.
"""

from __future__ import annotations

import itertools
import math
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from scipy import integrate, special, stats
from sympy import Abs, Heaviside, Rational, Symbol, exp, log, sqrt, symbols

from replica.blocks.channel import Channel, V, omega, y
from replica.blocks.channels import Door, Linear, Logistic, Probit, ReLU, Sign
from replica.blocks.phase_retrieval import Absolute
from replica.blocks.written_channels import DiscreteChannel
from replica.errors import ControlError, DeclarationError, ReplicaError, UnknownName
from replica.numerics.kernel import Kernel, compile_kernel

gap, rho_ = symbols("gap rho", positive=True)
z = Symbol("z", real=True)

# ---- the laws, written again ---------------------------------------------------------------------

Function = Callable[[Any], Any]


@dataclass(frozen=True)
class Law:
    """P(y|z) of each label with its jumps in z; and continuous labels by the fields they have.

    `fields` are the inverse branches of a noiseless continuous label y > `start`; a label with
    noise has the variance `noise` around its field.
    """

    chances: tuple[tuple[float, Function], ...] = ()
    jumps: tuple[float, ...] = ()
    fields: tuple[Function, ...] = ()
    start: float = -math.inf
    noise: float = 0.0


def normal(x: Any, variance: Any) -> Any:
    return np.exp(-(x**2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)


def panels(low: float, high: float, width: float, breaks: tuple[float, ...]) -> tuple[Any, Any]:
    """Return Gauss-Legendre nodes and weights on panels no wider than `width`."""
    marks = sorted({low, high, *(b for b in breaks if low < b < high)})
    edges = np.concatenate(
        [np.linspace(a, b, int((b - a) / width) + 2)[:-1] for a, b in itertools.pairwise(marks)]
        + [[high]]
    )
    x, share = np.polynomial.legendre.leggauss(12)
    half = np.diff(edges)[:, None] / 2
    middle = (edges[1:] + edges[:-1])[:, None] / 2
    return (middle + half * x).ravel(), (half * share).ravel()


def labels_at(law: Law, fields: Any, variance: float) -> list[tuple[Any, Any, Any, Any]]:
    """Return rows (label, weight, Z, dZ/domega), each of shape (fields, nodes) or (fields, 1)."""
    reach = np.abs(fields).max() + 9 * math.sqrt(variance)
    width = 1.2 * math.sqrt(variance)
    rows = []
    for label, chance in law.chances:
        at, weight = panels(-reach, reach, width, law.jumps)
        seen = normal(at - fields[:, None], variance) * chance(at) * weight
        drift = (at - fields[:, None]) / variance
        rows.append((label, 1.0, seen.sum(axis=1)[:, None], (seen * drift).sum(axis=1)[:, None]))
    if law.fields:
        spread = variance + law.noise
        low = max(law.start, -reach - 9 * math.sqrt(law.noise))
        at, weight = panels(low, reach + 9 * math.sqrt(law.noise), width, ())
        mass, moved = 0.0, 0.0
        for inverse in law.fields:
            distance = inverse(at) - fields[:, None]
            density = normal(distance, spread)
            mass, moved = mass + density, moved + density * distance / spread
        rows.append((at, weight, mass, moved))
    return rows


def defined(law: Law, variance: float, rho: float) -> dict[str, float]:
    """Return Phi_out, G, E (y - E[y|omega])^2 and E y by their definitions."""
    spread = math.sqrt(rho - variance)
    if spread == 0:
        fields, share = np.zeros(1), np.ones(1)
    else:
        count = int(20 * spread / min(spread, math.sqrt(variance)) * 12) | 1
        fields = np.linspace(-9, 9, count) * spread
        share = normal(fields, rho - variance) * (fields[1] - fields[0])
    potential = strength = 0.0
    first = second = np.zeros(fields.size)
    for label, weight, mass, moved in labels_at(law, fields, variance):
        seen = mass > 1e-290
        safe = np.where(seen, mass, 1.0)
        potential += share @ (weight * np.where(seen, mass * np.log(safe), 0)).sum(axis=1)
        strength += share @ (weight * np.where(seen, moved**2 / safe, 0)).sum(axis=1)
        first = first + (weight * label * mass).sum(axis=1)
        second = second + (weight * label**2 * mass).sum(axis=1)
    return {
        "potential": float(potential),
        "strength": float(strength),
        "error": float(share @ (second - first**2)),
        "mean": float(share @ first),
    }


DELTA, K = 0.3, 0.8


def signs(positive: Function, jumps: tuple[float, ...] = ()) -> Law:
    return Law(((1.0, positive), (-1.0, lambda at: 1 - positive(at))), jumps)


flipped = DiscreteChannel(
    {s: Rational(9, 10) * Heaviside(s * z) + Heaviside(-s * z) / 10 for s in (-1, 1)},
    z,
    name="flipped sign",
)
# three levels of the field, each mistaken for each other with some probability
levels = DiscreteChannel(
    {
        2: Rational(1, 20) + Heaviside(z - 1) * 7 / 10,
        0: Rational(4, 5) - Heaviside(z - 1) * 3 / 5 - Heaviside(-z - Rational(1, 2)) * 7 / 10,
        -1: Rational(3, 20) - Heaviside(z - 1) / 10 + Heaviside(-z - Rational(1, 2)) * 7 / 10,
    },
    z,
    name="levels",
)
smooth = DiscreteChannel({1: exp(-(z**2) / 2), 0: 1 - exp(-(z**2) / 2)}, z, name="bump")

CASES: dict[str, tuple[Channel, dict[str, float], Law]] = {
    "sign": (Sign(), {"Delta": 0.0}, signs(lambda at: at > 0, (0.0,))),
    "noisy sign": (
        Sign(),
        {"Delta": DELTA},
        signs(lambda at: special.ndtr(at / math.sqrt(DELTA))),
    ),
    "linear": (Linear(), {"Delta": 0.0}, Law(fields=(lambda at: at,))),
    "noisy linear": (Linear(), {"Delta": DELTA}, Law(fields=(lambda at: at,), noise=DELTA)),
    "abs": (Absolute(), {}, Law(fields=(lambda at: at, lambda at: -at), start=0.0)),
    "relu": (
        ReLU(),
        {},
        Law(((0.0, lambda at: at < 0),), (0.0,), (lambda at: at,), 0.0),
    ),
    "door": (Door(), {"K": K}, signs(lambda at: np.abs(at) > K, (-K, K))),
    "probit": (Probit(), {}, signs(special.ndtr)),
    "logistic": (Logistic(), {}, signs(special.expit)),
    "flipped sign": (flipped, {}, signs(lambda at: np.where(at > 0, 0.9, 0.1), (0.0,))),
    "levels": (
        levels,
        {},
        Law(
            (
                (2.0, lambda at: 0.05 + 0.7 * (at > 1)),
                (0.0, lambda at: 0.8 - 0.6 * (at > 1) - 0.7 * (at < -0.5)),
                (-1.0, lambda at: 0.15 - 0.1 * (at > 1) + 0.7 * (at < -0.5)),
            ),
            (-0.5, 1.0),
        ),
    ),
    "bump": (
        smooth,
        {},
        Law(((1.0, lambda at: np.exp(-(at**2) / 2)), (0.0, lambda at: -np.expm1(-(at**2) / 2)))),
    ),
}
EVERY = pytest.mark.parametrize("name", CASES)
WITH_LABELS = [k for k, (law, _, _) in CASES.items() if law.labels]
PLACES = [(0.9, 1.0), (0.05, 1.0), (0.06, 0.1)]
MORE_PLACES = [(0.35, 1.0), (1.7, 2.5), (0.01, 0.3), (0.999, 1.0), (2e-3, 1.0)]


def fixed(law: Channel, expression: Any, controls: dict[str, float]) -> Any:
    return expression.subs({law.controls[k].symbol: Rational(str(v)) for k, v in controls.items()})


@lru_cache(maxsize=64)
def kernel(name: str) -> Kernel:
    """Phi_out, G, -2 dPhi_out/dD and the error of a label, as functions of D and rho."""
    law, controls, _ = CASES[name]
    free = law.free_entropy(gap, rho_)
    wanted = (free, law.strength(gap, rho_), -2 * free.diff(gap), law.squared_error(gap, rho_))
    return compile_kernel((gap, rho_), tuple(fixed(law, e, controls) for e in wanted))


@lru_cache(maxsize=64)
def on_labels(name: str) -> Kernel:
    """L of each label with its first two derivatives, in omega and V, then the mean label."""
    law, controls, _ = CASES[name]
    logs = [law.log_partition(own, omega, V) for own in law.labels]
    rows = [e for part in logs for e in (part, part.diff(omega), part.diff(omega, 2))]
    rows.append(law.mean_label(omega, V))
    return compile_kernel((omega, V), tuple(fixed(law, e, controls) for e in rows))


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


# ---- closed forms --------------------------------------------------------------------------------


def gaussian(function: Function, marks: tuple[float, ...] = (0.0,)) -> float:
    """E f(v), v ~ N(0, 1)."""
    at, weight = panels(-12, 12, 0.05, marks)
    return float(weight @ (stats.norm.pdf(at) * function(at)))


def sign_forms(ratio: float, variance: float) -> tuple[float, float]:
    """Phi = 2 E H(av) log H(av) and G = 2/V E phi(av)^2 / H(av), a^2 = m/V."""

    def entropy(at: Any) -> Any:
        return np.exp(special.log_ndtr(-ratio * at)) * special.log_ndtr(-ratio * at)

    def force(at: Any) -> Any:
        return np.exp(2 * stats.norm.logpdf(ratio * at) - special.log_ndtr(-ratio * at))

    return 2 * gaussian(entropy), 2 / variance * gaussian(force)


@pytest.mark.parametrize("noise", [0.0, 0.02, 1.5])
@pytest.mark.parametrize(("variance", "rho"), [*PLACES, *MORE_PLACES, (1e-3, 1.0)])
def test_sign_in_the_form_of_the_literature(variance: float, rho: float, noise: float):
    law = Sign()
    free, strength = law.free_entropy(gap, rho_), law.strength(gap, rho_)
    compiled = compile_kernel((gap, rho_, law.controls["Delta"].symbol), (free, strength))
    found = [float(row) for row in compiled(variance, rho, noise, refinement=1)]
    ratio = math.sqrt((rho - variance) / (variance + noise))
    assert found == pytest.approx(sign_forms(ratio, variance + noise), rel=2e-9)


@pytest.mark.parametrize(("variance", "rho"), [*PLACES, *MORE_PLACES, (1e-4, 1.0)])
def test_relu_is_half_a_sign_and_half_linear(variance: float, rho: float):
    found = [float(row) for row in kernel("relu")(variance, rho, refinement=1)]
    sign, linear = (kernel(name)(variance, rho, refinement=1) for name in ("sign", "linear"))
    for k in (0, 1):
        assert found[k] == pytest.approx((float(sign[k]) + float(linear[k])) / 2, rel=1e-9)
    assert float(linear[1]) == pytest.approx(1 / variance, rel=1e-14)
    assert float(linear[0]) == pytest.approx(-math.log(2 * math.pi * math.e * variance) / 2)


def bessel_forms(variance: float, rho: float) -> tuple[float, float]:
    ratio = math.sqrt((rho - variance) / rho)

    def integral(function: Function) -> float:
        """Over x = e^s, by the trapezoid."""
        at = np.linspace(-60, 7, 6001)
        x = np.exp(at)
        return float(np.sum(function(x) * x) * (at[1] - at[0]))

    def entropy(x: Any) -> Any:
        # 2 cosh(rx) log(2 cosh rx) - 2 r x sinh(rx), times K_0: both grow less than K_0 falls
        log_cosh = ratio * x + np.log1p(np.exp(-2 * ratio * x))
        scaled = special.kve(0, x)  # kn overflows to zero at large x; kve = e^x K_0
        plus, minus = np.exp((ratio - 1) * x), np.exp(-(ratio + 1) * x)
        return scaled * ((plus + minus) * log_cosh - ratio * x * (plus - minus))

    front = math.sqrt(variance / rho)
    strength = (
        1
        - 2
        / math.pi
        * front
        * integral(
            lambda x: 2 * x * np.exp(-ratio * x) / (1 + np.exp(-2 * ratio * x)) * special.kn(1, x)
        )
    ) / variance
    potential = -math.log(2 * math.pi * math.e * variance) / 2
    return potential + front / math.pi * integral(entropy), strength


@pytest.mark.parametrize(("variance", "rho"), [*PLACES, *MORE_PLACES, (0.01, 1.0), (1.0, 1.0)])
def test_absolute_value_in_the_form_of_bessel_functions(variance: float, rho: float):
    found = [float(row) for row in kernel("abs")(variance, rho, refinement=1)[:2]]
    expected = bessel_forms(variance, rho)
    assert found[0] == pytest.approx(expected[0], abs=1e-10)
    assert found[1] == pytest.approx(expected[1], rel=1e-9, abs=1e-10)


@pytest.mark.parametrize("rho", [0.4, 1.0, 2.0])
@pytest.mark.parametrize("width", [0.3, 0.67448975019608, 1.3])
def test_door_in_the_form_of_the_literature(width: float, rho: float):
    law = Door()
    free, strength = law.free_entropy(gap, rho_), law.strength(gap, rho_)
    compiled = compile_kernel((gap, rho_, law.controls["K"].symbol), (free, strength))
    for variance in (0.02, 0.2, 0.39):
        spread, root = math.sqrt(rho - variance), math.sqrt(variance)

        def force(at: Any, spread: float = spread, root: float = root) -> Any:
            low, high = (-width - spread * at) / root, (width - spread * at) / root
            inside = special.ndtr(high) - special.ndtr(low)
            outside = special.ndtr(low) + special.ndtr(-high)
            slope = (stats.norm.pdf(low) - stats.norm.pdf(high)) / root
            seen = (inside > 1e-200) & (outside > 1e-200)
            return np.where(seen, slope**2 / np.where(seen, inside * outside, 1), 0)

        def entropy(at: Any, spread: float = spread, root: float = root) -> Any:
            low, high = (-width - spread * at) / root, (width - spread * at) / root
            inside = special.ndtr(high) - special.ndtr(low)
            outside = special.ndtr(low) + special.ndtr(-high)
            return special.xlogy(inside, inside) + special.xlogy(outside, outside)

        found = [float(row) for row in compiled(variance, rho, width, refinement=1)]
        marks = (-width / spread, width / spread)
        assert found[0] == pytest.approx(gaussian(entropy, marks), rel=1e-8)
        assert found[1] == pytest.approx(gaussian(force, marks), rel=1e-7)


def test_flipped_sign_in_closed_form():
    """Z_y = 1/10 + 8/10 H(-y omega / sqrt(V))."""
    for variance in (0.9, 0.2, 0.01):
        ratio = math.sqrt((1 - variance) / variance)

        def chance(at: Any, ratio: float = ratio) -> Any:
            return 0.1 + 0.8 * special.ndtr(ratio * at)

        def force(at: Any, ratio: float = ratio) -> Any:
            return (0.8 * stats.norm.pdf(ratio * at)) ** 2 / chance(at, ratio)

        found = kernel("flipped sign")(variance, 1.0, refinement=1)
        expected = 2 * gaussian(lambda at: special.xlogy(chance(at), chance(at)))
        assert float(found[0]) == pytest.approx(expected, rel=1e-9)
        assert float(found[1]) == pytest.approx(2 / variance * gaussian(force), rel=1e-8)


def test_label_error_of_signs():
    """(2/pi) arccos(m/rho): it starts at one, twice the probability of a wrong sign."""
    for rho in (0.1, 1.0, 2.5):
        variance = rho * np.array([1e-10, 1e-6, 1e-3, 0.1, 0.5, 0.9, 1.0])
        found = kernel("sign")(variance, rho, refinement=1)[3]
        # arccos(1 - d) = 2 arcsin(sqrt(d / 2)), which keeps its digits
        expected = 4 / np.pi * np.arcsin(np.sqrt(variance / rho / 2))
        np.testing.assert_allclose(found, expected, rtol=1e-9)


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


def test_strength_keeps_its_digits_next_to_full_recovery():
    """Of a noiseless sign, sqrt(D) G tends to a constant."""
    variance = np.array([1e-8, 1e-16, 1e-30, 1e-60])
    found = kernel("sign")(variance, 1.0, refinement=1)[1] * np.sqrt(variance)
    at, weight = panels(-40, 40, 0.05, (0.0,))
    force = np.exp(2 * stats.norm.logpdf(at) - special.log_ndtr(-at))
    constant = 2 * float(weight @ force) / math.sqrt(2 * math.pi)
    np.testing.assert_allclose(found[0], constant, rtol=1e-7)
    np.testing.assert_allclose(found[1:], constant, rtol=1e-10)


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


@pytest.mark.parametrize(
    ("width", "alpha"),
    [
        (0.5, 1.9063609),
        (0.67448975019608, 1.3604593),
        (0.8, 1.1365757),
        (1.0, 0.924958),
        (1.3, 0.7864088),
    ],
)
def test_weak_recovery_of_the_door(width: float, alpha: float):
    law = Door()
    compiled = Kernel((law.controls["K"].symbol,), (law.weak_recovery(Rational(1)),))
    found = 1 / float(compiled(width)[0])
    inside = special.erf(width / math.sqrt(2))
    closed = inside * (1 - inside) / (4 * width**2 * stats.norm.pdf(width) ** 2)
    assert found == pytest.approx(closed, rel=1e-13)
    assert found == pytest.approx(alpha, abs=6e-8)


def test_weak_recovery_of_the_absolute_value():
    assert Absolute().weak_recovery(Rational(3, 10)) == 2


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


def test_the_default_door_is_balanced():
    width = float(Door().controls["K"].default)
    assert special.erf(width / math.sqrt(2)) == pytest.approx(0.5, abs=1e-15)


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


# ---- channels of one's own -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "variance",
    [1.0, 0.9, 0.6, 0.3, 0.05, 1e-4],
)
def test_a_sign_from_its_probabilities_is_the_shipped_one(variance: float):
    own = DiscreteChannel({s: Heaviside(s * z) for s in (-1, 1)}, z)
    assert own.deterministic
    compiled = compile_kernel((gap,), (own.free_entropy(gap, 1), own.strength(gap, 1)))
    found = [float(row) for row in compiled(variance, refinement=1)]
    expected = [float(row) for row in kernel("sign")(variance, 1.0, refinement=1)[:2]]
    assert found == pytest.approx(expected, rel=1e-8)


SIDE = Rational(4, 5)


@pytest.mark.parametrize(
    "outside",
    [
        Heaviside(z - SIDE) + Heaviside(-z - SIDE),
        1 - Heaviside(z + SIDE) * Heaviside(SIDE - z),
        Heaviside(Abs(z) - SIDE),
        1 - Heaviside(2 * SIDE - 2 * Abs(z)),
    ],
    ids=str,
)
def test_a_door_from_its_probabilities_is_the_shipped_one(outside: Any):
    own = DiscreteChannel({1: outside, -1: 1 - outside}, z, name="my door")
    assert own.deterministic
    assert own.even
    assert own.name == str(own) == "my door"
    compiled = compile_kernel((gap,), (own.free_entropy(gap, 1), own.strength(gap, 1)))
    found = [float(row) for row in compiled(0.9, refinement=1)]
    expected = [float(row) for row in kernel("door")(0.9, 1.0, refinement=1)[:2]]
    assert found == pytest.approx(expected, rel=1e-8)


def test_what_a_declared_channel_is():
    assert flipped.labels == (-1, 1)
    assert not flipped.deterministic
    assert not levels.deterministic
    assert flipped.name == "flipped sign"
    assert flipped.controls == {}
    assert flipped.noise is None
    plain = DiscreteChannel({0: Rational(1, 4), 1: Rational(3, 4)}, z)
    assert plain.name == "discrete(0, 1)"
    assert pickle.loads(pickle.dumps(flipped)) == flipped
    assert hash(flipped) != hash(levels)


def test_a_label_that_is_uncertain_at_small_fields_only_is_not_deterministic():
    middle = (Heaviside(z + 1) - Heaviside(z - 1)) / 2
    own = DiscreteChannel({1: Heaviside(z - 1) + middle, -1: Heaviside(-z - 1) + middle}, z)
    assert not own.deterministic


def test_names_of_the_field_do_not_matter():
    for field in (Symbol("u", real=True), Symbol("x", real=True), Symbol("w")):
        own = DiscreteChannel({1: exp(-(field**2)), 0: 1 - exp(-(field**2))}, field)
        assert own.log_partition(1, omega, V) == DiscreteChannel(
            {1: exp(-(z**2)), 0: 1 - exp(-(z**2))}, z
        ).log_partition(1, omega, V)


@pytest.mark.parametrize(
    ("probabilities", "place", "total"),
    [
        ({1: Heaviside(z), -1: Heaviside(-z) / 2}, "-7.3", "0.5"),
        ({1: Heaviside(z) / 2, -1: Heaviside(-z)}, "0.02", "0.5"),
        ({1: Rational(1, 2), -1: Rational(1, 4)}, "-7.3", "0.75"),
        ({1: Heaviside(z - 1), -1: Heaviside(-z)}, "0.02", "0"),
        ({1: 1 + 0 * z, 2: Heaviside(z - 2)}, "6.8", "2"),
    ],
    ids=str,
)
def test_probabilities_that_do_not_sum_to_one(probabilities: Any, place: str, total: str):
    with pytest.raises(ControlError, match=rf"at z = {place} .*sum to {total}, not to one"):
        DiscreteChannel(probabilities, z)


def test_a_negative_probability():
    with pytest.raises(ControlError, match=r"at z = 0.02 .* 1.002, -0.002"):
        DiscreteChannel({1: 1 + z / 10, -1: -z / 10}, z)


def test_an_unbound_symbol():
    eps, mu = Symbol("eps", real=True), Symbol("mu", real=True)
    with pytest.raises(DeclarationError, match="unbound symbol eps"):
        DiscreteChannel({1: eps * Heaviside(z), -1: 1 - eps * Heaviside(z)}, z)
    with pytest.raises(DeclarationError, match="unbound symbol mu"):
        DiscreteChannel({1: Heaviside(mu), -1: 1 - Heaviside(mu)}, z)


@pytest.mark.parametrize(
    ("probabilities", "field"),
    [
        ([0.5, 0.5], z),
        (None, z),
        ({1: Heaviside(z), -1: Heaviside(-z)}, "z"),
        ({1: Heaviside(z), -1: Heaviside(-z)}, None),
        ({1: Heaviside(z), -1: Heaviside(-z)}, z + 1),
    ],
    ids=str,
)
def test_what_is_no_declaration(probabilities: Any, field: Any):
    with pytest.raises(DeclarationError, match="takes a mapping of labels to expressions"):
        DiscreteChannel(probabilities, field)


@pytest.mark.parametrize(
    "probabilities",
    [
        {},
        {1: sqrt(z), -1: 1 - sqrt(z)},
        {1: log(z), -1: 1 - log(z)},
        {1: "0.3", -1: 0.7},
        {"a": Heaviside(z), "b": Heaviside(-z)},
    ],
    ids=str,
)
def test_bad_declarations_are_refused_with_an_error_of_this_package(probabilities: Any):
    with pytest.raises(ReplicaError):
        DiscreteChannel(probabilities, z)


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


def test_phase_retrieval_keeps_its_digits_near_full_recovery():
    """The bound grew as 1/D^2: fields of size 1/D were taken to matter as those of size one."""
    law = Channel.shipped["complex-abs"]
    compiled = compile_kernel((gap,), (law.free_entropy(gap, 1), law.strength(gap, 1)))
    for where, digits in ((1e-3, 1e-12), (1e-6, 1e-12), (1e-12, 2e-12)):
        potential, strength = compiled.bounded(where, refinement=2)
        assert float(strength.bound) <= digits * float(strength.value)
        assert float(potential.bound) <= 10 * digits * abs(float(potential.value))
        # D G -> 1/2, the information dimension, from below: a phase is never known for free
        assert 0.49 < where * float(strength.value) <= 0.5
    # two refinements are two answers to one question
    for where in (0.3, 1e-3, 1e-6):
        one, two = (compiled.bounded(where, refinement=k)[1] for k in (1, 2))
        assert abs(float(one.value - two.value)) <= float(one.bound + two.bound)
