"""The curves of Bayes-optimal models in numpy, without the package, and how thresholds are checked.

Figures without a source in the tests were found before this formula existed, by two step sizes, two
methods or a closed form.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from scipy import optimize, special, stats

import replica as rp

GLM = rp.formulas["bayes-optimal-glm"]


LN2 = math.log(2)


BALANCED = 0.67448975019608


slow = pytest.mark.slow


def shown(value: float, text: str) -> bool:
    """Whether a number rounds to the digits of `text`, give or take one in the last place."""
    unit = 10.0 ** Decimal(text).as_tuple().exponent
    return abs(value - float(text)) <= 1.01 * unit


@lru_cache(maxsize=256)
def threshold(name: str, prior: Any = "rademacher", channel: Any = "sign", **controls: Any) -> Any:
    return rp.threshold(GLM, name, prior=prior, channel=channel, **controls)


def check(found: Any, text: str, error: float = 1e-11) -> None:
    assert found.status == rp.Status.CONVERGED
    assert shown(found.value, text), found.value
    assert found.error <= error * max(1.0, abs(found.value))
    assert found.validity == "theorem"


def missing(name: str, reason: str, prior: Any, channel: Any, **controls: Any) -> None:
    with pytest.raises(rp.ThresholdNotFound, match=reason) as caught:
        rp.threshold(GLM, name, prior=prior, channel=channel, **controls)
    assert f"no {name}" in str(caught.value)
    assert "\n" not in str(caught.value)


# ---- the same curves in numpy --------------------------------------------------------------------

Function = Callable[[Any], Any]


T = np.linspace(-13, 13, 1301)


NORMAL = stats.norm.pdf(T) * (T[1] - T[0])


@dataclass(frozen=True)
class Curve:
    """Saddle points by their conjugate g: the gap D(g), then alpha = g / G(D(g)).

    `weights` returns Phi_w and D of g; `labels` returns Phi_out and G of D.
    """

    weights: Callable[[float], tuple[float, float]]
    labels: Callable[[float], tuple[float, float]]
    rho: float = 1.0

    def alpha(self, g: float) -> float:
        return g / self.labels(self.weights(g)[1])[1]

    def height(self, g: float) -> float:
        """Return the potential at the saddle point."""
        free, gap = self.weights(g)
        entropy, force = self.labels(gap)
        return free + g / force * entropy - (self.rho - gap) * g / 2

    def turn(self, low: float, high: float, side: int) -> tuple[float, float]:
        """Return g and alpha of the maximum (side 1) or minimum (-1) between two values of g."""
        found = optimize.minimize_scalar(
            lambda s: -side * self.alpha(math.exp(s)),
            bounds=(math.log(low), math.log(high)),
            method="bounded",
            options={"xatol": 1e-9},
        )
        return math.exp(found.x), -side * found.fun

    def crossing(self, first: tuple[float, float], second: tuple[float, float]) -> float:
        """Return alpha where two rising parts of the curve have the same potential."""

        def on(part: tuple[float, float], alpha: float) -> float:
            low, high = map(math.log, part)
            s = optimize.brentq(lambda s: self.alpha(math.exp(s)) - alpha, low, high, xtol=1e-14)
            return self.height(math.exp(s))

        ends = [[self.alpha(g) for g in part] for part in (first, second)]
        low, high = max(e[0] for e in ends), min(e[1] for e in ends)
        inside = 1e-9 * (high - low)
        return float(
            optimize.brentq(
                lambda a: on(first, a) - on(second, a), low + inside, high - inside, xtol=1e-13
            )
        )


def atoms(places: tuple[float, ...], chances: tuple[float, ...]) -> Any:
    """Return Phi_w and D of discrete weights, with moments of the posterior."""
    w, p = np.array(places), np.array(chances)

    def weights(g: float) -> tuple[float, float]:
        free = gap = 0.0
        for place, chance in zip(places, chances, strict=True):
            field = g * place + math.sqrt(g) * T
            exponent = field[:, None] * w - g * w**2 / 2
            top = exponent.max(axis=1, keepdims=True)
            posterior = p * np.exp(exponent - top)
            mass = posterior.sum(axis=1)
            posterior /= mass[:, None]
            # the error of the mean, written as a sum over pairs: nothing cancels
            spread = 0.0
            for i, j in itertools.combinations(range(w.size), 2):
                spread = spread + posterior[:, i] * posterior[:, j] * (w[i] - w[j]) ** 2
            free += chance * NORMAL @ (top[:, 0] + np.log(mass))
            gap += chance * NORMAL @ spread
        return float(free), float(gap)

    return weights


def signs(noise: float = 0.0, flips: float = 0.0, rho: float = 1.0) -> Any:
    """Return Phi_out and G of signs; a noiseless one is flipped with probability `flips`."""

    def labels(gap: float) -> tuple[float, float]:
        variance = gap + noise
        ratio = math.sqrt((rho - gap) / variance)
        # in the variable of the step while it is narrow
        at, weight = T, NORMAL
        if ratio > 1:
            at = np.linspace(-40, 40, 8001) / ratio
            weight = stats.norm.pdf(at) * (at[1] - at[0])
        if flips:
            chance = flips + (1 - 2 * flips) * special.ndtr(ratio * at)
            force = ((1 - 2 * flips) * stats.norm.pdf(ratio * at)) ** 2 / chance
            inner = special.xlogy(chance, chance)
        else:
            tail = special.log_ndtr(ratio * at)
            force = np.exp(2 * stats.norm.logpdf(ratio * at) - tail)
            inner = np.exp(tail) * tail
        # far from the step the entropy is that of certain, or almost certain, labels
        rest = special.xlogy(flips, flips) + special.xlogy(1 - flips, 1 - flips)
        step = inner + inner[::-1] - rest
        return float(rest + weight @ step), float(2 / variance * weight @ force)

    return labels


SIGNS = atoms((-1.0, 1.0), (0.5, 0.5))


# ---- signs ---------------------------------------------------------------------------------------

IT, AMP = "1.2446839898506902791", "1.4926318182303512741"


NOISY = {
    0.001: ("0.693529310873", "1.32224406993", "1.50061210031"),
    0.01: ("1.4618453916", "1.53872997896", "1.57968710246"),
}
