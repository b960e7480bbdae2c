"""Risk minimisation with a teacher of one's own, and with those that no linear student learns."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, optimize, stats
from sympy import Heaviside, Rational, Symbol, erfc, exp, pi, sqrt, tanh

import replica as rp

z, y = Symbol("z", real=True), Symbol("y", real=True)


def two_labels(law, name: str) -> rp.DiscreteChannel:
    return rp.DiscreteChannel({s: law(s) for s in (-1, 1)}, z, name=name)


SIGN = two_labels(lambda s: Heaviside(s * z), "my sign")
SHIFTED = two_labels(lambda s: Heaviside(s * (z - 1)), "shifted")
FLIPPED = two_labels(lambda s: Rational(9, 10) * Heaviside(s * z) + Heaviside(-s * z) / 10, "flip")
PROBIT = two_labels(lambda s: erfc(-s * z / sqrt(2)) / 2, "my probit")
LOGISTIC = two_labels(lambda s: (1 + s * tanh(z / 2)) / 2, "my logistic")
COUNTS = rp.DiscreteChannel({0: Heaviside(-z), 1: Heaviside(z)}, z, name="zero and one")
NOISY = rp.ContinuousChannel(exp(-((y - z) ** 2) / 2) / sqrt(2 * pi), y, z)

ASKED = {
    "empirical-risk": ("alpha_sep", {"alpha": 2, "lambda_": 0.1}, {}),
    "hidden-manifold": (
        "separability",
        {"samples_per_dimension": 2, "features_per_dimension": 1, "lambda_": 0.1},
        {"features_per_dimension": 1},
    ),
    "gaussian-covariates": ("separability", {"samples_per_feature": 2, "lambda_": 0.1}, {}),
}


@pytest.mark.parametrize("family", ASKED)
@pytest.mark.parametrize(
    ("mine", "shipped"),
    [
        pytest.param(SIGN, "sign", id="sign"),
        pytest.param(PROBIT, "probit", id="probit", marks=pytest.mark.slow),
        pytest.param(LOGISTIC, "logistic", id="logistic", marks=pytest.mark.slow),
    ],
)
def test_a_law_written_down_is_the_shipped_one(family, mine, shipped):
    name, at, fixed = ASKED[family]
    found, expected = (
        rp.solve(rp.formulas[family], loss="square", teacher=t, **at) for t in (mine, shipped)
    )
    for quantity in ("m", "q", "V", "eps_g", "test_error"):
        assert found[quantity] == pytest.approx(expected[quantity], rel=1e-9)
    if family == "empirical-risk" and shipped == "sign":
        for teacher in (mine, shipped):
            with pytest.raises(rp.ThresholdNotFound, match="separable at every alpha"):
                rp.threshold(rp.formulas[family], name, teacher=teacher)
        return
    end, known = (
        rp.threshold(rp.formulas[family], name, teacher=t, **fixed) for t in (mine, shipped)
    )
    assert end.value == pytest.approx(known.value, rel=1e-11)


def wrong_way(t: float, up) -> float:
    """Return the largest share of weights per pattern that does not separate, at slope t."""

    def body(x: float) -> float:
        total = 0.0
        for s, chance in ((1, up(x)), (-1, 1 - up(x))):
            a = t * s * x
            total += chance * ((1 + a**2) * stats.norm.sf(a) - a * stats.norm.pdf(a))
        return total * stats.norm.pdf(x)

    return sum(integrate.quad(body, *piece, epsabs=1e-13)[0] for piece in PIECES)


PIECES = [(-12, 0), (0, 1), (1, 12)]


@pytest.mark.parametrize(
    ("teacher", "up"),
    [(FLIPPED, lambda x: 0.9 if x > 0 else 0.1), (SHIFTED, lambda x: float(x > 1))],
    ids=["flipped", "shifted"],
)
def test_how_far_other_labels_are_separable(teacher, up):
    least = optimize.minimize_scalar(
        lambda t: wrong_way(t, up), bounds=(0, 5), method="bounded", options={"xatol": 1e-9}
    )
    found = rp.threshold(rp.formulas["empirical-risk"], "alpha_sep", teacher=teacher)
    assert found.value == pytest.approx(1 / least.fun, rel=1e-9)


def test_ridge_with_flipped_labels():
    """The square loss sees two moments of the labels alone: that of y z is 0.8 sqrt(2 / pi)."""
    alpha, penalty = 2.0, 0.1
    found = rp.solve(
        rp.formulas["empirical-risk"], loss="square", teacher=FLIPPED, alpha=alpha, lambda_=penalty
    )
    slope, excess = 0.8 * np.sqrt(2 / np.pi), alpha + penalty - 1
    response = 2 / (excess + np.sqrt(excess**2 + 4 * penalty))
    signal = alpha * slope * response / (1 + response)
    gain = alpha * (response / (1 + response)) ** 2
    norm = (signal**2 + gain * (1 - 2 * signal * slope)) / (1 - gain)
    assert found.V == pytest.approx(response, rel=1e-12)
    assert found.m == pytest.approx(signal, rel=1e-12)
    assert found.q == pytest.approx(norm, rel=1e-12)


@pytest.mark.parametrize("family", ASKED)
@pytest.mark.parametrize(
    ("teacher", "words"),
    [
        (rp.Door(), "learns nothing of the teacher door"),
        (rp.Absolute(), "learns nothing of the teacher abs"),
        (rp.ReLU(), "labels -1 and 1, or a linear one, not relu"),
        (COUNTS, "labels -1 and 1, or a linear one, not zero and one"),
        (NOISY, "labels -1 and 1, or a linear one, not continuous"),
    ],
    ids=str,
)
def test_those_that_cannot_teach_are_refused(family, teacher, words):
    with pytest.raises(rp.DeclarationError, match=words) as caught:
        rp.solve(rp.formulas[family], teacher=teacher, **ASKED[family][1])
    assert "\n" not in str(caught.value)


def test_no_error_of_the_sign_where_labels_are_no_sign():
    assert "eps_bayes" in rp.formulas["bayes-optimal-glm"](channel="probit").observables
    assert "eps_bayes" not in rp.formulas["bayes-optimal-glm"](channel=FLIPPED).observables
