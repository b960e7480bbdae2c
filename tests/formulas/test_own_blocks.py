"""A block of one's own through every door that accepts one."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from sympy import Heaviside, Integer, Max, Rational, S, Symbol, exp, symbols

import replica as rp
from replica.blocks.spectra import Atoms
from replica.models.storage import discrete_weights

y, u, z = symbols("y u z", real=True)


def solved(name: str, options: dict[str, Any], **controls: Any) -> rp.Solution:
    return rp.solve(rp.formulas[name](**options), **controls)


@dataclasses.dataclass(frozen=True)
class TwoScales(rp.FeatureMap):
    """Orthogonal features of which half are louder than the others, at p = d."""

    @property
    def spectrum(self) -> Atoms:
        return Atoms([(Rational(1, 2), S.Half), (Rational(3, 2), S.Half)])


def flipped() -> rp.Channel:
    law = {s: Rational(9, 10) * Heaviside(s * z) + Heaviside(-s * z) / 10 for s in (-1, 1)}
    return rp.DiscreteChannel(law, z, name="flipped sign")


def ties(chance: Rational) -> rp.CommitteeChannel:
    up = (S.One, chance, chance, S.Zero)
    down = tuple(1 - share for share in up)
    return rp.CommitteeChannel("loaded", ((Integer(1), up), (Integer(-1), down)))


TERNARY = rp.Discrete([-1, 0, 1], [0.25, 0.5, 0.25])
HINGE = rp.Loss(Max(0, 1 - y * u) ** 2, y=y, u=u, name="squared hinge")
RIDGE = {"lambda_": 0.5}
WIDTHS = {"samples_per_dimension": 2, "features_per_dimension": 1, **RIDGE}


def half_of_l2(variance: Any, stiffness: Any, strength: Any) -> Any:
    return -variance / (strength + 2 * stiffness)


half_l2 = rp.Penalty("half-l2", Symbol("w", real=True) ** 2 / 4, half_of_l2)
COVARIANCES = rp.Covariances(np.diag([2.0, 1.0]), [0.5, 0.5], 1.0)

DOORS = {
    "prior": ("bayes-optimal-glm", {"prior": TERNARY}, {"alpha": 1}),
    "channel": ("bayes-optimal-glm", {"channel": flipped()}, {"alpha": 1}),
    "teacher of patterns": ("empirical-risk", {"teacher": flipped()}, {"alpha": 2, **RIDGE}),
    "loss of patterns": ("empirical-risk", {"loss": HINGE}, {"alpha": 2, **RIDGE}),
    "penalty": ("empirical-risk", {"penalty": half_l2}, {"alpha": 2, **RIDGE}),
    "teacher of features": ("hidden-manifold", {"teacher": flipped()}, WIDTHS),
    "loss of features": ("hidden-manifold", {"loss": HINGE}, WIDTHS),
    "activation": ("hidden-manifold", {"activation": rp.Activation(u + u**3, u)}, WIDTHS),
    "features": ("hidden-manifold", {"features": TwoScales("two scales")}, WIDTHS),
    "covariances": (
        "gaussian-covariates",
        {"inputs": COVARIANCES},
        {"samples_per_feature": 2, **RIDGE},
    ),
    "pair of weights": (
        "committee-machine",
        {"prior": dataclasses.replace(rp.PairPrior.shipped["gaussian"], name="mine")},
        {"alpha": 1},
    ),
    "labels of a committee": ("committee-machine", {"channel": ties(Rational(1, 4))}, {"alpha": 1}),
}


SLOW = {"labels of a committee"}


@pytest.mark.parametrize(
    "door", [pytest.param(d, marks=pytest.mark.slow) if d in SLOW else d for d in DOORS]
)
def test_a_block_of_ones_own_is_solved(door):
    name, options, controls = DOORS[door]
    found = solved(name, options, **controls)
    assert found.status == rp.Status.CONVERGED
    assert np.isfinite(found.potential)
    (own,) = options.values()
    assert found.formula.options[next(iter(options))] == own


def test_every_kind_of_option_has_a_door_here():
    kinds = {
        (name, option)
        for name in rp.formulas
        if isinstance(rp.formulas[name], rp.Family)
        for option, declared in rp.formulas[name].options.items()
        if declared.block is not None
    }
    tried = {(name, option) for name, options, _ in DOORS.values() for option in options}
    assert {option for _, option in kinds} == {option for _, option in tried}


def test_a_committee_of_ones_own_name_is_the_shipped_one():
    own = solved(*DOORS["pair of weights"][:2], alpha=1)
    assert own.potential == solved("committee-machine", {}, alpha=1).potential


def test_half_a_penalty_is_that_penalty_at_half_its_strength():
    own = solved("empirical-risk", {"penalty": half_l2}, alpha=2, lambda_=0.5)
    shipped = solved("empirical-risk", {}, alpha=2, lambda_=0.25)
    assert own["eps_g"] == pytest.approx(shipped["eps_g"], rel=1e-10)


def test_a_set_of_accepted_fields_of_ones_own():
    """Fields inside a door of labels that the name does not tell."""
    own = rp.Constraint("inside", rp.Door(), -1, "K")
    formula = discrete_weights(rp.Rademacher(), own, name="inside", title="My own set")
    shipped = rp.formulas["symmetric-binary-perceptron"](constraint="rectangle")
    capacity = rp.threshold(formula, "alpha_G", kappa=1).value
    assert capacity == rp.threshold(shipped, "alpha_G", kappa=1).value


def test_weights_of_two_sizes_have_no_storage_formula():
    with pytest.raises(rp.DeclarationError, match="no fixed size"):
        discrete_weights(TERNARY, rp.Step(), name="ternary", title="Ternary")


def test_a_channel_that_teaches_nothing_is_refused():
    even = rp.DiscreteChannel({1: exp(-(z**2)), -1: 1 - exp(-(z**2))}, z, name="bump")
    assert not even.teaches
    with pytest.raises(rp.DeclarationError, match="learns nothing"):
        rp.formulas["empirical-risk"](teacher=even)


def test_symbols_of_ones_own_are_kept_apart():
    """A field called u is bound in the law, whatever the package calls its own."""
    field = Symbol("u", real=True)
    law = {s: Rational(9, 10) * Heaviside(s * field) + Heaviside(-s * field) / 10 for s in (-1, 1)}
    same = rp.DiscreteChannel(law, field, name="flipped sign")
    assert same == flipped()
