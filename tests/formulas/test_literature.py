"""Systems of the literature typed in as a user does: their published and independent figures.

No numerical start is given beyond the rough places of named states. The figures are those of the
papers, or of programs that share nothing with this package: state evolution in plain numpy, other
packages, closed forms.
"""

from __future__ import annotations

from functools import cache
from math import sqrt

import literature
import pytest
from sympy import S

import replica as rp

SPARSE = rp.Discrete([-1, 0, 1], [S(1) / 40, S(19) / 20, S(1) / 40])
NORMAL_OR_ZERO = rp.GaussBernoulli()


@cache
def system(name: str, *given: object) -> rp.Formula:
    """Return a system, declared once."""
    return getattr(literature, name)(*given)


SOLUTIONS = [
    ("sherrington-kirkpatrick", "spin_glass", {"T": 0.5}, "q", 0.53036839205, 1e-9),
    ("hopfield", "hopfield", {"T": 0.1, "alpha": 0.1}, "m", 0.99675084384932, 1e-11),
    ("hopfield at T = 0", "hopfield_without_noise", {"alpha": 0.1}, "m", 0.9979992663473, 1e-11),
    ("spherical 3-spin", "spherical_spin_glass", {"T": 0.3}, "q", 0.8408421730684, 1e-12),
    (
        "measurements with orthogonal rows",
        "orthogonal_sensing",
        {"alpha": 0.5, "Delta": 0.01, "density": 0.3},
        "V",
        0.0641854665,
        5e-11,
    ),
    (
        "tree",
        "tree",
        {"alpha": 0.3, "beta": 0.5, "Delta": 0.01, "density": 0.3},
        "V",
        0.0791818571,
        5e-11,
    ),
    ("two layers", "two_layers", {"alpha": 1.0}, "V1", 0.32470070, 5e-9),
    (
        "quadratic network",
        "quadratic_network",
        {"alpha": 0.2, "ratio": 0.5, "Delta": 0.25},
        "error",
        0.934818,
        5e-7,
    ),
    (
        "quadratic network, as many units as inputs",
        "quadratic_network",
        {"alpha": 0.5, "ratio": 1, "Delta": 0.25},
        "error",
        0.221248,
        5e-7,
    ),
    (
        "ground state of the spherical perceptron",
        "perceptron_ground_state",
        {"alpha": 2.5},
        "potential",
        -0.0390067403666,
        5e-13,
    ),
    ("lasso", "lasso", {"alpha": 0.5, "lambda_": 0.1}, "E", 0.0063341259432, 1e-11),
]


@pytest.mark.parametrize(
    ("name", "controls", "quantity", "value", "tolerance"),
    [pytest.param(*row[1:], id=row[0]) for row in SOLUTIONS],
)
def test_saddle_points(name, controls, quantity, value, tolerance):
    found = rp.solve(system(name), **controls)
    assert abs(found[quantity] - value) <= tolerance + found.errors[quantity]
    assert found.errors[quantity] < 1e-8


THRESHOLDS = [
    ("binary weights between two margins", "wedge", (), "alpha_G", {}, 0.634276977607823, 1e-12),
    ("spin glass", "spin_glass", (), "T_c", {}, 1.0, 1e-14),
    ("hopfield", "hopfield", (), "alpha_c", {"T": 0.1}, 0.135049, 5e-7),
    ("hopfield, T = 0", "hopfield_without_noise", (), "alpha_c", {}, 0.1379055664949, 1e-13),
    ("hopfield, T = 0", "hopfield_without_noise", (), "alpha_1", {}, 0.0518543309189171, 1e-14),
    ("spherical 3-spin", "spherical_spin_glass", (), "T_s", {}, 0.5860539724174, 1e-13),
    ("spherical 3-spin", "spherical_spin_glass", (), "T_d", {}, sqrt(3 / 8), 1e-14),
    ("sparse spike", "spiked_matrix", (SPARSE,), "spinodal", {}, 288.566961954, 1e-9),
    ("sparse spike", "spiked_matrix", (SPARSE,), "IT", {}, 298.923720363803, 1e-9),
    ("sparse spike", "spiked_matrix", (SPARSE,), "AMP", {}, 402.163004765, 1e-9),
    *(
        ("normal or zero spike", "spiked_matrix", (NORMAL_OR_ZERO,), key, {"density": 0.05}, *known)
        for key, *known in (
            ("spinodal", 154.26965769499, 1e-10),
            ("IT", 164.46614049141, 1e-10),
            ("AMP", 400.185222170, 2e-8),
        )
    ),
    ("two clusters", "two_clusters", (), "lambda_c", {}, sqrt(1 / 2), 1e-14),
    ("biased patterns", "biased_patterns", (), "alpha_G", {"a": 0.5}, 2.40587059648511, 1e-13),
    ("biased patterns", "biased_patterns", (), "alpha_G", {"a": 0.99}, 32.65628, 5e-6),
]

SLOW = {"sparse spike", "normal or zero spike"}  # two seconds each


@pytest.mark.parametrize(
    ("name", "given", "threshold", "controls", "value", "tolerance"),
    [
        pytest.param(
            *row[1:],
            id=f"{row[0]}, {row[3]}",
            marks=[pytest.mark.slow] if row[0] in SLOW else [],
        )
        for row in THRESHOLDS
    ],
)
def test_thresholds(name, given, threshold, controls, value, tolerance):
    found = rp.threshold(system(name, *given), threshold, **controls)
    assert found.status == rp.Status.CONVERGED
    assert abs(found.value - value) <= tolerance + found.error
    assert found.error < 1e-7 * abs(found.value)


def test_the_wrong_noise_costs_nothing_only_where_it_is_right():
    """Ridge regression in closed form: V = 1 / (1 + alpha / (Delta + V))."""
    regression = system("mismatched")
    for Delta, noise in ((1.0, 1.0), (0.5, 1.0), (2.0, 0.3)):
        found = rp.solve(regression, alpha=2, Delta=Delta, noise=noise)
        # V^2 + V (1 + Delta) = Delta with alpha = 2 patterns: V (Delta + V + 2) = Delta + V
        V = (-(Delta + 1) + sqrt((Delta + 1) ** 2 + 4 * Delta)) / 2
        assert found.V == pytest.approx(V, rel=1e-12)
    best = rp.solve(regression, alpha=2, Delta=1, noise=1)
    assert best["mse"] == pytest.approx(best.V, rel=1e-12)  # the Nishimori identity
    assert rp.solve(regression, alpha=2, Delta=0.5, noise=1)["mse"] > best["mse"]


@pytest.mark.slow
@pytest.mark.parametrize(("y", "entropy"), [(2, 0.2051528966), (5, 0.1342941614)])
def test_local_entropy(y, entropy):
    found = rp.solve(system("local_entropy"), alpha=0.5, q1=0.9, y=y)
    assert found.potential == pytest.approx(entropy, abs=5e-11)


@pytest.mark.slow
def test_labels_of_a_row_orthogonal_matrix():
    found = rp.solve(system("row_orthogonal"), alpha=0.5, density=0.3)
    assert found.v_x == pytest.approx(0.178036800177637, abs=1e-12)
    assert -found.potential == pytest.approx(0.3393366989, abs=5e-11)


@pytest.mark.slow
def test_one_step_of_symmetry_breaking():
    found = rp.solve(system("broken_spin_glass"), T=0.5, start="equilibrium")
    assert (found.q0, found.q1, found.m) == pytest.approx((0.214631, 0.619201, 0.281843), abs=5e-7)
    assert -0.5 * found.potential == pytest.approx(-0.791208842, abs=5e-10)


@pytest.mark.slow
@pytest.mark.parametrize(("ratio", "value"), [(1, 1.10852123875475), (2, 0.98405112363)])
def test_where_two_layers_tell_the_hidden_one(ratio, value):
    found = rp.threshold(system("two_layers"), "alpha_IT", ratio=ratio)
    assert found.value == pytest.approx(value, abs=2e-11)


@pytest.mark.slow
@pytest.mark.parametrize(("ratio", "value"), [(0.1, 0.100528254503958), (1, 0.5622460034)])
def test_compressed_sensing_with_a_generator(ratio, value):
    found = rp.threshold(system("generator"), "alpha_AMP", ratio=ratio)
    assert found.value == pytest.approx(value, abs=1e-10)
