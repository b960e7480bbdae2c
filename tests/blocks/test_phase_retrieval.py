"""The size of the field, real or complex: closed forms, and digits next to full recovery."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from blocks.channel_laws import (
    MORE_PLACES,
    PLACES,
    Function,
    gap,
    kernel,
)
from scipy import special
from sympy import Rational

from replica.blocks.channel import Channel
from replica.blocks.phase_retrieval import Absolute
from replica.numerics.kernel import compile_kernel


def bessel_forms(variance: float, rho: float) -> tuple[float, float]:
    ratio = math.sqrt((rho - variance) / rho)

    def integral(function: Function) -> float:
        """Over x = e^s, by the trapezoid."""
        at = np.linspace(-60, 7, 6001)
        x = np.exp(at)
        return float(np.sum(function(x) * x) * (at[1] - at[0]))

    def entropy(x: Any) -> Any:
        # 2 cosh(rx) log(2 cosh rx) - 2 r x sinh(rx), times K_0: both grow less than K_0 falls
        log_cosh = ratio * x + np.log1p(np.exp(-2 * ratio * x))
        scaled = special.kve(0, x)  # kn overflows to zero at large x; kve = e^x K_0
        plus, minus = np.exp((ratio - 1) * x), np.exp(-(ratio + 1) * x)
        return scaled * ((plus + minus) * log_cosh - ratio * x * (plus - minus))

    front = math.sqrt(variance / rho)
    strength = (
        1
        - 2
        / math.pi
        * front
        * integral(
            lambda x: 2 * x * np.exp(-ratio * x) / (1 + np.exp(-2 * ratio * x)) * special.kn(1, x)
        )
    ) / variance
    potential = -math.log(2 * math.pi * math.e * variance) / 2
    return potential + front / math.pi * integral(entropy), strength


@pytest.mark.parametrize(("variance", "rho"), [*PLACES, *MORE_PLACES, (0.01, 1.0), (1.0, 1.0)])
def test_absolute_value_in_the_form_of_bessel_functions(variance: float, rho: float):
    found = [float(row) for row in kernel("abs")(variance, rho, refinement=1)[:2]]
    expected = bessel_forms(variance, rho)
    assert found[0] == pytest.approx(expected[0], abs=1e-10)
    assert found[1] == pytest.approx(expected[1], rel=1e-9, abs=1e-10)


def test_weak_recovery_of_the_absolute_value():
    assert Absolute().weak_recovery(Rational(3, 10)) == 2


def test_phase_retrieval_keeps_its_digits_near_full_recovery():
    """The bound grew as 1/D^2: fields of size 1/D were taken to matter as those of size one."""
    law = Channel.shipped["complex-abs"]
    compiled = compile_kernel((gap,), (law.free_entropy(gap, 1), law.strength(gap, 1)))
    for where, digits in ((1e-3, 1e-12), (1e-6, 1e-12), (1e-12, 2e-12)):
        potential, strength = compiled.bounded(where, refinement=2)
        assert float(strength.bound) <= digits * float(strength.value)
        assert float(potential.bound) <= 10 * digits * abs(float(potential.value))
        # D G -> 1/2, the information dimension, from below: a phase is never known for free
        assert 0.49 < where * float(strength.value) <= 0.5
    # two refinements are two answers to one question
    for where in (0.3, 1e-3, 1e-6):
        one, two = (compiled.bounded(where, refinement=k)[1] for k in (1, 2))
        assert abs(float(one.value - two.value)) <= float(one.bound + two.bound)
