"""Signs of the field, noisy, flipped or cut off at zero: closed forms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from blocks.channel_laws import (
    MORE_PLACES,
    PLACES,
    gap,
    gaussian,
    kernel,
    panels,
    rho_,
)
from scipy import special, stats

from replica.blocks.channels import Sign
from replica.numerics.kernel import compile_kernel


def sign_forms(ratio: float, variance: float) -> tuple[float, float]:
    """Phi = 2 E H(av) log H(av) and G = 2/V E phi(av)^2 / H(av), a^2 = m/V."""

    def entropy(at: Any) -> Any:
        return np.exp(special.log_ndtr(-ratio * at)) * special.log_ndtr(-ratio * at)

    def force(at: Any) -> Any:
        return np.exp(2 * stats.norm.logpdf(ratio * at) - special.log_ndtr(-ratio * at))

    return 2 * gaussian(entropy), 2 / variance * gaussian(force)


@pytest.mark.parametrize("noise", [0.0, 0.02, 1.5])
@pytest.mark.parametrize(("variance", "rho"), [*PLACES, *MORE_PLACES, (1e-3, 1.0)])
def test_sign_in_the_form_of_the_literature(variance: float, rho: float, noise: float):
    law = Sign()
    free, strength = law.free_entropy(gap, rho_), law.strength(gap, rho_)
    compiled = compile_kernel((gap, rho_, law.controls["Delta"].symbol), (free, strength))
    found = [float(row) for row in compiled(variance, rho, noise, refinement=1)]
    ratio = math.sqrt((rho - variance) / (variance + noise))
    assert found == pytest.approx(sign_forms(ratio, variance + noise), rel=2e-9)


@pytest.mark.parametrize(("variance", "rho"), [*PLACES, *MORE_PLACES, (1e-4, 1.0)])
def test_relu_is_half_a_sign_and_half_linear(variance: float, rho: float):
    found = [float(row) for row in kernel("relu")(variance, rho, refinement=1)]
    sign, linear = (kernel(name)(variance, rho, refinement=1) for name in ("sign", "linear"))
    for k in (0, 1):
        assert found[k] == pytest.approx((float(sign[k]) + float(linear[k])) / 2, rel=1e-9)
    assert float(linear[1]) == pytest.approx(1 / variance, rel=1e-14)
    assert float(linear[0]) == pytest.approx(-math.log(2 * math.pi * math.e * variance) / 2)


def test_flipped_sign_in_closed_form():
    """Z_y = 1/10 + 8/10 H(-y omega / sqrt(V))."""
    for variance in (0.9, 0.2, 0.01):
        ratio = math.sqrt((1 - variance) / variance)

        def chance(at: Any, ratio: float = ratio) -> Any:
            return 0.1 + 0.8 * special.ndtr(ratio * at)

        def force(at: Any, ratio: float = ratio) -> Any:
            return (0.8 * stats.norm.pdf(ratio * at)) ** 2 / chance(at, ratio)

        found = kernel("flipped sign")(variance, 1.0, refinement=1)
        expected = 2 * gaussian(lambda at: special.xlogy(chance(at), chance(at)))
        assert float(found[0]) == pytest.approx(expected, rel=1e-9)
        assert float(found[1]) == pytest.approx(2 / variance * gaussian(force), rel=1e-8)


def test_label_error_of_signs():
    """(2/pi) arccos(m/rho): it starts at one, twice the probability of a wrong sign."""
    for rho in (0.1, 1.0, 2.5):
        variance = rho * np.array([1e-10, 1e-6, 1e-3, 0.1, 0.5, 0.9, 1.0])
        found = kernel("sign")(variance, rho, refinement=1)[3]
        # arccos(1 - d) = 2 arcsin(sqrt(d / 2)), which keeps its digits
        expected = 4 / np.pi * np.arcsin(np.sqrt(variance / rho / 2))
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_strength_keeps_its_digits_next_to_full_recovery():
    """Of a noiseless sign, sqrt(D) G tends to a constant."""
    variance = np.array([1e-8, 1e-16, 1e-30, 1e-60])
    found = kernel("sign")(variance, 1.0, refinement=1)[1] * np.sqrt(variance)
    at, weight = panels(-40, 40, 0.05, (0.0,))
    force = np.exp(2 * stats.norm.logpdf(at) - special.log_ndtr(-at))
    constant = 2 * float(weight @ force) / math.sqrt(2 * math.pi)
    np.testing.assert_allclose(found[0], constant, rtol=1e-7)
    np.testing.assert_allclose(found[1:], constant, rtol=1e-10)
