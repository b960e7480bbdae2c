"""Reading of options and controls, as users give them, into the points of a formula."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from replica.declarations.family import Family
from replica.declarations.formula import Formula
from replica.declarations.numbers import read_number
from replica.declarations.point import Points
from replica.declarations.relation import settle
from replica.errors import ControlError, DeclarationError
from replica.writing import domain_text

__all__ = ["read"]


def read(
    target: Formula | Family,
    given: Mapping[str, Any],
    *,
    optional: Collection[str] | Callable[[Formula], Collection[str]] = (),
) -> Points:
    """Return the formula and its checked control values, defaults filled in.

    Parameters
    ----------
    target : Formula or Family
        A family takes its structural options out of `given`.
    given : mapping of str to number or array
        Options and controls together.
    optional : collection of str, or a function of the formula that returns one
        Controls that may be missing; ``{"*"}`` means all.

    Raises
    ------
    UnknownName
        For a name that is neither option nor control.
    ControlError
        For a value that is missing, not a real finite number, or outside its domain.
    """
    if not isinstance(target, (Formula, Family)):
        raise DeclarationError(
            f"expected a formula, not {target!r}: take one from replica.formulas[name] or "
            f"declare a Formula"
        )
    # lambda is a word of Python: the control may be given as lambda_ too
    formula, controls = target.resolve(given)
    missing = optional(formula) if callable(optional) else optional
    if formula.relations:
        controls = settle(formula, _related_numbers(formula, controls))
    values: dict[str, Any] = {}
    for name, control in formula.controls.items():
        if name in controls and controls[name] is not None:
            values[name] = read_number(controls[name], control, formula.name)
        elif control.default is not None:
            values[name] = control.default
        elif name not in missing and "*" not in missing:
            raise ControlError(
                f"{formula.name}: control {name} is missing; give {name}=... in "
                f"{domain_text(control.domain)}"
            )
    return Points(formula, values)


def _related_numbers(formula: Formula, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given controls, all read as numbers: they are about to be computed with."""
    known = {**formula.controls, **{k: r.control for k, r in formula.relations.items()}}
    return {
        name: None if value is None else read_number(value, known[name], formula.name)
        for name, value in given.items()
    }
