r"""Message passing with vectors: two hidden units learned on drawn instances.

Row i of a (p, 2) is the posterior mean of the two weights of input i, and V (2, 2) the mean
posterior covariance. One step is

.. math::
   \omega &= X a - g V, & g &= \nabla_\omega \log Z_y(\omega, V), &
   A &= -\tfrac1p \textstyle\sum_\mu \nabla^2_\omega \log Z_{y_\mu}(\omega_\mu, V), \\
   R &= X^T g + a A, & a &= E[w \,|\, R, A], &
   V &= \tfrac1p \textstyle\sum_i \mathrm{Cov}[w \,|\, R_i, A].

References
----------
Aubin, Maillard, Barbier, Krzakala, Macris and Zdeborová, arXiv:1806.05451.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sympy import symbols

from replica.blocks.committees import CommitteeChannel, PairPrior
from replica.declarations.experiment import CommitteeStudent
from replica.declarations.reading import resolve
from replica.errors import ControlError
from replica.experiments.amp import Settings
from replica.experiments.checks import (
    each_instance,
    instance_streams,
    pattern_grid,
    positive_integer,
)
from replica.experiments.result import Experiment, averaged
from replica.language.rewriting import stabilise
from replica.numerics.kernel import Kernel, compile_kernel
from replica.solvers.solution import Status

__all__ = ["CommitteeInference", "infer_committee", "simulate_committee"]

FloatArray = NDArray[np.float64]

_METHOD = "approximate message passing with vectors"
_LARGEST_P, _LARGEST_INSTANCES, _LARGEST_SIZE = 10**8, 10**6, 10**9
_NEW_PATTERNS = 20_000
_RECOVERED = 1e-12  # mean posterior variance below which the weights are known
_PATTERNS_LEFT = 5.0  # patterns that still tell something have |field| ~ sqrt(V)
_ALIGNED = 1 - 1e-10  # correlation of two fields, short of one
_LARGEST_ESTIMATE = 100.0


@dataclass(frozen=True, eq=False, repr=False)
class CommitteeInference:
    """Posterior means (p, 2) and mean covariance (2, 2) of the weights of one instance."""

    mean: FloatArray
    covariance: FloatArray
    status: Status
    steps: int

    def overlaps(self, w_star: FloatArray) -> tuple[float, float]:
        """Return q00 and q01 with the teacher's weights, its units exchanged where that is more."""
        matrix = self.mean.T @ w_star / len(w_star)
        same, other = (float(np.trace(m)) / 2 for m in (matrix, matrix[:, ::-1]))
        return max(same, other), min(same, other)


def infer_committee(
    X: FloatArray,
    y: FloatArray,
    prior: PairPrior,
    channel: CommitteeChannel,
    settings: Settings,
    rng: np.random.Generator,
) -> CommitteeInference:
    """Iterate on the patterns and labels of one instance.

    The start is random, of the size of a guess: from equal units no iteration tells them apart.

    Parameters
    ----------
    X : ndarray, shape (n, p)
    y : ndarray, shape (n,)
    prior, channel : blocks
    settings : Settings
        Steps, damping of the estimate and tolerance, as of `amp`.
    rng : numpy.random.Generator
        For the start.
    """
    n, p = X.shape
    least = (_PATTERNS_LEFT / n) ** 2
    mean = rng.standard_normal((p, 2)) / np.sqrt(p)
    covariance, message = np.eye(2), np.zeros((n, 2))
    for step in range(1, settings.max_steps + 1):
        kept = settings.damping if step > 1 else 0.0
        seen = covariance + least * np.eye(2)
        fields = X @ mean - message @ seen
        message, curvature = _output(channel, y, fields, seen)
        precision = -curvature.sum(axis=0) / p
        response = X.T @ message + mean @ precision
        fresh, spread = _denoise(prior, response, precision)
        if not np.isfinite(fresh).all() or np.mean(fresh**2) > _LARGEST_ESTIMATE:
            return CommitteeInference(mean, covariance, Status.DIVERGED, step)
        change = float(np.sqrt(np.mean((fresh - mean) ** 2)))
        mean = (1 - kept) * fresh + kept * mean
        covariance = (1 - kept) * spread + kept * covariance
        if change < settings.tolerance or np.trace(spread) < _RECOVERED:
            return CommitteeInference(mean, covariance, Status.CONVERGED, step)
    return CommitteeInference(mean, covariance, Status.MAX_STEPS, settings.max_steps)


def _denoise(
    prior: PairPrior, response: FloatArray, precision: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return posterior means (p, 2) and their mean covariance (2, 2)."""
    try:
        mean, covariance = prior.posterior(response, 0.5 * (precision + precision.T))
    except NotImplementedError:
        raise ControlError(
            f"the prior {prior} cannot be inferred: it has no method `posterior`"
        ) from None
    return np.asarray(mean), np.asarray(covariance)


def _drawn(prior: PairPrior, rng: np.random.Generator, p: int) -> FloatArray:
    try:
        return np.asarray(prior.sample(rng, (p, 2)), dtype=float)
    except NotImplementedError:
        raise ControlError(
            f"the prior {prior} cannot be simulated: it has no method `sample`"
        ) from None


def _output(
    channel: CommitteeChannel, labels: FloatArray, fields: FloatArray, covariance: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the gradient (n, 2) and the Hessian (n, 2, 2) of log Z_y in the fields."""
    gradient, hessian = np.empty_like(fields), np.empty((len(fields), 2, 2))
    given = _correlated(covariance)
    for label, kernel in zip(channel.labels, _derivatives(channel), strict=True):
        chosen = labels == label
        if chosen.any():
            g1, g2, h11, h12, h22 = kernel(fields[chosen, 0], fields[chosen, 1], *given)
            gradient[chosen] = np.stack([g1, g2], axis=1)
            hessian[chosen] = np.stack([h11, h12, h12, h22], axis=1).reshape(-1, 2, 2)
    return gradient, hessian


def _correlated(covariance: FloatArray) -> tuple[float, float, float]:
    """Return both variances and the correlation."""
    first, second = float(covariance[0, 0]), float(covariance[1, 1])
    rho = float(covariance[0, 1] + covariance[1, 0]) / 2 / np.sqrt(first * second)
    return first, second, float(np.clip(rho, -_ALIGNED, _ALIGNED))


_one, _two, _rho = symbols("omega_1 omega_2 rho", real=True)
_V1, _V2 = symbols("V_1 V_2", positive=True)


@lru_cache(maxsize=16)
def _derivatives(channel: CommitteeChannel) -> tuple[Kernel, ...]:
    found = []
    for _, row in channel.table:
        part = stabilise(channel.log_partition(row, _one / _V1**0.5, _two / _V2**0.5, _rho))
        first = part.diff(_one), part.diff(_two)
        second = first[0].diff(_one), first[0].diff(_two), first[1].diff(_two)
        found.append(compile_kernel((_one, _two, _V1, _V2, _rho), (*first, *second)))
    return tuple(found)


@lru_cache(maxsize=16)
def _mean_label(channel: CommitteeChannel) -> Kernel:
    fields = _one / _V1**0.5, _two / _V2**0.5, _rho
    total = sum(label * channel.probability(row, *fields) for label, row in channel.table)
    return compile_kernel((_one, _two, _V1, _V2, _rho), (total,))


# ---- instances ----------------------------------------------------------------------------------


def simulate_committee(
    formula: Any,
    *,
    p: int,
    alpha: ArrayLike | None = None,
    n: ArrayLike | None = None,
    instances: int = 10,
    rng: int | np.random.Generator | None = 0,
    progress: Callable[[int, int], None] | None = None,
    max_steps: int = 1000,
    damping: float = 0.0,
    tolerance: float = 1e-6,
    **options_and_controls: Any,
) -> Experiment:
    r"""Draw pairs of teachers and their labels, infer the weights, and measure what was learned.

    The observables are the theory's: ``q00`` and ``q01``, the mean overlap of a unit with its
    teacher and with the other, up to the exchange of the units, and ``eps_g`` = E(y - <y>)^2 / 2
    on new patterns; besides ``steps`` and ``converged``.

    Parameters
    ----------
    formula : Formula or Family
        With a `CommitteeStudent`.
    p : int
        Number of inputs; n p entries of X are held in memory.
    alpha, n, instances, rng, progress, **options_and_controls
        As of `replica.simulate`.
    max_steps, damping, tolerance
        As of `amp`. Instances that diverge are left out of all means but that of ``converged``.

    Returns
    -------
    Experiment

    Raises
    ------
    ControlError
        The formula has no such experiment, the grid is missing, or a value is outside its range.

    Examples
    --------
    >>> import replica as rp
    >>> result = simulate_committee(rp.formulas["committee-machine"], p=300, alpha=1, instances=2)
    >>> result["converged"].tolist()
    [1.0]
    """
    resolved, _ = resolve(formula, dict(options_and_controls), optional={"alpha"})
    where = f"simulate {resolved.name}"
    experiment = resolved.experiment
    if not isinstance(experiment, CommitteeStudent):
        raise ControlError(f"{where}: the formula declares no committee")
    p = positive_integer("p", p, where, largest=_LARGEST_P, reason="X would not fit in memory")
    grid = pattern_grid(where, p, alpha, n, _LARGEST_SIZE)
    instances = positive_integer("instances", instances, where, largest=_LARGEST_INSTANCES)
    settings = Settings.checked(where, max_steps, damping, tolerance)
    seed, streams = instance_streams(where, rng, instances)
    outcomes = each_instance(
        lambda stream: _run(experiment, p, grid, settings, stream), streams, progress
    )
    observables, errors = averaged(outcomes, fractions={"converged"})
    return Experiment(
        formula=resolved.name,
        options=dict(resolved.options),
        controls={},
        method=_METHOD,
        p=p,
        instances=instances,
        seed=seed,
        n=np.array(grid, dtype=np.int64),
        observables=observables,
        errors=errors,
    )


def _run(
    experiment: CommitteeStudent,
    p: int,
    grid: tuple[int, ...],
    settings: Settings,
    rng: np.random.Generator,
) -> list[dict[str, float]]:
    """Return what is measured at each point of the grid; a point sees the first n patterns."""
    prior, channel = experiment.prior, experiment.channel
    teacher = _drawn(prior, rng, p)
    X = rng.standard_normal((max(grid), p)) / np.sqrt(p)
    labels = np.asarray(channel.sample(rng, X @ teacher), dtype=float)
    measured = []
    for n in grid:
        found = infer_committee(X[:n], labels[:n], prior, channel, settings, rng)
        if found.status is Status.DIVERGED:
            names = ("q00", "q01", "eps_g", "steps")
            measured.append({**dict.fromkeys(names, np.nan), "converged": 0.0})
            continue
        q00, q01 = found.overlaps(teacher)
        measured.append(
            {
                "q00": q00,
                "q01": q01,
                "eps_g": _error(channel, found, teacher, rng),
                "steps": float(found.steps),
                "converged": float(found.status is Status.CONVERGED),
            }
        )
    return measured


def _error(
    channel: CommitteeChannel,
    found: CommitteeInference,
    teacher: FloatArray,
    rng: np.random.Generator,
) -> float:
    """Return half the squared error of the mean label on new patterns."""
    # new Gaussian patterns enter by four jointly Gaussian fields: drawing them is enough
    both = np.concatenate([teacher, found.mean], axis=1)
    values, vectors = np.linalg.eigh(both.T @ both / len(teacher))
    drawn = rng.standard_normal((_NEW_PATTERNS, 4)) * np.sqrt(np.maximum(values, 0.0))
    fields = drawn @ vectors.T
    labels = channel.sample(rng, fields[:, :2])
    seen = found.covariance + 1e-20 * np.eye(2)
    (expected,) = _mean_label(channel)(fields[:, 2], fields[:, 3], *_correlated(seen))
    return float(np.mean((labels - expected) ** 2) / 2)
