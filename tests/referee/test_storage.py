"""A seeded random referee of storage, against plain numpy along the whole branch."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize, special

import replica as rp

POINTS = 25  # of each system
X, STEP = np.linspace(-10.0, 10.0, 4001, retstep=True)
DENSITY = np.exp(-0.5 * X * X) / math.sqrt(2 * math.pi) * STEP
LOG_CONJUGATE = np.linspace(-16.0, 9.0, 120)


def log_tail(x):
    return special.log_ndtr(-x)


def mills(x):
    return math.sqrt(2 / math.pi) / special.erfcx(x / math.sqrt(2))


def patterns(q, kappa):
    """Return E log H and E A^2 over the field of a pattern; A is phi / H."""
    x = (kappa - math.sqrt(q) * X) / math.sqrt(1 - q)
    return float(DENSITY @ log_tail(x)), float(DENSITY @ mills(x) ** 2)


def binary(conjugate, kappa):
    """Return q, alpha and the entropy where the conjugate has a value."""
    h = math.sqrt(conjugate) * X
    q = float(DENSITY @ np.tanh(h) ** 2)
    fall = np.exp(-np.abs(h))
    gap = float(DENSITY @ (2 * fall / (1 + fall * fall)) ** 2)
    x = (kappa - math.sqrt(q) * X) / math.sqrt(gap)
    free, square = float(DENSITY @ log_tail(x)), float(DENSITY @ mills(x) ** 2)
    alpha = conjugate * gap / square
    weights = float(DENSITY @ np.logaddexp(h, -h))
    return q, alpha, alpha * free + weights - conjugate * gap / 2


def spherical(odds, kappa):
    """Return the same where q / (1 - q) has a value."""
    q = odds / (1 + odds)
    free, square = patterns(q, kappa)
    alpha = odds / square
    return q, alpha, alpha * free + 0.5 * math.log1p(-q) + odds / 2


SYSTEMS = {"binary-perceptron": binary, "spherical-perceptron": spherical}


@pytest.mark.parametrize("name", SYSTEMS)
def test_random_points_of_the_branch(name: str):
    """The branch that begins at q = 0, up to nine tenths of where it ends."""
    formula, curve = rp.formulas[name], SYSTEMS[name]
    rng = np.random.default_rng([20261129, len(name)])
    wrong = []
    for _ in range(POINTS):
        kappa = float(rng.uniform(-2.0, 2.0))
        along = np.array([curve(math.exp(s), kappa)[1] for s in LOG_CONJUGATE])
        # the quadrature of the oracle resolves margins of 1e-2
        last = int(np.argmax(along)) if name == "binary-perceptron" else 90
        alpha = float(rng.uniform(0.05, 0.9)) * along[last]
        k = int(np.flatnonzero((along[:-1] < alpha) & (along[1:] >= alpha))[0])

        def excess(s, kappa=kappa, alpha=alpha):
            return math.log(curve(math.exp(s), kappa)[1] / alpha)

        s = optimize.brentq(excess, LOG_CONJUGATE[k], LOG_CONJUGATE[k + 1], xtol=1e-13)
        q, _, entropy = curve(math.exp(s), kappa)
        found = rp.solve(formula, alpha=alpha, kappa=kappa, check=False)
        right = found.converged and abs(found.q - q) <= 1e-9 + found.errors["q"]
        right = right and abs(found["entropy"] - entropy) <= 1e-8 * max(1.0, abs(entropy))
        if not right:
            wrong.append(
                f"alpha={alpha!r} kappa={kappa!r}: {found}, not q={q:.12g}, {entropy:.12g}"
            )
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("constraint", ["rectangle", "u"])
def test_random_points_of_symmetric_constraints(constraint: str):
    """No overlap is a saddle point at every alpha: log 2 + alpha log P."""
    formula = rp.formulas["symmetric-binary-perceptron"](constraint=constraint)
    rng = np.random.default_rng([20261129, len(constraint)])
    for _ in range(POINTS):
        kappa, alpha = float(rng.uniform(0.1, 2.0)), float(rng.uniform(0.01, 0.2))
        inside = math.erf(kappa / math.sqrt(2))
        chance = inside if constraint == "rectangle" else 1 - inside
        found = rp.solve(formula, alpha=alpha, kappa=kappa, start="uninformed")
        assert found.q == pytest.approx(0, abs=1e-9)
        assert found["entropy"] == pytest.approx(math.log(2) + alpha * math.log(chance), abs=1e-11)


def test_a_random_grid_is_its_points():
    """Whatever the shape of the grid, and in any order."""
    rng = np.random.default_rng(20261129)
    formula = rp.formulas["binary-perceptron"]
    kappa = rng.uniform(-0.5, 1.0, 30)
    alpha = rng.uniform(0.02, 1.2, 30) * np.exp(-kappa)
    cloud = rp.solve(formula, alpha=alpha, kappa=kappa, check=False)
    for k in range(kappa.size):
        one = rp.solve(formula, alpha=alpha[k], kappa=kappa[k], check=False)
        assert one.status == cloud.status[k]
        if one.converged:
            assert cloud.q[k] == pytest.approx(one.q, abs=1e-11)
            assert cloud["entropy"][k] == pytest.approx(one["entropy"], abs=1e-10)
