"""The saddle point at the edge of the domain, such as full recovery, which no equation sees."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import sympify

from replica.declarations.formula import Formula
from replica.declarations.point import Points
from replica.numerics.kernel import compile_kernel
from replica.solvers.conditions import holds
from replica.solvers.iteration import Iterated
from replica.solvers.solution import Status
from replica.solvers.system import System

__all__ = ["at_boundary", "boundary_attracts", "boundary_potential", "boundary_values"]

Array = NDArray[np.float64]


def boundary_attracts(formula: Formula, parameters: list[Array]) -> NDArray[np.bool_]:
    """Tell at which points the boundary of the domain is a saddle point that attracts."""
    boundary = formula.boundary
    if boundary is None:
        return np.zeros(parameters[0].shape, dtype=bool)
    above = compile_kernel(formula.symbols, (sympify(boundary.above, strict=True),))(*parameters)[0]
    points = Points.of_columns(formula, parameters)
    attracts = points.column(boundary.in_) >= above
    return np.asarray(attracts & holds(boundary.when, points))


def at_boundary(
    system: System, formula: Formula, found: Iterated, there: NDArray[np.bool_]
) -> Iterated:
    """Put points on the boundary, where there is nothing left to solve."""
    if formula.boundary is None or not there.any():
        return found
    place = [float(formula.boundary.at[symbol]) for symbol in system.unknowns]
    z, status = found.z.copy(), found.status.copy()
    z[there], status[there] = place, int(Status.CONVERGED)
    return replace(found, z=z, status=status, boundary=there)


def boundary_values(formula: Formula, wanted: Iterable[str], flat: list[Array]) -> Array:
    """Return the observables on the boundary, shape (points, observables)."""
    assert formula.boundary is not None
    symbols = formula.symbols
    columns = []
    for name in wanted:
        value = formula.boundary.observables[name]
        if value.is_finite is not False:
            number: Any = compile_kernel(symbols, (value,))(*flat)[0]
        else:
            number = float(value)
        columns.append(np.broadcast_to(number, flat[0].shape))
    return np.stack(columns, axis=1) if columns else np.zeros((flat[0].size, 0))


def boundary_potential(formula: Formula, parameters: list[Array]) -> Array:
    """Return the potential on the boundary, minus infinity for a formula without one."""
    if formula.boundary is None:
        return np.full(parameters[0].shape, -np.inf)
    return boundary_values(formula, ("potential",), parameters)[:, 0]
