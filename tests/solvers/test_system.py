"""Square systems: domains, values, Jacobians, and the errors of what was verified."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from sympy import Abs, Interval, Symbol, cos, exp, oo

import replica as rp
from replica.language.means import Mean
from replica.solvers.matrices import inverses, newton_step
from replica.solvers.system import System, augmented, saddle_system
from replica.solvers.verify import poorly_known, verify

x, y, c, z = (Symbol(name, real=True) for name in "xycz")
PLANE = System(
    (x**2 + c * y - 1, exp(-x) - y), (x, y), (c,), {x: Interval.open(0, 1), y: Interval(0, oo)}
)


def test_as_many_equations_as_unknowns():
    with pytest.raises(rp.DeclarationError, match="1 equations for 2 unknowns x, y"):
        System((x + y,), (x, y), (), {x: Interval(0, 1), y: Interval(0, 1)})


def test_residuals_and_jacobians_of_a_grid():
    points, control = np.array([[0.2, 0.5], [0.7, 3.0]]), np.array([1.0, 2.0])
    residual, jacobian = PLANE.evaluate(points, [control])
    a, b = points.T
    np.testing.assert_allclose(residual, np.stack([a**2 + control * b - 1, np.exp(-a) - b], axis=1))
    np.testing.assert_allclose(jacobian[:, 0], np.stack([2 * a, control], axis=1))
    np.testing.assert_allclose(jacobian[:, 1], np.stack([-np.exp(-a), -np.ones(2)], axis=1))


def test_open_and_closed_ends():
    points = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 0.0], [0.5, -1e-3]])
    inside = PLANE.inside(points, [np.ones(4)])
    assert inside.tolist() == [False, False, True, False]
    rounded = PLANE.onto_edge(np.array([[0.5, -1e-16]]), [np.ones(1)])
    assert rounded.tolist() == [[0.5, 0.0]]
    assert PLANE.at_edge(np.array([[1 - 1e-13, 1.0], [0.5, 1e12], [0.5, 1.0]]), [np.ones(3)])[
        :2
    ].all()


def test_room_is_the_distance_to_an_open_end_or_the_size():
    room = PLANE.room(np.array([[0.999, 5.0], [1e-6, 0.0]]), [np.ones(2)])
    np.testing.assert_allclose(room, [[1e-3, 5.0], [1e-6, 1.0]])


def test_a_domain_may_end_at_another_unknown():
    ordered = System((x - y / 2, y - c), (x, y), (c,), {x: Interval(0, y), y: Interval(0, c)})
    points = np.array([[0.2, 0.5], [0.6, 0.5], [0.2, 1.5]])
    assert ordered.inside(points, [np.ones(3)]).tolist() == [True, False, False]


def test_without_symbolic_slopes_differences_serve():
    """A kink in the field leaves no symbolic Jacobian of a mean that moves over it twice."""
    kink = (Mean(Abs(z - x), (z, 1)) - c * y, y - x**2)
    domains = {x: Interval(-5, 5), y: Interval(0, 25)}
    exact = System(kink, (x, y), (c,), domains)
    rough = System(kink, (x, y), (c,), domains, symbolic=False)
    points, control = np.array([[0.3, 0.2], [-1.0, 2.0]]), [np.ones(2)]
    first, second = (system.evaluate(points, control)[1] for system in (exact, rough))
    np.testing.assert_allclose(first, second, atol=1e-8)
    slope = 1 - 2 * stats.norm.cdf(-points[:, 0])  # d/dx E|z - x|
    np.testing.assert_allclose(second[:, 0, 0], slope, atol=1e-8)


@pytest.mark.parametrize("shift", [0.0, 1e-9, 1e-7])
def test_verification_corrects_and_bounds(shift):
    """The root of E cos(z x) = c is x = sqrt(-2 log c)."""
    system = System((Mean(cos(z * x), (z, 1)) - c,), (x,), (c,), {x: Interval.open(0, 3)})
    control = np.array([0.1, 0.5, 0.9])
    truth = np.sqrt(-2 * np.log(control))[:, None]
    found = verify(system, truth + shift, [control], 1e-12, (x**2,))
    assert (np.abs(found.z - truth) <= found.error).all()
    assert (found.error < 1e-12).all()
    assert (np.abs(found.values - truth**2) <= found.bounds).all()
    assert not poorly_known(system, found.z, found.error, [control], 1e-12).any()


def test_what_no_rule_can_know_is_poorly_known():
    """A root of multiplicity two has half the digits of its equation."""
    system = System(((x - 1) ** 2 + 0 * c,), (x,), (c,), {x: Interval(0, 3)})
    near = np.array([[1.0 + 1e-9]])
    found = verify(system, near, [np.ones(1)], 1e-12)
    assert poorly_known(system, found.z, found.error, [np.ones(1)], 1e-12).all()


def test_residuals_of_a_saddle_come_with_honest_bounds():
    formula = rp.formulas["binary-perceptron"]
    system = saddle_system(formula)
    point = {"q": 0.4, "qhat": 0.9}
    (values, bounds) = system.bounded(
        np.array([[point[str(s)] for s in system.unknowns]]), [np.array([0.6]), np.array([0.1])]
    )
    # the update of q is E tanh(h)^2 over a field of variance qhat
    q_of_qhat, _ = integrate.quad(
        lambda h: np.tanh(np.sqrt(0.9) * h) ** 2 * stats.norm.pdf(h), -12, 12, epsabs=1e-13
    )
    k = [str(s) for s in system.unknowns].index("q")
    assert abs(values[0, k] - (q_of_qhat - 0.4)) <= bounds[0, k] + 1e-12
    assert (bounds < 1e-12).all()


def test_augmented_systems_put_controls_among_the_unknowns():
    formula = rp.formulas["binary-perceptron"]
    alpha, kappa = formula.symbols
    system = augmented(formula, (formula.observable("entropy"),), (alpha,))
    assert system.unknowns == (*formula.unknowns, alpha)
    assert system.parameters == (kappa,)
    q = next(iter(formula.overlaps))
    pinned = augmented(formula, (formula.observable("entropy"),), (alpha,), {q: 0})
    assert q not in pinned.unknowns
    assert not any(equation.has_free(q) for equation in pinned.equations)


# ---- many small matrices -----------------------------------------------------------------------

entries = st.floats(-10, 10, allow_nan=False).map(lambda v: round(v, 3))


@settings(max_examples=60, deadline=None)
@given(st.lists(entries, min_size=9, max_size=9), st.lists(entries, min_size=3, max_size=3))
def test_newton_steps_solve_each_point(rows, right):
    matrix, residual = np.array(rows).reshape(1, 3, 3), np.array(right).reshape(1, 3)
    if np.linalg.cond(matrix[0]) > 1e8:
        return
    step = newton_step(matrix, residual)
    np.testing.assert_allclose(matrix[0] @ step[0], -residual[0], atol=1e-6)


def test_a_point_that_is_not_finite_touches_no_other():
    matrices = np.stack([np.eye(2), np.full((2, 2), np.nan), 2 * np.eye(2)])
    step = newton_step(matrices, np.ones((3, 2)))
    assert np.isnan(step[1]).all()
    np.testing.assert_allclose(step[[0, 2]], [[-1, -1], [-0.5, -0.5]])


@pytest.mark.parametrize("gap", [1.0, 1e-30, 1e-200])
def test_inverses_of_unknowns_of_very_different_size(gap):
    """A gap of 1e-200 next to a conjugate of one: unscaled, the matrix looks singular."""
    matrix = np.array([[[1 / gap, 1.0], [1.0, 2 * gap]]])
    found = inverses(matrix, np.array([[gap, 1.0]]))[0]
    np.testing.assert_allclose(found, [[2 * gap, -1.0], [-1.0, 1 / gap]], rtol=1e-12)


def test_a_singular_matrix_has_no_inverse():
    assert np.isinf(inverses(np.ones((1, 2, 2)), np.ones((1, 2)))).all()
