"""Message passing with vectors against state evolution."""

import dataclasses

import numpy as np
import pytest
from sympy import S, log

import replica as rp
from replica.blocks.committees import CommitteeChannel, PairPrior
from replica.experiments.amp import Settings, infer
from replica.experiments.committee import exchangeable_overlaps
from replica.experiments.planted_pair import PlantedPair
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
@pytest.mark.parametrize("alpha", [3.5])
def test_overlaps_follow_state_evolution(alpha):
    drawn = rp.simulate(COMMITTEE, p=2000, alpha=alpha, instances=5)
    theory = rp.solve(COMMITTEE, alpha=alpha)
    for name in ("q00", "q01", "eps_g"):
        assert abs(drawn[name][0] - theory[name]) < 3 * drawn.errors[name][0]


def test_the_units_may_be_exchanged():
    rng = np.random.default_rng(0)
    teacher = rng.standard_normal((50, 2))
    found = exchangeable_overlaps(0.5 * teacher, teacher)
    swapped = exchangeable_overlaps(0.5 * teacher[:, ::-1], teacher)
    assert found == pytest.approx(swapped)
    assert found[0] > found[1]


def test_the_same_seed_draws_the_same_instances():
    one, two = (rp.simulate(COMMITTEE, p=60, alpha=[0.5, 1.0], instances=2, rng=7) for _ in "ab")
    assert one["q00"].tolist() == two["q00"].tolist()
    assert one.to_dict() == two.to_dict()


def test_steps_run_out_honestly():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 100)) / 10
    y = CommitteeChannel.shipped["sign-sum"].sample(rng, X @ rng.standard_normal((100, 2)))
    model = PlantedPair(PairPrior.shipped["gaussian"], CommitteeChannel.shipped["sign-sum"])
    found = infer(model, X, y, Settings(max_steps=2), rng)
    assert found.status is Status.MAX_STEPS
    assert found.steps == 2


def test_bad_requests():
    with pytest.raises(rp.ControlError, match="grid is missing"):
        rp.simulate(COMMITTEE, p=100)
    with pytest.raises(rp.ControlError, match="p = 0"):
        rp.simulate(COMMITTEE, p=0, alpha=1)
    with pytest.raises(rp.ControlError, match="damping"):
        rp.simulate(COMMITTEE, p=100, alpha=1, damping=1)


class Uniform(PairPrior):
    """A third prior, of which nothing is known but how to draw from it."""

    def sample(self, rng, size):
        return rng.uniform(-np.sqrt(3), np.sqrt(3), size)


def test_a_prior_of_ones_own_is_not_taken_for_another():
    rng = np.random.default_rng(0)
    X, signs = rng.standard_normal((60, 30)), CommitteeChannel.shipped["sign-sum"]
    y = signs.sample(rng, X @ rng.standard_normal((30, 2)))
    for entropy in (None, 2 * log(3)):
        with pytest.raises(rp.ControlError, match="mine cannot be inferred"):
            infer(PlantedPair(Uniform("mine", entropy), signs), X, y, Settings(), rng)
    shipped = COMMITTEE()
    for prior, words in ((Uniform("mine"), "inferred"), (PairPrior("mine"), "simulated")):
        student = {**shipped.experiment, "prior": prior}
        with pytest.raises(rp.ControlError, match=f"mine cannot be {words}"):
            rp.simulate(dataclasses.replace(shipped, experiment=student), p=20, alpha=1)


@pytest.mark.parametrize("name", ["gaussian", "rademacher"])
def test_posterior_of_a_pair(name):
    """Against the law itself, summed over signs or over a fine grid of weights."""
    response = np.array([[0.3, -0.8], [1.7, 0.4], [-2.0, 2.5]])
    precision = np.array([[1.3, 0.4], [0.4, 0.8]])
    line = np.array([-1.0, 1.0]) if name == "rademacher" else np.linspace(-9, 9, 361)
    first, second = (part.ravel() for part in np.meshgrid(line, line))
    w = np.stack([first, second], axis=1)
    law = -0.5 * np.einsum("ka,ab,kb->k", w, precision, w)
    if name == "gaussian":
        law -= 0.5 * (w**2).sum(axis=1)
    weight = np.exp(law + response @ w.T)
    weight /= weight.sum(axis=1, keepdims=True)
    means = weight @ w
    spread = (np.einsum("ik,ka,kb->iab", weight, w, w) - means[:, :, None] * means[:, None]).mean(0)
    mean, covariance = PairPrior.shipped[name].posterior(response, precision)
    assert mean == pytest.approx(means, abs=1e-12)
    assert covariance == pytest.approx(spread, abs=1e-12)


# ---- one iteration for one field and for two ----------------------------------------------------


def first_unit_alone():
    """Labels that are the sign of the first field, whatever the second."""
    one, none = S.One, S.Zero
    table = ((one, (one, one, none, none)), (-one, (none, none, one, one)))
    return CommitteeChannel("first", table)


@pytest.mark.parametrize("prior", ["gaussian", "rademacher"])
def test_a_unit_that_labels_alone_is_learned_as_by_amp(prior):
    rng = np.random.default_rng(1)
    model = PlantedPair(PairPrior.shipped[prior], first_unit_alone())
    teacher = model.draw_weights(rng, 300)
    X = rng.standard_normal((360, 300)) / np.sqrt(300)
    y = model.draw_labels(rng, X @ teacher)
    assert (y == np.sign(X @ teacher[:, 0])).all()
    settings = Settings(max_steps=2000, tolerance=1e-9)
    both = infer(model, X, y, settings, rng)
    alone = rp.amp(X, y, prior, "sign", tolerance=1e-9, max_steps=2000)
    assert both.converged
    np.testing.assert_allclose(both.mean[:, 0], alone.mean, atol=2e-3)
    np.testing.assert_allclose(both.mean[:, 1], 0, atol=1e-6)
    assert both.variance[0, 0] == pytest.approx(alone.variance.mean(), abs=1e-3)
    assert both.variance[1, 1] == pytest.approx(1, abs=1e-6)
    new = rng.standard_normal((50, 300)) / np.sqrt(300)
    np.testing.assert_allclose(both.predict(new), alone.predict(new), atol=5e-3)


def test_an_inference_of_pairs_shows_itself():
    rng = np.random.default_rng(2)
    model = PlantedPair(PairPrior.shipped["rademacher"], CommitteeChannel.shipped["sign-sum"])
    teacher = model.draw_weights(rng, 200)
    X = rng.standard_normal((600, 200)) / np.sqrt(200)
    steps = []
    found = infer(
        model,
        X,
        model.draw_labels(rng, X @ teacher),
        Settings(max_steps=500),
        rng,
        lambda step, mean: steps.append((step, mean.shape)),
    )
    assert found.note == "exact recovery"
    assert steps == [(k, (200, 2)) for k in range(found.steps + 1)]
    assert found.changes.shape == (found.steps,)
    assert "pairs of rademacher weights, sign-sum labels" in repr(found)
    assert "exact recovery" in repr(found)
    assert found.predict(X[0]).shape == ()
    with pytest.raises(rp.ControlError, match=r"predict: X_new has shape \(600, 100\)"):
        found.predict(X[:, :100])
    assert max(abs(found.overlap(teacher)), abs(found.overlap(teacher[:, ::-1]))) == pytest.approx(
        1
    )


def test_labels_of_nobody_are_no_recovery():
    """Certain weights that the labels contradict are not taken for the teacher's."""
    rng = np.random.default_rng(3)
    model = PlantedPair(PairPrior.shipped["rademacher"], CommitteeChannel.shipped["sign-sum"])
    X = rng.standard_normal((900, 60)) / np.sqrt(60)
    y = rng.choice([-1.0, 0.0, 1.0], size=900)
    found = infer(model, X, y, Settings(max_steps=200), rng)
    assert found.note != "exact recovery"


def test_damping_keeps_an_exact_recovery_exact():
    drawn = rp.simulate(
        COMMITTEE, prior="rademacher", p=200, alpha=2.6, instances=2, damping=0.3, rng=1
    )
    assert drawn["converged"].tolist() == [1.0]
    assert drawn["q00"][0] == pytest.approx(1, abs=1e-12)
