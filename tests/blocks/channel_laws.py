"""The laws of the channels, written again, and what they define by quadrature.

Z_y is an integral of P(y|z) over the field, and the derivative of its logarithm is the mean of
(z - omega)/V in the posterior of the field.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from scipy import special, stats
from sympy import Heaviside, Rational, Symbol, exp, symbols

from replica.blocks.channel import Channel, V, omega
from replica.blocks.channels import Door, Linear, Logistic, Probit, ReLU, Sign
from replica.blocks.phase_retrieval import Absolute
from replica.blocks.written_channels import DiscreteChannel
from replica.numerics.kernel import Kernel, compile_kernel

gap, rho_ = symbols("gap rho", positive=True)


z = Symbol("z", real=True)


# ---- the laws, written again ---------------------------------------------------------------------

Function = Callable[[Any], Any]


@dataclass(frozen=True)
class Law:
    """P(y|z) of each label with its jumps in z; and continuous labels by the fields they have.

    `fields` are the inverse branches of a noiseless continuous label y > `start`; a label with
    noise has the variance `noise` around its field.
    """

    chances: tuple[tuple[float, Function], ...] = ()
    jumps: tuple[float, ...] = ()
    fields: tuple[Function, ...] = ()
    start: float = -math.inf
    noise: float = 0.0


def normal(x: Any, variance: Any) -> Any:
    return np.exp(-(x**2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)


def panels(low: float, high: float, width: float, breaks: tuple[float, ...]) -> tuple[Any, Any]:
    """Return Gauss-Legendre nodes and weights on panels no wider than `width`."""
    marks = sorted({low, high, *(b for b in breaks if low < b < high)})
    edges = np.concatenate(
        [np.linspace(a, b, int((b - a) / width) + 2)[:-1] for a, b in itertools.pairwise(marks)]
        + [[high]]
    )
    x, share = np.polynomial.legendre.leggauss(12)
    half = np.diff(edges)[:, None] / 2
    middle = (edges[1:] + edges[:-1])[:, None] / 2
    return (middle + half * x).ravel(), (half * share).ravel()


def labels_at(law: Law, fields: Any, variance: float) -> list[tuple[Any, Any, Any, Any]]:
    """Return rows (label, weight, Z, dZ/domega), each of shape (fields, nodes) or (fields, 1)."""
    reach = np.abs(fields).max() + 9 * math.sqrt(variance)
    width = 1.2 * math.sqrt(variance)
    rows = []
    for label, chance in law.chances:
        at, weight = panels(-reach, reach, width, law.jumps)
        seen = normal(at - fields[:, None], variance) * chance(at) * weight
        drift = (at - fields[:, None]) / variance
        rows.append((label, 1.0, seen.sum(axis=1)[:, None], (seen * drift).sum(axis=1)[:, None]))
    if law.fields:
        spread = variance + law.noise
        low = max(law.start, -reach - 9 * math.sqrt(law.noise))
        at, weight = panels(low, reach + 9 * math.sqrt(law.noise), width, ())
        mass, moved = 0.0, 0.0
        for inverse in law.fields:
            distance = inverse(at) - fields[:, None]
            density = normal(distance, spread)
            mass, moved = mass + density, moved + density * distance / spread
        rows.append((at, weight, mass, moved))
    return rows


def defined(law: Law, variance: float, rho: float) -> dict[str, float]:
    """Return Phi_out, G, E (y - E[y|omega])^2 and E y by their definitions."""
    spread = math.sqrt(rho - variance)
    if spread == 0:
        fields, share = np.zeros(1), np.ones(1)
    else:
        count = int(20 * spread / min(spread, math.sqrt(variance)) * 12) | 1
        fields = np.linspace(-9, 9, count) * spread
        share = normal(fields, rho - variance) * (fields[1] - fields[0])
    potential = strength = 0.0
    first = second = np.zeros(fields.size)
    for label, weight, mass, moved in labels_at(law, fields, variance):
        seen = mass > 1e-290
        safe = np.where(seen, mass, 1.0)
        potential += share @ (weight * np.where(seen, mass * np.log(safe), 0)).sum(axis=1)
        strength += share @ (weight * np.where(seen, moved**2 / safe, 0)).sum(axis=1)
        first = first + (weight * label * mass).sum(axis=1)
        second = second + (weight * label**2 * mass).sum(axis=1)
    return {
        "potential": float(potential),
        "strength": float(strength),
        "error": float(share @ (second - first**2)),
        "mean": float(share @ first),
    }


DELTA, K = 0.3, 0.8


def signs(positive: Function, jumps: tuple[float, ...] = ()) -> Law:
    return Law(((1.0, positive), (-1.0, lambda at: 1 - positive(at))), jumps)


flipped = DiscreteChannel(
    {s: Rational(9, 10) * Heaviside(s * z) + Heaviside(-s * z) / 10 for s in (-1, 1)},
    z,
    name="flipped sign",
)


# three levels of the field, each mistaken for each other with some probability
levels = DiscreteChannel(
    {
        2: Rational(1, 20) + Heaviside(z - 1) * 7 / 10,
        0: Rational(4, 5) - Heaviside(z - 1) * 3 / 5 - Heaviside(-z - Rational(1, 2)) * 7 / 10,
        -1: Rational(3, 20) - Heaviside(z - 1) / 10 + Heaviside(-z - Rational(1, 2)) * 7 / 10,
    },
    z,
    name="levels",
)


smooth = DiscreteChannel({1: exp(-(z**2) / 2), 0: 1 - exp(-(z**2) / 2)}, z, name="bump")


CASES: dict[str, tuple[Channel, dict[str, float], Law]] = {
    "sign": (Sign(), {"Delta": 0.0}, signs(lambda at: at > 0, (0.0,))),
    "noisy sign": (
        Sign(),
        {"Delta": DELTA},
        signs(lambda at: special.ndtr(at / math.sqrt(DELTA))),
    ),
    "linear": (Linear(), {"Delta": 0.0}, Law(fields=(lambda at: at,))),
    "noisy linear": (Linear(), {"Delta": DELTA}, Law(fields=(lambda at: at,), noise=DELTA)),
    "abs": (Absolute(), {}, Law(fields=(lambda at: at, lambda at: -at), start=0.0)),
    "relu": (
        ReLU(),
        {},
        Law(((0.0, lambda at: at < 0),), (0.0,), (lambda at: at,), 0.0),
    ),
    "door": (Door(), {"K": K}, signs(lambda at: np.abs(at) > K, (-K, K))),
    "probit": (Probit(), {}, signs(special.ndtr)),
    "logistic": (Logistic(), {}, signs(special.expit)),
    "flipped sign": (flipped, {}, signs(lambda at: np.where(at > 0, 0.9, 0.1), (0.0,))),
    "levels": (
        levels,
        {},
        Law(
            (
                (2.0, lambda at: 0.05 + 0.7 * (at > 1)),
                (0.0, lambda at: 0.8 - 0.6 * (at > 1) - 0.7 * (at < -0.5)),
                (-1.0, lambda at: 0.15 - 0.1 * (at > 1) + 0.7 * (at < -0.5)),
            ),
            (-0.5, 1.0),
        ),
    ),
    "bump": (
        smooth,
        {},
        Law(((1.0, lambda at: np.exp(-(at**2) / 2)), (0.0, lambda at: -np.expm1(-(at**2) / 2)))),
    ),
}


EVERY = pytest.mark.parametrize("name", CASES)


WITH_LABELS = [k for k, (law, _, _) in CASES.items() if law.labels]


PLACES = [(0.9, 1.0), (0.05, 1.0), (0.06, 0.1)]


MORE_PLACES = [(0.35, 1.0), (1.7, 2.5), (0.01, 0.3), (0.999, 1.0), (2e-3, 1.0)]


def fixed(law: Channel, expression: Any, controls: dict[str, float]) -> Any:
    return expression.subs({law.controls[k].symbol: Rational(str(v)) for k, v in controls.items()})


@lru_cache(maxsize=64)
def kernel(name: str) -> Kernel:
    """Phi_out, G, -2 dPhi_out/dD and the error of a label, as functions of D and rho."""
    law, controls, _ = CASES[name]
    free = law.free_entropy(gap, rho_)
    wanted = (free, law.strength(gap, rho_), -2 * free.diff(gap), law.squared_error(gap, rho_))
    return compile_kernel((gap, rho_), tuple(fixed(law, e, controls) for e in wanted))


@lru_cache(maxsize=64)
def on_labels(name: str) -> Kernel:
    """L of each label with its first two derivatives, in omega and V, then the mean label."""
    law, controls, _ = CASES[name]
    logs = [law.log_partition(own, omega, V) for own in law.labels]
    rows = [e for part in logs for e in (part, part.diff(omega), part.diff(omega, 2))]
    rows.append(law.mean_label(omega, V))
    return compile_kernel((omega, V), tuple(fixed(law, e, controls) for e in rows))


# ---- closed forms --------------------------------------------------------------------------------


def gaussian(function: Function, marks: tuple[float, ...] = (0.0,)) -> float:
    """E f(v), v ~ N(0, 1)."""
    at, weight = panels(-12, 12, 0.05, marks)
    return float(weight @ (stats.norm.pdf(at) * function(at)))
