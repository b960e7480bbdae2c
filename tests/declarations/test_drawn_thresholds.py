"""What a threshold says of itself, for listings and figures."""

from __future__ import annotations

import pickle
from dataclasses import dataclass

import pytest
from sympy import Symbol, symbols

import replica as rp
from replica.declarations.threshold import EASY, POSSIBLE, Determining, Unless, named_after

alpha, Delta, rho = symbols("alpha Delta rho", real=True)
CONTROLS = {
    name: rp.Control(symbol, rp.formulas["binary-perceptron"].controls["alpha"].domain)
    for name, symbol in (("alpha", alpha), ("Delta", Delta), ("rho", rho))
}


@pytest.mark.parametrize(
    ("threshold", "meaning", "value_of", "one_value_along"),
    [
        (rp.Fold(alpha, doc="ends"), "ends (fold in alpha)", "alpha", set()),
        (rp.Crossing(alpha), "crossing in alpha", "alpha", set()),
        (rp.Root(("s", "t"), (Delta, alpha)), "root in Delta, alpha", "Delta", {"alpha"}),
        (rp.Cusp((Delta, alpha)), "cusp in Delta, alpha", "Delta", {"alpha", "Delta"}),
        (rp.Limit(rho + Delta, "exact"), "exact (limit)", "alpha", set()),
        (rp.Limit(rho), "limit", "kappa", {"alpha", "Delta"}),
        (
            rp.Cases(alpha, ((Delta < 1, rp.Limit(rho)), (True, rp.Fold(alpha)))),
            "limit or fold in alpha",
            "alpha",
            set(),
        ),
    ],
    ids=lambda given: type(given).__name__,
)
def test_a_threshold_says_what_it_is_a_value_of(threshold, meaning, value_of, one_value_along):
    assert threshold.meaning == meaning
    assert threshold.value_of("kappa_star", CONTROLS) == value_of
    assert threshold.one_value_along("kappa_star", CONTROLS) == one_value_along


def test_the_field_names_thresholds_after_their_control():
    assert [named_after(name) for name in ("alpha_IT", "kappa_star", "separability")] == [
        "alpha",
        "kappa",
        "separability",
    ]
    for target in rp.formulas.values():
        formula = target() if isinstance(target, rp.Family) else target
        for name in formula.thresholds:
            if "_" in name:
                assert formula.value_of(name) == named_after(name)


@pytest.mark.parametrize("phases", [None, POSSIBLE, EASY, rp.Phases(["a"], ["b", "c"])])
def test_phases_belong_to_the_declaration_but_not_to_the_equations(phases):
    fold = rp.Fold(alpha, phases=phases, line=2)
    assert pickle.loads(pickle.dumps(fold)) == fold
    assert hash(fold) == hash(rp.Fold(alpha, phases=phases, line=2))
    assert repr(fold) == repr(rp.Fold(alpha))  # by which a checkpoint knows its sweep


def test_what_parts_phases_is_refused_otherwise():
    with pytest.raises(rp.DeclarationError, match=r"must be Phases, not \('hard', 'easy'\)"):
        rp.Fold(alpha, phases=("hard", "easy"))


def test_a_kind_of_ones_own_says_the_same():
    @dataclass(frozen=True)
    class Plateau(Determining):
        in_: Symbol
        doc: str = ""
        unless: Unless = ()
        caveat: str = ""

    mine = Plateau(alpha, doc="nothing is learnt", phases=EASY)
    assert mine.meaning == "nothing is learnt (plateau in alpha)"
    assert mine.value_of("alpha_plateau", CONTROLS) == "alpha"
    assert mine.phases is EASY
