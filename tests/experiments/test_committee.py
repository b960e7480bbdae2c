"""Message passing with vectors against state evolution."""

import numpy as np
import pytest

import replica as rp
from replica.blocks.committees import committee_channel, pair_prior
from replica.experiments.amp import Settings
from replica.experiments.committee import CommitteeInference, infer_committee
from replica.solvers.solution import Status

COMMITTEE = rp.formulas["committee-machine"]


@pytest.mark.slow
def test_before_specialisation_both_units_are_the_same():
    drawn = rp.simulate(COMMITTEE, p=800, alpha=1.0, instances=4)
    theory = rp.solve(COMMITTEE, alpha=1.0)
    assert drawn["converged"][0] == 1
    for name in ("q00", "q01", "eps_g"):
        assert abs(drawn[name][0] - theory[name]) < 3 * drawn.errors[name][0] + 5e-3


def test_binary_weights_are_recovered_above_the_last_threshold():
    drawn = rp.simulate(COMMITTEE, prior="rademacher", p=400, alpha=2.6, instances=2)
    assert drawn["q00"].tolist() == [1.0]
    assert drawn["eps_g"][0] < 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [1.0, 3.5])
def test_overlaps_follow_state_evolution(alpha):
    drawn = rp.simulate(COMMITTEE, p=2000, alpha=alpha, instances=5)
    theory = rp.solve(COMMITTEE, alpha=alpha)
    for name in ("q00", "q01", "eps_g"):
        assert abs(drawn[name][0] - theory[name]) < 3 * drawn.errors[name][0]


def test_the_units_may_be_exchanged():
    rng = np.random.default_rng(0)
    teacher = rng.standard_normal((50, 2))
    found = CommitteeInference(0.5 * teacher, np.eye(2), Status.CONVERGED, 1)
    swapped = CommitteeInference(0.5 * teacher[:, ::-1], np.eye(2), Status.CONVERGED, 1)
    assert found.overlaps(teacher) == pytest.approx(swapped.overlaps(teacher))
    assert found.overlaps(teacher)[0] > found.overlaps(teacher)[1]


def test_the_same_seed_draws_the_same_instances():
    one, two = (rp.simulate(COMMITTEE, p=60, alpha=[0.5, 1.0], instances=2, rng=7) for _ in "ab")
    assert one["q00"].tolist() == two["q00"].tolist()
    assert one.to_dict() == two.to_dict()


def test_steps_run_out_honestly():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 100)) / 10
    y = committee_channel("sign-sum").sample(rng, X @ rng.standard_normal((100, 2)))
    found = infer_committee(
        X, y, pair_prior("gaussian"), committee_channel("sign-sum"), Settings(max_steps=2), rng
    )
    assert found.status is Status.MAX_STEPS
    assert found.steps == 2


def test_bad_requests():
    with pytest.raises(rp.ControlError, match="grid is missing"):
        rp.simulate(COMMITTEE, p=100)
    with pytest.raises(rp.ControlError, match="p = 0"):
        rp.simulate(COMMITTEE, p=0, alpha=1)
    with pytest.raises(rp.ControlError, match="damping"):
        rp.simulate(COMMITTEE, p=100, alpha=1, damping=1)
