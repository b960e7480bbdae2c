"""The issue's claim: the error is never below the truth, kappa in [-3, 5], q from 0 to 1 - 1e-8.

For every equation, potential and observable of the three storage formulas. The truth is the
lattice of `oracle.py`, written by hand in mpmath: it also checks that the equations derived from
the potential are those of the literature.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mpf
from numerics import oracle

import replica as rp
from replica.numerics.kernel import MAX_REFINEMENT, Kernel

ALPHAS = (0.25, 3.0)

SYSTEMS = {
    "spherical": ("spherical-perceptron", {"rsb": 0}, "step"),
    "binary": ("binary-perceptron", None, "step"),
    "rectangle": ("symmetric-binary-perceptron", {"constraint": "rectangle"}, "rectangle"),
    "u": ("symmetric-binary-perceptron", {"constraint": "u"}, "u"),
}
QUANTITIES = {
    "spherical": ("equation of q", "potential", "replicon"),
    "binary": ("equation of q", "equation of qhat", "potential", "replicon"),
    "rectangle": ("equation of q", "equation of qhat", "potential", "replicon"),
    "u": ("equation of q", "equation of qhat", "potential", "replicon"),
}
CASES = [(system, quantity) for system, names in QUANTITIES.items() for quantity in names]


@dataclass(frozen=True)
class Point:
    """One point of the lattice: what is passed, the truth, and the size of its terms."""

    q: float
    qhat: float
    alpha: float
    kappa: float
    terms: dict[str, list[Any]]

    def truth(self, quantity: str) -> Any:
        return mpmath.fsum(self.terms[quantity])

    def scale(self, quantity: str) -> Any:
        return mpmath.fsum(self.terms[quantity], absolute=True)

    def __str__(self) -> str:
        return (
            f"q = 1 - {1 - self.q:.3g}, qhat = {self.qhat:.3g}, alpha = {self.alpha}, "
            f"kappa = {self.kappa}"
        )


@cache
def lattice() -> dict[str, Any]:
    return oracle.read()


@cache
def points(system: str) -> tuple[Point, ...]:
    """Return the lattice of a system; qhat and alpha run through their values along it."""
    constraint = SYSTEMS[system][2]
    weights = list(lattice()["weights"].items())
    found = []
    with mpmath.workdps(30):
        for k, ((q, kappa), means) in enumerate(lattice()[constraint].items()):
            qhat, (log_cosh, tanh2, sech4) = weights[k % len(weights)]
            alpha = ALPHAS[k % len(ALPHAS)]
            log_p, first, second = means
            a, overlap = mpf(alpha), mpf(q)
            if system == "spherical":
                gap = 1 - overlap
                terms = {
                    "equation of q": [overlap / (2 * gap**2), -a * first / 2],
                    "potential": [mpmath.log(gap) / 2, overlap / (2 * gap), a * log_p],
                    "replicon": [a * gap**2 * second],
                }
            else:
                terms = {
                    "equation of q": [tanh2, -overlap],
                    "equation of qhat": [a * first, -mpf(qhat)],
                    "potential": [
                        mpmath.log(2),
                        log_cosh,
                        -(1 - overlap) * mpf(qhat) / 2,
                        a * log_p,
                    ],
                    "replicon": [a * second * sech4],
                }
            found.append(Point(q, qhat, alpha, kappa, terms))
    return tuple(found)


@cache
def computed(system: str, refinement: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return values and bounds of each quantity over the lattice, in one vectorised call."""
    name, options, _ = SYSTEMS[system]
    formula = rp.formulas[name] if options is None else rp.formulas[name](**options)
    assert formula.observables["potential"] == formula.observables["entropy"]
    arguments = (*formula.unknowns, *(c.symbol for c in formula.controls.values()))
    expressions = {
        **{f"equation of {s}": formula.residuals[s] for s in formula.unknowns},
        "potential": formula.potential,
        "replicon": formula.observables["replicon"],
    }
    kernel = Kernel(arguments, tuple(expressions.values()))
    grid = points(system)
    values = {
        "q": np.array([p.q for p in grid]),
        "qhat": np.array([p.qhat for p in grid]),
        "alpha": np.array([p.alpha for p in grid]),
        "kappa": np.array([p.kappa for p in grid]),
    }
    rows = kernel.bounded(*(values[s.name] for s in arguments), refinement=refinement)
    return {
        quantity: (row.value, row.bound) for quantity, row in zip(expressions, rows, strict=True)
    }


def true_error(value: float, truth: Any) -> Any:
    if not np.isfinite(value):
        return mpmath.inf
    with mpmath.workdps(30):
        return abs(mpf(float(value)) - truth)


@pytest.mark.parametrize(
    "refinement",
    [
        0,
        1,
        *(pytest.param(k, marks=pytest.mark.slow) for k in range(2, MAX_REFINEMENT)),
        MAX_REFINEMENT,
    ],
)
@pytest.mark.parametrize(("system", "quantity"), CASES)
def test_honest(system, quantity, refinement):
    values, bounds = computed(system, refinement)[quantity]
    wrong = []
    for point, value, bound in zip(points(system), values, bounds, strict=True):
        error = true_error(value, point.truth(quantity))
        if not error <= bound:
            wrong.append(f"{point}: error {mpmath.nstr(error, 3)}, claimed {bound:.3g}")
    assert not wrong, f"{len(wrong)} of {len(values)} dishonest:\n" + "\n".join(wrong)


# What the finest rule must reach, relative to the size of the terms or, below one, absolutely: so
# do the solvers judge. At q = 1 - 1e-8 the argument (kappa - u) / sqrt(1 - q) carries 1e4 and the
# curvature of log P up to 1e8 units of rounding.
REACHED = {"equation of q": 1e-12, "equation of qhat": 1e-9, "potential": 1e-12, "replicon": 1e-7}
CLAIMED_FOR = 0.9  # up to this overlap the bound itself must be small enough to be of use
CLAIMED = 1e-9


@pytest.mark.parametrize(("system", "quantity"), CASES)
def test_converges(system, quantity):
    values, _ = computed(system, MAX_REFINEMENT)[quantity]
    wrong = []
    for point, value in zip(points(system), values, strict=True):
        error = true_error(value, point.truth(quantity)) / max(point.scale(quantity), 1)
        if not error <= REACHED[quantity]:
            wrong.append(f"{point}: relative error {mpmath.nstr(error, 3)}")
    assert not wrong, f"{len(wrong)} of {len(values)} inaccurate:\n" + "\n".join(wrong)


@pytest.mark.parametrize(("system", "quantity"), CASES)
def test_bounds_are_of_use(system, quantity):
    _, bounds = computed(system, MAX_REFINEMENT)[quantity]
    wrong = []
    for point, bound in zip(points(system), bounds, strict=True):
        claimed = bound / float(max(point.scale(quantity), 1))
        # an interval of 1e-3 is the difference of two arguments a thousand times its size
        wide = point.kappa == 0 or abs(point.kappa) >= 0.01
        if wide and point.q <= CLAIMED_FOR and not claimed <= CLAIMED:
            wrong.append(f"{point}: relative bound {claimed:.3g}")
    assert not wrong, f"{len(wrong)} of {len(bounds)} useless:\n" + "\n".join(wrong)


def test_lattice_spans_what_is_claimed():
    for system in SYSTEMS:
        grid = points(system)
        assert min(p.q for p in grid) == 0
        assert max(p.q for p in grid) == 1 - 1e-8
        assert max(p.kappa for p in grid) == 5
        assert min(p.kappa for p in grid) == (-3 if SYSTEMS[system][2] == "step" else 1e-3)
        assert {p.alpha for p in grid} == set(ALPHAS)
        assert system == "spherical" or {p.qhat for p in grid} == set(oracle.CONJUGATES)


@pytest.mark.slow
def test_stored_truth_is_what_the_oracle_computes():
    """A tenth of it, drawn once; `python tests/numerics/oracle.py` writes all of it anew."""
    stored, rng = oracle.read(), np.random.default_rng(11)
    for name in oracle.PATTERNS:
        drawn = [point for point in stored[name].items() if rng.random() < 1 / 10]
        assert len(drawn) > len(stored[name]) / 25
        for (q, kappa), means in drawn:
            fresh = oracle.pattern_means(name, q, kappa)
            for old, new in zip(means, fresh, strict=True):
                assert mpmath.almosteq(old, new, rel_eps=mpf(10) ** (2 - oracle.KEPT)), (q, kappa)
    for qhat, means in stored["weights"].items():
        for old, new in zip(means, oracle.weight_means(qhat), strict=True):
            assert mpmath.almosteq(old, new, rel_eps=mpf(10) ** (2 - oracle.KEPT)), qhat


@pytest.mark.parametrize(
    ("constraint", "q", "kappa"),
    [
        ("step", 0.5, 0.3),
        pytest.param("rectangle", 0.9, 0.8, marks=pytest.mark.slow),
        pytest.param("u", 0.97, 1.5, marks=pytest.mark.slow),
    ],
)
def test_oracle_against_plain_quadrature(constraint, q, kappa):
    """The oracle's own panels against mpmath's tanh-sinh, which chooses its nodes itself."""
    with mpmath.workdps(25):
        overlap, margin = mpf(q), mpf(kappa)
        width = mpmath.sqrt(1 - overlap)
        pattern = oracle.PATTERNS[constraint]
        breaks = [-12, -4, -2, -1, -0.5, 0, 0.5, 1, 2, 4, 12]
        spread = mpmath.sqrt(overlap)
        for k, stored in enumerate(lattice()[constraint][q, kappa]):
            found = mpmath.quad(
                lambda t, k=k: oracle.density(t) * pattern(spread * t, width, margin)[k], breaks
            )
            assert mpmath.almosteq(found, stored, rel_eps=mpf(10) ** -18)
