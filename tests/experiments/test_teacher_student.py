"""Simulated teachers and students against state evolution, and what an experiment reports."""

import json
import math
import pickle

import numpy as np
import pytest
from sympy import Heaviside, Interval, Rational, S, Symbol, log, oo, symbols

import replica as rp
from replica.blocks.channel import Channel
from replica.blocks.priors import Prior
from replica.blocks.written_channels import DiscreteChannel
from replica.declarations.formula import Formula
from replica.errors import ControlError, UnknownName
from replica.experiments import Experiment, simulate, teacher_student
from replica.experiments.planted import planted_model
from replica.solvers.solution import Status

alpha, D, mhat = Symbol("alpha", real=True), *symbols("D mhat", nonnegative=True)


def planted(prior, channel):
    """A formula of which only the experiment matters."""
    prior = prior if isinstance(prior, Prior) else Prior.shipped[prior]
    channel = channel if isinstance(channel, Channel) else Channel.shipped[channel]
    return Formula(
        name="planted",
        title="a prior and a channel",
        potential=-alpha * log(1 + D) - (1 - D) * mhat / 2 + log(1 + mhat) / 2,
        overlaps={D: Interval(0, 1)},
        conjugates={D: mhat},
        controls={alpha: (Interval.open(0, oo), None), **prior.controls, **channel.controls},
        experiment={"prior": prior, "channel": channel},
    )


SIGN = planted("rademacher", "sign")


def agree(result, name, theory, slack=0.0):
    """Within three standard errors; `slack` is the correction at finite size."""
    deviation = np.abs(result[name] - np.asarray(theory))
    return (deviation < 3 * result.errors[name] + slack).all()


# ---------------------------------------------------------------- theory


def test_observables_are_those_of_state_evolution():
    result = simulate(SIGN, p=1000, alpha=[0.5, 1.0], instances=8, rng=1)
    m = np.array([0.2930890, 0.5607147])
    eps_bayes, eps_gibbs = np.array([0.3179032, 0.2306261]), np.array([0.4053168, 0.3105264])
    for name, theory in (("m", m), ("q", m), ("mse", 1 - m)):
        assert agree(result, name, theory, 0.003), name
    assert agree(result, "eps_bayes", eps_bayes)
    assert agree(result, "label_error", 2 * eps_gibbs)
    assert (result["converged"] == 1).all()
    np.testing.assert_allclose(result["mse"], 1 - 2 * result["m"] + result["q"], atol=1e-12)
    assert (result.errors["m"] < 0.02).all()


def test_recovery_and_failure_along_a_curve():
    result = simulate(planted("gauss-bernoulli", "linear"), p=1000, alpha=[0.12, 0.4], instances=4)
    assert result["mse"][0] > 0.03
    assert result["mse"][1] < 1e-9
    assert result["label_error"][1] < 1e-9
    assert "eps_bayes" not in result.observables
    assert result.controls == {"density": 0.1, "Delta": 0.0}


def test_controls_reach_the_blocks():
    result = simulate(
        planted("gauss-bernoulli", "linear"),
        p=1000,
        alpha=0.3,
        density=0.1,
        Delta=0.01,
        instances=6,
    )
    # state evolution: mse 0.021964538
    assert agree(result, "mse", 0.0219645, 0.001)
    assert agree(result, "label_error", 0.0319645, 0.001)


def test_even_channels_up_to_the_sign():
    result = simulate(planted("rademacher", "door"), p=500, alpha=[0.5, 3.0], instances=5)
    assert (result["m"] >= 0).all()
    np.testing.assert_allclose(result["m"], [0, 1], atol=1e-4)
    np.testing.assert_allclose(result["mse"], [1, 0], atol=1e-4)
    # both labels are as frequent: without an estimate half of the signs are wrong
    np.testing.assert_allclose(result["eps_bayes"], [0.5, 0], atol=0.03)
    np.testing.assert_allclose(result["label_error"], [1, 0], atol=0.02)


def test_noiseless_labels_are_what_eps_bayes_is_about():
    result = simulate(planted("gaussian", "sign"), p=800, alpha=2.0, Delta=0.5, instances=6)
    m = result["m"][0]
    assert agree(result, "eps_bayes", math.acos(math.sqrt(m)) / math.pi, 0.01)
    with_noise = 2 * math.acos(m / 1.5) / math.pi
    assert agree(result, "label_error", with_noise, 0.01)


# ---------------------------------------------------------------- channels of probabilities


def test_labels_of_a_channel_of_probabilities():
    z = Symbol("z", real=True)
    flip = {s: Rational(9, 10) * Heaviside(s * z) + Heaviside(-s * z) / 10 for s in (-1, 1)}
    flipped = DiscreteChannel(flip, z, name="flipped")
    three = DiscreteChannel({0: Heaviside(-z), 1: Heaviside(z) / 4, 5: 3 * Heaviside(z) / 4}, z)
    fields = np.repeat([-1.5, 0.7], 20_000)
    rng = np.random.default_rng(0)
    labels = planted_model("test", "gaussian", flipped, {}).draw_labels(rng, fields)
    assert set(labels) == {-1.0, 1.0}
    assert np.mean(labels[:20_000] == -1) == pytest.approx(0.9, abs=0.01)
    assert np.mean(labels[20_000:] == 1) == pytest.approx(0.9, abs=0.01)
    labels = planted_model("test", "gaussian", three, {}).draw_labels(rng, fields)
    assert (labels[:20_000] == 0).all()
    assert np.mean(labels[20_000:] == 5) == pytest.approx(0.75, abs=0.02)
    assert np.mean(labels[20_000:] == 1) == pytest.approx(0.25, abs=0.02)


def test_a_channel_of_probabilities_is_simulated():
    z = Symbol("z", real=True)
    flip = {s: Rational(9, 10) * Heaviside(s * z) + Heaviside(-s * z) / 10 for s in (-1, 1)}
    formula = planted("rademacher", DiscreteChannel(flip, z, name="flipped"))
    result = simulate(formula, p=300, alpha=1.5, instances=4)
    assert (result["converged"] == 1).all()
    assert agree(result, "m", result["q"], 0.05)
    m = float(result["m"][0])
    assert agree(result, "eps_bayes", math.acos(math.sqrt(m)) / math.pi, 0.02)


class Odd(Channel):
    """A channel that nobody taught to draw labels."""

    def log_partition(self, label, mean, variance):
        return -((label - mean) ** 2) / (2 + 2 * variance) - log(1 + variance) / 2


def test_blocks_that_cannot_be_drawn():
    with pytest.raises(ControlError, match=r"channel odd cannot be simulated.*`sample`"):
        simulate(planted("gaussian", Odd("odd")), p=20, alpha=1.0)
    with pytest.raises(ControlError, match="prior mystery cannot be simulated"):
        simulate(planted(Prior("mystery", S.One, S.Zero, S.One), "sign"), p=20, alpha=1.0)


# ---------------------------------------------------------------- seeds and instances


def test_an_instance_depends_on_nothing_but_its_seed():
    def run(**more):
        return simulate(planted("gaussian", "logistic"), p=60, rng=3, **more)

    few, again = (run(alpha=[1.0, 2.0], instances=3) for _ in range(2))
    assert few.to_dict() == again.to_dict()
    assert few.seed == 3
    one = run(n=[120], instances=3)
    for name in few.observables:
        np.testing.assert_allclose(one[name][0], few[name][1], rtol=1e-9)
    # the mean over four instances contains that over three
    more = run(alpha=2.0, instances=4)
    fourth = 4 * more["m"][0] - 3 * few["m"][1]
    assert abs(fourth) < 1
    other = simulate(planted("gaussian", "logistic"), p=60, alpha=2.0, instances=3, rng=4)
    assert other["m"][0] != few["m"][1]


def test_generators_and_fresh_seeds():
    generator = np.random.default_rng(7)
    first = simulate(SIGN, p=50, alpha=1.0, instances=3, rng=generator)
    second = simulate(SIGN, p=50, alpha=1.0, instances=3, rng=generator)
    assert first.seed is None
    assert first["m"][0] != second["m"][0]
    fresh = simulate(SIGN, p=50, alpha=1.0, instances=3, rng=None)
    same = simulate(SIGN, p=50, alpha=1.0, instances=3, rng=fresh.seed)
    assert same.to_dict() == fresh.to_dict()


def test_progress_is_reported():
    seen = []
    simulate(SIGN, p=30, alpha=1.0, instances=3, progress=lambda *step: seen.append(step))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_overlap_by_step():
    result = simulate(SIGN, p=800, alpha=[0.5, 1.3], instances=6, rng=2)
    curve, error = result.overlap_by_step, result.overlap_by_step_error
    assert curve.shape == error.shape
    assert len(curve) == 2
    assert curve.shape[1] > 20
    np.testing.assert_array_equal(curve[:, 0], 0)
    np.testing.assert_allclose(curve[:, -1], result["m"], rtol=1e-12)
    # first step: mhat = 2 alpha / pi, then m = E tanh
    t = np.linspace(-9, 9, 2001)
    weight = np.exp(-t * t / 2) * (t[1] - t[0]) / math.sqrt(2 * math.pi)
    for k, a in enumerate((0.5, 1.3)):
        mhat_1 = 2 * a / math.pi
        first = weight @ np.tanh(mhat_1 + math.sqrt(mhat_1) * t)
        assert abs(curve[k, 1] - first) < 3 * error[k, 1] + 0.005


def test_instances_that_diverge_are_left_out(monkeypatch):
    plain, calls = teacher_student.infer, []

    def sometimes(*arguments):
        found = plain(*arguments)
        calls.append(found)
        if len(calls) == 2:
            object.__setattr__(found, "status", Status.DIVERGED)
        return found

    whole = simulate(SIGN, p=100, alpha=1.0, instances=4)
    monkeypatch.setattr(teacher_student, "infer", sometimes)
    result = simulate(SIGN, p=100, alpha=1.0, instances=4)
    assert result["converged"] == 0.75
    assert np.isfinite(result["m"]).all()
    assert result["m"] != whole["m"]
    assert np.isfinite(result.overlap_by_step).all()


def test_the_algorithm_has_settings():
    short = simulate(SIGN, p=100, alpha=1.0, instances=2, max_steps=3)
    assert (short["converged"] == 0).all()
    assert (short["steps"] == 3).all()
    assert short.overlap_by_step.shape == (1, 4)
    plain = simulate(SIGN, p=300, alpha=1.0, instances=2)
    damped = simulate(SIGN, p=300, alpha=1.0, instances=2, damping=0.4)
    assert damped["steps"] > plain["steps"]
    np.testing.assert_allclose(damped["m"], plain["m"], atol=1e-4)
    coarse = simulate(SIGN, p=300, alpha=1.0, instances=2, tolerance=1e-2)
    assert coarse["steps"] < plain["steps"]


# ---------------------------------------------------------------- what is reported


@pytest.fixture(scope="module")
def experiment():
    return simulate(SIGN, p=100, alpha=[0.5, 1.8], instances=4)


def test_experiment_is_complete(experiment):
    assert isinstance(experiment, Experiment)
    assert experiment.method == "approximate message passing"
    assert experiment.p == 100
    assert experiment.n.tolist() == [50, 180]
    assert experiment.largest_n is None
    names = ["m", "q", "mse", "label_error", "eps_bayes", "steps", "converged"]
    assert list(experiment.observables) == list(experiment.errors) == names
    assert all(np.shape(experiment[name]) == (2,) for name in names)
    again = pickle.loads(pickle.dumps(experiment))
    assert again.to_dict() == experiment.to_dict()


def test_json(experiment):
    answer = json.loads(json.dumps(experiment.to_dict(), allow_nan=False))
    assert answer["observables"]["m"] == experiment["m"].tolist()
    assert answer["overlap_by_step"] == experiment.overlap_by_step.tolist()
    assert answer["largest_n"] is None


def test_table_fits_the_terminal(experiment):
    text = repr(experiment)
    assert max(map(len, text.splitlines())) <= 80
    for name in experiment.observables:
        assert name in text
    with pytest.raises(UnknownName, match="did you mean mse"):
        experiment["msee"]


def test_storage_problems_still_count():
    result = simulate(rp.formulas["binary-perceptron"], p=8, instances=3)
    assert result.largest_n.size == 3
    assert result.overlap_by_step is None
    with pytest.raises(UnknownName, match="damping"):
        simulate(rp.formulas["binary-perceptron"], p=8, damping=0.3)


def test_registered_family():
    result = simulate(
        rp.formulas["bayes-optimal-glm"], p=100, alpha=1.0, instances=2, prior="gaussian"
    )
    assert str(result.options["prior"]) == "gaussian"
    assert "prior = gaussian" in repr(result)


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "the grid is missing; give alpha="),
        ({"alpha": 1.0, "n": 5}, "both given"),
        ({"alpha": 0}, "alpha = 0 "),
        ({"alpha": [1.0, math.nan]}, "alpha = nan"),
        ({"alpha": "1"}, "alpha = '1'"),
        ({"alpha": 1.0, "p": 0}, "p = 0"),
        ({"alpha": 1.0, "p": 2.0}, "p = 2.0 is not an integer"),
        ({"alpha": 1.0, "p": 10**9}, "p = 1000000000 is too large.*memory"),
        ({"alpha": 1000.0, "p": 10**5}, "allowed: n p <= 1e\\+09"),
        ({"n": 0}, "n = 0"),
        ({"alpha": 1.0, "instances": 0}, "instances = 0"),
        ({"alpha": 1.0, "rng": -1}, "rng = -1"),
        ({"alpha": 1.0, "damping": 1.5}, "damping = 1.5"),
        ({"alpha": 1.0, "max_steps": 0}, "max_steps = 0"),
        ({"alpha": 1.0, "tolerance": -1}, "tolerance = -1"),
        ({"alpha": 1.0, "Delta": -0.1}, "Delta = -0.1"),
        ({"alpha": 1.0, "Delta": [0.1, 0.2]}, "Delta"),
    ],
)
def test_bad_values(arguments, message):
    with pytest.raises(ControlError, match=message) as caught:
        simulate(SIGN, **{"p": 20, **arguments})
    assert "\n" not in str(caught.value)


def test_unknown_controls_are_refused():
    with pytest.raises(UnknownName, match="did you mean Delta"):
        simulate(SIGN, p=20, alpha=1.0, delta=0.1)


# ---------------------------------------------------------------- larger instances

CURVES = [
    ("rademacher", "sign", [1.0, 1.3], [0.5607147, 0.7258707]),
    ("gaussian", "sign", [1.0, 3.0], [0.4862636, 0.8426059]),
    ("gaussian", "relu", [1.0, 1.5], [0.6927939, 0.9102772]),
]


@pytest.mark.slow
@pytest.mark.parametrize(("prior", "channel", "grid", "overlaps"), CURVES)
def test_overlaps_at_larger_size(prior, channel, grid, overlaps):
    result = simulate(planted(prior, channel), p=2000, alpha=grid, instances=20)
    assert agree(result, "m", overlaps)
    assert agree(result, "q", overlaps)
    assert agree(result, "mse", 1 - np.array(overlaps))


@pytest.mark.slow
def test_recovery_at_larger_size():
    for prior, channel, place in (
        ("rademacher", "sign", 1.7),
        ("rademacher", "door", 2.0),
        ("gaussian", "abs", 2.0),
        ("gauss-bernoulli", "linear", 0.3),
    ):
        result = simulate(planted(prior, channel), p=2000, alpha=place, instances=6)
        assert (result["converged"] == 1).all()
        assert (result["mse"] < 1e-9).all()


@pytest.mark.slow
def test_message_passing_that_wanders_begins_again_with_damping():
    """Undamped, about half of these instances never settle."""
    glm = rp.formulas["bayes-optimal-glm"](prior="gauss-bernoulli", channel="abs")
    found = rp.simulate(glm, p=2000, alpha=0.88, density=0.3, instances=4, rng=1)
    assert found["converged"][0] == 1.0
    assert found["mse"][0] < 1e-10
