"""Solutions from where an iteration ended: verified, with errors, observables and statuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray
from sympy import Expr

from replica.declarations.point import Points
from replica.solvers.boundary import boundary_values
from replica.solvers.iteration import Iterated
from replica.solvers.precision import decimal_text, precise_solution
from replica.solvers.solution import Solution, Status
from replica.solvers.stability import masked, stable_points, unmasked
from replica.solvers.system import System
from replica.solvers.verify import poorly_known, unresolved, verify

__all__ = ["assembled", "improved", "with_digits"]

Array = NDArray[np.float64]

_STABLE = 1 + 1e-9  # a replicon up to this does not exceed one: the difference is rounding
_LEFT = "state evolution leaves this saddle point: it is unstable within its ansatz"
_NO_EXTREMUM = "the potential has no {} there: the saddle point is unstable within its ansatz"


def assembled(
    points: Points,
    wanted: Mapping[str, Expr],
    system: System,
    ended: Iterated,
    tolerance: float,
) -> Solution:
    """Return what an iteration found as a Solution, verified, with errors and statuses."""
    formula, flat, shape = points.formula, points.columns, points.shape
    z, status = ended.z, ended.status
    error = np.full_like(z, np.inf)
    rows = np.full((z.shape[0], len(wanted)), np.nan)
    bounds = np.full_like(rows, np.inf)
    edge = np.zeros(status.shape, dtype=bool) if ended.boundary is None else ended.boundary
    if edge.any():
        rows[edge] = boundary_values(formula, wanted, [p[edge] for p in flat])
        error[edge], bounds[edge] = 0.0, 0.0
    good = (status == Status.CONVERGED) & ~edge
    if good.any():
        inner = [p[good] for p in flat]
        # points whose Jacobian is not known (NaN) get one from the verification
        known = bool(np.isfinite(ended.jacobian[good]).all(axis=(1, 2)).any())
        found = verify(
            system,
            z[good],
            inner,
            tolerance,
            tuple(wanted.values()),
            jacobian=ended.jacobian[good] if known else None,
            step=ended.step[good] if known else None,
        )
        z[good], error[good], rows[good], bounds[good] = (
            found.z,
            found.error,
            found.values,
            found.bounds,
        )
        poor = poorly_known(system, z[good], error[good], inner, tolerance).any(axis=1)
        status[np.flatnonzero(good)[poor]] = Status.INACCURATE
        # a point that its error does not tell from the edge is an artefact of the quadrature
        lost = unresolved(system, z[good], error[good], inner, 0.3).any(axis=1)
        status[np.flatnonzero(good)[lost]] = Status.LEFT_DOMAIN
    observables = dict(zip(wanted, rows.T, strict=True))
    spreads = dict(zip(wanted, bounds.T, strict=True))
    exact = np.ones(status.shape, dtype=bool)
    told, stable = edge.copy(), edge.copy()  # a boundary is returned only where it attracts
    if good.any():
        told[good], stable[good] = stable_points(
            formula, system, z[good], inner, _jacobians(ended, good)
        )
    status_word = formula.status
    if formula.stability and formula.stability not in observables:
        status_word = "unchecked"
    elif formula.stability:
        replicon = observables[formula.stability]
        exact = ~(replicon > _STABLE)
    failed = ~np.isin(status, (Status.CONVERGED, Status.INACCURATE))

    def shaped(array: Array) -> Any:
        masked = np.where(failed, np.nan, array)
        return float(masked[0]) if shape == () else masked.reshape(shape)

    names = [str(symbol) for symbol in system.unknowns]
    errors = {name: shaped(error[:, k]) for k, name in enumerate(names)}
    errors.update({name: shaped(spread) for name, spread in spreads.items()})
    told, stable = told & ~failed, stable & ~failed
    leaves = told & ~stable
    validity = np.where(exact, np.where(leaves, "unstable", status_word), "rs-unstable")
    validity = np.where(failed, "", validity)
    note = ""
    if shape == () and leaves[0]:
        kind = "maximum" if formula.equilibrium == "largest" else "minimum"
        note = _LEFT if system.evolves else _NO_EXTREMUM.format(kind)
    if shape == () and status[0] == Status.INACCURATE:
        note = _what_was_reached(dict(zip(names, z[0], strict=True)), errors, tolerance)
    return Solution(
        formula=formula,
        controls={
            name: (float(value) if np.ndim(value) == 0 else value)
            for name, value in points.values.items()
        },
        overlaps={name: shaped(z[:, k]) for k, name in enumerate(names)},
        observables={name: shaped(value) for name, value in observables.items()},
        errors=errors,
        status=Status(int(status[0])) if shape == () else status.reshape(shape),
        validity=str(validity[0]) if shape == () else validity.reshape(shape),
        steps=ended.steps,
        note=note,
        stable=masked(told, stable, shape),
    )


def _what_was_reached(
    overlaps: Mapping[str, float], errors: Mapping[str, float], tolerance: float
) -> str:
    """Say which unknown of a single point is known worst, and how well."""
    worst = max(overlaps, key=lambda name: errors[name] / max(abs(overlaps[name]), 1.0))
    return f"an error of {tolerance:g} was asked for, that of {worst} is {errors[worst]:.1g}"


def _worst(solution: Solution, names: Sequence[str]) -> Array:
    """Return the largest relative error of each point, infinite where there is no solution."""
    rows = [
        np.ravel(solution.errors[name]) / np.maximum(np.abs(np.ravel(solution[name])), 1.0)
        for name in names
    ]
    largest = np.fmax.reduce(rows)
    solved = np.isin(np.ravel(solution.status), (Status.CONVERGED, Status.INACCURATE))
    return np.asarray(np.where(solved & np.isfinite(largest), largest, np.inf))


def beyond_tolerance(solution: Solution, tolerance: float) -> NDArray[np.bool_]:
    """Tell at which points an observable has a bound, and one beyond the tolerance."""
    if not solution.observables:
        return np.zeros(np.size(solution.status), dtype=bool)
    worst = _worst(solution, list(solution.observables))
    return np.asarray(np.isfinite(worst) & (worst > tolerance))


def improved(
    solution: Solution, where: NDArray[np.bool_], other: Solution, tolerance: float
) -> Solution:
    """Return a solution with some of its points from another, where that knows them better.

    Parameters
    ----------
    solution : Solution
        Over a grid, or of a single point.
    where : bool array, shape (points,)
        The points that `other` has, in one dimension; its quantities have the same names.
    tolerance : float
        What was asked for.
    """
    shape = np.shape(solution.status)
    status = np.array(solution.status).reshape(-1)
    names = [*solution.overlaps, *solution.observables]
    worst, before = _worst(other, names), _worst(solution, names)
    known = np.isin(other.status, (Status.CONVERGED, Status.INACCURATE))
    better = known & ~(worst >= before[where])
    taken = np.flatnonzero(where)[better]
    if not taken.size:
        return solution

    def joined(own: Any, new: Any) -> Any:
        column = np.array(own).reshape(-1)
        column[taken] = np.asarray(new)[better]
        return column.reshape(shape) if shape else column[0].item()

    values = {name: joined(solution[name], other[name]) for name in names}
    errors = {name: joined(solution.errors[name], other.errors[name]) for name in names}
    status[taken] = np.asarray(other.status)[better]
    validity = np.array(solution.validity, dtype=object).reshape(-1)
    validity[taken] = np.asarray(other.validity)[better]
    told, stable = unmasked(solution.stable)
    told[taken], stable[taken] = (part[better] for part in unmasked(other.stable))
    note = solution.note if shape else ""
    if not shape and status[0] == Status.INACCURATE:
        overlaps = {name: values[name] for name in solution.overlaps}
        note = _what_was_reached(overlaps, errors, tolerance)
    return replace(
        solution,
        overlaps={name: values[name] for name in solution.overlaps},
        observables={name: values[name] for name in solution.observables},
        errors=errors,
        status=status.reshape(shape) if shape else Status(int(status[0])),
        validity=validity.astype(str).reshape(shape) if shape else str(validity[0]),
        steps=solution.steps + other.steps,
        note=note,
        stable=masked(told, stable, shape),
    )


def _jacobians(ended: Iterated, good: NDArray[np.bool_]) -> Array | None:
    """Return the Jacobians next to the points that converged, None if some are not known."""
    jacobian = ended.jacobian[good]
    return jacobian if np.isfinite(jacobian).all() else None


def with_digits(solution: Solution, system: System, points: Points, digits: int) -> Solution:
    """Return the solution in multi-precision."""
    formula = solution.formula
    roots, spreads, observed, felt = precise_solution(
        system,
        [solution.overlaps[str(symbol)] for symbol in system.unknowns],
        list(points.values.values()) or [1],  # without controls: see `Formula.symbols`
        tuple(formula.observable(name) for name in solution.observables),
        digits,
    )
    names = [*map(str, system.unknowns), *solution.observables]
    texts = {
        name: decimal_text(number, digits)
        for name, number in zip(names, [*roots, *observed], strict=True)
    }
    errors = {
        name: float(max(error, mpmath.mpf(10) ** -digits * abs(number)))
        for name, number, error in zip(names, [*roots, *observed], [*spreads, *felt], strict=True)
    }
    return replace(
        solution,
        texts=texts,
        errors=errors,
        overlaps={name: float(number) for name, number in zip(names, roots, strict=False)},
        status=Status.CONVERGED,
    )
