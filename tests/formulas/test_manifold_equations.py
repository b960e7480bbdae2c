"""The hidden manifold against equations written again in numpy, and known mistakes.

They are in the ten order parameters of the paper, and in the closed form of Mei and Montanari;
neither uses the package.
"""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest
from referee.manifold import GCM, HMM, constants, shown, slow, solved, solved_grid
from sympy import Symbol

import replica as rp
from replica.blocks.activations import GaussianActivation
from replica.numerics.kernel import compile_kernel
from replica.numerics.precise import PreciseKernel

# ---- the equations in ten order parameters -------------------------------------------------------


def stieltjes(z: float, gamma: float, orthogonal: bool = False) -> tuple[float, float]:
    """Return the integrals of 1/(t + z) and 1/(t + z)^2 over the spectrum of F F^T / p."""
    if orthogonal:
        if gamma <= 1:
            return 1 / (1 + z), 1 / (1 + z) ** 2
        zero = 1 - 1 / gamma
        return zero / z + 1 / (gamma * (gamma + z)), zero / z**2 + 1 / (gamma * (gamma + z) ** 2)
    b = z + 1 - gamma
    r = math.sqrt(b * b + 4 * gamma * z)
    S = 2 / (b + r)
    return S, (gamma * S * S + S) / r


def channel_of_square(teacher: str, V: float, Q: float, M: float, rho: float) -> tuple[Any, ...]:
    s, second = (math.sqrt(2 / (math.pi * rho)), 1.0) if teacher == "sign" else (1.0, rho)
    return 1 / (1 + V), (second + Q - 2 * M * s) / (1 + V) ** 2, s / (1 + V)


def ten(
    n_d: float,
    p_d: float,
    lam: float,
    k1: float,
    ks: float,
    teacher: str = "sign",
    rho: float = 1.0,
    orthogonal: bool = False,
    reading: str = "",
) -> dict[str, float]:
    """Iterate the ten equations for the square loss; `reading` is a misprint to follow."""
    alpha, gamma = n_d / p_d, 1 / p_d
    V, Q, M = 1.0, 1.0, 0.5
    found: dict[str, float] = {}
    for _ in range(20000):
        aV, aq, am = channel_of_square(teacher, V, Q, M, rho)
        slope = 1 / (1 + V)  # of the proximal point
        response = slope / V if reading == "slope" else aV
        Vsh, qsh = alpha / gamma * k1**2 * response, alpha / gamma * k1**2 * aq
        msh, Vwh, qwh = alpha / gamma * k1 * am, alpha * ks**2 * response, alpha * ks**2 * aq
        z = (lam + Vwh) / Vsh
        S, T = stieltjes(z, gamma, orthogonal)
        cross = (S - z * T) / Vsh**2
        teacher_part = rho * msh**2 + qsh
        Vs, ms = (1 - z * S) / Vsh, rho * msh * (1 - z * S) / Vsh
        qs = teacher_part / Vsh**2 * (1 - 2 * z * S + z * z * T) + qwh * cross
        Vw = (1 - gamma + gamma * z * S) / (lam + Vwh)
        second = gamma * teacher_part * cross
        if reading == "plus":
            second = gamma * teacher_part * (z * z * T - z * S) / ((lam + Vwh) * Vsh)
        elif reading == "no gamma":
            second = teacher_part * cross
        qw = qwh / (lam + Vwh) ** 2 * (1 - gamma + gamma * z * z * T) + second
        new = (k1**2 * Vs + ks**2 * Vw, k1**2 * qs + ks**2 * qw, k1 * ms)
        change = max(abs(a - b) for a, b in zip(new, (V, Q, M), strict=True))
        V, Q, M = (0.5 * a + 0.5 * b for a, b in zip(new, (V, Q, M), strict=True))
        found = {"V_s": Vs, "q_s": qs, "m_s": ms, "V_w": Vw, "q_w": qw, "V": V, "q": Q, "m": M}
        if change < 1e-14:
            break
    found["mse"] = rho + Q - 2 * M
    return found


@pytest.mark.parametrize("features", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("teacher", ["sign", "linear"])
@pytest.mark.parametrize(
    ("name", "n_d", "p_d", "lam", "rho"),
    [("sign", 2.0, 2.5, 0.1, 1.0), ("tanh", 3.0, 0.7, 0.5, 1.0), ("erf", 0.6, 1.3, 0.02, 2.5)],
)
def test_the_ten_order_parameters_of_the_paper(
    name: str, n_d: float, p_d: float, lam: float, rho: float, teacher: str, features: str
) -> None:
    found = solved(
        loss="square",
        teacher=teacher,
        activation=name,
        features=features,
        samples_per_dimension=n_d,
        features_per_dimension=p_d,
        lambda_=lam,
        rho=rho,
    )
    expected = ten(n_d, p_d, lam, *constants(name), teacher, rho, features == "orthogonal")
    for key in ("V", "q", "m", "V_s", "q_s", "m_s", "V_w", "q_w"):
        assert found[key] == pytest.approx(expected[key], rel=1e-10), key


TEST_POINT = {
    "loss": "square",
    "teacher": "linear",
    "activation": "erf",
    "samples_per_dimension": 2,
    "features_per_dimension": 2.5,
    "lambda_": 0.1,
}


def test_the_point_that_tells_the_readings_apart() -> None:
    assert shown(solved(**TEST_POINT)["eps_g"], "0.175781")


@pytest.mark.parametrize(
    ("reading", "wrong"),
    [("slope", "0.376296"), ("plus", "0.098444"), ("no gamma", "0.237631"), ("", "0.175781")],
)
def test_misprints_have_fingerprints(reading: str, wrong: str) -> None:
    k1, ks = constants("erf")
    found = ten(2, 2.5, 0.1, k1, ks, "linear", reading=reading)
    assert shown(found["mse"], wrong)
    assert shown(solved(**TEST_POINT)["eps_g"], wrong) == (reading == "")


# ---- Mei and Montanari ---------------------------------------------------------------------------


def mei_montanari(
    psi1: float, psi2: float, zeta: float, penalty: float, noise: float = 0.0
) -> float:
    """Return the risk of random features regression on a linear target of unit norm."""
    s = math.sqrt(psi1 * psi2 * penalty)
    u, v = 1.0, 1.0
    for _ in range(100_000):
        product = 1 + zeta**2 * u * v
        new = psi1 / (s + v + zeta**2 * v / product), psi2 / (s + u + zeta**2 * u / product)
        change = max(abs(new[0] - u) / u, abs(new[1] - v) / v)
        u, v = math.sqrt(new[0] * u), math.sqrt(new[1] * v)
        if change < 1e-16:
            break
    x, z2 = -u * v, zeta**2
    E0 = (
        -(x**5) * z2**3
        + 3 * x**4 * z2**2
        + (psi1 * psi2 - psi2 - psi1 + 1) * x**3 * z2**3
        - 2 * x**3 * z2**2
        - 3 * x**3 * z2
        + (psi1 + psi2 - 3 * psi1 * psi2 + 1) * x**2 * z2**2
        + 2 * x**2 * z2
        + x**2
        + 3 * psi1 * psi2 * x * z2
        - psi1 * psi2
    )
    E1 = psi2 * x**3 * z2**2 - psi2 * x**2 * z2 + psi1 * psi2 * x * z2 - psi1 * psi2
    E2 = (
        x**5 * z2**3
        - 3 * x**4 * z2**2
        + (psi1 - 1) * x**3 * z2**3
        + 2 * x**3 * z2**2
        + 3 * x**3 * z2
        + (-psi1 - 1) * x**2 * z2**2
        - 2 * x**2 * z2
        - x**2
    )
    return E1 / E0 + noise * E2 / E0


@pytest.mark.slow
def test_regression_is_the_closed_form_of_mei_and_montanari() -> None:
    rng = np.random.default_rng(11)
    for name in ("erf", "relu", "sign"):
        k1, ks = constants(name)
        n_d, p_d = np.exp(rng.uniform(-1.5, 1.5, (2, 8)))
        lam, noise = np.exp(rng.uniform(-3, 1, 8)), rng.uniform(0, 0.5, 8)
        found = solved_grid(name, n_d, p_d, lam, noise)
        for k in range(8):
            penalty = lam[k] / n_d[k] / ks**2
            expected = mei_montanari(p_d[k], n_d[k], k1 / ks, penalty, noise[k])
            assert found[k] == pytest.approx(expected, rel=1e-10)


# ---- one formula ---------------------------------------------------------------------------------


def given_covariances(p: int, d: int, name: str) -> tuple[Any, rp.Covariances]:
    rng = np.random.default_rng(21)
    F = rng.standard_normal((d, p))
    found = GaussianActivation.shipped[name]
    kernel = compile_kernel((Symbol("_"),), (found.kappa1, found.noise))
    k1, noise = (float(x) for x in kernel(0.0, refinement=1))
    omega = k1**2 * F.T @ F / d + noise * np.eye(p)
    values, vectors = np.linalg.eigh(F.T @ F / d)
    # the teacher that is spread evenly over the hidden space
    cross = vectors @ (k1 * np.sqrt(np.maximum(values, 0) / d))
    return F, rp.Covariances(omega, cross, 1.0)


@pytest.mark.parametrize("loss", ["square", pytest.param("logistic", marks=slow)])
def test_the_hidden_manifold_is_a_covariate_model(loss: str) -> None:
    p, d = 40, 25
    F, inputs = given_covariances(p, d, "tanh")
    one = rp.solve(
        HMM,
        loss=loss,
        activation="tanh",
        features=rp.FeatureMatrix(F),
        samples_per_dimension=3,
        lambda_=0.2,
    )
    two = rp.solve(GCM, loss=loss, inputs=inputs, samples_per_feature=3 * d / p, lambda_=0.2)
    for key in ("V", "q", "m", "eps_g", "training_loss", "test_loss", "training_objective"):
        assert one[key] == pytest.approx(two[key], rel=1e-10), key
    assert one["q_w"] == pytest.approx(two["norm"], rel=1e-10)
    edges = (
        rp.threshold(HMM, "separability", activation="tanh", features=rp.FeatureMatrix(F)).value,
        rp.threshold(GCM, "separability", inputs=inputs).value * p / d,
    )
    assert edges[0] == pytest.approx(edges[1], rel=1e-10)


@slow
def test_a_large_matrix_has_the_risk_of_its_law() -> None:
    F = np.random.default_rng(0).standard_normal((500, 1000))
    given = {"loss": "logistic", "activation": "erf", "samples_per_dimension": 3, "lambda_": 0.1}
    drawn = rp.solve(HMM, features=rp.FeatureMatrix(F), **given)
    limit = rp.solve(HMM, features_per_dimension=2, **given)
    assert drawn["eps_g"] == pytest.approx(limit["eps_g"], rel=2e-3)
    assert drawn.errors["eps_g"] < 1e-9


@pytest.mark.slow
def test_identity_covariance_is_empirical_risk() -> None:
    p = 20
    cross = np.zeros(p)
    cross[3] = 1.0
    inputs = rp.Covariances(np.eye(p), cross, 1.0)
    two = rp.solve(GCM, loss="logistic", inputs=inputs, samples_per_feature=2, lambda_=0.1)
    # the teacher's direction weighs as much as all others: in p dimensions they are alike
    one = rp.solve(rp.formulas["empirical-risk"], loss="logistic", alpha=2, lambda_=0.1)
    for key in ("V", "q", "m", "eps_g", "training_loss"):
        assert two[key] == pytest.approx(one[key], rel=1e-9), key


@pytest.mark.parametrize(
    ("loss", "teacher"),
    [
        ("square", "sign"),
        pytest.param("logistic", "sign", marks=slow),
        pytest.param("huber", "linear", marks=slow),
    ],
)
def test_equations_are_derivatives_of_the_potential(loss: str, teacher: str) -> None:
    # the updates are theorems: check them against differences of the potential in mpmath
    formula = HMM(loss=loss, teacher=teacher, activation="sign")
    controls = [c.symbol for c in formula.controls.values()]
    place = {"V": 0.7, "q": 1.3, "m": 0.6, "qhat": 0.4, "Vhat": 0.9, "mhat": 0.8}
    numbers = {"lambda": 0.3, "rho": 1.1, "Delta": 0.0}
    numbers |= {"samples_per_dimension": 2.0, "features_per_dimension": 1.4}
    kernel = PreciseKernel(
        (*formula.unknowns, *controls), (formula.potential, *formula.residuals.values())
    )
    at = [place[s.name] for s in formula.unknowns] + [numbers[s.name] for s in controls]
    values, _ = kernel(at, digits=20)
    residuals = dict(zip((s.name for s in formula.unknowns), values[1:], strict=True))
    # d phi / d unknown, by central differences, and what it says of the other of the pair
    slopes = {}
    for k, symbol in enumerate(formula.unknowns):
        sides = []
        for h in (1e-6, -1e-6):
            moved = list(at)
            moved[k] += h
            sides.append(kernel(moved, digits=20)[0][0])
        slopes[symbol.name] = float((sides[0] - sides[1]) / 2e-6)
    pairs = {"V": ("qhat", 2), "qhat": ("V", 2), "q": ("Vhat", -2), "Vhat": ("q", -2)}
    pairs |= {"m": ("mhat", 1), "mhat": ("m", 1)}
    for varied, (unknown, factor) in pairs.items():
        assert float(residuals[unknown]) == pytest.approx(factor * slopes[varied], abs=2e-8), (
            loss,
            varied,
        )


def test_the_training_objective_is_loss_and_penalty() -> None:
    for loss in ("square", "hinge"):
        found = solved(
            loss=loss,
            activation="erf",
            samples_per_dimension=3,
            features_per_dimension=2,
            lambda_=0.3,
        )
        alpha = 1.5
        expected = found["training_loss"] + 0.3 * found["q_w"] / (2 * alpha)
        assert found["training_objective"] == pytest.approx(expected, rel=1e-9)
        assert found["test_loss"] > found["training_loss"]


def test_formulas_travel_and_show() -> None:
    F, inputs = given_covariances(8, 5, "erf")
    for formula in (
        HMM(activation="tanh", features=rp.FeatureMatrix(F)),
        GCM(inputs=inputs, loss="square"),
    ):
        again = pickle.loads(pickle.dumps(formula))
        assert again == formula
        assert r"\left\langle" in formula._repr_latex_()
        assert "Risk minimisation on" in repr(formula)
