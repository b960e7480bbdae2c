"""What a solver returns: status sentences, saddle points and thresholds."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from replica.declarations.formula import Formula
from replica.declarations.point import Points
from replica.errors import ConvergenceError, looked_up
from replica.layout import filled, labelled
from replica.solvers.published import Comparison, compare, compared_dicts, compared_lines
from replica.writing import heading, listed, plain, with_error

__all__ = ["Solution", "Status", "ThresholdResult", "failure", "status_text"]


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
    DEGENERATE = 9
    ENDED = 10
    EXCLUDED = 11

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
    Status.DEGENERATE: "an equation holds there whatever its unknown is, which stays undetermined: "
    "exclude that place, or give another start",
    Status.ENDED: "the state that was followed ends on the way: begin from other controls, or look "
    "at its branches",
    Status.EXCLUDED: "every saddle point that was found is excluded: exclude less, or give another "
    "start",
}


def status_text(status: Any, validity: str) -> str:
    """Return how a computation ended and what is known of the value: "converged; theorem".

    Examples
    --------
    >>> status_text(0, "rs-unstable")
    'converged; rs-unstable'
    """
    sentence = str(Status(int(status)))
    return f"{sentence}; {validity}" if validity else sentence


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
        ``"unstable"`` where the saddle point is not stable within its ansatz.
    stable : bool, None, or masked array of bool
        Whether the saddle point is stable within its ansatz: state evolution is attracted to it,
        or it is a maximum or minimum of the potential as the formula declares. None, masked on a
        grid, where that cannot be told.
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
    stable: Any = None

    @property
    def error(self) -> Any:
        """Largest error of an overlap; of the potential where there is none."""
        names = [*self.overlaps] or ["potential"]
        worst = np.maximum.reduce([np.asarray(self.errors.get(name, 0.0)) for name in names])
        return worst if worst.ndim else float(worst)

    @property
    def potential(self) -> Any:
        """Free entropy per weight at the saddle, in nats."""
        return looked_up("observable", "potential", self.observables, self.formula.name)

    @property
    def converged(self) -> Any:
        """Whether the status is CONVERGED, elementwise on a grid."""
        found = np.asarray(self.status) == Status.CONVERGED
        return found if found.ndim else bool(found)

    def __getitem__(self, name: str) -> Any:
        known = {**self.controls, **self.observables, **self.overlaps}
        return looked_up("quantity", name, known, self.formula.name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in self.__dict__.get("overlaps", {}):
            return self.overlaps[name]
        raise AttributeError(f"{name!r}: neither an attribute nor an overlap of this solution")

    def _published(self) -> Iterator[Comparison]:
        if np.ndim(self.status):
            return  # published values are compared with single points only
        for name, value in {**self.overlaps, **self.observables}.items():
            yield from compare(self.formula, name, self.controls, value, float(self.errors[name]))

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, numbers and texts for JSON; None where there is no number."""
        return {
            "formula": self.formula.name,
            "options": plain(self.formula.options),
            "controls": plain(self.controls),
            "status": plain(self.status),
            "overlaps": plain(self.overlaps),
            "observables": plain(self.observables),
            **({"potential": plain(self.potential)} if "potential" in self.observables else {}),
            "error": plain(self.error),
            "errors": plain(self.errors),
            **({"text": plain(self.texts)} if self.texts else {}),
            "validity": plain(self.validity),
            "stable": plain(self.stable),
            "note": self.note,
            "steps": int(self.steps),
            "published": compared_dicts(self._published()),
        }

    def _values(self) -> Iterator[tuple[str, str]]:
        """Yield each quantity and its value with the digits that its error supports."""
        for name, value in {**self.overlaps, **self.observables}.items():
            if np.ndim(value) == 0:
                found = self.texts.get(name)
                yield name, found or with_error(float(value), float(self.errors[name]))
            else:
                yield name, f"array of shape {np.shape(value)}"

    def _remarks(self) -> Iterator[tuple[str, str]]:
        """Yield how it ended, whether it is stable, and what else to know."""
        yield "status", self._ending()
        if np.ndim(self.status):
            solved = np.isin(self.status, (Status.CONVERGED, Status.INACCURATE))
            if self.stable is not None and not np.ma.getmaskarray(self.stable)[solved].all():
                yield "stable", f"{int(np.sum(self.stable))} of {int(np.sum(solved))} solved points"
        elif self.stable is not None:
            yield "stable", "yes" if self.stable else "no"
        if self.note:
            yield "note", self.note

    def _ending(self) -> str:
        if np.ndim(self.status) == 0:
            return status_text(self.status, str(self.validity))
        return f"{int(np.sum(self.converged))} of {np.size(self.status)} points converged"

    def to_text(self, width: int = 80) -> str:
        """Return overlaps and observables with errors, how it ended, and what was published."""
        lines = [heading(self.formula.name, self.formula.options, self.controls)]
        lines += [labelled(name, text, width) for name, text in self._values()]
        lines += [labelled(name, text, width) for name, text in self._remarks()]
        lines += compared_lines(self._published(), width)
        return "\n".join(lines)

    def __repr__(self) -> str:
        rows = [*self._values(), *self._remarks()]
        title = f"{self.formula.name} ({listed(self.controls)})"
        return "\n".join([title, *(f"  {name:12s} {text}" for name, text in rows)])


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
    published: tuple[Comparison, ...] = ()

    def __float__(self) -> float:
        return self.value

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers and texts for JSON; None where there is no number."""
        digits = {} if self.digits is None else {"digits": self.digits, "text": self.text}
        return {
            "formula": self.formula.name,
            "options": plain(self.formula.options),
            "threshold": self.name,
            "controls": plain(self.controls),
            "status": plain(self.status),
            "value": plain(self.value),
            "error": plain(self.error),
            **digits,
            "validity": self.validity,
            "note": self.note,
            "method": self.method,
            "overlaps": plain(self.overlaps),
            "published": compared_dicts(self.published),
        }

    def to_text(self, width: int = 80) -> str:
        """Return the value with its error, validity, and what was published."""
        controls = {name: value for name, value in self.controls.items() if name != self.name}
        value = self.text or with_error(self.value, self.error)
        lines = [heading(self.formula.name, self.formula.options, controls)]
        lines.append(filled(f"{self.name} = {value}", width, "  ", "    "))
        if self.text:
            lines.append(labelled("error", f"{self.error:.0e}", width))
        lines.append(labelled("status", status_text(self.status, self.validity), width))
        if self.note:
            lines.append(labelled("note", self.note, width))
        if self.overlaps:
            there = ", ".join(f"{name} = {value:.12g}" for name, value in self.overlaps.items())
            lines.append(labelled("there", there, width))
        if self.method:
            lines.append(labelled("method", self.method, width))
        return "\n".join([*lines, *compared_lines(self.published, width)])

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
    where = f" at {listed(points.values, ' = ')}" if points.values else ""
    status = Status(int(solution.status))
    note = f" ({solution.note})" if solution.note else ""
    return ConvergenceError(
        f"{points.formula.name}{where}: {status.name}, {status}{note}", solution
    )
