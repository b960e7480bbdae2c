r"""Roots and instabilities along a state that is followed.

All sign changes of the condition are looked for, and the first counts; the note lists the others.

A root of :math:`m - 1` where the saddle point merges with a symmetric one is one of the state with
m = 1: there the equation of m determines the control, and equations that hold identically give up
their factor :math:`1 - m`, so that the system is square and regular.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from sympy import Expr, Symbol

from replica.declarations.control import control_name
from replica.declarations.formula import Formula
from replica.declarations.frozen import FrozenMapping
from replica.declarations.threshold import Root
from replica.errors import ConvergenceError
from replica.language.stationarity import solve_linear
from replica.numerics.kernel import compile_kernel
from replica.solvers.request import Request
from replica.solvers.solution import Status, ThresholdResult
from replica.solvers.system import saddle_system
from replica.solvers.thresholds.following import Followed
from replica.solvers.thresholds.seeds import followed_states
from replica.solvers.thresholds.square import polished
from replica.solvers.thresholds.state import State, named_state, state_within, whole

__all__ = ["along_every_state", "merged_state", "root_of_state", "with_others"]

Array = NDArray[np.float64]

_NOTHING = 1e-13  # relative to its largest value: a condition below this vanishes
_AT_EDGE = 1e-5  # distance up to which an unknown may be at an end of its domain
_HOLDS = 1e-9  # residual up to which the equations hold
_TOUCHES = 1e-5  # relative: a largest eigenvalue above minus this may touch zero
_CLOSE = 1e-4  # relative: how far from where that was seen the control may be
_SAME = 1e-7  # relative: roots closer than this are one


def merged_state(formula: Formula, declaration: Root) -> State | None:
    """Return the state in which a root fixes an overlap, if other equations hold identically."""
    if len(declaration.zeros) != 1 or declaration.start or declaration.reaches:
        return None
    zero = formula.observable(declaration.zeros[0])
    (symbol, *more) = sorted(zero.free_symbols, key=str) or [None]
    if more or symbol not in formula.overlaps or symbol in declaration.at:
        return None
    value = solve_linear(zero, symbol)
    if value is None or symbol in formula.conjugates:
        return None
    state = state_within(formula, FrozenMapping({**declaration.at, symbol: value}))
    return state if state.degenerate else None


def root_of_state(
    request: Request, declaration: Root, merged: State | None = None
) -> ThresholdResult:
    """Return where the condition vanishes along the declared state."""
    formula, (control,) = request.formula, declaration.controls
    name = control_name(control)
    if merged is not None:
        state = merged
        (fixed,) = (s for s in state.place if s not in declaration.at)
        condition: Expr | None = formula.residuals[fixed]
        what, method = f"the equation of {fixed}", "root where two branches merge: the common state"
    else:
        state = _state(formula, declaration)
        if declaration.zero is None:
            condition = whole(formula).determinant
            what, method = "the largest eigenvalue", "instability: stationarity, singular Jacobian"
        else:
            condition = formula.observable(declaration.zeros[0]) - declaration.reaches
            what, method = f"the {declaration.zeros[0]}", "root: stationarity and condition = 0"
    if condition is None:
        raise request.failed(
            "is where an eigenvalue of a large Jacobian vanishes: give the eigenvalue as an "
            "observable"
        )
    height = _height(request, declaration, state, condition)
    by_jacobian = merged is None and declaration.zero is None
    found: list[ThresholdResult] = []
    reason = ""
    for along in followed_states(request, state, control):
        heights = _without_identities(height(along))
        good = np.isfinite(heights[:-1]) & np.isfinite(heights[1:])
        changes = (heights[:-1] * heights[1:] <= 0) & good
        if by_jacobian:
            changes |= _touches(heights)
        for k in np.flatnonzero(changes):
            share = abs(heights[k]) / max(abs(heights[k]) + abs(heights[k + 1]), 1e-300)
            start = along.points[k] + share * (along.points[k + 1] - along.points[k])
            places = [state]
            if by_jacobian:
                places.insert(0, _on_edges(state, along.points[k : k + 2]))
            for here in dict.fromkeys(places):
                kept = [j for j, s in enumerate(state.unknowns) if s in here.unknowns]
                (outcome,) = polished(
                    [request],
                    declaration,
                    here.with_conditions((condition,), (control,), symbolic=not by_jacobian),
                    start[[*kept, -1]][None],
                    method,
                    {str(s): float(value) for s, value in here.place.items()},
                )
                if isinstance(outcome, ThresholdResult) and _is_saddle(state, control, outcome):
                    break
            low, high = along.control[k], along.control[k + 1]
            if isinstance(outcome, ConvergenceError):
                reason = reason or str(outcome)
            elif outcome.status != Status.CONVERGED:
                reason = reason or (
                    f"{what} vanishes near {name} = {outcome.text}, where the square system is "
                    f"singular: name the state that is left there, by at= or a subspace"
                )
            elif abs(outcome.value - 0.5 * (low + high)) <= max(high - low, _CLOSE * abs(high)):
                found.append(outcome)
            else:
                reason = reason or (
                    f"{what} changes sign near {name} = {start[-1]:.6g}, but no solution of the "
                    f"square system is there"
                )
    if found:
        return _first(found, name)
    if reason:
        raise request.missing(reason)
    known = heights[np.isfinite(heights)]
    where = f"the state {state.name}" if state.name else "the saddle points"
    if not known.size:
        raise request.missing(
            f"{what} vanishes identically along {where}, or has no finite value there"
        )
    raise request.missing(
        f"along {where}, for {name} from {along.control[0]:.6g} to {along.control[-1]:.6g}, {what} "
        f"stays between {known.min() + _shift(declaration):.4g} and "
        f"{known.max() + _shift(declaration):.4g} and does not reach {_shift(declaration)} (below "
        f"it {along.ends[0]}, above it {along.ends[1]})"
    )


def _on_edges(state: State, points: Array) -> State:
    """Return the state with what is at a closed low end of its domain fixed there.

    Such as the overlap that symmetry keeps at zero: a branch that leaves it there makes the
    equations singular, but not those of the others.
    """
    fixed = {}
    for symbol, column in zip(state.unknowns, points.T, strict=False):
        domain = state.domains[symbol]
        closed = domain.start.is_number and domain.start.is_finite and not domain.left_open
        if closed and np.abs(column - float(domain.start)).min() <= _AT_EDGE:
            fixed[symbol] = domain.start
    if not fixed:
        return state
    return state_within(state.formula, FrozenMapping({**state.place, **fixed}), state.name)


def _is_saddle(state: State, control: Symbol, found: ThresholdResult) -> bool:
    """Tell whether all equations of a state hold where some unknowns were taken to be fixed."""
    if not state.unknowns:
        return True
    z = np.array([[found.overlaps[str(s)] for s in state.unknowns]])
    controls = {**found.controls, control_name(control): found.value}
    given = [np.array([controls[control_name(s)]]) for s in state.host.symbols]
    residual = np.stack(state.system.residual(*z.T, *given), axis=1)
    return bool((np.abs(residual) <= _HOLDS * np.maximum(np.abs(z), 1.0)).all())


def _touches(heights: Array) -> NDArray[np.bool_]:
    """Tell in which intervals an eigenvalue comes to zero without becoming positive.

    As where a state goes on as one of more symmetry, or ends at it.
    """
    size = np.abs(heights)
    near = size <= _TOUCHES * size[np.isfinite(size)].max(initial=0.0)
    inner = np.where(np.isfinite(size), size, np.inf)
    lowest = np.minimum(inner[:-1], inner[1:])
    around = np.minimum(np.append(lowest[1:], np.inf), np.insert(lowest[:-1], 0, np.inf))
    return np.asarray((near[:-1] | near[1:]) & (lowest <= around))


def _without_identities(heights: Array) -> Array:
    """Return the values of a condition, NaN where it holds at several points in a row."""
    nothing = np.abs(heights) <= _NOTHING * np.abs(heights[np.isfinite(heights)]).max(initial=0.0)
    beside = np.zeros_like(nothing)
    beside[1:] |= nothing[:-1]
    beside[:-1] |= nothing[1:]
    return np.where(nothing & beside, np.nan, heights)


def _shift(declaration: Root) -> int:
    return 0 if declaration.zero is None else declaration.reaches


def _state(formula: Formula, declaration: Root) -> State:
    if declaration.of:
        return named_state(formula, declaration.of)
    return state_within(formula, FrozenMapping(declaration.at))


def _height(
    request: Request, declaration: Root, state: State, condition: Expr
) -> Callable[[Followed], Array]:
    """Return what changes sign at the root, at the points of a state."""
    formula, (control,) = request.formula, declaration.controls
    system = saddle_system(formula)

    def of_condition(along: Followed) -> Array:
        given = state.columns(control, along.control, request.others)
        kernel = compile_kernel((*state.unknowns, *formula.symbols), (state.there(condition),))
        return np.asarray(kernel(*along.points[:, :-1].T, *given)[0])

    def of_eigenvalue(along: Followed) -> Array:
        given = state.columns(control, along.control, request.others)
        z = state.embedded(along.points[:, :-1])
        assert z is not None
        _, slopes = system.evaluate(z, given)
        good = np.isfinite(slopes).all(axis=(1, 2))
        largest = np.full(z.shape[0], np.nan)
        largest[good] = np.linalg.eigvals(slopes[good]).real.max(axis=1)
        return largest

    by_eigenvalue = declaration.zero is None and system.evolves
    return of_eigenvalue if by_eigenvalue else of_condition


def along_every_state(request: Request, declaration: Root) -> list[ThresholdResult]:
    """Return the roots along each of the named states, the states in their methods."""
    found = []
    for name in request.formula.starts:
        try:
            result = root_of_state(request, replace(declaration, of=name))
        except ConvergenceError:
            continue
        found.append(replace(result, method=f"{result.method}, along the state {name}"))
    return found


def _first(found: list[ThresholdResult], name: str) -> ThresholdResult:
    """Return the first root along a state, with a note on the others."""
    first, *rest = sorted(found, key=lambda result: result.value)
    return with_others(first, rest, name)


def with_others(
    first: ThresholdResult, others: Sequence[ThresholdResult], name: str
) -> ThresholdResult:
    """Return a root with a note on those of the others that are not the same."""
    apart: list[ThresholdResult] = []
    for result in others:
        values = [first.value, *(other.value for other in apart)]
        if all(abs(result.value - v) > _SAME * max(abs(v), 1.0) for v in values):
            apart.append(result)
    if not apart:
        return first
    listed = ", ".join(f"{result.value:.12g}" for result in apart)
    note = f"also at {name} = {listed}"
    return replace(first, note=f"{first.note}; {note}" if first.note else note)
