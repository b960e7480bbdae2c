r"""Risk minimisation on drawn features, on Gaussian inputs, and on data as they are.

Random features are drawn as the model says: F, a Gaussian c for every sample, and
:math:`v = \sigma(F^T c / \sqrt d)`. Nothing here knows the Gaussian equivalent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from replica.blocks.activations import u
from replica.blocks.channel import Channel
from replica.blocks.covariances import Covariances
from replica.blocks.losses import ConvexLoss, Penalty
from replica.blocks.random_features import RandomFeatures
from replica.blocks.spectra import decompose
from replica.declarations.frozen import FrozenMapping
from replica.errors import ControlError
from replica.experiments.checks import (
    instance_streams,
    one_number,
    pattern_counts,
    positive_integer,
)
from replica.experiments.driver import Request, register_simulation
from replica.experiments.minimisers import loss_functions, minimiser_of
from replica.experiments.result import Experiment, averaged
from replica.experiments.risk import NEW_SAMPLES, Draw, Minimisation, NewSamples
from replica.numerics.kernel import compile_kernel

__all__ = ["CovariateReadout", "FeatureReadout", "simulate_on_data"]

FloatArray = NDArray[np.float64]
Samples = Callable[[np.random.Generator, int], tuple[FloatArray, FloatArray]]


class _Readout(Minimisation):
    r"""Linear read-out of inputs that have a covariance.

    .. math:: w = \arg\min_w \sum_\mu \ell\big(y_\mu, v_\mu \cdot w / \sqrt p\big)
              + \tfrac\lambda2 \|w\|^2
    """

    norm = ""  # name of |w|^2 / p

    def __init__(self, request: Request) -> None:
        super().__init__(request, Penalty.shipped["l2"])
        self.method = f"risk minimisation on {request.blocks['inputs']}"

    def inputs(self, rng: np.random.Generator) -> Samples:
        """Draw what an instance holds fixed; return a function that draws v and teacher fields."""
        raise NotImplementedError

    def begin(self, rng: np.random.Generator) -> Draw:
        """Draw what an instance holds fixed."""
        p = self.request.p
        inputs = self.inputs(rng)

        def samples(more: np.random.Generator, count: int) -> tuple[FloatArray, FloatArray]:
            v, fields = inputs(more, count)
            return v / math.sqrt(p), fields

        def new(more: np.random.Generator, w: FloatArray) -> NewSamples:
            v, teacher = inputs(more, NEW_SAMPLES)
            student = v @ w / math.sqrt(p)
            moments = {
                "m": float(np.mean(teacher * student)),
                "q": float(np.mean(student**2)),
                self.norm: float(w @ w) / p,
                "eps_g": float(np.mean((teacher - student) ** 2)),
            }
            if self.model.channel.labels:
                moments["eps_g"] = float(np.mean((1 - np.sign(student) * np.sign(teacher)) / 2))
            return NewSamples(moments, student, teacher)

        return Draw(samples, new)


@register_simulation
class FeatureReadout(_Readout):
    r"""Students who read out drawn random features of hidden Gaussian data.

    .. math:: v = \sigma(F^T c / \sqrt d), \qquad w = \arg\min_w \sum_\mu
              \ell\big(y_\mu, v_\mu \cdot w / \sqrt p\big) + \tfrac\lambda2 \|w\|^2

    p is the number of features, and the hidden dimension d = round(p / features_per_dimension). The
    number of samples is given by ``alpha`` (n/p) or ``n``, or by the controls of the theory.

    Measured on 10000 new samples, under the names of the theory: ``eps_g``, ``test_error``,
    ``test_loss``, and the moments ``m`` and ``q`` of the fields; on the training set
    ``training_loss`` and ``training_objective`` per sample; ``q_w`` is :math:`\|w\|^2 / p`. The
    largest margin comes with ``margin`` and ``separable``, the fraction of instances that are
    linearly separable.

    Examples
    --------
    >>> import replica as rp
    >>> ridge = rp.formulas["hidden-manifold"](loss="square", activation="sign")
    >>> given = {"features_per_dimension": 1, "samples_per_dimension": 3, "lambda_": 1}
    >>> result = rp.simulate(ridge, p=200, instances=4, **given)
    >>> theory = rp.solve(ridge, **given)["eps_g"]
    >>> bool(abs(result["eps_g"][0] - theory) < 3 * result.errors["eps_g"][0])
    True
    """

    roles = FrozenMapping({"inputs": RandomFeatures, "channel": Channel, "loss": ConvexLoss})
    samples = ("samples_per_dimension", "samples_per_feature")
    samples_are_a_grid = True
    norm = "q_w"

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self._d = _hidden_dimension(request)
        self._activation = compile_kernel((u,), (request.blocks["inputs"].activation.function,))

    @classmethod
    def default_grid(cls, request: Request) -> tuple[int, ...] | None:
        """Return the samples per hidden dimension, times d."""
        ratio = request.controls.get("samples_per_dimension")
        if ratio is None:
            return super().default_grid(request)
        return (max(1, round(ratio * _hidden_dimension(request))),)

    @property
    def controls(self) -> Mapping[str, float]:
        """The controls of the theory that are not sizes, and d."""
        return {**super().controls, "d": float(self._d)}

    def inputs(self, rng: np.random.Generator) -> Samples:
        """Draw a teacher (d,) and features F (d, p)."""
        d, p = self._d, self.request.p
        teacher = rng.standard_normal(d)
        scale = math.sqrt(self.request.controls.get("rho", 1.0))
        teacher *= scale * math.sqrt(d) / np.linalg.norm(teacher)
        F = self.request.blocks["inputs"].features.sample(rng, d, p)

        def draw(more: np.random.Generator, count: int) -> tuple[FloatArray, FloatArray]:
            c = more.standard_normal((count, d)) / math.sqrt(d)
            (v,) = self._activation(c @ F)
            return np.asarray(v), c @ teacher

        return draw


def _hidden_dimension(request: Request) -> int:
    """Return d of p features: as the control says, or as a given matrix of features is."""
    ratio = request.controls.get("features_per_dimension")
    own = request.blocks["inputs"].features.ratio
    return max(1, round(request.p / (float(own) if ratio is None else ratio)))


@register_simulation
class CovariateReadout(_Readout):
    r"""Students who read out Gaussian inputs of given covariances.

    As `FeatureReadout`, with inputs drawn from the covariance :math:`\Omega` and a teacher's field
    that has its covariance with them; ``norm`` is :math:`\|w\|^2 / p`.

    Raises
    ------
    ControlError
        If p is not the size of the covariance.

    Examples
    --------
    >>> import replica as rp
    >>> ridge = rp.formulas["gaussian-covariates"](loss="square", inputs="power-law")
    >>> rp.simulate(ridge, p=100, alpha=2, lambda_=0.1, instances=2).method
    'risk minimisation on covariances(100, ...)'
    """

    roles = FrozenMapping({"inputs": Covariances, "channel": Channel, "loss": ConvexLoss})
    samples = ("samples_per_feature",)
    samples_are_a_grid = True
    norm = "norm"

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        inputs: Covariances = request.blocks["inputs"]
        if inputs.omega.shape[0] != request.p:
            raise ControlError(
                f"{request.where}: the covariances are those of {inputs.omega.shape[0]} inputs, so "
                f"p = {request.p} does not fit"
            )
        values, vectors = decompose(inputs.omega, "omega")
        self._root = vectors * np.sqrt(values)
        with np.errstate(divide="ignore", invalid="ignore"):
            self._along = np.where(values > 0, (vectors.T @ inputs.cross) / np.sqrt(values), 0.0)
        self._rest = math.sqrt(max(inputs.second_moment - float(inputs.explained), 0.0))

    @classmethod
    def default_grid(cls, request: Request) -> tuple[int, ...] | None:
        """Return the samples per feature, times p."""
        ratio = request.controls.get("samples_per_feature")
        if ratio is None:
            return super().default_grid(request)
        return (max(1, round(ratio * request.p)),)

    def inputs(self, rng: np.random.Generator) -> Samples:
        """Return a function that draws; an instance holds nothing fixed."""

        def draw(more: np.random.Generator, count: int) -> tuple[FloatArray, FloatArray]:
            z = more.standard_normal((count, self.request.p))
            fields = z @ self._along + self._rest * more.standard_normal(count)
            return z @ self._root.T, fields

        return draw


def simulate_on_data(
    inputs: ArrayLike,
    labels: ArrayLike,
    *,
    n: ArrayLike,
    lambda_: float,
    loss: str | ConvexLoss = "logistic",
    instances: int = 10,
    rng: int | np.random.Generator | None = 0,
) -> Experiment:
    r"""Learn from n samples of a data set and test on all of it: the data are the population.

    Samples are drawn with repetition, independent as the theory takes them to be. The covariances
    of that population are `Covariances.from_data` of the same arrays.

    Parameters
    ----------
    inputs : array, shape (N, p)
        What the student sees, v; its fields are :math:`v \cdot w / \sqrt p`.
    labels : array, shape (N,)
        Labels -1 and 1.
    n : int or array of int
        Sizes of the training set; not beyond N.
    lambda_ : float
        Penalty, beside the sum of the losses.
    loss : str or ConvexLoss
    instances : int
        Independent draws of the training set.
    rng : int, numpy.random.Generator or None

    Returns
    -------
    Experiment
        ``test_error``, ``training_loss``, ``test_loss`` and ``norm``.

    Raises
    ------
    ControlError
        For shapes that do not match, labels that are not -1 and 1, or too few samples.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> v = rng.standard_normal((400, 5))
    >>> result = simulate_on_data(v, np.sign(v[:, 0]), n=200, lambda_=0.1)
    >>> bool(result["test_error"][0] < 0.05)
    True
    """
    where = "simulate_on_data"
    V, y = np.asarray(inputs, dtype=float), np.asarray(labels, dtype=float)
    if V.ndim != 2 or y.shape != V.shape[:1]:
        raise ControlError(
            f"{where}: inputs of shape (N, p) need N labels, not {V.shape} and {y.shape}"
        )
    if not (np.isfinite(V).all() and np.isin(y, (-1, 1)).all()):
        raise ControlError(f"{where}: the inputs must be finite and the labels -1 or 1")
    count, p = V.shape
    grid = pattern_counts(where, p, None, n)
    assert grid is not None
    if max(grid) > count:
        raise ControlError(f"{where}: n = {max(grid)} exceeds the {count} samples of the data")
    strength = one_number("lambda_", lambda_, where)
    if not strength > 0:
        raise ControlError(f"{where}: lambda_ = {strength:g} must be positive")
    chosen = ConvexLoss.shipped[loss] if isinstance(loss, str) else loss
    value, _ = loss_functions(chosen)
    minimiser = minimiser_of(chosen, Penalty.shipped["l2"], "minimise_risk")
    X = V / math.sqrt(p)
    seed, streams = instance_streams(where, rng, positive_integer("instances", instances, where))
    outcomes = []
    for stream in streams:
        drawn = stream.integers(count, size=max(grid))
        points = []
        for size in grid:
            train = drawn[:size]
            w = minimiser.solve(chosen, X[train], y[train], strength)
            if w is None:
                raise ControlError(f"{where}: the samples are not separable, so there is no margin")
            fields = X @ w
            points.append(
                {
                    "test_error": float(np.mean((1 - np.sign(fields) * y) / 2)),
                    "training_loss": float(np.mean(value(y[train], X[train] @ w))),
                    "test_loss": float(np.mean(value(y, fields))),
                    "norm": float(w @ w) / p,
                }
            )
        outcomes.append(points)
    observables, errors = averaged(outcomes, fractions={"separable"})
    return Experiment(
        formula="gaussian-covariates",
        options={"loss": chosen.name},
        controls={"lambda_": strength},
        method="risk minimisation on data",
        p=p,
        instances=len(streams),
        seed=seed,
        n=np.array(grid, dtype=np.int64),
        observables=observables,
        errors=errors,
    )
