"""Overlaps that are each other's conjugates up to a factor: their equations are updates."""

from __future__ import annotations

import numpy as np
import pytest
from literature import q0, q1, two_clusters
from scipy.optimize import brentq
from scipy.special import expit
from sympy import Interval, cosh, log, oo, symbols

import replica as rp

alpha, lam = symbols("alpha lambda", positive=True)
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(200)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def overlap_of_sign(signal: float) -> float:
    """E tanh(signal + sqrt(signal) h), as 1 - 2 E of the chance of the wrong sign."""
    fields = signal + np.sqrt(signal) * NODES
    return float(WEIGHTS @ (1 - 2 * expit(-2 * fields)))


@pytest.mark.parametrize("seed", range(4))
def test_two_clusters_reach_the_attracting_state(seed):
    random = np.random.default_rng(seed)
    ratio = float(random.uniform(0.3, 4))
    critical = ratio**-0.5
    strength = float(critical * random.uniform(1.1, 2))

    def mismatch(labels: float) -> float:
        centres = overlap_of_sign(strength * ratio * labels)
        return overlap_of_sign(strength * centres) - labels

    found = rp.solve(two_clusters(), alpha=ratio, lambda_=strength)
    labels = brentq(mismatch, 1e-4, 1, xtol=1e-13)
    assert found["q1"] == pytest.approx(labels, abs=1e-9)
    assert found["q0"] == pytest.approx(overlap_of_sign(strength * ratio * labels), abs=1e-9)
    assert found.stable is True
    nothing = rp.solve(two_clusters(), alpha=ratio, lambda_=strength, start={q0: 0, q1: 0})
    assert nothing["q0"] == nothing["q1"] == 0
    assert nothing.stable is False
    below = rp.solve(two_clusters(), alpha=ratio, lambda_=0.8 * critical)
    assert below["q1"] == pytest.approx(0, abs=1e-9)
    assert below.stable is True
    threshold = rp.threshold(two_clusters(), "lambda_c", alpha=ratio)
    assert threshold.value == pytest.approx(critical, rel=1e-12)


def test_every_overlap_has_an_update_of_its_own():
    x, y, z, w = symbols("x y z w", real=True)
    potential = log(cosh(x)) + log(cosh(2 * y)) - x * y + log(cosh(z)) - 3 * z * w + w**3
    formula = rp.Formula(
        name="two-pairs",
        title="Two pairs",
        potential=potential,
        overlaps=dict.fromkeys((x, y, z, w), Interval(-oo, oo)),
        controls={alpha: (Interval.open(0, oo), 1)},
    )
    by_unknown = {equation.lhs: equation.rhs for equation in formula.equations}
    at = {x: 0.3, y: -0.7, z: 1.1, w: 0.4}
    expected = {w: np.tanh(1.1) / 3, z: 0.4**2, x: 2 * np.tanh(-1.4), y: np.tanh(0.3)}
    for unknown, value in expected.items():
        assert float(by_unknown[unknown].subs(at).evalf()) == pytest.approx(value, rel=1e-12)


def test_equations_that_do_not_match_stay_as_they_are():
    x, y, z = symbols("x y z", real=True)
    chain = log(cosh(x)) + log(cosh(y)) + log(cosh(z)) - x * y - y * z
    formula = rp.Formula(
        name="chain",
        title="Chain",
        potential=chain,
        overlaps=dict.fromkeys((x, y, z), Interval(-oo, oo)),
        controls={lam: (Interval.open(0, oo), 1)},
    )
    assert all(equation.rhs == 0 for equation in formula.equations)


@pytest.mark.parametrize("seed", range(6))
def test_overlaps_mixed_by_a_form_that_is_not_definite(seed):
    """Magnets of two species: the update is state evolution whatever the signs of the couplings."""
    rng = np.random.default_rng(seed)
    first, second, across = (float(x) for x in np.round(rng.uniform([0.2, 0.2, -1], [1, 1, 1]), 2))
    couplings = np.array([[first, across], [across, second]])
    m1, m2 = symbols("m1 m2", real=True)
    T = symbols("T", positive=True)
    fields = [(first * m1 + across * m2) / T, (across * m1 + second * m2) / T]
    energy = first * m1**2 / 2 + across * m1 * m2 + second * m2**2 / 2
    magnets = rp.Formula(
        name="two-species",
        title="Magnets of two species",
        potential=log(cosh(fields[0])) + log(cosh(fields[1])) - energy / T,
        overlaps={m1: Interval(-2, 2), m2: Interval(-2, 2)},
        controls={T: (Interval.open(0, oo), None)},
        thresholds={"T_c": rp.Instability(in_=T, at={m1: 0, m2: 0})},
    )
    critical = np.linalg.eigvalsh(couplings).max()
    assert rp.threshold(magnets, "T_c").value == pytest.approx(critical, rel=1e-12)
    for share in (0.6, 1.1):
        for state in rp.solve(magnets, T=share * critical, states="all"):
            place = np.array([state.m1, state.m2])
            slope = 1 - np.tanh(couplings @ place / (share * critical)) ** 2
            largest = np.linalg.eigvals(slope[:, None] * couplings).real.max() / (share * critical)
            assert state.stable is bool(largest < 1)


def test_laws_of_many_atoms_keep_their_updates():
    """What is expanded is what stands outside of the functions, however large these are."""
    prior = rp.Discrete([-1.7, 0.2, 1.1], [0.3, 0.45, 0.25])
    matrix = rp.Formula(
        name="spiked-wishart",
        title="Spiked Wishart matrix",
        potential=prior.free_entropy(lam * q1) + prior.free_entropy(lam * q0) - lam * q0 * q1 / 2,
        overlaps={q0: Interval(0, oo), q1: Interval(0, oo)},
        controls={lam: (Interval.open(0, oo), None)},
    )
    assert matrix.paired == {q0, q1}
    assert rp.solve(matrix, lambda_=1.5).stable is True
