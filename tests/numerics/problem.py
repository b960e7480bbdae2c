"""One integral of the problem set: expression, place, truth, and what makes it hard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numerics.oracle import gaussian_mean
from sympy import (
    Expr,
    Symbol,
    symbols,
)

TAGS = {
    "smooth": "analytic in a wide strip: what every rule should do",
    "steep": "a feature much narrower than the Gaussian",
    "curved": "the narrow feature sits where a non-affine argument vanishes",
    "kink": "a jump of the function or of its slope",
    "heavy": "grows along the field, so that the ends of the range matter",
    "tilted": "an exponential moves the weight away from the origin",
    "boundary": "a variance or a parameter at the end of its domain",
    "nested": "a mean inside a mean",
    "interval": "the mass between two tails",
    "overflow": "the plain form overflows or underflows",
    "oscillating": "changes sign many times",
    "singular": "infinite at a point, and still integrable",
}

x, z = symbols("x z", real=True)
a, v, w = symbols("a v w", real=True)


@dataclass(frozen=True)
class Problem:
    """An expression, where it is evaluated, and its true value."""

    name: str
    expression: Expr
    at: dict[Symbol, float]
    truth: Callable[[], Any]
    tags: tuple[str, ...]
    reaches: float | None = 1e-11  # relative error of the finest rule; None: honesty only


def over(variance: Any, integrand: Callable[[Any], Any], *marks: Any, reach: int = 14) -> Any:
    """Return a truth by panels: E integrand over N(0, variance), features at `marks`."""

    def value() -> Any:
        exact = variance() if callable(variance) else variance
        return gaussian_mean(integrand, exact, marks, reach=reach)

    return value
