"""The verb `simulate`, on every shipped formula that has an experiment."""

from __future__ import annotations

import dataclasses
import json
import pickle

import numpy as np
import pytest

import replica as rp

# one small request of each, and what is measured
REQUESTS = [
    ("binary-perceptron", {"p": 8}, {"satisfiable", "entropy", "capacity"}),
    ("binary-perceptron", {"p": 8, "alpha": [0.5, 1]}, {"satisfiable", "entropy", "capacity"}),
    ("spherical-perceptron", {"p": 8}, {"satisfiable", "capacity"}),
    ("spherical-perceptron", {"p": 8, "alpha": [1, 2]}, {"satisfiable"}),
    ("symmetric-binary-perceptron", {"p": 8}, {"satisfiable", "entropy", "capacity"}),
    (
        "bayes-optimal-glm",
        {"p": 60, "alpha": [0.5, 1]},
        {"m", "q", "mse", "label_error", "eps_bayes", "steps", "converged"},
    ),
    ("committee-machine", {"p": 60, "alpha": 1}, {"q00", "q01", "eps_g", "steps", "converged"}),
    (
        "empirical-risk",
        {"p": 30, "alpha": [0.5, 2], "lambda_": 1},
        {"m", "q", "eps_g", "test_error", "training_objective", "training_loss", "test_loss"},
    ),
    (
        "empirical-risk",
        {"p": 30, "alpha": [0.5, 6], "loss": "max-margin"},
        {"m", "q", "eps_g", "test_error", "training_objective", "margin", "separable"},
    ),
    (
        "hidden-manifold",
        {"p": 30, "samples_per_dimension": 2, "features_per_dimension": 1, "lambda_": 1},
        {
            *("m", "q", "q_w", "eps_g", "test_error"),
            *("training_objective", "training_loss", "test_loss"),
        },
    ),
    (
        "gaussian-covariates",
        {"p": 100, "alpha": [1, 2], "lambda_": 1},
        {
            *("m", "q", "norm", "eps_g", "test_error"),
            *("training_objective", "training_loss", "test_loss"),
        },
    ),
]
every = pytest.mark.parametrize(("name", "given", "measured"), REQUESTS)


@every
def test_what_is_measured(name, given, measured):
    result = rp.simulate(rp.formulas[name], instances=3, **given)
    assert set(result.observables) == set(result.errors) == measured
    assert result.formula == name
    assert result.p == given["p"]
    assert result.instances == 3
    assert result.seed == 0
    assert "alpha" not in result.controls
    for one in (result.observables, result.errors):
        assert all(np.shape(value) in ((), result.n.shape) for value in one.values())
    json.dumps(result.to_dict(), allow_nan=False)
    assert pickle.loads(pickle.dumps(result)).to_dict() == result.to_dict()
    assert all(observable in repr(result) for observable in measured)


@every
def test_seeds_reproduce(name, given, measured):
    first, again = (rp.simulate(rp.formulas[name], instances=2, rng=4, **given) for _ in "ab")
    assert first.to_dict() == again.to_dict()
    other = rp.simulate(rp.formulas[name], instances=2, rng=5, **given)
    assert other.to_dict()["observables"] != first.to_dict()["observables"] or name.startswith(
        "spherical"
    )


def test_formula_without_experiment():
    formula = dataclasses.replace(rp.formulas["binary-perceptron"], experiment=None)
    with pytest.raises(rp.ControlError, match="declares no finite-size experiment"):
        rp.simulate(formula, p=8)
    with pytest.raises(rp.ControlError, match="declares no finite-size experiment"):
        rp.simulate(rp.formulas["spherical-perceptron"], rsb=1, p=8)


def test_not_a_formula():
    for wrong in ("binary-perceptron-of-someone", None, {"prior": rp.Gaussian()}):
        with pytest.raises(rp.DeclarationError, match="expected a formula"):
            rp.simulate(wrong, p=8)


def test_options_choose_the_blocks():
    result = rp.simulate(
        rp.formulas["bayes-optimal-glm"], prior="gaussian", channel="linear", p=40, alpha=1
    )
    assert str(result.options["channel"]) == "linear"
    with pytest.raises(rp.UnknownName, match="gaussian"):
        rp.simulate(rp.formulas["bayes-optimal-glm"], prior="gausian", p=40, alpha=1)
    with pytest.raises(rp.UnknownName, match="unknown control of binary-perceptron: 'damping'"):
        rp.simulate(rp.formulas["binary-perceptron"], p=8, damping=0.3)


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("bayes-optimal-glm", {"p": 40}, "the grid is missing"),
        ("committee-machine", {"p": 40}, "the grid is missing"),
        ("empirical-risk", {"p": 40, "lambda_": 1}, "the grid is missing"),
        ("gaussian-covariates", {"p": 40, "lambda_": 1}, "samples_per_feature is missing"),
        ("bayes-optimal-glm", {"p": 10**9, "alpha": 1}, "X would not fit in memory"),
        ("committee-machine", {"p": 10**5, "alpha": 1}, r"allowed: n p <= 1e\+09"),
        ("spherical-perceptron", {"p": 1001}, "a minute at p = 1000"),
    ],
)
def test_what_is_missing_or_too_large(name, given, words):
    with pytest.raises(rp.ControlError, match=words):
        rp.simulate(rp.formulas[name], **given)


# ---- numbers that a seed must go on giving ------------------------------------------------------

RISK = {"p": 40, "alpha": [0.5, 1.4], "instances": 2, "rho": 1.5}
FEATURES = {"p": 40, "instances": 2, "loss": "square", "features_per_dimension": 1.5}
DRAWN = [
    ("binary-perceptron", {"p": 10, "instances": 5, "rng": 3}, "capacity", 0.96),
    (
        "symmetric-binary-perceptron",
        {"p": 9, "instances": 4, "constraint": "rectangle"},
        "capacity",
        1.5,
    ),
    ("spherical-perceptron", {"p": 12, "instances": 4}, "capacity", 2.25),
    (
        "bayes-optimal-glm",
        {"p": 120, "alpha": [0.6, 1.7], "instances": 2, "prior": "rademacher"},
        "m",
        [0.328457064685, 1.0],
    ),
    (
        "bayes-optimal-glm",
        {"p": 120, "alpha": [0.6, 1.7], "instances": 2, "prior": "gaussian", "channel": "relu"},
        "mse",
        [0.593395462661, 0.030488890874],
    ),
    (
        "committee-machine",
        {"p": 200, "alpha": [0.5, 1.0, 2.6], "instances": 2},
        "q00",
        [0.126059668889, 0.214120337394, 0.466604605331],
    ),
    (
        "empirical-risk",
        {**RISK, "loss": "square", "lambda_": 0.2},
        "eps_g",
        [0.346042576367, 0.224615760842],
    ),
    (
        "empirical-risk",
        {**RISK, "loss": "hinge", "penalty": "l1", "lambda_": 0.2},
        "training_objective",
        [0.223978449392, 0.208709298434],
    ),
    ("empirical-risk", {**RISK, "loss": "max-margin"}, "margin", [1.155741133444, 0.526796710025]),
    (
        "hidden-manifold",
        {**FEATURES, "alpha": [0.5, 1.2], "lambda_": 0.2, "activation": "sign"},
        "eps_g",
        [0.3522, 0.37505],
    ),
    (
        "hidden-manifold",
        {**FEATURES, "samples_per_feature": 2, "lambda_": 0.1},
        "test_loss",
        [0.3440343535338],
    ),
    (
        "gaussian-covariates",
        {"p": 100, "alpha": [0.5, 2], "instances": 2, "loss": "square", "lambda_": 0.1},
        "training_loss",
        [0.244601554449, 0.247681090320],
    ),
    (
        "gaussian-covariates",
        {
            "p": 100,
            "samples_per_feature": 1.5,
            "instances": 2,
            "loss": "square",
            "inputs": "power-law",
            "lambda_": 0.1,
        },
        "norm",
        [0.98122870825],
    ),
]


@pytest.mark.parametrize(("name", "given", "observable", "numbers"), DRAWN)
def test_a_seed_gives_the_numbers_it_gave(name, given, observable, numbers):
    """Recorded before the experiments had one driver; message passing stops at 1e-6."""
    result = rp.simulate(rp.formulas[name], **given)
    assert result[observable] == pytest.approx(numbers, abs=2e-6, rel=2e-6)
