"""The words of a command line: read by a grammar, never evaluated."""

from __future__ import annotations

from decimal import Decimal

import click
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replica.cli.words import (
    exact,
    file_to_write,
    number,
    number_or_grid,
    number_or_range,
    numbers,
    read,
    split,
    start_of,
)
from replica.errors import ControlError


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_is_read_as_it_is_written(value):
    assert number("f", "alpha", repr(value)) == value


@pytest.mark.parametrize(
    "text", ["1/2", "pi", "nan", "inf", "0x10", "1_000", "", "1e99999", "\N{FULLWIDTH DIGIT TWO}"]
)
def test_what_is_no_decimal_number_stays_text(text):
    assert number("f", "alpha", text) == text


def test_digits_are_kept():
    assert exact("f", "alpha", "0.1000000000000000000001") == Decimal("0.1000000000000000000001")
    with pytest.raises(ControlError, match="more than 250 characters"):
        exact("f", "alpha", "1" * 251)
    with pytest.raises(ControlError, match="too large or too small"):
        exact("f", "alpha", "1e999")


def test_names_come_in_order_and_settings_anywhere():
    words = ["kappa=0", "binary-perceptron", "alpha=1", "alpha_G"]
    assert split(words, "F", "NAME") == (["binary-perceptron", "alpha_G"], ["kappa=0", "alpha=1"])
    with pytest.raises(click.UsageError, match=r"missing NAME, .*alpha_AT"):
        split(["binary-perceptron"], "F", "NAME")
    with pytest.raises(click.UsageError, match="unexpected word 'b'"):
        split(["a", "b"], "F")


def test_options_and_controls_are_told_apart():
    target, formula, controls = read("spherical-perceptron", ["kappa=0.5", "rsb=0"], number)
    assert formula == target(rsb=0)
    assert controls == {"kappa": 0.5}
    with pytest.raises(ControlError, match="kappa is given twice"):
        read("spherical-perceptron", ["kappa=0.5", "kappa=1"], number)


def test_grids_and_ranges():
    assert number_or_range("f", "alpha", "0.5:2") == (0.5, 2.0)
    np.testing.assert_array_equal(number_or_grid("f", "alpha", "0:1:3"), [0, 0.5, 1])
    np.testing.assert_array_equal(number_or_grid("f", "alpha", "1,2"), [1, 2])
    assert number_or_grid("f", "alpha", "1") == 1.0
    for text in ("1:2", "a,b", "1:2:x"):
        with pytest.raises(ControlError, match="is not a grid"):
            number_or_grid("f", "alpha", text)
    with pytest.raises(ControlError, match="whole number from 1"):
        number_or_grid("f", "alpha", "0:1:0.5")


def test_starts_and_lists_of_numbers():
    assert start_of("informed", "f") == "informed"
    assert start_of("q=0.5,qhat=1", "f") == {"q": 0.5, "qhat": 1.0}
    with pytest.raises(ControlError, match="is not overlap=number"):
        start_of("q=x", "f")
    assert numbers("f", "alpha", None) is None
    assert numbers("f", "alpha", "0.5,1") == [0.5, 1.0]


def test_a_file_is_not_replaced_unasked(tmp_path):
    path = tmp_path / "a.csv"
    path.touch()
    with pytest.raises(ControlError, match="--force replaces it"):
        file_to_write(str(path), (".csv",), False)
    assert file_to_write(str(path), (".csv",), True) == path
    with pytest.raises(ControlError, match=r"let the name end in \.csv"):
        file_to_write("a.txt", (".csv",), True)
