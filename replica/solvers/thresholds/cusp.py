"""Cusps: the end of a line of first-order transitions, where its two folds meet."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from sympy import S

from replica.declarations.control import control_name
from replica.declarations.formula import Formula
from replica.declarations.threshold import Cusp
from replica.errors import ConvergenceError
from replica.solvers.request import Request
from replica.solvers.solution import ThresholdResult
from replica.solvers.system import System, augmented
from replica.solvers.thresholds.determinant import cofactor, determinant, jacobian
from replica.solvers.thresholds.outcome import one_by_one, outcomes
from replica.solvers.thresholds.sampled import sampled_curves
from replica.solvers.thresholds.square import polished

__all__ = ["cusp_start", "cusp_system"]

Array = NDArray[np.float64]

# Range and number of values of the first control, such as a noise that blurs the transition, at
# which the end of the line of transitions is looked for.
_RANGE, _COUNT = (1e-6, 10.0), 29


@lru_cache(maxsize=64)
def cusp_system(formula: Formula, declaration: Cusp) -> System:
    """Return stationarity, a singular Jacobian, and that it stays so along the branch."""
    rows = jacobian(formula)
    singular = determinant(rows)
    # where the determinant vanishes, the cofactors of a row are the null vector
    along = [cofactor(rows, 0, k) for k in range(len(rows))]
    turning = sum(
        (t * singular.diff(s) for t, s in zip(along, formula.unknowns, strict=True)), S.Zero
    )
    conditions = (singular, turning)
    return augmented(formula, conditions, declaration.controls, symbolic=False)


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


def _cusp(request: Request, declaration: Cusp) -> ThresholdResult:
    start = cusp_start(request.formula, declaration, request.points.floats)
    if start is None:
        raise request.missing(
            f"the branches do not turn back at any {control_name(declaration.controls[0])}, so no "
            f"first-order line ends"
        )
    system = cusp_system(request.formula, declaration)
    (outcome,) = polished([request], declaration, system, start, "cusp: the two folds meet")
    if isinstance(outcome, ConvergenceError):
        raise outcome
    return outcome


outcomes.register(Cusp)(one_by_one(_cusp))
