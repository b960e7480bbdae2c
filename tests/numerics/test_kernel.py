"""Kernels as functions of arrays: shapes, grids, memory, and what they refuse."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from sympy import (
    Abs,
    Max,
    Rational,
    exp,
    log,
    sin,
    sqrt,
    symbols,
)

import replica as rp
from replica.language.means import Mean
from replica.language.primitives import LogCosh, LogH, LogSumExp, Tanh
from replica.numerics.kernel import MAX_REFINEMENT, Kernel, compile_kernel
from replica.numerics.rounding import Bounded

x, z = symbols("x z", real=True)
a, q, v = symbols("a q v", real=True)

STEEP = Mean(LogH((a - x) / sqrt(1 - q)), (x, q))
SMOOTH = Mean(LogCosh(x), (x, v))
KINK = Mean(Abs(x - a), (x, v))
TILT = log(Mean(exp(-a * Max(0, 1 - x) ** 2), (x, v)))
MIXTURE = Mean(LogSumExp(0, a * x**2 + q), (x, 1))  # zeros on the real line only for q < 0
NESTED = Mean(log(Mean(exp(LogH(a - x - z)), (z, v))), (x, q))


def formula_kernel(name: str) -> Kernel:
    formula = rp.formulas[name]
    arguments = (*formula.unknowns, *(c.symbol for c in formula.controls.values()))
    return compile_kernel(arguments, (*formula.residuals.values(), *formula.observables.values()))


# ---- shapes ------------------------------------------------------------------------------------


def test_scalar_arguments_give_scalars():
    kernel = Kernel((v, a), (SMOOTH, a * SMOOTH, a + 1))
    for row in (kernel(1.0, 2.0), kernel(1, 2), kernel(np.float64(1), np.array(2.0))):
        assert [part.shape for part in row] == [(), (), ()]
    assert [part.value.shape for part in kernel.bounded(1.0, 2.0)] == [(), (), ()]
    assert float(kernel(1.0, 2.0)[2]) == 3


def test_arguments_broadcast():
    kernel = Kernel((q, a), (STEEP, a))
    overlaps, margins = np.linspace(0, 0.9, 4)[:, None], np.linspace(-2, 2, 3)
    value, echo = kernel(overlaps, margins)
    assert value.shape == echo.shape == (4, 3)
    np.testing.assert_array_equal(echo, np.broadcast_to(margins, (4, 3)))
    row, _ = kernel.bounded(overlaps, margins)
    assert row.value.shape == row.bound.shape == (4, 3)
    for i in range(4):
        for j in range(3):
            (alone, _) = kernel.bounded(overlaps[i, 0], margins[j])
            assert abs(alone.value - value[i, j]) <= alone.bound + row.bound[i, j]


def test_empty_grids_stay_empty():
    kernel = Kernel((q, a), (STEEP,))
    (value,) = kernel(np.empty(0), 1.0)
    assert value.shape == (0,)
    (row,) = kernel.bounded(np.empty((0, 3)), 1.0)
    assert row.value.shape == row.bound.shape == (0, 3)


def test_expressions_without_means():
    kernel = Kernel((a,), (a**2 + 1, Rational(1, 3) + 0 * a))
    grid = np.linspace(-1, 1, 5)
    square, third = kernel(grid)
    np.testing.assert_allclose(square, grid**2 + 1)
    np.testing.assert_allclose(third, np.full(5, 1 / 3))


def test_bounds_of_arguments_broadcast():
    kernel = Kernel((v, a), (KINK,))
    (row,) = kernel.bounded(Bounded(np.ones(3), 1e-3), Bounded(0.5, np.array([0, 1e-3, 1e-2])))
    assert row.bound.shape == (3,)
    assert (np.diff(row.bound) > 0).all()


# ---- grids are the points ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "symbols_", "low", "high"),
    [
        (STEEP, (q, a), (0, -3), (1 - 1e-8, 5)),
        (SMOOTH, (v,), (0,), (1e4,)),
        (KINK, (v, a), (0, -3), (4, 3)),
        (TILT, (v, a), (0, 0), (4, 100)),
        (MIXTURE, (q, a), (-2, 1), (2, 300)),
    ],
    ids=["steep", "smooth", "kink", "tilt", "mixture"],
)
def test_a_grid_is_its_points(expression, symbols_, low, high, rng):
    """Chunks, shared panels and threads change nothing beyond the bounds; neither does order."""
    count = 2500
    steps = rng.uniform(0, 1, (len(symbols_), count))
    steps[0, ::3] = 1 - 10.0 ** -rng.uniform(0, 8, steps[0, ::3].size)  # towards the edge
    values = [lo + (hi - lo) * s for lo, hi, s in zip(low, high, steps, strict=True)]
    kernel = Kernel(symbols_, (expression,))
    (plain,) = kernel(*values)
    (row,) = kernel.bounded(*values)
    assert np.isfinite(plain).all()
    assert (np.abs(plain - row.value) <= row.bound).all()
    for k in range(0, count, 61):
        point = [w[k] for w in values]
        (alone,) = kernel(*point)
        (one,) = kernel.bounded(*point)
        assert abs(alone - one.value) <= one.bound
        assert abs(alone - plain[k]) <= one.bound + row.bound[k]
    order = rng.permutation(count)
    (shuffled,) = kernel(*(w[order] for w in values))
    assert (np.abs(shuffled - plain[order]) <= row.bound[order]).all()


def test_a_nested_grid_is_its_points():
    kernel = Kernel((q, v, a), (NESTED,))
    overlaps, margins = np.linspace(0.05, 0.9, 5), np.linspace(-1, 1, 5)
    (row,) = kernel.bounded(overlaps, 0.3, margins)
    for k in range(5):
        (alone,) = kernel(overlaps[k], 0.3, margins[k])
        assert abs(alone - row.value[k]) <= row.bound[k]


def test_results_are_reproducible(rng):
    kernel = formula_kernel("binary-perceptron")
    values = rng.uniform(0, 0.999, 3000), rng.uniform(0, 10, 3000), 1.0, 0.5
    first, second = kernel(*values), kernel(*values)
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, two)


def test_refining_moves_values_within_their_bounds():
    kernel = formula_kernel("binary-perceptron")
    grid = np.linspace(0, 0.9999, 50)
    rows = [kernel.bounded(grid, 2.0, 1.0, 0.3, refinement=k) for k in range(MAX_REFINEMENT + 1)]
    for coarse, fine in zip(rows[0], rows[-1], strict=True):
        assert (np.abs(coarse.value - fine.value) <= coarse.bound + fine.bound).all()


# ---- what is not a number ----------------------------------------------------------------------


def test_not_a_number_stays_so_and_touches_nothing_else():
    kernel = Kernel((q, a), (STEEP, SMOOTH.subs(v, q)))
    overlaps = np.array([0.5, np.nan, 0.5, -0.1, 1.5])
    values = kernel(overlaps, 0.3)
    rows = kernel.bounded(overlaps, 0.3)
    for value, row in zip(values, rows, strict=True):
        assert np.isfinite(value[[0, 2]]).all()
        assert np.isnan(value[[1, 3]]).all()
        assert value[0] == value[2]
        assert (row.bound[[1, 3]] == np.inf).all()
        assert np.isfinite(row.bound[[0, 2]]).all()
    assert np.isnan(kernel(-0.1, 0.3)[0])
    assert kernel.bounded(-0.1, 0.3)[0].bound == np.inf


def test_a_bound_is_never_missing():
    """Where the bound cannot be computed it is infinite, not a NaN that no comparison sees."""
    hard = (
        Mean(exp(-exp(100 * x) - exp(-100 * x)), (x, v)),
        Mean(sqrt(Max(0, x)), (x, v)),
        Mean(1 / (1 + exp(800 * x)), (x, v)),
        log(v) * Mean(Abs(x), (x, v)),
        Mean(exp(400 * x**2), (x, v)),
    )
    with np.errstate(all="ignore"):
        for row in Kernel((v,), hard).bounded(np.array([0.0, 1e-8, 1.0, 1e8])):
            assert not np.isnan(row.bound).any()
            assert (row.bound[~np.isfinite(row.value)] == np.inf).all()


@pytest.mark.parametrize(
    "body",
    [
        1 / (x**2 - 1),
        1 / Abs(x),
        Abs(x) ** Rational(-3, 2),
        1 / sin(x),
        exp(x**2),
        exp(exp(x)),
        exp(-LogH(x) * 2),
    ],
    ids=str,
)
def test_a_divergent_mean_is_refused_or_unbounded(body):
    """These have no value: a finite number with a finite error would be made up."""
    try:
        kernel = Kernel((v,), (Mean(body, (x, v)),))
    except ValueError:  # DeclarationError: refused, which is better
        return
    for refinement in range(MAX_REFINEMENT + 1):
        (row,) = kernel.bounded(1.0, refinement=refinement)
        assert row.bound == np.inf


@pytest.mark.parametrize("argument", [700.0, 1e5, 1e154, 1e300])
def test_large_arguments_do_not_overflow(argument):
    kernel = Kernel((v, a), (Mean(LogCosh(a * x), (x, v)), Mean(Tanh(a * x) ** 2, (x, v))))
    first, second = kernel(1.0, argument)
    # log cosh y = |y| - log 2 + log(1 + exp(-2|y|)), the last of which integrates to pi^2 / 24
    beyond = np.sqrt(2 / np.pi) * np.pi**2 / 24 / argument
    assert first == pytest.approx(argument * np.sqrt(2 / np.pi) - np.log(2) + beyond, rel=1e-11)
    rounding = 1e-15  # of the weights, whose sum is one
    assert second == pytest.approx(1, abs=2 / argument + rounding)


# ---- cost --------------------------------------------------------------------------------------


def peak_memory(kernel: Kernel, points: int) -> int:
    overlaps = np.linspace(0, 1 - 1e-8, points)
    tracemalloc.start()
    try:
        kernel(overlaps, 2.0, 1.0, 0.5)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_is_flat():
    """A grid costs its own arguments and results, not its nodes: those come in chunks."""
    kernel = formula_kernel("binary-perceptron")
    results = len(kernel.expressions)
    peak_memory(kernel, 100)
    small, large = peak_memory(kernel, 10_000), peak_memory(kernel, 100_000)
    assert large < 256 * 2**20
    kept = 8 * (100_000 - 10_000)  # bytes of one more array
    assert large - small < 10 * (results + len(kernel.arguments)) * kept


def test_compiled_kernels_are_shared():
    assert compile_kernel((v,), (SMOOTH,)) is compile_kernel((v,), (SMOOTH,))
    renamed = Mean(LogCosh(z), (z, v))
    assert compile_kernel((v,), (renamed,)) is compile_kernel((v,), (SMOOTH,))


def test_a_fork_after_a_threaded_grid_does_not_hang():
    """Worker processes are forked by default on Linux; threads do not follow them."""
    code = """
import os, sys
import numpy as np
from sympy import symbols
from replica.language.means import Mean
from replica.language.primitives import LogH
from replica.numerics.kernel import Kernel
x, q = symbols("x q", real=True)
kernel = Kernel((q,), (Mean(LogH(x), (x, q)),))
grid = np.linspace(0, 1, 20000)
kernel(grid)
child = os.fork()
if child == 0:
    kernel(grid)
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, _ = process.communicate(timeout=15)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        pytest.fail("the forked process waits for threads that do not exist")
    assert out.strip() == "7"
