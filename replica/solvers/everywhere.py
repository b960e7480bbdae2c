"""Every branch of saddle points that can be found, where there is no explicit curve of them.

From several values of the control, every start and every subspace of a symmetry, saddle points are
solved for; each that lies on no branch known so far is followed in both directions, through folds,
to the ends of the range or to where the branch is lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replica.declarations.formula import Formula
from replica.solvers.continuation import follow, saddle_branches
from replica.solvers.iteration import Newton, iterate
from replica.solvers.saddle import solve
from replica.solvers.solution import Status
from replica.solvers.starts import declared_starts
from replica.solvers.strategies import solve_flat
from replica.solvers.system import System, saddle_system

__all__ = ["Curve", "every_curve"]

Array = NDArray[np.float64]

# The second number of a pair is for formulas with a mean within a mean, where points cost most.
_SEEDS, _DEEP_SEEDS = 7, 2  # values of the control at which saddle points are looked for
_MOST_POINTS, _DEEP_MOST_POINTS = 400, 60  # of a branch
_SAME = 1e-5  # relative: saddle points closer than this are one
# A curve is taken to end where it meets another one if it is this close to it: in the unknowns, and
# in the control as a part of the other's range.
_MEETING_DISTANCE = 0.1
_STEPS = 60  # Newton steps at most


@dataclass(frozen=True)
class Curve:
    """Saddle points along one curve.

    Attributes
    ----------
    z : array, shape (points, unknowns)
    control : array, shape (points,)
    cut : str
        Where and why it ends within the range; empty if it does not.
    explicit : bool
        Whether its points are values of an explicit curve.
    """

    z: Array
    control: Array
    cut: str = ""
    explicit: bool = False


def every_curve(
    formula: Formula, name: str, low: float, high: float, fixed: Mapping[str, float]
) -> tuple[Curve, ...]:
    """Return the curves of saddle points with the control `name` from `low` to `high`.

    Parameters
    ----------
    formula : Formula
    name : str
        The control that varies.
    low, high : float
    fixed : mapping of str to float
        The other controls.
    """
    found: list[Curve] = []
    for place in formula.subspaces.values():
        for curve in every_curve(formula.within(place), name, low, high, fixed):
            kept = {str(s): curve.z[:, k] for k, s in enumerate(formula.within(place).unknowns)}
            pinned = {str(s): np.full(curve.control.shape, float(v)) for s, v in place.items()}
            columns = [({**pinned, **kept})[str(s)] for s in formula.unknowns]
            found.append(Curve(np.stack(columns, axis=1), curve.control, curve.cut))
    system = saddle_system(formula)
    count = _DEEP_SEEDS if system.deep else _SEEDS
    if system.deep and formula.boundary is not None:
        count = 1  # other seeds run to the boundary, next to which nested means cost most
    wide = low > 0 and high > 30 * low
    grid = np.geomspace(low, high, count) if wide else np.linspace(low, high, count)
    for z, control in _seeds(formula, system, name, grid, fixed):
        if not any(_lies_on(curve, system, formula, name, z, control, fixed) for curve in found):
            found.append(_followed(formula, name, z, control, (low, high), fixed))
    return tuple(_explained(curve, found, name) for curve in found)


def _explained(curve: Curve, others: Sequence[Curve], name: str) -> Curve:
    """Return a curve that was cut where it meets another one with that as the reason."""
    if not curve.cut:
        return curve
    for k in (0, -1):
        for other in others:
            if other is curve:
                continue
            near = np.abs(other.control - curve.control[k]) <= _MEETING_DISTANCE * np.ptp(
                other.control
            )
            apart = np.abs(other.z[near] - curve.z[k]).max(axis=1, initial=0.0)
            if near.any() and apart.min() <= _MEETING_DISTANCE:
                return replace(curve, cut=f"at {name} = {curve.control[k]:.6g} it meets another")
    return curve


def _parameters(
    formula: Formula, name: str, control: Array, fixed: Mapping[str, float]
) -> list[Array]:
    """Return the controls in the order of the formula, one value per point."""
    return [
        control if key == name else np.full(control.shape, fixed[key]) for key in formula.controls
    ]


def _seeds(
    formula: Formula, system: System, name: str, grid: Array, fixed: Mapping[str, float]
) -> list[tuple[Array, float]]:
    """Return saddle points at the values of a grid, from every start and by two methods."""
    parameters = _parameters(formula, name, grid, fixed)
    tables = []
    at: dict[str, Any] = {name: grid, **fixed}
    settled = solve(formula, observables=(), check=False, **at)
    tables.append(
        (
            np.stack([settled.overlaps[str(s)] for s in formula.unknowns], axis=1),
            np.asarray(settled.converged),
        )
    )
    if not system.deep:
        for attempt in declared_starts(formula):
            for method in ("auto", "newton"):
                ended = solve_flat(system, [attempt], parameters, method)
                tables.append((ended.z, ended.status == Status.CONVERGED))
    return [
        (z[k], float(grid[k]))
        for z, good in tables
        for k in np.flatnonzero(good)
        if np.isfinite(z[k]).all()
    ]


def _lies_on(
    curve: Curve,
    system: System,
    formula: Formula,
    name: str,
    z: Array,
    control: float,
    fixed: Mapping[str, float],
) -> bool:
    """Tell whether a saddle point is one of a curve."""
    sides = curve.control - control
    exact = np.flatnonzero(sides == 0)
    starts = [curve.z[k] for k in exact]
    for k in np.flatnonzero(sides[:-1] * sides[1:] < 0):
        share = sides[k] / (sides[k] - sides[k + 1])
        starts.append(curve.z[k] + share * (curve.z[k + 1] - curve.z[k]))
    if not starts:
        return False
    begin = np.array(starts)
    parameters = _parameters(formula, name, np.full(begin.shape[0], control), fixed)
    ended = iterate(system, begin, parameters, Newton(), _STEPS)
    reached = np.where((ended.status == Status.CONVERGED)[:, None], ended.z, begin)
    return bool((np.abs(reached - z) <= _SAME * np.maximum(np.abs(z), 1.0)).all(axis=1).any())


def _followed(
    formula: Formula,
    name: str,
    z: Array,
    control: float,
    span: tuple[float, float],
    fixed: Mapping[str, float],
) -> Curve:
    """Follow the branch through a saddle point in both directions."""
    system = saddle_branches(formula, formula.controls[name].symbol)
    low, high = span
    others = [np.array([fixed[key]]) for key in formula.controls if key != name]
    start = np.array([*z, control])
    parts, cuts = [], []
    for upwards in (False, True):
        branch = follow(
            system,
            start,
            others,
            upwards=upwards,
            most=_DEEP_MOST_POINTS if system.deep else _MOST_POINTS,
            until=lambda point: bool(point[-1] > high or point[-1] < low),
            refinement=-1 if system.deep else 0,
        )
        points = branch.points
        if points[-1, -1] < low or points[-1, -1] > high:
            points = _to_the_end(formula, name, points, span, fixed)
        elif not np.isclose(points[-1, -1], (low, high), rtol=1e-12).any():
            place = ", ".join(
                f"{s} = {x:.6g}" for s, x in zip(formula.unknowns, points[-1], strict=False)
            )
            cuts.append(f"at {name} = {points[-1, -1]:.6g}, {place}: {branch.ended}")
        parts.append(points)
    table = np.concatenate([parts[0][:0:-1], parts[1]])
    return Curve(table[:, :-1], table[:, -1], "; ".join(cuts))


def _to_the_end(
    formula: Formula,
    name: str,
    points: Array,
    span: tuple[float, float],
    fixed: Mapping[str, float],
) -> Array:
    """Return a branch whose last point is outside the range, with that point put on its end."""
    last, before = points[-1], points[-2]
    end = span[0] if last[-1] < span[0] else span[1]
    share = (end - before[-1]) / (last[-1] - before[-1])
    begin = (before + share * (last - before))[:-1]
    parameters: Sequence[Array] = _parameters(formula, name, np.array([end]), fixed)
    ended = iterate(saddle_system(formula), begin[None, :], parameters, Newton(), _STEPS)
    if ended.status[0] != Status.CONVERGED:
        return points[:-1]
    return np.concatenate([points[:-1], [[*ended.z[0], end]]])
