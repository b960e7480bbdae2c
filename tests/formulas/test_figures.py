"""Every figure that the storage formulas must reach, and the fingerprints of known mistakes.

Values without a source in the test are closed forms or were verified by interval arithmetic, two
quadratures or a second route before this package existed; the published ones are in the formulas.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from scipy import integrate, optimize, special, stats

import replica as rp

BINARY = rp.formulas["binary-perceptron"]
SPHERICAL = rp.formulas["spherical-perceptron"]
SYMMETRIC = rp.formulas["symmetric-binary-perceptron"]


def shown(value: float, text: str) -> bool:
    """Whether a number rounds to the digits of `text`, give or take one in the last place."""
    unit = 10.0 ** Decimal(text).as_tuple().exponent
    return abs(value - float(text)) <= 1.01 * unit


@lru_cache(maxsize=256)
def threshold(formula: Any, name: str, kappa: float | None = None, **options: Any) -> Any:
    controls = {} if kappa is None else {"kappa": kappa}
    return rp.threshold(formula, name, **options, **controls)


# ---- spherical ----------------------------------------------------------------------------------

CAPACITIES = {
    -2.0: ("173.3485", "61.87863", "125.402123"),
    -1.5: ("43.76940", "18.73808", "36.5667619"),
    -1.0: ("13.2731998", "7.8735602", "12.3196343"),
    -0.5: ("4.7700989", "3.9507013", "4.7001395"),
}


@pytest.mark.parametrize("kappa", CAPACITIES)
def test_spherical_thresholds_at_negative_margin(kappa: float):
    capacity, unstable, _ = CAPACITIES[kappa]
    found = [threshold(SPHERICAL, name, kappa) for name in ("alpha_AT", "alpha_G")]
    assert shown(found[0].value, unstable)
    assert shown(found[1].value, capacity)
    assert found[0].value < found[1].value


@pytest.mark.parametrize(
    ("kappa", "value"),
    [
        (-1.0, "12.3196343466"),
        pytest.param(-0.5, "4.7001394877", marks=pytest.mark.slow),
        pytest.param(-1.5, "36.5667618823", marks=pytest.mark.slow),
        pytest.param(-2.0, "125.402123", marks=pytest.mark.slow),
    ],
)
def test_one_step_capacity(kappa: float, value: str):
    found = threshold(SPHERICAL, "alpha_G", kappa, rsb=1)
    assert shown(found.value, value)
    assert shown(found.value, CAPACITIES[kappa][2])
    assert found.validity != "theorem"  # full breaking lowers it further
    assert threshold(SPHERICAL, "alpha_AT", kappa).value < found.value
    assert found.value < threshold(SPHERICAL, "alpha_G", kappa).value
    assert 0 < found.overlaps["q0"] < 1
    assert found.overlaps["mu"] * (1 - found.overlaps["q0"]) > 1e-3  # not the 0/0 corner


@pytest.mark.parametrize(
    ("kappa", "value"),
    # the first by numpy with the mean over z summed in logarithms
    [(-0.2, 2.778798397820), (-0.1, 2.35201519040), (-0.02, 2.06508235140)],
)
def test_one_step_capacity_next_to_no_margin(kappa: float, value: float):
    """Where q0 tends to one and every term to the replica-symmetric capacity."""
    found = threshold(SPHERICAL, "alpha_G", kappa, rsb=1)
    assert found.status == rp.Status.CONVERGED
    assert found.value == pytest.approx(value, abs=2e-11)
    assert 0 < threshold(SPHERICAL, "alpha_G", kappa).value - found.value < 0.005


@pytest.mark.parametrize(
    ("kappa", "value"),
    [(0.5, "0.96120505"), (1, "0.51957223"), (1.5, "0.30987065"), (2, "0.20023102")],
)
def test_spherical_capacity_at_positive_margin(kappa: float, value: str):
    found = threshold(SPHERICAL, "alpha_G", kappa)
    assert shown(found.value, value)
    assert found.validity == "theorem"
    assert found.note == ""


def test_spherical_capacity_is_two():
    found = threshold(SPHERICAL, "alpha_G", 0)
    assert found.value == pytest.approx(2, abs=1e-15)
    assert found.validity == "theorem"
    assert shown(threshold(SPHERICAL, "alpha_G", 1).value, "0.5195722296")


@pytest.mark.parametrize("kappa", [-3, -2, -0.5, -0.01])
def test_spherical_capacity_at_negative_margin_is_called_an_upper_bound(kappa: float):
    found = threshold(SPHERICAL, "alpha_G", kappa)
    assert found.status == rp.Status.CONVERGED
    assert found.validity == "rs-unstable"
    assert "upper bound" in found.note


def test_spherical_saddle():
    found = rp.solve(SPHERICAL, alpha=1, kappa=0)
    assert shown(found.q, "0.585311851791")
    assert shown(found["entropy"], "-0.855820596715")
    assert shown(found["replicon"], "0.3975")
    assert found.validity == "theorem"


@pytest.mark.parametrize("kappa", [-1.5, -0.5, 0.0, 0.7, 2.0])
def test_replicon_reaches_its_limit_at_capacity(kappa: float):
    """At capacity the replicon is alpha_G Phi(kappa)."""
    capacity = threshold(SPHERICAL, "alpha_G", kappa).value
    below = [rp.solve(SPHERICAL, alpha=capacity * (1 - e), kappa=kappa) for e in (4e-3, 1e-3)]
    limit = capacity * stats.norm.cdf(kappa)
    far, near = (abs(found["replicon"] - limit) for found in below)
    assert near < far
    assert near < 0.05 * limit


# ---- binary -------------------------------------------------------------------------------------

KRAUTH_MEZARD = "0.83307859973957923368908689326696590805213275"


def test_binary_capacity_to_forty_digits():
    found = rp.threshold(BINARY, "alpha_G", kappa=0, digits=40)
    assert found.text == "0.8330785997395792336890868932669659080521"
    assert KRAUTH_MEZARD.startswith(found.text)
    assert found.digits == 40
    assert found.error < 1e-40


def test_binary_capacity_in_double_precision():
    found = threshold(BINARY, "alpha_G", 0)
    assert found.value == pytest.approx(float(KRAUTH_MEZARD), abs=1e-12)
    assert found.error <= 1e-12
    assert found.overlaps["q"] == pytest.approx(0.563949080084561636, abs=1e-13)
    assert found.overlaps["qhat"] == pytest.approx(2.576351319075674573, abs=1e-12)
    assert found.validity == "conjecture"


@pytest.mark.parametrize(
    ("kappa", "value"), [(0.5, "0.455664564542"), (1, "0.270700092293"), (-0.5, "1.678841112917")]
)
def test_binary_capacity_at_other_margins(kappa: float, value: str):
    assert shown(threshold(BINARY, "alpha_G", kappa).value, value)


@pytest.mark.parametrize(("alpha", "value"), [(0.5, "0.314390066856"), (0.8, "0.035305720598")])
def test_binary_entropy(alpha: float, value: str):
    found = rp.solve(BINARY, alpha=alpha)
    assert shown(found["entropy"], value)
    assert found.potential == found["entropy"]


def test_binary_instability_is_past_the_capacity():
    found = threshold(BINARY, "alpha_AT", 0)
    assert shown(found.value, "1.01465361")
    assert shown(found.overlaps["q"], "0.720457")
    there = rp.solve(BINARY, alpha=found.value)
    assert shown(there["entropy"], "-0.225214")
    assert there["replicon"] == pytest.approx(1, abs=1e-10)
    at_capacity = rp.solve(BINARY, alpha=threshold(BINARY, "alpha_G", 0).value)
    assert shown(at_capacity["replicon"], "0.54436")
    assert at_capacity["entropy"] == pytest.approx(0, abs=1e-13)


def test_binary_saddle_near_its_end():
    found = rp.solve(BINARY, alpha=1.2)
    assert shown(found.q, "0.918855")
    assert found.validity == "rs-unstable"


def test_lost_square_roots_leave_a_fingerprint_that_is_absent():
    """cosh(t qhat) and (kappa - t q)/(1 - q), without roots, give 0.850068 and q = 0.2123."""
    found = threshold(BINARY, "alpha_G", 0)
    assert abs(found.value - 0.850068) > 0.01
    assert abs(found.overlaps["q"] - 0.2123) > 0.1
    # the fingerprint is real: the literal equations do give it
    t = np.linspace(-9, 9, 361)
    density = stats.norm.pdf(t) * (t[1] - t[0])

    def literal(z: np.ndarray) -> list[float]:
        q, qhat, alpha = z
        x = -t * q / (1 - q)
        log_tail = special.log_ndtr(-x)
        ratio = np.exp(-x * x / 2 - log_tail) / np.sqrt(2 * np.pi)
        slope = ratio * t / (1 - q) ** 2  # d/dq of log H
        return [
            qhat / 2 + alpha * density @ slope,
            (q - 1) / 2 + density @ (t * np.tanh(t * qhat)),
            (q - 1) * qhat / 2
            + density @ np.logaddexp(t * qhat, -t * qhat)
            + alpha * density @ log_tail,
        ]

    mistaken = optimize.root(literal, [0.2, 0.7, 0.85], tol=1e-12)
    assert mistaken.success
    assert shown(mistaken.x[2], "0.850068")
    assert shown(mistaken.x[0], "0.2123")


@pytest.mark.parametrize("kappa", [-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 4.0])
def test_no_binary_saddle_past_two_over_pi_of_the_spherical_capacity(kappa: float):
    last = 2 / np.pi * threshold(SPHERICAL, "alpha_G", kappa).value
    for factor in (1.0001, 1.02, 1.2, 3.0):
        found = rp.solve(BINARY, alpha=factor * last, kappa=kappa, check=False)
        assert found.status == rp.Status.NO_SADDLE, factor
        assert np.isnan(found.q)
        assert np.isnan(found["entropy"])
    before = rp.solve(BINARY, alpha=0.98 * last, kappa=kappa)
    assert before.status == rp.Status.CONVERGED


@pytest.mark.parametrize("alpha", [1.28, 1.3, 1.5])
@pytest.mark.parametrize("method", ["auto", "newton", "damped", "anderson"])
def test_no_method_returns_a_grid_artefact(alpha: float, method: str):
    """With a step of 0.01, damping converges to q = 0.99365 at 1.3 and 0.99513 at 1.5."""
    lost = (rp.Status.NO_SADDLE, rp.Status.LEFT_DOMAIN, rp.Status.MAX_STEPS)
    found = rp.solve(BINARY, alpha=alpha, method=method, check=False, max_steps=300)
    assert found.status in lost
    assert np.isnan(found.q)
    found = rp.solve(
        BINARY, alpha=alpha, method=method, start={"q": 0.99365}, check=False, max_steps=300
    )
    assert found.status in (*lost, rp.Status.INACCURATE)
    # where an iteration stalls, what it shows carries an error that tells it is worth nothing
    assert np.isnan(found.q) or found.errors["q"] > 1e-3


# ---- symmetric binary ---------------------------------------------------------------------------


def test_kappa_star():
    found = rp.threshold(SYMMETRIC, "kappa_star", constraint="u", digits=22)
    assert found.text == "0.8170994530782730802597"
    assert shown(found.value, "0.817099453078273")
    double = threshold(SYMMETRIC, "kappa_star", constraint="u")
    assert shown(double.value, "0.817099453078273")
    assert shown(double.controls["alpha"], "0.785703430353897")
    longer = rp.threshold(SYMMETRIC, "kappa_star", constraint="u", digits=24)
    assert longer.text == "0.817099453078273080259741"  # 0.81709945307827308025974 | 0909...


def test_rectangle_capacity_at_one():
    assert threshold(SYMMETRIC, "alpha_G", 1).value == pytest.approx(1.81587549583720730, rel=1e-14)
    assert threshold(SYMMETRIC, "alpha_G", 1).validity == "theorem"


@pytest.mark.parametrize("kappa", [0.05, 0.3, 0.817, 1.0, 1.35213, 2.0, 3.7, 5.0])
@pytest.mark.parametrize("constraint", ["rectangle", "u"])
def test_symmetric_thresholds_are_the_closed_forms(kappa: float, constraint: str):
    outside = special.erfc(kappa / np.sqrt(2))
    log_p = np.log(outside) if constraint == "u" else np.log1p(-outside)
    p = np.exp(log_p)
    found = threshold(SYMMETRIC, "alpha_G", kappa, constraint=constraint)
    assert found.value == pytest.approx(-np.log(2) / log_p, rel=1e-12)
    line = threshold(SYMMETRIC, "alpha_AT", kappa, constraint=constraint)
    assert line.value == pytest.approx((p / (2 * kappa * stats.norm.pdf(kappa))) ** 2, rel=1e-12)


def test_rectangle_is_stable_at_every_margin():
    """The local ratio alpha_G / alpha_AT never exceeds 0.98505, reached at kappa = 1.35213."""
    kappas = np.concatenate([np.linspace(0.05, 5, 34), [1.35213]])
    ratios = []
    for kappa in kappas:
        capacity = threshold(SYMMETRIC, "alpha_G", float(kappa))
        assert capacity.validity == "theorem"
        ratios.append(capacity.value / threshold(SYMMETRIC, "alpha_AT", float(kappa)).value)
    assert shown(max(ratios), "0.98505")
    assert kappas[np.argmax(ratios)] == pytest.approx(1.35213)


@pytest.mark.parametrize("kappa", [0.2, 0.81, 0.817])
def test_u_shape_is_stable_up_to_kappa_star(kappa: float):
    found = threshold(SYMMETRIC, "alpha_G", kappa, constraint="u")
    assert found.validity == "theorem"
    assert found.value < threshold(SYMMETRIC, "alpha_AT", kappa, constraint="u").value


@pytest.mark.parametrize("kappa", [0.8172, 0.83, 1.0, 3.0])
def test_u_shape_past_kappa_star_is_not_exact(kappa: float):
    found = threshold(SYMMETRIC, "alpha_G", kappa, constraint="u")
    assert found.validity == "rs-unstable"
    assert "kappa_star" in found.note
    assert "bound" in found.note
    assert found.value > threshold(SYMMETRIC, "alpha_AT", kappa, constraint="u").value


U_SHAPE = {1.0: ("0.6036636124", "0.603853"), 1.5: ("0.3399395922", "0.344370")}
U_SHAPE[2.0] = ("0.2133896107", "0.224317")


@pytest.mark.parametrize("kappa", U_SHAPE)
def test_u_shape_branch_of_correlated_solutions(kappa: float):
    branch, annealed = U_SHAPE[kappa]
    found = threshold(SYMMETRIC, "alpha_RS", kappa, constraint="u")
    assert shown(found.value, branch)
    assert found.overlaps["q"] > 0.01
    assert found.validity == "rs-unstable"
    assert shown(threshold(SYMMETRIC, "alpha_G", kappa, constraint="u").value, annealed)
    there = rp.solve(SYMMETRIC, constraint="u", alpha=found.value, kappa=kappa, start={"q": 0.5})
    assert there.q == pytest.approx(found.overlaps["q"], abs=1e-9)
    assert there["entropy"] == pytest.approx(0, abs=1e-12)
    assert there["replicon"] > 1
    assert there.validity == "rs-unstable"


@pytest.mark.parametrize("start", ["correlated", "informed", {"q": 0.3}])
def test_solve_reaches_the_correlated_branch_from_its_starts(start: Any):
    found = rp.solve(SYMMETRIC, constraint="u", alpha=0.55, kappa=1, start=start)
    origin = rp.solve(SYMMETRIC, constraint="u", alpha=0.55, kappa=1)
    assert origin.q == pytest.approx(0, abs=1e-12)
    assert found.q > 0.01
    assert found["entropy"] < origin["entropy"]


def second_moment(constraint: str, alpha: float, kappa: float, rho: float) -> float:
    """F(rho) - F(0) for pairs of solutions at overlap rho."""

    def pair(t: float) -> float:
        low, high = ((x - rho * t) / np.sqrt(1 - rho * rho) for x in (-kappa, kappa))
        inside = special.ndtr(high) - special.ndtr(low)
        return stats.norm.pdf(t) * (inside if constraint == "rectangle" else 1 - inside)

    accurate = {"epsabs": 1e-13, "epsrel": 1e-13}
    if constraint == "rectangle":
        p, pairs = (
            special.erf(kappa / np.sqrt(2)),
            2 * integrate.quad(pair, 0, kappa, **accurate)[0],
        )
    else:
        p = special.erfc(kappa / np.sqrt(2))
        pairs = 2 * integrate.quad(pair, kappa, 12, **accurate)[0]
    count = special.entr((1 + rho) / 2) + special.entr((1 - rho) / 2) - np.log(2)
    return float(count + alpha * np.log(pairs / p**2))


def test_instability_line_is_the_second_moment_one():
    """Near rho = 0, F - F0 = -rho^2/2 (1 - alpha/alpha_AT): it changes sign at alpha_AT."""
    rho = 0.02
    for constraint, kappa in (("u", 1.0), ("u", 0.5), ("rectangle", 1.0)):
        line = threshold(SYMMETRIC, "alpha_AT", kappa, constraint=constraint).value
        for share in (0.9, 1.1):
            found = second_moment(constraint, share * line, kappa, rho)
            assert found == pytest.approx(-(rho**2) / 2 * (1 - share), rel=0.02)


def test_second_moment_holds_at_capacity_for_the_rectangle_only():
    """The annealed capacity is exact where no overlap beats rho = 0."""
    grid = np.linspace(0.05, 0.98, 25)
    for constraint, kappa, holds in (
        ("rectangle", 1.0, True),
        ("u", 0.8, True),
        ("u", 0.83, False),
    ):
        capacity = threshold(SYMMETRIC, "alpha_G", kappa, constraint=constraint).value
        found = [second_moment(constraint, capacity, kappa, float(rho)) for rho in grid]
        assert (max(found) < 0) is holds
