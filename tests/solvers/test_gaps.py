"""Saddle points next to a moving end of their domain: found by the gap that is left."""

from __future__ import annotations

import numpy as np
import pytest
from sympy import Interval, Symbol, acos, pi, sqrt, symbols

import replica as rp
from replica.language.primitives import ProductDifference
from replica.solvers.gaps import in_gaps

RISK = rp.formulas["empirical-risk"]


def test_the_gap_of_an_angle_is_written_without_a_difference():
    formula = RISK(loss="logistic")
    gaps = in_gaps(formula)
    (gap,) = (new for new, _ in gaps.gaps.values())
    update = gaps.system.equations[0] + gap
    mhat, qhat, rho = (
        next(s for s in update.free_symbols if s.name == name) for name in ("mhat", "qhat", "rho")
    )
    assert update.equals(qhat / (rho * mhat**2 + qhat))
    angle = gaps.expression(formula.observables["eps_g"])
    assert not angle.has(acos)
    assert float(angle.subs(gap, 1e-30)) == pytest.approx(1e-15 / float(pi), rel=1e-12)


def test_a_start_must_give_what_the_gap_is_made_of():
    formula = RISK(loss="logistic")
    m, q = (next(s for s in formula.overlaps if s.name == name) for name in "mq")
    gaps = in_gaps(formula)
    assert gaps.start({m: 0.5}) is None
    assert gaps.start({q: 0.5}) is None
    (gap,) = (new for new, _ in gaps.gaps.values())
    rho = next(c.symbol for c in formula.controls.values() if c.name == "rho")
    start = gaps.start({m: 0.6, q: 0.5})
    assert m not in start
    assert float(start[gap].subs(rho, 1)) == pytest.approx(1 - 0.36 / 0.5)


def test_a_square_leaves_the_rest_of_a_product():
    a, b, g = symbols("a b g", positive=True)
    inside = sqrt(a * b) * sqrt(1 - g)
    assert ProductDifference(a, b, inside, inside) == a * b * g
    c = Symbol("c", real=True)
    assert isinstance(ProductDifference(a, b, c, c), ProductDifference)


def test_formulas_that_gain_nothing_have_none():
    assert in_gaps(rp.formulas["binary-perceptron"]) is None
    assert in_gaps(rp.formulas["bayes-optimal-glm"]()) is None
    q, Q, v = Symbol("q", positive=True), Symbol("Q", positive=True), Symbol("v", positive=True)
    plain = rp.Formula(
        name="plain",
        title="Two ordered overlaps whose updates cancel nothing",
        potential=-((q - v**2 / 3) ** 2) - (Q - v / 2) ** 2,
        overlaps={q: Interval.open(0, Q), Q: Interval.open(0, 9)},
        controls={v: (Interval.open(0, 5), 1)},
    )
    assert in_gaps(plain) is None


@pytest.mark.parametrize("loss", ["logistic", "hinge"])
def test_many_patterns_without_noise(loss):
    """Patterns within 1/w of the boundary count, so that eps_g falls as alpha^(-2/3)."""
    found = rp.solve(RISK(loss=loss), alpha=[1e4, 1e6, 1e8], lambda_=0.1, check=False)
    assert set(np.unique(found.status)) <= {rp.Status.CONVERGED, rp.Status.INACCURATE}
    assert (found.errors["eps_g"] <= 2e-9).all()
    ratio = found["eps_g"][1:] / found["eps_g"][:-1]
    np.testing.assert_allclose(ratio, 100 ** (-2 / 3), rtol=5e-3)
    # the angle and the overlaps tell the same, as far as the latter have digits
    cosine = found.m / np.sqrt(found.q)
    np.testing.assert_allclose(1 - cosine[:1], 1 - np.cos(np.pi * found["eps_g"][:1]), rtol=1e-4)


@pytest.mark.slow
def test_it_agrees_with_multi_precision():
    """In the overlaps themselves, with thirty digits to cancel."""
    settings = {"loss": "logistic", "alpha": 1e6, "lambda_": 0.1}
    found = rp.solve(RISK, tolerance=1e-7, **settings)
    truth = rp.solve(RISK, digits=15, tolerance=1e-7, **settings)
    for name in ("m", "q", "V", "eps_g", "test_loss"):
        exact = float(truth.texts[name])
        assert abs(found[name] - exact) <= found.errors[name] + 1e-15 * abs(exact), name
    assert found.errors["eps_g"] < 1e-11


def test_what_was_reached_is_said_with_the_remedy():
    with pytest.raises(rp.ConvergenceError, match="an error of 1e-09 was asked for, that of q"):
        rp.solve(RISK, loss="logistic", alpha=1e6, lambda_=0.1)
    found = rp.solve(RISK, loss="logistic", alpha=1e6, lambda_=0.1, tolerance=1e-7)
    assert found.status is rp.Status.CONVERGED
