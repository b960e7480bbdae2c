"""Scaled Bessel functions and what follows from them for fields with a phase."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray
from scipy import special

from replica.numerics.implementation import Implementation, guarded

__all__ = ["BESSEL"]

Array = NDArray[np.float64]

# Arguments from which on expansions in 1/x are used: those of two or three terms, since scipy's
# functions give no number at 1e10, and the series of 30 terms for the slope of the ratio.
_ASYMPTOTIC, _ASYMPTOTIC_SLOPE = 1e6, 30.0


def log_scaled_i0(x: Array) -> Array:
    near = np.clip(x, 1e-3, _ASYMPTOTIC)
    y = 1 / np.maximum(x, _ASYMPTOTIC)
    far = y * (0.125 + y * 0.0625) - 0.5 * np.log(2 * np.pi * np.maximum(x, _ASYMPTOTIC))
    small = -x + x * x / 4 * (1 - x * x / 16)
    known = np.log(special.ive(0, near))
    return np.where(x < 1e-3, small, np.where(x > _ASYMPTOTIC, far, known))


def bessel_ratio(x: Array) -> Array:
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


def bessel_ratio_slope(x: Array) -> Array:
    x = np.maximum(x, 1e-100)
    ratio = bessel_ratio(x)
    y = 1 / np.maximum(x, _ASYMPTOTIC_SLOPE)
    series = y * np.polynomial.polynomial.polyval(y, _RATIO_SLOPE)
    return np.where(x > _ASYMPTOTIC_SLOPE, series, 1 - ratio / x - ratio * ratio)


def _precise_bessel_ratio(x: mpmath.mpf) -> mpmath.mpf:
    return mpmath.besseli(1, x) / mpmath.besseli(0, x)


_SERIES = 1.0  # k, the square of a field, below which functions of a phase use power series


def _series_of_quotient(count: int) -> Array:
    """Return the coefficients in k of s = R/f, from s + 2 k s' = 1 - s - k s^2."""
    found = [0.5]
    for j in range(1, count):
        found.append(-sum(found[i] * found[j - 1 - i] for i in range(j)) / (2 * j + 2))
    return np.array(found)


_QUOTIENT = _series_of_quotient(24)  # converges for k < 5.8, up to the first zero of J_0


_LOG_I0 = np.concatenate([[0.0], 0.5 * _QUOTIENT / np.arange(1, _QUOTIENT.size + 1)])


def _near_zero(coefficients: Array, k: Array) -> Array:
    return np.asarray(np.polynomial.polynomial.polyval(np.minimum(k, _SERIES), coefficients))


def bessel_quotient(n: Array | int, k: Array) -> Array:
    k = np.asarray(k, dtype=float)
    f = np.sqrt(np.clip(k, 1e-30, _ASYMPTOTIC**2))
    known = special.ive(n + 1, f) / (f * special.ive(n, f))
    y = 1 / np.sqrt(np.maximum(k, _ASYMPTOTIC**2))
    far = y * _hankel(n + 1, y) / _hankel(n, y)
    small = 1 / (2 * n + 2 + k / (2 * n + 4 + k / (2 * n + 6)))
    return np.where(k < 1e-4, small, np.where(k > _ASYMPTOTIC**2, far, known))


def _hankel(n: Array | int, y: Array) -> Array:
    """Return the expansion of sqrt(2 pi f) e^-f I_n(f) in y = 1/f."""
    m = 4 * n * n
    return 1 - (m - 1) / 8 * y * (1 - (m - 9) / 16 * y)


def phase_variance(k: Array) -> Array:
    k, quotient = np.asarray(k, dtype=float), bessel_quotient(0, k)
    far = quotient + bessel_ratio_slope(np.sqrt(np.maximum(k, 1.0)))
    return np.where(k < 1.0, 1 - k * quotient**2, far)


def phase_log_partition(k: Array) -> Array:
    k = np.asarray(k, dtype=float)
    root, f = np.sqrt(1 + k), np.sqrt(k)
    series = _near_zero(_LOG_I0, k) - k / (1 + root)
    return np.where(k < _SERIES, series, log_scaled_i0(f) + 1 - 1 / (f + root))


def phase_entropy(k: Array) -> Array:
    k = np.asarray(k, dtype=float)
    series = _near_zero(_LOG_I0, k) - k * _near_zero(_QUOTIENT, k)
    f = np.sqrt(k)
    rest = f * phase_variance(k) / (1 + f * bessel_quotient(0, k))
    return np.where(k < _SERIES, series, log_scaled_i0(f) + rest)


def _precise_quotient(n: mpmath.mpf, k: mpmath.mpf) -> mpmath.mpf:
    n = int(n)
    if k < mpmath.mpf(2) ** (-mpmath.mp.prec):
        return 1 / mpmath.mpf(2 * n + 2)
    f = mpmath.sqrt(k)
    return mpmath.besseli(n + 1, f) / (f * mpmath.besseli(n, f))


def _of_phase(function: Callable[[Any, Any], Any]) -> Callable[[Array], Array]:
    """Return a function of k from one of the field and the ratio R, with digits to cancel."""

    def precise(k: Any) -> Any:
        size = abs(int(mpmath.mag(k))) if k else mpmath.mp.prec
        with mpmath.workprec(mpmath.mp.prec + 20 + 2 * size):
            f = mpmath.sqrt(k)
            return function(f, _precise_bessel_ratio(f))

    return precise


def log_scaled_k(n: int, s: Array) -> Array:
    """Return log K_n(e^s) + e^s, n = 0 or 1, where e^s under- or overflows too."""
    s = np.asarray(s, dtype=float)
    x = np.exp(np.clip(s, -40.0, np.log(_ASYMPTOTIC)))
    near = np.log(special.kve(n, x))
    # small x: K_0 = -log(x/2) - gamma, K_1 = 1/x; large x: K_n = sqrt(pi/2x) e^-x
    small = np.log(np.log(2.0) - np.euler_gamma - np.minimum(s, -40.0)) if n == 0 else -s
    y = np.exp(-np.maximum(s, np.log(_ASYMPTOTIC)))
    far = 0.5 * (np.log(np.pi / 2) - s) + (4 * n * n - 1) / 8 * y * (1 - y / 2)
    return np.where(s < -40, small, np.where(s > np.log(_ASYMPTOTIC), far, near))


def _precise_log_scaled_i0(x: mpmath.mpf) -> mpmath.mpf:
    with mpmath.workprec(mpmath.mp.prec + 10 + 4 * abs(int(mpmath.mag(x)) if x else 0)):
        return mpmath.log(mpmath.besseli(0, x)) - x


def _scaled_k(n: int) -> Implementation:
    def precise(s: Any) -> Any:
        with mpmath.workprec(mpmath.mp.prec + 10 + max(0, int(3 * s))):  # e^s cancels between them
            return mpmath.log(mpmath.besselk(n, mpmath.exp(s))) + mpmath.exp(s)

    return Implementation(
        lambda s: log_scaled_k(n, s),
        lambda s: (1.0 + n,),
        precise,
        rounding=lambda s: np.abs(s) + 1.0,
    )


BESSEL: dict[str, Implementation] = {
    "LogScaledI0": Implementation(
        log_scaled_i0,
        lambda x: (1 / np.maximum(x, 1.0),),  # a bound on 1 - R, which falls as 1/2x
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
        guarded(lambda x: 1 - _precise_bessel_ratio(x) / x - _precise_bessel_ratio(x) ** 2),
        rounding=lambda x: np.where(np.abs(x) < _ASYMPTOTIC_SLOPE, 4.0, 0.0),
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
        guarded(_precise_quotient),
        rounding=lambda n, k: 4 * bessel_quotient(n, k),
    ),
    "LogScaledK0": _scaled_k(0),
    "LogScaledK1": _scaled_k(1),
}
