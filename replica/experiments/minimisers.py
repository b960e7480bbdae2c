r"""Minimisers of the risk of a data set, each a well-known solver for losses of one structure.

.. math:: w = \arg\min_w \sum_\mu \ell(y_\mu, X_\mu \cdot w) + \lambda \sum_i r(w_i)

Which solver serves is told by what loss and penalty are, not by their names: a quadratic loss is
linear algebra, a piecewise linear one beside absolute values of the weights a linear programme, and
so on. A loss of one's own is served like a shipped one of its structure.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import Abs, Expr, S, Symbol

from replica.blocks.losses import Absolute, ConvexLoss, Hinge, Logistic, Penalty
from replica.errors import ControlError, ConvergenceError, MissingExtra
from replica.language.curves import Curve, same, t
from replica.language.rewriting import stabilise
from replica.numerics.lowering import compile_layer

__all__ = ["Minimiser", "loss_functions", "minimise_risk", "minimiser_of", "penalty_of"]

FloatArray = NDArray[np.float64]
Solver = Callable[[ConvexLoss, FloatArray, FloatArray, float], FloatArray | None]

_FREE = 1e-10  # penalty in place of none for solvers that need one: it changes no digit
_y, _u, _w = Symbol("y", real=True), Symbol("u", real=True), Symbol("w", real=True)


@dataclass(frozen=True)
class Minimiser:
    """A solver, and the losses and penalties that it serves.

    Attributes
    ----------
    method : str
        What it does, for the result.
    serves : callable
        ``(loss, penalty) -> bool``.
    solve : callable
        ``(loss, X, y, strength) -> weights``, shape (p,); None where a margin is asked of patterns
        that are not separable.
    """

    method: str
    serves: Callable[[ConvexLoss, Penalty], bool]
    solve: Solver


def minimise_risk(
    loss: ConvexLoss, penalty: Penalty | str, X: FloatArray, y: FloatArray, strength: float
) -> FloatArray | None:
    """Return the weights of least risk; None where a margin is asked of inseparable patterns.

    Parameters
    ----------
    loss : ConvexLoss
    penalty : Penalty or {"l2", "l1"}
    X : array, shape (n, p)
    y : array, shape (n,)
    strength : float
        The penalty's; without meaning for a constraint on the margin.

    Returns
    -------
    ndarray, shape (p,), or None

    Raises
    ------
    ControlError
        If there is no solver for the loss.
    MissingExtra
        The solver is scikit-learn's, and it is not installed.
    ConvergenceError
        A solver did not reach its tolerance.

    Examples
    --------
    >>> from replica.blocks.losses import Square
    >>> minimise_risk(Square(), "l2", np.eye(2), np.array([1.0, -1.0]), 1.0)
    array([ 0.5, -0.5])
    """
    block = Penalty.shipped[penalty] if isinstance(penalty, str) else penalty
    return minimiser_of(loss, block, "minimise_risk").solve(loss, X, y, strength)


@lru_cache(maxsize=64)
def minimiser_of(loss: ConvexLoss, penalty: Penalty, where: str) -> Minimiser:
    """Return the first solver that serves a loss and a penalty.

    Raises
    ------
    ControlError
        If there is none.
    """
    for one in MINIMISERS:
        if one.serves(loss, penalty):
            return one
    if not (_is_square(penalty) or _is_absolute(penalty)):
        raise ControlError(
            f"{where}: no solver for the penalty {penalty}; allowed: w^2/2 (l2) and |w| (l1)"
        )
    raise ControlError(
        f"{where}: no solver for the loss {loss} with penalty {penalty}, whose slope jumps; "
        f"allowed: losses with a continuous slope, hinge, absolute and max-margin"
    )


@lru_cache(maxsize=64)
def loss_functions(loss: ConvexLoss) -> tuple[Any, Any]:
    """Return value and slope of a loss as functions of arrays of labels and fields."""
    value = stabilise(loss(_y, _u))
    functions = compile_layer((_y, _u), (value,)), compile_layer((_y, _u), (value.diff(_u),))

    def plain(function: Any) -> Any:
        return lambda y, u: np.broadcast_to(function(y, u)[0], np.shape(u))

    return plain(functions[0]), plain(functions[1])


@lru_cache(maxsize=16)
def penalty_of(penalty: Penalty) -> Callable[[FloatArray], float]:
    """Return the sum of a penalty over weights as a function of them."""
    function = compile_layer((_w,), (stabilise(penalty(_w)),))
    return lambda weights: float(function(weights)[0].sum())


# ---------------------------------------------------------------- what a loss is


def _is_square(penalty: Penalty) -> bool:
    return bool(penalty(_w) == _w**2 / 2)


def _is_absolute(penalty: Penalty) -> bool:
    return bool(penalty(_w) == Abs(_w))


def _is(loss: ConvexLoss, other: ConvexLoss) -> bool:
    """Tell whether two losses are the same function."""
    return bool(loss.expression == other.expression and loss.low == other.low)


@lru_cache(maxsize=64)
def _curvature(loss: ConvexLoss) -> Expr | None:
    """Return the second derivative of a quadratic loss; None for any other."""
    if loss.is_constraint or not loss(_y, _u).is_polynomial(_u):
        return None
    curvature = loss(_y, _u).diff(_u, 2).expand()
    return curvature if curvature.is_number and curvature.is_positive else None


def _is_margin(loss: ConvexLoss) -> bool:
    """Tell whether nothing is asked but a positive margin."""
    return loss.is_constraint and loss.expression == 0 and bool(loss.low > 0)


def _is_piecewise_linear(loss: ConvexLoss) -> bool:
    """Tell whether the loss is a maximum of linear functions that is nowhere negative."""
    if loss.is_constraint:
        return False
    curves = [Curve(loss(label, t)) for label in (S.One, S.NegativeOne)]
    return all(
        all(not piece.expression.diff(t).has_free(t) for piece in curve.pieces)
        and all(piece.expression.subs(t, piece.low) >= 0 for piece in curve.pieces[1:])
        and curve.pieces[0].slope(S.Zero) <= 0 <= curve.pieces[-1].slope(S.Zero)
        and len(curve.pieces) > 1
        for curve in curves
    )


def _lines(loss: ConvexLoss, y: FloatArray) -> list[tuple[FloatArray, FloatArray]]:
    """Return slopes and intercepts (n,) of the linear pieces of each pattern's loss.

    The piece that is zero is left out. Where the labels differ in their number of pieces, one of
    them is repeated.
    """
    if not np.isin(y, (-1, 1)).all():  # the same curve around each label
        return [(np.full(len(y), slope), at - slope * y) for slope, at in _pieces(loss, 0)]
    found = {label: _pieces(loss, label) for label in (1, -1)}
    longest = max(map(len, found.values()))
    rows = []
    for k in range(longest):
        slopes, intercepts = np.empty(len(y)), np.empty(len(y))
        for label, lines in found.items():
            own = y == label
            slopes[own], intercepts[own] = lines[min(k, len(lines) - 1)]
        rows.append((slopes, intercepts))
    return rows


@lru_cache(maxsize=64)
def _pieces(loss: ConvexLoss, label: int) -> list[tuple[float, float]]:
    """Return slope and intercept of the linear pieces that are not zero; 0 stands for any label."""
    if label == 0 and not same(loss(_y, _y + t), loss(S.Zero, t), t, _y):
        raise ControlError(f"the loss {loss} of continuous labels is no function of y - u")
    pieces = [piece.expression for piece in Curve(loss(S(label), t)).pieces]
    return [(float(p.diff(t)), float(p.subs(t, 0))) for p in pieces if p != 0]


# ---------------------------------------------------------------- solvers


def _ridge(loss: ConvexLoss, X: FloatArray, y: FloatArray, strength: float) -> FloatArray | None:
    """Solve the linear equations of a quadratic loss."""
    n, p = X.shape
    curvature = float(_curvature(loss) or 1)
    _, slope = loss_functions(loss)
    force = -slope(y, np.zeros(n))  # at w = 0
    if n >= p:
        gram = curvature * (X.T @ X)
        return np.asarray(np.linalg.solve(gram + strength * np.eye(p), X.T @ force))
    gram = curvature * (X @ X.T)
    return np.asarray(X.T @ np.linalg.solve(gram + strength * np.eye(n), force))


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
    r"""Return the least norm with no margin below that of the loss, by non-negative least squares.

    Lawson and Hanson's least distance programming: with G the patterns times labels, in units of
    the margin, and r the residual of :math:`(G^T, 1)^T u \approx (0, 1)^T` at its non-negative
    minimum, :math:`w = -r_{1..p} / r_{p+1}`.
    """
    from scipy.optimize import nnls  # a quarter of a second, only when needed

    G = y[:, None] * X / float(loss.low)
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
    """Return the weights of least l1 norm beside a piecewise linear loss, by linear programming.

    With w = a - b, a and b not negative, and a slack for each pattern that is above all lines of
    its loss; a constraint on the margin has no slack.
    """
    from scipy.optimize import linprog  # a quarter of a second, only when needed

    n, p = X.shape
    if loss.is_constraint:
        lines = [(-y, np.full(n, float(loss.low)))]
    else:
        lines = _lines(loss, y)
    slack = 0 if loss.is_constraint else n
    rows = [
        np.hstack([-G, G, -np.eye(n)[:, :slack]])
        for G in (-slopes[:, None] * X for slopes, _ in lines)
    ]
    limits = np.concatenate([intercepts for _, intercepts in lines])
    cost = np.concatenate([np.full(2 * p, strength), np.ones(slack)])
    found: Any = linprog(cost, A_ub=np.vstack(rows), b_ub=-limits, bounds=(0, None), method="highs")
    if found.status == 2:
        return None
    if found.x is None:
        raise ConvergenceError(f"the linear programme could not be solved: {found.message}")
    return np.asarray(found.x[:p] - found.x[p : 2 * p])


def _smooth(loss: ConvexLoss) -> bool:
    return not (loss.is_constraint or loss.envelope.has_corner)


# The first that serves is taken: special ones before general ones.
MINIMISERS = (
    Minimiser(
        "linear algebra", lambda loss, r: _is_square(r) and _curvature(loss) is not None, _ridge
    ),
    Minimiser(
        "logistic regression of scikit-learn",
        lambda loss, r: _is_square(r) and _is(loss, Logistic()),
        _logistic,
    ),
    Minimiser(
        "linear support vector machine of scikit-learn",
        lambda loss, r: _is_square(r) and _is(loss, Hinge()),
        _hinge,
    ),
    Minimiser(
        "linear support vector regression of scikit-learn",
        lambda loss, r: _is_square(r) and _is(loss, Absolute()),
        _absolute,
    ),
    Minimiser(
        "least distance programming",
        lambda loss, r: _is_square(r) and _is_margin(loss),
        _largest_margin,
    ),
    Minimiser(
        "linear programme",
        lambda loss, r: _is_absolute(r) and (_is_margin(loss) or _is_piecewise_linear(loss)),
        _programme,
    ),
    Minimiser("L-BFGS", lambda loss, r: _is_square(r) and _smooth(loss), _smooth_quadratic),
    Minimiser(
        "L-BFGS-B on positive and negative parts",
        lambda loss, r: _is_absolute(r) and _smooth(loss),
        _smooth_absolute,
    ),
)
