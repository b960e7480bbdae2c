r"""Folds of branches that are followed, where there is no explicit curve of saddle points.

A fold is the extremum of the control along the branch. One of the unknowns, the one that moves
most there, takes over as the parameter: at its fixed value the stationarity equations determine the
other unknowns and the control :math:`\alpha(z_j)`, without a singularity, and

.. math:: \frac{d\alpha}{d z_j} = 0 .

The value at the extremum is felt by its place in second order only.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import Symbol

from replica.declarations.control import control_name
from replica.declarations.formula import Formula
from replica.declarations.threshold import Fold
from replica.errors import ConvergenceError, ThresholdNotFound
from replica.solvers.continuation import follow, saddle_branches
from replica.solvers.iteration import Newton, iterate
from replica.solvers.saddle import solve
from replica.solvers.solution import Status
from replica.solvers.system import System
from replica.solvers.verify import verify

__all__ = ["fold_of_branch", "polished_fold"]

Array = NDArray[np.float64]

_MOST_POINTS = 120  # of a branch that is followed in search of a fold
_STEPS = 30  # Newton steps at most
_PLACE = 1e-7  # relative accuracy of the parameter at the extremum of the control
_TOLERANCE = 1e-11  # error asked of the unknowns and the control there


@lru_cache(maxsize=64)
def _system_at(formula: Formula, control: Symbol, fixed: Symbol) -> System:
    """Return stationarity in all unknowns but one, and the control."""
    unknowns = [s for s in formula.unknowns if s != fixed]
    return System(
        tuple(formula.residuals[s] for s in formula.unknowns),
        (*unknowns, control),
        (fixed, *(s for s in formula.symbols if s is not control)),
        {**formula.domains, control: formula.control(control).domain},
    )


def fold_of_branch(
    formula: Formula, declaration: Fold, values: Mapping[str, float]
) -> tuple[dict[Symbol, float], float, float]:
    """Return the unknowns, the control and its error where the declared branch turns back.

    Raises
    ------
    ThresholdNotFound
        If the branch does not turn back as far as it was followed.
    """
    control = declaration.in_
    others = [np.array([float(value)]) for value in values.values()]
    rows = _around_the_fold(formula, declaration, others)[-3:]
    return polished_fold(formula, control, rows, others, declaration.upper)


def polished_fold(
    formula: Formula, control: Symbol, rows: Array, others: list[Array], upper: bool
) -> tuple[dict[Symbol, float], float, float]:
    """Return the same from three points around a turn, shape (3, unknowns + 1)."""
    moved = np.abs(rows[2] - rows[0])[:-1] / np.maximum(np.abs(rows[1][:-1]), 1e-300)
    j = int(np.argmax(moved))
    fixed = formula.unknowns[j]
    system = _system_at(formula, control, fixed)
    sign = -1.0 if upper else 1.0
    keep = [k for k in range(rows.shape[1]) if k != j]
    order = np.argsort(rows[:, j])
    place, table = rows[order, j], rows[order][:, keep]
    guess: Array = np.stack([np.polyfit(place, c, 2) for c in table.T], axis=1)  # parabolas

    def at(parameter: float) -> Array:
        start = np.array([parameter**2, parameter, 1.0]) @ guess
        parameters = [np.array([parameter]), *others]
        found = iterate(system, start[None, :], parameters, Newton(), _STEPS)
        if found.status[0] != Status.CONVERGED:
            raise ConvergenceError(
                f"{formula.name}: next to its fold the branch was lost at {fixed} = "
                f"{parameter:.6g}: {Status(int(found.status[0]))}"
            )
        return np.asarray(found.z[0])

    from scipy import optimize  # slow to import, and rarely needed

    best = optimize.minimize_scalar(
        lambda parameter: sign * at(float(parameter))[-1],
        bounds=(place[0], place[2]),
        method="bounded",
        options={"xatol": _PLACE * abs(place[1])},
    )
    parameter = float(best.x)
    verified = verify(system, at(parameter)[None, :], [np.array([parameter]), *others], _TOLERANCE)
    value, error = float(verified.z[0, -1]), float(verified.error[0, -1])
    # the error of its place changes an extremum in second order only
    curvature = float(guess[0, -1])
    error += 4 * abs(curvature) * (_PLACE * place[1]) ** 2
    unknowns = dict(zip(system.unknowns, map(float, verified.z[0]), strict=True))
    unknowns[fixed] = parameter
    return {symbol: unknowns[symbol] for symbol in formula.unknowns}, value, error


def _around_the_fold(formula: Formula, declaration: Fold, others: list[Array]) -> Array:
    """Return the branch up to the first point after its turn, the control last."""
    control = declaration.in_
    names = formula.unknowns
    symbols = [symbol for symbol in formula.symbols if symbol is not control]
    rule = {s: float(value[0]) for s, value in zip(symbols, others, strict=True)}
    given = {s: float(v.subs(rule)) for s, v in declaration.start.items()}
    system = saddle_branches(formula, control)
    wanted = float(given[control])
    start = _first_point(formula, given, wanted, others)
    before: list[float] = [wanted]

    def turned(point: Array) -> bool:
        before.append(float(point[-1]))
        return (before[-1] - before[-2]) * upwards < 0

    upwards = 1.0 if declaration.upper else -1.0
    branch = follow(
        system, start, others, upwards=declaration.upper, most=_MOST_POINTS, until=turned
    )
    if branch.ended != "what was looked for has been found" or len(branch.points) < 3:
        raise ThresholdNotFound(
            f"{formula.name}: the branch from {control_name(control)} = {wanted:g} does not turn "
            f"back: it was followed to {branch.control[-1]:.6g}, in {', '.join(map(str, names))} "
            f"({branch.ended})"
        )
    return branch.points


def _first_point(
    formula: Formula, given: dict[Symbol, float], wanted: float, others: list[Array]
) -> Array:
    controls = [name for name, c in formula.controls.items() if c.symbol in given]
    fixed = {
        name: float(value[0])
        for name, value in zip(
            (n for n in formula.controls if n not in controls), others, strict=True
        )
    }
    place = {str(s): float(v) for s, v in given.items() if s in formula.unknowns}
    at: dict[str, Any] = {controls[0]: wanted, **fixed}
    solution = solve(formula, start=place, observables=(), **at)
    return np.array([*(solution.overlaps[str(s)] for s in formula.unknowns), wanted])
