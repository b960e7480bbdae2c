"""Two tests over one table: the claimed error is honest, and the value converges.

A case that breaks a promise on purpose would be named in `LIMITS` with its reason; strict xfail
keeps that list honest too. It is meant to stay empty.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mpf
from numerics.problem import TAGS, Problem
from numerics.problems import PROBLEMS, truth

from replica.numerics.kernel import MAX_REFINEMENT, Kernel
from replica.numerics.precise import PreciseKernel
from replica.numerics.rounding import Bounded

LIMITS: dict[str, str] = {}

UNDERFLOW = mpf(10) ** -300  # what is smaller counts as zero


def cases(problems: tuple[Problem, ...]) -> list[Any]:
    return [
        pytest.param(
            problem,
            id=problem.name.replace(" ", "-"),
            marks=[pytest.mark.xfail(reason=LIMITS[problem.name])]
            if problem.name in LIMITS
            else [],
        )
        for problem in problems
    ]


def refinements(problem: Problem) -> range:
    """All of them, but for two means inside each other, where the finest take many seconds."""
    return range(2 if "nested" in problem.tags else MAX_REFINEMENT + 1)


@cache
def computed(name: str, refinement: int) -> tuple[float, float]:
    (problem,) = (p for p in PROBLEMS if p.name == name)
    kernel = Kernel(tuple(problem.at), (problem.expression,))
    (row,) = kernel.bounded(*problem.at.values(), refinement=refinement)
    return float(row.value), float(row.bound)


def true_error(value: float, problem: Problem) -> Any:
    if not np.isfinite(value):
        return mpmath.inf
    with mpmath.workdps(40):
        return abs(mpf(value) - truth(problem.name))


def check_honest(problem: Problem, refinement: int) -> None:
    value, bound = computed(problem.name, refinement)
    error = true_error(value, problem)
    assert error <= bound or error < UNDERFLOW, (
        f"refinement {refinement}: {value} is off by {mpmath.nstr(error, 3)}, "
        f"the bound is {bound:.3g}"
    )


@pytest.mark.parametrize("problem", cases(PROBLEMS))
def test_honest(problem):
    for refinement in refinements(problem):
        check_honest(problem, refinement)


@pytest.mark.slow
@pytest.mark.parametrize("problem", cases(tuple(p for p in PROBLEMS if "nested" in p.tags)))
def test_honest_when_finest(problem):
    for refinement in range(MAX_REFINEMENT + 1):
        check_honest(problem, refinement)


@pytest.mark.parametrize("problem", cases(tuple(p for p in PROBLEMS if p.reaches is not None)))
def test_converges(problem):
    value, bound = computed(problem.name, refinements(problem)[-1])
    size = max(abs(truth(problem.name)), UNDERFLOW)
    error = true_error(value, problem)
    assert error <= problem.reaches * size or error < UNDERFLOW
    # a bound that is never small would make every solution inaccurate
    assert bound <= 1e4 * problem.reaches * size or error < UNDERFLOW


@pytest.mark.parametrize("problem", cases(PROBLEMS))
def test_plain_value_is_the_bounded_one(problem):
    """`kernel(...)` and `kernel.bounded(...)` may add in another order, nothing more."""
    kernel = Kernel(tuple(problem.at), (problem.expression,))
    (value,) = kernel(*problem.at.values())
    expected, bound = computed(problem.name, 0)
    assert value == expected or abs(value - expected) <= bound


@pytest.mark.parametrize("problem", cases(PROBLEMS))
def test_uncertain_arguments_are_covered(problem):
    """The bound for an argument +- 1e-7 of its distance from 0 and 1 covers both ends."""
    symbols = tuple(problem.at)
    kernel = Kernel(symbols, (problem.expression,))
    for symbol in symbols:
        spread = 1e-7 * min(abs(problem.at[symbol]), abs(1 - problem.at[symbol]) or 1.0)
        uncertain = [Bounded(w, spread if s is symbol else 0.0) for s, w in problem.at.items()]
        (row,) = kernel.bounded(*uncertain)
        for sign in (-1, 1):
            moved = [w + (sign * spread if s is symbol else 0.0) for s, w in problem.at.items()]
            (end,) = kernel.bounded(*moved)
            if not np.isfinite(row.value):
                assert row.bound == np.inf
                continue
            assert abs(end.value - row.value) <= row.bound + end.bound


# Two means inside each other take minutes in many digits, and what is curved or tilted seconds.
LONG = {"nested", "curved", "tilted", "heavy", "singular"}
QUICK = tuple(
    p for p in PROBLEMS if LONG.isdisjoint(p.tags) or p.name in ("tilted by 7", "exponential")
)


@pytest.mark.parametrize("problem", cases(QUICK))
def test_precise_kernel_is_honest(problem):
    check_precise(problem, digits=18)


def check_precise(problem: Problem, digits: int) -> None:
    kernel = PreciseKernel(tuple(problem.at), (problem.expression,))
    (value,), (claimed,) = kernel([mpf(w) for w in problem.at.values()], digits)
    with mpmath.workdps(40):
        size = max(abs(truth(problem.name)), UNDERFLOW)
        error = abs(value - truth(problem.name))
        assert error <= claimed + mpf(10) ** -28 * size  # the oracle has its own error
        if problem.reaches is not None and "curved" not in problem.tags:
            assert error <= mpf(10) ** (1 - digits) * max(size, 1)


# ---- the table itself --------------------------------------------------------------------------


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.name)
def test_every_problem_says_what_makes_it_hard(problem):
    assert problem.tags
    assert set(problem.tags) <= set(TAGS)
    assert problem.expression.free_symbols <= set(problem.at)


def test_every_difficulty_is_tried():
    assert {tag for problem in PROBLEMS for tag in problem.tags} == set(TAGS)


def test_names_are_unique():
    assert len({problem.name for problem in PROBLEMS}) == len(PROBLEMS)


def test_limits_name_problems():
    assert set(LIMITS) <= {problem.name for problem in PROBLEMS}
