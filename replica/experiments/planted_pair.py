"""A planted committee in numbers: two weights for each input, two fields for each pattern.

What `replica.experiments.planted` is for one field. The posterior of a pair of weights is the
prior's own; the derivatives of log Z_y in the fields follow from the channel and are compiled once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import symbols

from replica.blocks.committees import CommitteeChannel, PairPrior
from replica.errors import ControlError
from replica.experiments.planted import PATTERNS_LEFT, SMALLEST_VARIANCE
from replica.language.rewriting import stabilise
from replica.numerics.kernel import Kernel, compile_kernel

__all__ = ["PlantedPair"]

FloatArray = NDArray[np.float64]

_ALIGNED = 1 - 1e-10  # largest correlation of two fields: at one the integrals are singular


@dataclass(frozen=True)
class PlantedPair:
    r"""A prior of pairs and a channel of two fields, as functions of arrays.

    .. math:: w_i \sim P_w, \qquad y_\mu \sim P(y \,|\, X_\mu \cdot w), \qquad w_i \in R^2

    Attributes
    ----------
    prior : PairPrior
        Of two weights of mean zero and variance one.
    channel : CommitteeChannel
    controls : mapping of str to float
    """

    prior: PairPrior
    channel: CommitteeChannel
    controls: Mapping[str, float] = field(default_factory=dict)

    second_moment = 1.0
    variance = 1.0
    sign_is_free = False
    continuous_labels = False
    # measured: damped estimates of pairs swing more, and raising their damping stops them short
    adapts_damping = False

    @property
    def title(self) -> str:
        """Words for messages and tables."""
        return f"pairs of {self.prior.name} weights, {self.channel.name} labels"

    @property
    def unit(self) -> FloatArray:
        """One, as a covariance of the fields, shape (2, 2)."""
        return np.eye(2)

    def start(self, rng: np.random.Generator, p: int) -> tuple[FloatArray, FloatArray]:
        """Return means (p, 2) of the size of a guess, and their covariance.

        They are random: from equal units no iteration tells them apart.
        """
        return rng.standard_normal((p, 2)) / np.sqrt(p), np.eye(2)

    def least_variance(self, n: int) -> float:
        """Return the variance of a field below which n patterns tell nothing more."""
        return (PATTERNS_LEFT / n) ** 2

    def at_least(self, variance: FloatArray, least: float) -> FloatArray:
        """Return the covariance with this variance added along every direction."""
        return variance + least * np.eye(2)

    def mean_variance(self, variance: FloatArray) -> FloatArray:
        """Return the covariance (2, 2), which is a mean over the inputs."""
        return variance

    def precision(self, message: FloatArray, slope: FloatArray, p: int) -> FloatArray:
        """Return A = -sum(slope)/p, shape (2, 2); the posterior of a pair asks for no sign."""
        return np.asarray(-slope.sum(axis=0) / p)

    def output(
        self, labels: FloatArray
    ) -> Callable[[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]:
        """Return gradient (n, 2) and Hessian (n, 2, 2) of log Z_y, given fields and covariance."""
        members = [
            (labels == label, kernel)
            for label, kernel in zip(self.channel.labels, _derivatives(self.channel), strict=True)
        ]

        def evaluate(fields: FloatArray, covariance: FloatArray) -> tuple[FloatArray, FloatArray]:
            gradient, hessian = np.empty_like(fields), np.empty((len(fields), 2, 2))
            given = _correlated(covariance)
            for chosen, kernel in members:
                if chosen.any():
                    g1, g2, h11, h12, h22 = kernel(fields[chosen, 0], fields[chosen, 1], *given)
                    gradient[chosen] = np.stack([g1, g2], axis=1)
                    hessian[chosen] = np.stack([h11, h12, h12, h22], axis=1).reshape(-1, 2, 2)
            return gradient, hessian

        return evaluate

    def denoise(self, response: FloatArray, precision: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return posterior means (p, 2) and their mean covariance (2, 2)."""
        try:
            mean, covariance = self.prior.posterior(response, 0.5 * (precision + precision.T))
        except NotImplementedError:
            raise ControlError(
                f"the prior {self.prior} cannot be inferred: it has no method `posterior`"
            ) from None
        return np.asarray(mean), np.asarray(covariance)

    def predicted_label(self, fields: FloatArray, variance: FloatArray) -> FloatArray:
        """Return E[y] given the means (n, 2) of the fields and their covariance."""
        seen = self.at_least(variance, SMALLEST_VARIANCE)
        (label,) = _mean_label(self.channel)(fields[..., 0], fields[..., 1], *_correlated(seen))
        return np.asarray(label)

    def draw_weights(self, rng: np.random.Generator, p: int) -> FloatArray:
        """Draw the weights of two teachers, shape (p, 2)."""
        try:
            return np.asarray(self.prior.sample(rng, (p, 2)), dtype=float)
        except NotImplementedError:
            raise ControlError(
                f"the prior {self.prior} cannot be simulated: it has no method `sample`"
            ) from None

    def draw_labels(self, rng: np.random.Generator, fields: FloatArray) -> FloatArray:
        """Draw labels (n,) of fields (n, 2)."""
        return np.asarray(self.channel.sample(rng, fields), dtype=float)


# ---------------------------------------------------------------- derived and compiled once

_one, _two, _rho = symbols("omega_1 omega_2 rho", real=True)
_V1, _V2 = symbols("V_1 V_2", positive=True)


def _correlated(covariance: FloatArray) -> tuple[float, float, float]:
    """Return both variances and the correlation."""
    first, second = float(covariance[0, 0]), float(covariance[1, 1])
    rho = float(covariance[0, 1] + covariance[1, 0]) / 2 / np.sqrt(first * second)
    return first, second, float(np.clip(rho, -_ALIGNED, _ALIGNED))


@lru_cache(maxsize=16)
def _derivatives(channel: CommitteeChannel) -> tuple[Kernel, ...]:
    found: list[Kernel] = []
    for _, row in channel.table:
        part = stabilise(channel.log_partition(row, _one / _V1**0.5, _two / _V2**0.5, _rho))
        first = part.diff(_one), part.diff(_two)
        second = first[0].diff(_one), first[0].diff(_two), first[1].diff(_two)
        found.append(compile_kernel((_one, _two, _V1, _V2, _rho), (*first, *second)))
    return tuple(found)


@lru_cache(maxsize=16)
def _mean_label(channel: CommitteeChannel) -> Kernel:
    fields: tuple[Any, ...] = (_one / _V1**0.5, _two / _V2**0.5, _rho)
    total = sum(label * channel.probability(row, *fields) for label, row in channel.table)
    return compile_kernel((_one, _two, _V1, _V2, _rho), (total,))
