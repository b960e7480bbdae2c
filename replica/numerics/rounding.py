r"""Numbers that carry a bound of their own error: first-order running error analysis.

A compiled expression is ordinary arithmetic, so running it on `Bounded` operands instead of
arrays returns, next to each value, a bound on what rounding and the uncertainty of the inputs
can have done to it. The quadrature adds its own part to the same bound, which is how an inner
integral's error reaches the outer one.

References
----------
N. J. Higham, *Accuracy and Stability of Numerical Algorithms*, SIAM 2002, section 3.3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from replica.numerics.implementation import Implementation
from replica.numerics.implementations import IMPLEMENTATIONS

__all__ = ["UNIT", "Bounded", "bounded_namespace", "bounded_parts"]

UNIT = 2.0**-53
_FUNCTION_UNITS = 16  # error taken for scipy's special functions, in units of rounding


class Bounded:
    """A value (number or array) with an absolute bound on its error."""

    __slots__ = ("bound", "value")
    __array_ufunc__ = None  # numpy operands defer to the operators below

    def __init__(self, value: Any, bound: Any = 0.0) -> None:
        self.value = value
        self.bound = bound

    def __repr__(self) -> str:
        return f"{self.value} +- {self.bound}"

    def __neg__(self) -> Bounded:
        return Bounded(-self.value, self.bound)

    def __pos__(self) -> Bounded:
        return self

    def __abs__(self) -> Bounded:
        return Bounded(np.abs(self.value), self.bound)

    def __add__(self, other: Any) -> Bounded:
        value, bound = bounded_parts(other)
        total = self.value + value
        return Bounded(total, self.bound + bound + UNIT * np.abs(total))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Bounded:
        return self + (-other)

    def __rsub__(self, other: Any) -> Bounded:
        return (-self) + other

    def __mul__(self, other: Any) -> Bounded:
        value, bound = bounded_parts(other)
        product = self.value * value
        spread = np.abs(self.value) * bound + self.bound * (np.abs(value) + bound)
        return Bounded(product, spread + UNIT * np.abs(product))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Bounded:
        return self * _reciprocal(other)

    def __rtruediv__(self, other: Any) -> Bounded:
        return _reciprocal(self) * other

    def __pow__(self, power: Any) -> Bounded:
        if isinstance(power, Bounded):
            return _exp(power * _log(self))
        value = self.value**power
        # the largest slope within the error: that at the value alone is too small as q -> 0
        size = np.abs(self.value)
        edge = np.where(power >= 1, size + self.bound, np.maximum(size - self.bound, 0))
        slope = np.abs(power) * np.where(self.bound == 0, 0.0, edge ** (power - 1.0))
        spread = np.where(self.bound == 0, 0.0, slope * self.bound)
        return Bounded(value, spread + 4 * UNIT * np.abs(value))

    def __rpow__(self, base: Any) -> Bounded:
        return _exp(self * np.log(base))


def bounded_parts(number: Any) -> tuple[Any, Any]:
    """Return value and bound of a number that may be exact."""
    return (number.value, number.bound) if isinstance(number, Bounded) else (number, 0.0)


def _reciprocal(number: Any) -> Bounded:
    value, bound = bounded_parts(number)
    inverse = 1 / np.asarray(value)
    distance = np.abs(value) - bound
    spread = np.where(distance > 0, np.abs(inverse) * bound / np.maximum(distance, 1e-300), np.inf)
    return Bounded(inverse, np.where(np.asarray(bound) == 0, 0.0, spread) + UNIT * np.abs(inverse))


def _lift(
    function: Callable[..., Any],
    slopes: Callable[..., tuple[Any, ...]],
    rounding: Callable[..., Any] | None = None,
) -> Callable[..., Any]:
    """Return `function` on Bounded operands, given the sizes of its partial derivatives."""

    def lifted(*arguments: Any) -> Bounded:
        parts = [bounded_parts(a) for a in arguments]
        values = [value for value, _ in parts]
        result = function(*values)
        bound = _FUNCTION_UNITS * UNIT * np.abs(result)
        if rounding is not None:
            bound = bound + 4 * UNIT * rounding(*values)
        if any(np.any(error) for _, error in parts):
            for slope, (_, error) in zip(slopes(*values), parts, strict=True):
                bound = bound + np.where(error == 0, 0.0, slope * error)
        return Bounded(result, bound)

    return lifted


def _sqrt_slope(x: Any) -> tuple[Any, ...]:
    return (0.5 / np.sqrt(np.maximum(x, 1e-300)),)


_exp = _lift(np.exp, lambda x: (np.exp(x),), rounding=lambda x: np.abs(x) * np.exp(x))
_log = _lift(np.log, lambda x: (1 / np.abs(x),))


def _heaviside(x: Any) -> Bounded:
    value, bound = bounded_parts(x)
    unsure = (np.abs(value) <= bound) & (np.asarray(bound) > 0)
    return Bounded(np.heaviside(value, 0.5), np.where(unsure, 1.0, 0.0))


def _delta(x: Any) -> Bounded:
    value, bound = bounded_parts(x)
    return Bounded(np.zeros_like(value), np.where(np.abs(value) <= bound, np.inf, 0.0))


def _sign(x: Any) -> Bounded:
    return _heaviside(x) * 2 - 1


def _extreme(choose: Callable[..., Any]) -> Callable[..., Bounded]:
    def lifted(*arguments: Any) -> Bounded:
        parts = [bounded_parts(a) for a in arguments]
        value, bound = parts[0]
        for other, error in parts[1:]:
            value, bound = choose(value, other), np.maximum(bound, error)
        return Bounded(value, bound)

    return lifted


def bounded_namespace() -> dict[str, Callable[..., Any]]:
    """Return the functions a compiled expression calls, on Bounded operands."""
    names: dict[str, Callable[..., Any]] = {
        "sqrt": _lift(np.sqrt, _sqrt_slope),
        "exp": _exp,
        "log": _log,
        "erf": _lift(special.erf, lambda x: (2 * np.exp(-x * x) / np.sqrt(np.pi),)),
        "erfc": _lift(
            special.erfc,
            lambda x: (2 * np.exp(-x * x) / np.sqrt(np.pi),),
            rounding=lambda x: np.square(x) * special.erfc(x),
        ),
        "sin": _lift(np.sin, lambda x: (np.abs(np.cos(x)),), rounding=lambda x: np.abs(x)),
        "cos": _lift(np.cos, lambda x: (np.abs(np.sin(x)),), rounding=lambda x: np.abs(x)),
        "atan": _lift(np.arctan, lambda x: (1 / (1 + x * x),)),
        "asin": _lift(np.arcsin, lambda x: (1 / np.sqrt(1 - x * x),)),
        "acos": _lift(np.arccos, lambda x: (1 / np.sqrt(1 - x * x),)),
        "cosh": _lift(
            np.cosh,
            lambda x: (np.abs(np.sinh(x)),),
            rounding=lambda x: np.abs(x) * np.cosh(x),
        ),
        "sinh": _lift(np.sinh, lambda x: (np.cosh(x),), rounding=lambda x: np.abs(x) * np.cosh(x)),
        "absolute": abs,
        "delta": _delta,
        "heaviside": _heaviside,
        "sign": _sign,
        "maximum": _extreme(np.maximum),
        "minimum": _extreme(np.minimum),
    }
    for name, implementation in IMPLEMENTATIONS.items():
        names[name] = _lifted_primitive(implementation)
    return names


def _lifted_primitive(implementation: Implementation) -> Callable[..., Any]:
    return _lift(implementation.value, implementation.slopes, implementation.rounding)
