"""Roots and instabilities: where a condition vanishes along a branch.

The search begins at the first sign change of the condition along the branch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import Expr, Symbol

from replica.declarations.control import control_name
from replica.declarations.formula import Formula
from replica.declarations.threshold import Root
from replica.errors import ConvergenceError, ThresholdNotFound
from replica.language.stationarity import solve_linear
from replica.numerics.kernel import compile_kernel
from replica.solvers.continuation import follow, saddle_branches
from replica.solvers.curve import ExplicitCurve, explicit_curve
from replica.solvers.request import Request
from replica.solvers.saddle import solve
from replica.solvers.solution import Status, ThresholdResult
from replica.solvers.solving import Asked, solve_points
from replica.solvers.stationary import stationary_points
from replica.solvers.system import System, augmented, saddle_system
from replica.solvers.thresholds.merger import Merger, approaches, merger
from replica.solvers.thresholds.outcome import Outcome, attempt, one_by_one, outcomes
from replica.solvers.thresholds.root_of_state import (
    along_every_state,
    merged_state,
    root_of_state,
    with_others,
)
from replica.solvers.thresholds.square import polished, solved

__all__ = ["root_starts", "root_system"]

Array = NDArray[np.float64]

_FIRST_CONTROLS = (1e-3, 1e-2, 0.1, 0.5, 1.0, 2.0)  # tried above the low end


@lru_cache(maxsize=64)
def root_system(formula: Formula, declaration: Root) -> System:
    """Return stationarity and the conditions of a root."""
    shift = declaration.reaches
    conditions = [formula.observable(zero) - shift for zero in declaration.zeros]
    return augmented(formula, conditions, declaration.controls, declaration.at)


def root_starts(
    request: Request, declaration: Root, system: System
) -> Iterator[NDArray[np.float64] | Merger]:
    """Yield first guesses for the augmented system, from the branch, coarse ones first.

    Where the condition vanishes at the end of the branch there is none; then yield that end.
    """
    formula = request.formula
    if declaration.start or not set(system.unknowns) & set(formula.unknowns):
        yield from _given_starts(request, declaration, system)
        return
    (control,) = declaration.controls
    zero = system.equations[-1]
    free = formula.within(declaration.at) if declaration.at else formula
    curve = explicit_curve(free, control)
    searches: list[Callable[[], tuple[Array, Array, Array]]]
    if curve is None:
        searches = [
            partial(search, request, control, system) for search in (_along_branch, _across_starts)
        ]
    else:
        # few nodes by a coarse rule, then many; last, nodes next to the beginning of the curve
        grids = ((curve.grid(0), -1), (curve.grid(1), 0), (curve.near(), 0))
        along = partial(_along_curve, request, declaration, curve, zero)
        searches = [partial(along, *grid) for grid in grids]
    found, seen, reached = False, [], []
    end: Merger | None = None
    for number, search in enumerate(searches):
        z, value, height = search()
        seen.append(height[np.isfinite(height)])
        reached.append(value[np.isfinite(value)])
        start = _crossing(height, z, value)
        if start is not None:
            found = True
            yield start
        if curve is None and end is None:
            end = _end(request, control, system, z, value, height)
        if found and number > 0:
            break
    if end is not None:
        yield end
    if end is not None or found:
        return
    shift = declaration.reaches
    heights, controls = np.concatenate(seen) + shift, np.concatenate(reached)
    if not heights.size or not controls.size:
        raise request.missing(f"no saddle point was found at any {control_name(control)} tried")
    raise request.missing(
        f"at {controls.size} saddle points with {control_name(control)} from {controls.min():.6g} "
        f"to {controls.max():.6g}, the {declaration.zeros[0]} stays between {heights.min():.4g} "
        f"and {heights.max():.4g} and does not reach {shift}"
    )


def _given_starts(request: Request, declaration: Root, system: System) -> Iterator[Array]:
    """Yield the start that was given, its unknowns solved for if only controls were."""
    formula, given = request.formula, declaration.start
    free = [symbol for symbol in system.unknowns if symbol in formula.unknowns]
    if free and not any(symbol in given for symbol in free):
        at: dict[str, Any] = {**request.points.floats}
        at |= {control_name(s): float(given.get(s, 1)) for s in declaration.controls}
        inside = formula.within(declaration.at) if declaration.at else formula
        names: list[str | None] = [*inside.starts]
        for name in names or [None]:
            found = solve(inside, start=name, observables=(), check=False, **at)
            if found.converged:
                z = [found.overlaps[str(s)] for s in free]
                yield np.array([[*z, *(float(given.get(s, 1)) for s in declaration.controls)]])
    yield np.array([[float(given.get(symbol, 1)) for symbol in system.unknowns]])


def _along_curve(
    request: Request,
    declaration: Root,
    curve: ExplicitCurve,
    zero: Expr,
    place: Array,
    refinement: int,
) -> tuple[Array, Array, Array]:
    """Return unknowns, control and the condition's value at places along the curve."""
    z, value, height = curve.points(place, request.others, (zero,), refinement=refinement)
    domain = request.formula.control(curve.control).domain
    inside = (value > float(domain.start)) & (value < float(domain.end))
    along = z[inside], value[inside], height[inside]
    trivial = curve.trivial_branch(request.others, zero) if declaration.from_origin else None
    if trivial is None:
        return along
    z, value, height = (np.concatenate(part) for part in zip(trivial, along, strict=True))
    return z, value, height


def _end(
    request: Request, control: Symbol, system: System, z: Array, value: Array, height: Array
) -> Merger | None:
    """Return where the condition vanishes at the end of a branch, None if it does not."""
    last = approaches(height)
    if last is None:
        return None
    domains = {**request.formula.domains, control: request.formula.control(control).domain}
    begin = np.array([*z[last], value[last]])
    return merger(system, domains, begin, float(height[last]), request.others)


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
    solution, _ = solve_points(request.points.at(**{key: grid}), Asked(search=False))
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
        at: dict[str, Any] = {key: first, **request.points.floats}
        solution = solve(formula, observables=(), check=False, **at)
        if solution.converged:
            return np.array([*(solution.overlaps[str(s)] for s in formula.unknowns), first])
    raise request.missing(
        f"no saddle point found at {key} = {', '.join(f'{x:g}' for x in tried)} from where to "
        f"follow a branch"
    )


def _starts(
    request: Request, declaration: Root, system: System
) -> Iterator[NDArray[np.float64] | Merger]:
    """Yield first guesses from the branch, then those that need no branch."""
    try:
        yield from root_starts(request, declaration, system)
    except ThresholdNotFound:
        others = _where_the_potential_vanishes(request, declaration)
        if not others.shape[0]:
            raise
        yield others[:1]


def _where_the_potential_vanishes(request: Request, declaration: Root) -> Array:
    """Return saddle points where the potential vanishes, with the control, as first guesses.

    Where the potential is affine in the control, the control at which it vanishes is a function of
    the unknowns, and stationary where the potential is.
    """
    formula = request.formula
    nothing = np.zeros((0, len(formula.unknowns) + 1))
    if declaration.zeros != ("potential",) or declaration.reaches or declaration.at:
        return nothing
    (control,) = declaration.controls
    value = solve_linear(formula.potential, control)
    domains = [formula.domains[symbol] for symbol in formula.unknowns]
    if value is None or any(domain.free_symbols for domain in domains):
        return nothing
    others = [symbol for symbol in formula.symbols if symbol != control] or [control]
    slopes = [value.diff(symbol) for symbol in formula.unknowns]
    system = System(slopes, formula.unknowns, others, formula.domains)
    parameters = [np.array([x]) for x in request.others] or [np.ones(1)]
    found = stationary_points(system, domains, parameters)
    (level,) = compile_kernel(system.arguments, (value,))(
        *found.T, *(np.repeat(p, found.shape[0]) for p in parameters)
    )
    return np.column_stack([found, level])


def _root(request: Request, declaration: Root) -> ThresholdResult:
    if declaration.of or declaration.zero is None:
        return root_of_state(request, declaration)
    merged = merged_state(request.formula, declaration)
    if merged is not None:
        return root_of_state(request, declaration, merged)
    outcome = attempt(_along_the_branch, request, declaration)
    formula, controls = request.formula, declaration.controls
    several = len(formula.starts) > 1 and len(controls) == 1
    if declaration.at or declaration.start or not several or saddle_system(formula).deep:
        found: list[ThresholdResult] = []
    elif explicit_curve(formula, controls[0]) is not None:
        found = []
    else:
        found = along_every_state(request, declaration)
    if isinstance(outcome, ThresholdResult):
        return with_others(outcome, found, control_name(controls[0]))
    if found:
        return with_others(found[0], found[1:], control_name(controls[0]))
    raise outcome


def _along_the_branch(request: Request, declaration: Root) -> ThresholdResult:
    system = root_system(request.formula, declaration)
    method = "root: stationarity and condition = 0"
    if declaration.reaches == 1:
        method = "instability: stationarity and eigenvalue = 1"
    outcome: Outcome = request.failed("has no start to begin with")
    poor: ThresholdResult | None = None
    for start in _starts(request, declaration, system):
        pinned = {str(symbol): float(number) for symbol, number in declaration.at.items()}
        if isinstance(start, Merger):
            if request.digits is not None:
                raise request.failed(
                    "is where two branches merge, found by extrapolation: leave digits out"
                )
            method = "root where two branches merge: limit of condition = h, h -> 0"
            z, error = start.z, start.error
            return solved(request, declaration, system, z, error, False, method, pinned)
        (outcome,) = polished([request], declaration, system, start, method, pinned)
        if isinstance(outcome, ThresholdResult):
            if outcome.status == Status.CONVERGED:
                return outcome
            poor = poor or outcome  # the equations may be singular there, as where branches merge
    if poor is not None:
        return poor
    assert isinstance(outcome, ConvergenceError)
    raise outcome


outcomes.register(Root)(one_by_one(_root))
