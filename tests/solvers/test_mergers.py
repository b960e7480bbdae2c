"""Potentials of other fields whose roots and folds are at an edge."""

from __future__ import annotations

import re

import mpmath
import pytest
from sympy import Interval, Symbol, exp, log, oo, symbols

import replica as rp

q, m, r, T, alpha = symbols("q m r T alpha", positive=True)
x = Symbol("x", real=True)
TEMPERATURE = rp.Control(T, Interval.open(0, oo))


def spherical_spins(largest: Interval) -> rp.Formula:
    """Return three-spin couplings of spherical spins with one step of breaking."""
    pairs = ((m - 1) / m * log(1 - q) + log(1 - (1 - m) * q) / m) / 2
    return rp.Formula(
        name="spherical-three-spin",
        title="Spherical 3-spin glass, one step",
        potential=(1 + (m - 1) * q**3) / (4 * T**2) + pairs,
        overlaps={q: Interval.open(0, 1), m: largest},
        controls={"T": TEMPERATURE},
        thresholds={"T_s": rp.Root(m - 1, in_=T)},
        starts={"broken": {q: 0.9, m: 0.3}},
        status="conjecture",
    )


@pytest.mark.parametrize("largest", [Interval.Lopen(0, 1), Interval.open(0, oo)])
def test_a_broken_saddle_merges_with_the_symmetric_one(largest: Interval):
    """At m = 1 every q is stationary, so that the equations say nothing there."""

    def static(overlap, inverse):
        return (
            inverse**2 / 4 * overlap**3 + (mpmath.log(1 - overlap) + overlap) / 2,
            3 * inverse**2 / 4 * overlap**2 - overlap / (2 * (1 - overlap)),
        )

    overlap, inverse = mpmath.findroot(static, (0.7, 1.7))
    found = rp.threshold(spherical_spins(largest), "T_s")
    assert found.status == rp.Status.CONVERGED
    assert found.value == pytest.approx(0.586053972417365, abs=1e-12)
    assert abs(found.value - float(1 / inverse)) <= found.error < 1e-11
    assert found.overlaps["q"] == pytest.approx(float(overlap), abs=1e-10)
    assert "merge" in found.method


def test_digits_where_branches_merge():
    """The equation of q holds identically there; without its factor 1 - m it has all digits."""
    with mpmath.workdps(40):
        p = mpmath.mpf

        def static(overlap, inverse):
            return (
                inverse**2 / 4 * overlap**3 + (mpmath.log(1 - overlap) + overlap) / 2,
                3 * inverse**2 / 4 * overlap**2 - overlap / (2 * (1 - overlap)),
            )

        _, inverse = mpmath.findroot(static, (p("0.7"), p("1.7")))
        expected = mpmath.nstr(1 / inverse, 20)
    found = rp.threshold(spherical_spins(Interval.Lopen(0, 1)), "T_s", digits=20)
    assert found.text == expected


def spins_with_one_step() -> rp.Formula:
    """Return the Sherrington-Kirkpatrick model with one step of breaking."""
    pairs = log(rp.Mean(exp(m * rp.LogCosh(x / T)), (x, q))) / m
    return rp.Formula(
        name="sk-one-step",
        title="Sherrington-Kirkpatrick, one step",
        potential=(1 - 2 * q + (1 - m) * q**2) / (4 * T**2) + log(2) + pairs,
        overlaps={q: Interval.open(0, 1), m: Interval.open(0, 1)},
        controls={"T": TEMPERATURE},
        thresholds={"T_c": rp.Root(q, in_=T)},
        starts={"broken": {q: 0.6, m: 0.3}},
        status="conjecture",
    )


def test_no_digits_where_the_end_of_a_branch_is_extrapolated():
    with pytest.raises(rp.ConvergenceError, match="merge"):
        rp.threshold(spins_with_one_step(), "T_c", digits=20)


def test_breaking_of_a_spin_glass_sets_in_at_one():
    """Where q is small the potential feels it in the third order: few digits, said to be few."""
    found = rp.threshold(spins_with_one_step(), "T_c", check=False)
    assert abs(found.value - 1) <= found.error < 1e-4


@pytest.mark.parametrize(
    ("temperature", "capacity"), [(0.01, 0.13809899098), (0.005, 0.138015842), (1e-3, 0.13792979)]
)
def test_capacity_of_a_memory_next_to_zero_temperature(temperature: float, capacity: float):
    """Overlaps next to one: T -> 0 gives 0.137905566 (Amit, Gutfreund & Sompolinsky)."""
    response = 1 - (1 - q) / T
    memory = rp.Formula(
        name="hopfield",
        title="Hopfield model",
        potential=rp.Mean(rp.LogCosh((m + x) / T), (x, alpha * r))
        - m**2 / (2 * T)
        - alpha / 2 * (log(response) - q / (T * response) + r * (1 - q) / T**2),
        overlaps={m: Interval(0, 1), q: Interval(0, 1)},
        conjugates={q: r},
        controls={"alpha": rp.Control(alpha, Interval.open(0, oo)), "T": TEMPERATURE},
        thresholds={"alpha_c": rp.Fold(alpha, start={m: 0.97, q: 1 - T / 10, alpha: 0.13})},
        status="conjecture",
    )
    found = rp.threshold(memory, "alpha_c", T=temperature)
    assert found.status == rp.Status.CONVERGED
    assert found.value == pytest.approx(capacity, abs=6e-10 if temperature > 1e-3 else 5e-9)


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ({q: "__import__('os').getpid()"}, 'must be a sympy expression, not "__import__'),
        ({q: 1 - alpha}, "depends on alpha, which is not a control with a value"),
        ({alpha: 1 + q}, "depends on q, which is not a control"),
    ],
)
def test_what_is_no_start_of_a_fold_is_refused_where_it_is_declared(start, message):
    """Text is never evaluated."""
    with pytest.raises(rp.DeclarationError, match=re.escape(message)):
        rp.Formula(
            name="toy",
            title="Toy",
            potential=q**2 / 2 - alpha * q * T,
            overlaps={q: Interval.open(0, 1)},
            controls={"alpha": rp.Control(alpha, Interval.open(0, oo)), "T": TEMPERATURE},
            thresholds={"alpha_c": rp.Fold(alpha, start={alpha: 1, **start})},
            status="conjecture",
        )
