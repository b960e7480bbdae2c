"""Digits: every one shown is correct, or the request is refused."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mp, mpf

import replica as rp

BINARY = rp.formulas["binary-perceptron"]
SPHERICAL = rp.formulas["spherical-perceptron"]
SYMMETRIC = rp.formulas["symmetric-binary-perceptron"]

CAPACITY = "0.83307859973957923368908689326696590805213275"


@pytest.mark.parametrize("digits", [1, 2, 5, 15, 16, 17, 25, 44])
def test_every_digit_shown_is_correct(digits: int):
    found = rp.threshold(BINARY, "alpha_G", kappa=0, digits=digits)
    with mp.workdps(60):
        assert found.text == mpmath.nstr(mpf(CAPACITY), digits, strip_zeros=False)
        assert found.error <= mpf(10) ** -digits
    assert found.value == pytest.approx(float(CAPACITY), abs=found.error + 2e-16)


def test_more_digits_extend_the_fewer():
    short, long = (rp.threshold(SYMMETRIC, "alpha_AT", kappa=0.7, digits=d) for d in (20, 60))
    assert long.text.startswith(short.text[:-1])
    assert len(long.text.replace(".", "").lstrip("0")) == 60


def test_precise_and_double_agree():
    for formula, name, controls in (
        (BINARY, "alpha_G", {"kappa": -1}),
        (BINARY, "alpha_AT", {"kappa": 0.5}),
        (SPHERICAL, "alpha_G", {"kappa": 3}),
        (SPHERICAL, "alpha_AT", {"kappa": -0.75}),
        (SYMMETRIC, "alpha_G", {"kappa": 2}),
    ):
        double = rp.threshold(formula, name, **controls)
        precise = rp.threshold(formula, name, digits=18, **controls)
        with mp.workdps(30):
            assert abs(mpf(precise.text) - mpf(double.value)) <= double.error


@pytest.mark.parametrize("kappa", [-0.2, -0.125, -0.05])
def test_digits_where_the_overlap_is_close_to_one(kappa: float):
    """The integrand's features are narrow there: panels instead of the trapezoid."""
    double = rp.threshold(SPHERICAL, "alpha_AT", kappa=kappa)
    precise = rp.threshold(SPHERICAL, "alpha_AT", kappa=kappa, digits=16)
    with mp.workdps(30):
        assert abs(mpf(precise.text) - mpf(double.value)) <= double.error


@pytest.mark.parametrize("alpha", [1.2, 1.25])
def test_digits_of_a_saddle_close_to_its_end(alpha: float):
    double = rp.solve(BINARY, alpha=alpha)
    precise = rp.solve(BINARY, alpha=alpha, digits=16)
    for name in ("q", "qhat", "entropy", "replicon"):
        with mp.workdps(30):
            assert abs(mpf(precise.texts[name]) - mpf(double[name])) <= double.errors[name], name


def saddle_by_hand(alpha: Any) -> list[Any]:
    """Binary saddle at kappa = 0 in mpmath: fixed point by Newton on one variable."""

    def gaussian(f: Any) -> Any:
        h = mpf(1) / 20
        reach = int(11 / h)
        weight = h / mp.sqrt(2 * mp.pi)
        return sum(
            weight * mp.exp(-((k * h) ** 2) / 2) * f(k * h) for k in range(-reach, reach + 1)
        )

    def overlap(qhat: Any) -> Any:
        return gaussian(lambda t: mp.tanh(mp.sqrt(qhat) * t) ** 2)

    def force(q: Any) -> Any:
        def ratio(t: Any) -> Any:
            x = -mp.sqrt(q / (1 - q)) * t
            return (mp.npdf(x) / (mp.erfc(x / mp.sqrt(2)) / 2)) ** 2

        return alpha * gaussian(ratio) / (1 - q)

    qhat = mp.findroot(lambda x: force(overlap(x)) - x, (mpf("0.66"), mpf("0.68")), solver="secant")
    q = overlap(qhat)
    entropy = (
        (q - 1) * qhat / 2
        + gaussian(lambda t: mp.log(2 * mp.cosh(mp.sqrt(qhat) * t)))
        + alpha * gaussian(lambda t: mp.log(mp.erfc(-mp.sqrt(q / (1 - q)) * t / mp.sqrt(2)) / 2))
    )
    return [q, qhat, entropy]


def test_solution_with_digits_is_the_one_found_by_hand():
    found = rp.solve(BINARY, alpha=0.5, digits=22)
    with mp.workdps(32):
        for name, value in zip(("q", "qhat", "entropy"), saddle_by_hand(mpf("0.5")), strict=True):
            assert found.texts[name] == mpmath.nstr(value, 22, strip_zeros=False), name
    assert set(found.texts) == {"q", "qhat", "potential", "entropy", "replicon"}
    double = rp.solve(BINARY, alpha=0.5)
    for name in found.texts:
        assert abs(float(found.texts[name]) - double[name]) <= double.errors[name] + 1e-16


def test_numpy_integers_are_digits():
    assert rp.threshold(SYMMETRIC, "alpha_G", digits=np.int64(12)).text == "1.81587549584"


def test_a_threshold_that_does_not_exist_has_no_digits():
    with pytest.raises(rp.ThresholdNotFound):
        rp.threshold(SPHERICAL, "alpha_AT", kappa=1, digits=30)
    with pytest.raises(rp.ConvergenceError, match="NO_SADDLE"):
        rp.solve(BINARY, alpha=1.5, digits=30)


def test_precision_of_the_caller_is_left_alone():
    before = mp.dps
    rp.threshold(SYMMETRIC, "alpha_G", digits=50)
    assert mp.dps == before
    with mp.workdps(7):
        assert rp.threshold(SYMMETRIC, "alpha_G", digits=20).text == "1.8158754958372073036"
        assert rp.threshold(BINARY, "alpha_G", digits=20).text == "0.83307859973957923369"


def test_large_and_small_numbers_keep_their_digits():
    large = rp.threshold(SYMMETRIC, "alpha_G", kappa=5, digits=25)
    assert large.text == "1209040.957501388638080024"
    small = rp.threshold(SYMMETRIC, "alpha_AT", kappa=5, constraint="u", digits=20)
    assert small.text == "0.0014869986097564867715"
