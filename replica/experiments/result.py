"""What an experiment returns: means and standard errors over drawn instances."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replica.errors import looked_up
from replica.writing import listed, plain

__all__ = ["Experiment", "averaged", "fraction_with_error", "mean_with_error"]

FloatArray = NDArray[np.float64]

_WIDTH = 80
_LARGEST_TABLE = 20
_COLUMNS = 3  # curves side by side in this width


def fraction_with_error(successes: NDArray[np.int64], trials: int) -> tuple[FloatArray, FloatArray]:
    r"""Observed fraction of successes and its standard error.

    .. math:: f = \frac{k}{N}, \qquad
       \sigma^2 = \frac{\tilde f (1 - \tilde f)}{N + 4}, \qquad \tilde f = \frac{k + 2}{N + 4}

    The error is the Agresti-Coull one: the Wilson interval at two standard deviations, written
    with two successes and two failures more. It tends to sqrt(f (1 - f) / N) and, unlike it, is
    not zero for no success or all successes: f +- 2 sigma covers the truth in about 94 per cent
    of experiments with N = 20, where the plain formula and the Jeffreys posterior are too narrow
    near 0 and 1.

    Parameters
    ----------
    successes : ndarray of int
        Number k of successes, element by element.
    trials : int
        Number N of independent trials.

    Returns
    -------
    fraction, error : ndarray

    References
    ----------
    Agresti and Coull, The American Statistician 52, 119 (1998).

    Examples
    --------
    >>> fraction, error = fraction_with_error(np.array([0, 50]), 100)
    >>> fraction.tolist(), error.round(4).tolist()
    ([0.0, 0.5], [0.0135, 0.049])
    """
    count = np.asarray(successes, dtype=np.float64)
    shrunk = (count + 2) / (trials + 4)
    return count / trials, np.sqrt(shrunk * (1 - shrunk) / (trials + 4))


def mean_with_error(samples: FloatArray) -> tuple[FloatArray, FloatArray]:
    r"""Mean over the first axis and its standard error, leaving out what is NaN.

    .. math:: \bar x = \frac1N \sum_i x_i, \qquad
       \sigma^2 = \frac{1}{N (N - 1)} \sum_i (x_i - \bar x)^2

    Parameters
    ----------
    samples : ndarray
        One row per instance; NaN where an instance does not define the observable.

    Returns
    -------
    mean, error : ndarray
        The mean is NaN without any sample, the error is NaN with fewer than two.

    Examples
    --------
    >>> mean, error = mean_with_error(np.array([[1.0, 2.0], [3.0, np.nan]]))
    >>> mean.tolist(), error.tolist()
    ([2.0, 2.0], [1.0, nan])
    """
    defined = np.isfinite(samples)
    number = defined.sum(axis=0)
    # Division by max(..., 1) keeps numpy silent where the answer is NaN anyway.
    mean = np.where(defined, samples, 0.0).sum(axis=0) / np.maximum(number, 1)
    square = (np.where(defined, samples - mean, 0.0) ** 2).sum(axis=0)
    error = np.sqrt(square / np.maximum(number * (number - 1), 1))
    return np.where(number > 0, mean, np.nan), np.where(number > 1, error, np.nan)


def averaged(
    outcomes: Sequence[Sequence[Mapping[str, float]]], fractions: Collection[str] = ()
) -> tuple[dict[str, float | FloatArray], dict[str, float | FloatArray]]:
    """Return mean and standard error over instances of each observable at each point of a grid.

    Parameters
    ----------
    outcomes : sequence of sequences of mappings
        For each instance its observables at each point.
    fractions : collection of str
        Those that are yes or no; their mean is a fraction.

    Examples
    --------
    >>> means, _ = averaged(
    ...     [[{"m": 1.0, "converged": 1.0}], [{"m": 2.0, "converged": 0.0}]],
    ...     fractions={"converged"},
    ... )
    >>> means["m"].tolist(), means["converged"].tolist()
    ([1.5], [0.5])
    """
    means: dict[str, float | FloatArray] = {}
    errors: dict[str, float | FloatArray] = {}
    for name in outcomes[0][0]:
        table = np.array([[point[name] for point in points] for points in outcomes])
        if name in fractions:
            successes = table.sum(axis=0).astype(np.int64)
            means[name], errors[name] = fraction_with_error(successes, len(outcomes))
        else:
            means[name], errors[name] = mean_with_error(table)
    return means, errors


@dataclass(frozen=True, eq=False, repr=False)
class Experiment:
    """Observables of finite-size instances, with their statistical errors.

    Instances are independent; points of one curve share the patterns of each instance, so their
    errors are correlated. What each observable is, and in which units, is said by the `Simulation`
    that measured it, for instance `replica.experiments.teacher_student.TeacherStudent`.

    Attributes
    ----------
    formula : str
        Name of the formula.
    options : Mapping
        Structural options of the formula.
    controls : Mapping
        Value of every control used.
    method : str
        What was computed on each instance.
    p, instances : int
        Number of weights; number of instances drawn.
    seed : int or None
        Seed that reproduces the run; None when a numpy Generator was given.
    n, alpha : ndarray
        Numbers of patterns, and n/p.
    observables, errors : Mapping
        Mean and standard error, under the same names: arrays along `n`, or one number where an
        observable belongs to the whole curve.
    largest_n : ndarray of int or None
        Per instance, the largest n that is satisfiable, where that was found exactly.
    overlap_by_step, overlap_by_step_error : ndarray of shape (len(n), steps + 1), or None
        Mean and standard error of the overlap after each iteration, from the start; an instance
        that has stopped keeps its last value. None without iterations.
    """

    formula: str
    controls: Mapping[str, float]
    method: str
    p: int
    instances: int
    seed: int | None
    n: NDArray[np.int64]
    observables: Mapping[str, float | FloatArray]
    errors: Mapping[str, float | FloatArray]
    largest_n: NDArray[np.int64] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    overlap_by_step: FloatArray | None = None
    overlap_by_step_error: FloatArray | None = None

    @property
    def alpha(self) -> FloatArray:
        """Number of patterns per weight, n/p."""
        return np.asarray(self.n / self.p, dtype=np.float64)

    def __getitem__(self, name: str) -> float | FloatArray:
        where = f"the experiment on {self.formula}"
        return looked_up("observable", name, self.observables, where)

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, numbers and texts for JSON; None where there is no number."""
        return {
            "formula": self.formula,
            "options": {name: plain(value) for name, value in self.options.items()},
            "controls": {name: plain(value) for name, value in self.controls.items()},
            "method": self.method,
            "p": self.p,
            "instances": self.instances,
            "seed": self.seed,
            "n": plain(self.n),
            "alpha": plain(self.alpha),
            "observables": {name: plain(value) for name, value in self.observables.items()},
            "errors": {name: plain(value) for name, value in self.errors.items()},
            "largest_n": plain(self.largest_n),
            "overlap_by_step": plain(self.overlap_by_step),
            "overlap_by_step_error": plain(self.overlap_by_step_error),
        }

    def to_text(self, width: int = _WIDTH) -> str:
        """Return what was done, and means with errors in columns, whatever the width."""
        title = f"{self.formula}: {self.method}"
        facts = [f"p = {self.p}", f"instances = {self.instances}", f"seed = {self.seed}"]
        settings = {**self.options, **self.controls}
        facts += [listed(settings, " = ", digits=6)] if settings else []
        lines = [*textwrap.wrap(title, _WIDTH), *textwrap.wrap(", ".join(facts), _WIDTH)]
        curves = {}
        for name, value in self.observables.items():
            if np.ndim(value):
                curves[name] = (np.asarray(value), np.asarray(self.errors[name]))
            else:
                lines.append(f"{name} = {_with_error(value, self.errors[name])} per weight")
        size = len(self.n)
        rows = np.unique(np.linspace(0, size - 1, min(size, _LARGEST_TABLE)).round().astype(int))
        names = list(curves)
        for start in range(0, len(names), _COLUMNS):
            some = names[start : start + _COLUMNS]
            lines.append("".join(["n".rjust(8), "alpha".rjust(9), *(c.rjust(20) for c in some)]))
            for row in rows:
                cells = [f"{self.n[row]:8d}", f"{self.alpha[row]:9.4f}"]
                for name in some:
                    mean, error = curves[name]
                    cells.append(_with_error(mean[row], error[row]).rjust(20))
                lines.append("".join(cells))
        if len(rows) < size:
            lines.append(f"({len(rows)} of {size} rows shown)")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return self.to_text()


def _with_error(value: Any, error: Any) -> str:
    if not math.isfinite(value):
        return "-"
    digits = 4 if abs(value) < 100 else 1
    bar = f"{error:.{digits}f}" if math.isfinite(error) else "?"
    return f"{value:.{digits}f} +- {bar}"
