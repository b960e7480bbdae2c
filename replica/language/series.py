r"""Truncated expansions in a small positive symbol, with the order of what is left out.

A `Series` stands for :math:`\sum_k c_k \varepsilon^{p_k}` with rational powers; the coefficients
may contain :math:`\log\varepsilon`. Functions such as :math:`\log\cosh(h/\varepsilon)` have an
expansion at every h but not next to h = 0, where a layer of width :math:`\varepsilon` is of another
order. A mean over h sees the layer through its width, so that two orders are kept of what is left
out: at a single place, and in the mean over the fields that cross the layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sympy import (
    Add,
    Dummy,
    Expr,
    Function,
    Pow,
    Rational,
    S,
    Symbol,
    count_ops,
    exp,
    expand,
    log,
    oo,
)
from sympy.core.sorting import default_sort_key

from replica.language.means import BoundMean

__all__ = ["LOGARITHM", "NoLimit", "OutOfReach", "Series", "composed", "constant"]

LOGARITHM = Dummy("logarithm", real=True)
"""The logarithm of the small symbol, in coefficients."""

_LONGEST = 200  # operations: longer coefficients are not expanded to see whether they vanish


class NoLimit(Exception):
    """Why an expression has no expansion, in words that end a sentence about a limit."""


class OutOfReach(NoLimit):
    """The same, where more powers may tell."""


@dataclass(frozen=True)
class Series:
    """An expansion: coefficients by power, and the order of what is left out.

    Parameters
    ----------
    terms : mapping of Rational to Expr
    order : Rational or oo
        What is left out at a single place is of this power, up to logarithms.
    mean_order : Rational or oo
        The same after the mean over one of the fields in `across`; not below `order`.
    across : frozenset of Symbol, or None
        Fields whose mean smooths the layers; None where there is no layer.
    """

    terms: Mapping[Rational, Expr]
    order: Expr = oo
    mean_order: Expr = oo
    across: frozenset[Symbol] | None = None

    @property
    def power(self) -> Expr:
        """The lowest power that may be present."""
        return min([*self.terms, self.order])

    @property
    def lead(self) -> tuple[Rational, Expr]:
        """The lowest power and its coefficient."""
        powers = [p for p in self.terms if p < self.mean_order]
        if not powers:
            raise OutOfReach("is smaller than every power that is followed")
        first = min(powers)
        return first, self.terms[first]

    @property
    def is_exact(self) -> bool:
        """Whether nothing is left out."""
        return self.mean_order is oo and self.order is oo

    @property
    def gap(self) -> Expr:
        """How far the second power is above the first; oo where there is none."""
        rest = [p for p in self.terms if p != self.power]
        return min([*rest, self.order]) - self.power

    def __add__(self, other: Series) -> Series:
        """Return the sum."""
        terms = dict(self.terms)
        for power, coefficient in other.terms.items():
            terms[power] = terms.get(power, S.Zero) + coefficient
        order = min(self.order, other.order)
        return _cleaned(terms, order, min(self.mean_order, other.mean_order), _across(self, other))

    def __mul__(self, other: Series) -> Series:
        """Return the product."""
        terms: dict[Rational, list[Expr]] = {}
        for p, a in self.terms.items():
            for q, b in other.terms.items():
                terms.setdefault(p + q, []).append(a * b)
        order = min(self.power + other.order, other.power + self.order)
        # what is left out is bounded by its size at a single place times the mean of the other
        mean_order = min(self.power + other.mean_order, other.power + self.mean_order)
        sums = {p: Add(*parts) for p, parts in terms.items()}
        return _cleaned(sums, order, mean_order, _across(self, other))

    def __neg__(self) -> Series:
        """Return minus the series."""
        return self.times(S.NegativeOne)

    def __sub__(self, other: Series) -> Series:
        """Return the difference."""
        return self + (-other)

    def times(self, factor: Expr, power: Expr = S.Zero) -> Series:
        """Return the series times a factor free of the small symbol and a power of it."""
        if factor.is_zero:
            return Series({})
        terms = {p + power: factor * c for p, c in self.terms.items()}
        return Series(terms, self.order + power, self.mean_order + power, self.across)

    def without(self, power: Rational) -> Series:
        """Return the series without one of its terms."""
        rest = {p: c for p, c in self.terms.items() if p != power}
        return Series(rest, self.order, self.mean_order, self.across)

    def cut(self, order: Expr) -> Series:
        """Return the series up to an order."""
        if order >= self.mean_order:
            return self
        terms = {p: c for p, c in self.terms.items() if p < order}
        return Series(terms, min(order, self.order), order, self.across)


def constant(value: Expr) -> Series:
    """Return what does not depend on the small symbol."""
    return Series({}) if value.is_zero else Series({S.Zero: value})


def composed(coefficients: Callable[[int], Expr], small: Series, reach: Expr) -> Series:
    r"""Return :math:`\sum_k c_k\, \delta^k` for a small :math:`\delta`, up to an order.

    Parameters
    ----------
    coefficients : callable
        The coefficient of each power.
    small : Series
        Of positive powers only.
    reach : number
        The order up to which terms are wanted.
    """
    first = coefficients(0)
    if not small.terms and small.is_exact:
        return constant(first)
    if small.power <= 0:
        raise NoLimit("changes by as much as it is in a layer")
    total, factor, k = constant(first), constant(S.One), 0
    while (k + 1) * small.power < reach:
        k += 1
        factor = factor * small
        total = total + factor.times(coefficients(k))
    return total.cut((k + 1) * small.power)


def _across(one: Series, two: Series) -> frozenset[Symbol] | None:
    if one.across is None or two.across is None:
        return two.across if one.across is None else one.across
    return one.across & two.across


def _cleaned(
    terms: Mapping[Rational, Expr],
    order: Expr,
    mean_order: Expr,
    across: frozenset[Symbol] | None,
) -> Series:
    """Return the series without the terms that cancel or are beyond what is left out."""
    kept = {}
    for power, coefficient in terms.items():
        if power >= mean_order:
            continue
        if coefficient.is_Add and count_ops(coefficient) < _LONGEST:
            coefficient = expand(coefficient, power_exp=False, power_base=False, log=False)
        if not coefficient.is_zero and not _vanishes(coefficient):
            kept[power] = coefficient
    return Series(kept, order, max(order, mean_order), across)


def _vanishes(coefficient: Expr) -> bool:
    """Tell whether terms cancel that no expansion shows to, as log(x) and log(1/x), by numbers."""
    if not coefficient.is_Add or not coefficient.has(log, Pow):
        return False
    if count_ops(coefficient) > _LONGEST:
        return False
    nodes = coefficient.atoms(BoundMean, Function) - coefficient.atoms(log, exp)
    plain = coefficient.xreplace({node: Dummy(real=True) for node in nodes})
    for shift in (S(1) / 7, S(3) / 11):
        places = {
            symbol: shift + S(k) / 13
            for k, symbol in enumerate(sorted(plain.free_symbols, key=default_sort_key), 1)
        }
        size = Add(*(abs(term.subs(places).evalf(30)) for term in plain.args))
        value = plain.subs(places).evalf(30)
        if not abs(complex(value)) <= 1e-20 * float(size):
            return False
    return True
