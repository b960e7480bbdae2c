r"""A saddle point followed from some controls to others, every point of a grid on its own way.

All controls go along the straight line :math:`c(t) = c_0 + t (c_1 - c_0)`. A step goes along the
tangent, :math:`\dot z = -J^{-1} \partial_t F`, and Newton's method brings it back; steps grow while
that is easy and shrink where the branch bends. Where even the shortest step finds nothing next to
the tangent the state ends: at a fold, or where an unknown runs to the end of its domain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replica.declarations.point import Points
from replica.solvers.boundary import at_boundary, boundary_attracts
from replica.solvers.iteration import Iterated, Newton, iterate
from replica.solvers.matrices import newton_step
from replica.solvers.solution import Solution, Status
from replica.solvers.system import System

__all__ = ["Followed", "along", "follow_line"]

Array = NDArray[np.float64]

_FIRST, _LONGEST, _SHORTEST = 0.05, 0.25, 1e-9  # steps, as parts of the way
_GROWTH, _SHRINK = 1.6, 0.25
_CORRECTIONS = 8  # Newton steps, at most, that bring a step back
_LAST_CORRECTION = 1e-8  # relative: a Newton step below this is the last
_AWAY = 0.3  # of the room: how far from where it aimed a step may end
_TURNED = 1e-4  # of the way: steps up to this may change the sign of the determinant
_DIFFERENCE = 1e-6  # of the way, in the difference that gives the tangent
_AT_END = 1e-4  # relative: this close to an end of its domain an unknown has come there
_MOST = 2000  # steps
_SINGULAR = 1e-2  # relative: the least singular value of a Jacobian next to a fold


@dataclass(frozen=True)
class Followed:
    """Where states that were followed are.

    Attributes
    ----------
    z : array, shape (points, unknowns)
        At the last controls that were reached.
    share : array, shape (points,)
        How far along the way that is: one where the wanted controls were reached.
    folded : bool array, shape (points,)
        Whether the state ended at a fold: the Jacobian is singular there.
    """

    z: Array
    share: Array
    folded: NDArray[np.bool_]

    @property
    def reached(self) -> NDArray[np.bool_]:
        """Where the wanted controls were reached."""
        return np.asarray(self.share >= 1.0)


def follow_line(
    system: System, start: Array, begin: Sequence[Array], end: Sequence[Array]
) -> Followed:
    """Follow saddle points along straight lines of controls.

    Parameters
    ----------
    system : System
    start : array, shape (points, unknowns)
        Saddle points at the first controls; NaN where there is none.
    begin, end : sequence of arrays, shape (points,)
        The first and the wanted controls.
    """
    first, last = (np.stack([np.asarray(c, dtype=float) for c in side]) for side in (begin, end))
    points = start.shape[0]
    z, share = start.copy(), np.zeros(points)
    folded = np.zeros(points, dtype=bool)
    same = np.asarray((first == last).all(axis=0))
    share[same] = 1.0
    length = np.full(points, _FIRST)
    active = np.flatnonzero(~same & np.isfinite(start).all(axis=1))
    rule = -1 if system.deep else 0
    for _ in range(_MOST):
        if not active.size:
            break
        here, t = z[active], share[active]
        c0, c1 = first[:, active], last[:, active]
        step = np.minimum(length[active], 1.0 - t)
        tangent, turn = _tangent(system, here, c0, c1, t, rule)
        aim = here + step[:, None] * tangent
        inside = np.isfinite(aim).all(axis=1)
        after = _controls(c0, c1, t + step)
        inside[inside] = system.inside(aim[inside], [c[inside] for c in after])
        aim = np.where(inside[:, None], aim, here)
        ended = iterate(system, aim, after, Newton(_LAST_CORRECTION), _CORRECTIONS, refinement=rule)
        room = system.room(here, after)
        far = np.abs(ended.z - aim).max(axis=1, initial=0.0, where=np.isfinite(ended.z))
        near = np.abs(ended.z - aim) <= _AWAY * np.minimum(1.0, 1e-2 + step[:, None]) * room
        good = (ended.status == 0) & near.all(axis=1) & np.isfinite(far)
        if good.any():
            # on the other side of a fold lies another branch, and the determinant has turned
            sign = np.sign(np.linalg.det(_scaled(_jacobian(system, ended.z, after, rule), room)))
            good &= (sign == turn) | (step <= _TURNED)
        moved = active[good]
        z[moved], share[moved] = (
            ended.z[good],
            np.where(step[good] >= 1 - t[good], 1.0, t[good] + step[good]),
        )
        length[moved] = np.minimum(_GROWTH * length[moved], _LONGEST)
        failed = active[~good]
        length[failed] = _SHRINK * step[~good]
        lost = (length[active] < _SHORTEST) | (share[active] >= 1.0)
        active = active[~lost]
    short = np.flatnonzero((share < 1.0) & np.isfinite(z).all(axis=1))
    if short.size:
        at = _controls(first[:, short], last[:, short], share[short])
        scaled = _scaled(_jacobian(system, z[short], at, rule), system.room(z[short], at))
        values = np.linalg.svd(np.nan_to_num(scaled), compute_uv=False)
        folded[short] = values[:, -1] <= _SINGULAR * values[:, 0]
    return Followed(z, share, folded)


def along(
    before: Points,
    first: Solution,
    shape: tuple[int, ...],
    system: System,
    present: NDArray[np.bool_],
    parameters: list[Array],
) -> Iterated:
    """Return the states that solutions become where they are followed to other controls.

    Parameters
    ----------
    before : Points
        Where they are followed from.
    first : Solution
        The states there.
    shape : tuple of int
        Of the grid of wanted controls, to which these broadcast.
    system : System
    present : bool array, shape (all points,)
        Those of the points to follow.
    parameters : list of arrays, shape (points,)
        The wanted controls.
    """
    formula = before.formula

    def spread(value: Any) -> Any:
        return np.array(np.broadcast_to(np.asarray(value), shape)).reshape(-1)[present]

    begin = [spread(value).astype(float) for value in before.values.values()]
    start = np.stack([spread(first.overlaps[str(s)]) for s in system.unknowns], axis=1)
    status = spread(first.status).astype(int)
    there = np.zeros(status.shape, dtype=bool)
    if formula.boundary is not None:
        edge = np.array([float(formula.boundary.at[symbol]) for symbol in system.unknowns])
        there = (start == edge).all(axis=1) & boundary_attracts(formula, parameters)
        start = np.where((start == edge).all(axis=1)[:, None], np.nan, start)
    found = follow_line(system, start, begin, parameters)
    solved = np.isin(status, (Status.CONVERGED, Status.INACCURATE))
    status[solved] = np.where(found.reached[solved], int(Status.CONVERGED), int(Status.ENDED))
    note = ""
    if status.size == 1:
        names = list(formula.controls)
        moving = [k for k in range(len(names)) if begin[k][0] != parameters[k][0]]
        last = _controls(np.stack(begin), np.stack(parameters), found.share)
        if status[0] == Status.ENDED:
            place = ", ".join(f"{names[k]} = {last[k][0]:.9g}" for k in moving)
            note = f"it ends at {place}, {_end(system, found, last)}"
        elif not solved[0]:
            place = ", ".join(f"{names[k]} = {begin[k][0]:g}" for k in moving)
            note = f"that is so at {place}, where following was to begin"
    return at_boundary(system, formula, Iterated.at(found.z, status, note=note), there)


def _end(system: System, found: Followed, parameters: list[Array]) -> str:
    """Say how a single state ends."""
    low, high = (np.broadcast_to(b, found.z.shape)[0] for b in system.bounds(found.z, parameters))
    for k, symbol in enumerate(system.unknowns):
        for bound in (low[k], high[k]):
            if abs(found.z[0, k] - bound) <= _AT_END * max(abs(bound), 1e-3):
                return f"where {symbol} comes to the end of its domain, {bound:g}"
    return "a fold" if found.folded[0] else "where no state is found next to it"


def _controls(first: Array, last: Array, share: Array) -> list[Array]:
    """Return the controls at parts of the way: exactly the wanted ones at its end."""
    return list(np.where(share >= 1.0, last, first + share * (last - first)))


def _jacobian(system: System, z: Array, parameters: Sequence[Array], rule: int) -> Array:
    return system.evaluate(z, parameters, rule)[1]


def _scaled(jacobian: Array, room: Array) -> Array:
    """Return Jacobians in units of the room that unknowns have, each row of size one."""
    scaled = np.nan_to_num(jacobian * room[:, None, :])
    rows = np.abs(scaled).max(axis=2, keepdims=True)
    return np.asarray(scaled / np.where(rows > 0, rows, 1.0))


def _tangent(
    system: System, z: Array, first: Array, last: Array, share: Array, rule: int
) -> tuple[Array, Array]:
    """Return dz / dt at points of the way, and the sign of the determinant of the Jacobian."""
    at = _controls(first, last, share)
    residual, jacobian = system.evaluate(z, at, rule)
    beside = _controls(first, last, share + _DIFFERENCE)
    moved = np.stack(system.residual(*z.T, *beside, refinement=rule), axis=1)
    tangent = newton_step(jacobian, (moved - residual) / _DIFFERENCE)
    turn = np.sign(np.linalg.det(_scaled(jacobian, system.room(z, at))))
    return np.nan_to_num(tangent), turn
