r"""Risk minimisation on drawn features, on Gaussian inputs, and on data as they are.

Random features are drawn as the model says: F, a Gaussian c for every sample, and
:math:`v = \sigma(F^T c / \sqrt d)`. Nothing here knows the Gaussian equivalent.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from replica.blocks.activations import u
from replica.blocks.covariances import Covariances
from replica.blocks.losses import ConvexLoss
from replica.blocks.random_features import RandomFeatures
from replica.blocks.spectra import decompose
from replica.declarations.experiment import LinearReadout
from replica.declarations.reading import resolve
from replica.errors import ControlError
from replica.experiments.checks import (
    check_entries,
    each_instance,
    instance_streams,
    one_number,
    pattern_counts,
    positive_integer,
)
from replica.experiments.erm import loss_functions, minimise_risk
from replica.experiments.planted import PlantedModel, planted_model
from replica.experiments.result import Experiment, averaged
from replica.experiments.storage import are_separable
from replica.numerics.kernel import compile_kernel

__all__ = ["simulate_on_data", "simulate_readout"]

FloatArray = NDArray[np.float64]

_LARGEST_P = 5000
_LARGEST_SIZE = 10**8  # entries of the inputs: 0.8 GB
_LARGEST_INSTANCES = 10**6
_NEW_SAMPLES = 10_000


def simulate_readout(
    formula: Any,
    *,
    p: int,
    alpha: ArrayLike | None = None,
    n: ArrayLike | None = None,
    instances: int = 10,
    rng: int | np.random.Generator | None = 0,
    progress: Callable[[int, int], None] | None = None,
    **options_and_controls: Any,
) -> Experiment:
    r"""Draw teachers, inputs and labels, minimise the risk, and measure what was learned.

    .. math:: w = \arg\min_w \sum_\mu \ell\big(y_\mu, v_\mu \cdot w / \sqrt p\big)
              + \tfrac\lambda2 \|w\|^2

    Measured on 10000 new samples, under the names of the theory: ``eps_g``, ``test_error``,
    ``test_loss``, and the moments ``m`` and ``q`` of the fields; on the training set
    ``training_loss`` and ``training_objective`` per sample; ``q_w`` (``norm`` for given
    covariances) is :math:`\|w\|^2 / p`. The largest margin comes with ``separable``, the fraction
    of instances that are linearly separable.

    Parameters
    ----------
    formula : Formula or Family
        With a `LinearReadout`.
    p : int
        Number of features. The hidden dimension is d = round(p / features_per_dimension).
    alpha : float or array, optional
        Samples per feature, n/p; or `n`, or the controls of the theory.
    n : int or array of int, optional
    instances, rng, progress, **options_and_controls
        As of `replica.simulate`.

    Returns
    -------
    Experiment

    Raises
    ------
    ControlError
        The formula has no such experiment, the grid is missing or given twice, or a value is
        outside its range.
    MissingExtra
        The solver is scikit-learn's, and it is not installed.
    ConvergenceError
        A solver did not reach its tolerance.

    Examples
    --------
    >>> import replica as rp
    >>> ridge = rp.formulas["hidden-manifold"](loss="square", activation="sign")
    >>> given = {"features_per_dimension": 1, "samples_per_dimension": 3, "lambda_": 1}
    >>> result = simulate_readout(ridge, p=200, instances=4, **given)
    >>> theory = rp.solve(ridge, **given)["eps_g"]
    >>> bool(abs(result["eps_g"][0] - theory) < 3 * result.errors["eps_g"][0])
    True
    """
    ratios = {"samples_per_dimension", "samples_per_feature"}
    grid_given = alpha is not None or n is not None
    doubled = sorted(ratios & set(options_and_controls)) if grid_given else []
    resolved, controls = resolve(
        formula, dict(options_and_controls), optional={*ratios, "alpha"} if grid_given else ()
    )
    where = f"simulate {resolved.name}"
    experiment = resolved.experiment
    if not isinstance(experiment, LinearReadout):
        raise ControlError(f"{where}: the formula declares no features that are drawn")
    if doubled:
        raise ControlError(
            f"{where}: the number of samples is given twice, by {doubled[0]} and by "
            f"{'alpha' if alpha is not None else 'n'}; leave one of them out"
        )
    used = {name: one_number(name, value, where) for name, value in controls.items()}
    p = positive_integer("p", p, where, largest=_LARGEST_P, reason="the solvers take too long")
    source = _source(experiment.inputs, p, used, where)
    if grid_given:
        grid = pattern_counts(where, p, alpha, n)
        assert grid is not None
    else:
        unit, ratio = (
            (p, used["samples_per_feature"])
            if source.d is None
            else (source.d, used["samples_per_dimension"])
        )
        grid = (max(1, round(ratio * unit)),)
    check_entries(where, max(grid), p, _LARGEST_SIZE)
    instances = positive_integer("instances", instances, where, largest=_LARGEST_INSTANCES)
    channel = experiment.channel
    own = {name: used[name] for name in channel.controls}
    task = _Task(
        where,
        experiment.loss,
        planted_model(where, "gaussian", channel, own),
        used.get("lambda_", 1.0),
        "q_w" if isinstance(experiment.inputs, RandomFeatures) else "norm",
    )
    for name in ratios:
        used.pop(name, None)
    if source.d is not None:
        used["d"] = float(source.d)
    seed, streams = instance_streams(where, rng, instances)
    outcomes = each_instance(lambda stream: _run(task, source, p, grid, stream), streams, progress)
    observables, errors = averaged(outcomes, fractions={"separable"})
    return Experiment(
        formula=resolved.name,
        options=dict(resolved.options),
        controls=used,
        method=f"risk minimisation on {experiment.inputs}",
        p=p,
        instances=instances,
        seed=seed,
        n=np.array(grid, dtype=np.int64),
        observables=observables,
        errors=errors,
    )


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
    X = V / math.sqrt(p)
    seed, streams = instance_streams(where, rng, positive_integer("instances", instances, where))
    outcomes = []
    for stream in streams:
        drawn = stream.integers(count, size=max(grid))
        points = []
        for size in grid:
            train = drawn[:size]
            w = minimise_risk(chosen, "l2", X[train], y[train], strength)
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


# ---------------------------------------------------------------- where samples come from

Draw = Callable[[np.random.Generator, int], tuple[FloatArray, FloatArray]]


@dataclass(frozen=True)
class _Source:
    """Inputs and teacher fields: `begin` draws what an instance holds fixed."""

    begin: Callable[[np.random.Generator], Draw]
    d: int | None = None


def _source(
    inputs: RandomFeatures | Covariances, p: int, used: Mapping[str, float], where: str
) -> _Source:
    if isinstance(inputs, Covariances):
        return _gaussian(inputs, p, where)
    ratio = used.get("features_per_dimension")
    d = max(1, round(p / (float(inputs.features.ratio) if ratio is None else ratio)))
    activation = compile_kernel((u,), (inputs.activation.function,))
    scale = math.sqrt(used["rho"])

    def begin(stream: np.random.Generator) -> Draw:
        teacher = stream.standard_normal(d)
        teacher *= scale * math.sqrt(d) / np.linalg.norm(teacher)
        F = inputs.features.sample(stream, d, p)

        def draw(more: np.random.Generator, count: int) -> tuple[FloatArray, FloatArray]:
            c = more.standard_normal((count, d)) / math.sqrt(d)
            (v,) = activation(c @ F)
            return np.asarray(v), c @ teacher

        return draw

    return _Source(begin, d)


def _gaussian(inputs: Covariances, p: int, where: str) -> _Source:
    if inputs.omega.shape[0] != p:
        raise ControlError(
            f"{where}: the covariances are those of {inputs.omega.shape[0]} inputs, so p = {p} "
            f"does not fit"
        )
    values, vectors = decompose(inputs.omega, "omega")
    root = vectors * np.sqrt(values)
    with np.errstate(divide="ignore", invalid="ignore"):
        along = np.where(values > 0, (vectors.T @ inputs.cross) / np.sqrt(values), 0.0)
    rest = math.sqrt(max(inputs.second_moment - float(inputs.explained), 0.0))

    def draw(more: np.random.Generator, count: int) -> tuple[FloatArray, FloatArray]:
        z = more.standard_normal((count, p))
        return z @ root.T, z @ along + rest * more.standard_normal(count)

    return _Source(lambda _: draw)


# ---------------------------------------------------------------- one instance


@dataclass(frozen=True)
class _Task:
    where: str
    loss: ConvexLoss
    model: PlantedModel
    strength: float
    norm: str


def _run(
    task: _Task, source: _Source, p: int, grid: tuple[int, ...], stream: np.random.Generator
) -> list[dict[str, float]]:
    # a stream for each purpose, so that an instance does not depend on the grid
    fixed_rng, sample_rng, label_rng, new_rng = stream.spawn(4)
    draw = source.begin(fixed_rng)
    v, fields = draw(sample_rng, max(grid))
    X, y = v / math.sqrt(p), task.model.draw_labels(label_rng, fields)
    points = []
    for n in grid:
        measured: dict[str, float] = {}
        w: FloatArray | None
        if task.loss.is_constraint:
            measured["separable"] = float(are_separable(X[:n], y[:n], task.where))
            w = None
            if measured["separable"]:
                w = minimise_risk(task.loss, "l2", X[:n], y[:n], task.strength)
        else:
            w = minimise_risk(task.loss, "l2", X[:n], y[:n], task.strength)
        found = _measure(task, w, X[:n], y[:n], draw, copy.deepcopy(new_rng))
        points.append({**found, **measured})
    return points


def _measure(
    task: _Task,
    w: FloatArray | None,
    X: FloatArray,
    y: FloatArray,
    draw: Draw,
    rng: np.random.Generator,
) -> dict[str, float]:
    discrete = bool(task.model.channel.labels)
    names = ["m", "q", task.norm, "eps_g", "training_objective"]
    names += ["test_error"] if discrete else []
    names += ["margin"] if task.loss.is_constraint else ["training_loss", "test_loss"]
    if w is None:
        return dict.fromkeys(names, math.nan)
    n, p = X.shape
    v, teacher = draw(rng, _NEW_SAMPLES)
    student = v @ w / math.sqrt(p)
    labels = task.model.draw_labels(rng, teacher)
    size = float(w @ w)
    measured = {
        "m": float(np.mean(teacher * student)),
        "q": float(np.mean(student**2)),
        task.norm: size / p,
        "eps_g": float(np.mean((teacher - student) ** 2)),
    }
    if discrete:
        wrong = (1 - np.sign(student) * np.sign(teacher)) / 2
        measured["eps_g"] = float(np.mean(wrong))
        measured["test_error"] = float(np.mean((1 - np.sign(student) * labels) / 2))
    if task.loss.is_constraint:
        margin = math.sqrt(1 / measured["q"])
        return {**measured, "training_objective": size / (2 * n), "margin": margin}
    value, _ = loss_functions(task.loss)
    training = float(np.mean(value(y, X @ w)))
    return {
        **measured,
        "training_objective": training + task.strength * size / (2 * n),
        "training_loss": training,
        "test_loss": float(np.mean(value(labels, student))),
    }
