"""Stated updates are compared with the potential before any number is returned."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from sympy import Interval, Rational, exp, log, oo, sqrt, symbols, tanh

import replica as rp

alpha, kappa, b, c, rho = symbols("alpha kappa b c rho", real=True)
q, qhat, D, mhat = symbols("q qhat D mhat", nonnegative=True)
m, n = symbols("m n", real=True)
h, u = symbols("h u", real=True)
x = (kappa - u) / sqrt(1 - q)


def perceptron(**updates) -> rp.Formula:
    """Return the binary perceptron with stated updates."""
    return rp.Formula(
        name="binary-weights",
        title="Binary perceptron",
        potential=log(2)
        + rp.Mean(rp.LogCosh(h), (h, qhat))
        - (1 - q) * qhat / 2
        + alpha * rp.Mean(rp.LogH(x), (u, q)),
        overlaps={q: Interval.Ropen(0, 1)},
        conjugates={q: qhat},
        updates={{"q": q, "qhat": qhat}[name]: update for name, update in updates.items()},
        controls={alpha: (Interval.open(0, oo), None), kappa: (Interval(-10, 10), 0)},
        thresholds={"alpha_G": rp.Root("potential", in_=alpha)},
    )


SQUARE = rp.Mean(tanh(h) ** 2, (h, qhat))
STRENGTH = alpha * rp.Mean(rp.Mills(x) ** 2, (u, q)) / (1 - q)


def test_a_right_update_changes_nothing():
    plain, stated = perceptron(), perceptron(q=SQUARE, qhat=STRENGTH)
    assert rp.solve(stated, alpha=0.5).q == pytest.approx(rp.solve(plain, alpha=0.5).q, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "update"),
    [
        ("q", SQUARE / 2),
        ("q", -SQUARE),
        ("q", rp.Mean(tanh(h) ** 2, (h, q))),
        ("qhat", 2 * STRENGTH),
        ("qhat", -STRENGTH),
        ("qhat", STRENGTH.subs(kappa, -kappa)),
        ("qhat", STRENGTH * (1 - q)),
    ],
)
@pytest.mark.parametrize("verb", ["solve", "threshold", "branches", "trajectory"])
def test_a_wrong_update_gives_no_number(name, update, verb):
    wrong = perceptron(**{"q": SQUARE, "qhat": STRENGTH, name: update})
    call = {
        "solve": lambda: rp.solve(wrong, alpha=0.5),
        "threshold": lambda: rp.threshold(wrong, "alpha_G"),
        "branches": lambda: rp.branches(wrong, alpha=(0.1, 0.8)),
        "trajectory": lambda: rp.trajectory(wrong, alpha=0.5),
    }[verb]
    with pytest.raises(rp.DeclarationError) as caught:
        call()
    message = str(caught.value)
    assert message.startswith(f"formula binary-weights, the update of {name}: it is ")
    assert "where the derivative of the potential gives" in message
    assert "kappa = " in message
    assert "\n" not in message


def test_both_values_are_in_the_message():
    with pytest.raises(rp.DeclarationError) as caught:
        rp.solve(perceptron(q=2 * SQUARE), alpha=0.5)
    words = str(caught.value).split()
    stated = float(words[words.index("is") + 1])
    assert stated == pytest.approx(2 * float(words[-1]), rel=1e-4)


def test_an_update_without_conjugate_is_compared_where_it_holds():
    """A Curie-Weiss magnet: m = tanh(b m + c), in any form that has the same roots."""

    def magnet(update) -> rp.Formula:
        return rp.Formula(
            name="magnet",
            title="Every spin sees every other",
            potential=rp.LogCosh(b * m + c) - b * m**2 / 2,
            overlaps={m: Interval.open(-1, 1)},
            updates={m: update},
            controls={b: (Interval.open(0, 3), None), c: (Interval(0, 1), 0.1)},
        )

    expected = brentq(lambda m: m - np.tanh(1.5 * m + 0.1), 0.5, 0.99)
    for right in (tanh(b * m + c), (m + tanh(b * m + c)) / 2):
        found = rp.solve(magnet(right), b=1.5, start={m: 0.9})
        assert found.m == pytest.approx(expected, abs=1e-10)
    for wrong in (tanh(2 * b * m + c), -tanh(b * m + c), tanh(b * m - c), tanh(b * m + c) / 2):
        with pytest.raises(rp.DeclarationError, match="magnet, the update of m: it is"):
            rp.solve(magnet(wrong), b=1.5, start={m: 0.9})


@pytest.mark.parametrize("seed", range(12))
def test_referee_of_random_pairs(seed: int):
    """Random bilinear potentials, their updates by hand; a factor, of one or not, is told."""
    rng = np.random.default_rng(seed)
    one, two, three, four = (Rational(int(k), 7) for k in rng.integers(1, 20, 4))
    # phi = -c q qhat + a log(1 + b qhat) + alpha (1 - exp(-d q)): q = a b / (c (1 + b qhat))
    potential = -one * q * qhat + two * log(1 + three * qhat) + alpha * (1 - exp(-four * q))
    right = {
        q: two * three / (one * (1 + three * qhat)),
        qhat: alpha * four * exp(-four * q) / one,
    }
    for which in right:
        factor = Rational(int(rng.integers(1, 40)), 20)
        formula = rp.Formula(
            name="pair",
            title="Random pair",
            potential=potential,
            overlaps={q: Interval(0, 4)},
            conjugates={q: qhat},
            updates={**right, which: factor * right[which]},
            controls={alpha: (Interval.open(0, oo), None)},
        )
        if factor == 1:
            assert rp.solve(formula, alpha=1).converged
        else:
            with pytest.raises(rp.DeclarationError, match=f"the update of {which}"):
                rp.solve(formula, alpha=1)


def test_a_domain_may_end_at_a_control_without_a_start():
    """Gaussian weights of variance rho, seen with noise one: D = rho / (1 + rho mhat)."""
    formula = rp.Formula(
        name="linear",
        title="Gaussian weights, linear labels",
        potential=(rho * mhat - log(1 + rho * mhat)) / 2
        - (rho - D) * mhat / 2
        - alpha * log(1 + D) / 2,
        overlaps={D: Interval.Lopen(0, rho)},
        conjugates={D: mhat},
        controls={alpha: (Interval.open(0, oo), None), rho: (Interval.open(0, oo), 1)},
    )
    for size in (0.3, 1.0, 20.0):
        root = brentq(lambda D, r=size: D - r / (1 + r * 1.5 / (1 + D)), 0, size)
        for start in (None, "uninformed", "middle", "informed"):
            found = rp.solve(formula, alpha=1.5, rho=size, start=start)
            assert found.D == pytest.approx(root, rel=1e-10)
    two = rp.Formula(
        name="two-overlaps",
        title="No explicit curve: the starts are taken",
        potential=-((m - rho / 2) ** 2) - (n - rho * m / 3) ** 2,
        overlaps={m: Interval(-oo, rho), n: Interval(0, rho)},
        controls={rho: (Interval.open(0, oo), 1)},
    )
    for start in (None, "uninformed", "middle", "informed"):
        found = rp.solve(two, rho=[0.5, 2.0], start=start)
        assert found.m == pytest.approx([0.25, 1.0], rel=1e-12)
        assert found.n == pytest.approx([0.25 / 6, 2 / 3], rel=1e-12)


def test_subspaces_need_no_start_of_a_certain_name():
    """Two magnets in a field c on the second: beyond b = 1 the first one leaves m = 0."""
    formula = rp.Formula(
        name="two-magnets",
        title="Two magnets",
        potential=rp.LogCosh(b * m) + rp.LogCosh(b * n + c) - b * (m**2 + n**2) / 2,
        overlaps={m: Interval.open(-1, 1), n: Interval.open(-1, 1)},
        controls={b: (Interval.open(0, 3), None), c: (Interval(0, 1), 0.2)},
        starts={"aligned": {m: 0.5, n: 0.4}, "opposed": {m: -0.5, n: 0.4}},
        subspaces={"paramagnet": {m: 0}},
    )
    size = brentq(lambda m: m - np.tanh(1.5 * m), 0.5, 0.99)
    other = brentq(lambda n: n - np.tanh(1.5 * n + 0.2), 0.5, 0.99)
    for start, sign in ((None, 1), ("aligned", 1), ("opposed", -1)):
        found = rp.solve(formula, b=1.5, start=start)
        assert (found.m, found.n) == (pytest.approx(sign * size), pytest.approx(other))
    assert rp.solve(formula, b=0.5).m == 0
    with pytest.raises(rp.UnknownName, match="aligned, equilibrium, opposed"):
        rp.solve(formula, b=1.5, start="uninformed")
