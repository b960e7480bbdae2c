"""Declarations: what a formula derives, what makes two equal, and every way to get one wrong."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import pytest
from sympy import (
    Abs,
    Basic,
    Derivative,
    Eq,
    Function,
    Heaviside,
    I,
    Integral,
    Interval,
    Max,
    Mod,
    Piecewise,
    Product,
    S,
    Sum,
    Symbol,
    besselj,
    cosh,
    coth,
    erfc,
    exp,
    floor,
    gamma,
    log,
    oo,
    sqrt,
    symbols,
    tan,
    zoo,
)

from replica.declarations.control import Control
from replica.declarations.family import Family, Option
from replica.declarations.formula import Formula
from replica.declarations.frozen import FrozenMapping
from replica.declarations.landmarks import Boundary
from replica.declarations.published import Published
from replica.declarations.threshold import Cases, Crossing, Cusp, Fold, Instability, Limit, Root
from replica.errors import ControlError, DeclarationError, UnknownName
from replica.language.means import Mean
from replica.language.primitives import LogCosh, LogH, Mills, PositivePart, Sech

alpha, kappa = symbols("alpha kappa", real=True)
q, qhat, m = symbols("q qhat m", nonnegative=True)
h, u, x = symbols("h u x", real=True)
loose = Symbol("loose", real=True)

PATTERN = LogH((kappa - u) / sqrt(1 - q))
POTENTIAL = (
    log(2) + Mean(LogCosh(h), (h, qhat)) - (1 - q) * qhat / 2 + alpha * Mean(PATTERN, (u, q))
)


def content(**changes):
    """A formula like the binary perceptron, as keyword arguments."""
    parts = {
        "name": "test-formula",
        "title": "A formula for tests",
        "potential": POTENTIAL,
        "overlaps": {q: Interval.Ropen(0, 1)},
        "conjugates": {q: qhat},
        "controls": {alpha: (Interval.open(0, oo), None), kappa: (Interval(-10, 10), 0)},
        "observables": {"entropy": POTENTIAL, "twice": 2 * q},
        "thresholds": {"alpha_G": Root("entropy", in_=alpha)},
    }
    return {**parts, **changes}


def make(**changes) -> Formula:
    return Formula(**content(**changes))


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
    blocks = {"weights": "binary", "constraint": "u"}
    formula = make(starts={"uninformed": {q: S.Half}}, experiment=blocks)
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


# ---- wrong potentials --------------------------------------------------------------------------


def refused(match: str | None, **changes) -> DeclarationError:
    with pytest.raises(DeclarationError, match=match) as caught:
        make(**changes)
    message = str(caught.value)
    assert "\n" not in message
    assert "test-formula" in message or "needs a" in message
    return caught.value


@pytest.mark.parametrize("where", ["potential", "observables"])
def test_unbound_symbol(where):
    if where == "potential":
        refused("potential: unbound symbol loose", potential=POTENTIAL + loose * q)
    else:
        refused("observable wrong: unbound symbol loose", observables={"wrong": loose * q},
                thresholds={})  # fmt: skip


def test_field_used_outside_its_mean():
    refused("unbound symbol u", potential=POTENTIAL + u * q)
    refused("unbound symbol h", potential=POTENTIAL + Mean(LogH(u + h), (u, q)))


def test_variance_is_not_declared():
    refused("unbound symbol loose", potential=POTENTIAL + Mean(LogH(u), (u, loose)))


def test_control_that_differs_by_its_assumptions():
    """Two symbols of one name are not one symbol."""
    refused("unbound symbol alpha", potential=POTENTIAL + Symbol("alpha", positive=True) * q)


@pytest.mark.parametrize(("symbol", "power"), [(kappa, 1), (alpha, 2)], ids=str)
def test_control_bound_by_a_mean(symbol, power):
    error = refused(
        f"{symbol} is declared as an overlap or control",
        # not the same mean twice: sympy's cache may return either name for it
        potential=POTENTIAL + Mean(LogH(symbol) ** power, (symbol, q)),
    )
    assert "rename" in str(error)


def test_overlap_bound_by_a_mean():
    free = Symbol("q", real=True)
    refused(
        "q is declared as an overlap",
        potential=Mean(LogH(free), (free, 1)) * alpha + free**2,
        overlaps={free: Interval(-1, 1)},
        conjugates={},
        observables={},
        thresholds={},
    )


@pytest.mark.parametrize(
    "node",
    [
        Function("g")(q),
        Mean(Function("g")(u), (u, q)),
        Integral(exp(-(x**2) * q), (x, 0, 1)),
        Mean(Integral(exp(x * u), (x, 0, 1)), (u, q)),
        Derivative(Function("g")(q), q),
        Sum(q**x, (x, 0, oo)),
        Product(q + x, (x, 1, 3)),
        Piecewise((q, q > 0), (0, True)),
        I * q,
        zoo,
        S.NaN,
        oo,
    ],
    ids=str,
)
def test_nodes_without_numbers(node):
    refused("cannot integrate|no numerical meaning|not a sympy", potential=POTENTIAL + node)


@pytest.mark.parametrize(
    "node",
    [
        Mean(tan(u), (u, q)),
        Mean(gamma(u**2 + 1), (u, q)),
        Mean(besselj(0, u), (u, q)),
        Mean(floor(u), (u, q)),
        Mean(Mod(u, 1), (u, q)),
        Mean(u * coth(u), (u, q)),
        gamma(q + 1),
    ],
    ids=str,
)
def test_functions_that_nobody_implements(node):
    """Refused at declaration, never at evaluation; the sub-expression is in the message."""
    function = next(iter(node.atoms(Function)))
    error = refused(None, potential=POTENTIAL + node)
    assert type(function).__name__ in str(error)


@pytest.mark.parametrize(
    "node",
    [log(Abs(q - kappa) + 1), Mean(Max(0, u - kappa) ** 2, (u, q)), Mean(Heaviside(u), (u, q))],
    ids=str,
)
def test_kinks_are_welcome(node):
    assert make(potential=POTENTIAL + node).potential.has(Abs, PositivePart, Heaviside)


@pytest.mark.parametrize(
    "potential",
    [POTENTIAL + qhat**2 * q, POTENTIAL + q**2 * qhat, log(1 + q * qhat) + alpha, alpha * q],
    ids=str,
)
def test_pairs_that_are_not_bilinear(potential):
    refused("not bilinear in the pair", potential=potential, observables={}, thresholds={})


@pytest.mark.parametrize("potential", ["q + alpha", 1, None, [q], Basic()], ids=repr)
def test_potentials_that_are_no_expression(potential):
    refused("must be a sympy expression", potential=potential)


@pytest.mark.parametrize("observable", ["q", None, [q], q > 0], ids=repr)
def test_observables_that_are_no_expression(observable):
    error = refused("observable wrong", observables={"wrong": observable}, thresholds={})
    assert "sympy" in str(error) or "expression" in str(error) or "cannot" in str(error)


@pytest.mark.parametrize("number", [0, 1, 0.5])
def test_an_observable_may_be_a_number(number):
    assert make(observables={"constant": number}, thresholds={}).observables["constant"] == number


@pytest.mark.parametrize("part", ["name", "title"])
@pytest.mark.parametrize("text", ["", None, 3])
def test_names_and_titles(part, text):
    refused(f"needs a {part}", **{part: text})


# ---- wrong symbols -----------------------------------------------------------------------------


def test_conjugate_of_what_is_no_overlap():
    refused("has a conjugate but is not an overlap", conjugates={q: qhat, m: loose})


def test_symbol_that_is_overlap_and_control():
    refused("both overlap and control",
            controls={**content()["controls"], q: (Interval(0, 1), 0)})  # fmt: skip


def test_two_symbols_of_one_name():
    """Results are read by name: q and another q could not be told apart."""
    other = Symbol("q", real=True)
    refused(
        None, potential=POTENTIAL + other**2, overlaps={q: Interval(0, 1), other: Interval(0, 1)}
    )
    twin = Symbol("kappa", positive=True)
    refused(None, potential=POTENTIAL + twin,
            controls={**content()["controls"], twin: (Interval(0, 1), 0)})  # fmt: skip


@pytest.mark.parametrize(
    "declared",
    [
        {alpha: 1},
        {alpha: (Interval(0, 1),)},
        {"alpha": (Interval(0, 1), 0)},
        {alpha: Interval(0, 1)},
        {Symbol("alpha"): (Interval(0, 1), 0)},
        {alpha: ((0, 1), 0)},
        {alpha: (3, 0)},
    ],
    ids=str,
)
def test_controls_declared_wrong(declared):
    potential = q * next(iter(declared)) if isinstance(next(iter(declared)), Symbol) else q
    refused("control", potential=potential, controls=declared, conjugates={}, observables={},
            thresholds={})  # fmt: skip


@pytest.mark.parametrize("default", [11, -10.5, float("nan"), "0", 1j])
def test_default_outside_its_domain(default):
    refused("kappa", controls={**content()["controls"], kappa: (Interval(-10, 10), default)})


@pytest.mark.parametrize("domain", [3, (0, 1), None])
def test_overlaps_without_an_interval(domain):
    refused("q", overlaps={q: domain})


def test_starts_at_what_is_no_unknown():
    refused("loose", starts={"uninformed": {loose: 0}})


def test_stability_that_is_no_observable():
    refused("stability names 'replicon'", stability="replicon")
    assert make(stability="twice").stability == "twice"


# ---- wrong thresholds --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "threshold",
    [
        Root("entropi", in_=alpha),
        Root("entropy", in_=q),
        Root("entropy", in_=loose),
        Root(loose + q, in_=alpha),
        Root("entropy", in_=alpha, at={loose: 0}),
        Root("entropy", in_=alpha, start={loose: 0}),
        Root("entropy", in_=alpha, unless=((loose > 0, "never"),)),
        Instability("replicon", in_=alpha),
        Root(Mean(tan(u), (u, q)), in_=alpha),
        Limit(loose + kappa),
        Limit(kappa, stability=loose),
        Limit(kappa, unless=((loose > 0, "never"),)),
        Limit(Mean(Function("g")(u), (u, 1)) + kappa),
        Limit("kappa"),
        Fold(loose),
        Fold(q),
        Fold(alpha, otherwise=loose),
        Fold(alpha, otherwise=Mean(tan(u), (u, q))),
        Fold(alpha, unless=((loose > 0, "never"),)),
        Crossing(loose),
        Crossing(qhat),
        Crossing(alpha, unless=((q > 0, "never"),)),
        Cusp((kappa, loose)),
        Cusp((q, alpha)),
        Cases(loose, ((True, Fold(loose)),)),
        Cases(alpha, ((Eq(loose, 0), Fold(alpha)),)),
        Cases(alpha, ((Eq(q, 0), Fold(alpha)),)),
        Cases(alpha, ((Eq(kappa, 0), Fold(alpha)), (True, Crossing(loose)))),
        Cases(alpha, ((Eq(kappa, 0), Fold(alpha)), (True, "crossing"))),
        "entropy",
        q,
        None,
    ],
    ids=lambda t: repr(t)[:60],
)
def test_bad_thresholds(threshold):
    with pytest.raises((DeclarationError, UnknownName)) as caught:
        make(thresholds={"wrong": threshold})
    message = str(caught.value)
    assert "test-formula" in message
    assert "\n" not in message


def test_as_many_conditions_as_controls():
    with pytest.raises(DeclarationError, match="as many conditions as controls"):
        Root(("entropy", "twice"), in_=alpha)
    with pytest.raises(DeclarationError, match="as many conditions as controls"):
        Instability("twice", in_=(alpha, kappa))
    pair = Root(("entropy", "twice"), in_=(alpha, kappa))
    assert make(thresholds={"pair": pair}).threshold("pair").controls == (alpha, kappa)


def test_a_limit_may_be_extremised_over_auxiliaries():
    limit = Limit(m**2 + kappa, over={m: (Interval(0, 1), S.Half)})
    assert make(thresholds={"limit": limit}).threshold("limit").over[m][1] == S.Half


def test_folds_crossings_and_cusps_say_what_they_solve_for():
    formula = make(
        thresholds={
            "top": Fold(alpha),
            "bottom": Fold(alpha, upper=False, otherwise=kappa**2),
            "equal": Crossing(alpha),
            "end": Cusp((kappa, alpha)),
        }
    )
    assert formula.threshold("top").controls == (alpha,)
    assert formula.threshold("equal").controls == (alpha,)
    assert formula.threshold("end").controls == (kappa, alpha)
    assert formula.determined("top") == formula.determined("bottom") == {"alpha"}
    assert formula.determined("end") == {"alpha", "kappa"}
    assert formula.threshold("bottom").otherwise == kappa**2
    assert formula == make(thresholds=dict(formula.thresholds))
    assert pickle.loads(pickle.dumps(formula)) == formula


def test_the_far_end_of_a_fold_is_made_stable_in_every_case():
    fold = Fold(alpha, otherwise=log(erfc(kappa)))
    cases = Cases(alpha, ((Eq(kappa, 0), fold), (True, Crossing(alpha))))
    formula = make(thresholds={"plain": fold, "cases": cases})
    assert not formula.threshold("plain").otherwise.has(erfc)
    (condition, first), (last, second) = formula.threshold("cases").cases
    assert condition == Eq(kappa, 0)
    assert first == formula.threshold("plain")
    assert last is True
    assert second == Crossing(alpha)
    assert formula.threshold("cases").controls == (alpha,)
    assert formula.determined("cases") == {"alpha"}


def test_kinds_of_thresholds_are_different():
    kinds = [Fold(alpha), Fold(alpha, upper=False), Crossing(alpha), Cases(alpha, ())]
    assert len(set(kinds)) == len(kinds)
    formulas = {make(thresholds={"it": kind}) for kind in kinds[:3]}
    assert len(formulas) == 3


@pytest.mark.parametrize(
    "declare",
    [
        lambda: Cusp((alpha,)),
        lambda: Cusp(alpha),
        lambda: Cases(alpha, ()),
        lambda: Cases(alpha, ((Eq(kappa, 0), Fold(kappa)), (True, Crossing(alpha)))),
    ],
    ids=["cusp in one control", "cusp in no tuple", "no case", "a case in another control"],
)
def test_thresholds_in_the_wrong_controls(declare):
    with pytest.raises(DeclarationError):
        make(thresholds={"wrong": declare()})


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


# ---- families ----------------------------------------------------------------------------------


def build(constraint: str = "step", rsb: int = 0) -> Formula:
    BUILT.append((constraint, rsb))
    return make(
        name="family", title=f"{constraint} {rsb}", options={"constraint": constraint, "rsb": rsb}
    )


BUILT: list[tuple[str, int]] = []
FAMILY = Family(
    name="family",
    title="A family for tests",
    options={
        "constraint": Option(("step", "u"), "step", "accepted fields"),
        "rsb": Option((0, 1), 0, "steps"),
    },
    build=build,
)


def test_calling_a_family():
    assert FAMILY().options == {"constraint": "step", "rsb": 0}
    assert FAMILY(constraint="u").title == "u 0"
    assert FAMILY(rsb=1, constraint="u") is FAMILY(constraint="u", rsb=1)
    assert FAMILY() is FAMILY(rsb=0)
    assert FAMILY(rsb=1) != FAMILY(rsb=0)
    assert FAMILY._repr_latex_() == FAMILY()._repr_latex_()
    assert FAMILY.published == ()
    assert "constraint=step|u" in repr(FAMILY)


def test_a_family_builds_each_formula_once():
    FAMILY(rsb=1)
    count = len(BUILT)
    assert FAMILY(rsb=1) is FAMILY(constraint="step", rsb=1)
    assert len(BUILT) == count


def test_options_apart_from_controls():
    formula, rest = FAMILY.resolve({"alpha": 1, "rsb": 1, "kappa": 2})
    assert formula is FAMILY(rsb=1)
    assert rest == {"alpha": 1, "kappa": 2}
    with pytest.raises(UnknownName, match="did you mean rsb"):
        FAMILY.resolve({"rbs": 1})
    with pytest.raises(UnknownName, match="unknown option of family"):
        FAMILY(alpha=1)


@pytest.mark.parametrize(
    "value", ["1", 2, True, None, 0.5, [0], (0,), {}, float("nan"), "__import__('os')"], ids=repr
)
def test_options_that_are_no_choice(value):
    with pytest.raises(ControlError, match=r"option rsb=.*not one of 0, 1"):
        FAMILY(rsb=value)


def test_an_array_is_no_option():
    numpy = pytest.importorskip("numpy")
    with pytest.raises(ControlError, match="option rsb"):
        FAMILY(rsb=numpy.array([0, 1]))


def test_options_keep_the_type_of_their_choice():
    assert FAMILY(rsb=1.0) is FAMILY(rsb=1)
    assert FAMILY(rsb=1.0).options["rsb"] == 1
    assert isinstance(FAMILY(rsb=1.0).options["rsb"], int)


# ---- options that take blocks ------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Block:
    """A structural choice that users may write themselves."""

    name: str
    slope: int = 1

    def __str__(self):
        return self.name


SHIPPED = {"plain": Block("plain"), "steep": Block("steep", 7)}
MADE: list[Block] = []


def build_with(block: Block) -> Formula:
    MADE.append(block)
    return make(name="blocks", title=f"with {block}", options={"block": block})


BLOCKS = Family(
    name="blocks",
    title="A family of blocks",
    options={"block": Option(tuple(SHIPPED), "plain", "how", Block, SHIPPED.__getitem__)},
    build=build_with,
)


def test_a_block_by_its_name_is_the_block():
    assert BLOCKS().options["block"] is SHIPPED["plain"]
    assert BLOCKS(block="steep") is BLOCKS(block=SHIPPED["steep"])
    assert BLOCKS(block=Block("steep", 7)) is BLOCKS(block="steep")
    assert BLOCKS(block="steep").title == "with steep"
    assert "block=steep" in repr(BLOCKS(block="steep"))
    assert "block=plain|steep" in repr(BLOCKS)


def test_a_block_of_ones_own():
    own = Block("my own", 3)
    count = len(MADE)
    formula = BLOCKS(block=own)
    assert formula.options == {"block": own}
    assert BLOCKS(block=Block("my own", 3)) is formula
    assert BLOCKS(block=Block("my own", 4)) is not formula
    assert len(MADE) == count + 2
    found, rest = BLOCKS.resolve({"block": own, "alpha": 1})
    assert found is formula
    assert rest == {"alpha": 1}


@pytest.mark.parametrize(
    "value", [3, 0.5, True, None, ["plain"], Block, {"plain": 1}, FrozenMapping], ids=repr
)
def test_what_is_neither_a_block_nor_a_name(value):
    with pytest.raises(ControlError, match=r"option block=.*plain, steep, nor a Block"):
        BLOCKS(block=value)


@pytest.mark.parametrize("name", ["plane", "Steep", "__import__('os')", ""])
def test_unknown_names_of_blocks(name):
    with pytest.raises(UnknownName, match="unknown block of blocks") as caught:
        BLOCKS(block=name)
    assert "plain" in str(caught.value)
    assert "steep" in str(caught.value)


def test_without_a_type_no_block_is_accepted():
    with pytest.raises(ControlError, match="option constraint="):
        FAMILY(constraint=Block("step"))


# ---- frozen mappings ---------------------------------------------------------------------------


def test_frozen_mapping_is_a_mapping():
    frozen = FrozenMapping({"b": 1, "a": 2})
    assert list(frozen) == ["b", "a"]
    assert len(frozen) == 2
    assert frozen["a"] == 2
    assert dict(frozen) == {"b": 1, "a": 2} == frozen
    assert frozen == FrozenMapping({"a": 2, "b": 1})
    assert hash(frozen) == hash(FrozenMapping({"a": 2, "b": 1}))
    assert frozen != FrozenMapping({"a": 2})
    assert frozen != 3
    assert repr(frozen) == "{'b': 1, 'a': 2}"
    assert FrozenMapping() == {}
    assert pickle.loads(pickle.dumps(frozen)) == frozen
    assert list(pickle.loads(pickle.dumps(frozen))) == ["b", "a"]


def test_frozen_mapping_keeps_its_own_copy():
    source = {"a": 1}
    frozen = FrozenMapping(source)
    source["a"] = 2
    assert frozen["a"] == 1
    with pytest.raises(KeyError):
        frozen["missing"]
    with pytest.raises((TypeError, AttributeError)):
        frozen["a"] = 3
    with pytest.raises((TypeError, AttributeError)):
        del frozen["a"]
    with pytest.raises(TypeError):
        frozen.other = 1
