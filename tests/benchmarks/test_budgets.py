"""Budgets of time and memory, as ratios within one run wherever a twin exists.

The twins are what one writes by hand for one system: numpy on 121 nodes and `scipy.optimize.root`.
They give a number and nothing else; this package adds the error, the other observables and the
stability. Run with ``pytest -m benchmark`` on a quiet machine; ``-s`` prints what was measured.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import optimize, special

import replica as rp

BINARY = rp.formulas["binary-perceptron"]
SPHERICAL = rp.formulas["spherical-perceptron"]
SYMMETRIC = rp.formulas["symmetric-binary-perceptron"]

# ---- hand-written twins -------------------------------------------------------------------------

T = np.linspace(-9, 9, 121)
WEIGHTS = np.exp(-(T**2) / 2) / np.sqrt(2 * np.pi) * (T[1] - T[0])


FINE = np.linspace(-9, 9, 481)
FINE_WEIGHTS = np.exp(-(FINE**2) / 2) / np.sqrt(2 * np.pi) * (FINE[1] - FINE[0])


def capacity_by_hand(kappa: float) -> float:
    """Binary capacity: stationarity and zero entropy in (q, qhat, alpha), at any margin.

    With 121 nodes the digits end at margin 1 (1e-6 is left at 3, 1e-3 at 5); 481 keep twelve for
    margins from -3 to 5. The start is where the entropy changes sign along the curve of saddles.
    """

    def tails(q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x = (kappa - np.sqrt(q) * FINE) / np.sqrt(1 - q)
        tail = special.erfcx(x / np.sqrt(2))
        return np.sqrt(2 / np.pi) / tail, np.log(tail / 2) - x * x / 2

    scan = np.geomspace(0.01, 1000, 24)
    field = np.sqrt(scan)[:, None] * FINE
    q = np.tanh(field) ** 2 @ FINE_WEIGHTS
    ratio, log_tail = tails(q[:, None])
    alpha = scan * (1 - q) / (ratio**2 @ FINE_WEIGHTS)
    height = (q - 1) * scan / 2 + np.logaddexp(field, -field) @ FINE_WEIGHTS
    height += alpha * (log_tail @ FINE_WEIGHTS)
    k = np.flatnonzero(height < 0)[0]

    def equations(z: np.ndarray) -> list[float]:
        q, qhat, alpha = z
        field = np.sqrt(qhat) * FINE
        ratio, log_tail = tails(q)
        return [
            q - FINE_WEIGHTS @ np.tanh(field) ** 2,
            qhat - alpha * (FINE_WEIGHTS @ ratio**2) / (1 - q),
            (q - 1) * qhat / 2
            + FINE_WEIGHTS @ np.logaddexp(field, -field)
            + alpha * (FINE_WEIGHTS @ log_tail),
        ]

    found = optimize.root(equations, [q[k], scan[k], alpha[k]], tol=1e-12)
    assert found.success
    return float(found.x[2])


def saddle_by_hand(alpha: float, kappa: float) -> tuple[float, float]:
    """Binary saddle (q, qhat), from the response to a few patterns and two plain iterations.

    The iterations save more calls than they cost; without the guard, points close to capacity
    run out of the domain.
    """

    def update(q: float, qhat: float) -> tuple[float, float]:
        x = (kappa - np.sqrt(q) * T) / np.sqrt(1 - q)
        ratio = np.sqrt(2 / np.pi) / special.erfcx(x / np.sqrt(2))
        overlap = WEIGHTS @ np.tanh(np.sqrt(qhat) * T) ** 2
        return overlap, alpha * (WEIGHTS @ ratio**2) / (1 - q)

    def equations(z: np.ndarray) -> list[float]:
        q, qhat = min(max(z[0], 1e-12), 1 - 1e-9), max(z[1], 0.0)
        overlap, force = update(q, qhat)
        return [z[0] - overlap, z[1] - force]

    first = alpha * 2 / np.pi / special.erfcx(kappa / np.sqrt(2)) ** 2
    start = update(*update(first / (1 + first), first))
    found = optimize.root(equations, start, tol=1e-12)
    assert found.success
    return float(found.x[0]), float(found.x[1])


# ---- clocks -------------------------------------------------------------------------------------


def medians(*calls: Callable[[], Any], rounds: int) -> list[float]:
    """Median seconds of each call, taken in turn so that a busy machine slows all alike."""
    for call in calls:
        call()  # warm
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, kept in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            kept.append(time.perf_counter() - start)
    return [statistics.median(kept) for kept in times]


def in_process(code: str, rounds: int) -> float:
    """Median of the number that `code` prints last, over fresh interpreters."""
    found = []
    for _ in range(rounds):
        output = subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        ).stdout
        found.append(float(output.split()[-1]))
    return statistics.median(found)


def script(name: str) -> list[str]:
    """Return how a user starts the command, from the environment of this interpreter."""
    found = shutil.which(name, path=os.pathsep.join([sysconfig.get_path("scripts")]))
    assert found, "the command is not installed beside this interpreter"
    return [found]


def report(benchmark: Any, **measured: float) -> None:
    benchmark.extra_info.update(measured)
    print(*(f"{name} = {value:.4g}" for name, value in measured.items()), sep=", ")


# ---- thresholds ---------------------------------------------------------------------------------


def test_capacity_against_its_twin(benchmark: Any):
    """Warm `threshold` <= 3 times the hand-written version of the same equations."""
    expected = benchmark(lambda: rp.threshold(BINARY, "alpha_G", kappa=0.0)).value
    assert capacity_by_hand(0.0) == pytest.approx(expected, abs=1e-11)
    ours, theirs = medians(
        lambda: rp.threshold(BINARY, "alpha_G", kappa=0.0),
        lambda: capacity_by_hand(0.0),
        rounds=60,
    )
    report(benchmark, ours_ms=1e3 * ours, twin_ms=1e3 * theirs, ratio=ours / theirs)
    assert ours <= 3 * theirs


ONE_OVERLAP = [
    (BINARY, "alpha_G", {"kappa": 0.0}),
    (BINARY, "alpha_G", {"kappa": -3.0}),
    (BINARY, "alpha_G", {"kappa": 5.0}),
    (BINARY, "alpha_AT", {"kappa": 0.0}),
    (BINARY, "alpha_AT", {"kappa": 3.0}),
    (SPHERICAL, "alpha_G", {"kappa": 1.0}),
    (SPHERICAL, "alpha_AT", {"kappa": -1.0}),
    (SPHERICAL, "alpha_AT", {"kappa": -0.05}),
    (SYMMETRIC, "alpha_G", {"kappa": 1.0, "constraint": "rectangle"}),
    (SYMMETRIC, "alpha_AT", {"kappa": 1.0, "constraint": "rectangle"}),
    (SYMMETRIC, "alpha_G", {"kappa": 1.0, "constraint": "u"}),
    (SYMMETRIC, "alpha_AT", {"kappa": 1.0, "constraint": "u"}),
    (SYMMETRIC, "alpha_RS", {"kappa": 1.5, "constraint": "u"}),
    (SYMMETRIC, "kappa_star", {"constraint": "u"}),
]


@pytest.mark.parametrize(
    ("formula", "name", "given"),
    ONE_OVERLAP,
    ids=[" ".join([f.name, n, *map(str, g.values())]) for f, n, g in ONE_OVERLAP],
)
def test_any_threshold_with_one_overlap(
    benchmark: Any, formula: Any, name: str, given: dict[str, Any]
):
    """Warm, at most 50 ms."""
    benchmark.pedantic(lambda: rp.threshold(formula, name, **given), rounds=5, warmup_rounds=1)
    (ours,) = medians(lambda: rp.threshold(formula, name, **given), rounds=15)
    report(benchmark, ours_ms=1e3 * ours)
    assert ours <= 0.050


# ---- cold ---------------------------------------------------------------------------------------

FIRST_USE = """
import time
import replica as rp
target = rp.formulas[{name!r}]
def once():
    start = time.perf_counter()
    formula = target(**{options!r}) if {options!r} else target
    rp.threshold(formula, "alpha_G", **{controls!r})
    return time.perf_counter() - start
cold = once()
print(cold - once())
"""

COMPILED = [
    ("binary-perceptron", {}, {"kappa": 0.0}),
    ("spherical-perceptron", {"rsb": 0}, {"kappa": 0.0}),
    ("spherical-perceptron", {"rsb": 1}, {"kappa": -1.0}),
    ("symmetric-binary-perceptron", {"constraint": "rectangle"}, {"kappa": 1.0}),
    ("symmetric-binary-perceptron", {"constraint": "u"}, {"kappa": 1.0}),
]


@pytest.mark.parametrize(
    ("name", "options", "controls"),
    COMPILED,
    ids=[" ".join([name, *map(str, options.values())]) for name, options, _ in COMPILED],
)
def test_compiling_for_a_threshold(
    benchmark: Any, name: str, options: dict[str, Any], controls: dict[str, float]
):
    """Declaring a formula and compiling what its capacity needs: at most one second."""
    code = FIRST_USE.format(name=name, options=options, controls=controls)
    seconds = in_process(code, 3)
    benchmark.pedantic(in_process, args=(code, 1), rounds=1)
    report(benchmark, compile_s=seconds)
    assert seconds <= 1.0


def test_compiling_for_a_saddle(benchmark: Any):
    """Equations, Jacobian, observables and their bounds: at most one second."""
    found = {}
    for name, options, controls in COMPILED:
        if options.get("rsb"):
            continue
        alpha = 0.3
        code = FIRST_USE.format(name=name, options=options, controls=controls).replace(
            'rp.threshold(formula, "alpha_G", ', f"rp.solve(formula, alpha={alpha}, "
        )
        label = "_".join([name.split("-")[0], *map(str, options.values())])
        found[label] = in_process(code, 3)
    benchmark.pedantic(in_process, args=(code, 1), rounds=1)
    report(benchmark, **found)
    assert max(found.values()) <= 1.0


def test_import(benchmark: Any):
    """`import replica` costs at most 0.25 s more than `import sympy`."""
    clock = (
        "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"
    )
    in_process(clock.format("replica"), 1)  # compiles the bytecode
    ours, sympy = [], []
    for _ in range(7):
        ours.append(in_process(clock.format("replica"), 1))
        sympy.append(in_process(clock.format("sympy"), 1))
    more = statistics.median(ours) - statistics.median(sympy)
    benchmark.pedantic(in_process, args=(clock.format("replica"), 1), rounds=1)
    report(
        benchmark,
        replica_s=statistics.median(ours),
        sympy_s=statistics.median(sympy),
        more_s=more,
    )
    assert more <= 0.25


def timed_command(arguments: list[str], rounds: int) -> tuple[float, str]:
    command, times, output = script("replica"), [], ""
    for _ in range(rounds):
        start = time.perf_counter()
        output = subprocess.run(
            [*command, *arguments], check=True, capture_output=True, text=True
        ).stdout
        times.append(time.perf_counter() - start)
    return statistics.median(times), output


def test_command_for_a_capacity(benchmark: Any):
    """A cold `replica threshold binary-perceptron alpha_G`: at most 2.5 s."""
    arguments = ["threshold", "binary-perceptron", "alpha_G"]
    timed_command(arguments, 1)
    seconds, output = timed_command(arguments, 5)
    assert "0.83307859973" in output
    benchmark.pedantic(timed_command, args=(arguments, 1), rounds=1)
    report(benchmark, cold_s=seconds)
    assert seconds <= 2.5


def test_command_for_all_constants(benchmark: Any):
    """`replica constants`: at most 10 s."""
    seconds, output = timed_command(["constants"], 3)
    assert "krauth1989" in output or "Krauth" in output
    benchmark.pedantic(timed_command, args=(["constants"], 1), rounds=1)
    report(benchmark, constants_s=seconds)
    assert seconds <= 10


# ---- grids --------------------------------------------------------------------------------------

ALPHAS, KAPPAS = np.linspace(0.01, 0.8, 100), np.linspace(-1, 0, 100)


def on_grid(alphas: np.ndarray, kappas: np.ndarray, **more: Any) -> rp.Solution:
    return rp.solve(BINARY, alpha=alphas[None, :], kappa=kappas[:, None], **more)


def sample(count: int) -> list[tuple[int, int]]:
    """Points spread over the grid as evenly as `count` allows."""
    flat = np.linspace(0, ALPHAS.size * KAPPAS.size - 1, count).astype(int)
    shuffled = flat * 37 % (ALPHAS.size * KAPPAS.size)
    return [divmod(int(k), ALPHAS.size) for k in shuffled]


def test_ten_thousand_saddles_against_scalar_solves(benchmark: Any):
    """One vectorised call is at least 15 times faster than solving point by point by hand."""
    places = sample(300)

    def by_hand() -> list[tuple[float, float]]:
        return [saddle_by_hand(ALPHAS[j], KAPPAS[i]) for i, j in places]

    found = benchmark.pedantic(on_grid, args=(ALPHAS, KAPPAS), rounds=2)
    assert found.converged.all()
    # the same accuracy: both against twenty digits, at the corners and in the middle
    for i, j in ((0, 0), (0, 99), (99, 0), (99, 99), (50, 50)):
        truth = rp.solve(BINARY, alpha=ALPHAS[j], kappa=KAPPAS[i], digits=20)
        q, qhat = (float(truth.texts[name]) for name in ("q", "qhat"))
        hand = saddle_by_hand(ALPHAS[j], KAPPAS[i])
        assert hand == pytest.approx((q, qhat), rel=1e-10)
        assert abs(found.q[i, j] - q) <= max(abs(hand[0] - q), 1e-13)
        assert abs(found.qhat[i, j] - qhat) <= max(abs(hand[1] - qhat), 1e-12)
    for (i, j), (q, _) in zip(places, by_hand(), strict=True):
        assert found.q[i, j] == pytest.approx(q, abs=1e-10)

    ours, bare, theirs = medians(
        lambda: on_grid(ALPHAS, KAPPAS),
        lambda: on_grid(ALPHAS, KAPPAS, observables=()),
        by_hand,
        rounds=7,
    )
    scaled = theirs * ALPHAS.size * KAPPAS.size / len(places)
    report(
        benchmark,
        grid_s=ours,
        grid_without_observables_s=bare,
        twin_s=scaled,
        twin_ms_per_point=1e3 * theirs / len(places),
        speedup=scaled / ours,
        speedup_without_observables=scaled / bare,
    )
    # a number and its error against a number; observables are more than the twin gives
    assert scaled >= 15 * bare


def test_ten_thousand_saddles_up_to_capacity(benchmark: Any):
    """The same where every margin has its own range of alpha, up to its capacity."""
    kappas = np.linspace(-1, 1, 100)
    capacity = [rp.threshold(BINARY, "alpha_G", kappa=kappa).value for kappa in kappas]
    alphas = np.linspace(0.01, 1, 100)[None, :] * np.array(capacity)[:, None]
    places = [(k % 100, k * 7 % 100) for k in range(0, 900, 3)]

    def ours() -> rp.Solution:
        return rp.solve(BINARY, alpha=alphas, kappa=kappas[:, None], observables=())

    def by_hand() -> None:
        for i, j in places:
            saddle_by_hand(alphas[i, j], kappas[i])

    found = benchmark.pedantic(ours, rounds=2)
    assert found.converged.all()
    everything = rp.solve(BINARY, alpha=alphas, kappa=kappas[:, None])
    np.testing.assert_allclose(everything["entropy"][:, -1], 0, atol=1e-11)
    seconds, theirs = medians(ours, by_hand, rounds=5)
    scaled = theirs * alphas.size / len(places)
    report(benchmark, grid_s=seconds, twin_s=scaled, speedup=scaled / seconds)
    assert scaled >= 15 * seconds


def test_cost_of_a_point_falls_with_the_grid(benchmark: Any):
    sizes = [(2, 5), (10, 10), (32, 32), (100, 100)]
    grids = [(np.linspace(0.01, 0.8, across), np.linspace(-1, 0, down)) for down, across in sizes]
    seconds = medians(
        *(lambda grid=grid: on_grid(*grid) for grid in grids),
        rounds=5,
    )
    counts = [down * across for down, across in sizes]
    each = [1e6 * total / count for total, count in zip(seconds, counts, strict=True)]
    benchmark.pedantic(on_grid, args=grids[2], rounds=3)
    report(benchmark, **{f"us_per_point_{n}": cost for n, cost in zip(counts, each, strict=True)})
    assert each[0] > each[1] > each[2]
    # once the overhead is shared the total is linear: no point costs more in a larger grid
    assert each[3] <= 1.2 * each[2]
    assert each[3] < each[1] / 3


def test_memory_is_flat(benchmark: Any):
    """Four times the points add little more than their results; never above 256 MB."""

    def peak(count: int) -> float:
        tracemalloc.start()
        rp.solve(BINARY, alpha=np.linspace(0.01, 0.8, count), kappa=0.0)
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest / 2**20

    peak(100)
    small, large = peak(5_000), peak(40_000)
    benchmark.pedantic(lambda: peak(1_000), rounds=1)
    report(benchmark, small_mb=small, large_mb=large)
    assert large <= 256
    # results and work arrays of a point: a few hundred numbers
    assert large - small <= 35_000 * 400 * 8 / 2**20


def test_budgets_are_measured_on_the_installed_package():
    assert Path(rp.__file__).is_file()
