"""Declarations: what a formula derives, and what makes two of them equal."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import pytest
from declarations.example import (
    POTENTIAL,
    alpha,
    content,
    h,
    kappa,
    loose,
    m,
    make,
    q,
    qhat,
    refused,
    u,
    x,
)
from sympy import (
    Eq,
    Function,
    Interval,
    S,
    Symbol,
    cosh,
    erfc,
    log,
    oo,
    sqrt,
    tan,
)

from replica.declarations.control import Control
from replica.declarations.landmarks import Boundary
from replica.declarations.published import Published
from replica.declarations.threshold import Limit, Root
from replica.errors import DeclarationError, UnknownName
from replica.language.means import Mean
from replica.language.primitives import LogCosh, LogH, Mills, Sech

# ---- what is derived ---------------------------------------------------------------------------


def test_what_a_formula_holds():
    formula = make()
    assert formula.unknowns == (q, qhat)
    assert list(formula.controls) == ["alpha", "kappa"]
    assert formula.controls["kappa"] == Control(kappa, Interval(-10, 10), 0)
    assert list(formula.observables) == ["potential", "entropy", "twice"]
    assert formula.observables["potential"] == formula.potential
    assert formula.domains == {q: Interval.Ropen(0, 1), qhat: Interval(0, oo)}
    assert "test-formula" in repr(formula)


def test_equations_are_derived_from_the_potential():
    formula = make()
    first, second = formula.equations
    assert first == Eq(q, 1 - Mean(Sech(h) ** 2, (h, qhat)))
    assert second.lhs == qhat
    expected = alpha * Mean(Mills((kappa - u) / sqrt(1 - q)) ** 2, (u, q)) / (1 - q)
    assert (second.rhs / expected).expand() == 1
    for equation in formula.equations:
        assert not equation.rhs.has_free(equation.lhs) or equation.lhs == q
    (alone,) = make(potential=log(1 - q) + alpha * q, conjugates={}, observables={},
                    thresholds={}).equations  # fmt: skip
    assert alone.rhs == 0


def test_plain_sympy_is_made_stable():
    plain = (
        Mean(log(2 * cosh(h)), (h, qhat))
        - (1 - q) * qhat / 2
        + alpha * Mean(log(erfc((kappa - u) / sqrt(2 * (1 - q))) / 2), (u, q))
    )
    formula = make(potential=plain, observables={"entropy": plain, "tail": log(erfc(q))})
    assert formula.potential.has(LogCosh, LogH)
    assert not formula.potential.has(cosh, erfc)
    assert not formula.observables["tail"].has(erfc)
    assert formula == make(
        potential=plain, observables={"entropy": formula.potential, "tail": log(erfc(q))}
    )


def test_thresholds_are_made_stable_too():
    """A limit is evaluated like a potential: the same overflow waits in it."""
    formula = make(
        thresholds={
            "limit": Limit(
                Mean(log(2 * cosh(h)), (h, kappa**2 + 1)), stability=log(2 * cosh(kappa))
            ),
            "root": Root(log(erfc(q)), in_=alpha),
        }
    )
    assert not formula.thresholds["limit"].value.has(cosh)
    assert not formula.thresholds["limit"].stability.has(cosh)
    assert not formula.thresholds["root"].zeros[0].has(erfc)


def test_observables_and_thresholds_by_name():
    formula = make()
    assert formula.observable("twice") == 2 * q
    assert formula.observable(q**2) == q**2
    assert formula.threshold("alpha_G").zeros == ("entropy",)
    with pytest.raises(UnknownName, match="did you mean entropy"):
        formula.observable("entropi")
    with pytest.raises(UnknownName, match="did you mean alpha_G"):
        formula.threshold("alpha-g")


def test_names_that_python_reserves():
    strength = Symbol("lambda", real=True)
    formula = make(
        potential=POTENTIAL + strength,
        controls={**content()["controls"], strength: (Interval(0, 1), 0)},
    )
    assert list(formula.controls) == ["alpha", "kappa", "lambda_"]
    assert formula.controls["lambda_"].symbol == strength


def test_latex_shows_the_potential():
    shown = make()._repr_latex_()
    assert shown.startswith(r"$\displaystyle")
    assert r"\mathbb{E}_{u\sim\mathcal{N}(0,q)}" in shown
    assert r"\log H" in shown
    assert shown.count("$") == 2


# ---- identity ----------------------------------------------------------------------------------


def test_equal_by_content():
    one, two = make(), make()
    assert one is not two
    assert one == two
    assert hash(one) == hash(two)
    assert len({one, two}) == 1
    assert one != "test-formula"


def test_names_of_fields_do_not_matter():
    other = POTENTIAL.xreplace({}).subs({})  # the same, with the fields renamed by hand
    renamed = (
        log(2)
        + Mean(LogCosh(x), (x, qhat))
        - (1 - q) * qhat / 2
        + alpha * Mean(LogH((kappa - h) / sqrt(1 - q)), (h, q))
    )
    assert other == renamed
    assert make(potential=renamed, observables={}, thresholds={}) == make(
        observables={}, thresholds={}
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other"},
        {"title": "Other"},
        {"potential": POTENTIAL + q, "observables": {"entropy": q}},
        {"overlaps": {q: Interval(0, 1)}},
        {"controls": {alpha: (Interval.open(0, oo), 1), kappa: (Interval(-10, 10), 0)}},
        {"observables": {"entropy": POTENTIAL}},
        {"thresholds": {}},
        {"published": (Published("alpha_G", 0.833, 5e-4, {"kappa": 0}),)},
        {"cites": ("krauth1989",)},
        {"experiment": {"weights": "binary", "constraint": "step"}},
        {"options": {"rsb": 1}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_different_content_is_different(changes):
    assert make(**changes) != make()
    assert make(**changes) == make(**changes)


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, None], ids=["copy", "deep", "pickle"]
)
def test_copies(duplicate):
    formula = make(
        starts={"uninformed": {q: S.Half}}, experiment={"weights": "binary", "constraint": "u"}
    )
    if duplicate is None:
        twin = pickle.loads(pickle.dumps(formula))
    else:
        twin = duplicate(formula)
    assert twin == formula
    assert hash(twin) == hash(formula)
    assert twin.equations == formula.equations
    assert twin.starts["uninformed"][q] == S.Half


def test_frozen():
    formula = make()
    with pytest.raises(dataclasses.FrozenInstanceError):
        formula.title = "other"
    with pytest.raises(TypeError):
        formula.controls["alpha"] = 1
    with pytest.raises(TypeError):
        formula.observables._items = {}
    assert dataclasses.replace(formula, title="Other").title == "Other"
    assert dataclasses.replace(formula, title="Other") != formula


def test_what_is_passed_may_change_later():
    """A formula keeps its own copy: changing the dictionary afterwards changes nothing."""
    overlaps, starts = {q: Interval.Ropen(0, 1)}, {"uninformed": {q: 0}}
    formula = make(overlaps=overlaps, starts=starts)
    before = hash(formula)
    overlaps.clear()
    starts["uninformed"][q] = 7
    assert formula.overlaps == {q: Interval.Ropen(0, 1)}
    assert formula.starts["uninformed"] == {q: 0}
    assert hash(formula) == before


# ---- theorems, boundaries and domains ----------------------------------------------------------


def test_a_stated_update_takes_the_place_of_the_derived_one():
    plain = make()
    stated = 1 - Mean(Sech(h) ** 2, (h, qhat)) + 0 * q
    formula = make(updates={q: stated})
    assert formula.residuals == plain.residuals
    square = Mean(1 - Sech(h) ** 2, (h, qhat))
    formula = make(updates={q: square})
    assert formula.residuals[q] == square - q
    assert formula.residuals[qhat] == plain.residuals[qhat]
    assert formula.equations[0] == Eq(q, square)
    assert formula.equations[1] == plain.equations[1]
    assert formula != plain
    assert formula == make(updates={q: square})
    assert pickle.loads(pickle.dumps(formula)).residuals == formula.residuals
    with pytest.raises(TypeError):
        formula.updates[q] = q


def test_updates_are_made_stable():
    formula = make(updates={q: Mean(log(2 * cosh(h)), (h, qhat))})
    assert not formula.updates[q].has(cosh)
    assert not formula.residuals[q].has(cosh)


@pytest.mark.parametrize(
    ("update", "match"),
    [
        (loose, "update of q: unbound symbol loose"),
        ("q", "update of q: must be a sympy expression"),
        (None, "update of q: must be a sympy expression"),
        (Mean(tan(u), (u, q)), "tan"),
        (Function("g")(q), "update of q"),
    ],
    ids=str,
)
def test_bad_updates(update, match):
    refused(match, updates={q: update})


@pytest.mark.parametrize(
    "changes",
    [
        {"updates": {m: q}},
        {"boundary": 3},
        {"boundary": Boundary("edge", at={m: 1}, in_=alpha, above=0, observables={})},
        {"boundary": Boundary("edge", at={q: 1}, in_=loose, above=0, observables={})},
        {"boundary": Boundary("edge", at={q: 1}, in_=alpha, above=loose, observables={})},
        {"overlaps": {q: Interval.Ropen(0, loose)}},
    ],
    ids=["update of no unknown", "no boundary", "at no unknown", "in no control",
         "above an unbound symbol", "domain up to an unbound symbol"],
)  # fmt: skip
def test_parts_that_name_nothing(changes):
    refused(None, **changes)


def test_a_boundary_is_part_of_the_content():
    edge = Boundary(
        "edge", at={q: S.One, qhat: oo}, in_=alpha, above=kappa, observables={"twice": 2}
    )
    formula = make(boundary=edge)
    assert formula.boundary == edge
    assert formula != make()
    assert formula == make(boundary=edge)
    assert hash(make(boundary=edge)) == hash(formula)
    assert pickle.loads(pickle.dumps(formula)) == formula
    with pytest.raises(TypeError):
        edge.at[q] = 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        edge.above = 0


def test_a_domain_may_end_at_a_control_or_another_overlap():
    """As the gap of a sparse prior ends at its density, and an overlap at the norm."""
    formula = make(overlaps={q: Interval.Lopen(0, kappa)})
    assert formula.domains[q] == Interval.Lopen(0, kappa)
    assert formula.domains[q].end.free_symbols == {kappa}


def test_published_relations():
    with pytest.raises(DeclarationError, match="relation"):
        Published("alpha_G", 1.0, relation="~")
    assert Published("alpha_G", 0.833, 5e-4).agrees(0.8331)
    assert not Published("alpha_G", 0.833, 5e-4).agrees(0.8336)
    assert Published("alpha_G", 0.833, 0).agrees(0.8331, error=2e-4)
    assert Published("alpha_G", 1.0, relation="<").agrees(0.5)
    assert not Published("alpha_G", 1.0, relation="<").agrees(1.5)
    assert Published("alpha_G", 1.0, relation=">").agrees(1.5)
    assert not Published("alpha_G", 1.0, relation=">").agrees(0.5)
    assert not Published("alpha_G", 1.0, 0.1).agrees(float("nan"))
