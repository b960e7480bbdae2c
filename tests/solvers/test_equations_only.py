"""Formulas that are equations, and formulas that are limits: no potential is needed."""

from __future__ import annotations

import dataclasses
import json
import pickle

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
from sympy import Eq, Interval, Max, Rational, log, oo, sqrt, symbols, tanh

import replica as rp
from replica.show import formula_json, formula_text

alpha, b, rho = symbols("alpha b rho", real=True)
Delta = symbols("Delta", nonnegative=True)
V, A = symbols("V A", positive=True)
m = symbols("m", real=True)
h = symbols("h", real=True)

RIDGE = rp.Formula(
    name="ridge",
    title="Gaussian weights, linear labels, by state evolution",
    equations={V: 1 / (1 + A), A: alpha / (Delta + V)},
    overlaps={V: Interval.open(0, 1), A: Interval.open(0, oo)},
    controls={alpha: (Interval.open(0, oo), None), Delta: (Interval(0, oo), 0.1)},
    observables={"mse": V},
    thresholds={
        "alpha_half": rp.Root(V - Rational(1, 2), in_=alpha),
        "alpha_twice": rp.Instability(2 * V, in_=alpha),
    },
)
MAGNET = rp.Formula(
    name="magnet",
    title="Spins in a random field, Glauber dynamics",
    equations={m: rp.Mean(tanh(b * m + h), (h, rho))},
    overlaps={m: Interval.open(-1, 1)},
    controls={b: (Interval.open(0, 5), None), rho: (Interval(0, 5), 1)},
)


def ridge(alpha: float, delta: float) -> float:
    """Return V (Delta + V + alpha) = Delta + V, solved."""
    half = (delta + alpha - 1) / 2
    return float(-half + np.sqrt(half**2 + delta))


def test_a_saddle_point_of_equations():
    found = rp.solve(RIDGE, alpha=1.5)
    assert found.V == pytest.approx(ridge(1.5, 0.1), abs=1e-14)
    assert found["mse"] == found.V
    assert abs(found.V - ridge(1.5, 0.1)) <= found.error
    assert "potential" not in found.to_dict()
    json.dumps(found.to_dict())
    with pytest.raises(rp.UnknownName, match="potential"):
        found.potential  # noqa: B018
    grid = rp.sweep(RIDGE, alpha=[0.5, 1.0, 2.0], Delta=[0.1, 1.0])
    expected = [[ridge(a, d) for d in (0.1, 1.0)] for a in (0.5, 1.0, 2.0)]
    assert grid["mse"] == pytest.approx(np.array(expected), abs=1e-13)


def test_a_mean_in_an_equation():
    def field(z: float, m: float) -> float:
        return float(np.tanh(2 * m + np.sqrt(0.3) * z) * np.exp(-z * z / 2) / np.sqrt(2 * np.pi))

    root = brentq(lambda m: m - quad(field, -10, 10, args=(m,), epsabs=1e-13)[0], 0.1, 0.999)
    assert rp.solve(MAGNET, b=2, rho=0.3, start={m: 0.9}).m == pytest.approx(root, abs=1e-11)


def test_thresholds_of_equations():
    # V = 1/2: 1/2 = (Delta + V) / (Delta + V + alpha)
    assert rp.threshold(RIDGE, "alpha_half", Delta=0.3).value == pytest.approx(0.8, abs=1e-13)
    assert rp.threshold(RIDGE, "alpha_twice", Delta=0.3).value == pytest.approx(0.8, abs=1e-12)
    text = rp.threshold(RIDGE, "alpha_half", Delta=Rational(3, 10), digits=25).text
    assert text.rstrip("0") in ("0.8", "0.7" + "9" * 24)


def test_a_fold_of_equations():
    x = symbols("x", positive=True)
    folded = rp.Formula(
        name="folded",
        title="alpha = x - x^3 turns at 1/sqrt(3)",
        equations={x: x + alpha - x + x**3},
        overlaps={x: Interval.open(0, oo)},
        controls={alpha: (Interval.open(0, oo), None)},
        thresholds={"alpha_AMP": rp.Fold(alpha)},
    )
    top = 2 / (3 * np.sqrt(3))
    assert rp.threshold(folded, "alpha_AMP").value == pytest.approx(top, abs=1e-13)
    (fold,) = rp.branches(folded, alpha=(0.1, 1)).folds
    assert fold.value == pytest.approx(top, abs=1e-8)
    assert "maximum" in rp.branches(folded, alpha=(0.1, 1)).to_text()


def test_a_trajectory_of_equations():
    found = rp.trajectory(MAGNET, b=2, rho=0, steps=20, start={m: 0.1})
    expected = 0.1
    for step in range(21):
        assert found["m"][step] == pytest.approx(expected, abs=1e-14)
        expected = np.tanh(2 * expected)


def test_how_equations_show():
    assert RIDGE.equations == (Eq(V, 1 / (1 + A)), Eq(A, alpha / (Delta + V)))
    assert RIDGE._repr_latex_().count("&=") == 2
    text = formula_text(RIDGE, RIDGE, 80)
    assert "Saddle-point equations, stated" in text
    assert "phi" not in text
    shown = formula_json(RIDGE, RIDGE)
    assert shown["potential"] is None
    assert shown["equations"] == ["V = 1/(A + 1)", "A = alpha/(Delta + V)"]
    assert pickle.loads(pickle.dumps(RIDGE)) == RIDGE
    renamed = dataclasses.replace(RIDGE, title="another")
    assert renamed.equations == RIDGE.equations
    assert renamed != RIDGE


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"equations": {V: 1 / (1 + A)}}, "no equation for A"),
        ({"equations": {V: A, A: V, m: V}}, "the update of m is of no overlap"),
        ({"equations": {V: A, A: "V"}}, "the update of A: must be a sympy expression"),
        ({"equations": [Eq(V, A)]}, "must be a mapping of each overlap to what it equals"),
        ({"equations": {V: A, A: V}, "potential": V * A}, "leave potential out"),
        ({"equations": {V: A, A: V}, "updates": {V: A}}, "leave updates out"),
        ({"equations": {V: A, A: m}}, "unbound symbol m"),
        ({"equations": {}}, "the potential must be a sympy expression"),
        ({"thresholds": {"alpha_IT": rp.Crossing(alpha)}}, "a Crossing compares potentials"),
        (
            {"thresholds": {"c": rp.Cases(alpha, ((True, rp.Crossing(alpha)),))}},
            "a Cases compares potentials",
        ),
        ({"thresholds": {"c": rp.Root("potential", in_=alpha)}}, "potential"),
    ],
)
def test_bad_equations(changes, words):
    parts = {
        "name": "ridge",
        "title": "Ridge",
        "equations": {V: 1 / (1 + A), A: alpha / (Delta + V)},
        "overlaps": {V: Interval.open(0, 1), A: Interval.open(0, oo)},
        "controls": {alpha: (Interval.open(0, oo), None), Delta: (Interval(0, oo), 0.1)},
    }
    with pytest.raises(rp.ReplicaError, match=words) as caught:
        rp.Formula(**{**parts, **changes})
    assert "\n" not in str(caught.value)
    assert "ridge" in str(caught.value)


def test_equilibrium_needs_a_potential():
    for call in (rp.solve, rp.sweep):
        with pytest.raises(rp.ControlError, match="start='equilibrium' is the state of the larg"):
            call(RIDGE, alpha=[1.5, 2.0], start="equilibrium")


def test_a_formula_of_limits_alone():
    limits = rp.Formula(
        name="trees",
        title="Known in closed form",
        controls={alpha: (Interval.open(0, oo), None), b: (Interval.open(1, oo), 3)},
        thresholds={
            "alpha_KS": rp.Limit(1 / b**2),
            "alpha_c": rp.Limit(log(1 + V) / V - Max(b, 2) * V, over={V: (Interval(0, 9), 0.3)}),
        },
    )
    assert rp.threshold(limits, "alpha_KS", b=4).value == pytest.approx(1 / 16)
    assert rp.sweep(limits, "alpha_KS", b=[2, 5])["alpha_KS"] == pytest.approx([1 / 4, 1 / 25])
    assert limits.observables == {}
    text = formula_text(limits, limits, 80)
    assert "Overlaps" not in text
    assert "alpha_KS" in text
    for verb, value in ((rp.solve, 1), (rp.trajectory, 1), (rp.sweep, [1, 2])):
        with pytest.raises(rp.DeclarationError, match="trees: there are no overlaps") as caught:
            verb(limits, alpha=value)
        assert "alpha_KS, alpha_c" in str(caught.value)
    with pytest.raises(rp.DeclarationError, match="there are no overlaps"):
        rp.branches(limits, alpha=(1, 2))
    with pytest.raises(rp.DeclarationError, match="needs equations"):
        rp.Formula(
            name="trees",
            title="A root is none of a branch",
            controls={alpha: (Interval.open(0, oo), None)},
            thresholds={"alpha_c": rp.Root(alpha - sqrt(2), in_=alpha)},
        )
