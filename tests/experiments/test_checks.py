"""What experiments read: sizes, numbers, grids and seeds."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replica.errors import ControlError
from replica.experiments.checks import (
    check_entries,
    instance_streams,
    one_number,
    pattern_counts,
    positive_integer,
    shown,
)


@given(st.integers(1, 10**30))
def test_positive_integers_are_read(value):
    assert positive_integer("p", value, "here") == value
    if value < 2**31:
        read = positive_integer("p", np.int64(value), "here")
        assert read == value
        assert type(read) is int


@given(
    st.one_of(
        st.integers(max_value=0),
        st.floats(),
        st.booleans(),
        st.text(),
        st.none(),
        st.lists(st.integers()),
        st.fractions(),
    )
)
def test_nothing_else_is_a_size(value):
    with pytest.raises(ControlError, match=r"^here: p = ") as caught:
        positive_integer("p", value, "here", largest=24)
    assert "allowed: 1 to 24" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 160


def test_a_size_that_is_too_large_says_why():
    with pytest.raises(ControlError, match=r"p = 25 is too large; allowed: 1 to 24; it takes long"):
        positive_integer("p", 25, "here", largest=24, reason="it takes long")
    with pytest.raises(ControlError, match=r"p = 3.0 is not an integer.*\(write p = 3\)"):
        positive_integer("p", 3.0, "here")
    with pytest.raises(ControlError, match="p = a huge integer is too large"):
        positive_integer("p", 10**5000, "here", largest=24)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_read(value):
    assert one_number("kappa", value, "here") == value
    assert one_number("kappa", np.array(value), "here") == value


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, "1", None, [1.0], np.ones(1), 1j, 10**400, {1.0}], ids=repr
)
def test_what_is_not_one_number(value):
    with pytest.raises(ControlError, match=r"here: kappa = .* is not one finite number"):
        one_number("kappa", value, "here")


@given(st.integers(1, 10**5), st.lists(st.integers(1, 10**4), min_size=1, max_size=5))
def test_alpha_says_the_same_as_n(p, n):
    by_n = pattern_counts("here", p, None, n)
    by_alpha = pattern_counts("here", p, [count / p for count in n], None)
    assert by_n == by_alpha == tuple(n)
    assert pattern_counts("here", p, None, n[0]) == (n[0],)
    assert pattern_counts("here", p, Fraction(n[0], p), None) == (n[0],)


def test_without_a_grid():
    assert pattern_counts("here", 10, None, None) is None


@pytest.mark.parametrize(
    ("alpha", "n", "words"),
    [
        (1.0, 10, "alpha and n are both given"),
        ([], None, "alpha must be a number or a non-empty list"),
        (None, [[1]], "n must be a number or a non-empty list"),
        (None, [1, 0], "n = 0 is not positive"),
        (None, 10**10, "too large; allowed: 1 to 1000000000; more patterns than any instance"),
        (0.01, None, "less than half a pattern at p = 10; allowed: alpha >= 0.1"),
        (-1, None, "alpha = -1 is outside its range"),
        ("0.5", None, "alpha = '0.5' is not a real number"),
        ([1, math.nan], None, "alpha = nan is not one finite number"),
    ],
    ids=str,
)
def test_bad_grids(alpha, n, words):
    with pytest.raises(ControlError, match=words) as caught:
        pattern_counts("here", 10, alpha, n)
    assert str(caught.value).startswith("here: ")


def test_entries_are_counted():
    check_entries("here", 10, 10, 100)
    with pytest.raises(ControlError, match=r"X has n p = 11 x 10 entries; allowed: n p <= 1e\+02"):
        check_entries("here", 11, 10, 100)


def test_a_stream_depends_on_its_rank_alone():
    _, few = instance_streams("here", 5, 2)
    seed, many = instance_streams("here", np.int64(5), 4)
    assert seed == 5
    assert [s.random() for s in few] == [s.random() for s in many][:2]
    fresh, one = instance_streams("here", None, 1)
    _, again = instance_streams("here", fresh, 1)
    assert one[0].random() == again[0].random()
    assert instance_streams("here", np.random.default_rng(1), 3)[0] is None


@pytest.mark.parametrize("rng", [-1, 0.5, "seed", True, [1]])
def test_bad_seeds(rng):
    with pytest.raises(ControlError, match=r"here: rng = .* is not a seed"):
        instance_streams("here", rng, 1)


@given(st.one_of(st.text(), st.integers(), st.lists(st.text())))
def test_values_are_shown_in_one_short_line(value):
    text = shown(value)
    assert len(text) <= 60
    assert "\n" not in text
