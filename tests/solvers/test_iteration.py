"""The one loop: every method, elementwise, with a status that is true."""

from __future__ import annotations

import numpy as np
import pytest
from sympy import Interval, Symbol, cosh, exp, log, oo

import replica as rp
from replica.language.primitives import Tanh
from replica.solvers.iteration import (
    PROPOSALS,
    Anderson,
    Damped,
    Iterated,
    LogNewton,
    Newton,
    iterate,
)
from replica.solvers.solution import Status
from replica.solvers.system import System

m, w, c = Symbol("m", real=True), Symbol("w", positive=True), Symbol("c", real=True)
CURIE_WEISS = System(
    (Tanh(c * m) - m,), (m,), (c,), {m: Interval.open(-1, 1)}, paired=frozenset({m})
)


def magnetisation(beta: float) -> float:
    """Return the positive solution of m = tanh(beta m) by bisection."""
    low, high = 1e-6, 1.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if np.tanh(beta * middle) > middle else (low, middle)
    return low


@pytest.mark.parametrize("method", ["newton", "damped", "anderson"])
def test_methods_find_the_same_root(method):
    beta = np.array([1.2, 1.5, 3.0])
    start = np.full((3, 1), 0.9)
    found = iterate(CURIE_WEISS, start, [beta], PROPOSALS[method](), 3000)
    assert (found.status == Status.CONVERGED).all()
    np.testing.assert_allclose(found.z[:, 0], [magnetisation(b) for b in beta], atol=1e-9)


@pytest.mark.parametrize("proposal", [Newton, Damped, Anderson])
def test_a_grid_is_its_points(proposal):
    beta = np.array([0.5, 1.5, 3.0])
    start = np.full((3, 1), 0.7)
    together = iterate(CURIE_WEISS, start, [beta], proposal(), 2000)
    for k in range(3):
        alone = iterate(CURIE_WEISS, start[k : k + 1], [beta[k : k + 1]], proposal(), 2000)
        assert alone.status[0] == together.status[k]
        np.testing.assert_allclose(alone.z[0], together.z[k], atol=1e-10)


def test_points_that_are_done_stop_working():
    evaluated = []

    class Counted(System):
        def evaluate(self, z, parameters, refinement=0):
            evaluated.append(z.shape[0])
            return super().evaluate(z, parameters, refinement)

    system = Counted(
        CURIE_WEISS.equations, (m,), (c,), {m: Interval.open(-1, 1)}, paired=frozenset({m})
    )
    found = iterate(system, np.full((2, 1), 0.9), [np.array([3.0, 1.01])], Damped(), 400)
    assert found.status[0] == Status.CONVERGED
    assert evaluated[0] == 2
    assert evaluated[-1] == 1


def test_too_few_steps():
    found = iterate(CURIE_WEISS, np.array([[0.9]]), [np.array([1.5])], Damped(0.9), 3)
    assert found.status[0] == Status.MAX_STEPS
    assert found.steps == 3


def test_a_root_beyond_the_domain_is_left_for():
    system = System((2 - m,), (m,), (c,), {m: Interval.open(-1, 1)}, paired=frozenset({m}))
    for proposal in (Newton(), Damped()):
        found = iterate(system, np.array([[0.5]]), [np.ones(1)], proposal, 200)
        assert found.status[0] == Status.LEFT_DOMAIN


def test_an_equation_that_is_not_finite_says_so():
    system = System((log(m) - c,), (m,), (c,), {m: Interval(-1, 1)})
    found = iterate(system, np.array([[-0.5]]), [np.ones(1)], Newton(), 50)
    assert found.status[0] == Status.NON_FINITE


def test_a_step_that_leaves_the_domain_is_shortened():
    """The first Newton step from nine for log m = -2 would end below zero."""
    system = System((log(m) - c,), (m,), (c,), {m: Interval.open(0, 10)})
    found = iterate(system, np.array([[9.0]]), [np.array([-2.0])], Newton(), 50)
    assert found.status[0] == Status.CONVERGED
    assert found.z[0, 0] == pytest.approx(np.exp(-2), rel=1e-12)


def test_scales_that_diverge_as_powers_are_affine_in_logarithms():
    """w = c w^(-3) + 1/w: from one to a root of 1e9 in a few steps."""
    system = System(
        (c * w**-3 + 1 / w - w,), (w,), (c,), {w: Interval.open(0, oo)}, paired=frozenset({w})
    )
    assert system.logarithmic
    control = np.array([1.0, 1e36])
    with np.errstate(all="ignore"):  # as the verbs do
        found = iterate(system, np.ones((2, 1)), [control], LogNewton(), 60)
    assert (found.status == Status.CONVERGED).all()
    root = found.z[:, 0]
    np.testing.assert_allclose(root**4 - root**2, control, rtol=1e-9)
    assert found.steps < 30


def test_merged_takes_points_from_another():
    first = Iterated(np.zeros((2, 1)), np.zeros(2, int), 3, np.zeros((2, 1, 1)), np.zeros((2, 1)))
    second = Iterated(np.ones((2, 1)), np.ones(2, int), 5, np.ones((2, 1, 1)), np.ones((2, 1)))
    both = first.merged(np.array([False, True]), second)
    assert both.z.tolist() == [[0], [1]]
    assert both.status.tolist() == [0, 1]
    assert both.steps == 5
    assert first.z.tolist() == [[0], [0]]


def test_a_method_of_ones_own(monkeypatch):
    """A method is a `Proposal`; its name is one that `solve` takes."""

    class Halving(Damped):
        def __init__(self) -> None:
            super().__init__(damping=0.5, tolerance=1e-10)

    monkeypatch.setitem(PROPOSALS, "halving", Halving)
    q, b = Symbol("q", real=True), Symbol("b", positive=True)
    ferromagnet = rp.Formula(
        name="ferromagnet",
        title="Curie-Weiss",
        potential=-b * q**2 / 2 + log(2 * cosh(b * q)),
        overlaps={q: Interval.open(-1, 1)},
        controls={b: (Interval.open(0, oo), None)},
        starts={"up": {q: 0.9}},
    )
    found = rp.solve(ferromagnet, b=1.5, method="halving", start="up")
    assert found.q == pytest.approx(magnetisation(1.5), abs=1e-9)
    with pytest.raises(rp.UnknownName, match="halfing"):
        rp.solve(ferromagnet, b=1.5, method="halfing")


def test_a_large_equation_is_iterated_without_slopes():
    system = System((exp(-m) - m,), (m,), (c,), {m: Interval(0, 1)}, paired=frozenset({m}))
    found = iterate(system, np.array([[0.5]]), [np.ones(1)], Damped(0.3), 500, slopes=False)
    assert found.status[0] == Status.CONVERGED
    assert found.z[0, 0] == pytest.approx(0.5671432904097838, abs=1e-10)
