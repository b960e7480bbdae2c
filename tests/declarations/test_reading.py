"""Values of controls: numbers inside their domain, exact where they came exact, else one error."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import Float, I, Integer, Interval, Rational, Symbol, nan, oo, pi, sqrt, true, zoo

import replica as rp
from replica.declarations.control import Control
from replica.declarations.numbers import exact, read_number
from replica.declarations.reading import read
from replica.errors import ControlError, DeclarationError, ReplicaError, UnknownName

ALPHA = Control(Symbol("alpha", real=True), Interval.open(0, oo), None)
KAPPA = Control(Symbol("kappa", real=True), Interval(-10, 10), 0)
ROOT = Control(Symbol("r", real=True), Interval.Lopen(0, sqrt(2)), 1)


# ---- numbers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        0.5,
        5e-324,
        1e308,
        3,
        np.float64(0.5),
        np.float32(0.1),
        np.float16(0.5),
        np.int64(2),
        np.uint8(3),
        np.array(0.5),
        Fraction(1, 2),
        mpmath.mpf("0.5"),
        Decimal("0.5"),
    ],
    ids=repr,
)
def test_doubles_become_floats(value):
    found = read_number(value, ALPHA, "f")
    assert type(found) is float
    assert found == float(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Fraction(1, 3), Rational(1, 3)),
        (Rational(1, 3), Rational(1, 3)),
        (Decimal("0.1"), Rational(1, 10)),
        (Decimal("0.12345678901234567890123456789"),
         Rational("0.12345678901234567890123456789")),
        (Decimal("1e-400"), Rational(1, 10**400)),
        (Fraction(1, 10**400), Rational(1, 10**400)),
        (sqrt(2), sqrt(2)),
        (pi, pi),
    ],
    ids=str,
)  # fmt: skip
def test_exact_numbers_keep_all_their_digits(value, expected):
    assert read_number(value, ALPHA, "f") == expected


def test_multi_precision_numbers_keep_their_digits():
    with mpmath.workdps(50):
        third = mpmath.mpf(1) / 3
        found = read_number(third, ALPHA, "f")
        assert abs(mpmath.mpf(found._to_mpmath(200)) - third) < mpmath.mpf(10) ** -49
    assert read_number(Float("0.1", 50), ALPHA, "f") == Float("0.1", 50)


def test_extended_doubles_keep_their_digits():
    value = np.longdouble(1) / np.longdouble(3)
    if np.finfo(np.longdouble).nmant <= 52:
        pytest.skip("long doubles are doubles here")
    found = read_number(value, ALPHA, "f")
    numerator, denominator = value.as_integer_ratio()
    assert isinstance(found, float) or found == Rational(numerator, denominator)


@pytest.mark.parametrize(
    "value",
    [
        "0.5",
        "1",
        "",
        "nan",
        "__import__('os')",
        "pi",
        b"1",
        True,
        False,
        np.True_,
        1j,
        1 + 0j,
        np.complex128(1),
        mpmath.mpc(1, 0),
        None,
        {},
        {1},
        object(),
        lambda: 1,
        Symbol("x", real=True),
        Symbol("x") > 1,
        true,
        I,
        1 + sqrt(2) * I,
        zoo,
        np.array("a"),
        np.datetime64("2020"),
        np.timedelta64(1, "s"),
    ],
    ids=lambda value: repr(value).split(" at 0x")[0][:30],
)
def test_what_is_no_real_number(value):
    with pytest.raises(ControlError, match=r"^f: alpha = .*; give a value in \(0, inf\)$"):
        read_number(value, ALPHA, "f")


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        -float("inf"),
        np.float64("nan"),
        np.array(np.inf),
        Decimal("nan"),
        Decimal("sNaN"),
        Decimal("inf"),
        mpmath.nan,
        mpmath.inf,
        oo,
        -oo,
        nan,
    ],
    ids=repr,
)
def test_what_is_not_finite(value):
    for control in (ALPHA, KAPPA):
        with pytest.raises(ControlError, match=rf"^f: {control.name} = .*(not finite|not a real)"):
            read_number(value, control, "f")


@pytest.mark.parametrize(
    ("value", "control", "interval"),
    [
        (0, ALPHA, r"\(0, inf\)"),
        (-0.0, ALPHA, r"\(0, inf\)"),
        (-1, ALPHA, r"\(0, inf\)"),
        (Fraction(-1, 3), ALPHA, r"\(0, inf\)"),
        (Decimal("-1e-400"), ALPHA, r"\(0, inf\)"),
        (10.000000000000002, KAPPA, r"\[-10, 10\]"),
        (Decimal("10.0000000000000000000000001"), KAPPA, r"\[-10, 10\]"),
        (Rational(101, 10), KAPPA, r"\[-10, 10\]"),
        (10**400, KAPPA, r"\[-10, 10\]"),
        (1.4142135623730954, ROOT, r"\(0, sqrt\(2\)\]"),
        (0, ROOT, r"\(0, sqrt\(2\)\]"),
    ],
    ids=str,
)
def test_what_is_outside_the_domain(value, control, interval):
    with pytest.raises(ControlError, match=rf"^f: {control.name} = .* is outside {interval}$"):
        read_number(value, control, "f")


def test_ends_of_closed_domains_belong():
    assert read_number(10, KAPPA, "f") == 10
    assert read_number(-10.0, KAPPA, "f") == -10
    assert read_number(Decimal("-10"), KAPPA, "f") == -10
    np.testing.assert_array_equal(read_number([-10, 10], KAPPA, "f"), [-10.0, 10.0])


def test_a_whole_number_too_large_for_a_double():
    """It is in the domain of alpha; what becomes of it must not be a traceback."""
    try:
        found = read_number(10**400, ALPHA, "f")
    except ControlError:
        return
    assert found == 10**400


# ---- arrays ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        [0.5, 1],
        (1, 2),
        range(1, 4),
        np.linspace(0.1, 1, 5),
        np.array([[1, 2], [3, 4]]),
        np.array([1, 2], dtype=np.int8),
        np.array([0.5], dtype=np.float32),
        [np.float64(0.5), 2],
        [Fraction(1, 2), Fraction(1, 4)],
        [Decimal("0.5"), 1],
        [Rational(1, 2)],
        [mpmath.mpf("0.5")],
    ],
    ids=lambda values: repr(values)[:40],
)
def test_arrays_of_numbers(values):
    found = read_number(values, ALPHA, "f")
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, np.array(values, dtype=float))


@pytest.mark.parametrize(
    "values",
    [
        [],
        (),
        np.empty(0),
        np.empty((2, 0)),
        ["1"],
        np.array(["1", "2"]),
        [None],
        [1, None],
        [1j],
        np.array([1j]),
        [True, False],
        [1, True],
        [[1, 2], [3]],
        [[1], 2],
        [object()],
        [float("nan")],
        [1, float("inf")],
        [1, 0],
        [-1.0],
        [Fraction(-1, 2)],
        [10**400],
        np.array([1], dtype="m8[s]"),
        ["__import__('os')"],
        np.array([(1, 2)], dtype=[("a", int), ("b", int)]),
    ],
    ids=lambda values: repr(values).split(" at 0x")[0][:40],
)
def test_arrays_that_are_refused(values):
    with pytest.raises(ControlError, match=r"^f: alpha "):
        read_number(values, ALPHA, "f")


def test_masked_values_are_not_used():
    masked = np.ma.array([1.0, -5.0, 2.0], mask=[False, True, False])
    with pytest.raises(ControlError):
        read_number(masked, ALPHA, "f")


# ---- anything at all ---------------------------------------------------------------------------

ANYTHING = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.complex_numbers(),
        st.text(max_size=20),
        st.binary(max_size=8),
        st.decimals(),
        st.fractions(),
        st.just(object()),
        st.sampled_from([np.float32(1), np.int8(-1), np.nan, oo, pi, I, Symbol("x")]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.tuples(inner, inner), st.dictionaries(st.text(), inner)
    ),
    max_leaves=6,
)


@given(ANYTHING, st.sampled_from([ALPHA, KAPPA, ROOT]))
@settings(max_examples=600)
def test_either_a_number_in_the_domain_or_a_control_error(value, control):
    try:
        found = read_number(value, control, "f")
    except ControlError as error:
        message = str(error)
        assert message.startswith(f"f: {control.name} ")
        assert "\n" not in message or (isinstance(value, (list, tuple, str)))
        return
    if isinstance(found, np.ndarray):
        assert found.dtype == np.float64
        assert found.size > 0
        assert all(float(number) in control.domain for number in found.flat)
        np.testing.assert_array_equal(found, np.array(value, dtype=float))
    else:
        assert not isinstance(value, (bool, str, bytes, complex))
        assert found in control.domain
        assert isinstance(found, float) or found in (value, exact(value))


@given(st.floats())
def test_floats_pass_unchanged_or_not_at_all(value):
    inside = math.isfinite(value) and -10 <= value <= 10
    if inside:
        assert read_number(value, KAPPA, "f") == value
    else:
        with pytest.raises(ControlError):
            read_number(value, KAPPA, "f")


@given(st.fractions(min_value=-10, max_value=10))
def test_fractions_are_exact(value):
    found = read_number(value, KAPPA, "f")
    assert Fraction(found) == value if isinstance(found, float) else found == Rational(value)


@given(st.decimals(min_value=-10, max_value=10, allow_nan=False, places=30))
def test_decimals_are_exact(value):
    found = read_number(value, KAPPA, "f")
    assert Fraction(str(found)) == Fraction(value) or Fraction(found) == Fraction(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.1, Rational(0.1)),
        (Fraction(1, 3), Rational(1, 3)),
        (Decimal("0.1"), Rational(1, 10)),
        (3, Integer(3)),
        (np.float64(0.5), Rational(1, 2)),
        (sqrt(2), sqrt(2)),
        (Symbol("x"), None),
        (I, None),
        ("1", None),
        (None, None),
    ],
    ids=str,
)
def test_exact(value, expected):
    assert exact(value) == expected


# ---- names -------------------------------------------------------------------------------------


def test_resolving_fills_in_defaults():
    formula = rp.formulas["binary-perceptron"]
    points = read(formula, {"alpha": 0.5})
    found, values = points.formula, points.values
    assert found is formula
    assert values == {"alpha": 0.5, "kappa": 0}
    values = read(formula, {"alpha": [0.1, 0.2], "kappa": Fraction(1, 3)}).values
    np.testing.assert_array_equal(values["alpha"], [0.1, 0.2])
    assert values["kappa"] == Rational(1, 3)


def test_missing_controls():
    formula = rp.formulas["binary-perceptron"]
    for given_ in ({}, {"kappa": 0}, {"alpha": None}):
        with pytest.raises(ControlError, match=r"alpha is missing; give alpha=... in \(0, inf\)"):
            read(formula, given_)
    assert read(formula, {}, optional={"alpha"}).values == {"kappa": 0}
    assert read(formula, {}, optional={"*"}).values == {"kappa": 0}
    assert read(formula, {"alpha": 1}, optional={"alpha"}).values == {"alpha": 1.0, "kappa": 0}


def test_unknown_names():
    with pytest.raises(UnknownName, match="'alpa'; did you mean alpha"):
        read(rp.formulas["binary-perceptron"], {"alpa": 1})
    with pytest.raises(UnknownName, match="'rbs'; did you mean rsb"):
        read(rp.formulas["spherical-perceptron"], {"alpha": 1, "rbs": 1})
    with pytest.raises(UnknownName):
        read(rp.formulas["binary-perceptron"], {"alpha": 1, "rsb": 1})


def test_options_and_controls_together():
    points = read(rp.formulas["spherical-perceptron"], {"alpha": 1, "rsb": 1})
    formula, values = points.formula, points.values
    assert formula.options == {"rsb": 1}
    assert values == {"alpha": 1.0, "kappa": 0}
    with pytest.raises(ControlError, match="option rsb=2 is not one of 0, 1"):
        read(rp.formulas["spherical-perceptron"], {"alpha": 1, "rsb": 2})


@pytest.mark.parametrize("target", ["binary-perceptron", None, 3, object], ids=repr)
def test_what_is_no_formula(target):
    with pytest.raises(DeclarationError, match="expected a formula"):
        read(target, {"alpha": 1})


def test_messages_name_formula_control_and_domain():
    formula = rp.formulas["symmetric-binary-perceptron"]
    with pytest.raises(ControlError) as caught:
        read(formula, {"alpha": 1, "kappa": -1})
    assert str(caught.value) == "symmetric-binary-perceptron: kappa = -1 is outside (0, 10)"
    assert isinstance(caught.value, ReplicaError)
    assert isinstance(caught.value, ValueError)


# ---- points ------------------------------------------------------------------------------------


def test_points_keep_the_order_of_the_formula():
    """Whatever the order in which a user names them."""
    formula = rp.formulas["binary-perceptron"]
    points = read(formula, {"kappa": 1, "alpha": [0.1, 0.2]})
    assert list(points.values) == list(formula.controls) == ["alpha", "kappa"]
    assert [column.tolist() for column in points.columns] == [[0.1, 0.2], [1.0, 1.0]]
    alpha, kappa = formula.symbols
    assert points.column(alpha).tolist() == [0.1, 0.2]
    assert points.without("alpha").column(kappa).tolist() == [1.0]
    assert (points.shape, points.size) == ((2,), 2)


def test_points_keep_what_is_exact():
    formula = rp.formulas["binary-perceptron"]
    point = read(formula, {"alpha": Decimal("0.1"), "kappa": Fraction(1, 3)}).single("here")
    alpha, kappa = formula.symbols
    assert point.rule == {alpha: Rational(1, 10), kappa: Rational(1, 3)}
    assert point.floats == {"alpha": 0.1, "kappa": 1 / 3}
    assert str(point) == "alpha = 0.1, kappa = 0.333333"
    assert point.at(kappa=2).floats == {"alpha": 0.1, "kappa": 2.0}


def test_points_that_do_not_broadcast_or_are_several():
    formula = rp.formulas["binary-perceptron"]
    points = read(formula, {"alpha": [0.1, 0.2, 0.3], "kappa": [0, 1]})
    with pytest.raises(rp.ControlError, match=r"alpha \(3,\), kappa \(2,\); use sweep"):
        points.shape  # noqa: B018
    with pytest.raises(rp.ControlError, match="here takes one value of alpha at a time; so"):
        points.single("here", "; so")


def test_a_function_says_what_may_be_missing():
    formula = rp.formulas["binary-perceptron"]
    points = read(formula, {"kappa": 1}, optional=lambda found: found.determined("alpha_G"))
    assert points.floats == {"kappa": 1.0}
