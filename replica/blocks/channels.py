r"""Output channels P(y|z), once for the theory, the algorithm and the sampler.

A channel states the log-partition of one pattern whose field has mean omega and variance V,

.. math:: L_y(\omega, V) = \log E_{z \sim N(\omega, V)} P(y|z),

and g_out is its derivative in omega. With the label averaged over what generates it,

.. math:: \Phi_{out}(D) = E\, L_y(\omega, D), \qquad G(D) = E\, (\partial_\omega L_y)^2,
   \qquad \omega \sim N(0, \rho - D),

where :math:`G = 2\, d\Phi_{out}/dm` by the heat equation: a mean of squares, which keeps its digits
where the derivative of the potential loses them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sympy import (
    Abs,
    Add,
    EulerGamma,
    Expr,
    Interval,
    Rational,
    S,
    Symbol,
    exp,
    log,
    oo,
    pi,
    sqrt,
    symbols,
    sympify,
)

from replica.declarations.control import Control
from replica.declarations.frozen import FrozenMapping
from replica.errors import looked_up
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
from replica.language.means import Mean, mean_of_sum
from replica.language.primitives import (
    LogCosh,
    LogH,
    LogHDifference,
    LogSumExp,
    Sech,
    Softmax,
    Tanh,
)

__all__ = [
    "CHANNELS",
    "Absolute",
    "Channel",
    "ComplexAbsolute",
    "Door",
    "Linear",
    "Logistic",
    "Probit",
    "ReLU",
    "Sign",
    "channel",
]

Delta, K = symbols("Delta K", real=True)
y, omega, V = Symbol("y", real=True), Symbol("omega", real=True), Symbol("V", positive=True)
_u, _x = symbols("u x", real=True)

_NOISE = Control(Delta, Interval(0, oo), 0, "variance of the noise on the field")
_BALANCED = S("0.6744897501960817432")
_WIDTH = Control(K, Interval.open(0, oo), _BALANCED, "half-width of the door")


@dataclass(frozen=True)
class Channel:
    """Law of a label given its field.

    Attributes
    ----------
    name : str
    labels : tuple of numbers
        The possible labels; empty where they are continuous.
    dimension : Expr
        Information dimension of the noiseless label: one for a continuous label, zero for a
        discrete one. At a small gap D, G = dimension/D.
    deterministic : bool
        Whether the label is a function of the field (where `noise` vanishes).
    noise : Symbol or None
        The control that blurs the label.
    jumps : bool
        Whether the probability of a label jumps at some field (where `noise` vanishes): then
        labels tell one weight vector of a discrete prior from all others.
    even : bool
        Whether z and -z give the same label, so that m = 0 is always a fixed point.
    parts : int
        Real parts of a field: two where it is complex.
    noisy_sign : bool
        Whether the label is the sign of the field plus Gaussian noise.
    residual : Expr or None
        Variance of y - z where the label is the field plus Gaussian noise; None for other labels.
    controls : mapping of str to Control
    """

    name: str
    labels: tuple[Any, ...] = ()
    dimension: Expr = S.Zero
    deterministic: bool = True
    noise: Symbol | None = None
    jumps: bool = False
    even: bool = False
    parts: int = 1
    noisy_sign: bool = False
    residual: Expr | None = None
    controls: Mapping[str, Control] = field(default_factory=FrozenMapping)

    def log_partition(self, label: Any, mean: Any, variance: Any) -> Expr:
        """Return L_y(omega, V)."""
        raise NotImplementedError

    def cases(self) -> tuple[tuple[Callable[[Any], Any], Expr], ...]:
        """Return pairs of a test on labels and L in the symbols y, omega, V that holds there."""
        if not self.labels:
            return ((lambda label: np.ones(np.shape(label), dtype=bool), self._log_partition()),)
        return tuple(
            (lambda label, own=own: np.asarray(label) == own, self.log_partition(own, omega, V))
            for own in (float(label) for label in self.labels)
        )

    def _log_partition(self) -> Expr:
        return self.log_partition(y, omega, V)

    def possible(self, label: Any) -> Any:
        """Tell which labels the channel can produce."""
        if not self.labels:
            return np.isfinite(label)
        return np.isin(label, [float(own) for own in self.labels])

    def mean_label(self, mean: Any, variance: Any) -> Expr:
        """Return E[y | omega, V], the optimal prediction of a new label."""
        return sum(
            (label * exp(self.log_partition(label, mean, variance)) for label in self.labels),
            S.Zero,
        )

    def sample(self, rng: np.random.Generator, z: Any, controls: Mapping[str, float]) -> Any:
        """Draw labels of the fields z."""
        raise NotImplementedError

    # ---- averages over labels -------------------------------------------------------------------

    def free_entropy(self, gap: Any, rho: Any) -> Expr:
        r"""Return :math:`\Phi_{out}`, in nats per pattern; minus a differential entropy of y."""
        return self._over_labels(lambda part, _: part, gap, rho)

    def strength(self, gap: Any, rho: Any) -> Expr:
        r"""Return :math:`G = E\, g_{out}^2`."""
        return self._over_labels(lambda part, field: part.diff(field) ** 2, gap, rho)

    def squared_error(self, gap: Any, rho: Any) -> Expr:
        r"""Return :math:`E (y - E[y|\omega])^2`, the error of the optimal prediction of a label."""
        second = sum(
            (own**2 * exp(self.log_partition(own, _u, gap)) for own in self.labels), S.Zero
        )
        return Mean(second - self.mean_label(_u, gap) ** 2, (_u, rho - gap))

    def weak_recovery(self, rho: Any) -> Expr:
        r"""Return :math:`E_y (E[z^2|y]/\rho - 1)^2`, the inverse of alpha_WR if even."""
        total = S.Zero
        for label in self.labels:
            part = self.log_partition(label, _u, V)
            curvature = part.diff(_u).diff(_u).subs(_u, 0).subs(V, rho)
            total += exp(part.subs(_u, 0).subs(V, rho)) * (rho * curvature) ** 2
        return total

    def label_slope(self, rho: Any) -> Expr:
        r"""Return :math:`E[z y] / \rho`, the slope of the best line through the labels."""
        return self.mean_label(_u, rho).diff(_u).subs(_u, 0)

    def blur(self, rho: Any) -> Expr:
        r"""Return the variance of noise on the field, whose sign then has the same slope.

        Zero for labels that are the sign of the field, and for no others.

        Examples
        --------
        >>> Probit().blur(Symbol("rho", positive=True))
        1
        """
        return 2 / (pi * self.label_slope(rho) ** 2) - rho

    def label_entropy(self, rho: Any) -> Expr:
        """Return the entropy of the label given the field; zero where it is a function of it."""
        if self.deterministic:
            return S.Zero
        laws = [self.log_partition(label, _u, S.Zero) for label in self.labels]
        return mean_of_sum([-exp(law) * law for law in laws], _u, rho)

    def _over_labels(self, function: Callable[[Expr, Symbol], Expr], gap: Any, rho: Any) -> Expr:
        parts = [self.log_partition(label, _u, gap) for label in self.labels]
        return mean_of_sum([exp(part) * function(part, _u) for part in parts], _u, rho - gap)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class _Sign(Channel):
    def log_partition(self, label: Any, mean: Any, variance: Any) -> Expr:
        """Return log H(-y omega / sqrt(V + Delta))."""
        return LogH(-label * mean / sqrt(variance + Delta))

    def sample(self, rng: np.random.Generator, z: Any, controls: Mapping[str, float]) -> Any:
        """Draw the sign of the noisy field."""
        noise = np.sqrt(controls.get("Delta", 0.0)) * rng.standard_normal(np.shape(z))
        return np.where(z + noise >= 0, 1.0, -1.0)


@dataclass(frozen=True)
class _Probit(Channel):
    def log_partition(self, label: Any, mean: Any, variance: Any) -> Expr:
        """Return log H(-y omega / sqrt(V + 1))."""
        return LogH(-label * mean / sqrt(variance + 1))

    def sample(self, rng: np.random.Generator, z: Any, controls: Mapping[str, float]) -> Any:
        """Draw y = 1 with probability H(-z)."""
        return np.where(z + rng.standard_normal(np.shape(z)) >= 0, 1.0, -1.0)


@dataclass(frozen=True)
class _Logistic(Channel):
    def log_partition(self, label: Any, mean: Any, variance: Any) -> Expr:
        """Return the log of the mean of 1 / (1 + exp(-y z))."""
        return log(Mean(Softmax(label * (mean + _x), S.Zero), (_x, variance)))

    def blur(self, rho: Any) -> Expr:
        """Return three: it grows from 8/pi at small rho to pi^2/3, and needs no mean."""
        return S(3)

    def sample(self, rng: np.random.Generator, z: Any, controls: Mapping[str, float]) -> Any:
        """Draw y = 1 with the logistic probability of z."""
        return np.where(rng.random(np.shape(z)) < 0.5 * (1 + np.tanh(0.5 * z)), 1.0, -1.0)


@dataclass(frozen=True)
class _Door(Channel):
    def log_partition(self, label: Any, mean: Any, variance: Any) -> Expr:
        """Return the log-mass inside (y = -1) or outside (y = 1) of the door."""
        low, high = ((side * K - mean) / sqrt(variance) for side in (-1, 1))
        return LogHDifference(low, high) if label < 0 else LogSumExp(LogH(-low), LogH(high))

    def sample(self, rng: np.random.Generator, z: Any, controls: Mapping[str, float]) -> Any:
        """Return the sign of |z| - K."""
        return np.where(np.abs(z) > controls["K"], 1.0, -1.0)


@dataclass(frozen=True)
class _Linear(Channel):
    def log_partition(self, label: Any, mean: Any, variance: Any) -> Expr:
        """Return the log-density of y around omega."""
        width = variance + Delta
        return -((label - mean) ** 2) / (2 * width) - log(2 * pi * width) / 2

    def free_entropy(self, gap: Any, rho: Any) -> Expr:
        """Return minus the entropy of a Gaussian of variance D + Delta."""
        return -log(2 * pi * (gap + Delta)) / 2 - S.Half

    def strength(self, gap: Any, rho: Any) -> Expr:
        """Return 1 / (D + Delta)."""
        return 1 / (gap + Delta)

    def squared_error(self, gap: Any, rho: Any) -> Expr:
        """Return D + Delta."""
        return gap + Delta

    def weak_recovery(self, rho: Any) -> Expr:
        """Return 2 rho^2 / (rho + Delta)^2, as if the channel were even."""
        return 2 * rho**2 / (rho + Delta) ** 2

    def mean_label(self, mean: Any, variance: Any) -> Expr:
        """Return omega."""
        return sympify(mean, strict=True)

    def sample(self, rng: np.random.Generator, z: Any, controls: Mapping[str, float]) -> Any:
        """Add the noise to z."""
        return z + np.sqrt(controls.get("Delta", 0.0)) * rng.standard_normal(np.shape(z))


def _over_product(body: Callable[[Expr, Expr], Expr], largest: Expr = S.Zero) -> Expr:
    r"""Return :math:`\int_0^\infty dx\, f(x, \log x)` in t, with :math:`\log x = t - e^{-t}`.

    Both ends then fall off doubly exponentially; `largest` is the size of t where the upper end
    does.
    """
    t = (1 + largest / 9) * _x  # the range of the mean begins at 9
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
    # The two parts of a field are independent given its mean and variance; the free entropy is
    # counted per part, as that of the weights is. Means over y and |omega| depend on their
    # product alone, x r D, with r^2 = m / rho. All is written in r^2, regular where it vanishes.

    def free_entropy(self, gap: Any, rho: Any) -> Expr:
        r"""Return half of :math:`E \log p(y|\omega)`.

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

    def strength(self, gap: Any, rho: Any) -> Expr:
        r"""Return what is seen of each part of the field.

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

    def weak_recovery(self, rho: Any) -> Expr:
        """Return E (|z|^2 / 2 rho - 1)^2 = 1."""
        return S.One

    def possible(self, label: Any) -> Any:
        """Tell that labels are not negative."""
        return np.isfinite(label) & (np.asarray(label) >= 0)

    def mean_label(self, mean: Any, variance: Any) -> Expr:
        """Return the mean of Rice's law, of |z| given |omega|."""
        k = mean**2 / (4 * variance)
        scaled = exp(LogScaledI0(k))
        return sqrt(pi * variance / 2) * scaled * (1 + 2 * k + 2 * k * BesselRatio(k))

    def squared_error(self, gap: Any, rho: Any) -> Expr:
        """Return the mean variance of |z|."""
        # |omega|^2 / m is the square of a Rayleigh variable
        mean = self.mean_label(sqrt(rho - gap) * _u, gap)
        return 2 * rho - sqrt(pi / 2) * Mean(Abs(_u) * mean**2, (_u, 1))


@dataclass(frozen=True)
class _ReLU(Channel):
    def log_partition(self, label: Any, mean: Any, variance: Any) -> Expr:
        """Return the log-density of y > 0, or the log-mass of y = 0."""
        if label == 0:
            return LogH(mean / sqrt(variance))
        return -((label - mean) ** 2) / (2 * variance) - log(2 * pi * variance) / 2

    def cases(self) -> tuple[tuple[Callable[[Any], Any], Expr], ...]:
        """Return the atom at zero and the density beyond."""
        return (
            (lambda label: np.asarray(label) == 0, self.log_partition(0, omega, V)),
            (lambda label: np.asarray(label) > 0, self.log_partition(y, omega, V)),
        )

    def possible(self, label: Any) -> Any:
        """Tell that labels are not negative."""
        return np.isfinite(label) & (np.asarray(label) >= 0)

    # on each side of zero half of the patterns carry a sign and half, besides, their field

    def free_entropy(self, gap: Any, rho: Any) -> Expr:
        """Return half that of the sign and half that of the linear channel."""
        sign = 2 * Mean(exp(LogH(_u / sqrt(gap))) * LogH(_u / sqrt(gap)), (_u, rho - gap))
        return (sign - log(2 * pi * gap) / 2 - S.Half) / 2

    def strength(self, gap: Any, rho: Any) -> Expr:
        """Return half that of the sign and half that of the linear channel."""
        part = LogH(_u / sqrt(gap))
        sign = 2 * Mean(exp(part) * part.diff(_u) ** 2, (_u, rho - gap))
        return (sign + 1 / gap) / 2

    def weak_recovery(self, rho: Any) -> Expr:
        """Return half of E (z^2/rho - 1)^2: only positive fields tell their size."""
        return S.One

    def mean_label(self, mean: Any, variance: Any) -> Expr:
        """Return the mean of the positive part of a Gaussian."""
        x = -mean / sqrt(variance)
        return mean * exp(LogH(x)) + sqrt(variance) * exp(-(x**2) / 2) / sqrt(2 * pi)

    def squared_error(self, gap: Any, rho: Any) -> Expr:
        """Return the mean variance of the positive part."""
        x = -_u / sqrt(gap)
        density = exp(-(x**2) / 2) / sqrt(2 * pi)
        second = (_u**2 + gap) * exp(LogH(x)) + _u * sqrt(gap) * density
        return Mean(second - self.mean_label(_u, gap) ** 2, (_u, rho - gap))

    def sample(self, rng: np.random.Generator, z: Any, controls: Mapping[str, float]) -> Any:
        """Return the positive part of z."""
        return np.maximum(z, 0.0)


@dataclass(frozen=True)
class _Absolute(Channel):
    def log_partition(self, label: Any, mean: Any, variance: Any) -> Expr:
        """Return the log of the densities of y and -y."""
        return (
            -(label**2 + mean**2) / (2 * variance)
            - log(2 * pi * variance) / 2
            + log(2)
            + LogCosh(label * mean / variance)
        )

    # Both means over z and omega depend on their product alone, whose density is K_0 / pi: with
    # r = sqrt(m / rho) one integral is left, here in the logarithm of the product.

    def free_entropy(self, gap: Any, rho: Any) -> Expr:
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

    def strength(self, gap: Any, rho: Any) -> Expr:
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

    def weak_recovery(self, rho: Any) -> Expr:
        """Return E (z^2/rho - 1)^2 = 2."""
        return S(2)

    def possible(self, label: Any) -> Any:
        """Tell that labels are not negative."""
        return np.isfinite(label) & (np.asarray(label) >= 0)

    def mean_label(self, mean: Any, variance: Any) -> Expr:
        """Return the mean of |z|."""
        x = mean / sqrt(variance)
        return mean * (1 - 2 * exp(LogH(x))) + 2 * sqrt(variance) * exp(-(x**2) / 2) / sqrt(2 * pi)

    def squared_error(self, gap: Any, rho: Any) -> Expr:
        """Return the mean variance of |z|."""
        return Mean(_u**2 + gap - self.mean_label(_u, gap) ** 2, (_u, rho - gap))

    def sample(self, rng: np.random.Generator, z: Any, controls: Mapping[str, float]) -> Any:
        """Return |z|."""
        return np.abs(z)


def Sign() -> Channel:
    """Return y = sign(z + sqrt(Delta) xi); Delta = 0 is allowed, and the default.

    Examples
    --------
    >>> Sign().log_partition(1, omega, V)
    LogH(-omega/sqrt(Delta + V))
    """
    return _Sign(
        "sign",
        (-1, 1),
        jumps=True,
        noise=Delta,
        noisy_sign=True,
        controls=FrozenMapping({"Delta": _NOISE}),
    )


def Linear() -> Channel:
    """Return y = z + sqrt(Delta) xi.

    Examples
    --------
    >>> Linear().noise
    Delta
    """
    return _Linear(
        "linear",
        dimension=S.One,
        noise=Delta,
        residual=Delta,
        controls=FrozenMapping({"Delta": _NOISE}),
    )


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


def ReLU() -> Channel:
    """Return y = max(0, z).

    Examples
    --------
    >>> ReLU().dimension
    1/2
    """
    return _ReLU("relu", dimension=Rational(1, 2))


def Door() -> Channel:
    """Return y = sign(|z| - K); by default K makes both labels equally frequent at rho = 1.

    Examples
    --------
    >>> Door().controls["K"].default
    0.6744897501960817432
    """
    return _Door("door", (-1, 1), jumps=True, even=True, controls=FrozenMapping({"K": _WIDTH}))


def Probit() -> Channel:
    """Return labels with P(y|z) = H(-y z).

    Examples
    --------
    >>> Probit().log_partition(1, omega, V)
    LogH(-omega/sqrt(V + 1))
    """
    return _Probit("probit", (-1, 1), deterministic=False, noisy_sign=True)


def Logistic() -> Channel:
    """Return labels with P(y|z) = 1 / (1 + exp(-y z)).

    Examples
    --------
    >>> Logistic().labels
    (-1, 1)
    """
    return _Logistic("logistic", (-1, 1), deterministic=False)


CHANNELS: Mapping[str, Callable[[], Channel]] = {
    "linear": Linear,
    "sign": Sign,
    "abs": Absolute,
    "complex-abs": ComplexAbsolute,
    "door": Door,
    "relu": ReLU,
    "logistic": Logistic,
    "probit": Probit,
}


def channel(name: str) -> Channel:
    """Return the shipped channel called `name`.

    Raises
    ------
    UnknownName
        With the near names.

    Examples
    --------
    >>> channel("door").even
    True
    """
    return looked_up("channel", name, CHANNELS)()
