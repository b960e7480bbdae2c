"""The declaration of a system: its potential and everything that is known about it, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sympy import Basic, Dummy, Eq, Expr, Interval, S, Symbol, latex, oo

from replica.declarations.checks import Checks
from replica.declarations.control import Control, Relation, control_name, declared_controls
from replica.declarations.frozen import FrozenMapping, freeze
from replica.declarations.landmarks import Absence, Boundary
from replica.declarations.limiting import limit_of
from replica.declarations.published import Published
from replica.declarations.threshold import Threshold, a_threshold
from replica.errors import DeclarationError, UnknownName, looked_up
from replica.language.stationarity import free_updates, residuals

__all__ = ["Formula"]

_POINT = Dummy("point", real=True)


@dataclass(frozen=True, eq=False)
class Formula:
    r"""A system of the literature: a free entropy and what is asked of it.

    The potential is the free entropy :math:`\phi = \lim \frac1p E \log Z` in nats per weight;
    plain sympy in it is rewritten into stable primitives at declaration.

    Parameters
    ----------
    name : str
        Registry name, words joined by hyphens.
    title, ensemble : str
        What it is; the random ensemble in one sentence.
    potential : Expr, optional
        Free entropy per weight. A formula of `equations` has none, nor one whose thresholds are
        all limits.
    overlaps : mapping of Symbol to Interval
        Order parameters and their domains (a bound may be another overlap).
    conjugates : mapping of Symbol to Symbol
        The conjugate of an overlap, in which the potential is bilinear.
    updates : mapping of Symbol to Expr, optional
        What the saddle-point equation of a pair says the unknown is, where a theorem has a better
        form than the derivative: a sum of squares in place of a difference. It must be equal,
        and is compared with the derivative before the first number is returned.
    equations : mapping of Symbol to Expr, optional
        In place of a potential: what every overlap (and conjugate, if any) is at a saddle point,
        in terms of all of them. What compares potentials, such as a `Crossing`, is refused.
    boundary : Boundary, optional
        A saddle point at the edge of the domain.
    absences : sequence of Absence
        Where there is no saddle point for a known reason.
    controls : mapping of Symbol to (Interval, default) or to Control
        Parameters; default None means that the user must give it.
    relations : mapping of str to Relation
        Names under which controls may be given through others, such as the ratio of two.
    starts : mapping of str to mapping of Symbol to number or Expr
        Named starting points, ``"uninformed"`` first; expressions are in the controls.
    subspaces : mapping of str to mapping of Symbol to number
        Invariant subspaces by name, as the unknowns that keep a value in them: states that
        respect a symmetry, which no iteration leaves.
    observables : mapping of str to Expr
        Named quantities besides ``"potential"``, which always exists.
    thresholds : mapping of str to Root, Instability or Limit
    stability : str
        The observable that must stay below one for the saddle to be exact (the replicon).
    equilibrium : {"", "largest", "smallest"}
        Which of several saddle points is the equilibrium state: that of the largest potential, a
        free entropy, unless this says otherwise. Where some unknown has no update, it also tells
        which saddle points are stable: the maxima, or the minima, of the potential.
    published : sequence of Published
    cites : sequence of str
        Keys of ``references.bib``.
    status : {"theorem", "conjecture", "heuristic"}
        What is known of the formula where it is stable.
    experiment : mapping of str to block, optional
        What finite-size instances are drawn from, by role: ``{"prior": prior, "channel": channel}``
        for a teacher and a student, ``{"weights": weights, "constraint": constraint}`` for a
        storage problem. `replica.simulate` serves the roles that a `Simulation` is registered for.
    options : mapping of str to value
        Structural options, filled in by a family.

    Raises
    ------
    DeclarationError
        Naming the formula, the symbol or sub-expression and what to do.
    """

    name: str
    title: str
    potential: Expr = None
    overlaps: Mapping[Symbol, Interval] = field(default_factory=FrozenMapping)
    controls: Mapping[Any, Any] = field(default_factory=FrozenMapping)
    conjugates: Mapping[Symbol, Symbol] = field(default_factory=FrozenMapping)
    updates: Mapping[Symbol, Expr] = field(default_factory=FrozenMapping)
    boundary: Boundary | None = None
    absences: tuple[Absence, ...] = ()
    ensemble: str = ""
    starts: Mapping[str, Mapping[Symbol, Any]] = field(default_factory=FrozenMapping)
    subspaces: Mapping[str, Mapping[Symbol, Any]] = field(default_factory=FrozenMapping)
    observables: Mapping[str, Expr] = field(default_factory=FrozenMapping)
    thresholds: Mapping[str, Threshold] = field(default_factory=FrozenMapping)
    stability: str = ""
    published: tuple[Published, ...] = ()
    cites: tuple[str, ...] = ()
    status: str = "conjecture"
    experiment: Mapping[str, Any] | None = None
    options: Mapping[str, Any] = field(default_factory=FrozenMapping)
    relations: Mapping[str, Relation] = field(default_factory=FrozenMapping)
    equilibrium: str = ""
    if TYPE_CHECKING:
        equations: Any = None
    else:  # given as a mapping and kept as updates; read as equalities, see below the class
        equations: InitVar[Any] = None

    def __post_init__(self, equations: object) -> None:  # type: ignore[override]  # as above
        for text in ("name", "title"):
            if not isinstance(getattr(self, text), str) or not getattr(self, text):
                raise DeclarationError(f"a formula needs a {text}")
        controls = declared_controls(self.name, self.controls)
        object.__setattr__(self, "controls", FrozenMapping(controls))
        if isinstance(equations, Mapping):
            self._only_equations(equations)
        elif not (equations is None or isinstance(equations, tuple)):  # `replace` hands those on
            raise DeclarationError(
                f"formula {self.name}: equations must be a mapping of each overlap to what it "
                f"equals, not {equations!r}"
            )
        freeze(self)
        checks = Checks(self)
        checks.mappings({"starts": self.starts, "subspaces": self.subspaces})
        for part in ("overlaps", "conjugates", "updates", "observables", "thresholds"):
            checks.mapping(part, getattr(self, part))
        expression = checks.expression
        if self.potential is None:
            checks.without_potential(self.updates, self.thresholds)
        else:
            potential = expression("the potential", self.potential, numbers=False)
            object.__setattr__(self, "potential", potential)
        updates = {s: expression(f"the update of {s}", e) for s, e in self.updates.items()}
        object.__setattr__(self, "updates", FrozenMapping(updates))
        observables = {k: expression(f"observable {k}", e) for k, e in self.observables.items()}
        if self.potential is not None:
            observables = {"potential": self.potential, **observables}
        object.__setattr__(self, "observables", FrozenMapping(observables))
        thresholds = {
            k: a_threshold(checks, k, t).checked(checks, k) for k, t in self.thresholds.items()
        }
        object.__setattr__(self, "thresholds", FrozenMapping(thresholds))
        starts = {k: checks.start(k, w) for k, w in self.starts.items()}
        object.__setattr__(self, "starts", FrozenMapping(starts))
        subspaces = {k: FrozenMapping(w) for k, w in self.subspaces.items()}
        object.__setattr__(self, "subspaces", FrozenMapping(subspaces))
        self._check(checks)
        self.residuals  # noqa: B018 -- a pair that is not bilinear is refused here

    def _only_equations(self, equations: Mapping[Symbol, Expr]) -> None:
        """Take equations for the updates of a formula that has no potential."""
        for other in ("potential", "updates"):
            if getattr(self, other):
                raise DeclarationError(
                    f"formula {self.name}: equations are stated in place of a potential; leave "
                    f"{other} out, or state them as updates"
                )
        object.__setattr__(self, "updates", FrozenMapping(equations))

    def _check(self, checks: Checks) -> None:
        for overlap in self.conjugates:
            if overlap not in self.overlaps:
                raise DeclarationError(
                    f"formula {self.name}: {overlap} has a conjugate but is not an overlap"
                )
        if self.stability and self.stability not in self.observables:
            raise DeclarationError(
                f"formula {self.name}: stability names {self.stability!r}, which is no observable"
            )
        if self.equilibrium not in ("", "largest", "smallest"):
            raise DeclarationError(
                f"formula {self.name}: equilibrium is the state of the largest or smallest "
                f"potential, not {self.equilibrium!r}"
            )
        if not (self.experiment is None or isinstance(self.experiment, FrozenMapping)):
            raise DeclarationError(
                f"formula {self.name}: experiment must be a mapping of roles to blocks, not "
                f"{self.experiment!r}"
            )
        checks.names()
        checks.places("start", self.starts)
        checks.places("subspace", self.subspaces)
        if self.boundary is not None:
            checks.boundary(self.boundary)
        for absence in self.absences:
            checks.absence(absence)
        for unknown in self.updates:
            if unknown not in self.unknowns:
                raise DeclarationError(
                    f"formula {self.name}: the update of {unknown} is of no overlap or conjugate"
                )
        checks.domains()

    # ---- identity: the content, whatever object holds it ---------------------------------------

    @cached_property
    def _content(self) -> tuple[Any, ...]:
        return tuple(getattr(self, item.name) for item in fields(self))

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Formula) and self._content == other._content

    @cached_property
    def _hash(self) -> int:
        return hash((self.name, self.potential, tuple(self.overlaps), self.options))

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, ({item.name: getattr(self, item.name) for item in fields(self)},)

    # ---- what is derived ------------------------------------------------------------------------

    @cached_property
    def unknowns(self) -> tuple[Symbol, ...]:
        """Overlaps, then conjugates: what a saddle point determines."""
        return (
            *self.overlaps,
            *(self.conjugates[q] for q in self.overlaps if q in self.conjugates),
        )

    @cached_property
    def symbols(self) -> tuple[Symbol, ...]:
        """Symbols of the controls, in the order in which their values are passed on.

        A formula without controls has one that nothing depends on, whose values are its points.
        """
        return tuple(control.symbol for control in self.controls.values()) or (_POINT,)

    def control(self, symbol: Symbol) -> Control:
        """Return the control with this symbol."""
        return self.controls[control_name(symbol)]

    @cached_property
    def domains(self) -> Mapping[Symbol, Interval]:
        """Domain of each unknown; that of a conjugate follows from its assumptions."""
        domains = dict(self.overlaps)
        for conjugate in self.conjugates.values():
            domains[conjugate] = Interval(0, oo) if conjugate.is_nonnegative else S.Reals
        return FrozenMapping(domains)

    @cached_property
    def residuals(self) -> Mapping[Symbol, Expr]:
        """What vanishes at a saddle, one expression per unknown; derived from the potential."""
        derived: Mapping[Symbol, Expr] = {}
        if self.potential is not None:
            try:
                derived = residuals(
                    self.potential, tuple(self.overlaps), self.conjugates, frozenset(self.updates)
                )
            except DeclarationError as error:
                raise DeclarationError(f"formula {self.name}: {error}") from None
        stated = {symbol: update - symbol for symbol, update in self.updates.items()}
        both = {**derived, **stated}
        return FrozenMapping({symbol: both[symbol] for symbol in self.unknowns})

    @cached_property
    def paired(self) -> frozenset[Symbol]:
        """Unknowns that have an update: their residual is update minus unknown."""
        known = {*self.conjugates, *self.conjugates.values(), *self.updates}
        if known.issuperset(self.overlaps):
            return frozenset(known)
        return frozenset(
            known.union(free_updates(self.potential, tuple(self.overlaps), self.conjugates))
        )

    def within(self, place: Mapping[Symbol, Expr]) -> Formula:
        """Return the formula on an invariant subspace, where some unknowns keep their values.

        Such as the state that respects a symmetry: a saddle point there is one of the whole.
        """
        rule = dict(place)

        def there(expression: Expr) -> Expr:
            return expression.subs(rule) if isinstance(expression, Expr) else expression

        kept = [q for q in self.overlaps if q not in rule]
        return replace(
            self,
            potential=there(self.potential),
            overlaps={q: self.overlaps[q] for q in kept},
            conjugates={q: c for q, c in self.conjugates.items() if q in kept},
            updates={s: there(e) for s, e in self.updates.items() if s not in rule},
            observables={k: there(e) for k, e in self.observables.items()},
            boundary=None,
            absences=tuple(a for a in self.absences if not isinstance(a.than, str)),
            starts={},
            subspaces={},
            stability="",
            thresholds={},
            published=(),
        )

    def limit(
        self,
        symbol: Symbol,
        value: Any,
        scaling: Mapping[Symbol, Any] | None = None,
        *,
        domains: Mapping[Symbol, Interval] | None = None,
        **known: Any,
    ) -> Formula:
        r"""Return the formula in the limit of a control or an overlap, derived from the potential.

        .. math:: \phi = \varepsilon^p\, [\phi_0 + o(1)], \qquad
                  \varepsilon = T \to 0,\ 1 - q \to 0,\ 1/\beta \to 0, \ldots

        The potential of the limit is :math:`\phi_0`, whose saddle points are those of
        :math:`\phi`; the title says by which power it is multiplied. Where an overlap tends to
        its end, as at capacity, :math:`\phi_0 = 0` is its saddle-point equation. Unknowns on which
        the leading order does not depend are no unknowns of the limit. Observables, starts and
        thresholds that have a finite limit are kept, the others are not.

        Parameters
        ----------
        symbol : Symbol
            The control or unknown that tends to an end of its domain.
        value : number or oo
            The end.
        scaling : mapping of Symbol to Expr, optional
            What the other unknowns, or controls, are in terms of scaled ones, such as
            ``{q: 1 - chi*T}``; a number where only the limit is of interest, ``{q: 1}``.
        domains : mapping of Symbol to Interval, optional
            Those of the scaled variables; by default from their assumptions.
        **known
            What else the new formula says of itself, such as ``name`` and ``thresholds``.

        Raises
        ------
        DeclarationError
            Where the scaling leaves a pole, naming the term; where a part of the potential has
            no known limit, naming the part.
        UnknownName
            For a symbol that the formula does not have.

        Examples
        --------
        The Sherrington-Kirkpatrick model without breaking:

        >>> from sympy import cosh, log, symbols
        >>> from replica.language.means import Mean
        >>> T, q = symbols("T q", positive=True)
        >>> h = symbols("h", real=True)
        >>> spin_glass = Formula(
        ...     name="spin-glass",
        ...     title="Spin glass",
        ...     potential=(1 - q) ** 2 / (4 * T**2) + Mean(log(2 * cosh(h / T)), (h, q)),
        ...     overlaps={q: Interval(0, 1)},
        ...     controls={T: (Interval.open(0, oo), None)},
        ... )
        >>> spin_glass.limit(T, 0, {q: 1}).potential
        Mean(Abs(h), (h, 1))
        """
        return limit_of(self, symbol, value, scaling or {}, domains or {}, known)

    def observable(self, quantity: Any) -> Expr:
        """Return the expression of an observable, given its name or an expression."""
        if isinstance(quantity, Basic):
            return quantity
        return looked_up("observable", quantity, self.observables, self.name)

    def threshold(self, name: str) -> Threshold:
        """Return the declaration of a threshold; UnknownName lists the near ones."""
        found: Threshold = looked_up("threshold", name, self.thresholds, self.name)
        return found

    def determined(self, name: str) -> set[str]:
        """Return the controls that a threshold determines or does not depend on."""
        return self.threshold(name).determined(self.controls)

    def value_of(self, name: str) -> str:
        """Return the control whose value a threshold is."""
        return self.threshold(name).value_of(name, self.controls)

    def resolve(self, given: Mapping[str, Any]) -> tuple[Formula, dict[str, Any]]:
        """Return the formula and its controls; a formula has no options of its own."""
        for name in given:
            if name not in self.controls and name not in self.relations:
                raise UnknownName("control", name, [*self.controls, *self.relations], self.name)
        return self, dict(given)

    # ---- how it shows ---------------------------------------------------------------------------

    def _repr_latex_(self) -> str:
        if self.potential is None:
            rows = r" \\ ".join(f"{latex(e.lhs)} &= {latex(e.rhs)}" for e in self.equations)
            return rf"$\displaystyle \begin{{aligned}} {rows} \end{{aligned}}$"
        terms = [latex(term) for term in self.potential.as_ordered_terms()]
        lines = r" \\ &\quad ".join(
            term if k == 0 or term.startswith("-") else "+ " + term for k, term in enumerate(terms)
        )
        return rf"$\displaystyle \begin{{aligned}} \phi =&\ {lines} \end{{aligned}}$"

    def __repr__(self) -> str:
        chosen = "".join(f", {k}={w}" for k, w in self.options.items())
        return f"<Formula {self.name}{chosen}: {self.title}>"


def _equations(formula: Formula) -> tuple[Eq, ...]:
    """Saddle-point equations as sympy equalities: derived from the potential, or stated."""
    return tuple(
        Eq(unknown, residual + unknown) if unknown in formula.paired else Eq(residual, 0)
        for unknown, residual in formula.residuals.items()
    )


Formula.equations = property(_equations)  # a keyword and a property cannot share a class body


def _rebuild(content: dict[str, Any]) -> Formula:
    return Formula(**content)
