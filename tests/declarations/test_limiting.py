"""Limits of a formula: what they keep, what they drop, and what is refused."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace

import pytest
from sympy import (
    Abs,
    Interval,
    S,
    Symbol,
    atan,
    cosh,
    erfc,
    exp,
    log,
    oo,
    sqrt,
    symbols,
)

from replica.declarations.control import Control, Relation
from replica.declarations.formula import Formula
from replica.declarations.threshold import Determining, Instability, Limit, Root
from replica.declarations.transitions import Fold
from replica.errors import DeclarationError, UnknownName
from replica.language.means import Mean
from replica.language.primitives import LogH

T, beta, chi, mu, x = symbols("T beta chi mu x", positive=True)
alpha, kappa, m, h, u, z = symbols("alpha kappa m h u z", real=True)
q, q0, q1, r, M = symbols("q q0 q1 r M", nonnegative=True)
TEMPERATURE = Control(T, Interval.open(0, oo))
PATTERNS = Control(alpha, Interval.open(0, oo))


def hopfield(**changes):
    """Return attractor networks with patterns per neuron, after Amit, Gutfreund & Sompolinsky."""
    patterns = log(1 - (1 - q) / T) - q / (T * (1 - (1 - q) / T)) + r * (1 - q) / T**2
    known = {
        "name": "hopfield",
        "title": "Attractor network",
        "potential": -alpha * patterns / 2
        - m**2 / (2 * T)
        + Mean(log(2 * cosh((m + sqrt(alpha) * z) / T)), (z, r)),
        "overlaps": {m: Interval(0, 1), q: Interval.open(0, 1)},
        "conjugates": {q: r},
        "controls": {T: TEMPERATURE, alpha: PATTERNS},
        "starts": {"retrieval": {m: 1, q: 1, r: 1}, "glass": {m: 0, q: S.Half, r: 1 / T}},
        "observables": {
            "free_energy": m**2 / 2,
            "susceptibility": (1 - q) / T,
            "diverging": m / T,
            "gap": 1 - q,
        },
        "thresholds": {
            "alpha_c": Fold(alpha, start={alpha: 0.1, m: 0.9}),
            "alpha_m": Root(m - S.Half, in_=alpha),
            "alpha_s": Instability("susceptibility", in_=alpha),
            "alpha_d": Root("diverging", in_=alpha),
            "alpha_l": Limit(T + 1),
            "T_c": Root("free_energy", in_=T),
        },
        "status": "theorem",
    }
    return Formula(**{**known, **changes})


def wanted():
    return hopfield().limit(T, 0, {q: 1 - chi * T})


# ---- what is kept -------------------------------------------------------------------------------


def test_potential_is_the_leading_order():
    found = wanted().potential
    spins = [term for term in found.as_ordered_terms() if term.has(Mean)]
    assert len(spins) == 1
    others = (found - spins[0]).expand()
    expected = -(m**2) / 2 - alpha * chi * r / 2 + alpha / (2 - 2 * chi)
    assert (others - expected.expand()).expand() == 0


def test_unknowns_and_controls():
    found = wanted()
    # log(1 - chi) is real below one
    assert found.overlaps == {m: Interval(0, 1), chi: Interval.open(0, 1)}
    assert found.conjugates == {chi: r}
    assert list(found.controls) == ["alpha"]
    assert found.name == "hopfield-limit"
    assert found.title == "Attractor network: limit T -> 0, potential times T"
    assert found.status == "conjecture"


def test_observables_with_a_limit():
    found = wanted().observables
    assert found["free_energy"] == m**2 / 2
    assert found["susceptibility"] == chi
    assert found["gap"] == 0
    assert "diverging" not in found


def test_thresholds_with_a_meaning():
    found = wanted().thresholds
    assert set(found) == {"alpha_c", "alpha_m", "alpha_s", "alpha_l"}
    assert found["alpha_l"].value == 1
    assert found["alpha_m"].zero == m - S.Half


def test_starts_in_scaled_variables():
    starts = wanted().starts
    # where q is one, chi is next to its lower end; where it is below, next to its upper one
    assert starts["retrieval"] == {m: 1, chi: S(1) / 100, r: 1}
    assert starts["glass"] == {m: 0, chi: S(99) / 100}


def test_what_the_user_says_of_it_counts():
    found = hopfield().limit(
        T,
        0,
        {q: 1 - chi * T},
        domains={chi: Interval.open(0, S.Half)},
        name="hopfield-cold",
        thresholds={},
        starts={},
    )
    assert found.name == "hopfield-cold"
    assert found.overlaps[chi] == Interval.open(0, S.Half)
    assert not found.thresholds
    assert not found.starts


def test_identity():
    assert wanted() == wanted()
    assert pickle.loads(pickle.dumps(wanted())) == wanted()


def test_names_stand_for_symbols():
    loose = Symbol("q")
    assert hopfield().limit("T", 0, {loose: 1 - chi * Symbol("T")}) == wanted()


def test_inverse_temperature():
    hot = hopfield()
    cold = replace(
        hot,
        potential=hot.potential.subs(T, 1 / beta),
        controls={beta: (Interval.open(0, oo), None), alpha: PATTERNS},
        observables={},
        thresholds={},
        starts={},
    )
    found = cold.limit(beta, oo, {q: 1 - chi / beta})
    assert found.potential == wanted().potential
    assert found.title.endswith("limit beta -> oo, potential times 1/beta")


def test_pair_that_is_no_longer_bilinear():
    """A conjugate that is scaled by itself stays a pair; one of another power does not."""
    found = hopfield(starts={}).limit(T, 0, {q: 1 - chi * T, r: x**2})
    assert not found.conjugates
    assert found.overlaps[x] == Interval.open(0, oo)


def spin_glass():
    energy = (1 - 2 * q1 + (1 - M) * q1**2 + M * q0**2) / (4 * T**2)
    inner = Mean((2 * cosh((u + z) / T)) ** M, (z, q1 - q0))
    return Formula(
        name="spin-glass",
        title="Spin glass with one broken step",
        potential=energy + Mean(log(inner), (u, q0)) / M,
        overlaps={q0: Interval.Ropen(0, q1), q1: Interval.open(0, 1), M: Interval.open(0, 1)},
        controls={T: TEMPERATURE},
    )


def test_unknowns_without_a_say_are_left_out():
    one = spin_glass().limit(T, 0, {q1: 1 - chi * T, M: mu * T})
    two = spin_glass().limit(T, 0, {q1: 1, M: mu * T})
    assert one.potential == two.potential
    assert one.overlaps == {q0: Interval.Ropen(0, 1), mu: Interval.open(0, oo)}


def test_scalings_in_terms_of_each_other():
    one = spin_glass().limit(T, 0, {q1: 1 - chi * T, M: mu * (1 - q1)}).potential
    two = spin_glass().limit(T, 0, {q1: 1 - chi * T, M: mu * T}).potential
    assert one == two.subs(mu, mu * chi)


def perceptron(**changes):
    pattern = erfc((kappa - u) / sqrt(2 * (1 - q))) / 2
    known = {
        "name": "perceptron",
        "title": "Perceptron",
        "potential": log(1 - q) / 2 + q / (2 * (1 - q)) + alpha * Mean(log(pattern), (u, q)),
        "overlaps": {q: Interval.Ropen(0, 1)},
        "controls": {alpha: PATTERNS, kappa: (Interval(-5, 5), 0)},
        "relations": {"twice": Relation(Control(x, Interval.open(0, oo)), 2 * alpha)},
    }
    return Formula(**{**known, **changes})


def test_an_overlap_may_vanish_too():
    found = perceptron().limit(q, 1)
    assert not found.overlaps
    assert found.title == "Perceptron: limit q -> 1, potential times 1 - q"
    assert list(found.relations) == ["twice"]
    no_pattern = perceptron().limit(q, 0).potential
    assert no_pattern.subs(kappa, 0).evalf() == (alpha * log(S.Half)).evalf()


def test_a_scaled_control_is_a_control():
    tilted = perceptron(
        potential=perceptron().potential - kappa**2 / T,
        controls={alpha: PATTERNS, kappa: (Interval(-5, 5), 0), T: TEMPERATURE},
        relations={},
    )
    found = tilted.limit(T, 0, {kappa: mu * sqrt(T)})
    assert list(found.controls) == ["alpha", "mu"]
    assert found.control(mu).domain == Interval.open(0, oo)
    assert found.potential.has(mu)


# ---- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((x, 0), UnknownName, ["'x'", "control or overlap", "alpha"]),
        ((T, 1), DeclarationError, ["T = 1 is no end of its domain (0, inf)"]),
        ((T, alpha), DeclarationError, ["no end of its domain"]),
        ((T, "0"), DeclarationError, ["the value of T", "'0'"]),
        ((T, 0, [q]), DeclarationError, ["mapping", "1 - chi*T"]),
        ((T, 0, {q: "1 - chi*T"}), DeclarationError, ["q must be a sympy expression"]),
        ((T, 0, {q1: 1 - chi * T}), UnknownName, ["'q1'", "did you mean q?"]),
        ((T, 0, {T: chi}), DeclarationError, ["T is what tends to 0"]),
        ((T, 0, {q: 1 - Symbol("c") * T}), DeclarationError, ["symbols('c', positive=True)"]),
        ((T, 0, {q: 1 + chi * T}), DeclarationError, ["q = T*chi + 1 leaves its domain (0, 1)"]),
        ((T, 0, {q: chi / T}), DeclarationError, ["q = chi/T leaves its domain"]),
        ((T, 0), DeclarationError, ["pole", "-alpha*r*(1 - q)/(2*T**2)", "T**(-2)", "in q"]),
        (
            (T, 0, {q: 1 - chi * T**2, r: x / T}),
            DeclarationError,
            ["scaling leaves a pole", "LogCosh", "T**(-3/2)", "nothing balances it in x"],
        ),
        ((T, 0, {q: 1 - chi * sqrt(T)}), DeclarationError, ["negative"]),
    ],
)
def test_refusals(arguments, error, words):
    with pytest.raises(error) as caught:
        hopfield().limit(*arguments)
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert word in text


def test_refused_parts():
    with pytest.raises(UnknownName, match="did you mean name"):
        hopfield().limit(T, 0, {q: 1 - chi * T}, nam="cold")
    with pytest.raises(UnknownName, match="scaled variable"):
        hopfield().limit(T, 0, {q: 1 - chi * T}, domains={x: Interval(0, 1)})


def test_refused_functions_are_named():
    unknown = Formula(
        name="own",
        title="Own",
        potential=Mean(atan(h / T), (h, q)) - q**2,
        overlaps={q: Interval.open(0, 1)},
        controls={T: TEMPERATURE},
    )
    with pytest.raises(DeclarationError, match=r"atan\(h/T\) has a large argument"):
        unknown.limit(T, 0)


def test_refused_exponentials_are_named():
    with pytest.raises(DeclarationError, match=r"sqrt\(T\)\*mu\*log.* exponentially"):
        spin_glass().limit(T, 0, {q1: 1, M: mu * sqrt(T)})


def test_refused_logarithms_are_named():
    logarithmic = Formula(
        name="own",
        title="Own",
        potential=log(T) * q + exp(-(q**2)) + Mean(LogH(h), (h, q)) + Abs(q),
        overlaps={q: Interval.open(0, 1)},
        controls={T: TEMPERATURE},
    )
    with pytest.raises(DeclarationError, match=r"q\*log\(T\) leaves a logarithm"):
        logarithmic.limit(T, 0)


@dataclass(frozen=True)
class Named(Determining):
    """A threshold of a named state."""

    in_: Symbol
    of: tuple[str, ...]
    doc: str = ""
    unless: tuple = ()
    caveat: str = ""


def test_thresholds_of_states_that_are_left():
    thresholds = {
        "kept": Named(alpha, ("retrieval",), doc="lost"),
        "gone": Named(alpha, ("retrieval", "lost")),
    }
    starts = {"retrieval": {m: 1, q: 1}, "lost": {r: 1 / T}}
    found = hopfield(starts=starts, thresholds=thresholds).limit(T, 0, {q: 1 - chi * T})
    assert set(found.starts) == {"retrieval"}
    assert set(found.thresholds) == {"kept"}


def test_refused_without_potential():
    equations = Formula(
        name="own",
        title="Own",
        equations={q: 1 / (1 + T)},
        overlaps={q: Interval(0, 1)},
        controls={T: TEMPERATURE},
    )
    with pytest.raises(DeclarationError, match="limit of own: it has no potential"):
        equations.limit(T, 0)
