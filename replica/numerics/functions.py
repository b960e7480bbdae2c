r"""Numerical implementations of the primitives: double precision, its slope, and any precision.

Each entry of `IMPLEMENTATIONS` carries

* ``value`` -- vectorised numpy, accurate to a few units in the last place;
* ``slopes`` -- cheap bounds on the absolute partial derivatives, by which an input's error is
  amplified;
* ``rounding`` -- absolute error of ``value`` itself, in units of 2**-53, where it is more than a
  few units of the result;
* ``precise`` -- the same function in mpmath.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray
from scipy import special

from replica.numerics import bivariate, tilted
from replica.numerics.proximal import (
    precise_proximal,
    proximal,
    proximal_rounding,
    proximal_slopes,
)

__all__ = ["IMPLEMENTATIONS", "Implementation"]

Array = NDArray[np.float64]

_ROOT_HALF = np.sqrt(0.5)
_ROOT_TWO_OVER_PI = np.sqrt(2 / np.pi)
_ROOT_PI_OVER_TWO = np.sqrt(np.pi / 2)
_LOG_TWO = np.log(2.0)
_LOG_ROOT_TWO_PI = 0.5 * np.log(2 * np.pi)
_LEFT = -0.5


@dataclass(frozen=True)
class Implementation:
    """One primitive as numbers; see the module's first lines."""

    value: Callable[..., Any]
    slopes: Callable[..., tuple[Any, ...]]
    precise: Callable[..., Any]
    rounding: Callable[..., Any] | None = None


def log_h(x: Any, ratio: Any = None) -> Any:
    """Return log H(x); `ratio` is A(x), where it is known already."""
    x = np.asarray(x, dtype=float)
    if ratio is None:
        return special.log_ndtr(-x)
    result = np.asarray(-0.5 * x * x - np.log(ratio) - _LOG_ROOT_TWO_PI)
    left = x < _LEFT  # there log H is a small difference of these
    if left.any():
        result[left] = special.log_ndtr(-x[left])
    return result


_ASYMPTOTIC = 1e6  # scipy's Bessel functions give no number at 1e10
_ASYMPTOTIC_SLOPE = 30.0


def log_scaled_i0(x: Any) -> Any:
    near = np.clip(x, 1e-3, _ASYMPTOTIC)
    y = 1 / np.maximum(x, _ASYMPTOTIC)
    far = y * (0.125 + y * 0.0625) - 0.5 * np.log(2 * np.pi * np.maximum(x, _ASYMPTOTIC))
    small = -x + x * x / 4 * (1 - x * x / 16)
    known = np.log(special.ive(0, near))
    return np.where(x < 1e-3, small, np.where(x > _ASYMPTOTIC, far, known))


def bessel_ratio(x: Any) -> Any:
    near = np.minimum(x, _ASYMPTOTIC)
    known = special.ive(1, near) / special.ive(0, near)
    y = 1 / np.maximum(x, _ASYMPTOTIC)
    return np.where(x > _ASYMPTOTIC, 1 - y * (0.5 + y * 0.125), known)


def _series_of_ratio_slope(count: int) -> Array:
    """Return the coefficients in 1/x of R' at large x, from R' = 1 - R/x - R^2."""
    ratio = [1.0]
    for k in range(1, count):
        products = sum(ratio[i] * ratio[k - i] for i in range(1, k))
        ratio.append(0.5 * ((k - 2) * ratio[k - 1] - products))
    return -np.arange(count) * np.array(ratio)


_RATIO_SLOPE = _series_of_ratio_slope(30)


def bessel_ratio_slope(x: Any) -> Any:
    x = np.maximum(x, 1e-100)
    ratio = bessel_ratio(x)
    y = 1 / np.maximum(x, _ASYMPTOTIC_SLOPE)
    series = y * np.polynomial.polynomial.polyval(y, _RATIO_SLOPE)
    return np.where(x > _ASYMPTOTIC_SLOPE, series, 1 - ratio / x - ratio * ratio)


def _precise_bessel_ratio(x: Any) -> Any:
    return mpmath.besseli(1, x) / mpmath.besseli(0, x)


_SPLIT = 2.0**27 + 1  # halves of the digits of a double


def _product(a: Any, b: Any) -> tuple[Any, Any]:
    """Return a product and what its rounding took away (Dekker 1971)."""
    product = a * b
    tops = []
    for number in (a, b):
        shifted = _SPLIT * number
        top = shifted - (shifted - number)
        tops.append((top, number - top))
    (high, low), (upper, lower) = tops
    return product, low * lower - (((product - high * upper) - low * upper) - high * lower)


def product_difference(a: Any, b: Any, c: Any, d: Any) -> Any:
    (first, lost), (second, gone) = _product(a, b), _product(c, d)
    return (first - second) + (lost - gone)


# Functions of the square k of a field f; below _SERIES in k their power series serve.

_SERIES = 1.0


def _series_of_quotient(count: int) -> Array:
    """Return the coefficients in k of s = R/f, from s + 2 k s' = 1 - s - k s^2."""
    found = [0.5]
    for j in range(1, count):
        found.append(-sum(found[i] * found[j - 1 - i] for i in range(j)) / (2 * j + 2))
    return np.array(found)


_QUOTIENT = _series_of_quotient(24)  # converges up to the first zero of J_0, k = 5.8
_LOG_I0 = np.concatenate([[0.0], 0.5 * _QUOTIENT / np.arange(1, _QUOTIENT.size + 1)])


def _near_zero(coefficients: Array, k: Any) -> Any:
    return np.polynomial.polynomial.polyval(np.minimum(k, _SERIES), coefficients)


def bessel_quotient(n: Any, k: Any) -> Any:
    k = np.asarray(k, dtype=float)
    f = np.sqrt(np.clip(k, 1e-30, _ASYMPTOTIC**2))
    known = special.ive(n + 1, f) / (f * special.ive(n, f))
    y = 1 / np.sqrt(np.maximum(k, _ASYMPTOTIC**2))
    far = y * _hankel(n + 1, y) / _hankel(n, y)
    small = 1 / (2 * n + 2 + k / (2 * n + 4 + k / (2 * n + 6)))
    return np.where(k < 1e-4, small, np.where(k > _ASYMPTOTIC**2, far, known))


def _hankel(n: Any, y: Any) -> Any:
    """Return the expansion of sqrt(2 pi f) e^-f I_n(f) in y = 1/f."""
    m = 4 * n * n
    return 1 - (m - 1) / 8 * y * (1 - (m - 9) / 16 * y)


def phase_variance(k: Any) -> Any:
    k, quotient = np.asarray(k, dtype=float), bessel_quotient(0, k)
    far = quotient + bessel_ratio_slope(np.sqrt(np.maximum(k, 1.0)))
    return np.where(k < 1.0, 1 - k * quotient**2, far)


def phase_log_partition(k: Any) -> Any:
    k = np.asarray(k, dtype=float)
    root, f = np.sqrt(1 + k), np.sqrt(k)
    series = _near_zero(_LOG_I0, k) - k / (1 + root)
    return np.where(k < _SERIES, series, log_scaled_i0(f) + 1 - 1 / (f + root))


def phase_entropy(k: Any) -> Any:
    k = np.asarray(k, dtype=float)
    series = _near_zero(_LOG_I0, k) - k * _near_zero(_QUOTIENT, k)
    f = np.sqrt(k)
    rest = f * phase_variance(k) / (1 + f * bessel_quotient(0, k))
    return np.where(k < _SERIES, series, log_scaled_i0(f) + rest)


def _precise_quotient(n: Any, k: Any) -> Any:
    n = int(n)
    if k < mpmath.mpf(2) ** (-mpmath.mp.prec):
        return 1 / mpmath.mpf(2 * n + 2)
    f = mpmath.sqrt(k)
    return mpmath.besseli(n + 1, f) / (f * mpmath.besseli(n, f))


def _of_phase(function: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
    """Return a function of k from one of the field and the ratio R, with digits to cancel."""

    def precise(k: Any) -> Any:
        size = abs(int(mpmath.mag(k))) if k else mpmath.mp.prec
        with mpmath.workprec(mpmath.mp.prec + 20 + 2 * size):
            f = mpmath.sqrt(k)
            return function(f, _precise_bessel_ratio(f))

    return precise


def log_scaled_k(n: int, s: Any) -> Any:
    """Return log K_n(e^s) + e^s, n = 0 or 1, where e^s under- or overflows too."""
    s = np.asarray(s, dtype=float)
    x = np.exp(np.clip(s, -40.0, np.log(_ASYMPTOTIC)))
    near = np.log(special.kve(n, x))
    # K_0 = -log(x/2) - gamma, K_1 = 1/x; sqrt(pi/2x) e^-x
    small = np.log(_LOG_TWO - np.euler_gamma - np.minimum(s, -40.0)) if n == 0 else -s
    y = np.exp(-np.maximum(s, np.log(_ASYMPTOTIC)))
    far = 0.5 * (np.log(np.pi / 2) - s) + (4 * n * n - 1) / 8 * y * (1 - y / 2)
    return np.where(s < -40, small, np.where(s > np.log(_ASYMPTOTIC), far, near))


def _precise_log_scaled_i0(x: Any) -> Any:
    with mpmath.workprec(mpmath.mp.prec + 10 + 4 * abs(int(mpmath.mag(x)) if x else 0)):
        return mpmath.log(mpmath.besseli(0, x)) - x


def _scaled_k(n: int) -> Implementation:
    def precise(s: Any) -> Any:
        with mpmath.workprec(mpmath.mp.prec + 10 + max(0, int(3 * s))):  # e^s cancels
            return mpmath.log(mpmath.besselk(n, mpmath.exp(s))) + mpmath.exp(s)

    return Implementation(
        lambda s: log_scaled_k(n, s),
        lambda s: (1.0 + n,),
        precise,
        rounding=lambda s: np.abs(s) + 1.0,
    )


def mills(x: Any) -> Any:
    return _ROOT_TWO_OVER_PI / special.erfcx(np.multiply(x, _ROOT_HALF))


def log_scaled_h(x: Any) -> Any:
    x = np.asarray(x, dtype=float)
    return np.where(
        x < 0,
        0.5 * x * x + special.log_ndtr(-np.minimum(x, 0)),
        np.log(special.erfcx(np.maximum(x, 0) * _ROOT_HALF)) - _LOG_TWO,
    )


# Laplace's continued fraction A(x) - x = 1/(x + 2/(x + 3/(x + ...))): from here this depth
# reaches the last digit, where the difference A(x) - x has lost x**2 = 36 units.
_FRACTION_FROM, _FRACTION_DEPTH = 6.0, 20


def mills_excess(x: Any, ratio: Any = None) -> Any:
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


def log_cosh(x: Any) -> Any:
    size = np.abs(x)
    return size + np.log1p(np.exp(-2 * size)) - _LOG_TWO


def sech(x: Any) -> Any:
    decay = np.exp(-np.abs(x))
    return 2 * decay / (1 + decay * decay)


def _mirrored(a: Any, b: Any) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Reflect intervals so that they lie on the right, where tails are small numbers."""
    a, b = np.broadcast_arrays(np.asarray(a, dtype=float), np.asarray(b, dtype=float))
    left = a + b < 0
    return np.where(left, -b, a), np.where(left, -a, b), left


def _central_mass(a: Array, b: Array) -> Array:
    """Return H(a) - H(b) for a <= 0 <= b: a sum of two positive terms."""
    return 0.5 * (special.erf(b * _ROOT_HALF) - special.erf(a * _ROOT_HALF))


# Narrower than this (and than this over the distance from the origin) an interval's mass is its
# density at the middle times a series, where a difference of tails would lose the digits.
_NARROW = 0.03


def _narrow(low: Array, high: Array) -> tuple[NDArray[np.bool_], Array, Array]:
    """Return where intervals are narrow, their middle, and log of mass over middle density."""
    width, middle = high - low, 0.5 * (low + high)
    narrow = width * np.maximum(np.abs(middle), 1) < _NARROW
    w2, m2 = np.where(narrow, width, 0.0) ** 2, np.where(narrow, middle, 0.0) ** 2
    series = (m2 - 1) * w2 / 24 + (m2 * m2 - 6 * m2 + 3) * w2**2 / 1920
    series += (m2**3 - 15 * m2 * m2 + 45 * m2 - 15) * w2**3 / 322560
    return narrow, middle, np.log(width) + np.log1p(series)


def log_h_difference(a: Any, b: Any) -> Any:
    low, high, _ = _mirrored(a, b)
    narrow, middle, logarithm = _narrow(low, high)
    ratio = special.log_ndtr(-high) - special.log_ndtr(-low)
    tail = special.log_ndtr(-low) + np.log1p(-np.exp(np.minimum(ratio, 0)))
    mass = _central_mass(np.minimum(low, 0), high)
    outside = special.ndtr(np.minimum(low, 0)) + special.ndtr(-high)
    central = np.where(mass < 0.5, np.log(mass), np.log1p(-np.minimum(outside, 0.75)))
    wide = np.where(low > 0, tail, central)
    return np.where(narrow, logarithm - 0.5 * middle * middle - _LOG_ROOT_TWO_PI, wide)


def _interval_mills(a: Any, b: Any) -> tuple[Array, Array]:
    low, high, left = _mirrored(a, b)
    decay = np.exp(-0.5 * (high - low) * (high + low))  # phi(high) / phi(low)
    scaled = np.maximum(low, 0) * _ROOT_HALF
    ratio = special.erfcx(scaled) - decay * special.erfcx(high * _ROOT_HALF)
    tail = 1 / (_ROOT_PI_OVER_TWO * ratio)
    density = np.exp(-0.5 * np.minimum(low, 0) ** 2) / np.sqrt(2 * np.pi)
    lower = np.where(low > 0, tail, density / _central_mass(np.minimum(low, 0), high))
    narrow, middle, logarithm = _narrow(low, high)
    shift = 0.5 * (high - low) * middle - 0.125 * (high - low) ** 2  # log of the end's density
    lower = np.where(narrow, np.exp(np.where(narrow, shift - logarithm, 0.0)), lower)
    upper = decay * lower
    return np.where(left, upper, lower), np.where(left, lower, upper)


def lower_mills(a: Any, b: Any) -> Any:
    return _interval_mills(a, b)[0]


def upper_mills(a: Any, b: Any) -> Any:
    return _interval_mills(a, b)[1]


def log_sum_exp(*arguments: Any) -> Any:
    total = arguments[0]
    for argument in arguments[1:]:
        total = np.logaddexp(total, argument)
    return total


def softmax(first: Any, *rest: Any) -> Any:
    with np.errstate(over="ignore"):
        return 1 / (1 + sum(np.exp(np.subtract(other, first)) for other in rest))


def _softmax_slopes(first: Any, *rest: Any) -> tuple[Any, ...]:
    own = softmax(first, *rest)
    weights = []
    for k, other in enumerate(rest):
        weights.append(own * softmax(other, first, *rest[:k], *rest[k + 1 :]))
    return (sum(weights), *weights)


def _softmax_rounding(first: Any, *rest: Any) -> Any:
    """Return the rounding of the differences, which the exponentials amplify."""
    own = softmax(first, *rest)
    gaps = [np.abs(np.subtract(other, first)) for other in rest]
    return own * (1 - own) * np.minimum(np.maximum.reduce(np.broadcast_arrays(*gaps)), 1e3)


def _log_sum_exp_slopes(*arguments: Any) -> tuple[Any, ...]:
    return tuple(
        softmax(a, *arguments[:k], *arguments[k + 1 :]) if len(arguments) > 1 else 1.0
        for k, a in enumerate(arguments)
    )


def _mills_bound(x: Any) -> Any:
    """Bound A(x) from above: A(x) - x falls from sqrt(2/pi), and H > 1/2 on the left."""
    return np.maximum(x, 0) + 0.8 * np.exp(-0.5 * np.minimum(x, 0) ** 2)


def _tail_rounding(x: Any) -> Any:
    """Return the relative rounding of exp(-x^2/2) on the left, where the square is rounded."""
    return np.minimum(x, 0) ** 2


def _log_tail_rounding(x: Any, *_: Any) -> Any:
    """Return the rounding of log H on the left, where it is minus a small tail."""
    return _tail_rounding(x) * 0.7 * np.exp(-0.5 * np.minimum(x, 0) ** 2)


def _interval_rounding(a: Any, b: Any) -> Any:
    """Return the relative amplification of rounding by the difference of two tails."""
    low, high, _ = _mirrored(a, b)
    size = np.abs(special.log_ndtr(-low)) + np.abs(special.log_ndtr(-high))
    ratio = np.exp(np.minimum(special.log_ndtr(-high) - special.log_ndtr(-low), 0))
    lost = np.where(low > 0, ratio / np.maximum(1 - ratio, 1e-300) * (size + 2), 0.0)
    return np.where(_narrow(low, high)[0], 4.0, lost)


def _log_interval_rounding(a: Any, b: Any) -> Any:
    low, _, _ = _mirrored(a, b)
    return _interval_rounding(a, b) + _tail_rounding(low) * np.abs(log_h_difference(a, b))


def _interval_mills_rounding(a: Any, b: Any) -> tuple[Any, Any]:
    """Return the relative roundings of density over mass, at a and at b.

    They are those of the mass, of the exponent at the end next to zero, and, at the other end, of
    what the density falls to from there.
    """
    low, high, left = _mirrored(a, b)
    near = 4 + _interval_rounding(a, b) + 0.5 * np.minimum(low, 0) ** 2
    fall = np.where(low > 0, 0.5 * np.abs(high * high - low * low), 0.5 * (high**2 + low**2))
    # a narrow interval has both from its middle
    near = near + np.where(_narrow(low, high)[0], fall, 0.0)
    return np.where(left, near + fall, near), np.where(left, near, near + fall)


def companion_stieltjes(z: Any, ratio: Any) -> Any:
    z, ratio = np.broadcast_arrays(np.asarray(z, dtype=float), np.asarray(ratio, dtype=float))
    middle = z + (ratio - 1)
    root = _discriminant_root(z, ratio)
    # of the two forms of the positive root, the one whose terms have the same sign
    return np.where(middle > 0, 2 / (middle + root), (root - middle) / (2 * z))


def _discriminant_root(z: Any, ratio: Any) -> Any:
    return np.sqrt(np.maximum(z * z + 2 * z * (1 + ratio) + np.square(1 - ratio), 1e-300))


def _companion_slopes(z: Any, ratio: Any) -> tuple[Any, ...]:
    value = companion_stieltjes(z, ratio)
    change = value / _discriminant_root(z, ratio)
    return change * (1 + value), change


# ---- mpmath -----------------------------------------------------------------------------------


def _precise_tail(x: Any) -> Any:
    return mpmath.erfc(x / mpmath.sqrt(2)) / 2


def _precise_density(x: Any) -> Any:
    return mpmath.exp(-x * x / 2) / mpmath.sqrt(2 * mpmath.pi)


def _precise_mass(a: Any, b: Any) -> Any:
    if a + b < 0:
        a, b = -b, -a
    return _precise_tail(a) - _precise_tail(b)


def _precise_log_h_difference(a: Any, b: Any) -> Any:
    if a < 0 < b:  # a mass near one: its complement is the small number
        return mpmath.log1p(-_precise_tail(-a) - _precise_tail(b))
    return mpmath.log(_precise_mass(a, b))


def _guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Carry the digits that exp(-x^2/2) and differences of size x lose at large x."""

    def guarded(*arguments: Any) -> Any:
        lost = 10 + sum(4 * max(int(mpmath.mag(x)), 0) if x else 0 for x in arguments)
        with mpmath.workprec(mpmath.mp.prec + lost):
            return function(*arguments)

    return guarded


def _precise_mills(x: Any) -> Any:
    return _precise_density(x) / _precise_tail(x)


def _precise_log_sum_exp(*arguments: Any) -> Any:
    top = max(arguments)
    return top + mpmath.log(mpmath.fsum(mpmath.exp(a - top) for a in arguments))


def _precise_softmax(first: Any, *rest: Any) -> Any:
    return 1 / (1 + mpmath.fsum(mpmath.exp(a - first) for a in rest))


def _precise_log_h(x: Any) -> Any:
    # log(1 - tiny) on the left, where erfc/2 is near one
    if x < -1:
        return mpmath.log1p(-_precise_tail(-x))
    return mpmath.log(_precise_tail(x))


def _precise_companion_stieltjes(z: Any, ratio: Any) -> Any:
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


IMPLEMENTATIONS: dict[str, Implementation] = {
    "ExponentialCumulant": _cumulant(tilted.EXPONENTIAL),
    "ExponentialWeight": _weight(tilted.EXPONENTIAL),
    "IntervalCumulant": _cumulant(tilted.INTERVAL),
    "IntervalWeight": _weight(tilted.INTERVAL),
    "CompanionStieltjes": Implementation(
        companion_stieltjes, _companion_slopes, _precise_companion_stieltjes
    ),
    "LogH": Implementation(
        log_h,
        lambda x, *ratio: (_mills_bound(x), *(0.0 for _ in ratio)),
        _guarded(_precise_log_h),
        rounding=_log_tail_rounding,
    ),
    "Mills": Implementation(
        mills,
        lambda x: (np.minimum(_mills_bound(x) * (0.8 - np.minimum(x, 0)), 1),),
        _guarded(_precise_mills),
        rounding=lambda x: _tail_rounding(x) * mills(x),
    ),
    "MillsExcess": Implementation(
        mills_excess,
        lambda x, *ratio: (1.0, *(0.0 for _ in ratio)),
        _guarded(lambda x: _precise_mills(x) - x),
        # below the continued fraction it is a difference of numbers of size x
        rounding=lambda x, *_: np.where(
            np.asarray(x) > _FRACTION_FROM, 0.0, 4 * np.abs(x) + 4 * _mills_bound(x)
        ),
    ),
    "LogScaledH": Implementation(
        log_scaled_h,
        lambda x: (np.maximum(-x, 0) + 0.8,),
        _guarded(lambda x: x * x / 2 + _precise_log_h(x)),
        rounding=lambda x: 1.0 + 0 * x,
    ),
    "LogScaledI0": Implementation(
        log_scaled_i0,
        lambda x: (1 / np.maximum(x, 1.0),),  # 1 - R, which falls as 1/2x
        _precise_log_scaled_i0,
        rounding=lambda x: 1.0 + 0 * x,
    ),
    "BesselRatio": Implementation(
        bessel_ratio,
        lambda x: (0.5 / np.maximum(0.5 * np.square(x), 1.0),),
        _precise_bessel_ratio,
        rounding=lambda x: 2 * np.minimum(x, 1.0),
    ),
    "BesselRatioSlope": Implementation(
        bessel_ratio_slope,
        lambda x: (np.minimum(0.3, 2 / np.maximum(x, 1.0) ** 3),),
        _guarded(lambda x: 1 - _precise_bessel_ratio(x) / x - _precise_bessel_ratio(x) ** 2),
        rounding=lambda x: np.where(np.abs(x) < _ASYMPTOTIC_SLOPE, 4.0, 0.0),
    ),
    "ProductDifference": Implementation(
        product_difference,
        lambda a, b, c, d: (np.abs(b), np.abs(a), np.abs(d), np.abs(c)),
        lambda a, b, c, d: a * b - c * d,
        # of what the roundings leave
        rounding=lambda a, b, c, d: 2.0**-50 * (np.abs(a * b) + np.abs(c * d)),
    ),
    "PhaseLogPartition": Implementation(
        phase_log_partition,
        lambda k: (0.25 / np.maximum(0.5 * np.abs(k), 1.0),),
        _of_phase(lambda f, _: mpmath.log(mpmath.besseli(0, f)) + 1 - mpmath.sqrt(1 + f * f)),
        rounding=lambda k: np.where(np.asarray(k) < _SERIES, 0.0, 4.0),
    ),
    "PhaseEntropy": Implementation(
        phase_entropy,
        lambda k: (0.25 / np.maximum(0.5 * np.abs(k), 1.0),),
        _of_phase(lambda f, ratio: mpmath.log(mpmath.besseli(0, f)) - f * ratio),
        rounding=lambda k: np.where(
            np.asarray(k) < _SERIES, 0.0, 4 + 2 * np.minimum(np.sqrt(np.abs(k)), _ASYMPTOTIC_SLOPE)
        ),
    ),
    "PhaseVariance": Implementation(
        phase_variance,
        lambda k: (0.25 / np.maximum(0.5 * np.abs(k), 1.0) ** 1.5,),
        _of_phase(lambda f, ratio: 1 - ratio * ratio),
        rounding=lambda k: np.where(np.asarray(k) < _ASYMPTOTIC_SLOPE**2, 4.0, 0.0),
    ),
    "BesselQuotient": Implementation(
        bessel_quotient,
        lambda n, k: (
            bessel_quotient(n, k),
            bessel_quotient(n, k) * np.minimum(0.125, 0.5 / np.maximum(k, 1.0)),
        ),
        _guarded(_precise_quotient),
        rounding=lambda n, k: 4 * bessel_quotient(n, k),
    ),
    "LogScaledK0": _scaled_k(0),
    "LogScaledK1": _scaled_k(1),
    "LogCosh": Implementation(
        log_cosh,
        lambda x: (np.minimum(np.abs(x), 1),),
        lambda x: mpmath.log1p(2 * mpmath.sinh(x / 2) ** 2),  # exact near zero
        rounding=lambda x: np.abs(x) + 1.0,
    ),
    "Tanh": Implementation(np.tanh, lambda x: (1.0,), mpmath.tanh),
    "Sech": Implementation(sech, lambda x: (0.5,), mpmath.sech),
    "LogHDifference": Implementation(
        log_h_difference,
        lambda a, b: (lower_mills(a, b), upper_mills(a, b)),
        _guarded(_precise_log_h_difference),
        rounding=_log_interval_rounding,
    ),
    "LowerMills": Implementation(
        lower_mills,
        lambda a, b: (
            lower_mills(a, b) * np.abs(lower_mills(a, b) - a),
            lower_mills(a, b) * upper_mills(a, b),
        ),
        _guarded(lambda a, b: _precise_density(a) / _precise_mass(a, b)),
        rounding=lambda a, b: _interval_mills_rounding(a, b)[0] * lower_mills(a, b),
    ),
    "UpperMills": Implementation(
        upper_mills,
        lambda a, b: (
            lower_mills(a, b) * upper_mills(a, b),
            upper_mills(a, b) * np.abs(upper_mills(a, b) + b),
        ),
        _guarded(lambda a, b: _precise_density(b) / _precise_mass(a, b)),
        rounding=lambda a, b: _interval_mills_rounding(a, b)[1] * upper_mills(a, b),
    ),
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
        _guarded(bivariate.precise_bivariate_mills),
        rounding=bivariate.bivariate_mills_rounding,
    ),
    "Clip": Implementation(
        lambda x, low, high: np.minimum(np.maximum(x, low), high),
        lambda x, low, high: (1.0, 1.0, 1.0),
        lambda x, low, high: min(max(x, low), high),
    ),
    "Proximal": Implementation(
        proximal, proximal_slopes, precise_proximal, rounding=proximal_rounding
    ),
    "LogSumExp": Implementation(log_sum_exp, _log_sum_exp_slopes, _precise_log_sum_exp),
    "Softmax": Implementation(
        softmax, _softmax_slopes, _precise_softmax, rounding=_softmax_rounding
    ),
}
