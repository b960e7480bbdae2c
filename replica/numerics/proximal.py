r"""Proximal points as numbers: the root x of :math:`x + V g'(x) = \omega`, elementwise.

The left side rises at least as fast as x, so the root is bracketed from the start, between
:math:`\omega` and :math:`\omega - V g'(\omega)`. Newton's method from the point of that bracket
nearest to zero is monotone for losses that are steepest there, and a step that leaves the bracket
is replaced by bisection: plain Newton's method falls into a two-cycle at large V. A point whose
residual is not at the level of rounding is returned as not a number.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray

from replica.language.curves import CURVES, t
from replica.language.rewriting import stabilise
from replica.numerics.codegen import compiled, compiled_precisely
from replica.numerics.functions import FUNCTIONS

__all__ = ["precise_proximal", "proximal", "proximal_rounding", "proximal_slopes"]

Array = NDArray[np.float64]

_UNIT = 2.0**-53
_NEWTON, _MOST = 25, 160  # steps after which every other one bisects, and steps at most
_LEVEL, _ACCEPTED = 4, 64  # residual, in rounding units of its terms: to stop at, and to accept


@lru_cache(maxsize=256)
def _compiled(key: str) -> tuple[Any, float, float]:
    """Return slope and curvature of a curve as one function of arrays, and its ends."""
    curve = CURVES[key]
    slope = stabilise(curve.expression).diff(t)
    function = compiled((t,), (slope, slope.diff(t)), FUNCTIONS)
    return function, float(curve.low), float(curve.high)


@lru_cache(maxsize=256)
def _compiled_precisely(key: str) -> Any:
    slope = stabilise(CURVES[key].expression).diff(t)
    return compiled_precisely((t,), (slope, slope.diff(t)), FUNCTIONS)


def proximal(key: str, omega: Array, V: Array) -> Array:
    """Return the proximal points of the curve with this key; NaN where none was reached."""
    omega, V = np.broadcast_arrays(np.asarray(omega, dtype=float), np.asarray(V, dtype=float))
    shape = omega.shape
    result = np.full(omega.size, np.nan)
    with np.errstate(all="ignore"):
        good = (np.isfinite(omega) & np.isfinite(V) & (V >= 0)).reshape(-1)
        left = np.flatnonzero(good)
        result[left] = _roots(key, omega.reshape(-1)[left], V.reshape(-1)[left])
    return result.reshape(shape)


def _roots(key: str, omega: Array, V: Array) -> Array:
    function, start, end = _compiled(key)
    result = np.full(omega.size, np.nan)
    active = np.arange(omega.size)
    force = V * function(np.clip(omega, start, end))[0]
    low = np.clip(np.minimum(omega, omega - force), start, end)
    high = np.clip(np.maximum(omega, omega - force), start, end)
    # where the slope overflows to NaN the bracket ends at omega itself
    low, high = (np.where(np.isnan(edge), omega, edge) for edge in (low, high))
    x = np.clip(0.0, low, high)
    for step in range(_MOST):
        slope, curvature = function(x)
        residual = x + V * slope - omega
        size = _terms(x, slope, curvature, omega, V)
        low = np.where(residual <= 0, x, low)
        high = np.where(residual >= 0, x, high)
        done = np.isfinite(size) & (np.abs(residual) <= _LEVEL * _UNIT * size)
        done |= high - low <= 2 * _UNIT * np.abs(x)
        if done.any():
            believed = np.isfinite(size)
            believed &= np.abs(residual) <= _ACCEPTED * _UNIT * (size + high - low)
            believed |= (x <= start) & (residual > 0)  # the minimum is at an end of the curve
            believed |= (x >= end) & (residual < 0)
            believed &= done
            # one more Newton step, from slope and curvature that are known already
            last = np.clip(x - residual / (1 + V * curvature), start, end)
            result[active[believed]] = np.where(np.isfinite(last), last, x)[believed]
            going = ~done
            active = active[going]
            if active.size == 0:
                break
            x, low, high, omega, V = (a[going] for a in (x, low, high, omega, V))
            residual, curvature = residual[going], (curvature + 0 * slope)[going]
        trial = x - residual / (1 + V * curvature)
        outside = ~((trial >= low) & (trial <= high))
        if step >= _NEWTON and step % 2:
            outside[:] = True
        x = np.where(outside, low + 0.5 * (high - low), trial)
    return result


def _terms(x: Any, slope: Any, curvature: Any, omega: Any, V: Any) -> Any:
    """Return the size of the terms of the equation, with what rounding of x does to the slope."""
    return abs(omega) + abs(x) * (1 + V * curvature) + V * abs(slope)


def _at(key: str, omega: Array, V: Array) -> tuple[Array, Array, Array]:
    x = proximal(key, omega, V)
    with np.errstate(all="ignore"):
        slope, curvature = _compiled(key)[0](x)
        return x, np.abs(slope), 1 / (1 + V * curvature)


def proximal_slopes(key: str, omega: Array, V: Array) -> tuple[Array | float, ...]:
    """Return bounds on the derivatives of the proximal point."""
    _, slope, softness = _at(key, omega, V)
    return 0.0, softness, slope * softness


def proximal_rounding(key: str, omega: Array, V: Array) -> Array:
    """Return the rounding of the equation, over how fast it rises."""
    x, slope, softness = _at(key, omega, V)
    return np.abs(x) + (V * slope + np.abs(omega)) * softness


def precise_proximal(key: str, omega: mpmath.mpf, V: mpmath.mpf) -> mpmath.mpf:
    """Return the proximal point with the working precision of mpmath."""
    function = _compiled_precisely(key)
    start, end = (mpmath.mpf(float(edge)) for edge in (CURVES[key].low, CURVES[key].high))
    with mpmath.workprec(mpmath.mp.prec + 20):
        unit = mpmath.mpf(2) ** (8 - mpmath.mp.prec)
        inside = min(max(omega, start), end)
        force = V * function(inside)[0]
        low = min(max(min(omega, omega - force), start), end)
        high = min(max(max(omega, omega - force), start), end)
        x = min(max(mpmath.mpf(0), low), high)
        for step in range(20 * _MOST):
            slope, curvature = function(x)
            residual = x + V * slope - omega
            low, high = (x, high) if residual <= 0 else (low, x)
            level = unit * _terms(x, slope, curvature, omega, V)
            if abs(residual) <= level or high - low <= unit * abs(x):
                return x
            trial = x - residual / (1 + V * curvature)
            halve = not low <= trial <= high or (step >= _NEWTON and step % 2)
            x = (low + high) / 2 if halve else trial
    return mpmath.nan
