r"""Risk minimisation by drawn instances: the same minimiser, found by well-known solvers.

An instance is a teacher, an endless list of samples and their labels; a point of the grid sees the
first n of them. Where samples come from is a `Source`: Gaussian patterns here, features and given
covariances in `replica.experiments.readout`.
"""

from __future__ import annotations

import copy
import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from replica.blocks.channel import Channel
from replica.blocks.losses import ConvexLoss, Penalty
from replica.blocks.priors import Gaussian
from replica.declarations.frozen import FrozenMapping
from replica.experiments.driver import Request, Simulation, register_simulation
from replica.experiments.minimisers import loss_functions, minimiser_of, penalty_of
from replica.experiments.planted import fields_of_new_patterns, planted_model
from replica.experiments.separation import are_separable

__all__ = ["Draw", "Minimisation", "NewSamples", "RiskMinimisation"]

FloatArray = NDArray[np.float64]

NEW_SAMPLES = 10_000
"""On which errors of the student are measured."""


@dataclass(frozen=True)
class NewSamples:
    """What a student is tested on.

    Attributes
    ----------
    moments : dict of str to float
        ``m``, ``q``, and others that the theory knows; ``eps_g``.
    student, teacher : ndarray, shape (k,)
        Fields of both on the new samples.
    """

    moments: dict[str, float]
    student: FloatArray
    teacher: FloatArray


@dataclass(frozen=True)
class Draw:
    """Samples of one instance.

    Attributes
    ----------
    samples : callable
        ``(rng, count) -> X, fields``: inputs (count, p) as the student sees them, such that its
        fields are X w, and the teacher's fields (count,).
    new : callable
        ``(rng, weights) -> NewSamples``.
    """

    samples: Callable[[np.random.Generator, int], tuple[FloatArray, FloatArray]]
    new: Callable[[np.random.Generator, FloatArray], NewSamples]


class Minimisation(Simulation[list[dict[str, float]]]):
    """Students who minimise a risk; a subclass says where their samples come from."""

    largest_p = 5000
    too_large = "the solvers take too long"
    largest_entries = 10**8  # 0.8 GB
    fractions = frozenset({"separable"})

    def __init__(self, request: Request, penalty: Penalty) -> None:
        super().__init__(request)
        channel, self.loss = request.blocks["channel"], request.blocks["loss"]
        own = {k: value for k, value in request.controls.items() if k in channel.controls}
        self.model = planted_model(request.where, Gaussian(), channel, own)
        self.minimiser = minimiser_of(self.loss, penalty, request.where)
        self.penalty = penalty_of(penalty)
        self.strength = request.controls.get("lambda_", 1.0)

    @abstractmethod
    def begin(self, rng: np.random.Generator) -> Draw:
        """Draw what an instance holds fixed, such as its teacher."""

    @property
    def _needs_separability(self) -> bool:
        """Whether separability decides on the existence of the minimiser."""
        free = self.strength == 0 and not self.loss.is_coercive
        return bool(self.model.channel.labels) and (self.loss.is_constraint or free)

    def instance(self, rng: np.random.Generator) -> list[dict[str, float]]:
        """Draw a teacher, samples and labels, and minimise the risk at each n."""
        # a stream for each purpose, so that an instance does not depend on the grid
        fixed_rng, sample_rng, label_rng, new_rng = rng.spawn(4)
        draw = self.begin(fixed_rng)
        X, fields = draw.samples(sample_rng, max(self.grid))
        y = self.model.draw_labels(label_rng, fields)
        points = []
        for n in self.grid:
            weights: FloatArray | None = None
            separable = math.nan
            if self._needs_separability:
                separable = float(are_separable(X[:n], y[:n], self.request.where))
            if not self._needs_separability or separable == float(self.loss.is_constraint):
                weights = self.minimiser.solve(self.loss, X[:n], y[:n], self.strength)
            measured = self._measure(weights, X[:n], y[:n], draw, copy.deepcopy(new_rng))
            if self._needs_separability:
                measured["separable"] = separable
            points.append(measured)
        return points

    def _measure(
        self,
        weights: FloatArray | None,
        X: FloatArray,
        y: FloatArray,
        draw: Draw,
        rng: np.random.Generator,
    ) -> dict[str, float]:
        """Return the observables of one student; all are NaN where there is none."""
        n, p = X.shape
        w = np.ones(p) if weights is None else weights
        new = draw.new(rng, w)
        labels = self.model.draw_labels(rng, new.teacher)
        size = self.penalty(w)
        measured = dict(new.moments)
        if self.model.channel.labels:
            measured["test_error"] = float(np.mean((1 - np.sign(new.student) * labels) / 2))
        if self.loss.is_constraint:
            measured["training_objective"] = size / n
            measured["margin"] = 1 / math.sqrt(measured["q"])
        else:
            value, _ = loss_functions(self.loss)
            training = float(np.mean(value(y, X @ w)))
            measured["training_objective"] = training + self.strength * size / n
            measured["training_loss"] = training
            measured["test_loss"] = float(np.mean(value(labels, new.student)))
        return dict.fromkeys(measured, math.nan) if weights is None else measured


@register_simulation
class RiskMinimisation(Minimisation):
    r"""Gaussian teachers and patterns; the student minimises a risk.

    .. math:: w^*_i \sim N(0, \rho), \quad X_{\mu i} \sim \mathcal N(0, 1/p), \quad
       y_\mu \sim P(y \,|\, X_\mu \cdot w^*), \quad
       w = \arg\min_w \sum_\mu \ell(y_\mu, X_\mu \cdot w) + \lambda \sum_i r(w_i)

    The observables have the names and the meaning of the theory's: ``m``, ``q``, ``eps_g`` (for
    given weights an exact function of norms and overlap), ``training_objective`` and
    ``training_loss`` per pattern, ``test_loss`` and ``test_error`` on 10000 new patterns,
    ``margin``. ``separable`` is the fraction of instances whose patterns are linearly separable,
    decided by linear programming; it is measured where the existence of the minimiser depends on
    it: for the largest margin, and for lambda = 0. Instances without a minimiser are left out of
    all other means.

    Raises
    ------
    ControlError
        There is no solver for the loss (see `replica.experiments.minimisers`).
    MissingExtra
        The solver is scikit-learn's, and it is not installed.
    ConvergenceError
        A solver did not reach its tolerance.

    Examples
    --------
    >>> import replica as rp
    >>> ridge = rp.formulas["empirical-risk"](loss="square")
    >>> result = rp.simulate(ridge, p=200, alpha=2, lambda_=1, instances=4)
    >>> bool(abs(result["eps_g"][0] - 0.18776) < 3 * result.errors["eps_g"][0])
    True
    """

    roles = FrozenMapping({"channel": Channel, "loss": ConvexLoss, "penalty": Penalty})

    def __init__(self, request: Request) -> None:
        super().__init__(request, request.blocks["penalty"])
        self.method = self.minimiser.method

    def begin(self, rng: np.random.Generator) -> Draw:
        """Draw a teacher."""
        p = self.request.p
        w_star = math.sqrt(self.request.controls.get("rho", 1.0)) * self.model.draw_weights(rng, p)

        def samples(more: np.random.Generator, count: int) -> tuple[FloatArray, FloatArray]:
            X = more.standard_normal((count, p))
            X /= math.sqrt(p)
            return X, X @ w_star

        def new(more: np.random.Generator, w: FloatArray) -> NewSamples:
            m, q, rho = (float(a @ b) / p for a, b in ((w, w_star), (w, w), (w_star, w_star)))
            moments = {"m": m, "q": q, "eps_g": rho + q - 2 * m}
            if self.model.channel.labels:
                cosine = m / math.sqrt(q * rho) if q > 0 else 0.0
                moments["eps_g"] = math.acos(min(max(cosine, -1.0), 1.0)) / math.pi
            return NewSamples(moments, *fields_of_new_patterns(more, m, q, rho, NEW_SAMPLES))

        return Draw(samples, new)
