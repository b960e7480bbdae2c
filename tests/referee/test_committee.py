r"""A seeded random referee of the committee of two Gaussian units, in plain numpy.

With g the gradient of :math:`\log P(y|\omega)` in the two fields' means, whose covariance has the
eigenvalues :math:`1 - D_\pm`, state evolution is

.. math:: \lambda_\pm \leftarrow \tfrac\alpha2\, E \sum_y P_y\, (g_1 \pm g_2)^2, \qquad
          D_\pm = 1 / (1 + \lambda_\pm).
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special

import replica as rp

POINTS = 3
_GAUSS, _SHARE = np.polynomial.legendre.leggauss(64)
_X, _STEP = np.linspace(-7.0, 7.0, 169, retstep=True)
_FIELD = np.stack(np.meshgrid(_X, _X))
_WEIGHT = np.exp(-0.5 * (_FIELD**2).sum(axis=0)) * _STEP**2 / (2 * math.pi)


def both_positive(first, second, same, cross):
    """Return P(z_1 > 0, z_2 > 0) and its gradient in the means."""
    left = math.sqrt(same - cross**2 / same)
    root = math.sqrt(same)
    # along z_1, over what is above zero of eight deviations
    low = np.maximum(-8.0, -first / root)
    t = (8.0 + low)[..., None] / 2 + (8.0 - low)[..., None] / 2 * _GAUSS
    share = (8.0 - low)[..., None] / 2 * _SHARE * np.exp(-0.5 * t * t) / math.sqrt(2 * math.pi)
    chance = (share * special.ndtr((second[..., None] + cross / root * t) / left)).sum(axis=-1)
    chance = np.where(low < 8.0, chance, 0.0)

    def slope(own, other):
        edge = np.exp(-0.5 * own**2 / same) / math.sqrt(2 * math.pi * same)
        return edge * special.ndtr((other - cross / same * own) / left)

    return chance, slope(first, second), slope(second, first)


def strengths(D_plus, D_minus):
    """Return E sum_y P_y (g_1 +- g_2)^2 / 2."""
    along = math.sqrt(1 - D_plus) * _FIELD[0], math.sqrt(1 - D_minus) * _FIELD[1]
    first, second = (along[0] + along[1]) / math.sqrt(2), (along[0] - along[1]) / math.sqrt(2)
    same, cross = (D_plus + D_minus) / 2, (D_plus - D_minus) / 2
    up = both_positive(first, second, same, cross)
    down = both_positive(-first, -second, same, cross)
    laws = [up, (down[0], -down[1], -down[2])]
    laws.append(tuple(one - a - b for one, a, b in zip((1.0, 0.0, 0.0), *laws, strict=True)))
    total = np.zeros(2)
    for chance, one, other in laws:
        known = chance > 1e-250
        for k, sign in enumerate((1, -1)):
            square = np.where(known, (one + sign * other) ** 2 / np.where(known, chance, 1.0), 0.0)
            total[k] += float((_WEIGHT * square).sum()) / 2
    return total


def state_evolution(alpha):
    """Return D_plus and D_minus from next to no specialisation."""
    gaps = np.array([0.5, 0.97])
    for _ in range(3000):
        new = 1 / (1 + alpha * strengths(*gaps))
        if np.abs(new - gaps).max() < 1e-11:
            return new
        gaps = new
    raise AssertionError("the oracle did not converge")


@pytest.mark.slow
def test_random_points():
    rng = np.random.default_rng(20261129)
    formula = rp.formulas["committee-machine"](K=2, prior="gaussian", channel="sign-sum")
    specialised = rp.threshold(formula, "alpha_spec").value
    for _ in range(POINTS):
        alpha = float(np.exp(rng.uniform(math.log(0.3), math.log(8.0))))
        if abs(alpha / specialised - 1) < 0.1:
            alpha = 1.2 * specialised  # iteration is slow at the transition
        D_plus, D_minus = state_evolution(alpha)
        found = rp.solve(formula, alpha=alpha)
        assert found.D_plus == pytest.approx(D_plus, abs=2e-9), alpha
        assert found.D_minus == pytest.approx(D_minus, abs=2e-9), alpha
        assert (D_minus < 0.999) == (alpha > specialised)
