"""Tuning a control: exact optima, honest errors, and what has no optimum."""

from __future__ import annotations

import numpy as np
import pytest
from sympy import Interval, cos, exp, log, oo, symbols

import replica as rp

RISK = rp.formulas["empirical-risk"]
RIDGE = RISK(loss="square")
LOGISTIC = RISK(loss="logistic")

# from an independent code, which minimised the value: 11 digits of it, 6 of the control
TUNED = {
    "logistic": {
        0.5: (0.044728, 0.322407),
        1: (0.031558, 0.254404),
        2: (0.016266, 0.174587),
        5: (0.003970, 0.083980),
    },
    "hinge": {
        0.5: (0.5793, 0.326698),
        1: (0.3423, 0.262413),
        2: (0.1426, 0.184975),
        5: (0.02937, 0.091600),
    },
}


@pytest.mark.parametrize("alpha", [0.5, 1, 2, 5])
def test_the_best_ridge_penalty_is_the_same_for_every_alpha(alpha):
    found = rp.optimise(RIDGE, "eps_g", over="lambda_", alpha=alpha)
    assert abs(found.optimum - (np.pi / 2 - 1)) <= found.optimum_error
    assert found.optimum == pytest.approx(np.pi / 2 - 1, abs=1e-8)
    assert found.solution["training_objective"] == pytest.approx(1 / 2 - 1 / np.pi, abs=1e-9)
    known = {0.5: 0.322845, 1: 0.257075, 2: 0.186028, 5: 0.113401}[alpha]
    assert found.value == pytest.approx(known, abs=1e-6)
    assert found.status == rp.Status.CONVERGED


@pytest.mark.parametrize(
    ("loss", "alpha"),
    [
        pytest.param(loss, alpha, marks=() if alpha == 2 else pytest.mark.slow)
        for loss, table in TUNED.items()
        for alpha in table
    ],
)
def test_tuned_classifiers(loss, alpha):
    found = rp.optimise(RISK, "eps_g", over="lambda_", loss=loss, alpha=alpha)
    strength, error = TUNED[loss][alpha]
    assert found.optimum == pytest.approx(strength, abs=5.1e-7 if loss == "logistic" else 5.1e-5)
    assert found.value == pytest.approx(error, abs=1e-6)
    assert found.error < 1e-9


def test_the_value_is_flat_there():
    found = rp.optimise(LOGISTIC, "eps_g", over="lambda_", alpha=2)
    assert found.curvature > 0
    for step in (-1e-3, 1e-3):
        moved = rp.solve(LOGISTIC, alpha=2, lambda_=found.optimum + step)["eps_g"]
        rise = found.curvature * step**2 / 2
        assert moved > found.value
        assert moved - found.value == pytest.approx(rise, rel=0.15)
    assert found.optimum_error > found.error
    assert float(found) == found.optimum == found.controls["lambda_"]
    assert "smallest eps_g = 0.1745871" in repr(found)


def toy(body, control, domain):
    """One overlap x, which is the control: the observable is a function of it."""
    x = symbols("x", real=True)
    return rp.Formula(
        name="toy",
        title="An overlap that follows a control",
        potential=-((x - control) ** 2) / 2,
        overlaps={x: Interval(-10, 10)},
        controls={control: (domain, None)},
        observables={"height": body(x)},
    )


def test_a_control_of_either_sign():
    kappa = symbols("kappa", real=True)
    formula = toy(lambda x: (x + 1) ** 2 + 3, kappa, Interval(-4, 4))
    found = rp.optimise(formula, "height", over="kappa")
    assert found.optimum == pytest.approx(-1, abs=1e-12)
    assert (found.value, found.curvature) == (pytest.approx(3), pytest.approx(2, rel=1e-6))


def test_the_lowest_of_several():
    kappa = symbols("kappa", real=True)
    formula = toy(lambda x: cos(3 * x) + x / 10, kappa, Interval(-4, 4))
    found = rp.optimise(formula, "height", over="kappa")
    places = np.linspace(-4, 4, 400_001)
    lowest = places[np.argmin(np.cos(3 * places) + places / 10)]
    assert found.optimum == pytest.approx(lowest, abs=1e-4)
    here = rp.optimise(formula, "height", over="kappa", between=(0.5, 2))
    assert 0.5 < here.optimum < 2


def test_the_greatest():
    c = symbols("c", positive=True)
    formula = toy(lambda x: x * exp(-x), c, Interval(0, oo))
    found = rp.optimise(formula, "height", over="c", maximise=True)
    assert found.optimum == pytest.approx(1, abs=1e-11)
    assert found.value == pytest.approx(np.exp(-1), abs=1e-13)
    assert found.curvature == pytest.approx(-np.exp(-1), rel=1e-6)


@pytest.mark.slow
def test_without_a_symbolic_slope():
    """A logistic teacher makes a mean within a mean, of which only differences are taken."""
    found = rp.optimise(
        RISK(loss="logistic", teacher="logistic"), "eps_g", over="lambda_", alpha=2, rho=4
    )
    near = rp.solve(found.formula, alpha=2, rho=4, lambda_=found.optimum * np.array([0.9, 1.1]))
    assert (near["eps_g"] > found.value).all()
    assert found.optimum_error < 1e-3


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"over": "lambda_", "alpha": 2, "lambda_": 1}, rp.ControlError, "is tuned"),
        ({"over": "lamda", "alpha": 2}, rp.UnknownName, "did you mean lambda_"),
        ({"over": "lambda_"}, rp.ControlError, "alpha is missing"),
        ({"over": "lambda_", "alpha": [1, 2]}, rp.ControlError, "one value of alpha"),
        ({"over": "lambda_", "alpha": 2, "between": (2, 1)}, rp.ControlError, "increasing"),
        ({"over": "lambda_", "alpha": 2, "between": (-1, 1)}, rp.ControlError, "the domain"),
        ({"over": "lambda_", "alpha": 2, "between": 3}, rp.ControlError, "two numbers"),
        (
            {"over": "lambda_", "alpha": 2, "between": (1, 2)},
            rp.ConvergenceError,
            "no optimum inside the range between lambda_ = 1 and 2: it is least at the lower end",
        ),
        ({"over": "alpha", "lambda_": 1}, rp.ConvergenceError, "least at the upper end"),
    ],
    ids=str,
)
def test_bad_input(given, error, words):
    with pytest.raises(error, match=words) as caught:
        rp.optimise(RIDGE, "eps_g", **given)
    assert "\n" not in str(caught.value)


def test_an_unknown_quantity():
    with pytest.raises(rp.UnknownName, match="did you mean eps_g"):
        rp.optimise(RIDGE, "eps_q", over="lambda_", alpha=2)


@pytest.mark.parametrize(("alpha", "error"), [(100, 1e-6), (1000, 1e-4), (10_000, 1e-2)])
def test_the_best_ridge_penalty_does_not_depend_on_the_number_of_patterns(alpha, error):
    """Where the generalisation error is flat in the penalty the error of the optimum says so."""
    found = rp.optimise(rp.formulas["empirical-risk"], "eps_g", over="lambda_", alpha=alpha)
    assert found.status == rp.Status.CONVERGED
    assert abs(found.optimum - (np.pi / 2 - 1)) <= found.optimum_error < error


def test_an_optimum_on_the_way_of_which_probes_are_inaccurate():
    found = rp.optimise(
        rp.formulas["empirical-risk"], "eps_g", over="lambda_", alpha=100, loss="hinge"
    )
    assert 7e-5 < found.optimum < 9e-5
    assert found.optimum_error < 1e-2 * found.optimum


def test_the_range_that_was_solved_is_named():
    """Beyond the separability threshold no weights have a margin: the range ends before it."""
    risk, at = rp.formulas["empirical-risk"], {"loss": "max-margin", "teacher": "probit", "rho": 4}
    with pytest.raises(rp.ConvergenceError, match="no saddle point was found at") as caught:
        rp.optimise(risk, "margin", over="alpha", **at)
    high = float(str(caught.value).split("alpha = ")[1].split(" and ")[1].split(":")[0])
    separable = rp.threshold(risk, "alpha_sep", teacher="probit", rho=4).value
    assert separable / 5 < high < separable


@pytest.mark.slow
def test_a_range_next_to_no_angle_is_whole():
    """Where the angle to the teacher is too small for doubles, the optimum says what it knows."""
    found = rp.optimise(
        rp.formulas["empirical-risk"], "eps_g", over="lambda_", alpha=10_000, loss="hinge"
    )
    assert found.status is rp.Status.INACCURATE
    beside = rp.solve(
        rp.formulas["empirical-risk"], alpha=10_000, loss="hinge", lambda_=1e-3, check=False
    )
    assert found.value < beside["eps_g"]


# ---- edges, failed places and infinity ----------------------------------------------------------


def test_an_optimum_at_an_end_that_belongs_to_the_domain():
    kappa = symbols("kappa", real=True)
    rises = toy(lambda x: (x + 5) ** 2, kappa, Interval(-4, 4))
    for sign, place in ((False, -4), (True, 4)):
        found = rp.optimise(rises, "height", over="kappa", maximise=sign)
        assert (found.optimum, found.place) == (place, "edge")
        assert found.value == pytest.approx((place + 5) ** 2, abs=1e-12)
        assert "end of its domain" in repr(found)
        assert found.to_dict()["place"] == "edge"
        assert "curvature" not in found.to_text()
    inside = rp.optimise(toy(lambda x: x**2, kappa, Interval(-4, 4)), "height", over="kappa")
    assert (inside.place, inside.note) == ("interior", "")


def test_an_end_that_does_not_belong_to_the_domain_is_no_optimum():
    kappa = symbols("kappa", real=True)
    opened = toy(lambda x: x, kappa, Interval.open(-4, 4))
    with pytest.raises(rp.ConvergenceError, match="least at the lower end"):
        rp.optimise(opened, "height", over="kappa")


@pytest.mark.parametrize("seed", range(4))
def test_an_optimum_at_infinity_says_what_it_tends_to(seed):
    rng = np.random.default_rng(seed)
    limit, power = float(rng.normal()), float(rng.uniform(0.4, 2.5))
    c = symbols("c", positive=True)
    falls = toy(lambda x: limit + (1 + x) ** -power, c, Interval.open(0, oo))
    wide = rp.Formula(
        name="wide",
        title="An overlap that follows a control",
        potential=falls.potential,
        overlaps={next(iter(falls.overlaps)): Interval(0, oo)},
        controls={c: (Interval.open(0, oo), None)},
        observables={"height": falls.observables["height"]},
    )
    with pytest.raises(rp.ConvergenceError, match="as c -> inf it tends to") as caught:
        rp.optimise(wide, "height", over="c")
    said = str(caught.value).split("tends to ")[1].split(" ")[0]
    assert float(said) == pytest.approx(limit, abs=1e-4)
    with pytest.raises(rp.ConvergenceError, match="goes on without a limit"):
        rp.optimise(toy_of_a_logarithm(c), "height", over="c")


def toy_of_a_logarithm(c):
    x = symbols("x", real=True)
    return rp.Formula(
        name="endless",
        title="An observable that falls for ever",
        potential=-((x - c) ** 2) / 2,
        overlaps={x: Interval(0, oo)},
        controls={c: (Interval.open(0, oo), None)},
        observables={"height": -log(1 + x)},
    )


def test_a_place_that_fails_is_no_end(monkeypatch):
    """Where a solve fails next to the optimum the neighbours beyond it bracket the optimum."""
    from replica.solvers import optimise as module

    kappa = symbols("kappa", real=True)
    formula = toy(lambda x: (x - 0.7) ** 2 + 3, kappa, Interval(-4, 4))
    whole = module._Place.on_grid

    def failing(self, grid):
        heights = whole(self, grid)
        best = int(np.argmin(heights))
        if heights.size > 3:
            heights[[best - 1, best + 1, best + 2]] = np.inf
        return heights

    monkeypatch.setattr(module._Place, "on_grid", failing)
    found = rp.optimise(formula, "height", over="kappa")
    assert found.optimum == pytest.approx(0.7, abs=1e-11)
    assert found.place == "interior"
