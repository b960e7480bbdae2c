r"""Folds of states that are followed, where there is no explicit curve of saddle points.

Where the determinant of the Jacobian is no large expression, a fold is stationarity with it equal
to zero. Otherwise it is the extremum of the control along the branch: one of the unknowns, the one
that moves most there, takes over as the parameter. At its fixed value the stationarity equations
determine the other unknowns and the control :math:`\alpha(z_j)`, without a singularity, and

.. math:: \frac{d\alpha}{d z_j} = 0 .

The value at the extremum is felt by its place in second order only.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import Symbol

from replica.declarations.control import control_name
from replica.declarations.transitions import Fold
from replica.errors import ControlError, ConvergenceError
from replica.solvers.iteration import Iterated, Newton, iterate
from replica.solvers.request import Request, stated
from replica.solvers.saddle import solve
from replica.solvers.solution import Status, ThresholdResult
from replica.solvers.system import System
from replica.solvers.thresholds.following import FOLD, Followed, one_way
from replica.solvers.thresholds.seeds import followed_states, grid
from replica.solvers.thresholds.square import polished
from replica.solvers.thresholds.state import State, named_state, whole
from replica.solvers.verify import verify

__all__ = ["fold_of_state", "polished_fold", "singular_system"]

Array = NDArray[np.float64]

_STEPS = 30  # Newton steps at most
_PLACE = 1e-7  # relative accuracy of the parameter at the extremum of the control
_ROUNDS = 40  # of three points at most, around the extremum and ever closer to it
_NARROWER = 10.0  # a round than the one before
_CLOSEST = 1e-4  # relative distance of the last three points
_COARSE_LAST_STEP = 1e-5  # relative: Newton by a coarse rule stops here
_TOLERANCE = 1e-11  # error asked of the unknowns and the control there
_POOR = 5e-10  # error of the control for which a mean in a mean is worth its finest rule
_SAME_PLACE = 1e-12  # up to this a state that does not move has moved
_MOST_OPERATIONS = 4000  # in the Jacobian up to which its determinant is solved for


@lru_cache(maxsize=64)
def singular_system(state: State, control: Symbol) -> System | None:
    """Return a state's stationarity with a singular Jacobian, None where that is too large."""
    condition = state.determinant
    if condition is None:
        return None
    if sum(entry.count_ops() for row in state.jacobian for entry in row) > _MOST_OPERATIONS:
        return None
    return state.with_conditions((condition,), (control,), symbolic=False)


@lru_cache(maxsize=64)
def _system_at(state: State, control: Symbol, fixed: Symbol) -> System:
    """Return stationarity in all unknowns but one, and the control."""
    unknowns = [s for s in state.unknowns if s != fixed]
    return System(
        state.equations,
        (*unknowns, control),
        (fixed, *(s for s in state.host.symbols if s is not control)),
        {**state.domains, control: state.host.control(control).domain},
    )


def fold_of_state(request: Request, declaration: Fold) -> ThresholdResult:
    """Return where the declared state turns back."""
    formula, control, name = request.formula, declaration.in_, control_name(declaration.in_)
    if declaration.start:
        state = whole(formula)
        found = iter([_from_place(request, declaration, state)])
    else:
        state = named_state(formula, declaration.of or _default(request, declaration))
        found = followed_states(request, state, control)
    for along in found:
        folds = [k for k in (0, 1) if along.ends[k] == FOLD]
        if declaration.upper is not None:
            folds = [k for k in folds if k == int(declaration.upper)]
        if folds:
            break
    label = f"the state {state.name}" if state.name else "the branch"
    if not folds:
        (low, high), (below, above) = along.control[[0, -1]], along.ends
        raise request.missing(
            f"{label} does not turn back there: at {name} = {low:.6g} it {below}, at {high:.6g} "
            f"it {above}{_resting(state, along)}"
        )
    if len(folds) > 1:
        raise request.missing(
            f"{label} turns back at both ends, at {name} = {along.control[0]:.6g} and "
            f"{along.control[-1]:.6g}: ask for one by upper=False or upper=True"
        )
    rows, upper = along.turns[folds[0]], bool(folds[0])
    system = singular_system(state, control)
    if system is not None:
        start = _extremum(rows)[None]
        (outcome,) = polished(
            [request],
            declaration,
            system,
            start,
            "fold: stationarity and singular Jacobian",
            {str(s): float(x) for s, x in state.place.items()},
        )
        # the determinant may vanish elsewhere too: it must at the fold that was seen
        if isinstance(outcome, ThresholdResult) and (
            abs(outcome.value - start[0, -1]) <= np.ptp(rows[:, -1])
        ):
            return outcome
    if request.digits is not None:
        raise ControlError(
            f"{formula.name}: {request.name} is the extremum of a branch that is followed in "
            f"double precision; leave digits out"
        )
    others = [np.array([value]) for value in request.others]
    unknowns, value, error = polished_fold(state, control, rows, others, upper)
    overlaps = {str(s): float(x) for s, x in {**state.place, **unknowns}.items()}
    method = "fold: extremum of the control along the branch"
    return stated(request, declaration, value, error, overlaps, method)


def _default(request: Request, declaration: Fold) -> str:
    """Return the state that ends where nothing is named: the first start, or the last."""
    names = [*request.formula.starts] or ["uninformed", "informed"]
    return names[-1] if declaration.upper is False else names[0]


def _extremum(rows: Array) -> Array:
    """Return the extremum of the control through three points, by parabolas."""
    moved = np.ptp(rows[:, :-1], axis=0) / np.maximum(np.abs(rows[1, :-1]), 1e-300)
    j = int(np.argmax(moved))
    x = rows[:, j]
    parabola = np.polynomial.polynomial.polyfit(x - x[1], rows, 2)
    bend, slope = parabola[2, -1], parabola[1, -1]
    place = -slope / (2 * bend) if bend != 0 else 0.0
    if not (x - x[1]).min() < place < (x - x[1]).max():
        return np.asarray(rows[1])
    return np.asarray(np.polynomial.polynomial.polyval(place, parabola))


def polished_fold(
    state: State, control: Symbol, rows: Array, others: list[Array], upper: bool
) -> tuple[dict[Symbol, float], float, float]:
    """Return unknowns, control and its error at the extremum of the control along a branch.

    From three points around the turn, shape (3, unknowns + 1).
    """
    moved = np.abs(rows[2] - rows[0])[:-1] / np.maximum(np.abs(rows[1][:-1]), 1e-300)
    j = int(np.argmax(moved))
    fixed = state.unknowns[j]
    system = _system_at(state, control, fixed)
    keep = [k for k in range(rows.shape[1]) if k != j]
    order = np.argsort(rows[:, j])
    places, table = rows[order, j], rows[order][:, keep]
    ends, width = (places[0], places[2]), places[2] - places[0]

    def at(wanted: Array, guess: Array, rule: int) -> Iterated:
        given = [wanted, *(np.repeat(value, wanted.size) for value in others)]
        newton = Newton(_COARSE_LAST_STEP) if rule < 0 else Newton()
        found = iterate(system, guess, given, newton, _STEPS, refinement=rule)
        for parameter, status in zip(wanted, found.status, strict=True):
            if status != Status.CONVERGED:
                raise ConvergenceError(
                    f"{state.formula.name}: next to its fold the branch was lost at {fixed} = "
                    f"{parameter:.6g}: {Status(int(status))}"
                )
        return found

    for _ in range(_ROUNDS):
        before, (top, bend, guess) = places[1], _vertex(places, table, upper, ends)
        if abs(top - before) <= width:
            width = max(width / _NARROWER, _CLOSEST * abs(top))
        last = width <= _CLOSEST * abs(top)
        places = top + width * np.array([-1.0, 0.0, 1.0])
        # where a point costs a mean in a mean, a coarse rule tells where the extremum is
        found = at(places, guess(places), -1 if system.deep and not last else 0)
        table = found.z
        if last:
            break
    before, (top, bend, guess) = places[1], _vertex(places, table, upper, ends)
    if abs(top - before) > width:
        raise ConvergenceError(
            f"{state.formula.name}: the control has no extremum next to the fold that was seen, at "
            f"{fixed} = {before:.6g}"
        )
    given = [np.array([top]), *others]
    z = guess(given[0])
    verified = verify(
        system,
        z,
        given,
        _TOLERANCE,
        refinement=1 if system.deep else 0,  # the first is rarely enough
        jacobian=found.jacobian[1:2],
        step=z - found.z[1:2],
    )
    if system.deep and verified.error[0, -1] > _POOR:
        better = verify(
            system,
            verified.z,
            given,
            _POOR,
            refinement=system.finest + 1,
            wanted=[system.size - 1],
            finest=system.finest + 1,
        )
        if better.error[0, -1] < verified.error[0, -1]:
            verified = better
    value, error = float(verified.z[0, -1]), float(verified.error[0, -1])
    # the error of its place, less than the last move, changes an extremum in second order only
    error += abs(bend) * max(abs(top - before), _PLACE * abs(top)) ** 2
    parameter = float(top)
    unknowns = dict(zip(system.unknowns, map(float, verified.z[0]), strict=True))
    unknowns[fixed] = parameter
    return {symbol: unknowns[symbol] for symbol in state.unknowns}, value, error


def _vertex(
    places: Array, table: Array, upper: bool, ends: tuple[float, float]
) -> tuple[float, float, Callable[[Array], Array]]:
    """Return where the control is extremal, its curvature, and the parabolas through three points.

    Where it bends the other way, the point at which it is largest, or smallest.
    """
    middle = places[1]
    parabola = np.polynomial.polynomial.polyfit(places - middle, table, 2)
    slope, bend = parabola[1, -1], parabola[2, -1]
    if bend * (-1 if upper else 1) > 0:
        top = middle - slope / (2 * bend)
    else:
        top = places[np.argmax(table[:, -1] if upper else -table[:, -1])]

    def along(wanted: Array) -> Array:
        return np.asarray(np.polynomial.polynomial.polyval(wanted - middle, parabola).T)

    return float(np.clip(top, *ends)), float(bend), along


def _resting(state: State, along: Followed) -> str:
    """Say where a state stays that is the same saddle point at every value of the control."""
    places = along.points[:, :-1]
    if not places.size or (np.abs(places - places[0]) > _SAME_PLACE).any():
        return ""
    at = ", ".join(f"{s} = {x:.6g}" for s, x in zip(state.unknowns, places[0] + 0.0, strict=True))
    return (
        f"; it stays at {at} throughout: to follow the branch that leaves it, let the state begin "
        f"a little away from there"
    )


def _from_place(request: Request, declaration: Fold, state: State) -> Followed:
    """Return the branch through a declared place, followed to where it turns back."""
    formula, control, key = request.formula, declaration.in_, control_name(declaration.in_)
    given = {s: float(v.subs(request.points.rule)) for s, v in declaration.start.items()}
    wanted = given[control]
    place = {str(s): v for s, v in given.items() if s in formula.unknowns}
    at: dict[str, Any] = {key: wanted, **request.points.floats}
    solution = solve(formula, start=place, observables=(), **at)
    z = np.array([solution.overlaps[str(s)] for s in formula.unknowns])
    upper = declaration.upper is not False
    span = grid(formula.control(control), True)
    points, end = one_way(state, control, np.array([*z, wanted]), request.others, upper, span)
    rows, nothing = points[-3:], points[:1]
    if end == FOLD:
        points = points[:-1]
    if not upper:
        return Followed(points[::-1], (end, "begins"), (rows, nothing))
    return Followed(points, ("begins", end), (nothing, rows))
