"""What was asked of a threshold, which of its cases applies, and how the answer is stated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from replica.declarations.formula import Formula
from replica.declarations.point import Points
from replica.declarations.threshold import Cases, Threshold
from replica.errors import ConvergenceError, ThresholdNotFound
from replica.solvers.conditions import holds
from replica.solvers.precision import decimal_text
from replica.solvers.published import compare
from replica.solvers.solution import Status, ThresholdResult
from replica.writing import with_error

__all__ = ["TOLERANCE", "Request", "applicable", "decimal", "stated"]

TOLERANCE = 1e-12
"""Relative error asked of a threshold."""


@dataclass(frozen=True, eq=False)
class Request:
    """A threshold at given values of the other controls.

    Attributes
    ----------
    points : Points
        The controls that were given, or their defaults, exact where the user was.
    name : str
    declaration : Threshold
        What the formula declares under this name.
    digits : int, optional
        Wanted in multi-precision.
    """

    points: Points
    name: str
    declaration: Threshold
    digits: int | None = None

    @property
    def formula(self) -> Formula:
        """The formula whose threshold it is."""
        return self.points.formula

    @property
    def others(self) -> list[float]:
        """The values alone, in the order of the formula's controls."""
        return list(self.points.floats.values())

    def __str__(self) -> str:
        return f"{self.name} at {str(self.points) or 'the default controls'}"

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
            if holds(condition, request.points):
                declaration = case
                break
        else:
            raise request.missing("no case applies there")
    for condition, reason in declaration.unless:
        if holds(condition, request.points):
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
        controls={**request.points.floats, **(determined or {})},
        overlaps=overlaps,
        method=method,
        validity="rs-unstable" if unstable else formula.status,
        note=(caveat or "the replica-symmetric saddle is unstable there") if unstable else "",
        digits=request.digits,
        text=text or with_error(value, error),
        published=compare(formula, request.name, request.points.values, value, error),
    )
