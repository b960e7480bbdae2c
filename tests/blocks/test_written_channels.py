"""Channels from a law P(y|z), and the channel of complex fields."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ive
from sympy import (
    Abs,
    Heaviside,
    Interval,
    Rational,
    S,
    exp,
    factorial,
    log,
    oo,
    pi,
    sqrt,
    symbols,
)

import replica as rp
from replica.blocks.channel import Channel
from replica.errors import ControlError, DeclarationError
from replica.experiments.planted import planted_model
from replica.language.integrals import LabelIntegral, integrate_gaussian
from replica.language.means import Mean
from replica.numerics.kernel import compile_kernel

y, z, x, u = symbols("y z x u", real=True)
V, D, Delta = symbols("V D Delta", positive=True)
NOISE = rp.Control(Delta, Interval.open(0, oo), Rational(1, 10), "noise")


def noisy(size):
    return exp(-((y - size) ** 2) / (2 * Delta)) / sqrt(2 * pi * Delta)


linear = rp.ContinuousChannel(noisy(z), y, z, name="own linear", controls=[NOISE])
noisy_abs = rp.ContinuousChannel(noisy(Abs(z)), y, z, name="noisy abs", controls=[NOISE])
RATE = log(1 + exp(z))
counts = rp.DiscreteChannel(
    {k: RATE**k * exp(-RATE) / factorial(k) for k in range(40)}, z, name="poisson"
)


def glm(channel, prior="gaussian"):
    return rp.formulas["bayes-optimal-glm"](prior=prior, channel=channel)


# ---- integrals in closed form --------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        exp(-((y - u - x) ** 2) / (2 * Delta)),
        exp(-((y - Abs(u + x)) ** 2) / (2 * Delta)),
        exp(-Abs(y - u - x)),
        Heaviside(-u - x) / 10 + Rational(9, 10) * Heaviside(u + x),
        exp(x) * Heaviside(2 * x - 1),
    ],
)
def test_gaussian_integrals_in_closed_form(body):
    closed = integrate_gaussian(body, x, V)
    assert not closed.has(Mean)
    kernel = compile_kernel((u, y, V, Delta), (closed, Mean(body, (x, V))))
    for place in ((0.3, 0.7, 0.4, 0.2), (-2.0, 1.1, 1.7, 0.05), (0.0, 0.0, 1.0, 1.0)):
        one, two = kernel.bounded(*place, refinement=1)
        assert abs(one.value - two.value) <= one.bound + two.bound
        assert two.bound < 1e-8


def test_a_field_that_does_not_fluctuate():
    assert integrate_gaussian(exp(-((u + x) ** 2)), x, 0) == exp(-(u**2))


def test_what_has_no_closed_form_stays_a_mean():
    assert integrate_gaussian(exp(-((u + x) ** 4)), x, V).has(Mean)


@pytest.mark.parametrize(
    ("body", "support", "truth"),
    [
        (exp(-(y**2)), S.Reals, np.sqrt(np.pi)),
        (exp(-y), Interval(0, oo), 1.0),
        (exp(-((y - 2) ** 2)), Interval(2, oo), np.sqrt(np.pi) / 2),
    ],
)
@pytest.mark.parametrize("scale", [1, 2])
def test_integrals_over_labels(body, support, truth, scale):
    integral = LabelIntegral(body, (y, support), scale=scale)
    (value,) = compile_kernel((u,), (integral,)).bounded(0.0, refinement=1)
    assert value.value == pytest.approx(truth, abs=max(float(value.bound), 1e-12))
    assert value.bound < 1e-3


def test_other_ranges_of_labels_are_refused():
    with pytest.raises(DeclarationError, match="all reals or Interval"):
        LabelIntegral(y, (y, Interval(0, 1)))


# ---- a law of one's own --------------------------------------------------------------------------


@pytest.mark.slow
def test_a_gaussian_law_is_the_linear_channel():
    own = rp.solve(glm(linear), alpha=1.0, Delta=0.1)
    shipped = rp.solve(glm("linear"), alpha=1.0, Delta=0.1)
    for name in ("m", "potential", "label_error"):
        assert own[name] == pytest.approx(shipped[name], rel=1e-11)


@pytest.mark.parametrize(
    ("noise", "alpha"), [(0.01, 0.5100477935), (0.1, 0.6042876814), (1, 1.762059919)]
)
def test_weak_recovery_of_noisy_phase_retrieval(noise, alpha):
    found = rp.threshold(glm(noisy_abs), "alpha_WR", Delta=noise)
    assert found.value == pytest.approx(alpha, abs=1e-9)


def test_noisy_phase_retrieval_tends_to_the_exact_one():
    (strength,) = compile_kernel((D, Delta), (noisy_abs.strength(D, S.One),))(0.5, 1e-4)
    (exact,) = compile_kernel((D,), (rp.Absolute().strength(D, S.One),))(0.5)
    assert strength == pytest.approx(float(exact), rel=2e-3)


@pytest.mark.slow
def test_poisson_counts():
    """Every figure by plain quadrature over a grid of fields."""
    found = rp.solve(glm(counts), alpha=2.0)
    gap = found["D"]
    t = np.linspace(-9, 9, 721)
    weight = np.exp(-t * t / 2) * (t[1] - t[0]) / np.sqrt(2 * np.pi)
    means = np.sqrt(1 - gap) * t
    fields = means[:, None] + np.sqrt(gap) * t[None, :]
    rate = np.logaddexp(0, fields)
    total = 0.0
    for k in range(40):
        law = np.exp(k * np.log(rate) - rate - float(log(factorial(k))))
        probability = law @ weight
        slope = (law * t) @ weight / np.sqrt(gap)
        total += weight @ (slope**2 / np.maximum(probability, 1e-300))
    assert found["mhat"] == pytest.approx(2.0 * total, rel=1e-9)
    assert found["m"] == pytest.approx(found["mhat"] / (1 + found["mhat"]), rel=1e-12)


@pytest.mark.parametrize(
    ("law", "options", "message"),
    [
        (exp(-((y - z) ** 2)), {}, r"integrates to 1\.7724"),
        (exp(-y), {}, "integrates to"),
        (exp(-y), {"support": Interval(0, 1)}, "all reals or Interval"),
        (noisy(z), {}, "unbound symbol Delta"),
        (noisy(z), {"controls": [rp.Control(Delta, Interval.open(0, oo), None, "")]}, "default"),
        (Heaviside(y - z) * exp(z - y), {}, "must not jump"),
        ("exp(-y**2)", {}, "not an expression"),
        (exp(-(y**2) / 2) / sqrt(2 * pi), {"scale": 0}, "positive number"),
        ((2 - Abs(y - z)) * exp(-Abs(y - z)) / 2, {}, "negative"),
    ],
)
def test_laws_that_are_none(law, options, message):
    with pytest.raises((ControlError, DeclarationError), match=message) as raised:
        rp.ContinuousChannel(law, y, z, **options)
    assert "\n" not in str(raised.value)


def test_drawn_labels_follow_the_density():
    rng = np.random.default_rng(3)
    model = planted_model("test", "gaussian", noisy_abs, {"Delta": 0.04})
    fields = rng.standard_normal(4000)
    labels = model.draw_labels(rng, fields)
    noise = (labels - np.abs(fields)) / 0.2
    assert abs(noise.mean()) < 4 / np.sqrt(4000)
    assert abs(noise.var() - 1) < 4 * np.sqrt(2 / 4000)


# ---- complex fields ------------------------------------------------------------------------------


def test_thresholds_of_complex_phase_retrieval():
    formula = glm("complex-abs")
    assert rp.threshold(formula, "alpha_WR").value == 1
    assert rp.threshold(formula, "alpha_IT").value == 2
    found = rp.threshold(formula, "alpha_AMP")
    assert found.value == pytest.approx(2.026705297, abs=1e-9)


@pytest.mark.parametrize("name", ["abs", "complex-abs"])
@pytest.mark.parametrize("gap", [0.97, 0.5, 0.05])
def test_strength_is_twice_the_slope_of_the_free_entropy(name, gap):
    law = Channel.shipped[name]
    kernel = compile_kernel((D,), (law.free_entropy(D, S.One), law.strength(D, S.One)))
    step = 1e-3 * gap
    values = [float(kernel(gap + k * step)[0]) for k in (-2, -1, 1, 2)]
    slope = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)
    assert float(kernel(gap)[1]) == pytest.approx(-2 * slope, rel=1e-7)


def test_strength_of_complex_fields_by_drawing_them():
    rng = np.random.default_rng(8)
    gap, count = 0.4, 400_000
    omega = np.sqrt(1 - gap) * (rng.standard_normal(count) + 1j * rng.standard_normal(count))
    field = omega + np.sqrt(gap) * (rng.standard_normal(count) + 1j * rng.standard_normal(count))
    size, label = np.abs(omega), np.abs(field)
    pull = label * ive(1, label * size / gap) / ive(0, label * size / gap)
    squares = (pull - size) ** 2 / gap**2 / 2  # for each of the two parts
    (exact,) = compile_kernel((D,), (rp.ComplexAbsolute().strength(D, S.One),))(gap)
    assert abs(squares.mean() - exact) < 4 * squares.std() / np.sqrt(count)


def test_complex_fields_are_not_simulated():
    with pytest.raises(ControlError, match="complex fields"):
        rp.simulate(glm("complex-abs"), alpha=1.5, p=100)
