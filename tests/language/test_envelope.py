"""Moreau envelopes: closed forms, derivatives through the proximal point, and what is refused."""

from __future__ import annotations

import pickle

import pytest
from sympy import (
    Abs,
    Float,
    Heaviside,
    Max,
    Piecewise,
    Rational,
    S,
    Symbol,
    cos,
    cosh,
    erfc,
    exp,
    latex,
    log,
    oo,
    sqrt,
    symbols,
)
from sympy.core.function import ArgumentIndexError

from replica.errors import DeclarationError
from replica.language.curves import Clip, Curve, Proximal, t
from replica.language.envelope import Envelope, MoreauEnvelope, unfold
from replica.language.means import Mean
from replica.language.primitives import LogCosh, LogH, LogSumExp, PositivePart, Softmax
from replica.language.vocabulary import first_unknown_node
from replica.numerics.kernel import compile_kernel

omega, x = symbols("omega x", real=True)
V = Symbol("V", positive=True)

STEP = Rational(1, 12)

LOSSES = {
    "square": lambda y, u: (y - u) ** 2 / 2,
    "hinge": lambda y, u: Max(0, 1 - y * u),
    "squared hinge": lambda y, u: Max(0, 1 - y * u) ** 2,
    "absolute": lambda y, u: Abs(y - u),
    "huber": lambda y, u: (y - u) ** 2 / 2 - Max(0, Abs(y - u) - 1) ** 2 / 2,
    "smoothed hinge": lambda y, u: Piecewise(
        (Rational(1, 2) - y * u, y * u < 0), ((1 - y * u) ** 2 / 2, y * u < 1), (0, True)
    ),
}


def minimum(loss, y, at, stiffness):
    """Return minimiser and minimum over a fine grid that contains every kink of the losses."""
    places = [k * STEP for k in range(-64, 65)]
    best = min(places, key=lambda u: (u - at) ** 2 / (2 * stiffness) + loss(y, u))
    return best, (best - at) ** 2 / (2 * stiffness) + loss(y, best)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("label", [-1, 1])
def test_closed_forms_are_the_minimum(name, label):
    loss = LOSSES[name]
    envelope = MoreauEnvelope(loss)
    for at in (-3, Rational(-1, 2), Rational(1, 3), 1, 4):
        for stiffness in (Rational(1, 4), 3):
            place, height = minimum(loss, label, at, stiffness)
            point = {omega: at, V: stiffness}
            node = envelope(label, omega, V)
            assert abs(envelope.proximal(label, omega, V).subs(point) - place) <= STEP
            value = unfold(node).subs(point)
            # the grid is at most half a step off, so its minimum is too high by the square of it
            assert value <= height <= value + STEP**2 * (1 / S(stiffness) + 3)


@pytest.mark.parametrize("name", LOSSES)
def test_derivatives_go_through_the_proximal_point(name):
    envelope = MoreauEnvelope(LOSSES[name])
    node = envelope(1, omega, V)
    assert node.diff(V) == -(node.diff(omega) ** 2) / 2
    for at, stiffness in ((Rational(-7, 3), Rational(2, 3)), (Rational(2, 7), 2), (3, 1)):
        point = {omega: at, V: stiffness}
        force = (at - envelope.proximal(1, omega, V).subs(point)) / stiffness
        assert node.diff(omega).subs(point) == force


def test_the_hinge_rests_at_its_kink():
    hinge = MoreauEnvelope(LOSSES["hinge"])
    assert hinge.slope(1, omega, V) == Clip((omega - 1) / V, -1, 0)
    assert hinge.slope(-1, omega, V) == -Clip((-omega - 1) / V, -1, 0)
    curvature = hinge.slope(1, omega, V).diff(omega)
    assert curvature.subs({omega: Rational(1, 2), V: 1}) == 1  # between 1 - V and 1
    assert curvature.subs({omega: -Rational(1, 2), V: 1}) == 0


def test_a_constraint_is_infinite_below():
    class HardMargin:
        low = S.One

        def __call__(self, y, u):
            return S.Zero

    envelope = MoreauEnvelope(HardMargin())
    assert envelope.slope(1, omega, V).subs({omega: -1, V: 2}) == -1
    assert envelope.slope(1, omega, V).subs({omega: 2, V: 2}) == 0
    assert envelope.proximal(1, omega, V).subs(omega, -3) == 1
    assert envelope.proximal(1, omega, V).subs(omega, 3) == 3
    assert unfold(envelope(1, omega, V)).subs({omega: -1, V: 2}) == 1  # (1 - omega)^2 / 2V


def test_a_smooth_loss_leaves_a_proximal_point():
    logistic = MoreauEnvelope(lambda y, u: log(1 + exp(-y * u)))
    point = logistic.proximal(1, omega, V)
    assert isinstance(point, Proximal)
    assert logistic.slope(1, omega, V) == -Softmax(-point, 0)
    softness = 1 / (1 + V * Softmax(-point, 0) * (1 - Softmax(-point, 0)))
    assert (point.diff(omega) - softness).equals(0)
    assert (point.diff(V) - softness * Softmax(-point, 0)).equals(0)
    # both labels share the curve
    assert logistic.proximal(-1, omega, V) == -logistic.proximal(1, -omega, V)


def test_a_loss_with_smooth_pieces_and_a_kink():
    mixed = MoreauEnvelope(lambda y, u: Max(0, 1 - y * u) + log(1 + exp(-y * u)))
    points = mixed.slope(1, omega, V).atoms(Proximal)
    assert len(points) == 2  # one for each side of the kink
    assert {(p.args[0].low, p.args[0].high) for p in points} == {(-oo, 1), (1, oo)}


def test_continuous_labels_need_a_function_of_the_residual():
    y = Symbol("y", real=True)
    square = MoreauEnvelope(LOSSES["square"])
    assert square(y, omega, V) == Envelope(Curve(t**2 / 2), omega - y, V)
    assert square.proximal(y, omega, V).subs({y: 2, omega: 0, V: 1}) == 1
    with pytest.raises(DeclarationError, match=r"no function of the residual y - u"):
        MoreauEnvelope(LOSSES["hinge"])(y, omega, V)


def test_labels_of_different_weight_have_curves_of_their_own():
    lopsided = MoreauEnvelope(lambda y, u: (2 + y) * log(1 + exp(-y * u)))
    one, other = (lopsided(y, omega, V).args[0] for y in (1, -1))
    assert one != other


@pytest.mark.parametrize(
    ("curve", "words"),
    [
        (-(t**2), "not convex: its curvature is -2"),
        (cos(t), "not convex: its curvature is"),
        (-Abs(t - 2), "not convex: its slope falls by 2 at u = 2"),
        (Heaviside(t), "not convex: it jumps by 1 at u = 0"),
        (Max(0, t**2 - 1), "kinks where its argument is linear"),
        (log(t), "not smooth and finite"),
        (sqrt(t), "not smooth and finite"),
        (exp(-(t**2)), "not convex"),
    ],
)
def test_curves_that_are_refused(curve, words):
    with pytest.raises(DeclarationError, match=words):
        Curve(curve)


def test_curves_are_atoms_compared_by_content():
    curve = Curve(log(1 + exp(-t)))
    assert curve is Curve(log(1 + exp(-t)))
    assert curve != Curve(log(1 + exp(t)))
    assert curve.free_symbols == set()
    assert curve.diff(omega) == 0
    node = Envelope(curve, omega, V)
    for thing in (curve, node, Proximal(curve, omega, V)):
        again = pickle.loads(pickle.dumps(thing))
        assert again == thing
        assert hash(again) == hash(thing)
        assert r"\log" in latex(thing)


def test_envelopes_live_in_means():
    node = Envelope(Curve(log(1 + exp(-t))), x, V)
    mean = Mean(node, (x, omega**2))
    assert mean.diff(V) == Mean(node.diff(V), (x, omega**2))
    assert first_unknown_node(mean) is None
    assert mean.subs(omega, 0) == node.subs(x, 0)
    assert not unfold(mean).has(Envelope)


def test_clip():
    assert Clip(x, -oo, oo) == x
    assert Clip(x, 0, oo) == PositivePart(x)
    assert Clip(x, -oo, 2).subs(x, 5) == 2
    low, high = symbols("low high", real=True)
    assert Clip(x, low, high).diff(low) == Heaviside(low - x)
    assert Clip(x, low, high).diff(high) == Heaviside(x - high)


def test_nodes_have_no_other_derivatives():
    curve = Curve(cosh(t))
    for node in (Envelope(curve, omega, V), Proximal(curve, omega, V)):
        with pytest.raises(ArgumentIndexError):
            node.fdiff(1)


def test_unusual_numbers_do_not_evaluate_the_proximal_point():
    # a Float among the arguments makes sympy try to evaluate a function
    assert Proximal(Curve(cosh(t)), Float(0.5), Float(2.0)).func is Proximal


@pytest.mark.parametrize(
    ("stable", "plain"),
    [
        (lambda y, u: -LogH(-y * u), lambda y, u: -log(erfc(-y * u / sqrt(2)) / 2)),
        (lambda y, u: LogSumExp(0, -y * u), lambda y, u: log(1 + exp(-y * u))),
        (lambda y, u: LogCosh(y * u - 1), lambda y, u: log(cosh(y * u - 1))),
    ],
    ids=["probit", "logistic", "log cosh"],
)
def test_losses_in_stable_functions_are_those_in_plain_ones(stable, plain):
    one, two = MoreauEnvelope(stable), MoreauEnvelope(plain)
    at = {omega: 0.7, V: 1.3}
    found, expected = (
        compile_kernel((omega, V), (e(1, omega, V), e.slope(1, omega, V))) for e in (one, two)
    )
    assert [float(n) for n in found(*at.values())] == pytest.approx(
        [float(n) for n in expected(*at.values())], rel=1e-14
    )


def test_a_loss_in_a_stable_function_that_is_not_convex_is_refused():
    with pytest.raises(DeclarationError, match="not convex: its curvature is -"):
        Curve(LogH(-t))
