r"""What a primitive is as numbers: double precision, its slopes, and any precision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath

__all__ = ["Implementation", "guarded"]


@dataclass(frozen=True)
class Implementation:
    """One primitive as numbers.

    Attributes
    ----------
    value : callable
        Vectorised numpy, accurate to a few units in the last place.
    slopes : callable
        Cheap bounds on the absolute partial derivatives, by which an input's error is amplified.
    precise : callable
        The same function in mpmath.
    rounding : callable, optional
        Absolute error of ``value`` itself, in units of 2**-53, where it is more than a few units
        of the result.
    """

    value: Callable[..., Any]
    slopes: Callable[..., tuple[Any, ...]]
    precise: Callable[..., Any]
    rounding: Callable[..., Any] | None = None


def guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Carry the digits that exp(-x^2/2) and differences of size x lose at large x."""

    def guarded(*arguments: Any) -> Any:
        lost = 10 + sum(4 * max(int(mpmath.mag(x)), 0) if x else 0 for x in arguments)
        with mpmath.workprec(mpmath.mp.prec + lost):
            return function(*arguments)

    return guarded
