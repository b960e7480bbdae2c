"""All saddle points at the same controls, their stability, and which is the equilibrium state."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.optimize import brentq
from solvers.spins import hopfield, three_spin
from sympy import Eq, Interval, Rational, Symbol, cosh, log, oo, symbols

import replica as rp

lam = Symbol("lambda_", positive=True)
q = Symbol("q", nonnegative=True)
h = Symbol("h", real=True)

NODES = np.linspace(-9, 9, 1201)  # the trapezoid converges faster than any power of its step
WEIGHTS = np.exp(-(NODES**2) / 2)
WEIGHTS /= WEIGHTS.sum()


# ---- random spiked Wigner matrices: Y = sqrt(lambda / p) x x^T + noise, x of a discrete law ------


class Spike:
    """A discrete prior with its free entropy and overlap by plain Gauss-Hermite quadrature."""

    def __init__(self, values, weights):
        self.values, self.weights = np.array(values, float), np.array(weights, float)

    @property
    def second_moment(self):
        return float(self.weights @ self.values**2)

    def _posterior(self, strength):
        """Return log Z and the mean, shape (true value, node), at precision `strength`."""
        field = np.sqrt(strength) * NODES[None] + strength * self.values[:, None]
        exponent = field[..., None] * self.values - strength * self.values**2 / 2
        top = exponent.max(axis=-1, keepdims=True)
        terms = self.weights * np.exp(exponent - top)
        z = terms.sum(axis=-1)
        return np.log(z) + top[..., 0], (terms * self.values).sum(axis=-1) / z

    def free_entropy(self, strength):
        return float(self.weights @ (self._posterior(strength)[0] @ WEIGHTS))

    def overlap(self, strength):
        mean = self._posterior(strength)[1]
        return float(self.weights @ (mean**2 @ WEIGHTS))

    def potential(self, place, signal):
        return self.free_entropy(signal * place) - signal * place**2 / 4

    def roots(self, signal):
        """Return every root of q = F(q) by a scan, with the slope of F."""
        top = self.second_moment
        grid = np.concatenate([np.geomspace(1e-9, 1e-2, 60) * top, np.linspace(0.01, 1, 400) * top])
        gap = np.array([self.overlap(signal * x) - x for x in grid])
        found = [
            brentq(lambda x: self.overlap(signal * x) - x, grid[k], grid[k + 1], xtol=1e-15)
            for k in np.flatnonzero(gap[:-1] * gap[1:] < 0)
        ]
        if abs(self.weights @ self.values) < 1e-14:
            found = [0.0, *found]
        slopes = []
        for x in found:
            step = 1e-5 * top
            low = max(x - step, 0.0)
            rise = self.overlap(signal * (x + step)) - self.overlap(signal * low)
            slopes.append(rise / (x + step - low))
        return np.array(found), np.array(slopes)

    def formula(self, **given):
        """Return the same system as a user types it."""
        pairs = list(zip(self.values, self.weights, strict=True))
        strength = lam * q

        def log_z(true):
            terms = [
                log(Rational(str(w)))
                + Rational(str(v)) * (h + strength * Rational(str(true)))
                - strength * Rational(str(v)) ** 2 / 2
                for v, w in pairs
            ]
            return rp.Mean(rp.LogSumExp(*terms), (h, strength))

        body = sum(Rational(str(w)) * log_z(v) for v, w in pairs)
        top = sum(Rational(str(w)) * Rational(str(v)) ** 2 for v, w in pairs)
        return rp.Formula(
            name="spike",
            title="Spiked Wigner matrix of a discrete law",
            potential=body - lam * q**2 / 4,
            overlaps={q: Interval(0, top)},
            controls={lam: (Interval.open(0, oo), None)},
            **given,
        )


def random_spikes(count, seed):
    rng = np.random.default_rng(seed)
    for k in range(count):
        if k % 3 == 0:  # sparse and even: first order
            density = round(float(rng.uniform(0.02, 0.12)), 3)
            values, weights = [-1, 0, 1], [density / 2, 1 - density, density / 2]
        elif k % 3 == 1:
            values = np.round(np.sort(rng.normal(size=3)), 2).tolist()
            weights = np.round(rng.dirichlet(np.ones(3)), 2)
            weights[0] = round(1 - weights[1] - weights[2], 2)
        else:  # rare and biased
            density = round(float(rng.uniform(0.01, 0.05)), 3)
            values, weights = [0, 1], [1 - density, density]
        if min(weights) <= 0 or len(set(values)) < len(values):
            continue
        weights = [round(float(w), 4) for w in weights]
        spike = Spike(values, weights)
        yield spike, round(float(rng.uniform(0.5, 1.6)) / spike.second_moment**2, 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spike", "signal"),
    [pytest.param(*drawn) for drawn in random_spikes(6, 3)],
)
def test_every_root_of_a_scan(spike, signal):
    roots, slopes = spike.roots(signal)
    clear = np.abs(slopes - 1) > 1e-3
    formula = spike.formula()
    states = rp.solve(formula, lambda_=signal, states="all")
    found = np.array([state.q for state in states])
    for x, slope in zip(roots[clear], slopes[clear], strict=True):
        k = int(np.argmin(np.abs(found - x)))
        assert found[k] == pytest.approx(x, abs=1e-8 * max(1.0, spike.second_moment))
        assert states[k].stable == (slope < 1)
        assert states[k].potential == pytest.approx(spike.potential(x, signal), abs=1e-9)
    if clear.all():
        assert len(states) == len(roots)
    heights = [state.potential for state in states if state.stable]
    assert heights == sorted(heights, reverse=True)
    best = rp.solve(formula, lambda_=signal, start="equilibrium")
    highest = max(spike.potential(x, signal) for x in roots)
    assert best.potential == pytest.approx(highest, abs=1e-10)
    assert best.q == pytest.approx(states[0].q, abs=1e-9)


SPIKE = Spike([-1, 0, 1], [0.025, 0.95, 0.025])
SPARSE = SPIKE.formula()


@pytest.mark.slow
def test_equilibrium_on_both_sides_of_a_first_order_transition():
    """Sparse PCA of density .05: spinodal 288.567, transition 298.9237, AMP 402.163."""
    signal = np.array([280, 298.92, 298.93, 350, 410])
    found = rp.solve(SPARSE, lambda_=signal, start="equilibrium")
    assert found.converged.all()
    assert (found.stable).all()
    assert (found.q > 1e-9).tolist() == [False, False, True, True, True]
    for k, value in enumerate(signal):
        roots, _ = SPIKE.roots(value)
        assert np.abs(roots - found.q[k]).min() < 1e-9
        single = rp.solve(SPARSE, lambda_=value, start="equilibrium")
        assert single.q == pytest.approx(found.q[k], abs=1e-12)
    counts = [len(rp.solve(SPARSE, lambda_=v, states="all")) for v in (280, 300, 410)]
    assert counts == [1, 3, 2]


def test_of_named_states():
    signal = np.linspace(290, 310, 5)
    named = SPIKE.formula(starts={"dark": {q: Rational(1, 10**6)}, "bright": {q: Rational(1, 20)}})
    found = rp.solve(named, lambda_=signal, start="equilibrium")
    assert (found.q > 0.02).tolist() == (signal > 298.9237).tolist()
    least = SPIKE.formula(
        starts={"dark": {q: Rational(1, 10**6)}, "bright": {q: Rational(1, 20)}},
        equilibrium="smallest",
    )
    other = rp.solve(least, lambda_=signal, start="equilibrium")
    assert (other.q > 0.02).tolist() == (signal < 298.9237).tolist()


def test_an_equilibrium_that_is_neither():
    with pytest.raises(rp.DeclarationError, match="largest or smallest potential, not 'highest'"):
        three_spin(equilibrium="highest")


def test_a_state_that_is_left_is_not_the_equilibrium():
    """Below the glass temperature no order has the larger potential, and is unstable."""
    T = Symbol("T", positive=True)
    glass = rp.Formula(
        name="sk",
        title="Sherrington-Kirkpatrick",
        potential=(1 - q) ** 2 / (4 * T**2) + rp.Mean(log(2 * cosh(h)), (h, q / T**2)),
        overlaps={q: Interval(0, 1)},
        controls={T: (Interval.open(0, 10), None)},
        starts={"disorder": {q: 0}, "order": {q: Rational(1, 2)}},
    )
    states = rp.solve(glass, T=0.5, states="all")
    assert [state.stable for state in states] == [True, False]
    assert states[0].potential < states[1].potential
    best = rp.solve(glass, T=[0.5, 2.0], start="equilibrium")
    assert best.q[0] == pytest.approx(states[0].q, abs=1e-12)
    assert best.q[1] == pytest.approx(0, abs=1e-12)


@pytest.mark.slow
def test_hopfield_changes_its_state():
    formula = hopfield()
    alpha = np.array([0.03, 0.05, 0.06, 0.1])  # alpha_1(T = .1) lies between .05 and .06
    found = rp.solve(formula, alpha=alpha, T=0.1, start="equilibrium")
    assert found.stable.all()
    assert (found.m > 0.5).tolist() == [True, True, False, False]
    for k, value in enumerate(alpha):
        states = rp.solve(formula, alpha=value, T=0.1, states="all")
        assert found.potential[k] == pytest.approx(states[0].potential, abs=1e-9)
    states = rp.solve(formula, alpha=0.04, T=0.3, states="all")
    assert [round(state.m, 6) for state in states] == [0.993187, 0, 0.669966]
    assert [state.stable for state in states] == [True, True, False]


def test_full_recovery_and_symmetric_states_are_among_them():
    sign = rp.formulas["bayes-optimal-glm"](prior="rademacher", channel="sign")
    states = rp.solve(sign, alpha=1.3, states="all")
    assert [round(state["m"], 8) for state in states] == [1, 0.72587069, 0.97134565]
    assert [state.stable for state in states] == [True, True, False]


@pytest.mark.slow
def test_a_state_that_a_symmetry_keeps_may_be_left_by_a_step_out_of_it():
    committee = rp.formulas["committee-machine"]
    assert rp.solve(committee, alpha=2.5, start="unspecialised").stable is False
    assert rp.solve(committee, alpha=1.5, start="unspecialised").stable is True


def test_symmetric_states_are_among_them():
    """A magnet below its transition: the state that the symmetry keeps, and two beside it."""
    m, b = symbols("m b", real=True)
    magnet = rp.Formula(
        name="magnet",
        title="Magnet",
        potential=rp.LogCosh(b * m) - b * m**2 / 2,
        overlaps={m: Interval.open(-1, 1)},
        controls={b: (Interval.open(0, 3), None)},
        starts={"aligned": {m: 0.5}},
        subspaces={"paramagnet": {m: 0}},
    )
    states = rp.solve(magnet, b=1.5, states="all")
    size = brentq(lambda x: x - np.tanh(1.5 * x), 0.5, 0.99)
    assert sorted(state.m for state in states) == pytest.approx([-size, 0, size], abs=1e-9)
    assert {state.m == 0: state.stable for state in states} == {True: False, False: True}


def test_stability_without_updates_is_that_of_a_declared_extremum():
    """The potential of the spherical perceptron is least at its overlap; by default unknown."""
    kappa, alpha, u = symbols("kappa alpha u", real=True)
    potential = (
        log(1 - q) / 2
        + q / (2 * (1 - q))
        + alpha * rp.Mean(rp.LogH((kappa - u) / (1 - q) ** Rational(1, 2)), (u, q))
    )
    parts = {
        "name": "sphere",
        "title": "Spherical perceptron",
        "potential": potential,
        "overlaps": {q: Interval.Ropen(0, 1)},
        "controls": {alpha: (Interval.open(0, oo), None), kappa: (Interval(-5, 5), 0)},
    }
    told = {
        word: rp.solve(rp.Formula(**parts, equilibrium=word), alpha=1).stable
        for word in ("", "smallest", "largest")
    }
    assert told == {"": None, "smallest": True, "largest": False}
    grid = rp.solve(rp.Formula(**parts, equilibrium="smallest"), alpha=[1, 1.5, 3])
    assert grid.stable.tolist() == [True, True, None]
    assert json.loads(json.dumps(grid.to_dict()))["stable"] == [True, True, None]
    wrong = rp.solve(rp.Formula(**parts, equilibrium="largest"), alpha=1)
    assert wrong.validity == "unstable"
    assert "no maximum" in wrong.note


def test_how_states_show():
    states = rp.solve(three_spin(), T=0.3, states="all")
    assert len(states) == 1
    text = repr(states)
    assert "unknown" in text
    assert "exclude=Eq(m, 1)" in text
    assert max(map(len, text.splitlines()[:-1])) <= 80
    content = json.loads(json.dumps(states.to_dict()))
    assert content["states"][0]["stable"] is None
    assert [s.m for s in states] == [states[0].m]
    assert states[:1] == (states[0],)
    none = rp.solve(three_spin(), T=1.0, states="all", exclude=Eq(Symbol("m"), 1), check=False)
    assert len(none) == 0
    assert "no saddle point" in repr(none)
    with pytest.raises(rp.ConvergenceError, match="no saddle point was found"):
        rp.solve(three_spin(), T=1.0, states="all", exclude=Eq(Symbol("m"), 1))
    with pytest.raises(rp.ControlError, match="one value of T at a time"):
        rp.solve(three_spin(), T=[0.2, 0.3], states="all")


def test_a_solution_says_whether_it_is_stable():
    found = rp.solve(SPARSE, lambda_=300, start={"q": 0.0131})
    assert found.stable is False
    assert "stable       no" in repr(found)
    assert found.to_dict()["stable"] is False
    several = rp.solve(SPARSE, lambda_=[300, 300], start={"q": 0.03})
    assert several.stable.tolist() == [True, True]
    assert "2 of 2 solved points" in repr(several)
