"""Checks of what a formula declares: every message names the formula, the part and the fault."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from sympy import Basic, Expr, Interval, Symbol, false, sympify, to_nnf
from sympy.core.relational import Relational
from sympy.logic.boolalg import Boolean, BooleanAtom, BooleanFunction

from replica.declarations.control import Control
from replica.declarations.frozen import FrozenMapping
from replica.declarations.landmarks import Absence, Boundary
from replica.declarations.numbers import exact
from replica.errors import DeclarationError, UnknownName
from replica.language.means import BoundMean
from replica.language.rewriting import stabilise
from replica.language.vocabulary import first_unknown_node

__all__ = ["Checks"]

_DEFAULT_STARTS = ("uninformed", "middle", "informed")  # of a formula that names none


class Declared(Protocol):
    """What checks need to know of a formula."""

    @property
    def name(self) -> str: ...
    @property
    def overlaps(self) -> Mapping[Symbol, Interval]: ...
    @property
    def domains(self) -> Mapping[Symbol, Interval]: ...
    @property
    def unknowns(self) -> tuple[Symbol, ...]: ...
    @property
    def controls(self) -> Mapping[str, Control]: ...
    @property
    def starts(self) -> Mapping[str, Mapping[Symbol, Any]]: ...
    @property
    def subspaces(self) -> Mapping[str, Mapping[Symbol, Any]]: ...
    def observable(self, quantity: object) -> Expr: ...
    def threshold(self, name: str) -> Any: ...


class Checks:
    """Checks of the parts of one formula, whose expressions they make stable.

    Parameters
    ----------
    formula : Formula
        Its name, overlaps, conjugates and controls are declared already.
    """

    def __init__(self, formula: Declared) -> None:
        self.formula = formula
        self.controls = {control.symbol for control in formula.controls.values()}
        self.unknowns = set(formula.unknowns)

    def fault(self, what: str, text: str) -> DeclarationError:
        """Return the error that says what is wrong with which part."""
        return DeclarationError(f"formula {self.formula.name}, {what}: {text}")

    def mapping(self, what: str, given: object) -> None:
        """Refuse what is no mapping."""
        if not isinstance(given, Mapping):
            raise self.fault(what, f"must be a mapping, not {given!r}")

    def mappings(self, given: Mapping[str, object]) -> None:
        """Refuse what are no mappings of names to places, such as starts."""
        for what, places in given.items():
            if not isinstance(places, Mapping) or not all(
                isinstance(place, Mapping) for place in places.values()
            ):
                raise self.fault(
                    what, f"give names and places, as {{'glass': {{q: 1}}}}, not {places!r}"
                )

    # ---- expressions ----------------------------------------------------------------------------

    def expression(
        self, what: str, expression: object, extra: Iterable[Symbol] = (), numbers: bool = True
    ) -> Expr:
        """Return an expression in the symbols of the formula, and in `extra` ones, made stable."""
        number = isinstance(expression, (int, float)) and not isinstance(expression, bool)
        if number and numbers:
            expression = sympify(expression, strict=True)
        if not isinstance(expression, Expr):
            raise self.fault(what, f"must be a sympy expression, not {expression!r}")
        try:
            stable = stabilise(expression)
        except DeclarationError as error:
            raise self.fault(what, str(error)) from None
        allowed = {*extra, *self.unknowns, *self.controls}
        bound = {mean.field for mean in expression.atoms(BoundMean)}
        for symbol in sorted(bound & allowed, key=str):
            raise self.fault(
                what,
                f"{symbol} is declared as an overlap or control and also bound by a mean; rename "
                f"the bound field",
            )
        loose = sorted(stable.free_symbols - allowed, key=str)
        if loose:
            names = ", ".join(map(str, loose))
            raise self.fault(
                what,
                f"unbound symbol {names}; declare it as an overlap or a control, or bind it in a "
                f"Mean",
            )
        problem = first_unknown_node(stable)
        if problem is not None:
            raise self.fault(
                what,
                f"cannot integrate {problem} (a {type(problem).__name__} has no numerical meaning "
                f"here)",
            )
        return stable

    def known(self, what: str, expression: object, known: set[Symbol]) -> None:
        """Refuse an expression in other symbols than these."""
        loose = sorted(map(str, sympify(expression, strict=True).free_symbols - known))
        if loose:
            raise self.fault(what, f"unbound symbol {', '.join(loose)}")

    def control(self, what: str, symbol: object) -> None:
        """Refuse what is no control."""
        if symbol not in self.controls:
            raise self.fault(what, f"{symbol} is not a control")

    def observable(self, quantity: object) -> None:
        """Refuse what names no observable."""
        self.formula.observable(quantity)

    def condition(self, what: str, condition: object, solved: tuple[Symbol, ...] = ()) -> None:
        """Refuse what is no condition on the controls, those that are solved for apart."""
        known = self.controls - set(solved)
        comparisons = _comparisons(condition)
        if comparisons is None or any(one.free_symbols - known for one in comparisons):
            apart = f" other than {', '.join(map(str, solved))}" if solved else ""
            raise self.fault(what, f"the condition {condition} is not one on controls{apart}")
        for comparison in comparisons:
            for side in comparison.args:
                self.expression(f"{what}, the condition {condition}", side)

    def state(self, what: str, state: Any) -> None:
        """Refuse what is neither a named state nor another formula in the same controls."""
        formula = self.formula
        if isinstance(state, str):
            known = [*(formula.starts or _DEFAULT_STARTS), *formula.subspaces]
            if state not in known:
                raise UnknownName("state", state, known, f"formula {formula.name}, {what}")
            return
        controls = getattr(state, "controls", None)
        if controls is None or not hasattr(state, "residuals"):
            raise self.fault(what, f"{state!r} is neither the name of a state nor a formula")
        for control in controls.values():
            if control.symbol not in self.controls:
                raise self.fault(
                    what, f"the control {control.name} of {state.name} is none of this formula"
                )

    def states(self, what: str, between: tuple[Any, ...]) -> None:
        """Refuse two states that are the same."""
        for state in between:
            self.state(what, state)
        one, two = (
            dict({**self.formula.starts, **self.formula.subspaces}.get(state, {0: state}))
            if isinstance(state, str)
            else state
            for state in between
        )
        if one == two:
            names = " and ".join(
                state if isinstance(state, str) else state.name for state in between
            )
            raise self.fault(what, f"the states {names} are the same")

    # ---- parts of a formula ---------------------------------------------------------------------

    def without_potential(
        self, equations: Mapping[Symbol, object], thresholds: Mapping[str, Any]
    ) -> None:
        """Refuse a formula without potential that does not say what takes its place."""
        name = self.formula.name
        for unknown in self.formula.unknowns if equations else ():
            if unknown not in equations:
                raise DeclarationError(
                    f"formula {name}: there is no equation for {unknown}; without a potential each "
                    f"overlap and conjugate needs one"
                )
        of_saddles = [k for k, t in thresholds.items() if getattr(t, "needs_saddle", True)]
        if not equations and (self.formula.unknowns or of_saddles or not thresholds):
            raise DeclarationError(
                f"formula {name}: the potential must be a sympy expression; a formula without one "
                f"needs equations={{overlap: what it equals}}, or has no overlaps and only "
                f"thresholds that are a Limit"
            )
        for key, threshold in thresholds.items():
            if getattr(threshold, "needs_potential", False):
                raise self.fault(
                    f"threshold {key}",
                    f"a {type(threshold).__name__} compares potentials, and a formula of "
                    f"equations has none: give the potential, or a Fold or Root",
                )

    def start(
        self, start: str, place: Mapping[Symbol, object], solved: tuple[Symbol, ...] = ()
    ) -> FrozenMapping:
        """Return a start with its expressions in the controls checked and made stable.

        Controls that are `solved` for have no value yet.
        """
        known = self.controls - set(solved)
        stable = dict(place)
        for symbol, value in place.items():
            if not isinstance(value, Expr):
                continue
            loose = value.free_symbols - known
            if loose:
                raise self.fault(
                    f"start {start}",
                    f"{symbol} = {value} depends on {', '.join(sorted(map(str, loose)))}, which is "
                    f"not a control" + (" with a value" if loose & set(solved) else ""),
                )
            stable[symbol] = self.expression(f"start {start}, {symbol}", value)
        return FrozenMapping(stable)

    def names(self) -> None:
        """Refuse names that stand for two things, and domains that are no intervals."""
        formula = self.formula
        for overlap, domain in formula.overlaps.items():
            if not isinstance(domain, Interval):
                raise DeclarationError(
                    f"formula {formula.name}: the domain of {overlap} must be an Interval, "
                    f"not {domain!r}"
                )
        names = [s.name for s in formula.unknowns]
        names += [c.symbol.name for c in formula.controls.values()]
        for name in names:
            if names.count(name) > 1:
                raise DeclarationError(
                    f"formula {formula.name}: {name} is both overlap and control, or names two of "
                    f"them"
                )

    def domains(self) -> None:
        """Refuse domains that end at something unknown."""
        ends = self.controls | self.unknowns
        for overlap, domain in self.formula.overlaps.items():
            for end in (domain.start, domain.end):
                self.known(f"the domain of {overlap}", end, ends - {overlap})

    def places(self, what: str, places: Mapping[str, Mapping[Symbol, object]]) -> None:
        """Refuse places, such as starts, that give a value to what is no unknown."""
        for name, place in places.items():
            for symbol, value in place.items():
                if symbol not in self.unknowns:
                    raise self.fault(f"{what} {name}", f"{symbol} is not an overlap")
                self.value(f"{what} {name}", symbol, value)
            if name == "equilibrium":
                raise self.fault(
                    f"{what} {name}",
                    "this name stands for the state of the largest or smallest potential; choose "
                    "another",
                )

    def boundary(self, boundary: object) -> None:
        """Refuse a boundary that does not say where every unknown is, and when."""
        if not isinstance(boundary, Boundary):
            raise self.fault("boundary", f"expected a Boundary, not {boundary!r}")
        what = f"boundary {boundary.name}"
        self.control(what, boundary.in_)
        if set(boundary.at) != self.unknowns:
            wrong = sorted(map(str, set(boundary.at) ^ self.unknowns))
            raise self.fault(
                what,
                f"`at` gives a value to each overlap and conjugate, and to nothing else: "
                f"{', '.join(wrong)}",
            )
        self.condition(what, boundary.when)
        for expression in (boundary.above, *boundary.at.values(), *boundary.observables.values()):
            self.known(what, expression, self.controls)

    def absence(self, absence: Absence) -> None:
        """Refuse an absence that is not decided by controls."""
        self.control("absence", absence.in_)
        self.condition("absence", absence.when)
        if isinstance(absence.than, str):
            if self.formula.threshold(absence.than).needs_saddle:
                raise self.fault(
                    "absence",
                    f"{absence.than} is found along saddle points, so it cannot say where there "
                    f"are none: name a Limit, or give an expression in the controls",
                )
        else:
            self.known("absence", absence.than, self.controls - {absence.in_})

    def value(self, what: str, symbol: Symbol, value: object) -> None:
        """Refuse a value of an overlap or control that is none, or is outside of its domain."""
        if isinstance(value, Expr) and value.free_symbols:
            return
        number = exact(value)
        if isinstance(value, bool) or number is None or not number.is_finite:
            raise self.fault(what, f"{symbol} = {value!r} is not a real number")
        domain = self.formula.domains.get(symbol)
        if isinstance(domain, Interval) and not domain.free_symbols:
            if domain.closure.contains(number) == false:
                raise self.fault(what, f"{symbol} = {value} is outside {domain}")

    def place(self, what: str, symbols: Iterable[Symbol]) -> None:
        """Refuse what is neither a control nor an unknown."""
        for symbol in symbols:
            if symbol not in self.controls | self.unknowns:
                raise self.fault(what, f"{symbol} is not a control nor an overlap")

    def zero(self, what: str, quantity: object) -> object:
        """Return what is to vanish: the name of an observable, or an expression made stable."""
        zero = self.expression(what, quantity) if isinstance(quantity, Basic) else quantity
        self.observable(zero)
        return zero


def _comparisons(condition: object) -> list[Relational] | None:
    """Return the comparisons that a condition is made of, None for what is no condition."""
    if not isinstance(condition, (bool, Boolean)):
        return None
    left, found = [to_nnf(sympify(condition, strict=True), simplify=False)], []
    while left:
        part = left.pop()
        if isinstance(part, Relational):
            found.append(part)
        elif isinstance(part, BooleanFunction):
            left.extend(part.args)
        elif not isinstance(part, BooleanAtom):
            return None
    return found
