r"""Approximate message passing on one instance, for weights and fields of one or K components.

With the log-partitions L of prior and channel and V the mean posterior variance, one step is

.. math::
   \omega &= X a - V g, & g &= \partial_\omega L_y(\omega, V), &
   A &= -\tfrac1p \textstyle\sum_\mu \partial_\omega^2 L_{y_\mu}(\omega_\mu, V), \\
   r &= X^T g + A a, & a &= \partial_r L(r, A), &
   V &= \tfrac1p \textstyle\sum_i \partial_r^2 L(r_i, A).

The terms V g and A a are the Onsager terms: they take back what each variable told the others one
step before, and without them the overlap does not follow state evolution.

A generalised linear model has one weight for each input: a and r have the shape (p,), omega and g
the shape (n,), and V and A are numbers. A committee of K hidden units has K weights for each input:
then the shapes are (p, K), (n, K) and (K, K). What depends on the model is asked of it
(`MessagePassingModel`).

References
----------
Rangan, *Generalized approximate message passing*, arXiv:1010.5141. Javanmard and Montanari,
*State evolution for general approximate message passing algorithms*, arXiv:1211.5164. Aubin,
Maillard, Barbier, Krzakala, Macris and Zdeborová, arXiv:1806.05451, for K fields.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from replica.errors import ControlError, ConvergenceError
from replica.experiments.checks import instance_streams, one_number, positive_integer
from replica.experiments.damping import Swings, kept
from replica.experiments.patterns import check_data, real_array
from replica.experiments.planted import planted_model
from replica.solvers.solution import Status

__all__ = ["Inference", "MessagePassingModel", "Settings", "amp", "infer"]

FloatArray = NDArray[np.float64]
Variance = Any  # a number for one field, an array of shape (K, K) for K

# Variances are in units of the prior's. The weights count as recovered exactly where their mean
# posterior variance is below the first, and the labels ask to move the fields by no more than the
# second, mean square.
_RECOVERED = 1e-12
_ASKED = 1e-6
# Continuous labels contradict the model where E g^2 is this many times what the posterior expects.
_DISAGREEMENT = 10.0
# No posterior mean is this large, mean square, in units of rho.
_LARGEST_ESTIMATE = 100.0
# Rounding of the products with X keeps the estimate moving by about this many units.
_ROUNDING_UNITS = 100.0


class MessagePassingModel(Protocol):
    """A prior and a channel in numbers: what the iteration needs to know of them."""

    @property
    def title(self) -> str:
        """Words for messages and tables."""

    @property
    def unit(self) -> Variance:
        """One, as a variance of the fields: a number, or the identity of shape (K, K)."""

    @property
    def second_moment(self) -> float:
        """Second moment of one weight, before any label is seen."""

    @property
    def variance(self) -> float:
        """Variance of one weight, before any label is seen."""

    @property
    def sign_is_free(self) -> bool:
        """Whether neither the labels nor the prior tell w from -w."""

    @property
    def adapts_damping(self) -> bool:
        """Whether damping is raised where the estimate swings or wanders."""

    @property
    def continuous_labels(self) -> bool:
        """Whether labels scatter as numbers, so that their scatter can contradict the model."""

    def start(self, rng: np.random.Generator, p: int) -> tuple[FloatArray, FloatArray]:
        """Return the first means, (p,) or (p, K), and variances, as of `denoise`."""

    def least_variance(self, n: int) -> float:
        """Return the variance below which n patterns cannot tell a field."""

    def at_least(self, variance: Variance, least: float) -> Variance:
        """Return the variance of the fields, kept from vanishing."""

    def output(
        self, labels: FloatArray
    ) -> Callable[[FloatArray, Variance], tuple[FloatArray, FloatArray]]:
        """Return g and its derivative, (n,) or (n, K) and (n, K, K), given fields and variance."""

    def precision(self, message: FloatArray, slope: FloatArray, p: int) -> Variance:
        """Return A of messages g and their derivatives."""

    def denoise(self, field: FloatArray, precision: Variance) -> tuple[FloatArray, FloatArray]:
        """Return posterior means, and variances (p,) of each weight or their mean (K, K)."""

    def mean_variance(self, variance: FloatArray) -> Variance:
        """Return the mean of variances over the weights."""

    def predicted_label(self, fields: FloatArray, variance: Variance) -> FloatArray:
        """Return the mean label of new patterns, given the means of their fields."""


@dataclass(frozen=True, eq=False, repr=False)
class Inference:
    """Posterior means and variances of the weights of one instance.

    Attributes
    ----------
    mean : ndarray, shape (p,) or (p, K)
        Of each weight, given the data.
    variance : ndarray, shape (p,) or (K, K)
        Of each weight; of K weights for each input, the mean covariance over the inputs.
    status : Status
    steps : int
        Iterations taken.
    changes : ndarray, shape (steps,)
        Root mean square by which each step asked to change the mean, in standard deviations of
        the prior.
    model : PlantedModel or PlantedPair
        Prior, channel and their controls.
    note : str
        What happened, and the remedy where there is one.
    """

    mean: FloatArray
    variance: FloatArray
    status: Status
    steps: int
    changes: FloatArray
    model: Any
    note: str = ""

    @property
    def converged(self) -> bool:
        """Whether the status is CONVERGED."""
        return self.status is Status.CONVERGED

    def overlap(self, w_star: ArrayLike) -> float:
        r"""Return :math:`m = a \cdot w^* / p` with the teacher's weights.

        Its absolute value where the labels leave the sign of all weights free; the mean over K
        weights for each input, in the order in which they are.
        """
        teacher = np.asarray(w_star, dtype=np.float64)
        if teacher.shape != self.mean.shape:
            raise ControlError(
                f"overlap: w_star has shape {teacher.shape}, the estimate {self.mean.shape}"
            )
        m = float(self.mean.reshape(-1) @ teacher.reshape(-1)) / teacher.size
        return abs(m) if self.model.sign_is_free else m

    def predict(self, X_new: ArrayLike) -> FloatArray:
        r"""Return :math:`E[y \,|\, data]` of new patterns, the prediction of least squared error.

        Parameters
        ----------
        X_new : array, shape (k, p) or (p,)
            Patterns with entries of the same law as the data's.

        Returns
        -------
        ndarray, shape (k,) or ()
        """
        patterns = real_array("predict", "X_new", X_new, None)
        if patterns.ndim not in (1, 2) or patterns.shape[-1] != len(self.mean):
            raise ControlError(
                f"predict: X_new has shape {patterns.shape}; allowed: (k, {len(self.mean)}), a "
                "pattern in each row"
            )
        fields = np.asarray(patterns @ self.mean.astype(patterns.dtype), dtype=np.float64)
        if not np.isfinite(fields).all():
            raise ControlError("predict: X_new has entries that are not finite")
        predicted: FloatArray = self.model.predicted_label(
            fields, self.model.mean_variance(self.variance)
        )
        return predicted

    def __repr__(self) -> str:
        q = _square(self.mean) / self.mean.size
        variance = _total(self.model.mean_variance(self.variance)) / _total(self.model.unit)
        lines = [
            self.model.title,
            f"  p            {len(self.mean)}",
            f"  q = |a|^2/p  {q:.6g}",
            f"  variance     {variance:.6g}",
            f"  status       {self.status.name.lower()} after {self.steps} steps",
        ]
        return "\n".join([*lines, f"  note         {self.note}"] if self.note else lines)


def amp(
    X: ArrayLike,
    y: ArrayLike,
    prior: Any,
    channel: Any,
    *,
    max_steps: int = 500,
    damping: float = 0.0,
    tolerance: float = 1e-6,
    dtype: DTypeLike | None = None,
    rng: int | np.random.Generator | None = 0,
    progress: Callable[[int, int], None] | None = None,
    check: bool = True,
    **controls: Any,
) -> Inference:
    r"""Estimate the weights of a generalised linear model from patterns and labels.

    .. math:: w_i \sim P_w, \qquad y_\mu \sim P(y \,|\, X_\mu \cdot w)

    by the iteration at the top of this module: posterior means a and variances, two products with
    X a step. For X with independent entries of mean zero and variance 1/p the overlap with the
    teacher follows state evolution from the uninformed start; the estimate is then Bayes-optimal
    except between alpha_IT and alpha_AMP.

    Parameters
    ----------
    X : array, shape (n, p)
        Patterns, with entries of mean 0 and variance 1/p.
    y : array, shape (n,)
        Labels.
    prior, channel : block or str
        Of `replica.blocks`, or the name of a shipped one, for instance ``"rademacher"``.
    max_steps : int
        Iterations after which to give up.
    damping : float
        Fraction of the old estimate (for even channels, of the old messages) kept in each step,
        from 0 to below 1. It changes the way, not the fixed points, and helps where X is not
        quite as above or p is small. An estimate that goes on swinging between two values raises
        it.
    tolerance : float
        Change of the means at which to stop: root mean square, in standard deviations of the
        prior.
    dtype : numpy dtype, optional
        float32 or float64, of the products with X; by default that of X. The rest is done in
        double precision always. In float32 half of the memory is read, and tolerances below 1e-5
        mean 1e-5.
    rng : int, numpy.random.Generator or None
        Seed of the start where the sign of all weights is free (even channels): there the mean of
        the prior is a fixed point, and the iteration starts sqrt(rho/p) away from it.
    progress : callable, optional
        Called with (steps done, max_steps) after each step.
    check : bool
        Raise if the iteration does not converge; otherwise return with the status.
    **controls : float
        Of prior and channel, for instance ``density=0.1``.

    Returns
    -------
    Inference

    Raises
    ------
    ControlError
        Shapes that do not fit, data that are not finite, labels the channel cannot produce.
    ConvergenceError
        With the Inference as ``.solution``.

    Warns
    -----
    UserWarning
        The entries of X do not have mean 0 and variance 1/p.

    Examples
    --------
    Above alpha_AMP = 1.493 binary weights are recovered exactly from the signs of their fields:

    >>> rng = np.random.default_rng(0)
    >>> w = rng.choice([-1.0, 1.0], size=1000)
    >>> X = rng.standard_normal((1700, 1000)) / np.sqrt(1000)
    >>> found = amp(X, np.sign(X @ w), "rademacher", "sign")
    >>> round(found.overlap(w), 9), found.note
    (1.0, 'exact recovery')
    """
    model = planted_model("amp", prior, channel, controls)
    patterns = real_array("amp", "X", X, dtype)
    labels = np.asarray(real_array("amp", "y", y, np.float64))
    check_data(patterns, labels)
    model.check_labels(labels, "amp")
    settings = Settings.checked("amp", max_steps, damping, tolerance)
    _, (stream,) = instance_streams("amp", rng, 1)

    def observe(step: int, _: FloatArray) -> None:
        if progress is not None and step:
            progress(step, settings.max_steps)

    found = infer(model, patterns, labels, settings, stream, observe)
    if check and not found.converged:
        n, p = patterns.shape
        raise ConvergenceError(
            f"amp ({model.prior.name}, {model.channel.name}) at n = {n}, p = {p}: "
            f"{found.status.name}, {found.note}",
            found,
        )
    return found


@dataclass(frozen=True)
class Settings:
    """When to stop, and how much of the old messages to keep."""

    max_steps: int = 500
    damping: float = 0.0
    tolerance: float = 1e-6

    @classmethod
    def checked(
        cls, where: str, max_steps: Any = 500, damping: Any = 0.0, tolerance: Any = 1e-6
    ) -> Settings:
        """Return the settings, refusing what has no meaning."""
        kept = one_number("damping", damping, where)
        if not 0 <= kept < 1:
            raise ControlError(f"{where}: damping = {kept:g}; allowed: 0 <= damping < 1")
        change = one_number("tolerance", tolerance, where)
        if change <= 0:
            raise ControlError(f"{where}: tolerance = {change:g}; allowed: tolerance > 0")
        return cls(positive_integer("max_steps", max_steps, where), kept, change)


def infer(
    model: MessagePassingModel,
    X: NDArray[Any],
    y: FloatArray,
    settings: Settings,
    rng: np.random.Generator,
    observe: Callable[[int, FloatArray], None] = lambda step, mean: None,
) -> Inference:
    """Iterate on data that are known to be good; `amp` is the checked front.

    Variances are the same number for all patterns, and for all weights: for independent entries
    of X their spread vanishes as 1/sqrt(p), state evolution does not know it, and neither X**2
    nor a third product with X is needed.

    Parameters
    ----------
    model : MessagePassingModel
    X : ndarray, shape (n, p)
        Contiguous; its dtype is that of the products.
    y : ndarray, shape (n,)
    settings : Settings
    rng : numpy.random.Generator
        For the start, where it is random.
    observe : callable
        Called with (step, mean), from step 0.

    Returns
    -------
    Inference
    """
    n, p = X.shape
    width, unit = model.variance, model.unit
    units = _total(unit)
    output = model.output(y)
    least = model.least_variance(n)
    tolerance = max(settings.tolerance, _ROUNDING_UNITS * float(np.finfo(X.dtype).eps))

    start = model.start(rng, p)
    mean, variance = start
    message: FloatArray = np.zeros((n, *mean.shape[1:]))
    spread, fresh_start = width * unit, True
    reaction, precision = 0.0 * unit, 0.0 * unit
    changes: list[float] = []
    swings = Swings(settings.damping)
    remedy = _remedy(settings.damping)
    observe(0, mean)

    def ended(status: Status, note: str = "") -> Inference:
        return Inference(mean, variance, status, len(changes), np.array(changes), model, note)

    def contradicted(asked: FloatArray, slope: FloatArray, known: Variance) -> bool:
        # a posterior has E g^2 = -E g'; only continuous labels can scatter more than that
        curvature = -_total(slope.mean(axis=0))
        if model.continuous_labels and _square(asked) / n > _DISAGREEMENT * curvature > 0:
            return True
        # a posterior has V E g^2 <= 1, so as V vanishes the labels ask for ever smaller changes
        moved = _square(np.dot(asked, known)) / n
        return bool(moved > _total(known) + _ASKED * width * units)

    for step in range(1, settings.max_steps + 1):
        kept_messages, kept_estimates = kept(
            0.0 if fresh_start else swings.damping, model.sign_is_free
        )
        fresh_start = False
        seen = model.at_least(spread, least)
        fields = _product(X, mean) - np.dot(message, seen)
        fresh, slope = output(fields, seen)
        message = _mixed(fresh, message, kept_messages)
        reaction = _mixed(-slope.sum(axis=0) / p, reaction, kept_messages)
        precision = _mixed(model.precision(fresh, slope, p), precision, kept_messages)
        response = _product(X.T, message) + np.dot(mean, reaction)
        denoised, new_variance = model.denoise(response, precision)
        largest = _LARGEST_ESTIMATE * model.second_moment * units
        if not (_square(denoised) / p <= largest and np.isfinite(new_variance).all()):
            return ended(Status.DIVERGED, f"the estimate diverged at step {step}: {remedy}")
        left = model.mean_variance(new_variance)
        # The variance can vanish while a weight is wrong. Then the labels still ask for a change,
        # and the iteration goes on until they do not.
        if _total(left) < _RECOVERED * width:
            known = max(_RECOVERED * width, least) * unit
            if not contradicted(*output(_product(X, denoised), known), known):
                changes.append(_change(denoised, mean, width))
                mean, variance = denoised, new_variance
                observe(step, mean)
                return ended(Status.CONVERGED, _EXACT)
        change = _change(denoised, mean, width)
        lost = model.adapts_damping and swings.see(denoised - mean, change)
        mean, variance = _mixed(denoised, mean, kept_estimates), new_variance
        spread = _mixed(left, spread, kept_estimates)
        changes.append(change)
        observe(step, mean)
        if change < tolerance:
            if _total(spread) < _ASKED * width and contradicted(fresh, slope, seen):
                note = f"at step {step} no variance is left and the labels disagree: {remedy}"
                return ended(Status.DIVERGED, note)
            # Close to full recovery the error falls with the changes, so at the end its square is
            # of the order of the tolerance squared.
            exact = _total(spread) < (10 * tolerance) ** 2 * width
            return ended(Status.CONVERGED, _EXACT if exact else "")
        # Damping that starts late does not undo what the iteration did without it: start again.
        if lost:
            (mean, variance), spread, fresh_start = start, width * unit, True
            message = np.zeros_like(message)
    note = (
        f"the last of {settings.max_steps} steps changed the estimate by {changes[-1]:.1e}: raise "
        f"max_steps or, if `changes` does not fall, {remedy}"
    )
    return ended(Status.MAX_STEPS, note)


_EXACT = "exact recovery"


def _remedy(damping: float) -> str:
    more = 0.3 if damping < 0.3 else 1 - (1 - damping) / 2
    return f"use damping={more:.3g}, and see that X has entries of mean 0 and variance 1/p"


def _change(new: FloatArray, old: FloatArray, width: float) -> float:
    return math.sqrt(float(np.mean((new - old) ** 2)) / width)


def _mixed(new: Any, old: Any, kept: float) -> Any:
    return new if kept == 0 else (1 - kept) * new + kept * old


def _product(matrix: NDArray[Any], vector: FloatArray) -> FloatArray:
    with np.errstate(all="ignore"):  # an overflow is found in the estimate
        return np.asarray(matrix @ vector.astype(matrix.dtype, copy=False), dtype=np.float64)


def _square(values: FloatArray) -> float:
    """Return the sum of squares of all entries."""
    flat = values.reshape(-1)
    return float(flat @ flat)


def _total(variance: Variance) -> float:
    """Return the sum of the variances of the fields: the number itself, or the trace."""
    return float(np.trace(variance)) if np.ndim(variance) else float(variance)
