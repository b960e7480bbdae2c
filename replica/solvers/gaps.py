r"""Saddle points next to a moving end of their domain, in terms of the gap that is left.

The overlap with a teacher is at most :math:`m < \sqrt{\rho q}`, and with many patterns and no noise
the gap :math:`g = 1 - m^2 / \rho q` becomes smaller than what rounding leaves of m. Written in g,

.. math:: m = \sqrt{\rho q\, (1 - g)}, \qquad g = 1 - \frac{m_u^2}{(\rho q)_u},

with the updates of m and q, the equations keep all digits where sympy finds the last expression to
be a sum of positive terms: for :math:`m_u = \rho \hat m / \hat V`,
:math:`q_u = (\rho \hat m^2 + \hat q) / \hat V^2` it is :math:`\hat q / (\rho \hat m^2 + \hat q)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sympy import Expr, Interval, Symbol, acos, asin, cancel, expand, sqrt, sympify, together

from replica.declarations.formula import Formula
from replica.language.means import BoundMean
from replica.solvers.system import System, explicit_conjugates

__all__ = ["Gaps", "in_gaps", "moving_ends"]


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

    def expression(self, expression: Expr) -> Expr:
        """Return an observable in terms of the gaps."""
        return _written(expression, self.rule)

    def start(self, place: Mapping[Symbol, Any]) -> dict[Symbol, Any] | None:
        """Return a start in terms of the gaps, None where it does not give their overlaps."""
        given = {symbol: sympify(value, strict=True) for symbol, value in place.items()}
        for overlap, (gap, square) in self.gaps.items():
            needed = {overlap, *square.free_symbols.intersection(self.system.unknowns)}
            if not needed <= given.keys():
                return None
            given[gap] = 1 - given[overlap] ** 2 / square.subs(given)
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


@lru_cache(maxsize=64)
def in_gaps(formula: Formula) -> Gaps | None:
    """Return a formula in terms of gaps, None where that would keep no more digits."""
    updates = {s: formula.residuals[s] + s for s in formula.unknowns if s in formula.paired}
    gaps: dict[Symbol, tuple[Symbol, Expr]] = {}
    equations: dict[Symbol, Expr] = {}
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
            gaps[overlap], equations[overlap] = (gap, square), update - gap
    if not gaps:
        return None
    rule = {x: sqrt(square) * sqrt(1 - gap) for x, (gap, square) in gaps.items()}
    unknowns = [gaps[s][0] if s in gaps else s for s in formula.unknowns]
    domains = {s: d for s, d in formula.domains.items() if s not in gaps}
    domains |= {gap: Interval.open(0, 1) for gap, _ in gaps.values()}
    paired = {gaps[s][0] if s in gaps else s for s in formula.paired}
    system = System(
        [equations.get(s) or _written(formula.residuals[s], rule) for s in formula.unknowns],
        unknowns,
        formula.symbols,
        domains,
        frozenset(paired),
        explicit=explicit_conjugates(formula),
    )
    return Gaps(system, rule, gaps)


def _written(expression: Expr, rule: Mapping[Symbol, Expr]) -> Expr:
    """Return an expression in other unknowns; an angle next to zero keeps its digits."""
    written = expression.subs(dict(rule))
    return written.replace(acos, lambda cosine: asin(sqrt(expand(1 - cosine**2))))
