"""What is known of a system before anything is solved: states at an edge, and absences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sympy import Expr, Symbol

from replica.declarations.frozen import freeze
from replica.errors import DeclarationError

__all__ = ["Absence", "Boundary"]


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
        freeze(self)


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
