r"""Planted models by drawn instances: a teacher, its labels, and approximate message passing.

An instance is a teacher :math:`w^*`, an endless list of patterns with entries N(0, 1/p) and their
labels; a point of the grid sees the first n of them.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from replica.blocks.channel import Channel
from replica.blocks.priors import Prior
from replica.declarations.frozen import FrozenMapping
from replica.experiments.amp import Inference, Settings, infer
from replica.experiments.driver import Measured, Request, Simulation, register_simulation
from replica.experiments.planted import fields_of_new_patterns, planted_model
from replica.experiments.result import averaged, mean_with_error
from replica.solvers.solution import Status

__all__ = ["TeacherStudent"]

FloatArray = NDArray[np.float64]

_NEW_PATTERNS = 2000


@dataclass(frozen=True)
class _Point:
    """One instance at one n: its observables (NaN if it diverged) and m after each step."""

    observables: dict[str, float]
    overlaps: tuple[float, ...]


@register_simulation
class TeacherStudent(Simulation[list[_Point]]):
    r"""Teachers and their labels; the weights are inferred by approximate message passing.

    .. math:: w^*_i \sim P_w, \quad X_{\mu i} \sim \mathcal N(0, 1/p), \quad
       y_\mu \sim P(y \,|\, X_\mu \cdot w^*), \quad \mu = 1, \dots, n = \alpha p

    with the posterior means a of `amp`. The observables have the names and the meaning of the
    theory's:

    * ``"m"`` = a.w*/p, ``"q"`` = a.a/p, ``"mse"`` = \|a - w*\|^2/p (the first and the last up to
      the sign of all weights, where labels and prior leave it free);
    * ``"label_error"``: mean squared error of the predicted labels E[y \| data] of 2000 new
      patterns;
    * ``"eps_bayes"``, for labels -1 and 1: fraction of them whose sign is not that of the more
      likely label of the teacher's field;
    * ``"steps"``, ``"converged"``: iterations taken, and the fraction of instances that converged.
      Instances that diverge are left out of all other means.

    The result has ``overlap_by_step``, the mean of m after each step. Arguments of its own are
    ``max_steps`` (500), ``damping`` and ``tolerance``, as of `amp`.

    References
    ----------
    Rangan, arXiv:1010.5141; Javanmard and Montanari, arXiv:1211.5164.

    Examples
    --------
    >>> import replica as rp
    >>> result = rp.simulate(
    ...     rp.formulas["bayes-optimal-glm"], p=500, alpha=1.8, instances=3
    ... )  # Rademacher weights, sign labels; alpha_AMP = 1.493
    >>> result["m"].tolist(), result["eps_bayes"].tolist()
    ([1.0], [0.0])
    """

    roles = FrozenMapping({"prior": Prior, "channel": Channel})
    arguments = ("max_steps", "damping", "tolerance")
    largest_p = 10**8
    largest_entries = 10**9  # 8 GB
    fractions = frozenset({"converged"})
    method = "approximate message passing"

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self.settings = Settings.checked(request.where, **{"max_steps": 500, **request.arguments})
        prior, channel = request.blocks["prior"], request.blocks["channel"]
        # controls of the theory alone stay behind
        own = {*prior.controls, *channel.controls}
        known = {name: value for name, value in request.controls.items() if name in own}
        self.model = planted_model(request.where, prior, channel, known)

    def instance(self, rng: np.random.Generator) -> list[_Point]:
        """Draw a teacher, patterns and labels, and infer the weights at each n."""
        model, p = self.model, self.request.p
        # a stream for each purpose, so that an instance does not depend on the grid
        teacher_rng, pattern_rng, label_rng, start_rng, new_rng = rng.spawn(5)
        teacher = model.draw_weights(teacher_rng, p)
        X = pattern_rng.standard_normal((max(self.grid), p))
        X /= math.sqrt(p)
        y = model.draw_labels(label_rng, X @ teacher)
        points = []
        for n in self.grid:
            overlaps: list[float] = []

            def observe(_: int, mean: FloatArray, overlaps: list[float] = overlaps) -> None:
                m = float(mean @ teacher) / p
                overlaps.append(abs(m) if model.sign_is_free else m)

            found = infer(model, X[:n], y[:n], self.settings, copy.deepcopy(start_rng), observe)
            measured = _measure(found, teacher, copy.deepcopy(new_rng))
            if found.status is Status.DIVERGED:
                measured = dict.fromkeys(measured, math.nan)
                overlaps = [math.nan]
            measured["converged"] = float(found.converged)
            points.append(_Point(measured, tuple(overlaps)))
        return points

    def summary(self, outcomes: Sequence[list[_Point]]) -> Measured:
        """Return the means over instances, and those of m after each step."""
        points = [[point.observables for point in instance] for instance in outcomes]
        observables, errors = averaged(points, self.fractions)
        overlap, error = _by_step(outcomes)
        details = {"overlap_by_step": overlap, "overlap_by_step_error": error}
        return Measured(observables, errors, details=details)


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
