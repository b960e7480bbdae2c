"""Every error a user can meet, each also deriving the matching builtin.

``except ReplicaError`` catches all of them; ``except ValueError`` (or ``KeyError``, ...) keeps
working for callers who do not know this package.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

__all__ = [
    "ControlError",
    "ConvergenceError",
    "DeclarationError",
    "LoweringError",
    "MissingExtra",
    "ReplicaError",
    "ThresholdNotFound",
    "UnknownName",
    "looked_up",
    "near_names",
]


T = TypeVar("T")


class ReplicaError(Exception):
    """Root of all errors raised on purpose by this package."""


class DeclarationError(ReplicaError, ValueError):
    """A formula is declared inconsistently.

    Typical causes: a symbol of the potential that is neither an overlap, a conjugate nor a
    control; a bound Gaussian field reused as a control; a pole inside a Gaussian mean.
    """


class UnknownName(ReplicaError, KeyError):
    """A name that does not exist; the message lists the near ones.

    Typical causes: a misspelt formula, threshold, option, control or observable.
    """

    def __init__(self, kind: str, name: object, known: Iterable[str], where: str = "") -> None:
        known = sorted(known)
        self.kind, self.name, self.known = kind, name, tuple(known)
        place = f" of {where}" if where else ""
        near = near_names(str(name), known)
        if not known:
            hint = "there is none"
        elif near:
            hint = f"did you mean {' or '.join(near)}? Known: {', '.join(known)}"
        else:
            hint = f"known: {', '.join(known)}"
        self.message = f"unknown {kind}{place}: {str(name)!r}; {hint}"
        super().__init__(self.message)

    def __str__(self) -> str:  # KeyError would print the repr of the message
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_unknown_name, (self.kind, self.name, self.known, self.message)


def _rebuild_unknown_name(
    kind: str, name: object, known: tuple[str, ...], message: str
) -> UnknownName:
    error = UnknownName(kind, name, known)
    error.message = message
    return error


class ControlError(ReplicaError, ValueError):
    """A control or option is missing, repeated, not a number, or outside its domain."""


class LoweringError(ReplicaError, NotImplementedError):
    """An expression that cannot be turned into numbers; the message shows the sub-expression."""


class ConvergenceError(ReplicaError, ArithmeticError):
    """A computation that did not reach its tolerance; ``.solution`` holds what was found."""

    def __init__(self, message: str, solution: Any = None) -> None:
        super().__init__(message)
        self.solution = solution


class ThresholdNotFound(ConvergenceError):
    """There is no such threshold for these controls; says what was scanned and why."""


class MissingExtra(ReplicaError, ImportError):
    """An optional dependency is needed; the message gives the pip line."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs an extra: pip install 'replica-theory[{extra}]'")
        self.feature, self.extra = feature, extra

    def __reduce__(self) -> tuple[Any, ...]:
        return MissingExtra, (self.feature, self.extra)


def looked_up(kind: str, name: Any, known: Mapping[str, T], where: str = "") -> T:
    """Return what has this name, or raise `UnknownName` with the near ones."""
    try:
        return known[name]
    except (KeyError, TypeError):  # TypeError: a name that is not hashable, such as a list
        raise UnknownName(kind, name, known, where) from None


def near_names(name: str, known: Iterable[str]) -> list[str]:
    """Return up to three known names that resemble `name`, best first."""
    folded = {k.lower().replace("_", "-"): k for k in known}
    hits = difflib.get_close_matches(name.lower().replace("_", "-"), list(folded), n=3, cutoff=0.5)
    return [folded[h] for h in hits]
