"""Spin glasses of the literature, for tests of what is asked of any formula."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import literature
from literature import T, alpha, m, q
from sympy import Interval, log

import replica as rp

__all__ = ["T", "alpha", "hopfield", "m", "q", "three_spin"]


def hopfield(**given: Any) -> rp.Formula:
    """Return the Hopfield model with its states, in a narrower range, and the parts given."""
    controls = {alpha: (Interval.open(0, 1), None), T: (Interval.open(0, 2), None)}
    bare: dict[str, Any] = {"controls": controls, "thresholds": {}}
    return replace(literature.hopfield(), **{**bare, **given})


def three_spin(**given: Any) -> rp.Formula:
    """Return the spherical 3-spin glass with one step of breaking (Crisanti & Sommers)."""
    return rp.Formula(
        name="spherical-3-spin",
        title="Spherical 3-spin glass, one step",
        potential=(1 - (1 - m) * q**3) / (4 * T**2)
        + log(1 - q) / 2 * (1 - 1 / m)
        + log(1 - (1 - m) * q) / (2 * m),
        overlaps={q: Interval.open(0, 1), m: Interval.Lopen(0, 1)},
        controls={T: (Interval.open(0, 2), None)},
        **given,
    )
