"""What was published next to what was computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from replica.declarations.formula import Formula
from replica.declarations.published import Published

__all__ = ["compare", "verdict"]


def compare(
    formula: Formula, name: str, controls: Mapping[str, Any], value: float, error: float
) -> tuple[tuple[Published, float, str], ...]:
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
            rows.append((published, value - published.value, verdict(published, value, error)))
    return tuple(rows)


def verdict(published: Published, value: float, error: float) -> str:
    """Return one word on a published value: agrees, holds, disputed or disagrees."""
    if published.disputed:
        return "disputed"
    if published.agrees(value, error):
        return "agrees" if published.relation == "=" else "holds"
    return "disagrees"
