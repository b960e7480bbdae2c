"""Crossings: two saddle points of equal potential, a first-order transition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from sympy import Expr, S, Symbol

from replica.declarations.control import control_name
from replica.declarations.formula import Formula
from replica.declarations.threshold import Crossing
from replica.errors import ThresholdNotFound
from replica.solvers.request import Request
from replica.solvers.solution import ThresholdResult
from replica.solvers.system import System
from replica.solvers.thresholds.outcome import Outcome, outcomes
from replica.solvers.thresholds.sampled import SampledCurve, sampled_curves
from replica.solvers.thresholds.square import polished

__all__ = ["crossing_start", "crossing_system"]

Array = NDArray[np.float64]

_NEGLIGIBLE_OVERLAP = 1e-30  # so small that it changes no digit of anything else
_SAME = 1e-4  # relative: two saddle points closer than this are one


@lru_cache(maxsize=64)
def crossing_system(
    formula: Formula, declaration: Crossing, vanished: tuple[Symbol, ...] = ()
) -> System:
    """Return the stationarity of two saddle points and the difference of their potentials.

    Overlaps of the informed one that are `vanished`, below all digits, are put to zero: what is
    left of them changes nothing else.
    """
    control = declaration.in_
    equations: list[Expr] = []
    unknowns: list[Symbol] = []
    domains = {control: formula.control(control).domain}
    potentials: list[Expr] = []
    for side in ("uninformed", "informed"):
        renamed: Mapping[Symbol, Symbol] = {
            symbol: Symbol(f"{symbol.name}_{side}", **symbol.assumptions0)
            for symbol in formula.unknowns
        }
        gone = vanished if side == "informed" else ()
        zero = {renamed[s]: S.Zero for s in gone}
        kept = [s for s in formula.unknowns if s not in gone]
        equations += [formula.residuals[s].xreplace(dict(renamed)).subs(zero) for s in kept]
        unknowns += [renamed[s] for s in kept]
        domains |= {renamed[s]: d.xreplace(dict(renamed)) for s, d in formula.domains.items()}
        potentials.append(formula.potential.xreplace(dict(renamed)).subs(zero))
    return System(
        (*equations, potentials[0] - potentials[1]),
        (*unknowns, control),
        tuple(symbol for symbol in formula.symbols if symbol is not control),
        domains,
    )


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
    others = [request.others for request in requests]
    try:
        curves = sampled_curves(
            formula, declaration.in_, others, formula.potential, closely=True, far=True
        )
    except ThresholdNotFound as error:
        return [error] * len(requests)
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
        if isinstance(outcome, ThresholdResult) and _together(outcome):
            found[k] = requests[k].failed(
                "is not resolved: both saddle points fell together, so close is the end of the "
                "line of transitions"
            )
    return [found[k] for k in range(len(requests))]


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


def _together(found: ThresholdResult) -> bool:
    """Tell whether the two saddle points of a crossing are one."""
    pairs = [
        (found.overlaps[f"{symbol}_uninformed"], found.overlaps[f"{symbol}_informed"])
        for symbol in found.formula.unknowns
    ]
    return all(abs(a - b) < _SAME * max(abs(a), abs(b)) for a, b in pairs)
