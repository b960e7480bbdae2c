"""The bivariate normal distribution against an integral of mpmath, tails included."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from replica.numerics import bivariate
from replica.numerics.rounding import UNIT


def truth(h: float, k: float, rho: float) -> mpmath.mpf:
    """The mass of the strip below h: an integral from far out, with no code of the package."""
    h, k, rho = map(mpmath.mpf, (h, k, rho))
    spread = mpmath.sqrt(1 - rho**2)

    def integrand(x):
        return mpmath.exp((peak**2 - x * x) / 2) * mpmath.ncdf((k - rho * x) / spread) / scale

    # relative to the largest value on a lattice, since the tolerance of the rule is absolute
    lattice = [h - j / mpmath.mpf(16) for j in range(0, 320)]
    sizes = [mpmath.log(mpmath.ncdf((k - rho * x) / spread)) - x * x / 2 for x in lattice]
    peak = lattice[max(range(len(sizes)), key=sizes.__getitem__)]
    scale = mpmath.ncdf((k - rho * peak) / spread)
    marks = sorted({h, peak, *(h - mpmath.mpf(2) ** j / 32 for j in range(11))})
    marks += [m for j in range(-6, 3) for m in (peak - mpmath.mpf(2) ** j, peak + 2**j)]
    marks = sorted({m for m in marks if m <= h})
    total = mpmath.quad(integrand, marks)
    return total * scale * mpmath.exp(-(peak**2) / 2) / mpmath.sqrt(2 * mpmath.pi)


def places() -> list[tuple[float, float, float]]:
    rng = np.random.default_rng(4)
    drawn = [
        (*rng.normal(size=2) * scale, rng.uniform(-0.95, 0.95))
        for scale in (0.3, 1.0, 3.0, 8.0)
        for _ in range(6)
    ]
    return [
        *drawn,
        (0.0, 0.0, 0.5),
        (0.0, 1.5, -0.4),
        (-1e-250, 0.0, 0.3),
        (-9.0, -9.0, -0.7),
        (-12.0, 12.0, -0.9),
        (-6.0, -6.0, 0.95),
        (2.0, -2.0, 0.2),
    ]


@pytest.mark.parametrize("place", places())
def test_values_and_their_rounding(place):
    with mpmath.workdps(25):
        exact = mpmath.log(truth(*place))
        found = float(bivariate.log_bivariate_normal_cdf(*place))
        allowed = UNIT * (16 * abs(found) + 4 * float(bivariate.log_rounding(*place)))
        assert abs(mpmath.mpf(found) - exact) <= allowed
        assert allowed < 1e-12 * max(1, abs(found))
        assert abs(mpmath.log(bivariate.precise_bivariate_normal_cdf(*place)) - exact) < 1e-18


@pytest.mark.parametrize("place", places()[::3])
def test_the_ratio_of_density_and_mass(place):
    h, k, rho = place
    with mpmath.workdps(25):
        inside = mpmath.ncdf((mpmath.mpf(k) - rho * mpmath.mpf(h)) / mpmath.sqrt(1 - rho**2))
        exact = mpmath.npdf(h) * inside / truth(*place)
        found = float(bivariate.bivariate_mills(*place))
        rounding = float(bivariate.bivariate_mills_rounding(*place))
        assert abs(mpmath.mpf(found) - exact) <= UNIT * (16 * abs(found) + 4 * rounding)


def test_the_whole_plane_is_finite_and_four_quadrants_make_one():
    axis = np.concatenate([-np.geomspace(1e-3, 130, 40), [0.0], np.geomspace(1e-3, 130, 40)])
    h, k = np.meshgrid(axis, axis)
    for rho in (-0.99, -0.4, 0.0, 0.7):
        logarithm = bivariate.log_bivariate_normal_cdf(h, k, rho)
        assert np.isfinite(logarithm).all()
        assert (logarithm <= 1e-15).all()
        assert np.array_equal(logarithm, bivariate.log_bivariate_normal_cdf(k, h, rho))
        ratio = bivariate.bivariate_mills(h, k, rho, logarithm)
        assert np.isfinite(ratio).all()
        total = sum(
            bivariate.bivariate_normal_cdf(s * h, t * k, s * t * rho)
            for s in (1, -1)
            for t in (1, -1)
        )
        assert np.abs(total - 1).max() < 1e-14


def test_the_distribution_grows_along_both_edges():
    h = np.linspace(-30, 6, 500)
    for k, rho in ((-3.0, -0.6), (0.5, 0.3), (-8.0, 0.9)):
        assert (np.diff(bivariate.log_bivariate_normal_cdf(h, k, rho)) > -1e-12).all()


def test_slopes_bound_differences():
    rng = np.random.default_rng(6)
    h, k = rng.normal(size=(2, 200)) * 3
    rho = rng.uniform(-0.9, 0.9, 200)
    step = 1e-6
    for function, slopes in (
        (bivariate.log_bivariate_normal_cdf, bivariate.log_slopes),
        (bivariate.bivariate_mills, bivariate.bivariate_mills_slopes),
    ):
        bounds = slopes(h, k, rho)
        for j in range(3):
            shift = [step * (i == j) for i in range(3)]
            up = function(h + shift[0], k + shift[1], rho + shift[2])
            down = function(h - shift[0], k - shift[1], rho - shift[2])
            measured = np.abs(up - down) / (2 * step)
            assert (measured <= 1.001 * bounds[j] + 1e-6 * (1 + np.abs(up))).all()
