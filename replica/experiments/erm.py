r"""Risk minimisation by drawn instances: the same minimiser, found by well-known solvers.

An instance is a Gaussian teacher, an endless list of patterns with entries N(0, 1/p) and their
labels; a point of the grid sees the first n of them.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sympy import Symbol

from replica.blocks.losses import ConvexLoss
from replica.declarations.experiment import RiskMinimisation
from replica.declarations.reading import resolve
from replica.errors import ControlError, ConvergenceError, MissingExtra
from replica.experiments.checks import (
    each_instance,
    instance_streams,
    one_number,
    pattern_grid,
    positive_integer,
)
from replica.experiments.planted import PlantedModel, fields_of_new_patterns, planted_model
from replica.experiments.result import Experiment, averaged
from replica.experiments.storage import are_separable
from replica.language.rewriting import stabilise
from replica.numerics.lowering import compile_layer

__all__ = ["loss_functions", "minimise_risk", "simulate_risk"]

FloatArray = NDArray[np.float64]
Solver = Callable[[ConvexLoss, FloatArray, FloatArray, float], FloatArray | None]

_LARGEST_P = 5000
_LARGEST_SIZE = 10**8  # entries of X: 0.8 GB
_LARGEST_INSTANCES = 10**6
_NEW_PATTERNS = 10_000
_FREE = 1e-10  # a penalty that no digit sees, where a solver needs one
_y, _u = Symbol("y", real=True), Symbol("u", real=True)


def simulate_risk(
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
    r"""Draw teachers and labels, minimise the risk, and measure what was learned.

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

    Parameters
    ----------
    formula : Formula or Family
        With a `RiskMinimisation`.
    p : int
        Number of weights.
    alpha, n : float or int, or array
        The grid, n = round(alpha p); one of them is needed.
    instances, rng, progress, **options_and_controls
        As of `replica.simulate`.

    Returns
    -------
    Experiment

    Raises
    ------
    ControlError
        The formula has no such experiment, there is no solver for its loss, or a value is
        outside its range.
    MissingExtra
        The solver is scikit-learn's, and it is not installed.
    ConvergenceError
        A solver did not reach its tolerance.

    Examples
    --------
    >>> import replica as rp
    >>> ridge = rp.formulas["empirical-risk"](loss="square")
    >>> result = simulate_risk(ridge, p=200, alpha=2, lambda_=1, instances=4)
    >>> bool(abs(result["eps_g"][0] - 0.18776) < 3 * result.errors["eps_g"][0])
    True
    """
    resolved, controls = resolve(formula, dict(options_and_controls), optional={"alpha"})
    where = f"simulate {resolved.name}"
    experiment = resolved.experiment
    if not isinstance(experiment, RiskMinimisation):
        raise ControlError(f"{where}: the formula declares no risk that is minimised")
    used = {name: one_number(name, value, where) for name, value in controls.items()}
    used.pop("alpha", None)
    p = positive_integer("p", p, where, largest=_LARGEST_P, reason="the solvers take too long")
    grid = pattern_grid(where, p, alpha, n, _LARGEST_SIZE)
    instances = positive_integer("instances", instances, where, largest=_LARGEST_INSTANCES)
    channel = experiment.channel
    own = {name: used[name] for name in channel.controls}
    task = _Task(
        where,
        experiment.loss,
        experiment.penalty.name,
        planted_model(where, "gaussian", channel, own),
        used.get("lambda_", 1.0),
        used["rho"],
    )
    method, _ = _solver(task.loss, task.penalty, where)
    seed, streams = instance_streams(where, rng, instances)
    outcomes = each_instance(lambda stream: _run(task, p, grid, stream), streams, progress)
    observables, errors = averaged(outcomes, fractions={"separable"})
    return Experiment(
        formula=resolved.name,
        options=dict(resolved.options),
        controls=used,
        method=method,
        p=p,
        instances=instances,
        seed=seed,
        n=np.array(grid, dtype=np.int64),
        observables=observables,
        errors=errors,
    )


def minimise_risk(
    loss: ConvexLoss, penalty: str, X: FloatArray, y: FloatArray, strength: float
) -> FloatArray | None:
    """Return the weights of least risk; None where a margin is asked of inseparable patterns.

    Parameters
    ----------
    loss : ConvexLoss
    penalty : {"l2", "l1"}
    X : array, shape (n, p)
    y : array, shape (n,)
    strength : float
        The penalty's; without meaning for a constraint on the margin.

    Raises
    ------
    ControlError
        If there is no solver for the loss.

    Examples
    --------
    >>> from replica.blocks.losses import Square
    >>> minimise_risk(Square(), "l2", np.eye(2), np.array([1.0, -1.0]), 1.0)
    array([ 0.5, -0.5])
    """
    _, solver = _solver(loss, penalty, "minimise_risk")
    return solver(loss, X, y, strength)


@dataclass(frozen=True)
class _Task:
    where: str
    loss: ConvexLoss
    penalty: str
    model: PlantedModel
    strength: float
    rho: float

    @property
    def needs_separability(self) -> bool:
        """Whether separability decides on the existence of the minimiser."""
        free = self.strength == 0 and not self.loss.is_coercive
        return bool(self.model.channel.labels) and (self.loss.is_constraint or free)


def _run(
    task: _Task, p: int, grid: tuple[int, ...], stream: np.random.Generator
) -> list[dict[str, float]]:
    # a stream for each purpose, so that an instance does not depend on the grid
    teacher_rng, pattern_rng, label_rng, new_rng = stream.spawn(4)
    teacher = math.sqrt(task.rho) * task.model.draw_weights(teacher_rng, p)
    X = pattern_rng.standard_normal((max(grid), p))
    X /= math.sqrt(p)
    y = task.model.draw_labels(label_rng, X @ teacher)
    points = []
    for n in grid:
        weights: FloatArray | None = None
        separable = math.nan
        if task.needs_separability:
            separable = float(are_separable(X[:n], y[:n], task.where))
        if not task.needs_separability or separable == float(task.loss.is_constraint):
            weights = minimise_risk(task.loss, task.penalty, X[:n], y[:n], task.strength)
        measured = _measure(task, weights, teacher, X[:n], y[:n], copy.deepcopy(new_rng))
        if task.needs_separability:
            measured["separable"] = separable
        points.append(measured)
    return points


def _measure(
    task: _Task,
    weights: FloatArray | None,
    teacher: FloatArray,
    X: FloatArray,
    y: FloatArray,
    rng: np.random.Generator,
) -> dict[str, float]:
    names = ["m", "q", "eps_g", "training_objective"]
    names += ["test_error"] if task.model.channel.labels else []
    names += ["margin"] if task.loss.is_constraint else ["training_loss", "test_loss"]
    if weights is None:
        return dict.fromkeys(names, math.nan)
    n, p = X.shape
    m, q, rho = (float(a @ b) / p for a, b in ((weights, teacher), (weights,) * 2, (teacher,) * 2))
    size = float(np.abs(weights).sum()) if task.penalty == "l1" else p * q / 2
    measured = {"m": m, "q": q, "eps_g": rho + q - 2 * m}
    student, fields = fields_of_new_patterns(rng, m, q, rho, _NEW_PATTERNS)
    labels = task.model.draw_labels(rng, fields)
    if task.model.channel.labels:
        cosine = m / math.sqrt(q * rho) if q > 0 else 0.0
        measured["eps_g"] = math.acos(min(max(cosine, -1.0), 1.0)) / math.pi
        measured["test_error"] = float(np.mean((1 - np.sign(student) * labels) / 2))
    if task.loss.is_constraint:
        return {**measured, "training_objective": size / n, "margin": 1 / math.sqrt(q)}
    value, _ = loss_functions(task.loss)
    training = float(np.mean(value(y, X @ weights)))
    return {
        **measured,
        "training_objective": training + task.strength * size / n,
        "training_loss": training,
        "test_loss": float(np.mean(value(labels, student))),
    }


# ---------------------------------------------------------------- solvers


def _solver(loss: ConvexLoss, penalty: str, where: str) -> tuple[str, Solver]:
    """Return what a solver does, and the solver."""
    found = _SOLVERS.get((loss.name, penalty))
    if found is not None:
        return found
    if loss.is_constraint or loss.envelope.has_corner:
        raise ControlError(
            f"{where}: no solver for the loss {loss} with penalty {penalty}, whose slope jumps; "
            f"allowed: losses with a continuous slope, hinge, absolute and max-margin"
        )
    if penalty == "l1":
        return "L-BFGS-B on positive and negative parts", _smooth_absolute
    return "L-BFGS", _smooth_quadratic


@lru_cache(maxsize=64)
def loss_functions(loss: ConvexLoss) -> tuple[Any, Any]:
    """Return value and slope of a loss as functions of arrays of labels and fields."""
    value = stabilise(loss(_y, _u))
    functions = compile_layer((_y, _u), (value,)), compile_layer((_y, _u), (value.diff(_u),))

    def plain(function: Any) -> Any:
        return lambda y, u: np.broadcast_to(function(y, u)[0], np.shape(u))

    return plain(functions[0]), plain(functions[1])


def _ridge(loss: ConvexLoss, X: FloatArray, y: FloatArray, strength: float) -> FloatArray | None:
    n, p = X.shape
    if n >= p:
        return np.asarray(np.linalg.solve(X.T @ X + strength * np.eye(p), X.T @ y))
    return np.asarray(X.T @ np.linalg.solve(X @ X.T + strength * np.eye(n), y))


def _smooth_quadratic(
    loss: ConvexLoss, X: FloatArray, y: FloatArray, strength: float
) -> FloatArray | None:
    value, slope = loss_functions(loss)

    def risk(w: FloatArray) -> tuple[float, FloatArray]:
        u = X @ w
        total = float(value(y, u).sum()) + strength * float(w @ w) / 2
        return total, X.T @ slope(y, u) + strength * w

    return _lbfgs(risk, np.zeros(X.shape[1]), None)


def _smooth_absolute(
    loss: ConvexLoss, X: FloatArray, y: FloatArray, strength: float
) -> FloatArray | None:
    value, slope = loss_functions(loss)
    p = X.shape[1]

    def risk(parts: FloatArray) -> tuple[float, FloatArray]:
        u = X @ (parts[:p] - parts[p:])
        force = X.T @ slope(y, u)
        total = float(value(y, u).sum()) + strength * float(parts.sum())
        return total, np.concatenate([force + strength, strength - force])

    parts = _lbfgs(risk, np.zeros(2 * p), [(0.0, None)] * (2 * p))
    return np.asarray(parts[:p] - parts[p:])


def _lbfgs(risk: Any, start: Any, bounds: Any) -> FloatArray:
    from scipy.optimize import minimize  # a quarter of a second, only when needed

    options: Any = {"maxiter": 20_000, "maxfun": 40_000, "ftol": 1e-15, "gtol": 1e-8, "maxcor": 30}
    found: Any = minimize(risk, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    if found.nit >= options["maxiter"] or found.nfev >= options["maxfun"]:
        raise ConvergenceError(f"L-BFGS did not converge: {found.message}")
    return np.asarray(found.x)


def _logistic(loss: ConvexLoss, X: FloatArray, y: FloatArray, strength: float) -> FloatArray | None:
    linear_model = _scikit_learn("linear_model")
    model = linear_model.LogisticRegression(
        C=1 / max(strength, _FREE),
        fit_intercept=False,
        solver="newton-cholesky",
        tol=1e-9,
        max_iter=1000,
    )
    return _fitted(model, X, y, strength)


def _hinge(loss: ConvexLoss, X: FloatArray, y: FloatArray, strength: float) -> FloatArray | None:
    return _dual_coordinates("LinearSVC", X, y, strength, loss="hinge")


def _absolute(loss: ConvexLoss, X: FloatArray, y: FloatArray, strength: float) -> FloatArray | None:
    return _dual_coordinates("LinearSVR", X, y, strength, loss="epsilon_insensitive", epsilon=0.0)


def _dual_coordinates(
    name: str, X: FloatArray, y: FloatArray, strength: float, **options: Any
) -> FloatArray:
    """Fit a linear machine of scikit-learn's by coordinate descent in its dual."""
    machine = getattr(_scikit_learn("svm"), name)
    model = machine(
        C=1 / max(strength, _FREE),
        fit_intercept=False,
        dual=True,
        tol=1e-6,
        max_iter=1_000_000,
        random_state=0,
        **options,
    )
    return _fitted(model, X, y, strength)


def _fitted(model: Any, X: FloatArray, y: FloatArray, strength: float) -> FloatArray:
    if np.unique(y).size == 1 and hasattr(model, "classes_"):
        raise ControlError("all labels are equal")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            model.fit(X, y)
        except Warning as warning:
            raise ConvergenceError(
                f"{type(model).__name__} at lambda = {strength:g}: {warning}"
            ) from None
    return np.asarray(model.coef_, dtype=np.float64).reshape(-1)


def _scikit_learn(module: str) -> Any:
    import importlib

    try:
        return importlib.import_module(f"sklearn.{module}")
    except ImportError:
        raise MissingExtra("minimising this loss at finite size", "experiments") from None


def _largest_margin(
    loss: ConvexLoss, X: FloatArray, y: FloatArray, strength: float
) -> FloatArray | None:
    r"""Return the least norm with all margins above one, by non-negative least squares.

    Lawson and Hanson's least distance programming: with G the patterns times labels and r the
    residual of :math:`(G^T, 1)^T u \approx (0, 1)^T` at its non-negative minimum,
    :math:`w = -r_{1..p} / r_{p+1}`.
    """
    from scipy.optimize import nnls  # a quarter of a second, only when needed

    G = y[:, None] * X
    n, p = G.shape
    rows = np.vstack([G.T, np.ones(n)])
    target = np.append(np.zeros(p), 1.0)
    found, _ = nnls(rows, target, maxiter=50 * (n + p))
    residual = rows @ found - target
    if abs(residual[p]) < 1e-10:  # the constraints contradict each other
        return None
    return np.asarray(-residual[:p] / residual[p])


def _programme(
    loss: ConvexLoss, X: FloatArray, y: FloatArray, strength: float
) -> FloatArray | None:
    """Return the weights of least l1 norm beside a piecewise linear loss, by linear programming."""
    from scipy.optimize import linprog  # a quarter of a second, only when needed

    n, p = X.shape
    sides: Mapping[str, tuple[Any, Any]] = {
        "hinge": ([y[:, None] * X], [np.ones(n)]),
        "absolute": ([X, -X], [y, -y]),
        "max-margin": ([y[:, None] * X], [np.ones(n)]),
    }
    matrices, limits = sides[loss.name]
    slack = 0 if loss.is_constraint else n
    rows = [np.hstack([-G, G, -np.eye(n)[:, :slack]]) for G in matrices]
    cost = np.concatenate([np.full(2 * p, strength), np.ones(slack)])
    found: Any = linprog(
        cost, A_ub=np.vstack(rows), b_ub=-np.concatenate(limits), bounds=(0, None), method="highs"
    )
    if found.status == 2:
        return None
    if found.x is None:
        raise ConvergenceError(f"the linear programme could not be solved: {found.message}")
    return np.asarray(found.x[:p] - found.x[p : 2 * p])


_SOLVERS: Mapping[tuple[str, str], tuple[str, Solver]] = {
    ("square", "l2"): ("linear algebra", _ridge),
    ("logistic", "l2"): ("logistic regression of scikit-learn", _logistic),
    ("hinge", "l2"): ("linear support vector machine of scikit-learn", _hinge),
    ("absolute", "l2"): ("linear support vector regression of scikit-learn", _absolute),
    ("max-margin", "l2"): ("least distance programming", _largest_margin),
    ("hinge", "l1"): ("linear programme", _programme),
    ("absolute", "l1"): ("linear programme", _programme),
    ("max-margin", "l1"): ("linear programme", _programme),
}
