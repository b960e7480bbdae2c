"""Where there is no saddle point for a reason that the formula declares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import sympify

from replica.declarations.control import control_name
from replica.declarations.formula import Formula
from replica.declarations.landmarks import Absence
from replica.declarations.point import Points
from replica.declarations.threshold import Limit
from replica.errors import ConvergenceError
from replica.numerics.kernel import compile_kernel
from replica.solvers.conditions import holds
from replica.solvers.limits import limit_value
from replica.solvers.request import Request, applicable

__all__ = ["absent_points"]


def absent_points(points: Points) -> tuple[NDArray[np.bool_], str]:
    """Return at which points of a grid there is no saddle point, flat, and the reason."""
    formula, values, shape = points.formula, points.values, points.shape
    found = np.zeros(points.size, dtype=bool)
    reason = ""
    for absence in formula.absences:
        here = np.array(np.broadcast_to(holds(absence.when, points), shape))
        if not here.any():
            continue
        names = [key for key in values if np.ndim(values[key])]
        free = _free(absence, formula, values)
        boundary = np.full(shape, np.nan)
        if not free & set(names):
            boundary[...] = _boundary(absence, Points(formula, {k: values[k] for k in free}))
        control = np.broadcast_to(_floats(values[control_name(absence.in_)]), shape)
        here &= control <= boundary if absence.side == "<" else control >= boundary
        if here.any():
            found |= here.reshape(-1)
            reason = reason or _sentence(absence, float(boundary.flat[0]))
    return found, reason


def _floats(value: Any) -> NDArray[np.float64]:
    return np.asarray(value, dtype=float)


def _free(absence: Absence, formula: Formula, values: Mapping[str, Any]) -> set[str]:
    """Return the controls on which the boundary depends."""
    if isinstance(absence.than, str):
        return set(values) - formula.determined(absence.than)
    used = sympify(absence.than, strict=True).free_symbols
    return {k for k, control in formula.controls.items() if control.symbol in used}


def _boundary(absence: Absence, points: Points) -> float:
    """Return the value of the control that decides, infinite where there is none."""
    if isinstance(absence.than, str):
        request = Request(points, absence.than, points.formula.threshold(absence.than))
        try:
            limit = applicable(request)
            assert isinstance(limit, Limit)  # no other kind is accepted at declaration
            return limit_value(request, limit).value
        except ConvergenceError:
            return np.inf
    than = sympify(absence.than, strict=True)
    if than.is_number:
        return float(than)
    symbols = tuple(points.formula.controls[k].symbol for k in points.values)
    (number,) = compile_kernel(symbols, (than,))(*points.columns)
    return float(number.item())


def _sentence(absence: Absence, boundary: float) -> str:
    if not isinstance(absence.than, str):
        return absence.reason
    if np.isinf(boundary):
        return f"{absence.reason}; here that is at every {control_name(absence.in_)}"
    return f"{absence.reason}; that is decided by {absence.than} = {boundary:.6g}"
