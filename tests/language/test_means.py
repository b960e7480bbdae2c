"""Means as nodes: calculus, bound fields, equality, and what they refuse."""

from __future__ import annotations

import pickle

import mpmath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from language.values import derivative, value
from mpmath import mpf
from sympy import (
    Abs,
    DiracDelta,
    Dummy,
    Expr,
    Heaviside,
    I,
    Integer,
    Max,
    Min,
    Rational,
    S,
    Symbol,
    cos,
    erfc,
    exp,
    latex,
    oo,
    pi,
    sign,
    simplify,
    sin,
    sqrt,
    srepr,
    symbols,
)

from replica.errors import DeclarationError
from replica.language.means import LabelSum, Mean, cancel_terms, outermost_means
from replica.language.primitives import (
    LogCosh,
    LogH,
    LogHDifference,
    LogSumExp,
    Mills,
    MillsExcess,
    Sech,
    Tanh,
)

x, y, z = symbols("x y z", real=True)
a, b, c, v, w = symbols("a b c v w", real=True)

AT = {a: "0.7", b: "-0.4", c: "1.3", v: "0.8", w: "0.5"}
CLOSE = mpf(10) ** -14


@pytest.fixture(autouse=True)
def many_digits():
    with mpmath.workdps(30):
        yield


def same(one: Expr, two: Expr, at=AT, tolerance=CLOSE) -> bool:
    first, second = value(one, at), value(two, at)
    return abs(first - second) <= tolerance * max(abs(first), 1)


# ---- what a mean is ----------------------------------------------------------------------------


def test_parts():
    mean = Mean(cos(x + a), (x, v))
    assert (mean.body, mean.field, mean.variance) == (cos(x + a), x, v)
    assert mean.free_symbols == {a, v}
    assert mean.bound_symbols == [x]
    assert mean.func(*mean.args) == mean
    assert str(mean) == "Mean(cos(a + x), (x, v))"
    assert "Mean(" in srepr(mean)
    assert Mean(cos(x), (x, v)).is_extended_real


def test_no_variance_is_exact():
    assert Mean(LogH(x + a), (x, 0)) == LogH(a)
    assert Mean(x**2, (x, 0)) == 0
    assert Mean(Abs(x), (x, v)).subs(v, 0) == 0
    assert Mean(LogH(x + a), (x, v)).subs(v, 0) == LogH(a)
    assert Mean(LogH(x + a), (x, v)).xreplace({v: S.Zero}) == LogH(a)
    inner = Mean(cos(x * y + a), (y, x**2))
    assert Mean(LogH(x) * inner, (x, v)).subs(v, 0) == LogH(0) * cos(a)
    assert Mean(Tanh(x + a) * sin(b), (x, 0 * v)) == Tanh(a) * sin(b)


def test_constants_come_out():
    assert Mean(3 * a * x**2 * exp(b), (x, v)) == 3 * a * exp(b) * Mean(x**2, (x, v))
    assert Mean(a + b, (x, v)) == a + b
    assert Mean(5, (x, v)) == 5
    inner = Mean(cos(y), (y, w))
    assert Mean(x**2 * inner, (x, v)) == inner * Mean(x**2, (x, v))


def test_shadowed_fields_are_independent():
    """The same name inside another mean is another field."""
    nested = Mean(x**2 * Mean(cos(x), (x, v)), (x, w))
    assert nested == Mean(x**2, (x, w)) * Mean(cos(x), (x, v))
    mixed = Mean(exp(-(x**2) + Mean(cos(a * x), (x, v))), (x, w))
    apart = Mean(exp(-(x**2) + Mean(cos(a * y), (y, v))), (x, w))
    assert mixed == apart
    at = {a: "0.7", v: "0.8", w: "0.5"}
    truth = mpmath.exp(-mpf("0.49") * mpf("0.8") / 2)  # of the inner mean
    expected = mpmath.exp(truth) / mpmath.sqrt(2)
    assert abs(value(mixed, at, step=1 / 4) - expected) < CLOSE


def test_sums_over_labels_expand():
    assert LabelSum(exp(a * x), (a, (-1, 1))) == exp(x) + exp(-x)
    assert LabelSum(a, (a, range(4))) == 6
    assert LabelSum(c, (a, (1, 2, 3))) == 3 * c
    total = LabelSum(Mean(exp(-(a**2) * x**2), (x, a**2)), (a, (1, 2)))
    assert total == Mean(exp(-(x**2)), (x, 1)) + Mean(exp(-4 * x**2), (x, 4))
    captured = LabelSum(Mean(cos(a * x), (x, 1)), (a, (x,)))  # the outer x
    assert captured.subs(x, 2) == Mean(cos(2 * y), (y, 1))


@pytest.mark.parametrize("levels", [(), (1, 1), (1, Integer(1))])
def test_sums_over_labels_refuse(levels):
    with pytest.raises(DeclarationError, match="LabelSum over a"):
        LabelSum(a, (a, levels))


def test_outermost_means_are_found_once():
    inner = Mean(cos(x * y), (x, v))
    outer = Mean(inner**2, (y, w))
    assert outermost_means(outer + 2 * outer, inner.subs(y, 1)) == [outer, inner.subs(y, 1)]


# ---- equality ----------------------------------------------------------------------------------


def test_the_name_of_the_field_does_not_matter():
    one, two = Mean(cos(x + a), (x, v)), Mean(cos(z + a), (z, v))
    assert one == two
    assert hash(one) == hash(two)
    assert one - two == 0
    assert len({one, two}) == 1
    assert {one: 1}[two] == 1
    assert one != Mean(cos(x + b), (x, v))
    assert one != Mean(cos(x + a), (x, w))
    assert one + one == 2 * two


def test_nested_names_do_not_matter_but_roles_do():
    one = Mean(cos(x) * Mean(sin(y + 2 * x), (y, w)), (x, v))
    assert one == Mean(cos(y) * Mean(sin(x + 2 * y), (x, w)), (y, v))
    assert hash(one) == hash(Mean(cos(y) * Mean(sin(x + 2 * y), (x, w)), (y, v)))
    assert one != Mean(cos(x) * Mean(sin(2 * y + x), (y, w)), (x, v))
    assert one != Mean(cos(x) * Mean(sin(y + 2 * x), (y, v)), (x, w))


def test_no_free_symbol_passes_for_the_field():
    """Whatever name equality uses inside, a user may have a symbol of that name."""
    for k in range(4):
        for name in (f"_field{k}", f"field{k}", "_x"):
            free = Symbol(name, real=True)
            assert Mean(cos(x + free), (x, v)) != Mean(cos(2 * y), (y, v))


def test_substitution_finds_a_mean_of_another_name():
    total = 1 + Mean(cos(x + a), (x, v))
    assert total.xreplace({Mean(cos(y + a), (y, v)): b}) == 1 + b
    assert total.subs(Mean(cos(x + a), (x, v)), b) == 1 + b


@pytest.mark.parametrize(
    "mean",
    [
        Mean(cos(x + a), (x, v)),
        Mean(cos(x + a), (x, v)).subs(a, x),  # carries a dummy
        Mean(LogH(x) * Mean(Tanh(x + y), (y, w)), (x, v)),
        Mean(LogHDifference(-a - x, a - x), (x, v)),
    ],
    ids=str,
)
def test_pickles(mean):
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        copy = pickle.loads(pickle.dumps(mean, protocol))
        assert copy == mean
        assert hash(copy) == hash(mean)
        assert copy.diff(v) == mean.diff(v)


def test_latex():
    shown = latex(Mean(LogH(x + a), (x, v)))
    assert shown == (r"\mathbb{E}_{x\sim\mathcal{N}(0,v)}\left[\log H\left(a + x\right)\right]")
    assert latex(Mean(cos(x), (x, v)) ** 2) == (
        r"\mathbb{E}_{x\sim\mathcal{N}(0,v)}\left[\cos{\left(x \right)}\right]^{2}"
    ) or latex(Mean(cos(x), (x, v)) ** 2).endswith("^{2}")
    assert r"\log H^{2}" in latex(LogH(x) ** 2)


# ---- capture -----------------------------------------------------------------------------------


def test_substituting_the_field_from_outside_changes_nothing():
    mean = Mean(cos(x + a), (x, v))
    assert mean.subs(x, 3) == mean
    assert mean.xreplace({x: b}) == mean
    assert mean.diff(x) == 0
    assert mean.subs(x + a, b) == mean
    assert mean.xreplace({x + a: b}) == mean


def test_substituting_something_named_like_the_field():
    mean = Mean(cos(x + 2 * a), (x, v))
    captured = mean.subs(a, x)
    assert captured.free_symbols == {x, v}
    assert captured != Mean(cos(3 * x), (x, v))
    assert captured.subs(x, 3) == mean.subs(a, 3)
    assert mean.xreplace({a: x}).subs(x, 3) == mean.subs(a, 3)
    assert mean.subs(v, x).subs(x, 3) == mean.subs(v, 3)
    assert mean.subs(v, x**2).subs(x, 3) == mean.subs(v, 9)
    assert captured.diff(x).subs(x, 3) == mean.diff(a).subs(a, 3)


def test_swapping_two_symbols():
    mean = Mean(cos(x + a) * LogH(b * x), (x, v))
    swapped = mean.subs({a: b, b: a}, simultaneous=True)
    assert swapped == Mean(cos(x + b) * LogH(a * x), (x, v))
    assert mean.xreplace({a: b, b: a}) == swapped


def test_capture_in_nested_means():
    mean = Mean(Mean(cos(x * y + a), (y, w)), (x, v))
    for name in (x, y):
        captured = mean.subs(a, name)
        assert captured.free_symbols == {name, v, w}
        assert captured.subs(name, 2) == mean.subs(a, 2)
    assert mean.subs(w, y**2).subs(y, 3) == mean.subs(w, 9)
    # the variance of the inner field may depend on the outer one
    linked = Mean(Mean(cos(y + a), (y, x**2)), (x, v))
    assert linked.subs(a, x).subs(x, 2) == linked.subs(a, 2)


def test_substituting_a_mean_that_binds_the_same_name():
    other = Mean(sin(x * b), (x, w))
    mean = Mean(cos(x + a), (x, v)).subs(a, other)
    assert mean == Mean(cos(z + other), (z, v))
    assert mean.free_symbols == {b, v, w}


def test_dummies_serve_as_fields():
    field = Dummy("t", real=True)
    assert Mean(cos(field + a), (field, v)) == Mean(cos(x + a), (x, v))


# ---- derivatives -------------------------------------------------------------------------------

CURVES = {
    "moment": Mean(x**4 + a * x**2, (x, v)),
    "log cosh": Mean(LogCosh(x + a), (x, v)),
    "tail": Mean(LogH((a - x) / sqrt(1 - v / 2)), (x, v)),
    "tail squared": Mean(Mills(a * x + b) ** 2, (x, v)),
    "excess": Mean(MillsExcess(x) * Tanh(a * x), (x, v)),
    "interval": Mean(LogHDifference(-c - x, c - x), (x, v)),
    "two tails": Mean(LogSumExp(LogH(c - x), LogH(c + x)), (x, v)),
    "linked variance": Mean(Sech(x - b) ** 2, (x, a**2 * v)),
    "exponential": Mean(exp(a * x - x**2), (x, v)),
    "product of means": Mean(Tanh(x) ** 2, (x, v)) * Mean(LogH(x), (x, v * c)) ** 2,
}


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("symbol", [v, a], ids=str)
def test_derivatives_against_finite_differences(name, symbol):
    curve = CURVES[name]
    truth = derivative(curve, symbol, AT)
    found = value(curve.diff(symbol), AT)
    assert abs(found - truth) <= CLOSE * max(abs(truth), 1)


@pytest.mark.parametrize(
    ("name", "one", "two"),
    [("log cosh", v, v), ("tail", v, a), ("two tails", v, c), ("interval", c, v)],
)
def test_second_derivatives(name, one, two):
    curve = CURVES[name]
    with mpmath.workdps(24):
        truth = derivative(curve.diff(one), two, AT, step=1 / 8)
        found = value(curve.diff(one, two), AT, step=1 / 8)
        assert abs(found - truth) <= mpf(10) ** -11 * max(abs(truth), 1)


def test_nested_derivatives():
    """E over x of E cos(x y) over y ~ N(0, w(x)) is E exp(-w(x) x^2 / 2)."""
    independent = Mean(exp(-(x**2) * b**2) * Mean(cos(x * y + a), (y, w)), (x, v))
    linked = Mean(Mean(cos(x * y), (y, w + x**2 / 4)), (x, v))
    at = {a: "0.7", b: "0.6", v: "0.3", w: "0.4"}
    single = Mean(exp(-(x**2) * b**2 - w * x**2 / 2), (x, v)) * cos(a)
    quartic = Mean(exp(-(w + x**2 / 4) * x**2 / 2), (x, v))
    for curve, plain, symbols_ in ((independent, single, (a, v, w)), (linked, quartic, (v, w))):
        for symbol in symbols_:
            found = value(curve.diff(symbol), at, step=0.4)
            assert abs(found - value(plain.diff(symbol), at)) < CLOSE
            assert abs(found - derivative(plain, symbol, at)) < CLOSE


def test_the_heat_equation():
    mean = Mean(LogCosh(x), (x, v))
    assert mean.diff(v) == Mean(Sech(x) ** 2, (x, v)) / 2
    assert Mean(x**4, (x, v)).diff(v) == Mean(6 * x**2, (x, v))
    assert Mean(exp(a * x), (x, v)).diff(v) == a**2 * Mean(exp(a * x), (x, v)) / 2
    assert Mean(cos(x), (x, v**2)).diff(v) == -v * Mean(cos(x), (x, v**2))
    assert mean.diff(w) == 0


def test_nothing_divides_by_the_spread():
    """The derivative is finite at v = 0, where an integrand in x = sqrt(v) t would divide by it."""
    for curve in (CURVES["log cosh"], CURVES["tail"], CURVES["two tails"]):
        slope = curve.diff(v)
        truth = mpmath.diff(
            lambda t, c=curve: value(c, {**AT, v: t}), mpf("1e-9"), h=mpf(10) ** -15
        )
        assert abs(value(slope, {**AT, v: 0}) - truth) < mpf(10) ** -8
        assert not (slope.subs(v, 0)).has(oo, S.ComplexInfinity, S.NaN)


def test_cancelling_terms_cancel():
    slope = Mean(LogH((a - x) / sqrt(1 - v)), (x, v)).diff(v)
    expected = -Mean(Mills((a - x) / sqrt(1 - v)) ** 2, (x, v)) / (2 * (1 - v))
    assert simplify(slope / expected) == 1
    assert not slope.has(MillsExcess)
    assert cancel_terms(Mills(x) * MillsExcess(x) + x * Mills(x)) == Mills(x) ** 2
    untouched = (1 + x) ** 5 * Tanh(a)
    assert cancel_terms(untouched) == untouched


@given(st.integers(0, 5), st.integers(0, 5), st.sampled_from([a, b, v]))
@settings(max_examples=25)
def test_cancelling_changes_no_value(first, second, symbol):
    parts = (x * Mills(x), Mills(x) * MillsExcess(x), a * x**2, (a + x) ** 2, Tanh(x) / (1 - v), b)
    expression = parts[first] * (a + 1) + parts[second] * (b - x) - parts[first] * symbol
    at = {**AT, x: "0.6", v: "0.4"}
    assert same(expression, cancel_terms(expression), at, mpf(10) ** -26)


# ---- kinks and their deltas --------------------------------------------------------------------


def density_at(place, variance=v):
    return exp(-(place**2) / (2 * variance)) / sqrt(2 * pi * variance)


@pytest.mark.parametrize(
    ("mean", "symbol", "expected"),
    [
        (Mean(Max(0, x) ** 2, (x, v)), v, S.Half),
        (Mean(Abs(x), (x, v)), v, density_at(0)),
        (Mean(Abs(x - a), (x, v)), v, density_at(a)),
        (Mean(Max(0, x - a), (x, v)), v, density_at(a) / 2),
        (Mean(Min(x, a), (x, v)), v, -density_at(a) / 2),
        (Mean(Heaviside(x - a), (x, v)), a, -density_at(a)),
        (Mean(Heaviside(x - a), (x, v)), v, a * density_at(a) / (2 * v)),
        (Mean(sign(x - a), (x, v)), a, -2 * density_at(a)),
        (Mean(Heaviside(a - 2 * x) * x, (x, v)), a, density_at(a / 2) * a / 4),
        (Mean(Max(0, x - a), (x, v)).diff(a), a, density_at(a)),
        (Mean(Abs(x) ** 3, (x, v)), v, 3 * sqrt(2 * v / pi)),
        (Mean(Max(0, 3 * x + a) ** 2, (x, v)), v, 9 * erfc(-a / sqrt(18 * v)) / 2),
    ],
    ids=str,
)
def test_kinks(mean, symbol, expected):
    """What a kink leaves on derivation is sifted; what remains is a mean with a kink."""
    slope = mean.diff(symbol)
    assert not slope.has(DiracDelta)
    for place, variance in (("0.7", "0.8"), ("-0.3", "2")):
        found = with_kinks(slope, {a: mpf(place), v: mpf(variance)})
        truth = mpmath.mpf(expected.subs({a: Rational(place), v: Rational(variance)}).evalf(30))
        assert abs(found - truth) < mpf(10) ** -12


def with_kinks(expression: Expr, at) -> mpf:
    """Value of an expression whose means have kinks where an argument of theirs vanishes."""
    names = {}
    for k, mean in enumerate(outermost_means(expression)):
        breaks = {mpf(-40), mpf(40), mpf(0)}
        for node in mean.body.atoms(Heaviside, Abs, Max, Min, sign):
            for argument in node.args:
                if argument.has(x):
                    slope = argument.diff(x)
                    if slope.is_number:
                        zero = -argument.subs(x, 0).subs(at) / slope
                        breaks.add(mpf(zero.evalf(30)))
        spread = mpmath.sqrt(mpf(at[v]))

        def weighted(t, mean=mean, spread=spread, at=at):
            inside = mean.body.subs({**at, mean.field: t})
            return mpf(inside.evalf(25)) * mpmath.npdf(t, 0, spread)

        with mpmath.workdps(20):
            inside = {p for p in breaks if abs(p) <= 9 * spread} | {9 * spread, -9 * spread}
            names[mean] = Symbol(f"m{k}")
            at = {**at, names[mean]: mpmath.quad(weighted, sorted(inside), maxdegree=4)}
    plain = expression.xreplace(names)
    return mpf(plain.subs(at).evalf(25))


def test_products_of_kinks():
    both = Mean(Abs(x) * Abs(x - 1), (x, v))
    slope = both.diff(v)
    assert not slope.has(DiracDelta)
    # E |x||x - 1| differs from E x(x - 1) by twice the part between 0 and 1
    expected = mpmath.diff(
        lambda t: mpmath.quad(
            lambda s: abs(s * (s - 1)) * mpmath.npdf(s, 0, mpmath.sqrt(t)), [-30, 0, 1, 30]
        ),
        mpf(2),
        h=mpf(10) ** -10,
    )
    assert abs(with_kinks(slope, {v: mpf(2)}) - expected) < mpf(10) ** -10


def test_kinks_under_nested_means():
    nested = Mean(Mean(Abs(x + y), (x, v)), (y, w))
    for symbol in (v, w):
        slope = nested.diff(symbol)
        assert not slope.has(DiracDelta)
        truth = 1 / mpmath.sqrt(2 * mpmath.pi * mpf("1.3"))  # of sqrt(2 (v + w) / pi)
        assert abs(value(slope, {v: "0.8", w: "0.5"}) - truth) < CLOSE


def test_a_kink_of_three_pieces_is_refused_or_right():
    mean = Mean(Max(x, -x, 1), (x, v))
    try:
        slope = mean.diff(v)
    except DeclarationError:
        return
    truth = mpmath.npdf(1)  # half the jumps of the slope, 1 at each of +-1, times the density
    assert abs(with_kinks(slope, {v: mpf(1)}) - truth) < mpf(10) ** -12


@pytest.mark.parametrize(
    "body",
    [DiracDelta(cos(x)), DiracDelta(x) * DiracDelta(x - 1), DiracDelta(x) ** 2],
    ids=str,
)
def test_deltas_that_cannot_be_sifted(body):
    with pytest.raises(DeclarationError, match=r"not integrable over the field x.*DiracDelta"):
        Mean(body, (x, v))


# ---- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "binding", "message"),
    [
        ("x", (x, v), "not text"),
        (x**2, ("x", v), "not text"),
        (x**2, (x, "1"), "not text"),
        ("__import__('os')", (x, v), "not text"),
        (x**2, (2, v), "needs a symbol"),
        (x**2, (x + 1, v), "needs a symbol"),
        (x**2, (Symbol("x"), v), "must be a real symbol"),
        (x**2, (Symbol("x", complex=True), v), "must be a real symbol"),
        (x**2, (Symbol("x", positive=True), v), "all real values"),
        (x**2, (Symbol("x", nonpositive=True), v), "all real values"),
        (x**2, (x, x), "contains the field"),
        (x**2, (x, 1 + x**2), "contains the field"),
        (x**2, (x, -1), "is negative"),
        (1 / x, (x, v), "pole at x = 0"),
        (1 / (x - a) ** 2, (x, v), "pole at x = a"),
        (1 / (2 * x + 3), (x, v), "pole at x = -3/2"),
        (exp(x**3), (x, v), "outgrows"),
        (exp(x**4), (x, v), "outgrows"),
    ],
    ids=lambda part: str(part)[:30],
)
def test_refused(body, binding, message):
    with pytest.raises(DeclarationError, match=message):
        Mean(body, binding)


@pytest.mark.parametrize(
    ("body", "binding"),
    [
        (x**2, (x, v, w)),
        (x**2, (x,)),
        (x**2, x),
        ([x], (x, v)),
        (None, (x, v)),
        (x**2, (x, None)),
        (x**2, (x, I)),
        (x**2, (x, oo)),
        (x**2, (x, S.NaN)),
        (x**2, (Symbol("x", integer=True), v)),
    ],
    ids=str,
)
def test_nonsense_is_one_clear_error(body, binding):
    with pytest.raises(DeclarationError):
        Mean(body, binding)


@pytest.mark.parametrize(
    "body", [1 / (x**2 - 1), 1 / Abs(x), (x**2 - 3 * x + 2) ** -2, 1 / (x**3 - x)], ids=str
)
def test_what_has_no_mean_is_refused(body):
    with pytest.raises(DeclarationError, match="not integrable"):
        Mean(body, (x, v))


@pytest.mark.parametrize(
    "body", [1 / (1 + x**2), exp(-(x**4)), 1 / sqrt(Abs(x)), exp(-a * x**2), 1 / (a + 1)], ids=str
)
def test_what_has_a_mean_is_accepted(body):
    assert Mean(body, (x, v)).free_symbols <= {a, v}


# ---- subs and diff commute with the mean -------------------------------------------------------

PIECES = (
    LogCosh(x + a),
    Tanh(a * x + b),
    exp(-((x - b) ** 2) / 2),
    x**2 + a,
    LogH(b * x - a),
    cos(a * x),
    Mills(x / 2 + b) * a,
    Mean(Tanh(x * c + y), (y, w)),
    b,
)
VARIANCES = (v, v * c, 1 + a**2, Rational(1, 2), b**2 + v)


@st.composite
def means(draw) -> Mean:
    chosen = draw(st.lists(st.sampled_from(PIECES[:7]), min_size=1, max_size=3))
    body = chosen[0]
    for piece in chosen[1:]:
        body = draw(st.sampled_from([body + piece, body * piece, body - 2 * piece]))
    return Mean(body, (x, draw(st.sampled_from(VARIANCES))))


NUMBERS = st.sampled_from([Rational(1, 3), Integer(0), Integer(1), Rational(-3, 4), Integer(2)])
REPLACEMENTS = st.one_of(NUMBERS, st.sampled_from([c, a + c, b * c, x, x + a, 2 * y, Tanh(x)]))


@given(means(), st.sampled_from([a, b]), REPLACEMENTS)
@settings(max_examples=60)
def test_subs_commutes(mean, symbol, new):
    """E f with symbol := new is E (f with symbol := new), over a field that new cannot name."""
    field = Dummy("t", real=True)
    for node in mean.atoms(Mean):
        body = node.body.xreplace({node.field: field})
        inside = Mean(body.subs(symbol, new), (field, node.variance.subs(symbol, new)))
        assert node.subs(symbol, new) == inside
        assert node.xreplace({symbol: new}) == Mean(
            body.xreplace({symbol: new}), (field, node.variance.xreplace({symbol: new}))
        )


@given(means(), st.sampled_from([a, b]), NUMBERS, st.sampled_from([a, b, v]))
@settings(max_examples=40)
def test_diff_and_subs_commute(mean, symbol, number, varied):
    if symbol == varied:
        symbol = c
    one, two = mean.diff(varied).subs(symbol, number), mean.subs(symbol, number).diff(varied)
    if one != two:
        assert same(one, two, {**AT, symbol: number}, mpf(10) ** -20)


@given(means(), st.sampled_from([a, b, v, c]))
@settings(max_examples=12)
def test_diff_is_the_derivative(mean, symbol):
    truth = derivative(mean, symbol, AT)
    assert abs(value(mean.diff(symbol), AT) - truth) <= mpf(10) ** -12 * max(abs(truth), 1)


@given(means(), st.sampled_from([(a, b), (a, v), (b, v)]))
@settings(max_examples=12)
def test_derivatives_commute(mean, pair):
    one, two = pair
    assert same(mean.diff(one, two), mean.diff(two, one), AT, mpf(10) ** -20)


@given(means(), means())
@settings(max_examples=25)
def test_equality_is_that_of_the_values(one, two):
    if one == two:
        assert hash(one) == hash(two)
        assert same(one, two, AT, mpf(10) ** -30)
    renamed = one.xreplace({}) if not isinstance(one, Mean) else one.renamed({one.field})
    assert renamed == one
    assert hash(renamed) == hash(one)


def test_sympy_may_simplify_inside():
    assert simplify(Mean(cos(x) ** 2 + sin(x) ** 2, (x, v))) == 1
    assert Mean((x + a) ** 2, (x, v)).expand() == Mean(x**2 + 2 * a * x + a**2, (x, v))
    assert Mean(cos(x + a), (x, v)).replace(cos, sin) == Mean(sin(x + a), (x, v))


def test_a_whole_mean_is_replaced_inside_one_over_the_same_name():
    """The field of the inner mean is not visible from outside, whatever its name."""
    x, v, c = Symbol("x", real=True), *symbols("v c", positive=True)
    inner = Mean(LogCosh(x), (x, v))
    outer = Mean(LogCosh(x * inner), (x, 1))
    expected = Mean(LogCosh(x * c), (x, 1))
    assert outer.xreplace({inner: c}) == expected
    assert outer.subs(inner, c) == expected
