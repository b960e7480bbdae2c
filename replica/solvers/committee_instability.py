r"""Specialisation of a committee of any number of hidden units: where equal units become unstable.

The unspecialised student knows the mean of the K fields alone, :math:`q_{kl} = q/K`. Given it, the
fields are m + noise of covariance 1 - (q/K) 11', which is that of independent unit noise and an
*imaginary* common field, so that with :math:`p = \Phi(t)`

.. math:: Z_y(m) = E_\eta F_y(m + i \sqrt{q/K}\, \eta), \qquad
   F_y(t) = \sum_{j \in y} \binom Kj p^{K-j} (1 - p)^j .

With :math:`A = \partial_1^2 Z` and :math:`B = \partial_1 \partial_2 Z` a direction in which units
differ grows by :math:`\alpha\, E \sum_y (A - B)^2 / Z_y`, which is one at the threshold; the heat
equation gives A and B from :math:`E\, t F'` and :math:`E\, F''`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from replica.declarations.numbers import is_whole
from replica.errors import ControlError, ConvergenceError

__all__ = ["CommitteeInstability", "committee_instability"]

Array = NDArray[np.float64]

_LARGEST_K = 101  # beyond it binomial coefficients times powers lose their digits
_REACH = 9.0  # standard deviations over which the Gaussian integrals run: 2e-19 is beyond
_NEGLIGIBLE_PROBABILITY = 1e-13  # a label less probable than this is rounding, and left out
_NODES, _FINER_NODES = 300, 420  # of the integrals; the error is read off the difference
_NEGLECTED_ERROR = 1e-11  # relative error of the result by what is left out


@dataclass(frozen=True)
class CommitteeInstability:
    """Where K equal hidden units become unstable, for Gaussian weights and sign-sum labels.

    Attributes
    ----------
    K : int
    value, error : float
        Patterns per input alpha = n/p, and a bound on its error.
    overlap : float
        q there: the overlap of the sum of the units with the teacher's.
    """

    K: int
    value: float
    error: float
    overlap: float

    @property
    def constant(self) -> float:
        """Return alpha / K^2, which tends to 3.26998612."""
        return self.value / self.K**2

    def __float__(self) -> float:
        return self.value


def committee_instability(K: int) -> CommitteeInstability:
    r"""Return the patterns per input at which the unspecialised state of K units is unstable.

    .. math:: \alpha\, E \sum_y \frac{(A_y - B_y)^2}{Z_y} = 1, \qquad
       \frac{q}{1 - q} = \alpha\, E \sum_y \frac{(\partial_+ Z_y)^2}{Z_y}

    Labels are sign(sum of the signs) with sign(0) = 0, weights N(0, 1).

    Parameters
    ----------
    K : int
        Hidden units, from 2 to 101.

    Returns
    -------
    CommitteeInstability

    Raises
    ------
    ControlError
        If K is not such a number.

    References
    ----------
    Aubin et al., arXiv:1806.05451, for the limit of large K.

    Examples
    --------
    >>> round(committee_instability(3).value, 7)
    19.2320038
    """
    if not is_whole(K) or not 2 <= K <= _LARGEST_K:
        raise ControlError(
            f"committee_instability: K = {K!r} must be a whole number of hidden units from 2 to "
            f"{_LARGEST_K} (one unit has no symmetry to break)"
        )
    from scipy.optimize import brentq  # slow to import, and rarely needed

    def found(nodes: int) -> tuple[float, float]:
        def growth(q: float) -> float:
            strength, response = _averages(int(K), q, nodes)
            return float(np.log(q / (1 - q) / strength * response))

        try:
            q = float(brentq(growth, 0.3, 1 - 0.01 / K**2, xtol=1e-14, rtol=1e-14))
        except ValueError:
            raise ConvergenceError(f"committee_instability: no threshold for K = {K}") from None
        return q, 1 / _averages(int(K), q, nodes)[1]

    (_, rough), (q, value) = found(_NODES), found(_FINER_NODES)
    return CommitteeInstability(int(K), value, 2 * abs(value - rough) + _NEGLECTED_ERROR * value, q)


def _averages(K: int, q: float, nodes: int) -> tuple[float, float]:
    """Return E sum (d_+ Z)^2 / Z and E sum (A - B)^2 / Z."""
    w = np.linspace(-_REACH, _REACH, nodes + 1)
    weight = (w[1] - w[0]) * np.exp(-0.5 * w * w) / np.sqrt(2 * np.pi)
    root = np.sqrt(q / K)
    # products of K factors fall in eta like a Gaussian of variance 1/(1 - q), or like eta**-K:
    # the range ends where the first of the two is negligible
    reach = min(_REACH / np.sqrt(1 - q), 0.8 / root * 10 ** (17 / K))
    eta = np.linspace(0, reach, int(reach * nodes / (2 * _REACH)) + 2)
    common = 2 * (eta[1] - eta[0]) * np.exp(-0.5 * (1 - q) * eta**2) / np.sqrt(2 * np.pi)
    common[0] /= 2  # the integrand is even: twice the half-line, with eta = 0 once
    # Z and its derivatives are products of K of these three, each scaled by
    # exp(-q eta^2 / (2 K))
    t = root * (w[:, None] + 1j * eta)
    p, r, density = _scaled(t)
    strength = response = 0.0
    for count, (value, first, second) in _labels(K):
        slope = density * first(p, r)
        bend = density**2 * second(p, r) - t * slope
        Z, Z_m, Z_mm, tilt = (
            np.real(part @ common) for part in (value(p, r), slope, bend, t * slope)
        )
        A = -tilt / K
        B = (Z_mm - K * A) / (K * (K - 1))
        seen = Z > _NEGLIGIBLE_PROBABILITY
        inverse = np.where(seen, 1 / np.where(seen, Z, 1.0), 0.0)
        strength += count * float(weight @ (Z_m**2 / K * inverse))
        response += count * float(weight @ ((A - B) ** 2 * inverse))
    return strength, response


def _scaled(t: Any) -> tuple[Any, Any, Any]:
    """Return Phi(t), Phi(-t) and the density, times exp(-(Im t)^2 / 2)."""
    right = t.real > 0
    side = np.where(right, -t, t)
    unit = np.exp(-0.5 * t.imag**2)
    bell = np.exp(-0.5 * t.real**2 - 1j * t.real * t.imag)
    small = 0.5 * bell * special.wofz(-1j * side / np.sqrt(2))
    large = unit - small
    density = bell / np.sqrt(2 * np.pi)
    return np.where(right, large, small), np.where(right, small, large), density


Polynomials = tuple[Callable[[Any, Any], Any], ...]


def _labels(K: int) -> list[tuple[int, Polynomials]]:
    """Return multiplicity, F, dF/dp and d^2F/dp^2 of each label, as functions of p and 1 - p."""
    most = K // 2 + 1  # positive signs that make a majority
    first = K * comb(K - 1, most - 1)

    def majority(p: Any, r: Any) -> Any:
        return sum(comb(K, j) * p ** (K - j) * r**j for j in range(K - most + 1))

    def majority_slope(p: Any, r: Any) -> Any:
        return first * p ** (most - 1) * r ** (K - most)

    def majority_bend(p: Any, r: Any) -> Any:
        up = (most - 1) * p ** max(most - 2, 0) * r ** (K - most)
        down = (K - most) * p ** (most - 1) * r ** max(K - most - 1, 0)
        return first * (up - down)

    labels: list[tuple[int, Polynomials]] = [
        (2, (majority, majority_slope, majority_bend))  # the other label is its mirror image
    ]
    if K % 2 == 0:
        h, ties = K // 2, comb(K, K // 2)
        labels.append(
            (
                1,
                (
                    lambda p, r: ties * (p * r) ** h,
                    lambda p, r: ties * h * (p * r) ** (h - 1) * (r - p),
                    lambda p, r: (
                        ties
                        * h
                        * (
                            (h - 1) * (p * r) ** max(h - 2, 0) * (r - p) ** 2
                            - 2 * (p * r) ** (h - 1)
                        )
                    ),
                ),
            )
        )
    return labels
