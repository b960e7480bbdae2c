"""Drawn features against the theory, which does not know how they were drawn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import replica as rp

sklearn = pytest.importorskip("sklearn", exc_type=ImportError)
HMM = rp.formulas["hidden-manifold"]
GCM = rp.formulas["gaussian-covariates"]
slow = pytest.mark.slow


def agree(
    formula: Any, p: int, instances: int, names: tuple[str, ...], rng: int = 0, **given: Any
) -> None:
    """Check within three standard errors, or three per cent: the finite size is felt below."""
    found = rp.simulate(formula, p=p, instances=instances, rng=rng, **given)
    theory = rp.solve(formula, **given)
    for name in names:
        value, error = found[name][0], found.errors[name][0]
        assert error > 0
        assert abs(value - theory[name]) < max(3 * error, 0.03 * abs(theory[name])), (
            f"{name}: {value:.5f} +- {error:.5f}, theory {theory[name]:.5f}"
        )


@pytest.mark.slow
@pytest.mark.parametrize(("teacher", "features"), [("sign", "orthogonal"), ("linear", "gaussian")])
def test_ridge_on_random_features(teacher: str, features: str) -> None:
    formula = HMM(loss="square", teacher=teacher, activation="erf", features=features)
    given = {"samples_per_dimension": 2, "features_per_dimension": 2.5, "lambda_": 0.1}
    names = ("eps_g", "m", "q", "q_w", "training_loss", "training_objective", "test_loss")
    agree(formula, 250, 24, names, Delta=0.1, rho=1.5, **given)


@slow
def test_features_with_a_mean() -> None:
    formula = HMM(loss="square", activation="relu")
    given = {"samples_per_dimension": 3, "features_per_dimension": 2, "lambda_": 0.3}
    agree(formula, 300, 8, ("eps_g", "training_objective"), **given)


@pytest.mark.slow
def test_logistic_regression_on_random_features() -> None:
    formula = HMM(loss="logistic", activation="sign", features="orthogonal")
    given = {"samples_per_dimension": 3, "features_per_dimension": 1.5, "lambda_": 0.1}
    agree(formula, 200, 12, ("eps_g", "q", "training_loss", "test_loss"), **given)


@pytest.mark.slow
def test_gaussian_inputs_of_any_covariance() -> None:
    agree(
        GCM(loss="square", inputs="power-law"),
        100,
        30,
        ("eps_g", "m", "q", "training_loss"),
        samples_per_feature=2,
        lambda_=0.05,
    )


def test_a_given_matrix_of_features() -> None:
    F = np.random.default_rng(3).standard_normal((120, 180))
    formula = HMM(loss="square", activation="tanh", features=rp.FeatureMatrix(F))
    agree(formula, 180, 12, ("eps_g", "q", "training_loss"), samples_per_dimension=3, lambda_=0.1)


def test_ridge_on_digits_has_the_risk_of_their_covariances() -> None:
    inputs, labels = digits(200)
    formula = GCM(loss="square", teacher="linear", inputs=rp.Covariances.from_data(inputs, labels))
    n = [100, 200, 400, 800]
    found = rp.simulate_on_data(inputs, labels, n=n, lambda_=1.0, loss="square", instances=12)
    theory = rp.solve(formula, samples_per_feature=found.n / 200, lambda_=1.0)
    for name in ("test_loss", "training_loss"):
        gap = np.abs(found[name] - theory[name])
        assert (gap < np.maximum(3 * found.errors[name], 0.03 * theory[name])).all(), name


def test_labels_of_digits_are_easier_than_those_of_a_gaussian_teacher() -> None:
    # the teacher that fits them best; odd and even digits are clusters, which it does not know
    inputs, labels = digits(150)
    model = sklearn_module("linear_model").LogisticRegression(fit_intercept=False, max_iter=2000)
    fields = inputs @ model.fit(inputs, labels).coef_[0] / 1.7
    formula = GCM(
        loss="logistic", teacher="probit", inputs=rp.Covariances.from_data(inputs, fields)
    )
    found = rp.simulate_on_data(inputs, labels, n=300, lambda_=0.1, instances=6)
    theory = rp.solve(formula, samples_per_feature=2, lambda_=0.1)
    assert 0.4 * theory["test_error"] < found["test_error"][0] < 0.9 * theory["test_error"]
    assert theory["test_error"] < 0.25


def digits(p: int) -> tuple[Any, Any]:
    pixels, number = sklearn_module("datasets").load_digits(return_X_y=True)
    pixels = (pixels - pixels.mean(axis=0)) / pixels.std()
    F = np.random.default_rng(1).standard_normal((64, p))
    inputs = np.tanh(pixels @ F / 8)
    return inputs - inputs.mean(axis=0), np.where(number % 2 == 1, 1.0, -1.0)


def sklearn_module(name: str) -> Any:
    import importlib

    return importlib.import_module(f"sklearn.{name}")


def test_instances_depend_neither_on_their_number_nor_on_the_grid() -> None:
    formula = HMM(loss="square", activation="sign")
    given = {"p": 60, "features_per_dimension": 2, "lambda_": 0.1}
    one = rp.simulate(formula, n=[50, 90], instances=3, **given)
    two = rp.simulate(formula, n=90, instances=3, **given)
    assert one["eps_g"][1] == two["eps_g"][0]
    again = rp.simulate(formula, n=[50, 90], instances=3, **given)
    assert np.array_equal(one["q"], again["q"])
    by_controls = rp.simulate(formula, samples_per_dimension=3, instances=3, **given)
    assert by_controls["eps_g"][0] == two["eps_g"][0]
    assert by_controls.controls["d"] == 30
    other = rp.simulate(formula, n=90, instances=3, rng=1, **given)
    assert other["eps_g"][0] != two["eps_g"][0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"p": 60, "features_per_dimension": 2, "lambda_": 1}, "samples_per_dimension is missing"),
        (
            {
                "p": 60,
                "alpha": 2,
                "samples_per_feature": 2,
                "features_per_dimension": 2,
                "lambda_": 1,
            },
            "given twice, by samples_per_feature and by alpha",
        ),
        ({"p": 0, "alpha": 1, "features_per_dimension": 2, "lambda_": 1}, "p = 0"),
        ({"p": 10**6, "alpha": 1, "features_per_dimension": 2, "lambda_": 1}, "too long"),
        ({"p": 5000, "alpha": 99, "features_per_dimension": 2, "lambda_": 1}, "n p <="),
        (
            {"p": 60, "alpha": 1, "features_per_dimension": [1, 2], "lambda_": 1},
            "features_per_dimension",
        ),
    ],
)
def test_bad_experiments(given: dict[str, Any], message: str) -> None:
    with pytest.raises(rp.ControlError, match=message) as caught:
        rp.simulate(HMM, loss="square", **given)
    assert "\n" not in str(caught.value)


def test_given_inputs_fix_p() -> None:
    with pytest.raises(rp.ControlError, match="those of 100 inputs, so p = 60"):
        rp.simulate(GCM, loss="square", p=60, alpha=1, lambda_=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": np.zeros(50)}, "labels -1 or 1"),
        ({"labels": np.ones(40)}, "need N labels"),
        ({"n": 51}, "exceeds the 50 samples"),
        ({"lambda_": 0.0}, "must be positive"),
        ({"loss": "square_"}, "did you mean square"),
    ],
)
def test_bad_data(changes: dict[str, Any], message: str) -> None:
    rng = np.random.default_rng(0)
    given = {"inputs": rng.standard_normal((50, 4)), "labels": np.sign(rng.standard_normal(50))}
    given |= {"n": 20, "lambda_": 0.1}
    with pytest.raises(rp.ReplicaError, match=message):
        rp.simulate_on_data(**{**given, **changes})


# ---- at the size of the reference ----------------------------------------------------------------


@slow
@pytest.mark.parametrize(("loss", "lam"), [("square", 1e-4), ("logistic", 1e-2), ("logistic", 1.0)])
@pytest.mark.parametrize(("name", "features"), [("sign", "gaussian"), ("erf", "orthogonal")])
@pytest.mark.parametrize("ratio", [0.5, 2])
def test_two_hundred_dimensions(
    loss: str, lam: float, name: str, features: str, ratio: float
) -> None:
    formula = HMM(loss=loss, activation=name, features=features)
    given = {"samples_per_dimension": 3, "features_per_dimension": 3 * ratio, "lambda_": lam}
    agree(formula, round(600 * ratio), 12, ("eps_g", "training_objective"), **given)


@slow
@pytest.mark.parametrize("features", ["gaussian", "orthogonal"])
def test_separability_by_linear_programming(features: str) -> None:
    formula = HMM(loss="max-margin", activation="sign", features=features)
    edge = rp.threshold(formula, "separability", features_per_dimension=1).value
    p, instances = 100, 40
    found = rp.simulate(
        formula,
        p=p,
        n=[round(share * edge * p) for share in (0.75, 1.0, 1.25)],
        features_per_dimension=1,
        instances=instances,
    )
    low, middle, high = found["separable"]
    assert low > 0.9
    assert high < 0.1
    assert 0.15 < middle < 0.85
    assert math.isfinite(found["margin"][0])
