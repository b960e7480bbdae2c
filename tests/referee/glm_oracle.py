r"""State evolution of Bayes-optimal generalised linear models, in plain numpy.

Nothing of the package is used. With the precision g of the weights' channel,

.. math:: g \leftarrow \alpha\, G(D(g)),

where D(g) is the error of the prior and G(D) the mean squared score of the labels. The uninformed
fixed point is the first zero of :math:`\log \alpha G(D(g)) - \log g` from small g, the informed one
the last.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy import optimize, special

LOG_G = np.arange(-23.0, 34.0, 0.1)
LEAST = 1e-300
_S = np.arange(-45.0, 4.0, 0.002)
_X = np.linspace(-12.0, 12.0, 2401)
_T = np.linspace(-40.0, 40.0, 8001)
_GAUSS, _WEIGHTS = np.polynomial.legendre.leggauss(60)


def _phi(x):
    return np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)


def _mean(values, x=_X):
    return float(np.sum(values * _phi(x)) * (x[1] - x[0]))


# ---- priors: the gap D(g) ------------------------------------------------------------------------


def gaussian_gap(g, density):
    return 1 / (1 + g)


def rademacher_gap(g, density):
    if g < 1:
        inner = _mean(1 / np.cosh(math.sqrt(g) * _X))
    else:
        weight = np.exp(-_T * _T / (2 * g)) / math.sqrt(2 * math.pi * g)
        inner = float(np.sum(weight / np.cosh(_T)) * (_T[1] - _T[0]))
    return math.exp(-g / 2) * inner if g < 1400 else 0.0


def gauss_bernoulli_gap(g, density):
    if density == 1:
        return 1 / (1 + g)
    u = np.exp(_S)
    undecided = math.log((1 - density) / density) + 0.5 * math.log1p(g) - 0.5 * g * u * u
    missed = 2 * np.sum(special.expit(undecided) * u**3 * _phi(u)) * (_S[1] - _S[0])
    return density / (1 + g) + density * g / (1 + g) * float(missed)


def _panels(edges):
    """Return Gauss-Legendre nodes and weights between each two edges, shape (..., nodes)."""
    half, middle = np.diff(edges, axis=-1) / 2, (edges[..., 1:] + edges[..., :-1]) / 2
    nodes = middle[..., None] + half[..., None] * _GAUSS
    weights = half[..., None] * _WEIGHTS
    return nodes.reshape(*nodes.shape[:-2], -1), weights.reshape(*weights.shape[:-2], -1)


_STEPS = np.array([-40, -20, -12, -8, -5, -3, -1.5, 0, 1.5, 3, 5, 8, 12, 20, 40])


def _seen(y, sigma, edges, log_law):
    """Return the density of w + sigma z at y, and the variance of w given it."""
    w, weights = _panels(np.clip(edges, edges[..., :1], edges[..., -1:]))
    exponent = log_law(w) - 0.5 * ((w - y[:, None]) / sigma) ** 2
    top = exponent.max(axis=1, keepdims=True)
    mass = weights * np.exp(exponent - top)
    total = mass.sum(axis=1)
    mean = (mass * (w - y[:, None])).sum(axis=1) / total
    variance = (mass * (w - y[:, None] - mean[:, None]) ** 2).sum(axis=1) / total
    density = total * np.exp(top[:, 0]) / (math.sqrt(2 * math.pi) * sigma)
    return density, variance


@lru_cache(maxsize=2000)
def laplace_gap(g, density):
    sigma, rate = 1 / math.sqrt(g), math.sqrt(2)
    far = 28 + 9 * sigma
    spread = np.unique(np.clip(np.concatenate([sigma * _STEPS, [-28, -14, 14, 28]]), -far, far))
    spread = np.unique(np.concatenate([spread, [-far, far], np.linspace(-far, far, 9)]))
    y, weights = _panels(spread)
    reach = (11 + rate * sigma) * sigma
    low, high = np.maximum(y - reach, -30.0), np.minimum(y + reach, 30.0)
    low, high = np.minimum(low, high - 1e-3 * sigma), np.maximum(high, low + 1e-3 * sigma)
    share = np.linspace(0, 1, 4)
    zero = np.clip(0.0, low, high)[:, None]
    edges = np.concatenate(
        [low[:, None] + share * (zero - low[:, None]), zero + share[1:] * (high[:, None] - zero)],
        axis=1,
    )
    law, variance = _seen(y, sigma, edges, lambda w: -rate * np.abs(w) - 0.5 * math.log(2))
    return float(np.sum(weights * law * variance))


@lru_cache(maxsize=2000)
def uniform_gap(g, density):
    sigma, end = 1 / math.sqrt(g), math.sqrt(3)
    far = end + 9 * sigma
    spread = np.concatenate([sigma * _STEPS - end, sigma * _STEPS + end, [0.0]])
    y, weights = _panels(np.unique(np.clip(spread, -far, far)))
    low, high = np.maximum(y - 11 * sigma, -end), np.minimum(y + 11 * sigma, end)
    edges = low[:, None] + np.linspace(0, 1, 3) * (high - low)[:, None]
    law, variance = _seen(y, sigma, edges, lambda w: np.full_like(w, -math.log(2 * end)))
    return float(np.sum(weights * law * variance))


PRIORS: dict[str, Callable] = {
    "gaussian": gaussian_gap,
    "rademacher": rademacher_gap,
    "gauss-bernoulli": gauss_bernoulli_gap,
    "laplace": laplace_gap,
    "uniform": uniform_gap,
}


# ---- channels: the mean squared score G(D) -------------------------------------------------------


def linear_score(D, rho, noise, width):
    return 1 / (D + noise)


def _threshold_score(m, V):
    """Return E phi(u / sqrt V)^2 / H(u / sqrt V) * 2 / V for u ~ N(0, m)."""

    def falls(t):
        return _phi(t) * math.sqrt(2 / math.pi) / special.erfcx(t / math.sqrt(2))

    if m <= 0:
        return 4 * _phi(0.0) ** 2 / V
    if m < V:
        return 2 / V * _mean(falls(math.sqrt(m / V) * _X))
    weight = _phi(_T * math.sqrt(V / m)) * math.sqrt(V / m)
    return 2 / V * float(np.sum(falls(_T) * weight) * (_T[1] - _T[0]))


def sign_score(D, rho, noise, width):
    return _threshold_score(rho - D, D + noise)


def probit_score(D, rho, noise, width):
    return _threshold_score(rho - D, D + 1)


def relu_score(D, rho, noise, width):
    return 0.5 * (_threshold_score(rho - D, D) + 1 / D)


def abs_score(D, rho, noise, width):
    """Return the one integral over the product of field and mean, in its logarithm."""
    s = np.arange(-40.0, 6.6, 0.005)
    x, r = np.exp(s), math.sqrt(max(0.0, 1 - D / rho))
    part = x * x * special.kv(1, x) / np.cosh(np.minimum(r * x, 700.0))
    return (1 - 2 / math.pi * math.sqrt(D / rho) * float(np.sum(part) * 0.005)) / D


def complex_abs_score(D, rho, noise, width):
    """Return E |g|^2 / 2 over the modulus of a complex field with parts of variance rho."""
    m = max(rho - D, 0.0)
    if m <= 1e-14 * rho:
        return 0.0
    field, by_field = _panels(np.array([0, 0.05, 0.3, 1, 2, 4, 9.0]))
    by_field = by_field * field * np.exp(-0.5 * field**2)
    w = math.sqrt(m) * field[:, None]
    # y = w + sqrt(D) t, above zero
    low = np.maximum(-9.0, -w / math.sqrt(D))
    t, by_label = _panels(low + np.linspace(0, 1, 4) * (9.0 - low))
    y = w + math.sqrt(D) * t
    x = y * w / D
    with np.errstate(divide="ignore", over="ignore"):
        tail = 1 / (2 * x) + 1 / (8 * x**2) + 1 / (8 * x**3) + 25 / (128 * x**4)
    rest = np.where(x > 1e3, tail, 1 - special.i1e(x) / special.i0e(x))  # 1 - I_1/I_0
    law = y / math.sqrt(D) * special.i0e(x) * np.exp(-0.5 * t**2)
    score = t / math.sqrt(D) - y * rest / D
    inner = np.sum(by_label * law * score**2, axis=1)
    return 0.5 * float(by_field @ inner)


def door_score(D, rho, noise, width):
    m, root = max(rho - D, 0.0), math.sqrt(D)
    if m <= 1e-14 * rho:
        return 0.0
    if width > 100 * root:  # each step by itself
        t, weights = _panels(_STEPS[1:-1])
        score = _phi(t) ** 2 / (special.ndtr(t) * special.ndtr(-t))
        law = _phi((width + root * t) / math.sqrt(m)) / math.sqrt(m)
        return 2 * float(np.sum(weights * law * score)) / root
    top = 14 * math.sqrt(m)
    steps = root * _STEPS
    edges = np.concatenate([width + steps, steps - width, np.linspace(-top, top, 29)])
    w, weights = _panels(np.unique(np.clip(edges, -top, top)))
    weights = weights * _phi(w / math.sqrt(m)) / math.sqrt(m)
    a, b = (-width - w) / root, (width - w) / root
    outside = special.ndtr(a) + special.ndtr(-b)
    inside = np.where(w > 0, special.ndtr(b) - special.ndtr(a), special.ndtr(-a) - special.ndtr(-b))
    slope = (_phi(a) - _phi(b)) / root
    with np.errstate(divide="ignore", invalid="ignore"):
        score = np.where((inside > 0) & (outside > 0), slope**2 / (inside * outside), 0.0)
    return float(np.sum(weights * score))


def logistic_score(D, rho, noise, width):
    x, weight = np.polynomial.hermite_e.hermegauss(120)
    weight = weight / weight.sum()
    w = math.sqrt(max(rho - D, 0.0)) * x
    z = w[:, None] + math.sqrt(D) * x
    up = special.expit(z)
    P, slope = up @ weight, (up * special.expit(-z)) @ weight
    return float(weight @ (slope**2 / (P * (special.expit(-z) @ weight))))


CHANNELS: dict[str, Callable] = {
    "linear": linear_score,
    "sign": sign_score,
    "abs": abs_score,
    "complex-abs": complex_abs_score,
    "door": door_score,
    "relu": relu_score,
    "probit": probit_score,
    "logistic": logistic_score,
}
EVEN = ("abs", "complex-abs", "door")
NOISY = ("linear", "sign")
CONTINUOUS = {
    "linear": 1.0,
    "abs": 1.0,
    "complex-abs": 0.5,
    "relu": 0.5,
}  # how much a label tells of its field
JUMPS = ("sign", "door")


def weak_recovery(channel: str, rho: float, width: float) -> float:
    """Return the largest alpha at which the state of no overlap is stable."""
    if channel in CONTINUOUS:
        return 0.5 / CONTINUOUS[channel]
    K = width / math.sqrt(rho)
    outside = 2 * special.ndtr(-K)
    chance = special.log_ndtr(-K) + math.log(2) + math.log1p(-outside)
    return math.exp(min(chance - 2 * math.log(2 * K * _phi(0.0)) + K**2, 700.0))


def fixed_point(prior, channel, start, *, alpha, density=1.0, Delta=0.0, K=1.0):
    """Return the error D that state evolution reaches, 0 for full recovery.

    Parameters
    ----------
    prior, channel : str
    start : {"uninformed", "informed"}
    """
    rho = density if prior == "gauss-bernoulli" else 1.0
    if channel in EVEN and start == "uninformed" and alpha < weak_recovery(channel, rho, K):
        return rho
    part = 0.0 if prior == "rademacher" else (density if prior == "gauss-bernoulli" else 1.0)
    exact = Delta == 0 and channel not in ("probit", "logistic")
    recovers = exact and (
        alpha >= part / CONTINUOUS[channel]
        if channel in CONTINUOUS
        else (channel in JUMPS and part == 0)
    )
    if start == "informed" and recovers:
        return 0.0

    def excess(s):
        D = max(PRIORS[prior](math.exp(s), density), LEAST)
        if D <= 1e-200 and exact:
            return math.nan
        G = CHANNELS[channel](min(D, rho), rho, Delta, K)
        return math.log(alpha * G) - s if G > 0 else math.nan

    grid = LOG_G
    if channel in EVEN:
        grid = LOG_G[LOG_G > -9.0]  # below, the oracle has no digits; the state leaves zero there
    values = np.array([excess(s) for s in grid])
    falls = np.flatnonzero((values[:-1] > 0) & (values[1:] <= 0))
    if not falls.size:
        return 0.0 if recovers else (rho if channel in EVEN else math.nan)
    k = falls[0] if start == "uninformed" else falls[-1]
    s = optimize.brentq(excess, grid[k], grid[k + 1], xtol=1e-14, rtol=1e-14)
    return max(PRIORS[prior](math.exp(s), density), 0.0)


def spinodal(prior, channel, *, density=1.0, Delta=0.0, K=1.0):
    """Return the largest alpha of the uninformed branch, None where it never turns back."""
    rho = density if prior == "gauss-bernoulli" else 1.0

    def alpha(s):
        D = max(PRIORS[prior](math.exp(s), density), LEAST)
        G = CHANNELS[channel](min(D, rho), rho, Delta, K)
        return math.exp(s) / G if G > 0 else math.nan

    grid = np.arange(-7.0 if channel in EVEN else -12.0, 30.0, 0.1)
    values = np.array([alpha(s) for s in grid])
    inner = values[1:-1]
    tops = np.flatnonzero((inner > values[:-2] * (1 + 1e-7)) & (inner > values[2:] * (1 + 1e-7)))
    if not tops.size:
        return None
    k = 1 + tops[np.argmax(inner[tops])]
    found = optimize.minimize_scalar(
        lambda s: -alpha(s),
        bounds=(grid[k - 1], grid[k + 1]),
        method="bounded",
        options={"xatol": 1e-10},
    )
    return -found.fun
