"""Every published constant, recomputed: the main job of the program."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from replica.declarations.family import Family
from replica.declarations.formula import Formula
from replica.declarations.published import Published
from replica.declarations.reading import read
from replica.errors import ReplicaError
from replica.registry import formulas
from replica.solvers.published import verdict
from replica.solvers.saddle import solve
from replica.solvers.thresholds.verb import threshold
from replica.writing import plain

__all__ = ["Constant", "constants", "published_constants"]


@dataclass(frozen=True)
class Constant:
    """A published value next to our own.

    Attributes
    ----------
    formula : Formula
        With the structural options of the published value.
    published : Published
    value, error, difference : float
        Ours, the bound on its error, and ours minus the published one; NaN if it failed.
    verdict : {"agrees", "holds", "disputed", "disagrees", "failed"}
        ``holds`` for a bound.
    validity : str
        What is known of our value, ``rs-unstable`` for instance.
    seconds : float
        Zero where another row had computed the same quantity.
    note : str
        Why it failed or is disputed.
    """

    formula: Formula
    published: Published
    value: float
    error: float
    difference: float
    verdict: str
    validity: str
    seconds: float
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against the published value, or against ours."""
        return self.verdict not in ("disagrees", "failed")

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers and texts for JSON; None where there is no number."""
        return {
            "formula": self.formula.name,
            **self.published.to_dict(),
            "options": plain(self.formula.options),
            "published": plain(float(self.published.value)),
            "value": plain(self.value),
            "error": plain(self.error),
            "difference": plain(self.difference),
            "verdict": self.verdict,
            "validity": self.validity,
            "note": self.note,
            "seconds": round(self.seconds, 4),
        }


def published_constants(
    targets: Iterable[str | Formula | Family] | None = None,
) -> list[tuple[Formula, Published]]:
    """Return what was published, each with the formula of its structural options.

    Of a family these are the values listed by the formula with default options, by those that
    differ from it in one option, and by those with the options that these values name.

    Examples
    --------
    >>> [(f.name, p.value) for f, p in published_constants(["binary-perceptron"])][0]
    ('binary-perceptron', 0.833)
    """
    found: dict[tuple[Formula, Published], None] = {}
    for target in formulas if targets is None else targets:
        chosen = formulas[target] if isinstance(target, str) else target
        waiting = _variants(chosen) if isinstance(chosen, Family) else [chosen]
        seen = set(waiting)
        while waiting:
            listing = waiting.pop(0)
            for published in listing.published:
                formula = listing
                if isinstance(chosen, Family):
                    formula = chosen(**{**listing.options, **published.options})
                if formula not in seen:
                    seen.add(formula)
                    waiting.append(formula)
                found[formula, published] = None
    return list(found)


def _variants(family: Family) -> list[Formula]:
    changes: list[dict[str, Any]] = [{}]
    for name, option in family.options.items():
        changes += [{name: choice} for choice in option.choices if choice != option.default]
    return [family(**change) for change in changes]


def constants(
    targets: Iterable[str | Formula | Family] | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Constant]:
    """Recompute published values one by one.

    Parameters
    ----------
    targets : iterable of str, Formula or Family, optional
        By default every formula of the registry.
    progress : callable, optional
        Called with (values done, values) after each one.

    Yields
    ------
    Constant
        A computation that fails is a row too, with the verdict ``failed``.

    Raises
    ------
    UnknownName
        For a formula that does not exist.

    References
    ----------
    Krauth & Mezard, J. Physique 50 (1989) 3057, for the example.

    Examples
    --------
    >>> first = next(constants(["binary-perceptron"]))
    >>> first.published.value, round(first.value, 6), first.verdict
    (0.833, 0.833079, 'agrees')
    """
    todo = published_constants(targets)
    known: dict[Any, tuple[float, float, str, str]] = {}
    for done, (formula, published) in enumerate(todo, start=1):
        begin = time.perf_counter()
        key = (formula, published.quantity, tuple(sorted(_values(formula, published).items())))
        fresh = key not in known
        if fresh:
            known[key] = _computed(formula, published.quantity, published.at)
        value, error, validity, note = known[key]
        yield Constant(
            formula=formula,
            published=published,
            value=value,
            error=error,
            difference=value - published.value,
            verdict="failed" if math.isnan(value) else verdict(published, value, error),
            validity=validity,
            seconds=time.perf_counter() - begin if fresh else 0.0,
            note=note or published.disputed,
        )
        if progress is not None:
            progress(done, len(todo))


def _values(formula: Formula, published: Published) -> dict[str, float]:
    """Return the controls with their defaults, so that equal computations are recognised."""
    try:
        return read(formula, published.at, optional={"*"}).floats
    except ReplicaError:
        return {name: float(value) for name, value in published.at.items()}


def _computed(
    formula: Formula, quantity: str, at: Mapping[str, Any]
) -> tuple[float, float, str, str]:
    """Return value, error, validity and, after a failure, why."""
    try:
        if quantity in formula.thresholds:
            found = threshold(formula, quantity, **at)
            return found.value, found.error, found.validity, ""
        solution = solve(formula, **at)
        value = float(solution[quantity])
        return value, float(solution.errors[quantity]), str(solution.validity), ""
    except ReplicaError as error:
        return math.nan, math.nan, "", str(error)
