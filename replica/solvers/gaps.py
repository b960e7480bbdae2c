r"""Saddle points next to an open end of their domain, in terms of the gap that is left.

The overlap with a teacher is at most :math:`m < \sqrt{\rho q}`, and with many patterns and no noise
the gap :math:`g = 1 - m^2 / \rho q` becomes smaller than what rounding leaves of m. Written in g,

.. math:: m = \sqrt{\rho q\, (1 - g)}, \qquad g = 1 - \frac{m_u^2}{(\rho q)_u},

with the updates of m and q, the equations keep all digits where sympy finds the last expression to
be a sum of positive terms: for :math:`m_u = \rho \hat m / \hat V`,
:math:`q_u = (\rho \hat m^2 + \hat q) / \hat V^2` it is :math:`\hat q / (\rho \hat m^2 + \hat q)`.

An end c that no other overlap moves, such as q = 1 at capacity, leaves :math:`g = c - q`. The
equations keep digits in g where c - q stands in them as it is, and where c minus the update of q is
a sum of positive terms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import (
    Add,
    Expr,
    Interval,
    Symbol,
    acos,
    asin,
    cancel,
    expand,
    expand_mul,
    sqrt,
    sympify,
    together,
)

from replica.declarations.formula import Formula
from replica.language.means import BoundMean
from replica.numerics.kernel import compile_kernel
from replica.solvers.system import System, explicit_conjugates

__all__ = ["Gaps", "fixed_ends", "in_gaps", "moving_ends"]


Array = NDArray[np.float64]

_FAR = 1e30  # a conjugate beyond this has run to infinity
_SMALLEST = 1e-13  # a gap that rounding has lost begins here
_DECADES = (2, 4, 6, 8, 10, 12, 14)  # powers of ten by which gaps begin smaller than one


@dataclass(frozen=True, eq=False)
class Gaps:
    """A formula with some overlaps replaced by their gaps.

    Attributes
    ----------
    system : System
        The saddle-point equations in the gaps and the other unknowns.
    rule : mapping of Symbol to Expr
        The replaced overlaps in terms of the new unknowns.
    """

    system: System
    rule: Mapping[Symbol, Expr]
    gaps: Mapping[Symbol, tuple[Symbol, Expr]]
    """For each overlap that is replaced its gap, and this in terms of the overlaps."""

    def expression(self, expression: Expr) -> Expr:
        """Return an observable in terms of the gaps, with what cancels at their ends left out."""
        written = _written(expression, self.rule)
        if not any(end.is_Add for end in self.rule.values()):
            return written
        terms = (expand_mul(term, deep=False) for term in Add.make_args(written))
        return Add(*terms)

    def near(self, z: Array, parameters: Sequence[Array]) -> dict[Symbol, Array]:
        """Return points, shape (points, unknowns of the formula), as a start in terms of gaps."""
        names = [
            next((x for x, (gap, _) in self.gaps.items() if gap is s), s)
            for s in self.system.unknowns
        ]
        found = dict(zip(names, np.nan_to_num(z, nan=0.5).T, strict=True))
        arguments = (*names, *self.system.parameters)
        for overlap, (gap, left) in self.gaps.items():
            (value,) = compile_kernel(arguments, (left,))(*np.nan_to_num(z, nan=0.5).T, *parameters)
            found[gap] = np.clip(np.broadcast_to(value, z.shape[:1]), _SMALLEST, None)
            del found[overlap]
        return found

    def decades(self) -> list[dict[Symbol, Any]]:
        """Return starts with all gaps small and smaller."""
        return [{gap: 10.0**-k for gap, _ in self.gaps.values()} for k in _DECADES]

    def start(self, place: Mapping[Symbol, Any]) -> dict[Symbol, Any] | None:
        """Return a start in terms of the gaps, None where it does not give their overlaps."""
        given = {symbol: sympify(value, strict=True) for symbol, value in place.items()}
        for overlap, (gap, left) in self.gaps.items():
            needed = {overlap, *left.free_symbols.intersection(self.system.unknowns)}
            if not needed <= given.keys():
                return None
            given[gap] = left.subs(given)
        return {symbol: value for symbol, value in given.items() if symbol not in self.gaps}


def moving_ends(formula: Formula) -> dict[Symbol, set[Symbol]]:
    """Return the overlaps from zero to an open end that other overlaps move, and these."""
    return {
        overlap: domain.end.free_symbols & set(formula.overlaps)
        for overlap, domain in formula.overlaps.items()
        if domain.right_open
        and domain.start == 0
        and domain.end.free_symbols & set(formula.overlaps)
    }


def fixed_ends(formula: Formula) -> dict[Symbol, Expr]:
    """Return the overlaps with an open upper end that no overlap moves, and these ends."""
    moving = moving_ends(formula)
    apart = {*moving, *(s for ends in moving.values() for s in ends)}
    return {
        overlap: domain.end
        for overlap, domain in formula.overlaps.items()
        if domain.right_open
        and domain.end.is_infinite is not True
        and domain.end.free_symbols.isdisjoint(formula.overlaps)
        and overlap not in apart
    }


@lru_cache(maxsize=64)
def in_gaps(formula: Formula) -> Gaps | None:
    """Return a formula in terms of gaps, None where that would keep no more digits."""
    updates = {s: formula.residuals[s] + s for s in formula.unknowns if s in formula.paired}
    gaps: dict[Symbol, tuple[Symbol, Expr]] = {}
    rule: dict[Symbol, Expr] = {}
    equations: dict[Symbol, Expr] = {}
    widths: dict[Symbol, Interval] = {}
    for overlap, moving in moving_ends(formula).items():
        square = formula.overlaps[overlap].end ** 2
        ends = {s: updates[s] for s in moving if s in updates}
        if overlap not in updates or set(ends) != moving:
            continue
        if any(e.has(BoundMean) for e in (updates[overlap], *ends.values())):
            continue
        update = cancel(together(1 - updates[overlap] ** 2 / square.subs(ends)))
        if update.is_positive:
            gap = Symbol(f"gap_{overlap}", positive=True)
            gaps[overlap] = gap, 1 - overlap**2 / square
            rule[overlap], equations[overlap] = sqrt(square) * sqrt(1 - gap), update - gap
            widths[gap] = Interval.open(0, 1)
    for overlap, end in fixed_ends(formula).items():
        gap, domain = Symbol(f"gap_{overlap}", positive=True), formula.overlaps[overlap]
        if overlap not in updates:  # the derivative by the gap is minus that by the overlap
            equation = formula.residuals[overlap]
            if end - overlap not in equation.atoms(Add):
                continue
            equations[overlap] = -_written(equation, {overlap: end - gap})
        else:
            update = updates[overlap]
            left = None if update.has(BoundMean) else cancel(together(end - update))
            if left is None or not left.is_positive:
                continue
            equations[overlap] = left - gap
        gaps[overlap], rule[overlap] = (gap, end - overlap), end - gap
        widths[gap] = Interval(0, end - domain.start, True, domain.left_open)
    if not gaps:
        return None
    unknowns = [gaps[s][0] if s in gaps else s for s in formula.unknowns]
    domains = {
        s: Interval(d.start.subs(rule), d.end.subs(rule), d.left_open, d.right_open)
        for s, d in formula.domains.items()
        if s not in gaps
    }
    paired = {gaps[s][0] if s in gaps else s for s in formula.paired}
    system = System(
        [
            _written(equations[s] if s in equations else formula.residuals[s], rule)
            for s in formula.unknowns
        ],
        unknowns,
        formula.symbols,
        {**domains, **widths},
        frozenset(paired),
        explicit=explicit_conjugates(formula),
        far=_FAR,
    )
    return Gaps(system, rule, gaps)


def _written(expression: Expr, rule: Mapping[Symbol, Expr]) -> Expr:
    """Return an expression in other unknowns; an angle next to zero keeps its digits."""
    written = expression.subs(dict(rule))
    return written.replace(acos, lambda cosine: asin(sqrt(expand(1 - cosine**2))))
