"""BibTeX: the entries, their keys, and how a figure names them."""

from __future__ import annotations

import pytest

import replica as rp
from replica.references import bibliography, citation, entries

TEXT = """% a comment
@article{gardner1988,
  author = {Gardner, E.},
  title  = {The space of {interactions} in neural network models},
  year   = {1988},
}

@article{three2020,
  author = {A, B. and C, D. and E, F.},
  year   = {2020},
}
"""


def test_entries_end_at_their_brace():
    found = entries(TEXT)
    assert list(found) == ["gardner1988", "three2020"]
    assert found["gardner1988"].endswith("year   = {1988},\n}")
    assert "{interactions}" in found["gardner1988"]
    assert "three2020" not in found["gardner1988"]


def test_text_without_entries_has_none():
    assert entries("") == entries("no @entry here") == {}


def test_what_is_cited_is_an_entry_again():
    for name in rp.formulas:
        found = entries(rp.cite(name))
        assert found.items() <= bibliography().items()
        assert all(citation(key) != key for key in found)


def test_a_package_without_references_has_none():
    assert bibliography("replica") == {}


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("krauth1989", "Krauth & Mézard 1989"),
        ("barbier2019", "Barbier et al. 2019"),
        ("nobody2000", "nobody2000"),
    ],
)
def test_a_reference_is_named_by_authors_and_year(key, words):
    assert citation(key) == words
