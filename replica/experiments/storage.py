"""Storage of random patterns by drawn instances: enumeration and linear programming.

An instance is an endless list of patterns x_1, x_2, ... with entries N(0, 1/p), added one by one
until no weight vector satisfies them all. Labels are absorbed in the patterns, whose law is even.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from replica.blocks.channel import Constraint
from replica.declarations.experiment import StorageExperiment
from replica.declarations.reading import resolve
from replica.errors import ControlError, ConvergenceError, UnknownName
from replica.experiments.checks import (
    each_instance,
    instance_streams,
    one_number,
    pattern_counts,
    positive_integer,
)
from replica.experiments.result import Experiment, fraction_with_error, mean_with_error

__all__ = ["are_separable", "simulate_storage", "strictly_separable"]

FloatArray = NDArray[np.float64]

# Enumeration: fields evaluated per instance (about ten minutes) and patterns kept in memory.
_LARGEST_WORK = 1e11
_LARGEST_NUMBER_OF_PATTERNS = 3e4
# Weights enumerated at once: 2^16 fields stay in the cache.
_CHUNK_BITS = 16
_LARGEST_INSTANCES = 10**6
# Linear programme: a margin above the first is a proof in floating point (rounding is 1e-13);
# a bound on the margin below the second is the solver's accuracy, and no margin is ever in
# between in practice (they are of order 1/sqrt(p), with a density bounded near 0).
_STRICT_MARGIN = 1e-10
_NO_MARGIN = 1e-6


def simulate_storage(
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
    r"""Draw instances of a storage problem and measure how many patterns they store.

    .. math:: \text{satisfiable at } n \iff \exists\, w :\;
       x_\mu \cdot w \in S(\kappa), \quad \mu = 1, \dots, n = \alpha p

    Binary weights are enumerated, all 2^p of them, and the instance's largest satisfiable n is
    exact. For spherical weights at kappa = 0 a linear programme decides strict separability; its
    answer is checked by its own certificate (a weight vector, or a convex combination of patterns
    that vanishes).

    Parameters
    ----------
    formula : Formula or Family
        With a `StorageExperiment`.
    p : int
        Number of weights: up to 24 (binary) or 1000 (spherical).
    alpha, n : float or int, or array, optional
        The grid. By default the whole curve: for binary weights from n = 1 to the first n at
        which no instance is satisfiable, for spherical weights four standard deviations around
        n = 2 p, with every instance's exact capacity. An explicit grid is cheaper for spherical
        weights, and then ``"capacity"`` is not measured.
    instances, rng, progress, **options_and_controls
        As of `replica.simulate`.

    Returns
    -------
    Experiment

    Raises
    ------
    ControlError
        The formula has no such experiment, a value is outside its range, or the computation would
        not end in reasonable time.
    ConvergenceError
        The linear programme could not be decided (not met so far).

    References
    ----------
    Krauth and Opper, J. Phys. A 22, L519 (1989), for the enumeration of binary weights.
    """
    resolved, controls = resolve(formula, dict(options_and_controls), optional={"alpha"})
    where = f"simulate {resolved.name}"
    experiment = resolved.experiment
    if not isinstance(experiment, StorageExperiment):
        raise ControlError(
            f"{where}: the formula declares no finite-size experiment; "
            "formulas with one have `formula.experiment`"
        )
    if experiment.weights not in _ENGINES:
        raise UnknownName("weights", experiment.weights, _ENGINES, where)
    engine = _ENGINES[experiment.weights]
    used = {name: one_number(name, value, where) for name, value in controls.items()}
    used.pop("alpha", None)
    task = _Task(
        where=where,
        p=positive_integer("p", p, where, largest=engine.largest_p, reason=engine.reason),
        constraint=Constraint.shipped[experiment.constraint],
        kappa=used.get("kappa", 0.0),
        n=pattern_counts(where, p, alpha, n),
    )
    instances = positive_integer("instances", instances, where, largest=_LARGEST_INSTANCES)
    engine.check(task)
    seed, streams = instance_streams(where, rng, instances)
    outcomes = each_instance(lambda stream: engine.run(task, stream), streams, progress)
    grid = np.array(engine.default_n(task, outcomes) if task.n is None else task.n, dtype=np.int64)
    observables, errors, largest_n = _summary(task, grid, outcomes)
    return Experiment(
        formula=resolved.name,
        options=dict(resolved.options),
        controls=used,
        method=engine.method,
        p=task.p,
        instances=instances,
        seed=seed,
        n=grid,
        observables=observables,
        errors=errors,
        largest_n=largest_n,
    )


@dataclass(frozen=True)
class _Task:
    where: str
    p: int
    constraint: Constraint
    kappa: float
    n: tuple[int, ...] | None


@dataclass(frozen=True)
class _Outcome:
    """One instance: satisfiable up to `largest_n`, among the grid only unless `exact`."""

    largest_n: int
    exact: bool
    solutions: FloatArray | None = None  # their number for n = 0, 1, ..., largest_n


@dataclass(frozen=True)
class _Engine:
    method: str
    largest_p: int
    reason: str
    check: Callable[[_Task], None]
    run: Callable[[_Task, np.random.Generator], _Outcome]
    default_n: Callable[[_Task, Sequence[_Outcome]], Sequence[int]]


def _summary(
    task: _Task, grid: NDArray[np.int64], outcomes: Sequence[_Outcome]
) -> tuple[
    Mapping[str, float | FloatArray], Mapping[str, float | FloatArray], NDArray[np.int64] | None
]:
    observables: dict[str, float | FloatArray] = {}
    errors: dict[str, float | FloatArray] = {}
    largest_n = np.array([outcome.largest_n for outcome in outcomes], dtype=np.int64)
    successes = (largest_n[:, None] >= grid).sum(axis=0)
    observables["satisfiable"], errors["satisfiable"] = fraction_with_error(
        successes, len(outcomes)
    )
    if all(outcome.solutions is not None for outcome in outcomes):
        entropy = np.full((len(outcomes), len(grid)), np.nan)
        for row, outcome in zip(entropy, outcomes, strict=True):
            inside = grid <= outcome.largest_n
            row[inside] = np.log(np.asarray(outcome.solutions)[grid[inside]]) / task.p
        observables["entropy"], errors["entropy"] = mean_with_error(entropy)
    if not all(outcome.exact for outcome in outcomes):
        return observables, errors, None
    capacity, error = mean_with_error(largest_n / task.p)
    observables["capacity"], errors["capacity"] = float(capacity), float(error)
    return observables, errors, largest_n


# ---------------------------------------------------------------- binary weights


def _check_enumeration(task: _Task) -> None:
    """Refuse what would not end: each pattern keeps a fraction 1 - r of the weights."""
    z = np.linspace(-9.0, 9.0, 180_001)
    density = np.exp(-z * z / 2)
    accepted = task.constraint.satisfied(z, task.kappa)
    rejected = 1 - float(density[accepted].sum() / density.sum())
    if not rejected > 0:
        raise ControlError(
            f"{task.where}: at kappa = {task.kappa:g} every weight satisfies every pattern, so no "
            "instance ever becomes unsatisfiable; use a more demanding kappa"
        )
    work, patterns = 2.0**task.p / rejected, task.p * math.log(2) / rejected
    if work > _LARGEST_WORK or patterns > _LARGEST_NUMBER_OF_PATTERNS:
        raise ControlError(
            f"{task.where}: at kappa = {task.kappa:g} a pattern rejects only a fraction "
            f"{rejected:.1e} of the weights, so an instance would need about {patterns:.0e} "
            f"patterns and {work:.0e} fields; allowed: {_LARGEST_NUMBER_OF_PATTERNS:.0e} and "
            f"{_LARGEST_WORK:.0e}; use a more demanding kappa or a smaller p"
        )


def _signs(bits: int) -> FloatArray:
    """All vectors of {-1, 1}^bits, one per row."""
    words = np.arange(2**bits)[:, None] >> np.arange(bits)
    return np.asarray(1.0 - 2.0 * (words & 1), dtype=np.float64)


def _enumerate(task: _Task, rng: np.random.Generator) -> _Outcome:
    """Count the solutions after each pattern, over all 2^p weights.

    The weights split in three parts, w = (high, left, right): the field of each part is a small
    table. For each `high` the 2^16 others are filtered pattern after pattern, so that time is a
    few 2^p and memory does not grow with p.
    """
    satisfied, kappa = task.constraint.satisfied, task.kappa
    inner = min(task.p, _CHUNK_BITS)
    right_bits = inner // 2
    left_bits = inner - right_bits
    left_signs, right_signs = _signs(left_bits), _signs(right_bits)
    high_signs = _signs(task.p - inner)
    tables: list[tuple[FloatArray, FloatArray, FloatArray]] = []
    solutions = [2**task.p]

    def pattern(index: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        if index == len(tables):
            x = rng.standard_normal(task.p) / math.sqrt(task.p)
            tables.append(
                (
                    high_signs @ x[inner:],
                    left_signs @ x[:left_bits],
                    right_signs @ x[left_bits:inner],
                )
            )
            solutions.append(0)
        return tables[index]

    for chunk in range(len(high_signs)):
        high, left, right = pattern(0)
        fields = np.add.outer(left + high[chunk], right).ravel()
        alive = np.flatnonzero(satisfied(fields, kappa))
        lefts, rights = alive >> right_bits, alive & (2**right_bits - 1)
        solutions[1] += alive.size
        index = 1
        while alive.size:
            high, left, right = pattern(index)
            fields = (left + high[chunk])[lefts] + right[rights]
            alive = np.flatnonzero(satisfied(fields, kappa))
            lefts, rights = lefts[alive], rights[alive]
            index += 1
            solutions[index] += alive.size
    counts = np.array(solutions, dtype=np.float64)
    largest_n = int(np.flatnonzero(counts)[-1])
    return _Outcome(largest_n, exact=True, solutions=counts[: largest_n + 1])


def _until_unsatisfiable(task: _Task, outcomes: Sequence[_Outcome]) -> Sequence[int]:
    return range(1, max(outcome.largest_n for outcome in outcomes) + 2)


# ---------------------------------------------------------------- spherical weights


def _check_separability(task: _Task) -> None:
    if not task.constraint.is_half_line:
        raise ControlError(
            f"{task.where}: spherical weights with constraint {task.constraint.name!r} are not "
            "a linear programme; allowed: constraint 'step' at kappa = 0"
        )
    if task.kappa != 0:
        raise ControlError(
            f"{task.where}: kappa = {task.kappa:g}; allowed: kappa = 0, the only margin a linear "
            "programme decides (a quadratic programme for kappa > 0; not convex for kappa < 0)"
        )


def _separate(task: _Task, rng: np.random.Generator) -> _Outcome:
    """Find the largest separable n: over the grid, or over all integers without one."""
    p = task.p
    drawn = np.empty((0, p))

    def separable(n: int) -> bool:
        nonlocal drawn
        # Far beyond the capacity the first patterns settle it: the constraints are nested.
        for size in sorted({min(n, 4 * p + 64), n}):
            if size > len(drawn):
                # At kappa = 0 the scale of the patterns is free: entries of order 1.
                drawn = np.vstack([drawn, rng.standard_normal((size - len(drawn), p))])
            if not strictly_separable(drawn[:size], task.where):
                return False
        return True

    if task.n is not None:
        candidates = sorted(set(task.n))
        first, last = 0, len(candidates)
        while first < last:  # invariant: candidates[:first] are separable, candidates[last:] not
            middle = (first + last) // 2
            if separable(candidates[middle]):
                first = middle + 1
            else:
                last = middle
        return _Outcome(candidates[first - 1] if first else 0, exact=False)
    # p points in general position always are; beyond, widen the bracket from 2 p outwards.
    step = math.ceil(math.sqrt(2 * p))
    largest, smallest, trial = p, 0, 2 * p
    while not smallest or smallest - largest > 1:
        if separable(trial):
            largest = trial
        else:
            smallest = trial
        if not smallest:
            trial, step = trial + step, 2 * step
        elif largest == p and smallest - step > p:
            trial, step = smallest - step, 2 * step
        else:
            trial = (largest + smallest) // 2
    return _Outcome(largest, exact=True)


def are_separable(X: FloatArray, y: FloatArray, where: str) -> bool:
    """Decide whether some w has every field of the sign of its label."""
    # fields of order one, as the linear programme expects
    return strictly_separable(math.sqrt(X.shape[1]) * y[:, None] * X, where)


def strictly_separable(patterns: FloatArray, where: str) -> bool:
    r"""Decide whether some w has every field positive.

    .. math:: \max_{w, t} t \quad \text{with} \quad x_\mu \cdot w \ge t, \; |w_i| \le 1

    The maximum is positive if and only if there is one. The solver's word is not taken: w proves
    "yes" by its fields, and the multipliers, a convex combination of patterns of norm close to 0,
    bound the margin of any w and prove "no".
    """
    from scipy.optimize import linprog  # a quarter of a second, only when needed

    n, p = patterns.shape
    objective = np.zeros(p + 1)
    objective[-1] = -1.0
    rows = np.hstack([-patterns, np.ones((n, 1))])
    bounds = [(-1.0, 1.0)] * p + [(None, None)]
    for method in ("highs-ds", "highs-ipm"):
        solution: Any = linprog(
            objective, A_ub=rows, b_ub=np.zeros(n), bounds=bounds, method=method
        )
        if solution.x is None:
            continue
        if float((patterns @ solution.x[:p]).min()) > _STRICT_MARGIN:
            return True
        weights = np.maximum(-np.asarray(solution.ineqlin.marginals), 0.0)
        if weights.sum() > 0.5 and np.abs(weights @ patterns).sum() < _NO_MARGIN * weights.sum():
            return False
    raise ConvergenceError(
        f"{where}: the linear programme with n = {n}, p = {p} could not be decided within its "
        f"accuracy ({solution.message}); use another seed"
    )


def _around_two(task: _Task, outcomes: Sequence[_Outcome]) -> Sequence[int]:
    """Four standard deviations, sqrt(2 p), of the capacity on each side of its mean 2 p."""
    window = 2 * task.p + math.sqrt(2 * task.p) * np.linspace(-4, 4, 17)
    return [int(value) for value in np.unique(np.maximum(np.round(window), 1))]


_ENGINES: Mapping[str, _Engine] = {
    "binary": _Engine(
        method="enumeration of all binary weights",
        largest_p=24,
        reason="all 2^p weights are enumerated, and each further weight doubles the time "
        "(0.2 s per instance at p = 24, kappa = 0)",
        check=_check_enumeration,
        run=_enumerate,
        default_n=_until_unsatisfiable,
    ),
    "spherical": _Engine(
        method="linear programme for strict separability",
        largest_p=1000,
        reason="the time of the linear programme grows as p^3 "
        "(1.5 s at p = 400, a minute at p = 1000)",
        check=_check_separability,
        run=_separate,
        default_n=_around_two,
    ),
}
