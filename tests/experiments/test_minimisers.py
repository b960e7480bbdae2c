"""Minimisers of the risk, against the conditions of an optimum, and which of them serves what."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import Abs, Max, Rational, S, Symbol, cosh, log, oo, symbols

import replica as rp
from replica.blocks.losses import ConvexLoss, Penalty
from replica.experiments.minimisers import minimise_risk, minimiser_of, penalty_of

y, u = symbols("y u", real=True)
w = Symbol("w", real=True)


def optimum_condition(loss, X, labels, weights, strength):
    """Return the gradient of the risk, for a smooth loss and the l2 penalty."""
    slope = {
        "square": lambda z: z - labels,
        "logistic": lambda z: -labels / (1 + np.exp(labels * z)),
        "log cosh": lambda z: np.tanh(z - labels),
    }[loss]
    return X.T @ slope(X @ weights) + strength * weights


@pytest.mark.parametrize("loss", ["square", "logistic", "log cosh"])
@pytest.mark.parametrize("n", [30, 120])
def test_the_gradient_vanishes(loss, n):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 60)) / np.sqrt(60)
    labels = np.sign(X @ rng.standard_normal(60) + 0.3 * rng.standard_normal(n))
    own = rp.Loss(log(cosh(y - u)), y=y, u=u) if loss == "log cosh" else ConvexLoss.shipped[loss]
    weights = minimise_risk(own, "l2", X, labels, 0.1)
    assert np.abs(optimum_condition(loss, X, labels, weights, 0.1)).max() < 1e-5


def test_the_largest_margin_is_touched_and_spanned_by_its_support():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((80, 60)) / np.sqrt(60)
    labels = np.sign(X @ rng.standard_normal(60))
    weights = minimise_risk(ConvexLoss.shipped["max-margin"], "l2", X, labels, 1.0)
    margins = labels * (X @ weights)
    assert margins.min() == pytest.approx(1, abs=1e-9)
    support = margins < 1 + 1e-8
    spanned = (labels[:, None] * X)[support].T
    multipliers, *_ = np.linalg.lstsq(spanned, weights, rcond=None)
    assert (multipliers > -1e-9).all()
    assert np.abs(spanned @ multipliers - weights).max() < 1e-9
    contradiction = np.vstack([X[:1], X[:1]])
    assert (
        minimise_risk(
            ConvexLoss.shipped["max-margin"], "l2", contradiction, np.array([1.0, -1.0]), 1
        )
        is None
    )


def test_linear_programmes_reach_the_dual_bound():
    """The least risk of the hinge with the l1 penalty, against any dual-feasible point."""
    rng = np.random.default_rng(2)
    X = rng.standard_normal((50, 20)) / np.sqrt(20)
    labels = np.sign(X @ rng.standard_normal(20) + rng.standard_normal(50))
    weights = minimise_risk(ConvexLoss.shipped["hinge"], "l1", X, labels, 0.3)

    def risk(w):
        return np.maximum(0, 1 - labels * (X @ w)).sum() + 0.3 * np.abs(w).sum()

    for _ in range(200):
        assert risk(weights) <= risk(weights + 0.1 * rng.standard_normal(20)) + 1e-12


def instance(seed, n, p, continuous=False):
    """Patterns and labels, with noise."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) / np.sqrt(p)
    fields = X @ rng.standard_normal(p) + 0.5 * rng.standard_normal(n)
    return X, fields if continuous else np.sign(fields)


def no_step_lowers(risk, weights, rng, size=0.05):
    """Check that random steps, small and large, raise a convex risk."""
    for _ in range(100):
        step = size * rng.standard_normal(weights.size) * rng.choice([0.01, 1.0])
        assert risk(weights) <= risk(weights + step) + 1e-7


slopes = st.integers(1, 8).map(lambda k: Rational(k, 4))


@pytest.mark.slow
@settings(max_examples=20)
@given(slopes, slopes, st.integers(-4, 4), st.booleans(), st.integers(0, 9))
def test_piecewise_linear_losses_beside_absolute_values(left, right, place, continuous, seed):
    """Of any kink and slopes: each is a linear programme, and its solution is a minimum."""
    shift = Rational(place, 2)
    residual = u - y if continuous else shift - y * u
    own = rp.Loss(Max(left * residual, -right * residual), y=y, u=u)
    X, labels = instance(seed, 12, 6, continuous)
    found = minimise_risk(own, "l1", X, labels, 0.3)
    minimiser = minimiser_of(own, Penalty.shipped["l1"], "test")
    assert minimiser.method == "linear programme"

    def risk(weights):
        fields = X @ weights
        r = fields - labels if continuous else float(shift) - labels * fields
        return np.maximum(float(left) * r, -float(right) * r).sum() + 0.3 * np.abs(weights).sum()

    no_step_lowers(risk, found, np.random.default_rng(seed))


@settings(max_examples=30)
@given(
    st.integers(1, 12), st.integers(-5, 5), st.sampled_from([4, 9]), st.floats(0.01, 3), st.data()
)
def test_quadratic_losses_are_linear_algebra(curvature, slope, n, strength, data):
    own = rp.Loss(Rational(curvature, 3) * (u - y) ** 2 / 2 + slope * y * u, y=y, u=u)
    X, labels = instance(data.draw(st.integers(0, 99)), n, 6)
    found = minimise_risk(own, "l2", X, labels, strength)
    assert minimiser_of(own, Penalty.shipped["l2"], "test").method == "linear algebra"
    force = curvature / 3 * (X @ found - labels) + slope * labels
    np.testing.assert_allclose(X.T @ force + strength * found, 0, atol=1e-10)


@pytest.mark.parametrize("margin", [S(1) / 2, S(3)])
@pytest.mark.parametrize("penalty", ["l2", "l1"])
def test_margins_of_ones_own(margin, penalty):
    own = ConvexLoss("wide", S.Zero, low=margin)
    X, _ = instance(3, 20, 40)
    labels = np.sign(X[:, 0])
    found = minimise_risk(own, penalty, X, labels, 1.0)
    assert (labels * (X @ found)).min() == pytest.approx(float(margin), abs=1e-9)
    one = minimise_risk(ConvexLoss.shipped["max-margin"], penalty, X, labels, 1.0)
    np.testing.assert_allclose(found, float(margin) * one, atol=1e-8)


def test_a_copy_of_a_shipped_loss_has_its_solver():
    """The solver belongs to the function, whatever its name."""
    for name, loss in ConvexLoss.shipped.items():
        copy = ConvexLoss(f"my {name}", loss.expression, loss.low)
        for penalty in Penalty.shipped.values():
            methods = {minimiser_of(one, penalty, "test").method for one in (loss, copy)}
            assert len(methods) == 1, name


@pytest.mark.parametrize(
    ("loss", "penalty", "method"),
    [
        ("square", "l2", "linear algebra"),
        ("square", "l1", "L-BFGS-B on positive and negative parts"),
        ("logistic", "l2", "logistic regression of scikit-learn"),
        ("hinge", "l2", "linear support vector machine of scikit-learn"),
        ("absolute", "l2", "linear support vector regression of scikit-learn"),
        ("huber", "l2", "L-BFGS"),
        ("max-margin", "l2", "least distance programming"),
        ("hinge", "l1", "linear programme"),
        ("absolute", "l1", "linear programme"),
        ("max-margin", "l1", "linear programme"),
    ],
)
def test_solvers_of_the_shipped_losses(loss, penalty, method):
    assert minimiser_of(ConvexLoss.shipped[loss], Penalty.shipped[penalty], "test").method == method


NO_SLOPE = "whose slope jumps; allowed: losses with a continuous slope, hinge"


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (rp.Loss(Abs(y - u) + u**2, y=y, u=u), NO_SLOPE),
        (rp.Loss(Max(0, 2 - y * u), y=y, u=u), NO_SLOPE),  # a hinge, but not that of scikit-learn
        (ConvexLoss("bent", u**2, low=S.One), NO_SLOPE),
        (ConvexLoss("negative", S.Zero, low=-S.One), NO_SLOPE),
    ],
    ids=str,
)
def test_losses_without_a_solver(loss, words):
    with pytest.raises(rp.ControlError, match=words):
        minimise_risk(loss, "l2", np.eye(2), np.array([1.0, -1.0]), 1.0)


def test_losses_that_are_negative_somewhere_are_no_linear_programme():
    own = rp.Loss(Max(-1, -y * u), y=y, u=u)
    with pytest.raises(rp.ControlError, match=NO_SLOPE):
        minimise_risk(own, "l1", np.eye(2), np.array([1.0, -1.0]), 1.0)


def test_a_penalty_of_ones_own_is_refused_by_its_name():
    cubic = Penalty("cubic", Abs(w) ** 3, lambda variance, stiffness, strength: S.Zero)
    with pytest.raises(rp.ControlError, match=r"no solver for the penalty cubic; allowed: w\^2/2"):
        minimise_risk(ConvexLoss.shipped["square"], cubic, np.eye(2), np.array([1.0, -1.0]), 1.0)
    same = Penalty("mine", w**2 / 2, lambda variance, stiffness, strength: S.Zero)
    found = minimise_risk(ConvexLoss.shipped["square"], same, np.eye(2), np.array([1.0, -1.0]), 1.0)
    np.testing.assert_allclose(found, [0.5, -0.5])
    with pytest.raises(rp.UnknownName, match="l2"):
        minimise_risk(ConvexLoss.shipped["square"], "l3", np.eye(2), np.array([1.0, -1.0]), 1.0)


def test_sums_of_penalties():
    weights = np.array([1.0, -2.0, 0.5])
    assert penalty_of(Penalty.shipped["l2"])(weights) == pytest.approx(5.25 / 2)
    assert penalty_of(Penalty.shipped["l1"])(weights) == pytest.approx(3.5)


def test_without_a_bound_the_margin_is_no_constraint():
    assert not ConvexLoss("free", u**2, low=-oo).is_constraint
