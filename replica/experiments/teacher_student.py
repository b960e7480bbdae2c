r"""Planted models by drawn instances: a teacher, its labels, and approximate message passing.

An instance is a teacher :math:`w^*`, an endless list of patterns with entries N(0, 1/p) and their
labels; a point of the grid sees the first n of them.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from replica.declarations.experiment import TeacherStudent
from replica.declarations.reading import resolve
from replica.errors import ControlError
from replica.experiments.amp import Inference, Settings, infer
from replica.experiments.checks import (
    each_instance,
    instance_streams,
    one_number,
    pattern_grid,
    positive_integer,
)
from replica.experiments.planted import PlantedModel, fields_of_new_patterns, planted_model
from replica.experiments.result import Experiment, averaged, mean_with_error
from replica.solvers.solution import Status

__all__ = ["simulate_teacher_student"]

FloatArray = NDArray[np.float64]

_LARGEST_P = 10**8
_LARGEST_INSTANCES = 10**6
_LARGEST_SIZE = 10**9  # entries of X: 8 GB
_NEW_PATTERNS = 2000
_METHOD = "approximate message passing"


def simulate_teacher_student(
    formula: Any,
    *,
    p: int,
    alpha: ArrayLike | None = None,
    n: ArrayLike | None = None,
    instances: int = 10,
    rng: int | np.random.Generator | None = 0,
    progress: Callable[[int, int], None] | None = None,
    max_steps: int = 500,
    damping: float = 0.0,
    tolerance: float = 1e-6,
    **options_and_controls: Any,
) -> Experiment:
    r"""Draw teachers and labels, infer the weights, and measure what was learned.

    .. math:: w^*_i \sim P_w, \quad X_{\mu i} \sim \mathcal N(0, 1/p), \quad
       y_\mu \sim P(y \,|\, X_\mu \cdot w^*), \quad \mu = 1, \dots, n = \alpha p

    with the posterior means a of `amp`. The observables have the names and the meaning of the
    theory's: ``m`` = a.w*/p, ``q`` = a.a/p, ``mse`` = \|a - w*\|^2/p (the first and the last up
    to the sign of all weights, where labels and prior leave it free), ``label_error`` = the mean
    squared error of the predicted labels E[y \| data] of 2000 new patterns and, for labels -1 and
    1, ``eps_bayes`` = the fraction of them whose sign is not that of the more likely label of the
    teacher's field; besides ``steps`` and ``converged``, the fraction of instances that did.

    Parameters
    ----------
    formula : Formula or Family
        With a `TeacherStudent`.
    p : int
        Number of weights; n p entries of X are held in memory.
    alpha, n : float or int, or array
        The grid, n = round(alpha p); one of them is needed.
    instances, rng, progress, **options_and_controls
        As of `replica.simulate`.
    max_steps, damping, tolerance
        As of `amp`. Instances that diverge are left out of all means but that of ``converged``.

    Returns
    -------
    Experiment
        With ``overlap_by_step``, the mean of m after each step.

    Raises
    ------
    ControlError
        The formula has no such experiment, the grid is missing, or a value is outside its range.

    References
    ----------
    Rangan, arXiv:1010.5141; Javanmard and Montanari, arXiv:1211.5164.

    Examples
    --------
    >>> import replica as rp
    >>> result = simulate_teacher_student(
    ...     rp.formulas["bayes-optimal-glm"], p=500, alpha=1.8, instances=3
    ... )  # Rademacher weights, sign labels; alpha_AMP = 1.493
    >>> result["m"].tolist(), result["eps_bayes"].tolist()
    ([1.0], [0.0])
    """
    resolved, controls = resolve(formula, dict(options_and_controls), optional={"alpha"})
    where = f"simulate {resolved.name}"
    experiment = resolved.experiment
    if not isinstance(experiment, TeacherStudent):
        raise ControlError(f"{where}: the formula declares no teacher and student")
    used = {name: one_number(name, value, where) for name, value in controls.items()}
    used.pop("alpha", None)
    p = positive_integer("p", p, where, largest=_LARGEST_P, reason="X would not fit in memory")
    grid = pattern_grid(where, p, alpha, n, _LARGEST_SIZE)
    instances = positive_integer("instances", instances, where, largest=_LARGEST_INSTANCES)
    settings = Settings.checked(where, max_steps, damping, tolerance)
    model = planted_model(
        where,
        experiment.prior,
        experiment.channel,
        _controls_of_blocks(where, experiment, used),
    )
    seed, streams = instance_streams(where, rng, instances)
    outcomes = each_instance(
        lambda stream: _run(model, p, grid, settings, stream), streams, progress
    )
    points = [[point.observables for point in instance] for instance in outcomes]
    observables, errors = averaged(points, fractions={"converged"})
    by_step, by_step_error = _by_step(outcomes)
    return Experiment(
        formula=resolved.name,
        options=dict(resolved.options),
        controls=used,
        method=_METHOD,
        p=p,
        instances=instances,
        seed=seed,
        n=np.array(grid, dtype=np.int64),
        observables=observables,
        errors=errors,
        overlap_by_step=by_step,
        overlap_by_step_error=by_step_error,
    )


def _controls_of_blocks(
    where: str, experiment: TeacherStudent, used: dict[str, float]
) -> dict[str, float]:
    """Return the controls that prior and channel have; those of the theory alone stay behind."""
    plain = planted_model(where, experiment.prior, experiment.channel, {})
    return {name: value for name, value in used.items() if name in plain.controls}


@dataclass(frozen=True)
class _Point:
    """One instance at one n: its observables (NaN if it diverged) and m after each step."""

    observables: dict[str, float]
    overlaps: tuple[float, ...]


def _run(
    model: PlantedModel,
    p: int,
    grid: Sequence[int],
    settings: Settings,
    stream: np.random.Generator,
) -> list[_Point]:
    # a stream for each purpose, so that an instance does not depend on the grid
    teacher_rng, pattern_rng, label_rng, start_rng, new_rng = stream.spawn(5)
    teacher = model.draw_weights(teacher_rng, p)
    X = pattern_rng.standard_normal((max(grid), p))
    X /= math.sqrt(p)
    y = model.draw_labels(label_rng, X @ teacher)
    points = []
    for n in grid:
        overlaps: list[float] = []

        def observe(_: int, mean: FloatArray, overlaps: list[float] = overlaps) -> None:
            m = float(mean @ teacher) / p
            overlaps.append(abs(m) if model.sign_is_free else m)

        found = infer(model, X[:n], y[:n], settings, copy.deepcopy(start_rng), observe)
        measured = _measure(found, teacher, copy.deepcopy(new_rng))
        if found.status is Status.DIVERGED:
            measured = dict.fromkeys(measured, math.nan)
            overlaps = [math.nan]
        measured["converged"] = float(found.converged)
        points.append(_Point(measured, tuple(overlaps)))
    return points


def _measure(found: Inference, teacher: FloatArray, rng: np.random.Generator) -> dict[str, float]:
    model, mean, p = found.model, found.mean, teacher.size
    m, q, rho = found.overlap(teacher), float(mean @ mean) / p, float(teacher @ teacher) / p
    measured = {"m": m, "q": q, "mse": max(q - 2 * m + rho, 0.0)}
    student, fields = fields_of_new_patterns(rng, float(mean @ teacher) / p, q, rho, _NEW_PATTERNS)
    labels = model.draw_labels(rng, fields)
    predicted = model.predicted_label(student, float(found.variance.mean()))
    measured["label_error"] = float(np.mean((predicted - labels) ** 2))
    if sorted(float(own) for own in model.channel.labels) == [-1.0, 1.0]:
        likely = np.sign(model.predicted_label(fields, 0.0))
        # an undecided prediction is wrong half of the time
        measured["eps_bayes"] = float(np.mean((1 - np.sign(predicted) * likely) / 2))
    measured["steps"] = float(found.steps)
    return measured


def _by_step(outcomes: Sequence[Sequence[_Point]]) -> tuple[FloatArray, FloatArray]:
    """Return mean and error of m after each step; an instance that has stopped keeps its last."""
    length = max(len(point.overlaps) for points in outcomes for point in points)
    table = np.array(
        [
            [np.pad(point.overlaps, (0, length - len(point.overlaps)), mode="edge") for point in p]
            for p in outcomes
        ]
    )
    return mean_with_error(table)
