"""Risk minimisation: figures of an independent code, limits, identities, and bad input."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy.special import expit, ndtr
from sympy import Max, exp, log, symbols

import replica as rp
from replica.numerics.kernel import compile_kernel

FAMILY = rp.formulas["empirical-risk"]
RISK = {loss: FAMILY(loss=loss) for loss in ("square", "logistic", "hinge", "max-margin")}
BAYES = rp.formulas["bayes-optimal-glm"](prior="gaussian", channel="sign")

# eps_g for a sign teacher, from an independent code; of the last digit some were cut, some rounded
LAST_DIGIT = 1e-6
Y, U = symbols("y u", real=True)
SIGN = [
    ("square", 0.5, {1e-3: 0.339293, 0.1: 0.329179, 1: 0.323624}),
    ("square", 1, {1e-3: 0.399289, 0.1: 0.275382, 1: 0.258695}),
    ("square", 2, {1e-3: 0.205800, 0.1: 0.195533, 1: 0.187763}),
    ("square", 5, {1e-3: 0.114962, 0.1: 0.114397, 1: 0.113894}),
    ("logistic", 0.5, {1e-3: 0.324047, 0.1: 0.322751, 1: 0.329722}),
    ("logistic", 1, {1e-3: 0.257307, 0.1: 0.255865, 1: 0.271170}),
    ("logistic", 2, {1e-3: 0.177626, 0.1: 0.179662, 1: 0.205150}),
    ("logistic", 5, {1e-3: 0.084815, 0.1: 0.096037, 1: 0.124055}),
    ("hinge", 0.5, {0.1: 0.328850, 1: 0.328236}),
    ("hinge", 1, {0.1: 0.265684, 1: 0.268394}),
    ("hinge", 2, {0.1: 0.185542, 1: 0.201885}),
    ("hinge", 5, {0.1: 0.096029, 1: 0.123906}),
]
MARGINS = {
    0.5: (0.328850, 1.256380),
    1: (0.265711, 0.786549),
    2: (0.188479, 0.454577),
    5: (0.093827, 0.196709),
}


@pytest.mark.parametrize(("loss", "alpha", "errors"), SIGN)
def test_generalisation_error_of_a_sign_teacher(loss, alpha, errors):
    found = rp.solve(RISK[loss], alpha=alpha, lambda_=list(errors))
    assert found.converged.all()
    np.testing.assert_allclose(found["eps_g"], list(errors.values()), rtol=0, atol=LAST_DIGIT)
    assert (found.errors["eps_g"] < 1e-9).all()


@pytest.mark.parametrize("alpha", MARGINS)
def test_largest_margin(alpha):
    found = rp.solve(RISK["max-margin"], alpha=alpha)
    assert found["eps_g"] == pytest.approx(MARGINS[alpha][0], abs=LAST_DIGIT)
    assert found["margin"] == pytest.approx(MARGINS[alpha][1], abs=LAST_DIGIT)


# ---- the equations, written a second time in plain numpy ----------------------------------------

GRID = np.linspace(-12, 12, 400_001)
WEIGHT = np.exp(-(GRID**2) / 2) / np.sqrt(2 * np.pi) * (GRID[1] - GRID[0])


def logistic_force(omega, V):
    low, high = omega.copy(), omega + V
    for _ in range(70):
        middle = 0.5 * (low + high)
        below = middle - V * expit(-middle) < omega
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    eta = 0.5 * (low + high)
    bend = expit(eta) * expit(-eta)
    return expit(-eta), bend / (1 + V * bend)


def hinge_force(omega, V):
    inside = (omega < 1).astype(float) - (omega < 1 - V)
    return np.clip((1 - omega) / V, 0, 1), inside / V


def squared_hinge_force(omega, V):
    return np.maximum(0, 1 - omega) / (1 + V), (omega < 1) / (1 + V)


SQUARED_HINGE = rp.Loss(Max(0, 1 - Y * U) ** 2 / 2, y=Y, u=U, name="squared hinge")


@pytest.mark.parametrize(
    ("loss", "force", "alpha", "strength", "slack"),
    [
        ("logistic", logistic_force, 1, 1e-3, 1e-9),
        ("logistic", logistic_force, 5, 0.1, 1e-9),
        (SQUARED_HINGE, squared_hinge_force, 2, 0.3, 1e-4),  # a grid without the kinks
        ("hinge", hinge_force, 2, 0.1, 1e-4),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_a_second_implementation_agrees(loss, force, alpha, strength, slack):
    found = rp.solve(FAMILY, loss=loss, alpha=alpha, lambda_=strength)
    m, q, V = found.m, found.q, found.V
    omega = np.sqrt(q) * GRID
    spread = np.sqrt(1 - m * m / q)
    law = ndtr(m / np.sqrt(q) * GRID / spread)
    density = np.exp(-((m / np.sqrt(q) * GRID / spread) ** 2) / 2) / np.sqrt(2 * np.pi) / spread
    pull, curvature = force(omega, V)
    a_V = 2 * np.sum(WEIGHT * law * curvature)
    a_q = 2 * np.sum(WEIGHT * law * pull**2)
    a_m = 2 * np.sum(WEIGHT * density * pull)
    D = strength + alpha * a_V
    assert V == pytest.approx(1 / D, rel=slack)
    assert m == pytest.approx(alpha * a_m / D, rel=slack)
    assert q == pytest.approx(((alpha * a_m) ** 2 + alpha * a_q) / D**2, rel=slack)


# ---- exact results ------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.5, 2.0, 5.0])
def test_ridge_without_a_penalty(alpha):
    """The limit of a vanishing penalty is known in closed form on both sides of the peak."""
    s, v = np.sqrt(2 / np.pi), 1 - 2 / np.pi
    if alpha < 1:
        cosine = s * alpha / np.sqrt(s**2 * alpha + v * alpha / (1 - alpha))
        found = rp.solve(RISK["square"], alpha=alpha, lambda_=1e-7)
    else:
        cosine = s / np.sqrt(s**2 + v / (alpha - 1))
        found = rp.solve(RISK["square"], alpha=alpha, lambda_=0)
    assert found["eps_g"] == pytest.approx(np.arccos(cosine) / np.pi, abs=1e-7)


def test_linear_regression_with_the_best_penalty_is_bayes_optimal():
    """A Gaussian prior and Gaussian noise make the posterior mean a ridge estimate."""
    ridge = FAMILY(loss="square", teacher="linear")
    bayes = rp.formulas["bayes-optimal-glm"](prior="gaussian", channel="linear")
    alpha = np.array([0.3, 1, 3])
    found = rp.solve(ridge, alpha=alpha, lambda_=0.4, Delta=0.4)
    best = rp.solve(bayes, alpha=alpha, Delta=0.4)
    np.testing.assert_allclose(found["eps_g"], best["mse"], atol=1e-11)


@pytest.mark.parametrize("alpha", [0.5, 1, 2, 5])
def test_nothing_beats_bayes_and_tuned_logistic_regression_nearly_does(alpha):
    gap = {0.5: 1.150e-5, 1: 3.149e-5, 2: 5.300e-5, 5: 4.474e-5}[alpha]
    strength = {0.5: 0.044728, 1: 0.031558, 2: 0.016266, 5: 0.003970}[alpha]
    best = rp.solve(BAYES, alpha=alpha)["eps_bayes"]
    found = rp.solve(RISK["logistic"], alpha=alpha, lambda_=[strength, 0.1, 1])["eps_g"]
    assert (found > best).all()
    assert found[0] - best == pytest.approx(gap, abs=1e-8)
    assert rp.solve(RISK["max-margin"], alpha=alpha)["eps_g"] > best


@pytest.mark.parametrize("alpha", [0.5, 2])
def test_a_small_penalty_leads_to_the_largest_margin(alpha):
    margin = rp.solve(RISK["max-margin"], alpha=alpha)
    hinge = rp.solve(RISK["hinge"], alpha=alpha, lambda_=1e-6)
    assert hinge["eps_g"] == pytest.approx(margin["eps_g"], abs=1e-10)
    assert hinge.q == pytest.approx(margin.q, rel=1e-8)
    path = rp.solve(RISK["logistic"], alpha=alpha, lambda_=[1e-4, 1e-6, 1e-8])["eps_g"]
    distance = np.abs(path - margin["eps_g"])
    assert (np.diff(distance) < 0).all()  # as one over the logarithm of the penalty


def test_losses_of_equal_curvature_agree_where_the_penalty_is_large():
    """Then the fields are small, and the slope at zero is all that counts."""
    found = [rp.solve(FAMILY(loss=name), alpha=2, lambda_=1e4) for name in ("square", "hinge")]
    assert found[0]["eps_g"] == pytest.approx(found[1]["eps_g"], abs=1e-4)


# ---- identities ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"loss": "logistic"},
        {"loss": "hinge", "penalty": "l1"},
        {"loss": "huber", "teacher": "linear", "penalty": "l1"},
        {"loss": "max-margin", "teacher": "probit"},
    ],
    ids=str,
)
def test_the_stated_updates_are_the_derivatives_of_the_potential(options):
    """At a random point, which is no saddle point, by differences of the potential."""
    formula = FAMILY(**options)
    controls = {"alpha": 1.7, "lambda_": 0.3, "rho": 1.2, "Delta": 0.4}
    parameters = [controls[name] for name in formula.controls]
    symbols_ = tuple(c.symbol for c in formula.controls.values())
    point = {"m": 0.6, "q": 0.9, "V": 1.4, "mhat": 0.5, "Vhat": 0.7, "qhat": 0.45}
    unknowns = formula.unknowns
    place = np.array([point[str(s)] for s in unknowns])
    potential = compile_kernel((*unknowns, *symbols_), (formula.potential,))
    updates = compile_kernel(
        (*unknowns, *symbols_), tuple(formula.residuals[s] + s for s in unknowns)
    )

    def slope(name: str) -> float:
        k, step = [str(s) for s in unknowns].index(name), 1e-4
        ends = []
        for side in (2, 1, -1, -2):
            moved = place.copy()
            moved[k] += side * step
            ends.append(float(potential(*moved, *parameters)[0]))
        return (-ends[0] + 8 * ends[1] - 8 * ends[2] + ends[3]) / (12 * step)

    stated = dict(zip(map(str, unknowns), updates(*place, *parameters), strict=True))
    # the potential is -(m mhat + (V qhat - q Vhat) / 2 + ...)
    for varied, conjugate, factor in (("m", "mhat", 1), ("V", "qhat", 0.5), ("q", "Vhat", -0.5)):
        assert -slope(varied) == pytest.approx(
            factor * (point[conjugate] - float(stated[conjugate])), abs=1e-9
        )
        assert -slope(conjugate) == pytest.approx(
            factor * (point[varied] - float(stated[varied])), abs=1e-9
        )


@pytest.mark.parametrize(
    "options",
    [
        {"loss": "square", "lambda_": 0.3},
        {"loss": "logistic", "lambda_": 0.05},
        {"loss": "hinge", "lambda_": 0.3, "penalty": "l1"},
        {"loss": "absolute", "lambda_": 0.2, "teacher": "linear", "Delta": 0.5},
        {"loss": "max-margin"},
    ],
    ids=str,
)
def test_the_potential_is_minus_the_risk_per_weight(options):
    found = rp.solve(FAMILY, alpha=2, **options)
    assert found.potential == pytest.approx(-2 * found["training_objective"], abs=1e-12)
    if options.get("penalty", "l2") == "l2":
        penalty = options.get("lambda_", 1) * found.q / 2
        loss = found["training_loss"] if "lambda_" in options else 0
        assert found["training_objective"] == pytest.approx(loss + penalty / 2, abs=1e-9)
    if options["loss"] != "max-margin":
        assert found["test_loss"] > found["training_loss"]


def test_noise_on_labels_is_not_counted_in_eps_g():
    found = rp.solve(FAMILY, loss="hinge", alpha=2, lambda_=1, Delta=0.7, rho=1.4)
    angle = np.arccos(found.m / np.sqrt(found.q * 2.1)) / np.pi
    assert found["test_error"] == pytest.approx(angle, abs=1e-11)
    assert found["eps_g"] < found["test_error"]


def test_state_evolution_ends_at_the_saddle_point():
    path = rp.trajectory(RISK["logistic"], alpha=2, lambda_=0.1, steps=200)
    assert path["eps_g"][-1] == pytest.approx(0.17966239286095, abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["logistic", "hinge"])
def test_many_digits(loss):
    found = rp.solve(RISK[loss], alpha=2, lambda_=0.1, digits=18)
    double = rp.solve(RISK[loss], alpha=2, lambda_=0.1)
    assert len(found.texts["eps_g"]) >= 18
    assert float(found.texts["eps_g"]) == pytest.approx(double["eps_g"], abs=1e-13)
    assert abs(double["eps_g"] - found["eps_g"]) <= double.errors["eps_g"]


# ---- separability -------------------------------------------------------------------------------

CANDES_SUR = {
    0.5: 0.4816124561,
    1: 0.4389390669,
    2: 0.3449301284,
    3: 0.2725216026,
    5: 0.1850518580,
    10: 0.0989587964,
    20: 0.0504298652,
}


@pytest.mark.parametrize("signal", CANDES_SUR)
def test_logistic_labels_are_separable_up_to(signal):
    found = rp.threshold(FAMILY, "alpha_sep", teacher="logistic", rho=signal**2)
    assert 1 / found.value == pytest.approx(CANDES_SUR[signal], abs=6e-11)
    assert found.error < 1e-11


def test_separability_without_a_signal_is_covers():
    assert rp.threshold(FAMILY, "alpha_sep", teacher="probit", rho=1e-12).value == pytest.approx(2)


def test_separability_is_where_the_margin_vanishes():
    """Two formulas: a minimum over one number, and a saddle point of three order parameters."""
    end = rp.threshold(FAMILY, "alpha_sep", teacher="probit", rho=2).value
    below = np.array([0.97, 0.98, 0.99])
    hard = FAMILY(loss="max-margin", teacher="probit")
    margin = rp.solve(hard, alpha=below * end, rho=2)["margin"]
    steps = np.polyfit(margin, below, 2)  # the margin vanishes linearly
    assert steps[-1] == pytest.approx(1, abs=1e-4)
    assert rp.solve(hard, alpha=1.0001 * end, rho=2, check=False).status == rp.Status.NO_SADDLE


@pytest.mark.slow
def test_the_maximum_likelihood_estimate_of_sur_and_candes():
    """p/n = 0.2, signal^2 = 5: bias, spread and response, rescaled to patterns of norm one."""
    found = rp.solve(FAMILY, loss="logistic", teacher="logistic", alpha=5, lambda_=0, rho=5)
    assert found.m / 5 == pytest.approx(1.499350, abs=1e-6)
    assert np.sqrt(5 * (found.q - found.m**2 / 5)) == pytest.approx(4.743553, abs=1e-6)
    assert found.V == pytest.approx(3.026926, abs=1e-6)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"loss": "logistic", "alpha": 2, "lambda_": 0}, "linearly separable.*at every alpha"),
        (
            {"loss": "logistic", "teacher": "logistic", "alpha": 2, "lambda_": 0},
            "linearly separable.*alpha_sep = 2.27822",
        ),
        ({"loss": "hinge", "teacher": "probit", "alpha": 2, "lambda_": 0}, "alpha_sep = 2.69535"),
        ({"loss": "square", "alpha": 0.5, "lambda_": 0}, "many minimisers"),
        ({"loss": "max-margin", "teacher": "probit", "alpha": 3}, "alpha_sep = 2.69535"),
    ],
    ids=str,
)
def test_where_there_is_no_minimiser_the_reason_is_given(options, words):
    with pytest.raises(rp.ConvergenceError, match=words) as caught:
        rp.solve(FAMILY, **options)
    assert caught.value.solution.status == rp.Status.NO_SADDLE
    assert "\n" not in str(caught.value)


def test_a_grid_marks_the_points_without_a_minimiser():
    found = rp.solve(RISK["square"], alpha=[[0.5, 2.0]], lambda_=[[0.0], [0.1]])
    wanted = [[rp.Status.NO_SADDLE, rp.Status.CONVERGED], [rp.Status.CONVERGED] * 2]
    assert found.status.tolist() == wanted
    assert np.isnan(found["eps_g"][0, 0])


def test_close_to_separability_it_still_converges():
    """A small penalty on both sides of the threshold, where plain iteration takes 1000 steps."""
    end = rp.threshold(FAMILY, "alpha_sep", teacher="probit").value
    found = rp.solve(
        FAMILY,
        loss="logistic",
        teacher="probit",
        alpha=end * np.linspace(0.9, 1.1, 9),
        lambda_=1e-6,
    )
    assert found.converged.all()
    assert found.steps < 100


# ---- options and bad input ----------------------------------------------------------------------


def test_a_loss_of_ones_own_in_a_line():
    formula = FAMILY(loss=rp.Loss(log(1 + exp(-Y * U)), y=Y, u=U))
    own = rp.solve(formula, alpha=2, lambda_=[0.1, 1e-3])
    shipped = rp.solve(RISK["logistic"], alpha=2, lambda_=[0.1, 1e-3])
    np.testing.assert_allclose(own["eps_g"], shipped["eps_g"], atol=1e-11)
    assert pickle.loads(pickle.dumps(formula)) == formula


def test_a_steep_loss_of_ones_own():
    found = rp.solve(FAMILY, loss=rp.Loss(exp(-Y * U), y=Y, u=U), alpha=1, lambda_=0.2)
    assert found.status == rp.Status.CONVERGED
    assert found["eps_g"] > rp.solve(BAYES, alpha=1)["eps_bayes"]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"loss": "hnge"}, rp.UnknownName, "did you mean hinge"),
        ({"penalty": "l3"}, rp.UnknownName, "l1, l2"),
        ({"teacher": "door"}, rp.UnknownName, "linear, logistic, probit, sign"),
        ({"loss": 3}, rp.ControlError, "nor a ConvexLoss"),
        ({"loss": "hinge", "teacher": "linear"}, rp.DeclarationError, "function of the residual"),
        ({"alpha": 2, "lambda_": -0.1}, rp.ControlError, r"outside \[0, inf\)"),
        ({"alpha": 2}, rp.ControlError, "lambda_ is missing"),
        ({"alpha": 2, "lambda_": 1, "loss": "max-margin"}, rp.UnknownName, "'lambda_'"),
        ({"alpha": -2, "lambda_": 1}, rp.ControlError, "alpha = -2"),
    ],
    ids=str,
)
def test_bad_input(options, error, words):
    with pytest.raises(error, match=words) as caught:
        rp.solve(FAMILY, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"teacher": "sign"}, "separable at every alpha"),
        ({"teacher": "linear", "loss": "square"}, "continuous labels"),
    ],
    ids=str,
)
def test_thresholds_that_do_not_exist(options, words):
    with pytest.raises(rp.ThresholdNotFound, match=words):
        rp.threshold(FAMILY, "alpha_sep", **options)
