"""What is derived from each potential, against finite differences and hand-written integrals."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mp, mpf

import replica as rp
from replica.language.means import nesting
from replica.language.stationarity import residuals as derived_residuals
from replica.numerics.kernel import compile_kernel
from replica.numerics.precise import PreciseKernel

# Of a family of blocks, the pairs in the default run; the others are slow tests. Those with a mean
# within a mean (abs, logistic) are here too, for what costs little of them.
REPRESENTATIVE = {
    "bayes-optimal-glm": {
        ("rademacher", "sign"),
        ("gaussian", "linear"),
        ("gauss-bernoulli", "linear"),
        ("gaussian", "abs"),
        ("rademacher", "door"),
        ("gauss-bernoulli", "relu"),
        ("gaussian", "logistic"),
    },
    "empirical-risk": {("square", "l2", "sign"), ("hinge", "l1", "sign")},
    "hidden-manifold": {("square", "sign", "sign", "gaussian")},
    "gaussian-covariates": set(),
    "committee-machine": set(),  # two-dimensional means: half a minute each
}
# Of a family with many options, some of which exclude each other: its own tests have the others.
SOME = {
    "empirical-risk": (*sorted(REPRESENTATIVE["empirical-risk"]), ("huber", "l2", "linear")),
    "hidden-manifold": (
        ("square", "sign", "sign", "gaussian"),
        ("square", "linear", "relu", "orthogonal"),
    ),
    "gaussian-covariates": (("square", "linear", "power-law"),),
}


def deep(formula: rp.Formula) -> bool:
    """Tell whether the potential or an equation has a mean within a mean."""
    return any(nesting(e) > 1 for e in (formula.potential, *formula.residuals.values()))


def every_formula() -> list[Any]:
    """Each registered formula with each combination of its structural options."""
    found = []
    for name, target in rp.formulas.items():
        options = getattr(target, "options", {}) if isinstance(target, rp.Family) else {}
        default = REPRESENTATIVE.get(name)
        every = itertools.product(*(option.choices for option in options.values()))
        for choice in SOME.get(name, every):
            chosen = dict(zip(options, choice, strict=True))
            label = "-".join([name, *map(str, choice)])
            slow = default is not None and choice not in default
            found.append(
                pytest.param(
                    target(**chosen) if chosen else target,
                    id=label,
                    marks=[pytest.mark.slow] if slow else [],
                )
            )
    return found


EVERY_FORMULA = every_formula()
# What mpmath is asked for, and when. Prior and channel enter in separate terms, so that a few pairs
# have every block; a mean within a mean costs it minutes where it has none of its own to spare.
IN_MPMATH = {
    "rademacher-sign": False,
    "gaussian-linear": False,
    "gauss-bernoulli-linear": False,
    "rademacher-door": True,
    "gauss-bernoulli-relu": True,
    "gaussian-probit": True,
    "gaussian-logistic": True,
    "square-l2-sign": False,
    "hinge-l1-sign": True,
    "square-sign-sign-gaussian": True,
    "square-linear-relu-orthogonal": True,
}


def for_mpmath(everywhere: bool = False) -> list[Any]:
    """Formulas for mpmath; with `everywhere` for the slow tests, deep ones included."""
    found = []
    for p in EVERY_FORMULA:
        (formula,) = p.values
        if formula.name in REPRESENTATIVE:
            pair = p.id.removeprefix(formula.name + "-")
            if pair not in IN_MPMATH:
                continue
            if IN_MPMATH[pair] and not everywhere:
                continue
        if deep(formula) and not everywhere:
            continue
        found.append(pytest.param(formula, id=p.id, marks=[pytest.mark.slow] if everywhere else []))
    return found


def span(domain: Any, chosen: Mapping[Any, float]) -> tuple[float, float]:
    """Return the ends of a domain, which may be other unknowns or controls."""
    low, high = (bound.subs(chosen) for bound in (domain.start, domain.end))
    first = float(low) if low.is_finite else 0.0
    return first, float(high) if high.is_finite else first + 3.0


def random_points(formula: rp.Formula, count: int) -> list[dict[str, float]]:
    """Generic values of unknowns and controls, inside their domains and away from the edges."""
    rng = np.random.default_rng(len(formula.name) + 7 * len(formula.options))
    controls = {control.symbol for control in formula.controls.values()}

    def bounds(symbol: Any) -> set[Any]:
        return set(formula.domains[symbol].free_symbols)

    points = []
    for _ in range(count):
        chosen: dict[Any, float] = {}

        def choose(symbols: list[Any], chosen: dict[Any, float] = chosen) -> None:
            # a bound may be another unknown: those with numeric bounds come first
            for symbol in sorted(symbols, key=lambda s: len(bounds(s))):
                low, high = span(formula.domains[symbol], chosen)
                chosen[symbol] = low + (high - low) * rng.uniform(0.15, 0.85)

        late = [symbol for symbol in formula.unknowns if bounds(symbol) & controls]
        choose([symbol for symbol in formula.unknowns if symbol not in late])
        for control in formula.controls.values():
            low = max(float(control.domain.start), -1.5)
            width = min(float(control.domain.end) - low, 2.5)
            chosen[control.symbol] = low + width * rng.uniform(0.12, 1.0)
        choose(late)
        points.append({str(symbol): value for symbol, value in chosen.items()})
    return points


def several(formula: rp.Formula) -> int:
    """Return how many points are enough: of the pairs of a family of blocks one each."""
    pair = tuple(str(choice) for choice in formula.options.values())
    default = REPRESENTATIVE.get(formula.name)
    return 6 if default is None or pair in default else 1


def room(formula: rp.Formula, at: Mapping[str, float], symbol: Any) -> float:
    """Return the distance of an unknown from the ends of its domain, at most one."""
    known = {s: at[str(s)] for s in formula.domains[symbol].free_symbols}
    low, high = (bound.subs(known) for bound in formula.domains[symbol].args[:2])
    value = at[str(symbol)]
    return min(1.0, *(abs(value - float(end)) for end in (low, high) if end.is_finite))


@lru_cache(maxsize=64)
def precise(arguments: tuple[Any, ...], expressions: tuple[Any, ...]) -> PreciseKernel:
    return PreciseKernel(arguments, expressions)


class Potential:
    """The potential of a formula in mpmath, at a point given by name."""

    def __init__(self, formula: rp.Formula, digits: int) -> None:
        controls = [control.symbol for control in formula.controls.values()]
        self.arguments = (*formula.unknowns, *controls)
        self.names = [str(symbol) for symbol in self.arguments]
        self.kernel = precise(self.arguments, (formula.potential,))
        self.digits = digits
        self.step = mpf(10) ** -(digits // 4)

    def __call__(self, at: Mapping[str, Any]) -> Any:
        (value,), _ = self.kernel([mpf(at[name]) for name in self.names], self.digits)
        return value

    def moved(self, at: Mapping[str, Any], **steps: int) -> Any:
        return self({**at, **{k: mpf(at[k]) + n * self.step for k, n in steps.items()}})

    def slope(self, at: Mapping[str, Any], name: str) -> Any:
        """Central difference, of fourth order in the step."""
        near = self.moved(at, **{name: 1}) - self.moved(at, **{name: -1})
        far = self.moved(at, **{name: 2}) - self.moved(at, **{name: -2})
        return (8 * near - far) / (12 * self.step)

    def mixed(self, at: Mapping[str, Any], one: str, other: str) -> Any:
        """Mixed second derivative, of second order in the step."""
        corners = {(a, b): self.moved(at, **{one: a, other: b}) for a in (1, -1) for b in (1, -1)}
        total = sum(a * b * value for (a, b), value in corners.items())
        return total / (4 * self.step**2)


def residual_at(formula: rp.Formula, at: Mapping[str, float]) -> dict[str, Any]:
    controls = [control.symbol for control in formula.controls.values()]
    arguments = (*formula.unknowns, *controls)
    kernel = precise(arguments, tuple(formula.residuals[s] for s in formula.unknowns))
    values, _ = kernel([mpf(at[str(symbol)]) for symbol in arguments], 25)
    return {str(symbol): value for symbol, value in zip(formula.unknowns, values, strict=True)}


def check_equations(formula: rp.Formula, at: Mapping[str, float], digits: int) -> None:
    with mp.workdps(digits + 10):
        potential = Potential(formula, digits)
        tolerance = mpf(10) ** (-digits // 2)
        found = residual_at(formula, at)
        partner = {str(q): str(hat) for q, hat in formula.conjugates.items()}
        for overlap in map(str, formula.overlaps):
            hat = partner.get(overlap)
            if hat is None:
                expected = potential.slope(at, overlap)
                assert abs(found[overlap] - expected) <= tolerance * (1 + abs(expected)), overlap
                continue
            pairing = potential.mixed(at, overlap, hat)
            assert abs(pairing) > mpf("0.1")
            for unknown, varied in ((overlap, hat), (hat, overlap)):
                # phi is bilinear in the pair: d phi = pairing * (unknown - update)
                expected = -potential.slope(at, varied) / pairing
                assert abs(found[unknown] - expected) <= tolerance * (1 + abs(expected)), unknown


def test_there_is_something_to_test():
    assert len(EVERY_FORMULA) >= 41
    assert len(STORAGE) >= 5
    assert len(STATED) >= 35
    assert {"spherical-perceptron", "binary-perceptron", "symmetric-binary-perceptron"} <= {
        p.values[0].name for p in STORAGE
    }
    labels = {p.id: p for p in EVERY_FORMULA}
    for name, pairs in REPRESENTATIVE.items():
        for pair in pairs:
            assert not labels["-".join([name, *pair])].marks
            assert several(labels["-".join([name, *pair])].values[0]) == 6


@pytest.mark.parametrize("formula", for_mpmath())
def test_equations_are_the_derivatives_of_the_potential(formula: rp.Formula):
    """The compiled twin of this test has those with a mean within a mean, slow in mpmath."""
    for at in random_points(formula, 1):
        check_equations(formula, at, 22)


@pytest.mark.parametrize("formula", for_mpmath(everywhere=True))
def test_equations_are_the_derivatives_of_the_potential_everywhere(formula: rp.Formula):
    digits, count = 24, 1 if formula.name in REPRESENTATIVE else 3
    if deep(formula):
        digits, count = 10, 1
    for at in random_points(formula, count):
        check_equations(formula, at, digits)


@pytest.mark.parametrize("formula", EVERY_FORMULA)
def test_equations_are_the_derivatives_of_the_compiled_potential(formula: rp.Formula):
    """The same in double precision, where means within means cost nothing."""
    arguments = (*formula.unknowns, *symbols_of(formula))
    potential = compile_kernel(arguments, (formula.potential,))
    residuals = compile_kernel(arguments, tuple(formula.residuals.values()))
    names = [str(symbol) for symbol in arguments]
    pairs = {**formula.conjugates, **{hat: q for q, hat in formula.conjugates.items()}}

    def at_steps(values: Any, steps: Any, *places: int) -> Any:
        """Return the potential where each of `places` moves by the steps in its row."""
        moved = np.repeat(values[:, None], steps.shape[-1], axis=1)
        for place, row in zip(places, np.atleast_2d(steps), strict=True):
            moved[place] += row
        return np.asarray(potential(*moved, refinement=1)[0])

    for at in random_points(formula, several(formula)):
        values = np.array([at[name] for name in names])
        found = [float(row) for row in residuals(*values, refinement=1)]
        for k, symbol in enumerate(formula.residuals):
            partner = pairs.get(symbol, symbol)
            place = names.index(str(partner))
            near = 1e-3 * room(formula, at, partner)
            far = 2 * near
            four = at_steps(values, np.array([far, near, -near, -far]), place)
            slope = float(-four[0] + 8 * four[1] - 8 * four[2] + four[3]) / (12 * near)
            expected = slope
            if partner is not symbol:
                # phi is bilinear in the pair, so that a step of any size gives the pairing
                sides = [0.2 * room(formula, at, s) for s in (partner, symbol)]
                steps = np.array([[1, 1, -1, -1], [1, -1, 1, -1]]) * np.array(sides)[:, None]
                corners = at_steps(values, steps, place, names.index(str(symbol)))
                pairing = float(corners @ [1, -1, -1, 1]) / (4 * sides[0] * sides[1])
                expected = -slope / pairing if abs(pairing) > 0.1 else np.nan
            assert found[k] == pytest.approx(expected, rel=1e-7, abs=1e-8), symbol


STATED = [p for p in EVERY_FORMULA if p.values[0].updates]


@pytest.mark.parametrize("formula", STATED)
def test_stated_updates_are_theorems(formula: rp.Formula):
    """A theorem about a saddle point equals what follows from the potential, everywhere."""
    for symbol, update in formula.updates.items():
        assert formula.residuals[symbol] == update - symbol
    derived = derived_residuals(formula.potential, tuple(formula.overlaps), formula.conjugates)
    assert set(derived) == set(formula.unknowns)
    arguments = (*formula.unknowns, *symbols_of(formula))
    names = [str(symbol) for symbol in arguments]
    order = list(formula.residuals)
    stated = compile_kernel(arguments, tuple(formula.residuals.values()))
    plain = compile_kernel(arguments, tuple(derived[symbol] for symbol in order))
    for at in random_points(formula, several(formula)):
        values = [at[name] for name in names]
        for symbol, one, two in zip(
            order,
            stated.bounded(*values, refinement=1),
            plain.bounded(*values, refinement=1),
            strict=True,
        ):
            scale = 1 + abs(float(one.value))
            assert abs(float(one.value - two.value)) <= float(one.bound + two.bound), symbol
            assert float(one.value) == pytest.approx(float(two.value), abs=1e-8 * scale), symbol


@pytest.mark.parametrize("formula", EVERY_FORMULA)
def test_the_equations_shown_are_the_residuals_solved(formula: rp.Formula):
    for unknown, equation in zip(formula.unknowns, formula.equations, strict=True):
        residual = formula.residuals[unknown]
        paired = unknown in formula.conjugates or unknown in formula.conjugates.values()
        assert equation.lhs == (unknown if paired else residual)
        assert (equation.rhs - equation.lhs if paired else equation.lhs) == residual
        if paired:
            hats = formula.conjugates
            partner = hats.get(unknown) or next(q for q in hats if hats[q] == unknown)
            assert not equation.rhs.has(unknown) or formula.conjugates.get(unknown) != partner


# ---- the potentials themselves, written again by hand in mpmath ---------------------------------


def gaussian(f: Any, *marks: Any) -> Any:
    """E f(t), t ~ N(0, 1), with panels broken near `marks`."""
    edges = sorted({mpf(k) for k in range(-12, 13, 2)} | {m for m in marks if abs(m) < 12})
    weight = mp.sqrt(2 * mp.pi)
    return mp.quad(lambda t: f(t) * mp.exp(-t * t / 2) / weight, edges)


def tail(x: Any) -> Any:
    return mp.erfc(x / mp.sqrt(2)) / 2


def mills(x: Any) -> Any:
    return mp.npdf(x) / tail(x)


def binary_weights(q: Any, qhat: Any) -> Any:
    field = gaussian(lambda t: mp.log(2 * mp.cosh(mp.sqrt(qhat) * t)))
    return (q - 1) * qhat / 2 + field


ACCEPTED = {
    "step": lambda low, high: tail(low),
    "rectangle": lambda low, high: mp.erf(high / mp.sqrt(2)) / 2 - mp.erf(low / mp.sqrt(2)) / 2,
    "u": lambda low, high: tail(high) + tail(-low),
}


def pattern_energy(accepted: str, q: Any, kappa: Any) -> Any:
    def one(t: Any) -> Any:
        u, spread = mp.sqrt(q) * t, mp.sqrt(1 - q)
        start = kappa if accepted == "step" else -kappa
        return mp.log(ACCEPTED[accepted]((start - u) / spread, (kappa - u) / spread))

    return gaussian(one, kappa / mp.sqrt(q), -kappa / mp.sqrt(q))


def by_hand(name: str, options: Mapping[str, Any]) -> Any:
    if name == "spherical-perceptron":
        return lambda q, alpha, kappa: (
            mp.log(1 - q) / 2 + q / (2 * (1 - q)) + alpha * pattern_energy("step", q, kappa)
        )
    accepted = options.get("constraint", "step")
    return lambda q, qhat, alpha, kappa: (
        binary_weights(q, qhat) + alpha * pattern_energy(accepted, q, kappa)
    )


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("spherical-perceptron", {}),
        ("binary-perceptron", {}),
        ("symmetric-binary-perceptron", {"constraint": "rectangle"}),
        ("symmetric-binary-perceptron", {"constraint": "u"}),
    ],
)
def test_potential_is_the_one_of_the_literature(name: str, options: dict[str, Any]):
    target = rp.formulas[name]
    formula = target(**options) if isinstance(target, rp.Family) else target
    expected = by_hand(name, options)
    with mp.workdps(20):
        potential = Potential(formula, 16)
        for at in random_points(formula, 2):
            numbers = {k: mpf(w) for k, w in at.items()}
            assert abs(potential(at) - expected(**numbers)) < mpf(10) ** -14


def replicon_by_hand(weights: str, q: Any, qhat: Any, alpha: Any, kappa: Any) -> Any:
    def squared(t: Any) -> Any:
        x = (kappa - mp.sqrt(q) * t) / mp.sqrt(1 - q)
        return (mills(x) * (mills(x) - x)) ** 2

    patterns = alpha * gaussian(squared, kappa / mp.sqrt(q))
    if weights == "spherical":
        return patterns
    return patterns / (1 - q) ** 2 * gaussian(lambda t: mp.sech(mp.sqrt(qhat) * t) ** 4)


@pytest.mark.parametrize("name", ["spherical-perceptron", "binary-perceptron"])
def test_replicon_is_the_one_of_the_literature(name: str):
    target = rp.formulas[name]
    formula = target() if isinstance(target, rp.Family) else target
    controls = [control.symbol for control in formula.controls.values()]
    arguments = (*formula.unknowns, *controls)
    kernel = precise(arguments, (formula.observables["replicon"],))
    with mp.workdps(20):
        for at in random_points(formula, 2):
            (found,), _ = kernel([mpf(at[str(symbol)]) for symbol in arguments], 16)
            numbers = {"qhat": mpf(0), **{k: mpf(w) for k, w in at.items()}}
            expected = replicon_by_hand(name.split("-")[0], **numbers)
            assert abs(found - expected) < mpf(10) ** -14


STORAGE = [
    p
    for p in EVERY_FORMULA
    if "constraint" in (p.values[0].experiment or {}) or "entropy" in p.values[0].observables
]


@pytest.mark.parametrize("formula", STORAGE)
def test_entropy_of_a_storage_problem_is_its_potential(formula: rp.Formula):
    assert formula.observables["entropy"] == formula.potential


@pytest.mark.parametrize("formula", EVERY_FORMULA)
def test_the_potential_is_an_observable(formula: rp.Formula):
    assert formula.observables["potential"] == formula.potential


# ---- one step of symmetry breaking contains the replica-symmetric system ------------------------


@pytest.mark.parametrize("m", [0.2, 0.7])
def test_one_step_with_equal_overlaps_is_replica_symmetric(m: float):
    family = rp.formulas["spherical-perceptron"]
    one, none = family(rsb=1), family(rsb=0)
    broken = compile_kernel((*one.unknowns, *symbols_of(one)), (one.potential,))
    plain = compile_kernel((*none.unknowns, *symbols_of(none)), (none.potential,))
    (with_step,) = broken(0.6, 0.6, m, 1.3, -0.4)
    (without,) = plain(0.6, 1.3, -0.4)
    assert float(with_step) == pytest.approx(float(without), rel=1e-13)


def test_one_step_with_m_one_forgets_the_inner_overlap():
    """At m = 1 the inner average is the annealed one: only q0 remains."""
    family = rp.formulas["spherical-perceptron"]
    one, none = family(rsb=1), family(rsb=0)
    broken = compile_kernel((*one.unknowns, *symbols_of(one)), (one.potential,))
    plain = compile_kernel((*none.unknowns, *symbols_of(none)), (none.potential,))
    (with_step,) = broken(0.3, np.array([0.4, 0.7, 0.9]), 1.0, 1.3, -0.4)
    (without,) = plain(0.3, 1.3, -0.4)
    np.testing.assert_allclose(with_step, float(without), rtol=1e-12)


@pytest.mark.parametrize("kappa", [-0.5, -1.0])
@pytest.mark.parametrize("q0", [0.5, 0.8])
def test_one_step_capacity_is_the_limit_of_its_potential(kappa: float, q0: float):
    """Where q1 -> 1 and m = mu (1 - q1) -> 0, the entropy's leading order vanishes at alpha_G."""
    one = rp.formulas["spherical-perceptron"](rsb=1)
    declared = one.thresholds["alpha_G"]
    mu_symbol = next(s for s in declared.over if str(s) == "mu")
    q0_symbol = next(s for s in declared.over if str(s) == "q0")
    value = compile_kernel((q0_symbol, mu_symbol, one.controls["kappa"].symbol), (declared.value,))
    potential = compile_kernel((*one.unknowns, *symbols_of(one)), (one.potential,))
    mu = 4.0
    (limit,) = value(q0, mu, kappa)

    def zero(gap: float) -> float:
        """Alpha at which the entropy, times m, vanishes: affine in alpha."""
        at_zero, at_one = potential(q0, 1 - gap, mu * gap, np.array([1e-12, 1.0]), kappa)[0]
        return float(-at_zero / (at_one - at_zero))

    gaps = np.array([4e-5, 2e-5, 1e-5])
    found = np.array([zero(gap) for gap in gaps])
    # the correction is of order gap * log(gap): fit it away
    table = np.stack([np.ones(3), gaps, gaps * np.log(gaps)], axis=1)
    assert np.linalg.solve(table, found)[0] == pytest.approx(float(limit), rel=1e-5)


def symbols_of(formula: rp.Formula) -> list[Any]:
    return [control.symbol for control in formula.controls.values()]


@pytest.mark.parametrize("formula", for_mpmath())
def test_kernels_agree_with_mpmath_at_random_points(formula: rp.Formula):
    """Every equation and observable in double precision, within its own bound of the truth."""
    arguments = (*formula.unknowns, *symbols_of(formula))
    expressions = (*formula.residuals.values(), *formula.observables.values())
    fast = compile_kernel(arguments, expressions)
    exact = precise(arguments, expressions)
    for at in random_points(formula, 2):
        numbers = [at[str(symbol)] for symbol in arguments]
        truths, _ = exact([mpf(number) for number in numbers], 25)
        for refinement, useful in ((0, 1.0), (2, 1e-11)):
            found = fast.bounded(*numbers, refinement=refinement)
            for row, truth in zip(found, truths, strict=True):
                assert abs(mpmath.mpf(float(row.value)) - truth) <= float(row.bound)
                assert float(row.bound) < useful * (1 + abs(float(truth)))


# ---- the error is honest up to q = 1 ------------------------------------------------------------

OVERLAPS = (0.0, 1e-8, 0.3, 0.9, 0.99, 0.999, 1 - 1e-5, 1 - 1e-8)


def check_honest(formula: rp.Formula, kappa: float, overlap: float, digits: int) -> None:
    """Equations and observables of one overlap (and conjugate) against mpmath."""
    arguments = (*formula.unknowns, *symbols_of(formula))
    expressions = (*formula.residuals.values(), *formula.observables.values())
    at = {"q": overlap, "qhat": overlap / (1 - overlap), "alpha": 0.7, "kappa": kappa}
    numbers = [at[str(symbol)] for symbol in arguments]
    truths, _ = precise(arguments, expressions)([mpf(number) for number in numbers], digits)
    for refinement in (0, 2):
        found = compile_kernel(arguments, expressions).bounded(*numbers, refinement=refinement)
        for row, truth in zip(found, truths, strict=True):
            with mp.workdps(digits + 10):
                assert abs(mpf(float(row.value)) - truth) <= float(row.bound)
    # and of use: 1 - q loses digits as it must, nothing else does
    gap = 1 - overlap
    for row, truth in zip(found, truths, strict=True):
        assert float(row.bound) <= 1e-12 / gap * (abs(float(truth)) + 1 / gap)


@pytest.mark.parametrize("overlap", OVERLAPS)
def test_errors_are_honest_up_to_q_one(overlap: float):
    check_honest(rp.formulas["binary-perceptron"], 0.5, overlap, 18)


@pytest.mark.slow
@pytest.mark.parametrize("kappa", [-3.0, -1.0, 0.0, 1.0, 5.0])
@pytest.mark.parametrize("overlap", OVERLAPS)
@pytest.mark.parametrize("name", ["binary-perceptron", "spherical-perceptron"])
def test_errors_are_honest_up_to_q_one_at_every_margin(name: str, overlap: float, kappa: float):
    target = rp.formulas[name]
    check_honest(target() if isinstance(target, rp.Family) else target, kappa, overlap, 40)
