r"""Roots at which a branch ends because it merges with another one.

Where a broken saddle point merges with a symmetric one the condition vanishes without changing
sign, and the equations are singular: Newton's method has nothing to go by. They are regular at any
small value h of the condition. The root is the limit of

.. math:: F(z, c) = 0, \qquad \mathrm{zero}(z, c) = h, \qquad h \to 0,

taken by Richardson's extrapolation from a geometric sequence of h; the differences between its
orders give the error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sympy import Dummy, Interval, Symbol

from replica.solvers.iteration import Newton, iterate
from replica.solvers.solution import Status
from replica.solvers.system import System
from replica.solvers.verify import verify

__all__ = ["Merger", "approaches", "merger"]

Array = NDArray[np.float64]

_VALUES, _RATIO = 24, 2 / 3  # how many h at most, and the ratio of each to the one before
_LAST_STEP, _STEPS = 1e-8, 50  # of Newton's method: the last relative step, and steps at most
_ASKED = 1e-11  # error asked of each point
# The first h, as a part of the largest condition along the branch: far enough from zero for points
# to keep their digits, and for several orders of extrapolation.
_FIRST_HEIGHT = 0.25
_ZERO = 1e-9  # a condition below this vanishes
_KNOWN = 1e-3  # relative error up to which the control at the merger is called known
_WORST = 1e-3  # error relative to h up to which a point is used; the sequence ends there
_AMPLIFICATION = 10.0  # factor by which extrapolation is taken to enlarge the error of a point


def approaches(height: Array) -> int | None:
    """Return the point of a branch from where to go on to its merger, None if there is none.

    The condition must fall towards zero at the end of the branch.
    """
    size = np.abs(height)
    # points where it vanishes lie on the other branch
    known = np.flatnonzero(np.isfinite(size) & (size > _ZERO))
    if known.size < 3:
        return None
    far = known[size[known] > _FIRST_HEIGHT * size[known].max()]
    last = int(far[-1])
    falls = size[last] < 0.5 * size[known].max() or last < known[-1]
    return last if falls and last > known[0] else None


@dataclass(frozen=True)
class Merger:
    """Unknowns and control where two branches merge, shape (unknowns + 1,), and their errors."""

    z: Array
    error: Array


def merger(
    system: System,
    domains: Mapping[Symbol, Interval],
    start: Array,
    height: float,
    others: Sequence[float],
) -> Merger | None:
    """Return where the condition vanishes; None where the branch cannot be followed to there.

    Parameters
    ----------
    system : System
        Of the root: the condition is its last equation, the control its last unknown.
    domains : mapping of Symbol to Interval
    start : array, shape (unknowns + 1,)
        A point of the branch.
    height : float
        The condition there.
    others : sequence of float
        The other controls.
    """
    at = Dummy("h", real=True)
    system = System(
        (*system.equations[:-1], system.equations[-1] - at),
        system.unknowns,
        (*system.parameters, at),
        domains,
    )
    values: list[float] = []
    points: list[Array] = []
    errors: list[Array] = []
    for k in range(_VALUES):
        value = height * _RATIO**k
        guess = start if not points else _at(values, points, value)[0]
        found = None
        for begin in (guess, points[-1] if points else start):
            parameters = [np.array([number]) for number in (*others, value)]
            if not system.inside(begin[None], parameters).all():
                continue
            found = iterate(system, begin[None], parameters, Newton(_LAST_STEP), _STEPS)
            if found.status[0] == Status.CONVERGED:
                break
        if found is None or found.status[0] not in (Status.CONVERGED, Status.MAX_STEPS):
            break
        verified = verify(system, found.z, parameters, _ASKED, refinement=min(1, system.finest))
        if not (verified.error[0] <= _WORST * abs(value)).all():
            break
        values.append(value)
        points.append(verified.z[0])
        errors.append(verified.error[0])
    if len(points) < 4:
        return None
    best: Merger | None = None
    for count in range(4, len(points) + 1):
        limit, spread = _at(values[:count], points[:count], 0.0)
        spread = 4 * spread + _AMPLIFICATION * errors[count - 1]
        if best is None or spread[-1] < best.error[-1]:
            best = Merger(limit, spread)
    if best is None or not best.error[-1] <= _KNOWN * abs(best.z[-1]):
        return None  # the condition has no zero, or none that is known
    return best


def _at(values: Sequence[float], points: Sequence[Array], where: float) -> tuple[Array, Array]:
    """Extrapolate by Neville's scheme; return the value and what its last order changed."""
    table = [np.asarray(point) for point in points]
    x = list(values)
    before = np.full_like(table[0], np.inf)
    for order in range(1, len(table)):
        before = table[-1]
        table = [
            ((where - x[k + order]) * table[k] + (x[k] - where) * table[k + 1])
            / (x[k] - x[k + order])
            for k in range(len(table) - 1)
        ]
    return table[-1], np.abs(table[-1] - before)
