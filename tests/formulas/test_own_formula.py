"""A potential of one's own, written as in the README: weights in {-1, 0, 1}.

The same system is written a second time in numpy, without this package, as the check.
"""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf
from scipy import optimize, special
from sympy import Interval, exp, log, oo, sqrt, symbols

import replica as rp
from replica.numerics.precise import PreciseKernel


def ternary_perceptron() -> rp.Formula:
    """Return the perceptron whose weights may vanish; Q = E w^2, q the overlap of two solutions."""
    alpha, kappa, Qhat, h, u, w = symbols("alpha kappa Qhat h u w", real=True)
    Q, q, qhat = symbols("Q q qhat", nonnegative=True)
    weights = log(rp.LabelSum(exp((Qhat - qhat) * w**2 / 2 + h * w), (w, (-1, 0, 1))))
    patterns = rp.LogH((kappa - u) / sqrt(Q - q))
    entropy = (q * qhat - Q * Qhat) / 2 + rp.Mean(weights, (h, qhat))
    entropy += alpha * rp.Mean(patterns, (u, q))
    return rp.Formula(
        name="ternary-perceptron",
        title="Storage capacity of the ternary perceptron",
        potential=entropy,
        overlaps={Q: Interval.open(0, 1), q: Interval.Ropen(0, Q)},
        conjugates={Q: Qhat, q: qhat},
        controls={alpha: (Interval.open(0, oo), None), kappa: (Interval(-10, 10), 0)},
        observables={"entropy": entropy},
        thresholds={"alpha_G": rp.Root("entropy", in_=alpha)},
    )


TERNARY = ternary_perceptron()

# ---- the same in numpy --------------------------------------------------------------------------

T = np.linspace(-10, 10, 801)
DENSITY = np.exp(-(T**2) / 2) / np.sqrt(2 * np.pi) * (T[1] - T[0])


def conditions(kappa: float, Q: float, q: float, Qhat: float, qhat: float, alpha: float) -> Any:
    """Return residuals of the four saddle-point equations, and the entropy."""
    h = np.sqrt(qhat) * T
    active = np.logaddexp(h, -h) + (Qhat - qhat) / 2  # log weight of w = 1 or -1
    log_sum = np.logaddexp(0, active)
    share = np.exp(active - log_sum)  # E w^2 given the field
    x = (kappa - np.sqrt(q) * T) / np.sqrt(Q - q)
    log_tail = special.log_ndtr(-x)
    ratio = np.exp(-(x**2) / 2 - log_tail) / np.sqrt(2 * np.pi)
    entropy = (q * qhat - Q * Qhat) / 2 + DENSITY @ log_sum + alpha * DENSITY @ log_tail
    return np.array(
        [
            Q - DENSITY @ share,
            q - DENSITY @ (share * np.tanh(h)) ** 2,
            qhat - alpha * DENSITY @ ratio**2 / (Q - q),
            Qhat - alpha * DENSITY @ (ratio * x) / (Q - q),
            entropy,
        ]
    )


def saddle_by_hand(alpha: float, kappa: float) -> np.ndarray:
    start = np.array([0.667, 0.01, 0.01, 0.01])
    for step in np.linspace(0, alpha, 9)[1:]:
        found = optimize.root(lambda z, a=step: conditions(kappa, *z, a)[:4], start, tol=1e-13)
        start = found.x
    assert np.abs(found.fun).max() < 1e-11
    return found.x


def capacity_by_hand(kappa: float, start: list[float]) -> float:
    found = optimize.root(lambda z: conditions(kappa, *z), start, tol=1e-13)
    assert np.abs(found.fun).max() < 1e-11
    return float(found.x[4])


NEAR_CAPACITY = {
    0.0: [0.63, 0.454, 9.7, 13.5, 1.17],
    0.5: [0.772, 0.622, 20.6, 23.3, 0.556],
    1.0: [0.844, 0.718, 34.4, 36.4, 0.307],
    2.0: [0.914, 0.828, 80.8, 82.2, 0.123],
    3.0: [0.9468, 0.8867, 172.0, 173.0, 0.0626],
}

# ---- tests --------------------------------------------------------------------------------------


def test_equations_are_finite_differences_of_the_potential():
    controls = [control.symbol for control in TERNARY.controls.values()]
    arguments = (*TERNARY.unknowns, *controls)
    potential = PreciseKernel(arguments, (TERNARY.potential,))
    residuals = PreciseKernel(arguments, tuple(TERNARY.residuals.values()))
    at = dict(zip(map(str, TERNARY.unknowns), (0.7, 0.4, 0.8, 1.1), strict=True))
    with mp.workdps(35):
        values = [mpf(at[str(s)]) if str(s) in at else mpf("0.6") for s in arguments]
        found, _ = residuals(values, 24)
        step = mpf(10) ** -6

        def slope(k: int) -> Any:
            sides = []
            for side in (1, -1):
                moved = list(values)
                moved[k] += side * step
                sides.append(potential(moved, 24)[0][0])
            return (sides[0] - sides[1]) / (2 * step)

        names = [str(s) for s in arguments]
        pairing = {"Q": -mpf(1) / 2, "q": mpf(1) / 2}
        for overlap, hat in (("Q", "Qhat"), ("q", "qhat")):
            for unknown, varied in ((overlap, hat), (hat, overlap)):
                # d phi / d varied = pairing * (unknown - update)
                expected = -slope(names.index(varied)) / pairing[overlap]
                k = [str(s) for s in TERNARY.residuals].index(unknown)
                assert abs(found[k] - expected) < mpf(10) ** -10


def test_equations_are_those_written_by_hand():
    from replica.numerics.kernel import compile_kernel

    controls = [control.symbol for control in TERNARY.controls.values()]
    arguments = (*TERNARY.unknowns, *controls)
    kernel = compile_kernel(arguments, (*TERNARY.residuals.values(), TERNARY.potential))
    rng = np.random.default_rng(1)
    for _ in range(10):
        Q = rng.uniform(0.2, 0.95)
        z = {
            "Q": Q,
            "q": Q * rng.uniform(0.1, 0.8),
            "Qhat": rng.normal(),
            "qhat": rng.uniform(0, 3),
        }
        alpha, kappa = rng.uniform(0.1, 2), rng.normal()
        values = [z[str(s)] for s in TERNARY.unknowns]
        found = dict(zip(map(str, TERNARY.residuals), kernel(*values, alpha, kappa), strict=False))
        expected = conditions(kappa, z["Q"], z["q"], z["Qhat"], z["qhat"], alpha)
        for name, value in zip(("Q", "q", "qhat", "Qhat"), expected, strict=False):
            assert float(found[name]) == pytest.approx(-value, rel=1e-12, abs=1e-12), name
        potential = kernel(*values, alpha, kappa)[-1]
        assert float(potential) == pytest.approx(expected[4], abs=1e-12)


def test_no_pattern_leaves_all_weights():
    found = rp.solve(TERNARY, alpha=1e-9)
    assert found["entropy"] == pytest.approx(np.log(3), abs=1e-8)
    assert found["Q"] == pytest.approx(2 / 3, abs=1e-8)
    assert found["q"] == pytest.approx(0, abs=1e-8)
    # the first pattern takes log 2
    found = rp.solve(TERNARY, alpha=1e-4)
    assert (found["entropy"] - np.log(3)) / 1e-4 == pytest.approx(-np.log(2), rel=1e-3)


@pytest.mark.parametrize(("alpha", "kappa"), [(0.4, 0.0), (1.0, 0.0), (0.25, 1.0), (0.8, -0.3)])
def test_saddle_is_the_one_found_by_hand(alpha: float, kappa: float):
    found = rp.solve(TERNARY, alpha=alpha, kappa=kappa)
    Q, q, Qhat, qhat = saddle_by_hand(alpha, kappa)
    assert found["Q"] == pytest.approx(Q, abs=1e-10)
    assert found["q"] == pytest.approx(q, abs=1e-10)
    assert found["Qhat"] == pytest.approx(Qhat, abs=1e-8)
    assert found["qhat"] == pytest.approx(qhat, abs=1e-8)
    entropy = conditions(kappa, Q, q, Qhat, qhat, alpha)[4]
    assert found["entropy"] == pytest.approx(entropy, abs=1e-11)


def test_zero_weights_never_hurt():
    """More weights than the binary ones: more entropy, more capacity."""
    binary = rp.formulas["binary-perceptron"]
    for alpha in (0.2, 0.8):
        assert rp.solve(TERNARY, alpha=alpha)["entropy"] > rp.solve(binary, alpha=alpha)["entropy"]


def check_capacity(kappa: float) -> None:
    found = rp.threshold(TERNARY, "alpha_G", kappa=kappa)
    expected = capacity_by_hand(kappa, NEAR_CAPACITY[kappa])
    assert found.value == pytest.approx(expected, rel=1e-10)
    assert found.error < 1e-11
    assert found.status == rp.Status.CONVERGED
    binary = rp.threshold(rp.formulas["binary-perceptron"], "alpha_G", kappa=kappa)
    assert found.value > binary.value
    there = conditions(kappa, *(found.overlaps[n] for n in ("Q", "q", "Qhat", "qhat")), found.value)
    assert np.abs(there).max() < 1e-9


def test_capacity_is_the_one_found_by_hand():
    check_capacity(0.0)


@pytest.mark.parametrize("kappa", [0.5, 1.0, 2.0, 3.0])
def test_capacity_at_other_margins_is_the_one_found_by_hand(kappa: float):
    check_capacity(kappa)


@pytest.mark.slow
def test_no_capacity_at_negative_margin():
    """The zero weight vector satisfies every pattern: the entropy never vanishes."""
    with pytest.raises(rp.ThresholdNotFound, match="entropy"):
        rp.threshold(TERNARY, "alpha_G", kappa=-0.5)


# From the equations above written by hand in mpmath, with the trapezoid at 45 digits.
THIRTY_DIGITS = "1.17448191045571179890014622567"


@pytest.mark.slow
def test_thirty_digits_of_the_capacity():
    found = rp.threshold(TERNARY, "alpha_G", kappa=0, digits=30)
    assert found.text == THIRTY_DIGITS
    assert found.error < 1e-30
    assert found.value == float(THIRTY_DIGITS)


def test_the_formula_is_as_good_as_a_registered_one():
    assert pickle.loads(pickle.dumps(TERNARY)) == TERNARY
    assert r"\mathbb{E}" in TERNARY._repr_latex_()
    assert TERNARY == ternary_perceptron()
    assert hash(TERNARY) == hash(ternary_perceptron())
    grid = rp.solve(TERNARY, alpha=np.linspace(0.05, 1.1, 7))
    assert grid.converged.all()
    assert np.all(np.diff(grid["entropy"]) < 0)
    assert np.all(np.diff(grid["q"]) > 0)
