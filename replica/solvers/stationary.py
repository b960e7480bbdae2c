"""Stationary points looked for across the domains of a few variables, without a start."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sympy import Interval

from replica.solvers.iteration import Newton, iterate
from replica.solvers.solution import Status
from replica.solvers.system import System, has_end

__all__ = ["converged", "places_across", "stationary_points"]

Array = NDArray[np.float64]

_STEPS = 60  # Newton steps at most
_COARSE = -1  # refinement of the means while a stationary point is looked for
_COARSE_LAST_STEP = 1e-4  # relative: the last step of that search
_USUAL = (1.0, 10.0, 100.0)  # distances from an end, or from zero, that are tried first
_SHARES = (0.2, 0.5, 0.8)  # of an interval with two ends
_FINE = tuple(10.0 ** (k / 2) for k in range(-6, 7))  # from a thousandth to a thousand
_SOLVED = 1e-3  # relative: slopes vanish up to this share of their change over the place itself
_NEAR_ZERO = 1e-3  # a place next to zero counts as of this size
_FROM_PLACES = 40  # of the lattice, from which a trust region is started at most


def stationary_points(
    system: System, domains: Sequence[Interval], parameters: list[Array]
) -> Array:
    """Return stationary points found across the domains, shape (points, unknowns); may be none."""
    usual, wide = places_across(domains)
    for places in (usual, wide):
        found = converged(system, np.array(places), parameters, _COARSE)
        found = converged(system, found, parameters)
        if found.shape[0]:
            return found
    return _between_places(system, usual + wide, parameters)


def converged(system: System, starts: Array, parameters: list[Array], refinement: int = 0) -> Array:
    """Return what Newton's method converges to from starts inside the domain, in their order."""
    if starts.shape[0]:
        starts = starts[system.inside(starts, [np.repeat(p, len(starts)) for p in parameters])]
    if not starts.shape[0]:
        return starts
    several = [np.repeat(p, len(starts)) for p in parameters]
    proposal = Newton() if refinement == 0 else Newton(_COARSE_LAST_STEP)
    with np.errstate(all="ignore"):  # places far from any stationary point may overflow
        found = iterate(system, starts, several, proposal, _STEPS, refinement)
        good = found.status == Status.CONVERGED
        residual, jacobian = system.evaluate(found.z, several, refinement)
    # where the Jacobian is singular the last step may be none although the slopes do not vanish
    reach = (np.abs(jacobian) @ np.maximum(np.abs(found.z), _NEAR_ZERO)[..., None])[..., 0]
    good &= ((np.abs(residual) <= _SOLVED * reach) & (reach > 0)).all(axis=1)
    return np.asarray(found.z[good])


def _between_places(
    system: System, places: Sequence[tuple[float, ...]], parameters: list[Array]
) -> Array:
    """Return stationary points between places from which Newton's method leads elsewhere.

    One variable: where the slope changes its sign. Several: by a trust region, in variables that
    cannot leave the domain.
    """
    from scipy import optimize  # imported where it is needed: it takes a tenth of a second

    if system.size == 1:
        grid = np.unique(np.array(places))
        slope = system.residual(grid, *(np.repeat(p, grid.size) for p in parameters))[0]
        turns = np.flatnonzero(slope[:-1] * slope[1:] < 0)

        def at(x: float) -> float:
            return float(system.residual(np.array([x]), *parameters)[0][0])

        roots = [optimize.brentq(at, grid[k], grid[k + 1]) for k in turns]
        return converged(system, np.array(roots).reshape(-1, 1), parameters)

    low, high = (bound[0] for bound in system.bounds(np.array(places[:1]), parameters))

    def slopes(free: Array) -> Array:
        at_place = system.residual(*_inside(free, low, high)[:, None], *parameters)
        return np.array([x.item() for x in at_place])

    for place in places[:_FROM_PLACES]:
        with np.errstate(all="ignore"):
            found = optimize.root(slopes, _free(np.array(place), low, high))
        if found.success:
            point = _inside(found.x, low, high)[None, :]
            polished = converged(system, point, parameters)
            if polished.shape[0]:
                return polished
    return np.zeros((0, system.size))


def _inside(free: Array, low: Array, high: Array) -> Array:
    """Return places inside of a domain from numbers that may have any value."""
    one, two = has_end(low), has_end(high)
    grown = np.exp(np.clip(free, -300, 300))
    inner = low + (high - low) * grown / (1 + grown)
    ends = np.where(one, low + grown, np.where(two, high - grown, free))
    return np.where(one & two, inner, ends)


def _free(place: Array, low: Array, high: Array) -> Array:
    one, two = has_end(low), has_end(high)
    inner = np.log((place - low) / (high - place))
    ends = np.where(one, np.log(place - low), np.where(two, np.log(high - place), place))
    return np.where(one & two, inner, ends)


def places_across(
    domains: Sequence[Interval],
) -> tuple[list[tuple[float, ...]], list[tuple[float, ...]]]:
    """Return the usual places across the domains, then places on several scales.

    Examples
    --------
    >>> from sympy import oo
    >>> places_across([Interval.open(0, oo)])[0]
    [(1.0,), (10.0,), (100.0,)]
    """
    fine = _FINE if len(domains) < 3 else _FINE[::2]
    shares = [scale / (1 + scale) for scale in fine]
    usual = itertools.product(*(_spread(domain, _USUAL, _SHARES) for domain in domains))
    wide = itertools.product(*(_spread(domain, fine, shares) for domain in domains))
    return list(usual), list(wide)


def _spread(interval: Interval, scales: Sequence[float], shares: Sequence[float]) -> list[float]:
    """Return places at these distances from an end of an interval or from zero, or shares of it."""
    low, high = interval.start, interval.end
    if low.is_finite and high.is_finite:
        return [float(low) + float(high - low) * share for share in shares]
    if low.is_finite:
        return [float(low) + scale for scale in scales]
    if high.is_finite:
        return [float(high) - scale for scale in scales]
    return [0.0, *(side * scale for scale in scales for side in (1, -1))]
