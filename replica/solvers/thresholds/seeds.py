"""Where the states of a formula are found: at values of a control all over its domain.

The saddle points are solved for that the starts of a state lead to. From one that the other states
do not share the state is followed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import Symbol

from replica.declarations.control import Control, control_name
from replica.declarations.formula import Formula
from replica.solvers.request import Request
from replica.solvers.saddle import solve
from replica.solvers.solution import Status
from replica.solvers.strategies import solve_flat
from replica.solvers.thresholds.following import LOST, Followed, followed, standing
from replica.solvers.thresholds.state import State, named_state

__all__ = ["Seeds", "coexisting", "followed_states", "grid"]

Array = NDArray[np.float64]

# Values of the control at which a state is looked for; fewer where a point costs a mean in a mean.
_SEEDS, _DEEP_SEEDS = 64, 7
# How often values of the control are added where a state changes most, and how many each time.
_CLOSER_LOOKS, _CLOSER = 3, 24
# Distances from the end of an unbounded domain.
_LOWEST, _HIGHEST = 1e-3, 1e4
_DEEP_LOWEST, _DEEP_HIGHEST = 5e-4, 5e2
_MOST_RUNS = 3  # of values of the control at which a state was found, each followed on its own
_FEWEST = 3  # points of a state that could be followed
_SHARES = (0.5, 0.75, 0.25, 0.9, 0.1)  # of such a run, where a state is followed from
_NEARBY = 1e-2  # relative range of the control in which a state is lost at once
_JUMP = 0.3  # relative to the largest: unknowns that change by more are taken to jump
_SAME = 1e-5  # relative: saddle points closer than this are one
_STEPS = 60  # of an iteration at most


@dataclass(frozen=True)
class Seeds:
    """Saddle points that the starts of a state lead to, at values of the control.

    Attributes
    ----------
    control : array, shape (values,)
    z : array, shape (attempts, values, unknowns)
        NaN where an attempt led to none.
    """

    control: Array
    z: Array

    @property
    def found(self) -> NDArray[np.bool_]:
        """Which attempts led to a saddle point at which values, shape (attempts, values)."""
        return np.asarray(np.isfinite(self.z).all(axis=2))

    def range_of(self) -> str:
        """Say from where to where the state was found."""
        known = self.control[self.found.any(axis=0)]
        if not known.size:
            return "at no value tried"
        return f"from {known.min():.6g} to {known.max():.6g}"


def grid(control: Control, deep: bool) -> Array:
    """Return values over the domain of a control, geometric and linear."""
    count = _DEEP_SEEDS if deep else _SEEDS
    near, far = (_DEEP_LOWEST, _DEEP_HIGHEST) if deep else (_LOWEST, _HIGHEST)
    low, high = float(control.domain.start), float(control.domain.end)
    if np.isfinite(low) and np.isfinite(high):
        parts = [np.linspace(low, high, count // 2 + 2)[1:-1]]
        parts.append(low + np.geomspace(_LOWEST * (high - low), high - low, count // 2 + 1)[:-1])
        found = np.unique(np.concatenate(parts))
    elif np.isfinite(low):
        found = low + np.geomspace(near, far, count)
    elif np.isfinite(high):
        found = high - np.geomspace(far, near, count)
    else:
        away = np.geomspace(near, far, count // 2)
        found = np.concatenate([-away[::-1], away])
    return np.asarray(found)


def followed_states(request: Request, state: State, control: Symbol) -> Iterator[Followed]:
    """Yield a state, followed from a saddle point that is it and no other state.

    Of a state that `solve` does not know every start may lead to another branch: yield each.

    Raises
    ------
    ThresholdNotFound
        If none was found.
    """
    others, deep = request.others, state.system.deep
    span = grid(request.formula.control(control), deep)
    if not state.unknowns:
        yield standing(span)
        return
    rivals = [] if state.place or deep else _rivals(request.formula, state)
    values, last = _look(span, deep, 0), _looks(span, deep) - 1
    for look in range(last + 1):
        own = seeds(state, control, values, others)
        theirs = [seeds(rival, control, values, others) for rival in rivals]
        apart = [
            f & _unlike(state, z, rivals, theirs) for z, f in zip(own.z, own.found, strict=True)
        ]
        if np.any(apart) or look == last or not (rivals or deep):
            break
        values = _look(span, deep, look + 1, (own, *theirs))
    first: Followed | None = None
    followable = False
    for z, found, alone in zip(own.z, own.found, apart, strict=True):
        unknown = found & _unlike(state, z, rivals, theirs, known=False)
        mine = next((mask for mask in (alone, unknown) if mask.any()), found)
        for places in _runs(mine, z):
            for k in places:
                along = followed(state, control, z[k], float(values[k]), others, span)
                first = first or along
                if _went_on(along):
                    break
            else:
                continue
            followable = True
            yield along
            if state.solvable:
                return
    if first is None:
        raise request.missing(
            f"no saddle point was found from the state {state.name} at {span.size} values of "
            f"{control_name(control)} from {span[0]:.4g} to {span[-1]:.4g}"
        )
    if not followable:
        yield first


def coexisting(
    request: Request, one: State, two: State, control: Symbol
) -> Iterator[tuple[Followed, Followed]]:
    """Yield two states, each followed from where both exist and are not the same.

    Raises
    ------
    ThresholdNotFound
        If they coexist nowhere.
    """
    others, deep = request.others, one.system.deep or two.system.deep
    span = grid(request.formula.control(control), deep)
    values = _look(span, deep, 0)
    for look in range(_looks(span, deep)):
        tables = [seeds(state, control, values, others) for state in (one, two)]
        found = False
        for z in tables[0].z:
            for other_z in tables[1].z:
                known = np.isfinite(z).all(axis=1) & np.isfinite(other_z).all(axis=1)
                for places in _runs(known & distinct(one, z, two, other_z), z):
                    for k in places:
                        value = float(values[k])
                        pair = (
                            followed(one, control, z[k], value, others, span),
                            followed(two, control, other_z[k], value, others, span),
                        )
                        if all(map(_went_on, pair)):
                            break
                    else:
                        continue
                    found = True
                    yield pair
                    if one.solvable and two.solvable:
                        return
        if found:
            return
        if look < _looks(span, deep) - 1:
            values = _look(span, deep, look + 1, tables)
    name = control_name(control)
    raise request.missing(
        f"the states {one.name} and {two.name} never coexist as two saddle points: in {name} "
        f"{one.name} was found {tables[0].range_of()}, {two.name} {tables[1].range_of()}"
    )


def _looks(span: Array, deep: bool) -> int:
    """Return how often states are looked for."""
    return span.size if deep else _CLOSER_LOOKS


def _look(span: Array, deep: bool, number: int, seen: Sequence[Seeds] = ()) -> Array:
    """Return the values of a control at which states are looked for at the first, second, ... look.

    All values, and more each time where a state changes most. Where a point costs a mean within a
    mean, one after the other, small ones first: those at which a state runs to an edge cost most.
    """
    if deep:
        order = np.argsort(np.abs(np.arange(span.size) - 0.35 * (span.size - 1)), kind="stable")
        return span[order[number : number + 1]]
    if not number:
        return span
    return np.unique(np.concatenate([seen[0].control, *map(_jumps, seen)]))


def _rivals(formula: Formula, state: State) -> list[State]:
    names = [*formula.starts] or ["uninformed", "informed"]
    return [named_state(formula, name) for name in names if name != state.name]


def _unlike(
    state: State, z: Array, rivals: Sequence[State], tables: Sequence[Seeds], known: bool = True
) -> NDArray[np.bool_]:
    """Tell which points of a state no attempt at a rival leads to.

    Where nothing was found of a rival this says nothing: `known` leaves such points out.
    """
    apart = np.ones(z.shape[0], dtype=bool)
    for rival, table in zip(rivals, tables, strict=True):
        for other in table.z:
            there = np.isfinite(other).all(axis=1)
            apart &= np.where(there, distinct(state, z, rival, other), not known)
    return apart


def _runs(known: NDArray[np.bool_], z: Array) -> list[list[int]]:
    """Return places in the longest runs of what is known, in which the unknowns do not jump.

    Such as from one branch to another, or from the end of a domain. The middle of a run comes
    first; others follow because next to an end of a domain a branch is soon lost.
    """
    size = np.maximum(np.abs(np.where(known[:, None], z, 0.0)).max(axis=0, initial=0.0), 1e-300)
    with np.errstate(invalid="ignore"):
        jumps = (np.abs(np.diff(z, axis=0)) > _JUMP * size).any(axis=1)
    runs, begin = [], None
    for k, here in enumerate(known):
        if begin is not None and (not here or jumps[k - 1]):
            runs.append((begin, k))
            begin = None
        if here and begin is None:
            begin = k
    if begin is not None:
        runs.append((begin, known.size))
    longest = sorted(runs, key=lambda run: run[0] - run[1])[:_MOST_RUNS]
    return [
        list(dict.fromkeys(first + int((last - first) * share) for share in _SHARES))
        for first, last in longest
    ]


def _went_on(along: Followed) -> bool:
    """Tell whether a state could be followed: it was not lost next to where that began."""
    if along.control.size < _FEWEST:
        return False
    lost = all(end.startswith(LOST) for end in along.ends)
    return not lost or bool(np.ptp(along.control) > _NEARBY * np.abs(along.control).max())


def _jumps(table: Seeds) -> Array:
    """Return values of the control inside the intervals in which a state changes most."""
    z, control = table.z[0], table.control
    known = np.flatnonzero(np.isfinite(z).all(axis=1))
    if known.size < 2:
        return np.empty(0)
    size = np.maximum(np.abs(z[known]).max(axis=0), 1e-8)
    change = (np.abs(np.diff(z[known], axis=0)) / size).max(axis=1)
    parts = [
        np.linspace(control[known[k]], control[known[k + 1]], _CLOSER + 2)[1:-1]
        for k in np.argsort(change)[-2:]
    ]
    return np.concatenate(parts)


def seeds(state: State, control: Symbol, values: Array, others: Sequence[float]) -> Seeds:
    """Return the saddle points that a state leads to: as `solve` says, else by Newton's method."""
    system, given = state.system, state.columns(control, values, others)
    tables, left = [], np.ones(values.size, dtype=bool)
    if state.solvable:
        names = [control_name(symbol) for symbol in state.host.symbols]
        at: dict[str, Any] = dict(zip(names, given, strict=True))
        found = solve(state.formula, start=state.name, observables=(), check=False, **at)
        z = np.stack([found.overlaps[str(s)] for s in state.unknowns], axis=1)
        left = ~np.asarray(found.converged)
        tables.append((z, ~left))
    # where a point costs a mean within a mean, what `solve` says is enough
    for start in state.starts if left.any() and not (tables and system.deep) else ():
        for method in ("auto", "newton"):
            z, good = np.full((values.size, system.size), np.nan), np.zeros(values.size, bool)
            ended = solve_flat(system, [start], [p[left] for p in given], method, _STEPS)
            z[left], good[left] = ended.z, ended.status == Status.CONVERGED
            tables.append((z, good))
    z = np.stack([np.where(good[:, None], z, np.nan) for z, good in tables])
    for table in z:  # what is at an open end, as at infinity, is no point of a branch
        known = np.isfinite(table).all(axis=1)
        table[known] = np.where(
            system.inside(table[known], [p[known] for p in given])[:, None], table[known], np.nan
        )
    return Seeds(values, z)


def distinct(state: State, z: Array, other: State, other_z: Array) -> NDArray[np.bool_]:
    """Tell which points of two states, shape (points, unknowns), are not the same saddle point.

    Those that are not known are not compared.
    """
    one, two = state.embedded(z), other.embedded(other_z)
    if one is None or two is None or one.shape[1] != two.shape[1]:
        return np.ones(z.shape[0], dtype=bool)
    both = np.abs(np.concatenate([one, two]))
    size = np.where(np.isfinite(both), both, 0.0).max(axis=0, initial=1e-8)
    return np.asarray((np.abs(one - two) > _SAME * size).any(axis=1))
