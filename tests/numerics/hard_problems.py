"""Problems with weight far out, open ends, intervals, and means within means."""

from __future__ import annotations

from typing import Any

import mpmath
from mpmath import mpf
from numerics.oracle import density, log_cosh, log_tail, tail
from numerics.problem import Problem, a, over, v, w, x, z
from sympy import (
    Abs,
    Max,
    Rational,
    cos,
    cosh,
    exp,
    log,
    sqrt,
)

from replica.language.means import Mean
from replica.language.primitives import (
    LogCosh,
    LogH,
    LogHDifference,
    LowerMills,
    Mills,
    Tanh,
    UpperMills,
)


def tails() -> list[Problem]:
    return [
        Problem(
            "high moment",
            Mean(x**12, (x, v)),
            {v: 1.0},
            lambda: mpmath.fac2(11),
            ("heavy",),
        ),
        Problem(
            "very high moment",
            Mean(x**60, (x, v)),
            {v: 1.0},
            lambda: mpmath.fac2(59),
            ("heavy",),
            reaches=None,
        ),
        Problem(
            "exponential",
            Mean(exp(3 * x), (x, v)),
            {v: 1.0},
            lambda: mpmath.exp(mpf(9) / 2),
            ("heavy",),
        ),
        Problem(
            "tilted by 7",
            Mean(exp(7 * x), (x, v)),
            {v: 1.0},
            lambda: mpmath.exp(mpf(49) / 2),
            ("tilted",),
        ),
        Problem(
            "tilted by 20",
            Mean(exp(x), (x, v)),
            {v: 400.0},
            lambda: mpmath.exp(mpf(200)),
            ("tilted",),
            reaches=None,  # the weight lies past the widest range: the bound says so
        ),
        Problem(
            "tilted both ways",
            Mean(cosh(8 * x), (x, v)),
            {v: 1.0},
            lambda: mpmath.exp(mpf(32)),
            ("tilted",),
        ),
        Problem(
            "tilted by log cosh",
            Mean(exp(9 * LogCosh(x)), (x, v)),
            {v: 1.0},
            over(1, lambda t: mpmath.cosh(t) ** 9, (9, 1), (-9, 1), reach=30),
            ("tilted",),
        ),
        Problem(
            "far penalty",
            Mean(exp(-(100 * (x - 20) ** 2)), (x, v)),
            {v: 1.0},
            lambda: mpmath.exp(-mpf(40000) / 201) / mpmath.sqrt(201),
            ("tilted", "steep"),
        ),
        Problem(
            "tilted by a far tail",
            Mean(exp(3 * LogH(12 - x)), (x, v)),
            {v: 1.0},
            over(1, lambda t: tail(12 - t) ** 3, (12, 1), (9, 1), reach=30),
            ("tilted",),
        ),
        Problem(
            "growing gaussian",
            Mean(exp(Rational(9, 20) * x**2), (x, v)),
            {v: 1.0},
            lambda: mpmath.sqrt(10),
            ("tilted", "heavy"),
        ),
        Problem(
            "inverse tail",
            Mean(exp(-LogH(x) / 2), (x, v)),
            {v: 1.0},
            over(1, lambda t: 1 / mpmath.sqrt(tail(t)), (0, 1), reach=40),
            ("tilted", "heavy"),
        ),
        Problem(
            "slow oscillation",
            Mean(cos(5 * x), (x, v)),
            {v: 1.0},
            lambda: mpmath.exp(-mpf(25) / 2),
            ("oscillating",),
            reaches=1e-9,
        ),
        Problem(
            "fast oscillation",
            Mean(1 + cos(50 * x), (x, v)),
            {v: 1.0},
            lambda: mpf(1),
            ("oscillating",),
        ),
        Problem(
            "chirp",
            Mean(cos(100 * x**2), (x, v)),
            {v: 1.0},
            lambda: (1 / mpmath.sqrt(1 - 200j)).real,
            ("oscillating",),
            reaches=None,
        ),
        Problem(
            "huge argument",
            Mean(LogCosh(a * x), (x, v)),
            {v: 1.0, a: 1e150},
            lambda: mpf(1e150) * mpmath.sqrt(2 / mpmath.pi),
            ("overflow",),
        ),
        Problem(
            "huge variance",
            Mean(LogCosh(x), (x, v)),
            {v: 1e200},
            lambda: mpmath.sqrt(2 * mpf(1e200) / mpmath.pi),
            ("overflow",),
        ),
        Problem(
            "far tail",
            Mean(LogH(a * (x + 30)), (x, v)),
            {v: 1.0, a: 1e5},
            over(1, lambda t: log_tail(mpf(1e5) * (t + 30))),
            ("overflow",),
        ),
    ]


def boundaries() -> list[Problem]:
    return [
        Problem(
            "no variance",
            Mean(LogH(x + a), (x, v)),
            {v: 0.0, a: 3.0},
            lambda: log_tail(mpf(3)),
            ("boundary",),
        ),
        Problem(
            "no variance at a kink",
            Mean(Abs(x), (x, v)),
            {v: 0.0},
            lambda: mpf(0),
            ("boundary", "kink"),
        ),
        Problem(
            "tiny variance",
            Mean(LogCosh(x), (x, v)) / v,
            {v: 1e-12},
            lambda: mpf(1) / 2 - mpf(1e-12) / 4,
            ("boundary",),
            reaches=1e-3,
        ),
        Problem(
            "tiny variance of tanh",
            Mean(Tanh(x) ** 2, (x, v)),
            {v: 1e-200},
            lambda: mpf(1e-200),
            ("boundary",),
        ),
        Problem(
            "full overlap",
            Mean(Mills((a - x) / sqrt(1 - v)) ** 2, (x, v)),
            {v: 1 - 2.0**-40, a: 1.0},
            over(
                lambda: 1 - mpf(2) ** -40,
                lambda t: (density((1 - t) * 2**20) / tail((1 - t) * 2**20)) ** 2,
                (1, 2.0**-20),
            ),
            ("boundary", "steep"),
        ),
    ]


def intervals() -> list[Problem]:
    def mass(t: Any) -> Any:
        return tail((-mpf(0.8) - t) * 10) - tail((mpf(0.8) - t) * 10) if t < 0 else mass(-t)

    return [
        Problem(
            "interval",
            Mean(LogHDifference(10 * (-a - x), 10 * (a - x)), (x, v)),
            {v: 0.99, a: 0.8},
            over(
                0.99,
                lambda t: (
                    mpmath.log1p(-tail((t + mpf(0.8)) * 10) - tail((mpf(0.8) - t) * 10))
                    if abs(t) < 0.8
                    else mpmath.log(mass(t))
                ),
                (0.8, 0.1),
                (-0.8, 0.1),
            ),
            ("interval",),
        ),
        Problem(
            "narrow interval",
            Mean(LogHDifference(-a - x, a - x), (x, v)),
            {v: 1.0, a: 1e-6},
            lambda: mpmath.log(2 * mpf(1e-6)) - mpmath.log(2 * mpmath.pi) / 2 - mpf(1) / 2,
            ("interval",),
            reaches=1e-9,
        ),
        Problem(
            "pull of an interval",
            Mean((LowerMills(-a - x, a - x) - UpperMills(-a - x, a - x)) ** 2, (x, v)),
            {v: 1.0, a: 2.0},
            over(
                1,
                lambda t: (
                    ((density(t + 2) - density(2 - t)) / (tail(-2 - t) - tail(2 - t))) ** 2
                    if t < 0
                    else ((density(2 - t) - density(t + 2)) / (tail(t - 2) - tail(t + 2))) ** 2
                ),
                (2, 1),
                (-2, 1),
            ),
            ("interval",),
        ),
    ]


def nested() -> list[Problem]:
    shift = (a - x - z) / sqrt(w)
    below, depth = mpf(-1), mpf(4)  # kappa and mu of the one-step penalty
    inner, outer = mpf(0.4), mpf(0.6)

    def penalty(t: Any) -> Any:
        """E_z exp(-mu max(0, kappa - t - z)^2 / 2), in closed form."""
        gap, spread = 1 + depth * inner, mpmath.sqrt(inner)
        left = below - t
        return mpmath.log(
            tail(left / spread)
            + mpmath.exp(-depth * left**2 / (2 * gap))
            / mpmath.sqrt(gap)
            * tail(-left / (spread * mpmath.sqrt(gap)))
        )

    return [
        Problem(
            "sum of fields",
            Mean(Mean(LogCosh(x + z), (z, w)), (x, v)),
            {v: 1.0, w: 1.5},
            over(2.5, log_cosh, (0, 1)),
            ("nested",),
        ),
        Problem(
            "variance from outside",
            Mean(Mean(z**2 * x, (z, x**2)), (x, v)) + Mean(Mean(z**2, (z, x**2)), (x, v)),
            {v: 3.0},
            lambda: mpf(3),
            ("nested",),
        ),
        Problem(
            "one step with m = 1",
            Mean(log(Mean(exp(LogH(shift)), (z, v - w))), (x, 1 - v)),
            {v: 0.5, w: 0.1, a: -0.5},
            over(0.5, lambda t: log_tail((mpf(-0.5) - t) / mpmath.sqrt(mpf(0.5))), (-0.5, 0.7)),
            ("nested",),
        ),
        Problem(
            "one step with m = 1, steep",
            Mean(log(Mean(exp(LogH(shift)), (z, v - w))), (x, 1 - v)),
            {v: 1e-2, w: 1e-6, a: 0.5},
            over(
                lambda: 1 - mpf(1e-2),
                lambda t: log_tail((mpf(0.5) - t) / mpmath.sqrt(mpf(1e-2))),
                (0.5, 0.1),
            ),
            ("nested", "steep", "tilted"),
            reaches=None,  # the inner mean underflows at the ends of the outer range
        ),
        Problem(
            "one-step penalty",
            Mean(log(Mean(exp(-4 * Max(0, a - x - z) ** 2 / 2), (z, w))), (x, v)),
            {v: 0.6, w: 0.4, a: -1.0},
            over(outer, penalty, (below, 0.6)),
            ("nested", "kink", "tilted"),
        ),
        Problem(
            "modulus of a sum",
            Mean(Mean(Abs(x + z - 1), (z, w)), (x, v)),
            {v: 0.7, w: 1.3},
            lambda: (
                2 * (mpmath.sqrt(2) * density(1 / mpmath.sqrt(2)) - tail(1 / mpmath.sqrt(2))) + 1
            ),
            ("nested", "kink"),
        ),
        Problem(
            "modulus of a product",
            Mean(Mean(Abs(x * z), (z, w)), (x, v)),
            {v: 1.0, w: 1.0},
            lambda: 2 / mpmath.pi,
            ("nested", "kink"),
        ),
        Problem(
            "annealed",
            log(Mean(exp(2 * Mean(Tanh(x + 3 * z), (x, v)) ** 2), (z, w))),
            {v: 0.0, w: 0.0},
            lambda: mpf(0),
            ("nested", "boundary"),
        ),
    ]
