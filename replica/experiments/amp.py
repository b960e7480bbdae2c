r"""Approximate message passing on one instance of a generalised linear model.

With the log-partitions L of prior and channel and V the mean posterior variance, one step is

.. math::
   \omega &= X a - V g, & g &= \partial_\omega L_y(\omega, V), &
   A &= -\tfrac1p \textstyle\sum_\mu \partial_\omega^2 L_{y_\mu}(\omega_\mu, V), \\
   r &= X^T g + A a, & a &= \partial_r L(r, A), &
   V &= \tfrac1p \textstyle\sum_i \partial_r^2 L(r_i, A).

The terms V g and A a are the Onsager terms: they take back what each variable told the others one
step before, and without them the overlap does not follow state evolution.

References
----------
Rangan, *Generalized approximate message passing*, arXiv:1010.5141. Javanmard and Montanari,
*State evolution for general approximate message passing algorithms*, arXiv:1211.5164.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from replica.errors import ControlError, ConvergenceError
from replica.experiments.checks import instance_streams, one_number, positive_integer, shown
from replica.experiments.planted import SMALLEST_VARIANCE, PlantedModel, planted_model
from replica.solvers.solution import Status

__all__ = ["Inference", "amp", "infer"]

FloatArray = NDArray[np.float64]

# Variances are in units of the prior's. Full recovery: a mean posterior variance below this,
_RECOVERED = 1e-12
# and labels that ask to move the fields by no more than this, mean square.
_DISAGREEMENT = 10.0  # of the labels' scatter with what the channel lets it be
_ASKED = 1e-6
# Where the labels are discrete, the patterns that still tell something have |field| ~ sqrt(V).
# Below this times 1/n, squared, the n patterns at hand hold none and would undo what they said.
_PATTERNS_LEFT = 5.0
# A curvature within this many standard errors of zero, over the patterns, has no known sign.
_SIGNIFICANT = 3.0
# No posterior mean is this large, mean square, in units of rho.
_LARGEST_ESTIMATE = 100.0
# So many steps, each opposite to the one before (cosine) and not shrinking, are a cycle of two.
_SWINGS, _OPPOSITE, _SWINGS_STAY = 10, 0.9, 0.9
_DAMPING_STEP = 0.3
_PATIENCE, _UNSETTLED = 40, 0.3  # steps whose changes, of the size of the prior, do not fall
# Rounding of the products with X keeps the estimate moving by about this many units.
_ROUNDING_UNITS = 100.0
# Scale of X: what is tolerated besides six standard deviations of Gaussian entries.
_SCALE_SLACK, _COLUMN_SLACK = 0.1, 0.5


@dataclass(frozen=True, eq=False, repr=False)
class Inference:
    """Posterior means and variances of the weights of one instance.

    Attributes
    ----------
    mean, variance : ndarray, shape (p,)
        Of each weight, given the data.
    status : Status
    steps : int
        Iterations taken.
    changes : ndarray, shape (steps,)
        Root mean square by which each step asked to change the mean, in standard deviations of
        the prior.
    model : PlantedModel
        Prior, channel and their controls.
    note : str
        What happened, and the remedy where there is one.
    """

    mean: FloatArray
    variance: FloatArray
    status: Status
    steps: int
    changes: FloatArray
    model: PlantedModel
    note: str = ""

    @property
    def converged(self) -> bool:
        """Whether the status is CONVERGED."""
        return self.status is Status.CONVERGED

    def overlap(self, w_star: ArrayLike) -> float:
        r"""Return :math:`m = a \cdot w^* / p` with the teacher's weights.

        Its absolute value where the labels leave the sign of all weights free.
        """
        teacher = np.asarray(w_star, dtype=np.float64)
        if teacher.shape != self.mean.shape:
            raise ControlError(
                f"overlap: w_star has shape {teacher.shape}, the estimate {self.mean.shape}"
            )
        m = float(self.mean @ teacher) / teacher.size
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
        patterns = _real_array("predict", "X_new", X_new, None)
        if patterns.ndim not in (1, 2) or patterns.shape[-1] != self.mean.size:
            raise ControlError(
                f"predict: X_new has shape {patterns.shape}; allowed: (k, {self.mean.size}), a "
                "pattern in each row"
            )
        fields = np.asarray(patterns @ self.mean.astype(patterns.dtype), dtype=np.float64)
        if not np.isfinite(fields).all():
            raise ControlError("predict: X_new has entries that are not finite")
        return self.model.predicted_label(fields, float(self.variance.mean()))

    def __repr__(self) -> str:
        model = self.model
        controls = "".join(f", {name} = {value:g}" for name, value in model.controls.items())
        lines = [
            f"{model.prior.name} weights, {model.channel.name} labels{controls}",
            f"  p            {self.mean.size}",
            f"  q = |a|^2/p  {self.mean @ self.mean / self.mean.size:.6g}",
            f"  variance     {self.variance.mean():.6g}",
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
    patterns = _real_array("amp", "X", X, dtype)
    labels = np.asarray(_real_array("amp", "y", y, np.float64))
    _check_data(patterns, labels)
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
    def checked(cls, where: str, max_steps: Any, damping: Any, tolerance: Any) -> Settings:
        """Return the settings, refusing what has no meaning."""
        kept = one_number("damping", damping, where)
        if not 0 <= kept < 1:
            raise ControlError(f"{where}: damping = {kept:g}; allowed: 0 <= damping < 1")
        change = one_number("tolerance", tolerance, where)
        if change <= 0:
            raise ControlError(f"{where}: tolerance = {change:g}; allowed: tolerance > 0")
        return cls(positive_integer("max_steps", max_steps, where), kept, change)


def infer(
    model: PlantedModel,
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
    model : PlantedModel
    X : ndarray, shape (n, p)
        Contiguous; its dtype is that of the products.
    y : ndarray, shape (n,)
    settings : Settings
    rng : numpy.random.Generator
        For the start where the sign of all weights is free.
    observe : callable
        Called with (step, mean), from step 0.

    Returns
    -------
    Inference
    """
    n, p = X.shape
    width = model.variance
    output = model.output(y)
    discrete = model.channel.dimension == 0
    least = width * ((_PATTERNS_LEFT / n) ** 2 if discrete else SMALLEST_VARIANCE)
    tolerance = max(settings.tolerance, _ROUNDING_UNITS * float(np.finfo(X.dtype).eps))

    mean = np.full(p, model.mean)
    if model.sign_is_free:
        # This size makes |a|^2 and the overlap of a random guess agree, as they would for a
        # posterior; a larger start looks more certain than it is, and may be trapped.
        mean += math.sqrt(width / p) * rng.standard_normal(p)
    first = mean
    variance = np.full(p, width)
    spread, fresh_start = width, True
    message, reaction, precision = np.zeros(n), 0.0, 0.0
    changes: list[float] = []
    swings = _Swings(settings.damping)
    remedy = _remedy(settings.damping)
    observe(0, mean)

    def ended(status: Status, note: str = "") -> Inference:
        return Inference(mean, variance, status, len(changes), np.array(changes), model, note)

    def contradicted(asked: FloatArray, slope: FloatArray, known: float) -> bool:
        squares = float(asked @ asked) / n
        # E g^2 = -E g' for a posterior; the scatter of the labels is seen where they are numbers
        if not model.channel.labels and squares > _DISAGREEMENT * -float(slope.mean()) > 0:
            return True
        # V E g^2 <= 1 for a posterior: once the weights are known the labels ask for nothing
        return bool(known**2 * squares > known + _ASKED * width)

    for step in range(1, settings.max_steps + 1):
        kept_messages, kept_estimates = _kept(0.0 if fresh_start else swings.damping, model)
        fresh_start = False
        seen = max(spread, least)
        fields = _product(X, mean) - seen * message
        fresh, slope = output(fields, seen)
        message = _mixed(fresh, message, kept_messages)
        reaction = _mixed(-float(slope.sum()) / p, reaction, kept_messages)
        precision = _mixed(_precision(fresh, slope, p, width), precision, kept_messages)
        response = _product(X.T, message) + reaction * mean
        denoised, new_variance = model.denoise(response, precision)
        size = float(denoised @ denoised) / p
        if not (
            size <= _LARGEST_ESTIMATE * model.second_moment and np.isfinite(new_variance).all()
        ):
            return ended(Status.DIVERGED, f"the estimate diverged at step {step}: {remedy}")
        left = float(new_variance.mean())
        # a single weight may be certain and wrong: then the labels disagree, and turn it
        if left < _RECOVERED * width:
            known = max(_RECOVERED * width, least)
            if not contradicted(*output(_product(X, denoised), known), known):
                changes.append(_change(denoised, mean, width))
                mean, variance = denoised, new_variance
                observe(step, mean)
                return ended(Status.CONVERGED, _EXACT)
        change = _change(denoised, mean, width)
        lost = swings.see(denoised - mean, change)
        mean, variance = _mixed(denoised, mean, kept_estimates), new_variance
        spread = _mixed(left, spread, kept_estimates)
        changes.append(change)
        observe(step, mean)
        if change < tolerance:
            if spread < _ASKED * width and contradicted(fresh, slope, seen):
                note = f"at step {step} no variance is left and the labels disagree: {remedy}"
                return ended(Status.DIVERGED, note)
            # next to full recovery errors and their estimates shrink together, to the tolerance
            exact = spread < (10 * tolerance) ** 2 * width
            return ended(Status.CONVERGED, _EXACT if exact else "")
        if lost:  # what it wandered into holds it: begin again, with the damping it lacked
            mean, variance, spread, fresh_start = first, np.full(p, width), width, True
            message, reaction, precision = np.zeros(n), 0.0, 0.0
    note = (
        f"the last of {settings.max_steps} steps changed the estimate by {changes[-1]:.1e}: raise "
        f"max_steps or, if `changes` does not fall, {remedy}"
    )
    return ended(Status.MAX_STEPS, note)


_EXACT = "exact recovery"


def _remedy(damping: float) -> str:
    more = 0.3 if damping < 0.3 else 1 - (1 - damping) / 2
    return f"use damping={more:.3g}, and see that X has entries of mean 0 and variance 1/p"


def _precision(message: FloatArray, slope: FloatArray, p: int, width: float) -> float:
    """Return A, which is -sum(slope)/p, and positive.

    At the start of a channel whose log-partition is not concave (abs, door) the sum is a
    fluctuation with any sign. There the mean of squares takes its place, which has the same
    expectation; but not beyond the prior's own precision, since it grows with what V has missed.
    """
    curvature = -float(slope.sum()) / p
    error = float(slope.std()) * math.sqrt(slope.size) / p
    if curvature > _SIGNIFICANT * error:
        return curvature
    return max(curvature, min(float(message @ message) / p, 1 / width))


class _Swings:
    """Damping, raised where the estimate goes on swinging between two values, or never settles.

    Noiseless labels next to a transition and a mean of X make an eigenvalue of the iteration
    smaller than -1 at finite size; half of the way leads to the fixed point between the two.
    """

    def __init__(self, damping: float) -> None:
        self.damping = damping
        self._last: FloatArray | None = None
        self._sizes: list[float] = []
        self._window: list[float] = []
        self._before = math.inf

    def see(self, moved: FloatArray, change: float) -> bool:
        """Take note of a step; tell whether the estimate wanders without settling."""
        if self._last is not None:
            product = float(moved @ self._last)
            opposite = product < -_OPPOSITE * math.sqrt(
                float(moved @ moved) * float(self._last @ self._last)
            )
            self._sizes = [*self._sizes, change] if opposite else []
        self._last = moved
        if len(self._sizes) > _SWINGS and change > _SWINGS_STAY * self._sizes[-1 - _SWINGS]:
            self._raise()
        self._window.append(change)
        if len(self._window) == _PATIENCE:
            smallest = min(self._window)
            lost = smallest > max(_UNSETTLED, _SWINGS_STAY * self._before)
            self._before, self._window = smallest, []
            if lost:
                self._raise()
                self._before = math.inf
                return True
        return False

    def _raise(self) -> None:
        self.damping += _DAMPING_STEP * (1 - self.damping)
        self._sizes = []


def _kept(damping: float, model: PlantedModel) -> tuple[float, float]:
    """Return which fraction of the old messages and of the old estimates stays.

    Where the sign is free the start is linear, and an estimate that lags excites large negative
    eigenvalues, against which the Onsager terms no longer help; elsewhere, lagging messages keep
    the iteration from settling at low noise. Both were measured.
    """
    return (damping, 0.0) if model.sign_is_free else (0.0, damping)


def _change(new: FloatArray, old: FloatArray, width: float) -> float:
    return math.sqrt(float(np.mean((new - old) ** 2)) / width)


def _mixed(new: Any, old: Any, kept: float) -> Any:
    return new if kept == 0 else (1 - kept) * new + kept * old


def _product(matrix: NDArray[Any], vector: FloatArray) -> FloatArray:
    with np.errstate(all="ignore"):  # what overflows is seen in the estimate
        return np.asarray(matrix @ vector.astype(matrix.dtype, copy=False), dtype=np.float64)


# ---------------------------------------------------------------- input


def _real_array(where: str, name: str, given: ArrayLike, dtype: DTypeLike | None) -> NDArray[Any]:
    """Return a contiguous array of float32 or float64."""
    try:
        array = np.asarray(given)
    except ValueError:  # a ragged list
        array = np.empty(0, dtype=object)
    if array.dtype.kind not in "iuf":
        raise ControlError(f"{where}: {name} must be an array of real numbers, not {shown(given)}")
    try:
        kind = np.dtype(array.dtype if dtype is None else dtype)
    except TypeError:
        kind = np.dtype(object)
    if dtype is not None and kind not in (np.float32, np.float64):
        raise ControlError(f"{where}: dtype = {shown(dtype)}; allowed: float32, float64")
    array = array.astype(kind if kind in (np.float32, np.float64) else np.float64, copy=False)
    # a product with a strided view would copy it in every step
    return array if array.flags.forc else np.ascontiguousarray(array)


def _check_data(X: NDArray[Any], y: FloatArray) -> None:
    if X.ndim != 2 or not X.size:
        raise ControlError(
            f"amp: X has shape {X.shape}; allowed: (n, p), a pattern in each row, not empty"
        )
    n, p = X.shape
    if y.shape != (n,):
        raise ControlError(
            f"amp: y has shape {y.shape} and X has {n} rows; allowed: one label for each row"
            + (" (X may be transposed)" if y.shape == (p,) else "")
        )
    if not np.isfinite(y).all():
        k = int(np.flatnonzero(~np.isfinite(y))[0])
        raise ControlError(f"amp: y[{k}] = {y[k]} is not finite")
    with np.errstate(all="ignore"):
        squares = np.einsum("ij,ij->j", X, X)  # (p,) numbers: nothing of the size of X
    if not np.isfinite(squares).all():
        column = int(np.flatnonzero(~np.isfinite(squares))[0])
        rows = np.flatnonzero(~np.isfinite(X[:, column]))
        place = f"X[{int(rows[0])}, {column}] = {X[rows[0], column]}" if rows.size else "X"
        raise ControlError(f"amp: {place} is not finite, or X is too large to be squared")
    _warn_of_scale(X, np.asarray(squares, dtype=np.float64))


def _warn_of_scale(X: NDArray[Any], squares: FloatArray) -> None:
    """Tell how to scale X, which the theory and the algorithm take as iid of variance 1/p."""
    n, p = X.shape
    scale = float(squares.sum()) / n  # one
    columns = squares * p / n
    if abs(scale - 1) > _SCALE_SLACK + 6 * math.sqrt(2 / (n * p)):
        hint = f"divide X by {math.sqrt(scale):.6g}" if scale > 0 else "X is zero"
        _warn(f"the entries of X have variance {scale:.4g}/p and not 1/p: {hint}")
    elif np.abs(columns - 1).max() > _COLUMN_SLACK + 6 * math.sqrt(2 / n):
        worst = int(np.abs(columns - 1).argmax())
        _warn(
            f"column {worst} of X has variance {columns[worst]:.4g}/p and not 1/p: divide each "
            "column by sqrt(p) times its root mean square"
        )
    # a common mean is one large singular value, sqrt(n p) times the mean
    common = np.linalg.norm(X.sum(axis=0, dtype=np.float64)) / math.sqrt(n)
    if common > math.sqrt(max(scale, 0.0)) * (1.5 + 6 / math.sqrt(2 * p)):
        _warn(
            f"the entries of X have a mean, about {common / math.sqrt(n * p):.3g}: the iteration "
            "may diverge; centre X before labels are drawn, or use damping"
        )


def _warn(text: str) -> None:
    warnings.warn(f"amp: {text}", UserWarning, stacklevel=5)
