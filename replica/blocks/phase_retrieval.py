r"""Channels of the size of the field, y = |z| of real or complex z: phase retrieval.

The label and its prediction :math:`\omega` enter all averages through one variable. With
:math:`\delta = D / \rho` and :math:`r^2 = 1 - \delta`, the share of the field's variance that is
known, it is

.. math:: x = \frac{y\, |\omega|}{r D} \ge 0, \qquad
          p(x) = \frac{2 \sqrt\delta}{\pi} \cosh(r x)\, K_0(x) \ \text{(real)}, \qquad
          p(x) = \delta\, x\, I_0(r x)\, K_0(x) \ \text{(complex)}.

The first is the law of the size of a product of two correlated normal variables (Craig 1936); the
second that of the product of the sizes of two complex ones, where :math:`I_0` comes from the angle
between them (Rice 1945, the law of y given :math:`|\omega|`). In both :math:`K_0` is what is left
of the integral over the ratio of the two factors,
:math:`2 K_\nu(x) = (x/2)^\nu \int_0^\infty dt\, t^{-\nu - 1} e^{-t - x^2 / 4t}` (DLMF 10.32.10).
With one integral left in place of two, the averages keep their digits up to full recovery, where
x is as large as :math:`1 / \delta`.

References
----------
Craig, Annals of Mathematical Statistics 7 (1936) 1.
Rice, Bell System Technical Journal 24 (1945) 46, for :math:`|z|` of a complex field around a mean.
NIST Digital Library of Mathematical Functions, section 10.32, for :math:`K_\nu`.
Maillard, Loureiro, Krzakala & Zdeborova, NeurIPS 33 (2020), for the free entropy.
Mondelli & Montanari, Foundations of Computational Mathematics 19 (2019) 703, for weak recovery.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from sympy import (
    Abs,
    Add,
    EulerGamma,
    Expr,
    Rational,
    S,
    Symbol,
    exp,
    log,
    pi,
    sqrt,
)

from replica.blocks.block import Array
from replica.blocks.channel import Channel
from replica.language.bessel import (
    BesselQuotient,
    BesselRatio,
    LogScaledI0,
    LogScaledK0,
    LogScaledK1,
    PhaseEntropy,
    PhaseLogPartition,
    PhaseVariance,
)
from replica.language.integrals import LabelIntegral
from replica.language.means import Mean
from replica.language.primitives import LogCosh, LogH, LogSumExp, Sech, Softmax, Tanh
from replica.language.scalar import Scalar

__all__ = ["Absolute", "ComplexAbsolute"]

_u, _x = Symbol("u", real=True), Symbol("x", real=True)


@dataclass(frozen=True)
class _Absolute(Channel):
    def log_partition(self, label: Scalar, mean: Scalar, variance: Scalar) -> Expr:
        """Return the log of the densities of y and -y."""
        return (
            -(label**2 + mean**2) / (2 * variance)
            - log(2 * pi * variance) / 2
            + log(2)
            + LogCosh(label * mean / variance)
        )

    def free_entropy(self, gap: Scalar, rho: Scalar) -> Expr:
        r"""Return :math:`-\tfrac12 \log(2 \pi e D)` plus the entropy of the sign given the rest.

        .. math:: \frac1\pi \sqrt{\frac{D}{\rho}} \int_0^\infty dx\, 2 \cosh(rx)
                  \left[\log(2 \cosh rx) - rx \tanh rx\right] K_0(x)
        """

        def body(x: Expr, logarithm: Expr) -> Expr:
            h = sqrt(1 - gap / rho) * x
            entropy = LogSumExp(S.Zero, -2 * h) + 2 * h * Softmax(-2 * h, S.Zero)
            return 2 * exp(LogCosh(h) + LogScaledK0(logarithm) - x) * entropy

        unknown = sqrt(gap / rho) * _over_product(body) / pi
        return -log(2 * pi * gap) / 2 - S.Half + unknown

    def strength(self, gap: Scalar, rho: Scalar) -> Expr:
        r"""Return what is seen of the field.

        .. math:: \frac{2}{\pi D} \int_0^\infty dx\, x K_1(x)
                  \left[1 - \sqrt{D / \rho}\, \mathrm{sech}(rx)\right]

        The bracket is written as a sum of positive terms, so that nothing is lost where there is
        no overlap and both its parts are one.
        """
        known = (rho - gap) / rho  # r^2
        left = known / (1 + sqrt(gap / rho))

        def body(x: Expr, logarithm: Expr) -> Expr:
            h = sqrt(known) * x
            # x K_1(x) is 1 at zero
            weight = exp(LogScaledK1(logarithm) + logarithm - x)
            return weight * (Tanh(h) * Tanh(h / 2) + left * Sech(h))

        return 2 * _over_product(body) / (pi * gap)

    def weak_recovery(self, rho: Scalar) -> Expr:
        """Return E (z^2/rho - 1)^2 = 2."""
        return S(2)

    def possible(self, label: Array) -> Array:
        """Tell that labels are not negative."""
        return np.isfinite(label) & (np.asarray(label) >= 0)

    def mean_label(self, mean: Scalar, variance: Scalar) -> Expr:
        """Return the mean of |z|."""
        x = mean / sqrt(variance)
        return mean * (1 - 2 * exp(LogH(x))) + 2 * sqrt(variance) * exp(-(x**2) / 2) / sqrt(2 * pi)

    def squared_error(self, gap: Scalar, rho: Scalar) -> Expr:
        """Return the mean variance of |z|."""
        return Mean(_u**2 + gap - self.mean_label(_u, gap) ** 2, (_u, rho - gap))

    def sample(self, rng: np.random.Generator, z: Array, controls: Mapping[str, float]) -> Array:
        """Return |z|."""
        return np.abs(z)


def _over_product(body: Callable[[Expr, Expr], Expr], largest: Expr = S.Zero) -> Expr:
    r"""Return :math:`\int_0^\infty dx\, f(x, \log x)` in t, with :math:`\log x = t - e^{-t}`.

    Both ends then fall off doubly exponentially; `largest` is the size of t where the upper end
    does.
    """
    t = (1 + largest / 9) * _x  # the nodes of the integral go up to t = 9 at first
    x = exp(t - exp(-t))
    slope = (1 + largest / 9) * (1 + exp(-t))
    terms = Add.make_args(body(x, t - exp(-t)))
    return LabelIntegral(Add(*(term * x * slope for term in terms)), (_x, S.Reals))


def _log_phase(k: Expr, x: Expr, blur: Expr) -> Expr:
    r"""Return :math:`\log I_0(\sqrt k) - x`, where x^2 is k and a part `blur` of x^2."""
    root = sqrt(1 + k)
    return PhaseLogPartition(k) - (1 + (blur * x**2 - 1) / (x + root))


@dataclass(frozen=True)
class _ComplexAbsolute(Channel):
    # The real and the imaginary part of a field are independent given its mean and variance, and
    # averages are counted per part, as those of the weights are: alpha counts patterns per complex
    # weight, so that nats per pattern and part times alpha are nats per complex weight and part.
    # All is written in r^2, which is regular where it vanishes.

    def free_entropy(self, gap: Scalar, rho: Scalar) -> Expr:
        r"""Return half of :math:`E \log p(y|\omega)`, in nats per pattern and real part.

        With R the ratio of I_1 to I_0 the mean is

        .. math:: \tfrac12 (\log 2 \rho - \gamma) - \log D - 1 + \frac{D}{\rho}
                  \int_0^\infty dx\, x K_0(x) I_0(rx) \left[\log I_0(rx) - rx R(rx)\right],

        and what the integrand is at large x, up to :math:`\rho / D`, is taken out.
        """
        known, blur = (rho - gap) / rho, gap / rho

        def body(x: Expr, logarithm: Expr) -> Expr:
            k = known * x**2
            weight = LogScaledK0(logarithm) + logarithm + _log_phase(k, x, blur)
            far = exp(-blur * x / 2) * (1 - log(2 * pi) - logarithm) / 4
            return exp(weight) * PhaseEntropy(k) - far

        phase = blur * _over_product(body, log(1 + 1 / blur))
        phase += (1 + EulerGamma + log(blur / (4 * pi))) / 2
        return ((log(2 * rho) - EulerGamma) / 2 - log(gap) - 1 + phase) / 2

    def strength(self, gap: Scalar, rho: Scalar) -> Expr:
        r"""Return the strength G of each real part of the field, of variance :math:`\rho`.

        With :math:`s = R(rx) / rx` and :math:`\delta = D / \rho` it is

        .. math:: \frac{r^2}{D} \left[1 + \delta - \frac\delta2
                  \int_0^\infty dx\, x^2 I_0(rx)
                  \left\{(1 + \delta) K_1(x) \left[1 - R(rx)^2\right]
                  - \delta^2 x s \left[x s K_1(x) - K_0(x)\right]\right\}\right]

        The bracket is 1 without overlap and 1/2 at full overlap. There the integrand is
        :math:`\tfrac12 e^{-\delta x / 2}` up to :math:`1 / \delta`, which is taken out.
        """
        known, blur = (rho - gap) / rho, gap / rho

        def body(x: Expr, logarithm: Expr) -> Expr:
            k = known * x**2
            phase = 2 * logarithm + _log_phase(k, x, blur)
            first, zeroth = (exp(f(logarithm) + phase) for f in (LogScaledK1, LogScaledK0))
            field = blur * x * BesselQuotient(0, k)
            seen = first * ((1 + blur) * PhaseVariance(k) - field**2) + blur * zeroth * field
            return seen - (1 + blur) * (1 - exp(-x)) * exp(-blur * x / 2) / 2

        rest = _over_product(body, log(1 + 1 / blur))
        return known / gap * ((1 + blur) ** 2 / (2 + blur) - blur * rest / 2)

    def weak_recovery(self, rho: Scalar) -> Expr:
        """Return E (|z|^2 / 2 rho - 1)^2 = 1."""
        return S.One

    def possible(self, label: Array) -> Array:
        """Tell that labels are not negative."""
        return np.isfinite(label) & (np.asarray(label) >= 0)

    def mean_label(self, mean: Scalar, variance: Scalar) -> Expr:
        """Return the mean of Rice's law, of |z| given |omega| and the variance of each part."""
        k = mean**2 / (4 * variance)
        scaled = exp(LogScaledI0(k))
        return sqrt(pi * variance / 2) * scaled * (1 + 2 * k + 2 * k * BesselRatio(k))

    def squared_error(self, gap: Scalar, rho: Scalar) -> Expr:
        """Return the mean variance of |z|."""
        # |omega|^2 / m is the square of a Rayleigh variable
        mean = self.mean_label(sqrt(rho - gap) * _u, gap)
        return 2 * rho - sqrt(pi / 2) * Mean(Abs(_u) * mean**2, (_u, 1))


def Absolute() -> Channel:
    """Return y = |z|, real phase retrieval; y = z^2 says the same.

    Examples
    --------
    >>> Absolute().weak_recovery(1)
    2
    """
    return _Absolute("abs", dimension=S.One, even=True)


def ComplexAbsolute() -> Channel:
    """Return y = |z| of complex z, phase retrieval; alpha counts patterns per complex weight.

    Real and imaginary part of a weight each have the law of the prior.

    Examples
    --------
    >>> ComplexAbsolute().weak_recovery(1)
    1
    """
    return _ComplexAbsolute("complex-abs", dimension=Rational(1, 2), even=True, parts=2)
