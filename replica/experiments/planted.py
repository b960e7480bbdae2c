"""A planted model in numbers: what a prior and a channel are to arrays of weights and labels.

Everything is derived from the log-partitions of the two blocks and compiled once per block; the
blocks themselves stay sympy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import cumulative_simpson
from sympy import Dummy, Expr, S, Symbol, exp

from replica.blocks.channel import Channel, V, omega, y
from replica.blocks.priors import Prior
from replica.blocks.written_channels import ContinuousChannelLaw
from replica.declarations.numbers import read_number
from replica.errors import ControlError, DeclarationError, UnknownName
from replica.experiments.checks import one_number, shown
from replica.language.rewriting import stabilise
from replica.numerics.kernel import Kernel, compile_kernel

__all__ = [
    "PATTERNS_LEFT",
    "SMALLEST_VARIANCE",
    "PlantedModel",
    "fields_of_new_patterns",
    "planted_model",
]

FloatArray = NDArray[np.float64]

# Labels at which a density is tabulated, from -200 to 200 in units of its scale.
_SINH_RANGE, _LABELS = 6.0, 2401

_field, _precision = Dummy("r", real=True), Dummy("g", positive=True)
# Derivatives of means over the field (logistic, discrete channels) have all their digits with
# half of the default nodes: 2e-15 measured from V = 1e-20 to 1, against rules four times finer.
_REFINEMENT = -1
PATTERNS_LEFT = 5.0
"""Patterns of discrete labels that still tell something have a field of the order sqrt(V). Where
sqrt(V) is below this number divided by n, there is none among n patterns, and V is not lowered."""
# The sign of a mean over the patterns counts as known beyond this many standard errors.
_SIGNIFICANT = 3.0
# Below this precision (times the prior's variance) the data say nothing; log-partitions of
# continuous priors lose eps/g^2 of the variance there.
_SMALLEST_PRECISION = 1e-5
SMALLEST_VARIANCE = 1e-20
"""Of a field, in units of the prior's: below it is as good as known; zero would divide by zero."""


def fields_of_new_patterns(
    rng: np.random.Generator, m: float, q: float, rho: float, count: int
) -> tuple[FloatArray, FloatArray]:
    """Draw fields of student and teacher.

    New Gaussian patterns enter by these alone, and they are jointly Gaussian with covariances
    q, m and rho: drawing them is drawing the patterns.
    """
    first, second = rng.standard_normal((2, count))
    slope = m / math.sqrt(q) if q > 0 else 0.0
    teacher = slope * first + math.sqrt(max(rho - slope**2, 0.0)) * second
    return math.sqrt(q) * first, teacher


@dataclass(frozen=True)
class PlantedModel:
    r"""A prior and a channel at given controls, as functions of arrays.

    .. math:: w_i \sim P_w, \qquad y_\mu \sim P(y \,|\, X_\mu \cdot w)

    Attributes
    ----------
    prior : Prior
    channel : Channel
    controls : mapping of str to float
        Of both blocks.
    """

    prior: Prior
    channel: Channel
    controls: Mapping[str, float]

    @cached_property
    def second_moment(self) -> float:
        """Return rho = E w^2."""
        return self._number(self.prior.second_moment)

    @cached_property
    def mean(self) -> float:
        """Return E w."""
        return self._number(self.prior.mean)

    @property
    def variance(self) -> float:
        """Return the variance of a weight before any label is seen."""
        return self.second_moment - self.mean**2

    @property
    def sign_is_free(self) -> bool:
        """Whether neither the labels nor the prior's mean tell w from -w."""
        return self.channel.even and self.mean == 0

    @property
    def adapts_damping(self) -> bool:
        """Whether damping is raised where the estimate swings or wanders (see `Swings`)."""
        return True

    @property
    def title(self) -> str:
        """Words for messages and tables."""
        controls = "".join(f", {name} = {value:g}" for name, value in self.controls.items())
        return f"{self.prior.name} weights, {self.channel.name} labels{controls}"

    @property
    def unit(self) -> float:
        """One, as a variance of the field."""
        return 1.0

    @property
    def continuous_labels(self) -> bool:
        """Whether labels are continuous, so that their scatter can contradict the model."""
        return not self.channel.labels

    def start(self, rng: np.random.Generator, p: int) -> tuple[FloatArray, FloatArray]:
        """Return means and variances of p weights before any label is seen.

        Where the sign of all weights is free, their mean is a fixed point of message passing, and
        the start is sqrt(variance/p) away from it. This size makes |a|^2 and the overlap of a
        random guess agree, as they would for a posterior; a larger start looks more certain than
        it is, and may be trapped.
        """
        mean = np.full(p, self.mean)
        if self.sign_is_free:
            mean += math.sqrt(self.variance / p) * rng.standard_normal(p)
        return mean, np.full(p, self.variance)

    def least_variance(self, n: int) -> float:
        """Return the variance of a field below which n patterns tell nothing more."""
        discrete = self.channel.dimension == 0
        return self.variance * ((PATTERNS_LEFT / n) ** 2 if discrete else SMALLEST_VARIANCE)

    def at_least(self, variance: float, least: float) -> float:
        """Return the larger of the two."""
        return max(variance, least)

    def mean_variance(self, variance: FloatArray) -> float:
        """Return the mean over the weights."""
        return float(variance.mean())

    def precision(self, message: FloatArray, slope: FloatArray, p: int) -> float:
        """Return A, which is -sum(slope)/p, and positive.

        At the start of a channel whose log-partition is not concave (abs, door) the sum is a
        fluctuation with any sign. There the mean of squares takes its place, which has the same
        expectation; but not beyond the prior's own precision, since it grows with what V has
        missed.

        Parameters
        ----------
        message, slope : ndarray, shape (n,)
            g and its derivative, of each pattern.
        p : int
            Number of weights.
        """
        curvature = -float(slope.sum()) / p
        error = float(slope.std()) * math.sqrt(slope.size) / p
        if curvature > _SIGNIFICANT * error:
            return curvature
        return max(curvature, min(float(message @ message) / p, 1 / self.variance))

    def _number(self, expression: Expr) -> float:
        known = {c.symbol: self.controls[name] for name, c in self.prior.controls.items()}
        return float(expression.subs(known))

    def _values(self, block: Prior | Channel) -> tuple[float, ...]:
        return tuple(self.controls[name] for name in block.controls)

    def denoise(self, field: FloatArray, precision: float) -> tuple[FloatArray, FloatArray]:
        """Return posterior means and variances of weights seen through Gaussian noise."""
        known = max(precision, _SMALLEST_PRECISION / self.variance)
        mean, variance = _denoiser(self.prior)(
            field, known, *self._values(self.prior), refinement=_REFINEMENT
        )
        return mean, np.maximum(variance, 0.0)

    def output(
        self, labels: FloatArray
    ) -> Callable[[FloatArray, float], tuple[FloatArray, FloatArray]]:
        """Return g_out and its derivative in omega, as a function of omega and V."""
        values = self._values(self.channel)
        cases: list[tuple[Any, Kernel]] = []
        for holds, kernel in _outputs(self.channel):
            members = np.flatnonzero(holds(labels))
            if members.size:
                whole = members.size == labels.size
                cases.append((slice(None) if whole else members, kernel))

        def evaluate(fields: FloatArray, variance: float) -> tuple[FloatArray, FloatArray]:
            result = np.full((2, labels.size), np.nan)
            for members, kernel in cases:
                result[:, members] = kernel(
                    labels[members], fields[members], variance, *values, refinement=_REFINEMENT
                )
            return result[0], result[1]

        return evaluate

    def predicted_label(self, fields: FloatArray, variance: float) -> FloatArray:
        """Return E[y | omega, V]."""
        known = max(variance, SMALLEST_VARIANCE * self.variance)
        kernel = _prediction(self.channel)
        (label,) = kernel(fields, known, *self._values(self.channel), refinement=_REFINEMENT)
        return np.asarray(label)

    def draw_weights(self, rng: np.random.Generator, p: int) -> FloatArray:
        """Draw a teacher."""
        try:
            return np.asarray(self.prior.sample(rng, p, self.controls), dtype=np.float64)
        except NotImplementedError:
            raise ControlError(
                f"the prior {self.prior.name} cannot be simulated: it has no method `sample`"
            ) from None

    def draw_labels(self, rng: np.random.Generator, fields: FloatArray) -> FloatArray:
        """Draw labels of the fields, from P(y|z) where the channel has no sampler of its own."""
        try:
            return np.asarray(self.channel.sample(rng, fields, self.controls), dtype=np.float64)
        except NotImplementedError:
            pass
        rank = rng.random(fields.shape)
        if isinstance(self.channel, ContinuousChannelLaw):
            return self._inverse_cumulative(self.channel, fields, rank)
        if not self.channel.labels:
            raise ControlError(
                f"the channel {self.channel.name} cannot be simulated: it has continuous "
                "labels and no method `sample`"
            )
        probabilities = _probabilities(self.channel)(fields, *self._values(self.channel))
        below = np.cumsum(probabilities, axis=0)[:-1]
        own = np.array([float(label) for label in self.channel.labels])
        return np.asarray(own[(below < rank).sum(axis=0)])

    def _inverse_cumulative(
        self, channel: ContinuousChannelLaw, fields: FloatArray, rank: FloatArray
    ) -> FloatArray:
        """Return where the cumulative law at each field reaches `rank`."""
        start = float(channel.support.start)
        reach = np.linspace(0.0 if np.isfinite(start) else -_SINH_RANGE, _SINH_RANGE, _LABELS)
        grid = float(channel.scale) * np.sinh(reach) + (start if np.isfinite(start) else 0.0)
        kernel, values = _density(channel), self._values(channel)
        drawn = np.empty(fields.size)
        for k, (field, u) in enumerate(zip(fields.ravel(), rank.ravel(), strict=True)):
            (density,) = kernel(grid, field, *values)
            below = cumulative_simpson(density, x=grid, initial=0.0)
            drawn[k] = np.interp(u * below[-1], np.maximum.accumulate(below), grid)
        return drawn.reshape(fields.shape)

    def check_labels(self, labels: FloatArray, where: str) -> None:
        """Refuse labels the channel cannot produce, naming the first."""
        wrong = np.flatnonzero(~np.asarray(self.channel.possible(labels), dtype=bool))
        if wrong.size:
            k = int(wrong[0])
            own = ", ".join(f"{float(one):g}" for one in self.channel.labels)
            signed = bool(self.channel.possible(np.array([-1.0]))[0])
            allowed = own or ("finite numbers" if signed else "finite numbers y >= 0")
            raise ControlError(
                f"{where}: y[{k}] = {labels[k]:g} is not a label of the channel "
                f"{self.channel.name} ({wrong.size} of {labels.size} are not); allowed: {allowed}"
            )


def planted_model(where: str, prior: Any, channel: Any, given: Mapping[str, Any]) -> PlantedModel:
    """Return the model of two blocks, or their names, with checked controls.

    Raises
    ------
    UnknownName
        For the name of a block or a control.
    ControlError
        For a control that is missing or outside its domain.
    DeclarationError
        For something that is no block.

    Examples
    --------
    >>> model = planted_model("example", "gauss-bernoulli", "sign", {"density": 0.3})
    >>> model.second_moment, dict(model.controls)
    (0.3, {'density': 0.3, 'Delta': 0.0})
    """
    own = Prior.shipped[prior] if isinstance(prior, str) else prior
    out = Channel.shipped[channel] if isinstance(channel, str) else channel
    for name, block, kind in (("prior", own, Prior), ("channel", out, Channel)):
        if not isinstance(block, kind):
            raise DeclarationError(
                f"{where}: {name} = {shown(block)} is neither a {kind.__name__} nor the name of one"
            )
    if out.parts != 1:
        raise ControlError(
            f"{where}: the channel {out.name} has complex fields; message passing and drawn "
            "instances are for real ones (the channel abs is its real form)"
        )
    declared = {**own.controls, **out.controls}
    for name in given:
        if name not in declared:
            raise UnknownName("control", name, declared, f"{own.name} with {out.name}")
    controls = {}
    for name, control in declared.items():
        value = given.get(name, control.default)
        if value is None:
            raise ControlError(f"{where}: control {name} is missing")
        controls[name] = one_number(name, read_number(value, control, where), where)
    return PlantedModel(own, out, controls)


# ---------------------------------------------------------------- derived and compiled once


def _symbols(block: Prior | Channel) -> tuple[Symbol, ...]:
    return tuple(control.symbol for control in block.controls.values())


def _twice(log_partition: Expr, variable: Symbol) -> tuple[Expr, Expr]:
    first = stabilise(log_partition).diff(variable)
    return first, first.diff(variable)


@lru_cache(maxsize=64)
def _denoiser(prior: Prior) -> Kernel:
    derivatives = _twice(prior.log_partition(_field, _precision), _field)
    return compile_kernel((_field, _precision, *_symbols(prior)), derivatives)


@lru_cache(maxsize=64)
def _outputs(channel: Channel) -> tuple[tuple[Callable[[Any], Any], Kernel], ...]:
    arguments = (y, omega, V, *_symbols(channel))
    return tuple(
        (holds, compile_kernel(arguments, _twice(log_partition, omega)))
        for holds, log_partition in channel.cases()
    )


@lru_cache(maxsize=64)
def _prediction(channel: Channel) -> Kernel:
    label = stabilise(channel.mean_label(omega, V))
    return compile_kernel((omega, V, *_symbols(channel)), (label,))


@lru_cache(maxsize=64)
def _probabilities(channel: Channel) -> Kernel:
    """P(y|z) of each label: the partition function of a field without variance."""
    each = tuple(exp(channel.log_partition(own, omega, S.Zero)) for own in channel.labels)
    return compile_kernel((omega, *_symbols(channel)), each)


@lru_cache(maxsize=64)
def _density(channel: ContinuousChannelLaw) -> Kernel:
    density = exp(channel.log_partition(y, omega, S.Zero))
    return compile_kernel((y, omega, *_symbols(channel)), (density,))
