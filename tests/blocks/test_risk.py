"""Averages over a teacher's patterns: the theorems that make them derivatives of one another."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from sympy import S, pi, sqrt, symbols

from replica.blocks.channels import Door, Linear, Logistic, Probit, ReLU, Sign
from replica.blocks.losses import ConvexLoss
from replica.blocks.risk import pattern_averages, separability
from replica.blocks.risk import test_error as fraction_wrong
from replica.errors import DeclarationError
from replica.numerics.kernel import Kernel

M, Q, V, t = symbols("M Q V t", positive=True)
RHO = S(13) / 10
TEACHERS = {"sign": Sign(), "linear": Linear(), "logistic": Logistic(), "probit": Probit()}
DEFAULT = {("sign", "logistic"), ("sign", "hinge"), ("linear", "absolute"), ("logistic", "square")}
PAIRS = [
    pytest.param(teacher, name, marks=() if (teacher, name) in DEFAULT else pytest.mark.slow)
    for teacher in TEACHERS
    for name in ("square", "logistic", "hinge", "absolute", "huber", "max-margin")
    if teacher != "linear" or name in ("square", "absolute", "huber")
]


def numbers(teacher, expressions, *point):
    noise = () if teacher.noise is None else (teacher.noise,)
    kernel = Kernel((M, Q, V, *noise), expressions)
    return [float(row) for row in kernel(*point, *((0.2,) if noise else ()))]


@pytest.mark.parametrize(("teacher", "name"), PAIRS)
def test_averages_are_derivatives_of_the_envelope(teacher, name):
    channel = TEACHERS[teacher]
    found = pattern_averages(channel, ConvexLoss.shipped[name], M, Q, V, RHO)
    point = (0.5, 0.8, 1.3)
    stated = (found.signal, found.response, found.square)
    signal, response, square = numbers(channel, stated, *point)
    step = 1e-4
    slopes = []
    for k in range(3):
        ends = []
        for side in (2, 1, -1, -2):
            moved = list(point)
            moved[k] += side * step
            ends.append(numbers(channel, (found.envelope,), *moved)[0])
        slopes.append((-ends[0] + 8 * ends[1] - 8 * ends[2] + ends[3]) / (12 * step))
    assert signal == pytest.approx(-slopes[0], abs=1e-9)
    assert response == pytest.approx(2 * slopes[1], abs=1e-9)
    assert square == pytest.approx(-2 * slopes[2], abs=1e-9)
    # the loss itself and the elastic energy make the envelope
    envelope, training = numbers(channel, (found.envelope, found.training_loss), *point)
    assert envelope == pytest.approx(training + point[2] * square / 2, abs=1e-13)


def test_closed_forms_of_the_square_loss():
    found = pattern_averages(Sign(), ConvexLoss.shipped["square"], M, Q, V, RHO)
    slope = float(sqrt(2 / (pi * (RHO + 0.2))))
    response, square, signal = numbers(
        Sign(), (found.response, found.square, found.signal), 0.5, 0.8, 1.3
    )
    assert response == pytest.approx(1 / 2.3, abs=1e-15)
    assert square == pytest.approx((1 + 0.8 - 2 * 0.5 * slope) / 2.3**2, abs=1e-13)
    assert signal == pytest.approx(slope / 2.3, abs=1e-13)
    linear = pattern_averages(Linear(), ConvexLoss.shipped["square"], M, Q, V, RHO)
    response, square, signal = numbers(
        Linear(), (linear.response, linear.square, linear.signal), 0.5, 0.8, 1.3
    )
    assert response == signal == pytest.approx(1 / 2.3, abs=1e-15)
    assert square == pytest.approx((1.3 + 0.2 + 0.8 - 2 * 0.5) / 2.3**2, abs=1e-13)


def test_losses_of_a_new_pattern_by_plain_quadrature():
    """Sign labels: teacher and student field on a grid of two dimensions."""
    found = pattern_averages(Probit(), ConvexLoss.shipped["hinge"], M, Q, V, RHO)
    (value,) = numbers(Probit(), (found.test_loss,), 0.5, 0.8, 1.3)
    cut = 0.5 / 0.8

    z, x = np.meshgrid(np.linspace(-9, 9, 1201), np.linspace(-9, 9, 2401))
    u = np.sqrt(0.8) * x
    field = cut * u + np.sqrt(1.3 - 0.5 * cut) * z
    losses = [norm.cdf(side * field) * np.maximum(0, 1 - side * u) for side in (-1, 1)]
    step = (18 / 1200) * (18 / 2400)
    truth = float((sum(losses) * norm.pdf(x) * norm.pdf(z)).sum() * step)
    assert value == pytest.approx(truth, abs=2e-6)
    (wrong,) = numbers(Probit(), (fraction_wrong(Probit(), M, Q, RHO),), 0.5, 0.8, 1.3)
    assert wrong == pytest.approx(np.arccos(0.5 / np.sqrt(0.8 * 2.3)) / np.pi, abs=1e-12)


def test_separability_without_a_signal_is_covers():
    assert separability(Probit(), 0, 0, S.Zero) == S.Half
    (value,) = Kernel((t,), (separability(Probit(), 1, 0, t),))(0.0)
    assert float(value) == pytest.approx(0.5, abs=1e-15)


@pytest.mark.parametrize("channel", [ReLU()], ids=str)
def test_teachers_that_are_refused(channel):
    with pytest.raises(DeclarationError, match="teacher with labels"):
        pattern_averages(channel, ConvexLoss.shipped["square"], M, Q, V, RHO)


def test_a_teacher_whose_labels_do_not_tell_the_sign():
    """The door says nothing of the direction: both labels are summed, none is folded."""
    found = pattern_averages(Door(), ConvexLoss.shipped["square"], M, Q, V, S.One)
    kernel = Kernel((M, Q, V, Door().controls["K"].symbol), (found.envelope, found.signal))
    _, signal = kernel(0.5, 0.8, 1.3, 0.6744897501960817)
    assert float(signal) == pytest.approx(0, abs=1e-14)
