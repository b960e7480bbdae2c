r"""The bivariate normal distribution, with its digits in the tails, and in mpmath.

In the bulk Owen's T function gives

.. math:: \Phi_2(h, k; \rho) = \tfrac12 [\Phi(h) + \Phi(k)] - T(h, a_h) - T(k, a_k) - \delta,
   \qquad a_h = \frac{k / h - \rho}{\tau}, \quad \tau = \sqrt{1 - \rho^2},

with an error of a few units of one. Where the probability is small it is a single integral of
positive terms from the nearer edge, :math:`h \le k`,

.. math:: \Phi_2 = \varphi(h) \int_0^\infty e^{h t - t^2/2}\, \Phi\Big(\frac{k - \rho h + \rho t}
   {\tau}\Big)\, dt,

whose integrand is log-concave and falls from the start: far out like an exponential, for which
there are the nodes of Gauss and Laguerre; nearer, Gauss-Legendre nodes up to where it has fallen
by e^-30.

References
----------
D. B. Owen, Ann. Math. Statist. 27 (1956) 1075.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray
from scipy import special

__all__ = [
    "bivariate_mills",
    "bivariate_mills_rounding",
    "bivariate_mills_slopes",
    "bivariate_normal_cdf",
    "log_bivariate_normal_cdf",
    "log_rounding",
    "log_slopes",
    "precise_bivariate_mills",
    "precise_bivariate_normal_cdf",
]

Array = NDArray[np.float64]

_LOG_ROOT_TWO_PI = 0.5 * np.log(2 * np.pi)
_ROOT_TWO_OVER_PI = np.sqrt(2 / np.pi)
_ROOT_HALF = np.sqrt(0.5)
_TAIL = 1e-2  # below this probability Owen's formula has lost two digits
_FALL = 30.0  # the integral over a tail ends where its integrand has fallen by exp(-30)
_NODES = 20  # of Gauss and Legendre, in each panel
_LAGUERRE_NODES = 12  # used from _STEEP on: rate of decay squared, over the curvature
_STEEP = 30.0  # from here those nodes reach the last digit; larger is slower, not worse
_STEP_SLOPE = 1.0  # slope of the inner probability above which it is a step, and needs panels
_STEP_EDGES = np.array([-8.0, -3.0, 0.0, 3.0, 8.0])  # of these panels, in its argument
_TINY = 1e-200  # stands for an edge at zero, by which Owen's formula divides
_AT_ONCE = 2**13  # points in the tail at once, which bounds the memory of their nodes


def log_bivariate_normal_cdf(h: Array, k: Array, rho: Array) -> Array:
    """Return log P(x < h, y < k)."""
    h, k, rho = np.broadcast_arrays(*(np.asarray(a, dtype=float) for a in (h, k, rho)))
    shape = h.shape
    low, high = np.minimum(h, k).reshape(-1), np.maximum(h, k).reshape(-1)
    rho = rho.reshape(-1)
    spread = np.sqrt((1 - rho) * (1 + rho))
    mass = np.zeros(low.shape)
    bulk = special.ndtr(low) >= _TAIL  # a bound: the probability of both is no larger
    mass[bulk] = _owen(low[bulk], high[bulk], rho[bulk], spread[bulk])
    with np.errstate(divide="ignore", invalid="ignore"):
        result = np.log(mass)
    tail = np.flatnonzero(~(mass >= _TAIL))
    for first in range(0, tail.size, _AT_ONCE):
        some = tail[first : first + _AT_ONCE]
        result[some] = _log_tail(low[some], high[some], rho[some], spread[some])
    return result.reshape(shape)


def _owen(low: Array, high: Array, rho: Array, spread: Array) -> Array:
    h = np.where(np.abs(low) < _TINY, _TINY, low)
    k = np.where(np.abs(high) < _TINY, _TINY, high)
    with np.errstate(all="ignore"):
        first = special.owens_t(h, (k / h - rho) / spread)
        second = special.owens_t(k, (h / k - rho) / spread)
    other_side = np.where((h < 0) != (k < 0), 0.5, 0.0)
    return np.asarray(0.5 * (special.ndtr(h) + special.ndtr(k)) - first - second - other_side)


@lru_cache(maxsize=1)
def _legendre() -> tuple[Array, Array]:
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return 0.5 * (nodes + 1), np.log(0.5 * weights)


@lru_cache(maxsize=1)
def _laguerre() -> tuple[Array, Array]:
    nodes, weights = np.polynomial.laguerre.laggauss(_LAGUERRE_NODES)
    return nodes, np.log(weights) + nodes


def _log_tail(low: Array, high: Array, rho: Array, spread: Array) -> Array:
    with np.errstate(all="ignore"):
        start, slope = (high - rho * low) / spread, rho / spread
        level = special.log_ndtr(start)
        ratio = _ratio(start)
        rate = -(low + slope * ratio)
        steep = (rate > 0) & (rate**2 > _STEEP * (1 + slope**2))
        integral = np.empty_like(low)
        turns = ~steep & (np.abs(slope) > _STEP_SLOPE)
        near = ~steep & ~turns
        for chosen, rule in ((steep, _steep_rule), (near, _near_rule), (turns, _turning_rule)):
            if chosen.any():
                some = [a[chosen] for a in (low, start, slope, level, rate)]
                t, log_weights = rule(*some)
                edge, begin, lean, known = (a[:, None] for a in some[:4])
                exponent = edge * t - 0.5 * t**2
                exponent += special.log_ndtr(begin + lean * t) - known
                integral[chosen] = np.exp(exponent + log_weights).sum(axis=1) * t[:, -1]
        return np.asarray(level - 0.5 * low**2 - _LOG_ROOT_TWO_PI + np.log(integral))


def _steep_rule(
    low: Array, start: Array, slope: Array, level: Array, rate: Array
) -> tuple[Array, Array]:
    """Return nodes, and logarithms of weights in units of the last node."""
    nodes, log_weights = _laguerre()
    return nodes / rate[:, None], log_weights - np.log(nodes[-1])


def _near_rule(
    low: Array, start: Array, slope: Array, level: Array, rate: Array
) -> tuple[Array, Array]:
    """Return the same, up to where the integrand has fallen by exp(-_FALL)."""
    root = np.sqrt(rate**2 + 2 * _FALL)  # the curvature is at least one, so this is far enough
    end = np.where(rate > 0, 2 * _FALL / (root + rate), root - rate)
    for _ in range(2):  # Newton's method from beyond stays beyond
        argument = start + slope * end
        fall = low * end - 0.5 * end**2 + special.log_ndtr(argument) - level + _FALL
        falls = low - end + slope * _ratio(argument)
        end = np.where(fall < 0, end - fall / falls, end)
    nodes, log_weights = _legendre()
    return end[:, None] * nodes, log_weights - np.log(nodes[-1])


def _turning_rule(
    low: Array, start: Array, slope: Array, level: Array, rate: Array
) -> tuple[Array, Array]:
    """Return the same in panels around the place where the inner probability steps."""
    end = _near_rule(low, start, slope, level, rate)[0][:, -1:] / _legendre()[0][-1]
    inner = (_STEP_EDGES - start[:, None]) / slope[:, None]
    inner = np.sort(inner, axis=1)
    edges = np.concatenate([0 * end, np.clip(inner, 0, end), end], axis=1)
    nodes, log_weights = _legendre()
    lengths = np.diff(edges, axis=1)[..., None]
    t = (edges[:, :-1, None] + lengths * nodes).reshape(len(low), -1)
    weights = (log_weights + np.log(lengths)).reshape(len(low), -1)
    return t, weights - np.log(t[:, -1:])


def _ratio(x: Array) -> Array:
    """Return phi(x) / Phi(x)."""
    return _ROOT_TWO_OVER_PI / special.erfcx(np.multiply(x, -_ROOT_HALF))


def bivariate_normal_cdf(h: Array, k: Array, rho: Array, logarithm: Array | None = None) -> Array:
    """Return P(x < h, y < k); `logarithm` is its logarithm, where it is known already."""
    return np.exp(log_bivariate_normal_cdf(h, k, rho) if logarithm is None else logarithm)


def bivariate_mills(h: Array, k: Array, rho: Array, logarithm: Array | None = None) -> Array:
    """Return phi(h) Phi(c) / Phi_2; `logarithm` is that of Phi_2, where it is known already."""
    if logarithm is None:
        logarithm = log_bivariate_normal_cdf(h, k, rho)
    spread = np.sqrt((1 - rho) * (1 + rho))
    inside = special.log_ndtr((k - rho * h) / spread)
    return np.exp(inside - 0.5 * np.square(h) - _LOG_ROOT_TWO_PI - logarithm)


# ---- errors -------------------------------------------------------------------------------------


def log_slopes(h: Array, k: Array, rho: Array) -> tuple[Array, ...]:
    """Return the partial derivatives of the logarithm, all positive."""
    logarithm = log_bivariate_normal_cdf(h, k, rho)
    spread = np.sqrt((1 - rho) * (1 + rho))
    first = bivariate_mills(h, k, rho, logarithm)
    second = bivariate_mills(k, h, rho, logarithm)
    return first, second, first * _ratio((k - rho * h) / spread) / spread


def log_rounding(h: Array, k: Array, rho: Array) -> Array:
    """Return the absolute rounding of the logarithm, in units."""
    return _rounding_of(log_bivariate_normal_cdf(h, k, rho))


def _rounding_of(logarithm: Array) -> Array:
    """Return rounding in units: of one in the bulk, of the sum over nodes in the tail."""
    bulk = logarithm > np.log(_TAIL)
    return np.where(bulk, np.exp(-np.maximum(logarithm, -5.0)), 300.0) + np.abs(logarithm)


def bivariate_mills_slopes(h: Array, k: Array, rho: Array, *logarithm: Array) -> tuple[Array, ...]:
    """Return bounds on the partial derivatives of the ratio of density and mass."""
    first, second, density = log_slopes(h, k, rho)
    spread = np.sqrt((1 - rho) * (1 + rho))
    inner = _ratio((k - rho * h) / spread)
    return (
        first * np.abs(-h - rho / spread * inner - first),
        first * np.abs(inner / spread - second),
        first * (inner * np.abs(rho * k - h) / spread**3 + density),
        *(0.0 for _ in logarithm),
    )


def bivariate_mills_rounding(h: Array, k: Array, rho: Array, *logarithm: Array) -> Array:
    """Return the absolute rounding of the ratio, in units: that of the exponent times it."""
    known = log_bivariate_normal_cdf(h, k, rho)
    spread = np.sqrt((1 - rho) * (1 + rho))
    size = np.square(h) + np.minimum((k - rho * h) / spread, 0) ** 2
    return (_rounding_of(known) + size) * bivariate_mills(h, k, rho, known)


# ---- mpmath -------------------------------------------------------------------------------------


def precise_bivariate_normal_cdf(h: mpmath.mpf, k: mpmath.mpf, rho: mpmath.mpf) -> mpmath.mpf:
    """Return P(x < h, y < k), by the integral of positive terms from the nearer edge."""
    h, k = (mpmath.mpf(x) for x in sorted((h, k)))
    rho = mpmath.mpf(rho)
    with mpmath.workprec(mpmath.mp.prec + 20):
        spread = mpmath.sqrt((1 - rho) * (1 + rho))
        # here exp(h t - t^2/2), whose peak is at max(h, 0), has fallen below its last digit
        end = mpmath.sqrt(2 * (mpmath.mp.dps + 5) * mpmath.log(10)) + max(h, 0)

        size = mpmath.ncdf((k - rho * h) / spread)

        def integrand(t: Any) -> Any:
            # made of size one, since the tolerance of mpmath.quad is absolute
            inside = mpmath.ncdf((k - rho * h + rho * t) / spread) / size
            return mpmath.exp(h * t - t * t / 2) * inside

        # panels shrink towards t = 0 and around the step of the inner probability
        marks = {end * mpmath.mpf(2) ** -j for j in range(8)} | {mpmath.mpf(0)}
        if rho != 0:
            turn = h - k / rho
            marks |= {turn + j * spread / abs(rho) for j in (-4, -1, 0, 1, 4)}
        total = mpmath.quad(integrand, sorted(mark for mark in marks if 0 <= mark <= end))
        return size * total * mpmath.exp(-h * h / 2) / mpmath.sqrt(2 * mpmath.pi)


def precise_bivariate_mills(h: mpmath.mpf, k: mpmath.mpf, rho: mpmath.mpf) -> mpmath.mpf:
    """Return phi(h) Phi(c) / Phi_2."""
    spread = mpmath.sqrt((1 - rho) * (1 + rho))
    inside = mpmath.ncdf((k - rho * h) / spread)
    return mpmath.npdf(h) * inside / precise_bivariate_normal_cdf(h, k, rho)
