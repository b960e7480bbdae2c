"""The declaration of a system: its potential and everything that is known about it, as data."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

from sympy import Basic, Eq, Expr, Interval, S, Symbol, latex, oo, sympify, to_nnf
from sympy.core.relational import Relational
from sympy.logic.boolalg import Boolean, BooleanAtom, BooleanFunction

from replica.errors import ControlError, DeclarationError, UnknownName, looked_up
from replica.language.calculus import own_update, residuals
from replica.language.means import BoundMean
from replica.language.rewriting import stabilise
from replica.language.vocabulary import first_unknown_node

__all__ = [
    "Absence",
    "Boundary",
    "Cases",
    "CommitteeStudent",
    "Control",
    "Crossing",
    "Cusp",
    "Family",
    "Fold",
    "Formula",
    "FrozenMapping",
    "Instability",
    "Limit",
    "LinearReadout",
    "Option",
    "Published",
    "Relation",
    "RiskMinimisation",
    "Root",
    "StorageExperiment",
    "TeacherStudent",
    "Threshold",
]


class FrozenMapping(Mapping[Any, Any]):
    """An immutable, hashable, picklable mapping that keeps its order."""

    __slots__ = ("_items",)
    _items: dict[Any, Any]

    def __init__(self, items: Mapping[Any, Any] | None = None) -> None:
        object.__setattr__(self, "_items", dict(items or {}))

    def __getitem__(self, key: Any) -> Any:
        return self._items[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __setattr__(self, name: str, value: object) -> None:
        raise TypeError("a formula is frozen: use dataclasses.replace")

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Mapping):
            return self._items == dict(other)
        return NotImplemented

    def __repr__(self) -> str:
        return repr(self._items)

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenMapping, (self._items,)


def control_name(symbol: Symbol) -> str:
    """Return the name of a control as a Python keyword argument (``lambda`` -> ``lambda_``)."""
    name: str = symbol.name
    return name + "_" if keyword.iskeyword(name) else name


@dataclass(frozen=True)
class Control:
    """A parameter of the system that the user sets: symbol, domain, default, meaning."""

    symbol: Symbol
    domain: Interval
    default: Any = None
    doc: str = ""

    @property
    def name(self) -> str:
        """Name as a Python keyword argument."""
        return control_name(self.symbol)


@dataclass(frozen=True)
class Relation:
    """A control that is a function of others, and is accepted in place of one of them.

    Parameters
    ----------
    control : Control
        Its symbol, domain and meaning; the default is not used.
    value : Expr
        In terms of the controls of the formula; invertible in each of them.
    """

    control: Control
    value: Expr


@dataclass(frozen=True)
class Root:
    r"""A threshold where observables vanish at the saddle: {stationarity, zero = 0}.

    Where the observable vanishes because the branch ends on another one, as a broken saddle on a
    symmetric one, the branch is followed to this merger.

    Parameters
    ----------
    zero : str or Expr, or a tuple of them
        Observables (or expressions) that vanish; as many as `in_` has controls.
    in_ : Symbol, or a tuple of them
        The controls that are solved for; the value of the threshold is the first.
    doc : str
        What the threshold means, one sentence.
    at : mapping, optional
        Unknowns pinned to a value at which they are stationary, e.g. ``{q: 0, qhat: 0}``.
    start : mapping, optional
        A first guess for the controls in `in_`, needed when there are several.
    unless : tuple of (condition, reason), optional
        Conditions on the other controls under which there is no such threshold.
    caveat : str
        What the value means where the replica-symmetric saddle is unstable.
    from_origin : bool
        Whether to look first along the saddle point of no overlap, where it exists.
    """

    zero: Any
    in_: Any
    doc: str = ""
    at: Mapping[Symbol, Any] = field(default_factory=FrozenMapping)
    start: Mapping[Symbol, Any] = field(default_factory=FrozenMapping)
    unless: tuple[tuple[Boolean, str], ...] = ()
    caveat: str = ""
    from_origin: bool = False

    def __post_init__(self) -> None:
        _freeze(self)
        if len(self.zeros) != len(self.controls):
            raise DeclarationError(
                f"a Root needs as many conditions as controls: {len(self.zeros)} conditions "
                f"{self.zero}, {len(self.controls)} controls {self.in_}"
            )

    @property
    def controls(self) -> tuple[Symbol, ...]:
        """Controls solved for."""
        return self.in_ if isinstance(self.in_, tuple) else (self.in_,)

    @property
    def zeros(self) -> tuple[Any, ...]:
        """Conditions that vanish."""
        return self.zero if isinstance(self.zero, tuple) else (self.zero,)


@dataclass(frozen=True)
class Instability(Root):
    r"""A threshold where an eigenvalue reaches one: {stationarity, eigenvalue = 1}.

    Parameters are those of `Root`, with the observable that reaches one as `zero`.
    """


@dataclass(frozen=True)
class Limit:
    r"""A threshold known as a limit along the branch: a value, stationary over auxiliaries.

    Parameters
    ----------
    value : Expr
        The threshold as a function of the controls and of the auxiliary variables.
    doc : str
        What the threshold means, one sentence.
    over : mapping of Symbol to (Interval, start), optional
        Auxiliary variables over which `value` is made stationary.
    stability : Expr, optional
        The replicon in the same limit; above one the replica-symmetric value is not exact.
    unless, caveat
        As in `Root`.
    """

    value: Expr
    doc: str = ""
    over: Mapping[Symbol, tuple[Interval, Any]] = field(default_factory=FrozenMapping)
    stability: Expr | None = None
    unless: tuple[tuple[Boolean, str], ...] = ()
    caveat: str = ""

    def __post_init__(self) -> None:
        _freeze(self)


class _Determines:
    """A threshold that determines the control, or controls, `in_`."""

    in_: Any

    def __post_init__(self) -> None:
        _freeze(self)

    @property
    def controls(self) -> tuple[Symbol, ...]:
        """The controls solved for."""
        return self.in_ if isinstance(self.in_, tuple) else (self.in_,)


@dataclass(frozen=True)
class Fold(_Determines):
    r"""A threshold where a branch turns back: {stationarity, Jacobian singular}.

    Parameters
    ----------
    in_ : Symbol
        The control that the branch turns in.
    upper : bool
        The largest fold from above, where the uninformed branch ends; else the lowest one after
        it, where the informed branch ends.
    otherwise : Expr, optional
        The value at the far end of the curve of saddle points, which counts where it is beyond
        every fold, or where there is none.
    start : mapping, optional
        A saddle point near the branch that ends, the control included, as numbers or expressions
        in the other controls; needed where the branch is followed because there is no explicit
        curve.
    doc, unless, caveat
        As in `Root`.
    """

    in_: Symbol
    upper: bool = True
    otherwise: Expr | None = None
    start: Mapping[Symbol, Any] = field(default_factory=FrozenMapping)
    doc: str = ""
    unless: tuple[tuple[Boolean, str], ...] = ()
    caveat: str = ""


@dataclass(frozen=True)
class Crossing(_Determines):
    r"""A threshold where two branches have the same potential: a first-order transition.

    Parameters
    ----------
    in_ : Symbol
        The control at which they cross.
    doc, unless, caveat
        As in `Root`.
    """

    in_: Symbol
    doc: str = ""
    unless: tuple[tuple[Boolean, str], ...] = ()
    caveat: str = ""


@dataclass(frozen=True)
class Cusp(_Determines):
    r"""The end of a line of first-order transitions, where its two folds meet.

    Parameters
    ----------
    in_ : tuple of two Symbols
        The control whose value there is the threshold, such as the noise, and the one that the
        branches turn in.
    doc, unless, caveat
        As in `Root`.
    """

    in_: tuple[Symbol, Symbol]
    doc: str = ""
    unless: tuple[tuple[Boolean, str], ...] = ()
    caveat: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(set(self.controls)) != 2 or not isinstance(self.in_, tuple):
            raise DeclarationError(
                f"a Cusp determines two controls, the one it is a value of and the one that the "
                f"branches turn in, not {self.in_}"
            )


@dataclass(frozen=True)
class Cases(_Determines):
    r"""A threshold whose kind depends on the other controls, as without noise and with it.

    Parameters
    ----------
    in_ : Symbol
        The control that is determined.
    cases : tuple of (condition, threshold)
        The first whose condition on the controls holds counts; the last may be True.
    doc : str
    """

    in_: Symbol
    cases: tuple[tuple[Any, Any], ...]
    doc: str = ""


Threshold = Root | Limit | Fold | Crossing | Cusp | Cases


@dataclass(frozen=True)
class Published:
    """A value from the literature, kept beside the potential it belongs to.

    Parameters
    ----------
    quantity : str
        A threshold or an observable of the formula.
    value : float
        What was published.
    tol : float
        Half a unit of the last published digit, or the published uncertainty.
    at : mapping of str to number
        Controls at which it was published.
    options : mapping of str to value
        Structural options, for a family.
    cite : str
        Key in ``references.bib``.
    where : str
        Equation, table or abstract.
    relation : {"=", "<", ">"}
        An equality, or a bound: ``"<"`` says that the quantity is below `value`.
    disputed : str
        Why sources or equations disagree; empty when they do not.
    """

    quantity: str
    value: float
    tol: float = 0.0
    at: Mapping[str, Any] = field(default_factory=FrozenMapping)
    options: Mapping[str, Any] = field(default_factory=FrozenMapping)
    cite: str = ""
    where: str = ""
    relation: str = "="
    disputed: str = ""

    def __post_init__(self) -> None:
        _freeze(self)
        if self.relation not in ("=", "<", ">"):
            raise DeclarationError(f"published {self.quantity}: relation must be =, < or >")

    def agrees(self, value: float, error: float = 0.0) -> bool:
        """Tell whether a computed value is compatible with the published one."""
        slack = self.tol + error
        if self.relation == "<":
            return value < self.value + slack
        if self.relation == ">":
            return value > self.value - slack
        return abs(value - self.value) <= slack


@dataclass(frozen=True)
class Boundary:
    r"""A saddle point at the edge of the domain, which no interior equation sees.

    Without noise the teacher's weights are one: the gap vanishes, its conjugate diverges.

    Parameters
    ----------
    name : str
        Such as ``"full recovery"``.
    at : mapping of Symbol to Expr
        The unknowns there.
    in_ : Symbol
        The control that decides whether it attracts.
    above : Expr
        It does where the control is above this.
    observables : mapping of str to Expr
        Their values there, the potential among them (infinite where it wins over any other).
    when : Boolean
        A condition on the controls without which there is no such point.
    """

    name: str
    at: Mapping[Symbol, Expr]
    in_: Symbol
    above: Expr
    observables: Mapping[str, Expr]
    when: Any = True

    def __post_init__(self) -> None:
        _freeze(self)


@dataclass(frozen=True)
class Absence:
    r"""Controls at which there is no saddle point, and why.

    Parameters
    ----------
    in_ : Symbol
        The control that decides.
    side : {"<", ">"}
        Whether there is none below or above `than`.
    than : str or Expr
        A threshold of the formula, or a value.
    reason : str
        One sentence; the message appends the value of `than`.
    when : Boolean
        A condition on the controls without which this says nothing.
    """

    in_: Symbol
    side: str
    than: Any
    reason: str
    when: Any = True

    def __post_init__(self) -> None:
        if self.side not in ("<", ">"):
            raise DeclarationError(f"an Absence is on the side < or >, not {self.side!r}")


@dataclass(frozen=True)
class StorageExperiment:
    """Finite-size twin of a storage problem: which weights, which accepted fields."""

    weights: str
    constraint: str


@dataclass(frozen=True)
class TeacherStudent:
    """Finite-size twin of a planted model: which prior drew the weights, which channel labels."""

    prior: Any
    channel: Any


@dataclass(frozen=True)
class CommitteeStudent:
    """Finite-size twin of a planted committee: which prior drew the pairs, which channel labels."""

    prior: Any
    channel: Any


@dataclass(frozen=True)
class RiskMinimisation:
    """Finite-size twin of risk minimisation: who gave the labels, and what is minimised."""

    channel: Any
    loss: Any
    penalty: Any


@dataclass(frozen=True)
class LinearReadout:
    """Finite-size twin of risk minimisation on features: their law, the labels, and the loss."""

    inputs: Any
    channel: Any
    loss: Any


def _freeze(instance: Any) -> None:
    for item in fields(instance):
        value = getattr(instance, item.name)
        if isinstance(value, Mapping) and not isinstance(value, FrozenMapping):
            object.__setattr__(instance, item.name, FrozenMapping(value))
        elif isinstance(value, list):
            object.__setattr__(instance, item.name, tuple(value))


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
    potential : Expr
        Free entropy per weight.
    overlaps : mapping of Symbol to Interval
        Order parameters and their domains (a bound may be another overlap).
    conjugates : mapping of Symbol to Symbol
        The conjugate of an overlap, in which the potential is bilinear.
    updates : mapping of Symbol to Expr, optional
        What the saddle-point equation of a pair says the unknown is, where a theorem has a better
        form than the derivative: a sum of squares in place of a difference. It must be equal.
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
    published : sequence of Published
    cites : sequence of str
        Keys of ``references.bib``.
    status : {"theorem", "conjecture", "heuristic"}
        What is known of the formula where it is stable.
    experiment : object, optional
        Finite-size twin.
    options : mapping of str to value
        Structural options, filled in by a family.

    Raises
    ------
    DeclarationError
        Naming the formula, the symbol or sub-expression and what to do.
    """

    name: str
    title: str
    potential: Expr
    overlaps: Mapping[Symbol, Interval]
    controls: Mapping[Any, Any]
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
    experiment: Any = None
    options: Mapping[str, Any] = field(default_factory=FrozenMapping)
    relations: Mapping[str, Relation] = field(default_factory=FrozenMapping)

    def __post_init__(self) -> None:
        for text in ("name", "title"):
            if not isinstance(getattr(self, text), str) or not getattr(self, text):
                raise DeclarationError(f"a formula needs a {text}")
        declare = self._declared
        object.__setattr__(self, "controls", FrozenMapping(_controls(self.name, self.controls)))
        object.__setattr__(self, "potential", declare("the potential", self.potential))
        updates = {s: declare(f"the update of {s}", e) for s, e in self.updates.items()}
        object.__setattr__(self, "updates", FrozenMapping(updates))
        observables = {k: declare(f"observable {k}", e) for k, e in self.observables.items()}
        observables = {"potential": self.potential, **observables}
        object.__setattr__(self, "observables", FrozenMapping(observables))
        thresholds = {k: self._stable_threshold(k, t) for k, t in self.thresholds.items()}
        object.__setattr__(self, "thresholds", FrozenMapping(thresholds))
        starts = {k: self._stable_start(k, w) for k, w in self.starts.items()}
        object.__setattr__(self, "starts", FrozenMapping(starts))
        subspaces = {k: FrozenMapping(w) for k, w in self.subspaces.items()}
        object.__setattr__(self, "subspaces", FrozenMapping(subspaces))
        _freeze(self)
        self._check_names()
        self.residuals  # noqa: B018 -- a pair that is not bilinear is refused here

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
    def domains(self) -> Mapping[Symbol, Interval]:
        """Domain of each unknown; that of a conjugate follows from its assumptions."""
        domains = dict(self.overlaps)
        for conjugate in self.conjugates.values():
            domains[conjugate] = Interval(0, oo) if conjugate.is_nonnegative else S.Reals
        return FrozenMapping(domains)

    @cached_property
    def residuals(self) -> Mapping[Symbol, Expr]:
        """What vanishes at a saddle, one expression per unknown; derived from the potential."""
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
        left = (q for q in self.overlaps if q not in known)
        return frozenset((*known, *(q for q in left if own_update(self.potential, q) is not None)))

    @property
    def equations(self) -> tuple[Eq, ...]:
        """Saddle-point equations as sympy equalities, derived from the potential."""
        return tuple(
            Eq(unknown, residual + unknown) if unknown in self.paired else Eq(residual, 0)
            for unknown, residual in self.residuals.items()
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
        declaration = self.threshold(name)
        if isinstance(declaration, Limit):
            used = declaration.value.free_symbols.union(
                *(condition.free_symbols for condition, _ in declaration.unless)
            )
            return {k for k, control in self.controls.items() if control.symbol not in used}
        return {control_name(symbol) for symbol in declaration.controls}

    def resolve(self, given: Mapping[str, Any]) -> tuple[Formula, dict[str, Any]]:
        """Return the formula and its controls; a formula has no options of its own."""
        for name in given:
            if name not in self.controls and name not in self.relations:
                raise UnknownName("control", name, [*self.controls, *self.relations], self.name)
        return self, dict(given)

    # ---- checks ---------------------------------------------------------------------------------

    def _declared(self, what: str, expression: Any, extra: Iterable[Symbol] = ()) -> Expr:
        number = isinstance(expression, (int, float)) and not isinstance(expression, bool)
        if number and what != "the potential":
            expression = sympify(expression, strict=True)
        if not isinstance(expression, Expr):
            raise DeclarationError(
                f"formula {self.name}, {what}: must be a sympy expression, not {expression!r}"
            )
        try:
            stable = stabilise(expression)
        except DeclarationError as error:
            raise DeclarationError(f"formula {self.name}, {what}: {error}") from None
        allowed = set(extra)
        allowed |= {*self.overlaps, *self.conjugates.values()}
        allowed |= {control.symbol for control in self.controls.values()}
        bound = {mean.field for mean in expression.atoms(BoundMean)}
        for symbol in sorted(bound & allowed, key=str):
            raise DeclarationError(
                f"formula {self.name}, {what}: {symbol} is declared as an overlap or control and "
                f"also bound by a mean; rename the bound field"
            )
        loose = sorted(stable.free_symbols - allowed, key=str)
        if loose:
            names = ", ".join(map(str, loose))
            raise DeclarationError(
                f"formula {self.name}, {what}: unbound symbol {names}; declare it as an overlap "
                f"or a control, or bind it in a Mean"
            )
        problem = first_unknown_node(stable)
        if problem is not None:
            raise DeclarationError(
                f"formula {self.name}, {what}: cannot integrate {problem} "
                f"(a {type(problem).__name__} has no numerical meaning here)"
            )
        return stable

    def _check_names(self) -> None:
        for overlap in self.conjugates:
            if overlap not in self.overlaps:
                raise DeclarationError(
                    f"formula {self.name}: {overlap} has a conjugate but is not an overlap"
                )
        if self.stability and self.stability not in self.observables:
            raise DeclarationError(
                f"formula {self.name}: stability names {self.stability!r}, which is no observable"
            )
        for overlap, domain in self.overlaps.items():
            if not isinstance(domain, Interval):
                raise DeclarationError(
                    f"formula {self.name}: the domain of {overlap} must be an Interval, "
                    f"not {domain!r}"
                )
        names = [s.name for s in self.unknowns] + [c.symbol.name for c in self.controls.values()]
        for name in names:
            if names.count(name) > 1:
                raise DeclarationError(
                    f"formula {self.name}: {name} is both overlap and control, or names two of them"
                )
        for what, places in (("start", self.starts), ("subspace", self.subspaces)):
            for name, place in places.items():
                for symbol in place:
                    if symbol not in self.unknowns:
                        raise DeclarationError(
                            f"formula {self.name}, {what} {name}: {symbol} is not an overlap"
                        )
        if self.boundary is not None:
            self._check_boundary(self.boundary)
        for absence in self.absences:
            self._check_absence(absence)
        for unknown in self.updates:
            if unknown not in self.unknowns:
                raise DeclarationError(
                    f"formula {self.name}: the update of {unknown} is of no overlap or conjugate"
                )
        ends = {control.symbol for control in self.controls.values()} | set(self.unknowns)
        for overlap, domain in self.overlaps.items():
            for end in (domain.start, domain.end):
                self._check_known(f"the domain of {overlap}", end, ends - {overlap})

    def _stable_start(
        self, start: str, place: Mapping[Symbol, Any], solved: tuple[Symbol, ...] = ()
    ) -> FrozenMapping:
        """Return a start with its expressions in the controls checked and made stable.

        Controls that are `solved` for have no value yet.
        """
        known = {control.symbol for control in self.controls.values()} - set(solved)
        stable = dict(place)
        for symbol, value in place.items():
            if not isinstance(value, Expr):
                continue
            loose = value.free_symbols - known
            if loose:
                raise DeclarationError(
                    f"formula {self.name}, start {start}: {symbol} = {value} depends on "
                    f"{', '.join(sorted(map(str, loose)))}, which is not a control"
                    + (" with a value" if loose & set(solved) else "")
                )
            stable[symbol] = self._declared(f"start {start}, {symbol}", value)
        return FrozenMapping(stable)

    def _stable_threshold(
        self, name: str, threshold: Any, solved: tuple[Symbol, ...] = ()
    ) -> Threshold:
        """Return a threshold with its expressions checked and made stable.

        For one of several cases `solved` are the controls that all of them determine.
        """
        what = f"threshold {name}"
        if not isinstance(threshold, Threshold):
            raise DeclarationError(
                f"formula {self.name}, {what}: expected a Root, Instability, Fold, Crossing, "
                f"Cusp, Limit or Cases, not {threshold!r}"
            )
        symbols = {control.symbol for control in self.controls.values()}
        if not isinstance(threshold, Limit):
            solved = threshold.controls
        if isinstance(threshold, Cases):
            if not threshold.cases:
                raise DeclarationError(f"formula {self.name}, {what}: there is no case")
            for condition, case in threshold.cases:
                self._check_condition(what, condition, solved)
                self._check_case(what, case, solved)
            cases = tuple((c, self._stable_threshold(name, t, solved)) for c, t in threshold.cases)
            threshold = replace(threshold, cases=cases)
        else:
            for condition, _ in threshold.unless:
                self._check_condition(what, condition, solved)
            unless = tuple((sympify(c, strict=True), reason) for c, reason in threshold.unless)
            threshold = replace(threshold, unless=unless)
        if isinstance(threshold, (Fold, Crossing, Cusp, Cases)):
            for symbol in threshold.controls:
                if symbol not in symbols:
                    raise DeclarationError(
                        f"formula {self.name}, {what}: {symbol} is not a control"
                    )
            if isinstance(threshold, Fold):
                given = {s: self._declared(f"{what}, {s}", v) for s, v in threshold.start.items()}
                start = self._stable_start(f"of {name}", given, threshold.controls)
                threshold = replace(threshold, start=start)
                if threshold.otherwise is not None:
                    return replace(threshold, otherwise=self._declared(what, threshold.otherwise))
            return threshold
        if isinstance(threshold, Limit):
            value = self._declared(what, threshold.value, threshold.over)
            stability = threshold.stability
            if stability is not None:
                stability = self._declared(what, stability, threshold.over)
            over = {
                s: (domain, self._declared(what, start) if isinstance(start, Expr) else start)
                for s, (domain, start) in threshold.over.items()
            }
            return replace(threshold, value=value, stability=stability, over=FrozenMapping(over))
        for symbol in (*threshold.at, *threshold.start, *threshold.controls):
            known = symbols if symbol in threshold.controls else symbols | set(self.unknowns)
            if symbol not in known:
                raise DeclarationError(
                    f"formula {self.name}, {what}: {symbol} is not a control"
                    + ("" if symbol in threshold.controls else " nor an overlap")
                )
        zeros = tuple(
            self._declared(what, zero) if isinstance(zero, Basic) else zero
            for zero in threshold.zeros
        )
        for zero in zeros:
            self.observable(zero)
        return replace(threshold, zero=zeros if isinstance(threshold.zero, tuple) else zeros[0])

    def _check_case(self, what: str, case: Any, solved: tuple[Symbol, ...]) -> None:
        """Refuse a case that does not determine what the others do."""
        if isinstance(case, Limit):
            wrong = sorted(map(str, case.value.free_symbols & set(solved)))
            fault = f"has a value that depends on {', '.join(wrong)}"
        else:
            found = getattr(case, "controls", solved)
            wrong = sorted(map(str, set(found) ^ set(solved)))
            fault = f"determines {', '.join(map(str, found))}"
        if wrong:
            raise DeclarationError(
                f"formula {self.name}, {what}: a case {fault}, but all determine "
                f"{', '.join(map(str, solved))}"
            )

    def _check_known(self, what: str, expression: Any, known: set[Symbol]) -> None:
        """Refuse an expression in other symbols than these."""
        loose = sorted(map(str, sympify(expression, strict=True).free_symbols - known))
        if loose:
            raise DeclarationError(
                f"formula {self.name}, {what}: unbound symbol {', '.join(loose)}"
            )

    def _check_boundary(self, boundary: Any) -> None:
        if not isinstance(boundary, Boundary):
            raise DeclarationError(
                f"formula {self.name}, boundary: expected a Boundary, not {boundary!r}"
            )
        what = f"boundary {boundary.name}"
        controls = {control.symbol for control in self.controls.values()}
        if boundary.in_ not in controls:
            raise DeclarationError(f"formula {self.name}, {what}: {boundary.in_} is not a control")
        if set(boundary.at) != set(self.unknowns):
            wrong = sorted(map(str, set(boundary.at) ^ set(self.unknowns)))
            raise DeclarationError(
                f"formula {self.name}, {what}: `at` gives a value to each overlap and conjugate, "
                f"and to nothing else: {', '.join(wrong)}"
            )
        self._check_condition(what, boundary.when)
        for expression in (boundary.above, *boundary.at.values(), *boundary.observables.values()):
            self._check_known(what, expression, controls)

    def _check_absence(self, absence: Absence) -> None:
        controls = {control.symbol for control in self.controls.values()}
        if absence.in_ not in controls:
            raise DeclarationError(f"formula {self.name}, absence: {absence.in_} is not a control")
        self._check_condition("absence", absence.when)
        if isinstance(absence.than, str):
            self.threshold(absence.than)
        else:
            self._check_known("absence", absence.than, controls - {absence.in_})

    def _check_condition(self, what: str, condition: Any, solved: tuple[Symbol, ...] = ()) -> None:
        """Refuse what is no condition on the controls, those that are solved for apart."""
        known = {control.symbol for control in self.controls.values()} - set(solved)
        comparisons = _comparisons(condition)
        if comparisons is None or any(one.free_symbols - known for one in comparisons):
            apart = f" other than {', '.join(map(str, solved))}" if solved else ""
            raise DeclarationError(
                f"formula {self.name}, {what}: the condition {condition} is not one on "
                f"controls{apart}"
            )
        for comparison in comparisons:
            for side in comparison.args:
                self._declared(f"{what}, the condition {condition}", side)

    # ---- how it shows ---------------------------------------------------------------------------

    def _repr_latex_(self) -> str:
        terms = [latex(term) for term in self.potential.as_ordered_terms()]
        lines = r" \\ &\quad ".join(
            term if k == 0 or term.startswith("-") else "+ " + term for k, term in enumerate(terms)
        )
        return rf"$\displaystyle \begin{{aligned}} \phi =&\ {lines} \end{{aligned}}$"

    def __repr__(self) -> str:
        chosen = "".join(f", {k}={w}" for k, w in self.options.items())
        return f"<Formula {self.name}{chosen}: {self.title}>"


def _comparisons(condition: Any) -> list[Relational] | None:
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


def _rebuild(content: dict[str, Any]) -> Formula:
    return Formula(**content)


def _controls(formula: str, declared: Mapping[Any, Any]) -> dict[str, Control]:
    controls: dict[str, Control] = {}
    for key, value in declared.items():
        if isinstance(value, Control):
            control = value
        elif isinstance(key, Symbol) and isinstance(value, tuple) and len(value) in (2, 3):
            control = Control(key, *value)
        else:
            raise DeclarationError(
                f"formula {formula}: declare control {key} as Symbol: (Interval, default)"
            )
        if control.symbol.is_real is not True:
            raise DeclarationError(
                f"formula {formula}: the control {control.symbol} must be a real symbol: "
                f"symbols({control.symbol.name!r}, real=True)"
            )
        _check_control(formula, control)
        if control.name in controls:
            raise DeclarationError(f"formula {formula}: two controls are named {control.name}")
        controls[control.name] = control
    return controls


def _check_control(formula: str, control: Control) -> None:
    if not isinstance(control.domain, Interval):
        raise DeclarationError(
            f"formula {formula}: the domain of control {control.symbol} must be an Interval, "
            f"not {control.domain!r}"
        )
    if control.default is None:
        return
    plain = isinstance(control.default, (int, float, Expr)) and not isinstance(
        control.default, bool
    )
    number = sympify(control.default, strict=True) if plain else S.NaN
    if number is S.NaN or control.domain.contains(number) != S.true:
        raise DeclarationError(
            f"formula {formula}: the default {control.default!r} of control {control.symbol} is "
            f"not a number in {control.domain}"
        )


@dataclass(frozen=True)
class Option:
    """A structural choice of a family: allowed values, default, meaning.

    Parameters
    ----------
    choices : tuple
        Values, or the names of shipped blocks.
    default : object
        One of them.
    doc : str
    block : type, optional
        Blocks of this type are accepted as they are, besides the names.
    named : callable, optional
        Returns the shipped block of a name.
    """

    choices: tuple[Any, ...]
    default: Any
    doc: str = ""
    block: type | None = None
    named: Callable[[str], Any] | None = None

    def read(self, family: str, name: str, value: Any) -> Any:
        """Return the choice that `value` means; ControlError lists what is allowed."""
        if self.block is not None and isinstance(value, self.block):
            return value
        plain = isinstance(value, (str, int, float)) and not isinstance(value, bool)
        if not plain or value not in self.choices:
            if self.named is not None and isinstance(value, str):
                raise UnknownName(name, value, self.choices, family)
            extra = "" if self.block is None else f", nor a {self.block.__name__}"
            raise ControlError(
                f"{family}: option {name}={value!r} is not one of "
                f"{', '.join(map(str, self.choices))}{extra}"
            )
        chosen = self.choices[self.choices.index(value)]
        return chosen if self.named is None else self.named(chosen)


@dataclass(frozen=True)
class Family:
    """Formulas that differ by structural options: call it with options to get a Formula.

    Parameters
    ----------
    name, title : str
        As of a formula.
    options : mapping of str to Option
        The structural options; everything else a user passes is a control.
    build : callable
        ``build(**options) -> Formula``.
    """

    name: str
    title: str
    options: Mapping[str, Option]
    build: Callable[..., Formula]

    def __post_init__(self) -> None:
        _freeze(self)

    def __call__(self, **options: Any) -> Formula:
        """Return the formula with these options; defaults fill the rest."""
        return _build(self, FrozenMapping(self._checked(options)))

    def resolve(self, given: Mapping[str, Any]) -> tuple[Formula, dict[str, Any]]:
        """Split `given` into options and controls; return the formula and the controls."""
        formula = self(**{k: w for k, w in given.items() if k in self.options})
        rest = {k: w for k, w in given.items() if k not in self.options}
        for name in rest:
            if name not in formula.controls and name not in formula.relations:
                known = [*formula.controls, *formula.relations, *self.options]
                raise UnknownName("control or option", name, known, self.name)
        return formula, rest

    def _checked(self, options: Mapping[str, Any]) -> dict[str, Any]:
        for name in options:
            if name not in self.options:
                raise UnknownName("option", name, self.options, self.name)
        return {
            name: option.read(self.name, name, options.get(name, option.default))
            for name, option in self.options.items()
        }

    @property
    def published(self) -> tuple[Published, ...]:
        """Published values of the formula with default options, which lists the family's."""
        return self().published

    def _repr_latex_(self) -> str:
        return self()._repr_latex_()

    def __repr__(self) -> str:
        options = ", ".join(f"{k}={'|'.join(map(str, o.choices))}" for k, o in self.options.items())
        return f"<Family {self.name}({options}): {self.title}>"


_BUILT: dict[tuple[Family, FrozenMapping], Formula] = {}


def _build(family: Family, options: FrozenMapping) -> Formula:
    key = (family, options)
    if key not in _BUILT:
        built = family.build(**options)
        _BUILT[key] = replace(built, options=options)
    return _BUILT[key]
