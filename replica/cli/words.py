"""Words of the command line: names in order, k=v anywhere, numbers, grids, starts and files.

Numbers are read by their own grammar: no text from a command line is ever evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from replica.declarations.family import Family, default_formula
from replica.declarations.formula import Formula
from replica.errors import ControlError
from replica.registry import formulas
from replica.writing import python_name

__all__ = [
    "assigned",
    "exact",
    "excluded",
    "file_to_write",
    "number",
    "number_or_grid",
    "number_or_range",
    "numbers",
    "read",
    "split",
    "start_of",
]

_LONGEST_NUMBER = 250  # characters; at most 200 digits are ever computed
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")


def split(words: Sequence[str], *wanted: str, more: bool = False) -> tuple[list[str], list[str]]:
    """Return the names, which come in order, and the k=v words, which may stand anywhere."""
    names = [word for word in words if "=" not in word]
    pairs = [word for word in words if "=" in word]
    if len(names) < len(wanted):
        missing = wanted[len(names)]
        if missing == "F":
            known = f"the formula; known: {', '.join(formulas)}"
        else:
            thresholds = default_formula(formulas[names[0]]).thresholds
            known = f"the threshold; known: {', '.join(thresholds)}"
        raise click.UsageError(f"missing {missing}, {known}")
    if len(names) > len(wanted) and not more:
        raise click.UsageError(
            f"unexpected word {names[len(wanted)]!r}: options and controls are written name=value"
        )
    return names, pairs


def read(
    name: str, pairs: Sequence[str], value: Callable[[str, str, str], object]
) -> tuple[Formula | Family, Formula, dict[str, Any]]:
    """Return the target, its formula with the options of `pairs`, and the controls of `pairs`."""
    target = formulas[name]
    given: dict[str, str] = {}
    for pair in pairs:
        key, _, text = pair.partition("=")
        if not key:
            raise ControlError(f"{name}: {pair!r} is not name=value")
        key = python_name(key)
        if key in given:
            raise ControlError(f"{name}: {key} is given twice, as {given[key]} and as {text}")
        given[key] = text
    choices = target.options if isinstance(target, Family) else {}
    words: dict[str, Any] = {}
    for key, text in given.items():
        if key in choices:
            words[key] = next((c for c in choices[key].choices if str(c) == text), text)
        else:
            words[key] = text
    formula, controls = target.resolve(words)
    return target, formula, {key: value(name, key, text) for key, text in controls.items()}


def exact(formula: str, name: str, text: str) -> Decimal | str:
    """Return a decimal number exactly; any other text as it is, for the library to refuse."""
    if not _NUMBER.fullmatch(text):
        return text if len(text) <= 60 else text[:57] + "..."
    if len(text) > _LONGEST_NUMBER:
        raise ControlError(f"{formula}: {name} has more than {_LONGEST_NUMBER} characters")
    found = Decimal(text)
    # also a double: the first steps are taken in double precision
    if abs(float(found)) == float("inf") or (found != 0 and float(found) == 0):
        raise ControlError(f"{formula}: {name} = {text} is too large or too small for a number")
    return found


def number(formula: str, name: str, text: str) -> float | str:
    """Return a decimal number as a double; any other text as it is, for the library to refuse.

    Examples
    --------
    >>> number("f", "alpha", "5e-1"), number("f", "alpha", "1/2")
    (0.5, '1/2')
    """
    found = exact(formula, name, text)
    return float(found) if isinstance(found, Decimal) else found


def number_or_range(formula: str, name: str, text: str) -> Any:
    """Return a number, or the pair of low:high."""
    if text.count(":") != 1:
        return number(formula, name, text)
    return tuple(number(formula, name, part) for part in text.split(":"))


def number_or_grid(formula: str, name: str, text: str) -> object:
    """Return a number, or the array of start:stop:count or a,b,c."""
    import numpy as np

    from replica.grids.plan import LARGEST_GRID

    if ":" not in text and "," not in text:
        return number(formula, name, text)
    parts = text.split(":") if ":" in text else text.split(",")
    found = [number(formula, name, part) for part in parts]
    words = [part for part in found if isinstance(part, str)]
    if words or (":" in text and len(parts) != 3):
        shown = text if len(text) <= 60 else text[:57] + "..."
        raise ControlError(
            f"{formula}: {name} = {shown!r} is not a grid: write start:stop:count or a,b,c with "
            f"decimal numbers"
        )
    if ":" not in text:
        return np.array(found, dtype=float)
    start, stop, count = map(float, found)
    if count != int(count) or not 1 <= count <= LARGEST_GRID:
        raise ControlError(
            f"{formula}: {name} = {text}: the count must be a whole number from 1 to {LARGEST_GRID}"
        )
    return np.linspace(start, stop, int(count))


def start_of(text: str | None, formula: str) -> str | dict[str, float] | None:
    """Return the name of a start, or overlaps written q=0.5,qhat=1."""
    return text if text is None or "=" not in text else assigned(text, formula, "start", "overlap")


def assigned(text: str, formula: str, option: str, kind: str) -> dict[str, float]:
    """Return the numbers of name=number,name=number."""
    found: dict[str, float] = {}
    for pair in text.split(","):
        key, _, value = pair.partition("=")
        read_number = number(formula, f"{option} {key}", value)
        if isinstance(read_number, str) or not key:
            known = (
                ("q=0.5", "q=0.5,qhat=1") if kind == "overlap" else ("alpha=0.5", "alpha=0.5,T=1")
            )
            raise ControlError(
                f"{formula}: {option} {pair!r} is not {kind}=number; write --{option} {known[0]} "
                f"or --{option} {known[1]}"
            )
        if key in found:
            raise ControlError(f"{formula}: {option} {key} is given twice")
        found[key] = read_number
    return found


def excluded(text: str | None, formula: str) -> list[Any]:
    """Return the equations of overlap=number,overlap=number."""
    from sympy import Eq, Float, Symbol

    given = {} if text is None else assigned(text, formula, "exclude", "overlap")
    return [Eq(Symbol(key), Float(value)) for key, value in given.items()]


def numbers(formula: str, name: str, text: str | None) -> list[float] | None:
    """Return the numbers of a,b,c; None where nothing is given."""
    if text is None:
        return None
    read_numbers: list[float] = []
    for part in text.split(","):
        found = number(formula, name, part)
        if isinstance(found, str):
            raise ControlError(
                f"{formula}: {name} = {found!r} is not a decimal number; write one, or several "
                f"as a,b,c"
            )
        read_numbers.append(found)
    return read_numbers


def file_to_write(path: str, endings: Sequence[str], force: bool) -> Path:
    """Check before the work that its result can be written, and replaces nothing unasked."""
    from replica.files import writable

    if Path(path).suffix.lower() not in endings:
        raise ControlError(f"cannot write {path!r}: let the name end in {', '.join(endings)}")
    target = writable(path)
    if target.exists() and not force:
        raise ControlError(f"{path} exists: --force replaces it, or give another name")
    return target
