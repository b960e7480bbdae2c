"""Counting dichotomies: Cover's function, exact, and the VC dimension that a capacity implies."""

from __future__ import annotations

from typing import Any

from mpmath import MPContext

from replica.declarations.family import Family
from replica.declarations.formula import Formula
from replica.errors import ControlError
from replica.experiments.checks import positive_integer
from replica.solvers.thresholds.verb import threshold

__all__ = ["cover_count", "cover_probability", "vc_dimension_bound"]

# 2^(10^8) is a 12 MB integer; beyond it nobody reads the digits and the memory is at risk.
_LARGEST_BITS = 10**8
# The series below has about 5 sqrt(n) terms: a few seconds here.
_LARGEST_POINTS = 10**13
# Up to here the quotient of two integers is as fast, and it also rounds exact ties correctly.
_EXACT_POINTS = 2048
# A scratch context, so that the precision of the user's mpmath is never touched.
_PRECISE = MPContext()
_PRECISE.prec = 256


def cover_count(n: int, p: int) -> int:
    r"""Number of linearly separable dichotomies of `n` points in general position in R^p.

    .. math:: C(n, p) = 2 \sum_{k=0}^{p-1} \binom{n-1}{k}

    for hyperplanes through the origin (no bias; a bias is one more dimension). It is the number
    of labellings, out of 2^n, that a spherical perceptron of `p` weights can store at margin 0.

    Parameters
    ----------
    n : int
        Number of points (patterns), at least 1.
    p : int
        Dimension (number of weights), at least 1.

    Returns
    -------
    int
        Exact, for any size whose value fits in 10^8 bits; n = 10^5 takes a fraction of a second.

    Raises
    ------
    ControlError
        If `n` or `p` is not a positive integer, or the value has more than 10^8 bits.

    References
    ----------
    Cover, IEEE Trans. Electron. Comput. EC-14, 326 (1965), the function-counting theorem.

    Examples
    --------
    >>> cover_count(4, 2), cover_count(4, 3), cover_count(4, 4)
    (8, 14, 16)
    >>> cover_count(20, 10) == 2**19
    True
    """
    n = positive_integer("n", n, "cover_count")
    p = positive_integer("p", p, "cover_count")
    p = min(p, n)
    # The value is below 2^n and below 2 n^(p-1).
    if min(n, (p - 1) * n.bit_length() + 1) > _LARGEST_BITS:
        raise ControlError(
            f"cover_count: the exact value for n = {n}, p = {p} has more than {_LARGEST_BITS} "
            "bits; use a smaller n, or cover_probability for the fraction as a float"
        )
    # The complement is the shorter sum beyond n = 2 p; the two are equal at n = 2 p.
    if 2 * p > n:
        return int((1 << n) - (2 * _binomial_sum(n - 1, n - p - 1) if n > p else 0))
    return 2 * _binomial_sum(n - 1, p - 1)


def cover_probability(n: int, p: int) -> float:
    r"""Probability that random labels on `n` points in general position in R^p are separable.

    .. math:: P(n, p) = 2^{1-n} \sum_{k=0}^{p-1} \binom{n-1}{k}

    It is 1 for n <= p and 1/2 exactly at n = 2 p, for every p: a step at alpha = n/p = 2 when
    p is large. Added one by one, the patterns stop being separable after 2 p of them on average,
    with variance 2 p.

    Parameters
    ----------
    n : int
        Number of points (patterns), from 1 to 10^13.
    p : int
        Dimension (number of weights), at least 1.

    Returns
    -------
    float
        Correct to the last digit, 0.0 where it is below the smallest float.

    Raises
    ------
    ControlError
        If `n` or `p` is not a positive integer, or `n` is above 10^13.

    References
    ----------
    Cover, IEEE Trans. Electron. Comput. EC-14, 326 (1965), the separability of random patterns.

    Examples
    --------
    >>> cover_probability(4, 2), cover_probability(200000, 100000)
    (0.5, 0.5)
    >>> cover_probability(220, 100)
    0.08820393720501819
    """
    n = positive_integer(
        "n", n, "cover_probability", largest=_LARGEST_POINTS, reason="the sum would be too long"
    )
    p = positive_integer("p", p, "cover_probability")
    if p >= n:
        return 1.0
    if n == 2 * p:
        return 0.5
    if n <= _EXACT_POINTS:
        return cover_count(n, p) / (1 << n)
    if 2 * p > n:
        return float(1 - _lower_tail(n - 1, n - p - 1))
    return float(_lower_tail(n - 1, p - 1))


def vc_dimension_bound(formula: Formula | Family, p: int, **controls: Any) -> float:
    r"""Lower bound on the VC dimension of `p` weights from their storage capacity.

    .. math:: d_{VC} \ge \frac{\alpha_G}{2}\, p

    to leading order in p: above 2 d_VC patterns a class stores a vanishing fraction of labels.

    Parameters
    ----------
    formula : Formula or Family
        A storage problem, with the threshold ``alpha_G``.
    p : int
        Number of weights.
    **controls : float
        Those of ``threshold(formula, "alpha_G")``.

    Returns
    -------
    float
        An upper bound on alpha_G (status rs-unstable) gives no bound here and is refused.

    Raises
    ------
    ControlError
        If `p` is not a positive integer, or the capacity is only an upper bound.
    UnknownName
        If the formula has no ``alpha_G``.

    References
    ----------
    Vapnik & Chervonenkis, Theory Probab. Appl. 16, 264 (1971); Cover (1965).

    Examples
    --------
    >>> import replica as rp
    >>> vc_dimension_bound(rp.formulas["spherical-perceptron"], 100)
    100.0
    >>> round(vc_dimension_bound(rp.formulas["binary-perceptron"], 100), 6)
    41.65393
    """
    weights = positive_integer("p", p, "vc_dimension_bound")
    capacity = threshold(formula, "alpha_G", **controls)
    if capacity.validity == "rs-unstable":
        raise ControlError(
            f"vc_dimension_bound: {capacity.formula.name} has only an upper bound on alpha_G here "
            f"({capacity.note}), which bounds nothing from below"
        )
    return 0.5 * capacity.value * weights


def _binomial_sum(top: int, last: int) -> int:
    """Exact sum of binomial(top, k) for k = 0..last, by binary splitting."""
    if last == 0:
        return 1
    _, denominator, numerator = _split(top, 0, last)
    return 1 + numerator // denominator


def _split(top: int, start: int, stop: int) -> tuple[int, int, int]:
    """Product P/Q of (top-k)/(k+1) over start <= k < stop, and T/Q the sum of partial products."""
    if stop - start == 1:
        return top - start, start + 1, top - start
    middle = (start + stop) // 2
    p1, q1, t1 = _split(top, start, middle)
    p2, q2, t2 = _split(top, middle, stop)
    return p1 * p2, q1 * q2, t1 * q2 + p1 * t2


def _lower_tail(top: int, last: int) -> Any:
    """P[Binomial(top, 1/2) <= last] for last < top/2, relative accuracy far below a float's."""
    # Relative to the last term the others decrease; 128-bit fixed point until they vanish.
    term = total = 1 << 128
    for k in range(last, 0, -1):
        term = term * k // (top - k + 1)
        if not term:
            break
        total += term
    largest = _PRECISE.binomial(top, last)
    return _PRECISE.ldexp(largest * total, -128 - top)
