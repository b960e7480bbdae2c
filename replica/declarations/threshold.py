"""Kinds of thresholds, each a square system: stationarity and what singles out the threshold.

A kind derives from `Threshold` (or `Determining`) and says how its expressions are checked; how
its value is found is registered with `replica.solvers.thresholds.outcome.outcomes`, so that a kind
of one's own is one class and one function.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from sympy import Expr, Interval, Symbol, sympify
from sympy.logic.boolalg import Boolean

from replica.declarations.checks import Checks
from replica.declarations.control import Control, control_name
from replica.declarations.frozen import FrozenMapping, freeze
from replica.errors import DeclarationError

__all__ = [
    "EASY",
    "POSSIBLE",
    "Cases",
    "Determining",
    "Drawn",
    "Instability",
    "Limit",
    "Phases",
    "Root",
    "Threshold",
    "Unless",
    "a_threshold",
    "named_after",
]

# Conditions under which there is no such threshold, each with the reason.
Unless = tuple[tuple[Boolean, str], ...]


@dataclass(frozen=True)
class Phases:
    """The phases on either side of a threshold, and so what several of them tell together.

    Where the phases above one threshold and those below another have one in common, this is the
    phase between them.

    Parameters
    ----------
    below, above : tuple of str
        The phases that are possible where the control is smaller, and where it is larger.

    Examples
    --------
    >>> sorted(set(POSSIBLE.above) & set(EASY.below))
    ['hard']
    """

    below: tuple[str, ...]
    above: tuple[str, ...]

    def __post_init__(self) -> None:
        freeze(self)


POSSIBLE = Phases(below=("impossible",), above=("hard", "easy"))
"""From here the observations suffice, whatever the algorithm: the information-theoretic one."""

EASY = Phases(below=("impossible", "hard"), above=("easy",))
"""From here a known efficient algorithm finds what there is to find: the algorithmic one."""


@dataclass(frozen=True)
class Drawn:
    """How a threshold appears in a phase diagram, beside its value.

    Parameters
    ----------
    phases : Phases, optional
        The phases that it parts.
    line : int, optional
        The line style of `replica.plot` that it has in every figure, counted from 0; by default
        the first that is free.
    """

    phases: Phases | None = field(default=None, kw_only=True, repr=False)
    line: int | None = field(default=None, kw_only=True, repr=False)


class Threshold(Drawn):
    """What all kinds of thresholds have in common: frozen dataclasses with these fields.

    Attributes
    ----------
    doc : str
        What the threshold means, one sentence.
    unless : tuple of (condition, reason)
        Conditions on the other controls under which there is no such threshold.
    caveat : str
        What the value means where the replica-symmetric saddle is unstable.
    phases, line
        As in `Drawn`.
    """

    doc: str
    unless: Unless = ()
    caveat: str = ""

    def __post_init__(self) -> None:
        freeze(self)
        if self.phases is not None and not isinstance(self.phases, Phases):
            raise DeclarationError(f"phases of a threshold must be Phases, not {self.phases!r}")

    @property
    def controls(self) -> tuple[Symbol, ...]:
        """The controls solved for; the value of the threshold is the first."""
        return ()

    @property
    def needs_saddle(self) -> bool:
        """Whether saddle points must be known before its value is."""
        return True

    @property
    def needs_potential(self) -> bool:
        """Whether it compares potentials, so that equations alone are not enough."""
        return False

    def determined(self, controls: Mapping[str, Control]) -> set[str]:
        """Return the names of the controls that it determines or does not depend on."""
        return {control_name(symbol) for symbol in self.controls}

    def value_of(self, name: str, controls: Mapping[str, Control]) -> str:
        """Return the name of the control whose value it is; `name` is that of the threshold."""
        return control_name(self.controls[0]) if self.controls else named_after(name)

    def one_value_along(self, name: str, controls: Mapping[str, Control]) -> set[str]:
        """Return the names of the controls along which it is the same value everywhere."""
        return self.determined(controls) - {self.value_of(name, controls)}

    @property
    def kind(self) -> str:
        """The name of the kind, in small letters."""
        return type(self).__name__.lower()

    @property
    def meaning(self) -> str:
        """What it means, its kind, and the controls that are solved for."""
        kind = self.kind
        if self.controls:
            kind += f" in {', '.join(map(str, self.controls))}"
        return f"{self.doc} ({kind})" if self.doc else kind

    def checked(self, checks: Checks, name: str, solved: tuple[Symbol, ...] = ()) -> Self:
        """Return the threshold with its expressions checked and made stable.

        Parameters
        ----------
        checks : Checks
            Those of the formula.
        name : str
            What the formula calls it.
        solved : tuple of Symbol
            For one of several cases, the controls that all of them determine.
        """
        what = f"threshold {name}"
        for condition, _ in self.unless:
            checks.condition(what, condition, self.controls or solved)
        unless = tuple((sympify(c, strict=True), reason) for c, reason in self.unless)
        return replace(self, unless=unless)  # type: ignore[call-arg]

    def refuse_as_case(self, checks: Checks, what: str, solved: tuple[Symbol, ...]) -> None:
        """Refuse to be one of several cases that determine other controls."""
        if set(self.controls) != set(solved):
            fault = f"determines {', '.join(map(str, self.controls))}"
            raise checks.fault(what, _not_what_all_determine(fault, solved))


def _not_what_all_determine(fault: str, solved: tuple[Symbol, ...]) -> str:
    return f"a case {fault}, but all determine {', '.join(map(str, solved))}"


def named_after(name: str) -> str:
    """Return the control after which the field names a threshold.

    Examples
    --------
    >>> named_after("alpha_G"), named_after("kappa_star")
    ('alpha', 'kappa')
    """
    return name.split("_")[0]


def a_threshold(checks: Checks, name: str, declared: Any) -> Threshold:
    """Return what is declared as a threshold, refused where it is none."""
    if not isinstance(declared, Threshold):
        raise checks.fault(
            f"threshold {name}",
            f"expected a Root, Instability, Fold, Crossing, Cusp, Limit or Cases, not {declared!r}",
        )
    return declared


class Determining(Threshold):
    """A threshold that determines the control, or controls, `in_`."""

    in_: Any

    @property
    def controls(self) -> tuple[Symbol, ...]:
        """The controls solved for; the value of the threshold is the first."""
        return self.in_ if isinstance(self.in_, tuple) else (self.in_,)

    def checked(self, checks: Checks, name: str, solved: tuple[Symbol, ...] = ()) -> Self:
        """Return the threshold with its expressions checked and made stable."""
        stable = super().checked(checks, name, solved)
        for symbol in self.controls:
            checks.control(f"threshold {name}", symbol)
        return stable


@dataclass(frozen=True)
class Root(Determining):
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
    of : str
        The state along which it is looked for: one of the starts, or of the subspaces.
    """

    zero: Any
    in_: Any
    doc: str = ""
    at: Mapping[Symbol, Any] = field(default_factory=FrozenMapping)
    start: Mapping[Symbol, Any] = field(default_factory=FrozenMapping)
    unless: Unless = ()
    caveat: str = ""
    from_origin: bool = False
    of: Any = ""

    reaches: ClassVar[int] = 0
    """What the observable is at the threshold."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.zeros) != len(self.controls):
            raise DeclarationError(
                f"a Root needs as many conditions as controls: {len(self.zeros)} conditions "
                f"{self.zero}, {len(self.controls)} controls {self.in_}"
            )

    @property
    def zeros(self) -> tuple[Any, ...]:
        """Conditions that vanish."""
        return self.zero if isinstance(self.zero, tuple) else (self.zero,)

    def checked(self, checks: Checks, name: str, solved: tuple[Symbol, ...] = ()) -> Self:
        """Return the threshold with its expressions checked and made stable."""
        stable = super().checked(checks, name, solved)
        what = f"threshold {name}"
        for key, place in (("at", self.at), ("start", self.start)):
            if not isinstance(place, Mapping):
                raise checks.fault(
                    what,
                    f"{key} gives values to overlaps, as {{q: 0}}, not {place!r}; the name of a "
                    f"state goes to of=",
                )
        checks.place(what, (*self.at, *self.start))
        for symbol in self.at:
            if symbol in checks.controls:
                raise checks.fault(what, f"at pins overlaps; {symbol} is a control")
        for symbol, value in {**self.start, **self.at}.items():
            checks.value(what, symbol, value)
        if self.of:
            checks.state(what, self.of)
            if self.at or self.start or len(self.controls) > 1:
                raise checks.fault(
                    what,
                    "the name of a state says where to look in one control: leave out at, "
                    "start and further controls",
                )
        return replace(stable, zero=self._checked_zero(checks, what))

    def _checked_zero(self, checks: Checks, what: str) -> Any:
        """Return what vanishes, made stable."""
        zeros = tuple(checks.zero(what, zero) for zero in self.zeros)
        return zeros if isinstance(self.zero, tuple) else zeros[0]


@dataclass(frozen=True)
class Instability(Root):
    r"""A threshold where a saddle point loses its stability: {stationarity, eigenvalue = 1}.

    Parameters are those of `Root`, with the observable that reaches one as `zero`. Without one it
    is where the largest eigenvalue of the Jacobian, update minus unknown, crosses zero at the
    saddle point that `at` or `of` names; where not all unknowns have updates, where the
    determinant of the stationarity equations does.

    Examples
    --------
    >>> from sympy import Interval, cosh, log, symbols
    >>> import replica as rp
    >>> T, m = symbols("T m", positive=True)
    >>> magnet = rp.Formula(
    ...     name="curie-weiss",
    ...     title="Curie-Weiss magnet",
    ...     potential=-(m**2) / (2 * T) + log(2 * cosh(m / T)),
    ...     overlaps={m: Interval(0, 1)},
    ...     controls={T: (Interval.open(0, 5), None)},
    ...     thresholds={"T_c": rp.Instability(in_=T, at={m: 0})},
    ... )
    >>> round(rp.threshold(magnet, "T_c").value, 12)
    1.0
    """

    zero: Any = None
    in_: Any = None

    reaches: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.in_ is None:
            raise DeclarationError("an Instability needs the control in_ that it is found in")
        super().__post_init__()
        if self.zero is None and not (self.at or self.of):
            raise DeclarationError(
                "an Instability without an observable that reaches one needs the saddle point that "
                "becomes unstable: at={q: 0}, or of= the name of a state"
            )

    def _checked_zero(self, checks: Checks, what: str) -> Any:
        return None if self.zero is None else super()._checked_zero(checks, what)


@dataclass(frozen=True)
class Limit(Threshold):
    r"""A threshold known as a limit along the branch: a value, stationary over auxiliaries.

    Parameters
    ----------
    value : Expr
        The threshold as a function of the controls and of the auxiliary variables.
    doc : str
        What the threshold means, one sentence.
    over : mapping of Symbol to (Interval, start) or to Interval, optional
        Auxiliary variables over which `value` is made stationary; without a start it is looked for
        across the domain.
    stability : Expr, optional
        The replicon in the same limit; above one the replica-symmetric value is not exact.
    unless, caveat
        As in `Root`.
    """

    value: Expr
    doc: str = ""
    over: Mapping[Symbol, Any] = field(default_factory=FrozenMapping)
    stability: Expr | None = None
    unless: Unless = ()
    caveat: str = ""

    def __post_init__(self) -> None:
        both = {s: (w, None) if isinstance(w, Interval) else w for s, w in self.over.items()}
        object.__setattr__(self, "over", FrozenMapping(both))
        super().__post_init__()

    @property
    def needs_saddle(self) -> bool:
        """Whether saddle points must be known before its value is: never."""
        return False

    def determined(self, controls: Mapping[str, Control]) -> set[str]:
        """Return the names of the controls that it determines or does not depend on."""
        used = self.value.free_symbols.union(*(c.free_symbols for c, _ in self.unless))
        return {key for key, control in controls.items() if control.symbol not in used}

    def value_of(self, name: str, controls: Mapping[str, Control]) -> str:
        """Return the only control that the value does not depend on, or that of the name."""
        used = self.value.free_symbols
        unused = [key for key, control in controls.items() if control.symbol not in used]
        return unused[0] if len(unused) == 1 else named_after(name)

    def checked(self, checks: Checks, name: str, solved: tuple[Symbol, ...] = ()) -> Self:
        """Return the threshold with its expressions checked and made stable."""
        stable = super().checked(checks, name, solved)
        what = f"threshold {name}"
        value = checks.expression(what, self.value, self.over)
        stability = self.stability
        if stability is not None:
            stability = checks.expression(what, stability, self.over)
        over = {
            symbol: (domain, checks.expression(what, at) if isinstance(at, Expr) else at)
            for symbol, (domain, at) in self.over.items()
        }
        return replace(stable, value=value, stability=stability, over=FrozenMapping(over))

    def refuse_as_case(self, checks: Checks, what: str, solved: tuple[Symbol, ...]) -> None:
        """Refuse a value that depends on what all cases determine."""
        wrong = sorted(map(str, self.value.free_symbols & set(solved)))
        if wrong:
            fault = f"has a value that depends on {', '.join(wrong)}"
            raise checks.fault(what, _not_what_all_determine(fault, solved))


@dataclass(frozen=True)
class Cases(Determining):
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

    @property
    def needs_saddle(self) -> bool:
        """Whether saddle points must be known in one of the cases."""
        return any(case.needs_saddle for _, case in self.cases)

    @property
    def needs_potential(self) -> bool:
        """Whether one of the cases compares potentials."""
        return any(case.needs_potential for _, case in self.cases)

    @property
    def kind(self) -> str:
        """The kinds of its cases."""
        return " or ".join(dict.fromkeys(case.kind for _, case in self.cases))

    def checked(self, checks: Checks, name: str, solved: tuple[Symbol, ...] = ()) -> Self:
        """Return the threshold with the expressions of every case checked and made stable."""
        what = f"threshold {name}"
        if not self.cases:
            raise checks.fault(what, "there is no case")
        for condition, case in self.cases:
            checks.condition(what, condition, self.controls)
            a_threshold(checks, name, case).refuse_as_case(checks, what, self.controls)
        for symbol in self.controls:
            checks.control(what, symbol)
        return replace(
            self, cases=tuple((c, t.checked(checks, name, self.controls)) for c, t in self.cases)
        )
