"""Ways from starts to saddle points, elementwise over a grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import Symbol

from replica.declarations.formula import Formula
from replica.solvers.iteration import PROPOSALS, Damped, Iterated, LogNewton, Newton, iterate
from replica.solvers.solution import Status
from replica.solvers.stability import attracts
from replica.solvers.starts import initial
from replica.solvers.symmetry import attracted
from replica.solvers.system import System

__all__ = ["from_given", "from_start", "reached", "solve_flat", "where_present"]

Array = NDArray[np.float64]

_BASIN_STEPS = 12  # damped steps before Newton takes over
_NEWTON_STEPS = 100  # at most
_ROUNDING = 1e-12  # distance up to which a start is a saddle point
_COARSE_LAST_STEP = 1e-5  # relative: Newton by a coarse rule stops here, the verification goes on


def solve_flat(
    system: System,
    attempts: Sequence[Mapping[Symbol, Any]],
    parameters: Sequence[Array],
    method: str = "auto",
    max_steps: int = 2000,
) -> Iterated:
    """Solve every point from each start in turn until one converges.

    Where none does because damped steps, which change all unknowns at once, ran to an edge or went
    round in circles, Newton's method takes over at the starts themselves.
    """
    points, n = parameters[0].shape[0], system.size
    z = np.full((points, n), np.nan)
    jacobian, step = np.full((points, n, n), np.nan), np.full((points, n), np.nan)
    status = np.full(points, -1)
    left = np.arange(points)
    total = 0
    ways: list[Callable[[System, Array, list[Array]], Iterated]] = [
        partial(from_start, method=method, max_steps=max_steps)
    ]
    if method == "auto" and system.paired.any():  # without updates those are Newton steps anyway
        ways.append(partial(_straight, limit=min(_NEWTON_STEPS, max_steps)))
    for way, attempt in product(ways, attempts):
        chosen = [p[left] for p in parameters]
        place = {k: w[left] if isinstance(w, np.ndarray) else w for k, w in attempt.items()}
        found = way(system, initial(system, place, chosen), chosen)
        total = max(total, found.steps)
        done = found.status == Status.CONVERGED
        better = done | np.isnan(z[left]).any(axis=1)
        z[left[better]], jacobian[left[better]] = found.z[better], found.jacobian[better]
        step[left[better]] = found.step[better]
        # how the last resort failed says no more
        failed = np.maximum(status[left], found.status) if way is ways[0] else status[left]
        status[left] = np.where(done, found.status, failed)
        left = left[~done]
        if left.size == 0:
            break
    return Iterated(z, status, total, jacobian, step)


def reached(
    formula: Formula,
    system: System,
    run: Callable[[list[Array]], Iterated],
    attempts: Sequence[Mapping[Symbol, Any]],
    parameters: list[Array],
    max_steps: int,
) -> Iterated:
    """Return what a solver finds, or what state evolution reaches where that does not attract.

    Newton's method is drawn to a saddle point that is close, such as one that symmetry keeps,
    also where the iteration from the same start runs away from it. Where it does so too slowly,
    next to a transition, what the other starts lead to counts if it attracts. A start that is the
    saddle point itself asks for it, whether it attracts or not.
    """
    found = run(parameters)
    good = found.status == Status.CONVERGED
    leaves = good.copy()
    leaves[good] = ~attracts(system, found.z[good], [p[good] for p in parameters])
    if not leaves.any():
        return found
    inner = [p[leaves] for p in parameters]
    begin = initial(system, attempts[0], inner)
    never = np.zeros(begin.shape[0], dtype=bool)
    settled = attracted(formula, system, inner, begin, lambda name: begin, never, max_steps)
    found = _replaced(found, np.flatnonzero(leaves), settled.z, settled.status)
    asked_for = (np.abs(found.z[leaves] - begin) <= _ROUNDING).all(axis=1)
    left = np.flatnonzero(leaves)[(settled.status != Status.CONVERGED) & ~asked_for]
    for attempt in attempts[1:]:
        if not left.size:
            break
        inner = [p[left] for p in parameters]
        ended = solve_flat(system, [attempt], inner, max_steps=max_steps)
        stays = (ended.status == Status.CONVERGED) & attracts(system, ended.z, inner)
        found = _replaced(found, left, ended.z, np.where(stays, ended.status, Status.MAX_STEPS))
        left = left[~stays]
    return found


def _replaced(
    found: Iterated, where: NDArray[np.intp], z: Array, status: NDArray[np.intp]
) -> Iterated:
    """Return what was found with what converged elsewhere in its place, at some points."""
    better = status == Status.CONVERGED
    other = found.merged(where, found)
    other.z[where], other.status[where] = z, status
    other.jacobian[where], other.step[where] = np.nan, np.nan
    return found.merged(where[better], other)


def where_present(
    run: Callable[[list[Array]], Iterated],
    system: System,
    parameters: list[Array],
    absent: NDArray[np.bool_],
) -> Iterated:
    """Run a solver at the points that may have a saddle point."""
    if not absent.any():
        return run(parameters)
    points, n = absent.size, system.size
    z, step = np.full((points, n), np.nan), np.full((points, n), np.nan)
    jacobian = np.full((points, n, n), np.nan)
    status, steps, boundary = np.full(points, int(Status.NO_SADDLE)), 0, None
    note = ""
    rest = ~absent
    if rest.any():
        found = run([p[rest] for p in parameters])
        z[rest], jacobian[rest], step[rest] = found.z, found.jacobian, found.step
        status[rest], steps, note = found.status, found.steps, found.note
        if found.boundary is not None:
            boundary = np.zeros(points, dtype=bool)
            boundary[rest] = found.boundary
    return Iterated(z, status, steps, jacobian, step, boundary, note)


def from_given(
    system: System,
    begin: Array,
    attempts: Sequence[Mapping[Symbol, Any]],
    parameters: list[Array],
    method: str = "auto",
    max_steps: int = 2000,
) -> Iterated:
    """Solve every point from a place of its own, from the attempts where it has none (NaN)."""
    low, high = system.bounds(np.nan_to_num(begin, nan=0.5), parameters)
    given = np.asarray(np.isfinite(begin).all(axis=1))
    ended = from_start(
        system,
        np.clip(np.where(given[:, None], begin, 0.5), low, high),
        parameters,
        method,
        max_steps,
    )
    if given.all():
        return ended
    rest = solve_flat(system, attempts, [p[~given] for p in parameters], method, max_steps)
    other = replace(
        ended,
        **{name: getattr(ended, name).copy() for name in ("z", "status", "jacobian", "step")},
    )
    other.z[~given], other.status[~given] = rest.z, rest.status
    other.jacobian[~given], other.step[~given] = rest.jacobian, rest.step
    return other


def from_start(
    system: System, begin: Array, parameters: list[Array], method: str, max_steps: int
) -> Iterated:
    """Return where the iteration from one start ends, by a method or by basin steps and Newton."""
    if method != "auto":
        return iterate(system, begin, parameters, PROPOSALS[method](), max_steps)
    limit = min(_NEWTON_STEPS, max_steps)
    if not system.paired.any():
        return _straight(system, begin, parameters, limit)
    cheap = system.deep and not system.logarithmic
    if system.logarithmic:
        first = iterate(system, begin, parameters, LogNewton(), limit)
        go_on = first.status != Status.CONVERGED  # without logarithms: an unknown may vanish
        middle = begin
    else:
        first = iterate(
            system,
            begin,
            parameters,
            Damped(0.2),
            min(_BASIN_STEPS, max_steps),
            refinement=-1 if cheap else 0,
            slopes=not (cheap and system.paired.all()),
        )
        go_on = (first.status == Status.MAX_STEPS) | (first.status == Status.CONVERGED)
        middle = first.z
    if not go_on.any():
        return first
    inner = [p[go_on] for p in parameters]
    z, status, jacobian = first.z.copy(), first.status.copy(), first.jacobian.copy()
    step = first.step.copy()
    if cheap:
        second = _coarsely(system, middle[go_on], inner, limit)
    else:
        second = iterate(system, middle[go_on], inner, Newton(), limit)
    z[go_on], status[go_on], jacobian[go_on] = second.z, second.status, second.jacobian
    step[go_on] = second.step
    return Iterated(z, status, first.steps + second.steps, jacobian, step)


def _straight(system: System, begin: Array, parameters: list[Array], limit: int) -> Iterated:
    """Return where Newton's method ends."""
    if system.deep:
        return _coarsely(system, begin, parameters, limit)
    return iterate(system, begin, parameters, Newton(), limit)


def _coarsely(system: System, begin: Array, parameters: list[Array], limit: int) -> Iterated:
    """Return where Newton's method by a coarse quadrature ends: the verification takes a finer."""
    found = iterate(system, begin, parameters, Newton(_COARSE_LAST_STEP), limit, refinement=-1)
    unknown = np.full_like(found.jacobian, np.nan)
    return replace(found, jacobian=unknown, step=found.step * np.nan)
