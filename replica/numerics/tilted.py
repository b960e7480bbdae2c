r"""Tilted laws :math:`\propto P(w)\, e^{h w - g w^2 / 2}`: normalisation and cumulants.

P is uniform between -1 and 1, or :math:`e^{-|w|} / 2`. Closed forms in Gaussian tails divide by
the root of g and lose their digits as g -> 0. Here the law is summed where its mass is, by
Gauss-Legendre around its peak: exact at g = 0, and of full relative accuracy for narrow and wide
laws alike.

Where g is large the same is half of a Gaussian law, or all of it, and its closed form has all
digits: normalisations and the first cumulants are then taken from there.

A normalisation is weighed beside that of a Gaussian law of variance c,
:math:`e^{c h^2 / 2 (1 + c g)} / \sqrt{1 + c g}` but for the root.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import mpmath
import numpy as np
from mpmath.calculus.quadrature import GaussLegendre
from numpy.typing import NDArray
from scipy import special

__all__ = [
    "EXPONENTIAL",
    "INTERVAL",
    "cumulant",
    "cumulant_rounding",
    "cumulant_slopes",
    "precise_cumulant",
    "precise_weight",
    "weight",
    "weight_rounding",
    "weight_slopes",
]

Array = NDArray[np.float64]
Pieces = tuple[tuple[float, float, float], ...]

INTERVAL: Pieces = ((-1.0, 1.0, 0.0),)
EXPONENTIAL: Pieces = ((0.0, math.inf, -1.0), (-math.inf, 0.0, 1.0))
"""Ranges of w with the slope of log P, and density 1/2 where that is continued to zero."""

_ROOT_HALF = math.sqrt(0.5)
_ROOT_TWO_PI = math.sqrt(2 * math.pi)

_DEGREE = 5  # of mpmath's Gauss-Legendre rules: 48 nodes
_FALL = 46.0  # the law is summed up to where it is exp(-46) of its peak: 2e-17 of its moments
_AT_ONCE = 2**12  # laws summed at once: their nodes fit the cache
# Closed forms cancel for a Gaussian law whose centre is more than _CUT standard deviations outside
# its range: it is summed if its share of the mass times that distance squared is above _CANCELLING.
_CUT, _CANCELLING = 0.5, 0.3
_CLOSED = 3  # highest cumulant that has a closed form here


class _Law:
    """The law at nodes around the peak of each piece; nodes run along the last axis."""

    def __init__(self, h: Array, g: Array, c: Array, pieces: Pieces) -> None:
        left, right, share = _legendre()
        tops, logs, peaks, away, laws = [], [], [], [], []
        self.rates: list[Array] = []  # slope of the exponent, where the peak is at an end
        for low, high, slope in pieces:
            peak, rate, before, beyond = _peak(h + slope, g, low, high)
            reach = _reach(rate, g)
            begin, end = np.maximum(before, -reach), np.minimum(beyond, reach)
            nodes = begin[..., None] * left + end[..., None] * right
            exponent = (rate[..., None] - 0.5 * g[..., None] * nodes) * nodes
            law = np.exp(exponent) * (share * (end - begin)[..., None])
            mass = law.sum(axis=-1)
            tops.append(_top(peak, rate, slope, g, c))
            logs.append(np.log(0.5 * mass))
            peaks.append(peak)
            away.append(nodes)
            laws.append(law / mass[..., None])
            self.rates.append(np.abs(rate))
        masses, self.normalisation, self.chances = _weighed(tops, logs)
        self.logs = logs
        # all places are counted from the peak of the heaviest piece
        heaviest = masses.argmax(axis=0)
        self.anchor = np.choose(heaviest, peaks)
        self.away = np.concatenate(
            [(p - self.anchor)[..., None] + d for p, d in zip(peaks, away, strict=True)], axis=-1
        )
        self.law = np.concatenate(
            [q[..., None] * w for q, w in zip(self.chances, laws, strict=True)], axis=-1
        )
        self.shift = (self.law * self.away).sum(axis=-1)
        self.peaks = peaks

    def cumulants(self, order: int, *, sizes: bool = False) -> list[Array]:
        """Return cumulants of order 1 to `order`, or what their terms sum to in absolute value."""
        centred = self.away - self.shift[..., None]
        first = self.anchor + self.shift
        if sizes:
            centred, first = np.abs(centred), np.abs(self.anchor) + np.abs(self.shift)
        sign = 1 if sizes else -1
        moments, power = [np.ones_like(first), np.zeros_like(first)], centred
        found = [np.zeros_like(first), first]
        for n in range(2, order + 1):
            power = power * centred
            moments.append((self.law * power).sum(axis=-1))
            terms = (math.comb(n - 1, m - 1) * found[m] * moments[n - m] for m in range(2, n - 1))
            found.append(moments[n] + sign * sum(terms))
        return found[1:]

    def lost(self) -> Array:
        """Return the rounding, in units, of the exponent's slope at peaks that are at an end."""
        return sum((p * e for p, e in zip(self.chances, self.rates, strict=True)), np.zeros(()))


class _Halves:
    """The same law from closed forms of each piece, a Gaussian law cut on one side or on none.

    Where a piece is cut on both sides, or so far out that its moments cancel, it is summed.
    """

    def __init__(self, h: Array, g: Array, c: Array, pieces: Pieces) -> None:
        parts = [_piece(h + slope, g, low, high) for low, high, slope in pieces]
        tops = [
            _top(part.peak, part.rate, slope, g, c)
            for part, (_, _, slope) in zip(parts, pieces, strict=True)
        ]
        logs = [np.log(0.5 * part.mass) for part in parts]
        chances = _weighed(tops, logs)[2]
        for k, (part, alone) in enumerate(zip(parts, pieces, strict=True)):
            with np.errstate(invalid="ignore"):
                poor = chances[k] * part.cut**2 > _CANCELLING
                poor &= part.cut < -_CUT
            poor |= np.isnan(part.cut)
            if poor.any():
                law = _Law(h[poor], g[poor], c[poor], (alone,))
                logs[k][poor] = law.logs[0]
                _, second, third = law.cumulants(_CLOSED)
                part.mean[poor], part.variance[poor], part.third[poor] = law.shift, second, third
        masses, self.normalisation, self.chances = _weighed(tops, logs)
        heaviest = masses.argmax(axis=0)
        self.anchor = np.choose(heaviest, [part.peak for part in parts])
        self.parts = parts

    def cumulant(self, order: int) -> Array:
        """Return the cumulant of an order up to three."""
        weighed = list(zip(self.chances, self.parts, strict=True))
        places = [part.peak - self.anchor + part.mean for part in self.parts]
        shift = sum((p * x for p, x in zip(self.chances, places, strict=True)), np.zeros(()))
        if order == 1:
            return np.asarray(self.anchor + shift)
        found = np.zeros_like(shift)
        for (chance, part), place in zip(weighed, places, strict=True):
            away = place - shift
            square = away * away
            if order == 2:
                found += chance * (part.variance + square)
            else:
                found += chance * (part.third + away * (3 * part.variance + square))
        return found


@dataclass
class _Piece:
    """A Gaussian law on a range: peak, slope there, and cumulants of the distance from the peak.

    `cut` is how many standard deviations its vertex is inside the one end that matters, infinite
    where none does, NaN where the law has to be summed.
    """

    peak: Array
    rate: Array
    mass: Array
    mean: Array
    variance: Array
    third: Array
    cut: Array


def _piece(h: Array, g: Array, low: float, high: float) -> _Piece:
    peak, rate, before, beyond = _peak(h, g, low, high)
    reach = _reach(rate, g)
    left, right = before > -reach, beyond < reach
    root = np.sqrt(g)
    inward = np.where(left, 1.0, -1.0)
    end = np.where(left, before, beyond)
    cut = inward * (rate - g * end) / root
    cut = np.where(left | right, np.where(left & right, np.nan, cut), np.inf)
    cut = np.where(g > 0, cut, np.nan)
    # next to the peak erfc has more digits than its scaled form, which is needed far out
    out = cut < -_CUT
    scaled = special.erfcx(np.where(out, cut, 0.0) * -_ROOT_HALF)
    known = np.where(out, 0.5 * scaled, special.ndtr(cut))
    fall = np.where(out, 1.0, np.exp(-0.5 * cut * cut))
    ratio = np.where(np.isinf(cut), 0.0, fall / (_ROOT_TWO_PI * known))
    depth = np.where(np.isinf(cut), 0.0, cut)
    excess = ratio + depth
    # the peak is at the vertex, or at an end if the vertex lies beyond that
    mean = inward * np.where(rate == 0, ratio, excess) / root
    variance = (1 - ratio * excess) / g
    third = inward * ratio * (excess * (ratio + excess) - 1) / (g * root)
    # relative to the density at the peak, which is at the end if the vertex lies beyond that
    mass = _ROOT_TWO_PI * np.where((rate != 0) & ~out, known / fall, known) / root
    return _Piece(peak, rate, mass, mean, variance, third, cut)


@lru_cache(maxsize=1)
def _legendre() -> tuple[Array, Array, Array]:
    """Return the distances from both ends, and the weights, of nodes between 0 and 1.

    To the last digit: next to an end the difference of one and a node has few.
    """
    context = mpmath.MPContext()  # a context of its own: the one of mpmath is shared by all threads
    context.prec = 80
    rule = sorted(GaussLegendre(context).calc_nodes(_DEGREE, context.prec))
    rows = [(float((1 - x) / 2), float((1 + x) / 2), float(w / 2)) for x, w in rule]
    left, right, share = np.array(rows).T
    return left, right, share


def _reach(rate: Array, g: Array) -> Array:
    """Return the distance from the peak at which the law has fallen by exp(-_FALL)."""
    return np.asarray(2 * _FALL / (np.abs(rate) + np.sqrt(rate * rate + 2 * _FALL * g)))


def _weighed(tops: list[Array], logs: list[Array]) -> tuple[Array, Array, Array]:
    """Return the logs of the masses of the pieces, of their sum, and the chance of each piece."""
    masses = np.stack([top + log for top, log in zip(tops, logs, strict=True)])
    normalisation = np.logaddexp.reduce(masses, axis=0)
    return masses, normalisation, np.exp(masses - normalisation)


def _peak(h: Array, g: Array, low: float, high: float) -> tuple[Array, Array, Array, Array]:
    """Return where the exponent is largest on the range, its slope there, and both ends from there.

    The ends are 0, -1, 1 or none, so that what is left of g * end - h has all its digits.
    """
    far = np.where(h > 0, np.inf, -np.inf)
    safe = np.where(g > 0, g, 1.0)
    vertex = np.where(g > 0, h / safe, far)
    peak = np.clip(vertex, low, high)
    inside = (vertex > low) & (vertex < high)
    ends = [np.where(inside, (g * end - h) / safe, end - peak) for end in (low, high)]
    return peak, np.where(inside, 0.0, h - g * peak), ends[0], ends[1]


def _top(peak: Array, rate: Array, slope: Array | float, g: Array, c: Array | float) -> Array:
    """Return the exponent at the peak minus the Gaussian law's; both are large where g is."""
    beside = c * ((rate - slope) * (rate - slope) - 2 * g * peak * slope)
    return (g * peak * peak + 2 * rate * peak - beside) / (2 * (1 + c * g))


def _by_part(
    function: Callable[[Any], Array],
    h: Array,
    g: Array,
    c: Array | float,
    pieces: Pieces,
    law: type[_Law] | type[_Halves] = _Law,
) -> Array:
    """Return a function of the laws, part by part to bound the memory of their nodes."""
    arrays = np.broadcast_arrays(*(np.asarray(a, dtype=float) for a in (h, g, c)))
    flat = [a.reshape(-1) for a in arrays]
    result = np.empty(flat[0].shape)
    with np.errstate(all="ignore"):
        for start in range(0, result.size, _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            field, precision, spread = (a[part] for a in flat)
            result[part] = function(law(field, precision, spread, pieces))
    return result.reshape(arrays[0].shape)


def cumulant(n: int, h: Array, g: Array, pieces: Pieces) -> Array:
    """Return the cumulant of order n; order zero is the log of the normalisation."""
    if n == 0:
        return weight(h, g, 0.0, pieces)
    order = int(n)
    if order <= _CLOSED:
        return _by_part(lambda law: law.cumulant(order), h, g, 0.0, pieces, _Halves)
    return _by_part(lambda law: law.cumulants(order)[-1], h, g, 0.0, pieces)


def cumulant_rounding(n: int, h: Array, g: Array, pieces: Pieces) -> Array:
    """Return what the sums lose, and what the slope at an end loses in them."""
    if n == 0:
        return weight_rounding(h, g, 0.0, pieces)

    def lost(law: _Law) -> Array:
        sizes = law.cumulants(n + 1, sizes=True)
        return 4.0 * sizes[n - 1] + law.lost() * sizes[n]

    return _by_part(lost, h, g, 0.0, pieces)


def cumulant_slopes(n: int, h: Array, g: Array, pieces: Pieces) -> tuple[Array | float, ...]:
    """Return the sizes of the partial derivatives in h and in g."""

    def along_g(law: _Law) -> Array:
        found = [np.abs(k) for k in law.cumulants(n + 2)]
        products = (math.comb(n, k) * found[k] * found[n - k] for k in range(n + 1))
        return 0.5 * (found[n + 1] + sum(products))

    along_h = np.abs(cumulant(n + 1, h, g, pieces))
    return 0.0, along_h, _by_part(along_g, h, g, 0.0, pieces)


def weight(h: Array, g: Array, c: Array | float, pieces: Pieces) -> Array:
    """Return the log of the normalisation beside that of a Gaussian law of variance c."""
    return _by_part(lambda law: law.normalisation, h, g, c, pieces, _Halves)


def weight_rounding(h: Array, g: Array, c: Array | float, pieces: Pieces) -> Array:
    """Return the sizes of the terms, and what the slope at an end loses."""
    h, g, c = np.broadcast_arrays(*(np.asarray(a, dtype=float) for a in (h, g, c)))
    total: Any = 4.0
    with np.errstate(all="ignore"):
        for low, high, slope in pieces:
            peak, rate, *_ = _peak(h + slope, g, low, high)
            beside = c * (np.square(rate - slope) + 2 * g * np.abs(peak * slope))
            size = (g * peak * peak + 2 * np.abs(rate * peak) + beside) / (1 + c * g)
            drift = np.abs(peak) + c * np.abs(rate - slope) / (1 + c * g)
            # each piece counts by its share of the mass
            own = size + np.abs(rate) * drift
            total = total + own * _by_part(_share(slope, pieces), h, g, c, pieces)
    law_terms = _by_part(lambda law: np.abs(law.logs).max(axis=0), h, g, c, pieces)
    return total + law_terms + _by_part(_shifted, h, g, c, pieces)


def _share(slope: float, pieces: Pieces) -> Callable[[_Law], Array]:
    (k,) = (k for k, piece in enumerate(pieces) if piece[2] == slope)
    return lambda law: law.chances[k]


def _shifted(law: _Law) -> Array:
    return law.lost() * np.abs(law.shift)


def weight_slopes(h: Array, g: Array, c: Array | float, pieces: Pieces) -> tuple[Array, ...]:
    """Return the sizes of the partial derivatives."""
    h, g, c = np.broadcast_arrays(*(np.asarray(a, dtype=float) for a in (h, g, c)))
    field = h / (1 + c * g)

    def mean(law: _Law) -> Array:
        return law.cumulants(1)[0]

    def spread(law: _Law) -> Array:
        return law.cumulants(2)[1]

    first = _by_part(mean, h, g, c, pieces)
    rounding = 4 * np.finfo(float).eps * np.abs(first)  # the two means may cancel
    along_g = 0.5 * (_by_part(spread, h, g, c, pieces) + np.abs(first**2 - (c * field) ** 2))
    return np.abs(first - c * field) + rounding, along_g, 0.5 * field * field


# ---- mpmath -----------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _precise_rule() -> mpmath.mpf:
    """Return one rule for all calls: its nodes, which it keeps, take longer than a law."""
    return GaussLegendre(mpmath.mp)


def _precise_law(
    h: mpmath.mpf, g: mpmath.mpf, c: mpmath.mpf, pieces: Pieces
) -> tuple[mpmath.mpf, list[mpmath.mpf], list[mpmath.mpf]]:
    """Return the log of the normalisation, places and their chances."""
    fall = 2.4 * mpmath.mp.dps + 10
    degree = 6 + max(0, int(mpmath.ceil(mpmath.log(mpmath.mpf(mpmath.mp.dps) / 35, 2))))
    rule = _precise_rule().get_nodes(-1, 1, degree, mpmath.mp.prec)
    places, exponents, shares = [], [], []
    for low, high, slope in pieces:
        low, high, tilt = mpmath.mpf(low), mpmath.mpf(high), h + slope
        vertex = tilt / g if g > 0 else (mpmath.inf if tilt > 0 else -mpmath.inf)
        peak = min(max(vertex, low), high)
        rate = mpmath.mpf(0) if low < vertex < high else tilt - g * peak
        root = abs(rate) + mpmath.sqrt(rate * rate + 2 * fall * g)
        reach = 2 * fall / root if root else mpmath.inf
        begin, end = max(low - peak, -reach), min(high - peak, reach)
        top = _top(peak, rate, slope, g, c)
        for node, share in rule:
            x = (begin * (1 - node) + end * (1 + node)) / 2
            places.append(peak + x)
            exponents.append(top + (rate - g * x / 2) * x)
            shares.append(share * (end - begin) / 4)
    highest = max(exponents)
    law = [s * mpmath.exp(e - highest) for s, e in zip(shares, exponents, strict=True)]
    mass = mpmath.fsum(law)
    return highest + mpmath.log(mass), places, [chance / mass for chance in law]


def _more_digits(bits: int) -> AbstractContextManager[None]:
    """Carry more digits; by steps, since each precision needs nodes of its own."""
    return mpmath.workprec(-(-(mpmath.mp.prec + bits) // 128) * 128)


def precise_cumulant(n: mpmath.mpf, h: mpmath.mpf, g: mpmath.mpf, pieces: Pieces) -> mpmath.mpf:
    """Return the cumulant in mpmath."""
    order = int(n)
    if order == 0:
        return precise_weight(h, g, mpmath.mpf(0), pieces)
    # in a narrow law far from the origin the differences of places lose digits
    lost = order * (10 + max(0, int(mpmath.mag(g)) if g else 0))
    with _more_digits(lost):
        _, places, law = _precise_law(h, g, mpmath.mpf(0), pieces)
        mean = mpmath.fdot(law, places)
        moments = [mpmath.mpf(1), mpmath.mpf(0)]
        found = [mpmath.mpf(0), mean]
        for k in range(2, order + 1):
            moments.append(mpmath.fdot(law, [(w - mean) ** k for w in places]))
            terms = (math.comb(k - 1, m - 1) * found[m] * moments[k - m] for m in range(2, k - 1))
            found.append(moments[k] - mpmath.fsum(terms))
        return found[order]


def precise_weight(h: mpmath.mpf, g: mpmath.mpf, c: mpmath.mpf, pieces: Pieces) -> mpmath.mpf:
    """Return the weight in mpmath."""
    with _more_digits(20):
        return _precise_law(h, g, c, pieces)[0]
