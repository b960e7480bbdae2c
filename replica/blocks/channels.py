r"""The shipped output channels P(y|z), and the constraints that are events of them.

`replica.blocks.channel` says what a channel is; those of |z|, with their Bessel functions, are in
`replica.blocks.phase_retrieval`, and those that a user writes down in
`replica.blocks.written_channels`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from sympy import Expr, Interval, Rational, S, exp, log, oo, pi, sqrt, symbols, sympify

from replica.blocks.block import Array
from replica.blocks.channel import Channel, Constraint, V, omega, y
from replica.blocks.phase_retrieval import Absolute, ComplexAbsolute
from replica.declarations.control import Control
from replica.declarations.frozen import FrozenMapping
from replica.language.means import Mean
from replica.language.primitives import LogH, LogHDifference, LogSumExp, Softmax
from replica.language.scalar import Scalar

__all__ = ["Door", "Linear", "Logistic", "Outside", "Probit", "ReLU", "Rectangle", "Sign", "Step"]

Delta, K, kappa = symbols("Delta K kappa", real=True)
_u, _x = symbols("u x", real=True)

_NOISE = Control(Delta, Interval(0, oo), 0, "variance of the noise on the field")
_BALANCED = S("0.6744897501960817432")
_MARGIN = Control(kappa, Interval(-oo, oo), 0, "margin")
_WIDTH = Control(K, Interval.open(0, oo), _BALANCED, "half-width of the door")


@dataclass(frozen=True)
class _Sign(Channel):
    def log_partition(self, label: Scalar, mean: Scalar, variance: Scalar) -> Expr:
        """Return log H(-y omega / sqrt(V + Delta))."""
        return LogH(-label * mean / sqrt(variance + Delta))

    def sample(self, rng: np.random.Generator, z: Array, controls: Mapping[str, float]) -> Array:
        """Draw the sign of the noisy field."""
        noise = np.sqrt(controls.get("Delta", 0.0)) * rng.standard_normal(np.shape(z))
        return np.where(z + noise >= 0, 1.0, -1.0)


@dataclass(frozen=True)
class _Beyond(Channel):
    """The sign of what the field has beyond a margin, y = sign(z - kappa)."""

    def log_partition(self, label: Scalar, mean: Scalar, variance: Scalar) -> Expr:
        """Return log H(-y (omega - kappa) / sqrt(V))."""
        return LogH(-label * (mean - kappa) / sqrt(variance))

    def gives(self, label: Array | int, z: Array, controls: Mapping[str, float]) -> Array:
        """Tell which fields are above (y = 1) or below (y = -1), the margin being neither."""
        return z > controls["kappa"] if label > 0 else z < controls["kappa"]

    def sample(self, rng: np.random.Generator, z: Array, controls: Mapping[str, float]) -> Array:
        """Return the sign of z - kappa."""
        return np.where(self.gives(1, z, controls), 1.0, -1.0)


@dataclass(frozen=True)
class _Probit(Channel):
    def log_partition(self, label: Scalar, mean: Scalar, variance: Scalar) -> Expr:
        """Return log H(-y omega / sqrt(V + 1))."""
        return LogH(-label * mean / sqrt(variance + 1))

    def sample(self, rng: np.random.Generator, z: Array, controls: Mapping[str, float]) -> Array:
        """Draw y = 1 with probability H(-z)."""
        return np.where(z + rng.standard_normal(np.shape(z)) >= 0, 1.0, -1.0)


@dataclass(frozen=True)
class _Logistic(Channel):
    def log_partition(self, label: Scalar, mean: Scalar, variance: Scalar) -> Expr:
        """Return the log of the mean of 1 / (1 + exp(-y z))."""
        return log(Mean(Softmax(label * (mean + _x), S.Zero), (_x, variance)))

    def blur(self, rho: Scalar) -> Expr:
        """Return three: it grows from 8/pi at small rho to pi^2/3, and needs no mean."""
        return S(3)

    def sample(self, rng: np.random.Generator, z: Array, controls: Mapping[str, float]) -> Array:
        """Draw y = 1 with the logistic probability of z."""
        return np.where(rng.random(np.shape(z)) < 0.5 * (1 + np.tanh(0.5 * z)), 1.0, -1.0)


@dataclass(frozen=True)
class _Door(Channel):
    def log_partition(self, label: Scalar, mean: Scalar, variance: Scalar) -> Expr:
        """Return the log-mass inside (y = -1) or outside (y = 1) of the door."""
        width = sqrt(variance)
        if label < 0:
            return LogHDifference((-K - mean) / width, (K - mean) / width)
        return LogSumExp(LogH((K - mean) / width), LogH((K + mean) / width))

    def gives(self, label: Array | int, z: Array, controls: Mapping[str, float]) -> Array:
        """Tell which fields are inside (y = -1) or outside (y = 1), the edge being neither."""
        size = np.abs(z)
        return size < controls["K"] if label < 0 else size > controls["K"]

    def sample(self, rng: np.random.Generator, z: Array, controls: Mapping[str, float]) -> Array:
        """Return the sign of |z| - K."""
        return np.where(self.gives(1, z, controls), 1.0, -1.0)


@dataclass(frozen=True)
class _Linear(Channel):
    def log_partition(self, label: Scalar, mean: Scalar, variance: Scalar) -> Expr:
        """Return the log-density of y around omega."""
        width = variance + Delta
        return -((label - mean) ** 2) / (2 * width) - log(2 * pi * width) / 2

    def free_entropy(self, gap: Scalar, rho: Scalar) -> Expr:
        """Return minus the entropy of a Gaussian of variance D + Delta."""
        return -log(2 * pi * (gap + Delta)) / 2 - S.Half

    def strength(self, gap: Scalar, rho: Scalar) -> Expr:
        """Return 1 / (D + Delta)."""
        return 1 / (gap + Delta)

    def squared_error(self, gap: Scalar, rho: Scalar) -> Expr:
        """Return D + Delta."""
        return gap + Delta

    def weak_recovery(self, rho: Scalar) -> Expr:
        """Return 2 rho^2 / (rho + Delta)^2, as if the channel were even."""
        return 2 * rho**2 / (rho + Delta) ** 2

    def mean_label(self, mean: Scalar, variance: Scalar) -> Expr:
        """Return omega."""
        return sympify(mean, strict=True)

    def sample(self, rng: np.random.Generator, z: Array, controls: Mapping[str, float]) -> Array:
        """Add the noise to z."""
        return z + np.sqrt(controls.get("Delta", 0.0)) * rng.standard_normal(np.shape(z))


@dataclass(frozen=True)
class _ReLU(Channel):
    def log_partition(self, label: Scalar, mean: Scalar, variance: Scalar) -> Expr:
        """Return the log-density of y > 0, or the log-mass of y = 0."""
        if label == 0:
            return LogH(mean / sqrt(variance))
        return -((label - mean) ** 2) / (2 * variance) - log(2 * pi * variance) / 2

    def cases(self) -> tuple[tuple[Callable[[Array], Array], Expr], ...]:
        """Return the atom at zero and the density beyond."""
        return (
            (lambda label: np.asarray(label) == 0, self.log_partition(0, omega, V)),
            (lambda label: np.asarray(label) > 0, self.log_partition(y, omega, V)),
        )

    def possible(self, label: Array) -> Array:
        """Tell that labels are not negative."""
        return np.isfinite(label) & (np.asarray(label) >= 0)

    # Half of the fields are negative and leave only their sign (y = 0), the others are seen as they
    # are: every average is half that of the sign and half that of the linear channel.

    def free_entropy(self, gap: Scalar, rho: Scalar) -> Expr:
        """Return half that of the sign and half that of the linear channel."""
        sign = 2 * Mean(exp(LogH(_u / sqrt(gap))) * LogH(_u / sqrt(gap)), (_u, rho - gap))
        return (sign - log(2 * pi * gap) / 2 - S.Half) / 2

    def strength(self, gap: Scalar, rho: Scalar) -> Expr:
        """Return half that of the sign and half that of the linear channel."""
        part = LogH(_u / sqrt(gap))
        sign = 2 * Mean(exp(part) * part.diff(_u) ** 2, (_u, rho - gap))
        return (sign + 1 / gap) / 2

    def weak_recovery(self, rho: Scalar) -> Expr:
        """Return half of E (z^2/rho - 1)^2: only positive fields tell their size."""
        return S.One

    def mean_label(self, mean: Scalar, variance: Scalar) -> Expr:
        """Return the mean of the positive part of a Gaussian."""
        x = -mean / sqrt(variance)
        return mean * exp(LogH(x)) + sqrt(variance) * exp(-(x**2) / 2) / sqrt(2 * pi)

    def squared_error(self, gap: Scalar, rho: Scalar) -> Expr:
        """Return the mean variance of the positive part."""
        x = -_u / sqrt(gap)
        density = exp(-(x**2) / 2) / sqrt(2 * pi)
        second = (_u**2 + gap) * exp(LogH(x)) + _u * sqrt(gap) * density
        return Mean(second - self.mean_label(_u, gap) ** 2, (_u, rho - gap))

    def sample(self, rng: np.random.Generator, z: Array, controls: Mapping[str, float]) -> Array:
        """Return the positive part of z."""
        return np.maximum(z, 0.0)


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
    >>> from sympy import symbols
    >>> Linear().strength(*symbols("D rho"))
    1/(D + Delta)
    """
    return _Linear(
        "linear",
        dimension=S.One,
        noise=Delta,
        residual=Delta,
        controls=FrozenMapping({"Delta": _NOISE}),
    )


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
    >>> Logistic().deterministic
    False
    """
    return _Logistic("logistic", (-1, 1), deterministic=False)


def Step() -> Constraint:
    """Return the fields of positive sign beyond a margin, z > kappa.

    Examples
    --------
    >>> Step().satisfied([-0.5, 0.5], 0).tolist()
    [False, True]
    """
    above = _Beyond("beyond", (-1, 1), jumps=True, controls=FrozenMapping({"kappa": _MARGIN}))
    return Constraint("step", above, 1, "kappa", is_half_line=True)


def Rectangle() -> Constraint:
    r"""Return the fields inside a door, \|z\| < kappa.

    Examples
    --------
    >>> Rectangle().satisfied([-2.0, 0.5], 1).tolist()
    [False, True]
    """
    return Constraint("rectangle", Door(), -1, "K")


def Outside() -> Constraint:
    r"""Return the fields outside a door, \|z\| > kappa.

    Examples
    --------
    >>> Outside().satisfied([-2.0, 0.5], 1).tolist()
    [True, False]
    """
    return Constraint("u", Door(), 1, "K")


BLOCKS = (
    Linear(),
    Sign(),
    Absolute(),
    ComplexAbsolute(),
    Door(),
    ReLU(),
    Logistic(),
    Probit(),
    Step(),
    Rectangle(),
    Outside(),
)
