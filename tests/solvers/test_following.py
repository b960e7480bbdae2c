"""Following a state to other controls, beginning from solutions, excluding places."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from solvers.spins import hopfield, three_spin
from sympy import Eq, Interval, Symbol, oo, tanh

import replica as rp

RETRIEVAL = hopfield()
BROKEN = three_spin()


def test_a_followed_state_is_the_one_that_is_there():
    direct = rp.solve(RETRIEVAL, alpha=0.06, T=0.2, start="retrieval")
    for begin in ({"alpha": 0.03}, {"T": 0.4}, {"alpha": 0.02, "T": 0.1}):
        found = rp.solve(RETRIEVAL, alpha=0.06, T=0.2, start="retrieval", follow=begin)
        for name, value in direct.overlaps.items():
            slack = found.errors[name] + direct.errors[name]
            assert abs(found[name] - value) <= max(slack, 1e-13)
        assert found.stable is True


def test_next_to_its_fold():
    """Where Newton's method from a far start goes anywhere (fold at .13504918)."""
    found = rp.solve(RETRIEVAL, alpha=0.13504, T=0.1, start="retrieval", follow={"alpha": 0.03})
    assert found.converged
    assert 0.960 < found.m < 0.967
    assert found.stable is True


def test_a_state_that_ends_says_where():
    with pytest.raises(
        rp.ConvergenceError, match=r"ENDED.*alpha = 0\.13504919?\d*, a fold"
    ) as caught:
        rp.solve(RETRIEVAL, alpha=0.2, T=0.1, start="retrieval", follow={"alpha": 0.03})
    assert "\n" not in str(caught.value)
    with pytest.raises(rp.ConvergenceError, match=r"T = 0\.58605397\d*, where m comes to the end"):
        rp.solve(BROKEN, T=0.7, follow={"T": 0.3})


def test_a_grid_is_followed_point_by_point():
    alpha = np.linspace(0.03, 0.15, 7)
    found = rp.solve(RETRIEVAL, alpha=alpha, T=0.1, start="retrieval", follow={"alpha": 0.03})
    reached = alpha < 0.135049
    assert (found.converged == reached).all()
    assert set(found.status[~reached]) == {rp.Status.ENDED}
    for k in (0, 3, 5):
        single = rp.solve(
            RETRIEVAL, alpha=alpha[k], T=0.1, start="retrieval", follow={"alpha": 0.03}
        )
        assert found.m[k] == pytest.approx(single.m, abs=1e-12)


def test_a_sweep_follows():
    grid = rp.sweep(
        BROKEN, T=np.linspace(0.3, 0.58, 8), alpha=None, follow={"T": 0.3}, progress=False
    )
    assert grid.converged.all()
    assert grid["m"][-1] == pytest.approx(0.978208111642, abs=1e-11)


def test_where_following_begins_there_must_be_a_state():
    with pytest.raises(rp.ConvergenceError, match="where following was to begin"):
        rp.solve(
            RETRIEVAL,
            alpha=0.05,
            T=0.1,
            follow={"alpha": 0.2},
            start={"m": 1.0, "q": 0.9999},
            method="damped",
            max_steps=3,
        )


def test_full_recovery_is_followed_as_long_as_it_attracts():
    sign = rp.formulas["bayes-optimal-glm"](prior="rademacher", channel="sign")
    kept = rp.solve(sign, alpha=1.6, start="informed", follow={"alpha": 1.4})
    assert (kept["m"], kept.note) == (1.0, "full recovery")


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"follow": {"alhpa": 0.1}}, rp.UnknownName, "did you mean alpha"),
        ({"follow": 0.1}, rp.ControlError, "follow takes controls"),
        ({"follow": {"alpha": 7}}, rp.ControlError, "alpha = 7 is outside"),
        ({"follow": {"alpha": [0.1, 0.2]}}, rp.ControlError, "does not broadcast"),
        ({"follow": {"alpha": 0.1}, "states": "all"}, rp.ControlError, "without follow"),
        ({"digits": 20, "states": "all"}, rp.ControlError, "without digits"),
        ({"states": "some"}, rp.UnknownName, "known: all"),
        ({"exclude": Eq(Symbol("mm"), 1)}, rp.UnknownName, "did you mean m"),
        ({"exclude": True}, rp.ControlError, "exclude takes equations"),
        ({"exclude": [Symbol("m")]}, rp.ControlError, "exclude takes equations"),
        ({"exclude": Eq(Symbol("T"), 1)}, rp.ControlError, "about no overlap"),
        ({"start": "retreival"}, rp.UnknownName, "did you mean retrieval"),
        ({"start": np.ones(3)}, rp.DeclarationError, "a name, a mapping of overlaps or a solution"),
        ({"start": 3}, rp.DeclarationError, "a name, a mapping of overlaps or a solution"),
    ],
    ids=str,
)
def test_bad_input(given, error, words):
    with pytest.raises(error, match=words) as caught:
        rp.solve(RETRIEVAL, alpha=0.05, T=0.1, **given)
    assert "\n" not in str(caught.value)


# ---- solutions as starts ------------------------------------------------------------------------


def test_an_earlier_solution_is_a_start():
    here = rp.solve(RETRIEVAL, alpha=0.05, T=0.1, start="retrieval")
    near = rp.solve(RETRIEVAL, alpha=[0.055, 0.06], T=0.1, start=here)
    direct = rp.solve(RETRIEVAL, alpha=[0.055, 0.06], T=0.1, start="retrieval")
    assert near.m == pytest.approx(direct.m, abs=1e-12)
    again = rp.solve(RETRIEVAL, alpha=[0.056, 0.061], T=0.1, start=near)
    assert again.converged.all()


def test_a_solution_of_another_formula_with_the_same_unknowns():
    here = rp.solve(RETRIEVAL, alpha=0.05, T=0.1, start="retrieval")
    other = hopfield(starts={})
    assert rp.solve(other, alpha=0.05, T=0.1, start=here).m == pytest.approx(here.m, abs=1e-12)
    with pytest.raises(rp.ControlError, match="hopfield, has no value of m") as caught:
        rp.solve(BROKEN, T=0.3, start=rp.solve(hopfield_without_m(), b=2))
    del caught


def hopfield_without_m() -> rp.Formula:
    b, x = Symbol("b", positive=True), Symbol("q", real=True)
    return rp.Formula(
        name="hopfield",
        title="One overlap",
        potential=-(x**2) / 2 + x * tanh(b) / 2,
        overlaps={x: Interval(-1, 1)},
        controls={b: (Interval.open(0, oo), None)},
    )


def test_a_failed_solution_is_no_start():
    failed = rp.solve(BROKEN, T=0.7, follow={"T": 0.3}, check=False)
    with pytest.raises(rp.ControlError, match=r"was not found itself \(ENDED\)"):
        rp.solve(BROKEN, T=0.3, start=failed)
    shaped = rp.solve(BROKEN, T=[0.3, 0.4, 0.5])
    with pytest.raises(rp.ControlError, match="does not broadcast"):
        rp.solve(BROKEN, T=[0.3, 0.4], start=shaped)


# ---- degenerate and excluded places -------------------------------------------------------------


def broken_of_three_spins(temperature: float) -> tuple[float, float]:
    """Return q and m of the spherical 3-spin glass from Crisanti & Sommers' two equations."""

    def size(m: float) -> float:
        # 3 q / (2 T^2) = 1 / ((1 - q) (1 - (1 - m) q)): the larger root
        def gap(q: float) -> float:
            return 3 * q / (2 * temperature**2) * (1 - q) * (1 - (1 - m) * q) - 1

        places = np.linspace(1e-6, 1 - 1e-9, 4001)
        top = places[np.argmax([gap(q) for q in places])]
        return brentq(gap, top, 1 - 1e-12, xtol=1e-15) if gap(top) > 0 else np.nan

    def equation(m: float) -> float:
        q = size(m)
        edge = 1 - (1 - m) * q
        return (
            q**3 / (4 * temperature**2)
            + (np.log(1 - q) - np.log(edge)) / (2 * m**2)
            + q / (2 * m * edge)
        )

    grid = np.linspace(temperature / 2, 0.9999, 200)
    sides = np.sign([equation(m) for m in grid])
    k = int(np.flatnonzero(sides[:-1] * sides[1:] < 0)[-1])
    m = brentq(equation, grid[k], grid[k + 1], xtol=1e-14)
    return size(m), m


@pytest.mark.parametrize("temperature", [0.2, 0.3, 0.45, 0.57])
def test_the_broken_state_and_not_the_degenerate_one(temperature: float):
    q, m = broken_of_three_spins(temperature)
    for given in ({}, {"exclude": Eq(Symbol("m"), 1)}):
        found = rp.solve(BROKEN, T=temperature, **given)
        assert found.q == pytest.approx(q, abs=1e-11)
        assert found.m == pytest.approx(m, abs=1e-11)


def test_a_degenerate_saddle_is_said_to_be_one():
    with pytest.raises(rp.ConvergenceError, match="DEGENERATE") as caught:
        rp.solve(BROKEN, T=0.3, start={"q": 0.1, "m": 0.999})
    text = str(caught.value)
    assert "at m = 1 the equation of q holds whatever q is: exclude=Eq(m, 1)" in text
    assert "\n" not in text
    freed = rp.solve(BROKEN, T=0.3, start={"q": 0.1, "m": 0.999}, exclude=Eq(Symbol("m"), 1))
    assert freed.m == pytest.approx(0.343921249099, abs=1e-11)


def test_everything_that_is_found_may_be_excluded():
    x, b = Symbol("x", real=True), Symbol("b", positive=True)
    one = rp.Formula(
        name="one",
        title="One saddle point",
        potential=-(x**2) / 2,
        overlaps={x: Interval(-1, 1)},
        controls={b: (Interval.open(0, oo), 1)},
    )
    with pytest.raises(rp.ConvergenceError, match="EXCLUDED"):
        rp.solve(one, exclude=Eq(x, 0))
    assert rp.solve(one, exclude=Eq(x, 0.5)).x == 0


def test_a_symmetric_state_is_not_degenerate():
    """The equation of m holds at m = 0 whatever the other unknowns are: m is determined."""
    found = rp.solve(RETRIEVAL, alpha=0.05, T=0.3, start="glass")
    assert found.converged
    assert abs(found.m) < 1e-12
