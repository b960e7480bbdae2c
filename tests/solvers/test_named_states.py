"""Folds, crossings, cusps, roots and instabilities of named states, which are followed."""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import replace

import literature
import numpy as np
import pytest
from solvers.spins import T, alpha, hopfield, m, q, three_spin
from sympy import Interval, Rational, S, cosh, erf, exp, log, oo, pi, sqrt, symbols

import replica as rp

lam = symbols("lambda", positive=True)
r, C = symbols("r C", nonnegative=True)
h = symbols("h", real=True)
x, y, a, b = symbols("x y a b", real=True)


def hopfield_at_zero_temperature(**thresholds: object) -> rp.Formula:
    v = alpha * r
    return rp.Formula(
        name="hopfield-ground-state",
        title="Hopfield network at T = 0",
        potential=-(m**2) / 2
        + alpha / (2 * (1 - C))
        - alpha * r * C / 2
        - alpha / 2
        + m * erf(m / sqrt(2 * v))
        + sqrt(2 * v / pi) * exp(-(m**2) / (2 * v)),
        overlaps={m: Interval(0, 1), C: Interval.open(0, 1)},
        conjugates={C: r},
        controls={alpha: (Interval.open(0, 1), None)},
        starts={"retrieval": {m: 1, C: Rational(1, 100)}, "glass": {m: 0, C: S.Half}},
        thresholds=thresholds,
    )


def spiked(weights: dict, rho: object, **thresholds: object) -> rp.Formula:
    """A spiked Wigner matrix with a discrete prior of second moment rho (Lelarge & Miolane)."""
    v = lam * q

    def evidence(x0: object) -> object:
        body = sum(p * exp(v * w * x0 - v * w**2 / 2 + w * h) for w, p in weights.items())
        return rp.Mean(log(body), (h, v))

    return rp.Formula(
        name="spiked-wigner",
        title="Spiked Wigner matrix",
        potential=sum(p * evidence(w) for w, p in weights.items()) - lam * q**2 / 4,
        overlaps={q: Interval(0, rho)},
        controls={lam: (Interval.open(0, oo), None)},
        starts={"uninformed": {q: rho / 10**6}, "informed": {q: rho}},
        thresholds=thresholds,
    )


def gauss_bernoulli(**thresholds: object) -> rp.Formula:
    rho, v = Rational(1, 20), lam * q

    def evidence(variance: object) -> object:
        wide = rho / sqrt(1 + v) * exp(h**2 / (2 * (1 + v)))
        return rp.Mean(log(1 - rho + wide), (h, variance))

    return rp.Formula(
        name="spiked-gauss-bernoulli",
        title="Spiked Wigner matrix",
        potential=(1 - rho) * evidence(v) + rho * evidence(v + v**2) - lam * q**2 / 4,
        overlaps={q: Interval(0, rho)},
        controls={lam: (Interval.open(0, oo), None)},
        starts={"uninformed": {q: Rational(1, 10**6)}, "informed": {q: rho}},
        thresholds=thresholds,
    )


def merging() -> rp.Formula:
    """The spherical 3-spin glass with the state in which the breaking is none, m = 1."""
    return three_spin(
        subspaces={"merged": {m: 1}},
        thresholds={"T_s": rp.Root(m - 1, in_=T), "T_d": rp.Fold(T, of="merged")},
    )


TRANSITION = {
    "spinodal": rp.Fold(lam, of="informed"),
    "it": rp.Crossing(lam, between=("uninformed", "informed")),
    "amp": rp.Fold(lam, of="uninformed"),
    "stability": rp.Instability(in_=lam, at={q: 0}),
    "left": rp.Instability(in_=lam, of="uninformed"),
}
SPARSE = {0: Rational(19, 20), 1: Rational(1, 40), -1: Rational(1, 40)}


@pytest.mark.parametrize(
    ("formula", "controls", "expected"),
    [
        (
            hopfield_at_zero_temperature(
                alpha_c=rp.Fold(alpha, of="retrieval"),
                alpha_1=rp.Crossing(alpha, between=("retrieval", "glass")),
            ),
            {},
            {"alpha_c": 0.1379055664949, "alpha_1": 0.0518543309189171},
        ),
        (
            hopfield(
                thresholds={
                    "alpha_c": rp.Fold(alpha, of="retrieval"),
                    "alpha_1": rp.Crossing(alpha, between=("retrieval", "glass")),
                }
            ),
            {"T": 0.1},
            {"alpha_c": 0.1350491897736, "alpha_1": 0.053091550496},
        ),
        pytest.param(
            spiked(SPARSE, Rational(1, 20), **TRANSITION),
            {},
            {
                "spinodal": 288.566961954,
                "it": 298.923720363803,
                "amp": 402.163004765,
                "stability": 400.0,  # 1 / rho^2
                "left": 400.0,
            },
            marks=pytest.mark.slow,
        ),
        pytest.param(
            gauss_bernoulli(**TRANSITION),
            {},
            {"spinodal": 154.26965769499, "it": 164.46614049141, "amp": 400.185222170},
            marks=pytest.mark.slow,
        ),
        (
            merging(),
            {},
            {"T_s": 0.5860539724174, "T_d": math.sqrt(3 / 8)},
        ),
    ],
    ids=lambda case: case.name if isinstance(case, rp.Formula) else "",
)
def test_thresholds_of_the_literature(formula: rp.Formula, controls: dict, expected: dict):
    """No start is typed but the rough places of the states, and none costs more than seconds."""
    for name, value in expected.items():
        begin = time.process_time()
        found = rp.threshold(formula, name, **controls)
        assert time.process_time() - begin < 10
        assert found.status == rp.Status.CONVERGED
        assert abs(found.value - value) <= found.error + 2e-12 * value  # digits of the figures


@pytest.mark.slow
def test_a_glass_loses_its_stability_where_its_overlap_vanishes():
    """The transition to the paramagnet of the Hopfield model is at T = 1 + sqrt(alpha)."""
    formula = hopfield(
        thresholds={
            "T_g": rp.Instability(in_=T, of="glass"),
            "T_M": rp.Fold(T, of="retrieval"),
        }
    )
    found = rp.threshold(formula, "T_g", alpha=0.05)
    assert found.value == pytest.approx(1 + math.sqrt(0.05), abs=1e-12)
    assert found.overlaps["q"] == 0
    assert 0.4 < rp.threshold(formula, "T_M", alpha=0.05).value < 0.6


def test_digits_of_thresholds_of_states():
    formula = merging()
    assert rp.threshold(formula, "T_d", digits=30).text == "0.612372435695794524549321018676"
    assert rp.threshold(formula, "T_s", digits=30).text.startswith("0.5860539724173")
    wells = tilted(0.25, 1.0, 0.3, crossing=rp.Crossing(a, between=("left", "right")))
    assert rp.threshold(wells, "crossing", digits=25).text == "0.25" + 23 * "0"


def tilted(shift: float, width: float, angle: float, **thresholds: object) -> rp.Formula:
    """A quartic with two wells, coupled to a second overlap: crossing at a = shift."""
    c, s = math.cos(angle), math.sin(angle)
    u, v = c * x + s * y, -s * x + c * y
    u = u.subs({})
    return rp.Formula(
        name="two-wells",
        title="Two wells",
        potential=-(u**4) / 4 + width * u**2 / 2 + (a - shift) * u - 2 * (v - u**2 / 3) ** 2,
        overlaps={x: Interval(-9, 9), y: Interval(-9, 9)},
        controls={a: (Interval(-20, 20), None)},
        starts={
            "left": {x: -c * math.sqrt(width), y: -s * math.sqrt(width)},
            "right": {x: c * math.sqrt(width), y: s * math.sqrt(width)},
        },
        thresholds=thresholds,
    )


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "count"), [(7, 1), pytest.param(8, 5, marks=pytest.mark.slow)])
def test_random_wells_against_their_closed_form(seed: int, count: int):
    """Folds at a - shift = -+ 2 (width / 3)^(3/2), the crossing where both wells are equal."""
    generator = np.random.default_rng(seed)
    for _ in range(count):
        shift, width, angle = generator.uniform([-2, 0.2, 0], [2, 3, 6.28])
        formula = tilted(
            shift,
            width,
            angle,
            left=rp.Fold(a, of="left"),
            right=rp.Fold(a, of="right", upper=False),
            crossing=rp.Crossing(a, between=("left", "right")),
        )
        size = 2 * (width / 3) ** 1.5
        expected = {"left": shift + size, "right": shift - size, "crossing": shift}
        for name, value in expected.items():
            found = rp.threshold(formula, name)
            assert abs(found.value - value) <= found.error + 1e-13
            assert found.status == rp.Status.CONVERGED


def scan(weights: dict[float, float], rho: float) -> tuple[float, float, float]:
    """Return spinodal, crossing and end of the uninformed state, by plain numpy.

    On the curve lambda(v) = v / q(v), with v = lambda q.
    """
    nodes, mass = np.polynomial.hermite_e.hermegauss(120)
    mass = mass / mass.sum()
    w, p = np.array(list(weights)), np.array(list(weights.values()))
    v = np.geomspace(1e-3, 60, 8_000)[:, None, None, None]
    overlap, free = np.zeros(v.size), np.zeros(v.size)
    for x0, p0 in zip(w, p, strict=True):
        field = v * x0 + np.sqrt(v) * nodes[None, :, None, None]
        score = np.log(p) + field * w - v * w**2 / 2
        top = score.max(axis=-1, keepdims=True)
        weight = np.exp(score - top)
        mean = (weight * w).sum(axis=-1) / weight.sum(axis=-1)
        entropy = top[..., 0] + np.log(weight.sum(axis=-1))
        overlap += p0 * x0 * (mean[..., 0] @ mass)
        free += p0 * (entropy[..., 0] @ mass)
    v = v.ravel()
    curve = v / overlap
    potential = free - curve * overlap**2 / 4
    turns = np.flatnonzero(np.diff(np.sign(np.diff(curve)))) + 1
    top, bottom = turns[0], turns[-1]
    rising = slice(bottom, None)
    change = np.flatnonzero(np.diff(np.sign(potential[rising])))[0] + bottom
    share = potential[change] / (potential[change] - potential[change + 1])
    it = curve[change] + share * (curve[change + 1] - curve[change])
    return float(curve[bottom]), float(it), float(curve[top])


@pytest.mark.slow
def test_random_discrete_priors_against_a_scan():
    generator = np.random.default_rng(3)
    for _ in range(2):
        density = Rational(int(generator.integers(20, 60)), 1000)
        size = Rational(int(generator.integers(80, 130)), 100)
        weights = {0: 1 - density, size: density / 2, -size: density / 2}
        formula = spiked(weights, density * size**2, **TRANSITION)
        plain = {float(w): float(p) for w, p in weights.items()}
        expected = scan(plain, float(density * size**2))
        for name, value in zip(("spinodal", "it", "amp"), expected, strict=True):
            assert rp.threshold(formula, name).value == pytest.approx(value, rel=2e-5)


@pytest.mark.slow
def test_the_two_folds_of_a_state_meet_at_a_cusp():
    formula = rp.Formula(
        name="blurred",
        title="Two wells that merge",
        potential=-(x**4) / 4 + (1 - b) * x**2 / 2 + (a - b / 3) * x - (y - x / 2) ** 2 / 2,
        overlaps={x: Interval(-5, 5), y: Interval(-5, 5)},
        controls={a: (Interval(-3, 3), None), b: (Interval(0, 3), None)},
        starts={"left": {x: -1, y: -1}, "right": {x: 1, y: 1}},
        thresholds={s: rp.Cusp((b, a), of=s) for s in ("left", "right")},
    )
    for name in ("left", "right"):
        found = rp.threshold(formula, name)
        assert found.value == pytest.approx(1, abs=1e-10)
        assert found.controls["a"] == pytest.approx(1 / 3, abs=1e-10)


def test_one_side_of_a_crossing_may_be_another_formula():
    """What is left at an edge of the domain, in the same controls."""
    edge = rp.Formula(
        name="edge",
        title="Edge",
        potential=-((y - a) ** 2) / 2 + a / 2 + Rational(1, 5),
        overlaps={y: Interval(-5, 5)},
        controls={a: (Interval(-20, 20), None)},
    )
    formula = tilted(0.0, 1.0, 0.0, a_c=rp.Crossing(a, between=("right", edge)))
    found = rp.threshold(formula, "a_c")
    u = np.roots([-1, 0, 1, found.value]).real.max()
    height = found.value / 2 + 1 / 5
    assert -(u**4) / 4 + u**2 / 2 + found.value * u == pytest.approx(height, abs=1e-10)
    assert found.overlaps["y_edge"] == pytest.approx(found.value, abs=1e-10)


@pytest.mark.slow
def test_roots_along_a_state_and_next_to_a_control():
    potential = spiked(
        SPARSE,
        Rational(1, 20),
        informed=rp.Root("potential", in_=lam, of="informed"),
        near=rp.Root("potential", in_=lam, start={lam: 300}),
    )
    for name in ("informed", "near"):
        assert rp.threshold(potential, name).value == pytest.approx(298.923720363803, rel=1e-12)


@pytest.mark.slow
def test_several_roots_are_listed_and_the_state_says_which():
    wells = tilted(
        0.0,
        1.0,
        0.0,
        both=rp.Root(x**2 + x * a - Rational(11, 10), in_=a),
        zero=rp.Root((x - 1) * (x - Rational(5, 4)), in_=a, of="right"),
    )
    found = rp.threshold(wells, "zero")
    assert found.value == pytest.approx(0, abs=1e-12)
    assert found.note == "also at a = 0.703125"  # x^3 - x at 5 / 4
    assert "also at a = " in rp.threshold(wells, "both").note


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda: rp.Fold(a, of="lefd"), "unknown state .*'lefd'; did you mean left"),
        (lambda: rp.Crossing(a, between=("left", "riht")), "did you mean right"),
        (lambda: rp.Crossing(a, between=("left", "left")), "the states left and left are the same"),
        (lambda: rp.Crossing(a, between=("left", 3)), "neither the name of a state nor a formula"),
        (lambda: rp.Crossing(b, between=("left", "right")), "b is not a control"),
        (lambda: rp.Fold(b, of="left"), "b is not a control"),
        (lambda: rp.Crossing(a, between=("left", three_spin())), "the control T of spherical-3"),
        (lambda: rp.Crossing(a, between="left"), "between two states"),
        (lambda: rp.Instability(in_=a), "needs the saddle point that becomes unstable"),
        (lambda: rp.Instability(at={x: 0}), "needs the control in_"),
        (lambda: rp.Root("potential", in_=a, of="up"), "unknown state"),
        (lambda: rp.Root("potential", in_=a, of="left", at={x: 0}), "leave out at"),
        (lambda: rp.Fold(a, of="left", start={x: 1, a: 0}), "not both"),
        (lambda: rp.Cusp((b, a), of="left"), "b is not a control"),
    ],
)
def test_what_names_no_state_is_refused_where_it_is_declared(declare, message: str):
    with pytest.raises((rp.DeclarationError, rp.UnknownName), match=message) as caught:
        tilted(0.0, 1.0, 0.0, wrong=declare())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("width", "declared", "message"),
    [
        (-1.0, rp.Crossing(a, between=("left", "right")), "never coexist.* left was found from"),
        (-1.0, rp.Fold(a, of="left"), "does not turn back"),
        (1.0, rp.Fold(a, of="left", upper=False), "does not turn back"),
        (1.0, rp.Root(x - 7, in_=a, of="right"), "along the state right, .* does not reach 0"),
    ],
)
def test_what_a_state_does_not_do_is_said(width: float, declared: object, message: str):
    places = {"left": {x: -1, y: 0}, "right": {x: 1, y: 0}}
    formula = rp.Formula(
        name="wells",
        title="Wells",
        potential=-(x**4) / 4 + width * x**2 / 2 + a * x - (y - x / 3) ** 2,
        overlaps={x: Interval(-9, 9), y: Interval(-9, 9)},
        controls={a: (Interval(-20, 20), None)},
        starts=places,
        thresholds={"it": declared},
    )
    with pytest.raises(rp.ThresholdNotFound, match=message) as caught:
        rp.threshold(formula, "it")
    assert "\n" not in str(caught.value)


def test_potentials_that_are_never_equal_are_given_at_both_ends():
    formula = rp.Formula(
        name="uneven",
        title="One well is always lower",
        potential=-(x**4) / 4 + x**2 / 2 + x / 10 + a * y - y**2 / 2,
        overlaps={x: Interval(-2, 2), y: Interval(-2, 2)},
        controls={a: (Interval(-1, 1), None)},
        starts={"left": {x: -1, y: 0}, "right": {x: 1, y: 0}},
        thresholds={"it": rp.Crossing(a, between=("left", "right"))},
    )
    with pytest.raises(rp.ThresholdNotFound, match=r"never equal.* -0\.19.*, to -0\.19"):
        rp.threshold(formula, "it")


def test_all_signs_of_eigenvalues_are_seen_with_several_overlaps():
    """A state that symmetry keeps at x = y = 0 becomes unstable in x first, at a = 1."""
    for first, second in itertools.permutations((1.0, 1.7)):
        formula = rp.Formula(
            name="two-symmetries",
            title="Two symmetries",
            potential=-a * x**2 / 2
            + log(cosh(first * a * x))
            - a * y**2 / 2
            + log(cosh(second * a * y)),
            overlaps={x: Interval(-2, 2), y: Interval(-2, 2)},
            controls={a: (Interval.open(0, 5), None)},
            thresholds={"it": rp.Instability(in_=a, at={x: 0, y: 0})},
        )
        found = rp.threshold(formula, "it")
        assert found.value == pytest.approx(1 / 1.7**2, abs=1e-12)
        assert found.note == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ratio", "transition", "end"),
    [(1, 1.10852123875475, 1.322077), (2, 0.98405112363, 1.165926)],
)
def test_two_layers_of_signs_where_the_hidden_one_is_recovered(ratio, transition, end):
    """What is left where the hidden variables are known is a formula of its own: one layer."""
    layers = literature.two_layers()
    end_of_branch = rp.Fold(alpha, of="uninformed")
    two = replace(layers, thresholds={**layers.thresholds, "alpha_AMP": end_of_branch})
    found = rp.threshold(two, "alpha_IT", ratio=ratio)
    assert found.value == pytest.approx(transition, abs=6e-12)
    assert rp.threshold(two, "alpha_AMP", ratio=ratio).value == pytest.approx(end, abs=6e-7)
