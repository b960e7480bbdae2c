"""Where the lines of first-order transitions of Bayes-optimal models end."""

from __future__ import annotations

import pytest
from referee.glm_curves import (
    GLM,
    SIGNS,
    Curve,
    check,
    missing,
    shown,
    signs,
    slow,
    threshold,
)

import replica as rp


@pytest.mark.parametrize(
    "noise",
    [
        pytest.param(0.004, marks=slow),
        pytest.param(0.014, marks=slow),
        0.0165,
        pytest.param(0.017, marks=slow),
    ],
)
def test_noisy_signs_next_to_the_end_of_the_line(noise: float):
    """Folds and crossing against the curves in numpy."""
    curve = Curve(SIGNS, signs(noise))
    top = curve.turn(1, 4.93, 1)
    bottom = curve.turn(4.95, 40, -1)
    crossing = curve.crossing((0.5, top[0]), (bottom[0], 60))
    assert bottom[1] < crossing < top[1]
    for name, expected in (
        ("alpha_AMP", top[1]),
        ("alpha_sp", bottom[1]),
        ("alpha_IT", crossing),
    ):
        found = threshold(name, Delta=noise)
        assert found.value == pytest.approx(expected, abs=1e-9), name


@pytest.mark.parametrize("noise", [0.0173, 0.02, 1.0])
def test_no_transition_beyond_the_end_of_the_line(noise: float):
    missing("alpha_IT", "no two branches", "rademacher", "sign", Delta=noise)
    missing("alpha_AMP", "without turning back", "rademacher", "sign", Delta=noise)
    missing("alpha_sp", "without turning back", "rademacher", "sign", Delta=noise)


def test_end_of_the_line_of_noisy_signs():
    found = threshold("Delta_c")
    check(found, "0.0172503476")
    assert shown(found.controls["alpha"], "1.66185606")


def test_no_transition_of_sparse_weights_with_noise():
    for name in ("alpha_IT", "alpha_AMP", "alpha_sp"):
        reason = "no two branches" if name == "alpha_IT" else "without turning back"
        missing(name, reason, "gauss-bernoulli", "linear", density=0.1, Delta=0.01)


@pytest.mark.parametrize(
    ("density", "text"),
    [
        pytest.param(0.1, "6.47566534e-4", marks=slow),
        pytest.param(0.3, "7.51676019e-4", marks=slow),
    ],
)
def test_end_of_the_line_of_sparse_weights(density: float, text: str):
    found = rp.threshold(
        GLM, "Delta_c", prior="gauss-bernoulli", channel="linear", density=density, check=False
    )
    assert found.value == pytest.approx(float(text), abs=1e-12 + found.error)
    assert found.error < 1e-8
    names = ("alpha_sp", "alpha_IT", "alpha_AMP")
    inside = {"density": density, "Delta": 0.98 * float(text)}
    for name in names:
        assert threshold(name, "gauss-bernoulli", "linear", **inside).status == 0
    for name in names:
        with pytest.raises(rp.ThresholdNotFound):
            threshold(name, "gauss-bernoulli", "linear", density=density, Delta=1.02 * float(text))
