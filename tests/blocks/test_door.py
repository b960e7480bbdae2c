"""The door: closed forms, and the door that a user writes down."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from blocks.channel_laws import (
    gap,
    gaussian,
    kernel,
    rho_,
    z,
)
from scipy import special, stats
from sympy import Abs, Heaviside, Rational

from replica.blocks.channels import Door
from replica.blocks.written_channels import DiscreteChannel
from replica.numerics.kernel import Kernel, compile_kernel


@pytest.mark.parametrize("rho", [0.4, 1.0, 2.0])
@pytest.mark.parametrize("width", [0.3, 0.67448975019608, 1.3])
def test_door_in_the_form_of_the_literature(width: float, rho: float):
    law = Door()
    free, strength = law.free_entropy(gap, rho_), law.strength(gap, rho_)
    compiled = compile_kernel((gap, rho_, law.controls["K"].symbol), (free, strength))
    for variance in (0.02, 0.2, 0.39):
        spread, root = math.sqrt(rho - variance), math.sqrt(variance)

        def force(at: Any, spread: float = spread, root: float = root) -> Any:
            low, high = (-width - spread * at) / root, (width - spread * at) / root
            inside = special.ndtr(high) - special.ndtr(low)
            outside = special.ndtr(low) + special.ndtr(-high)
            slope = (stats.norm.pdf(low) - stats.norm.pdf(high)) / root
            seen = (inside > 1e-200) & (outside > 1e-200)
            return np.where(seen, slope**2 / np.where(seen, inside * outside, 1), 0)

        def entropy(at: Any, spread: float = spread, root: float = root) -> Any:
            low, high = (-width - spread * at) / root, (width - spread * at) / root
            inside = special.ndtr(high) - special.ndtr(low)
            outside = special.ndtr(low) + special.ndtr(-high)
            return special.xlogy(inside, inside) + special.xlogy(outside, outside)

        found = [float(row) for row in compiled(variance, rho, width, refinement=1)]
        marks = (-width / spread, width / spread)
        assert found[0] == pytest.approx(gaussian(entropy, marks), rel=1e-8)
        assert found[1] == pytest.approx(gaussian(force, marks), rel=1e-7)


@pytest.mark.parametrize(
    ("width", "alpha"),
    [
        (0.5, 1.9063609),
        (0.67448975019608, 1.3604593),
        (0.8, 1.1365757),
        (1.0, 0.924958),
        (1.3, 0.7864088),
    ],
)
def test_weak_recovery_of_the_door(width: float, alpha: float):
    law = Door()
    compiled = Kernel((law.controls["K"].symbol,), (law.weak_recovery(Rational(1)),))
    found = 1 / float(compiled(width)[0])
    inside = special.erf(width / math.sqrt(2))
    closed = inside * (1 - inside) / (4 * width**2 * stats.norm.pdf(width) ** 2)
    assert found == pytest.approx(closed, rel=1e-13)
    assert found == pytest.approx(alpha, abs=6e-8)


def test_the_default_door_is_balanced():
    width = float(Door().controls["K"].default)
    assert special.erf(width / math.sqrt(2)) == pytest.approx(0.5, abs=1e-15)


SIDE = Rational(4, 5)


@pytest.mark.parametrize(
    "outside",
    [
        Heaviside(z - SIDE) + Heaviside(-z - SIDE),
        1 - Heaviside(z + SIDE) * Heaviside(SIDE - z),
        Heaviside(Abs(z) - SIDE),
        1 - Heaviside(2 * SIDE - 2 * Abs(z)),
    ],
    ids=str,
)
def test_a_door_from_its_probabilities_is_the_shipped_one(outside: Any):
    own = DiscreteChannel({1: outside, -1: 1 - outside}, z, name="my door")
    assert own.deterministic
    assert own.even
    assert own.name == str(own) == "my door"
    compiled = compile_kernel((gap,), (own.free_entropy(gap, 1), own.strength(gap, 1)))
    found = [float(row) for row in compiled(0.9, refinement=1)]
    expected = [float(row) for row in kernel("door")(0.9, 1.0, refinement=1)[:2]]
    assert found == pytest.approx(expected, rel=1e-8)
