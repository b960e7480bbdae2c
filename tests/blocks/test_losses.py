"""Losses and penalties: a loss of one's own in a line, and what is no loss."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize_scalar
from scipy.stats import norm
from sympy import Abs, Max, Rational, Symbol, cosh, exp, log, oo, symbols

import replica as rp
from replica.blocks.losses import ConvexLoss, Huber, Penalty
from replica.errors import DeclarationError, UnknownName

y, u, a = symbols("y u a", real=True)
omega, V = Symbol("omega", real=True), Symbol("V", positive=True)


@pytest.mark.parametrize("name", ConvexLoss.shipped)
def test_shipped_losses_are_known_by_name(name):
    found = ConvexLoss.shipped[name]
    assert str(found) == name
    assert found == ConvexLoss.shipped[name]
    assert pickle.loads(pickle.dumps(found)) == found
    assert found.is_constraint == (name == "max-margin")
    # more margin is no loss for a classifier, and is one for a regression
    assert found.is_coercive == (name in ("square", "absolute", "huber"))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("square", (2, Rational(1, 8))),
        ("logistic", (log(1 + exp(1)), log(1 + exp(-Rational(1, 2))))),
        ("hinge", (2, Rational(1, 2))),
        ("absolute", (2, Rational(1, 2))),
        ("huber", (Rational(3, 2), Rational(1, 8))),
    ],
)
def test_values(name, values):
    found = ConvexLoss.shipped[name]
    assert found(1, -1) == found(-1, 1) == values[0]
    assert found(1, Rational(1, 2)) == values[1]


def test_the_width_of_a_huber_loss():
    assert Huber(2)(0, 5) == 8
    with pytest.raises(DeclarationError, match="must be positive"):
        Huber(-1)


def test_a_loss_of_ones_own():
    own = rp.Loss(Max(0, 1 - y * u) ** 2, y=y, u=u, name="squared hinge")
    assert str(own) == "squared hinge"
    assert own(-1, -3) == 0
    assert own == rp.Loss(Max(0, 1 - y * u) ** 2, y=y, u=u, name="squared hinge")
    assert pickle.loads(pickle.dumps(own)) == own
    label, field = symbols("label field", real=True)
    assert rp.Loss(cosh(label - field), y=label, u=field).expression == cosh(
        symbols("y", real=True) - symbols("u", real=True)
    )


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        (-((y - u) ** 2), "not convex: its curvature is -2"),
        (Max(0, -Abs(u)) - Abs(u - y), "not convex: its slope falls"),
        (a * (y - u) ** 2, "unbound symbol a"),
        (y**2, "does not depend on the field"),
        ("(y - u)**2", "not '"),
        (None, "not None"),
    ],
)
def test_losses_that_are_refused(expression, words):
    with pytest.raises(DeclarationError, match=words) as caught:
        rp.Loss(expression, y=y, u=u)
    assert "\n" not in str(caught.value)


def test_symbols_that_are_refused():
    for symbols_ in ({"y": u, "u": u}, {"y": "y", "u": u}):
        with pytest.raises(DeclarationError, match="two different symbols"):
            rp.Loss((y - u) ** 2, **symbols_)


def test_unknown_names_have_near_ones():
    with pytest.raises(UnknownName, match="did you mean logistic"):
        ConvexLoss.shipped["logstic"]
    with pytest.raises(UnknownName, match="l1"):
        Penalty.shipped["l3"]


def test_parabolas():
    assert ConvexLoss.shipped["square"].parabola == (1, 1)
    assert ConvexLoss.shipped["logistic"].parabola == (Rational(1, 4), 2)
    assert ConvexLoss.shipped["hinge"].parabola == (1, 1)  # none: that of the square loss
    assert rp.Loss(Max(0, 1 - y * u) ** 2, y=y, u=u).parabola == (2, 1)


@pytest.mark.parametrize("name", Penalty.shipped)
def test_the_energy_of_a_weight(name):
    """By numerical minimisation and integration."""
    variance, stiffness, strength = 1.7, 0.6, 0.8
    costs = {"l2": lambda w: w**2 / 2, "l1": abs}

    def lowest(h: float) -> float:
        found = minimize_scalar(
            lambda w: stiffness * w**2 / 2 - h * w + strength * costs[name](w),
            bounds=(-50, 50),
            method="bounded",
            options={"xatol": 1e-10},
        )
        return float(found.fun) * norm.pdf(h, scale=np.sqrt(variance))

    truth = 2 * (quad(lowest, 0, strength)[0] + quad(lowest, strength, 12)[0])
    from replica.numerics.kernel import Kernel

    s, k, c = symbols("s k c", positive=True)
    (found,) = Kernel((s, k, c), (Penalty.shipped[name].free_energy(s, k, c),))(
        variance, stiffness, strength
    )
    assert float(found) == pytest.approx(truth, abs=1e-8)


def test_marks_of_the_logistic_loss_are_its_branch_points():
    """There the derivative of x + V l'(x) vanishes, in the complex plane."""
    mark = ConvexLoss.shipped["logistic"].marks[0][0]
    for stiffness in (Rational(1, 10), 3, 100):
        centre = complex(mark.subs(Symbol("V", real=True), stiffness).evalf())
        a = np.arccosh(1 + float(stiffness) / 2)
        x = a + 1j * np.pi
        slope = -1 / (1 + np.exp(x))
        assert abs(1 + float(stiffness) * np.exp(x) / (1 + np.exp(x)) ** 2) < 1e-9
        assert x + float(stiffness) * slope == pytest.approx(centre + 1j * np.pi)
    assert ConvexLoss.shipped["hinge"].low == -oo
