"""Text in a given width."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replica.layout import columns, filled, labelled, terminal_width

WORDS = st.lists(st.text("abcxyz", min_size=1, max_size=9), min_size=1, max_size=30)


@given(WORDS, st.integers(40, 100))
def test_a_labelled_text_loses_no_word_and_fits(words, width):
    text = labelled("status", " ".join(words), width)
    assert text.split() == ["status", *words]
    assert max(map(len, text.splitlines())) <= width
    assert all(line.startswith(" " * 14) for line in text.splitlines()[1:])


def test_a_long_label_has_its_own_line():
    assert labelled("mutual_information", "0.5", 80).splitlines() == [
        "  mutual_information",
        "              0.5",
    ]


def test_nothing_is_a_dash():
    assert filled("", 80) == "  -"


def test_columns_are_as_wide_as_their_widest_cell():
    lines = columns([["", "value"], ["q", "0.5"], ["qhat", "12.25"]], right=[1]).splitlines()
    assert lines == ["        value", "  q       0.5", "  qhat  12.25"]


@pytest.mark.parametrize(("terminal", "width"), [("20", 40), ("90", 90), ("300", 100)])
def test_the_width_is_that_of_the_terminal_within_reason(monkeypatch, terminal, width):
    monkeypatch.setenv("COLUMNS", terminal)
    assert terminal_width() == width
