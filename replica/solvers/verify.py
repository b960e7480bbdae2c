r"""Refinement of solutions until their errors are below a tolerance, and bounds on all errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sympy import Expr

from replica.solvers.equations import Equations
from replica.solvers.matrices import inverses, scale

__all__ = ["Verified", "poorly_known", "unresolved", "verify"]

Array = NDArray[np.float64]

_SLOPE_REFINEMENT = -2  # of the quadrature: coarse, enough for the slope of an observable
_SLOPE_ERROR = 0.1  # relative error that such a slope is taken to have
_SMALL_CORRECTION = 1e-8  # relative: up to this the square of a correction is below rounding
_STALE_JACOBIAN = 0.05  # relative error of a Jacobian from which on it is evaluated anew
_COARSE_JACOBIAN_ERROR = 1e-2  # relative error that a Jacobian of a coarse rule has at least
_UNRESOLVED = 1e-2  # largest error of an unknown, as a part of its distance to an open end
_UNDERFLOW = 1e-290  # next to the smallest double: an unknown below this is zero


@dataclass(frozen=True)
class Verified:
    """Solutions (points, unknowns) and observables (points, count), with bounds on the errors."""

    z: Array
    error: Array
    values: Array
    bounds: Array


def verify(
    system: Equations,
    z: Array,
    parameters: Sequence[Array],
    tolerance: float,
    observables: tuple[Expr, ...] = (),
    refinement: int = 0,
    jacobian: Array | None = None,
    step: Array | None = None,
    wanted: Sequence[int] | None = None,
    finest: int | None = None,
) -> Verified:
    r"""Refine solutions until their errors are below `tolerance`; bound all errors.

    The error of the unknowns is :math:`|J^{-1}| (|F| + \Delta F)` with the bound
    :math:`\Delta F` of the kernel, so a solution that a finer quadrature would move is never
    called accurate. To the kernel's bound on an observable comes what the errors of the
    unknowns do to it, measured by moving each: at a saddle the potential hardly feels them.

    Parameters
    ----------
    z : array, shape (points, unknowns)
        Solutions of a possibly coarser quadrature.
    parameters : sequence of arrays, shape (points,)
    tolerance : float
        Relative above one, for unknowns and observables.
    observables : tuple of Expr
        Evaluated in the same pass as the equations.
    refinement : int
        Where to begin.
    jacobian : array, shape (points, unknowns, unknowns), optional
        A Jacobian near the solutions, which saves evaluating another.
    step : array, shape (points, unknowns), optional
        The Newton step that led to the solutions, not longer than they are from where
        `jacobian` was taken. With it the pass that bounds the equations also corrects.
    wanted : sequence of int, optional
        Unknowns that are refined to `tolerance`, by default all. Next to a fold the overlaps
        are lost to rounding long before the control is, whatever the rule.
    finest : int, optional
        Where to end; by default where the system says.
    """
    n, count = system.size, len(observables)
    z = z.copy()
    error = np.full(z.shape, np.inf)
    values = np.full((z.shape[0], count), np.nan)
    bounds = np.full((z.shape[0], count), np.inf)
    left = np.arange(z.shape[0])
    for level in range(refinement, (system.finest if finest is None else finest) + 1):
        chosen = [p[left] for p in parameters]
        point, reach, found, spread, moved = _bounded(
            system, observables, z[left], chosen, level, jacobian, step
        )
        jacobian = step = None
        total = spread[:, n:]
        value = found[:, n:]
        if count and n:
            slopes = _slopes(system, observables, point, reach, chosen)
            with np.errstate(invalid="ignore"):
                total = total + np.einsum("pkc,pk->pc", np.abs(slopes), reach)
                # the values belong to the points before the correction: take them along
                value = value + np.einsum("pkc,pk->pc", slopes, moved)
                total += _SLOPE_ERROR * np.einsum("pkc,pk->pc", np.abs(slopes), np.abs(moved))
            total = np.where(np.isfinite(total), total, np.inf)
        # a finer rule may also do worse, far in a tail: keep what has the smaller error
        better = (reach.sum(axis=1) < error[left].sum(axis=1)) | (level == refinement)
        kept = left[better]
        z[kept], error[kept] = point[better], reach[better]
        # one by one: an observable without a bound must not spoil the others
        better = (total < bounds[left]) | np.isnan(values[left])
        values[left] = np.where(better, value, values[left])
        bounds[left] = np.where(better, total, bounds[left])
        poor = poorly_known(system, z[left], error[left], chosen, tolerance, wanted).any(axis=1)
        poor |= (bounds[left] > tolerance * scale(values[left])).any(axis=1)
        left = left[poor]
        if left.size == 0:
            break
    return Verified(z, error, values, bounds)


def poorly_known(
    system: Equations,
    z: Array,
    error: Array,
    parameters: Sequence[Array],
    tolerance: float,
    wanted: Sequence[int] | None = None,
) -> NDArray[np.bool_]:
    """Tell which unknowns are not known to `tolerance`, or not told from the edge."""
    if not system.size:
        return np.zeros(z.shape, dtype=bool)
    coarse = error > tolerance * scale(z)
    if wanted is not None:
        coarse[:, [k for k in range(system.size) if k not in wanted]] = False
    return np.asarray(coarse | unresolved(system, z, error, parameters, _UNRESOLVED))


def unresolved(
    system: Equations, z: Array, error: Array, parameters: Sequence[Array], share: float
) -> NDArray[np.bool_]:
    """Tell which unknowns have an error beyond a share of their distance to an open end.

    What is smaller than the smallest double is zero, and known to be.
    """
    low, _ = system.bounds(z, parameters)
    nothing = system.open_low & (low == 0) & (z < _UNDERFLOW) & (error < _UNDERFLOW)
    return np.asarray((error > share * system.room(z, parameters)) & ~nothing)


def _bounded(
    system: Equations,
    observables: tuple[Expr, ...],
    z: Array,
    parameters: Sequence[Array],
    refinement: int,
    jacobian: Array | None,
    step: Array | None,
) -> tuple[Array, Array, Array, Array, Array]:
    """Return corrected points, their errors, values of all expressions, bounds, and corrections.

    The values belong to the points before the correction.
    """
    points, n = z.shape
    moved = np.zeros_like(z)
    if not n:
        found, spread = system.bounded(z, parameters, refinement, observables)
        return z, moved, found, spread, moved
    corrected = np.zeros(points, dtype=bool)
    inverse = np.zeros((points, n, n))
    reach = np.full_like(z, np.inf)
    if jacobian is not None and step is not None:
        inverse = inverses(jacobian, system.room(z, parameters))
        found, spread = system.bounded(z, parameters, refinement, observables)
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            moved = -np.einsum("pij,pj->pi", inverse, found[:, :n])
            size, before = np.abs(moved).max(axis=1), np.abs(step).max(axis=1)
            # the smaller this step is next to the one before, the better the Jacobian still is
            rate = np.where(size > 0, np.maximum(4 * size / before, _COARSE_JACOBIAN_ERROR), 0.0)
            small = np.abs(moved) <= _SMALL_CORRECTION * system.room(z, parameters)
        corrected = small.all(axis=1) & (rate < _STALE_JACOBIAN)
        corrected &= system.inside(np.where(corrected[:, None], z + moved, z), parameters)
        reach = rate[:, None] * np.abs(moved)
        moved[~corrected] = 0.0
    else:
        found = np.empty((points, n + len(observables)))
        spread = np.empty_like(found)
    if not corrected.all():
        slow = np.flatnonzero(~corrected)
        some = [p[slow] for p in parameters]
        z = z.copy()
        # a Jacobian too poor for a correction is too poor for a bound: evaluate another
        z[slow], inverse[slow] = _last_step(system, z[slow], some, refinement)
        found[slow], spread[slow] = system.bounded(z[slow], some, refinement, observables)
        with np.errstate(invalid="ignore", over="ignore"):
            residual = np.abs(found[slow, :n])
            reach[slow] = np.einsum("pij,pj->pi", np.abs(inverse[slow]), residual)
    with np.errstate(invalid="ignore", over="ignore"):
        reach = reach + np.einsum("pij,pj->pi", np.abs(inverse), spread[:, :n])
    reach += 2.0**-52 * np.abs(z)
    return z + moved, np.where(np.isfinite(reach), reach, np.inf), found, spread, moved


def _last_step(
    system: Equations, z: Array, parameters: Sequence[Array], refinement: int
) -> tuple[Array, Array]:
    """Return solutions moved by the Newton step of this rule, and inverse Jacobians."""
    residual, jacobian = system.evaluate(z, parameters, refinement)
    inverse = inverses(jacobian, system.room(z, parameters))
    with np.errstate(invalid="ignore"):
        trial = z - np.einsum("pij,pj->pi", inverse, residual)
        small = np.abs(trial - z) <= 1e-2 * system.room(z, parameters)
    ok = small.all(axis=1) & system.inside(np.where(small, trial, z), parameters)
    return np.where(ok[:, None], trial, z), inverse


def _slopes(
    system: Equations,
    observables: tuple[Expr, ...],
    z: Array,
    error: Array,
    parameters: Sequence[Array],
) -> Array:
    """Return how observables change with unknowns, measured over the size of the errors.

    Shape (points, unknowns, count); where a value is not finite, neither is its slope.
    """
    low, high = system.bounds(z, parameters)
    before = system.observed(observables, z, parameters, _SLOPE_REFINEMENT)
    slopes = np.empty((z.shape[0], system.size, len(observables)))
    # next to an end of a domain an observable changes over the distance to that end
    room = np.maximum(system.room(z, parameters), 1e-290)
    for k in range(system.size):
        # a shift as small as the error may drown in rounding: move enough to see a slope
        size = np.where(np.isfinite(error[:, k]), error[:, k], 0.0)
        step = np.maximum(size, 1e-7 * room[:, k])
        up = z[:, k] + step <= high[:, k]
        step = np.where(up, step, -np.minimum(step, 0.5 * (z[:, k] - low[:, k])))
        moved = z.copy()
        moved[:, k] += step
        after = system.observed(observables, moved, parameters, _SLOPE_REFINEMENT)
        slopes[:, k] = (after - before) / np.where(step == 0, 1e-300, step)[:, None]
    return np.where(np.isnan(slopes), np.inf, slopes)
