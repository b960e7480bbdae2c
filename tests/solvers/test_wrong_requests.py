"""Requests of a newcomer that cannot be met: each is refused in one line that says what to do."""

from __future__ import annotations

import pytest
from sympy import Function, Heaviside, Interval, cosh, floor, log, nan, oo, symbols, tanh

import replica as rp

T = symbols("T", positive=True)
b, h, w, x, y = symbols("b h w x y", real=True)
m, q = symbols("m q", nonnegative=True)


def cubic(**parts):
    declared = {
        "name": "cubic",
        "title": "Cubic",
        "potential": -(x**4) / 4 + x**2 / 2 + b * x,
        "overlaps": {x: Interval(-2, 2)},
        "controls": {b: (Interval(-1, 1), None)},
        "starts": {"left": {x: -1}, "right": {x: 1}},
    }
    return rp.Formula(**{**declared, **parts})


def magnet(**parts):
    declared = {
        "name": "magnet",
        "title": "Curie-Weiss magnet",
        "potential": log(2 * cosh(m / T)) - m**2 / (2 * T),
        "overlaps": {m: Interval(0, 1)},
        "controls": {T: (Interval.open(0, 3), None)},
        "starts": {"up": {m: 1}, "down": {m: 0}},
    }
    return rp.Formula(**{**declared, **parts})


def threshold(of, determined):
    return rp.threshold(of(thresholds={"t": determined}), "t")


REFUSED = {
    "a tolerance that is text": (
        lambda: rp.solve(cubic(), b=0.1, tolerance="small"),
        "tolerance = 'small' must lie between 0 and 1",
    ),
    "steps that are no number": (
        lambda: rp.solve(cubic(), b=0.1, max_steps=2.5),
        "max_steps = 2.5 must be a whole number",
    ),
    "a domain of a limit that is none": (
        lambda: magnet().limit(T, oo, {m: 1 - y * T}, domains={y: 3}),
        "no end of its domain",
    ),
    "an interval that is a number": (
        lambda: magnet().limit(T, 0, {m: 1 - y * T}, domains={y: 3}),
        "the domain of y must be an Interval, not 3",
    ),
    "a power that is no number": (
        lambda: rp.LogMean(h, (h, 1), power=nan),
        "the power nan of a LogMean is not a real number",
    ),
    "no probabilities": (lambda: rp.Discrete(None), "give a mapping of values to probabilities"),
    "a negative probability": (
        lambda: rp.Discrete({0: 1 + T, 1: -T}),
        "the probabilities must be positive",
    ),
    "a ratio that is text": (lambda: rp.MarchenkoPastur("a"), "the ratio p/d = a is not positive"),
    "a start of a fold without its control": (
        lambda: threshold(cubic, rp.Fold(b, start={x: -0.6})),
        "the start gives no value of b",
    ),
    "an end of a branch that is text": (
        lambda: threshold(cubic, rp.Fold(b, of="left", upper="yes")),
        "upper is True, False or None, not 'yes'",
    ),
    "nothing that vanishes": (
        lambda: threshold(cubic, rp.Root(None, in_=b)),
        "unknown observable of cubic: 'None'",
    ),
    "the name of a state for its place": (
        lambda: threshold(magnet, rp.Instability(in_=T, at="up")),
        "the name of a state goes to of=",
    ),
    "a place that is no number": (
        lambda: threshold(magnet, rp.Instability(in_=T, at={m: "zero"})),
        "m = 'zero' is not a real number",
    ),
    "a place outside": (
        lambda: threshold(magnet, rp.Instability(in_=T, at={m: 5})),
        "m = 5 is outside Interval(0, 1)",
    ),
    "a place that pins the control": (
        lambda: threshold(magnet, rp.Instability(in_=T, at={T: 1})),
        "at pins overlaps; T is a control",
    ),
    "states without names": (lambda: cubic(starts=["left"]), "give names and places"),
    "a start outside": (
        lambda: cubic(starts={"far": {x: 9}}),
        "start far: x = 9 is outside Interval(-2, 2)",
    ),
    "a start that is text": (lambda: cubic(starts={"far": {x: "a"}}), "x = 'a' is not a real"),
    "a name that means something else": (
        lambda: cubic(starts={"equilibrium": {x: 1}}),
        "stands for the state of the largest or smallest potential",
    ),
    "observables without names": (lambda: cubic(observables=[x]), "must be a mapping"),
    "an unknown function in a minimum": (
        lambda: cubic(potential=-(x**2) + rp.Minimum(w, (w - x) ** 2 + Function("f")(w))),
        "cannot integrate f(t)",
    ),
    "a jump that no minimum knows": (
        lambda: cubic(potential=-(x**2) + rp.Minimum(w, (w - x) ** 2 + floor(w))),
        "cannot integrate floor(t)",
    ),
    "a minimum that is not there": (lambda: rp.Minimum(x, x**3 + w), "not known to grow"),
    "an update that holds below the middle of its domain only": (
        lambda: rp.solve(magnet(updates={m: tanh(m / (2 * T))}), T=0.4),
        "the update of m: it is",
    ),
    "two states that are one": (
        lambda: threshold(magnet, rp.Crossing(T, between=("up", "down"))),
        "no t at the default controls: both saddle points fell together",
    ),
}


@pytest.mark.parametrize("request_", REFUSED)
def test_a_line_says_what_is_wrong(request_):
    asked, text = REFUSED[request_]
    with pytest.raises(rp.ReplicaError) as caught:
        asked()
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_end_that_is_a_control_needs_no_start():
    bounded = rp.Formula(
        name="bounded",
        title="An overlap up to a control",
        potential=-(q**2) / 2 + q * T / 3,
        overlaps={q: Interval(0, T)},
        controls={T: (Interval.open(0, 2), None)},
    )
    assert rp.solve(bounded, T=1)["q"] == pytest.approx(1 / 3, rel=1e-14)


def test_a_power_of_zero_has_a_potential():
    gentle = cubic(
        potential=-(x**2) / 2 + b * x + rp.LogMean(tanh(h) + Heaviside(h), (h, 1 + x**2), power=b)
    )
    assert rp.solve(gentle, b=0)["potential"] == pytest.approx(0.5, rel=1e-12)
