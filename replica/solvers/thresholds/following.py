r"""States followed in a control from one of their saddle points to where they end.

A state ends where its branch turns back, at the end of the domain, or where it loses its stability
and nothing new goes on from there; where the transition is continuous, what is stable beyond it is
the same state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sympy import Symbol

from replica.solvers.continuation import follow
from replica.solvers.iteration import Newton, iterate
from replica.solvers.solution import Status
from replica.solvers.stability import attracts
from replica.solvers.thresholds.state import State

__all__ = ["FOLD", "LOST", "RANGE", "UNSTABLE", "Followed", "followed", "one_way", "standing"]

Array = NDArray[np.float64]

_MOST_POINTS, _DEEP_MOST_POINTS = 400, 60  # of a branch; few where a point costs a mean in a mean
_STEPS = 60  # Newton steps at most
_HALVINGS = 40  # of the interval in which a state loses its stability
# How far beyond the loss of stability a branch that goes on is looked for, relative, and at which
# distances from the one that is left.
_BEYOND = (1e-6, 1e-5, 1e-4, 1e-3)
_CONTINUATIONS = 4  # continuous transitions, at most, through which a state is followed
_CONTINUOUS = 10.0  # distance up to which it is a continuation, relative to the root of _BEYOND
_AWAY = np.concatenate([np.logspace(-8, -0.5, 24), -np.logspace(-8, -0.5, 24)])

FOLD = "turns back"
UNSTABLE = "becomes unstable"
RANGE = "was followed no farther"
LOST = "was lost"


@dataclass(frozen=True)
class Followed:
    """A state along its control, which rises from point to point.

    Attributes
    ----------
    points : array, shape (points, unknowns + 1)
        The control comes last.
    ends : (str, str)
        Why it ends below and above.
    turns : (array, array)
        The last three points, shape (3, unknowns + 1), below and above; around the fold where
        the state ends at one.
    """

    points: Array
    ends: tuple[str, str]
    turns: tuple[Array, Array]

    @property
    def control(self) -> Array:
        """The control along the state."""
        return self.points[:, -1]


def followed(
    state: State, control: Symbol, z: Array, value: float, others: Sequence[float], span: Array
) -> Followed:
    """Follow a state from one of its saddle points in both directions.

    Parameters
    ----------
    state : State
    control : Symbol
    z : array, shape (unknowns,)
        The saddle point.
    value : float
        The control there.
    others : sequence of float
        The other controls.
    span : array
        Values of the control between whose ends it is followed.
    """
    parts, ends, turns = [], [], []
    for upwards in (False, True):
        points, end = one_way(state, control, np.array([*z, value]), others, upwards, span)
        turns.append(points[-3:])
        if end == FOLD:
            points = points[:-1]
        parts.append(points)
        ends.append(end)
    both = np.concatenate([parts[0][:0:-1], parts[1]])
    return Followed(both, (ends[0], ends[1]), (turns[0], turns[1]))


def standing(values: Array) -> Followed:
    """Return a state of which nothing is unknown, at values of the control."""
    points = values[:, None]
    return Followed(points, (RANGE, RANGE), (points[:3], points[-3:]))


def one_way(
    state: State,
    control: Symbol,
    start: Array,
    others: Sequence[float],
    upwards: bool,
    span: Array,
) -> tuple[Array, str]:
    """Follow a state in one direction; return the points, one beyond a fold, and why it ends.

    Parameters
    ----------
    state, control, others, span
        As for `followed`.
    start : array, shape (unknowns + 1,)
        A saddle point and its control.
    upwards : bool
        Whether the control rises.
    """
    system, branches = state.system, state.branches(control)
    given = [np.array([value]) for value in others]
    sign = 1.0 if upwards else -1.0
    # where a point costs a mean in a mean its stability is not watched
    judged = system.evolves and not system.deep and _stable(state, control, start, others)
    points = start[None]
    left = _CONTINUATIONS
    while True:
        watch = _Watch(state, control, others, start, sign, span, judged)
        branch = follow(
            branches,
            start,
            given,
            upwards=upwards,
            most=_DEEP_MOST_POINTS if system.deep else _MOST_POINTS,
            until=watch,
            refinement=-1 if system.deep else 0,
        )
        points = np.concatenate([points, branch.points[1:]])
        lost = watch.why == RANGE and span.min() <= points[-1, -1] <= span.max()
        if watch.why == UNSTABLE:
            last = _last_stable(state, control, points[-3], points[-2], others)
            points = np.concatenate([points[:-2], last[None]])
        elif not (lost and judged):
            return points, f"{LOST}: {branch.ended}" if lost else watch.why
        onwards = _going_on(state, control, points[-1], others, sign) if left else None
        if onwards is None:
            return points, f"{LOST}: {branch.ended}" if lost else UNSTABLE
        points = np.concatenate([points, onwards[None]])
        start, left = onwards, left - 1


class _Watch:
    """Tells where a branch that is followed ends as a state, and keeps why."""

    def __init__(
        self,
        state: State,
        control: Symbol,
        others: Sequence[float],
        start: Array,
        sign: float,
        span: Array,
        judged: bool,
    ) -> None:
        self.state, self.control, self.others = state, control, others
        self.before, self.sign, self.judged = float(start[-1]), sign, judged
        self.low, self.high = span.min(), span.max()
        self.why = RANGE

    def __call__(self, point: Array) -> bool:
        """Tell whether the branch ends as a state at a new point."""
        rises = (float(point[-1]) - self.before) * self.sign
        self.before = float(point[-1])
        was_unstable, self.why = self.why == UNSTABLE, RANGE
        if rises < 0:
            self.why = FOLD
            return True
        if not self.low <= self.before <= self.high:
            return True
        if self.judged and not _stable(self.state, self.control, point, self.others):
            self.why = UNSTABLE  # of which a fold is the reason if the next point turns back
        return was_unstable and self.why == UNSTABLE


def _stable(state: State, control: Symbol, point: Array, others: Sequence[float]) -> bool:
    given = state.columns(control, point[-1:], others)
    return bool(attracts(state.system, point[None, :-1], given)[0])


def _at(
    state: State, control: Symbol, begin: Array, value: float, others: Sequence[float]
) -> tuple[Array, NDArray[np.bool_]]:
    """Return where Newton's method leads from several points at one value of the control."""
    given = state.columns(control, np.full(begin.shape[0], value), others)
    inside = state.system.inside(begin, given)
    z, good = np.full_like(begin, np.nan), np.zeros(begin.shape[0], dtype=bool)
    if inside.any():
        found = iterate(state.system, begin[inside], [p[inside] for p in given], Newton(), _STEPS)
        z[inside], good[inside] = found.z, found.status == Status.CONVERGED
    return z, good


def _last_stable(
    state: State, control: Symbol, stable: Array, unstable: Array, others: Sequence[float]
) -> Array:
    """Return the last stable point of a branch between two of its points, by halving."""
    for _ in range(_HALVINGS):
        middle = 0.5 * (stable + unstable)
        z, good = _at(state, control, middle[None, :-1], float(middle[-1]), others)
        if not good[0]:
            break
        point = np.array([*z[0], middle[-1]])
        if _stable(state, control, point, others):
            stable = point
        else:
            unstable = point
    return stable


def _width(state: State, z: Array, given: list[Array]) -> float:
    """Return the size of the largest domain of an unknown, one for those without end."""
    low, high = state.system.bounds(z, given)
    return float(np.minimum(high - low, 1.0).max())


def _going_on(
    state: State, control: Symbol, last: Array, others: Sequence[float], sign: float
) -> Array | None:
    """Return a stable point beyond the end of a state, close to it; None if there is none."""
    system = state.system
    for beyond in _BEYOND:
        value = float(last[-1]) + sign * beyond * max(abs(float(last[-1])), 1e-3)
        given = state.columns(control, np.array([value]), others)
        left, good = _at(state, control, last[None, :-1], value, others)
        if not good[0]:
            continue
        _, jacobian = system.evaluate(left, given)
        if not np.isfinite(jacobian).all():
            continue
        values, vectors = np.linalg.eig(jacobian[0])
        along = np.real(vectors[:, int(np.argmax(values.real))])
        begin = np.concatenate([left, left + _AWAY[:, None] * along[None, :]])
        z, good = _at(state, control, begin, value, others)
        away = np.abs(z - last[:-1]).max(axis=1)
        good &= away < _CONTINUOUS * np.sqrt(beyond) * _width(state, left, given)
        if not good.any():
            continue
        chosen = [np.repeat(p, int(good.sum())) for p in given]
        good[good] = attracts(system, z[good], chosen)
        if good.any():
            nearest = int(np.argmin(np.where(good, away, np.inf)))
            return np.array([*z[nearest], value])
    return None
