"""Every published value of every formula and option, against what is computed."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import pytest

import replica as rp

# Of a family with many options, some of which exclude each other.
SOME = {
    "empirical-risk": (("square", "l2", "sign"), ("logistic", "l2", "logistic")),
    "hidden-manifold": (("square", "sign", "erf", "gaussian"),),
    "gaussian-covariates": (("square", "sign", "power-law"),),
}


def every_published() -> list[Any]:
    found = []
    for name, target in rp.formulas.items():
        options = target.options if isinstance(target, rp.Family) else {}
        every = itertools.product(*(option.choices for option in options.values()))
        for choice in SOME.get(name, every):
            chosen = dict(zip(options, choice, strict=True))
            formula = target(**chosen) if chosen else target
            for entry in formula.published:
                words = [
                    name,
                    *map(str, choice),
                    entry.quantity,
                    entry.relation,
                    f"{entry.value:g}",
                ]
                found.append(pytest.param(formula, entry, id=" ".join([*words, entry.cite])))
    return found


EVERY_PUBLISHED = every_published()


@lru_cache(maxsize=128)
def threshold(formula: rp.Formula, name: str, controls: tuple[tuple[str, Any], ...]) -> Any:
    return rp.threshold(formula, name, **dict(controls))


def computed(formula: rp.Formula, entry: rp.Published) -> tuple[float, float]:
    controls: Mapping[str, Any] = dict(entry.at)
    if entry.quantity in formula.thresholds:
        found = threshold(formula, entry.quantity, tuple(sorted(controls.items())))
        return found.value, found.error
    solution = rp.solve(formula, **controls)
    return solution[entry.quantity], solution.errors[entry.quantity]


@pytest.mark.parametrize(("formula", "entry"), EVERY_PUBLISHED)
def test_undisputed_values_agree_and_disputed_ones_say_why(
    formula: rp.Formula, entry: rp.Published
):
    value, error = computed(formula, entry)
    if entry.disputed:
        assert len(entry.disputed.split()) > 3
    else:
        assert entry.agrees(value, error)
    # a tolerance states the published digits, it does not hide a deviation
    assert entry.tol <= 0.01 * abs(entry.value)


@pytest.mark.parametrize(("formula", "entry"), EVERY_PUBLISHED)
def test_published_values_are_well_formed(formula: rp.Formula, entry: rp.Published):
    assert entry.quantity in formula.thresholds or entry.quantity in formula.observables
    assert set(entry.at) <= set(formula.controls)
    # a block is published by its name
    assert all(str(formula.options.get(k)) == str(value) for k, value in entry.options.items())
    assert entry.cite in rp.cite(entry)
    assert entry.cite in rp.cite(formula)
    if entry.relation == "=":
        assert entry.tol > 0 or float(entry.value).is_integer()


@pytest.mark.parametrize(("formula", "entry"), EVERY_PUBLISHED)
def test_threshold_shows_its_published_values(formula: rp.Formula, entry: rp.Published):
    found = threshold(formula, entry.quantity, tuple(sorted(entry.at.items())))
    rows = {id(row): (deviation, verdict) for row, deviation, verdict in found.published}
    deviation, verdict = rows[id(entry)]
    assert deviation == pytest.approx(found.value - entry.value, abs=1e-15)
    expected = {"=": "agrees", "<": "holds", ">": "holds"}[entry.relation]
    assert verdict == ("disputed" if entry.disputed else expected)


def test_what_the_literature_gives_is_there():
    known = {
        (f.name, p.quantity, p.value, p.relation) for f, p in (x.values for x in EVERY_PUBLISHED)
    }
    assert known >= {
        ("spherical-perceptron", "alpha_G", 2, "="),
        ("binary-perceptron", "alpha_G", 0.833, "="),
        ("binary-perceptron", "alpha_AT", 1.015, "="),
        ("binary-perceptron", "alpha_G", 0.847, "<"),
        ("binary-perceptron", "alpha_G", 0.9973, "<"),
        ("binary-perceptron", "alpha_G", 0.9963, "<"),
        ("binary-perceptron", "alpha_G", 0.005, ">"),
        ("symmetric-binary-perceptron", "kappa_star", 0.817, "="),
    }
    cites = {p.cite for _, p in (x.values for x in EVERY_PUBLISHED)}
    assert {"cover1965", "gardner1988", "krauth1989", "aubin2019", "altschuler2024"} <= cites


def test_two_sources_that_disagree_are_both_disputed():
    bounds = [
        entry
        for _, entry in (x.values for x in EVERY_PUBLISHED)
        if entry.cite == "kim1998" and entry.relation == "<"
    ]
    assert sorted(entry.value for entry in bounds) == [0.9963, 0.9973]
    assert all(entry.disputed for entry in bounds)


def test_published_values_at_other_controls_are_not_compared():
    assert rp.threshold(rp.formulas["binary-perceptron"], "alpha_G", kappa=0.5).published == ()


@pytest.mark.parametrize(
    ("relation", "value", "agrees"),
    [
        ("=", 1.0004, True),
        ("=", 1.0006, False),
        ("<", 1.2, False),
        ("<", 0.3, True),
        (">", 1.2, True),
        (">", 0.3, False),
    ],
)
def test_verdicts(relation: str, value: float, agrees: bool):
    entry = rp.Published("x", 1.0, 5e-4, relation=relation)
    assert entry.agrees(value) is agrees


def test_an_error_bar_widens_the_agreement():
    entry = rp.Published("x", 1.0, 5e-4)
    assert not entry.agrees(1.002, 1e-3)
    assert entry.agrees(1.002, 2e-3)


def test_a_wrong_published_value_would_be_seen():
    """The verdict is not decoration: a value off by a digit disagrees."""
    from dataclasses import replace

    formula = rp.formulas["binary-perceptron"]
    wrong = rp.Published("alpha_G", 0.843, 5e-4, {"kappa": 0}, cite="krauth1989")
    found = rp.threshold(replace(formula, published=(wrong,)), "alpha_G", kappa=0)
    ((_, deviation, verdict),) = found.published
    assert verdict == "disagrees"
    assert deviation == pytest.approx(0.8330786 - 0.843, abs=1e-6)
