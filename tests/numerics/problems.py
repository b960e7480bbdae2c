"""One table of Gaussian means, each tagged by what makes it hard; `test_problems.py` runs it.

A truth is a closed form where there is one, else the hand-written integrand and where its
features are, for the panels of `oracle.py`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import mpmath
from mpmath import mpf
from numerics.hard_problems import boundaries, intervals, nested, tails
from numerics.oracle import density, log_cosh, log_tail, tail
from numerics.problem import Problem, a, over, v, x
from sympy import (
    Abs,
    Heaviside,
    Max,
    Min,
    Rational,
    atan,
    cos,
    exp,
    log,
    sign,
    sqrt,
)

from replica.language.means import Mean
from replica.language.primitives import (
    LogCosh,
    LogH,
    LogSumExp,
    Mills,
    MillsExcess,
    Sech,
    Softmax,
    Tanh,
)


def _smooth() -> list[Problem]:
    return [
        Problem("moment", Mean(x**6, (x, v)), {v: 2.0}, lambda: mpf(120), ("smooth",)),
        Problem(
            "cosine", Mean(cos(x), (x, v)), {v: 1.0}, lambda: mpmath.exp(-mpf(1) / 2), ("smooth",)
        ),
        Problem(
            "gaussian",
            Mean(exp(-(x**2)), (x, v)),
            {v: 1.0},
            lambda: 1 / mpmath.sqrt(3),
            ("smooth",),
        ),
        Problem(
            "tail",
            Mean(exp(LogH(x + a)), (x, v)),
            {v: 2.0, a: 0.5},
            lambda: tail(mpf(0.5) / mpmath.sqrt(3)),
            ("smooth",),
        ),
        Problem(
            "log cosh",
            Mean(LogCosh(x), (x, v)),
            {v: 2.5},
            over(2.5, log_cosh, (0, 1)),
            ("smooth",),
        ),
        Problem(
            "mills product",
            Mean(Mills(x) ** 2 * MillsExcess(x) ** 2, (x, v)),
            {v: 1.0},
            over(
                1, lambda t: (density(t) / tail(t)) ** 2 * (density(t) / tail(t) - t) ** 2, (0, 1)
            ),
            ("smooth",),
        ),
    ]


def _steep() -> list[Problem]:
    gap = 1e-8
    return [
        Problem(
            "tanh as a step",
            Mean(Tanh(x / a) ** 2, (x, v)),
            {v: 1.0, a: 1e-6},
            over(1, lambda t: mpmath.tanh(t / mpf(1e-6)) ** 2, (0, 1e-6)),
            ("steep",),
        ),
        Problem(
            "sech off centre",
            Mean(Sech(a * (x - 5)) ** 2, (x, v)),
            {v: 1.0, a: 1e6},
            over(1, lambda t: mpmath.sech(mpf(1e6) * (t - 5)) ** 2, (5, 1e-6)),
            ("steep",),
            reaches=1e-8,
        ),
        Problem(
            "log tail as q -> 1",
            Mean(LogH((a - x) / sqrt(v)), (x, 1 - v)),
            {v: gap, a: 0.5},
            over(
                lambda: 1 - mpf(gap),
                lambda t: log_tail((mpf(0.5) - t) / mpmath.sqrt(mpf(gap))),
                (0.5, 1e-4),
            ),
            ("steep",),
        ),
        Problem(
            "two tails",
            Mean(LogSumExp(LogH((a - x) / sqrt(v)), LogH((a + x) / sqrt(v))), (x, 1 - v)),
            {v: 1e-4, a: 2.0},
            over(
                lambda: 1 - mpf(1e-4),
                lambda t: mpmath.log(
                    tail((2 - t) / mpmath.sqrt(mpf(1e-4))) + tail((2 + t) / mpmath.sqrt(mpf(1e-4)))
                ),
                (2, 0.01),
                (-2, 0.01),
                (0, 5e-5),
            ),
            ("steep",),
        ),
        Problem(
            "two scales",
            Mean(LogCosh(100 * (x - 1)) * Tanh(1000 * (x + 2)), (x, v)),
            {v: 1.0},
            over(
                1,
                lambda t: log_cosh(100 * (t - 1)) * mpmath.tanh(1000 * (t + 2)),
                (1, 0.01),
                (-2, 1e-3),
            ),
            ("steep",),
        ),
        Problem(
            "softmax",
            Mean(Softmax(1000 * x, 0, 500), (x, v)),
            {v: 1.0},
            over(
                1,
                lambda t: 1 / (1 + mpmath.exp(-1000 * t) + mpmath.exp(500 - 1000 * t)),
                (0, 1e-3),
                (0.5, 1e-3),
            ),
            ("steep",),
        ),
        Problem(
            "narrow gaussian",
            Mean(exp(-((x - 1) ** 2) / a), (x, v)),
            {v: 1.0, a: 1e-8},
            lambda: mpmath.exp(-1 / (2 + mpf(1e-8))) / mpmath.sqrt(1 + 2 / mpf(1e-8)),
            ("steep",),
        ),
        Problem(
            "arctangent",
            Mean(atan(1000 * (x - 1)) ** 2, (x, v)),
            {v: 1.0},
            over(1, lambda t: mpmath.atan(1000 * (t - 1)) ** 2, (1, 1e-3)),
            ("steep",),
        ),
        Problem(
            "lorentzian",
            Mean(1 / (1 + 100 * x**2), (x, v)),
            {v: 1.0},
            over(1, lambda t: 1 / (1 + 100 * t * t), (0, 0.1)),
            ("steep",),
        ),
    ]


def _curved() -> list[Problem]:
    return [
        Problem(
            "log cosh of a square",
            Mean(LogCosh(50 * (x**2 - 4)), (x, v)),
            {v: 1.0},
            over(1, lambda t: log_cosh(50 * (t * t - 4)), (2, 5e-3), (-2, 5e-3)),
            ("curved",),
        ),
        Problem(
            "crossing of a square",
            Mean(LogSumExp(100 * x**2, 100), (x, v)),
            {v: 1.0},
            over(
                1,
                lambda t: 100 + mpmath.log1p(mpmath.exp(100 * t * t - 100)),
                (1, 5e-3),
                (-1, 5e-3),
            ),
            ("curved",),
        ),
        Problem(
            "tanh of a cube",
            Mean(Tanh(30 * x**3) ** 2, (x, v)),
            {v: 1.0},
            over(1, lambda t: mpmath.tanh(30 * t**3) ** 2, (0, 0.2)),
            ("curved",),
        ),
        Problem(
            "smoothed modulus",
            Mean(sqrt(x**2 + a), (x, v)),
            {v: 1.0, a: 1e-8},
            over(1, lambda t: mpmath.sqrt(t * t + mpf(1e-8)), (0, 1e-4)),
            ("curved",),
        ),
        Problem(
            "narrow lorentzian off centre",
            Mean(1 / (1 + 10**6 * (x - 1) ** 2), (x, v)),
            {v: 1.0},
            over(1, lambda t: 1 / (1 + 10**6 * (t - 1) ** 2), (1, 1e-3)),
            ("curved",),
            reaches=1e-9,
        ),
        Problem(
            "narrow quartic",
            Mean(exp(-((10 * (x - 1)) ** 4)), (x, v)),
            {v: 1.0},
            over(1, lambda t: mpmath.exp(-((10 * (t - 1)) ** 4)), (1, 0.05)),
            ("curved",),
            reaches=1e-10,
        ),
    ]


def _kinks() -> list[Problem]:
    return [
        Problem(
            "modulus", Mean(Abs(x), (x, v)), {v: 2.0}, lambda: 2 / mpmath.sqrt(mpmath.pi), ("kink",)
        ),
        Problem(
            "ramp",
            Mean(Max(0, x - a), (x, v)),
            {v: 1.0, a: 1.5},
            lambda: density(mpf(1.5)) - mpf(1.5) * tail(mpf(1.5)),
            ("kink",),
        ),
        Problem(
            "far ramp",
            Mean(Max(0, x - a) ** 2, (x, v)),
            {v: 1.0, a: 6.0},
            lambda: 37 * tail(mpf(6)) - 6 * density(mpf(6)),
            ("kink",),
            reaches=1e-8,
        ),
        Problem(
            "step",
            Mean(Heaviside(x - Rational(1, 3)), (x, v)),
            {v: 1.0},
            lambda: tail(1 / mpf(3)),
            ("kink",),
        ),
        Problem(
            "sign against tanh",
            Mean(sign(x - 1) * Tanh(x), (x, v)),
            {v: 1.0},
            over(1, lambda t: mpmath.sign(t - 1) * mpmath.tanh(t), (1, 0.5)),
            ("kink",),
        ),
        Problem(
            "clipped modulus",
            Mean(Min(Abs(x), 1), (x, v)),
            {v: 1.0},
            over(1, lambda t: min(abs(t), mpf(1)), (0, 1), (1, 1), (-1, 1)),
            ("kink",),
        ),
        Problem(
            "three pieces",
            Mean(Max(0, x, 2 * x - 1), (x, v)),
            {v: 1.0},
            over(1, lambda t: max(mpf(0), t, 2 * t - 1), (0, 1), (1, 1)),
            ("kink",),
        ),
        Problem(
            "penalty",
            Mean(exp(-a * Max(0, Rational(1, 3) - x) ** 2 / 2), (x, v)),
            {v: 1.0, a: 100.0},
            over(
                1, lambda t: mpmath.exp(-50 * max(mpf(0), mpf(1) / 3 - t) ** 2), (mpf(1) / 3, 0.1)
            ),
            ("kink", "steep"),
        ),
        Problem(
            "kinks of a square",
            Mean(Abs(x**2 - 1), (x, v)),
            {v: 1.0},
            lambda: 4 * density(mpf(1)),
            ("kink", "curved"),
        ),
        Problem(
            "ramp of a square",
            Mean(Max(0, x**2 - 1), (x, v)),
            {v: 1.0},
            lambda: 2 * density(mpf(1)),
            ("kink", "curved"),
        ),
        Problem(
            "step of a square",
            Mean(Heaviside(x**2 - 1), (x, v)),
            {v: 1.0},
            lambda: 2 * tail(mpf(1)),
            ("kink", "curved"),
            reaches=None,
        ),
        Problem(
            "steep beside a kink",
            Mean(Tanh(1000 * (Abs(x) - 1)), (x, v)),
            {v: 1.0},
            over(1, lambda t: mpmath.tanh(1000 * (abs(t) - 1)), (0, 1), (1, 1e-3), (-1, 1e-3)),
            ("kink", "curved"),
        ),
        Problem(
            "logarithm of a modulus",
            Mean(log(Abs(x)), (x, v)),
            {v: 1.0},
            lambda: -(mpmath.euler + mpmath.log(2)) / 2,
            ("singular",),
            reaches=None,
        ),
        Problem(
            "root of a ramp",
            Mean(sqrt(Max(0, x)), (x, v)),
            {v: 1.0},
            lambda: (
                mpmath.mpf(2) ** (-mpf(3) / 4) * mpmath.gamma(mpf(3) / 4) / mpmath.sqrt(mpmath.pi)
            ),
            ("singular",),
            reaches=None,
        ),
    ]


PROBLEMS: tuple[Problem, ...] = (
    *_smooth(),
    *_steep(),
    *_curved(),
    *_kinks(),
    *tails(),
    *boundaries(),
    *intervals(),
    *nested(),
)


@cache
def truth(name: str) -> Any:
    """Return the true value of a problem to 25 digits or more."""
    (problem,) = (p for p in PROBLEMS if p.name == name)
    with mpmath.workdps(40):
        return +problem.truth()
