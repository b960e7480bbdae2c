"""Cusps: the end of a line of first-order transitions, where its two folds meet."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from sympy import S, Symbol

from replica.declarations.control import control_name
from replica.declarations.formula import Formula
from replica.declarations.point import Points
from replica.declarations.transitions import Cusp, Fold
from replica.errors import ConvergenceError
from replica.solvers.continuation import follow
from replica.solvers.curve import explicit_curve
from replica.solvers.request import Request
from replica.solvers.solution import ThresholdResult
from replica.solvers.system import System
from replica.solvers.thresholds.determinant import cofactor, determinant
from replica.solvers.thresholds.fold_on_branch import fold_of_state, singular_system
from replica.solvers.thresholds.outcome import one_by_one, outcomes
from replica.solvers.thresholds.sampled import sampled_curves
from replica.solvers.thresholds.seeds import grid
from replica.solvers.thresholds.square import polished
from replica.solvers.thresholds.state import State, named_state, whole

__all__ = ["cusp_start", "cusp_system"]

Array = NDArray[np.float64]

# Range and number of values of the first control, such as a noise that blurs the transition, at
# which the end of the line of transitions is looked for.
_RANGE, _COUNT = (1e-6, 10.0), 29
_FEW = 12  # values of the first control at which a state that is followed is looked for


@lru_cache(maxsize=64)
def cusp_system(state: State, declaration: Cusp) -> System:
    """Return stationarity, a singular Jacobian, and that it stays so along the branch."""
    rows = state.jacobian
    singular = determinant(rows)
    # where the determinant vanishes, the cofactors of a row are the null vector
    along = [cofactor(rows, 0, k) for k in range(len(rows))]
    turning = sum(
        (t * singular.diff(s) for t, s in zip(along, state.unknowns, strict=True)), S.Zero
    )
    return state.with_conditions((singular, turning), declaration.controls, symbolic=False)


def cusp_start(formula: Formula, declaration: Cusp, values: Mapping[str, float]) -> Array | None:
    """Return a point close to where the two folds meet, None if there are no folds to begin with.

    The first control is raised from small values until the folds are gone.
    """
    blur, control = declaration.controls
    rest = [c for c in formula.controls.values() if c.symbol is not control]
    last = None
    grid = np.geomspace(_RANGE[0], _RANGE[1], _COUNT)
    ratio = (_RANGE[1] / _RANGE[0]) ** (1 / (_COUNT - 1))
    for _ in range(3):
        for value in grid:
            others = [float(value) if c.symbol is blur else values[c.name] for c in rest]
            (sampled,) = sampled_curves(formula, control, [others])
            maxima, minima = sampled.turns()
            pairs = [(a, b) for a in maxima for b in minima if b > a]
            if not pairs:
                if last is not None:
                    break
                continue
            top, bottom = min(pairs, key=lambda pair: pair[1] - pair[0])
            z = np.sqrt(sampled.z[top] * sampled.z[bottom])
            height = 0.5 * (sampled.control[top] + sampled.control[bottom])
            last = float(value), np.array([[*z, value, height]])
        if last is None:
            return None
        grid = np.geomspace(last[0], last[0] * ratio, 7)[1:-1]
        ratio = ratio ** (1 / 6)
    return last[1] if last is not None else None


def _near_cusp(request: Request, declaration: Cusp, state: State) -> Array:
    """Return a point close to where the two folds of a state meet.

    From a fold at some value of the first control the line of folds is followed in both controls:
    at the cusp it turns back in the first one.

    Raises
    ------
    ThresholdNotFound
        If the state has no folds, or their line does not turn back.
    """
    formula = request.formula
    blur, control = declaration.controls
    given = [np.array([value]) for value in request.others]
    folds = state.with_conditions(
        (determinant(state.jacobian), S.Zero), (control, blur), symbolic=False
    )
    values = grid(formula.control(blur), False)
    values = values[np.linspace(0, values.size - 1, _FEW).astype(int)]
    found = False
    for value in values:
        place = _fold_at(request, state, control, blur, float(value))
        if place is None:
            continue
        found = True
        for upwards in (True, False):
            turning = _Turning(float(value), upwards)
            branch = follow(folds, np.array([*place, value]), given, upwards=upwards, until=turning)
            if turning.turned:
                return np.asarray(branch.points[-2][None])
    name = control_name(blur)
    if found:
        raise request.missing(f"no two folds of the state {state.name} meet at any {name}")
    raise request.missing(
        f"the state {state.name} does not turn back in {control_name(control)} at any of {_FEW} "
        f"values of {name} from {values[0]:.4g} to {values[-1]:.4g}, so no first-order line ends"
    )


def _fold_at(
    request: Request, state: State, control: Symbol, blur: Symbol, value: float
) -> Array | None:
    """Return unknowns and control at a fold of a state, at a value of the other control."""
    formula = request.formula
    known = {**request.points.values, control_name(blur): value}
    points = Points(formula, {k: known[k] for k in formula.controls if k in known})
    for upper in (True, False):
        declared = Fold(control, upper=upper, of=state.name)
        try:
            found = fold_of_state(Request(points, request.name, declared), declared)
        except ConvergenceError:
            continue
        return np.array([*(found.overlaps[str(s)] for s in state.unknowns), found.value])
    return None


class _Turning:
    """Tells where the last coordinate of a line turns back."""

    def __init__(self, start: float, upwards: bool) -> None:
        self.before, self.sign, self.turned = start, 1 if upwards else -1, False

    def __call__(self, point: Array) -> bool:
        """Tell of a new point."""
        self.turned = (float(point[-1]) - self.before) * self.sign < 0
        self.before = float(point[-1])
        return self.turned


def _cusp(request: Request, declaration: Cusp) -> ThresholdResult:
    formula, (blur, control) = request.formula, declaration.controls
    if declaration.of or explicit_curve(formula, control) is None:
        names = [*formula.starts] or ["uninformed"]
        state = named_state(formula, declaration.of or names[0])
        if singular_system(state, control) is None:
            raise request.failed("has a Jacobian too large for its determinant to be written down")
        start = _near_cusp(request, declaration, state)[:, [*range(len(state.unknowns)), -1, -2]]
    else:
        state = whole(formula)
        found = cusp_start(formula, declaration, request.points.floats)
        if found is None:
            raise request.missing(
                f"the branches do not turn back at any {control_name(blur)}, so no first-order "
                f"line ends"
            )
        start = found
    system = cusp_system(state, declaration)
    pinned = {str(s): float(value) for s, value in state.place.items()}
    (outcome,) = polished([request], declaration, system, start, "cusp: the two folds meet", pinned)
    if isinstance(outcome, ConvergenceError):
        raise outcome
    return outcome


outcomes.register(Cusp)(one_by_one(_cusp))
