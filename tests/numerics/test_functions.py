"""Every primitive against mpmath, from the far left tail to the far right one."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mpf
from numerics import oracle

from replica.language.bivariate import BIVARIATE
from replica.language.vocabulary import PRIMITIVES
from replica.numerics.implementations import IMPLEMENTATIONS
from replica.numerics.rounding import UNIT, Bounded, bounded_namespace

TINY = 1e-300  # below this a result may underflow
FEW = 16  # units in the last place that every implementation may lose


def mills(x: Any) -> Any:
    return oracle.density(x) / oracle.tail(x)


def log_sum_exp(*arguments: Any) -> Any:
    return mpmath.log(mpmath.fsum(mpmath.exp(a) for a in arguments))


def bessel_ratio(x: Any) -> Any:
    return mpmath.besseli(1, x) / mpmath.besseli(0, x)


def slope_of_bessel_ratio(x: Any) -> Any:
    with mpmath.workdps(mpmath.mp.dps + 40):
        return 1 - bessel_ratio(x) / x - bessel_ratio(x) ** 2


def log_scaled_i0(x: Any) -> Any:
    with mpmath.workdps(mpmath.mp.dps + 40):
        return mpmath.log(mpmath.besseli(0, x)) - x


def of_phase(function: Any) -> Any:
    """Return the value from the field and the ratio of Bessel functions."""

    def of_square(k: Any) -> Any:
        with mpmath.workdps(mpmath.mp.dps + 40):
            field = mpmath.sqrt(k)
            return function(field, bessel_ratio(field))

    return of_square


def bessel_quotient(n: Any, k: Any) -> Any:
    with mpmath.workdps(mpmath.mp.dps + 40):
        field = mpmath.sqrt(k)
        return mpmath.besseli(n + 1, field) / (field * mpmath.besseli(n, field))


def log_scaled_k(n: int) -> Any:
    def of_logarithm(s: Any) -> Any:
        with mpmath.workdps(mpmath.mp.dps + 40):
            return mpmath.log(mpmath.besselk(n, mpmath.exp(s))) + mpmath.exp(s)

    return of_logarithm


TRUTH = {
    "LogScaledI0": log_scaled_i0,
    "BesselRatio": bessel_ratio,
    "BesselRatioSlope": slope_of_bessel_ratio,
    "PhaseLogPartition": of_phase(
        lambda f, ratio: mpmath.log(mpmath.besseli(0, f)) + 1 - mpmath.sqrt(1 + f * f)
    ),
    "PhaseEntropy": of_phase(lambda f, ratio: mpmath.log(mpmath.besseli(0, f)) - f * ratio),
    "PhaseVariance": of_phase(lambda f, ratio: 1 - ratio * ratio),
    "BesselQuotient": bessel_quotient,
    "LogScaledK0": log_scaled_k(0),
    "LogScaledK1": log_scaled_k(1),
    "LogH": oracle.log_tail,
    "Mills": mills,
    "MillsExcess": lambda x: mills(x) - x,
    "LogScaledH": lambda x: x * x / 2 + oracle.log_tail(x),
    "LogCosh": oracle.log_cosh,
    "Tanh": mpmath.tanh,
    "Sech": mpmath.sech,
    "PositivePart": lambda x: max(x, mpf(0)),
    "ProductDifference": lambda a, b, c, d: a * b - c * d,
    "LogHDifference": oracle.log_interval_mass,
    "LowerMills": lambda a, b: oracle.density(a) / oracle.interval_mass(a, b),
    "UpperMills": lambda a, b: oracle.density(b) / oracle.interval_mass(a, b),
    "LogSumExp": log_sum_exp,
    "Softmax": lambda a, *rest: mpmath.exp(a) / mpmath.fsum(mpmath.exp(b) for b in (a, *rest)),
}
ONE = ("LogH", "Mills", "MillsExcess", "LogScaledH", "LogCosh", "Tanh", "Sech", "PositivePart")
PHASES = ("PhaseLogPartition", "PhaseEntropy", "PhaseVariance")
SIZES = (
    "LogScaledI0",
    "BesselRatio",
    "BesselRatioSlope",
    *PHASES,
)  # of arguments that are not negative
PRODUCTS = ("ProductDifference",)
QUOTIENTS = ("BesselQuotient",)  # of an order and the square of a size
LOGARITHMS = ("LogScaledK0", "LogScaledK1")
INTERVALS = ("LogHDifference", "LowerMills", "UpperMills")
SUMS = ("LogSumExp", "Softmax")
KINDS = ("Cumulant", "Weight")  # of a tilted law


def real_line() -> np.ndarray:
    rng = np.random.default_rng(1)
    drawn = [rng.normal(size=80) * 10.0**k for k in (-12, -6, -3, -1, 0, 0.5, 1, 1.5, 2, 3, 5, 8)]
    named = [0.0, -0.0, 5e-324, -5e-324, 4.0, 6.0, np.nextafter(4, 5), np.nextafter(6, 7)]
    named += [8.5, 37.5, 38.5, 39.0, -8.5, -38.5, 709.0, 711.0, -745.0, 1e12]
    return np.concatenate([*drawn, named])


def intervals() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    low, high = [], []
    for scale in (1e-3, 1.0, 5.0, 20.0, 1e2, 1e3, 1e5):
        for width in (1e-12, 1e-8, 1e-4, 1e-2, 0.03, 0.1, 1.0, 5.0, 30.0, 1e3):
            for _ in range(4):
                low.append(rng.normal() * scale)
                high.append(low[-1] + width * rng.uniform(0.3, 1))
    for half in (1e-10, 1e-3, 0.5, 1.0, 5.0, 9.0, 20.0, 38.0, 50.0, 1e3):
        low += [-half, 0.0, -half, -half * 0.999]
        high += [half, half, 0.0, half]
    a, b = np.array(low), np.array(high)
    return a[a < b], b[a < b]


def triples() -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(3)
    scales = np.repeat([1e-6, 1.0, 30.0, 800.0, 1e6], 40)
    drawn = [rng.normal(size=scales.size) * scales for _ in range(3)]
    drawn[1][::7] = drawn[0][::7]  # ties
    return tuple(drawn)


def mostly(count: int) -> np.ndarray:
    return np.random.default_rng(9).random(count) < 0.7


def arguments(name: str) -> tuple[np.ndarray, ...]:
    if name in ONE:
        return (real_line(),)
    if name in SIZES:
        rng = np.random.default_rng(5)
        drawn = 10 ** rng.uniform(-10, 6, 150)
        return (np.concatenate([drawn, [29.9, 30.1, 55.0, 799.9, 800.1, 0.9e6, 1.1e6, 1e9]]),)
    if name in PRODUCTS:
        a, b, c = (x[:160] for x in triples())  # at 1e6 a spread of 1e-9 is rounded
        return a, b, np.where(mostly(a.size), a * (1 + 1e-12), c), b
    if name in QUOTIENTS:
        rng = np.random.default_rng(8)
        squares = np.concatenate([10 ** rng.uniform(-18, 14, 150), [1e-300, 899.0, 1e12, 1.1e12]])
        return rng.integers(0, 3, squares.size).astype(float), squares
    if name in LOGARITHMS:
        rng = np.random.default_rng(6)
        return (np.concatenate([rng.uniform(-60, 13, 150), [-40.1, -39.9, 13.8, 13.9]]),)
    return intervals() if name in INTERVALS else triples()


def true_value(name: str, point: tuple[float, ...]) -> Any:
    """Return the value with 40 digits left after all that cancels."""
    size = max(1.0, *(abs(a) for a in point))
    width = abs(point[1] - point[0]) if name in INTERVALS else 1.0
    carried = 60 + int(4 * np.log10(size)) + int(max(0, -2 * np.log10(width)))
    with mpmath.workdps(carried):
        return TRUTH[name](*(mpf(float(a)) for a in point))


def test_every_primitive_has_an_implementation_and_a_truth():
    names = {primitive.__name__ for primitive in PRIMITIVES}
    pairs = {primitive.__name__ for primitive in BIVARIATE}
    # these: test_proximal, test_implicit, test_minima, test_bivariate, test_tilted, and spectra
    others = {"Clip", "Proximal", "LowestPoint", "LowestValue", "ImplicitRoot"}
    others |= {"CompanionStieltjes", *pairs}
    tilted = {f"{law}{kind}" for law in ("Interval", "Exponential") for kind in KINDS}
    assert set(IMPLEMENTATIONS) == names | others
    kinds = (PRODUCTS, ONE, SIZES, QUOTIENTS, LOGARITHMS, INTERVALS, SUMS)
    assert set(TRUTH) == names - tilted == {name for kind in kinds for name in kind}


# mpmath takes seconds for these
_SLOW = {"LogScaledK0", "LogScaledK1"}
NAMES = [
    pytest.param(name, marks=pytest.mark.slow) if name in _SLOW else name for name in sorted(TRUTH)
]


@pytest.mark.parametrize("name", NAMES)
def test_value_within_its_stated_rounding(name):
    points = arguments(name)
    implementation = IMPLEMENTATIONS[name]
    with np.errstate(all="ignore"):
        values = implementation.value(*points)
        allowed = FEW * UNIT * np.abs(values)
        if implementation.rounding is not None:
            allowed = allowed + 4 * UNIT * implementation.rounding(*points)
    wrong = []
    for point, value, bound in zip(zip(*points, strict=True), values, allowed, strict=True):
        truth = true_value(name, point)
        error = abs(mpf(float(value)) - truth) if np.isfinite(value) else mpmath.inf
        if not error <= bound + TINY:
            wrong.append(f"{point}: {value}, off by {mpmath.nstr(error, 3)}, allowed {bound:.3g}")
    assert not wrong, f"{len(wrong)} of {values.size}:\n" + "\n".join(wrong[:20])


@pytest.mark.parametrize("name", ["LogH", "MillsExcess"])
def test_value_from_a_known_mills_ratio(name):
    """A kernel hands the ratio over where it has it; the stated rounding holds all the same."""
    (points,) = arguments(name)
    implementation = IMPLEMENTATIONS[name]
    with np.errstate(all="ignore"):
        ratio = IMPLEMENTATIONS["Mills"].value(points)
        values = implementation.value(points, ratio)
        allowed = FEW * UNIT * np.abs(values) + 4 * UNIT * implementation.rounding(points, ratio)
    for point, value, bound in zip(points, values, allowed, strict=True):
        if np.isfinite(value):
            assert abs(mpf(float(value)) - true_value(name, (point,))) <= bound + TINY, point


# What a user of the numbers needs: digits, not only an honest statement that they are lost.
DIGITS = {
    **dict.fromkeys(("LogH", "Mills", "Tanh", "Sech", "LogSumExp", "Softmax"), 1e-13),
    "MillsExcess": 1e-13,
    "PositivePart": 1e-16,
    "ProductDifference": 1e-15,
    **dict.fromkeys((*SIZES, *QUOTIENTS, *LOGARITHMS), 1e-13),
    "BesselRatioSlope": 1e-12,
    "LogScaledH": 1e-15,
    "LogCosh": 1e-15,  # absolute below one: it is added to log 2
    **dict.fromkeys(INTERVALS, 1e-9),
}


NEAR_ZERO = ("LogCosh", "LogSumExp", "LogScaledH", *LOGARITHMS)  # logarithms of about one


@pytest.mark.parametrize("name", NAMES)
def test_relative_error_in_the_bulk(name):
    """Within fifteen deviations, and for exponents up to 30, digits are kept."""
    points = [p for p in zip(*arguments(name), strict=True) if max(map(abs, p)) <= 30]
    points = [p for p in points if name not in ONE or abs(p[0]) <= 15]
    with np.errstate(all="ignore"):
        values = IMPLEMENTATIONS[name].value(*np.array(points).T)
    for point, value in zip(points, values, strict=True):
        truth = true_value(name, point)
        size = max(abs(truth), 1) if name in NEAR_ZERO else abs(truth)
        assert abs(mpf(float(value)) - truth) <= DIGITS[name] * size + TINY, point


@pytest.mark.parametrize("name", NAMES)
def test_slopes_bound_the_derivatives(name):
    points = [p[::9] for p in arguments(name)]
    with np.errstate(all="ignore"):
        slopes = IMPLEMENTATIONS[name].slopes(*points)
    assert len(slopes) == len(points)
    for k, slope in enumerate(slopes):
        stated = np.broadcast_to(slope, points[0].shape)
        for j, point in enumerate(zip(*points, strict=True)):
            if max(map(abs, point)) > 1e4 or (name in INTERVALS and point[1] - point[0] < 1e-6):
                continue

            def along(moved: Any, k: int = k, point: tuple[float, ...] = point) -> Any:
                full = [mpf(float(a)) for a in point]
                full[k] = moved
                return TRUTH[name](*full)

            with mpmath.workdps(60):
                truth = abs(mpmath.diff(along, mpf(float(point[k])), h=mpf(10) ** -20))
            assert truth <= stated[j] * (1 + 1e-6) + TINY, (point, k)


@pytest.mark.parametrize("name", NAMES)
def test_bounded_version_covers_its_arguments(name):
    """f(x +- e) is inside f(x) +- bound, for uncertainties where the first order counts."""
    rng = np.random.default_rng(4)
    points = [p[::5] for p in arguments(name)]
    if name in INTERVALS:
        wide = points[1] - points[0] > 0.1
        points = [p[wide] for p in points]
    spreads = [1e-9 * np.minimum(np.abs(p), 1.0) for p in points]
    moved = [p + rng.choice([-1, 1], p.shape) * s for p, s in zip(points, spreads, strict=True)]
    function = bounded_namespace()[name]
    with np.errstate(all="ignore"):
        row = function(*(Bounded(p, s) for p, s in zip(points, spreads, strict=True)))
        exact = function(*(Bounded(p, 0 * p) for p in moved))
    gap = np.abs(exact.value - row.value)
    assert (gap <= row.bound + exact.bound + TINY).all()


@pytest.mark.parametrize("name", ONE)
def test_extremes_do_not_overflow(name):
    far = np.array([-1e300, -1e160, -1e20, 1e20, 1e150])
    with np.errstate(all="ignore"):
        values = IMPLEMENTATIONS[name].value(far)
    assert not np.isnan(values).any()
    limits = {
        "LogH": (0.0, -np.inf),
        "Mills": (0.0, np.inf),
        "MillsExcess": (np.inf, 0.0),
        "LogScaledH": (np.inf, -np.log(1e150 * np.sqrt(2 * np.pi))),
        "LogCosh": (np.inf, np.inf),
        "Tanh": (-1.0, 1.0),
        "Sech": (0.0, 0.0),
        "PositivePart": (0.0, np.inf),
    }[name]
    for value, limit in ((values[0], limits[0]), (values[-1], limits[1])):
        assert (
            value == pytest.approx(limit)
            or (np.isinf(limit) and abs(value) > 1e100)
            or abs(value) < 1e-100
        )


@pytest.mark.parametrize("name", NAMES)
def test_precise_twin_keeps_its_digits(name):
    """The mpmath implementation loses at most half of the ten digits its kernel carries beyond.

    Up to where q = 1 - 1e-8 leads: arguments of 1e5, intervals of 1e-6.
    """
    with mpmath.workdps(50):
        for point in list(zip(*arguments(name), strict=True))[::5]:
            narrow = name in INTERVALS and point[1] - point[0] < 1e-6
            if max(map(abs, point)) > 1e5 or point[0] in (5e-324, -5e-324) or narrow:
                continue
            value = IMPLEMENTATIONS[name].precise(*(mpf(float(a)) for a in point))
            truth = true_value(name, point)
            assert abs(value - truth) <= mpf(10) ** -45 * abs(truth) + TINY, point
