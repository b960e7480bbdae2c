"""Square systems: stationarity and one condition for each control that is solved for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import Expr

from replica.declarations.control import control_name
from replica.declarations.formula import Formula
from replica.declarations.frozen import FrozenMapping
from replica.declarations.threshold import Root, Threshold
from replica.solvers.iteration import Newton, iterate
from replica.solvers.limits import exceeds_one
from replica.solvers.precision import precise_solution
from replica.solvers.request import TOLERANCE, Request, decimal, stated
from replica.solvers.solution import Status, ThresholdResult
from replica.solvers.system import System
from replica.solvers.thresholds.outcome import Outcome, attempt
from replica.solvers.verify import verify

__all__ = ["polished", "solved"]

Array = NDArray[np.float64]

_STEPS = 60  # Newton steps at most
_LAST_STEP = 1e-6  # relative: Newton's method stops here, the verification goes on


def polished(
    requests: Sequence[Request],
    declaration: Threshold,
    system: System,
    start: Array,
    method: str,
    pinned: Mapping[str, float] = FrozenMapping(),
) -> list[Outcome]:
    """Solve a square system, whose last unknowns are the controls, from a start per request."""
    if not requests:
        return []
    parameters = [np.array(column) for column in zip(*(r.others for r in requests), strict=True)]
    found = iterate(system, start, parameters, Newton(_LAST_STEP), _STEPS)
    good = np.flatnonzero(found.status == Status.CONVERGED)
    place = {int(k): row for row, k in enumerate(good)}
    parameters = [column[good] for column in parameters]
    verified = verify(
        system,
        found.z[good],
        parameters,
        TOLERANCE,
        refinement=min(1, system.finest),
        jacobian=found.jacobian[good],
        step=found.step[good],
        wanted=range(system.size - len(declaration.controls), system.size),
    )
    unstable = np.zeros(good.size, dtype=bool)
    replicon = _root_stability(requests[0].formula, declaration)
    if replicon is not None and good.size:
        unstable = exceeds_one(replicon, system, verified.z, parameters)
    outcomes: list[Outcome] = []
    for k, request in enumerate(requests):
        if k not in place:
            outcomes.append(request.failed(f"did not converge: {Status(found.status[k])}"))
            continue
        row = place[k]
        z, error = verified.z[row], verified.error[row]
        outcomes.append(
            attempt(
                solved, request, declaration, system, z, error, bool(unstable[row]), method, pinned
            )
        )
    return outcomes


def solved(
    request: Request,
    declaration: Threshold,
    system: System,
    z: Array,
    error: Array,
    unstable: bool,
    method: str,
    pinned: Mapping[str, float],
) -> ThresholdResult:
    """Return the result of a request from the solution of its system."""
    position = system.size - len(declaration.controls)
    value, spread = float(z[position]), float(error[position])
    if not np.isfinite(value):
        raise request.failed("is not finite")
    overlaps = dict(pinned)
    known = np.where(np.abs(z) > error, z, 0.0)  # an unknown below its error is zero
    overlaps |= {str(s): float(x) for s, x in zip(system.unknowns, known, strict=True)}
    text = ""
    if request.digits is not None:
        given = list(request.points.values.values())
        precise = precise_solution(system, z.tolist(), given, (), request.digits)
        root, its_error = precise.roots[position], precise.errors[position]
        value, text, spread = decimal(root, its_error, request.digits)
    first, *more = declaration.controls
    del overlaps[str(first)]
    others = {control_name(symbol): overlaps.pop(str(symbol)) for symbol in more}
    return stated(request, declaration, value, spread, overlaps, method, unstable, text, others)


@lru_cache(maxsize=64)
def _root_stability(formula: Formula, declaration: Any) -> Expr | None:
    if not formula.stability or not isinstance(declaration, Root):
        return None
    return formula.observables[formula.stability].subs(dict(declaration.at))
