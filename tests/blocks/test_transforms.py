"""R-transforms of spectra, their integrals and sums, against closed forms, brentq and matrices."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
from sympy import Interval, Max, Rational, Symbol, exp, log, oo, pi, symbols

import replica as rp
from replica.numerics.kernel import compile_kernel

alpha, t, v, kappa, Delta = symbols("alpha t v kappa Delta", positive=True)
s, g, lam = symbols("s g lambda", real=True)


def number(expression, **at) -> float:
    names = {str(symbol): symbol for symbol in expression.free_symbols}
    symbols_ = tuple(names[name] for name in sorted(names))
    (found,) = compile_kernel(symbols_, (expression,))(*(at[str(symbol)] for symbol in symbols_))
    return float(found)


def orthogonal_rows(s: float, alpha: float) -> float:
    return float(((s - 1) + np.sqrt((s + 1) ** 2 - 4 * s * (1 - alpha))) / (2 * s))


@pytest.mark.parametrize("rows", [0.1, 0.5, 0.9])
def test_orthogonal_rows(rows):
    """The closed form of the literature, and its integral by quadrature."""
    transform = rp.RTransform(rp.Spectrum({1: alpha, 0: 1 - alpha}))
    for size in (1e-9, 0.3, 7.0, 1e4):
        expected = orthogonal_rows(-size, rows) if size > 1e-6 else rows
        found = number(transform(-t), alpha=rows, t=size)
        assert found == pytest.approx(expected, rel=1e-8 if size < 1e-6 else 1e-12)
    for size in (0.3, 7.0):
        whole = quad(lambda u: orthogonal_rows(-u, rows), 1e-9, size, epsabs=1e-13)[0]
        found = -number(transform.integral(-t), alpha=rows, t=size)
        assert found == pytest.approx(whole, abs=1e-8)
        step = 1e-5
        up, down = (number(transform.integral(-t), alpha=rows, t=size + k * step) for k in (1, -1))
        slope = number(transform(-t), alpha=rows, t=size)
        assert (down - up) / (2 * step) == pytest.approx(slope, rel=1e-8)


@pytest.mark.parametrize("seed", range(6))
def test_referee_of_given_eigenvalues(seed: int):
    """G(z) = s by brentq on both sides of a random spectrum."""
    rng = np.random.default_rng(seed)
    places = rng.exponential(size=int(rng.integers(2, 9)))
    transform = rp.RTransform(rp.Spectrum(places))
    for size in 10 ** rng.uniform(-2, 2, 4):
        left = brentq(lambda z, t=size: np.mean(1 / (z - places)) + t, -1e6, places.min() - 1e-9)
        right = brentq(lambda z, t=size: np.mean(1 / (z - places)) - t, places.max() + 1e-9, 1e6)
        tolerance = 1e-9 * (1 + 1 / size)
        assert number(transform(-t), t=size) == pytest.approx(left + 1 / size, abs=tolerance)
        assert number(transform(t), t=size) == pytest.approx(right - 1 / size, abs=tolerance)
    # the first free cumulant is the mean, the second the variance
    small = 1e-4
    slope = (number(transform(t), t=small) - places.mean()) / small
    assert slope == pytest.approx(places.var(), rel=2e-2)


def test_marchenko_pastur_is_that_of_the_language():
    transform = rp.RTransform(rp.MarchenkoPastur(kappa))
    assert (transform(s) - 1 / (1 - kappa * s)).simplify() == 0
    scaled = rp.RTransform(rp.MarchenkoPastur(1 / alpha)).scaled(alpha)
    assert (scaled(s) - alpha / (1 - s)).simplify() == 0
    x = symbols("x", positive=True)
    direct = rp.SpectralMean(1 / (lam + x), (lam, rp.MarchenkoPastur(kappa))).doit()
    for place in (0.01, 1.0, 50.0):
        found = number(transform.stieltjes(x), kappa=0.4, x=place)
        assert found == pytest.approx(number(direct, kappa=0.4, x=place), rel=1e-12)


@pytest.mark.slow
def test_a_free_sum_is_the_law_of_a_sum_of_matrices():
    """Two fixed spectra in independent bases, n = 1500."""
    rng, n, x = np.random.default_rng(3), 1500, symbols("x", positive=True)
    ones = np.repeat([0.0, 2.0], n // 2)
    basis, _ = np.linalg.qr(rng.normal(size=(n, n)))
    eigenvalues = np.linalg.eigvalsh(np.diag(ones) + basis @ np.diag(ones * 1.5) @ basis.T)
    half = rp.Spectrum({0: Rational(1, 2), 2: Rational(1, 2)})
    both = rp.RTransform(half) + rp.RTransform(half).scaled(Rational(3, 2))
    for place in (0.3, 1.0, 4.0):
        found = number(both.stieltjes(x), x=place)
        assert found == pytest.approx(np.mean(1 / (eigenvalues + place)), rel=5e-3)


def measurement(density: float, rows: float, noise: float):
    V, A = Symbol("V", positive=True), Symbol("A", nonnegative=True)
    prior = rp.GaussBernoulli()
    transform = rp.RTransform(rp.Spectrum({1: alpha, 0: 1 - alpha}))
    information = prior.mutual_information(A) - A * V / 2 - transform.integral(-V / Delta) / 2
    formula = rp.Formula(
        name="row-orthogonal",
        title="Linear measurement with orthogonal rows",
        potential=-information,
        overlaps={V: Interval.Lopen(0, prior.second_moment)},
        conjugates={V: A},
        controls={
            alpha: (Interval.open(0, 1), None),
            Delta: (Interval.open(0, oo), None),
            **prior.controls,
        },
    )
    return rp.solve(formula, alpha=rows, Delta=noise, density=density)


def test_a_linear_measurement_with_orthogonal_rows():
    """Own figures of a message-passing tree, gauss-bernoulli of density .3."""
    found = measurement(0.3, 0.5, 0.01)
    assert found.V == pytest.approx(0.0641854665, abs=1e-10)
    assert -found.potential == pytest.approx(0.8122972671, abs=1e-10)


@pytest.mark.slow
def test_signs_of_orthogonal_rows():
    """The same with labels sign(F x); the precisions a of both sides of the matrix are unknown."""
    a_x, a_z = symbols("a_x a_z", positive=True)
    prior, channel = rp.GaussBernoulli(), rp.Sign()
    rho, law = prior.second_moment, rp.Spectrum({1: alpha, 0: 1 - alpha})

    def mean(body):
        return rp.SpectralMean(body, (lam, law))

    v_x, v_z = mean(1 / (a_x + lam * a_z)), mean(lam / (a_x + lam * a_z)) / alpha
    precision, tau = 1 / v_x - a_x, 1 / v_z - a_z
    information = (
        prior.mutual_information(precision)
        - alpha * channel.free_entropy(1 / tau, rho)
        + mean(log(v_x * (a_x + lam * a_z))) / 2
        + alpha * log(v_z * tau) / 2
    )
    formula = rp.Formula(
        name="row-orthogonal-sign",
        title="Signs of a matrix with orthogonal rows",
        potential=-information,
        overlaps={a_x: Interval.open(1 / rho, oo), a_z: Interval.open(0, oo)},
        controls={alpha: (Interval.open(0, 1), None), **prior.controls, **channel.controls},
        observables={"V": v_x},
    )
    found = rp.solve(formula, alpha=0.5, density=0.3)
    assert found["V"] == pytest.approx(0.178036800177637, abs=1e-12)
    assert -found.potential == pytest.approx(0.3393366989, abs=1e-9)


@pytest.mark.slow
def test_the_quadratic_network():
    """Two extensive layers: the free sum of a Wishart and a semicircle, arXiv:2408.03733."""
    E = Symbol("E", positive=True)
    variance = (Delta + 2 * E) / (4 * alpha)
    both = rp.RTransform(1 / (1 - s / kappa), s) + rp.RTransform(variance * s, s)

    def place(s):  # z at G(z) = s
        return both(s) + 1 / s

    low, high = (
        place(rp.Implicit(s, place(s).diff(s), branch)) for branch in ((-oo, 0), (0, kappa))
    )
    x = low + (high - low) * exp(rp.LogH(-g))  # uniform between the edges for g ~ N(0, 1)
    r = rp.Implicit(  # the real root; the other two have imaginary parts -+ pi rho
        s,
        variance / kappa * s**3 - (x / kappa + variance) * s**2 + (x - 1 + 1 / kappa) * s - 1,
        (0, oo),
    )
    square = kappa / (variance * r) - ((x / kappa + variance) * kappa / variance - r) ** 2 / 4
    cube = (high - low) * rp.Mean(Max(square, 0) ** Rational(3, 2), (g, 1)) / pi**3
    formula = rp.Formula(
        name="quadratic-network",
        title="Two extensive layers, quadratic activation",
        equations={E: variance - 4 * pi**2 * variance**2 * cube / 3},
        overlaps={E: Interval.open(0, 1 + 1 / kappa)},
        controls={symbol: (Interval.open(0, oo), None) for symbol in (alpha, kappa, Delta)},
    )
    for width, load, expected in (
        (0.5, 0.2, 0.934818),
        (0.5, 0.5, 0.207599),
        (1.0, 0.5, 0.221248),
        (2.0, 0.5, 0.174148),
    ):
        found = rp.solve(formula, kappa=width, alpha=load, Delta=0.25)
        assert found.E == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: rp.Spectrum({1: alpha, 0: alpha}), "sum to 2.alpha, and must sum to one"),
        (lambda: rp.Spectrum({}), "must sum to one"),
        (lambda: rp.Spectrum([]), "Spectrum takes eigenvalues"),
        (lambda: rp.Spectrum(["a"]), "Spectrum takes eigenvalues"),
        (lambda: rp.Spectrum([1.0, float("nan")]), "Spectrum takes eigenvalues"),
        (lambda: rp.Spectrum([[1, 2], [0, 1]]), "not symmetric"),
        (lambda: rp.RTransform(3), "RTransform takes a Spectrum"),
        (lambda: rp.RTransform(rp.Spectrum([1, 2]))(s), "the sign of s is not known"),
        (lambda: rp.RTransform(v * s, s).integral(-t), "was not given"),
        (lambda: rp.RTransform(rp.Spectrum(np.ones(500))), "too many to write out"),
    ],
)
def test_bad_spectra(call, words):
    with pytest.raises(rp.ReplicaError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)
