"""Declarations that are refused, with the formula, the symbol and what to do in the message."""

from __future__ import annotations

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
    coth,
    erfc,
    exp,
    floor,
    gamma,
    log,
    oo,
    tan,
    zoo,
)

from replica.declarations.threshold import Cases, Instability, Limit, Root
from replica.declarations.transitions import Crossing, Cusp, Fold
from replica.errors import DeclarationError, UnknownName
from replica.language.means import Mean
from replica.language.primitives import LogH, PositivePart


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
