"""Systems with answers in closed form: nothing in the solvers knows the perceptrons."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import optimize, stats
from sympy import Interval, Rational, S, cosh, exp, log, oo, symbols, tanh

import replica as rp
from replica.solvers.curve import explicit_curve

beta, field = symbols("beta field", real=True)
alpha, kappa = symbols("alpha kappa", real=True)
m, mhat = symbols("m mhat", real=True)
q, qhat = symbols("q qhat", nonnegative=True)
h, z = symbols("h z", real=True)

TEMPERATURE = {beta: (Interval.open(0, 50), None)}
MAGNETISATION = {m: Interval.open(-1, 1)}


def curie_weiss(paired: bool) -> rp.Formula:
    """Return the mean-field ferromagnet, with the conjugate of m or with it eliminated."""
    if paired:
        potential = beta * m**2 / 2 - m * mhat + log(2 * cosh(mhat))
    else:
        potential = -beta * m**2 / 2 + log(2 * cosh(beta * m))
    response = beta * (1 - tanh(beta * m) ** 2)
    origin = {m: S.Zero, mhat: S.Zero} if paired else {m: S.Zero}
    return rp.Formula(
        name="curie-weiss",
        title="Ferromagnet with all couplings equal",
        potential=potential,
        overlaps=MAGNETISATION,
        conjugates={m: mhat} if paired else {},
        controls=TEMPERATURE,
        starts={"uninformed": {m: Rational(9, 10)}, "reversed": {m: -Rational(9, 10)}},
        observables={"response": response},
        stability="response",
        thresholds={
            "beta_c": rp.Instability("response", in_=beta, at=origin, doc="onset of order"),
            "beta_half": rp.Root(m - S.Half, in_=beta, doc="half the spins aligned"),
        },
    )


def three_spin() -> rp.Formula:
    """Return the three-spin ferromagnet: a first-order transition."""
    potential = beta * m**3 - m * mhat + rp.LogCosh(mhat) + log(2)
    return rp.Formula(
        name="three-spin",
        title="Ferromagnet with couplings of three spins",
        potential=potential,
        overlaps={m: Interval.Ropen(0, 1)},
        conjugates={m: mhat},
        controls=TEMPERATURE,
        starts={"informed": {m: Rational(95, 100)}},
        thresholds={"beta_c": rp.Root(potential - log(2), in_=beta, doc="equal free entropies")},
    )


def spin_glass() -> rp.Formula:
    """Return the Sherrington-Kirkpatrick model in a field: a mean and no conjugate."""
    potential = beta**2 * (1 - q) ** 2 / 4 + rp.Mean(
        log(2 * cosh(z + beta * field)), (z, beta**2 * q)
    )
    replicon = beta**2 * rp.Mean(rp.Sech(z + beta * field) ** 4, (z, beta**2 * q))
    return rp.Formula(
        name="spin-glass",
        title="Sherrington-Kirkpatrick model",
        potential=potential,
        overlaps={q: Interval.Ropen(0, 1)},
        controls={beta: (Interval.open(0, 50), None), field: (Interval(0, 10), 0)},
        observables={"replicon": replicon},
        stability="replicon",
        thresholds={"field_AT": rp.Instability("replicon", in_=field, doc="AT line in the field")},
    )


def two_species() -> rp.Formula:
    """Return two coupled populations: two overlaps with conjugates and no explicit curve."""
    m1, m2, h1, h2 = symbols("m1 m2 h1 h2", real=True)
    potential = beta * m1 * m2 - m1 * h1 - m2 * h2 + rp.LogCosh(h1) + rp.LogCosh(h2) + 2 * log(2)
    return rp.Formula(
        name="two-species",
        title="Two populations of spins coupled to each other",
        potential=potential,
        overlaps={m1: Interval.open(-1, 1), m2: Interval.open(-1, 1)},
        conjugates={m1: h1, m2: h2},
        controls=TEMPERATURE,
        starts={"uninformed": {m1: Rational(9, 10), m2: Rational(8, 10)}},
        thresholds={"beta_half": rp.Root(m1 - S.Half, in_=beta)},
    )


def magnetisation(b: float) -> float:
    return float(optimize.brentq(lambda x: np.tanh(b * x) - x, 1e-3, 1, xtol=1e-15))


# ---- ferromagnet --------------------------------------------------------------------------------


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("method", ["auto", "newton", "damped", "anderson"])
def test_ferromagnet_orders(paired: bool, method: str):
    formula = curie_weiss(paired)
    for b in (1.3, 2.0, 5.0):
        found = rp.solve(formula, beta=b, method=method)
        assert found.m == pytest.approx(magnetisation(b), abs=1e-11)
        assert abs(found.m - magnetisation(b)) <= found.error + 1e-15
        expected = -b * found.m**2 / 2 + np.log(2 * np.cosh(b * found.m))
        assert found.potential == pytest.approx(expected, abs=1e-13)
        assert found["response"] == pytest.approx(b * (1 - found.m**2), abs=1e-11)
    reversed_ = rp.solve(formula, beta=2.0, start="reversed", method=method)
    assert reversed_.m == pytest.approx(-magnetisation(2.0), abs=1e-11)


@pytest.mark.parametrize("paired", [True, False])
def test_critical_temperature_is_one(paired: bool):
    found = rp.threshold(curie_weiss(paired), "beta_c")
    assert found.value == pytest.approx(1, abs=1e-14)
    assert abs(found.value - 1) <= found.error
    assert found.error < 1e-13
    assert found.overlaps["m"] == 0
    assert rp.threshold(curie_weiss(paired), "beta_c", digits=50).text == "1." + "0" * 49


@pytest.mark.parametrize("paired", [True, False])
def test_a_condition_on_the_overlap_itself(paired: bool):
    """m = 1/2 at beta = 2 artanh(1/2) = log 3."""
    found = rp.threshold(curie_weiss(paired), "beta_half")
    assert found.value == pytest.approx(np.log(3), abs=1e-13)
    assert abs(found.value - np.log(3)) <= found.error + 1e-16
    assert found.overlaps["m"] == pytest.approx(0.5, abs=1e-13)
    precise = rp.threshold(curie_weiss(paired), "beta_half", digits=30)
    assert precise.text == "1.09861228866810969139524523692"  # log 3


def test_instability_of_an_ordered_branch_is_reported_by_the_solution():
    found = rp.solve(curie_weiss(True), beta=2.0, start={"m": 0.0})
    assert found.m == pytest.approx(0, abs=1e-12)
    assert found["response"] == pytest.approx(2.0)
    assert found.validity == "rs-unstable"
    assert rp.solve(curie_weiss(True), beta=2.0).validity == "conjecture"


# ---- first order --------------------------------------------------------------------------------


def test_first_order_transition():
    """Equal free entropies of m = 0 and m > 0: m (mhat) and beta from two equations."""

    def conditions(x: np.ndarray) -> list[float]:
        b, mag = x
        hat = 3 * b * mag**2
        return [mag - np.tanh(hat), b * mag**3 - mag * hat + np.logaddexp(hat, -hat) - np.log(2)]

    expected = optimize.root(conditions, [0.7, 0.95], tol=1e-14).x
    found = rp.threshold(three_spin(), "beta_c")
    assert found.value == pytest.approx(expected[0], abs=1e-12)
    assert found.overlaps["m"] == pytest.approx(expected[1], abs=1e-11)
    assert found.overlaps["m"] > 0.9


def test_below_the_spinodal_only_the_disordered_point_is_left():
    curve = explicit_curve(three_spin())
    assert curve is not None
    points, values = curve.points(np.linspace(0.01, 5, 4000), [])
    spinodal = values.min()
    found = rp.solve(three_spin(), beta=1.02 * spinodal)
    assert found.m > 0.5
    below = rp.solve(three_spin(), beta=0.98 * spinodal, check=False)
    assert below.status != rp.Status.CONVERGED or below.m == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(points[:, 0], np.tanh(points[:, 1]), atol=1e-14)
    np.testing.assert_allclose(values, points[:, 1] / (3 * points[:, 0] ** 2), rtol=1e-12)


# ---- means without conjugate --------------------------------------------------------------------


def glass_by_hand(b: float, f: float) -> tuple[float, float]:
    t = np.linspace(-9, 9, 721)
    density = stats.norm.pdf(t) * (t[1] - t[0])
    overlap = 0.5
    for _ in range(4000):
        overlap = density @ np.tanh(b * (np.sqrt(overlap) * t + f)) ** 2
    replicon = b**2 * density @ np.cosh(b * (np.sqrt(overlap) * t + f)) ** -4.0
    return float(overlap), float(replicon)


@pytest.mark.parametrize(("b", "f"), [(0.7, 0.3), (1.5, 0.5), (2.5, 0.2)])
def test_spin_glass_saddle(b: float, f: float):
    found = rp.solve(spin_glass(), beta=b, field=f)
    overlap, replicon = glass_by_hand(b, f)
    assert found.q == pytest.approx(overlap, abs=1e-11)
    assert found["replicon"] == pytest.approx(replicon, abs=1e-10)
    assert found.validity == ("rs-unstable" if replicon > 1 else "conjecture")


def test_almeida_thouless_line():
    found = rp.threshold(spin_glass(), "field_AT", beta=2)
    expected = optimize.brentq(lambda f: glass_by_hand(2.0, f)[1] - 1, 0.2, 1.5, xtol=1e-13)
    assert found.value == pytest.approx(expected, abs=1e-9)
    assert found.status == rp.Status.CONVERGED


def test_no_almeida_thouless_line_above_the_critical_temperature():
    with pytest.raises(rp.ThresholdNotFound, match="replicon"):
        rp.threshold(spin_glass(), "field_AT", beta=0.8)


# ---- several overlaps ---------------------------------------------------------------------------


def test_two_species():
    formula = two_species()
    assert explicit_curve(formula) is None
    for method in ("auto", "newton", "damped", "anderson"):
        found = rp.solve(formula, beta=2.0, method=method)
        for name in ("m1", "m2"):
            assert found[name] == pytest.approx(magnetisation(2.0), abs=1e-11), method
        for name in ("h1", "h2"):
            assert found[name] == pytest.approx(2 * magnetisation(2.0), abs=1e-11), method
    half = rp.threshold(formula, "beta_half")
    assert half.value == pytest.approx(np.log(3), abs=1e-12)


def test_ordered_overlaps():
    """A bound may be another overlap: 0 <= q0 < q1 < 1, with the answer q0 = a, q1 = b."""
    q0, q1 = symbols("q0 q1", nonnegative=True)
    low, high = symbols("low high", real=True)
    potential = -((q0 - low) ** 2) - (q1 - high) ** 2 - (q0 - low) ** 2 * (q1 - high) ** 2
    formula = rp.Formula(
        name="ordered",
        title="Two ordered overlaps",
        potential=potential,
        overlaps={q0: Interval.Ropen(0, q1), q1: Interval.open(0, 1)},
        controls={low: (Interval(0, 1), 0.25), high: (Interval(0, 1), 0.75)},
    )
    found = rp.solve(formula)
    assert (found["q0"], found["q1"]) == pytest.approx((0.25, 0.75), abs=1e-12)
    # the only stationary point is outside 0 <= q0 < q1
    crossed = rp.solve(formula, low=0.8, high=0.3, check=False)
    assert crossed.status in (rp.Status.NO_SADDLE, rp.Status.LEFT_DOMAIN)
    assert np.isnan(crossed["q0"])


# ---- thresholds of every kind -------------------------------------------------------------------


def bare(**thresholds: Any) -> rp.Formula:
    """Return a formula whose saddle is q = alpha / (1 + alpha)."""
    return rp.Formula(
        name="bare",
        title="A saddle in closed form",
        potential=alpha * log(q) - (1 + alpha) * q,
        overlaps={q: Interval.open(0, 1)},
        controls={alpha: (Interval.open(0, oo), None), kappa: (Interval(-10, 10), 0)},
        observables={"gap": 1 - q, "tilt": q - kappa},
        thresholds=thresholds,
    )


def test_root_of_an_observable_and_of_an_expression():
    formula = bare(
        by_name=rp.Root("tilt", in_=alpha),
        by_expression=rp.Root(q - Rational(1, 4), in_=alpha),
    )
    # q = alpha / (1 + alpha) = kappa
    for k in (0.1, 0.5, 0.9, 0.999):
        found = rp.threshold(formula, "by_name", kappa=k)
        assert found.value == pytest.approx(k / (1 - k), rel=1e-12)
        assert abs(found.value - k / (1 - k)) <= found.error + 4e-16 * found.value
        assert found.overlaps["q"] == pytest.approx(k, abs=1e-13)
    assert rp.threshold(formula, "by_expression").value == pytest.approx(1 / 3, abs=1e-14)
    digits = rp.threshold(formula, "by_expression", digits=25)
    assert digits.text == "0." + "3" * 25


def test_root_that_does_not_exist_says_what_was_scanned():
    formula = bare(never=rp.Root(q + 1, in_=alpha))
    with pytest.raises(rp.ThresholdNotFound, match=r"bare: no never.*alpha.*between"):
        rp.threshold(formula, "never")
    found = rp.threshold(formula, "never", check=False)
    assert np.isnan(found.value)
    assert found.status == rp.Status.NOT_FOUND
    assert "no never" in found.note


def test_instability_reaches_one():
    formula = bare(unstable=rp.Instability(4 * q, in_=alpha))
    found = rp.threshold(formula, "unstable")
    assert found.value == pytest.approx(1 / 3, abs=1e-14)
    assert "instability" in found.method


def test_root_in_two_controls():
    formula = bare(
        point=rp.Root(
            (q - kappa / 2, q * kappa - Rational(1, 2)),
            in_=(alpha, kappa),
            start={alpha: 1, kappa: 1, q: S.Half},
        )
    )
    # q = kappa / 2 and q kappa = 1/2: kappa = 1, q = 1/2, alpha = 1
    found = rp.threshold(formula, "point")
    assert found.value == pytest.approx(1, abs=1e-12)
    assert found.controls["kappa"] == pytest.approx(1, abs=1e-12)


def test_closed_limit():
    formula = bare(
        closed=rp.Limit(1 + kappa**2 + exp(kappa), doc="closed"),
        edge=rp.Limit(kappa, unless=((kappa < 0, "a negative margin has none"),)),
        shaky=rp.Limit(1 + kappa, stability=kappa, caveat="only a bound"),
    )
    found = rp.threshold(formula, "closed", kappa=0.5)
    assert found.value == pytest.approx(1.25 + np.exp(0.5), abs=1e-15)
    assert abs(found.value - (1.25 + np.exp(0.5))) <= found.error
    assert 0 < found.error < 1e-14
    assert found.overlaps == {}
    assert rp.threshold(formula, "closed", digits=20).text == "2." + "0" * 19
    with pytest.raises(rp.ThresholdNotFound, match="a negative margin has none"):
        rp.threshold(formula, "edge", kappa=-1)
    assert rp.threshold(formula, "edge", kappa=2).value == 2
    assert rp.threshold(formula, "shaky", kappa=2).validity == "rs-unstable"
    assert rp.threshold(formula, "shaky", kappa=2).note == "only a bound"
    assert rp.threshold(formula, "shaky", kappa=0.5).validity == "conjecture"
    assert rp.threshold(formula, "shaky", kappa=0.5).note == ""


def test_stationary_limit():
    """min over x, y of x + 1/x + (y - kappa)^2 + kappa = 2 + kappa, at x = 1, y = kappa."""
    x, y = symbols("x y", real=True)
    value = x + 1 / x + (y - kappa) ** 2 + kappa
    positive = Interval.open(0, oo)
    formula = bare(
        least=rp.Limit(value, over={x: (positive, S(3)), y: (Interval(-20, 20), S.Zero)}),
        blind=rp.Limit(value, over={x: (positive, S(10) ** 6), y: (Interval(-20, 20), S.Zero)}),
        absent=rp.Limit(exp(x) + y**2, over={x: (positive, S(1)), y: (Interval(-1, 1), S.Half)}),
    )
    for name in ("least", "blind"):
        found = rp.threshold(formula, name, kappa=1.5)
        assert found.value == pytest.approx(3.5, abs=1e-12)
        assert found.overlaps["x"] == pytest.approx(1, abs=1e-8)
        assert found.overlaps["y"] == pytest.approx(1.5, abs=1e-8)
        assert abs(found.value - 3.5) <= found.error + 1e-15
    assert rp.threshold(formula, "least", digits=30).text == "2." + "0" * 29
    with pytest.raises(rp.ThresholdNotFound, match="stationary"):
        rp.threshold(formula, "absent")


def test_limit_that_is_a_mean():
    formula = bare(mean=rp.Limit(rp.Mean(rp.LogCosh(h), (h, 1 + kappa**2))))
    found = rp.threshold(formula, "mean", kappa=0)
    assert found.value == pytest.approx(0.374567207491438, abs=1e-13)
    expected = 0.374567207491438012
    assert abs(found.value - expected) <= found.error + 1e-15


def test_control_named_by_a_python_keyword():
    strength = symbols("lambda", real=True)
    formula = rp.Formula(
        name="ridge",
        title="A control called lambda",
        potential=-strength * q**2 / 2 + q,
        overlaps={q: Interval.open(0, 10)},
        controls={strength: (Interval.open(0, oo), None)},
        thresholds={"unit": rp.Root(q - 1, in_=strength)},
    )
    assert rp.solve(formula, lambda_=4.0).q == pytest.approx(0.25, abs=1e-14)
    assert rp.threshold(formula, "unit").value == pytest.approx(1, abs=1e-13)
    with pytest.raises(rp.ControlError, match="lambda_"):
        rp.solve(formula, lambda_=-1.0)


# ---- explicit curves ----------------------------------------------------------------------------


def test_every_point_of_an_explicit_curve_is_a_saddle():
    formulas = [
        curie_weiss(True),
        rp.formulas["binary-perceptron"],
        rp.formulas["spherical-perceptron"](),
    ]
    from replica.solvers.system import saddle_system

    for formula in formulas:
        curve = explicit_curve(formula)
        assert curve is not None
        rest = [0.3] * (len(formula.controls) - 1)
        points, values = curve.points(np.array([0.05, 0.2, 0.5, 0.7]), rest)
        controls = [np.full(4, number) for number in rest]
        controls.insert(curve.position, values)
        residual, _ = saddle_system(formula).evaluate(points, controls, 1)
        np.testing.assert_allclose(residual, 0, atol=1e-9)


def test_no_explicit_curve_where_the_control_enters_twice():
    formula = spin_glass()  # beta multiplies and scales
    assert explicit_curve(formula) is None
    assert explicit_curve(formula, field) is None
    assert explicit_curve(rp.formulas["spherical-perceptron"](rsb=1)) is None


def test_potential_without_a_mean():
    potential = -((q - kappa) ** 2) / 2
    formula = rp.Formula(
        name="plain",
        title="Without a mean",
        potential=potential,
        overlaps={q: Interval(0, 20)},
        controls={kappa: (Interval(0, 10), 1)},
    )
    assert rp.solve(formula, kappa=3).q == pytest.approx(3, abs=1e-13)
    # a closed end is a legal answer
    assert rp.solve(formula, kappa=0).q == pytest.approx(0, abs=1e-13)


@pytest.mark.parametrize("spins", [2, 3, 4])
@pytest.mark.parametrize("b", [0.3, 0.9, 2.0, 8.0])
def test_a_ferromagnet_without_declared_starts_is_solved(spins: int, b: float):
    """Its curve beta(m) falls, then rises, and misses the saddle m = 0."""
    formula = rp.Formula(
        name="bare-ferromagnet",
        title="Couplings of several spins, no hint where to start",
        potential=beta * m**spins / spins - m * mhat + rp.LogCosh(mhat) + log(2),
        overlaps=MAGNETISATION,
        conjugates={m: mhat},
        controls=TEMPERATURE,
    )
    for method in ("auto", "newton", "damped"):
        found = rp.solve(formula, beta=b, method=method)
        assert found.m == pytest.approx(np.tanh(b * found.m ** (spins - 1)), abs=1e-9), method
    grid = rp.solve(formula, beta=[b, 1.1 * b])
    assert grid.converged.all()
