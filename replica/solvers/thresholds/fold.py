r"""Folds, where a branch turns back: {stationarity, Jacobian singular}.

Solved by Newton's method from the explicit curve of saddle points, on which a fold is an extremum
of the control, or from the end of a state that is followed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from replica.declarations.control import control_name
from replica.declarations.formula import Formula
from replica.declarations.threshold import Limit
from replica.declarations.transitions import Fold
from replica.solvers.curve import explicit_curve
from replica.solvers.limits import limit_value
from replica.solvers.request import Request
from replica.solvers.system import System
from replica.solvers.thresholds.determinant import determinant
from replica.solvers.thresholds.fold_on_branch import fold_of_state
from replica.solvers.thresholds.outcome import Outcome, attempt, one_by_one, outcomes
from replica.solvers.thresholds.sampled import SampledCurve, sampled_curves
from replica.solvers.thresholds.square import polished
from replica.solvers.thresholds.state import whole

__all__ = ["fold_start", "fold_system"]

Array = NDArray[np.float64]


@lru_cache(maxsize=64)
def fold_system(formula: Formula, declaration: Fold) -> System:
    """Return stationarity and the vanishing of the Jacobian's determinant."""
    state = whole(formula)
    # the determinant holds second derivatives already: no symbolic Jacobian of it
    return state.with_conditions(
        (determinant(state.jacobian),), declaration.controls, symbolic=False
    )


def fold_start(sampled: SampledCurve, declaration: Fold) -> Array | None:
    """Return unknowns and control close to the fold, None if there is none."""
    maxima, minima = sampled.turns()
    if maxima.size == 0:
        return None
    top = maxima[np.argmax(sampled.control[maxima])]
    if declaration.upper is not False:
        if top == sampled.junction:
            return None  # the branch of no overlap ends there: that is weak recovery
        chosen = top
    else:
        after = minima[minima > top]
        if after.size == 0:
            return None
        chosen = after[np.argmin(sampled.control[after])]
    return sampled.between(int(chosen))


@outcomes.register
def _folds(declaration: Fold, requests: Sequence[Request]) -> list[Outcome]:
    formula = requests[0].formula
    named = declaration.of or declaration.start
    if named or explicit_curve(formula, declaration.in_) is None:
        return one_by_one(fold_of_state)(declaration, requests)
    upper = declaration.upper is not False
    others = [r.others for r in requests]
    curves = sampled_curves(formula, declaration.in_, others, far=not upper)
    outcomes: list[Outcome | None] = []
    starts = []
    for request, sampled in zip(requests, curves, strict=True):
        start = fold_start(sampled, declaration)
        end = None
        if declaration.otherwise is not None:
            end = declaration.otherwise.subs(request.points.rule)
        if start is not None and end is not None and upper and float(end) > start[-1]:
            start = None
        if start is not None:
            starts.append(start)
            outcomes.append(None)
        elif end is None:
            outcomes.append(
                request.missing(
                    f"along the saddle points {control_name(declaration.in_)} rises from "
                    f"{sampled.control[0]:.4g} without turning back, so the transition is "
                    f"continuous or there is none"
                )
            )
        else:
            limit = Limit(value=end, doc=declaration.doc)
            outcomes.append(attempt(limit_value, request, limit, "far end of the curve"))
    method = "fold: stationarity and singular Jacobian"
    left = [r for r, outcome in zip(requests, outcomes, strict=True) if outcome is None]
    system = fold_system(formula, declaration)
    solved = iter(polished(left, declaration, system, np.array(starts), method))
    return [next(solved) if outcome is None else outcome for outcome in outcomes]
