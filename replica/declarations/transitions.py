"""Thresholds of several branches of saddle points: folds, crossings, cusps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import NoneType
from typing import Any, Self

from sympy import Expr, Symbol

from replica.declarations.checks import Checks
from replica.declarations.control import Control
from replica.declarations.frozen import FrozenMapping
from replica.declarations.threshold import Determining, Unless
from replica.errors import DeclarationError

__all__ = ["Crossing", "Cusp", "Fold"]


@dataclass(frozen=True)
class Fold(Determining):
    r"""A threshold where a branch turns back: {stationarity, Jacobian singular}.

    Found on the explicit curve of saddle points, where there is one; where the state is named, or
    there is no such curve, by following the state.

    Parameters
    ----------
    in_ : Symbol
        The control that the branch turns in.
    upper : bool, optional
        Whether the branch ends as the control rises, or as it falls. On an explicit curve the
        largest fold from above, where the uninformed branch ends (the default), or the lowest one
        after it, where the informed branch ends; for a state by default the only end at which it
        turns back.
    of : str
        The state that ends there: one of the starts, or of the subspaces.
    otherwise : Expr, optional
        The value at the far end of the curve of saddle points, which counts where it is beyond
        every fold, or where there is none.
    start : mapping, optional
        In place of a named state a saddle point near the branch that ends, the control included,
        as numbers or expressions in the other controls.
    doc, unless, caveat
        As in `Root`.

    Examples
    --------
    >>> from sympy import Interval, symbols
    >>> import replica as rp
    >>> x, a = symbols("x a", real=True)
    >>> cubic = rp.Formula(
    ...     name="cubic",
    ...     title="Cubic",
    ...     potential=-(x**4) / 4 + x**2 / 2 + a * x,
    ...     overlaps={x: Interval(-2, 2)},
    ...     controls={a: (Interval(-1, 1), None)},
    ...     starts={"left": {x: -1}, "right": {x: 1}},
    ...     thresholds={"end": rp.Fold(a, of="left")},
    ... )
    >>> round(rp.threshold(cubic, "end").value, 12)  # 2 / sqrt(27)
    0.38490017946
    """

    in_: Symbol
    upper: bool | None = None
    otherwise: Expr | None = None
    start: Mapping[Symbol, Any] = field(default_factory=FrozenMapping)
    doc: str = ""
    unless: Unless = ()
    caveat: str = ""
    of: Any = ""

    def checked(self, checks: Checks, name: str, solved: tuple[Symbol, ...] = ()) -> Self:
        """Return the threshold with its expressions checked and made stable."""
        stable = super().checked(checks, name, solved)
        what = f"threshold {name}"
        if self.of:
            checks.state(what, self.of)
            if self.start:
                raise checks.fault(what, "give the name of a state or a start, not both")
        given = {s: checks.expression(f"{what}, {s}", v) for s, v in self.start.items()}
        checks.place(what, given)
        if given and self.in_ not in given:
            raise checks.fault(what, f"the start gives no value of {self.in_}")
        if not isinstance(self.upper, (bool, NoneType)):
            raise checks.fault(what, f"upper is True, False or None, not {self.upper!r}")
        stable = replace(stable, start=checks.start(f"of {name}", given, self.controls))
        if self.otherwise is None:
            return stable
        return replace(stable, otherwise=checks.expression(what, self.otherwise))


@dataclass(frozen=True)
class Crossing(Determining):
    r"""A threshold where two branches have the same potential: a first-order transition.

    Parameters
    ----------
    in_ : Symbol
        The control at which they cross.
    between : (str, str), optional
        The two states: names of starts or of subspaces. One of them may be another formula in the
        same controls, such as what is left where an overlap is at the edge of its domain. By
        default the branches of the explicit curve of saddle points, or, where there is none, the
        first and the last of the starts.
    doc, unless, caveat
        As in `Root`.

    Examples
    --------
    >>> from sympy import Interval, symbols
    >>> import replica as rp
    >>> x, a = symbols("x a", real=True)
    >>> tilted = rp.Formula(
    ...     name="tilted",
    ...     title="Two wells",
    ...     potential=-(x**4) / 4 + x**2 / 2 + (a - 0.1) * x,
    ...     overlaps={x: Interval(-2, 2)},
    ...     controls={a: (Interval(-1, 1), None)},
    ...     starts={"left": {x: -1}, "right": {x: 1}},
    ...     thresholds={"a_c": rp.Crossing(a, between=("left", "right"))},
    ... )
    >>> round(rp.threshold(tilted, "a_c").value, 12)
    0.1
    """

    in_: Symbol
    doc: str = ""
    unless: Unless = ()
    caveat: str = ""
    between: tuple[Any, ...] = ()

    @property
    def needs_potential(self) -> bool:
        """Whether it compares potentials: always."""
        return True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.between and (not isinstance(self.between, tuple) or len(self.between) != 2):
            raise DeclarationError(
                f"a Crossing is between two states, as ('retrieval', 'glass'), not {self.between}"
            )

    def checked(self, checks: Checks, name: str, solved: tuple[Symbol, ...] = ()) -> Self:
        """Return the threshold with its expressions checked and made stable."""
        stable = super().checked(checks, name, solved)
        if self.between:
            checks.states(f"threshold {name}", self.between)
        return stable


@dataclass(frozen=True)
class Cusp(Determining):
    r"""The end of a line of first-order transitions, where its two folds meet.

    Parameters
    ----------
    in_ : tuple of two Symbols
        The control whose value there is the threshold, such as the noise, and the one that the
        branches turn in.
    of : str
        A state that ends at one of the folds; needed where there is no explicit curve.
    doc, unless, caveat
        As in `Root`.
    """

    in_: tuple[Symbol, Symbol]
    doc: str = ""
    unless: Unless = ()
    caveat: str = ""
    of: Any = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(set(self.controls)) != 2 or not isinstance(self.in_, tuple):
            raise DeclarationError(
                f"a Cusp determines two controls, the one it is a value of and the one that the "
                f"branches turn in, not {self.in_}"
            )

    def checked(self, checks: Checks, name: str, solved: tuple[Symbol, ...] = ()) -> Self:
        """Return the threshold with its expressions checked and made stable."""
        stable = super().checked(checks, name, solved)
        if self.of:
            checks.state(f"threshold {name}", self.of)
        return stable

    def one_value_along(self, name: str, controls: Mapping[str, Control]) -> set[str]:
        """Return all that it determines: along its own control as well it is a point."""
        return self.determined(controls)
