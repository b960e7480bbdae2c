"""Constants of the Gaussian equivalent, by another quadrature, and activations of one's own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import integrate, special, stats
from sympy import Abs, Function, Max, Symbol, cos, erf, exp, sign, sqrt, symbols, tanh

import replica as rp
from replica.blocks.activations import GaussianActivation
from replica.blocks.activations import u as field
from replica.errors import DeclarationError, UnknownName
from replica.numerics.kernel import Kernel

x = Symbol("x", real=True)
_any = Symbol("t", real=True)

FIGURES = {
    "sign": (0.0, 0.797884560803, 0.602810274989),
    "erf": (0.0, 0.651470015871, 0.200364350170),
    "relu": (0.398942280401, 0.5, 0.301405137495),
    "tanh": (0.0, 0.605705509602, 0.165575741084),
}


def constants(found: GaussianActivation, refinement: int = 1) -> list[float]:
    kernel = Kernel((_any,), (found.kappa0, found.kappa1, found.kappa_star))
    parts = kernel.bounded(0.0, refinement=refinement)
    assert all(float(part.bound) < 1e-9 for part in parts)
    return [float(part.value) for part in parts]


def values(found: GaussianActivation, fields: Any) -> Any:
    return Kernel((field,), (found.function,))(fields)[0]


@pytest.mark.parametrize("name", list(GaussianActivation.shipped))
def test_constants_of_the_shipped_activations(name: str) -> None:
    assert constants(GaussianActivation.shipped[name]) == pytest.approx(FIGURES[name], abs=1e-12)


def test_both_conventions_of_erf() -> None:
    narrow = rp.Activation(erf(x / sqrt(2)), x)
    assert constants(narrow) == pytest.approx((0, 0.564189583548, 0.122570172349), abs=1e-12)


@pytest.mark.parametrize(
    ("expression", "function"),
    [
        (sign(x), np.sign),
        (Max(0, x), lambda u: np.maximum(u, 0)),
        (Abs(x) - x / 2, lambda u: np.abs(u) - u / 2),
        (cos(x) + x, lambda u: np.cos(u) + u),
        (x**3 - x, lambda u: u**3 - u),
        (tanh(2 * x + 1), lambda u: np.tanh(2 * u + 1)),
        (exp(x / 3), lambda u: np.exp(u / 3)),
    ],
    ids=lambda v: "function" if callable(v) else str(v),
)
def test_an_activation_of_ones_own(expression: Any, function: Any) -> None:
    found = rp.Activation(expression, x)

    def mean(power: int, slope: int) -> float:
        def body(u: float) -> float:
            return float(function(u)) ** power * u**slope * stats.norm.pdf(u)

        parts = (integrate.quad(body, a, b, epsabs=1e-13)[0] for a, b in ((-12, 0), (0, 12)))
        return sum(parts)

    k0, k1 = mean(1, 0), mean(1, 1)
    expected = (k0, k1, math.sqrt(mean(2, 0) - k0**2 - k1**2))
    assert constants(found, 2) == pytest.approx(expected, abs=1e-9)
    u = np.linspace(-2, 2, 9)
    assert np.allclose(values(found, u), function(u), rtol=1e-14)


def test_activations_of_arrays() -> None:
    u = np.array([[-1.0, 0.0], [0.5, 2.0]])
    assert np.array_equal(values(GaussianActivation.shipped["sign"], u), np.sign(u))
    assert np.array_equal(values(GaussianActivation.shipped["relu"], u), np.maximum(u, 0))
    assert np.allclose(values(GaussianActivation.shipped["erf"], u), special.erf(u))
    assert np.allclose(values(GaussianActivation.shipped["tanh"], u), np.tanh(u))


def test_an_unknown_name_lists_the_near_ones() -> None:
    with pytest.raises(UnknownName, match="did you mean relu"):
        rp.formulas["hidden-manifold"](activation="rlu")


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (tanh(x) * symbols("a"), "unbound symbol a"),
        (symbols("x").subs(symbols("x"), 2), "constant"),
        ("tanh(x)", "not 'tanh"),
        (Function("g")(x), "no numerical meaning"),
        (1 / x, "pole"),
        (exp(x**4), "outgrows"),
    ],
)
def test_bad_activations(expression: Any, message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        rp.Activation(expression, x)
    with pytest.raises(DeclarationError, match="its field"):
        rp.Activation(tanh(x), "x")  # type: ignore[arg-type]
