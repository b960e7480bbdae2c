"""The laws of the priors, written again, and what they define by quadrature."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from sympy import Rational, Symbol

from replica.blocks.priors import (
    Discrete,
    GaussBernoulli,
    Gaussian,
    Laplace,
    Prior,
    Rademacher,
    Uniform,
)
from replica.numerics.kernel import Kernel, compile_kernel

g = Symbol("g", positive=True)


r = Symbol("r", real=True)


# ---- the laws, written again ---------------------------------------------------------------------


@dataclass(frozen=True)
class Law:
    """Atoms (weight, place), and beside them a density of some mass between ends."""

    atoms: tuple[tuple[float, float], ...] = ()
    density: Callable[[Any], Any] | None = None
    ends: tuple[float, ...] = ()

    def nodes(self) -> tuple[np.ndarray, np.ndarray]:
        """Return places and their weights, which sum to one."""
        places = [np.array([w for _, w in self.atoms])]
        weights = [np.array([p for p, _ in self.atoms])]
        if self.density is not None:
            x, share = np.polynomial.legendre.leggauss(20)
            for low, high in zip(self.ends[:-1], self.ends[1:], strict=True):
                at = (low + high) / 2 + x * (high - low) / 2
                places.append(at)
                weights.append(share * (high - low) / 2 * self.density(at))
        return np.concatenate(places), np.concatenate(weights)

    def moment(self, power: int) -> float:
        places, weights = self.nodes()
        return float(weights @ places**power)


def normal(w: Any) -> Any:
    return np.exp(-(w**2) / 2) / np.sqrt(2 * np.pi)


PANELS = tuple(np.linspace(-9.5, 9.5, 39))


LONG = (-27, -22, -18, -15, -12, -10, *np.linspace(-8.5, 8.5, 35), 10, 12, 15, 18, 22, 27)


DENSITY = 0.3


CASES: dict[str, tuple[Prior, dict[str, float], Law]] = {
    "gaussian": (Gaussian(), {}, Law((), normal, PANELS)),
    "rademacher": (Rademacher(), {}, Law(((0.5, -1.0), (0.5, 1.0)))),
    "gauss-bernoulli": (
        GaussBernoulli(),
        {"density": DENSITY},
        Law(((1 - DENSITY, 0.0),), lambda w: DENSITY * normal(w), PANELS),
    ),
    "laplace": (
        Laplace(),
        {},
        Law((), lambda w: np.exp(-math.sqrt(2) * np.abs(w)) / math.sqrt(2), LONG),
    ),
    "uniform": (
        Uniform(),
        {},
        Law((), lambda w: 0.5 / math.sqrt(3) + 0 * w, tuple(math.sqrt(3) * np.linspace(-1, 1, 13))),
    ),
    "uniform aside": (
        Uniform(-0.5, 2),
        {},
        Law((), lambda w: 0.4 + 0 * w, tuple(np.linspace(-0.5, 2, 13))),
    ),
    "three values": (
        Discrete([-1, 0, 2], [0.2, 0.5, 0.3]),
        {},
        Law(((0.2, -1.0), (0.5, 0.0), (0.3, 2.0))),
    ),
    "three symmetric values": (
        Discrete([-1, 0, 1], [0.25, 0.5, 0.25]),
        {},
        Law(((0.25, -1.0), (0.5, 0.0), (0.25, 1.0))),
    ),
    "zero or one": (Discrete([0, 1], [0.6, 0.4]), {}, Law(((0.6, 0.0), (0.4, 1.0)))),
    "biased signs": (Discrete([-1, 1], [0.3, 0.7]), {}, Law(((0.3, -1.0), (0.7, 1.0)))),
}


MIXTURES = [k for k in CASES if not k.startswith(("laplace", "uniform"))]


QUICK = {"gaussian", "rademacher", "gauss-bernoulli"}  # of these in many digits


DISCRETE = [k for k, (_, _, law) in CASES.items() if law.density is None]


EVERY = pytest.mark.parametrize("name", CASES)


STRENGTHS = [0.6, 25.0, *(pytest.param(g, marks=pytest.mark.slow) for g in (0.03, 3.0, 60.0))]


def defined(law: Law, strength: float) -> tuple[float, float, float]:
    """Return Phi_w, D and E f_w^2 by their definitions, with moments of the posterior."""
    w, weight = law.nodes()
    root = math.sqrt(strength)
    # r = g w + sqrt(g) z: wide enough for every w that has weight
    reach = strength * np.abs(w).max() + 10 * root
    count = int(2 * reach / root * 14) | 1
    field = np.linspace(-reach, reach, count)
    step = field[1] - field[0]
    total = np.zeros(3)
    for part in np.array_split(field, 1 + count * w.size // 2_000_000):
        exponent = part[:, None] * w - strength * w**2 / 2
        top = exponent.max(axis=1, keepdims=True)
        posterior = np.exp(exponent - top) * weight
        mass = posterior.sum(axis=1)
        partition = top[:, 0] + np.log(mass)
        mean = posterior @ w / mass
        variance = posterior @ w**2 / mass - mean**2
        # P(r) = E_w N(r; g w, g)
        chance = np.exp(partition - part**2 / (2 * strength)) / math.sqrt(2 * math.pi * strength)
        total += step * np.array([chance @ partition, chance @ variance, chance @ mean**2])
    return float(total[0]), float(total[1]), float(total[2])


@lru_cache(maxsize=64)
def kernel(name: str) -> Kernel:
    """Phi_w, D, 2 dPhi_w/dg and E f_w^2 as functions of g."""
    law, controls, _ = CASES[name]
    free = law.free_entropy(g)
    square = law.average(lambda x: law.log_partition(r, g).diff(r).subs(r, x) ** 2, g)
    wanted = (free, law.gap(g), 2 * free.diff(g), square)
    return compile_kernel((g,), tuple(fixed(law, e, controls) for e in wanted))


def fixed(law: Prior, expression: Any, controls: dict[str, float]) -> Any:
    """Return an expression with the controls of a prior put in."""
    return expression.subs({law.controls[k].symbol: Rational(str(v)) for k, v in controls.items()})


def number(name: str, expression: Any) -> float:
    law, controls, _ = CASES[name]
    return float(fixed(law, expression, controls))
