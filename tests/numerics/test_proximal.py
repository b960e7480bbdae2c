"""Proximal points as numbers: solved to rounding, or not given at all."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from scipy.special import expit
from sympy import Abs, Max, Symbol, cosh, exp, log, sqrt, symbols

from replica.blocks.losses import Logistic
from replica.language.curves import CURVES, Curve, t
from replica.language.envelope import MoreauEnvelope
from replica.language.means import Mean
from replica.numerics import proximal as module
from replica.numerics.implementations import IMPLEMENTATIONS
from replica.numerics.kernel import Kernel
from replica.numerics.precise import PreciseKernel
from replica.numerics.proximal import precise_proximal, proximal, proximal_rounding
from replica.numerics.rounding import UNIT, Bounded, bounded_namespace

omega, x = symbols("omega x", real=True)
V = Symbol("V", positive=True)

CONVEX = {
    "logistic": log(1 + exp(-t)),
    "exponential": exp(-t),
    "fourth power": t**4,
    "cosh": cosh(t),
    "log cosh": log(cosh(t)),
    "pseudo-huber": sqrt(1 + t**2),
    "outgrows a Gaussian": exp(t**2),
    "its minimum is no kink": t**2 / 2 + log(1 + exp(-t)),
}


def places(count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    field = rng.normal(size=count) * 10.0 ** rng.uniform(-3, 4, count)
    return field, 10.0 ** rng.uniform(-6, 7, count)


@pytest.mark.parametrize("name", CONVEX)
def test_proximal_points_against_many_digits(name):
    key = Curve(CONVEX[name]).key
    field, stiffness = places(150)
    found = proximal(key, field, stiffness)
    allowed = 16 * UNIT * np.abs(found) + 4 * UNIT * proximal_rounding(key, field, stiffness)
    with mpmath.workdps(40):
        truth = [
            precise_proximal(key, mpmath.mpf(float(w)), mpmath.mpf(float(v)))
            for w, v in zip(field, stiffness, strict=True)
        ]
    error = np.array(
        [float(abs(p - mpmath.mpf(float(f)))) for p, f in zip(truth, found, strict=True)]
    )
    assert (error <= allowed).all()


def test_the_logistic_point_at_large_stiffness():
    """Newton's method from omega + V falls into a two-cycle here."""
    key = Curve(log(1 + exp(-t))).key
    field = np.linspace(-60, 60, 4001)
    for stiffness in (1e2, 1e4, 1e8):
        found = proximal(key, field, stiffness)
        residual = found - stiffness * expit(-found) - field
        size = np.abs(found) + np.abs(field) + stiffness * expit(-found)
        assert (np.abs(residual) <= 64 * UNIT * size).all()
        assert (np.diff(found) > 0).all()


def test_what_is_not_solved_is_not_given(monkeypatch):
    key = Curve(log(1 + exp(-t))).key
    assert np.isnan(proximal(key, np.array([np.nan, 1.0]), np.array([1.0, -1.0]))).all()
    monkeypatch.setattr(module, "_MOST", 2)
    found = proximal(key, np.array([-30.0]), 1e6)  # two steps do not reach it
    assert np.isnan(found).all()


def test_a_point_inside_bounds():
    curve = Curve(t**4, low=-1, high=2)
    found = proximal(curve.key, np.array([-50.0, 0.5, 60.0]), 1.0)
    assert found[0] == -1
    assert found[2] == 2
    assert found[1] + 4 * found[1] ** 3 == pytest.approx(0.5, abs=1e-15)


def test_slopes_bound_what_an_error_of_the_arguments_does():
    key = Curve(CONVEX["logistic"]).key
    field, stiffness = places(400)
    stiffness = np.minimum(stiffness, 1e4)
    shift = 1e-7 * (1 + np.abs(field))
    lifted = bounded_namespace()["Proximal"](key, Bounded(field, shift), Bounded(stiffness, 0.0))
    moved = proximal(key, field + shift, stiffness)
    assert (np.abs(moved - lifted.value) <= 1.001 * lifted.bound + 1e-15).all()


def test_every_curve_is_found_by_its_key():
    curve = Curve(CONVEX["cosh"])
    assert CURVES[curve.key] is curve
    assert IMPLEMENTATIONS["Proximal"].value(curve.key, 0.0, 1.0) == 0.0


def pieces(y, u):
    return Max(0, 1 - y * u) + log(1 + exp(-y * u))


HARD = [
    pytest.param(loss, point, id=f"{name} {point}")
    for name, loss in {
        "logistic": lambda y, u: log(1 + exp(-y * u)),
        "logistic with its branch points": Logistic(),
        "hinge": lambda y, u: Max(0, 1 - y * u),
        "absolute": lambda y, u: Abs(y - u),
    }.items()
    for point in ((0.3, 0.2), (4.0, 5.0), (30.0, 200.0))
]
HARD.append(pytest.param(pieces, (4.0, 5.0), id="smooth pieces", marks=pytest.mark.slow))


@pytest.mark.parametrize(("loss", "point"), HARD)
def test_means_of_envelopes_are_honest(loss, point):
    """The value lies within its bound of the truth, and both are close to rounding."""
    envelope = MoreauEnvelope(loss)
    node = envelope(1, sqrt(omega) * x, V)
    slope = envelope.slope(1, sqrt(omega) * x, V)
    bodies = (node, slope**2, x * slope)
    means = tuple(Mean(body, (x, 1)) for body in bodies)
    found = Kernel((omega, V), means).bounded(*map(np.array, point), refinement=1)
    truth, _ = PreciseKernel((omega, V), means)([mpmath.mpf(part) for part in point], digits=20)
    for value, exact in zip(found, truth, strict=True):
        error = abs(float(value.value) - float(exact))
        assert error <= float(value.bound)
        assert float(value.bound) <= 1e-10 * (1 + abs(float(exact)))
