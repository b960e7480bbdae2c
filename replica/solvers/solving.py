"""Saddle points at all points of a grid: the ways to them, and which of them are accepted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import Expr

from replica.declarations.control import control_name
from replica.declarations.formula import Formula
from replica.declarations.point import Points
from replica.solvers.absence import absent_points
from replica.solvers.assembly import assembled, beyond_tolerance, improved
from replica.solvers.boundary import at_boundary, boundary_attracts
from replica.solvers.curve import explicit_curve
from replica.solvers.deflation import coexisting, filled
from replica.solvers.following import along
from replica.solvers.gaps import fixed_ends, in_gaps, moving_ends
from replica.solvers.iteration import Iterated
from replica.solvers.refusal import Refusal
from replica.solvers.solution import Solution, Status
from replica.solvers.stability import masked, stable_points, unmasked
from replica.solvers.starts import declared_starts, initial, named_starts, start_names, unknowns_of
from replica.solvers.states import CURVE_STARTS, NONE, equilibrium, on_branch
from replica.solvers.strategies import from_given, reached, solve_flat, where_present
from replica.solvers.symmetry import attracted, embedded
from replica.solvers.system import System, saddle_system

__all__ = ["Asked", "solve_points"]

Array = NDArray[np.float64]

_TOO_CLOSE = (Status.LEFT_DOMAIN, Status.INACCURATE, Status.NON_FINITE)  # next to an end
_EXPLAINED = (*NONE, Status.DEGENERATE, Status.ENDED, Status.EXCLUDED)  # by a note of the way
_NOTHING = 1e-13  # a residual up to this is zero
_SHIFT = 1e-2  # of the distance to an end, over which a slope is measured
_STEEP = 10.0  # times as large as measured: a slope that says nothing
_AT_ONCE = 20_000  # points solved together; a larger grid goes in parts, to bound the memory


@dataclass(frozen=True)
class Asked:
    """What is asked of saddle points besides the controls.

    `start` may be an array of unknowns, shape (points, unknowns); `follow` holds controls to begin
    from, by name; `exclude` what vanishes at the saddle points that are not accepted. Without
    `search` only the starts are tried.
    """

    start: str | Mapping[Any, float] | Array | None = None
    follow: Mapping[str, Any] = field(default_factory=dict)
    exclude: tuple[Expr, ...] = ()
    method: str = "auto"
    tolerance: float = 1e-9
    max_steps: int = 2000
    observables: tuple[str, ...] = ()
    search: bool = True

    def part(self, place: NDArray[np.intp], shape: tuple[int, ...]) -> Asked:
        """Return what is asked of some of the points of a grid."""
        follow = {k: np.broadcast_to(w, shape).reshape(-1)[place] for k, w in self.follow.items()}
        start = self.start[place] if isinstance(self.start, np.ndarray) else self.start
        return replace(self, start=start, follow=follow)


def solve_points(points: Points, asked: Asked) -> tuple[Solution, bool]:
    """Solve all points, and tell whether a single one is at the edge of the domain."""
    formula, start = points.formula, asked.start
    if points.size > _AT_ONCE:
        return _in_parts(points, asked), False
    place = formula.subspaces.get(start) if isinstance(start, str) else None
    if place is not None and set(place) != set(formula.unknowns) and not asked.follow:
        inside = Points(formula.within(place), points.values)
        found, _ = solve_points(inside, replace(asked, start=None, exclude=()))
        return embedded(formula, saddle_system(formula), place, found), False
    system = saddle_system(formula)
    method, tolerance = asked.method, asked.tolerance
    with np.errstate(all="ignore"):  # results that are not finite are tested for
        absent, note = absent_points(points)
        ended = where_present(_way(points, system, asked, ~absent), system, points.columns, absent)
        refusal = Refusal(formula, system, asked.exclude)
        ended = refusal.of(ended, points.columns)
        named = None if isinstance(start, np.ndarray) or start == "equilibrium" else start
        # where the user says where to begin that is kept to, unless what is there is excluded
        free = not isinstance(start, np.ndarray) and named is None and not asked.follow
        if method == "auto" and asked.search and (free or asked.exclude):
            everywhere = start is None and not formula.starts and explicit_curve(formula) is None
            ended = filled(formula, refusal, named, ended, points.columns, everywhere)
        note = note or ended.note
        chosen = {name: formula.observable(name) for name in asked.observables}
        solution = assembled(points, chosen, system, ended, tolerance)
        plain = not (asked.follow or asked.exclude or isinstance(start, np.ndarray))
        if method == "auto" and plain and (moving_ends(formula) or fixed_ends(formula)):
            lost = np.isin(solution.status, _TOO_CLOSE).reshape(-1) & ~absent
            lost |= beyond_tolerance(solution, tolerance)
            solution = _through_gaps(points, solution, lost, named, ended.z, chosen, tolerance)
    if note and (asked.follow or np.any(np.isin(solution.status, _EXPLAINED))):
        solution = replace(solution, note=note)
    on_edge = ended.boundary is not None
    if points.shape == () and on_edge and formula.boundary is not None:
        solution = replace(solution, note=formula.boundary.name)
    return solution, on_edge


def _way(
    points: Points, system: System, asked: Asked, present: NDArray[np.bool_]
) -> Callable[[list[Array]], Iterated]:
    """Return how saddle points are reached: by following a state, or from a start."""
    formula, start = points.formula, asked.start
    if asked.follow:
        before = points.at(**asked.follow)
        if isinstance(start, np.ndarray) and before.shape != points.shape:  # one for each point
            whole = {k: np.broadcast_to(w, points.shape) for k, w in before.values.items()}
            before = points.at(**whole)
        first, _ = solve_points(before, replace(asked, follow={}, observables=()))
        return partial(along, before, first, points.shape, system, present)
    if isinstance(start, np.ndarray):
        begin, rest = start[present], declared_starts(formula)
        return partial(
            from_given, system, begin, rest, method=asked.method, max_steps=asked.max_steps
        )
    return _way_of(formula, system, start, asked.method, asked.max_steps)


def _through_gaps(
    points: Points,
    solution: Solution,
    lost: NDArray[np.bool_],
    start: str | Mapping[Any, float] | None,
    near: Array,
    chosen: Mapping[str, Expr],
    tolerance: float,
) -> Solution:
    """Return the solution with points next to an open end of their domain found by their gaps.

    Next to an end that nothing moves from where the iteration ended, `near`, and from smaller and
    smaller gaps; then from the starts.
    """
    formula = points.formula
    gaps = in_gaps(formula) if lost.any() else None
    named = start is None or isinstance(start, str)
    places = [gaps.start(place) for place in named_starts(formula, start)] if gaps and named else []
    attempts = [place for place in places if place is not None]
    if gaps is None or not attempts:
        return solution
    inner = Points.of_columns(formula, [column[lost] for column in points.columns])
    if fixed_ends(formula):
        attempts = [gaps.near(near[lost], inner.columns), *gaps.decades(), *attempts]
    ended = _felt(gaps.system, solve_flat(gaps.system, attempts, inner.columns), inner.columns)
    wanted = {name: gaps.expression(expression) for name, expression in chosen.items()}
    overlaps = {str(symbol): expression for symbol, expression in gaps.rule.items()}
    found = assembled(inner, {**wanted, **overlaps}, gaps.system, ended, tolerance)
    return improved(solution, lost, found, tolerance)


def _felt(system: System, ended: Iterated, parameters: list[Array]) -> Iterated:
    """Return where an iteration ended, LEFT_DOMAIN where the equations do not have its slopes.

    Next to an end a quadrature may know an equation and not its derivative: what Newton's method
    does with slopes that are far too steep looks like convergence wherever it begins.
    """
    good = np.flatnonzero(ended.status == Status.CONVERGED)
    z, inner = ended.z[good], [p[good] for p in parameters]
    shift = _SHIFT * system.room(z, inner)
    _, jacobian = system.evaluate(z, inner)
    said = np.abs(2 * jacobian * shift[:, None, :])
    lost = np.zeros(good.size, dtype=bool)
    for k in range(system.size):
        up, down = z.copy(), z.copy()
        up[:, k] += shift[:, k]
        down[:, k] -= shift[:, k]
        seen = [np.stack(system.residual(*side.T, *inner), axis=1) for side in (up, down)]
        counts = said[:, :, k] >= 0.5 * said.max(axis=2)
        lost |= (counts & (said[:, :, k] > _STEEP * np.abs(seen[0] - seen[1]))).any(axis=1)
    status = ended.status.copy()
    status[good[lost]] = int(Status.LEFT_DOMAIN)
    return replace(ended, status=status)


def _way_of(
    formula: Formula,
    system: System,
    start: str | Mapping[Any, float] | None,
    method: str,
    max_steps: int,
) -> Callable[[list[Array]], Iterated]:
    """Return how a start leads to saddle points of a formula.

    Along the explicit curve of saddle points, if there is one; by state evolution where a symmetry
    may break; else from the starts one after another, and on to where state evolution goes if what
    they lead to does not attract.
    """
    if isinstance(start, str) and start in formula.subspaces:  # one point, nothing is left to solve
        return partial(_pinned, system, formula.subspaces[start])
    if start == "equilibrium" and start not in formula.starts:
        if formula.starts or explicit_curve(formula) is None:
            return partial(_of_equilibrium, formula, system, method, max_steps)
    named = start is None or (isinstance(start, str) and start in CURVE_STARTS)
    curve = explicit_curve(formula) if named and not formula.starts else None
    if curve is not None and (method == "auto" or start is not None):
        begin = str(start or "uninformed")
        return partial(on_branch, system, curve, start=begin, method=method, max_steps=max_steps)
    if method == "auto" and formula.subspaces and start in (None, "uninformed"):
        return partial(_attracted, formula, system, start, max_steps=max_steps)
    attempts = named_starts(formula, start)
    run = partial(solve_flat, system, attempts, method=method, max_steps=max_steps)
    if method == "auto" and not isinstance(start, Mapping) and system.evolves:
        return partial(reached, formula, system, run, attempts, max_steps=max_steps)
    return run


def _pinned(system: System, place: Mapping[Any, Any], parameters: Sequence[Array]) -> Iterated:
    """Return a state in which every unknown keeps a value, where it is a saddle point."""
    z = np.tile([float(place[symbol]) for symbol in system.unknowns], (parameters[0].size, 1))
    residual, bound = system.bounded(z, parameters)
    there = (np.abs(residual) <= np.maximum(bound, _NOTHING)).all(axis=1)
    status = np.where(there, int(Status.CONVERGED), int(Status.NO_SADDLE))
    return Iterated.at(z, status)


def _named(formula: Formula, name: str, parameters: list[Array]) -> Iterated:
    """Return the saddle points in an invariant subspace, NaN where there is none."""
    points = Points.of_columns(formula, parameters)
    found, _ = solve_points(points, Asked(start=name))
    z = unknowns_of(found, formula)
    status = np.where(np.isfinite(z).all(axis=1), np.ravel(found.status), int(Status.NO_SADDLE))
    return Iterated.at(z, status, found.steps)


def _of_equilibrium(
    formula: Formula, system: System, method: str, max_steps: int, parameters: list[Array]
) -> Iterated:
    """Return the equilibrium state among those that the starts lead to: a stable one if there is.

    A state that a symmetry keeps may have the largest potential and yet be left: such as no order
    below the temperature at which it sets in.
    """
    states = []
    for name in start_names(formula):
        states.append(_way_of(formula, system, name, method, max_steps)(parameters))
    states += [_named(formula, name, parameters) for name in formula.subspaces]
    failed = np.any([state.status != Status.CONVERGED for state in states], axis=0)
    if method == "auto" and failed.any() and not system.deep:
        states += coexisting(formula, Refusal(formula, system), parameters, failed)
    kept = []
    for state in states:
        status = state.status.copy()
        if state.boundary is not None:  # where it attracts the boundary is a candidate anyway
            status[state.boundary] = int(Status.NO_SADDLE)
        good = np.flatnonzero(status == Status.CONVERGED)
        inner = [p[good] for p in parameters]
        told, stable = stable_points(formula, system, state.z[good], inner)
        status[good[told & ~stable]] = int(Status.NO_SADDLE)
        kept.append(replace(state, status=status, boundary=None))
    best, there = equilibrium(system, formula, kept, parameters)
    missing = (best.status != Status.CONVERGED) & ~there
    if missing.any():
        rest = [replace(state, boundary=None) for state in states]
        best = best.merged(missing, equilibrium(system, formula, rest, parameters)[0])
    return at_boundary(system, formula, best, there)


def _in_parts(points: Points, asked: Asked) -> Solution:
    """Solve a large grid part by part: what each needs on the way is freed before the next."""
    formula, values, shape = points.formula, points.values, points.shape
    flat = {k: np.broadcast_to(w, shape).reshape(-1) for k, w in values.items() if np.ndim(w)}
    # points on the same explicit curve of saddle points stay together, so that it is sampled once
    curve = explicit_curve(formula)
    along = "" if curve is None else control_name(curve.control)
    order = np.lexsort(
        [column for name, column in flat.items() if name != along] or [np.arange(points.size)]
    )
    back = np.argsort(order)
    parts = []
    for k in range(0, points.size, _AT_ONCE):
        place = order[k : k + _AT_ONCE]
        some = points.at(**{name: column[place] for name, column in flat.items()})
        parts.append(solve_points(some, asked.part(place, shape))[0])

    def joined(pieces: Iterable[Any]) -> Any:
        return np.concatenate([np.asarray(piece) for piece in pieces])[back].reshape(shape)

    def columns(group: str) -> dict[str, Any]:
        names = getattr(parts[0], group)
        return {name: joined(getattr(part, group)[name] for part in parts) for name in names}

    stable = [unmasked(part.stable) for part in parts]
    return replace(
        parts[0],
        controls={name: values[name] for name in parts[0].controls},
        overlaps=columns("overlaps"),
        observables=columns("observables"),
        errors=columns("errors"),
        status=joined(part.status for part in parts),
        validity=joined(part.validity for part in parts),
        stable=masked(joined(k for k, _ in stable), joined(w for _, w in stable), shape),
        steps=max(part.steps for part in parts),
        note=next((part.note for part in parts if part.note), ""),
    )


def _attracted(
    formula: Formula, system: System, start: str | None, parameters: list[Array], max_steps: int
) -> Iterated:
    """Return what state evolution leads to, where a symmetry may break."""

    def symmetric(name: str) -> Array:
        return _named(formula, name, parameters).z

    ended = attracted(
        formula,
        system,
        parameters,
        initial(system, named_starts(formula, start)[0], parameters),
        symmetric,
        boundary_attracts(formula, parameters),
        max_steps,
    )
    assert ended.boundary is not None
    if not ended.boundary.any():
        return replace(ended, boundary=None)
    return at_boundary(system, formula, ended, ended.boundary)
