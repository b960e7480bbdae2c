"""Systems of the literature at temperature T, and their limits without a start.

The values are those of `shared/reference`, and of papers where a test says so.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from scipy import optimize, special
from sympy import Abs, Interval, Max, S, cosh, erfc, exp, log, oo, sqrt, symbols

import replica as rp

alpha, kappa, m, h, u, z, v, a = symbols("alpha kappa m h u z v a", real=True)
T, chi, mu, x = symbols("T chi mu x", positive=True)
q, q0, q1, r, M = symbols("q q0 q1 r M", nonnegative=True)
ANY = (Interval.open(0, oo), None)
MARGIN = (Interval(-5, 5), 0)


@lru_cache
def hopfield() -> rp.Formula:
    """Amit, Gutfreund & Sompolinsky, Phys. Rev. Lett. 55 (1985) 1530; per neuron."""
    noise = log(1 - (1 - q) / T) - q / (T - 1 + q) + r * (1 - q) / T**2
    spins = rp.Mean(log(2 * cosh((m + sqrt(alpha) * z) / T)), (z, r))
    return rp.Formula(
        name="hopfield",
        title="Attractor network",
        potential=spins - m**2 / (2 * T) - alpha / 2 * noise,
        overlaps={m: Interval(0, 1), q: Interval.open(0, 1)},
        conjugates={q: r},
        controls={alpha: ANY, T: ANY},
        starts={"retrieval": {m: 1, q: 1}},
    )


def test_hopfield_retrieves_up_to_alpha_c():
    known = {alpha: 0.13, m: 0.97, chi: 0.1, r: 1.2}
    cold = hopfield().limit(
        T, 0, {q: 1 - chi * T}, thresholds={"alpha_c": rp.Fold(alpha, start=known)}
    )
    assert rp.threshold(cold, "alpha_c").value == pytest.approx(0.1379055664949, abs=1e-12)
    found = rp.solve(cold, alpha=0.1, start="retrieval")

    def equations(unknowns):  # m = erf(y), with y = m / sqrt(2 alpha r)
        y = unknowns[0]
        slope = 2 / np.sqrt(np.pi) * np.exp(-(y**2))
        return [y * (np.sqrt(2 * 0.1) + slope) - special.erf(y)]

    y = optimize.root(equations, [2.0], tol=1e-14).x[0]
    assert found.m == pytest.approx(special.erf(y), abs=1e-12)


def test_hopfield_retrieval_is_the_ground_state_up_to_alpha_1():
    cold = hopfield().limit(T, 0, {q: 1 - chi * T})
    crossing = 0.0518543309189171
    one = rp.solve(cold, alpha=crossing, start="retrieval")
    # the spin glass has m = 0, chi = C with C = sqrt(2 / (pi alpha r)), r = 1 / (1 - C)^2
    C = 1 / (1 + np.sqrt(np.pi * crossing / 2))
    glass = rp.solve(cold, alpha=crossing, start={"m": 0, "chi": C, "r": (1 - C) ** -2})
    assert glass.m == pytest.approx(0, abs=1e-9)
    assert one.m > 0.99
    assert one["potential"] == pytest.approx(glass["potential"], abs=1e-12)


def spin_glass(steps: int) -> rp.Formula:
    if steps == 0:
        potential = (1 - q) ** 2 / (4 * T**2) + rp.Mean(log(2 * cosh(h / T)), (h, q))
        overlaps = {q: Interval(0, 1)}
    else:
        inner = rp.Mean((2 * cosh((u + z) / T)) ** M, (z, q1 - q0))
        energy = (1 - 2 * q1 + (1 - M) * q1**2 + M * q0**2) / (4 * T**2)
        potential = energy + rp.Mean(log(inner), (u, q0)) / M
        # without q0 = 0, where there is a saddle by symmetry
        overlaps = {q0: Interval.open(0, q1), q1: Interval.open(0, 1), M: Interval.open(0, 1)}
    return rp.Formula(
        name="sherrington-kirkpatrick",
        title="Spin glass",
        potential=potential,
        overlaps=overlaps,
        controls={T: ANY},
    )


def test_ground_state_of_the_spin_glass():
    symmetric = spin_glass(0).limit(T, 0, {q: 1 - chi * T})
    assert symmetric.potential == rp.Mean(Abs(h), (h, 1))
    assert rp.solve(symmetric)["potential"] == pytest.approx(np.sqrt(2 / np.pi), abs=1e-12)
    assert (
        rp.solve(symmetric, digits=30).texts["potential"].startswith("0.797884560802865355879892")
    )


@pytest.mark.slow
def test_ground_state_of_the_spin_glass_with_a_broken_step():
    broken = spin_glass(1).limit(T, 0, {q1: 1 - chi * T, M: mu * T})
    found = rp.solve(broken)
    assert found["potential"] == pytest.approx(0.7652594347, abs=1e-10)
    assert found.q0 == pytest.approx(0.47678, abs=1e-5)
    assert found.mu == pytest.approx(1.3608, abs=1e-4)


def errors(steps: int) -> rp.Formula:
    """Return the perceptron that pays one for each error, at temperature T."""

    def weight(field, gap):
        right = erfc((kappa - field) / sqrt(2 * gap)) / 2
        return exp(-1 / T) + (1 - exp(-1 / T)) * right

    if steps == 0:
        entropy = log(1 - q) / 2 + q / (2 * (1 - q))
        patterns = rp.Mean(log(weight(u, 1 - q)), (u, q))
        overlaps = {q: Interval.open(0, 1)}
        wrong = 1 - erfc((kappa - u) / sqrt(2 * (1 - q))) / 2
        energy = alpha * rp.Mean(exp(-1 / T) * wrong / weight(u, 1 - q), (u, q))
        observables = {"energy": energy, "free_energy": -T * (entropy + alpha * patterns)}
    else:
        observables = {}
        gap = 1 - q1 + M * (q1 - q0)
        entropy = log(1 - q1) / 2 + log(gap / (1 - q1)) / (2 * M) + q0 / (2 * gap)
        inner = rp.Mean(weight(u + z, 1 - q1) ** M, (z, q1 - q0))
        patterns = rp.Mean(log(inner), (u, q0)) / M
        overlaps = {q0: Interval.Ropen(0, q1), q1: Interval.open(0, 1), M: Interval.open(0, 1)}
    return rp.Formula(
        name="errors",
        title="Perceptron beyond capacity",
        potential=entropy + alpha * patterns,
        overlaps=overlaps,
        controls={alpha: ANY, kappa: MARGIN, T: ANY},
        observables=observables,
    )


@pytest.mark.parametrize(
    ("patterns", "energy"), [(2.5, 0.0390067403666), (3, 0.0975160350), (10, 1.5803088933)]
)
def test_ground_state_of_the_perceptron(patterns: float, energy: float):
    cold = errors(0).limit(T, 0, {q: 1 - x * T})
    found = rp.solve(cold, alpha=patterns)
    assert -found["potential"] == pytest.approx(energy, abs=2e-10)
    for name in ("energy", "free_energy"):
        assert found[name] == pytest.approx(energy, abs=2e-10)


@pytest.mark.slow
def test_ground_state_of_the_perceptron_with_a_broken_step():
    cold = errors(1).limit(T, 0, {q1: 1 - x * T, M: mu * T})
    assert -rp.solve(cold, alpha=2.5)["potential"] == pytest.approx(0.0446974651, abs=1e-10)


@pytest.mark.parametrize(("margin", "capacity"), [(0, 2), (1, 0.519572229605), (-1, 13.2731998370)])
def test_capacity_of_the_perceptron(margin: float, capacity: float):
    known = rp.formulas["spherical-perceptron"]()
    (overlap,) = known.overlaps
    patterns = known.controls["alpha"].symbol
    full = known.limit(overlap, 1, thresholds={"alpha_G": rp.Root("potential", in_=patterns)})
    found = rp.threshold(full, "alpha_G", kappa=margin)
    assert found.value == pytest.approx(capacity, rel=1e-11)
    # the replicon has a limit too: alpha H(-kappa), which exceeds one for negative margins
    assert found.validity == ("rs-unstable" if margin < 0 else "conjecture")


@pytest.mark.parametrize(
    ("margin", "capacity"), [(-1, 12.3196343466), (-1.5, 36.5667619), (-2, 125.402123)]
)
def test_capacity_of_the_perceptron_with_a_broken_step(margin: float, capacity: float):
    known = rp.formulas["spherical-perceptron"](rsb=1)
    lower, upper, weight = known.overlaps
    patterns = known.controls["alpha"].symbol
    near = {patterns: round(capacity), lower: 0.5, mu: 15}
    full = known.limit(
        upper,
        1,
        {weight: mu * (1 - upper)},
        thresholds={"alpha_G": rp.Root("potential", in_=patterns, start=near)},
    )
    assert rp.threshold(full, "alpha_G", kappa=margin).value == pytest.approx(capacity, rel=1e-9)


@pytest.mark.parametrize(("bias", "capacity"), [(0.5, 2.40587059648511), (0.99, 32.65628183425)])
def test_capacity_for_biased_patterns(bias: float, capacity: float):
    """Gardner, J. Phys. A 21 (1988) 257: the mean field v of the patterns is stationary."""
    pattern = sum(
        (1 + side * a)
        / 2
        * rp.Mean(log(erfc((kappa - side * v - u) / sqrt(2 * (1 - q))) / 2), (u, q))
        for side in (1, -1)
    )
    biased = rp.Formula(
        name="biased-perceptron",
        title="Perceptron with biased patterns",
        potential=log(1 - q) / 2 + q / (2 * (1 - q)) + alpha * pattern,
        overlaps={q: Interval.open(0, 1), v: S.Reals},
        controls={alpha: ANY, kappa: MARGIN, a: (Interval.Ropen(0, 1), 0)},
    )
    full = biased.limit(q, 1, thresholds={"alpha_G": rp.Root("potential", in_=alpha)})
    assert rp.threshold(full, "alpha_G", a=bias).value == pytest.approx(capacity, rel=1e-11)


def test_minimum_of_a_convex_loss():
    """The Gibbs measure of a hinge loss, from T to its minimum: the Moreau envelope of risk."""
    cost = rp.Mean(exp(-Max(0, 1 - u - z) / T), (z, 1 - q))
    gibbs = rp.Formula(
        name="soft-margin",
        title="Soft margin on the sphere",
        potential=log(1 - q) / 2 + q / (2 * (1 - q)) + alpha * rp.Mean(log(cost), (u, q)),
        overlaps={q: Interval.open(0, 1)},
        controls={alpha: ANY, T: ANY},
    )
    cold = gibbs.limit(T, 0, {q: 1 - x * T})
    found = rp.solve(cold, alpha=3)
    fields = np.linspace(-9, 9, 200_001)
    density = np.exp(-(fields**2) / 2) / np.sqrt(2 * np.pi) * (fields[1] - fields[0])

    def minus_energy(response):
        distance = 1 - fields
        envelope = np.where(
            distance < response, distance**2 / (2 * response), distance - response / 2
        )
        return 1 / (2 * response) - 3 * density @ np.where(distance < 0, 0, envelope)

    best = optimize.minimize_scalar(lambda s: minus_energy(s), bounds=(1e-2, 10), method="bounded")
    assert found["potential"] == pytest.approx(best.fun, abs=1e-8)
    assert found.x == pytest.approx(best.x, abs=1e-3)
