"""Where the overlap of Bayes-optimal models leaves zero, and where it never was zero."""

from __future__ import annotations

import math
from typing import Any

import pytest
from referee.glm_curves import (
    GLM,
    LN2,
    missing,
    threshold,
)
from scipy import special
from sympy import Heaviside, Rational, Symbol

import replica as rp


def test_no_weak_recovery_threshold_where_signs_tell():
    missing("alpha_WR", "depend on the sign of the field", "rademacher", "sign")
    missing("alpha_WR", "depend on the sign of the field", "gaussian", "relu")


def test_door_past_weak_recovery_is_not_the_entropy_bound():
    """At K = 1 the bound log 2 / H_b = 1.1093 is not the transition."""
    p = special.erf(1 / math.sqrt(2))
    bound = LN2 / float(special.entr(p) + special.entr(1 - p))
    assert bound == pytest.approx(1.1093, abs=1e-4)
    found = threshold("alpha_IT", channel="door", K=1.0)
    assert found.value > bound + 3e-4
    assert found.value > threshold("alpha_WR", channel="door", K=1.0).value
    assert found.overlaps["D"] < 0.9


def test_weak_recovery_is_the_same_for_every_prior_of_the_same_moments():
    values = {threshold("alpha_WR", prior, "door", K=0.9).value for prior in ("rademacher",
              "gaussian", "uniform", "laplace")}  # fmt: skip
    assert max(values) - min(values) < 1e-14
    biased = rp.Discrete([-1, 1], [0.3, 0.7])
    missing("alpha_WR", "the prior has a mean", biased, "door")


def my_door() -> Any:
    z, side = Symbol("z", real=True), Rational(4, 5)
    outside = Heaviside(z - side) + Heaviside(-z - side)
    return rp.DiscreteChannel({1: outside, -1: 1 - outside}, z, name="my door")


@pytest.mark.slow
def test_a_door_of_ones_own_is_a_door():
    assert rp.solve(GLM, channel=my_door(), alpha=0.5).D == pytest.approx(1, abs=1e-12)
    formula = GLM(prior="gaussian", channel=my_door())
    assert formula.boundary == GLM(prior="gaussian", channel="door").boundary


def test_weak_recovery_of_a_door_of_ones_own():
    found = rp.threshold(GLM, "alpha_WR", prior="gaussian", channel=my_door())
    assert found.value == pytest.approx(threshold("alpha_WR", "gaussian", "door", K=0.8).value)
