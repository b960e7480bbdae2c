"""Every figure that the hidden manifold must reach; controls, and bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from referee.manifold import GCM, HMM, shown, slow
from scipy import optimize

import replica as rp

# ---- figures -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "features", "lam", "errors"),
    [
        ("square", "gaussian", 1e-4, (".366414", ".338341", ".452036", ".281384")),
        ("logistic", "gaussian", 1e-4, (".367326", ".334483", ".267172", ".216144")),
        pytest.param(
            "logistic",
            "orthogonal",
            1e-4,
            (".347736", ".293676", ".245542", ".205912"),
            marks=slow,
        ),
    ],
)
def test_double_descent_in_figures(
    loss: str, features: str, lam: float, errors: tuple[str, ...]
) -> None:
    ratio = np.array([0.2, 0.5, 1, 2])
    found = rp.solve(
        HMM,
        loss=loss,
        activation="sign",
        features=features,
        samples_per_dimension=3,
        samples_per_feature=1 / ratio,
        lambda_=lam,
    )
    assert found.converged.all()
    for value, text in zip(found["eps_g"], errors, strict=True):
        assert shown(value, text), value


def test_phase_diagram_in_figures() -> None:
    lam = np.array([[1e-4], [1e-2], [1.0]])
    found = rp.solve(
        HMM,
        loss="square",
        activation="erf",
        features_per_dimension=10,
        samples_per_feature=np.array([0.5, 1, 2]),
        lambda_=lam,
    )["eps_g"]
    rows = (
        (".227466", ".376832", ".209619"),
        (".175885", ".186571", ".167655"),
        (".130320", ".090809", ".067005"),
    )
    for values, texts in zip(found, rows, strict=True):
        assert all(shown(v, t) for v, t in zip(values, texts, strict=True)), values


@pytest.mark.parametrize(
    ("loss", "where", "height"),
    [("square", ".99942", ".452041"), ("logistic", ".37720", ".361760")],
)
def test_peaks_of_the_error(loss: str, where: str, height: str) -> None:
    def error(ratio: float) -> float:
        given = {"samples_per_dimension": 3, "features_per_dimension": 3 * ratio, "lambda_": 1e-4}
        return float(
            rp.solve(HMM, loss=loss, activation="sign", observables=("eps_g",), **given)["eps_g"]
        )

    middle = float(where)
    found = optimize.minimize_scalar(
        lambda r: -error(r),
        bounds=(0.98 * middle, 1.02 * middle),
        method="bounded",
        options={"xatol": 1e-7},
    )
    assert shown(found.x, where)
    assert shown(-found.fun, height)


@slow
def test_orthogonal_features_err_less() -> None:
    for loss in ("square", "logistic"):
        both = [
            rp.solve(
                HMM,
                loss=loss,
                activation="erf",
                features=features,
                samples_per_dimension=3,
                samples_per_feature=1 / np.array([0.2, 0.5, 1, 2]),
                lambda_=0.1,
                observables=("eps_g",),
            )["eps_g"]
            for features in ("orthogonal", "gaussian")
        ]
        assert (both[0] < both[1]).all()


@pytest.mark.parametrize("ratio", [0.36, 0.365, 0.367731, 0.37, 0.38])
@pytest.mark.parametrize("lam", [1e-4, 1e-6])
def test_near_separability_it_converges_and_says_how(ratio: float, lam: float) -> None:
    found = rp.solve(
        HMM,
        loss="logistic",
        activation="sign",
        samples_per_dimension=3,
        features_per_dimension=3 * ratio,
        lambda_=lam,
    )
    assert found.status == rp.Status.CONVERGED
    assert found.errors["eps_g"] < 1e-9
    assert 0.35 < found["eps_g"] < 0.37
    assert "converged" in repr(found)


@slow
def test_a_kink_of_the_loss_and_a_noisy_teacher() -> None:
    given = {"samples_per_dimension": 3, "features_per_dimension": 2, "lambda_": 0.1}
    hinge = rp.solve(HMM, loss="hinge", activation="relu", **given)
    assert hinge.errors["eps_g"] < 1e-9
    noisy = rp.solve(HMM, loss="hinge", activation="relu", Delta=0.5, **given)
    assert noisy["eps_g"] > hinge["eps_g"]
    assert noisy["test_error"] > noisy["eps_g"]
    probit = rp.solve(HMM, loss="square", teacher="probit", activation="relu", **given)
    signs = rp.solve(HMM, loss="square", teacher="sign", activation="relu", Delta=1, **given)
    assert probit["eps_g"] == pytest.approx(signs["eps_g"], abs=1e-12)


# ---- tuned penalties -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "ratio", "error"),
    [
        ("square", 0.5, ".29666"),
        ("square", 1, ".24943"),
        pytest.param("logistic", 1, ".24775", marks=slow),
    ],
)
def test_no_peak_at_the_best_penalty(loss: str, ratio: float, error: str) -> None:
    found = rp.optimise(
        HMM(loss=loss, activation="sign"),
        "eps_g",
        over="lambda_",
        samples_per_dimension=3,
        features_per_dimension=3 * ratio,
    )
    assert shown(found.value, error)


# ---- controls and bad input ----------------------------------------------------------------------


def test_any_consistent_pair_of_ratios() -> None:
    rest = {"loss": "square", "activation": "erf", "lambda_": 0.1}
    pairs = (
        {"samples_per_dimension": 3, "features_per_dimension": 2},
        {"samples_per_dimension": 3, "samples_per_feature": 1.5},
        {"features_per_dimension": 2, "samples_per_feature": 1.5},
        {"samples_per_dimension": 3, "features_per_dimension": 2, "samples_per_feature": 1.5},
    )
    errors = {rp.solve(HMM, **pair, **rest)["eps_g"] for pair in pairs}
    assert len(errors) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"samples_per_dimension": 3, "features_per_dimension": 2, "samples_per_feature": 2},
            "samples_per_feature = 2 contradicts features_per_dimension = 2, "
            "samples_per_dimension = 3, which give 1.5",
        ),
        (
            {"samples_per_feature": 2},
            "leaves features_per_dimension and samples_per_dimension open",
        ),
        ({"samples_per_dimension": 2}, "features_per_dimension is missing"),
        ({"samples_per_dimension": 2, "samples_per_feature": -1}, "outside"),
        ({"samples_per_dimension": 2, "samples_per_feature": "1"}, "not a real number"),
        ({"samples_per_dimension": 2, "features_per_dimension": 1, "lambda_": 0}, "outside"),
        ({"samples_per_dimension": 2, "features_per_dimension": 1, "lambda_": -1}, "outside"),
        (
            {"samples_per_dimension": [1, 2, 3], "samples_per_feature": [1, 2]},
            "do not broadcast",
        ),
    ],
)
def test_bad_controls(given: dict[str, Any], message: str) -> None:
    with pytest.raises(rp.ControlError, match=message) as caught:
        rp.solve(HMM, **{"lambda_": 0.1, **given})
    assert "\n" not in str(caught.value)


def test_a_given_matrix_fixes_its_ratio() -> None:
    F = np.random.default_rng(1).standard_normal((4, 6))
    given = {"features": rp.FeatureMatrix(F), "loss": "square", "lambda_": 0.1}
    found = rp.solve(HMM, samples_per_feature=2, features_per_dimension=1.5, **given)
    assert found.controls["samples_per_dimension"] == pytest.approx(3)
    with pytest.raises(rp.ControlError, match=r"contradicts the features, which give 1\.5"):
        rp.solve(HMM, samples_per_dimension=2, features_per_dimension=2, **given)


def test_thresholds_refuse_what_they_determine() -> None:
    with pytest.raises(rp.ControlError, match="does not take samples_per_feature"):
        rp.threshold(HMM, "separability", features_per_dimension=1, samples_per_feature=2)
    with pytest.raises(rp.ControlError, match="does not take samples_per_dimension"):
        rp.threshold(HMM, "separability", features_per_dimension=1, samples_per_dimension=2)


def test_unknown_names_list_the_near_ones() -> None:
    with pytest.raises(rp.UnknownName, match="did you mean samples_per_feature"):
        rp.solve(HMM, samples_per_featur=1)
    with pytest.raises(rp.UnknownName, match="did you mean logistic"):
        rp.solve(HMM, loss="logistics")
    with pytest.raises(rp.UnknownName, match="did you mean power-law"):
        rp.solve(GCM, inputs="powerlaw")
    with pytest.raises(rp.ControlError, match="teacher"):
        HMM(teacher=3)


def test_a_line_of_a_sweep_in_a_related_control() -> None:
    grid = rp.sweep(
        HMM,
        "eps_g",
        loss="square",
        activation="sign",
        samples_per_dimension=3,
        samples_per_feature=[0.5, 1, 2],
        lambda_=[0.1, 1.0],
        progress=False,
    )
    assert grid.dims == ("lambda_", "features_per_dimension")
    assert np.allclose(grid["features_per_dimension"], [6, 3, 1.5])
    assert np.isfinite(grid["eps_g"]).all()
    with pytest.raises(rp.ControlError, match="are both arrays"):
        rp.sweep(
            HMM,
            samples_per_dimension=[1, 2],
            samples_per_feature=[1, 2],
            lambda_=0.1,
            progress=False,
        )
