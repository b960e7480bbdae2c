r"""Saddle points where a symmetry may break: the one that state evolution is attracted to.

A formula names its invariant subspaces, such as the overlaps that do not tell two hidden units
apart. A saddle point in one of them is a saddle point of the whole, and is found there, with fewer
unknowns. It attracts the iteration

.. math:: \hat q \leftarrow \hat q(q), \qquad q \leftarrow q(\hat q)

while no eigenvalue of its Jacobian, update minus unknown, has a positive real part. Where it does
not, the iteration is run from outside until Newton's method finds a saddle point that attracts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import Symbol

from replica.declarations.formula import Formula
from replica.errors import ControlError
from replica.solvers.iteration import Damped, Iterated, Newton, iterate
from replica.solvers.solution import Solution, Status
from replica.solvers.stability import attracts, masked, stable_points
from replica.solvers.system import System

__all__ = ["attracted", "embedded", "refuse_symmetric"]

Array = NDArray[np.float64]

# A point closer to the boundary than _NEAR is watched every _WATCH_STEPS steps, as long as its
# distance shrinks by the factor _SHRINKS in them; closer than _NEXT_TO it may be called there.
_NEAR, _NEXT_TO = 0.3, 1e-6
_WATCH_STEPS, _SHRINKS = 4, 0.5
_BURSTS = (12, 48, 192, 768, 3072)  # steps of the iteration between two attempts of Newton's
_NEWTON_STEPS = 12  # at most in an attempt
_LAST_STEP = 1e-4  # relative: a Newton step below this is the last, for a first look
_COARSE = -1  # refinement of the quadrature


def refuse_symmetric(formula: Formula, start: Mapping[Symbol, Any]) -> None:
    """Refuse a start inside an invariant subspace: no iteration leaves it."""
    for name, place in formula.subspaces.items():
        given = {symbol: value for symbol, value in start.items() if symbol in place}
        if given and all(float(value) == float(place[s]) for s, value in given.items()):
            where = ", ".join(f"{s} = {place[s]}" for s in given)
            raise ControlError(
                f"{formula.name}: the start {where} has the symmetry of the state {name!r}: "
                f"the iteration can never leave it; break it, or ask for start={name!r}"
            )


def embedded(
    formula: Formula, system: System, place: Mapping[Symbol, Any], inside: Solution
) -> Solution:
    """Return a solution in an invariant subspace as one of the whole formula.

    What is stable inside may be left by a step out of the subspace.
    """
    shape = np.shape(inside.status)

    def pinned(value: Any) -> Any:
        return np.full(shape, float(value)) if shape else float(value)

    known = {str(symbol): pinned(value) for symbol, value in place.items()}
    lost = {name: 0.0 * value for name, value in known.items()}
    names = [str(symbol) for symbol in formula.unknowns]
    found = {**known, **inside.overlaps}
    z = np.stack([np.ravel(found[name]) for name in names], axis=1)
    values = [np.asarray(value, dtype=float) for value in inside.controls.values()]
    solved = np.isfinite(z).all(axis=1)
    told, stable = np.zeros_like(solved), np.zeros_like(solved)
    parameters = [np.broadcast_to(value, shape).reshape(-1)[solved] for value in values]
    told[solved], stable[solved] = stable_points(formula, system, z[solved], parameters)
    return replace(
        inside,
        formula=formula,
        overlaps={name: found[name] for name in names},
        errors={**lost, **inside.errors},
        stable=masked(told, stable, shape),
    )


def attracted(
    formula: Formula,
    system: System,
    parameters: list[Array],
    begin: Array,
    symmetric: Callable[[str], Array],
    boundary: NDArray[np.bool_],
    max_steps: int,
) -> Iterated:
    """Return the saddle point that each point is attracted to.

    Parameters
    ----------
    formula : Formula
    system : System
        Its stationarity equations.
    parameters : list of arrays, shape (points,)
    begin : array, shape (points, unknowns)
        Where the iteration starts, outside of the invariant subspaces.
    symmetric : callable
        Returns the saddle points in the subspace of this name, NaN where there is none.
    boundary : bool array, shape (points,)
        Where the boundary of the domain attracts what runs to it.
    max_steps : int
        Most steps of the iteration.
    """
    points, n = begin.shape
    z = np.full((points, n), np.nan)
    status = np.full(points, int(Status.MAX_STEPS))
    at_boundary = np.zeros(points, dtype=bool)
    left = np.arange(points)
    for name in formula.subspaces:
        inside = symmetric(name)[left]
        good = np.asarray(np.isfinite(inside).all(axis=1))
        good[good] = attracts(system, inside[good], [p[left][good] for p in parameters])
        z[left[good]], status[left[good]] = inside[good], int(Status.CONVERGED)
        left = left[~good]
    here = begin[left].copy()
    taken = 0
    for burst in _BURSTS:
        if left.size == 0 or taken >= max_steps:
            break
        chosen = [p[left] for p in parameters]
        burst = min(burst, max_steps - taken)
        moved = iterate(system, here, chosen, Damped(0.0), burst, refinement=_COARSE, slopes=False)
        moved, runs = _to_boundary(system, moved, chosen, boundary[left])
        taken += moved.steps
        here = moved.z
        gone = runs | (moved.status == Status.LEFT_DOMAIN) | (moved.status == Status.NON_FINITE)
        at_boundary[left[gone & boundary[left]]] = True
        status[left[gone]] = np.where(
            boundary[left[gone]], int(Status.CONVERGED), moved.status[gone]
        )
        found = np.full((left.size, n), np.nan)
        kept = np.flatnonzero(~gone)
        if kept.size:
            inner = [p[kept] for p in chosen]
            newton = iterate(
                system, here[kept], inner, Newton(_LAST_STEP), _NEWTON_STEPS, refinement=_COARSE
            )
            good = np.asarray(newton.status == Status.CONVERGED)
            good[good] = attracts(system, newton.z[good], [p[good] for p in inner])
            found[kept[good]] = newton.z[good]
        done = np.isfinite(found).all(axis=1)
        z[left[done]], status[left[done]] = found[done], int(Status.CONVERGED)
        going = ~(done | gone)
        left, here = left[going], here[going]
    return Iterated.at(z, status, taken, at_boundary)


def _to_boundary(
    system: System, moved: Iterated, parameters: Sequence[Array], boundary: NDArray[np.bool_]
) -> tuple[Iterated, NDArray[np.bool_]]:
    """Iterate the points that approach the boundary, and tell which of them reach it.

    Those are the points next to it that come closer ever faster. Newton's method does not serve
    there: integrals cost most, and its steps are as long as the distance that is left.
    """
    z, status, steps = moved.z.copy(), moved.status.copy(), moved.steps
    falls = boundary & (status == Status.MAX_STEPS)
    falls &= np.asarray((system.room(z, parameters) < _NEAR).any(axis=1))
    runs = np.zeros(len(z), dtype=bool)
    while falls.any():
        inner = [p[falls] for p in parameters]
        before = system.room(z[falls], inner)
        more = iterate(
            system, z[falls], inner, Damped(0.0), _WATCH_STEPS, refinement=_COARSE, slopes=False
        )
        z[falls], status[falls], steps = more.z, more.status, steps + more.steps
        after = system.room(more.z, inner)
        fall = (after / before).min(axis=1)
        ends = (after.min(axis=1) < _NEXT_TO) & (fall < _SHRINKS**2)
        runs[np.flatnonzero(falls)[ends]] = True
        falls[falls] = (more.status == Status.MAX_STEPS) & ~ends & (fall < _SHRINKS)
    return replace(moved, z=z, status=status, steps=steps), runs
