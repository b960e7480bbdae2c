"""A kind of threshold that the package does not have: one class, and one function for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from sympy import Interval, S, Symbol, cosh, log, oo

import replica as rp
from replica.declarations.threshold import Determining
from replica.solvers.request import Request, stated
from replica.solvers.thresholds.outcome import one_by_one, outcomes

m, b, h = Symbol("m", real=True), Symbol("b", positive=True), Symbol("h", real=True)


@dataclass(frozen=True)
class Level(Determining):
    """Where an observable takes a value: found by bisection in the control."""

    observable: str
    level: Any
    in_: Any
    between: tuple[float, float]
    doc: str = ""
    unless: tuple[Any, ...] = ()
    caveat: str = ""

    def checked(self, checks, name, solved=()):
        checks.observable(self.observable)
        return super().checked(checks, name, solved)


def _level(request: Request, declaration: Level):
    low, high = declaration.between
    key = str(declaration.in_)

    def height(value: float) -> float:
        found = rp.solve(request.formula, **{**request.points.floats, key: value})
        return found[declaration.observable] - float(declaration.level)

    rising = height(high) > height(low)
    for _ in range(45):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if (height(middle) > 0) == rising else (middle, high)
    return stated(request, declaration, low, high - low + 1e-12, {}, "bisection")


outcomes.register(Level)(one_by_one(_level))


def magnet(**thresholds) -> rp.Formula:
    return rp.Formula(
        name="magnet",
        title="Curie-Weiss in a field",
        potential=-b * m**2 / 2 + log(2 * cosh(b * m + h)),
        overlaps={m: Interval.open(-1, 1)},
        controls={b: (Interval.open(0, oo), None), h: (Interval(0, 1), 0)},
        starts={"up": {m: S(9) / 10}},
        observables={"magnetisation": m},
        thresholds=thresholds,
    )


HALF = Level("magnetisation", S.Half, b, (0.1, 3.0), doc="half of the spins are aligned")


def test_it_is_computed_like_any_other():
    """m = 1/2 = tanh(b / 2 + h) is solved by hand."""
    found = rp.threshold(magnet(b_half=HALF), "b_half", h=0.1)
    assert found.value == pytest.approx(float(2 * (log(3) / 2 - S(1) / 10)), abs=1e-10)
    assert found.status is rp.Status.CONVERGED
    assert found.method == "bisection"


def test_it_takes_part_in_cases_and_sweeps():
    cases = rp.Cases(in_=b, cases=((h > 0, HALF), (True, rp.Limit(S.One))), doc="by the field")
    with pytest.raises(rp.DeclarationError, match="depends on"):
        magnet(b_half=rp.Cases(in_=b, cases=((True, rp.Limit(b)),)))
    formula = magnet(b_half=cases)
    assert rp.threshold(formula, "b_half", h=0).value == 1
    table = rp.sweep(formula, "b_half", h=[0.1, 0.2])
    for value, field in zip(table["b_half"], (0.1, 0.2), strict=True):
        assert float(value) == pytest.approx(float(log(3)) - 2 * field, abs=1e-10)


def test_its_parts_are_checked_at_declaration():
    with pytest.raises(rp.UnknownName, match="magnetization"):
        magnet(b_half=Level("magnetization", S.Half, b, (0.1, 3.0)))
    with pytest.raises(rp.DeclarationError, match="m is not a control"):
        magnet(b_half=Level("magnetisation", S.Half, m, (0.1, 3.0)))


def test_a_kind_that_nobody_finds_says_what_to_do():
    @dataclass(frozen=True)
    class Unfound(Determining):
        in_: Any
        doc: str = ""
        unless: tuple[Any, ...] = ()

    with pytest.raises(rp.DeclarationError, match="register a function"):
        rp.threshold(magnet(strange=Unfound(b)), "strange")


def test_an_absence_names_what_needs_no_saddle_point():
    formula = magnet(b_half=HALF)
    absence = rp.Absence(b, ">", "b_half", "nothing is known there")
    with pytest.raises(rp.DeclarationError, match="name a Limit"):
        rp.Formula(
            name=formula.name,
            title=formula.title,
            potential=formula.potential,
            overlaps=formula.overlaps,
            controls=formula.controls,
            observables={"magnetisation": m},
            thresholds={"b_half": HALF},
            absences=(absence,),
        )
