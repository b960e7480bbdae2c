"""A named start leads to its saddle point, also where damped steps from it run to an edge."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from solvers.spins import T, hopfield, q
from sympy import Interval, oo, symbols

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


def test_next_to_its_transition_the_default_leads_to_what_attracts():
    """Spins in a Wigner matrix: q grows by lambda per step, too slowly to wait for."""
    spins, noise = symbols("q lambda", positive=True)
    formula = rp.Formula(
        name="spins-in-noise",
        title="Spiked Wigner matrix, spins",
        potential=rp.Rademacher().free_entropy(noise * spins) - noise * spins**2 / 4,
        overlaps={spins: Interval(0, 1)},
        controls={noise: (Interval.open(0, oo), None)},
        starts={"uninformed": {spins: 1e-6}, "informed": {spins: 1}},
    )
    above = 10.0 ** -np.arange(1.0, 5.0)
    found = rp.solve(formula, lambda_=1 + above)
    assert found.converged.all()
    assert found.stable.all()

    def mismatch(overlap: float, strength: float) -> float:
        signal = strength * overlap
        return float(DENSITY @ np.tanh(signal + np.sqrt(signal) * FIELDS)) - overlap

    expected = [brentq(mismatch, e / 4, 2 * e, args=(1 + e,), xtol=1e-14) for e in above]
    np.testing.assert_allclose(found["q"], expected, rtol=1e-6)
    below = rp.solve(formula, lambda_=1 - above)
    np.testing.assert_allclose(below["q"], 0, atol=1e-8)
    assert below.stable.all()
