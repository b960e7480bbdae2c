"""Where a declared condition on the controls holds."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import (
    And,
    Eq,
    Expr,
    Ge,
    Gt,
    Le,
    Lt,
    Ne,
    Not,
    S,
    Symbol,
    sympify,
    to_nnf,
)
from sympy.core.relational import Relational
from sympy.logic.boolalg import Boolean, BooleanAtom

from replica.declarations.numbers import exact
from replica.declarations.point import Points
from replica.language.rewriting import stabilise
from replica.numerics.kernel import compile_kernel

__all__ = ["holds"]

_COMPARE = {
    Eq: np.equal,
    Ne: np.not_equal,
    Lt: np.less,
    Le: np.less_equal,
    Gt: np.greater,
    Ge: np.greater_equal,
}


def holds(condition: Any, points: Points) -> NDArray[np.bool_]:
    """Tell at which points a condition on the controls holds.

    It is decided exactly: a double stands for the number it is, except that a constant alone on
    one side counts as the double next to it, so that 0.1 is not above one tenth.

    Parameters
    ----------
    condition : bool or Boolean
        Comparisons of expressions in the controls, joined by And, Or, Not and the like.
    points : Points
        Exact numbers are compared exactly.

    Returns
    -------
    array of bool
        Of the shape of the points.

    Examples
    --------
    >>> from replica.registry import formulas
    >>> ridge = formulas["empirical-risk"]()
    >>> alpha, noise = (ridge.controls[name].symbol for name in ("alpha", "Delta"))
    >>> points = Points(ridge, {"alpha": [1, 2], "Delta": 0.5})
    >>> holds((alpha > 1) & (noise <= alpha / 4), points)
    array([False,  True])
    """
    known = {points.formula.controls[name].symbol: w for name, w in points.values.items()}
    found = _holds(to_nnf(sympify(condition, strict=True), simplify=False), known)
    return np.array(np.broadcast_to(found, points.shape))


def _holds(condition: Boolean, values: Mapping[Symbol, Any]) -> NDArray[np.bool_]:
    if isinstance(condition, BooleanAtom):
        return np.array(condition == S.true)
    if isinstance(condition, Relational):
        return _compared(condition, values)
    parts = [_holds(part, values) for part in condition.args]
    if isinstance(condition, Not):
        return np.logical_not(parts[0])
    return np.asarray(
        reduce(np.logical_and if isinstance(condition, And) else np.logical_or, parts)
    )


def _compared(relation: Relational, values: Mapping[Symbol, Any]) -> NDArray[np.bool_]:
    used = {s: values[s] for s in sorted(relation.free_symbols, key=str)}
    # exact numbers are compared exactly
    if any(isinstance(value, Expr) for value in used.values()):
        return _exactly(relation, used)
    compare = _COMPARE[type(relation)]
    sides = relation.lhs, relation.rhs
    if all(side.is_Symbol or side.is_number for side in sides):
        first, second = (used[s] if s.is_Symbol else float(s) for s in sides)
        return np.asarray(compare(first, second))
    arrays = np.broadcast_arrays(*(np.asarray(value, dtype=float) for value in used.values()))
    difference = stabilise(relation.lhs - relation.rhs)
    (found,) = compile_kernel(tuple(used), (difference,)).bounded(*arrays)
    result = np.array(compare(found.value, 0))
    unsure = ~(np.abs(found.value) > found.bound)  # within rounding of equality: decided exactly
    if unsure.any():
        rows = np.stack([array[unsure] for array in arrays], axis=-1)
        distinct, member = np.unique(rows, axis=0, return_inverse=True)
        told = [_exactly(relation, dict(zip(used, row, strict=True))) for row in distinct]
        result[unsure] = np.array(told)[member.reshape(-1)]
    return result


def _exactly(relation: Relational, values: Mapping[Symbol, Any]) -> NDArray[np.bool_]:
    """Decide one comparison with exact numbers; one that has no real sides does not hold."""
    try:
        decided = relation.subs({symbol: exact(value) for symbol, value in values.items()})
    except TypeError:
        return np.array(False)
    return np.array(decided == S.true)
