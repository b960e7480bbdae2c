"""Named states of a formula: the equations that a state obeys, where some unknowns are fixed.

On an invariant subspace an equation may hold identically, as that of the overlap within a state
does where the breaking parameter m is one: it carries a factor (1 - m). This factor is divided out,
by differentiating in what is fixed, so that what is left determines the unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import DiracDelta, Expr, Interval, S, Symbol, sympify

from replica.declarations.formula import Formula
from replica.declarations.frozen import FrozenMapping
from replica.numerics.kernel import compile_kernel
from replica.solvers.starts import declared_starts, named_starts
from replica.solvers.system import System, saddle_system
from replica.solvers.thresholds.determinant import determinant

__all__ = ["State", "named_state", "state_within", "whole"]

Array = NDArray[np.float64]

_SHARES = (S(1) / 10, S(1) / 2, S(9) / 10)  # of the domains at which a fixed state is looked for
_MOST_UNKNOWNS = 5  # up to which the determinant of a Jacobian is written down
_PLACES = 5  # random points at which an equation is evaluated to tell whether it is an identity
_IDENTITY = 1e-10  # an equation whose residual is below this, relative to its slope, at all of them


class State:
    """What a state obeys.

    Parameters
    ----------
    formula : Formula
        Whose state it is.
    name : str
    place : mapping of Symbol to number
        Unknowns that keep a value; empty for a state of the whole formula.
    starts : sequence of mappings
        Where to begin.
    host : Formula, optional
        The formula with whose controls it is followed, where that is another one.
    """

    def __init__(
        self,
        formula: Formula,
        name: str,
        place: Mapping[Symbol, Any],
        starts: Sequence[Mapping[Symbol, Any]],
        host: Formula | None = None,
    ) -> None:
        self.formula, self.name, self.host = formula, name, host or formula
        self.place = {symbol: sympify(value, strict=True) for symbol, value in place.items()}
        self.starts = tuple(starts)
        self.unknowns = tuple(s for s in formula.unknowns if s not in self.place)

    @property
    def solvable(self) -> bool:
        """Whether `solve` knows it: by its name, as a state of the whole formula."""
        return bool(self.name) and not self.place and self.host is self.formula

    @cached_property
    def domains(self) -> dict[Symbol, Interval]:
        """Domains of the unknowns, with what is fixed put in."""
        return {s: self.formula.domains[s].subs(self.place) for s in self.unknowns}

    @cached_property
    def potential(self) -> Expr:
        """The potential in the unknowns and the controls."""
        return self.there(self.formula.potential)

    @cached_property
    def equations(self) -> tuple[Expr, ...]:
        """One for each unknown; where it holds identically, what is left without the factor."""
        if not self.place:
            return tuple(self.formula.residuals.values())
        found = []
        for symbol in self.unknowns:
            residual = self.formula.residuals[symbol]
            slopes = [residual.diff(fixed) for fixed in self.place]
            equation = self.there(residual)
            for slope in map(self.there, slopes):
                if self._vanishes(equation, slope):
                    equation = slope
                    break
            found.append(equation)
        return tuple(found)

    @cached_property
    def degenerate(self) -> bool:
        """Whether a factor was divided out of one of its equations."""
        plain = (self.there(self.formula.residuals[s]) for s in self.unknowns)
        return any(a != b for a, b in zip(plain, self.equations, strict=True))

    def there(self, expression: Expr) -> Expr:
        """Return an expression with what is fixed put in."""
        return expression.subs(self.place) if self.place else expression

    def _vanishes(self, equation: Expr, slope: Expr) -> bool:
        """Tell whether an equation is an identity, while its slope in what is fixed is not."""
        if equation == 0 or not equation.has_free(*self.unknowns):
            return bool(equation == 0 and slope != 0)
        generator = np.random.default_rng(0)
        symbols = (*self.unknowns, *self.formula.symbols)
        columns = [_inside(self._domain(s), generator) for s in symbols]
        value, change = compile_kernel(symbols, (equation, slope))(*columns)
        seen = np.isfinite(value) & np.isfinite(change)
        return bool(seen.any() and (np.abs(value) <= _IDENTITY * np.abs(change))[seen].all())

    def _domain(self, symbol: Symbol) -> Interval:
        if symbol in self.domains:
            return self.domains[symbol]
        return self.formula.control(symbol).domain

    @cached_property
    def system(self) -> System:
        """Its equations at fixed controls."""
        if not self.place and self.host is self.formula:
            return saddle_system(self.formula)
        return System(
            self.equations, self.unknowns, self.host.symbols, self.domains, self.formula.paired
        )

    @lru_cache(maxsize=32)  # noqa: B019 -- states live as long as the cache that makes them
    def with_conditions(
        self, conditions: tuple[Expr, ...], solved: tuple[Symbol, ...], symbolic: bool = True
    ) -> System:
        """Return its equations and conditions, with as many controls among the unknowns.

        The placeholder zero stands for the condition of a step along the branch.
        """
        return System(
            (*self.equations, *map(self.there, conditions)),
            (*self.unknowns, *solved),
            tuple(s for s in self.host.symbols if s not in solved),
            {**self.domains, **{s: self.host.control(s).domain for s in solved}},
            symbolic=symbolic,
        )

    def branches(self, control: Symbol) -> System:
        """Return its equations with the control among the unknowns, to follow it."""
        return self.with_conditions((S.Zero,), (control,))

    def columns(self, control: Symbol, values: Array, others: Sequence[float]) -> list[Array]:
        """Return all controls in the order of the formula, the others constant."""
        rest = iter(others)
        return [
            values if symbol is control else np.full(values.shape, next(rest))
            for symbol in self.host.symbols
        ]

    def embedded(self, z: Array) -> Array | None:
        """Return points (points, unknowns) as ones of the whole, None for another formula."""
        if self.host is not self.formula:
            return None
        fixed = {s: np.full(z.shape[0], float(value)) for s, value in self.place.items()}
        columns = {**fixed, **dict(zip(self.unknowns, z.T, strict=True))}
        return np.stack([columns[s] for s in self.formula.unknowns], axis=1)

    @cached_property
    def jacobian(self) -> list[list[Expr]]:
        """The derivatives of its equations."""
        return [[e.diff(s) for s in self.unknowns] for e in self.equations]

    @cached_property
    def determinant(self) -> Expr | None:
        """The determinant of its Jacobian; None where that is too large, or has steps in it."""
        if self.system.deep or len(self.unknowns) > _MOST_UNKNOWNS:
            return None  # before derivatives are taken: those of a mean in a mean take a minute
        if any(entry.has(DiracDelta) for row in self.jacobian for entry in row):
            return None
        return determinant(self.jacobian)


def _inside(domain: Interval, generator: np.random.Generator) -> Array:
    """Return random points of a domain, as far as its ends are numbers."""
    low, high = (float(e) if e.is_number else np.nan for e in (domain.start, domain.end))
    low = low if np.isfinite(low) else (min(0.0, high - 1) if np.isfinite(high) else 0.0)
    high = high if np.isfinite(high) else low + 1.0
    return low + (high - low) * generator.uniform(0.2, 0.8, _PLACES)


@lru_cache(maxsize=64)
def named_state(formula: Formula, name: str | Formula) -> State:
    """Return the state of a formula with this name, or the one that another formula has."""
    if isinstance(name, Formula):
        return State(name, name.name, {}, declared_starts(name), formula)
    if name in formula.subspaces:
        return state_within(formula, formula.subspaces[name], name)
    return State(formula, name, {}, named_starts(formula, name))


@lru_cache(maxsize=64)
def whole(formula: Formula) -> State:
    """Return the saddle points of a formula as a state without name, from all its starts."""
    return State(formula, "", {}, declared_starts(formula))


@lru_cache(maxsize=64)
def state_within(formula: Formula, place: FrozenMapping, name: str = "") -> State:
    """Return the state in which some unknowns keep their values."""
    starts = [
        {s: value for s, value in start.items() if s not in place}
        for start in declared_starts(formula)
    ]
    state = State(formula, name, place, starts)
    ends = {s: (d.start, d.end) for s, d in state.domains.items() if s in formula.overlaps}
    if all(end.is_number and end.is_finite for pair in ends.values() for end in pair):
        starts += [
            {s: low + share * (high - low) for s, (low, high) in ends.items()} for share in _SHARES
        ]
    return State(formula, name, place, starts)
