"""Saddle points next to an end of their domain that nothing moves: q -> 1 at recovery, capacity."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from sympy import Interval, Rational, log, oo, sqrt, symbols

import replica as rp
from replica.solvers.gaps import fixed_ends, in_gaps

q, qhat = symbols("q qhat", nonnegative=True)
alpha, Delta = symbols("alpha Delta", positive=True)
kappa, u = symbols("kappa u", real=True)


def linear() -> rp.Formula:
    """Return linear regression of Gaussian weights, written in the overlap."""
    return rp.Formula(
        name="linear",
        title="Linear regression",
        potential=(qhat - log(1 + qhat)) / 2 - qhat * q / 2 - alpha * log(1 + (1 - q) / Delta) / 2,
        overlaps={q: Interval.Ropen(0, 1)},
        conjugates={q: qhat},
        controls={alpha: (Interval.open(0, oo), None), Delta: (Interval.open(0, oo), None)},
        observables={"mse": 1 - q},
    )


def spherical() -> rp.Formula:
    """Return the spherical perceptron, whose overlap goes to one at capacity."""
    margin = rp.Mean(rp.LogH((kappa - u) / sqrt(1 - q)), (u, q))
    return rp.Formula(
        name="sphere",
        title="Spherical perceptron",
        potential=log(1 - q) / 2 + q / (2 * (1 - q)) + alpha * margin,
        overlaps={q: Interval.Ropen(0, 1)},
        controls={alpha: (Interval.open(0, oo), None), kappa: (Interval(-5, 5), 0)},
        equilibrium="smallest",
        observables={"gap": 1 - q},
    )


def error_left(load: float, noise: float) -> mpmath.mpf:
    """Return V = 1 / (1 + alpha / (Delta + V)), the positive root of a quadratic equation."""
    with mpmath.workdps(50):
        a, d = mpmath.mpf(load), mpmath.mpf(noise)
        b = d + a - 1
        return (-b + mpmath.sqrt(b**2 + 4 * d)) / 2


@pytest.mark.parametrize("seed", range(6))
def test_all_digits_of_what_is_left(seed):
    """A user who writes 1 - q loses its digits to rounding; the solver does not."""
    rng = np.random.default_rng(seed)
    formula = linear()
    load = round(float(rng.uniform(1.2, 3)), 3)
    for noise in 10.0 ** -rng.uniform(7.5, 13, size=3):
        found = rp.solve(formula, alpha=load, Delta=float(noise))
        truth = error_left(load, float(noise))
        assert found.status == rp.Status.CONVERGED
        assert abs(mpmath.mpf(found["mse"]) - truth) <= found.errors["mse"]
        assert found.errors["mse"] <= max(1e-8 * found["mse"], 4e-16)
        assert found.stable is True


def test_a_grid_into_the_end():
    noise = np.geomspace(1e-12, 1, 13)
    found = rp.solve(linear(), alpha=2, Delta=noise)
    truth = np.array([float(error_left(2, value)) for value in noise])
    assert found.converged.all()
    assert (np.abs(found["mse"] - truth) <= found.errors["mse"] + 1e-16 * truth).all()
    small = noise < 3e-9  # above, the equations as they are written do
    assert found["mse"][small] == pytest.approx(truth[small], rel=1e-9)


@pytest.mark.parametrize("distance", [1e-4, 1e-6, 1e-8])
def test_next_to_capacity(distance):
    """The gap of the spherical perceptron closes as a quarter of the distance to alpha = 2."""
    found = rp.solve(spherical(), alpha=2 - distance)
    assert found["gap"] == pytest.approx(distance / 4, rel=0.02)
    assert found.errors["gap"] <= 1e-4 * found["gap"]
    assert found.stable is True


def test_beyond_capacity_there_is_still_no_saddle_point():
    found = rp.solve(spherical(), alpha=[1.9, 2.1, 2.5], check=False)
    assert found.converged.tolist() == [True, False, False]


def test_which_formulas_are_written_in_gaps():
    gaps = in_gaps(linear())
    (gap,) = (new for new, _ in gaps.gaps.values())
    assert gaps.system.equations[0].equals(1 / (1 + qhat) - gap)
    assert fixed_ends(linear()) == {q: 1}
    closed = rp.Formula(
        name="closed",
        title="An end that belongs to the domain",
        potential=-((q - Rational(1, 3)) ** 2),
        overlaps={q: Interval(0, 1)},
        controls={alpha: (Interval.open(0, oo), 1)},
    )
    assert fixed_ends(closed) == {}
    assert in_gaps(closed) is None


def test_what_the_quadrature_cannot_reach_is_not_said_to_be_absent():
    """At alpha = 2 - d there is a saddle point, 1 - q = d / 4 up to its square root."""
    q, alpha = symbols("q alpha", nonnegative=True)
    u = symbols("u", real=True)
    gap = 1 - q
    formula = rp.Formula(
        name="by-hand",
        title="Spherical perceptron, typed by hand",
        potential=log(gap) / 2 + q / (2 * gap) + alpha * rp.Mean(rp.LogH(-u / sqrt(gap)), (u, q)),
        overlaps={q: Interval.Ropen(0, 1)},
        controls={alpha: (Interval.open(0, oo), None)},
    )
    below = 10.0 ** -np.arange(3.0, 13.0)
    found = rp.solve(formula, alpha=2 - below)
    solved = np.asarray(found.converged)
    assert solved[:5].all()
    left = 1 - found["q"][solved]
    np.testing.assert_allclose(left / (2 - (2 - below[solved])) * 4, 1, rtol=0.02)
    assert set(found.status[~solved]) <= {rp.Status.LEFT_DOMAIN, rp.Status.INACCURATE}
    with pytest.raises(rp.ConvergenceError, match="followed up to alpha = 2"):
        rp.solve(formula, alpha=2 - 1e-10)
    beyond = rp.solve(formula, alpha=2.001, check=False)
    assert beyond.status == rp.Status.NO_SADDLE
    assert "up to 2" in beyond.note
