"""States of a formula with an explicit curve of saddle points, and which one a start leads to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from replica.declarations.control import control_name
from replica.declarations.formula import Formula
from replica.numerics.kernel import compile_kernel
from replica.solvers.boundary import at_boundary, boundary_attracts, boundary_potential
from replica.solvers.curve import ExplicitCurve
from replica.solvers.iteration import PROPOSALS, Iterated, Newton, iterate
from replica.solvers.passages import Passage
from replica.solvers.solution import Status
from replica.solvers.system import System

__all__ = ["CURVE_STARTS", "NONE", "equilibrium", "every_passage", "no_overlap", "on_branch"]

Array = NDArray[np.float64]

CURVE_STARTS = {"uninformed": "first", "informed": "last", "equilibrium": "all"}
"""Starts that lead along a curve, and which of its passages they lead to."""

NONE = (Status.NO_SADDLE, Status.LEFT_DOMAIN)
"""No passage of the curve, known or not."""

_NEWTON_STEPS, _FEW_STEPS = 100, 12  # at most; few where there is hardly a saddle point
_COARSE_LAST_STEP = 1e-5  # relative: Newton by a coarse rule stops here, the verification goes on
# A residual is zero if it is below _ROUNDING, or within its error where that is below _UNCERTAIN.
_ROUNDING, _UNCERTAIN = 1e-13, 1e-6
_SLACK = 1e-6  # relative: by rounding a saddle point may be this far outside its two nodes


def on_branch(
    system: System,
    curve: ExplicitCurve,
    parameters: list[Array],
    start: str,
    method: str,
    max_steps: int,
) -> Iterated:
    """Return the state that a start leads to, among all those that there are.

    These are the passages of the curve through the wanted control, the state of no overlap where
    symmetry keeps it, and the boundary of the domain. Uninformed is what state evolution reaches
    from no overlap, informed what it reaches from the boundary, and equilibrium the state of the
    largest potential.
    """
    formula = curve.formula
    attracts = boundary_attracts(formula, parameters)
    origin, leaving = no_overlap(system, curve, parameters)
    stays = (origin.status == Status.CONVERGED) & (parameters[curve.position] <= leaving)
    passages = curve.passages(parameters, CURVE_STARTS[start], enough=attracts)
    polish = partial(_on_curve, system, curve, method=method, max_steps=max_steps)
    if start == "equilibrium":
        states = [origin, *(polish(p, parameters, p.found) for p in passages)]
        states[0].status[~stays] = int(Status.NO_SADDLE)
        found, there = equilibrium(system, formula, states, parameters)
    elif start == "informed":
        found = polish(passages[0], parameters, ~attracts)
        there = attracts
    else:
        found = polish(passages[0], parameters, ~stays)
        found = found.merged(stays, origin)
        there = attracts & np.isin(found.status, NONE)
    # without another saddle point, return the state of no overlap though it does not attract
    missing = np.isin(found.status, NONE) & ~there
    found = found.merged(missing & (origin.status == Status.CONVERGED), origin)
    found = replace(found, note=_reach(curve, passages[-1], parameters))
    return at_boundary(system, formula, found, there)


def every_passage(system: System, curve: ExplicitCurve, parameters: list[Array]) -> list[Iterated]:
    """Return the state of no overlap and every passage of the curve, where there are such."""
    origin, _ = no_overlap(system, curve, parameters)
    passages = curve.passages(parameters, "all", enough=np.zeros(parameters[0].shape, dtype=bool))
    return [
        origin,
        *(
            _on_curve(system, curve, p, parameters, p.found, "auto", _NEWTON_STEPS)
            for p in passages
        ),
    ]


def _reach(curve: ExplicitCurve, passage: Passage, parameters: list[Array]) -> str:
    """Say how far a curve of saddle points goes, for a single point beyond."""
    if passage.found.size != 1 or not parameters[curve.position][0] > passage.highest[0]:
        return ""
    name, end = control_name(curve.control), f"{passage.highest[0]:.6g}"
    if passage.ended[0]:
        return f"saddle points exist for {name} up to {end}"
    last = passage.start[0, curve.formula.unknowns.index(curve.parameter)]
    return f"the saddle points were followed up to {name} = {end}, {curve.parameter} = {last:.3g}"


def no_overlap(
    system: System, curve: ExplicitCurve, parameters: list[Array]
) -> tuple[Iterated, Array]:
    """Return the state of no overlap, NO_SADDLE where it is none, and up to where it attracts."""
    points = parameters[0].size
    rest = [p for k, p in enumerate(parameters) if k != curve.position]
    table = np.stack([*rest, np.zeros(points)], axis=1)
    _, first, member = np.unique(table, axis=0, return_index=True, return_inverse=True)
    inner = [p[first] for p in parameters]
    place, leaving, proportional = curve.origin(inner)
    place = system.onto_edge(place, inner)  # rounding may have put it outside the domain
    some = np.flatnonzero(~proportional & system.inside(place, inner))
    if some.size:
        chosen = [p[some] for p in inner]
        zero = np.ones(some.size, dtype=bool)
        for row in system.residual.bounded(*place[some].T, *chosen):
            with np.errstate(invalid="ignore"):  # a comparison with NaN is false, as it should be
                known = np.where(row.bound < _UNCERTAIN, row.bound, 0.0)
                zero &= np.abs(row.value) <= np.maximum(known, _ROUNDING)
        some = some[zero]
    member = member.reshape(-1)
    there = np.isin(member, some)
    status = np.where(there, int(Status.CONVERGED), int(Status.NO_SADDLE))
    return Iterated.at(place[member], status), leaving[member]


def equilibrium(
    system: System, formula: Formula, states: Sequence[Iterated], parameters: list[Array]
) -> tuple[Iterated, NDArray[np.bool_]]:
    """Return the states of the largest potential, or the smallest as declared.

    And whether the boundary of the domain is that state: it is one where it attracts.
    """
    kernel = compile_kernel(system.arguments, (formula.potential,))
    sign = -1.0 if formula.equilibrium == "smallest" else 1.0
    best, height = states[0], np.full(parameters[0].shape, -np.inf)
    for state in states:
        good = state.status == Status.CONVERGED
        here = np.full(height.shape, -np.inf)
        if good.any():
            inner = [p[good] for p in parameters]
            here[good] = sign * kernel(*state.z[good].T, *inner)[0]
        better = (here > height) | (~np.isfinite(height) & (best.status == Status.NO_SADDLE))
        best = best.merged(better, state)
        height = np.maximum(here, height)
    there = boundary_attracts(formula, parameters)
    there &= sign * boundary_potential(formula, parameters) > height
    return best, there


def _on_curve(
    system: System,
    curve: ExplicitCurve,
    passage: Passage,
    parameters: list[Array],
    wanted: NDArray[np.bool_],
    method: str,
    max_steps: int,
) -> Iterated:
    """Return the saddle points at passages of the curve, and no others.

    Newton's method, or the one that is asked for, starts close to the passage; what it finds
    beyond the nodes on both sides is another saddle point. Then the passage is bracketed.
    """
    column = curve.formula.unknowns.index(curve.parameter)
    n, points = system.size, wanted.size
    z, step = np.full((points, n), np.nan), np.full((points, n), np.nan)
    jacobian = np.full((points, n, n), np.nan)
    status = np.where(passage.ended, int(Status.NO_SADDLE), int(Status.LEFT_DOMAIN))
    steps = 0
    ready = wanted & np.asarray(np.isfinite(passage.start).all(axis=1))
    ready[ready] = system.inside(passage.start[ready], [p[ready] for p in parameters])
    told = ~system.vanishing(passage.start, parameters)
    # beyond the last node of the curve a saddle point is unlikely: only a few steps are tried
    beyond = ready & ~passage.found & ~passage.ended & told
    for some, limit in ((ready & passage.found & told, _NEWTON_STEPS), (beyond, _FEW_STEPS)):
        if not some.any():
            continue
        inner = [p[some] for p in parameters]
        if method == "auto":
            # by a coarse quadrature; the verification takes the last step by a finer one
            found = iterate(
                system, passage.start[some], inner, Newton(_COARSE_LAST_STEP), limit, refinement=-1
            )
        else:
            found = iterate(system, passage.start[some], inner, PROPOSALS[method](), max_steps)
        place = found.z[:, column]
        reached = (found.status == Status.CONVERGED) | (method != "auto")
        slack = _SLACK * np.abs(place)
        with np.errstate(invalid="ignore"):
            away = (place < passage.low[some] - slack) | (place > passage.high[some] + slack)
        place_of = np.flatnonzero(some)
        strayed = away & (found.status == Status.CONVERGED) & (method != "auto")
        kept = place_of[reached & ~(away & (method == "auto"))]
        inner_kept = reached & ~(away & (method == "auto"))
        z[kept], jacobian[kept] = found.z[inner_kept], found.jacobian[inner_kept]
        step[kept], status[kept] = found.step[inner_kept], found.status[inner_kept]
        status[place_of[strayed]] = int(Status.DIVERGED)
        steps = max(steps, found.steps)
    again = wanted & passage.found & np.isnan(z).any(axis=1)
    if again.any():
        inner = [p[again] for p in parameters]
        bracketed = curve.between(passage.at(again), inner)
        z[again], step[again] = bracketed, np.nan
        solved = np.isfinite(bracketed).all(axis=1)
        status[again] = np.where(solved, int(Status.CONVERGED), int(Status.NON_FINITE))
    return Iterated(z, status, steps, jacobian, step)
