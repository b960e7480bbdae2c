"""Where to begin the search for a root: the first sign change of its condition along a branch."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import Interval, Symbol

from replica.language.formula import Formula, Instability, Root, control_name
from replica.numerics.kernel import compile_kernel
from replica.solvers.branches import explicit_curve
from replica.solvers.continuation import follow, saddle_branches
from replica.solvers.mergers import Merger, approaches, merger
from replica.solvers.request import Request
from replica.solvers.saddle import solve
from replica.solvers.system import System

__all__ = ["root_starts", "root_system"]

Array = NDArray[np.float64]

_ATTEMPTS = ("coarse", "fine", "near")  # the last one where a curve hardly leaves its beginning
_FIRST_CONTROLS = (1e-3, 1e-2, 0.1, 0.5, 1.0, 2.0)  # from the low end: where a branch may begin


@lru_cache(maxsize=64)
def root_system(formula: Formula, declaration: Root) -> System:
    """Return stationarity and the conditions of a root."""
    pinned = dict(declaration.at)
    free = [symbol for symbol in formula.unknowns if symbol not in pinned]
    shift = 1 if isinstance(declaration, Instability) else 0
    equations = [formula.residuals[symbol].subs(pinned) for symbol in free]
    equations += [(formula.observable(zero) - shift).subs(pinned) for zero in declaration.zeros]
    symbols = {control.symbol: control for control in formula.controls.values()}
    parameters = [symbol for symbol in symbols if symbol not in declaration.controls]
    domains = {**formula.domains, **{s: symbols[s].domain for s in declaration.controls}}
    return System(equations, (*free, *declaration.controls), parameters, domains)


def root_starts(
    request: Request, declaration: Root, system: System
) -> Iterator[NDArray[np.float64] | Merger]:
    """Yield first guesses for the augmented system, from the branch, coarse ones first.

    Where the condition vanishes at the end of the branch there is none; then yield that end.
    """
    formula, others = request.formula, request.others
    if declaration.start or not set(system.unknowns) & set(formula.unknowns):
        yield np.array([[float(declaration.start.get(symbol, 1)) for symbol in system.unknowns]])
        return
    (control,) = declaration.controls
    zero = system.equations[-1]
    free = formula.within(declaration.at) if declaration.at else formula
    curve = explicit_curve(free, control)
    found, seen, reached = False, [], []
    end: Merger | None = None
    for attempt in _ATTEMPTS if curve is not None else _ATTEMPTS[:2]:
        if curve is not None:
            level = -1 if attempt == "coarse" else 0  # a guess needs no more
            place = curve.near() if attempt == "near" else curve.grid(int(attempt == "fine"))
            z, value, height = curve.points(place, others, (zero,), refinement=level)
            domain = _domain(formula, control)
            inside = (value > float(domain.start)) & (value < float(domain.end))
            z, value, height = z[inside], value[inside], height[inside]
            trivial = curve.trivial_branch(others, zero) if declaration.from_origin else None
            if trivial is not None:
                z, value, height = (
                    np.concatenate(p) for p in zip(trivial, (z, value, height), strict=True)
                )
        else:
            search = _across_starts if attempt == "fine" else _along_branch
            z, value, height = search(request, control, system)
            last = approaches(height) if end is None else None
            if last is not None and _crossing(height, z, value) is None:
                domains = {**formula.domains, control: _domain(formula, control)}
                begin = np.array([*z[last], value[last]])
                end = merger(system, domains, begin, float(height[last]), others)
        seen.append(height[np.isfinite(height)])
        reached.append(value[np.isfinite(value)])
        start = _crossing(height, z, value)
        if start is not None:
            found = True
            yield start
        if found and attempt == "fine":
            return
    if end is not None:
        yield end
        return
    shift = 1 if isinstance(declaration, Instability) else 0
    heights, controls = np.concatenate(seen) + shift, np.concatenate(reached)
    if not heights.size or not controls.size:
        raise request.missing(f"no saddle point was found at any {control_name(control)} tried")
    raise request.missing(
        f"at {controls.size} saddle points with {control_name(control)} from {controls.min():.6g} "
        f"to {controls.max():.6g}, the {declaration.zeros[0]} stays between {heights.min():.4g} "
        f"and {heights.max():.4g} and does not reach {shift}"
    )


def _domain(formula: Formula, control: Symbol) -> Interval:
    return formula.controls[control_name(control)].domain


def _crossing(height: Array, z: Array, control: Array) -> Array | None:
    """Interpolate the first sign change along a branch, None where there is none."""
    good = np.isfinite(height) & np.isfinite(control)
    change = np.flatnonzero((height[:-1] * height[1:] < 0) & good[:-1] & good[1:])
    if change.size == 0:
        return None
    k = int(change[0])
    share = height[k] / (height[k] - height[k + 1])
    table = np.column_stack([z, control])
    return np.asarray(table[k] + share * (table[k + 1] - table[k]))[None, :]


def _along_branch(request: Request, control: Symbol, system: System) -> tuple[Array, Array, Array]:
    """Follow the branch until the condition changes sign, for formulas without explicit curve.

    Returns unknowns, control and the condition's value.
    """
    height = compile_kernel(system.arguments, (system.equations[-1],))
    others = [np.array([value]) for value in request.others]
    start = _first_saddle(request, control)
    heights = [height(*start, *others)[0].item()]

    def crossed(point: Array) -> bool:
        heights.append(height(*point, *others)[0].item())
        return bool(heights[-1] * heights[0] <= 0)

    branch = follow(saddle_branches(request.formula, control), start, others, until=crossed)
    return branch.overlaps, branch.control, np.array(heights)


def _across_starts(request: Request, control: Symbol, system: System) -> tuple[Array, Array, Array]:
    """Return what the starts lead to on a grid of the control.

    A branch that bifurcates from the first one, as where a symmetry breaks, is seen here.
    """
    formula, key = request.formula, control_name(control)
    domain = formula.controls[key].domain
    low = float(domain.start) if domain.start.is_finite else -1e3
    high = float(domain.end) if domain.end.is_finite else 1e3
    grid = low + np.geomspace(1e-3, max(high - low, 2e-3), 60)
    grid = grid[[bool(domain.contains(float(g))) for g in grid]]
    at: dict[str, Any] = {key: grid, **request.controls}
    solution = solve(formula, observables=(), **at)
    good = np.asarray(solution.converged)
    z = np.stack([solution.overlaps[str(s)] for s in formula.unknowns], axis=1)[good]
    height = compile_kernel(system.arguments, (system.equations[-1],))
    return z, grid[good], np.asarray(height(*z.T, grid[good], *request.others)[0])


def _first_saddle(request: Request, control: Symbol) -> Array:
    """Return a saddle point and its control, from where a branch can be followed."""
    formula, key = request.formula, control_name(control)
    domain = formula.controls[key].domain
    low = float(domain.start) if domain.start.is_finite else -1.0
    high = float(domain.end) if domain.end.is_finite else np.inf
    tried = [low + step for step in _FIRST_CONTROLS if low + step < high]
    for first in tried:
        at: dict[str, Any] = {key: first, **request.controls}
        solution = solve(formula, observables=(), check=False, **at)
        if solution.converged:
            return np.array([*(solution.overlaps[str(s)] for s in formula.unknowns), first])
    raise request.missing(
        f"no saddle point found at {key} = {', '.join(f'{x:g}' for x in tried)} from where to "
        f"follow a branch"
    )
