"""What was asked of a threshold, which of its cases applies, and how the answer is stated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sympy import Expr, Symbol

from replica.declarations.formula import Formula
from replica.declarations.reading import exact
from replica.declarations.threshold import Cases, Threshold
from replica.errors import ConvergenceError, ThresholdNotFound
from replica.solvers.conditions import holds
from replica.solvers.precision import decimal_text
from replica.solvers.published import compare
from replica.solvers.solution import Status, ThresholdResult, with_error

__all__ = ["TOLERANCE", "Request", "applicable", "decimal", "stated"]

TOLERANCE = 1e-12
"""Relative error asked of a threshold."""


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


def applicable(request: Request) -> Threshold:
    """Return the declaration that applies to the controls that were given."""
    declaration = request.declaration
    while isinstance(declaration, Cases):
        for condition, case in declaration.cases:
            if holds(condition, request.formula, request.values):
                declaration = case
                break
        else:
            raise request.missing("no case applies there")
    for condition, reason in declaration.unless:
        if holds(condition, request.formula, request.values):
            raise request.missing(reason)
    return declaration


def decimal(number: Any, error: Any, digits: int) -> tuple[float, str, float]:
    """Return a number known to so many digits: as a float, as text, and its error."""
    if float(error) > 10.0 ** (-digits) * max(abs(float(number)), 1e-300):
        raise ConvergenceError(
            f"{digits} digits are out of reach here: the error is {float(error):.1e}; ask for fewer"
        )
    return float(number), decimal_text(number, digits), float(error)


def stated(
    request: Request,
    declaration: Threshold,
    value: float,
    error: float,
    overlaps: Mapping[str, float],
    method: str,
    unstable: bool = False,
    text: str = "",
    determined: Mapping[str, float] | None = None,
) -> ThresholdResult:
    """Return what was found as a result: status, validity, and what was published."""
    formula, caveat = request.formula, declaration.caveat
    accurate = error <= max(1e3 * TOLERANCE, 1e-9) * max(abs(value), 1.0)
    return ThresholdResult(
        formula=formula,
        name=request.name,
        value=value,
        error=error,
        status=Status.CONVERGED if accurate else Status.INACCURATE,
        controls={**request.controls, **(determined or {})},
        overlaps=overlaps,
        method=method,
        validity="rs-unstable" if unstable else formula.status,
        note=(caveat or "the replica-symmetric saddle is unstable there") if unstable else "",
        digits=request.digits,
        text=text or with_error(value, error),
        published=compare(formula, request.name, request.values, value, error),
    )
