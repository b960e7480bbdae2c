"""Spin glasses as a user types them, for tests of what is asked of any formula."""

from __future__ import annotations

from typing import Any

from sympy import Interval, cosh, log, symbols

import replica as rp

T, alpha = symbols("T alpha", positive=True)
q, m, r = symbols("q m r", nonnegative=True)
h = symbols("h", real=True)


def hopfield(**given: Any) -> rp.Formula:
    """Return the Hopfield model (Amit, Gutfreund & Sompolinsky), its free entropy per spin."""
    x = 1 - (1 - q) / T
    parts: dict[str, Any] = {
        "starts": {"retrieval": {m: 1, q: 1 - T / 100}, "glass": {m: 0, q: 1 - T / 4}}
    }
    return rp.Formula(
        name="hopfield",
        title="Hopfield network",
        potential=-(m**2) / (2 * T)
        - alpha / 2 * (log(x) - q / T / x)
        - alpha * r * (1 - q) / (2 * T**2)
        + rp.Mean(log(2 * cosh(h + m / T)), (h, alpha * r / T**2)),
        overlaps={m: Interval(0, 1), q: Interval.Lopen(1 - T, 1)},
        conjugates={q: r},
        controls={alpha: (Interval.open(0, 1), None), T: (Interval.open(0, 2), None)},
        **{**parts, **given},
    )


def three_spin(**given: Any) -> rp.Formula:
    """Return the spherical 3-spin glass with one step of breaking (Crisanti & Sommers)."""
    return rp.Formula(
        name="three-spin",
        title="Spherical 3-spin glass, one step",
        potential=(1 - (1 - m) * q**3) / (4 * T**2)
        + log(1 - q) / 2 * (1 - 1 / m)
        + log(1 - (1 - m) * q) / (2 * m),
        overlaps={q: Interval.open(0, 1), m: Interval.Lopen(0, 1)},
        controls={T: (Interval.open(0, 2), None)},
        **given,
    )
