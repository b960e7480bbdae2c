"""Roots of equations: values, errors, derivatives and digits against scipy and mpmath."""

from __future__ import annotations

import pickle

import mpmath
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import lambertw
from sympy import Eq, Interval, Symbol, cos, exp, latex, log, oo, symbols, tan, tanh

import replica as rp
from replica.numerics.kernel import compile_kernel
from replica.numerics.precise import PreciseKernel

s, x, v, y = symbols("s x v y", real=True)
b, t, kappa = symbols("b t kappa", positive=True)
q = symbols("q", nonnegative=True)
LAMBERT = rp.Implicit(s, s * exp(s) - x, branch=(-1, oo))
CUBIC = rp.Implicit(s, s**3 + s - x, branch=Interval(-oo, oo))


def values(node, symbol, at):
    (found,) = compile_kernel((symbol,), (node,)).bounded(np.asarray(at, dtype=float))
    return found


@pytest.mark.parametrize(
    ("node", "symbol", "at", "expected"),
    [
        (LAMBERT, x, [-0.36, -0.1, 1e-8, 1.0, 10.0, 1e5, 1e20], lambda x: lambertw(x).real),
        (rp.Implicit(s, log(s) - x, (0, oo)), x, [0.3, -100, -600, 300], np.exp),
        (rp.Implicit(s, b * s**2 - 1, (0, oo)), b, [1e-200, 1e-20, 1, 1e20], lambda b: b**-0.5),
        (rp.Implicit(s, s**3 - x, (-oo, 0)), x, [-8.0, -1e-200, -1e200], np.cbrt),
        (rp.Implicit(s, s - x**2, (x**2 - 1, x**2 + 2)), x, [0.0, 3.0, 1e4], np.square),
        (rp.Implicit(s, Eq(b, s / (1 - s)), (0, 1)), b, [1e-9, 1.0, 1e6], lambda b: b / (1 + b)),
    ],
)
def test_values_and_their_errors(node, symbol, at, expected):
    found, truth = values(node, symbol, at), expected(np.asarray(at))
    assert found.value == pytest.approx(truth, rel=1e-12)
    assert (np.abs(found.value - truth) <= found.bound + 4e-16 * np.abs(truth)).all()
    assert (found.bound <= 1e-12 * np.abs(truth)).all()


def test_a_spontaneous_magnetisation():
    magnet = rp.Implicit(s, s - tanh(b * s), branch=(0, 1))
    found = values(magnet, b, [0.5, 1.0, 1.01, 2.0, 5.0, 20.0]).value
    assert np.isnan(found[:2]).all()  # below the transition there is no root but zero
    for strength, size in zip((1.01, 2.0, 5.0), found[2:5], strict=True):
        assert size == pytest.approx(
            brentq(lambda m, b=strength: m - np.tanh(b * m), 1e-3, 1), abs=1e-13
        )
    assert found[5] == 1.0


def test_a_pole_or_two_roots_are_no_root():
    assert np.isnan(values(rp.Implicit(s, 1 / (s - x), (x - 1, x + 2)), x, 0.3).value)
    assert np.isnan(values(rp.Implicit(s, s**2 - b, (-oo, oo)), b, 2.0).value)
    assert np.isnan(values(rp.Implicit(s, s**2 + b, (0, oo)), b, 2.0).value)


def test_derivatives_by_the_implicit_function_theorem():
    place, step = 0.7, 1e-5
    nested = rp.Implicit(s, s - cos(LAMBERT + s) / 2, branch=(-2, 2))
    for node in (LAMBERT, CUBIC, nested):
        kernel = compile_kernel((x,), (node, node.diff(x), node.diff(x, 2)))
        low, here, high = (kernel(place + k * step) for k in (-1, 0, 1))
        assert float(here[1]) == pytest.approx(float(high[0] - low[0]) / (2 * step), rel=1e-8)
        assert float(here[2]) == pytest.approx(float(high[1] - low[1]) / (2 * step), rel=1e-7)


@pytest.mark.parametrize("seed", range(8))
def test_referee_of_monotone_equations(seed: int):
    """sum_k a_k (s - c_k)^(odd) + b s = x by brentq, anywhere in eight decades."""
    rng = np.random.default_rng(seed)
    a, c = rng.exponential(size=3), rng.normal(size=3)
    left = sum(float(a[k]) * (s - float(c[k])) ** (2 * k + 1) for k in range(3))
    node = rp.Implicit(s, Eq(left, x), branch=(-oo, oo))
    at = np.concatenate([rng.normal(size=5), 10 ** rng.uniform(-4, 4, 5)])
    found = values(node, x, at)
    for k, target in enumerate(at):
        root = brentq(
            lambda s, r=target: sum(a[k] * (s - c[k]) ** (2 * k + 1) for k in range(3)) - r,
            -1e3,
            1e3,
            xtol=1e-14,
        )
        assert abs(found.value[k] - root) <= found.bound[k] + 2e-14 * max(abs(root), 1)


def test_digits():
    ((value,), (error,)) = PreciseKernel((x,), (LAMBERT,))([mpmath.mpf(1)], digits=40)
    with mpmath.workdps(50):
        assert abs(value - mpmath.lambertw(1)) < mpmath.mpf(10) ** -40
    assert error < 1e-40


def test_inside_a_mean():
    node = rp.Mean(CUBIC**2, (x, v))

    def body(z: float) -> float:
        root = brentq(lambda s: s + s**3 - z, -10, 10, xtol=1e-15)
        return float(root**2 * np.exp(-z * z / 4) / np.sqrt(4 * np.pi))

    truth = quad(body, -20, 20, epsabs=1e-13)[0]
    (found,) = compile_kernel((v,), (node,)).bounded(2.0, refinement=2)
    assert abs(found.value - truth) <= found.bound + 1e-12
    assert found.bound < 1e-6
    slope, step = node.diff(v), 1e-4
    kernel = compile_kernel((v,), (node, slope))
    up, down = (kernel(2 + k * step, refinement=2)[0] for k in (1, -1))
    assert float(kernel(2.0, refinement=2)[1]) == pytest.approx(
        float(up - down) / (2 * step), rel=1e-5
    )


def test_a_mean_without_the_unknown_is_a_parameter():
    node = rp.Implicit(s, s - cos(rp.Mean(y**2, (y, b)) + s / 2), branch=(-2, 2))
    root = brentq(lambda s: s - np.cos(0.7 + s / 2), -2, 2, xtol=1e-15)
    assert float(values(node, b, 0.7).value) == pytest.approx(root, abs=1e-14)
    kernel = compile_kernel((b,), (node, node.diff(b)))
    low, here, high = (kernel(0.7 + k * 1e-5) for k in (-1, 0, 1))
    assert float(here[1]) == pytest.approx(float(high[0] - low[0]) / 2e-5, rel=1e-8)


def test_it_behaves_as_a_function():
    assert pickle.loads(pickle.dumps(LAMBERT)) == LAMBERT
    assert LAMBERT.free_symbols == {x}
    assert LAMBERT.subs(x, v) == rp.Implicit(s, s * exp(s) - v, branch=(-1, oo))
    assert float(values(LAMBERT.subs(x, 2 * v), v, 0.5).value) == pytest.approx(0.5671432904097838)
    assert LAMBERT == rp.Implicit(y, y * exp(y) - x, branch=(-1, oo))
    assert LAMBERT != rp.Implicit(s, s * exp(s) - x, branch=(-oo, -1))
    assert str(LAMBERT) == "Implicit(s, s*exp(s) - x, (-1, oo))"
    assert "< s <" in latex(LAMBERT)
    assert rp.Implicit(s, s**2 - b, (1, oo)).is_positive
    assert LAMBERT.is_positive is None
    assert LAMBERT.is_extended_real


def lambert(lowest) -> rp.Formula:
    return rp.Formula(
        name="lambert",
        title="q = W(x)",
        potential=q * LAMBERT - q**2 / 2,
        overlaps={q: Interval(0, oo)},
        controls={x: (Interval(lowest, 5), 1)},
        thresholds={"x_one": rp.Root(q - 1, in_=x)},
    )


def test_in_a_formula():
    formula = lambert(0)
    assert rp.solve(formula, x=2).q == pytest.approx(lambertw(2).real, abs=1e-13)
    assert rp.threshold(formula, "x_one").value == pytest.approx(np.e, abs=1e-12)
    text = rp.threshold(formula, "x_one", digits=30).text
    with mpmath.workdps(35):
        assert abs(mpmath.mpf(text) - mpmath.e) < mpmath.mpf(10) ** -28


def test_where_there_is_no_root_there_is_no_number():
    with pytest.raises(rp.ConvergenceError) as caught:
        rp.solve(lambert(-5), x=-2)
    assert caught.value.solution.status.name == "NON_FINITE"
    found = rp.solve(lambert(-5), x=[-2.0, 2.0])
    assert found.converged.tolist() == [False, True]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: rp.Implicit(s, s**2 - x), "several roots s; say which is meant by branch="),
        (lambda: rp.Implicit("s", s - x, (0, 1)), "a real symbol as its unknown"),
        (lambda: rp.Implicit(Symbol("s"), s - x, (0, 1)), "a real symbol as its unknown"),
        (lambda: rp.Implicit(s, "s - x", (0, 1)), "no equation for s"),
        (lambda: rp.Implicit(s, x, (0, 1)), "no equation for s"),
        (lambda: rp.Implicit(s, s - x, (1, 0)), "is empty"),
        (lambda: rp.Implicit(s, s - x, 3), "must be an Interval or"),
        (lambda: rp.Implicit(s, s - x, (s, 1)), "must be an Interval or"),
        (
            lambda: rp.Implicit(s, s - rp.Mean(exp(-((s + x) ** 2)), (x, v)), (0, 1)),
            "s is inside a mean",
        ),
    ],
)
def test_bad_equations(call, words):
    with pytest.raises(rp.DeclarationError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_an_unknown_function_is_refused_at_declaration():
    with pytest.raises(rp.DeclarationError, match="tan"):
        rp.Formula(
            name="tangent",
            title="Not of the language",
            potential=q * rp.Implicit(s, s - tan(x * s), (0, 1)),
            overlaps={q: Interval(0, 1)},
            controls={x: (Interval(0, 1), None)},
        )
