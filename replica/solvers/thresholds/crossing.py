"""Crossings: two saddle points of equal potential, a first-order transition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sympy import Expr, Interval, S, Symbol

from replica.declarations.control import control_name
from replica.declarations.formula import Formula
from replica.declarations.transitions import Crossing
from replica.numerics.kernel import compile_kernel
from replica.solvers.curve import explicit_curve
from replica.solvers.request import Request
from replica.solvers.solution import ThresholdResult
from replica.solvers.system import System
from replica.solvers.thresholds.following import Followed
from replica.solvers.thresholds.outcome import Outcome, one_by_one, outcomes
from replica.solvers.thresholds.sampled import SampledCurve, sampled_curves
from replica.solvers.thresholds.seeds import coexisting
from replica.solvers.thresholds.square import polished
from replica.solvers.thresholds.state import State, named_state

__all__ = ["crossing_start", "crossing_system"]

Array = NDArray[np.float64]

_NEGLIGIBLE_OVERLAP = 1e-30  # so small that it changes no digit of anything else
_VALUES = 400  # of the control at which the potentials of two states are compared
_UNRESOLVED = (
    "is not resolved: both saddle points fell together, so close is the end of the line of "
    "transitions"
)
_SAME = 1e-4  # relative: two saddle points closer than this are one


class Side(NamedTuple):
    """One of two saddle points: what it obeys, and what its unknowns are called after."""

    label: str
    unknowns: Sequence[Symbol]
    equations: Sequence[Expr]
    domains: Mapping[Symbol, Interval]
    potential: Expr


def doubled(formula: Formula, control: Symbol, sides: Sequence[Side]) -> System:
    """Return the stationarity of two saddle points and the difference of their potentials."""
    equations: list[Expr] = []
    unknowns: list[Symbol] = []
    domains = {control: formula.control(control).domain}
    potentials: list[Expr] = []
    for side in sides:
        renamed: Mapping[Symbol, Symbol] = {
            symbol: Symbol(f"{symbol.name}_{side.label}", **symbol.assumptions0)
            for symbol in side.domains
        }
        equations += [equation.xreplace(dict(renamed)) for equation in side.equations]
        unknowns += [renamed[symbol] for symbol in side.unknowns]
        domains |= {renamed[s]: d.xreplace(dict(renamed)) for s, d in side.domains.items()}
        potentials.append(side.potential.xreplace(dict(renamed)))
    return System(
        (*equations, potentials[0] - potentials[1]),
        (*unknowns, control),
        tuple(symbol for symbol in formula.symbols if symbol is not control),
        domains,
    )


@lru_cache(maxsize=64)
def crossing_system(
    formula: Formula, declaration: Crossing, vanished: tuple[Symbol, ...] = ()
) -> System:
    """Return the doubled system of the two outer branches of an explicit curve.

    Overlaps of the informed one that are `vanished`, below all digits, are put to zero: what is
    left of them changes nothing else.
    """
    sides = []
    for label, gone in (("uninformed", ()), ("informed", vanished)):
        zero = dict.fromkeys(gone, S.Zero)
        kept = [s for s in formula.unknowns if s not in gone]
        equations = [formula.residuals[s].subs(zero) for s in kept]
        sides.append(Side(label, kept, equations, formula.domains, formula.potential.subs(zero)))
    return doubled(formula, declaration.in_, sides)


@lru_cache(maxsize=64)
def _system_of_states(one: State, two: State, control: Symbol) -> System:
    sides = [Side(s.name, s.unknowns, s.equations, s.domains, s.potential) for s in (one, two)]
    return doubled(one.host, control, sides)


def crossing_start(sampled: SampledCurve) -> Array | None:
    """Return both saddle points where the outer branches have the same potential."""
    maxima, minima = sampled.turns()
    if maxima.size == 0:
        return None
    top = int(maxima[np.argmax(sampled.control[maxima])])
    after = minima[minima > top]
    if after.size == 0:
        return None
    bottom = int(after[np.argmin(sampled.control[after])])
    first = slice(int(np.argmin(sampled.control[: top + 1])), top + 1)
    second = slice(bottom, bottom + 1 + int(np.argmax(sampled.control[bottom:])))
    low = max(sampled.control[first].min(), sampled.control[second].min())
    high = min(sampled.control[first].max(), sampled.control[second].max())
    if not low < high:
        return None
    far = low > 0 and high > 10 * low
    control = np.geomspace(low, high, 400) if far else np.linspace(low, high, 400)
    gap = _at(sampled, first, control, sampled.potential) - _at(
        sampled, second, control, sampled.potential
    )
    change = np.flatnonzero(gap[:-1] * gap[1:] <= 0)
    if change.size == 0:
        return None
    k = int(change[0])
    share = gap[k] / (gap[k] - gap[k + 1]) if gap[k] != gap[k + 1] else 0.5
    where = np.array([control[k] + share * (control[k + 1] - control[k])])
    columns = [
        _at(sampled, part, where, sampled.z[:, j])[0]
        for part in (first, second)
        for j in range(sampled.z.shape[1])
    ]
    return np.array([*columns, where[0]])


def _at(sampled: SampledCurve, part: slice, control: Array, column: Array) -> Array:
    """Interpolate along a rising part of the curve."""
    return np.interp(control, sampled.control[part], column[part])


@outcomes.register
def _crossings(declaration: Crossing, requests: Sequence[Request]) -> list[Outcome]:
    formula = requests[0].formula
    if declaration.between or explicit_curve(formula, declaration.in_) is None:
        return one_by_one(_of_states)(declaration, requests)
    others = [request.others for request in requests]
    curves = sampled_curves(
        formula, declaration.in_, others, formula.potential, closely=True, far=True
    )
    found: dict[int, Outcome] = {}
    groups: dict[tuple[Symbol, ...], list[tuple[int, Array]]] = {}
    for k, (request, sampled) in enumerate(zip(requests, curves, strict=True)):
        start = crossing_start(sampled)
        if start is None:
            found[k] = request.missing(_no_coexistence(sampled, declaration))
            continue
        informed = start[len(formula.unknowns) : -1]
        gone = tuple(
            s
            for s, z in zip(formula.unknowns, informed, strict=True)
            if s in formula.overlaps
            and formula.domains[s].start == 0
            and abs(z) < _NEGLIGIBLE_OVERLAP
        )
        groups.setdefault(gone, []).append((k, start))
    for gone, members in groups.items():
        system = crossing_system(formula, declaration, gone)
        kept = [j for j in range(len(formula.unknowns)) if formula.unknowns[j] not in gone]
        columns = [*range(len(formula.unknowns)), *(len(formula.unknowns) + j for j in kept), -1]
        solved = polished(
            [requests[k] for k, _ in members],
            declaration,
            system,
            np.stack([start[columns] for _, start in members]),
            "crossing: two saddle points of equal potential",
            {f"{symbol}_informed": 0.0 for symbol in gone},
        )
        found.update(zip([k for k, _ in members], solved, strict=True))
    for k, outcome in found.items():
        pairs = [(f"{s}_uninformed", f"{s}_informed") for s in formula.unknowns]
        if isinstance(outcome, ThresholdResult) and _together(outcome, pairs):
            found[k] = requests[k].failed(_UNRESOLVED)
    return [found[k] for k in range(len(requests))]


def _of_states(request: Request, declaration: Crossing) -> ThresholdResult:
    """Return where two named states have the same potential."""
    formula, control, name = request.formula, declaration.in_, control_name(declaration.in_)
    starts = [*formula.starts] or ["uninformed", "informed"]
    names = declaration.between or (starts[0], starts[-1])
    one, two = (named_state(formula, state) for state in names)
    pinned = {
        f"{symbol}_{state.name}": float(value)
        for state in (one, two)
        for symbol, value in state.place.items()
    }
    reason = ""
    for first, second in coexisting(request, one, two, control):
        low = max(first.control[0], second.control[0])
        high = min(first.control[-1], second.control[-1])
        where = _between(low, high)
        sides = [(one, first), (two, second)]
        z = [_interpolated(along, where) for _, along in sides]
        heights = [
            compile_kernel((*state.unknowns, *formula.symbols), (state.potential,))(
                *points.T, *state.columns(control, where, request.others)
            )[0]
            for (state, _), points in zip(sides, z, strict=True)
        ]
        gap = heights[0] - heights[1]
        changes = np.flatnonzero((gap[:-1] * gap[1:] <= 0) & np.isfinite(gap[:-1] * gap[1:]))
        seen = [f"{x:.6g}" for x in where[changes]]
        for k in changes:
            share = gap[k] / (gap[k] - gap[k + 1]) if gap[k] != gap[k + 1] else 0.5
            row = np.column_stack([*z, where])
            (outcome,) = polished(
                [request],
                declaration,
                _system_of_states(one, two, control),
                (row[k] + share * (row[k + 1] - row[k]))[None],
                f"crossing: {one.name} and {two.name} of equal potential",
                pinned,
            )
            if isinstance(outcome, ThresholdResult):
                shared = [s for s in formula.unknowns if s in one.unknowns and s in two.unknowns]
                pairs = [(f"{s}_{one.name}", f"{s}_{two.name}") for s in shared]
                same = one.host is one.formula and two.host is two.formula
                if not (same and _together(outcome, pairs)):
                    return _with_others(outcome, name, [x for x in seen if x != seen[0]])
                reason = reason or _UNRESOLVED.removeprefix("is not resolved: ")
                continue
            reason = reason or str(outcome)
        first_gap, last_gap = gap[np.isfinite(gap)][[0, -1]] if np.isfinite(gap).any() else (0, 0)
        reason = reason or (
            f"the potentials of {one.name} and {two.name} are never equal where both exist: their "
            f"difference goes from {first_gap:.4g} at {name} = {low:.6g}, where {_end(sides, 0)}, "
            f"to {last_gap:.4g} at {high:.6g}, where {_end(sides, 1)}"
        )
    raise request.missing(reason)


def _end(sides: Sequence[tuple[State, Followed]], end: int) -> str:
    """Say which of two states ends first, and why."""
    place = -1 if end else 0
    inner = min if end else max
    state, along = inner(sides, key=lambda side: float(side[1].control[place]))
    return f"{state.name} {along.ends[end]}"


def _with_others(found: ThresholdResult, name: str, others: Sequence[str]) -> ThresholdResult:
    """Return a crossing with a note on the others that were seen."""
    if not others:
        return found
    return replace(
        found, note=f"{found.note}; " * bool(found.note) + f"also near {name} = {', '.join(others)}"
    )


def _between(low: float, high: float) -> Array:
    """Return values of a control, by factors where it is positive and spans several."""
    if low > 0 and high > 10 * low:
        return np.geomspace(low, high, _VALUES)
    return np.linspace(low, high, _VALUES)


def _interpolated(along: Followed, where: Array) -> Array:
    """Return the unknowns of a state at values of its control, shape (values, unknowns)."""
    table = along.points
    if table.shape[1] == 1:
        return np.empty((where.size, 0))
    return np.stack([np.interp(where, table[:, -1], column) for column in table.T[:-1]], axis=1)


def _no_coexistence(sampled: SampledCurve, declaration: Crossing) -> str:
    """Say what was scanned for two branches of saddle points."""
    name, found = control_name(declaration.in_), sampled.control
    if sampled.turns()[0].size == 0:
        return (
            f"no two branches of saddle points coexist, so there is no first-order transition: "
            f"along them {name} rises from {found[0]:.4g} to {found[-1]:.4g} without turning back"
        )
    return (
        f"along the saddle points, which were followed up to {name} = {found.max():.6g}, the "
        f"branches that coexist have no equal potential"
    )


def _together(found: ThresholdResult, pairs: Sequence[tuple[str, str]]) -> bool:
    """Tell whether the two saddle points of a crossing are one."""
    known = [(found.overlaps[one], found.overlaps[two]) for one, two in pairs]
    return all(abs(a - b) <= _SAME * max(abs(a), abs(b)) for a, b in known)
