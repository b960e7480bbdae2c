"""Gaussian tails: log H, Mills ratios, and the masses of intervals."""

from __future__ import annotations

import mpmath
import numpy as np
from numpy.typing import NDArray
from scipy import special

from replica.numerics.implementation import Implementation, guarded

__all__ = ["TAILS"]

Array = NDArray[np.float64]

_ROOT_HALF = np.sqrt(0.5)


_ROOT_TWO_OVER_PI = np.sqrt(2 / np.pi)


_ROOT_PI_OVER_TWO = np.sqrt(np.pi / 2)


_LOG_TWO = np.log(2.0)


_LOG_ROOT_TWO_PI = 0.5 * np.log(2 * np.pi)


_LEFT = -0.5  # left of this log H from the Mills ratio loses digits


def log_h(x: Array, ratio: Array | None = None) -> Array:
    """Return log H(x); `ratio` is A(x), where it is known already."""
    x = np.asarray(x, dtype=float)
    if ratio is None:
        return special.log_ndtr(-x)
    result = np.asarray(-0.5 * x * x - np.log(ratio) - _LOG_ROOT_TWO_PI)
    left = x < _LEFT  # here log H is a small difference of these terms
    if left.any():
        result[left] = special.log_ndtr(-x[left])
    return result


def mills(x: Array) -> Array:
    return _ROOT_TWO_OVER_PI / special.erfcx(np.multiply(x, _ROOT_HALF))


def log_scaled_h(x: Array) -> Array:
    x = np.asarray(x, dtype=float)
    return np.where(
        x < 0,
        0.5 * x * x + special.log_ndtr(-np.minimum(x, 0)),
        np.log(special.erfcx(np.maximum(x, 0) * _ROOT_HALF)) - _LOG_TWO,
    )


# Laplace's continued fraction A(x) - x = 1/(x + 2/(x + 3/(x + ...))): from x = 6 on a depth of 20
# reaches the last digit, where the plain difference of A(x) and x has lost x**2 = 36 units.
_FRACTION_FROM, _FRACTION_DEPTH = 6.0, 20


def mills_excess(x: Array, ratio: Array | None = None) -> Array:
    """Return A(x) - x; `ratio` is A(x), where it is known already."""
    x = np.asarray(x, dtype=float)
    near = np.asarray((mills(x) if ratio is None else ratio) - x)
    far = x > _FRACTION_FROM
    if not far.any():
        return near
    y = x[far]
    tail = 0.5 * (y + np.sqrt(y * y + 4 * _FRACTION_DEPTH))
    for k in range(_FRACTION_DEPTH, 1, -1):
        tail = y + k / tail
    result = np.array(near)
    result[far] = 1 / tail
    return result


def _mirrored(a: Array, b: Array) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Reflect intervals so that they lie on the right, where tails are small numbers."""
    a, b = np.broadcast_arrays(np.asarray(a, dtype=float), np.asarray(b, dtype=float))
    left = a + b < 0
    return np.where(left, -b, a), np.where(left, -a, b), left


def _central_mass(a: Array, b: Array) -> Array:
    """Return H(a) - H(b) for a <= 0 <= b: a sum of two positive terms."""
    return 0.5 * (special.erf(b * _ROOT_HALF) - special.erf(a * _ROOT_HALF))


# Width (times the distance from the origin, if that is above one) below which the mass of an
# interval is its density at the middle times a series: a difference of tails would lose digits.
_NARROW = 0.03


def _narrow(low: Array, high: Array) -> tuple[NDArray[np.bool_], Array, Array]:
    """Return where intervals are narrow, their middle, and log of mass over middle density."""
    width, middle = high - low, 0.5 * (low + high)
    narrow = width * np.maximum(np.abs(middle), 1) < _NARROW
    w2, m2 = np.where(narrow, width, 0.0) ** 2, np.where(narrow, middle, 0.0) ** 2
    series = (m2 - 1) * w2 / 24 + (m2 * m2 - 6 * m2 + 3) * w2**2 / 1920
    series += (m2**3 - 15 * m2 * m2 + 45 * m2 - 15) * w2**3 / 322560
    return narrow, middle, np.log(width) + np.log1p(series)


def log_h_difference(a: Array, b: Array) -> Array:
    low, high, _ = _mirrored(a, b)
    narrow, middle, logarithm = _narrow(low, high)
    ratio = special.log_ndtr(-high) - special.log_ndtr(-low)
    tail = special.log_ndtr(-low) + np.log1p(-np.exp(np.minimum(ratio, 0)))
    mass = _central_mass(np.minimum(low, 0), high)
    outside = special.ndtr(np.minimum(low, 0)) + special.ndtr(-high)
    central = np.where(mass < 0.5, np.log(mass), np.log1p(-np.minimum(outside, 0.75)))
    wide = np.where(low > 0, tail, central)
    return np.where(narrow, logarithm - 0.5 * middle * middle - _LOG_ROOT_TWO_PI, wide)


def _interval_mills(a: Array, b: Array) -> tuple[Array, Array]:
    low, high, left = _mirrored(a, b)
    decay = np.exp(-0.5 * (high - low) * (high + low))  # phi(high) / phi(low)
    scaled = np.maximum(low, 0) * _ROOT_HALF
    ratio = special.erfcx(scaled) - decay * special.erfcx(high * _ROOT_HALF)
    tail = 1 / (_ROOT_PI_OVER_TWO * ratio)
    density = np.exp(-0.5 * np.minimum(low, 0) ** 2) / np.sqrt(2 * np.pi)
    lower = np.where(low > 0, tail, density / _central_mass(np.minimum(low, 0), high))
    narrow, middle, logarithm = _narrow(low, high)
    # log of the density at the lower end over that at the middle
    shift = 0.5 * (high - low) * middle - 0.125 * (high - low) ** 2
    lower = np.where(narrow, np.exp(np.where(narrow, shift - logarithm, 0.0)), lower)
    upper = decay * lower
    return np.where(left, upper, lower), np.where(left, lower, upper)


def lower_mills(a: Array, b: Array) -> Array:
    return _interval_mills(a, b)[0]


def upper_mills(a: Array, b: Array) -> Array:
    return _interval_mills(a, b)[1]


def _mills_bound(x: Array) -> Array:
    """Bound A(x) from above: A(x) - x falls from sqrt(2/pi), and H > 1/2 on the left."""
    return np.maximum(x, 0) + 0.8 * np.exp(-0.5 * np.minimum(x, 0) ** 2)


def _tail_rounding(x: Array) -> Array:
    """Return the relative rounding of exp(-x^2/2) on the left, where the square is rounded."""
    return np.minimum(x, 0) ** 2


def _log_tail_rounding(x: Array, *_: Array) -> Array:
    """Return the rounding of log H on the left, where it is minus a small tail."""
    return _tail_rounding(x) * 0.7 * np.exp(-0.5 * np.minimum(x, 0) ** 2)


def _interval_rounding(a: Array, b: Array) -> Array:
    """Return the relative amplification of rounding by the difference of two tails."""
    low, high, _ = _mirrored(a, b)
    size = np.abs(special.log_ndtr(-low)) + np.abs(special.log_ndtr(-high))
    ratio = np.exp(np.minimum(special.log_ndtr(-high) - special.log_ndtr(-low), 0))
    lost = np.where(low > 0, ratio / np.maximum(1 - ratio, 1e-300) * (size + 2), 0.0)
    return np.where(_narrow(low, high)[0], 4.0, lost)


def _log_interval_rounding(a: Array, b: Array) -> Array:
    low, _, _ = _mirrored(a, b)
    return _interval_rounding(a, b) + _tail_rounding(low) * np.abs(log_h_difference(a, b))


def _interval_mills_rounding(a: Array, b: Array) -> tuple[Array, Array]:
    """Return the relative roundings of density over mass, at a and at b.

    They are those of the mass, of the exponent at the end next to zero, and, at the other end, of
    what the density falls to from there.
    """
    low, high, left = _mirrored(a, b)
    near = 4 + _interval_rounding(a, b) + 0.5 * np.minimum(low, 0) ** 2
    fall = np.where(low > 0, 0.5 * np.abs(high * high - low * low), 0.5 * (high**2 + low**2))
    # in a narrow interval both densities are computed from that at its middle
    near = near + np.where(_narrow(low, high)[0], fall, 0.0)
    return np.where(left, near + fall, near), np.where(left, near, near + fall)


def _precise_tail(x: mpmath.mpf) -> mpmath.mpf:
    return mpmath.erfc(x / mpmath.sqrt(2)) / 2


def _precise_density(x: mpmath.mpf) -> mpmath.mpf:
    return mpmath.exp(-x * x / 2) / mpmath.sqrt(2 * mpmath.pi)


def _precise_mass(a: mpmath.mpf, b: mpmath.mpf) -> mpmath.mpf:
    if a + b < 0:
        a, b = -b, -a
    return _precise_tail(a) - _precise_tail(b)


def _precise_log_h_difference(a: mpmath.mpf, b: mpmath.mpf) -> mpmath.mpf:
    if a < 0 < b:  # a mass that may be near one, as one minus two tails
        return mpmath.log1p(-_precise_tail(-a) - _precise_tail(b))
    return mpmath.log(_precise_mass(a, b))


def _precise_mills(x: mpmath.mpf) -> mpmath.mpf:
    return _precise_density(x) / _precise_tail(x)


def _precise_log_h(x: mpmath.mpf) -> mpmath.mpf:
    # log(1 - tiny) on the left, where erfc/2 is near one
    if x < -1:
        return mpmath.log1p(-_precise_tail(-x))
    return mpmath.log(_precise_tail(x))


TAILS: dict[str, Implementation] = {
    "LogH": Implementation(
        log_h,
        lambda x, *ratio: (_mills_bound(x), *(0.0 for _ in ratio)),
        guarded(_precise_log_h),
        rounding=_log_tail_rounding,
    ),
    "Mills": Implementation(
        mills,
        lambda x: (np.minimum(_mills_bound(x) * (0.8 - np.minimum(x, 0)), 1),),
        guarded(_precise_mills),
        rounding=lambda x: _tail_rounding(x) * mills(x),
    ),
    "MillsExcess": Implementation(
        mills_excess,
        lambda x, *ratio: (1.0, *(0.0 for _ in ratio)),
        guarded(lambda x: _precise_mills(x) - x),
        # at smaller x, without the continued fraction, it is a difference of numbers of size x
        rounding=lambda x, *_: np.where(
            np.asarray(x) > _FRACTION_FROM, 0.0, 4 * np.abs(x) + 4 * _mills_bound(x)
        ),
    ),
    "LogScaledH": Implementation(
        log_scaled_h,
        lambda x: (np.maximum(-x, 0) + 0.8,),
        guarded(lambda x: x * x / 2 + _precise_log_h(x)),
        rounding=lambda x: 1.0 + 0 * x,
    ),
    "LogHDifference": Implementation(
        log_h_difference,
        lambda a, b: (lower_mills(a, b), upper_mills(a, b)),
        guarded(_precise_log_h_difference),
        rounding=_log_interval_rounding,
    ),
    "LowerMills": Implementation(
        lower_mills,
        lambda a, b: (
            lower_mills(a, b) * np.abs(lower_mills(a, b) - a),
            lower_mills(a, b) * upper_mills(a, b),
        ),
        guarded(lambda a, b: _precise_density(a) / _precise_mass(a, b)),
        rounding=lambda a, b: _interval_mills_rounding(a, b)[0] * lower_mills(a, b),
    ),
    "UpperMills": Implementation(
        upper_mills,
        lambda a, b: (
            lower_mills(a, b) * upper_mills(a, b),
            upper_mills(a, b) * np.abs(upper_mills(a, b) + b),
        ),
        guarded(lambda a, b: _precise_density(b) / _precise_mass(a, b)),
        rounding=lambda a, b: _interval_mills_rounding(a, b)[1] * upper_mills(a, b),
    ),
}
