r"""Lowest points of landscapes as numbers, elementwise: scanned for, then polished.

A scan, fine near zero and out to where the landscape has grown, finds the lowest valleys; Newton's
method, held within each valley by bisection, finds their floors, and the lowest floor is taken. Of
equally low ones, that which the sign of the mirrored parameter favours as it comes to zero.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray
from sympy import Abs, Add

from replica.language.curves import t
from replica.language.minima import LANDSCAPES
from replica.numerics.codegen import compiled, compiled_precisely
from replica.numerics.functions import FUNCTIONS
from replica.numerics.implementation import Implementation

__all__ = ["MINIMA"]

Array = NDArray[np.float64]

_SCAN = np.sinh(np.linspace(-5, 5, 257)) / np.sinh(5)
_FIRST, _WIDEST = 8.0, 1e8  # half ranges of the first scan and of the last
_VALLEYS = 3  # that are polished
_NEWTON, _MOST = 20, 120  # steps after which every other one bisects, and steps at most
_EQUAL = 2.0**-46  # relative difference up to which two floors are equally low
_FLAT = 1e-6  # slope, in units of its terms, that is no floor


@lru_cache(maxsize=256)
def _compiled(key: str) -> tuple[Any, Any, Any]:
    """Return height, slope and curvature; their sizes and derivatives; the slope in mpmath."""
    landscape = LANDSCAPES[key]
    symbols = (t, *landscape.names)
    height = landscape.expression
    slope = height.diff(t)
    sizes = [Add(*(Abs(term) for term in Add.make_args(e))) for e in (height, slope)]
    mirrored = landscape.names[landscape.mirrored[0]] if landscape.mirrored else None
    favour = height.diff(mirrored) if mirrored is not None else height * 0
    changes = [e.diff(name) for e in (height, slope) for name in landscape.names]
    return (
        compiled(symbols, (height, slope, slope.diff(t)), FUNCTIONS),
        compiled(symbols, (slope.diff(t), favour, *sizes, *changes), FUNCTIONS),
        compiled_precisely(symbols, (height, slope, slope.diff(t)), FUNCTIONS),
    )


def lowest_point(key: str, side: Any, *values: Any) -> Array:
    """Return the lowest points of the landscape with this key; NaN where there is none."""
    arrays = np.broadcast_arrays(*(np.asarray(v, dtype=float) for v in (side, *values)))
    flat = [array.reshape(-1) for array in arrays]
    with np.errstate(all="ignore"):
        found = _lowest(key, flat[0], flat[1:])
    return found.reshape(arrays[0].shape)


def _lowest(key: str, side: Array, values: list[Array]) -> Array:
    function, details, _ = _compiled(key)
    columns = [v[:, None] for v in values]
    reach = np.full(side.size, _FIRST)
    while True:
        grid = reach[:, None] * _SCAN
        height = np.broadcast_to(function(grid, *columns)[0], grid.shape)
        height = np.where(np.isnan(height), np.inf, height)
        lowest = height.argmin(axis=1)
        # the lowest valley well within, and a landscape that rises to the ends
        within = (lowest > 8) & (lowest < _SCAN.size - 9)
        within &= (height[:, 0] >= height[:, 1]) & (height[:, -1] >= height[:, -2])
        if within.all() or reach.max() > _WIDEST:
            break
        reach = np.where(within, reach, 2 * reach)
    valley = (height[:, 1:-1] <= height[:, :-2]) & (height[:, 1:-1] <= height[:, 2:])
    ranked = np.argsort(np.where(valley, height[:, 1:-1], np.inf), axis=1)[:, :_VALLEYS]
    rows = np.arange(side.size)[:, None]
    low, high = grid[rows, ranked], grid[rows, ranked + 2]
    floors = _polished(function, low, high, columns)
    depth, slope, bend = (np.broadcast_to(e, floors.shape) for e in function(floors, *columns))
    parts = [np.broadcast_to(e, floors.shape) for e in details(floors, *columns)[:4]]
    is_floor = valley[rows, ranked] & (bend >= 0) & (np.abs(slope) <= _FLAT * (1 + parts[3]))
    depth = np.where(is_floor, depth, np.inf)
    deepest = depth.min(axis=1, keepdims=True)
    equal = depth <= deepest + _EQUAL * (1 + np.abs(deepest))
    choice = np.where(side[:, None] == 0, depth, side[:, None] * parts[1])
    best = np.where(equal, choice, np.inf).argmin(axis=1)
    known = within & np.isfinite(deepest[:, 0])
    return np.where(known, floors[np.arange(side.size), best], np.nan)


def _polished(function: Any, low: Array, high: Array, columns: list[Array]) -> Array:
    """Return where the slope passes through zero between two places."""
    x = 0.5 * (low + high)
    for step in range(_MOST):
        _, slope, bend = function(x, *columns)
        low, high = np.where(slope <= 0, x, low), np.where(slope >= 0, x, high)
        trial = x - slope / bend
        outside = ~((trial >= low) & (trial <= high))
        if step >= _NEWTON and step % 2:
            outside[:] = True
        moved = np.where(outside, 0.5 * (low + high), trial)
        if np.all((moved == x) | (np.abs(moved - x) <= 1e-16 * np.abs(x))):
            break
        x = moved
    return x


def lowest_value(key: str, *values: Any) -> Array:
    """Return the minima of the landscape with this key."""
    point = lowest_point(key, 0.0, *values)
    with np.errstate(all="ignore"):
        return np.asarray(_compiled(key)[0](point, *values)[0])


def _details(key: str, side: Any, values: tuple[Any, ...]) -> tuple[Array, list[Any]]:
    point = lowest_point(key, side, *values)
    with np.errstate(all="ignore"):
        return point, list(_compiled(key)[1](point, *values))


def _point_slopes(key: str, side: Any, *values: Any) -> tuple[Any, ...]:
    _, (bend, _, _, _, *changes) = _details(key, side, values)
    return 0.0, 0.0, *(np.abs(c / bend) for c in changes[len(values) :])


def _value_slopes(key: str, *values: Any) -> tuple[Any, ...]:
    _, (_, _, _, _, *changes) = _details(key, 0.0, values)
    return 0.0, *(np.abs(c) for c in changes[: len(values)])


def _point_rounding(key: str, side: Any, *values: Any) -> Array:
    point, (bend, _, _, size, *_) = _details(key, side, values)
    return np.asarray(np.abs(point) + 8 * size / np.abs(bend))


def _value_rounding(key: str, *values: Any) -> Array:
    _, (_, _, size, *_) = _details(key, 0.0, values)
    return np.asarray(8 * size)


def precise_point(key: str, side: Any, *values: Any) -> mpmath.mpf:
    """Return the lowest point with the working precision of mpmath."""
    start = float(lowest_point(key, float(side), *(float(v) for v in values)))
    x = mpmath.mpf(start)
    function = _compiled(key)[2]
    with mpmath.workprec(mpmath.mp.prec + 20):
        for _ in range(8 + mpmath.mp.prec.bit_length()):
            _, slope, bend = function(x, *values)
            if not slope:
                break
            x -= slope / bend
    return +x


def precise_value(key: str, *values: Any) -> mpmath.mpf:
    """Return the minimum with the working precision of mpmath."""
    return _compiled(key)[2](precise_point(key, 0, *values), *values)[0]


MINIMA: dict[str, Implementation] = {
    "LowestPoint": Implementation(
        lowest_point, _point_slopes, precise_point, rounding=_point_rounding
    ),
    "LowestValue": Implementation(
        lowest_value, _value_slopes, precise_value, rounding=_value_rounding
    ),
}
