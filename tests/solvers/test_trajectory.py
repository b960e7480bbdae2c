"""State evolution: the dynamics whose fixed points are the saddle points."""

from __future__ import annotations

import numpy as np
import pytest

import replica as rp

GLM = rp.formulas["bayes-optimal-glm"]
SIGN = GLM(prior="rademacher", channel="sign")


@pytest.mark.parametrize("alpha", [0.5, 1.2, 1.4])
def test_ends_on_the_uninformed_saddle(alpha: float):
    path = rp.trajectory(SIGN, alpha=alpha, steps=300)
    assert path["m"][-1] == pytest.approx(rp.solve(SIGN, alpha=alpha)["m"], abs=1e-10)
    assert path.steps == 300
    assert path["m"].shape == (301,)
    assert (np.diff(path["m"]) > -1e-12).all()


def test_informed_start_stays_where_recovery_is_stable():
    path = rp.trajectory(SIGN, alpha=1.2, steps=20, start="informed")
    assert path["m"][-1] == 1
    assert path["potential"][-1] == pytest.approx(-np.log(2), abs=1e-12)


def test_full_recovery_is_reached_above_the_spinodal():
    path = rp.trajectory(SIGN, alpha=1.7, steps=40)
    assert path["mse"][-1] == 0
    assert np.isfinite(path["potential"]).all()


def test_even_channel_leaves_the_origin_above_weak_recovery_only():
    glm = GLM(prior="rademacher", channel="door")
    below = rp.trajectory(glm, alpha=1.2, steps=60)
    above = rp.trajectory(glm, alpha=2.0, steps=200)
    assert below["m"][-1] < 1e-5
    assert above["m"][-1] > 0.9


def test_given_start():
    path = rp.trajectory(SIGN, alpha=1.2, steps=100, start={"D": 0.5})
    assert path.overlaps["D"][0] == 0.5
    assert path.start == "given"


def test_storage_saddle_is_a_fixed_point_of_its_own_dynamics():
    binary = rp.formulas["binary-perceptron"]
    path = rp.trajectory(binary, alpha=0.5, kappa=0, steps=60)
    assert path["q"][-1] == pytest.approx(0.322385363224, abs=1e-9)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"steps": 0}, "steps"),
        ({"steps": 2.5}, "steps"),
        ({"start": "middle"}, "start"),
        ({"start": {"D": 2.0}}, "outside"),
        ({"start": {"mhat": 1.0}}, "needs a value of D"),
        ({"start": {"m": 1.0}}, "overlap"),
        ({"alpha": [0.5, 1.0]}, "one value of alpha"),
        ({"alpha": -1.0}, "alpha"),
    ],
)
def test_bad_input(given: dict, message: str):
    with pytest.raises(rp.ReplicaError, match=message):
        rp.trajectory(SIGN, **{"alpha": 1.0, **given})


def test_table_fits_a_terminal():
    text = repr(rp.trajectory(SIGN, alpha=1.2, steps=100))
    assert max(map(len, text.splitlines())) <= 80
    assert "uninformed start" in text
