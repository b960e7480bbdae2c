r"""A seeded random referee of risk minimisation, by damped iteration in plain numpy.

With a sign teacher, f the slope of the Moreau envelope and :math:`r = V_0 + \Delta`,

.. math:: \hat m = -\alpha E \sum_y \frac{y\, \varphi(\omega_0 / \sqrt r)}{\sqrt r} f_y, \qquad
          \hat q = \alpha E \sum_y Z_y f_y^2, \qquad \hat V = \alpha E \sum_y Z_y f_y',

and with the l2 penalty :math:`V = 1/(\lambda + \hat V)`, :math:`m = \rho \hat m V`,
:math:`q = (\rho \hat m^2 + \hat q) V^2`.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special

import replica as rp

POINTS = 8  # of each loss
# panels: the proximal map of the hinge has kinks
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)


def nodes(kinks):
    """Return nodes and weights of a unit Gaussian, with panels that end at kinks."""
    edges = np.unique(np.clip(np.concatenate([np.linspace(-9, 9, 37), kinks]), -9, 9))
    half, middle = np.diff(edges) / 2, (edges[1:] + edges[:-1]) / 2
    x = (middle[:, None] + half[:, None] * _NODES).ravel()
    weights = (half[:, None] * _WEIGHTS).ravel()
    return x, weights * np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)


def square(y, omega, V):
    return (omega - y) / (1 + V), np.full_like(omega, 1 / (1 + V))


def hinge(y, omega, V):
    u = y * omega
    slope = np.where(u < 1 - V, -1.0, np.where(u < 1, (u - 1) / V, 0.0))
    return y * slope, np.where((u > 1 - V) & (u < 1), 1 / V, 0.0)


def logistic(y, omega, V):
    u = y * omega
    low, high = u, u + V
    for _ in range(20):
        p = (low + high) / 2
        above = p - u > V * special.expit(-p)
        low, high = np.where(above, low, p), np.where(above, p, high)
    p = (low + high) / 2
    for _ in range(4):
        p = p - (p - u - V * special.expit(-p)) / (1 + V * special.expit(p) * special.expit(-p))
    curvature = special.expit(p) * special.expit(-p)
    return -y * special.expit(-p), curvature / (1 + V * curvature)


LOSSES = {"square": square, "logistic": logistic, "hinge": hinge}


def saddle(loss, alpha, strength, rho, noise):
    """Return m, q, V."""
    m, q, V = 0.5 * math.sqrt(rho), 1.0, 1.0
    envelope = LOSSES[loss]
    for _ in range(20_000):
        root = math.sqrt(q)
        kinks = [s * (1 - v) / root for s in (-1, 1) for v in (0, V)] if loss == "hinge" else []
        x, weights = nodes(kinks)
        omega, rest = root * x, rho - m * m / q + noise
        field = m * x / root / math.sqrt(rest)
        sums = np.zeros(3)
        for y in (-1.0, 1.0):
            slope, curvature = envelope(y, omega, V)
            density = np.exp(-0.5 * field**2) / math.sqrt(2 * math.pi * rest)
            chance = special.ndtr(y * field)
            sums += [
                -weights @ (y * density * slope),
                weights @ (chance * slope**2),
                weights @ (chance * curvature),
            ]
        mhat, qhat, Vhat = alpha * sums
        V_new = 1 / (strength + Vhat)
        new = (rho * mhat * V_new, (rho * mhat**2 + qhat) * V_new**2, V_new)
        change = max(abs(a / b - 1) for a, b in zip(new, (m, q, V), strict=True))
        m, q, V = (0.5 * (a + b) for a, b in zip(new, (m, q, V), strict=True))
        if change < 1e-12:
            return m, q, V
    raise AssertionError("the oracle did not converge")


@pytest.mark.parametrize("loss", LOSSES)
def test_random_points(loss: str):
    rng = np.random.default_rng([20261129, len(loss)])
    for _ in range(POINTS):
        alpha, strength = float(10 ** rng.uniform(-0.7, 1)), float(10 ** rng.uniform(-1.5, 1))
        rho, noise = float(10 ** rng.uniform(-0.5, 0.5)), float(10 ** rng.uniform(-2, 0))
        true = saddle(loss, alpha, strength, rho, noise)
        controls = {"alpha": alpha, "lambda_": strength, "rho": rho, "Delta": noise}
        found = rp.solve(rp.formulas["empirical-risk"], loss=loss, **controls)
        for name, value in zip(("m", "q", "V"), true, strict=True):
            assert found.overlaps[name] == pytest.approx(value, rel=1e-9), controls
        m, q, _ = true
        angle = math.acos(m / math.sqrt(rho * q)) / math.pi
        assert found["eps_g"] == pytest.approx(angle, rel=1e-8), controls
