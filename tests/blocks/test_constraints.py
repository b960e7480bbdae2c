"""A constraint is one set, once as a probability and once as a test on drawn fields."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri
from sympy import symbols

from replica.blocks.channel import Constraint
from replica.errors import UnknownName
from replica.numerics.kernel import Kernel

mean, variance, kappa = symbols("mean variance kappa", real=True)
STRATA = 400_001

# accepted fields far from any boundary, then refused ones, at kappa = 1
FIELDS = {
    "step": ([1.5, 40.0], [0.5, -40.0, 1.0]),
    "rectangle": ([0.0, -0.5, 0.99], [1.5, -1.5, 1.0, -1.0]),
    "u": ([1.5, -1.5, 40.0], [0.0, 0.99, 1.0, -1.0]),
}


@pytest.mark.parametrize("name", sorted(Constraint.shipped))
@pytest.mark.parametrize("at", [(0.0, 1.0), (0.7, 0.3), (-1.4, 2.0)], ids=str)
@pytest.mark.parametrize("margin", [0.2, 1.0, 2.5])
def test_probability_is_that_of_the_accepted_fields(name, at, margin):
    """One field in the middle of each of many equally likely strata: no noise but the edges'."""
    centre, spread = at[0], np.sqrt(at[1])
    fields = centre + spread * ndtri((np.arange(STRATA) + 0.5) / STRATA)
    accepted = Constraint.shipped[name].satisfied(fields, margin).mean()
    (log_probability,) = Kernel(
        (mean, variance, kappa), (Constraint.shipped[name].log_probability(mean, variance, kappa),)
    )(*at, margin)
    assert np.exp(log_probability) == pytest.approx(accepted, abs=2.5 / STRATA)


@pytest.mark.parametrize("name", sorted(Constraint.shipped))
def test_fields_inside_and_outside(name):
    inside, outside = FIELDS[name]
    assert Constraint.shipped[name].satisfied(np.array(inside), 1.0).all()
    assert not Constraint.shipped[name].satisfied(np.array(outside), 1.0).any()
    assert Constraint.shipped[name].satisfied(np.zeros((3, 4)), 1.0).shape == (3, 4)


def test_the_step_takes_margins_of_either_sign():
    assert Constraint.shipped["step"].satisfied(-0.5, -1.0)
    assert not Constraint.shipped["step"].satisfied(-1.5, -1.0)


@pytest.mark.parametrize("margin", [0.3, 1.0, 3.0])
def test_rectangle_and_u_are_complements(margin):
    fields = np.linspace(-5, 5, 1001) + 1e-4
    one = Constraint.shipped["rectangle"].satisfied(fields, margin)
    two = Constraint.shipped["u"].satisfied(fields, margin)
    assert (one ^ two).all()
    expressions = tuple(
        Constraint.shipped[name].log_probability(mean, variance, kappa)
        for name in ("rectangle", "u")
    )
    logs = Kernel((mean, variance, kappa), expressions)(0.4, 0.8, margin)
    assert sum(np.exp(logs)) == pytest.approx(1, rel=1e-14)


def test_far_fields_keep_their_logarithm():
    """log P of a field 1e3 deviations away is -5e5, not minus infinity."""
    for name, place in (("step", -1e3), ("rectangle", 1e3)):
        expression = Constraint.shipped[name].log_probability(mean, variance, kappa)
        (value,) = Kernel((mean, variance, kappa), (expression,))(place, 1.0, 1.0)
        distance = abs(place) + 1 if name == "step" else abs(place) - 1
        assert value == pytest.approx(-(distance**2) / 2 - np.log(distance * np.sqrt(2 * np.pi)))


def test_unknown_constraint():
    with pytest.raises(UnknownName, match=r"'rectangel'; did you mean rectangle"):
        Constraint.shipped["rectangel"]
