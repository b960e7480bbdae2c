"""One table of Gaussian means, each tagged by what makes it hard; `test_problems.py` runs it.

A truth is a closed form where there is one, else the hand-written integrand and where its
features are, for the panels of `oracle.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import mpmath
from mpmath import mpf
from numerics.oracle import density, gaussian_mean, log_cosh, log_tail, tail
from sympy import (
    Abs,
    Expr,
    Heaviside,
    Max,
    Min,
    Rational,
    Symbol,
    atan,
    cos,
    cosh,
    exp,
    log,
    sign,
    sqrt,
    symbols,
)

from replica.language.means import Mean
from replica.language.primitives import (
    LogCosh,
    LogH,
    LogHDifference,
    LogSumExp,
    LowerMills,
    Mills,
    MillsExcess,
    Sech,
    Softmax,
    Tanh,
    UpperMills,
)

TAGS = {
    "smooth": "analytic in a wide strip: what every rule should do",
    "steep": "a feature much narrower than the Gaussian",
    "curved": "the narrow feature sits where a non-affine argument vanishes",
    "kink": "a jump of the function or of its slope",
    "heavy": "grows along the field, so that the ends of the range matter",
    "tilted": "an exponential moves the weight away from the origin",
    "boundary": "a variance or a parameter at the end of its domain",
    "nested": "a mean inside a mean",
    "interval": "the mass between two tails",
    "overflow": "the plain form overflows or underflows",
    "oscillating": "changes sign many times",
    "singular": "infinite at a point, and still integrable",
}

x, z = symbols("x z", real=True)
a, v, w = symbols("a v w", real=True)


@dataclass(frozen=True)
class Problem:
    """An expression, where it is evaluated, and its true value."""

    name: str
    expression: Expr
    at: dict[Symbol, float]
    truth: Callable[[], Any]
    tags: tuple[str, ...]
    reaches: float | None = 1e-11  # relative error of the finest rule; None: honesty only


def over(variance: Any, integrand: Callable[[Any], Any], *marks: Any, reach: int = 14) -> Any:
    """Return a truth by panels: E integrand over N(0, variance), features at `marks`."""

    def value() -> Any:
        exact = variance() if callable(variance) else variance
        return gaussian_mean(integrand, exact, marks, reach=reach)

    return value


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


def _tails() -> list[Problem]:
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


def _boundaries() -> list[Problem]:
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


def _intervals() -> list[Problem]:
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


def _nested() -> list[Problem]:
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


PROBLEMS: tuple[Problem, ...] = (
    *_smooth(),
    *_steep(),
    *_curved(),
    *_kinks(),
    *_tails(),
    *_boundaries(),
    *_intervals(),
    *_nested(),
)


@cache
def truth(name: str) -> Any:
    """Return the true value of a problem to 25 digits or more."""
    (problem,) = (p for p in PROBLEMS if p.name == name)
    with mpmath.workdps(40):
        return +problem.truth()
