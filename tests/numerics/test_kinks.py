"""Kinked integrands and all their derivatives against plain numpy, cut by hand at the kinks."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from scipy import special
from sympy import Abs, DiracDelta, Heaviside, Max, Min, cosh, exp, log, sign, symbols

from replica.errors import DeclarationError
from replica.language.means import Mean
from replica.language.primitives import LogCosh, PositivePart, Tanh
from replica.language.rewriting import stabilise
from replica.numerics.kernel import Kernel
from replica.numerics.precise import PreciseKernel

x, z = symbols("x z", real=True)
a, b = symbols("a b", real=True)
v, w = symbols("v w", positive=True)

_NODES, _WEIGHTS = special.roots_legendre(24)


def roots(*values):
    """Square roots on both sides of zero, of those that have one."""
    return [side * np.sqrt(u) for u in values if u > 0 for side in (1, -1)]


def positive(u):
    return np.maximum(u, 0)


# the integrand, the same in numpy, and its kinks; a and b may have either sign
INTEGRANDS = {
    "soft threshold squared": (
        Max(Abs(x) - a, 0) ** 2 * exp(b * x / 3),
        lambda x, a, b: positive(abs(x) - a) ** 2 * np.exp(b * x / 3),
        lambda a, b: [a, -a, 0],
    ),
    "ground state of a step": (
        Min(1, (x - b) ** 2 / (2 * Abs(a))) * Heaviside(b - x),
        lambda x, a, b: np.minimum(1, (x - b) ** 2 / (2 * abs(a))) * (x < b),
        lambda a, b: [b, b - np.sqrt(2 * abs(a))],
    ),
    "step of a step": (
        log(2 + Heaviside(x - a) + sign(x - b)) * cosh(x / 2),
        lambda x, a, b: np.log(2 + (x > a) + np.sign(x - b)) * np.cosh(x / 2),
        lambda a, b: [a, b],
    ),
    "window of either kind": (
        Heaviside(a - x**2) * x**2 + sign(x**2 - b * x) / 3,
        lambda x, a, b: (x**2 < a) * x**2 + np.sign(x**2 - b * x) / 3,
        lambda a, b: [0, b, *roots(a)],
    ),
    "nested": (
        Abs(Abs(x - a) - b) * Max(x, -x, 1),
        lambda x, a, b: abs(abs(x - a) - b) * np.maximum(abs(x), 1),
        lambda a, b: [a, a + b, a - b, 1, -1],
    ),
    "product of steps": (
        Heaviside(x - a) * sign(Abs(x) - a) * x,
        lambda x, a, b: (x > a) * np.sign(abs(x) - a) * x,
        lambda a, b: [a, -a, 0],
    ),
    "through a function": (
        PositivePart(exp(x) - a) * Heaviside(Tanh(x) - b / 3),
        lambda x, a, b: positive(np.exp(x) - a) * (np.tanh(x) > b / 3),
        lambda a, b: [np.arctanh(b / 3), *([np.log(a)] if a > 0 else [])],
    ),
    "power": (
        sign(x**3 - a) * Max(x**2 - b, 0) ** 2,
        lambda x, a, b: np.sign(x**3 - a) * positive(x**2 - b) ** 2,
        lambda a, b: [np.cbrt(a), *roots(b)],
    ),
    "slope of unknown sign": (
        Max(a * x - b, 0) * LogCosh(x),
        lambda x, a, b: positive(a * x - b) * np.log(np.cosh(x)),
        lambda a, b: [b / a],
    ),
}


def gaussian(function, kinks, variance):
    """Mean over the field, the last axis, of a function that is smooth between its kinks."""
    reach = 12 * np.sqrt(variance)
    edges = [np.asarray(k)[..., None] for k in kinks]
    edges.append(np.linspace(-reach, reach, 25))
    shape = np.broadcast_shapes(*(e.shape[:-1] for e in edges))
    joined = np.concatenate([np.broadcast_to(e, (*shape, e.shape[-1])) for e in edges], axis=-1)
    joined = np.sort(np.clip(joined, -reach, reach), axis=-1)
    half = np.diff(joined)[..., None] / 2
    t = joined[..., :-1, None] + half * (1 + _NODES)
    weights = half * _WEIGHTS * np.exp(-(t**2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
    t, weights = (part.reshape(*shape, -1) for part in (t, weights))
    return np.sum(function(t) * weights, axis=-1)


def oracle(name):
    _, function, kinks = INTEGRANDS[name]
    return lambda a, b, v: gaussian(lambda x: function(x, a, b), kinks(a, b), v)


def difference(function, k, at, h):
    """Derivative in the argument k, by three central differences."""
    total = 0.0
    for step, weight in ((1, 45.0), (2, -9.0), (3, 1.0)):
        for side in (1, -1):
            moved = list(at)
            moved[k] += side * step * h
            total += side * weight * function(*moved) / (60 * h)
    return total


@pytest.mark.parametrize("name", INTEGRANDS)
def test_kinks_and_their_derivatives(name):
    rng = np.random.default_rng(sum(map(ord, name)))
    mean = Mean(stabilise(INTEGRANDS[name][0]), (x, v))
    order = (a, b, v)
    first = [mean.diff(s) for s in order]
    pairs = [(0, 0), (0, 2), (1, 2), (2, 2)]
    second = [first[j].diff(order[k]) for j, k in pairs]
    kernel = Kernel(order, (mean, *first, *second))
    truth = oracle(name)
    for signs in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        at = [*(s * u for s, u in zip(signs, rng.uniform(0.3, 1.6, 2), strict=True))]
        at.append(rng.uniform(0.3, 2.0))
        value, *slopes = kernel.bounded(*at, refinement=2)
        assert abs(value.value - truth(*at)) <= value.bound + 1e-13
        assert value.bound < 1e-11 * (1 + abs(value.value))
        for k, slope in enumerate(slopes[:3]):
            expected = difference(truth, k, at, 2e-3)
            assert slope.value == pytest.approx(expected, rel=1e-8, abs=1e-8), order[k]
        for (j, k), found in zip(pairs, slopes[3:], strict=True):
            expected = difference(lambda *p, j=j: difference(truth, j, p, 8e-3), k, at, 8e-3)
            assert found.value == pytest.approx(expected, rel=2e-5, abs=2e-5), (order[j], order[k])


NESTED = {
    "kink of both fields": (
        log(1 + Mean(Max(Abs(z + x) - a, 0), (z, w))),
        lambda x, z, a: positive(abs(z + x) - a),
        lambda total: np.log(1 + total),
        lambda x, a: [a - x, -a - x, -x],
        lambda a: [],
    ),
    "step of the outer field inside": (
        exp(-(Mean(Heaviside(x - a) * Abs(z) + z**2 / 4, (z, w)) ** 2)),
        lambda x, z, a: (x > a) * abs(z) + z**2 / 4,
        lambda total: np.exp(-(total**2)),
        lambda x, a: [0 * x],
        lambda a: [a],
    ),
    "step of a sum": (
        Tanh(Mean(sign(z + x - a) * (1 + z * x), (z, w))),
        lambda x, z, a: np.sign(z + x - a) * (1 + z * x),
        np.tanh,
        lambda x, a: [a - x],
        lambda a: [],
    ),
}


@pytest.mark.parametrize("name", NESTED)
def test_kinks_of_nested_means(name):
    body, inside, outside, inner_kinks, outer_kinks = NESTED[name]
    mean = Mean(body, (x, v))
    order = (a, v, w)
    kernel = Kernel(order, (mean, *(mean.diff(s) for s in order)))

    def truth(a, v, w):
        def inner(x):
            return gaussian(lambda z: inside(x[:, None], z, a), inner_kinks(x, a), w)

        return gaussian(lambda x: outside(inner(x)), outer_kinks(a), v)

    for at in ((0.6, 0.9, 0.7), (-0.4, 0.5, 1.2)):
        value, *slopes = kernel.bounded(*at, refinement=1)
        assert abs(value.value - truth(*at)) <= value.bound + 1e-13
        for k, slope in enumerate(slopes):
            assert slope.value == pytest.approx(difference(truth, k, at, 4e-3), rel=1e-8, abs=1e-8)


def test_many_digits_of_a_kinked_mean():
    mean = Mean(stabilise(Min(1, x**2 / (2 * v)) * Heaviside(-x)), (x, 1))
    (value,), _ = PreciseKernel((v,), (mean.diff(v),))([mpmath.mpf(2)], digits=25)
    with mpmath.workdps(30):
        truth = -mpmath.quad(lambda t: t * t / 8 * mpmath.npdf(t), [-2, 0])
        assert abs(value - truth) < mpmath.mpf(10) ** -24


def test_a_derivative_at_a_kink_of_the_parameters_has_no_number():
    step = Kernel((a,), (Heaviside(a).diff(a),))
    assert float(step(0.3)[0]) == 0
    assert np.isnan(step(0.0)[0])
    assert np.isinf(step.bounded(0.0)[0].bound)


def test_a_kink_without_a_formula_is_refused_only_where_it_matters():
    """The mean of a continuous integrand moves smoothly with its parameters; its slope does not."""
    mean = Mean(PositivePart(x**5 + x - a), (x, v))
    assert mean.diff(a) == -Mean(Heaviside(x**5 + x - a), (x, v))
    with pytest.raises(DeclarationError, match="no formula for the place along the field x"):
        mean.diff(a, a)
    with pytest.raises(DeclarationError, match="no formula for the place"):
        mean.diff(v)
    with pytest.raises(DeclarationError, match="infinite beside x = 0"):
        Mean(Heaviside(x) * log(Abs(x)), (x, v)).diff(v)


def test_deltas_are_sifted_at_every_zero():
    window = Mean(cosh(x) * DiracDelta(x**2 - a), (x, v))
    kernel = Kernel((a, v), (window,))
    root = np.sqrt(0.7)
    density = np.exp(-0.7 / 1.6) / np.sqrt(2 * np.pi * 0.8)
    assert float(kernel(0.7, 0.8)[0]) == pytest.approx(np.cosh(root) * density / root, rel=1e-13)
    assert float(kernel(-0.7, 0.8)[0]) == 0
