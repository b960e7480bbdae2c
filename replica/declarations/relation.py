"""Controls that follow from others: the user gives whichever pair is at hand."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from sympy import Dummy, Expr, Symbol, lambdify, solve

from replica.declarations.control import control_name
from replica.declarations.formula import Formula
from replica.errors import ControlError, DeclarationError
from replica.writing import excerpt

__all__ = ["settle"]

_SAME = 1e-9  # relative difference up to which two given numbers agree: larger is less strict


def settle(formula: Formula, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return `given` with every related control turned into the control it determines.

    Parameters
    ----------
    formula : Formula
        With ``relations``.
    given : mapping of str to number or array
        Controls and related controls, already checked one by one.

    Raises
    ------
    ControlError
        If they contradict each other, or if a related control leaves two controls open; the
        numbers are in the message.
    """
    found = {k: w for k, w in given.items() if k not in formula.relations and w is not None}
    open_relations = {k: given[k] for k in formula.relations if given.get(k) is not None}
    while open_relations:
        for name, value in open_relations.items():
            relation = formula.relations[name].value
            symbols = sorted(relation.free_symbols, key=str)
            missing = [s for s in symbols if control_name(s) not in found]
            if len(missing) > 1:
                continue
            if missing:
                rest = [s for s in symbols if s is not missing[0]]
                inverse = _inverse(relation, missing[0], tuple(rest))
                found[control_name(missing[0])] = _computed(
                    formula, name, inverse, [value, *(found[control_name(s)] for s in rest)]
                )
            else:
                _check(formula, name, value, relation, symbols, found)
            del open_relations[name]
            break
        else:
            name = next(iter(open_relations))
            needed = sorted(control_name(s) for s in formula.relations[name].value.free_symbols)
            raise ControlError(
                f"{formula.name}: {name} alone leaves {' and '.join(needed)} open; give one of "
                f"them too"
            )
    return found


def _computed(formula: Formula, name: str, function: Any, values: list[Any]) -> Any:
    try:
        return function(*values)
    except ValueError:
        shapes = ", ".join(str(np.shape(value)) for value in values)
        raise ControlError(
            f"{formula.name}: {name} and the controls it is given with have shapes {shapes}, "
            "which do not broadcast"
        ) from None


def _check(
    formula: Formula,
    name: str,
    value: Any,
    relation: Expr,
    symbols: list[Symbol],
    found: Mapping[str, Any],
) -> None:
    numbers = [found[control_name(s)] for s in symbols]
    expected = _computed(formula, name, lambdify(symbols, relation, modules="numpy"), numbers)
    first, second = np.asarray(value, dtype=float), np.asarray(expected, dtype=float)
    if not np.allclose(first, second, rtol=_SAME, atol=0):
        where = ", ".join(
            f"{control_name(s)} = {np.ravel(np.asarray(w, dtype=float))[0]:g}"
            for s, w in zip(symbols, numbers, strict=True)
        )
        raise ControlError(
            f"{formula.name}: {name} = {np.ravel(first)[0]:g} contradicts "
            f"{where or 'the features'}, which give{'s' if len(symbols) == 1 else ''} "
            f"{np.ravel(second)[0]:g}; leave one of them out"
        )


@lru_cache(maxsize=64)
def _inverse(relation: Expr, unknown: Symbol, rest: tuple[Symbol, ...]) -> Any:
    """Return the unknown as a function of the value of the relation and the other controls."""
    positive = {s: Dummy(s.name, positive=True) for s in (unknown, *rest)}
    value = Dummy("value", positive=True)
    roots = solve(relation.xreplace(positive) - value, positive[unknown])
    if len(roots) != 1:
        raise DeclarationError(f"the relation {excerpt(relation)} does not determine {unknown}")
    arguments = [value, *(positive[s] for s in rest)]
    return lambdify(arguments, roots[0], modules="numpy")
