"""What was asked of a threshold: formula, name, declaration and the controls it does not give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sympy import Expr, Symbol

from replica.declarations.formula import Formula
from replica.declarations.reading import exact
from replica.declarations.threshold import Threshold
from replica.errors import ConvergenceError, ThresholdNotFound

__all__ = ["Request"]


@dataclass(frozen=True, eq=False)
class Request:
    """A threshold at given values of the other controls.

    Attributes
    ----------
    formula : Formula
    name : str
    declaration : Threshold
        The kind that applies here.
    values : mapping of str to number
        The controls that were given, or their defaults, exact where the user was.
    digits : int, optional
        Wanted in multi-precision.
    """

    formula: Formula
    name: str
    declaration: Threshold
    values: Mapping[str, Any]
    digits: int | None = None

    @cached_property
    def controls(self) -> dict[str, float]:
        """The values as floats."""
        return {name: float(value) for name, value in self.values.items()}

    @property
    def others(self) -> list[float]:
        """The values alone, in the order of the formula's controls."""
        return list(self.controls.values())

    @cached_property
    def rule(self) -> dict[Symbol, Expr]:
        """The values as substitutions."""
        return {self.formula.controls[k].symbol: exact(w) for k, w in self.values.items()}

    def __str__(self) -> str:
        where = ", ".join(f"{k} = {v:g}" for k, v in self.controls.items())
        return f"{self.name} at {where or 'the default controls'}"

    def missing(self, reason: str) -> ThresholdNotFound:
        """Return the error that says why there is no such threshold."""
        return ThresholdNotFound(f"{self.formula.name}: no {self}: {reason}")

    def failed(self, reason: str) -> ConvergenceError:
        """Return the error that says why it could not be computed."""
        return ConvergenceError(f"{self.formula.name}: {self} {reason}")
