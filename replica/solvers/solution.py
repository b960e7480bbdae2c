"""What a solver returns: status sentences, saddle points and thresholds."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from replica.declarations.formula import Formula
from replica.declarations.point import Points
from replica.declarations.published import Published
from replica.errors import ConvergenceError, UnknownName

__all__ = ["Solution", "Status", "ThresholdResult", "with_error"]


class Status(enum.IntEnum):
    """How a computation ended: a code for arrays, a sentence with the remedy for people."""

    CONVERGED = 0
    MAX_STEPS = 1
    DIVERGED = 2
    NON_FINITE = 3
    LEFT_DOMAIN = 4
    NO_SADDLE = 5
    INACCURATE = 6
    NOT_FOUND = 7
    LOST = 8

    def __str__(self) -> str:
        return _SENTENCES[self]


_SENTENCES = {
    Status.CONVERGED: "converged",
    Status.MAX_STEPS: "steps ran out before convergence: raise max_steps or give a start",
    Status.DIVERGED: "the iteration diverged: damp it (method='damped') or give a start",
    Status.NON_FINITE: "an equation is not finite on the way: give a start inside the domain",
    Status.LEFT_DOMAIN: "every start ran to the edge of the domain: there may be no saddle point "
    "there, or give another start",
    Status.NO_SADDLE: "there is no saddle point: the curve of saddle points does not reach there",
    Status.INACCURATE: "the quadrature cannot support the tolerance: ask for a larger one, or for "
    "digits=...",
    Status.NOT_FOUND: "there is no such threshold for these controls",
    Status.LOST: "whoever computed it died, or sent no result, twice: use fewer workers or a "
    "smaller chunk, and resume",
}


_SMALL = 1e-5  # below this a number is written with a power of ten


def with_error(value: float, error: float) -> str:
    """Write a value with as many digits as its error supports.

    Examples
    --------
    >>> with_error(0.83307859973, 2e-6)
    '0.8330786 +- 2e-06'
    >>> with_error(4.29542676e-21, 3e-28)
    '4.29542676e-21 +- 3e-28'
    """
    if not np.isfinite(value):
        return "none"
    if not np.isfinite(error):
        return f"{value:.6g} +- ?"
    if error <= 0:
        return f"{value:.15g}"
    if error < abs(value) < _SMALL:  # its digits begin far behind the point
        digits = int(np.clip(np.ceil(np.log10(abs(value) / error)), 1, 15))
        return f"{value:.{digits}e} +- {error:.0e}"
    digits = int(np.clip(np.ceil(-np.log10(error)) + 1, 0, 16))
    return f"{value:.{digits}f} +- {error:.0e}"


@dataclass(frozen=True)
class Solution:
    """A saddle point, or an array of them over a grid of controls.

    Attributes
    ----------
    formula : Formula
    controls, overlaps, observables : mapping of str to float or array
        Conjugates are among the overlaps; ``solution.q`` and ``solution["entropy"]`` read both.
    errors : mapping of str to float or array
        Bound on the error of each overlap and observable.
    error : float or array
        The largest error of an overlap.
    status : Status or array of codes
    validity : str or array
        The status of the formula, ``"rs-unstable"`` where the replicon exceeds one, or
        ``"unstable"`` where state evolution leaves the saddle point within its ansatz.
    steps : int
        Iterations taken.
    note : str
        What else to know.
    texts : mapping of str to str
        Decimal strings, where digits were asked for.
    """

    formula: Formula
    controls: Mapping[str, Any]
    overlaps: Mapping[str, Any]
    observables: Mapping[str, Any]
    errors: Mapping[str, Any]
    status: Any
    validity: Any = ""
    steps: int = 0
    note: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def error(self) -> Any:
        """Largest error of an overlap."""
        worst = np.maximum.reduce([np.asarray(self.errors[name]) for name in self.overlaps])
        return worst if worst.ndim else float(worst)

    @property
    def potential(self) -> Any:
        """Free entropy per weight at the saddle, in nats."""
        return self.observables["potential"]

    @property
    def converged(self) -> Any:
        """Whether the status is CONVERGED, elementwise on a grid."""
        found = np.asarray(self.status) == Status.CONVERGED
        return found if found.ndim else bool(found)

    def __getitem__(self, name: str) -> Any:
        for group in (self.overlaps, self.observables, self.controls):
            if name in group:
                return group[name]
        known = [*self.overlaps, *self.observables, *self.controls]
        raise UnknownName("quantity", name, known, self.formula.name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in self.__dict__.get("overlaps", {}):
            return self.overlaps[name]
        raise AttributeError(f"{name!r}: neither an attribute nor an overlap of this solution")

    def __repr__(self) -> str:
        controls = ", ".join(f"{k}={_short(w)}" for k, w in self.controls.items())
        lines = [f"{self.formula.name} ({controls})"]
        for name, value in {**self.overlaps, **self.observables}.items():
            if np.ndim(value) == 0:
                text = self.texts.get(name) or with_error(float(value), float(self.errors[name]))
            else:
                text = f"array of shape {np.shape(value)}"
            lines.append(f"  {name:12s} {text}")
        if np.ndim(self.status) == 0:
            lines.append(f"  status       {Status(self.status)}; {self.validity}")
        else:
            done = int(np.sum(self.converged))
            lines.append(f"  status       {done} of {np.size(self.status)} points converged")
        if self.note:
            lines.append(f"  note         {self.note}")
        return "\n".join(lines)


def _short(value: Any) -> str:
    if np.ndim(value):
        return f"array{np.shape(value)}"
    return f"{float(value):.10g}"


@dataclass(frozen=True)
class ThresholdResult:
    """A threshold with its error, next to what was published.

    Attributes
    ----------
    value, error : float
    text : str
        Decimal string with the digits that were asked for, else value +- error.
    status : Status
    validity : str
        ``"rs-unstable"`` where the replica-symmetric saddle is not exact.
    note : str
        What the value means then, and other remarks.
    overlaps, controls : mapping of str to float
        At the threshold.
    method : str
    published : tuple of (Published, deviation, verdict)
        For the published values at these controls.
    """

    formula: Formula
    name: str
    value: float
    error: float
    status: Status
    controls: Mapping[str, Any]
    overlaps: Mapping[str, float] = field(default_factory=dict)
    method: str = ""
    validity: str = ""
    note: str = ""
    digits: int | None = None
    text: str = ""
    published: tuple[tuple[Published, float, str], ...] = ()

    def __float__(self) -> float:
        return self.value

    def __repr__(self) -> str:
        parts = [f"{self.name} = {self.text or with_error(self.value, self.error)}"]
        for published, _, verdict in self.published:
            sign = "" if published.relation == "=" else published.relation + " "
            parts.append(f"published {sign}{published.value:g} ({verdict})")
        parts.append(str(self.status))
        if self.validity == "rs-unstable":
            parts.append(f"rs-unstable: {self.note}" if self.note else "rs-unstable")
        return ", ".join(parts)


def failure(points: Points, solution: Solution) -> ConvergenceError:
    """Return the error for a saddle point that was not found, carrying what was."""
    where = ", ".join(f"{k} = {_short(w)}" for k, w in points.values.items())
    status = Status(int(solution.status))
    note = f" ({solution.note})" if solution.note else ""
    return ConvergenceError(
        f"{points.formula.name} at {where}: {status.name}, {status}{note}", solution
    )
