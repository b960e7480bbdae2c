"""Values of expressions with means, by plain mpmath and no code of `replica.numerics`.

The trapezoid with step 1/16 is exact to some twenty digits for what the tests of the language
write down: integrands analytic within half a unit of the real line, in the scaled field. Where
they are entire, as under nested means, a step of 0.4 does the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import mpmath
from mpmath import mpf
from sympy import Expr, Symbol, lambdify

from replica.language.means import Mean, outermost_means

STEP = 1 / 16
REACH = 11


def _density(x: Any) -> Any:
    return mpmath.exp(-x * x / 2) / mpmath.sqrt(2 * mpmath.pi)


def _tail(x: Any) -> Any:
    return mpmath.erfc(x / mpmath.sqrt(2)) / 2


def _mass(a: Any, b: Any) -> Any:
    return _tail(-b) - _tail(-a) if a + b < 0 else _tail(a) - _tail(b)


def _log_sum_exp(*arguments: Any) -> Any:
    return mpmath.log(mpmath.fsum(mpmath.exp(a) for a in arguments))


def _bessel_ratio(x: Any) -> Any:
    return mpmath.besseli(1, x) / mpmath.besseli(0, x)


def _bessel_quotient(n: Any, k: Any) -> Any:
    field = mpmath.sqrt(k)
    return mpmath.besseli(n + 1, field) / (field * mpmath.besseli(n, field))


def _log_mass(h: Any, g: Any, name: str) -> Any:
    """Return log of the mean of exp(h w - g w^2 / 2) over a uniform or a two-sided law."""
    root = mpmath.sqrt(g)
    if name.startswith("Interval"):
        return h * h / (2 * g) + mpmath.log(
            _mass((-g - h) / root, (g - h) / root) * mpmath.sqrt(mpmath.pi / (2 * g))
        )
    sides = [mpmath.exp((s * h - 1) ** 2 / (2 * g)) * _tail((1 - s * h) / root) for s in (1, -1)]
    return mpmath.log(mpmath.fsum(sides) * mpmath.sqrt(mpmath.pi / (2 * g)))


def _cumulant(name: str) -> Any:
    def of_order(n: Any, h: Any, g: Any) -> Any:
        with mpmath.workdps(2 * mpmath.mp.dps):
            return mpmath.diff(lambda moved: _log_mass(moved, g, name), h, int(n))

    return of_order


PRIMITIVE_VALUES = {
    **{name: _cumulant(name) for name in ("IntervalCumulant", "ExponentialCumulant")},
    **{
        name: lambda h, g, c, name=name: _log_mass(h, g, name) - c * h * h / (2 * (1 + c * g))
        for name in ("IntervalWeight", "ExponentialWeight")
    },
    "LogScaledI0": lambda x: mpmath.log(mpmath.besseli(0, x)) - x,
    "BesselRatio": _bessel_ratio,
    "BesselRatioSlope": lambda x: 1 - _bessel_ratio(x) / x - _bessel_ratio(x) ** 2,
    "PhaseLogPartition": lambda k: (
        mpmath.log(mpmath.besseli(0, mpmath.sqrt(k))) + 1 - mpmath.sqrt(1 + k)
    ),
    "PhaseEntropy": lambda k: (
        mpmath.log(mpmath.besseli(0, mpmath.sqrt(k)))
        - mpmath.sqrt(k) * _bessel_ratio(mpmath.sqrt(k))
    ),
    "PhaseVariance": lambda k: 1 - _bessel_ratio(mpmath.sqrt(k)) ** 2,
    "BesselQuotient": _bessel_quotient,
    "LogScaledK0": lambda s: mpmath.log(mpmath.besselk(0, mpmath.exp(s))) + mpmath.exp(s),
    "LogScaledK1": lambda s: mpmath.log(mpmath.besselk(1, mpmath.exp(s))) + mpmath.exp(s),
    "LogH": lambda x: mpmath.log1p(-_tail(-x)) if x < 0 else mpmath.log(_tail(x)),
    "Mills": lambda x: _density(x) / _tail(x),
    "MillsExcess": lambda x: _density(x) / _tail(x) - x,
    "LogScaledH": lambda x: x * x / 2 + mpmath.log(_tail(x)),
    "LogCosh": lambda x: mpmath.log(mpmath.cosh(x)),
    "Tanh": mpmath.tanh,
    "Sech": mpmath.sech,
    "PositivePart": lambda x: max(x, mpf(0)),
    "ProductDifference": lambda a, b, c, d: a * b - c * d,
    "LogHDifference": lambda a, b: mpmath.log(_mass(a, b)),
    "LowerMills": lambda a, b: _density(a) / _mass(a, b),
    "UpperMills": lambda a, b: _density(b) / _mass(a, b),
    "LogSumExp": _log_sum_exp,
    "Softmax": lambda a, *rest: mpmath.exp(a) / mpmath.fsum(mpmath.exp(b) for b in (a, *rest)),
}


@cache
def _function(symbols: tuple[Symbol, ...], expression: Expr) -> Any:
    return lambdify(symbols, expression, modules=[PRIMITIVE_VALUES, "mpmath"])


@cache
def _weights(precision: int, step: float) -> list[tuple[Any, Any]]:
    count = int(REACH / step)
    nodes = [mpf(k) * step for k in range(-count, count + 1)]
    return [(node, step * _density(node)) for node in nodes]


def value(expression: Expr, at: Mapping[Symbol, Any], step: float = STEP) -> Any:
    """Return the value of `expression` at the working precision of mpmath."""
    known = {symbol: mpf(number) for symbol, number in at.items()}
    names = {mean: Symbol(f"mean{k}") for k, mean in enumerate(outermost_means(expression))}
    for mean, name in names.items():
        known[name] = _mean(mean, at, step)
    plain = expression.xreplace(names)
    symbols = tuple(sorted(plain.free_symbols, key=str))
    return _function(symbols, plain)(*(known[symbol] for symbol in symbols))


def _mean(mean: Mean, at: Mapping[Symbol, Any], step: float) -> Any:
    spread = mpmath.sqrt(value(mean.variance, at, step))
    if spread == 0:
        return value(mean.body, {**at, mean.field: 0}, step)
    return mpmath.fsum(
        weight * value(mean.body, {**at, mean.field: spread * node}, step)
        for node, weight in _weights(mpmath.mp.prec, step)
    )


def derivative(
    expression: Expr, symbol: Symbol, at: Mapping[Symbol, Any], step: float = STEP
) -> Any:
    """Return the derivative by central differences, in many more digits than are compared."""

    def along(moved: Any) -> Any:
        return value(expression, {**at, symbol: moved}, step)

    return mpmath.diff(along, mpf(at[symbol]), h=mpf(10) ** -8)
