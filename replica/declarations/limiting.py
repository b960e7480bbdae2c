r"""The formula that is left of another one where a control or an overlap reaches an end.

Unknowns are replaced by scaled ones, and of the potential the leading order is kept:

.. math:: \phi = \varepsilon^{p}\, [\phi_0 + o(1)],

of which :math:`\phi_0` is the potential of the limit, since both have the same saddle points.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from sympy import (
    Add,
    Dummy,
    Expr,
    Interval,
    Pow,
    S,
    Symbol,
    count_ops,
    expand_mul,
    factor,
    log,
    oo,
    sympify,
    together,
)

from replica.declarations.control import Control, control_name
from replica.declarations.scaling import Approach, Scaled
from replica.declarations.threshold import Threshold
from replica.errors import DeclarationError, UnknownName
from replica.language.asymptotics import Expansion
from replica.language.means import BoundMean
from replica.language.pieces import tidied
from replica.language.series import LOGARITHM, NoLimit, OutOfReach, Series
from replica.language.stationarity import solve_linear
from replica.writing import domain_text, excerpt

__all__ = ["limit_of"]

_REACHES = (S.One, S(2), S(4))
"""Powers that are followed: the more, the longer it takes, and few are needed."""

_LARGEST = 200  # operations of an expression whose sign is looked for


def limit_of(
    formula: Any,
    symbol: Symbol,
    value: Any,
    scaling: Mapping[Symbol, Any],
    domains: Mapping[Symbol, Interval],
    known: Mapping[str, Any],
) -> Any:
    """Return the limit of a formula; see `Formula.limit`."""
    if formula.potential is None:
        raise DeclarationError(
            f"limit of {formula.name}: it has no potential, of which the limit is taken"
        )
    approach = Approach.of(formula, symbol, value)
    scaled = Scaled.of(formula, approach, scaling, domains)
    found = _Limit(formula, approach, scaled)
    names = {item.name for item in fields(formula)}
    for key in known:
        if key not in names:
            raise UnknownName("part of a formula", key, names)
    return replace(formula, **{**found.parts(), **known})


def _towards(value: Expr, domain: Interval) -> Expr:
    """Return a value, or a place next to the end of the domain that it is at or beyond."""
    low, high = domain.start, domain.end
    if low.free_symbols | high.free_symbols:
        return value
    width = high - low if low.is_finite and high.is_finite else S.One
    if low.is_finite and value <= low:
        return low + width / 100
    if high.is_finite and value >= high:
        return high - width / 100
    return value


class _Limit:
    """The parts of the formula that is left."""

    def __init__(self, formula: Any, approach: Approach, scaled: Scaled) -> None:
        self.formula, self.approach, self.scaled = formula, approach, scaled
        self.what = f"limit of {formula.name}, {approach.text}"
        self.known: dict[Symbol, Symbol] = {}
        self.known = self._known_signs()
        self._check_ends()
        self.power, self.potential = self._leading()
        self.scaled = self.scaled.within(self._positive())

    # ---- expressions ----------------------------------------------------------------------------

    def _known_signs(self) -> dict[Symbol, Symbol]:
        """Return symbols of the same names that know the signs which their domains tell."""
        domains = {**self._domains(), **{c.symbol: c.domain for c in self._controls().values()}}
        known = {}
        for symbol, domain in domains.items():
            low, high = domain.start, domain.end
            if low.is_nonnegative:
                positive = domain.left_open or low.is_positive
                kind = {"positive": True} if positive else {"nonnegative": True}
            elif high.is_nonpositive:
                kind = {"negative": True} if domain.right_open else {"nonpositive": True}
            else:
                continue
            known[symbol] = Symbol(symbol.name, **kind)
        return known

    def _in_scaled(self, expression: Expr) -> Expr:
        return expression.xreplace(self.scaled.rule).xreplace(self.known)

    def _with_symbols(self, expression: Expr) -> Expr:
        """Return an expression with the user's symbols in place of those that know their signs."""
        return expression.xreplace({strong: symbol for symbol, strong in self.known.items()})

    def _series(self, expression: Expr, reach: Expr) -> Series:
        return Expansion(self.approach.small, reach).of(self._in_scaled(expression))

    def _tidied(self, coefficient: Expr) -> Expr:
        return self._with_symbols(tidied(coefficient))

    def _written(self, expression: Any) -> str:
        """Return an expression with the user's symbol in place of the small one."""
        symbol, path = self.approach.symbol, self.approach.path
        back = solve_linear(path - symbol, self.approach.small)
        if back is None:
            back = (1 / symbol) if path == 1 / self.approach.small else -1 / symbol
        return str(expression.subs(self.approach.small, back))

    def _positive(self) -> list[Expr]:
        """Return what must be positive for logarithms and roots of one scaled variable to be."""
        scaled = self._in_scaled(self.formula.potential)
        found = []
        for node in scaled.atoms(log, Pow):
            if isinstance(node, Pow) and (node.exp.is_Integer or not node.exp.is_Rational):
                continue
            argument = node.args[0]
            if len(argument.free_symbols - {self.approach.small}) != 1:
                continue
            try:
                found.append(
                    self._with_symbols(Expansion(self.approach.small).of(argument).lead[1])
                )
            except NoLimit:
                continue
        return found

    def _leading(self) -> tuple[Expr, Expr]:
        """Return the power and the coefficient of the leading order of the potential."""
        reason = NoLimit()
        for reach in _REACHES:
            try:
                series = self._series(self.formula.potential, reach)
                power, coefficient = series.lead
            except OutOfReach as problem:
                reason = problem
                continue
            except NoLimit as problem:
                raise self._refused(problem) from None
            if power < series.order:
                break
            reason = NoLimit("the potential cancels to an order at which it is not known")
        else:
            raise self._refused(reason)
        if coefficient.has(LOGARITHM):
            term = self._term(power, LOGARITHM)
            raise DeclarationError(
                f"{self.what}: the term {excerpt(term)} leaves a logarithm at the leading order "
                f"{self.approach.shown(power)}"
            )
        coefficient = self._tidied(coefficient)
        self._refuse_pole(power, coefficient)
        return power, coefficient

    def _refused(self, reason: NoLimit) -> DeclarationError:
        text = str(reason).replace(str(self.approach.small), "small")
        return DeclarationError(f"{self.what}: {self._named(text)}")

    def _named(self, text: str) -> str:
        """Return a reason in terms of the user's symbol, as far as it is one of its powers."""
        kind = self.approach.path
        name = str(self.approach.symbol)
        if kind == self.approach.small:
            return text.replace("small", name)
        shown = (
            f"1/{name}"
            if self.approach.value is oo
            else str(
                self.approach.symbol - self.approach.value
                if kind.subs(self.approach.small, 1) > self.approach.value
                else self.approach.value - self.approach.symbol
            )
        )
        return text.replace("small", f"({shown})")

    def _term(self, power: Expr, symbol: Symbol) -> str:
        """Return the term of the potential that depends on a symbol at a power."""
        parts = Add.make_args(self.formula.potential)
        for term in Add.make_args(Add(*(expand_mul(part, deep=False) for part in parts))):
            try:
                found = self._series(term, S.One).terms.get(power)
            except NoLimit:
                continue
            if found is not None and found.has_free(symbol):
                return str(term)
        return str(self.formula.potential)

    def _refuse_pole(self, power: Expr, coefficient: Expr) -> None:
        """Refuse a leading order that no saddle point balances in one of the unknowns."""
        for unknown in self._unknowns():
            if not coefficient.has_free(unknown):
                continue
            slope = coefficient.diff(unknown)
            if self._has_a_sign(slope):
                strong = self.known.get(unknown, unknown)
                term = self._term(power, strong)
                raise DeclarationError(
                    f"{self.what}: the scaling leaves a pole: the term {excerpt(term)} is of order "
                    f"{self.approach.shown(power)}, and nothing balances it in {unknown}"
                )

    def _has_a_sign(self, slope: Expr) -> bool:
        """Tell whether an expression has one sign in the whole domain of its symbols."""
        rule: dict[Symbol, Expr] = {}
        domains = {**self._domains(), **{c.symbol: c.domain for c in self._controls().values()}}
        for symbol, domain in domains.items():
            inside = Dummy(positive=True)
            low, high = domain.start, domain.end
            if low.is_finite and high.is_finite and not (low.free_symbols | high.free_symbols):
                rule[symbol] = low + (high - low) * inside / (1 + inside)
            elif low.is_finite and high is oo and not low.free_symbols:
                rule[symbol] = low + inside
        shifted = slope.xreplace(rule)
        if shifted.is_positive or shifted.is_negative:
            return True
        if shifted.has(BoundMean) or count_ops(shifted) > _LARGEST:
            return False
        shifted = factor(together(shifted))
        return bool(shifted.is_positive or shifted.is_negative)

    def _finite(self, expression: Any, own: bool = True) -> Expr:
        """Return the limit of an expression, `NoLimit` where it has none."""
        given = sympify(expression, strict=True)
        reason = NoLimit()
        for reach in _REACHES:
            try:
                series = self._series(given, reach)
            except OutOfReach as problem:
                reason = problem
                continue
            if series.power < 0 or series.order <= 0:
                reason = NoLimit(f"{given} has no finite limit")
                continue
            found = self._tidied(series.terms.get(S.Zero, S.Zero))
            allowed = {*self._unknowns(), *(c.symbol for c in self._controls().values())}
            if own and not found.free_symbols <= allowed:
                raise NoLimit(f"{given} depends on what the limit does not determine")
            return found
        raise reason

    # ---- unknowns and controls ------------------------------------------------------------------

    def _check_ends(self) -> None:
        """Refuse scaled variables that leave the domain of what they replace."""
        for old in self.scaled.new:
            domain = self._olddomain_of(old)
            if domain is None or domain.start.free_symbols | domain.end.free_symbols:
                continue
            try:
                series = Expansion(self.approach.small).of(self.scaled.rule[old])
            except NoLimit as reason:
                raise DeclarationError(f"{self.what}: {old} {reason}") from None
            low, high = domain.start, domain.end
            place = series.terms.get(S.Zero, S.Zero)
            powers = sorted(series.terms)
            first = next((series.terms[p] for p in powers if p != 0), S.Zero)
            if powers and powers[0] < 0:
                outside = (first.is_positive and high.is_finite) or (
                    first.is_negative and low.is_finite
                )
            else:
                outside = (
                    (place > high) == True  # noqa: E712 -- sympy decides, or does not
                    or (place < low) == True  # noqa: E712
                    or (place == high and first.is_positive)
                    or (place == low and first.is_negative)
                )
            if outside:
                raise DeclarationError(
                    f"{self.what}: {old} = {self._written(self.scaled.rule[old])} leaves its "
                    f"domain {domain_text(domain)}"
                )

    def _olddomain_of(self, old: Symbol) -> Interval | None:
        if old in self.formula.unknowns:
            return self.formula.domains[old]
        return self.formula.control(old).domain

    def _replaced(self, old: Symbol) -> tuple[Symbol, ...]:
        """Return what stands for an unknown or control in the limit."""
        if old == self.approach.symbol:
            return ()
        return self.scaled.new.get(old, (old,))

    def _unknowns(self) -> tuple[Symbol, ...]:
        replaced = [one for old in self.formula.unknowns for one in self._replaced(old)]
        kept = [one for one in dict.fromkeys(replaced)]
        potential = getattr(self, "potential", None)
        return tuple(one for one in kept if potential is None or potential.has_free(one))

    def _domains(self) -> dict[Symbol, Interval]:
        domains: dict[Symbol, Interval] = {}
        for old in self.formula.unknowns:
            for one in self._replaced(old):
                given = self.scaled.domains.get(one)
                domains[one] = given or self._moved(self.formula.domains[old])
        return domains

    def _moved(self, domain: Interval) -> Interval:
        """Return a domain whose ends are other unknowns where these have gone."""
        if not (domain.start.free_symbols or domain.end.free_symbols):
            return domain
        ends = []
        for end in (domain.start, domain.end):
            try:
                ends.append(self._finite(end, own=False) if end.is_finite is not False else end)
            except NoLimit as reason:
                raise DeclarationError(f"{self.what}: the domain {domain}: {reason}") from None
        return Interval(*ends, domain.left_open, domain.right_open)

    def _controls(self) -> dict[str, Control]:
        controls: dict[str, Control] = {}
        for control in self.formula.controls.values():
            for one in self._replaced(control.symbol):
                same = one == control.symbol and one not in self.scaled.domains
                made = control if same else Control(one, self.scaled.domains[one])
                controls[control_name(one)] = made
        return controls

    # ---- the formula ----------------------------------------------------------------------------

    def parts(self) -> dict[str, Any]:
        """Return what changes."""
        formula, approach = self.formula, self.approach
        times = "" if self.power == 0 else f", potential times {approach.shown(-self.power)}"
        unknowns, domains = self._unknowns(), self._domains()
        conjugates = self._conjugates(unknowns)
        observables = {}
        for name, expression in formula.observables.items():
            if name != "potential":
                try:
                    observables[name] = self._finite(expression)
                except NoLimit:
                    continue
        left = {"potential", *observables}
        starts = {name: self._place(place) for name, place in formula.starts.items()}
        subspaces = {
            name: place
            for name, place in formula.subspaces.items()
            if all(symbol in unknowns for symbol in place)
        }
        thresholds = {}
        lost = {*formula.starts, *formula.subspaces} - {n for n, p in starts.items() if p}
        lost -= set(subspaces)
        for name, threshold in formula.thresholds.items():
            moved = self._threshold(threshold, left, lost)
            if moved is not None:
                thresholds[name] = moved
        gone = {approach.symbol, *(old for old in self.scaled.new)}
        return {
            "name": f"{formula.name}-limit",
            "title": f"{formula.title}: limit {approach.text}{times}",
            "potential": self.potential,
            "overlaps": {q: domains[q] for q in unknowns if q not in set(conjugates.values())},
            "conjugates": conjugates,
            "controls": self._controls(),
            "relations": {
                name: relation
                for name, relation in formula.relations.items()
                if not relation.value.free_symbols & gone
            },
            "updates": {},
            "boundary": None,
            "absences": (),
            "starts": {name: place for name, place in starts.items() if place},
            "subspaces": subspaces,
            "observables": observables,
            "thresholds": thresholds,
            "stability": formula.stability if formula.stability in observables else "",
            "published": (),
            "experiment": None,
            # limits and means were exchanged, which is no theorem
            "status": "conjecture" if formula.status == "theorem" else formula.status,
        }

    def _conjugates(self, unknowns: tuple[Symbol, ...]) -> dict[Symbol, Symbol]:
        """Return the pairs in which the potential is still bilinear."""
        pairs: dict[Symbol, Symbol] = {}
        for overlap, conjugate in self.formula.conjugates.items():
            ones, others = self._replaced(overlap), self._replaced(conjugate)
            if len(ones) != 1 or len(others) != 1 or not {*ones, *others} <= set(unknowns):
                continue
            (one,), (other,) = ones, others
            domain = self.scaled.domains.get(other)
            usual = Interval(0, oo) if other.is_nonnegative else S.Reals
            if domain is not None and domain.closure != usual:
                continue
            slopes = ((one, other), (other, one))
            if all(solve_linear(self.potential.diff(a), b) is not None for a, b in slopes):
                pairs[one] = other
        return pairs

    def _place(self, place: Mapping[Symbol, Any]) -> dict[Symbol, Any]:
        """Return a start in the scaled unknowns, without those that it says nothing of."""
        moved: dict[Symbol, Any] = {}
        domains, unknowns = self._domains(), self._unknowns()
        for old, value in place.items():
            for one in self._replaced(old):
                if one not in unknowns:
                    continue
                try:
                    found = self._scaled_start(old, one, sympify(value, strict=True))
                except NoLimit:
                    continue
                if found.is_number and old in self.scaled.new:
                    found = _towards(found, domains[one])
                if found.is_finite is not False:
                    moved[one] = found
        return moved

    def _scaled_start(self, old: Symbol, one: Symbol, value: Expr) -> Expr:
        """Return the scaled unknown at which the unknown has a value; it may be infinite."""
        if old not in self.scaled.new:
            return self._finite(value)
        found = solve_linear(self.scaled.rule[old] - value, one)
        if found is None or (found.free_symbols & set(self.scaled.domains)):
            raise NoLimit(f"{old} is not linear in {one}")
        series = self._series(found, S.One)
        if series.power < 0 and series.terms:
            return oo * series.lead[1] if series.lead[1].is_number else oo
        return self._finite(found)

    def _threshold(self, threshold: Threshold, left: set[str], lost: set[str]) -> Threshold | None:
        """Return a threshold in the scaled unknowns, None where it has no meaning in the limit.

        Observables are `left`, and states that it may name are `lost`.
        """
        gone = {self.approach.symbol, *self.scaled.new}
        if set(threshold.controls) & gone:
            return None
        changes: dict[str, Any] = {}
        try:
            for item in fields(threshold):
                value = getattr(threshold, item.name)
                if item.name in ("in_", "doc", "caveat"):
                    continue
                states = value if isinstance(value, tuple) else (value,)
                if any(isinstance(state, str) and state in lost for state in states):
                    return None
                if item.name == "zero":
                    zeros = value if isinstance(value, tuple) else (value,)
                    if any(isinstance(zero, str) and zero not in left for zero in zeros):
                        return None
                    moved = tuple(z if isinstance(z, str) else self._finite(z) for z in zeros)
                    changes[item.name] = moved if isinstance(value, tuple) else moved[0]
                elif isinstance(value, Expr):
                    changes[item.name] = self._finite(value)
                elif isinstance(value, Mapping):
                    if gone & set(value):
                        return None
                elif item.name in ("cases", "unless") and any(
                    sympify(condition).free_symbols & gone for condition, _ in value
                ):
                    return None
        except NoLimit:
            return None
        if "cases" in {item.name for item in fields(threshold)}:
            return None
        return replace(threshold, **changes)
