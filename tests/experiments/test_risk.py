"""Risk minimisation on drawn instances, against the theory and against optimality conditions."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from sympy import Abs, Max, cosh, log, symbols

import replica as rp
from replica.blocks.losses import loss as named
from replica.experiments.minimisers import minimise_risk

RISK = rp.formulas["empirical-risk"]
y, u = symbols("y u", real=True)


def agree(found, theory, names):
    for name in names:
        difference = np.abs(found[name] - theory[name])
        assert (difference <= 3 * found.errors[name]).all(), name


def test_ridge_agrees_with_the_theory():
    formula = RISK(loss="square")
    found = rp.simulate(formula, p=300, alpha=[0.7, 2], lambda_=0.5, instances=60, rng=3)
    theory = rp.solve(formula, alpha=found.alpha, lambda_=0.5)
    names = ("m", "q", "eps_g", "test_error", "training_objective", "training_loss", "test_loss")
    agree(found, theory, names)
    assert set(found.observables) == set(names)
    assert found.method == "linear algebra"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "alpha"),
    [
        ({"loss": "logistic", "lambda_": 0.05}, 2),
        ({"loss": "hinge", "lambda_": 0.3}, 2),
        ({"loss": "absolute", "lambda_": 0.5}, 1),
        ({"loss": "square", "penalty": "l1", "lambda_": 0.1}, 2),
        ({"loss": "logistic", "penalty": "l1", "lambda_": 0.1}, 2),
        ({"loss": "huber", "teacher": "linear", "lambda_": 0.1, "Delta": 0.3}, 2),
        ({"loss": "max-margin"}, 1),
        ({"loss": "max-margin", "penalty": "l1"}, 1),
        ({"loss": "hinge", "teacher": "probit", "lambda_": 0.1, "rho": 2}, 2),
        ({"loss": "logistic", "teacher": "logistic", "lambda_": 0, "rho": 5}, 6),
    ],
    ids=str,
)
def test_other_losses_agree_with_the_theory(options, alpha):
    found = rp.simulate(RISK, p=300, alpha=alpha, instances=12, rng=5, **options)
    theory = rp.solve(RISK, alpha=float(found.alpha[0]), **options)
    agree(found, theory, ("q", "eps_g", "training_objective"))


def test_the_fraction_of_separable_instances_falls_at_the_threshold():
    formula = RISK(loss="max-margin", teacher="probit")
    end = rp.threshold(formula, "alpha_sep").value
    found = rp.simulate(formula, p=60, alpha=[0.7 * end, 1.4 * end], instances=10, rng=1)
    assert found["separable"].tolist() == [1, 0]
    assert np.isnan(found["margin"][1])
    assert found["margin"][0] > 0


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
    own = rp.Loss(log(cosh(y - u)), y=y, u=u) if loss == "log cosh" else named(loss)
    weights = minimise_risk(own, "l2", X, labels, 0.1)
    assert np.abs(optimum_condition(loss, X, labels, weights, 0.1)).max() < 1e-5


def test_the_largest_margin_is_touched_and_spanned_by_its_support():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((80, 60)) / np.sqrt(60)
    labels = np.sign(X @ rng.standard_normal(60))
    weights = minimise_risk(named("max-margin"), "l2", X, labels, 1.0)
    margins = labels * (X @ weights)
    assert margins.min() == pytest.approx(1, abs=1e-9)
    support = margins < 1 + 1e-8
    spanned = (labels[:, None] * X)[support].T
    multipliers, *_ = np.linalg.lstsq(spanned, weights, rcond=None)
    assert (multipliers > -1e-9).all()
    assert np.abs(spanned @ multipliers - weights).max() < 1e-9
    contradiction = np.vstack([X[:1], X[:1]])
    assert minimise_risk(named("max-margin"), "l2", contradiction, np.array([1.0, -1.0]), 1) is None


def test_linear_programmes_reach_the_dual_bound():
    """The least risk of the hinge with the l1 penalty, against any dual-feasible point."""
    rng = np.random.default_rng(2)
    X = rng.standard_normal((50, 20)) / np.sqrt(20)
    labels = np.sign(X @ rng.standard_normal(20) + rng.standard_normal(50))
    weights = minimise_risk(named("hinge"), "l1", X, labels, 0.3)

    def risk(w):
        return np.maximum(0, 1 - labels * (X @ w)).sum() + 0.3 * np.abs(w).sum()

    for _ in range(200):
        assert risk(weights) <= risk(weights + 0.1 * rng.standard_normal(20)) + 1e-12


def test_instances_depend_on_the_seed_alone():
    formula = RISK(loss="square")
    once = rp.simulate(formula, p=50, alpha=[1, 2], lambda_=1, instances=3, rng=7)
    again = rp.simulate(formula, p=50, alpha=2, lambda_=1, instances=3, rng=7)
    other = rp.simulate(formula, p=50, alpha=2, lambda_=1, instances=3, rng=8)
    assert again["eps_g"][0] == once["eps_g"][1]
    assert other["eps_g"][0] != again["eps_g"][0]


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with pytest.raises(rp.MissingExtra, match=r"pip install 'replica-theory\[experiments\]'"):
        rp.simulate(RISK, loss="logistic", p=20, alpha=2, lambda_=1, instances=1)
    # linear algebra needs no one else
    assert rp.simulate(RISK, loss="square", p=20, alpha=2, lambda_=1, instances=1)["q"][0] > 0


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"p": 20, "lambda_": 1}, rp.ControlError, "the grid is missing"),
        ({"p": 0, "alpha": 2, "lambda_": 1}, rp.ControlError, "not positive"),
        ({"p": 10**6, "alpha": 2, "lambda_": 1}, rp.ControlError, "too large"),
        ({"p": 20, "alpha": 2}, rp.ControlError, "lambda_ is missing"),
        ({"p": 20, "alpha": 2, "lambda_": -1}, rp.ControlError, "outside"),
        ({"p": 20, "alpha": 2, "lambda_": 1, "loss": "sqare"}, rp.UnknownName, "square"),
        (
            {"p": 20, "alpha": 2, "lambda_": 1, "loss": rp.Loss(Abs(y - u) + u**2, y=y, u=u)},
            rp.ControlError,
            "whose slope jumps",
        ),
    ],
    ids=str,
)
def test_bad_input(given, error, words):
    with pytest.raises(error, match=words):
        rp.simulate(RISK, **given)


def test_a_loss_of_ones_own_with_a_kink_in_its_slope_is_minimised():
    own = rp.Loss(Max(0, 1 - y * u) ** 2 / 2, y=y, u=u)
    found = rp.simulate(RISK, loss=own, p=200, alpha=2, lambda_=0.3, instances=8, rng=4)
    theory = rp.solve(RISK, loss=own, alpha=2, lambda_=0.3)
    agree(found, theory, ("q", "training_objective"))
