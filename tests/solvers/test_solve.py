"""`solve`: grids, methods, starts, tolerances, refusals."""

from __future__ import annotations

import pickle
from decimal import Decimal
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
from sympy import Interval, Rational, exp, oo, symbols

import replica as rp
from replica.solvers.system import saddle_system

BINARY = rp.formulas["binary-perceptron"]
SPHERICAL = rp.formulas["spherical-perceptron"]
SYMMETRIC = rp.formulas["symmetric-binary-perceptron"]

# Thirty digits of the saddle at kappa = 0, by the package and by hand in mpmath (test_precision).
HALF = {"q": 0.322385363223560913, "qhat": 0.668034989535129}


# ---- scalar calls -------------------------------------------------------------------------------


def test_scalar_call_gives_floats():
    found = rp.solve(BINARY, alpha=0.5)
    for value in (found.q, found.qhat, found["entropy"], found.error, found.errors["q"]):
        assert type(value) is float
    assert found.status is rp.Status.CONVERGED
    assert found.converged is True
    assert found.controls == {"alpha": 0.5, "kappa": 0.0}
    assert found.steps > 0
    assert set(found.overlaps) == {"q", "qhat"}
    assert set(found.observables) == {"potential", "entropy", "replicon"}
    assert set(found.errors) == set(found.overlaps) | set(found.observables)
    assert found.error == max(found.errors[name] for name in found.overlaps)


def test_default_control_and_family_options():
    assert rp.solve(BINARY, alpha=0.5).q == rp.solve(BINARY, alpha=0.5, kappa=0).q
    family = rp.solve(SYMMETRIC, alpha=0.5, kappa=1, constraint="u")
    formula = rp.solve(SYMMETRIC(constraint="u"), alpha=0.5, kappa=1)
    assert family.observables == formula.observables
    assert family.formula.options == {"constraint": "u"}


@pytest.mark.parametrize(
    "alpha", [Fraction(1, 2), Decimal("0.5"), mpmath.mpf("0.5"), Rational(1, 2), np.float64(0.5)]
)
def test_every_kind_of_real_number_is_a_control(alpha: Any):
    assert rp.solve(BINARY, alpha=alpha).q == pytest.approx(HALF["q"], abs=1e-14)


def test_saddle_is_stationary_and_the_error_honest():
    found = rp.solve(BINARY, alpha=0.5)
    assert found.q == pytest.approx(HALF["q"], abs=found.errors["q"] + 1e-16)
    assert found.qhat == pytest.approx(HALF["qhat"], abs=found.errors["qhat"] + 1e-15)
    system = saddle_system(BINARY)
    at = np.array([[found.q, found.qhat]])
    residual, _ = system.evaluate(at, [np.array([0.5]), np.array([0.0])], 2)
    np.testing.assert_allclose(residual, 0, atol=1e-14)


# ---- failures -----------------------------------------------------------------------------------


def test_a_failing_scalar_call_raises_and_carries_what_was_found():
    with pytest.raises(rp.ConvergenceError) as caught:
        rp.solve(BINARY, alpha=1.5)
    message = str(caught.value)
    assert "binary-perceptron" in message
    assert "alpha = 1.5" in message
    assert "NO_SADDLE" in message
    assert str(rp.Status.NO_SADDLE) in message
    solution = caught.value.solution
    assert isinstance(solution, rp.Solution)
    assert solution.status == rp.Status.NO_SADDLE
    assert isinstance(caught.value, ArithmeticError)
    assert isinstance(caught.value, rp.ReplicaError)


def test_no_saddle_says_up_to_where_there_is_one():
    found = rp.solve(BINARY, alpha=1.5, check=False)
    assert found.status == rp.Status.NO_SADDLE
    assert not found.converged
    assert "1.2732" in found.note
    for value in (*found.overlaps.values(), *found.observables.values()):
        assert np.isnan(value)
    assert found.validity == ""


def test_too_few_steps_say_so():
    found = rp.solve(BINARY, alpha=0.9, method="damped", max_steps=3, check=False)
    assert found.status == rp.Status.MAX_STEPS
    assert "max_steps" in str(found.status)
    with pytest.raises(rp.ConvergenceError, match="MAX_STEPS"):
        rp.solve(BINARY, alpha=0.9, method="damped", max_steps=3)


def test_tolerance_beyond_double_precision_is_refused():
    found = rp.solve(BINARY, alpha=0.5, tolerance=1e-18, check=False)
    assert found.status == rp.Status.INACCURATE
    assert found.q == pytest.approx(HALF["q"], abs=found.errors["q"])
    with pytest.raises(rp.ConvergenceError, match="INACCURATE"):
        rp.solve(BINARY, alpha=0.5, tolerance=1e-18)


def test_the_remedy_of_an_inaccurate_answer_works():
    """The sentence of INACCURATE advises digits: they must then give the answer."""
    capacity = rp.threshold(SPHERICAL, "alpha_G", kappa=0).value
    for formula, alpha in ((BINARY, 0.9999 * 2 / np.pi * capacity), (BINARY, 0.5)):
        tolerance = 1e-10 if alpha > 1 else 1e-18
        found = rp.solve(formula, alpha=alpha, tolerance=tolerance, check=False)
        if found.status == rp.Status.CONVERGED:
            continue
        assert found.status == rp.Status.INACCURATE
        assert "digits" in str(found.status)
        precise = rp.solve(formula, alpha=alpha, tolerance=tolerance, digits=12)
        assert precise.status == rp.Status.CONVERGED
        assert precise.q == pytest.approx(found.q, abs=found.errors["q"])


def test_the_whole_branch_up_to_its_end_is_found():
    """No point where a saddle exists is called NO_SADDLE."""
    shares = np.array(
        [1e-6, 0.01, 0.1, 0.3, 0.5, 0.7, 0.8, 0.85, 0.9, 0.92, 0.94, 0.96, 0.97, 0.98]
    )
    for kappa in np.linspace(-3, 5, 17):
        end = 2 / np.pi * rp.threshold(SPHERICAL, "alpha_G", kappa=kappa).value
        found = rp.solve(BINARY, alpha=shares * end, kappa=kappa)
        assert found.converged.all(), (kappa, shares[~found.converged])
        assert np.all(np.diff(found.q) > 0)


@pytest.mark.slow
def test_the_whole_branch_up_to_its_end_is_found_one_point_at_a_time():
    shares = np.array([1e-6, 0.1, 0.5, 0.8, 0.9, 0.92, 0.94, 0.96, 0.97, 0.98])
    for kappa in np.linspace(-3, 5, 33):
        end = 2 / np.pi * rp.threshold(SPHERICAL, "alpha_G", kappa=kappa).value
        last = 0.0
        for share in shares:
            found = rp.solve(BINARY, alpha=share * end, kappa=kappa)
            assert found.q > last
            last = found.q


@pytest.mark.parametrize("method", ["newton", "anderson", "damped"])
def test_a_method_that_loses_its_way_does_not_deny_the_saddle(method: str):
    """At alpha = 1.2 there is a saddle (q = 0.918855), wherever an iteration may run."""
    found = rp.solve(BINARY, alpha=1.2, method=method, max_steps=200, check=False)
    if found.status == rp.Status.CONVERGED:
        assert found.q == pytest.approx(0.918855, abs=1e-6)
    else:
        assert found.status in (rp.Status.MAX_STEPS, rp.Status.LEFT_DOMAIN, rp.Status.DIVERGED)


# ---- grids --------------------------------------------------------------------------------------


def test_grid_is_elementwise():
    alphas = np.array([0.5, 1.5, 0.8, 2.0, 1.2])
    found = rp.solve(BINARY, alpha=alphas)
    saddle = np.array([True, False, True, False, True])
    np.testing.assert_array_equal(found.converged, saddle)
    assert found.status.shape == (5,)
    assert (found.status[~saddle] == rp.Status.NO_SADDLE).all()
    for name in (*found.overlaps, *found.observables):
        np.testing.assert_array_equal(np.isfinite(found[name]), saddle)
    assert (found.validity[~saddle] == "").all()
    assert list(found.validity[saddle]) == ["conjecture", "conjecture", "rs-unstable"]
    for k in np.flatnonzero(saddle):
        one = rp.solve(BINARY, alpha=alphas[k])
        for name in (*found.overlaps, *found.observables):
            slack = found.errors[name][k] + one.errors[name]
            assert abs(found[name][k] - one[name]) <= slack


@pytest.mark.parametrize("method", ["newton", "damped", "anderson"])
def test_grid_of_every_method_is_elementwise(method: str):
    alphas = np.array([0.3, 1.5, 0.8])
    found = rp.solve(BINARY, alpha=alphas, method=method, max_steps=300)
    np.testing.assert_array_equal(found.converged, [True, False, True])
    assert np.isnan(found.q[1])
    np.testing.assert_allclose(
        found.q[[0, 2]], rp.solve(BINARY, alpha=alphas[[0, 2]]).q, atol=1e-11, rtol=0
    )


def test_controls_broadcast():
    alpha, kappa = np.array([0.2, 0.4, 0.6]), np.array([[-0.5], [0.3]])
    found = rp.solve(BINARY, alpha=alpha, kappa=kappa)
    assert found.q.shape == (2, 3)
    assert found.status.shape == (2, 3)
    assert found.error.shape == (2, 3)
    assert found["kappa"].shape == (2, 1)
    for i in range(2):
        for j in range(3):
            one = rp.solve(BINARY, alpha=alpha[j], kappa=kappa[i, 0])
            assert found.q[i, j] == pytest.approx(one.q, abs=1e-12)
            assert found["entropy"][i, j] == pytest.approx(one["entropy"], abs=1e-13)


@pytest.mark.parametrize("alpha", [[0.5, 0.6], (0.5, 0.6), np.array([0.5, 0.6], dtype=np.float32)])
def test_sequences_are_grids(alpha: Any):
    found = rp.solve(BINARY, alpha=alpha)
    assert found.q.shape == (2,)
    assert found.q[0] == pytest.approx(HALF["q"], abs=1e-12)


def test_zero_dimensional_array_is_a_scalar_and_one_point_a_grid():
    assert isinstance(rp.solve(BINARY, alpha=np.array(0.5)).q, float)
    assert rp.solve(BINARY, alpha=np.array([0.5])).q.shape == (1,)
    # a grid of one point marks, it does not raise
    assert rp.solve(BINARY, alpha=np.array([1.5])).status[0] == rp.Status.NO_SADDLE


def test_order_of_a_grid_does_not_matter(rng: np.random.Generator):
    alpha, kappa = rng.uniform(0.05, 0.5, 200), rng.uniform(-0.5, 0.5, 200)
    found = rp.solve(BINARY, alpha=alpha, kappa=kappa)
    back = rp.solve(BINARY, alpha=alpha[::-1], kappa=kappa[::-1])
    assert found.converged.all()
    np.testing.assert_allclose(found.q, back.q[::-1], atol=1e-13, rtol=0)


def test_reported_error_covers_a_finer_answer(rng: np.random.Generator):
    """Random points of a grid against digits asked of each."""
    kappa = rng.uniform(-2, 3, 12)
    end = [2 / np.pi * rp.threshold(SPHERICAL, "alpha_G", kappa=k).value for k in kappa]
    alpha = rng.uniform(0.05, 0.85, 12) * end
    found = rp.solve(BINARY, alpha=alpha, kappa=kappa)
    for k in np.flatnonzero(found.converged)[:6]:
        truth = rp.solve(BINARY, alpha=alpha[k], kappa=kappa[k], digits=22)
        for name in ("q", "qhat", "entropy", "replicon"):
            with mpmath.workdps(30):
                off = abs(mpmath.mpf(float(found[name][k])) - mpmath.mpf(truth.texts[name]))
                assert off <= found.errors[name][k], name


# ---- methods and starts -------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.01, 0.5, 1.0])
def test_methods_agree(alpha: float):
    reference = rp.solve(BINARY, alpha=alpha)
    for method in ("newton", "damped", "anderson"):
        found = rp.solve(BINARY, alpha=alpha, method=method)
        for name in ("q", "qhat", "entropy"):
            slack = found.errors[name] + reference.errors[name]
            assert abs(found[name] - reference[name]) <= slack, (method, name)


def test_anderson_takes_fewer_steps_than_damping():
    damped = rp.solve(BINARY, alpha=0.5, method="damped")
    anderson = rp.solve(BINARY, alpha=0.5, method="anderson")
    newton = rp.solve(BINARY, alpha=0.5, method="newton")
    assert anderson.steps < damped.steps / 2
    assert newton.steps < anderson.steps


def test_starts_select_the_branch():
    """Three names and a mapping; an unnamed conjugate follows from its update."""
    u = SYMMETRIC(constraint="u")
    for start in ("correlated", "informed", {"q": 0.3}, {"q": 0.3, "qhat": 0.4}):
        found = rp.solve(u, alpha=0.55, kappa=1, start=start)
        assert found.q == pytest.approx(0.0456, abs=0.1)
        assert found.q > 1e-3
    assert rp.solve(u, alpha=0.55, kappa=1, start="uninformed").q == pytest.approx(0, abs=1e-12)
    symbol = next(iter(u.overlaps))
    by_symbol = rp.solve(u, alpha=0.55, kappa=1, start={symbol: 0.3})
    assert by_symbol.q == pytest.approx(found.q, abs=1e-12)


@pytest.mark.parametrize("start", ["uninformed", "middle", "informed", {"q": 0.1}, {"q": 0.9}])
def test_every_start_leads_to_the_only_saddle(start: Any):
    assert rp.solve(BINARY, alpha=0.5, start=start).q == pytest.approx(HALF["q"], abs=1e-12)


def test_start_works_for_a_grid():
    found = rp.solve(SYMMETRIC, constraint="u", alpha=[0.5, 0.55], kappa=1, start="correlated")
    assert (found.q > 1e-3).all()


@pytest.mark.parametrize(
    ("start", "error", "words"),
    [
        ("warm", rp.UnknownName, "warm"),
        ({"p": 0.5}, rp.UnknownName, "did you mean"),
        ({"q": 1.5}, rp.ControlError, "outside"),
        ({"q": -0.1}, rp.ControlError, "outside"),
        ({"q": 1.0}, rp.ControlError, "outside"),
        ({"qhat": -1.0}, rp.ControlError, "outside"),
        ({"q": float("nan")}, rp.ReplicaError, "q"),
        ({"q": "half"}, rp.ReplicaError, "q"),
        ({"q": [0.1, 0.2]}, rp.ReplicaError, "q"),
        (0.5, rp.DeclarationError, "start"),
        ([0.5, 0.6], rp.DeclarationError, "start"),
    ],
)
def test_bad_starts(start: Any, error: type[Exception], words: str):
    if start == {"p": 0.5}:
        words = "q"
    with pytest.raises(error, match=words):
        rp.solve(BINARY, alpha=0.5, start=start)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"method": "newtn"}, rp.UnknownName, "newton"),
        ({"tolerance": 0.0}, rp.ControlError, "tolerance"),
        ({"tolerance": -1e-9}, rp.ControlError, "tolerance"),
        ({"tolerance": 1.5}, rp.ControlError, "tolerance"),
        ({"tolerance": float("nan")}, rp.ControlError, "tolerance"),
        ({"max_steps": 0}, rp.ControlError, "max_steps"),
        ({"max_steps": -5}, rp.ControlError, "max_steps"),
        ({"kapa": 0.5}, rp.UnknownName, "kappa"),
        ({"alpha": -0.5}, rp.ControlError, "alpha = -0.5 is outside"),
        ({"alpha": 0}, rp.ControlError, "alpha"),
        ({"alpha": float("nan")}, rp.ControlError, "alpha"),
        ({"alpha": float("inf")}, rp.ControlError, "alpha"),
        ({"alpha": 1j}, rp.ControlError, "alpha"),
        ({"alpha": "0.5"}, rp.ControlError, "alpha"),
        ({"alpha": True}, rp.ControlError, "alpha"),
        ({"alpha": [0.5, -1]}, rp.ControlError, "alpha"),
        ({"alpha": [0.5, np.nan]}, rp.ControlError, "alpha"),
        ({"alpha": []}, rp.ControlError, "alpha"),
        ({"alpha": ["0.5"]}, rp.ControlError, "alpha"),
        ({"alpha": None}, rp.ControlError, "alpha is missing"),
        ({"kappa": 11}, rp.ControlError, "kappa"),
        ({"digits": 0}, rp.ControlError, "digits"),
        ({"digits": 201}, rp.ControlError, "200"),
        ({"digits": 1.5}, rp.ControlError, "digits"),
        ({"digits": True}, rp.ControlError, "digits"),
        ({"digits": "30"}, rp.ControlError, "digits"),
        ({"alpha": [0.5, 0.6], "digits": 20}, rp.ControlError, "digits"),
    ],
)
def test_bad_input(given: dict[str, Any], error: type[Exception], words: str):
    with pytest.raises(error, match=words):
        rp.solve(BINARY, **{"alpha": 0.5, **given})


def test_arrays_that_do_not_broadcast():
    with pytest.raises(rp.ControlError, match="alpha"):
        rp.solve(BINARY, alpha=[0.1, 0.2], kappa=[0.1, 0.2, 0.3])


def test_not_a_formula():
    with pytest.raises(rp.DeclarationError, match="formula"):
        rp.solve("binary-perceptron", alpha=0.5)  # type: ignore[arg-type]


def test_option_of_a_family():
    with pytest.raises(rp.ControlError, match="constraint"):
        rp.solve(SYMMETRIC, alpha=0.5, constraint="square")
    with pytest.raises(rp.UnknownName, match="constraint"):
        rp.solve(SYMMETRIC, alpha=0.5, constrain="u")


# ---- tolerance ----------------------------------------------------------------------------------


@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, 1e-9, 1e-12])
@pytest.mark.parametrize("method", ["auto", "damped", "anderson"])
def test_tolerance_is_kept(tolerance: float, method: str):
    found = rp.solve(BINARY, alpha=0.5, method=method, tolerance=tolerance)
    for name in ("q", "qhat"):
        true = abs(found[name] - HALF[name])
        assert true <= found.errors[name] + 1e-15
        assert found.errors[name] <= tolerance * max(1, abs(found[name]))


# ---- a solution that a finer quadrature would move ----------------------------------------------


@pytest.mark.parametrize(("alpha", "q"), [(1.3, 0.99365), (1.5, 0.99513)])
def test_a_grid_artefact_is_never_verified(alpha: float, q: float):
    """What damping with a step of 0.01 converges to is refused by the finer quadrature."""
    system = saddle_system(BINARY)
    controls = [np.array([alpha]), np.array([0.0])]
    start = np.array([[q, 1.0]])
    residual, _ = system.evaluate(start, controls, 1)
    start[0, 1] += residual[0, list(map(str, system.unknowns)).index("qhat")]
    from replica.solvers.verify import verify

    found = verify(system, start, controls, 1e-10)
    assert (found.error > 1e-10 * np.maximum(1, np.abs(found.z))).any()


def test_the_artefact_is_real_on_a_fixed_grid():
    """The same fixed point in numpy on one grid of step 0.01, and how refining moves it."""
    from scipy import special

    found = []
    for step in (0.01, 0.005):
        t = np.arange(-9, 9 + step / 2, step)
        density = np.exp(-(t**2) / 2) / np.sqrt(2 * np.pi) * step
        q = 0.9
        for _ in range(6000):
            x = -np.sqrt(q / (1 - q)) * t
            ratio = np.exp(-(x**2) / 2 - special.log_ndtr(-x)) / np.sqrt(2 * np.pi)
            qhat = 1.3 * density @ ratio**2 / (1 - q)
            q = 0.5 * q + 0.5 * (density @ np.tanh(np.sqrt(qhat) * t) ** 2)
        found.append(q)
    assert found[0] == pytest.approx(0.99365, abs=2e-5)
    assert abs(found[1] - found[0]) > 1e-3


def test_narrow_features_are_resolved():
    """A saddle with a feature of width 1/1000: E tanh(1000 x) tanh(x) of unit Gaussian fields."""
    h = symbols("h", real=True)
    q = symbols("q", nonnegative=True)
    a = symbols("a", real=True)
    potential = -(q**2) / 2 + q * rp.Mean(rp.Tanh(a * h) * rp.Tanh(h), (h, 1))
    formula = rp.Formula(
        name="narrow",
        title="A narrow feature",
        potential=potential,
        overlaps={q: Interval(0, 1)},
        controls={a: (Interval.open(0, oo), None)},
    )
    from scipy import integrate

    for width in (1.0, 100.0, 1e4):
        found = rp.solve(formula, a=width)
        edges = [0, 1 / width, 5 / width, 40 / width, 2, 9]
        truth = sum(
            2
            * integrate.quad(
                lambda t, w=width: np.tanh(w * t) * np.tanh(t) * np.exp(-t * t / 2),
                low,
                high,
                epsabs=1e-15,
            )[0]
            for low, high in zip(sorted(edges)[:-1], sorted(edges)[1:], strict=True)
        ) / np.sqrt(2 * np.pi)
        assert found.q == pytest.approx(truth, abs=1e-12)
        assert abs(found.q - truth) <= found.errors["q"] + 1e-14


# ---- validity and pickling ----------------------------------------------------------------------


def test_validity_follows_the_replicon():
    unstable = rp.threshold(BINARY, "alpha_AT", kappa=0).value
    assert rp.solve(BINARY, alpha=unstable * 0.999).validity == "conjecture"
    assert rp.solve(BINARY, alpha=unstable * 1.001).validity == "rs-unstable"
    assert rp.solve(SPHERICAL, alpha=1.0).validity == "theorem"


def test_solution_travels():
    for found in (rp.solve(BINARY, alpha=0.5), rp.solve(BINARY, alpha=[0.5, 1.5])):
        back = pickle.loads(pickle.dumps(found))
        np.testing.assert_array_equal(back.q, found.q)
        np.testing.assert_array_equal(back["entropy"], found["entropy"])
        assert back.formula == found.formula
        assert repr(back) == repr(found)


def test_exponential_potential_without_a_saddle():
    """d/dq exp(q) never vanishes: the answer is that there is no saddle."""
    q = symbols("q", nonnegative=True)
    a = symbols("a", real=True)
    formula = rp.Formula(
        name="uphill",
        title="No stationary point",
        potential=a * exp(q),
        overlaps={q: Interval.Ropen(0, oo)},
        controls={a: (Interval.open(0, oo), 1)},
    )
    found = rp.solve(formula, check=False)
    assert found.status != rp.Status.CONVERGED
    assert np.isnan(found.q)


@pytest.mark.parametrize("tolerance", [1e-2, 1e-5, 1e-9])
def test_no_tolerance_is_loose_enough_to_make_a_saddle(tolerance: float):
    """Where every residual blows up at an edge, a small Newton step there proves nothing."""
    for formula, alphas, kappa in (
        (SPHERICAL, [2.001, 2.1, 3.0, 1000.0], 0.0),
        (SPHERICAL, [0.53, 0.6, 5.0], 1.0),
        (SPHERICAL, [13.3, 20.0], -1.0),
        (BINARY, [1.2733, 1.28, 1.3, 1.5, 10.0], 0.0),
    ):
        grid = rp.solve(formula, alpha=alphas, kappa=kappa, tolerance=tolerance)
        assert not grid.converged.any()
        assert np.isnan(grid.q).all()
        one = rp.solve(formula, alpha=alphas[1], kappa=kappa, tolerance=tolerance, check=False)
        assert not one.converged
        for start in ("informed", {"q": 0.9999999}):
            found = rp.solve(
                formula, alpha=alphas, kappa=kappa, tolerance=tolerance, start=start, max_steps=200
            )
            assert not found.converged.any()


@pytest.mark.slow
@pytest.mark.parametrize(("formula", "share"), [(BINARY, 2 / np.pi), (SPHERICAL, 1.0)])
def test_a_cloud_of_points_is_solved_like_each_of_them(
    formula: Any, share: float, rng: np.random.Generator
):
    """Hundreds of different margins at once: neither lost nor called without saddle."""
    kappa = rng.uniform(-2, 3, 250)
    end = [share * rp.threshold(SPHERICAL, "alpha_G", kappa=k).value for k in kappa]
    inside = rp.solve(formula, alpha=rng.uniform(0.01, 0.98, 250) * end, kappa=kappa)
    assert inside.converged.all(), np.flatnonzero(~inside.converged)
    for k in range(0, 250, 50):
        one = rp.solve(formula, alpha=inside["alpha"][k], kappa=kappa[k])
        assert inside.q[k] == pytest.approx(one.q, abs=inside.errors["q"][k] + one.errors["q"])
    beyond = rp.solve(formula, alpha=rng.uniform(1.001, 2, 250) * end, kappa=kappa)
    assert not beyond.converged.any()
    assert np.isnan(beyond.q).all()
    assert np.isin(beyond.status, (rp.Status.NO_SADDLE, rp.Status.LEFT_DOMAIN)).all()
