r"""Roots of equations as numbers: Newton's method inside a bracket, elementwise.

Between the ends of its branch an equation changes sign once. A Newton step that leaves the bracket
is replaced by bisection, on a logarithmic scale where the bracket spans decades, and so is every
third step once Newton's method is slow. A point whose residual is not at the level of rounding, as
at a pole, is returned as not a number.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray
from sympy import Abs, Add, Expr, Mul, Pow

from replica.language.implicit import EQUATIONS, root
from replica.numerics.codegen import compiled, compiled_precisely
from replica.numerics.functions import FUNCTIONS
from replica.numerics.implementation import Implementation

__all__ = ["IMPLICIT"]

Array = NDArray[np.float64]

_UNIT = 2.0**-53
_NEWTON, _MOST = 8, 400  # steps after which every third one bisects, and steps at most
_LEVEL, _ACCEPTED = 4, 64  # residual, in rounding units of its terms: to stop at, and to accept
_NEAREST = 1e-12  # distance to an end, relative above one, from which it is looked at
_NEXT_TO_ZERO = 1e-300  # the same for an end at zero
_REACHES = 10.0 ** np.array([0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128, 256, 307])
_DECADES = 16.0  # ratio of the ends of a bracket from which it is halved on a logarithmic scale


def _size(expression: Expr) -> Expr:
    """Return the size of the terms that cancel in an expression."""
    if isinstance(expression, (Add, Mul)):
        return expression.func(*(_size(part) for part in expression.args))
    if isinstance(expression, Pow) and expression.exp.is_Integer and expression.exp > 0:
        return _size(expression.base) ** expression.exp
    return Abs(expression)


@lru_cache(maxsize=256)
def _compiled(key: str) -> tuple[Any, Any, Any]:
    """Return residual, rise and terms of an equation; its slopes in the parameters; its ends."""
    equation = EQUATIONS[key]
    vanishing, arguments = equation.expression, (root, *equation.parameters)
    rise = vanishing.diff(root)
    known = {**FUNCTIONS, "ImplicitRoot": IMPLICIT}
    slopes = tuple(vanishing.diff(parameter) for parameter in equation.parameters)
    return (
        compiled(arguments, (vanishing, rise, _size(vanishing)), known),
        compiled(arguments, slopes, known),
        compiled(equation.parameters, (equation.low, equation.high), known),
    )


@lru_cache(maxsize=256)
def _compiled_precisely(key: str) -> Any:
    equation = EQUATIONS[key]
    known = {**FUNCTIONS, "ImplicitRoot": IMPLICIT}
    both = (equation.expression, equation.expression.diff(root))
    return compiled_precisely((root, *equation.parameters), both, known)


class _Problem:
    """One equation at many values of its parameters, arrays of one dimension."""

    def __init__(self, key: str, parameters: list[Array], size: int) -> None:
        self.function, _, ends = _compiled(key)
        self.parameters, self.count = parameters, size
        low, high = (np.broadcast_to(np.asarray(end, float), size) for end in ends(*parameters))
        self.low, self.high = low.copy(), high.copy()

    def at(self, x: Array, where: Any = slice(None)) -> list[Array]:
        """Return residual, rise and size of the terms."""
        found = self.function(x, *(p[where] for p in self.parameters))
        return [np.broadcast_to(np.asarray(part, dtype=float), x.shape) for part in found]


def implicit_root(key: str, *parameters: Any) -> Array:
    """Return the roots of the equation with this key; NaN where there is not exactly one."""
    arrays = np.broadcast_arrays(*(np.asarray(p, dtype=float) for p in parameters), np.zeros(()))
    flat = [array.reshape(-1) for array in arrays[:-1]]
    with np.errstate(all="ignore"):
        found = _roots(_Problem(key, flat, arrays[-1].size))
    return found.reshape(arrays[-1].shape)


def _roots(problem: _Problem) -> Array:
    low, high, first, last = _bracketed(problem)
    result = _at_ends(problem, left=low, right=high)
    sign = np.sign(first)
    active = np.flatnonzero(sign * np.sign(last) < 0)
    largest = np.fmax(np.abs(first), np.abs(last))
    low, high, sign = low[active], high[active], sign[active]
    x = _halved(low, high)
    for step in range(_MOST):
        if not active.size:
            break
        residual, rise, terms = problem.at(x, active)
        size = terms + np.abs(x * rise)
        size[~np.isfinite(size)] = 0.0  # next to a pole nothing is known of rounding
        same = np.sign(residual) == sign
        low, high = np.where(same, x, low), np.where(same, high, x)
        level = np.abs(residual) <= _LEVEL * _UNIT * size
        done = level | (high - low <= 2 * _UNIT * np.abs(x)) | (residual == 0)
        if done.any():
            believed = np.isfinite(residual) & (np.abs(residual) <= largest[active])
            believed &= (np.abs(residual) <= _ACCEPTED * _UNIT * size) & done
            result[active[believed]] = x[believed]
            going = ~done
            active = active[going]
            x, low, high, sign, residual, rise = (
                part[going] for part in (x, low, high, sign, residual, rise)
            )
        trial = x - residual / rise
        outside = ~((trial > low) & (trial < high))
        if step >= _NEWTON and step % 3 == 0:
            outside[:] = True
        x = np.where(outside, _halved(low, high), trial)
    return result


def _halved(low: Array, high: Array) -> Array:
    """Return the middle of a bracket, on a logarithmic scale where it spans decades."""
    middle = low + 0.5 * (high - low)
    apart = (np.sign(low) * np.sign(high) > 0) & (
        np.maximum(np.abs(low), np.abs(high)) > _DECADES * np.minimum(np.abs(low), np.abs(high))
    )
    return np.where(apart, np.sign(low) * np.sqrt(np.abs(low)) * np.sqrt(np.abs(high)), middle)


def _bracketed(problem: _Problem) -> tuple[Array, Array, Array, Array]:
    """Return two places in each branch, and the residuals there: of opposite signs, if any are."""
    low, high = problem.low, problem.high
    near = np.isfinite(low), np.isfinite(high)
    left = np.where(low == 0, _NEXT_TO_ZERO, low + _NEAREST * np.maximum(np.abs(low), 1))
    right = np.where(high == 0, -_NEXT_TO_ZERO, high - _NEAREST * np.maximum(np.abs(high), 1))
    # with an end at infinity, ever farther from the other one, or from zero
    left = np.where(near[0], left, np.where(near[1], right, 0.0))
    right = np.where(near[1], right, left)
    first, last = problem.at(left)[0].copy(), problem.at(right)[0].copy()
    for reach in _REACHES:
        seeking = ~(np.sign(first) * np.sign(last) < 0)
        for far, place, seen, way in ((~near[1], right, last, 1), (~near[0], left, first, -1)):
            some = np.flatnonzero(seeking & far)
            if not some.size:
                continue
            anchor = np.where(near[0], low, np.where(near[1], high, 0.0))[some]
            moved = anchor + way * reach
            value = problem.at(moved, some)[0]
            known = ~np.isnan(value)
            # what had the same sign closer by is the nearer place of the bracket
            other = left if way > 0 else right
            other_seen = first if way > 0 else last
            turned = known & (np.sign(value) * np.sign(other_seen[some]) < 0)
            both = near[0][some] | near[1][some]
            kept = some[turned & both & (np.sign(seen[some]) * np.sign(other_seen[some]) > 0)]
            other[kept], other_seen[kept] = place[kept], seen[kept]
            place[some[known]], seen[some[known]] = moved[known], value[known]
    return left, right, first, last


def _at_ends(problem: _Problem, left: Array, right: Array) -> Array:
    """Return where an equation holds at the ends of a bracket or of the branch, NaN elsewhere.

    An end that is a root whatever the parameters, as s = 0 of s = tanh(b s), has no terms.
    """
    result = np.full(problem.count, np.nan)
    ends = (problem.low, problem.high)
    others = (
        np.where(np.isinf(end), place, np.nan)
        for end, place in zip(ends, (left, right), strict=True)
    )
    for place in (*ends, *others):
        residual, rise, terms = problem.at(place)
        size = terms + np.abs(place * rise)
        holds = np.isfinite(size) & (size > 0) & (np.abs(residual) <= _LEVEL * _UNIT * size)
        result = np.where(holds, place, result)
    return result


def _at(key: str, parameters: tuple[Any, ...]) -> tuple[Array, list[Array], Array, list[Array]]:
    x = _again(key, parameters)
    function, slopes, _ = _compiled(key)
    with np.errstate(all="ignore"):
        _, rise, terms = function(x, *parameters)
        return x, [np.asarray(s) for s in slopes(x, *parameters)], np.abs(rise), terms


_LAST = threading.local()  # of each thread: quadrature works in several


def _again(key: str, parameters: tuple[Any, ...]) -> Array:
    """Return the roots, those of the call just before where it is the same one.

    A bound on the error asks for the value, its slopes and its rounding, in turn.
    """
    before = getattr(_LAST, "call", None)
    if before is not None and before[0] == key and len(before[1]) == len(parameters):
        if all(one is other for one, other in zip(before[1], parameters, strict=True)):
            return np.asarray(before[2])
    found = implicit_root(key, *parameters)
    _LAST.call = key, parameters, found
    return found


def _value(key: str, *parameters: Any) -> Array:
    return _again(key, parameters)


def _slopes(key: str, *parameters: Any) -> tuple[Any, ...]:
    _, slopes, rise, _ = _at(key, parameters)
    return 0.0, *(np.abs(slope) / rise for slope in slopes)


def _rounding(key: str, *parameters: Any) -> Any:
    """Return the rounding of the terms of the equation, over how fast it rises."""
    x, _, rise, terms = _at(key, parameters)
    return np.abs(x) + terms / rise


def _precise(key: str, *parameters: mpmath.mpf) -> mpmath.mpf:
    """Return the root with the working precision of mpmath, by Newton's method from the double."""
    start = float(implicit_root(key, *map(float, parameters)))
    if not np.isfinite(start):
        return mpmath.nan
    function = _compiled_precisely(key)
    with mpmath.workprec(mpmath.mp.prec + 20):
        x = mpmath.mpf(start)
        for _ in range(_NEWTON + mpmath.mp.prec.bit_length()):
            residual, rise = function(x, *parameters)
            if rise == 0:
                return mpmath.nan
            change = residual / rise
            x -= change
            if abs(change) <= mpmath.mpf(2) ** (12 - mpmath.mp.prec) * abs(x):
                return x
    return mpmath.nan


IMPLICIT = Implementation(_value, _slopes, _precise, rounding=_rounding)
"""The root of an equation, named by its key, at values of its parameters."""
