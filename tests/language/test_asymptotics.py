"""Leading behaviour at a small temperature, against plain numpy at two small temperatures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import special
from sympy import (
    Abs,
    Function,
    Heaviside,
    Max,
    S,
    Symbol,
    Tuple,
    cosh,
    erfc,
    exp,
    log,
    sign,
    sqrt,
    symbols,
)

from replica.language.asymptotics import Expansion
from replica.language.curves import Curve, t
from replica.language.envelope import Envelope
from replica.language.integrals import LabelIntegral
from replica.language.large_arguments import vanishes_widely
from replica.language.laws import GaussianLaw
from replica.language.means import BoundMean, Mean
from replica.language.pieces import tidied
from replica.language.primitives import (
    LogCosh,
    LogH,
    LogHDifference,
    Mills,
    MillsExcess,
    PositivePart,
    Sech,
    Softmax,
    Tanh,
)
from replica.language.rewriting import stabilise
from replica.language.series import LOGARITHM, NoLimit, Series
from replica.numerics.kernel import compile_kernel

T, chi, mu = symbols("T chi mu", positive=True)
k, q0 = symbols("k q0", real=True)
u, z = symbols("u z", real=True)
q = 1 - chi * T

# ---- the pieces that potentials are made of, in sympy and in numpy ------------------------------

FINE = np.linspace(-8.5, 8.5, 170_001)
COARSE = np.linspace(-8, 8, 161)


def gauss(x: np.ndarray) -> np.ndarray:
    return np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi) * (x[1] - x[0])


def mean(values: Callable[[np.ndarray], np.ndarray], variance: float) -> float:
    return float(gauss(FINE) @ values(np.sqrt(variance) * FINE))


def log_mean(exponent: Callable[[np.ndarray], np.ndarray], outer: float, inner: float) -> float:
    """Return E log E exp(exponent(u + z)) for u of one variance and z of the other."""
    # the exponent may draw z far beyond its usual width
    z = (8 * np.sqrt(inner) + 10) * np.linspace(-1, 1, 30_001)
    prior = -(z**2) / (2 * inner) - np.log(2 * np.pi * inner) / 2 + np.log(z[1] - z[0])
    total = 0.0
    for place, weight in zip(np.sqrt(outer) * COARSE, gauss(COARSE), strict=True):
        total += weight * special.logsumexp(prior + exponent(place + z))
    return float(total)


def log_integral(exponent: Callable[[np.ndarray, float], np.ndarray]) -> float:
    """Return E log of the integral of exp(exponent(w, u)) over w, for u of variance one."""
    w = np.linspace(-15, 15, 60_001)
    values = [special.logsumexp(exponent(w, place)) + np.log(w[1] - w[0]) for place in COARSE]
    return float(gauss(COARSE) @ np.array(values))


def log_h(x: np.ndarray) -> np.ndarray:
    return special.log_ndtr(-x)


def log_cosh(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(x, -x) - np.log(2)


def share_of_errors(T: float, x: np.ndarray) -> np.ndarray:
    return np.exp(-1 / T + log_h(-x) - np.logaddexp(-1 / T, np.log1p(-np.exp(-1 / T)) + log_h(x)))


WEIGHT = exp(-1 / T) + (1 - exp(-1 / T)) * exp(LogH((k - u) / sqrt(1 - q)))

PIECES = {
    "cosh": (
        Mean(log(2 * cosh((k + u) / T)), (u, q)),
        lambda T, chi, mu, k, q0: mean(lambda h: np.log(2) + log_cosh((k + h) / T), 1 - chi * T),
    ),
    "tail": (
        Mean(log(erfc((k - u) / sqrt(2 * (1 - q))) / 2), (u, q)),
        lambda T, chi, mu, k, q0: mean(lambda h: log_h((k - h) / np.sqrt(chi * T)), 1 - chi * T),
    ),
    "errors": (
        Mean(log(WEIGHT), (u, q)),
        lambda T, chi, mu, k, q0: mean(
            lambda h: np.logaddexp(-1 / T, log_h((k - h) / np.sqrt(chi * T))), 1 - chi * T
        ),
    ),
    "energy": (
        exp(-1 / T) * Mean(exp(LogH((u - k) / sqrt(1 - q))) / WEIGHT, (u, q)) / T,
        lambda T, chi, mu, k, q0: (
            mean(lambda h: share_of_errors(T, (k - h) / np.sqrt(chi * T)), 1 - chi * T) / T
        ),
    ),
    "interval": (
        Mean(LogHDifference((-Abs(k) - u) / sqrt(1 - q), (Abs(k) - u) / sqrt(1 - q)), (u, q)),
        lambda T, chi, mu, k, q0: mean(
            lambda h: log_interval(
                (-abs(k) - h) / np.sqrt(chi * T), (abs(k) - h) / np.sqrt(chi * T)
            ),
            1 - chi * T,
        ),
    ),
    "three": (
        Mean(log(exp(u / T) + exp(-u / T) + exp(k / T)), (u, 2)),
        lambda T, chi, mu, k, q0: mean(
            lambda h: np.logaddexp(np.logaddexp(h / T, -h / T), k / T), 2.0
        ),
    ),
    "magnetisation": (
        Mean(Tanh((k + u) / T) * u, (u, q)) / T,
        lambda T, chi, mu, k, q0: mean(lambda h: np.tanh((k + h) / T) * h, 1 - chi * T) / T,
    ),
    "broken spins": (
        Mean(log(Mean((2 * cosh((u + z) / T)) ** (mu * T), (z, q - q0))), (u, q0)) / (mu * T),
        lambda T, chi, mu, k, q0: (
            log_mean(lambda h: mu * T * (np.log(2) + log_cosh(h / T)), q0, 1 - chi * T - q0)
            / (mu * T)
        ),
    ),
    "broken patterns": (
        Mean(log(Mean(exp(mu * T * LogH((k - u - z) / sqrt(1 - q))), (z, q - q0))), (u, q0))
        / (mu * T),
        lambda T, chi, mu, k, q0: (
            log_mean(lambda h: mu * T * log_h((k - h) / np.sqrt(chi * T)), q0, 1 - chi * T - q0)
            / (mu * T)
        ),
    ),
    "hinge": (
        Mean(log(Mean(exp(-Max(0, 1 - u - z) / T), (z, chi * T))), (u, 1)),
        lambda T, chi, mu, k, q0: log_mean(lambda h: -np.maximum(0, 1 - h) / T, 1.0, chi * T),
    ),
    "square": (
        Mean(log(Mean(exp(-((u + z) ** 2) / (2 * T)), (z, chi * T))), (u, 1)),
        lambda T, chi, mu, k, q0: log_mean(lambda h: -(h**2) / (2 * T), 1.0, chi * T),
    ),
    "penalty": (
        Mean(
            log(LabelIntegral(exp((-(z**2) / (2 * chi) + u * z - mu * Abs(z)) / T), (z, S.Reals))),
            (u, 1),
        ),
        lambda T, chi, mu, k, q0: log_integral(
            lambda w, h: (-(w**2) / (2 * chi) + h * w - mu * np.abs(w)) / T
        ),
    ),
    "norm": (
        log(1 - q) / 2 + q / (2 * (1 - q)),
        lambda T, chi, mu, k, q0: np.log(chi * T) / 2 + (1 - chi * T) / (2 * chi * T),
    ),
    "quadratic": (
        (1 - 2 * q + q**2 * (1 - mu * T) + mu * T * q0**2) / (4 * T**2),
        lambda T, chi, mu, k, q0: (
            ((chi * T) ** 2 - mu * T * ((1 - chi * T) ** 2 - q0**2)) / (4 * T**2)
        ),
    ),
}


def log_interval(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = np.where(a + b < 0, -b, a), np.where(a + b < 0, -a, b)  # the side with the small tail
    return log_h(a) + np.log1p(-np.exp(log_h(b) - log_h(a)))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", PIECES)
def test_the_limit_is_approached(name: str, seed: int):
    rng = np.random.default_rng([seed, len(name)])
    values = {"chi": rng.uniform(0.2, 1.5), "mu": rng.uniform(0.3, 2), "k": rng.normal()}
    values["q0"] = rng.uniform(0.1, 0.8)
    expression, numbers = PIECES[name]
    power, lead = Expansion(T).of(stabilise(expression)).lead
    assert power == -1
    (found,) = compile_kernel((chi, mu, k, q0), (tidied(lead),))(*values.values())
    errors = [abs(x * numbers(x, *values.values()) - float(found)) for x in (1e-2, 1e-3)]
    # the next order is T log T
    assert errors[1] < 10 * 1e-3 * np.log(1e3)
    assert errors[1] < max(errors[0] / 3, 1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_sums_of_pieces(seed: int):
    rng = np.random.default_rng(seed)
    chosen = rng.choice(list(PIECES), 3, replace=False)
    factors = rng.normal(size=3)
    values = {"chi": rng.uniform(0.2, 1.5), "mu": rng.uniform(0.3, 2), "k": rng.normal()}
    values["q0"] = rng.uniform(0.1, 0.8)
    total = sum(S(float(f)) * PIECES[name][0] for f, name in zip(factors, chosen, strict=True))
    _, lead = Expansion(T).of(stabilise(total)).lead
    (found,) = compile_kernel((chi, mu, k, q0), (tidied(lead),))(*values.values())
    small = 1e-3
    exact = [PIECES[name][1](small, *values.values()) for name in chosen]
    assert abs(small * float(factors @ exact) - float(found)) < 0.1


# ---- single rules -------------------------------------------------------------------------------


def leading(expression, reach=1):
    series = Expansion(T, S(reach)).of(stabilise(expression))
    power, lead = series.lead
    return power, tidied(lead)


@pytest.mark.parametrize(
    ("expression", "power", "lead"),
    [
        (LogH(u / T), -2, -(PositivePart(u) ** 2) / 2),
        (LogH(-1 / T), 0, None),
        (log(1 + exp(u / T)), -1, PositivePart(u)),
        (Mills(u / T), -1, PositivePart(u)),
        (MillsExcess(u / T), -1, PositivePart(-u)),
        (Mills(u / T) * MillsExcess(u / T), 0, Heaviside(u)),
        (Tanh(u / T), 0, sign(u)),
        (Softmax(u / T, 0), 0, Heaviside(u)),
        (exp(LogH(u / T)), 0, Heaviside(-u)),
        (Abs(u + chi * T), 0, Abs(u)),
        (Max(u / T, k), -1, PositivePart(u)),
        (LogCosh(T * u), 2, u**2 / 2),
        (T**2.5 / sqrt(T), 2, 1),
    ],
)
def test_rules(expression, power, lead):
    if lead is None:
        assert Expansion(T).of(expression).terms == {}
    else:
        found = leading(expression, 4)
        assert found[0] == power
        assert found[1] == lead


def test_cancelling_orders_are_followed():
    value = (1 - 2 * q + q**2) / T**2
    assert leading(value) == (0, chi**2)


def test_a_layer_is_no_more_than_its_width():
    """The slope of tanh is a peak of weight 2 T: at that order nothing is claimed."""
    inner = Expansion(T).of(Mean(Sech(u / T) ** 2, (u, 1)) / T)
    assert not inner.terms
    assert inner.order <= 0
    with pytest.raises(NoLimit):
        _ = inner.lead


def test_second_order_of_spins():
    """E log 2cosh(h/T) = E|h|/T + O(T): the variance alone changes the order one."""
    series = Expansion(T, S(2)).of(stabilise(Mean(log(2 * cosh(u / T)), (u, q))))
    kernel = compile_kernel((chi,), (tidied(series.terms[S.Zero]),))
    assert float(kernel(0.7)[0]) == pytest.approx(-0.7 / np.sqrt(2 * np.pi), abs=1e-12)


def test_narrow_field_is_an_envelope():
    expression = log(Mean(exp(-Max(0, 1 - u - z) / T), (z, chi * T)))
    power, lead = leading(expression)
    assert power == -1
    assert lead == -Envelope(Curve(PositivePart(-t)), u - 1, chi)


@pytest.mark.parametrize(
    ("coefficient", "widely"),
    [
        (PositivePart(u) - u, True),
        (PositivePart(u) ** 2, True),
        (Heaviside(u) * k, True),
        (PositivePart(u) - PositivePart(k), True),
        (PositivePart(u) ** 2 / 2 - 1, False),
        (u - k, False),
        (PositivePart(PositivePart(u) - 1) + 1 + k, False),
    ],
)
def test_coefficients_that_vanish_on_an_interval(coefficient, widely):
    assert vanishes_widely(coefficient) is widely


def test_a_field_of_the_same_name_outside():
    place = (u - k) / sqrt(T)
    inner = Mean(exp(LogH(place)) / (exp(-1 / T) + exp(LogH(-place))), (u, 1))
    outer = exp(-1 / T) * PositivePart(u) * inner
    assert leading(outer)[1].has_free(u)
    other = Symbol("other", real=True)
    assert leading(outer.subs(u, other))[1].subs(other, u) == leading(outer)[1]


def test_logarithm_of_the_small_symbol():
    power, lead = leading(log(T * chi) / T)
    assert (power, lead) == (-1, LOGARITHM + log(chi))


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        (cosh(u / T), "large argument"),
        (exp(u / T), "exponentially"),
        (Function("g")(u / T), "g(u/T)"),
        (log(-1 + T), "negative"),
    ],
)
def test_what_has_no_limit_is_named(expression, words):
    with pytest.raises(NoLimit) as error:
        _ = Expansion(T).of(expression).lead
    assert words in str(error.value)


def test_orders_of_a_product():
    """What two factors leave out in a layer is of the order of one layer, not of two."""
    layer = Series({}, S.Zero, S.One, frozenset({u}))
    both = layer * layer
    assert both.order == 0
    assert both.mean_order == 1


class LogOfMean(BoundMean):
    """A mean that is not linear in its body, and says what it is."""

    linear = False

    def __new__(cls, body, binding):
        field, law = binding
        return super().__new__(cls, body, Tuple(field, law))

    def written_out(self):
        return log(Mean(exp(self.body), (self.field, self.law.variance)))


def test_means_of_ones_own():
    body = log(2 * cosh((u + z) / T)) * mu * T
    own = LogOfMean(body, (z, GaussianLaw(S.One)))
    plain = log(Mean((2 * cosh((u + z) / T)) ** (mu * T), (z, 1)))
    assert leading(own) == leading(plain)
