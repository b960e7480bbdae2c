r"""Pseudo-arclength continuation: a branch of saddle points followed through its folds.

The control joins the unknowns. From one point of the branch a step is taken along its tangent and
brought back by Newton's method in the plane across the tangent,

.. math:: F(z, \alpha) = 0, \qquad \langle t, (z, \alpha) - (z_0, \alpha_0) \rangle = s,

which stays regular where the branch turns back in the control. Lengths are measured against the
room that each unknown has left, so that a branch is followed geometrically into a boundary.

References
----------
H. B. Keller, in *Applications of Bifurcation Theory*, Academic Press 1977.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from sympy import S, Symbol

from replica.declarations.formula import Formula
from replica.solvers.system import System, augmented

__all__ = ["Branch", "follow", "saddle_branches"]

Array = NDArray[np.float64]

# Steps along the branch, as a part of the room that the unknowns have left.
_FIRST_STEP, _LONGEST_STEP, _SHORTEST_STEP = 0.1, 0.4, 1e-7
_SMALLEST_UNIT = 1e-2  # of an unknown next to zero; smaller takes more steps
_CORRECTIONS = 8  # Newton steps, at most, that bring a step back onto the branch
# A Newton step below this, as a part of the room, is the last: it leaves an error of its square,
# which is all that a coarse rule is good for.
_LAST_CORRECTION, _COARSE_LAST_CORRECTION = 1e-8, 1e-5
_AT_END = 1e-9  # relative: this close to an open end of a domain the branch has ended


@dataclass(frozen=True)
class Branch:
    """Points along a branch, shape (points, unknowns + 1): the control comes last."""

    points: Array
    ended: str

    @property
    def control(self) -> Array:
        """The control along the branch."""
        return self.points[:, -1]

    @property
    def overlaps(self) -> Array:
        """The unknowns along the branch, shape (points, unknowns)."""
        return self.points[:, :-1]


@lru_cache(maxsize=64)
def saddle_branches(formula: Formula, control: Symbol) -> System:
    """Return the stationarity equations with `control` among the unknowns.

    The last equation is a placeholder for the condition of the step.
    """
    return augmented(formula, (S.Zero,), (control,))


def follow(
    system: System,
    start: Array,
    parameters: Sequence[Array],
    upwards: bool = True,
    most: int = 400,
    until: Callable[[Array], bool] = lambda point: False,
    refinement: int = 0,
) -> Branch:
    """Follow a branch from one of its points.

    Parameters
    ----------
    system : System
        From `saddle_branches`.
    start : array, shape (unknowns + 1,)
        A saddle point and its control.
    parameters : sequence of arrays, shape (1,)
        The other controls.
    upwards : bool
        Whether the control rises at first.
    most : int
        Most points.
    until : callable
        Told of each new point; the branch ends where it says yes.
    refinement : int
        Of the quadrature; negative for a coarse one.
    """
    found = [start]
    here = start
    tangent = np.zeros_like(start)
    tangent[-1] = 1.0 if upwards else -1.0
    length = _FIRST_STEP
    slopes = _slopes(system, start, parameters, refinement)
    while len(found) < most:
        # small unknowns, such as overlaps of sparse weights, in units of themselves: two branches
        # may lie close to each other there
        size = np.minimum(
            system.room(here[None], parameters)[0], np.maximum(np.abs(here), _SMALLEST_UNIT)
        )
        if (size <= _AT_END * np.maximum(np.abs(here), 1.0)).any():
            return Branch(np.array(found), "an unknown or the control ran to the end of its domain")
        scaled = _tangent(slopes * size, tangent)
        if scaled is None:
            return Branch(np.array(found), "the Jacobian is singular in more than one direction")
        while length >= _SHORTEST_STEP:
            corrected = _correct(system, here, parameters, size, scaled, length, refinement)
            if corrected is not None:
                break
            length /= 4
        else:
            return Branch(np.array(found), "no further point was found")
        point, slopes = corrected
        found.append(point)
        if until(point):
            return Branch(np.array(found), "what was looked for has been found")
        if refinement >= 0:  # by a coarse rule those at the last correction are close enough
            slopes = _slopes(system, point, parameters, refinement)
        tangent, here = (point - here) / size, point
        length = min(1.5 * length, _LONGEST_STEP)
    return Branch(np.array(found), f"{most} points were enough")


def _slopes(system: System, here: Array, parameters: Sequence[Array], refinement: int) -> Array:
    """Return the Jacobian of the equations without that of the step."""
    return system.evaluate(here[None], parameters, refinement)[1][0, :-1]


def _tangent(jacobian: Array, before: Array) -> Array | None:
    """Return the unit tangent, in units of the room, that goes on in the direction of `before`."""
    if not np.isfinite(jacobian).all():
        return None
    rows = np.abs(jacobian).max(axis=1, keepdims=True)
    jacobian = jacobian / np.where(rows > 0, rows, 1.0)
    _, values, directions = np.linalg.svd(jacobian)
    if values.size and values[-1] <= 1e-13 * values[0]:
        return None
    tangent: Array = directions[-1]
    return tangent if tangent @ before >= 0 else -tangent


def _correct(
    system: System,
    here: Array,
    parameters: Sequence[Array],
    size: Array,
    tangent: Array,
    length: float,
    refinement: int,
) -> tuple[Array, Array] | None:
    """Return the point of the branch in the plane at `length`, None if Newton does not find it.

    With the last Jacobian on the way, without the condition of the step.
    """
    enough = _COARSE_LAST_CORRECTION if refinement < 0 else _LAST_CORRECTION
    # rounding may put an unknown that stays at a closed end, such as m = 0, beyond it
    trial = system.onto_edge((here + length * tangent * size)[None], parameters)[0]
    before = np.inf
    for _ in range(_CORRECTIONS):
        if not system.inside(trial[None], parameters)[0]:
            return None
        residual, jacobian = (
            part[0] for part in system.evaluate(trial[None], parameters, refinement)
        )
        jacobian[-1], residual[-1] = tangent / size, 0.0
        try:
            step = -np.linalg.solve(jacobian * size, residual)
        except np.linalg.LinAlgError:
            return None
        moved = float(np.abs(step).max())
        if not np.isfinite(moved) or moved > 0.5 * before:
            return None
        trial, before = system.onto_edge((trial + step * size)[None], parameters)[0], moved
        if moved < enough:
            # a point far from where the step aimed lies on another branch
            inside = bool(system.inside(trial[None], parameters)[0])
            jump = np.linalg.norm((trial - here) / size - length * tangent)
            return (trial, jacobian[:-1]) if inside and jump <= 0.5 * length else None
    return None
