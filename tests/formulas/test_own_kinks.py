"""Formulas of a user with kinks as they are written: LASSO, and ground states of a step loss."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import erfc
from sympy import Abs, Heaviside, Interval, Max, Min, oo, symbols

import replica as rp

alpha, density, lam, Delta = symbols("alpha density lambda Delta", real=True)
q, m, V, qhat, mhat, Vhat = symbols("q m V qhat mhat Vhat", nonnegative=True)
X = symbols("X", positive=True)
h = symbols("h", real=True)


def lasso() -> rp.Formula:
    """Minimum of |y - X w|^2 / 2 + lambda |w|_1 per weight, y of Gauss-Bernoulli weights."""

    def weight(variance):
        return rp.Mean(Max(Abs(h) - lam, 0) ** 2 / (2 * Vhat), (h, variance))

    weights = (1 - density) * weight(qhat) + density * weight(qhat + mhat**2)
    error = density + Delta - 2 * m + q
    return rp.Formula(
        name="lasso",
        title="LASSO",
        potential=weights - m * mhat + (q * Vhat - V * qhat) / 2 - alpha * error / (2 * (1 + V)),
        overlaps={m: Interval(0, oo), q: Interval(0, oo), V: Interval.open(0, oo)},
        conjugates={m: mhat, q: Vhat, V: qhat},
        controls={
            alpha: (Interval.open(0, oo), None),
            density: (Interval(0, 1), 0.1),
            lam: (Interval.open(0, oo), 0.1),
            Delta: (Interval(0, oo), 0.01),
        },
        starts={"uninformed": {m: 0.01, q: 0.05, V: 1}},
        observables={"mse": density - 2 * m + q},
    )


def state_evolution(alpha, density, penalty, noise):
    """Mean squared error and response of soft thresholding, by scipy's quadrature."""
    mse, response = density, 1.0
    for _ in range(5000):
        spread2, threshold = (noise + mse) / alpha, penalty * (1 + response) / alpha
        error, kept = 0.0, 0.0
        for weight, variance in ((1 - density, 0.0), (density, 1.0)):
            total = np.sqrt(spread2 + variance)
            share = variance / total**2  # of the field that is the weight

            def excess(b, total=total, share=share, threshold=threshold):
                gaussian = np.exp(-((b / total) ** 2) / 2) / np.sqrt(2 * np.pi) / total
                return ((b - threshold) ** 2 - 2 * (b - threshold) * share * b) * gaussian

            tail = quad(excess, threshold, threshold + 12 * total, epsabs=1e-14, epsrel=1e-13)[0]
            error += weight * (2 * tail + variance)
            kept += weight * erfc(threshold / total / np.sqrt(2))
        change = abs(error - mse)
        mse, response = error, (1 + response) / alpha * kept
        if change < 1e-15:
            break
    return mse, response


@pytest.mark.parametrize(
    "at",
    [
        {"alpha": 0.5},
        {"alpha": 0.8, "density": 0.3, "lambda_": 0.5, "Delta": 0.2},
        {"alpha": 1.5, "density": 0.02, "lambda_": 0.03},
    ],
    ids=str,
)
def test_lasso_as_it_is_written(at):
    found = rp.solve(lasso(), **at)
    given = {"density": 0.1, "lambda_": 0.1, "Delta": 0.01, **at}
    mse, response = state_evolution(
        given["alpha"], given["density"], given["lambda_"], given["Delta"]
    )
    assert found["mse"] == pytest.approx(mse, rel=1e-11)
    assert found.V == pytest.approx(response, rel=1e-11)


@pytest.mark.parametrize(
    ("value", "energy"), [(2.5, 0.0390067403666), (10, 1.5803089)], ids=["2.5", "10"]
)
def test_ground_states_of_a_step_loss(value, energy):
    """The replica-symmetric energy of the spherical perceptron; 1.58... is that of a table."""
    cost = rp.Mean(Min(1, h**2 / (2 * X)) * Heaviside(-h), (h, 1))
    formula = rp.Formula(
        name="ground-state",
        title="Ground state of the spherical perceptron",
        potential=1 / (2 * X) - alpha * cost,
        overlaps={X: Interval.open(0, oo)},
        controls={alpha: (Interval.open(2, oo), None)},
        starts={"uninformed": {X: 0.5}},
    )
    found = rp.solve(formula, alpha=value)
    assert -found["potential"] == pytest.approx(energy, abs=1e-12 if value < 3 else 5e-8)
    assert found.error < 1e-11
