"""Symbolic steps have a size that they do not exceed, and another way beyond it."""

from __future__ import annotations

import time

import pytest
from sympy import Add, Interval, S, exp, log, oo, sqrt, symbols

import replica as rp
from replica.language.means import cancel_terms, nesting
from replica.language.size import is_larger
from replica.language.stationarity import own_update

alpha, x = symbols("alpha x", real=True)
X = symbols("X", positive=True)


def test_no_more_is_counted_than_asked_for():
    tower = x
    for _ in range(200):
        tower = tower * tower + tower  # shared, so that it is small to hold and endless to walk
        if is_larger(tower, 10_000):
            break
    else:
        pytest.fail("the tower is larger than that")


def ground_state(steps: int) -> rp.Formula:
    """Return the spherical perceptron's energy above capacity, with broken replicas."""
    q = symbols(f"q0:{steps}", nonnegative=True)
    mu = symbols(f"mu1:{steps + 1}", positive=True)
    z = symbols(f"z0:{steps}", real=True)
    h, overlap = sum(z), [*q, S.One]
    s, root = sqrt(1 - q[-1]), sqrt(2 * X)
    width = 1 + mu[-1] * (1 - q[-1]) / X
    free = (
        rp.LogSumExp(
            rp.LogH(-h / s),
            rp.LogHDifference((-root - h / width) * sqrt(width) / s, -h / (sqrt(width) * s))
            - mu[-1] * h**2 / (2 * X * width)
            - log(width) / 2,
            rp.LogH((h + root) / s) - mu[-1],
        )
        / mu[-1]
    )
    for k in range(steps - 1, 0, -1):
        gap = overlap[k] - overlap[k - 1]
        free = log(rp.Mean(exp(mu[k - 1] * free), (z[k], gap))) / mu[k - 1]
    widths = [S.One]
    for k in range(steps, 0, -1):
        widths.insert(0, widths[0] + mu[k - 1] * (overlap[k] - overlap[k - 1]) / X)
    entropy = q[0] / (2 * X * widths[0])
    entropy += sum(log(widths[k] / widths[k + 1]) / (2 * mu[k]) for k in range(steps))
    lower = [S.Zero, *q[:-1]]
    return rp.Formula(
        name=f"ground-state-{steps}",
        title="Spherical perceptron, ground-state energy",
        potential=entropy + alpha * rp.Mean(free, (z[0], q[0])),
        overlaps={
            X: Interval.open(0, oo),
            **{a: Interval.open(low, 1) for a, low in zip(q, lower, strict=True)},
            **{m: Interval.open(0, oo) for m in mu},
        },
        controls={alpha: (Interval.open(2, oo), None)},
    )


@pytest.mark.slow
def test_one_step_of_a_ground_state():
    """The energy of one step at alpha = 2.5, by an own minimisation over every parameter."""
    start = {"X": 0.5, "q0": 0.75, "mu1": 4}
    found = rp.solve(ground_state(1), alpha=2.5, start=start)
    assert -found.potential == pytest.approx(0.0446974651, abs=1e-10)


@pytest.mark.slow
def test_two_steps_of_a_ground_state_are_declared_in_seconds():
    begin = time.process_time()
    formula = ground_state(2)
    assert time.process_time() - begin < 10
    assert nesting(formula.potential) == 2
    assert len(formula.residuals) == 5


def test_a_large_sum_keeps_its_form():
    large = Add(*(exp(x * (k + x)) * (x + k) for k in range(1000)))
    assert cancel_terms(large) is large
    assert own_update(Add(*(exp(x * (k + x)) for k in range(200))), x) is None
