"""Clusters of y real replicas of the binary perceptron, typed by a user."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_ndtr
from sympy import Interval, cosh, log, oo, sqrt, symbols

import replica as rp

alpha, y = symbols("alpha y", positive=True)
q1, q0, q0h, q1h = symbols("q1 q0 q0h q1h", nonnegative=True)
z0, z = symbols("z0 z", real=True)


def local_entropy() -> rp.Formula:
    """Entropy per replica of y solutions at the mutual overlap q1, symmetric over centres."""
    tail = rp.LogH(-(z0 + z) / sqrt(1 - q1))
    weights = rp.Mean(rp.LogMean(log(2 * cosh(z0 + z)), (z, q1h - q0h), power=y), (z0, q0h))
    patterns = rp.Mean(rp.LogMean(tail, (z, q1 - q0), power=y), (z0, q0))
    return rp.Formula(
        name="local-entropy",
        title="Local entropy of the binary perceptron",
        potential=weights + alpha * patterns - q1h * (1 + (y - 1) * q1) / 2 + y * q0 * q0h / 2,
        overlaps={q0: Interval.Ropen(0, q1), q1h: Interval.open(0, oo)},
        conjugates={q0: q0h},
        controls={
            alpha: (Interval.open(0, oo), 0.5),
            q1: (Interval.open(0, 1), 0.9),
            y: (Interval.open(0, oo), 2),
        },
        starts={"uninformed": {q0: 0.39, q1h: 1.6, q0h: 0.29}},
    )


def by_hand(q0, q1h, q0h, y, alpha=0.5, q1=0.9):
    """The same potential on plain grids of both fields."""
    t = np.linspace(-30, 30, 5001)
    density = np.exp(-(t**2) / 2) / np.sqrt(2 * np.pi) * (t[1] - t[0])
    outer = slice(None, None, 4)
    total = 0.0
    for function, inside, outside, factor in (
        (lambda u: np.logaddexp(u, -u), q1h - q0h, q0h, 1.0),
        (lambda u: log_ndtr(u / np.sqrt(1 - q1)), q1 - q0, q0, alpha),
    ):
        field = np.sqrt(outside) * t[outer][:, None] + np.sqrt(inside) * t
        exponent = y * function(field)
        top = exponent.max(axis=1)
        logs = top + np.log(np.exp(exponent - top[:, None]) @ density)
        total += factor * (4 * density[outer]) @ logs / y
    return total - q1h * (1 + (y - 1) * q1) / 2 + y * q0 * q0h / 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("replicas", "start", "entropy"),
    [
        (2, None, 0.2051528966),
        (5, None, 0.1342941614),
        (20, {"q0": 0.666, "q1h": 0.1197, "q0h": 0.0233}, 0.1084294296),
    ],
    ids=["2", "5", "20"],
)
def test_entropy_of_clusters(replicas, start, entropy):
    found = rp.solve(local_entropy(), y=replicas, start=start)
    assert found["potential"] == pytest.approx(entropy, abs=1e-10)
    assert found.error < 1e-8
    state = found.q0, found["q1h"], found["q0h"]
    assert by_hand(*state, replicas) == pytest.approx(found["potential"], abs=1e-11)
    for k in range(3):
        moved = [tuple(u + s * 2e-5 * (j == k) for j, u in enumerate(state)) for s in (1, -1)]
        slope = (by_hand(*moved[0], replicas) - by_hand(*moved[1], replicas)) / 4e-5
        assert abs(slope) < 1e-6
