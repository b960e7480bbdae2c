"""Where an iteration begins: declared starts, places across the domain, or the user's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import Symbol, sympify, true

from replica.declarations.formula import Formula
from replica.declarations.numbers import exact
from replica.declarations.point import Points
from replica.errors import ControlError, DeclarationError, UnknownName
from replica.numerics.kernel import compile_kernel
from replica.solvers.solution import Solution, Status
from replica.solvers.symmetry import refuse_symmetric
from replica.solvers.system import System

__all__ = ["begun", "declared_starts", "initial", "named_starts", "start_names", "unknowns_of"]

Array = NDArray[np.float64]


def named_starts(
    formula: Formula, start: str | Mapping[Any, float] | None
) -> list[Mapping[Symbol, Any]]:
    """Return the starts that were asked for: all, one by its name, or a place of one's own."""
    if isinstance(start, str):
        if start not in formula.starts:
            known = formula.starts or _default_starts(formula)
            if start not in known:
                every = (*known, *formula.subspaces, "equilibrium")
                raise UnknownName("start", start, every, formula.name)
            return [known[start]]
        return [formula.starts[start]]
    if isinstance(start, Mapping):
        names = {str(symbol): symbol for symbol in formula.unknowns}
        chosen: dict[Symbol, Any] = {}
        for key, value in start.items():
            if str(key) not in names:
                raise UnknownName("overlap", str(key), names, formula.name)
            symbol = names[str(key)]
            chosen[symbol] = _start_value(formula, symbol, value)
        refuse_symmetric(formula, chosen)
        return [chosen]
    if start is not None:
        raise DeclarationError(
            f"start must be a name, a mapping of overlaps or a solution, not {start!r}"
        )
    return declared_starts(formula)


def declared_starts(formula: Formula) -> list[Mapping[Symbol, Any]]:
    """Return the starts of a formula, or places across the domains of one that names none."""
    return [*formula.starts.values()] or [*_default_starts(formula).values()]


def start_names(formula: Formula) -> tuple[str, ...]:
    """Return the names of the starts, of a formula that declares none those of the default."""
    return tuple(formula.starts or _default_starts(formula))


def unknowns_of(solution: Solution, formula: Formula) -> Array:
    """Return the unknowns of a solution, shape (points, unknowns)."""
    columns = [np.asarray(solution.overlaps[str(s)], dtype=float) for s in formula.unknowns]
    return np.stack([column.reshape(-1) for column in columns], axis=1)


def begun(points: Points, solution: Solution) -> Array:
    """Return a solution, of these or other controls or of another formula, as a start.

    Shape (points, unknowns), NaN where it has no value.

    Raises
    ------
    ControlError
        If it lacks an unknown of the formula, has another shape, or was not found.
    """
    formula, shape = points.formula, points.shape
    missing = [str(s) for s in formula.unknowns if str(s) not in solution.overlaps]
    if missing:
        raise ControlError(
            f"{formula.name}: the start, a solution of {solution.formula.name}, has no value of "
            f"{', '.join(missing)}"
        )
    columns = [np.asarray(solution.overlaps[str(s)], dtype=float) for s in formula.unknowns]
    if not np.isfinite(columns).all(axis=0).any():
        raise ControlError(
            f"{formula.name}: the start, a solution of {solution.formula.name}, was not found "
            f"itself ({Status(int(np.ravel(solution.status)[0])).name})"
        )
    try:
        return np.stack([np.broadcast_to(c, shape).reshape(-1) for c in columns], axis=1)
    except ValueError:
        raise ControlError(
            f"{formula.name}: the start has shape {columns[0].shape}, which does not broadcast to "
            f"that of the controls, {shape}"
        ) from None


def _start_value(formula: Formula, symbol: Symbol, value: Any) -> float:
    domain = formula.domains[symbol]
    number = exact(value)
    if isinstance(value, bool) or number is None or not number.is_finite:
        raise ControlError(f"{formula.name}: start {symbol} = {value!r} is not a real number")
    if not domain.free_symbols and domain.contains(number) != true:
        raise ControlError(f"{formula.name}: start {symbol} = {value} is outside {domain}")
    return float(number)


def _default_starts(formula: Formula) -> dict[str, dict[Symbol, Any]]:
    """Return points at a tenth, a half and most of the way through each overlap's domain."""

    def place(fraction: float) -> dict[Symbol, Any]:
        chosen: dict[Symbol, Any] = {}
        # a bound may be another overlap: those with numeric bounds come first
        pending = sorted(formula.overlaps, key=lambda s: len(formula.overlaps[s].free_symbols))
        for symbol in pending:
            domain = formula.overlaps[symbol]
            low, high = (bound.subs(chosen) for bound in (domain.start, domain.end))
            if low.is_infinite:
                low = min(-1, high) if high.is_number else high - 1
            high = low + 2 if high.is_infinite else high
            value = low + fraction * (high - low)
            # a bound may be a control, which has its value later
            chosen[symbol] = value if value.free_symbols else float(value)
        return chosen

    return {"uninformed": place(0.1), "middle": place(0.5), "informed": place(0.95)}


def initial(system: System, attempt: Mapping[Symbol, Any], parameters: Sequence[Array]) -> Array:
    """Return the starting array; unknowns that are not given take their update at the others."""
    points = parameters[0].shape[0]
    z = np.ones((points, system.size))
    missing = []
    for k, symbol in enumerate(system.unknowns):
        if symbol in attempt:
            value = attempt[symbol]
            if not isinstance(value, np.ndarray):  # one value for each point
                value = sympify(value, strict=True)
                if value.free_symbols:  # a start that depends on the controls
                    (value,) = compile_kernel(system.parameters, (value,))(*parameters)
            z[:, k] = np.asarray(value, dtype=float)
        else:
            missing.append(k)
    if missing:
        residual = system.residual(*z.T, *parameters)
        for k in missing:
            if system.paired[k]:
                z[:, k] = residual[k] + z[:, k]
        if set(system.explicit) <= set(missing):
            # from the update itself: residual + unknown may cancel
            z = system.completed(z, parameters)
    low, high = system.bounds(z, parameters)
    bad = ~np.isfinite(z) | (z < low) | (z > high)
    return np.where(bad, np.clip(np.ones_like(z), low, high), z)
