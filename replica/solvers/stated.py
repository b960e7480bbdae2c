r"""Stated updates, compared with the derivative of the potential before any number is returned.

A formula may say what its saddle-point equations give an unknown, in a better form than the
derivative. For a pair in which the potential is bilinear the derivative says it too,

.. math:: q = q_0 - \frac{\partial_{\hat q} \phi(q_0)}{\partial_q \partial_{\hat q} \phi},

from any :math:`q_0`; for an unknown without conjugate, :math:`\partial_q \phi` vanishes wherever
the stated equation holds. Both are differences of the potential at a few places of the domain,
drawn once and for all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from sympy import Expr, Interval, Symbol

from replica.declarations.formula import Formula
from replica.errors import DeclarationError
from replica.language.means import nesting
from replica.numerics.kernel import compile_kernel
from replica.numerics.rounding import Bounded

__all__ = ["check_stated_updates"]

Array = NDArray[np.float64]

_PLACES, _DEEP_PLACES = 6, 1  # at which values are compared; fewer where a point costs most
_INNER = (0.2, 0.8)  # part of a domain in which they are drawn
# a stated equation may hold nowhere there, as one for an order that sets in at an end does
_MORE_PLACES, _WIDE = 60, (0.02, 0.98)
_SPAN = 2.0  # of a wider domain, a part of this width is drawn from
_STEP = 0.02  # of the differences, relative to the distance from the nearest end of the domain
_STENCIL = np.array([-2.0, -1.0, 1.0, 2.0])
_WEIGHTS = np.array([1.0, -8.0, 8.0, -1.0]) / 12
_COARSE = np.array([-1.0, 0.0, 0.0, 1.0]) / 4
# A stated value is wrong if it differs by this part of itself and by this many times its error: the
# differences are known much better, and a mistake in an equation changes it by a factor.
_WRONG, _TIMES = 1e-3, 10.0
_SCANNED = 200  # values of an unknown without conjugate, among which its stated equation holds


@lru_cache(maxsize=256)
def check_stated_updates(formula: Formula) -> None:
    """Compare the stated updates of a formula with the derivatives of its potential, once.

    Raises
    ------
    DeclarationError
        Naming the unknown, the place, and both values.
    """
    if formula.potential is None or not formula.updates:
        return
    partners = {**formula.conjugates, **{c: q for q, c in formula.conjugates.items()}}
    deep = formula.potential is not None and nesting(formula.potential) > 1
    places = _places(formula, _DEEP_PLACES if deep else _PLACES, _INNER)
    more = places if deep else np.concatenate([places, _places(formula, _MORE_PLACES, _WIDE)])
    with np.errstate(all="ignore"):  # what is not finite says nothing
        for unknown in formula.updates:
            # values of a coarse quadrature, without their errors, are enough to agree; a difference
            # is believed if finer ones, with their errors, have it too
            for refinement in (-1, 0, 1):
                partner = partners.get(unknown)
                if partner is None:
                    fault = _without_conjugate(formula, unknown, more, refinement)
                else:
                    fault = _of_pair(formula, unknown, partner, places, refinement)
                if fault is None:
                    break
            else:
                raise DeclarationError(f"formula {formula.name}, the update of {unknown}: {fault}")


def _places(formula: Formula, count: int, part: tuple[float, float]) -> Array:
    """Return values of the unknowns and controls inside their domains, one place per row."""
    rng = np.random.default_rng(7)
    rows = []
    for _ in range(count):
        chosen: dict[Symbol, float] = {}
        left = {**formula.domains, **{c.symbol: c.domain for c in formula.controls.values()}}
        while left:
            # a bound may be another unknown or a control: those have their values first
            symbol = min(left, key=lambda s: len(left[s].free_symbols - set(chosen)))
            low, high = _ends(left.pop(symbol), chosen)
            chosen[symbol] = float(low + (high - low) * rng.uniform(*part))
        rows.append([chosen[symbol] for symbol in (*formula.unknowns, *formula.symbols)])
    return np.array(rows)


def _ends(domain: Interval, chosen: Mapping[Symbol, float]) -> tuple[float, float]:
    """Return the ends of a domain where other symbols have values, a wide one cut around zero."""
    low, high = (float(end.subs(chosen)) for end in (domain.start, domain.end))
    low = max(low, min(0.0, high) - _SPAN / 2)
    return low, min(high, low + _SPAN)


def _steps(formula: Formula, symbol: Symbol, places: Array) -> Array:
    """Return a step of each place in a symbol that stays inside its domain."""
    names = (*formula.unknowns, *formula.symbols)
    column = names.index(symbol)
    steps = []
    for row in places:
        low, high = _ends(formula.domains[symbol], dict(zip(names, row, strict=True)))
        steps.append(_STEP * min(abs(row[column] - low), abs(high - row[column]), 1.0))
    return np.array(steps)


def _differences(
    formula: Formula, symbol: Symbol, places: Array, steps: Array, refinement: int
) -> tuple[Array, Array]:
    """Return the derivative of the potential in a symbol at each place, and its error."""
    names = (*formula.unknowns, *formula.symbols)
    moved = np.repeat(places[None], _STENCIL.size, axis=0)
    moved[:, :, names.index(symbol)] += _STENCIL[:, None] * steps
    potential = _bounded(formula, formula.potential, moved, refinement)
    slope = np.tensordot(_WEIGHTS, potential.value, 1) / steps
    coarse = np.tensordot(_COARSE, potential.value, 1) / steps
    # of fourth order against second: the difference is far above the error of the better one
    error = np.abs(slope - coarse) / 10 + potential.bound.max(axis=0) * 2 / steps
    return slope, error


def _bounded(formula: Formula, expression: Expr, places: Array, refinement: int) -> Bounded:
    """Return an expression at places, without a bound on its error by a coarse quadrature."""
    kernel = compile_kernel((*formula.unknowns, *formula.symbols), (expression,))
    columns = np.moveaxis(places, -1, 0)
    if refinement < 0:
        (value,) = kernel(*columns, refinement=refinement)
        return Bounded(value, np.zeros_like(value))
    return kernel.bounded(*columns, refinement=refinement)[0]


def _of_pair(
    formula: Formula, unknown: Symbol, partner: Symbol, places: Array, refinement: int
) -> str | None:
    """Say where the stated update of one of a pair is not what the derivative gives."""
    names = (*formula.unknowns, *formula.symbols)
    steps = _steps(formula, partner, places)
    slope, error = _differences(formula, partner, places, steps, refinement)
    # the derivative in the partner is affine in the unknown: two places tell its slope
    far = places.copy()
    aside = 20 * _steps(formula, unknown, places)  # a good part of the way to the nearest end
    far[:, names.index(unknown)] += aside
    other, its_error = _differences(formula, partner, far, steps, refinement)
    pairing = (other - slope) / aside
    derived = places[:, names.index(unknown)] - slope / pairing
    error = (error + (error + its_error) * np.abs(slope / pairing) / aside) / np.abs(pairing)
    stated = _bounded(formula, formula.updates[unknown], places, refinement)
    return _told(names, places, stated.value, derived, error + stated.bound)


def _without_conjugate(
    formula: Formula, unknown: Symbol, places: Array, refinement: int
) -> str | None:
    """Say where a stated equation holds, but the derivative of the potential does not vanish."""
    names = (*formula.unknowns, *formula.symbols)
    column = names.index(unknown)
    found: list[Array] = []
    for row in places:
        if len(found) >= _PLACES:
            break
        low, high = _ends(formula.domains[unknown], dict(zip(names, row, strict=True)))
        share = np.linspace(0, 1, _SCANNED + 2)[1:-1]
        line = np.repeat(row[None], _SCANNED, axis=0)
        line[:, column] = low + (high - low) * share
        excess = _excess(formula, unknown, line)
        for k in np.flatnonzero(excess[:-1] * excess[1:] < 0):
            found.append(_between(formula, unknown, line[k : k + 2], excess[k : k + 2]))
    if not found:
        return None
    roots = np.array(found)
    steps = _steps(formula, unknown, roots)
    slope, error = _differences(formula, unknown, roots, steps, refinement)
    aside = roots.copy()
    aside[:, column] += steps
    curvature = (_differences(formula, unknown, aside, steps, refinement)[0] - slope) / steps
    derived = roots[:, column] - slope / curvature
    return _told(names, roots, roots[:, column], derived, error / np.abs(curvature))


def _excess(formula: Formula, unknown: Symbol, places: Array) -> Array:
    names = (*formula.unknowns, *formula.symbols)
    kernel = compile_kernel(names, (formula.updates[unknown] - unknown,))
    return np.asarray(kernel(*places.T)[0])


def _between(formula: Formula, unknown: Symbol, ends: Array, excess: Array) -> Array:
    """Return the place between two at which a stated equation holds, by bisection."""
    low, high, sign = ends[0], ends[1], np.sign(excess[0])
    for _ in range(50):
        middle = (low + high) / 2
        same = np.sign(_excess(formula, unknown, middle[None])[0]) == sign
        low, high = (middle, high) if same else (low, middle)
    return np.asarray((low + high) / 2)


def _told(
    names: Sequence[Symbol], places: Array, stated: Array, derived: Array, error: Array
) -> str | None:
    """Say where two values differ by more than their error, None if they agree everywhere."""
    size = np.maximum(np.abs(stated), np.abs(derived))
    known = np.isfinite(derived) & np.isfinite(error) & (error < 0.1 * size)
    wrong = known & (np.abs(stated - derived) > _WRONG * size + _TIMES * error)
    if not wrong.any():
        return None
    k = int(np.argmax(wrong))
    where = ", ".join(f"{s} = {x:.6g}" for s, x in zip(names, places[k], strict=True))
    return (
        f"it is {stated[k]:.6g} at {where}, where the derivative of the potential gives "
        f"{derived[k]:.6g}"
    )
