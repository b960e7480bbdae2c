"""How numbers and names are written."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sympy import Interval, Rational, exp, oo, symbols

import replica as rp
from replica.writing import (
    domain_text,
    excerpt,
    heading,
    listed,
    plain,
    python_name,
    shell_name,
    short,
    with_error,
)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.83307859973, 2e-6, "0.8330786 +- 2e-06"),
        (2.0, 0.0, "2"),
        (0.5, float("inf"), "0.5 +- ?"),
        (float("nan"), 1.0, "none"),
        (float("inf"), 1.0, "none"),
        (1234.5, 20.0, "1234 +- 2e+01"),
        (0.0, 1e-16, "0.0000000000000000 +- 1e-16"),
    ],
)
def test_numbers_are_written_with_the_digits_their_error_supports(
    value: float, error: float, text: str
):
    assert with_error(value, error) == text


@given(st.floats(-1e12, 1e12), st.floats(1e-14, 1e3))
def test_what_is_written_is_within_the_error(value, error):
    written, _, _ = with_error(value, error).partition(" +- ")
    assert abs(float(written) - value) <= error + 1e-15 * abs(value)


@given(st.text(alphabet="abdefilmn_", min_size=1, max_size=6))
def test_names_come_back_from_the_shell(name):
    assert python_name(shell_name(name)) in (name, name + "_")
    assert shell_name(python_name(name)) == shell_name(name)


def test_keywords_of_python_are_typed_without_the_underscore():
    assert shell_name("lambda_") == "lambda"
    assert shell_name("q_") == "q_"
    assert python_name("lambda") == "lambda_"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_everything_plain_is_strict_json(value):
    json.dumps(plain(value), allow_nan=False)


def test_what_json_has_no_word_for_is_none_or_text():
    assert plain([np.nan, np.inf, np.float64(0.5), np.int8(3)]) == [None, None, 0.5, 3]
    assert plain(np.array([[1.0, np.nan]])) == [[1.0, None]]
    assert plain(rp.Status.MAX_STEPS) == "max_steps"
    assert plain({"lambda_": (Fraction(1, 3),)}) == {"lambda": ["1/3"]}


def test_numbers_are_short_in_headings_and_lists():
    assert short(Rational(1, 3)) == "0.3333333333"
    assert short(0.1 + 0.2) == "0.3"
    assert short(1 / 3, digits=3) == "0.333"
    assert short(7) == "7"
    assert heading("f", {}, {"lambda_": 0.5, "loss": "logistic"}) == "f lambda=0.5 loss=logistic"
    assert listed({"alpha": 0.5, "kappa": np.zeros((2, 3))}) == "alpha=0.5, kappa=array(2, 3)"


@pytest.mark.parametrize(
    ("domain", "text"),
    [
        (Interval(0, 1), "[0, 1]"),
        (Interval.Lopen(0, 1), "(0, 1]"),
        (Interval.open(-oo, oo), "(-inf, inf)"),
    ],
)
def test_intervals_show_which_ends_belong_to_them(domain, text):
    assert domain_text(domain) == text


@given(st.text())
def test_an_excerpt_is_one_line_of_a_readable_length(text):
    found = excerpt(text)
    assert len(found) <= 120
    assert found == " ".join(text.split()) or " ... " in found


def test_an_error_about_a_long_expression_is_readable():
    h, q, *many = symbols("h q x:300", real=True)
    strength = sum(x**2 for x in many) + 1
    with pytest.raises(rp.DeclarationError, match=r"exp\(h\*\*4\*.* \.\.\. .*outgrows") as caught:
        rp.Mean(exp(strength * h**4), (h, q))
    assert len(str(caught.value)) < 250
