"""What was published next to what was computed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from replica.declarations.formula import Formula
from replica.declarations.published import Published
from replica.layout import labelled
from replica.writing import plain

__all__ = ["Comparison", "compare", "compared_dicts", "compared_lines", "verdict"]


class Comparison(NamedTuple):
    """A published value next to ours.

    Attributes
    ----------
    published : Published
    difference : float
        Ours minus what was published.
    verdict : {"agrees", "holds", "disputed", "disagrees"}
    """

    published: Published
    difference: float
    verdict: str


def compare(
    formula: Formula, name: str, controls: Mapping[str, Any], value: float, error: float
) -> tuple[Comparison, ...]:
    """Return the published values at these controls, with deviation and verdict."""
    rows = []
    for published in formula.published:
        same_options = all(
            str(formula.options.get(k, w)) == str(w) for k, w in published.options.items()
        )
        same_controls = all(
            k in controls and abs(float(controls[k]) - float(w)) < 1e-12
            for k, w in published.at.items()
        )
        if published.quantity == name and same_options and same_controls:
            difference = value - published.value
            rows.append(Comparison(published, difference, verdict(published, value, error)))
    return tuple(rows)


def verdict(published: Published, value: float, error: float) -> str:
    """Return one word on a published value: agrees, holds, disputed or disagrees."""
    if published.disputed:
        return "disputed"
    if published.agrees(value, error):
        return "agrees" if published.relation == "=" else "holds"
    return "disagrees"


def compared_dicts(rows: Iterable[Comparison]) -> list[dict[str, Any]]:
    """Return published values next to ours for JSON."""
    return [
        {**published.to_dict(), "difference": plain(difference), "verdict": word}
        for published, difference, word in rows
    ]


def compared_lines(rows: Iterable[Comparison], width: int) -> Iterator[str]:
    """Yield published values next to ours, as labelled lines."""
    for published, difference, word in rows:
        text = f"{published.quantity} " if published.relation != "=" else ""
        text += published.value_text
        text += f" +- {published.tol:g}" if published.tol else ""
        text += f": {word}, difference {difference:+.1e}" if word == "disagrees" else f": {word}"
        text += f" ({published.source})" if published.source else ""
        text += f"; {published.disputed}" if published.disputed else ""
        yield labelled("published", text, width)
