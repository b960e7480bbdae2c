"""Limits and monotony of the storage formulas."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from scipy import stats

import replica as rp

BINARY = rp.formulas["binary-perceptron"]
SPHERICAL = rp.formulas["spherical-perceptron"]
SYMMETRIC = rp.formulas["symmetric-binary-perceptron"]

MARGINS = st.floats(-3, 5, allow_nan=False)
WIDTHS = st.floats(0.02, 5, allow_nan=False)
GAPS = st.floats(1e-6, 2)
few = hypothesis.settings(max_examples=15)


@lru_cache(maxsize=4096)
def threshold(formula: Any, name: str, kappa: float, **options: Any) -> rp.ThresholdResult:
    return rp.threshold(formula, name, kappa=kappa, **options)


def mills(kappa: float) -> float:
    return float(np.exp(stats.norm.logpdf(kappa) - stats.norm.logsf(kappa)))


# ---- limits -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kappa", [-3.0, -0.7, 0.0, 1.5, 5.0])
@pytest.mark.parametrize("alpha", [1e-3, 1e-5, 1e-8])
def test_few_patterns_act_one_by_one(kappa: float, alpha: float):
    """As alpha -> 0, q -> alpha A(kappa)^2 and the entropy is the annealed one."""
    alpha = alpha / mills(kappa) ** 2
    for formula, empty in ((BINARY, np.log(2)), (SPHERICAL, 0.0)):
        found = rp.solve(formula, alpha=alpha, kappa=kappa)
        first = alpha * mills(kappa) ** 2
        assert found.q == pytest.approx(first, rel=20 * first + 1e-6, abs=1e-13)
        annealed = empty + alpha * stats.norm.logsf(kappa)
        # the first correction is of second order in alpha
        assert found["entropy"] == pytest.approx(annealed, abs=2 * first**2 + 1e-15)
        assert found["entropy"] <= annealed + 1e-15
        assert found.validity != "rs-unstable"


@pytest.mark.parametrize("constraint", ["rectangle", "u"])
def test_few_patterns_leave_the_symmetric_entropy_annealed(constraint: str):
    inside = stats.norm.cdf(1.3) - stats.norm.cdf(-1.3)
    p = inside if constraint == "rectangle" else 1 - inside
    for alpha in (1e-9, 1e-3, 0.2):
        found = rp.solve(SYMMETRIC, constraint=constraint, alpha=alpha, kappa=1.3)
        assert found["entropy"] == pytest.approx(np.log(2) + alpha * np.log(p), abs=1e-13)
        assert found.q == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("formula", "empty"), [(BINARY, np.log(2)), (SPHERICAL, 0.0)])
def test_a_very_negative_margin_constrains_nothing(formula: Any, empty: float):
    for kappa, size in ((-4.0, 1e-3), (-7.0, 1e-9), (-10.0, 1e-14)):
        found = rp.solve(formula, alpha=1.0, kappa=kappa)
        assert found.q == pytest.approx(0, abs=size + found.errors["q"])
        assert found["entropy"] == pytest.approx(empty, abs=size + found.errors["entropy"])
        assert max(found.errors["q"], found.errors["entropy"]) < 1e-12


def test_capacity_meets_the_annealed_bound_at_very_negative_margin():
    """Jensen: alpha_G < log 2 / -log P(z > kappa), with equality as kappa -> -inf."""
    shares = []
    for kappa in (1.0, 0.0, -1.0, -2.0, -3.0):
        bound = np.log(2) / -stats.norm.logsf(kappa)
        shares.append(threshold(BINARY, "alpha_G", kappa).value / bound)
    assert np.all(np.diff(shares) > 0)
    assert shares[-1] < 1
    assert shares[-1] == pytest.approx(1, abs=1e-4)


def test_capacity_at_large_margin():
    """Spherical: alpha_G kappa^2 -> 1. Binary: alpha_G kappa^2 -> 2/pi (the best aligned sign)."""
    spherical = threshold(SPHERICAL, "alpha_G", 5.0).value
    assert spherical == pytest.approx(1 / 26, rel=1e-6)
    scaled = [threshold(BINARY, "alpha_G", k).value * (1 + k * k) for k in (1.0, 2.0, 3.0, 5.0)]
    assert np.all(np.diff(scaled) > 0)
    assert 0.5 < scaled[-1] < 2 / np.pi + 0.01


@pytest.mark.parametrize("kappa", [-1.0, 0.0, 1.0])
def test_spherical_overlap_reaches_one_at_capacity(kappa: float):
    capacity = threshold(SPHERICAL, "alpha_G", kappa).value
    alphas = capacity * (1 - np.array([3e-2, 1e-2, 3e-3, 1e-3]))
    found = rp.solve(SPHERICAL, alpha=alphas, kappa=kappa)
    assert np.all(found.converged)
    assert np.all(np.diff(found.q) > 0)
    assert np.all(np.diff(found["entropy"]) < 0)
    # 1 - q vanishes linearly (kappa != 0) or with its own power: extrapolate to zero at alpha_G
    assert 1 - found.q[-1] < 5e-3


@pytest.mark.parametrize("kappa", [-1.0, 0.0, 0.5, 1.0, 3.0])
def test_no_spherical_saddle_from_the_capacity_on(kappa: float):
    capacity = threshold(SPHERICAL, "alpha_G", kappa).value
    for factor in (1.001, 1.1, 2.0):
        found = rp.solve(SPHERICAL, alpha=factor * capacity, kappa=kappa, check=False)
        assert found.status == rp.Status.NO_SADDLE
        assert np.isnan(found.q)


# ---- monotony -----------------------------------------------------------------------------------


@few
@hypothesis.given(kappa=MARGINS, gap=GAPS)
def test_capacity_falls_with_the_margin(kappa: float, gap: float):
    for formula in (BINARY, SPHERICAL):
        below, above = (threshold(formula, "alpha_G", k) for k in (kappa, kappa + gap))
        assert below.value + below.error > above.value - above.error
        if gap > 1e-3:
            assert below.value > above.value


@few
@hypothesis.given(kappa=WIDTHS, gap=GAPS)
def test_symmetric_capacity_is_monotone_in_the_margin(kappa: float, gap: float):
    for constraint, sign in (("rectangle", 1), ("u", -1)):
        below, above = (
            threshold(SYMMETRIC, "alpha_G", k, constraint=constraint) for k in (kappa, kappa + gap)
        )
        assert sign * (above.value - below.value) > -(above.error + below.error)


@few
@hypothesis.given(
    kappa=st.floats(-2, 3),
    shares=st.tuples(st.floats(0.001, 0.99), st.floats(0.001, 0.99)),
)
def test_overlap_rises_and_entropy_falls_with_alpha(kappa: float, shares: tuple[float, float]):
    hypothesis.assume(abs(shares[0] - shares[1]) > 1e-3)
    end = threshold(SPHERICAL, "alpha_G", kappa).value
    for formula, last in ((BINARY, 2 / np.pi * end), (SPHERICAL, end)):
        alpha = last * np.sort(shares)
        found = rp.solve(formula, alpha=alpha, kappa=kappa)
        assert np.all(found.converged)
        assert found.q[1] > found.q[0]
        assert found["entropy"][1] < found["entropy"][0]
        assert found["replicon"][1] > found["replicon"][0]


@few
@hypothesis.given(kappa=MARGINS)
def test_order_of_the_thresholds(kappa: float):
    """binary capacity < spherical capacity; capacity < instability < end of the saddle."""
    binary = threshold(BINARY, "alpha_G", kappa)
    spherical = threshold(SPHERICAL, "alpha_G", kappa)
    unstable = threshold(BINARY, "alpha_AT", kappa)
    assert binary.value < spherical.value
    assert binary.value < unstable.value < 2 / np.pi * spherical.value
    assert binary.validity == "conjecture"
    if abs(kappa) > 1e-6:
        assert spherical.validity == ("theorem" if kappa > 0 else "rs-unstable")


@few
@hypothesis.given(kappa=MARGINS)
def test_spherical_capacity_is_the_closed_form(kappa: float):
    found = threshold(SPHERICAL, "alpha_G", kappa)
    integral = (1 + kappa**2) * stats.norm.cdf(kappa) + kappa * stats.norm.pdf(kappa)
    assert found.value == pytest.approx(1 / integral, rel=1e-12)
    assert found.error < 1e-13 * max(found.value, 1) + 1e-12 * found.value


@few
@hypothesis.given(kappa=st.floats(-3, -0.01))
def test_spherical_instability_precedes_capacity(kappa: float):
    unstable = threshold(SPHERICAL, "alpha_AT", kappa)
    assert unstable.value < threshold(SPHERICAL, "alpha_G", kappa).value
    there = rp.solve(SPHERICAL, alpha=unstable.value, kappa=kappa)
    assert there["replicon"] == pytest.approx(1, abs=1e-8)
    assert there.q == pytest.approx(unstable.overlaps["q"], abs=1e-8)


@few
@hypothesis.given(kappa=MARGINS)
def test_entropy_vanishes_at_the_capacity(kappa: float):
    found = threshold(BINARY, "alpha_G", kappa)
    there = rp.solve(BINARY, alpha=found.value, kappa=kappa)
    assert there["entropy"] == pytest.approx(0, abs=1e-12)
    assert there.q == pytest.approx(found.overlaps["q"], abs=1e-10)
    assert there.qhat == pytest.approx(found.overlaps["qhat"], rel=1e-9)
