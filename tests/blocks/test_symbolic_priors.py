"""Discrete priors whose probabilities are expressions in controls."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from sympy import Interval, Rational, Symbol, log, symbols

import replica as rp
from replica.numerics.kernel import compile_kernel

rho, bias = symbols("rho bias", positive=True)
x = Symbol("x", real=True)
g = Symbol("g", nonnegative=True)
DENSITY = rp.Control(rho, Interval.open(0, 1), Rational(1, 10), "fraction of non-zero weights")
TERNARY = rp.Discrete({-1: rho / 2, 0: 1 - rho, 1: rho / 2}, controls=[DENSITY])


def log_partition(r: float, g: float, law: dict[float, float]) -> float:
    return float(np.log(sum(p * np.exp(r * w - g * w * w / 2) for w, p in law.items())))


def free_entropy(g: float, law: dict[float, float]) -> float:
    """E over the teacher and the noise of the log-partition, by adaptive quadrature."""

    def over(z: float, w: float) -> float:
        weight = np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
        return float(weight * log_partition(g * w + np.sqrt(g) * z, g, law))

    return sum(p * quad(over, -12, 12, args=(w,), epsabs=1e-13)[0] for w, p in law.items())


def test_moments_and_entropy():
    assert TERNARY.second_moment == rho
    assert TERNARY.mean == 0
    assert TERNARY.entropy == -rho * log(rho / 2) - (1 - rho) * log(1 - rho)
    tilted = rp.Discrete({1: bias, -2: 1 - bias})
    assert tilted.mean == 3 * bias - 2
    assert tilted.second_moment == 4 - 3 * bias


@pytest.mark.parametrize("seed", range(5))
def test_referee_of_the_free_entropy_and_the_gap(seed: int):
    rng = np.random.default_rng(seed)
    share, precision = float(rng.uniform(0.01, 0.99)), float(10 ** rng.uniform(-1, 1))
    law = {-1.0: share / 2, 0.0: 1 - share, 1.0: share / 2}
    expressions = (TERNARY.free_entropy(g), TERNARY.mutual_information(g), TERNARY.gap(g))
    found = compile_kernel((rho, g), expressions)(share, precision)
    phi = free_entropy(precision, law)
    step = 1e-4
    slope = (free_entropy(precision + step, law) - free_entropy(precision - step, law)) / (2 * step)
    assert float(found[0]) == pytest.approx(phi, abs=1e-10)
    assert float(found[1]) == pytest.approx(share * precision / 2 - phi, abs=1e-10)
    assert float(found[2]) == pytest.approx(share - 2 * slope, abs=1e-7)


@pytest.mark.slow
def test_a_family_takes_the_control_from_its_block():
    glm = rp.formulas["bayes-optimal-glm"]
    symbolic = glm(prior=TERNARY, channel="sign")
    number = glm(prior=rp.Discrete([-1, 0, 1], [0.15, 0.7, 0.15]), channel="sign")
    assert symbolic.controls["rho"] == DENSITY
    for name in ("m", "mse", "potential"):
        expected = rp.solve(number, alpha=0.4)[name]
        assert rp.solve(symbolic, alpha=0.4, rho=0.3)[name] == pytest.approx(expected, abs=1e-12)
    expected = rp.threshold(number, "alpha_IT").value
    assert rp.threshold(symbolic, "alpha_IT", rho=0.3).value == pytest.approx(expected, abs=1e-12)
    line = rp.sweep(symbolic, "alpha_IT", rho=[0.1, 0.3])["alpha_IT"]
    assert line[1] == pytest.approx(expected, abs=1e-12)
    with pytest.raises(rp.DeclarationError, match="unbound symbol rho"):
        glm(prior=rp.Discrete({0: 1 - rho, 1: rho}), channel="sign").potential  # noqa: B018


def test_samples_follow_the_control():
    drawn = TERNARY.sample(np.random.default_rng(1), 40_000, {"rho": 0.2})
    assert np.mean(drawn == 1) == pytest.approx(0.1, abs=0.01)
    assert np.mean(drawn == 0) == pytest.approx(0.8, abs=0.01)


def test_a_mapping_of_numbers_is_the_same_law():
    mapping = rp.Discrete({-1: 0.25, 0: 0.5, 1: 0.25})
    assert mapping == rp.Discrete([-1, 0, 1], [0.25, 0.5, 0.25])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: rp.Discrete({0: rho, 1: rho}), "they sum to 2.rho"),
        (
            lambda: rp.Discrete(
                {0: 1 - 2 * rho, 1: 2 * rho},
                controls=[rp.Control(rho, Interval.open(0, 1), Rational(1, 10))],
            ),
            "the probability 1 - 2.rho is negative at rho = 0.625",
        ),
        (lambda: rp.Discrete({0: 1 - Symbol("p"), 1: Symbol("p")}), "declare its symbols with"),
        (lambda: rp.Discrete([1, 2]), "2 values and 0 probabilities"),
        (lambda: rp.Discrete({0: "a", 1: 0.3}), "is not a real number"),
        (lambda: rp.Discrete({0: 1.5, 1: -0.5}), "must be positive"),
    ],
)
def test_bad_probabilities(call, words):
    with pytest.raises(rp.ReplicaError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)
