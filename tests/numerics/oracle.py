"""Truth for the numerical tests, written by hand in mpmath and sharing no code with `replica`.

Gauss-Legendre on panels graded by factors of two towards marked features, 50 digits carried.
``python tests/numerics/oracle.py`` rewrites `truth.json`, the lattice of the storage problems; a
slow test recomputes it.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import mpmath
from mpmath import mpf

TRUTH = Path(__file__).with_name("truth.json")
DIGITS = 50
KEPT = 26  # digits written; the panels have more
NODES = 22

OVERLAPS = (
    0.0,
    1e-12,
    1e-4,
    0.1,
    0.5,
    0.9,
    0.97,
    0.99,
    0.999,
    1 - 1e-4,
    1 - 1e-6,
    1 - 1e-8,
)
MARGINS = {
    "step": (-3.0, -1.5, -0.5, 0.0, 0.3, 1.0, 2.0, 3.5, 5.0),
    "rectangle": (1e-3, 0.1, 0.5, 0.8, 1.5, 3.0, 5.0),
    "u": (1e-3, 0.1, 0.5, 0.8, 1.5, 3.0, 5.0),
}
CONJUGATES = (0.0, 1e-14, 1e-6, 1e-2, 0.5, 2.5763513190756747, 10.0, 1e3, 1e5, 1e8, 1e12)


@cache
def legendre(count: int, precision: int) -> list[tuple[Any, Any]]:
    """Return nodes and weights on [-1, 1], by Newton's method on the recurrence."""

    def polynomial(x: Any) -> tuple[Any, Any]:
        before, now = mpf(1), x
        for j in range(2, count + 1):
            before, now = now, ((2 * j - 1) * x * now - (j - 1) * before) / j
        return now, count * (x * now - before) / (x * x - 1)

    with mpmath.workprec(precision + 30):
        rule = []
        for k in range(1, count + 1):
            x = mpmath.cos(mpmath.pi * (k - mpf(1) / 4) / (count + mpf(1) / 2))
            for _ in range(10):
                value, slope = polynomial(x)
                x -= value / slope
            _, slope = polynomial(x)
            rule.append((x, 2 / ((1 - x * x) * slope * slope)))
        return rule


def gaussian_mean(
    function: Callable[[Any], Any],
    variance: Any,
    marks: Iterable[tuple[Any, Any]] = (),
    *,
    reach: int = 14,
    digits: int = DIGITS,
) -> Any:
    """Return E function(x) over x ~ N(0, variance); a tuple of values gives a list of means.

    `marks` are places and half-widths of features in x; the range is `reach` deviations.
    """
    with mpmath.workdps(digits):
        spread = mpmath.sqrt(mpf(variance))
        if spread == 0:
            return function(mpf(0))
        edges = {mpf(k) for k in range(-reach, reach + 1)}
        for centre, width in marks:
            place, distance = mpf(centre) / spread, mpf(width) / spread
            edges.add(place)
            while distance < 2 * reach:
                edges |= {place - distance, place + distance}
                distance *= 2
        inside = sorted(edge for edge in edges if -reach <= edge <= reach)
        total: list[Any] | None = None
        for low, high in itertools.pairwise(inside):
            half, middle = (high - low) / 2, (high + low) / 2
            if half < mpf(10) ** -45:
                continue
            for node, weight in legendre(NODES, mpmath.mp.prec):
                t = middle + half * node
                measure = half * weight * density(t)
                values = function(spread * t)
                row = values if isinstance(values, tuple) else (values,)
                total = [mpf(0)] * len(row) if total is None else total
                total = [a + measure * b for a, b in zip(total, row, strict=True)]
        assert total is not None
        return total if isinstance(values, tuple) else total[0]


# ---- functions, from their definitions ---------------------------------------------------------


def density(x: Any) -> Any:
    return mpmath.exp(-x * x / 2) / mpmath.sqrt(2 * mpmath.pi)


def tail(x: Any) -> Any:
    return mpmath.erfc(x / mpmath.sqrt(2)) / 2


def log_tail(x: Any) -> Any:
    return mpmath.log1p(-tail(-x)) if x < 0 else mpmath.log(tail(x))


def log_cosh(x: Any) -> Any:
    return abs(x) + mpmath.log1p(mpmath.expm1(-2 * abs(x)) / 2)


def interval_mass(a: Any, b: Any) -> Any:
    """Return the mass between a and b, from the tails on the side where they are small."""
    return tail(-b) - tail(-a) if a + b < 0 else tail(a) - tail(b)


def log_interval_mass(a: Any, b: Any) -> Any:
    if a < 0 < b:  # the complement is the sum of two positive tails
        return mpmath.log1p(-tail(-a) - tail(b))
    return mpmath.log(interval_mass(a, b))


# ---- the storage problems: E log P, E (d log P/du)^2, E (d2 log P/du2)^2 over u ~ N(0, q) -------


def _step(x: Any, width: Any, kappa: Any) -> tuple[Any, ...]:
    a = (kappa - x) / width
    ratio = density(a) / tail(a)
    return log_tail(a), (ratio / width) ** 2, (ratio * (ratio - a) / width**2) ** 2


def _rectangle(x: Any, width: Any, kappa: Any) -> tuple[Any, ...]:
    a, b = (-kappa - x) / width, (kappa - x) / width
    mass = interval_mass(a, b)
    first = (density(a) - density(b)) / mass
    second = (a * density(a) - b * density(b)) / mass - first**2
    return log_interval_mass(a, b), (first / width) ** 2, (second / width**2) ** 2


def _u(x: Any, width: Any, kappa: Any) -> tuple[Any, ...]:
    right, left = (kappa - x) / width, (kappa + x) / width
    mass = tail(right) + tail(left)
    first = (density(right) - density(left)) / mass
    second = (right * density(right) + left * density(left)) / mass - first**2
    return mpmath.log(mass), (first / width) ** 2, (second / width**2) ** 2


PATTERNS = {"step": _step, "rectangle": _rectangle, "u": _u}


def pattern_means(constraint: str, q: float, kappa: float) -> list[Any]:
    with mpmath.workdps(DIGITS):
        overlap, margin = mpf(q), mpf(kappa)
        width = mpmath.sqrt(1 - overlap)
        marks = [(margin, width), (-margin, width), (0, width)]
        if constraint == "u":  # the weight passes from one side to the other within this width
            marks.append((0, min(width, (1 - overlap) / margin)))
        pattern = PATTERNS[constraint]
        return list(gaussian_mean(lambda x: pattern(x, width, margin), overlap, marks))


def weight_means(qhat: float) -> list[Any]:
    """Return E log cosh h, E tanh^2 h, E sech^4 h over h ~ N(0, qhat)."""

    def weight(h: Any) -> tuple[Any, ...]:
        return log_cosh(h), mpmath.tanh(h) ** 2, mpmath.sech(h) ** 4

    return list(gaussian_mean(weight, qhat, [(0, 1)]))


def read() -> dict[str, Any]:
    """Return the stored lattice: constraint -> {(q, kappa): means}, "weights" -> {qhat: means}."""
    stored = json.loads(TRUTH.read_text())
    with mpmath.workdps(KEPT + 4):
        lattice: dict[str, Any] = {
            name: {(q, kappa): [mpf(text) for text in means] for q, kappa, means in stored[name]}
            for name in PATTERNS
        }
        lattice["weights"] = {
            qhat: [mpf(text) for text in means] for qhat, means in stored["weights"]
        }
    return lattice


def _text(means: Sequence[Any]) -> list[str]:
    return [mpmath.nstr(value, KEPT) for value in means]


def main() -> None:
    content: dict[str, Any] = {
        name: [
            [q, kappa, _text(pattern_means(name, q, kappa))]
            for q in OVERLAPS
            for kappa in MARGINS[name]
        ]
        for name in PATTERNS
    }
    content["weights"] = [[qhat, _text(weight_means(qhat))] for qhat in CONJUGATES]
    lines = ",\n".join(
        f'"{name}": [\n' + ",\n".join(json.dumps(row) for row in rows) + "\n]"
        for name, rows in content.items()
    )
    TRUTH.write_text("{\n" + lines + "\n}\n")


if __name__ == "__main__":
    main()
