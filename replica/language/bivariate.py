r"""The bivariate normal distribution as primitives, closed under differentiation.

With :math:`\Phi_2(h, k; \rho) = P(x < h, y < k)` for a standard normal pair of correlation
:math:`\rho`, :math:`\tau = \sqrt{1 - \rho^2}` and :math:`c = (k - \rho h) / \tau`:

==================================  ==================================  =======================
primitive                           value                               derivative in h
==================================  ==================================  =======================
``BivariateNormalCDF(h, k, rho)``   Phi_2                               Phi_2 A_2(h, k)
``LogBivariateNormalCDF(h,k,rho)``  log Phi_2                           A_2(h, k)
``BivariateMills(h, k, rho)``       A_2 = phi(h) Phi(c) / Phi_2         closed, with Mills(-c)
==================================  ==================================  =======================

Both are symmetric in h and k, and :math:`\partial_\rho \log \Phi_2 = A_2(h, k)\, A(-c) / \tau`.
"""

from __future__ import annotations

from typing import Any

from sympy import Expr, S, asin, pi, sqrt
from sympy.core.sorting import default_sort_key

from replica.language.primitives import Mills, Primitive
from replica.language.scalar import Scalar

__all__ = [
    "BIVARIATE",
    "BivariateMills",
    "BivariateNormalCDF",
    "LogBivariateNormalCDF",
]


def _spread(rho: Expr) -> Expr:
    return sqrt((1 - rho) * (1 + rho))


class _Symmetric(Primitive):
    """A function of a pair and its correlation, with the pair in a fixed order."""

    nargs = 3

    def __new__(cls, h: Scalar, k: Scalar, rho: Scalar, **options: Any) -> Expr:
        """Return the function with h and k in a fixed order."""
        h, k = sorted((S(h), S(k)), key=default_sort_key)
        return super().__new__(cls, h, k, S(rho), **options)


class LogBivariateNormalCDF(_Symmetric):
    r"""Log-probability of a quadrant, :math:`\log P(x < h, y < k)`.

    Examples
    --------
    >>> from sympy import symbols
    >>> h, k, rho = symbols("h k rho", real=True)
    >>> LogBivariateNormalCDF(h, k, rho).diff(h)
    BivariateMills(h, k, rho)
    """

    latex_name = r"\log\Phi_2"

    def fdiff(self, argindex: int = 1) -> Expr:  # noqa: D102
        h, k, rho = self.args
        if argindex == 1:
            return BivariateMills(h, k, rho)
        if argindex == 2:
            return BivariateMills(k, h, rho)
        return _density_ratio(h, k, rho)

    def _eval_is_negative(self) -> bool | None:
        return True if all(a.is_real for a in self.args) else None


class BivariateNormalCDF(_Symmetric):
    r"""Probability of a quadrant, :math:`\Phi_2(h, k; \rho) = P(x < h, y < k)`.

    Examples
    --------
    >>> from sympy import Rational
    >>> BivariateNormalCDF(0, 0, Rational(1, 2))
    1/3
    """

    latex_name = r"\Phi_2"

    @classmethod
    def eval(cls, h: Expr, k: Expr, rho: Expr) -> Expr | None:  # noqa: D102
        if h.is_zero and k.is_zero:
            return S(1) / 4 + asin(rho) / (2 * pi)
        return None

    def fdiff(self, argindex: int = 1) -> Expr:  # noqa: D102
        return self * LogBivariateNormalCDF(*self.args).fdiff(argindex)

    def _eval_is_positive(self) -> bool | None:
        return True if all(a.is_real for a in self.args) else None


class BivariateMills(Primitive):
    r"""Density at the edge h over the mass of the quadrant, :math:`\varphi(h) \Phi(c) / \Phi_2`."""

    nargs = 3
    latex_name = r"A_2"

    def fdiff(self, argindex: int = 1) -> Expr:  # noqa: D102
        h, k, rho = self.args
        spread = _spread(rho)
        ratio = Mills((rho * h - k) / spread)
        if argindex == 1:
            return self * (-h - rho / spread * ratio - self)
        if argindex == 2:
            return self * (ratio / spread - BivariateMills(k, h, rho))
        return self * (ratio * (rho * k - h) / spread**3 - _density_ratio(h, k, rho))

    def _eval_is_positive(self) -> bool | None:
        return True if all(a.is_real for a in self.args) else None


def _density_ratio(h: Expr, k: Expr, rho: Expr) -> Expr:
    """Return the bivariate density over the mass of the quadrant, the derivative in rho."""
    spread = _spread(rho)
    return BivariateMills(h, k, rho) * Mills((rho * h - k) / spread) / spread


BIVARIATE: tuple[type[Primitive], ...] = (
    LogBivariateNormalCDF,
    BivariateNormalCDF,
    BivariateMills,
)
