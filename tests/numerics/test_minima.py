"""Minima over a bound variable against brute force: values, derivatives, means, refusals."""

from __future__ import annotations

import pickle

import mpmath
import numpy as np
import pytest
from sympy import Abs, Heaviside, Max, Min, Rational, cosh, exp, latex, log, sign, symbols

import replica as rp
from replica.errors import DeclarationError
from replica.language.means import Mean
from replica.numerics.kernel import Kernel
from replica.numerics.precise import PreciseKernel

x, z, w, c = symbols("x z w c", real=True)
V, k, v = symbols("V k v", positive=True)

PARABOLA = (x - w) ** 2 / (2 * V)
# the loss and the same in numpy; the width k is positive
LOSSES = {
    "wrong sign": (Heaviside(-x), lambda x, k: 1.0 * (x < 0)),
    "ramp": (Min(1, Max(0, 1 - x)), lambda x, k: np.clip(1 - x, 0, 1)),
    "window": (Heaviside(Abs(x) - k), lambda x, k: 1.0 * (abs(x) > k)),
    "two wells": (
        Min((x - 1) ** 2, (x + 1) ** 2 + Rational(1, 4)),
        lambda x, k: np.minimum((x - 1) ** 2, (x + 1) ** 2 + 0.25),
    ),
    "soft threshold": (k * Abs(x), lambda x, k: k * abs(x)),
    "number of non-zeros": (k * (1 - Abs(Abs(sign(x)) - 1)), lambda x, k: k * (x != 0)),
    "hill": (-Max(0, k - Abs(x)) / 2, lambda x, k: -np.maximum(0, k - abs(x)) / 2),
    "hinge": (Max(0, 1 - x), lambda x, k: np.maximum(0, 1 - x)),
    "log cosh well": (-rp.LogCosh(3 * x) - k * 0, lambda x, k: -np.log(np.cosh(3 * x))),
    "quartic": ((x**2 - 1) ** 2, lambda x, k: (x**2 - 1) ** 2),
}
GRID = np.unique([*np.linspace(-14, 14, 140001), 0.0])


def brute(name, w, V, k):
    places = np.concatenate([GRID, [w, k, -k, -k - 1e-13, k + 1e-13, 1, -1e-13, 1e-13]])
    return np.min((places - w) ** 2 / (2 * V) + LOSSES[name][1](places, k))


@pytest.mark.parametrize("name", LOSSES)
def test_minima_and_their_slopes(name):
    rng = np.random.default_rng(sum(map(ord, name)))
    least = rp.Minimum(x, PARABOLA + LOSSES[name][0])
    kernel = Kernel((w, V, k), (least, least.diff(w), least.diff(V)))
    for _ in range(12):
        at = rng.uniform(-2.5, 2.5), rng.uniform(0.2, 2), rng.uniform(0.3, 1.5)
        value, across, wider = kernel.bounded(*at)
        expected = brute(name, *at)
        assert value.value == pytest.approx(expected, abs=4e-7)
        assert value.bound < 1e-12
        for j, slope in ((0, across), (1, wider)):
            low, high = list(at), list(at)
            low[j] -= 1e-4
            high[j] += 1e-4
            difference = (kernel(*high)[0] - kernel(*low)[0]) / 2e-4
            assert slope.value == pytest.approx(float(difference), abs=2e-6)


@pytest.mark.parametrize(
    "name",
    [
        name if name in ("wrong sign", "hinge") else pytest.param(name, marks=pytest.mark.slow)
        for name in LOSSES
    ],
)
def test_means_of_minima(name):
    """All derivatives, the jump of the minimiser included, against differences of plain sums."""
    mean = Mean(rp.Minimum(x, PARABOLA + LOSSES[name][0]), (w, v))
    order = (V, v)
    first = [mean.diff(s) for s in order]
    kernel = Kernel((V, v, k), (mean, *first, first[0].diff(v), first[1].diff(v)))
    at = (0.7, 0.9, 0.8)
    value, *slopes = kernel.bounded(*at, refinement=1)
    t = np.linspace(-7, 7, 281)
    least = np.array([brute(name, u, at[0], at[2]) for u in np.sqrt(at[1]) * t])
    density = np.exp(-(t**2) / 2) / np.sqrt(2 * np.pi) * (t[1] - t[0])
    assert float(value.value) == pytest.approx(density @ least, abs=1e-3)
    assert value.bound < 1e-9
    for j, (quantity, variable) in enumerate(((0, 0), (0, 1), (1, 1), (2, 1))):
        low, high = list(at), list(at)
        low[variable] -= 1e-4
        high[variable] += 1e-4
        difference = kernel(*high, refinement=1)[quantity] - kernel(*low, refinement=1)[quantity]
        assert slopes[j].value == pytest.approx(float(difference) / 2e-4, abs=1e-6), j


def test_the_maximum_of_dense_clusters():
    """max over z of -z^2/2 + log 2 cosh(h + b z): two branches where b exceeds one."""
    b = symbols("b", positive=True)
    best = -rp.Minimum(x, x**2 / 2 - log(2 * cosh(w + b * x)))
    mean = Mean(best, (w, v))
    kernel = Kernel((b, v), (mean, mean.diff(v), mean.diff(b)))
    for strength in (0.6, 1.7, 2.5):
        value, by_variance, by_strength = kernel.bounded(strength, 0.8, refinement=1)
        t = np.linspace(0, 12, 24001)
        field, point = np.sqrt(0.8) * t, np.full_like(t, strength)
        for _ in range(3000):  # the branch of the sign of the field attracts
            point = strength * np.tanh(field + strength * point)
        high = -(point**2) / 2 + np.logaddexp(field + strength * point, -field - strength * point)
        weights = 2 * np.exp(-(t**2) / 2) / np.sqrt(2 * np.pi) * (t[1] - t[0])
        weights[0] /= 2
        force = point / strength
        assert float(value.value) == pytest.approx(weights @ high, abs=2e-8)
        assert value.bound < 1e-9
        # by parts, so that the jump at zero is in it: E[t f'] / (2 sqrt(v))
        assert float(by_variance.value) == pytest.approx(
            weights @ (t * force) / (2 * np.sqrt(0.8)), abs=2e-7
        )
        assert float(by_strength.value) == pytest.approx(weights @ (force * point), abs=2e-7)


def test_many_digits():
    least = rp.Minimum(x, PARABOLA + (x**2 - 1) ** 2)
    with mpmath.workdps(40):
        at = [mpmath.mpf("0.3"), mpmath.mpf("0.7")]
        (value, slope), _ = PreciseKernel((w, V), (least, least.diff(w)))(at, digits=30)
        roots = mpmath.polyroots([4, 0, 1 / at[1] - 4, -at[0] / at[1]], extraprec=100)
        root = max(roots, key=mpmath.re)
        exact = (root - at[0]) ** 2 / (2 * at[1]) + (root**2 - 1) ** 2
        assert abs(value - exact) < mpmath.mpf(10) ** -29
        assert abs(slope - (at[0] - root) / at[1]) < mpmath.mpf(10) ** -29


def test_the_energy_of_a_wrong_sign_is_the_known_closed_form():
    least = rp.Minimum(x, PARABOLA + Heaviside(-x))
    known = Min(1, w**2 / (2 * V)) * Heaviside(-w)
    one, two = (Kernel((w, V), (e,)) for e in (least, known))
    fields = np.linspace(-4, 4, 81)
    assert one(fields, 0.7)[0] == pytest.approx(two(fields, 0.7)[0], abs=1e-15)


def test_as_a_node():
    least = rp.Minimum(x, x**2 / 2 - log(2 * cosh(w + c * x)))
    assert least.free_symbols == {w, c}
    assert least == rp.Minimum(z, z**2 / 2 - log(2 * cosh(w + c * z)))
    assert least.subs(x, 3) == least
    assert least.subs(w, x).free_symbols == {x, c}
    assert "Minimum(x, " in str(least)
    assert r"\min_{x}" in latex(least)
    slope = least.diff(w)
    for node in (least, slope):
        assert pickle.loads(pickle.dumps(node)) == node
    assert rp.Minimum(x, w**2) == w**2
    assert rp.Minimum(x, x**2 + w) == w


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (x, "not known to grow"),
        (-(x**2), "not known to grow"),
        (c * x**2, "not known to grow"),
        (x**2 + Abs(x - w) - Abs(x - c), "comes first is not known"),
        (x**2 + c * Abs(x), "whether the slope rises at x = 0, by 2\\*c, is not known"),
        (x**2 + Abs(x**3), "must be quadratic in x"),
        (x**2 + Heaviside(exp(x) - x), "no formula for the kinks"),
        ("x", "not text"),
    ],
    ids=str,
)
def test_refusals(objective, message):
    with pytest.raises(DeclarationError, match=message) as caught:
        rp.Minimum(x, objective)
    assert "\n" not in str(caught.value)


def test_a_switch_without_a_formula_is_refused_where_a_derivative_needs_it():
    least = rp.Minimum(x, PARABOLA + (x**2 - 1) ** 2 + c * x**3)
    mean = Mean(least, (w, v))
    value = Kernel((V, v, c), (mean, mean.diff(V)))(0.7, 0.9, 0.2)
    assert np.isfinite(value).all()
    with pytest.raises(DeclarationError, match="no formula for the places at which the lowest"):
        mean.diff(v)
    with pytest.raises(DeclarationError, match="real symbol"):
        rp.Minimum(2, x)
