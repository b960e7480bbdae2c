"""How a symbol tends to an end of its domain, and which variables are scaled on the way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sympy import Dummy, Expr, Interval, S, Symbol, SympifyError, oo, sympify

from replica.errors import DeclarationError, UnknownName, looked_up
from replica.language.stationarity import solve_linear
from replica.writing import domain_text

__all__ = ["Approach", "Scaled"]


@dataclass(frozen=True)
class Approach:
    """How a symbol tends to an end of its domain, in terms of a small positive one."""

    symbol: Symbol
    value: Expr
    small: Symbol
    path: Expr

    @classmethod
    def of(cls, formula: Any, symbol: Symbol, value: Any) -> Approach:
        """Return the approach; the side follows from the domain."""
        declared = {c.symbol: c.domain for c in formula.controls.values()}
        declared.update((s, formula.domains[s]) for s in formula.unknowns)
        symbol = looked_up("control or overlap", str(symbol), names_of(formula), formula.name)
        domain, end = declared[symbol], expression_of(formula, f"the value of {symbol}", value)
        small = Dummy("small", positive=True)
        ends = {
            domain.end: domain.end - small if domain.end.is_finite else 1 / small,
            domain.start: domain.start + small if domain.start.is_finite else -1 / small,
        }
        if end not in ends or end.free_symbols:
            raise DeclarationError(
                f"limit of {formula.name}: {symbol} = {end} is no end of its domain "
                f"{domain_text(domain)}"
            )
        return cls(symbol, end, small, ends[end])

    @property
    def text(self) -> str:
        """How it is written."""
        return f"{self.symbol} -> {self.value}"

    def shown(self, power: Expr) -> str:
        """Return a power of the small symbol in terms of the user's."""
        if self.value in (oo, -oo):
            return str((self.symbol if self.value is oo else -self.symbol) ** -power)
        distance = self.symbol - self.value
        return str((distance if self.path.subs(self.small, 1) > self.value else -distance) ** power)


@dataclass(frozen=True)
class Scaled:
    """What replaces the unknowns and controls, and the new ones among it."""

    rule: Mapping[Symbol, Expr]
    new: Mapping[Symbol, tuple[Symbol, ...]]
    domains: Mapping[Symbol, Interval]

    @classmethod
    def of(
        cls,
        formula: Any,
        approach: Approach,
        scaling: Mapping[Symbol, Any],
        domains: Mapping[Symbol, Interval],
    ) -> Scaled:
        """Return the scaling, refused where it is none."""
        if not isinstance(scaling, Mapping) or not isinstance(domains, Mapping):
            raise DeclarationError(
                f"limit of {formula.name}: the scaling is a mapping such as {{q: 1 - chi*T}}, and "
                f"so are domains"
            )
        names = names_of(formula)
        scaled: dict[Symbol, Expr] = {}
        new: dict[Symbol, tuple[Symbol, ...]] = {}
        for key, given in scaling.items():
            old = looked_up("overlap or control", str(key), names, formula.name)
            if old == approach.symbol:
                raise DeclarationError(
                    f"limit of {formula.name}: {old} is what tends to {approach.value}; scale the "
                    f"others"
                )
            expression = expression_of(formula, str(old), given)
            others = set(names.values()) - {old}
            fresh = tuple(sorted(expression.free_symbols - others, key=str))
            for one in fresh:
                if one.is_real is not True:
                    raise DeclarationError(
                        f"limit of {formula.name}: declare {one} as a real symbol, positive where "
                        f"it is: symbols({one.name!r}, positive=True)"
                    )
            new[old], scaled[old] = fresh, expression
        # one may be written in terms of another one, as m = mu (1 - q) is
        chained = {old: e for old, e in scaled.items() if old not in new[old]}
        for _ in chained:
            scaled = {old: e.xreplace(chained) for old, e in scaled.items()}
        small = {approach.symbol: approach.path}
        rule = {**small, **{old: e.xreplace(small) for old, e in scaled.items()}}
        every = {one for fresh in new.values() for one in fresh}
        for one, domain in domains.items():
            if one not in every:
                raise UnknownName("scaled variable", one, map(str, every), formula.name)
            if not isinstance(domain, Interval):
                raise DeclarationError(
                    f"limit of {formula.name}: the domain of {one} must be an Interval, not "
                    f"{domain!r}"
                )
        return cls(rule, new, {one: domains.get(one, domain_of(one)) for one in every})

    def within(self, positive: Iterable[Expr]) -> Scaled:
        """Return the same with domains in which expressions of one variable are positive."""
        domains = dict(self.domains)
        for expression in positive:
            symbols = expression.free_symbols
            if len(symbols) != 1 or not symbols <= set(domains):
                continue
            (symbol,) = symbols
            place = solve_linear(expression, symbol)
            if place is None:
                continue
            above = expression.diff(symbol).is_positive
            part = Interval.open(place, oo) if above else Interval.open(-oo, place)
            domains[symbol] = domains[symbol].intersect(part)
        return replace(self, domains=domains)


def names_of(formula: Any) -> dict[str, Symbol]:
    """Return the symbols of a formula by name; those of a user may know other things of them."""
    known = (*(c.symbol for c in formula.controls.values()), *formula.unknowns)
    return {str(symbol): symbol for symbol in known}


def expression_of(formula: Any, what: str, given: Any) -> Expr:
    """Return an expression in the symbols of a formula, and others."""
    try:
        found = sympify(given, strict=True)
    except SympifyError:
        found = None
    if not isinstance(found, Expr) or found is S.NaN:
        raise DeclarationError(
            f"limit of {formula.name}: {what} must be a sympy expression or a number, not {given!r}"
        )
    names = names_of(formula)
    return found.xreplace({s: names[str(s)] for s in found.free_symbols if str(s) in names})


def domain_of(symbol: Symbol) -> Interval:
    """Return the domain that the assumptions of a symbol tell."""
    if symbol.is_positive:
        return Interval.open(0, oo)
    if symbol.is_negative:
        return Interval.open(-oo, 0)
    return Interval(0, oo) if symbol.is_nonnegative else S.Reals
