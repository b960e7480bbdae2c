"""A named start leads to its saddle point, also where damped steps from it run to an edge."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from solvers.spins import T, hopfield, q
from sympy import symbols

import replica as rp

chi = symbols("chi", positive=True)
FIELDS = np.linspace(-9, 9, 20_001)
DENSITY = np.exp(-(FIELDS**2) / 2) / np.sqrt(2 * np.pi) * (FIELDS[1] - FIELDS[0])


def glass(temperature: float, load: float) -> float:
    """The overlap of the glass of Amit, Gutfreund & Sompolinsky, 1 - q = T (1 - 1 / sqrt(s))."""

    def mismatch(logit: float) -> float:
        x = 1 / (1 + np.exp(-logit))  # 1 - (1 - q) / T
        overlap = 1 - temperature * (1 - x)
        width = np.sqrt(load * overlap) / x / temperature
        return float(DENSITY @ np.tanh(width * FIELDS) ** 2 - overlap)

    return 1 - temperature / (1 + np.exp(brentq(mismatch, -12, 12, xtol=1e-13)))


@pytest.mark.parametrize("seed", range(3))
def test_the_glass_of_the_hopfield_model(seed):
    random = np.random.default_rng(seed)
    temperature = np.concatenate([[0.1], random.uniform(0.05, 0.95, 11)])
    load = np.concatenate([[0.1], 10 ** random.uniform(-1.5, -0.1, 11)])
    found = rp.solve(hopfield(), T=temperature, alpha=load, start="glass")
    assert found.converged.all()
    expected = [glass(*point) for point in zip(temperature, load, strict=True)]
    np.testing.assert_allclose(found["q"], expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found["m"], 0, rtol=0, atol=1e-9)


def test_the_glass_without_noise_at_any_load():
    load = np.array([1e-3, 0.00941826, 0.0129239, 0.1, 0.138, 0.9])
    formula = hopfield().limit(T, 0, {q: 1 - chi * T})
    found = rp.solve(formula, alpha=load, start="glass")
    assert found.converged.all()
    width = np.sqrt(2 / (np.pi * load))  # chi = width (1 - chi)
    np.testing.assert_allclose(found["chi"], width / (1 + width), rtol=1e-9)
