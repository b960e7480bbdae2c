"""Logarithms of means of exponentials against plain numpy: values, slopes, bounds, corners."""

from __future__ import annotations

import pickle

import mpmath
import numpy as np
import pytest
from scipy import special
from sympy import Abs, Heaviside, Max, Symbol, cosh, latex, log, sign, sqrt, symbols

import replica as rp
from replica.errors import DeclarationError
from replica.language.rewriting import stabilise
from replica.numerics.kernel import Kernel
from replica.numerics.precise import PreciseKernel

z, x, h = symbols("z x h", real=True)
v, y, w = symbols("v y w", real=True)
_NODES, _WEIGHTS = special.roots_legendre(20)


def log_cosh(u):
    return np.abs(u) + np.log1p(np.exp(-2 * np.abs(u))) - np.log(2)


# the exponent, the same in numpy, and its kinks in z
EXPONENTS = {
    "two peaks": (rp.LogCosh(h + 2 * z), lambda z, h: log_cosh(h + 2 * z), lambda h: []),
    "tail": (rp.LogH(h - 3 * z), lambda z, h: special.log_ndtr(3 * z - h), lambda h: []),
    "well": (-((z**2 - 1) ** 2) - h * z, lambda z, h: -((z**2 - 1) ** 2) - h * z, lambda h: []),
    "kink": (-Abs(z - h), lambda z, h: -abs(z - h), lambda h: [h]),
    "soft": (
        -(Max(Abs(z) - h, 0) ** 2),
        lambda z, h: -(np.maximum(abs(z) - h, 0) ** 2),
        lambda h: [h, -h],
    ),
    "jump": (sign(z - h) / 3, lambda z, h: np.sign(z - h) / 3, lambda h: [h]),
    "two steps": (
        Heaviside(z - h) - Heaviside(-z - 2 * h) * z / 4,
        lambda z, h: (z > h) - (-z > 2 * h) * z / 4,
        lambda h: [h, -2 * h],
    ),
}
CONCAVE = {"tail", "well", "soft"}  # a negative power of these outgrows every Gaussian


def truth(name, h, v, y):
    """The logarithm over the power, on a fine grid over a range of all sizes."""
    _, function, kinks = EXPONENTS[name]
    spread = np.sqrt(v)
    reach = 12 + 3 * abs(y) * spread
    cuts = np.array(kinks(h)) / spread
    even = reach * np.sinh(np.linspace(-5, 5, 1601)) / np.sinh(5)  # and finer in the middle
    edges = np.unique(np.clip([*even, *cuts, 0], -reach, reach))
    half = np.diff(edges)[:, None] / 2
    t = edges[:-1, None] + half * (1 + _NODES)
    exponent = y * function(spread * t, h) - t**2 / 2
    top = exponent.max()
    total = np.sum(half * _WEIGHTS * np.exp(exponent - top)) / np.sqrt(2 * np.pi)
    return (top + np.log(total)) / y


def difference(function, k, at, step):
    """Derivative in the argument k, by three central differences."""
    total = 0.0
    for multiple, weight in ((1, 45.0), (2, -9.0), (3, 1.0)):
        for side in (1, -1):
            moved = list(at)
            moved[k] += side * multiple * step
            total += side * weight * function(*moved) / (60 * step)
    return total


@pytest.mark.parametrize("name", EXPONENTS)
def test_values_slopes_and_curvatures(name):
    rng = np.random.default_rng(sum(map(ord, name)))
    mean = rp.LogMean(stabilise(EXPONENTS[name][0]), (z, v), power=y)
    order = (h, v, y)
    first = [mean.diff(s) for s in order]
    pairs = [(0, 0), (0, 1), (1, 1), (1, 2), (2, 2)]
    kernel = Kernel(order, (mean, *first, *(first[j].diff(order[k]) for j, k in pairs)))

    def value(*at):
        return truth(name, *at)

    for power in (0.7, 12.0, 120.0, *(() if name in CONCAVE else (-3.0,))):
        at = [rng.uniform(0.2, 1.2), rng.uniform(0.3, 1.5), power]
        found, *slopes = kernel.bounded(*at, refinement=1)
        assert abs(found.value - value(*at)) <= found.bound + 1e-12 * (1 + abs(found.value))
        assert found.bound < 1e-9 * (1 + abs(found.value))
        scale = 1 + abs(power)
        for k, slope in enumerate(slopes[:3]):
            expected = difference(value, k, at, (2e-3 if k < 2 else 2e-2) / min(scale, 10))
            assert slope.value == pytest.approx(expected, rel=1e-7, abs=1e-7), order[k]
        if abs(power) > 20:
            continue
        for (j, k), slope in zip(pairs, slopes[3:], strict=True):

            def inner(*p, j=j):
                return difference(value, j, p, 8e-3)

            expected = difference(inner, k, at, 8e-3)
            assert slope.value == pytest.approx(expected, rel=3e-4, abs=3e-4), (order[j], order[k])


def test_within_a_mean():
    """The mean over the outer field, of every size of the exponent."""
    inner = rp.LogMean(rp.LogCosh(x + 2 * z), (z, v), power=y)
    mean = rp.Mean(inner, (x, w))
    kernel = Kernel((v, y, w), (mean, *(mean.diff(s) for s in (v, y, w))))

    def plain(v, y, w):
        t = np.linspace(-9, 9, 361)
        logs = np.array([truth("two peaks", field, v, y) for field in np.sqrt(w) * t])
        return np.sum(np.exp(-(t**2) / 2) * logs) * (t[1] - t[0]) / np.sqrt(2 * np.pi)

    for at in ((0.4, 1.5, 0.6), (0.9, 8.0, 0.3)):
        value, *slopes = kernel.bounded(*at)
        assert float(value.value) == pytest.approx(plain(*at), rel=1e-11)
        assert value.bound < 1e-9
        for k, slope in enumerate(slopes):
            moved = [list(at), list(at)]
            for side, other in ((1, moved[0]), (-1, moved[1])):
                other[k] += side * 1e-4
            expected = (kernel(*moved[0])[0] - kernel(*moved[1])[0]) / 2e-4
            assert slope.value == pytest.approx(float(expected), rel=1e-6, abs=1e-7)


def test_a_small_power_gives_the_mean_with_all_digits():
    mean = rp.LogMean(rp.LogCosh(h + 2 * z), (z, v), power=y)
    kernel = Kernel((h, v, y), (mean,))
    plain = Kernel((h, v), (rp.Mean(rp.LogCosh(h + 2 * z), (z, v)),))
    centre = float(plain(0.3, 0.7)[0])
    for power in (0.0, 1e-300, 1e-12, -1e-12):
        found = kernel.bounded(0.3, 0.7, power)[0]
        assert abs(found.value - centre) < 1e-12
        assert found.bound < 1e-11
    assert mean.subs(y, 0) == rp.Mean(rp.LogCosh(h + 2 * z), (z, v))


def test_many_digits():
    mean = rp.LogMean(-(z**2) / 2 + h * z, (z, v), power=y)
    with mpmath.workdps(40):
        at = [mpmath.mpf(u) for u in ("0.3", "1.7", "90")]
        width = 1 + at[1] * at[2]
        exact = (at[0] ** 2 * at[2] * at[1] / width) / 2 - mpmath.log(width) / (2 * at[2])
        (value, slope), errors = PreciseKernel((h, v, y), (mean, mean.diff(h)))(at, digits=30)
        assert abs(value - exact) < mpmath.mpf(10) ** -29
        assert abs(slope - at[0] * at[2] * at[1] / width) < mpmath.mpf(10) ** -29
        assert max(errors) < mpmath.mpf(10) ** -28


def test_an_exponential_that_outgrows_the_field_has_no_finite_bound():
    kernel = Kernel((v, y), (rp.LogMean(z**2, (z, v), power=y),))
    good, bad = (kernel.bounded(1.0, power)[0] for power in (0.4, 0.6))
    assert abs(good.value + np.log(0.2) / 0.8) <= good.bound < 1e-10
    assert np.isinf(bad.bound)


# ---- as a node ---------------------------------------------------------------------------------


def test_what_is_free_of_the_field_comes_out():
    node = rp.LogMean(h + rp.LogCosh(z), (z, v), power=y)
    assert node - rp.LogMean(rp.LogCosh(z), (z, v), power=y) == h
    assert rp.LogMean(h**2, (z, v), power=y) == h**2
    assert rp.LogMean(z + h, (z, 0), power=y) == h
    assert rp.TiltedMean((h * z, z), (z, v), power=y) == h * rp.TiltedMean((z, z), (z, v), power=y)
    assert rp.TiltedMean((z, h), (z, v), power=y) == 0 * h + rp.Mean(z, (z, v))


def test_the_field_is_bound():
    node = rp.LogMean(rp.LogCosh(z + h), (z, v), power=y)
    assert node.free_symbols == {h, v, y}
    assert node == rp.LogMean(rp.LogCosh(x + h), (x, v), power=y)
    assert node.subs(z, 3) == node
    assert node.subs(h, z).free_symbols == {z, v, y}
    assert node.subs(h, z).subs(z, 2) == node.subs(h, 2)
    assert node.func(*node.args) == node
    assert pickle.loads(pickle.dumps(node)) == node
    slope = node.diff(h)
    assert slope == slope.func(*slope.args)
    assert slope.subs(h, z).free_symbols == {z, v, y}
    assert pickle.loads(pickle.dumps(slope)) == slope
    assert str(node) == "LogMean(LogCosh(h + z), (z, v), power=y)"
    assert str(slope) == "TiltedMean((Tanh(h + z), LogCosh(h + z)), (z, v), power=y)"
    assert latex(node).startswith(r"\frac{1}{y} \log \mathbb{E}_{z\sim\mathcal{N}(0,v)}")


def test_plain_functions_are_rewritten_inside():
    node = rp.LogMean(log(2 * cosh(z * sqrt(2))), (z, v), power=y)
    assert stabilise(node) == log(2) + rp.LogMean(rp.LogCosh(sqrt(2) * z), (z, v), power=y)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((z, (z, v)), "needs a power"),
        ((z, z), r"binds \(field, variance\)"),
        ((z, (Symbol("u"), v), y), "must be a real symbol"),
        ((z, (z, v), z), "power z of a LogMean contains its field z"),
        ((z, (z, z), y), "contains the field"),
        ((z, (z, v), "y"), "not text"),
        ((z, (z, v), 1j), "not a real number"),
    ],
    ids=lambda a: str(a)[:30],
)
def test_refusals(arguments, message):
    with pytest.raises(DeclarationError, match=message):
        rp.LogMean(*arguments)
