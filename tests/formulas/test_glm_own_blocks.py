"""Bayes-optimal models with priors and channels of one's own."""

from __future__ import annotations

import math
from typing import Any

import pytest
from referee.glm_curves import (
    AMP,
    GLM,
    IT,
    LN2,
    SIGNS,
    Curve,
    atoms,
    missing,
    signs,
    slow,
    threshold,
)
from scipy import optimize, special
from sympy import Heaviside, Rational, Symbol

import replica as rp

# ---- blocks of one's own -------------------------------------------------------------------------


def test_a_channel_of_ones_own_in_a_few_lines():
    """Signs that are flipped with probability one tenth."""
    z = Symbol("z", real=True)
    flip = {s: Rational(9, 10) * Heaviside(s * z) + Heaviside(-s * z) / 10 for s in (-1, 1)}
    glm = GLM(prior=rp.Rademacher(), channel=rp.DiscreteChannel(flip, z, name="flipped sign"))
    found = rp.threshold(glm, "alpha_AMP")
    # ... and the same by hand
    curve = Curve(SIGNS, signs(flips=0.1))
    g, expected = curve.turn(1, 10, 1)
    assert found.value == pytest.approx(expected, rel=1e-9)
    assert found.overlaps["mhat"] == pytest.approx(g, rel=1e-3)
    assert found.error < 1e-9
    assert "flipped sign" in glm.title
    for g in (0.5, 2.0):
        there = rp.solve(glm, alpha=curve.alpha(g))
        assert there.mhat == pytest.approx(g, rel=1e-9)
        assert there.potential == pytest.approx(curve.height(g), rel=1e-9)
    missing("alpha_WR", "sign of the field", "rademacher", glm.options["channel"])


def flipped_sign() -> Any:
    z = Symbol("z", real=True)
    flip = {s: Rational(9, 10) * Heaviside(s * z) + Heaviside(-s * z) / 10 for s in (-1, 1)}
    return rp.DiscreteChannel(flip, z, name="flipped sign")


def test_discrete_weights_are_recovered_from_flipped_signs():
    """The informed branch has m = 1 and phi = -log 2 - alpha H(1/10) at every alpha."""
    curve = Curve(SIGNS, signs(flips=0.1))
    entropy = float(special.entr(0.1) + special.entr(0.9))

    def difference(g: float) -> float:
        return curve.height(g) + LN2 + curve.alpha(g) * entropy

    top, _ = curve.turn(1, 10, 1)
    expected = curve.alpha(optimize.brentq(difference, 0.3, top))
    found = rp.threshold(GLM, "alpha_IT", prior="rademacher", channel=flipped_sign())
    assert found.value == pytest.approx(expected, rel=1e-8)
    assert rp.threshold(GLM, "alpha_sp", prior="rademacher", channel=flipped_sign()).value == 0


def test_flipped_signs_past_the_fold_leave_one_weight_vector():
    found = rp.solve(GLM, prior="rademacher", channel=flipped_sign(), alpha=3.5)
    assert found.D == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("places", "chances"),
    [
        ((0.0, 1.0), (0.5, 0.5)),
        pytest.param((-1.0, 0.0, 1.0), (0.25, 0.5, 0.25), marks=slow),
        pytest.param((-1.0, 1.0), (0.3, 0.7), marks=slow),
    ],
    ids=str,
)
def test_a_prior_of_ones_own(places: tuple[float, ...], chances: tuple[float, ...]):
    prior = rp.Discrete(places, chances)
    moments = [sum(p * w**k for p, w in zip(chances, places, strict=True)) for k in (1, 2)]
    curve = Curve(atoms(places, chances), signs(rho=moments[1]), moments[1])
    entropy = -sum(p * math.log(p) for p in chances)
    for g in (0.3, 1.2):
        there = rp.solve(GLM, prior=prior, alpha=curve.alpha(g))
        assert there.mhat == pytest.approx(g, rel=1e-8)
        assert there.potential == pytest.approx(curve.height(g), rel=1e-9)
    top, expected = curve.turn(1, 40, 1)
    found = threshold("alpha_AMP", prior)
    assert found.value == pytest.approx(expected, rel=1e-9)
    zero = optimize.brentq(lambda g: curve.height(g) + entropy, 0.3, top, xtol=1e-13)
    found = threshold("alpha_IT", prior)
    assert found.value == pytest.approx(curve.alpha(zero), rel=1e-9)
    assert threshold("alpha_sp", prior).value == 0


def test_the_shipped_prior_is_one_of_ones_own():
    """Signs written as a discrete prior have the transitions of signs."""
    prior = rp.Discrete([-1, 1], [0.5, 0.5])
    assert threshold("alpha_IT", prior).value == pytest.approx(float(IT), abs=1e-12)
    assert threshold("alpha_AMP", prior).value == pytest.approx(float(AMP), abs=1e-12)
    assert GLM(prior=prior) != GLM(prior="rademacher")
    assert GLM(prior=rp.Rademacher()) is GLM(prior="rademacher")


def test_a_published_value_is_shown_for_blocks_as_for_names():
    by_name = threshold("alpha_IT")
    by_block = rp.threshold(GLM, "alpha_IT", prior=rp.Rademacher(), channel=rp.Sign())
    assert by_block.published == by_name.published
    assert len(by_name.published) == 1
    assert threshold("alpha_IT", Delta=1e-3).published == ()
