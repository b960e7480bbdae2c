"""A formula whose curve of saddle points is a cubic with two turns, for tests."""

from __future__ import annotations

from sympy import Interval, S, oo, symbols

import replica as rp

alpha, b = symbols("alpha b", real=True)
D, mhat = symbols("D mhat", nonnegative=True)

# D = 1 / (1 + mhat) and mhat = alpha f(D): the curve is alpha = mhat / f(D). With f = x / g(x)
# and x = mhat it is alpha = g(mhat), a cubic with two turns for b < 1.
x = (1 - D) / D
CUBIC = x**3 / 3 - x**2 + b * x + 1


def folded() -> rp.Formula:
    """Return a formula whose explicit curve is alpha = mhat^3/3 - mhat^2 + b mhat + 1."""
    return rp.Formula(
        name="folded",
        title="A curve of saddle points with two turns",
        equations={D: 1 / (1 + mhat), mhat: alpha * x / CUBIC},
        overlaps={D: Interval.Lopen(0, 1)},
        conjugates={D: mhat},
        controls={alpha: (Interval.open(0, oo), None), b: (Interval(0, 4), S(1) / 2)},
        thresholds={
            "alpha_AMP": rp.Fold(alpha),
            "alpha_sp": rp.Fold(alpha, upper=False),
            "b_c": rp.Cusp((b, alpha)),
        },
    )


FOLDED = folded()


def curve(y: float, slope: float) -> float:
    return y**3 / 3 - y**2 + slope * y + 1
