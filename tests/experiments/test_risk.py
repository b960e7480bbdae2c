"""Risk minimisation on drawn instances, against the theory and against optimality conditions."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from sympy import Abs, Max, symbols

import replica as rp

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
        ({"loss": "absolute", "lambda_": 0.5}, 1),
        ({"loss": "square", "penalty": "l1", "lambda_": 0.1}, 2),
        ({"loss": "logistic", "penalty": "l1", "lambda_": 0.1}, 2),
        ({"loss": "huber", "teacher": "linear", "lambda_": 0.1, "Delta": 0.3}, 2),
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


@pytest.mark.slow
def test_a_piecewise_linear_loss_of_ones_own_with_absolute_values():
    own = rp.Loss(Max(u - y, (y - u) / 3), y=y, u=u)  # a quantile of the residuals
    given = {"loss": own, "penalty": "l1", "teacher": "linear", "lambda_": 0.2, "Delta": 0.3}
    found = rp.simulate(RISK, p=150, alpha=2, instances=12, **given)
    theory = rp.solve(RISK, alpha=2, **given)
    assert found.method == "linear programme"
    agree(found, theory, ("q", "eps_g", "training_objective"))


def test_a_quadratic_loss_of_ones_own_is_linear_algebra():
    own = rp.Loss(3 * (y - u) ** 2 / 2 + 1, y=y, u=u)
    found = rp.simulate(RISK, loss=own, p=150, alpha=2, lambda_=0.6, instances=8)
    ridge = rp.simulate(RISK, loss="square", p=150, alpha=2, lambda_=0.2, instances=8)
    assert found.method == "linear algebra"
    np.testing.assert_allclose(found["q"], ridge["q"], rtol=1e-12)


def test_a_user_without_a_norm_of_the_teacher_has_one_of_norm_one():
    """A formula of one's own on the same blocks, with other controls than the shipped one."""
    shipped = RISK(loss="square")
    alpha, strength = (rp.Control(c.symbol, c.domain) for c in list(shipped.controls.values())[:2])
    own = rp.Formula(
        name="mine",
        title="mine",
        potential=-(alpha.symbol**2) * sum(shipped.overlaps) ** 2 + strength.symbol,
        overlaps=dict.fromkeys(shipped.overlaps, list(shipped.overlaps.values())[-1]),
        controls={"alpha": alpha, "lambda_": strength},
        experiment=shipped.experiment,
    )
    given = {"p": 40, "alpha": 1, "lambda_": 1, "instances": 2}
    assert rp.simulate(own, **given)["q"] == rp.simulate(shipped, **given)["q"]
