"""Rules: nested, exact where they should be, graded where they must be."""

from __future__ import annotations

import itertools
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replica.numerics.quadrature import (
    HALF_RANGE,
    PANEL_NODES,
    TRAPEZOID_STEP,
    extrapolated_error,
    fejer,
    panel_breakpoints,
    panel_rule,
    trapezoid_rule,
)

MOMENTS = {0: 1.0, 1: 0.0, 2: 1.0, 3: 0.0, 4: 3.0, 5: 0.0, 6: 15.0, 8: 105.0, 10: 945.0}


# ---- trapezoid ---------------------------------------------------------------------------------


@pytest.mark.parametrize("halvings", range(5))
def test_trapezoid_has_the_moments_of_the_gaussian(halvings):
    rule = trapezoid_rule(halvings)
    for power, moment in MOMENTS.items():
        assert rule.weights @ rule.nodes**power == pytest.approx(moment, rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("halvings", range(4))
def test_trapezoids_are_nested(halvings):
    coarse, fine = trapezoid_rule(halvings), trapezoid_rule(halvings + 1)
    shared = np.isin(np.round(fine.nodes / fine.nodes[-1], 12), np.round(coarse.nodes / 9.0, 12))
    assert shared.sum() == coarse.nodes.size
    np.testing.assert_allclose(fine.nodes[shared], coarse.nodes, atol=1e-14)


@pytest.mark.parametrize("halvings", range(1, 5))
def test_embedded_trapezoids_are_the_coarser_rules(halvings):
    rule = trapezoid_rule(halvings)
    for k, weights in enumerate(rule.coarse, start=1):
        expected = trapezoid_rule(halvings - k)
        used = weights != 0
        np.testing.assert_allclose(rule.nodes[used], expected.nodes, atol=1e-14)
        np.testing.assert_allclose(weights[used], expected.weights, rtol=1e-14)


def test_trapezoid_is_as_the_design_says():
    rule = trapezoid_rule(0)
    assert rule.nodes.size == 121
    assert rule.nodes[1] - rule.nodes[0] == pytest.approx(TRAPEZOID_STEP)
    assert rule.nodes[-1] == HALF_RANGE == -rule.nodes[0]
    np.testing.assert_array_equal(rule.nodes, -rule.nodes[::-1])
    assert (rule.weights > 0).all()
    assert not rule.nodes.flags.writeable


# ---- Fejer -------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3, 5, 11, 23])
def test_fejer_is_exact_for_polynomials(count):
    nodes, weights = fejer(count)
    assert (weights > 0).all()
    assert (np.abs(nodes) < 1).all()
    for power in range(count + 1):  # one more than n - 1, by symmetry
        exact = float(Fraction(2, power + 1)) if power % 2 == 0 else 0.0
        assert weights @ nodes**power == pytest.approx(exact, abs=1e-14)


def test_fejer_is_nested_and_open():
    fine, _ = fejer(PANEL_NODES)
    coarse, _ = fejer((PANEL_NODES - 1) // 2)
    np.testing.assert_allclose(fine[1::2], coarse, atol=1e-15)
    beyond, weights = fejer(3)
    assert weights @ beyond**4 != pytest.approx(2 / 5, abs=1e-6)  # not exact past its degree


# ---- panels ------------------------------------------------------------------------------------

PLACES = [
    ([0.0], [1e-4]),
    ([1.3], [1e-6]),
    ([-5.0, 2.0], [1e-3, 0.5]),
    ([0.0], [0.0]),
    ([3.0, 3.0], [0.0, 1e-5]),
    ([100.0], [1e-3]),
]


@pytest.mark.parametrize(("centres", "widths"), PLACES)
@pytest.mark.parametrize("refinement", [0, 1, 3])
def test_panels_have_the_moments_of_the_gaussian(centres, widths, refinement):
    rule = panel_rule(np.array([centres]), np.array([widths]), refinement)
    for power, moment in MOMENTS.items():
        total = rule.weights[0] @ rule.nodes[0] ** power
        assert total == pytest.approx(moment, rel=1e-12, abs=1e-13)
    for weights in rule.coarse:
        assert weights[0] @ rule.nodes[0] ** 2 == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(("centres", "widths"), PLACES)
def test_breakpoints_are_graded(centres, widths):
    (edges,) = panel_breakpoints(np.array([centres]), np.array([widths]), 0)
    assert (np.diff(edges) >= 0).all()
    assert edges[0] == -HALF_RANGE
    assert edges[-1] == HALF_RANGE
    for centre, width in zip(centres, widths, strict=True):
        if abs(centre) >= HALF_RANGE:
            continue
        assert centre in edges
        panels = [(low, high) for low, high in itertools.pairwise(edges) if low < high]
        for low, high in panels:
            distance = max(min(abs(low - centre), abs(high - centre)), width or 2.0)
            assert high - low <= 2 * distance * (1 + 1e-9)


def test_refining_splits_every_panel():
    centres, widths = np.array([[0.7]]), np.array([[1e-3]])
    coarse = panel_breakpoints(centres, widths, 0)
    for refinement in (1, 2, 3):
        fine = panel_breakpoints(centres, widths, refinement)
        assert fine.shape[1] - 1 == 2**refinement * (coarse.shape[1] - 1)
        np.testing.assert_allclose(fine[0, :: 2**refinement], coarse[0], atol=1e-15)


def test_points_of_a_grid_share_a_shape_and_keep_their_features():
    centres = np.array([[0.0], [1.0], [8.9999], [-50.0]])
    widths = np.array([[1e-2], [1e-8], [1e-3], [1.0]])
    rule = panel_rule(centres, widths, 0)
    assert rule.nodes.shape == rule.weights.shape == (4, rule.nodes.shape[1])
    assert rule.nodes.shape[1] % rule.blocks == 0
    for row in range(4):
        assert rule.weights[row] @ rule.nodes[row] ** 2 == pytest.approx(1, rel=1e-12)
        alone = panel_rule(centres[row : row + 1], widths[row : row + 1], 0)
        narrow = np.exp(-(((rule.nodes[row] - centres[row]) / widths[row]) ** 2))
        expected = np.exp(-(((alone.nodes[0] - centres[row]) / widths[row]) ** 2))
        assert rule.weights[row] @ narrow == pytest.approx(
            alone.weights[0] @ expected, rel=1e-11, abs=1e-300
        )


def test_a_wider_reach_sees_further():
    far = panel_rule(np.array([[20.0]]), np.array([[1.0]]), 1, reach=30.0)
    assert far.nodes.max() > 29
    with mpmath.workdps(30):
        truth = float(mpmath.exp(mpmath.mpf(200)))
    assert far.weights[0] @ np.exp(20 * far.nodes[0]) == pytest.approx(truth, rel=1e-12)


@pytest.mark.parametrize("slope", [0.3, 1.0, 2.0])
def test_panels_agree_with_the_trapezoid(slope):
    """Two independent rules on the same smooth integrands."""
    trapezoid = trapezoid_rule(2)
    panels = panel_rule(np.array([[0.4]]), np.array([[0.5]]), 1)
    integrands = (
        lambda t: np.tanh(slope * t) ** 2,
        lambda t: np.logaddexp(slope * t, -slope * t),
        lambda t: np.cos(3 * slope * t),
        lambda t: np.exp(slope * t),
    )
    for integrand in integrands:
        one = trapezoid.weights @ integrand(trapezoid.nodes)
        two = panels.weights[0] @ integrand(panels.nodes[0])
        assert one == pytest.approx(two, rel=1e-12, abs=1e-14)


# ---- the error read off nested rules -----------------------------------------------------------


def rules_of(integrand, halvings):
    rule = trapezoid_rule(halvings)
    f = integrand(rule.nodes)
    value, half, quarter = (w @ f for w in (rule.weights, *rule.coarse))
    size = rule.weights @ np.abs(f)
    parts = np.array([abs(value - half)]), np.array([abs(half - quarter)]), np.array([size])
    return value, float(extrapolated_error(*parts)[0])


@given(st.floats(0.3, 30), st.floats(-3, 3))
@settings(max_examples=60)
def test_extrapolated_error_covers_a_pole_at_any_distance(slope, centre):
    def integrand(t):
        return 1 / (1 + (slope * (t - centre)) ** 2)

    best, _ = rules_of(integrand, 6)
    for halvings in (0, 1, 2, 3):
        value, claimed = rules_of(integrand, halvings)
        assert abs(value - best) <= claimed + 1e-14


def test_extrapolated_error_is_small_where_convergence_is_fast():
    value, claimed = rules_of(lambda t: np.tanh(t) ** 2, 1)
    best, _ = rules_of(lambda t: np.tanh(t) ** 2, 4)
    assert abs(value - best) <= claimed + 1e-15
    assert claimed < 1e-9
