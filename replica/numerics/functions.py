"""Numerical implementations of all primitives that need no other primitive to be compiled."""

from __future__ import annotations

from functools import partial

import mpmath
import numpy as np
from numpy.typing import NDArray

from replica.numerics import bivariate, tilted
from replica.numerics.bessel import BESSEL
from replica.numerics.implementation import Implementation, guarded
from replica.numerics.tails import TAILS

__all__ = ["FUNCTIONS"]

Array = NDArray[np.float64]

_SPLIT = 2.0**27 + 1  # splits a double into two halves of its digits


def _product(a: Array, b: Array) -> tuple[Array, Array]:
    """Return a product and what its rounding took away (Dekker 1971)."""
    product = a * b
    tops = []
    for number in (a, b):
        shifted = _SPLIT * number
        top = shifted - (shifted - number)
        tops.append((top, number - top))
    (high, low), (upper, lower) = tops
    return product, low * lower - (((product - high * upper) - low * upper) - high * lower)


def product_difference(a: Array, b: Array, c: Array, d: Array) -> Array:
    (first, lost), (second, gone) = _product(a, b), _product(c, d)
    return (first - second) + (lost - gone)


def log_cosh(x: Array) -> Array:
    size = np.abs(x)
    return size + np.log1p(np.exp(-2 * size)) - np.log(2.0)


def sech(x: Array) -> Array:
    decay = np.exp(-np.abs(x))
    return 2 * decay / (1 + decay * decay)


def log_sum_exp(*arguments: Array) -> Array:
    total = arguments[0]
    for argument in arguments[1:]:
        total = np.logaddexp(total, argument)
    return total


def softmax(first: Array, *rest: Array) -> Array:
    with np.errstate(over="ignore"):
        total = sum((np.exp(np.subtract(other, first)) for other in rest), np.zeros(()))
        return 1 / (1 + total)


def _softmax_slopes(first: Array, *rest: Array) -> tuple[Array, ...]:
    own = softmax(first, *rest)
    weights = []
    for k, other in enumerate(rest):
        weights.append(own * softmax(other, first, *rest[:k], *rest[k + 1 :]))
    return sum(weights, np.zeros(())), *weights


def _softmax_rounding(first: Array, *rest: Array) -> Array:
    """Return the rounding of the differences, which the exponentials amplify."""
    own = softmax(first, *rest)
    gaps = [np.abs(np.subtract(other, first)) for other in rest]
    return own * (1 - own) * np.minimum(np.maximum.reduce(np.broadcast_arrays(*gaps)), 1e3)


def _log_sum_exp_slopes(*arguments: Array) -> tuple[Array, ...]:
    return tuple(
        softmax(a, *arguments[:k], *arguments[k + 1 :]) if len(arguments) > 1 else np.ones(())
        for k, a in enumerate(arguments)
    )


def companion_stieltjes(z: Array, ratio: Array) -> Array:
    z, ratio = np.broadcast_arrays(np.asarray(z, dtype=float), np.asarray(ratio, dtype=float))
    middle = z + (ratio - 1)
    root = _discriminant_root(z, ratio)
    # of two equal forms of the positive root, the one in which nothing cancels
    return np.where(middle > 0, 2 / (middle + root), (root - middle) / (2 * z))


def _discriminant_root(z: Array, ratio: Array) -> Array:
    return np.sqrt(np.maximum(z * z + 2 * z * (1 + ratio) + np.square(1 - ratio), 1e-300))


def _companion_slopes(z: Array, ratio: Array) -> tuple[Array, ...]:
    value = companion_stieltjes(z, ratio)
    change = value / _discriminant_root(z, ratio)
    return change * (1 + value), change


def _precise_log_sum_exp(*arguments: mpmath.mpf) -> mpmath.mpf:
    top = max(arguments)
    return top + mpmath.log(mpmath.fsum(mpmath.exp(a - top) for a in arguments))


def _precise_softmax(first: mpmath.mpf, *rest: mpmath.mpf) -> mpmath.mpf:
    return 1 / (1 + mpmath.fsum(mpmath.exp(a - first) for a in rest))


def _precise_companion_stieltjes(z: mpmath.mpf, ratio: mpmath.mpf) -> mpmath.mpf:
    middle = z + ratio - 1
    root = mpmath.sqrt(z * z + 2 * z * (1 + ratio) + (1 - ratio) ** 2)
    return 2 / (middle + root) if middle > 0 else (root - middle) / (2 * z)


def _cumulant(pieces: tilted.Pieces) -> Implementation:
    return Implementation(
        partial(tilted.cumulant, pieces=pieces),
        partial(tilted.cumulant_slopes, pieces=pieces),
        partial(tilted.precise_cumulant, pieces=pieces),
        rounding=partial(tilted.cumulant_rounding, pieces=pieces),
    )


def _weight(pieces: tilted.Pieces) -> Implementation:
    return Implementation(
        partial(tilted.weight, pieces=pieces),
        partial(tilted.weight_slopes, pieces=pieces),
        partial(tilted.precise_weight, pieces=pieces),
        rounding=partial(tilted.weight_rounding, pieces=pieces),
    )


FUNCTIONS: dict[str, Implementation] = {
    **TAILS,
    **BESSEL,
    "ExponentialCumulant": _cumulant(tilted.EXPONENTIAL),
    "ExponentialWeight": _weight(tilted.EXPONENTIAL),
    "IntervalCumulant": _cumulant(tilted.INTERVAL),
    "IntervalWeight": _weight(tilted.INTERVAL),
    "CompanionStieltjes": Implementation(
        companion_stieltjes, _companion_slopes, _precise_companion_stieltjes
    ),
    "ProductDifference": Implementation(
        product_difference,
        lambda a, b, c, d: (np.abs(b), np.abs(a), np.abs(d), np.abs(c)),
        lambda a, b, c, d: a * b - c * d,
        # what is left once the roundings of both products are subtracted
        rounding=lambda a, b, c, d: 2.0**-50 * (np.abs(a * b) + np.abs(c * d)),
    ),
    "LogCosh": Implementation(
        log_cosh,
        lambda x: (np.minimum(np.abs(x), 1),),
        lambda x: mpmath.log1p(2 * mpmath.sinh(x / 2) ** 2),  # keeps all digits near zero
        rounding=lambda x: np.abs(x) + 1.0,
    ),
    "Tanh": Implementation(np.tanh, lambda x: (1.0,), mpmath.tanh),
    "Sech": Implementation(sech, lambda x: (0.5,), mpmath.sech),
    "PositivePart": Implementation(
        lambda x: np.maximum(x, 0.0), lambda x: (1.0,), lambda x: max(x, mpmath.mpf(0))
    ),
    "LogBivariateNormalCDF": Implementation(
        bivariate.log_bivariate_normal_cdf,
        bivariate.log_slopes,
        lambda h, k, rho: mpmath.log(bivariate.precise_bivariate_normal_cdf(h, k, rho)),
        rounding=bivariate.log_rounding,
    ),
    "BivariateNormalCDF": Implementation(
        bivariate.bivariate_normal_cdf,
        lambda h, k, rho, *known: (
            *(
                slope * bivariate.bivariate_normal_cdf(h, k, rho)
                for slope in bivariate.log_slopes(h, k, rho)
            ),
            *(0.0 for _ in known),
        ),
        bivariate.precise_bivariate_normal_cdf,
        rounding=lambda h, k, rho, *_: (
            bivariate.log_rounding(h, k, rho) * bivariate.bivariate_normal_cdf(h, k, rho)
        ),
    ),
    "BivariateMills": Implementation(
        bivariate.bivariate_mills,
        bivariate.bivariate_mills_slopes,
        guarded(bivariate.precise_bivariate_mills),
        rounding=bivariate.bivariate_mills_rounding,
    ),
    "Clip": Implementation(
        lambda x, low, high: np.minimum(np.maximum(x, low), high),
        lambda x, low, high: (1.0, 1.0, 1.0),
        lambda x, low, high: min(max(x, low), high),
    ),
    "LogSumExp": Implementation(log_sum_exp, _log_sum_exp_slopes, _precise_log_sum_exp),
    "Softmax": Implementation(
        softmax, _softmax_slopes, _precise_softmax, rounding=_softmax_rounding
    ),
}
